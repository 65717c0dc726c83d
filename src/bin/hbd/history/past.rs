//! Reading the past: what the file holds, and over it what is not on disk yet.
//!
//! Runs on the threads of HTTP, a few at a time, each in a read transaction of its own: the thread that writes never
//! waits for one, and what is read is of one moment.

use super::base::{
    self, ABSENCES, BLOCKS, CUT, MARKS, PIECES, RAW_FROM, ROLLED, ROLLUPS, SHARD, SHARD_GROUPS,
    STANDINGS, Sorted,
};
use super::batch::millis;
use super::inbox::{Handle, Pen};
use crate::fault;
use heartbeat::engine::Recorded;
use heartbeat::engine::record::{Numbers, RoundTrip, Standing};
use heartbeat::history::bucket::{self, Grid, Point};
use heartbeat::history::catalog::{Catalog, HOST, RTT};
use heartbeat::history::rollup::{HOUR_MS, Summary, decode_rollups};
use heartbeat::history::{
    Line, PastSample, Reader, Segment, Series, SeriesAsk, Span, Unavailable, block, standing,
};
use heartbeat::time::{Duration, Wall};
use redb::{ReadTransaction, ReadableDatabase, ReadableTable};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// What was just recorded is given this long to be written.
const WRITTEN_WITHIN: Duration = Duration::from_secs(2);

/// The history as the front reads it.
#[derive(Clone)]
pub struct Past {
    handle: Handle,
    /// `history_enabled`
    is_kept: bool,
}

/// One moment of the file.
struct View {
    read: ReadTransaction,
    commits: Vec<u64>,
    sorted: Sorted,
    /// Hours before this one are rolled up…
    rolled: u32,
    /// …and of those before this one nothing else is left.
    raw_from: u32,
}

impl Past {
    pub fn of(handle: Handle) -> Past {
        Past { handle, is_kept: true }
    }

    /// Where nothing is kept: whatever is recorded all the same goes nowhere.
    pub fn none() -> Past {
        Past { handle: Handle::default(), is_kept: false }
    }

    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    pub fn pen(&self) -> Pen {
        self.handle.pen(self.is_kept)
    }

    fn kept(&self) -> Result<&Handle, Unavailable> {
        if self.is_kept { Ok(&self.handle) } else { Err(Unavailable::Disabled) }
    }

    /// What is not on disk yet. Where a name has no id yet it is written first, so that what was just sent is found.
    fn recent(&self, host: &str, knows: impl Fn(&Catalog) -> bool) -> Result<Recent, Unavailable> {
        let handle = self.kept()?;
        let found = recent(handle, host);
        if found.is_empty() || knows(&handle.catalog()) {
            return Ok(found);
        }
        let (written, done) = std::sync::mpsc::channel();
        handle.promise(Box::new(move |_| {
            let _ = written.send(());
        }));
        let _ = done.recv_timeout(WRITTEN_WITHIN);
        Ok(recent(handle, host))
    }

    /// Runs `body` on one moment of the file, in its turn. What fails in the file is no answer.
    fn look<T>(
        &self,
        body: impl FnOnce(&Handle, &View) -> Result<T, redb::Error>,
    ) -> Result<T, Unavailable> {
        let handle = self.kept()?;
        let _place = handle.admit_reader().ok_or(Unavailable::Busy)?;
        let database = handle.database().ok_or(Unavailable::NotReady)?;
        let commits = handle.pieces().iter().copied().collect();
        let run = || -> Result<T, redb::Error> {
            let read = database.begin_read()?;
            let marks = read.open_table(MARKS)?;
            let sorted =
                Sorted { cut: base::mark(&marks, CUT)?, shard: base::mark(&marks, SHARD)? as u32 };
            let rolled = (base::mark(&marks, ROLLED)? as u32).saturating_mul(24);
            let raw_from = base::mark(&marks, RAW_FROM)? as u32;
            body(handle, &View { read, commits, sorted, rolled, raw_from })
        };
        match fault::guard(run) {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(error)) => {
                log::warn!("history: cannot be read error={error}");
                Err(Unavailable::NotReady)
            }
            None => Err(Unavailable::NotReady),
        }
    }
}

