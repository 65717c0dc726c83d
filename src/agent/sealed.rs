//! What the agent does with a server that has a key: greets it, seals what it says, listens to what
//! it asks (PROTOCOL C5 to C7).

use super::job::{Ending, Work, tail};
use super::link::OTHER;
use super::outbox::Body;
use super::session::{Heard, Session};
use super::{Agent, Effect, LinkId, RanHow};
use crate::config::agent as config;
use crate::limits;
use crate::prng::Prng;
use crate::text;
use crate::time::{Duration, Mono};
use crate::wire::{Answered, Order, ResState, Sealed};
use std::collections::BTreeMap;

/// How often it is looked whether the machine has randomness by now.
const ENTROPY_EVERY: Duration = Duration::from_secs(10);

/// What an agent needs to speak sealed and to do what it is asked.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// What a server may have run, by name. It cannot widen that.
    pub commands: BTreeMap<String, config::Command>,
    /// Whether it may ask for an update.
    pub update: bool,
    /// Where incarnations come from: not the same in any two processes.
    pub seed: u64,
    /// The seed was drawn before the machine had randomness (C6).
    pub weak: bool,
}

/// The sealed side of the agent as a whole.
pub(super) struct Sealing {
    trust: Trust,
    aids: Prng,
    look_at: Option<Mono>,
}

impl Sealing {
    pub fn new(trust: Trust, now: Mono) -> Sealing {
        let look_at = trust.weak.then_some(now + ENTROPY_EVERY);
        Sealing { aids: Prng::new(trust.seed), trust, look_at }
    }

    pub fn session(&mut self, key: crate::wire::Key) -> Session {
        Session::new(key, self.next_aid(), self.trust.weak)
    }

    fn next_aid(&mut self) -> u64 {
        self.aids.next_u64()
    }
}

impl Agent {
    /// When the sealed side of a server has something to do.
    pub(super) fn sealed_timeout(&self) -> Option<Mono> {
        let sessions = self.peers.iter().filter(|peer| !peer.links.is_empty());
        let jobs = sessions.filter_map(|peer| {
            let session = peer.session.as_ref().filter(|session| !session.greets())?;
            session.jobs.timeout()
        });
        let look_at =
            self.sealing.look_at.filter(|_| self.peers.iter().any(|p| p.session.is_some()));
        jobs.chain(look_at).min()
    }

    /// Asks the shell for randomness while there was none.
    pub(super) fn look_for_entropy(&mut self, now: Mono) {
        if self.sealing.look_at.is_some_and(|at| at <= now) {
            self.sealing.look_at = Some(now + ENTROPY_EVERY);
            self.effects.push_back(Effect::Entropy);
        }
    }

    /// There is randomness now: every session begins anew with an incarnation that cannot come again.
    pub(super) fn entropy(&mut self, now: Mono, seed: u64) {
        if self.sealing.look_at.take().is_none() {
            return;
        }
        log::info!("randomness is there, commands are taken from now on");
        self.sealing.trust.weak = false;
        self.sealing.aids = Prng::new(seed);
        for server in 0..self.peers.len() {
            self.begin_anew(now, server);
        }
    }

    fn begin_anew(&mut self, now: Mono, server: usize) {
        let (aid, weak) = (self.sealing.next_aid(), self.sealing.trust.weak);
        let peer = &mut self.peers[server];
        if let Some(session) = &mut peer.session {
            session.begin_anew(aid, weak);
            peer.links.iter_mut().for_each(|link| link.void(now, false));
        }
    }

    /// Keeps a server's session: gives up one that is lost, tells what came of commands, greets where
    /// nothing else does.
    pub(super) fn tend(&mut self, now: Mono, server: usize) {
        if self.peers[server].session.as_ref().is_some_and(|session| session.is_lost(now)) {
            log::info!("{} does not answer in this session", self.peers[server].target);
            self.begin_anew(now, server);
        }
        let peer = &mut self.peers[server];
        let Some(session) = &mut peer.session else { return };
        if session.greets() {
            let wanted = peer.outbox.has_message() && session.greeting_due() <= now;
            if let Some(link) = super::peer::pick(&mut peer.links, 0).filter(|_| wanted) {
                let seq = session.next_seq(now);
                link.note_sent(now, seq, Some(OTHER));
                let bytes = session.greeting(now, seq);
                self.effects.push_back(Effect::Send { link: link.id, bytes });
            }
            return;
        }
        session.jobs.tick(now);
        let mut json = String::new();
        while let Some(link) = super::peer::pick(&mut peer.links, 0) {
            let seq = session.next_seq_if(now, |jobs, seq| jobs.report(now, &mut json, seq));
            let Some(seq) = seq else { return };
            link.note_sent(now, seq, Some(OTHER));
            let bytes = session.seal(now, seq, &json);
            self.effects.push_back(Effect::Send { link: link.id, bytes });
        }
    }

