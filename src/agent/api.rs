//! What goes into the agent and what comes out: two closed enums, and the settings it starts with.

use super::one_off::OneOff;
use crate::config::agent as config;
use crate::time::{Duration, Mono};
use crate::wire::{Key, Kind};
use std::net::SocketAddr;
use std::sync::Arc;

/// Samples kept while no server answers, where the configuration names no size: hbc's and
/// hbc-mini's.
pub const SPOOL_DEFAULT: usize = 1_000_000;
pub const SPOOL_DEFAULT_MINI: usize = 64_000;

/// What an agent starts with: checked, complete, fixed for its life.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Checked and lower-cased.
    pub name: Arc<str>,
    /// At most 32 bytes.
    pub version: &'static str,
    pub interval: Duration,
    pub targets: Vec<Target>,
    pub plugins: Vec<Plan>,
    /// Bytes of samples kept for each server while it does not answer.
    pub spool_max: usize,
    /// Send boot on start and shutdown on exit.
    pub boot: bool,
    /// `false`: a one-off call, which sends its message and no heartbeat.
    pub heartbeat: bool,
    pub trust: super::Trust,
    /// When the machine booted, on the clock that `Now` carries. `None`: not known, not told.
    pub booted: Option<Mono>,
}

/// A server to report to.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// A name, an IPv4 or an IPv6 address (without brackets).
    pub host: String,
    pub port: u16,
    pub ipv4: bool,
    pub ipv6: bool,
    /// With it everything is sealed, and nothing plain is said or listened to.
    pub key: Option<Key>,
}

impl Target {
    /// A server as the configuration names it, completed by what the whole file says, and its key.
    pub fn new(entry: &config::ServerEntry, agent: &config::Agent, key: Option<Key>) -> Target {
        Target {
            host: entry.host.clone(),
            port: entry.port.unwrap_or(agent.hb_port),
            ipv4: entry.ipv4.unwrap_or(agent.ipv4),
            ipv6: entry.ipv6.unwrap_or(agent.ipv6),
            key,
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// When a plugin runs; the index in `Setup::plugins` is its number in events and effects.
#[derive(Clone, Debug)]
pub struct Plan {
    pub name: Arc<str>,
    /// Run once, and again when a server asks or has restarted.
    pub info: bool,
    /// Begun once; gives samples by itself from then on.
    pub stream: bool,
    pub every: Duration,
    /// After this long it is reported as failed; it runs again once it has come back.
    pub timeout: Duration,
    /// It takes well under a millisecond: runs in one go with the others of its interval, so that
    /// the machine is woken once for all of them. Others are staggered.
    pub quick: bool,
}

/// Stable name of a socket, never used twice.
pub type LinkId = u32;

#[derive(Debug)]
pub enum Event<'a> {
    /// The addresses of a server (index in `Setup::targets`); none where the name did not resolve.
    Resolved {
        server: usize,
        addresses: &'a [SocketAddr],
    },
    Datagram {
        link: LinkId,
        bytes: &'a [u8],
    },
    /// The socket could not be opened or the datagram not sent.
    SendFailed {
        link: LinkId,
    },
    /// What a plugin gave: one JSON object, or why it failed.
    Sample {
        plugin: usize,
        result: Result<&'a str, &'a str>,
    },
    /// Tell every server.
    Message {
        kind: Kind,
        text: &'a str,
    },
    /// What came of `Effect::Update`, told to the server that asked.
    Updated {
        server: usize,
        cid: u64,
        result: Result<&'a str, &'a str>,
    },
    /// Tell every server, under this number (not 0), what a one-off call wants told.
    OneOff {
        id: u64,
        what: &'a OneOff,
    },
    /// What came of `Effect::Run`.
    Ran {
        server: usize,
        cid: u64,
        how: RanHow<'a>,
    },
    /// The machine has randomness now, and this is some.
    Entropy {
        seed: u64,
    },
    /// Tell the servers with a key of this machine's own maintenance; 0 seconds end it.
    Maintenance {
        seconds: u32,
        reason: &'a str,
    },
    /// What the heartbeats say to the other server of a pair from now on; `None`: nothing. It goes
    /// out at once, and with each heartbeat until another takes its place.
    Pair {
        note: Option<Arc<str>>,
    },
    /// Nothing happened; do what is due.
    Tick,
    /// Say goodbye where that is wanted, then `Effect::Exit`.
    Stop,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RanHow<'a> {
    Ended {
        /// Negative: the signal that ended it.
        code: i32,
        output: &'a str,
        millis: u64,
    },
    /// It could not be run.
    Failed(&'a str),
}

#[derive(Debug, PartialEq)]
#[must_use]
pub enum Effect {
    /// Look the name up, off the main path where there is one; answered by `Event::Resolved`.
    Resolve {
        server: usize,
    },
    /// Open a socket that speaks to `address` only; in place of the one this link may already have.
    Open {
        link: LinkId,
        address: SocketAddr,
    },
    Close {
        link: LinkId,
    },
    /// At most `limits::SEND_MAX` bytes.
    Send {
        link: LinkId,
        bytes: Vec<u8>,
    },
    /// Run a plugin; answered by `Event::Sample`, however late.
    Collect {
        plugin: usize,
    },
    /// It ran out of time and holds what it runs on; the answer, when it comes, is not used.
    Hung {
        plugin: usize,
    },
    /// This server has acknowledged a message; of a one-off call, its number.
    Told {
        server: usize,
        id: u64,
    },
    /// Run a program: no shell, a clean environment, a process group of its own, no longer than
    /// this. Answered by `Event::Ran`.
    Run {
        server: usize,
        cid: u64,
        argv: Vec<String>,
        timeout: Duration,
    },
    /// Say by `Event::Entropy` whether the machine has randomness by now; nothing where not.
    Entropy,
    /// A server with a key asks for another version of the agent, and has noted that this one has
    /// accepted: fetch, verify and install it as the configuration's `update` says. Answered by
    /// `Event::Updated`, unless the process is replaced before.
    Update {
        server: usize,
        cid: u64,
        ver: String,
        /// 64 hexadecimal digits.
        sha256: String,
        size: u64,
    },
    /// Nothing is left to do.
    Exit,
}

/// What an agent knows of its servers, for a person.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    pub servers: Vec<ServerView>,
    /// Every plugin has run, and no run is under way.
    pub collected: bool,
}

impl View {
    /// Whether any server has ever answered anything.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.servers.iter().flat_map(|server| &server.links).any(|link| link.answered > 0)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct ServerView {
    pub target: Target,
    pub links: Vec<LinkView>,
    /// Samples and messages that are not acknowledged yet.
    pub queued: usize,
    /// Samples given up: too many, too old, or never acknowledged.
    pub lost: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub struct LinkView {
    pub address: SocketAddr,
    pub answering: bool,
    /// Of the last heartbeat that was answered.
    pub rtt: Option<Duration>,
    pub sent: u64,
    pub answered: u64,
}
