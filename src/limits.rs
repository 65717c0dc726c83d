//! Every bound on what comes from outside, in one place; `hbd --limits` prints it (THREATS, head).
//!
//! A limit that an operator may move is a configuration key as well; what stands here is its default.

/// One row of `hbd --limits`.
pub struct Limit {
    pub name: &'static str,
    pub value: u64,
    pub unit: &'static str,
}

macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $value:expr, $unit:literal;)*) => {
        $($(#[$doc])* pub const $name: $type = $value;)*
        /// All limits in the order of this file.
        pub const ALL: &[Limit] = &[$(Limit { name: stringify!($name), value: $value as u64, unit: $unit }),*];
    };
}

limits! {
    /// Largest datagram read (what UDP over IPv4 can carry).
    UDP_IN_MAX: usize = 65507, "bytes";
    /// Largest sealed datagram accepted.
    SEALED_IN_MAX: usize = 1500, "bytes";
    /// Largest UDP payload our agents send; fits IPv6's 1280 with headers.
    SEND_MAX: usize = 1200, "bytes";
    /// Most that one datagram may inflate to.
    INFLATE_MAX: usize = 131_072, "bytes";
    JSON_DEPTH: usize = 16, "levels";
    /// Values and keys in one datagram, containers included.
    JSON_NODES: usize = 8192, "nodes";
    KEY_MAX: usize = 96, "bytes";
    /// Longest string kept of plugin data; the rest is cut and counted.
    STR_MAX: usize = 2048, "bytes";
    NAME_MAX: usize = 128, "bytes";
    LABEL_MAX: usize = 63, "bytes";
    VERSION_MAX: usize = 32, "bytes";
    TEXT_MAX: usize = 1024, "bytes";
    PLUGIN_NAME_MAX: usize = 32, "bytes";
    LEAVES_PER_MSG_SEALED: usize = 512, "leaves";
    LEAVES_PER_MSG: usize = 4096, "leaves";
    PLUGINS_PER_HOST: usize = 64, "plugins";
    METRICS_PER_HOST: usize = 4096, "metrics";
    /// Samples of one plugin kept in memory.
    SAMPLES_PER_PLUGIN: usize = 100, "samples";
    /// All samples in memory together.
    HISTORY_BYTES: usize = 64 << 20, "bytes";
    HOSTS_MAX: usize = 10_000, "hosts";
    UNKNOWN_HOSTS_MAX: usize = 256, "hosts";
    /// Plugins of hosts in the history, all hosts together.
    HISTORY_GROUPS: usize = 1 << 20, "plugins";
    /// Metrics of plugins in the history, whichever host has them.
    HISTORY_COLUMNS: usize = 1 << 18, "metrics";
    /// Kinds of samples that the history knows at a time.
    HISTORY_SHAPES: usize = 65_536, "shapes";
    /// What waits for the disk of the history.
    HISTORY_PENDING_BYTES: usize = 32 << 20, "bytes";
    /// Buckets of one series, and metrics of one question.
    SERIES_POINTS: usize = 2000, "buckets";
    SERIES_PATHS: usize = 32, "metrics";
    EVENTS_MAX: usize = 10_000, "events";
    /// One answer of `/metrics`; what has no room is counted in it.
    METRICS_BYTES: usize = 24 << 20, "bytes";
    /// Samples that wait to be put into requests of remote-write.
    REMOTE_QUEUE: usize = 1 << 19, "samples";
    /// Requests of remote-write in memory before they go to the queue on disk.
    REMOTE_MEMORY: usize = 4 << 20, "bytes";
    /// Datagrams a second of one known plain host, and its burst.
    HOST_RATE: usize = 50, "1/s";
    HOST_BURST: usize = 200, "datagrams";
    /// Datagrams a second of one address that names no known host, and its burst.
    ADDRESS_RATE: usize = 50, "1/s";
    ADDRESS_BURST: usize = 100, "datagrams";
    ADDRESS_SLOTS: usize = 4096, "slots";
    HTTP_CONNS: usize = 256, "connections";
    HTTP_CONNS_PER_ADDRESS: usize = 32, "connections";
    HTTP_IN_FLIGHT: usize = 32, "requests";
    HTTP_QUEUE: usize = 64, "requests";
    /// An answer up to this long is always taken on, however much waits for slow peers.
    HTTP_OUT_EACH: usize = 64 << 10, "bytes";
    /// Answers that wait for slow peers, together; above it a longer one gets 503.
    HTTP_OUT_ALL: usize = 32 << 20, "bytes";
    /// Finished answers that are given again while the view they show is the newest.
    KEPT_ANSWERS_MAX: usize = 256, "answers";
    KEPT_BYTES_MAX: usize = 8 << 20, "bytes";
    HEAD_MAX: usize = 16 << 10, "bytes";
    HEADERS_MAX: usize = 64, "headers";
    BODY_MAX: usize = 64 << 10, "bytes";
    HEAD_DEADLINE_S: u64 = 5, "s";
    BODY_DEADLINE_S: u64 = 10, "s";
    WRITE_DEADLINE_S: u64 = 30, "s";
    KEEP_ALIVE_S: u64 = 15, "s";
    KEEP_ALIVE_REQUESTS: usize = 100, "requests";
    WS_CONNS: usize = 256, "connections";
    WS_CONNS_PER_USER: usize = 20, "connections";
    WS_CONNS_PER_ADDRESS: usize = 32, "connections";
    WS_IN_MAX: usize = 4 << 10, "bytes";
    WS_OUT_QUEUE: usize = 256 << 10, "bytes";
    /// Frames of all live clients together that wait for slow peers; above it nothing new is told to any.
    WS_OUT_ALL: usize = 32 << 20, "bytes";
    LIVE_TOMBSTONES: usize = 4096, "rows";
    LIVE_VIEW_IDS: usize = 200, "ids";
    SESSIONS: usize = 1024, "sessions";
    SESSIONS_PER_USER: usize = 16, "sessions";
    TOKENS: usize = 1024, "API tokens";
    TOKENS_PER_USER: usize = 64, "API tokens";
    USERS: usize = 1024, "users made through the API";
    /// What one server of a pair shares with the other: what it told of what is open, and what is quiet.
    PAIR_SHARED: usize = 100_000, "things";
    PAIR_TEXT_MAX: usize = 64 * 1024, "B";
    /// Heartbeats to the other server of a pair that carry news.
    PAIR_NOTES_PER_S: u64 = 20, "notes";
    /// Names or tags in one list of a host's access.
    ACCESS_NAMES: usize = 256, "names";
    SILENCES: usize = 1000, "silences";
    ACKNOWLEDGEMENTS: usize = 10_000, "alerts";
    /// Maintenance windows made through the API; a host may plan one of its own besides.
    MAINTENANCE: usize = 1000, "windows";
    /// Names or globs in one list of a maintenance window made through the API.
    SCOPE_NAMES: usize = 256, "names";
    /// Longest glob of a silence or a maintenance window.
    GLOB_MAX: usize = 256, "bytes";
    /// One-off calls that wait at an agent's socket.
    AGENT_CALLERS: usize = 16, "calls";
    /// Longest file served below `/agent/`, and longest update that an agent takes.
    AGENT_FILE_MAX: u64 = 64 << 20, "bytes";
    CMD_QUEUE: usize = 32, "commands a host";
    /// Commands of a host that are remembered, those that are over included.
    CMD_KEPT: usize = 64, "commands a host";
    CMD_ARGS: usize = 8, "arguments";
    CMD_ARG_MAX: usize = 128, "bytes";
    /// Of a command's output, what the agent sends: its end.
    CMD_OUT_MAX: usize = 800, "bytes";
    /// Keys in `keys_file`: two a host.
    KEYS_MAX: usize = 200_000, "keys";
    /// What that file may hold.
    KEYS_FILE_MAX: usize = 64 << 20, "bytes";
    JOURNAL_QUEUE: usize = 8192, "records";
    /// What those records may hold together.
    JOURNAL_QUEUE_BYTES: usize = 16 << 20, "bytes";
    /// Longest line of the journal that is read back: the largest message, redacted, and its head.
    JOURNAL_LINE_MAX: usize = 256 << 10, "bytes";
    NOTIFY_QUEUE: usize = 1024, "notices";
    STORE_QUEUE: usize = 8192, "batches";
    CONFIG_MAX: usize = 1 << 20, "bytes";
    CONFIG_DEPTH: usize = 32, "levels";
    PROBLEMS_MAX: usize = 20, "problems";
}
