//! The durable outbox: every notice until it is delivered to each of its receivers, and who was
//! told of what.
//!
//! Owns deliveries and the ledger of troubles. Never decides that something is worth telling, never
//! renders for a channel, never sends: a channel's worker gets a [`Message`] and answers with an
//! [`Outcome`].
//!
//! **Invariants.** A receiver has at most one message in flight. Notices of one subject reach a
//! receiver in the order in which they happened. The end of a trouble goes to those who were told
//! of it and to nobody else. A notice leaves the store only when each receiver got it or was given
//! up (which is reported).

mod delivery;
mod lane;
mod policy;
mod saved;
mod standby;
mod trouble;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use crate::config::server::Server;
use crate::notice::{Draft, Fleet, Message, Notice, Receiver, Subject};
use crate::prng::Prng;
use crate::time::{Duration, Mono, Now, Wall};
use lane::Lane;
use policy::Policy;
use standby::Standby;
pub use standby::{Gag, Telling, Told};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use trouble::Ledger;

/// Up to this many notices the invariants are checked after each change, in debug builds.
const INVARIANTS_MAX: usize = 128;

/// What a worker says of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    Done,
    /// Try again, no sooner than `after` from now; zero leaves it to the outbox.
    Retry {
        after: Duration,
    },
    /// It will never succeed.
    Failed,
    /// The worker had no room for it: nothing was tried.
    Full,
}

/// Notices that one channel could not deliver, for the event feed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    pub channel: Arc<str>,
    pub count: u32,
    /// The channel that got them instead; `None`: they are lost.
    pub fallback: Option<Arc<str>>,
}

impl Report {
    /// `email could not deliver 3 notices: handed to chat`
    pub fn text(&self) -> String {
        let plural = if self.count == 1 { "" } else { "s" };
        let then = match &self.fallback {
            Some(fallback) => format!("handed to {fallback}"),
            None => "given up".to_owned(),
        };
        format!("{} could not deliver {} notice{plural}: {then}", self.channel, self.count)
    }
}

/// What a notice says about its trouble.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Role {
    /// That it is there: the first time, a rise, a reminder. Also a notice about no trouble.
    Raise,
    End,
    /// That it was there and is over.
    Whole,
}

struct Entry {
    notice: Arc<Notice>,
    trouble: Option<u64>,
    role: Role,
    /// Who has still to get it.
    waiting: BTreeSet<Receiver>,
    /// Who got it, while others wait.
    had: BTreeSet<Receiver>,
    /// The other server of a pair is to tell it.
    held: bool,
}

/// A row of the store.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Key {
    Entry(u64),
    Trouble(u64),
    Tally(Receiver),
}

/// The contract: mutate once, then drain [`rows`](Outbox::rows) into the store,
/// [`reports`](Outbox::reports) into the feed, and [`poll_message`](Outbox::poll_message) to the
/// workers, in this order; come back at [`poll_timeout`](Outbox::poll_timeout).
pub struct Outbox {
    policy: Policy,
    prng: Prng,
    entries: BTreeMap<u64, Entry>,
    ledger: Ledger,
    lanes: BTreeMap<Receiver, Lane>,
    /// Messages at the workers.
    flights: BTreeMap<u64, Receiver>,
    last_entry: u64,
    last_message: u64,
    unsaved: BTreeSet<Key>,
    reports: BTreeMap<(Arc<str>, Option<Arc<str>>), u32>,
    standby: Standby,
}

impl Outbox {
    pub fn new(config: &Server, seed: u64) -> Outbox {
        Outbox {
            policy: Policy::new(config),
            prng: Prng::new(seed),
            entries: BTreeMap::new(),
            ledger: Ledger::default(),
            lanes: BTreeMap::new(),
            flights: BTreeMap::new(),
            last_entry: 0,
            last_message: 0,
            unsaved: BTreeSet::new(),
            reports: BTreeMap::new(),
            standby: Standby::default(),
        }
    }

    /// Takes a new configuration. What waits keeps its receivers; a channel that is gone gives up
    /// at its next turn.
    pub fn configure(&mut self, config: &Server) {
        self.policy = Policy::new(config);
    }

