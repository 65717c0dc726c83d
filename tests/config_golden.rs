//! Configurations and what is said of them: `tests/golden/config/NAME.{yaml,json}` beside
//! `NAME.out`.
//!
//! Names that begin with `agent-` are an agent's files, the others a server's; those that begin
//! with `good-` must be without a problem. `UPDATE_EXPECT=1` writes the `.out` files.

use heartbeat::config::node::Node;
use heartbeat::config::problem::{Problem, render_all};
use heartbeat::config::{Document, agent, json, server};
use heartbeat::yaml;
use proptest::prelude::*;
use std::path::{Path, PathBuf};

#[allow(clippy::disallowed_methods, reason = "the test's own files, which are small")]
fn text_of(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/config");
    let entries = std::fs::read_dir(folder).expect("the folder of the cases");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "yaml" || e == "json"));
    paths.sort();
    paths
}

fn problems_of(file: &str, text: &str) -> Vec<Problem> {
    let read: Result<(Node, Vec<Problem>), Problem> =
        if file.ends_with(".json") { json::read(text, file) } else { yaml::read(text, file) };
    let (root, mut problems) = match read {
        Ok(read) => read,
        Err(problem) => return vec![problem],
    };
    let document = Document { file: file.to_owned(), text: text.to_owned(), root };
    let found = if file.contains("agent-") {
        agent::check(&document).1
    } else {
        server::check(&[document]).1
    };
    problems.extend(found);
    problems
}

#[test]
fn configurations_are_judged_as_their_goldens_say() {
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut wrong = Vec::new();
    for path in cases() {
        let file = path.file_name().expect("a file").to_string_lossy().into_owned();
        let text = text_of(&path);
        let problems = problems_of(&file, &text);
        let mut got = render_all(&problems, |_| Some(text.as_str()));
        if problems.is_empty() {
            got = "no problems\n".to_owned();
        }
        let out = path.with_extension("out");
        if update {
            std::fs::write(&out, &got).expect("the golden can be written");
        } else if text_of(&out) != got {
            wrong.push(format!("--- {file}\n{got}"));
        }
        assert_eq!(problems.is_empty(), file.starts_with("good-"), "{file}: {got}");
        assert!(!got.contains("CANARY"), "{file} shows a secret: {got}");
    }
    assert!(wrong.is_empty(), "not as the goldens say:\n{}", wrong.join("\n"));
}

#[test]
fn goldens_are_many_and_each_line_form_names_its_file() {
    let bad: Vec<PathBuf> =
        cases().into_iter().filter(|path| !path.to_string_lossy().contains("good-")).collect();
    assert!(bad.len() >= 40, "{}", bad.len());
    for path in bad {
        let file = path.file_name().expect("a file").to_string_lossy().into_owned();
        for problem in problems_of(&file, &text_of(&path)) {
            let line = problem.render_line();
            assert!(line.starts_with(&file) && !line.contains('\n'), "{line}");
            assert!(heartbeat::config::problem::topic(problem.code).is_some(), "{}", problem.code);
        }
    }
}

/// Words of configurations, so that random text reaches the checks behind the reader.
const WORDS: &[&str] = &[
    "hosts",
    "users",
    "channels",
    "thresholds",
    "threshold_configs",
    "maintenance",
    "agent",
    "plugins",
    "servers",
    "web1",
    "alice",
    "email",
    "type",
    "cpu_monitor",
    "cpu_percent",
    "warning",
    "critical",
    "operator",
    "display",
    "escalation",
    "to",
    "after",
    "depends_on",
    "password",
    "file",
    "env",
    "start",
    "duration",
    "repeat",
    "days",
    "weekly",
    "nagios_runner",
    "commands",
    "command",
    "name",
    "update",
    "interval",
    "pushsrv",
    "all",
    "fallback",
    "12",
    "-1",
    "1.5",
    "5m",
    "yes",
    "~",
    "'x y'",
    "22:00",
    "<<",
];

