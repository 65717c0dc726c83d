//! The thread `ws`: all live connections after their handshake, and when each viewer is asked for
//! frames.
//!
//! It builds frames only for a client that has taken the last ones, looks for a new view at most
//! four times a second, and sleeps where there are no clients. What is told is decided in
//! `heartbeat::web::live`.

use crate::gate::App;
use crate::gate::counter::{Count, Counters};
use crate::gate::peer;
use crate::gate::stream::{Stream, unblocked};
use crate::{fault, pulse};
use crossbeam_channel::{Receiver, Sender, bounded};
use heartbeat::engine::view::View;
use heartbeat::limits;
use heartbeat::os;
use heartbeat::time::{Duration, Mono, Now};
use heartbeat::web::live::{self, Close, Viewer};
use heartbeat::web::{Caller, live_scope};
use mio::{Events, Interest, Poll, Token, Waker};
use std::collections::VecDeque;
use std::io::{self, Read};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::protocol::frame::{CloseFrame, Frame};
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};

/// Bytes.
const STACK: usize = 512 << 10;
const WAKER: Token = Token(0);
/// Between two looks for a new view.
const TICK: Duration = Duration::from_millis(250);
const PING: Duration = Duration::from_secs(30);
const DEAD: Duration = Duration::from_secs(90);
/// Not writable for so long: close 4408.
const TOO_SLOW: Duration = Duration::from_secs(30);
/// How long a closing handshake may take.
const CLOSING: Duration = Duration::from_secs(5);
/// How long `stop` waits for goodbyes to go out.
const STOP: Duration = Duration::from_secs(2);
/// Longer messages go out in frames of so many bytes, so that one client's buffer stays small.
const FRAGMENT: usize = 16 << 10;
/// Messages read of one client before others have their turn.
const READ_BATCH: usize = 32;
/// When clients come back after a restart, milliseconds.
const RETRY_MS: u64 = 1500;
const NEWCOMERS: usize = 64;

/// A connection whose handshake is done.
pub struct Newcomer {
    pub stream: Stream,
    /// What came after the handshake.
    pub leftover: Vec<u8>,
    /// Behind trusted proxies; `None` where limits do not count it.
    pub address: Option<IpAddr>,
    /// Who opened it.
    pub caller: Caller,
}

/// The way to the thread.
#[derive(Clone)]
pub struct Inbox {
    sender: Sender<Newcomer>,
    waker: Arc<Waker>,
    open: Arc<AtomicUsize>,
    open_max: usize,
}

impl Inbox {
    pub fn has_room(&self) -> bool {
        self.open.load(Ordering::Acquire) < self.open_max
    }

    /// Where the inbox is full, the connection is closed.
    pub fn send(&self, newcomer: Newcomer) {
        self.open.fetch_add(1, Ordering::AcqRel);
        if self.sender.try_send(newcomer).is_err() {
            self.open.fetch_sub(1, Ordering::AcqRel);
        }
        self.wake();
    }

    pub fn wake(&self) {
        if let Err(e) = self.waker.wake() {
            log::error!("the live thread cannot be woken error={e}");
        }
    }
}

/// Starts the thread; `stop` ends it after a wake-up.
pub fn start(
    app: &Arc<dyn App>,
    counters: &Arc<Counters>,
    stop: &Arc<AtomicBool>,
    open_max: usize,
) -> io::Result<(Inbox, JoinHandle<()>)> {
    let poll = Poll::new()?;
    let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
    let (sender, newcomers) = bounded(NEWCOMERS);
    let open = Arc::new(AtomicUsize::new(0));
    let live = Live {
        app: app.clone(),
        counters: counters.clone(),
        stop: stop.clone(),
        newcomers,
        open: open.clone(),
        poll,
        clients: Vec::new(),
        view: app.view(),
        next_tick: Mono::ZERO,
    };
    let body = crate::gate::guarded("ws".to_owned(), move || live.run());
    let thread = os::thread::spawn("ws", STACK, body)?;
    Ok((Inbox { sender, waker, open, open_max }, thread))
}

