//! What goes into the engine and what comes out: two closed enums.

pub use super::command::{Package, Wish};
use super::view;
use crate::calm::{AckRequest, Acknowledgement, Fault, MaintenanceRequest, SilenceRequest};
use crate::config::server;
use crate::notice::Message;
use crate::time::Wall;
use crate::wire::{Datagram, Keyring, Opened, Reject, Unopened};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Where a datagram came from, and the local address it was sent to (the reply leaves from there).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    pub from: SocketAddr,
    /// `None` where the socket cannot tell.
    pub to: Option<IpAddr>,
}

#[derive(Debug)]
pub enum Event<'a> {
    /// A datagram as `wire` decoded it. `len` is its size on the wire: no reply is longer.
    Datagram { path: Path, len: usize, decoded: Result<Datagram<'a>, Reject> },
    /// A sealed datagram as `wire` opened it, with the keys that were given last.
    Sealed { path: Path, len: usize, opened: Result<Opened<'a>, Unopened> },
    /// The pre-shared keys from now on.
    Keys(Arc<Keyring>),
    /// What became of `Effect::Secure`.
    Secured { token: u64, saved: bool },
    /// Nothing happened; judge what is due. The shell drains the socket first.
    Tick,
    /// A request that changes something, answered by `Effect::Answer` with the same id.
    Command { id: u64, command: Command },
    /// A checked configuration takes the place of the old one.
    Reload(Arc<server::Server>),
    /// A worker has something to tell: an event of the feed that belongs to no host.
    Worker { kind: view::EventKind, level: view::Level, text: String },
    /// Datagrams that the kernel dropped because the socket's buffer was full, in all (SO_RXQ_OVFL).
    KernelDrops(u64),
    /// What a worker made of a message.
    Delivered { message: u64, outcome: super::outbox::Outcome },
    /// What the worker made of the update of `Effect::Dns`: why it failed, where it did.
    DnsDone(Result<(), String>),
    /// The shell is stopping: save everything that is not saved.
    Stop,
}

/// What a person or a program may ask of the engine.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    Watch {
        host: String,
        watch: bool,
    },
    Drop {
        host: String,
    },
    /// Has a sealed host run one of its own commands.
    Run {
        host: String,
        wish: Wish,
    },
    /// Has a sealed host fetch and install another version of its agent.
    Upgrade {
        host: String,
        package: Package,
        by: Option<String>,
    },
    Ghost {
        name: String,
        accept: bool,
    },
    Acknowledge {
        request: AckRequest,
        by: Option<String>,
    },
    Unacknowledge {
        id: String,
    },
    Silence {
        request: SilenceRequest,
        by: Option<String>,
    },
    Unsilence {
        id: String,
    },
    Plan {
        request: MaintenanceRequest,
        by: Option<String>,
    },
    /// Tell the name server where the host is, now.
    Dns {
        host: String,
    },
    /// Ends or cancels a maintenance window.
    EndPlan {
        id: String,
    },
    /// A command of somebody who is signed in: the feed names who it was.
    By {
        user: Arc<str>,
        command: Box<Command>,
    },
    /// The configuration with what the API changed in it.
    Configure {
        config: Configuration,
    },
    /// An entry of the feed about users and the like.
    Note {
        kind: view::EventKind,
        host: Option<Arc<str>>,
        level: Option<view::Level>,
        text: String,
    },
}

/// A configuration on its way; the same one is equal, another is not.
#[derive(Clone, Debug)]
pub struct Configuration(pub Arc<server::Server>);

impl PartialEq for Configuration {
    fn eq(&self, other: &Configuration) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Done,
    NoSuchHost,
    /// The command is in the queue, under this number.
    Queued(u64),
    /// The host has no key, and so no way for commands.
    NoKey,
    /// As many commands as can be wait for the host already.
    QueueFull,
    /// The id of what was made.
    Made(String),
    Acknowledged(Vec<Arc<Acknowledgement>>),
    /// What is wrong with the request.
    Refused(Fault),
}

