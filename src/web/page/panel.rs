//! The forms over alerts and hosts: acknowledge, silence, maintenance. Each says what it is over and what it will do
//! before it does it; a script shows the same form in a dialog.

use super::attention::{Trouble, troubles};
use super::clock::Clock;
use super::host_action::actions;
use super::number;
use super::quiet;
use crate::calm::{Calendar, Fault, MaintenanceRequest, Span, Target, Zones};
use crate::engine::view::Host;
use crate::time::{Duration, Wall};
use crate::web::Call;
use crate::web::api::calm;
use crate::web::authz::{self, Level};
use crate::web::form;
use crate::web::query;
use jiff::tz::TimeZone;
use serde::Serialize;
use std::sync::Arc;

/// Alerts that one form names; the rest is counted.
const NAMED_MAX: usize = 12;
const IDS_MAX: usize = 500;
const HOUR: Duration = Duration::from_secs(3600);

#[derive(Serialize)]
pub struct Panel {
    /// `ack`, `silence`, `maintenance`
    pub kind: &'static str,
    pub title: String,
    /// What will happen, in words.
    pub consequence: &'static str,
    /// Where the form goes: the page's own path.
    pub action: String,
    pub back: String,
    pub ids: Vec<String>,
    /// Alerts that get a silence each.
    pub alerts: Vec<String>,
    pub affected: Vec<String>,
    pub more: usize,
    /// Label and the moment it means; an empty one is "until recovered".
    pub presets: Vec<Preset>,
    pub host: String,
    pub group: String,
    pub tag: String,
    pub plugin: String,
    pub path: String,
    pub preview: Option<String>,
    pub zone: String,
    /// The command lines that do the same.
    pub commands: Vec<String>,
    /// What a window of maintenance is filled with, and when it would be.
    pub plan: Option<Plan>,
    pub as_user: String,
    pub ways: Vec<Way>,
}

/// An entry of a host's menu.
#[derive(Serialize)]
pub struct Way {
    pub word: &'static str,
    pub href: String,
    /// The form that it opens, where it is one.
    pub act: &'static str,
}

#[derive(Serialize)]
pub struct Preset {
    pub label: String,
    pub value: String,
    pub is_default: bool,
}

/// The form that the query asks for.
pub fn of_query(call: &Call<'_>, clock: &Clock, back: &str) -> Option<Panel> {
    match call.query.get("act")? {
        "menu" => menu(call, clock, back),
        "tags" => tags_of(call, clock, back),
        "ack" => acknowledge(call, clock, back),
        "silence" if may_quiet(call) => Some(silence(call, clock, back)),
        "maintenance" if may_quiet(call) => Some(maintenance(call, clock, back)),
        _ => None,
    }
}

/// Whether there is a host that the caller may make quiet; where the query names one, of those that it names.
fn may_quiet(call: &Call<'_>) -> bool {
    let view = &call.context.view;
    let may = |host: &Host| authz::level(&call.caller, host) >= Level::Manager;
    let mut named = call.query.all("host").filter_map(|name| view.host(name)).peekable();
    match named.peek() {
        Some(_) => named.any(|host| may(host)),
        None => view.hosts.iter().any(|host| may(host)) || call.caller.sees_all(),
    }
}

/// The ids of the query, those that there are and that the caller may change.
fn chosen(call: &Call<'_>) -> Vec<String> {
    let wished: Vec<&str> = call.query.all("id").take(IDS_MAX).collect();
    let view = &call.context.view;
    let hosts: Vec<&str> = call.query.all("host").take(IDS_MAX).collect();
    let known = troubles(view)
        .into_iter()
        .filter(|trouble| authz::level(&call.caller, trouble.host) >= Level::Manager);
    let is_wished = |trouble: &Trouble<'_>, id: &str| {
        let of_host = trouble.acknowledged.is_none() && hosts.contains(&&*trouble.host.name);
        wished.contains(&id) || of_host
    };
    let ids = known.map(|trouble| (trouble.id(), trouble));
    ids.filter(|(id, trouble)| is_wished(trouble, id)).map(|(id, _)| id).collect()
}

