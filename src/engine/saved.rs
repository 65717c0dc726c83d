//! The saved form of hosts and events: JSON rows of the store. Its own family of types, read leniently so that
//! an older or newer version's row still loads.

use super::link::Link;
use super::view::{self, ConnState, EventKind, Family, Level, Severity};
use crate::time::{Mono, Wall};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;

#[derive(Serialize, Deserialize, Debug, Default)]
#[serde(default)]
pub struct HostRow {
    pub state: String,
    /// Unix seconds, as all times here.
    pub since: f64,
    pub shutdown: bool,
    pub links: Vec<LinkRow>,
    pub promised: Option<f64>,
    pub uptime: Option<u64>,
    pub boot_time: Option<f64>,
    pub version: Option<String>,
    pub message: Option<(f64, String)>,
    pub why: String,
    pub watch_override: Option<bool>,
    pub never_told: bool,
    pub first_seen: f64,
    /// Metrics that are not OK.
    pub alerts: Vec<AlertRow>,
    /// Subjects that were raised and told: what, when, at which level, in which words.
    pub raised: Vec<RaisedRow>,
    /// Subjects that began while they could not be told.
    pub untold: Vec<String>,
    /// Flapping, for so many seconds more at least.
    pub flapping: Option<f64>,
    pub dns: Option<DnsRow>,
}

/// The record that dynamic DNS keeps of a host.
#[derive(Serialize, Deserialize, Debug, Default)]
#[serde(default)]
pub struct DnsRow {
    pub name: String,
    /// What the name server took last, a row for each family, and when.
    pub set: Vec<(IpAddr, f64)>,
    pub tried: Option<f64>,
    pub error: Option<String>,
    pub failures: u32,
    /// An update that a manager asked for is owed.
    pub asked: bool,
}

#[derive(Serialize, Deserialize, Debug)]
pub struct AlertRow {
    pub path: String,
    pub plugin: String,
    pub leaf: String,
    pub level: String,
    pub told: String,
    pub value: serde_json::Value,
    pub since: f64,
    /// When it was raised.
    pub raised: f64,
    pub display: String,
    #[serde(default)]
    pub check_name: String,
    /// Seconds between samples.
    #[serde(default)]
    pub every: u32,
    /// When it is reminded of next, and the wait before.
    #[serde(default)]
    pub reminder: Option<(f64, f64)>,
}

#[derive(Serialize, Deserialize, Debug)]
pub struct RaisedRow {
    pub subject: String,
    pub at: f64,
    pub level: String,
    pub text: String,
    /// Steps of escalation that were taken, by bit.
    #[serde(default)]
    pub done: u64,
}

#[derive(Serialize, Deserialize, Debug)]
pub struct LinkRow {
    pub address: IpAddr,
    pub down: bool,
    pub told_lost: bool,
    pub last_seen: f64,
    pub rtt_ms: Option<f32>,
}

impl LinkRow {
    pub fn of(link: &Link) -> LinkRow {
        LinkRow {
            address: link.address,
            down: link.state == ConnState::Down,
            told_lost: link.told_lost,
            last_seen: link.heard_wall.as_secs_f64(),
            rtt_ms: link.rtt_ms,
        }
    }

    /// The link as it was, with a full deadline from `listening` on if it was up: the server was deaf till now.
    pub fn link(&self, listening: Mono) -> Link {
        Link {
            family: Family::of(self.address),
            address: self.address,
            state: if self.down { ConnState::Down } else { ConnState::Up },
            heard: listening,
            heard_mono: None,
            heard_wall: Wall::from_secs_f64(self.last_seen),
            rtt_ms: self.rtt_ms,
            loss: Default::default(),
            told_lost: self.told_lost,
        }
    }
}

/// The latest data of an info plugin.
#[derive(Serialize, Deserialize, Debug)]
pub struct SampleRow {
    pub at: f64,
    pub interval: Option<u32>,
    pub data: Box<serde_json::value::RawValue>,
}

#[derive(Serialize, Deserialize, Debug)]
pub struct EventRow {
    pub at: f64,
    pub kind: String,
    #[serde(default)]
    pub host: Option<String>,
    #[serde(default)]
    pub level: Option<String>,
    #[serde(default)]
    pub from: Option<u8>,
    #[serde(default)]
    pub to: Option<u8>,
    pub text: String,
    #[serde(default)]
    pub user: Option<String>,
}

impl EventRow {
    pub fn of(event: &view::Event) -> EventRow {
        EventRow {
            at: event.at.as_secs_f64(),
            kind: event.kind.as_str().to_owned(),
            host: event.host.as_ref().map(|(_, name)| name.to_string()),
            level: event.level.map(|l| l.as_str().to_owned()),
            from: event.from.map(Severity::code),
            to: event.to.map(Severity::code),
            text: event.text.to_string(),
            user: event.user.as_ref().map(|u| u.to_string()),
        }
    }

    /// `id_of` finds the host's id in this epoch, if it is still there.
    pub fn event(
        &self,
        id: u64,
        id_of: impl Fn(&str) -> Option<view::HostId>,
    ) -> Option<view::Event> {
        let severity = |code: Option<u8>| code.and_then(|c| Severity::ALL.get(c as usize).copied());
        Some(view::Event {
            id,
            at: Wall::from_secs_f64(self.at),
            kind: EventKind::parse(&self.kind)?,
            host: self
                .host
                .as_deref()
                .map(|name| (id_of(name).unwrap_or(view::HostId::MAX), Arc::from(name))),
            level: self.level.as_deref().and_then(Level::parse),
            from: severity(self.from),
            to: severity(self.to),
            text: self.text.as_str().into(),
            user: self.user.as_deref().map(Arc::from),
        })
    }
}

/// Facts of the server itself that outlive it.
#[derive(Serialize, Deserialize, Debug, Default)]
#[serde(default)]
pub struct MetaRow {
    /// Names that were accepted under `udp_policy: known`.
    pub accepted: Vec<String>,
}

pub const META_KEY: &str = "engine";
