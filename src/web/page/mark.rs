//! State as shape, word and colour: the one place that names them for the templates.

use crate::engine::view::Severity;
use serde::Serialize;

/// `key` names glyph and colour (`#g-down`, `.s-down`), `word` is read, `sign` stands in titles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Mark {
    pub key: &'static str,
    pub word: &'static str,
    pub sign: &'static str,
    /// As in URLs and the API.
    pub state: &'static str,
}

pub const fn mark(severity: Severity) -> Mark {
    let (key, word, sign) = match severity {
        Severity::Down => ("down", "Down", "■"),
        Severity::Critical => ("crit", "Critical", "◆"),
        Severity::Warning => ("warn", "Warning", "▲"),
        Severity::Late => ("late", "Late", "◌"),
        Severity::Unreachable => ("unreach", "Unreachable", "□"),
        Severity::Unknown => ("unk", "Unknown", "○"),
        Severity::Maintenance => ("maint", "Maintenance", "◍"),
        Severity::Up => ("up", "Up", "●"),
    };
    Mark { key, word, sign, state: severity.as_str() }
}
