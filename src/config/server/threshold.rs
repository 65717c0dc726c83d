//! `thresholds` and `threshold_configs`: the entries as written, by metric path.
//!
//! Owns their reading and the checks that need no host. Merging the profiles of a host and looking
//! a metric up is the alert layer's.

use super::escalation::{self, Step};
use super::{Origin, Server, key};
use crate::config::node::{self, Node, Value};
use crate::config::problem::{DISPLAY, DISPLAY_FIX, nearest, quoted};
use crate::config::scalar;
use crate::config::section::{At, Fault, Report, Section};
use std::collections::BTreeMap;
use std::time::Duration;

/// Entries by metric path as SPEC section 3 writes it (`disk_monitor./.percent`): containers left
/// out, host names in lower case.
pub type Thresholds = BTreeMap<String, Entry>;

/// One entry as written; absent keys are inherited.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry {
    /// The path's elements; an element may hold dots.
    pub path: Vec<String>,
    pub warning: Option<Limit>,
    pub critical: Option<Limit>,
    pub operator: Option<Operator>,
    /// Fraction, 0..1.
    pub hysteresis: Option<f64>,
    pub display: Option<String>,
    /// How long it must hold before it raises (`for`).
    pub hold: Option<Duration>,
    pub enabled: Option<bool>,
    pub escalation: Option<Vec<Step>>,
    pub origin: Origin,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Limit {
    Number(f64),
    /// A number written without a point or an exponent: templates show it as it was written.
    Integer(i64),
    Text(String),
    Bool(bool),
}

impl Limit {
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Limit::Number(number) => Some(*number),
            Limit::Integer(number) => Some(*number as f64),
            Limit::Text(_) | Limit::Bool(_) => None,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operator {
    Greater,
    GreaterEqual,
    Less,
    LessEqual,
    Equal,
    NotEqual,
    Nagios,
}

impl Operator {
    const ALL: [Operator; 7] = [
        Operator::Greater,
        Operator::GreaterEqual,
        Operator::Less,
        Operator::LessEqual,
        Operator::Equal,
        Operator::NotEqual,
        Operator::Nagios,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Operator::Greater => ">",
            Operator::GreaterEqual => ">=",
            Operator::Less => "<",
            Operator::LessEqual => "<=",
            Operator::Equal => "==",
            Operator::NotEqual => "!=",
            Operator::Nagios => "nagios",
        }
    }

    pub fn parse(text: &str) -> Option<Operator> {
        Operator::ALL.into_iter().find(|operator| operator.as_str() == text)
    }

    /// Whether two limits of it have an order: `Some(true)` where critical is the higher one.
    pub const fn ascending(self) -> Option<bool> {
        match self {
            Operator::Greater | Operator::GreaterEqual => Some(true),
            Operator::Less | Operator::LessEqual => Some(false),
            Operator::Equal | Operator::NotEqual | Operator::Nagios => None,
        }
    }
}

impl Entry {
    /// This entry with the keys of `over` laid on top (SPEC section 3: merged key by key).
    pub fn merged(&self, over: &Entry) -> Entry {
        Entry {
            path: over.path.clone(),
            warning: over.warning.clone().or_else(|| self.warning.clone()),
            critical: over.critical.clone().or_else(|| self.critical.clone()),
            operator: over.operator.or(self.operator),
            hysteresis: over.hysteresis.or(self.hysteresis),
            display: over.display.clone().or_else(|| self.display.clone()),
            hold: over.hold.or(self.hold),
            enabled: over.enabled.or(self.enabled),
            escalation: over.escalation.clone().or_else(|| self.escalation.clone()),
            origin: over.origin.clone(),
        }
    }

    /// The operator that counts: `>` where none is written.
    pub fn effective_operator(&self) -> Operator {
        self.operator.unwrap_or(Operator::Greater)
    }
}

