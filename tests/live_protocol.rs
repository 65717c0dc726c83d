//! The live protocol against a fleet that changes at random, over a link that loses and repeats frames.
//!
//! After each run everything falls quiet, one beat passes, and the client's rows must equal the server's. The
//! same runs with one rule broken must not: else the test would prove nothing. Runs are seeded; a failure
//! names its seed. Some runs are written to `vectors/live/`, for the reducer in the browser.

use heartbeat::engine::view::{
    AlertCounts, CHUNK, ConnState, Connection, Counters, Family, Gauges, Host, HostId, HostTable,
    Key, Severity, State, View,
};
use heartbeat::prng::Prng;
use heartbeat::time::{Duration, Mono, Now, Wall};
use heartbeat::web::live::{self, Reducer, Row, Scope, Step, Viewer};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

const LOSS: f64 = 0.06;
const REPEAT: f64 = 0.06;
const IDS: u64 = 24;
/// Spreads the ids over several chunks.
const STRIDE: u32 = 7;

// ---- the server's side: a fleet that keeps versions and tombstones as the engine does

struct Fleet {
    view: View,
    tombstones_max: usize,
}

impl Fleet {
    fn new(epoch: u32, tombstones_max: usize) -> Fleet {
        let view = View {
            epoch,
            ver: 1,
            floor: 0,
            gone: Arc::default(),
            now: Now::default(),
            started: Now::default(),
            hold_until: None,
            hosts: HostTable::default(),
            names: Arc::default(),
            counts: [0; 8],
            events: Arc::default(),
            ghosts: Arc::default(),
            refusals: Arc::default(),
            counters: Counters::default(),
        };
        Fleet { view, tombstones_max }
    }

    fn get(&self, id: HostId) -> Option<&Arc<Host>> {
        self.view.hosts.get(id)
    }

    fn set(&mut self, id: HostId, host: Option<Arc<Host>>) {
        let (chunk, slot) = (id as usize / CHUNK, id as usize % CHUNK);
        let table = &mut self.view.hosts;
        table.chunks.resize(table.chunks.len().max(chunk + 1), Arc::default());
        let chunk = Arc::make_mut(&mut table.chunks[chunk]);
        chunk.slots.resize(chunk.slots.len().max(slot + 1), None);
        chunk.ver_max = self.view.ver;
        if let Some((key, _)) = &chunk.slots[slot] {
            self.view.counts[key.severity.code() as usize] -= 1;
            table.len -= 1;
        }
        if let Some(host) = &host {
            self.view.counts[host.severity.code() as usize] += 1;
            table.len += 1;
        }
        chunk.slots[slot] = host.map(|host| {
            let key = Key {
                severity: host.severity,
                since: host.since,
                slow_ver: host.slow_ver,
                fast_ver: host.fast_ver,
            };
            (key, host)
        });
    }

    /// A new host, or a visible change of one that there is.
    fn put(&mut self, id: HostId, prng: &mut Prng) {
        self.view.ver += 1;
        let mut host = random_host(id, prng);
        host.slow_ver = self.view.ver;
        host.fast_ver = self.view.ver;
        self.set(id, Some(Arc::new(host)));
    }

    fn touch(&mut self, id: HostId, prng: &mut Prng) {
        let Some(mut host) = self.get(id).map(|host| (**host).clone()) else { return };
        self.view.ver += 1;
        host.fast_ver = self.view.ver;
        randomize_fast(&mut host, prng);
        self.set(id, Some(Arc::new(host)));
    }

    fn drop_host(&mut self, id: HostId) {
        if self.get(id).is_none() {
            return;
        }
        self.view.ver += 1;
        self.set(id, None);
        let gone = Arc::make_mut(&mut self.view.gone);
        gone.push_back((id, self.view.ver));
        if gone.len() > self.tombstones_max
            && let Some((_, ver)) = gone.pop_front()
        {
            self.view.floor = ver;
        }
    }

