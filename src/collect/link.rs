//! State of one network interface from `/sys/class/net`: whether it is up, and how fast.

use super::kernel_file::{BYTES_MAX, KernelFile, read_once};
use super::scan;
use std::path::{Path, PathBuf};

/// `IFF_UP` of `flags`.
const IFF_UP: u64 = 1;

pub struct Link {
    name: String,
    /// `None` for a name that is no file's.
    directory: Option<PathBuf>,
    operstate: Option<KernelFile>,
    /// What `operstate` said last.
    state: Vec<u8>,
    up: Option<bool>,
    speed: Option<u64>,
}

impl Link {
    /// `class` is `/sys/class/net`.
    pub fn new(class: &Path, name: &str) -> Link {
        let is_file_name = !name.contains('/') && name != "." && name != "..";
        let directory = is_file_name.then(|| class.join(name));
        let operstate = directory
            .as_ref()
            .map(|directory| directory.join("operstate"))
            .filter(|path| path.exists())
            .map(|path| KernelFile::new(path, BYTES_MAX));
        let name = name.to_owned();
        Link { name, directory, operstate, state: Vec::new(), up: None, speed: None }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// `None` where the machine does not tell.
    pub fn up(&self) -> Option<bool> {
        self.up
    }

    /// In Mbit/s; `None` where it is unknown: down, virtual, wireless.
    pub fn speed(&self) -> Option<u64> {
        self.speed
    }

    /// Looks again. The speed is asked for only when the state changed: some drivers talk to the
    /// hardware for it, and a new speed is negotiated while the link is down.
    pub fn update(&mut self, buffer: &mut Vec<u8>) {
        let (Some(operstate), Some(directory)) = (&mut self.operstate, &self.directory) else {
            return;
        };
        let Ok(state) = operstate.read(buffer) else {
            (self.up, self.speed) = (None, None);
            self.state.clear();
            return;
        };
        let state = state.trim_ascii();
        self.up = match state {
            b"up" => Some(true),
            // Drivers that do not know: tunnels, PPP, loopback.
            b"unknown" => {
                let flags = read_once(directory.join("flags"), BYTES_MAX);
                flags.and_then(|bytes| parse_flags(&bytes)).map(|flags| flags & IFF_UP != 0)
            }
            _ => Some(false),
        };
        if state != self.state {
            self.state = state.to_vec();
            let speed = read_once(directory.join("speed"), BYTES_MAX);
            self.speed =
                speed.and_then(|bytes| parse_speed(&bytes)).filter(|_| self.up == Some(true));
        }
    }
}

/// `0x1003`.
fn parse_flags(bytes: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(bytes.trim_ascii().strip_prefix(b"0x")?).ok()?;
    u64::from_str_radix(digits, 16).ok()
}

/// Mbit/s; unknown is -1, or 4294967295 of older kernels.
fn parse_speed(bytes: &[u8]) -> Option<u64> {
    scan::number(bytes.trim_ascii()).filter(|speed| (1..u64::from(u32::MAX)).contains(speed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::fixture_test;

    #[test]
    fn state_and_speed_table() {
        let table = [
            (fixture_test::DEBIAN, "enp3s0", Some(true), Some(1000)),
            (fixture_test::DEBIAN, "docker0", Some(false), None),
            (fixture_test::DEBIAN, "wg0", Some(true), None),
            (fixture_test::CENTOS, "eth0", Some(true), None),
            (fixture_test::OPENWRT, "br-lan", Some(true), None),
            (fixture_test::ARMBIAN, "wlan0", Some(false), None),
            (fixture_test::PROXMOX, "eno1", None, None),
            (fixture_test::DEBIAN, "../net/enp3s0", None, None),
        ];
        for (fixture, name, up, speed) in table {
            let class = fixture_test::source(fixture).sysfs.join("class/net");
            let mut link = Link::new(&class, name);
            link.update(&mut Vec::new());
            assert_eq!((link.up(), link.speed()), (up, speed), "{fixture} {name}");
        }
    }

    #[test]
    fn speed_follows_the_state() {
        let dir = tempfile::tempdir().expect("a directory");
        let eth0 = dir.path().join("eth0");
        let write =
            |name: &str, text: &str| std::fs::write(eth0.join(name), text).expect("written");
        std::fs::create_dir(&eth0).expect("made");
        write("operstate", "up\n");
        write("speed", "1000\n");
        let mut link = Link::new(dir.path(), "eth0");
        let mut buffer = Vec::new();
        link.update(&mut buffer);
        assert_eq!((link.up(), link.speed()), (Some(true), Some(1000)));
        write("operstate", "down\n");
        link.update(&mut buffer);
        assert_eq!((link.up(), link.speed()), (Some(false), None));
        write("operstate", "up\n");
        write("speed", "100\n");
        link.update(&mut buffer);
        assert_eq!(link.speed(), Some(100));
    }
}
