//! The store thread: what must survive, in one redb file.
//!
//! Owns the database and the wait between commits. Its inbox is a table, not a queue: the engine's thread puts
//! records in under their keys, so the latest wins, nothing can overflow, and no lock is held while the disk
//! works. A commit is durable when it returns; there is at most one every 250 ms, or at once where somebody
//! waits for an answer. A disk that is full or read-only stops nothing: told once, tried again every 10 s.

use crate::{fault, pulse};
use heartbeat::engine::Saved;
use heartbeat::os::{clock, thread};
use heartbeat::time::Mono;
use heartbeat::web::{Figure, Kind};
use redb::{Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

const HOSTS: TableDefinition<&str, &[u8]> = TableDefinition::new("hosts");
/// By host and plugin.
const SAMPLES: TableDefinition<(&str, &str), &[u8]> = TableDefinition::new("samples");
const EVENTS: TableDefinition<u64, &[u8]> = TableDefinition::new("events");
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
const NOTICES: TableDefinition<&str, &[u8]> = TableDefinition::new("notices");

/// Two commits are at least this far apart unless an answer waits.
const COMMIT_EVERY: Duration = Duration::from_millis(250);
const RETRY_EVERY: Duration = Duration::from_secs(10);
/// redb's page cache; by default it would take up to 1 GiB.
const CACHE_BYTES: usize = 1 << 20;
/// A file up to this size is checked page by page at every start, a larger one only after a crash (by redb).
const CHECKED_BYTES_MAX: u64 = 64 << 20;
/// Of it 20 KiB became resident with 10,000 hosts (smaps, x86_64).
const STACK: usize = 256 << 10;
/// Above every plugin name.
const PLUGIN_LAST: &str = "\u{7f}";
/// The first bytes of every redb file (redb, `header.rs`).
const MAGIC: &[u8] = b"redb\x1a\x0a\xa9\x0d\x0a";

/// Why a store cannot be used. A damaged one is not among them: it is set aside.
#[derive(Debug)]
pub enum OpenError {
    InUse(PathBuf),
    Newer(PathBuf),
    Io(PathBuf, io::Error),
    Other(PathBuf, String),
}

impl std::fmt::Display for OpenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            OpenError::InUse(path) => {
                write!(f, "{}: in use by another hbd - stop it or set state_dir", path.display())
            }
            OpenError::Newer(path) => {
                write!(f, "{}: written by another version of hbd", path.display())
            }
            OpenError::Io(path, error) => {
                let uid = nix::unistd::geteuid();
                write!(f, "{}: {error} (as uid {uid})", path.display())
            }
            OpenError::Other(path, text) => write!(f, "{}: {text}", path.display()),
        }
    }
}

/// What waits for the disk. Bounded by what the engine may hold: one entry a host, event or meta key.
#[derive(Default)]
struct Waiting {
    /// Written after the deletions.
    records: BTreeMap<Key, Vec<u8>>,
    /// Hosts to delete with their samples.
    gone: BTreeSet<Arc<str>>,
    /// Events below are deleted.
    events_before: u64,
    /// Called with whether everything put in before them is on disk.
    promises: Vec<Promise>,
    stopping: bool,
}

pub type Promise = Box<dyn FnOnce(bool) + Send>;

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Meta(Arc<str>),
    Host(Arc<str>),
    Sample(Arc<str>, Arc<str>),
    Event(u64),
    /// Empty where the notice is gone.
    Notice(Arc<str>),
}

#[derive(Default)]
struct Inbox {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    commits: AtomicU64,
    failures: AtomicU64,
}

/// The engine's end of the store.
#[derive(Clone, Default)]
pub struct Handle(Arc<Inbox>);

impl Handle {
    /// Takes over `records`; never waits for a disk.
    pub fn save(&self, records: Vec<Saved>) {
        let mut waiting = self.0.lock();
        let sleeps = waiting.is_empty();
        for record in records {
            waiting.put(record);
        }
        // Where something waits already, the thread knows when it is due.
        if sleeps {
            self.0.changed.notify_one();
        }
    }

