//! What hbc and hbc-mini do from their command line to their exit status. The two differ in a
//! `Program`.

use super::agent_loop::{self, Extras, Outcome, Round, Runtime, Task};
use super::desk::Desk;
use super::fetch::Fetch;
use super::runner::{self, Plugins};
use super::signal::Signals;
use super::updater::{Own, Updater};
use super::{
    agent_call, agent_check, agent_key, clock, daemon, doctor, entropy, file, log as sink, name,
    service, trial,
};
use crate::agent::command_line::{self, Action, Request};
use crate::agent::{SPOOL_DEFAULT, SPOOL_DEFAULT_MINI, Setup, Target, Trust};
use crate::collect::{self, BuiltIn};
use crate::config::agent::{self as config, Agent, ServerEntry};
use crate::config::node::{Document, Node};
use crate::config::problem::{self, Problem, Severity};
use crate::{limits, text};
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The version that the agents tell: this package's.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Reads a configuration's text; the second argument is the file's name, for its problems.
pub type Reader = fn(&str, &str) -> Result<(Node, Vec<Problem>), Problem>;

/// How a job is wrapped: given by whoever has `wrap`, so that it is not linked elsewhere.
#[derive(Clone, Copy)]
pub struct Wrap(Call);

type Call = fn(&Program, &Request, &Agent, &str, &[OsString]) -> Result<u8, Exit>;

pub const WRAP: Wrap = Wrap(agent_call::wrap);

/// What makes an agent hbc or hbc-mini.
pub struct Program {
    pub name: &'static str,
    /// Of its configuration: `hbc.yaml`.
    pub file: &'static str,
    pub read: Reader,
    /// The plugins that are compiled in.
    pub plugins: &'static [BuiltIn],
    pub runtime: Runtime,
    /// How `wrap` is done, where it is.
    pub wrap: Option<Wrap>,
    /// Without the room of the large one.
    pub mini: bool,
    /// How an update comes here.
    pub fetch: Fetch,
}

pub(super) const FAILED: u8 = 1;
pub(super) const USAGE: u8 = 2;
pub(super) const NOT_ACKNOWLEDGED: u8 = 3;
pub(super) const NOT_ALLOWED: u8 = 4;
pub(super) const BAD_CONFIGURATION: u8 = 78;

/// Why it ends before it has begun: already told on stderr.
pub(super) struct Exit(pub u8);

/// The configuration, and the file that it was read from.
pub(super) struct Loaded {
    pub agent: Agent,
    pub path: Option<PathBuf>,
    pub problems: Vec<Problem>,
    text: String,
}

/// Runs the program with the arguments of this process.
pub fn main(program: &Program) -> ExitCode {
    let status = match start(program, std::env::args_os().skip(1)) {
        Ok(status) | Err(Exit(status)) => status,
    };
    ExitCode::from(status)
}

fn start(program: &Program, arguments: impl Iterator<Item = OsString>) -> Result<u8, Exit> {
    let request = command_line::parse(arguments, program.mini).map_err(|what| {
        tell(&format!("{}: {what}\ntry: {} --help", program.name, program.name));
        Exit(USAGE)
    })?;
    match request.action {
        Action::Help => {
            return print(&command_line::help(program.name, program.file, program.mini));
        }
        Action::Version => return print(&format!("{} {VERSION}\n", program.name)),
        Action::PrintDefaults => return print(&agent_check::defaults(program)),
        Action::CheckConfig => return agent_check::run(program, request.config.as_deref()),
        _ => {}
    }
    let loaded = load(program, request.config.as_deref())?;
    loaded.tell_problems(program)?;
    let config = &loaded.agent;
    match &request.action {
        Action::DryRun => return dry_run(program, config),
        Action::TestPlugins(names) => return test_plugins(program, config, names),
        Action::Doctor(server) => return doctor::run(program, config, server),
        Action::InstallService(server) => {
            return service::run(program, &loaded, server.as_deref());
        }
        Action::Update(words) => return agent_call::update(program, config, words),
        Action::Wrap { name, argv } => {
            let Some(Wrap(wrap)) = program.wrap else { return Err(Exit(USAGE)) };
            return wrap(program, &request, config, name, argv);
        }
        action if action.is_one_off() => return agent_call::tell_once(program, &request, config),
        _ => {}
    }
    let setup = set_up(program, &request, config)?;
    run(program, &request, &loaded, setup).map_err(|error| {
        tell(&format!("{}: {error}", program.name));
        Exit(FAILED)
    })
}

