//! The filesystems of a host as one card: what is mounted (`filesystem_info`) with what is used of it
//! (`disk_monitor`), and when it will be full.

use super::charts;
use super::clock::span;
use super::number::{self, GIB};
use super::plot::Point;
use super::plugin::{self, Card, Cell, Head, Table};
use super::shell::here_with;
use crate::time::{Duration, Wall};
use crate::web::Call;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

const ROWS_MAX: usize = 100;
/// Kinds that stand on no device of their own and still on disks.
const PHYSICAL: [&str; 3] = ["zfs", "btrfs", "bcachefs"];
/// What will be full within a day is said in colour.
const SOON: Duration = Duration::from_secs(86_400);

/// What the two plugins told last: the newest sample of `filesystem_info`, all of `disk_monitor`.
pub struct Told<'a> {
    pub info: Option<&'a (Wall, Value)>,
    pub disk: &'a [(Wall, Value)],
}

/// `card` is that of the plugin whose place it takes; `None` where neither told anything.
pub fn card(call: &Call<'_>, card: &Card, told: &Told<'_>) -> Option<Card> {
    let empty = Map::new();
    let mounted = told.info.and_then(|(_, data)| data["filesystems"].as_object()).unwrap_or(&empty);
    let latest = told.disk.last();
    let used = latest.and_then(|(_, data)| data["partitions"].as_object()).unwrap_or(&empty);
    let names: BTreeSet<&String> = mounted.keys().chain(used.keys()).collect();
    let is_all = call.query.get("fs") == Some("all");
    let is_shown =
        |name: &String| is_all || used.contains_key(name) || is_physical(&mounted[name.as_str()]);
    let mut shown: Vec<&String> = names.iter().copied().filter(|name| is_shown(name)).collect();
    let fullness =
        |name: &String| used.get(name).and_then(|r| r["percent"].as_f64()).unwrap_or(-1.0);
    shown.sort_by(|a, b| fullness(b).total_cmp(&fullness(a)).then_with(|| a.cmp(b)));
    if names.is_empty() {
        return None;
    }
    let (info, disk) = (|name: &String| mounted.get(name), |name: &String| used.get(name));
    let rows = shown.iter().take(ROWS_MAX);
    let rows = rows.map(|name| row(name, info(name), disk(name), told.disk)).collect();
    let heads = [
        ("Mount", false),
        ("Device", false),
        ("Type", false),
        ("Size", true),
        ("Used", true),
        ("Free", true),
        ("Inodes", true),
        ("Full in", true),
    ];
    let head = |(text, is_number)| Head::new(text, "", is_number);
    let more = shown.len().saturating_sub(ROWS_MAX);
    let heads = heads.into_iter().map(head).collect();
    let is_less = shown.len() < names.len();
    let other = match (is_all, is_less) {
        (true, _) => Some(("physical only", here_with(call, &["fs"], &[]))),
        (false, true) => Some(("show all", here_with(call, &["fs"], &[("fs", "all")]))),
        (false, false) => None,
    };
    Some(Card {
        tables: vec![Table { title: String::new(), heads, rows, more }],
        head: if is_less { "physical only".to_owned() } else { String::new() },
        other: other.map(|(word, href)| (word, format!("{href}#p-{}", card.name))),
        ..card.beside("Filesystems")
    })
}

fn is_physical(record: &Value) -> bool {
    let device = record["device"].as_str().unwrap_or_default();
    let is_disk = device.starts_with("/dev/") && !device.starts_with("/dev/loop");
    is_disk || record["fstype"].as_str().is_some_and(|kind| PHYSICAL.contains(&kind))
}

fn row(
    name: &str,
    info: Option<&Value>,
    disk: Option<&Value>,
    samples: &[(Wall, Value)],
) -> Vec<Cell> {
    let either = |key: &str| {
        let found = [disk, info].into_iter().flatten().find_map(|record| record[key].as_str());
        found.unwrap_or("–").to_owned()
    };
    let size = |key: &str| {
        let found = [disk, info].into_iter().flatten().find_map(|record| record[key].as_f64());
        found.map_or("–".to_owned(), |size| number::bytes(size * GIB))
    };
    let percent =
        |key: &str| disk.and_then(|record| record[key].as_f64()).filter(|v| v.is_finite());
    let whole = |value: Option<f64>| value.map_or("–".to_owned(), |v| format!("{v:.0} %"));
    let options = info.and_then(|record| record["options"].as_str()).unwrap_or_default();
    let is_read_only = options.split(',').any(|option| option == "ro");
    let kind = either("fstype");
    let used = percent("percent");
    let code = |text: String| Cell { text, is_code: true, ..Cell::default() };
    let plain = |text: String| Cell { text, is_number: true, ..Cell::default() };
    vec![
        code(name.to_owned()),
        code(either("device")),
        Cell {
            text: if is_read_only { format!("{kind}, read-only") } else { kind },
            ..Cell::default()
        },
        plain(size("total_gb")),
        Cell {
            bar: used.map(|used| format!("{:.1}", used.clamp(0.0, 100.0) * 0.6)),
            class: match used {
                Some(used) if used >= 90.0 => "crit",
                Some(used) if used >= 80.0 => "warn",
                _ => "",
            },
            ..plain(whole(used))
        },
        plain(size("free_gb")),
        plain(whole(percent("inodes_percent"))),
        full_in(name, samples),
    ]
}

fn full_in(name: &str, samples: &[(Wall, Value)]) -> Cell {
    let line = plugin::series(samples, &["partitions", name, "percent"]);
    let points: Vec<Point> = line.into_iter().map(|(at, value)| Point::flat(at, value)).collect();
    let left = charts::left(&points);
    Cell {
        text: left.map_or("–".to_owned(), |left| format!("~{}", span(left))),
        mark: left.filter(|left| *left < SOON).map(|_| "crit"),
        is_number: true,
        ..Cell::default()
    }
}
