//! The journal's file: opening, appending whole lines, rotating. Knows no threads and keeps no records.

use super::Settings;
use crate::fault;
use heartbeat::engine::Record;
use heartbeat::journal::{Renderer, Step};
use heartbeat::limits::JOURNAL_LINE_MAX;
use heartbeat::os::{clock, system};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};

/// Bytes of one write; a single line may be larger.
const CHUNK: usize = 256 << 10;
/// What every line begins with.
const LINE_BEGIN: &[u8] = br#"{"timestamp":"#;
// THREATS H12.
const FILE_MODE: u32 = 0o640;
const DIR_MODE: u32 = 0o750;

pub struct Book {
    settings: Settings,
    renderer: Renderer,
    file: Option<Open>,
    /// A descriptor held for the day when there are no others (THREATS S10).
    spare: Option<File>,
    text: String,
    /// Bytes of all backups, until the next rotation.
    backups: Option<u64>,
}

struct Open {
    file: File,
    /// Device and inode: another file under the same name is another file.
    id: (u64, u64),
    len: u64,
}

/// How many of the records were written, and why not more.
type Part = (usize, io::Error);

impl Book {
    pub fn new(settings: Settings) -> Book {
        let renderer = Renderer::new(&settings.redact);
        let spare = File::open("/dev/null").ok();
        Book { settings, renderer, file: None, spare, text: String::new(), backups: None }
    }

    /// The next write opens the file anew.
    pub fn close(&mut self) {
        self.file = None;
    }

    /// How full the journal's disk is, percent: of what others than root may use.
    pub fn disk(&self) -> Option<u8> {
        let space = system::space(&self.settings.dir).ok()?;
        let used = space.total.saturating_sub(space.free);
        let all = used.saturating_add(space.available);
        (all > 0).then(|| (used as f64 * 100.0 / all as f64).floor() as u8)
    }

    /// Bytes of the journal and its backups.
    pub fn bytes(&mut self) -> u64 {
        let size = |n| std::fs::metadata(self.settings.path(n)).ok().map(|found| found.len());
        let backups = *self
            .backups
            .get_or_insert_with(|| (1..=self.settings.rotation.backups_max).map_while(size).sum());
        backups + self.file.as_ref().map_or_else(|| size(0).unwrap_or(0), |open| open.len)
    }

    /// Appends all records; where that fails, tells how many are in the file with their whole lines.
    pub fn write(&mut self, records: &[Record]) -> (usize, Option<io::Error>) {
        let mut done = 0;
        while done < records.len() {
            match self.write_some(&records[done..]) {
                Ok(count) => done += count,
                Err((count, error)) => {
                    self.close();
                    let path = self.settings.path(0);
                    let error =
                        io::Error::new(error.kind(), format!("{}: {error}", path.display()));
                    return (done + count, Some(error));
                }
            }
        }
        (done, None)
    }

    /// As many records as one write takes: up to a chunk, and up to the next rotation.
    fn write_some(&mut self, records: &[Record]) -> Result<usize, Part> {
        let nothing = |error| (0, error);
        let len = self.ready().map_err(nothing)?;
        self.check_free().map_err(nothing)?;
        self.text.clear();
        let mut count = 0;
        for record in records {
            let begin = self.text.len();
            self.renderer.render(&mut self.text, record, &clock::local_offset);
            if self.settings.rotation.is_due(len + begin as u64, self.text.len() - begin) {
                if begin > 0 {
                    self.text.truncate(begin);
                    break;
                }
                self.rotate().map_err(nothing)?;
                return Ok(0);
            }
            count += 1;
            if self.text.len() >= CHUNK {
                break;
            }
        }
        self.append().map(|()| count)
    }

    /// Opens the file where it is not open, or is no longer the one under its name. Its length.
    fn ready(&mut self) -> io::Result<u64> {
        if let Some(open) = &mut self.file {
            match std::fs::metadata(self.settings.path(0)) {
                // Whoever copies and truncates leaves the inode in place.
                Ok(found) if (found.dev(), found.ino()) == open.id => {
                    open.len = found.len();
                    return Ok(open.len);
                }
                _ => self.file = None,
            }
        }
        let open = self.open()?;
        Ok(self.file.insert(open).len)
    }