    /// A datagram of a server that has a key. Anything plain of it is nothing.
    pub(super) fn sealed_datagram(&mut self, now: Mono, id: LinkId, bytes: &[u8]) {
        let Some((server, place)) = self.find(id) else { return };
        let peer = &mut self.peers[server];
        let Some(session) = &mut peer.session else { return };
        match session.hear(bytes) {
            Heard::Nothing => log::debug!("not for this session link={id}"),
            Heard::Session { again } => {
                log::debug!("session with {} address={}", peer.target, peer.links[place].address);
                // What was sent before is void: the newest heartbeat goes out at once, and all that
                // waits for an acknowledgement after it.
                peer.links.iter_mut().for_each(|link| link.void(now, true));
                peer.outbox.send_anew(now);
                if again && self.stopping.is_none() && peer.ask_info(now) {
                    self.schedule.again(now, |plugin| !peer.outbox.has_sample_of(plugin));
                }
            }
            Heard::Order { order, seq } => {
                peer.links[place].hear(seq);
                self.ordered(now, server, place, order);
            }
        }
    }

    /// The one way to commands: it takes what was opened with a key.
    fn ordered(&mut self, now: Mono, server: usize, place: usize, order: Sealed<Order>) {
        let Sealing { trust, .. } = &self.sealing;
        let Some(session) = &mut self.peers[server].session else { return };
        let weak = session.is_weak();
        match order.into_inner() {
            Order::Ack(answer) => self.answered(now, server, place, answer),
            Order::Cmd(_) | Order::Upd(_) if self.stopping.is_some() => {}
            Order::Cmd(cmd) => session.jobs.ask_command(now, cmd, &trust.commands, weak),
            Order::Upd(upd) => session.jobs.ask_update(now, upd, trust.update, weak),
        }
    }

    fn answered(&mut self, now: Mono, server: usize, place: usize, answer: Answered) {
        let Some(session) = &mut self.peers[server].session else { return };
        session.acknowledged(answer.ack);
        let work = answer.acc.and_then(|cid| Some((cid, session.jobs.confirmed(now, cid)?)));
        match work {
            Some((cid, Work::Run { argv, timeout })) => {
                log::info!("command {cid}: {}", argv.join(" "));
                self.effects.push_back(Effect::Run { server, cid, argv, timeout });
            }
            Some((cid, Work::Update(upd))) => {
                let (ver, sha256, size) = (upd.version, upd.sha256, upd.size);
                self.effects.push_back(Effect::Update { server, cid, ver, sha256, size });
            }
            None => {}
        }
        self.acknowledged(now, server, place, Some(answer.ack), answer.want_info);
    }

    /// A command has ended.
    pub(super) fn ran(&mut self, now: Mono, server: usize, cid: u64, how: RanHow<'_>) {
        let ending = match how {
            RanHow::Ended { code, output, millis } => Ending {
                state: ResState::Done,
                code: Some(code.clamp(-255, 255) as i16),
                output: tail(output).to_owned(),
                millis: Some(millis),
            },
            RanHow::Failed(why) => Ending {
                state: ResState::Failed,
                code: None,
                output: tail(why).to_owned(),
                millis: None,
            },
        };
        self.end_job(now, server, cid, ending);
    }

    pub(super) fn updated(
        &mut self,
        now: Mono,
        server: usize,
        cid: u64,
        result: Result<&str, &str>,
    ) {
        let (state, code, output) = match result {
            Ok(output) => (ResState::Done, Some(0), output),
            Err(output) => (ResState::Failed, None, output),
        };
        let output = tail(output).to_owned();
        self.end_job(now, server, cid, Ending { state, code, output, millis: None });
    }

    fn end_job(&mut self, now: Mono, server: usize, cid: u64, ending: Ending) {
        let session = self.peers.get_mut(server).and_then(|peer| peer.session.as_mut());
        if let Some(session) = session {
            session.jobs.ended(now, cid, ending);
        }
    }

    /// Tells every server with a key of this machine's own maintenance; 0 seconds end it.
    pub(super) fn maintain(&mut self, now: Mono, mid: u64, seconds: u32, reason: &str) {
        let text: std::sync::Arc<str> = text::cut(reason, limits::TEXT_MAX).into();
        for peer in self.peers.iter_mut().filter(|peer| peer.session.is_some()) {
            peer.outbox.push(now, Body::Maintenance { mid, seconds, text: text.clone() });
        }
    }
}
