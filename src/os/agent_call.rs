//! One-off calls of hbc and hbc-mini: a message, a boot, a maintenance, a job that is watched, an
//! update by hand. The running agent takes them over where there is one; a session of their own
//! would end its session.

use super::agent_loop::{Extras, Outcome, Task};
use super::agent_program::{
    BAD_CONFIGURATION, Exit, FAILED, NOT_ACKNOWLEDGED, NOT_ALLOWED, Program, USAGE, VERSION, act,
    finish, print, set_up, tell,
};
use super::desk::{self, Handed};
use super::job::Job;
use super::log as sink;
use super::signal::Signals;
use super::update::Site;
use super::updater;
use crate::agent::Target;
use crate::agent::command_line::{Action, Request};
use crate::agent::one_off::{Answer, Call, OneOff};
use crate::agent::release::{Wanted, is_version};
use crate::config::agent::{self as config, Agent};
use std::ffi::OsString;
use std::io;

/// `-m`, `--boot`, `maintenance`.
pub(super) fn tell_once(program: &Program, request: &Request, config: &Agent) -> Result<u8, Exit> {
    let what = match &request.action {
        Action::Boot => OneOff::Boot,
        Action::Message(text) => OneOff::Text(text.clone()),
        Action::Maintenance { seconds, reason } => {
            OneOff::Maintenance { seconds: *seconds, reason: reason.clone() }
        }
        _ => return Err(Exit(USAGE)),
    };
    let sealed_only = matches!(what, OneOff::Maintenance { .. });
    let call = Call { what, servers: named_servers(request, config)?, wait: true };
    match desk::hand_in(config.control_socket.as_deref(), &call) {
        Handed::Answer(Answer::OtherServers) | Handed::Nobody => {}
        Handed::Forbidden(_) if !has_key(config) => {}
        handed => return told(program, &handed),
    }
    if sealed_only && !has_key(config) {
        tell(&format!(
            "{}: maintenance: only a server with whom this machine shares a key takes it\n\
             run `hbd key new {}` there and set key_file here",
            program.name,
            super::name::host_name().unwrap_or_default()
        ));
        return Err(Exit(NOT_ALLOWED));
    }
    let setup = set_up(program, request, config)?;
    let outcome = own_session(program, request, config, setup, call.what);
    outcome.and_then(|outcome| finish(program, outcome)).map_err(|error| {
        tell(&format!("{}: {error}", program.name));
        Exit(FAILED)
    })
}

/// The exit status of what the running agent answered.
fn told(program: &Program, handed: &Handed) -> Result<u8, Exit> {
    let (status, what) = match handed {
        Handed::Answer(Answer::Acknowledged | Answer::Taken) => return Ok(0),
        Handed::Answer(Answer::NotSent) => {
            (FAILED, "not sent, no server can be reached; the running agent goes on trying")
        }
        Handed::Answer(Answer::NotAcknowledged) => {
            let what = "sent, but no server acknowledged it; the running agent goes on trying";
            (NOT_ACKNOWLEDGED, what)
        }
        Handed::Answer(_) => (NOT_ALLOWED, "the running agent refuses it: it has no key"),
        Handed::Forbidden(path) => {
            let path = path.display();
            tell(&format!("{}: {path}: only root and the agent's user may ask", program.name));
            return Err(Exit(NOT_ALLOWED));
        }
        Handed::Lost | Handed::Nobody => (FAILED, "the running agent did not answer"),
    };
    tell(&format!("{}: {what}", program.name));
    Err(Exit(status))
}

/// `host:port` of the servers that the command line names; none: whichever the agent has.
fn named_servers(request: &Request, config: &Agent) -> Result<Vec<String>, Exit> {
    let named = |server: &String| {
        let entry = config::parse_server(server).map_err(|what| {
            tell(&what);
            Exit(USAGE)
        })?;
        Ok(Target::new(&entry, config, None).to_string())
    };
    request.servers.iter().map(named).collect()
}

fn has_key(config: &Agent) -> bool {
    let own = config.servers.iter().any(|s| s.key.is_some() || s.key_file.is_some());
    own || config.key.is_some() || config.key_file.is_some()
}

fn own_session(
    program: &Program,
    request: &Request,
    config: &Agent,
    setup: crate::agent::Setup,
    what: OneOff,
) -> io::Result<Outcome> {
    sink::init(program.name, request.verbosity, sink::Target::Stderr)?;
    let signals = Signals::of_a_daemon()?;
    act(program, config, setup, Task::Tell(what), Extras::default(), &signals)
}

/// `wrap`: runs the job and reports its start and its end; exits as the job did, whatever becomes
/// of the reports.
pub(super) fn wrap(
    program: &Program,
    request: &Request,
    config: &Agent,
    name: &str,
    argv: &[OsString],
) -> Result<u8, Exit> {
    let report = |data: String| {
        let what = OneOff::Job { plugin: format!("job_{name}"), data };
        Call { what, servers: Vec::new(), wait: false }
    };
    let socket = config.control_socket.as_deref();
    let taken = |handed: &Handed| *handed == Handed::Answer(Answer::Taken);
    let mut job = Job::start(argv);
    let handed = desk::hand_in(socket, &report(job.render()));
    job.run();
    let call = report(job.render());
    if taken(&handed) && taken(&desk::hand_in(socket, &call)) {
        return Ok(job.status());
    }
    let outcome = match set_up(program, request, config) {
        Ok(setup) => own_session(program, request, config, setup, call.what),
        Err(Exit(_)) => Ok(Outcome::NotSent),
    };
    if !matches!(outcome, Ok(Outcome::Acknowledged)) {
        tell(&format!("{}: the job was run, but no server knows how it ended", program.name));
    }
    Ok(job.status())
}

/// `--update [URL [VERSION [SHA256 [SIZE]]]]`: by hand, or by the agent itself for an order.
pub(super) fn update(program: &Program, config: &Agent, words: &[String]) -> Result<u8, Exit> {
    let failed = |what: &str| {
        tell(&format!("{}: {what}", program.name));
        Exit(FAILED)
    };
    let update = config.update.as_ref().filter(|update| update.public_key.is_some());
    let Some(update) = update else {
        let what = "update.public_key is not set: there is nothing to trust a release by";
        tell(&format!("{}: {what}", program.name));
        return Err(Exit(BAD_CONFIGURATION));
    };
    let word = |at: usize| words.get(at).filter(|word| !word.is_empty()).cloned();
    let host = || config.servers.first().map_or("localhost", |server| server.host.as_str());
    let url = word(0).unwrap_or_else(|| updater::url(update, host()));
    let size = word(3).map(|word| word.parse::<u64>());
    let size = size.transpose().map_err(|_| failed("the size is not a number"))?;
    let wanted = Wanted { version: word(1), sha256: word(2), size };
    if wanted.version.as_deref().is_some_and(|version| !is_version(version)) {
        return Err(failed("that is not a version"));
    }
    let exe = std::env::current_exe().map_err(|error| failed(&error.to_string()))?;
    let site = Site {
        program: program.name,
        running: VERSION,
        exe: &exe,
        url: &url,
        update,
        fetch: program.fetch,
    };
    let version = site.install(&wanted).map_err(|what| failed(&what))?;
    print(&format!("version {version} is installed, {VERSION} is kept beside it\n"))
}
