//! A large fleet of sealed hosts against a real hbd: loss, CPU, memory, the time to an ACK, what is written.
//!
//! `cargo bench --bench load [-- HOSTS [SECONDS]]` (100,000 hosts, 180 s). Each host sends a heartbeat every 30 s and
//! the four system plugins every 300 s, each datagram sealed as it is sent, its numbers never the same twice; no
//! datagram is sent again, so that what is not answered is lost. `HB_LOAD_REMOTE=1` adds a receiver of remote-write,
//! `HB_LOAD_CONFIG` lines of hbd.yaml. Loopback only; ends by itself. docs/PERFORMANCE.md has the goals and figures.

#![allow(clippy::disallowed_methods)] // A benchmark reads the clock.

mod keyed;
#[allow(dead_code, reason = "each benchmark uses its part")]
mod shape;
#[allow(dead_code, reason = "each benchmark uses its part")]
mod socket;

use heartbeat::wire::{self, Header, SealKind, seal};
use keyed::key;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_secs(30);
/// Of the plugins: so many intervals.
const EVERY: u64 = 10;
/// HELLOs a second, before the clock starts.
const GREETINGS: f64 = 4000.0;

fn main() {
    let mut numbers = std::env::args().filter_map(|a| a.parse::<u64>().ok());
    let hosts = numbers.next().unwrap_or(100_000) as usize;
    let span = Duration::from_secs(numbers.next().unwrap_or(180));
    let dir = tempfile::tempdir().expect("a temporary directory");
    let writes = std::env::var_os("HB_LOAD_REMOTE").map(|_| receive_writes());
    let (mut child, server) = start(dir.path(), hosts, writes.as_ref().map(|(at, _)| *at));
    let mut fleet = Fleet::new(server, hosts);
    fleet.greet();
    // Every plugin has reported once: what is measured is the daily run.
    fleet.run(INTERVAL + Duration::from_secs(1), true);
    fleet.forget();
    let before = (socket::cpu_of(child.id()), written(child.id()));
    let sent_before = writes.as_ref().map_or(0, |(_, bytes)| bytes.load(Relaxed));
    let begin = Instant::now();
    fleet.run(span, false);
    let secs = begin.elapsed().as_secs_f64();
    let cpu = (socket::cpu_of(child.id()) - before.0).as_secs_f64();
    let bytes = written(child.id()) - before.1;
    fleet.linger();
    report(&mut fleet, hosts, secs);
    println!(
        "CPU {:.1} % of a core, {:.2} us a message",
        100.0 * cpu / secs,
        cpu * 1e6 / fleet.sent as f64
    );
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).expect("proc");
    let size = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).expect("it is there");
        line.split_whitespace().nth(1).and_then(|kb| kb.parse::<f64>().ok()).expect("kB") / 1024.0
    };
    println!("memory {:.0} MB resident, {:.0} MB at most", size("VmRSS"), size("VmHWM"));
    let day = bytes as f64 / secs * 86_400.0 / 1e9;
    println!("disk {:.1} MB written in {secs:.0} s, {day:.2} GB a day", bytes as f64 / 1e6);
    if let Some((_, bytes)) = writes {
        let bytes = bytes.load(Relaxed) - sent_before;
        println!("remote-write {:.1} kB a second", bytes as f64 / secs / 1e3);
    }
    let _ = child.kill();
    let _ = child.wait();
}

fn report(fleet: &mut Fleet, hosts: usize, secs: f64) {
    fleet.trips.sort_unstable();
    let all = fleet.trips.len();
    let at = |share: f64| fleet.trips[((all as f64 * share) as usize).min(all - 1)] as f64 / 1e3;
    println!(
        "{hosts} hosts for {secs:.0} s: {} sent ({:.0} a second), {} lost, {} late by more than 50 ms",
        fleet.sent,
        fleet.sent as f64 / secs,
        fleet.sent - all as u64,
        fleet.late,
    );
    println!(
        "ACK after {:.2} ms (half), {:.2} ms (99 %), {:.2} ms (99.9 %), {:.2} ms (worst)",
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    );
}

