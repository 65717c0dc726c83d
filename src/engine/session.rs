//! One key's session with the agent that holds it (PROTOCOL C4), and where that agent was proven to be (THREATS U12).
//!
//! Owns generations, replay windows and the numbers of what the server sends. Never encodes, never decides about
//! a host.

use super::Path;
use super::admit::Bucket;
use super::view::{Family, LastUse};
use crate::time::{Duration, Mono};
use crate::wire::seal::token;
use crate::wire::{Header, Key, KeyId, SealKind, SessionKey, Window};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

/// Offers of a session: a second, and in a burst.
const WELCOMES: usize = 10;
/// More new sessions than this within the time below, and two agents have the key (THREATS U13).
const SWITCHES_MAX: usize = 4;
const SWITCHES_WITHIN: Duration = Duration::from_secs(600);
/// Something that anybody can cause is told of once within this.
const TELL_EVERY: Duration = Duration::from_secs(600);
/// Of what was sent last it is known where to: an agent acknowledges one of these.
const SENT_KEPT: usize = 8;

/// What a datagram means to the session of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Taken, for the first time.
    Fresh {
        /// It began this session: what came before is over.
        begins: bool,
        /// None with a higher number came before it.
        newest: bool,
    },
    /// Taken before, or too old to tell.
    Replayed,
    /// Of no session that there is: offer one.
    Stale,
    /// No agent of ours says so.
    Bad,
}

/// The session that is there.
#[derive(Clone, Debug)]
struct Current {
    key: SessionKey,
    window: Window,
}

/// The address that a host acknowledged from once.
#[derive(Clone, Copy, Debug)]
struct Proof {
    address: IpAddr,
    at: Mono,
}

#[derive(Clone, Debug)]
pub struct Session {
    pub key_id: KeyId,
    pub host: Arc<str>,
    /// Unix seconds.
    pub created: f64,
    pub used: Arc<LastUse>,
    generation: u64,
    current: Option<Current>,
    sent: u64,
    /// The way of the newest datagram: what is no answer goes there.
    path: Option<Path>,
    welcomes: Bucket,
    switches: VecDeque<Mono>,
    clones_told: Option<Mono>,
    bad_told: Option<Mono>,
    sent_to: [Option<(u64, IpAddr)>; SENT_KEPT],
    proofs: [Option<Proof>; 2],
}

impl Session {
    pub fn new(key_id: KeyId, host: Arc<str>, created: f64, now: Mono) -> Session {
        Session {
            key_id,
            host,
            created,
            used: Arc::new(LastUse::new(None)),
            generation: 0,
            current: None,
            sent: 0,
            path: None,
            welcomes: Bucket::full(WELCOMES, now),
            switches: VecDeque::new(),
            clones_told: None,
            bad_told: None,
            sent_to: [None; SENT_KEPT],
            proofs: [None; 2],
        }
    }

    /// Judges a datagram whose tag was right by `key`, and takes it where it is fresh.
    pub fn judge(&mut self, secret: &[u8; 32], key: &Key, header: &Header, now: Mono) -> Verdict {
        match header.kind {
            SealKind::Hello if header.sid == 0 => return Verdict::Stale,
            SealKind::Data => {}
            _ => return Verdict::Bad,
        }
        if let Some(current) = &mut self.current
            && (current.key.aid(), current.key.sid()) == (header.aid, header.sid)
        {
            let newest = header.seq > current.window.top();
            let fresh = current.window.take(header.seq);
            return if fresh {
                Verdict::Fresh { begins: false, newest }
            } else {
                Verdict::Replayed
            };
        }
        if header.seq == 0 || header.sid != self.offer(secret, header.aid) {
            return Verdict::Stale;
        }
        // The only place where a session changes.
        self.generation += 1;
        let window = Window::starting_with(header.seq);
        let key = SessionKey::derive(key, header.sid, header.aid);
        self.current = Some(Current { key, window });
        self.sent = 0;
        self.sent_to = [None; SENT_KEPT];
        self.proofs = [None; 2];
        self.switches.push_back(now);
        Verdict::Fresh { begins: true, newest: true }
    }

