//! Two servers of a pair, their hosts and one reader of notices, over partitions of every shape.
//!
//! What must hold: at the end the reader believes what is true, each host that was really away for long was told down,
//! nothing is told twice unless the two could not hear each other, and what was planned on either is on both, what was
//! taken back on neither. One seed is one run; `HB_PAIR_SEED=N` shows one,
//! `HB_PAIR_SEEDS` (8) says how many there are.

use crate::queue::Queue;
use heartbeat::agent::{self, Agent, Setup, Target, Trust};
use heartbeat::calm::{MaintenanceRequest, SilenceRequest};
use heartbeat::config::Document;
use heartbeat::config::server::{self, Server};
use heartbeat::engine::outbox::Outcome;
use heartbeat::engine::{self, Command, Effect, Engine, Event, Path, Saved};
use heartbeat::prng::Prng;
use heartbeat::time::{Duration, Mono, Now, Wall};
use heartbeat::wire::{Decoder, Key, KeyId, Keyring, Slot};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

const HOSTS: usize = 6;
const INTERVAL: Duration = Duration::from_secs(30);
/// How long faults begin, and how long the rest is whole.
const STORMY: Duration = Duration::from_secs(40 * 60);
const CALM: Duration = Duration::from_secs(15 * 60);
/// An outage this long must be told.
const LONG: Duration = Duration::from_secs(240);
/// Until then: both deadlines, what an isolated server holds, and the gathering of notices.
const WITHIN: Duration = Duration::from_secs(300);
/// After the two could not hear each other, what both told meanwhile may still be on its way.
const ECHO: Duration = Duration::from_secs(75);

fn config(role: usize) -> Arc<Server> {
    let (peer, role) = [("hb-b", "primary"), ("hb-a", "secondary")][role];
    let hosts: String = (0..HOSTS).map(|host| format!("  h{host}:\n")).collect();
    let text = format!(
        "udp_policy: open\npair: {{peer: {peer}, role: {role}}}\npushsrv: chat\nflap_transitions: 1000\n\
         channels: {{chat: {{type: webhook, url: \"http://127.0.0.1/\", retry_for: 30d}}}}\nhosts:\n{hosts}"
    );
    let (root, problems) = heartbeat::yaml::read(&text, "hbd.yaml").expect("YAML");
    let (config, found) = server::check(&[Document { file: "hbd.yaml".into(), text, root }]);
    assert!(problems.is_empty() && found.is_empty(), "{problems:?} {found:?}");
    Arc::new(config)
}

/// What each seals with towards the other.
fn key(of: usize) -> Key {
    Key::new(KeyId([of as u8 + 1; 8]), [of as u8 + 7; 32])
}

struct Side {
    engine: Option<Engine>,
    agent: Option<Agent>,
    decoder: Decoder,
    ring: Arc<Keyring>,
    store: BTreeMap<String, Saved>,
    life: u64,
}

enum Item {
    /// A heartbeat of a host is due towards a server.
    Beat {
        host: usize,
        server: usize,
    },
    /// A sealed datagram between the two.
    Cross {
        to: usize,
        bytes: Vec<u8>,
        request: bool,
    },
    Delivered {
        server: usize,
        life: u64,
        message: u64,
        texts: Vec<String>,
    },
    Start {
        server: usize,
    },
    /// A fault begins, or is over.
    Stir,
}

#[derive(Default, Clone, Copy)]
struct Cuts {
    /// Towards each server: a host to a server, and one server to the other.
    host: [[Mono; 2]; HOSTS],
    cross: [Mono; 2],
}

#[derive(Default, Debug, Clone, PartialEq)]
pub struct Report {
    told: usize,
    doubled_apart: usize,
    taken_over: usize,
    handed_back: usize,
    outages: usize,
    kills: usize,
    planned: usize,
    taken_back: usize,
}

