//! The server's state machine: hosts, connections, timers, the event feed, views, the saved form.
//!
//! Owns all durable and alertable state. Never does I/O, never reads a clock, never blocks, never panics on
//! input. The parts of `impl Engine` stand by subject: `receive` (datagrams), `liveness` (timers and states),
//! `roster` (configuration, commands, restoring and saving).

mod admit;
mod api;
mod chunk;
mod command;
pub mod dyndns;
mod feed;
mod host;
mod link;
mod liveness;
mod metric;
mod outage;
pub mod outbox;
mod pair;
mod receive;
pub mod record;
mod request;
mod roster;
mod rtt_hour;
mod sample;
mod saved;
mod sealed;
mod session;
mod table;
mod tell;
pub mod view;

#[cfg(test)]
mod sealed_test;
#[cfg(test)]
mod tests;

pub use api::{
    Command, Configuration, Effect, Entry, Event, Outcome, Package, Path, Record, Reply, Saved,
    Wish,
};
pub use pair::PairShown;
pub use record::{Numbers, Recorded, RoundTrip, Shape, Standing};

use crate::alert::RulesetTable;
use crate::calm::{Calendar, Zones};
use crate::config::server;
use crate::limits;
use crate::notice::Subject;
use crate::time::{Duration, Mono, Now, render_duration};
use crate::wire::Reject;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::sync::Arc;
use view::{Counters, EventKind, HostId, Level, View};

/// A turn at least this often, so that a gap shows how long the server was deaf.
const TURN: Duration = Duration::from_secs(1);
/// A turn later than this after it was due means that nothing was heard meanwhile (PROTOCOL C12).
const LATENESS_MAX: Duration = Duration::from_secs(1);
/// A wall clock that moved by more than this against the monotonic one has stepped.
const STEP_MAX: Duration = Duration::from_secs(2);
/// Changed hosts are saved this long after the first change (durable within a second: SPEC section 2).
const SAVE_DELAY: Duration = Duration::from_millis(250);

/// A step of an escalation: when it is due on the listening clock, of what, which, and when that was told.
type StepDue = (Mono, HostId, Subject, usize, Mono);

/// The contract: mutate once with [`handle`](Engine::handle), drain [`poll_effect`](Engine::poll_effect) to
/// `None`, sleep until [`poll_timeout`](Engine::poll_timeout) or the next event. `now` never goes back.
///
/// ```
/// use heartbeat::{config::server::Server, engine::{Engine, Event}, time::Now};
/// let now = Now::default();
/// let mut engine = Engine::new(Server::default().into(), 1, now);
/// engine.handle(now, Event::Tick);
/// while engine.poll_effect().is_some() {}
/// assert!(engine.poll_timeout().is_some_and(|due| due > now.mono));
/// ```
pub struct Engine {
    config: Arc<server::Server>,
    table: table::Table,
    feed: feed::Feed,
    /// Hosts by when they are judged next, on the listening clock. An entry that is not its host's current
    /// `timer` is stale and ignored.
    timers: BinaryHeap<Reverse<(Mono, HostId)>>,
    ghosts: admit::GhostTable,
    refusals: admit::RefusalTable,
    newcomers: admit::AddressLimiter,
    accepted: BTreeSet<String>,
    vault: sealed::Vault,
    /// By host, oldest first.
    commands: BTreeMap<Arc<str>, Vec<command::Ticket>>,
    /// The number of the last command of all.
    last_command: u64,
    samples: sample::SampleBudget,
    shapes: record::ShapeTable,
    rules: RulesetTable,
    /// Reminders and staleness by when they are due on the listening clock; stale entries are ignored.
    metric_timers: BinaryHeap<Reverse<(Mono, HostId, Arc<str>)>>,
    escalations: BinaryHeap<Reverse<StepDue>>,
    outbox: outbox::Outbox,
    outbox_stirred: bool,
    dns: dyndns::Dyndns,
    /// What is shown of notices and of acknowledgements may be out of date.
    told_stale: bool,
    calendar: Calendar,
    zones: Zones,
    /// Who depends on a host.
    children: BTreeMap<Arc<str>, Vec<Arc<str>>>,
    isolation: Option<outage::Isolation>,
    isolation_checked: Option<Mono>,
    /// Then, on the listening clock, what was held over a restart is told.
    restored_until: Option<Mono>,
    /// When something valid arrived last, on the listening clock.
    last_valid: Mono,
    counters: Counters,
    effects: VecDeque<Effect>,
    /// Hosts whose fast columns changed since the last view.
    touched: Vec<HostId>,
    unsaved: Vec<HostId>,
    save_due: Option<Mono>,
    saved_all: Mono,
    started: Now,
    turn: Now,
    /// How long the server did not listen, in all. The listening clock is the monotonic one less this.
    deaf: Duration,
    /// Until then no restored host is judged.
    hold_until: Option<Mono>,
    epoch: u32,
    dirty: bool,
    /// The other server, where there are two with one voice.
    pair: Option<Box<pair::Couple>>,
    /// Whose command is being carried out.
    actor: Option<Arc<str>>,
}

