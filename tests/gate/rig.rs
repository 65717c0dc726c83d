//! A front with an app of a few routes, and clients that read what it says.

use crate::certificate::Certificate;
use crate::gate::{App, Front, Listeners, start};
use heartbeat::config::server::{Cidr, Server};
use heartbeat::engine::view::{Counters, Event, EventKind, HostTable, View};
use heartbeat::os;
use heartbeat::time::{Duration, Now};
use heartbeat::web::{Body, Method, Peer, Request, Response};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, OnceLock};

pub const LARGE: usize = 3 << 20;
/// Two of it are more than may wait for slow peers.
pub const HUGE: usize = 24 << 20;

pub struct Rig {
    pub http: SocketAddr,
    pub ws: SocketAddr,
    /// The same as `http`, over TLS.
    pub https: SocketAddr,
    pub control: std::path::PathBuf,
    pub front: Front,
    pub app: Arc<TestApp>,
    _dir: tempfile::TempDir,
}

pub struct TestApp {
    config: Arc<Server>,
    view: Mutex<Arc<View>>,
    /// How far the front's clock is ahead.
    ahead_ms: AtomicU64,
    /// Requests for `/wait` are answered.
    free: (Mutex<bool>, Condvar),
}

impl TestApp {
    /// The front sees it at its next event.
    pub fn advance(&self, span: Duration) {
        self.ahead_ms.fetch_add(span.as_millis() as u64, Ordering::SeqCst);
    }

    /// Answers all that asked for `/wait`, and whoever asks from now on.
    pub fn release(&self) {
        *self.free.0.lock().expect("no test panics with it") = true;
        self.free.1.notify_all();
    }

    /// Publishes a view with `count` more events, each with a text of `len` bytes.
    pub fn publish(&self, count: usize, len: usize) {
        let mut view = self.view.lock().expect("no test panics with it");
        let mut next = View::clone(&view);
        next.ver += 1;
        let mut events = VecDeque::clone(&next.events);
        for _ in 0..count {
            events.push_back(Arc::new(Event {
                id: events.back().map_or(1, |last| last.id + 1),
                at: next.now.wall,
                kind: EventKind::Message,
                host: None,
                level: None,
                from: None,
                to: None,
                text: "x".repeat(len).into(),
                user: None,
            }));
        }
        next.events = Arc::new(events);
        *view = Arc::new(next);
    }
}

impl App for TestApp {
    fn respond(&self, request: &Request<'_>) -> Response {
        let text = match request.path {
            "/panic" => panic!("a page that fails"),
            "/wait" => {
                let free = self.free.0.lock().expect("no test panics with it");
                let wait = self.free.1.wait_timeout_while(free, PATIENCE, |free| !*free);
                format!("waited, told: {}", wait.expect("no test panics with it").0)
            }
            "/large" => {
                return Response {
                    status: 200,
                    headers: vec![],
                    body: Body::Owned(vec![b'x'; LARGE]),
                };
            }
            "/huge" => {
                let body = Body::Owned(vec![b'x'; HUGE]);
                return Response { status: 200, headers: vec![], body };
            }
            "/nothing" => {
                return Response { status: 304, headers: vec![], body: Body::Static(b"") };
            }
            "/peer" => format!("{:?} {}", request.peer, request.secure),
            "/headers" => request.headers.iter().map(|(n, v)| format!("{n}={v};")).collect(),
            "/length" => format!("{}", request.body.len()),
            path => format!("{:?} {path} {}", request.method, request.query),
        };
        assert!(request.method != Method::Other || request.peer != Peer::Control);
        let headers = vec![("Content-Type", "text/plain".to_owned())];
        Response { status: 200, headers, body: Body::Owned(text.into_bytes()) }
    }

    fn view(&self) -> Arc<View> {
        self.view.lock().expect("no test panics with it").clone()
    }

    fn config(&self) -> Arc<Server> {
        self.config.clone()
    }

    fn now(&self) -> Now {
        os::clock::now() + Duration::from_millis(self.ahead_ms.load(Ordering::SeqCst))
    }
}

fn view() -> View {
    let now = os::clock::now();
    View {
        pair: None,
        queued: Default::default(),
        keys: Arc::default(),
        isolated_since: None,
        silences: Default::default(),
        acknowledgements: Default::default(),
        maintenances: Default::default(),
        epoch: 1,
        ver: 1,
        floor: 0,
        gone: Arc::default(),
        now,
        started: now,
        hold_until: None,
        hosts: HostTable::default(),
        names: Arc::default(),
        counts: [0; 8],
        events: Arc::new(VecDeque::new()),
        ghosts: Arc::default(),
        refusals: Arc::default(),
        counters: Counters::default(),
    }
}

impl Rig {
    pub fn new() -> Rig {
        Rig::with(Server::default())
    }

