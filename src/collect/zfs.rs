//! `zfs_monitor`: the pools of this machine, asked of zpool(8).

use super::zpool::{self, Pool};
use super::{CollectError, Errand, ObjectWriter, Plugin, PluginKind, program};
use crate::config::agent;
use crate::glob;
use crate::os::batch::Batch;
use crate::os::child::{self, Ended, Exit, Program};
use crate::os::errand;
use crate::time::{Duration, Mono, Now};
use std::io;
use std::os::fd::BorrowedFd;

pub const NAME: &str = "zfs_monitor";
const GB: f64 = (1u64 << 30) as f64;

pub struct ZfsMonitor {
    zpool: String,
    /// Globs; empty: all.
    pools: Vec<String>,
    timeout: Duration,
    run: Option<Batch>,
}

impl ZfsMonitor {
    /// # Errors
    /// There is no zpool(8).
    pub fn new(settings: &agent::Plugin) -> Result<ZfsMonitor, CollectError> {
        let path = match &settings.zpool {
            Some(path) => Some(path.clone()).filter(|path| program::is_there(path)),
            None => child::find("zpool"),
        };
        let path = path.ok_or_else(|| CollectError("zpool(8) not found in PATH".to_owned()))?;
        Ok(ZfsMonitor {
            zpool: path.to_string_lossy().into_owned(),
            pools: settings.pools.clone(),
            timeout: settings.timeout,
            run: None,
        })
    }

    fn begin(&self) -> Batch {
        let calls: [&[&str]; 3] =
            [&["list", "-Hp", "-o", zpool::LIST_COLUMNS], &["status", "-p"], &["iostat", "-Hp"]];
        let program = |arguments: &&[&str]| {
            let words = [self.zpool.as_str()].into_iter().chain(arguments.iter().copied());
            Program {
                argv: words.map(str::to_owned).collect(),
                timeout: Some(self.timeout),
                ..Program::default()
            }
        };
        Batch::new(calls.iter().map(program).collect(), calls.len())
    }

    fn write(&self, results: &[io::Result<Ended>], out: &mut String) -> Result<(), CollectError> {
        let [list, status, iostat] = results else { return Ok(()) };
        let pools = zpool::parse_list(&output(list)?);
        // Without these the pools' health is still worth telling.
        let status = output(status).map(|text| zpool::parse_status(&text)).unwrap_or_default();
        let iostat = output(iostat).map(|text| zpool::parse_iostat(&text)).unwrap_or_default();
        let wanted = |pool: &&Pool| {
            let name = pool.name.as_bytes();
            self.pools.is_empty() || glob::matches_any(&self.pools, name)
        };
        let mut object = ObjectWriter::new(out);
        object.begin("pools");
        for pool in pools.iter().filter(wanted) {
            object.begin(&pool.name);
            write_pool(pool, &mut object);
            if let Some(io) = iostat.get(&pool.name) {
                object.integer("read_ops", io.read_ops);
                object.integer("write_ops", io.write_ops);
                object.integer("read_bytes", io.read_bytes);
                object.integer("write_bytes", io.write_bytes);
            }
            if let Some(status) = status.get(&pool.name) {
                object.integer("errors_total", status.errors_total);
                object.text_if("scan", status.scan.as_deref());
                object.text_if("devices", Some(&*status.devices).filter(|text| !text.is_empty()));
            }
            object.end();
        }
        object.end();
        object.finish();
        Ok(())
    }
}

fn write_pool(pool: &Pool, object: &mut ObjectWriter<'_>) {
    object.text("health", &pool.health);
    object.integer("health_code", zpool::health_code(&pool.health).into());
    object.number_if("capacity_percent", pool.capacity_percent, 2);
    object.number_if("fragmentation_percent", pool.fragmentation_percent, 2);
    object.number_if("dedup_ratio", pool.dedup_ratio, 2);
    object.number_if("size_gb", pool.size.map(|bytes| bytes as f64 / GB), 3);
    object.number_if("free_gb", pool.free.map(|bytes| bytes as f64 / GB), 3);
}

/// What a call printed, where it went well.
fn output(result: &io::Result<Ended>) -> Result<String, CollectError> {
    match result {
        Ok(ended) if ended.timed_out => Err(CollectError("zpool timed out".to_owned())),
        Ok(ended) if ended.exit == Exit::Code(0) => {
            Ok(String::from_utf8_lossy(&ended.stdout).into_owned())
        }
        Ok(ended) => Err(CollectError(format!("zpool: {}", program::complaint(ended)))),
        Err(error) => Err(CollectError(format!("zpool cannot be run: {error}"))),
    }
}

impl Plugin for ZfsMonitor {
    fn name(&self) -> &str {
        NAME
    }

    fn kind(&self) -> PluginKind {
        PluginKind::Monitor
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

impl Errand for ZfsMonitor {
    fn advance(&mut self, now: Now, out: &mut String) -> Option<Result<(), CollectError>> {
        let mut run = self.run.take().unwrap_or_else(|| self.begin());
        match run.poll(now.mono) {
            Some(results) => Some(self.write(&results, out)),
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

#[cfg(test)]
#[path = "zfs_test.rs"]
mod tests;
