//! `/plugins/<host>`: one host, its charts, the data of its plugins, its last events.

use super::alert;
use super::clock::{Clock, When, span};
use super::error::error_page;
use super::feed::{self, Item};
use super::live::{Cell, cell};
use super::mark::{Mark, mark};
use super::page;
use super::plot::{Plot, Series, Subject, plot};
use super::plugin::{self, Card, Table};
use super::shell::{Shell, clock};
use crate::engine::view::{Family, Host, Severity, View};
use crate::time::{Duration, Wall};
use crate::web::api::{event_page, find_host};
use crate::web::near;
use crate::web::query;
use crate::web::select::{Filter, Sort, select};
use crate::web::why;
use crate::web::{Answer, Call};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

const EVENTS: usize = 10;
/// JSON text of samples read for one page.
const SAMPLES_BUDGET: usize = 4 << 20;
/// Problem hosts among which `[` and `]` go.
const PROBLEMS_MAX: usize = 10_000;
const DISK_PLOTS: usize = 2;
const INTERFACE_PLOTS: usize = 2;

/// Text and address.
type Link = (String, String);

#[derive(Serialize)]
struct HostPage {
    shell: Shell,
    id: u32,
    name: String,
    href: String,
    mark: Mark,
    age: When,
    tags: Vec<String>,
    description: Option<String>,
    group: Option<Link>,
    why: String,
    seen: Option<When>,
    boot: Option<When>,
    watch: bool,
    sealed: bool,
    facts: Vec<Fact>,
    previous: Option<Link>,
    next: Option<Link>,
    /// The values are from before the host fell silent.
    silent: bool,
    alerts: Option<Table>,
    plots: Vec<Plot>,
    cards: Vec<Card>,
    events: Vec<Item>,
}

#[derive(Serialize)]
struct Fact {
    label: &'static str,
    value: String,
    note: String,
    /// Hook of the live module in the note.
    col: &'static str,
    cell: Option<Cell>,
}

/// `GET /plugins/H`
pub fn respond(call: &Call<'_>) -> Answer {
    let name = call.param("host");
    let view = &call.context.view;
    let host = match find_host(view, name) {
        Ok(host) => host,
        Err(mut problem) => {
            let near = near::names(view, name).into_iter();
            let near = near.map(|n| (n.to_owned(), link(n))).collect();
            problem.hint = None;
            return error_page(call, &problem, near);
        }
    };
    let clock = clock(call);
    let now = call.context.now.wall;
    let data = Data::of(host);
    let (previous, next) = neighbours(view, host);
    let mark = mark(host.severity);
    let title = format!("{} {} {}", mark.sign, host.name, mark.state);
    let group =
        host.group.as_ref().map(|g| (g.to_string(), format!("/live?group={}", query::encode(g))));
    let recent = event_page(&view.events, EVENTS, None, Some(&host.name), &[]);
    let context = HostPage {
        shell: Shell::new(call, "live", &title),
        id: host.id,
        href: link(&host.name),
        mark,
        age: clock.since(host.since),
        tags: host.tags.iter().map(|t| t.to_string()).collect(),
        description: host.description.as_ref().map(|d| d.to_string()),
        group,
        why: why::reason(host).into_owned(),
        seen: host.last_seen.map(|at| clock.ago(at)),
        boot: host.boot_time.map(|at| clock.since(at)),
        watch: host.watch,
        sealed: host.sealed,
        facts: facts(host, &data, &clock),
        previous,
        next,
        silent: host.severity == Severity::Down,
        alerts: alert::table(host, &clock),
        plots: plots(host, &data, &clock, now),
        cards: cards(host, &data, &clock, now),
        events: feed::items(&clock, recent.events.into_iter()),
        name: host.name.to_string(),
    };
    page(call, 200, "host.html", &context)
}

/// The samples of each plugin as values.
struct Data<'a>(BTreeMap<&'a str, Vec<(Wall, Value)>>);

