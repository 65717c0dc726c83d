//! What the engine knows of one host beside what is shown: links, patience, limits, what came lately.

use super::admit::Bucket;
use super::link::{Link, Patience, Silence};
use super::metric::Metric;
use super::outage::Flaps;
use super::record::Shape;
use super::view::{self, ConnState, Family, RttHour, Severity, State};
use crate::alert::RulesetId;
use crate::config::server::{self, Cidr};
use crate::limits;
use crate::notice::Subject;
use crate::time::{Duration, Mono, Now, Wall};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// What the configuration says about a host's timing; `None` is the server's.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Timing {
    interval: Option<f64>,
    interval_max: Option<f64>,
    misses: Option<u32>,
    grace: Option<Duration>,
}

/// A trouble as it was told first.
pub struct Raised {
    pub at: Mono,
    pub wall: Wall,
    pub level: view::Level,
    pub text: Arc<str>,
    /// The steps of escalation that were taken, by bit.
    pub done: u64,
}

impl Raised {
    pub fn has_done(&self, step: usize) -> bool {
        self.done >> step.min(63) & 1 == 1
    }

    pub fn note_done(&mut self, step: usize) {
        self.done |= 1 << step.min(63);
    }
}

pub struct Record {
    pub links: [Option<Link>; 2],
    /// By family, where a round trip has shown that the host is (sealed hosts only).
    pub confirmed: [Option<IpAddr>; 2],
    /// It has a key: plain datagrams of its name never count.
    pub keyed: bool,
    /// When plain datagrams of a keyed host were told of last.
    pub plain_told: Option<Mono>,
    pub patience: Patience,
    /// When this host is judged next, on the listening clock; `Mono::MAX` where nothing is due.
    pub timer: Mono,
    /// Seconds, as the host promised last.
    pub promised: Option<f64>,
    /// A promise over `interval_max` that was told already.
    pub promise_told: Option<f64>,
    pub bucket: Bucket,
    /// Ids of the last one-off messages, so that a resent one is told once.
    pub mids: Vec<u64>,
    /// Uptime at the last heartbeat, seconds: a drop is a reboot.
    pub uptime: Option<u64>,
    /// The same and when, where this process heard it.
    pub uptime_heard: Option<(u64, Mono)>,
    /// When its info plugins are asked for; `Mono::MAX` once they are known, `None` before its first heartbeat.
    pub info_due: Option<Mono>,
    pub boot_told: Option<Wall>,
    /// `DOWN: H - never reported` was told.
    pub never_told: bool,
    /// Its fast columns changed since the last view.
    pub touched: bool,
    /// A metric at OK has another value than the view's, or is not in it yet.
    pub metrics_touched: bool,
    /// It changed since it was saved last.
    pub unsaved: bool,
    pub allowed: Box<[Cidr]>,
    /// Hosts that it depends on.
    pub parents: Box<[Arc<str>]>,
    pub flaps: Flaps,
    /// Flapping, until then at least, on the listening clock.
    pub flapping: Option<Mono>,
    /// Since when it is down or behind a dead parent, on the listening clock; zero: from before this process.
    pub gone_at: Option<Mono>,
    /// When it is told again that it is down, on the listening clock.
    pub down_reminder: Option<Mono>,
    /// Troubles that were told: since when on the listening clock, and in which words.
    pub raised: BTreeMap<Subject, Raised>,
    /// Its parents are back: until then it need not be, on the listening clock.
    pub reprieve: Option<Mono>,
    pub ruleset: RulesetId,
    /// By path.
    pub metrics_under_rule: BTreeMap<Arc<str>, Metric>,
    /// Troubles that began while they could not be told.
    pub untold: BTreeSet<Subject>,
    /// The API's word on `watch`, over the configuration's.
    pub watch_override: Option<bool>,
    /// Leaves of its latest samples, for the limit on metrics.
    pub metrics: usize,
    /// Plugins whose leaves are counted in `metrics`, in the order of `view::Host::plugins`.
    pub metrics_by_plugin: Vec<(Arc<str>, u16)>,
    /// The numbers of its samples, by plugin and part.
    pub shapes: Vec<(u8, Arc<Shape>)>,
    /// Its record, where it has one.
    pub dns: Option<Box<super::dyndns::Slot>>,
    /// Round trips of the current minute: sum and count.
    pub rtt_minute: (i64, f32, u32),
    /// `None` where all of it is the server's, as for nearly every host of a large fleet.
    timing: Option<Box<Timing>>,
}

