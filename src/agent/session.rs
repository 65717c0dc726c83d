//! The agent's side of a sealed session (PROTOCOL C5, C6): its incarnation, its numbers, what of the
//! server's it has heard.
//!
//! Only a server with a key has one, and commands live in it: without a key there is no way to
//! them. Never reads a clock, never draws randomness: incarnations are handed in.

use super::job::Jobs;
use crate::time::{Duration, Mono};
use crate::wire::seal::{self, PADDED, SEQ_MAX};
use crate::wire::{self, Header, Key, Order, SealKind, Sealed, SessionKey, Window};
use std::collections::VecDeque;

/// Numbers sent and not answered that are remembered; a WELCOME must name one of them.
const OUT_MAX: usize = 16;
/// So many sends without an answer, over so long, and the session is given up.
const UNANSWERED_MAX: u32 = 4;
const UNANSWERED_FOR: Duration = Duration::from_secs(10);
/// A greeting that is not a heartbeat's own is sent this often.
const GREET_GAP: Duration = Duration::from_secs(1);

pub(super) struct Session {
    key: Key,
    aid: u64,
    /// The incarnation was drawn before the machine had randomness: it may come again, so no
    /// command is taken.
    weak: bool,
    current: Option<SessionKey>,
    /// There was a session before, in this process.
    known: bool,
    seq: u64,
    out: VecDeque<u64>,
    /// Sends since the last answer, and when the first of them was.
    unanswered: u32,
    since: Mono,
    greeted: Option<Mono>,
    heard: Window,
    pub jobs: Jobs,
    plain: Vec<u8>,
}

/// What a datagram of the server's meant.
#[derive(Debug)]
pub(super) enum Heard {
    /// It is not for this agent, not new, or not the server's.
    Nothing,
    /// A session was offered and taken. `again`: in place of one that there was before.
    Session { again: bool },
    /// Something new in this session, and its number.
    Order { order: Sealed<Order>, seq: u64 },
}

impl Session {
    pub fn new(key: Key, aid: u64, weak: bool) -> Session {
        Session {
            key,
            aid,
            weak,
            current: None,
            known: false,
            seq: 0,
            out: VecDeque::new(),
            unanswered: 0,
            since: Mono::ZERO,
            greeted: None,
            heard: Window::default(),
            jobs: Jobs::default(),
            plain: Vec::new(),
        }
    }

    pub fn is_weak(&self) -> bool {
        self.weak
    }

    /// No session yet: whatever is sent is a greeting.
    pub fn greets(&self) -> bool {
        self.current.is_none()
    }

    /// Whether the session is to be given up: the server does not answer what it should know. While
    /// there is none, the incarnation is kept, however long the outage.
    pub fn is_lost(&self, now: Mono) -> bool {
        let long = now.since(self.since) >= UNANSWERED_FOR;
        self.current.is_some() && self.unanswered >= UNANSWERED_MAX && long
    }

    /// Begins a new incarnation. What was accepted and not run yet belongs to the old one.
    pub fn begin_anew(&mut self, aid: u64, weak: bool) {
        (self.aid, self.weak) = (aid, weak);
        self.current = None;
        self.out.clear();
        self.unanswered = 0;
        self.greeted = None;
        self.jobs.forget_unconfirmed();
    }

    /// The next number, counted as sent.
    pub fn next_seq(&mut self, now: Mono) -> u64 {
        self.seq = (self.seq + 1).min(SEQ_MAX);
        if self.out.len() >= OUT_MAX {
            self.out.pop_front();
        }
        self.out.push_back(self.seq);
        if self.unanswered == 0 {
            self.since = now;
        }
        self.unanswered = self.unanswered.saturating_add(1);
        self.seq
    }

