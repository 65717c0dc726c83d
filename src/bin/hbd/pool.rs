//! The pool that answers complete requests: `http-N` threads behind tiny_http on a private unix
//! socket.
//!
//! Only the gate talks to it, one checked request a connection. It owns the socket's directory
//! (mode 0700), and brings tiny_http up again where its accept loop ended, which it does for good
//! at the first error.

use crate::agent_file;
use crate::gate::App;
use crate::gate::counter::{Count, Counters};
use crate::gate::exchange::{CONTROL, PEER_FIELD, SECURE_FIELD};
use crate::{fault, pulse};
use heartbeat::limits;
use heartbeat::os;
use heartbeat::time::Duration;
use heartbeat::web::{Body, Method, Peer, Request, Response};
use std::io::{self, Cursor, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
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
const DIR_PREFIX: &str = "hbd-pool-";
/// Entries of a directory looked at.
const SWEEP_MAX: usize = 4096;
/// Longest path of a unix socket on every supported system, with its zero.
const SOCKET_PATH_MAX: usize = 100;

pub struct Pool {
    dir: PathBuf,
    current: Mutex<Current>,
    stopping: AtomicBool,
}

#[derive(Clone)]
struct Current {
    generation: u32,
    path: Arc<Path>,
    server: Arc<tiny_http::Server>,
}

/// The pool and its threads.
pub type Started = (Arc<Pool>, Vec<JoinHandle<()>>);

/// Binds the private socket and starts the threads. The pool's last owner removes the directory.
pub fn start(app: &Arc<dyn App>, counters: &Arc<Counters>) -> io::Result<Started> {
    let dir = make_dir()?;
    let pool = Arc::new(Pool {
        current: Mutex::new(open(&dir, 0)?),
        dir,
        stopping: AtomicBool::new(false),
    });
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
    pub fn path(&self) -> Arc<Path> {
        self.current().path.clone()
    }

    /// Brings the socket up again after nobody listened on it.
    pub fn revive(&self) {
        let generation = self.current().generation;
        self.revive_from(generation);
    }

    /// Lets the threads end once they have answered what they have taken.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.unblock_all(&self.current().server);
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever saw `generation` fail replaces it; the others find it replaced.
    fn revive_from(&self, generation: u32) {
        let mut current = self.current();
        if current.generation != generation || self.stopping.load(Ordering::Acquire) {
            return;
        }
        match open(&self.dir, generation + 1) {
            Ok(next) => {
                log::warn!(
                    "the HTTP pool's socket was lost and is up again generation={}",
                    generation + 1
                );
                let old = std::mem::replace(&mut *current, next);
                drop(current);
                self.unblock_all(&old.server);
            }
            Err(e) => log::error!("the HTTP pool's socket cannot be brought up error={e}"),
        }
    }

    fn unblock_all(&self, server: &tiny_http::Server) {
        for _ in 0..WORKERS {
            server.unblock();
        }
    }

    fn work(&self, app: &dyn App, counters: &Counters) {
        while !self.stopping.load(Ordering::Acquire) {
            let current = self.current().clone();
            pulse::waits();
            let received = current.server.recv();
            pulse::works();
            match received {
                Ok(request) => answer(request, app, counters),
                Err(_) if self.stopping.load(Ordering::Acquire) => return,
                Err(_) => self.renew(&current),
            }
        }
    }

    /// `recv` failed: somebody replaced the server, or its accept loop ended.
    fn renew(&self, seen: &Current) {
        self.revive_from(seen.generation);
        if self.current().generation == seen.generation {
            // Descriptors are short, most likely: a pause, and another attempt.
            let _ = seen.server.recv_timeout(Duration::from_millis(100));
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn open(dir: &Path, generation: u32) -> io::Result<Current> {
    let path = dir.join(format!("pool-{generation}"));
    // tiny_http panics where it cannot start a thread.
    let server = catch_unwind(AssertUnwindSafe(|| tiny_http::Server::http_unix(&path)))
        .map_err(|_| io::Error::other("no thread for tiny_http"))?
        .map_err(io::Error::other)?;
    Ok(Current { generation, path: path.into(), server: Arc::new(server) })
}

/// A directory that only we can enter, in `$RUNTIME_DIRECTORY` or where temporary files go.
fn make_dir() -> io::Result<PathBuf> {
    let runtime = std::env::var_os("RUNTIME_DIRECTORY")
        .and_then(|list| std::env::split_paths(&list).next())
        .filter(|dir| dir.is_absolute());
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for base in runtime.into_iter().chain([std::env::temp_dir(), PathBuf::from("/tmp")]) {
        if base.as_os_str().len() > SOCKET_PATH_MAX - 40 {
            continue;
        }
        sweep(&base);
        for attempt in 0..64 {
            let dir = base.join(format!("{DIR_PREFIX}{}-{attempt}", std::process::id()));
            match std::fs::DirBuilder::new().mode(0o700).create(&dir) {
                Ok(()) => return Ok(dir),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => last = e,
                Err(e) => {
                    last = e;
                    break;
                }
            }
        }
    }
    Err(last)
}

/// Removes what servers that were killed left behind: our own directories in which nobody listens.
fn sweep(base: &Path) {
    let Ok(entries) = std::fs::read_dir(base) else { return };
    for entry in entries.flatten().take(SWEEP_MAX) {
        let ours = entry.file_name().as_bytes().starts_with(DIR_PREFIX.as_bytes())
            && entry
                .metadata()
                .is_ok_and(|meta| meta.is_dir() && meta.uid() == nix::unistd::geteuid().as_raw());
        if ours && is_deserted(&entry.path()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Whether there are sockets, and none of them is listened on. (An empty one is just being made.)
fn is_deserted(dir: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(dir) else { return false };
    let mut sockets = entries.flatten().take(SWEEP_MAX).peekable();
    let refused = |path: PathBuf| {
        UnixStream::connect(path).is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused)
    };
    sockets.peek().is_some() && sockets.all(|socket| refused(socket.path()))
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn directory_of_a_killed_server_is_swept_and_others_stay() {
        let base = tempfile::tempdir().expect("a directory");
        let make = |name: &str| {
            let dir = base.path().join(name);
            std::fs::create_dir(&dir).expect("made");
            dir
        };
        let (dead, alive) = (make("hbd-pool-1-0"), make("hbd-pool-2-0"));
        let (empty, foreign) = (make("hbd-pool-3-0"), make("other"));
        drop(UnixListener::bind(dead.join("pool-0")).expect("bound"));
        drop(UnixListener::bind(foreign.join("pool-0")).expect("bound"));
        let _listener = UnixListener::bind(alive.join("pool-0")).expect("bound");
        sweep(base.path());
        assert!(!dead.exists() && alive.exists() && empty.exists() && foreign.exists());
    }
}
