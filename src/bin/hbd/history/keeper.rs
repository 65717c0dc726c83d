//! The file and what is known of it: opening, commits, and upkeep one step at a time.
//!
//! Owns every write. Time is an argument, so that a test or a benchmark can live through months. After an I/O error
//! redb refuses further work on a handle: the file is closed, and opened anew with the next attempt.

use super::Settings;
use super::base::{self, ABSENCES, ALIVE, COLUMNS, GROUPS, Loaded, MARKS, PIECES, STANDINGS};
use super::batch::{self, Batch, millis};
use super::inbox::{Handle, Taken};
use super::rolling::Rolling;
use super::sorting::{STEP, Sorting};
use crate::{fault, pulse, store};
use heartbeat::engine::record::Standing;
use heartbeat::history::catalog::News;
use heartbeat::time::{Duration, Wall};
use redb::{Database, WriteTransaction};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Without anything to write a sign of life is written this often, in milliseconds.
const ALIVE_EVERY: u64 = 60_000;

pub struct Keeper {
    pub(super) handle: Handle,
    pub(super) settings: Settings,
    path: PathBuf,
    database: Option<Arc<Database>>,
    /// The file was opened before: what comes now continues it.
    is_known: bool,
    standing: BTreeMap<u32, Standing>,
    /// What could not be written; it goes before what waits.
    owed: Option<Batch>,
    /// The server was away from then to then, and that is not written yet.
    absence: Option<(i64, i64)>,
    last_commit: u64,
    pub(super) marks: BTreeMap<String, u64>,
    pub(super) sizes: BTreeMap<(u8, u32), u64>,
    pub(super) piece_bytes: u64,
    pub(super) sorting: Option<Sorting>,
    pub(super) rolling: Option<Rolling>,
    is_healthy: bool,
    /// How long one step of upkeep takes on more.
    pub(super) step_length: Duration,
}

impl Keeper {
    pub fn new(handle: Handle, path: PathBuf, settings: Settings) -> Keeper {
        Keeper {
            handle,
            settings,
            path,
            database: None,
            is_known: false,
            standing: BTreeMap::new(),
            owed: None,
            absence: None,
            last_commit: 0,
            marks: BTreeMap::new(),
            sizes: BTreeMap::new(),
            piece_bytes: 0,
            sorting: None,
            rolling: None,
            is_healthy: true,
            step_length: STEP,
        }
    }

    /// Opens the file; after a crash that takes as long as reading it. A damaged one is set aside.
    pub fn open(&mut self, now: Wall) -> Result<(), String> {
        if self.database.is_some() {
            return Ok(());
        }
        // After a crash redb reads all of it, which is waiting and no standing still.
        pulse::waits();
        let opened = store::open_file(&self.path, base::CACHE_BYTES, 0, &base::load);
        pulse::works();
        let (database, loaded) = opened.map_err(|error| error.to_string())?;
        if !self.is_known {
            self.take_over(loaded, now);
        }
        let database = Arc::new(database);
        self.handle.set_database(Some(database.clone()));
        self.database = Some(database);
        Ok(())
    }

    fn take_over(&mut self, loaded: Loaded, now: Wall) {
        self.is_known = true;
        let mut catalog = self.handle.catalog_mut();
        loaded.names.into_iter().for_each(|name| catalog.restore(name));
        drop(catalog);
        self.last_commit = loaded.pieces.last().copied().unwrap_or(0);
        *self.handle.pieces_mut() = loaded.pieces;
        self.standing = loaded.standings;
        self.sizes = loaded.sizes;
        self.piece_bytes = loaded.piece_bytes;
        self.marks = loaded.marks;
        // From its last sign of life until now the server knew nothing.
        let (alive, now) = (self.mark(ALIVE) as i64, millis(now));
        self.absence = (alive > 0 && now > alive).then_some((alive, now));
    }

    /// Lets go of the file: after an error, and at the end. What was begun is found again in it.
    pub fn close(&mut self) {
        self.handle.set_database(None);
        self.database = None;
        self.sorting = None;
        self.rolling = None;
    }

    pub(super) fn mark(&self, name: &str) -> u64 {
        self.marks.get(name).copied().unwrap_or(0)
    }

    /// Writes what waits; `false` where it could not: then it is owed.
    pub fn commit(&mut self, now: Wall, mut taken: Taken) -> bool {
        if let Some(settings) = taken.settings.take() {
            self.settings = settings;
        }
        if let Err(why) = self.open(now) {
            self.tell(Some(why));
            self.put_back(&taken);
            taken.promises.into_iter().for_each(|promise| promise(false));
            return false;
        }
        if let Some(owed) = self.owed.take()
            && !self.write_batch(now, owed)
        {
            self.put_back(&taken);
            taken.promises.into_iter().for_each(|promise| promise(false));
            return false;
        }
        let batch = batch::make(&taken.records, &mut self.handle.catalog_mut(), &mut self.standing);
        self.handle.lose(batch.lost);
        let written = self.write_batch(now, batch);
        if written {
            self.handle.written();
        }
        taken.promises.into_iter().for_each(|promise| promise(written));
        written
    }

