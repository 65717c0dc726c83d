//! The real agent and the real server with an attacker between them, who sees everything, and may replay, drop and
//! reorder any datagram ever sent; agents reboot, the server restarts, disks fail. Bytes choose what happens.
//!
//! What must hold is PROTOCOL C9: F1, F2, X1 to X4, N1, and that an honest network always gets a heartbeat counted.

use heartbeat::agent::{self, Agent, Plan, RanHow, Setup, Target, Trust};
use heartbeat::config::{agent as config, server::Server};
use heartbeat::engine::{Command, Effect, Engine, Entry, Event, Path, Saved, Wish};
use heartbeat::time::{Duration, Mono, Now, Wall};
use heartbeat::wire::{
    Decoder, Header, Key, KeyId, Keyring, Order, SealKind, SessionKey, Slot, open_order,
};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

const SERVER: &str = "198.51.100.1:50003";
const AGENT: &str = "192.0.2.1:4000";
/// Steps of one run; what is left of the bytes is not read.
const STEPS_MAX: usize = 400;

/// What is known of a datagram of the agent's beside its bytes.
#[derive(Clone, Copy)]
struct Origin {
    /// Which life of the agent sent it, in which life of the server.
    agent: u32,
    server: u32,
}

#[derive(Default)]
struct Wire {
    /// In the order of their first sending.
    of_agent: Vec<Vec<u8>>,
    of_server: Vec<Vec<u8>>,
    origins: BTreeMap<Vec<u8>, Vec<Origin>>,
    nonces: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Wire {
    fn check_nonce(&mut self, bytes: &[u8]) {
        let known = self.nonces.entry(bytes[12..36].to_vec()).or_insert_with(|| bytes.to_vec());
        assert_eq!(known, bytes, "N1 a nonce with two contents");
    }
}

pub struct World {
    now: Mono,
    key: Key,
    ring: Arc<Keyring>,
    agent: Agent,
    agent_life: u32,
    engine: Engine,
    server_life: u32,
    decoder: Decoder,
    wire: Wire,
    /// Rows on disk, and those that wait for it.
    disk: BTreeMap<String, Saved>,
    waiting: Vec<Saved>,
    /// Tokens that the engine waits for.
    tokens: Vec<u64>,
    counted: BTreeSet<Vec<u8>>,
    newest: u32,
    executions: BTreeMap<u64, u32>,
    /// Incarnations that a command was sent to.
    ordered: BTreeSet<(u64, u64)>,
    running: Vec<u64>,
    pub heartbeats: u64,
    pub runs: u64,
}

fn setup(key: &Key, life: u32) -> Setup {
    let target = Target {
        host: "server".into(),
        port: 50003,
        ipv4: true,
        ipv6: false,
        key: Some(key.clone()),
    };
    let command = config::Command {
        argv: vec!["/bin/true".to_owned()],
        args: false,
        timeout: Duration::from_secs(60),
    };
    let trust = Trust {
        commands: BTreeMap::from([("c".to_owned(), command)]),
        update: false,
        seed: 0x5eed_0000 + u64::from(life),
        weak: false,
    };
    Setup {
        name: "web1".into(),
        version: "1",
        interval: Duration::from_secs(30),
        targets: vec![target],
        plugins: Vec::<Plan>::new(),
        spool_max: 10_000,
        boot: false,
        heartbeat: true,
        trust,
        booted: None,
    }
}

impl World {
    fn new(decoder: Decoder) -> World {
        let key = Key::new(KeyId([0xa0; 8]), [7; 32]);
        let mut ring = Keyring::default();
        let slot = Slot { key: key.clone(), host: "web1".into(), created: 0.0 };
        ring.add(slot).expect("one key");
        let now = Mono::from_secs(1000);
        let at = Now { mono: now, wall: Wall::from_secs(1_763_000_000) };
        let agent = Agent::new(setup(&key, 1), 1, at);
        let mut world = World {
            now,
            key,
            ring: Arc::new(ring),
            agent,
            agent_life: 1,
            engine: Engine::new(Arc::new(Server::default()), 1, at),
            server_life: 1,
            decoder,
            wire: Wire::default(),
            disk: BTreeMap::new(),
            waiting: Vec::new(),
            tokens: Vec::new(),
            counted: BTreeSet::new(),
            newest: 0,
            executions: BTreeMap::new(),
            ordered: BTreeSet::new(),
            running: Vec::new(),
            heartbeats: 0,
            runs: 0,
        };
        world.open_server();
        world.drain_agent();
        world
    }

