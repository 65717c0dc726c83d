//! What waits for one receiver: the queue, the one message in flight, the limit a minute, the pause
//! after a failure.
//!
//! Owns when the next message may go. What is told and to whom is the outbox's.

use super::policy::Policy;
use crate::notice::Tally;
use crate::prng::Prng;
use crate::time::{Duration, Mono};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

const MINUTE: Duration = Duration::from_secs(60);
/// The first pause after a failed try; it doubles up to the longest.
const PAUSE_FIRST: Duration = Duration::from_secs(5);
const PAUSE_LONGEST: Duration = Duration::from_secs(300);
/// A server that asks for more patience than this is asked again anyway.
const ASKED_PAUSE_MAX: Duration = Duration::from_secs(3600);
/// The pause after a worker had no room.
const PAUSE_FULL: Duration = Duration::from_secs(1);

/// A notice that waits. `tried`: when its first try began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Waiting {
    pub tried: Option<Mono>,
}

/// A message at the worker.
#[derive(Debug)]
pub struct Flight {
    pub message: u64,
    begun: Mono,
    /// When the oldest of it came.
    since: Option<Mono>,
    pub items: BTreeMap<u64, Waiting>,
    pub tally: Tally,
    pub tally_state: Waiting,
}

#[derive(Debug, Default)]
pub struct Lane {
    /// By sequence number, without those in flight.
    pub queue: BTreeMap<u64, Waiting>,
    /// Those of the queue that are about no open trouble: what makes room first.
    pub loose: BTreeSet<u64>,
    /// Those of the queue that the other server of a pair is to tell.
    held: BTreeSet<u64>,
    /// What made room.
    pub tally: Tally,
    tally_state: Waiting,
    pub flight: Option<Flight>,
    /// When the oldest of what waits came.
    since: Option<Mono>,
    /// Hand-overs of the last minute, oldest first.
    handed: VecDeque<Mono>,
    pause_until: Option<Mono>,
    failures: u32,
}

impl Lane {
    pub fn add(&mut self, now: Mono, seq: u64, loose: bool) {
        self.queue.insert(seq, Waiting::default());
        if loose {
            self.loose.insert(seq);
        }
        self.since.get_or_insert(now);
    }

    /// Adds one that waits until [`release`](Lane::release).
    pub fn add_held(&mut self, seq: u64, loose: bool) {
        self.queue.insert(seq, Waiting::default());
        self.held.insert(seq);
        if loose {
            self.loose.insert(seq);
        }
    }

    /// It goes with what is gathered from `at` on.
    pub fn release(&mut self, at: Mono, seq: u64) {
        if self.held.remove(&seq) {
            self.since.get_or_insert(at);
        }
    }

    /// It waits again until [`release`](Lane::release).
    pub fn hold(&mut self, seq: u64) {
        if self.queue.contains_key(&seq) {
            self.held.insert(seq);
            if !self.is_ready() {
                self.since = None;
            }
        }
    }

    /// What waits goes no sooner than then.
    pub fn postpone(&mut self, until: Mono) {
        self.since = self.since.map(|since| since.max(until));
    }

    /// Adds one that another process had: it may have been tried.
    pub fn restore(&mut self, now: Mono, seq: u64, loose: bool) {
        self.add(now, seq, loose);
        self.queue.insert(seq, Waiting { tried: Some(now) });
    }

    pub fn add_tally(&mut self, now: Mono, tally: &Tally) {
        self.tally.merge(tally);
        self.since.get_or_insert(now);
    }

    /// Takes a notice out of the queue; `None` where it is not there (or in flight).
    pub fn remove(&mut self, seq: u64) -> Option<Waiting> {
        let waiting = self.queue.remove(&seq)?;
        self.loose.remove(&seq);
        self.held.remove(&seq);
        if !self.is_ready() {
            self.since = None;
        }
        Some(waiting)
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.tally.is_empty()
    }

    /// Whether anything of it may go.
    fn is_ready(&self) -> bool {
        self.queue.len() > self.held.len() || !self.tally.is_empty()
    }

    /// How many notices it holds.
    pub fn len(&self) -> usize {
        let flying = self.flight.as_ref().map_or(0, |f| f.items.len() + f.tally.len() as usize);
        self.queue.len() + self.tally.len() as usize + flying
    }

    pub fn flies(&self, seq: u64) -> bool {
        self.flight.as_ref().is_some_and(|flight| flight.items.contains_key(&seq))
    }

    /// Whether nothing of it would be missed.
    pub fn is_idle(&self, now: Mono) -> bool {
        let quiet = self.handed.back().is_none_or(|last| *last + MINUTE <= now);
        let rested = self.pause_until.is_none_or(|until| until <= now);
        self.is_empty() && self.flight.is_none() && quiet && rested
    }

