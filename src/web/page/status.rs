//! `/status` and its badges: for people who do not operate anything. Off unless configured, open by a token or to all;
//! no addresses, no names of hosts that no group has.

use super::clock::{Clock, When, span};
use super::mark::{Mark, mark};
use super::page;
use super::shell::{Shell, clock};
use crate::config::secret::Secret;
use crate::config::server::StatusPage;
use crate::engine::record::Standing;
use crate::engine::view::{Host, Severity, State, View};
use crate::time::{Duration, Wall};
use crate::web::http::{Body, Response};
use crate::web::problem::Problem;
use crate::web::{Answer, Call, caller};
use serde::Serialize;
use std::sync::Arc;
use subtle::ConstantTimeEq;

const DAYS: u64 = 90;
const INCIDENTS: Duration = Duration::from_secs(14 * 86_400);
const INCIDENTS_MAX: usize = 40;

#[derive(Serialize)]
struct Status {
    shell: Shell,
    title: String,
    /// Glyph and sentence over all.
    mark: Mark,
    sentence: String,
    announcement: Option<String>,
    groups: Vec<Group>,
    maintenance: Vec<(String, Option<When>)>,
    incidents: Vec<(When, Mark, String)>,
    token: String,
}

#[derive(Serialize)]
struct Group {
    name: String,
    mark: Mark,
    words: String,
    /// Class, left edge, sentence of a day.
    strip: Vec<(&'static str, String, String)>,
    share: String,
}

/// `GET /status`
pub fn respond(call: &Call<'_>) -> Answer {
    let settings = allowed(call)?;
    let view = &call.whole;
    let clock = clock(call);
    let groups: Vec<Group> = members(settings, view)
        .iter()
        .map(|(name, hosts)| group(call, &clock, name, hosts))
        .collect();
    let worst = groups.iter().map(|group| rank(&group.mark)).min().unwrap_or(7);
    let severity = Severity::ALL[usize::from(worst.min(7))];
    let title = settings.title.clone().unwrap_or_else(|| call.context.config.site_name.clone());
    let context = Status {
        // Nobody who reads this operates anything.
        shell: Shell { banner: None, told: None, ..Shell::new(call, "status", &title) },
        mark: mark(severity),
        sentence: sentence(severity, &groups),
        announcement: settings.announcement.clone(),
        maintenance: maintenance(call, &clock, settings),
        incidents: incidents(call, &clock, settings),
        groups,
        title,
        token: call
            .query
            .get("token")
            .map(|t| format!("?token={}", crate::web::query::encode(t)))
            .unwrap_or_default(),
    };
    let mut response = page(call, 200, "status.html", &context)?;
    response.headers.retain(|(name, _)| *name != "Cache-Control");
    response.headers.push(("Cache-Control", "private, max-age=10".to_owned()));
    Ok(response)
}

fn rank(mark: &Mark) -> u8 {
    Severity::ALL.into_iter().find(|s| s.as_str() == mark.state).map_or(7, Severity::code)
}

/// `GET /status/badge/GROUP.svg`
pub fn badge(call: &Call<'_>) -> Answer {
    let settings = allowed(call)?;
    let file = call.param("file");
    let name = file.strip_suffix(".svg").unwrap_or(file);
    let found = members(settings, &call.whole).into_iter().find(|(own, _)| own == name);
    let Some((name, hosts)) = found else {
        return Err(Problem::new(404, "no_such_group", "There is no badge of that name."));
    };
    let severity = worst(&hosts);
    let word = words(severity);
    let fill = match severity {
        Severity::Down | Severity::Critical => "#8E0B3A",
        Severity::Up => "#0A6E4B",
        Severity::Maintenance => "#2458A6",
        _ => "#804C00",
    };
    let escaped: String = name
        .chars()
        .filter(|c| !matches!(c, '<' | '>' | '&' | '"') && !c.is_control())
        .take(40)
        .collect();
    let (left, right) = (escaped.chars().count() * 7 + 16, word.chars().count() * 7 + 16);
    let width = left + right;
    let svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"20\" role=\"img\" \
         aria-label=\"{escaped}: {word}\">\
         <rect width=\"{width}\" height=\"20\" rx=\"4\" fill=\"#414C58\"/>\
         <path d=\"M{left} 0h{}a4 4 0 0 1 4 4v12a4 4 0 0 1-4 4h-{}z\" fill=\"{fill}\"/>\
         <g fill=\"#fff\" font-family=\"sans-serif\" font-size=\"12\"><text x=\"8\" y=\"14\">{escaped}</text>\
         <text x=\"{}\" y=\"14\">{word}</text></g></svg>",
        right - 4,
        right - 4,
        left + 8
    );
    Ok(Response {
        status: 200,
        headers: vec![
            ("Content-Type", "image/svg+xml".to_owned()),
            ("Cache-Control", "public, max-age=10".to_owned()),
        ],
        body: Body::Owned(svg.into_bytes()),
    })
}

/// The page's settings, where it is on and this caller may see it.
fn allowed<'a>(call: &'a Call<'_>) -> Result<&'a StatusPage, Problem> {
    let off = || Problem::new(404, "no_such_path", "There is nothing at this path.");
    let settings = call.context.config.status_page.as_ref().ok_or_else(off)?;
    let given = call.query.get("token").or_else(|| caller::bearer(call.request));
    let is_token = match (&settings.token, given) {
        (Some(Secret::Text(own)), Some(given)) => {
            bool::from(own.as_bytes().ct_eq(given.as_bytes()))
        }
        _ => false,
    };
    if settings.public || is_token || call.caller.sees_all() {
        return Ok(settings);
    }
    Err(off())
}

