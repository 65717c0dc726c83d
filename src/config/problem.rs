//! What is wrong with a configuration, as a value with a place and a way to mend it, and its one
//! rendering.
//!
//! Owns the codes, the form of `ui/UI.md` section 10 and the masking of secrets in the lines shown.
//! Never prints; never stops at the first problem.

use super::node::Span;
use crate::limits;
use crate::text::is_hostile;
use std::fmt::Write as _;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Severity {
    Error,
    Warning,
}

/// One problem. `line` 0: only the key path is known (JSON). Neither `what` nor `fix` holds a
/// secret.
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

/// A webhook's template; found by the shell, since reading one needs more than this module may use.
pub const BODY_TEMPLATE: &str = "E0119";
/// A display template, and how to mend one.
pub const DISPLAY: &str = "E0118";
pub const DISPLAY_FIX: &str =
    "write fields as {value} or {value:.1f}, and {{ or }} for a brace itself";
pub const UNKNOWN_KEY: &str = "W0201";
pub const OLD_KEY: &str = "W0202";
pub const UNKNOWN_ZONE: &str = "W0207";
pub const LACKING: &str = "W0208";

impl Problem {
    /// A problem whose code tells its severity.
    pub fn new(code: &'static str, file: &str, span: Span, what: String, fix: &str) -> Problem {
        let warning = code.starts_with('W');
        Problem {
            code,
            severity: if warning { Severity::Warning } else { Severity::Error },
            file: file.to_owned(),
            line: span.line,
            column: span.column,
            length: span.length.max(1),
            key: String::new(),
            what,
            fix: fix.to_owned(),
            note: None,
            secret: false,
        }
    }

    /// The file itself cannot be read; `why` is the system's word for it.
    pub fn unreadable(file: &str, why: &str) -> Problem {
        let what = format!("the file cannot be read: {why}");
        Problem::new("E0100", file, Span::default(), what, "check its path and its permissions")
    }

    pub(crate) fn too_large(file: &str) -> Problem {
        let what = format!("the file is larger than {} bytes", limits::CONFIG_MAX);
        let fix = "split it, or check that it is the file you meant";
        Problem::new("E0102", file, Span::default(), what, fix)
    }

    pub(crate) fn repeated_key(file: &str, span: Span, key: String) -> Problem {
        let what = format!("the key {} occurs twice; the last one counts", quoted(&key));
        let fix = "remove the one that is not meant";
        Problem { key, ..Problem::new("W0203", file, span, what, fix) }
    }

    /// Whether `check-config` fails on it: errors do, and unknown keys and zones.
    pub fn fails_check(&self) -> bool {
        self.severity == Severity::Error || [UNKNOWN_KEY, UNKNOWN_ZONE].contains(&self.code)
    }

    /// `file:line:column: key: what - fix`, for logs.
    pub fn render_line(&self) -> String {
        let mut out = shown(&self.place());
        for part in [&self.key, &self.what] {
            if !part.is_empty() {
                let _ = write!(out, ": {}", shown(part));
            }
        }
        if !self.fix.is_empty() {
            let _ = write!(out, " - {}", shown(&self.fix));
        }
        out
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
        let (mut previous, mut skip) = (0, 0);
        for (line, column, length, sign, text) in marks {
            if previous == 0 {
                self.render_parent(out, source, line, margin);
            } else if line > previous + 1 {
                out.push_str("...\n");
            }
            let content = nth_line(source, line);
            if line != previous {
                // A long line is shown from a little before the place.
                skip = if column > 120 { column as usize - 60 } else { 0 };
                let masked = masked_line(content, self.mask(sign, column, length));
                let part = shown(&window(&masked, skip));
                let _ = writeln!(out, "{line:>width$} | {part}", width = margin.len());
            }
            let before: String = content.chars().take(column.saturating_sub(1) as usize).collect();
            let indent = " ".repeat(shown(&window(&before, skip)).chars().count());
            let room = (content.chars().count() as u32 + 1).saturating_sub(column).clamp(1, 200);
            let marked = sign.to_string().repeat(length.clamp(1, room) as usize);
            let row = format!("{margin} | {indent}{marked} {}", shown(text));
            let _ = writeln!(out, "{}", row.trim_end());
            previous = line;
        }
    }

    /// What is hidden in the line of a mark.
    fn mask(&self, sign: char, column: u32, length: u32) -> Mask {
        let of_key = matches!(self.code, UNKNOWN_KEY | OLD_KEY | LACKING | "W0203");
        match sign {
            '^' if self.secret => Mask::Hide(column, length),
            '^' if of_key => Mask::HideValueAfter(column),
            '^' if !self.key.is_empty() => Mask::Keep(column, length),
            _ => Mask::Names,
        }
    }

