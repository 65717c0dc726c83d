//! The history of a fleet at default plugins and intervals: `cargo bench --bench history [-- HOSTS [DAYS [DIR]]]`,
//! by default 10,000 hosts and 1 day in the directory for temporary files. Time is an argument of the keeper, so
//! that days pass as fast as they can be written. Prints CPU of the writing thread as a share of one core, bytes a
//! sample after compaction and after rolling up, what was written to the file, and how long a chart and a start take.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

// The daemon's own modules; not all of them is used here.
#[allow(dead_code, unused_imports)]
#[path = "../src/bin/hbd/fault.rs"]
mod fault;
#[allow(dead_code, unused_imports)]
#[path = "../src/bin/hbd/history/mod.rs"]
mod history;
#[allow(dead_code, unused_imports)]
#[path = "../src/bin/hbd/pulse.rs"]
mod pulse;
#[allow(dead_code, unused_imports)]
#[path = "../src/bin/hbd/store.rs"]
mod store;

use heartbeat::engine::Recorded;
use heartbeat::engine::record::{Numbers, RoundTrip, Shape};
use heartbeat::engine::view::Family;
use heartbeat::history::{Reader, SeriesAsk};
use heartbeat::prng::Prng;
use heartbeat::time::{Duration, Wall};
use history::{Handle, Keeper, Past, Settings};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// 2026-11-22 00:00 UTC.
const START: Wall = Wall::from_secs(1_795_305_600);
/// As the thread does.
const COMMIT_EVERY: u64 = 8;
const PLUGIN_EVERY: u64 = 300;
const HEARTBEAT_EVERY: u64 = 30;

/// One plugin's numbers: how many of each kind a small Linux machine has.
struct Kind {
    shape: Arc<Shape>,
    /// 0 does not change, 1 a percentage with one decimal, 2 a size that wanders, 3 a counter of bytes, 4 a rate
    /// with four decimals, 5 a load with two.
    ways: Vec<u8>,
}

const NETWORK: [(&str, u8); 14] = [
    ("interfaces.eth0.rx_mb_s", 4),
    ("interfaces.eth0.tx_mb_s", 4),
    ("interfaces.eth0.rx_bytes", 3),
    ("interfaces.eth0.tx_bytes", 3),
    ("interfaces.eth0.rx_packets", 3),
    ("interfaces.eth0.tx_packets", 3),
    ("interfaces.eth0.errors_total", 0),
    ("interfaces.eth0.dropped_total", 0),
    ("interfaces.eth0.speed_mbit", 0),
    ("errors_total", 0),
    ("dropped_total", 0),
    ("tcp_established", 2),
    ("tcp_time_wait", 2),
    ("udp_sockets", 2),
];

fn kinds() -> Vec<Kind> {
    let kind = |plugin: &str, metrics: &[(&str, u8)]| {
        let names: Vec<&str> = metrics.iter().map(|(name, _)| *name).collect();
        Kind {
            shape: Arc::new(Shape::new(plugin, &names)),
            ways: metrics.iter().map(|m| m.1).collect(),
        }
    };
    vec![
        kind(
            "cpu_monitor",
            &[
                ("cpu_percent", 1),
                ("user_percent", 1),
                ("system_percent", 1),
                ("iowait_percent", 1),
                ("steal_percent", 0),
                ("load_1min", 5),
                ("load_5min", 5),
                ("load_15min", 5),
                ("process_count", 2),
                ("uptime_seconds", 3),
                ("frequency_mhz", 0),
                ("psi_cpu_some_avg10", 5),
            ],
        ),
        kind(
            "memory_monitor",
            &[
                ("percent", 1),
                ("total_mb", 0),
                ("available_mb", 2),
                ("used_mb", 2),
                ("free_mb", 2),
                ("buffers_mb", 2),
                ("cached_mb", 2),
                ("swap_total_mb", 0),
                ("swap_used_mb", 0),
                ("swap_percent", 0),
            ],
        ),
        kind(
            "disk_monitor",
            &[
                ("partitions./.percent", 1),
                ("partitions./.total_gb", 0),
                ("partitions./.used_gb", 5),
                ("partitions./.free_gb", 5),
                ("partitions./.free_mb", 2),
                ("partitions./.inodes_percent", 1),
                ("io.sda.read_mb_s", 4),
                ("io.sda.write_mb_s", 4),
                ("io.sda.read_iops", 5),
                ("io.sda.write_iops", 5),
                ("io.sda.busy_percent", 1),
            ],
        ),
        kind("network_monitor", &NETWORK),
    ]
}

