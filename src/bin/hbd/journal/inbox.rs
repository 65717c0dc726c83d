//! The way into the journal: a bounded list of records behind a lock that is held to append or to swap.
//!
//! A lock and not a channel, because the engine hands over a batch at a time and must not pay for a wake-up with
//! each record: the writer says how many records are worth waking for.

use super::Settings;
use heartbeat::engine::{Entry, Record};
use heartbeat::limits::{JOURNAL_QUEUE, JOURNAL_QUEUE_BYTES};
use heartbeat::os::clock;
use heartbeat::time::{Duration, Mono, Wall};
use heartbeat::web::JournalFile;
use std::fs::Metadata;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::UNIX_EPOCH;

/// So many records end the gathering early.
const URGENT: usize = 1024;

/// What the thread is asked beside writing.
#[derive(Default)]
pub struct Orders {
    /// New settings; `Some(None)` switches the journal off.
    pub settings: Option<Option<Settings>>,
    pub reopen: bool,
    pub stopping: bool,
}

impl Orders {
    fn any(&self) -> bool {
        self.settings.is_some() || self.reopen || self.stopping
    }
}

#[derive(Default)]
struct Waiting {
    records: Vec<Record>,
    orders: Orders,
    /// Records and bytes that are not written yet, those in the hands of the thread included.
    depth: usize,
    bytes: usize,
    /// The thread sleeps and wants to be woken when so many records wait.
    wake_at: Option<usize>,
}

#[derive(Default)]
struct Inbox {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    dropped: AtomicU64,
    written: AtomicU64,
    /// As far as they are known: for whoever asks what is on the disk.
    place: Mutex<Option<Settings>>,
    /// Of the files, as far as the thread has looked.
    bytes: AtomicU64,
    failing: AtomicBool,
    /// Percent; 255 where nobody knows.
    disk: AtomicU8,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The journal as other threads know it; cheap to clone.
#[derive(Clone, Default)]
pub struct Handle(Arc<Inbox>);

/// Bytes that a record holds beside itself.
fn size(record: &Record) -> usize {
    match &record.entry {
        Entry::Message { json, .. } => json.len(),
        Entry::Event(event) => event.text.len(),
    }
}

impl Handle {
    /// A new end for the one who writes records.
    pub fn pen(&self) -> Pen {
        Pen { handle: self.clone(), gathered: Vec::new() }
    }

    /// From now on by these settings; what came before is still written by the old ones.
    pub fn configure(&self, settings: Option<Settings>) {
        self.set_place(settings.as_ref());
        self.0.lock().orders.settings = Some(settings);
        self.0.changed.notify_one();
    }

    pub(super) fn set_place(&self, settings: Option<&Settings>) {
        *self.0.place.lock().unwrap_or_else(PoisonError::into_inner) = settings.cloned();
    }

    /// The file that is written and its backups, the newest first, as they stand on the disk.
    pub fn files(&self) -> Vec<JournalFile> {
        let place = self.0.place.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(place) = place else { return Vec::new() };
        let file = |n: u32| {
            let path = place.path(n);
            let found = std::fs::metadata(&path).ok().filter(Metadata::is_file)?;
            let written = found.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            Some(JournalFile {
                name: path.file_name()?.to_string_lossy().into_owned(),
                bytes: found.len(),
                written: written.map(|since| Wall::from_secs(since.as_secs() as i64)),
            })
        };
        (0..=place.rotation.backups_max).filter_map(file).collect()
    }

    /// Opens the file anew: it may have been moved away.
    pub fn reopen(&self) {
        self.0.lock().orders.reopen = true;
        self.0.changed.notify_one();
    }

    /// Records that wait to be written.
    pub fn depth(&self) -> u64 {
        self.0.lock().depth as u64
    }

    /// Records that were lost since the start: no room, or a disk that did not take them.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// Records that were written since the start.
    pub fn written(&self) -> u64 {
        self.0.written.load(Ordering::Relaxed)
    }

