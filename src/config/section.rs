//! A section of the configuration against the table of its keys: unknown keys, types, ranges.
//!
//! Owns the description of a key and the collecting of problems. Never stops at the first one.

use super::node::{self, Node, Span, Value};
use super::problem::{Note, Problem, UNKNOWN_KEY, nearest, quoted};
use super::{Document, scalar};
use std::path::PathBuf;
use std::time::Duration;

/// One key of a section. `default` is what an absent key means, as a person would write it.
#[derive(Clone, Copy)]
pub struct Key {
    pub name: &'static str,
    pub kind: Kind,
    pub default: &'static str,
    /// Whether a reload applies it.
    pub live: bool,
}

/// What a key takes. Ranges are inclusive.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Kind {
    Bool,
    /// 0 picks a free one.
    Port,
    /// `null` switches it off.
    PortOrOff,
    Int(i64, i64),
    Number(f64, f64),
    /// Seconds.
    Duration(u64, u64),
    /// Bytes.
    Size,
    /// Bytes at most.
    Text(usize),
    Path,
    FileName,
    Url,
    HostName,
    Secret,
    Choice(&'static [&'static str]),
    /// A list; one value stands for a list of one.
    List(&'static str),
    /// A section or a value of its own form.
    Section,
}

pub const fn live(name: &'static str, kind: Kind, default: &'static str) -> Key {
    Key { name, kind, default, live: true }
}

pub const fn fixed(name: &'static str, kind: Kind, default: &'static str) -> Key {
    Key { name, kind, default, live: false }
}

/// A value that was refused.
pub struct Fault {
    pub code: &'static str,
    pub what: String,
    pub fix: String,
}

/// Problems collected at most; one file can hold no more than anybody reads.
const COLLECTED_MAX: usize = 1000;

/// Collects the problems of one check.
pub struct Report<'a> {
    documents: &'a [Document],
    pub problems: Vec<Problem>,
}

/// A value with its key path.
#[derive(Clone)]
pub struct At<'n> {
    pub node: &'n Node,
    pub path: String,
    pub secret: bool,
    /// The place of its key, which shows a section better than the section's first line.
    pub key: Option<Span>,
}

impl<'a> Report<'a> {
    pub fn new(documents: &'a [Document]) -> Report<'a> {
        Report { documents, problems: Vec::new() }
    }

    pub fn fault(&mut self, at: &At<'_>, fault: Fault) {
        let problem = self.problem(fault, at.place(), &at.path);
        self.push(Problem { secret: at.secret, ..problem });
    }

    pub fn error(&mut self, at: &At<'_>, code: &'static str, what: String, fix: &str) {
        self.fault(at, Fault { code, what, fix: fix.to_owned() });
    }

    /// An error of the key's name and not of its value.
    pub fn name_error(&mut self, at: &At<'_>, what: String, fix: &str) {
        let fault = Fault { code: "E0106", what, fix: fix.to_owned() };
        let span = at.key.unwrap_or(at.node.span);
        let problem = self.problem(fault, span, &at.path);
        self.push(problem);
    }

    /// An error that a second place explains; the note is dropped where it is in another file.
    pub fn error_with_note(&mut self, at: &At<'_>, fault: Fault, place: Span, text: &str) {
        let mut problem = self.problem(fault, at.place(), &at.path);
        if place.document == at.node.span.document && place.line > 0 {
            let Span { line, column, length, .. } = place;
            problem.note = Some(Note { line, column, length, text: text.to_owned() });
        }
        self.push(problem);
    }

    pub fn warn(&mut self, span: Span, path: &str, code: &'static str, what: String, fix: &str) {
        let fault = Fault { code, what, fix: fix.to_owned() };
        let problem = self.problem(fault, span, path);
        self.push(problem);
    }

    /// A warning about a secret, which is not shown.
    pub fn warn_secret(&mut self, at: &At<'_>, code: &'static str, what: String, fix: &str) {
        let problem = self.problem(Fault { code, what, fix: fix.to_owned() }, at.place(), &at.path);
        self.push(Problem { secret: true, ..problem });
    }

    /// The name of the file that a place is in.
    pub fn file(&self, span: Span) -> String {
        let document = self.documents.get(usize::from(span.document));
        document.map(|document| document.file.clone()).unwrap_or_default()
    }

    fn problem(&self, fault: Fault, span: Span, path: &str) -> Problem {
        let problem = Problem::new(fault.code, &self.file(span), span, fault.what, &fault.fix);
        Problem { key: path.to_owned(), ..problem }
    }

    fn push(&mut self, problem: Problem) {
        if self.problems.len() < COLLECTED_MAX {
            self.problems.push(problem);
        }
    }
}

impl<'n> At<'n> {
    pub fn new(node: &'n Node, path: &str) -> At<'n> {
        At { node, path: path.to_owned(), secret: false, key: None }
    }

    pub fn child(&self, key: &node::Key, node: &'n Node) -> At<'n> {
        let dot = if self.path.is_empty() { "" } else { "." };
        let path = format!("{}{dot}{}", self.path, key.text);
        At { node, path, secret: self.secret, key: Some(key.span) }
    }

    /// The value under `name` where this is a section that has it and it is not null.
    pub fn get(&self, name: &str) -> Option<At<'n>> {
        let (key, node) = self.node.entry(name)?;
        (!node.is_null()).then(|| self.child(key, node))
    }

    /// Where a problem with the value is shown.
    pub fn place(&self) -> Span {
        let span = self.node.span;
        let at_key = match &self.node.value {
            Value::Map(_) | Value::List(_) | Value::Null => true,
            // The place of an empty `>` or `|` is the line after it.
            Value::Text(text) => text.is_empty(),
            _ => false,
        };
        let key = self.key.filter(|key| at_key && key.document == span.document);
        key.unwrap_or(span)
    }

    /// The items of a list; one value is a list of one, nothing is an empty list.
    pub fn items(&self) -> Vec<At<'n>> {
        match &self.node.value {
            Value::Null => Vec::new(),
            Value::List(items) => {
                let item = |(i, node)| At {
                    node,
                    path: format!("{}[{i}]", self.path),
                    secret: self.secret,
                    key: None,
                };
                items.iter().enumerate().map(item).collect()
            }
            _ => vec![self.clone()],
        }
    }

