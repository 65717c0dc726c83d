//! One alert opened: its values of the last hours, what changed and who was told, where its limit is written.

use super::attention::Trouble;
use super::charts;
use super::clock::Clock;
use super::feed::{self, Item};
use super::spark::{self, Spark};
use crate::engine::view::EventKind;
use crate::history::SeriesAsk;
use crate::time::Duration;
use crate::web::Call;
use crate::web::api::explain;
use crate::web::query;
use serde::Serialize;

const EVENTS: usize = 12;
const POINTS: usize = 84;
const SPAN: Duration = Duration::from_secs(6 * 3600);

#[derive(Serialize)]
pub struct Detail {
    spark: Option<Spark>,
    /// Label and value.
    pairs: Vec<(&'static str, String)>,
    events: Vec<Item>,
    /// What was sent of it and what could not be.
    log: Vec<Item>,
    /// The host's page around the moment in which it began.
    then: String,
}

pub fn of(call: &Call<'_>, trouble: &Trouble<'_>, clock: &Clock) -> Detail {
    let host = trouble.host;
    let now = call.context.now.wall;
    let ask = SeriesAsk {
        host: &host.name,
        paths: &[trouble.path()],
        from: now - SPAN,
        to: now,
        points: POINTS,
    };
    let found = trouble.alert.and_then(|_| call.context.history.series(&ask).ok());
    let line = found.as_ref().and_then(|found| found.lines.first());
    let values: Vec<Option<f64>> = line.map(|line| line.avg.to_vec()).unwrap_or_default();
    let from = trouble.since - Duration::from_secs(3600);
    let to = now.min(trouble.since + Duration::from_secs(3600));
    Detail {
        spark: spark::limited("Last 6 h", "", &values, limit(call, trouble)),
        log: log(call, trouble, clock),
        pairs: pairs(call, trouble, clock),
        events: events(call, trouble, clock),
        then: format!(
            "/plugins/{}?from={}&to={}",
            query::encode(&host.name),
            from.as_secs(),
            to.as_secs()
        ),
    }
}

/// The first limit of the metric, for the small chart.
fn limit(call: &Call<'_>, trouble: &Trouble<'_>) -> Option<f64> {
    let (plugin, place) = trouble.alert?.path.split_once('.')?;
    let rules = charts::rules(call, trouble.host);
    let found = charts::limits_of(&rules, trouble.host, plugin, &[place]);
    found.first().map(|(_, limit)| *limit)
}

/// Who was told, by what the server said of its sending since the trouble began.
fn log(call: &Call<'_>, trouble: &Trouble<'_>, clock: &Clock) -> Vec<Item> {
    let id = trouble.host.id;
    let events = call.context.view.events.iter().rev();
    let wanted = events.take_while(|event| event.at >= trouble.since).filter(|event| {
        let is_own = event.host.as_ref().is_none_or(|(own, _)| *own == id);
        event.kind == EventKind::Notify && is_own
    });
    feed::items(clock, wanted.take(EVENTS))
}

fn pairs(call: &Call<'_>, trouble: &Trouble<'_>, clock: &Clock) -> Vec<(&'static str, String)> {
    let mut pairs = Vec::new();
    let path = trouble.path();
    let explained = trouble.alert.and_then(|_| {
        explain(&call.context.view, &call.context.config, trouble.host, path, None).ok()
    });
    if let Some(found) = explained {
        let entry = found.entry.unwrap_or_else(|| "none any more".to_owned());
        let profile = found.profile.map(|name| format!(" of profile {name}")).unwrap_or_default();
        let origin =
            found.origin.map(|at| format!(" ({}:{})", at.file, at.line)).unwrap_or_default();
        pairs.push(("Limit", format!("{entry}{profile}{origin}")));
        pairs.extend(found.text.map(|text| ("Text", text)));
        let told: Vec<&str> = found.receivers.iter().map(|told| told.channel.as_str()).collect();
        let told = if told.is_empty() { "nobody".to_owned() } else { told.join(", ") };
        pairs.push(("Would be told", told));
    }
    if let Some(told) = trouble.alert.map_or(&trouble.host.told, |alert| &alert.told) {
        let to = told.to.join(", ");
        pairs.push(("Notified", format!("{to} at {}", clock.short(told.at))));
    }
    if let Some(next) = trouble.alert.and_then(|alert| alert.next_reminder) {
        pairs.push(("Next reminder", clock.short(next)));
    }
    if let Some(id) = &trouble.silenced {
        let silence = call.context.view.silences.iter().find(|silence| silence.id == *id);
        let reason = silence.map(|silence| silence.reason.clone()).unwrap_or_default();
        pairs.push(("Silence", format!("{id} {reason}").trim_end().to_owned()));
    }
    pairs
}

/// What happened to this metric, or to the host's heartbeats.
fn events(call: &Call<'_>, trouble: &Trouble<'_>, clock: &Clock) -> Vec<Item> {
    let (id, path) = (trouble.host.id, trouble.path());
    let wanted = call.context.view.events.iter().rev().filter(|event| {
        let is_host = event.host.as_ref().is_some_and(|(own, _)| *own == id);
        let is_metric = match trouble.alert {
            Some(_) => event.text.contains(path),
            None => event.kind == EventKind::State,
        };
        is_host && is_metric
    });
    feed::items(clock, wanted.take(EVENTS))
}
