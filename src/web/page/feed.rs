//! The event feed: as a list beside the table, and as the page `/events`.

use super::clock::{Clock, When};
use super::mark::{Mark, mark};
use super::page;
use super::shell::{Shell, clock, here_with};
use crate::engine::view::{Event, EventKind, Level};
use crate::time::Wall;
use crate::web::api::{EventJson, event_kinds};
use crate::web::http::{Body, Response};
use crate::web::problem::Problem;
use crate::web::query;
use crate::web::said::said;
use crate::web::{Answer, Call};
use serde::Serialize;
use std::sync::Arc;

const LINES: usize = 100;

/// One entry as a list shows it.
#[derive(Serialize)]
pub struct Item {
    pub id: u64,
    pub at: When,
    pub from: Option<Mark>,
    pub to: Option<Mark>,
    /// Glyph of an entry without a change of state.
    pub level: &'static str,
    pub kind: &'static str,
    pub host: Option<String>,
    pub href: Option<String>,
    pub user: Option<String>,
    /// The sentence after `DOWN: web1 - `.
    pub text: String,
    /// The whole line, as a notice has it.
    pub raw: String,
    /// The day that begins here, where a list says so.
    pub day: Option<String>,
}

#[derive(Serialize)]
struct Events {
    shell: Shell,
    items: Vec<Item>,
    kinds: Vec<&'static str>,
    kind: String,
    host: String,
    user: String,
    q: String,
    from: String,
    to: String,
    older: Option<String>,
    newest: String,
    export: String,
    is_first: bool,
    /// New entries come by themselves.
    is_tail: bool,
    /// The way to the other of both.
    tail: String,
    is_filtered: bool,
    /// What was wrong with the filter.
    problem: Option<String>,
}

/// `GET /events?host=&kind=&user=&q=&from=&to=&before=`
pub fn respond(call: &Call<'_>) -> Answer {
    let view = &call.context.view;
    let clock = clock(call);
    let text = |name: &str| call.query.get(name).unwrap_or("").trim().to_owned();
    let (wish, problem) = match Wish::of(call) {
        Ok(wish) => (wish, None),
        Err(problem) => (Wish::default(), Some(problem.detail.clone())),
    };
    let before: Option<u64> = call.query.get("before").and_then(|id| id.parse().ok());
    let mut fitting = view
        .events
        .iter()
        .rev()
        .filter(|event| before.is_none_or(|id| event.id < id) && wish.takes(event));
    let shown: Vec<_> = fitting.by_ref().take(LINES).collect();
    let next = shown.last().filter(|_| fitting.next().is_some()).map(|event| event.id);
    let newest = here_with(call, &["before"], &[]);
    let query = newest.split_once('?').map_or("", |(_, query)| query);
    let older = next.map(|id| here_with(call, &["before"], &[("before", &id.to_string())]));
    let names = ["host", "kind", "user", "q", "from", "to"];
    let context = Events {
        shell: Shell::new(call, "events", "Events"),
        items: items(&clock, shown.into_iter()),
        kinds: EventKind::ALL.iter().map(|k| k.as_str()).collect(),
        is_filtered: names.iter().any(|name| !text(name).is_empty()),
        kind: text("kind").to_lowercase(),
        host: text("host"),
        user: text("user"),
        q: text("q"),
        from: text("from"),
        to: text("to"),
        older,
        export: format!("/events.jsonl?{query}"),
        newest,
        is_first: before.is_none(),
        is_tail: before.is_none() && call.query.get("tail") != Some("off"),
        tail: match call.query.get("tail") {
            Some("off") => here_with(call, &["before", "tail"], &[]),
            _ => here_with(call, &["before", "tail"], &[("tail", "off")]),
        },
        problem,
    };
    page(call, 200, "events.html", &context)
}

/// `GET /events.jsonl?host=&kind=&user=&q=`: what the filter lets through, a line each, newest first.
pub fn export(call: &Call<'_>) -> Answer {
    let found = Wish::of(call)?;
    let mut body = Vec::new();
    for event in call.context.view.events.iter().rev().filter(|event| found.takes(event)) {
        // Writing to a Vec cannot fail.
        let _ = serde_json::to_writer(&mut body, &EventJson::new(event));
        body.push(b'\n');
    }
    Ok(Response {
        status: 200,
        headers: vec![
            ("Content-Type", "application/x-ndjson; charset=utf-8".to_owned()),
            ("Content-Disposition", "attachment; filename=\"events.jsonl\"".to_owned()),
            ("Cache-Control", "no-store".to_owned()),
        ],
        body: Body::Owned(body),
    })
}

