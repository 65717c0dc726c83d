//! The keeper on a clock of its own: what is recorded is found again, wherever upkeep has brought it.

use super::base::{self, BLOCKS, ROLLUPS};
use super::*;
use heartbeat::engine::Recorded;
use heartbeat::engine::record::{Numbers, RoundTrip, Shape, Standing};
use heartbeat::engine::view::Family;
use heartbeat::history::{Reader, Series, SeriesAsk, Unavailable};
use heartbeat::time::Wall;
use redb::{ReadableDatabase, ReadableTableMetadata};
use std::sync::Arc;
use std::time::Duration;

/// 2026-11-22 00:00 UTC.
const START: i64 = 1_795_305_600;
const HOUR: u64 = 3600;

struct Rig {
    dir: tempfile::TempDir,
    past: Past,
    pen: Pen,
    keeper: Keeper,
    now: Wall,
    shape: Arc<Shape>,
}

impl Rig {
    fn new() -> Rig {
        Rig::at(tempfile::tempdir().unwrap(), Wall::from_secs(START))
    }

    fn at(dir: tempfile::TempDir, now: Wall) -> Rig {
        let handle = Handle::default();
        let path = dir.path().join("h.redb");
        let mut keeper = Keeper::new(handle.clone(), path, settings());
        keeper.open(now).unwrap();
        let shape = Arc::new(Shape::new("cpu_monitor", &["cpu_percent", "load_1min"]));
        let past = Past::of(handle);
        Rig { dir, pen: past.pen(), past, keeper, now, shape }
    }

    /// The process ends without a word and another one starts.
    fn restart(self, after: u64) -> Rig {
        let Rig { dir, keeper, past, pen, now, .. } = self;
        drop((keeper, past, pen));
        Rig::at(dir, now + Duration::from_secs(after))
    }

    fn sample(&mut self, host: &str, at: Wall, value: f64) {
        let values = vec![value, value / 4.0].into();
        let (host, shape) = (host.into(), self.shape.clone());
        let numbers = Numbers { host, shape, at, late: at < self.now, every: Some(300), values };
        self.pen.write(Recorded::Sample(numbers));
        self.pen.hand_over();
    }

    fn standing(&mut self, host: &str, standing: Standing) {
        let (host, at) = (host.into(), self.now);
        self.pen.write(Recorded::Standing { host, at, standing });
        self.pen.hand_over();
    }

    fn commit(&mut self) {
        let taken = self.keeper.handle.take();
        assert!(self.keeper.commit(self.now, taken));
    }

    fn upkeep(&mut self) {
        // A minute after the hour, when what came before it is sorted.
        while self.keeper.step(self.now + Duration::from_secs(60)) {}
    }

    /// Samples every five minutes: hour by hour the values 0.5, 1.5 … 11.5, each plus the hour of the day.
    fn live(&mut self, hours: u64) {
        for hour in 0..hours {
            for i in 0..12u32 {
                let value = f64::from(i) + 0.5 + (hour % 24) as f64;
                let at = self.now;
                self.sample("web1", at, value);
                self.now = at + Duration::from_secs(300);
            }
            let end = self.now;
            self.now = end - Duration::from_secs(1);
            self.commit();
            self.now = end;
        }
    }

    fn series(&self, from: Wall, points: usize) -> Series {
        let paths = ["cpu_monitor.cpu_percent", "cpu_monitor.load_1min"];
        let ask = SeriesAsk { host: "web1", paths: &paths, from, to: self.now, points };
        self.past.series(&ask).unwrap()
    }

    fn rows(&self) -> (u64, u64) {
        let read = self.keeper.handle.database().unwrap().begin_read().unwrap();
        let blocks = read.open_table(BLOCKS).unwrap().len().unwrap();
        (blocks, read.open_table(ROLLUPS).unwrap().len().unwrap())
    }
}

fn settings() -> Settings {
    let day = Duration::from_secs(86_400);
    Settings { raw: 2 * day, rollup: 30 * day, size_max: 1 << 30 }
}

