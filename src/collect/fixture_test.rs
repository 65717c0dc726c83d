//! The plugins over the files of seven systems, in `fixtures/<system>/{proc,sys,root}`. Six have the layout of
//! the kernel and distribution named, with numbers made up; one was captured from a running kernel.

use super::*;
use crate::time::Mono;
use expect_test::{Expect, expect};
use std::path::Path;

pub const DEBIAN: &str = "debian12-6.1-x86_64";
pub const CENTOS: &str = "centos6-2.6.32-x86_64";
pub const OPENWRT: &str = "openwrt-5.15-mips";
pub const ARMBIAN: &str = "armbian-6.6-aarch64";
pub const PROXMOX: &str = "proxmox-zfs-6.5-x86_64";
pub const DOCKER: &str = "docker-cgroup2-6.1-x86_64";

/// Copied from a running virtual machine.
const CAPTURED: &str = "captured-6.18-x86_64";

/// Where the files of one system are.
pub fn source(system: &str) -> Source {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/collect/fixtures").join(system);
    Source { procfs: root.join("proc"), sysfs: root.join("sys"), rootfs: root.join("root") }
}

/// One file of a system.
pub fn bytes(system: &str, name: &str) -> Vec<u8> {
    let root = source(system).procfs;
    let path = root.parent().expect("it is below the system's directory").join(name);
    kernel_file::read_once(path, kernel_file::BYTES_MAX).expect("the file is there")
}

fn agent(source: &Source) -> Agent {
    Agent {
        procfs: source.procfs.clone(),
        sysfs: source.sysfs.clone(),
        rootfs: source.rootfs.clone(),
        ..Agent::default()
    }
}

fn collect(plugin: &mut dyn Plugin, seconds: u64) -> String {
    let now = Now { mono: Mono::from_secs(seconds), ..Now::default() };
    let mut out = String::new();
    plugin.collect(now, &mut out).expect("collected");
    serde_json::from_str::<serde_json::Value>(&out).expect("strict JSON");
    out
}

fn plugin(config: &Agent, name: &str) -> Box<dyn Plugin> {
    let mut all = builtin(config, super::FULL).into_iter();
    all.find(|plugin| plugin.name() == name).expect("this machine can serve it")
}

/// The first sample of a plugin, a field a line.
fn check(system: &str, name: &str, want: Expect) {
    let config = agent(&source(system));
    want.assert_eq(&collect(plugin(&config, name).as_mut(), 1).replace(",\"", ",\n\""));
}

