//! Silences and windows of maintenance as lists, and what the forms over them may be filled with.

use super::clock::{Clock, When, span};
use crate::calm::Origin;
use crate::calm::{MaintenanceShown, Time};
use crate::time::{Duration, Wall};
use crate::web::Call;
use serde::Serialize;

#[derive(Serialize)]
pub struct SilenceRow {
    pub id: String,
    /// `host web*`, `plugin cpu_monitor`.
    pub scope: Vec<String>,
    pub by: String,
    pub reason: String,
    pub since: When,
    pub until: When,
    /// Alerts that it keeps quiet now.
    pub over: usize,
}

#[derive(Serialize)]
pub struct WindowRow {
    pub id: String,
    pub scope: Vec<String>,
    /// `weekly on sun, 03:00 for 30 m, Europe/Zurich`
    pub schedule: String,
    pub reason: String,
    pub by: String,
    pub is_active: bool,
    pub ends: Option<When>,
    /// The next three times, in the reader's zone and in the server's.
    pub next: Vec<(String, String)>,
    /// Those of the configuration are ended there.
    pub may_end: bool,
    pub origin: &'static str,
}

pub fn silences(call: &Call<'_>, clock: &Clock) -> Vec<SilenceRow> {
    let view = &call.context.view;
    let over = |id: &str| {
        let hosts = view.hosts.iter().flat_map(|host| host.alert_list.iter());
        hosts.filter(|alert| alert.silenced.as_deref() == Some(id)).count()
    };
    view.silences
        .iter()
        .map(|silence| SilenceRow {
            id: silence.id.to_string(),
            scope: silence.matcher.pairs().map(|(kind, glob)| format!("{kind} {glob}")).collect(),
            by: silence.by.clone().unwrap_or_else(|| "somebody".to_owned()),
            reason: silence.reason.clone(),
            since: clock.ago(silence.since),
            until: clock.ago(silence.until),
            over: over(&silence.id),
        })
        .collect()
}

pub fn windows(call: &Call<'_>, clock: &Clock) -> Vec<WindowRow> {
    let now = call.context.now.wall;
    let windows = call.context.view.maintenances.iter();
    windows
        .map(|(window, is_active)| {
            let running = is_active.then(|| window.schedule.active(now)).flatten();
            let shown = MaintenanceShown::of(window, running, now);
            let at = Wall::from_secs_f64;
            let next = shown.next.iter();
            WindowRow {
                id: shown.id.to_owned(),
                scope: scope(&shown),
                schedule: schedule(&shown, clock),
                reason: shown.reason.to_owned(),
                by: shown.by.unwrap_or_default().to_owned(),
                is_active: *is_active,
                ends: shown.active.map(|(_, end)| clock.ago(at(end))),
                next: next.map(|(from, to)| both_zones(call, clock, at(*from), at(*to))).collect(),
                may_end: window.origin == Origin::Api,
                origin: shown.origin,
            }
        })
        .collect()
}

/// From when to when, by the reader's clock and by the server's.
pub fn both_zones(call: &Call<'_>, clock: &Clock, from: Wall, to: Wall) -> (String, String) {
    let server = Clock::new(call.context.now.wall, call.context.pages.zone.clone());
    let text = |clock: &Clock| format!("{} to {}", clock.date(from).text, clock.end(from, to));
    (text(clock), text(&server))
}

fn scope(shown: &MaintenanceShown<'_>) -> Vec<String> {
    let named = |kind: &str, globs: &[String]| {
        globs.iter().map(|glob| format!("{kind} {glob}")).collect::<Vec<_>>()
    };
    let mut scope = named("host", shown.hosts);
    scope.extend(named("tag", shown.tags));
    scope.extend(named("group", shown.groups));
    if scope.is_empty() {
        scope.push("every host".to_owned());
    }
    scope
}

fn schedule(shown: &MaintenanceShown<'_>, clock: &Clock) -> String {
    let time = |time: &Time| match time {
        Time::At(at) => clock.date(Wall::from_secs_f64(*at)).text,
        Time::Clock(text) => text.trim_end_matches(":00").to_owned(),
    };
    let length = shown.duration.map(|secs| span(Duration::from_secs_f64(secs.max(0.0))));
    let end = match (&shown.end, length) {
        (Some(end), _) => format!(" to {}", time(end)),
        (None, Some(length)) => format!(" for {length}"),
        (None, None) => String::new(),
    };
    let days = if shown.days.is_empty() {
        String::new()
    } else {
        format!(" on {}", shown.days.join(", "))
    };
    let zone = shown.zone.map(|zone| format!(", {zone}")).unwrap_or_default();
    format!("{}{days}, {}{end}{zone}", shown.repeat, time(&shown.start))
}