impl Engine {
    /// `seed` makes the epoch and keys the address table; a run repeats with the same seed and the same events.
    pub fn new(config: Arc<server::Server>, seed: u64, now: Now) -> Engine {
        let mut prng = crate::prng::Prng::new(seed);
        let mut engine = Engine {
            table: table::Table::default(),
            feed: feed::Feed::new(),
            timers: BinaryHeap::new(),
            ghosts: admit::GhostTable::default(),
            refusals: admit::RefusalTable::default(),
            newcomers: admit::AddressLimiter::new(prng.next_u64(), now.mono),
            accepted: BTreeSet::new(),
            vault: sealed::Vault::default(),
            commands: BTreeMap::new(),
            last_command: 0,
            samples: sample::SampleBudget::new(limits::HISTORY_BYTES),
            shapes: record::ShapeTable::default(),
            rules: RulesetTable::compile(&config),
            metric_timers: BinaryHeap::new(),
            escalations: BinaryHeap::new(),
            outbox: outbox::Outbox::new(&config, prng.next_u64()),
            outbox_stirred: false,
            dns: dyndns::Dyndns::default(),
            told_stale: false,
            calendar: Calendar::new(Zones::default()),
            zones: Zones::default(),
            children: BTreeMap::new(),
            isolation: None,
            isolation_checked: None,
            restored_until: None,
            last_valid: now.mono,
            counters: Counters::default(),
            effects: VecDeque::new(),
            touched: Vec::new(),
            unsaved: Vec::new(),
            save_due: None,
            saved_all: now.mono,
            started: now,
            turn: now,
            deaf: Duration::ZERO,
            hold_until: None,
            epoch: prng.next_u64() as u32 & 0x00ff_ffff,
            dirty: true,
            pair: None,
            actor: None,
            config,
        };
        engine.couple(now, prng.next_u64());
        engine.relate();
        engine.plan(now);
        engine.declare(now);
        engine
    }

    /// Takes one event. Never fails: what cannot be taken is counted or answered.
    pub fn handle(&mut self, now: Now, event: Event<'_>) {
        self.open_turn(now);
        match event {
            Event::Datagram { path, len, ref decoded } => self.receive(now, path, len, decoded),
            Event::Sealed { path, len, opened } => self.receive_sealed(now, path, len, opened),
            Event::Keys(ring) => self.take_keys(now, ring),
            Event::Secured { token, saved } => self.secured(token, saved),
            Event::Tick => self.tick(now),
            Event::Command { id, command } => {
                let outcome = self.command(now, command);
                self.effects.push_back(Effect::Answer { id, outcome });
            }
            Event::Reload(config) => self.reload(now, config),
            Event::Worker { kind, level, text } => {
                let level = Some(level);
                let entry = feed::Entry { kind, host: None, level, from: None, to: None, text };
                self.publish(now, entry);
            }
            Event::KernelDrops(total) => {
                self.dirty |= self.counters.kernel_drops != total;
                self.counters.kernel_drops = total;
            }
            Event::Delivered { message, outcome } => {
                self.outbox.delivered(now, message, outcome);
                self.outbox_stirred = true;
                (self.told_stale, self.dirty) = (true, true);
            }
            Event::DnsDone(outcome) => self.dns_done(now, outcome),
            Event::Stop => self.save_all(),
        }
        self.turn_pair(now);
        self.drain_outbox(now);
        self.share_told();
        self.record_standings(now);
    }

