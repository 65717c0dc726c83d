//! The way into the history, and what readers and the thread share: what is not on disk yet, the names, the file.
//!
//! A lock and not a channel, because the engine hands over a batch at a time and wakes nobody: the thread comes by
//! itself before what waits is ten seconds old.

use super::Settings;
use heartbeat::engine::Recorded;
use heartbeat::history::catalog::Catalog;
use heartbeat::limits::HISTORY_PENDING_BYTES;
use heartbeat::os::clock;
use heartbeat::time::Mono;
use redb::Database;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{
    Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
};
use std::time::Duration;

/// So many bytes end the wait early.
const URGENT_BYTES: usize = 4 << 20;
/// Readers at a time; more wait, but not for ever.
const READERS_MAX: usize = 2;
const READER_WAIT: Duration = Duration::from_secs(5);

pub type Promise = Box<dyn FnOnce(bool) + Send>;

#[derive(Default)]
struct Waiting {
    records: Vec<Recorded>,
    bytes: usize,
    /// In the hands of the thread, and not on disk yet.
    writing: Arc<Vec<Recorded>>,
    /// Called once everything before them is on disk, or could not be written.
    promises: Vec<Promise>,
    settings: Option<Settings>,
    stopping: bool,
}

#[derive(Default)]
pub struct Shelf {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    catalog: RwLock<Catalog>,
    /// `None` until it is open, and while it cannot be used.
    database: RwLock<Option<Arc<Database>>>,
    /// The commits whose pieces are not sorted into hours yet.
    pieces: RwLock<BTreeSet<u64>>,
    readers: Mutex<usize>,
    reader_left: Condvar,
    dropped: AtomicU64,
}

/// The history as other threads know it; cheap to clone.
#[derive(Clone, Default)]
pub struct Handle(pub(super) Arc<Shelf>);

/// What the thread found when it was time.
pub struct Taken {
    pub records: Arc<Vec<Recorded>>,
    pub promises: Vec<Promise>,
    pub settings: Option<Settings>,
    pub stopping: bool,
}

/// What a record takes without its numbers.
pub const RECORD_BYTES: usize = size_of::<Recorded>();

fn size(record: &Recorded) -> usize {
    let values = match record {
        Recorded::Sample(numbers) => numbers.values.len(),
        _ => 0,
    };
    RECORD_BYTES + 8 * values
}

impl Handle {
    /// A new end for the one who records.
    pub fn pen(&self, is_kept: bool) -> Pen {
        Pen { handle: self.clone(), is_kept, gathered: Vec::new() }
    }

    pub fn configure(&self, settings: Settings) {
        self.lock().settings = Some(settings);
    }

    /// Has `promise` called as soon as everything handed over so far is on disk, or could not be written.
    pub fn promise(&self, promise: Promise) {
        self.lock().promises.push(promise);
        self.0.changed.notify_one();
    }

    /// Records that wait for the disk.
    pub fn depth(&self) -> u64 {
        let waiting = self.lock();
        (waiting.records.len() + waiting.writing.len()) as u64
    }

