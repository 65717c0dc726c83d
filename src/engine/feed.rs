//! The event feed: the last entries in memory, each with an id that grows over restarts.

use super::view::{Event, EventKind, HostId, Level, Severity};
use crate::limits;
use crate::time::Wall;
use std::collections::VecDeque;
use std::sync::Arc;

/// What the engine says of an event; the feed gives it an id and a time.
pub struct Entry {
    pub kind: EventKind,
    pub host: Option<(HostId, Arc<str>)>,
    pub level: Option<Level>,
    pub from: Option<Severity>,
    pub to: Option<Severity>,
    pub text: String,
}

pub struct Feed {
    events: Arc<VecDeque<Arc<Event>>>,
    next_id: u64,
}

impl Feed {
    pub fn new() -> Feed {
        Feed { events: Arc::default(), next_id: 1 }
    }

    /// `user`: who did it.
    pub fn push(&mut self, at: Wall, entry: Entry, user: Option<Arc<str>>) -> Arc<Event> {
        let event = Arc::new(Event {
            id: self.next_id,
            at,
            kind: entry.kind,
            host: entry.host,
            level: entry.level,
            from: entry.from,
            to: entry.to,
            text: entry.text.into(),
            user,
        });
        self.restore(event.clone());
        event
    }

    /// Takes an event as it was saved; events come in the order of their ids.
    pub fn restore(&mut self, event: Arc<Event>) {
        self.next_id = self.next_id.max(event.id + 1);
        let events = Arc::make_mut(&mut self.events);
        if events.len() >= limits::EVENTS_MAX {
            events.pop_front();
        }
        events.push_back(event);
    }

    /// The oldest id that is kept.
    pub fn floor(&self) -> u64 {
        self.events.front().map_or(self.next_id, |e| e.id)
    }

    pub fn shared(&self) -> Arc<VecDeque<Arc<Event>>> {
        self.events.clone()
    }
}
