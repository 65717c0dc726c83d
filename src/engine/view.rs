//! The published picture of the fleet: what pages, API and live updates read. Immutable behind `Arc`, and cheap
//! to publish: hosts stand in chunks that are copied only when one of theirs changed.

pub use super::chunk::{CHUNK, Chunk, HostTable, Key};
pub use super::rtt_hour::RttHour;
use crate::alert;
use crate::calm::{Acknowledgement, Maintenance, Silence};
/// How loud an event is; the rank of notices is the same.
pub use crate::config::server::Level;
use crate::config::server::Limit;
use crate::time::{Duration, Mono, Now, Wall};
use crate::wire::LeafValue;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// The path of an outage, where a metric has its own.
pub const OUTAGE: &str = "host";

/// A host's place in the tables. Never used again within an epoch.
pub type HostId = u32;

/// What the heartbeats say of a host (SPEC section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Up,
    Late,
    Degraded,
    Down,
    Unreachable,
    Unknown,
}

impl State {
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Up => "up",
            State::Late => "late",
            State::Degraded => "degraded",
            State::Down => "down",
            State::Unreachable => "unreachable",
            State::Unknown => "unknown",
        }
    }
}

/// What pages show first: the worst of state and unacknowledged alerts. The discriminants are the state codes
/// of the live protocol (SPEC section 13); a smaller one is worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Severity {
    Down = 0,
    Critical = 1,
    Warning = 2,
    Late = 3,
    Unreachable = 4,
    Unknown = 5,
    Maintenance = 6,
    Up = 7,
}

impl Severity {
    /// In the one order used everywhere: worst first.
    pub const ALL: [Severity; 8] = [
        Severity::Down,
        Severity::Critical,
        Severity::Warning,
        Severity::Late,
        Severity::Unreachable,
        Severity::Unknown,
        Severity::Maintenance,
        Severity::Up,
    ];

    pub const fn code(self) -> u8 {
        self as u8
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Severity::Down => "down",
            Severity::Critical => "critical",
            Severity::Warning => "warning",
            Severity::Late => "late",
            Severity::Unreachable => "unreachable",
            Severity::Unknown => "unknown",
            Severity::Maintenance => "maintenance",
            Severity::Up => "up",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    V4 = 0,
    V6 = 1,
}

impl Family {
    pub const ALL: [Family; 2] = [Family::V4, Family::V6];

    /// `::ffff:a.b.c.d` counts as IPv4.
    pub fn of(address: IpAddr) -> Family {
        if address.to_canonical().is_ipv4() { Family::V4 } else { Family::V6 }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Family::V4 => "ipv4",
            Family::V6 => "ipv6",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnState {
    Up,
    Late,
    Down,
}

impl ConnState {
    pub const fn as_str(self) -> &'static str {
        match self {
            ConnState::Up => "up",
            ConnState::Late => "late",
            ConnState::Down => "down",
        }
    }
}

/// A metric's value, or a limit, as it was sent or written.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    Number(f64),
    /// Written without a fraction.
    Integer(i64),
    Bool(bool),
    Text(Arc<str>),
    #[default]
    Null,
}

impl Value {
    pub fn of_leaf(leaf: LeafValue<'_>) -> Value {
        match leaf {
            LeafValue::Number(number) => Value::Number(number),
            LeafValue::Bool(truth) => Value::Bool(truth),
            LeafValue::Text(text) => Value::Text(text.into()),
            LeafValue::Null => Value::Null,
        }
    }

    pub fn of_limit(limit: &Limit) -> Value {
        match limit {
            Limit::Number(number) => Value::Number(*number),
            Limit::Integer(number) => Value::Integer(*number),
            Limit::Text(text) => Value::Text(text.as_str().into()),
            Limit::Bool(truth) => Value::Bool(*truth),
        }
    }

    pub fn as_leaf(&self) -> LeafValue<'_> {
        match self {
            Value::Number(number) => LeafValue::Number(*number),
            Value::Integer(number) => LeafValue::Number(*number as f64),
            Value::Bool(truth) => LeafValue::Bool(*truth),
            Value::Text(text) => LeafValue::Text(text),
            Value::Null => LeafValue::Null,
        }
    }