/// The configuration is the one that docs/OPERATIONS.md advises for so many hosts; `HB_LOAD_CONFIG` adds lines to it,
/// `\n` between them.
fn start(dir: &Path, hosts: usize, receiver: Option<SocketAddr>) -> (Child, SocketAddr) {
    keyed::write_keys(dir, hosts);
    let (config, shown) = (dir.join("hbd.yaml"), dir.display());
    let mut text = format!(
        "hb_port: 0\nhbd_port: 0\nws_port: 0\nstate_dir: {shown}/state\ncontrol_socket: {shown}/hbd.sock\n\
         journal_dir: {shown}/journal\nhosts_max: {}\n",
        hosts + 10,
    );
    let set = std::env::var("HB_LOAD_CONFIG").unwrap_or_default().replace("\\n", "\n");
    for key in ["journal_enabled", "history_enabled"] {
        if !set.contains(key) {
            text.push_str(&format!("{key}: false\n"));
        }
    }
    if let Some(receiver) = receiver {
        text.push_str(&format!("remote_write: {{url: 'http://{receiver}/api/v1/write'}}\n"));
    }
    text.push_str(&set);
    std::fs::write(&config, text).expect("written");
    keyed::start_hbd(&config)
}

/// A receiver of remote-write that takes every request and counts its bytes.
fn receive_writes() -> (SocketAddr, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let (at, bytes) = (listener.local_addr().expect("bound"), Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&bytes);
    let serve = move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let _ = take_writes(stream, &counted);
        }
    };
    std::thread::Builder::new().spawn(serve).expect("a thread");
    (at, bytes)
}

fn take_writes(stream: TcpStream, counted: &AtomicU64) -> std::io::Result<()> {
    let (mut reader, mut writer) = (BufReader::new(stream.try_clone()?), stream);
    loop {
        let (mut length, mut line) = (0, String::new());
        while reader.read_line(&mut line)? > 2 {
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            line.clear();
        }
        if line.is_empty() {
            return Ok(());
        }
        std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink())?;
        counted.fetch_add(length, Relaxed);
        writer.write_all(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n")?;
    }
}

/// Bytes that a process caused to be written to a disk.
fn written(pid: u32) -> u64 {
    let io = std::fs::read_to_string(format!("/proc/{pid}/io")).expect("proc");
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).expect("a count");
    line.parse().expect("a number")
}

struct Fleet {
    socket: UdpSocket,
    hosts: usize,
    sids: Vec<u64>,
    seqs: Vec<u64>,
    /// Of what is not answered yet: when it was sent.
    open: HashMap<(u32, u64), Instant>,
    /// Microseconds.
    trips: Vec<u32>,
    sent: u64,
    /// The generator itself was late.
    late: u64,
    /// Messages by all hosts so far, one of each host after the other.
    next: u64,
    text: String,
    plain: Vec<u8>,
    bytes: Vec<u8>,
}

impl Fleet {
    fn new(server: SocketAddr, hosts: usize) -> Fleet {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.connect(server).expect("loopback");
        socket::grow_buffer(&socket);
        socket.set_nonblocking(true).expect("set");
        Fleet {
            socket,
            hosts,
            sids: vec![0; hosts],
            seqs: vec![1; hosts],
            open: HashMap::new(),
            trips: Vec::new(),
            sent: 0,
            late: 0,
            next: 0,
            text: String::new(),
            plain: Vec::new(),
            bytes: Vec::new(),
        }
    }

    fn forget(&mut self) {
        self.linger();
        self.trips.clear();
        self.open.clear();
        (self.sent, self.late) = (0, 0);
    }

    /// A session for every host.
    fn greet(&mut self) {
        let begin = Instant::now();
        let mut greeted = 0;
        while self.sids.contains(&0) {
            assert!(begin.elapsed() < Duration::from_secs(120), "no WELCOME");
            let due = (begin.elapsed().as_secs_f64() * GREETINGS) as usize;
            while greeted < due.min(self.hosts) {
                self.seal(greeted, SealKind::Hello, 1, false);
                let _ = self.socket.send(&self.bytes);
                greeted += 1;
            }
            self.receive();
            std::thread::sleep(Duration::from_micros(300));
            if due > self.hosts + GREETINGS as usize {
                let missing: Vec<usize> = (0..self.hosts).filter(|h| self.sids[*h] == 0).collect();
                for host in missing.into_iter().take(100) {
                    self.seal(host, SealKind::Hello, 1, false);
                    let _ = self.socket.send(&self.bytes);
                }
            }
        }
    }

