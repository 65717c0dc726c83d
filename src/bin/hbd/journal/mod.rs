//! The thread `journal`: appends records to the message journal, rotates it, and carries on when it cannot.
//!
//! Owns the file. Its inbox is bounded, in records and in bytes; what does not fit, and what a disk in trouble does
//! not take, is counted. Nobody ever waits for it.

mod book;
mod inbox;

pub use inbox::{Handle, Pen};

use crate::{fault, pulse};
use book::Book;
use heartbeat::config::server::Server;
use heartbeat::engine::Record;
use heartbeat::journal::{Health, RETRY_EVERY, Rotation};
use heartbeat::os::{clock, thread};
use heartbeat::time::{Duration, Mono, render_duration};
use std::io;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

/// Records are gathered this long, so that a quiet server does not write each by itself.
const LINGER: Duration = Duration::from_millis(20);
/// How often the fill of the disk is asked for.
const DISK_EVERY: Duration = Duration::from_secs(10);
/// Of it 12 KiB became resident while rotating under load (smaps, x86_64).
const STACK: usize = 128 << 10;

/// Where the journal is written, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub dir: PathBuf,
    pub name: String,
    pub rotation: Rotation,
    /// Bytes.
    pub min_free: u64,
    pub redact: Vec<String>,
}

impl Settings {
    /// `None` where the journal is switched off.
    pub fn of(config: &Server, dir: &Path) -> Option<Settings> {
        config.journal_enabled.then(|| Settings {
            dir: dir.to_owned(),
            name: config.journal_file.clone(),
            rotation: Rotation {
                size_max: config.journal_max_size,
                backups_max: config.journal_max_backups,
            },
            min_free: config.journal_min_free,
            redact: config.journal_redact.clone(),
        })
    }

    /// The journal itself for 0, its backup `n` otherwise.
    pub fn path(&self, n: u32) -> PathBuf {
        self.dir.join(heartbeat::journal::file_name(&self.name, n))
    }
}

/// Raises an event of kind `journal`; `false` where that has to be tried again.
pub type Tell = Box<dyn Fn(String) -> bool + Send>;

/// The running journal thread.
pub struct Running {
    handle: Handle,
    thread: JoinHandle<()>,
}

impl Running {
    /// Writes what waits and ends the thread.
    pub fn stop(self) {
        self.handle.stop();
        let _ = self.thread.join();
    }
}

/// Starts the thread behind `handle`.
pub fn start(handle: Handle, settings: Option<Settings>, tell: Tell) -> io::Result<Running> {
    handle.set_place(settings.as_ref());
    let scribe = Scribe {
        handle: handle.clone(),
        book: settings.map(Book::new),
        health: Health::default(),
        held: Vec::new(),
        lost_before: 0,
        given_up: 0,
        overflow: 0,
        ended: false,
        untold: None,
        disk_at: Mono::ZERO,
        tell,
    };
    let thread = thread::spawn("journal", STACK, move || scribe.run())?;
    Ok(Running { handle, thread })
}

struct Scribe {
    handle: Handle,
    /// `None` while the journal is switched off.
    book: Option<Book>,
    health: Health,
    /// Taken from the inbox and not written yet.
    held: Vec<Record>,
    /// What was lost before the present trouble.
    lost_before: u64,
    /// What was given up here, and what was lost at a full inbox as far as it was told.
    given_up: u64,
    overflow: u64,
    /// A trouble ended with the last attempt.
    ended: bool,
    /// An event that the engine had no room for.
    untold: Option<String>,
    /// When the fill of the disk is asked for again.
    disk_at: Mono,
    tell: Tell,
}

impl Scribe {
    fn run(mut self) {
        let mut not_before = Mono::ZERO;
        loop {
            let busy = !self.held.is_empty() || self.untold.is_some();
            let bytes = self.book.as_mut().map_or(0, Book::bytes);
            self.handle.set_standing(bytes, self.health.retry_at().is_some());
            self.look_at_disk();
            pulse::waits();
            let orders = self.handle.take(not_before, self.health.retry_at(), busy, &mut self.held);
            pulse::works();
            fault::point("journal");
            if orders.reopen
                && let Some(book) = &mut self.book
            {
                book.close();
            }
            self.write();
            self.note_overflow();
            self.tell();
            if let Some(settings) = orders.settings {
                self.book = settings.map(Book::new);
            }
            if orders.stopping {
                self.give_up();
                return;
            }
            not_before = self.health.retry_at().unwrap_or(clock::now().mono + LINGER);
        }
    }

    /// At most every ten seconds; the network mount on which it hangs is one on which writing hangs too.
    fn look_at_disk(&mut self) {
        let now = clock::now().mono;
        if now >= self.disk_at {
            self.disk_at = now + DISK_EVERY;
            self.handle.set_disk(self.book.as_ref().and_then(Book::disk));
        }
    }

    fn write(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let Some(book) = &mut self.book else { return self.give_up() };
        fault::point("journal_before_write");
        let (written, failure) = book.write(&self.held);
        fault::point("journal_after_write");
        self.handle.done(self.held.drain(..written));
        let now = clock::now().mono;
        match failure {
            None => self.note_success(now),
            Some(error) => self.note_failure(now, &error),
        }
    }

    fn note_success(&mut self, now: Mono) {
        let ended = self.health.succeeded(now);
        self.ended = ended.is_some();
        if let Some(span) = ended {
            let lost = self.handle.dropped() - self.lost_before;
            log::info!("journal: written again after {}, lost={lost}", render_duration(span));
        }
    }

    fn note_failure(&mut self, now: Mono, error: &io::Error) {
        let failure = self.health.failed(now);
        if failure.first {
            self.lost_before = self.handle.dropped();
            self.untold = Some(format!("the message journal cannot be written: {error}"));
        }
        if !failure.keep {
            self.give_up();
        }
        if failure.log {
            let lost = self.handle.dropped() - self.lost_before;
            let every = RETRY_EVERY.as_secs();
            log::error!("journal: {error}; tried again every {every} s, lost={lost}");
        }
    }

    /// Records that found the inbox full: the disk takes them, but not as fast as they come.
    fn note_overflow(&mut self) {
        let overflow = self.handle.dropped() - self.given_up;
        let more = overflow > self.overflow;
        self.overflow = overflow;
        // During a trouble, and with the attempt that ends it, a full inbox is a part of that trouble.
        if !more || self.health.retry_at().is_some() || self.ended {
            return;
        }
        let told = self.health.overflowed(clock::now().mono);
        if told.first {
            let text = "the message journal loses lines: its disk is too slow";
            self.untold.get_or_insert_with(|| text.to_owned());
        }
        if told.log {
            log::warn!("journal: lines come faster than the disk takes them, lost={overflow}");
        }
    }

    /// Counts what is held as lost.
    fn give_up(&mut self) {
        self.given_up += self.held.len() as u64;
        self.handle.lose(self.held.drain(..));
    }

    fn tell(&mut self) {
        if let Some(text) = self.untold.take()
            && !(self.tell)(text.clone())
        {
            self.untold = Some(text);
        }
    }
}

#[cfg(test)]
mod tests;
