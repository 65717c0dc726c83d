//! What one side shares, in the order of its changes, and how far the other side has it.
//!
//! A thing has a key, and only its latest text is kept: a side that was cut off for a day catches up with the things
//! that there are, not with all that happened. What is gone is kept as gone until the other side knows it.

use super::note::{Mark, Note, Shared};
use crate::limits;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Text of shared things in one note: with its escapes and the seal it still fits a datagram.
const ROOM: usize = 400;
/// What a thing costs beside its text and its key.
const COST: usize = 16;

#[derive(Debug)]
struct Item {
    rev: u64,
    /// `None`: gone.
    text: Option<String>,
}

#[derive(Debug)]
pub struct Shelf {
    epoch: u64,
    rev: u64,
    items: BTreeMap<Arc<str>, Item>,
    order: BTreeMap<u64, Arc<str>>,
    mark: Mark,
}

impl Shelf {
    /// `epoch`: of this process, any number that no other process had.
    pub fn new(epoch: u64) -> Shelf {
        Shelf {
            epoch: epoch.max(1),
            rev: 0,
            items: BTreeMap::new(),
            order: BTreeMap::new(),
            mark: Mark::default(),
        }
    }

    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Shares a thing, or that it is gone. One that is as it was is no news; nor is that something is gone which was
    /// never here. A full shelf takes nothing new.
    pub fn put(&mut self, key: &str, text: Option<String>) {
        match self.items.get(key) {
            Some(known) if known.text == text => return,
            None if text.is_none() || self.items.len() >= limits::PAIR_SHARED => return,
            _ => {}
        }
        self.place(key, text);
    }

    /// Says it although it was said before: what another said since is out of date.
    pub fn repeat(&mut self, key: &str, text: Option<String>) {
        if self.items.contains_key(key) || self.items.len() < limits::PAIR_SHARED {
            self.place(key, text);
        }
    }

    fn place(&mut self, key: &str, text: Option<String>) {
        self.rev += 1;
        let key: Arc<str> = key.into();
        if let Some(old) = self.items.insert(key.clone(), Item { rev: self.rev, text }) {
            self.order.remove(&old.rev);
        }
        self.order.insert(self.rev, key);
    }

    /// The other side said how far it is.
    pub fn seen(&mut self, mark: Mark) {
        self.mark = if mark.epoch == self.epoch { mark } else { Mark::default() };
        let known: Vec<Arc<str>> =
            self.order.range(..=self.mark.rev).map(|(_, key)| key.clone()).collect();
        for key in known {
            if let Some(item) = self.items.get(&key)
                && item.text.is_none()
            {
                self.order.remove(&item.rev);
                self.items.remove(&key);
            }
        }
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        self.items.get(key)?.text.as_deref()
    }

    /// Whether it is gone, and the other side has not heard so.
    pub fn is_gone_unheard(&self, key: &str) -> bool {
        self.items.get(key).is_some_and(|item| item.text.is_none() && item.rev > self.mark.rev)
    }

    /// Whether the other side lacks something.
    pub fn has_news(&self) -> bool {
        self.order.range(self.mark.rev + 1..).next().is_some()
    }

    /// What the next note carries, with its beginning and whether that is all.
    pub fn fill(&self) -> (u64, usize, Vec<Shared>, bool) {
        let (mut room, mut shared, mut at) = (ROOM, Vec::new(), 0);
        for (rev, key) in self.order.range(self.mark.rev + 1..) {
            let Some(item) = self.items.get(key) else { continue };
            let text = item.text.as_deref();
            let mut from = 0;
            if shared.is_empty() && self.mark.partial == *rev {
                from = self.mark.len.min(text.map_or(0, str::len));
                at = from;
            }
            let cost = COST + key.len();
            if !shared.is_empty() && room <= cost {
                return (self.mark.rev, at, shared, false);
            }
            room = room.saturating_sub(cost).max(COST);
            let rest = text.and_then(|text| text.get(from..));
            let piece = rest.map(|rest| crate::text::cut(rest, room));
            let more = rest.map_or(0, str::len) > piece.map_or(0, str::len);
            room = room.saturating_sub(piece.map_or(0, str::len));
            let text = piece.map(str::to_owned);
            shared.push(Shared { rev: *rev, key: key.clone(), text, more });
            if more {
                return (self.mark.rev, at, shared, false);
            }
        }
        (self.mark.rev, at, shared, true)
    }
}

/// What was heard of the other side's shelf.
#[derive(Debug, Default)]
pub struct Reader {
    mark: Mark,
    partial: String,
    complete: bool,
    /// Keys that there are, by the current process of the other side.
    keys: std::collections::BTreeSet<Arc<str>>,
    /// Keys of its process before, which the current one has not named yet.
    stale: std::collections::BTreeSet<Arc<str>>,
}

impl Reader {
    pub fn mark(&self) -> Mark {
        Mark { len: self.partial.len(), ..self.mark }
    }

    /// Everything that the other side shares has arrived.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Takes what a note carries, and gives back what is new, in order; `None` in place of a text: it is gone. Pieces
    /// that do not follow on what is here are left: the sender begins anew where this side says that it stands.
    pub fn take(&mut self, note: &Note) -> Vec<(Arc<str>, Option<String>)> {
        if note.epoch != self.mark.epoch {
            self.mark = Mark { epoch: note.epoch, ..Mark::default() };
            self.partial.clear();
            self.complete = false;
            self.stale.append(&mut self.keys);
        }
        let mut news = Vec::new();
        if note.base != self.mark.rev {
            return news;
        }
        for (place, shared) in note.shared.iter().enumerate() {
            let follows = self.mark.partial == shared.rev && note.at == self.partial.len();
            if shared.rev <= self.mark.rev || place == 0 && note.at > 0 && !follows {
                return news;
            }
            if place > 0 || note.at == 0 {
                self.partial.clear();
            }
            self.mark.partial = shared.rev;
            if let Some(text) = &shared.text {
                self.partial.push_str(text);
            }
            if shared.more {
                if self.partial.len() > limits::PAIR_TEXT_MAX {
                    self.partial.clear();
                }
                return news;
            }
            let text = std::mem::take(&mut self.partial);
            self.mark.rev = shared.rev;
            let gone = shared.text.is_none();
            self.stale.remove(&shared.key);
            if gone {
                self.keys.remove(&shared.key);
            } else if self.keys.len() < limits::PAIR_SHARED {
                self.keys.insert(shared.key.clone());
            }
            news.push((shared.key.clone(), (!gone).then_some(text)));
        }
        if note.end {
            self.complete = true;
            news.extend(std::mem::take(&mut self.stale).into_iter().map(|key| (key, None)));
        }
        news
    }
}
