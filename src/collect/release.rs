//! Which distribution this is: `os-release` (os-release(5)), or OpenWrt's older file.

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

/// Looks below `rootfs`; the first file that names a distribution wins.
pub fn read(rootfs: &Path) -> Release {
    let files: [(&str, fn(&[u8]) -> Release); 3] = [
        ("etc/os-release", parse_os_release),
        ("usr/lib/os-release", parse_os_release),
        ("etc/openwrt_release", parse_openwrt_release),
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
    let mut value = scan::text(value);
    value.retain(|c| c != '\\' && !text::is_hostile(c));
    let value = text::cut(&value, TEXT_MAX);
    (!value.is_empty()).then(|| value.to_owned())
}