/// The hosts of the query that the caller may change.
fn hosts<'a>(call: &'a Call<'_>) -> Vec<&'a Arc<Host>> {
    let view = &call.context.view;
    let named = call.query.all("host").take(IDS_MAX).filter_map(|name| view.host(name));
    named.filter(|host| authz::level(&call.caller, host) >= Level::Manager).collect()
}

/// What can be done to one host, as a list.
fn menu(call: &Call<'_>, clock: &Clock, back: &str) -> Option<Panel> {
    let host = call.context.view.host(call.query.get("host")?)?;
    let mut panel = empty(call, clock, "menu", back);
    panel.title = host.name.to_string();
    panel.host = host.name.to_string();
    panel.path =
        host.address().map(|address| address.to_canonical().to_string()).unwrap_or_default();
    let actions = actions(call, host);
    let page = format!("/plugins/{}", query::encode(&host.name));
    let link = |word: &'static str, href: String, act: &'static str| Way { word, href, act };
    panel.ways.push(link("Open", page.clone(), ""));
    if actions.manage {
        panel.ways.extend(actions.ack.map(|href| link("Acknowledge…", href, "ack")));
        panel.ways.push(link("Silence…", actions.silence, "silence"));
        panel.ways.push(link("Maintenance…", actions.maintenance, "maintenance"));
        let word = if actions.operate { "Queue a command…" } else { "Watch or not, and more…" };
        panel.ways.push(link(word, format!("{page}#commands"), ""));
    }
    panel.ways.push(link("Events", format!("/events?host={}", query::encode(&host.name)), ""));
    panel.ways.extend(actions.ssh.map(|href| link("ssh", href, "")));
    if actions.own {
        panel.ways.push(link("Drop…", format!("{page}#drop"), ""));
    }
    Some(panel)
}

/// Tags for several hosts at once.
fn tags_of(call: &Call<'_>, clock: &Clock, back: &str) -> Option<Panel> {
    let hosts = hosts(call);
    let mut panel = empty(call, clock, "tags", back);
    panel.affected = hosts.iter().take(NAMED_MAX).map(|host| host.name.to_string()).collect();
    panel.more = hosts.len().saturating_sub(NAMED_MAX);
    panel.ids = hosts.iter().map(|host| host.name.to_string()).collect();
    panel.title = match hosts.len() {
        0 => return None,
        1 => "Tags of 1 host".to_owned(),
        n => format!("Tags of {n} hosts"),
    };
    panel.consequence = "What is added or removed here stands over what the configuration says.";
    let mut own: Vec<&str> = hosts.iter().flat_map(|host| host.tags.iter().map(|t| &**t)).collect();
    own.sort_unstable();
    own.dedup();
    panel.preview = Some(match own.is_empty() {
        true => "They have no tags now.".to_owned(),
        false => format!("They have: {}.", own.join(", ")),
    });
    Some(panel)
}

fn empty(call: &Call<'_>, clock: &Clock, kind: &'static str, back: &str) -> Panel {
    Panel {
        kind,
        title: String::new(),
        consequence: "",
        action: back.to_owned(),
        back: back.to_owned(),
        ids: Vec::new(),
        alerts: Vec::new(),
        affected: Vec::new(),
        more: 0,
        presets: Vec::new(),
        host: String::new(),
        group: String::new(),
        tag: String::new(),
        plugin: String::new(),
        path: String::new(),
        preview: None,
        zone: clock.zone_name(),
        commands: Vec::new(),
        plan: None,
        as_user: call.caller.user().unwrap_or("somebody who is not signed in").to_owned(),
        ways: Vec::new(),
    }
}