/// `thresholds:` of the server; `threshold_renotify_interval` is also read in it.
pub(super) fn check_base(
    report: &mut Report<'_>,
    at: &At<'_>,
    server: &mut Server,
    interval_is_set: bool,
) {
    let name = "threshold_renotify_interval";
    if let Some(at) = at.get(name) {
        match scalar::duration(&at, 0, scalar::DURATION_MAX) {
            Ok(interval) if !interval_is_set => server.threshold_renotify_interval = interval,
            Ok(_) => {}
            Err(fault) => report.fault(&at, fault),
        }
    }
    let mut limitless = Vec::new();
    let found = Thresholds::new();
    let mut walk = Walk { report, base: None, found, skip: Some(name), limitless: &mut limitless };
    walk.nest(at, &mut Vec::new());
    server.thresholds = walk.found;
    limitless.iter().for_each(|(_, at)| report_limitless(report, at));
}

/// `threshold_configs:`; entries are judged as they are when laid over `base` and the profile
/// `default`.
pub(super) fn check_profiles(
    report: &mut Report<'_>,
    at: &At<'_>,
    base: &Thresholds,
) -> BTreeMap<String, Thresholds> {
    let mut profiles = BTreeMap::new();
    let mut base = base.clone();
    let mut limitless = Vec::new();
    let mut entries: Vec<&(node::Key, Node)> = at.entries(report).iter().collect();
    entries.sort_by_key(|(key, _)| key.text != "default");
    for (key, node) in entries {
        let profile = at.child(key, node);
        let section = Section::open(report, &profile, key::PROFILE);
        let found = match section.and_then(|section| section.get("thresholds")) {
            Some(at) => {
                let found = Thresholds::new();
                let limitless = &mut limitless;
                let mut walk = Walk { report, base: Some(&base), found, skip: None, limitless };
                walk.nest(&at, &mut Vec::new());
                walk.found
            }
            None => Thresholds::new(),
        };
        if key.text == "default" {
            for (path, entry) in &found {
                let merged = base.get(path).map_or_else(|| entry.clone(), |b| b.merged(entry));
                base.insert(path.clone(), merged);
            }
        }
        profiles.insert(key.text.clone(), found);
    }
    // A profile may change an entry of another one, which then has the limits.
    for (path, at) in limitless {
        let with_limits = |entry: &Entry| entry.warning.is_some() || entry.critical.is_some();
        let mut sets = profiles.values();
        if !sets.any(|set| set.get(&path).is_some_and(with_limits)) {
            report_limitless(report, &at);
        }
    }
    profiles
}

fn report_limitless(report: &mut Report<'_>, at: &At<'_>) {
    let what = format!("{} has no limit", quoted(at.name()));
    report.error(at, "E0108", what, "add warning: NUMBER or critical: NUMBER");
}

struct Walk<'r, 'd, 'b, 'n> {
    report: &'r mut Report<'d>,
    /// What a profile's entries are laid over; `None` for the base itself.
    base: Option<&'b Thresholds>,
    found: Thresholds,
    /// A key at the top that is not a metric.
    skip: Option<&'static str>,
    /// Entries that have no limit by themselves.
    limitless: &'r mut Vec<(String, At<'n>)>,
}