impl<'a> Data<'a> {
    fn of(host: &'a Host) -> Data<'a> {
        let mut budget = SAMPLES_BUDGET;
        let parsed = host.plugins.iter().map(|p| (&*p.name, plugin::parse(p, &mut budget)));
        Data(parsed.collect())
    }

    fn samples(&self, plugin: &str) -> &[(Wall, Value)] {
        self.0.get(plugin).map_or(&[], Vec::as_slice)
    }

    fn latest(&self, plugin: &str) -> &Value {
        self.samples(plugin).last().map_or(&Value::Null, |(_, data)| data)
    }
}

fn link(name: &str) -> String {
    format!("/plugins/{}", query::encode(name))
}

/// The problem hosts before and after this one, worst first.
fn neighbours(view: &View, host: &Host) -> (Option<Link>, Option<Link>) {
    let problems = Severity::ALL.into_iter().filter(|s| *s != Severity::Up);
    let filter = Filter { severities: problems.collect(), ..Filter::default() };
    let hosts = select(view, &filter, Sort::Severity, 0, PROBLEMS_MAX).hosts;
    let named = |at: Option<usize>| {
        let name = at.and_then(|at| hosts.get(at)).map(|h| h.name.to_string())?;
        let href = link(&name);
        Some((name, href))
    };
    match hosts.iter().position(|h| h.id == host.id) {
        Some(at) => (named(at.checked_sub(1)), named(Some(at + 1))),
        None => (None, named(Some(0))),
    }
}

fn facts(host: &Host, data: &Data<'_>, clock: &Clock) -> Vec<Fact> {
    let connection = |family: Family, label, col| {
        let found = host.connections().find(|c| c.family == family);
        Fact {
            label,
            value: found.map_or("–".to_owned(), |c| c.address.to_canonical().to_string()),
            note: String::new(),
            col,
            cell: found.map(|_| cell(host, family)),
        }
    };
    let plain =
        |label, value: String, note: String| Fact { label, value, note, col: "", cell: None };
    let info = data.latest("os_info");
    let text = |key: &str| info[key].as_str().unwrap_or("").to_owned();
    let system = format!("{} {}", text("distribution"), text("distribution_version"));
    let system = if system.trim().is_empty() { text("system") } else { system.trim().to_owned() };
    let or_dash = |text: String| if text.is_empty() { "–".to_owned() } else { text };
    let agent = host.version.as_ref().map_or_else(|| "–".to_owned(), |v| v.to_string());
    let interval =
        format!("every {}", span(Duration::from_secs_f64(host.interval.clamp(0.0, 1e9))));
    let sealed = if host.sealed { ", sealed" } else { "" };
    let boot = host.boot_time.map(|at| clock.date(at).text).unwrap_or_default();
    vec![
        connection(Family::V4, "IPv4", "r4"),
        connection(Family::V6, "IPv6", "r6"),
        plain("System", or_dash(system), format!("{} {}", text("kernel"), text("architecture"))),
        plain("Agent", agent, format!("{interval}{sealed}")),
        plain("Booted", or_dash(boot), String::new()),
        plain(
            "Owner",
            or_dash(host.owner.as_ref().map_or(String::new(), |o| o.to_string())),
            String::new(),
        ),
    ]
}

fn cards(host: &Host, data: &Data<'_>, clock: &Clock, now: Wall) -> Vec<Card> {
    const ORDER: [&str; 9] = [
        "nagios_runner",
        "zfs_monitor",
        "disk_monitor",
        "network_monitor",
        "ping_monitor",
        "cpu_monitor",
        "memory_monitor",
        "filesystem_info",
        "os_info",
    ];
    let rank = |name: &str| match ORDER.iter().position(|known| *known == name) {
        // Plugins of the site's own stand between the checks and ours.
        Some(0) => 0,
        Some(at) => at + 1,
        None => 1,
    };
    let mut plugins: Vec<_> = host.plugins.iter().collect();
    plugins.sort_by_key(|plugin| rank(&plugin.name));
    let made = plugins.into_iter().map(|p| plugin::card(p, data.samples(&p.name), clock, now));
    made.flatten().collect()
}

fn plots(host: &Host, data: &Data<'_>, clock: &Clock, now: Wall) -> Vec<Plot> {
    let interval = |plugin: &str| {
        let secs = host.plugin(plugin).and_then(|p| p.interval).unwrap_or(300);
        Duration::from_secs(u64::from(secs))
    };
    let line = |plugin: &str, name: &str, path: &[&str], factor: f64| {
        let points = plugin::series(data.samples(plugin), path);
        let points = points.into_iter().map(|(at, value)| (at, value * factor)).collect();
        Series { name: name.to_owned(), points }
    };
    let mut subjects = vec![round_trip(host, now)];
    let mut add = |title: &str,
                   unit: &'static str,
                   top: Option<f64>,
                   plugin: &str,
                   series: Vec<Series>,
                   metric: &str| {
        let metric = (!metric.is_empty()).then(|| format!("{plugin}.{metric}"));
        let title = title.to_owned();
        subjects.push(Subject { title, unit, series, top, interval: interval(plugin), metric });
    };
    let cpu = |name: &str, key: &str| line("cpu_monitor", name, &[key], 1.0);
    let parts = vec![
        cpu("all", "cpu_percent"),
        cpu("system", "system_percent"),
        cpu("waiting", "iowait_percent"),
    ];
    add("CPU", "%", Some(100.0), "cpu_monitor", parts, "cpu_percent");
    let load =
        vec![cpu("1 min", "load_1min"), cpu("5 min", "load_5min"), cpu("15 min", "load_15min")];
    add("Load", "", None, "cpu_monitor", load, "load_1min");
    let used = vec![
        line("memory_monitor", "used", &["percent"], 1.0),
        line("memory_monitor", "swap", &["swap_percent"], 1.0),
    ];
    add("Memory", "%", Some(100.0), "memory_monitor", used, "percent");
    for mount in fullest(data.latest("disk_monitor")) {
        let series = vec![line("disk_monitor", "used", &["partitions", &mount, "percent"], 1.0)];
        let metric = format!("partitions.{mount}.percent");
        add(&format!("Disk {mount}"), "%", Some(100.0), "disk_monitor", series, &metric);
    }
    const MIB: f64 = 1024.0 * 1024.0;
    for name in busiest(data.latest("network_monitor")) {
        let rate = |label: &str, key: &str| {
            line("network_monitor", label, &["interfaces", &name, key], MIB)
        };
        let series = vec![rate("in", "rx_mb_s"), rate("out", "tx_mb_s")];
        add(&format!("Network {name}"), "B/s", None, "network_monitor", series, "");
    }
    subjects.into_iter().filter_map(|subject| plot(subject, clock, now)).collect()
}

fn round_trip(host: &Host, now: Wall) -> Subject<'static> {
    let slots = host.rtt_hour.as_ref().map(|hour| hour.series(now)).into_iter().flatten();
    let minute = now.as_secs().div_euclid(60) - 59;
    let points = slots.enumerate().filter_map(|(i, slot)| {
        Some((Wall::from_secs((minute + i as i64) * 60), f64::from(slot?)))
    });
    Subject {
        title: "Round trip".to_owned(),
        unit: "ms",
        series: vec![Series { name: "mean of a minute".to_owned(), points: points.collect() }],
        top: None,
        interval: Duration::from_secs(120)
            .max(Duration::from_secs_f64(host.interval.clamp(0.0, 3600.0))),
        metric: None,
    }
}

/// The fullest partitions, by mount point.
fn fullest(disks: &Value) -> Vec<String> {
    largest(&disks["partitions"], DISK_PLOTS, |record| record["percent"].as_f64())
}

/// The interfaces with the most traffic.
fn busiest(network: &Value) -> Vec<String> {
    largest(&network["interfaces"], INTERFACE_PLOTS, |record| {
        let sum = record["rx_mb_s"].as_f64()? + record["tx_mb_s"].as_f64()?;
        Some(sum).filter(|sum| *sum > 0.0)
    })
}

fn largest(records: &Value, count: usize, of: impl Fn(&Value) -> Option<f64>) -> Vec<String> {
    let mut named: Vec<(f64, &String)> = records
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, record)| Some((of(record)?, name)))
        .collect();
    named.sort_by(|a, b| b.0.total_cmp(&a.0));
    named.into_iter().take(count).map(|(_, name)| name.clone()).collect()
}
