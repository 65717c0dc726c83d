//! `hbd run`, `hbd commands`, `hbd upgrade`, and what `hbd key` asks of a running server.

use super::screen::Screen;
use super::{Asker, Failure, Printed, failure, fleet, server};
use crate::args::Invocation;
use crate::lookup::Environment;
use crate::{EXIT_FAILED, EXIT_OK, EXIT_USAGE};
use heartbeat::time::{Duration, parse_duration};
use serde_json::{Value, json};

/// Between two looks at a command that is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// What the server is told where nothing is said.
const TTL_S: u64 = 300;

impl Asker<'_> {
    /// `hbd run HOST NAME [ARG..]`: prints the number; with `--wait` the output, and ends as the command did.
    pub(super) fn run_command(&self) -> Printed {
        let Some(([_, name], args)) = self.invocation.words.split_first_chunk::<2>() else {
            return Err(failure(EXIT_USAGE, "usage: hbd run HOST NAME [ARG..] [--wait]"));
        };
        let ttl = match self.invocation.ttl.as_deref() {
            None => TTL_S,
            Some(text) => parse_duration(text)
                .ok_or_else(|| {
                    failure(EXIT_USAGE, format!("--ttl {text}: not a duration, as 90s or 5m"))
                })?
                .as_secs(),
        };
        let body = json!({ "name": name, "args": args, "ttl": ttl }).to_string();
        let value = self.ask("POST", &self.host_path("/commands"), Some(&body))?;
        let id = value["id"].as_u64().unwrap_or_default();
        if self.invocation.wait {
            return self.wait_for(id);
        }
        self.printed(&value, || format!("{id}\n"))
    }

    /// Waits until it is over. The server ends it at the latest when it expires; once accepted, it is over when
    /// the agent says so.
    fn wait_for(&self, id: u64) -> Printed {
        loop {
            let value = self.get(&self.host_path("/commands"))?;
            let found = fleet::list(&value, "commands").find(|c| c["id"].as_u64() == Some(id));
            let Some(command) = found else {
                return Err(failure(EXIT_FAILED, format!("command {id} is not known any more")));
            };
            match command["state"].as_str().unwrap_or_default() {
                "queued" | "sent" | "accepted" => pause(LOOK_EVERY),
                "done" => return Ok((exit_of(command), self.output_of(command))),
                state => {
                    let reason = command["reason"].as_str().filter(|reason| !reason.is_empty());
                    let reason = reason.map_or(String::new(), |reason| format!(": {reason}"));
                    return Err(failure(EXIT_FAILED, format!("command {id} {state}{reason}")));
                }
            }
        }
    }

    fn output_of(&self, command: &Value) -> String {
        if self.invocation.json {
            return super::json(command);
        }
        let output = command["output"].as_str().unwrap_or_default();
        let end = if output.is_empty() || output.ends_with('\n') { "" } else { "\n" };
        format!("{output}{end}")
    }

    /// `hbd commands HOST`
    pub(super) fn commands(&self) -> Printed {
        let value = self.get(&self.host_path("/commands"))?;
        let commands: Vec<&Value> = fleet::list(&value, "commands").collect();
        let row = |command: &&Value| {
            let text = |key: &str| command[key].as_str().unwrap_or_default();
            let args = command["args"].as_array().into_iter().flatten();
            let args: String =
                args.filter_map(Value::as_str).map(|arg| format!(" {arg}")).collect();
            vec![
                command["id"].to_string(),
                text("state").to_owned(),
                render_time(command["queued"].as_f64().unwrap_or_default()),
                if text("by").is_empty() { "-".to_owned() } else { text("by").to_owned() },
                format!("{}{args}{}", text("name"), ending_of(command)),
            ]
        };
        let rows: Vec<Vec<String>> = commands.iter().map(row).collect();
        let titles = ["ID", "STATE", "QUEUED", "BY", "COMMAND"];
        Ok((EXIT_OK, self.screen.list(&value, &commands, &titles, &rows)))
    }

    /// `hbd upgrade HOST`
    pub(super) fn upgrade(&self) -> Printed {
        let value = self.ask("POST", &self.host_path("/upgrade"), Some("{}"))?;
        let id = value["id"].as_u64().unwrap_or_default();
        Ok((EXIT_OK, format!("{id}\n")))
    }
}

fn ending_of(command: &Value) -> String {
    let line = |text: &str| text.trim_end().lines().last().unwrap_or_default().to_owned();
    match (command["exit_code"].as_i64(), command["signal"].as_i64(), command["reason"].as_str()) {
        (_, Some(signal), _) => format!(" (signal {signal})"),
        (Some(code), _, _) => format!(" (exit {code})"),
        (_, _, Some(reason)) if !reason.is_empty() => format!(" ({})", line(reason)),
        _ => String::new(),
    }
}

/// The exit status of the command, as a shell would tell it.
fn exit_of(command: &Value) -> u8 {
    match (command["exit_code"].as_i64(), command["signal"].as_i64()) {
        (_, Some(signal)) => u8::try_from(128 + signal).unwrap_or(EXIT_FAILED),
        (Some(code), None) => u8::try_from(code).unwrap_or(EXIT_FAILED),
        (None, None) => EXIT_OK,
    }
}

#[allow(clippy::disallowed_methods, reason = "a person waits at a terminal")]
fn pause(span: Duration) {
    std::thread::sleep(span);
}

/// `2026-11-27 23:20:19`, in UTC.
pub fn render_time(secs: f64) -> String {
    jiff::Timestamp::from_second(secs as i64)
        .map(|at| at.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
        .unwrap_or_default()
}

fn asker<T>(
    invocation: &Invocation,
    env: &Environment,
    ask: impl FnOnce(&Asker<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let screen = Screen::of(invocation, env).map_err(|usage| failure(EXIT_USAGE, usage.0))?;
    let server = server(invocation, env)?;
    ask(&Asker { server, invocation, layout: screen.layout, screen })
}

/// Has a running server read its keys anew. None that runs is no failure.
///
/// # Errors
/// It runs, and did not take them.
pub fn tell_keys(invocation: &Invocation, env: &Environment) -> Result<(), String> {
    let told = asker(invocation, env, |asker| asker.ask("POST", "/api/0/keys", None));
    match told {
        Err(failure) if failure.status != crate::EXIT_UNREACHABLE => Err(failure.words),
        _ => Ok(()),
    }
}

/// The ids of the keys that a running server has, and when each was used last; none where none runs.
pub fn key_uses(invocation: &Invocation, env: &Environment) -> Vec<(String, Option<f64>)> {
    let Ok(value) = asker(invocation, env, |asker| asker.get("/api/0/keys")) else {
        return Vec::new();
    };
    let keys = fleet::list(&value, "keys");
    keys.filter_map(|key| Some((key["id"].as_str()?.to_owned(), key["last_used"].as_f64())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_ends_as_a_shell_would_tell() {
        let table = [
            (json!({"exit_code": 0}), 0),
            (json!({"exit_code": 3}), 3),
            (json!({"signal": 9}), 137),
            (json!({}), 0),
        ];
        for (command, want) in table {
            assert_eq!(exit_of(&command), want, "{command}");
        }
        assert_eq!(render_time(1_763_798_400.5), "2025-11-22 08:00:00Z");
    }
}