impl Record {
    pub fn new(now: Now, config: &server::Server, host: Option<&server::Host>) -> Record {
        let mut record = Record {
            links: [None, None],
            confirmed: [None, None],
            keyed: false,
            plain_told: None,
            patience: Patience::new(30.0, None, Duration::ZERO),
            timer: Mono::MAX,
            promised: None,
            promise_told: None,
            bucket: Bucket::full(limits::HOST_BURST, now.mono),
            mids: Vec::new(),
            uptime: None,
            uptime_heard: None,
            info_due: None,
            boot_told: None,
            never_told: false,
            touched: false,
            metrics_touched: false,
            unsaved: false,
            allowed: Box::default(),
            parents: Box::default(),
            flaps: Flaps::default(),
            flapping: None,
            gone_at: None,
            down_reminder: None,
            raised: BTreeMap::new(),
            reprieve: None,
            ruleset: RulesetId::default(),
            metrics_under_rule: BTreeMap::new(),
            untold: BTreeSet::new(),
            watch_override: None,
            metrics: 0,
            metrics_by_plugin: Vec::new(),
            shapes: Vec::new(),
            dns: None,
            rtt_minute: (i64::MIN, 0.0, 0),
            timing: None,
        };
        record.configure(config, host);
        record
    }

    pub fn configure(&mut self, config: &server::Server, host: Option<&server::Host>) {
        let timing = host.map_or(Timing::default(), |h| Timing {
            interval: h.interval.map(|d| d.as_secs_f64()),
            interval_max: h.interval_max.map(|d| d.as_secs_f64()),
            misses: h.misses,
            grace: h.grace,
        });
        self.timing = (timing != Timing::default()).then(|| Box::new(timing));
        self.allowed = host.map_or(Box::default(), |h| h.addr.clone().into());
        let parents = host.into_iter().flat_map(|h| &h.depends_on);
        self.parents = parents.map(|name| Arc::from(name.as_str())).collect();
        self.resolve(config);
    }

    /// Works out how long the host may be silent. A promise beyond `interval_max` counts as that.
    pub fn resolve(&mut self, config: &server::Server) {
        let timing = self.timing();
        let misses = timing.misses.or(config.misses);
        let grace = timing.grace.unwrap_or(config.grace);
        self.patience = Patience::new(self.interval(config), misses, grace);
    }

    fn timing(&self) -> Timing {
        self.timing.as_deref().copied().unwrap_or_default()
    }

    /// Seconds between heartbeats as they are judged.
    pub fn interval(&self, config: &server::Server) -> f64 {
        let promised = self.promised.map(|p| p.min(self.interval_max(config)));
        self.timing().interval.or(promised).unwrap_or(config.interval.as_secs_f64())
    }

    fn interval_max(&self, config: &server::Server) -> f64 {
        self.timing().interval_max.unwrap_or(config.interval_max.as_secs_f64())
    }

    /// A promise that is too long and was not told yet.
    pub fn excessive_promise(&mut self, config: &server::Server) -> Option<(f64, f64)> {
        let promised = self.promised?;
        let interval_max = self.interval_max(config);
        if self.timing().interval.is_some()
            || promised <= interval_max
            || self.promise_told == self.promised
        {
            return None;
        }
        self.promise_told = self.promised;
        Some((promised, interval_max))
    }

    pub fn allows(&self, address: IpAddr) -> bool {
        self.allowed.is_empty() || self.allowed.iter().any(|net| net.contains(address))
    }

    /// Whether a one-off message of this id was told already; remembers it.
    pub fn is_repeated(&mut self, mid: Option<u64>) -> bool {
        const REMEMBERED: usize = 64;
        let Some(mid) = mid else { return false };
        if self.mids.contains(&mid) {
            return true;
        }
        if self.mids.len() >= REMEMBERED {
            self.mids.remove(0);
        }
        self.mids.push(mid);
        false
    }

    /// Gives every link that must be judged its new state. A family counts as lost only while another one is
    /// heard, or when all are over: two families that die together are one outage.
    pub fn judge(&mut self, listening: Mono) {
        let silences: Vec<Silence> =
            self.links.iter().flatten().map(|l| l.silence(listening, self.patience)).collect();
        let any_fresh = silences.contains(&Silence::Fresh);
        let all_over = silences.iter().all(|s| *s == Silence::Over);
        for (link, silence) in self.links.iter_mut().flatten().zip(silences) {
            link.state = match (link.state, silence) {
                (ConnState::Down, _) => ConnState::Down,
                (_, Silence::Fresh) => ConnState::Up,
                (_, Silence::Over) if any_fresh || all_over => ConnState::Down,
                _ => ConnState::Late,
            };
        }
    }

