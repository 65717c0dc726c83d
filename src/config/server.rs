//! The server's configuration (`hbd.yaml`), checked. CONFIG.md is the reference for every key.
//!
//! Owns the struct that the server runs on. Never reads a file, never resolves a secret, never asks
//! which machine it is on: a path that depends on that is `None` here.

mod channel;
mod check;
mod difference;
mod escalation;
mod host;
pub mod key;
mod maintenance;
mod overlay;
mod pair;
mod reference;
mod remote_write;
mod threshold;
mod user;

use super::secret::Secret;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use channel::{
    COMMON as COMMON_CHANNEL_KEYS, Channel, ChannelType, Setting, TYPES as CHANNEL_TYPES, TypeRow,
};
pub use check::check;
pub use difference::{Change, difference};
pub use escalation::{Level, Step};
pub use host::{DnsName, Host, is_tag};
pub use maintenance::{Date, Day, End, Repeat, Start, TimeOfDay, Window, is_zone_name};
pub use overlay::{ChannelOverlay, HostOverlay, Overlay, Roles, UserOverlay};
pub use pair::{Pair, PairRole};
pub use remote_write::RemoteWrite;
pub use threshold::{Entry, Limit, Operator, Thresholds, containers};
pub use user::{StatusPage, User, UserChannel, is_user_name};

/// Who may appear by sending a datagram (SPEC section 2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UdpPolicy {
    Open,
    Known,
    Sealed,
}

impl UdpPolicy {
    pub const fn as_str(self) -> &'static str {
        match self {
            UdpPolicy::Open => "open",
            UdpPolicy::Known => "known",
            UdpPolicy::Sealed => "sealed",
        }
    }
}

/// An address block in CIDR notation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cidr {
    pub address: IpAddr,
    pub prefix: u8,
}

impl Cidr {
    pub fn contains(&self, other: IpAddr) -> bool {
        fn bits(a: IpAddr) -> (u128, u32) {
            match a.to_canonical() {
                IpAddr::V4(a) => (u128::from(u32::from(a)), 32),
                IpAddr::V6(a) => (u128::from(a), 128),
            }
        }
        let ((a, width), (b, other_width)) = (bits(self.address), bits(other));
        let shift = width.saturating_sub(u32::from(self.prefix));
        width == other_width && (shift >= width || a >> shift == b >> shift)
    }
}

/// Where a value was written, for `check-config --print` and `explain`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Origin {
    pub file: String,
    pub line: u32,
}