    /// Records that were lost since the start.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    pub(super) fn lose(&self, count: u64) {
        self.0.dropped.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn stop(&self) {
        self.lock().stopping = true;
        self.0.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `at`; not so long where much waits, somebody waits, or the end has come.
    pub(super) fn wait(&self, at: Mono) -> bool {
        let mut waiting = self.lock();
        loop {
            let left = at.since(clock::now().mono);
            let called = waiting.stopping || !waiting.promises.is_empty();
            if called || waiting.bytes >= URGENT_BYTES || left.is_zero() {
                return called;
            }
            let woken = self.0.changed.wait_timeout(waiting, left);
            waiting = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Takes what waits. Readers go on seeing it until [`written`](Handle::written).
    pub(super) fn take(&self) -> Taken {
        let mut waiting = self.lock();
        waiting.bytes = 0;
        let records = Arc::new(std::mem::take(&mut waiting.records));
        waiting.writing = records.clone();
        Taken {
            records,
            promises: std::mem::take(&mut waiting.promises),
            settings: waiting.settings.take(),
            stopping: waiting.stopping,
        }
    }

    /// So much waits that it is time whatever the clock says.
    pub(super) fn is_urgent(&self) -> bool {
        self.lock().bytes >= URGENT_BYTES
    }

    /// What was taken could not even be looked at: it goes before what came since, as far as there is room.
    pub(super) fn put_back(&self, records: &Arc<Vec<Recorded>>) {
        let mut waiting = self.lock();
        let since = std::mem::take(&mut waiting.records);
        waiting.writing = Arc::default();
        (waiting.bytes, waiting.records) = (0, Vec::new());
        let lost = put(&mut waiting, records.iter().cloned().chain(since));
        drop(waiting);
        self.lose(lost);
    }

    /// What was taken is on disk.
    pub(super) fn written(&self) {
        self.lock().writing = Arc::default();
    }

    /// What is not on disk yet and passes `pick`, in the order of its coming.
    pub(super) fn recent(&self, mut pick: impl FnMut(&Recorded)) {
        let waiting = self.lock();
        let writing = waiting.writing.clone();
        writing.iter().for_each(&mut pick);
        waiting.records.iter().for_each(&mut pick);
    }

    pub(super) fn catalog(&self) -> RwLockReadGuard<'_, Catalog> {
        self.0.catalog.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn catalog_mut(&self) -> RwLockWriteGuard<'_, Catalog> {
        self.0.catalog.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn database(&self) -> Option<Arc<Database>> {
        self.0.database.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_database(&self, database: Option<Arc<Database>>) {
        *self.0.database.write().unwrap_or_else(PoisonError::into_inner) = database;
    }

    pub(super) fn pieces(&self) -> RwLockReadGuard<'_, BTreeSet<u64>> {
        self.0.pieces.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn pieces_mut(&self) -> RwLockWriteGuard<'_, BTreeSet<u64>> {
        self.0.pieces.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place among the readers; `None` where there is none for too long.
    pub(super) fn admit_reader(&self) -> Option<ReaderPlace<'_>> {
        let readers = self.0.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |count: &mut usize| *count >= READERS_MAX;
        let waited = self.0.reader_left.wait_timeout_while(readers, READER_WAIT, full);
        let (mut readers, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            return None;
        }
        *readers += 1;
        Some(ReaderPlace(&self.0))
    }
}

pub struct ReaderPlace<'a>(&'a Shelf);

impl Drop for ReaderPlace<'_> {
    fn drop(&mut self) {
        *self.0.readers.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.reader_left.notify_one();
    }
}

/// Puts in what there is room for; how many there was none for. Standings are few, and always find room.
fn put(waiting: &mut Waiting, records: impl Iterator<Item = Recorded>) -> u64 {
    let mut lost = 0;
    for record in records {
        let bytes = size(&record);
        let is_number = matches!(record, Recorded::Sample(_) | Recorded::RoundTrip(_));
        if is_number && waiting.bytes + bytes > HISTORY_PENDING_BYTES {
            lost += 1;
            continue;
        }
        waiting.bytes += bytes;
        waiting.records.push(record);
    }
    lost
}

/// The recorder's end: gathers a turn's records, then hands them over together.
pub struct Pen {
    handle: Handle,
    is_kept: bool,
    gathered: Vec<Recorded>,
}

impl Pen {
    pub fn write(&mut self, record: Recorded) {
        if self.is_kept {
            self.gathered.push(record);
        }
    }

    /// Never waits for a disk. What finds no room is lost and counted, the newest first: what is older makes whole
    /// hours.
    pub fn hand_over(&mut self) {
        if self.gathered.is_empty() {
            return;
        }
        let mut waiting = self.handle.lock();
        let lost = put(&mut waiting, self.gathered.drain(..));
        if waiting.bytes >= URGENT_BYTES {
            self.handle.0.changed.notify_one();
        }
        drop(waiting);
        self.handle.lose(lost);
    }
}
