//! The short way for the usual datagram: one small, well-formed zlib stream (RFC 1950, 1951).
//!
//! For some hundred bytes a library spends most of its time on decoding tables that are made for
//! megabytes. These are as large as the longest code that is in use, and filled by doubling. What
//! is unusual in any way (damaged, stored, long, codes over `CODE_BITS_MAX`) is given up with `None`
//! and never judged here: the library reads it again and says what is wrong with it. Nothing is
//! given back whose checksum does not agree.

use super::is_zlib;
use miniz_oxide::mz_adler32_oxide as adler32;

/// Longer streams pay for large tables, so the library reads them.
const BYTES_MAX: usize = 2048;
/// Content beyond this is given up: a bomb costs no more than this before the library sees it.
const CONTENT_MAX: usize = 16 << 10;
/// Longest code, bits, that a table takes. RFC 1951 allows 15; short texts need 8 to 11.
const CODE_BITS_MAX: usize = 12;
const LITERALS: usize = 288;
const DISTANCES: usize = 32;
/// The order in which code lengths of code lengths are sent (RFC 1951, 3.2.7).
const ORDER: [u8; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// Bytes copied at a time; a match that overlaps closer than this goes byte by byte.
const STRIDE: usize = 16;

/// An entry of a table: the code's length in bits 0 to 3, kind in bits 6 and 7, number of extra bits
/// in 8 to 11, and in 16 to 31 the literal, the base of a length or distance, or the symbol itself.
/// 0 is no code.
type Entry = u32;
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
    literal: Table<{ 1 << CODE_BITS_MAX }>,
    distance: Table<{ 1 << CODE_BITS_MAX }>,
    length: Table<{ 1 << 7 }>,
    literal_codes: Codes,
    distance_codes: Codes,
}

impl Small {
    pub fn new() -> Small {
        Small {
            literal: Table::new(),
            distance: Table::new(),
            length: Table::new(),
            literal_codes: Codes::new(),
            distance_codes: Codes::new(),
        }
    }

    /// The number of bytes written to the front of `out`; `None` where the library should judge.
    pub fn inflate(&mut self, bytes: &[u8], out: &mut [u8]) -> Option<usize> {
        // A window of 32 KiB, which is more than there can be content, and no dictionary.
        let [0x78, flags, stream @ ..] = bytes else { return None };
        if !is_zlib(bytes) || bytes.len() > BYTES_MAX || flags & 0x20 != 0 {
            return None;
        }
        let end = out.len().min(CONTENT_MAX);
        let out = &mut out[..end];
        let mut bits = Bits { bytes: stream, at: 0, held: 0, count: 0 };
        let mut len = 0;
        loop {
            bits.refill();
            let last = bits.take(1)? == 1;
            match bits.take(2)? {
                1 => self.read_fixed()?,
                2 => self.read_dynamic(&mut bits)?,
                _ => return None,
            }
            (bits, len) = self.block(bits, out, len)?;
            if last {
                break;
            }
        }
        let checksum = <[u8; 4]>::try_from(bits.rest()?).ok()?;
        (adler32(1, &out[..len]) == u32::from_be_bytes(checksum)).then_some(len)
    }

    fn read_fixed(&mut self) -> Option<()> {
        self.literal_codes.clear();
        for symbol in 0..LITERALS as u16 {
            let bits = match symbol {
                144..256 => 9,
                256..280 => 7,
                _ => 8,
            };
            self.literal_codes.push(symbol, bits);
        }
        self.distance_codes.clear();
        for symbol in 0..DISTANCES as u16 {
            self.distance_codes.push(symbol, 5);
        }
        self.fill()
    }