    /// Sends what is due, evenly over the interval, and takes what comes. `first`: every plugin at its first heartbeat.
    fn run(&mut self, span: Duration, first: bool) {
        let (begin, from) = (Instant::now(), self.next);
        let rate = self.hosts as f64 / INTERVAL.as_secs_f64();
        while begin.elapsed() < span {
            let due = from + (begin.elapsed().as_secs_f64() * rate) as u64;
            self.late += u64::from(due.saturating_sub(self.next) as f64 > rate / 20.0);
            let until = due.min(self.next + 64);
            while self.next < until {
                let (host, round) = (self.next % self.hosts as u64, self.next / self.hosts as u64);
                let host = host as usize;
                self.heartbeat(host, round);
                for plugin in 0..4 {
                    if first || (round + host as u64 * 7 + plugin * 2).is_multiple_of(EVERY) {
                        self.sample(host, round, plugin);
                    }
                }
                self.next += 1;
            }
            if self.receive() == 0 {
                std::thread::sleep(Duration::from_micros(100));
            }
        }
    }

    /// What is under way.
    fn linger(&mut self) {
        let begin = Instant::now();
        while !self.open.is_empty() && begin.elapsed() < Duration::from_secs(3) {
            self.receive();
            std::thread::sleep(Duration::from_micros(100));
        }
    }

    fn heartbeat(&mut self, host: usize, round: u64) {
        let rtt = 0.2 + ((host as u64 * 31 + round * 17) % 997) as f64 / 1000.0;
        self.text.clear();
        let _ = write!(
            self.text,
            r#"{{"ID":"HTB","interval":30,"rtt":{rtt:.3},"up":{},"v":"0.1.0"}}"#,
            86_400 + round * 30
        );
        self.say(host);
    }

    fn sample(&mut self, host: usize, round: u64, plugin: u64) {
        self.text.clear();
        let walk = Walk { host: host as u64, round };
        let out = &mut self.text;
        let _ = match plugin {
            0 => walk.cpu(out),
            1 => walk.memory(out),
            2 => walk.disk(out),
            _ => walk.network(out),
        };
        self.say(host);
    }

    fn say(&mut self, host: usize) {
        self.seqs[host] += 1;
        let seq = self.seqs[host];
        let deflated = wire::pack(&self.text, &mut self.plain);
        if self.plain.len() < seal::PADDED {
            self.plain.resize(seal::PADDED, b' ');
        }
        self.seal(host, SealKind::Data, seq, deflated);
        if self.socket.send(&self.bytes).is_ok() {
            self.sent += 1;
            self.open.insert((host as u32, seq), Instant::now());
        }
    }

    fn seal(&mut self, host: usize, kind: SealKind, seq: u64, deflated: bool) {
        let (key, sid) = (key(host), if kind == SealKind::Hello { 0 } else { self.sids[host] });
        let header = Header { key_id: key.id(), sid, aid: 7, kind, seq, deflated };
        let plain: &[u8] = if kind == SealKind::Hello { b"" } else { &self.plain };
        seal::seal(&key, header, plain, &mut self.bytes);
    }

    /// Takes what is there; says how much that was.
    fn receive(&mut self) -> usize {
        let mut buffer = [0; 2048];
        let mut taken = 0;
        while taken < 256
            && let Ok(len) = self.socket.recv(&mut buffer)
        {
            taken += 1;
            let Ok(header) = Header::parse(&buffer[..len]) else { continue };
            let host = (u64::from_be_bytes(header.key_id.0) - 1) as usize;
            match header.kind {
                SealKind::Welcome => self.sids[host] = header.sid,
                SealKind::Answer => self.answered(host, &buffer[..len]),
                SealKind::Data | SealKind::Hello => {}
            }
        }
        taken
    }

    fn answered(&mut self, host: usize, datagram: &[u8]) {
        let mut plain = Vec::new();
        if seal::open(&key(host), datagram, &mut plain).is_err() {
            return;
        }
        let text = String::from_utf8_lossy(&plain);
        let digits = text.split("\"ack\":").nth(1).unwrap_or_default();
        let digits: String = digits.chars().take_while(char::is_ascii_digit).collect();
        let Ok(seq) = digits.parse::<u64>() else { return };
        if let Some(sent) = self.open.remove(&(host as u32, seq)) {
            self.trips.push(sent.elapsed().as_micros() as u32);
        }
    }
}

/// The numbers of one machine at one time: a walk of its own for each, as machines have it.
struct Walk {
    host: u64,
    round: u64,
}

