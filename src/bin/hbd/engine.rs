//! The thread `engine`: the one owner of the state machine, and the only reader of the UDP sockets.
//!
//! Waits on the sockets and on its inbox, hands what came to `Engine`, and carries its effects out. Never waits
//! for a disk, a browser or a name server: replies that the kernel does not take are dropped and counted, records
//! go to the store's table, views are swapped behind a lock that is held for one assignment.

use crate::dns;
use crate::fault;
use crate::history;
use crate::journal;
use crate::notify;
use crate::pulse;
use crate::remote;
use crate::shared::Shared;
use crate::store;
use crate::udp::{self, Inbound, Outbound};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use heartbeat::config::server::Server;
use heartbeat::engine::outbox::Outcome as OutboxOutcome;
use heartbeat::engine::view::{EventKind, Level};
use heartbeat::engine::{Command, Effect, Engine, Event, Outcome, Path, Recorded, Reply};
use heartbeat::notice::Message;
use heartbeat::os::{clock, thread};
use heartbeat::time::{Mono, Now};
use heartbeat::wire::{Decoder, Keyring, Reject, is_sealed};
use mio::{Events, Interest, Poll, Token, Waker};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

/// Orders that may wait for the engine; one more is refused.
pub const ORDERS_MAX: usize = 256;
/// Batches read from one socket before the others, the orders and the clock have their turn.
const BATCHES_PER_TURN: usize = 8;
const ORDERS_PER_TURN: usize = 64;
/// A tick that is due waits until the sockets are empty, but for no more datagrams than this. Every datagram
/// takes more than 256 bytes of a receive buffer of at most 4 MiB, so what had arrived when it fell due is read.
const DRAIN_MAX: usize = 16_384;
/// Where making a view is expensive, because thousands of hosts reported since the last, the pause after it grows
/// so that views cost at most a part of `PUBLISH_SHARE` of the thread's time.
const PUBLISH_PAUSE_MAX: Duration = Duration::from_millis(100);
const PUBLISH_SHARE: u32 = 32;
/// A view is worked for so many hosts at a time, a millisecond or so: datagrams come in between.
const FRESHEN_MAX: usize = 1024;
const WAKE: Token = Token(usize::MAX);
/// Of it 36 KiB became resident with 10,000 hosts (smaps, x86_64).
const STACK: usize = 512 << 10;

/// What other threads ask of this one.
pub enum Order {
    Command {
        command: Command,
        answer: Sender<Answer>,
    },
    Reload(Arc<Server>),
    /// The pre-shared keys from now on.
    Keys(Arc<Keyring>),
    /// What was to be on disk is, or could not be written.
    Secured {
        token: u64,
        saved: bool,
    },
    /// A worker has something to tell.
    Tell {
        kind: EventKind,
        level: Level,
        text: String,
    },
    /// What came of the update that the worker `dns` had.
    DnsDone(Result<(), String>),
    /// What a channel's thread made of a message.
    Delivered {
        message: u64,
        outcome: OutboxOutcome,
    },
    Stop,
}

/// The outcome, given when it is on disk; `Err` where the disk did not take it.
pub type Answer = Result<Outcome, NotSaved>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotSaved;

/// Where orders are put in; cheap to clone.
#[derive(Clone)]
pub struct Inbox {
    orders: Sender<Order>,
    waker: Arc<Waker>,
}

impl Inbox {
    /// `false` where the inbox is full or the engine has ended.
    #[must_use]
    pub fn send(&self, order: Order) -> bool {
        let sent = match self.orders.try_send(order) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        };
        if let Err(error) = self.waker.wake() {
            log::error!("cannot be woken error={error}");
        }
        sent
    }

    pub fn len(&self) -> usize {
        self.orders.len()
    }
}

/// Where what the engine wants done goes.
pub type Ends =
    (store::Handle, journal::Pen, dns::Handle, remote::Pen, history::Pen, notify::Handle);

