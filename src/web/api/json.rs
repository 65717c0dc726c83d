//! The shapes that the API serialises. Views only: nothing here is read back.

use crate::engine::view::{Connection, Event, Host, Severity};
use crate::time::Wall;
use crate::web::why::reason;
use serde::Serialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::net::IpAddr;

#[derive(Serialize)]
pub struct HostJson<'a> {
    pub name: &'a str,
    pub state: &'static str,
    pub severity: &'static str,
    pub watch: bool,
    pub owner: Option<&'a str>,
    pub tags: Vec<&'a str>,
    pub group: Option<&'a str>,
    pub maintenance: bool,
    pub interval: f64,
    pub last_seen: Option<f64>,
    /// The last change of state.
    pub since: f64,
    pub boot_time: Option<f64>,
    pub version: Option<&'a str>,
    pub sealed: bool,
    pub connections: Vec<ConnectionJson>,
    pub alerts: AlertsJson,
    /// In words; empty for a host that is well.
    pub why: Cow<'a, str>,
}

#[derive(Serialize)]
pub struct ConnectionJson {
    pub family: &'static str,
    pub address: IpAddr,
    pub state: &'static str,
    pub rtt_ms: Option<f64>,
    pub loss_percent: Option<f64>,
    pub last_seen: f64,
}

#[derive(Serialize)]
pub struct AlertsJson {
    pub warning: u32,
    pub critical: u32,
    pub unknown: u32,
}

#[derive(Serialize)]
pub struct EventJson<'a> {
    pub id: u64,
    pub timestamp: f64,
    pub kind: &'static str,
    pub host: Option<&'a str>,
    pub level: Option<&'static str>,
    pub from: Option<&'static str>,
    pub to: Option<&'static str>,
    pub text: &'a str,
    pub user: Option<&'a str>,
}

impl<'a> HostJson<'a> {
    pub fn new(host: &'a Host) -> HostJson<'a> {
        HostJson {
            name: &host.name,
            state: host.state.as_str(),
            severity: host.severity.as_str(),
            watch: host.watch,
            owner: host.owner.as_deref(),
            tags: host.tags.iter().map(|t| &**t).collect(),
            group: host.group.as_deref(),
            maintenance: host.maintenance,
            interval: host.interval,
            last_seen: host.last_seen.map(Wall::as_secs_f64),
            since: host.since.as_secs_f64(),
            boot_time: host.boot_time.map(Wall::as_secs_f64),
            version: host.version.as_deref(),
            sealed: host.sealed,
            connections: host.connections().map(ConnectionJson::new).collect(),
            alerts: AlertsJson {
                warning: host.alerts.warning,
                critical: host.alerts.critical,
                unknown: host.alerts.unknown,
            },
            why: reason(host),
        }
    }
}

impl ConnectionJson {
    fn new(connection: &Connection) -> ConnectionJson {
        ConnectionJson {
            family: connection.family.as_str(),
            address: connection.address.to_canonical(),
            state: connection.state.as_str(),
            rtt_ms: connection.rtt_ms.and_then(|v| round(v, 1000.0)),
            loss_percent: connection.loss_percent.and_then(|v| round(v, 100.0)),
            last_seen: connection.last_seen.as_secs_f64(),
        }
    }
}

impl<'a> EventJson<'a> {
    pub fn new(event: &'a Event) -> EventJson<'a> {
        EventJson {
            id: event.id,
            timestamp: event.at.as_secs_f64(),
            kind: event.kind.as_str(),
            host: event.host.as_ref().map(|(_, name)| &**name),
            level: event.level.map(|l| l.as_str()),
            from: event.from.map(Severity::as_str),
            to: event.to.map(Severity::as_str),
            text: &event.text,
            user: event.user.as_deref(),
        }
    }
}

/// Rounded to `1 / scale`; `None` where it is not a number.
fn round(value: f32, scale: f64) -> Option<f64> {
    let value = f64::from(value);
    value.is_finite().then(|| (value * scale).round() / scale)
}

/// Plugin data as it is kept: text that is already JSON. What is not reads as null.
pub fn raw(text: &str) -> &RawValue {
    serde_json::from_str(text).unwrap_or(RawValue::NULL)
}
