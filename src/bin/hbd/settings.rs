//! The configuration in force as JSON, for `GET config`: every key with its value, where it was
//! written, and what it is without; secrets masked.

use crate::effective::{HIDDEN, REFERENCES, Resolved, SHOWN, guarded_below, guarded_from};
use heartbeat::config::node::{Document, Node, Value, merge};
use heartbeat::config::section::{Key, Kind};
use heartbeat::config::server::Overlay;
use heartbeat::web::bare_setting as bare;
use serde_json::{Map, Value as Json, json};
use std::sync::Arc;

const MASK: &str = "***";

/// `{config: {KEY: {value, origin: {file, line}|null, default}}, warnings: [TEXT]}`; a map's members are of the same
/// form. What the files leave open and the machine decides has a `from` in the place of an origin: `env
/// STATE_DIRECTORY`, `flag --with-agent`.
pub fn render(
    documents: &[Document],
    keys: &[Key],
    resolved: &[Resolved],
    warnings: &[String],
) -> Arc<str> {
    let root = merge(documents);
    let mut config = Map::new();
    for key in keys {
        let node = root.get(key.name).filter(|node| node.value != Value::Null);
        let mut entry = match node {
            Some(node) => {
                shown(node, documents, 1, guarded_from(key.name), key.kind == Kind::Secret)
            }
            None => left_open(resolved.iter().find(|found| found.key == key.name)),
        };
        entry["default"] = Json::from(key.default);
        config.insert(key.name.to_owned(), entry);
    }
    json!({ "config": config, "warnings": warnings }).to_string().into()
}

fn left_open(resolved: Option<&Resolved>) -> Json {
    match resolved {
        Some(found) => json!({ "value": found.value, "origin": null, "from": found.origin }),
        None => json!({ "value": null, "origin": null }),
    }
}

/// What a reload makes of it: `now` is what the files say, `before` what was in force, `start` what the server began
/// with. Keys of `fixed` take effect after a restart: they keep their value, and what the files say stands beside it
/// as `restart: {value, origin}`. What differs from the start has `changed: true`.
pub fn reloaded(now: &str, before: &str, start: &str, fixed: &[String]) -> Arc<str> {
    let read = |text: &str| serde_json::from_str::<Json>(text).unwrap_or_default();
    let (mut now, before, start) = (read(now), read(before), read(start));
    for (key, entry) in now["config"].as_object_mut().into_iter().flatten() {
        if fixed.contains(key) {
            let wish = json!({ "value": entry["value"], "origin": entry["origin"] });
            *entry = before["config"][key].clone();
            entry["restart"] = wish;
        }
        // A line that moved is no change.
        if bare(&entry["value"]) != bare(&start["config"][key]["value"]) {
            entry["changed"] = Json::from(true);
        }
    }
    now.to_string().into()
}

fn shown(
    node: &Node,
    documents: &[Document],
    depth: usize,
    guarded: Option<usize>,
    secret: bool,
) -> Json {
    let value = match &node.value {
        Value::Map(entries) => {
            let is_reference = |name: &str| REFERENCES.contains(&name);
            let refers = secret && entries.iter().all(|(key, _)| is_reference(&key.text));
            let members = entries.iter().map(|(key, value)| {
                let is_guarded = guarded.is_some_and(|from| depth >= from);
                let hidden = (is_guarded && !SHOWN.contains(&key.text.as_str()))
                    || (depth == 1 && HIDDEN.contains(&key.text.as_str()));
                let secret = !refers && (secret || hidden);
                let guarded = guarded_below(guarded, &key.text);
                (key.text.clone(), shown(value, documents, depth + 1, guarded, secret))
            });
            Json::Object(members.collect())
        }
        Value::List(items) if !secret => {
            items.iter().map(|item| plain(item, documents, depth, guarded)).collect()
        }
        _ if secret => Json::from(MASK),
        value => scalar(value),
    };
    let file = documents.get(usize::from(node.span.document)).map_or("", |d| d.file.as_str());
    json!({ "value": value, "origin": { "file": file, "line": node.span.line } })
}

/// An item of a list: maps keep their form, the rest is the value alone.
fn plain(item: &Node, documents: &[Document], depth: usize, guarded: Option<usize>) -> Json {
    match &item.value {
        Value::Map(_) | Value::List(_) => shown(item, documents, depth + 1, guarded, false),
        value => scalar(value),
    }
}

fn scalar(value: &Value) -> Json {
    match value {
        Value::Bool(truth) => Json::from(*truth),
        Value::Int(number) => Json::from(*number),
        Value::Float(number) => Json::from(*number),
        Value::Text(text) => Json::from(text.as_str()),
        Value::Null | Value::List(_) | Value::Map(_) => Json::Null,
    }
}

