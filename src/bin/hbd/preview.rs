//! What a reload would change: the configuration in force beside the files, value by value, secrets masked.
//!
//! Compares; reads no file and changes nothing.

use heartbeat::config::server::{Server, difference, key};
use heartbeat::text::cut;
use heartbeat::web::{ConfigChange, bare_setting as bare};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

/// Of a value that is written at length; the file has it whole.
const VALUE_MAX: usize = 300;
const MASK: &str = "***";

/// `shown`: both configurations as the settings show them (`settings::render`). What differs there is told with both
/// values; what differs only behind the masks, by its key.
pub fn changes(
    (old_shown, new_shown): (&str, &str),
    old: &Server,
    new: &Server,
) -> Vec<ConfigChange> {
    let (before, after) = (leaves(old_shown), leaves(new_shown));
    let paths: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut found = Vec::new();
    for path in paths {
        let (old, new) = (before.get(path), after.get(path));
        if old != new {
            let (old, new) = (old.cloned(), new.cloned());
            found.push(ConfigChange { live: is_live(path), key: path.clone(), old, new });
        }
    }
    for key in hidden(old, new) {
        let below = |change: &ConfigChange| {
            change
                .key
                .strip_prefix(&*key)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        if !found.iter().any(below) {
            found.push(ConfigChange { live: is_live(&key), key, old: None, new: None });
        }
    }
    found
}

/// Keys that are not the same; of users and channels one by one, for a secret is all that may have changed there.
fn hidden(old: &Server, new: &Server) -> Vec<String> {
    let mut keys = Vec::new();
    for change in difference(old, new) {
        match &*change.key {
            "users" => keys.extend(apart("users", &old.users, &new.users)),
            "channels" => keys.extend(apart("channels", &old.channels, &new.channels)),
            _ => keys.push(change.key),
        }
    }
    keys
}

fn apart<T: PartialEq>(
    section: &str,
    old: &BTreeMap<String, T>,
    new: &BTreeMap<String, T>,
) -> Vec<String> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let changed = names.into_iter().filter(|name| old.get(*name) != new.get(*name));
    changed.map(|name| format!("{section}.{name}")).collect()
}

fn is_live(path: &str) -> bool {
    let top = path.split('.').next().unwrap_or_default();
    key::TOP.iter().find(|key| key.name == top).is_none_or(|key| key.live)
}

/// Every value that is written, by its path.
fn leaves(shown: &str) -> BTreeMap<String, String> {
    let shown: Json = serde_json::from_str(shown).unwrap_or_default();
    let mut found = BTreeMap::new();
    for (name, entry) in shown["config"].as_object().into_iter().flatten() {
        gather(name, &entry["value"], &mut found);
    }
    found
}

fn gather(path: &str, value: &Json, found: &mut BTreeMap<String, String>) {
    match value {
        Json::Null => {}
        Json::Object(members) => {
            for (name, member) in members {
                gather(&format!("{path}.{name}"), &member["value"], found);
            }
        }
        value => {
            let text = match bare(value) {
                Json::String(text) if text == MASK => "••••".to_owned(),
                Json::String(text) => text,
                other => other.to_string(),
            };
            let short = cut(&text, VALUE_MAX);
            let end = if short.len() < text.len() { "…" } else { "" };
            found.insert(path.to_owned(), format!("{short}{end}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings;
    use heartbeat::config::node::Document;
    use heartbeat::config::server::check;

    fn read(text: &str) -> (Server, std::sync::Arc<str>) {
        let (root, _) = heartbeat::yaml::read(text, "x.yaml").ok().unwrap();
        let document = Document { file: "x.yaml".to_owned(), text: text.to_owned(), root };
        let documents = [document];
        let (server, problems) = check(&documents);
        assert!(problems.is_empty(), "{problems:?}");
        (server, settings::render(&documents, key::TOP, &[], &[]))
    }

    fn told(old: &str, new: &str) -> Vec<String> {
        let ((old, old_shown), (new, new_shown)) = (read(old), read(new));
        let found = changes((&old_shown, &new_shown), &old, &new);
        let word = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        let line = |change: ConfigChange| {
            let when = if change.live { "live" } else { "restart" };
            format!("{}: {} -> {} {when}", change.key, word(change.old), word(change.new))
        };
        found.into_iter().map(line).collect()
    }

    #[test]
    fn preview_tells_old_and_new_values_and_never_a_secret() {
        let old = "interval: 30\nhb_port: 50003\nhosts:\n  web1: {tags: [a]}\nchannels:\n  chat: {type: webhook, \
                   url: \"https://x/CANARY-1\"}\nmetrics_token: CANARY-2\n";
        let new = "# one line further down\ninterval: 60\nhb_port: 50103\nhosts:\n  web1: {tags: [a, b]}\n  web2: {}\n\
                   channels:\n  chat: {type: webhook, url: \"https://x/CANARY-3\"}\nmetrics_token: CANARY-2\n";
        let lines = told(old, new);
        assert!(lines.iter().all(|line| !line.contains("CANARY")), "{lines:?}");
        let want = [
            "hb_port: 50003 -> 50103 restart",
            "hosts.web1.tags: [\"a\"] -> [\"a\",\"b\"] live",
            "interval: 30 -> 60 live",
            "hosts.web2: - -> - live",
            "channels.chat: - -> - live",
        ];
        assert_eq!(lines, want);
        assert_eq!(told(old, old), [""; 0]);
        let moved = format!("# a line more\n{old}");
        assert_eq!(told(old, &moved), [""; 0], "what only moved is the same");
    }
}
