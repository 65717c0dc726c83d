//! The messages of PROTOCOL C1 as the peer sent them, checked for shape and limits but for nothing
//! else.

/// One accepted plain datagram: who says it is speaking, and what it says.
#[derive(Debug, PartialEq)]
pub struct Datagram<'a> {
    /// Checked and lower-cased.
    pub name: &'a str,
    /// Echoed in the ACK (`seq`), and used for loss figures; never a reason to drop.
    pub seq: Option<u64>,
    /// The JSON text of a legacy `time` field, echoed in the ACK where it fits.
    pub time: Option<&'a str>,
    pub message: Message<'a>,
    /// Strings of plugin data that were cut to `limits::STR_MAX`.
    pub strings_cut: u32,
    /// The whole message: one JSON object as it came (NaN and Infinity are null), perhaps with white
    /// space before, between and behind its tokens.
    pub json: &'a str,
}

#[derive(Debug, PartialEq)]
pub enum Message<'a> {
    Htb(Htb<'a>),
    Plg(Plg<'a>),
    Msg(Msg<'a>),
}

/// A heartbeat.
#[derive(Debug, Default, PartialEq)]
pub struct Htb<'a> {
    /// Seconds to the next one, `1..=86400`.
    pub interval: Option<f64>,
    /// The last round trip that the agent measured, milliseconds, `0..=600000`.
    pub rtt: Option<f64>,
    /// Retransmission number, `0..=9`.
    pub attempt: u8,
    /// Seconds since the machine booted.
    pub up: Option<u64>,
    /// The agent's version, at most 32 bytes.
    pub version: Option<&'a str>,
    /// Plugin data that a legacy agent sent inside its heartbeat. Empty (and not allocated)
    /// otherwise.
    pub plugins: Vec<Plg<'a>>,
}

/// A plugin's sample.
#[derive(Debug, PartialEq)]
pub struct Plg<'a> {
    /// `[a-z0-9_]{1,32}`
    pub plugin: &'a str,
    /// The data object as JSON text, within the limits: NaN and Infinity are null, long strings are
    /// cut.
    pub data: &'a str,
    /// The leaves of `data` in order, paths joined with '.'.
    pub leaves: &'a [Leaf<'a>],
    /// The plugin's interval, seconds, `1..=86400`.
    pub every: Option<u32>,
    /// An info plugin: sent once, and again on request.
    pub info: bool,
    /// Collected this long before it was sent, milliseconds.
    pub age_ms: Option<u32>,
    /// `(i, n)` with `1 <= i <= n <= 64`: one of several messages of one sample, each applied by
    /// itself.
    pub part: Option<(u8, u8)>,
}

/// One number, text or truth value of plugin data and where it stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Leaf<'a> {
    /// Keys from the outside in, joined with '.', e.g. `partitions./.percent`; list items by index.
    pub path: &'a str,
    pub value: LeafValue<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LeafValue<'a> {
    Number(f64),
    Bool(bool),
    Text(&'a str),
    /// null, NaN or an infinity: present, but no number.
    Null,
}

/// A one-off message.
#[derive(Debug, PartialEq)]
pub struct Msg<'a> {
    pub kind: Kind,
    /// At most 1024 bytes.
    pub text: &'a str,
    /// The sender's id of it: resent until acknowledged, told once.
    pub mid: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Boot,
    Shutdown,
}

/// What an agent says sealed: the plain messages, and two that are taken sealed only.
#[derive(Debug, PartialEq)]
pub enum SealedMessage<'a> {
    Plain(Message<'a>),
    Res(Res<'a>),
    /// The machine's own maintenance: from now on, for so long; 0 seconds end it.
    Maintenance {
        /// `0..=604800`
        seconds: u32,
        /// At most 1024 bytes.
        text: &'a str,
        mid: Option<u64>,
    },
}

/// What became of a command so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Res<'a> {
    pub cid: u64,
    pub state: ResState,
    /// `-255..=255`, negative where a signal ended it.
    pub code: Option<i16>,
    /// At most `limits::CMD_OUT_MAX` bytes.
    pub output: &'a str,
    pub millis: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResState {
    Accepted,
    Done,
    Refused,
    Failed,
}

impl ResState {
    pub const fn as_str(self) -> &'static str {
        match self {
            ResState::Accepted => "accepted",
            ResState::Done => "done",
            ResState::Refused => "refused",
            ResState::Failed => "failed",
        }
    }

    pub fn parse(text: &str) -> Option<ResState> {
        let all = [ResState::Accepted, ResState::Done, ResState::Refused, ResState::Failed];
        all.into_iter().find(|state| state.as_str() == text)
    }
}
