//! `hosts/H/availability`: how much of each day a host was up, down, in maintenance, or nobody knows.

use super::series::unavailable;
use super::{number, ok};
use crate::history::standing::{self, Tally};
use crate::time::{Duration, Wall};
use crate::web::authz::{Access, Monitor};
use crate::web::problem::Problem;
use crate::web::{Answer, Call, csv};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::Serialize;

const DAYS_DEFAULT: u64 = 90;
/// As long as standings are kept at most.
const DAYS_MAX: u64 = 3660;

/// One day, in the server's zone.
#[derive(Debug)]
pub struct Day {
    pub date: Date,
    pub tally: Tally,
}

#[derive(Serialize)]
struct TallyJson {
    up: f64,
    down: f64,
    maintenance: f64,
    unknown: f64,
    outages: u32,
}

impl TallyJson {
    fn new(tally: &Tally) -> TallyJson {
        let secs = |span: Duration| (span.as_secs_f64() * 1000.0).round() / 1000.0;
        TallyJson {
            up: secs(tally.up),
            down: secs(tally.down),
            maintenance: secs(tally.maintenance),
            unknown: secs(tally.unknown),
            outages: tally.outages,
        }
    }
}

/// `GET hosts/H/availability?days=90&format=json|csv`, the oldest day first; today as far as it has come.
pub fn respond(call: &Call<'_>, access: &Access<'_, Monitor>) -> Answer {
    #[derive(Serialize)]
    struct DayJson {
        date: String,
        #[serde(flatten)]
        tally: TallyJson,
    }
    #[derive(Serialize)]
    struct Availability {
        days: Vec<DayJson>,
        total: TallyJson,
    }
    let count = number(call, "days", 1..=DAYS_MAX)?.unwrap_or(DAYS_DEFAULT);
    let is_csv = csv::is_wanted(call)?;
    let host = &access.host().name;
    let days = days(call, host, count as u32)?;
    if is_csv {
        return Ok(csv::response(&format!("{host}-availability.csv"), table(&days)));
    }
    let mut total = Tally::default();
    days.iter().for_each(|day| total.add(&day.tally));
    let shown = days
        .iter()
        .map(|day| DayJson { date: day.date.to_string(), tally: TallyJson::new(&day.tally) });
    ok(&Availability { days: shown.collect(), total: TallyJson::new(&total) })
}

/// The last `count` days of a host, today among them.
pub fn days(call: &Call<'_>, host: &str, count: u32) -> Result<Vec<Day>, Problem> {
    let now = call.context.now.wall;
    let (dates, mut begins) = begins(call.context.pages.zone(), now, count);
    begins.push(now.max(begins.last().copied().unwrap_or(now)));
    let spans = call.context.history.standings(host, begins[0], now).map_err(unavailable)?;
    let tallies = standing::tally(&spans, &begins);
    Ok(dates.into_iter().zip(tallies).map(|(date, tally)| Day { date, tally }).collect())
}

/// The dates of the last `count` days and when each begins in the zone. A day has 23 or 25 hours where the clocks
/// change, and begins after midnight where that is the hour which is missing.
fn begins(zone: &TimeZone, now: Wall, count: u32) -> (Vec<Date>, Vec<Wall>) {
    let now = Timestamp::from_microsecond(now.as_micros()).unwrap_or(Timestamp::UNIX_EPOCH);
    let today = now.to_zoned(zone.clone()).date();
    let mut dates = Vec::new();
    let mut begins = Vec::new();
    for back in (0..i64::from(count)).rev() {
        let begin = today.checked_sub(back.days()).and_then(|date| date.to_zoned(zone.clone()));
        if let Ok(begin) = begin {
            dates.push(begin.date());
            begins.push(Wall::from_micros(begin.timestamp().as_microsecond()));
        }
    }
    (dates, begins)
}

fn table(days: &[Day]) -> csv::Table {
    let mut table = csv::Table::new(&["date", "up", "down", "maintenance", "unknown", "outages"]);
    for Day { date, tally } in days {
        let date = date.to_string();
        let shown = TallyJson::new(tally);
        let numbers =
            [shown.up, shown.down, shown.maintenance, shown.unknown, shown.outages.into()];
        let mut cells = vec![csv::Cell::Text(&date)];
        cells.extend(numbers.map(|number| csv::Cell::Number(Some(number))));
        table.push(&cells);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_the_zones_own_over_changes_of_the_clock() {
        let zurich = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        // 2026-10-26 12:00 in Zurich; the clocks went back on the 25th, and forward on 29 March.
        let hours = |now: i64| {
            let (dates, begins) = begins(&zurich, Wall::from_secs(now), 4);
            let lengths: Vec<u64> =
                begins.windows(2).map(|p| p[1].since(p[0]).as_secs() / 3600).collect();
            (dates.iter().map(Date::to_string).collect::<Vec<_>>().join(" "), lengths)
        };
        let (dates, lengths) = hours(1_793_012_400);
        assert_eq!(dates, "2026-10-23 2026-10-24 2026-10-25 2026-10-26");
        assert_eq!(lengths, [24, 24, 25]);
        assert_eq!(hours(1_774_864_800).1, [24, 24, 23]);
    }

    #[test]
    fn a_day_whose_midnight_is_missing_begins_after_it() {
        // Chile changes at midnight: on 2026-09-06 the day begins at 01:00.
        let santiago = TimeZone::posix("<-04>4<-03>,M9.1.6/24,M4.1.6/24").unwrap();
        let (dates, begins) = begins(&santiago, Wall::from_secs(1_788_800_000), 3);
        let lengths: Vec<u64> =
            begins.windows(2).map(|p| p[1].since(p[0]).as_secs() / 3600).collect();
        assert_eq!(dates.len(), 3);
        assert!(lengths.contains(&23), "{lengths:?} {dates:?}");
    }
}
