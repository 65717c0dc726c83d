//! The thread `gate`: one loop over all listeners and connections. It never blocks but in `poll`,
//! and never ends before it is told to.
//!
//! Order of a turn: events, accepts, deadlines, the queue for the pool.

use super::conn::{Phase, Table};
use super::counter::{Count, Counters};
use super::door::Door;
use super::exchange::Exchange;
use super::request::Stage;
use super::{Annex, App, Budget};
use crate::pool::Pool;
use crate::{fault, pulse, ws};
use heartbeat::time::{Duration, Mono, Now};
use mio::event::Event;
use mio::{Events, Poll, Token};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Of the waker that `Front::stop` uses.
pub const WAKER: Token = Token(0);
const FIRST_DOOR: usize = 1;
/// Slot `n` has the tokens `FIRST_CONN + 2n` (its peer) and the next one (the pool).
pub const FIRST_CONN: usize = 1024;

/// What is read or relayed in one piece.
const SCRATCH: usize = 64 << 10;
/// How long `stop` waits for answers that are on their way.
const STOP: Duration = Duration::from_secs(2);

/// What a step on one connection led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// There may be more to do at once.
    Again,
    /// Nothing before the next event.
    Wait,
    Close,
}

pub struct Gate {
    pub app: Arc<dyn App>,
    pub poll: Poll,
    pub doors: Vec<Door>,
    pub pool: Arc<Pool>,
    pub live: ws::Inbox,
    pub counters: Arc<Counters>,
    pub budget: Budget,
    /// The names of this machine.
    pub machine: Vec<String>,
    pub stop: Arc<AtomicBool>,
    /// Doors that are to be opened.
    pub annex: Annex,
    pub work: Work,
}

/// What changes from turn to turn.
pub struct Work {
    pub table: Table,
    /// Slots that wait for a place in flight, oldest first; with those in flight at most
    /// `HTTP_QUEUE` and `HTTP_IN_FLIGHT`.
    pub queue: VecDeque<usize>,
    pub in_flight: usize,
    /// Bytes of answers in memory, of all connections.
    pub waiting: usize,
    /// Bytes of answers that the pool has begun and not handed over.
    pub promised: usize,
    /// No warning before.
    pub quiet_until: Mono,
    pub paused_until: Option<Mono>,
    pub stop_at: Option<Mono>,
    pub scratch: Box<[u8]>,
}

impl Work {
    pub fn new() -> Work {
        Work {
            table: Table::default(),
            queue: VecDeque::new(),
            in_flight: 0,
            waiting: 0,
            promised: 0,
            quiet_until: Mono::ZERO,
            paused_until: None,
            stop_at: None,
            scratch: vec![0; SCRATCH].into(),
        }
    }

    /// An exchange ends before its answer was handed over whole.
    pub fn release(&mut self, exchange: &Exchange) {
        self.in_flight -= 1;
        self.promised -= exchange.to_come();
    }

    /// Warns at most once a minute; the counters have the rest.
    pub fn warn(&mut self, text: &str, error: &io::Error, now: Now) {
        if now.mono >= self.quiet_until {
            self.quiet_until = now.mono + Duration::from_secs(60);
            log::warn!("{text} error={error}");
        }
    }
}

impl Gate {
    pub fn register_doors(&mut self) -> io::Result<()> {
        for (i, door) in self.doors.iter_mut().enumerate() {
            door.register(self.poll.registry(), Token(FIRST_DOOR + i))?;
        }
        Ok(())
    }

    /// Doors that came later.
    fn open_more(&mut self, now: Now) {
        for mut door in self.annex.take() {
            let token = Token(FIRST_DOOR + self.doors.len());
            match door.register(self.poll.registry(), token) {
                Ok(()) => self.doors.push(door),
                Err(e) => self.work.warn("a port cannot be watched", &e, now),
            }
        }
    }

    pub fn run(mut self) {
        let mut events = Events::with_capacity(256);
        loop {
            let timeout = self.timeout(self.app.now().mono);
            pulse::waits();
            if let Err(e) = self.poll.poll(&mut events, timeout)
                && e.kind() != io::ErrorKind::Interrupted
            {
                log::error!("the gate cannot wait for events error={e}");
            }
            pulse::works();
            fault::point("gate");
            let now = self.app.now();
            for event in &events {
                self.handle(event, now);
            }
            self.accept(now);
            self.expire(now);
            self.start_queued(now);
            if self.stop.load(Ordering::Acquire) && self.wind_down(now) {
                return;
            }
        }
    }

