//! The part of the settings about limits: which counts for a metric, where it was written, what was tried before, who
//! is told; and a value to try it with.

use super::number;
use super::settings::{Cell, Grid, Section};
use crate::alert::{Rule, Ruleset};
use crate::config::server::{Limit, Server};
use crate::engine::view::{Host, Value, View};
use crate::web::Call;
use crate::web::api::{explain, find_host};
use crate::web::query;
use crate::web::why::amount;
use serde::Serialize;

const NAMES_MAX: usize = 300;
const ENTRIES_MAX: usize = 300;
/// Hosts of a profile that are named.
const PROFILE_HOSTS: usize = 8;
const COLUMNS: usize = 24;
const HEIGHT: f64 = 60.0;
/// Of an entry that does not say its own.
const HYSTERESIS: f64 = 0.02;
const WIDTH: f64 = 480.0;

/// The question and its answer.
#[derive(Default, Serialize)]
pub struct Explain {
    pub host: String,
    pub metric: String,
    pub value: String,
    /// `disk_monitor./.percent of db-01: warning 75, critical 88`
    pub sentence: String,
    pub pairs: Vec<(&'static str, String)>,
    pub tried: Vec<String>,
    pub state: Option<(&'static str, &'static str)>,
    pub text: Option<String>,
    pub receivers: Vec<String>,
    pub silences: Vec<String>,
    pub problem: Option<String>,
    pub spread: Option<Spread>,
}

/// The values of a metric over the fleet, with the limits drawn.
#[derive(Serialize)]
pub struct Spread {
    pub label: String,
    /// Left edge, top, width, height.
    pub bars: Vec<(String, String, String, String)>,
    /// Class, place, text.
    pub limits: Vec<(&'static str, String, String)>,
    pub least: String,
    pub most: String,
}

/// Hosts and metrics to choose from.
pub fn names(call: &Call<'_>) -> Vec<String> {
    let view = &call.context.view;
    view.names.iter().take(NAMES_MAX).map(|(name, _)| name.to_string()).collect()
}

pub fn explain_of(call: &Call<'_>) -> Option<Explain> {
    let text = |name: &str| call.query.get(name).unwrap_or_default().trim().to_owned();
    let mut answer = Explain {
        host: text("host"),
        metric: text("metric"),
        value: text("value"),
        ..Explain::default()
    };
    if answer.host.is_empty() && answer.metric.is_empty() {
        return Some(answer);
    }
    let view = &call.context.view;
    let host = match find_host(view, &answer.host) {
        Ok(host) => host,
        Err(problem) => {
            answer.problem = Some(problem.detail.clone());
            return Some(answer);
        }
    };
    if answer.metric.is_empty() {
        answer.problem = Some("Which metric? Choose one of the table below.".to_owned());
        return Some(answer);
    }
    let value = (!answer.value.is_empty()).then(|| parse(&answer.value));
    match explain(view, &call.context.config, host, &answer.metric, value) {
        Ok(found) => {
            let rules = rules_of(call, host);
            let rule = rules.rules().find(|rule| found.entry.as_deref() == Some(&*rule.path));
            fill(&mut answer, &found, rule.map(|rule| &**rule), &call.context.config);
        }
        Err(problem) => {
            let hint = problem.hint.as_deref().unwrap_or_default();
            answer.problem = Some(format!("{} {hint}", problem.detail));
        }
    }
    let metric = answer.metric.clone();
    answer.spread = spread(call, host, view, &metric);
    Some(answer)
}

fn parse(text: &str) -> Value {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Value::Number(number),
        _ if text == "true" || text == "false" => Value::Bool(text == "true"),
        _ => Value::Text(text.into()),
    }
}

fn rules_of(call: &Call<'_>, host: &Host) -> Ruleset {
    let declared = call.context.config.hosts.get(&*host.name);
    Ruleset::compile(&call.context.config, declared.map_or(&[][..], |d| &d.threshold_config))
}

/// `disk_monitor./.percent: warning 75, critical 88 ← profile db_disk (hbd.yaml:88) over default; hysteresis 2 % ←
/// built-in; matched exactly`
fn sentence(found: &crate::web::Explained<'_>, rule: Option<&Rule>) -> String {
    let metric = &found.metric;
    let Some(rule) = rule else {
        return format!("{metric}: no entry is for it, it never raises an alert.");
    };
    if !rule.enabled {
        let at = format!("{}:{}", rule.origin.file, rule.origin.line);
        return format!("{metric}: switched off ({at}), it never raises an alert.");
    }
    let limit = |word: &str, limit: &Option<Limit>| {
        limit.as_ref().map(|limit| format!("{word} {}", amount(&Value::of_limit(limit), metric)))
    };
    let limits: Vec<String> = [limit("warning", &rule.warning), limit("critical", &rule.critical)]
        .into_iter()
        .flatten()
        .collect();
    let limits = match (limits.is_empty(), rule.operator.as_str()) {
        (true, _) => "as the check says".to_owned(),
        (false, ">") => limits.join(", "),
        (false, operator) => format!("{operator} {}", limits.join(", ")),
    };
    let at = format!("{}:{}", rule.origin.file, rule.origin.line);
    let from = match rule.profile.as_deref() {
        Some("default") | None => {
            format!("{} ({at})", rule.profile.as_deref().unwrap_or("thresholds"))
        }
        Some(profile) => format!("profile {profile} ({at}) over default"),
    };
    let share = number::short(rule.hysteresis * 100.0);
    let built_in = if (rule.hysteresis - HYSTERESIS).abs() < 1e-9 { " ← built-in" } else { "" };
    let matched = match found.tried.split_last() {
        Some((last, before)) if !before.is_empty() => {
            format!("matched as {last}, after {}", before.join(", "))
        }
        _ => "matched exactly".to_owned(),
    };
    format!("{metric}: {limits} ← {from}; hysteresis {share} %{built_in}; {matched}")
}

fn fill(
    answer: &mut Explain,
    found: &crate::web::Explained<'_>,
    rule: Option<&Rule>,
    config: &Server,
) {
    answer.metric.clone_from(&found.metric);
    answer.sentence = sentence(found, rule);
    let mut pairs = vec![("Value", amount(&Value::of_json(&found.value), &found.metric))];
    pairs.extend(found.profile.as_ref().map(|profile| ("Profile", profile.clone())));
    let origin = found.origin.as_ref();
    pairs.extend(origin.map(|origin| ("Written at", format!("{}:{}", origin.file, origin.line))));
    if let Some(at) = found.recovers_at {
        pairs.push(("Recovers at", amount(&Value::Number(at), &found.metric)));
    }
    answer.pairs = pairs;
    answer.tried.clone_from(&found.tried);
    answer.state = found.state.map(|state| match state {
        "OK" => ("up", "OK"),
        "WARNING" => ("warn", "WARNING"),
        "CRITICAL" => ("crit", "CRITICAL"),
        _ => ("unk", "UNKNOWN"),
    });
    answer.text.clone_from(&found.text);
    let full = |user: &String| config.users.get(user).map_or(user.clone(), |u| u.full_name.clone());
    answer.receivers = found
        .receivers
        .iter()
        .map(|told| {
            let to = told.to.as_deref().map(|to| format!(" at {to}")).unwrap_or_default();
            let user =
                told.user.as_ref().map(|user| format!("{} by ", full(user))).unwrap_or_default();
            format!("{user}{}{to} ({})", told.channel, told.why)
        })
        .collect();
    answer.silences = found.silences.iter().map(|silence| silence.id.to_owned()).collect();
}

/// The entries that count for the host of the query, or for one that is not in the configuration.
pub fn sections(call: &Call<'_>) -> Vec<Section> {
    let config = &call.context.config;
    let name = call.query.get("host").unwrap_or_default();
    let declared = config.hosts.get(name);
    let profiles = declared.map_or(&[][..], |declared| &declared.threshold_config);
    let rules = Ruleset::compile(config, profiles);
    let limit = |limit: &Option<Limit>, path: &str| {
        limit.as_ref().map_or("–".to_owned(), |limit| amount(&Value::of_limit(limit), path))
    };
    let all: Vec<_> = rules.rules().collect();
    let rows = all.iter().take(ENTRIES_MAX).map(|rule| {
        let path = rule.path.to_string();
        let link = format!(
            "/settings?part=thresholds&host={}&metric={}",
            query::encode(name),
            query::encode(&path)
        );
        vec![
            if name.is_empty() { Cell::code(&*path) } else { Cell::code(&*path).link(link) },
            Cell::text(rule.operator.as_str()),
            Cell::number(limit(&rule.warning, &path)),
            Cell::number(limit(&rule.critical, &path)),
            Cell::number(format!("{} %", number::short(rule.hysteresis * 100.0))),
            Cell::text(rule.profile.as_deref().unwrap_or("thresholds")),
            Cell::code(format!("{}:{}", rule.origin.file, rule.origin.line))
                .note(if rule.enabled { "" } else { "switched off" }),
        ]
    });
    let whose = match (name.is_empty(), profiles.is_empty()) {
        (true, _) => "for hosts that choose no profile".to_owned(),
        (false, true) => format!("for {name}, which chooses no profile"),
        (false, false) => {
            format!("for {name}: thresholds, then default, then {}", profiles.join(", then "))
        }
    };
    let mut section = Section { title: format!("Limits {whose}"), ..Section::default() };
    section.table = (!all.is_empty()).then(|| Grid {
        heads: vec![
            "Metric",
            "Operator",
            "Warning",
            "Critical",
            "Hysteresis",
            "From",
            "Written at",
        ],
        rows: rows.collect(),
        more: all.len().saturating_sub(ENTRIES_MAX),
    });
    if all.is_empty() {
        section
            .notes
            .push("No limits are configured: write thresholds: into the configuration.".to_owned());
    }
    let mut sections = vec![section];
    sections.extend(profiles_known(config));
    sections
}

/// The profiles that hosts may choose, how many limits each has, and who chooses it.
fn profiles_known(config: &Server) -> Option<Section> {
    let rows: Vec<Vec<Cell>> = config
        .threshold_configs
        .keys()
        .map(|name| {
            let has = |profile: &&String| *profile == name;
            let hosts: Vec<&str> = config
                .hosts
                .iter()
                .filter(|(_, host)| host.threshold_config.iter().any(|own| has(&own)))
                .map(|(host, _)| host.as_str())
                .collect();
            let shown = hosts.iter().take(PROFILE_HOSTS).copied().collect::<Vec<_>>().join(", ");
            let more = hosts.len().saturating_sub(PROFILE_HOSTS);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let alone = Ruleset::compile(config, std::slice::from_ref(name));
            let own = alone.rules().filter(|rule| rule.profile.as_deref() == Some(name)).count();
            vec![
                Cell::code(name.clone()),
                Cell::number(number::count(own as u64)),
                Cell::number(number::count(hosts.len() as u64)),
                Cell::text(match (name.as_str(), hosts.is_empty()) {
                    ("default", _) => "every host, before its own profiles".to_owned(),
                    (_, true) => "no host".to_owned(),
                    (_, false) => format!("{shown}{more}"),
                }),
            ]
        })
        .collect();
    let heads = vec!["Profile", "Limits", "Hosts", "Chosen by"];
    let is_any = !rows.is_empty();
    let table = Some(Grid { heads, rows, more: 0 });
    is_any.then(|| Section { title: "Profiles".to_owned(), table, ..Section::default() })
}

fn spread(call: &Call<'_>, host: &Host, view: &View, metric: &str) -> Option<Spread> {
    let path = match metric.strip_prefix("rtt.") {
        Some(_) => return None,
        None => metric,
    };
    let values: Vec<f64> = view
        .hosts
        .iter()
        .filter_map(|host| host.alert_list.iter().find(|alert| *alert.path == *path))
        .filter_map(|alert| match alert.value {
            Value::Number(number) => Some(number),
            Value::Integer(number) => Some(number as f64),
            _ => None,
        })
        .filter(|value| value.is_finite())
        .collect();
    if values.len() < 2 {
        return None;
    }
    let rules = rules_of(call, host);
    let limits: Vec<(&'static str, f64)> = rules
        .rules()
        .find(|rule| *rule.path == *path)
        .into_iter()
        .flat_map(|rule| [("warning", &rule.warning), ("critical", &rule.critical)])
        .filter_map(|(level, limit)| Some((level, limit.as_ref()?.as_number()?)))
        .collect();
    let edge = |pick: fn(f64, f64) -> f64, start: f64| {
        values.iter().copied().chain(limits.iter().map(|(_, limit)| *limit)).fold(start, pick)
    };
    let (least, most) = (edge(f64::min, f64::MAX), edge(f64::max, f64::MIN));
    let width = (most - least).max(1e-9);
    let mut counts = [0u32; COLUMNS];
    for value in &values {
        let at = ((value - least) / width * COLUMNS as f64) as usize;
        counts[at.min(COLUMNS - 1)] += 1;
    }
    let highest = f64::from(counts.iter().copied().max().unwrap_or(1).max(1));
    let step = WIDTH / COLUMNS as f64;
    let bars = counts.iter().enumerate().filter(|(_, count)| **count > 0).map(|(i, count)| {
        let height = f64::from(*count) / highest * (HEIGHT - 4.0);
        let x = i as f64 * step;
        (
            format!("{x:.1}"),
            format!("{:.1}", HEIGHT - height),
            format!("{:.1}", step - 2.0),
            format!("{height:.1}"),
        )
    });
    let place = |value: f64| format!("{:.1}", (value - least) / width * WIDTH);
    Some(Spread {
        label: format!(
            "{} hosts, from {} to {}",
            values.len(),
            number::short(least),
            number::short(most)
        ),
        bars: bars.collect(),
        limits: limits
            .iter()
            .map(|(level, at)| (*level, place(*at), format!("{level} {}", number::short(*at))))
            .collect(),
        least: number::short(least),
        most: number::short(most),
    })
}