proptest! {
    #[test]
    fn any_configuration_is_judged_without_panic(
        parts in proptest::collection::vec((0..WORDS.len(), 0usize..8), 0..60)
    ) {
        let mut text = String::from("{");
        let mut open = vec!['}'];
        for (word, sign) in parts {
            match sign {
                0 => { text.push_str(WORDS[word]); text.push_str(": {"); open.push('}'); }
                1 => { text.push_str(WORDS[word]); text.push_str(": ["); open.push(']'); }
                2 if open.len() > 1 => { text.extend(open.pop()); text.push_str(", "); }
                3 => { text.push_str(WORDS[word]); text.push_str(", "); }
                _ => {
                    let value = WORDS[(word * 7 + sign) % WORDS.len()];
                    text.push_str(&format!("{}: {value}, ", WORDS[word]));
                }
            }
        }
        text.extend(open.iter().rev());
        for file in ["any.yaml", "agent-any.yaml"] {
            let problems = problems_of(file, &text);
            prop_assert!(problems.len() <= 1000 + text.len());
            let out = render_all(&problems, |_| Some(text.as_str()));
            prop_assert!(out.len() < 64 << 10, "{}", out.len());
        }
    }

    #[test]
    fn any_json_is_read_or_refused(text in "[a-b:{}\\[\\],\"0-9.e \n\\\\-]{0,120}") {
        let _ = problems_of("any.json", &text);
    }
}

/// Whether a table has a row for the key that shows these cells.
fn has_row(part: &str, key: &str, cells: &[&str]) -> bool {
    let start = format!("| `{key}` |");
    let mut rows = part.lines().filter(|line| line.starts_with(&start));
    rows.any(|row| cells.iter().all(|cell| row.contains(cell)))
}

/// A section of the documentation, from its heading to the next one of its rank.
fn part_of<'a>(documentation: &'a str, heading: &str) -> &'a str {
    let start = documentation.find(heading).unwrap_or_else(|| panic!("no {heading}"));
    let rest = &documentation[start + heading.len()..];
    &rest[..rest.find("\n## ").unwrap_or(rest.len())]
}

#[test]
fn every_key_is_documented_with_its_default_and_whether_it_is_live() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/CONFIGURATION.md");
    let documentation = text_of(&path);
    let (server_part, agent_part) =
        (part_of(&documentation, "\n## hbd.yaml\n"), part_of(&documentation, "\n## hbc.yaml"));
    for key in server::key::TOP {
        let live = if key.live { "| yes |" } else { "| no |" };
        assert!(has_row(server_part, key.name, &[live, key.default]), "{}", key.name);
    }
    for key in agent::KEYS {
        assert!(has_row(agent_part, key.name, &[key.default]), "{}", key.name);
    }
    let below = [
        (server_part, server::key::HOST),
        (server_part, server::key::ENTRY),
        (server_part, server::key::PROFILE),
        (server_part, server::key::STEP),
        (server_part, server::key::USER),
        (server_part, server::key::USER_CHANNEL),
        (server_part, server::key::STATUS_PAGE),
        (server_part, server::key::REMOTE_WRITE),
        (server_part, server::key::WINDOW),
        (server_part, server::COMMON_CHANNEL_KEYS),
        (agent_part, agent::SERVER_KEYS),
        (agent_part, agent::COMMAND_KEYS),
        (agent_part, agent::UPDATE_KEYS),
    ];
    let channels = server::CHANNEL_TYPES.iter().map(|row| (server_part, row.keys));
    let plugins = agent::BUILT_IN.iter().map(|(_, keys)| (agent_part, *keys));
    for (part, keys) in below.into_iter().chain(channels).chain(plugins) {
        for key in keys {
            assert!(part.contains(&format!("`{}`", key.name)), "{} is not documented", key.name);
        }
    }
}

#[test]
fn examples_of_the_documentation_are_without_a_problem() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/CONFIGURATION.md");
    let documentation = text_of(&path);
    let (_, agent_part) = documentation.split_once("\n## hbc.yaml").expect("the agents' part");
    let examples = documentation.split("```yaml\n").skip(1).filter_map(|s| s.split("```").next());
    assert!(examples.clone().count() >= 5);
    for example in examples {
        let file = if agent_part.contains(example) { "agent-example.yaml" } else { "example.yaml" };
        // An example shows one part of a file: names of the other parts are not there.
        let missing = ["E0109", "E0110", "E0111", "W0205"];
        let problems: Vec<String> = problems_of(file, example)
            .iter()
            .filter(|problem| !missing.contains(&problem.code))
            .map(Problem::render_line)
            .collect();
        assert!(problems.is_empty(), "{problems:?}");
    }
}