impl<'n> Walk<'_, '_, '_, 'n> {
    fn nest(&mut self, at: &At<'n>, path: &mut Vec<String>) {
        for (key, node) in at.entries(self.report) {
            if path.is_empty() && Some(key.text.as_str()) == self.skip {
                continue;
            }
            let before = path.len();
            // "cpu_monitor.cpu_percent" in one key, as paths are written elsewhere.
            match key.text.split_once('.').filter(|_| path.is_empty()) {
                Some((plugin, rest)) => path.extend([plugin.to_owned(), rest.to_owned()]),
                None => path.push(key.text.clone()),
            }
            self.value(&at.child(key, node), path, key);
            path.truncate(before);
        }
    }

    fn value(&mut self, at: &At<'n>, path: &mut Vec<String>, key: &node::Key) {
        match &at.node.value {
            Value::Null => {}
            Value::Map(_) if is_entry(at.node) => self.entry(at, path, key),
            Value::Map(_) => self.nest(at, path),
            _ => {
                let near = nearest(&key.text, key::ENTRY.iter().map(|key| key.name));
                let fix = match near {
                    Some(near) => format!("did you mean {near}?"),
                    None => "write {warning: NUMBER, critical: NUMBER}".to_owned(),
                };
                let fault = scalar::wrong(at, "a metric with its limits");
                self.report.fault(at, Fault { fix, ..fault });
            }
        }
    }

    fn entry(&mut self, at: &At<'n>, path: &[String], key: &node::Key) {
        let Some(section) = Section::open(self.report, at, key::ENTRY) else { return };
        let report = &mut *self.report;
        let operator = section.read(report, "operator", operator);
        let path = metric_path(path);
        let entry = Entry {
            warning: section.read(report, "warning", limit),
            critical: section.read(report, "critical", limit),
            operator,
            hysteresis: section.number(report, "hysteresis"),
            display: section.read(report, "display", display),
            hold: section.duration(report, "for"),
            enabled: section.bool(report, "enabled"),
            escalation: section.get("escalation").map(|at| escalation::check(report, &at)),
            origin: Origin { file: report.file(key.span), line: key.span.line },
            path: path.clone(),
        };
        if path.len() < 2 {
            let what = format!("{} is a plugin and not a metric", quoted(&key.text));
            report.error(at, "E0106", what, "write the metric under it: plugin: {metric: {…}}");
            return;
        }
        let path = path.join(".");
        let effective = match self.base.and_then(|base| base.get(&path)) {
            Some(base) => base.merged(&entry),
            None => entry.clone(),
        };
        if !check_limits(report, &section, &effective) {
            self.limitless.push((path.clone(), at.clone()));
        }
        if self.found.insert(path.clone(), entry).is_some() {
            let what = format!("the metric {} has two entries; the last one counts", quoted(&path));
            report.warn(key.span, &at.path, "W0203", what, "remove the one that is not meant");
        }
    }
}

/// A map with one of an entry's keys that is not itself a section.
fn is_entry(node: &Node) -> bool {
    let Value::Map(entries) = &node.value else { return false };
    entries.iter().any(|(key, node)| {
        key::ENTRY.iter().any(|known| known.name == key.text)
            && !matches!(node.value, Value::Map(_))
    })
}

/// The keys that only hold structured data in the built-in plugins, left out of metric paths; other
/// plugins keep all of theirs (SPEC section 3).
pub fn containers(plugin: &str) -> &'static [&'static str] {
    match plugin {
        "disk_monitor" => &["partitions", "io"],
        "network_monitor" => &["interfaces"],
        "ping_monitor" => &["hosts"],
        "filesystem_info" => &["filesystems"],
        "zfs_monitor" => &["pools"],
        _ => &[],
    }
}

/// The path as it is compared: containers of the built-in plugins left out, an old name replaced.
fn metric_path(written: &[String]) -> Vec<String> {
    let mut path = written.to_vec();
    let containers = path.first().map_or(&[][..], |plugin| containers(plugin));
    if path.len() > 2 && containers.contains(&path[1].as_str()) {
        path.remove(1);
    }
    match path.as_mut_slice() {
        [first, host] if first == "rtt" => host.make_ascii_lowercase(),
        [first, metric] if first == "memory_monitor" && metric == "memory_percent" => {
            "percent".clone_into(metric);
        }
        _ => {}
    }
    path
}

fn operator(at: &At<'_>) -> Result<Operator, Fault> {
    // `operator: >` without quotes begins a folded text, which is empty.
    let folded = matches!(&at.node.value, Value::Text(text) if text.trim().is_empty());
    let mut read = scalar::choice(at, key::OPERATORS);
    if let (true, Err(fault)) = (folded, &mut read) {
        fault.fix = "put it in quotes: operator: \">\"".to_owned();
    }
    read.map(|text| Operator::parse(text).unwrap_or(Operator::Greater))
}

