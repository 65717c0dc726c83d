//! The kernel's own counters: `/proc/stat`, `loadavg`, `uptime`. Pure parsers.

use super::scan;

/// CPUs looked at; a machine with more is measured as a whole only.
pub const CPUS_MAX: usize = 1024;

/// Time one CPU, or all of them, spent since boot, in clock ticks (proc(5)). `guest` is in `user`
/// already and not read.
#[derive(Clone, Copy, Default, Debug, PartialEq)]
pub struct Ticks {
    /// Programs, niced ones included.
    pub user: u64,
    /// The kernel, interrupts included.
    pub system: u64,
    pub idle: u64,
    pub iowait: u64,
    /// Taken by other guests of the hypervisor.
    pub steal: u64,
}

/// Shares of the time between two readings, in percent.
#[derive(Clone, Copy, Default, Debug, PartialEq)]
pub struct Share {
    pub busy: f64,
    pub user: f64,
    pub system: f64,
    pub iowait: f64,
    pub steal: f64,
}

#[derive(Clone, Default, Debug, PartialEq)]
pub struct Stat {
    pub all: Ticks,
    /// Number of each CPU that is on, and its ticks.
    pub cpus: Vec<(u64, Ticks)>,
    /// Unix seconds.
    pub boot_time: Option<u64>,
}

/// Reads `/proc/stat`; `None` without its `cpu` line. `per_cpu` asks for the line of each CPU.
pub fn parse_stat(bytes: &[u8], per_cpu: bool) -> Option<Stat> {
    let mut stat = Stat::default();
    let mut found = false;
    for line in scan::lines(bytes) {
        if let Some(rest) = line.strip_prefix(b"cpu") {
            if rest.first() == Some(&b' ') {
                stat.all = parse_ticks(rest)?;
                found = true;
            } else if per_cpu && stat.cpus.len() < CPUS_MAX {
                let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
                let (number, rest) = rest.split_at(digits);
                if let (Some(number), Some(ticks)) = (scan::number(number), parse_ticks(rest)) {
                    stat.cpus.push((number, ticks));
                }
            }
        } else if let Some(rest) = line.strip_prefix(b"btime ") {
            stat.boot_time = scan::number(rest.trim_ascii());
        }
    }
    found.then_some(stat)
}

/// `user nice system idle [iowait irq softirq [steal …]]`: kernels before 2.6.11 have fewer.
fn parse_ticks(rest: &[u8]) -> Option<Ticks> {
    let mut fields = [0u64; 8];
    let mut count = 0;
    for (field, word) in fields.iter_mut().zip(scan::words(rest)) {
        *field = scan::number(word)?;
        count += 1;
    }
    let [user, nice, system, idle, iowait, irq, softirq, steal] = fields;
    (count >= 4).then(|| Ticks {
        user: user.saturating_add(nice),
        system: system.saturating_add(irq).saturating_add(softirq),
        idle,
        iowait,
        steal,
    })
}

impl Ticks {
    /// Shares since `earlier`; `None` where fewer than `ticks_min` passed or the counters were
    /// reset. A single one may step back a little (`iowait` is known for it): it counts as 0.
    pub fn since(&self, earlier: &Ticks, ticks_min: u64) -> Option<Share> {
        if !self.is_later(earlier) {
            return None;
        }
        let passed = Ticks {
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
            idle: self.idle.saturating_sub(earlier.idle),
            iowait: self.iowait.saturating_sub(earlier.iowait),
            steal: self.steal.saturating_sub(earlier.steal),
        };
        let total = passed.sum();
        if total < ticks_min.max(1) {
            return None;
        }
        // As floats: counters that fill their 64 bits must not add up to more than all of it.
        let Ticks { user, system, idle, iowait, steal } = passed;
        let [user, system, idle, iowait, steal] =
            [user, system, idle, iowait, steal].map(|ticks| ticks as f64);
        let busy = user + system + steal;
        let percent = |ticks: f64| ticks / (busy + idle + iowait) * 100.0;
        Some(Share {
            busy: percent(busy),
            user: percent(user),
            system: percent(system),
            iowait: percent(iowait),
            steal: percent(steal),
        })
    }

