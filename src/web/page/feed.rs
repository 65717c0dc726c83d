//! The event feed: as a list beside the table, and as the page `/events`.

use super::clock::{Clock, When};
use super::mark::{Mark, mark};
use super::page;
use super::shell::{Shell, clock};
use crate::engine::view::{Event, EventKind, Level};
use crate::web::api::{event_kinds, event_page};
use crate::web::query;
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
}

#[derive(Serialize)]
struct Events {
    shell: Shell,
    items: Vec<Item>,
    kinds: Vec<&'static str>,
    kind: String,
    host: String,
    older: Option<String>,
    newest: String,
    is_first: bool,
    is_filtered: bool,
    /// What was wrong with the filter.
    problem: Option<String>,
}

/// `GET /events?host=&kind=&before=`
pub fn respond(call: &Call<'_>) -> Answer {
    let view = &call.context.view;
    let clock = clock(call);
    let text = |name: &str| call.query.get(name).unwrap_or("").trim().to_ascii_lowercase();
    let (host, kind) = (text("host"), text("kind"));
    let (kinds, problem) = match event_kinds(Some(&kind)) {
        Ok(kinds) => (kinds, None),
        Err(problem) => (Vec::new(), Some(problem.detail.clone())),
    };
    let before = call.query.get("before").and_then(|id| id.parse().ok());
    let name = (!host.is_empty()).then_some(&*host);
    let found = event_page(&view.events, LINES, before, name, &kinds);
    let newest = format!("/events?host={}&kind={}", query::encode(&host), query::encode(&kind));
    let older = found.next.map(|id| format!("{newest}&before={id}"));
    let context = Events {
        shell: Shell::new(call, "events", "Events"),
        items: items(&clock, found.events.into_iter()),
        kinds: EventKind::ALL.iter().map(|k| k.as_str()).collect(),
        is_filtered: !host.is_empty() || !kind.is_empty(),
        kind,
        host,
        older,
        newest,
        is_first: before.is_none(),
        problem,
    };
    page(call, 200, "events.html", &context)
}

pub fn items<'a>(clock: &Clock, events: impl Iterator<Item = &'a Arc<Event>>) -> Vec<Item> {
    events.map(|event| item(clock, event)).collect()
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
        text: sentence(&event.text, host.as_deref()).to_owned(),
        host,
        user: event.user.as_ref().map(|user| user.to_string()),
        raw: event.text.to_string(),
    }
}

/// What a line says beyond its kind and host, which stand beside it.
fn sentence<'a>(text: &'a str, host: Option<&str>) -> &'a str {
    let about = |host: &str| {
        let (kind, rest) = text.split_once(": ")?;
        kind.bytes().all(|b| b.is_ascii_uppercase()).then_some(())?;
        rest.strip_prefix(host)?.strip_prefix(" - ")
    };
    host.and_then(about).unwrap_or(text)
}