#[test]
fn samples_are_the_same_wherever_they_are_kept() {
    let mut rig = Rig::new();
    rig.keeper.settings.raw = Duration::from_secs(30 * 86_400);
    let start = rig.now;
    rig.live(50);
    let at = rig.now;
    rig.sample("web1", at, 77.0);
    rig.now = at + Duration::from_secs(1);
    let fresh = rig.series(start, 1000);
    assert_eq!(fresh.step, Duration::from_secs(300));
    assert_eq!(
        fresh.lines[0].avg[..13],
        (0..13).map(|i| Some(f64::from(i % 12) + 0.5 + f64::from(i / 12))).collect::<Vec<_>>()
    );
    assert_eq!(fresh.lines[1].max[11], Some(11.5 / 4.0));
    assert_eq!(fresh.lines[0].avg.last(), Some(&Some(77.0)), "what is not on disk yet");
    rig.commit();
    assert_eq!(rig.series(start, 1000), fresh, "in pieces");
    rig.upkeep();
    assert_eq!(rig.rows(), (50, 2));
    assert_eq!(rig.series(start, 1000), fresh, "in blocks");
    rig = rig.restart(1);
    rig.now = rig.now - Duration::from_secs(1);
    assert_eq!(rig.series(start, 1000), fresh, "after a restart");
    let daily = rig.series(start, 3);
    // At most three buckets over all of it, which begin at multiples of their length: so they are a little longer
    // than a third.
    let (third, first, last) = (60_001, daily.t[0], daily.t[daily.t.len() - 1]);
    let step = daily.step;
    assert!(daily.t.len() <= 3 && (third..third * 11 / 10).contains(&step.as_secs()), "{step:?}");
    assert!(first <= start && start < first + step && last + step >= rig.now, "{daily:?}");
    assert!(daily.t.iter().all(|t| t.as_secs() % step.as_secs() as i64 == 0));
    let (min, max) = (&daily.lines[0].min, &daily.lines[0].max);
    assert_eq!(min.iter().flatten().copied().reduce(f64::min), Some(0.5));
    assert_eq!(max.iter().flatten().copied().reduce(f64::max), Some(77.0));
    assert!(min.iter().chain(max).all(Option::is_some), "{daily:?}");
}

#[test]
fn rollups_answer_when_samples_are_gone() {
    let mut rig = Rig::new();
    let start = rig.now;
    rig.live(24 * 5);
    // A day is summed up a minute after it is over, not before.
    rig.now = rig.now - Duration::from_secs(1);
    rig.upkeep();
    assert_eq!(rig.rows().1, 4, "the fifth day is not over for a minute yet");
    rig.now = rig.now + Duration::from_secs(1);
    rig.upkeep();
    let (blocks, rollups) = rig.rows();
    assert_eq!((blocks, rollups), (48, 5), "two days of samples, and five days that are over");
    let series = rig.series(start, 120);
    assert_eq!(series.step, Duration::from_secs(HOUR));
    for (hour, i) in (0..120).zip(0..) {
        let hour = f64::from(hour % 24);
        let line = &series.lines[0];
        assert_eq!((line.min[i], line.max[i]), (Some(0.5 + hour), Some(11.5 + hour)), "{i}");
        assert_eq!(line.avg[i], Some(6.0 + hour), "{i}");
    }
    let fine = rig.series(start, 2000);
    assert_eq!(fine.lines[0].avg[0], Some(6.0), "an hour is all that is left");
    assert!(fine.lines[0].avg.iter().all(Option::is_some));
}

#[test]
fn late_samples_find_their_hour_and_their_day() {
    let mut rig = Rig::new();
    let start = rig.now;
    rig.live(30);
    rig.upkeep();
    assert_eq!(rig.rows(), (30, 1));
    rig.sample("web1", start + Duration::from_secs(90), 500.0);
    rig.commit();
    rig.now = rig.now + Duration::from_secs(HOUR);
    rig.upkeep();
    let hours = rig.series(start, 31);
    assert_eq!(hours.lines[0].max[..2], [Some(500.0), Some(12.5)]);
    let fine = rig.series(start, 2000);
    let at = fine.t.iter().position(|t| *t >= start + Duration::from_secs(90)).unwrap();
    assert!(fine.lines[0].max[at - 1..=at].contains(&Some(500.0)));
}