/// The bytes of an ACK: small, never on the heap.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    len: u8,
    bytes: [u8; Reply::LEN_MAX],
}

impl Reply {
    pub const LEN_MAX: usize = 120;

    pub fn new() -> Reply {
        Reply { len: 0, bytes: [0; Reply::LEN_MAX] }
    }

    /// Appends all of `text` or nothing; says which.
    pub fn push(&mut self, text: &[u8]) -> bool {
        let end = self.len as usize + text.len();
        if end > Reply::LEN_MAX {
            return false;
        }
        self.bytes[self.len as usize..end].copy_from_slice(text);
        self.len = end as u8;
        true
    }

    /// Takes what `write` puts at the head of an empty reply; it says how much that is.
    pub fn fill(&mut self, write: impl FnOnce(&mut [u8]) -> usize) -> usize {
        let written = write(&mut self.bytes).min(Reply::LEN_MAX);
        self.len = written as u8;
        written
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len as usize]
    }
}

impl Default for Reply {
    fn default() -> Reply {
        Reply::new()
    }
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.as_bytes()))
    }
}

#[derive(Debug)]
#[must_use]
pub enum Effect {
    /// Send a reply back along a path.
    Send { path: Path, reply: Reply },
    /// Send what nobody asked for, an order to an agent: at most `limits::SEND_MAX` bytes.
    Order { path: Path, bytes: Box<[u8]> },
    /// Say by `Event::Secured` when everything persisted so far is on disk.
    Secure { token: u64 },
    /// A new entry of the event feed (also in the next view).
    Publish(Arc<view::Event>),
    /// Make these records durable, within a second. What comes until `poll_effect` has no more belongs together: a host
    /// and what was told of it are on disk both or neither.
    Persist(Vec<Saved>),
    /// A line of the message journal. Comes after the ACK; may be lost, then it is counted.
    Journal(Record),
    /// A number, or a change of a host's standing, for the history and whoever else keeps them (`engine::record`).
    /// May be lost by who takes it, then it is counted there.
    Record(super::Recorded),
    /// A message for a channel's worker, answered with `Event::Delivered`.
    Notify(Box<Message>),
    /// An update for the worker `dns`, answered with `Event::DnsDone` before the next one comes.
    Dns(Box<super::dyndns::Job>),
    /// What the heartbeats to the other server of a pair say from now on.
    Pair { note: Arc<str> },
    /// The answer to a command.
    Answer { id: u64, outcome: Outcome },
}

/// One line of the message journal before it is rendered (`journal::line`).
#[derive(Clone, Debug)]
pub struct Record {
    pub at: Wall,
    pub entry: Entry,
}

#[derive(Clone, Debug)]
pub enum Entry {
    /// An accepted datagram: who sent it, and its message as JSON text.
    Message { from: SocketAddr, json: Box<str> },
    /// A change of a host's state or of an alert.
    Event(Arc<view::Event>),
}

/// One record of the store. Values are JSON text; their shape is the engine's own (`engine::saved`).
#[derive(Clone, Debug, PartialEq)]
pub enum Saved {
    Host {
        name: Arc<str>,
        json: Vec<u8>,
    },
    /// The host and its samples are gone.
    HostGone {
        name: Arc<str>,
    },
    /// The latest data of an info plugin, which the agent sends only once.
    Sample {
        host: Arc<str>,
        plugin: Arc<str>,
        json: Vec<u8>,
    },
    Event {
        id: u64,
        json: Vec<u8>,
    },
    /// Events below this id have left the feed.
    EventsBefore {
        id: u64,
    },
    Meta {
        key: Arc<str>,
        json: Vec<u8>,
    },
    /// A row of one of the engine's parts, whose name begins its key: `outbox/…`, `calm/…`.
    Part {
        key: Arc<str>,
        json: Vec<u8>,
    },
    PartGone {
        key: Arc<str>,
    },
}
