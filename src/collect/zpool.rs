//! What zpool(8) prints, of OpenZFS 0.7 to 2.3: `list -Hp`, `iostat -Hp`, `status -p`. Pure
//! functions; whatever cannot be read is left out.

use super::scan;
use crate::text;
use std::collections::BTreeMap;

/// The columns that [`parse_list`] wants: `zpool list -Hp -o …`.
pub const LIST_COLUMNS: &str = "name,size,free,fragmentation,capacity,dedupratio,health";
/// Longest description of a scrub or resilver kept.
const SCAN_MAX: usize = 256;
/// Longest list of devices kept: it shares a datagram with the rest.
const DEVICES_MAX: usize = 900;

/// A pool, as `zpool list` has it.
#[derive(Clone, PartialEq, Debug)]
pub struct Pool {
    pub name: String,
    pub health: String,
    pub size: Option<u64>,
    pub free: Option<u64>,
    pub fragmentation_percent: Option<f64>,
    pub capacity_percent: Option<f64>,
    pub dedup_ratio: Option<f64>,
}

/// Operations and bytes a second, read and written.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Io {
    pub read_ops: u64,
    pub write_ops: u64,
    pub read_bytes: u64,
    pub write_bytes: u64,
}

/// A pool, as `zpool status` has it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Status {
    /// Read, write and checksum errors of the devices, and files lost.
    pub errors_total: u64,
    /// The last or current scrub or resilver, on one line.
    pub scan: Option<String>,
    /// The devices below the pool, a line each, indented as zpool(8) does: name, state, errors of reading, of
    /// writing, of checksums.
    pub devices: String,
    /// `logs/` while those are listed.
    class: String,
    /// Devices that are well and did not fit.
    left_out: u32,
}

/// 0, 1, 2 or 3, as the `nagios` operator reads it: online, degraded, not usable, anything else.
pub fn health_code(health: &str) -> u8 {
    match health {
        "ONLINE" => 0,
        "DEGRADED" => 1,
        "FAULTED" | "OFFLINE" | "REMOVED" | "UNAVAIL" | "SUSPENDED" => 2,
        _ => 3,
    }
}

/// Reads `zpool list -Hp`, with [`LIST_COLUMNS`] or with the default columns.
pub fn parse_list(output: &str) -> Vec<Pool> {
    output.lines().filter_map(parse_pool).collect()
}

fn parse_pool(line: &str) -> Option<Pool> {
    let fields: Vec<&str> = line.split('\t').map(str::trim).collect();
    // name size [alloc] free [ckpoint] [expandsz] frag cap dedup health [altroot]
    let [free, frag] = match fields.len() {
        7 => [2, 3],
        10 => [3, 5],
        11 => [3, 6],
        _ => return None,
    };
    let bytes = |place: usize| scan::number(fields[place].as_bytes());
    let decimal =
        |place: usize| scan::decimal(fields[place].trim_end_matches(['%', 'x']).as_bytes());
    Some(Pool {
        name: fields[0].to_owned(),
        health: fields[frag + 3].to_owned(),
        size: bytes(1),
        free: bytes(free),
        fragmentation_percent: decimal(frag),
        capacity_percent: decimal(frag + 1),
        dedup_ratio: decimal(frag + 2),
    })
}

/// Reads `zpool iostat -Hp`: the average since the pool was imported.
pub fn parse_iostat(output: &str) -> BTreeMap<String, Io> {
    let line = |line: &str| {
        let fields: Vec<&str> = line.split('\t').map(str::trim).collect();
        let &[name, _, _, read_ops, write_ops, read_bytes, write_bytes] = fields.as_slice() else {
            return None;
        };
        let number = |text: &str| scan::number(text.as_bytes());
        let io = Io {
            read_ops: number(read_ops)?,
            write_ops: number(write_ops)?,
            read_bytes: number(read_bytes)?,
            write_bytes: number(write_bytes)?,
        };
        Some((name.to_owned(), io))
    };
    output.lines().filter_map(line).collect()
}

