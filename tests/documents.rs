//! The examples of the documents: what a reader copies works.
//!
//! Blocks of YAML that begin with `# hbc.yaml` or `# hbd.yaml`, and those of JSON, are configurations
//! without a problem; the programs are run.

use heartbeat::collect::{Plugin, builtin, nagios};
use heartbeat::config::agent::{self, Agent};
use heartbeat::config::{Document, json, server};
use heartbeat::time::Now;
use heartbeat::yaml;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const PLUGINS: &str = include_str!("../docs/PLUGINS.md");
const README: &str = include_str!("../README.md");
const PAIR: &str = include_str!("../docs/PAIR.md");
const NAGIOS: &str = include_str!("../docs/NAGIOS_INTEGRATION.md");
const NOTIFICATIONS: &str = include_str!("../docs/NOTIFICATIONS.md");

/// The fenced blocks of one language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("\n```{language}\n");
    let inside = |rest: &'a str| rest.split_once("```").map(|(block, _)| block);
    text.split(fence.as_str()).skip(1).filter_map(inside).collect()
}

/// Writes a program that can be run.
fn program(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).expect("written");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("set");
    path
}

fn is_there(program: &str) -> bool {
    let there = Command::new(program).arg("--version").output().is_ok();
    assert!(there || std::env::var_os("HB_REQUIRE_PARTS").is_none(), "{program} is missing");
    there
}

#[test]
fn configurations_in_the_documents_have_no_problem() {
    let mut seen = 0;
    for document in [README, PLUGINS, NAGIOS, PAIR] {
        for text in blocks(document, "yaml").into_iter().chain(blocks(document, "json")) {
            let (root, mut problems) = match text.starts_with('{') {
                true => json::read(text, "example"),
                false => yaml::read(text, "example"),
            }
            .unwrap_or_else(|problem| panic!("{}\n{text}", problem.render_line()));
            let example = Document { file: "example".to_owned(), text: text.to_owned(), root };
            problems.extend(match text.starts_with("# hbd.yaml") {
                true => server::check(&[example]).1,
                false => agent::check(&example).1,
            });
            let lines: Vec<String> = problems.iter().map(|p| p.render_line()).collect();
            assert!(lines.is_empty(), "{lines:?}\n{text}");
            seen += 1;
        }
    }
    assert_eq!(seen, 12, "the examples have moved");
}

#[test]
fn every_type_of_channel_has_an_example_without_a_problem() {
    let mut kinds = std::collections::BTreeSet::new();
    for block in blocks(NOTIFICATIONS, "yaml") {
        let head = if block.starts_with("  ") { "channels:\n" } else { "" };
        let text = format!("{head}{block}");
        let (root, mut problems) =
            yaml::read(&text, "example").unwrap_or_else(|p| panic!("{}\n{text}", p.render_line()));
        let example = Document { file: "example".to_owned(), text: text.clone(), root };
        let (config, found) = server::check(&[example]);
        problems.extend(found);
        let lines: Vec<String> = problems.iter().map(|p| p.render_line()).collect();
        assert!(lines.is_empty(), "{lines:?}\n{text}");
        kinds.extend(config.channels.values().map(|channel| channel.kind));
    }
    assert_eq!(kinds.len(), server::CHANNEL_TYPES.len(), "{kinds:?}");
}

#[test]
fn plugin_of_ten_lines_gives_its_sample() {
    let [text] = blocks(PLUGINS, "python")[..] else { panic!("one example in Python") };
    assert_eq!(text.lines().filter(|line| !line.is_empty()).count(), 9, "it is short");
    if !is_there("python3") {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("one.gz"), "12345").expect("written");
    let text = text.replace("/var/backups", &dir.path().display().to_string());
    let plugin_dir = dir.path().join("plugins");
    std::fs::create_dir(&plugin_dir).expect("made");
    // The agent's PATH need not have the Python that runs the tests.
    let python = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
    let python = String::from_utf8(python.expect("it runs").stdout).expect("a path");
    let text = text.replace("/usr/bin/env python3", python.trim());
    program(&plugin_dir, "backup.py", &text);
    let config = Agent { plugin_dir: Some(plugin_dir), ..Agent::default() };
    let mut plugins = builtin(&config, heartbeat::collect::MINI).into_iter();
    let mut backup = plugins.find(|plugin| plugin.name() == "backup").expect("it is found");
    let value = sample(backup.as_mut());
    assert_eq!((&value["files"], &value["bytes"]), (&1.into(), &5.into()), "{value}");
    assert!(value["age_hours"].as_f64().is_some_and(|age| age < 1.0), "{value}");
}

fn sample(plugin: &mut dyn Plugin) -> Value {
    let mut out = String::new();
    plugin.collect(Now::default(), &mut out).expect("a sample");
    serde_json::from_str(&out).expect("strict JSON")
}

#[test]
fn check_of_the_nagios_page_judges_the_queue() {
    let [text] = blocks(NAGIOS, "sh")[..] else { panic!("one example in sh") };
    let dir = tempfile::tempdir().expect("a directory");
    let check = program(dir.path(), "check_queue", text);
    let queue = dir.path().join("queue");
    std::fs::create_dir(&queue).expect("made");
    let run = || {
        let output = Command::new(&check).env("QUEUE", &queue).output().expect("it runs");
        (output.status.code(), String::from_utf8(output.stdout).expect("text"))
    };
    assert_eq!(run(), (Some(0), "QUEUE OK - oldest message 0 s | age=0s;3600;14400;0\n".into()));
    std::fs::write(queue.join("old"), "").expect("written");
    let old = Command::new("touch").args(["-d", "2 hours ago"]).arg(queue.join("old")).status();
    assert!(old.expect("it runs").success());
    let (status, output) = run();
    let parsed = nagios::parse(&output);
    assert_eq!(nagios::status(nagios::status_code(status)), "WARNING");
    assert!(parsed.text.starts_with("QUEUE WARNING - oldest message 72"), "{output}");
    let age = &parsed.perf[0];
    assert_eq!((age.label.as_str(), age.unit), ("age", "s"));
    assert_eq!(age.warn, Some(nagios::Range::Number(3600.0)));
}