    /// Has `promise` called as soon as everything saved so far is on disk, or could not be written.
    pub fn promise(&self, promise: Promise) {
        self.0.lock().promises.push(promise);
        self.0.changed.notify_one();
    }

    /// For `/metrics`.
    pub fn figures(&self) -> Vec<Figure> {
        let count = |name, help, of: &AtomicU64| {
            Figure::new(name, Kind::Counter, help, of.load(Ordering::Relaxed) as f64)
        };
        let waiting = self.0.lock().records.len() as f64;
        let help = "Records that wait for the next commit.";
        vec![
            count("heartbeat_store_commits_total", "Commits of the store.", &self.0.commits),
            count(
                "heartbeat_store_failures_total",
                "Commits that the disk did not take; tried again every 10 s.",
                &self.0.failures,
            ),
            Figure::new("heartbeat_store_waiting_records", Kind::Gauge, help, waiting),
        ]
    }

    fn stop(&self) {
        self.0.lock().stopping = true;
        self.0.changed.notify_one();
    }
}

impl Inbox {
    fn count(&self, written: bool) {
        let counter = if written { &self.commits } else { &self.failures };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is something to commit and the time for it has come.
    fn take(&self, not_before: Mono) -> Waiting {
        let mut waiting = self.lock();
        loop {
            let early = not_before.since(clock::now().mono);
            let something = !waiting.is_empty();
            if waiting.stopping || !waiting.promises.is_empty() || (something && early.is_zero()) {
                let stopping = waiting.stopping;
                return std::mem::replace(&mut waiting, Waiting { stopping, ..Waiting::default() });
            }
            let span = if something { early } else { Duration::from_secs(3600) };
            let woken = self.changed.wait_timeout(waiting, span);
            waiting = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Puts back what could not be written, under what came since.
    fn put_back(&self, mut failed: Waiting) {
        let mut waiting = self.lock();
        for name in std::mem::take(&mut waiting.gone) {
            failed.delete_host(name);
        }
        failed.delete_events(waiting.events_before);
        failed.records.append(&mut waiting.records);
        waiting.records = failed.records;
        waiting.gone = failed.gone;
        waiting.events_before = failed.events_before;
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.records.is_empty() && self.gone.is_empty() && self.events_before == 0
    }

    fn put(&mut self, record: Saved) {
        let (key, json) = match record {
            Saved::Host { name, json } => (Key::Host(name), json),
            Saved::Sample { host, plugin, json } => (Key::Sample(host, plugin), json),
            Saved::Event { id, json } => (Key::Event(id), json),
            Saved::Meta { key, json } => (Key::Meta(key), json),
            Saved::Part { key, json } => {
                debug_assert!(!json.is_empty(), "{key}: nothing means gone");
                (Key::Notice(key), json)
            }
            Saved::PartGone { key } => (Key::Notice(key), Vec::new()),
            Saved::HostGone { name } => return self.delete_host(name),
            Saved::EventsBefore { id } => return self.delete_events(id),
        };
        self.records.insert(key, json);
    }

    fn delete_host(&mut self, name: Arc<str>) {
        self.records.remove(&Key::Host(name.clone()));
        let first = Key::Sample(name.clone(), "".into());
        self.delete_from(first, |key| matches!(key, Key::Sample(host, _) if *host == name));
        self.gone.insert(name);
    }

    fn delete_events(&mut self, before: u64) {
        self.events_before = self.events_before.max(before);
        self.delete_from(Key::Event(0), |key| matches!(key, Key::Event(id) if *id < before));
    }

    /// What stands at `first` and after it without a gap. Not by a walk through everything: a fleet that reports for
    /// the first time deletes as many events as it makes.
    fn delete_from(&mut self, first: Key, is_gone: impl Fn(&Key) -> bool) {
        while let Some(next) = self.records.range(&first..).next().map(|(key, _)| key)
            && is_gone(next)
        {
            let next = next.clone();
            self.records.remove(&next);
        }
    }
}

/// An open store before its thread runs.
pub struct Store {
    path: PathBuf,
    database: Database,
}

impl Store {
    /// Opens or creates the store at `path` and hands every record to `restore`: meta, hosts, samples,
    /// events, notices; with each, how many there are in all. A damaged file is renamed to `<path>.bad`
    /// and a new one started; a file that is no store of ours is left alone and `<path>.redb` is used.
    pub fn open(path: &Path, restore: &mut dyn FnMut(Saved, usize)) -> Result<Store, OpenError> {
        let path = pick(path)?;
        let (database, records) = open_file(&path, CACHE_BYTES, CHECKED_BYTES_MAX, &load)?;
        let total = records.len();
        records.into_iter().for_each(|record| restore(record, total));
        Ok(Store { path, database })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Starts the thread `store`. It ends after a last commit when [`Running::stop`] is called.
    pub fn start(self) -> io::Result<Running> {
        let handle = Handle::default();
        let inbox = Arc::clone(&handle.0);
        let thread = thread::spawn("store", STACK, move || run(self, &inbox))?;
        Ok(Running { handle, thread })
    }
}

/// The running store thread.
pub struct Running {
    pub handle: Handle,
    thread: JoinHandle<()>,
}

impl Running {
    /// Commits what waits and ends the thread.
    pub fn stop(self) {
        self.handle.stop();
        let _ = self.thread.join();
    }
}

enum Failure {
    Damaged(String),
    InUse,
    Newer,
    Io(io::Error),
    Other(String),
}

impl Failure {
    fn into_error(self, path: PathBuf) -> OpenError {
        match self {
            Failure::InUse => OpenError::InUse(path),
            Failure::Newer => OpenError::Newer(path),
            Failure::Io(error) => OpenError::Io(path, error),
            Failure::Damaged(text) | Failure::Other(text) => OpenError::Other(path, text),
        }
    }
}

/// The file to use: `path`, or `<path>.redb` where `path` holds something that is not ours.
fn pick(path: &Path) -> Result<PathBuf, OpenError> {
    let mut head = Vec::new();
    match std::fs::File::open(path) {
        Ok(file) => file
            .take(MAGIC.len() as u64)
            .read_to_end(&mut head)
            .map_err(|e| OpenError::Io(path.to_owned(), e))?,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(path.to_owned()),
        Err(e) => return Err(OpenError::Io(path.to_owned(), e)),
    };
    // redb writes its magic last: a crash while the file is created leaves zeros.
    if head == MAGIC || head.iter().all(|byte| *byte == 0) {
        return Ok(path.to_owned());
    }
    let mut other = path.as_os_str().to_owned();
    other.push(".redb");
    let other = PathBuf::from(other);
    log::warn!(
        "{} is not a store of hbd and stays as it is; using {}",
        path.display(),
        other.display()
    );
    Ok(other)
}

/// `<path>.bad`, or `<path>.bad.2` and so on up to 9 where that exists; then the last is replaced.
fn bad_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".bad");
    let first = PathBuf::from(&name);
    if !first.exists() {
        return first;
    }
    let numbered = |n: u32| {
        let mut name = name.clone();
        name.push(format!(".{n}"));
        PathBuf::from(name)
    };
    (2..9).map(numbered).find(|p| !p.exists()).unwrap_or_else(|| numbered(9))
}

/// Opens or creates the database at `path` and reads it with `load`; a damaged one is set aside and a new one
/// started. One up to `checked_max` bytes is checked page by page.
pub fn open_file<T>(
    path: &Path,
    cache: usize,
    checked_max: u64,
    load: &dyn Fn(&Database) -> Result<T, redb::Error>,
) -> Result<(Database, T), OpenError> {
    let mut opened = attempt(path, cache, checked_max, load);
    if let Err(Failure::Damaged(why)) = &opened {
        set_aside(path, why).map_err(|e| OpenError::Io(path.to_owned(), e))?;
        opened = attempt(path, cache, checked_max, load);
    }
    opened.map_err(|failure| failure.into_error(path.to_owned()))
}

/// Renames a damaged file to `<path>.bad`.
pub fn set_aside(path: &Path, why: &str) -> io::Result<()> {
    let aside = bad_name(path);
    std::fs::rename(path, &aside)?;
    log::error!(
        "{} is damaged ({why}), set aside as {}; starting with an empty one",
        path.display(),
        aside.display()
    );
    Ok(())
}

/// Opens and reads everything. redb may panic on a file that something else has written into, so a panic counts
/// as damage; nothing of it is kept.
fn attempt<T>(
    path: &Path,
    cache: usize,
    checked_max: u64,
    load: &dyn Fn(&Database) -> Result<T, redb::Error>,
) -> Result<(Database, T), Failure> {
    let opened = fault::guard(|| {
        let database = open_database(path, cache, checked_max)?;
        let loaded = load(&database).map_err(from_any)?;
        Ok((database, loaded))
    });
    opened.unwrap_or_else(|| Err(Failure::Damaged("the reader failed on it".to_owned())))
}

fn open_database(path: &Path, cache: usize, checked_max: u64) -> Result<Database, Failure> {
    let len = std::fs::metadata(path).map(|m| m.len()).unwrap_or(0);
    let zeros = len > 0 && read_head(path).map_err(Failure::Io)? != MAGIC;
    if zeros {
        return Err(Failure::Damaged("it was never completed".to_owned()));
    }
    create_private(path).map_err(Failure::Io)?;
    let database = Builder::new()
        .set_cache_size(cache)
        .set_check_integrity_on_open(len > 0 && len <= checked_max)
        .create(path);
    database.map_err(|error| match error {
        DatabaseError::DatabaseAlreadyOpen => Failure::InUse,
        DatabaseError::UpgradeRequired(_) => Failure::Newer,
        DatabaseError::RepairAborted => Failure::Damaged("it cannot be repaired".to_owned()),
        DatabaseError::Storage(error) => from_storage(error),
        other => Failure::Other(other.to_string()),
    })
}

/// The store holds sessions and what hosts report: nobody else may read it.
fn create_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
        _ => Ok(()),
    }
}

