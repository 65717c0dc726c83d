//! What is wrong with a configuration, as a value with a place and a way to mend it, and its one rendering.
//!
//! Owns the codes, the form of `ui/UI.md` section 10 and the masking of secrets in the lines shown.
//! Never prints; never stops at the first problem.

use crate::limits;
use crate::text::is_hostile;
use std::fmt::Write as _;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Severity {
    Error,
    Warning,
}

/// One problem. `line` 0: only the key path is known (JSON). Neither `what` nor `fix` holds a secret.
#[derive(Clone, PartialEq, Debug)]
pub struct Problem {
    /// Stable, for `hbd help CODE`; errors begin with `E`, warnings with `W`.
    pub code: &'static str,
    pub severity: Severity,
    pub file: String,
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    pub length: u32,
    /// Dotted path from the root of the file; empty for the file as a whole.
    pub key: String,
    pub what: String,
    pub fix: String,
    /// A second place in the same file that explains the first.
    pub note: Option<Note>,
    /// The value at the place is a secret and is never shown.
    pub secret: bool,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Note {
    pub line: u32,
    pub column: u32,
    pub length: u32,
    pub text: String,
}

/// What a code stands for: `hbd help CODE` prints it.
pub struct Topic {
    pub code: &'static str,
    pub title: &'static str,
    pub text: &'static str,
}

pub const UNKNOWN_KEY: &str = "W0201";
pub const OLD_KEY: &str = "W0202";

impl Problem {
    /// Whether `check-config` fails on it: errors do, and unknown keys.
    pub fn fails_check(&self) -> bool {
        self.severity == Severity::Error || self.code == UNKNOWN_KEY
    }

    /// `file:line:column: key: what - fix`, for logs.
    pub fn render_line(&self) -> String {
        let mut out = self.place();
        for part in [&self.key, &self.what] {
            if !part.is_empty() {
                let _ = write!(out, ": {part}");
            }
        }
        if !self.fix.is_empty() {
            let _ = write!(out, " - {}", self.fix);
        }
        shown(&out)
    }

    /// The full form, with the lines of `source` (the text of `file`) where it is given.
    pub fn render(&self, source: Option<&str>) -> String {
        let word = if self.severity == Severity::Error { "error" } else { "warning" };
        let subject =
            if self.code == OLD_KEY { format!("{} is ", quoted(&self.key)) } else { String::new() };
        let mut out = format!("{word}[{}]: {subject}{}\n", self.code, shown(&self.what));
        let last = self.note.as_ref().map_or(self.line, |note| note.line.max(self.line));
        let margin = " ".repeat(last.max(10).to_string().len());
        let _ = write!(out, "{margin}--> {}", shown(&self.place()));
        match source.filter(|_| self.line > 0) {
            Some(source) => {
                out.push('\n');
                self.render_source(&mut out, source, &margin);
            }
            None if self.key.is_empty() => out.push('\n'),
            None => {
                let _ = writeln!(out, ": {}", shown(&self.key));
            }
        }
        if !self.fix.is_empty() {
            let _ = writeln!(out, "{margin} = fix: {}", shown(&self.fix));
        }
        let _ = writeln!(out, "{margin} = more: hbd help {}", self.code);
        out
    }

    fn place(&self) -> String {
        match self.line {
            0 => self.file.clone(),
            line => format!("{}:{line}:{}", self.file, self.column),
        }
    }

    fn render_source(&self, out: &mut String, source: &str, margin: &str) {
        let _ = writeln!(out, "{margin} |");
        let mut marks = vec![(self.line, self.column, self.length, '^', self.key.as_str())];
        if let Some(note) = &self.note {
            marks.push((note.line, note.column, note.length, '-', note.text.as_str()));
        }
        marks.sort_by_key(|mark| mark.0);
        let mut previous = 0;
        for (line, column, length, sign, text) in marks {
            if previous == 0 {
                self.render_parent(out, source, line, margin);
            } else if line > previous + 1 {
                out.push_str("...\n");
            }
            let content = nth_line(source, line);
            if line != previous {
                let keep = (sign == '^' && !self.secret).then_some((column, length));
                let masked = masked_line(content, keep);
                let _ = writeln!(out, "{line:>width$} | {masked}", width = margin.len());
            }
            let indent = " ".repeat(shown_width(content, column.saturating_sub(1)));
            let room = (content.chars().count() as u32 + 1).saturating_sub(column).max(1);
            let carets = sign.to_string().repeat(length.clamp(1, room) as usize);
            let _ = writeln!(out, "{margin} | {indent}{carets} {}", shown(text).trim_end());
            previous = line;
        }
    }