    /// The token of the session that would come next for this incarnation.
    fn offer(&self, secret: &[u8; 32], aid: u64) -> u64 {
        token(secret, self.key_id, aid, self.generation + 1)
    }

    /// The header of an offer; `None` where there were too many. Nothing is remembered of it, and the same
    /// request always gets the same bytes.
    pub fn welcome(&mut self, secret: &[u8; 32], asked: &Header, now: Mono) -> Option<Header> {
        if !self.welcomes.take(now, WELCOMES, WELCOMES) {
            return None;
        }
        let sid = self.offer(secret, asked.aid);
        Some(Header { sid, kind: SealKind::Welcome, deflated: false, ..*asked })
    }

    /// The header of the next thing to send along `path`, and what it is sealed with; `None` without a session.
    pub fn answer(&mut self, path: Path) -> Option<(Header, &SessionKey)> {
        let key = &self.current.as_ref()?.key;
        self.sent += 1;
        let to = path.from.ip().to_canonical();
        self.sent_to[self.sent as usize % SENT_KEPT] = Some((self.sent, to));
        let (sid, aid, kind) = (key.sid(), key.aid(), SealKind::Answer);
        let header =
            Header { key_id: self.key_id, sid, aid, kind, seq: self.sent, deflated: false };
        Some((header, key))
    }

    /// Notes the way of the newest datagram.
    pub fn follow(&mut self, path: Path) {
        self.path = Some(path);
    }

    /// Where the agent was last, while there is a session.
    pub fn path(&self) -> Option<Path> {
        self.path.filter(|_| self.current.is_some())
    }

    /// The agent says that it heard number `ack`, in a datagram from `address`. True where that proves the
    /// address: what was sent to it arrived, twice, with an interval between.
    pub fn prove(&mut self, address: IpAddr, ack: u64, interval: Duration, now: Mono) -> bool {
        let address = address.to_canonical();
        if !self.sent_to.contains(&Some((ack, address))) {
            return false;
        }
        match &mut self.proofs[Family::of(address) as usize] {
            Some(proof) if proof.address == address => now.since(proof.at) >= interval,
            proof => {
                *proof = Some(Proof { address, at: now });
                false
            }
        }
    }

    /// Whether it is time to say that two agents share the key.
    pub fn is_cloned(&mut self, now: Mono) -> bool {
        while self.switches.front().is_some_and(|at| now.since(*at) > SWITCHES_WITHIN) {
            self.switches.pop_front();
        }
        self.switches.len() > SWITCHES_MAX && is_due(&mut self.clones_told, now)
    }

    /// Whether it is time to say that somebody else uses the key's id.
    pub fn may_tell_bad_seal(&mut self, now: Mono) -> bool {
        is_due(&mut self.bad_told, now)
    }
}

