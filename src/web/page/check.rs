//! The checks of `nagios_runner` as a card: worst first, with their outputs, values and times.

use super::clock::Clock;
use super::plugin::{Card, Cell, Head, Table};
use super::value;
use crate::time::{Duration, Wall};
use serde_json::{Map, Value};

const ROWS_MAX: usize = 100;
/// Characters of an output in the table; the rest unfolds.
const OUTPUT_SHOWN: usize = 110;

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
        return Cell { text: "–".to_owned(), is_number: true, ..Cell::default() };
    };
    let of = |end: &str| data.get(&format!("{prefix}{label}{end}"));
    let unit = of("_unit").and_then(Value::as_str).unwrap_or("");
    let most =
        ["_crit", "_max", "_warn"].iter().find_map(|end| of(end)?.as_f64()).filter(|m| *m > 0.0);
    let is_over = |end: &str| of(end).and_then(Value::as_f64).is_some_and(|limit| value >= limit);
    Cell {
        text: format!("{label} {} {unit}", super::number::short(value)).trim_end().to_owned(),
        bar: most.map(|most| format!("{:.1}", (value / most).clamp(0.0, 1.0) * 60.0)),
        class: match () {
            () if is_over("_crit") => "crit",
            () if is_over("_warn") => "warn",
            () => "",
        },
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
pub fn fill(
    card: &mut Card,
    data: &Map<String, Value>,
    samples: &[(Wall, Value)],
    interval: Option<Duration>,
    clock: &Clock,
) {
    let next = samples.last().zip(interval).map(|((at, _), every)| clock.ago(*at + every).text);
    let mut names: Vec<(u64, &str)> = data
        .iter()
        .filter_map(|(key, value)| Some((value.as_u64()?, key.strip_suffix("_status_code")?)))
        .collect();
    names.sort_by_key(|(code, name)| (rank(*code), *name));
    for wanted in [2, 1, 3, 0] {
        let (mark, _) = status(wanted);
        let count = names.iter().filter(|(code, _)| status(*code).0 == mark).count();
        if count > 0 {
            card.pills.push((mark, count));
        }
    }
    card.head = next.as_ref().map_or_else(String::new, |next| format!("next run {next}"));
    let next = next.unwrap_or_else(|| "–".to_owned());
    let rows = names.iter().take(ROWS_MAX);
    let rows = rows.map(|(code, name)| row(data, samples, (*code, name), &next, clock)).collect();
    let heads = [
        ("Status", false),
        ("Check", false),
        ("Output", false),
        ("Value", true),
        ("Exit", true),
        ("Since", true),
        ("Next run", true),
    ];
    let head = |(text, is_number)| Head::new(text, "", is_number);
    card.tables.push(Table {
        title: String::new(),
        heads: heads.into_iter().map(head).collect(),
        rows,
        more: names.len().saturating_sub(ROWS_MAX),
    });
}

fn row(
    data: &Map<String, Value>,
    samples: &[(Wall, Value)],
    (code, name): (u64, &str),
    next: &str,
    clock: &Clock,
) -> Vec<Cell> {
    let text = |suffix: &str| {
        let value = data.get(&format!("{name}_{suffix}")).unwrap_or(&Value::Null);
        value::render("output", value, clock)
    };
    let whole = data.get(&format!("{name}_output")).and_then(Value::as_str).unwrap_or_default();
    let first = whole.trim().lines().next().unwrap_or_default();
    let is_long = whole.trim().len() > first.len() || first.chars().count() > OUTPUT_SHOWN;
    let short: String = first.chars().take(OUTPUT_SHOWN).collect();
    let (mark, word) = status(code);
    let number = |text: String| Cell { text, is_number: true, ..Cell::default() };
    let since = standing(samples, name).map_or("–".to_owned(), |at| clock.since(at).text);
    vec![
        Cell { text: word.to_owned(), mark: Some(mark), ..Cell::default() },
        Cell { text: name.to_owned(), ..Cell::default() },
        Cell {
            text: if is_long { short } else { text("output") },
            long: if is_long { whole.trim().to_owned() } else { String::new() },
            is_code: true,
            ..Cell::default()
        },
        measured(data, name),
        number(text("exit_code")),
        number(since),
        number(next.to_owned()),
    ]
}

/// Glyph and word of a status of the plugins' convention.
const fn status(code: u64) -> (&'static str, &'static str) {
    match code {
        0 => ("up", "OK"),
        1 => ("warn", "Warning"),
        2 => ("crit", "Critical"),
        _ => ("unk", "Unknown"),
    }
}

/// Critical, warning, unknown, OK.
const fn rank(code: u64) -> u8 {
    match code {
        2 => 0,
        1 => 1,
        0 => 3,
        _ => 2,
    }
}
