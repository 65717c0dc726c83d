//! The agents' configuration (`hbc.yaml`, `hbc.json`, `agent:` of the server), checked. See CONFIG.md.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq)]
pub struct Agent {
    pub hb_port: u16,
    pub interval: Duration,
    /// Checked and lower-cased; `None`: the kernel's host name.
    pub name: Option<String>,
    pub servers: Vec<ServerEntry>,
    pub ipv4: bool,
    pub ipv6: bool,
    /// Send boot on start and shutdown on exit (`-b`).
    pub boot: bool,
    pub plugins: BTreeMap<String, Plugin>,
    pub spool_max: Option<usize>,
    pub control_socket: Option<PathBuf>,
    pub procfs: PathBuf,
    pub sysfs: PathBuf,
    pub rootfs: PathBuf,
}

/// A server to report to: from `servers:` or the command line.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerEntry {
    /// A name, an IPv4 or an IPv6 address (without brackets).
    pub host: String,
    /// `None`: `hb_port`.
    pub port: Option<u16>,
    pub ipv4: Option<bool>,
    pub ipv6: Option<bool>,
}

/// `plugins.<name>`: the keys that every plugin has, and those of the built-in ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Plugin {
    /// `None`: on where the machine has what it needs.
    pub enabled: Option<bool>,
    pub interval: Duration,
    pub timeout: Duration,
    pub per_core: bool,
    pub include: Vec<String>,
    /// `None`: the plugin's own default.
    pub exclude: Option<Vec<String>>,
    pub fstypes: Vec<String>,
    pub io: bool,
    pub all: bool,
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
            ipv4: true,
            ipv6: true,
            boot: false,
            plugins: BTreeMap::new(),
            spool_max: None,
            control_socket: None,
            procfs: PathBuf::from("/proc"),
            sysfs: PathBuf::from("/sys"),
            rootfs: PathBuf::from("/"),
        }
    }
}