#[test]
fn older_samples_come_back_as_they_were_sent() {
    let mut rig = Rig::new();
    rig.live(30);
    rig.upkeep();
    let before = rig.now - Duration::from_secs(300);
    let samples = rig.past.samples("web1", "cpu_monitor", before, 100).unwrap();
    assert_eq!(samples.len(), 100);
    assert!(samples.is_sorted_by_key(|sample| sample.at));
    let last = &samples[99];
    assert_eq!(last.at, before - Duration::from_secs(300));
    let want = [("cpu_percent".to_owned(), 15.5), ("load_1min".to_owned(), 15.5 / 4.0)];
    assert_eq!(last.numbers, want);
    assert_eq!(rig.past.samples("web1", "no_such", before, 5).unwrap(), []);
}

#[test]
fn standings_survive_and_the_servers_absence_is_unknown() {
    let mut rig = Rig::new();
    let start = rig.now;
    let shown = |rig: &Rig| -> Vec<String> {
        let spans = rig.past.standings("web1", start, rig.now).unwrap();
        spans.iter().map(|s| format!("{:?} {}", s.standing, s.to.since(s.from).as_secs())).collect()
    };
    rig.now = start + Duration::from_secs(100);
    rig.standing("web1", Standing::Up);
    rig.now = rig.now + Duration::from_secs(50);
    assert_eq!(shown(&rig), ["Unknown 100", "Up 50"], "not on disk yet");
    rig.commit();
    rig.now = rig.now + Duration::from_secs(50);
    rig.standing("web1", Standing::Down);
    rig.commit();
    let mut rig = rig.restart(30);
    rig.standing("web1", Standing::Down);
    rig.commit();
    rig.now = rig.now + Duration::from_secs(10);
    rig.standing("web1", Standing::Up);
    rig.now = rig.now + Duration::from_secs(5);
    rig.commit();
    assert_eq!(shown(&rig), ["Unknown 100", "Up 100", "Unknown 30", "Down 10", "Up 5"]);
}

#[test]
fn a_host_that_was_dropped_leaves_nothing_to_its_successor() {
    let mut rig = Rig::new();
    let start = rig.now;
    rig.standing("web1", Standing::Up);
    rig.live(2);
    rig.upkeep();
    rig.pen.write(Recorded::Gone { host: "web1".into() });
    rig.pen.hand_over();
    rig.commit();
    let mut rig = rig.restart(10);
    let at = rig.now;
    rig.sample("web1", at, 5.0);
    rig.now = at + Duration::from_secs(1);
    rig.commit();
    let line = &rig.series(start, 100).lines[0];
    assert_eq!(line.avg.iter().flatten().collect::<Vec<_>>(), [&5.0]);
    let spans = rig.past.standings("web1", start, rig.now).unwrap();
    assert!(spans.iter().all(|span| span.standing == Standing::Unknown));
}

#[test]
fn the_oldest_goes_first_where_the_file_is_full() {
    let mut rig = Rig::new();
    let start = rig.now;
    rig.live(24 * 4);
    rig.upkeep();
    let (blocks, rollups) = rig.rows();
    rig.keeper.settings.size_max = rig.keeper.used() * 3 / 4;
    rig.upkeep();
    let (fewer, same) = rig.rows();
    assert!(fewer < blocks && fewer > 0, "{fewer} of {blocks}");
    assert_eq!(same, rollups, "samples go before summaries");
    assert!(rig.series(start, 96).lines[0].avg.iter().all(Option::is_some));
    rig.keeper.settings.size_max = 0;
    rig.upkeep();
    assert_eq!(rig.rows(), (0, 0));
}

