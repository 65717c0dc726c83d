//! The queue on disk: segment files of blocks, the oldest first, bounded in bytes.
//!
//! Owns the directory. A block counts as sent when `advance` says so; how far that is stands in a small file, so that
//! a restart sends at most one block twice. Blocks are not forced to the disk one by one: what survives a kill of
//! the process is everything, of a power cut everything but the last seconds.

use heartbeat::remote::{Block, BlockError, FRAME, Head, Position};
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};

/// A segment that has become this long is closed.
const SEGMENT_MAX: u64 = 4 << 20;
/// There is room before the first segment for blocks that must go before all others.
const FIRST_SEGMENT: u64 = 1 << 32;
const POSITION: &str = "position";

struct Segment {
    number: u64,
    bytes: u64,
    /// Not sent yet.
    samples: u64,
}

/// The open queue.
pub struct Disk {
    dir: PathBuf,
    segments: VecDeque<Segment>,
    /// Where the next block to send is, in the first segment.
    offset: u64,
    bytes: u64,
    bytes_max: u64,
    writer: Option<File>,
    position: Option<File>,
    /// Samples given up for want of room, or damaged.
    lost: u64,
}

impl Disk {
    /// Opens or makes the directory, and reads which blocks wait in it.
    pub fn open(dir: &Path, bytes_max: u64) -> io::Result<Disk> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let position = heartbeat::os::file::read_bounded(&dir.join(POSITION), 256);
        let position =
            position.ok().and_then(|bytes| Position::parse(&String::from_utf8_lossy(&bytes)));
        let position = position.unwrap_or_default();
        let mut numbers: Vec<u64> = std::fs::read_dir(dir)?
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".seg")?.parse().ok())
            .collect();
        numbers.sort_unstable();
        let mut disk = Disk {
            dir: dir.to_owned(),
            segments: VecDeque::new(),
            offset: 0,
            bytes: 0,
            bytes_max,
            writer: None,
            position: None,
            lost: 0,
        };
        for number in numbers {
            if number < position.segment {
                let _ = std::fs::remove_file(disk.path(number));
                continue;
            }
            let from = if number == position.segment { position.offset } else { 0 };
            let segment = disk.scan(number, from)?;
            if segment.bytes <= from {
                let _ = std::fs::remove_file(disk.path(number));
                continue;
            }
            if disk.segments.is_empty() {
                disk.offset = from;
            }
            disk.bytes += segment.bytes;
            disk.segments.push_back(segment);
        }
        // Numbers begin anew in an empty directory: an old position must not stand over them.
        disk.save_position();
        Ok(disk)
    }

    fn path(&self, number: u64) -> PathBuf {
        self.dir.join(format!("{number:020}.seg"))
    }

    /// Counts what waits in a segment; what follows the last whole block is cut off.
    fn scan(&self, number: u64, from: u64) -> io::Result<Segment> {
        let file = OpenOptions::new().read(true).write(true).open(self.path(number))?;
        let length = file.metadata()?.len();
        let (mut at, mut samples) = (0, 0);
        let mut head = [0; FRAME];
        while at + FRAME as u64 <= length {
            file.read_exact_at(&mut head, at)?;
            let Ok(head) = Head::decode(&head) else { break };
            let end = at + FRAME as u64 + u64::from(head.len);
            if end > length {
                break;
            }
            if at >= from {
                samples += u64::from(head.samples);
            }
            at = end;
        }
        if at < length {
            file.set_len(at)?;
        }
        Ok(Segment { number, bytes: at, samples })
    }

    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    pub fn bytes(&self) -> u64 {
        self.bytes.saturating_sub(self.offset)
    }

    pub fn samples(&self) -> u64 {
        self.segments.iter().map(|segment| segment.samples).sum()
    }

    pub fn set_bytes_max(&mut self, bytes_max: u64) {
        self.bytes_max = bytes_max;
    }

    /// Samples that were lost since this was asked last.
    pub fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }

    /// Adds a block behind all others. Where there is no room the oldest segment goes.
    pub fn append(&mut self, block: &Block) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(FRAME + block.body.len());
        block.encode(&mut bytes);
        let full = self.segments.back().is_none_or(|last| last.bytes >= SEGMENT_MAX);
        if full || self.writer.is_none() {
            let number = self.segments.back().map_or(FIRST_SEGMENT, |last| last.number + 1);
            self.writer = Some(self.create(number)?);
            self.segments.push_back(Segment { number, bytes: 0, samples: 0 });
        }
        let Some(writer) = &mut self.writer else { return Ok(()) };
        let Some(last) = self.segments.back_mut() else { return Ok(()) };
        // A write that was cut short leaves nothing behind that could be taken for a block.
        if let Err(error) = writer.write_all(&bytes) {
            writer.set_len(last.bytes)?;
            writer.seek(SeekFrom::Start(last.bytes))?;
            return Err(error);
        }
        last.bytes += bytes.len() as u64;
        last.samples += u64::from(block.samples);
        self.bytes += bytes.len() as u64;
        while self.bytes > self.bytes_max && self.segments.len() > 1 {
            self.drop_first();
        }
        Ok(())
    }

    /// Adds a block before all others: it was taken out for sending and could not be sent.
    pub fn prepend(&mut self, block: &Block) -> io::Result<()> {
        if self.segments.is_empty() {
            return self.append(block);
        }
        self.trim_first()?;
        let mut bytes = Vec::with_capacity(FRAME + block.body.len());
        block.encode(&mut bytes);
        let number = self.segments.front().map_or(FIRST_SEGMENT, |first| first.number - 1);
        // The position first: a file before it would be taken for one that was sent.
        self.offset = 0;
        self.save_position_at(number);
        self.create(number)?.write_all(&bytes)?;
        self.segments.push_front(Segment {
            number,
            bytes: bytes.len() as u64,
            samples: u64::from(block.samples),
        });
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Takes out of the first file what was sent already: a position tells of one file alone.
    fn trim_first(&mut self) -> io::Result<()> {
        let offset = self.offset;
        let Some(number) = self.segments.front().map(|f| f.number).filter(|_| offset > 0) else {
            return Ok(());
        };
        self.close_if_written(number);
        let path = self.path(number);
        let trimmed = path.with_extension("trimmed");
        let mut left = File::open(&path)?;
        left.seek(SeekFrom::Start(offset))?;
        io::copy(&mut left, &mut File::create(&trimmed)?)?;
        // The position first: between the two a restart sends some blocks again, no more.
        self.offset = 0;
        self.save_position_at(number);
        std::fs::rename(&trimmed, &path)?;
        if let Some(first) = self.segments.front_mut() {
            first.bytes -= offset;
            self.bytes -= offset;
        }
        Ok(())
    }

    fn create(&self, number: u64) -> io::Result<File> {
        OpenOptions::new().create(true).write(true).truncate(true).open(self.path(number))
    }

    fn drop_first(&mut self) {
        let Some(first) = self.segments.pop_front() else { return };
        self.bytes -= first.bytes;
        self.lost += first.samples;
        self.offset = 0;
        let _ = std::fs::remove_file(self.path(first.number));
        self.save_position();
    }

    /// The block that is to be sent next, and where it is. What is damaged is given up with the rest of its segment.
    pub fn front(&mut self) -> Option<(Position, Block)> {
        while let Some(first) = self.segments.front() {
            let position = Position { segment: first.number, offset: self.offset };
            match self.read(position) {
                Ok(block) => return Some((position, block)),
                Err(error) => {
                    log::error!("remote_write: a damaged segment is given up error={error:?}");
                    self.close_if_written(position.segment);
                    self.drop_first();
                }
            }
        }
        None
    }

    /// The writer must not go on in a file that is gone.
    fn close_if_written(&mut self, number: u64) {
        if self.segments.back().is_some_and(|last| last.number == number) {
            self.writer = None;
        }
    }

    fn read(&self, at: Position) -> Result<Block, BlockError> {
        let read = || -> io::Result<(Vec<u8>, Vec<u8>)> {
            let mut file = File::open(self.path(at.segment))?;
            file.seek(SeekFrom::Start(at.offset))?;
            let mut head = vec![0; FRAME];
            file.read_exact(&mut head)?;
            let len = Head::decode(&head).map_or(0, |head| head.len);
            let mut body = Vec::with_capacity(len as usize);
            file.take(u64::from(len)).read_to_end(&mut body)?;
            Ok((head, body))
        };
        let (head, body) = read().map_err(|_| BlockError::Torn)?;
        Head::decode(&head)?.with(body)
    }

    /// The block at `position` was sent, where it is still there.
    pub fn advance(&mut self, position: Position, block: &Block) {
        let here = |first: &Segment| first.number == position.segment;
        if self.offset != position.offset || !self.segments.front().is_some_and(here) {
            return;
        }
        self.offset += FRAME as u64 + block.body.len() as u64;
        let Some(first) = self.segments.front_mut() else { return };
        first.samples = first.samples.saturating_sub(u64::from(block.samples));
        if self.offset >= first.bytes {
            first.samples = 0;
            self.close_if_written(position.segment);
            self.drop_first();
        } else {
            self.save_position();
        }
    }

    /// Where it cannot be written a restart sends some blocks again, no more.
    fn save_position(&mut self) {
        self.save_position_at(self.segments.front().map_or(0, |first| first.number));
    }

    fn save_position_at(&mut self, segment: u64) {
        let text = Position { segment, offset: self.offset }.render();
        if self.position.is_none() {
            let path = self.dir.join(POSITION);
            self.position =
                OpenOptions::new().create(true).write(true).truncate(false).open(path).ok();
        }
        if let Some(file) = &self.position
            && file.write_all_at(text.as_bytes(), 0).is_err()
        {
            self.position = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heartbeat::time::Wall;

    fn block(n: u32, len: usize) -> Block {
        Block { body: vec![n as u8; len], samples: n, oldest: Wall::from_secs(i64::from(n)) }
    }

    fn drain(disk: &mut Disk) -> Vec<u32> {
        let mut sent = Vec::new();
        while let Some((position, block)) = disk.front() {
            sent.push(block.samples);
            disk.advance(position, &block);
        }
        sent
    }

    #[test]
    fn blocks_come_in_order_over_restarts_and_none_twice() {
        let dir = tempfile::tempdir().unwrap();
        let mut disk = Disk::open(dir.path(), 1 << 30).unwrap();
        (1..=5).for_each(|n| disk.append(&block(n, 100)).unwrap());
        let (position, first) = disk.front().unwrap();
        disk.advance(position, &first);
        disk.advance(position, &first);
        drop(disk);
        let mut disk = Disk::open(dir.path(), 1 << 30).unwrap();
        assert_eq!(disk.samples(), 2 + 3 + 4 + 5);
        disk.append(&block(6, 100)).unwrap();
        disk.prepend(&block(9, 10)).unwrap();
        drop(disk);
        let mut disk = Disk::open(dir.path(), 1 << 30).unwrap();
        assert_eq!(drain(&mut disk), [9, 2, 3, 4, 5, 6]);
        assert!(disk.is_empty() && disk.bytes() == 0 && disk.take_lost() == 0);
        disk.append(&block(7, 100)).unwrap();
        drop(disk);
        assert_eq!(drain(&mut Disk::open(dir.path(), 1 << 30).unwrap()), [7]);
        let left = std::fs::read_dir(dir.path()).unwrap().flatten();
        assert!(left.map(|e| e.file_name()).all(|name| name == POSITION));
    }

    #[test]
    fn full_queue_loses_its_oldest_and_counts_them() {
        let dir = tempfile::tempdir().unwrap();
        let mut disk = Disk::open(dir.path(), 10 << 20).unwrap();
        (1..=20).for_each(|n| disk.append(&block(n, 1 << 20)).unwrap());
        assert!(disk.bytes() <= 10 << 20);
        let lost = disk.take_lost();
        let sent = drain(&mut disk);
        assert_eq!(lost + sent.iter().map(|n| u64::from(*n)).sum::<u64>(), 210);
        assert_eq!(sent.last(), Some(&20));
        assert!(sent.is_sorted() && sent.len() >= 5);
    }

    #[test]
    fn torn_end_is_cut_off_and_a_damaged_segment_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let mut disk = Disk::open(dir.path(), 1 << 30).unwrap();
        (1..=3).for_each(|n| disk.append(&block(n, 100)).unwrap());
        let path = disk.path(FIRST_SEGMENT);
        drop(disk);
        let whole = OpenOptions::new().write(true).open(&path).unwrap();
        whole.set_len(3 * (FRAME as u64 + 100) - 1).unwrap();
        let mut disk = Disk::open(dir.path(), 1 << 30).unwrap();
        assert_eq!(disk.samples(), 3);
        disk.append(&block(4, 100)).unwrap();
        whole.write_all_at(b"x", FRAME as u64 + 50).unwrap();
        assert_eq!(drain(&mut disk), [4]);
        assert_eq!(disk.take_lost(), 3);
    }
}
