//! Bits into bytes and back, first bit highest; and numbers of varying length in whole bytes.
//!
//! Owns the cursor. A reader never reads past its end: it says `None`.

#[derive(Default)]
pub struct BitWriter {
    bytes: Vec<u8>,
    /// Bits that do not fill a byte yet, right-aligned.
    open: u64,
    open_len: u32,
}

impl BitWriter {
    /// The lowest `len` bits of `value`, at most 64.
    pub fn push(&mut self, value: u64, len: u32) {
        if len > 32 {
            self.push_short(value >> 32, len - 32);
            self.push_short(value & 0xffff_ffff, 32);
        } else {
            self.push_short(value, len);
        }
    }

    fn push_short(&mut self, value: u64, len: u32) {
        let value = value & ((1 << len) - 1);
        self.open = self.open << len | value;
        self.open_len += len;
        while self.open_len >= 8 {
            self.open_len -= 8;
            self.bytes.push((self.open >> self.open_len) as u8);
        }
        self.open &= (1 << self.open_len) - 1;
    }

    /// What was written, filled up with zeros to a whole byte.
    pub fn finish(mut self) -> Vec<u8> {
        if self.open_len > 0 {
            self.bytes.push((self.open << (8 - self.open_len)) as u8);
        }
        self.bytes
    }
}

pub struct BitReader<'a> {
    bytes: &'a [u8],
    /// In bits.
    at: usize,
}

impl<'a> BitReader<'a> {
    pub fn new(bytes: &'a [u8]) -> BitReader<'a> {
        BitReader { bytes, at: 0 }
    }

    pub fn bit(&mut self) -> Option<bool> {
        let byte = *self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1 == 1;
        self.at += 1;
        Some(bit)
    }

    /// The next `len` bits, at most 64.
    pub fn take(&mut self, len: u32) -> Option<u64> {
        let mut value = 0;
        let mut left = len as usize;
        while left > 0 {
            let byte = *self.bytes.get(self.at / 8)?;
            let here = (8 - self.at % 8).min(left);
            let bits = byte >> (8 - self.at % 8 - here) & (0xffu16 >> (8 - here)) as u8;
            value = value << here | u64::from(bits);
            self.at += here;
            left -= here;
        }
        Some(value)
    }

    /// The bytes after the current one; `None` where what is left of that is not zero.
    pub fn rest(self) -> Option<&'a [u8]> {
        if !self.at.is_multiple_of(8) && self.bytes[self.at / 8] << (self.at % 8) != 0 {
            return None;
        }
        self.bytes.get(self.at.div_ceil(8)..)
    }
}

/// Seven bits a byte, lowest first; the highest bit says that more follow.
pub fn push_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// Takes a number off the front. One form for each number: a longer one is refused.
pub fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let part = u64::from(byte & 0x7f);
        if part << shift >> shift != part || (byte == 0 && shift > 0) {
            return None;
        }
        value |= part << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// Small numbers of either sign as small numbers.
pub const fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

pub const fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bits_come_back(parts in prop::collection::vec((any::<u64>(), 0u32..=64), 0..50)) {
            let mut writer = BitWriter::default();
            parts.iter().for_each(|(value, len)| writer.push(*value, *len));
            let mut bytes = writer.finish();
            bytes.push(7);
            let mut reader = BitReader::new(&bytes);
            for (value, len) in parts {
                let mask = if len == 64 { u64::MAX } else { (1 << len) - 1 };
                prop_assert_eq!(reader.take(len), Some(value & mask));
            }
            prop_assert_eq!(reader.rest(), Some(&[7][..]));
        }

        #[test]
        fn varints_and_zigzags_come_back(value in any::<u64>()) {
            let mut bytes = Vec::new();
            push_varint(&mut bytes, value);
            prop_assert_eq!(take_varint(&mut &bytes[..]), Some(value));
            prop_assert_eq!(zigzag(unzigzag(value)), value);
        }
    }

    #[test]
    fn no_second_form_of_a_number_is_taken() {
        for bytes in [&[0x80, 0][..], &[0xff; 10], &[0x80], &[]] {
            assert_eq!(take_varint(&mut &*bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn a_reader_stops_at_its_end() {
        let mut reader = BitReader::new(&[0xff]);
        assert_eq!(reader.take(9), None);
        assert_eq!(BitReader::new(&[]).bit(), None);
        let mut reader = BitReader::new(&[0x81]);
        assert_eq!(reader.bit(), Some(true));
        assert_eq!(reader.rest(), None, "bits that nobody wrote");
    }
}