#[test]
fn a_round_trip_belongs_to_its_family() {
    let mut rig = Rig::new();
    for (family, ms) in [(Family::V4, 1.5), (Family::V6, 8.25), (Family::V4, 2.5)] {
        let trip = RoundTrip { host: "web1".into(), family, at: rig.now, ms, every: 10.0 };
        rig.pen.write(Recorded::RoundTrip(trip));
        rig.now = rig.now + Duration::from_secs(10);
    }
    rig.pen.hand_over();
    rig.commit();
    let paths = ["rtt.web1", "rtt.web1.ipv4", "rtt.ipv6", "rtt.web2"];
    let from = Wall::from_secs(START);
    let ask = SeriesAsk { host: "web1", paths: &paths, from, to: rig.now, points: 1 };
    let series = rig.past.series(&ask).unwrap();
    let max: Vec<_> = series.lines.iter().map(|line| (line.is_known, line.max[0])).collect();
    let want = [(true, Some(8.25)), (true, Some(2.5)), (true, Some(8.25)), (false, None)];
    assert_eq!(max, want);
}

#[test]
fn s9_what_cannot_be_written_is_owed_and_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("gone");
    let handle = Handle::default();
    let mut keeper = Keeper::new(handle.clone(), inner.join("h.redb"), settings());
    let now = Wall::from_secs(START);
    let past = Past::of(handle.clone());
    let mut pen = past.pen();
    let shape = Arc::new(Shape::new("p", &["a"]));
    let sample = |i: i64| {
        let at = now + Duration::from_secs(i as u64);
        let (host, shape) = ("web1".into(), shape.clone());
        Recorded::Sample(Numbers {
            host,
            shape,
            at,
            late: false,
            every: None,
            values: [1.0].into(),
        })
    };
    for i in 0..3 {
        pen.write(sample(i));
        pen.hand_over();
        assert!(!keeper.commit(now, handle.take()));
    }
    assert_eq!((handle.depth(), handle.dropped()), (3, 0));
    let ask = SeriesAsk {
        host: "web1",
        paths: &["p.a"],
        from: now,
        to: now + Duration::from_secs(9),
        points: 9,
    };
    assert_eq!(past.series(&ask), Err(Unavailable::NotReady));
    let many = heartbeat::limits::HISTORY_PENDING_BYTES / 64;
    (0..many as i64).for_each(|i| pen.write(sample(i)));
    pen.hand_over();
    assert!(handle.dropped() > 0);
    std::fs::create_dir(&inner).unwrap();
    assert!(keeper.commit(now, handle.take()));
    assert_eq!(handle.depth(), 0);
    assert_eq!(past.series(&ask).unwrap().lines[0].avg[..3], [Some(1.0); 3]);
}

#[test]
fn a_damaged_file_is_set_aside() {
    let mut rig = Rig::new();
    rig.live(3);
    rig.upkeep();
    rig.keeper.close();
    let path = rig.dir.path().join("h.redb");
    #[allow(clippy::disallowed_methods, reason = "a file this test has just written")]
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4096..].iter_mut().for_each(|byte| *byte ^= 0x55);
    std::fs::write(&path, bytes).unwrap();
    let rig = rig.restart(1);
    assert!(rig.dir.path().join("h.redb.bad").exists());
    assert_eq!(rig.rows(), (0, 0));
}

#[test]
fn an_interrupted_sorting_goes_on_where_it_was() {
    let mut rig = Rig::new();
    let start = rig.now;
    // Three shards, and only the first of them is done when the process ends.
    for i in 0..2 * base::SHARD_GROUPS + 10 {
        rig.sample(&format!("filler{i}"), start, 1.0);
    }
    rig.live(1);
    let whole = rig.series(start, 100);
    rig.keeper.step_length = Duration::ZERO;
    assert!(rig.keeper.step(rig.now + Duration::from_secs(60)));
    let (some, _) = rig.rows();
    assert!(some > 0 && some < 2 * u64::from(base::SHARD_GROUPS), "{some}");
    assert_eq!(rig.series(start, 100), whole, "half sorted");
    let mut rig = rig.restart(1);
    rig.now = rig.now - Duration::from_secs(1);
    rig.upkeep();
    assert_eq!(rig.rows().0, 2 * u64::from(base::SHARD_GROUPS) + 11);
    assert_eq!(rig.series(start, 100), whole, "sorted");
}
