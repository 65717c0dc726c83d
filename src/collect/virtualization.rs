//! Whether this machine is a container, a guest, or iron. Named as systemd-detect-virt names them.

use super::kernel_file::{BYTES_MAX, read_once};
use super::{Source, cpuinfo};

/// Parts of DMI texts (`sys_vendor`, `product_name`, …) that tell the hypervisor.
const DMI: [(&[u8], &str); 16] = [
    (b"VirtualBox", "oracle"),
    (b"innotek", "oracle"),
    (b"VMware", "vmware"),
    (b"VMW", "vmware"),
    (b"Amazon EC2", "amazon"),
    (b"Google Compute", "google"),
    (b"Microsoft Corporation Virtual", "microsoft"),
    (b"Virtual Machine", "microsoft"),
    (b"Parallels", "parallels"),
    (b"Apple Virtualization", "apple"),
    (b"BHYVE", "bhyve"),
    (b"Xen", "xen"),
    (b"KVM", "kvm"),
    (b"OpenStack", "kvm"),
    (b"QEMU", "qemu"),
    (b"Bochs", "bochs"),
];

/// Parts of control group paths that tell the container engine.
const CGROUPS: [(&[u8], &str); 5] = [
    (b"kubepods", "kubernetes"),
    (b"libpod", "podman"),
    (b"docker", "docker"),
    (b"containerd", "containerd"),
    (b"/lxc", "lxc"),
];

/// A container's engine before the hypervisor under it; `none` on iron. `cpuinfo` is the content
/// of `/proc/cpuinfo`.
pub fn detect(source: &Source, cpuinfo: &[u8]) -> &'static str {
    container(source).or_else(|| hypervisor(source, cpuinfo)).unwrap_or("none")
}

fn container(source: &Source) -> Option<&'static str> {
    let root = |name: &str| source.rootfs.join(name).exists();
    if root("run/.containerenv") {
        return Some("podman");
    }
    if root(".dockerenv") {
        return Some("docker");
    }
    if source.procfs.join("vz").exists() && !source.procfs.join("bc").exists() {
        return Some("openvz");
    }
    // systemd leaves the word of its own container manager here.
    let word = read_once(source.rootfs.join("run/systemd/container"), BYTES_MAX);
    let known = ["lxc", "lxc-libvirt", "systemd-nspawn", "docker", "podman", "wsl"];
    if let Some(name) =
        word.and_then(|word| known.into_iter().find(|n| n.as_bytes() == word.trim_ascii()))
    {
        return Some(name);
    }
    let groups = ["1/cgroup", "self/cgroup"];
    groups
        .into_iter()
        .find_map(|name| find(&read_once(source.procfs.join(name), BYTES_MAX)?, &CGROUPS))
}

fn hypervisor(source: &Source, cpuinfo: &[u8]) -> Option<&'static str> {
    let dmi = ["product_name", "sys_vendor", "board_vendor", "bios_vendor"];
    let id = source.sysfs.join("class/dmi/id");
    if let Some(name) =
        dmi.into_iter().find_map(|file| find(&read_once(id.join(file), BYTES_MAX)?, &DMI))
    {
        return Some(name);
    }
    let kind = read_once(source.sysfs.join("hypervisor/type"), BYTES_MAX);
    if kind.is_some_and(|kind| kind.trim_ascii() == b"xen") {
        return Some("xen");
    }
    cpuinfo::is_hypervisor_guest(cpuinfo).then_some("vm-other")
}

fn find(bytes: &[u8], table: &[(&[u8], &'static str)]) -> Option<&'static str> {
    let holds = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    table.iter().find(|(part, _)| holds(part)).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::fixture_test;

    #[test]
    fn container_guest_and_iron_are_told_apart() {
        let table = [
            (fixture_test::DEBIAN, "none"),
            (fixture_test::CENTOS, "vmware"),
            (fixture_test::OPENWRT, "none"),
            (fixture_test::DOCKER, "docker"),
        ];
        for (fixture, want) in table {
            let cpuinfo = fixture_test::bytes(fixture, "proc/cpuinfo");
            assert_eq!(detect(&fixture_test::source(fixture), &cpuinfo), want, "{fixture}");
        }
        let nothing = fixture_test::source("absent");
        assert_eq!(detect(&nothing, b"flags : fpu hypervisor"), "vm-other");
    }
}
