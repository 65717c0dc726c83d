//! The thread `gate`: one loop over all listeners and connections. It never blocks but in `poll`, and never ends
//! before it is told to.
//!
//! Order of a turn: events, accepts, deadlines, the queue for the pool.

use super::answer;
use super::conn::{Conn, Kind, Phase, Table};
use super::counter::{Count, Counters};
use super::door::Door;
use super::exchange::{Ask, Exchange, Pump};
use super::peer;
use super::request::{Request, Stage, Step};
use super::stream::unblocked;
use super::upgrade;
use super::{App, Budget};
use crate::pool::Pool;
use crate::ws;
use heartbeat::limits;
use heartbeat::time::{Duration, Mono, Now};
use heartbeat::web::Peer;
use mio::event::Event;
use mio::net::UnixStream;
use mio::{Events, Interest, Poll, Token};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Of the waker that `Front::stop` uses.
pub const WAKER: Token = Token(0);
const FIRST_DOOR: usize = 1;
/// Slot `n` has the tokens `FIRST_CONN + 2n` (its peer) and the next one (the pool).
const FIRST_CONN: usize = 1024;

/// Connections taken in of one listener before others have their turn.
const ACCEPT_BATCH: usize = 64;
/// After an error of `accept`: descriptors are short.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections on the control socket.
const CONTROL_CONNS: usize = 16;
/// What a peer may still send after our last answer.
const LINGER_BYTES: usize = 1 << 20;
const LINGER: Duration = Duration::from_secs(2);
/// A long answer has a second more for each so many bytes: a slow line is no attack.
const WRITE_RATE_MIN: u64 = 16 << 10;
/// What is read or relayed in one piece.
const SCRATCH: usize = 64 << 10;
/// How long `stop` waits for answers that are on their way.
const STOP: Duration = Duration::from_secs(2);

/// What a step on one connection led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
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
    pub work: Work,
}

/// What changes from turn to turn.
pub struct Work {
    table: Table,
    /// Slots that wait for a place in flight, oldest first; at most `HTTP_QUEUE`.
    queue: VecDeque<usize>,
    in_flight: usize,
    /// Bytes of answers in memory, of all connections.
    waiting: usize,
    paused_until: Option<Mono>,
    stop_at: Option<Mono>,
    scratch: Box<[u8]>,
}