    /// Bytes of the journal with its backups, and whether the disk takes no more of it now.
    pub fn standing(&self) -> (u64, bool) {
        (self.0.bytes.load(Ordering::Relaxed), self.0.failing.load(Ordering::Relaxed))
    }

    pub(super) fn set_standing(&self, bytes: u64, failing: bool) {
        self.0.bytes.store(bytes, Ordering::Relaxed);
        self.0.failing.store(failing, Ordering::Relaxed);
    }

    /// How full the journal's disk is, percent.
    pub fn disk(&self) -> Option<u8> {
        Some(self.0.disk.load(Ordering::Relaxed)).filter(|percent| *percent <= 100)
    }

    pub(super) fn set_disk(&self, percent: Option<u8>) {
        self.0.disk.store(percent.unwrap_or(u8::MAX), Ordering::Relaxed);
    }

    pub(super) fn stop(&self) {
        self.0.lock().orders.stopping = true;
        self.0.changed.notify_one();
    }

    /// Appends what waits to `held` as soon as there is something (or `busy` says there was already) and
    /// `not_before` has come; earlier where much waits, unless `retry_at` forbids it; at once for an order.
    pub(super) fn take(
        &self,
        not_before: Mono,
        retry_at: Option<Mono>,
        busy: bool,
        held: &mut Vec<Record>,
    ) -> Orders {
        let urgent = if retry_at.is_some() { usize::MAX } else { URGENT };
        let mut waiting = self.0.lock();
        loop {
            let early = not_before.since(clock::now().mono);
            let count = waiting.records.len();
            let something = busy || count > 0;
            if waiting.orders.any() || (something && early.is_zero()) || count >= urgent {
                if held.is_empty() {
                    std::mem::swap(held, &mut waiting.records);
                } else {
                    held.append(&mut waiting.records);
                }
                return std::mem::take(&mut waiting.orders);
            }
            let span = if something { early } else { Duration::from_secs(3600) };
            waiting.wake_at = Some(if something { urgent } else { 1 });
            let woken = self.0.changed.wait_timeout(waiting, span);
            waiting = woken.unwrap_or_else(PoisonError::into_inner).0;
            waiting.wake_at = None;
        }
    }

    /// These are written.
    pub(super) fn done(&self, records: impl ExactSizeIterator<Item = Record>) {
        self.0.written.fetch_add(records.len() as u64, Ordering::Relaxed);
        self.release(records);
    }

    fn release(&self, records: impl Iterator<Item = Record>) {
        let (mut depth, mut bytes) = (0, 0);
        for record in records {
            depth += 1;
            bytes += size(&record);
        }
        let mut waiting = self.0.lock();
        waiting.depth -= depth;
        waiting.bytes -= bytes;
    }

    /// These will never be written.
    pub(super) fn lose(&self, records: impl ExactSizeIterator<Item = Record>) {
        self.0.dropped.fetch_add(records.len() as u64, Ordering::Relaxed);
        self.release(records);
    }

    fn put(&self, records: &mut Vec<Record>) {
        let mut waiting = self.0.lock();
        for record in records.drain(..) {
            let bytes = waiting.bytes + size(&record);
            if waiting.depth >= JOURNAL_QUEUE || bytes > JOURNAL_QUEUE_BYTES {
                self.0.dropped.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            waiting.depth += 1;
            waiting.bytes = bytes;
            waiting.records.push(record);
        }
        if waiting.wake_at.is_some_and(|count| waiting.records.len() >= count) {
            waiting.wake_at = None;
            drop(waiting);
            self.0.changed.notify_one();
        }
    }
}

/// The engine's end: gathers the records of a batch of datagrams.
pub struct Pen {
    handle: Handle,
    gathered: Vec<Record>,
}

impl Pen {
    pub fn write(&mut self, record: Record) {
        self.gathered.push(record);
    }

    /// Hands over what was gathered; never waits for a disk.
    pub fn hand_over(&mut self) {
        if !self.gathered.is_empty() {
            self.handle.put(&mut self.gathered);
        }
    }
}
