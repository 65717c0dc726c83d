//! Every key of `hbd.yaml`: name, type, default, and whether a reload applies it.
//!
//! The checks, the difference on reload and the documentation's test all read these tables.

use crate::config::section::{Key, Kind, fixed, live};

const DAY: u64 = 86400;
const LONGEST: u64 = crate::config::scalar::DURATION_MAX;

/// The top level of `hbd.yaml`.
pub const TOP: &[Key] = &[
    // Addresses and pages
    fixed("hb_port", Kind::Port, "50003"),
    fixed("hb_host", Kind::List("addresses"), "all, IPv4 and IPv6"),
    fixed("hbd_port", Kind::Port, "50004"),
    fixed("hbd_host", Kind::List("addresses"), "all with users, else loopback"),
    fixed("ws_port", Kind::PortOrOff, "50005"),
    fixed("wss_port", Kind::PortOrOff, "none"),
    fixed("https_port", Kind::PortOrOff, "none"),
    live("cert_path", Kind::Path, "/usr/local/etc/ssl/"),
    live("wss_pem", Kind::FileName, "fullchain.pem"),
    live("wss_key", Kind::FileName, "privkey.pem"),
    live("http_hosts", Kind::List("names"), "none"),
    live("trusted_proxies", Kind::List("address blocks"), "none"),
    live("public_url", Kind::Url, "none"),
    live("templates_dir", Kind::Path, "built in"),
    live("site_name", Kind::Text(64), "Heartbeat"),
    live("timezone", Kind::Text(64), "the machine's"),
    live("units", Kind::Choice(&["iec", "si"]), "iec"),
    live("ssh_url", Kind::Text(512), "none"),
    live("metrics_token", Kind::Secret, "none"),
    live("status_page", Kind::Section, "off"),
    live("wall", Kind::Bool, "false"),
    // Files
    fixed("state_dir", Kind::Path, "/var/lib/heartbeat"),
    fixed("pickfile", Kind::Path, "<state_dir>/heartbeat.redb"),
    live("keys_file", Kind::Path, "<state_dir>/keys.json"),
    fixed("control_socket", Kind::Path, "/run/heartbeat/hbd.sock"),
    live("logfile", Kind::Path, "none"),
    live("agent_dir", Kind::Path, "none"),
    live("journal_enabled", Kind::Bool, "true"),
    live("journal_dir", Kind::Path, "/var/log/heartbeat"),
    live("journal_file", Kind::FileName, "messages.journal"),
    live("journal_max_size", Kind::Size, "104857600"),
    live("journal_max_backups", Kind::Int(0, 1000), "10"),
    live("journal_min_free", Kind::Size, "64MB"),
    live("journal_redact", Kind::List("globs"), "none"),
    fixed("history_enabled", Kind::Bool, "true"),
    live("history_raw", Kind::Duration(0, LONGEST), "7d"),
    live("history_rollup", Kind::Duration(0, LONGEST), "730d"),
    live("history_max_size", Kind::Size, "4GB"),
    // Hosts and liveness
    live("interval", Kind::Duration(1, DAY), "30"),
    live("grace", Kind::Duration(0, DAY), "5"),
    live("misses", Kind::Int(1, 20), "2; 3 where the interval is 10 s or less"),
    live("interval_max", Kind::Duration(1, LONGEST), "3600"),
    live("udp_policy", Kind::Choice(&["open", "known", "sealed"]), "open without keys, else known"),
    fixed("hosts_max", Kind::Int(1, 1_000_000), "10000"),
    fixed("ghosts_max", Kind::Int(0, 65536), "256"),
    live("flap_transitions", Kind::Int(0, 10_000), "6"),
    live("flap_window", Kind::Duration(1, LONGEST), "30m"),
    live("isolation_hosts", Kind::Int(0, 1_000_000), "3"),
    live("isolation_percent", Kind::Number(0.0, 100.0), "25"),
    live("isolation_window", Kind::Duration(1, DAY), "60"),
    live("isolation_hold", Kind::Duration(0, DAY), "120"),
    live("down_renotify_interval", Kind::Duration(0, LONGEST), "0"),
    live("default_owner", Kind::Text(32), "the first admin"),
    live("hosts", Kind::Section, "none"),
    // Thresholds
    live("thresholds", Kind::Section, "none"),
    live("threshold_configs", Kind::Section, "none"),
    live("threshold_renotify_interval", Kind::Duration(0, LONGEST), "3600"),
    live("renotify_factor", Kind::Number(1.0, f64::MAX), "1"),
    live("renotify_max", Kind::Duration(1, LONGEST), "24h"),
    live("escalation", Kind::List("steps"), "none"),
    // Users and sessions
    live("users", Kind::Section, "none"),
    live("session_idle", Kind::Duration(1, LONGEST), "24h"),
    live("session_max", Kind::Duration(1, LONGEST), "7d"),
    live("session_remember", Kind::Duration(0, LONGEST), "30d"),
    // Notifications
    live("pushsrv", Kind::List("channel names, all or none"), "none"),
    live("group_wait", Kind::Duration(0, 3600), "10"),
    live("notify_per_minute", Kind::Int(1, 10_000), "6"),
    live("dead_man_url", Kind::Secret, "none"),
    live("channels", Kind::Section, "none"),
    // Dynamic DNS
    live("dyndomains", Kind::List("zones"), "none"),
    live("nsupdate_bin", Kind::Path, "/usr/bin/nsupdate"),
    live("dns_server", Kind::Text(300), "from the zone's SOA"),
    live("dns_ttl", Kind::Int(1, 604_800), "60"),
    live("nsupdate_key", Kind::Path, "none"),
    live("dns_timeout", Kind::Duration(1, 3600), "10"),
    live("dns_trust_plain", Kind::Bool, "false"),
    live("dns_private_flip", Kind::Bool, "false"),
    // Metrics into other engines
    live("remote_write", Kind::Section, "off"),
    // Two servers, one voice
    fixed("pair", Kind::Section, "off"),
    // Maintenance and the server's own agent
    live("maintenance", Kind::List("windows"), "none"),
    fixed("agent", Kind::Section, "off"),
];

