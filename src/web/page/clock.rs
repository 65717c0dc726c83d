//! Instants and spans as pages show them (ui/UI.md 4.3), in the zone that the reader chose.

use crate::time::{Duration, Wall};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

/// Relative up to here, then a date.
const RELATIVE_MAX: Duration = Duration::from_secs(48 * 3600);

/// The reader's clock: the moment of the page and the zone.
pub struct Clock {
    now: Wall,
    zone: TimeZone,
    is_brief: bool,
}

/// What a `<time>` element needs.
#[derive(Clone, Debug, Default, Serialize)]
pub struct When {
    pub iso: String,
    /// Whole, in the reader's zone and in UTC; brief where a page has hundreds of them.
    pub title: String,
    pub text: String,
}

impl Clock {
    pub fn new(now: Wall, zone: TimeZone) -> Clock {
        Clock { now, zone, is_brief: false }
    }

    /// The same clock with short titles.
    pub fn brief(mut self) -> Clock {
        self.is_brief = true;
        self
    }

    /// As forms send a moment: `2026-11-22T15:20:41Z`.
    pub fn stamp(at: Wall) -> String {
        render(at, &TimeZone::UTC, "%FT%TZ")
    }

    /// As a field for date and time has it, by this clock: `2026-11-22T16:20`.
    pub fn field(&self, at: Wall) -> String {
        self.format(at, "%FT%H:%M")
    }

    /// A moment as a form sends it: `2026-11-22T15:20` by this clock, or Unix seconds.
    pub fn parse(&self, text: &str) -> Option<Wall> {
        if let Ok(secs) = text.parse::<f64>() {
            return (0.0..4e9).contains(&secs).then(|| Wall::from_secs_f64(secs));
        }
        let local: jiff::civil::DateTime = text.parse().ok()?;
        let at = local.to_zoned(self.zone.clone()).ok()?;
        Some(Wall::from_micros(at.timestamp().as_microsecond()))
    }

    /// `4 s ago`, `in 42 s`, after two days `20 Nov 14:02`.
    pub fn ago(&self, at: Wall) -> When {
        let text = match (self.now.since(at), at.since(self.now)) {
            (past, _) if past > RELATIVE_MAX => self.format(at, "%-d %b %H:%M"),
            (past, Duration::ZERO) => format!("{} ago", span(past)),
            (_, future) => format!("in {}", span(future)),
        };
        self.when(at, text)
    }

    /// How long ago without the word, for columns: `2 h 14 m`.
    pub fn since(&self, at: Wall) -> When {
        self.when(at, span(self.now.since(at)))
    }

    /// `16:20:41`, on another day `20 Nov 14:02`.
    pub fn time(&self, at: Wall) -> When {
        let is_today = self.format(at, "%F") == self.format(self.now, "%F");
        self.when(at, self.format(at, if is_today { "%H:%M:%S" } else { "%-d %b %H:%M" }))
    }

    /// `16:20`, on another day `20 Nov 16:20`, for a sentence.
    pub fn at(&self, at: Wall) -> When {
        self.when(at, self.short(at))
    }

    /// `12 Oct 2026, 13:04 CEST`
    pub fn date(&self, at: Wall) -> When {
        self.when(at, self.format(at, "%-d %b %Y, %H:%M %Z"))
    }

    /// When something that began then ends: the time, with its day where that is another.
    pub fn end(&self, from: Wall, to: Wall) -> String {
        let is_same = self.format(from, "%F") == self.format(to, "%F");
        self.format(to, if is_same { "%H:%M" } else { "%-d %b %Y, %H:%M" })
    }

    /// `16:20`, for the axis of a chart.
    pub fn axis(&self, at: Wall) -> String {
        self.format(at, "%H:%M")
    }

    pub fn today(&self) -> String {
        self.day(self.now)
    }

    /// `20 Nov`, for the axis of days.
    pub fn day(&self, at: Wall) -> String {
        self.format(at, "%-d %b")
    }

    /// `16:20`, on another day `20 Nov 16:20`.
    pub fn short(&self, at: Wall) -> String {
        let is_today = self.format(at, "%F") == self.format(self.now, "%F");
        self.format(at, if is_today { "%H:%M" } else { "%-d %b %H:%M" })
    }

    /// A moment as forms and presets send it: with its zone, by this clock, or in Unix seconds.
    pub fn moment(&self, text: &str) -> Option<Wall> {
        match text.parse::<Timestamp>() {
            Ok(at) => Some(Wall::from_micros(at.as_microsecond())),
            Err(_) => self.parse(text),
        }
    }

