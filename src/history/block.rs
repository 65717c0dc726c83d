//! Rows of the store: the samples of an hour of one plugin of one host, and the pieces from before they are sorted
//! into hours.
//!
//! Owns their outer form: a version, the contents, a checksum. A row that lost anything is refused as a whole.

use super::bits::{push_varint, take_varint};
use super::crc;
use super::segment::Segment;

/// Raised when the form changes; another is refused.
const VERSION: u8 = 1;

/// The samples of one group within an hour.
pub fn encode_block(segments: &[Segment]) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    segments.iter().for_each(|segment| segment.encode(&mut bytes));
    crc::seal(&mut bytes);
    bytes
}

pub fn decode_block(bytes: &[u8]) -> Option<Vec<Segment>> {
    decode_block_body(crc::open(bytes)?)
}

/// What is under the checksum: fuzzed by itself, since a checksum keeps random bytes out.
pub fn decode_block_body(body: &[u8]) -> Option<Vec<Segment>> {
    decode_segments(body.strip_prefix(&[VERSION])?)
}

/// What came of several groups, in the order of their ids.
pub fn encode_piece(groups: &[(u32, Vec<Segment>)]) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    let mut last = 0;
    for (group, segments) in groups {
        debug_assert!(*group >= last);
        let mut body = Vec::new();
        segments.iter().for_each(|segment| segment.encode(&mut body));
        push_varint(&mut bytes, u64::from(group - last));
        push_varint(&mut bytes, body.len() as u64);
        bytes.extend(body);
        last = *group;
    }
    crc::seal(&mut bytes);
    bytes
}

pub fn decode_piece(bytes: &[u8]) -> Option<Vec<(u32, Vec<Segment>)>> {
    decode_piece_body(crc::open(bytes)?)
}

pub fn decode_piece_body(body: &[u8]) -> Option<Vec<(u32, Vec<Segment>)>> {
    let mut groups = Vec::new();
    for part in parts(body.strip_prefix(&[VERSION])?) {
        let (group, bytes) = part?;
        groups.push((group, decode_segments(bytes)?));
    }
    Some(groups)
}

/// What a piece holds of one group; `None` where it is none.
pub fn decode_group(bytes: &[u8], wanted: u32) -> Option<Vec<Segment>> {
    let body = crc::open(bytes)?;
    for part in parts(body.strip_prefix(&[VERSION])?) {
        match part? {
            (group, bytes) if group == wanted => return decode_segments(bytes),
            (group, _) if group > wanted => break,
            _ => {}
        }
    }
    Some(Vec::new())
}

/// The groups of a piece and their bytes; a `None` ends it where it is none.
fn parts(mut rest: &[u8]) -> impl Iterator<Item = Option<(u32, &[u8])>> {
    let mut group = 0u32;
    let mut next = move || {
        group = group.checked_add(u32::try_from(take_varint(&mut rest)?).ok()?)?;
        let len = usize::try_from(take_varint(&mut rest)?).ok()?;
        let (bytes, after) = rest.split_at_checked(len)?;
        rest = after;
        Some((group, bytes, rest.is_empty()))
    };
    let mut ended = rest.is_empty();
    std::iter::from_fn(move || {
        if ended {
            return None;
        }
        let part = next();
        ended = part.is_none_or(|(_, _, last)| last);
        Some(part.map(|(group, bytes, _)| (group, bytes)))
    })
}

fn decode_segments(mut rest: &[u8]) -> Option<Vec<Segment>> {
    let mut segments = Vec::new();
    while !rest.is_empty() {
        segments.push(Segment::decode(&mut rest)?);
    }
    Some(segments)
}

/// Puts segments with the same columns together, each in the order of its times.
pub fn merge(segments: Vec<Segment>) -> Vec<Segment> {
    let mut merged: Vec<Segment> = Vec::new();
    for segment in segments {
        match merged.iter_mut().find(|known| known.columns == segment.columns) {
            Some(known) => known.append(&segment),
            None => merged.push(segment),
        }
    }
    merged.iter_mut().for_each(Segment::sort);
    merged
}

#[cfg(test)]
mod tests {
    use super::super::segment::any_segment;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_come_back(segments in prop::collection::vec(any_segment(), 0..4)) {
            prop_assert_eq!(decode_block(&encode_block(&segments)), Some(segments.clone()));
            let groups: Vec<_> = segments.into_iter().enumerate()
                .map(|(i, segment)| (i as u32 * 900, vec![segment])).collect();
            let piece = encode_piece(&groups);
            for (group, segments) in &groups {
                prop_assert_eq!(decode_group(&piece, *group), Some(segments.clone()));
                prop_assert_eq!(decode_group(&piece, *group + 1), Some(Vec::new()));
            }
            prop_assert_eq!(decode_piece(&piece), Some(groups));
        }

        /// THREATS: any truncation or bit flip is refused, never half-read.
        #[test]
        fn store_rows_cut_or_flipped_are_refused(segment in any_segment(), at in any::<usize>()) {
            let block = encode_block(std::slice::from_ref(&segment));
            let piece = encode_piece(&[(3, vec![segment])]);
            for whole in [block, piece] {
                let cut = &whole[..at % whole.len()];
                prop_assert_eq!(decode_block(cut), None);
                prop_assert_eq!(decode_piece(cut), None);
                let mut flipped = whole.clone();
                flipped[at / 8 % whole.len()] ^= 1 << (at % 8);
                prop_assert_eq!(decode_block(&flipped), None);
                prop_assert_eq!(decode_piece(&flipped), None);
            }
        }

        #[test]
        fn any_body_is_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..300)) {
            let body = [&[VERSION][..], &body].concat();
            let _ = decode_block_body(&body);
            let _ = decode_piece_body(&body);
        }
    }

    #[test]
    fn segments_with_the_same_columns_become_one() {
        let mut first = Segment::new(30, &[1, 2]);
        first.push(2000, &[1.0, 2.0]);
        let mut other = Segment::new(30, &[1]);
        other.push(1500, &[9.0]);
        let mut late = Segment::new(60, &[1, 2]);
        late.push(1000, &[3.0, 4.0]);
        let merged = merge(vec![first, other.clone(), late]);
        assert_eq!(merged.len(), 2);
        assert_eq!(merged[0].times, [1000, 2000]);
        assert_eq!(merged[0].values, [[3.0, 1.0], [4.0, 2.0]]);
        assert_eq!((merged[0].every, &merged[1]), (60, &other));
    }
}
