//! Samples of one plugin of one host that have the same numbers: a row of times, a column for each metric.
//!
//! Owns their form in bytes. Columns are named by ids; what those mean is the catalogue's.

use super::bits::{BitReader, BitWriter, push_varint, take_varint};
use super::column;

/// Values of one segment in bytes; more are written as several. It bounds what a reader may be made to allocate.
pub const VALUES_MAX: usize = 1 << 18;
/// Times are milliseconds since 1970, within the years that a calendar has.
const TIME_MAX: i64 = 1 << 50;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Segment {
    /// Seconds between samples; 0 where nobody said.
    pub every: u32,
    pub columns: Vec<u32>,
    /// Milliseconds since 1970.
    pub times: Vec<i64>,
    /// For each column as many as there are times.
    pub values: Vec<Vec<f64>>,
}

impl Segment {
    pub fn new(every: u32, columns: &[u32]) -> Segment {
        let values = vec![Vec::new(); columns.len()];
        Segment { every, columns: columns.to_vec(), times: Vec::new(), values }
    }

    /// Adds a sample behind the others, whatever its time.
    pub fn push(&mut self, time: i64, values: &[f64]) {
        debug_assert_eq!(values.len(), self.columns.len());
        self.times.push(time.clamp(-TIME_MAX, TIME_MAX));
        for (column, value) in self.values.iter_mut().zip(values) {
            column.push(*value);
        }
    }

    pub fn append(&mut self, other: &Segment) {
        debug_assert_eq!(self.columns, other.columns);
        self.every = other.every;
        self.times.extend(&other.times);
        for (column, values) in self.values.iter_mut().zip(&other.values) {
            column.extend(values);
        }
    }

    /// Puts the samples into the order of their times; of those of one time the last stays.
    pub fn sort(&mut self) {
        if self.times.is_sorted_by(|a, b| a < b) {
            return;
        }
        let mut order: Vec<usize> = (0..self.times.len()).collect();
        // Stable: of one time, the one that came last is last.
        order.sort_by_key(|i| self.times[*i]);
        let next = order.iter().skip(1).map(Some).chain([None]);
        let is_last = |(i, next): (&usize, Option<&usize>)| {
            next.is_none_or(|next| self.times[*next] != self.times[*i]).then_some(*i)
        };
        let kept: Vec<usize> = order.iter().zip(next).filter_map(is_last).collect();
        self.times = kept.iter().map(|i| self.times[*i]).collect();
        for column in &mut self.values {
            *column = kept.iter().map(|i| column[*i]).collect();
        }
    }

    /// The samples whose time passes `pick`.
    pub fn only(&self, pick: impl Fn(i64) -> bool) -> Segment {
        let kept: Vec<usize> = (0..self.times.len()).filter(|i| pick(self.times[*i])).collect();
        Segment {
            every: self.every,
            columns: self.columns.clone(),
            times: kept.iter().map(|i| self.times[*i]).collect(),
            values: self
                .values
                .iter()
                .map(|column| kept.iter().map(|i| column[*i]).collect())
                .collect(),
        }
    }

    /// Appends the segment, which must be in order, in as many pieces as it takes.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        let rows_max = (VALUES_MAX / self.columns.len().max(1)).max(1);
        for from in (0..self.times.len()).step_by(rows_max) {
            let to = self.times.len().min(from + rows_max);
            push_columns(bytes, &self.columns);
            push_varint(bytes, u64::from(self.every));
            push_varint(bytes, (to - from) as u64);
            let mut bits = BitWriter::default();
            column::encode_whole(&mut bits, &self.times[from..to]);
            for values in &self.values {
                column::encode(&mut bits, &values[from..to]);
            }
            bytes.extend(bits.finish());
        }
    }

    /// Takes one segment off the front; `None` where it is none.
    pub fn decode(bytes: &mut &[u8]) -> Option<Segment> {
        let columns = take_columns(bytes)?;
        let every = u32::try_from(take_varint(bytes)?).ok()?;
        let count = usize::try_from(take_varint(bytes)?).ok()?;
        if count == 0
            || columns.is_empty()
            || count.checked_mul(columns.len())? > VALUES_MAX.max(columns.len())
        {
            return None;
        }
        let mut bits = BitReader::new(bytes);
        let times = column::decode_whole(&mut bits, count)?;
        let is_time = |time: &i64| (-TIME_MAX..=TIME_MAX).contains(time);
        if !times.iter().all(is_time) || !times.is_sorted_by(|a, b| a < b) {
            return None;
        }
        let values: Option<Vec<_>> =
            columns.iter().map(|_| column::decode(&mut bits, count)).collect();
        *bytes = bits.rest()?;
        Some(Segment { every, columns, times, values: values? })
    }
}