    /// The last name of the path, as messages quote it.
    pub fn name(&self) -> &str {
        let start = self.path.rfind('.').map_or(0, |dot| dot + 1);
        if self.path.is_empty() { "the file" } else { &self.path[start..] }
    }

    /// The entries of a section whose names are the user's; nothing is an empty section.
    pub fn entries(&self, report: &mut Report<'_>) -> &'n [(node::Key, Node)] {
        match &self.node.value {
            Value::Map(entries) => entries,
            Value::Null => &[],
            _ => {
                report.fault(self, scalar::wrong(self, "a section of names, each with its keys"));
                &[]
            }
        }
    }
}

/// A section whose keys are known.
pub struct Section<'n> {
    at: At<'n>,
    keys: &'static [Key],
}

impl<'n> Section<'n> {
    /// Opens a section and reports its unknown keys. `None` where it is none.
    pub fn open(report: &mut Report<'_>, at: &At<'n>, keys: &'static [Key]) -> Option<Section<'n>> {
        Section::open_with(report, at, keys, |_, _| false)
    }

    /// As [`Section::open`]; `other` may take keys that are not in the table.
    pub fn open_with(
        report: &mut Report<'_>,
        at: &At<'n>,
        keys: &'static [Key],
        mut other: impl FnMut(&mut Report<'_>, &node::Key) -> bool,
    ) -> Option<Section<'n>> {
        match &at.node.value {
            Value::Map(entries) => {
                for (key, _) in entries {
                    let known = keys.iter().any(|k| k.name == key.text);
                    if !known && !other(report, key) {
                        unknown_key(report, at, key, keys);
                    }
                }
            }
            Value::Null => {}
            _ => {
                report.fault(at, scalar::wrong(at, "a section of keys"));
                return None;
            }
        }
        Some(Section { at: at.clone(), keys })
    }

    pub fn at(&self) -> &At<'n> {
        &self.at
    }

    /// Whether the key is written, `null` included.
    pub fn has(&self, name: &str) -> bool {
        self.at.node.get(name).is_some()
    }

    /// The value under a key of the table, where it is not null.
    pub fn get(&self, name: &str) -> Option<At<'n>> {
        let at = self.at.get(name)?;
        let secret = at.secret || self.kind(name) == Kind::Secret;
        Some(At { secret, ..at })
    }

    fn kind(&self, name: &str) -> Kind {
        let key = self.keys.iter().find(|key| key.name == name);
        debug_assert!(key.is_some(), "{name} is not in its table");
        key.map_or(Kind::Section, |key| key.kind)
    }

