//! The alerts of one host as a table: level, what was measured, limit, where it clears, since when.

use super::clock::Clock;
use super::plugin::{Cell, Head, Table};
use crate::alert::{Level, text};
use crate::engine::view::{Alert, Host};
use crate::web::why::{level_word, short};
use std::cmp::Reverse;

const ROWS_MAX: usize = 50;

/// Metrics of the host that are not OK, worst first; `None` where there are none.
pub fn table(host: &Host, clock: &Clock) -> Option<Table> {
    let mut raised: Vec<&Alert> =
        host.alert_list.iter().filter(|alert| alert.level != Level::Ok).collect();
    raised.sort_by_key(|alert| (Reverse(alert.level), Reverse(alert.since)));
    if raised.is_empty() {
        return None;
    }
    let heads = [("Level", false), ("Alert", false), ("Limit", true), ("Clears at", true)];
    let heads = heads.into_iter().chain([("Since", true), ("Quiet", false)]);
    Some(Table {
        title: String::new(),
        heads: heads
            .map(|(text, is_number)| Head { text: text.to_owned(), key: String::new(), is_number })
            .collect(),
        rows: raised.iter().take(ROWS_MAX).map(|alert| row(host, alert, clock)).collect(),
        more: raised.len().saturating_sub(ROWS_MAX),
    })
}

fn row(host: &Host, alert: &Alert, clock: &Clock) -> Vec<Cell> {
    let plain = |text: String| Cell { text, ..Cell::default() };
    let number = |text: String| Cell { text, is_number: true, ..Cell::default() };
    let subject =
        text::Subject { host: &host.name, metric_path: &alert.path, value: alert.value.as_leaf() };
    // The page says whose it is, and the pill how bad.
    let sentence = text::raised(&subject, alert.level, &alert.display);
    let opening = format!("{}: {} - ", alert.level.as_str(), host.name);
    let sentence = sentence.strip_prefix(&opening).unwrap_or(&sentence);
    let limit = match alert.operator {
        "nagios" => "–".to_owned(),
        operator => format!("{operator} {}", short(&alert.threshold_value)),
    };
    let clears = alert
        .recovers_at
        .map_or("–".to_owned(), |at| short(&crate::engine::view::Value::Number(at)));
    let word = level_word(alert.level);
    let word = word[..1].to_ascii_uppercase() + &word[1..];
    vec![
        Cell { text: word, mark: Some(mark(alert.level)), ..Cell::default() },
        plain(sentence.to_owned()),
        number(limit),
        number(clears),
        number(clock.since(alert.since).text),
        plain(quiet(alert)),
    ]
}

/// What keeps it from being told.
fn quiet(alert: &Alert) -> String {
    let parts = [
        (alert.acknowledged.is_some(), "acknowledged"),
        (alert.silenced.is_some(), "silenced"),
        (alert.stale, "old data"),
    ];
    let parts: Vec<&str> = parts.into_iter().filter(|(is, _)| *is).map(|(_, word)| word).collect();
    parts.join(", ")
}

const fn mark(level: Level) -> &'static str {
    match level {
        Level::Ok => "up",
        Level::Warning => "warn",
        Level::Unknown => "unk",
        Level::Critical => "crit",
    }
}
