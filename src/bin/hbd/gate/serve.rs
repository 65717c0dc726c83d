//! From a request to the last byte of its answer: one step at a time on one connection.

use super::answer;
use super::ask::Ask;
use super::conn::{Kind, Phase};
use super::counter::Count;
use super::exchange::{Exchange, Pump};
use super::front::{FIRST_CONN, Gate, Next};
use super::peer;
use super::reader::Reader;
use super::request::{Request, Stage, Step};
use super::stream::unblocked;
use super::upgrade;
use crate::ws;
use heartbeat::limits;
use heartbeat::time::{Duration, Now};
use heartbeat::web::{self, Caller, Kept, Method, Peer, secret_of};
use mio::net::UnixStream;
use mio::{Interest, Token};
use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;

/// What a peer may still send after our last answer.
const LINGER_BYTES: usize = 1 << 20;
const LINGER: Duration = Duration::from_secs(2);
/// A long answer has a second more for each so many bytes: a slow line is no attack.
const WRITE_RATE_MIN: u64 = 16 << 10;

fn is_login(request: &Request) -> bool {
    request.method() == "POST" && ["/login", "/api/0/auth/login"].contains(&request.path())
}

impl Gate {
    pub fn read(&mut self, slot: usize, now: Now) -> Next {
        let Some(conn) = self.work.table.get_mut(slot) else { return Next::Wait };
        match conn.decoder.step() {
            Step::Request(request) => self.admit(slot, request, now),
            Step::Refuse(refusal) => self.refuse(slot, refusal.status(), refusal.as_str(), now),
            Step::Continue => {
                let bytes = b"HTTP/1.1 100 Continue\r\n\r\n";
                conn.out.push(bytes);
                self.work.waiting += bytes.len();
                Next::Again
            }
            Step::Need => self.fill(slot, now),
        }
    }

