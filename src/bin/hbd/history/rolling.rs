//! Upkeep, second part: days that are over are rolled up, and what is too old or too much goes.
//!
//! A day is rolled up once all its pieces are sorted; its blocks stay until their own time has come. Samples that
//! come later still roll their day up anew while its blocks are there.

use super::base::{
    ABSENCES, BLOCKS, DAYS, HOURS, MARKS, RAW_FROM, ROLLED, ROLLUPS, SIZES, STANDINGS,
};
use super::batch::millis;
use super::keeper::Keeper;
use super::sorting::ROW_BYTES;
use heartbeat::history::rollup::{self, HOUR_MS};
use heartbeat::history::{Segment, block};
use heartbeat::os::clock;
use heartbeat::time::Wall;
use redb::{ReadableDatabase, ReadableTable, WriteTransaction};

const DAY_MS: i64 = 24 * HOUR_MS;

/// A day that is being rolled up. After a crash it begins anew, which changes nothing.
pub struct Rolling {
    day: u32,
    groups: Vec<u32>,
    next: usize,
    bytes: u64,
}

impl Keeper {
    /// One step of rolling up; `false` where no day is due.
    pub(super) fn roll(&mut self, now: Wall) -> bool {
        if self.rolling.is_none() {
            let Some(day) = self.day_due(now) else { return false };
            let groups = self.handle.catalog().group_ids();
            self.rolling = Some(Rolling { day, groups, next: 0, bytes: 0 });
        }
        let Some(mut rolling) = self.rolling.take() else { return false };
        let (begun, length) = (clock::now().mono, self.step_length);
        let oldest = millis(now) - self.settings.rollup.as_millis() as i64;
        let done = self.transact(now, |write| {
            while let Some(group) = rolling.groups.get(rolling.next) {
                rolling.bytes += roll_group(write, rolling.day, *group)?;
                rolling.next += 1;
                if rolling.next.is_multiple_of(16) && clock::now().mono.since(begun) >= length {
                    return Ok(());
                }
            }
            write.open_table(MARKS)?.insert(ROLLED, u64::from(rolling.day) + 1)?;
            write.open_table(SIZES)?.insert((DAYS, rolling.day), rolling.bytes)?;
            forget_standings(write, oldest)
        });
        if done.is_none() {
            return false;
        }
        if rolling.next < rolling.groups.len() {
            self.rolling = Some(rolling);
        } else {
            self.marks.insert(ROLLED.to_owned(), u64::from(rolling.day) + 1);
            self.sizes.insert((DAYS, rolling.day), rolling.bytes);
        }
        true
    }

    /// The first day that is over, sorted, and not rolled up.
    fn day_due(&self, now: Wall) -> Option<u32> {
        let first_block = || {
            let read = self.handle.database()?.begin_read().ok()?;
            let blocks = read.open_table(BLOCKS).ok()?;
            let (key, _) = blocks.first().ok()??;
            Some(key.value().0 / 24)
        };
        let day = match self.mark(ROLLED) as u32 {
            0 => first_block()?,
            day => day,
        };
        let end = (i64::from(day) + 1) * DAY_MS;
        let is_sorted = self.sorting.is_none()
            && self.handle.pieces().first().is_none_or(|first| *first as i64 >= end);
        (millis(now) >= end + HOUR_MS / 60 && is_sorted).then_some(day)
    }

    /// Lets go of the oldest hour or day where it is too old, or the file too large; one a step.
    pub(super) fn expire(&mut self, now: Wall) -> bool {
        let age = |span: heartbeat::time::Duration, unit: i64| {
            let oldest = millis(now) - span.as_millis() as i64;
            u32::try_from(oldest.div_euclid(unit)).unwrap_or(0)
        };
        let hour = self.oldest(HOURS);
        let day = self.oldest(DAYS);
        let rolled_hours = (self.mark(ROLLED) as u32).saturating_mul(24);
        let is_full = self.used() > self.settings.size_max;
        let old_hour = hour.filter(|hour| *hour < age(self.settings.raw, HOUR_MS));
        let full_hour = hour.filter(|_| is_full);
        let rolled_hour = old_hour.or(full_hour).filter(|hour| *hour < rolled_hours);
        if let Some(hour) = rolled_hour {
            return self.drop_rows(now, HOURS, hour);
        }
        let old_day = day.filter(|day| *day < age(self.settings.rollup, DAY_MS));
        if let Some(day) = old_day.or(day.filter(|_| is_full)) {
            return self.drop_rows(now, DAYS, day);
        }
        match full_hour {
            Some(hour) => self.drop_rows(now, HOURS, hour),
            None => false,
        }
    }

    fn oldest(&self, kind: u8) -> Option<u32> {
        self.sizes.range((kind, 0)..=(kind, u32::MAX)).next().map(|((_, number), _)| *number)
    }

    /// What the file needs, near enough: rows, and a seventh more for what a tree of pages leaves open.
    pub(super) fn used(&self) -> u64 {
        let rows = self.sizes.values().sum::<u64>() + self.piece_bytes;
        rows + rows / 7
    }

    fn drop_rows(&mut self, now: Wall, kind: u8, number: u32) -> bool {
        let done = self.transact(now, |write| {
            let table = if kind == HOURS { BLOCKS } else { ROLLUPS };
            write.open_table(table)?.retain_in(..(number + 1, 0), |_, _| false)?;
            write.open_table(SIZES)?.remove((kind, number))?;
            if kind == HOURS {
                write.open_table(MARKS)?.insert(RAW_FROM, u64::from(number) + 1)?;
            }
            Ok(())
        });
        if done.is_none() {
            return false;
        }
        self.sizes.remove(&(kind, number));
        if kind == HOURS {
            self.marks.insert(RAW_FROM.to_owned(), u64::from(number) + 1);
        }
        true
    }
}

/// Rolls up one group's day; how many bytes that took.
pub fn roll_group(write: &WriteTransaction, day: u32, group: u32) -> Result<u64, redb::Error> {
    let blocks = write.open_table(BLOCKS)?;
    let mut segments: Vec<Segment> = Vec::new();
    for hour in day * 24..day * 24 + 24 {
        if let Some(row) = blocks.get((hour, group))? {
            segments.extend(block::decode_block(row.value()).unwrap_or_default());
        }
    }
    if segments.is_empty() {
        return Ok(0);
    }
    let bytes = rollup::encode_rollups(&rollup::roll_up(day, &segments));
    write.open_table(ROLLUPS)?.insert((day, group), bytes.as_slice())?;
    Ok(bytes.len() as u64 + ROW_BYTES)
}

/// Drops changes of standings from before `oldest`, but of each host the last of them, which still holds; and
/// absences.
fn forget_standings(write: &WriteTransaction, oldest: i64) -> Result<(), redb::Error> {
    let mut standings = write.open_table(STANDINGS)?;
    let mut gone = Vec::new();
    let mut last: Option<(u32, i64)> = None;
    for row in standings.iter()? {
        let (group, at) = row?.0.value();
        if let Some((known, before)) = last
            && known == group
            && at <= oldest
        {
            gone.push((known, before));
        }
        last = Some((group, at));
    }
    for key in gone {
        standings.remove(key)?;
    }
    write.open_table(ABSENCES)?.retain(|_, to| to >= oldest)?;
    Ok(())
}
