//! A plugin's data as a card: values with labels, units and a small chart, records as tables.
//!
//! Works on any data object; what the agents' own plugins mean stands in `value`. Never fails on
//! strange data.

use super::clock::{Clock, When};
use super::spark::{Spark, spark};
use super::value;
use crate::engine::view::Plugin;
use crate::time::{Duration, Wall};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

const PAIRS_MAX: usize = 60;
const ROWS_MAX: usize = 100;
const COLUMNS_MAX: usize = 10;
/// Points of a small chart.
const SPARK_POINTS: usize = 60;
/// Data older than this many intervals is old.
const OLD_INTERVALS: u32 = 3;

#[derive(Debug, Serialize)]
pub struct Card {
    pub title: String,
    pub name: String,
    pub age: When,
    pub interval: Option<String>,
    /// The data is stale: the card is dimmed and says how old it is.
    pub is_old: bool,
    /// The agent reports that the plugin failed.
    pub error: Option<String>,
    /// Facts that do not change, shown as a list.
    pub is_facts: bool,
    pub pairs: Vec<Pair>,
    pub tables: Vec<Table>,
    /// Values that are not shown.
    pub more: usize,
}

#[derive(Debug, Serialize)]
pub struct Pair {
    pub label: String,
    pub help: &'static str,
    pub value: String,
    /// Raw path, also the hook of live updates.
    pub path: String,
    /// The unit of a number that live updates may write; `None` where it is converted.
    pub unit: Option<&'static str>,
    pub spark: Option<Spark>,
    pub is_text: bool,
}

#[derive(Debug, Serialize)]
pub struct Table {
    pub title: String,
    pub heads: Vec<Head>,
    pub rows: Vec<Vec<Cell>>,
    pub more: usize,
}

#[derive(Debug, Serialize)]
pub struct Head {
    pub text: String,
    pub key: String,
    pub is_number: bool,
}

#[derive(Debug, Default, Serialize)]
pub struct Cell {
    pub text: String,
    /// Width of 60 for a percentage.
    pub bar: Option<String>,
    /// Glyph and colour of a status.
    pub mark: Option<&'static str>,
    pub is_number: bool,
    pub is_code: bool,
}

/// The samples of a plugin as values, oldest first; only the newest where they would take too long
/// to read.
pub fn parse(plugin: &Plugin, budget: &mut usize) -> Vec<(Wall, Value)> {
    let mut parsed = Vec::new();
    for sample in plugin.samples.iter().rev() {
        if !parsed.is_empty() && sample.data.len() > *budget {
            break;
        }
        *budget = budget.saturating_sub(sample.data.len());
        parsed.push((sample.at, serde_json::from_str(&sample.data).unwrap_or(Value::Null)));
    }
    parsed.reverse();
    parsed
}

/// The card of a plugin; `None` while it has sent nothing.
pub fn card(plugin: &Plugin, samples: &[(Wall, Value)], clock: &Clock, now: Wall) -> Option<Card> {
    let (at, data) = samples.last()?;
    let empty = Map::new();
    let data = data.as_object().unwrap_or(&empty);
    let interval = plugin.interval.map(|secs| Duration::from_secs(u64::from(secs)));
    let mut card = Card {
        title: value::plugin_title(&plugin.name),
        name: plugin.name.to_string(),
        age: clock.ago(*at),
        interval: interval.filter(|_| !plugin.info).map(super::clock::span),
        is_old: !plugin.info && interval.is_some_and(|i| now.since(*at) > i * OLD_INTERVALS),
        error: data.get("error").and_then(Value::as_str).map(str::to_owned),
        is_facts: plugin.info,
        pairs: Vec::new(),
        tables: Vec::new(),
        more: 0,
    };
    if &*plugin.name == "nagios_runner" {
        card.tables.push(checks(data, samples, interval, clock));
        return Some(card);
    }
    for (key, value) in data.iter().filter(|(key, _)| *key != "error") {
        match value.as_object() {
            Some(records) if is_table(records) => card.tables.push(table(key, records, clock)),
            Some(nested) => flatten(key, nested, &mut |path, key, value| {
                card.pairs.push(pair(&plugin.name, path, key, value, samples, clock));
            }),
            None => card.pairs.push(pair(&plugin.name, key, key, value, samples, clock)),
        }
        if card.pairs.len() > PAIRS_MAX {
            card.more = data.len().saturating_sub(card.pairs.len() + card.tables.len()).max(1);
            break;
        }
    }
    card.tables.sort_by_key(|table| value::table_rank(&table.heads[0].key));
    card.pairs.truncate(PAIRS_MAX);
    card.pairs.sort_by_key(|pair| {
        let key = pair.path.rsplit('.').next().unwrap_or_default();
        (pair.is_text && !card.is_facts, value::column_rank(key))
    });
    Some(card)
}

