//! The agent's state machine: schedule, links per address, retransmission, round trips, spool.
//!
//! Owns what is true of the servers it reports to. Never opens a socket, never looks up a name,
//! never
//! runs a plugin, never reads a clock: the shell (`os::agent_loop`) does, and tells it.

mod api;
pub mod command_line;
mod job;
mod letter;
mod link;
pub mod one_off;
mod outbox;
mod peer;
pub mod release;
mod retry;
mod schedule;
mod sealed;
mod session;
#[cfg(test)]
mod tests;

pub use api::{
    Effect, Event, LinkId, LinkView, Plan, RanHow, SPOOL_DEFAULT, SPOOL_DEFAULT_MINI, ServerView,
    Setup, Target, View,
};
pub use sealed::Trust;

use crate::limits;
use crate::prng::Prng;
use crate::text;
use crate::time::{Duration, Mono, Now};
use crate::wire::{self, Kind};
use link::{Due, Link};
use one_off::OneOff;
use outbox::Body;
use peer::Peer;
use schedule::Schedule;
use session::Session;
use std::collections::VecDeque;
use std::net::SocketAddr;

/// One machine's agent.
///
/// The contract is that of the engine: `handle` one event, drain `poll_effect` to `None`, then
/// sleep
/// until `poll_timeout` (or an event). A spurious `Tick` does no harm; a late one sends what is due
/// once, not once for each time that was missed.
pub struct Agent {
    writer: letter::Writer,
    sealing: sealed::Sealing,
    interval: Duration,
    heartbeat: bool,
    boot: bool,
    peers: Vec<Peer>,
    schedule: Schedule,
    prng: Prng,
    next_link: LinkId,
    effects: VecDeque<Effect>,
    /// Until then nothing urgent can arrive.
    quiet: Option<Mono>,
    /// Saying goodbye, until then at most.
    stopping: Option<Mono>,
    exited: bool,
}

impl Agent {
    /// Everything is due at once: the first effects look up names and open sockets.
    pub fn new(setup: Setup, seed: u64, now: Now) -> Agent {
        let mut prng = Prng::new(seed);
        let writer = letter::Writer::new(&setup);
        let mut sealing = sealed::Sealing::new(setup.trust, now.mono);
        let peer = |target: Target| {
            let session = target.key.clone().map(|key| sealing.session(key));
            Peer::new(target, session, setup.spool_max, now.mono)
        };
        let peers = setup.targets.into_iter().map(peer).collect();
        let mut agent = Agent {
            writer,
            sealing,
            interval: setup.interval,
            heartbeat: setup.heartbeat,
            boot: setup.boot,
            peers,
            schedule: Schedule::new(setup.plugins, now.mono, &mut prng),
            prng,
            next_link: 0,
            effects: VecDeque::new(),
            quiet: None,
            stopping: None,
            exited: false,
        };
        if agent.boot {
            let mid = agent.draw_id();
            agent.tell(now.mono, mid, Kind::Boot, "");
        }
        agent.advance(now.mono);
        agent
    }

    /// Takes in what happened, then does what is due. Never fails, whatever the bytes.
    pub fn handle(&mut self, now: Now, event: Event<'_>) {
        let now = now.mono;
        match event {
            Event::Resolved { server, addresses } => self.resolved(now, server, addresses),
            Event::Datagram { link, bytes } => self.datagram(now, link, bytes),
            Event::SendFailed { link } => self.send_failed(now, link),
            Event::Sample { plugin, result } => self.sample(now, plugin, result),
            Event::Message { kind, text } => {
                let mid = self.draw_id();
                self.tell(now, mid, kind, text);
            }
            Event::OneOff { id, what } => self.one_off(now, id, what),
            Event::Updated { server, cid, result } => self.updated(now, server, cid, result),
            Event::Ran { server, cid, how } => self.ran(now, server, cid, how),
            Event::Entropy { seed } => self.entropy(now, seed),
            Event::Maintenance { seconds, reason } => {
                let mid = self.draw_id();
                self.maintain(now, mid, seconds, reason);
            }
            Event::Pair { note } => {
                let urgent = note.is_some();
                self.writer.note = note;
                let links = self.peers.iter_mut().flat_map(|peer| &mut peer.links);
                links.filter(|_| urgent).for_each(|link| link.hurry(now));
            }
            Event::Tick => {}
            Event::Stop => self.stop(now),
        }
        self.advance(now);
    }

