//! What one part of the configuration says of another: users, channels, profiles, hosts.

use super::{Channel, Host, Server};
use crate::config::node::Value;
use crate::config::problem::{nearest, quoted};
use crate::config::scalar;
use crate::config::section::{At, Report, Section};
use std::collections::BTreeMap;

/// Checks every reference, and resolves `pushsrv` and `default_owner`.
pub(super) fn check(section: &Section<'_>, report: &mut Report<'_>, server: &mut Server) {
    check_default_owner(section, report, server);
    check_pushsrv(section, report, server);
    check_fallbacks(section, report, server);
    check_user_channels(section, report, server);
    check_hosts(section, report, server);
    check_circles(section, report, &server.hosts);
    let top = section.at();
    check_escalation(report, top, server);
    for path in ["thresholds", "threshold_configs"] {
        if let Some(at) = section.get(path) {
            check_nested_escalations(report, &at, server, 0);
        }
    }
}

fn check_default_owner(section: &Section<'_>, report: &mut Report<'_>, server: &mut Server) {
    let Some(owner) = section.text(report, "default_owner") else { return };
    if let Some(at) = section.get("default_owner") {
        check_user(report, &at, server);
    }
    server.default_owner = Some(owner);
}

fn check_pushsrv(section: &Section<'_>, report: &mut Report<'_>, server: &mut Server) {
    let Some(at) = section.get("pushsrv") else { return };
    let items = at.items();
    for item in &items {
        let Some(name) = name_at(report, item) else { continue };
        match name {
            "none" => {}
            "all" => {
                let usable = server.channels.iter().filter(|(_, c)| c.has_destination());
                server.pushsrv.extend(usable.map(|(name, _)| name.clone()));
            }
            name => match server.channels.get(name) {
                Some(channel) if channel.has_destination() => server.pushsrv.push(name.to_owned()),
                Some(_) => {
                    let what =
                        format!("the channel {} has no destination of its own", quoted(name));
                    report.error(item, "E0105", what, &format!("add channels.{name}.to"));
                }
                None => unknown_channel(report, item, name, &server.channels),
            },
        }
    }
    server.pushsrv.sort();
    server.pushsrv.dedup();
}

fn unknown_channel(
    report: &mut Report<'_>,
    at: &At<'_>,
    name: &str,
    channels: &BTreeMap<String, Channel>,
) {
    let what = format!("{} is not under \"channels\"", quoted(name));
    let fix = match nearest(name, channels.keys().map(String::as_str)) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("add it: channels: {{{name}: {{…}}}}"),
    };
    report.error(at, "E0111", what, &fix);
}

fn check_fallbacks(section: &Section<'_>, report: &mut Report<'_>, server: &Server) {
    for (name, channel) in &server.channels {
        let Some(fallback) = &channel.fallback else { continue };
        let Some(at) = place(section, &["channels", name, "fallback"]) else { continue };
        if !server.channels.contains_key(fallback) {
            unknown_channel(report, &at, fallback, &server.channels);
            continue;
        }
        let mut next = fallback;
        for _ in 0..server.channels.len() {
            if next == name {
                let what = format!("the fallbacks of {} go in a circle", quoted(name));
                report.error(&at, "E0113", what, "end the chain at a channel without a fallback");
                break;
            }
            match server.channels.get(next).and_then(|channel| channel.fallback.as_ref()) {
                Some(further) => next = further,
                None => break,
            }
        }
    }
}

fn check_user_channels(section: &Section<'_>, report: &mut Report<'_>, server: &Server) {
    for name in server.users.keys() {
        let path = ["users", name, "notification_channels"];
        for item in place(section, &path).map(|at| at.items()).unwrap_or_default() {
            let at = item.get("channel").unwrap_or_else(|| item.clone());
            let Value::Text(channel) = &at.node.value else { continue };
            match server.channels.get(channel) {
                None => unknown_channel(report, &at, channel, &server.channels),
                Some(found) if !found.has_destination() && item.node.get("to").is_none() => {
                    let what = format!("{} needs a destination for {name}", quoted(channel));
                    let fix = format!("write {{channel: {channel}, to: …}}");
                    report.error(&at, "E0105", what, &fix);
                }
                Some(_) => {}
            }
        }
    }
}

fn check_hosts(section: &Section<'_>, report: &mut Report<'_>, server: &Server) {
    let Some(hosts) = section.get("hosts") else { return };
    let Value::Map(entries) = &hosts.node.value else { return };
    for (key, node) in entries {
        let at = hosts.child(key, node);
        let items = |name: &str| at.get(name).map(|at| at.items());
        for name in ["owner", "managers", "monitors"] {
            for item in items(name).unwrap_or_default() {
                check_user(report, &item, server);
            }
        }
        for item in items("threshold_config").unwrap_or_default() {
            check_profile(report, &item, server);
        }
        for item in items("depends_on").unwrap_or_default() {
            check_parent(report, &item, server);
        }
        check_escalation(report, &at, server);
    }
}

/// A role of somebody who may still be added through the API: a warning.
fn check_user(report: &mut Report<'_>, at: &At<'_>, server: &Server) {
    let Some(name) = name_at(report, at) else { return };
    if server.users.contains_key(name) {
        return;
    }
    let what = format!("{} is not under \"users\"", quoted(name));
    let fix = match nearest(name, server.users.keys().map(String::as_str)) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("add it: users: {{{name}: {{…}}}}"),
    };
    report.warn(at.node.span, &at.path, "W0205", what, &fix);
}

