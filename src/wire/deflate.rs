//! A small zlib writer for datagrams (RFC 1950, RFC 1951): one block with the fixed codes, matches
//! found through a hash of four bytes.
//!
//! Allocates nothing but its output. A general compressor brings a quarter of a megabyte of tables
//! that a router has to map, clear and give back for each datagram: that costs more than the work.

/// Slots of the hash table: the newest place of each hash. On the stack, 8 KiB.
const SLOTS_LOG2: u32 = 11;
const MATCH_MIN: usize = 4;
const MATCH_MAX: usize = 258;
const DISTANCE_MAX: usize = 32_768;
const END_OF_BLOCK: u32 = 256;

/// Appends `input`, compressed, to `out`. Gives up where that would take more than `len_max` bytes;
/// what was appended until then is of no use.
pub fn deflate(input: &[u8], len_max: usize, out: &mut Vec<u8>) -> bool {
    // Deflate with a 32 KiB window; the check bits of level 0.
    out.extend_from_slice(&[0x78, 0x01]);
    let mut bits = BitWriter { out, held: 0, count: 0 };
    // The last block, fixed codes.
    bits.put(0b011, 3);
    let mut newest = [0u32; 1 << SLOTS_LOG2];
    let mut at = 0;
    while at < input.len() {
        if bits.out.len() > len_max {
            return false;
        }
        let place = find(input, at, &mut newest);
        let length = place.map_or(0, |place| common(input, place, at));
        match place {
            Some(place) if length >= MATCH_MIN => {
                bits.put_length(length);
                bits.put_distance(at - place);
                for inside in at + 1..at + length {
                    find(input, inside, &mut newest);
                }
                at += length;
            }
            _ => {
                bits.put_symbol(u32::from(input[at]));
                at += 1;
            }
        }
    }
    bits.put_symbol(END_OF_BLOCK);
    bits.flush();
    out.extend_from_slice(&adler32(input).to_be_bytes());
    out.len() <= len_max
}

/// The newest earlier place whose four bytes have the hash of those at `at`; `at` takes its slot.
fn find(input: &[u8], at: usize, newest: &mut [u32; 1 << SLOTS_LOG2]) -> Option<usize> {
    let bytes: [u8; 4] = input.get(at..at + MATCH_MIN)?.try_into().ok()?;
    let hash = u32::from_le_bytes(bytes).wrapping_mul(0x9e37_79b1) >> (32 - SLOTS_LOG2);
    // Stored one higher: 0 is an empty slot.
    let before = std::mem::replace(&mut newest[hash as usize], at as u32 + 1) as usize;
    before.checked_sub(1).filter(|place| *place < at && at - place <= DISTANCE_MAX)
}

/// How many bytes are the same at both places.
fn common(input: &[u8], earlier: usize, later: usize) -> usize {
    let pairs = input[earlier..].iter().zip(&input[later..]).take(MATCH_MAX);
    pairs.take_while(|(a, b)| a == b).count()
}

struct BitWriter<'o> {
    out: &'o mut Vec<u8>,
    held: u32,
    /// Bits in `held`, below 8 between calls.
    count: u32,
}

impl BitWriter<'_> {
    /// Adds the low `count` (at most 16) bits of `value`, the lowest first.
    fn put(&mut self, value: u32, count: u32) {
        self.held |= value << self.count;
        self.count += count;
        while self.count >= 8 {
            self.out.push(self.held as u8);
            self.held >>= 8;
            self.count -= 8;
        }
    }

    /// A Huffman code: its highest bit first.
    fn put_code(&mut self, code: u32, count: u32) {
        self.put(code.reverse_bits() >> (32 - count), count);
    }

    /// A symbol of the fixed literal and length code (RFC 1951, 3.2.6).
    fn put_symbol(&mut self, symbol: u32) {
        match symbol {
            0..=143 => self.put_code(0x30 + symbol, 8),
            144..=255 => self.put_code(0x190 + symbol - 144, 9),
            256..=279 => self.put_code(symbol - 256, 7),
            _ => self.put_code(0xc0 + symbol - 280, 8),
        }
    }

    /// 3 to 258: eight symbols for one length each, then four for each number of extra bits.
    fn put_length(&mut self, length: usize) {
        let rest = length as u32 - 3;
        match rest {
            255 => self.put_symbol(285),
            0..8 => self.put_symbol(257 + rest),
            _ => {
                let extra = rest.ilog2() - 2;
                self.put_symbol(261 + 4 * extra + ((rest >> extra) & 3));
                self.put(rest & ((1 << extra) - 1), extra);
            }
        }
    }

    /// 1 to 32,768: four symbols for one distance each, then two for each number of extra bits.
    fn put_distance(&mut self, distance: usize) {
        let rest = distance as u32 - 1;
        if rest < 4 {
            return self.put_code(rest, 5);
        }
        let extra = rest.ilog2() - 1;
        self.put_code(2 * extra + 2 + ((rest >> extra) & 1), 5);
        self.put(rest & ((1 << extra) - 1), extra);
    }

    fn flush(&mut self) {
        if self.count > 0 {
            self.out.push(self.held as u8);
        }
    }
}

