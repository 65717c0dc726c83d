//! What a machine says of itself: pure parsers of `/proc` and `/sys`, and the plugins over them.
//!
//! Owns the plugins and their fields (SPEC section 11). Reads below three injected roots, asks the
//! kernel for the fill of a file system, and runs programs through `os::child`; reads no clock, and
//! never touches `/proc/net/tcp*` or the list of processes (5 ms each).

mod cpu;
pub mod cpuinfo;
mod disk;
pub mod diskstats;
mod filesystem;
pub mod foreign;
mod json;
mod kernel_file;
mod link;
pub mod memory;
pub mod mount;
pub mod nagios;
pub mod nagios_runner;
pub mod netdev;
mod network;
mod osinfo;
mod own;
pub mod ping;
mod ping_monitor;
pub mod pressure;
mod program;
mod rate;
pub mod release;
mod scan;
mod sensor;
pub mod socket;
mod space;
pub mod stat;
mod stream;
mod system_monitor;
mod target;
mod virtualization;
mod zfs;
pub mod zpool;

pub use json::ObjectWriter;
pub use target::TARGET;

use crate::config::agent::{self, Agent};
use crate::limits;
use crate::time::{Duration, Mono, Now};
use std::os::fd::BorrowedFd;
use std::path::PathBuf;

/// Where the kernel's files are; other roots in tests and in containers that watch their host.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    pub procfs: PathBuf,
    pub sysfs: PathBuf,
    pub rootfs: PathBuf,
}

impl Source {
    pub fn new(config: &Agent) -> Source {
        Source {
            procfs: config.procfs.clone(),
            sysfs: config.sysfs.clone(),
            rootfs: config.rootfs.clone(),
        }
    }
}

/// How often a plugin is run: once (and when the server asks), or every interval.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PluginKind {
    Info,
    Monitor,
    /// Begun once; gives samples by itself from then on.
    Stream,
}

/// What failed, and where, in words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CollectError(pub String);

impl std::fmt::Display for CollectError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Something that can be asked for one JSON object about this machine.
pub trait Plugin: Send {
    fn name(&self) -> &str;
    fn kind(&self) -> PluginKind;
    /// Whether it does no more than read a few files of the kernel: such plugins share a wake-up.
    fn is_quick(&self) -> bool {
        false
    }
    /// Appends one JSON object to `out`: strict, every number finite. `now` drives the rates, which
    /// are per second since the last call. After an error `out` is as it was.
    fn collect(&mut self, now: Now, out: &mut String) -> Result<(), CollectError>;
    /// How long a run can take that bounds itself; `None`: the configured `timeout` is kept by
    /// whoever runs it.
    fn limit(&self) -> Option<Duration> {
        None
    }
    /// Its other form, where a run waits for programs or for the network: one that can be waited
    /// for together with others. `None`: `collect` gives its answer at once, or hangs.
    fn errand(&mut self) -> Option<&mut dyn Errand> {
        None
    }
}

/// A run that never waits by itself: whoever drives it waits for what it names.
pub trait Errand {
    /// Begins a run, or goes on with it, as far as that is possible now. Once there is a result the
    /// run is over, and the next call begins another.
    fn advance(&mut self, now: Now, out: &mut String) -> Option<Result<(), CollectError>>;
    /// Adds the descriptors that a run waits to read from, and says when to go on at the latest.
    fn watch<'a>(&'a self, on: &mut Vec<BorrowedFd<'a>>) -> Mono;
    /// Gives up a run, with all that it has started.
    fn abandon(&mut self);
    /// Whether it goes on after a result, as a stream does.
    fn goes_on(&self) -> bool {
        false
    }
}

/// A plugin by name: ready to run, or why it is not, in words.
pub type Probe = (String, Result<Box<dyn Plugin>, String>);

type Opened = Result<Box<dyn Plugin>, CollectError>;

/// A plugin that is compiled in.
pub struct BuiltIn {
    name: &'static str,
    open: fn(&Source, &agent::Plugin) -> Opened,
}

impl BuiltIn {
    pub fn name(&self) -> &'static str {
        self.name
    }
}

macro_rules! built_in {
    ($($name:expr => $open:expr,)*) => {
        &[$(BuiltIn { name: $name, open: |source, settings| Ok(Box::new($open(source, settings)?)) },)*]
    };
}

