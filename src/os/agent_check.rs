//! `check-config` of the agents: every problem of the file in one run, and every program that it
//! names and that is not there; `print-config --defaults`.

use super::agent_program::{BAD_CONFIGURATION, Exit, Program, load, print, tell};
use crate::agent::{SPOOL_DEFAULT_MINI, release};
use crate::collect::program_problems;
use crate::config::agent::Agent;
use crate::config::agent::{
    BUILT_IN, COMMAND_KEYS, KEYS, NAGIOS_KEYS, OWN_KEYS, SERVER_KEYS, UPDATE_KEYS,
};
use crate::config::problem::{Problem, Severity};
use crate::config::section::{Key, Kind};
use std::path::Path;

pub(super) fn run(program: &Program, asked: Option<&Path>) -> Result<u8, Exit> {
    let loaded = load(program, asked)?;
    if !loaded.problems.is_empty() {
        tell(loaded.render_problems().trim_end());
    }
    let missing = missing(&loaded.agent);
    for (key, what) in &missing {
        tell(&format!("warning: {key}: {what}"));
    }
    let file = loaded.path.as_ref().map(|path| path.display().to_string());
    let file = file.unwrap_or_else(|| "no configuration file".to_owned());
    let errors = loaded.problems.iter().filter(|p| p.severity == Severity::Error).count();
    let warnings = loaded.problems.len() - errors + missing.len();
    let agent = &loaded.agent;
    let checks = agent.plugins.values().map(|plugin| plugin.commands.len()).sum();
    let summary = [
        counted(agent.servers.len(), "server"),
        counted(agent.plugins.len(), "plugin"),
        counted(checks, "check"),
        counted(agent.commands.len(), "command"),
        counted(errors, "error"),
        counted(warnings, "warning"),
    ]
    .join(", ");
    if loaded.problems.iter().any(Problem::fails_check) {
        tell(&format!("failed: {file}: {summary}"));
        return Err(Exit(BAD_CONFIGURATION));
    }
    print(&format!("ok: {file}: {summary}\n"))
}

/// Programs and keys that the configuration names and that cannot be used, by their key.
fn missing(agent: &Agent) -> Vec<(String, String)> {
    let mut missing = program_problems(agent);
    for (name, command) in &agent.commands {
        if let Err(what) = super::child::check(Path::new(&command.argv[0])) {
            let key = format!("commands.{name}.argv");
            missing.push((key, format!("{} {what}", command.argv[0])));
        }
    }
    let Some(update) = &agent.update else { return missing };
    if let Some(name) = update.command.first() {
        let path = super::child::find(name);
        let what = match &path {
            Some(path) => super::child::check(path).err(),
            None => Some("is not in the PATH of programs"),
        };
        if let Some(what) = what {
            missing.push(("update.command".to_owned(), format!("{name} {what}")));
        }
    }
    if update.public_key.as_deref().is_some_and(|key| release::parse_key(key).is_none()) {
        let what = "this is not a key of minisign; it begins with RW and has 56 characters";
        missing.push(("update.public_key".to_owned(), what.to_owned()));
    }
    missing
}