/// The numbers of one path over time, as `(time, value)`.
pub fn series(samples: &[(Wall, Value)], path: &[&str]) -> Vec<(Wall, f64)> {
    samples
        .iter()
        .filter_map(|(at, data)| {
            let value = path.iter().try_fold(data, |value, key| value.get(key))?;
            Some((*at, value.as_f64().filter(|v| v.is_finite())?))
        })
        .collect()
}

fn pair(
    plugin: &str,
    path: &str,
    key: &str,
    data: &Value,
    samples: &[(Wall, Value)],
    clock: &Clock,
) -> Pair {
    let (label, help) = value::label(key);
    let keys: Vec<&str> = path.split('.').collect();
    let line = data.is_number().then(|| {
        let skipped = samples.len().saturating_sub(SPARK_POINTS);
        let values: Vec<_> =
            series(&samples[skipped..], &keys).into_iter().map(|(_, v)| Some(v)).collect();
        let unit = value::plain_unit(key).unwrap_or("");
        // A flat line says nothing that the number does not.
        let varies = values.iter().any(|v| *v != values[0]);
        if varies { spark(&label, unit, &values) } else { None }
    });
    let label = match path.split_once('.') {
        Some((outer, _)) => format!("{outer} · {label}"),
        None => label,
    };
    Pair {
        label,
        help,
        value: value::render(key, data, clock),
        path: format!("{plugin}.{path}"),
        unit: value::plain_unit(key).filter(|_| data.is_number()),
        spark: line.flatten(),
        is_text: !data.is_number(),
    }
}

fn flatten(prefix: &str, nested: &Map<String, Value>, add: &mut impl FnMut(&str, &str, &Value)) {
    for (key, value) in nested.iter().take(PAIRS_MAX) {
        add(&format!("{prefix}.{key}"), key, value);
    }
}

/// A map of records, as `partitions` is.
fn is_table(records: &Map<String, Value>) -> bool {
    !records.is_empty() && records.values().all(Value::is_object)
}

fn table(key: &str, records: &Map<String, Value>, clock: &Clock) -> Table {
    let (title, first) = value::table_title(key);
    let keys: BTreeSet<&str> = records
        .values()
        .filter_map(Value::as_object)
        .flat_map(|record| record.keys().map(String::as_str))
        .collect();
    let mut columns: Vec<&str> = keys.into_iter().filter(|key| *key != "health_code").collect();
    columns.sort_by_key(|key| value::column_rank(key));
    columns.truncate(COLUMNS_MAX);
    let is_number = |column: &str| records.values().any(|record| record[column].is_number());
    let mut heads = vec![Head { text: first.to_owned(), key: key.to_owned(), is_number: false }];
    heads.extend(columns.iter().map(|column| Head {
        text: value::label(column).0,
        key: (*column).to_owned(),
        is_number: is_number(column),
    }));
    let rows = records.iter().take(ROWS_MAX).map(|(name, record)| {
        let mut row = vec![Cell { text: name.clone(), is_code: true, ..Cell::default() }];
        row.extend(heads.iter().skip(1).map(|head| cell(head, &record[&*head.key], clock)));
        row
    });
    let rows = rows.collect();
    Table { title, heads, rows, more: records.len().saturating_sub(ROWS_MAX) }
}

fn cell(head: &Head, data: &Value, clock: &Clock) -> Cell {
    let column = &*head.key;
    let is_share = matches!(column, "percent" | "capacity_percent");
    let bar = data.as_f64().filter(|v| is_share && v.is_finite());
    Cell {
        text: value::render(column, data, clock),
        bar: bar.map(|v| format!("{:.1}", v.clamp(0.0, 100.0) * 0.6)),
        mark: match (column, data) {
            ("health", Value::String(health)) => Some(health_mark(health)),
            ("alive" | "up", Value::Bool(true)) => Some("up"),
            ("alive" | "up", Value::Bool(false)) => Some("down"),
            _ => None,
        },
        is_number: head.is_number,
        is_code: matches!(column, "device" | "options" | "fstype"),
    }
}