impl Reader for Past {
    fn series(&self, ask: &SeriesAsk<'_>) -> Result<Series, Unavailable> {
        // Before the file is looked at: what is written meanwhile is seen twice, not never.
        let knows = |catalog: &Catalog| {
            ask.paths
                .iter()
                .all(|p| catalog.resolve(ask.host, p).is_some_and(|(_, c)| !c.is_empty()))
        };
        let recent = self.recent(ask.host, knows)?;
        self.look(|handle, view| view.series(&handle.catalog(), &recent, ask))
    }

    fn standings(&self, host: &str, from: Wall, to: Wall) -> Result<Vec<Span>, Unavailable> {
        let mut late: Vec<(Wall, Standing)> = Vec::new();
        self.kept()?.recent(|record| match record {
            Recorded::Standing { host: name, at, standing } if **name == *host => {
                late.push((*at, *standing));
            }
            Recorded::Gone { host: name } if **name == *host => late.clear(),
            _ => {}
        });
        self.look(|handle, view| {
            let group = handle.catalog().find_group(host, HOST);
            view.standings(group, late, from, to)
        })
    }

    fn samples(
        &self,
        host: &str,
        plugin: &str,
        before: Wall,
        limit: usize,
    ) -> Result<Vec<PastSample>, Unavailable> {
        let recent = self.recent(host, |catalog| catalog.find_group(host, plugin).is_some())?;
        self.look(|handle, view| {
            view.samples(&handle.catalog(), &recent, (host, plugin), before, limit)
        })
    }
}

/// What a host sent that is not on disk yet.
#[derive(Default)]
struct Recent {
    numbers: Vec<Numbers>,
    trips: Vec<RoundTrip>,
}

fn recent(handle: &Handle, host: &str) -> Recent {
    let mut recent = Recent::default();
    handle.recent(|record| match record {
        Recorded::Sample(numbers) if *numbers.host == *host => recent.numbers.push(numbers.clone()),
        Recorded::RoundTrip(trip) if *trip.host == *host => recent.trips.push(trip.clone()),
        Recorded::Gone { host: name } if **name == *host => recent = Recent::default(),
        _ => {}
    });
    recent
}

impl Recent {
    fn is_empty(&self) -> bool {
        self.numbers.is_empty() && self.trips.is_empty()
    }

    /// As the file would have it; what has no id there is nobody's yet.
    fn segments(&self, catalog: &Catalog, plugin: &str) -> Vec<Segment> {
        let mut segments: Vec<Segment> = Vec::new();
        let mut add = |columns: Vec<u32>, every: u32, at: Wall, values: &[f64]| {
            let mut segment = Segment::new(every, &columns);
            segment.push(millis(at), values);
            segments.push(segment);
        };
        for numbers in self.numbers.iter().filter(|n| n.shape.plugin() == plugin) {
            let mut columns = Vec::new();
            let mut values = Vec::new();
            for (leaf, value) in numbers.shape.leaves().iter().zip(&numbers.values) {
                if let Some(id) = catalog.find_column(plugin, leaf) {
                    columns.push(id);
                    values.push(*value);
                }
            }
            add(columns, numbers.every.unwrap_or(0), numbers.at, &values);
        }
        if plugin == RTT {
            for trip in &self.trips {
                if let Some(id) = catalog.find_column(RTT, trip.family.as_str()) {
                    add(vec![id], trip.every.ceil() as u32, trip.at, &[trip.ms]);
                }
            }
        }
        block::merge(segments)
    }
}

/// A metric of a question: its place there, and the columns that go by its name.
type Metric = (usize, Vec<u32>);

/// The interval of a plugin that does not say its own, in seconds.
const EVERY_DEFAULT: u32 = 300;

