//! What remains of a day when its samples are gone: for each metric and hour the least, the greatest, the sum and
//! how many.
//!
//! Owns making it from samples and its form in bytes. The sum is kept and not the mean, so that hours can be put
//! together exactly.

use super::bits::{BitReader, BitWriter, push_varint, take_varint};
use super::segment::{Segment, push_columns, take_columns};
use super::{column, crc};

const VERSION: u8 = 1;
pub const HOUR_MS: i64 = 3_600_000;
pub const HOURS: usize = 24;

/// One metric within one hour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    pub min: f64,
    pub max: f64,
    pub sum: f64,
    pub count: u64,
}

impl Summary {
    pub fn of(values: &[f64]) -> Option<Summary> {
        let mut known = values.iter().copied();
        let first = known.next()?;
        let seed = Summary { min: first, max: first, sum: first, count: 1 };
        Some(known.fold(seed, |sum, value| {
            sum.with(&Summary { min: value, max: value, sum: value, count: 1 })
        }))
    }

    pub fn with(&self, other: &Summary) -> Summary {
        Summary {
            min: self.min.min(other.min),
            max: self.max.max(other.max),
            sum: self.sum + other.sum,
            count: self.count + other.count,
        }
    }

    pub fn avg(&self) -> f64 {
        self.sum / self.count as f64
    }
}

/// The day of metrics that have samples in the same hours, and as many.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rollup {
    /// Seconds between samples; 0 where nobody said.
    pub every: u32,
    /// Bit `h`: hour `h` of the day has samples.
    pub hours: u32,
    /// How many, for each such hour.
    pub counts: Vec<u64>,
    pub columns: Vec<u32>,
    /// For each column and each such hour.
    pub summaries: Vec<Vec<Summary>>,
}

impl Rollup {
    /// The hours of day `day` (days since 1970) that have samples: when each begins, in milliseconds.
    pub fn times(&self, day: u32) -> impl Iterator<Item = i64> + '_ {
        let hours = (0..HOURS as i64).filter(|hour| self.hours >> hour & 1 == 1);
        hours.map(move |hour| (i64::from(day) * HOURS as i64 + hour) * HOUR_MS)
    }
}

/// Rolls up what one group sent on day `day`.
pub fn roll_up(day: u32, segments: &[Segment]) -> Vec<Rollup> {
    let begin = i64::from(day) * HOURS as i64 * HOUR_MS;
    let mut ids: Vec<u32> = segments.iter().flat_map(|s| &s.columns).copied().collect();
    ids.sort_unstable();
    ids.dedup();
    let mut rollups: Vec<Rollup> = Vec::new();
    for id in ids {
        let mut hours: [Vec<f64>; HOURS] = Default::default();
        let mut every = 0;
        for segment in segments {
            let Some(at) = segment.columns.iter().position(|c| *c == id) else { continue };
            every = every.max(segment.every);
            for (time, value) in segment.times.iter().zip(&segment.values[at]) {
                if let Ok(hour) = usize::try_from((time - begin).div_euclid(HOUR_MS))
                    && hour < HOURS
                {
                    hours[hour].push(*value);
                }
            }
        }
        add(&mut rollups, id, every, &hours);
    }
    rollups
}

fn add(rollups: &mut Vec<Rollup>, id: u32, every: u32, hours: &[Vec<f64>; HOURS]) {
    let mut bitmap = 0;
    let mut counts = Vec::new();
    let mut summaries = Vec::new();
    for (hour, values) in hours.iter().enumerate() {
        let Some(mut summary) = Summary::of(values) else { continue };
        if let Some(decimals) = column::decimals(values) {
            // What adding made of the last digits is not kept: the true sum has no more decimals than its terms.
            let scale = 10f64.powi(decimals as i32);
            let rounded = (summary.sum * scale).round() / scale;
            summary.sum = if rounded.is_finite() { rounded } else { summary.sum };
        }
        bitmap |= 1 << hour;
        counts.push(summary.count);
        summaries.push(summary);
    }
    if bitmap == 0 {
        return;
    }
    let fits = |r: &&mut Rollup| r.every == every && r.hours == bitmap && r.counts == counts;
    match rollups.iter_mut().find(fits) {
        Some(rollup) => {
            rollup.columns.push(id);
            rollup.summaries.push(summaries);
        }
        None => rollups.push(Rollup {
            every,
            hours: bitmap,
            counts,
            columns: vec![id],
            summaries: vec![summaries],
        }),
    }
}

pub fn encode_rollups(rollups: &[Rollup]) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    for rollup in rollups {
        push_columns(&mut bytes, &rollup.columns);
        push_varint(&mut bytes, u64::from(rollup.every));
        push_varint(&mut bytes, u64::from(rollup.hours));
        let mut bits = BitWriter::default();
        let counts: Vec<i64> = rollup.counts.iter().map(|count| *count as i64).collect();
        column::encode_whole(&mut bits, &counts);
        for summaries in &rollup.summaries {
            let part = |pick: fn(&Summary) -> f64| summaries.iter().map(pick).collect::<Vec<_>>();
            column::encode(&mut bits, &part(|s| s.min));
            column::encode(&mut bits, &part(|s| s.max));
            column::encode(&mut bits, &part(|s| s.sum));
        }
        bytes.extend(bits.finish());
    }
    crc::seal(&mut bytes);
    bytes
}

