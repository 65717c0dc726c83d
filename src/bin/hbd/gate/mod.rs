//! The HTTP front: owns every stream socket of the server, from accept to the last byte of an
//! answer.
//!
//! Three kinds of thread: `gate` (accepts, checks, limits, relays), `http-N` (the pool that answers
//! complete requests, behind tiny_http on a private socket) and `ws` (the live connections). None
//! of them owns state of the fleet: they read views and ask the `App`.

mod answer;
pub(crate) mod ask;
mod conn;
pub(crate) mod counter;
mod door;
mod entry;
mod exchange;
mod front;
pub(crate) mod peer;
mod reader;
mod request;
mod serve;
pub(crate) mod stream;
#[cfg(test)]
#[path = "../../../../tests/gate/mod.rs"]
mod tests;
mod tls;
mod upgrade;

use crate::certificate::Certificate;
use crate::pool::{self, Pool};
use crate::{vitals, ws};
use counter::Counters;
use door::Door;
use front::{Gate, Work};
use heartbeat::config::server::Server;
use heartbeat::engine::view::View;
use heartbeat::limits;
use heartbeat::os;
use heartbeat::time::Now;
use heartbeat::web::{Caller, Kept, Request, Response};
use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Bytes of the gate's stack.
const STACK: usize = 256 << 10;
/// Descriptors that are not for peers: UDP, store, journal, notices, and the front's own.
const RESERVED_FILES: u64 = 32;
/// Descriptors of a request in flight: ours to the pool, and tiny_http's two.
const FILES_IN_FLIGHT: u64 = 3;

/// The bound sockets, in any blocking mode.
#[derive(Default)]
pub struct Listeners {
    /// Pages and API, and live connections at `/api/0/live/ws`.
    pub http: Vec<TcpListener>,
    /// Live connections only, at any path.
    pub ws: Vec<TcpListener>,
    /// The same two over TLS; they are empty without a certificate.
    pub https: Vec<TcpListener>,
    pub wss: Vec<TcpListener>,
    pub certificate: Option<Arc<Certificate>>,
    /// The control socket: root and the server's own user only.
    pub control: Option<UnixListener>,
}

/// What the front needs of the server.
pub trait App: Send + Sync {
    /// Answers a complete, checked request. May block; a panic in it is answered with 500 where the
    /// request only reads, and ends the process where it changes something.
    fn respond(&self, request: &Request<'_>) -> Response;
    /// The finished answer to a request, where the very same was made already and still holds. Never blocks.
    fn kept(&self, _request: &Request<'_>) -> Option<Arc<Kept>> {
        None
    }
    fn view(&self) -> Arc<View>;
    fn config(&self) -> Arc<Server>;
    fn now(&self) -> Now;
    /// The names of this machine, accepted as `Host` of a live connection: host name and full name.
    fn machine_names(&self) -> Vec<String> {
        Vec::new()
    }
    /// Whose secret a live connection over the network shows.
    fn caller(&self, _secret: Option<&str>) -> Caller {
        Caller::Open
    }
    /// So many live connections are open now.
    fn note_viewers(&self, _open: usize) {}
    /// Who that is by now.
    fn again(&self, caller: &Caller) -> Caller {
        caller.clone()
    }
}

/// Opens listeners while the front runs.
#[derive(Clone)]
pub struct Annex {
    doors: Arc<Mutex<Vec<Door>>>,
    waker: Arc<mio::Waker>,
}

impl Annex {
    /// # Errors
    /// A socket that cannot be listened on.
    pub fn open(&self, listeners: Listeners) -> Result<(), String> {
        let more = doors(listeners).map_err(|e| e.to_string())?;
        self.doors.lock().unwrap_or_else(PoisonError::into_inner).extend(more);
        self.waker.wake().map_err(|e| e.to_string())
    }

