//! The configuration in force as JSON, for `GET config`: every key with its value, where it was
//! written, and what it is without; secrets masked.

use crate::effective::{HIDDEN, REFERENCES, SHOWN, guarded_from};
use heartbeat::config::node::{Document, Node, Value, merge};
use heartbeat::config::section::{Key, Kind};
use heartbeat::config::server::Overlay;
use serde_json::{Map, Value as Json, json};
use std::sync::Arc;

const MASK: &str = "***";

/// `{config: {KEY: {value, origin: {file, line}|null, default}}}`; a map's members are of the same form.
pub fn render(documents: &[Document], keys: &[Key]) -> Arc<str> {
    let root = merge(documents);
    let mut config = Map::new();
    for key in keys {
        let node = root.get(key.name).filter(|node| node.value != Value::Null);
        let mut entry = match node {
            Some(node) => {
                shown(node, documents, 1, guarded_from(key.name), key.kind == Kind::Secret)
            }
            None => json!({ "value": null, "origin": null }),
        };
        entry["default"] = Json::from(key.default);
        config.insert(key.name.to_owned(), entry);
    }
    json!({ "config": config }).to_string().into()
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
        let text = "site_name: Basel\nmetrics_token: CANARY-1\nstatus_page: {token: CANARY-7}\nusers:\n  alice: {admin: true, \
                    password: CANARY-2}\nchannels:\n  mail: {host: mx, password: CANARY-3, \
                    headers: {x: CANARY-4}}\n  chat: {url: CANARY-5}\nhosts:\n  web1: {tags: [a, b]}\n";
        let (root, _) = heartbeat::yaml::read(text, "x.yaml").ok().unwrap();
        let document = Document { file: "x.yaml".to_owned(), text: text.to_owned(), root };
        let shown = render(&[document], key::TOP);
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
        assert_eq!(json["overlay"]["users"]["bob"]["password"], "***");
    }
}
