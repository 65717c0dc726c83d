//! `thresholds`: the limits that count for a host, each with where it was written.

use super::host::find;
use super::ok;
use crate::alert::{Rule, Ruleset};
use crate::engine::view::Value;
use crate::web::{Answer, Call};
use serde::Serialize;

/// One entry as it counts, defaults filled in.
#[derive(Serialize)]
struct EntryJson<'a> {
    entry: &'a str,
    warning: serde_json::Value,
    critical: serde_json::Value,
    operator: &'static str,
    hysteresis: f64,
    display: Option<&'a str>,
    /// Seconds.
    r#for: f64,
    enabled: bool,
    /// The profile that wrote it last; null for `thresholds` itself.
    profile: Option<&'a str>,
    origin: OriginJson<'a>,
}

/// A line of a configuration file.
#[derive(Serialize)]
pub struct OriginJson<'a> {
    file: &'a str,
    line: u32,
}

impl<'a> OriginJson<'a> {
    pub fn of(rule: &'a Rule) -> OriginJson<'a> {
        OriginJson { file: &rule.origin.file, line: rule.origin.line }
    }
}

/// `GET thresholds?host=H`; without a host those of one that is not in the configuration.
pub fn list(call: &Call<'_>) -> Answer {
    #[derive(Serialize)]
    struct List<'a> {
        host: Option<&'a str>,
        profiles: &'a [String],
        thresholds: Vec<EntryJson<'a>>,
    }
    let config = &call.context.config;
    let host = call.query.get("host").map(|name| find(&call.context.view, name)).transpose()?;
    let declared = host.and_then(|host| config.hosts.get(&*host.name));
    let profiles = declared.map_or(&[][..], |declared| &declared.threshold_config);
    let rules = Ruleset::compile(config, profiles);
    let thresholds = rules.rules().map(|rule| entry(rule)).collect();
    ok(&List { host: host.map(|host| &*host.name), profiles, thresholds })
}

fn entry(rule: &Rule) -> EntryJson<'_> {
    let limit = |limit: &Option<_>| limit.as_ref().map_or(Value::Null, Value::of_limit).to_json();
    EntryJson {
        entry: &rule.path,
        warning: limit(&rule.warning),
        critical: limit(&rule.critical),
        operator: rule.operator.as_str(),
        hysteresis: rule.hysteresis,
        display: rule.display.as_deref(),
        r#for: rule.hold.as_secs_f64(),
        enabled: rule.enabled,
        profile: rule.profile.as_deref(),
        origin: OriginJson::of(rule),
    }
}
