//! What one server has not acknowledged yet: samples and messages, oldest first, within a bound.
//! While the server does not answer, it is the spool (CONFIG `spool_max`).

use super::retry;
use crate::time::{Duration, Mono};
use crate::wire::Kind;
use std::collections::VecDeque;
use std::sync::Arc;

/// Messages kept; the oldest go first.
const MESSAGES_MAX: usize = 64;
/// What an item costs beside its text.
const ITEM_COST: usize = 64;
/// The wire has no larger age.
const AGE_MAX: Duration = Duration::from_secs(86_400);
/// Datagrams a second once a burst is spent: half of what a server takes from a host.
const RATE_GAP: Duration = Duration::from_millis(40);
const BURST: u32 = 32;

#[derive(Clone, Debug)]
pub(super) enum Body {
    Sample {
        plugin: usize,
        data: Arc<str>,
        part: Option<(u8, u8)>,
    },
    Message {
        mid: u64,
        kind: Kind,
        text: Arc<str>,
    },
    /// Of a one-off call: a sample that is kept as a message is, until somebody has it.
    Job {
        id: u64,
        plugin: Arc<str>,
        data: Arc<str>,
        part: Option<(u8, u8)>,
    },
    /// Sealed only.
    Maintenance {
        mid: u64,
        seconds: u32,
        text: Arc<str>,
    },
}

#[derive(Debug)]
pub(super) struct Item {
    pub id: u64,
    pub body: Body,
    /// When it was collected.
    pub born: Mono,
    pub tries: u8,
    due: Mono,
}

impl Item {
    fn is_sample(&self) -> bool {
        matches!(self.body, Body::Sample { .. })
    }

    fn cost(&self) -> usize {
        match &self.body {
            Body::Sample { data, .. } => data.len() + ITEM_COST,
            Body::Message { .. } | Body::Job { .. } | Body::Maintenance { .. } => 0,
        }
    }
}

pub(super) struct Outbox {
    items: VecDeque<Item>,
    /// Cost of all samples in it.
    bytes: usize,
    bytes_max: usize,
    messages: usize,
    next_id: u64,
    /// Samples given up.
    pub lost: u32,
    /// When the bucket is full again (GCRA): at most `BURST` gaps ahead.
    paid_until: Mono,
    stopping: bool,
}

impl Outbox {
    pub fn new(bytes_max: usize) -> Outbox {
        Outbox {
            items: VecDeque::new(),
            bytes: 0,
            bytes_max,
            messages: 0,
            next_id: 0,
            lost: 0,
            paid_until: Mono::ZERO,
            stopping: false,
        }
    }

    pub fn len(&self) -> usize {
        self.items.len()
    }

    pub fn has_message(&self) -> bool {
        self.messages > 0
    }

    /// Takes an item in; the oldest of its kind go where there is no room.
    pub fn push(&mut self, now: Mono, body: Body) {
        self.next_id += 1;
        let item = Item { id: self.next_id, body, born: now, tries: 0, due: now };
        if item.is_sample() {
            self.bytes += item.cost();
        } else {
            self.messages += 1;
        }
        self.items.push_back(item);
        while self.bytes > self.bytes_max && self.remove_where(Item::is_sample) {
            self.lost = self.lost.saturating_add(1);
        }
        while self.messages > MESSAGES_MAX && self.remove_where(|i| !i.is_sample()) {}
    }

    /// The next item to send, counted as sent. Samples wait until the server answers; messages do
    /// not.
    pub fn take_due(&mut self, now: Mono, answering: bool) -> Option<&Item> {
        if self.blocked_until() > now {
            return None;
        }
        while self.remove_where(|i| {
            i.is_sample()
                && (now.since(i.born) > AGE_MAX
                    || (answering && i.due <= now && i.tries >= retry::SAMPLE_TRIES))
        }) {
            self.lost = self.lost.saturating_add(1);
        }
        let stopping = self.stopping;
        let item = self.items.iter_mut().find(|i| i.due <= now && (answering || !i.is_sample()))?;
        let gap = if stopping { retry::goodbye_gap } else { retry::item_gap };
        item.due = now + gap(item.tries);
        item.tries = item.tries.saturating_add(1);
        self.paid_until = self.paid_until.max(now) + RATE_GAP;
        Some(item)
    }

    /// When `take_due` can have something.
    pub fn timeout(&self, answering: bool) -> Option<Mono> {
        let waiting = self.items.iter().filter(|i| answering || !i.is_sample());
        waiting.map(|i| i.due).min().map(|due| due.max(self.blocked_until()))
    }

    /// Removes what the server has; gives it back.
    pub fn acknowledged(&mut self, id: u64) -> Option<Body> {
        let place = self.items.iter().position(|i| i.id == id)?;
        self.remove(place).map(|i| i.body)
    }

    /// The same; the number of a message that it has whole now.
    pub fn told(&mut self, id: u64) -> Option<u64> {
        match self.acknowledged(id)? {
            Body::Message { mid, .. } | Body::Maintenance { mid, .. } => Some(mid),
            Body::Job { id, .. } => {
                let more = |i: &Item| matches!(i.body, Body::Job { id: other, .. } if other == id);
                (!self.items.iter().any(more)).then_some(id)
            }
            Body::Sample { .. } => None,
        }
    }