/// A host that was really away.
#[derive(Clone)]
struct Outage {
    host: usize,
    from: Mono,
    to: Mono,
    /// For each server: when in it that one was last dead, or heard no host at all.
    blind: [Mono; 2],
    /// For each server: how long at a stretch it could see it.
    clear: [Duration; 2],
}

/// A silence or a window that somebody made, and whether it was taken back.
struct Planned {
    id: String,
    is_silence: bool,
    gone: bool,
}

struct World {
    seed: u64,
    prng: Prng,
    now: Mono,
    queue: Queue<Item>,
    sides: [Side; 2],
    cuts: Cuts,
    /// Host is away until then.
    away: [Mono; HOSTS],
    outages: Vec<Outage>,
    /// When the two were last unable to hear each other.
    apart: Mono,
    believed: [bool; HOSTS],
    /// When each host was believed down.
    beliefs: Vec<(usize, Mono, bool)>,
    plans: Vec<Planned>,
    /// What the last command came to.
    answer: Option<engine::Outcome>,
    report: Report,
    log: Vec<String>,
}

fn at(secs: u64) -> Mono {
    Mono::from_secs(1000 + secs)
}

impl World {
    fn new(seed: u64) -> World {
        let side = |of: usize| {
            let mut ring = Keyring::default();
            let host = ["hb-b", "hb-a"][of].into();
            ring.add(Slot { key: key(1 - of), host, created: 0.0 }).expect("room");
            Side {
                engine: None,
                agent: None,
                decoder: Decoder::new(),
                ring: Arc::new(ring),
                store: BTreeMap::new(),
                life: 0,
            }
        };
        let mut world = World {
            seed,
            prng: Prng::new(seed),
            now: at(0),
            queue: Queue::new(),
            sides: [side(0), side(1)],
            cuts: Cuts::default(),
            away: [Mono::ZERO; HOSTS],
            outages: Vec::new(),
            apart: at(0),
            believed: [false; HOSTS],
            beliefs: Vec::new(),
            plans: Vec::new(),
            answer: None,
            report: Report::default(),
            log: Vec::new(),
        };
        for server in 0..2 {
            world.push(at(0), Item::Start { server });
            for host in 0..HOSTS {
                let first = world.now + INTERVAL.mul_f64(world.prng.fraction());
                world.push(first, Item::Beat { host, server });
            }
        }
        world.push(at(180), Item::Stir);
        world
    }

    fn push(&mut self, at: Mono, item: Item) {
        self.queue.push(at, item);
    }

    fn wall(&self) -> Now {
        let wall = Wall::from_secs(1_763_000_000) + self.now.since(at(0));
        Now { mono: self.now, wall }
    }

    fn note(&mut self, text: String) {
        self.log.push(format!("{:>8.1} {text}", self.now.since(at(0)).as_secs_f64()));
    }

    fn fail(&self, what: &str) -> ! {
        let from = self.log.len().saturating_sub(crate::knob("HB_PAIR_LOG", 80) as usize);
        panic!("seed {}: {what}\n{}", self.seed, self.log[from..].join("\n"));
    }

    fn run(&mut self) -> Report {
        let end = at(0) + STORMY + CALM;
        while self.now < end {
            let due = self.queue.next_time().unwrap_or(Mono::MAX);
            let timers = self.sides.iter().flat_map(|side| {
                let engine = side.engine.as_ref().and_then(Engine::poll_timeout);
                [engine, side.agent.as_ref().and_then(Agent::poll_timeout)]
            });
            self.now = timers.flatten().min().map_or(due, |at| at.min(due)).max(self.now);
            let heard = (0..2).all(|to| self.cuts.cross[to] <= self.now);
            if !heard || self.sides.iter().any(|side| side.engine.is_none()) {
                self.apart = self.now;
            }
            self.note_blindness();
            while let Some(item) = self.queue.pop_due(self.now) {
                self.happen(item);
            }
            for server in 0..2 {
                self.tick(server);
            }
        }
        self.judge();
        self.report.clone()
    }

