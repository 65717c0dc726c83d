//! The JSON Schemas for editors, `docs/schema/*.json`: made from the tables of keys, and judged by a validator.
//!
//! `UPDATE_EXPECT=1` writes them. What an editor accepts, `check-config` accepts, but for what needs two keys to see.

use heartbeat::config::section::{Key, Kind};
use heartbeat::config::{agent, server};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[allow(clippy::disallowed_methods, reason = "the repository's own files, in a test")]
fn text_of(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

const SECRET: &str = "#/definitions/secret";

/// What a value of a kind may be; nothing is allowed for every key.
fn of_kind(kind: Kind) -> Value {
    let scalar = json!(["string", "integer"]);
    match kind {
        Kind::Bool => json!({ "type": ["boolean", "null"] }),
        Kind::Port | Kind::PortOrOff => {
            json!({ "type": ["integer", "null"], "minimum": 0, "maximum": 65535 })
        }
        Kind::Int(min, max) => {
            json!({ "type": ["integer", "null"], "minimum": min, "maximum": max })
        }
        Kind::Number(min, max) => {
            let mut schema = json!({ "type": ["number", "null"], "minimum": min });
            if max < f64::MAX {
                schema["maximum"] = max.into();
            }
            schema
        }
        Kind::Duration(..) => json!({ "$ref": "#/definitions/duration" }),
        Kind::Size => json!({ "$ref": "#/definitions/size" }),
        Kind::Text(max) => json!({ "type": ["string", "integer", "null"], "maxLength": max }),
        Kind::Path | Kind::FileName | Kind::HostName => {
            json!({ "type": ["string", "integer", "null"], "minLength": 1 })
        }
        Kind::Url => json!({ "type": ["string", "null"], "pattern": "^https?://" }),
        Kind::Secret => json!({ "anyOf": [{ "$ref": SECRET }, { "type": "null" }] }),
        Kind::Choice(choices) => {
            let mut all: Vec<Value> = choices.iter().map(|choice| json!(choice)).collect();
            all.push(Value::Null);
            json!({ "enum": all })
        }
        Kind::List(_) => json!({ "anyOf": [
            { "type": "array" }, { "type": scalar }, { "type": "object" }, { "type": "null" },
        ]}),
        Kind::Section => json!({}),
    }
}

/// A section whose keys are known; `own` says more of some of them.
fn section(keys: &[Key], own: &[(&str, Value)], meaning: &dyn Fn(&str) -> Option<String>) -> Value {
    let mut properties = Map::new();
    for key in keys {
        let found = own.iter().find(|(name, _)| *name == key.name);
        let mut schema = found.map_or_else(|| of_kind(key.kind), |(_, schema)| schema.clone());
        let what = meaning(key.name).unwrap_or_default();
        let default = format!("Default: {}.", key.default);
        schema["description"] = format!("{what} {default}").trim().into();
        properties.insert(key.name.to_owned(), schema);
    }
    let required: Vec<&str> =
        keys.iter().filter(|key| key.default == "required").map(|key| key.name).collect();
    let mut schema = json!({ "type": ["object", "null"], "properties": properties, "additionalProperties": false });
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    schema
}

fn named(inner: Value) -> Value {
    json!({ "type": ["object", "null"], "additionalProperties": inner })
}

fn list_of(inner: Value) -> Value {
    json!({ "anyOf": [{ "type": "array", "items": inner }, inner, { "type": "null" }] })
}

fn definitions() -> Value {
    json!({
        "duration": {
            "anyOf": [
                { "type": ["number", "null"], "minimum": 0 },
                { "type": "string", "pattern": "^\\s*([0-9]+(\\.[0-9]+)?\\s*[smhdw]?\\s*)+$" },
            ],
            "description": "Seconds, or a number with s, m, h, d or w: 30, 30s, 5m, 1h30m, 7d.",
        },
        "size": {
            "anyOf": [
                { "type": ["integer", "null"], "minimum": 0 },
                { "type": "string", "pattern": "^\\s*[0-9.]+\\s*([bB]|[kKmMgGtT]([iI]?[bB])?)?\\s*$" },
            ],
            "description": "Bytes, or a number with kB, MB, GB or TB: 100MB; 1 MB is 2^20 bytes.",
        },
        "secret": {
            "anyOf": [
                { "type": ["string", "integer"] },
                { "type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": false,
                  "properties": { "file": { "type": "string" }, "env": { "type": "string" },
                                  "credential": { "type": "string" } } },
            ],
            "description": "Text, {file: PATH}, {env: NAME} or {credential: NAME}.",
        },
    })
}

/// Meanings from a part of the documentation: the last cell of the row of a key.
fn meanings(part: &str) -> impl Fn(&str) -> Option<String> + '_ {
    |key| {
        let start = format!("| `{key}` |");
        let row = part.lines().find(|line| line.starts_with(&start))?;
        let last = row.trim_end_matches([' ', '|']).rsplit(" | ").next()?;
        Some(last.replace(['`', '*'], ""))
    }
}