    /// The line above, where it only opens the section that the problem is in.
    fn render_parent(&self, out: &mut String, source: &str, line: u32, margin: &str) {
        let above = nth_line(source, line.saturating_sub(1));
        if line > 1 && above.trim_end().ends_with(':') && !above.trim_start().starts_with('#') {
            let number = line - 1;
            let _ = writeln!(out, "{number:>width$} | {}", shown(above), width = margin.len());
        }
    }
}

/// Whether any of them forbids the configuration.
pub fn has_error(problems: &[Problem]) -> bool {
    problems.iter().any(|problem| problem.severity == Severity::Error)
}

/// The first [`limits::PROBLEMS_MAX`] problems in full, then how many more there are. `source` gives the
/// text of a file by its name.
pub fn render_all<'a>(problems: &[Problem], source: impl Fn(&str) -> Option<&'a str>) -> String {
    let shown: Vec<String> = problems
        .iter()
        .take(limits::PROBLEMS_MAX)
        .map(|problem| problem.render(source(&problem.file)))
        .collect();
    let mut out = shown.join("\n");
    if let Some(more) = problems.len().checked_sub(limits::PROBLEMS_MAX).filter(|n| *n > 0) {
        let _ = write!(out, "\nand {more} more\n");
    }
    out
}

/// The candidate nearest to `name`: at most a third of its letters differ.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = crate::text::cut(name, 64);
    let allowed = name.chars().count().div_ceil(3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many insertions, deletions, replacements and swaps of neighbours lead from one to the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().take(128).collect());
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut best = (row[j] + usize::from(x != y)).min(row[j + 1] + 1).min(next[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(before[j - 1] + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut row, next);
    }
    row[b.len()]
}

/// Quoted for a message: controls escaped, long text cut.
pub fn quoted(text: &str) -> String {
    let cut = crate::text::cut(text, 60);
    let dots = if cut.len() < text.len() { "…" } else { "" };
    format!("\"{}{dots}\"", shown(cut))
}

fn nth_line(source: &str, line: u32) -> &str {
    source.lines().nth(line.saturating_sub(1) as usize).unwrap_or("")
}

/// One line for a terminal: a tab is a blank, what could mislead is escaped, 200 characters at most.
fn shown(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().take(200) {
        match c {
            '\t' => out.push(' '),
            c if is_hostile(c) => {
                let _ = write!(out, "\\u{{{:x}}}", c as u32);
            }
            c => out.push(c),
        }
    }
    out
}

fn shown_width(line: &str, columns: u32) -> usize {
    let before: String = line.chars().take(columns.min(200) as usize).collect();
    shown(&before).chars().count()
}

/// Names whose values are secrets somewhere; what follows them is never shown.
const SECRET_NAMES: &[&str] = &[
    "password",
    "token",
    "hmac_secret",
    "metrics_token",
    "key",
    "url",
    "dead_man_url",
    "user",
    "to",
];

/// The line with the values of secret-looking keys starred out, width for width, except at `keep`.
fn masked_line(line: &str, keep: Option<(u32, u32)>) -> String {
    let chars: Vec<char> = line.chars().collect();
    let mut hidden = vec![false; chars.len()];
    let mut word = String::new();
    let mut at = 0;
    while at < chars.len() {
        let c = chars[at];
        if c.is_ascii_alphanumeric() || c == '_' {
            word.push(c);
        } else if c == ':' && SECRET_NAMES.contains(&word.as_str()) {
            at = hide_value(&chars, at + 1, &mut hidden);
            word.clear();
            continue;
        } else if !matches!(c, '"' | '\'') {
            word.clear();
        }
        at += 1;
    }
    if let Some((column, length)) = keep {
        let first = (column.saturating_sub(1) as usize).min(hidden.len());
        let last = first.saturating_add(length as usize).min(hidden.len());
        hidden[first..last].fill(false);
    }
    let masked: String = chars.iter().zip(hidden).map(|(c, h)| if h { '*' } else { *c }).collect();
    shown(&masked)
}

/// Hides one scalar from `at` on; a list or a section is left, for its own keys are looked at.
fn hide_value(chars: &[char], at: usize, hidden: &mut [bool]) -> usize {
    let start = at + chars[at..].iter().take_while(|c| c.is_whitespace()).count();
    let end = match chars.get(start) {
        None | Some('{' | '[') => return start,
        Some(quote @ ('"' | '\'')) => {
            let inside = chars[start + 1..].iter().take_while(|c| *c != quote).count();
            (start + inside + 2).min(chars.len())
        }
        Some(_) => start + chars[start..].iter().take_while(|c| !",}".contains(**c)).count(),
    };
    hidden[start..end].fill(true);
    end
}