#[derive(Clone, Debug)]
pub struct Server {
    // Addresses and pages
    pub hb_port: u16,
    /// Empty: all addresses, IPv4 and IPv6.
    pub hb_host: Vec<IpAddr>,
    pub hbd_port: u16,
    /// Empty: all with users, loopback without.
    pub hbd_host: Vec<IpAddr>,
    pub ws_port: Option<u16>,
    pub wss_port: Option<u16>,
    pub https_port: Option<u16>,
    pub cert_path: PathBuf,
    pub wss_pem: String,
    pub wss_key: String,
    pub http_hosts: Vec<String>,
    pub trusted_proxies: Vec<Cidr>,
    pub public_url: Option<String>,
    pub templates_dir: Option<PathBuf>,
    pub site_name: String,
    pub timezone: Option<String>,
    pub units_si: bool,
    pub ssh_url: Option<String>,
    pub metrics_token: Option<Secret>,
    /// `None`: `/status` is off.
    pub status_page: Option<StatusPage>,
    pub wall: bool,
    // Files
    pub state_dir: Option<PathBuf>,
    pub pickfile: Option<PathBuf>,
    pub keys_file: Option<PathBuf>,
    pub control_socket: Option<PathBuf>,
    pub logfile: Option<PathBuf>,
    pub agent_dir: Option<PathBuf>,
    pub journal_enabled: bool,
    pub journal_dir: Option<PathBuf>,
    pub journal_file: String,
    /// Bytes.
    pub journal_max_size: u64,
    pub journal_max_backups: u32,
    /// Bytes.
    pub journal_min_free: u64,
    /// Globs over keys.
    pub journal_redact: Vec<String>,
    pub history_enabled: bool,
    pub history_raw: Duration,
    pub history_rollup: Duration,
    /// Bytes.
    pub history_max_size: u64,
    // Hosts and liveness
    pub interval: Duration,
    pub grace: Duration,
    pub misses: Option<u32>,
    pub interval_max: Duration,
    /// As written; `None`: open while no key exists, else known.
    pub udp_policy: Option<UdpPolicy>,
    pub hosts_max: usize,
    pub ghosts_max: usize,
    pub flap_transitions: u32,
    pub flap_window: Duration,
    /// 0 switches the holding off.
    pub isolation_hosts: u32,
    /// 0..100, of the hosts that are up.
    pub isolation_percent: f64,
    pub isolation_window: Duration,
    pub isolation_hold: Duration,
    /// Zero: no reminders.
    pub down_renotify_interval: Duration,
    /// As written, else the first admin in file order.
    pub default_owner: Option<String>,
    pub hosts: BTreeMap<String, Host>,
    // Thresholds
    /// The base of every host.
    pub thresholds: Thresholds,
    /// Profiles by name.
    pub threshold_configs: BTreeMap<String, Thresholds>,
    /// Zero: no reminders.
    pub threshold_renotify_interval: Duration,
    /// At least 1.
    pub renotify_factor: f64,
    pub renotify_max: Duration,
    pub escalation: Vec<Step>,
    // Users and sessions
    pub users: BTreeMap<String, User>,
    /// What the API changed; [`Server::with_overlay`] lays it over the rest.
    pub overlay: Overlay,
    pub session_idle: Duration,
    pub session_max: Duration,
    /// Zero: the box is hidden.
    pub session_remember: Duration,
    // Notifications
    /// Names of `channels`; `all` and `none` are resolved.
    pub pushsrv: Vec<String>,
    pub group_wait: Duration,
    pub notify_per_minute: u32,
    pub dead_man_url: Option<Secret>,
    pub channels: BTreeMap<String, Channel>,
    // Dynamic DNS
    /// Zones in lower case, without the last dot.
    pub dyndomains: Vec<String>,
    pub nsupdate_bin: PathBuf,
    /// Name or address, optional `:port`.
    pub dns_server: Option<String>,
    /// Seconds.
    pub dns_ttl: u32,
    pub nsupdate_key: Option<PathBuf>,
    pub dns_timeout: Duration,
    pub dns_trust_plain: bool,
    pub dns_private_flip: bool,
    /// Where samples are sent beside the history.
    pub remote_write: Option<RemoteWrite>,
    /// The other server, where there are two with one voice.
    pub pair: Option<Pair>,
    // Maintenance and the server's own agent
    pub maintenance: Vec<Window>,
    /// `with_agent` of the command line, or `agent: {enabled: true}`.
    pub agent_enabled: bool,
    pub agent: super::agent::Agent,
    /// Of each top-level key, `hosts.<name>`, and each threshold entry, by key path.
    pub origins: BTreeMap<String, Origin>,
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// What an absent key means, a row for each field.
macro_rules! defaults {
    ($($field:ident: $value:expr,)*) => {
        impl Default for Server {
            fn default() -> Server {
                Server { $($field: $value,)* }
            }
        }
    };
}

defaults! {
    hb_port: 50003,
    hb_host: Vec::new(),
    hbd_port: 50004,
    hbd_host: Vec::new(),
    ws_port: Some(50005),
    wss_port: None,
    https_port: None,
    cert_path: PathBuf::from("/usr/local/etc/ssl/"),
    wss_pem: "fullchain.pem".to_owned(),
    wss_key: "privkey.pem".to_owned(),
    http_hosts: Vec::new(),
    trusted_proxies: Vec::new(),
    public_url: None,
    templates_dir: None,
    site_name: "Heartbeat".to_owned(),
    timezone: None,
    units_si: false,
    ssh_url: None,
    metrics_token: None,
    status_page: None,
    wall: false,
    state_dir: None,
    pickfile: None,
    keys_file: None,
    control_socket: None,
    logfile: None,
    agent_dir: None,
    journal_enabled: true,
    journal_dir: None,
    journal_file: "messages.journal".to_owned(),
    journal_max_size: 100 << 20,
    journal_max_backups: 10,
    journal_min_free: 64 << 20,
    journal_redact: Vec::new(),
    history_enabled: true,
    history_raw: secs(7 * 86400),
    history_rollup: secs(730 * 86400),
    history_max_size: 4 << 30,
    interval: secs(30),
    grace: secs(5),
    misses: None,
    interval_max: secs(3600),
    udp_policy: None,
    hosts_max: crate::limits::HOSTS_MAX,
    ghosts_max: crate::limits::UNKNOWN_HOSTS_MAX,
    flap_transitions: 6,
    flap_window: secs(1800),
    isolation_hosts: 3,
    isolation_percent: 25.0,
    isolation_window: secs(60),
    isolation_hold: secs(120),
    down_renotify_interval: Duration::ZERO,
    default_owner: None,
    hosts: BTreeMap::new(),
    thresholds: Thresholds::new(),
    threshold_configs: BTreeMap::new(),
    threshold_renotify_interval: secs(3600),
    renotify_factor: 1.0,
    renotify_max: secs(86400),
    escalation: Vec::new(),
    users: BTreeMap::new(),
    overlay: Overlay { users: BTreeMap::new(), hosts: BTreeMap::new() },
    session_idle: secs(86400),
    session_max: secs(7 * 86400),
    session_remember: secs(30 * 86400),
    pushsrv: Vec::new(),
    group_wait: secs(10),
    notify_per_minute: 6,
    dead_man_url: None,
    channels: BTreeMap::new(),
    dyndomains: Vec::new(),
    nsupdate_bin: PathBuf::from("/usr/bin/nsupdate"),
    dns_server: None,
    dns_ttl: 60,
    nsupdate_key: None,
    dns_timeout: secs(10),
    dns_trust_plain: false,
    dns_private_flip: false,
    remote_write: None,
    pair: None,
    maintenance: Vec::new(),
    agent_enabled: false,
    agent: super::agent::Agent::default(),
    origins: BTreeMap::new(),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cidr_contains_by_prefix_and_family() {
        let net = Cidr { address: "192.0.2.0".parse().unwrap(), prefix: 24 };
        assert!(net.contains("192.0.2.200".parse().unwrap()));
        assert!(net.contains("::ffff:192.0.2.1".parse().unwrap()));
        assert!(!net.contains("192.0.3.1".parse().unwrap()));
        assert!(!net.contains("2001:db8::1".parse().unwrap()));
        assert!(
            Cidr { address: "::".parse().unwrap(), prefix: 0 }
                .contains("2001:db8::1".parse().unwrap())
        );
    }
}
