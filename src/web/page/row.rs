//! One host as a row of the table of `/live`.

use super::choice;
use super::clock::{Clock, When, span};
use super::mark::{Mark, mark};
use super::number;
use super::spark::{Spark, spark};
use crate::engine::view::{ConnState, Connection, DnsState, Family, Host, Severity};
use crate::time::{Duration, Wall};
use crate::web::Call;
use crate::web::query;
use crate::web::why::why;
use serde::Serialize;

#[derive(Serialize)]
pub struct Row {
    id: u32,
    code: u8,
    since: i64,
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
    gauges: Option<Gauges>,
    watch: bool,
    sealed: bool,
    degraded: bool,
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
    /// Name, top and height in a box of 18.
    bars: Vec<(&'static str, usize, String, String)>,
    worst: String,
}

/// `extra` are the keys of the columns beside the usual ones.
pub fn row(
    call: &Call<'_>,
    host: &Host,
    clock: &Clock,
    extra: &[(&'static str, &'static str)],
) -> Row {
    let now = call.context.now.wall;
    let is_late = matches!(host.severity, Severity::Down | Severity::Late | Severity::Unreachable);
    Row {
        id: host.id,
        code: host.severity.code(),
        since: host.since.as_secs(),
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
        spark: rtt_spark(host, now),
        seen: host.last_seen.map(|at| clock.ago(at)),
        is_late,
        boot: host.boot_time.filter(|_| host.severity != Severity::Down).map(|at| clock.since(at)),
        gauges: gauges(host),
        watch: host.watch,
        sealed: host.sealed,
        degraded: host.degraded,
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

/// The round trip over one family.
pub fn cell(host: &Host, family: Family) -> Cell {
    let found: Option<&Connection> = host.connections().find(|c| c.family == family);
    let (text, class, title) = match found {
        None => ("–".to_owned(), "ink3", "never heard over this family"),
        Some(c) if c.state == ConnState::Down => ("lost".to_owned(), "t-down", "no heartbeat"),
        Some(c) => match c.rtt_ms {
            Some(ms) if ms.is_finite() => (number::round_trip(ms), "", ""),
            _ => ("–".to_owned(), "ink3", "heard; the agent has not measured the round trip"),
        },
    };
    Cell { text, class, title }
}

fn rtt_spark(host: &Host, now: Wall) -> Option<Spark> {
    let hour = host.rtt_hour.as_ref()?;
    // Two minutes a point: the picture is 84 pixels wide, and a page has fifty of them.
    let series: Vec<Option<f64>> = hour
        .series(now)
        .chunks(2)
        .map(|pair| pair.iter().flatten().copied().reduce(f32::max).map(f64::from))
        .collect();
    spark("Round trip, last hour", "ms", &series)
}

fn gauges(host: &Host) -> Option<Gauges> {
    let named = [("cpu", host.gauges.cpu), ("mem", host.gauges.memory), ("disk", host.gauges.disk)];
    let known: Vec<(&str, usize, f32)> = named
        .iter()
        .enumerate()
        .filter_map(|(i, (name, value))| Some((*name, i * 8, value.filter(|v| v.is_finite())?)))
        .collect();
    let worst = known.iter().max_by(|a, b| a.2.total_cmp(&b.2))?;
    let label: Vec<_> = known.iter().map(|(name, _, v)| format!("{name} {v:.0} %")).collect();
    let bars = known.iter().map(|(name, x, value)| {
        let height = (value.clamp(0.0, 100.0) * 0.18).max(0.5);
        (*name, *x, format!("{:.1}", 18.0 - height), format!("{height:.1}"))
    });
    Some(Gauges {
        label: label.join(", "),
        bars: bars.collect(),
        worst: format!("{} {:.0}", worst.0, worst.2),
    })
}
