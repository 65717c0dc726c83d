//! Made-up fleets for the tests of this module: the same size gives the same fleet, down to the
//! byte.

use super::{
    Accounts, Act, Attempt, Change, Context, Facts, Identity, Pages, Peer, Problem, QueueFact,
    Refused, Request, Response, SignedIn, respond,
};
use super::{
    ChannelFact, ConfigChange, JournalFact, JournalFile, Pulse, TestRefusal, TestResult, TestTarget,
};
use crate::account::{Denied, Key as SessionKey, NewToken, Reach, SessionShown, TokenShown};
use crate::config::server::Server;
use crate::engine::view::*;
use crate::engine::{Command, Outcome, Package};
use crate::history::{PastSample, Reader, Series, SeriesAsk, Span, Unavailable};
use crate::prng::Prng;
use crate::time::{Duration, Mono, Now, Wall};
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

/// 2026-11-22 15:20:41 UTC, 16:20:41 in Zurich.
pub const NOW: Now = Now { mono: Mono::from_secs(500_000), wall: Wall::from_secs(1_795_360_841) };

/// An engine that takes every command and remembers it.
#[derive(Default)]
pub struct Recorder {
    pub commands: Mutex<Vec<Command>>,
    pub reload: Option<Result<Vec<String>, Vec<String>>>,
    pub preview: Option<Result<Vec<ConfigChange>, Vec<String>>>,
    pub journal_files: Vec<JournalFile>,
    /// What it answers in the place of `Done`.
    pub outcome: Option<Outcome>,
}

impl Act for Recorder {
    fn act(&self, command: Command) -> Outcome {
        self.commands.lock().unwrap().push(command);
        self.outcome.clone().unwrap_or(Outcome::Done)
    }

    fn load_keys(&self) -> Result<(), String> {
        Ok(())
    }

    fn package(&self, _: &Host, version: Option<&str>) -> Result<Package, String> {
        let version = version.ok_or("No agent_dir is configured.")?.to_owned();
        Ok(Package { version, sha256: "ab".repeat(32), size: 5 })
    }

    fn reload(&self) -> Result<Vec<String>, Vec<String>> {
        self.reload.clone().unwrap_or(Ok(vec!["interval".to_owned()]))
    }

    fn preview(&self) -> Result<Vec<ConfigChange>, Vec<String>> {
        self.preview.clone().unwrap_or(Ok(Vec::new()))
    }

    fn journal_files(&self) -> Vec<JournalFile> {
        self.journal_files.clone()
    }

    fn notify_test(&self, target: &TestTarget) -> Result<Vec<TestResult>, TestRefusal> {
        match target {
            TestTarget::User(_) => Err(TestRefusal::NoSuchUser),
            TestTarget::Channel(name) if name != "chat" => Err(TestRefusal::NoSuchChannel),
            TestTarget::Channel(_) | TestTarget::All => Ok(vec![TestResult {
                channel: "chat".to_owned(),
                ok: false,
                ms: 12,
                error: Some("status 404: refused it".to_owned()),
            }]),
        }
    }
}

/// Everybody is whom they say they are: `alice`, or `alice/read` for a token of that scope. The
/// password is `sesame`. Changes are remembered.
#[derive(Default)]
pub struct Names {
    pub changes: Mutex<Vec<Change>>,
    pub ended: Mutex<Vec<SessionKey>>,
    pub tokens: Mutex<Vec<TokenShown>>,
    pub sessions: Vec<SessionShown>,
}

impl Accounts for Names {
    fn identify(&self, secret: &str) -> Option<Identity> {
        let (user, reach) = secret.split_once('/').unwrap_or((secret, "admin"));
        let key = match secret.contains('/') {
            true => SessionKey::Token(1),
            false => SessionKey::Session(1),
        };
        let reach = Reach::parse(reach)?;
        Some(Identity { user: Arc::from(user), admin: false, reach, key })
    }

    fn sign_in(&self, attempt: &Attempt<'_>) -> Result<SignedIn, Refused> {
        match attempt.password {
            "sesame" => {
                let keep = attempt.remember.then_some(Duration::from_secs(30 * 86_400));
                Ok(SignedIn { secret: attempt.user.to_owned(), keep })
            }
            "slow" => Err(Refused::Slow(Denied { wait: Duration::from_millis(29_100) })),
            _ => Err(Refused::Wrong { left: 4 }),
        }
    }

    fn end(&self, key: SessionKey) {
        self.ended.lock().unwrap().push(key);
    }

