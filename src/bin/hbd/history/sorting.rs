//! Upkeep, first part: pieces of past hours become one block for each group and hour, a shard of groups at a time.
//!
//! Each step is one transaction that says how far it came, so that a crash between two of them neither loses nor
//! doubles anything, and is short, so that commits do not wait.

use super::base::{self, BLOCKS, CUT, HOURS, MARKS, PIECES, RAW_FROM, ROLLED, SHARD, SIZES};
use super::batch::millis;
use super::keeper::Keeper;
use super::rolling;
use heartbeat::history::rollup::HOUR_MS;
use heartbeat::history::{Segment, block};
use heartbeat::os::clock;
use heartbeat::time::{Duration, Wall};
use redb::{ReadableDatabase, ReadableTable, Table, WriteTransaction};
use std::collections::{BTreeMap, BTreeSet};

/// Pieces of an hour are sorted this long after it, in milliseconds.
const AFTER_MS: i64 = 20_000;
/// A step takes on shards until this much time has passed.
pub const STEP: Duration = Duration::from_millis(40);
/// What a row takes in its page beside its bytes.
pub const ROW_BYTES: u64 = 12;

/// Sorting in progress.
pub struct Sorting {
    cut: u64,
    /// What is left to do: shards in order, and the commits that have a piece of each.
    shards: Vec<(u32, Vec<u64>)>,
    next: usize,
    /// Of the pieces that go at the end.
    bytes: u64,
}

/// What one step wrote.
#[derive(Default)]
struct Step {
    /// Bytes of each hour, more or less than before.
    sizes: BTreeMap<u32, i64>,
    /// Blocks of days that are rolled up already: `(day, group)`.
    late: BTreeSet<(u32, u32)>,
    broken: u64,
}

/// Past what can be rows: the hour of a time in milliseconds.
fn hour_of(time: i64) -> Option<u32> {
    u32::try_from(time.div_euclid(HOUR_MS)).ok()
}

impl Keeper {
    /// One step of upkeep; `true` where more is to be done at once.
    pub fn step(&mut self, now: Wall) -> bool {
        self.sort(now) || self.roll(now) || self.expire(now)
    }

    /// One step of sorting; `false` where there is nothing to sort.
    fn sort(&mut self, now: Wall) -> bool {
        if self.sorting.is_none() && !self.begin_sorting(now) {
            return false;
        }
        let Some(mut sorting) = self.sorting.take() else { return false };
        let (rolled, raw_from) = (self.mark(ROLLED) as u32, self.mark(RAW_FROM) as u32);
        let (begun, length) = (clock::now().mono, self.step_length);
        let done = self.transact(now, |write| {
            let mut step = Step::default();
            while let Some((shard, commits)) = sorting.shards.get(sorting.next) {
                sort_shard(write, *shard, commits, rolled, &mut step)?;
                sorting.next += 1;
                write.open_table(MARKS)?.insert(SHARD, u64::from(*shard) + 1)?;
                if clock::now().mono.since(begun) >= length {
                    break;
                }
            }
            for (day, group) in &step.late {
                if raw_from <= day * 24 {
                    rolling::roll_group(write, *day, *group)?;
                }
            }
            put_sizes(write, &step.sizes)?;
            let mut marks = write.open_table(MARKS)?;
            marks.insert(CUT, sorting.cut)?;
            if sorting.next == sorting.shards.len() {
                write.open_table(PIECES)?.retain_in(..(sorting.cut, 0), |_, _| false)?;
                marks.insert(CUT, 0)?;
                marks.insert(SHARD, 0)?;
            }
            Ok(step)
        });
        let Some(step) = done else { return false };
        if step.broken > 0 {
            log::error!("history: {} pieces are damaged and left out", step.broken);
        }
        for (hour, change) in step.sizes {
            let size = self.sizes.entry((HOURS, hour)).or_default();
            *size = size.saturating_add_signed(change);
        }
        if sorting.next == sorting.shards.len() {
            self.piece_bytes = self.piece_bytes.saturating_sub(sorting.bytes);
            self.handle.pieces_mut().retain(|commit| *commit >= sorting.cut);
        } else {
            self.sorting = Some(sorting);
        }
        true
    }

