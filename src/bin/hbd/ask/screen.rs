//! How results look on this output: which form, how wide, with colour and signs beyond ASCII or not.

use super::table::{Layout, render};
use crate::args::{Invocation, Usage};
use crate::lookup::Environment;
use heartbeat::engine::view::Severity;
use serde_json::Value;
use std::io::IsTerminal;

/// What is printed for a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people, or for pipes with tabs.
    Table,
    /// One document.
    Json,
    /// One document a line and item.
    JsonLines,
    Csv,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Screen {
    pub layout: Layout,
    pub form: Form,
    pub color: bool,
    /// The terminal shows UTF-8.
    pub utf8: bool,
}

impl Screen {
    pub fn of(invocation: &Invocation, env: &Environment) -> Result<Screen, Usage> {
        let is_terminal = std::io::stdout().is_terminal();
        let color = match invocation.color.as_deref() {
            None | Some("auto") => is_terminal && !env.no_color && !env.dumb,
            Some("always") => true,
            Some("never") => false,
            Some(other) => {
                return Err(Usage(format!("--color is auto, always or never, not {other:?}")));
            }
        };
        let Invocation { json, jsonl, csv, .. } = *invocation;
        let form = match (json, jsonl, csv) {
            (false, false, false) => Form::Table,
            (true, false, false) => Form::Json,
            (false, true, false) => Form::JsonLines,
            (false, false, true) => Form::Csv,
            _ => return Err(Usage("only one of --json, --jsonl and --csv".to_owned())),
        };
        let layout = Layout::new(is_terminal, env.columns, super::terminal_width());
        Ok(Screen { layout, form, color, utf8: env.utf8 })
    }

    /// A list in the form that was asked for. `items` are what the rows show; `whole` is the answer they come from.
    pub fn list(
        &self,
        whole: &Value,
        items: &[&Value],
        titles: &[&str],
        rows: &[Vec<String>],
    ) -> String {
        match self.form {
            Form::Json => super::json(whole),
            Form::JsonLines => items.iter().map(|item| format!("{item}\n")).collect(),
            Form::Csv => csv(titles, rows),
            Form::Table => self.dress(render(self.layout, titles, rows)),
        }
    }

    /// Text for a terminal that shows no more than ASCII, where that is so.
    pub fn dress(&self, text: String) -> String {
        if self.utf8 || self.layout == Layout::Plain { text } else { ascii(&text) }
    }

    /// The sign of a severity; nothing stands before rows in a pipe.
    pub fn mark(&self, severity: &str) -> &'static str {
        MARKS.iter().find(|mark| mark.0.as_str() == severity).map_or(" ", |mark| mark.1)
    }

    /// The text in the colour of a severity.
    pub fn paint(&self, severity: &str, text: &str) -> String {
        let code = MARKS.iter().find(|mark| mark.0.as_str() == severity).map_or("", |mark| mark.3);
        if !self.color || code.is_empty() {
            return text.to_owned();
        }
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// Severity, its sign, its letter where signs cannot be shown, its colour (ui/UI.md section 3).
const MARKS: &[(Severity, &str, &str, &str)] = &[
    (Severity::Down, "✕", "D", "1;31"),
    (Severity::Critical, "◆", "C", "31"),
    (Severity::Warning, "▲", "W", "33"),
    (Severity::Late, "◔", "L", "33"),
    (Severity::Unreachable, "□", "R", "2"),
    (Severity::Unknown, "?", "?", "2"),
    (Severity::Maintenance, "◍", "M", "34"),
    (Severity::Up, "●", "U", "32"),
];

fn ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match MARKS.iter().find(|mark| mark.1.starts_with(c)) {
            Some(mark) => out.push_str(mark.2),
            None if c.is_ascii() => out.push(c),
            None => out.push_str(match c {
                '·' => "-",
                '…' => ".",
                _ => "?",
            }),
        }
    }
    out
}

/// RFC 4180; what a spreadsheet would take for a formula has an apostrophe before it.
pub fn csv(titles: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let cells: Vec<String> = cells.map(csv_cell).collect();
        cells.join(",") + "\r\n"
    };
    let mut out = line(&mut titles.iter().copied());
    for row in rows {
        out.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    out
}

fn csv_cell(text: &str) -> String {
    let formula = text.len() > 1 && text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let guarded = if formula { format!("'{text}") } else { text.to_owned() };
    let escaped = heartbeat::text::escape_control(&guarded);
    if escaped.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", escaped.replace('"', "\"\""))
    } else {
        escaped.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_quotes_and_takes_formulas_their_force() {
        let rows = [["a,b", "say \"x\"", "=1+1", "-", "-5"].map(str::to_owned).to_vec()];
        let want = "A,B,C,D,E\r\n\"a,b\",\"say \"\"x\"\"\",'=1+1,-,'-5\r\n";
        assert_eq!(csv(&["A", "B", "C", "D", "E"], &rows), want);
    }

    #[test]
    fn signs_have_letters_where_there_is_no_utf8() {
        assert_eq!(ascii("✕◆▲◔□?◍● Zürich · …"), "DCWLR?MU Z?rich - .");
    }
}