fn whole(title: &str, mut schema: Value) -> Value {
    schema["$schema"] = "http://json-schema.org/draft-07/schema#".into();
    schema["title"] = title.into();
    schema["definitions"] = definitions();
    schema
}

fn server_schema(part: &str) -> Value {
    let meaning = meanings(part);
    let none = |_: &str| None;
    let steps = || list_of(section(server::key::STEP, &[], &none));
    let mut channel_keys: Vec<Key> = server::COMMON_CHANNEL_KEYS.to_vec();
    for row in server::CHANNEL_TYPES {
        for key in row.keys {
            if !channel_keys.iter().any(|known| known.name == key.name) {
                // The same name takes other things in other types.
                channel_keys.push(Key { kind: Kind::Section, default: "by type", ..*key });
            }
        }
    }
    let user_channel = json!({ "anyOf": [
        { "type": "string" },
        section(server::key::USER_CHANNEL, &[], &none),
    ]});
    let user =
        section(server::key::USER, &[("notification_channels", list_of(user_channel))], &meaning);
    let host = section(server::key::HOST, &[("escalation", steps())], &meaning);
    let dns = json!({ "type": ["string", "boolean", "null"] });
    let host = with(host, "dns", dns);
    let thresholds = || json!({ "type": ["object", "null"] });
    let profile = section(server::key::PROFILE, &[("thresholds", thresholds())], &none);
    let mut agent_keys: Vec<Key> =
        agent::KEYS.iter().filter(|key| key.name != "servers").copied().collect();
    agent_keys.push(Key { name: "enabled", kind: Kind::Bool, default: "false", live: false });
    let own = [
        ("status_page", section(server::key::STATUS_PAGE, &[], &none)),
        ("hosts", named(host)),
        ("thresholds", thresholds()),
        ("threshold_configs", named(profile)),
        ("escalation", steps()),
        ("users", named(user)),
        ("channels", named(section(&channel_keys, &[], &none))),
        ("maintenance", list_of(section(server::key::WINDOW, &[], &none))),
        ("agent", section(&agent_keys, &[], &none)),
    ];
    let mut schema = section(server::key::TOP, &own, &meaning);
    for (name, instead) in server::key::OLD {
        let what = format!("A key of the Python program, ignored here. {instead}");
        schema["properties"][name] = json!({ "description": what.trim(), "deprecated": true });
    }
    whole("hbd.yaml, the Heartbeat server", schema)
}

fn with(mut schema: Value, key: &str, mut value: Value) -> Value {
    value["description"] = schema["properties"][key]["description"].clone();
    schema["properties"][key] = value;
    schema
}

fn agent_schema(part: &str) -> Value {
    let meaning = meanings(part);
    let none = |_: &str| None;
    let entry = json!({ "anyOf": [{ "type": "string" }, section(agent::SERVER_KEYS, &[], &none)] });
    let mut plugins = json!({ "type": ["object", "null"], "properties": {} });
    for (name, keys) in agent::BUILT_IN {
        plugins["properties"][name] = section(keys, &[], &none);
    }
    plugins["additionalProperties"] = json!({ "type": ["object", "null"] });
    let own = [
        ("servers", list_of(entry)),
        ("plugins", plugins),
        ("commands", named(section(agent::COMMAND_KEYS, &[], &none))),
        ("update", section(agent::UPDATE_KEYS, &[], &none)),
    ];
    whole("hbc.yaml and hbc.json, the Heartbeat agents", section(agent::KEYS, &own, &meaning))
}

