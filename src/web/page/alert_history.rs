//! What was wrong and is over, or goes on: each trouble of the feed from its begin to its end, how long it took, and
//! how long until somebody took it on. As a table, and as a file.
//!
//! Reads the feed alone; what fell out of it is not known here.

use super::clock::{Clock, When, span};
use super::mark::{Mark, mark};
use crate::engine::view::{Event, EventKind, OUTAGE, Severity, View};
use crate::time::{Duration, Wall};
use crate::web::csv::{self, Cell, Table};
use crate::web::query;
use crate::web::said::said;
use crate::web::{Answer, Call};
use serde::Serialize;
use std::collections::BTreeMap;

const ROWS: usize = 100;
const FILE_ROWS: usize = 20_000;
const SPAN: Duration = Duration::from_secs(30 * 86_400);

/// One trouble.
#[derive(Debug)]
struct Trouble<'a> {
    id: u64,
    host: &'a str,
    path: &'a str,
    began: Wall,
    ended: Option<Wall>,
    worst: Severity,
    /// When it was acknowledged first.
    taken: Option<Wall>,
    text: &'a str,
}

#[derive(Serialize)]
pub struct Row {
    began: When,
    mark: Mark,
    host: String,
    href: String,
    path: String,
    /// `12 m`, `for 2 h 14 m, goes on`
    length: String,
    is_over: bool,
    /// `4 m`, `–`
    taken: String,
    text: String,
    /// The host's page around the moment in which it began.
    then: String,
}

/// Those that the words of the query let through, newest first, and the way to older ones.
pub fn rows(call: &Call<'_>, clock: &Clock) -> (Vec<Row>, Option<String>) {
    let now = call.context.now.wall;
    let found = filtered(call);
    let before: Option<u64> = call.query.get("before").and_then(|id| id.parse().ok());
    let mut fitting = found.iter().filter(|trouble| before.is_none_or(|id| trouble.id < id));
    let shown: Vec<&Trouble<'_>> = fitting.by_ref().take(ROWS).collect();
    let is_more = fitting.next().is_some();
    let older = shown.last().filter(|_| is_more).map(|trouble| {
        let q = query::encode(call.query.get("q").unwrap_or_default());
        format!("/alerts?tab=history&q={q}&before={}", trouble.id)
    });
    (shown.into_iter().map(|trouble| row(trouble, clock, now)).collect(), older)
}

fn row(trouble: &Trouble<'_>, clock: &Clock, now: Wall) -> Row {
    let length = span(trouble.ended.unwrap_or(now).since(trouble.began));
    let hour = Duration::from_secs(3600);
    let (from, to) = (trouble.began - hour, now.min(trouble.began + hour));
    let page = format!("/plugins/{}", query::encode(trouble.host));
    Row {
        began: clock.time(trouble.began),
        mark: mark(trouble.worst),
        host: trouble.host.to_owned(),
        path: trouble.path.to_owned(),
        is_over: trouble.ended.is_some(),
        length: match trouble.ended {
            Some(_) => length,
            None => format!("{length}, goes on"),
        },
        taken: trouble.taken.map_or_else(|| "–".to_owned(), |at| span(at.since(trouble.began))),
        text: said(trouble.text, Some(trouble.host)).into_owned(),
        then: format!("{page}?from={}&to={}", from.as_secs(), to.as_secs()),
        href: page,
    }
}

/// `GET /alerts.csv?q=`
pub fn export(call: &Call<'_>) -> Answer {
    let heads = [
        "began",
        "ended",
        "duration_s",
        "host",
        "metric_path",
        "worst",
        "acknowledged_after_s",
        "text",
    ];
    let mut table = Table::new(&heads);
    for trouble in filtered(call).iter().take(FILE_ROWS) {
        let since = |at: Wall| Some(at.since(trouble.began).as_secs_f64().round());
        table.push(&[
            Cell::Time(trouble.began),
            trouble.ended.map_or(Cell::Text(""), Cell::Time),
            Cell::Number(trouble.ended.and_then(since)),
            Cell::Text(trouble.host),
            Cell::Text(trouble.path),
            Cell::Text(trouble.worst.as_str()),
            Cell::Number(trouble.taken.and_then(since)),
            Cell::Text(trouble.text),
        ]);
    }
    Ok(csv::response("alerts.csv", table))
}

fn filtered<'a>(call: &'a Call<'_>) -> Vec<Trouble<'a>> {
    let text = call.query.get("q").unwrap_or_default();
    let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    let mut found = troubles(&call.context.view, call.context.now.wall);
    found.retain(|trouble| {
        let own = format!("{} {} {}", trouble.host, trouble.path, trouble.text).to_lowercase();
        words.iter().all(|word| match word.split_once(':') {
            Some(("host", name)) => trouble.host.contains(name),
            Some(("metric", path)) => trouble.path.to_lowercase().contains(path),
            Some(("severity" | "state", level)) => trouble.worst.as_str() == level,
            _ => own.contains(word.as_str()),
        })
    });
    found
}

