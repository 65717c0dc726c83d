//! The world of one run: virtual time, one server, some agents, and what befalls them.

use crate::fault::Shape;
use crate::network::{Network, seconds};
use crate::queue::Queue;
use crate::shadow::Shadow;
use crate::told::Told;
use heartbeat::agent::{self, Agent, Plan, Setup, Target};
use heartbeat::calm::SilenceRequest;
use heartbeat::config::Document;
use heartbeat::config::server::{self, Host, Server, UdpPolicy};
use heartbeat::engine::outbox::Outcome;
use heartbeat::engine::{Command, Effect, Engine, Event, Path, Saved, view};
use heartbeat::notice::Message;
use heartbeat::prng::Prng;
use heartbeat::ring::Ring;
use heartbeat::time::{Duration, Mono, Now, Wall};
use heartbeat::wire::{self, Decoder, Header, Key, KeyId, Keyring, SealedMessage, Slot};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

const CONFIG: &str = r#"
pushsrv: [chat, pager]
channels:
  chat: {type: webhook, url: "http://127.0.0.1/", retry_for: 30d}
  pager: {type: webhook, url: "http://127.0.0.2/", min_level: critical, retry_for: 30d}
threshold_renotify_interval: 10m
thresholds: {cpu_monitor: {cpu_percent: {warning: 80, critical: 90}}}
"#;
const SERVER: &str = "198.51.100.1:50003";
const SILENCE_ASTRAY: Duration = Duration::from_secs(2 * 3600);
const STORE_DELAY: Duration = Duration::from_millis(250);

/// What a run came to.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Report {
    pub heartbeats: u64,
    /// Of these, those of hosts with a key.
    pub sealed: u64,
    /// Of hosts that were heard before.
    pub downs: u64,
    pub ups: u64,
    pub flaps: u64,
    pub restarts: u64,
    pub stalls: u64,
    pub refused: u64,
    /// Messages that reached a receiver.
    pub delivered: u64,
    /// Of everything that was told, in order.
    pub fingerprint: u64,
}

impl Report {
    pub fn add(&mut self, other: &Report) {
        self.heartbeats += other.heartbeats;
        self.sealed += other.sealed;
        self.downs += other.downs;
        self.ups += other.ups;
        self.flaps += other.flaps;
        self.restarts += other.restarts;
        self.stalls += other.stalls;
        self.refused += other.refused;
        self.delivered += other.delivered;
    }
}

enum Item {
    ToServer {
        host: usize,
        bytes: Vec<u8>,
    },
    ToAgent {
        host: usize,
        life: u32,
        link: u32,
        bytes: Vec<u8>,
    },
    Collected {
        host: usize,
        life: u32,
        plugin: usize,
    },
    AgentStart {
        host: usize,
    },
    ServerStart,
    /// A worker is done with a message of a server's life.
    Delivered {
        life: u64,
        message: Box<Message>,
        outcome: Outcome,
    },
    /// Once a second: faults may begin.
    Stir,
}

struct Machine {
    agent: Option<Agent>,
    life: u32,
    /// Its monotonic clock began then.
    born: Mono,
}

pub struct World {
    seed: u64,
    shape: Shape,
    prng: Prng,
    now: Mono,
    wall_offset: i64,
    queue: Queue<Item>,
    machines: Vec<Machine>,
    engine: Option<Engine>,
    decoder: Decoder,
    network: Network,
    shadow: Shadow,
    told: Told,
    silenced: BTreeMap<String, Mono>,
    /// Hosts of which nothing but FLAPPING and SETTLED is owed.
    flapping: BTreeSet<String>,
    config: Arc<Server>,
    /// The keys of those hosts that have one.
    ring: Arc<Keyring>,
    /// What a kill leaves: rows by key, and when they became durable.
    store: BTreeMap<String, Saved>,
    pending: Vec<(Mono, Saved)>,
    killed: bool,
    log: Ring<String>,
    traced: bool,
    report: Report,
}

