//! `plugins.<name>`: the keys of the built-in plugins and of your own.

use super::command::words;
use super::{NagiosCommand, PingHost, Plugin, set};
use crate::config::node::{self, Document, Value};
use crate::config::problem::{LACKING, Problem, UNKNOWN_KEY, nearest, quoted};
use crate::config::scalar;
use crate::config::section::{At, Fault, Key, Kind, Report, Section, fixed};
use crate::text;
use std::collections::BTreeMap;
use std::time::Duration;

/// The plugins that the agents come with, and the keys of each.
pub const BUILT_IN: &[(&str, &[Key])] = &[
    ("os_info", &[ENABLED, INTERVAL, TIMEOUT]),
    ("cpu_monitor", &[ENABLED, INTERVAL, TIMEOUT, fixed("per_core", Kind::Bool, "false")]),
    ("memory_monitor", &[ENABLED, INTERVAL, TIMEOUT]),
    (
        "disk_monitor",
        &[
            ENABLED,
            INTERVAL,
            TIMEOUT,
            INCLUDE,
            EXCLUDE,
            fixed("fstypes", Kind::List("texts"), "block-backed ones"),
            fixed("io", Kind::Bool, "true"),
        ],
    ),
    ("network_monitor", &[ENABLED, INTERVAL, TIMEOUT, INCLUDE, EXCLUDE]),
    ("system_monitor", &[ENABLED, INTERVAL, TIMEOUT]),
    (
        "ping_monitor",
        &[
            ENABLED,
            INTERVAL,
            fixed("timeout", Kind::Duration(0, 60), "2"),
            fixed("hosts", Kind::List("names or addresses, or {name, address}"), "none"),
            fixed("count", Kind::Int(1, 20), "3"),
            fixed("source", Kind::Text(64), "none"),
        ],
    ),
    ("filesystem_info", &[ENABLED, INTERVAL, TIMEOUT, fixed("all", Kind::Bool, "false")]),
    (
        "nagios_runner",
        &[
            ENABLED,
            INTERVAL,
            TIMEOUT,
            fixed("commands", Kind::List("{name, command, timeout, env}"), "none"),
        ],
    ),
    (
        "zfs_monitor",
        &[
            ENABLED,
            INTERVAL,
            TIMEOUT,
            fixed("pools", Kind::List("globs"), "all"),
            fixed("zpool", Kind::Path, "from PATH"),
        ],
    ),
];

const ENABLED: Key = fixed("enabled", Kind::Bool, "on where the machine has what it needs");
const INTERVAL: Key = fixed("interval", Kind::Duration(1, 86400), "300");
const TIMEOUT: Key = fixed("timeout", Kind::Duration(1, 86400), "30");
const INCLUDE: Key = fixed("include", Kind::List("globs"), "all");
const EXCLUDE: Key = fixed("exclude", Kind::List("globs"), "the plugin's own");

/// A plugin of your own.
pub const OWN_KEYS: &[Key] = &[
    ENABLED,
    INTERVAL,
    TIMEOUT,
    fixed("command", Kind::List("texts"), "the file of that name in plugin_dir"),
    fixed("kind", Kind::Choice(&["monitor", "info"]), "monitor"),
    fixed("stream", Kind::Bool, "false"),
];

/// An entry of `nagios_runner.commands`.
pub const NAGIOS_KEYS: &[Key] = &[
    fixed("name", Kind::Text(64), "required"),
    fixed("command", Kind::List("texts"), "required"),
    fixed("timeout", Kind::Duration(1, 86400), "the plugin's"),
    fixed("env", Kind::Section, "none"),
];

/// An entry of `ping_monitor.hosts`.
pub const PING_KEYS: &[Key] =
    &[fixed("name", Kind::Text(128), "the address"), fixed("address", Kind::Text(255), "required")];

