//! A host as a row of the live protocol: the columns, and what each holds.

use super::json;
use crate::engine::view::{ConnState, Family, Host};
use crate::time::Wall;
use crate::web::why::why;
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Id,
    Name,
    Group,
    Tags,
    State,
    Since,
    Seen,
    R4,
    R6,
    Boot,
    Cpu,
    Mem,
    Disk,
    Ac,
    Aw,
    Why,
    Flags,
}

/// In the order of the wire (UI section 7).
const COLUMNS: [(&str, Column); 17] = [
    ("id", Column::Id),
    ("name", Column::Name),
    ("group", Column::Group),
    ("tags", Column::Tags),
    ("state", Column::State),
    ("since", Column::Since),
    ("seen", Column::Seen),
    ("r4", Column::R4),
    ("r6", Column::R6),
    ("boot", Column::Boot),
    ("cpu", Column::Cpu),
    ("mem", Column::Mem),
    ("disk", Column::Disk),
    ("ac", Column::Ac),
    ("aw", Column::Aw),
    ("why", Column::Why),
    ("flags", Column::Flags),
];

/// What a family's round trip says while nothing comes over it that once did.
pub const RTT_LOST: i64 = -1;

impl Column {
    fn is_fast(self) -> bool {
        use Column::{Cpu, Disk, Mem, R4, R6, Seen};
        matches!(self, Seen | R4 | R6 | Cpu | Mem | Disk)
    }
}

/// Which columns an update carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All: the row may be new to the client.
    Whole,
    /// Last seen, round trips and gauges.
    Fast,
}

/// Group and tag names by number, so that a snapshot says each once.
#[derive(Default)]
pub(super) struct Dictionary<'a> {
    groups: Index<'a>,
    tags: Index<'a>,
}

#[derive(Default)]
struct Index<'a> {
    numbers: BTreeMap<&'a str, u32>,
    names: Vec<&'a str>,
}

impl<'a> Index<'a> {
    fn add(&mut self, name: &'a str) {
        let next = self.names.len() as u32;
        if *self.numbers.entry(name).or_insert(next) == next {
            self.names.push(name);
        }
    }

    fn number(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }
}

impl<'a> Dictionary<'a> {
    pub(super) fn add(&mut self, host: &'a Host) {
        if let Some(group) = &host.group {
            self.groups.add(group);
        }
        for tag in host.tags.iter() {
            self.tags.add(tag);
        }
    }

    pub(super) fn write(&self, out: &mut String) {
        out.push_str("{\"group\":");
        json::list(out, &self.groups.names, |out, name| json::text(out, name));
        out.push_str(",\"tags\":");
        json::list(out, &self.tags.names, |out, name| json::text(out, name));
        out.push('}');
    }
}

pub(super) fn write_column_names(out: &mut String) {
    json::list(out, COLUMNS, |out, (name, _)| json::text(out, name));
}

/// A row of a snapshot: the values in column order.
pub(super) fn write_row(out: &mut String, host: &Host, now: Wall, dictionary: &Dictionary<'_>) {
    json::list(out, COLUMNS, |out, (_, column)| match column {
        Column::Group => {
            let number = host.group.as_deref().and_then(|group| dictionary.groups.number(group));
            json::integer_or_null(out, number);
        }
        Column::Tags => {
            let numbers = host.tags.iter().filter_map(|tag| dictionary.tags.number(tag));
            json::list(out, numbers, json::integer);
        }
        _ => write_value(out, host, now, column),
    });
}

/// A row of a delta: `[id,{column:value}]`. Group and tags are names here: the client's dictionary
/// is that of its last snapshot, and the server does not remember which one that was.
pub(super) fn write_update(out: &mut String, host: &Host, now: Wall, part: Part) {
    out.push('[');
    json::integer(out, host.id);
    out.push_str(",{");
    let wanted = |column: Column| match part {
        Part::Whole => column != Column::Id,
        Part::Fast => column.is_fast(),
    };
    for (i, (name, column)) in COLUMNS.into_iter().filter(|(_, c)| wanted(*c)).enumerate() {
        if i > 0 {
            out.push(',');
        }
        json::text(out, name);
        out.push(':');
        write_value(out, host, now, column);
    }
    out.push_str("}]");
}

fn write_value(out: &mut String, host: &Host, now: Wall, column: Column) {
    match column {
        Column::Id => json::integer(out, host.id),
        Column::Name => json::text(out, &host.name),
        Column::Group => json::text_or_null(out, host.group.as_deref()),
        Column::Tags => json::list(out, host.tags.iter(), |out, tag| json::text(out, tag)),
        Column::State => json::integer(out, host.severity.code()),
        Column::Since => json::integer(out, host.since.as_secs()),
        Column::Seen => json::integer_or_null(out, host.last_seen.map(|at| at.as_secs())),
        Column::R4 => write_rtt(out, host, Family::V4),
        Column::R6 => write_rtt(out, host, Family::V6),
        Column::Boot => json::integer_or_null(out, host.boot_time.map(|at| at.as_secs())),
        Column::Cpu => write_percent(out, host.gauges.cpu),
        Column::Mem => write_percent(out, host.gauges.memory),
        Column::Disk => write_percent(out, host.gauges.disk),
        Column::Ac => json::integer(out, host.alerts.critical),
        Column::Aw => json::integer(out, host.alerts.warning),
        Column::Why => json::text(out, &why(host, now)),
        Column::Flags => json::integer(out, host.flags()),
    }
}

/// Milliseconds; `null` where the host never used the family or measured nothing yet.
fn write_rtt(out: &mut String, host: &Host, family: Family) {
    let connection = &host.connections[family as usize];
    match connection {
        Some(connection) if connection.state == ConnState::Down => json::integer(out, RTT_LOST),
        Some(connection) => {
            json::number(out, f64::from(connection.rtt_ms.unwrap_or(f32::NAN)), 2);
        }
        None => out.push_str("null"),
    }
}

fn write_percent(out: &mut String, value: Option<f32>) {
    json::number(out, f64::from(value.unwrap_or(f32::NAN)), 0);
}