impl World {
    pub fn new(seed: u64, shape: Shape) -> World {
        let hosts = crate::knob("HB_SIM_HOSTS", 6) as usize;
        let machine = |_| Machine { agent: None, life: 0, born: Mono::ZERO };
        let mut world = World {
            seed,
            shape,
            prng: Prng::new(seed),
            now: Mono::from_secs(1000),
            wall_offset: 1_763_000_000,
            queue: Queue::new(),
            machines: (0..hosts).map(machine).collect(),
            engine: None,
            decoder: Decoder::new(),
            network: Network::new(shape, hosts),
            shadow: Shadow::default(),
            told: Told::new(&["chat", "pager"]),
            silenced: BTreeMap::new(),
            flapping: BTreeSet::new(),
            config: config(hosts, shape),
            ring: keyring(hosts, shape),
            store: BTreeMap::new(),
            pending: Vec::new(),
            killed: false,
            log: Ring::new(40),
            traced: std::env::var_os("HB_SIM_TRACE").is_some(),
            report: Report::default(),
        };
        world.start_server();
        for host in 0..hosts {
            let at = world.now + seconds(&mut world.prng, 60.0);
            world.push(at, Item::AgentStart { host });
        }
        world.push(world.now + Duration::from_secs(1), Item::Stir);
        world
    }

    pub fn report(&self) -> Report {
        self.report.clone()
    }

    pub fn run(&mut self, secs: u64) {
        let end = self.now + Duration::from_secs(secs);
        while let Some(at) = self.next_time().filter(|at| *at <= end) {
            self.step(at);
        }
        self.now = end;
    }

    /// All faults end; after two deadlines every agent that lives is up, and the others are down.
    pub fn heal(&mut self) {
        self.shape = Shape::calm();
        self.network.heal();
        if self.engine.is_none() {
            self.start_server();
        }
        // A channel that failed for long is tried again within the half hour.
        self.run(2400);
        let view = self.engine.as_mut().map(Engine::view);
        for host in 0..self.machines.len() {
            let alive = self.machines[host].agent.is_some();
            let state = view.as_ref().and_then(|v| v.host(&name(host))).map(|h| h.state);
            let ok = match state {
                Some(view::State::Up) => alive,
                Some(view::State::Down) => !alive,
                None | Some(view::State::Unknown) => !alive,
                _ => false,
            };
            self.ensure(ok, &format!("after healing {} is {state:?}, alive={alive}", name(host)));
        }
        let down = |host: &str| {
            let state = view.as_ref()?.host(host)?.state;
            Some(matches!(state, view::State::Down | view::State::Unknown))
        };
        let checked = self.told.check(down);
        self.ensure_ok(checked);
    }

    fn next_time(&self) -> Option<Mono> {
        let queued = self.queue.next_time();
        let agents = self.machines.iter().filter_map(|m| {
            let due = m.agent.as_ref()?.poll_timeout()?;
            Some(m.born + due.since(Mono::ZERO))
        });
        let server = self.engine.as_ref().and_then(Engine::poll_timeout);
        agents.chain(queued).chain(server).min()
    }

    fn step(&mut self, at: Mono) {
        self.now = self.now.max(at);
        self.settle_store();
        while let Some(item) = self.queue.pop_due(self.now) {
            self.happen(item);
        }
        for host in 0..self.machines.len() {
            let now = self.agent_now(host);
            let due = self.machines[host].agent.as_ref().and_then(Agent::poll_timeout);
            if due.is_some_and(|due| due <= now.mono) {
                self.tell_agent(host, agent::Event::Tick);
            }
        }
        let due = self.engine.as_ref().and_then(Engine::poll_timeout);
        if due.is_some_and(|due| due <= self.now) {
            self.tick();
        }
    }

    fn push(&mut self, at: Mono, item: Item) {
        self.queue.push(at, item);
    }

