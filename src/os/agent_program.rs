//! What hbc and hbc-mini do from their command line to their exit status. The two differ in a
//! `Program`.

use super::agent_loop::{self, Outcome, Round, Runtime, Task};
use super::runner::{self, Plugins};
use super::signal::Signals;
use super::{daemon, file, log as sink, name, trial};
use crate::agent::command_line::{self, Action, Request};
use crate::agent::{SPOOL_DEFAULT, SPOOL_DEFAULT_MINI, Setup, Target};
use crate::config::agent::{self as config, Agent};
use crate::config::node::{Document, Node};
use crate::config::problem::{self, Problem, Severity};
use crate::wire::Kind;
use crate::{collect, limits, text};
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The version that the agents tell: this package's.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Reads a configuration's text; the second argument is the file's name, for its problems.
pub type Reader = fn(&str, &str) -> Result<(Node, Vec<Problem>), Problem>;

/// What makes an agent hbc or hbc-mini.
pub struct Program {
    pub name: &'static str,
    /// Of its configuration: `hbc.yaml`.
    pub file: &'static str,
    pub read: Reader,
    pub runtime: Runtime,
    /// Without the plugins and the room of the large one.
    pub mini: bool,
}

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const NOT_ACKNOWLEDGED: u8 = 3;
const BAD_CONFIGURATION: u8 = 78;

/// Why it ends before it has begun: already told on stderr.
struct Exit(u8);

/// Runs the program with the arguments of this process.
pub fn main(program: &Program) -> ExitCode {
    let status = match start(program, std::env::args_os().skip(1)) {
        Ok(status) | Err(Exit(status)) => status,
    };
    ExitCode::from(status)
}

fn start(program: &Program, arguments: impl Iterator<Item = OsString>) -> Result<u8, Exit> {
    let request = command_line::parse(arguments).map_err(|what| {
        tell(&format!("{}: {what}\ntry: {} --help", program.name, program.name));
        Exit(USAGE)
    })?;
    match request.action {
        Action::Help => return print(&command_line::help(program.name, program.file)),
        Action::Version => return print(&format!("{} {VERSION}\n", program.name)),
        _ => {}
    }
    let config = load(program, request.config.as_deref())?;
    if request.action == Action::DryRun {
        return dry_run(program, &config);
    }
    if let Action::TestPlugins(names) = &request.action {
        return test_plugins(program, &config, names);
    }
    let setup = set_up(program, &request, &config)?;
    run(program, &request, &config, setup).map_err(|error| {
        tell(&format!("{}: {error}", program.name));
        Exit(FAILED)
    })
}

/// From here on the process may be a daemon; threads come after that.
fn run(program: &Program, request: &Request, config: &Agent, mut setup: Setup) -> io::Result<u8> {
    let target = if request.daemonize {
        daemon::daemonize()?;
        sink::Target::Syslog
    } else {
        sink::Target::Stderr
    };
    sink::init(program.name, request.verbosity, target)?;
    let signals = Signals::of_a_daemon()?;
    let task = match &request.action {
        Action::Boot => Task::Message(Kind::Boot, String::new()),
        Action::Message(text) => Task::Message(Kind::Text, text.clone()),
        Action::Once => Task::Round,
        _ => Task::Report,
    };
    let mut plugins = Plugins::new();
    if !matches!(task, Task::Message(..)) {
        plugins = collect::builtin(config, program.mini);
        plugins.truncate(limits::PLUGINS_PER_HOST);
        setup.plugins = agent_loop::plans(config, &plugins);
        setup.boot &= task == Task::Report;
    } else {
        setup.boot = false;
    }
    let outcome = agent_loop::run(setup, plugins, program.runtime, task, signals.as_fd())?;
    Ok(match outcome {
        Outcome::Stopped | Outcome::Acknowledged => 0,
        Outcome::NotSent => {
            tell(&format!("{}: not sent, no server can be reached", program.name));
            FAILED
        }
        Outcome::NotAcknowledged => {
            tell(&format!("{}: sent, but no server acknowledged it", program.name));
            NOT_ACKNOWLEDGED
        }
        Outcome::Round(round) => {
            io::stdout().write_all(render_round(&round).as_bytes())?;
            if round.complete { 0 } else { FAILED }
        }
    })
}

/// The configuration that was asked for, else the first that exists, else the defaults.
fn load(program: &Program, asked: Option<&Path>) -> Result<Agent, Exit> {
    let home =
        std::env::var_os("HOME").map(|home| Path::new(&home).join(format!(".{}", program.file)));
    let asked = asked.map(Path::to_owned);
    let asked = asked.or_else(|| std::env::var_os("HBC_CONFIG").map(PathBuf::from));
    let system = Path::new("/etc/heartbeat").join(program.file);
    let found = asked.or_else(|| home.into_iter().chain([system]).find(|path| path.exists()));
    let Some(path) = found else { return Ok(Agent::default()) };
    let shown = path.display().to_string();
    let text = file::read_bounded(&path, limits::CONFIG_MAX)
        .and_then(|bytes| String::from_utf8(bytes).map_err(|_| io::Error::other("not UTF-8")))
        .map_err(|error| {
            tell(&format!("{}: {shown}: {error}", program.name));
            Exit(BAD_CONFIGURATION)
        })?;
    let (agent, problems) = match (program.read)(&text, &shown) {
        Ok((root, mut problems)) => {
            let document = Document { file: shown, text: text.clone(), root };
            let (agent, more) = config::check(&document);
            problems.extend(more);
            (agent, problems)
        }
        Err(problem) => (Agent::default(), vec![problem]),
    };
    if problem::has_error(&problems) {
        tell(problem::render_all(&problems, |_| Some(&text)).trim_end());
        return Err(Exit(BAD_CONFIGURATION));
    }
    for problem in problems.iter().filter(|p| p.severity != Severity::Error) {
        tell(&format!("{}: {}", program.name, problem.render_line()));
    }
    Ok(agent)
}

