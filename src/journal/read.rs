//! Lines read back: whether each is whole, what it tells, and sums over many.

use crate::limits;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, BufRead, Read};

/// Names and IDs counted one by one; what comes after them is counted together.
const COUNTED_MAX: usize = 100_000;

/// What stands between two newlines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// Without its newline.
    Whole(&'a [u8]),
    /// More than `limits::JOURNAL_LINE_MAX` bytes: no line of ours.
    TooLong,
    /// The file ends here without a newline: the writer was killed in the middle, or is writing now.
    Torn(usize),
}

/// Hands out every line with its number, beginning at 1; memory stays within one line.
///
/// # Errors
/// Those of the reader, and those of `each`, which end it.
pub fn each_line(
    reader: &mut impl BufRead,
    mut each: impl FnMut(u64, Line<'_>) -> io::Result<()>,
) -> io::Result<()> {
    let mut bytes = Vec::new();
    let mut number = 0;
    while read_piece(reader, &mut bytes)? > 0 {
        number += 1;
        if bytes.last() == Some(&b'\n') {
            each(number, Line::Whole(&bytes[..bytes.len() - 1]))?;
        } else if bytes.len() <= limits::JOURNAL_LINE_MAX {
            each(number, Line::Torn(bytes.len()))?;
        } else {
            while bytes.last() != Some(&b'\n') && read_piece(reader, &mut bytes)? > 0 {}
            each(number, Line::TooLong)?;
        }
    }
    Ok(())
}

/// A line, or as much of it as a line may have.
fn read_piece(reader: &mut impl BufRead, bytes: &mut Vec<u8>) -> io::Result<usize> {
    bytes.clear();
    reader.by_ref().take(limits::JOURNAL_LINE_MAX as u64 + 1).read_until(b'\n', bytes)
}

/// What one line tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    /// Unix seconds.
    pub timestamp: f64,
    /// The message's `ID`, or `event`.
    pub id: String,
    /// In lower case.
    pub host: Option<String>,
}

#[derive(Deserialize)]
struct Shape<'a> {
    timestamp: f64,
    #[serde(borrow)]
    datetime: Cow<'a, str>,
    #[serde(borrow)]
    message: Option<MessageShape<'a>>,
    #[serde(borrow)]
    event: Option<EventShape<'a>>,
}

#[derive(Deserialize)]
struct MessageShape<'a> {
    #[serde(rename = "ID", borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
}

#[derive(Deserialize)]
struct EventShape<'a> {
    #[serde(borrow)]
    host: Option<Cow<'a, str>>,
}

/// Reads a whole line, or says what is wrong with it.
pub fn note(line: &[u8]) -> Result<Note, String> {
    let shape: Shape<'_> = serde_json::from_slice(line).map_err(|e| e.to_string())?;
    if shape.datetime.len() != "2026-03-28T12:34:56".len() {
        return Err("datetime is not YYYY-MM-DDTHH:MM:SS".to_owned());
    }
    let (id, host) = match (shape.message, shape.event) {
        (Some(message), None) => (message.id.into_owned(), Some(message.name)),
        (None, Some(event)) => ("event".to_owned(), event.host),
        _ => return Err("has neither a message nor an event, or both".to_owned()),
    };
    let host = host.map(|name| name.to_ascii_lowercase());
    Ok(Note { timestamp: shape.timestamp, id, host })
}

/// Sums over lines.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    pub lines: u64,
    pub bytes: u64,
    /// Lines that are none of ours.
    pub damaged: u64,
    /// Unix seconds of the earliest and the latest line.
    pub first: Option<f64>,
    pub last: Option<f64>,
    pub by_id: BTreeMap<String, u64>,
    pub by_host: BTreeMap<String, u64>,
}