/// What this process is; taken before anything replaces its file or changes its directory.
fn own(program: &Program, loaded: &Loaded) -> Option<Own> {
    let exe = std::env::current_exe().ok()?;
    // A file that has been replaced under a running program.
    let exe = match exe.to_str().and_then(|path| path.strip_suffix(" (deleted)")) {
        Some(path) => PathBuf::from(path),
        None => exe,
    };
    let config = loaded.path.as_ref();
    Some(Own {
        program: program.name,
        version: VERSION,
        exe,
        config: config.and_then(|path| std::path::absolute(path).ok()),
        arguments: std::env::args_os().skip(1).collect(),
        directory: std::env::current_dir().ok(),
    })
}

/// Replaces this process by the program that lies in its place now.
fn restart(own: &Own) -> io::Error {
    if let Some(directory) = &own.directory {
        // A daemon has left it, and the arguments may name files of it.
        let _ = std::env::set_current_dir(directory);
    }
    super::program::replace_by(&own.exe, &own.arguments)
}

/// From here on the process may be a daemon; threads come after that.
fn run(program: &Program, request: &Request, loaded: &Loaded, setup: Setup) -> io::Result<u8> {
    let own = own(program, loaded);
    let target = if request.daemonize {
        daemon::daemonize()?;
        sink::Target::Syslog
    } else {
        sink::Target::Stderr
    };
    sink::init(program.name, request.verbosity, target)?;
    let signals = Signals::of_a_daemon()?;
    let task = if request.action == Action::Once { Task::Round } else { Task::Report };
    let mut extras = Extras::default();
    if task == Task::Report {
        extras.desk = Desk::open(loaded.agent.control_socket.as_deref());
        if let Some(own) = &own {
            let update = loaded.agent.update.clone();
            extras.updater = Updater::begin(own.clone(), update, clock::now_awake().mono);
            if extras.updater.is_none() {
                return Err(restart(own));
            }
        }
    }
    let outcome = act(program, &loaded.agent, setup, task, extras, &signals)?;
    if outcome == Outcome::Restart {
        return Err(own.map_or_else(|| io::Error::other("cannot restart"), |own| restart(&own)));
    }
    finish(program, outcome)
}

/// One run of the agent.
pub(super) fn act(
    program: &Program,
    config: &Agent,
    mut setup: Setup,
    task: Task,
    extras: Extras,
    signals: &Signals,
) -> io::Result<Outcome> {
    let mut plugins = Plugins::new();
    if matches!(task, Task::Tell(_)) {
        setup.boot = false;
    } else {
        plugins = collect::builtin(config, program.plugins);
        plugins.truncate(limits::PLUGINS_PER_HOST);
        setup.plugins = agent_loop::plans(config, &plugins);
        setup.boot &= task == Task::Report;
    }
    agent_loop::run(setup, plugins, program.runtime, task, extras, signals.as_fd())
}