    /// The next thing to do outside. Drain to `None` before sleeping.
    #[must_use]
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When to come back with a tick at the latest; strictly after the last tick.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        let timer = self.timers.peek().map_or(Mono::MAX, |Reverse((due, _))| *due + self.deaf);
        let turn = self.turn.mono + TURN;
        let metric =
            self.metric_timers.peek().map_or(Mono::MAX, |Reverse((due, ..))| *due + self.deaf);
        let step = self.escalations.peek().map_or(Mono::MAX, |Reverse((due, ..))| *due + self.deaf);
        let outbox = self.outbox.poll_timeout().unwrap_or(Mono::MAX);
        let calm = self.calendar.poll_timeout(self.turn).unwrap_or(Mono::MAX);
        let save = self.save_due.unwrap_or(Mono::MAX);
        let save = save.min(self.dns.poll_timeout().unwrap_or(Mono::MAX));
        let save = save.min(self.pair_due().unwrap_or(Mono::MAX));
        let due = timer.min(turn).min(save).min(metric).min(step).min(outbox).min(calm);
        Some(due.max(self.turn.mono + Duration::from_nanos(1)))
    }

    /// Whether anything visible changed since the last view.
    #[must_use]
    pub fn dirty(&self) -> bool {
        self.dirty
    }

    /// The fleet as it is now. Cheap: what did not change since the last view is shared with it.
    #[must_use]
    pub fn view(&mut self) -> Arc<View> {
        self.freshen(usize::MAX);
        if std::mem::take(&mut self.told_stale) {
            self.table.ids().into_iter().for_each(|id| self.show_quiet(id));
        }
        self.dirty = false;
        let counters = self.counters.clone();
        Arc::new(View {
            queued: self.outbox.queues(),
            pair: self.pair_shown(),
            epoch: self.epoch,
            ver: self.table.ver(),
            floor: self.table.floor(),
            gone: self.table.gone(),
            now: self.turn,
            started: self.started,
            hold_until: self.hold_until,
            hosts: self.table.shown(),
            names: self.table.names(),
            counts: self.table.counts(),
            events: self.feed.shared(),
            ghosts: Arc::new(self.ghosts.list()),
            refusals: Arc::new(self.refusals.list()),
            counters,
            isolated_since: self
                .isolation
                .map(|i| self.turn.wall - self.listening(self.turn.mono).since(i.since)),
            keys: self.vault.show(),
            silences: Arc::new(self.calendar.silences().cloned().collect()),
            acknowledgements: Arc::new(self.calendar.acknowledgements().cloned().collect()),
            maintenances: Arc::new(
                self.calendar.maintenances().map(|(m, span)| (m.clone(), span.is_some())).collect(),
            ),
        })
    }

    /// Works ahead for the next view, for `most` hosts that reported since the last one, so that after a hundred
    /// thousand reports nobody has to wait until all of it is done. Says whether nothing is left.
    pub fn freshen(&mut self, most: usize) -> bool {
        for id in self.touched.split_off(self.touched.len().saturating_sub(most)) {
            self.table.show(id);
            let Some(record) = self.table.record(id) else { continue };
            if std::mem::take(&mut record.metrics_touched)
                && let Some(alerts) = self.shown_alerts(id)
            {
                self.table.refresh(id, |host| host.alert_list = alerts);
            }
        }
        self.touched.is_empty()
    }

    /// Notes how long the server was away before this turn, and steps of the wall clock.
    fn open_turn(&mut self, now: Now) {
        let gap = now.mono.since(self.turn.mono);
        let lateness = gap.saturating_sub(TURN);
        if lateness > LATENESS_MAX {
            self.deaf += lateness;
            let text = format!(
                "server did not listen for {}: every deadline moves by as much",
                render_duration(lateness)
            );
            self.tell_server(now, Level::Warning, text);
        }
        let expected = self.turn.wall + gap;
        let step =
            if now.wall >= expected { now.wall.since(expected) } else { expected.since(now.wall) };
        if step > STEP_MAX {
            let sign = if now.wall >= expected { "forward" } else { "back" };
            let text = format!("the server's clock stepped {sign} by {}", render_duration(step));
            self.tell_server(now, Level::Info, text);
        }
        self.turn = now;
    }

    /// The monotonic clock without the server's own absences: what deadlines are measured on.
    fn listening(&self, mono: Mono) -> Mono {
        mono - self.deaf
    }

    fn refuse(&mut self, now: Now, address: std::net::IpAddr, reason: Reject) {
        *self.counters.rejected.entry(reason.code()).or_default() += 1;
        self.refusals.note(now.wall, address, reason);
        self.dirty = true;
        log::trace!("refused from={address} reason={}", reason.code());
    }

    fn tell_server(&mut self, now: Now, level: Level, text: String) {
        self.publish(
            now,
            feed::Entry {
                kind: EventKind::Server,
                host: None,
                level: Some(level),
                from: None,
                to: None,
                text,
            },
        );
    }

    /// Every event of the feed goes out through here.
    fn publish(&mut self, now: Now, entry: feed::Entry) -> Arc<view::Event> {
        let floor = self.feed.floor();
        let event = self.feed.push(now.wall, entry, self.actor.clone());
        if let Ok(json) = serde_json::to_vec(&saved::EventRow::of(&event)) {
            self.effects.push_back(Effect::Persist(vec![Saved::Event { id: event.id, json }]));
        }
        if self.feed.floor() > floor {
            let id = self.feed.floor();
            self.effects.push_back(Effect::Persist(vec![Saved::EventsBefore { id }]));
        }
        log::info!("{}", event.text);
        if self.config.journal_enabled && matches!(event.kind, EventKind::State | EventKind::Alert)
        {
            let entry = Entry::Event(event.clone());
            self.effects.push_back(Effect::Journal(Record { at: event.at, entry }));
        }
        self.effects.push_back(Effect::Publish(event.clone()));
        self.dirty = true;
        event
    }

    fn check_invariants(&self) {
        if cfg!(debug_assertions) {
            self.table.check_invariants();
            assert!(self.ghosts.len() <= self.config.ghosts_max);
        }
    }
}
