//! Availability day by day: a bar for each, and the share of the time that counts.

use super::clock::{Clock, span};
use crate::engine::record::Standing;
use crate::engine::view::Host;
use crate::time::{Duration, Wall};
use crate::web::Call;
use serde::Serialize;
use std::sync::Arc;

const DAY: Duration = Duration::from_secs(86_400);
/// Hosts of a group that are looked at for its strip.
const HOSTS_MAX: usize = 50;

/// Class, left edge, sentence: a day of a strip of bars of six units.
pub type Bar = (&'static str, String, String);

/// Seconds of each standing.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    up: f64,
    down: f64,
    maintenance: f64,
    outages: u32,
}

impl Tally {
    /// Of the time that is known and no maintenance.
    fn share(&self) -> Option<f64> {
        let known = self.up + self.down;
        (known > 0.0).then(|| self.up * 100.0 / known)
    }
}

/// The availability of one host, for its page.
#[derive(Serialize)]
pub struct Availability {
    pub strip: Vec<Bar>,
    /// `24 h`, `99.86 %`
    pub shares: Vec<(&'static str, String)>,
    /// `1 outage, 12 m`
    pub outages: String,
    /// Month, share, outages, time down, time in maintenance.
    pub months: Vec<(String, String, String, String, String)>,
}

/// `None` where there is no history of the host.
pub fn of_host(call: &Call<'_>, clock: &Clock, host: &Host) -> Option<Availability> {
    let now = call.context.now.wall;
    let year = now - DAY * 365;
    let spans = call.context.history.standings(&host.name, year.max(host.first_seen), now).ok()?;
    if spans.iter().all(|span| span.standing == Standing::Unknown) {
        return None;
    }
    let tally = |from: Wall, to: Wall| {
        let mut tally = Tally::default();
        for span in &spans {
            add(&mut tally, span, from, to);
        }
        tally
    };
    let ranges = [("24 h", 1), ("7 d", 7), ("30 d", 30), ("1 y", 365)];
    let shares =
        ranges.iter().map(|(word, days)| (*word, percent(tally(now - DAY * *days, now).share())));
    let quarter = tally(now - DAY * 90, now);
    let outages = match quarter.outages {
        0 => "no outage".to_owned(),
        1 => format!("1 outage, {}", span(Duration::from_secs_f64(quarter.down))),
        n => format!("{n} outages, {}", span(Duration::from_secs_f64(quarter.down))),
    };
    let days = days(clock, now, 90);
    let strip = days.windows(2).enumerate();
    let strip = strip.map(|(i, day)| bar(clock, i, day[0], tally(day[0], day[1]))).collect();
    let months = months(clock, now).into_iter().map(|(name, from, to)| {
        let tally = tally(from, to);
        (
            name,
            percent(tally.share()),
            tally.outages.to_string(),
            span(Duration::from_secs_f64(tally.down)),
            span(Duration::from_secs_f64(tally.maintenance)),
        )
    });
    Some(Availability { strip, shares: shares.collect(), outages, months: months.collect() })
}

/// The worst of several hosts, day by day, and their share in all.
pub fn of_hosts(
    call: &Call<'_>,
    clock: &Clock,
    hosts: &[&Arc<Host>],
    count: u64,
) -> (Vec<Bar>, String) {
    let now = call.context.now.wall;
    let edges = days(clock, now, count);
    let mut tallies = vec![Tally::default(); edges.len().saturating_sub(1)];
    let Some(start) = edges.first() else { return (Vec::new(), String::new()) };
    for host in hosts.iter().take(HOSTS_MAX) {
        for span in call.context.history.standings(&host.name, *start, now).unwrap_or_default() {
            for (tally, day) in tallies.iter_mut().zip(edges.windows(2)) {
                add(tally, &span, day[0], day[1]);
            }
        }
    }
    let mut all = Tally::default();
    for tally in &tallies {
        all.up += tally.up;
        all.down += tally.down;
    }
    let bars = tallies.iter().zip(&edges).enumerate();
    (bars.map(|(i, (tally, day))| bar(clock, i, *day, *tally)).collect(), percent(all.share()))
}

fn add(tally: &mut Tally, span: &crate::history::Span, from: Wall, to: Wall) {
    let (start, end) = (span.from.max(from), span.to.min(to));
    if start >= end {
        return;
    }
    let length = end.since(start).as_secs_f64();
    match span.standing {
        Standing::Up => tally.up += length,
        Standing::Maintenance => tally.maintenance += length,
        Standing::Unknown => {}
        Standing::Down => {
            tally.down += length;
            tally.outages += u32::from(span.from >= from);
        }
    }
}

/// The midnights of the last days, and the coming one.
fn days(clock: &Clock, now: Wall, count: u64) -> Vec<Wall> {
    let mut edges = Vec::new();
    let mut at = clock.next_tick(now - DAY * (count as u32) - Duration::from_secs(1), 86_400);
    while edges.len() <= count as usize && at < now {
        edges.push(at);
        at = clock.next_tick(at, 86_400);
    }
    edges.push(at);
    edges
}

fn months(clock: &Clock, now: Wall) -> Vec<(String, Wall, Wall)> {
    let mut found = Vec::new();
    let mut to = now;
    for _ in 0..12 {
        let from = clock.month_start(to - Duration::from_secs(1));
        found.push((clock.month(from), from, to));
        to = from;
    }
    found
}

fn bar(clock: &Clock, at: usize, day: Wall, tally: Tally) -> Bar {
    let class = match tally.share() {
        None if tally.maintenance > 0.0 => "maint",
        None => "none",
        Some(share) if share < 99.0 => "down",
        Some(share) if share < 100.0 => "warn",
        Some(_) if tally.maintenance > 3600.0 => "maint",
        Some(_) => "up",
    };
    let words = match tally.share() {
        None => "nothing known".to_owned(),
        Some(share) if tally.down > 0.0 => {
            format!("{}, down {}", percent(Some(share)), span(Duration::from_secs_f64(tally.down)))
        }
        Some(share) => percent(Some(share)),
    };
    (class, (at * 6).to_string(), format!("{}: {words}", clock.day(day)))
}

/// 99.997 % is not 100 %.
fn percent(share: Option<f64>) -> String {
    match share {
        None => "–".to_owned(),
        Some(share) if share >= 100.0 => "100 %".to_owned(),
        Some(share) => format!("{:.2} %", (share * 100.0).floor() / 100.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Span;

    #[test]
    fn share_leaves_maintenance_out_and_never_rounds_up() {
        let at = Wall::from_secs;
        let mut tally = Tally::default();
        let spans = [
            (0, 80_000, Standing::Up),
            (80_000, 80_002, Standing::Down),
            (80_002, 86_400, Standing::Maintenance),
        ];
        for (from, to, standing) in spans {
            add(&mut tally, &Span { from: at(from), to: at(to), standing }, at(0), at(86_400));
        }
        assert_eq!(percent(tally.share()), "99.99 %");
        assert_eq!(tally.outages, 1);
        assert_eq!(percent(Some(100.0)), "100 %");
        assert_eq!(percent(Tally::default().share()), "–");
    }
}