/// The groups with their hosts, as they are configured; without any, those that the hosts have.
fn members<'a>(settings: &StatusPage, view: &'a View) -> Vec<(String, Vec<&'a Arc<Host>>)> {
    let fits = |host: &Host, member: &str| match member.split_once(':') {
        Some(("tag", tag)) => host.tags.iter().any(|own| **own == *tag),
        Some(("group", group)) => host.group.as_deref() == Some(group),
        _ => *host.name == *member.to_ascii_lowercase(),
    };
    settings
        .groups
        .iter()
        .map(|(name, list)| {
            let hosts =
                view.hosts.iter().filter(|host| list.iter().any(|member| fits(host, member)));
            (name.clone(), hosts.collect())
        })
        .collect()
}

/// Of a service as others see it: down where a host of it is down.
fn worst(hosts: &[&Arc<Host>]) -> Severity {
    let seen = |host: &&Arc<Host>| match host.state {
        _ if host.maintenance => Severity::Maintenance,
        State::Down | State::Unreachable => Severity::Down,
        State::Degraded | State::Late => Severity::Warning,
        State::Unknown => Severity::Unknown,
        State::Up if host.alerts.critical > 0 => Severity::Warning,
        State::Up => Severity::Up,
    };
    hosts.iter().map(seen).min().unwrap_or(Severity::Unknown)
}

const fn words(severity: Severity) -> &'static str {
    match severity {
        Severity::Down => "down",
        Severity::Critical | Severity::Warning | Severity::Late => "disturbed",
        Severity::Unreachable | Severity::Unknown => "unknown",
        Severity::Maintenance => "maintenance",
        Severity::Up => "up",
    }
}

fn sentence(severity: Severity, groups: &[Group]) -> String {
    let wrong: Vec<&str> = groups
        .iter()
        .filter(|group| group.mark.key != "up")
        .map(|group| group.name.as_str())
        .collect();
    match severity {
        Severity::Up => "All services are up.".to_owned(),
        Severity::Maintenance => format!("Maintenance is running: {}.", wrong.join(", ")),
        Severity::Unknown | Severity::Unreachable => {
            format!("The state of some services is unknown: {}.", wrong.join(", "))
        }
        Severity::Down => {
            // One that is only disturbed is not called down.
            let down = groups.iter().filter(|group| group.mark.key == "down");
            let down: Vec<&str> = down.map(|group| group.name.as_str()).collect();
            let others = wrong.iter().filter(|name| !down.contains(name)).copied();
            let others: Vec<&str> = others.collect();
            let end = match others.is_empty() {
                true => String::new(),
                false => format!(" Disturbed: {}.", others.join(", ")),
            };
            format!("Some services are down: {}.{end}", down.join(", "))
        }
        _ => format!("Some services are disturbed: {}.", wrong.join(", ")),
    }
}

fn group(call: &Call<'_>, clock: &Clock, name: &str, hosts: &[&Arc<Host>]) -> Group {
    let severity = worst(hosts);
    let (strip, share) = super::strip::of_hosts(call, clock, hosts, DAYS);
    Group {
        name: name.to_owned(),
        mark: mark(severity),
        words: words(severity).to_owned(),
        strip,
        share,
    }
}

fn maintenance(
    call: &Call<'_>,
    clock: &Clock,
    settings: &StatusPage,
) -> Vec<(String, Option<When>)> {
    let now = call.context.now.wall;
    let groups = members(settings, &call.whole);
    let mut found = Vec::new();
    for (window, is_active) in call.whole.maintenances.iter().filter(|(_, active)| *active) {
        let tags = |host: &Host| host.tags.iter().map(|tag| tag.to_string()).collect::<Vec<_>>();
        let names = groups.iter().filter(|(_, hosts)| {
            hosts.iter().any(|host| window.covers(&crate::web::authz::target(host, &tags(host))))
        });
        let names: Vec<&str> = names.map(|(name, _)| name.as_str()).collect();
        if names.is_empty() {
            continue;
        }
        let reason = if window.reason.is_empty() { "Maintenance" } else { &window.reason };
        let ends =
            is_active.then(|| window.schedule.active(now)).flatten().map(|s| clock.time(s.end));
        found.push((format!("{}: {reason}", names.join(", ")), ends));
    }
    found
}

/// When something of a group was down in the last fourteen days, newest first.
fn incidents(call: &Call<'_>, clock: &Clock, settings: &StatusPage) -> Vec<(When, Mark, String)> {
    let now = call.context.now.wall;
    let mut found: Vec<(Wall, Mark, String)> = Vec::new();
    for (name, hosts) in members(settings, &call.whole) {
        for host in hosts {
            let spans = call.context.history.standings(&host.name, now - INCIDENTS, now);
            let down = spans.unwrap_or_default().into_iter();
            for gone in down.filter(|span| span.standing == Standing::Down) {
                let length = span(gone.to.since(gone.from));
                let is_over = now.since(gone.to) > Duration::from_secs(5);
                let text = match is_over {
                    true => format!("{name} was down for {length}"),
                    false => format!("{name} has been down for {length}"),
                };
                found.push((gone.from, mark(Severity::Down), text));
            }
        }
    }
    found.sort_by_key(|(at, ..)| std::cmp::Reverse(*at));
    found.truncate(INCIDENTS_MAX);
    found.into_iter().map(|(at, mark, text)| (clock.date(at), mark, text)).collect()
}