/// `hosts.<name>`
pub const HOST: &[Key] = &[
    live("watch", Kind::Bool, "true"),
    live("owner", Kind::Text(32), "default_owner"),
    live("managers", Kind::List("users"), "none"),
    live("monitors", Kind::List("users"), "none"),
    live("threshold_config", Kind::List("profiles"), "none"),
    live("interval", Kind::Duration(1, DAY), "the server's"),
    live("misses", Kind::Int(1, 20), "the server's"),
    live("grace", Kind::Duration(0, DAY), "the server's"),
    live("interval_max", Kind::Duration(1, LONGEST), "the server's"),
    live("expected", Kind::Choice(&["always", "intermittent"]), "always"),
    live("depends_on", Kind::List("hosts"), "none"),
    live("group", Kind::Text(64), "none"),
    live("tags", Kind::List("tags"), "none"),
    live("description", Kind::Text(256), "none"),
    live("notes", Kind::Text(4096), "none"),
    live("addr", Kind::List("address blocks"), "any"),
    live("dns", Kind::Text(255), "the host's own name"),
    live("escalation", Kind::List("steps"), "the server's"),
];

/// An entry of `thresholds`.
pub const ENTRY: &[Key] = &[
    live("warning", Kind::Section, "none"),
    live("critical", Kind::Section, "none"),
    live("operator", Kind::Choice(OPERATORS), ">"),
    live("hysteresis", Kind::Number(0.0, 1.0), "0.02"),
    live("display", Kind::Text(512), "none"),
    live("for", Kind::Duration(0, LONGEST), "0"),
    live("enabled", Kind::Bool, "true"),
    live("escalation", Kind::List("steps"), "the host's"),
];

pub const OPERATORS: &[&str] = &[">", ">=", "<", "<=", "==", "!=", "nagios"];

