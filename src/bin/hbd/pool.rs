//! The pool that answers complete requests: `http-N` threads behind tiny_http on a private unix
//! socket.
//!
//! Only the gate talks to it, one checked request a connection. It brings tiny_http up again where
//! its accept loop ended, which it does for good at the first error, and answers what the old one
//! had taken.

mod dir;

use crate::agent_file;
use crate::gate::App;
use crate::gate::ask::{CONTROL, PEER_FIELD, SECURE_FIELD};
use crate::gate::counter::{Count, Counters};
use crate::{fault, pulse};
use dir::Dir;
use heartbeat::limits;
use heartbeat::os;
use heartbeat::time::Duration;
use heartbeat::web::{Body, Method, Peer, Request, Response};
use std::io::{self, Cursor, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Threads that answer.
const WORKERS: usize = 6;
/// Of them at most so many wait for a password to be hashed; the others go on answering.
pub const LOGIN_MAX: usize = WORKERS - 2;
/// Requests given to the pool at once. tiny_http starts a thread for a connection that finds none
/// idle, and more would only wait there instead of in the gate's queue.
pub const IN_FLIGHT: usize = 8;
/// Bytes; templates recurse.
const STACK: usize = 1 << 20;
/// How long the first thread that leaves a server that ended stays for what that one is just taking.
const LINGER: Duration = Duration::from_millis(100);
/// Between two attempts to bring the socket up.
const PAUSE: Duration = Duration::from_millis(100);

pub struct Pool {
    current: Mutex<Current>,
    stopping: AtomicBool,
}

/// tiny_http as it listens now.
#[derive(Clone)]
struct Current {
    door: Door,
    server: Arc<tiny_http::Server>,
    /// Some thread has stayed for its last requests.
    emptied: Arc<AtomicBool>,
    dir: Arc<Dir>,
}

/// Where requests are taken; a later one has a greater generation.
#[derive(Clone)]
pub struct Door {
    generation: u32,
    pub path: Arc<Path>,
}

/// The pool and its threads.
pub type Started = (Arc<Pool>, Vec<JoinHandle<()>>);

/// Binds the private socket and starts the threads.
pub fn start(app: &Arc<dyn App>, counters: &Arc<Counters>) -> io::Result<Started> {
    let first = open(&Arc::new(Dir::make()?), 0)?;
    let pool = Arc::new(Pool { current: Mutex::new(first), stopping: AtomicBool::new(false) });
    let mut threads = Vec::new();
    for n in 0..WORKERS {
        let (pool, app, counters) = (pool.clone(), app.clone(), counters.clone());
        let name = format!("http-{n}");
        threads.push(os::thread::spawn(
            &name.clone(),
            STACK,
            crate::gate::guarded(name, move || pool.work(&*app, &counters)),
        )?);
    }
    Ok((pool, threads))
}

impl Pool {
    /// Where a request is taken now.
    pub fn door(&self) -> Door {
        self.current().door.clone()
    }

    /// Brings the socket up again after nobody listened at `door`. Whether there is another now; whoever comes later
    /// finds it replaced.
    pub fn revive(&self, door: &Door) -> bool {
        let mut current = self.current();
        if current.door.generation != door.generation {
            return true;
        }
        if self.stopping.load(Ordering::Acquire) {
            return false;
        }
        match open_next(&current) {
            Ok(next) => {
                let generation = next.door.generation;
                log::warn!(
                    "the HTTP pool's socket was lost and is up again generation={generation}"
                );
                let old = std::mem::replace(&mut *current, next);
                drop(current);
                unblock_all(&old.server);
                true
            }
            Err(e) => {
                log::error!("the HTTP pool's socket cannot be brought up error={e}");
                false
            }
        }
    }

    /// Lets the threads end once they have answered what they have taken.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        unblock_all(&self.current().server);
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// A thread leaves a server only where that one's queue tells it to, and so never before what was queued is
    /// answered.
    fn work(&self, app: &dyn App, counters: &Counters) {
        let mut own = self.current().clone();
        while !self.is_stopping() {
            pulse::waits();
            let received = own.server.recv();
            pulse::works();
            match received {
                Ok(request) => answer(request, app, counters),
                Err(_) => {
                    self.leave(&own, app, counters);
                    own = self.current().clone();
                }
            }
        }
    }

    /// `recv` failed: somebody replaced the server, or its accept loop ended.
    fn leave(&self, own: &Current, app: &dyn App, counters: &Counters) {
        // Descriptors are short, most likely, where it cannot be replaced.
        while !self.is_stopping() && !self.revive(&own.door) {
            answer_late(&own.server, PAUSE, app, counters);
        }
        if own.emptied.swap(true, Ordering::AcqRel) {
            return;
        }
        // It may have accepted requests that it has not queued yet.
        let end = app.now().mono + LINGER;
        while !self.is_stopping() && app.now().mono < end {
            answer_late(&own.server, LINGER / 4, app, counters);
        }
        // What told another thread to leave may have been taken here.
        unblock_all(&own.server);
    }
}

/// One request of a server that ended, where one comes within `span`.
fn answer_late(server: &tiny_http::Server, span: Duration, app: &dyn App, counters: &Counters) {
    pulse::waits();
    let received = server.recv_timeout(span);
    pulse::works();
    if let Ok(Some(request)) = received {
        answer(request, app, counters);
    }
}

fn unblock_all(server: &tiny_http::Server) {
    for _ in 0..WORKERS {
        server.unblock();
    }
}

/// The one after `current`, in another directory where its own was taken away.
fn open_next(current: &Current) -> io::Result<Current> {
    let generation = current.door.generation + 1;
    match open(&current.dir, generation) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => open(&Arc::new(Dir::make()?), generation),
        other => other,
    }
}

