//! `alerts`, `hosts/H/alerts` and acknowledgements: what is wrong now, and who has seen it.
//!
//! Reads the alerts as the view has them; judges nothing.

use super::calm::{json_body, refused, unexpected};
use super::{no_content, ok};
use crate::alert::Level;
use crate::calm::{AckRequest, AckShown, Target};
use crate::engine::view::{Alert, Host, OUTAGE, State, Value, View};
use crate::engine::{Command, Outcome};
use crate::glob;
use crate::text;
use crate::time::Wall;
use crate::web::authz::{self, Access, Manager, Monitor, Unowned};
use crate::web::problem::Problem;
use crate::web::{Answer, Call};
use serde::Serialize;
use std::cmp::Reverse;
use std::sync::Arc;

/// Ids that a problem names; the rest is counted.
const NAMED_MAX: usize = 5;

/// One alert as it goes out. Numbers stay numbers.
#[derive(Serialize)]
struct AlertJson<'a> {
    id: String,
    kind: &'static str,
    host: &'a str,
    metric_path: &'a str,
    level: &'static str,
    value: serde_json::Value,
    threshold_value: serde_json::Value,
    operator: Option<&'static str>,
    recovers_at: Option<f64>,
    since: f64,
    last_notified: Option<f64>,
    display: &'a str,
    acknowledged: Option<AckShown<'a>>,
    silenced: Option<&'a str>,
    stale: bool,
    #[serde(skip)]
    rank: Level,
}

/// Metric alerts by level.
#[derive(Default, Serialize)]
struct Summary {
    warning: u32,
    critical: u32,
    unknown: u32,
    ok: u32,
}

impl Summary {
    fn add(&mut self, alert: &Alert) {
        *match alert.level {
            Level::Ok => &mut self.ok,
            Level::Warning => &mut self.warning,
            Level::Unknown => &mut self.unknown,
            Level::Critical => &mut self.critical,
        } += 1;
    }
}

/// What of the alerts is asked for.
struct Filter<'a> {
    levels: Vec<Level>,
    /// Globs over names.
    hosts: Vec<String>,
    plugins: Vec<&'a str>,
    metrics: bool,
    outages: bool,
    all: bool,
}

/// `GET alerts?level=&host=&plugin=&all=1&kind=host|all`
pub fn list(call: &Call<'_>) -> Answer {
    let view = &call.context.view;
    answer(call, view.hosts.iter())
}

/// `GET hosts/H/alerts`, with the same parameters.
pub fn of_host(call: &Call<'_>, access: &Access<'_, Monitor>) -> Answer {
    answer(call, std::iter::once(access.host()))
}

/// Worst first, then the newest change.
fn answer<'a>(call: &'a Call<'_>, hosts: impl Iterator<Item = &'a Arc<Host>>) -> Answer {
    #[derive(Serialize)]
    struct List<'a> {
        alerts: Vec<AlertJson<'a>>,
        summary: Summary,
    }
    let filter = filter(call)?;
    let view = &call.context.view;
    let mut list = List { alerts: Vec::new(), summary: Summary::default() };
    for host in hosts {
        host.alert_list.iter().for_each(|alert| list.summary.add(alert));
        if !filter.takes_host(host) {
            continue;
        }
        if filter.metrics {
            let fitting = host.alert_list.iter().filter(|alert| filter.takes(alert));
            list.alerts.extend(fitting.map(|alert| of_metric(host, alert)));
        }
        if filter.outages && filter.plugins.is_empty() {
            let outage = of_outage(view, host).filter(|outage| filter.takes_level(outage.rank));
            list.alerts.extend(outage);
        }
    }
    list.alerts.sort_by(|a, b| {
        let newest = b.since.total_cmp(&a.since);
        Reverse(a.rank).cmp(&Reverse(b.rank)).then(newest).then_with(|| a.id.cmp(&b.id))
    });
    ok(&list)
}

