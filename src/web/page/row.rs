//! One host as a row of the table of `/live`.

use super::choice;
use super::clock::{Clock, When, span};
use super::mark::{Mark, mark};
use super::number;
use super::spark::{self, Spark};
use crate::alert::{self, Question, Ruleset};
use crate::config::server::{Limit, Server};
use crate::engine::view::{ConnState, Connection, DnsState, Family, Host, Severity, State};
use crate::time::{Duration, Wall};
use crate::web::Call;
use crate::web::query;
use crate::web::why::why;
use serde::Serialize;
use std::collections::BTreeMap;

/// More seconds than pass between two changes.
const RANK: i64 = 10_000_000_000;
/// For so long a machine that has come up says so.
const REBOOTED: Duration = Duration::from_secs(3600);

#[derive(Serialize)]
pub struct Row {
    id: u32,
    /// By [`Host::rank`], then the newest change: a smaller one stands above. `table.js` counts it alike.
    place: i64,
    name: String,
    href: String,
    mark: Mark,
    age: When,
    tags: Vec<String>,
    about: String,
    why: String,
    critical: u32,
    warning: u32,
    unknown: u32,
    r4: Cell,
    r6: Cell,
    spark: Option<Spark>,
    seen: Option<When>,
    is_late: bool,
    boot: Option<When>,
    /// It came up less than an hour ago.
    is_fresh: bool,
    gauges: Gauges,
    /// Icon and word of what else is to be known of the state.
    modifiers: Vec<(&'static str, &'static str)>,
    /// Its alerts.
    alerts: String,
    /// What stands in the columns that somebody chose beside the usual ones.
    extra: Vec<String>,
    menu: String,
}

/// What one family says: text, class, and what a reader hears of it.
#[derive(Serialize)]
pub struct Cell {
    pub text: String,
    pub class: &'static str,
    pub title: &'static str,
}

#[derive(Serialize)]
pub struct Gauges {
    label: String,
    /// Name, place, top and height in a box of 16; without height where nothing is known.
    bars: Vec<(&'static str, usize, String, String)>,
    worst: String,
    title: &'static str,
}

/// The limits of round trips: the rules of each list of profiles, compiled once.
pub struct RttLimits<'a> {
    config: &'a Server,
    rules: BTreeMap<&'a [String], Ruleset>,
    /// No rule is about a round trip.
    is_empty: bool,
}

