//! `/plugins/<host>`: one host, its charts, the data of its plugins, its last events.

use super::alerts;
use super::attention;
use super::charts::{self, RangeBar};
use super::clock::{Clock, When, span};
use super::error::error_page;
use super::feed::{self, Item};
use super::host_action::{Actions, CommandRow, RawLine, actions, commands, raw};
use super::mark::{Mark, mark};
use super::name_record::{self, NameRecord};
use super::number;
use super::page;
use super::plot::Plot;
use super::plugin::{self, Card};
use super::row::{Cell, cell};
use super::shell::{Shell, clock};
use super::strip::{self, Availability};
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
    alerts: Vec<alerts::Row>,
    actions: Actions,
    commands: Vec<CommandRow>,
    bar: RangeBar,
    plots: Vec<Plot>,
    pools: Vec<Pool>,
    availability: Option<Availability>,
    raw: Vec<RawLine>,
    cards: Vec<Card>,
    dns: Option<NameRecord>,
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
    href: Option<String>,
}

/// A pool of ZFS, as its card shows it.
#[derive(Serialize)]
struct Pool {
    name: String,
    mark: &'static str,
    health: String,
    size: String,
    /// Width of 600.
    width: String,
    class: &'static str,
    used: String,
    scan: String,
    values: Vec<(&'static str, String)>,
    devices: Vec<Device>,
}

/// A device below a pool.
#[derive(Serialize)]
struct Device {
    /// 0 for those right below the pool.
    depth: usize,
    name: String,
    mark: &'static str,
    state: String,
    /// Of reading, writing, checksums.
    errors: [String; 3],
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
    let charts = charts::of_host(call, host, &data.0, &clock);
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
        facts: facts(call, host, &data),
        previous,
        next,
        silent: host.severity == Severity::Down,
        alerts: attention::of_host(view, host)
            .iter()
            .map(|t| alerts::row(call, t, &clock))
            .collect(),
        actions: actions(call, host),
        commands: commands(call, host, &clock),
        bar: charts.bar,
        plots: charts.plots,
        pools: pools(&data),
        availability: strip::of_host(call, &clock, host),
        raw: raw(call, host, &clock),
        cards: cards(host, &data, &clock, now),
        dns: host.dns.as_deref().map(|dns| name_record::of_host(dns, now)),
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

fn facts(call: &Call<'_>, host: &Host, data: &Data<'_>) -> Vec<Fact> {
    let connection = |family: Family, label, col| {
        let found = host.connections().find(|c| c.family == family);
        Fact {
            label,
            value: found.map_or("–".to_owned(), |c| c.address.to_canonical().to_string()),
            note: String::new(),
            col,
            cell: found.map(|_| cell(host, family)),
            href: None,
        }
    };
    let plain = |label, value: String, note: String| Fact {
        label,
        value,
        note,
        col: "",
        cell: None,
        href: None,
    };
    let info = data.latest("os_info");
    let text = |key: &str| info[key].as_str().unwrap_or("").to_owned();
    let system = format!("{} {}", text("distribution"), text("distribution_version"));
    let system = if system.trim().is_empty() { text("system") } else { system.trim().to_owned() };
    let or_dash = |text: String| if text.is_empty() { "–".to_owned() } else { text };
    let agent = host.version.as_ref().map_or_else(|| "–".to_owned(), |v| v.to_string());
    let interval =
        format!("every {}", span(Duration::from_secs_f64(host.interval.clamp(0.0, 1e9))));
    let sealed = if host.sealed { ", sealed" } else { "" };
    vec![
        connection(Family::V4, "IPv4", "r4"),
        connection(Family::V6, "IPv6", "r6"),
        plain("System", or_dash(system), format!("{} {}", text("kernel"), text("architecture"))),
        plain("Agent", agent, format!("{interval}{sealed}")),
        thresholds(call, host),
        plain("Owner", owner(call, host), roles(host)),
    ]
}

/// The profiles that the host chooses, and the way to why.
fn thresholds(call: &Call<'_>, host: &Host) -> Fact {
    let declared = call.context.config.hosts.get(&*host.name);
    let profiles = declared.map_or(String::new(), |declared| declared.threshold_config.join(" + "));
    Fact {
        label: "Thresholds",
        value: if profiles.is_empty() { "default".to_owned() } else { profiles },
        note: "why?".to_owned(),
        col: "",
        cell: None,
        href: Some(format!("/settings?part=thresholds&host={}", query::encode(&host.name))),
    }
}

fn owner(call: &Call<'_>, host: &Host) -> String {
    let Some(owner) = &host.owner else { return "–".to_owned() };
    let known = call.context.config.users.get(&**owner);
    known.map_or_else(|| owner.to_string(), |user| user.full_name.clone())
}

fn roles(host: &Host) -> String {
    let both = host.managers.iter().chain(host.monitors.iter());
    both.map(|name| name.to_string()).collect::<Vec<_>>().join(", ")
}

fn pools(data: &Data<'_>) -> Vec<Pool> {
    let records = data.latest("zfs_monitor")["pools"].as_object().into_iter().flatten();
    records.map(|(name, record)| pool(name, record)).collect()
}

fn pool(name: &str, record: &Value) -> Pool {
    const GIB: f64 = 1024.0 * 1024.0 * 1024.0;
    let number = |key: &str| record[key].as_f64().filter(|value| value.is_finite());
    let health = record["health"].as_str().unwrap_or("unknown").to_owned();
    let used = number("capacity_percent").unwrap_or_default().clamp(0.0, 100.0);
    let (mark, class) = match (health.as_str(), used) {
        ("ONLINE", used) if used < 80.0 => ("up", "ok"),
        ("ONLINE", _) => ("warn", "warn"),
        ("DEGRADED", _) => ("warn", "warn"),
        _ => ("crit", "crit"),
    };
    let of_size = number("size_gb").map(|size| {
        let free = number("free_gb").unwrap_or_default();
        format!("{} of {}", number::bytes((size - free) * GIB), number::bytes(size * GIB))
    });
    let percent =
        |key: &str| number(key).map_or("–".to_owned(), |v| format!("{} %", number::short(v)));
    let rate =
        |key: &str| number(key).map_or("–".to_owned(), |v| format!("{}/s", number::bytes(v)));
    let plain = |key: &str| number(key).map_or("–".to_owned(), number::short);
    Pool {
        name: name.to_owned(),
        mark,
        health,
        size: of_size.unwrap_or_default(),
        width: format!("{:.0}", used * 6.0),
        class,
        used: percent("capacity_percent"),
        scan: record["scan"].as_str().unwrap_or_default().to_owned(),
        devices: record["devices"]
            .as_str()
            .unwrap_or_default()
            .lines()
            .filter_map(device)
            .collect(),
        values: vec![
            ("Fragmentation", percent("fragmentation_percent")),
            ("Dedup", format!("{} ×", plain("dedup_ratio"))),
            ("Read", rate("read_bytes")),
            ("Write", rate("write_bytes")),
            ("Errors", plain("errors_total")),
        ],
    }
}

/// `  sda ONLINE 0 0 0`, as the agent sends it; a spare has no counts.
fn device(line: &str) -> Option<Device> {
    let depth = (line.len() - line.trim_start_matches(' ').len()) / 2;
    let mut words = line.split_ascii_whitespace().map(str::to_owned);
    let (name, state) = (words.next()?, words.next()?);
    let errors = [(); 3].map(|()| words.next().unwrap_or_else(|| "–".to_owned()));
    let is_clean = errors.iter().all(|count| matches!(count.as_str(), "0" | "–"));
    let mark = match state.as_str() {
        "ONLINE" | "AVAIL" if is_clean => "up",
        "ONLINE" | "AVAIL" | "DEGRADED" | "INUSE" => "warn",
        _ => "crit",
    };
    Some(Device { depth: depth.min(4), name, mark, state, errors })
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
    let mut plugins: Vec<_> =
        host.plugins.iter().filter(|plugin| &*plugin.name != "zfs_monitor").collect();
    plugins.sort_by_key(|plugin| rank(&plugin.name));
    let made = plugins.into_iter().map(|p| plugin::card(p, data.samples(&p.name), clock, now));
    made.flatten().collect()
}
