//! Rates from counters: how much more, over how long.

use super::kernel_file::{BYTES_MAX, KernelFile};
use super::{Source, stat};
use crate::time::Mono;

/// A rate over less than this is noise, in seconds.
const SECONDS_MIN: f64 = 0.1;

/// The time between two readings of one plugin.
///
/// The first reading is taken when the plugin is made, where nobody tells the time: the kernel's
/// own `/proc/uptime` measures the time to the second one, the caller's clock all later ones.
pub struct Interval {
    last: Option<Mono>,
    uptime: KernelFile,
    uptime_first: Option<f64>,
}

impl Interval {
    pub fn new(source: &Source) -> Interval {
        let mut uptime = KernelFile::new(source.procfs.join("uptime"), BYTES_MAX);
        let uptime_first = uptime.read(&mut Vec::new()).ok().and_then(stat::parse_uptime);
        Interval { last: None, uptime, uptime_first }
    }

    /// Seconds since the reading before this one; `None` where that is unknown or too short.
    pub fn next(&mut self, now: Mono, buffer: &mut Vec<u8>) -> Option<f64> {
        let seconds = match self.last.replace(now) {
            Some(last) => now.since(last).as_secs_f64(),
            None => {
                let uptime = self.uptime.read(buffer).ok().and_then(stat::parse_uptime)?;
                uptime - self.uptime_first?
            }
        };
        (seconds >= SECONDS_MIN).then_some(seconds)
    }
}

/// How much a counter grew per second. `None` where it went backwards: it wrapped, was reset, or
/// belongs to another device of the same name now. A wrong guess would be a huge peak in a chart.
pub fn per_second(count: u64, before: u64, seconds: f64) -> Option<f64> {
    Some(count.checked_sub(before)? as f64 / seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counter_that_went_backwards_has_no_rate() {
        assert_eq!(per_second(30, 10, 2.0), Some(10.0));
        assert_eq!(per_second(10, 10, 2.0), Some(0.0));
        assert_eq!(per_second(5, u64::from(u32::MAX), 2.0), None);
    }

    #[test]
    fn first_interval_is_the_kernels_later_ones_the_callers() {
        let dir = tempfile::tempdir().expect("a directory");
        let uptime = dir.path().join("uptime");
        let root = dir.path().to_path_buf();
        let source = Source { procfs: root.clone(), sysfs: root.clone(), rootfs: root };
        std::fs::write(&uptime, "100.00 5.00\n").expect("written");
        let mut interval = Interval::new(&source);
        std::fs::write(&uptime, "102.50 5.00\n").expect("written");
        let mut buffer = Vec::new();
        assert_eq!(interval.next(Mono::from_secs(7), &mut buffer), Some(2.5));
        assert_eq!(interval.next(Mono::from_secs(17), &mut buffer), Some(10.0));
        assert_eq!(interval.next(Mono::from_secs(17), &mut buffer), None);
        assert_eq!(interval.next(Mono::from_secs(3), &mut buffer), None);
    }
}
