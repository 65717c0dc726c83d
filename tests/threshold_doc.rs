//! Runs the examples of docs/THRESHOLD_ALERTING.md: each `yaml` block is a configuration without
//! problems, and the blocks after it say what follows from it for the host web1.
//!
//! `alerts`: a metric, then `[TIME] VALUE -> LEVEL [NOTICE]` line by line, a minute apart where no
//! time stands; `with FIELD: TEXT` puts a field beside the metric. `names`: `METRIC -> ENTRY`.

use heartbeat::alert::{
    AlertState, Fields, Level, NoticeKind, Question, Rule, Ruleset, Scope, Step, explain,
    metric_path, text,
};
use heartbeat::alert::{RulesetId, RulesetTable};
use heartbeat::config::Document;
use heartbeat::config::server::{self, Server};
use heartbeat::time::{Mono, parse_duration};
use heartbeat::wire::LeafValue;
use heartbeat::yaml;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const PAGE: &str = include_str!("../docs/THRESHOLD_ALERTING.md");

/// The fenced blocks of the page: their language and their text.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let mut found = Vec::new();
    for (index, part) in PAGE.split("```").enumerate() {
        if index % 2 == 1 {
            found.push(part.split_once('\n').expect("a fence on a line of its own"));
        }
    }
    found
}

fn configuration(text: &str) -> Server {
    let (root, read) = yaml::read(text, "hbd.yaml").expect("YAML");
    let (server, checked) =
        server::check(&[Document { file: "hbd.yaml".into(), text: text.into(), root }]);
    let problems: Vec<String> = read.iter().chain(&checked).map(|p| p.render_line()).collect();
    assert!(problems.is_empty(), "{text}\n{}", problems.join("\n"));
    let rulesets = RulesetTable::compile(&server);
    for rule in rulesets.ruleset(id(&rulesets, &server)).rules() {
        assert_eq!(rule.display_fault(), None, "{}", rule.path);
    }
    server
}

fn id(table: &RulesetTable, server: &Server) -> RulesetId {
    table.id(server.hosts.get("web1").map_or(&[], |host| &host.threshold_config))
}

#[test]
fn examples_of_the_page_come_out_as_it_says() {
    let mut server = None;
    let mut seen = BTreeMap::new();
    for (language, text) in blocks() {
        *seen.entry(language).or_insert(0) += 1;
        match (language, &server) {
            ("yaml", _) => server = Some(configuration(text)),
            ("alerts", Some(server)) => check_alerts(server, text),
            ("names", Some(server)) => check_names(server, text),
            other => panic!("a block that is not checked: {other:?}\n{text}"),
        }
    }
    assert!(seen["yaml"] >= 7 && seen["alerts"] >= 8 && seen["names"] >= 2, "{seen:?}");
}

/// The leaf as an agent sends it: the page names metrics without their containers.
fn with_container(plugin: &str, metric: &str) -> String {
    match plugin {
        "disk_monitor" => format!("partitions.{metric}"),
        "zfs_monitor" => format!("pools.{metric}"),
        _ => metric.to_owned(),
    }
}

fn check_alerts(server: &Server, text: &str) {
    let mut lines = text.lines();
    let path = lines.next().expect("a metric");
    let (plugin, metric) = path.split_once('.').expect("a path");
    let leaf = with_container(plugin, metric);
    assert_eq!(metric_path(plugin, &leaf), path);
    let mut table = RulesetTable::compile(server);
    let ruleset = id(&table, server);
    let mut scope: Scope = table.scope(ruleset, plugin).expect("rules of the plugin");
    let found = scope.find(&leaf).expect("a rule");
    let mut alert =
        Alert { state: AlertState::default(), beside: Vec::new(), path, plugin, leaf: &leaf };
    let mut at = Mono::ZERO;
    for line in lines {
        if let Some((field, value)) = line.strip_prefix("with ").and_then(|l| l.split_once(": ")) {
            let value = serde_json::from_str(value).unwrap_or_else(|_| json!(value));
            alert.beside.push((field.to_owned(), value));
            continue;
        }
        let (value, then) = line.split_once(" -> ").expect("an arrow");
        let (level, notice) = then.split_once(' ').unwrap_or((then, ""));
        at = at + std::time::Duration::from_secs(60);
        let value = match value.split_once(' ') {
            Some((time, value)) => {
                at = Mono::ZERO + parse_duration(time).expect("a time");
                value
            }
            None => value,
        };
        let value: Value = serde_json::from_str(value).expect("a JSON value");
        let told = alert.judge(found.rule, found.check_name, &value, at);
        assert_eq!(
            (alert.state.level().as_str(), told.as_str()),
            (level, notice.trim()),
            "{path}: {line}"
        );
    }
}

struct Alert<'a> {
    state: AlertState,
    beside: Vec<(String, Value)>,
    path: &'a str,
    plugin: &'a str,
    leaf: &'a str,
}

impl Alert<'_> {
    /// What is told of the value; empty where nothing is.
    fn judge(&mut self, rule: &Rule, check_name: &str, value: &Value, at: Mono) -> String {
        let leaf_value = match value {
            Value::String(text) => LeafValue::Text(text),
            value => LeafValue::Number(value.as_f64().expect("a number")),
        };
        let Step::Changed(change) = self.state.step(rule, leaf_value, at) else {
            return String::new();
        };
        let subject = text::Subject { host: "web1", metric_path: self.path, value: leaf_value };
        let data = self.data(value);
        match change.notice() {
            Some(NoticeKind::Raised) => {
                let (level, plugin, leaf) = (change.to, self.plugin, self.leaf);
                let value = leaf_value;
                let fields = Fields { rule, level, check_name, plugin, leaf, value, data: &data };
                text::raised(&subject, change.to, &fields.display())
            }
            Some(NoticeKind::Recovered) => text::recovered(&subject, change.from),
            None => String::new(),
        }
    }

    /// A sample with the value at its leaf.
    fn data(&self, value: &Value) -> Value {
        let mut keys: Vec<&str> = Vec::new();
        let mut rest = self.leaf;
        if let Some((container, inner)) = rest.split_once('.') {
            let (key, last) = inner.rsplit_once('.').unwrap_or((inner, ""));
            keys.extend([container, key]);
            rest = last;
        }
        let mut inner = serde_json::Map::from_iter(self.beside.iter().cloned());
        inner.insert(rest.to_owned(), value.clone());
        keys.into_iter().rev().fold(Value::Object(inner), |data, key| json!({ key: data }))
    }
}

fn check_names(server: &Server, text: &str) {
    let profiles = server.hosts.get("web1").map_or(&[][..], |host| &host.threshold_config);
    let rules = Ruleset::compile(server, profiles);
    for line in text.lines() {
        let (metric, want) = line.split_once("->").expect("an arrow");
        let metric = metric.trim();
        let question =
            Question { host: "web1", metric, value: None, before: Level::Ok, data: &Value::Null };
        let answer = explain(&rules, &question);
        let mut got = answer.rule.as_ref().map_or("nothing", |rule| &rule.path).to_owned();
        if !answer.check_name.is_empty() {
            got.push_str(&format!(", check_name {}", answer.check_name));
        }
        if answer.rule.is_some_and(|rule| !rule.enabled) {
            got.push_str(", switched off");
        }
        assert_eq!(got, want.trim(), "{metric}");
    }
}