struct Live {
    app: Arc<dyn App>,
    counters: Arc<Counters>,
    stop: Arc<AtomicBool>,
    newcomers: Receiver<Newcomer>,
    /// Connections here and in the inbox.
    open: Arc<AtomicUsize>,
    poll: Poll,
    /// By token less one; at most `WS_CONNS`.
    clients: Vec<Option<Client>>,
    view: Arc<View>,
    next_tick: Mono,
}

impl Live {
    fn run(mut self) {
        let mut events = Events::with_capacity(256);
        let mut stop_at: Option<Mono> = None;
        loop {
            let timeout = self.timeout(self.app.now().mono, stop_at);
            pulse::waits();
            if let Err(e) = self.poll.poll(&mut events, timeout)
                && e.kind() != io::ErrorKind::Interrupted
            {
                log::error!("the live thread cannot wait for events error={e}");
            }
            pulse::works();
            fault::point("ws");
            let now = self.app.now();
            for event in &events {
                let Some(slot) = event.token().0.checked_sub(1) else { continue };
                if let Some(Some(client)) = self.clients.get_mut(slot) {
                    client.readable |= event.is_readable() || event.is_read_closed();
                    client.writable |= event.is_writable();
                }
            }
            self.welcome(now);
            if stop_at.is_none() && self.stop.load(Ordering::Acquire) {
                stop_at = Some(now.mono + STOP);
                self.say_bye(now);
            }
            self.serve(now);
            let open = self.clients.iter().flatten().count();
            self.app.note_viewers(open);
            let empty = open == 0;
            if stop_at.is_some_and(|at| empty || now.mono >= at) {
                return;
            }
        }
    }

    fn timeout(&self, now: Mono, stop_at: Option<Mono>) -> Option<Duration> {
        let mut clients = self.clients.iter().flatten().peekable();
        if clients.peek().is_none() && stop_at.is_none() {
            return None;
        }
        if clients.any(|client| client.readable) {
            return Some(Duration::ZERO);
        }
        Some(self.next_tick.since(now).max(Duration::from_millis(1)))
    }

    fn welcome(&mut self, now: Now) {
        while let Ok(newcomer) = self.newcomers.try_recv() {
            let slot = self.clients.iter().position(Option::is_none).unwrap_or_else(|| {
                self.clients.push(None);
                self.clients.len() - 1
            });
            let block = newcomer.address.map(peer::block);
            let same = self.clients.iter().flatten().filter(|c| c.block == block).count();
            let user = newcomer.caller.user().map(str::to_owned);
            let own = self.clients.iter().flatten().filter(|c| c.caller.user() == user.as_deref());
            let own = user.as_ref().map_or(0, |_| own.count());
            let mut client = Client::new(newcomer, block, now.mono);
            let interest = Interest::READABLE | Interest::WRITABLE;
            let stream = client.socket.get_mut();
            if let Err(e) = self.poll.registry().register(stream, Token(slot + 1), interest) {
                log::error!("a live connection cannot be watched error={e}");
                self.open.fetch_sub(1, Ordering::AcqRel);
                continue;
            }
            let crowded = same >= limits::WS_CONNS_PER_ADDRESS && block.is_some();
            if crowded || own >= limits::WS_CONNS_PER_USER {
                self.counters.add(Count::WsRefused);
                client.close(Close::TOO_MANY, "too many connections", now.mono);
            } else {
                client.tell(client.viewer.hello(&self.view, now));
            }
            self.clients[slot] = Some(client);
        }
    }