    fn note_blindness(&mut self) {
        for server in 0..2 {
            let heard = |host: usize| {
                self.away[host] <= self.now && self.cuts.host[host][server] <= self.now
            };
            let sees = self.sides[server].engine.is_some() && (0..HOSTS).any(heard);
            let now = self.now;
            // The end of the storm cuts it short.
            if now >= at(0) + STORMY {
                continue;
            }
            for outage in self.outages.iter_mut().filter(|outage| now < outage.to) {
                if sees {
                    let clear = now.since(outage.blind[server]);
                    outage.clear[server] = outage.clear[server].max(clear);
                } else {
                    outage.blind[server] = now;
                }
            }
        }
    }

    fn happen(&mut self, item: Item) {
        match item {
            Item::Beat { host, server } => {
                self.push(self.now + INTERVAL, Item::Beat { host, server });
                if self.away[host] <= self.now && self.cuts.host[host][server] <= self.now {
                    self.beat(host, server);
                }
            }
            Item::Cross { to, bytes, request } => self.cross(to, &bytes, request),
            Item::Delivered { server, life, message, texts } => {
                texts.iter().for_each(|text| self.read(server, text));
                let now = self.wall();
                if let Some(engine) = &mut self.sides[server].engine
                    && self.sides[server].life == life
                {
                    engine.handle(now, Event::Delivered { message, outcome: Outcome::Done });
                    self.drain(server);
                }
            }
            Item::Start { server } => self.start(server),
            Item::Stir => self.stir(),
        }
    }

