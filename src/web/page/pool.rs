//! The ZFS pools of a host: health, space with its limits, layout, devices and their errors.

use super::charts;
use super::clock::{Clock, When};
use super::number::{self, GIB};
use crate::engine::view::Host;
use crate::time::{Duration, Wall};
use crate::web::Call;
use serde::Serialize;
use serde_json::Value;

/// Width of the bar of a pool.
const WIDTH: f64 = 600.0;
/// Data older than this many intervals is old.
const OLD_INTERVALS: u32 = 3;

/// The card of all pools.
#[derive(Serialize)]
pub struct Pools {
    pub age: When,
    pub is_old: bool,
    pub pools: Vec<Pool>,
}

/// A pool, as its card shows it.
#[derive(Serialize)]
pub struct Pool {
    name: String,
    mark: &'static str,
    health: String,
    size: String,
    /// `raidz2, 6 disks`
    layout: String,
    /// Of the width of the bar.
    width: String,
    class: &'static str,
    /// Limits of the space: level and place.
    ticks: Vec<(&'static str, String, String)>,
    used: String,
    scan: String,
    values: Vec<(&'static str, String)>,
    devices: Vec<Device>,
}

/// A device below a pool.
#[derive(Serialize)]
pub struct Device {
    /// 0 for those right below the pool.
    depth: usize,
    name: String,
    mark: &'static str,
    state: String,
    /// Of reading, writing, checksums.
    errors: [String; 3],
}

/// `None` where the host told of no pool.
pub fn of_host(
    call: &Call<'_>,
    host: &Host,
    samples: &[(Wall, Value)],
    clock: &Clock,
) -> Option<Pools> {
    let (at, data) = samples.last()?;
    let rules = charts::rules(call, host);
    let records = data["pools"].as_object()?.iter();
    let pools: Vec<Pool> = records
        .map(|(name, record)| {
            let limits = charts::limits_of(
                &rules,
                host,
                "zfs_monitor",
                &["pools", name, "capacity_percent"],
            );
            pool(name, record, &limits)
        })
        .collect();
    let every = host.plugin("zfs_monitor").and_then(|plugin| plugin.interval);
    let every = every.map(|secs| Duration::from_secs(u64::from(secs)));
    let age = call.context.now.wall.since(*at);
    (!pools.is_empty()).then(|| Pools {
        age: clock.ago(*at),
        is_old: every.is_some_and(|every| age > every * OLD_INTERVALS),
        pools,
    })
}

fn pool(name: &str, record: &Value, limits: &[(&'static str, f64)]) -> Pool {
    let number = |key: &str| record[key].as_f64().filter(|value| value.is_finite());
    let health = record["health"].as_str().unwrap_or("unknown").to_owned();
    let used = number("capacity_percent").unwrap_or_default().clamp(0.0, 100.0);
    let over = |level: &str| limits.iter().any(|(own, limit)| *own == level && used > *limit);
    let (mark, class) = match health.as_str() {
        "ONLINE" if over("critical") => ("crit", "crit"),
        "ONLINE" if over("warning") || (limits.is_empty() && used >= 80.0) => ("warn", "warn"),
        "ONLINE" => ("up", "ok"),
        "DEGRADED" => ("warn", "warn"),
        _ => ("crit", "crit"),
    };
    let of_size = number("size_gb").map(|size| {
        let free = number("free_gb").unwrap_or_default();
        format!("{} of {}", number::bytes((size - free) * GIB), number::bytes(size * GIB))
    });
    let percent =
        |key: &str| number(key).map_or("–".to_owned(), |v| format!("{} %", number::short(v)));
    let rate =
        |key: &str| number(key).map_or("–".to_owned(), |v| format!("{}/s", number::bytes(v)));
    let plain = |key: &str| number(key).map_or("–".to_owned(), number::short);
    let devices: Vec<Device> =
        record["devices"].as_str().unwrap_or_default().lines().filter_map(device).collect();
    let ticks = limits.iter().map(|(level, limit)| {
        let place = limit.clamp(0.0, 100.0) / 100.0 * WIDTH;
        (*level, format!("{place:.0}"), format!("{level} {} %", number::short(*limit)))
    });
    Pool {
        name: name.to_owned(),
        mark,
        health,
        size: of_size.unwrap_or_default(),
        layout: layout(&devices),
        width: format!("{:.0}", used / 100.0 * WIDTH),
        class,
        ticks: ticks.collect(),
        used: percent("capacity_percent"),
        scan: match record["scan"].as_str().unwrap_or_default() {
            "none requested" => "No scrub so far".to_owned(),
            scan => scan.to_owned(),
        },
        devices,
        values: vec![
            ("Fragmentation", percent("fragmentation_percent")),
            ("Dedup", format!("{} ×", plain("dedup_ratio"))),
            ("Read", rate("read_bytes")),
            ("Write", rate("write_bytes")),
            ("Errors", plain("errors_total")),
        ],
    }
}

/// `  sda ONLINE 0 0 0`, as the agent sends it; a spare has no counts.
fn device(line: &str) -> Option<Device> {
    let depth = (line.len() - line.trim_start_matches(' ').len()) / 2;
    let mut words = line.split_ascii_whitespace().map(str::to_owned);
    let (name, state) = (words.next()?, words.next()?);
    let errors = [(); 3].map(|()| words.next().unwrap_or_else(|| "–".to_owned()));
    let is_clean = errors.iter().all(|count| matches!(count.as_str(), "0" | "–"));
    let mark = match state.as_str() {
        "ONLINE" | "AVAIL" if is_clean => "up",
        "ONLINE" | "AVAIL" | "DEGRADED" | "INUSE" => "warn",
        _ => "crit",
    };
    Some(Device { depth: depth.min(4), name, mark, state, errors })
}

/// The kinds of the groups right below the pool, and how many disks there are: `raidz2, 6 disks`.
fn layout(devices: &[Device]) -> String {
    let is_group = |device: &Device| {
        let kind = device.name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-');
        ["mirror", "raidz", "draid", "spare", "replacing"]
            .iter()
            .any(|known| kind.starts_with(known))
    };
    let is_section =
        |device: &Device| matches!(&*device.name, "logs" | "cache" | "spares" | "special");
    let mut kinds: Vec<&str> = Vec::new();
    for device in devices.iter().filter(|device| device.depth == 0 && is_group(device)) {
        let kind = device.name.split('-').next().unwrap_or_default();
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    let disks = devices.iter().filter(|device| !is_group(device) && !is_section(device)).count();
    let count = match disks {
        0 => return String::new(),
        1 => "1 disk".to_owned(),
        n => format!("{n} disks"),
    };
    if kinds.is_empty() { count } else { format!("{}, {count}", kinds.join(" + ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_names_the_groups_and_counts_the_disks() {
        let of = |text: &str| layout(&text.lines().filter_map(device).collect::<Vec<_>>());
        assert_eq!(
            of("raidz2-0 ONLINE 0 0 0\n  sda ONLINE 0 0 0\n  sdb ONLINE 0 0 0"),
            "raidz2, 2 disks"
        );
        assert_eq!(
            of(
                "mirror-0 ONLINE 0 0 0\n  sda ONLINE 0 0 0\nmirror-1 ONLINE 0 0 0\n  sdb ONLINE 0 0 0"
            ),
            "mirror, 2 disks"
        );
        assert_eq!(of("sda ONLINE 0 0 0"), "1 disk");
        assert_eq!(of(""), "");
    }
}