    /// The next number for what `tell` makes of it, where it makes something.
    pub fn next_seq_if(
        &mut self,
        now: Mono,
        tell: impl FnOnce(&mut Jobs, u64) -> bool,
    ) -> Option<u64> {
        let number = (self.seq + 1).min(SEQ_MAX);
        tell(&mut self.jobs, number).then(|| self.next_seq(now))
    }

    /// When a greeting without a heartbeat is due.
    pub fn greeting_due(&self) -> Mono {
        self.greeted.map_or(Mono::ZERO, |at| at + GREET_GAP)
    }

    /// The greeting with this number.
    pub fn greeting(&mut self, now: Mono, seq: u64) -> Vec<u8> {
        self.greeted = Some(now);
        let mut bytes = Vec::new();
        let header = self.header(SealKind::Hello, 0, seq, false);
        seal::seal(&self.key, header, b"", &mut bytes);
        bytes
    }

    /// A message with this number; a greeting where there is no session.
    pub fn seal(&mut self, now: Mono, seq: u64, json: &str) -> Vec<u8> {
        let Some(session) = &self.current else { return self.greeting(now, seq) };
        // Packed text is longer than the least already.
        let deflated = wire::pack(json, &mut self.plain);
        if self.plain.len() < PADDED {
            self.plain.resize(PADDED, b' ');
        }
        let mut bytes = Vec::with_capacity(self.plain.len() + seal::OVERHEAD);
        let header = self.header(SealKind::Data, session.sid(), seq, deflated);
        session.seal(header, &self.plain, &mut bytes);
        bytes
    }

    fn header(&self, kind: SealKind, sid: u64, seq: u64, deflated: bool) -> Header {
        Header { key_id: self.key.id(), sid, aid: self.aid, kind, seq, deflated }
    }

    fn sid(&self) -> Option<u64> {
        self.current.as_ref().map(SessionKey::sid)
    }

    /// Takes what came from the server.
    pub fn hear(&mut self, datagram: &[u8]) -> Heard {
        let Ok(header) = Header::parse(datagram) else { return Heard::Nothing };
        if header.key_id != self.key.id() || header.aid != self.aid {
            return Heard::Nothing;
        }
        match header.kind {
            SealKind::Welcome => self.welcomed(&header, datagram),
            SealKind::Answer => self.ordered(&header, datagram),
            SealKind::Data | SealKind::Hello => Heard::Nothing,
        }
    }

    fn welcomed(&mut self, header: &Header, datagram: &[u8]) -> Heard {
        let asked = self.out.contains(&header.seq);
        let empty = datagram.len() == seal::OVERHEAD && !header.deflated;
        let another = header.sid != 0 && Some(header.sid) != self.sid();
        if !(asked && empty && another) {
            return Heard::Nothing;
        }
        let offered = SessionKey::derive(&self.key, header.sid, header.aid);
        if offered.open(datagram, &mut self.plain).is_err() {
            return Heard::Nothing;
        }
        // All that was sent before is void: a late offer must not lead back (C9).
        self.out.clear();
        self.unanswered = 0;
        self.heard = Window::default();
        self.current = Some(offered);
        self.jobs.forget_unconfirmed();
        Heard::Session { again: std::mem::replace(&mut self.known, true) }
    }

    fn ordered(&mut self, header: &Header, datagram: &[u8]) -> Heard {
        let Some(session) = self.current.as_ref().filter(|s| s.sid() == header.sid) else {
            return Heard::Nothing;
        };
        let order = match wire::open_order(session, header, datagram, &mut self.plain) {
            Ok(order) => order,
            Err(reason) => {
                log::debug!("not an order: {reason}");
                return Heard::Nothing;
            }
        };
        if !self.heard.take(header.seq) {
            return Heard::Nothing;
        }
        self.unanswered = 0;
        Heard::Order { order, seq: header.seq }
    }

