//! `hbd init [DIR]`: a first configuration in which every key and its default can be seen, and the units of systemd.
//!
//! Never overwrites a file.

use crate::args::Invocation;
use crate::reference::{self, Row};
use crate::{EXIT_FAILED, EXIT_OK};
use heartbeat::config::section::Kind;
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const DIR: &str = "/etc/heartbeat";
const SERVICE: &str = include_str!("../../../packaging/systemd/hbd.service");
const SOCKET: &str = include_str!("../../../packaging/systemd/hbd.socket");
/// Where comments are broken.
const WIDTH: usize = 88;

pub fn run(invocation: &Invocation) -> u8 {
    let dir = PathBuf::from(invocation.words.first().map_or(DIR, String::as_str));
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("/usr/bin/hbd"));
    match write(&dir, &program) {
        Ok(()) => {
            let dir = dir.display();
            println!(
                "{dir}/hbd.yaml: every key with its default, as comments\n\
                 {dir}/hbd.service and hbd.socket: for systemd, in /etc/systemd/system\n\
                 Next: hbd check-config -c {dir}/hbd.yaml; hbd -f -c {dir}/hbd.yaml; \
                 hbd passwd USER to open the pages to others"
            );
            EXIT_OK
        }
        Err(error) => {
            eprintln!("hbd: {error}");
            EXIT_FAILED
        }
    }
}

fn write(dir: &Path, program: &Path) -> Result<(), String> {
    let say = |path: &Path, error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            format!("{} is there already and is left as it is", path.display())
        }
        std::io::ErrorKind::PermissionDenied => {
            let uid = nix::unistd::geteuid();
            format!("{}: {error} (as uid {uid}) - name another directory", path.display())
        }
        _ => format!("{}: {error}", path.display()),
    };
    let mut builder = std::fs::DirBuilder::new();
    let parts = dir.join("conf.d");
    builder.recursive(true).mode(0o755).create(&parts).map_err(|e| say(&parts, e))?;
    let service = SERVICE.replace("/usr/bin/hbd", &program.display().to_string());
    let files = [
        ("hbd.yaml", 0o640, configuration()),
        ("hbd.service", 0o644, service),
        ("hbd.socket", 0o644, SOCKET.to_owned()),
    ];
    for (name, mode, text) in files {
        let path = dir.join(name);
        let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&path);
        file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|e| say(&path, e))?;
    }
    Ok(())
}

/// The text of the file: an empty configuration, all of it explained.
pub fn configuration() -> String {
    let mut out = String::from(
        "# The configuration of hbd, the Heartbeat server. As it stands it sets nothing: every key is here as a\n\
         # comment with its default. Take the # away from what you want otherwise. Files in conf.d/*.yaml beside\n\
         # this one are laid over it, in the order of their names.\n\
         #\n\
         #   hbd check-config            tells every mistake, with its place and how to mend it\n\
         #   hbd check-config --print    shows what is in force, and where it comes from\n\
         #   hbd reload                  applies changes; keys marked (restart) wait for a restart\n",
    );
    for (title, rows) in reference::parts() {
        let _ = write!(out, "\n\n# ==== {title}\n");
        for row in &rows {
            out.push('\n');
            wrap(&mut out, row);
            out.push_str(&setting(row));
        }
    }
    out
}

fn wrap(out: &mut String, row: &Row) {
    let restart = if row.key.live { "" } else { " (restart)" };
    let mut line = String::from("#");
    for word in format!("{}{restart}", row.meaning).split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            let _ = writeln!(out, "{line}");
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    let _ = writeln!(out, "{line}");
}

/// `#key: default`, or an example where the default is nothing.
fn setting(row: &Row) -> String {
    let name = row.key.name;
    if let Some((_, example)) = EXAMPLES.iter().find(|(key, _)| *key == name) {
        return example.lines().map(|line| format!("#{line}\n")).collect();
    }
    match default_value(name, row.key.kind, row.key.default) {
        Some(value) => format!("#{name}: {value}\n"),
        None => format!("#{name}: null    # {}\n", row.key.default),
    }
}