    pub fn of_json(json: &serde_json::Value) -> Value {
        match json {
            serde_json::Value::Number(number) => number
                .as_i64()
                .map(Value::Integer)
                .or(number.as_f64().map(Value::Number))
                .unwrap_or_default(),
            serde_json::Value::Bool(truth) => Value::Bool(*truth),
            serde_json::Value::String(text) => Value::Text(text.as_str().into()),
            _ => Value::Null,
        }
    }

    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Value::Number(number) => serde_json::Value::from(*number),
            Value::Integer(number) => serde_json::Value::from(*number),
            Value::Bool(truth) => serde_json::Value::from(*truth),
            Value::Text(text) => serde_json::Value::from(&**text),
            Value::Null => serde_json::Value::Null,
        }
    }
}

/// A metric that a rule watches, and what is known of its alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// `disk_monitor./.percent`
    pub path: Arc<str>,
    pub plugin: Arc<str>,
    pub level: alert::Level,
    pub value: Value,
    /// The limit that the level is of.
    pub threshold_value: Value,
    /// As it is written in the configuration: `>`, `nagios`.
    pub operator: &'static str,
    /// What the value must pass for the level to end.
    pub recovers_at: Option<f64>,
    /// The last change of level.
    pub since: Wall,
    /// When somebody was told of it last.
    pub last_notified: Option<Wall>,
    /// Who was told of it.
    pub told: Option<Arc<Told>>,
    /// When a reminder is due, while it goes on.
    pub next_reminder: Option<Wall>,
    /// The operator's own words, rendered; empty without.
    pub display: Arc<str>,
    pub acknowledged: Option<Arc<Acknowledgement>>,
    /// Id of the silence over it.
    pub silenced: Option<Arc<str>>,
    /// Its data stopped coming.
    pub stale: bool,
}

/// Who was told of a trouble, as pages name them: `alice (email)`, `chat`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub at: Wall,
    pub to: Vec<String>,
}

/// What is known of a host over one address family.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Connection {
    pub family: Family,
    pub address: IpAddr,
    pub state: ConnState,
    /// Milliseconds, as the agent measured.
    pub rtt_ms: Option<f32>,
    /// Of what the agent sent, `0..=100`.
    pub loss_percent: Option<f32>,
    pub last_seen: Wall,
}

/// Unacknowledged metric alerts that are not OK.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlertCounts {
    pub warning: u32,
    pub critical: u32,
    pub unknown: u32,
}

/// The three bars of the hosts table, percent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Gauges {
    pub cpu: Option<f32>,
    pub memory: Option<f32>,
    /// The fullest partition.
    pub disk: Option<f32>,
}

/// How it stands with a host's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsState {
    /// No address of the host may go into the DNS yet.
    Unconfirmed,
    /// An update waits for its turn.
    Waiting,
    Updating,
    Ok,
    /// The last update failed; it is tried again.
    Failed,
    /// The name, or the address that the host has now, is not taken.
    Refused,
}

impl DnsState {
    pub const fn as_str(self) -> &'static str {
        match self {
            DnsState::Unconfirmed => "unconfirmed",
            DnsState::Waiting => "waiting",
            DnsState::Updating => "updating",
            DnsState::Ok => "ok",
            DnsState::Failed => "failed",
            DnsState::Refused => "refused",
        }
    }
}

