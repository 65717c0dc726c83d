//! `hosts.<name>`: what is declared of a host.

use super::escalation::{self, Step};
use super::{Cidr, key};
use crate::config::agent::set;
use crate::config::node::Value;
use crate::config::problem::quoted;
use crate::config::scalar;
use crate::config::section::{At, Fault, Report, Section};
use crate::text;
use std::collections::BTreeMap;
use std::time::Duration;

/// `hosts.<name>`
#[derive(Clone, Debug, PartialEq)]
pub struct Host {
    pub watch: bool,
    pub owner: Option<String>,
    pub managers: Vec<String>,
    pub monitors: Vec<String>,
    /// Profiles of `threshold_configs`, applied left to right.
    pub threshold_config: Vec<String>,
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
    pub dns: DnsName,
    /// `None`: the server's.
    pub escalation: Option<Vec<Step>>,
}

/// The record that dynamic DNS keeps for a host.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum DnsName {
    /// The host's own name.
    #[default]
    Own,
    Name(String),
    /// `false`: none.
    Off,
}

impl Default for Host {
    fn default() -> Host {
        Host {
            watch: true,
            owner: None,
            managers: Vec::new(),
            monitors: Vec::new(),
            threshold_config: Vec::new(),
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
            dns: DnsName::Own,
            escalation: None,
        }
    }
}

pub(super) fn check(report: &mut Report<'_>, at: &At<'_>) -> BTreeMap<String, Host> {
    let mut hosts = BTreeMap::new();
    for (key, node) in at.entries(report) {
        let at = at.child(key, node);
        let Some(name) = host_name(report, &at, &key.text) else { continue };
        let Some(host) = check_one(report, &at) else { continue };
        if hosts.insert(name.clone(), host).is_some() {
            let what = format!("the host {} is declared twice, in other case", quoted(&name));
            report.error(&at, "E0117", what, "names are compared in lower case: keep one of them");
        }
    }
    hosts
}

fn host_name(report: &mut Report<'_>, at: &At<'_>, key: &str) -> Option<String> {
    match text::parse_name(key) {
        Ok(name) => Some(name.into_owned()),
        Err(error) => {
            let what = format!("{} is not a host name: it {error}", quoted(key));
            let fix = "use letters, digits, '.', '_' and '-', beginning with a letter or digit";
            report.name_error(at, what, fix);
            None
        }
    }
}

fn check_one(report: &mut Report<'_>, at: &At<'_>) -> Option<Host> {
    let section = Section::open(report, at, key::HOST)?;
    let names = |section: &Section<'_>, report: &mut Report<'_>, key: &str| {
        section.list(report, key, |at| scalar::word(at, 64)).unwrap_or_default()
    };
    let mut host = Host {
        owner: section.text(report, "owner"),
        managers: names(&section, report, "managers"),
        monitors: names(&section, report, "monitors"),
        threshold_config: names(&section, report, "threshold_config"),
        interval: section.duration(report, "interval"),
        misses: section.int(report, "misses").and_then(|n| u32::try_from(n).ok()),
        grace: section.duration(report, "grace"),
        interval_max: section.duration(report, "interval_max"),
        intermittent: section.choice(report, "expected") == Some("intermittent"),
        depends_on: section.list(report, "depends_on", scalar::host_name).unwrap_or_default(),
        group: section.text(report, "group"),
        tags: section.list(report, "tags", tag).unwrap_or_default(),
        description: section.text(report, "description"),
        notes: section.text(report, "notes"),
        addr: section.list(report, "addr", scalar::cidr).unwrap_or_default(),
        dns: section.read(report, "dns", dns_name).unwrap_or_default(),
        ..Host::default()
    };
    set(&mut host.watch, section.bool(report, "watch"));
    host.escalation = section.get("escalation").map(|at| escalation::check(report, &at));
    Some(host)
}

/// `[a-z0-9][a-z0-9_-]*`
pub(super) fn tag(at: &At<'_>) -> Result<String, Fault> {
    let tag = scalar::word(at, 64)?;
    if is_tag(&tag) {
        return Ok(tag);
    }
    let what = format!("{} is not a tag", quoted(&tag));
    let fix = "use a-z, 0-9, '_' and '-', beginning with a letter or digit".to_owned();
    Err(Fault { code: "E0106", what, fix })
}

pub fn is_tag(tag: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    tag.bytes().next().is_some_and(plain) && tag.bytes().all(|b| plain(b) || b == b'_' || b == b'-')
}

fn dns_name(at: &At<'_>) -> Result<DnsName, Fault> {
    match at.node.value {
        Value::Bool(false) => Ok(DnsName::Off),
        Value::Bool(true) => Ok(DnsName::Own),
        _ => {
            let name = scalar::host_name(at)?;
            if name.contains('.') {
                return Ok(DnsName::Name(name));
            }
            let what = format!("{} is not a full name", quoted(&name));
            let fix = "write it with its domain, or false for no record".to_owned();
            Err(Fault { code: "E0106", what, fix })
        }
    }
}
