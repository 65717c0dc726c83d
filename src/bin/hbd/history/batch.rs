//! One commit's worth of records: names as ids, samples by shard and group.
//!
//! Owns turning what the engine recorded into rows. Never touches the file.

use super::base::SHARD_GROUPS;
use heartbeat::engine::Recorded;
use heartbeat::engine::record::{Numbers, RoundTrip, Standing};
use heartbeat::engine::view::Family;
use heartbeat::history::catalog::{Catalog, HOST, News, RTT};
use heartbeat::history::{Segment, block};
use heartbeat::time::Wall;
use std::collections::BTreeMap;

#[derive(Default)]
pub struct Batch {
    /// By shard: what is one row.
    pub pieces: Vec<(u32, Vec<u8>)>,
    pub standings: Vec<(u32, i64, Standing)>,
    pub names: Vec<News>,
    /// Groups of hosts that were dropped.
    pub gone: Vec<u32>,
    /// Records that found no id.
    pub lost: u64,
    /// Samples in it.
    pub count: u64,
}

impl Batch {
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
            && self.standings.is_empty()
            && self.names.is_empty()
            && self.gone.is_empty()
    }
}

/// Numbers on their way into rows.
struct Sorter<'a> {
    catalog: &'a mut Catalog,
    /// The last known standing of each host, by its group.
    standing: &'a mut BTreeMap<u32, Standing>,
    groups: BTreeMap<u32, Vec<Segment>>,
    batch: Batch,
}

/// Makes rows of records, and ids where names are new.
pub fn make(
    records: &[Recorded],
    catalog: &mut Catalog,
    standing: &mut BTreeMap<u32, Standing>,
) -> Batch {
    let (groups, batch) = (BTreeMap::new(), Batch::default());
    let mut sorter = Sorter { catalog, standing, groups, batch };
    for record in records {
        let taken = match record {
            Recorded::Sample(numbers) => sorter.sample(numbers),
            Recorded::RoundTrip(trip) => sorter.round_trip(trip),
            Recorded::Standing { host, at, standing } => sorter.standing(host, *at, *standing),
            Recorded::Gone { host } => {
                let gone = sorter.catalog.drop_host(host);
                for group in &gone {
                    sorter.groups.remove(group);
                    sorter.standing.remove(group);
                }
                sorter.batch.standings.retain(|(group, ..)| !gone.contains(group));
                sorter.batch.gone.extend(gone);
                Some(())
            }
        };
        sorter.batch.lost += u64::from(taken.is_none());
    }
    sorter.finish()
}

impl Sorter<'_> {
    fn sample(&mut self, numbers: &Numbers) -> Option<()> {
        let group = self.catalog.group(&numbers.host, numbers.shape.plugin())?;
        let columns = self.catalog.columns_of(&numbers.shape)?;
        self.add(group, &columns, numbers.every.unwrap_or(0), numbers.at, &numbers.values);
        Some(())
    }

    fn round_trip(&mut self, trip: &RoundTrip) -> Option<()> {
        let group = self.catalog.group(&trip.host, RTT)?;
        let column = self.catalog.column(RTT, Family::as_str(trip.family))?;
        self.add(group, &[column], trip.every.ceil() as u32, trip.at, &[trip.ms]);
        Some(())
    }

    fn add(&mut self, group: u32, columns: &[u32], every: u32, at: Wall, values: &[f64]) {
        let segments = self.groups.entry(group).or_default();
        let at = millis(at);
        self.batch.count += values.len() as u64;
        match segments.iter_mut().find(|s| *s.columns == *columns) {
            Some(segment) => {
                segment.every = every;
                segment.push(at, values);
            }
            None => {
                let mut segment = Segment::new(every, columns);
                segment.push(at, values);
                segments.push(segment);
            }
        }
    }

    /// Only a change is a row.
    fn standing(&mut self, host: &std::sync::Arc<str>, at: Wall, standing: Standing) -> Option<()> {
        let group = self.catalog.group(host, HOST)?;
        if self.standing.insert(group, standing) != Some(standing) {
            self.batch.standings.push((group, millis(at), standing));
        }
        Some(())
    }

    fn finish(self) -> Batch {
        let mut batch = self.batch;
        batch.names = self.catalog.take_news();
        // A host that was dropped before its names were written leaves none.
        let mut shard: Vec<(u32, Vec<Segment>)> = Vec::new();
        let mut groups = self.groups.into_iter().peekable();
        while let Some((group, mut segments)) = groups.next() {
            segments.iter_mut().for_each(Segment::sort);
            shard.push((group, segments));
            let number = group / SHARD_GROUPS;
            if groups.peek().is_none_or(|(next, _)| next / SHARD_GROUPS != number) {
                batch.pieces.push((number, block::encode_piece(&shard)));
                shard.clear();
            }
        }
        batch
    }
}

pub fn millis(at: Wall) -> i64 {
    at.as_micros().div_euclid(1000)
}