    /// The header of a block with codes of its own (RFC 1951, 3.2.7).
    #[inline(never)]
    fn read_dynamic(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        let literals = bits.take(5)? as usize + 257;
        let distances = bits.take(5)? as usize + 1;
        let lengths = bits.take(4)? as usize + 4;
        if literals > 286 || distances > 30 {
            return None;
        }
        let mut sent = [0; 19];
        for symbol in &ORDER[..lengths] {
            bits.refill();
            sent[usize::from(*symbol)] = bits.take(3)? as u8;
        }
        let codes = &mut self.literal_codes;
        codes.clear();
        (0..).zip(sent).for_each(|(symbol, bits)| codes.push(symbol, bits));
        if codes.len < 2 {
            return None;
        }
        self.length.fill(codes, |symbol| u32::from(symbol) << 16)?;

        self.literal_codes.clear();
        self.distance_codes.clear();
        let (mut at, mut before) = (0, None);
        while at < literals + distances {
            bits.refill();
            let (len, times) = match bits.code(&self.length)? >> 16 {
                16 => (before?, bits.take(2)? + 3),
                17 => (0, bits.take(3)? + 3),
                18 => (0, bits.take(7)? + 11),
                len => (len as u8, 1),
            };
            before = Some(len);
            let end = at + times as usize;
            if len > 0 {
                for symbol in at..end.min(literals) {
                    self.literal_codes.push(symbol as u16, len);
                }
                for symbol in at.max(literals)..end {
                    self.distance_codes.push((symbol - literals) as u16, len);
                }
            }
            at = end;
        }
        if at > literals + distances {
            return None;
        }
        self.fill()
    }

    fn fill(&mut self) -> Option<()> {
        self.literal.fill(&self.literal_codes, |symbol| LITERAL_ENTRY[usize::from(symbol)])?;
        self.distance.fill(&self.distance_codes, |symbol| DISTANCE_ENTRY[usize::from(symbol)])
    }

    /// Reads symbols to the end of the block; gives the stream after it and the length of the
    /// content so far.
    #[inline(never)]
    fn block<'s>(
        &self,
        mut bits: Bits<'s>,
        out: &mut [u8],
        mut len: usize,
    ) -> Option<(Bits<'s>, usize)> {
        loop {
            bits.refill();
            // Four codes are at most 48 of the 56 bits.
            for _ in 0..4 {
                let entry = bits.code(&self.literal)?;
                if entry & LITERAL != 0 {
                    *out.get_mut(len)? = (entry >> 16) as u8;
                    len += 1;
                    continue;
                }
                if entry & END != 0 {
                    return Some((bits, len));
                }
                // What remains of a match is at most 5 + 12 + 13 bits.
                bits.refill();
                let run = bits.number(entry)?;
                let entry = bits.code(&self.distance)?;
                let back = bits.number(entry)?;
                copy(out, len.checked_sub(back)?, len, run)?;
                len += run;
                break;
            }
        }
    }
}

/// Repeats `run` bytes from `from` at `to`, which may overlap; `None` where `out` ends first.
#[inline]
fn copy(out: &mut [u8], from: usize, to: usize, run: usize) -> Option<()> {
    if to - from >= STRIDE && to + run + STRIDE <= out.len() {
        // What is written beyond the run is overwritten or cut off.
        for step in (0..run).step_by(STRIDE) {
            out.copy_within(from + step..from + step + STRIDE, to + step);
        }
        return Some(());
    }
    if to + run > out.len() {
        return None;
    }
    for step in 0..run {
        out[to + step] = out[from + step];
    }
    Some(())
}

/// The symbols that are in use, with the lengths of their codes, in ascending order of symbols.
struct Codes {
    used: [(u16, u8); LITERALS],
    len: usize,
    /// How many codes have each length.
    count: [u16; 16],
}

impl Codes {
    fn new() -> Codes {
        Codes { used: [(0, 0); LITERALS], len: 0, count: [0; 16] }
    }

    fn clear(&mut self) {
        self.len = 0;
        self.count = [0; 16];
    }

    /// `bits` is at most 15; 0 means that the symbol has no code.
    #[inline]
    fn push(&mut self, symbol: u16, bits: u8) {
        if bits > 0 {
            self.used[self.len] = (symbol, bits);
            self.len += 1;
            self.count[usize::from(bits)] += 1;
        }
    }
}

/// Symbols by the next bits of the stream.
struct Table<const SIZE: usize> {
    entries: [Entry; SIZE],
    /// The length of the longest code; the entries from `1 << bits` on are not in use.
    bits: u32,
}

impl<const SIZE: usize> Table<SIZE> {
    fn new() -> Table<SIZE> {
        Table { entries: [0; SIZE], bits: 1 }
    }

