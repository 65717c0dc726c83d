//! The network side of the datagram benchmark: batched sending and receiving, the bare echo, CPU time of a process.

use crate::shape::Load;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const BATCH: usize = 64;
const WINDOW: u64 = 512;

/// Sends and receives with sendmmsg and recvmmsg over one connected socket.
pub struct Batch {
    socket: UdpSocket,
    next: usize,
    sent: u64,
    answered: u64,
    scratch: Vec<[u8; 2048]>,
}

impl Batch {
    pub fn new(to: SocketAddr) -> Batch {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.connect(to).expect("a loopback address");
        grow_buffer(&socket);
        socket.set_nonblocking(true).expect("a socket option");
        Batch { socket, next: 0, sent: 0, answered: 0, scratch: vec![[0; 2048]; BATCH] }
    }

    /// Keeps a window in flight for `span`; returns what was sent and what was answered in it.
    pub fn run(&mut self, load: &Load, span: Duration) -> (u64, u64) {
        (self.sent, self.answered) = (0, 0);
        let begin = Instant::now();
        let mut progress = (begin, 0);
        while begin.elapsed() < span {
            let in_flight = self.sent - self.answered;
            if in_flight + BATCH as u64 <= WINDOW {
                self.send(load, BATCH);
            }
            self.answered += self.receive();
            if self.answered != progress.1 {
                progress = (Instant::now(), self.answered);
            } else if progress.0.elapsed() > Duration::from_millis(20) {
                // Nothing comes back: garbage, or a loss. Let the next window go.
                self.answered = self.sent;
                progress = (Instant::now(), self.answered);
            }
        }
        (self.sent, self.answered)
    }

    pub fn send(&mut self, load: &Load, count: usize) {
        let mut iovecs: [libc::iovec; BATCH] = unsafe { std::mem::zeroed() };
        let mut messages: [libc::mmsghdr; BATCH] = unsafe { std::mem::zeroed() };
        for i in 0..count.min(BATCH) {
            let datagram = &load.datagrams[(self.next + i) % load.datagrams.len()];
            iovecs[i].iov_base = datagram.as_ptr().cast_mut().cast();
            iovecs[i].iov_len = datagram.len();
            messages[i].msg_hdr.msg_iov = &mut iovecs[i];
            messages[i].msg_hdr.msg_iovlen = 1;
        }
        // SAFETY: the headers point at live buffers for the length of the call.
        let sent = unsafe {
            libc::sendmmsg(self.socket.as_raw_fd(), messages.as_mut_ptr(), count as u32, 0)
        };
        let sent = sent.max(0) as usize;
        self.next += sent;
        self.sent += sent as u64;
    }