/// What the messages of `/live` may be narrowed to.
pub const CHIPS: [(&str, &str); 4] =
    [("", "All"), ("states", "States"), ("alerts", "Alerts"), ("rest", "Other")];

/// Whether a chip shows entries of the kind; one that is not known shows all.
pub fn is_of(chip: &str, kind: EventKind) -> bool {
    let group = match kind {
        EventKind::State | EventKind::Boot | EventKind::Shutdown => "states",
        EventKind::Alert => "alerts",
        _ => "rest",
    };
    group == chip || !CHIPS.iter().any(|(key, _)| *key == chip && !key.is_empty())
}

/// The kinds of a chip, for the module that adds new entries; empty for all.
pub fn kinds_of(chip: &str) -> String {
    let shown: Vec<&str> = EventKind::ALL
        .iter()
        .filter(|kind| is_of(chip, **kind))
        .map(|kind| kind.as_str())
        .collect();
    if shown.len() == EventKind::ALL.len() { String::new() } else { shown.join(" ") }
}

/// What of the feed is asked for.
#[derive(Default)]
struct Wish {
    host: String,
    kinds: Vec<EventKind>,
    user: String,
    words: Vec<String>,
    from: Option<Wall>,
    to: Option<Wall>,
}

impl Wish {
    fn of(call: &Call<'_>) -> Result<Wish, Problem> {
        let text = |name: &str| call.query.get(name).unwrap_or("").trim().to_lowercase();
        let clock = clock(call);
        let moment = |name: &str| call.query.get(name).and_then(|text| clock.parse(text));
        Ok(Wish {
            host: text("host"),
            kinds: event_kinds(Some(&text("kind")))?,
            user: text("user"),
            words: text("q").split_whitespace().map(str::to_owned).collect(),
            from: moment("from"),
            to: moment("to"),
        })
    }

    fn takes(&self, event: &Event) -> bool {
        let host = event.host.as_ref().map(|(_, name)| &**name);
        (self.host.is_empty() || host.is_some_and(|name| name.contains(&self.host)))
            && (self.kinds.is_empty() || self.kinds.contains(&event.kind))
            && (self.user.is_empty() || event.user.as_deref() == Some(&self.user))
            && self.from.is_none_or(|from| event.at >= from)
            && self.to.is_none_or(|to| event.at < to)
            && self.words.iter().all(|word| event.text.to_lowercase().contains(word))
    }
}

pub fn items<'a>(clock: &Clock, events: impl Iterator<Item = &'a Arc<Event>>) -> Vec<Item> {
    events.map(|event| item(clock, event)).collect()
}

/// As [`items`], with the day before the first entry of each that is not today.
pub fn with_days<'a>(clock: &Clock, events: impl Iterator<Item = &'a Arc<Event>>) -> Vec<Item> {
    let mut last = clock.today();
    let entry = |event: &Arc<Event>| {
        let day = clock.day(event.at);
        let begins = day != last;
        last.clone_from(&day);
        Item { day: begins.then_some(day), ..item(clock, event) }
    };
    events.map(entry).collect()
}

fn item(clock: &Clock, event: &Event) -> Item {
    let host = event.host.as_ref().map(|(_, name)| name.to_string());
    Item {
        id: event.id,
        at: clock.time(event.at),
        from: event.from.map(mark),
        to: event.to.map(mark),
        level: match event.level {
            Some(Level::Critical) => "crit",
            Some(Level::Warning) => "warn",
            Some(Level::Unknown) => "unk",
            Some(Level::Info) | None => "info",
        },
        kind: event.kind.as_str(),
        href: host.as_ref().map(|name| format!("/plugins/{}", query::encode(name))),
        text: said(&event.text, host.as_deref()).into_owned(),
        host,
        user: event.user.as_ref().map(|user| user.to_string()),
        raw: event.text.to_string(),
        day: None,
    }
}