    /// Gives each symbol its canonical code (RFC 1951, 3.2.2). `None` where the codes are no
    /// complete set, or too long.
    fn fill(&mut self, codes: &Codes, entry: impl Fn(u16) -> Entry) -> Option<()> {
        let used = &codes.used[..codes.len];
        if let [] | [(_, 1)] = used {
            // Distances alone may be so; a set of one literal cannot even end its block.
            let only = used.first().map_or(0, |(symbol, _)| entry(*symbol) | 1);
            self.entries[..2].copy_from_slice(&[only, 0]);
            self.bits = 1;
            return Some(());
        }
        let (mut next, mut sum, mut space, mut longest) = ([0; 16], 0, 0u32, 0);
        for (bits, count) in codes.count.iter().enumerate() {
            next[bits] = sum;
            sum += usize::from(*count);
            space += u32::from(*count) << (15 - bits);
            if *count > 0 {
                longest = bits;
            }
        }
        if space != 1 << 15 || 1 << longest > SIZE {
            return None;
        }
        let mut sorted = [0; LITERALS];
        for (symbol, bits) in used {
            let place = &mut next[usize::from(*bits)];
            sorted[*place] = *symbol;
            *place += 1;
        }
        self.place(&sorted[..used.len()], &codes.count[..=longest], entry);
        self.bits = longest as u32;
        Some(())
    }

    /// Writes the entries of a complete set: those of each length into a table of that many bits,
    /// which is then doubled for the next length.
    fn place(&mut self, sorted: &[u16], count: &[u16], entry: impl Fn(u16) -> Entry) {
        let mut symbols = sorted.iter();
        // The code with its first bit lowest, as the stream has it.
        let mut code = 0;
        for (bits, count) in count.iter().enumerate().skip(1) {
            let half = 1 << (bits - 1);
            self.entries.copy_within(..half, half);
            let ones = (1 << bits) - 1;
            for symbol in symbols.by_ref().take(usize::from(*count)) {
                self.entries[code] = entry(*symbol) | bits as Entry;
                // One more, with the carry running towards the lower bits.
                let Some(top) = (code ^ ones).checked_ilog2() else { return };
                code = (code & ((1 << top) - 1)) | (1 << top);
            }
        }
    }
}

/// The stream as bits, lowest first.
struct Bits<'s> {
    bytes: &'s [u8],
    at: usize,
    /// The next `count` bits; what stands above them is nothing, or the bits that follow.
    held: u64,
    count: u32,
}

impl<'s> Bits<'s> {
    /// Holds at least 56 bits, or all that are left.
    #[inline]
    fn refill(&mut self) {
        if let Some(word) = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<8>()) {
            self.held |= u64::from_le_bytes(*word) << self.count;
            self.at += (63 - self.count as usize) / 8;
            self.count |= 56;
            return;
        }
        while self.count < 56 {
            let Some(byte) = self.bytes.get(self.at) else { return };
            self.held |= u64::from(*byte) << self.count;
            self.at += 1;
            self.count += 8;
        }
    }

    /// The next `bits`, at most 13; `None` at the end of the stream.
    #[inline]
    fn take(&mut self, bits: u32) -> Option<u32> {
        let value = self.held as u32 & ((1 << bits) - 1);
        self.skip(bits)?;
        Some(value)
    }

    /// The entry of the next code.
    #[inline]
    fn code<const SIZE: usize>(&mut self, table: &Table<SIZE>) -> Option<Entry> {
        let index = self.held as usize & ((1 << table.bits) - 1);
        // The mask says what `bits` implies.
        let entry = table.entries[index & (SIZE - 1)];
        if entry == 0 {
            return None;
        }
        self.skip(entry & 15)?;
        Some(entry)
    }

    /// The length or distance of an entry, with its extra bits.
    #[inline]
    fn number(&mut self, entry: Entry) -> Option<usize> {
        // A symbol that has no meaning (RFC 1951, 3.2.6) has no base either.
        let base = (entry >> 16) as usize;
        let extra = self.take((entry >> 8) & 15)? as usize;
        (base > 0).then_some(base + extra)
    }

    #[inline]
    fn skip(&mut self, bits: u32) -> Option<()> {
        self.count = self.count.checked_sub(bits)?;
        self.held >>= bits;
        Some(())
    }

    /// The whole bytes that follow.
    fn rest(&self) -> Option<&'s [u8]> {
        self.bytes.get(self.at - self.count as usize / 8..)
    }
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
