//! The table of connections, their phases and their deadlines. Does no I/O beyond handing bytes to
//! a stream.

use super::ask::Ask;
use super::exchange::Exchange;
use super::peer;
use super::request::{Decoder, Stage};
use super::stream::{Stream, unblocked};
use heartbeat::time::{Duration, Mono};
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::net::IpAddr;

/// Where a connection came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Pages and API.
    Http,
    /// Live connections only.
    Ws,
    Control,
}

/// What a connection is waiting for.
#[derive(Debug)]
pub enum Phase {
    /// The peer's next request.
    Reading,
    /// A place in flight.
    Queued(Ask),
    /// The pool's answer, relayed as it comes.
    Asking(Exchange),
    /// The peer to take the rest of the answer.
    Writing { keep: bool },
    /// The peer to close: what it still sends is thrown away, so that it can read our last answer.
    Lingering { budget: usize },
}

#[derive(Debug)]
pub struct Conn {
    pub stream: Stream,
    pub kind: Kind,
    /// `None` on the control socket.
    pub address: Option<IpAddr>,
    pub decoder: Decoder,
    /// The decoder's stage that the deadline belongs to.
    pub stage: Stage,
    pub phase: Phase,
    pub out: Outgoing,
    /// As the last event or attempt said.
    pub readable: bool,
    pub writable: bool,
    /// The peer is gone; only the pool's answer is waited for, so that its place stays counted.
    pub gone: bool,
    pub served: usize,
    /// When it last began to wait, or took bytes.
    pub since: Mono,
    deadline: Mono,
}

impl Conn {
    pub fn new(stream: Stream, kind: Kind, address: Option<IpAddr>, now: Mono) -> Conn {
        Conn {
            stream,
            kind,
            address,
            decoder: Decoder::default(),
            stage: Stage::Idle,
            phase: Phase::Reading,
            out: Outgoing::default(),
            readable: true,
            writable: true,
            gone: false,
            served: 0,
            since: now,
            deadline: Mono::MAX,
        }
    }

    /// Hands what waits to the peer. Whether all of it went.
    pub fn flush(&mut self, now: Mono) -> io::Result<bool> {
        while self.writable && self.out.left() > 0 {
            let (stream, bytes) = (&mut self.stream, self.out.bytes());
            match unblocked(|| stream.write(bytes))? {
                Some(0) => return Err(io::ErrorKind::WriteZero.into()),
                Some(n) => {
                    self.out.advance(n);
                    self.since = now;
                }
                None => self.writable = false,
            }
        }
        if self.writable && self.stream.is_pending() {
            let stream = &mut self.stream;
            match unblocked(|| stream.flush().map(|()| 0))? {
                Some(_) => self.since = now,
                None => self.writable = false,
            }
        }
        Ok(self.out.left() == 0 && !self.stream.is_pending())
    }

    /// Whether closing it loses nothing that was asked for; a smaller rank is closed first.
    fn victim_rank(&self, now: Mono) -> Option<u8> {
        match self.phase {
            Phase::Lingering { .. } => Some(0),
            Phase::Reading => Some(1),
            Phase::Asking(_) | Phase::Writing { .. } => {
                let stalled = self.out.left() > 0 && now.since(self.since) >= STALLED;
                (stalled && !self.gone).then_some(2)
            }
            Phase::Queued(_) => None,
        }
    }
}

/// A peer that has not taken a byte for so long makes room for others.
const STALLED: Duration = Duration::from_secs(1);

/// Bytes on their way out.
#[derive(Debug, Default)]
pub struct Outgoing {
    bytes: Vec<u8>,
    at: usize,
}

impl Outgoing {
    pub fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    pub fn push(&mut self, bytes: &[u8]) {
        if self.at > 0 && self.at >= self.left() {
            self.bytes.drain(..self.at);
            self.at = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    pub fn advance(&mut self, n: usize) {
        self.at += n;
        if self.left() == 0 {
            self.clear();
        }
    }

    /// Frees the memory as well: an idle connection holds none.
    pub fn clear(&mut self) {
        *self = Outgoing::default();
    }
}

/// All connections by slot, and their deadlines in one order.
#[derive(Debug, Default)]
pub struct Table {
    slots: Vec<Option<Conn>>,
    free: Vec<usize>,
    deadlines: BTreeSet<(Mono, usize)>,
}

impl Table {
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub fn slots(&self) -> usize {
        self.slots.len()
    }

    pub fn insert(&mut self, conn: Conn) -> usize {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[slot] = Some(conn);
        slot
    }

    pub fn get_mut(&mut self, slot: usize) -> Option<&mut Conn> {
        self.slots.get_mut(slot)?.as_mut()
    }

    pub fn remove(&mut self, slot: usize) -> Option<Conn> {
        let conn = self.slots.get_mut(slot)?.take()?;
        self.deadlines.remove(&(conn.deadline, slot));
        self.free.push(slot);
        Some(conn)
    }

    pub fn set_deadline(&mut self, slot: usize, deadline: Mono) {
        if let Some(conn) = self.slots.get_mut(slot).and_then(Option::as_mut) {
            self.deadlines.remove(&(conn.deadline, slot));
            conn.deadline = deadline;
            self.deadlines.insert((deadline, slot));
        }
    }

    pub fn next_deadline(&self) -> Option<Mono> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// A connection whose deadline is over; its deadline is forgotten.
    pub fn poll_overdue(&mut self, now: Mono) -> Option<usize> {
        let (at, slot) = *self.deadlines.first()?;
        if at > now {
            return None;
        }
        self.deadlines.pop_first();
        if let Some(conn) = self.get_mut(slot) {
            conn.deadline = Mono::MAX;
        }
        Some(slot)
    }

    /// How many connections count against `who`: an address block, or the control socket.
    pub fn count(&self, who: Option<IpAddr>) -> usize {
        self.conns().filter(|(_, conn)| conn.address.map(peer::block) == who).count()
    }

    pub fn count_remote(&self) -> usize {
        self.conns().filter(|(_, conn)| conn.kind != Kind::Control).count()
    }

    /// What may be closed to make room: of `who` (see `count`), or of all but the control socket.
    pub fn victim(&self, who: Option<Option<IpAddr>>, now: Mono) -> Option<usize> {
        self.conns()
            .filter(|(_, conn)| match who {
                Some(who) => conn.address.map(peer::block) == who,
                None => conn.kind != Kind::Control,
            })
            .filter_map(|(slot, conn)| Some((conn.victim_rank(now)?, conn.since, slot)))
            .min()
            .map(|(_, _, slot)| slot)
    }

    fn conns(&self) -> impl Iterator<Item = (usize, &Conn)> {
        self.slots.iter().enumerate().filter_map(|(i, c)| Some((i, c.as_ref()?)))
    }
}