#[test]
fn cpu_monitor_of_each_system() {
    check(
        DEBIAN,
        cpu::NAME,
        expect![[r#"
        {"cpu_percent":4.43,
        "user_percent":3.25,
        "system_percent":1.17,
        "iowait_percent":0.21,
        "steal_percent":0,
        "load_1min":0.42,
        "load_5min":0.37,
        "load_15min":0.31,
        "process_count":613,
        "uptime_seconds":258934.71,
        "frequency_mhz":3593,
        "psi_cpu_some_avg10":1.07,
        "temperature_c":52.4}"#]],
    );
    check(
        CENTOS,
        cpu::NAME,
        expect![[r#"
        {"cpu_percent":22.41,
        "user_percent":17.26,
        "system_percent":5.15,
        "iowait_percent":0.03,
        "steal_percent":0,
        "load_1min":1.5,
        "load_5min":1.2,
        "load_15min":0.98,
        "process_count":187,
        "uptime_seconds":301944.12,
        "frequency_mhz":1995}"#]],
    );
    check(
        OPENWRT,
        cpu::NAME,
        expect![[r#"
        {"cpu_percent":1.8,
        "user_percent":0.23,
        "system_percent":1.57,
        "iowait_percent":0,
        "steal_percent":0,
        "load_1min":0,
        "load_5min":0.02,
        "load_15min":0,
        "process_count":78,
        "uptime_seconds":22431.05}"#]],
    );
    check(
        ARMBIAN,
        cpu::NAME,
        expect![[r#"
        {"cpu_percent":4.22,
        "user_percent":2.79,
        "system_percent":1.43,
        "iowait_percent":0.28,
        "steal_percent":0,
        "load_1min":0.11,
        "load_5min":0.09,
        "load_15min":0.03,
        "process_count":181,
        "uptime_seconds":10812.44,
        "frequency_mhz":1500,
        "psi_cpu_some_avg10":0,
        "temperature_c":48.2}"#]],
    );
}

#[test]
fn memory_monitor_of_each_system() {
    check(
        DEBIAN,
        memory::NAME,
        expect![[r#"
            {"percent":23.44,
            "total_mb":32026.48,
            "available_mb":24519.96,
            "used_mb":7506.52,
            "free_mb":8998.37,
            "buffers_mb":500,
            "cached_mb":15704.19,
            "swap_total_mb":8192,
            "swap_used_mb":256,
            "swap_percent":3.13,
            "psi_memory_some_avg10":0.31,
            "psi_memory_full_avg10":0.29}"#]],
    );
    check(
        CENTOS,
        memory::NAME,
        expect![[r#"
        {"percent":26.54,
        "total_mb":3830.77,
        "available_mb":2814.22,
        "used_mb":1016.55,
        "free_mb":274.57,
        "buffers_mb":196.63,
        "cached_mb":2393.85,
        "swap_total_mb":4096,
        "swap_used_mb":1024,
        "swap_percent":25}"#]],
    );
    check(
        OPENWRT,
        memory::NAME,
        expect![[r#"
        {"percent":30.97,
        "total_mb":243.4,
        "available_mb":168.01,
        "used_mb":75.39,
        "free_mb":173.94,
        "buffers_mb":0,
        "cached_mb":22.98,
        "swap_total_mb":0,
        "swap_used_mb":0,
        "swap_percent":0}"#]],
    );
    check(
        PROXMOX,
        memory::NAME,
        expect![[r#"
        {"percent":44.66,
        "total_mb":64250.99,
        "available_mb":35555.06,
        "used_mb":28695.93,
        "free_mb":4023.76,
        "buffers_mb":9.88,
        "cached_mb":3937.86,
        "arc_mb":31586.01,
        "swap_total_mb":0,
        "swap_used_mb":0,
        "swap_percent":0}"#]],
    );
}

#[test]
fn network_monitor_of_each_system() {
    check(
        DEBIAN,
        network::NAME,
        expect![[r#"
            {"interfaces":{"enp3s0":{"rx_bytes":98120334412,
            "tx_bytes":40229988120,
            "rx_packets":81203344,
            "tx_packets":61203344,
            "errors_total":4,
            "dropped_total":1216,
            "up":true,
            "speed_mbit":1000},
            "docker0":{"rx_bytes":0,
            "tx_bytes":12034,
            "rx_packets":0,
            "tx_packets":88,
            "errors_total":0,
            "dropped_total":0,
            "up":false},
            "veth1a2b3c4":{"rx_bytes":1203344,
            "tx_bytes":3344120,
            "rx_packets":12033,
            "tx_packets":22033,
            "errors_total":0,
            "dropped_total":0,
            "up":true,
            "speed_mbit":10000},
            "wg0":{"rx_bytes":4410229,
            "tx_bytes":5520334,
            "rx_packets":33120,
            "tx_packets":40112,
            "errors_total":0,
            "dropped_total":7,
            "up":true}},
            "errors_total":4,
            "dropped_total":1223,
            "tcp_established":37,
            "tcp_time_wait":12,
            "udp_sockets":14,
            "conntrack_count":812,
            "conntrack_max":262144,
            "conntrack_percent":0.31}"#]],
    );
    check(
        CENTOS,
        network::NAME,
        expect![[r#"
        {"interfaces":{"eth0":{"rx_bytes":4120334412,
        "tx_bytes":3022998812,
        "rx_packets":31203344,
        "tx_packets":21203344,
        "errors_total":12,
        "dropped_total":40,
        "up":true}},
        "errors_total":12,
        "dropped_total":40,
        "tcp_established":5,
        "tcp_time_wait":3,
        "udp_sockets":4}"#]],
    );
    check(
        OPENWRT,
        network::NAME,
        expect![[r#"
        {"interfaces":{"eth0":{"rx_bytes":912033441,
        "tx_bytes":120334412,
        "rx_packets":1203344,
        "tx_packets":903344,
        "errors_total":0,
        "dropped_total":12,
        "up":true},
        "br-lan":{"rx_bytes":100334412,
        "tx_bytes":900334412,
        "rx_packets":803344,
        "tx_packets":1103344,
        "errors_total":0,
        "dropped_total":0,
        "up":true},
        "phy0-ap0":{"rx_bytes":50334412,
        "tx_bytes":450334412,
        "rx_packets":403344,
        "tx_packets":703344,
        "errors_total":0,
        "dropped_total":31,
        "up":true},
        "pppoe-wan":{"rx_bytes":800334412,
        "tx_bytes":90334412,
        "rx_packets":1003344,
        "tx_packets":603344,
        "errors_total":0,
        "dropped_total":0,
        "up":true}},
        "errors_total":0,
        "dropped_total":43,
        "tcp_established":2,
        "tcp_time_wait":0,
        "udp_sockets":7}"#]],
    );
    check(
        ARMBIAN,
        network::NAME,
        expect![[r#"
        {"interfaces":{"end0":{"rx_bytes":20334412,
        "tx_bytes":4120334,
        "rx_packets":90334,
        "tx_packets":40112,
        "errors_total":0,
        "dropped_total":0,
        "up":true,
        "speed_mbit":1000},
        "wlan0":{"rx_bytes":0,
        "tx_bytes":0,
        "rx_packets":0,
        "tx_packets":0,
        "errors_total":0,
        "dropped_total":0,
        "up":false}},
        "errors_total":0,
        "dropped_total":0,
        "tcp_time_wait":1,
        "udp_sockets":8}"#]],
    );
}

/// A copy of some files of a system that a test may change.
struct Copy {
    directory: tempfile::TempDir,
    config: Agent,
}

impl Copy {
    fn new(system: &str, names: &[&str]) -> Copy {
        let directory = tempfile::tempdir().expect("a directory");
        let root = directory.path();
        let config = agent(&Source {
            procfs: root.join("proc"),
            sysfs: root.join("sys"),
            rootfs: root.to_path_buf(),
        });
        let copy = Copy { directory, config };
        for name in names {
            copy.write(name, &bytes(system, name));
        }
        copy
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.directory.path().join(name);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("made");
        std::fs::write(path, bytes).expect("written");
    }
}

#[test]
fn cpu_monitor_later_samples_cover_the_time_between() {
    let copy = Copy::new(DEBIAN, &["proc/stat"]);
    let mut config = copy.config.clone();
    let per_core = agent::Plugin { per_core: true, ..agent::Plugin::default() };
    config.plugins.insert(cpu::NAME.to_owned(), per_core);
    copy.write("proc/stat", b"cpu  0 0 0 0\ncpu0 0 0 0 0\ncpu1 0 0 0 0\n");
    let mut cpu = plugin(&config, cpu::NAME);
    copy.write("proc/stat", b"cpu  50 0 50 100\ncpu0 50 0 50 0\ncpu1 0 0 0 100\n");
    let first = r#"{"cpu_percent":50,"user_percent":25,"system_percent":25,"iowait_percent":0,"#;
    assert!(collect(cpu.as_mut(), 1).starts_with(first));
    // Too short a time, then the same with what came after.
    copy.write("proc/stat", b"cpu  54 0 50 100\ncpu0 54 0 50 0\ncpu1 0 0 0 100\n");
    assert_eq!(collect(cpu.as_mut(), 2), "{}");
    copy.write("proc/stat", b"cpu  70 0 50 180\ncpu0 70 0 50 0\ncpu1 0 0 0 180\n");
    let sample = collect(cpu.as_mut(), 3);
    assert!(sample.contains(r#""cpu_percent":20,"#), "{sample}");
    assert!(sample.contains(r#""per_core":[100,0]"#), "{sample}");
    // Reset, and a CPU gone.
    copy.write("proc/stat", b"cpu  1 0 0 9\ncpu0 1 0 0 9\n");
    assert_eq!(collect(cpu.as_mut(), 4), "{}");
    copy.write("proc/stat", b"cpu  11 0 0 99\ncpu0 11 0 0 99\n");
    assert!(collect(cpu.as_mut(), 5).contains(r#""per_core":[10]"#));
}

#[test]
fn network_monitor_rates_skip_a_round_after_a_wrap() {
    let copy = Copy::new(DEBIAN, &["proc/net/dev", "proc/uptime"]);
    let line = |rx: u64, tx: u64| format!("eth0:{rx} 1 0 0 0 0 0 0 {tx} 1 0 0 0 0 0 0\n");
    copy.write("proc/net/dev", line(0, 4_294_967_000).as_bytes());
    copy.write("proc/uptime", b"100.00 1.00\n");
    let mut network = plugin(&copy.config, network::NAME);
    copy.write("proc/net/dev", line(2 << 20, 1000).as_bytes());
    copy.write("proc/uptime", b"102.00 1.00\n");
    let sample = collect(network.as_mut(), 50);
    assert!(sample.contains(r#""eth0":{"rx_mb_s":1,"rx_bytes":2097152,"#), "{sample}");
    copy.write("proc/net/dev", line(2 << 20, 1000 + (5 << 20)).as_bytes());
    let sample = collect(network.as_mut(), 60);
    assert!(sample.contains(r#""eth0":{"rx_mb_s":0,"tx_mb_s":0.5,"#), "{sample}");
    // Another interface of another name has no past.
    copy.write("proc/net/dev", line(9 << 20, 0).replace("eth0", "eth1").as_bytes());
    assert!(collect(network.as_mut(), 70).contains(r#""eth1":{"rx_bytes":"#));
}

#[test]
fn network_monitor_shows_what_the_settings_want() {
    let mut config = agent(&source(DEBIAN));
    let mut shown = |include: &[&str], exclude: Option<&[&str]>| {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let settings = agent::Plugin {
            include: list(include),
            exclude: exclude.map(list),
            ..agent::Plugin::default()
        };
        config.plugins.insert(network::NAME.to_owned(), settings);
        let sample = collect(plugin(&config, network::NAME).as_mut(), 1);
        let value: serde_json::Value = serde_json::from_str(&sample).expect("strict JSON");
        let names = value["interfaces"].as_object().expect("an object").keys();
        names.cloned().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(shown(&[], None), "docker0 enp3s0 veth1a2b3c4 wg0");
    assert_eq!(shown(&[], Some(&["veth*", "docker?"])), "enp3s0 lo wg0");
    assert_eq!(shown(&["lo", "en*"], None), "enp3s0 lo");
    assert_eq!(shown(&["e*"], Some(&["*"])), "");
}

#[test]
fn disk_monitor_shows_fill_rates_and_what_is_unavailable() {
    let copy = Copy::new(DEBIAN, &["proc/self/mountinfo", "proc/diskstats", "proc/uptime"]);
    copy.write("srv/big disk/file", b"x");
    let mut disk = plugin(&copy.config, disk::NAME);
    let value: serde_json::Value =
        serde_json::from_str(&collect(disk.as_mut(), 10)).expect("strict JSON");
    let partitions = &value["partitions"];
    assert!(partitions["/"]["total_gb"].as_f64().expect("a number") > 0.0);
    assert!(partitions["/srv/big disk"]["percent"].as_f64().expect("a number") <= 100.0);
    assert_eq!(partitions["/srv/big disk"]["device"], "/dev/sda1");
    let efi = r#"{"device":"/dev/nvme0n1p1","fstype":"vfat","unavailable":true}"#;
    assert_eq!(partitions["/boot/efi"].to_string(), efi);
    assert!(value.get("io").is_none(), "the kernel's clock stood still");
    copy.write("proc/diskstats", b"8 0 sda 30321 0 4042590 0 120334 0 20118334 0 0 321110 0\n");
    let sample = collect(disk.as_mut(), 20);
    let want = r#""io":{"sda":{"read_mb_s":1,"write_mb_s":0,"read_iops":10,"write_iops":0,"#;
    let want = format!("{want}\"busy_percent\":10}}}}}}");
    assert!(sample.ends_with(&want), "{sample}");
}

#[test]
fn filesystem_info_names_devices_and_options() {
    let copy = Copy::new(DEBIAN, &["proc/self/mountinfo"]);
    let sample = collect(plugin(&copy.config, filesystem::NAME).as_mut(), 1);
    let want = r#"{"device":"/dev/nvme0n1p1","fstype":"vfat","options":"rw,relatime,fmask=0077,"#;
    assert!(sample.contains(&format!("\"/boot/efi\":{want}")), "{sample}");
    assert!(
        builtin(&copy.config, super::MINI).iter().all(|plugin| plugin.name() != filesystem::NAME)
    );
}

#[test]
fn os_info_tells_what_the_files_do() {
    let config = agent(&source(OPENWRT));
    let sample = collect(plugin(&config, osinfo::NAME).as_mut(), 1);
    for want in [
        r#""distribution":"OpenWrt","distribution_version":"22.03.5""#,
        r#""cpu_model":"MediaTek MT7621 ver:1 eco:3, MIPS 1004Kc V2.15","cpu_count":4"#,
        r#""memory_total_mb":243.4,"boot_time":1761998012"#,
        r#""virtualization":"none""#,
    ] {
        assert!(sample.contains(want), "{sample}");
    }
}

#[test]
fn plugin_that_is_off_or_cannot_run_says_why() {
    let copy = Copy::new(DEBIAN, &["proc/stat"]);
    let mut config = copy.config.clone();
    let off = agent::Plugin { enabled: Some(false), ..agent::Plugin::default() };
    config.plugins.insert(osinfo::NAME.to_owned(), off);
    let why = |name: &str| {
        let mut all = probe(&config, super::MINI).into_iter();
        all.find(|(n, _)| n == name).expect("it is built in").1.err()
    };
    assert_eq!(why(osinfo::NAME).as_deref(), Some("switched off in the configuration"));
    assert_eq!(why(cpu::NAME), None);
    let memory = why(memory::NAME).expect("there is no meminfo");
    assert!(memory.starts_with("cannot read ") && memory.contains("meminfo: "), "{memory}");
}

#[test]
fn hostile_content_never_breaks_the_json() {
    let names = ["stat", "loadavg", "uptime", "meminfo", "diskstats", "self/mountinfo", "net/dev"];
    let copy = Copy::new(DEBIAN, &["proc/stat", "proc/meminfo"]);
    copy.write(
        "proc/self/mountinfo",
        b"1 0 8:1 / /\xff\"\\\x01\\012 rw - ext4 /dev/\"\x1b[0m rw\n",
    );
    let counters = "1 ".repeat(16);
    copy.write("proc/net/dev", format!("a\"\u{1}\\: {counters}\n").as_bytes());
    copy.write("proc/diskstats", b"8 0 \"\xff\x02 1 1 1 1 1 1 1 1 1 1 1\n");
    let mut plugins = builtin(&copy.config, super::FULL);
    // Not those that this machine has programs for.
    plugins.retain(|plugin| plugin.limit().is_none());
    assert_eq!(plugins.len(), 6);
    for plugin in &mut plugins {
        collect(plugin.as_mut(), 1);
        collect(plugin.as_mut(), 2);
    }
    for (content, seconds) in [(vec![0xff; 200_000], 3), (Vec::new(), 4), (vec![b'\n'; 9], 5)] {
        for name in names {
            copy.write(&format!("proc/{name}"), &content);
        }
        for plugin in &mut plugins {
            let mut out = "before".to_owned();
            let now = Now { mono: Mono::from_secs(seconds), ..Now::default() };
            if plugin.collect(now, &mut out).is_err() {
                assert_eq!(out, "before", "{}", plugin.name());
            }
        }
    }
}

#[test]
fn plugins_of_the_captured_system() {
    check(
        CAPTURED,
        cpu::NAME,
        expect![[r#"
        {"cpu_percent":71.07,
        "user_percent":63.44,
        "system_percent":7.61,
        "iowait_percent":0.24,
        "steal_percent":0.02,
        "load_1min":2.83,
        "load_5min":2.26,
        "load_15min":2.88,
        "process_count":137,
        "uptime_seconds":9476.97,
        "frequency_mhz":2600,
        "psi_cpu_some_avg10":92.63}"#]],
    );
    check(
        CAPTURED,
        memory::NAME,
        expect![[r#"
        {"percent":5.73,
        "total_mb":24105.13,
        "available_mb":22724.92,
        "used_mb":1380.21,
        "free_mb":21786.65,
        "buffers_mb":8.81,
        "cached_mb":1300.04,
        "swap_total_mb":0,
        "swap_used_mb":0,
        "swap_percent":0}"#]],
    );
    check(
        CAPTURED,
        network::NAME,
        expect![[r#"
        {"interfaces":{"ifb0":{"rx_bytes":0,
        "tx_bytes":0,
        "rx_packets":0,
        "tx_packets":0,
        "errors_total":0,
        "dropped_total":0},
        "ifb1":{"rx_bytes":0,
        "tx_bytes":0,
        "rx_packets":0,
        "tx_packets":0,
        "errors_total":0,
        "dropped_total":0},
        "eth0":{"rx_bytes":360939032,
        "tx_bytes":1121334,
        "rx_packets":16918,
        "tx_packets":12023,
        "errors_total":0,
        "dropped_total":0}},
        "errors_total":0,
        "dropped_total":0,
        "tcp_established":0,
        "tcp_time_wait":0,
        "udp_sockets":3}"#]],
    );
}