    /// Whether every link is past its deadline.
    pub fn is_over(&self, listening: Mono) -> bool {
        let mut links = self.links.iter().flatten();
        links.all(|l| l.silence(listening, self.patience) == Silence::Over)
            && self.state() != State::Down
    }

    /// The links of other families whose loss was not told by itself.
    pub fn others_untold(&mut self, family: Family) -> impl Iterator<Item = &mut Link> {
        self.links.iter_mut().flatten().filter(move |l| l.family != family && !l.told_lost)
    }

    /// When the next link passes a limit, on the listening clock.
    pub fn next_due(&self, listening: Mono) -> Mono {
        let due = self.links.iter().flatten().filter_map(|link| match link.state {
            ConnState::Up => Some(link.heard + self.patience.late_after),
            ConnState::Late => Some(link.heard + self.patience.down_after),
            ConnState::Down => None,
        });
        let due = due.chain(self.flapping).chain(self.reprieve).chain(self.down_reminder);
        due.filter(|due| *due > listening).min().unwrap_or(Mono::MAX)
    }

    pub fn state(&self) -> State {
        let mut states = self.links.iter().flatten().map(|l| l.state).peekable();
        if states.peek().is_none() {
            return State::Unknown;
        }
        let (mut up, mut late, mut down) = (0, 0, 0);
        states.for_each(|s| match s {
            ConnState::Up => up += 1,
            ConnState::Late => late += 1,
            ConnState::Down => down += 1,
        });
        match (up, late, down) {
            (0, 0, _) => State::Down,
            (_, _, 1..) => State::Degraded,
            (_, 1.., 0) => State::Late,
            _ => State::Up,
        }
    }

    /// How long the host as a whole has been silent.
    pub fn silent_for(&self, now: Now) -> Duration {
        self.links.iter().flatten().map(|l| l.silent_for(now)).min().unwrap_or_default()
    }

    pub fn addresses(&self) -> impl Iterator<Item = (&'static str, IpAddr)> + '_ {
        self.links.iter().flatten().map(|l| (l.family.as_str(), l.address))
    }

    /// Brings the fast columns of what is shown up to date.
    pub fn show(&self, host: &mut view::Host) {
        for family in Family::ALL {
            host.connections[family as usize] =
                self.links[family as usize].as_ref().map(|link| view::Connection {
                    family,
                    address: link.address,
                    state: link.state,
                    rtt_ms: link.rtt_ms,
                    loss_percent: link.loss.loss_percent(),
                    last_seen: link.heard_wall,
                });
        }
        host.confirmed = self.confirmed;
        host.last_seen = self.links.iter().flatten().map(|l| l.heard_wall).max();
        let (minute, sum, count) = self.rtt_minute;
        if count > 0 {
            let hour = host.rtt_hour.get_or_insert_with(|| {
                Arc::new(RttHour { slots: [f32::NAN; RttHour::SLOTS], newest_minute: minute })
            });
            put_minute(Arc::make_mut(hour), minute, sum / count as f32);
        }
    }

    pub fn note_rtt(&mut self, wall: Wall, rtt_ms: f32) {
        let minute = wall.as_secs().div_euclid(60);
        let (current, sum, count) = self.rtt_minute;
        self.rtt_minute =
            if current == minute { (minute, sum + rtt_ms, count + 1) } else { (minute, rtt_ms, 1) };
    }
}

fn put_minute(hour: &mut RttHour, minute: i64, value: f32) {
    let slots = RttHour::SLOTS as i64;
    if (minute - hour.newest_minute).abs() >= slots {
        hour.slots = [f32::NAN; RttHour::SLOTS];
    } else {
        for skipped in hour.newest_minute + 1..minute {
            hour.slots[skipped.rem_euclid(slots) as usize] = f32::NAN;
        }
    }
    hour.newest_minute = minute;
    hour.slots[minute.rem_euclid(slots) as usize] = value;
}

/// What pages show first for a state, alerts aside.
pub fn severity_of(state: State) -> Severity {
    match state {
        State::Up => Severity::Up,
        State::Late => Severity::Late,
        State::Degraded => Severity::Warning,
        State::Down => Severity::Down,
        State::Unreachable => Severity::Unreachable,
        State::Unknown => Severity::Unknown,
    }
}