    fn open(&mut self) -> io::Result<Open> {
        let file = match self.open_file() {
            Err(error) if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => {
                self.spare = None;
                self.open_file()
            }
            other => other,
        }?;
        if self.spare.is_none() {
            self.spare = File::open("/dev/null").ok();
        }
        let found = file.metadata()?;
        if !found.is_file() {
            return Err(io::Error::other("is not a regular file"));
        }
        let len = mend_tail(&file, found.len())?;
        Ok(Open { file, id: (found.dev(), found.ino()), len })
    }

    fn open_file(&self) -> io::Result<File> {
        let path = self.settings.path(0);
        let mut options = OpenOptions::new();
        // Without O_NONBLOCK somebody's pipe under this name would hang the thread.
        options.read(true).append(true).create(true).mode(FILE_MODE);
        options.custom_flags(libc::O_NONBLOCK);
        match options.open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                DirBuilder::new().recursive(true).mode(DIR_MODE).create(&self.settings.dir)?;
                options.open(&path)
            }
            other => other,
        }
    }

    fn check_free(&self) -> io::Result<()> {
        let min_free = self.settings.min_free;
        if min_free > 0 && system::space(&self.settings.dir)?.available < min_free {
            let words = format!("less than journal_min_free ({min_free} bytes) free");
            return Err(io::Error::new(ErrorKind::StorageFull, words));
        }
        Ok(())
    }

    /// Writes the text. A part of a line that got in is taken back.
    fn append(&mut self) -> Result<(), Part> {
        let Some(open) = &mut self.file else { return Ok(()) };
        let bytes = self.text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let error = match open.file.write(&bytes[at..]) {
                Ok(0) => io::Error::from(ErrorKind::WriteZero),
                Ok(count) => {
                    at += count;
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            let whole = bytes[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |n| n + 1);
            if whole < at {
                // Where this fails too, opening the file mends it.
                let _ = open.file.set_len(open.len + whole as u64);
            }
            let count = bytes[..whole].iter().filter(|byte| **byte == b'\n').count();
            return Err((count, error));
        }
        open.len += at as u64;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.backups = None;
        let exists = |n| self.settings.path(n).symlink_metadata().is_ok();
        for step in self.settings.rotation.steps(exists) {
            let result = match step {
                Step::Rename { from, to } => {
                    fault::point("journal_before_rename");
                    let moved = std::fs::rename(self.settings.path(from), self.settings.path(to));
                    fault::point("journal_after_rename");
                    moved
                }
                Step::Remove(n) => std::fs::remove_file(self.settings.path(n)),
            };
            match result {
                // Somebody else has moved it: all the better.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                other => other?,
            }
        }
        // The old file is closed last: its descriptor is one that the new file can have.
        self.file = None;
        self.ready().map(drop)
    }
}

/// A line that a killed writer left unfinished is taken away; foreign text without an end gets one. The length
/// after that.
fn mend_tail(mut file: &File, len: u64) -> io::Result<u64> {
    let mut last = [b'\n'];
    if len > 0 {
        file.read_exact_at(&mut last, len - 1)?;
    }
    if last == [b'\n'] {
        return Ok(len);
    }
    let mut tail = vec![0; len.min(JOURNAL_LINE_MAX as u64) as usize];
    let from = len - tail.len() as u64;
    file.read_exact_at(&mut tail, from)?;
    let begin = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |n| n + 1);
    let torn = &tail[begin..];
    let known = torn.len().min(LINE_BEGIN.len());
    if (begin > 0 || from == 0) && torn[..known] == LINE_BEGIN[..known] {
        log::warn!("journal: took away a torn last line bytes={}", torn.len());
        let whole = len - torn.len() as u64;
        file.set_len(whole)?;
        return Ok(whole);
    }
    file.write_all(b"\n")?;
    Ok(len + 1)
}