fn filter<'a>(call: &'a Call<'_>) -> Result<Filter<'a>, Problem> {
    let bad = |field: &'static str, detail: &str, hint: &'static str| {
        Problem::new(400, "bad_parameter", detail).hint(hint).field(field)
    };
    let level = |word: &str| {
        let hint = "level is one of warning, unknown, critical, ok; several with commas.";
        Level::parse(word).ok_or_else(|| bad("level", "There is no such level.", hint))
    };
    let (metrics, outages) = match call.query.get("kind") {
        None | Some("metric") => (true, false),
        Some("host") => (false, true),
        Some("all") => (true, true),
        Some(_) => {
            let hint = "kind is metric (the default), host or all.";
            return Err(bad("kind", "There is no such kind of alert.", hint));
        }
    };
    let all = wants_all(call, "Give all=1 for those at OK too.")?;
    let levels = call.words("level").map(level).collect::<Result<Vec<_>, _>>()?;
    Ok(Filter {
        all: all || levels.contains(&Level::Ok),
        levels,
        hosts: call.words("host").map(str::to_ascii_lowercase).collect(),
        plugins: call.words("plugin").collect(),
        metrics,
        outages,
    })
}

/// The switch `all`, off where it is not given.
pub(super) fn wants_all(call: &Call<'_>, hint: &'static str) -> Result<bool, Problem> {
    match call.query.get("all") {
        None | Some("0" | "false") => Ok(false),
        Some("1" | "true") => Ok(true),
        Some(_) => {
            Err(Problem::new(400, "bad_parameter", "all is a switch.").hint(hint).field("all"))
        }
    }
}

impl Filter<'_> {
    fn takes_host(&self, host: &Host) -> bool {
        self.hosts.is_empty() || glob::matches_any(&self.hosts, host.name.as_bytes())
    }

    fn takes_level(&self, level: Level) -> bool {
        self.levels.is_empty() || self.levels.contains(&level)
    }

    fn takes(&self, alert: &Alert) -> bool {
        (self.all || alert.level != Level::Ok)
            && self.takes_level(alert.level)
            && (self.plugins.is_empty() || self.plugins.contains(&&*alert.plugin))
    }
}

fn of_metric<'a>(host: &'a Host, alert: &'a Alert) -> AlertJson<'a> {
    AlertJson {
        id: format!("{}/{}", host.name, alert.path),
        kind: "metric",
        host: &host.name,
        metric_path: &alert.path,
        level: alert.level.as_str(),
        value: alert.value.to_json(),
        threshold_value: alert.threshold_value.to_json(),
        operator: Some(alert.operator),
        recovers_at: alert.recovers_at,
        since: alert.since.as_secs_f64(),
        last_notified: alert.last_notified.map(Wall::as_secs_f64),
        display: &alert.display,
        acknowledged: alert.acknowledged.as_deref().map(AckShown::of),
        silenced: alert.silenced.as_deref(),
        stale: alert.stale,
        rank: alert.level,
    }
}

/// A host that is not well by its heartbeats; what a dead parent explains is none of its own.
fn outage_level(host: &Host) -> Option<Level> {
    match host.state {
        State::Down => Some(Level::Critical),
        State::Degraded => Some(Level::Warning),
        _ => host.flapping.then_some(Level::Warning),
    }
}