/// Whoever gives a key wants sealed datagrams: sending plain ones instead would be a silent
/// downgrade.
fn refuse_keys(program: &Program, config: &Agent) -> Result<(), Exit> {
    let own = config.servers.iter().any(|s| s.key.is_some() || s.key_file.is_some());
    if own || config.key.is_some() || config.key_file.is_some() {
        tell(&format!(
            "{}: key: this version speaks the plain protocol only; remove `key` and `key_file`",
            program.name
        ));
        return Err(Exit(BAD_CONFIGURATION));
    }
    Ok(())
}

fn set_up(program: &Program, request: &Request, config: &Agent) -> Result<Setup, Exit> {
    refuse_keys(program, config)?;
    let mut targets: Vec<Target> = Vec::new();
    for server in &request.servers {
        let entry = config::parse_server(server).map_err(|what| {
            tell(&format!("{}: {what}", program.name));
            Exit(USAGE)
        })?;
        targets.push(Target::new(&entry, config));
    }
    targets.extend(config.servers.iter().map(|entry| Target::new(entry, config)));
    let mut seen = Vec::new();
    targets.retain(|target| {
        let new = !seen.contains(target);
        seen.push(target.clone());
        new
    });
    if targets.is_empty() {
        tell(&format!(
            "{0}: no server to report to; name one, e.g.: {0} hb.example.net\n\
             or list it under `servers:` in /etc/heartbeat/{1}",
            program.name, program.file
        ));
        return Err(Exit(USAGE));
    }
    Ok(Setup {
        name: own_name(program, config)?.into(),
        version: VERSION,
        interval: config.interval,
        targets,
        plugins: Vec::new(),
        spool_max: config.spool_max.unwrap_or(if program.mini {
            SPOOL_DEFAULT_MINI
        } else {
            SPOOL_DEFAULT
        }),
        boot: config.boot || request.boot,
        heartbeat: true,
        booted: agent_loop::booted(&config.procfs),
    })
}

fn own_name(program: &Program, config: &Agent) -> Result<String, Exit> {
    if let Some(name) = &config.name {
        return Ok(name.clone());
    }
    let kernel = name::host_name().unwrap_or_default();
    text::parse_name(&kernel).map(|name| name.into_owned()).map_err(|error| {
        let shown = text::escape_control(&kernel);
        tell(&format!(
            "{}: the machine's host name '{shown}' {error}; set `name:` in the configuration",
            program.name
        ));
        Exit(BAD_CONFIGURATION)
    })
}

fn dry_run(program: &Program, config: &Agent) -> Result<u8, Exit> {
    let mut out = String::new();
    for mut plugin in collect::builtin(config, program.mini) {
        let result = runner::collect(plugin.as_mut(), String::new());
        out.push_str(&render_sample(plugin.name(), &result));
    }
    print(&out)
}

fn test_plugins(program: &Program, config: &Agent, names: &[String]) -> Result<u8, Exit> {
    let probes = collect::probe(config, program.mini);
    let report = trial::run(config, probes, names).map_err(|name| {
        tell(&format!("{}: there is no plugin {}", program.name, text::escape_control(&name)));
        Exit(USAGE)
    })?;
    print(&report.text)?;
    Ok(if report.failed > 0 { FAILED } else { 0 })
}

fn render_round(round: &Round) -> String {
    let samples = round.samples.iter().map(|(plugin, result)| render_sample(plugin, result));
    let mut out: String = samples.collect();
    for server in &round.view.servers {
        if server.links.is_empty() {
            out.push_str(&format!("{}: no address\n", server.target));
        }
        for link in &server.links {
            let sent = format!("{}: {} of {} datagrams", link.address, link.answered, link.sent);
            let rtt = link.rtt.map_or("no heartbeat".to_owned(), |rtt| {
                format!("heartbeat in {:.3} ms", rtt.as_secs_f64() * 1e3)
            });
            out.push_str(&format!("{sent} acknowledged, {rtt}\n"));
        }
    }
    out
}

fn render_sample(plugin: &str, result: &Result<String, String>) -> String {
    match result {
        Ok(data) => format!("{plugin} {data}\n"),
        Err(reason) => format!("{plugin} failed: {reason}\n"),
    }
}

/// A result, on stdout.
fn print(text: &str) -> Result<u8, Exit> {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => Ok(0),
        Err(_) => Err(Exit(FAILED)),
    }
}

/// A diagnosis, on stderr.
fn tell(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
