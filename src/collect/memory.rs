//! `memory_monitor`: `/proc/meminfo`, and the ZFS cache where there is one.
//!
//! Percentages are psutil's: `(total - available) / total`. The ZFS cache (ARC) gives memory back
//! on demand down to its floor, but the kernel counts it as used; so what is over the floor
//! (`size` minus `c_min`) counts as available here. `arc_mb` is its whole size.

use super::kernel_file::{BYTES_MAX, KernelFile};
use super::pressure::Pressure;
use super::{CollectError, ObjectWriter, Plugin, PluginKind, Source, scan};
use crate::time::Now;

pub const NAME: &str = "memory_monitor";

/// What `/proc/meminfo` tells, in KiB; 0 where a line is missing.
#[derive(Clone, Copy, Default, Debug, PartialEq)]
pub struct Meminfo {
    pub total: u64,
    pub free: u64,
    /// Since Linux 3.14.
    pub available: Option<u64>,
    pub buffers: u64,
    pub cached: u64,
    pub reclaimable: u64,
    pub shared: u64,
    pub swap_total: u64,
    pub swap_free: u64,
}

/// Of `/proc/spl/kstat/zfs/arcstats`, in bytes.
#[derive(Clone, Copy, Default, Debug, PartialEq)]
pub struct Arc {
    pub size: u64,
    /// Below this it does not shrink.
    pub floor: u64,
}

/// Reads `/proc/meminfo` (proc(5)); `None` without a total.
pub fn parse_meminfo(bytes: &[u8]) -> Option<Meminfo> {
    let mut info = Meminfo::default();
    for line in scan::lines(bytes) {
        let Some((key, rest)) = scan::pair(line, b':') else { continue };
        let Some(value) = scan::words(rest).next().and_then(scan::number) else { continue };
        match key {
            b"MemTotal" => info.total = value,
            b"MemFree" => info.free = value,
            b"MemAvailable" => info.available = Some(value),
            b"Buffers" => info.buffers = value,
            b"Cached" => info.cached = value,
            b"SReclaimable" => info.reclaimable = value,
            b"Shmem" => info.shared = value,
            b"SwapTotal" => info.swap_total = value,
            b"SwapFree" => info.swap_free = value,
            _ => {}
        }
    }
    (info.total > 0).then_some(info)
}

/// Reads OpenZFS' arcstats (`name type data` lines); `None` without a size.
pub fn parse_arcstats(bytes: &[u8]) -> Option<Arc> {
    let mut arc = Arc::default();
    for line in scan::lines(bytes) {
        let mut words = scan::words(line);
        let (Some(key), Some(_), Some(data)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        match key {
            b"size" => arc.size = scan::number(data)?,
            b"c_min" => arc.floor = scan::number(data)?,
            _ => {}
        }
    }
    (arc.size > 0).then_some(arc)
}

impl Meminfo {
    /// What programs can still get, in KiB, at most the total. Kernels before 3.14 do not say: it
    /// is free, buffers, cache and reclaimable slab, less shared memory, which the cache counts.
    pub fn available(&self, arc: Option<Arc>) -> u64 {
        let base = self.available.unwrap_or_else(|| {
            [self.buffers, self.cached, self.reclaimable]
                .into_iter()
                .fold(self.free, u64::saturating_add)
                .saturating_sub(self.shared)
        });
        let cache = arc.map_or(0, |arc| arc.size.saturating_sub(arc.floor) / 1024);
        base.saturating_add(cache).min(self.total)
    }
}

pub struct MemoryMonitor {
    meminfo: KernelFile,
    /// Only where ZFS is loaded at the start: an absent file is not asked for again each time.
    arcstats: Option<KernelFile>,
    pressure: Pressure,
    buffer: Vec<u8>,
}

impl MemoryMonitor {
    pub fn new(source: &Source) -> Result<MemoryMonitor, CollectError> {
        let mut meminfo = KernelFile::new(source.procfs.join("meminfo"), BYTES_MAX);
        let mut buffer = Vec::new();
        meminfo.require(&mut buffer)?;
        let path = source.procfs.join("spl/kstat/zfs/arcstats");
        let arcstats = path.exists().then(|| KernelFile::new(path, BYTES_MAX));
        let pressure = Pressure::find(source, "memory");
        Ok(MemoryMonitor { meminfo, arcstats, pressure, buffer })
    }
}

impl Plugin for MemoryMonitor {
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
        let info = parse_meminfo(self.meminfo.require(&mut self.buffer)?)
            .ok_or_else(|| self.meminfo.unusable("no MemTotal"))?;
        let arc = match &mut self.arcstats {
            Some(file) => file.read(&mut self.buffer).ok().and_then(parse_arcstats),
            None => None,
        };
        let mut object = ObjectWriter::new(out);
        write(&info, arc, &mut object);
        let (some, full) = ("psi_memory_some_avg10", "psi_memory_full_avg10");
        self.pressure.write(some, Some(full), &mut self.buffer, &mut object);
        object.finish();
        Ok(())
    }
}

