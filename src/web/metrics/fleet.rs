//! The families about hosts, their alerts and their plugins' numbers.

use super::exposition::{Exposition, Kind};
use super::leaf;
use crate::alert::{self, metric_path};
use crate::engine::view::{DnsState, Family, Host, State, View};
use crate::time::Wall;
use std::collections::BTreeSet;

const STATES: [State; 6] =
    [State::Up, State::Late, State::Degraded, State::Down, State::Unreachable, State::Unknown];
const LEVELS: [alert::Level; 3] =
    [alert::Level::Warning, alert::Level::Unknown, alert::Level::Critical];
const DNS: [DnsState; 6] = [
    DnsState::Ok,
    DnsState::Waiting,
    DnsState::Updating,
    DnsState::Failed,
    DnsState::Refused,
    DnsState::Unconfirmed,
];

/// How many of what kind, over all hosts.
pub fn write_totals(text: &mut Exposition, view: &View) {
    text.family("heartbeat_hosts", Kind::Gauge, "Hosts by what their heartbeats say.");
    for state in STATES {
        let count = view.hosts.iter().filter(|host| host.state == state).count();
        text.sample(&[("state", state.as_str())], count as f64);
    }
    let quiet = view.hosts.iter().filter(|host| host.maintenance).count();
    let help = "Hosts in maintenance.";
    text.single("heartbeat_hosts_in_maintenance", Kind::Gauge, help, quiet as f64);
    let alerts = || view.hosts.iter().flat_map(|host| host.alert_list.iter());
    text.family("heartbeat_alerts", Kind::Gauge, "Metrics over a limit, by level.");
    for level in LEVELS {
        let count = alerts().filter(|alert| alert.level == level).count();
        text.sample(&[("level", &level.as_str().to_ascii_lowercase())], count as f64);
    }
    let count = alerts()
        .filter(|alert| alert.level != alert::Level::Ok && alert.acknowledged.is_some())
        .count();
    let help = "Metrics over a limit that somebody has acknowledged.";
    text.single("heartbeat_alerts_acknowledged", Kind::Gauge, help, count as f64);
    text.family("heartbeat_dns_records", Kind::Gauge, "Hosts with a DNS record, by its state.");
    for state in DNS {
        let dns = view.hosts.iter().filter_map(|host| host.dns.as_ref());
        let count = dns.filter(|dns| dns.state == state).count();
        text.sample(&[("state", state.as_str())], count as f64);
    }
    let help = "Names that were refused and may be accepted.";
    text.single("heartbeat_ghosts", Kind::Gauge, help, view.ghosts.len() as f64);
    let isolated = f64::from(u8::from(view.isolated_since.is_some()));
    let help = "Whether the server hears nobody and holds what it would tell.";
    text.single("heartbeat_isolated", Kind::Gauge, help, isolated);
}

type Wanted<'a> = &'a dyn Fn(&str) -> bool;

fn each<'a>(view: &'a View, wanted: Wanted<'a>) -> impl Iterator<Item = &'a Host> {
    let ids = view.names.iter().filter(move |(name, _)| wanted(name)).map(|(_, id)| *id);
    ids.filter_map(|id| view.hosts.get(id)).map(|host| &**host)
}