impl Work {
    pub fn new() -> Work {
        Work {
            table: Table::default(),
            queue: VecDeque::new(),
            in_flight: 0,
            waiting: 0,
            paused_until: None,
            stop_at: None,
            scratch: vec![0; SCRATCH].into(),
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

    pub fn run(mut self) {
        let mut events = Events::with_capacity(256);
        loop {
            let timeout = self.timeout(self.app.now().mono);
            if let Err(e) = self.poll.poll(&mut events, timeout)
                && e.kind() != io::ErrorKind::Interrupted
            {
                log::error!("the gate cannot wait for events error={e}");
            }
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
        if token < FIRST_CONN {
            if let Some(door) = token.checked_sub(FIRST_DOOR).and_then(|i| self.doors.get_mut(i)) {
                door.ready = true;
            }
            return;
        }
        let slot = (token - FIRST_CONN) / 2;
        let Some(conn) = self.work.table.get_mut(slot) else { return };
        if (token - FIRST_CONN) % 2 == 0 {
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
    fn lose(&mut self, slot: usize) {
        let Some(conn) = self.work.table.get_mut(slot) else { return };
        if matches!(conn.phase, Phase::Asking(_)) {
            conn.gone = true;
            self.work.waiting -= conn.out.left();
            conn.out.clear();
        } else {
            self.close(slot);
        }
    }

    fn drive(&mut self, slot: usize, now: Now) {
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

    fn close(&mut self, slot: usize) {
        let Some(conn) = self.work.table.remove(slot) else { return };
        self.work.waiting -= conn.out.left();
        match conn.phase {
            Phase::Asking(_) => self.work.in_flight -= 1,
            Phase::Queued(_) => self.work.queue.retain(|s| *s != slot),
            _ => {}
        }
    }

    // Coming in.

    fn accept(&mut self, now: Now) {
        if self.work.paused_until.is_some_and(|until| until > now.mono) {
            return;
        }
        self.work.paused_until = None;
        for at in 0..self.doors.len() {
            for _ in 0..ACCEPT_BATCH {
                if !self.doors[at].ready {
                    break;
                }
                match self.doors[at].accept() {
                    Ok((stream, address)) => {
                        self.counters.add(Count::Accepted);
                        let conn = Conn::new(stream, self.doors[at].kind, address, now.mono);
                        self.welcome(conn, now);
                    }
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.doors[at].ready = false,
                    Err(e) if is_of_one_connection(&e) => {}
                    Err(e) => return self.recover(&e, now),
                }
            }
        }
    }

    /// `accept` failed for want of descriptors or memory: make room, wait a little, go on.
    fn recover(&mut self, error: &io::Error, now: Now) {
        self.counters.add(Count::AcceptErrors);
        log::debug!("a connection could not be accepted error={error}");
        if let Some(victim) = self.work.table.victim(None, now.mono) {
            self.counters.add(Count::Evicted);
            self.close(victim);
        }
        self.work.paused_until = Some(now.mono + ACCEPT_PAUSE);
    }

    fn welcome(&mut self, mut conn: Conn, now: Now) {
        if !self.has_room(conn.address, now) {
            self.counters.add(Count::TurnedAway);
            let bytes = answer::refusal(503, "too many connections", false, now.wall);
            let _ = conn.stream.write(&bytes);
            return;
        }
        let slot = self.work.table.insert(conn);
        let Some(conn) = self.work.table.get_mut(slot) else { return };
        let interest = Interest::READABLE | Interest::WRITABLE;
        let token = Token(FIRST_CONN + 2 * slot);
        if let Err(e) = self.poll.registry().register(&mut conn.stream, token, interest) {
            log::error!("a connection cannot be watched error={e}");
            return self.close(slot);
        }
        let deadline = now.mono + Duration::from_secs(limits::HEAD_DEADLINE_S);
        self.work.table.set_deadline(slot, deadline);
        self.drive(slot, now);
    }

    /// Whether one more of `address` fits, after closing what is idle.
    fn has_room(&mut self, address: Option<IpAddr>, now: Now) -> bool {
        let who = address.map(peer::block);
        let proxies = &self.app.config().trusted_proxies;
        let each = match address {
            None => CONTROL_CONNS,
            Some(address) if peer::is_trusted(address, proxies) => usize::MAX,
            Some(_) => limits::HTTP_CONNS_PER_ADDRESS.min(self.budget.conns),
        };
        if self.work.table.count(who) >= each && !self.evict(Some(who), now) {
            return false;
        }
        address.is_none()
            || self.work.table.count_remote() < self.budget.conns
            || self.evict(None, now)
    }

    fn evict(&mut self, who: Option<Option<IpAddr>>, now: Now) -> bool {
        let Some(victim) = self.work.table.victim(who, now.mono) else { return false };
        self.counters.add(Count::Evicted);
        if matches!(self.work.table.get_mut(victim), Some(conn) if is_asking(conn)) {
            // Its place in flight is not free before the pool is done; its descriptor is.
            self.lose(victim);
            return false;
        }
        self.close(victim);
        true
    }

    // Requests.

    fn read(&mut self, slot: usize, now: Now) -> Next {
        let Some(conn) = self.work.table.get_mut(slot) else { return Next::Wait };
        match conn.decoder.step() {
            Step::Request(request) => self.admit(slot, request, now),
            Step::Refuse(refusal) => self.refuse(slot, refusal.status(), refusal.as_str(), now),
            Step::Continue => {
                let bytes = b"HTTP/1.1 100 Continue\r\n\r\n";
                conn.out.push(bytes);
                self.work.waiting += bytes.len();
                self.flush(slot, now).map_or(Next::Close, |_| Next::Again)
            }
            Step::Need => self.fill(slot, now),
        }
    }

    /// Reads what the decoder has room for, and moves the deadline where the request has come further.
    fn fill(&mut self, slot: usize, now: Now) -> Next {
        let Some(conn) = self.work.table.get_mut(slot) else { return Next::Wait };
        let stage = conn.decoder.stage();
        if stage != conn.stage {
            conn.stage = stage;
            let first = conn.served == 0;
            match stage {
                Stage::Body => self.set_deadline(slot, now, limits::BODY_DEADLINE_S),
                Stage::Head if !first => self.set_deadline(slot, now, limits::HEAD_DEADLINE_S),
                Stage::Head | Stage::Idle => {}
            }
        }
        let Some(conn) = self.work.table.get_mut(slot) else { return Next::Wait };
        if !conn.readable {
            return Next::Wait;
        }
        let room = conn.decoder.room().min(self.work.scratch.len());
        let (stream, scratch) = (&mut conn.stream, &mut self.work.scratch[..room]);
        match unblocked(|| stream.read(scratch)) {
            Ok(Some(0)) | Err(_) => Next::Close,
            Ok(Some(n)) => {
                conn.decoder.push(&scratch[..n]);
                Next::Again
            }
            Ok(None) => {
                conn.readable = false;
                Next::Wait
            }
        }
    }

    fn set_deadline(&mut self, slot: usize, now: Now, secs: u64) {
        self.work.table.set_deadline(slot, now.mono + Duration::from_secs(secs));
    }

    fn admit(&mut self, slot: usize, request: Request, now: Now) -> Next {
        self.counters.add(Count::Requests);
        let stopping = self.work.stop_at.is_some();
        let config = self.app.config();
        let Some(conn) = self.work.table.get_mut(slot) else { return Next::Wait };
        conn.served += 1;
        let live = conn.kind == Kind::Http && request.path() == upgrade::PATH;
        if live || conn.kind == Kind::Ws {
            return self.upgrade(slot, &request, now);
        }
        let keep = request.keeps_alive() && conn.served < limits::KEEP_ALIVE_REQUESTS && !stopping;
        let (peer, secure) = match conn.address {
            None => (Peer::Control, false),
            Some(address) => (
                Peer::Remote(peer::client(address, &request, &config)),
                peer::is_secure(address, &request, &config),
            ),
        };
        let ask = Ask::new(&request, peer, secure, keep);
        if self.work.queue.len() >= limits::HTTP_QUEUE {
            self.counters.add(Count::QueueFull);
            return self.refuse_as(slot, 503, "the server is busy", ask.bodiless, now);
        }
        conn.phase = Phase::Queued(ask);
        if self.work.queue.is_empty() && self.work.in_flight < self.budget.in_flight {
            self.start(slot, now);
            return Next::Again;
        }
        self.set_deadline(slot, now, limits::WRITE_DEADLINE_S);
        self.work.queue.push_back(slot);
        Next::Wait
    }

    fn refuse(&mut self, slot: usize, status: u16, text: &str, now: Now) -> Next {
        self.refuse_as(slot, status, text, false, now)
    }

    /// Answers for the pool; the connection closes afterwards.
    fn refuse_as(
        &mut self,
        slot: usize,
        status: u16,
        text: &str,
        bodiless: bool,
        now: Now,
    ) -> Next {
        self.counters.add(Count::Refused);
        let Some(conn) = self.work.table.get_mut(slot) else { return Next::Wait };
        let bytes = answer::refusal(status, text, bodiless, now.wall);
        self.work.waiting += bytes.len();
        conn.out.push(&bytes);
        if matches!(conn.phase, Phase::Asking(_)) {
            self.work.in_flight -= 1;
        }
        conn.phase = Phase::Writing { keep: false };
        conn.since = now.mono;
        self.set_deadline(slot, now, limits::HEAD_DEADLINE_S);
        Next::Again
    }

    /// Opens a live connection and gives it to its thread.
    fn upgrade(&mut self, slot: usize, request: &Request, now: Now) -> Next {
        let config = self.app.config();
        let head = match upgrade::decide(request, &config, &self.machine) {
            Ok(head) => head,
            Err(denial) => {
                self.counters.add(Count::WsRefused);
                return self.refuse(slot, denial.status, denial.reason, now);
            }
        };
        if !self.live.has_room() {
            self.counters.add(Count::WsRefused);
            return self.refuse(slot, 503, "too many live connections", now);
        }
        let Some(mut conn) = self.work.table.remove(slot) else { return Next::Wait };
        self.work.waiting -= conn.out.left();
        let address = conn.address.map(|address| peer::client(address, request, &config));
        let whole = unblocked(|| conn.stream.write(head.as_bytes()));
        let free = self.poll.registry().deregister(&mut conn.stream);
        if conn.out.left() > 0 || !matches!(whole, Ok(Some(n)) if n == head.len()) || free.is_err()
        {
            return Next::Wait;
        }
        let leftover = conn.decoder.into_leftover();
        if self.live.send(ws::Newcomer { stream: conn.stream, leftover, address }) {
            self.counters.add(Count::Upgrades);
        }
        Next::Wait
    }

    // The pool.

    fn start_queued(&mut self, now: Now) {
        while self.work.in_flight < self.budget.in_flight {
            let Some(slot) = self.work.queue.pop_front() else { return };
            self.start(slot, now);
            self.drive(slot, now);
        }
    }

    fn start(&mut self, slot: usize, now: Now) {
        let Some(conn) = self.work.table.get_mut(slot) else { return };
        let Phase::Queued(ask) = std::mem::replace(&mut conn.phase, Phase::Reading) else { return };
        let bodiless = ask.bodiless;
        match self.connect(slot) {
            Ok(stream) => {
                self.work.in_flight += 1;
                if let Some(conn) = self.work.table.get_mut(slot) {
                    conn.phase = Phase::Asking(Exchange::new(stream, ask));
                    conn.since = now.mono;
                }
                self.set_deadline(slot, now, limits::WRITE_DEADLINE_S);
            }
            Err(e) => {
                self.counters.add(Count::PoolFailed);
                log::warn!("the HTTP pool cannot be reached error={e}");
                if matches!(e.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) {
                    self.pool.revive();
                }
                self.refuse_as(slot, 503, "the server is busy", bodiless, now);
            }
        }
    }

    fn connect(&self, slot: usize) -> io::Result<UnixStream> {
        let mut stream = UnixStream::connect(&*self.pool.path())?;
        let token = Token(FIRST_CONN + 2 * slot + 1);
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut stream, token, interest)?;
        Ok(stream)
    }

    fn relay(&mut self, slot: usize, now: Now) -> Next {
        let Ok(_) = self.flush(slot, now) else {
            self.lose(slot);
            return Next::Again;
        };
        let free = self.work.waiting < limits::HTTP_OUT_ALL;
        let Some(conn) = self.work.table.get_mut(slot) else { return Next::Wait };
        let Phase::Asking(exchange) = &mut conn.phase else { return Next::Again };
        let left = conn.out.left();
        let room = if free { SCRATCH } else { limits::HTTP_OUT_EACH.saturating_sub(left) };
        let (gone, out, waiting) = (conn.gone, &mut conn.out, &mut self.work.waiting);
        let mut take = |bytes: &[u8]| {
            if !gone {
                out.push(bytes);
                *waiting += bytes.len();
            }
        };
        match exchange.pump(&mut self.work.scratch[..room.min(SCRATCH)], &mut take) {
            Ok(Pump::Wait) => Next::Wait,
            Ok(Pump::Moved) => Next::Again,
            Ok(Pump::Head(len)) => {
                let secs = limits::WRITE_DEADLINE_S + len / WRITE_RATE_MIN;
                self.set_deadline(slot, now, secs);
                Next::Again
            }
            Ok(Pump::Done) => {
                let keep = exchange.keep;
                self.work.in_flight -= 1;
                conn.phase = Phase::Writing { keep };
                if gone { Next::Close } else { Next::Again }
            }
            Err(e) => self.fail(slot, &e, now),
        }
    }

    /// The pool hung up, or sent what is no answer.
    fn fail(&mut self, slot: usize, error: &io::Error, now: Now) -> Next {
        self.counters.add(Count::PoolFailed);
        log::warn!("the HTTP pool gave no whole answer error={error}");
        let Some(conn) = self.work.table.get_mut(slot) else { return Next::Wait };
        match &conn.phase {
            Phase::Asking(exchange) if exchange.is_unanswered() && !conn.gone => {
                let bodiless = exchange.is_bodiless();
                self.refuse_as(slot, 502, "the answer was lost", bodiless, now)
            }
            _ => Next::Close,
        }
    }

    // Answers.

    /// Whether all that waits for the peer went.
    fn flush(&mut self, slot: usize, now: Now) -> io::Result<bool> {
        let Some(conn) = self.work.table.get_mut(slot) else { return Ok(true) };
        let before = conn.out.left();
        let done = conn.flush(now.mono);
        self.work.waiting -= before - conn.out.left();
        done
    }

    fn write(&mut self, slot: usize, now: Now) -> Next {
        match self.flush(slot, now) {
            Ok(true) => {}
            Ok(false) => return Next::Wait,
            Err(_) => return Next::Close,
        }
        let Some(conn) = self.work.table.get_mut(slot) else { return Next::Wait };
        conn.since = now.mono;
        if matches!(conn.phase, Phase::Writing { keep: true }) && self.work.stop_at.is_none() {
            conn.phase = Phase::Reading;
            conn.stage = Stage::Idle;
            self.set_deadline(slot, now, limits::KEEP_ALIVE_S);
        } else {
            conn.stream.shutdown_write();
            conn.phase = Phase::Lingering { budget: LINGER_BYTES };
            self.work.table.set_deadline(slot, now.mono + LINGER);
        }
        Next::Again
    }

    fn linger(&mut self, slot: usize) -> Next {
        let Some(conn) = self.work.table.get_mut(slot) else { return Next::Wait };
        let Phase::Lingering { budget } = &mut conn.phase else { return Next::Again };
        if !conn.readable {
            return Next::Wait;
        }
        let (stream, scratch) = (&mut conn.stream, &mut self.work.scratch);
        match unblocked(|| stream.read(scratch)) {
            Ok(None) => {
                conn.readable = false;
                Next::Wait
            }
            Ok(Some(n)) if n > 0 && n <= *budget => {
                *budget -= n;
                Next::Again
            }
            _ => Next::Close,
        }
    }

    // Time.

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
                let bodiless = ask.bodiless;
                self.work.queue.retain(|s| *s != slot);
                self.refuse_as(slot, 503, "the server is busy", bodiless, now)
            }
            Phase::Asking(exchange) if exchange.is_unanswered() && !gone => {
                let bodiless = exchange.is_bodiless();
                self.refuse_as(slot, 504, "the answer took too long", bodiless, now)
            }
            _ => Next::Close,
        }
    }

    /// Ends what is idle and lets answers on their way go out; true when nothing is left, or time is up.
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

fn is_asking(conn: &Conn) -> bool {
    matches!(conn.phase, Phase::Asking(_))
}

/// Errors of `accept` that concern the connection that was to come, and not the next.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, PermissionDenied};
    matches!(error.kind(), Interrupted | ConnectionAborted | ConnectionReset | PermissionDenied)
}