/// Those of hbc, and of a server that reports itself.
pub static FULL: &[BuiltIn] = built_in! {
    osinfo::NAME => |source, _| osinfo::OsInfo::new(source, "hbc"),
    cpu::NAME => cpu::CpuMonitor::new,
    memory::NAME => |source, _| memory::MemoryMonitor::new(source),
    disk::NAME => disk::DiskMonitor::new,
    network::NAME => network::NetworkMonitor::new,
    filesystem::NAME => filesystem::FilesystemInfo::new,
    zfs::NAME => |_, settings| zfs::ZfsMonitor::new(settings),
    system_monitor::NAME => system_monitor::SystemMonitor::new,
    ping_monitor::NAME => |_, settings| ping_monitor::PingMonitor::new(settings),
    nagios_runner::NAME => |_, settings| nagios_runner::NagiosRunner::new(settings),
};

/// Those of hbc-mini. A table of its own: what no table names is not linked.
pub static MINI: &[BuiltIn] = built_in! {
    osinfo::NAME => |source, _| osinfo::OsInfo::new(source, "hbc-mini"),
    cpu::NAME => cpu::CpuMonitor::new,
    memory::NAME => |source, _| memory::MemoryMonitor::new(source),
    disk::NAME => disk::DiskMonitor::new,
    network::NAME => network::NetworkMonitor::new,
    system_monitor::NAME => system_monitor::SystemMonitor::new,
    ping_monitor::NAME => |_, settings| ping_monitor::PingMonitor::new(settings),
    nagios_runner::NAME => |_, settings| nagios_runner::NagiosRunner::new(settings),
};

/// Every plugin with whether this configuration and this machine allow it: the built-in ones, then
/// your own. Those that count take their first reading here.
pub fn probe(config: &Agent, built_in: &[BuiltIn]) -> Vec<Probe> {
    let source = Source::new(config);
    let defaults = agent::Plugin::default();
    let built_in = built_in.iter().map(|BuiltIn { name, open }| {
        let settings = config.plugins.get(*name).unwrap_or(&defaults);
        let plugin = match settings.enabled {
            Some(false) => Err("switched off in the configuration".to_owned()),
            _ => open(&source, settings).map_err(|error| error.0),
        };
        ((*name).to_owned(), plugin)
    });
    built_in.chain(own::probe(config)).collect()
}

/// The plugins that this configuration switches on and that this machine can serve, at most
/// [`limits::PLUGINS_PER_HOST`]; first those that give their answer at once, then the errands. One
/// that the configuration names and that cannot run is told in the log.
pub fn builtin(config: &Agent, built_in: &[BuiltIn]) -> Vec<Box<dyn Plugin>> {
    let mut plugins = Vec::new();
    for (name, plugin) in probe(config, built_in) {
        match plugin {
            Ok(_) if plugins.len() >= limits::PLUGINS_PER_HOST => {
                log::warn!("plugin {name}: one too many, {} are run", limits::PLUGINS_PER_HOST);
            }
            Ok(plugin) => plugins.push(plugin),
            Err(why) if config.plugins.get(&name).is_some_and(|p| p.enabled != Some(false)) => {
                log::warn!("plugin {name} is not run: {why}");
            }
            Err(why) => log::debug!("plugin {name} is not run: {why}"),
        }
    }
    let mut errands = Vec::new();
    for mut plugin in std::mem::take(&mut plugins) {
        let list = if plugin.errand().is_some() { &mut errands } else { &mut plugins };
        list.push(plugin);
    }
    plugins.append(&mut errands);
    plugins
}

/// Programs that the plugins' settings name and that cannot be run: the key, and what is wrong.
pub fn program_problems(config: &Agent) -> Vec<(String, String)> {
    let mut problems = Vec::new();
    let on = config.plugins.iter().filter(|(_, settings)| settings.enabled != Some(false));
    for (name, settings) in on {
        for (place, command) in settings.commands.iter().enumerate() {
            if let Some(what) = program::problem(&command.argv) {
                problems
                    .push((format!("plugins.{name}.commands[{place}] ({})", command.name), what));
            }
        }
        if !settings.command.is_empty()
            && let Some(what) = program::problem(&settings.command)
        {
            problems.push((format!("plugins.{name}.command"), what));
        }
        if let Some(zpool) = &settings.zpool
            && !program::is_there(zpool)
        {
            let what = format!("{} cannot be run", zpool.display());
            problems.push((format!("plugins.{name}.zpool"), what));
        }
    }
    problems
}

#[cfg(test)]
mod fixture_test;
#[cfg(test)]
mod live_test;
