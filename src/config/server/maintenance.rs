//! `maintenance`: planned windows, once or on a schedule.
//!
//! Owns their written form, in the file and in the API. Whether a zone exists and what a local time
//! means there is decided where the zone data is linked.

use super::{host, key};
use crate::config::node::Value;
use crate::config::problem::quoted;
use crate::config::scalar;
use crate::config::section::{At, Fault, Report, Section};
use std::time::Duration;

/// One window. Without `hosts`, `tags` and `groups` it is for all.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    pub id: String,
    /// Names or globs, lower case.
    pub hosts: Vec<String>,
    pub tags: Vec<String>,
    pub groups: Vec<String>,
    pub start: Start,
    pub end: End,
    pub repeat: Repeat,
    pub days: Vec<Day>,
    /// `None`: the server's `timezone`.
    pub zone: Option<String>,
    pub reason: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Repeat {
    Once,
    Daily,
    Weekly,
    Monthly,
}

impl Repeat {
    const ALL: [Repeat; 4] = [Repeat::Once, Repeat::Daily, Repeat::Weekly, Repeat::Monthly];

    pub const fn as_str(self) -> &'static str {
        match self {
            Repeat::Once => "once",
            Repeat::Daily => "daily",
            Repeat::Weekly => "weekly",
            Repeat::Monthly => "monthly",
        }
    }

    pub fn parse(text: &str) -> Option<Repeat> {
        Repeat::ALL.into_iter().find(|repeat| repeat.as_str() == text)
    }
}

/// When a window starts: a date with `once`, a time of day otherwise. Local time of its zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    At(Date, TimeOfDay),
    Daily(TimeOfDay),
}

impl Start {
    /// `2026-12-01T22:00` for `once`, `22:00` otherwise; seconds may follow.
    pub fn parse(text: &str, repeat: Repeat) -> Option<Start> {
        if repeat != Repeat::Once {
            return parse_time(text).map(Start::Daily);
        }
        let (date, time) = text.split_once(['T', ' '])?;
        Some(Start::At(parse_date(date)?, parse_time(time)?))
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    At(Start),
    After(Duration),
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Date {
    pub year: u16,
    /// 1..12
    pub month: u8,
    /// 1..31
    pub day: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct TimeOfDay {
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
}

/// A day of a schedule. Weekdays are 0 (Monday) to 6.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Day {
    Weekday(u8),
    /// 1..31
    Month(u8),
    /// The 1st to 5th such weekday of the month; -1 the last.
    Nth(i8, u8),
}

impl Day {
    /// `mon` or `monday` for `weekly`; `15`, `2nd tue` or `last fri` for `monthly`.
    pub fn parse(text: &str, repeat: Repeat) -> Option<Day> {
        match repeat {
            Repeat::Once | Repeat::Daily => None,
            Repeat::Weekly => weekday(text).map(Day::Weekday),
            Repeat::Monthly => nth_weekday(text).or_else(|| month_day(text.parse().ok()?)),
        }
    }
}

/// As [`Day::parse`] reads it.
impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = |day: u8| WEEKDAYS.get(usize::from(day)).map_or("", |name| &name[..3]);
        match *self {
            Day::Weekday(day) => f.write_str(name(day)),
            Day::Month(day) => write!(f, "{day}"),
            Day::Nth(which, day) => {
                let word = ORDINALS.iter().find(|(_, n)| *n == which).map_or("", |(word, _)| word);
                write!(f, "{word} {}", name(day))
            }
        }
    }
}

/// As [`Start::parse`] reads it: `22:00`, with seconds where there are some.
impl std::fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02}:{:02}", self.hour, self.minute)?;
        if self.second > 0 { write!(f, ":{:02}", self.second) } else { Ok(()) }
    }
}

pub(super) fn check(report: &mut Report<'_>, at: &At<'_>) -> Vec<Window> {
    let mut windows: Vec<Window> = Vec::new();
    for (index, item) in at.items().iter().enumerate() {
        let Some(window) = check_one(report, item, index) else { continue };
        if windows.iter().any(|other| other.id == window.id) {
            let what = format!("the id {} occurs twice", quoted(&window.id));
            report.error(item, "E0117", what, "give each window an id of its own");
        } else {
            windows.push(window);
        }
    }
    windows
}

fn check_one(report: &mut Report<'_>, at: &At<'_>, index: usize) -> Option<Window> {
    if !matches!(at.node.value, Value::Map(_)) {
        report.fault(at, scalar::wrong(at, "a window such as {start: …, duration: 1h}"));
        return None;
    }
    let section = Section::open(report, at, key::WINDOW)?;
    let repeat = section.choice(report, "repeat").and_then(Repeat::parse).unwrap_or(Repeat::Once);
    let id = section.read(report, "id", window_id);
    let words = |section: &Section<'_>, report: &mut Report<'_>, key: &str| {
        section.list(report, key, |at| scalar::word(at, 128)).unwrap_or_default()
    };
    let hosts = words(&section, report, "hosts");
    let tags = section.list(report, "tags", host::tag).unwrap_or_default();
    let groups = words(&section, report, "groups");
    let (start, end) = span(report, &section, repeat)?;
    Some(Window {
        id: id.unwrap_or_else(|| format!("config-{}", index + 1)),
        hosts: hosts.iter().map(|name| name.to_ascii_lowercase()).collect(),
        tags,
        groups,
        start,
        end,
        repeat,
        days: days(report, &section, repeat),
        zone: section.read(report, "zone", zone),
        reason: section.text(report, "reason"),
    })
}

fn window_id(at: &At<'_>) -> Result<String, Fault> {
    let id = scalar::word(at, 64)?;
    if id.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) {
        return Ok(id);
    }
    let what = format!("{} is not an id", quoted(&id));
    Err(Fault { code: "E0106", what, fix: "use letters, digits, '.', '_' and '-'".to_owned() })
}

