//! What the process costs, as Prometheus names it, read from /proc when somebody asks.

use heartbeat::os::file;
use heartbeat::web::{Figure, Kind};
use nix::sys::resource::{Resource, getrlimit};
use std::path::Path;

const FILE_MAX: usize = 64 << 10;

/// The figures that can be had; elsewhere than on Linux none.
pub fn figures() -> Vec<Figure> {
    let mut figures = Vec::new();
    let read = |path: &str| {
        let bytes = file::read_bounded(Path::new(path), FILE_MAX).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let boot =
        read("/proc/stat").lines().find_map(|line| line.strip_prefix("btime ")?.parse().ok());
    // SAFETY: no memory is involved.
    let (ticks, page) =
        unsafe { (libc::sysconf(libc::_SC_CLK_TCK), libc::sysconf(libc::_SC_PAGESIZE)) };
    if let Some(stat) = Stat::parse(&read("/proc/self/stat")) {
        figures.extend(stat.figures(ticks.max(1) as f64, page.max(1) as f64, boot));
    }
    let descriptors = std::fs::read_dir("/proc/self/fd").map(|dir| dir.count().saturating_sub(1));
    if let Ok(count) = descriptors {
        let help = "Open descriptors.";
        figures.push(Figure::new("process_open_fds", Kind::Gauge, help, count as f64));
    }
    if let Ok(most) = open_files_max() {
        let help = "Descriptors that may be open at most.";
        figures.push(Figure::new("process_max_fds", Kind::Gauge, help, most as f64));
    }
    figures
}

/// How many descriptors may be open: the soft limit (getrlimit(2)).
#[allow(clippy::useless_conversion, reason = "rlim_t has 32 bits on 32-bit ARM with glibc")]
pub fn open_files_max() -> std::io::Result<u64> {
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(u64::from(soft))
}

/// What is used of /proc/PID/stat (proc(5)).
#[derive(Debug, PartialEq)]
struct Stat {
    /// Of the whole process, in clock ticks.
    user: f64,
    system: f64,
    threads: f64,
    /// Ticks after the machine's boot.
    start: f64,
    /// Bytes.
    virtual_size: f64,
    /// Pages.
    resident: f64,
}

impl Stat {
    fn parse(text: &str) -> Option<Stat> {
        // The name of the program may hold anything but ends with the last bracket.
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // The first field here is the third of the manual page.
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        Some(Stat {
            user: field(14)?,
            system: field(15)?,
            threads: field(20)?,
            start: field(22)?,
            virtual_size: field(23)?,
            resident: field(24)?,
        })
    }

    fn figures(&self, ticks: f64, page: f64, boot: Option<f64>) -> Vec<Figure> {
        let gauge = |name, help, value| Figure::new(name, Kind::Gauge, help, value);
        let cpu = (self.user + self.system) / ticks;
        let mut figures = vec![
            Figure::new("process_cpu_seconds_total", Kind::Counter, "CPU time spent.", cpu),
            gauge("process_resident_memory_bytes", "Resident memory.", self.resident * page),
            gauge("process_virtual_memory_bytes", "Virtual memory.", self.virtual_size),
            gauge("process_threads", "Threads.", self.threads),
        ];
        if let Some(boot) = boot {
            let help = "When the process started, in Unix time.";
            figures.push(gauge("process_start_time_seconds", help, boot + self.start / ticks));
        }
        figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_past_a_name_with_brackets() {
        let line = "7 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 9 0 1234 5000000 300 \
                    18446744073709551615 1 1 0 0 0 0 0 4096 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0";
        let stat = Stat::parse(line).unwrap();
        let want = Stat {
            user: 250.0,
            system: 50.0,
            threads: 9.0,
            start: 1234.0,
            virtual_size: 5_000_000.0,
            resident: 300.0,
        };
        assert_eq!(stat, want);
        let figures = stat.figures(100.0, 4096.0, Some(1000.0));
        let value = |name: &str| figures.iter().find(|f| f.name == name).unwrap().value;
        assert_eq!(value("process_cpu_seconds_total"), 3.0);
        assert_eq!(value("process_resident_memory_bytes"), 1_228_800.0);
        assert_eq!(value("process_start_time_seconds"), 1012.34);
        assert_eq!(Stat::parse("7 (x) S 1"), None);
    }

    #[test]
    fn this_process_has_all_of_them() {
        let names: Vec<&str> = figures().iter().map(|figure| figure.name).collect();
        for name in ["process_cpu_seconds_total", "process_open_fds", "process_start_time_seconds"]
        {
            assert!(names.contains(&name), "{name}: {names:?}");
        }
    }
}