pub fn decode_rollups(bytes: &[u8]) -> Option<Vec<Rollup>> {
    decode_rollups_body(crc::open(bytes)?)
}

/// What is under the checksum.
pub fn decode_rollups_body(body: &[u8]) -> Option<Vec<Rollup>> {
    let mut rest = body.strip_prefix(&[VERSION])?;
    let mut rollups = Vec::new();
    while !rest.is_empty() {
        rollups.push(decode_rollup(&mut rest)?);
    }
    Some(rollups)
}

fn decode_rollup(bytes: &mut &[u8]) -> Option<Rollup> {
    let columns = take_columns(bytes)?;
    let every = u32::try_from(take_varint(bytes)?).ok()?;
    let hours = u32::try_from(take_varint(bytes)?).ok().filter(|hours| hours >> HOURS == 0)?;
    let count = hours.count_ones() as usize;
    if count == 0 || columns.is_empty() {
        return None;
    }
    let mut bits = BitReader::new(bytes);
    let counts = column::decode_whole(&mut bits, count)?;
    let counts: Option<Vec<u64>> =
        counts.into_iter().map(|n| u64::try_from(n).ok().filter(|n| *n > 0)).collect();
    let counts = counts?;
    let mut summaries = Vec::new();
    for _ in &columns {
        let min = column::decode(&mut bits, count)?;
        let max = column::decode(&mut bits, count)?;
        let sum = column::decode(&mut bits, count)?;
        let row = (0..count)
            .map(|i| Summary { min: min[i], max: max[i], sum: sum[i], count: counts[i] })
            .collect();
        summaries.push(row);
    }
    *bytes = bits.rest()?;
    Some(Rollup { every, hours, counts, columns, summaries })
}

#[cfg(test)]
mod tests {
    use super::super::segment::any_segment;
    use super::*;
    use proptest::prelude::*;

    const DAY: u32 = 20_775; // 1_794_960_000
    const BEGIN: i64 = DAY as i64 * 86_400_000;

    /// The same segment, moved into the day.
    fn placed(mut segment: Segment) -> Segment {
        segment.times.iter_mut().for_each(|t| *t = BEGIN + (*t - 1_795_000_000_000) * 9);
        segment
    }

    proptest! {
        #[test]
        fn rollups_equal_brute_force_and_come_back(
            segments in prop::collection::vec(any_segment().prop_map(placed), 1..4),
        ) {
            let rollups = roll_up(DAY, &segments);
            prop_assert_eq!(decode_rollups(&encode_rollups(&rollups)), Some(rollups.clone()));
            for id in 0..40u32 {
                for hour in 0..24i64 {
                    let from = BEGIN + hour * HOUR_MS;
                    let mut values = Vec::new();
                    for segment in &segments {
                        for (c, column) in segment.columns.iter().enumerate() {
                            for (t, time) in segment.times.iter().enumerate() {
                                if *column == id && (from..from + HOUR_MS).contains(time) {
                                    values.push(segment.values[c][t]);
                                }
                            }
                        }
                    }
                    let found: Vec<Summary> = rollups.iter().flat_map(|r| {
                        let at = r.columns.iter().position(|c| *c == id);
                        let times: Vec<i64> = r.times(DAY).collect();
                        times.into_iter().enumerate().filter(move |(_, t)| *t == from)
                            .filter_map(move |(i, _)| Some(r.summaries[at?][i])).collect::<Vec<_>>()
                    }).collect();
                    if values.is_empty() {
                        prop_assert!(found.is_empty());
                        continue;
                    }
                    prop_assert_eq!(found.len(), 1);
                    let (min, max) = values.iter().fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(*v), b.max(*v)));
                    prop_assert_eq!((found[0].min, found[0].max), (min, max));
                    prop_assert_eq!(found[0].count, values.len() as u64);
                    let sum: f64 = values.iter().sum();
                    let size: f64 = values.iter().map(|v| v.abs()).sum();
                    let close = (found[0].sum - sum).abs() <= size * 1e-12 || !sum.is_finite();
                    prop_assert!(close, "{} is not {}", found[0].sum, sum);
                }
            }
        }

        #[test]
        fn store_rows_of_rollups_cut_or_flipped_are_refused(
            segment in any_segment().prop_map(placed), at in any::<usize>(),
        ) {
            let whole = encode_rollups(&roll_up(DAY, &[segment]));
            prop_assert_eq!(decode_rollups(&whole[..at % whole.len()]), None);
            let mut flipped = whole.clone();
            flipped[at / 8 % whole.len()] ^= 1 << (at % 8);
            prop_assert_eq!(decode_rollups(&flipped), None);
        }

        #[test]
        fn any_body_is_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode_rollups_body(&[&[VERSION][..], &body].concat());
        }
    }

    #[test]
    fn sums_have_no_more_decimals_than_their_terms() {
        let mut segment = Segment::new(300, &[7]);
        (0..12).for_each(|i| segment.push(BEGIN + i * 300_000, &[0.1]));
        let rollups = roll_up(DAY, &[segment]);
        assert_eq!(rollups[0].summaries[0][0], Summary { min: 0.1, max: 0.1, sum: 1.2, count: 12 });
    }
}
