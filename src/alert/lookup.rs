//! From a leaf of plugin data to its rule (SPEC section 3, generic matching).
//!
//! Owns the order in which names are tried, and a bounded memo of what was found, so that a leaf
//! costs one hash lookup on the datagram path and a plugin without rules costs none.

use super::path;
use super::rule::Rule;
use crate::glob;
use std::collections::HashMap;
use std::sync::Arc;

/// Longer paths are looked up anew each time: nobody writes them, and they would fill the memo.
const PATH_MEMO_MAX: usize = 128;

/// The rule of a metric.
#[derive(Clone, Copy, Debug)]
pub struct Match<'r, 'p> {
    pub rule: &'r Arc<Rule>,
    /// What was stripped from the metric's name, without the `_` after it; empty otherwise.
    pub check_name: &'p str,
}

/// Which of a plugin's rules, and how many bytes of the last path element were stripped.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Found {
    rule: u32,
    check_len: u32,
}

/// The rules of one plugin in one ruleset.
#[derive(Debug)]
pub struct PluginRules {
    plugin: Box<str>,
    rules: Vec<Arc<Rule>>,
    exact: HashMap<Box<str>, u32>,
    /// The most literal one first.
    globs: Vec<Glob>,
    /// The last bytes that the path of a metric with a rule can have, one bit each. Most leaves
    /// without a rule end here.
    last_bytes: [u64; 4],
}

/// A path with `*` or `?` in it. Keys and metric are matched apart, so that `*.percent` is the
/// `percent` of anything, and `*` alone is no nested metric.
#[derive(Debug)]
struct Glob {
    /// The path as written, container left out.
    pattern: Box<str>,
    rule: u32,
}

impl Glob {
    fn matches(&self, metric: &str, flat: bool) -> bool {
        let split = |path| if flat { ("", path) } else { path::split_last(path) };
        let ((keys, name), (metric_keys, metric_name)) = (split(&self.pattern), split(metric));
        glob::matches(name.as_bytes(), metric_name.as_bytes())
            && glob::matches(keys.as_bytes(), metric_keys.as_bytes())
    }

    fn literals(&self) -> usize {
        self.pattern.bytes().filter(|byte| !matches!(byte, b'*' | b'?')).count()
    }
}

impl PluginRules {
    pub fn new(plugin: &str) -> PluginRules {
        PluginRules {
            plugin: plugin.into(),
            rules: Vec::new(),
            exact: HashMap::new(),
            globs: Vec::new(),
            last_bytes: [0; 4],
        }
    }

    /// Adds the rule of `metric`, which is its path without the plugin.
    pub fn add(&mut self, metric: &str, rule: Arc<Rule>) {
        let index = self.rules.len() as u32;
        self.rules.push(rule);
        self.exact.insert(metric.into(), index);
        match metric.bytes().last() {
            Some(b'*' | b'?') => self.last_bytes = [u64::MAX; 4],
            Some(last) => self.last_bytes[usize::from(last >> 6)] |= 1 << (last & 63),
            None => {}
        }
        if metric.contains(['*', '?']) {
            self.globs.push(Glob { pattern: metric.into(), rule: index });
        }
    }

    /// To be called once all rules are in.
    pub fn finish(&mut self) {
        self.globs.sort_by_key(|glob| std::cmp::Reverse(glob.literals()));
    }

