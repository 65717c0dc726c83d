//! Schedules over days that the clock is changed on, month ends and year ends, and against a slow oracle.

use super::schedule::{RepeatedEnd, Schedule, Span};
use super::zone::fixture::{at, find};
use super::zone::local;
use crate::config::server::{Day, End, Repeat, Start, TimeOfDay};
use crate::time::{Duration, Wall};
use expect_test::{Expect, expect};
use jiff::civil::DateTime;
use proptest::prelude::*;

const ZURICH: &str = "Europe/Zurich";

/// `daily 02:30-04:00`, `weekly sun,mon 22:00-06:00`, `monthly 2nd tue 03:00+1h`, in a zone.
fn schedule(zone: &str, text: &str) -> Schedule {
    let (repeat, rest) = text.split_once(' ').unwrap();
    let (days, times) = rest.rsplit_once(' ').unwrap_or(("", rest));
    let repeat = Repeat::parse(repeat).unwrap();
    let days: Vec<Day> =
        days.split(',').filter(|d| !d.is_empty()).map(|d| Day::parse(d, repeat).unwrap()).collect();
    let (start, end) = match times.split_once('-') {
        Some((start, end)) => (start, End::At(Start::parse(end, repeat).unwrap())),
        None => {
            let (start, length) = times.split_once('+').unwrap();
            (start, End::After(crate::time::parse_duration(length).unwrap()))
        }
    };
    let start = Start::parse(start, repeat).unwrap();
    Schedule::written(repeat, &days, start, end, &find(zone).unwrap()).unwrap()
}

fn show(zone: &str, spans: &[Span]) -> String {
    let zone = find(zone).unwrap();
    let clock = |at: Wall| {
        let moment = jiff::Timestamp::from_second(at.as_secs()).unwrap();
        moment.to_zoned(zone.clone()).strftime("%a %F %H:%M %Z").to_string()
    };
    let line = |span: &Span| format!("{} to {}\n", clock(span.start), clock(span.end));
    spans.iter().map(line).collect()
}

fn check(zone: &str, text: &str, from: &str, count: usize, want: Expect) {
    want.assert_eq(&show(zone, &schedule(zone, text).next(at(zone, from), count)));
}