    fn mutate(&mut self, prng: &mut Prng) {
        let id = prng.below(IDS) as u32 * STRIDE;
        match prng.below(10) {
            0..4 => self.put(id, prng),
            4..7 => self.touch(id, prng),
            7..9 => self.drop_host(id),
            _ => {
                // Dropped and back at once, under the same id.
                self.drop_host(id);
                self.put(id, prng);
            }
        }
    }
}

fn random_host(id: HostId, prng: &mut Prng) -> Host {
    let severity = Severity::ALL[prng.below(8) as usize];
    let tags: Vec<Arc<str>> = ["web", "prod", "db \u{2028}\"\\"]
        .into_iter()
        .filter(|_| prng.chance(0.4))
        .map(Arc::from)
        .collect();
    let mut host = Host {
        id,
        name: format!("host-{id}").into(),
        state: State::Up,
        severity,
        since: Wall::from_secs(1_763_796_151 + prng.below(1000) as i64),
        shutdown: false,
        degraded: prng.chance(0.2),
        watch: prng.chance(0.9),
        declared: true,
        owner: prng.chance(0.3).then(|| "bob".into()),
        group: prng.chance(0.5).then(|| format!("group {}", prng.below(3)).into()),
        tags: tags.into(),
        description: None,
        interval: 30.0,
        last_seen: None,
        boot_time: prng.chance(0.5).then(|| Wall::from_secs(1_760_267_040)),
        version: None,
        sealed: prng.chance(0.5),
        maintenance: false,
        connections: [None, None],
        alerts: AlertCounts {
            warning: prng.below(3) as u32,
            critical: prng.below(3) as u32,
            unknown: 0,
        },
        gauges: Gauges::default(),
        rtt_hour: None,
        plugins: Arc::default(),
        why: ["", "no heartbeat for 65 s", "Disk /var 93 % (> 90 %)"][prng.below(3) as usize]
            .into(),
        message: None,
        slow_ver: 0,
        fast_ver: 0,
    };
    randomize_fast(&mut host, prng);
    host
}

fn randomize_fast(host: &mut Host, prng: &mut Prng) {
    host.last_seen = Some(Wall::from_secs(1_763_798_438 + prng.below(100_000) as i64));
    host.gauges.cpu = Some(prng.below(101) as f32);
    host.gauges.disk = prng.chance(0.5).then(|| prng.below(101) as f32);
    for family in Family::ALL {
        host.connections[family as usize] = prng.chance(0.7).then(|| Connection {
            family,
            address: "192.0.2.1".parse().unwrap(),
            state: if prng.chance(0.2) { ConnState::Down } else { ConnState::Up },
            rtt_ms: Some(prng.below(200) as f32 + 0.5),
            loss_percent: None,
            last_seen: Wall::default(),
        });
    }
}

// ---- what the client should hold

const FAST: [&str; 6] = ["seen", "r4", "r6", "cpu", "mem", "disk"];

fn expected_row(host: &Host) -> Row {
    let rtt = |family: Family| match &host.connections[family as usize] {
        Some(connection) if connection.state == ConnState::Down => json!(-1),
        Some(connection) => json!(connection.rtt_ms),
        None => Value::Null,
    };
    let whole = |percent: Option<f32>| json!(percent.map(|p| p as u64));
    let tags: Vec<&str> = host.tags.iter().map(|tag| &**tag).collect();
    let columns = [
        ("name", json!(&*host.name)),
        ("group", json!(host.group.as_deref())),
        ("tags", json!(tags)),
        ("state", json!(host.severity as u8)),
        ("since", json!(host.since.as_secs())),
        ("seen", json!(host.last_seen.map(|at| at.as_secs()))),
        ("r4", rtt(Family::V4)),
        ("r6", rtt(Family::V6)),
        ("boot", json!(host.boot_time.map(|at| at.as_secs()))),
        ("cpu", whole(host.gauges.cpu)),
        ("mem", whole(host.gauges.memory)),
        ("disk", whole(host.gauges.disk)),
        ("ac", json!(host.alerts.critical)),
        ("aw", json!(host.alerts.warning)),
        ("why", json!(&*host.why)),
        ("flags", json!(host.flags())),
    ];
    columns.into_iter().map(|(name, value)| (name.to_string(), value)).collect()
}