/// Ids as runs: what was named together has neighbouring ids.
pub fn push_columns(bytes: &mut Vec<u8>, columns: &[u32]) {
    let mut runs: Vec<(u32, u64)> = Vec::new();
    for id in columns {
        match runs.last_mut() {
            Some((first, len)) if u64::from(*first) + *len == u64::from(*id) => *len += 1,
            _ => runs.push((*id, 1)),
        }
    }
    push_varint(bytes, runs.len() as u64);
    for (first, len) in runs {
        push_varint(bytes, u64::from(first));
        push_varint(bytes, len);
    }
}

pub fn take_columns(bytes: &mut &[u8]) -> Option<Vec<u32>> {
    let runs = take_varint(bytes)?;
    let mut columns = Vec::new();
    for _ in 0..runs {
        let first = u32::try_from(take_varint(bytes)?).ok()?;
        let len = u32::try_from(take_varint(bytes)?).ok()?;
        if len == 0 || columns.len() + len as usize > crate::limits::METRICS_PER_HOST {
            return None;
        }
        columns.extend(first..first.checked_add(len)?);
    }
    Some(columns)
}

/// A sample for tests and figures: `columns` numbers at each of the times.
#[cfg(test)]
pub fn any_segment() -> impl proptest::strategy::Strategy<Value = Segment> {
    use proptest::prelude::*;
    let value = prop_oneof![
        (-1000i32..1000).prop_map(|n| f64::from(n) / 10.0),
        any::<u64>().prop_map(f64::from_bits).prop_filter("a number", |v| !v.is_nan()),
    ];
    let columns = prop::collection::btree_set(0u32..40, 1..6);
    let times = prop::collection::btree_set(0i64..9_000_000, 1..30);
    (columns, times, 0u32..4000, prop::collection::vec(value, 200)).prop_map(
        |(columns, times, every, values)| {
            let columns: Vec<u32> = columns.into_iter().collect();
            let mut segment = Segment::new(every, &columns);
            for (i, time) in times.into_iter().enumerate() {
                let row: Vec<f64> =
                    (0..columns.len()).map(|c| values[(i * 7 + c) % values.len()]).collect();
                segment.push(1_795_000_000_000 + time, &row);
            }
            segment
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn segments_come_back(segment in any_segment()) {
            let mut bytes = Vec::new();
            segment.encode(&mut bytes);
            let mut rest = &bytes[..];
            prop_assert_eq!(Segment::decode(&mut rest), Some(segment));
            prop_assert!(rest.is_empty());
        }
    }

    #[test]
    fn samples_are_put_in_order_and_the_last_of_a_time_stays() {
        let mut segment = Segment::new(300, &[1]);
        for (time, value) in [(5, 1.0), (3, 2.0), (5, 3.0), (4, 4.0)] {
            segment.push(time, &[value]);
        }
        segment.sort();
        assert_eq!(segment.times, [3, 4, 5]);
        assert_eq!(segment.values, [[2.0, 4.0, 3.0]]);
    }

    #[test]
    fn a_large_segment_is_written_in_pieces() {
        let mut segment = Segment::new(1, &[1, 2, 3, 4]);
        for time in 0..VALUES_MAX as i64 / 4 + 1 {
            segment.push(time, &[time as f64; 4]);
        }
        let mut bytes = Vec::new();
        segment.encode(&mut bytes);
        let mut rest = &bytes[..];
        let mut whole = Segment::decode(&mut rest).unwrap();
        whole.append(&Segment::decode(&mut rest).unwrap());
        assert_eq!(whole, segment);
        assert!(rest.is_empty());
    }
}