    fn take(&self) -> Vec<Door> {
        std::mem::take(&mut *self.doors.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The running threads of the front.
pub struct Front {
    stop: Arc<AtomicBool>,
    annex: Annex,
    gate: JoinHandle<()>,
    live: ws::Inbox,
    ws: JoinHandle<()>,
    pool: Arc<Pool>,
    workers: Vec<JoinHandle<()>>,
    counters: Arc<Counters>,
}

/// Starts `gate`, `http-N` and `ws`. The listeners answer as soon as this returns.
pub fn start(listeners: Listeners, app: Arc<dyn App>) -> io::Result<Front> {
    let counters = Arc::new(Counters::new());
    let stop = Arc::new(AtomicBool::new(false));
    let budget = Budget::new(vitals::open_files_max().unwrap_or(256));
    let (pool, workers) = pool::start(&app, &counters)?;
    let (live, ws) = ws::start(&app, &counters, &stop, budget.ws)?;
    let poll = mio::Poll::new()?;
    let waker = Arc::new(mio::Waker::new(poll.registry(), front::WAKER)?);
    let annex = Annex { doors: Arc::default(), waker };
    let machine = app.machine_names();
    let mut gate = Gate {
        app,
        poll,
        doors: doors(listeners)?,
        pool: pool.clone(),
        live: live.clone(),
        counters: counters.clone(),
        budget,
        machine,
        stop: stop.clone(),
        annex: annex.clone(),
        work: Work::new(),
    };
    gate.register_doors()?;
    let gate = os::thread::spawn("gate", STACK, guarded("gate".to_owned(), move || gate.run()))?;
    Ok(Front { stop, annex, gate, live, ws, pool, workers, counters })
}

impl Front {
    /// Says goodbye to live clients, flushes answers for at most 2 s, and joins the threads.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Release);
        if let Err(e) = self.annex.waker.wake() {
            log::error!("the gate cannot be woken error={e}");
        }
        self.live.wake();
        // A panic in one of them has ended the process already.
        let _ = self.gate.join();
        let _ = self.ws.join();
        self.pool.stop();
        for worker in self.workers {
            let _ = worker.join();
        }
    }

    pub fn annex(&self) -> Annex {
        self.annex.clone()
    }

    /// What was counted, whenever it is asked for.
    pub fn counts(&self) -> impl Fn() -> Vec<(&'static str, u64)> + Send + Sync + 'static {
        let counters = Arc::clone(&self.counters);
        move || counters.list()
    }

    /// By name, for `/metrics` and the status page.
    pub fn counters(&self) -> Vec<(&'static str, u64)> {
        self.counters.list()
    }
}

/// Within the limit of the contract.
const IN_FLIGHT: usize = {
    assert!(pool::IN_FLIGHT <= limits::HTTP_IN_FLIGHT);
    pool::IN_FLIGHT
};

/// How many of each the process may have open, given its limit of descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    pub conns: usize,
    pub in_flight: usize,
    pub ws: usize,
}

impl Budget {
    fn new(files_max: u64) -> Budget {
        let free = files_max.saturating_sub(RESERVED_FILES);
        let in_flight = (free / 8).clamp(1, IN_FLIGHT as u64);
        let half = free.saturating_sub(FILES_IN_FLIGHT * in_flight) / 2;
        let of = |max: usize| (half.max(4) as usize).min(max);
        Budget {
            conns: of(limits::HTTP_CONNS),
            in_flight: in_flight as usize,
            ws: of(limits::WS_CONNS),
        }
    }
}

/// A thread's body whose panic ends the process: a dead thread never leaves a ghost.
pub(crate) fn guarded(name: String, body: impl FnOnce() + Send) -> impl FnOnce() + Send {
    move || {
        if catch_unwind(AssertUnwindSafe(body)).is_err() {
            log::error!("a thread failed, the process ends thread={name}");
            std::process::abort();
        }
    }
}

fn doors(listeners: Listeners) -> io::Result<Vec<Door>> {
    let Listeners { http, ws, https, wss, certificate, control } = listeners;
    let mut doors = Vec::new();
    for (plain, secure, kind) in [(http, https, conn::Kind::Http), (ws, wss, conn::Kind::Ws)] {
        for listener in plain {
            doors.push(Door::tcp(listener, kind)?);
        }
        for (listener, certificate) in secure.into_iter().zip(certificate.iter().cycle()) {
            doors.push(Door::tls(listener, kind, certificate)?);
        }
    }
    if let Some(listener) = control {
        doors.push(Door::control(listener)?);
    }
    Ok(doors)
}
