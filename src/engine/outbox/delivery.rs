//! One notice on its way to one receiver: entered, withdrawn, merged, delivered, given up.

use super::lane::{Flight, Lane};
use super::trouble::Told;
use super::{Entry, Key, Outbox, Role};
use crate::config::server::Level;
use crate::limits;
use crate::notice::{self, Notice, Receiver, Subject, Tally};
use crate::time::{Duration, Mono, Now};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Outbox {
    /// Queues a notice for each of `waiting` and returns its sequence number.
    pub(super) fn enter(
        &mut self,
        now: Mono,
        notice: Notice,
        trouble: Option<u64>,
        role: Role,
        waiting: BTreeSet<Receiver>,
    ) -> u64 {
        self.last_entry += 1;
        let seq = self.last_entry;
        let receivers = waiting.clone();
        let had = BTreeSet::new();
        let held = self.is_to_be_held(trouble, role);
        if !held {
            self.note_spoken(&notice.text);
        }
        let notice = Arc::new(notice);
        self.entries.insert(seq, Entry { notice, trouble, role, waiting, had, held });
        self.unsaved.insert(Key::Entry(seq));
        if let Some(id) = trouble
            && let Some(trouble) = self.ledger.get_mut(id)
        {
            trouble.entries.insert(seq);
            self.unsaved.insert(Key::Trouble(id));
        }
        for receiver in receivers {
            self.queue(now, &receiver, seq);
        }
        seq
    }

    fn queue(&mut self, now: Mono, receiver: &Receiver, seq: u64) {
        let loose = self.is_loose(seq);
        let held = self.entries.get(&seq).is_some_and(|entry| entry.held);
        let lane = self.lanes.entry(receiver.clone()).or_default();
        if held {
            lane.add_held(seq, loose)
        } else {
            lane.add(now, seq, loose)
        }
        self.make_room(now, receiver);
    }

    /// Whether an entry is about no open trouble.
    pub(super) fn is_loose(&self, seq: u64) -> bool {
        let trouble = self.entries.get(&seq).and_then(|entry| entry.trouble);
        trouble.is_none_or(|id| !self.ledger.is_open(id))
    }

    /// Holds the bound of a queue: the oldest notices about no open trouble become a name in the
    /// next digest.
    fn make_room(&mut self, now: Mono, receiver: &Receiver) {
        while let Some(lane) = self.lanes.get_mut(receiver)
            && lane.queue.len() > limits::NOTIFY_QUEUE
            && let Some(seq) = lane.loose.first().copied()
            && let Some(entry) = self.entries.get(&seq)
        {
            if entry.held {
                // The other server tells it.
                self.withdraw(seq, receiver);
                continue;
            }
            let (notice, trouble) = (entry.notice.clone(), entry.trouble);
            // What it is about has ended, if it ever could.
            let class = if trouble.is_some() { None } else { notice.class() };
            let mut tally = Tally::default();
            tally.add(notice.host.as_ref(), class, 1);
            lane.add_tally(now, &tally);
            lane.remove(seq);
            self.unsaved.insert(Key::Tally(receiver.clone()));
            if let Some(trouble) = trouble.and_then(|id| self.ledger.get_mut(id)) {
                let told = Told { at: trouble.opened, level: notice.level };
                trouble.told.entry(receiver.clone()).or_insert(told);
            }
            self.leave(seq, receiver);
            trouble.into_iter().for_each(|id| self.sweep(id));
        }
    }

    /// Whether a notice of that level about the trouble waits for the receiver already.
    pub(super) fn awaits(&self, id: u64, receiver: &Receiver, level: Level) -> bool {
        self.waiting(id, receiver, Role::Raise)
            .into_iter()
            .filter_map(|seq| self.entries.get(&seq))
            .any(|entry| entry.notice.level == level)
    }

    /// Entries of a trouble in a receiver's queue, oldest first; not those in flight.
    fn waiting(&self, id: u64, receiver: &Receiver, role: Role) -> Vec<u64> {
        let (Some(trouble), Some(lane)) = (self.ledger.get(id), self.lanes.get(receiver)) else {
            return Vec::new();
        };
        let is_role = |seq: &u64| self.entries.get(seq).is_some_and(|entry| entry.role == role);
        let queued = trouble.entries.iter().filter(|seq| lane.queue.contains_key(seq));
        queued.copied().filter(is_role).collect()
    }

    /// Everybody who was told of a trouble, or is about to be.
    pub(super) fn hearers(&self, id: u64) -> BTreeSet<Receiver> {
        let Some(trouble) = self.ledger.get(id) else { return BTreeSet::new() };
        let entries = trouble.entries.iter().filter_map(|seq| self.entries.get(seq));
        let waiting = entries.flat_map(|entry| entry.waiting.iter());
        waiting.chain(trouble.told.keys()).cloned().collect()
    }

    /// The trouble has ended: what waits of it may make room.
    pub(super) fn loosen(&mut self, id: u64, receiver: &Receiver) {
        let waiting = self.waiting(id, receiver, Role::Raise);
        if let Some(lane) = self.lanes.get_mut(receiver) {
            lane.loose.extend(waiting);
        }
    }

    /// Settles what a receiver hears of a trouble that has ended, as far as it still waits.
    pub(super) fn conclude(&mut self, now: Mono, id: u64, receiver: &Receiver) {
        let Some(trouble) = self.ledger.get(id).filter(|trouble| trouble.ended.is_some()) else {
            return;
        };
        let Some(lane) = self.lanes.get(receiver) else { return };
        if trouble.entries.iter().any(|seq| lane.flies(*seq)) {
            return;
        }
        let raises = self.waiting(id, receiver, Role::Raise);
        let ends = self.waiting(id, receiver, Role::End);
        if let Some(told) = trouble.told.get(receiver) {
            // A reminder of what is over is worth nothing; a rise is.
            let level = told.level;
            let stale = |seq: &u64| self.entries.get(seq).is_some_and(|e| e.notice.level <= level);
            let stale: Vec<u64> = raises.into_iter().filter(stale).collect();
            return stale.into_iter().for_each(|seq| self.withdraw(seq, receiver));
        }
        let tried = |seq: &u64| lane.queue.get(seq).is_some_and(|waiting| waiting.tried.is_some());
        let withdrawn = raises.is_empty() || trouble.was_short() && !raises.iter().any(tried);
        let merged = matches!(trouble.subject, Subject::Outage { .. });
        if ends.is_empty() || !(withdrawn || merged) {
            return;
        }
        if !withdrawn {
            self.merge(now, id, receiver, raises[0], ends[0]);
        }
        for seq in raises.into_iter().chain(ends) {
            self.withdraw(seq, receiver);
        }
    }

    /// Puts one line in the place of a DOWN and its UP; receivers share it.
    fn merge(&mut self, now: Mono, id: u64, receiver: &Receiver, raise: u64, end: u64) {
        let merged = self.ledger.get(id).and_then(|trouble| trouble.merged);
        if let Some(seq) = merged
            && let Some(entry) = self.entries.get_mut(&seq)
        {
            entry.waiting.insert(receiver.clone());
            self.unsaved.insert(Key::Entry(seq));
            return self.queue(now, receiver, seq);
        }
        let (Some(raise), Some(end)) = (self.entries.get(&raise), self.entries.get(&end)) else {
            return;
        };
        let (down, up) = (&raise.notice, &end.notice);
        let host = up.host.as_deref().unwrap_or_default();
        let text = notice::down_then_up(host, &down.text, down.span, up.span);
        let line = Notice { text: text.into(), level: down.level, ..(**up).clone() };
        let seq = self.enter(now, line, Some(id), Role::Whole, BTreeSet::from([receiver.clone()]));
        if let Some(trouble) = self.ledger.get_mut(id) {
            trouble.merged = Some(seq);
        }
    }

    /// Takes notices of a trouble back that no worker has had.
    pub(super) fn withdraw_untried(&mut self, id: u64, receiver: &Receiver) {
        for seq in self.waiting(id, receiver, Role::Raise) {
            let waiting = self.lanes.get(receiver).and_then(|lane| lane.queue.get(&seq));
            if waiting.is_some_and(|waiting| waiting.tried.is_none()) {
                self.withdraw(seq, receiver);
            }
        }
    }

    pub(super) fn withdraw(&mut self, seq: u64, receiver: &Receiver) {
        if let Some(lane) = self.lanes.get_mut(receiver) {
            lane.remove(seq);
        }
        self.leave(seq, receiver);
    }

    /// The receiver waits no more for an entry; the last one takes it along.
    fn leave(&mut self, seq: u64, receiver: &Receiver) {
        let Some(entry) = self.entries.get_mut(&seq) else { return };
        entry.waiting.remove(receiver);
        self.unsaved.insert(Key::Entry(seq));
        self.unsaved.extend(entry.trouble.map(Key::Trouble));
        if entry.waiting.is_empty() {
            let trouble = entry.trouble.and_then(|id| self.ledger.get_mut(id));
            if let Some(trouble) = trouble {
                trouble.entries.remove(&seq);
            }
            self.entries.remove(&seq);
        }
    }

    /// Forgets a trouble that is over and told.
    pub(super) fn sweep(&mut self, id: u64) {
        if self.ledger.sweep(id) {
            self.unsaved.insert(Key::Trouble(id));
        }
    }

    /// The message in flight was delivered.
    pub(super) fn land(&mut self, now: Now, receiver: &Receiver) {
        let Some(flight) = self.lanes.get_mut(receiver).and_then(Lane::land) else { return };
        if !flight.tally.is_empty() {
            self.unsaved.insert(Key::Tally(receiver.clone()));
        }
        let troubles = self.troubles_of(&flight);
        for seq in flight.items.keys() {
            let Some(entry) = self.entries.get_mut(seq) else { continue };
            entry.had.insert(receiver.clone());
            if entry.role == Role::Raise
                && let Some(trouble) = entry.trouble.and_then(|id| self.ledger.get_mut(id))
            {
                let (at, level) = (now.wall, entry.notice.level);
                let told = trouble.told.entry(receiver.clone()).or_insert(Told { at, level });
                *told = Told { at, level: told.level.max(level) };
            }
            self.note_told(now.wall, *seq, receiver);
            self.leave(*seq, receiver);
        }
        self.settle(now.mono, receiver, troubles);
    }

    pub(super) fn turn_back(&mut self, now: Mono, receiver: &Receiver) {
        let flight = self.lanes.get_mut(receiver).and_then(|lane| lane.turn_back(now));
        self.put_back(now, receiver, flight);
    }

    pub(super) fn retry(&mut self, now: Mono, receiver: &Receiver, after: Duration) {
        let retry_for = self.policy.retry_for(&receiver.channel);
        let Some(lane) = self.lanes.get_mut(receiver) else { return };
        lane.fail(now, after, retry_for, &mut self.prng);
        let flight = lane.flight.take();
        self.put_back(now, receiver, flight);
        let Some(lane) = self.lanes.get_mut(receiver) else { return };
        let is_over = |w: &super::lane::Waiting| w.is_over(now, retry_for);
        let over: BTreeSet<u64> =
            lane.queue.iter().filter(|(_, w)| is_over(w)).map(|(seq, _)| *seq).collect();
        let tally = lane.take_old_tally(now, retry_for);
        self.give_up(now, receiver, over, tally);
    }

    pub(super) fn fail(&mut self, now: Mono, receiver: &Receiver) {
        let Some(flight) = self.lanes.get_mut(receiver).and_then(Lane::land) else { return };
        let failed = flight.items.keys().copied().collect();
        self.put_back(now, receiver, Some(flight));
        let tally = self.lanes.get_mut(receiver).map(Lane::take_tally).unwrap_or_default();
        self.give_up(now, receiver, failed, tally);
    }

    /// The channel is gone: nothing of its queue can be sent.
    pub(super) fn give_up_all(&mut self, now: Mono, receiver: &Receiver) {
        let Some(lane) = self.lanes.get_mut(receiver) else { return };
        let all = lane.queue.keys().copied().collect();
        let tally = lane.take_tally();
        self.give_up(now, receiver, all, tally);
    }

    fn put_back(&mut self, now: Mono, receiver: &Receiver, flight: Option<Flight>) {
        let Some(flight) = flight else { return };
        let troubles = self.troubles_of(&flight);
        let loose: BTreeSet<u64> =
            flight.items.keys().copied().filter(|seq| self.is_loose(*seq)).collect();
        if let Some(lane) = self.lanes.get_mut(receiver) {
            lane.put_back(flight, |seq| loose.contains(&seq));
        }
        self.settle(now, receiver, troubles);
        self.make_room(now, receiver);
    }

    /// Hands notices to the fallback of the receiver's channel, or drops them; both are reported.
    /// The end of a trouble goes with the notice that told of it.
    fn give_up(
        &mut self,
        now: Mono,
        receiver: &Receiver,
        mut given_up: BTreeSet<u64>,
        tally: Tally,
    ) {
        let fallback = self.policy.fallback(&receiver.channel).to_vec();
        let ids: BTreeSet<u64> = given_up.iter().filter_map(|seq| self.trouble_of(*seq)).collect();
        for id in &ids {
            let Some(trouble) = self.ledger.get_mut(*id) else { continue };
            match trouble.told.get(receiver).copied() {
                // Who stands in for somebody who was told hears the end as well.
                Some(told) => {
                    for other in fallback.iter().filter(|_| trouble.ended.is_some()) {
                        trouble.told.entry(other.clone()).or_insert(told);
                    }
                }
                None => given_up.extend(self.waiting(*id, receiver, Role::End)),
            }
        }
        let count = given_up.len() as u32 + tally.len();
        for seq in given_up {
            self.hand_on(now, seq, receiver, &fallback);
        }
        for id in &ids {
            if let Some(trouble) = self.ledger.get_mut(*id).filter(|t| t.ended.is_some()) {
                trouble.settled.extend(fallback.iter().cloned());
            }
        }
        if !tally.is_empty() {
            self.unsaved.insert(Key::Tally(receiver.clone()));
            for other in &fallback {
                self.lanes.entry(other.clone()).or_default().add_tally(now, &tally);
                self.unsaved.insert(Key::Tally(other.clone()));
            }
        }
        self.report(&receiver.channel, fallback.first().map(|r| &r.channel), count);
        for other in fallback.iter().chain([receiver]) {
            self.settle(now, other, ids.clone());
        }
    }

    fn hand_on(&mut self, now: Mono, seq: u64, receiver: &Receiver, fallback: &[Receiver]) {
        for other in fallback {
            let late = self.comes_late(seq, other);
            let Some(entry) = self.entries.get_mut(&seq) else { break };
            if !late && !entry.had.contains(other) && entry.waiting.insert(other.clone()) {
                self.queue(now, other, seq);
            }
        }
        self.withdraw(seq, receiver);
    }

    /// Whether somebody knows already what a notice of a trouble would say, or hears more by
    /// themselves.
    fn comes_late(&self, seq: u64, receiver: &Receiver) -> bool {
        let Some(entry) = self.entries.get(&seq) else { return true };
        let Some(id) = entry.trouble else { return false };
        let Some(trouble) = self.ledger.get(id) else { return false };
        if trouble.settled.contains(receiver) {
            return true;
        }
        let level = entry.notice.level;
        let told = trouble.told.get(receiver);
        let knows = told.is_some_and(|told| trouble.ended.is_some() || told.level >= level)
            || self.awaits(id, receiver, level);
        let flies = |lane: &Lane| trouble.entries.range(seq + 1..).any(|seq| lane.flies(*seq));
        entry.role == Role::Raise && knows || self.lanes.get(receiver).is_some_and(flies)
    }

    fn settle(&mut self, now: Mono, receiver: &Receiver, troubles: BTreeSet<u64>) {
        for id in troubles {
            self.conclude(now, id, receiver);
            self.sweep(id);
        }
    }

    fn troubles_of(&self, flight: &Flight) -> BTreeSet<u64> {
        flight.items.keys().filter_map(|seq| self.trouble_of(*seq)).collect()
    }

    fn trouble_of(&self, seq: u64) -> Option<u64> {
        self.entries.get(&seq)?.trouble
    }
}
