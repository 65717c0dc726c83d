//! The agents' configuration (`hbc.yaml`, `hbc.json`, `agent:` of the server), checked. See
//! CONFIG.md.
//!
//! Owns the struct that the agents run on and the table of its keys. Never reads a file, never
//! resolves a secret.

mod address;
mod command;
mod plugin;

use super::Document;
use super::node;
use super::problem::Problem;
use super::scalar;
use super::secret::Secret;
use super::section::{At, Fault, Key, Kind, Report, Section, fixed};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use address::parse_server;
pub use plugin::{BUILT_IN, NAGIOS_KEYS, OWN_KEYS, lacking};

#[derive(Clone, Debug, PartialEq)]
pub struct Agent {
    pub hb_port: u16,
    pub interval: Duration,
    /// Checked and lower-cased; `None`: the kernel's host name.
    pub name: Option<String>,
    pub servers: Vec<ServerEntry>,
    /// For every server without a key of its own.
    pub key_file: Option<PathBuf>,
    pub key: Option<Secret>,
    pub ipv4: bool,
    pub ipv6: bool,
    /// Send boot on start and shutdown on exit (`-b`).
    pub boot: bool,
    pub plugins: BTreeMap<String, Plugin>,
    pub plugin_dir: Option<PathBuf>,
    /// What the server may ask for, by name.
    pub commands: BTreeMap<String, Command>,
    pub update: Option<Update>,
    pub spool_max: Option<usize>,
    pub control_socket: Option<PathBuf>,
    pub procfs: PathBuf,
    pub sysfs: PathBuf,
    pub rootfs: PathBuf,
}

/// A server to report to: from `servers:` or the command line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServerEntry {
    /// A name, an IPv4 or an IPv6 address (without brackets).
    pub host: String,
    /// `None`: `hb_port`.
    pub port: Option<u16>,
    pub ipv4: Option<bool>,
    pub ipv6: Option<bool>,
    /// `None`: the agent's.
    pub key_file: Option<PathBuf>,
    pub key: Option<Secret>,
}