fn of_outage<'a>(view: &'a View, host: &'a Host) -> Option<AlertJson<'a>> {
    let level = outage_level(host)?;
    let id = format!("{}/{OUTAGE}", host.name);
    let acks = &view.acknowledgements;
    let acknowledged = acks.iter().find(|ack| *ack.alert == *id).map(|ack| AckShown::of(ack));
    let tags: Vec<String> = host.tags.iter().map(|tag| tag.to_string()).collect();
    let target = Target {
        host: &host.name,
        group: host.group.as_deref(),
        tags: &tags,
        plugin: None,
        path: Some(OUTAGE),
    };
    let silence = view.silences.iter().find(|silence| silence.matcher.matches(&target));
    Some(AlertJson {
        id,
        kind: "host",
        host: &host.name,
        metric_path: OUTAGE,
        level: level.as_str(),
        value: Value::Null.to_json(),
        threshold_value: Value::Null.to_json(),
        operator: None,
        recovers_at: None,
        since: host.since.as_secs_f64(),
        last_notified: host.told.as_ref().map(|told| told.at.as_secs_f64()),
        display: &host.why,
        acknowledged,
        silenced: silence.map(|silence| &*silence.id),
        stale: false,
        rank: level,
    })
}

/// `POST alerts/ack {ids,until,reason}`
pub fn acknowledge(call: &Call<'_>) -> Answer {
    #[derive(Serialize)]
    struct Acks<'a> {
        acks: Vec<AckShown<'a>>,
    }
    let mut request = AckRequest::parse(json_body(call)?).map_err(refused)?;
    let view = &call.context.view;
    for id in &mut request.ids {
        *id = canonical(id);
    }
    request.ids.sort();
    request.ids.dedup();
    let unknown: Vec<&String> = request.ids.iter().filter(|id| !is_raised(view, id)).collect();
    if !unknown.is_empty() {
        return Err(no_such_alert(&unknown));
    }
    for id in &request.ids {
        let host = id.split_once('/').map_or("", |(host, _)| host);
        authz::access::<Manager>(call, host, Unowned::Open)?;
    }
    let by = call.caller.by();
    match call.act(Command::Acknowledge { request, by }) {
        Outcome::Acknowledged(acks) => {
            ok(&Acks { acks: acks.iter().map(|ack| AckShown::listed(ack)).collect() })
        }
        outcome => Err(unexpected(outcome)),
    }
}

/// `DELETE alerts/ack/ID`, with the id of the acknowledgement or of its alert.
pub fn unacknowledge(call: &Call<'_>) -> Answer {
    let id = canonical(call.param("id"));
    if !call.caller.sees_all() {
        let acks = &call.context.view.acknowledgements;
        let alert = acks.iter().find(|ack| *ack.id == *id || *ack.alert == *id);
        let alert = alert.map_or(&*id, |ack| &*ack.alert);
        let Some((host, _)) = alert.split_once('/') else { return Err(no_such_id(&id)) };
        authz::access::<Manager>(call, host, Unowned::Open)?;
    }
    match call.act(Command::Unacknowledge { id }) {
        Outcome::Done => Ok(no_content()),
        outcome => Err(unexpected(outcome)),
    }
}

fn no_such_id(id: &str) -> Problem {
    let shown = text::escape_control(text::cut(id, 160));
    Problem::new(404, "no_such_id", format!("There is no acknowledgement {shown}."))
}

/// The host's part in lower case, as hosts are known.
fn canonical(id: &str) -> String {
    match id.split_once('/') {
        Some((host, path)) => format!("{}/{path}", host.to_ascii_lowercase()),
        None => id.to_owned(),
    }
}

fn is_raised(view: &View, id: &str) -> bool {
    let Some((host, path)) = id.split_once('/') else { return false };
    let Some(host) = view.host(host) else { return false };
    if path == OUTAGE {
        return outage_level(host).is_some();
    }
    host.alert_list.iter().any(|alert| &*alert.path == path && alert.level != Level::Ok)
}

fn no_such_alert(ids: &[&String]) -> Problem {
    let shown = |id: &&String| text::escape_control(text::cut(id, 160)).into_owned();
    let named: Vec<String> = ids.iter().take(NAMED_MAX).map(shown).collect();
    let more = match ids.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let detail = format!("There is no alert {}{more} now.", named.join(", "));
    Problem::new(404, "no_such_alert", detail)
        .hint("GET /api/0/alerts?kind=all lists the ids of those that there are.")
        .field("ids")
}
