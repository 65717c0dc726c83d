//! The tables of the history's file, and opening it.
//!
//! Owns the keys. Times order them, so that what is written lands side by side and what is old goes in one piece.

use heartbeat::engine::record::Standing;
use heartbeat::history::catalog::News;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Host and plugin by the id of their group; both empty where the host was dropped.
pub const GROUPS: TableDefinition<u32, &[u8]> = TableDefinition::new("groups");
/// Plugin and leaf by the id of their column.
pub const COLUMNS: TableDefinition<u32, &[u8]> = TableDefinition::new("columns");
pub const MARKS: TableDefinition<&str, u64> = TableDefinition::new("marks");
/// Samples as they came, by commit and shard of groups.
pub const PIECES: TableDefinition<(u64, u32), &[u8]> = TableDefinition::new("pieces");
/// Samples by hour (hours since 1970) and group.
pub const BLOCKS: TableDefinition<(u32, u32), &[u8]> = TableDefinition::new("blocks");
/// Summaries by day (days since 1970) and group.
pub const ROLLUPS: TableDefinition<(u32, u32), &[u8]> = TableDefinition::new("rollups");
/// Changes of a host's standing by its group and milliseconds since 1970.
pub const STANDINGS: TableDefinition<(u32, i64), u8> = TableDefinition::new("standings");
/// When the server was away: from, to, in milliseconds.
pub const ABSENCES: TableDefinition<i64, i64> = TableDefinition::new("absences");
/// Bytes of an hour's blocks (kind 0) or a day's rollups (kind 1), for the bound on the file.
pub const SIZES: TableDefinition<(u8, u32), u64> = TableDefinition::new("sizes");

/// The server was alive then, in milliseconds.
pub const ALIVE: &str = "alive";
/// Days before this one are rolled up.
pub const ROLLED: &str = "rolled";
/// Blocks of hours before this one are gone.
pub const RAW_FROM: &str = "raw_from";
/// Pieces of commits before this one are being sorted into hours…
pub const CUT: &str = "cut";
/// …and of them those of shards below this one are done.
pub const SHARD: &str = "shard";

/// Groups of one shard: what one step of sorting takes on.
pub const SHARD_GROUPS: u32 = 1024;
/// redb's page cache.
pub const CACHE_BYTES: usize = 8 << 20;

pub const HOURS: u8 = 0;
pub const DAYS: u8 = 1;

/// What is held in memory of the file.
#[derive(Default)]
pub struct Loaded {
    pub names: Vec<News>,
    pub marks: BTreeMap<String, u64>,
    pub pieces: BTreeSet<u64>,
    /// Bytes of pieces.
    pub piece_bytes: u64,
    pub standings: BTreeMap<u32, Standing>,
    pub sizes: BTreeMap<(u8, u32), u64>,
}

/// The file beside the store: `heartbeat.redb` has `heartbeat.history.redb`.
pub fn path_beside(store: &Path) -> PathBuf {
    if store.extension().is_some_and(|ending| ending == "redb") {
        return store.with_extension("history.redb");
    }
    let mut name = store.as_os_str().to_owned();
    name.push(".history.redb");
    PathBuf::from(name)
}

/// Makes the tables and reads what is held in memory.
pub fn load(database: &Database) -> Result<Loaded, redb::Error> {
    let write = database.begin_write()?;
    make_tables(&write)?;
    write.commit()?;
    let mut loaded = Loaded::default();
    let read = database.begin_read()?;
    for row in read.open_table(GROUPS)?.iter()? {
        let (id, names) = row?;
        let (host, plugin) = pair(names.value());
        loaded.names.push(News::Group { id: id.value(), host: host.into(), plugin: plugin.into() });
    }
    for row in read.open_table(COLUMNS)?.iter()? {
        let (id, names) = row?;
        let (plugin, leaf) = pair(names.value());
        loaded.names.push(News::Column {
            id: id.value(),
            plugin: plugin.into(),
            leaf: leaf.into(),
        });
    }
    for row in read.open_table(MARKS)?.iter()? {
        let (name, value) = row?;
        loaded.marks.insert(name.value().to_owned(), value.value());
    }
    for row in read.open_table(PIECES)?.iter()? {
        let (key, value) = row?;
        loaded.pieces.insert(key.value().0);
        loaded.piece_bytes += value.value().len() as u64;
    }
    for row in read.open_table(STANDINGS)?.iter()? {
        let (key, value) = row?;
        if let Some(standing) = standing(value.value()) {
            loaded.standings.insert(key.value().0, standing);
        }
    }
    for row in read.open_table(SIZES)?.iter()? {
        let (key, value) = row?;
        loaded.sizes.insert(key.value(), value.value());
    }
    Ok(loaded)
}

fn make_tables(write: &WriteTransaction) -> Result<(), redb::Error> {
    write.open_table(GROUPS)?;
    write.open_table(COLUMNS)?;
    write.open_table(MARKS)?;
    write.open_table(PIECES)?;
    write.open_table(BLOCKS)?;
    write.open_table(ROLLUPS)?;
    write.open_table(STANDINGS)?;
    write.open_table(ABSENCES)?;
    write.open_table(SIZES)?;
    Ok(())
}

/// Two names in one value; the first never holds a zero byte.
pub fn join(first: &str, second: &str) -> Vec<u8> {
    [first.as_bytes(), &[0], second.as_bytes()].concat()
}

fn pair(bytes: &[u8]) -> (String, String) {
    let at = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let text = |part: &[u8]| String::from_utf8_lossy(part).into_owned();
    (text(&bytes[..at]), text(bytes.get(at + 1..).unwrap_or_default()))
}

pub fn standing(code: u8) -> Option<Standing> {
    Standing::ALL.get(usize::from(code)).copied()
}

/// The state of sorting, as one reader or one step finds it: pieces that are done are not counted twice.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sorted {
    pub cut: u64,
    pub shard: u32,
}

impl Sorted {
    pub fn has(&self, commit: u64, shard: u32) -> bool {
        commit < self.cut && shard < self.shard
    }
}

pub fn mark(marks: &impl ReadableTable<&'static str, u64>, name: &str) -> Result<u64, redb::Error> {
    Ok(marks.get(name)?.map_or(0, |value| value.value()))
}