    fn sessions(&self, user: Option<&str>) -> Vec<SessionShown> {
        let own = self.sessions.iter().filter(|one| user.is_none_or(|user| one.user == user));
        own.cloned().collect()
    }

    fn tokens(&self, user: Option<&str>) -> Vec<TokenShown> {
        let all = self.tokens.lock().unwrap().clone();
        all.into_iter().filter(|token| user.is_none_or(|user| token.user == user)).collect()
    }

    fn make_token(&self, new: NewToken) -> Option<(TokenShown, String)> {
        let NewToken { user, name, reach: scope, expires } = new;
        let id = (self.tokens.lock().unwrap().len() + 1).to_string();
        let shown = TokenShown { id, user, name, scope, created: 0, last_used: None, expires };
        self.tokens.lock().unwrap().push(shown.clone());
        Some((shown, "hbt_secret".to_owned()))
    }

    fn hash(&self, password: &str) -> Result<String, Refused> {
        Ok(format!("hash of {password}"))
    }

    fn change(&self, change: Change) -> Result<(), Problem> {
        self.changes.lock().unwrap().push(change);
        Ok(())
    }

    fn settings(&self) -> Arc<str> {
        Arc::from("{}")
    }
}

/// A history that answers what it was given; without anything, that there is none.
#[derive(Default)]
pub struct Past {
    pub series: Option<Series>,
    pub standings: Option<Vec<Span>>,
    pub samples: Vec<PastSample>,
}

impl Reader for Past {
    fn series(&self, _ask: &SeriesAsk<'_>) -> Result<Series, Unavailable> {
        self.series.clone().ok_or(Unavailable::Disabled)
    }

    fn standings(&self, _host: &str, _from: Wall, _to: Wall) -> Result<Vec<Span>, Unavailable> {
        self.standings.clone().ok_or(Unavailable::Disabled)
    }

    fn samples(
        &self,
        _host: &str,
        _plugin: &str,
        before: Wall,
        limit: usize,
    ) -> Result<Vec<PastSample>, Unavailable> {
        let older: Vec<_> = self.samples.iter().filter(|s| s.at < before).cloned().collect();
        Ok(older[older.len().saturating_sub(limit)..].to_vec())
    }
}

/// A server around a view, to put requests to.
pub struct Bench {
    pub view: Arc<View>,
    pub config: Server,
    pub pages: Pages,
    pub facts: Facts,
    pub engine: Recorder,
    pub history: Past,
    pub accounts: Names,
    pub channels: Vec<ChannelFact>,
    pub journal: Option<JournalFact>,
    pub reload_fault: Option<Arc<str>>,
    pub starting: bool,
}

impl Bench {
    pub fn new(hosts: usize) -> Bench {
        Bench {
            view: Arc::new(view(hosts)),
            config: Server::default(),
            pages: Pages::built_in().with_zone(Some("CET-1CEST,M3.5.0,M10.5.0/3")),
            facts: facts(),
            engine: Recorder::default(),
            history: Past::default(),
            accounts: Names::default(),
            channels: Vec::new(),
            journal: None,
            reload_fault: None,
            starting: false,
        }
    }

    pub fn ask(&self, request: &Request<'_>) -> Response {
        self.with(|context| respond(context, request))
    }

    pub fn with<T>(&self, then: impl FnOnce(&Context<'_>) -> T) -> T {
        let queues = [QueueFact { name: "store", depth: 3, capacity: 8192, dropped: 0 }];
        let context = Context {
            view: Arc::clone(&self.view),
            config: Arc::new(self.config.clone()),
            now: NOW,
            pages: &self.pages,
            facts: &self.facts,
            queues: &queues,
            channels: &self.channels,
            journal: self.journal,
            engine: &self.engine,
            history: &self.history,
            accounts: &self.accounts,
            reload_fault: self.reload_fault.clone(),
            starting: self.starting,
            pulse: Pulse { rate: Some(41.3), p99: Some(Duration::from_micros(320)), viewers: 3 },
        };
        then(&context)
    }

    /// A GET of `target` from loopback, as a browser on the server would send it.
    pub fn get(&self, target: &str) -> Response {
        self.get_with(target, &[("Host", "127.0.0.1:50004")])
    }

    pub fn get_with(&self, target: &str, headers: &[(&str, &str)]) -> Response {
        self.ask(&request("GET", target, headers, b""))
    }

    /// The body of a GET as text.
    pub fn text(&self, target: &str) -> String {
        String::from_utf8(self.get(target).body.as_bytes().to_vec()).unwrap()
    }
}

pub fn request<'a>(
    method: &str,
    target: &'a str,
    headers: &'a [(&'a str, &'a str)],
    body: &'a [u8],
) -> Request<'a> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Request {
        method: super::Method::parse(method),
        path,
        query,
        headers,
        body,
        peer: Peer::Remote(IpAddr::from([127, 0, 0, 1])),
        secure: false,
    }
}