fn check_profile(report: &mut Report<'_>, at: &At<'_>, server: &Server) {
    let Some(name) = name_at(report, at) else { return };
    if server.threshold_configs.contains_key(name) {
        return;
    }
    let what = format!("{} is not under \"threshold_configs\"", quoted(name));
    let fix = match nearest(name, server.threshold_configs.keys().map(String::as_str)) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("add it: threshold_configs: {{{name}: {{thresholds: {{…}}}}}}"),
    };
    report.error(at, "E0109", what, &fix);
}

/// A parent that is not declared may still report by itself: a warning.
fn check_parent(report: &mut Report<'_>, at: &At<'_>, server: &Server) {
    let Some(name) = name_at(report, at) else { return };
    let name = name.to_ascii_lowercase();
    if server.hosts.contains_key(&name) {
        return;
    }
    let what = format!("the host {} is not declared under \"hosts\"", quoted(&name));
    let fix = match nearest(&name, server.hosts.keys().map(String::as_str)) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("declare it: hosts: {{{name}: }}"),
    };
    report.warn(at.node.span, &at.path, "W0204", what, &fix);
}

/// `depends_on` that leads back to itself. What remains after all hosts without parents are taken
/// away, again and again, is in a circle or behind one.
fn check_circles(section: &Section<'_>, report: &mut Report<'_>, hosts: &BTreeMap<String, Host>) {
    let mut waiting: BTreeMap<&str, usize> = BTreeMap::new();
    let mut children: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, host) in hosts {
        let parents = host.depends_on.iter().filter(|parent| hosts.contains_key(*parent));
        for parent in parents.clone() {
            children.entry(parent).or_default().push(name);
        }
        waiting.insert(name, parents.count());
    }
    let mut free: Vec<&str> = waiting.iter().filter(|(_, n)| **n == 0).map(|(h, _)| *h).collect();
    while let Some(name) = free.pop() {
        waiting.remove(name);
        for child in children.get(name).into_iter().flatten() {
            if let Some(count) = waiting.get_mut(child) {
                *count -= 1;
                if *count == 0 {
                    free.push(child);
                }
            }
        }
    }
    while let Some((first, _)) = waiting.first_key_value() {
        let mut walk: Vec<&str> = vec![first];
        let mut seen = BTreeMap::from([(*first, 0)]);
        let circle = loop {
            let last = walk[walk.len() - 1];
            let parents = hosts.get(last).map(|host| host.depends_on.as_slice()).unwrap_or(&[]);
            let next = parents.iter().find(|parent| waiting.contains_key(parent.as_str()));
            match next.map(String::as_str) {
                None => break None,
                Some(next) => match seen.insert(next, walk.len()) {
                    Some(start) => break Some(walk[start..].to_vec()),
                    None => walk.push(next),
                },
            }
        };
        if let Some(circle) = circle {
            report_circle(section, report, &circle);
        }
        for name in walk {
            waiting.remove(name);
        }
    }
}

fn report_circle(section: &Section<'_>, report: &mut Report<'_>, circle: &[&str]) {
    let mut names: Vec<&str> = circle.iter().take(8).copied().collect();
    if circle.len() > 8 {
        names.push("…");
    }
    names.push(circle[0]);
    let what = format!("\"depends_on\" goes in a circle: {}", names.join(" -> "));
    let at = place(section, &["hosts", circle[0], "depends_on"]);
    let at = at.unwrap_or_else(|| section.at().clone());
    report.error(&at, "E0113", what, "remove one of these dependencies");
}

/// `escalation` of a section: each receiver is a user or a channel.
fn check_escalation(report: &mut Report<'_>, at: &At<'_>, server: &Server) {
    let Some(at) = at.get("escalation") else { return };
    for step in at.items() {
        for item in step.get("to").map(|at| at.items()).unwrap_or_default() {
            let Some(name) = name_at(report, &item) else { continue };
            if !server.users.contains_key(name) && !server.channels.contains_key(name) {
                let what = format!("{} is neither a user nor a channel", quoted(name));
                let known = server.users.keys().chain(server.channels.keys());
                let fix = match nearest(name, known.map(String::as_str)) {
                    Some(near) => format!("did you mean {near}?"),
                    None => "write a name from users or channels".to_owned(),
                };
                report.error(&item, "E0110", what, &fix);
            }
        }
    }
}

fn check_nested_escalations(report: &mut Report<'_>, at: &At<'_>, server: &Server, depth: usize) {
    let Value::Map(entries) = &at.node.value else { return };
    if matches!(at.node.get("escalation").map(|node| &node.value), Some(Value::List(_))) {
        check_escalation(report, at, server);
    }
    for (key, node) in entries.iter().filter(|_| depth < crate::limits::CONFIG_DEPTH) {
        check_nested_escalations(report, &at.child(key, node), server, depth + 1);
    }
}

/// The name at a place; what is no text was reported where it was read.
fn name_at<'n>(report: &mut Report<'_>, at: &At<'n>) -> Option<&'n str> {
    match &at.node.value {
        Value::Text(text) => Some(text),
        Value::Null => {
            report.fault(at, scalar::wrong(at, "a name"));
            None
        }
        _ => None,
    }
}

/// The value at a path; names compare without case, as hosts do.
fn place<'n>(section: &Section<'n>, path: &[&str]) -> Option<At<'n>> {
    path.iter().try_fold(section.at().clone(), |at, name| match &at.node.value {
        Value::Map(entries) => {
            let found = entries.iter().find(|(key, _)| key.text.eq_ignore_ascii_case(name));
            found.map(|(key, node)| at.child(key, node))
        }
        _ => None,
    })
}