    /// Behind a proxy on loopback, and so without a limit of connections per address.
    pub fn behind_proxy() -> Rig {
        let proxy = Cidr { address: "127.0.0.0".parse().expect("an address"), prefix: 8 };
        Rig::with(Server { trusted_proxies: vec![proxy], ..Server::default() })
    }

    pub fn with(config: Server) -> Rig {
        let dir = tempfile::tempdir().expect("a directory");
        let control = dir.path().join("control");
        let bind = || TcpListener::bind("127.0.0.1:0").expect("a port");
        let (http, ws, https) = (bind(), bind(), bind());
        let config = Server { cert_path: dir.path().to_owned(), ..config };
        make_certificate(dir.path());
        let certificate = Certificate::load(&config).expect("a certificate");
        let view = Mutex::new(Arc::new(view()));
        let app = Arc::new(TestApp {
            config: Arc::new(config),
            view,
            ahead_ms: AtomicU64::new(0),
            free: Default::default(),
        });
        Rig {
            http: http.local_addr().expect("bound"),
            ws: ws.local_addr().expect("bound"),
            https: https.local_addr().expect("bound"),
            front: start(
                Listeners {
                    http: vec![http],
                    ws: vec![ws],
                    https: vec![https],
                    certificate: Some(Arc::new(certificate)),
                    control: Some(UnixListener::bind(&control).expect("a socket")),
                    ..Listeners::default()
                },
                app.clone(),
            )
            .expect("a front"),
            control,
            app,
            _dir: dir,
        }
    }

    pub fn connect(&self) -> Client<TcpStream> {
        connect(self.http)
    }

    pub fn control(&self) -> Client<UnixStream> {
        let stream = UnixStream::connect(&self.control).expect("the control socket");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        Client { stream, bytes: Vec::new() }
    }

    /// Sends `request` on a connection of its own; the whole answer until the server closes.
    pub fn ask(&self, request: &[u8]) -> String {
        let mut client = self.connect();
        let _ = client.stream.write_all(request);
        client.rest()
    }

    pub fn count(&self, name: &str) -> u64 {
        self.front.counters().iter().find(|(n, _)| *n == name).map_or(0, |(_, n)| *n)
    }
}

/// A self-made certificate; one for all rigs of the process, for openssl takes its time.
fn make_certificate(dir: &std::path::Path) {
    static MADE: OnceLock<(Vec<u8>, Vec<u8>)> = OnceLock::new();
    let (key, chain) = MADE.get_or_init(|| {
        let (key, chain) = (dir.join("key"), dir.join("chain"));
        let output = std::process::Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
            .args(["-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout"])
            .arg(&key)
            .arg("-out")
            .arg(&chain)
            .output()
            .expect("openssl runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let read = |path| os::file::read_bounded(path, 1 << 20).expect("it was written");
        (read(&key), read(&chain))
    });
    std::fs::write(dir.join("privkey.pem"), key).expect("written");
    std::fs::write(dir.join("fullchain.pem"), chain).expect("written");
}

/// Far longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(20);

pub fn connect(to: SocketAddr) -> Client<TcpStream> {
    let stream = TcpStream::connect(to).expect("the front accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    stream.set_nodelay(true).expect("set");
    Client { stream, bytes: Vec::new() }
}

pub struct Client<S> {
    pub stream: S,
    bytes: Vec<u8>,
}

impl<S: Read + Write> Client<S> {
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the front reads");
    }

    /// As `send`, where the front may have closed already.
    pub fn send_some(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// One answer by its `Content-Length`: status and body.
    pub fn answer(&mut self) -> (u16, String) {
        let head = self.head();
        let length = head.to_ascii_lowercase();
        let length = length.split("content-length: ").nth(1).and_then(|t| t.split('\r').next());
        let length: usize = length.map_or(0, |t| t.parse().expect("a number"));
        let status = head[9..12].parse().expect("a status");
        (status, self.body(length))
    }

    pub fn body(&mut self, length: usize) -> String {
        while self.bytes.len() < length {
            self.more().expect("the whole body");
        }
        String::from_utf8(self.bytes.drain(..length).collect()).expect("text")
    }

    pub fn head(&mut self) -> String {
        loop {
            if let Some(at) = self.bytes.windows(4).position(|w| w == b"\r\n\r\n") {
                let head = self.bytes.drain(..at + 4).collect();
                return String::from_utf8(head).expect("text");
            }
            self.more().expect("a whole head");
        }
    }

    /// What came after the last head.
    pub fn leftover(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// All until the server closes or resets.
    pub fn rest(&mut self) -> String {
        while self.more().is_ok() {}
        String::from_utf8_lossy(&std::mem::take(&mut self.bytes)).into_owned()
    }

    fn more(&mut self) -> io::Result<()> {
        let mut piece = [0; 16 << 10];
        match self.stream.read(&mut piece)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            n => {
                self.bytes.extend_from_slice(&piece[..n]);
                Ok(())
            }
        }
    }
}
