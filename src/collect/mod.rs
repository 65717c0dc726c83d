//! What a machine says of itself: pure parsers of `/proc` and `/sys`, and the plugins over them.
//!
//! Owns the built-in plugins and their fields (SPEC section 11). Reads below three injected roots,
//! and asks the kernel for the fill of a file system; starts no process, reads no clock, and never
//! touches `/proc/net/tcp*` or the list of processes (5 ms each).

mod cpu;
pub mod cpuinfo;
mod disk;
pub mod diskstats;
mod filesystem;
mod json;
mod kernel_file;
mod link;
pub mod memory;
pub mod mount;
pub mod netdev;
mod network;
mod osinfo;
mod rate;
pub mod release;
mod scan;
mod sensor;
pub mod socket;
mod space;
pub mod stat;
mod virtualization;

pub use json::ObjectWriter;

use crate::config::agent::{self, Agent};
use crate::time::Now;
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
}

/// A built-in plugin by name: ready to run, or why it is not, in words.
pub type Probe = (&'static str, Result<Box<dyn Plugin>, String>);

/// Every built-in plugin with whether this configuration and this machine allow it. Those that
/// count take their first reading here. `mini` leaves out what hbc-mini does not have.
pub fn probe(config: &Agent, mini: bool) -> Vec<Probe> {
    let source = Source::new(config);
    let names = [osinfo::NAME, cpu::NAME, memory::NAME, disk::NAME, network::NAME];
    let full = (!mini).then_some(filesystem::NAME);
    names
        .into_iter()
        .chain(full)
        .map(|name| {
            let defaults = agent::Plugin::default();
            let settings = config.plugins.get(name).unwrap_or(&defaults);
            if settings.enabled == Some(false) {
                return (name, Err("switched off in the configuration".to_owned()));
            }
            (name, open(name, &source, settings).map_err(|error| error.0))
        })
        .collect()
}

/// The built-in plugins that this configuration switches on and that this machine can serve.
pub fn builtin(config: &Agent, mini: bool) -> Vec<Box<dyn Plugin>> {
    probe(config, mini).into_iter().filter_map(|(_, plugin)| plugin.ok()).collect()
}

fn open(
    name: &'static str,
    source: &Source,
    settings: &agent::Plugin,
) -> Result<Box<dyn Plugin>, CollectError> {
    Ok(match name {
        osinfo::NAME => Box::new(osinfo::OsInfo::new(source)),
        cpu::NAME => Box::new(cpu::CpuMonitor::new(source, settings)?),
        memory::NAME => Box::new(memory::MemoryMonitor::new(source)?),
        disk::NAME => Box::new(disk::DiskMonitor::new(source, settings)?),
        network::NAME => Box::new(network::NetworkMonitor::new(source, settings)?),
        filesystem::NAME => Box::new(filesystem::FilesystemInfo::new(source, settings)?),
        _ => return Err(CollectError(format!("{name}: no such plugin"))),
    })
}

#[cfg(test)]
mod fixture_test;
#[cfg(test)]
mod live_test;
