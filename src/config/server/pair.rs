//! `pair`: the other of two servers that watch the same hosts with one voice.

use super::key;
use crate::config::agent::{self, ServerEntry, set};
use crate::config::scalar;
use crate::config::secret::Secret;
use crate::config::section::{At, Fault, Report, Section};
use std::path::PathBuf;
use std::time::Duration;

/// The part of one server in a pair.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PairRole {
    Primary,
    Secondary,
}

impl PairRole {
    pub const fn as_str(self) -> &'static str {
        match self {
            PairRole::Primary => "primary",
            PairRole::Secondary => "secondary",
        }
    }

    pub fn parse(text: &str) -> Option<PairRole> {
        [PairRole::Primary, PairRole::Secondary].into_iter().find(|role| role.as_str() == text)
    }
}

/// `pair`
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// The name that the other server's key has here.
    pub peer: String,
    pub role: PairRole,
    /// Where it hears heartbeats: a name or an address. `None`: `peer`.
    pub address: Option<String>,
    /// `None`: this server's `hb_port`.
    pub port: Option<u16>,
    pub key_file: Option<PathBuf>,
    pub key: Option<Secret>,
    /// Between heartbeats to it.
    pub interval: Duration,
}

pub(super) fn check(report: &mut Report<'_>, at: &At<'_>) -> Option<Pair> {
    let section = Section::open(report, at, key::PAIR)?;
    section.require(
        report,
        "peer",
        "add peer: NAME, the host name that the other server's key has here",
    );
    section.require(
        report,
        "role",
        "add role: primary on one server and role: secondary on the other",
    );
    let peer = section.read(report, "peer", scalar::host_name);
    let role = section.choice(report, "role").and_then(PairRole::parse);
    let address = section.read(report, "address", |at| {
        let text = scalar::word(at, 300)?;
        let fix = "write a name or an address, with :port where it is not hb_port".to_owned();
        agent::parse_server(&text).map_err(|what| Fault { code: "E0106", what, fix })
    });
    let key_file = section.path(report, "key_file");
    let key = section.secret(report, "key");
    if key_file.is_some() && key.is_some() {
        let what = "key_file and key cannot both be given".to_owned();
        report.error(at, "E0117", what, "keep key_file");
    }
    let mut interval = Duration::from_secs(10);
    set(&mut interval, section.duration(report, "interval"));
    let (address, port) = match address {
        Some(ServerEntry { host, port, .. }) => (Some(host), port),
        None => (None, None),
    };
    Some(Pair { peer: peer?, role: role?, address, port, key_file, key, interval })
}