/// Rows of the scope; without their fast columns where the client does not show them.
fn expected_rows(view: &View, scope: &Scope, shown: Option<&[HostId]>) -> BTreeMap<u32, Row> {
    let visible = view.hosts.iter().filter(|host| scope.shows(host));
    visible
        .map(|host| {
            let mut row = expected_row(host);
            row.retain(|name, _| is_compared(host.id, name, shown));
            (host.id, row)
        })
        .collect()
}

fn is_compared(id: HostId, column: &str, shown: Option<&[HostId]>) -> bool {
    shown.is_none_or(|shown| shown.contains(&id)) || !FAST.contains(&column)
}

fn held_rows(reducer: &Reducer, shown: Option<&[HostId]>) -> BTreeMap<u32, Row> {
    let mut rows = reducer.rows().clone();
    for (id, row) in &mut rows {
        row.retain(|name, _| is_compared(*id, name, shown));
    }
    rows
}

fn expected_sum(view: &View, scope: &Scope) -> BTreeMap<String, u64> {
    let names = ["down", "crit", "warn", "late", "unreach", "unk", "maint", "up"];
    let count = |code: usize| {
        let hosts = view.hosts.iter().filter(|host| scope.shows(host));
        hosts.filter(|host| host.severity as usize == code).count() as u64
    };
    names.iter().enumerate().map(|(code, name)| (name.to_string(), count(code))).collect()
}

// ---- one run

/// A rule of UI section 7 that is broken on purpose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mutant {
    None,
    /// Rule 1: `prev` is not compared.
    GapIgnored,
    /// Rule 2: `up` is applied before `del`.
    UpBeforeDel,
    /// Rule 3, last sentence: a connected client below the floor gets a delta.
    FloorIgnoredWhileConnected,
    /// Rule 4: the beat's `seq` is not compared.
    BeatIgnored,
    /// Rule 6: a row that leaves the scope is not deleted.
    LeavingRowKept,
}

#[derive(Clone, Copy)]
struct Setup {
    seed: u64,
    steps: u64,
    tombstones_max: usize,
    mutant: Mutant,
}

struct Run {
    setup: Setup,
    prng: Prng,
    now: Now,
    fleet: Fleet,
    scope: Scope,
    viewer: Viewer,
    /// Polls since this connection's `open`.
    polls: u64,
    shown: Vec<HostId>,
    reducer: Reducer,
    /// The same fleet seen through `GET live`.
    poller: Reducer,
    lossy: bool,
    /// Steps for which the socket is not writable.
    stalled: u64,
    /// Frames as they reached the reducer, and what it said.
    log: Vec<(Value, Step)>,
}

impl Run {
    fn new(setup: Setup) -> Run {
        let mut prng = Prng::new(setup.seed);
        let now = Now { mono: Mono::from_secs(1000), wall: Wall::from_secs(1_763_798_441) };
        let fleet = Fleet::new(prng.next_u64() as u32 & 0xff_ffff, setup.tombstones_max);
        let limited = setup.seed % 2 == 1;
        let scope = if limited { Scope::only(|host| host.owner.is_none()) } else { Scope::all() };
        let mut run = Run {
            setup,
            prng,
            now,
            fleet,
            viewer: Viewer::scoped(now.mono, scope.clone()),
            scope,
            polls: 0,
            shown: Vec::new(),
            reducer: Reducer::new(),
            poller: Reducer::new(),
            lossy: true,
            stalled: 0,
            log: Vec::new(),
        };
        run.connect();
        run
    }

    fn step(&mut self) {
        self.now = self.now + Duration::from_millis(50 + self.prng.below(700));
        for _ in 0..self.prng.below(4) {
            self.fleet.mutate(&mut self.prng);
        }
        if self.prng.chance(0.003) {
            self.restart_server();
        } else if self.prng.chance(0.02) {
            self.connect();
        }
        if self.prng.chance(0.03) {
            self.show_other_rows();
        }
        if self.prng.chance(0.03) {
            self.stalled = self.prng.below(20);
        }
        self.stalled = self.stalled.saturating_sub(1);
        if self.stalled == 0 {
            self.exchange();
        }
        if self.prng.chance(0.1) {
            self.poll_by_get();
        }
    }