fn acknowledge(call: &Call<'_>, clock: &Clock, back: &str) -> Option<Panel> {
    let ids = chosen(call);
    let first = ids.first()?;
    let (host, path) = first.split_once('/').unwrap_or((first, ""));
    let metric = if path == "host" { String::new() } else { format!(" {path}") };
    let now = call.context.now.wall;
    let mut panel = empty(call, clock, "ack", back);
    panel.title = match ids.len() {
        1 => "Acknowledge 1 alert".to_owned(),
        n => format!("Acknowledge {n} alerts"),
    };
    panel.consequence =
        "Reminders stop. You are still told if the severity rises, and on recovery.";
    panel.commands = vec![format!("hbd ack {host}{metric} --reason REASON")];
    panel.affected = ids.iter().take(NAMED_MAX).cloned().collect();
    panel.more = ids.len().saturating_sub(NAMED_MAX);
    panel.presets = vec![
        preset("until recovered", None, true),
        preset("1 h", Some(now + HOUR), false),
        preset("tomorrow 09:00", Some(clock.next_morning(None)), false),
        preset("Mon 09:00", Some(clock.next_morning(Some(1))), false),
    ];
    panel.ids = ids;
    Some(panel)
}

fn silence(call: &Call<'_>, clock: &Clock, back: &str) -> Panel {
    let now = call.context.now.wall;
    let mut panel = empty(call, clock, "silence", back);
    panel.title = "New silence".to_owned();
    panel.consequence = "Nobody is told of what matches until it ends; states and alerts go on \
                         being computed. At the end one message tells what is still wrong.";
    let id = call.query.get("id").unwrap_or_default();
    let (host, path) = id.split_once('/').unwrap_or((id, ""));
    let given = |name: &str| call.query.get(name).unwrap_or_default().to_owned();
    panel.host = if host.is_empty() { given("host") } else { host.to_owned() };
    panel.path = if path.is_empty() || path == "host" { given("path") } else { path.to_owned() };
    panel.group = given("group");
    panel.tag = given("tag");
    panel.plugin = given("plugin");
    let hosts = hosts(call);
    if hosts.len() > 1 {
        panel.ids = hosts.iter().map(|host| host.name.to_string()).collect();
        panel.title = format!("Silence {} hosts", hosts.len());
        panel.affected = panel.ids.iter().take(NAMED_MAX).cloned().collect();
        panel.more = hosts.len().saturating_sub(NAMED_MAX);
    }
    let ids: Vec<&str> = call.query.all("id").take(IDS_MAX).collect();
    if ids.len() > 1 {
        panel.alerts = ids.iter().map(|id| (*id).to_owned()).collect();
        panel.title = format!("Silence {} alerts", ids.len());
        panel.affected = panel.alerts.iter().take(NAMED_MAX).cloned().collect();
        panel.more = ids.len().saturating_sub(NAMED_MAX);
    }
    panel.preview = Some(preview(call, &panel));
    panel.commands =
        vec![format!("hbd silence host:{} --for 1h --reason REASON", word(&panel.host))];
    panel.presets = vec![
        preset("30 m", Some(now + HOUR / 2), false),
        preset("1 h", Some(now + HOUR), true),
        preset("4 h", Some(now + HOUR * 4), false),
        preset("until tomorrow", Some(clock.next_morning(None)), false),
    ];
    panel
}

fn maintenance(call: &Call<'_>, clock: &Clock, back: &str) -> Panel {
    let mut panel = empty(call, clock, "maintenance", back);
    panel.title = "Plan maintenance".to_owned();
    panel.consequence = "While it runs, notices are held, the hosts show as in maintenance, and \
                         the time does not count for availability. At the end one message tells \
                         what is still wrong.";
    let named: Vec<&str> = call.query.all("host").take(IDS_MAX).collect();
    panel.host = named.join(", ");
    let one = word(named.first().copied().unwrap_or(""));
    panel.commands = vec![
        format!("hbd maintenance host:{one} --for 1h --reason REASON"),
        "hbc -m \"maintenance starting\"".to_owned(),
    ];
    panel.plan = Some(plan(call, clock, &panel.host));
    panel
}

/// The fields of a window of maintenance, as they were given so far.
#[derive(Serialize)]
pub struct Plan {
    hosts: String,
    tags: String,
    groups: String,
    repeat: String,
    days: String,
    start: String,
    end: String,
    length: String,
    zone: String,
    reason: String,
    /// Names of zones to choose from.
    zones: Vec<String>,
    /// The next times in the reader's zone and in the server's; only where they were asked for.
    next: Vec<(String, String)>,
    /// Why there are none.
    problem: Option<String>,
}