impl View {
    fn series(
        &self,
        catalog: &Catalog,
        recent: &Recent,
        ask: &SeriesAsk<'_>,
    ) -> Result<Series, redb::Error> {
        let coarse = Grid::new(ask.from, ask.to, ask.points, 0);
        let (from, to) = (millis(ask.from), millis(ask.to));
        let mut points: Vec<Vec<Point>> = vec![Vec::new(); ask.paths.len()];
        // Metrics of one plugin stand side by side: each row is read once for all of them.
        let mut wanted: BTreeMap<(u32, &str), Vec<Metric>> = BTreeMap::new();
        for (i, path) in ask.paths.iter().enumerate() {
            if let Some((group, columns)) = catalog.resolve(ask.host, path) {
                let plugin = path.split('.').next().unwrap_or_default();
                wanted.entry((group, plugin)).or_default().push((i, columns));
            }
        }
        for ((group, plugin), metrics) in wanted {
            let raw = self.raw_hours(from, to, coarse.step);
            self.add_rollups(
                group,
                &metrics,
                from..to.min(i64::from(raw.start) * HOUR_MS),
                &mut points,
            )?;
            let mut segments = recent.segments(catalog, plugin);
            segments.extend(self.segments(group, raw.clone())?);
            let lower = i64::from(raw.start) * HOUR_MS;
            for segment in block::merge(segments) {
                add_segment(&segment, &metrics, lower.max(from)..to, &mut points);
            }
        }
        let mut spacing = 0;
        for line in &mut points {
            line.sort_by_key(|point| point.at);
            line.dedup_by_key(|point| point.at);
            let own = bucket::spacing(line);
            spacing = if spacing == 0 { own } else { spacing.min(own.max(1)) };
        }
        let grid = Grid::new(ask.from, ask.to, ask.points, spacing);
        let lines = points.iter().zip(ask.paths).map(|(line, path)| {
            let known = catalog.resolve(ask.host, path).is_some_and(|(_, ids)| !ids.is_empty());
            Line { is_known: known, ..bucket::fill(&grid, line) }
        });
        let lines = lines.collect();
        Ok(Series { step: grid.step(), t: grid.times(), lines })
    }

    /// The hours that are answered from samples; those before them from summaries.
    fn raw_hours(&self, from: i64, to: i64, step: i64) -> Range<u32> {
        let first = hour(from);
        let first = if step >= HOUR_MS { first.max(self.rolled) } else { first };
        first.max(self.raw_from)..hour(to - 1).saturating_add(1)
    }

    fn add_rollups(
        &self,
        group: u32,
        metrics: &[Metric],
        span: Range<i64>,
        points: &mut [Vec<Point>],
    ) -> Result<(), redb::Error> {
        if span.is_empty() {
            return Ok(());
        }
        let rollups = self.read.open_table(ROLLUPS)?;
        let first = rollups.first()?.map_or(u32::MAX, |(key, _)| key.value().0);
        for day in first.max(hour(span.start) / 24)..=hour(span.end - 1) / 24 {
            let Some(row) = rollups.get((day, group))? else { continue };
            for rollup in decode_rollups(row.value()).unwrap_or_default() {
                let every = i64::from(rollup.every) * 1000;
                for (i, columns) in metrics {
                    let at = rollup.columns.iter().position(|c| columns.contains(c));
                    let Some(summaries) = at.map(|at| &rollup.summaries[at]) else { continue };
                    let hours = rollup.times(day).zip(summaries);
                    let within = hours.filter(|(t, _)| *t + HOUR_MS > span.start && *t < span.end);
                    points[*i].extend(within.map(|(at, summary)| Point {
                        at,
                        span: HOUR_MS,
                        every: every.max(HOUR_MS),
                        summary: *summary,
                    }));
                }
            }
        }
        Ok(())
    }

    /// The samples of a group in these hours, sorted or not; late ones may be among them twice.
    fn segments(&self, group: u32, hours: Range<u32>) -> Result<Vec<Segment>, redb::Error> {
        let mut segments = Vec::new();
        let blocks = self.read.open_table(BLOCKS)?;
        let first = blocks.first()?.map_or(hours.end, |(key, _)| key.value().0);
        for hour in hours.start.max(first)..hours.end {
            if let Some(row) = blocks.get((hour, group))? {
                segments.extend(block::decode_block(row.value()).unwrap_or_default());
            }
        }
        segments.extend(self.unsorted(group)?);
        Ok(segments)
    }

    fn unsorted(&self, group: u32) -> Result<Vec<Segment>, redb::Error> {
        let shard = group / SHARD_GROUPS;
        let pieces = self.read.open_table(PIECES)?;
        let mut segments = Vec::new();
        for commit in self.commits.iter().filter(|commit| !self.sorted.has(**commit, shard)) {
            if let Some(piece) = pieces.get((*commit, shard))? {
                segments.extend(block::decode_group(piece.value(), group).unwrap_or_default());
            }
        }
        Ok(segments)
    }