    /// Reads and writes where sockets are ready, asks viewers, ends what is overdue.
    fn serve(&mut self, now: Now) {
        let tick = now.mono >= self.next_tick;
        if tick {
            self.next_tick = now.mono + TICK;
            let view = self.app.view();
            if !Arc::ptr_eq(&view, &self.view) {
                self.view = view;
                self.clients.iter_mut().flatten().for_each(|client| client.stale = true);
            }
            for client in self.clients.iter_mut().flatten() {
                let caller = self.app.again(&client.caller);
                client.recognise(caller, now.mono);
            }
        }
        let mut waiting: usize = self.clients.iter().flatten().map(Client::waiting_bytes).sum();
        for slot in &mut self.clients {
            let Some(client) = slot else { continue };
            let before = client.waiting_bytes();
            let mut alive = client.read(now, &self.counters) && client.flush(now.mono);
            if alive && waiting < limits::WS_OUT_ALL && client.is_due(now.mono, tick) {
                client.stale = false;
                client.viewer.poll(now, &self.view).into_iter().for_each(|f| client.tell(f));
                alive = client.flush(now.mono);
            }
            waiting = (waiting + client.waiting_bytes()).saturating_sub(before);
            if !alive || client.is_over(now.mono, &self.counters) {
                // Dropping the socket takes it off the poll as well.
                *slot = None;
                self.open.fetch_sub(1, Ordering::AcqRel);
            }
        }
    }

    fn say_bye(&mut self, now: Now) {
        for client in self.clients.iter_mut().flatten() {
            // Between two fragments of a message only control frames may stand.
            if client.waiting.front().is_none_or(|frame| frame.at == 0) {
                client.waiting.clear();
                client.tell(live::bye(RETRY_MS));
                client.flush(now.mono);
            }
            client.close(Close::GOING_AWAY, "the server restarts", now.mono);
        }
    }
}

/// A message on its way out, and how much of it has gone.
struct Outgoing {
    text: String,
    at: usize,
}

struct Client {
    socket: WebSocket<Stream>,
    viewer: Viewer,
    caller: Caller,
    block: Option<IpAddr>,
    /// Told and not yet gone; one poll's frames at most, and the first ones.
    waiting: VecDeque<Outgoing>,
    readable: bool,
    writable: bool,
    /// Since when the socket has taken nothing whole.
    blocked: Option<Mono>,
    /// A view was published that its viewer has not seen.
    stale: bool,
    heard: Mono,
    pinged: Mono,
    /// The closing handshake ends then at the latest.
    closing: Option<Mono>,
    /// It broke the protocol: what it sends is thrown away. (tungstenite must not be asked to read
    /// again.)
    deaf: bool,
}

impl Client {
    fn new(newcomer: Newcomer, block: Option<IpAddr>, now: Mono) -> Client {
        let config = WebSocketConfig::default()
            .read_buffer_size(4 << 10)
            .write_buffer_size(0)
            .max_write_buffer_size(limits::WS_OUT_QUEUE)
            .max_message_size(Some(limits::WS_IN_MAX))
            .max_frame_size(Some(limits::WS_IN_MAX));
        let (stream, leftover) = (newcomer.stream, newcomer.leftover);
        Client {
            socket: WebSocket::from_partially_read(stream, leftover, Role::Server, Some(config)),
            viewer: Viewer::of(now, &newcomer.caller),
            caller: newcomer.caller,
            block,
            waiting: VecDeque::new(),
            readable: true,
            writable: true,
            blocked: None,
            stale: true,
            heard: now,
            pinged: now,
            closing: None,
            deaf: false,
        }
    }

    /// Looks again who it belongs to: a session that has ended takes its connections with it.
    fn recognise(&mut self, caller: Caller, now: Mono) {
        if caller == self.caller {
            return;
        }
        if caller == Caller::Anonymous {
            self.close(Close::SIGN_IN, "sign in", now);
        } else {
            self.viewer.rescope(live_scope(&caller));
        }
        self.caller = caller;
    }

    fn tell(&mut self, text: String) {
        self.waiting.push_back(Outgoing { text, at: 0 });
    }

    fn waiting_bytes(&self) -> usize {
        self.waiting.iter().map(|frame| frame.text.len() - frame.at).sum()
    }

    /// Whether its viewer is to be asked: it took all that it was told, and there may be news.
    fn is_due(&self, now: Mono, tick: bool) -> bool {
        let free = self.closing.is_none() && self.waiting.is_empty() && self.blocked.is_none();
        free && ((tick && self.stale) || self.viewer.poll_timeout() <= now)
    }