/// The record of a host in the DNS.
#[derive(Clone, Debug, PartialEq)]
pub struct Dns {
    pub name: Arc<str>,
    pub zone: Option<Arc<str>>,
    pub state: DnsState,
    /// By family: A, AAAA.
    pub records: [DnsRecord; 2],
    /// When an update was begun last, and when the next one is.
    pub tried: Option<Wall>,
    pub next: Option<Wall>,
    /// Why the last update failed, or why there is none.
    pub error: Option<Arc<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DnsRecord {
    /// What the name server took last, and when.
    pub address: Option<IpAddr>,
    pub updated: Option<Wall>,
    /// What it shall be, where that is another.
    pub wanted: Option<IpAddr>,
    /// An address that was heard and is not taken.
    pub refused: Option<IpAddr>,
}

/// One collection of a plugin.
#[derive(Debug, PartialEq)]
pub struct Sample {
    /// When it was collected.
    pub at: Wall,
    /// The data object as JSON text, strict (no NaN).
    pub data: Box<str>,
}

/// A plugin of a host: its latest data and the last samples, oldest first; never empty.
#[derive(Clone, Debug)]
pub struct Plugin {
    pub name: Arc<str>,
    /// Seconds.
    pub interval: Option<u32>,
    pub info: bool,
    pub samples: VecDeque<Arc<Sample>>,
}

impl Plugin {
    pub fn latest(&self) -> Option<&Arc<Sample>> {
        self.samples.back()
    }
}

#[derive(Clone, Debug)]
pub struct Host {
    pub id: HostId,
    pub name: Arc<str>,
    pub state: State,
    pub severity: Severity,
    /// The last change of state.
    pub since: Wall,
    /// When it was declared, or heard first.
    pub first_seen: Wall,
    /// Down because it said so.
    pub shutdown: bool,
    /// Some family is down while another is not.
    pub degraded: bool,
    pub watch: bool,
    pub declared: bool,
    /// `default_owner` where none is declared.
    pub owner: Option<Arc<str>>,
    pub managers: Arc<[Arc<str>]>,
    pub monitors: Arc<[Arc<str>]>,
    pub group: Option<Arc<str>>,
    pub tags: Arc<[Arc<str>]>,
    pub description: Option<Arc<str>>,
    /// Seconds between heartbeats: promised by the host, or the server's.
    pub interval: f64,
    pub last_seen: Option<Wall>,
    pub boot_time: Option<Wall>,
    pub version: Option<Arc<str>>,
    /// It has a key: nothing plain counts for it.
    pub sealed: bool,
    pub maintenance: bool,
    /// A silence is over its outages; somebody has taken on the one that there is.
    pub outage_silenced: bool,
    pub outage_taken: bool,
    pub connections: [Option<Connection>; 2],
    /// By family, the address that a sealed host has twice shown to be reached at, an interval apart:
    /// the only one that may move its DNS record (THREATS U12). `None` for plain hosts.
    pub confirmed: [Option<IpAddr>; 2],
    pub alerts: AlertCounts,
    /// By path; those that are OK included.
    pub alert_list: Arc<[Alert]>,
    /// It comes and goes too often to be told of each time.
    pub flapping: bool,
    pub gauges: Gauges,
    pub rtt_hour: Option<Arc<RttHour>>,
    /// Commands and updates, oldest first.
    pub commands: Arc<[CommandShown]>,
    /// The record that is kept for it, where its name lies below one of `dyndomains`.
    pub dns: Option<Arc<Dns>>,
    /// By name.
    pub plugins: Arc<Vec<Plugin>>,
    /// Why it is in the state that it is in, in words; empty for a host that is up.
    pub why: Arc<str>,
    /// The last one-off message and when.
    pub message: Option<(Wall, Arc<str>)>,
    /// Who was told that it is down.
    pub told: Option<Arc<Told>>,
    /// Version of the last change that every viewer is told (state, why, alerts, names).
    pub slow_ver: u64,
    /// Version of the last change of the fast columns (last seen, round trip, gauges).
    pub fast_ver: u64,
}

impl Host {
    pub fn plugin(&self, name: &str) -> Option<&Plugin> {
        self.plugins.iter().find(|p| &*p.name == name)
    }

    pub fn connections(&self) -> impl Iterator<Item = &Connection> {
        self.connections.iter().flatten()
    }

    /// The address the newest heartbeat came from.
    pub fn address(&self) -> Option<IpAddr> {
        self.connections().max_by_key(|c| c.last_seen).map(|c| c.address)
    }

    /// The address of a family that the host was proven to be reached at by a round trip; it may differ
    /// from that of the connection, which is where the newest datagram came from.
    pub fn confirmed(&self, family: Family) -> Option<IpAddr> {
        self.confirmed[family as usize]
    }

    /// The worst metric that is not OK and nobody has acknowledged; of equals the newest.
    pub fn worst_alert(&self) -> Option<&Alert> {
        let open = self
            .alert_list
            .iter()
            .filter(|alert| alert.level != alert::Level::Ok && alert.acknowledged.is_none());
        open.max_by_key(|alert| (alert.level, alert.since))
    }

    /// Where it stands in the one order, worst first: its state, below others of that state where somebody has
    /// acknowledged the outage. `web::page` and the script of the table sort by the same number.
    pub fn rank(&self) -> u8 {
        let is_taken = self.severity == Severity::Down && self.outage_taken;
        self.severity.code() * 2 + u8::from(is_taken)
    }