#[test]
fn daily_window_over_the_spring_change_starts_after_the_gap() {
    check(
        ZURICH,
        "daily 02:30-04:00",
        "2026-03-28T00:00",
        3,
        expect![[r#"
            Sat 2026-03-28 02:30 CET to Sat 2026-03-28 04:00 CET
            Sun 2026-03-29 03:00 CEST to Sun 2026-03-29 04:00 CEST
            Mon 2026-03-30 02:30 CEST to Mon 2026-03-30 04:00 CEST
        "#]],
    );
}

#[test]
fn daily_window_over_the_autumn_change_runs_once_and_ends_by_the_clock() {
    check(
        ZURICH,
        "daily 02:30-04:00",
        "2026-10-24T12:00",
        2,
        expect![[r#"
            Sun 2026-10-25 02:30 CEST to Sun 2026-10-25 04:00 CET
            Mon 2026-10-26 02:30 CET to Mon 2026-10-26 04:00 CET
        "#]],
    );
}

#[test]
fn window_over_night_lasts_by_the_local_clock() {
    check(
        ZURICH,
        "daily 22:00-06:00",
        "2026-03-28T00:00",
        2,
        expect![[r#"
            Sat 2026-03-28 22:00 CET to Sun 2026-03-29 06:00 CEST
            Sun 2026-03-29 22:00 CEST to Mon 2026-03-30 06:00 CEST
        "#]],
    );
    // A duration is exact.
    check(
        ZURICH,
        "daily 22:00+8h",
        "2026-03-28T00:00",
        1,
        expect![[r#"
            Sat 2026-03-28 22:00 CET to Sun 2026-03-29 07:00 CEST
        "#]],
    );
}

#[test]
fn window_that_the_gap_swallows_keeps_its_length() {
    check(
        ZURICH,
        "weekly sun 02:15-02:45",
        "2026-03-29T00:00",
        2,
        expect![[r#"
            Sun 2026-03-29 03:00 CEST to Sun 2026-03-29 03:30 CEST
            Sun 2026-04-05 02:15 CEST to Sun 2026-04-05 02:45 CEST
        "#]],
    );
}

#[test]
fn window_in_the_hour_that_comes_twice_runs_in_the_first() {
    check(
        ZURICH,
        "daily 02:15-02:45",
        "2026-10-25T00:00",
        2,
        expect![[r#"
            Sun 2026-10-25 02:15 CEST to Sun 2026-10-25 02:45 CEST
            Mon 2026-10-26 02:15 CET to Mon 2026-10-26 02:45 CET
        "#]],
    );
}

#[test]
fn zones_without_a_change_keep_to_their_clock() {
    let start = "2026-03-29T00:00";
    check(
        "Asia/Kathmandu",
        "daily 02:30-04:00",
        start,
        1,
        expect![[r#"
            Sun 2026-03-29 02:30 +0545 to Sun 2026-03-29 04:00 +0545
        "#]],
    );
    assert_eq!(
        schedule("Asia/Kathmandu", "daily 02:30-04:00").next(at("UTC", "2026-03-28T00:00"), 1)[0],
        Span { start: at("UTC", "2026-03-28T20:45"), end: at("UTC", "2026-03-28T22:15") },
    );
    check(
        "UTC",
        "daily 02:30-04:00",
        start,
        1,
        expect![[r#"
            Sun 2026-03-29 02:30 UTC to Sun 2026-03-29 04:00 UTC
        "#]],
    );
}

#[test]
fn days_that_a_month_lacks_are_left_out() {
    check(
        ZURICH,
        "monthly 31 22:00-02:00",
        "2027-12-01T00:00",
        4,
        expect![[r#"
            Fri 2027-12-31 22:00 CET to Sat 2028-01-01 02:00 CET
            Mon 2028-01-31 22:00 CET to Tue 2028-02-01 02:00 CET
            Fri 2028-03-31 22:00 CEST to Sat 2028-04-01 02:00 CEST
            Wed 2028-05-31 22:00 CEST to Thu 2028-06-01 02:00 CEST
        "#]],
    );
    // 2028 has a 29th of February, 2027 and 2100 have none.
    check(
        "UTC",
        "monthly 29 12:00+1h",
        "2027-01-30T00:00",
        1,
        expect![[r#"
            Mon 2027-03-29 12:00 UTC to Mon 2027-03-29 13:00 UTC
        "#]],
    );
    check(
        "UTC",
        "monthly 29 12:00+1h",
        "2028-01-30T00:00",
        1,
        expect![[r#"
            Tue 2028-02-29 12:00 UTC to Tue 2028-02-29 13:00 UTC
        "#]],
    );
    check(
        "UTC",
        "monthly 29 12:00+1h",
        "2100-01-30T00:00",
        1,
        expect![[r#"
            Mon 2100-03-29 12:00 UTC to Mon 2100-03-29 13:00 UTC
        "#]],
    );
}

#[test]
fn weekdays_of_a_month_are_counted() {
    check(
        ZURICH,
        "monthly 2nd tue,last fri 03:00+30m",
        "2026-11-22T00:00",
        3,
        expect![[r#"
            Fri 2026-11-27 03:00 CET to Fri 2026-11-27 03:30 CET
            Tue 2026-12-08 03:00 CET to Tue 2026-12-08 03:30 CET
            Fri 2026-12-25 03:00 CET to Fri 2026-12-25 03:30 CET
        "#]],
    );
    check(
        ZURICH,
        "monthly 5th tue 03:00+30m",
        "2026-11-22T00:00",
        3,
        expect![[r#"
            Tue 2026-12-29 03:00 CET to Tue 2026-12-29 03:30 CET
            Tue 2027-03-30 03:00 CEST to Tue 2027-03-30 03:30 CEST
            Tue 2027-06-29 03:00 CEST to Tue 2027-06-29 03:30 CEST
        "#]],
    );
}

#[test]
fn once_is_between_two_instants() {
    let zone = find(ZURICH).unwrap();
    let moment = |text: &str| Start::parse(text, Repeat::Once).unwrap();
    let end = End::At(moment("2026-10-25T04:00"));
    let start = moment("2026-10-24T22:00");
    let once = Schedule::written(Repeat::Once, &[], start, end, &zone).unwrap();
    let span = Span { start: at("UTC", "2026-10-24T20:00"), end: at("UTC", "2026-10-25T03:00") };
    assert_eq!(once, Schedule::Once(span));
    assert_eq!(once.next(span.start - Duration::from_secs(1), 3), [span]);
    assert_eq!(once.next(span.start, 3), []);
    assert_eq!(once.active(span.start), Some(span));
    assert_eq!(once.active(span.end), None);
}

#[test]
fn moments_beyond_the_calendar_have_no_window() {
    let daily = schedule(ZURICH, "daily 02:30-04:00");
    for at in [Wall::from_micros(i64::MIN), Wall::from_micros(i64::MAX)] {
        assert_eq!((daily.active(at), daily.next(at, 3)), (None, vec![]));
    }
}

#[test]
fn duration_longer_than_the_period_is_active_always() {
    let daily = schedule("UTC", "daily 02:00+30h");
    for hour in 0..48 {
        let at = at("UTC", "2026-03-28T03:00") + Duration::from_secs(hour * 3600);
        assert!(daily.active(at).is_some_and(|span| span.contains(at)), "{hour}");
    }
}

/// What `next` should find, by looking at the zone's clock again and again: the window starts where that
/// shows its start, or is past it and was not yet there one look before. `from` and starts lie on tens of
/// minutes, as all changes of these zones do, so that a look every ten minutes sees every start.
fn starts_by_looking(zone: &str, start: TimeOfDay, days: &[Day], from: Wall) -> Vec<Wall> {
    let zone = find(zone).unwrap();
    let clock = |at: Wall| local(&zone, at).unwrap();
    let step = Duration::from_secs(600);
    let wanted = |at: DateTime| at.date().at(start.hour as i8, start.minute as i8, 0, 0);
    let mut found = Vec::new();
    let mut done = None;
    let mut at = from;
    let mut before = clock(from - step);
    while at < from + Duration::from_secs(366 * 86_400) {
        let now = clock(at);
        let start = wanted(now);
        let due = days.is_empty() || days.iter().any(|day| oracle_falls_on(*day, now));
        if due && before < start && now >= start && done != Some(now.date()) {
            done = Some(now.date());
            found.push(at);
        }
        before = now;
        at = at + step;
    }
    found
}

fn oracle_falls_on(day: Day, at: DateTime) -> bool {
    let weekday = at.date().weekday().to_monday_zero_offset() as u8;
    match day {
        Day::Weekday(wanted) => weekday == wanted,
        Day::Month(wanted) => at.day() == wanted as i8,
        Day::Nth(which, wanted) => {
            let which = if which == -1 { jiff_last(at) } else { which };
            let nth = at.date().nth_weekday_of_month(which, at.date().weekday());
            weekday == wanted && nth.is_ok_and(|nth| nth == at.date())
        }
    }
}

/// The number of the last weekday of this kind in the month.
fn jiff_last(at: DateTime) -> i8 {
    if at.date().nth_weekday_of_month(5, at.date().weekday()).is_ok() { 5 } else { 4 }
}

#[test]
fn next_agrees_with_a_slow_oracle_over_a_year() {
    let cases: [(&str, u8, u8, &str, Repeat); 5] = [
        ("Australia/Lord_Howe", 2, 10, "", Repeat::Daily),
        ("America/Havana", 0, 0, "sat,sun", Repeat::Weekly),
        (ZURICH, 2, 30, "", Repeat::Daily),
        ("UTC", 23, 50, "sun,wed", Repeat::Weekly),
        ("Asia/Kathmandu", 0, 0, "31,last fri,2nd tue", Repeat::Monthly),
    ];
    for (zone, hour, minute, days, repeat) in cases {
        let days: Vec<Day> = days
            .split(',')
            .filter(|d| !d.is_empty())
            .map(|day| Day::parse(day, repeat).unwrap())
            .collect();
        let start = TimeOfDay { hour, minute, second: 0 };
        let from = at(zone, "2026-01-01T12:00");
        let slow = starts_by_looking(zone, start, &days, from);
        let end = RepeatedEnd::After(Duration::from_secs(600));
        let schedule = Schedule::repeated(repeat, &days, start, end, &find(zone).unwrap()).unwrap();
        let mut fast = Vec::new();
        let mut now = from;
        while let Some(next) = schedule.next(now, 100).last().copied()
            && fast.len() < slow.len()
        {
            fast.extend(schedule.next(now, 100).iter().map(|span| span.start));
            now = next.start;
        }
        fast.truncate(slow.len());
        assert!(!slow.is_empty());
        assert_eq!(fast, slow, "{zone}");
    }
}

fn any_schedule() -> impl Strategy<Value = (&'static str, Schedule)> {
    const ZONES: [&str; 5] =
        ["Europe/Zurich", "UTC", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Havana"];
    let day = prop_oneof![
        (1..=31u8).prop_map(Day::Month),
        (prop_oneof![Just(-1i8), 1..=5i8], 0..7u8).prop_map(|(n, day)| Day::Nth(n, day)),
    ];
    let days = prop_oneof![
        Just((Repeat::Daily, Vec::new())),
        prop::collection::vec((0..7u8).prop_map(Day::Weekday), 1..4)
            .prop_map(|days| (Repeat::Weekly, days)),
        prop::collection::vec(day, 1..4).prop_map(|days| (Repeat::Monthly, days)),
    ];
    let time = (0..24u8, 0..60u8).prop_map(|(hour, minute)| TimeOfDay { hour, minute, second: 0 });
    let end = prop_oneof![
        time.clone().prop_map(RepeatedEnd::At),
        (1..200_000u64).prop_map(|secs| RepeatedEnd::After(Duration::from_secs(secs))),
    ];
    (prop::sample::select(&ZONES[..]), days, time, end).prop_map(
        |(zone, (repeat, days), start, end)| {
            let tz = find(zone).unwrap();
            (zone, Schedule::repeated(repeat, &days, start, end, &tz).unwrap())
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Of each occurrence: active at its start and just before its end; what is active contains the moment;
    /// between an end and the next start nothing is.
    #[test]
    fn window_is_active_exactly_between_its_start_and_its_end(
        (zone, schedule) in any_schedule(),
        day in 0..3000i64,
        sample in any::<u64>(),
    ) {
        let from = at(zone, "2024-01-01T00:00") + Duration::from_secs(day as u64 * 86_400);
        let spans = schedule.next(from, 4);
        prop_assert_eq!(spans.len(), 4);
        let micro = Duration::from_micros(1);
        for (i, span) in spans.iter().enumerate() {
            prop_assert!(span.start > from && span.start < span.end);
            prop_assert_eq!(schedule.active(span.start), Some(*span));
            prop_assert!(schedule.active(span.end - micro).is_some());
            let inside = span.start + Duration::from_micros(sample % span.length().as_micros() as u64);
            prop_assert!(schedule.active(inside).is_some_and(|found| found.contains(inside)));
            let Some(following) = spans.get(i + 1) else { continue };
            prop_assert!(span.start < following.start && span.end <= following.end);
            let next_after = schedule.next(span.start, 1);
            prop_assert_eq!(next_after.first(), Some(following));
            if span.end < following.start {
                prop_assert_eq!(schedule.active(span.end), None);
                prop_assert_eq!(schedule.active(following.start - micro), None);
            }
        }
    }
}