fn open(dir: &Arc<Dir>, generation: u32) -> io::Result<Current> {
    let path = dir.socket(generation);
    // An attempt that failed half-way may have left it.
    let _ = std::fs::remove_file(&path);
    // tiny_http panics where it cannot start a thread.
    let server = catch_unwind(AssertUnwindSafe(|| tiny_http::Server::http_unix(&path)))
        .map_err(|_| io::Error::other("no thread for tiny_http"))?
        .map_err(|e| e.downcast().map_or_else(io::Error::other, |e| *e))?;
    Ok(Current {
        door: Door { generation, path: path.into() },
        server: Arc::new(server),
        emptied: Arc::default(),
        dir: Arc::clone(dir),
    })
}

fn answer(mut request: tiny_http::Request, app: &dyn App, counters: &Counters) {
    if request.url().starts_with(agent_file::PREFIX) {
        let peer = match Parts::of(&request).map(|parts| parts.peer) {
            Some(Peer::Remote(address)) => Some(address),
            _ => None,
        };
        return agent_file::answer(request, peer, app);
    }
    let mut body = Vec::new();
    fault::point("http");
    let read = request.as_reader().take(limits::BODY_MAX as u64).read_to_end(&mut body);
    let response = match (read, Parts::of(&request)) {
        (Ok(_), Some(parts)) => respond(&parts.request(&body), app, counters),
        _ => {
            log::error!("the gate sent what the pool cannot read");
            failure()
        }
    };
    fault::point("http_before_answer");
    if let Err(e) = request.respond(render(response)) {
        log::debug!("an answer was not taken error={e}");
    }
    fault::point("http_after_answer");
}

/// Views are read-only and may fail alone. What panics while it changes something ends the process.
fn respond(request: &Request<'_>, app: &dyn App, counters: &Counters) -> Response {
    if !matches!(request.method, Method::Get | Method::Head | Method::Options) {
        return app.respond(request);
    }
    catch_unwind(AssertUnwindSafe(|| app.respond(request))).unwrap_or_else(|_| {
        counters.add(Count::Panics);
        log::error!("a page failed path={:?}", request.path);
        failure()
    })
}

fn failure() -> Response {
    let body =
        br#"{"type":"about:blank","title":"Internal Server Error","status":500,"code":"internal"}"#;
    Response {
        status: 500,
        headers: vec![("Content-Type", "application/problem+json".to_owned())],
        body: Body::Static(body),
    }
}

/// A request of tiny_http, borrowed as ours.
struct Parts<'a> {
    method: Method,
    path: &'a str,
    query: &'a str,
    headers: Vec<(&'a str, &'a str)>,
    peer: Peer,
    secure: bool,
}

impl<'a> Parts<'a> {
    fn of(request: &'a tiny_http::Request) -> Option<Parts<'a>> {
        let (path, query) = request.url().split_once('?').unwrap_or((request.url(), ""));
        let fields =
            || request.headers().iter().map(|h| (h.field.as_str().as_str(), h.value.as_str()));
        let own = |name: &str| fields().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v);
        let peer = match own(PEER_FIELD)? {
            CONTROL => Peer::Control,
            address => Peer::Remote(address.parse().ok()?),
        };
        let is_own =
            |n: &str| n.eq_ignore_ascii_case(PEER_FIELD) || n.eq_ignore_ascii_case(SECURE_FIELD);
        Some(Parts {
            method: Method::parse(request.method().as_str()),
            path,
            query,
            headers: fields().filter(|(n, _)| !is_own(n)).collect(),
            peer,
            secure: own(SECURE_FIELD)? == "1",
        })
    }

    fn request(&'a self, body: &'a [u8]) -> Request<'a> {
        Request {
            method: self.method,
            path: self.path,
            query: self.query,
            headers: &self.headers,
            body,
            peer: self.peer,
            secure: self.secure,
        }
    }
}

struct Bytes(Body);

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// Never chunked: the gate relays by `Content-Length`.
fn render(response: Response) -> tiny_http::Response<Cursor<Bytes>> {
    let len = response.body.as_bytes().len();
    let headers = response.headers.iter().filter_map(|(name, value)| {
        let header = tiny_http::Header::from_bytes(name.as_bytes(), value.as_bytes()).ok();
        if header.is_none() || value.contains(['\r', '\n']) {
            log::error!("a header field cannot be sent name={name}");
            return None;
        }
        header
    });
    tiny_http::Response::new(
        tiny_http::StatusCode(response.status),
        headers.collect(),
        Cursor::new(Bytes(response.body)),
        Some(len),
        None,
    )
    .with_chunked_threshold(usize::MAX)
}
