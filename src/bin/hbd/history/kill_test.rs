//! The writer of the history in a process of its own, living through days in seconds, killed at any moment: in a
//! commit, while pieces are sorted, while a day is rolled up or goes. What it said was written is there.
//!
//! `HB_KILLS=200` kills so often, `HB_SEED` chooses the moments.

use super::*;
use heartbeat::engine::Recorded;
use heartbeat::engine::record::{Numbers, Shape};
use heartbeat::history::{Reader, SeriesAsk};
use heartbeat::prng::Prng;
use heartbeat::time::Wall;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

/// 2026-11-22 00:00 UTC.
const START: Wall = Wall::from_secs(1_795_305_600);
const EVERY: u64 = 300;
const PER_HOUR: u64 = 3600 / EVERY;
const HOSTS: usize = 4;
const RAW: Duration = Duration::from_secs(2 * 86_400);

fn settings() -> Settings {
    Settings { raw: RAW, rollup: Duration::from_secs(730 * 86_400), size_max: 1 << 30 }
}

/// The value that every host has in an hour; with the number of the sample it can be told which are there.
fn value(sample: u64) -> f64 {
    (sample % 1000) as f64
}

fn at(sample: u64) -> Wall {
    START + Duration::from_secs(sample * EVERY)
}

/// The process that is killed: records from the sample on that its parent names, and says what is written.
#[test]
#[ignore = "is run by the test below, and is killed by it"]
fn child() {
    let dir = std::env::var_os("HB_HISTORY_DIR").expect("the directory");
    let first: u64 = std::env::var("HB_HISTORY_FROM").unwrap().parse().unwrap();
    let handle = Handle::default();
    let mut keeper = Keeper::new(handle.clone(), Path::new(&dir).join("h.redb"), settings());
    keeper.open(at(first)).unwrap();
    let mut pen = Past::of(handle.clone()).pen();
    let shape = Arc::new(Shape::new("cpu_monitor", &["cpu_percent"]));
    let mut out = std::io::stdout();
    for sample in first.. {
        for host in 0..HOSTS {
            pen.write(Recorded::Sample(Numbers {
                host: format!("h{host}").as_str().into(),
                shape: shape.clone(),
                at: at(sample),
                late: false,
                every: Some(EVERY as u32),
                values: [value(sample)].into(),
            }));
        }
        pen.hand_over();
        let now = at(sample) + Duration::from_secs(1);
        assert!(keeper.commit(now, handle.take()));
        writeln!(out, "written {sample}").unwrap();
        out.flush().unwrap();
        if sample % PER_HOUR == 0 {
            while keeper.step(now + Duration::from_secs(60)) {}
        }
    }
}

fn start(dir: &Path, first: u64) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "history::kill_test::child", "--ignored", "--nocapture"])
        .env("HB_HISTORY_DIR", dir)
        .env("HB_HISTORY_FROM", first.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap()
}

/// The last sample that a child said was written before it was killed, some time after the first one.
fn live_and_die(dir: &Path, first: u64, prng: &mut Prng) -> u64 {
    let mut child = start(dir, first);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut last = None;
    let wait = Duration::from_micros(prng.below(250_000));
    let mut until = None;
    while until.is_none_or(|until| clock::now().mono < until) {
        let line = lines.next().expect("it is not to end by itself").unwrap();
        if let Some(sample) = line.strip_prefix("written ") {
            last = Some(sample.parse::<u64>().unwrap());
            until.get_or_insert(clock::now().mono + wait);
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What it said before it died and was not read yet.
    for line in lines.map_while(Result::ok) {
        last = line.strip_prefix("written ").and_then(|sample| sample.parse().ok()).or(last);
    }
    last.unwrap()
}

/// Every sample up to `last` is there once; where only summaries are left, they are of all of them.
fn check(dir: &Path, last: u64, what: &str) {
    let handle = Handle::default();
    let mut keeper = Keeper::new(handle.clone(), dir.join("h.redb"), settings());
    keeper.open(at(last)).unwrap();
    assert!(!dir.join("h.redb.bad").exists(), "{what}: the file was set aside");
    let past = Past::of(handle);
    let (host, plugin) = ("h3", "cpu_monitor");
    let raw_hours = RAW.as_secs() / 3600 - 1;
    let first = last.saturating_sub(raw_hours * PER_HOUR);
    let count = usize::try_from(last - first).unwrap() + 1;
    let to = at(last) + Duration::from_secs(1);
    let samples = past.samples(host, plugin, to, count).unwrap();
    let want: Vec<f64> = (first..=last).map(value).collect();
    let got: Vec<f64> = samples.iter().map(|sample| sample.numbers[0].1).collect();
    let differs = want.iter().zip(&got).position(|(want, got)| want != got);
    let counts = (got.len(), want.len());
    assert!(got == want, "{what}: samples {first} to {last}, {counts:?}, from {differs:?}");
    let hours = usize::try_from(last / PER_HOUR).unwrap();
    let to = START + Duration::from_secs(3600) * hours as u32;
    let ask =
        SeriesAsk { host, paths: &["cpu_monitor.cpu_percent"], from: START, to, points: hours };
    let series = past.series(&ask).unwrap();
    assert_eq!(series.step, Duration::from_secs(3600), "{what}");
    for (hour, max) in series.lines[0].max.iter().enumerate().take(hours) {
        let samples = hour as u64 * PER_HOUR..(hour as u64 + 1) * PER_HOUR;
        let want = samples.map(value).fold(0.0, f64::max);
        assert_eq!(*max, Some(want), "{what}: hour {hour}");
    }
}

#[test]
fn s9_kill_at_any_moment_of_commits_and_upkeep_loses_nothing_written() {
    let kills: u32 = std::env::var("HB_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(4);
    let seed = std::env::var("HB_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(11);
    let mut prng = Prng::new(seed);
    let dir = tempfile::tempdir().unwrap();
    let mut next = 0;
    for round in 0..kills {
        let last = live_and_die(dir.path(), next, &mut prng);
        check(dir.path(), last, &format!("kill {round}"));
        // A commit that it had no time to speak of is there too; the same samples again change nothing.
        next = last + 1;
    }
    println!("kills={kills} seed={seed} samples={next} days={}", next / PER_HOUR / 24);
    assert!(next > 12);
}