    /// Queues a notice for each receiver. One with a subject opens its trouble, or tells more of an
    /// open one (a rise, a reminder); while one of the same level still waits, it adds nothing.
    /// The notice's time is when its trouble was declared, if it had to be held.
    pub fn post(
        &mut self,
        now: Now,
        notice: Notice,
        receivers: impl IntoIterator<Item = Receiver>,
    ) {
        let subject = notice.subject.as_ref();
        let trouble = subject.map(|subject| self.ledger.begin(now, subject, notice.time));
        let waiting: BTreeSet<Receiver> = receivers
            .into_iter()
            .filter(|receiver| trouble.is_none_or(|id| !self.awaits(id, receiver, notice.level)))
            .collect();
        if waiting.is_empty() {
            return;
        }
        let level = notice.level;
        let seq = self.enter(now.mono, notice, trouble, Role::Raise, waiting);
        self.heed(now, seq, trouble, level);
        self.check_invariants();
    }

    /// Ends the trouble of `subject` and tells those who were told of it, whatever their level and
    /// wherever the configuration stands now. Where its own notice still waits:
    /// - a silence of less than 4 s since it was declared is withdrawn, unless a try may have got
    ///   through;
    /// - a longer outage becomes one line, `DOWN: H - no heartbeat for N s, UP again after D`;
    /// - anything else (a metric, a family, flapping) keeps its lines, in order, in one message: the
    ///   contract knows no shorter text for them, and `RECOVERED` alone would end what nobody had
    ///   heard of.
    pub fn end(&mut self, now: Now, subject: &Subject, notice: Notice) {
        let Some(id) = self.ledger.close(now.mono, subject) else { return };
        self.unsaved.insert(Key::Trouble(id));
        let notice = Notice { recovery: true, ..notice.about(subject.clone()) };
        let heard = self.hearers(id);
        for receiver in &heard {
            self.loosen(id, receiver);
        }
        if let Some(trouble) = self.ledger.get_mut(id) {
            trouble.settled.clone_from(&heard);
        }
        if !heard.is_empty() {
            self.enter(now.mono, notice, Some(id), Role::End, heard.clone());
            for receiver in &heard {
                self.conclude(now.mono, id, receiver);
            }
        }
        self.sweep(id);
        self.check_invariants();
    }

    /// Ends a trouble without a word: a host that was dropped, an isolation whose end is not told.
    /// What waits of it is still delivered.
    pub fn close(&mut self, now: Now, subject: &Subject) {
        let Some(id) = self.ledger.close(now.mono, subject) else { return };
        self.unsaved.insert(Key::Trouble(id));
        for receiver in self.hearers(id) {
            self.loosen(id, &receiver);
        }
        self.sweep(id);
    }

    /// The same for all troubles of a host.
    pub fn close_host(&mut self, now: Now, host: &str) {
        let of_host = |s: &&Subject| s.host().is_some_and(|name| **name == *host);
        let subjects: Vec<Subject> = self.ledger.subjects().filter(of_host).cloned().collect();
        for subject in subjects {
            self.close(now, &subject);
        }
    }

    /// Takes back what was not handed to a worker yet of an open trouble, because it is held
    /// (isolation) or forgotten. True: nobody was told, and the trouble counts as never opened.
    pub fn recall(&mut self, subject: &Subject) -> bool {
        let Some((id, _)) = self.ledger.open(subject) else { return true };
        for receiver in self.hearers(id) {
            self.withdraw_untried(id, &receiver);
        }
        let Some((_, trouble)) = self.ledger.open(subject) else { return true };
        if !trouble.told.is_empty() || !trouble.entries.is_empty() {
            return false;
        }
        self.ledger.close(Mono::ZERO, subject);
        self.sweep(id);
        true
    }

    /// Who was told of the open trouble of `subject`: the receivers of a reminder.
    pub fn told(&self, subject: &Subject) -> Vec<Receiver> {
        let told = self.ledger.open(subject).map(|(_, trouble)| trouble.told.keys().cloned());
        told.map(Iterator::collect).unwrap_or_default()
    }

    pub fn is_open(&self, subject: &Subject) -> bool {
        self.ledger.open(subject).is_some()
    }

    /// When somebody was told of it last.
    pub fn last_notified(&self, subject: &Subject) -> Option<Wall> {
        let (_, trouble) = self.ledger.open(subject)?;
        trouble.told.values().map(|told| told.at).max()
    }