/// Starts the thread. The sockets are bound and non-blocking.
pub fn start(
    engine: Engine,
    sockets: Vec<UdpSocket>,
    ends: Ends,
    shared: Arc<Shared>,
) -> io::Result<(Inbox, JoinHandle<()>)> {
    let poll = Poll::new()?;
    let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
    let (sender, orders) = bounded(ORDERS_MAX);
    let mut sockets: Vec<_> = sockets.into_iter().map(mio::net::UdpSocket::from_std).collect();
    for (i, socket) in sockets.iter_mut().enumerate() {
        poll.registry().register(socket, Token(i), Interest::READABLE)?;
    }
    shared.set_waker(Arc::clone(&waker));
    let inbox = Inbox { orders: sender, waker };
    let own = inbox.clone();
    let body = move || match Loop::new(poll, engine, sockets, (own, orders), ends, shared) {
        Ok(turns) => turns.run(),
        Err(error) => panic!("cannot set up the sockets: {error}"),
    };
    Ok((inbox, thread::spawn("engine", STACK, body)?))
}

/// One bound socket and the replies that wait to leave through it.
struct Port {
    socket: mio::net::UdpSocket,
    outbound: Outbound,
    is_ipv4: bool,
    /// The address it is bound to; `None`: all of its family.
    own: Option<IpAddr>,
    /// May hold datagrams: set by an event, cleared by an empty read.
    readable: bool,
    /// The kernel's drop counter as last seen; it wraps.
    drops: u32,
}

impl Port {
    fn new(socket: mio::net::UdpSocket) -> io::Result<Port> {
        let address = socket.local_addr()?.ip();
        let (is_ipv4, own) =
            (address.is_ipv4(), Some(address).filter(|address| !address.is_unspecified()));
        // Readable at first: with an inherited socket the kernel may hold datagrams from before the start.
        Ok(Port { socket, outbound: Outbound::new(), is_ipv4, own, readable: true, drops: 0 })
    }

    fn carries(&self, path: &Path) -> bool {
        self.is_ipv4 == path.from.is_ipv4() && (self.own.is_none() || path.to == self.own)
    }

    fn push(&mut self, path: &Path, reply: Reply) -> u64 {
        self.outbound.push(path, reply, self.own.is_none());
        if self.outbound.is_full() { self.flush() } else { 0 }
    }

    fn flush(&mut self) -> u64 {
        self.outbound.flush(self.socket.as_fd())
    }
}

struct Loop {
    poll: Poll,
    engine: Engine,
    decoder: Decoder,
    /// The same that the engine was given last.
    keys: Arc<Keyring>,
    /// Where the store says that something is on disk.
    inbox: Inbox,
    inbound: Inbound,
    ports: Vec<Port>,
    orders: Receiver<Order>,
    store: store::Handle,
    journal: journal::Pen,
    dns: dns::Handle,
    remote: remote::Pen,
    history: history::Pen,
    notify: notify::Handle,
    shared: Arc<Shared>,
    /// Who waits for the answer to a command, by the id it was given to the engine with.
    waiting: BTreeMap<u64, Sender<Answer>>,
    answered: Vec<(u64, Outcome)>,
    /// For the channels' threads, after what they say is on its way to the disk.
    #[allow(clippy::vec_box, reason = "each box is handed on as it is")]
    messages: Vec<Box<Message>>,
    command_id: u64,
    publish_at: Mono,
    /// What the next view has cost so far.
    publish_cost: Duration,
    /// An order was carried out whose answer waits for a view with it.
    obeyed: bool,
    tick_due: bool,
    /// Datagrams read since it is.
    drained: usize,
    kernel_drops: u64,
    stopping: bool,
}