/// Plugins that are configured and that the agent of this name is built without: `has` tells which it has.
pub fn lacking(document: &Document, agent: &str, has: impl Fn(&str) -> bool) -> Vec<Problem> {
    let mut report = Report::new(std::slice::from_ref(document));
    let plugins = document.root.get("plugins").map(|node| &node.value);
    let Some(Value::Map(entries)) = plugins else { return Vec::new() };
    for (key, _) in entries {
        let name = key.text.as_str();
        if BUILT_IN.iter().any(|(built_in, _)| *built_in == name) && !has(name) {
            let what = format!("{agent} has no {name}, ignored");
            let path = format!("plugins.{name}");
            report.warn(key.span, &path, LACKING, what, "leave it out, or run hbc here");
        }
    }
    report.problems
}

pub(super) fn check(report: &mut Report<'_>, at: &At<'_>) -> BTreeMap<String, Plugin> {
    let mut plugins = BTreeMap::new();
    for (key, node) in at.entries(report) {
        let at = at.child(key, node);
        if !text::is_plugin_name(&key.text) {
            let what = format!("{} is not a name of a plugin", quoted(&key.text));
            report.name_error(&at, what, "use a-z, 0-9 and '_', at most 32");
            continue;
        }
        plugins.insert(key.text.clone(), check_one(report, &at, key));
    }
    plugins
}

fn check_one(report: &mut Report<'_>, at: &At<'_>, key: &node::Key) -> Plugin {
    let built_in = BUILT_IN.iter().find(|(name, _)| *name == key.text);
    let keys = built_in.map_or(OWN_KEYS, |(_, keys)| keys);
    let mut plugin = Plugin::default();
    if key.text == "ping_monitor" {
        plugin.timeout = Duration::from_secs(2);
    }
    if built_in.is_none() && at.node.get("command").is_none() && misspelled(report, at, key) {
        return plugin;
    }
    let Some(section) = Section::open(report, at, keys) else { return plugin };
    plugin.enabled = section.bool(report, "enabled");
    set(&mut plugin.interval, section.duration(report, "interval"));
    set(&mut plugin.timeout, section.duration(report, "timeout"));
    match key.text.as_str() {
        "cpu_monitor" => set(&mut plugin.per_core, section.bool(report, "per_core")),
        "disk_monitor" => {
            check_globs(&section, report, &mut plugin);
            set(&mut plugin.fstypes, section.texts(report, "fstypes"));
            set(&mut plugin.io, section.bool(report, "io"));
        }
        "network_monitor" => check_globs(&section, report, &mut plugin),
        "ping_monitor" => check_ping(&section, report, &mut plugin),
        "filesystem_info" => set(&mut plugin.all, section.bool(report, "all")),
        "nagios_runner" => plugin.commands = check_nagios(&section, report),
        "zfs_monitor" => {
            set(&mut plugin.pools, section.texts(report, "pools"));
            plugin.zpool = section.path(report, "zpool");
        }
        "os_info" | "memory_monitor" | "system_monitor" => {}
        _ => check_own(&section, report, &mut plugin),
    }
    plugin
}

/// A plugin of your own that names no command, with a name close to a built-in one.
fn misspelled(report: &mut Report<'_>, at: &At<'_>, key: &node::Key) -> bool {
    let near = nearest(&key.text, BUILT_IN.iter().map(|(name, _)| *name));
    if let Some(near) = near {
        let what = format!("unknown plugin {}, ignored", quoted(&key.text));
        report.warn(key.span, &at.path, UNKNOWN_KEY, what, &format!("did you mean {near}?"));
    }
    near.is_some()
}

fn check_globs(section: &Section<'_>, report: &mut Report<'_>, plugin: &mut Plugin) {
    set(&mut plugin.include, section.texts(report, "include"));
    plugin.exclude = section.texts(report, "exclude");
}

fn check_own(section: &Section<'_>, report: &mut Report<'_>, plugin: &mut Plugin) {
    set(&mut plugin.command, section.read(report, "command", words));
    plugin.info = section.choice(report, "kind") == Some("info");
    set(&mut plugin.stream, section.bool(report, "stream"));
}