    /// `16:20`, within a week `Mon 09:00`, else `20 Nov 14:02`.
    pub fn weekday(&self, at: Wall) -> String {
        const WEEK: Duration = Duration::from_secs(6 * 86_400);
        match self.day(at) == self.today() {
            true => self.format(at, "%H:%M"),
            false if at.since(self.now) < WEEK => self.format(at, "%a %H:%M"),
            false => self.format(at, "%-d %b %H:%M"),
        }
    }

    /// Nine o'clock of the next day, or of the next such day of the week (1 is Monday), by this clock.
    pub fn next_morning(&self, weekday: Option<i8>) -> Wall {
        let fallback = self.now + Duration::from_secs(86_400);
        let Ok(now) = Timestamp::from_microsecond(self.now.as_micros()) else { return fallback };
        let mut day = now.to_zoned(self.zone.clone()).date();
        for _ in 0..7 {
            day = day.tomorrow().unwrap_or(day);
            if weekday.is_none_or(|wish| day.weekday().to_monday_one_offset() == wish) {
                break;
            }
        }
        let morning = day.at(9, 0, 0, 0).to_zoned(self.zone.clone());
        morning.map_or(fallback, |at| Wall::from_micros(at.timestamp().as_microsecond()))
    }

    /// The next moment after `at` that is a multiple of `step` seconds of the local day; of whole days, midnight. A
    /// day of 23 or 25 hours keeps its own hours.
    pub fn next_tick(&self, at: Wall, step: i64) -> Wall {
        let step = step.max(1);
        let plain = Wall::from_secs((at.as_secs().div_euclid(step) + 1) * step);
        let Ok(now) = Timestamp::from_microsecond(at.as_micros()) else { return plain };
        let local = now.to_zoned(self.zone.clone());
        let days = step / 86_400;
        if days > 0 {
            let mut day = local.date();
            for _ in 0..days {
                day = day.tomorrow().unwrap_or(day);
            }
            let midnight = day.to_zoned(self.zone.clone());
            return midnight.map_or(plain, |at| Wall::from_micros(at.timestamp().as_microsecond()));
        }
        let offset = i64::from(local.offset().seconds());
        let moved = (at.as_secs() + offset).div_euclid(step) + 1;
        let next = Wall::from_secs(moved * step - offset);
        // Over a change of the clock the offset is another; its hours count from then on.
        let Ok(then) = Timestamp::from_microsecond(next.as_micros()) else { return next };
        let change = offset - i64::from(then.to_zoned(self.zone.clone()).offset().seconds());
        let mended = Wall::from_secs(next.as_secs() + change.rem_euclid(step));
        if mended > at { mended } else { next }
    }

    /// `Nov 2026`
    pub fn month(&self, at: Wall) -> String {
        self.format(at, "%b %Y")
    }

    /// Midnight of the first of the month.
    pub fn month_start(&self, at: Wall) -> Wall {
        let plain = at - Duration::from_secs(30 * 86_400);
        let Ok(at) = Timestamp::from_microsecond(at.as_micros()) else { return plain };
        let first = at.to_zoned(self.zone.clone()).date().first_of_month();
        let midnight = first.to_zoned(self.zone.clone());
        midnight.map_or(plain, |at| Wall::from_micros(at.timestamp().as_microsecond()))
    }

    /// Short name of the zone at this moment: `CET`.
    pub fn zone_short(&self) -> String {
        self.format(self.now, "%Z")
    }

    /// `Europe/Zurich`, where the zone has a name.
    pub fn zone_name(&self) -> String {
        self.zone.iana_name().map_or_else(|| self.zone_short(), str::to_owned)
    }

    fn when(&self, at: Wall, text: String) -> When {
        let title = if self.is_brief {
            self.format(at, "%-d %b %H:%M:%S")
        } else {
            let utc = render(at, &TimeZone::UTC, "%H:%M:%S UTC");
            format!("{} · {utc}", self.format(at, "%a %-d %b %Y %H:%M:%S %Z"))
        };
        When { iso: render(at, &TimeZone::UTC, "%FT%TZ"), title, text }
    }

    fn format(&self, at: Wall, pattern: &str) -> String {
        render(at, &self.zone, pattern)
    }
}

