//! What sealing costs the server: CPU of hbd for each heartbeat with its ACK, sealed and plain, at 50,000 a second in
//! the same run, and whether any is lost. `cargo bench --bench sealed [-- SECONDS]`; docs/PERFORMANCE.md has
//! the figures.
//!
//! Loopback only; ends by itself. The datagrams are sealed before the clock starts: a number counts once.

#![allow(clippy::disallowed_methods)] // A benchmark reads the clock.

mod keyed;
#[allow(dead_code, reason = "each benchmark uses its part")]
mod shape;
#[allow(dead_code, reason = "each benchmark uses its part")]
mod socket;

use heartbeat::wire::{Header, SealKind, seal};
use keyed::key;
use shape::{Load, Shape};
use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::process::Child;
use std::time::Duration;

const HOSTS: usize = 4000;
const RATE: u64 = 50_000;

fn main() {
    let seconds = std::env::args().filter_map(|a| a.parse().ok()).next().unwrap_or(10);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let span = Duration::from_secs(seconds);
    let mut each = Vec::new();
    for sealed in [false, true] {
        let (child, address) = start(dir.path(), sealed);
        let load = if sealed {
            sealed_load(address, RATE as usize * seconds as usize)
        } else {
            Load::new(Shape::Htb, HOSTS)
        };
        let before = socket::cpu_of(child.id());
        let (sent, answered) = socket::paced(address, &load, RATE, span);
        let cpu = socket::cpu_of(child.id()) - before;
        // What was lost on the way cost the server nothing.
        let micros = cpu.as_secs_f64() * 1e6 / answered.max(1) as f64;
        println!(
            "{}: {sent} sent in {seconds} s, {} lost, {micros:.2} us each, {:.0} % of a core",
            if sealed { "sealed" } else { "plain" },
            sent - answered,
            100.0 * cpu.as_secs_f64() / span.as_secs_f64(),
        );
        each.push(micros);
        stop(child);
    }
    println!("sealed over plain: {:.2} (at most 2)", each[1] / each[0]);
}

fn start(dir: &std::path::Path, sealed: bool) -> (Child, SocketAddr) {
    let config = socket::config(dir, HOSTS, false, false);
    if sealed {
        keyed::write_keys(dir, HOSTS);
    }
    keyed::start_hbd(&config)
}

/// A session for every host, then that many heartbeats, each once.
fn sealed_load(server: SocketAddr, count: usize) -> Load {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.connect(server).expect("loopback");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("set");
    let header = |host: usize, kind, sid, seq| {
        let aid = 7;
        Header { key_id: key(host).id(), sid, aid, kind, seq, deflated: false }
    };
    let mut sids = HashMap::new();
    let (mut bytes, mut buffer) = (Vec::new(), [0; 2048]);
    for host in 0..HOSTS {
        seal::seal(&key(host), header(host, SealKind::Hello, 0, 1), b"", &mut bytes);
        socket.send(&bytes).expect("sent");
        let len = socket.recv(&mut buffer).expect("a WELCOME");
        sids.insert(host, Header::parse(&buffer[..len]).expect("sealed").sid);
    }
    let text =
        format!("{:<64}", r#"{"ID":"HTB","interval":30,"rtt":0.412,"up":86400,"v":"0.1.0"}"#);
    let datagrams = (0..count).map(|n| {
        let (host, seq) = (n % HOSTS, 2 + (n / HOSTS) as u64);
        let mut bytes = Vec::new();
        seal::seal(
            &key(host),
            header(host, SealKind::Data, sids[&host], seq),
            text.as_bytes(),
            &mut bytes,
        );
        bytes
    });
    Load { datagrams: datagrams.collect() }
}

fn stop(mut child: Child) {
    let _ = child.kill();
    let _ = child.wait();
}
