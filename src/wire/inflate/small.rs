//! The short way for the usual datagram: one small, well-formed zlib stream (RFC 1950, 1951).
//!
//! For some hundred bytes a library spends most of its time on decoding tables that are made for
//! megabytes. These are as large as the longest code that is in use, and filled by doubling. What
//! is unusual in any way (damaged, stored, long, codes over `CODE_BITS_MAX`) is given up with `None`
//! and never judged here: the library reads it again and says what is wrong with it. Nothing is
//! given back whose checksum does not agree.

use super::is_zlib;
use super::table::{Bits, Entry, PADDING, SYMBOLS_MAX, Table, Used};
use crate::wire::deflate::adler32;

/// Longer streams pay for large tables, so the library reads them.
const BYTES_MAX: usize = 2048;
/// Content beyond this is given up: a bomb costs no more than this before the library sees it.
const CONTENT_MAX: usize = 16 << 10;
/// What one step of `block` may write beyond that before it looks: literals, the longest match, a stride.
const SLACK: usize = 512;
/// Longest code, bits, that a table takes. RFC 1951 allows 15; short texts need 8 to 11.
const CODE_BITS_MAX: usize = 12;
const LITERALS: usize = SYMBOLS_MAX;
const DISTANCES: usize = 32;
/// The order in which code lengths of code lengths are sent (RFC 1951, 3.2.7).
const ORDER: [u8; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// Bytes copied at a time; a match that overlaps closer than this goes byte by byte.
const STRIDE: usize = 16;

// What an entry of a table tells beside the length of its code: its kind in bits 6 and 7, the number
// of extra bits in 8 to 11, and in 16 to 31 the literal, the base of a length or distance, or the
// symbol itself.
const LITERAL: Entry = 1 << 7;
const END: Entry = 1 << 6;

const LITERAL_ENTRY: [Entry; LITERALS] = literal_entries();
const DISTANCE_ENTRY: [Entry; DISTANCES] = distance_entries();

const fn literal_entries() -> [Entry; LITERALS] {
    let mut entries = [0; LITERALS];
    let mut symbol = 0;
    while symbol < 256 {
        entries[symbol] = LITERAL | ((symbol as Entry) << 16);
        symbol += 1;
    }
    entries[256] = END;
    let mut base = 3;
    while symbol < 284 {
        symbol += 1;
        let step = symbol - 257;
        let extra = if step < 8 { 0 } else { step as Entry / 4 - 1 };
        entries[symbol] = (base << 16) | (extra << 8);
        base += 1 << extra;
    }
    entries[285] = 258 << 16;
    entries
}

const fn distance_entries() -> [Entry; DISTANCES] {
    let mut entries = [0; DISTANCES];
    let (mut symbol, mut base) = (0, 1);
    while symbol < 30 {
        let extra = if symbol < 4 { 0 } else { symbol as Entry / 2 - 1 };
        entries[symbol] = (base << 16) | (extra << 8);
        base += 1 << extra;
        symbol += 1;
    }
    entries
}

/// The tables, reused from stream to stream; each block writes what it reads.
pub(super) struct Small {
    /// The stream with zeros behind it.
    padded: [u8; BYTES_MAX + PADDING],
    codes: Tables,
}

struct Tables {
    literal: Table<{ 1 << CODE_BITS_MAX }>,
    distance: Table<{ 1 << CODE_BITS_MAX }>,
    length: Table<{ 1 << 7 }>,
    /// The symbols in use of both alphabets, those of the distances behind those of the literals.
    used: [Used; LITERALS + DISTANCES],
}

impl Small {
    pub fn new() -> Small {
        let codes = Tables {
            literal: Table::new(),
            distance: Table::new(),
            length: Table::new(),
            used: [(0, 0); LITERALS + DISTANCES],
        };
        Small { padded: [0; BYTES_MAX + PADDING], codes }
    }

    /// The number of bytes written to the front of `out`; `None` where the library should judge.
    pub fn inflate(&mut self, bytes: &[u8], out: &mut [u8]) -> Option<usize> {
        // A window of 32 KiB, which is more than there can be content, and no dictionary.
        let [0x78, flags, stream @ .., _, _, _, _] = bytes else { return None };
        if !is_zlib(bytes) || bytes.len() > BYTES_MAX || flags & 0x20 != 0 {
            return None;
        }
        let out = out.first_chunk_mut::<{ CONTENT_MAX + SLACK }>()?;
        let padded = &mut self.padded[..stream.len() + PADDING];
        let (head, zeros) = padded.split_at_mut(stream.len());
        head.copy_from_slice(stream);
        zeros.fill(0);
        let mut bits = Bits::new(padded);
        let mut len = 0;
        loop {
            bits.refill()?;
            let last = bits.take(1) == 1;
            match bits.take(2) {
                1 => self.codes.fixed()?,
                2 => bits = self.codes.dynamic(bits)?,
                _ => return None,
            }
            (bits, len) = self.codes.block(bits, out, len)?;
            if last {
                break;
            }
        }
        if bits.end() != stream.len() || len > CONTENT_MAX {
            return None;
        }
        let checksum = bytes.last_chunk::<4>()?;
        (adler32(&out[..len]) == u32::from_be_bytes(*checksum)).then_some(len)
    }
}

impl Tables {
    fn fixed(&mut self) -> Option<()> {
        for symbol in 0..LITERALS as u16 {
            let bits = match symbol {
                144..256 => 9,
                256..280 => 7,
                _ => 8,
            };
            self.used[usize::from(symbol)] = (symbol, bits);
        }
        for symbol in 0..DISTANCES as u16 {
            self.used[LITERALS + usize::from(symbol)] = (LITERALS as u16 + symbol, 5);
        }
        self.fill(LITERALS + DISTANCES, LITERALS as u16)
    }

    /// The header of a block with codes of its own (RFC 1951, 3.2.7).
    #[inline(never)]
    fn dynamic<'s>(&mut self, mut bits: Bits<'s>) -> Option<Bits<'s>> {
        let literals = bits.take(5) as usize + 257;
        let distances = bits.take(5) as usize + 1;
        let lengths = bits.take(4) as usize + 4;
        if literals > 286 || distances > 30 {
            return None;
        }
        let mut sent = [0; 19];
        for symbols in ORDER[..lengths].chunks(18) {
            bits.refill()?;
            for symbol in symbols {
                sent[usize::from(*symbol)] = bits.take(3) as u8;
            }
        }
        let mut codes = [(0, 0); 19];
        let mut count = 0;
        for (symbol, length) in (0..).zip(sent) {
            if length > 0 {
                codes[count] = (symbol, length);
                count += 1;
            }
        }
        if count < 2 {
            return None;
        }
        self.length.fill(&codes[..count], |symbol| u32::from(symbol) << 16)?;

        let all = literals + distances;
        let (mut at, mut before, mut count) = (0, 0, 0);
        while at < all {
            bits.refill()?;
            // Each is at most 14 of the 56 bits.
            for _ in 0..4 {
                let symbol = bits.code(&self.length) >> 16;
                let (length, times) = match symbol {
                    0..16 => (symbol as u8, 1),
                    // Of the one before, which there has to be.
                    16 if at > 0 => (before, bits.take(2) as usize + 3),
                    17 => (0, bits.take(3) as usize + 3),
                    18 => (0, bits.take(7) as usize + 11),
                    _ => return None,
                };
                if length > 0 {
                    for symbol in at..at + times {
                        *self.used.get_mut(count)? = (symbol as u16, length);
                        count += 1;
                    }
                }
                before = length;
                at += times;
                if at >= all {
                    break;
                }
            }
        }
        if at > all {
            return None;
        }
        self.fill(count, literals as u16)?;
        Some(bits)
    }

    /// Makes the tables of the first `count` symbols in use, those of distances from `literals` on.
    fn fill(&mut self, count: usize, literals: u16) -> Option<()> {
        let used = self.used.get(..count)?;
        let distances = used.iter().rev().take_while(|(symbol, _)| *symbol >= literals).count();
        let (literal, distance) = used.split_at(count - distances);
        self.literal.fill(literal, |symbol| LITERAL_ENTRY[usize::from(symbol)])?;
        let entry = |symbol| DISTANCE_ENTRY[usize::from(symbol - literals)];
        self.distance.fill(distance, entry)
    }

    /// Reads symbols to the end of the block; gives the stream after it and the length of the
    /// content so far.
    #[inline(never)]
    fn block<'s>(
        &self,
        mut bits: Bits<'s>,
        out: &mut [u8; CONTENT_MAX + SLACK],
        mut len: usize,
    ) -> Option<(Bits<'s>, usize)> {
        while len <= CONTENT_MAX {
            bits.refill()?;
            // Four codes are at most 48 of the 56 bits.
            for _ in 0..4 {
                let entry = bits.code(&self.literal);
                if entry & LITERAL != 0 {
                    *out.get_mut(len)? = (entry >> 16) as u8;
                    len += 1;
                    continue;
                }
                if entry & END != 0 {
                    return Some((bits, len));
                }
                // What remains of a match is at most 5 + 12 + 13 bits.
                bits.refill()?;
                let run = number(&mut bits, entry)?;
                let entry = bits.code(&self.distance);
                let back = number(&mut bits, entry)?;
                copy(out, len.checked_sub(back)?, len, run)?;
                len += run;
                break;
            }
        }
        None
    }
}

