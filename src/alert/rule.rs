//! The rules of a host: the entries of its profiles laid over one another (SPEC section 3).
//!
//! Owns the merging and where each rule came from. Judging a value is `level`'s, finding the rule
//! of a metric is `lookup`'s.

use super::lookup::PluginRules;
use super::path;
use crate::config::server::{Entry, Limit, Operator, Origin, Server, Step, Thresholds};
use crate::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The profile that counts for every host where it is there.
const DEFAULT_PROFILE: &str = "default";
const HYSTERESIS: f64 = 0.02;

/// One entry as it counts for a host, defaults filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// The path of the entry, containers left out; `nagios_runner.status_code` also where it
    /// matched a longer name.
    pub path: Box<str>,
    /// Unused with `nagios`.
    pub warning: Option<Limit>,
    pub critical: Option<Limit>,
    pub operator: Operator,
    /// Fraction, 0..1.
    pub hysteresis: f64,
    /// A Python format string.
    pub display: Option<Box<str>>,
    /// How long a level must hold before it is raised (`for`).
    pub hold: Duration,
    /// `None`: the host's, or the server's.
    pub escalation: Option<Vec<Step>>,
    /// False: switched off. Such a rule still ends a lookup, so that no generic one takes its
    /// place.
    pub enabled: bool,
    /// The profile that wrote it last; `None` for `thresholds` itself.
    pub profile: Option<Box<str>>,
    /// Where that is.
    pub origin: Origin,
}

impl Rule {
    fn new(path: &str, merged: &Entry, profile: Option<&str>) -> Rule {
        Rule {
            path: path.into(),
            warning: merged.warning.clone(),
            critical: merged.critical.clone(),
            operator: merged.effective_operator(),
            hysteresis: merged.hysteresis.unwrap_or(HYSTERESIS),
            display: merged.display.as_deref().map(Box::from),
            hold: merged.hold.unwrap_or_default(),
            escalation: merged.escalation.clone(),
            enabled: merged.enabled.unwrap_or(true),
            profile: profile.map(Box::from),
            origin: merged.origin.clone(),
        }
    }

    /// Whether it can raise anything at all.
    fn has_limit(&self) -> bool {
        self.operator == Operator::Nagios || self.warning.is_some() || self.critical.is_some()
    }
}

/// Everything that counts for hosts with the same profiles. Immutable; share it.
#[derive(Debug, Default)]
pub struct Ruleset {
    /// By path.
    rules: Vec<Arc<Rule>>,
    /// By plugin, `rtt` among them.
    plugins: BTreeMap<Box<str>, PluginRules>,
}

impl Ruleset {
    /// `thresholds`, then the profile `default` if there is one, then `profiles` from left to
    /// right, each laid over what is there key by key. A profile that is not configured is passed
    /// over: the configuration's check has reported it.
    pub fn compile(config: &Server, profiles: &[String]) -> Ruleset {
        let layers = std::iter::once(DEFAULT_PROFILE)
            .chain(profiles.iter().map(String::as_str))
            .filter_map(|name| Some((Some(name), config.threshold_configs.get(name)?)));
        let mut merged: BTreeMap<String, (Entry, Option<&str>)> = BTreeMap::new();
        for (profile, layer) in std::iter::once((None, &config.thresholds)).chain(layers) {
            lay_over(&mut merged, profile, layer);
        }
        let rules = merged.iter().map(|(path, (entry, by))| Rule::new(path, entry, *by));
        let rules: Vec<Arc<Rule>> =
            rules.filter(|rule| rule.has_limit() || !rule.enabled).map(Arc::new).collect();
        let mut plugins: BTreeMap<Box<str>, PluginRules> = BTreeMap::new();
        for rule in &rules {
            if let Some((plugin, metric)) = rule.path.split_once('.') {
                let of_plugin =
                    plugins.entry(plugin.into()).or_insert_with(|| PluginRules::new(plugin));
                of_plugin.add(metric, rule.clone());
            }
        }
        plugins.values_mut().for_each(PluginRules::finish);
        Ruleset { rules, plugins }
    }

    /// All rules by path, those that are switched off included.
    pub fn rules(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.rules.iter()
    }

    /// The rules of one plugin, `None` where it has none.
    pub(super) fn plugin(&self, plugin: &str) -> Option<&PluginRules> {
        self.plugins.get(plugin)
    }

    pub(super) fn plugin_names(&self) -> impl Iterator<Item = &str> {
        self.plugins.keys().map(|name| &**name)
    }
}

fn lay_over<'p>(
    merged: &mut BTreeMap<String, (Entry, Option<&'p str>)>,
    profile: Option<&'p str>,
    layer: &Thresholds,
) {
    for (written, entry) in layer {
        let path = path::canonical(written).into_owned();
        let over = match merged.get(&path) {
            Some((base, _)) => base.merged(entry),
            None => entry.clone(),
        };
        merged.insert(path, (over, profile));
    }
}