impl Walk {
    fn v(&self, n: u64, top: u64) -> u64 {
        let own = (self.host + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let x = own ^ ((self.round / 10 + n) << 7);
        (x.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33) % (top * 10)
    }

    fn f(&self, n: u64, top: u64) -> f64 {
        self.v(n, top) as f64 / 10.0
    }

    fn cpu(&self, out: &mut String) -> std::fmt::Result {
        let (user, system, wait) = (self.f(2, 60), self.f(3, 30), self.f(4, 10));
        let (one, five, fifteen) = (self.f(5, 4), self.f(6, 4), self.f(7, 4));
        out.push_str(r#"{"ID":"PLG","plugin":"cpu_monitor","every":300,"data":{"#);
        write!(out, r#""cpu_percent":{:.1},"user_percent":{user:.1},"#, user + system + wait)?;
        write!(out, r#""system_percent":{system:.1},"iowait_percent":{wait:.1},"#)?;
        write!(out, r#""steal_percent":0.0,"load_1min":{one:.2},"load_5min":{five:.2},"#)?;
        write!(out, r#""load_15min":{fifteen:.2},"process_count":{},"#, 180 + self.v(8, 4))?;
        write!(out, r#""uptime_seconds":{},"frequency_mhz":2400.0,"#, 86_400 + self.round * 30)?;
        write!(out, r#""psi_cpu_some_avg10":{:.2}}}}}"#, self.f(9, 5))
    }

    fn memory(&self, out: &mut String) -> std::fmt::Result {
        let (used, free, cached) = (self.f(3, 9000), self.f(4, 4000), self.f(6, 6000));
        out.push_str(r#"{"ID":"PLG","plugin":"memory_monitor","every":300,"data":{"#);
        write!(out, r#""percent":{:.1},"total_mb":15990.4,"#, used / 160.0)?;
        write!(out, r#""available_mb":{:.1},"used_mb":{used:.1},"#, free + cached)?;
        write!(out, r#""free_mb":{free:.1},"buffers_mb":{:.1},"#, self.f(5, 300))?;
        write!(out, r#""cached_mb":{cached:.1},"arc_mb":0.0,"swap_total_mb":2048.0,"#)?;
        write!(
            out,
            r#""swap_used_mb":{:.1},"swap_percent":{:.1}}}}}"#,
            self.f(7, 100),
            self.f(8, 5)
        )
    }

    fn disk(&self, out: &mut String) -> std::fmt::Result {
        let (used, free) = (self.f(2, 80), self.f(3, 90));
        out.push_str(
            r#"{"ID":"PLG","plugin":"disk_monitor","every":300,"data":{"partitions":{"/":{"#,
        );
        write!(out, r#""percent":{used:.1},"total_gb":98.3,"used_gb":{used:.2},"#)?;
        write!(out, r#""free_gb":{free:.2},"free_mb":{:.1},"#, free * 1024.0)?;
        write!(
            out,
            r#""inodes_percent":{:.1},"fstype":"ext4","device":"/dev/vda1"}}}},"#,
            self.f(5, 20)
        )?;
        write!(
            out,
            r#""io":{{"vda":{{"read_mb_s":{:.3},"write_mb_s":{:.3},"#,
            self.f(6, 4),
            self.f(7, 4)
        )?;
        write!(out, r#""read_iops":{:.1},"write_iops":{:.1},"#, self.f(8, 200), self.f(9, 200))?;
        write!(out, r#""busy_percent":{:.1}}}}}}}}}"#, self.f(10, 40))
    }

    fn network(&self, out: &mut String) -> std::fmt::Result {
        let at = self.round;
        out.push_str(
            r#"{"ID":"PLG","plugin":"network_monitor","every":300,"data":{"interfaces":{"eth0":{"#,
        );
        write!(out, r#""rx_mb_s":{:.4},"tx_mb_s":{:.4},"#, self.f(1, 3), self.f(2, 3))?;
        write!(out, r#""rx_bytes":{},"#, at * 30_000 + self.v(3, 9_000))?;
        write!(out, r#""tx_bytes":{},"#, at * 20_000 + self.v(4, 9_000))?;
        write!(
            out,
            r#""rx_packets":{},"tx_packets":{},"#,
            at * 400 + self.v(5, 90),
            at * 300 + self.v(6, 90)
        )?;
        out.push_str(r#""errors_total":0,"dropped_total":0,"up":true,"speed_mbit":1000}},"#);
        out.push_str(r#""errors_total":0,"dropped_total":0,"#);
        write!(out, r#""tcp_established":{},"tcp_time_wait":{},"#, self.v(7, 20), self.v(8, 10))?;
        out.push_str(r#""udp_sockets":8}}"#);
        Ok(())
    }
}