/// The default as a value of YAML, where it is one and not a description.
pub fn default_value(name: &str, kind: Kind, default: &str) -> Option<String> {
    let empty = match kind {
        Kind::List(_) => "[]",
        Kind::Section => "{}",
        _ => "null",
    };
    if default == "off" {
        return Some("null".to_owned());
    }
    if default == "none" {
        return Some(empty.to_owned());
    }
    let words = matches!(kind, Kind::Text(_) | Kind::Path | Kind::Url | Kind::List(_));
    let is_value = match kind {
        Kind::Section | Kind::Secret => false,
        _ if words => matches!(name, "site_name" | "cert_path" | "nsupdate_bin"),
        Kind::FileName | Kind::Bool => true,
        Kind::Choice(choices) => choices.contains(&default),
        _ => default.starts_with(|c: char| c.is_ascii_digit()) && !default.contains([' ', ';']),
    };
    is_value.then(|| default.to_owned())
}

/// Sections have no default that would say anything.
const EXAMPLES: &[(&str, &str)] = &[
    (
        "status_page",
        "status_page: {public: true, title: Our services, groups: {Web: [\"tag:web\"]}}",
    ),
    (
        "hosts",
        "hosts:\n  gw-01: {group: network}\n  web-01: {owner: alice, tags: [web], depends_on: gw-01}\n\
         \x20 laptop: {expected: intermittent, watch: false}",
    ),
    (
        "thresholds",
        "thresholds:\n  cpu_monitor:\n    cpu_percent: {warning: 80, critical: 90}\n\
         \x20 disk_monitor:\n    partitions:\n      /: {percent: {warning: 80, critical: 90}}",
    ),
    (
        "threshold_configs",
        "threshold_configs:\n  tight_cpu:\n\
         \x20   thresholds: {cpu_monitor: {cpu_percent: {warning: 60, critical: 75}}}",
    ),
    ("escalation", "escalation: [{after: 15m, to: [alice], level: critical}]"),
    (
        "users",
        "users:\n  alice:\n    full_name: Alice Smith\n    admin: true\n\
         \x20   password: {file: /etc/heartbeat/alice.hash}    # what hbd passwd alice prints\n\
         \x20   notification_channels: [{channel: email, to: alice@example.net}]",
    ),
    (
        "channels",
        "channels:\n  email:\n    host: mail.example.net\n    user: hb\n    password: {file: /run/secrets/smtp}\n\
         \x20   from: heartbeat@example.net\n    to: [ops@example.net]",
    ),
    ("pushsrv", "pushsrv: [email]"),
    (
        "maintenance",
        "maintenance:\n  - {hosts: [web-01], start: \"03:00\", duration: 30m, repeat: weekly, days: [sun]}",
    ),
    ("agent", "agent: {enabled: true}"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use heartbeat::config::{Document, server};

    fn problems(text: &str) -> Vec<String> {
        let (root, mut problems) = heartbeat::yaml::read(text, "hbd.yaml").unwrap();
        let document = Document { file: "hbd.yaml".to_owned(), text: text.to_owned(), root };
        problems.extend(server::check(&[document]).1);
        problems.iter().map(|problem| problem.render_line()).collect()
    }

    #[test]
    fn file_of_init_is_empty_and_right_with_every_comment_taken_away() {
        let text = configuration();
        assert!(text.lines().all(|line| line.is_empty() || line.starts_with('#')));
        assert!(problems(&text).is_empty());
        for key in server::key::TOP {
            assert!(text.contains(&format!("\n#{}:", key.name)), "{}", key.name);
        }
        let open: String = text
            .lines()
            .filter(|line| line.len() > 1 && !line.starts_with("# ") || line.starts_with("#  "))
            .map(|line| format!("{}\n", &line[1..]))
            .filter(|line| !line.starts_with("   hbd "))
            .collect();
        assert_eq!(problems(&open), Vec::<String>::new(), "{open}");
    }

    #[test]
    fn examples_of_init_are_without_a_problem() {
        let all: Vec<&str> = EXAMPLES.iter().map(|(_, example)| *example).collect();
        assert_eq!(problems(&all.join("\n")), Vec::<String>::new());
    }

    #[test]
    fn defaults_of_init_are_the_defaults() {
        for (_, rows) in reference::parts() {
            for row in rows {
                let Some(value) = default_value(row.key.name, row.key.kind, row.key.default) else {
                    continue;
                };
                let found = problems(&format!("{}: {value}\n", row.key.name));
                assert!(found.is_empty(), "{found:?}");
            }
        }
    }
}
