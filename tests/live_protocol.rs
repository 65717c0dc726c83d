//! The live protocol against a fleet that changes at random, over a link that loses and repeats
//! frames.
//!
//! After each run everything falls quiet, one beat passes, and the client's rows must equal the
//! server's. The same runs with one rule broken must not: else the test would prove nothing. Runs
//! are seeded; a failure names its seed. Some runs are written to `vectors/live/`, for the reducer
//! in the browser.

#![allow(clippy::unwrap_used)] // a test file: a panic is a failure

use expect_test::expect_file;
use heartbeat::engine::view::{
    AlertCounts, CHUNK, ConnState, Connection, Counters, Event, EventKind, Family, Gauges, Host,
    HostId, HostTable, Key, Level, Plugin, Sample, Severity, State, View,
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
            pair: None,
            queued: Default::default(),
            isolated_since: None,
            keys: Default::default(),
            silences: Default::default(),
            acknowledgements: Default::default(),
            maintenances: Default::default(),
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
        chunk.slots[slot] = host.map(|host| (Key::of(&host), host));
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
        told: None,
        alert_list: Default::default(),
        first_seen: Default::default(),
        flapping: false,
        outage_silenced: false,
        outage_taken: false,
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
        managers: Default::default(),
        monitors: Default::default(),
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
        confirmed: [None, None],
        commands: Arc::default(),
        alerts: AlertCounts {
            warning: prng.below(3) as u32,
            critical: prng.below(3) as u32,
            unknown: 0,
        },
        gauges: Gauges::default(),
        rtt_hour: None,
        dns: None,
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
        let rtt_ms = prng.chance(0.8).then(|| prng.below(200) as f32 + 0.5);
        host.connections[family as usize] = prng.chance(0.7).then(|| connection(family, rtt_ms));
    }
}