    fn happen(&mut self, item: Item) {
        match item {
            Item::ToServer { host, bytes } => self.tell_server(host, &bytes),
            Item::ToAgent { host, life, link, bytes } if self.machines[host].life == life => {
                self.tell_agent(host, agent::Event::Datagram { link, bytes: &bytes });
            }
            Item::Collected { host, life, plugin } if self.machines[host].life == life => {
                let percent = [12.5, 79.0, 85.0, 95.0][self.prng.below(4) as usize];
                let data = format!(r#"{{"cpu_percent":{percent}}}"#);
                self.tell_agent(host, agent::Event::Sample { plugin, result: Ok(&data) });
            }
            Item::ToAgent { .. } | Item::Collected { .. } => {}
            Item::AgentStart { host } => self.start_agent(host),
            Item::ServerStart => self.start_server(),
            Item::Delivered { life, message, outcome } if life == self.report.restarts => {
                self.delivered(&message, outcome);
            }
            Item::Delivered { .. } => {}
            Item::Stir => self.stir(),
        }
    }

    fn stir(&mut self) {
        self.push(self.now + Duration::from_secs(1), Item::Stir);
        self.network.stir(self.now, &mut self.prng);
        for _ in 0..self.shape.flood {
            let stranger =
                format!(r#"{{"ID":"HTB","name":"x{}"}}"#, self.prng.next_u64() % 1_000_000);
            self.stranger(stranger.as_bytes());
        }
        for host in 0..self.machines.len() {
            if self.machines[host].agent.is_some() && self.prng.chance(self.shape.agent_death) {
                self.machines[host].agent = None;
                self.machines[host].life += 1;
                self.note(format!("agent {host} dies"));
                if self.prng.chance(0.5) {
                    let at = self.now + seconds(&mut self.prng, 600.0);
                    self.push(at, Item::AgentStart { host });
                }
            }
        }
        if self.engine.is_some() && self.prng.chance(self.shape.silence) {
            self.silence();
        }
        if self.prng.chance(self.shape.step) {
            self.wall_offset += self.prng.below(7200) as i64 - 3600;
        }
        if self.engine.is_some() && self.prng.chance(self.shape.restart) {
            self.kill_server();
        } else if self.engine.is_some() && self.prng.chance(self.shape.stall) {
            self.stall_server();
        }
    }

    fn server_now(&self) -> Now {
        let secs = Wall::from_secs(self.wall_offset);
        Now { mono: self.now, wall: secs + self.now.since(Mono::ZERO) }
    }

    fn agent_now(&self, host: usize) -> Now {
        // A router without a clock: 1970 at every boot.
        let mono = Mono::ZERO + self.now.since(self.machines[host].born);
        Now { mono, wall: Wall::from_secs(0) + mono.since(Mono::ZERO) }
    }

    fn start_agent(&mut self, host: usize) {
        let plan = Plan {
            stream: false,
            name: "cpu_monitor".into(),
            info: false,
            every: Duration::from_secs(300),
            timeout: Duration::from_secs(30),
            quick: true,
        };
        let slot = self.ring.slots().iter().find(|slot| *slot.host == *name(host));
        let key = slot.map(|slot| slot.key.clone());
        let target = Target { host: "server".into(), port: 50003, ipv4: true, ipv6: false, key };
        let seed = self.prng.next_u64();
        let setup = Setup {
            name: name(host).into(),
            version: "0.1.0",
            interval: Duration::from_secs(30),
            targets: vec![target],
            plugins: vec![plan],
            spool_max: 64_000,
            boot: false,
            heartbeat: true,
            trust: agent::Trust { seed: !seed, ..Default::default() },
            booted: Some(Mono::ZERO),
        };
        self.machines[host].born = self.now - Duration::from_secs(10);
        let agent = Agent::new(setup, seed, self.agent_now(host));
        self.machines[host].agent = Some(agent);
        self.note(format!("agent {host} starts"));
        self.drain_agent(host);
    }

    fn tell_agent(&mut self, host: usize, event: agent::Event<'_>) {
        let now = self.agent_now(host);
        let Some(agent) = &mut self.machines[host].agent else { return };
        agent.handle(now, event);
        self.drain_agent(host);
    }

    fn drain_agent(&mut self, host: usize) {
        let life = self.machines[host].life;
        while let Some(effect) = self.machines[host].agent.as_mut().and_then(Agent::poll_effect) {
            match effect {
                agent::Effect::Resolve { server } => {
                    let addresses: [SocketAddr; 1] = [SERVER.parse().expect("an address")];
                    let now = self.agent_now(host);
                    if let Some(agent) = &mut self.machines[host].agent {
                        agent.handle(now, agent::Event::Resolved { server, addresses: &addresses });
                    }
                }
                agent::Effect::Send { link: _, bytes } => {
                    self.ensure(bytes.len() <= 1200, "a datagram of at most 1200 bytes");
                    for at in self.network.carry(self.now, host, true, &mut self.prng) {
                        self.push(at, Item::ToServer { host, bytes: bytes.clone() });
                    }
                }
                agent::Effect::Collect { plugin } => {
                    let at = self.now + seconds(&mut self.prng, 0.2);
                    self.push(at, Item::Collected { host, life, plugin });
                }
                _ => {}
            }
        }
    }

    fn tell_server(&mut self, host: usize, bytes: &[u8]) {
        let now = self.server_now();
        let from = SocketAddr::from(([192, 0, 2, host as u8 + 1], 40_000));
        let path = Path { from, to: None };
        let Some(engine) = &mut self.engine else { return };
        if wire::is_sealed(bytes) {
            let opened = self.decoder.open(bytes, &self.ring);
            let content = opened.as_ref().ok().and_then(|opened| opened.content.as_ref());
            let beat = content.is_some_and(|content| {
                let message = content.as_ref().ok().map(|content| &content.message);
                matches!(message, Some(SealedMessage::Plain(wire::Message::Htb(_))))
            });
            engine.handle(now, Event::Sealed { path, len: bytes.len(), opened });
            return self.drain_sealed(host, bytes.len(), beat);
        }
        let decoded = self.decoder.decode(bytes);
        if let Ok(datagram) = &decoded
            && matches!(datagram.message, wire::Message::Htb(_))
        {
            self.report.heartbeats += 1;
            self.shadow.heard(self.now, datagram.name);
        }
        engine.handle(now, Event::Datagram { path, len: bytes.len(), decoded });
        self.drain_server(bytes.len());
    }

    /// What was not taken (a replay, another session's) has no ACK, and is no sign of life.
    fn drain_sealed(&mut self, host: usize, request: usize, beat: bool) {
        let effects: Vec<Effect> =
            std::iter::from_fn(|| self.engine.as_mut()?.poll_effect()).collect();
        let acked = effects.iter().any(|effect| match effect {
            Effect::Send { reply, .. } => Header::parse(reply.as_bytes())
                .is_ok_and(|header| header.kind == wire::SealKind::Answer),
            _ => false,
        });
        if beat && acked {
            self.report.heartbeats += 1;
            self.report.sealed += 1;
            self.shadow.heard(self.now, &name(host));
        }
        for effect in effects {
            self.carry_out(effect, request);
        }
    }

    fn stranger(&mut self, bytes: &[u8]) {
        let path = Path { from: "203.0.113.9:9".parse().expect("an address"), to: None };
        let now = self.server_now();
        let Some(engine) = &mut self.engine else { return };
        let decoded = self.decoder.decode(bytes);
        engine.handle(now, Event::Datagram { path, len: bytes.len(), decoded });
        self.drain_server(bytes.len());
    }

    fn tick(&mut self) {
        let now = self.server_now();
        let Some(engine) = &mut self.engine else { return };
        engine.handle(now, Event::Tick);
        let due = engine.poll_timeout();
        self.ensure(due.is_some_and(|due| due > self.now), "poll_timeout is after now");
        self.drain_server(0);
        let checked = self.shadow.check(self.now);
        self.ensure_ok(checked);
    }

    fn drain_server(&mut self, request: usize) {
        while let Some(effect) = self.engine.as_mut().and_then(Engine::poll_effect) {
            self.carry_out(effect, request);
        }
    }

    fn carry_out(&mut self, effect: Effect, request: usize) {
        match effect {
            Effect::Send { path, reply } => {
                let bytes = reply.as_bytes().to_vec();
                self.ensure(bytes.len() <= request, "a reply is not longer than its request");
                let SocketAddr::V4(to) = path.from else { return };
                let host = to.ip().octets()[3] as usize - 1;
                if host >= self.machines.len() {
                    return;
                }
                for at in self.network.carry(self.now, host, false, &mut self.prng) {
                    let life = self.machines[host].life;
                    let link = 1;
                    self.push(at, Item::ToAgent { host, life, link, bytes: bytes.clone() });
                }
            }
            Effect::Publish(event) => self.told(&event),
            Effect::Persist(rows) => {
                let at = self.now + STORE_DELAY;
                self.pending.extend(rows.into_iter().map(|row| (at, row)));
            }
            Effect::Notify(message) => self.hand_over(message),
            Effect::Answer { .. }
            | Effect::Journal(_)
            | Effect::Record(_)
            | Effect::Dns(_)
            | Effect::Pair { .. }
            | Effect::Order { .. }
            | Effect::Secure { .. } => {}
        }
    }

    fn told(&mut self, event: &view::Event) {
        let text = event.text.to_string();
        // Whose agent starts late has truly never reported.
        let down = text.starts_with("DOWN") && !text.ends_with("- never reported");
        self.report.downs += u64::from(down);
        self.report.ups += u64::from(text.starts_with("UP"));
        for byte in text.bytes() {
            self.report.fingerprint =
                (self.report.fingerprint ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.note(format!("told {text}"));
        let host = text.split(' ').nth(1).unwrap_or_default();
        match text.split(':').next() {
            Some("FLAPPING") => {
                self.report.flaps += 1;
                self.flapping.insert(host.to_owned());
            }
            Some("SETTLED") => {
                self.flapping.remove(host);
            }
            _ => {}
        }
        let silenced = self.silenced.get(host).is_some_and(|until| self.now < *until)
            || self.flapping.contains(host);
        let told = self.shadow.told(self.now, &text, silenced);
        self.ensure_ok(told);
        self.told.published(self.now, &text, silenced || self.shadow.holds());
    }

    fn silence(&mut self) {
        let host = name(self.prng.below(self.machines.len() as u64) as usize);
        let secs = 10 + self.prng.below(190);
        let body = format!(r#"{{"match":{{"host":"{host}"}},"duration":{secs}}}"#);
        let request = SilenceRequest::parse(body.as_bytes()).expect("a silence");
        let now = self.server_now();
        // The wall clock decides when a silence ends, and after a step back the engine lets it run on for two hours
        // at most: until then the shadow calls nothing owed.
        let astray = if self.shape.step > 0.0 { SILENCE_ASTRAY } else { Duration::ZERO };
        let until = self.now + Duration::from_secs(secs + 1) + astray;
        let known = self.silenced.entry(host).or_insert(until);
        *known = until.max(*known);
        let Some(engine) = &mut self.engine else { return };
        engine
            .handle(now, Event::Command { id: 1, command: Command::Silence { request, by: None } });
        self.drain_server(0);
    }

    /// A worker takes a message: at once, after a while, not now, or not at all.
    fn hand_over(&mut self, message: Box<Message>) {
        let handed = self.told.handed(self.now, &message);
        self.ensure_ok(handed);
        let life = self.report.restarts;
        let mut outcome = Outcome::Done;
        let mut at = self.now + Duration::from_millis(5 + self.prng.below(500));
        if self.prng.chance(self.shape.channel) {
            match self.prng.below(3) {
                0 => outcome = Outcome::Full,
                1 => outcome = Outcome::Retry { after: Duration::from_secs(self.prng.below(3)) },
                _ => at = at + seconds(&mut self.prng, 20.0),
            }
        }
        self.push(at, Item::Delivered { life, message, outcome });
    }

    fn delivered(&mut self, message: &Message, outcome: Outcome) {
        let to = message.receiver.render();
        let lines = message.lines.join(" / ");
        self.note(format!("{to} {outcome:?}: {lines}"));
        match outcome {
            Outcome::Done => {
                self.report.delivered += 1;
                let told = self.told.delivered(message);
                self.ensure_ok(told);
            }
            Outcome::Full => self.told.turned_back(message),
            Outcome::Retry { .. } | Outcome::Failed => self.told.failed(message),
        }
        let now = self.server_now();
        let Some(engine) = &mut self.engine else { return };
        engine.handle(now, Event::Delivered { message: message.id, outcome });
        self.drain_server(0);
    }

    /// The process stands still; the kernel keeps what comes, up to its buffer.
    fn stall_server(&mut self) {
        let span = Duration::from_millis(500) + seconds(&mut self.prng, 299.5);
        let (from, end) = (self.now, self.now + span);
        self.note(format!("server stalls for {span:?}"));
        self.report.stalls += 1;
        let mut buffered = Vec::new();
        let engine = self.engine.take();
        while let Some(at) = self.next_time().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            match self.queue.pop_due(self.now) {
                Some(Item::ToServer { host, bytes }) => buffered.push((host, bytes)),
                // The world goes on without new faults while the server is away.
                Some(item @ Item::Delivered { .. }) => {
                    self.push(end + Duration::from_millis(1), item);
                }
                Some(Item::Stir) => self.push(end + Duration::from_millis(1), Item::Stir),
                Some(item) => self.happen(item),
                None => self.step(self.now),
            }
        }
        self.now = end;
        self.engine = engine;
        self.shadow.absent(from, end);
        for (host, bytes) in buffered.into_iter().take(1000) {
            self.tell_server(host, &bytes);
        }
        self.tick();
    }

    fn kill_server(&mut self) {
        self.note("server killed".to_owned());
        self.report.restarts += 1;
        let view = self.engine.as_mut().map(Engine::view);
        self.report.refused += view.map_or(0, |v| v.counters.rejected.values().sum());
        self.engine = None;
        self.pending.clear();
        self.killed = true;
        self.told.killed(self.now);
        let at = self.now + seconds(&mut self.prng, 90.0);
        self.push(at, Item::ServerStart);
    }

    fn start_server(&mut self) {
        if self.engine.is_some() {
            return;
        }
        if self.shape.step > 0.0 {
            // Each life of the server gives a silence that is not over its length and those two hours.
            let until = self.now + Duration::from_secs(201) + SILENCE_ASTRAY;
            let running = self.silenced.values_mut().filter(|end| **end > self.now);
            running.for_each(|end| *end = until.max(*end));
        }
        let now = self.server_now();
        let mut engine = Engine::new(self.config.clone(), self.seed, now);
        let mut secret = [0; 32];
        secret[..8].copy_from_slice(&(self.seed << 32 | self.report.restarts).to_be_bytes());
        engine.set_session_secret(secret);
        // Keys sort into the order that restoring wants.
        for row in self.store.values() {
            engine.restore(now, row.clone());
        }
        if !self.ring.is_empty() {
            engine.handle(now, Event::Keys(self.ring.clone()));
        }
        let view = engine.view();
        let flapping = view.hosts.iter().filter(|h| h.flapping);
        self.flapping = flapping.map(|h| h.name.to_string()).collect();
        let kept = view.hosts.iter().map(|h| (h.name.to_string(), h.state));
        let kept: BTreeMap<String, view::State> = kept.collect();
        for key in self.store.keys().filter_map(|k| k.strip_prefix("1 ")) {
            assert!(kept.contains_key(key), "seed {}: host {key} was saved and is lost", self.seed);
        }
        if std::mem::take(&mut self.killed) {
            self.shadow.forget_since(&kept);
        }
        self.shadow.started(self.now);
        self.note("server starts".to_owned());
        self.engine = Some(engine);
        self.tick();
    }

    fn settle_store(&mut self) {
        let now = self.now;
        let (settled, pending): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.pending).into_iter().partition(|(at, _)| *at <= now);
        self.pending = pending;
        for (_, row) in settled {
            match &row {
                Saved::Meta { key, .. } => self.store.insert(format!("0 {key}"), row),
                Saved::Host { name, .. } => self.store.insert(format!("1 {name}"), row),
                Saved::HostGone { name } => self.store.remove(&format!("1 {name}")),
                Saved::Sample { host, plugin, .. } => {
                    self.store.insert(format!("2 {host} {plugin}"), row)
                }
                Saved::Event { id, .. } => self.store.insert(format!("3 {id:012}"), row),
                Saved::EventsBefore { .. } => None,
                Saved::Part { key, .. } => self.store.insert(format!("4 {key}"), row),
                Saved::PartGone { key } => self.store.remove(&format!("4 {key}")),
            };
        }
    }

    fn note(&mut self, text: String) {
        let at = self.now.since(Mono::ZERO);
        let line = format!("{:>10.3} {text}", at.as_secs_f64());
        if self.traced {
            println!("{line}");
        }
        self.log.push(line);
    }

    fn ensure_ok(&self, checked: Result<(), String>) {
        if let Err(problem) = checked {
            self.ensure(false, &problem);
        }
    }

    fn ensure(&self, ok: bool, problem: &str) {
        if !ok {
            let log: Vec<&str> = self.log.iter().map(String::as_str).collect();
            panic!("seed {}: {problem}\n{}\n{:?}", self.seed, log.join("\n"), self.shape);
        }
    }
}

fn config(hosts: usize, shape: Shape) -> Arc<Server> {
    let (root, problems) = heartbeat::yaml::read(CONFIG, "hbd.yaml").expect("YAML");
    let document = Document { file: "hbd.yaml".into(), text: CONFIG.into(), root };
    let (mut config, found) = server::check(&[document]);
    assert!(problems.is_empty() && found.is_empty(), "{problems:?} {found:?}");
    if !shape.flaps {
        config.flap_transitions = 1000;
    }
    // Plain hosts appear beside those with a key.
    if shape.sealed {
        config.udp_policy = Some(UdpPolicy::Open);
    }
    // Against strangers, a site declares its hosts; without any, whoever comes is taken.
    if shape.flood > 0 {
        config.udp_policy = Some(UdpPolicy::Known);
        config.hosts = (0..hosts).map(|i| (name(i), Host::default())).collect();
    }
    Arc::new(config)
}

fn keyring(hosts: usize, shape: Shape) -> Arc<Keyring> {
    let mut ring = Keyring::default();
    for host in (0..hosts).filter(|host| shape.sealed && host % 2 == 0) {
        let id = host as u8 + 1;
        let key = Key::new(KeyId([id; 8]), [id; 32]);
        let slot = Slot { key, host: name(host).into(), created: 0.0 };
        ring.add(slot).expect("a key");
    }
    Arc::new(ring)
}

fn name(host: usize) -> String {
    format!("host{host}")
}
