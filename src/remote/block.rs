//! The queue's form on disk: blocks one after another in segment files, and which of them are done.
//!
//! A block is a request as it is sent (snappy), behind a head with its length, checksum and count. A file that ends
//! in the middle of a block was being written when the machine died; what is before it counts.

use crate::time::Wall;

/// Bytes of a head.
pub const FRAME: usize = 32;
const MAGIC: u32 = 0x4842_5251;
/// Longer than any request that is ever made, compressed or not.
const BODY_MAX: u32 = 8 << 20;

/// A request that waits.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    pub body: Vec<u8>,
    pub samples: u32,
    /// Time of its oldest sample.
    pub oldest: Wall,
}

/// What stands before the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub len: u32,
    pub samples: u32,
    pub oldest: Wall,
    checksum: u64,
}

/// Why bytes are no block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockError {
    /// They end too early: the rest was never written.
    Torn,
    Damaged,
}

impl Block {
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&MAGIC.to_le_bytes());
        out.extend_from_slice(&(self.body.len() as u32).to_le_bytes());
        out.extend_from_slice(&self.samples.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.oldest.as_micros().to_le_bytes());
        let checksum = checksum(self.samples, self.oldest, &self.body);
        out.extend_from_slice(&checksum.to_le_bytes());
        out.extend_from_slice(&self.body);
    }
}

impl Head {
    /// # Errors
    /// The bytes are too few, or no head.
    pub fn decode(bytes: &[u8]) -> Result<Head, BlockError> {
        let head = bytes.get(..FRAME).ok_or(BlockError::Torn)?;
        let word =
            |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
        let len = word(4);
        if word(0) != MAGIC || len > BODY_MAX {
            return Err(BlockError::Damaged);
        }
        let oldest = Wall::from_micros(long(16) as i64);
        Ok(Head { len, samples: word(8), oldest, checksum: long(24) })
    }

    /// # Errors
    /// The body is not the one that was written.
    pub fn with(self, body: Vec<u8>) -> Result<Block, BlockError> {
        if body.len() < self.len as usize {
            return Err(BlockError::Torn);
        }
        if checksum(self.samples, self.oldest, &body) != self.checksum {
            return Err(BlockError::Damaged);
        }
        Ok(Block { body, samples: self.samples, oldest: self.oldest })
    }
}

/// FNV-1a, a word at a time: enough to tell what a disk made of it.
fn checksum(samples: u32, oldest: Wall, body: &[u8]) -> u64 {
    const PRIME: u64 = 0x0100_0000_01b3;
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let mut mix = |word: u64| hash = (hash ^ word).wrapping_mul(PRIME).rotate_left(23);
    mix(u64::from(samples));
    mix(oldest.as_micros() as u64);
    mix(body.len() as u64);
    let mut words = body.chunks_exact(8);
    for word in &mut words {
        mix(word.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)));
    }
    words.remainder().iter().for_each(|byte| mix(u64::from(*byte)));
    hash
}

/// How far the queue is sent: the segment that is read, and where in it. One small file holds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    pub segment: u64,
    pub offset: u64,
}

impl Position {
    pub fn render(self) -> String {
        format!("{:020} {:020}\n", self.segment, self.offset)
    }

    pub fn parse(text: &str) -> Option<Position> {
        let (segment, offset) = text.trim_end().split_once(' ')?;
        Some(Position { segment: segment.parse().ok()?, offset: offset.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block() -> Block {
        let body = (0..100u8).collect();
        Block { body, samples: 7, oldest: Wall::from_micros(-5) }
    }

    fn decode(bytes: &[u8]) -> Result<Block, BlockError> {
        let head = Head::decode(bytes)?;
        let end = bytes.len().min(FRAME + head.len as usize);
        head.with(bytes[FRAME..end].to_vec())
    }

    #[test]
    fn block_is_read_as_it_was_written_and_no_damage_passes() {
        let mut bytes = Vec::new();
        block().encode(&mut bytes);
        assert_eq!(decode(&bytes), Ok(block()));
        for end in 0..bytes.len() {
            assert_eq!(decode(&bytes[..end]), Err(BlockError::Torn), "{end}");
        }
        for at in (0..bytes.len()).filter(|at| !(12..16).contains(at)) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert!(decode(&damaged).is_err(), "{at}");
        }
    }

    #[test]
    fn position_is_read_as_it_was_written() {
        let position = Position { segment: 12, offset: u64::MAX };
        assert_eq!(Position::parse(&position.render()), Some(position));
        for text in ["", "1", "1 x", "1 2 3", "-1 2"] {
            assert_eq!(Position::parse(text), None, "{text}");
        }
    }
}
