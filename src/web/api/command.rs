//! `hosts/H/commands` and `hosts/H/upgrade`: what a sealed host is asked to do, and what came of it.

use super::{body, json_response, ok};
use crate::engine::view::{CommandShown, Host};
use crate::engine::{Command, Outcome, Wish};
use crate::web::authz::{Access, Manager};
use crate::web::problem::Problem;
use crate::web::{Answer, Call};
use serde::{Deserialize, Serialize};

/// Seconds in which an agent must have started a command that says nothing else.
const TTL_S: u32 = 300;

#[derive(Serialize)]
pub struct CommandJson<'a> {
    id: u64,
    name: &'a str,
    args: Vec<&'a str>,
    state: &'static str,
    by: Option<&'a str>,
    queued: f64,
    sent: Option<f64>,
    accepted: Option<f64>,
    finished: Option<f64>,
    expires: f64,
    exit_code: Option<i32>,
    signal: Option<i32>,
    output: &'a str,
    reason: Option<&'a str>,
}

impl CommandJson<'_> {
    pub fn new(shown: &CommandShown) -> CommandJson<'_> {
        let secs = |at: Option<crate::time::Wall>| at.map(crate::time::Wall::as_secs_f64);
        CommandJson {
            id: shown.id,
            name: &shown.name,
            args: shown.args.iter().map(|arg| &**arg).collect(),
            state: shown.state.as_str(),
            by: shown.by.as_deref(),
            queued: shown.queued.as_secs_f64(),
            sent: secs(shown.sent),
            accepted: secs(shown.accepted),
            finished: secs(shown.finished),
            expires: shown.expires.as_secs_f64(),
            exit_code: shown.exit_code,
            signal: shown.signal,
            output: &shown.output,
            reason: shown.reason.as_deref(),
        }
    }
}

/// `GET hosts/H/commands`: newest first.
pub fn list(_: &Call<'_>, access: &Access<'_, Manager>) -> Answer {
    #[derive(Serialize)]
    struct List<'a> {
        commands: Vec<CommandJson<'a>>,
    }
    ok(&List { commands: newest_first(access.host()) })
}

pub fn newest_first(host: &Host) -> Vec<CommandJson<'_>> {
    host.commands.iter().rev().map(CommandJson::new).collect()
}

/// `POST hosts/H/commands {name,args,ttl}`
pub fn run(call: &Call<'_>, access: &Access<'_, Manager>) -> Answer {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        name: String,
        #[serde(default)]
        args: Vec<String>,
        ttl: Option<u32>,
    }
    let Body { name, args, ttl } = body(call, "name")?;
    let by = call.caller.user().map(str::to_owned);
    let wish = Wish { name, args, ttl: ttl.unwrap_or(TTL_S), by };
    let host = access.name();
    queued(call.context.engine.act(Command::Run { host, wish }), access.host())
}

/// `POST hosts/H/upgrade {version?}`
pub fn upgrade(call: &Call<'_>, access: &Access<'_, Manager>) -> Answer {
    #[derive(Deserialize, Default)]
    #[serde(deny_unknown_fields)]
    struct Body {
        version: Option<String>,
    }
    let Body { version } =
        if call.request.body.is_empty() { Body::default() } else { body(call, "version")? };
    let host = access.host();
    if !host.sealed {
        return Err(no_key(host));
    }
    let package = call.context.engine.package(host, version.as_deref()).map_err(|why| {
        Problem::new(
            409,
            "no_file",
            format!("There is no agent to install on {}: {why}", host.name),
        )
        .hint("Put <program>-<os>-<arch> and its .minisig of `hbd sign` into agent_dir.")
    })?;
    let by = call.caller.user().map(str::to_owned);
    let command = Command::Upgrade { host: access.name(), package, by };
    queued(call.context.engine.act(command), host)
}

fn no_key(host: &Host) -> Problem {
    let what =
        format!("{} has no key, and only sealed hosts can be asked to do something.", host.name);
    Problem::new(409, "no_key", what)
        .hint(format!("Run `hbd key new {}` and put the key on the machine.", host.name))
}

fn queued(outcome: Outcome, host: &Host) -> Answer {
    #[derive(Serialize)]
    struct Queued {
        id: u64,
    }
    match outcome {
        Outcome::Queued(id) => {
            let bytes = serde_json::to_vec(&Queued { id }).unwrap_or_default();
            let mut response = json_response(bytes);
            response.status = 202;
            Ok(response)
        }
        Outcome::NoKey => Err(no_key(host)),
        Outcome::QueueFull => {
            let what =
                format!("{} commands wait for {} already.", crate::limits::CMD_QUEUE, host.name);
            Err(Problem::new(429, "queue_full", what)
                .hint("Try again when some are done or expired."))
        }
        Outcome::Refused(fault) => {
            let problem = Problem::new(422, "bad_body", format!("Not taken: {}.", fault.what));
            Err(match fault.field {
                Some(field) => problem.field(field),
                None => problem,
            })
        }
        // The engine did not take it; the shell answers for that.
        _ => Ok(super::no_content()),
    }
}
