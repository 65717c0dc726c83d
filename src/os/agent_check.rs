//! `check-config` of the agents: every problem of the file in one run, and every program that it
//! names and that is not there.

use super::agent_program::{BAD_CONFIGURATION, Exit, Program, load, print, tell};
use crate::agent::release;
use crate::collect::program_problems;
use crate::config::agent::Agent;
use crate::config::problem::{Problem, Severity};
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