fn counted(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// Every key with its default, in the form of the configuration. What has no value of its own is a comment.
pub(super) fn defaults(program: &Program) -> String {
    let mut out = format!("# {}: every key with its default\n", program.file);
    for key in KEYS {
        match key.name {
            "servers" => list(&mut out, "# servers:\n#   -", "#    ", SERVER_KEYS),
            "plugins" => plugins(&mut out, program),
            "commands" => list(&mut out, "# commands:\n#   NAME:", "#    ", COMMAND_KEYS),
            "update" => list(&mut out, "# update:", "#  ", UPDATE_KEYS),
            "spool_max" if program.mini => {
                out.push_str(&format!("spool_max: {SPOOL_DEFAULT_MINI}\n"))
            }
            _ => line(&mut out, "", key),
        }
    }
    out
}

fn plugins(out: &mut String, program: &Program) {
    out.push_str("plugins:\n");
    let own = |name: &str| program.plugins.iter().any(|plugin| plugin.name() == name);
    for (name, keys) in BUILT_IN.iter().filter(|(name, _)| own(name)) {
        out.push_str(&format!("  {name}:\n"));
        for key in *keys {
            line(out, "    ", key);
        }
        if *name == "nagios_runner" {
            list(out, "    #   - each of commands:", "    #    ", NAGIOS_KEYS);
        }
    }
    list(out, "  # your own:", "  #  ", OWN_KEYS);
}

fn list(out: &mut String, head: &str, indent: &str, keys: &[Key]) {
    out.push_str(head);
    out.push('\n');
    for key in keys {
        out.push_str(&format!("{indent} {}: {}\n", key.name, key.default));
    }
}

fn line(out: &mut String, indent: &str, key: &Key) {
    let plain = match key.kind {
        Kind::Bool => ["true", "false"].contains(&key.default),
        Kind::Path => key.default.starts_with('/'),
        Kind::Int(..) | Kind::Duration(..) | Kind::Size => {
            key.default.starts_with(|c: char| c.is_ascii_digit())
        }
        _ => false,
    };
    let comment = if plain { "" } else { "# " };
    out.push_str(&format!("{indent}{comment}{}: {}\n", key.name, key.default));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Document;
    use crate::config::agent;

    fn program(mini: bool) -> Program {
        Program {
            name: if mini { "hbc-mini" } else { "hbc" },
            file: "hbc.yaml",
            read: crate::yaml::read,
            plugins: if mini { crate::collect::MINI } else { crate::collect::FULL },
            runtime: crate::os::agent_loop::Runtime::Inline,
            wrap: None,
            mini,
            fetch: crate::os::fetch::fetch,
        }
    }

    #[test]
    fn plugins_that_the_small_agent_lacks_are_named_once_and_fail_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("hbc.yaml");
        let text = "plugins:\n  zfs_monitor: {pools: [tank]}\n  filesystem_info: {all: true}\n  cpu_monitor: {per_core: true}\n";
        std::fs::write(&file, text).expect("written");
        let told = |mini| {
            let Ok(loaded) = load(&program(mini), Some(&file)) else { panic!("it loads") };
            assert!(!loaded.problems.iter().any(Problem::fails_check));
            let lines = loaded.problems.iter().map(Problem::render_line);
            let name = file.display().to_string();
            lines.map(|line| line.replace(&name, "FILE")).collect::<Vec<_>>()
        };
        assert!(told(false).is_empty());
        let want = [
            "FILE:2:3: plugins.zfs_monitor: hbc-mini has no zfs_monitor, ignored - leave it out, or run hbc here",
            "FILE:3:3: plugins.filesystem_info: hbc-mini has no filesystem_info, ignored - leave it out, or run hbc here",
        ];
        assert_eq!(told(true), want);
    }

    #[test]
    fn defaults_are_a_configuration_that_changes_nothing() {
        for mini in [false, true] {
            let program = program(mini);
            let text = defaults(&program);
            for key in KEYS {
                assert!(text.contains(&format!("{}:", key.name)), "{} in {text}", key.name);
            }
            assert_eq!(text.contains("zfs_monitor"), !mini, "{text}");
            let (root, problems) = (program.read)(&text, "x").expect("YAML");
            let (read, found) = agent::check(&Document { file: "x".into(), text, root });
            assert!(problems.is_empty() && found.is_empty());
            let plain = Agent {
                plugins: read.plugins.clone(),
                plugin_dir: read.plugin_dir.clone(),
                spool_max: read.spool_max,
                control_socket: read.control_socket.clone(),
                ..Agent::default()
            };
            assert_eq!(read, plain);
            for (name, plugin) in &read.plugins {
                let timeout = if name == "ping_monitor" { 2 } else { 30 };
                let timeout = std::time::Duration::from_secs(timeout);
                assert_eq!(
                    *plugin,
                    agent::Plugin { timeout, ..agent::Plugin::default() },
                    "{name}"
                );
            }
        }
    }
}