    /// How many notices wait for a channel, those in flight included.
    pub fn queued(&self, channel: &str) -> usize {
        let lanes = self.lanes.iter().filter(|(receiver, _)| *receiver.channel == *channel);
        lanes.map(|(_, lane)| lane.len()).sum()
    }

    /// [`queued`](Outbox::queued) of every channel for which something waits.
    pub fn queues(&self) -> BTreeMap<Arc<str>, usize> {
        let mut queues = BTreeMap::new();
        for (receiver, lane) in &self.lanes {
            *queues.entry(receiver.channel.clone()).or_insert(0) += lane.len();
        }
        queues.retain(|_, waiting| *waiting > 0);
        queues
    }

    /// The next message that is due, for the worker of its channel; to be drained to `None`.
    /// `fleet` as it is now.
    #[must_use]
    pub fn poll_message(&mut self, now: Now, fleet: Fleet) -> Option<Message> {
        self.lanes.retain(|_, lane| !lane.is_idle(now.mono));
        loop {
            let due = |(receiver, lane): (&Receiver, &Lane)| {
                let due = lane.due(&self.policy).filter(|due| *due <= now.mono)?;
                Some((due, receiver.clone()))
            };
            let (_, receiver) = self.lanes.iter().filter_map(due).min()?;
            if self.policy.works(&receiver.channel) {
                return self.hand_over(now.mono, receiver, fleet);
            }
            self.give_up_all(now.mono, &receiver);
        }
    }

    /// When to poll for messages again; `None`: not before the next call that changes something.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.lanes.values().filter_map(|lane| lane.due(&self.policy)).min()
    }

    /// What a worker made of a message. An id that is not in flight is ignored.
    pub fn delivered(&mut self, now: Now, message: u64, outcome: Outcome) {
        let Some(receiver) = self.flights.remove(&message) else { return };
        match outcome {
            Outcome::Done => self.land(now, &receiver),
            Outcome::Full => self.turn_back(now.mono, &receiver),
            Outcome::Retry { after } => self.retry(now.mono, &receiver, after),
            Outcome::Failed => self.fail(now.mono, &receiver),
        }
        self.check_invariants();
    }

    /// What channels could not deliver since the last call.
    #[must_use]
    pub fn reports(&mut self) -> Vec<Report> {
        let reports = std::mem::take(&mut self.reports).into_iter();
        reports.map(|((channel, fallback), count)| Report { channel, count, fallback }).collect()
    }

    fn hand_over(&mut self, now: Mono, receiver: Receiver, fleet: Fleet) -> Option<Message> {
        let lane = self.lanes.get_mut(&receiver)?;
        let held = lane.held(&self.policy);
        self.last_message += 1;
        let flight = lane.take_off(now, self.last_message);
        let entries = flight.items.keys().filter_map(|seq| self.entries.get(seq));
        let notices = entries.map(|entry| entry.notice.clone()).collect();
        let draft = Draft {
            id: flight.message,
            receiver: receiver.clone(),
            notices,
            tally: flight.tally.clone(),
            held,
            fleet,
            site: self.policy.site.clone(),
            public_url: self.policy.public_url.clone(),
        };
        self.flights.insert(flight.message, receiver);
        Some(Message::compose(draft))
    }

    fn report(&mut self, channel: &Arc<str>, fallback: Option<&Arc<str>>, count: u32) {
        if count > 0 {
            let key = (channel.clone(), fallback.cloned());
            let total = self.reports.entry(key).or_default();
            *total = total.saturating_add(count);
        }
    }

    fn check_invariants(&self) {
        // A walk over everything: in a storm it would take longer than the storm.
        if !cfg!(debug_assertions) || self.entries.len() > INVARIANTS_MAX {
            return;
        }
        self.ledger.check_invariants();
        for (receiver, lane) in &self.lanes {
            let flying = lane.flight.iter().flat_map(|flight| flight.items.keys());
            for seq in lane.queue.keys().chain(flying) {
                assert!(self.entries[seq].waiting.contains(receiver), "{receiver:?} {seq}");
            }
            assert!(lane.loose.iter().all(|seq| lane.queue.contains_key(seq)));
        }
    }
}