    fn restart_server(&mut self) {
        let epoch = (self.fleet.view.epoch + 1) & 0xff_ffff;
        self.fleet = Fleet::new(epoch, self.setup.tombstones_max);
        for _ in 0..self.prng.below(IDS * 2) {
            self.fleet.mutate(&mut self.prng);
        }
        self.connect();
    }

    /// A new connection that resumes where it can, as a browser does.
    fn connect(&mut self) {
        self.viewer = Viewer::scoped(self.now.mono, self.scope.clone());
        self.polls = 0;
        self.stalled = 0;
        let hello = self.viewer.hello(&self.fleet.view, self.now);
        assert_eq!(Reducer::new().apply(&hello), Step::Ok);
        let resume = self.reducer.resume();
        let resume = resume.map(|(epoch, seq)| json!({"epoch": epoch, "seq": seq}));
        self.say(json!({"t": "open", "resume": resume, "topics": ["fleet"], "rate": 4}));
        let ids = self.shown.clone();
        self.say(json!({"t": "view", "ids": ids}));
    }

    fn show_other_rows(&mut self) {
        let prng = &mut self.prng;
        self.shown = (0..prng.below(8)).map(|_| prng.below(IDS) as u32 * STRIDE).collect();
        let ids = self.shown.clone();
        self.say(json!({"t": "view", "ids": ids}));
    }

    fn say(&mut self, message: Value) {
        let taken = self.viewer.receive(self.now, &message.to_string());
        assert_eq!(taken, Ok(()), "{message}");
    }

    fn exchange(&mut self) {
        let mut view = self.fleet.view.clone();
        if self.setup.mutant == Mutant::FloorIgnoredWhileConnected && self.polls > 0 {
            view.floor = 0;
        }
        let frames = self.viewer.poll(self.now, &Arc::new(view));
        assert!(self.viewer.poll_timeout() > self.now.mono, "a shell would spin");
        self.polls += 1;
        for frame in frames {
            let lost = self.lossy && self.prng.chance(LOSS);
            let repeated = self.lossy && self.prng.chance(REPEAT);
            for _ in 0..u8::from(!lost) + u8::from(!lost && repeated) {
                self.deliver(&frame);
            }
        }
    }

    fn deliver(&mut self, frame: &str) {
        let mut value: Value = serde_json::from_str(frame).unwrap();
        self.break_rule(&mut value);
        let step = self.reducer.apply(&value.to_string());
        self.log.push((value, step));
        if step == Step::NeedResync && !(self.lossy && self.prng.chance(LOSS)) {
            self.say(json!({"t": "resync", "have": 0}));
        }
    }

    /// Makes of a correct frame what a client that breaks the rule would make of it.
    fn break_rule(&self, frame: &mut Value) {
        let kind = frame["t"].as_str().unwrap_or_default().to_string();
        let mine = self.reducer.resume().map(|(_, seq)| seq);
        match (self.setup.mutant, &*kind) {
            (Mutant::GapIgnored, "d") if mine.is_some() => frame["prev"] = json!(mine),
            (Mutant::BeatIgnored, "hb") => frame["t"] = json!("x"),
            (Mutant::UpBeforeDel, "d") => {
                let del = frame["del"].as_array().cloned().unwrap_or_default();
                if let Some(up) = frame["up"].as_array_mut() {
                    up.retain(|row| !del.contains(&row[0]));
                }
            }
            (Mutant::LeavingRowKept, "d") => {
                let view = &self.fleet.view;
                if let Some(del) = frame["del"].as_array_mut() {
                    del.retain(|id| view.hosts.get(id.as_u64().unwrap_or(0) as u32).is_none());
                }
            }
            _ => {}
        }
    }

