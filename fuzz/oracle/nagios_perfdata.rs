//! What must hold of `collect::nagios` for every output of a check.

use heartbeat::collect::nagios::{self, PERF_MAX, Perf, Range};
use heartbeat::limits;
use std::collections::HashSet;

/// Remembers values that it has seen: what must hold of one value depends on nothing around it, and
/// an output and its damaged copies have nearly all values in common.
#[derive(Default)]
pub struct Oracle {
    seen: HashSet<String>,
}

/// Values remembered; then it begins anew.
const SEEN_MAX: usize = 1 << 16;

impl Oracle {
    /// Panics where a property does not hold.
    pub fn check(&mut self, bytes: &[u8]) {
        let output = String::from_utf8_lossy(bytes);
        let parsed = nagios::parse(&output);
        assert!(!parsed.text.contains(['\n', '|']), "the text is the first line");
        assert_eq!(parsed.text, parsed.text.trim());
        assert!(parsed.perf.len() <= PERF_MAX);
        for perf in &parsed.perf {
            let limits = [&perf.warn, &perf.crit].into_iter().flatten();
            let limits = limits.filter_map(|limit| match limit {
                Range::Number(number) => Some(*number),
                Range::Text(_) => None,
            });
            let numbers = [perf.value, perf.min, perf.max].into_iter().flatten().chain(limits);
            numbers.for_each(|number| assert!(number.is_finite(), "{perf:?}"));
            let value = perf.value.map_or(u64::MAX, f64::to_bits);
            let known = format!("{value} {} {}", perf.unit, perf.label);
            if !self.seen.contains(&known) {
                check_value(perf);
                if self.seen.len() >= SEEN_MAX {
                    self.seen.clear();
                }
                self.seen.insert(known);
            }
        }
    }
}

/// Of label, unit and value alone.
fn check_value(perf: &Perf<'_>) {
    assert!(!perf.label.is_empty() && !perf.unit.contains(char::is_whitespace), "{perf:?}");
    for bytes_max in [1, 23, limits::KEY_MAX] {
        let key = nagios::key_of(&perf.label, bytes_max);
        assert!(!key.is_empty() && key.len() <= bytes_max.max(5), "{key}");
        assert!(key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-/".contains(&b)), "{key}");
    }
    written_again_is_the_same(perf);
}

/// In the plainest form of the guidelines a value says the same once more.
fn written_again_is_the_same(perf: &Perf<'_>) {
    let Some(value) = perf.value else { return };
    // A unit that goes on like a number cannot be told from one.
    if perf.label.contains(['|', '\n']) || perf.unit.starts_with(['e', 'E', '.', ',']) {
        return;
    }
    let label = perf.label.replace('\'', "''");
    let text = format!("x|'{label}'={value:?}{}", perf.unit);
    let parsed = nagios::parse(&text);
    let [again] = parsed.perf.as_slice() else { panic!("{text}: {parsed:?}") };
    let read = again.value.expect("a number");
    let close = (read - value).abs() <= value.abs() * 1e-9 + 1e-9;
    assert!(close && again.label == perf.label && again.unit == perf.unit, "{text}: {again:?}");
}