fn span(report: &mut Report<'_>, section: &Section<'_>, repeat: Repeat) -> Option<(Start, End)> {
    section.require(report, "start", "add start: 2026-12-01T22:00, or start: 22:00 with repeat");
    let start = section.read(report, "start", |at| moment(at, repeat));
    let end = section.read(report, "end", |at| moment(at, repeat));
    let duration = section.duration(report, "duration");
    match (section.get("end"), section.get("duration")) {
        (None, None) => {
            let what = "the window has no end".to_owned();
            report.error(section.at(), "E0105", what, "add duration: 1h, or end:");
        }
        (Some(at), Some(_)) => {
            let what = "\"end\" and \"duration\" exclude each other".to_owned();
            report.error(&at, "E0117", what, "keep one of them");
        }
        _ => {}
    }
    if let (Some(Start::At(d1, t1)), Some(Start::At(d2, t2)), Some(at)) =
        (start, end, section.get("end"))
        && (d2, t2) <= (d1, t1)
    {
        let what = "the window ends before it starts".to_owned();
        report.error(&at, "E0104", what, "write a later end");
    }
    let end = end.map(End::At).or(duration.map(End::After));
    Some((start?, end?))
}

fn moment(at: &At<'_>, repeat: Repeat) -> Result<Start, Fault> {
    let text = scalar::word(at, 32)?;
    Start::parse(&text, repeat).ok_or_else(|| {
        let (what, fix) = if repeat == Repeat::Once {
            ("a date with a time", "write it as 2026-12-01T22:00")
        } else {
            ("a time of day", "write it as 22:00")
        };
        Fault { code: "E0106", fix: fix.to_owned(), ..scalar::wrong(at, what) }
    })
}

fn digits(text: &str, length: usize) -> Option<u16> {
    let plain = text.len() == length && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

fn parse_date(text: &str) -> Option<Date> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let (year, month, day) = (digits(year, 4)?, digits(month, 2)?, digits(day, 2)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longest = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    let valid = parts.next().is_none() && year >= 1970 && (1..=longest).contains(&day);
    valid.then_some(Date { year, month: month as u8, day: day as u8 })
}

fn parse_time(text: &str) -> Option<TimeOfDay> {
    let mut parts = text.split(':');
    let (hour, minute) = (parts.next()?, parts.next()?);
    let hour = digits(hour, hour.len().clamp(1, 2))?;
    let minute = digits(minute, 2)?;
    let second = parts.next().map_or(Some(0), |second| digits(second, 2))?;
    let valid = parts.next().is_none() && hour < 24 && minute < 60 && second < 60;
    valid.then_some(TimeOfDay { hour: hour as u8, minute: minute as u8, second: second as u8 })
}

fn days(report: &mut Report<'_>, section: &Section<'_>, repeat: Repeat) -> Vec<Day> {
    let days = section.list(report, "days", |at| day(at, repeat)).unwrap_or_default();
    match (repeat, section.get("days")) {
        (Repeat::Once | Repeat::Daily, Some(at)) => {
            let what = "\"days\" needs repeat: weekly or monthly".to_owned();
            report.error(&at, "E0117", what, "add repeat: weekly, or remove days");
        }
        (Repeat::Weekly, None) => section.require(report, "days", "add days: [sun]"),
        (Repeat::Monthly, None) => section.require(report, "days", "add days: [1] or \"2nd tue\""),
        _ => {}
    }
    days
}

const WEEKDAYS: [&str; 7] =
    ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

fn weekday(text: &str) -> Option<u8> {
    let text = text.to_ascii_lowercase();
    let at = WEEKDAYS.iter().position(|day| text == *day || text == day[..3])?;
    u8::try_from(at).ok()
}

fn day(at: &At<'_>, repeat: Repeat) -> Result<Day, Fault> {
    let read = match (&at.node.value, repeat) {
        (Value::Int(day), Repeat::Monthly) => month_day(*day),
        // Where days mean nothing, that is said elsewhere: once.
        (Value::Text(text), Repeat::Once | Repeat::Daily) => Day::parse(text, Repeat::Weekly),
        (Value::Text(text), _) => Day::parse(text, repeat),
        _ => None,
    };
    read.ok_or_else(|| {
        let expected = match repeat {
            Repeat::Monthly => "a day from 1 to 31, or one such as \"2nd tue\" or \"last fri\"",
            _ => "a weekday such as mon",
        };
        Fault { code: "E0106", ..scalar::wrong(at, expected) }
    })
}

fn month_day(day: i64) -> Option<Day> {
    (1..=31).contains(&day).then_some(Day::Month(day as u8))
}

const ORDINALS: [(&str, i8); 6] =
    [("1st", 1), ("2nd", 2), ("3rd", 3), ("4th", 4), ("5th", 5), ("last", -1)];

fn nth_weekday(text: &str) -> Option<Day> {
    let (word, day) = text.split_once(' ')?;
    let (_, which) = ORDINALS.iter().find(|(known, _)| *known == word)?;
    weekday(day.trim()).map(|day| Day::Nth(*which, day))
}

/// Whether a text has the shape of an IANA zone: `Europe/Zurich`, `UTC`, `Etc/GMT+1`.
pub fn is_zone_name(text: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+-".contains(&b))
    };
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.split('/').all(part)
}

pub(super) fn zone(at: &At<'_>) -> Result<String, Fault> {
    let text = scalar::word(at, 64)?;
    if is_zone_name(&text) {
        return Ok(text);
    }
    let what = format!("{} is not a name of a time zone", quoted(&text));
    Err(Fault { code: "E0106", what, fix: "write it as Europe/Zurich or UTC".to_owned() })
}
