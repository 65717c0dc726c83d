//! The configuration in force as YAML: every key, where it was written or its default, secrets masked.

use heartbeat::config::node::{Document, Node, Value, merge};
use heartbeat::config::section::{Key, Kind};
use std::fmt::Write as _;

const MASK: &str = "\"***\"";
/// Keys below `users`, `channels` and `status_page` that are shown; anything else there may be a secret.
pub const SHOWN: &[&str] = &[
    "account",
    "admin",
    "announcement",
    "avatar",
    "fallback",
    "format",
    "from",
    "full_name",
    "group_wait",
    "groups",
    "host",
    "method",
    "min_level",
    "notification_channels",
    "port",
    "public",
    "tls",
    "title",
    "type",
    "user",
];
/// Keys of a section of the top level itself (`remote_write`, `status_page`) that are never shown.
pub const HIDDEN: &[&str] = &["password", "token", "url"];
pub fn guarded_from(section: &str) -> Option<usize> {
    match section {
        // The first level is names that users chose.
        "users" | "channels" => Some(2),
        "status_page" => Some(1),
        _ => None,
    }
}

/// A secret that is only named stays readable: `{file: …}`, `{env: …}`, `{credential: …}`.
pub const REFERENCES: &[&str] = &["file", "env", "credential"];

/// Renders the documents as merged. `keys` is the table of the top level.
pub fn render(documents: &[Document], keys: &[Key]) -> String {
    let root = merge(documents);
    let mut out = String::new();
    for key in keys {
        let Some(node) = root.get(key.name).filter(|node| node.value != Value::Null) else {
            let _ = writeln!(out, "# {}: {}", key.name, key.default);
            continue;
        };
        let _ = write!(out, "{}:", key.name);
        let secret = key.kind == Kind::Secret;
        write_value(&mut out, node, 1, guarded_from(key.name), secret);
        let file = documents.get(usize::from(node.span.document)).map_or("", |d| d.file.as_str());
        let _ = writeln!(out, "# ^ {file}:{}", node.span.line);
    }
    out
}

/// Writes what follows `key:`, ended by a newline.
fn write_value(out: &mut String, node: &Node, depth: usize, guarded: Option<usize>, secret: bool) {
    match &node.value {
        Value::Map(entries) if !entries.is_empty() => {
            out.push('\n');
            let is_reference = secret && entries.iter().all(|(k, _)| is_reference(&k.text));
            for (key, value) in entries {
                let _ = write!(out, "{}{}:", "  ".repeat(depth), quoted(&key.text));
                let is_guarded = guarded.is_some_and(|from| depth >= from);
                let hidden = (is_guarded && !SHOWN.contains(&key.text.as_str()))
                    || (depth == 1 && HIDDEN.contains(&key.text.as_str()));
                write_value(out, value, depth + 1, guarded, !is_reference && (secret || hidden));
            }
        }
        Value::List(items) if !items.is_empty() && !secret => {
            out.push('\n');
            for item in items {
                let _ = write!(out, "{}-", "  ".repeat(depth));
                write_value(out, item, depth + 1, guarded, secret);
            }
        }
        _ if secret => {
            let _ = writeln!(out, " {MASK}");
        }
        value => {
            let _ = writeln!(out, " {}", scalar(value));
        }
    }
}

fn is_reference(key: &str) -> bool {
    REFERENCES.contains(&key)
}

fn scalar(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(yes) => yes.to_string(),
        Value::Int(n) => n.to_string(),
        Value::Float(n) => n.to_string(),
        Value::Text(text) => quoted(text),
        Value::List(_) => "[]".to_owned(),
        Value::Map(_) => "{}".to_owned(),
    }
}

/// As it stands where no reader could take it for anything else, in JSON's quotes otherwise (YAML reads them).
fn quoted(text: &str) -> String {
    let starts_plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    let word = matches!(
        text.to_ascii_lowercase().as_str(),
        "y" | "n" | "yes" | "no" | "true" | "false" | "on" | "off" | "null"
    );
    if starts_plain && text.chars().all(plain) && !word {
        text.to_owned()
    } else {
        serde_json::Value::from(text).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heartbeat::config::server::key;

    #[test]
    fn effective_configuration_reads_back_and_hides_secrets() {
        let text = "hb_port: 0\nsite_name: 'no'\nmetrics_token: hush1\nhosts:\n  web1: {tags: [a, b]}\n\
                    users:\n  alice: {admin: true, password: hush2}\n\
                    remote_write: {url: \"http://hush4@x/\", token: hush5, wait: 5}\n\
                    status_page: {token: hush6, title: x}\n\
                    channels:\n  mail: {host: mx, password: {file: /run/x}}\n  chat: {url: hush3}\n";
        let (root, _) = heartbeat::yaml::read(text, "x.yaml").ok().unwrap();
        let document = Document { file: "x.yaml".to_owned(), text: text.to_owned(), root };
        let shown = render(&[document], key::TOP);
        assert!(!shown.contains("hush"), "{shown}");
        for want in ["hb_port: 0\n# ^ x.yaml:1\n", "site_name: \"no\"\n", "# hbd_port: 50004\n"] {
            assert!(shown.contains(want), "{want} in {shown}");
        }
        assert!(shown.contains("      file: /run/x\n"), "{shown}");
        let (again, _) = heartbeat::yaml::read(&shown, "y.yaml").ok().unwrap();
        let tags = again.get("hosts").and_then(|h| h.get("web1")).and_then(|h| h.get("tags"));
        assert!(matches!(tags.map(|t| &t.value), Some(Value::List(items)) if items.len() == 2));
    }
}