    /// Takes what waits and writes it.
    #[allow(dead_code, reason = "for benches/history.rs")]
    pub fn commit_waiting(&mut self, now: Wall) -> bool {
        let taken = self.handle.take();
        self.commit(now, taken)
    }

    /// Bytes of blocks, of rollups and of pieces.
    #[allow(dead_code, reason = "for benches/history.rs")]
    pub fn bytes(&self) -> (u64, u64, u64) {
        let of = |wanted: u8| {
            let sizes = self.sizes.iter().filter(|((kind, _), _)| *kind == wanted);
            sizes.map(|(_, bytes)| bytes).sum()
        };
        (of(base::HOURS), of(base::DAYS), self.piece_bytes)
    }

    fn put_back(&self, taken: &Taken) {
        self.handle.put_back(&taken.records);
    }

    fn write_batch(&mut self, now: Wall, batch: Batch) -> bool {
        let alive = u64::try_from(millis(now)).unwrap_or(0);
        let is_quiet = batch.is_empty() && self.absence.is_none();
        if is_quiet && alive.abs_diff(self.mark(ALIVE)) < ALIVE_EVERY {
            return true;
        }
        let commit = alive.max(self.last_commit + 1);
        let absence = self.absence;
        let done = self.transact(now, |write| put_batch(write, &batch, commit, alive, absence));
        if done.is_none() {
            self.owed = Some(batch);
            return false;
        }
        self.absence = None;
        self.last_commit = commit;
        self.marks.insert(ALIVE.to_owned(), alive);
        if !batch.pieces.is_empty() {
            self.piece_bytes +=
                batch.pieces.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>();
            self.handle.pieces_mut().insert(commit);
        }
        true
    }

    /// Runs `body` in a transaction of its own; `None` where that failed, which is logged when it begins. redb may
    /// panic on a file that something else has written into: that counts as damage, and the file is set aside.
    pub(super) fn transact<T>(
        &mut self,
        now: Wall,
        body: impl FnOnce(&WriteTransaction) -> Result<T, redb::Error>,
    ) -> Option<T> {
        if let Err(why) = self.open(now) {
            self.tell(Some(why));
            return None;
        }
        let database = self.database.clone()?;
        let run = || -> Result<T, redb::Error> {
            let write = database.begin_write()?;
            let result = body(&write)?;
            fault::point("history_before_commit");
            write.commit()?;
            fault::point("history_after_commit");
            Ok(result)
        };
        match fault::guard(run) {
            Some(Ok(result)) => {
                self.tell(None);
                Some(result)
            }
            Some(Err(error)) => {
                drop(database);
                self.close();
                self.tell(Some(format!("{}: {error}", self.path.display())));
                None
            }
            None => {
                drop(database);
                self.close();
                self.give_up_file();
                None
            }
        }
    }

    fn give_up_file(&mut self) {
        let aside = store::set_aside(&self.path, "the writer failed on it");
        self.tell(aside.err().map(|error| format!("{}: {error}", self.path.display())));
        *self = Keeper {
            is_healthy: self.is_healthy,
            ..Keeper::new(self.handle.clone(), self.path.clone(), self.settings.clone())
        };
        *self.handle.catalog_mut() = Default::default();
        self.handle.pieces_mut().clear();
    }

    fn tell(&mut self, trouble: Option<String>) {
        match trouble {
            Some(why) if self.is_healthy => {
                log::error!("{why}; the history is kept in memory, trying again every 10 s");
                self.is_healthy = false;
            }
            None if !self.is_healthy => {
                log::info!("{} is writable again", self.path.display());
                self.is_healthy = true;
            }
            _ => {}
        }
    }
}

fn put_batch(
    write: &WriteTransaction,
    batch: &Batch,
    commit: u64,
    alive: u64,
    absence: Option<(i64, i64)>,
) -> Result<(), redb::Error> {
    if !batch.names.is_empty() || !batch.gone.is_empty() {
        let mut groups = write.open_table(GROUPS)?;
        let mut columns = write.open_table(COLUMNS)?;
        for name in &batch.names {
            match name {
                News::Group { id, host, plugin } => {
                    groups.insert(id, base::join(host, plugin).as_slice())?;
                }
                News::Column { id, plugin, leaf } => {
                    columns.insert(id, base::join(plugin, leaf).as_slice())?;
                }
            }
        }
        let mut standings = write.open_table(STANDINGS)?;
        for group in &batch.gone {
            groups.insert(group, base::join("", "").as_slice())?;
            standings.retain_in((*group, i64::MIN)..=(*group, i64::MAX), |_, _| false)?;
        }
    }
    if !batch.pieces.is_empty() {
        let mut pieces = write.open_table(PIECES)?;
        for (shard, bytes) in &batch.pieces {
            pieces.insert((commit, *shard), bytes.as_slice())?;
        }
    }
    if !batch.standings.is_empty() {
        let mut standings = write.open_table(STANDINGS)?;
        for (group, at, standing) in &batch.standings {
            standings.insert((*group, *at), *standing as u8)?;
        }
    }
    if let Some((from, to)) = absence {
        write.open_table(ABSENCES)?.insert(from, to)?;
    }
    write.open_table(MARKS)?.insert(ALIVE, alive)?;
    Ok(())
}
