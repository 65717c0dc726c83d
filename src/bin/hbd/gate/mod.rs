//! The HTTP front: owns every stream socket of the server, from accept to the last byte of an answer.
//!
//! Three kinds of thread: `gate` (accepts, checks, limits, relays), `http-N` (the pool that answers complete
//! requests, behind tiny_http on a private socket) and `ws` (the live connections). None of them owns state of
//! the fleet: they read views and ask the `App`.

use heartbeat::config::server::Server;
use heartbeat::engine::view::View;
use heartbeat::time::Now;
use heartbeat::web::{Request, Response};
use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::Arc;

/// The bound sockets, in any blocking mode.
#[derive(Debug, Default)]
pub struct Listeners {
    /// Pages and API, and live connections at `/api/0/live/ws`.
    pub http: Vec<TcpListener>,
    /// Live connections only, at any path.
    pub ws: Vec<TcpListener>,
    /// The control socket: root and the server's own user only.
    pub control: Option<UnixListener>,
}

/// What the front needs of the server.
pub trait App: Send + Sync {
    /// Answers a complete, checked request. May block; a panic in it is answered with 500.
    fn respond(&self, request: &Request<'_>) -> Response;
    fn view(&self) -> Arc<View>;
    fn config(&self) -> Arc<Server>;
    fn now(&self) -> Now;
}

/// The running threads of the front.
#[derive(Debug)]
pub struct Front {}

/// Starts `gate`, `http-N` and `ws`. The listeners answer as soon as this returns.
pub fn start(listeners: Listeners, app: Arc<dyn App>) -> io::Result<Front> {
    let _ = (listeners, app);
    Err(io::ErrorKind::Unsupported.into())
}

impl Front {
    /// Says goodbye to live clients, flushes answers for at most 2 s, and joins the threads.
    pub fn stop(self) {}

    /// What was counted, by name, for `/metrics` and the status page.
    pub fn counters(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }
}
