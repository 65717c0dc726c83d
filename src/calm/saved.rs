//! The saved form: JSON rows of the store, read leniently so that a row of an older or newer version loads.

use super::course::Course;
use super::fault::Fault;
use super::maintenance::{Maintenance, Origin, fault_of, unknown_zone};
use super::matcher::Matcher;
use super::schedule::{RepeatedEnd, Schedule, Span};
use super::silence::{Acknowledgement, Silence};
use super::zone::Zones;
use crate::config::server::{Day, End, Repeat, Start};
use crate::time::{Duration, Wall};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A record to make durable, or to remove where there is no text.
#[derive(Clone, Debug, PartialEq)]
pub struct Saved {
    /// Unique among the rows of this module: `silence/s1`, `next`.
    pub key: String,
    pub json: Option<Vec<u8>>,
}

/// Everything here is kept to the millisecond, so that an instant is the same after it was saved.
pub fn to_millis(at: Wall) -> Wall {
    Wall::from_micros(at.as_micros().div_euclid(1000).saturating_mul(1000))
}

/// Unix seconds, as all times in rows.
fn wall(secs: f64) -> Wall {
    Wall::from_micros(((secs * 1e3).round() as i64).saturating_mul(1000))
}

fn pair(span: Span) -> (f64, f64) {
    (span.start.as_secs_f64(), span.end.as_secs_f64())
}

fn span((start, end): (f64, f64)) -> Span {
    Span { start: wall(start), end: wall(end) }
}

#[derive(Serialize, Deserialize, Debug, Default)]
#[serde(default)]
pub struct SilenceRow {
    r#match: BTreeMap<String, String>,
    by: Option<String>,
    reason: String,
    since: f64,
    until: f64,
}

impl SilenceRow {
    pub fn of(silence: &Silence) -> SilenceRow {
        let own = |(kind, glob): (&str, &str)| (kind.to_owned(), glob.to_owned());
        SilenceRow {
            r#match: silence.matcher.pairs().map(own).collect(),
            by: silence.by.clone(),
            reason: silence.reason.clone(),
            since: silence.since.as_secs_f64(),
            until: silence.until.as_secs_f64(),
        }
    }

    /// Fails where a kind of scope is not known: without it the silence would cover more.
    pub fn silence(self, id: &str) -> Result<Silence, Fault> {
        let pairs = self.r#match.iter().map(|(kind, glob)| Ok((kind.as_str(), glob.as_str())));
        Ok(Silence {
            id: id.into(),
            matcher: Matcher::from_pairs(pairs)?,
            by: self.by,
            reason: self.reason,
            since: wall(self.since),
            until: wall(self.until),
        })
    }
}

#[derive(Serialize, Deserialize, Debug, Default)]
#[serde(default)]
pub struct AckRow {
    id: String,
    by: Option<String>,
    reason: String,
    since: f64,
    until: Option<f64>,
}

impl AckRow {
    pub fn of(ack: &Acknowledgement) -> AckRow {
        AckRow {
            id: ack.id.to_string(),
            by: ack.by.clone(),
            reason: ack.reason.clone(),
            since: ack.since.as_secs_f64(),
            until: ack.until.map(Wall::as_secs_f64),
        }
    }

    pub fn acknowledgement(self, alert: &str) -> Acknowledgement {
        Acknowledgement {
            id: self.id.into(),
            alert: alert.into(),
            by: self.by,
            reason: self.reason,
            since: wall(self.since),
            until: self.until.map(wall),
        }
    }
}

/// A window with its course. That of the configuration is saved too, so that its end is told even if it was
/// taken out of the file meanwhile.
#[derive(Serialize, Deserialize, Debug, Default)]
#[serde(default)]
pub struct WindowRow {
    hosts: Vec<String>,
    tags: Vec<String>,
    groups: Vec<String>,
    /// Of a window that is once.
    once: Option<(f64, f64)>,
    repeat: String,
    days: Vec<String>,
    start: String,
    end: Option<String>,
    /// Seconds, in place of `end`.
    duration: Option<f64>,
    zone: Option<String>,
    reason: String,
    by: Option<String>,
    running: Option<(f64, f64)>,
    ended: Vec<(f64, f64)>,
}

impl WindowRow {
    pub fn of(window: &Maintenance, course: &Course) -> WindowRow {
        let mut row = WindowRow {
            hosts: window.hosts.clone(),
            tags: window.tags.clone(),
            groups: window.groups.clone(),
            repeat: window.schedule.repeat().as_str().to_owned(),
            zone: window.zone.clone(),
            reason: window.reason.clone(),
            by: window.by.clone(),
            running: course.running().map(pair),
            ended: course.ended().map(pair).collect(),
            ..WindowRow::default()
        };
        match &window.schedule {
            Schedule::Once(span) => row.once = Some(pair(*span)),
            Schedule::Repeated(repeated) => {
                row.days = repeated.days.iter().map(Day::to_string).collect();
                row.start = repeated.start.to_string();
                match repeated.end {
                    RepeatedEnd::At(time) => row.end = Some(time.to_string()),
                    RepeatedEnd::After(length) => row.duration = Some(length.as_secs_f64()),
                }
            }
        }
        row
    }

    pub fn running(&self) -> Option<Span> {
        self.running.map(span)
    }

    pub fn ended(&self) -> Vec<Span> {
        self.ended.iter().copied().map(span).collect()
    }

    /// Fails where its zone is not known here any more, or its times cannot be read.
    pub fn maintenance(
        self,
        origin: Origin,
        id: &str,
        zones: &Zones,
    ) -> Result<Maintenance, Fault> {
        let schedule = self.schedule(zones)?;
        Ok(Maintenance {
            id: id.into(),
            hosts: self.hosts,
            tags: self.tags,
            groups: self.groups,
            schedule,
            zone: self.zone,
            reason: self.reason,
            by: self.by,
            origin,
        })
    }

    fn schedule(&self, zones: &Zones) -> Result<Schedule, Fault> {
        if let Some(once) = self.once {
            let once = span(once);
            return Schedule::once(once.start, once.end).map_err(fault_of);
        }
        let zone = zones.get(self.zone.as_deref()).ok_or_else(|| unknown_zone(&self.zone))?;
        let unreadable = || Fault::new("start", "the saved times cannot be read");
        let repeat = Repeat::parse(&self.repeat).ok_or_else(unreadable)?;
        let days: Option<Vec<Day>> = self.days.iter().map(|d| Day::parse(d, repeat)).collect();
        let start = Start::parse(&self.start, repeat).ok_or_else(unreadable)?;
        let end = match (&self.end, self.duration) {
            (Some(end), _) => Start::parse(end, repeat).map(End::At),
            (None, secs) => {
                secs.and_then(|secs| Duration::try_from_secs_f64(secs).ok()).map(End::After)
            }
        };
        let (days, end) = (days.ok_or_else(unreadable)?, end.ok_or_else(unreadable)?);
        Schedule::written(repeat, &days, start, end, &zone).map_err(fault_of)
    }
}