    #[must_use]
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When something is due; strictly after the `now` that was handled last. `None`: never.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        if self.exited {
            return None;
        }
        let peers = self.peers.iter().filter_map(Peer::timeout).min();
        let sealed = self.sealed_timeout();
        [peers, self.schedule.timeout(), self.stopping, sealed].into_iter().flatten().min()
    }

    /// Until when no answer is urgent, where that is so: samples were sent, whose round trip nobody
    /// measures, and no heartbeat and no message is under way. A shell that leaves its sockets alone
    /// until then, or until something is due, reads all answers in the turn in which it wakes anyway.
    #[must_use]
    pub fn quiet_until(&self) -> Option<Mono> {
        let waited_for =
            |peer: &Peer| peer.outbox.has_message() || peer.links.iter().any(Link::is_beating);
        self.quiet.filter(|_| self.stopping.is_none() && !self.peers.iter().any(waited_for))
    }

    #[must_use]
    pub fn view(&self) -> View {
        View {
            servers: self.peers.iter().map(Peer::view).collect(),
            collected: self.schedule.all_ran(),
        }
    }

    fn resolved(&mut self, now: Mono, server: usize, addresses: &[SocketAddr]) {
        let Some(peer) = self.peers.get_mut(server) else { return };
        let next_link = &mut self.next_link;
        let heartbeat = self.heartbeat && self.stopping.is_none();
        peer.resolved(now, addresses, &mut self.effects, |address| {
            *next_link += 1;
            Link::new(*next_link, address, heartbeat, now)
        });
    }

    fn datagram(&mut self, now: Mono, id: LinkId, bytes: &[u8]) {
        let Some((server, place)) = self.find(id) else { return };
        if self.peers[server].session.is_some() {
            return self.sealed_datagram(now, id, bytes);
        }
        match wire::decode_ack(bytes) {
            Ok(ack) => self.acknowledged(now, server, place, ack.seq, ack.want_info),
            Err(reason) => log::debug!("not an answer: {reason} link={id}"),
        }
    }

    fn acknowledged(
        &mut self,
        now: Mono,
        server: usize,
        place: usize,
        seq: Option<u64>,
        want_info: bool,
    ) {
        let peer = &mut self.peers[server];
        let was_answering = peer.is_answering();
        let link = &mut peer.links[place];
        let Some(answer) = link.acknowledged(now, seq) else { return };
        if answer.back {
            log::info!("answer from {} address={}", peer.target, link.address);
        }
        let first_of_outage = answer.back && !was_answering;
        if first_of_outage {
            peer.outbox.wake(now);
        }
        let told = answer.item.and_then(|id| peer.outbox.told(id));
        if let Some(id) = told {
            self.effects.push_back(Effect::Told { server, id });
        }
        // A server that was silent may have been restarted, and know nothing of this machine.
        if (want_info || first_of_outage) && self.stopping.is_none() && peer.ask_info(now) {
            self.schedule.again(now, |plugin| !peer.outbox.has_sample_of(plugin));
        }
    }

    fn send_failed(&mut self, now: Mono, id: LinkId) {
        let Some((server, place)) = self.find(id) else { return };
        self.link_failed(now, server, place);
    }

    fn sample(&mut self, now: Mono, plugin: usize, result: Result<&str, &str>) {
        if !self.schedule.finished(plugin) || self.stopping.is_some() {
            return;
        }
        match result {
            Ok(data) => self.post(now, plugin, data),
            Err(reason) => self.post(now, plugin, &letter::error_data(reason)),
        }
    }

    /// Puts a sample into the outbox of every server, in as many parts as datagrams are needed.
    fn post(&mut self, now: Mono, plugin: usize, data: &str) {
        let Some(plan) = self.schedule.plan(plugin) else { return };
        let parts = self.writer.parts(data, plan);
        let count = parts.len().min(64) as u8;
        for (place, part) in (1..=count).zip(parts) {
            let data: std::sync::Arc<str> = part.into();
            let part = (count > 1).then_some((place, count));
            for peer in &mut self.peers {
                peer.outbox.push(now, Body::Sample { plugin, data: data.clone(), part });
            }
        }
    }

    /// The number of a message: fits the 53 bits that every JSON reader keeps, and is never 0.
    fn draw_id(&mut self) -> u64 {
        (self.prng.next_u64() >> 11) | 1
    }

    fn one_off(&mut self, now: Mono, id: u64, what: &OneOff) {
        match what {
            OneOff::Text(text) => self.tell(now, id, Kind::Text, text),
            OneOff::Boot => self.tell(now, id, Kind::Boot, ""),
            OneOff::Maintenance { seconds, reason } => self.maintain(now, id, *seconds, reason),
            OneOff::Job { plugin, data } => self.report_job(now, id, plugin, data),
        }
    }

    /// A sample of something that is not in the schedule, kept until it is acknowledged.
    fn report_job(&mut self, now: Mono, id: u64, plugin: &str, data: &str) {
        let plan = letter::plan_of_a_job(plugin);
        let parts = self.writer.parts(data, &plan);
        let count = parts.len().min(64) as u8;
        for (place, part) in (1..=count).zip(parts) {
            let data: std::sync::Arc<str> = part.into();
            let part = (count > 1).then_some((place, count));
            for peer in &mut self.peers {
                let (plugin, data) = (plan.name.clone(), data.clone());
                peer.outbox.push(now, Body::Job { id, plugin, data, part });
            }
        }
    }

    fn tell(&mut self, now: Mono, mid: u64, kind: Kind, words: &str) {
        let text: std::sync::Arc<str> = text::cut(words, limits::TEXT_MAX).into();
        for peer in &mut self.peers {
            peer.outbox.push(now, Body::Message { mid, kind, text: text.clone() });
        }
    }

    fn stop(&mut self, now: Mono) {
        if self.stopping.is_some() {
            return;
        }
        self.stopping = Some(now + retry::GOODBYE);
        self.schedule.stop();
        if self.boot {
            let mid = self.draw_id();
            self.tell(now, mid, Kind::Shutdown, "");
        }
        self.peers.iter_mut().for_each(|peer| peer.stop(now));
    }

    /// Does what is due, in this order: plugins, heartbeats, names, items, the end.
    fn advance(&mut self, now: Mono) {
        if self.exited {
            return;
        }
        self.quiet = self.quiet.filter(|until| *until > now);
        self.collect(now);
        self.look_for_entropy(now);
        for server in 0..self.peers.len() {
            self.tend(now, server);
            self.beat(now, server);
            if self.peers[server].resolve_due(now) {
                self.look_up(now, server);
                self.beat(now, server);
            }
            self.deliver(now, server);
            self.tend(now, server);
        }
        if self.stopping.is_some_and(|until| until <= now || !self.goodbye_open()) {
            self.exited = true;
            self.effects.push_back(Effect::Exit);
        }
    }

    fn look_up(&mut self, now: Mono, server: usize) {
        match self.peers[server].literal() {
            Some(address) => self.resolved(now, server, &[address]),
            None => self.effects.push_back(Effect::Resolve { server }),
        }
    }

    fn beat(&mut self, now: Mono, server: usize) {
        while let Some((place, due)) =
            self.peers[server].beat_due(now, self.interval, &mut self.prng)
        {
            let Peer { links, session, .. } = &mut self.peers[server];
            let link = &mut links[place];
            match due {
                Due::Nothing => {}
                Due::Beat { attempt, rtt } => {
                    let voice = peer::voice(now, link, session.as_mut(), None);
                    let bytes = self.writer.heartbeat(now, voice, attempt, rtt);
                    self.effects.push_back(Effect::Send { link: link.id, bytes });
                }
                Due::Failed => self.link_failed(now, server, place),
            }
        }
    }

    fn link_failed(&mut self, now: Mono, server: usize, place: usize) {
        let peer = &mut self.peers[server];
        let was_answering = peer.links[place].answering;
        peer.links[place].failed();
        if was_answering {
            let address = peer.links[place].address;
            log::warn!("no answer from {} address={address}", peer.target);
        }
        peer.after_failure(now, place, &mut self.effects);
    }

    fn deliver(&mut self, now: Mono, server: usize) {
        let Peer { links, outbox, session, .. } = &mut self.peers[server];
        if links.is_empty() || session.as_ref().is_some_and(Session::greets) {
            return;
        }
        let answering = links.iter().any(|l| l.answering);
        while let Some(item) = outbox.take_due(now, answering) {
            let Some(link) = peer::pick(links, item.tries - 1) else { return };
            let voice = peer::voice(now, link, session.as_mut(), Some(item.id));
            if let Some(bytes) = self.writer.item(now, voice, item, &self.schedule) {
                self.effects.push_back(Effect::Send { link: link.id, bytes });
                if matches!(item.body, Body::Sample { .. }) {
                    self.quiet = Some(now + retry::QUIET);
                }
            }
        }
    }

    fn collect(&mut self, now: Mono) {
        loop {
            match self.schedule.tick(now, &mut self.prng) {
                schedule::Due::Nothing => return,
                schedule::Due::Collect(plugin) => {
                    self.effects.push_back(Effect::Collect { plugin });
                }
                schedule::Due::Hung(plugin) => {
                    let plan = self.schedule.plan(plugin);
                    let limit = plan.map_or(0, |plan| plan.timeout.as_secs());
                    let name = plan.map(|plan| plan.name.clone()).unwrap_or_default();
                    log::warn!("plugin {name} timed out after {limit} s");
                    let reason = format!("timed out after {limit} s");
                    self.post(now, plugin, &letter::error_data(&reason));
                    self.effects.push_back(Effect::Hung { plugin });
                }
            }
        }
    }

    /// Whether a message waits that some server can still be sent.
    fn goodbye_open(&self) -> bool {
        self.peers.iter().any(|peer| peer.outbox.has_message() && !peer.links.is_empty())
    }

    fn find(&self, id: LinkId) -> Option<(usize, usize)> {
        let mut peers = self.peers.iter().enumerate();
        peers.find_map(|(server, peer)| peer.find(id).map(|place| (server, place)))
    }
}