    /// The server answers again: what was sent in vain is due, and its tries count anew. A message
    /// of
    /// the last seconds is left alone; its answer is likely on the way.
    pub fn wake(&mut self, now: Mono) {
        for item in self.items.iter_mut().filter(|i| i.tries > if i.is_sample() { 0 } else { 2 }) {
            item.tries = 0;
            item.due = now;
        }
    }

    /// Another session: all that was sent and not acknowledged goes out again.
    pub fn send_anew(&mut self, now: Mono) {
        for item in self.items.iter_mut().filter(|i| i.tries > 0) {
            (item.tries, item.due) = (0, now);
        }
    }

    /// Keeps messages only, and hurries. A boot that nobody heard of must not follow the shutdown.
    pub fn stop(&mut self, now: Mono) {
        self.items.retain(|i| match i.body {
            Body::Message { kind, .. } => kind != Kind::Boot,
            Body::Job { .. } | Body::Maintenance { .. } => true,
            Body::Sample { .. } => false,
        });
        (self.bytes, self.messages) = (0, self.items.len());
        self.stopping = true;
        self.items.iter_mut().for_each(|i| (i.tries, i.due) = (0, now));
    }

    /// Whether a sample of this plugin is waiting.
    pub fn has_sample_of(&self, plugin: usize) -> bool {
        self.items.iter().any(|i| matches!(i.body, Body::Sample { plugin: p, .. } if p == plugin))
    }

    fn blocked_until(&self) -> Mono {
        self.paid_until - RATE_GAP * BURST
    }

    fn remove_where(&mut self, test: impl Fn(&Item) -> bool) -> bool {
        let place = self.items.iter().position(test);
        place.and_then(|place| self.remove(place)).is_some()
    }

    fn remove(&mut self, place: usize) -> Option<Item> {
        let item = self.items.remove(place)?;
        self.bytes = self.bytes.saturating_sub(item.cost());
        self.messages -= usize::from(!item.is_sample());
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(len: usize) -> Body {
        Body::Sample { plugin: 0, data: "x".repeat(len).into(), part: None }
    }

    fn message(mid: u64) -> Body {
        Body::Message { mid, kind: Kind::Text, text: "t".into() }
    }

    fn at(millis: u64) -> Mono {
        Mono::from_secs(100) + Duration::from_millis(millis)
    }

    #[test]
    fn spool_over_its_bound_drops_the_oldest_samples_and_no_message() {
        for (bytes_max, left, lost) in [(3 * 164, 4, 0), (3 * 164 - 1, 3, 1), (10, 1, 3)] {
            let mut outbox = Outbox::new(bytes_max);
            outbox.push(at(0), message(1));
            for _ in 0..3 {
                outbox.push(at(0), sample(100));
            }
            assert_eq!((outbox.len(), outbox.lost), (left, lost), "{bytes_max}");
            assert!(outbox.has_message());
        }
    }

    #[test]
    fn messages_over_their_bound_drop_the_oldest() {
        let mut outbox = Outbox::new(0);
        for mid in 0..=MESSAGES_MAX as u64 {
            outbox.push(at(0), message(mid));
        }
        assert_eq!(outbox.len(), MESSAGES_MAX);
        assert!(matches!(outbox.take_due(at(0), true).unwrap().body, Body::Message { mid: 1, .. }));
    }

    #[test]
    fn sample_waits_for_a_server_that_answers_and_message_does_not() {
        let mut outbox = Outbox::new(1000);
        outbox.push(at(0), sample(1));
        assert!(outbox.take_due(at(0), false).is_none());
        assert_eq!(outbox.timeout(false), None);
        outbox.push(at(0), message(7));
        assert!(matches!(outbox.take_due(at(0), false).unwrap().body, Body::Message { .. }));
        assert_eq!(outbox.timeout(false), Some(at(1000)));
        assert!(outbox.take_due(at(0), true).unwrap().is_sample());
    }

    #[test]
    fn sample_unacknowledged_by_a_live_server_is_given_up() {
        let mut outbox = Outbox::new(1000);
        outbox.push(at(0), sample(1));
        let (mut now, mut sent) = (at(0), Vec::new());
        while outbox.len() > 0 {
            if outbox.take_due(now, true).is_some() {
                sent.push(now.since(at(0)).as_secs());
            }
            now = outbox.timeout(true).unwrap_or(now);
        }
        assert_eq!(sent, [0, 1, 3, 7, 15, 31, 61, 91]);
        assert_eq!(outbox.lost, 1);
    }

    #[test]
    fn full_spool_drains_at_the_rate_a_server_takes() {
        let mut outbox = Outbox::new(1 << 20);
        (0..100).for_each(|_| outbox.push(at(0), sample(1)));
        let mut burst = 0;
        while let Some(id) = outbox.take_due(at(0), true).map(|i| i.id) {
            outbox.acknowledged(id);
            burst += 1;
        }
        assert_eq!(burst, BURST + 1);
        assert_eq!(outbox.timeout(true), Some(at(40)));
        assert!(outbox.take_due(at(40), true).is_some());
        assert!(outbox.take_due(at(41), true).is_none());
    }

    #[test]
    fn sample_older_than_the_wire_can_say_is_given_up() {
        let mut outbox = Outbox::new(1000);
        outbox.push(at(0), sample(1));
        assert!(outbox.take_due(at(0) + AGE_MAX + Duration::from_millis(1), true).is_none());
        assert_eq!((outbox.len(), outbox.lost), (0, 1));
    }
}