impl<'a> RttLimits<'a> {
    pub fn of(config: &'a Server) -> RttLimits<'a> {
        let mut layers =
            std::iter::once(&config.thresholds).chain(config.threshold_configs.values());
        let is_empty = !layers.any(|layer| layer.keys().any(|path| path.starts_with("rtt.")));
        RttLimits { config, rules: BTreeMap::new(), is_empty }
    }

    /// The lowest limit of a host's round trip, milliseconds.
    fn lowest(&mut self, host: &Host) -> Option<f64> {
        if self.is_empty {
            return None;
        }
        let declared = self.config.hosts.get(&*host.name);
        let profiles = declared.map_or(&[][..], |declared| &declared.threshold_config);
        let compiled = || Ruleset::compile(self.config, profiles);
        let rules = self.rules.entry(profiles).or_insert_with(compiled);
        let question = Question {
            host: &host.name,
            metric: &format!("rtt.{}", host.name),
            value: None,
            before: alert::Level::Ok,
            data: &serde_json::Value::Null,
        };
        let rule = alert::explain(rules, &question).rule.filter(|rule| rule.enabled)?;
        let number = |limit: &Option<Limit>| limit.as_ref().and_then(Limit::as_number);
        [number(&rule.warning), number(&rule.critical)].into_iter().flatten().reduce(f64::min)
    }
}

/// `extra` are the keys of the columns beside the usual ones.
pub fn row(
    call: &Call<'_>,
    host: &Host,
    clock: &Clock,
    extra: &[(&'static str, &'static str)],
    limits: &mut RttLimits<'_>,
) -> Row {
    let now = call.context.now.wall;
    let boot = host.boot_time.filter(|_| host.severity != Severity::Down);
    let is_fresh = boot.is_some_and(|at| now.since(at) < REBOOTED);
    let is_late = matches!(host.severity, Severity::Down | Severity::Late | Severity::Unreachable);
    Row {
        id: host.id,
        place: i64::from(host.rank()) * RANK - host.since.as_secs(),
        name: host.name.to_string(),
        href: format!("/plugins/{}", query::encode(&host.name)),
        mark: mark(host.severity),
        age: clock.since(host.since),
        tags: host.tags.iter().take(4).map(|t| t.to_string()).collect(),
        about: about(host),
        why: why(host, now).into_owned(),
        critical: host.alerts.critical,
        warning: host.alerts.warning,
        unknown: host.alerts.unknown,
        r4: cell(host, Family::V4),
        r6: cell(host, Family::V6),
        spark: rtt_spark(host, now, limits),
        seen: host.last_seen.map(|at| clock.ago(at)),
        is_late,
        boot: boot.map(|at| match is_fresh {
            true => When { text: format!("rebooted {}", clock.ago(at).text), ..clock.since(at) },
            false => clock.since(at),
        }),
        is_fresh,
        gauges: gauges(host),
        modifiers: modifiers(call, host),
        alerts: format!("/alerts?q={}", query::encode(&format!("host:{}", host.name))),
        extra: extra.iter().map(|(key, _)| column(call, host, clock, key)).collect(),
        menu: format!("/live?act=menu&host={}#act", query::encode(&host.name)),
    }
}

/// A column that only the server draws; `–` where there is nothing to say.
pub fn column(call: &Call<'_>, host: &Host, clock: &Clock, key: &str) -> String {
    let every = Duration::from_secs_f64(host.interval.clamp(0.0, 1e9));
    let owned = |text: &Option<std::sync::Arc<str>>| text.as_deref().map(str::to_owned);
    let found = match key {
        "owner" => owned(&host.owner),
        "group" => owned(&host.group),
        "agent" => owned(&host.version),
        "notes" => owned(&host.description),
        "os" => system(host),
        "profile" => Some(choice::profiles(call, host)).filter(|text| !text.is_empty()),
        "interval" => Some(span(every)),
        "next" => host.last_seen.map(|at| clock.ago(at + every).text),
        "loss" => {
            let worst = host.connections().filter_map(|c| c.loss_percent).reduce(f32::max);
            worst.map(|loss| format!("{} %", number::short(f64::from(loss))))
        }
        _ => dns(host, clock),
    };
    found.unwrap_or_else(|| "–".to_owned())
}

/// Distribution and version, as the agent reports them.
fn system(host: &Host) -> Option<String> {
    let latest = host.plugin("os_info")?.latest()?;
    let data: serde_json::Value = serde_json::from_str(&latest.data).ok()?;
    let text = |key: &str| data[key].as_str().unwrap_or("");
    let name = format!("{} {}", text("distribution"), text("distribution_version"));
    let name =
        if name.trim().is_empty() { text("system").to_owned() } else { name.trim().to_owned() };
    (!name.is_empty()).then_some(name)
}

/// The name that is kept for the host, and when it was updated last.
fn dns(host: &Host, clock: &Clock) -> Option<String> {
    let dns = host.dns.as_ref()?;
    let updated = dns.records.iter().filter_map(|record| record.updated).max();
    Some(match (dns.state, updated) {
        (DnsState::Failed, _) => format!("{} failing", dns.name),
        (_, Some(at)) => format!("{} {}", dns.name, clock.ago(at).text),
        (_, None) => dns.name.to_string(),
    })
}

/// Description, owner and addresses, for the tooltip.
fn about(host: &Host) -> String {
    let mut parts: Vec<String> = host.description.iter().map(|d| d.to_string()).collect();
    parts.extend(host.owner.iter().map(|owner| format!("owner {owner}")));
    parts.extend(host.connections().map(|c| c.address.to_canonical().to_string()));
    parts.join(" · ")
}

/// Whether it was ever heard over this family.
pub fn has_family(host: &Host, family: Family) -> bool {
    host.connections().any(|c| c.family == family)
}

/// Somebody has taken it on, something keeps it quiet, nobody is told.
fn modifiers(call: &Call<'_>, host: &Host) -> Vec<(&'static str, &'static str)> {
    let flags = host.flags();
    let is_down = host.state == State::Down;
    let is_own = |id: &str| id.strip_prefix(&*host.name) == Some("/host");
    let is_taken =
        is_down && call.context.view.acknowledgements.iter().any(|ack| is_own(&ack.alert));
    [
        (flags & 4 != 0 || is_taken, ("tick", "acknowledged")),
        (flags & 2 != 0, ("hush", "silenced")),
        (flags & 1 != 0, ("mute", "not watched")),
    ]
    .into_iter()
    .filter_map(|(is_so, modifier)| is_so.then_some(modifier))
    .collect()
}

/// The round trip over one family; of one that alone works, with a mark.
pub fn cell(host: &Host, family: Family) -> Cell {
    let found: Option<&Connection> = host.connections().find(|c| c.family == family);
    let (text, class, title) = match found {
        None => ("–".to_owned(), "ink3", "never heard over this family"),
        Some(c) if c.state == ConnState::Down => ("lost".to_owned(), "t-down", "no heartbeat"),
        Some(c) => match c.rtt_ms {
            Some(ms) if ms.is_finite() && host.degraded => {
                (format!("{} !", number::round_trip(ms)), "t-warn", "only this family works")
            }
            Some(ms) if ms.is_finite() => (number::round_trip(ms), "", ""),
            _ => ("–".to_owned(), "ink3", "heard; the agent has not measured the round trip"),
        },
    };
    Cell { text, class, title }
}

fn rtt_spark(host: &Host, now: Wall, limits: &mut RttLimits<'_>) -> Option<Spark> {
    let hour = host.rtt_hour.as_ref()?;
    // Two minutes a point: the picture is 84 pixels wide, and a page has fifty of them.
    let series: Vec<Option<f64>> = hour
        .series(now)
        .chunks(2)
        .map(|pair| pair.iter().flatten().copied().reduce(f32::max).map(f64::from))
        .collect();
    spark::limited("Round trip, last hour", "ms", &series, limits.lowest(host))
}

fn gauges(host: &Host) -> Gauges {
    let named = [("cpu", host.gauges.cpu), ("mem", host.gauges.memory), ("disk", host.gauges.disk)]
        .map(|(name, value)| (name, value.filter(|value| value.is_finite())));
    let known = || named.iter().filter_map(|(name, value)| Some((*name, (*value)?)));
    let worst = known().max_by(|a, b| a.1.total_cmp(&b.1));
    let label: Vec<_> = known().map(|(name, value)| format!("{name} {value:.0} %")).collect();
    let bars = named.iter().enumerate().map(|(i, (name, value))| {
        let height = value.map_or(0.0, |value| (value.clamp(0.0, 100.0) * 0.16).max(0.5));
        (*name, i * 8, format!("{:.1}", 16.0 - height), format!("{height:.1}"))
    });
    Gauges {
        label: if label.is_empty() { "not reported".to_owned() } else { label.join(", ") },
        bars: bars.collect(),
        worst: worst.map_or_else(|| "–".to_owned(), |(name, value)| format!("{name} {value:.0}")),
        title: if worst.is_none() { "not reported by the agent" } else { "" },
    }
}