struct Fleet {
    names: Vec<Arc<str>>,
    kinds: Vec<Kind>,
    /// By host and kind: the numbers as they were last.
    state: Vec<Vec<Vec<f64>>>,
    prng: Prng,
}

impl Fleet {
    fn new(hosts: usize) -> Fleet {
        let kinds = kinds();
        let names = (0..hosts).map(|i| format!("host-{i:05}").into()).collect();
        let mut prng = Prng::new(1);
        let first = |way: &u8, prng: &mut Prng| match way {
            0 => 8192.0,
            3 => (prng.next_u64() >> 24) as f64,
            _ => (prng.next_u64() % 1000) as f64 / 10.0,
        };
        let mut host =
            || kinds.iter().map(|k| k.ways.iter().map(|w| first(w, &mut prng)).collect()).collect();
        let state = (0..hosts).map(|_| host()).collect();
        Fleet { names, kinds, state, prng: Prng::new(2) }
    }

    /// What a host sent at this second, if it is its turn; times come within their millisecond as they do.
    fn second(&mut self, at: Wall, second: u64, out: &mut history::Pen) -> u64 {
        let mut count = 0;
        for host in 0..self.names.len() {
            let jitter = Duration::from_millis(self.prng.next_u64() % 12);
            if (second + host as u64).is_multiple_of(HEARTBEAT_EVERY) {
                let ms = 0.4 + (self.prng.next_u64() % 300) as f64 / 1000.0;
                let (name, every) = (self.names[host].clone(), HEARTBEAT_EVERY as f64);
                let trip = RoundTrip { host: name, family: Family::V4, at: at + jitter, ms, every };
                out.write(Recorded::RoundTrip(trip));
                count += 1;
            }
            for kind in 0..self.kinds.len() {
                if (second + (host * 7 + kind * 61) as u64).is_multiple_of(PLUGIN_EVERY) {
                    let values = self.step(host, kind);
                    count += values.len() as u64;
                    let (name, shape) = (self.names[host].clone(), self.kinds[kind].shape.clone());
                    let every = Some(PLUGIN_EVERY as u32);
                    let numbers =
                        Numbers { host: name, shape, at: at + jitter, late: false, every, values };
                    out.write(Recorded::Sample(numbers));
                }
            }
        }
        count
    }

    fn step(&mut self, host: usize, kind: usize) -> Box<[f64]> {
        let prng = &mut self.prng;
        let values = &mut self.state[host][kind];
        for (value, way) in values.iter_mut().zip(&self.kinds[kind].ways) {
            let random = prng.next_u64();
            let wander = (random % 201) as f64 - 100.0;
            *value = match way {
                0 => *value,
                1 => ((*value * 10.0 + wander / 2.0).round() / 10.0).clamp(0.0, 100.0),
                2 => (*value * 10.0 + wander * 2.0).round().abs() / 10.0,
                3 => *value + (random % 3_000_000) as f64,
                4 => (random % 20_000) as f64 / 10_000.0,
                _ => (*value * 100.0 + wander).round().abs() / 100.0,
            };
        }
        values.clone().into()
    }
}

/// CPU of this thread, user and system.
fn cpu() -> Duration {
    let mut usage = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec of our own.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut usage) };
    Duration::new(usage.tv_sec as u64, usage.tv_nsec as u32)
}

/// Bytes that this process had written to files.
fn written() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    line.and_then(|n| n.parse().ok()).unwrap_or(0)
}

