//! The configuration in force as YAML: every key, where it was written or its default, secrets masked.

use crate::init::default_value;
use heartbeat::config::node::{Document, Node, Span, Value, merge};
use heartbeat::config::section::{Key, Kind};
use std::fmt::Write as _;
use std::path::Path;

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

/// From which depth on the keys of a section are shown only where they are in [`SHOWN`].
pub fn guarded_from(section: &str) -> Option<usize> {
    match section {
        // The first level is names that users chose.
        "users" | "channels" => Some(2),
        "status_page" => Some(1),
        _ => None,
    }
}

/// The names below `status_page.groups` are titles that people read.
pub fn guarded_below(guarded: Option<usize>, key: &str) -> Option<usize> {
    guarded.filter(|from| (*from, key) != (1, "groups"))
}

/// A secret that is only named stays readable: `{file: …}`, `{env: …}`, `{credential: …}`.
pub const REFERENCES: &[&str] = &["file", "env", "credential"];

/// A key that the files leave open and the machine decides: its value, and where that comes from.
pub struct Resolved {
    pub key: &'static str,
    pub value: String,
    /// `env STATE_DIRECTORY`, `flag --with-agent`, `default`
    pub origin: String,
}

/// Renders the documents as merged, a line for each value, with its place behind it. `keys` is the table of the top
/// level; places are shown from `base` on.
pub fn render(documents: &[Document], keys: &[Key], resolved: &[Resolved], base: &Path) -> String {
    let mut page = Page { out: String::new(), documents, base };
    let root = merge(documents);
    for key in keys {
        let written = root.get(key.name).filter(|node| node.value != Value::Null);
        if let Some(node) = written {
            let _ = write!(page.out, "{}:", key.name);
            let secret = key.kind == Kind::Secret;
            page.write_value(node, 1, guarded_from(key.name), secret);
        } else if let Some(found) = resolved.iter().find(|found| found.key == key.name) {
            let _ =
                writeln!(page.out, "{}: {}  # {}", key.name, quoted(&found.value), found.origin);
        } else if let Some(value) = default_value(key.name, key.kind, key.default) {
            let _ = writeln!(page.out, "{}: {value}  # default", key.name);
        } else {
            let _ = writeln!(page.out, "# {}: {}  # default", key.name, key.default);
        }
    }
    page.out
}

struct Page<'a> {
    out: String,
    documents: &'a [Document],
    base: &'a Path,
}

impl Page<'_> {
    /// Writes what follows `key:` or `-`, ended by a newline.
    fn write_value(&mut self, node: &Node, depth: usize, guarded: Option<usize>, secret: bool) {
        let indent = "  ".repeat(depth);
        match &node.value {
            Value::Map(entries) if !entries.is_empty() => {
                self.out.push('\n');
                let is_reference = secret && entries.iter().all(|(k, _)| is_reference(&k.text));
                for (key, value) in entries {
                    let _ = write!(self.out, "{indent}{}:", quoted(&key.text));
                    // Below a guarded section the first level is names that users chose.
                    let is_guarded = guarded.is_some_and(|from| depth >= from);
                    let hidden = (is_guarded && !SHOWN.contains(&key.text.as_str()))
                        || (depth == 1 && HIDDEN.contains(&key.text.as_str()));
                    self.write_value(
                        value,
                        depth + 1,
                        guarded_below(guarded, &key.text),
                        !is_reference && (secret || hidden),
                    );
                }
            }
            Value::List(items) if !items.is_empty() && !secret => {
                if items.iter().any(|item| matches!(item.value, Value::Map(_) | Value::List(_))) {
                    self.out.push('\n');
                    for item in items {
                        let _ = write!(self.out, "{indent}-");
                        self.write_value(item, depth + 1, guarded, secret);
                    }
                } else {
                    let items: Vec<String> = items.iter().map(|item| scalar(&item.value)).collect();
                    self.end_line(&format!("[{}]", items.join(", ")), node.span);
                }
            }
            _ if secret => self.end_line(MASK, node.span),
            value => self.end_line(&scalar(value), node.span),
        }
    }

    fn end_line(&mut self, value: &str, span: Span) {
        let file = self.documents.get(usize::from(span.document)).map_or("", |d| d.file.as_str());
        let shown = Path::new(file).strip_prefix(self.base).unwrap_or(Path::new(file));
        let _ = writeln!(self.out, " {value}  # {}:{}", shown.display(), span.line);
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
                    status_page: {token: hush6, title: x, groups: {Web: [a]}}\n\
                    channels:\n  mail: {host: mx, password: {file: /run/x}}\n  chat: {url: hush3}\n";
        let (root, _) = heartbeat::yaml::read(text, "x.yaml").ok().unwrap();
        let document = Document { file: "x.yaml".to_owned(), text: text.to_owned(), root };
        let state = Resolved {
            key: "state_dir",
            value: "/s".to_owned(),
            origin: "env STATE_DIRECTORY".to_owned(),
        };
        let shown = render(&[document], key::TOP, &[state], Path::new("/etc"));
        assert!(!shown.contains("hush"), "{shown}");
        for want in [
            "hb_port: 0  # x.yaml:1\n",
            "site_name: \"no\"  # x.yaml:2\n",
            "hbd_port: 50004  # default\n",
            "state_dir: /s  # env STATE_DIRECTORY\n",
            "# udp_policy: open without keys, else known  # default\n",
            "    tags: [a, b]  # x.yaml:5\n",
            "      file: /run/x  # x.yaml:11\n",
            "    Web: [a]  # x.yaml:9\n",
        ] {
            assert!(shown.contains(want), "{want} in {shown}");
        }
        let (again, _) = heartbeat::yaml::read(&shown, "y.yaml").ok().unwrap();
        let tags = again.get("hosts").and_then(|h| h.get("web1")).and_then(|h| h.get("tags"));
        assert!(matches!(tags.map(|t| &t.value), Some(Value::List(items)) if items.len() == 2));
    }
}
