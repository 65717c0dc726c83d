//! `escalation`: who is told when nobody reacted, on the server, a host or a threshold entry.

use super::key;
use crate::config::node::Value;
use crate::config::scalar;
use crate::config::section::{At, Report, Section};
use std::time::Duration;

/// One step: after so long, these too.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub after: Duration,
    /// Users or channels.
    pub to: Vec<String>,
    /// The least level that the step is for.
    pub level: Level,
}

/// How bad a notice is, in ascending order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Level {
    Info,
    Warning,
    Unknown,
    Critical,
}

impl Level {
    pub const fn as_str(self) -> &'static str {
        match self {
            Level::Info => "info",
            Level::Warning => "warning",
            Level::Unknown => "unknown",
            Level::Critical => "critical",
        }
    }

    pub fn parse(text: &str) -> Option<Level> {
        let all = [Level::Info, Level::Warning, Level::Unknown, Level::Critical];
        all.into_iter().find(|level| level.as_str() == text)
    }
}

/// The steps, in the order of their time.
pub(super) fn check(report: &mut Report<'_>, at: &At<'_>) -> Vec<Step> {
    let mut steps: Vec<Step> =
        at.items().iter().filter_map(|item| check_one(report, item)).collect();
    steps.sort_by_key(|step| step.after);
    steps
}

fn check_one(report: &mut Report<'_>, at: &At<'_>) -> Option<Step> {
    if !matches!(at.node.value, Value::Map(_)) {
        report.fault(at, scalar::wrong(at, "a step such as {after: 15m, to: [alice]}"));
        return None;
    }
    let section = Section::open(report, at, key::STEP)?;
    section.require(report, "after", "add after: 15m");
    section.require(report, "to", "add to: [USER or CHANNEL]");
    let level = section.choice(report, "level").and_then(Level::parse);
    let to = section.list(report, "to", |at| scalar::word(at, 64));
    let after = section.duration(report, "after")?;
    Some(Step { after, to: to?, level: level.unwrap_or(Level::Warning) })
}
