//! `cpu_monitor`: how busy the processors are, load, pressure, temperature.

use super::kernel_file::{BYTES_MAX, KernelFile, LONG_MAX};
use super::pressure::Pressure;
use super::sensor::{Frequency, Temperature};
use super::stat::{self, Share, Stat, Ticks};
use super::{CollectError, ObjectWriter, Plugin, PluginKind, Source};
use crate::config::agent;
use crate::time::Now;

pub const NAME: &str = "cpu_monitor";

/// Shares over less than this many ticks (0.1 s of one CPU) are noise.
const TICKS_MIN: u64 = 10;

pub struct CpuMonitor {
    stat: KernelFile,
    loadavg: KernelFile,
    uptime: KernelFile,
    pressure: Pressure,
    frequency: Frequency,
    temperature: Temperature,
    per_core: bool,
    last: Stat,
    is_first: bool,
    buffer: Vec<u8>,
}

impl CpuMonitor {
    /// Takes the first reading, so that the first sample covers the time since then.
    pub fn new(source: &Source, settings: &agent::Plugin) -> Result<CpuMonitor, CollectError> {
        let proc = |name: &str, bytes_max| KernelFile::new(source.procfs.join(name), bytes_max);
        let mut stat = proc("stat", LONG_MAX);
        let mut buffer = Vec::new();
        let last = stat::parse_stat(stat.require(&mut buffer)?, settings.per_core)
            .ok_or_else(|| stat.unusable("no cpu line"))?;
        Ok(CpuMonitor {
            stat,
            loadavg: proc("loadavg", BYTES_MAX),
            uptime: proc("uptime", BYTES_MAX),
            pressure: Pressure::find(source, "cpu"),
            frequency: Frequency::find(source),
            temperature: Temperature::find(source),
            per_core: settings.per_core,
            last,
            is_first: true,
            buffer,
        })
    }

    /// The shares since the last reading, of all CPUs together and of each. Where that is too short
    /// a time: the first sample takes the time since boot, a later one has none and the next one
    /// covers this time as well. None either where the counters were reset.
    fn shares(&mut self, stat: Stat) -> (Option<Share>, Vec<Share>) {
        let mut last = std::mem::replace(&mut self.last, stat);
        let stat = &self.last;
        let mut share = stat.all.since(&last.all, TICKS_MIN);
        if share.is_none() && self.is_first {
            last.all = Ticks::default();
            last.cpus.iter_mut().for_each(|(_, ticks)| *ticks = Ticks::default());
            share = stat.all.since(&last.all, 1);
        }
        self.is_first = false;
        let same = last.cpus.iter().map(|(n, _)| n).eq(stat.cpus.iter().map(|(n, _)| n));
        let mut cores = Vec::new();
        if share.is_some() && same {
            let each = stat.cpus.iter().zip(&last.cpus);
            // One that did not tick slept through.
            cores =
                each.map(|((_, now), (_, then))| now.since(then, 1).unwrap_or_default()).collect();
        } else if share.is_none() && stat.all.is_later(&last.all) {
            self.last = last;
        }
        (share, cores)
    }
}

impl Plugin for CpuMonitor {
    fn name(&self) -> &str {
        NAME
    }

    fn kind(&self) -> PluginKind {
        PluginKind::Monitor
    }

    fn is_quick(&self) -> bool {
        true
    }

    fn collect(&mut self, _now: Now, out: &mut String) -> Result<(), CollectError> {
        let stat = stat::parse_stat(self.stat.require(&mut self.buffer)?, self.per_core)
            .ok_or_else(|| self.stat.unusable("no cpu line"))?;
        let (share, cores) = self.shares(stat);
        let mut object = ObjectWriter::new(out);
        if let Some(share) = share {
            object.number_to("cpu_percent", share.busy, 2);
            object.number_to("user_percent", share.user, 2);
            object.number_to("system_percent", share.system, 2);
            object.number_to("iowait_percent", share.iowait, 2);
            object.number_to("steal_percent", share.steal, 2);
        }
        if !cores.is_empty() {
            object.numbers("per_core", cores.iter().map(|share| share.busy), 1);
        }
        self.write_state(&mut object);
        object.finish();
        Ok(())
    }
}

impl CpuMonitor {
    /// What is true now rather than over an interval; each is left out where its source is missing.
    fn write_state(&mut self, object: &mut ObjectWriter<'_>) {
        let buffer = &mut self.buffer;
        if let Some(average) = self.loadavg.read(buffer).ok().and_then(stat::parse_loadavg) {
            object.number_to("load_1min", average.load[0], 2);
            object.number_to("load_5min", average.load[1], 2);
            object.number_to("load_15min", average.load[2], 2);
            object.integer_if("process_count", average.entities);
        }
        let uptime = self.uptime.read(buffer).ok().and_then(stat::parse_uptime);
        object.number_if("uptime_seconds", uptime, 2);
        object.number_if("frequency_mhz", self.frequency.read(buffer), 0);
        self.pressure.write("psi_cpu_some_avg10", None, buffer, object);
        object.number_if("temperature_c", self.temperature.read(buffer), 1);
    }
}
