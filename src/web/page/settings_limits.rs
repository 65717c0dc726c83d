//! The part of the settings about limits: which counts for a metric, where it was written, what was tried before, who
//! is told; and a value to try it with.

use super::number;
use super::settings::{Cell, Grid, Section};
use crate::alert::Ruleset;
use crate::config::server::{Limit, Server};
use crate::engine::view::{Host, Value, View};
use crate::web::Call;
use crate::web::api::{explain, find_host};
use crate::web::query;
use crate::web::why::amount;
use serde::Serialize;

const NAMES_MAX: usize = 300;
const ENTRIES_MAX: usize = 300;
const COLUMNS: usize = 24;
const HEIGHT: f64 = 60.0;
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
        Ok(found) => fill(&mut answer, &found, &call.context.config),
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

fn fill(answer: &mut Explain, found: &crate::web::Explained<'_>, config: &Server) {
    answer.metric.clone_from(&found.metric);
    answer.sentence = match &found.entry {
        Some(entry) => format!("The entry {entry} counts."),
        None => "No entry is for this metric: it never raises an alert.".to_owned(),
    };
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
        (false, false) => format!("for {name}, by the profiles {}", profiles.join(", ")),
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
    vec![section]
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
    let declared = call.context.config.hosts.get(&*host.name);
    let rules =
        Ruleset::compile(&call.context.config, declared.map_or(&[][..], |d| &d.threshold_config));
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
