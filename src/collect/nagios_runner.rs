//! `nagios_runner`: runs the checks of the Nagios world and reports each (SPEC section 11).

use super::nagios::{self, Perf, Range};
use super::{CollectError, Errand, ObjectWriter, Plugin, PluginKind, program};
use crate::config::agent::{self, NagiosCommand};
use crate::limits;
use crate::os::batch::Batch;
use crate::os::child::{Ended, Exit, Program};
use crate::os::errand;
use crate::text;
use crate::time::{Duration, Mono, Now};
use std::collections::BTreeSet;
use std::io;
use std::os::fd::BorrowedFd;

pub const NAME: &str = "nagios_runner";
const AT_ONCE: usize = 4;
/// What a shell tells where a program is not there, and where it cannot be run.
const NOT_FOUND: i32 = 127;
const NOT_RUN: i32 = 126;
/// Bytes of `_warn` and of a number that tells two labels apart.
const SUFFIX_MAX: usize = 5 + 4;

pub struct NagiosRunner {
    commands: Vec<NagiosCommand>,
    timeout: Duration,
    run: Option<Batch>,
}

impl NagiosRunner {
    /// Names what cannot be run in the log; the check is run, and reported, all the same.
    ///
    /// # Errors
    /// No command is configured.
    pub fn new(settings: &agent::Plugin) -> Result<NagiosRunner, CollectError> {
        if settings.commands.is_empty() {
            return Err(CollectError("no commands are configured".to_owned()));
        }
        for (name, problem) in problems(settings) {
            log::warn!("{NAME} check={name}: {problem}");
        }
        let commands = settings.commands.clone();
        Ok(NagiosRunner { commands, timeout: settings.timeout, run: None })
    }

    fn begin(&self) -> Batch {
        let program = |command: &NagiosCommand| Program {
            argv: command.argv.clone(),
            env: command.env.clone(),
            timeout: Some(command.timeout.unwrap_or(self.timeout)),
            ..Program::default()
        };
        Batch::new(self.commands.iter().map(program).collect(), AT_ONCE)
    }

    fn write(&self, results: &[io::Result<Ended>], out: &mut String) {
        let names = self.commands.iter().map(|command| command.name.as_str());
        let mut keys: BTreeSet<String> = names.flat_map(own_keys).collect();
        let mut object = ObjectWriter::new(out);
        for (command, result) in self.commands.iter().zip(results) {
            let limit = command.timeout.unwrap_or(self.timeout);
            write_check(command, limit, result, &mut keys, &mut object);
        }
        object.finish();
    }
}

/// The commands that name a program by a path that cannot be run: check and what is wrong.
pub fn problems(settings: &agent::Plugin) -> Vec<(&str, String)> {
    let commands = settings.commands.iter();
    commands.filter_map(|c| Some((c.name.as_str(), program::problem(&c.argv)?))).collect()
}

impl Plugin for NagiosRunner {
    fn name(&self) -> &str {
        NAME
    }

    fn kind(&self) -> PluginKind {
        PluginKind::Monitor
    }

    /// As if each had to wait for the one before it.
    fn limit(&self) -> Option<Duration> {
        let each =
            |command: &NagiosCommand| command.timeout.unwrap_or(self.timeout) + program::MARGIN;
        Some(self.commands.iter().map(each).sum())
    }

    fn collect(&mut self, _now: Now, out: &mut String) -> Result<(), CollectError> {
        errand::finish(self, out)
    }

    fn errand(&mut self) -> Option<&mut dyn Errand> {
        Some(self)
    }
}

impl Errand for NagiosRunner {
    fn advance(&mut self, now: Now, out: &mut String) -> Option<Result<(), CollectError>> {
        let mut run = self.run.take().unwrap_or_else(|| self.begin());
        match run.poll(now.mono) {
            Some(results) => {
                self.write(&results, out);
                Some(Ok(()))
            }
            None => {
                self.run = Some(run);
                None
            }
        }
    }

    fn watch<'a>(&'a self, on: &mut Vec<BorrowedFd<'a>>) -> Mono {
        self.run.as_ref().map_or(Mono::ZERO, |run| run.watch(on))
    }

    fn abandon(&mut self) {
        self.run = None;
    }
}

fn own_keys(name: &str) -> [String; 4] {
    ["status_code", "status", "output", "exit_code"].map(|field| format!("{name}_{field}"))
}

fn write_check(
    command: &NagiosCommand,
    limit: Duration,
    result: &io::Result<Ended>,
    keys: &mut BTreeSet<String>,
    object: &mut ObjectWriter<'_>,
) {
    let (exit, stdout, stderr) = match result {
        Ok(ended) => {
            let exit = match ended.exit {
                Exit::Code(code) => code,
                Exit::Signal(signal) => -signal,
            };
            (exit, text(&ended.stdout), text(&ended.stderr))
        }
        Err(error) => {
            let exit = if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_RUN };
            let program = command.argv.first().map_or("", String::as_str);
            (exit, format!("cannot run {program}: {error}"), String::new())
        }
    };
    let late = result.as_ref().is_ok_and(|ended| ended.timed_out);
    let code = if late { nagios::UNKNOWN } else { nagios::status_code(Some(exit)) };
    let parsed = nagios::parse(&stdout);
    let said = if stdout.trim().is_empty() { first_line(&stderr) } else { parsed.text };
    let said = match (late, exit) {
        (true, _) => format!("timed out after {} s", text::seconds(limit)),
        (_, ..0) if said.is_empty() => format!("killed by signal {}", -exit),
        _ => said.to_owned(),
    };
    let [key_code, key_status, key_output, key_exit] = own_keys(&command.name);
    object.integer(&key_code, code.into());
    object.text(&key_status, nagios::status(code));
    object.text(&key_output, &said);
    object.number(&key_exit, exit.into());
    for perf in &parsed.perf {
        write_perf(&command.name, perf, keys, object);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn first_line(text: &str) -> &str {
    text.trim_start().lines().next().unwrap_or_default().trim_end()
}

fn write_perf(
    check: &str,
    perf: &Perf<'_>,
    keys: &mut BTreeSet<String>,
    object: &mut ObjectWriter<'_>,
) {
    let Some(value) = perf.value else { return };
    let unit = Some(Range::Text(perf.unit)).filter(|_| !perf.unit.is_empty());
    let (min, max) = (perf.min.map(Range::Number), perf.max.map(Range::Number));
    let parts = [
        ("", Some(Range::Number(value))),
        ("_unit", unit),
        ("_warn", perf.warn),
        ("_crit", perf.crit),
        ("_min", min),
        ("_max", max),
    ];
    let parts: Vec<_> =
        parts.into_iter().filter_map(|(suffix, part)| Some((suffix, part?))).collect();
    let room = limits::KEY_MAX.saturating_sub(check.len() + 1 + SUFFIX_MAX);
    let plain = format!("{check}_{}", nagios::key_of(&perf.label, room));
    // Two labels may become one key, or the key of something else: the later one gets a number.
    let free =
        |key: &String| parts.iter().all(|(suffix, _)| !keys.contains(&format!("{key}{suffix}")));
    let numbered = (2..1000).map(|number| format!("{plain}_{number}"));
    let Some(key) = std::iter::once(plain.clone()).chain(numbered).find(free) else { return };
    for (suffix, part) in parts {
        let key = format!("{key}{suffix}");
        match part {
            Range::Number(number) => object.number_to(&key, number, 6),
            Range::Text(text) => object.text(&key, text),
        }
        keys.insert(key);
    }
}

#[cfg(test)]
#[path = "nagios_runner_test.rs"]
mod tests;
