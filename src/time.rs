//! Instants as values: `Mono` for every deadline, `Wall` for what people read.
//!
//! Owns the two newtypes, their arithmetic, and durations as text. Never reads a clock: the shells do
//! (`os::clock`) and pass `Now` down, so that a simulation can run days in seconds.

use crate::text::decimal;
use std::ops::{Add, Sub};
pub use std::time::Duration;

/// A point on the monotonic clock, in nanoseconds since an origin that only its maker knows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Mono(u64);

impl Mono {
    pub const ZERO: Mono = Mono(0);
    /// Later than every instant that can occur.
    pub const MAX: Mono = Mono(u64::MAX);

    pub const fn from_nanos(nanos: u64) -> Mono {
        Mono(nanos)
    }

    pub const fn from_secs(secs: u64) -> Mono {
        Mono(secs.saturating_mul(1_000_000_000))
    }

    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero where it is not later.
    pub const fn since(self, earlier: Mono) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Mono {
    type Output = Mono;
    fn add(self, span: Duration) -> Mono {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Mono(self.0.saturating_add(nanos))
    }
}

impl Sub<Duration> for Mono {
    type Output = Mono;
    fn sub(self, span: Duration) -> Mono {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Mono(self.0.saturating_sub(nanos))
    }
}

/// A point in civil time: microseconds since 1970-01-01 00:00 UTC. It may step, and may be before 1970.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Wall(i64);

impl Wall {
    pub const fn from_micros(micros: i64) -> Wall {
        Wall(micros)
    }

    pub const fn from_secs(secs: i64) -> Wall {
        Wall(secs.saturating_mul(1_000_000))
    }

    /// From Unix seconds as the API and the saved state write them; not-a-number reads as 0.
    pub fn from_secs_f64(secs: f64) -> Wall {
        Wall((secs * 1e6) as i64)
    }

    pub const fn as_micros(self) -> i64 {
        self.0
    }

    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Unix seconds as the API writes them, rounded to milliseconds.
    pub fn as_secs_f64(self) -> f64 {
        (self.0.div_euclid(1000)) as f64 / 1000.0
    }

    /// How long after `earlier` this is; zero where it is not later.
    pub fn since(self, earlier: Wall) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0).max(0) as u64)
    }
}

impl Add<Duration> for Wall {
    type Output = Wall;
    fn add(self, span: Duration) -> Wall {
        Wall(self.0.saturating_add(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Wall {
    type Output = Wall;
    fn sub(self, span: Duration) -> Wall {
        Wall(self.0.saturating_sub(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
    }
}

/// Both clocks, read once per turn of a shell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Now {
    pub mono: Mono,
    pub wall: Wall,
}

impl Add<Duration> for Now {
    type Output = Now;
    fn add(self, span: Duration) -> Now {
        Now { mono: self.mono + span, wall: self.wall + span }
    }
}

/// Reads `30`, `1.5`, `30s`, `5m`, `1h30m`, `7d`: a number alone is seconds. `None` where it is none of these.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    if let Some(secs) = decimal(text.as_bytes()) {
        return (!text.starts_with('-') && secs < 1e10).then(|| Duration::from_secs_f64(secs));
    }
    let mut total = 0u64;
    let mut rest = text;
    let mut last_unit = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let count: u64 = rest.get(..digits)?.parse().ok()?;
        let unit_text = &rest[digits..];
        let letters = unit_text.bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit = match &unit_text[..letters] {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86400,
            "w" => 604_800,
            _ => return None,
        };
        if unit >= last_unit {
            return None;
        }
        last_unit = unit;
        total = total.checked_add(count.checked_mul(unit)?)?;
        rest = &unit_text[letters..];
    }
    (last_unit != u64::MAX && total < 10_000_000_000).then(|| Duration::from_secs(total))
}

/// Reads the date of an HTTP answer: `Sun, 06 Nov 1994 08:49:37 GMT`.
pub fn parse_http_date(text: &str) -> Option<Wall> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = text.split_once(", ")?.1.split(' ');
    let day: i64 = words.next()?.parse().ok()?;
    let month = words.next()?;
    let month = MONTHS.iter().position(|name| *name == month)? as i64 + 1;
    let year: i64 = words.next()?.parse().ok()?;
    let mut clock = words.next()?.split(':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let fits = (1970..=9999).contains(&year)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    // Days since 1970 of the proleptic Gregorian calendar; the year begins in March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    (fits && words.next() == Some("GMT"))
        .then(|| Wall::from_secs(((days * 24 + hour) * 60 + minute) * 60 + second))
}

/// A duration in at most two units: `18s`, `2m`, `5m 12s`, `3h 4m`, `2d 1h` (SPEC section 13).
pub fn render_duration(span: Duration) -> String {
    let secs = span.as_secs();
    let units =
        [("d", secs / 86400), ("h", secs / 3600 % 24), ("m", secs / 60 % 60), ("s", secs % 60)];
    let first = units.iter().position(|(_, n)| *n > 0).unwrap_or(units.len() - 1);
    let mut text = format!("{}{}", units[first].1, units[first].0);
    if let Some((unit, n)) = units.get(first + 1).filter(|(_, n)| *n > 0) {
        text.push_str(&format!(" {n}{unit}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_of_an_http_answer_is_read() {
        let table = [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Thu, 29 Feb 2024 00:00:00 GMT", Some(1_709_164_800)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 CET", None),
            ("Sun, 06 Nov 1994 25:49:37 GMT", None),
            ("Sunday, 06-Nov-94 08:49:37 GMT", None),
            ("", None),
        ];
        for (text, want) in table {
            assert_eq!(parse_http_date(text), want.map(Wall::from_secs), "{text}");
        }
    }

    #[test]
    fn duration_text_parses_in_every_documented_form() {
        let table = [
            ("30", Some(30)),
            ("30s", Some(30)),
            ("5m", Some(300)),
            ("1h30m", Some(5400)),
            ("7d", Some(604_800)),
            ("0", Some(0)),
            ("", None),
            ("m", None),
            ("5x", None),
            ("30m1h", None),
            ("-5", None),
            ("1e9", None),
            ("nan", None),
            ("5 m", None),
            ("99999999999d", None),
        ];
        for (text, want) in table {
            assert_eq!(parse_duration(text), want.map(Duration::from_secs), "{text:?}");
        }
        assert_eq!(parse_duration("1.5"), Some(Duration::from_millis(1500)));
    }

    #[test]
    fn duration_renders_two_units_at_most() {
        let table = [
            (0, "0s"),
            (18, "18s"),
            (120, "2m"),
            (312, "5m 12s"),
            (11040, "3h 4m"),
            (176_400, "2d 1h"),
            (86_405, "1d"),
        ];
        for (secs, want) in table {
            assert_eq!(render_duration(Duration::from_secs(secs)), want);
        }
    }

    #[test]
    fn wall_before_1970_keeps_its_order() {
        let early = Wall::from_secs(-5);
        assert!(early < Wall::from_secs(0));
        assert_eq!(early.as_secs(), -5);
        assert_eq!(Wall::from_secs(0).since(early), Duration::from_secs(5));
        assert_eq!(early.since(Wall::from_secs(0)), Duration::ZERO);
    }
}
