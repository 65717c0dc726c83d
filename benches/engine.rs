//! The datagram path without sockets, and memory per host. `cargo bench --bench engine`.
//!
//! `-- path htb 100000` runs that many plain heartbeats through decode and engine and nothing else: what
//! `benches/callgrind.sh` counts instructions of. Without arguments: bytes per host at three sizes, the cost of an
//! idle tick and of the first page of hosts.

#![allow(clippy::disallowed_methods)] // A benchmark reads the clock.

mod shape;

use heartbeat::config::server::Server;
use heartbeat::engine::{Effect, Engine, Event, Path};
use heartbeat::time::{Duration, Mono, Now, Wall};
use heartbeat::wire::{Decoder, Header, Key, KeyId, Keyring, SealKind, Slot, seal};
use shape::{Load, Shape};
use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Counts what is allocated now.
struct Counting;

static BYTES: AtomicUsize = AtomicUsize::new(0);

// SAFETY: hands every call on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|a| a == "path") {
        let count = arguments.get(at + 2).and_then(|n| n.parse().ok()).unwrap_or(100_000);
        if arguments.get(at + 1).is_some_and(|shape| shape == "sealed") {
            return run_sealed(count);
        }
        let shape = match arguments.get(at + 1).map(String::as_str) {
            Some("plg") => Shape::Plg,
            Some("garbage") => Shape::Garbage,
            _ => Shape::Htb,
        };
        return run_path(shape, count);
    }
    for hosts in [1_000, 10_000, 100_000] {
        memory(hosts);
    }
}

struct World {
    engine: Engine,
    decoder: Decoder,
    now: Now,
}

impl World {
    fn new(hosts_max: usize) -> World {
        let now = Now { mono: Mono::from_secs(1), wall: Wall::from_secs(1_763_798_400) };
        let config = Server { hosts_max, ..Server::default() };
        World { engine: Engine::new(Arc::new(config), 1, now), decoder: Decoder::new(), now }
    }

    fn receive(&mut self, datagram: &[u8], from: [u8; 4]) {
        let path = Path { from: (from, 4000).into(), to: None };
        let decoded = self.decoder.decode(datagram);
        self.engine.handle(self.now, Event::Datagram { path, len: datagram.len(), decoded });
        while let Some(effect) = self.engine.poll_effect() {
            let _ = black_box(effect);
        }
    }

    fn tick(&mut self, after: Duration) -> std::time::Duration {
        self.now = self.now + after;
        let begin = Instant::now();
        self.engine.handle(self.now, Event::Tick);
        let cost = begin.elapsed();
        while let Some(effect) = self.engine.poll_effect() {
            let _ = black_box(effect);
        }
        cost
    }
}

fn run_path(shape: Shape, count: usize) {
    const HOSTS: usize = 1000;
    let load = Load::new(shape, HOSTS);
    let mut world = World::new(HOSTS);
    for i in 0..HOSTS {
        let from = [127, 0, (i >> 8) as u8, i as u8];
        world.receive(&shape::htb(i), from);
    }
    for i in 0..count {
        if i % HOSTS == 0 {
            // Keeps every host within its rate.
            world.now = world.now + Duration::from_millis(100);
        }
        world.receive(&load.datagrams[i % HOSTS], [127, 0, 0, 1]);
    }
    println!("{count} {shape:?} done");
}

/// Heartbeats of one host with a key, sealed beforehand.
fn run_sealed(count: usize) {
    let key = Key::new(KeyId([1; 8]), [2; 32]);
    let mut ring = Keyring::default();
    ring.add(Slot { key: key.clone(), host: "web1".into(), created: 0.0 }).expect("one key");
    let mut world = World::new(1000);
    world.engine.set_session_secret([3; 32]);
    world.engine.handle(world.now, Event::Keys(Arc::new(ring)));
    let ring = world.engine.keyring();
    let seal = |sid, kind, seq, text: &[u8]| {
        let header = Header { key_id: key.id(), sid, aid: 7, kind, seq, deflated: false };
        let mut bytes = Vec::new();
        seal::seal(&key, header, text, &mut bytes);
        bytes
    };
    let path = Path { from: ([127, 0, 0, 1], 4000).into(), to: None };
    let mut sid = 0;
    let mut send = |world: &mut World, bytes: &[u8]| {
        let opened = world.decoder.open(bytes, &ring);
        world.engine.handle(world.now, Event::Sealed { path, len: bytes.len(), opened });
        while let Some(effect) = world.engine.poll_effect() {
            if let Effect::Send { reply, .. } = &effect {
                sid = Header::parse(reply.as_bytes()).expect("sealed").sid;
            }
            let _ = black_box(effect);
        }
        sid
    };
    let sid = send(&mut world, &seal(0, SealKind::Hello, 1, b""));
    let text =
        format!("{:<64}", r#"{"ID":"HTB","interval":30,"rtt":0.412,"up":86400,"v":"0.1.0"}"#);
    let all: Vec<_> =
        (0..count as u64).map(|n| seal(sid, SealKind::Data, 2 + n, text.as_bytes())).collect();
    for bytes in all {
        world.now = world.now + Duration::from_millis(100);
        send(&mut world, &bytes);
    }
    let accepted = world.engine.view().counters.accepted;
    println!("{count} sealed done, {accepted} accepted");
}

fn memory(hosts: usize) {
    let before = BYTES.load(Ordering::Relaxed);
    let mut world = World::new(hosts);
    for i in 0..hosts {
        world.receive(&shape::htb(i), [10, (i >> 16) as u8, (i >> 8) as u8, i as u8]);
        if i % 10_000 == 0 {
            world.tick(Duration::from_millis(900));
        }
    }
    world.tick(Duration::from_millis(900));
    let view = world.engine.view();
    assert_eq!(view.hosts.len, hosts);
    let bytes = BYTES.load(Ordering::Relaxed) - before;
    let idle = (0..5).map(|_| world.tick(Duration::from_millis(500))).min().unwrap_or_default();
    let begin = Instant::now();
    let next = world.engine.view();
    let publish = begin.elapsed();
    drop((view, next));
    println!(
        "{hosts:>7} hosts: {:>6.0} bytes a host, idle tick {idle:?}, publishing a view {publish:?}",
        bytes as f64 / hosts as f64
    );
}
