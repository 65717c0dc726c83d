//! When a maintenance window is: once between two instants, or again and again by the clock of a zone.
//!
//! Pure computation; what has begun and what was told stands in `course`.

use super::zone::{self, time_of};
use crate::config::server::{Day, End, Repeat, Start, TimeOfDay};
use crate::time::{Duration, Wall};
use jiff::ToSpan;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// The longest stretch of days without an occurrence, with room: a 5th Tuesday can be 14 weeks away.
const DAYS_MAX: u32 = 200;
/// Most occurrences listed at once.
const LISTED_MAX: usize = 100;

/// From its start to just before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    pub start: Wall,
    pub end: Wall,
}

impl Span {
    pub fn contains(self, at: Wall) -> bool {
        self.start <= at && at < self.end
    }

    pub fn length(self) -> Duration {
        self.end.since(self.start)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Schedule {
    Once(Span),
    Repeated(Repeated),
}

/// On certain days, from a local time on. It starts at the first moment that the zone's clock shows that
/// time or has jumped over it, so exactly once a day, and ends likewise (or after an exact duration).
#[derive(Clone, Debug, PartialEq)]
pub struct Repeated {
    pub repeat: Repeat,
    /// Empty for `daily`.
    pub days: Vec<Day>,
    pub start: TimeOfDay,
    pub end: RepeatedEnd,
    pub zone: TimeZone,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RepeatedEnd {
    /// The next time the clock shows this, on the same day or the next.
    At(TimeOfDay),
    After(Duration),
}

/// Why a schedule as written cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Impossible {
    /// A time of day where a date is needed, or the other way round.
    Form,
    EndsFirst,
    NoDays,
    /// Outside the years that a calendar has.
    TooFar,
}

impl Schedule {
    pub fn once(start: Wall, end: Wall) -> Result<Schedule, Impossible> {
        if end <= start {
            return Err(Impossible::EndsFirst);
        }
        Ok(Schedule::Once(Span { start, end }))
    }

    /// A schedule as it is written in the configuration and the API, by the clock of `zone`.
    pub fn written(
        repeat: Repeat,
        days: &[Day],
        start: Start,
        end: End,
        zone: &TimeZone,
    ) -> Result<Schedule, Impossible> {
        match (start, end) {
            (Start::At(date, time), _) if repeat == Repeat::Once => {
                let instant =
                    |date, time| zone::instant_of(zone, date, time).ok_or(Impossible::TooFar);
                let start = instant(date, time)?;
                let end = match end {
                    End::At(Start::At(date, time)) => instant(date, time)?,
                    End::At(Start::Daily(_)) => return Err(Impossible::Form),
                    End::After(length) => start + length,
                };
                Schedule::once(start, end)
            }
            (Start::Daily(start), End::At(Start::Daily(end))) if repeat != Repeat::Once => {
                Schedule::repeated(repeat, days, start, RepeatedEnd::At(end), zone)
            }
            (Start::Daily(start), End::After(length)) if repeat != Repeat::Once => {
                Schedule::repeated(repeat, days, start, RepeatedEnd::After(length), zone)
            }
            _ => Err(Impossible::Form),
        }
    }

    pub(super) fn repeated(
        repeat: Repeat,
        days: &[Day],
        start: TimeOfDay,
        end: RepeatedEnd,
        zone: &TimeZone,
    ) -> Result<Schedule, Impossible> {
        if days.is_empty() && repeat != Repeat::Daily {
            return Err(Impossible::NoDays);
        }
        if end == RepeatedEnd::After(Duration::ZERO) {
            return Err(Impossible::EndsFirst);
        }
        let (days, zone) = (days.to_vec(), zone.clone());
        Ok(Schedule::Repeated(Repeated { repeat, days, start, end, zone }))
    }

    pub fn repeat(&self) -> Repeat {
        match self {
            Schedule::Once(_) => Repeat::Once,
            Schedule::Repeated(repeated) => repeated.repeat,
        }
    }

    /// The occurrence that covers `now`: the one that started last, where several do.
    pub fn active(&self, now: Wall) -> Option<Span> {
        match self {
            Schedule::Once(span) => Some(*span),
            Schedule::Repeated(repeated) => repeated.latest(now),
        }
        .filter(|span| span.contains(now))
    }

    /// The first `count` occurrences that start after `now`, at most a hundred.
    pub fn next(&self, now: Wall, count: usize) -> Vec<Span> {
        match self {
            Schedule::Once(span) => {
                Vec::from_iter((count > 0 && span.start > now).then_some(*span))
            }
            Schedule::Repeated(repeated) => repeated.following(now, count.min(LISTED_MAX)),
        }
    }
}

impl Repeated {
    /// The occurrence that started last, at `now` or before. Ends are in the order of starts, so no earlier
    /// one outlasts it.
    fn latest(&self, now: Wall) -> Option<Span> {
        // A clock may jump over midnight, and the 30th of December 2011 was no day on Samoa.
        let mut date = zone::local(&self.zone, now)?.date().checked_add(1.day()).ok()?;
        for _ in 0..DAYS_MAX {
            if let Some(span) = self.on(date)
                && span.start <= now
            {
                return Some(span);
            }
            date = date.yesterday().ok()?;
        }
        None
    }

    fn following(&self, now: Wall, count: usize) -> Vec<Span> {
        let mut found: Vec<Span> = Vec::new();
        let first = zone::local(&self.zone, now).and_then(|at| at.date().yesterday().ok());
        let (mut date, mut barren) = (first, 0);
        while let Some(day) = date
            && found.len() < count
            && barren < DAYS_MAX
        {
            barren += 1;
            if let Some(span) = self.on(day)
                && span.start > now
                && found.last().is_none_or(|last| last.start < span.start)
            {
                found.push(span);
                barren = 0;
            }
            date = day.tomorrow().ok();
        }
        found
    }

    /// The occurrence of a day of the zone's calendar, if it is one of the schedule's.
    fn on(&self, date: Date) -> Option<Span> {
        let is_due = self.days.is_empty() || self.days.iter().any(|day| falls_on(*day, date));
        if !is_due {
            return None;
        }
        let start = zone::instant(&self.zone, date.to_datetime(time_of(self.start)))?;
        let end = match self.end {
            RepeatedEnd::After(length) => start + length,
            RepeatedEnd::At(end) => {
                let last = if end > self.start { date } else { date.tomorrow().ok()? };
                let end_at = last.to_datetime(time_of(end));
                let at = zone::instant(&self.zone, end_at)?;
                // A window that lies in the gap as a whole keeps the length it has on other days.
                if at > start { at } else { start + nominal(self.start, end) }
            }
        };
        Some(Span { start, end })
    }
}

fn falls_on(day: Day, date: Date) -> bool {
    let weekday = date.weekday().to_monday_zero_offset();
    match day {
        Day::Weekday(wanted) => weekday == wanted as i8,
        Day::Month(wanted) => date.day() == wanted as i8,
        Day::Nth(-1, wanted) => weekday == wanted as i8 && date.day() + 7 > date.days_in_month(),
        Day::Nth(which, wanted) => weekday == wanted as i8 && (date.day() - 1) / 7 + 1 == which,
    }
}

fn nominal(start: TimeOfDay, end: TimeOfDay) -> Duration {
    let secs =
        |t: TimeOfDay| i64::from(t.hour) * 3600 + i64::from(t.minute) * 60 + i64::from(t.second);
    let length = (secs(end) - secs(start)).rem_euclid(86_400);
    Duration::from_secs(if length == 0 { 86_400 } else { length as u64 })
}