fn render(at: Wall, zone: &TimeZone, pattern: &str) -> String {
    // Outside of the years -9999 to 9999 there is no date to show; the host's clock is nonsense
    // then.
    let timestamp = Timestamp::from_microsecond(at.as_micros()).unwrap_or(Timestamp::UNIX_EPOCH);
    timestamp.to_zoned(zone.clone()).strftime(pattern).to_string()
}

/// Two units at most: `18 s`, `2 h 14 m`, `41 d 3 h`, `> 1 y`; no seconds from ten minutes on.
pub fn span(span: Duration) -> String {
    let span =
        if span.as_secs() >= 600 { Duration::from_secs(span.as_secs() / 60 * 60) } else { span };
    if span > Duration::from_secs(366 * 86_400) {
        return "> 1 y".to_owned();
    }
    let mut text = String::new();
    for c in crate::time::render_duration(span).chars() {
        match c {
            'd' | 'h' | 'm' | 's' => text.extend([' ', c]),
            digit => text.push(digit),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Wall = Wall::from_secs(1_795_360_841);

    fn zurich() -> TimeZone {
        TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
    }

    #[test]
    fn instants_read_as_documented() {
        let clock = Clock::new(NOW, zurich());
        let ago = |secs| clock.ago(NOW - Duration::from_secs(secs)).text;
        assert_eq!(ago(4), "4 s ago");
        assert_eq!(ago(8040), "2 h 14 m ago");
        assert_eq!(ago(3 * 86_400), "19 Nov 16:20");
        assert_eq!(clock.ago(NOW + Duration::from_secs(42)).text, "in 42 s");
        let when = clock.time(NOW);
        assert_eq!(when.text, "16:20:41");
        assert_eq!(when.iso, "2026-11-22T15:20:41Z");
        assert_eq!(when.title, "Sun 22 Nov 2026 16:20:41 CET · 15:20:41 UTC");
        assert_eq!(span(Duration::from_secs(400 * 86_400)), "> 1 y");
    }

    #[test]
    fn zones_with_daylight_saving_and_odd_offsets() {
        let dst = Wall::from_secs(1_793_494_800); // 2026-11-01 01:00 UTC, a week after the change
        let before = dst - Duration::from_secs(8 * 86_400);
        assert_eq!(Clock::new(NOW, zurich()).axis(dst), "02:00");
        assert_eq!(Clock::new(NOW, zurich()).axis(before), "03:00");
        let nepal = TimeZone::posix("<+0545>-5:45").unwrap();
        assert_eq!(Clock::new(NOW, nepal).axis(NOW), "21:05");
    }

    /// 29 March and 25 October 2026 in Zurich: every tick of two hours is an even hour there, the hour that is left
    /// out or comes twice notwithstanding, and a day's tick is its midnight.
    #[test]
    fn ticks_of_days_with_23_and_25_hours_keep_their_hours() {
        let clock = Clock::new(NOW, zurich());
        // The midnights before and after in UTC, and the hours of the day.
        let days = [(1_774_738_800, 23), (1_792_879_200, 25), (1_795_302_000, 24)];
        for (start, hours) in days {
            let (start, end) = (Wall::from_secs(start), Wall::from_secs(start + hours * 3600));
            assert_eq!(
                (clock.axis(start), clock.axis(end)),
                ("00:00".to_owned(), "00:00".to_owned())
            );
            assert_eq!(clock.next_tick(start, 86_400), end, "{hours} hours");
            let mut at = start;
            let mut shown = Vec::new();
            loop {
                at = clock.next_tick(at, 7200);
                if at >= end {
                    break;
                }
                shown.push(clock.axis(at));
            }
            let odd = |text: &&String| {
                text[..2].parse::<u32>().unwrap() % 2 == 1 || !text.ends_with(":00")
            };
            assert_eq!(shown.iter().find(odd), None, "{hours}: {shown:?}");
            assert!(shown.len() >= 10 && at == end, "{hours}: {shown:?}");
        }
        let nepal = Clock::new(NOW, TimeZone::posix("<+0545>-5:45").unwrap());
        assert_eq!(nepal.axis(nepal.next_tick(NOW, 3600)), "22:00");
    }

    #[test]
    fn an_impossible_instant_does_no_harm() {
        let clock = Clock::new(NOW, zurich());
        assert!(!clock.ago(Wall::from_micros(i64::MIN)).iso.is_empty());
        assert!(!clock.ago(Wall::from_micros(i64::MAX)).iso.is_empty());
    }
}
