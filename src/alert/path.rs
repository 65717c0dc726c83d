//! Metric paths: how the keys of plugin data are written in configuration, notices and the API
//! (SPEC section 3).
//!
//! Keys hold dots and slashes themselves (`/var/lib/my.db`, `eth0.100`), and a leaf's path joins
//! them with '.': whole paths are compared, and only the last '.' is taken for a boundary.

use crate::config::server::containers;
use std::borrow::Cow;

/// The plugin name under which round trips are checked.
pub const RTT: &str = "rtt";

/// `<plugin>.<metric>` of a leaf, as people see it: `disk_monitor./.percent` for
/// `partitions./.percent`.
pub fn metric_path(plugin: &str, leaf: &str) -> String {
    format!("{plugin}.{}", metric_of(plugin, leaf))
}

/// The path of a leaf within its plugin with the container key left out and an old name replaced.
pub(super) fn metric_of<'a>(plugin: &str, leaf: &'a str) -> &'a str {
    if plugin == "memory_monitor" && leaf == "memory_percent" {
        return "percent";
    }
    match leaf.split_once('.') {
        Some((first, rest)) if !rest.is_empty() && containers(plugin).contains(&first) => rest,
        _ => leaf,
    }
}

/// The same for a path of the configuration, plugin included.
pub(super) fn canonical(written: &str) -> Cow<'_, str> {
    let Some((plugin, metric)) = written.split_once('.') else { return written.into() };
    let kept = metric_of(plugin, metric);
    if kept == metric { written.into() } else { format!("{plugin}.{kept}").into() }
}

/// A metric's path as the keys above it, with their '.', and its own name.
pub(super) fn split_last(metric: &str) -> (&str, &str) {
    metric.split_at(metric.rfind('.').map_or(0, |dot| dot + 1))
}

/// What remains of a name as its leading segments are stripped one by one, and how many bytes were
/// stripped, the `_` after them not counted. `check_load_status` gives `load_status` and 5,
/// `status` and 10.
pub(super) fn stripped(name: &str) -> impl Iterator<Item = (&str, usize)> {
    let underscores = name.bytes().enumerate().filter(|(_, byte)| *byte == b'_');
    underscores.map(|(at, _)| (&name[at + 1..], at)).filter(|(rest, _)| !rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_left_out_of_built_in_plugins_only() {
        let table = [
            ("disk_monitor", "partitions./.percent", "disk_monitor./.percent"),
            (
                "disk_monitor",
                "partitions./var/lib/my.db.percent",
                "disk_monitor./var/lib/my.db.percent",
            ),
            ("disk_monitor", "io.sda.read_mb", "disk_monitor.sda.read_mb"),
            (
                "network_monitor",
                "interfaces.eth0.100.errors_total",
                "network_monitor.eth0.100.errors_total",
            ),
            ("ping_monitor", "hosts.a.example.net.rtt_ms", "ping_monitor.a.example.net.rtt_ms"),
            ("zfs_monitor", "pools.tank.capacity_percent", "zfs_monitor.tank.capacity_percent"),
            ("filesystem_info", "filesystems./.fstype", "filesystem_info./.fstype"),
            ("zfs_monitor", "pools", "zfs_monitor.pools"),
            ("disk_monitor", "hosts.x", "disk_monitor.hosts.x"),
            ("mine", "partitions./.percent", "mine.partitions./.percent"),
            ("memory_monitor", "memory_percent", "memory_monitor.percent"),
            ("memory_monitor", "swap_percent", "memory_monitor.swap_percent"),
            ("rtt", "web1.example.net", "rtt.web1.example.net"),
        ];
        for (plugin, leaf, want) in table {
            assert_eq!(metric_path(plugin, leaf), want);
            assert_eq!(canonical(&format!("{plugin}.{leaf}")), want);
            assert_eq!(canonical(want), want, "a canonical path stays");
        }
    }

    #[test]
    fn segments_are_stripped_from_the_left() {
        let of = |name| stripped(name).collect::<Vec<_>>();
        assert_eq!(of("check_disk_root"), [("disk_root", 5), ("root", 10)]);
        assert_eq!(of("percent"), []);
        assert_eq!(of("_a_"), [("a_", 0)]);
    }
}
