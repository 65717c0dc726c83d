//! One server: its name, the links to its addresses, and what it has not acknowledged yet.

use super::api::{Effect, LinkId, ServerView, Target};
use super::letter::Voice;
use super::link::{Due, Link};
use super::outbox::Outbox;
use super::session::Session;
use crate::prng::Prng;
use crate::time::{Duration, Mono};
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

/// The wait after a name did not resolve: 1, 2, 4 .. s, at most this.
const RESOLVE_GAP_MAX: Duration = Duration::from_secs(60);

pub(super) struct Peer {
    pub target: Target,
    pub links: Vec<Link>,
    pub outbox: Outbox,
    /// Of a server with a key.
    pub session: Option<Session>,
    /// `None`: a lookup is under way, or none is needed.
    resolve_at: Option<Mono>,
    resolve_failures: u8,
    /// An IPv6 address that was dropped: not tried again beside an IPv4 one.
    hopeless: Option<SocketAddr>,
    /// Info plugins were asked for at this time.
    info_asked: Option<Mono>,
}

impl Peer {
    pub fn new(target: Target, session: Option<Session>, spool_max: usize, now: Mono) -> Peer {
        Peer {
            target,
            links: Vec::new(),
            outbox: Outbox::new(spool_max),
            session,
            resolve_at: Some(now),
            resolve_failures: 0,
            hopeless: None,
            info_asked: None,
        }
    }

    pub fn is_answering(&self) -> bool {
        self.links.iter().any(|l| l.answering)
    }

    pub fn resolve_due(&mut self, now: Mono) -> bool {
        self.resolve_at.take_if(|at| *at <= now).is_some()
    }

    pub fn stop_resolving(&mut self) {
        self.resolve_at = None;
    }

    /// The target's own address where its name is one: nothing to look up.
    pub fn literal(&self) -> Option<SocketAddr> {
        let address: IpAddr = self.target.host.parse().ok()?;
        Some(SocketAddr::new(address, self.target.port))
    }

    /// Takes the first address of each wanted family; keeps the links that are right already.
    /// `new_link` makes the ones that are missing. A link that stays, but is dead, gets a new
    /// socket,
    /// because the machine's own address may have changed.
    pub fn resolved(
        &mut self,
        now: Mono,
        addresses: &[SocketAddr],
        effects: &mut VecDeque<Effect>,
        mut new_link: impl FnMut(SocketAddr) -> Link,
    ) {
        let pick = |wanted: bool, v6: bool| {
            addresses.iter().copied().find(|a| wanted && a.is_ipv6() == v6)
        };
        let v4 = pick(self.target.ipv4, false);
        let v6 = pick(self.target.ipv6, true).filter(|a| v4.is_none() || self.hopeless != Some(*a));
        if v4.is_none() && v6.is_none() {
            self.not_resolved(now);
            return;
        }
        self.resolve_failures = 0;
        self.links.retain(|link| {
            let keep = Some(link.address) == v4 || Some(link.address) == v6;
            if !keep {
                effects.push_back(Effect::Close { link: link.id });
            }
            keep
        });
        for address in [v4, v6].into_iter().flatten() {
            let at = match self.links.iter().position(|l| l.address == address) {
                Some(at) if !self.links[at].is_dead() => continue,
                Some(at) => at,
                None => {
                    self.links.push(new_link(address));
                    self.links.len() - 1
                }
            };
            effects.push_back(Effect::Open { link: self.links[at].id, address });
        }
    }

    /// Keeps the links there are; asks again later.
    fn not_resolved(&mut self, now: Mono) {
        let gap = Duration::from_secs(1 << self.resolve_failures.min(6)).min(RESOLVE_GAP_MAX);
        if self.resolve_failures == 0 {
            log::warn!("no address of server {}, trying again", self.target);
        }
        self.resolve_failures = self.resolve_failures.saturating_add(1);
        self.resolve_at = Some(now + gap);
    }

    /// What follows from a failure of one link: a hopeless one goes, and a server none of whose
    /// links
    /// works is looked up anew at every third failure.
    pub fn after_failure(&mut self, now: Mono, place: usize, effects: &mut VecDeque<Effect>) {
        let Some(link) = self.links.get(place) else { return };
        let lookup = link.failed_thrice() && self.links.iter().all(Link::is_dead);
        if link.is_hopeless() {
            let dropped = self.links.remove(place);
            log::info!("no answer over ipv6, dropped address={}", dropped.address);
            self.hopeless = Some(dropped.address);
            effects.push_back(Effect::Close { link: dropped.id });
        }
        if lookup && self.resolve_at.is_none() {
            let wait = if self.links.is_empty() { RESOLVE_GAP_MAX } else { Duration::ZERO };
            self.resolve_at = Some(now + wait);
        }
    }

    pub fn find(&self, id: LinkId) -> Option<usize> {
        self.links.iter().position(|l| l.id == id)
    }

    pub fn timeout(&self) -> Option<Mono> {
        let links = self.links.iter().filter_map(Link::timeout).min();
        let greets = self.session.as_ref().filter(|session| session.greets());
        let outbox = match (self.links.is_empty(), greets) {
            (true, _) => None,
            (false, Some(session)) => self.outbox.has_message().then(|| session.greeting_due()),
            (false, None) => self.outbox.timeout(self.is_answering()),
        };
        [links, outbox, self.resolve_at].into_iter().flatten().min()
    }

    /// Whether info plugins may be asked for: not twice within ten seconds.
    pub fn ask_info(&mut self, now: Mono) -> bool {
        let gap = Duration::from_secs(10);
        let may = self.info_asked.is_none_or(|at| now.since(at) >= gap);
        if may {
            self.info_asked = Some(now);
        }
        may
    }

    pub fn stop(&mut self, now: Mono) {
        self.stop_resolving();
        self.links.iter_mut().for_each(Link::stop_beats);
        self.outbox.stop(now);
    }

    pub fn view(&self) -> ServerView {
        ServerView {
            target: self.target.clone(),
            links: self.links.iter().map(Link::view).collect(),
            queued: self.outbox.len(),
            lost: self.outbox.lost,
        }
    }

    /// One heartbeat decision of one link; `None` when nothing is due.
    pub fn beat_due(
        &mut self,
        now: Mono,
        interval: Duration,
        prng: &mut Prng,
    ) -> Option<(usize, Due)> {
        self.links.iter_mut().enumerate().find_map(|(place, link)| {
            let due = link.tick(now, interval, prng);
            (due != Due::Nothing).then_some((place, due))
        })
    }
}

/// The link to send an item over: one that answers where there is one, else each in turn.
pub(super) fn pick(links: &mut [Link], attempt: u8) -> Option<&mut Link> {
    let answering = links.iter().any(|l| l.answering);
    let count = links.iter().filter(|l| l.answering == answering).count();
    let nth = usize::from(attempt).checked_rem(count)?;
    links.iter_mut().filter(|l| l.answering == answering).nth(nth)
}

/// The next number over this link, and how what has it is said.
pub(super) fn voice<'s>(
    now: Mono,
    link: &mut Link,
    session: Option<&'s mut Session>,
    item: Option<u64>,
) -> Voice<'s> {
    let Some(session) = session else { return Voice::Plain(link.next_seq(now, item)) };
    let seq = session.next_seq(now);
    link.note_sent(now, seq, item);
    // With every datagram goes what the server does not know yet of its commands.
    session.jobs.hurry(now);
    Voice::Sealed { session, seq, heard: link.heard() }
}