/// Reads `zpool status -p` of all pools.
pub fn parse_status(output: &str) -> BTreeMap<String, Status> {
    let mut pools: BTreeMap<String, Status> = BTreeMap::new();
    let mut pool: Option<(String, Status)> = None;
    let mut section = "";
    let mut devices = Vec::new();
    for line in output.lines() {
        let head = line.trim_start().split_once(':').filter(|_| is_heading(line));
        let Some((name, value)) = head else {
            match (&mut pool, section) {
                (Some((_, status)), "scan") => status.scan_goes_on(line),
                (Some((_, status)), "config") => {
                    devices.extend(parse_device(line));
                    status.add_device(line);
                }
                _ => {}
            }
            continue;
        };
        section = name;
        let value = value.trim();
        match (name, &mut pool) {
            ("pool", _) => {
                let next = Some((value.to_owned(), Status::default()));
                pools.extend(std::mem::replace(&mut pool, next));
            }
            ("scan" | "scrub", Some((_, status))) => {
                section = "scan";
                status.scan = Some(text::cut(value, SCAN_MAX).to_owned());
            }
            ("errors", Some((_, status))) => {
                status.errors_total = leaf_errors(&devices).saturating_add(data_errors(value));
                status.end_devices();
                devices.clear();
            }
            _ => {}
        }
    }
    pools.extend(pool);
    pools
}

/// `  pool: tank`: a name at the right edge of its column. Continuations begin with a tab.
fn is_heading(line: &str) -> bool {
    let names = [
        "pool",
        "state",
        "status",
        "action",
        "see",
        "scan",
        "scrub",
        "remove",
        "checkpoint",
        "config",
        "errors",
        "expand",
        "id",
        "comment",
    ];
    let name = line.trim_start().split(':').next().unwrap_or_default();
    !line.starts_with('\t') && names.contains(&name)
}

impl Status {
    /// What does not fit is left out, but for devices that are not well.
    fn add_device(&mut self, line: &str) {
        let line = line.strip_prefix('\t').unwrap_or(line);
        let indent = line.len() - line.trim_start().len();
        let words: Vec<&str> = line.split_ascii_whitespace().take(5).collect();
        if indent == 0 {
            // The pool itself, or the heading of its logs, caches or spares.
            let is_heading = words.len() == 1;
            self.class = if is_heading { format!("{}/", words[0]) } else { String::new() };
            return;
        }
        if words.len() < 2 {
            return;
        }
        let is_well =
            words.get(1) == Some(&"ONLINE") && words[2..].iter().all(|count| *count == "0");
        let room = if is_well { DEVICES_MAX * 2 / 3 } else { DEVICES_MAX };
        let class = if indent == 2 { &*self.class } else { "" };
        let text = format!("{}{class}{}", " ".repeat(indent.clamp(2, 16) - 2), words.join(" "));
        if self.devices.len() + text.len() < room {
            self.push_device(&text);
        } else if is_well {
            self.left_out += 1;
        }
    }

    fn push_device(&mut self, text: &str) {
        if !self.devices.is_empty() {
            self.devices.push('\n');
        }
        self.devices.push_str(text);
    }

    /// What was left out is told as one more line: `+32 ONLINE`.
    fn end_devices(&mut self) {
        if self.left_out > 0 {
            self.push_device(&format!("+{} ONLINE", self.left_out));
        }
    }

    fn scan_goes_on(&mut self, line: &str) {
        let (line, Some(scan)) = (line.trim(), &mut self.scan) else { return };
        if !line.is_empty() && scan.len() + line.len() + 2 <= SCAN_MAX {
            scan.push_str(", ");
            scan.push_str(line);
        }
    }
}

/// Indentation and errors of a line under `config:`; spares and caches count, headings do not.
fn parse_device(line: &str) -> Option<(usize, u64)> {
    let line = line.strip_prefix('\t').unwrap_or(line);
    let indent = line.len() - line.trim_start().len();
    let mut fields = line.split_ascii_whitespace().skip(2).take(3);
    let mut count = || scan::number(fields.next()?.as_bytes());
    Some((indent, count()?.saturating_add(count()?).saturating_add(count()?)))
}

/// Of those devices only that have none below them: the others repeat what happened there.
fn leaf_errors(devices: &[(usize, u64)]) -> u64 {
    let next = devices.iter().map(|device| device.0).skip(1).chain([0]);
    let leaves = devices.iter().zip(next).filter(|(device, next)| *next <= device.0);
    leaves.fold(0, |sum, (device, _)| sum.saturating_add(device.1))
}

/// `3 data errors, use '-v' for a list`, `No known data errors`.
fn data_errors(text: &str) -> u64 {
    text.split(' ').next().and_then(|word| scan::number(word.as_bytes())).unwrap_or(0)
}

#[cfg(test)]
#[path = "zpool_test.rs"]
mod tests;