    /// Reads what the decoder has room for, and moves the deadline where the request has come
    /// further.
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
        if self.flush(slot, now).is_err() {
            return Next::Close;
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
                conn.stream.is_tls() || peer::is_secure(address, &request, &config),
            ),
        };
        if let Some(kept) = self.kept(&request, peer, secure) {
            return self.hand_out(slot, &kept, keep, now);
        }
        let Some(conn) = self.work.table.get_mut(slot) else { return Next::Wait };
        let ask = Ask::new(&request, peer, secure, keep);
        let pending = self.work.in_flight + self.work.queue.len();
        if pending >= limits::HTTP_IN_FLIGHT + limits::HTTP_QUEUE {
            self.counters.add(Count::QueueFull);
            return self.refuse_as(slot, 503, "the server is busy", ask.reader, now);
        }
        // A flood of passwords to be hashed leaves half of the queue to everybody else.
        if is_login(&request) && self.work.queue.len() >= limits::HTTP_QUEUE / 2 {
            self.counters.add(Count::QueueFull);
            return self.refuse_as(slot, 429, "too many sign in at once", ask.reader, now);
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

    /// What can be answered at once, and leaves others their room.
    fn kept(&self, request: &Request, peer: Peer, secure: bool) -> Option<Arc<Kept>> {
        if request.method() != "GET" {
            return None;
        }
        let target = request.target();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let headers: Vec<(&str, &str)> = request.fields().collect();
        let (method, body, headers) = (Method::Get, &*request.body, &*headers);
        let request = web::Request { method, path, query, headers, body, peer, secure };
        let kept = self.app.kept(&request)?;
        let all = self.work.waiting + self.work.promised + kept.body.len();
        (kept.body.len() <= limits::HTTP_OUT_EACH || all <= limits::HTTP_OUT_ALL).then_some(kept)
    }

    fn hand_out(&mut self, slot: usize, kept: &Kept, keep: bool, now: Now) -> Next {
        self.counters.add(Count::Kept);
        let Some(conn) = self.work.table.get_mut(slot) else { return Next::Wait };
        let head = answer::kept_head(&kept.fields, keep, now.wall);
        let (stream, pieces) = (&mut conn.stream, [head.as_bytes(), &kept.body]);
        let mut done = 0;
        if conn.out.left() == 0 {
            let slices = pieces.map(IoSlice::new);
            match unblocked(|| stream.write_vectored(&slices)) {
                Ok(Some(n)) => done = n,
                Ok(None) => conn.writable = false,
                Err(_) => return Next::Close,
            }
        }
        for piece in pieces {
            let rest = &piece[done.min(piece.len())..];
            done = done.saturating_sub(piece.len());
            conn.out.push(rest);
            self.work.waiting += rest.len();
        }
        conn.phase = Phase::Writing { keep };
        conn.since = now.mono;
        let rate = kept.body.len() as u64 / WRITE_RATE_MIN;
        self.set_deadline(slot, now, limits::WRITE_DEADLINE_S + rate);
        Next::Again
    }

    pub fn refuse(&mut self, slot: usize, status: u16, text: &str, now: Now) -> Next {
        self.refuse_as(slot, status, text, Reader::Program, now)
    }

    /// Answers for the pool; the connection closes afterwards.
    pub fn refuse_as(
        &mut self,
        slot: usize,
        status: u16,
        text: &str,
        reader: Reader,
        now: Now,
    ) -> Next {
        self.counters.add(Count::Refused);
        let Some(conn) = self.work.table.get_mut(slot) else { return Next::Wait };
        let bytes = answer::refusal(status, text, reader, now.wall);
        self.work.waiting += bytes.len();
        conn.out.push(&bytes);
        let phase = std::mem::replace(&mut conn.phase, Phase::Writing { keep: false });
        conn.since = now.mono;
        if let Phase::Asking(exchange) = phase {
            self.work.release(&exchange);
        }
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
        let is_control = self.work.table.get_mut(slot).is_some_and(|conn| conn.address.is_none());
        let secret = secret_of(request.header("authorization"), request.header("cookie"));
        let caller = if is_control { Caller::Control } else { self.app.caller(secret) };
        if caller == Caller::Anonymous {
            self.counters.add(Count::WsRefused);
            return self.refuse(slot, 401, "a live connection needs a session", now);
        }
        if !self.live.has_room() {
            self.counters.add(Count::WsRefused);
            return self.refuse(slot, 503, "too many live connections", now);
        }
        let Some(mut conn) = self.work.table.remove(slot) else { return Next::Wait };
        self.work.waiting -= conn.out.left();
        let address = conn.address.map(|address| peer::client(address, request, &config));
        self.counters.add(Count::Upgrades);
        let whole = unblocked(|| conn.stream.write(head.as_bytes()));
        let free = self.poll.registry().deregister(&mut conn.stream);
        let _ = conn.stream.flush();
        if conn.out.left() > 0 || !matches!(whole, Ok(Some(n)) if n == head.len()) || free.is_err()
        {
            return Next::Wait;
        }
        let leftover = conn.decoder.into_leftover();
        self.live.send(ws::Newcomer { stream: conn.stream, leftover, address, caller });
        Next::Wait
    }

    // The pool.

    pub fn start_queued(&mut self, now: Now) {
        while self.work.in_flight < self.budget.in_flight {
            let Some(slot) = self.work.queue.pop_front() else { return };
            self.start(slot, now);
            self.drive(slot, now);
        }
    }

    fn start(&mut self, slot: usize, now: Now) {
        let Some(conn) = self.work.table.get_mut(slot) else { return };
        let Phase::Queued(ask) = std::mem::replace(&mut conn.phase, Phase::Reading) else { return };
        let reader = ask.reader;
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
                self.work.warn("the HTTP pool cannot be reached", &e, now);
                self.refuse_as(slot, 503, "the server is busy", reader, now);
            }
        }
    }

    fn connect(&self, slot: usize) -> io::Result<UnixStream> {
        let door = self.pool.door();
        let mut stream = match UnixStream::connect(&*door.path) {
            // Nobody listens there any more.
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound
                ) && self.pool.revive(&door) =>
            {
                UnixStream::connect(&*self.pool.door().path)?
            }
            other => other?,
        };
        let token = Token(FIRST_CONN + 2 * slot + 1);
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut stream, token, interest)?;
        Ok(stream)
    }

    pub fn relay(&mut self, slot: usize, now: Now) -> Next {
        if self.flush(slot, now).is_err() {
            self.lose(slot);
        }
        let work = &mut self.work;
        let Some(conn) = work.table.get_mut(slot) else { return Next::Wait };
        let Phase::Asking(exchange) = &mut conn.phase else { return Next::Again };
        let (gone, keep, before) = (conn.gone, exchange.keep, exchange.to_come());
        let (out, waiting) = (&mut conn.out, &mut work.waiting);
        let mut take = |bytes: &[u8]| {
            if !gone {
                out.push(bytes);
                *waiting += bytes.len();
            }
        };
        let pumped = exchange.pump(&mut work.scratch, &mut take);
        work.promised = work.promised - before + exchange.to_come();
        match pumped {
            Ok(Pump::Wait) => Next::Wait,
            Ok(Pump::Moved) => Next::Again,
            Ok(Pump::Head(len)) => self.promise(slot, len, now),
            Ok(Pump::Done) => {
                work.in_flight -= 1;
                conn.phase = Phase::Writing { keep };
                if gone { Next::Close } else { Next::Again }
            }
            Err(e) => self.fail(slot, &e, now),
        }
    }

    /// Takes an answer of `len` bytes on, or not: slow peers must fill neither the memory nor the
    /// workers.
    fn promise(&mut self, slot: usize, len: u64, now: Now) -> Next {
        let Some(conn) = self.work.table.get_mut(slot) else { return Next::Wait };
        let Phase::Asking(exchange) = &conn.phase else { return Next::Again };
        let all = self.work.waiting + self.work.promised;
        let alone = all == exchange.to_come();
        if len > limits::HTTP_OUT_EACH as u64 && all > limits::HTTP_OUT_ALL && !alone && !conn.gone
        {
            self.counters.add(Count::MemoryFull);
            let reader = exchange.reader();
            return self.refuse_as(slot, 503, "too many long answers at once", reader, now);
        }
        self.set_deadline(slot, now, limits::WRITE_DEADLINE_S + len / WRITE_RATE_MIN);
        Next::Again
    }

    /// The pool hung up, or sent what is no answer.
    fn fail(&mut self, slot: usize, error: &io::Error, now: Now) -> Next {
        self.counters.add(Count::PoolFailed);
        self.work.warn("the HTTP pool gave no whole answer", error, now);
        let Some(conn) = self.work.table.get_mut(slot) else { return Next::Wait };
        match &conn.phase {
            Phase::Asking(exchange) if exchange.is_unanswered() && !conn.gone => {
                let reader = exchange.reader();
                // Whether anything was changed is not known; where nothing can be, it may be asked again.
                let status = if exchange.is_safe() { 503 } else { 502 };
                self.refuse_as(slot, status, "the answer was lost", reader, now)
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

    pub fn write(&mut self, slot: usize, now: Now) -> Next {
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

    pub fn linger(&mut self, slot: usize) -> Next {
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
}