/// Colour of the health of a ZFS pool.
fn health_mark(health: &str) -> &'static str {
    match health {
        "ONLINE" => "up",
        "DEGRADED" => "warn",
        _ => "crit",
    }
}

/// The first performance value of a check: its text, and its place between nothing and critical.
fn measured(data: &Map<String, Value>, name: &str) -> Cell {
    const OWN: [&str; 4] = ["status_code", "status", "output", "exit_code"];
    const OF_VALUE: [&str; 5] = ["_unit", "_warn", "_crit", "_min", "_max"];
    let prefix = format!("{name}_");
    let label = |key: &str| {
        let label = key.strip_prefix(&prefix)?.to_owned();
        let is_own = OWN.contains(&&*label) || OF_VALUE.iter().any(|end| label.ends_with(end));
        (!is_own).then_some(label)
    };
    let found = data.iter().find_map(|(key, value)| Some((label(key)?, value.as_f64()?)));
    let Some((label, value)) = found else {
        return Cell { text: "–".to_owned(), ..Cell::default() };
    };
    let of = |end: &str| data.get(&format!("{prefix}{label}{end}"));
    let unit = of("_unit").and_then(Value::as_str).unwrap_or("");
    let most =
        ["_crit", "_max", "_warn"].iter().find_map(|end| of(end)?.as_f64()).filter(|m| *m > 0.0);
    Cell {
        text: format!("{label} {} {unit}", super::number::short(value)).trim_end().to_owned(),
        bar: most.map(|most| format!("{:.1}", (value / most).clamp(0.0, 1.0) * 60.0)),
        is_number: true,
        ..Cell::default()
    }
}

/// Since when the check says what it says now, as far back as the samples in memory go.
fn standing(samples: &[(Wall, Value)], name: &str) -> Option<Wall> {
    let key = format!("{name}_status_code");
    let now = samples.last()?.1.get(&key)?;
    let same = samples.iter().rev().take_while(|(_, data)| data.get(&key) == Some(now));
    same.last().map(|(at, _)| *at)
}

/// The commands of `nagios_runner`, worst first: status, name, output, value, exit code, since when, next run.
fn checks(
    data: &Map<String, Value>,
    samples: &[(Wall, Value)],
    interval: Option<Duration>,
    clock: &Clock,
) -> Table {
    let next = samples.last().zip(interval).map(|((at, _), every)| clock.ago(*at + every).text);
    let mut names: Vec<(u64, &str)> = data
        .iter()
        .filter_map(|(key, value)| Some((value.as_u64()?, key.strip_suffix("_status_code")?)))
        .collect();
    names.sort_by_key(|(code, name)| (check_rank(*code), *name));
    let rows = names.iter().take(ROWS_MAX).map(|(code, name)| {
        let text = |suffix: &str| {
            let value = data.get(&format!("{name}_{suffix}")).unwrap_or(&Value::Null);
            value::render("output", value, clock)
        };
        let (mark, word) = match code {
            0 => ("up", "OK"),
            1 => ("warn", "Warning"),
            2 => ("crit", "Critical"),
            _ => ("unk", "Unknown"),
        };
        vec![
            Cell { text: word.to_owned(), mark: Some(mark), ..Cell::default() },
            Cell { text: (*name).to_owned(), ..Cell::default() },
            Cell { text: text("output"), is_code: true, ..Cell::default() },
            measured(data, name),
            Cell { text: text("exit_code"), is_number: true, ..Cell::default() },
            Cell {
                text: standing(samples, name).map_or("–".to_owned(), |at| clock.since(at).text),
                is_number: true,
                ..Cell::default()
            },
            Cell {
                text: next.clone().unwrap_or_else(|| "–".to_owned()),
                is_number: true,
                ..Cell::default()
            },
        ]
    });
    let heads = [
        ("Status", false),
        ("Check", false),
        ("Output", false),
        ("Value", true),
        ("Exit", true),
        ("Since", true),
        ("Next run", true),
    ];
    Table {
        title: String::new(),
        heads: heads
            .into_iter()
            .map(|(text, is_number)| Head { text: text.to_owned(), key: String::new(), is_number })
            .collect(),
        rows: rows.collect(),
        more: names.len().saturating_sub(ROWS_MAX),
    }
}

/// Critical, warning, unknown, OK.
const fn check_rank(code: u64) -> u8 {
    match code {
        2 => 0,
        1 => 1,
        0 => 3,
        _ => 2,
    }
}