fn plan(call: &Call<'_>, clock: &Clock, host: &str) -> Plan {
    let given = |name: &'static str| {
        let all: Vec<&str> = call.query.all(name).filter(|text| !text.is_empty()).collect();
        all.join(", ")
    };
    let or = |text: String, other: &str| if text.is_empty() { other.to_owned() } else { text };
    let server = call.context.pages.zone.iana_name().map(str::to_owned);
    let mut zones: Vec<String> = server.into_iter().chain([clock.zone_name()]).collect();
    zones.push("UTC".to_owned());
    zones.dedup();
    let mut plan = Plan {
        hosts: or(given("hosts"), host),
        tags: given("tags"),
        groups: given("groups"),
        repeat: or(given("repeat"), "once"),
        days: given("days"),
        start: given("start"),
        end: given("end"),
        length: given("for"),
        zone: given("zone"),
        reason: given("reason"),
        zones,
        next: Vec::new(),
        problem: None,
    };
    if !call.query.has("preview") {
        plan.length = or(plan.length, "1h");
        return plan;
    }
    let body = form::maintenance(call, &call.query).to_string();
    match next(call, body.as_bytes()) {
        Ok(spans) if spans.is_empty() => plan.problem = Some("It would never be.".to_owned()),
        Ok(spans) => {
            let both = spans.iter().map(|s| quiet::both_zones(call, clock, s.start, s.end));
            plan.next = both.collect();
        }
        Err(fault) => plan.problem = Some(calm::refused_words(fault)),
    }
    plan
}

/// When a window that the API would take is next. Plans it in a calendar of its own.
fn next(call: &Call<'_>, body: &[u8]) -> Result<Vec<Span>, Fault> {
    let request = MaintenanceRequest::parse(body)?;
    let zones = Zones::new(|name| TimeZone::get(name).ok(), call.context.pages.zone.clone());
    let now = call.context.now;
    let window = Calendar::new(zones).plan(now, request, None)?;
    Ok(window.schedule.next(now.wall, 3))
}

fn word(host: &str) -> &str {
    if host.is_empty() { "NAME" } else { host }
}

/// `Matches 3 alerts now, 1 212 hosts.`
fn preview(call: &Call<'_>, panel: &Panel) -> String {
    let view = &call.context.view;
    let globs = [
        ("host", &panel.host),
        ("group", &panel.group),
        ("tag", &panel.tag),
        ("plugin", &panel.plugin),
        ("path", &panel.path),
    ];
    let pairs = globs.iter().filter(|(_, glob)| !glob.is_empty());
    let Ok(matcher) =
        crate::calm::Matcher::from_pairs(pairs.map(|(kind, glob)| Ok((*kind, glob.as_str()))))
    else {
        return "Give at least one of them; * is all.".to_owned();
    };
    let covers = |host: &Arc<Host>, plugin: Option<&str>, path: Option<&str>| {
        let tags: Vec<String> = host.tags.iter().map(|tag| tag.to_string()).collect();
        let target =
            Target { host: &host.name, group: host.group.as_deref(), tags: &tags, plugin, path };
        matcher.matches(&target)
    };
    let hit = troubles(view).into_iter().filter(|trouble| {
        let plugin = trouble.alert.map(|alert| &*alert.plugin);
        covers(trouble.host, plugin, Some(trouble.path()))
    });
    let alerts = hit.count();
    let hosts =
        view.hosts.iter().filter(|host| matcher.concerns(&authz::target(host, &tags(host))));
    let hosts = hosts.count();
    format!(
        "Matches {alerts} {} now, {} {}.",
        if alerts == 1 { "alert" } else { "alerts" },
        number::count(hosts as u64),
        if hosts == 1 { "host" } else { "hosts" }
    )
}

fn tags(host: &Host) -> Vec<String> {
    host.tags.iter().map(|tag| tag.to_string()).collect()
}

fn preset(label: &str, at: Option<Wall>, is_default: bool) -> Preset {
    let value = at.map_or_else(String::new, Clock::stamp);
    Preset { label: label.to_owned(), value, is_default }
}

/// The address of a form over some host.
pub fn link(kind: &str, host: &str) -> String {
    format!("/alerts?act={kind}&host={}#act", query::encode(host))
}
