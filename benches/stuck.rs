//! A channel that never answers and an nsupdate that never ends: what they do to the ACK of a heartbeat, to the other
//! channels and to hbd's CPU time. `cargo bench --bench stuck [-- ROUNDS [MILLISECONDS]]` (10 rounds, phases of 1 s:
//! two minutes).
//!
//! One server, four kinds of phases that take turns, so that all of them see the same process and the same machine:
//! quiet or stuck, each with troubles (twenty a second) and without. When a phase is stuck, the receiver `tarpit`
//! takes a message and holds it, and nsupdate hangs, both from before the phase until after it. In each phase one
//! sender asks as fast as it is answered. Of each phase the p50, p99 and the worst are taken, of each kind the medians
//! over all rounds. Loopback only; ends by itself. docs/PERFORMANCE.md has the figures. HB_HBD names another hbd.

#![allow(clippy::disallowed_methods)] // A benchmark reads the clock.

#[allow(dead_code, reason = "each benchmark uses its part")]
mod keyed;
#[allow(dead_code, reason = "each benchmark uses its part")]
mod shape;
#[allow(dead_code, reason = "each benchmark uses its part")]
mod socket;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// So many that none of them sends more than a host may.
const HOSTS: usize = 2000;
/// Between two troubles.
const TROUBLE_EVERY: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(10);