    fn at(&self) -> Now {
        let wall = Wall::from_secs(1_763_000_000) + self.now.since(Mono::ZERO);
        Now { mono: self.now, wall }
    }

    fn open_server(&mut self) {
        let at = self.at();
        self.engine = Engine::new(Arc::new(Server::default()), u64::from(self.server_life), at);
        self.engine.set_session_secret([self.server_life as u8; 32]);
        for row in self.disk.values() {
            self.engine.restore(at, row.clone());
        }
        self.engine.handle(at, Event::Keys(self.ring.clone()));
        self.drain_server();
    }

    fn restart_server(&mut self) {
        self.server_life += 1;
        self.waiting.clear();
        self.tokens.clear();
        self.newest = 0;
        self.open_server();
    }

    fn reboot_agent(&mut self) {
        self.agent_life += 1;
        self.running.clear();
        self.agent = Agent::new(setup(&self.key, self.agent_life), 1, self.at());
        self.drain_agent();
    }

    /// The incarnation of the agent that runs now, by what it sent last.
    fn aid(&self) -> Option<u64> {
        let own = |bytes: &&Vec<u8>| {
            let origins = self.wire.origins.get(*bytes);
            origins.is_some_and(|list| list.iter().any(|origin| origin.agent == self.agent_life))
        };
        let last = self.wire.of_agent.iter().rev().find(own)?;
        Header::parse(last).ok().map(|header| header.aid)
    }

    fn drain_agent(&mut self) {
        while let Some(effect) = self.agent.poll_effect() {
            match effect {
                agent::Effect::Resolve { server } => {
                    let addresses: [SocketAddr; 1] = [SERVER.parse().expect("an address")];
                    let event = agent::Event::Resolved { server, addresses: &addresses };
                    self.agent.handle(self.at(), event);
                }
                agent::Effect::Send { bytes, .. } => {
                    assert!(bytes.len() <= 1200 && (bytes.len() == 52 || bytes.len() >= 116));
                    self.wire.check_nonce(&bytes);
                    let origin = Origin { agent: self.agent_life, server: self.server_life };
                    self.wire.origins.entry(bytes.clone()).or_default().push(origin);
                    self.wire.of_agent.push(bytes);
                }
                agent::Effect::Run { cid, .. } => self.run(cid),
                _ => {}
            }
        }
    }

    fn run(&mut self, cid: u64) {
        let count = self.executions.entry(cid).or_default();
        *count += 1;
        assert_eq!(*count, 1, "X1 command {cid} ran twice");
        let aid = self.aid().expect("it has spoken");
        assert!(self.ordered.contains(&(cid, aid)), "X2 {cid} ran where it was not sent");
        self.running.push(cid);
        self.runs += 1;
    }

    fn drain_server(&mut self) -> bool {
        let mut counted = false;
        while let Some(effect) = self.engine.poll_effect() {
            match effect {
                Effect::Send { reply, .. } => self.keep(reply.as_bytes()),
                Effect::Order { bytes, .. } => {
                    self.keep(&bytes);
                    let header = Header::parse(&bytes).expect("our own");
                    let session = SessionKey::derive(&self.key, header.sid, header.aid);
                    let opened = open_order(&session, &header, &bytes, &mut Vec::new());
                    if let Order::Cmd(cmd) = opened.expect("our own").into_inner() {
                        self.ordered.insert((cmd.cid, header.aid));
                    }
                }
                Effect::Persist(rows) => self.waiting.extend(rows),
                Effect::Secure { token } => self.tokens.push(token),
                Effect::Journal(record) => {
                    counted |= matches!(record.entry, Entry::Message { .. });
                }
                _ => {}
            }
        }
        counted
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.wire.check_nonce(bytes);
        self.wire.of_server.push(bytes.to_vec());
    }