/// True once in [`TELL_EVERY`].
pub fn is_due(told: &mut Option<Mono>, now: Mono) -> bool {
    let due = told.is_none_or(|at| now.since(at) >= TELL_EVERY);
    if due {
        *told = Some(now);
    }
    due
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: [u8; 32] = [0x5a; 32];

    fn key() -> Key {
        Key::new(KeyId([0xa0; 8]), [7; 32])
    }

    fn session() -> Session {
        Session::new(KeyId([0xa0; 8]), "web1".into(), 0.0, Mono::ZERO)
    }

    fn header(kind: SealKind, sid: u64, aid: u64, seq: u64) -> Header {
        Header { key_id: KeyId([0xa0; 8]), sid, aid, kind, seq, deflated: false }
    }

    fn at(secs: u64) -> Mono {
        Mono::from_secs(secs)
    }

    fn path(from: &str) -> Path {
        Path { from: from.parse().unwrap(), to: None }
    }

    /// Greets and sends one datagram; the session's token.
    fn begin(session: &mut Session, aid: u64, now: Mono) -> u64 {
        let hello = header(SealKind::Hello, 0, aid, 1);
        assert_eq!(session.judge(&SECRET, &key(), &hello, now), Verdict::Stale);
        let sid = session.welcome(&SECRET, &hello, now).unwrap().sid;
        let data = header(SealKind::Data, sid, aid, 2);
        let fresh = Verdict::Fresh { begins: true, newest: true };
        assert_eq!(session.judge(&SECRET, &key(), &data, now), fresh);
        sid
    }

    #[test]
    fn u2_replays_are_known_and_old_sessions_are_dead() {
        let mut session = session();
        let old = begin(&mut session, 7, at(1));
        let data = |seq| header(SealKind::Data, old, 7, seq);
        assert_eq!(session.judge(&SECRET, &key(), &data(2), at(1)), Verdict::Replayed);
        let fresh = |newest| Verdict::Fresh { begins: false, newest };
        assert_eq!(session.judge(&SECRET, &key(), &data(80), at(1)), fresh(true));
        assert_eq!(session.judge(&SECRET, &key(), &data(17), at(1)), fresh(false));
        assert_eq!(session.judge(&SECRET, &key(), &data(16), at(1)), Verdict::Replayed);
        // The agent reboots: what its old incarnation said is worth an offer, and no more.
        begin(&mut session, 8, at(2));
        assert_eq!(session.judge(&SECRET, &key(), &data(81), at(3)), Verdict::Stale);
        let revived = session.welcome(&SECRET, &data(81), at(3)).unwrap();
        assert_ne!(revived.sid, old);
        // The server restarts: nothing from before is taken.
        let mut restarted = super::tests::session();
        assert_eq!(restarted.judge(&[1; 32], &key(), &data(82), at(4)), Verdict::Stale);
    }

    #[test]
    fn u2_replayed_hello_changes_nothing_and_its_offer_is_the_same() {
        let mut session = session();
        let hello = header(SealKind::Hello, 0, 7, 1);
        let first = session.welcome(&SECRET, &hello, at(1));
        assert_eq!(session.welcome(&SECRET, &hello, at(1)), first);
        assert_eq!(first.unwrap().seq, 1);
        let sid = begin(&mut session, 7, at(1));
        for _ in 0..100 {
            assert_eq!(session.judge(&SECRET, &key(), &hello, at(1)), Verdict::Stale);
        }
        let next = header(SealKind::Data, sid, 7, 3);
        let fresh = Verdict::Fresh { begins: false, newest: true };
        assert_eq!(session.judge(&SECRET, &key(), &next, at(1)), fresh);
        let odd = header(SealKind::Hello, 5, 7, 1);
        assert_eq!(session.judge(&SECRET, &key(), &odd, at(1)), Verdict::Bad);
    }

    #[test]
    fn c4_offers_are_ten_a_second() {
        let mut session = session();
        let hello = header(SealKind::Hello, 0, 7, 1);
        let mut offered =
            |now| (0..50).filter(|_| session.welcome(&SECRET, &hello, now).is_some()).count();
        assert_eq!((offered(at(1)), offered(at(1)), offered(at(2))), (10, 0, 10));
    }

    #[test]
    fn u12_address_is_confirmed_by_two_round_trips_an_interval_apart() {
        let interval = Duration::from_secs(30);
        let (here, there) = (path("192.0.2.1:9"), path("198.51.100.9:9"));
        let mut session = session();
        begin(&mut session, 7, at(0));
        let mut ack = |path: Path, heard: Path, now: u64| {
            let seq = session.answer(heard).unwrap().0.seq;
            session.prove(path.from.ip(), seq, interval, at(now))
        };
        assert!(!ack(here, here, 0));
        assert!(!ack(here, here, 29));
        assert!(ack(here, here, 30));
        // A copied datagram: what was sent there never came to the agent.
        for now in [31, 61, 91, 121] {
            assert!(!ack(there, here, now), "{now}");
        }
        assert!(ack(here, here, 122));
        assert!(!session.prove(here.from.ip(), 99, interval, at(500)));
    }

    #[test]
    fn u13_more_than_four_new_sessions_in_ten_minutes_are_told_once() {
        let mut session = session();
        let mut told = Vec::new();
        for n in 0..12 {
            begin(&mut session, n, at(n * 20));
            told.push(session.is_cloned(at(n * 20)));
        }
        assert_eq!(told.iter().position(|told| *told), Some(4));
        assert_eq!(told.iter().filter(|told| **told).count(), 1);
        assert!(!session.is_cloned(at(5000)));
    }
}
