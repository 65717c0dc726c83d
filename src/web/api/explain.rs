//! `explain`: which limit counts for a metric and why, which state it gives, what is said, and who
//! is told (SPEC section 13). [`explain`] is the same for a caller in this process.

use super::host::find;
use super::ok;
use crate::alert::{self, Level, Question, Rule, Ruleset};
use crate::calm::{SilenceShown, Target};
use crate::config::problem::nearest;
use crate::config::server::{ChannelType, Server};
use crate::engine::view::{Host, Value, View};
use crate::notice::{self, Addressee, Destination};
use crate::text;
use crate::web::problem::Problem;
use crate::web::{Answer, Call};
use serde::Serialize;
use serde_json::Value as Json;
use std::sync::Arc;

/// The origin of an entry: a line of a configuration file.
#[derive(Debug, Serialize)]
pub struct Origin {
    pub file: String,
    pub line: u32,
}

/// One who is told, or would be.
#[derive(Debug, Serialize)]
pub struct ReceiverShown {
    pub channel: String,
    /// Where it goes, as far as that is no secret; `null` where the channel itself says it.
    pub to: Option<String>,
    pub user: Option<String>,
    pub why: String,
}

/// The answer, in the order of the specification.
#[derive(Debug, Serialize)]
pub struct Explained<'a> {
    pub host: &'a str,
    pub metric: String,
    /// The path of the entry that counts; one that is switched off has no state.
    pub entry: Option<String>,
    pub profile: Option<String>,
    pub origin: Option<Origin>,
    /// Names that were looked for, in order.
    pub tried: Vec<String>,
    /// `null` without a value or an entry.
    pub state: Option<&'static str>,
    pub value: Json,
    pub recovers_at: Option<f64>,
    /// The notice; `null` while all is well.
    pub text: Option<String>,
    /// While all is well: those who would hear of a critical alert. Nobody without an entry.
    pub receivers: Vec<ReceiverShown>,
    pub silences: Vec<SilenceShown<'a>>,
    /// What is wrong with the display template for this data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_fault: Option<String>,
}

/// `GET explain?host=&metric=&value=`
pub fn respond(call: &Call<'_>) -> Answer {
    let needed = |name: &'static str, hint: &'static str| {
        call.query.get(name).ok_or_else(|| {
            Problem::new(400, "bad_parameter", format!("{name} is missing.")).hint(hint).field(name)
        })
    };
    let name = needed("host", "Give host=NAME.")?;
    let metric = needed("metric", "Give metric=PLUGIN.METRIC, as alerts name it.")?;
    let view = &call.context.view;
    let host = find(view, name)?;
    let value = call.query.get("value").map(parse_value);
    ok(&explain(view, &call.context.config, host, metric, value)?)
}

/// Why a metric of a host has the level that it has, or would have with `value`. Fails where the
/// host has no such metric and no entry is for it.
pub fn explain<'a>(
    view: &'a View,
    config: &Server,
    host: &'a Host,
    metric: &str,
    value: Option<Value>,
) -> Result<Explained<'a>, Problem> {
    let plugin = metric.split_once('.').map(|(plugin, _)| plugin);
    let data = plugin.map_or(Json::Null, |plugin| latest(host, plugin));
    let declared = config.hosts.get(&*host.name);
    let profiles = declared.map_or(&[][..], |declared| &declared.threshold_config);
    let rules = Ruleset::compile(config, profiles);
    let leaves = plugin.map(|plugin| leaves(host, plugin, &data)).unwrap_or_default();
    let path = metric
        .split_once('.')
        .map_or_else(|| metric.to_owned(), |(plugin, leaf)| alert::metric_path(plugin, leaf));
    let sent = leaves.iter().find(|leaf| leaf.metric == path);
    let known = host.alert_list.iter().find(|alert| *alert.path == *path);
    let value = value
        .or_else(|| sent.map(|leaf| leaf.value.clone()))
        .or_else(|| known.map(|alert| alert.value.clone()));
    let question = Question {
        host: &host.name,
        // The whole path of the leaf: its container counts for what a display may name.
        metric: sent.map_or(metric, |leaf| &leaf.whole),
        value: value.as_ref().map(Value::as_leaf),
        before: known.map_or(Level::Ok, |alert| alert.level),
        data: &data,
    };
    let found = alert::explain(&rules, &question);
    if found.rule.is_none() && sent.is_none() && known.is_none() {
        return Err(unknown(host, metric, &leaves));
    }
    let level = found.level.filter(|level| *level > Level::Ok).unwrap_or(Level::Critical);
    let roles = config.roles(&host.name);
    let rule = found.rule.as_ref();
    let receivers = match rule.is_some_and(|rule| rule.enabled) {
        true => notice::receivers(config, roles.owner, roles.managers, level.rank()),
        false => Vec::new(),
    };
    Ok(Explained {
        host: &host.name,
        entry: rule.map(|rule| rule.path.to_string()),
        profile: rule.and_then(|rule| rule.profile.as_deref().map(str::to_owned)),
        origin: rule.map(origin),
        tried: found.tried,
        state: found.level.map(Level::as_str),
        value: value.unwrap_or_default().to_json(),
        recovers_at: found.recovers_at,
        text: found.text,
        receivers: receivers.iter().map(|addressee| shown(config, addressee)).collect(),
        silences: silences(view, host, &found.metric_path),
        display_fault: found.display_fault,
        metric: found.metric_path,
    })
}