    #[allow(clippy::wrong_self_convention, reason = "the way of a datagram")]
    fn to_server(&mut self, bytes: &[u8]) -> bool {
        let path = Path { from: AGENT.parse().expect("an address"), to: None };
        let at = self.at();
        let opened = self.decoder.open(bytes, &self.ring);
        let replies = self.wire.of_server.len();
        self.engine.handle(at, Event::Sealed { path, len: bytes.len(), opened });
        let counted = self.drain_server();
        for reply in &self.wire.of_server[replies..] {
            let kind = Header::parse(reply).expect("our own").kind;
            assert!(reply.len() <= bytes.len() || kind == SealKind::Answer, "U3");
        }
        if counted {
            self.heartbeats += 1;
            let origins = self.wire.origins.get(bytes).expect("F1 something nobody sent");
            let fresh = origins.iter().any(|origin| origin.server == self.server_life);
            assert!(fresh, "F1 from before this server");
            assert!(self.counted.insert(bytes.to_vec()), "F1 counted twice");
            let life = origins.iter().map(|origin| origin.agent).max().unwrap_or(0);
            assert!(life >= self.newest, "F2 an older incarnation came back");
            self.newest = self.newest.max(life);
        }
        counted
    }

    #[allow(clippy::wrong_self_convention, reason = "the way of a datagram")]
    fn to_agent(&mut self, bytes: &[u8]) {
        self.agent.handle(self.at(), agent::Event::Tick);
        self.drain_agent();
        let foreign = Header::parse(bytes).is_ok_and(|header| {
            matches!(header.kind, SealKind::Data | SealKind::Hello)
                || Some(header.aid) != self.aid()
        });
        let before = self.agent.view();
        self.deliver(bytes);
        let after = self.agent.view();
        if foreign {
            assert_eq!(after, before, "X3 it listened to another's");
        }
        // The same again at once means nothing.
        let sent = self.wire.of_agent.len();
        self.deliver(bytes);
        assert_eq!(self.agent.view(), after, "X4 it listened twice");
        assert_eq!(self.wire.of_agent.len(), sent, "X4 it answered twice");
    }

    fn deliver(&mut self, bytes: &[u8]) {
        self.agent.handle(self.at(), agent::Event::Datagram { link: 1, bytes });
        self.drain_agent();
    }

    fn elapse(&mut self, millis: u64) {
        self.now = self.now + Duration::from_millis(millis);
        self.agent.handle(self.at(), agent::Event::Tick);
        self.drain_agent();
        self.engine.handle(self.at(), Event::Tick);
        self.drain_server();
    }

    /// The disk takes what waits, or does not.
    fn secure(&mut self, saved: bool) {
        if saved {
            for row in self.waiting.drain(..) {
                match &row {
                    Saved::Host { name, .. } => drop(self.disk.insert(format!("1 {name}"), row)),
                    Saved::Part { key, .. } => drop(self.disk.insert(format!("2 {key}"), row)),
                    Saved::PartGone { key } => drop(self.disk.remove(&format!("2 {key}"))),
                    _ => {}
                }
            }
        }
        for token in std::mem::take(&mut self.tokens) {
            self.engine.handle(self.at(), Event::Secured { token, saved });
            self.drain_server();
        }
    }

    fn ask(&mut self) {
        let wish = Wish { name: "c".to_owned(), args: Vec::new(), ttl: 120, by: None };
        let command = Command::Run { host: "web1".to_owned(), wish };
        self.engine.handle(self.at(), Event::Command { id: 1, command });
        self.drain_server();
        // Who asked was told so: that is on disk.
        self.secure(true);
    }

