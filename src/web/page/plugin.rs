//! A plugin's data as a card: values with labels, units and a small chart, records as tables.
//!
//! Works on any data object; what the agents' own plugins mean stands in `value`. Never fails on
//! strange data.

use super::check;
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
    /// Beside the title: glyph and count.
    pub pills: Vec<(&'static str, usize)>,
    /// Behind the name of the plugin: `next run in 3 m`.
    pub head: String,
    /// Word and address of another way to see it.
    pub other: Option<(&'static str, String)>,
    /// All of it as text, to be copied.
    pub text: String,
}

impl Card {
    /// Another card of the same plugin's data, with nothing on it yet.
    pub fn beside(&self, title: &str) -> Card {
        Card {
            title: title.to_owned(),
            name: self.name.clone(),
            age: self.age.clone(),
            interval: self.interval.clone(),
            is_old: self.is_old,
            error: self.error.clone(),
            is_facts: false,
            pairs: Vec::new(),
            tables: Vec::new(),
            more: self.more,
            pills: self.pills.clone(),
            head: String::new(),
            other: None,
            text: String::new(),
        }
    }
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

impl Pair {
    /// A text that stands among the facts.
    pub fn fact(label: &str, value: String, path: String) -> Pair {
        let label = label.to_owned();
        Pair { label, help: "", value, path, unit: None, spark: None, is_text: true }
    }
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

impl Head {
    /// Of the column of a key; without one where the column is made of several.
    pub fn new(text: &str, key: &str, is_number: bool) -> Head {
        Head { text: text.to_owned(), key: key.to_owned(), is_number }
    }
}

#[derive(Debug, Default, Serialize)]
pub struct Cell {
    pub text: String,
    /// Width of 60 for a percentage.
    pub bar: Option<String>,
    /// Glyph and colour of a status.
    pub mark: Option<&'static str>,
    /// The whole of it, where the text is its first line.
    pub long: String,
    /// Colour of the bar: `warn`, `crit`.
    pub class: &'static str,
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
        pills: Vec::new(),
        head: String::new(),
        other: None,
        text: String::new(),
    };
    if &*plugin.name == "nagios_runner" {
        check::fill(&mut card, data, samples, interval, clock);
        return Some(card);
    }
    for (key, value) in data.iter().filter(|(key, _)| *key != "error") {
        match value.as_object() {
            Some(records) if is_table(records) => card.tables.push(table(key, records, clock)),
            Some(nested) => flatten(key, nested, &mut |path, key, value| {
                card.pairs.push(pair(&plugin.name, path, key, value, samples, clock));
            }),
            None if key == "per_core" => card.tables.extend(cores(value)),
            None => card.pairs.push(pair(&plugin.name, key, key, value, samples, clock)),
        }
        if card.pairs.len() > PAIRS_MAX {
            card.more = data.len().saturating_sub(card.pairs.len() + card.tables.len()).max(1);
            break;
        }
    }
    card.tables.sort_by_key(|table| value::table_rank(&table.heads[0].key));
    if card.is_facts {
        let lines = card.pairs.iter().map(|pair| format!("{}: {}\n", pair.label, pair.value));
        card.text = lines.collect();
    }
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

/// The load of each core, where the agent tells it.
fn cores(value: &Value) -> Option<Table> {
    let list = value.as_array()?.iter().take(ROWS_MAX).enumerate();
    let rows: Vec<Vec<Cell>> = list
        .filter_map(|(at, percent)| {
            let percent = percent.as_f64().filter(|percent| percent.is_finite())?;
            let bar = Some(format!("{:.1}", percent.clamp(0.0, 100.0) * 0.6));
            let text = format!("{percent:.0} %");
            Some(vec![
                Cell { text: format!("Core {at}"), ..Cell::default() },
                Cell { text, bar, is_number: true, ..Cell::default() },
            ])
        })
        .collect();
    let heads = vec![Head::new("Core", "per_core", false), Head::new("Busy", "per_core", true)];
    (!rows.is_empty()).then(|| Table { title: "Per core".to_owned(), heads, rows, more: 0 })
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
    let mut heads = vec![Head::new(first, key, false)];
    let head = |column: &&str| Head::new(&value::label(column).0, column, is_number(column));
    heads.extend(columns.iter().map(head));
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
        ..Cell::default()
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