impl Loop {
    fn new(
        poll: Poll,
        engine: Engine,
        sockets: Vec<mio::net::UdpSocket>,
        (inbox, orders): (Inbox, Receiver<Order>),
        (store, journal, dns, remote, history, notify): Ends,
        shared: Arc<Shared>,
    ) -> io::Result<Loop> {
        let ports = sockets.into_iter().map(Port::new).collect::<io::Result<_>>()?;
        let keys = engine.keyring();
        Ok(Loop {
            poll,
            engine,
            decoder: Decoder::new(),
            keys,
            inbox,
            inbound: Inbound::new()?,
            ports,
            orders,
            store,
            journal,
            dns,
            remote,
            history,
            notify,
            shared,
            waiting: BTreeMap::new(),
            answered: Vec::new(),
            messages: Vec::new(),
            command_id: 0,
            publish_at: Mono::ZERO,
            publish_cost: Duration::ZERO,
            obeyed: false,
            tick_due: false,
            drained: 0,
            kernel_drops: 0,
            stopping: false,
        })
    }

    fn run(mut self) {
        let mut events = Events::with_capacity(16);
        let mut now = clock::now();
        while !self.stopping {
            pulse::waits();
            if let Err(error) = self.poll.poll(&mut events, self.timeout(now.mono))
                && error.kind() != io::ErrorKind::Interrupted
            {
                panic!("poll: {error}");
            }
            pulse::works();
            fault::point("engine");
            for event in &events {
                if let Some(port) = self.ports.get_mut(event.token().0) {
                    port.readable = true;
                }
            }
            now = clock::now();
            self.turn(now);
        }
        self.engine.handle(now, Event::Stop);
        self.carry_out();
        self.flush();
        while !self.publish() {}
    }

    /// In this order: (1) effects, drained after every single mutation and sent at the end of each batch, so that
    /// an ACK never waits for other work; (2) datagrams, a budget of batches per socket; (3) orders; (4) the tick,
    /// once nothing that arrived before it is unread (THREATS S8).
    fn turn(&mut self, now: Now) {
        // Asked first: each datagram handled moves the timeout past `now`.
        let due = self.engine.poll_timeout().is_some_and(|at| at <= now.mono);
        self.receive(now);
        self.obey(now);
        self.tick(now, due);
        self.hand_over_messages(now);
        self.flush();
        if self.obeyed || self.shared.is_view_wanted() && now.mono >= self.publish_at {
            self.publish();
        }
    }

    /// How long nothing will happen by itself.
    fn timeout(&self, now: Mono) -> Option<Duration> {
        if self.obeyed || !self.orders.is_empty() || self.ports.iter().any(|port| port.readable) {
            return Some(Duration::ZERO);
        }
        let publish = self.shared.is_view_wanted().then_some(self.publish_at);
        let next = [self.engine.poll_timeout(), publish].into_iter().flatten().min();
        Some(next.map_or(Duration::MAX, |at| at.since(now)).min(Duration::from_secs(1)))
    }

    fn receive(&mut self, now: Now) {
        for at in 0..self.ports.len() {
            for _ in 0..BATCHES_PER_TURN {
                if !self.ports[at].readable {
                    break;
                }
                let n = match self.inbound.receive(self.ports[at].socket.as_fd()) {
                    Ok(n) => n,
                    Err(error) => {
                        log::warn!("receive failed error={error}");
                        0
                    }
                };
                self.ports[at].readable = n > 0;
                self.drained += n;
                for i in 0..n {
                    self.take(now, at, i);
                }
                self.flush();
                if n > 0 {
                    // Those of a later batch have waited for the ones before it.
                    self.shared.handling.note(n, clock::now().mono.since(now.mono));
                }
            }
        }
    }