/// Down where nothing comes back.
fn connection(family: Family, rtt_ms: Option<f32>) -> Connection {
    Connection {
        family,
        address: "192.0.2.1".parse().unwrap(),
        state: if rtt_ms.is_some() { ConnState::Up } else { ConnState::Down },
        rtt_ms,
        loss_percent: None,
        last_seen: Wall::default(),
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
    log: Vec<(String, Step)>,
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
        let step = if self.setup.mutant == Mutant::None {
            self.reducer.apply(frame)
        } else {
            let mut value: Value = serde_json::from_str(frame).unwrap();
            self.break_rule(&mut value);
            self.reducer.apply(&value.to_string())
        };
        self.log.push((frame.to_string(), step));
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

/// What the reducer in the browser is held against (`static/reduce.js`).
#[test]
fn vectors_are_what_the_reducer_does() {
    for (seed, file) in [
        (24, expect_file!["vectors/live/lossy.json"]),
        (26, expect_file!["vectors/live/restart.json"]),
        (43, expect_file!["vectors/live/limited.json"]),
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

fn vector_line(frame: &str, step: Step) -> String {
    let step = match step {
        Step::Ok => "ok",
        Step::Duplicate => "duplicate",
        Step::NeedResync => "resync",
    };
    format!("{{\"step\":\"{step}\",\"frame\":{frame}}}")
}

// ---- the frames, one by one

const START: Now = Now { mono: Mono::from_secs(1000), wall: Wall::from_secs(1_763_798_441) };

fn after(millis: u64) -> Now {
    START + Duration::from_millis(millis)
}

/// A viewer that has said `messages`, and its first frames.
fn opened(fleet: &Fleet, messages: &[&str]) -> (Viewer, Vec<String>) {
    let mut viewer = Viewer::new(START.mono);
    for message in messages {
        assert_eq!(viewer.receive(START, message), Ok(()));
    }
    let frames = viewer.poll(START, &Arc::new(fleet.view.clone()));
    (viewer, frames)
}

fn poll(viewer: &mut Viewer, fleet: &Fleet, millis: u64) -> Vec<String> {
    viewer.poll(after(millis), &Arc::new(fleet.view.clone()))
}

fn one_host() -> Fleet {
    let mut fleet = Fleet::new(0x00_3c1a, 16);
    fleet.put(17, &mut Prng::new(7));
    let mut host = (**fleet.get(17).unwrap()).clone();
    host.since = Wall::from_secs(1_763_796_151);
    host.group = Some("basel · prod".into());
    host.tags = Arc::from(["prod".into(), "a\u{2028}\"b".into()]);
    host.gauges = Gauges { cpu: Some(34.4), memory: Some(f32::NAN), disk: Some(93.0) };
    host.connections = [Some(connection(Family::V4, Some(0.8))), None];
    host.why = "Disk /var 93 % (> 90 %)".into();
    fleet.set(17, Some(Arc::new(host)));
    fleet
}

fn event(id: u64, host: Option<(HostId, &str)>, text: &str) -> Arc<Event> {
    Arc::new(Event {
        id,
        at: Wall::from_micros(1_763_798_440_200_000),
        kind: EventKind::State,
        host: host.map(|(id, name)| (id, name.into())),
        level: Some(Level::Critical),
        from: Some(Severity::Up),
        to: Some(Severity::Down),
        text: text.into(),
        user: None,
    })
}

#[test]
fn frames_are_as_documented() {
    let mut fleet = one_host();
    let text = "DOWN: host-17 - no heartbeat for 65 s (ipv4 192.0.2.1)";
    fleet.view.events = Arc::new([event(99120, Some((17, "host-17")), text)].into());
    let (mut viewer, mut frames) =
        opened(&fleet, &[r#"{"t":"open"}"#, r#"{"t":"view","ids":[17]}"#]);
    let hello = viewer.hello(&fleet.view, START).replace(env!("CARGO_PKG_VERSION"), "VERSION");
    frames.insert(0, hello);
    fleet.touch(17, &mut Prng::new(3));
    fleet.put(44, &mut Prng::new(5));
    fleet.put(45, &mut Prng::new(5));
    fleet.drop_host(45);
    frames.extend(poll(&mut viewer, &fleet, 10_000));
    frames.push(live::bye(1500));
    expect_file!["vectors/live/frames.jsonl"].assert_eq(&(frames.join("\n") + "\n"));
}

#[test]
fn hold_after_a_restart_is_told_in_wall_time() {
    let mut fleet = one_host();
    fleet.view.hold_until = Some(after(50_000).mono);
    let hello = |now| Viewer::new(START.mono).hello(&fleet.view, now);
    assert!(hello(START).contains("\"hold_down_until\":1763798491000"));
    assert!(hello(after(50_000)).contains("\"hold_down_until\":null"));
}

#[test]
fn changes_within_a_quarter_second_come_as_one_delta() {
    let mut fleet = one_host();
    let (mut viewer, _) = opened(&fleet, &[r#"{"t":"open"}"#]);
    let held = fleet.view.ver;
    for millis in [10, 100, 249] {
        fleet.put(17, &mut Prng::new(millis));
        assert!(poll(&mut viewer, &fleet, millis).is_empty());
        assert_eq!(viewer.poll_timeout(), after(250).mono);
    }
    let frames = poll(&mut viewer, &fleet, 250);
    assert_eq!(frames.len(), 1);
    let start = format!("{{\"t\":\"d\",\"prev\":{held},\"seq\":{},", fleet.view.ver);
    assert!(frames[0].starts_with(&start), "{}", frames[0]);
    assert_eq!(viewer.poll_timeout(), after(10_000).mono);
}

#[test]
fn fast_columns_go_only_to_who_shows_the_row() {
    let mut fleet = one_host();
    let (mut viewer, _) = opened(&fleet, &[r#"{"t":"open"}"#]);
    fleet.touch(17, &mut Prng::new(1));
    assert!(poll(&mut viewer, &fleet, 1000).is_empty());
    // The beat names the version that the client holds by then.
    let frames = poll(&mut viewer, &fleet, 10_000);
    let ver = fleet.view.ver;
    let empty = format!(
        "{{\"t\":\"d\",\"prev\":{},\"seq\":{ver},\"del\":[],\"up\":[],\"sum\":{{}}}}",
        ver - 1
    );
    assert_eq!(frames[0], empty);
    assert!(frames[1].starts_with(&format!("{{\"t\":\"hb\",\"seq\":{ver},")), "{}", frames[1]);
    // Shown from now on: what was missed comes with the next change of anything.
    assert_eq!(viewer.receive(after(10_000), r#"{"t":"view","ids":[17]}"#), Ok(()));
    fleet.put(44, &mut Prng::new(1));
    let frames = poll(&mut viewer, &fleet, 11_000);
    assert!(frames[0].contains("[17,{\"seen\":"), "{}", frames[0]);
}

#[test]
fn resync_again_and_again_costs_one_snapshot_a_second() {
    let fleet = one_host();
    let (mut viewer, first) = opened(&fleet, &[r#"{"t":"open","topics":["fleet"]}"#]);
    let mut snaps = first.len();
    for millis in (0..10_000).step_by(10) {
        assert_eq!(viewer.receive(after(millis), r#"{"t":"resync","have":1}"#), Ok(()));
        snaps += poll(&mut viewer, &fleet, millis).len();
        assert!(viewer.poll_timeout() > after(millis).mono);
    }
    assert_eq!(snaps, 10);
}

#[test]
fn why_of_a_host_that_is_well_is_its_message_of_the_last_hour() {
    for (why, minutes, want) in [("", 59, "hello"), ("", 60, ""), ("late", 1, "late")] {
        let mut fleet = one_host();
        fleet.view.now = after(minutes * 60_000);
        let mut host = (**fleet.get(17).unwrap()).clone();
        host.why = why.into();
        host.message = Some((START.wall, "hello".into()));
        fleet.set(17, Some(Arc::new(host)));
        let (_, frames) = opened(&fleet, &[r#"{"t":"open"}"#]);
        assert!(frames[0].contains(&format!(",\"{want}\",0]]")), "{}", frames[0]);
    }
}

#[test]
fn nothing_is_sent_before_open() {
    let fleet = one_host();
    let (viewer, frames) = opened(&fleet, &[r#"{"t":"view","ids":[17]}"#, r#"{"t":"pong"}"#]);
    assert!(frames.is_empty());
    assert_eq!(viewer.poll_timeout(), Mono::MAX);
}

fn event_ids(frames: &[String]) -> Vec<u64> {
    let frames = frames.iter().map(|frame| serde_json::from_str::<Value>(frame).unwrap());
    let items = frames.filter_map(|frame| frame["items"].as_array().cloned()).flatten();
    items.map(|item| item["id"].as_u64().unwrap()).collect()
}

#[test]
fn feed_begins_with_the_last_fifty_and_goes_on_with_what_is_new() {
    let mut fleet = one_host();
    fleet.view.events = Arc::new((1..=70).map(|id| event(id, None, "x")).collect());
    let (mut viewer, frames) = opened(&fleet, &[r#"{"t":"open","topics":["ev"]}"#]);
    assert_eq!(event_ids(&frames), (21..=70).collect::<Vec<_>>());
    assert!(poll(&mut viewer, &fleet, 1000).is_empty());
    Arc::make_mut(&mut fleet.view.events).extend([71, 72].map(|id| event(id, None, "x")));
    assert_eq!(event_ids(&poll(&mut viewer, &fleet, 2000)), [71, 72]);
}

#[test]
fn events_of_hidden_hosts_are_not_told() {
    let mut fleet = one_host();
    let events = [(1, Some((17, "host-17"))), (2, None), (3, Some((999, "gone")))];
    fleet.view.events = Arc::new(events.map(|(id, host)| event(id, host, "x")).into());
    for (scope, want) in [(Scope::all(), vec![1, 2, 3]), (Scope::only(|_| false), vec![2])] {
        let mut viewer = Viewer::scoped(START.mono, scope);
        assert_eq!(viewer.receive(START, r#"{"t":"open"}"#), Ok(()));
        assert_eq!(event_ids(&poll(&mut viewer, &fleet, 0)), want);
    }
}

#[test]
fn changed_roles_bring_a_new_snapshot() {
    let fleet = one_host();
    let (mut viewer, frames) = opened(&fleet, &[r#"{"t":"open"}"#]);
    assert!(frames[0].contains("\"rows\":[[17,"));
    viewer.rescope(Scope::only(|_| false));
    let frames = poll(&mut viewer, &fleet, 1000);
    assert!(frames[0].contains("\"rows\":[]"), "{}", frames[0]);
}

#[test]
fn samples_of_the_followed_host_come_once_each() {
    let mut fleet = one_host();
    let collected = |fleet: &mut Fleet, second: i64, data: &str| {
        let mut host = (**fleet.get(17).unwrap()).clone();
        let at = Wall::from_secs(1_763_798_441 + second);
        let sample = Arc::new(Sample { at, data: data.into() });
        let plugin = |name: &str| Plugin {
            name: name.into(),
            interval: None,
            info: false,
            samples: [sample.clone()].into(),
        };
        host.plugins = Arc::new(vec![plugin("cpu_monitor"), plugin("os_info")]);
        fleet.set(17, Some(Arc::new(host)));
    };
    collected(&mut fleet, 0, r#"{"cpu_percent":34.1}"#);
    let follow = r#"{"t":"host","id":17,"plugins":["cpu_monitor"]}"#;
    let (mut viewer, frames) = opened(&fleet, &[r#"{"t":"open","topics":[]}"#, follow]);
    let want =
        r#"{"t":"m","host":17,"plugin":"cpu_monitor","ts":1763798441,"v":{"cpu_percent":34.1}}"#;
    assert_eq!(frames, [want]);
    assert!(poll(&mut viewer, &fleet, 1000).is_empty());
    collected(&mut fleet, 5, "{}");
    assert_eq!(poll(&mut viewer, &fleet, 2000).len(), 1);
}