/// `threshold_configs.<name>`
pub const PROFILE: &[Key] = &[live("thresholds", Kind::Section, "none")];

/// A step of `escalation`.
pub const STEP: &[Key] = &[
    live("after", Kind::Duration(0, LONGEST), "required"),
    live("to", Kind::List("users or channels"), "required"),
    live("level", Kind::Choice(&["warning", "unknown", "critical"]), "warning"),
];

/// `users.<name>`
pub const USER: &[Key] = &[
    live("full_name", Kind::Text(128), "the name"),
    live("avatar", Kind::Text(512), "initials"),
    live("password", Kind::Secret, "none"),
    live("admin", Kind::Bool, "false"),
    live("notification_channels", Kind::List("channels"), "none"),
];

/// An entry of `users.<name>.notification_channels` that is a map.
pub const USER_CHANNEL: &[Key] = &[
    live("channel", Kind::Text(64), "required"),
    live("to", Kind::List("destinations"), "the channel's"),
    live("min_level", Kind::Choice(LEVELS), "the channel's"),
];

pub const LEVELS: &[&str] = &["info", "warning", "unknown", "critical"];

/// `status_page`
pub const STATUS_PAGE: &[Key] = &[
    live("public", Kind::Bool, "false"),
    live("token", Kind::Secret, "none"),
    live("title", Kind::Text(128), "site_name"),
    live("groups", Kind::Section, "none"),
    live("announcement", Kind::Text(4096), "none"),
];

/// `remote_write`
pub const REMOTE_WRITE: &[Key] = &[
    live("enabled", Kind::Bool, "true"),
    live("url", Kind::Secret, "required"),
    live("user", Kind::Text(128), "none"),
    live("password", Kind::Secret, "none"),
    live("token", Kind::Secret, "none"),
    live("tenant", Kind::Text(128), "none"),
    live("labels", Kind::Section, "none"),
    live("timeout", Kind::Duration(1, 300), "10"),
    live("wait", Kind::Duration(1, 300), "5"),
    live("batch_max", Kind::Int(1, 20_000), "2000"),
    live("queue_max", Kind::Size, "256MB"),
];

/// `pair`
pub const PAIR: &[Key] = &[
    fixed("peer", Kind::HostName, "required"),
    fixed("role", Kind::Choice(&["primary", "secondary"]), "required"),
    fixed("address", Kind::Text(300), "peer, at hb_port"),
    fixed("key_file", Kind::Path, "<state_dir>/pair.key"),
    fixed("key", Kind::Secret, "none"),
    fixed("interval", Kind::Duration(1, 300), "10"),
];

/// An entry of `maintenance`.
pub const WINDOW: &[Key] = &[
    live("id", Kind::Text(64), "from its place"),
    live("hosts", Kind::List("host names or globs"), "none"),
    live("tags", Kind::List("tags"), "none"),
    live("groups", Kind::List("groups"), "none"),
    live("start", Kind::Text(32), "required"),
    live("end", Kind::Text(32), "none"),
    live("duration", Kind::Duration(1, LONGEST), "none"),
    live("repeat", Kind::Choice(&["once", "daily", "weekly", "monthly"]), "once"),
    live("days", Kind::List("days"), "none"),
    live("zone", Kind::Text(64), "timezone"),
    live("reason", Kind::Text(256), "none"),
];

/// Keys of the Python program that have no use here; the second text tells what does their work, if
/// anything does.
pub const OLD: &[(&str, &str)] = &[
    ("threads", ""),
    ("verbose", "use -v"),
    ("debug", "use -v"),
    ("foreground", "use -f"),
    ("daemon", "leave -f away"),
    ("pidfile", ""),
    ("watchhosts", "use hosts.<name>.watch"),
    ("drophosts", "use hbd drop HOST"),
    ("dyndnshosts", "use dyndomains"),
    ("pushover_token", "use channels.pushover.token"),
    ("pushover_user", "use channels.pushover.to"),
    ("mattermost_url", "use channels.mattermost.url"),
];