    fn beat(&mut self, host: usize, server: usize) {
        let now = self.wall();
        let bytes = format!(r#"{{"ID":"HTB","name":"h{host}","interval":30}}"#).into_bytes();
        let from: SocketAddr = format!("203.0.113.{}:7", host + 1).parse().expect("an address");
        let Side { engine, decoder, .. } = &mut self.sides[server];
        let Some(engine) = engine else { return };
        let (path, len) = (Path { from, to: None }, bytes.len());
        engine.handle(now, Event::Datagram { path, len, decoded: decoder.decode(&bytes) });
        self.drain(server);
    }

    fn cross(&mut self, to: usize, bytes: &[u8], request: bool) {
        let now = self.wall();
        let Side { engine, agent, decoder, ring, .. } = &mut self.sides[to];
        if request {
            let Some(engine) = engine else { return };
            let path = Path { from: pair_address(1 - to), to: None };
            let opened = decoder.open(bytes, ring);
            engine.handle(now, Event::Sealed { path, len: bytes.len(), opened });
            self.drain(to);
        } else if let Some(agent) = agent {
            agent.handle(now, agent::Event::Datagram { link: 1, bytes });
            self.drain_agent(to);
        }
    }

    fn start(&mut self, server: usize) {
        let now = self.wall();
        let seed = self.prng.next_u64();
        let mut engine = Engine::new(config(server), seed, now);
        let mut rows: Vec<Saved> = self.sides[server].store.values().cloned().collect();
        rows.sort_by_key(|row| match row {
            Saved::Meta { .. } => 0,
            Saved::Host { .. } => 1,
            _ => 2,
        });
        rows.into_iter().for_each(|row| engine.restore(now, row));
        engine.set_session_secret([server as u8 + 1; 32]);
        engine.handle(now, Event::Keys(self.sides[server].ring.clone()));
        let host = pair_address(1 - server);
        let (host, port) = (host.ip().to_string(), host.port());
        let setup = Setup {
            name: "pair".into(),
            version: "0",
            interval: Duration::from_secs(10),
            targets: vec![Target { host, port, ipv4: true, ipv6: true, key: Some(key(server)) }],
            plugins: Vec::new(),
            spool_max: 1000,
            boot: false,
            heartbeat: true,
            trust: Trust { seed: self.prng.next_u64(), ..Trust::default() },
            booted: None,
        };
        let side = &mut self.sides[server];
        side.life += 1;
        side.engine = Some(engine);
        side.agent = Some(Agent::new(setup, seed, now));
        self.note(format!("{} starts", name(server)));
        self.drain(server);
        self.drain_agent(server);
    }

    fn tick(&mut self, server: usize) {
        let now = self.wall();
        let side = &mut self.sides[server];
        if let Some(agent) = &mut side.agent
            && agent.poll_timeout().is_some_and(|due| due <= now.mono)
        {
            agent.handle(now, agent::Event::Tick);
        }
        if let Some(engine) = &mut side.engine
            && engine.poll_timeout().is_some_and(|due| due <= now.mono)
        {
            engine.handle(now, Event::Tick);
        }
        self.drain(server);
        self.drain_agent(server);
    }

    fn drain(&mut self, server: usize) {
        let now = self.wall();
        let life = self.sides[server].life;
        while let Some(effect) = self.sides[server].engine.as_mut().and_then(Engine::poll_effect) {
            match effect {
                Effect::Send { path, reply } if path.from == pair_address(1 - server) => {
                    self.send(1 - server, reply.as_bytes().to_vec(), false);
                }
                Effect::Persist(rows) => {
                    let store = &mut self.sides[server].store;
                    rows.into_iter().for_each(|row| keep(store, row));
                }
                Effect::Notify(message) => {
                    let at = self.now + Duration::from_millis(200);
                    let texts = message.notices.iter().map(|n| n.text.to_string()).collect();
                    let message = message.id;
                    self.push(at, Item::Delivered { server, life, message, texts });
                }
                Effect::Pair { note } => {
                    if let Some(agent) = &mut self.sides[server].agent {
                        agent.handle(now, agent::Event::Pair { note: Some(note) });
                    }
                    self.drain_agent(server);
                }
                Effect::Publish(event) => {
                    let text = event.text.to_string();
                    self.report.taken_over += usize::from(text.contains("speaks for"));
                    self.report.handed_back += usize::from(text.starts_with("PAIR: "));
                    self.note(format!("{} feed {text}", name(server)));
                }
                Effect::Answer { outcome, .. } => self.answer = Some(outcome),
                _ => {}
            }
        }
    }

    fn command(&mut self, server: usize, command: Command) -> Option<engine::Outcome> {
        let now = self.wall();
        self.sides[server].engine.as_mut()?.handle(now, Event::Command { id: 1, command });
        self.drain(server);
        self.answer.take()
    }

    /// Of hosts that are none of the six, so that it changes nothing of what is told.
    fn plan(&mut self, server: usize) {
        let is_silence = self.prng.chance(0.5);
        let command = if is_silence {
            let body = br#"{"match":{"host":"elsewhere"},"duration":86400,"reason":"tried"}"#;
            let request = SilenceRequest::parse(body).expect("a silence");
            Command::Silence { request, by: None }
        } else {
            let body = br#"{"hosts":["elsewhere"],"duration":86400,"reason":"tried"}"#;
            let request = MaintenanceRequest::parse(body).expect("a window");
            Command::Plan { request, by: None }
        };
        match self.command(server, command) {
            Some(engine::Outcome::Made(id)) => {
                self.note(format!("{} plans {id}", name(server)));
                self.report.planned += 1;
                self.plans.push(Planned { id, is_silence, gone: false });
            }
            None => {}
            Some(other) => self.fail(&format!("a plan came to {other:?}")),
        }
    }

    /// On either server, if it knows of it.
    fn take_back(&mut self, server: usize) {
        let standing: Vec<usize> =
            (0..self.plans.len()).filter(|plan| !self.plans[*plan].gone).collect();
        if standing.is_empty() {
            return;
        }
        let plan = standing[self.prng.below(standing.len() as u64) as usize];
        let (id, is_silence) = (self.plans[plan].id.clone(), self.plans[plan].is_silence);
        let command = match is_silence {
            true => Command::Unsilence { id: id.clone() },
            false => Command::EndPlan { id: id.clone() },
        };
        if let Some(engine::Outcome::Done) = self.command(server, command) {
            self.note(format!("{} takes {id} back", name(server)));
            self.report.taken_back += 1;
            self.plans[plan].gone = true;
        }
    }

    fn judge_plans(&mut self) {
        for server in 0..2 {
            let Some(engine) = &mut self.sides[server].engine else { continue };
            let view = engine.view();
            for Planned { id, is_silence, gone } in &self.plans {
                let is_here = match is_silence {
                    true => view.silences.iter().any(|silence| *silence.id == **id),
                    false => view.maintenances.iter().any(|(window, _)| *window.id == **id),
                };
                if is_here == *gone {
                    let what = if *gone { "was taken back" } else { "was made" };
                    self.fail(&format!("{id} {what}, and on {} it is not so", name(server)));
                }
            }
        }
    }

    fn drain_agent(&mut self, server: usize) {
        while let Some(effect) = self.sides[server].agent.as_mut().and_then(Agent::poll_effect) {
            if let agent::Effect::Send { bytes, .. } = effect {
                self.send(1 - server, bytes, true);
            }
        }
    }

    fn send(&mut self, to: usize, bytes: Vec<u8>, request: bool) {
        if self.cuts.cross[to] > self.now || self.prng.chance(0.05) {
            return;
        }
        let at = self.now + Duration::from_millis(1 + self.prng.below(60));
        self.push(at, Item::Cross { to, bytes, request });
    }

    fn stir(&mut self) {
        if self.now >= at(0) + STORMY {
            self.cuts = Cuts::default();
            self.away = [self.now; HOSTS];
            self.note("all is whole".to_owned());
            return;
        }
        let until = self.now + Duration::from_secs(5 + self.prng.below(500));
        let (side, host) = (self.prng.below(2) as usize, self.prng.below(HOSTS as u64) as usize);
        let planner = self.prng.below(2) as usize;
        match self.prng.below(3) {
            0 => self.plan(planner),
            1 => self.take_back(planner),
            _ => {}
        }
        match self.prng.below(9) {
            0 => self.cuts.cross[side] = until,
            1 => self.cuts.cross = [until; 2],
            2 => self.cuts.host[host][side] = until,
            3 => self.cuts.host[host] = [until; 2],
            4 => (0..HOSTS).for_each(|host| self.cuts.host[host][side] = until),
            5 => {
                // A side alone in the world.
                (0..HOSTS).for_each(|host| self.cuts.host[host][side] = until);
                self.cuts.cross = [until; 2];
            }
            6 => self.kill(side),
            _ => self.go_away(host, until),
        }
        let shape = format!("until {:.0}", until.since(at(0)).as_secs_f64());
        self.note(format!("stir {shape} cross {:?}", self.cuts.cross.map(|c| c > self.now)));
        let next = self.now + Duration::from_secs(1 + self.prng.below(180));
        self.push(next, Item::Stir);
    }

    /// Never both at once: who is to tell then?
    fn kill(&mut self, server: usize) {
        if self.sides[1 - server].engine.is_none() || self.sides[server].engine.is_none() {
            return;
        }
        self.report.kills += 1;
        self.sides[server].engine = None;
        self.sides[server].agent = None;
        self.apart = self.now;
        self.note(format!("{} is killed", name(server)));
        let back = self.now + Duration::from_secs(1 + self.prng.below(300));
        self.push(back, Item::Start { server });
    }

    fn go_away(&mut self, host: usize, until: Mono) {
        if self.away[host] > self.now {
            return;
        }
        self.away[host] = until;
        let (blind, clear) = ([self.now; 2], [Duration::ZERO; 2]);
        self.outages.push(Outage { host, from: self.now, to: until, blind, clear });
        self.note(format!("h{host} is away until {:.0}", until.since(at(0)).as_secs_f64()));
    }

    fn read(&mut self, server: usize, text: &str) {
        self.report.told += 1;
        self.note(format!("{} TOLD {text}", name(server)));
        let Some((verb, rest)) = text.split_once(": ") else { return };
        let host = rest.strip_prefix('h').and_then(|rest| rest.split(' ').next()?.parse().ok());
        let Some(host) = host.filter(|host| *host < HOSTS) else { return };
        let down = match verb {
            "DOWN" if text.contains("UP again") => {
                self.believe(host, true);
                self.believed[host] = false;
                return self.beliefs.push((host, self.now, false));
            }
            "DOWN" => true,
            "UP" => false,
            _ => return,
        };
        self.believe(host, down);
    }

    fn believe(&mut self, host: usize, down: bool) {
        if self.believed[host] == down {
            if self.now.since(self.apart) > ECHO {
                self.fail("told twice although the two heard each other");
            }
            self.report.doubled_apart += 1;
        }
        self.believed[host] = down;
        self.beliefs.push((host, self.now, down));
    }

    fn judge(&mut self) {
        self.judge_plans();
        if let Some(host) = (0..HOSTS).find(|host| self.believed[*host]) {
            self.fail(&format!("h{host} is up, and the reader believes it down"));
        }
        for Outage { host, from, to, clear, .. } in self.outages.clone() {
            // A server that hears nobody cannot tell an outage from its own cut.
            if clear.iter().all(|clear| *clear < LONG) {
                continue;
            }
            self.report.outages += 1;
            let before = self.beliefs.iter().rfind(|(h, at, _)| *h == host && *at <= from);
            let believed = before.is_some_and(|(_, _, down)| *down);
            let told = |(h, at, down): &(usize, Mono, bool)| {
                *h == host && *down && *at > from && *at <= to + WITHIN
            };
            if !believed && !self.beliefs.iter().any(told) {
                let since = from.since(at(0)).as_secs_f64();
                self.fail(&format!("nobody told that h{host} was away from {since:.0} on"));
            }
        }
    }
}

fn name(server: usize) -> char {
    ['A', 'B'][server]
}

fn pair_address(server: usize) -> SocketAddr {
    format!("198.51.100.{}:50003", server + 1).parse().expect("an address")
}

fn keep(store: &mut BTreeMap<String, Saved>, row: Saved) {
    let key = match &row {
        Saved::Host { name, .. } | Saved::HostGone { name } => format!("host/{name}"),
        Saved::Part { key, .. } | Saved::PartGone { key } => format!("part/{key}"),
        Saved::Meta { key, .. } => format!("meta/{key}"),
        Saved::Sample { .. } | Saved::Event { .. } | Saved::EventsBefore { .. } => return,
    };
    match row {
        Saved::HostGone { .. } | Saved::PartGone { .. } => drop(store.remove(&key)),
        row => drop(store.insert(key, row)),
    }
}

#[test]
fn pair_over_partitions_of_every_shape_misses_nothing_and_doubles_only_while_apart() {
    if let Ok(seed) = std::env::var("HB_PAIR_SEED") {
        let mut world = World::new(seed.parse().expect("HB_PAIR_SEED is a number"));
        let report = world.run();
        println!("{}\n{report:?}", world.log.join("\n"));
        return;
    }
    let (mut all, mut failed) = (Report::default(), Vec::new());
    for seed in 0..crate::knob("HB_PAIR_SEEDS", 8) {
        // Each failure prints its own end; how many there are says more than the first one.
        let Ok(report) = std::panic::catch_unwind(|| World::new(seed).run()) else {
            failed.push(seed);
            continue;
        };
        all.told += report.told;
        all.doubled_apart += report.doubled_apart;
        all.taken_over += report.taken_over;
        all.handed_back += report.handed_back;
        all.outages += report.outages;
        all.kills += report.kills;
        all.planned += report.planned;
        all.taken_back += report.taken_back;
    }
    println!("{all:?}");
    assert!(failed.is_empty(), "seeds {failed:?}");
    assert!(all.told > 0 && all.outages > 0 && all.kills > 0, "{all:?}");
    assert!(all.taken_over > 0 && all.handed_back > 0, "{all:?}");
    assert!(all.planned > 0 && all.taken_back > 0, "{all:?}");
}