    /// The rule of a leaf and what was stripped from its name; `tried` is told of every name in
    /// turn. A rule that is switched off is found like any other.
    pub fn find<'p>(&self, leaf: &'p str, mut tried: impl FnMut(&str)) -> Option<Match<'_, 'p>> {
        let found = self.search(leaf, &mut tried)?;
        Some(self.resolve(leaf, found))
    }

    fn search(&self, leaf: &str, mut tried: impl FnMut(&str)) -> Option<Found> {
        let metric = path::metric_of(&self.plugin, leaf);
        tried(metric);
        if let Some(&rule) = self.exact.get(metric) {
            return Some(Found { rule, check_len: 0 });
        }
        // A host's name is one word, whatever it is made of.
        let flat = &*self.plugin == path::RTT;
        if !flat {
            let (keys, name) = path::split_last(metric);
            let mut candidate = String::new();
            for (rest, stripped) in path::stripped(name) {
                candidate.clear();
                candidate.push_str(keys);
                candidate.push_str(rest);
                tried(&candidate);
                if let Some(&rule) = self.exact.get(candidate.as_str()) {
                    return Some(Found { rule, check_len: stripped as u32 });
                }
            }
        }
        let glob = self.globs.iter().find(|glob| {
            tried(&glob.pattern);
            glob.matches(metric, flat)
        })?;
        Some(Found { rule: glob.rule, check_len: 0 })
    }

    fn resolve<'p>(&self, leaf: &'p str, found: Found) -> Match<'_, 'p> {
        let (_, name) = path::split_last(leaf);
        let check_name = name.get(..found.check_len as usize).unwrap_or_default();
        Match { rule: &self.rules[found.rule as usize], check_name }
    }

    /// False where no rule can be for this leaf.
    fn may_match(&self, leaf: &str) -> bool {
        let Some(last) = leaf.bytes().last() else { return false };
        self.last_bytes[usize::from(last >> 6)] & (1 << (last & 63)) != 0
    }
}

/// What was found lately for the leaves of one plugin. Two generations: where the newer one is full
/// it becomes the older one, whose entries are forgotten unless they are asked for again. So names
/// that somebody makes up push out nothing that is in use.
#[derive(Debug, Default)]
pub struct Memo {
    newer: HashMap<Box<str>, Option<Found>>,
    older: HashMap<Box<str>, Option<Found>>,
}

impl Memo {
    const GENERATION_MAX: usize = 1024;

    fn get(&mut self, leaf: &str) -> Option<Option<Found>> {
        if let Some(found) = self.newer.get(leaf) {
            return Some(*found);
        }
        let (leaf, found) = self.older.remove_entry(leaf)?;
        self.put(leaf, found);
        Some(found)
    }

    fn put(&mut self, leaf: Box<str>, found: Option<Found>) {
        if self.newer.len() >= Memo::GENERATION_MAX {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(leaf, found);
    }
}

/// One plugin's rules with their memo, for the leaves of one message.
#[derive(Debug)]
pub struct Scope<'r> {
    pub(super) rules: &'r PluginRules,
    pub(super) memo: &'r mut Memo,
}

impl<'r> Scope<'r> {
    /// The rule of a leaf by its path within the plugin's data (`partitions./.percent`), `None`
    /// where it has none or where it is switched off.
    pub fn find<'p>(&mut self, leaf: &'p str) -> Option<Match<'r, 'p>> {
        if !self.rules.may_match(leaf) {
            return None;
        }
        let found = match self.memo.get(leaf) {
            Some(found) => found,
            None => {
                let found = self.rules.search(leaf, |_| {});
                if leaf.len() <= PATH_MEMO_MAX {
                    self.memo.put(leaf.into(), found);
                }
                found
            }
        };
        let found = self.rules.resolve(leaf, found?);
        found.rule.enabled.then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memo_over_its_limit_keeps_what_is_in_use() {
        let mut memo = Memo::default();
        memo.put("used".into(), Some(Found { rule: 7, check_len: 0 }));
        for i in 0..5 * Memo::GENERATION_MAX {
            memo.put(format!("made up {i}").into(), None);
            if i % 100 == 0 {
                assert_eq!(memo.get("used"), Some(Some(Found { rule: 7, check_len: 0 })), "{i}");
            }
            assert!(memo.newer.len() <= Memo::GENERATION_MAX);
            assert!(memo.older.len() <= Memo::GENERATION_MAX);
        }
        assert_eq!(memo.get("made up 1"), None);
    }
}