fn write(info: &Meminfo, arc: Option<Arc>, object: &mut ObjectWriter<'_>) {
    let mb = |kib: u64| kib as f64 / 1024.0;
    let available = info.available(arc);
    let used = info.total - available;
    let swap_used = info.swap_total.saturating_sub(info.swap_free);
    object.number_to("percent", used as f64 / info.total as f64 * 100.0, 2);
    object.number_to("total_mb", mb(info.total), 2);
    object.number_to("available_mb", mb(available), 2);
    object.number_to("used_mb", mb(used), 2);
    object.number_to("free_mb", mb(info.free), 2);
    object.number_to("buffers_mb", mb(info.buffers), 2);
    object.number_to("cached_mb", mb(info.cached.saturating_add(info.reclaimable)), 2);
    object.number_if("arc_mb", arc.map(|arc| mb(arc.size / 1024)), 2);
    object.number_to("swap_total_mb", mb(info.swap_total), 2);
    object.number_to("swap_used_mb", mb(swap_used), 2);
    let swap_percent =
        if info.swap_total > 0 { swap_used as f64 / info.swap_total as f64 * 100.0 } else { 0.0 };
    object.number_to("swap_percent", swap_percent, 2);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn available_of_an_old_kernel_is_computed() {
        let bytes = b"MemTotal: 1000 kB\nMemFree: 100 kB\nBuffers: 50 kB\nCached: 300 kB\n\
            SReclaimable: 80 kB\nShmem: 30 kB\n";
        let info = parse_meminfo(bytes).expect("parsed");
        assert_eq!(info.available(None), 500);
        assert_eq!(parse_meminfo(b"MemFree: 1 kB"), None);
    }

    #[test]
    fn arc_over_its_floor_is_available_and_never_more_than_all() {
        let info = Meminfo { total: 1000, available: Some(100), ..Meminfo::default() };
        let arc = |size: u64, floor: u64| Some(Arc { size: size * 1024, floor: floor * 1024 });
        assert_eq!(info.available(arc(300, 50)), 350);
        assert_eq!(info.available(arc(50, 300)), 100);
        assert_eq!(info.available(arc(1 << 40, 0)), 1000);
    }

    proptest! {
        #[test]
        fn any_bytes_give_percentages_in_range(
            bytes in any::<Vec<u8>>(),
            text in "(MemTotal|MemFree|Cached|Shmem|SwapTotal|SwapFree): [0-9]{1,20} kB\n",
            arc in "size 4 [0-9]{1,20}\nc_min 4 [0-9]{1,20}\n",
        ) {
            for bytes in [&bytes[..], text.as_bytes()] {
                let Some(info) = parse_meminfo(bytes) else { continue };
                prop_assert!(info.available(parse_arcstats(arc.as_bytes())) <= info.total);
            }
            parse_arcstats(&bytes);
        }
    }
}