/// With what the API changed: `overlay: {users: {U: {removed, …}}, hosts: {H: {…}}}`, no hash in it.
pub fn with_overlay(shown: &str, overlay: &Overlay) -> Arc<str> {
    let users: Map<String, Json> = overlay
        .users
        .iter()
        .map(|(name, over)| {
            let channels = over.notification_channels.as_ref();
            let channels: Option<Vec<&String>> =
                channels.map(|list| list.iter().map(|own| &own.channel).collect());
            let entry = json!({
                "removed": over.removed,
                "full_name": over.full_name,
                "admin": over.admin,
                "password": over.password.as_ref().map(|_| MASK),
                "notification_channels": channels,
            });
            (name.clone(), entry)
        })
        .collect();
    let mut whole: Json = serde_json::from_str(shown).unwrap_or_default();
    whole["overlay"] = json!({ "users": users, "hosts": overlay.hosts });
    whole.to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use heartbeat::config::server::{UserOverlay, key};

    #[test]
    fn h12_settings_tell_where_each_value_stands_and_no_secret() {
        let text = "site_name: Basel\nmetrics_token: CANARY-1\nstatus_page: {token: CANARY-7, groups: {Web: \
                    [\"tag:web\"]}}\nusers:\n  alice: {admin: true, \
                    password: CANARY-2}\nchannels:\n  mail: {host: mx, password: CANARY-3, \
                    headers: {x: CANARY-4}}\n  chat: {url: CANARY-5}\nhosts:\n  web1: {tags: [a, b]}\n";
        let (root, _) = heartbeat::yaml::read(text, "x.yaml").ok().unwrap();
        let document = Document { file: "x.yaml".to_owned(), text: text.to_owned(), root };
        let warnings = ["x.yaml:9:1: threads: not needed any more, ignored".to_owned()];
        let state = Resolved {
            key: "state_dir",
            value: "/s".to_owned(),
            origin: "env STATE_DIRECTORY".to_owned(),
        };
        let shown = render(&[document], key::TOP, &[state], &warnings);
        let over = UserOverlay { password: Some("CANARY-6".to_owned()), ..UserOverlay::default() };
        let overlay = Overlay { users: [("bob".to_owned(), over)].into(), ..Overlay::default() };
        let text = with_overlay(&shown, &overlay);
        assert!(!text.contains("CANARY"), "{text}");
        let json: Json = serde_json::from_str(&text).unwrap();
        let config = &json["config"];
        assert_eq!(config["site_name"]["value"], "Basel");
        assert_eq!(config["site_name"]["origin"], json!({ "file": "x.yaml", "line": 1 }));
        assert_eq!(config["metrics_token"]["value"], "***");
        assert_eq!(config["hosts"]["value"]["web1"]["value"]["tags"]["value"], json!(["a", "b"]));
        assert_eq!(config["users"]["value"]["alice"]["value"]["admin"]["value"], true);
        assert_eq!(config["hb_port"], json!({ "value": null, "origin": null, "default": "50003" }));
        assert_eq!(config["state_dir"]["value"], "/s");
        assert_eq!(config["state_dir"]["from"], "env STATE_DIRECTORY");
        let groups = &config["status_page"]["value"]["groups"]["value"];
        assert_eq!(groups["Web"]["value"], json!(["tag:web"]));
        assert_eq!(json["warnings"], json!(warnings));
        assert_eq!(json["overlay"]["users"]["bob"]["password"], "***");
    }

    #[test]
    fn reload_keeps_what_needs_a_restart_and_marks_what_changed() {
        let shown = |text: &str| {
            let (root, _) = heartbeat::yaml::read(text, "x.yaml").ok().unwrap();
            let document = Document { file: "x.yaml".to_owned(), text: text.to_owned(), root };
            render(&[document], key::TOP, &[], &[])
        };
        let start = shown("hb_port: 50003\ninterval: 30\ngrace: 5\n");
        let files = shown("# a line more\nhb_port: 50103\ninterval: 60\ngrace: 5\n");
        let fixed = ["hb_port".to_owned()];
        let first = reloaded(&files, &start, &start, &fixed);
        // Twice the same: what is in force stays what it was at the start.
        for text in [first.clone(), reloaded(&files, &first, &start, &fixed)] {
            let config: Json = serde_json::from_str::<Json>(&text).unwrap()["config"].clone();
            assert_eq!(config["hb_port"]["value"], 50003);
            assert_eq!(config["hb_port"]["restart"]["value"], 50103);
            assert_eq!(config["hb_port"]["restart"]["origin"]["line"], 2);
            assert_eq!(config["hb_port"]["changed"], Json::Null);
            assert_eq!(
                (&config["interval"]["value"], &config["interval"]["changed"]),
                (&json!(60), &json!(true))
            );
            assert_eq!(config["grace"]["changed"], Json::Null, "a line that moved is no change");
        }
        // Taken back in the files: nothing is left to restart for.
        let back: Json = serde_json::from_str(&reloaded(&start, &first, &start, &[])).unwrap();
        assert_eq!(back["config"]["hb_port"]["restart"], Json::Null);
    }
}