fn read_head(path: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    std::fs::File::open(path)?.take(MAGIC.len() as u64).read_to_end(&mut head)?;
    Ok(head)
}

fn from_storage(error: redb::StorageError) -> Failure {
    match error {
        redb::StorageError::Corrupted(text) => Failure::Damaged(text),
        redb::StorageError::Io(e)
            if matches!(e.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
        {
            Failure::Damaged(e.to_string())
        }
        redb::StorageError::Io(e) => Failure::Io(e),
        other => Failure::Other(other.to_string()),
    }
}

fn from_any(error: redb::Error) -> Failure {
    match error {
        redb::Error::Io(e) => from_storage(redb::StorageError::Io(e)),
        other => Failure::Damaged(other.to_string()),
    }
}

fn load(database: &Database) -> Result<Vec<Saved>, redb::Error> {
    let mut records = Vec::new();
    read_tables(database, &mut records)?;
    Ok(records)
}

fn read_tables(database: &Database, records: &mut Vec<Saved>) -> Result<(), redb::Error> {
    // The tables are made here once, so that reading never meets a missing one.
    let write = database.begin_write()?;
    write.open_table(META)?;
    write.open_table(HOSTS)?;
    write.open_table(SAMPLES)?;
    write.open_table(EVENTS)?;
    write.open_table(NOTICES)?;
    write.commit()?;
    let read = database.begin_read()?;
    for row in read.open_table(META)?.iter()? {
        let (key, value) = row?;
        let json = value.value().to_vec();
        records.push(Saved::Meta { key: key.value().into(), json });
    }
    for row in read.open_table(HOSTS)?.iter()? {
        let (name, value) = row?;
        records.push(Saved::Host { name: name.value().into(), json: value.value().to_vec() });
    }
    for row in read.open_table(SAMPLES)?.iter()? {
        let (key, value) = row?;
        let (host, plugin) = key.value();
        let json = value.value().to_vec();
        records.push(Saved::Sample { host: host.into(), plugin: plugin.into(), json });
    }
    for row in read.open_table(EVENTS)?.iter()? {
        let (id, value) = row?;
        records.push(Saved::Event { id: id.value(), json: value.value().to_vec() });
    }
    for row in read.open_table(NOTICES)?.iter()? {
        let (key, value) = row?;
        let json = value.value().to_vec();
        records.push(Saved::Part { key: key.value().into(), json });
    }
    Ok(())
}

fn run(store: Store, inbox: &Inbox) {
    let path = store.path;
    let mut database = Some(store.database);
    let mut healthy = true;
    let mut not_before = clock::now().mono;
    loop {
        pulse::waits();
        let mut batch = inbox.take(not_before);
        pulse::works();
        fault::point("store");
        let promises = std::mem::take(&mut batch.promises);
        let written = batch.is_empty() || commit(&mut database, &path, &batch);
        inbox.count(written);
        fault::point("store_before_promise");
        for promise in promises {
            promise(written);
        }
        tell(&path, &mut healthy, written);
        if batch.stopping {
            if !written {
                log::error!("{} records could not be saved", batch.records.len());
            }
            return;
        }
        not_before = clock::now().mono + if written { COMMIT_EVERY } else { RETRY_EVERY };
        if !written {
            inbox.put_back(batch);
        }
    }
}

fn tell(path: &Path, healthy: &mut bool, written: bool) {
    if written && !*healthy {
        log::info!("{} is writable again", path.display());
    }
    *healthy = written;
}

/// After an I/O error redb refuses further work on a handle, so each failure closes it and the next attempt
/// opens it anew. The reason is logged when the state changes, not at each attempt.
fn commit(database: &mut Option<Database>, path: &Path, batch: &Waiting) -> bool {
    let first = database.is_some();
    let result = match database.take() {
        Some(open) => Ok(open),
        None => open_database(path, CACHE_BYTES, CHECKED_BYTES_MAX)
            .map_err(|f| f.into_error(path.to_owned()).to_string()),
    }
    .and_then(|open| match write(&open, batch) {
        Ok(()) => Ok(open),
        Err(error) => Err(format!("{}: {error}", path.display())),
    });
    match result {
        Ok(open) => {
            *database = Some(open);
            true
        }
        Err(why) => {
            if first {
                log::error!("{why}; keeping everything in memory, trying again every 10 s");
            }
            false
        }
    }
}

fn write(database: &Database, batch: &Waiting) -> Result<(), redb::Error> {
    fault::point("store_before_write");
    let write = database.begin_write()?;
    {
        let mut meta = write.open_table(META)?;
        let mut hosts = write.open_table(HOSTS)?;
        let mut samples = write.open_table(SAMPLES)?;
        let mut events = write.open_table(EVENTS)?;
        let mut notices = write.open_table(NOTICES)?;
        for name in &batch.gone {
            hosts.remove(&**name)?;
            samples.retain_in((&**name, "")..=(&**name, PLUGIN_LAST), |_, _| false)?;
        }
        if batch.events_before > 0 {
            events.retain_in(..batch.events_before, |_, _| false)?;
        }
        for (key, json) in &batch.records {
            let json = json.as_slice();
            match key {
                Key::Meta(key) => drop(meta.insert(&**key, json)?),
                Key::Host(name) => drop(hosts.insert(&**name, json)?),
                Key::Sample(host, plugin) => drop(samples.insert((&**host, &**plugin), json)?),
                Key::Event(id) => drop(events.insert(id, json)?),
                Key::Notice(key) if json.is_empty() => drop(notices.remove(&**key)?),
                Key::Notice(key) => drop(notices.insert(&**key, json)?),
            }
        }
    }
    fault::point("store_before_commit");
    write.commit()?;
    fault::point("store_after_commit");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn open(path: &Path) -> (Store, Vec<Saved>) {
        let mut records = Vec::new();
        let store = Store::open(path, &mut |record, _| records.push(record)).unwrap();
        (store, records)
    }

    fn host(name: &str, json: &str) -> Saved {
        Saved::Host { name: name.into(), json: json.into() }
    }

    fn sample(host: &str, plugin: &str) -> Saved {
        Saved::Sample { host: host.into(), plugin: plugin.into(), json: b"{}".to_vec() }
    }

    fn event(id: u64) -> Saved {
        Saved::Event { id, json: b"{}".to_vec() }
    }

    fn flushed(running: &Running) -> bool {
        let (tx, rx) = mpsc::channel();
        running.handle.promise(Box::new(move |ok| tx.send(ok).unwrap()));
        rx.recv_timeout(Duration::from_secs(20)).unwrap()
    }

    #[test]
    fn records_come_back_latest_only_and_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.redb");
        let running = open(&path).0.start().unwrap();
        running.handle.save(vec![host("b", "1"), event(1), event(2), event(3), host("b", "2")]);
        assert!(flushed(&running));
        running.handle.save(vec![
            host("a", "1"),
            host("gone", "1"),
            Saved::HostGone { name: "gone".into() },
            Saved::EventsBefore { id: 3 },
            Saved::Meta { key: "policy".into(), json: b"{}".to_vec() },
            Saved::Part { key: "n/1".into(), json: b"{}".to_vec() },
            Saved::Part { key: "n/2".into(), json: b"{}".to_vec() },
            Saved::PartGone { key: "n/1".into() },
            sample("b", "os_info"),
            sample("a", "os_info"),
        ]);
        assert!(flushed(&running));
        running.handle.save(vec![Saved::HostGone { name: "b".into() }, host("b", "3")]);
        running.stop();
        let (_, records) = open(&path);
        let meta = Saved::Meta { key: "policy".into(), json: b"{}".to_vec() };
        let notice = Saved::Part { key: "n/2".into(), json: b"{}".to_vec() };
        let sample = sample("a", "os_info");
        assert_eq!(records, [meta, host("a", "1"), host("b", "3"), sample, event(3), notice]);
    }

    #[test]
    fn second_opener_is_told_that_it_is_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.redb");
        let _held = open(&path);
        let error = Store::open(&path, &mut |_, _| {}).err().unwrap();
        assert!(matches!(error, OpenError::InUse(_)), "{error}");
    }

    #[test]
    fn foreign_file_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hb.pickle");
        std::fs::write(&path, b"\x80\x04\x95pickle").unwrap();
        let (store, _) = open(&path);
        assert_eq!(store.path(), dir.path().join("hb.pickle.redb"));
        drop(store);
        assert_eq!(open(&path).0.path(), dir.path().join("hb.pickle.redb"));
        assert!(std::fs::metadata(&path).unwrap().len() < 20);
    }

    #[test]
    fn damaged_store_is_set_aside_and_a_new_one_started() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.redb");
        let running = open(&path).0.start().unwrap();
        running.handle.save((0..200).map(|i| host(&format!("h{i}"), &"x".repeat(500))).collect());
        running.stop();
        #[allow(clippy::disallowed_methods, reason = "a file this test has just written")]
        let whole = std::fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        for byte in &mut flipped[8192..] {
            *byte ^= 0x55;
        }
        let damaged =
            [&whole[..5000], &flipped, &[0; 4096], &[whole[..9].to_vec(), vec![1; 9]].concat()];
        for (i, bytes) in damaged.into_iter().enumerate() {
            std::fs::write(&path, bytes).unwrap();
            let (store, records) = open(&path);
            assert!(records.is_empty(), "case {i}");
            assert_eq!(store.path(), path);
        }
        assert!(dir.path().join("s.redb.bad").exists());
        assert!(dir.path().join("s.redb.bad.4").exists());
    }

    #[test]
    fn empty_file_becomes_a_store() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.redb");
        std::fs::write(&path, b"").unwrap();
        assert!(open(&path).1.is_empty());
        assert!(!dir.path().join("s.redb.bad").exists());
    }

    #[test]
    fn put_back_keeps_the_newer_record() {
        let inbox = Inbox::default();
        let mut failed = Waiting::default();
        for record in [host("a", "old"), host("b", "old"), sample("c", "x"), event(1), event(5)] {
            failed.put(record);
        }
        inbox.lock().put(host("a", "new"));
        inbox.lock().put(Saved::HostGone { name: "c".into() });
        inbox.lock().put(Saved::EventsBefore { id: 2 });
        inbox.put_back(failed);
        let waiting = inbox.lock();
        assert_eq!(waiting.records.len(), 3);
        assert!(waiting.gone.contains("c"));
        assert_eq!(waiting.records[&Key::Host("a".into())], b"new");
        assert_eq!(waiting.events_before, 2);
    }
}