    pub fn receive(&mut self) -> u64 {
        let mut iovecs: [libc::iovec; BATCH] = unsafe { std::mem::zeroed() };
        let mut messages: [libc::mmsghdr; BATCH] = unsafe { std::mem::zeroed() };
        for i in 0..BATCH {
            iovecs[i].iov_base = self.scratch[i].as_mut_ptr().cast();
            iovecs[i].iov_len = 2048;
            messages[i].msg_hdr.msg_iov = &mut iovecs[i];
            messages[i].msg_hdr.msg_iovlen = 1;
        }
        // SAFETY: as above; the scratch buffers are 2048 bytes each.
        let got = unsafe {
            libc::recvmmsg(
                self.socket.as_raw_fd(),
                messages.as_mut_ptr(),
                BATCH as u32,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        got.max(0) as u64
    }

    pub fn counts(&self) -> (u64, u64) {
        (self.sent, self.answered)
    }
}

/// Sends `rate` a second for `span`, then waits a second for what is under way.
pub fn paced(to: SocketAddr, load: &Load, rate: u64, span: Duration) -> (u64, u64) {
    let mut batch = Batch::new(to);
    let total = (rate as f64 * span.as_secs_f64()) as u64;
    let begin = Instant::now();
    while batch.sent < total {
        let due = ((begin.elapsed().as_secs_f64() * rate as f64) as u64).min(total);
        let missing = due.saturating_sub(batch.sent).min(BATCH as u64) as usize;
        if missing > 0 {
            batch.send(load, missing);
        }
        batch.answered += batch.receive();
    }
    let end = Instant::now();
    while end.elapsed() < Duration::from_secs(1) && batch.answered < batch.sent {
        batch.answered += batch.receive();
    }
    batch.counts()
}

/// The least that a server can do: receive batches, send the same bytes back.
pub fn echo() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    grow_buffer(&socket);
    eprintln!("ready udp={}", socket.local_addr().expect("a bound address"));
    let mut buffers = vec![[0u8; 2048]; BATCH];
    let mut addresses: Vec<libc::sockaddr_storage> = vec![unsafe { std::mem::zeroed() }; BATCH];
    let mut iovecs: [libc::iovec; BATCH] = unsafe { std::mem::zeroed() };
    let mut messages: [libc::mmsghdr; BATCH] = unsafe { std::mem::zeroed() };
    loop {
        for i in 0..BATCH {
            iovecs[i].iov_base = buffers[i].as_mut_ptr().cast();
            iovecs[i].iov_len = 2048;
            messages[i].msg_hdr.msg_iov = &mut iovecs[i];
            messages[i].msg_hdr.msg_iovlen = 1;
            messages[i].msg_hdr.msg_name = std::ptr::from_mut(&mut addresses[i]).cast();
            messages[i].msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as u32;
        }
        // SAFETY: every header points at live buffers of the stated length.
        let got = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                messages.as_mut_ptr(),
                BATCH as u32,
                libc::MSG_WAITFORONE as _,
                std::ptr::null_mut(),
            )
        };
        for i in 0..got.max(0) as usize {
            iovecs[i].iov_len = messages[i].msg_len as usize;
        }
        // SAFETY: as above; only the first `got` are sent.
        unsafe { libc::sendmmsg(socket.as_raw_fd(), messages.as_mut_ptr(), got.max(0) as u32, 0) };
    }
}

pub fn grow_buffer(socket: &UdpSocket) {
    let size: libc::c_int = 4 << 20;
    for option in [libc::SO_RCVBUF, libc::SO_RCVBUFFORCE] {
        // SAFETY: the option takes an int; failure leaves the default.
        unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                option,
                std::ptr::from_ref(&size).cast(),
                size_of::<libc::c_int>() as u32,
            )
        };
    }
}

/// A configuration that declares the hosts of the load, on free ports, with its state and journal in `dir`.
pub fn config(dir: &Path, hosts: usize, journal: bool, history: bool) -> PathBuf {
    let path = dir.join("hbd.yaml");
    let state = dir.join("state");
    let _ = std::fs::remove_dir_all(&state);
    let mut text = format!(
        "hb_port: 0\nhbd_port: 0\nws_port: 0\nstate_dir: {}\njournal_enabled: {journal}\n\
         history_enabled: {history}\njournal_dir: {}\nhosts:\n",
        state.display(),
        dir.join("journal").display()
    );
    for i in 0..hosts {
        text.push_str(&format!("  host-{i:05}:\n"));
    }
    std::fs::write(&path, text).expect("a configuration file");
    path
}

/// User and system time of a process, all its threads, by the scheduler's nanoseconds.
#[allow(clippy::disallowed_methods)] // A file of /proc.
pub fn cpu_of(pid: u32) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let nanos = tasks.filter_map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}

/// How many datagrams hbd has received, by its `/healthz`.
pub fn received(http: SocketAddr) -> u64 {
    // Views are published every 100 ms: let the last one come.
    std::thread::park_timeout(Duration::from_millis(250));
    let Ok(mut stream) = TcpStream::connect(http) else { return 0 };
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {http}\r\nConnection: close\r\n\r\n");
    let mut answer = String::new();
    if stream.write_all(request.as_bytes()).is_err() || stream.read_to_string(&mut answer).is_err()
    {
        return 0;
    }
    let after = answer.split("\"received\":").nth(1).unwrap_or_default();
    after.split(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse().ok()).unwrap_or(0)
}