/// A family with at most one sample for each host.
fn by_host(
    text: &mut Exposition,
    (view, wanted): (&View, Wanted<'_>),
    (name, help): (&'static str, &str),
    value: impl Fn(&Host) -> Option<f64>,
) {
    text.family(name, Kind::Gauge, help);
    for host in each(view, wanted) {
        if let Some(value) = value(host) {
            text.sample(&[("host", &host.name)], value);
        }
    }
}

/// A family with at most one sample for each connection of a host.
fn by_connection(
    text: &mut Exposition,
    (view, wanted): (&View, Wanted<'_>),
    (name, help): (&'static str, &str),
    value: impl Fn(&crate::engine::view::Connection) -> Option<f64>,
) {
    text.family(name, Kind::Gauge, help);
    for host in each(view, wanted) {
        for family in Family::ALL {
            let connection = host.connections[family as usize].as_ref();
            if let Some(value) = connection.and_then(&value) {
                text.sample(&[("host", &host.name), ("family", family.as_str())], value);
            }
        }
    }
}

/// 1 while the host is heard (also late, or by one family of two), else 0; nothing where it never was.
fn is_up(host: &Host) -> Option<f64> {
    match host.state {
        State::Up | State::Late | State::Degraded => Some(1.0),
        State::Down | State::Unreachable => Some(0.0),
        State::Unknown => None,
    }
}

pub fn write_hosts(text: &mut Exposition, view: &View, wanted: Wanted<'_>) {
    let of = (view, wanted);
    let help = "Whether the host is heard; absent where it never was.";
    by_host(text, of, ("heartbeat_host_up", help), is_up);
    let help = "Whether a window of maintenance is over the host.";
    let flag = |truth: bool| Some(f64::from(u8::from(truth)));
    by_host(text, of, ("heartbeat_host_maintenance", help), |host| flag(host.maintenance));
    let help = "When the last heartbeat came, in Unix time.";
    by_host(text, of, ("heartbeat_host_last_seen_timestamp_seconds", help), |host| {
        host.last_seen.map(Wall::as_secs_f64)
    });
    let help = "When the host's state changed last, in Unix time.";
    by_host(text, of, ("heartbeat_host_state_since_timestamp_seconds", help), |host| {
        Some(host.since.as_secs_f64())
    });
    let help = "When the host booted, in Unix time.";
    by_host(text, of, ("heartbeat_host_boot_timestamp_seconds", help), |host| {
        host.boot_time.map(Wall::as_secs_f64)
    });
    let help = "Promised time between two heartbeats.";
    by_host(text, of, ("heartbeat_host_interval_seconds", help), |host| Some(host.interval));
    let help = "Round trip as the agent measured it last.";
    by_connection(text, of, ("heartbeat_host_rtt_seconds", help), |connection| {
        connection.rtt_ms.map(|ms| (f64::from(ms) * 1e3).round() / 1e6)
    });
    let help = "Share of the host's last datagrams that did not arrive, 0 to 1.";
    by_connection(text, of, ("heartbeat_host_loss_ratio", help), |connection| {
        connection.loss_percent.map(|percent| (f64::from(percent) * 100.0).round() / 1e4)
    });
    write_alerts(text, of);
}

fn write_alerts(text: &mut Exposition, (view, wanted): (&View, Wanted<'_>)) {
    let help = "A metric over a limit: 1 warning, 2 unknown, 3 critical. Absent where all is well.";
    text.family("heartbeat_alert_level", Kind::Gauge, help);
    for host in each(view, wanted) {
        let raised = host.alert_list.iter().filter(|alert| alert.level != alert::Level::Ok);
        for alert in raised {
            let level = LEVELS.iter().position(|level| *level == alert.level);
            let labels = [("host", &*host.name), ("metric", &*alert.path)];
            text.sample(&labels, level.map_or(0.0, |at| at as f64 + 1.0));
        }
    }
}

/// Every number of the latest sample of every plugin that measures.
pub fn write_metrics(text: &mut Exposition, view: &View, wanted: Wanted<'_>) {
    let help =
        "Latest number of a plugin, as the agent sent it; the metric is named as in thresholds.";
    text.family("heartbeat_metric", Kind::Gauge, help);
    for host in each(view, wanted) {
        for plugin in host.plugins.iter().filter(|plugin| !plugin.info) {
            let Some(latest) = plugin.latest() else { continue };
            // Two keys can have one path; a series has one value.
            let mut seen = BTreeSet::new();
            leaf::numbers(&latest.data, &mut |path, value| {
                let path = metric_path(&plugin.name, path);
                let metric = path.get(plugin.name.len() + 1..).unwrap_or_default().to_owned();
                if seen.insert(metric.clone()) {
                    let labels =
                        [("host", &*host.name), ("plugin", &*plugin.name), ("metric", &*metric)];
                    text.sample(&labels, value);
                }
            });
        }
    }
}