    /// One datagram: decode, mutate, effects.
    fn take(&mut self, now: Now, at: usize, i: usize) {
        let (mut path, bytes, drops) = self.inbound.datagram(i);
        path.to = path.to.or(self.ports[at].own);
        let (decoder, len) = (&mut self.decoder, bytes.len());
        // The decoder keeps nothing between calls, so a panic of it costs one datagram (THREATS S12).
        let poison = if is_sealed(bytes) {
            let keys = &*self.keys;
            let opened = fault::guard(move || decoder.open(bytes, keys));
            let poison = opened.is_none();
            let opened = opened.unwrap_or_else(|| Err(Reject::BadField.into()));
            self.engine.handle(now, Event::Sealed { path, len, opened });
            poison
        } else {
            let decoded = fault::guard(move || decoder.decode(bytes));
            let poison = decoded.is_none();
            let decoded = decoded.unwrap_or(Err(Reject::BadField));
            self.engine.handle(now, Event::Datagram { path, len, decoded });
            poison
        };
        if poison {
            let head: String = bytes.iter().take(64).map(|b| format!("{b:02x}")).collect();
            log::error!("decoder failed from={} len={} bytes={head}", path.from, bytes.len());
            self.decoder = Decoder::new();
        }
        if let Some(drops) = drops {
            self.note_drops(now, at, drops);
        }
        self.carry_out();
    }

    fn note_drops(&mut self, now: Now, at: usize, drops: u32) {
        let more = drops.wrapping_sub(self.ports[at].drops);
        if more > 0 {
            self.ports[at].drops = drops;
            self.kernel_drops += u64::from(more);
            self.engine.handle(now, Event::KernelDrops(self.kernel_drops));
        }
    }

    fn obey(&mut self, now: Now) {
        for _ in 0..ORDERS_PER_TURN {
            let Ok(order) = self.orders.try_recv() else { break };
            // Nobody waits for an answer to this one.
            self.obeyed |= !matches!(order, Order::Delivered { .. });
            let done = matches!(order, Order::Delivered { outcome: OutboxOutcome::Done, .. });
            match order {
                Order::Command { command, answer } => {
                    self.command_id += 1;
                    self.waiting.insert(self.command_id, answer);
                    self.engine.handle(now, Event::Command { id: self.command_id, command });
                }
                Order::Reload(config) => {
                    self.engine.set_zones(now, crate::serve::zones(&config));
                    self.engine.handle(now, Event::Reload(config));
                }
                Order::Keys(ring) => {
                    self.engine.handle(now, Event::Keys(ring));
                    self.keys = self.engine.keyring();
                }
                Order::Secured { token, saved } => {
                    self.engine.handle(now, Event::Secured { token, saved });
                }
                Order::Tell { kind, level, text } => {
                    self.engine.handle(now, Event::Worker { kind, level, text });
                }
                Order::DnsDone(outcome) => self.engine.handle(now, Event::DnsDone(outcome)),
                Order::Delivered { message, outcome } => {
                    self.engine.handle(now, Event::Delivered { message, outcome });
                }
                Order::Stop => self.stopping = true,
            }
            self.carry_out();
            if done {
                // On disk at once: until then a kill would send it again.
                self.store.promise(Box::new(|_| ()));
            }
        }
    }

    fn tick(&mut self, now: Now, due: bool) {
        self.tick_due |= due;
        if !self.tick_due {
            self.drained = 0;
        } else if self.drained >= DRAIN_MAX || self.ports.iter().all(|port| !port.readable) {
            self.drained = 0;
            self.tick_due = false;
            self.engine.handle(now, Event::Tick);
            self.carry_out();
        }
    }

    /// A message leaves once it is in the store: a kill between the two would send it twice, or not at all. Its
    /// thread waits for the disk, not this one.
    fn hand_over_messages(&mut self, now: Now) {
        for message in std::mem::take(&mut self.messages) {
            let (promise, saved) = bounded(1);
            let (id, full) = (message.id, OutboxOutcome::Full);
            if self.notify.send(notify::Job { message, saved }) {
                self.store.promise(Box::new(move |saved| {
                    let _ = promise.try_send(saved);
                }));
            } else {
                self.engine.handle(now, Event::Delivered { message: id, outcome: full });
            }
        }
        self.carry_out();
    }