fn main() {
    let words: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let number = |at: usize, default| words.get(at).and_then(|w| w.parse().ok()).unwrap_or(default);
    let (hosts, days) = (number(0, 10_000), number(1, 1));
    let parent = words.get(2).map_or_else(std::env::temp_dir, Into::into);
    let dir = tempfile::tempdir_in(&parent).expect("a directory to write to");
    let path = dir.path().join("history.redb");
    let day = Duration::from_secs(86_400);
    let settings = Settings { raw: 7 * day, rollup: 730 * day, size_max: 4 << 30 };
    let handle = Handle::default();
    let past = Past::of(handle.clone());
    let mut keeper = Keeper::new(handle, path.clone(), settings.clone());
    keeper.open(START).expect("a file");
    let samples = live(&mut keeper, &past, hosts, days as u64);
    let (blocks, rollups, pieces) = keeper.bytes();
    let each = |bytes: u64, of: f64| bytes as f64 / of;
    println!("{:<44}{:>12.2}", "bytes a sample in blocks", each(blocks, samples as f64));
    println!("{:<44}{:>12.2}", "bytes of rollups a sample", each(rollups, samples as f64));
    println!("{:<44}{:>12}", "bytes of pieces that wait", pieces);
    let size = std::fs::metadata(&path).map_or(0, |m| m.len());
    println!("{:<44}{:>12.1}", "file, MB", size as f64 / 1e6);
    ask(&past, days as u64);
    start(keeper, past, &path, settings, days as u64);
}

/// Days pass; how many samples there were.
fn live(keeper: &mut Keeper, past: &Past, hosts: usize, days: u64) -> u64 {
    let mut fleet = Fleet::new(hosts);
    let mut pen = past.pen();
    let (mut samples, mut commits, mut upkeep) = (0, Duration::ZERO, Duration::ZERO);
    let before = written();
    let seconds = days * 86_400 + 120;
    for second in 0..seconds {
        let now = START + Duration::from_secs(second);
        samples += fleet.second(now, second, &mut pen);
        pen.hand_over();
        if second % COMMIT_EVERY != COMMIT_EVERY - 1 {
            continue;
        }
        let begin = cpu();
        keeper.commit_waiting(now);
        commits += cpu() - begin;
        let begin = cpu();
        while keeper.step(now) {}
        upkeep += cpu() - begin;
    }
    let share = |span: Duration| span.as_secs_f64() / seconds as f64 * 100.0;
    println!(
        "{hosts} hosts, {days} days, {samples} samples, {:.0} a second",
        samples as f64 / seconds as f64
    );
    println!("{:<44}{:>12.2}", "commits, percent of a core", share(commits));
    println!("{:<44}{:>12.2}", "upkeep, percent of a core", share(upkeep));
    let bytes = (written() - before) as f64 / samples as f64;
    println!("{:<44}{bytes:>12.1}", "bytes written to the file a sample");
    samples
}

/// Charts of one metric.
fn ask(past: &Past, days: u64) {
    for (name, span) in [("one day", 1), ("all days", days)] {
        let end = START + Duration::from_secs(days * 86_400);
        let mut spans: Vec<Duration> = (0..20)
            .map(|i| {
                let host = format!("host-{:05}", i * 37 % 100);
                let from = end - Duration::from_secs(span * 86_400);
                let paths = ["cpu_monitor.cpu_percent"];
                let ask = SeriesAsk { host: &host, paths: &paths, from, to: end, points: 600 };
                let begin = Instant::now();
                let series = past.series(&ask).expect("an answer");
                assert!(series.lines[0].avg.iter().flatten().count() > 20, "{host}");
                begin.elapsed()
            })
            .collect();
        spans.sort();
        let ms = |span: Duration| span.as_secs_f64() * 1000.0;
        println!(
            "{:<44}{:>12.1}{:>10.1}",
            format!("chart of {name}, ms (median, worst)"),
            ms(spans[10]),
            ms(spans[19])
        );
    }
}

/// Opening the file after an orderly end.
fn start(keeper: Keeper, past: Past, path: &Path, settings: Settings, days: u64) {
    drop((keeper, past));
    let handle = Handle::default();
    let mut keeper = Keeper::new(handle, path.to_owned(), settings);
    let begin = Instant::now();
    keeper.open(START + Duration::from_secs(days * 86_400 + 200)).expect("a file");
    println!("{:<44}{:>12.1}", "start with that file, ms", begin.elapsed().as_secs_f64() * 1000.0);
}