fn limit(at: &At<'_>) -> Result<Limit, Fault> {
    match &at.node.value {
        Value::Bool(value) => Ok(Limit::Bool(*value)),
        Value::Int(value) => Ok(Limit::Integer(*value)),
        Value::Text(_) => scalar::text(at, 256).map(Limit::Text),
        _ => scalar::number(at, f64::MIN, f64::MAX).map(Limit::Number),
    }
}

/// A Python format string whose braces pair; whether its fields exist is known only at run time.
fn display(at: &At<'_>) -> Result<String, Fault> {
    let text = scalar::word(at, 512)?;
    let mut chars = text.chars().peekable();
    let mut field: Option<String> = None;
    let mut depth = 0u32;
    while let Some(c) = chars.next() {
        match (c, depth) {
            ('{' | '}', 0) if chars.peek() == Some(&c) => drop(chars.next()),
            ('{', _) => {
                depth += 1;
                field.get_or_insert_default();
            }
            ('}', 0) => return Err(bad_display("has a '}' without its '{'")),
            ('}', _) => {
                depth -= 1;
                let name = field.take().unwrap_or_default();
                if depth == 0 && name.split([':', '!']).next().is_none_or(str::is_empty) {
                    return Err(bad_display("has a field without a name"));
                }
                field = (depth > 0).then_some(name);
            }
            (c, 1..) => field.get_or_insert_default().push(c),
            _ => {}
        }
    }
    if depth == 0 { Ok(text) } else { Err(bad_display("has a '{' without its '}'")) }
}

fn bad_display(what: &str) -> Fault {
    Fault {
        code: DISPLAY,
        what: format!("the format of \"display\" {what}"),
        fix: DISPLAY_FIX.to_owned(),
    }
}

/// Limits that the operator can compare, and their order. False where there is none and must be
/// one.
fn check_limits(report: &mut Report<'_>, section: &Section<'_>, entry: &Entry) -> bool {
    let operator = entry.effective_operator();
    if operator == Operator::Nagios || entry.enabled == Some(false) {
        return true;
    }
    if entry.warning.is_none() && entry.critical.is_none() {
        // A limit that was refused has been reported.
        return ["warning", "critical"].iter().any(|key| section.get(key).is_some());
    }
    for (name, limit) in [("warning", &entry.warning), ("critical", &entry.critical)] {
        let comparable = limit.as_ref().is_none_or(|limit| limit.as_number().is_some());
        if let (Some(_), false, Some(at)) = (operator.ascending(), comparable, section.get(name)) {
            let fault =
                scalar::wrong(&at, &format!("a number for operator \"{}\"", operator.as_str()));
            let fix = "write a number, or use operator \"==\" or \"!=\"".to_owned();
            report.fault(&at, Fault { fix, ..fault });
        }
    }
    check_order(report, section, entry, operator);
    true
}

fn check_order(report: &mut Report<'_>, section: &Section<'_>, entry: &Entry, operator: Operator) {
    let number = |limit: &Option<Limit>| limit.as_ref().and_then(Limit::as_number);
    let (Some(warning), Some(critical), Some(ascending)) =
        (number(&entry.warning), number(&entry.critical), operator.ascending())
    else {
        return;
    };
    if if ascending { warning <= critical } else { warning >= critical } {
        return;
    }
    let (order, low, other) = if ascending {
        ("less", "smaller", "swap them, or set operator: \"<\" if low values are bad")
    } else {
        ("greater", "greater", "swap them, or set operator: \">\" if high values are bad")
    };
    let symbol = operator.as_str();
    let what = format!("\"warning\" must be {order} than \"critical\" for operator \"{symbol}\"");
    let fault = Fault { code: "E0107", what, fix: other.to_owned() };
    match (section.get("warning"), section.get("critical")) {
        (Some(at), Some(note)) => {
            let text = format!("{low} than warning");
            report.error_with_note(&at, fault, note.node.span, &text);
        }
        // The other limit is inherited.
        (Some(at), None) | (None, Some(at)) => report.fault(&at, fault),
        (None, None) => report.fault(section.at(), fault),
    }
}
