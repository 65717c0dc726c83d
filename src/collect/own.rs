//! Plugins of your own: any program that prints one JSON object (docs/PLUGINS.md).
//!
//! Owns which there are and how one is run. What it prints is `foreign`'s; one that keeps running
//! is `stream`'s.

use super::stream::Stream;
use super::{CollectError, Errand, Plugin, PluginKind, Probe, foreign, program};
use crate::config::agent::{self, Agent, BUILT_IN};
use crate::os::child::{self, Child, Ended, Exit, Program};
use crate::os::errand;
use crate::text;
use crate::time::{Duration, Mono, Now};
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where they are looked for where nothing is configured.
const DIR: &str = "/etc/heartbeat/plugins";
/// Entries of the directory that are looked at.
const FILES_MAX: usize = 1024;

/// One that is run for each sample.
struct Own {
    name: String,
    kind: PluginKind,
    program: Program,
    timeout: Duration,
    run: Option<Child>,
}

/// Every plugin of your own with whether it can be run: those of the configuration and those of
/// the directory, by name. Files that may not be run are named in the log.
pub fn probe(config: &Agent) -> Vec<Probe> {
    let files = files(config);
    let built_in = |name: &str| BUILT_IN.iter().any(|(other, _)| *other == name);
    let configured = config.plugins.keys().map(String::as_str).filter(|name| !built_in(name));
    let names: BTreeSet<&str> = configured.chain(files.keys().map(String::as_str)).collect();
    let defaults = agent::Plugin::default();
    let open = |name: &str| {
        let settings = config.plugins.get(name).unwrap_or(&defaults);
        (name.to_owned(), open(name, settings, files.get(name)))
    };
    names.into_iter().map(open).collect()
}

fn open(
    name: &str,
    settings: &agent::Plugin,
    file: Option<&PathBuf>,
) -> Result<Box<dyn Plugin>, String> {
    if settings.enabled == Some(false) {
        return Err("switched off in the configuration".to_owned());
    }
    let argv = match file {
        _ if !settings.command.is_empty() => settings.command.clone(),
        Some(path) => vec![path.to_string_lossy().into_owned()],
        None => return Err("no command, and no file of that name in plugin_dir".to_owned()),
    };
    if let Some(problem) = program::problem(&argv) {
        log::warn!("plugin {name}: {problem}");
    }
    if settings.stream {
        return Ok(Box::new(Stream::new(name, argv, settings.timeout)));
    }
    let kind = if settings.info { PluginKind::Info } else { PluginKind::Monitor };
    let program = Program { argv, timeout: Some(settings.timeout), ..Program::default() };
    let timeout = settings.timeout;
    Ok(Box::new(Own { name: name.to_owned(), kind, program, timeout, run: None }))
}

/// The files of `plugin_dir` that may be run, by the name of their plugin.
fn files(config: &Agent) -> BTreeMap<String, PathBuf> {
    let dir = config.plugin_dir.as_deref().unwrap_or(Path::new(DIR));
    let mut files = BTreeMap::new();
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) => {
            if config.plugin_dir.is_some() {
                log::warn!("plugin_dir {} cannot be read: {error}", dir.display());
            }
            return files;
        }
    };
    let mut paths: Vec<_> = entries.flatten().take(FILES_MAX).map(|e| e.path()).collect();
    paths.sort();
    for path in paths {
        match plugin_name(&path) {
            Ok(Some(name)) if files.contains_key(&name) => {
                log::warn!("{}: there is another plugin of that name", path.display());
            }
            Ok(Some(name)) => drop(files.insert(name, path)),
            Ok(None) => {}
            Err(why) => log::warn!("{}: not run: {why}", path.display()),
        }
    }
    files
}

/// The name of the plugin in a file; `None` where it is none and does not look like one.
fn plugin_name(path: &Path) -> Result<Option<String>, &'static str> {
    let file = path.file_name().and_then(|name| name.to_str()).ok_or("its name is not UTF-8")?;
    if file.starts_with('.') || child::check(path).is_err() {
        return Ok(None);
    }
    let mode = std::fs::metadata(path).map_err(|_| "it has gone")?.permissions().mode();
    if mode & 0o022 != 0 {
        return Err("its group or everybody may write to it");
    }
    let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    match name {
        _ if !text::is_plugin_name(name) => {
            Err("its name without the ending must be a-z, 0-9 and '_', at most 32")
        }
        _ if BUILT_IN.iter().any(|(other, _)| *other == name) => {
            Err("a built-in plugin has that name")
        }
        _ => Ok(Some(name.to_owned())),
    }
}

impl Own {
    fn sample(&self, ended: &Ended) -> Result<String, String> {
        if ended.timed_out {
            return Err(format!("timed out after {} s", text::seconds(self.timeout)));
        }
        if ended.exit != Exit::Code(0) {
            return Err(program::complaint(ended));
        }
        if ended.stdout.len() >= child::OUTPUT_MAX {
            return Err(format!("printed {} bytes or more", child::OUTPUT_MAX));
        }
        foreign::check(&foreign::text(&ended.stdout), 1)
    }

    /// What failed, with the file's name.
    fn error(&self, what: &str) -> CollectError {
        let file = self.program.argv.first().map_or("", String::as_str);
        CollectError(format!("{file}: {what}"))
    }
}

impl Plugin for Own {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> PluginKind {
        self.kind
    }

    fn limit(&self) -> Option<Duration> {
        Some(self.timeout + program::MARGIN)
    }

    fn collect(&mut self, _now: Now, out: &mut String) -> Result<(), CollectError> {
        errand::finish(self, out)
    }

    fn errand(&mut self) -> Option<&mut dyn Errand> {
        Some(self)
    }
}

impl Errand for Own {
    fn advance(&mut self, now: Now, out: &mut String) -> Option<Result<(), CollectError>> {
        let mut run = match self.run.take() {
            Some(run) => run,
            None => match Child::start(&self.program, now.mono) {
                Ok(run) => run,
                Err(error) => return Some(Err(self.error(&format!("cannot be run: {error}")))),
            },
        };
        let Some(ended) = run.poll(now.mono) else {
            self.run = Some(run);
            return None;
        };
        let sample = self.sample(&ended).map_err(|what| self.error(&what));
        Some(sample.map(|sample| out.push_str(&sample)))
    }

    fn watch<'a>(&'a self, on: &mut Vec<BorrowedFd<'a>>) -> Mono {
        self.run.as_ref().map_or(Mono::ZERO, |run| run.watch(on))
    }

    fn abandon(&mut self) {
        self.run = None;
    }
}

#[cfg(test)]
#[path = "own_test.rs"]
mod tests;