    /// When the next message may go; `None` while one is in flight or nothing waits.
    pub fn due(&self, policy: &Policy) -> Option<Mono> {
        let grouped = self.grouped(policy)?;
        let paused = self.pause_until.unwrap_or(Mono::ZERO);
        Some(grouped.max(paused).max(self.slot(policy)))
    }

    /// Whether the limit a minute holds back what would have gone.
    pub fn held(&self, policy: &Policy) -> bool {
        self.grouped(policy).is_some_and(|grouped| self.slot(policy) > grouped)
    }

    fn grouped(&self, policy: &Policy) -> Option<Mono> {
        let since = self.since.filter(|_| self.flight.is_none())?;
        Some(since + policy.group_wait)
    }

    /// When the minute has room for one more.
    fn slot(&self, policy: &Policy) -> Mono {
        match self.handed.len().checked_sub(policy.per_minute) {
            Some(oldest) => self.handed[oldest] + MINUTE,
            None => Mono::ZERO,
        }
    }

    /// Puts everything that waits into a message.
    pub fn take_off(&mut self, now: Mono, message: u64) -> &Flight {
        while self.handed.front().is_some_and(|at| *at + MINUTE <= now) {
            self.handed.pop_front();
        }
        self.handed.push_back(now);
        self.loose.retain(|seq| self.held.contains(seq));
        let since = self.since.take();
        let mut items = std::mem::take(&mut self.queue);
        for seq in &self.held {
            if let Some(waiting) = items.remove(seq) {
                self.queue.insert(*seq, waiting);
            }
        }
        self.flight.insert(Flight {
            message,
            begun: now,
            since,
            items,
            tally: std::mem::take(&mut self.tally),
            tally_state: std::mem::take(&mut self.tally_state),
        })
    }

    /// The worker delivered, or will never be able to: the next message needs no pause.
    pub fn land(&mut self) -> Option<Flight> {
        self.failures = 0;
        self.pause_until = None;
        self.flight.take()
    }

    /// The worker had no room: as if nothing had been handed over.
    pub fn turn_back(&mut self, now: Mono) -> Option<Flight> {
        self.handed.pop_back();
        self.pause_until = Some(now + PAUSE_FULL);
        self.flight.take()
    }

    /// The worker failed, and may try again no sooner than `asked` from now. There is a last try
    /// when the time of the first notice is over. The message stays in flight until it is taken
    /// out.
    pub fn fail(&mut self, now: Mono, asked: Duration, retry_for: Duration, prng: &mut Prng) {
        let doubled = PAUSE_FIRST.saturating_mul(1 << self.failures.min(10)).min(PAUSE_LONGEST);
        self.failures = self.failures.saturating_add(1);
        // Between three and five quarters, so that channels that failed together do not try
        // together.
        let jittered = doubled.mul_f64(0.75 + prng.fraction() / 2.0);
        let pause = jittered.clamp(PAUSE_FIRST, PAUSE_LONGEST).max(asked.min(ASKED_PAUSE_MAX));
        let last = self.flight.as_ref().map_or(now, |f| f.first_try() + retry_for);
        let until = (now + pause).min(last.max(now + PAUSE_FIRST));
        self.pause_until = Some(until);
        if let Some(flight) = &mut self.flight {
            flight.items.values_mut().for_each(|w| w.tried = w.tried.or(Some(flight.begun)));
            flight.tally_state.tried.get_or_insert(flight.begun);
        }
    }

    /// Puts what was in flight back before what came since. `loose` tells which are about no open
    /// trouble.
    pub fn put_back(&mut self, flight: Flight, loose: impl Fn(u64) -> bool) {
        let since = flight.since;
        self.loose.extend(flight.items.keys().filter(|seq| loose(**seq)));
        self.queue.extend(flight.items);
        self.tally.merge(&flight.tally);
        self.tally_state = flight.tally_state;
        if self.is_ready() {
            self.since = since.or(self.since);
        }
    }

    /// The tally, where its time is over.
    pub fn take_old_tally(&mut self, now: Mono, retry_for: Duration) -> Tally {
        if self.tally_state.is_over(now, retry_for) { self.take_tally() } else { Tally::default() }
    }

    pub fn take_tally(&mut self) -> Tally {
        self.tally_state = Waiting::default();
        let tally = std::mem::take(&mut self.tally);
        if !self.is_ready() {
            self.since = None;
        }
        tally
    }
}

impl Waiting {
    /// Whether it was tried for as long as its channel tries.
    pub fn is_over(&self, now: Mono, retry_for: Duration) -> bool {
        self.tried.is_some_and(|tried| now.since(tried) >= retry_for)
    }
}

impl Flight {
    fn first_try(&self) -> Mono {
        let tried = self.items.values().filter_map(|w| w.tried).min();
        tried.map_or(self.begun, |tried| tried.min(self.begun))
    }
}