    /// Not reset since `earlier`, as far as can be seen.
    pub fn is_later(&self, earlier: &Ticks) -> bool {
        self.sum() >= earlier.sum()
    }

    fn sum(&self) -> u64 {
        [self.system, self.idle, self.iowait, self.steal]
            .into_iter()
            .fold(self.user, u64::saturating_add)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loadavg {
    /// Over 1, 5 and 15 minutes.
    pub load: [f64; 3],
    /// Scheduling entities: processes and threads.
    pub entities: Option<u64>,
}

/// Reads `/proc/loadavg`: `0.25 0.11 0.08 1/94 8801`.
pub fn parse_loadavg(bytes: &[u8]) -> Option<Loadavg> {
    let mut words = scan::words(bytes);
    let mut load = [0.0; 3];
    for value in &mut load {
        *value = scan::decimal(words.next()?).filter(|load| *load >= 0.0)?;
    }
    let entities = words.next().and_then(|word| scan::pair(word, b'/'));
    Some(Loadavg { load, entities: entities.and_then(|(_, total)| scan::number(total)) })
}

/// Reads `/proc/uptime`: seconds since boot.
pub fn parse_uptime(bytes: &[u8]) -> Option<f64> {
    scan::decimal(scan::words(bytes).next()?).filter(|seconds| *seconds >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn stat_of_an_early_kernel_has_four_counters() {
        let stat = parse_stat(b"cpu  10 1 5 84\ncpu0 10 1 5 84\n", true).expect("parsed");
        assert_eq!(stat.all, Ticks { user: 11, system: 5, idle: 84, ..Ticks::default() });
        assert_eq!(stat.cpus, [(0, stat.all)]);
        assert_eq!(stat.boot_time, None);
    }

    #[test]
    fn stat_without_its_line_is_none() {
        for bytes in [&b""[..], b"cpu0 1 2 3 4", b"cpu  1 2 3", b"cpu  1 x 3 4", b"cpu"] {
            assert_eq!(parse_stat(bytes, true), None);
        }
    }

    #[test]
    fn shares_add_up_and_guests_are_not_counted_twice() {
        let before = parse_stat(b"cpu  100 0 100 700 100 0 0 0 50 0", false).expect("parsed").all;
        let after = parse_stat(b"cpu  130 10 110 730 110 5 5 0 80 0", false).expect("parsed").all;
        let share = after.since(&before, 10).expect("100 ticks passed");
        let want = Share { busy: 60.0, user: 40.0, system: 20.0, iowait: 10.0, steal: 0.0 };
        assert_eq!(share, want);
    }

    #[test]
    fn counters_that_step_back_give_no_share_or_zero() {
        let ticks = |user, idle, iowait| Ticks { user, idle, iowait, ..Ticks::default() };
        assert_eq!(ticks(0, 5, 0).since(&ticks(100, 100, 0), 1), None);
        assert_eq!(ticks(1, 5, 0).since(&ticks(1, 5, 0), 0), None);
        let share = ticks(50, 150, 8).since(&ticks(0, 100, 10), 1).expect("98 ticks passed");
        assert_eq!((share.iowait, share.busy), (0.0, 50.0));
    }

    #[test]
    fn small_files_are_read_or_refused() {
        let loadavg = parse_loadavg(b"0.25 0.11 0.08 1/94 8801\n").expect("parsed");
        assert_eq!(loadavg, Loadavg { load: [0.25, 0.11, 0.08], entities: Some(94) });
        assert_eq!(parse_loadavg(b"0.25 0.11"), None);
        assert_eq!(parse_loadavg(b"nan inf -1 1/2 3"), None);
        assert_eq!(parse_uptime(b"1146.38 2167.25\n"), Some(1146.38));
        assert_eq!(parse_uptime(b"\n"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(bytes in any::<Vec<u8>>(), text in "(cpu[0-9 ]{0,80}\n){0,9}") {
            for bytes in [&bytes[..], text.as_bytes()] {
                if let Some(stat) = parse_stat(bytes, true) {
                    for (_, ticks) in &stat.cpus {
                        if let Some(share) = ticks.since(&stat.all, 1) {
                            prop_assert!((0.0..=100.0001).contains(&share.busy));
                        }
                    }
                }
                parse_loadavg(bytes);
                parse_uptime(bytes);
            }
        }
    }
}
