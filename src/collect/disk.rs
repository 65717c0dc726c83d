//! `disk_monitor`: how full the file systems are, and how busy the disks under them.

use super::diskstats::{self, Disk};
use super::kernel_file::{KernelFile, LONG_MAX};
use super::mount::{Choice, Mount, Table};
use super::pressure::Pressure;
use super::rate::Interval;
use super::space::Surveyor;
use super::{CollectError, ObjectWriter, Plugin, PluginKind, Source, scan};
use crate::config::agent;
use crate::os::system::Space;
use crate::time::{Mono, Now};
use std::path::PathBuf;

pub const NAME: &str = "disk_monitor";

const GB: f64 = (1u64 << 30) as f64;
const MB: f64 = (1u64 << 20) as f64;

pub struct DiskMonitor {
    mounts: Table,
    /// `None` where the kernel keeps none, or `io: false`.
    diskstats: Option<KernelFile>,
    pressure: Pressure,
    settings: agent::Plugin,
    rootfs: PathBuf,
    surveyor: Surveyor,
    interval: Interval,
    last: Vec<Disk>,
    buffer: Vec<u8>,
}

impl DiskMonitor {
    /// Takes the first reading of the disks, so that the first sample has rates.
    pub fn new(source: &Source, settings: &agent::Plugin) -> Result<DiskMonitor, CollectError> {
        let mut buffer = Vec::new();
        let mounts = Table::find(source)?;
        let mut diskstats = KernelFile::new(source.procfs.join("diskstats"), LONG_MAX);
        let first = if settings.io { diskstats.read(&mut buffer).ok() } else { None };
        let last = first.map(diskstats::parse_diskstats);
        Ok(DiskMonitor {
            mounts,
            diskstats: last.is_some().then_some(diskstats),
            pressure: Pressure::find(source, "io"),
            settings: agent::Plugin { all: false, ..settings.clone() },
            rootfs: source.rootfs.clone(),
            surveyor: Surveyor::default(),
            interval: Interval::new(source),
            last: last.unwrap_or_default(),
            buffer,
        })
    }

    fn write_partitions(&mut self, object: &mut ObjectWriter<'_>) -> Result<(), CollectError> {
        let mounts = Choice(&self.settings).choose(self.mounts.read()?);
        let spaces = self.surveyor.survey(&mounts, &self.rootfs);
        object.begin("partitions");
        for (mount, space) in mounts.iter().zip(&spaces) {
            object.begin(&mount.key());
            write_partition(object, mount, space.as_ref());
            object.end();
        }
        object.end();
        Ok(())
    }

    fn write_io(&mut self, now: Mono, object: &mut ObjectWriter<'_>) {
        let Some(file) = &mut self.diskstats else { return };
        let Ok(bytes) = file.read(&mut self.buffer) else { return };
        let disks = diskstats::parse_diskstats(bytes);
        if let Some(seconds) = self.interval.next(now, &mut self.buffer) {
            object.begin("io");
            for disk in &disks {
                if let Some(before) = self.last.iter().find(|last| last.name == disk.name) {
                    write_disk(object, disk, before, seconds);
                }
            }
            object.end();
        }
        self.last = disks;
    }
}

impl Plugin for DiskMonitor {
    fn name(&self) -> &str {
        NAME
    }

    fn kind(&self) -> PluginKind {
        PluginKind::Monitor
    }

    fn is_quick(&self) -> bool {
        true
    }

    fn collect(&mut self, now: Now, out: &mut String) -> Result<(), CollectError> {
        let start = out.len();
        let mut object = ObjectWriter::new(out);
        let partitions = self.write_partitions(&mut object);
        if partitions.is_err() {
            out.truncate(start);
            return partitions;
        }
        self.write_io(now.mono, &mut object);
        if self.settings.io {
            let (some, full) = ("psi_io_some_avg10", "psi_io_full_avg10");
            self.pressure.write(some, Some(full), &mut self.buffer, &mut object);
        }
        object.finish();
        Ok(())
    }
}

/// Fill as `df` and psutil have it: the reserve of root counts neither as used nor as free.
fn write_partition(object: &mut ObjectWriter<'_>, mount: &Mount<'_>, space: Option<&Space>) {
    match space {
        Some(space) => {
            let used = space.total.saturating_sub(space.free) as f64;
            let free = space.available as f64;
            if used + free > 0.0 {
                object.number_to("percent", used / (used + free) * 100.0, 2);
            }
            object.number_to("total_gb", space.total as f64 / GB, 3);
            object.number_to("used_gb", used / GB, 3);
            object.number_to("free_gb", free / GB, 3);
            object.number_to("free_mb", free / MB, 1);
            if space.inodes > 0 {
                let used = space.inodes.saturating_sub(space.inodes_free) as f64;
                object.number_to("inodes_percent", used / space.inodes as f64 * 100.0, 2);
            }
        }
        None => object.bool("unavailable", true),
    }
    object.text("fstype", &scan::text(mount.fstype));
    object.text("device", &scan::text(&mount.device));
}

fn write_disk(object: &mut ObjectWriter<'_>, disk: &Disk, before: &Disk, seconds: f64) {
    let rate = disk.since(before, seconds);
    object.begin(&disk.name);
    object.number_if("read_mb_s", rate.read_mb_s, 3);
    object.number_if("write_mb_s", rate.write_mb_s, 3);
    object.number_if("read_iops", rate.read_iops, 2);
    object.number_if("write_iops", rate.write_iops, 2);
    object.number_if("busy_percent", rate.busy_percent, 2);
    object.end();
}