    fn carry_out(&mut self) {
        let (mut unsaved, mut promised) = (Vec::new(), Vec::new());
        while let Some(effect) = self.engine.poll_effect() {
            match effect {
                Effect::Persist(records) => unsaved.extend(records),
                Effect::Send { path, reply } => self.send(&path, reply),
                Effect::Order { path, bytes } => self.send_order(&path, &bytes),
                Effect::Secure { token } => promised.push(token),
                // It is in the next view, and the engine has logged it.
                Effect::Publish(_) => {}
                Effect::Journal(record) => self.journal.write(record),
                Effect::Record(recorded) => self.record(recorded),
                Effect::Answer { id, outcome } => self.answered.push((id, outcome)),
                // Nobody takes it only while the server stops; it is saved as owed.
                Effect::Dns(job) => drop(self.dns.send(job)),
                Effect::Notify(message) => self.messages.push(message),
                Effect::Pair { note } => self.shared.notes.put(note),
            }
        }
        // All at once: between two commits a kill would leave a host that is told of as told, and nothing to tell.
        if !unsaved.is_empty() {
            self.store.save(unsaved);
        }
        for token in promised {
            let inbox = self.inbox.clone();
            self.store.promise(Box::new(move |saved| {
                if !inbox.send(Order::Secured { token, saved }) {
                    log::debug!("not told that it is on disk token={token}");
                }
            }));
        }
    }

    /// The mark comes before the answer: who was answered finds a view with it.
    fn send(&mut self, path: &Path, reply: Reply) {
        self.shared.mark_stale();
        let dropped = match self.ports.iter_mut().find(|port| port.carries(path)) {
            Some(port) => port.push(path, reply),
            None => 1,
        };
        self.count_dropped(dropped);
    }

    /// Orders are few and leave at once.
    fn send_order(&mut self, path: &Path, bytes: &[u8]) {
        let sent = self.ports.iter().find(|port| port.carries(path)).is_some_and(|port| {
            udp::send(port.socket.as_fd(), path, bytes, port.own.is_none()).is_ok()
        });
        self.count_dropped(u64::from(!sent));
    }

    /// The ACKs first, then the journal.
    fn flush(&mut self) {
        if self.engine.dirty() {
            self.shared.mark_stale();
        }
        fault::point("engine_before_reply");
        let dropped = self.ports.iter_mut().map(Port::flush).sum();
        fault::point("engine_after_reply");
        self.count_dropped(dropped);
        self.journal.hand_over();
        self.remote.hand_over();
        self.history.hand_over();
    }

    /// For whoever keeps numbers over time.
    fn record(&mut self, recorded: Recorded) {
        if self.remote.is_wanted() {
            self.remote.write(recorded.clone());
        }
        self.history.write(recorded);
    }

    fn count_dropped(&self, replies: u64) {
        if replies > 0 {
            self.shared.replies_dropped.fetch_add(replies, Ordering::Relaxed);
        }
    }

    /// A step towards the next view. Says whether it is there, and with it the answers that waited for it.
    fn publish(&mut self) -> bool {
        let before = clock::now().mono;
        let fresh = self.engine.freshen(FRESHEN_MAX);
        if fresh {
            self.shared.set_view(self.engine.view());
        }
        let after = clock::now().mono;
        self.publish_cost += after.since(before);
        if fresh {
            let pause = std::mem::take(&mut self.publish_cost).saturating_mul(PUBLISH_SHARE);
            self.publish_at = after + pause.min(PUBLISH_PAUSE_MAX);
            if std::mem::take(&mut self.obeyed) {
                self.answer();
            }
        }
        fresh
    }

    /// What changed something is told once it is on disk, anything else at once. Nobody may be waiting any more:
    /// that is no error.
    fn answer(&mut self) {
        fault::point("engine_before_answer");
        for (id, outcome) in self.answered.drain(..) {
            let Some(answer) = self.waiting.remove(&id) else { continue };
            if matches!(outcome, Outcome::Done | Outcome::Made(_) | Outcome::Queued(_)) {
                self.store.promise(Box::new(move |saved| {
                    let _ = answer.try_send(if saved { Ok(outcome) } else { Err(NotSaved) });
                }));
            } else {
                let _ = answer.try_send(Ok(outcome));
            }
        }
    }
}