pub fn facts() -> Facts {
    Facts {
        hostname: "mon".to_owned(),
        full_name: Some("mon.example.net".to_owned()),
        version: "0.1.0",
        udp: Some(50003),
        http: Some(50004),
        ws: Some(50005),
        wss: None,
        https: None,
        loopback_only: true,
    }
}

/// A fleet of `count` hosts: the first sixteen by hand, the rest by the dice.
pub fn view(count: usize) -> View {
    let mut prng = Prng::new(count as u64);
    let hosts: Vec<Host> = (0..count as u32)
        .map(|id| match KNOWN.get(id as usize) {
            Some(known) => known_host(id, known, &mut prng),
            None => dice_host(id, &mut prng),
        })
        .collect();
    of_hosts(hosts)
}

/// A view of just these hosts; their ids are their places.
pub fn of_hosts(hosts: Vec<Host>) -> View {
    let events = events(&hosts);
    let mut counts = [0; 8];
    for host in &hosts {
        counts[usize::from(host.severity.code())] += 1;
    }
    let mut names: Vec<_> = hosts.iter().map(|h| (Arc::clone(&h.name), h.id)).collect();
    names.sort();
    let len = hosts.len();
    let mut slots: Vec<_> =
        hosts.into_iter().map(|host| Some((Key::of(&host), Arc::new(host)))).collect();
    let mut chunks = Vec::new();
    while !slots.is_empty() {
        let rest = slots.split_off(slots.len().min(CHUNK));
        chunks.push(Arc::new(Chunk { slots: std::mem::replace(&mut slots, rest), ver_max: 48211 }));
    }
    let quiet = len == 0;
    View {
        pair: None,
        queued: BTreeMap::new(),
        isolated_since: None,
        keys: Arc::default(),
        silences: Arc::default(),
        acknowledgements: Arc::default(),
        maintenances: Arc::default(),
        epoch: 0x9f3c1a,
        ver: 48211,
        floor: 0,
        gone: Arc::default(),
        now: NOW,
        started: Now { mono: NOW.mono - DAY * 2, wall: NOW.wall - DAY * 2 },
        hold_until: None,
        hosts: HostTable { chunks, len },
        names: Arc::new(names),
        counts,
        events: Arc::new(events),
        ghosts: Arc::default(),
        refusals: Arc::default(),
        counters: Counters {
            received: if quiet { 0 } else { 900_123 },
            accepted: if quiet { 0 } else { 900_120 },
            rejected: if quiet { BTreeMap::new() } else { BTreeMap::from([("bad_zlib", 3)]) },
            ..Counters::default()
        },
    }
}

const DAY: Duration = Duration::from_secs(86_400);

