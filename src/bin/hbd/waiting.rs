//! The waiting room: while the saved state is being read, whoever asks over HTTP is told so with 503, and how far it
//! is, in place of waiting for an answer that may take long.
//!
//! Serves one peer after the other and shows nothing of the fleet. Ends before the front takes the sockets.

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use heartbeat::os::thread;
use heartbeat::time::Duration;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

/// Most starts are over before that: nobody is sent away for them.
const PATIENCE: Duration = Duration::from_millis(300);
const TURN: Duration = Duration::from_millis(25);
/// A peer that is slower goes without an answer.
const PEER: Duration = Duration::from_millis(200);
const REQUEST_MAX: usize = 4096;
const STACK: usize = 128 << 10;

/// How many entries of the saved state have been taken, and how many there are; 0 while they are being read.
#[derive(Clone, Default)]
pub struct Progress(Arc<(AtomicU64, AtomicU64)>);

impl Progress {
    /// One more of `total`.
    pub fn one_of(&self, total: usize) {
        self.0.0.fetch_add(1, Ordering::Relaxed);
        self.0.1.store(total as u64, Ordering::Relaxed);
    }

    /// `replaying journal 64 %`
    fn words(&self) -> String {
        let (done, total) = (self.0.0.load(Ordering::Relaxed), self.0.1.load(Ordering::Relaxed));
        match done.saturating_mul(100).checked_div(total) {
            Some(percent) => {
                format!("replaying journal {percent} %, {done} of {total} saved entries")
            }
            None => "reading its saved state".to_owned(),
        }
    }
}

pub struct Room {
    /// Nothing is ever sent: it is closed when the room is.
    door: Sender<()>,
    thread: JoinHandle<()>,
}

impl Room {
    /// Over copies of the listeners, which are left non-blocking.
    pub fn open(listeners: &[TcpListener], progress: &Progress) -> io::Result<Room> {
        Room::open_after(listeners, progress, PATIENCE)
    }

    fn open_after(
        listeners: &[TcpListener],
        progress: &Progress,
        patience: Duration,
    ) -> io::Result<Room> {
        let own = listeners.iter().map(TcpListener::try_clone).collect::<io::Result<Vec<_>>>()?;
        for listener in &own {
            listener.set_nonblocking(true)?;
        }
        let (door, closed) = bounded(0);
        let progress = progress.clone();
        let thread = thread::spawn("waiting", STACK, move || {
            receive(&own, &closed, &progress, patience);
        })?;
        Ok(Room { door, thread })
    }

    /// Returns when nobody is in it any more.
    pub fn close(self) {
        drop(self.door);
        let _ = self.thread.join();
    }
}

fn receive(
    listeners: &[TcpListener],
    closed: &Receiver<()>,
    progress: &Progress,
    patience: Duration,
) {
    let mut pause = patience;
    while closed.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
        pause = TURN;
        for listener in listeners {
            if let Ok((peer, _)) = listener.accept() {
                // Who has gone away needs no answer.
                let _ = answer(peer, &progress.words());
                pause = Duration::ZERO;
            }
        }
    }
}

fn answer(mut peer: TcpStream, words: &str) -> io::Result<()> {
    peer.set_nonblocking(false)?;
    peer.set_read_timeout(Some(PEER))?;
    peer.set_write_timeout(Some(PEER))?;
    let mut request = vec![0; REQUEST_MAX];
    let length = peer.read(&mut request)?;
    peer.write_all(response(&String::from_utf8_lossy(&request[..length]), words).as_bytes())
}

/// A page for a person, which loads itself anew; `/healthz` as it always is; a problem document for other programs.
fn response(request: &str, words: &str) -> String {
    let path = request.split(' ').nth(1).unwrap_or_default();
    let head = request.to_ascii_lowercase();
    let is_page =
        head.lines().any(|line| line.starts_with("accept:") && line.contains("text/html"));
    let text = format!("hbd is starting: {words}.");
    let (kind, body) = if path.split('?').next() == Some("/healthz") {
        let version = env!("CARGO_PKG_VERSION");
        ("application/json", format!("{{\"status\":\"starting\",\"version\":\"{version}\"}}"))
    } else if is_page && !path.starts_with("/api/") {
        let body = format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
             content=\"width=device-width,initial-scale=1\"><meta http-equiv=\"refresh\" content=\"2\">\
             <title>503 – Heartbeat</title></head><body><main><h1>One moment</h1><p>{text}</p>\
             <p>This page goes on by itself.</p></main></body></html>"
        );
        ("text/html; charset=utf-8", body)
    } else {
        let body = format!(
            "{{\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503,\
             \"detail\":\"{text}\",\"code\":\"starting\",\"hint\":\"Ask again in 2 s.\"}}"
        );
        ("application/problem+json", body)
    };
    format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nRetry-After: 2\r\n\
         Cache-Control: no-store\r\nContent-Security-Policy: default-src 'none'\r\n\
         X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(address: std::net::SocketAddr, path: &str, accept: &str) -> String {
        let mut peer = TcpStream::connect(address).unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\n\r\n");
        peer.write_all(head.as_bytes()).unwrap();
        let mut text = String::new();
        peer.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn who_asks_during_the_start_is_told_how_far_it_is_and_the_socket_is_given_back() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let progress = Progress::default();
        (0..64).for_each(|_| progress.one_of(100));
        let listeners = [listener];
        let room = Room::open_after(&listeners, &progress, Duration::ZERO).unwrap();
        let page = ask(address, "/live", "text/html,*/*");
        assert!(page.starts_with("HTTP/1.1 503 ") && page.contains("Retry-After: 2"), "{page}");
        assert!(
            page.contains("replaying journal 64 %, 64 of 100 saved entries.")
                && page.contains("<h1>One moment"),
            "{page}"
        );
        let problem = ask(address, "/api/0/hosts", "text/html");
        assert!(problem.contains("application/problem+json"), "{problem}");
        assert!(problem.contains("\"code\":\"starting\""), "{problem}");
        let health = ask(address, "/healthz", "*/*");
        assert!(health.contains("{\"status\":\"starting\""), "{health}");
        room.close();
        // Who comes now is for the front.
        let peer = TcpStream::connect(address).unwrap();
        listeners[0].set_nonblocking(false).unwrap();
        let (_, from) = listeners[0].accept().unwrap();
        assert_eq!(from, peer.local_addr().unwrap());
    }
}