/// The checksum of RFC 1950.
///
/// The bytes are summed by columns of a block, which a compiler turns into vectors, and weighed once a run.
pub(super) fn adler32(input: &[u8]) -> u32 {
    const MODULUS: u32 = 65_521;
    /// As many blocks as a column can take before it overflows; the sums could take 5552 bytes.
    const RUN: usize = BLOCK * 256;
    let (mut a, mut b) = (1, 0);
    for run in input.chunks(RUN) {
        let (blocks, rest) = run.as_chunks::<BLOCK>();
        let mut columns = [0u16; BLOCK];
        // What stood in each column before each of the blocks.
        let mut before = [0u32; BLOCK];
        for block in blocks {
            for ((column, before), byte) in columns.iter_mut().zip(&mut before).zip(block) {
                *before = before.wrapping_add(u32::from(*column));
                *column = column.wrapping_add(u16::from(*byte));
            }
        }
        b += a * (BLOCK * blocks.len()) as u32;
        for ((column, before), weight) in columns.iter().zip(before).zip((1..=BLOCK as u32).rev()) {
            let weighted = u32::from(*column).wrapping_mul(weight);
            b = b.wrapping_add(before.wrapping_mul(BLOCK as u32)).wrapping_add(weighted);
            a = a.wrapping_add(u32::from(*column));
        }
        for byte in rest {
            a += u32::from(*byte);
            b += a;
        }
        a %= MODULUS;
        b %= MODULUS;
    }
    b << 16 | a
}

/// Bytes that are summed at a time.
const BLOCK: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use miniz_oxide::inflate::decompress_to_vec_zlib;
    use proptest::prelude::*;

    fn packed(input: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        assert!(deflate(input, usize::MAX, &mut out));
        out
    }

    #[test]
    fn checksum_is_the_librarys_at_every_length() {
        let input: Vec<u8> =
            (0..20_000u32).map(|i| if i % 7 == 0 { 255 } else { (i * 31) as u8 }).collect();
        for len in (0..200).chain([4095, 4096, 4097, 5553, 8192, 20_000]) {
            assert_eq!(
                adler32(&input[..len]),
                miniz_oxide::mz_adler32_oxide(1, &input[..len]),
                "{len}"
            );
            assert_eq!(
                adler32(&vec![255; len]),
                miniz_oxide::mz_adler32_oxide(1, &vec![255; len]),
                "{len}"
            );
        }
    }

    #[test]
    fn every_length_and_distance_comes_back() {
        for length in 0..=600 {
            let input: Vec<u8> = b"abcdefgh".iter().cycle().take(length).copied().collect();
            assert_eq!(decompress_to_vec_zlib(&packed(&input)).unwrap(), input, "{length}");
        }
        for distance in [5, 24, 25, 1024, 1025, 16_385, 32_767, 32_768, 32_769, 70_000] {
            let mut input = b"needle in a stack".to_vec();
            input.resize(distance, b'.');
            input.extend_from_slice(b"needle in a stack");
            assert_eq!(decompress_to_vec_zlib(&packed(&input)).unwrap(), input, "{distance}");
        }
    }

    #[test]
    fn sample_shrinks_to_less_than_half() {
        let mut data = String::from("{\"partitions\":{");
        for n in 0..12 {
            let gb = 37 * n + 5;
            data.push_str(&format!(
                "\"/srv/{n}\":{{\"percent\":{}.{n},\"total_gb\":{gb}.125,\"used_gb\":{n}.75,\
                 \"fstype\":\"ext4\",\"device\":\"/dev/sd{n}\"}},",
                n * 7
            ));
        }
        let len = packed(data.as_bytes()).len();
        assert!(len * 2 < data.len(), "{len} of {}", data.len());
    }

    #[test]
    fn more_than_the_limit_is_given_up() {
        let input = b"no two of these are alike".repeat(9);
        let exact = packed(&input).len();
        assert!(deflate(&input, exact, &mut Vec::new()));
        assert!(!deflate(&input, exact - 1, &mut Vec::new()));
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(
            words in proptest::collection::vec("[a-c]{1,9}|\\PC{0,4}", 0..60),
            tail in any::<Vec<u8>>(),
        ) {
            let input = [words.concat().into_bytes(), tail].concat();
            prop_assert_eq!(decompress_to_vec_zlib(&packed(&input)).unwrap(), input);
        }
    }
}
