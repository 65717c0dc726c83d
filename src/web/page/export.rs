//! The table of `/live` as a file: every row that the filter lets through, the columns that the table shows.

use super::choice::Choice;
use super::live;
use super::mark::mark;
use super::row;
use super::shell;
use crate::engine::view::{ConnState, Family, Host};
use crate::web::csv::{self, Cell, Table};
use crate::web::select::select;
use crate::web::why::why;
use crate::web::{Answer, Call};

/// More rows are for the API, page by page.
const ROWS_MAX: usize = 20_000;
/// The columns of the file for those of the table that have another meaning in it.
const PLAIN: [(&str, &[&str]); 8] = [
    ("why", &["why"]),
    ("alerts", &["critical", "warning"]),
    ("v4", &["ipv4_ms"]),
    ("v6", &["ipv6_ms"]),
    ("rtt", &["rtt_hour_max_ms"]),
    ("seen", &["last_seen"]),
    ("up", &["boot_time"]),
    ("res", &["cpu_percent", "memory_percent", "disk_percent"]),
];

/// `GET /live.csv?q=&state=&group=&owner=&sort=&cols=`
pub fn respond(call: &Call<'_>) -> Answer {
    let view = live::listed(call);
    let (mut filter, sort, _) = live::wish(call);
    filter.watched_only = false;
    let choice = Choice::of(call);
    let clock = shell::clock(call);
    let plain: Vec<_> = PLAIN.iter().filter(|(key, _)| choice.shows(key)).collect();
    let extra = choice.extra();
    let mut heads = vec!["state", "since", "host", "tags"];
    heads.extend(plain.iter().flat_map(|(_, names)| names.iter().copied()));
    heads.extend(extra.iter().map(|(key, _)| *key));
    let mut table = Table::new(&heads);
    for host in select(&view, &filter, sort, 0, ROWS_MAX).hosts {
        let tags: Vec<&str> = host.tags.iter().map(|tag| &**tag).collect();
        let (tags, reason) = (tags.join(" "), why(host, call.context.now.wall));
        let own: Vec<String> =
            extra.iter().map(|(key, _)| row::column(call, host, &clock, key)).collect();
        let mut cells = vec![
            Cell::Text(mark(host.severity).state),
            Cell::Time(host.since),
            Cell::Text(&host.name),
            Cell::Text(&tags),
        ];
        for (key, _) in &plain {
            push(&mut cells, host, key, &reason);
        }
        cells.extend(own.iter().map(|text| Cell::Text(if text == "–" { "" } else { text })));
        table.push(&cells);
    }
    Ok(csv::response("hosts.csv", table))
}

fn push<'a>(cells: &mut Vec<Cell<'a>>, host: &'a Host, key: &str, reason: &'a str) {
    let number = |value: Option<f32>| Cell::Number(value.map(short));
    let family = |family| {
        let found = host.connections().find(|c| c.family == family && c.state != ConnState::Down);
        number(found.and_then(|c| c.rtt_ms))
    };
    let time = |at: Option<crate::time::Wall>| at.map_or(Cell::Text(""), Cell::Time);
    match key {
        "why" => cells.push(Cell::Text(reason)),
        "alerts" => cells.extend([
            Cell::Number(Some(f64::from(host.alerts.critical))),
            Cell::Number(Some(f64::from(host.alerts.warning))),
        ]),
        "v4" => cells.push(family(Family::V4)),
        "v6" => cells.push(family(Family::V6)),
        "rtt" => {
            let longest = host.rtt_hour.as_ref().and_then(|hour| {
                hour.series(host.last_seen?).into_iter().flatten().reduce(f32::max)
            });
            cells.push(number(longest));
        }
        "seen" => cells.push(time(host.last_seen)),
        "up" => cells.push(time(host.boot_time)),
        _ => cells.extend([host.gauges.cpu, host.gauges.memory, host.gauges.disk].map(number)),
    }
}

/// A measured number without the digits that only come of its being an `f32`.
fn short(value: f32) -> f64 {
    value.to_string().parse().unwrap_or_else(|_| f64::from(value))
}
