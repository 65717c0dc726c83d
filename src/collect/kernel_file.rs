//! Files of `/proc` and `/sys`, kept open and read anew from offset 0 each time.
//!
//! Opening such a file costs more than reading it (0.75 ms against 0.3 ms for an agent's cycle).
//! Never reads more than the stated bound; never follows up on a cut.

use super::CollectError;
use crate::os::system;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// Enough for every file that does not grow with the number of CPUs.
pub const BYTES_MAX: usize = 64 << 10;
/// For files with a line per CPU or interrupt (`/proc/stat` of 1024 cores), mount or interface.
pub const LONG_MAX: usize = 1 << 20;

/// One file of the kernel, opened on the first read.
pub struct KernelFile {
    path: PathBuf,
    file: Option<File>,
    bytes_max: usize,
    /// No line is as long as `SPARE`, so that a read which leaves so much room has come to the end.
    short_lines: bool,
}

/// Room that a read asks for at least.
const SPARE: usize = 2048;

impl KernelFile {
    /// A file of which at most `bytes_max` bytes are read; what is beyond is not seen.
    pub fn new(path: PathBuf, bytes_max: usize) -> KernelFile {
        KernelFile { path, file: None, bytes_max, short_lines: true }
    }

    /// The same for a list whose lines may be long, e.g. of mounts with their options.
    pub fn of_long_lines(path: PathBuf, bytes_max: usize) -> KernelFile {
        KernelFile { short_lines: false, ..KernelFile::new(path, bytes_max) }
    }

    /// The content as it is now, in `buffer`, which is reused and never shrinks. After an error the
    /// file is opened again at the next read: it may belong to a device that was replaced.
    pub fn read<'b>(&mut self, buffer: &'b mut Vec<u8>) -> io::Result<&'b [u8]> {
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(File::open(&self.path)?),
        };
        let result = fill(file, buffer, self.bytes_max, self.short_lines);
        match result {
            Ok(length) => Ok(&buffer[..length]),
            Err(error) => {
                self.file = None;
                Err(error)
            }
        }
    }

    /// As [`KernelFile::read`], with the file named in the error.
    pub fn require<'b>(&mut self, buffer: &'b mut Vec<u8>) -> Result<&'b [u8], CollectError> {
        self.read(buffer)
            .map_err(|error| CollectError(format!("cannot read {}: {error}", self.path.display())))
    }

    /// For a list of mounts: whether [`mounts_changed`](KernelFile::mounts_changed) can be asked.
    pub fn tells_of_changes(&self) -> bool {
        self.file.as_ref().is_some_and(|file| system::is_of_proc(file.as_fd()))
    }

    /// For a list of mounts: whether it may differ from what the last read gave.
    pub fn mounts_changed(&self) -> bool {
        self.file.as_ref().is_none_or(|file| system::mounts_changed(file.as_fd()))
    }

    /// The error of a content that cannot be used.
    pub fn unusable(&self, why: &str) -> CollectError {
        CollectError(format!("cannot use {}: {why}", self.path.display()))
    }
}

/// Reads once and closes: for what is looked at only at the start. `None` where it cannot be read.
pub fn read_once(path: PathBuf, bytes_max: usize) -> Option<Vec<u8>> {
    let mut buffer = Vec::new();
    let length = fill(&File::open(path).ok()?, &mut buffer, bytes_max, false).ok()?;
    buffer.truncate(length);
    Some(buffer)
}

/// Reads to the end or the bound. A short read alone is no end: the kernel hands out such files by pages, whole lines
/// at a time. One after which the longest line would have fitted is: to ask again lets the kernel make the whole file
/// anew, only to say so.
fn fill(
    file: &File,
    buffer: &mut Vec<u8>,
    bytes_max: usize,
    short_lines: bool,
) -> io::Result<usize> {
    let mut length = 0;
    while length < bytes_max {
        if length + SPARE > buffer.len() {
            let room = (buffer.len() * 2).max(4096);
            buffer.resize(room, 0);
        }
        let end = buffer.len().min(bytes_max);
        match file.read_at(&mut buffer[length..end], length as u64) {
            Ok(0) => break,
            Ok(count) => {
                length += count;
                if short_lines && length + SPARE <= end {
                    break;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_is_read_anew_and_bounded() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("stat");
        let mut file = KernelFile::new(path.clone(), 10_000);
        let mut buffer = Vec::new();
        assert!(file.read(&mut buffer).is_err());
        std::fs::write(&path, "one").expect("written");
        assert_eq!(file.read(&mut buffer).expect("read"), b"one");
        std::fs::write(&path, "x".repeat(9_999)).expect("written");
        assert_eq!(file.read(&mut buffer).expect("read").len(), 9_999);
        std::fs::write(&path, "x".repeat(50_000)).expect("written");
        assert_eq!(file.read(&mut buffer).expect("read").len(), 10_000);
        assert_eq!(read_once(path, 3).expect("read"), b"xxx");
    }

    #[test]
    fn unreadable_file_is_named_in_the_error() {
        let mut file = KernelFile::new(PathBuf::from("/nonexistent/stat"), 10);
        let error = file.require(&mut Vec::new()).expect_err("no such file");
        assert!(error.0.starts_with("cannot read /nonexistent/stat: "), "{}", error.0);
    }
}