fn check_ping(section: &Section<'_>, report: &mut Report<'_>, plugin: &mut Plugin) {
    let count = section.int(report, "count").and_then(|count| u32::try_from(count).ok());
    set(&mut plugin.count, count);
    plugin.source = section.read(report, "source", scalar::address);
    let Some(list) = section.get("hosts") else { return };
    for item in list.items() {
        let Some(host) = ping_host(report, &item) else { continue };
        if plugin.hosts.iter().any(|other| other.name == host.name) {
            let what = format!("the name {} occurs twice", quoted(&host.name));
            report.error(&item, "E0117", what, "write {name: ANOTHER, address: …}");
        } else {
            plugin.hosts.push(host);
        }
    }
}

fn ping_host(report: &mut Report<'_>, at: &At<'_>) -> Option<PingHost> {
    let target = |at: &At<'_>| {
        let text = scalar::word(at, 255)?;
        super::address::check_host(&text).map_err(|_| Fault {
            code: "E0106",
            what: format!("{} is neither a name nor an address", quoted(&text)),
            fix: "write a host name, an IPv4 or an IPv6 address".to_owned(),
        })
    };
    if !matches!(at.node.value, Value::Map(_)) {
        let address = target(at).map_err(|fault| report.fault(at, fault)).ok()?;
        return Some(PingHost { name: address.clone(), address });
    }
    let section = Section::open(report, at, PING_KEYS)?;
    section.require(report, "address", "add address: NAME or ADDRESS");
    let address = section.read(report, "address", target)?;
    let name = section.text(report, "name").unwrap_or_else(|| address.clone());
    Some(PingHost { name, address })
}

fn check_nagios(section: &Section<'_>, report: &mut Report<'_>) -> Vec<NagiosCommand> {
    let mut commands: Vec<NagiosCommand> = Vec::new();
    let Some(list) = section.get("commands") else { return commands };
    for item in list.items() {
        let Some(command) = nagios_command(report, &item) else { continue };
        if commands.iter().any(|other| other.name == command.name) {
            let what = format!("the check {} occurs twice", quoted(&command.name));
            report.error(&item, "E0117", what, "give each check a name of its own");
        } else {
            commands.push(command);
        }
    }
    commands
}

fn nagios_command(report: &mut Report<'_>, at: &At<'_>) -> Option<NagiosCommand> {
    let section = Section::open(report, at, NAGIOS_KEYS)?;
    section.require(report, "name", "add name: check_something");
    section.require(report, "command", "add command: /path/of/the/plugin and its arguments");
    let name = section.read(report, "name", |at| {
        let name = scalar::word(at, 64)?;
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if name.bytes().all(allowed) {
            return Ok(name);
        }
        let what = format!("{} is not a name of a check", quoted(&name));
        Err(Fault { code: "E0106", what, fix: "use a-z, 0-9 and '_', at most 64".to_owned() })
    });
    let argv = section.read(report, "command", words);
    let timeout = section.duration(report, "timeout");
    let env = section.get("env").map(|at| check_env(report, &at)).unwrap_or_default();
    Some(NagiosCommand { name: name?, argv: argv?, timeout, env })
}

/// `env:` a map of names to texts.
pub(crate) fn check_env(report: &mut Report<'_>, at: &At<'_>) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    for (key, node) in at.entries(report) {
        let at = at.child(key, node);
        if key.text.is_empty() || key.text.contains(['=', '\0']) {
            let what = format!("{} is not a name of a variable", quoted(&key.text));
            report.name_error(&at, what, "use letters, digits and '_'");
            continue;
        }
        match scalar::text(&at, scalar::TEXT_MAX) {
            Ok(value) => drop(env.insert(key.text.clone(), value)),
            Err(fault) => report.fault(&at, fault),
        }
    }
    env
}