/// `plugins.<name>`: the keys that every plugin has, and those of the built-in ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Plugin {
    /// `None`: on where the machine has what it needs.
    pub enabled: Option<bool>,
    pub interval: Duration,
    /// Of the whole run; of `ping_monitor`, per packet.
    pub timeout: Duration,
    pub per_core: bool,
    pub include: Vec<String>,
    /// `None`: the plugin's own default.
    pub exclude: Option<Vec<String>>,
    pub fstypes: Vec<String>,
    pub io: bool,
    pub all: bool,
    /// `ping_monitor`
    pub hosts: Vec<PingHost>,
    /// `ping_monitor`: packets a run.
    pub count: u32,
    pub source: Option<IpAddr>,
    /// `nagios_runner`
    pub commands: Vec<NagiosCommand>,
    /// `zfs_monitor`: globs; empty: all.
    pub pools: Vec<String>,
    pub zpool: Option<PathBuf>,
    /// A plugin of your own: its program and arguments.
    pub command: Vec<String>,
    /// Of your own: run once and again when the server asks, as os_info is.
    pub info: bool,
    /// Of your own: keep it running, each line is a sample.
    pub stream: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct PingHost {
    pub name: String,
    /// A name or an address.
    pub address: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct NagiosCommand {
    pub name: String,
    pub argv: Vec<String>,
    /// `None`: the plugin's.
    pub timeout: Option<Duration>,
    pub env: BTreeMap<String, String>,
}

/// `commands.<name>`
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// The program's absolute path, then its fixed arguments.
    pub argv: Vec<String>,
    /// Whether the server may add arguments.
    pub args: bool,
    pub timeout: Duration,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Update {
    /// The site's own script; empty: built in.
    pub command: Vec<String>,
    pub url: Option<String>,
    pub public_key: Option<String>,
    pub allow_downgrade: bool,
}

impl Default for Plugin {
    fn default() -> Plugin {
        Plugin {
            enabled: None,
            interval: Duration::from_secs(300),
            timeout: Duration::from_secs(30),
            per_core: false,
            include: Vec::new(),
            exclude: None,
            fstypes: Vec::new(),
            io: true,
            all: false,
            hosts: Vec::new(),
            count: 3,
            source: None,
            commands: Vec::new(),
            pools: Vec::new(),
            zpool: None,
            command: Vec::new(),
            info: false,
            stream: false,
        }
    }
}

impl Default for Agent {
    fn default() -> Agent {
        Agent {
            hb_port: 50003,
            interval: Duration::from_secs(30),
            name: None,
            servers: Vec::new(),
            key_file: None,
            key: None,
            ipv4: true,
            ipv6: true,
            boot: false,
            plugins: BTreeMap::new(),
            plugin_dir: None,
            commands: BTreeMap::new(),
            update: None,
            spool_max: None,
            control_socket: None,
            procfs: PathBuf::from("/proc"),
            sysfs: PathBuf::from("/sys"),
            rootfs: PathBuf::from("/"),
        }
    }
}

/// The keys of `hbc.yaml` and `hbc.json`.
pub const KEYS: &[Key] = &[
    fixed("hb_port", Kind::Int(1, 65535), "50003"),
    fixed("interval", Kind::Duration(1, 86400), "30"),
    fixed("name", Kind::HostName, "the kernel's host name"),
    fixed("servers", Kind::List("servers"), "none"),
    fixed("key_file", Kind::Path, "none"),
    fixed("key", Kind::Secret, "none"),
    fixed("ipv4", Kind::Bool, "true"),
    fixed("ipv6", Kind::Bool, "true"),
    fixed("boot", Kind::Bool, "false"),
    fixed("plugins", Kind::Section, "none"),
    fixed("plugin_dir", Kind::Path, "/etc/heartbeat/plugins"),
    fixed("commands", Kind::Section, "none"),
    fixed("update", Kind::Section, "off"),
    fixed("spool_max", Kind::Size, "1MB"),
    fixed("control_socket", Kind::Path, "/run/heartbeat/hbc.sock"),
    fixed("procfs", Kind::Path, "/proc"),
    fixed("sysfs", Kind::Path, "/sys"),
    fixed("rootfs", Kind::Path, "/"),
];

/// A server under `servers:`.
pub const SERVER_KEYS: &[Key] = &[
    fixed("host", Kind::Text(255), "required"),
    fixed("port", Kind::Int(1, 65535), "hb_port"),
    fixed("key_file", Kind::Path, "the agent's"),
    fixed("key", Kind::Secret, "the agent's"),
    fixed("ipv4", Kind::Bool, "the agent's"),
    fixed("ipv6", Kind::Bool, "the agent's"),
];

/// `commands.<name>`
pub const COMMAND_KEYS: &[Key] = &[
    fixed("argv", Kind::List("texts"), "required"),
    fixed("args", Kind::Bool, "false"),
    fixed("timeout", Kind::Duration(1, 86400), "60"),
];

pub const UPDATE_KEYS: &[Key] = &[
    fixed("command", Kind::List("texts"), "none"),
    fixed("url", Kind::Url, "http://SERVER:50004/agent/"),
    fixed("public_key", Kind::Text(200), "none"),
    fixed("allow_downgrade", Kind::Bool, "false"),
];

/// Checks an agent's file. The result is usable even with problems: what is at fault has its
/// default.
pub fn check(document: &Document) -> (Agent, Vec<Problem>) {
    let mut report = Report::new(std::slice::from_ref(document));
    let at = At::new(&document.root, "");
    let agent = check_at(&mut report, &at, |_, _| false);
    (agent, report.problems)
}

/// The same for a section of the server's file; `other` takes keys that are not the agent's.
pub(super) fn check_at(
    report: &mut Report<'_>,
    at: &At<'_>,
    other: impl FnMut(&mut Report<'_>, &node::Key) -> bool,
) -> Agent {
    let mut agent = Agent::default();
    let Some(section) = Section::open_with(report, at, KEYS, other) else { return agent };
    check_scalars(&section, report, &mut agent);
    agent.servers = section
        .get("servers")
        .map(|at| at.items().iter().filter_map(|item| server_entry(report, item)).collect())
        .unwrap_or_default();
    if agent.key.is_some() && agent.key_file.is_some() {
        exclusive(report, &section, "key", "key_file");
    }
    if let Some(at) = section.get("plugins") {
        agent.plugins = plugin::check(report, &at);
    }
    if let Some(at) = section.get("commands") {
        agent.commands = command::check(report, &at);
    }
    agent.update = section.get("update").and_then(|at| command::check_update(report, &at));
    agent
}

fn check_scalars(section: &Section<'_>, report: &mut Report<'_>, agent: &mut Agent) {
    set(&mut agent.hb_port, section.port(report, "hb_port"));
    set(&mut agent.interval, section.duration(report, "interval"));
    agent.name = section.read(report, "name", scalar::host_name);
    agent.key_file = section.path(report, "key_file");
    agent.key = section.secret(report, "key");
    set(&mut agent.ipv4, section.bool(report, "ipv4"));
    set(&mut agent.ipv6, section.bool(report, "ipv6"));
    set(&mut agent.boot, section.bool(report, "boot"));
    agent.plugin_dir = section.path(report, "plugin_dir");
    let size = section.size(report, "spool_max");
    agent.spool_max = size.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    agent.control_socket = section.path(report, "control_socket");
    set(&mut agent.procfs, section.path(report, "procfs"));
    set(&mut agent.sysfs, section.path(report, "sysfs"));
    set(&mut agent.rootfs, section.path(report, "rootfs"));
    if !agent.ipv4 && !agent.ipv6 {
        let what = "ipv4 and ipv6 are both false: no way to any server is left".to_owned();
        let at = section.get("ipv6").unwrap_or_else(|| section.at().clone());
        report.error(&at, "E0117", what, "set one of them to true");
    }
}

fn server_entry(report: &mut Report<'_>, at: &At<'_>) -> Option<ServerEntry> {
    if !matches!(at.node.value, node::Value::Map(_)) {
        let parsed = scalar::word(at, 300).and_then(|text| {
            parse_server(&text).map_err(|what| Fault {
                code: "E0106",
                what,
                fix: "write name, name:port, 192.0.2.1:port or [2001:db8::1]:port".to_owned(),
            })
        });
        return parsed.map_err(|fault| report.fault(at, fault)).ok();
    }
    let section = Section::open(report, at, SERVER_KEYS)?;
    section.require(report, "host", "add host: NAME");
    let host = section.read(report, "host", |at| {
        let text = scalar::word(at, 255)?;
        address::check_host(&text).map_err(|what| Fault {
            code: "E0106",
            what,
            fix: "write a name or an address; the port has a key of its own".to_owned(),
        })
    })?;
    let entry = ServerEntry {
        host,
        port: section.port(report, "port"),
        ipv4: section.bool(report, "ipv4"),
        ipv6: section.bool(report, "ipv6"),
        key_file: section.path(report, "key_file"),
        key: section.secret(report, "key"),
    };
    if entry.key.is_some() && entry.key_file.is_some() {
        exclusive(report, &section, "key", "key_file");
    }
    Some(entry)
}

fn exclusive(report: &mut Report<'_>, section: &Section<'_>, one: &str, other: &str) {
    let what = format!("\"{one}\" and \"{other}\" exclude each other");
    if let Some(at) = section.get(one) {
        report.error(&at, "E0117", what, "keep one of them");
    }
}

/// Sets a field where a value was given.
pub(super) fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}