impl Stats {
    /// Counts one line of `len` bytes, newline included.
    pub fn add(&mut self, len: u64, note: Result<Note, String>) {
        self.lines += 1;
        self.bytes += len;
        let Ok(note) = note else {
            self.damaged += 1;
            return;
        };
        let at = note.timestamp;
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        self.last = Some(self.last.map_or(at, |last| last.max(at)));
        count(&mut self.by_id, note.id);
        if let Some(host) = note.host {
            count(&mut self.by_host, host);
        }
    }
}

fn count(counts: &mut BTreeMap<String, u64>, name: String) {
    let known = counts.len() < COUNTED_MAX || counts.contains_key(&name);
    *counts.entry(if known { name } else { "(others)".to_owned() }).or_default() += 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = r#""timestamp":2.5,"datetime":"2026-03-28T12:34:56","source_ip":null"#;

    fn line(rest: &str) -> String {
        format!("{{{HEAD},{rest}}}")
    }

    #[test]
    fn note_table() {
        let ok = |id: &str, host: Option<&str>| {
            Some(Note { timestamp: 2.5, id: id.into(), host: host.map(Into::into) })
        };
        let table = [
            (line(r#""message":{"ID":"HTB","name":"Web1"}"#), ok("HTB", Some("web1"))),
            (line(r#""event":{"id":1,"host":null}"#), ok("event", None)),
            (line(r#""event":{"host":"a"}"#), ok("event", Some("a"))),
            (line(r#""message":{"name":"a"}"#), None),
            (line(r#""x":1"#), None),
            (line(r#""message":{"ID":"HTB","name":"a"},"event":{}"#), None),
            (line(r#""message":{"ID":"HTB","name":"a"}"#).replace("2026", "26"), None),
            (r#"{"message":{"ID":"HTB","name":"a"}}"#.to_owned(), None),
            (String::new(), None),
            ("{}{}".to_owned(), None),
        ];
        for (line, want) in table {
            assert_eq!(note(line.as_bytes()).ok(), want, "{line}");
        }
    }

    #[test]
    fn lines_are_numbered_and_the_torn_one_is_known() {
        let long = "x".repeat(limits::JOURNAL_LINE_MAX + 1);
        let text = format!("a\n\n{long}\n{}b", "y".repeat(limits::JOURNAL_LINE_MAX) + "\n");
        let mut seen = Vec::new();
        each_line(&mut text.as_bytes(), |number, line| {
            seen.push(match line {
                Line::Whole(bytes) => (number, bytes.len() as i64),
                Line::TooLong => (number, -1),
                Line::Torn(len) => (number, -1000 - len as i64),
            });
            Ok(())
        })
        .unwrap();
        let max = limits::JOURNAL_LINE_MAX as i64;
        assert_eq!(seen, [(1, 1), (2, 0), (3, -1), (4, max), (5, -1001)]);
    }

    #[test]
    fn stats_sum_by_id_and_host() {
        let mut stats = Stats::default();
        let lines = [
            line(r#""message":{"ID":"HTB","name":"a"}"#),
            line(r#""message":{"ID":"HTB","name":"A"}"#),
            line(r#""message":{"ID":"PLG","name":"b"}"#).replace("2.5", "1"),
            line(r#""event":{"host":"a"}"#).replace("2.5", "9"),
            "nonsense".to_owned(),
        ];
        for line in &lines {
            stats.add(line.len() as u64 + 1, note(line.as_bytes()));
        }
        assert_eq!((stats.lines, stats.damaged), (5, 1));
        assert_eq!((stats.first, stats.last), (Some(1.0), Some(9.0)));
        assert_eq!(stats.by_id, [("HTB", 2), ("PLG", 1), ("event", 1)].map(own).into());
        assert_eq!(stats.by_host, [("a", 3), ("b", 1)].map(own).into());
        assert_eq!(stats.bytes, lines.iter().map(|line| line.len() as u64 + 1).sum::<u64>());
    }

    fn own((name, count): (&str, u64)) -> (String, u64) {
        (name.to_owned(), count)
    }
}
