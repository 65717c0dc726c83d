//! `events`, also called `messages`: the event feed, newest first.

use super::json::EventJson;
use super::{number, ok};
use crate::engine::view::{Event, EventKind};
use crate::web::problem::Problem;
use crate::web::{Answer, Call};
use serde::Serialize;
use std::sync::Arc;

const LIMIT_DEFAULT: u64 = 100;
const LIMIT_MAX: u64 = 1000;

/// `GET events?limit=&before=&host=&kind=`
pub fn list(call: &Call<'_>) -> Answer {
    #[derive(Serialize)]
    struct List<'a> {
        events: Vec<EventJson<'a>>,
        next: Option<u64>,
    }
    let limit = number(call, "limit", 1..=LIMIT_MAX)?.unwrap_or(LIMIT_DEFAULT) as usize;
    let before = number(call, "before", 0..=u64::MAX)?;
    let kinds = kinds(call.query.get("kind"))?;
    let host = call.query.get("host").map(str::to_ascii_lowercase);
    let page = page(&call.context.view.events, limit, before, host.as_deref(), &kinds);
    let events = page.events.iter().map(|event| EventJson::new(event)).collect();
    ok(&List { events, next: page.next })
}

/// Some entries of the feed, newest first.
pub struct EventPage<'a> {
    pub events: Vec<&'a Arc<Event>>,
    /// What to ask for with `before` to go on; `None` at the end.
    pub next: Option<u64>,
}

/// At most `limit` entries older than `before`, of that host and of those kinds (none: all).
pub fn page<'a>(
    feed: &'a std::collections::VecDeque<Arc<Event>>,
    limit: usize,
    before: Option<u64>,
    host: Option<&str>,
    kinds: &[EventKind],
) -> EventPage<'a> {
    let mut fitting = feed.iter().rev().filter(|event| {
        before.is_none_or(|id| event.id < id)
            && host.is_none_or(|name| event.host.as_ref().is_some_and(|(_, own)| **own == *name))
            && (kinds.is_empty() || kinds.contains(&event.kind))
    });
    let events: Vec<_> = fitting.by_ref().take(limit).collect();
    let more = fitting.next().is_some();
    let next = events.last().filter(|_| more).map(|event| event.id);
    EventPage { events, next }
}

/// A list of kinds with commas.
pub fn kinds(text: Option<&str>) -> Result<Vec<EventKind>, Problem> {
    let words = text.unwrap_or("").split(',').map(str::trim).filter(|w| !w.is_empty());
    words
        .map(|word| {
            EventKind::parse(word).ok_or_else(|| {
                let all: Vec<_> = EventKind::ALL.iter().map(|k| k.as_str()).collect();
                Problem::new(400, "bad_parameter", "There is no such kind of event.")
                    .hint(format!("kind is one of {}; several with commas.", all.join(", ")))
                    .field("kind")
            })
        })
        .collect()
}