    /// Takes what the client sent. False: the connection is over.
    fn read(&mut self, now: Now, counters: &Counters) -> bool {
        for _ in 0..READ_BATCH {
            if !self.readable {
                return true;
            }
            if self.deaf {
                return self.discard();
            }
            match self.socket.read() {
                Ok(message) => self.take(message, now, counters),
                Err(Error::Io(e)) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.readable = false;
                }
                Err(Error::Io(_) | Error::ConnectionClosed | Error::AlreadyClosed) => return false,
                Err(e) => {
                    log::debug!("a live client broke the protocol error={e}");
                    counters.add(Count::WsBad);
                    self.deaf = true;
                    self.close(Close::BAD_MESSAGE, "bad message", now.mono);
                }
            }
        }
        true
    }

    /// Takes one piece off the socket unread, so that the peer can read our close frame.
    fn discard(&mut self) -> bool {
        let (stream, mut piece) = (self.socket.get_mut(), [0; 4 << 10]);
        match unblocked(|| stream.read(&mut piece)) {
            Ok(Some(n)) => n > 0,
            Ok(None) => {
                self.readable = false;
                true
            }
            Err(_) => false,
        }
    }

    fn take(&mut self, message: Message, now: Now, counters: &Counters) {
        self.heard = now.mono;
        if self.closing.is_some() {
            return;
        }
        let refused = match message {
            Message::Text(text) => self.viewer.receive(now, text.as_str()).err(),
            Message::Binary(_) => Some(Close { code: Close::BAD_MESSAGE, reason: "text only" }),
            Message::Close(_) => {
                self.closing = Some(now.mono + CLOSING);
                None
            }
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => None,
        };
        if let Some(close) = refused {
            counters.add(Count::WsBad);
            self.close(close.code, close.reason, now.mono);
        }
    }

    /// Hands what waits to the socket as far as it takes it. False: the connection is over.
    fn flush(&mut self, now: Mono) -> bool {
        if self.blocked.is_some() {
            if !self.writable {
                return true;
            }
            let flushed = self.socket.flush();
            if !self.settle(flushed, now) {
                return false;
            }
        }
        while self.blocked.is_none() && self.closing.is_none() {
            let Some(frame) = self.next_frame() else { break };
            let written = self.socket.write(Message::Frame(frame));
            if !self.settle(written, now) {
                return false;
            }
        }
        if self.blocked.is_none() && self.socket.get_ref().is_pending() {
            let flushed = self.socket.flush();
            return self.settle(flushed, now);
        }
        true
    }

    fn next_frame(&mut self) -> Option<Frame> {
        let outgoing = self.waiting.front_mut()?;
        let from = outgoing.at;
        let to = outgoing.text.len().min(from + FRAGMENT);
        outgoing.at = to;
        let kind = if from == 0 { Data::Text } else { Data::Continue };
        let bytes = outgoing.text.as_bytes()[from..to].to_vec();
        let last = to == outgoing.text.len();
        if last {
            self.waiting.pop_front();
        }
        Some(Frame::message(bytes, OpCode::Data(kind), last))
    }

    /// What a write came to. False: the connection is over.
    fn settle(&mut self, result: Result<(), Error>, now: Mono) -> bool {
        match result {
            Ok(()) => {
                self.blocked = None;
                true
            }
            Err(Error::Io(e)) if e.kind() == io::ErrorKind::WouldBlock => {
                self.writable = false;
                self.blocked.get_or_insert(now);
                true
            }
            Err(e) => {
                log::debug!("a live client is gone error={e}");
                false
            }
        }
    }

    /// Begins the closing handshake; nothing more is told.
    fn close(&mut self, code: u16, reason: &'static str, now: Mono) {
        if self.closing.is_some() {
            return;
        }
        self.waiting.clear();
        let frame = CloseFrame { code: code.into(), reason: reason.into() };
        let closed = self.socket.close(Some(frame));
        let alive = self.settle(closed, now);
        self.closing = Some(if alive { now + CLOSING } else { now });
    }

    /// Looks at the clocks of the connection. True: it is over.
    fn is_over(&mut self, now: Mono, counters: &Counters) -> bool {
        if let Some(end) = self.closing {
            return now >= end;
        }
        if self.blocked.is_some_and(|since| now.since(since) >= TOO_SLOW) {
            counters.add(Count::WsTooSlow);
            self.close(Close::TOO_SLOW, "too slow", now);
            return false;
        }
        if now.since(self.heard) >= DEAD {
            counters.add(Count::WsDead);
            return true;
        }
        if now.since(self.heard.max(self.pinged)) >= PING {
            self.pinged = now;
            let pinged = self.socket.write(Message::Ping(Default::default()));
            return !self.settle(pinged, now);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::net::UnixStream;
    use std::io::Write;

    const NOW: Mono = Mono::from_secs(1000);

    fn pair() -> (Client, std::os::unix::net::UnixStream) {
        let (here, there) = UnixStream::pair().expect("a pair");
        let newcomer = Newcomer {
            stream: Stream::Unix(here),
            leftover: Vec::new(),
            address: None,
            caller: Caller::Open,
        };
        let there = std::os::unix::net::UnixStream::from(std::os::fd::OwnedFd::from(there));
        (Client::new(newcomer, None, NOW), there)
    }

    #[test]
    fn long_message_goes_in_pieces_and_arrives_whole_while_pings_pass() {
        let (mut client, there) = pair();
        let counters = Counters::new();
        let mut browser = WebSocket::from_raw_socket(there, Role::Client, None);
        let text = "é".repeat(500_000);
        client.tell(text.clone());
        client.tell("next".to_owned());
        assert!(client.flush(NOW) && client.blocked.is_some(), "the socket takes less at once");
        assert!(!client.is_due(NOW, true), "nothing is told before it has gone");
        (client.heard, client.pinged) = (NOW - PING, NOW - PING);
        assert!(!client.is_over(NOW, &counters));
        let (mut said, mut pings) = (Vec::new(), 0);
        browser.get_mut().set_nonblocking(true).expect("set");
        while said.len() < 2 {
            client.writable = true;
            assert!(client.flush(NOW));
            match browser.read() {
                Ok(Message::Text(text)) => said.push(text.as_str().to_owned()),
                Ok(Message::Ping(_)) => pings += 1,
                Ok(other) => panic!("{other:?}"),
                Err(Error::Io(e)) => assert_eq!(e.kind(), io::ErrorKind::WouldBlock),
                Err(e) => panic!("{e}"),
            }
        }
        assert!(said == [text, "next".to_owned()] && pings == 1);
        assert!(client.is_due(NOW, true));
    }

    #[test]
    fn h2_client_that_takes_nothing_is_closed_after_its_time() {
        let (mut client, _there) = pair();
        let counters = Counters::new();
        client.tell("x".repeat(4 << 20));
        assert!(client.flush(NOW));
        let late = NOW + TOO_SLOW;
        assert!(!client.is_over(late - Duration::from_secs(1), &counters));
        assert!(client.closing.is_none());
        assert!(!client.is_over(late, &counters));
        assert!(client.closing.is_some() && client.waiting.is_empty());
        assert!(client.is_over(late + CLOSING, &counters));
        assert!(counters.list().contains(&("ws_too_slow", 1)));
    }

    #[test]
    fn silent_client_is_pinged_and_then_given_up() {
        let (mut client, mut there) = pair();
        let counters = Counters::new();
        assert!(!client.is_over(NOW + PING - Duration::from_secs(1), &counters));
        assert!(!client.is_over(NOW + PING, &counters));
        let mut frame = [0; 2];
        there.read_exact(&mut frame).expect("a ping");
        assert_eq!(frame, [0x89, 0]);
        assert!(!client.is_over(NOW + DEAD - Duration::from_secs(1), &counters));
        // A masked pong keeps it.
        there.write_all(&[0x8a, 0x80, 0, 0, 0, 0]).expect("sent");
        client.readable = true;
        let now = Now { mono: NOW + DEAD, ..Now::default() };
        assert!(client.read(now, &counters) && !client.is_over(now.mono, &counters));
        assert!(client.is_over(now.mono + DEAD, &counters));
    }
}