fn schemas() -> [(&'static str, Value); 2] {
    let documentation = text_of(&root().join("docs/CONFIGURATION.md"));
    let (server, agent) = documentation.split_once("\n## hbc.yaml").expect("two parts");
    [("hbd.schema.json", server_schema(server)), ("hbc.schema.json", agent_schema(agent))]
}

#[test]
fn schemas_are_what_the_tables_of_keys_say() {
    for (name, schema) in schemas() {
        let text = serde_json::to_string_pretty(&schema).expect("it can be written") + "\n";
        let path = root().join("docs/schema").join(name);
        expect_test::ExpectFile { path, position: file!() }.assert_eq(&text);
    }
}

/// Reads a schema and files of YAML; says of each whether the schema takes it.
const JUDGE: &str = r#"
import json, sys, jsonschema, yaml
schema = json.load(open(sys.argv[1]))
jsonschema.Draft7Validator.check_schema(schema)
judge = jsonschema.Draft7Validator(schema)
for path in sys.argv[2:]:
    errors = [e.message for e in judge.iter_errors(yaml.safe_load(open(path)))]
    print("bad" if errors else "good", path, "; ".join(errors)[:200])
"#;

/// What the validator says of files: `good`, or `bad` and why. `None` where there is no validator.
fn judge(schema: &str, files: &[PathBuf]) -> Option<Vec<String>> {
    let output = Command::new("/usr/bin/python3")
        .args(["-c", JUDGE])
        .arg(root().join("docs/schema").join(schema))
        .args(files)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let told = String::from_utf8_lossy(&output.stderr);
    let missing = told.contains("No module named");
    assert!(!missing || std::env::var_os("HB_REQUIRE_PARTS").is_none(), "{told}");
    if missing {
        return None;
    }
    assert!(output.status.success(), "{told}");
    Some(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

/// The cases of `tests/golden/config` whose names begin so.
fn cases(start: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join("tests/golden/config")).expect("the cases");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(start) && (name.ends_with(".yaml") || name.ends_with(".json"))
    });
    paths.sort();
    paths
}

#[test]
fn schema_takes_every_good_configuration() {
    // A file that PyYAML itself reads otherwise than it is meant (`22:00`, `{a: 1,2}`) is no case for an editor.
    let read_otherwise = ["good-schedules", "good-python-words", "good-merge-keys"];
    let ours = |path: &PathBuf| !read_otherwise.iter().any(|n| path.to_string_lossy().contains(n));
    let all = cases("good-");
    let (agents, servers): (Vec<PathBuf>, Vec<PathBuf>) = all
        .into_iter()
        .filter(ours)
        .partition(|path| path.to_string_lossy().contains("good-agent"));
    assert!(servers.len() >= 3 && agents.len() >= 2, "{servers:?} {agents:?}");
    for (schema, files) in [("hbd.schema.json", servers), ("hbc.schema.json", agents)] {
        for line in judge(schema, &files).unwrap_or_default() {
            assert!(line.starts_with("good "), "{line}");
        }
    }
}

#[test]
fn schema_refuses_what_an_editor_can_see() {
    let names = ["choices", "ranges", "channel-type", "text-that-is-not", "secret-shapes"];
    let names: Vec<&str> = names.into_iter().filter(|name| !cases(name).is_empty()).collect();
    assert!(names.len() >= 4, "{names:?}");
    let files: Vec<PathBuf> = names.iter().flat_map(|name| cases(name)).collect();
    let told = judge("hbd.schema.json", &files).unwrap_or_default();
    let bad = told.iter().filter(|line| line.starts_with("bad ")).count();
    assert!(told.is_empty() || bad + 1 >= told.len(), "{told:?}");
}
