//! Tables as CSV (RFC 4180), safe to be opened in a spreadsheet.
//!
//! Owns quoting. Text that a spreadsheet would take for a formula gets an apostrophe before it; numbers are numbers.

use super::problem::Problem;
use super::{Body, Call, Response};
use crate::time::Wall;
use jiff::Timestamp;
use std::fmt::Write as _;

pub enum Cell<'a> {
    Text(&'a str),
    Number(Option<f64>),
    /// In UTC, as ISO 8601 writes it.
    Time(Wall),
}

pub struct Table {
    text: String,
}

impl Table {
    pub fn new<T: AsRef<str>>(head: &[T]) -> Table {
        let mut table = Table { text: String::new() };
        let cells: Vec<Cell<'_>> = head.iter().map(|name| Cell::Text(name.as_ref())).collect();
        table.push(&cells);
        table
    }

    pub fn push(&mut self, cells: &[Cell<'_>]) {
        for (i, cell) in cells.iter().enumerate() {
            if i > 0 {
                self.text.push(',');
            }
            match cell {
                Cell::Text(text) => push_text(&mut self.text, text),
                Cell::Number(Some(number)) if number.is_finite() => {
                    let _ = write!(self.text, "{number}");
                }
                Cell::Number(_) => {}
                Cell::Time(at) => {
                    let at = Timestamp::from_microsecond(at.as_micros())
                        .unwrap_or(Timestamp::UNIX_EPOCH);
                    let _ = write!(self.text, "{}", at.strftime("%FT%TZ"));
                }
            }
        }
        self.text.push_str("\r\n");
    }
}

fn push_text(out: &mut String, text: &str) {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let quoted = is_formula || text.contains([',', '"', '\r', '\n', ';', '\t']);
    if quoted {
        out.push('"');
    }
    if is_formula {
        out.push('\'');
    }
    for c in text.chars() {
        match c {
            '"' => out.push_str("\"\""),
            c => out.push(c),
        }
    }
    if quoted {
        out.push('"');
    }
}

/// Whether `format=csv` is asked for; JSON otherwise.
pub fn is_wanted(call: &Call<'_>) -> Result<bool, Problem> {
    match call.query.get("format") {
        None | Some("json") => Ok(false),
        Some("csv") => Ok(true),
        Some(_) => Err(Problem::new(400, "bad_parameter", "There is no such format.")
            .hint("format is json or csv.")
            .field("format")),
    }
}

/// The table as a download.
pub fn response(name: &str, table: Table) -> Response {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let name: String = name.chars().map(plain).collect();
    let headers = vec![
        ("Content-Type", "text/csv; charset=utf-8; header=present".to_owned()),
        ("Content-Disposition", format!("attachment; filename=\"{name}\"")),
        ("Cache-Control", "no-store".to_owned()),
    ];
    Response { status: 200, headers, body: Body::Owned(table.text.into_bytes()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn u8_text_is_quoted_and_is_never_a_formula() {
        let mut table = Table::new(&["=1+1", "@x", "a,b", "say \"hi\"", "plain"]);
        let cells = [
            Cell::Text("-2"),
            Cell::Number(Some(-2.5)),
            Cell::Number(None),
            Cell::Number(Some(f64::NAN)),
            Cell::Time(Wall::from_secs(1_795_360_841)),
        ];
        table.push(&cells);
        let want = "\"'=1+1\",\"'@x\",\"a,b\",\"say \"\"hi\"\"\",plain\r\n\"'-2\",-2.5,,,2026-11-22T15:20:41Z\r\n";
        assert_eq!(table.text, want);
    }
}
