//! Local times of a zone as instants, over gaps and repeated hours.

use crate::config::server;
use crate::time::Wall;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};

/// Where zones come from. Looking one up may read a file, which is why it is handed in; it is done when a
/// window is made, loaded or restored, never while time passes.
#[derive(Clone)]
pub struct Zones {
    find: fn(&str) -> Option<TimeZone>,
    local: TimeZone,
}

impl Zones {
    /// `find` knows the IANA names; `local` is the server's own zone (`timezone`, else the machine's).
    pub fn new(find: fn(&str) -> Option<TimeZone>, local: TimeZone) -> Zones {
        Zones { find, local }
    }

    /// The same with another zone as the server's own.
    pub fn with_local(self, local: TimeZone) -> Zones {
        Zones { local, ..self }
    }

    /// The zone of that name, the server's own without one.
    pub fn get(&self, name: Option<&str>) -> Option<TimeZone> {
        match name {
            None => Some(self.local.clone()),
            Some("UTC") => Some(TimeZone::UTC),
            Some(name) => (self.find)(name),
        }
    }
}

/// UTC, and no other zone.
impl Default for Zones {
    fn default() -> Zones {
        Zones::new(|_| None, TimeZone::UTC)
    }
}

/// The local time of an instant; `None` beyond the years that a calendar has.
pub fn local(zone: &TimeZone, at: Wall) -> Option<DateTime> {
    Some(zone.to_datetime(Timestamp::from_microsecond(at.as_micros()).ok()?))
}

/// The first instant at which the zone's clock shows `at`, or has jumped over it: of an hour that comes
/// twice the first, of one that does not exist the moment after the gap.
pub fn instant(zone: &TimeZone, at: DateTime) -> Option<Wall> {
    let ambiguous = zone.to_ambiguous_timestamp(at);
    let is_gap = matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. });
    let mut found = ambiguous.compatible().ok()?;
    if is_gap {
        // `compatible` lands as far behind the jump as `at` lies in the gap.
        let upto = found.checked_add(jiff::SignedDuration::from_nanos(1)).ok()?;
        found = zone.preceding(upto).next().map_or(found, |jump| jump.timestamp());
    }
    Some(Wall::from_micros(found.as_microsecond()))
}

/// The same for a date and a time of day as they are written.
pub fn instant_of(zone: &TimeZone, date: server::Date, time: server::TimeOfDay) -> Option<Wall> {
    let day = Date::new(date.year as i16, date.month as i8, date.day as i8).ok()?;
    instant(zone, day.to_datetime(time_of(time)))
}

pub fn time_of(time: server::TimeOfDay) -> Time {
    let part = |n: u8, below: i8| (n as i8).clamp(0, below - 1);
    Time::constant(part(time.hour, 24), part(time.minute, 60), part(time.second, 60), 0)
}

#[cfg(test)]
pub mod fixture {
    use super::*;

    /// As the zones' rules have been since 1996, without reading the machine's files.
    pub fn zones() -> Zones {
        Zones::new(find, find("Europe/Zurich").expect("a known zone"))
    }

    pub fn find(name: &str) -> Option<TimeZone> {
        let rule = match name {
            "Europe/Zurich" => "CET-1CEST,M3.5.0,M10.5.0/3",
            "Asia/Kathmandu" => "<+0545>-5:45",
            "Australia/Lord_Howe" => "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
            "America/Havana" => "CST5CDT,M3.2.0/0,M11.1.0/1",
            "UTC" => "UTC0",
            _ => return None,
        };
        TimeZone::posix(rule).ok()
    }

    /// `2026-03-29T02:30` of a zone as an instant; with `Z` that of UTC.
    pub fn at(zone: &str, text: &str) -> Wall {
        let plain: DateTime = text.trim_end_matches('Z').parse().expect("a local time");
        let zone = if text.ends_with('Z') { "UTC" } else { zone };
        instant(&find(zone).expect("a known zone"), plain).expect("within the calendar")
    }
}

#[cfg(test)]
mod tests {
    use super::fixture::{at, find};
    use super::*;

    #[test]
    fn local_time_is_the_first_instant_that_shows_or_passes_it() {
        let table = [
            ("Europe/Zurich", "2026-03-29T01:59", "2026-03-29T00:59Z"),
            ("Europe/Zurich", "2026-03-29T02:00", "2026-03-29T01:00Z"),
            ("Europe/Zurich", "2026-03-29T02:30", "2026-03-29T01:00Z"),
            ("Europe/Zurich", "2026-03-29T02:59", "2026-03-29T01:00Z"),
            ("Europe/Zurich", "2026-03-29T03:00", "2026-03-29T01:00Z"),
            ("Europe/Zurich", "2026-03-29T03:01", "2026-03-29T01:01Z"),
            ("Europe/Zurich", "2026-10-25T02:30", "2026-10-25T00:30Z"),
            ("Europe/Zurich", "2026-10-25T03:00", "2026-10-25T02:00Z"),
            ("Asia/Kathmandu", "2026-03-29T02:30", "2026-03-28T20:45Z"),
            ("UTC", "2026-03-29T02:30", "2026-03-29T02:30Z"),
            // Half an hour, and a midnight that does not exist.
            ("Australia/Lord_Howe", "2026-10-04T02:10", "2026-10-03T15:30Z"),
            ("Australia/Lord_Howe", "2026-04-05T01:45", "2026-04-04T14:45Z"),
            ("America/Havana", "2026-03-08T00:30", "2026-03-08T05:00Z"),
        ];
        for (zone, local, utc) in table {
            assert_eq!(at(zone, local), at("UTC", utc), "{zone} {local}");
        }
    }

    #[test]
    fn instant_beyond_the_calendar_has_no_local_time() {
        let zurich = find("Europe/Zurich").unwrap();
        assert_eq!(local(&zurich, Wall::from_micros(i64::MAX)), None);
        assert_eq!(local(&zurich, Wall::from_micros(i64::MIN)), None);
    }

    /// The rules written in the fixture are those of the zone files, where the machine has any.
    #[test]
    fn fixture_agrees_with_the_zone_files() {
        for name in ["Europe/Zurich", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Havana"] {
            let Ok(real) = TimeZone::get(name) else { continue };
            for hour in 0..24 * 366 {
                let moment = Timestamp::from_second(1_767_225_600 + hour * 3600).unwrap();
                assert_eq!(real.to_offset(moment), find(name).unwrap().to_offset(moment), "{name}");
            }
        }
    }
}
