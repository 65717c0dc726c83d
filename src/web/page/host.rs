//! `/plugins/<host>`: one host, its charts, the data of its plugins, its last events.

use super::alerts;
use super::attention;
use super::charts::{self, RangeBar};
use super::clock::{Clock, When, span};
use super::error::error_page;
use super::feed::{self, Item};
use super::filesystem::{self, Told};
use super::host_action::{Actions, CommandRow, RawLine, actions, commands, raw};
use super::mark::{Mark, mark};
use super::name_record::{self, NameRecord};
use super::page;
use super::plot::Plot;
use super::plugin::{self, Card};
use super::pool::{self, Pools};
use super::release;
use super::row::{Cell, cell};
use super::shell::{Shell, clock};
use super::strip::{self, Availability};
use crate::engine::view::{Family, Host, Severity, View};
use crate::text;
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
    /// The values are from this moment, before the host fell silent.
    silent: Option<When>,
    /// What the host has no data of, in a line each.
    missing: Vec<&'static str>,
    alerts: Vec<alerts::Row>,
    actions: Actions,
    commands: Vec<CommandRow>,
    bar: RangeBar,
    plots: Vec<Plot>,
    pools: Option<Pools>,
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
            problem.detail = format!("No host {}.", text::escape_control(text::cut(name, 80)));
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
        silent: host.last_seen.filter(|_| host.severity == Severity::Down).map(|at| clock.at(at)),
        missing: missing(host),
        alerts: attention::of_host(view, host)
            .iter()
            .map(|t| alerts::row(call, t, &clock))
            .collect(),
        actions: actions(call, host),
        commands: commands(call, host, &clock),
        bar: charts.bar,
        plots: charts.plots,
        pools: pool::of_host(call, host, data.samples("zfs_monitor"), &clock),
        availability: strip::of_host(call, &clock, host),
        raw: raw(call, host, &clock),
        cards: cards(call, host, &data, &clock, now),
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
    let newest = call.context.facts.version;
    let behind = match &host.version {
        Some(own) if release::is_behind(own, newest) => format!(", behind: {newest} available"),
        _ => String::new(),
    };
    vec![
        connection(Family::V4, "IPv4", "r4"),
        connection(Family::V6, "IPv6", "r6"),
        plain("System", or_dash(system), format!("{} {}", text("kernel"), text("architecture"))),
        plain("Agent", agent, format!("{interval}{sealed}{behind}")),
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
        value: if profiles.is_empty() {
            "default".to_owned()
        } else {
            format!("default + {profiles}")
        },
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
    let named = |word: &str, list: &[std::sync::Arc<str>]| {
        let names = list.iter().map(|name| name.to_string()).collect::<Vec<_>>().join(", ");
        (!names.is_empty()).then(|| format!("{word} {names}"))
    };
    let both = [named("managers", &host.managers), named("monitors", &host.monitors)];
    both.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

fn cards(call: &Call<'_>, host: &Host, data: &Data<'_>, clock: &Clock, now: Wall) -> Vec<Card> {
    const ORDER: [&str; 9] = [
        "nagios_runner",
        "zfs_monitor",
        "filesystem_info",
        "disk_monitor",
        "network_monitor",
        "ping_monitor",
        "cpu_monitor",
        "memory_monitor",
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
    let told =
        Told { info: data.samples("filesystem_info").last(), disk: data.samples("disk_monitor") };
    let mut made: Vec<Card> = Vec::new();
    for plugin in plugins {
        let Some(mut card) = plugin::card(plugin, data.samples(&plugin.name), clock, now) else {
            continue;
        };
        match &*plugin.name {
            "filesystem_info" if told.disk.is_empty() => {
                made.extend(filesystem::card(call, &card, &told));
            }
            // What is mounted stands with what is used of it.
            "filesystem_info" => {}
            "disk_monitor" => {
                let io = card.tables.iter().position(|table| table.heads[0].key == "io");
                let io = io.map(|at| card.tables.swap_remove(at));
                made.extend(filesystem::card(call, &card, &told));
                card.tables = io.into_iter().collect();
                (card.title, card.name) = ("Disk I/O".to_owned(), "disk_monitor.io".to_owned());
                if !card.tables.is_empty() || !card.pairs.is_empty() || card.error.is_some() {
                    made.push(card);
                }
            }
            "os_info" => {
                capabilities(host, &mut card);
                made.push(card);
            }
            _ => made.push(card),
        }
    }
    made
}

/// What the agent can be asked for, beside what it reports.
fn capabilities(host: &Host, card: &mut Card) {
    let value = match host.sealed {
        true => "sealed: commands, upgrades, its own maintenance",
        false => "plain: reports only, takes no commands",
    };
    let path = "os_info.capabilities".to_owned();
    card.text.push_str(&format!("Capabilities: {value}\n"));
    card.pairs.push(plugin::Pair::fact("Capabilities", value.to_owned(), path));
}

/// A quiet line for each plugin of the agents' own that has told nothing; none for a host without any data.
fn missing(host: &Host) -> Vec<&'static str> {
    const KNOWN: [(&str, &str); 8] = [
        ("cpu_monitor", "No CPU data: cpu_monitor has sent nothing"),
        ("memory_monitor", "No memory data: memory_monitor has sent nothing"),
        ("disk_monitor", "No disk data: disk_monitor has sent nothing"),
        ("network_monitor", "No network data: network_monitor has sent nothing"),
        ("ping_monitor", "No ping data: ping_monitor has no hosts to ask"),
        ("nagios_runner", "No checks: nagios_runner has no commands"),
        (
            "zfs_monitor",
            "No ZFS data: hbc-mini has no zfs_monitor, and hbc reports it where there is zpool(8)",
        ),
        ("os_info", "No system data: os_info has sent nothing"),
    ];
    if host.plugins.is_empty() {
        return Vec::new();
    }
    let told = |name: &str| host.plugins.iter().any(|plugin| &*plugin.name == name);
    KNOWN.iter().filter(|(name, _)| !told(name)).map(|(_, line)| *line).collect()
}
