//! Which distribution this is: os-release(5), or an older file of OpenWrt or Red Hat.

use super::kernel_file::{BYTES_MAX, read_once};
use super::scan;
use crate::text;
use std::path::Path;

/// Longest name or version kept.
const TEXT_MAX: usize = 128;

#[derive(Clone, Default, Debug, PartialEq)]
pub struct Release {
    pub name: Option<String>,
    pub version: Option<String>,
}

type Parser = fn(&[u8]) -> Release;

/// Looks below `rootfs`; the first file that names a distribution wins.
pub fn read(rootfs: &Path) -> Release {
    let files: [(&str, Parser); 4] = [
        ("etc/os-release", parse_os_release),
        ("usr/lib/os-release", parse_os_release),
        ("etc/openwrt_release", parse_openwrt_release),
        ("etc/system-release", parse_system_release),
    ];
    files
        .iter()
        .filter_map(|(name, parse)| Some(parse(&read_once(rootfs.join(name), BYTES_MAX)?)))
        .find(|release| release.name.is_some())
        .unwrap_or_default()
}

/// `NAME="Debian GNU/Linux"`, `VERSION_ID="12"`; a rolling one may have no version.
pub fn parse_os_release(bytes: &[u8]) -> Release {
    Release {
        name: assigned(bytes, b"NAME").or_else(|| assigned(bytes, b"ID")),
        version: assigned(bytes, b"VERSION_ID").or_else(|| assigned(bytes, b"VERSION")),
    }
}

/// `DISTRIB_ID='OpenWrt'`, `DISTRIB_RELEASE='22.03.5'`.
pub fn parse_openwrt_release(bytes: &[u8]) -> Release {
    Release { name: assigned(bytes, b"DISTRIB_ID"), version: assigned(bytes, b"DISTRIB_RELEASE") }
}

/// `CentOS release 6.10 (Final)`.
pub fn parse_system_release(bytes: &[u8]) -> Release {
    let line = scan::text(scan::lines(bytes).next().unwrap_or_default());
    let Some((name, rest)) = line.split_once(" release ") else { return Release::default() };
    Release { name: tidy(name), version: rest.split_whitespace().next().and_then(tidy) }
}

/// The value of a shell assignment, without its quotes and backslashes. The last one counts, as in
/// a shell; an empty one is none.
fn assigned(bytes: &[u8], name: &[u8]) -> Option<String> {
    let value = scan::lines(bytes)
        .filter_map(|line| scan::pair(line, b'=').filter(|(key, _)| *key == name))
        .last()?
        .1;
    let value = match value {
        [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] => inner,
        plain => plain,
    };
    tidy(&scan::text(value))
}

fn tidy(value: &str) -> Option<String> {
    let value: String = value.chars().filter(|&c| c != '\\' && !text::is_hostile(c)).collect();
    let value = text::cut(value.trim(), TEXT_MAX);
    (!value.is_empty()).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::fixture_test;
    use proptest::prelude::*;

    #[test]
    fn distribution_is_found_in_the_file_of_its_time() {
        let table = [
            (fixture_test::DEBIAN, "Debian GNU/Linux", "12"),
            (fixture_test::CENTOS, "CentOS", "6.10"),
            (fixture_test::OPENWRT, "OpenWrt", "22.03.5"),
            (fixture_test::PROXMOX, "Debian GNU/Linux", "12"),
            (fixture_test::DOCKER, "Alpine Linux", "3.20.1"),
        ];
        for (fixture, name, version) in table {
            let release = read(&fixture_test::source(fixture).rootfs);
            assert_eq!(release.name.as_deref(), Some(name), "{fixture}");
            assert_eq!(release.version.as_deref(), Some(version), "{fixture}");
        }
    }

    #[test]
    fn rolling_distribution_has_no_version() {
        let release = parse_os_release(b"NAME=\"Arch Linux\"\nID=arch\nVERSION_ID=\n");
        assert_eq!(release, Release { name: Some("Arch Linux".into()), version: None });
        assert_eq!(read(Path::new("/nonexistent")), Release::default());
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_release(bytes in any::<Vec<u8>>()) {
            parse_os_release(&bytes);
            parse_openwrt_release(&bytes);
            parse_system_release(&bytes);
        }
    }
}