    /// The line above, where it only opens the section that the problem is in.
    fn render_parent(&self, out: &mut String, source: &str, line: u32, margin: &str) {
        let above = nth_line(source, line.saturating_sub(1));
        let opens = above.trim_end().ends_with(':') && above.matches(':').count() == 1;
        if line > 1 && opens && !above.trim_start().starts_with('#') {
            let number = line - 1;
            let _ = writeln!(out, "{number:>width$} | {}", shown(above), width = margin.len());
        }
    }
}

/// Whether any of them forbids the configuration.
pub fn has_error(problems: &[Problem]) -> bool {
    problems.iter().any(|problem| problem.severity == Severity::Error)
}

/// The first [`limits::PROBLEMS_MAX`] problems in full, then how many more there are. `source`
/// gives the text of a file by its name.
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
    crate::text::lines(source).nth(line.saturating_sub(1) as usize).unwrap_or("")
}

/// One line for a terminal: a tab is a blank, what could mislead is escaped, 400 characters at
/// most.
fn shown(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().take(400) {
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

/// At most 200 characters of a line from `skip` on, which a dot sign stands for.
fn window(line: &str, skip: usize) -> String {
    let dots = (skip > 0).then_some('…');
    dots.into_iter().chain(line.chars().skip(skip).take(200)).collect()
}

/// Whether the values of a key are secrets somewhere; they are shown only where they are what is
/// wrong and no secret there.
fn is_secret_name(name: &str) -> bool {
    const NAMES: [&str; 6] = ["key", "user", "to", "headers", "env", "labels"];
    const PARTS: [&str; 5] = ["pass", "token", "secret", "url", "_user"];
    let name = name.to_ascii_lowercase();
    NAMES.contains(&name.as_str()) || PARTS.iter().any(|part| name.contains(part))
}

/// The line with secrets starred out, width for width: the values of secret-looking keys, and what
/// the problem itself says.
fn masked_line(line: &str, mask: Mask) -> String {
    let chars: Vec<char> = line.chars().collect();
    let mut hidden = vec![false; chars.len()];
    let (mut word, mut ended, mut at) = (String::new(), false, 0);
    while let Some(c) = chars.get(at) {
        if c.is_ascii_alphanumeric() || *c == '_' {
            if std::mem::take(&mut ended) {
                word.clear();
            }
            word.push(*c);
        } else if *c == ':' && is_secret_name(&word) {
            at = hide_value(&chars, at + 1, &mut hidden);
            word.clear();
            continue;
        } else {
            ended = true;
        }
        at += 1;
    }
    let column = |column: u32| (column.saturating_sub(1) as usize).min(chars.len());
    match mask {
        Mask::Keep(from, length) => {
            let first = column(from);
            let last = first.saturating_add(length as usize).min(chars.len());
            hidden[first..last].fill(false);
        }
        Mask::Hide(from, length) => {
            // Where the place is the key, the key is shown.
            let after = column(from.saturating_add(length));
            let at_key = chars[after..].iter().find(|c| !c.is_whitespace()) == Some(&':');
            hidden[if at_key { after } else { column(from) }..].fill(true);
        }
        Mask::HideValueAfter(from) => {
            let colon = chars[column(from)..].iter().position(|c| *c == ':');
            if let Some(colon) = colon {
                hide_value(&chars, column(from) + colon + 1, &mut hidden);
            }
        }
        Mask::Names => {}
    }
    chars.iter().zip(hidden).map(|(c, h)| if h { '*' } else { *c }).collect()
}

/// What is hidden or shown beside the values of secret-looking keys.
#[derive(Clone, Copy)]
enum Mask {
    Names,
    /// The value at fault is no secret: column and length.
    Keep(u32, u32),
    /// It is one.
    Hide(u32, u32),
    /// A key that is not known may be a misspelled secret.
    HideValueAfter(u32),
}

/// Hides one value from `at` on and tells where it ends. A reference to a secret is shown, and so
/// are numbers, true and false.
fn hide_value(chars: &[char], at: usize, hidden: &mut [bool]) -> usize {
    let start = at + chars[at..].iter().take_while(|c| c.is_whitespace()).count();
    let rest = &chars[start..];
    let up_to = |end: char| rest.iter().position(|c| *c == end).map_or(rest.len(), |n| n + 1);
    let length = match rest.first() {
        None => 0,
        Some('{') => up_to('}'),
        Some('[') => up_to(']'),
        Some(quote @ ('"' | '\'')) => {
            rest[1..].iter().position(|c| c == quote).map_or(rest.len(), |n| n + 2)
        }
        Some(_) => rest.iter().take_while(|c| !",}".contains(**c)).count(),
    };
    let value: String = rest[..length].iter().collect();
    let inside = value.trim_start_matches(['{', ' ']);
    let reference = value.starts_with('{')
        && ["file:", "env:", "credential:"].iter().any(|name| inside.starts_with(name));
    let plain = value.trim().parse::<i32>().is_ok() || ["true", "false"].contains(&value.trim());
    if !reference && !plain {
        hidden[start..start + length].fill(true);
    }
    start + length
}

/// What a code stands for; `None` where there is no such code.
pub fn topic(code: &str) -> Option<&'static Topic> {
    TOPICS.iter().find(|topic| topic.code.eq_ignore_ascii_case(code))
}

const fn topic_of(code: &'static str, title: &'static str, text: &'static str) -> Topic {
    Topic { code, title, text }
}

/// Every code.
pub const TOPICS: &[Topic] = &[
    topic_of(
        "E0100",
        "the file cannot be read",
        "It is not there, is no text, or its owner allows no reading.",
    ),
    topic_of(
        "E0101",
        "the file cannot be read as YAML or JSON",
        "The place is where reading failed; the cause is often a little before it: a quote or \
         bracket that is not closed, a tab in the indentation, or a line that is indented less \
         than its neighbours.",
    ),
    topic_of(
        "E0102",
        "the file is larger than a configuration may be",
        "A file may have 1 MiB, 32 levels, and 10,000 values that come from aliases. Put hosts \
         into files of their own under conf.d.",
    ),
    topic_of(
        "E0103",
        "the value has another type",
        "The message names what is expected. Text that looks like a number or like yes and no \
         needs quotes.",
    ),
    topic_of(
        "E0104",
        "the value is out of range",
        "The message names the smallest and largest value.",
    ),
    topic_of("E0105", "something required is missing", "Add the key that the fix names."),
    topic_of(
        "E0106",
        "the value is malformed",
        "Names, addresses, address blocks, URLs, durations (30, 30s, 5m, 1h30m), sizes (100MB) \
         and times have a form of their own; the fix shows it.",
    ),
    topic_of(
        "E0107",
        "warning and critical are in the wrong order",
        "With > and >= high values are bad and critical is the higher limit; with < and <= low \
         values are bad and critical is the lower one. A profile is judged together with the \
         entry that it is laid over.",
    ),
    topic_of(
        "E0108",
        "a threshold has no limit",
        "An entry needs warning or critical or both, except with operator: nagios or enabled: \
         false.",
    ),
    topic_of("E0109", "unknown profile", "threshold_config names entries of threshold_configs."),
    topic_of("E0110", "unknown receiver", "escalation names users or channels."),
    topic_of(
        "E0111",
        "unknown channel",
        "pushsrv, fallback and notification_channels name entries of channels.",
    ),
    topic_of(
        "E0113",
        "a circle",
        "depends_on and fallback must not lead back to where they began.",
    ),
    topic_of("E0114", "not one of the choices", "The message lists what can be written."),
    topic_of(
        "E0115",
        "a secret is malformed",
        "A secret is text, {file: PATH}, {env: NAME} or {credential: NAME}, exactly one of them.",
    ),
    topic_of(
        "E0116",
        "a command that needs a shell",
        "Commands run without a shell: a list of words, or text split at blanks with quotes and \
         backslash. Pipes, redirections and variables belong into a script.",
    ),
    topic_of("E0117", "two values contradict each other", "Keep the one that is meant."),
    topic_of(
        DISPLAY,
        "a display format is malformed",
        "display is a Python format string: {value}, {value:.1f}, {threshold_value}, {op_symbol}, \
         {check_name}, {metric_name}, {output}, {status}, or a field of the plugin; {{ and }} are \
         braces.",
    ),
    topic_of(
        BODY_TEMPLATE,
        "the body of a webhook is malformed",
        "body is a minijinja template over the fields of the notice as JSON: text, level, host, \
         lines, recovery, notices and so on. docs/NOTIFICATIONS.md shows them.",
    ),
    topic_of(
        UNKNOWN_KEY,
        "unknown key",
        "The key is ignored when the program starts, and check-config fails on it.",
    ),
    topic_of(
        OLD_KEY,
        "a key of the Python program",
        "It has no use here and is ignored; where another key does its work, the fix names it.",
    ),
    topic_of("W0203", "written twice", "The last one counts."),
    topic_of(
        "W0204",
        "an undeclared host",
        "depends_on names a host that is not under hosts. It may report by itself; a misspelled \
         name never will.",
    ),
    topic_of(
        "W0205",
        "an unknown user",
        "owner, managers, monitors and default_owner name users. Who is not under users may still \
         be added through the API; until then the role is empty.",
    ),
    topic_of(
        "W0206",
        "a password that is no hash",
        "hbd passwd USER prints the line to write. With anything else the user cannot sign in.",
    ),
    topic_of(
        "W0207",
        "an unknown time zone",
        "The machine's database of time zones has none of that name: it is misspelled, or the \
         package tzdata is missing. Times are shown in UTC.",
    ),
    topic_of(
        LACKING,
        "a plugin that this agent is built without",
        "hbc-mini has no zfs_monitor and no filesystem_info. The same configuration can be given to both agents.",
    ),
];