/// The length or distance of an entry, with its extra bits.
#[inline(always)]
fn number(bits: &mut Bits<'_>, entry: Entry) -> Option<usize> {
    // A symbol that has no meaning (RFC 1951, 3.2.6) has no base either.
    let base = entry >> 16;
    let extra = bits.take((entry >> 8) & 15);
    (base > 0).then_some(base.wrapping_add(extra) as usize)
}

/// Repeats `run` bytes from `from` at `to`, which may overlap; `None` where `out` ends first.
#[inline(always)]
fn copy(out: &mut [u8], from: usize, to: usize, run: usize) -> Option<()> {
    if to - from >= STRIDE {
        let mut step = 0;
        // What is written beyond the run is overwritten or cut off.
        while step < run {
            let piece = *out.get(from + step..)?.first_chunk::<STRIDE>()?;
            *out.get_mut(to + step..)?.first_chunk_mut::<STRIDE>()? = piece;
            step += STRIDE;
        }
        return Some(());
    }
    for step in 0..run {
        *out.get_mut(to + step)? = *out.get(from + step)?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::Inflater;
    use super::*;
    use crate::prng::Prng;
    use miniz_oxide::deflate::compress_to_vec_zlib;
    use proptest::prelude::*;

    fn inflate(bytes: &[u8]) -> Option<Vec<u8>> {
        let mut out = vec![0; 2 * CONTENT_MAX];
        Small::new().inflate(bytes, &mut out).map(|len| out[..len].to_vec())
    }

    /// Whatever is given back is what the library reads, of all of the bytes.
    fn check(bytes: &[u8]) -> bool {
        let small = inflate(bytes);
        if let Some(content) = &small {
            assert_eq!(Inflater::new().inflate_any(bytes), Ok(&content[..]), "{bytes:02x?}");
        }
        small.is_some()
    }

    fn sample(len: usize) -> String {
        let mut prng = Prng::new(len as u64);
        let mut json = String::from("{");
        while json.len() < len {
            json.push_str(&format!(r#""key{}":{},"#, prng.below(40), prng.below(10_000)));
        }
        json.truncate(len);
        json
    }

    #[test]
    fn usual_datagrams_are_read_here() {
        for len in [0, 1, 2, 5, 20, 40, 100, 200, 500, 1000, 2000, 3000] {
            for level in 1..=10 {
                let packed = compress_to_vec_zlib(sample(len).as_bytes(), level);
                assert!(check(&packed), "{len} bytes, level {level}");
            }
        }
        assert!(!check(&compress_to_vec_zlib(sample(100).as_bytes(), 0)), "stored");
    }

    #[test]
    fn u5_content_up_to_its_limit_is_read_and_more_is_left_to_the_library() {
        for (len, read) in [(CONTENT_MAX - 1, true), (CONTENT_MAX, true), (CONTENT_MAX + 1, false)]
        {
            for period in [1, 3, 15, 16, 17, 300] {
                let content: Vec<u8> = (0..len).map(|i| b'a' + (i % period % 26) as u8).collect();
                assert_eq!(check(&compress_to_vec_zlib(&content, 6)), read, "{len}, {period}");
            }
        }
    }

    #[test]
    fn u5_stream_cut_lengthened_or_damaged_is_never_read_differently() {
        for len in [30, 300] {
            let packed = compress_to_vec_zlib(sample(len).as_bytes(), 6);
            for end in 0..packed.len() {
                assert!(!check(&packed[..end]), "{end}");
                let mut damaged = packed.clone();
                for bit in 0..8 {
                    damaged[end] ^= 1 << bit;
                    check(&damaged);
                    damaged[end] ^= 1 << bit;
                }
            }
            let longer = [&packed[..], &[0]].concat();
            assert!(!check(&longer));
        }
    }

    proptest! {
        #[test]
        fn u5_every_stream_is_read_as_the_library_reads_it(
            content in proptest::collection::vec(0u8..24, 0..1500),
            level in 1u8..10,
        ) {
            check(&compress_to_vec_zlib(&content, level));
        }

        #[test]
        fn u14_garbage_behind_a_header_never_panics(
            bytes in proptest::collection::vec(any::<u8>(), 0..400),
        ) {
            check(&[&[0x78, 0x9c][..], &bytes].concat());
        }
    }
}