/// The exit status of an outcome, told where it is none to be content with.
pub(super) fn finish(program: &Program, outcome: Outcome) -> io::Result<u8> {
    Ok(match outcome {
        Outcome::Stopped | Outcome::Acknowledged | Outcome::Restart => 0,
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
pub(super) fn load(program: &Program, asked: Option<&Path>) -> Result<Loaded, Exit> {
    let home =
        std::env::var_os("HOME").map(|home| Path::new(&home).join(format!(".{}", program.file)));
    let asked = asked.map(Path::to_owned);
    let asked = asked.or_else(|| std::env::var_os("HBC_CONFIG").map(PathBuf::from));
    let system = Path::new("/etc/heartbeat").join(program.file);
    let found = asked.or_else(|| home.into_iter().chain([system]).find(|path| path.exists()));
    let Some(path) = found else {
        let (agent, problems) = (Agent::default(), Vec::new());
        return Ok(Loaded { agent, path: None, problems, text: String::new() });
    };
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
            let has = |name: &str| program.plugins.iter().any(|plugin| plugin.name() == name);
            problems.extend(config::lacking(&document, program.name, has));
            (agent, problems)
        }
        Err(problem) => (Agent::default(), vec![problem]),
    };
    Ok(Loaded { agent, path: Some(path), problems, text })
}

impl Loaded {
    /// All problems in full, each with the lines that it is about.
    pub(super) fn render_problems(&self) -> String {
        problem::render_all(&self.problems, |_| Some(&self.text))
    }

    /// Errors end the program, warnings are told.
    fn tell_problems(&self, program: &Program) -> Result<(), Exit> {
        if problem::has_error(&self.problems) {
            tell(self.render_problems().trim_end());
            return Err(Exit(BAD_CONFIGURATION));
        }
        for problem in self.problems.iter().filter(|p| p.severity != Severity::Error) {
            tell(&format!("{}: {}", program.name, problem.render_line()));
        }
        Ok(())
    }
}

/// A server with its key. Whoever gives a key wants sealed datagrams: one that cannot be used is never
/// left out.
fn target(program: &Program, entry: &ServerEntry, config: &Agent) -> Result<Target, Exit> {
    let key = agent_key::of_server(entry, config).map_err(|what| {
        tell(&format!("{}: {what}", program.name));
        Exit(BAD_CONFIGURATION)
    })?;
    Ok(Target::new(entry, config, key))
}

/// What sealed servers may ask for, and what their sessions begin with.
pub fn trust(config: &Agent) -> Trust {
    let seed = entropy::seed(&config.procfs);
    Trust {
        commands: config.commands.clone(),
        update: config.update.is_some(),
        seed: seed.number,
        weak: seed.weak,
    }
}

/// The servers to report to: those of the command line, then those of the file.
fn targets(program: &Program, servers: &[String], config: &Agent) -> Result<Vec<Target>, Exit> {
    let mut targets: Vec<Target> = Vec::new();
    for server in servers {
        let entry = config::parse_server(server).map_err(|what| {
            tell(&format!("{}: {what}", program.name));
            Exit(USAGE)
        })?;
        targets.push(target(program, &entry, config)?);
    }
    for entry in &config.servers {
        targets.push(target(program, entry, config)?);
    }
    let mut seen = Vec::new();
    targets.retain(|target| {
        let new = !seen.contains(target);
        seen.push(target.clone());
        new
    });
    Ok(targets)
}

pub(super) fn set_up(program: &Program, request: &Request, config: &Agent) -> Result<Setup, Exit> {
    let targets = targets(program, &request.servers, config)?;
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
        trust: trust(config),
        booted: agent_loop::booted(&config.procfs),
    })
}

pub(super) fn own_name(program: &Program, config: &Agent) -> Result<String, Exit> {
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
    for mut plugin in collect::builtin(config, program.plugins) {
        let result = runner::collect(plugin.as_mut(), String::new());
        out.push_str(&render_sample(plugin.name(), &result));
    }
    print(&out)
}

fn test_plugins(program: &Program, config: &Agent, names: &[String]) -> Result<u8, Exit> {
    let probes = collect::probe(config, program.plugins);
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
                let micros = rtt.as_micros() as u64;
                format!("heartbeat in {}.{:03} ms", micros / 1000, micros % 1000)
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
pub(super) fn print(text: &str) -> Result<u8, Exit> {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => Ok(0),
        Err(_) => Err(Exit(FAILED)),
    }
}

/// A diagnosis, on stderr.
pub(super) fn tell(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