    fn standings(
        &self,
        group: Option<u32>,
        late: Vec<(Wall, Standing)>,
        from: Wall,
        to: Wall,
    ) -> Result<Vec<Span>, redb::Error> {
        let wall = |ms: i64| Wall::from_micros(ms.saturating_mul(1000));
        let mut changes = Vec::new();
        if let Some(group) = group {
            let standings = self.read.open_table(STANDINGS)?;
            let before = standings.range((group, i64::MIN)..=(group, millis(from)))?.next_back();
            let after = standings.range((group, millis(from) + 1)..(group, millis(to)))?;
            for row in before.into_iter().chain(after) {
                let (key, code) = row?;
                changes.extend(base::standing(code.value()).map(|s| (wall(key.value().1), s)));
            }
        }
        changes.extend(late);
        changes.sort_by_key(|(at, _)| *at);
        let mut absences = Vec::new();
        for row in self.read.open_table(ABSENCES)?.iter()? {
            let (begin, end) = row?;
            absences.push((wall(begin.value()), wall(end.value())));
        }
        absences.retain(|(begin, end)| *end > from && *begin < to);
        Ok(standing::spans(&changes, &absences, from, to))
    }

    fn samples(
        &self,
        catalog: &Catalog,
        recent: &Recent,
        (host, plugin): (&str, &str),
        before: Wall,
        limit: usize,
    ) -> Result<Vec<PastSample>, redb::Error> {
        let Some(group) = catalog.find_group(host, plugin) else { return Ok(Vec::new()) };
        let before = millis(before);
        let mut segments = recent.segments(catalog, plugin);
        segments.extend(self.unsorted(group)?);
        // A sample may be there in parts, and twice: in its hour and not sorted yet, or sent twice.
        let mut times: BTreeSet<i64> = BTreeSet::new();
        let mut note = |segments: &[Segment]| {
            let all = segments.iter().flat_map(|segment| &segment.times);
            times.extend(all.filter(|time| **time < before));
            times.len()
        };
        let mut count = note(&segments);
        let blocks = self.read.open_table(BLOCKS)?;
        let end = hour(before - 1).saturating_add(1);
        let first = blocks.first()?.map_or(end, |(key, _)| key.value().0);
        for hour in (first.max(self.raw_from)..end).rev() {
            if count >= limit {
                break;
            }
            if let Some(row) = blocks.get((hour, group))? {
                let found = block::decode_block(row.value()).unwrap_or_default();
                count = note(&found);
                segments.extend(found);
            }
        }
        Ok(rows(catalog, block::merge(segments), before, limit))
    }
}

/// Samples as rows; numbers of one time are one sample, in however many parts they came.
fn rows(catalog: &Catalog, segments: Vec<Segment>, before: i64, limit: usize) -> Vec<PastSample> {
    let mut rows: BTreeMap<i64, Vec<(String, f64)>> = BTreeMap::new();
    for segment in &segments {
        for (i, time) in segment.times.iter().enumerate().filter(|(_, t)| **t < before) {
            let row = rows.entry(*time).or_default();
            for (column, values) in segment.columns.iter().zip(&segment.values) {
                row.extend(catalog.leaf(*column).map(|leaf| (leaf.to_string(), values[i])));
            }
        }
    }
    let skipped = rows.len().saturating_sub(limit);
    let last = rows.into_iter().skip(skipped);
    last.map(|(at, numbers)| PastSample { at: Wall::from_micros(at * 1000), numbers }).collect()
}

fn add_segment(segment: &Segment, metrics: &[Metric], span: Range<i64>, points: &mut [Vec<Point>]) {
    let every = if segment.every == 0 { EVERY_DEFAULT } else { segment.every };
    for (i, columns) in metrics {
        for (column, values) in segment.columns.iter().zip(&segment.values) {
            if !columns.contains(column) {
                continue;
            }
            let samples = segment.times.iter().zip(values).filter(|(at, _)| span.contains(at));
            points[*i].extend(samples.map(|(at, value)| Point {
                at: *at,
                span: 0,
                every: i64::from(every) * 1000,
                summary: Summary { min: *value, max: *value, sum: *value, count: 1 },
            }));
        }
    }
}

/// The hour of a time in milliseconds, none before 1970.
fn hour(at: i64) -> u32 {
    u32::try_from(at.div_euclid(HOUR_MS)).unwrap_or(if at < 0 { 0 } else { u32::MAX })
}