    fn timeout(&self, now: Mono) -> Option<Duration> {
        let paused = self.work.paused_until.filter(|until| *until > now);
        if paused.is_none() && self.doors.iter().any(|door| door.ready) {
            return Some(Duration::ZERO);
        }
        [paused, self.work.table.next_deadline(), self.work.stop_at]
            .into_iter()
            .flatten()
            .min()
            .filter(|at| *at < Mono::MAX)
            .map(|at| at.since(now))
    }

    fn handle(&mut self, event: &Event, now: Now) {
        let token = event.token().0;
        if event.token() == WAKER {
            return self.open_more(now);
        }
        if token < FIRST_CONN {
            if let Some(door) = token.checked_sub(FIRST_DOOR).and_then(|i| self.doors.get_mut(i)) {
                door.ready = true;
            }
            return;
        }
        let slot = (token - FIRST_CONN) / 2;
        let Some(conn) = self.work.table.get_mut(slot) else { return };
        if (token - FIRST_CONN).is_multiple_of(2) {
            conn.readable |= event.is_readable();
            conn.writable |= event.is_writable();
            if event.is_error() || event.is_write_closed() {
                return self.lose(slot);
            }
        } else if let Phase::Asking(exchange) = &mut conn.phase {
            exchange.readable |= event.is_readable() || event.is_read_closed();
            exchange.writable |= event.is_writable();
        }
        self.drive(slot, now);
    }

    /// The peer is gone. What the pool works on stays counted until it is done.
    pub fn lose(&mut self, slot: usize) {
        let Some(conn) = self.work.table.get_mut(slot) else { return };
        if matches!(conn.phase, Phase::Asking(_)) {
            conn.gone = true;
            self.work.waiting -= conn.out.left();
            conn.out.clear();
        } else {
            self.close(slot);
        }
    }

    pub fn drive(&mut self, slot: usize, now: Now) {
        loop {
            let Some(conn) = self.work.table.get_mut(slot) else { return };
            let next = match &conn.phase {
                Phase::Reading => self.read(slot, now),
                Phase::Queued(_) => Next::Wait,
                Phase::Asking(_) => self.relay(slot, now),
                Phase::Writing { .. } => self.write(slot, now),
                Phase::Lingering { .. } => self.linger(slot),
            };
            match next {
                Next::Again => {}
                Next::Wait => return,
                Next::Close => return self.close(slot),
            }
        }
    }

    pub fn close(&mut self, slot: usize) {
        let Some(conn) = self.work.table.remove(slot) else { return };
        self.work.waiting -= conn.out.left();
        match conn.phase {
            Phase::Asking(exchange) => self.work.release(&exchange),
            Phase::Queued(_) => self.work.queue.retain(|s| *s != slot),
            _ => {}
        }
    }

    fn expire(&mut self, now: Now) {
        while let Some(slot) = self.work.table.poll_overdue(now.mono) {
            if self.overdue(slot, now) == Next::Close {
                self.close(slot);
            } else {
                self.drive(slot, now);
            }
        }
    }

    fn overdue(&mut self, slot: usize, now: Now) -> Next {
        let Some(conn) = self.work.table.get_mut(slot) else { return Next::Wait };
        let (gone, stage) = (conn.gone, conn.decoder.stage());
        match &conn.phase {
            Phase::Reading if stage == Stage::Idle => return Next::Close,
            Phase::Lingering { .. } => return Next::Close,
            _ => self.counters.add(Count::Overdue),
        }
        match &conn.phase {
            Phase::Reading => self.refuse(slot, 408, "the request took too long", now),
            Phase::Queued(ask) => {
                let reader = ask.reader;
                self.work.queue.retain(|s| *s != slot);
                self.refuse_as(slot, 503, "the server is busy", reader, now)
            }
            Phase::Asking(exchange) if exchange.is_unanswered() && !gone => {
                let reader = exchange.reader();
                self.refuse_as(slot, 504, "the answer took too long", reader, now)
            }
            _ => Next::Close,
        }
    }

    /// Ends what is idle and lets answers on their way go out; true when nothing is left, or time
    /// is up.
    fn wind_down(&mut self, now: Now) -> bool {
        if self.work.stop_at.is_none() {
            self.doors.clear();
            self.work.stop_at = Some(now.mono + STOP);
        }
        for slot in 0..self.work.table.slots() {
            let Some(conn) = self.work.table.get_mut(slot) else { continue };
            if matches!(conn.phase, Phase::Reading | Phase::Lingering { .. }) {
                self.close(slot);
            }
        }
        self.work.table.len() == 0 || self.work.stop_at.is_some_and(|at| now.mono >= at)
    }
}
