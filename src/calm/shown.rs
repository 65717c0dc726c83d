//! The shapes that the API answers with (SPEC section 13): written only, never read back.

use super::maintenance::Maintenance;
use super::schedule::{RepeatedEnd, Schedule, Span};
use super::silence::{Acknowledgement, Silence};
use crate::time::Wall;
use serde::Serialize;
use std::collections::BTreeMap;

/// How many coming occurrences of a window are shown.
const NEXT: usize = 3;

/// `acknowledged` of an alert; in lists the alert's id stands with it.
#[derive(Debug, Serialize)]
pub struct AckShown<'a> {
    pub id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert: Option<&'a str>,
    pub by: Option<&'a str>,
    pub reason: &'a str,
    /// Unix seconds, as all times here.
    pub since: f64,
    pub until: Option<f64>,
}

impl<'a> AckShown<'a> {
    pub fn of(ack: &'a Acknowledgement) -> AckShown<'a> {
        AckShown {
            id: &ack.id,
            alert: None,
            by: ack.by.as_deref(),
            reason: &ack.reason,
            since: ack.since.as_secs_f64(),
            until: ack.until.map(Wall::as_secs_f64),
        }
    }

    pub fn listed(ack: &'a Acknowledgement) -> AckShown<'a> {
        AckShown { alert: Some(&ack.alert), ..AckShown::of(ack) }
    }
}

#[derive(Debug, Serialize)]
pub struct SilenceShown<'a> {
    pub id: &'a str,
    pub r#match: BTreeMap<&'static str, &'a str>,
    pub by: Option<&'a str>,
    pub reason: &'a str,
    pub since: f64,
    pub until: f64,
}

impl<'a> SilenceShown<'a> {
    pub fn of(silence: &'a Silence) -> SilenceShown<'a> {
        SilenceShown {
            id: &silence.id,
            r#match: silence.matcher.pairs().collect(),
            by: silence.by.as_deref(),
            reason: &silence.reason,
            since: silence.since.as_secs_f64(),
            until: silence.until.as_secs_f64(),
        }
    }
}

/// A window as it was asked for, what of it is running, and the next three occurrences.
#[derive(Debug, Serialize)]
pub struct MaintenanceShown<'a> {
    pub id: &'a str,
    pub hosts: &'a [String],
    pub tags: &'a [String],
    pub groups: &'a [String],
    pub start: Time,
    /// `null` where `duration` says it.
    pub end: Option<Time>,
    /// Seconds.
    pub duration: Option<f64>,
    pub repeat: &'static str,
    pub days: Vec<String>,
    pub zone: Option<&'a str>,
    pub reason: &'a str,
    pub by: Option<&'a str>,
    pub origin: &'static str,
    pub active: Option<(f64, f64)>,
    pub next: Vec<(f64, f64)>,
}

/// Unix seconds of a window that is once; of others the time of day in its zone.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Time {
    At(f64),
    Clock(String),
}

impl<'a> MaintenanceShown<'a> {
    /// `running` as [`Calendar::maintenances`](super::Calendar::maintenances) gives it.
    pub fn of(window: &'a Maintenance, running: Option<Span>, now: Wall) -> MaintenanceShown<'a> {
        let pair = |span: &Span| (span.start.as_secs_f64(), span.end.as_secs_f64());
        let (start, end, duration, days) = match &window.schedule {
            Schedule::Once(span) => {
                let (start, end) = pair(span);
                (Time::At(start), Some(Time::At(end)), None, Vec::new())
            }
            Schedule::Repeated(repeated) => {
                let (end, duration) = match repeated.end {
                    RepeatedEnd::At(end) => (Some(Time::Clock(end.to_string())), None),
                    RepeatedEnd::After(length) => (None, Some(length.as_secs_f64())),
                };
                let days = repeated.days.iter().map(ToString::to_string).collect();
                (Time::Clock(repeated.start.to_string()), end, duration, days)
            }
        };
        MaintenanceShown {
            id: &window.id,
            hosts: &window.hosts,
            tags: &window.tags,
            groups: &window.groups,
            start,
            end,
            duration,
            repeat: window.schedule.repeat().as_str(),
            days,
            zone: window.zone.as_deref(),
            reason: &window.reason,
            by: window.by.as_deref(),
            origin: window.origin.as_str(),
            active: running.as_ref().map(pair),
            next: window.schedule.next(now, NEXT).iter().map(pair).collect(),
        }
    }
}