    fn finish(&mut self) {
        let Some(cid) = self.running.pop() else { return };
        let how = RanHow::Ended { code: 0, output: "", millis: 1 };
        self.agent.handle(self.at(), agent::Event::Ran { server: 0, cid, how });
        self.drain_agent();
    }

    /// One step: `what` chooses, `which` says of what.
    pub fn step(&mut self, what: u8, which: u8) {
        let pick = |list: &[Vec<u8>]| -> Option<Vec<u8>> {
            let which = usize::from(which);
            // Mostly what was sent lately, at times anything ever sent.
            let at = match which & 0xc0 {
                0xc0 => which.wrapping_mul(31) % list.len().max(1),
                _ => list.len().checked_sub(1 + (which & 0x3f) % list.len().clamp(1, 6))?,
            };
            list.get(at).cloned()
        };
        match what % 16 {
            0..=4 => {
                if let Some(bytes) = pick(&self.wire.of_agent) {
                    self.to_server(&bytes);
                }
            }
            5..=9 => {
                if let Some(bytes) = pick(&self.wire.of_server) {
                    self.to_agent(&bytes);
                }
            }
            10 => {
                // The wrong way round, and damaged.
                if let Some(mut bytes) = pick(&self.wire.of_server) {
                    assert!(!self.to_server(&bytes));
                    let at = usize::from(which) % bytes.len();
                    bytes[at] ^= 1 << (which % 8);
                    self.to_agent(&bytes);
                }
                if let Some(bytes) = pick(&self.wire.of_agent) {
                    self.to_agent(&bytes);
                }
            }
            11 => self.elapse(u64::from(which) * 40),
            12 => self.secure(!which.is_multiple_of(4)),
            13 if which.is_multiple_of(8) => self.reboot_agent(),
            13 if which % 8 == 1 => self.restart_server(),
            13 => self.elapse(u64::from(which) * 4),
            14 => self.ask(),
            _ => self.finish(),
        }
    }

    /// An honest network: in order, without loss. A heartbeat is counted, soon.
    pub fn heal(&mut self) {
        let (mut sent, mut heard) = (self.wire.of_agent.len(), self.wire.of_server.len());
        let before = self.heartbeats;
        let (mut flights, mut aid) = (0, self.aid());
        for _ in 0..200 {
            self.elapse(500);
            self.secure(true);
            while sent < self.wire.of_agent.len() || heard < self.wire.of_server.len() {
                if self.aid() != aid {
                    // It gave its session up just then: the two sends are those of its new incarnation.
                    (flights, aid) = (0, self.aid());
                }
                flights +=
                    usize::from(self.heartbeats == before && sent < self.wire.of_agent.len());
                while let Some(bytes) = self.wire.of_agent.get(sent).cloned() {
                    sent += 1;
                    self.to_server(&bytes);
                }
                while let Some(bytes) = self.wire.of_server.get(heard).cloned() {
                    heard += 1;
                    self.deliver(&bytes);
                }
            }
            if self.heartbeats > before {
                break;
            }
        }
        assert!(self.heartbeats > before, "an honest network gets a heartbeat counted");
        assert!(flights <= 2, "it took {flights} sends of an honest network");
    }
}

thread_local! {
    /// A decoder is large and remembers nothing that matters: one serves all runs.
    static DECODER: Cell<Option<Decoder>> = const { Cell::new(None) };
}

/// Runs what the bytes choose, two for each step; heartbeats that were counted, and commands that ran.
pub fn check(bytes: &[u8]) -> (u64, u64) {
    let mut world = World::new(DECODER.take().unwrap_or_default());
    for pair in bytes.chunks_exact(2).take(STEPS_MAX) {
        world.step(pair[0], pair[1]);
    }
    world.heal();
    DECODER.set(Some(world.decoder));
    (world.heartbeats, world.runs)
}