    /// Finds what is to be sorted: where a crash interrupted it the rest, else the pieces of past hours.
    fn begin_sorting(&mut self, now: Wall) -> bool {
        let upto = ((millis(now) - AFTER_MS).div_euclid(HOUR_MS) * HOUR_MS).max(0) as u64;
        if self.handle.pieces().first().is_none_or(|first| *first >= upto) {
            return false;
        }
        let found = self.handle.database().map(|database| {
            let read = database.begin_read()?;
            let marks = read.open_table(MARKS)?;
            let (cut, shard) = (base::mark(&marks, CUT)?, base::mark(&marks, SHARD)?);
            let (cut, first) = if cut > 0 { (cut, shard as u32) } else { (upto, 0) };
            let mut shards: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
            let mut bytes = 0;
            for row in read.open_table(PIECES)?.range(..(cut, 0))? {
                let (key, value) = row?;
                let (commit, shard) = key.value();
                bytes += value.value().len() as u64;
                if shard >= first {
                    shards.entry(shard).or_default().push(commit);
                }
            }
            Ok::<_, redb::Error>(Sorting {
                cut,
                shards: shards.into_iter().collect(),
                next: 0,
                bytes,
            })
        });
        match found {
            Some(Ok(sorting)) => {
                self.sorting = Some(sorting);
                true
            }
            Some(Err(error)) => {
                log::error!("history: {error}");
                false
            }
            None => false,
        }
    }
}

/// Puts the samples of one shard into the blocks of their hours.
fn sort_shard(
    write: &WriteTransaction,
    shard: u32,
    commits: &[u64],
    rolled: u32,
    step: &mut Step,
) -> Result<(), redb::Error> {
    let pieces = write.open_table(PIECES)?;
    let mut sorted: BTreeMap<(u32, u32), Vec<Segment>> = BTreeMap::new();
    for commit in commits {
        let Some(piece) = pieces.get((*commit, shard))? else { continue };
        let Some(groups) = block::decode_piece(piece.value()) else {
            step.broken += 1;
            continue;
        };
        for (group, segments) in groups {
            for segment in segments {
                split(segment, group, &mut sorted);
            }
        }
    }
    let mut blocks = write.open_table(BLOCKS)?;
    for ((hour, group), segments) in sorted {
        put_block(&mut blocks, hour, group, segments, step)?;
        if hour / 24 < rolled {
            step.late.insert((hour / 24, group));
        }
    }
    Ok(())
}

fn put_block(
    blocks: &mut Table<'_, (u32, u32), &'static [u8]>,
    hour: u32,
    group: u32,
    segments: Vec<Segment>,
    step: &mut Step,
) -> Result<(), redb::Error> {
    let (known, old_bytes) = match blocks.get((hour, group))? {
        Some(row) => {
            (block::decode_block(row.value()).unwrap_or_default(), row.value().len() as i64)
        }
        None => (Vec::new(), -(ROW_BYTES as i64)),
    };
    let bytes = block::encode_block(&block::merge([known, segments].concat()));
    *step.sizes.entry(hour).or_default() += bytes.len() as i64 - old_bytes;
    blocks.insert((hour, group), bytes.as_slice())?;
    Ok(())
}

/// Gives each hour its samples.
fn split(segment: Segment, group: u32, sorted: &mut BTreeMap<(u32, u32), Vec<Segment>>) {
    let hours: BTreeSet<Option<u32>> = segment.times.iter().map(|t| hour_of(*t)).collect();
    for hour in hours.iter().flatten() {
        let part = if hours.len() == 1 {
            segment.clone()
        } else {
            segment.only(|t| hour_of(t) == Some(*hour))
        };
        let known = sorted.entry((*hour, group)).or_default();
        match known.iter_mut().find(|k| k.columns == part.columns) {
            Some(known) => known.append(&part),
            None => known.push(part),
        }
    }
}

fn put_sizes(write: &WriteTransaction, changes: &BTreeMap<u32, i64>) -> Result<(), redb::Error> {
    let mut sizes = write.open_table(SIZES)?;
    for (hour, change) in changes {
        let old = sizes.get((HOURS, *hour))?.map_or(0, |size| size.value());
        sizes.insert((HOURS, *hour), old.saturating_add_signed(*change))?;
    }
    Ok(())
}