    /// The modifier bits of the live protocol (SPEC section 13): 1 unwatched, 2 silenced, 4 acknowledged, 8 degraded,
    /// 16 sealed, 32 flapping, 64 stale. 2, 4 and 64 where an alert is; 2 also where the outage is, and of a host
    /// that is down 4 says whether somebody took on the outage.
    pub fn flags(&self) -> u32 {
        let is_down = self.state == State::Down;
        let raised = || self.alert_list.iter().filter(|alert| alert.level != alert::Level::Ok);
        let silenced = is_down && self.outage_silenced;
        let acknowledged = || raised().any(|alert| alert.acknowledged.is_some());
        let taken = if is_down { self.outage_taken } else { acknowledged() };
        u32::from(!self.watch)
            | (u32::from(silenced || raised().any(|alert| alert.silenced.is_some())) << 1)
            | (u32::from(taken) << 2)
            | (u32::from(raised().any(|alert| alert.stale)) << 6)
            | (u32::from(self.degraded) << 3)
            | (u32::from(self.sealed) << 4)
            | (u32::from(self.flapping) << 5)
    }
}

/// What an entry of the event feed is about (SPEC section 13).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventKind {
    State,
    Alert,
    Boot,
    Shutdown,
    Message,
    Maintenance,
    Command,
    Update,
    Dns,
    Notify,
    User,
    Config,
    Key,
    Security,
    Ghost,
    Server,
    Journal,
}

impl EventKind {
    pub const ALL: [EventKind; 17] = [
        EventKind::State,
        EventKind::Alert,
        EventKind::Boot,
        EventKind::Shutdown,
        EventKind::Message,
        EventKind::Maintenance,
        EventKind::Command,
        EventKind::Update,
        EventKind::Dns,
        EventKind::Notify,
        EventKind::User,
        EventKind::Config,
        EventKind::Key,
        EventKind::Security,
        EventKind::Ghost,
        EventKind::Server,
        EventKind::Journal,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            EventKind::State => "state",
            EventKind::Alert => "alert",
            EventKind::Boot => "boot",
            EventKind::Shutdown => "shutdown",
            EventKind::Message => "message",
            EventKind::Maintenance => "maintenance",
            EventKind::Command => "command",
            EventKind::Update => "update",
            EventKind::Dns => "dns",
            EventKind::Notify => "notify",
            EventKind::User => "user",
            EventKind::Config => "config",
            EventKind::Key => "key",
            EventKind::Security => "security",
            EventKind::Ghost => "ghost",
            EventKind::Server => "server",
            EventKind::Journal => "journal",
        }
    }

    pub fn parse(text: &str) -> Option<EventKind> {
        EventKind::ALL.into_iter().find(|k| k.as_str() == text)
    }
}

/// One entry of the event feed.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Increasing by one, also over restarts.
    pub id: u64,
    pub at: Wall,
    pub kind: EventKind,
    pub host: Option<(HostId, Arc<str>)>,
    pub level: Option<Level>,
    pub from: Option<Severity>,
    pub to: Option<Severity>,
    /// As a notice says it: `DOWN: web1 - no heartbeat for 65 s (ipv4 192.0.2.10)`.
    pub text: Arc<str>,
    pub user: Option<Arc<str>>,
}

/// Where a command of a host stands (PROTOCOL C7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandState {
    Queued,
    Sent,
    Accepted,
    Done,
    Refused,
    Failed,
    Expired,
}

impl CommandState {
    pub const ALL: [CommandState; 7] = [
        CommandState::Queued,
        CommandState::Sent,
        CommandState::Accepted,
        CommandState::Done,
        CommandState::Refused,
        CommandState::Failed,
        CommandState::Expired,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            CommandState::Queued => "queued",
            CommandState::Sent => "sent",
            CommandState::Accepted => "accepted",
            CommandState::Done => "done",
            CommandState::Refused => "refused",
            CommandState::Failed => "failed",
            CommandState::Expired => "expired",
        }
    }

    pub fn parse(text: &str) -> Option<CommandState> {
        CommandState::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// A command or an update that a host was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandShown {
    /// Unique for ever.
    pub id: u64,
    pub name: Arc<str>,
    pub args: Arc<[Arc<str>]>,
    pub state: CommandState,
    /// Who asked; `None`: the control socket.
    pub by: Option<Arc<str>>,
    pub queued: Wall,
    pub sent: Option<Wall>,
    pub accepted: Option<Wall>,
    pub finished: Option<Wall>,
    pub expires: Wall,
    pub exit_code: Option<i32>,
    pub signal: Option<i32>,
    /// The end of what it printed.
    pub output: Arc<str>,
    /// Why it was refused or failed.
    pub reason: Option<Arc<str>>,
}