fn main() {
    let mut numbers = std::env::args().filter_map(|a| a.parse::<u64>().ok());
    let rounds = numbers.next().unwrap_or(10) as usize;
    let span = Duration::from_millis(numbers.next().unwrap_or(1000));
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (fine, tarpit) = (Receiver::start(), Receiver::start());
    let program = Nsupdate::write(dir.path());
    let config = configure(dir.path(), &fine, &tarpit, &program);
    let (mut child, server) = keyed::start_hbd(&config);
    let mut bench = Bench { pid: child.id(), sender: Sender::to(server), fine, tarpit, program };
    let mut kinds =
        [false, true].map(|stuck| [false, true].map(|troubles| Kind::new(stuck, troubles)));
    // The first round warms everything up.
    for round in 0..=rounds {
        for turn in 0..4 {
            // Each kind has each place in the order equally often.
            let at = (turn + round) % 4;
            let kind = &mut kinds[at / 2][at % 2];
            let phase = bench.phase(kind.stuck, kind.troubles, 4 * round + turn, span);
            if round > 0 {
                kind.phases.push(phase);
            }
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    kinds.iter().flatten().for_each(Kind::print);
    let [quiet, stuck] = &kinds;
    for (quiet, stuck) in quiet.iter().zip(stuck) {
        println!(
            "{}: stuck over quiet: p50 {:.3}, p99 {:.3}, CPU {:.3}",
            if stuck.troubles { "with troubles" } else { "without" },
            stuck.median(|phase| phase.ack(50)) / quiet.median(|phase| phase.ack(50)),
            stuck.median(|phase| phase.ack(99)) / quiet.median(|phase| phase.ack(99)),
            stuck.median(Phase::cpu_each) / quiet.median(Phase::cpu_each),
        );
    }
}

fn configure(dir: &Path, fine: &Receiver, tarpit: &Receiver, program: &Nsupdate) -> PathBuf {
    let path = dir.join("hbd.yaml");
    let mut text = format!(
        "hb_port: 0\nhbd_port: 0\nws_port: 0\nstate_dir: {dir}/state\njournal_dir: {dir}/journal\n\
         interval: 600\ngroup_wait: 0\nnotify_per_minute: 10000\ndns_trust_plain: true\n\
         pushsrv: [fine, tarpit]\nchannels:\n  fine: {{type: webhook, url: \"http://{}/\"}}\n\
         \x20 tarpit: {{type: webhook, url: \"http://{}/\", timeout: 60}}\n\
         dyndomains: [dyn.example.net]\nnsupdate_bin: {}\ndns_timeout: 60\n\
         thresholds:\n  cpu_monitor: {{cpu_percent: {{warning: 80, critical: 90}}}}\nhosts:\n",
        fine.address,
        tarpit.address,
        program.file.display(),
        dir = dir.display(),
    );
    (0..HOSTS).for_each(|n| text.push_str(&format!("  h{n}:\n")));
    std::fs::write(&path, text).expect("a configuration file");
    path
}

struct Bench {
    pid: u32,
    sender: Sender,
    fine: Receiver,
    tarpit: Receiver,
    program: Nsupdate,
}

impl Bench {
    fn phase(&mut self, stuck: bool, troubles: bool, number: usize, span: Duration) -> Phase {
        // The same happens before each phase: one trouble for both receivers, one address for nsupdate.
        self.program.hold(stuck);
        self.tarpit.hold(stuck);
        let before = (self.fine.count(), self.tarpit.count(), self.program.begun());
        self.sender.trouble(&format!("first-{number}"));
        self.sender.heartbeat(&format!("n{number}.dyn.example.net"));
        wait("both receivers and nsupdate have begun", || {
            self.fine.count() > before.0
                && self.tarpit.count() > before.1
                && self.program.begun() > before.2
        });
        // What that put on the disk is there.
        std::thread::park_timeout(Duration::from_millis(400));
        let phase = self.measure(troubles, number, span);
        if stuck {
            assert_eq!(self.tarpit.count(), before.1 + 1, "the tarpit holds the first message");
            assert_eq!(self.program.begun(), before.2 + 1, "nsupdate hangs");
        }
        self.tarpit.hold(false);
        self.program.hold(false);
        std::thread::park_timeout(Duration::from_millis(400));
        phase
    }

    fn measure(&mut self, troubles: bool, number: usize, span: Duration) -> Phase {
        let mut phase = Phase::default();
        let mut told: Vec<(String, Instant)> = Vec::new();
        let cpu = socket::cpu_of(self.pid);
        let begin = Instant::now();
        while begin.elapsed() < span {
            phase.acks.push(self.sender.heartbeat(&format!("h{}", phase.acks.len() % HOSTS)));
            if troubles && begin.elapsed() >= TROUBLE_EVERY * told.len() as u32 {
                let host = format!("p{number}-{}", told.len());
                told.push((host.clone(), Instant::now()));
                self.sender.trouble(&host);
            }
        }
        phase.cpu = socket::cpu_of(self.pid) - cpu;
        phase.acks.sort();
        for (host, sent) in told {
            let words = format!("CRITICAL: {host} ");
            wait(&words, || self.fine.heard(&words).is_some());
            phase.deliveries.extend(self.fine.heard(&words).map(|at| at - sent));
        }
        phase.deliveries.sort();
        phase
    }
}

#[derive(Default)]
struct Phase {
    acks: Vec<Duration>,
    deliveries: Vec<Duration>,
    cpu: Duration,
}

impl Phase {
    /// In microseconds.
    fn ack(&self, percent: usize) -> f64 {
        self.acks[(self.acks.len() - 1) * percent / 100].as_secs_f64() * 1e6
    }

    fn cpu_each(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.acks.len() as f64
    }

    /// In milliseconds.
    fn slowest_delivery(&self) -> f64 {
        self.deliveries.last().map_or(0.0, |took| took.as_secs_f64() * 1e3)
    }
}

struct Kind {
    stuck: bool,
    troubles: bool,
    phases: Vec<Phase>,
}

impl Kind {
    fn new(stuck: bool, troubles: bool) -> Kind {
        Kind { stuck, troubles, phases: Vec::new() }
    }

    fn median(&self, figure: impl Fn(&Phase) -> f64) -> f64 {
        let mut figures: Vec<f64> = self.phases.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    }

    fn print(&self) {
        let least = |figure: &dyn Fn(&Phase) -> f64| {
            self.phases.iter().map(figure).fold(f64::MAX, f64::min)
        };
        let most =
            |figure: &dyn Fn(&Phase) -> f64| self.phases.iter().map(figure).fold(0.0, f64::max);
        println!(
            "{}, {}: {} heartbeats; ACK p50 {:.1} us, p99 {:.1} us ({:.1} to {:.1}), worst {:.0} us; \
             CPU {:.2} us each; slowest delivery {:.1} ms (worst {:.1})",
            if self.stuck { "stuck" } else { "quiet" },
            if self.troubles { "with troubles" } else { "without" },
            self.phases.iter().map(|phase| phase.acks.len()).sum::<usize>(),
            self.median(|phase| phase.ack(50)),
            self.median(|phase| phase.ack(99)),
            least(&|phase| phase.ack(99)),
            most(&|phase| phase.ack(99)),
            self.median(|phase| phase.ack(100)),
            self.median(Phase::cpu_each),
            self.median(Phase::slowest_delivery),
            most(&Phase::slowest_delivery),
        );
    }
}

/// Sends, and waits for each answer.
struct Sender(UdpSocket);

impl Sender {
    fn to(server: SocketAddr) -> Sender {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.connect(server).expect("loopback");
        socket.set_read_timeout(Some(PATIENCE)).expect("set");
        Sender(socket)
    }

    fn ask(&self, message: &str) -> Duration {
        let mut answer = [0; 256];
        let sent = Instant::now();
        self.0.send(message.as_bytes()).expect("sent");
        self.0.recv(&mut answer).expect("an ACK");
        sent.elapsed()
    }

    fn heartbeat(&self, host: &str) -> Duration {
        self.ask(&format!(r#"{{"ID":"HTB","name":"{host}","interval":600}}"#))
    }

    fn trouble(&self, host: &str) {
        let data = r#""plugin":"cpu_monitor","every":300,"data":{"cpu_percent":95.0}"#;
        self.ask(&format!(r#"{{"ID":"PLG","name":"{host}",{data}}}"#));
    }
}

/// A receiver of notices. While it holds, it takes requests and does not answer them.
struct Receiver {
    address: SocketAddr,
    state: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    holds: bool,
    seen: Vec<(Instant, String)>,
}

impl Receiver {
    fn start() -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new((Mutex::default(), Condvar::new()));
        let kept: Arc<(Mutex<State>, Condvar)> = Arc::clone(&state);
        let accept = move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let state = Arc::clone(&kept);
                let serve = move || drop(answer(stream, &state));
                std::thread::Builder::new().spawn(serve).expect("a thread");
            }
        };
        std::thread::Builder::new().spawn(accept).expect("a thread");
        Receiver { address, state }
    }

    fn hold(&self, holds: bool) {
        self.state.0.lock().expect("not poisoned").holds = holds;
        self.state.1.notify_all();
    }

    fn count(&self) -> usize {
        self.state.0.lock().expect("not poisoned").seen.len()
    }

    fn heard(&self, words: &str) -> Option<Instant> {
        let state = self.state.0.lock().expect("not poisoned");
        // The newest first: they are what is asked for.
        state.seen.iter().rev().find(|(_, body)| body.contains(words)).map(|(at, _)| *at)
    }
}

fn answer(stream: TcpStream, state: &(Mutex<State>, Condvar)) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut len = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            len = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; len];
    reader.read_exact(&mut body)?;
    let mut held = state.0.lock().expect("not poisoned");
    held.seen.push((Instant::now(), String::from_utf8_lossy(&body).into_owned()));
    let held = state.1.wait_while(held, |state| state.holds).expect("not poisoned");
    drop(held);
    reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

/// A program in the place of nsupdate: while it is held, it waits for a writer to a FIFO that never comes.
struct Nsupdate {
    file: PathBuf,
    gate: PathBuf,
    begun: PathBuf,
}

impl Nsupdate {
    fn write(dir: &Path) -> Nsupdate {
        let [file, gate, begun] = ["nsupdate", "gate", "begun"].map(|name| dir.join(name));
        let script =
            format!("#!/bin/sh\necho >>{}\nexec cat {}\n", begun.display(), gate.display());
        std::fs::write(&file, script).expect("written");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("set");
        std::fs::write(&begun, "").expect("written");
        std::fs::write(&gate, "").expect("written");
        Nsupdate { file, gate, begun }
    }

    fn hold(&self, holds: bool) {
        // Opening the other end lets whoever waits read an end.
        let nobody = libc::O_NONBLOCK;
        let _ = std::fs::OpenOptions::new().append(true).custom_flags(nobody).open(&self.gate);
        let _ = std::fs::remove_file(&self.gate);
        if holds {
            let made = Command::new("mkfifo").arg(&self.gate).status();
            assert!(made.is_ok_and(|status| status.success()), "mkfifo");
        } else {
            std::fs::write(&self.gate, "").expect("written");
        }
    }

    fn begun(&self) -> u64 {
        std::fs::metadata(&self.begun).map_or(0, |meta| meta.len())
    }
}

fn wait(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "{what}: not within {PATIENCE:?}");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}