    /// The server has acknowledged this number.
    pub fn acknowledged(&mut self, seq: u64) {
        self.out.retain(|sent| *sent != seq);
        self.jobs.acknowledged(seq);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::KeyId;

    fn key() -> Key {
        Key::new(KeyId([1; 8]), [2; 32])
    }

    fn at(secs: u64) -> Mono {
        Mono::from_secs(secs)
    }

    /// What a server that knows the key would send.
    fn server(kind: SealKind, sid: u64, aid: u64, seq: u64, text: &str) -> Vec<u8> {
        let header = Header { key_id: key().id(), sid, aid, kind, seq, deflated: false };
        let mut bytes = Vec::new();
        seal::seal(&key(), header, text.as_bytes(), &mut bytes);
        bytes
    }

    const ACK: &str = r#"{"ID":"ACK","ack":2}"#;

    #[test]
    fn c5_session_is_taken_for_what_was_asked_alone() {
        let mut session = Session::new(key(), 7, false);
        let seq = session.next_seq(at(0));
        let hello = session.seal(at(0), seq, "{}");
        assert_eq!((hello.len(), seq), (52, 1));
        let welcome = |sid, aid, seq| server(SealKind::Welcome, sid, aid, seq, "");
        assert!(matches!(session.hear(&welcome(9, 7, 2)), Heard::Nothing), "no such number");
        assert!(matches!(session.hear(&welcome(9, 8, 1)), Heard::Nothing), "another incarnation");
        assert!(matches!(session.hear(&welcome(0, 7, 1)), Heard::Nothing));
        let full = server(SealKind::Welcome, 9, 7, 1, "{}");
        assert!(matches!(session.hear(&full), Heard::Nothing));
        let mut forged = welcome(9, 7, 1);
        forged[51] ^= 1;
        assert!(matches!(session.hear(&forged), Heard::Nothing));
        assert!(matches!(session.hear(&welcome(9, 7, 1)), Heard::Session { again: false }));
        // Once taken, the same number leads nowhere else.
        assert!(matches!(session.hear(&welcome(10, 7, 1)), Heard::Nothing));
        let seq = session.next_seq(at(1));
        let data = session.seal(at(1), seq, "{}");
        assert_eq!(data.len(), 52 + PADDED);
        assert_eq!(Header::parse(&data).map(|h| (h.kind, h.sid)), Ok((SealKind::Data, 9)));
    }

    #[test]
    fn x4_server_packets_are_taken_once_and_in_their_session_alone() {
        let mut session = Session::new(key(), 7, false);
        session.next_seq(at(0));
        session.hear(&server(SealKind::Welcome, 9, 7, 1, ""));
        let answer = |sid, seq| server(SealKind::Answer, sid, 7, seq, ACK);
        assert!(matches!(session.hear(&answer(8, 1)), Heard::Nothing));
        assert!(matches!(session.hear(&answer(9, 1)), Heard::Order { seq: 1, .. }));
        assert!(matches!(session.hear(&answer(9, 1)), Heard::Nothing));
        let data = server(SealKind::Data, 9, 7, 2, ACK);
        assert!(matches!(session.hear(&data), Heard::Nothing), "an agent's own");
        assert!(matches!(session.hear(ACK.as_bytes()), Heard::Nothing), "plain");
    }

    #[test]
    fn c5_four_unanswered_over_ten_seconds_lose_the_session() {
        let mut session = Session::new(key(), 7, false);
        for n in 0..20 {
            session.next_seq(at(n));
        }
        assert!(!session.is_lost(at(1000)), "an outage before a session keeps the incarnation");
        session.hear(&server(SealKind::Welcome, 9, 7, 20, ""));
        for n in 0..3 {
            session.next_seq(at(100 + n));
        }
        assert!(!session.is_lost(at(200)));
        session.next_seq(at(103));
        assert!(!session.is_lost(at(109)) && session.is_lost(at(110)));
        session.hear(&server(SealKind::Answer, 9, 7, 1, ACK));
        assert!(!session.is_lost(at(110)));
    }
}