/// Every trouble of the last thirty days, the one that began last first.
fn troubles(view: &View, now: Wall) -> Vec<Trouble<'_>> {
    let mut open: BTreeMap<(&str, &str), Trouble<'_>> = BTreeMap::new();
    let mut done: Vec<Trouble<'_>> = Vec::new();
    for event in view.events.iter().filter(|event| now.since(event.at) <= SPAN) {
        let Some((_, host)) = &event.host else { continue };
        if let Some(path) = acknowledged(event, host) {
            if let Some(trouble) = open.get_mut(&(&**host, path)) {
                trouble.taken.get_or_insert(event.at);
            }
            continue;
        }
        let Some((path, to)) = subject(event) else { continue };
        let key = (&**host, path);
        if to == Severity::Up {
            if let Some(trouble) = open.remove(&key) {
                done.push(Trouble { ended: Some(event.at), ..trouble });
            }
            continue;
        }
        let trouble = open.entry(key).or_insert_with(|| Trouble {
            id: event.id,
            host,
            path,
            began: event.at,
            ended: None,
            worst: to,
            taken: None,
            text: &event.text,
        });
        trouble.worst = trouble.worst.min(to);
    }
    done.extend(open.into_values());
    done.sort_by_key(|trouble| std::cmp::Reverse(trouble.id));
    done
}

/// What a change is of, and what it is now: an outage, or a metric by its path. Lateness is no trouble.
fn subject(event: &Event) -> Option<(&str, Severity)> {
    let to = event.to?;
    match event.kind {
        EventKind::State | EventKind::Shutdown | EventKind::Boot => {
            let is_trouble = matches!(to, Severity::Down | Severity::Warning | Severity::Up);
            is_trouble.then_some((OUTAGE, to))
        }
        EventKind::Alert => {
            let (_, rest) = event.text.split_once(" - ")?;
            let (path, _) = rest.split_once(" = ")?;
            Some((path, to))
        }
        _ => None,
    }
}

/// The path of the alert that somebody has taken on with this: `acknowledgement of db-01/PATH began by alice: why`.
fn acknowledged<'a>(event: &'a Event, host: &str) -> Option<&'a str> {
    if event.kind != EventKind::Alert {
        return None;
    }
    let rest = event.text.strip_prefix("acknowledgement of ")?.strip_prefix(host)?;
    let (path, _) = rest.strip_prefix('/')?.split_once(" began")?;
    Some(path)
}

/// `GET /alerts.csv` for the same words.
pub fn file(call: &Call<'_>) -> String {
    let q = query::encode(call.query.get("q").unwrap_or_default());
    format!("/alerts.csv?q={q}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::fixture::{self, NOW};
    use std::sync::Arc;

    #[test]
    fn trouble_has_a_begin_an_end_and_the_time_until_somebody_took_it_on() {
        use Severity::{Critical, Up, Warning};
        let mut view = fixture::view(16);
        let host = Some((0, Arc::from("db-01.bsl")));
        let event = |id: u64, ago: u64, from, to, text: &str| {
            Arc::new(Event {
                id,
                at: NOW.wall - Duration::from_secs(ago),
                kind: EventKind::Alert,
                host: host.clone(),
                level: None,
                from,
                to,
                text: Arc::from(text),
                user: None,
            })
        };
        let path = "cpu_monitor.cpu_percent";
        view.events = Arc::new(
            [
                event(
                    1,
                    900,
                    Some(Up),
                    Some(Warning),
                    &format!("WARNING: db-01.bsl - {path} = 85.0"),
                ),
                event(
                    2,
                    840,
                    Some(Warning),
                    Some(Critical),
                    &format!("CRITICAL: db-01.bsl - {path} = 95.0"),
                ),
                event(
                    3,
                    660,
                    None,
                    None,
                    &format!("acknowledgement of db-01.bsl/{path} began by alice: seen"),
                ),
                event(
                    4,
                    300,
                    Some(Critical),
                    Some(Up),
                    &format!("RECOVERED: db-01.bsl - {path} = 7.0 (CRITICAL -> OK)"),
                ),
                event(5, 60, Some(Up), Some(Warning), "WARNING: db-01.bsl - rtt.db-01.bsl = 120.0"),
            ]
            .into_iter()
            .collect(),
        );
        let found = troubles(&view, NOW.wall);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].path, found[0].ended), ("rtt.db-01.bsl", None));
        let over = &found[1];
        assert_eq!((over.path, over.worst), (path, Critical));
        assert_eq!(over.ended.map(|at| at.since(over.began)), Some(Duration::from_secs(600)));
        assert_eq!(over.taken.map(|at| at.since(over.began)), Some(Duration::from_secs(240)));
    }
}