/// A pre-shared key.
#[derive(Clone, Debug)]
pub struct KeyShown {
    pub host: Arc<str>,
    pub id: crate::wire::KeyId,
    pub created: Wall,
    pub used: Arc<LastUse>,
}

impl KeyShown {
    pub fn last_used(&self) -> Option<Wall> {
        self.used.get()
    }
}

/// When a key was used last. The one thing in a view that goes on being true: the list of a hundred thousand keys
/// would be made anew for each view otherwise, since all of them are in use.
#[derive(Debug)]
pub struct LastUse(AtomicI64);

impl LastUse {
    const NEVER: i64 = i64::MIN;

    pub fn new(at: Option<Wall>) -> LastUse {
        LastUse(AtomicI64::new(at.map_or(LastUse::NEVER, Wall::as_micros)))
    }

    pub fn get(&self) -> Option<Wall> {
        let micros = self.0.load(Ordering::Relaxed);
        (micros != LastUse::NEVER).then(|| Wall::from_micros(micros))
    }

    /// Returns what it was before.
    pub fn replace(&self, at: Wall) -> Option<Wall> {
        let before = self.get();
        self.0.store(at.as_micros(), Ordering::Relaxed);
        before
    }
}

/// A name that was refused and may be accepted.
#[derive(Clone, Debug)]
pub struct Ghost {
    pub name: Arc<str>,
    pub address: IpAddr,
    pub first: Wall,
    pub last: Wall,
    pub count: u64,
    pub reason: &'static str,
}

/// Datagrams of one address that were refused, for the empty page.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub address: IpAddr,
    pub reason: crate::wire::Reject,
    pub count: u64,
    pub last: Wall,
}

/// What was counted on the datagram path.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    pub received: u64,
    pub accepted: u64,
    /// By `Reject::code`; only those above 0.
    pub rejected: BTreeMap<&'static str, u64>,
    /// Dropped by the kernel: the socket's buffer was full.
    pub kernel_drops: u64,
    /// Values under a rule that no level could be made of: no number, or not a finite one.
    pub unjudged: u64,
    /// ACKs that were not sent because they would have been longer than the request.
    pub acks_withheld: u64,
}

/// The fleet at one moment.
#[derive(Clone, Debug)]
pub struct View {
    /// Notices that wait for each channel, those in flight included; channels with none are left out.
    pub queued: BTreeMap<Arc<str>, usize>,
    /// The other server, where there are two with one voice.
    pub pair: Option<super::PairShown>,
    /// Random per process start, six hex digits on the wire.
    pub epoch: u32,
    /// The live protocol's `seq`: grows with every visible change.
    pub ver: u64,
    /// Resume is possible from this version on.
    pub floor: u64,
    /// Dropped hosts and the version of their going, oldest first.
    pub gone: Arc<VecDeque<(HostId, u64)>>,
    /// When this view was taken.
    pub now: Now,
    pub started: Now,
    /// Until then no host is judged (restart rule); `None` afterwards.
    pub hold_until: Option<Mono>,
    pub hosts: HostTable,
    /// Name and id, in byte order of the names.
    pub names: Arc<Vec<(Arc<str>, HostId)>>,
    /// Hosts by severity code.
    pub counts: [u32; 8],
    /// Oldest first; at most `limits::EVENTS_MAX`.
    pub events: Arc<VecDeque<Arc<Event>>>,
    pub ghosts: Arc<Vec<Ghost>>,
    pub refusals: Arc<Vec<Refusal>>,
    pub counters: Counters,
    /// While the server hears nobody: since when, by the wall clock.
    pub isolated_since: Option<Wall>,
    pub silences: Arc<Vec<Arc<Silence>>>,
    /// Pre-shared keys, without what is secret of them.
    pub keys: Arc<Vec<KeyShown>>,
    /// Those of outages among them, which stand with no metric.
    pub acknowledgements: Arc<Vec<Arc<Acknowledgement>>>,
    /// With whether it is running now.
    pub maintenances: Arc<Vec<(Arc<Maintenance>, bool)>>,
}

impl View {
    pub fn host(&self, name: &str) -> Option<&Arc<Host>> {
        let at = self.names.binary_search_by(|(n, _)| (**n).cmp(name)).ok()?;
        self.hosts.get(self.names[at].1)
    }

    pub fn uptime(&self, now: Now) -> Duration {
        now.mono.since(self.started.mono)
    }
}
