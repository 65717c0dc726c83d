//! The server's configuration (`hbd.yaml`), checked. CONFIG.md is the reference for every key.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

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
    // Files
    pub state_dir: Option<PathBuf>,
    pub pickfile: Option<PathBuf>,
    pub control_socket: Option<PathBuf>,
    pub logfile: Option<PathBuf>,
    pub agent_dir: Option<PathBuf>,
    // Hosts and liveness
    pub interval: Duration,
    pub grace: Duration,
    pub misses: Option<u32>,
    pub interval_max: Duration,
    /// As written; `None`: open while no key exists, else known.
    pub udp_policy: Option<UdpPolicy>,
    pub hosts_max: usize,
    pub ghosts_max: usize,
    pub hosts: BTreeMap<String, Host>,
    /// `with_agent` of the command line, or `agent: {enabled: true}`.
    pub agent_enabled: bool,
    pub agent: super::agent::Agent,
}

/// `hosts.<name>`
#[derive(Clone, Debug)]
pub struct Host {
    pub watch: bool,
    pub owner: Option<String>,
    pub managers: Vec<String>,
    pub monitors: Vec<String>,
    pub interval: Option<Duration>,
    pub misses: Option<u32>,
    pub grace: Option<Duration>,
    pub interval_max: Option<Duration>,
    pub intermittent: bool,
    pub depends_on: Vec<String>,
    pub group: Option<String>,
    pub tags: Vec<String>,
    pub description: Option<String>,
    pub notes: Option<String>,
    pub addr: Vec<Cidr>,
}

impl Default for Host {
    fn default() -> Host {
        Host {
            watch: true,
            owner: None,
            managers: Vec::new(),
            monitors: Vec::new(),
            interval: None,
            misses: None,
            grace: None,
            interval_max: None,
            intermittent: false,
            depends_on: Vec::new(),
            group: None,
            tags: Vec::new(),
            description: None,
            notes: None,
            addr: Vec::new(),
        }
    }
}

impl Default for Server {
    fn default() -> Server {
        Server {
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
            state_dir: None,
            pickfile: None,
            control_socket: None,
            logfile: None,
            agent_dir: None,
            interval: Duration::from_secs(30),
            grace: Duration::from_secs(5),
            misses: None,
            interval_max: Duration::from_secs(3600),
            udp_policy: None,
            hosts_max: crate::limits::HOSTS_MAX,
            ghosts_max: crate::limits::UNKNOWN_HOSTS_MAX,
            hosts: BTreeMap::new(),
            agent_enabled: false,
            agent: super::agent::Agent::default(),
        }
    }
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
