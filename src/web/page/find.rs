//! `/find?q=`: hosts, pages and what can be done, by a few letters.

use super::mark::{Mark, mark};
use super::page;
use super::panel;
use super::shell::Shell;
use crate::engine::view::{Host, View};
use crate::web::authz::{self, Level};
use crate::web::near;
use crate::web::query;
use crate::web::{Answer, Call};
use serde::Serialize;
use std::sync::Arc;

const SHOWN: usize = 50;
const PAGES: [(&str, &str); 8] = [
    ("Live", "/live"),
    ("Alerts", "/alerts"),
    ("Events", "/events"),
    ("Settings", "/settings"),
    ("Thresholds and explain", "/settings?part=thresholds"),
    ("Notification channels", "/settings?part=notifications"),
    ("Silences", "/alerts?tab=silences"),
    ("Maintenance windows", "/alerts?tab=maintenance"),
];

#[derive(Serialize)]
struct Find {
    shell: Shell,
    q: String,
    hosts: Vec<Found>,
    total: usize,
    /// Words and addresses of pages and actions.
    pages: Vec<(String, String)>,
    near: Vec<(String, String)>,
}

#[derive(Serialize)]
struct Found {
    name: String,
    href: String,
    mark: Mark,
    note: String,
}

/// `GET /find?q=`
pub fn respond(call: &Call<'_>) -> Answer {
    let q = call.query.get("q").unwrap_or_default().trim().to_owned();
    let wish = q.to_lowercase();
    let view = &call.context.view;
    let (verb, rest) = wish.split_once(' ').unwrap_or(("", &wish));
    let is_verb = matches!(verb, "silence" | "maintenance" | "open");
    let name = if is_verb { rest } else { &wish };
    let (hosts, total) = hosts(view, name);
    let pages = pages(call, &wish, verb, &hosts);
    let near = if hosts.is_empty() { near::names(view, name) } else { Vec::new() };
    let link = |name: &str| format!("/plugins/{}", query::encode(name));
    let context = Find {
        shell: Shell::new(call, "find", "Find"),
        near: near.into_iter().map(|n| (n.to_owned(), link(n))).collect(),
        hosts: hosts
            .iter()
            .map(|host| Found {
                name: host.name.to_string(),
                href: link(&host.name),
                mark: mark(host.severity),
                note: note(host),
            })
            .collect(),
        total,
        pages,
        q,
    };
    page(call, 200, "find.html", &context)
}

/// Exact, then those that begin so, then those with problems; none without a word.
fn hosts<'a>(view: &'a View, word: &str) -> (Vec<&'a Arc<Host>>, usize) {
    if word.is_empty() {
        return (Vec::new(), 0);
    }
    let fits = |host: &Host| {
        host.name.contains(word)
            || host.tags.iter().any(|tag| tag.to_lowercase().contains(word))
            || host.connections().any(|c| c.address.to_canonical().to_string().contains(word))
            || host.description.as_deref().is_some_and(|text| text.to_lowercase().contains(word))
    };
    let mut found: Vec<&Arc<Host>> = view.hosts.iter().filter(|host| fits(host)).collect();
    found.sort_by_key(|host| {
        let exact = *host.name != *word;
        (exact, !host.name.starts_with(word), host.severity, Arc::clone(&host.name))
    });
    let total = found.len();
    found.truncate(SHOWN);
    (found, total)
}

fn note(host: &Host) -> String {
    let mut parts: Vec<String> = host.tags.iter().take(4).map(|tag| tag.to_string()).collect();
    parts.extend(host.connections().map(|c| c.address.to_canonical().to_string()));
    parts.join(" · ")
}

fn pages(call: &Call<'_>, wish: &str, verb: &str, hosts: &[&Arc<Host>]) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = PAGES
        .iter()
        .filter(|(name, _)| wish.is_empty() || name.to_lowercase().contains(wish))
        .map(|(name, href)| ((*name).to_owned(), (*href).to_owned()))
        .collect();
    for host in hosts.iter().take(3) {
        if authz::level(&call.caller, host) < Level::Manager {
            continue;
        }
        for (kind, word) in [("silence", "Silence"), ("maintenance", "Maintenance for")] {
            if verb.is_empty() || verb == kind {
                found.push((format!("{word} {}", host.name), panel::link(kind, &host.name)));
            }
        }
    }
    found
}