    /// Reads one value with `parse`; a fault is reported and counts as absent.
    pub fn read<T>(
        &self,
        report: &mut Report<'_>,
        name: &str,
        parse: impl FnOnce(&At<'n>) -> Result<T, Fault>,
    ) -> Option<T> {
        let at = self.get(name)?;
        parse(&at).map_err(|fault| report.fault(&at, fault)).ok()
    }

    /// Reads a list with `parse` for each item; items at fault are reported and left out.
    pub fn list<T>(
        &self,
        report: &mut Report<'_>,
        name: &str,
        parse: impl Fn(&At<'n>) -> Result<T, Fault>,
    ) -> Option<Vec<T>> {
        let mut out = Vec::new();
        for item in self.get(name)?.items() {
            match parse(&item) {
                Ok(value) => out.push(value),
                Err(fault) => report.fault(&item, fault),
            }
        }
        Some(out)
    }

    pub fn bool(&self, report: &mut Report<'_>, name: &str) -> Option<bool> {
        self.read(report, name, scalar::boolean)
    }

    pub fn int(&self, report: &mut Report<'_>, name: &str) -> Option<i64> {
        let (min, max) = match self.kind(name) {
            Kind::Int(min, max) => (min, max),
            _ => (0, i64::from(u16::MAX)),
        };
        self.read(report, name, |at| scalar::int(at, min, max))
    }

    pub fn number(&self, report: &mut Report<'_>, name: &str) -> Option<f64> {
        let (min, max) = match self.kind(name) {
            Kind::Number(min, max) => (min, max),
            _ => (f64::MIN, f64::MAX),
        };
        self.read(report, name, |at| scalar::number(at, min, max))
    }

    pub fn port(&self, report: &mut Report<'_>, name: &str) -> Option<u16> {
        self.int(report, name).and_then(|port| u16::try_from(port).ok())
    }

    pub fn duration(&self, report: &mut Report<'_>, name: &str) -> Option<Duration> {
        let (min, max) = match self.kind(name) {
            Kind::Duration(min, max) => (min, max),
            _ => (0, scalar::DURATION_MAX),
        };
        self.read(report, name, |at| scalar::duration(at, min, max))
    }

    pub fn size(&self, report: &mut Report<'_>, name: &str) -> Option<u64> {
        self.read(report, name, scalar::size)
    }

    pub fn text(&self, report: &mut Report<'_>, name: &str) -> Option<String> {
        let max = match self.kind(name) {
            Kind::Text(max) => max,
            _ => scalar::TEXT_MAX,
        };
        self.read(report, name, |at| scalar::text(at, max))
    }

    pub fn path(&self, report: &mut Report<'_>, name: &str) -> Option<PathBuf> {
        self.read(report, name, scalar::path)
    }

    pub fn choice(&self, report: &mut Report<'_>, name: &str) -> Option<&'static str> {
        let Kind::Choice(choices) = self.kind(name) else { return None };
        self.read(report, name, |at| scalar::choice(at, choices))
    }

    pub fn texts(&self, report: &mut Report<'_>, name: &str) -> Option<Vec<String>> {
        self.list(report, name, |at| scalar::text(at, scalar::TEXT_MAX))
    }

    pub fn secret(&self, report: &mut Report<'_>, name: &str) -> Option<super::secret::Secret> {
        self.read(report, name, scalar::secret)
    }

    /// Reports a required key that is absent.
    pub fn require(&self, report: &mut Report<'_>, name: &str, fix: &str) {
        if self.get(name).is_none() {
            let what = format!("{} is missing from {}", quoted(name), quoted(self.at.name()));
            report.error(&self.at, "E0105", what, fix);
        }
    }
}

fn unknown_key(report: &mut Report<'_>, at: &At<'_>, key: &node::Key, keys: &'static [Key]) {
    let dot = if at.path.is_empty() { "" } else { "." };
    let path = format!("{}{dot}{}", at.path, key.text);
    let what = format!("unknown key {}, ignored", quoted(&key.text));
    let fix = match nearest(&key.text, keys.iter().map(|k| k.name)) {
        Some(name) => format!("did you mean {name}?"),
        None => match keys {
            [only] => format!("put it under {}", only.name),
            _ => "remove it".to_owned(),
        },
    };
    report.warn(key.span, &path, UNKNOWN_KEY, what, &fix);
}