    fn poll_by_get(&mut self) {
        let since = self.poller.resume().map(|(epoch, seq)| format!("{epoch}:{seq}"));
        let since = since.and_then(|since| live::parse_since(&since));
        let body = live::get_scoped(&self.fleet.view, since, self.now, &self.scope);
        assert_ne!(self.poller.apply(&body), Step::NeedResync, "{body}");
    }

    /// Everything falls quiet; the next beat mends what was lost.
    fn settle(&mut self) {
        self.lossy = false;
        self.stalled = 0;
        for id in 0..IDS as u32 {
            self.fleet.touch(id * STRIDE, &mut self.prng);
        }
        for _ in 0..4 {
            self.now = self.now + Duration::from_millis(live::BEAT_MS);
            self.exchange();
        }
        self.poll_by_get();
    }

    fn has_converged(&self) -> bool {
        let view = &self.fleet.view;
        let shown = Some(&self.shown[..]);
        held_rows(&self.reducer, shown) == expected_rows(view, &self.scope, shown)
            && self.reducer.sum() == &expected_sum(view, &self.scope)
    }
}

fn run(setup: Setup) -> Run {
    let mut run = Run::new(setup);
    for _ in 0..setup.steps {
        run.step();
    }
    run.settle();
    run
}

fn setups(mutant: Mutant) -> impl Iterator<Item = Setup> {
    (0..300).map(move |seed| {
        let tombstones_max = [16, 2, 1][seed as usize % 3];
        Setup { seed, steps: 400, tombstones_max, mutant }
    })
}

// ---- the tests

#[test]
fn client_after_any_run_holds_what_the_server_has() {
    for setup in setups(Mutant::None) {
        let run = run(setup);
        let (seed, tombstones_max) = (setup.seed, setup.tombstones_max);
        assert!(run.has_converged(), "diverged: seed {seed}, {tombstones_max} tombstones");
        let view = &run.fleet.view;
        let polled = held_rows(&run.poller, None);
        assert_eq!(polled, expected_rows(view, &run.scope, None), "GET live, seed {seed}");
        assert_eq!(run.poller.sum(), &expected_sum(view, &run.scope), "GET live, seed {seed}");
    }
}

#[test]
fn client_with_a_broken_rule_is_found_out() {
    let mutants = [
        Mutant::GapIgnored,
        Mutant::UpBeforeDel,
        Mutant::FloorIgnoredWhileConnected,
        Mutant::BeatIgnored,
        Mutant::LeavingRowKept,
    ];
    for mutant in mutants {
        let diverged = setups(mutant).any(|setup| !run(setup).has_converged());
        assert!(diverged, "{mutant:?} was not found in 300 runs");
    }
}

/// What the reducer in the browser is held against (`static/live.js`).
#[test]
fn vectors_are_what_the_reducer_does() {
    for (seed, file) in [
        (1, expect_test::expect_file!["vectors/live/limited.json"]),
        (2, expect_test::expect_file!["vectors/live/resync.json"]),
        (4, expect_test::expect_file!["vectors/live/restart.json"]),
    ] {
        let run = run(Setup { seed, steps: 40, tombstones_max: 2, mutant: Mutant::None });
        let resume = run.reducer.resume().expect("settled");
        let mut out = format!("{{\"epoch\":\"{}\",\"seq\":{},\n\"steps\":[\n", resume.0, resume.1);
        let lines: Vec<String> =
            run.log.iter().map(|(frame, step)| vector_line(frame, *step)).collect();
        out.push_str(&lines.join(",\n"));
        let (rows, sum) = (json!(run.reducer.rows()), json!(run.reducer.sum()));
        out.push_str(&format!("\n],\n\"rows\":{rows},\n\"sum\":{sum}}}\n"));
        file.assert_eq(&out);
    }
}

fn vector_line(frame: &Value, step: Step) -> String {
    let step = match step {
        Step::Ok => "ok",
        Step::Duplicate => "duplicate",
        Step::NeedResync => "resync",
    };
    format!("{{\"step\":\"{step}\",\"frame\":{frame}}}")
}