/// A number, a truth value, or else a text.
fn parse_value(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(json @ (Json::Number(_) | Json::Bool(_) | Json::String(_))) => Value::of_json(&json),
        _ => Value::Text(text.into()),
    }
}

fn latest(host: &Host, plugin: &str) -> Json {
    let sample = host.plugin(plugin).and_then(|plugin| plugin.latest());
    sample.and_then(|sample| serde_json::from_str(&sample.data).ok()).unwrap_or_default()
}

fn origin(rule: &Arc<Rule>) -> Origin {
    Origin { file: rule.origin.file.clone(), line: rule.origin.line }
}

/// A value of a plugin's latest data.
struct Leaf {
    /// As alerts name it.
    metric: String,
    /// With its container.
    whole: String,
    value: Value,
}

fn leaves(host: &Host, plugin: &str, data: &Json) -> Vec<Leaf> {
    let mut found = Vec::new();
    if plugin == "rtt" {
        let rtt = host.connections().filter_map(|c| c.rtt_ms).reduce(f32::min);
        let metric = format!("rtt.{}", host.name);
        found.extend(rtt.map(|ms| Leaf {
            whole: metric.clone(),
            metric,
            value: Value::Number(f64::from(ms)),
        }));
    }
    collect(plugin, "", data, &mut found);
    found
}

/// No deeper than `wire` lets through.
fn collect(plugin: &str, above: &str, data: &Json, found: &mut Vec<Leaf>) {
    let Some(members) = data.as_object() else { return };
    for (key, value) in members {
        let leaf = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
        match value {
            Json::Object(_) => collect(plugin, &leaf, value, found),
            Json::Array(_) => {}
            _ => found.push(Leaf {
                metric: alert::metric_path(plugin, &leaf),
                whole: format!("{plugin}.{leaf}"),
                value: Value::of_json(value),
            }),
        }
    }
}

fn unknown(host: &Host, metric: &str, leaves: &[Leaf]) -> Problem {
    let clean = text::escape_control(text::cut(metric, 160)).into_owned();
    let detail = format!("{} has no metric {clean}, and no limit is for it.", host.name);
    let problem = Problem::new(404, "no_such_metric", detail).field("metric");
    let plugin = metric.split('.').next().unwrap_or_default();
    let near = nearest(metric, leaves.iter().map(|leaf| &*leaf.metric))
        .or_else(|| nearest(plugin, host.plugins.iter().map(|plugin| &*plugin.name)));
    match near {
        Some(near) => problem.hint(format!("Did you mean {near}?")),
        None => problem.hint(format!(
            "It is PLUGIN.METRIC; GET /api/0/hosts/{}/plugins lists what the host has sent.",
            host.name
        )),
    }
}

fn silences<'a>(view: &'a View, host: &Host, path: &str) -> Vec<SilenceShown<'a>> {
    let tags: Vec<String> = host.tags.iter().map(|tag| tag.to_string()).collect();
    let target = Target {
        host: &host.name,
        group: host.group.as_deref(),
        tags: &tags,
        plugin: path.split_once('.').map(|(plugin, _)| plugin),
        path: Some(path),
    };
    let over = view.silences.iter().filter(|silence| silence.matcher.matches(&target));
    over.map(|silence| SilenceShown::of(silence)).collect()
}

/// An address and a telephone number are readable; what else a destination is may be a key.
fn shown(config: &Server, addressee: &Addressee) -> ReceiverShown {
    let channel = &addressee.receiver.channel;
    let kind = config.channels.get(&**channel).map(|channel| channel.kind);
    let is_address = matches!(kind, Some(ChannelType::Email | ChannelType::Signal));
    let to = addressee.receiver.to.as_ref().map(|to| match to {
        Destination::Text(text) if is_address => text.to_string(),
        secret => format!("{secret:?}"),
    });
    ReceiverShown {
        channel: channel.to_string(),
        to,
        user: addressee.user.clone(),
        why: addressee.why.clone(),
    }
}