/// Name, tags, group, severity, seconds since the change, why.
type Known = (&'static str, &'static [&'static str], &'static str, Severity, u64, &'static str);

const KNOWN: [Known; 16] = [
    (
        "db-01.bsl",
        &["db", "prod"],
        "basel",
        Severity::Critical,
        2280,
        "Disk /var/lib/postgresql 93 % (> 90 %)",
    ),
    ("web-12.bsl", &["web", "prod"], "basel", Severity::Down, 8040, "no heartbeat for 2 h 14 m"),
    ("rtr-aarau", &["edge", "mini"], "edge routers", Severity::Down, 660, "no heartbeat for 11 m"),
    (
        "nas-03",
        &["zfs", "storage"],
        "storage",
        Severity::Critical,
        3900,
        "ZFS tank degraded, 1 disk faulted",
    ),
    (
        "mail-02.zrh",
        &["mail", "prod"],
        "zurich",
        Severity::Critical,
        240,
        "Round trip 212 ms (> 200 ms)",
    ),
    ("web-77.bsl", &["web", "prod"], "basel", Severity::Warning, 1320, "CPU 86.2 % (> 80 %)"),
    ("ci-runner-4", &["lab"], "lab", Severity::Warning, 10_800, "Memory 91 % (> 85 %)"),
    ("backup-01", &["storage"], "storage", Severity::Warning, 3060, "ipv6 2001:db8::30 lost"),
    ("rtr-chur", &["edge", "mini"], "edge routers", Severity::Late, 18, "18 s overdue"),
    ("kiosk-31", &["lab"], "lab", Severity::Unknown, 90_000, "declared, never heard"),
    ("fra-hv-03", &["hypervisor"], "frankfurt", Severity::Maintenance, 1200, "Kernel update"),
    ("cache-01.bsl", &["cache", "prod"], "basel", Severity::Up, 5_011_200, ""),
    ("cache-02.bsl", &["cache", "prod"], "basel", Severity::Up, 5_011_210, ""),
    ("web-01.bsl", &["web", "prod"], "basel", Severity::Up, 301_000, ""),
    ("web-02.bsl", &["web", "prod"], "basel", Severity::Up, 301_400, ""),
    ("web-03.zrh", &["web", "prod"], "zurich", Severity::Up, 956, ""),
];

fn known_host(id: HostId, known: &Known, prng: &mut Prng) -> Host {
    let (name, tags, group, severity, since, why) = *known;
    let mut host = host(id, name, severity, prng);
    host.tags = tags.iter().map(|t| Arc::from(*t)).collect();
    host.group = Some(Arc::from(group));
    host.since = NOW.wall - Duration::from_secs(since);
    host.why = Arc::from(why);
    fall_silent(&mut host);
    if name == "db-01.bsl" {
        host.description = Some(Arc::from("PostgreSQL primary, rack B"));
        host.owner = Some(Arc::from("alice"));
        host.alerts = AlertCounts { warning: 1, critical: 1, unknown: 0 };
        host.gauges = Gauges { cpu: Some(34.1), memory: Some(71.2), disk: Some(93.1) };
        host.plugins = Arc::new(super::fixture_plugin::all(prng));
    }
    if name == "backup-01" {
        host.degraded = true;
        host.state = State::Degraded;
        if let Some(v6) = &mut host.connections[1] {
            v6.state = ConnState::Down;
        }
    }
    host
}

fn dice_host(id: HostId, prng: &mut Prng) -> Host {
    const GROUPS: [&str; 8] = [
        "basel",
        "zurich",
        "frankfurt",
        "edge routers",
        "storage",
        "lab",
        "branch offices",
        "kiosks",
    ];
    let group = GROUPS[prng.below(8) as usize];
    let severity = match prng.below(1000) {
        0..2 => Severity::Down,
        2..4 => Severity::Critical,
        4..12 => Severity::Warning,
        12..13 => Severity::Late,
        13..16 => Severity::Unknown,
        _ => Severity::Up,
    };
    let name = format!("{}-{id:05}", group.split(' ').next().unwrap_or("host"));
    let mut host = host(id, &name, severity, prng);
    host.group = Some(Arc::from(group));
    host.tags = [Arc::from(if prng.chance(0.7) { "prod" } else { "test" })].into();
    fall_silent(&mut host);
    host
}

/// A host that is down was heard last before it was declared so.
fn fall_silent(host: &mut Host) {
    if host.severity != Severity::Down {
        return;
    }
    let last = host.since - Duration::from_secs(65);
    host.last_seen = Some(last);
    for connection in host.connections.iter_mut().flatten() {
        connection.state = ConnState::Down;
        connection.last_seen = last;
    }
}

/// A host with sound values and nothing special.
pub fn host(id: HostId, name: &str, severity: Severity, prng: &mut Prng) -> Host {
    let heard = severity != Severity::Unknown;
    let seen = NOW.wall - Duration::from_millis(prng.below(30_000));
    let rtt = 0.5 + prng.fraction() as f32 * 4.0;
    let connection = |family, address: IpAddr, rtt_ms| Connection {
        family,
        address,
        state: ConnState::Up,
        rtt_ms: Some(rtt_ms),
        loss_percent: Some(0.0),
        last_seen: seen,
    };
    let v4 = connection(Family::V4, IpAddr::from([192, 0, 2, (id % 250) as u8]), rtt);
    let v6: IpAddr = format!("2001:db8::{:x}", id % 65_000).parse().unwrap();
    let v6 = (id % 3 != 1).then(|| connection(Family::V6, v6, rtt + 0.1));
    let state = match severity {
        Severity::Down => State::Down,
        Severity::Late => State::Late,
        Severity::Unknown => State::Unknown,
        Severity::Unreachable => State::Unreachable,
        _ => State::Up,
    };
    let percent = |prng: &mut Prng| Some(prng.below(700) as f32 / 10.0);
    Host {
        alert_list: Arc::default(),
        first_seen: NOW.wall,
        flapping: false,
        outage_silenced: false,
        outage_taken: false,
        id,
        name: Arc::from(name),
        state,
        severity,
        since: NOW.wall - Duration::from_secs(60 + prng.below(3_000_000)),
        shutdown: false,
        degraded: false,
        watch: id % 97 != 50,
        declared: id.is_multiple_of(2),
        owner: None,
        managers: Arc::default(),
        monitors: Arc::default(),
        group: None,
        tags: Arc::from([]),
        description: None,
        interval: 30.0,
        last_seen: heard.then_some(seen),
        boot_time: heard.then(|| NOW.wall - Duration::from_secs(200 + prng.below(9_000_000))),
        version: heard.then(|| Arc::from("0.1.0")),
        sealed: id % 2 == 1,
        maintenance: severity == Severity::Maintenance,
        connections: if heard { [Some(v4), v6] } else { [None, None] },
        confirmed: [None, None],
        commands: Arc::default(),
        alerts: match severity {
            Severity::Critical => AlertCounts { warning: 0, critical: 1, unknown: 0 },
            Severity::Warning => AlertCounts { warning: 1, critical: 0, unknown: 0 },
            _ => AlertCounts::default(),
        },
        gauges: match heard {
            true => Gauges { cpu: percent(prng), memory: percent(prng), disk: percent(prng) },
            false => Gauges::default(),
        },
        dns: None,
        rtt_hour: heard.then(|| Arc::new(rtt_hour(rtt, severity, prng))),
        plugins: Arc::default(),
        why: Arc::from(if severity == Severity::Up { "" } else { "made up" }),
        message: None,
        told: None,
        slow_ver: 40_000 + u64::from(id % 8000),
        fast_ver: 48_000,
    }
}

fn rtt_hour(rtt: f32, severity: Severity, prng: &mut Prng) -> RttHour {
    let newest_minute = NOW.wall.as_secs().div_euclid(60);
    let mut slots = std::array::from_fn(|_| {
        let spike = if prng.chance(0.06) { 2.0 } else { 1.0 };
        rtt * spike * (0.8 + prng.fraction() as f32 * 0.4)
    });
    if severity == Severity::Down {
        for ago in 0..20 {
            slots[(newest_minute - ago).rem_euclid(60) as usize] = f32::NAN;
        }
    }
    RttHour { slots, newest_minute }
}

fn events(hosts: &[Host]) -> VecDeque<Arc<Event>> {
    let about = |at: usize| hosts.get(at).map(|h| (h.id, Arc::clone(&h.name)));
    let mut feed: Vec<Event> = Vec::new();
    let mut add = |ago: u64, kind, at: usize, level, from, to, text: &str| {
        feed.push(Event {
            id: 0,
            at: NOW.wall - Duration::from_secs(ago),
            kind,
            host: about(at),
            level,
            from,
            to,
            text: Arc::from(text),
            user: None,
        });
    };
    use Severity::*;
    if hosts.len() >= 16 {
        let s = EventKind::State;
        let (c, w, i) = (Some(Level::Critical), Some(Level::Warning), Some(Level::Info));
        add(90_000, EventKind::Boot, 11, i, None, None, "BOOT: cache-01.bsl - started");
        add(
            8040,
            s,
            1,
            c,
            Some(Up),
            Some(Down),
            "DOWN: web-12.bsl - no heartbeat for 65 s (ipv4 192.0.2.1)",
        );
        add(3060, s, 7, w, Some(Up), Some(Warning), "DEGRADED: backup-01 - ipv6 2001:db8::7 lost");
        add(
            1200,
            EventKind::Message,
            10,
            i,
            None,
            None,
            "MESSAGE: fra-hv-03 - maintenance starting",
        );
        add(956, s, 15, c, Some(Down), Some(Up), "UP: web-03.zrh - back after 5m 12s");
        add(
            660,
            s,
            2,
            c,
            Some(Up),
            Some(Down),
            "DOWN: rtr-aarau - no heartbeat for 65 s (ipv4 192.0.2.2)",
        );
        add(18, s, 8, None, Some(Up), Some(Late), "LATE: rtr-chur - heartbeat overdue");
    }
    let numbered = feed
        .into_iter()
        .enumerate()
        .map(|(at, event)| Arc::new(Event { id: 99_000 + at as u64, ..event }));
    numbered.collect()
}
