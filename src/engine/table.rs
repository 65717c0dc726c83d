//! The table of all hosts: what is published of them, and what only the engine knows.
//!
//! Owns ids, names, versions and tombstones. Every change of what is shown passes through here, so that no
//! version is forgotten.

use super::host::Record;
use super::record::Standing;
use super::view::{CHUNK, Host, HostId, HostTable, Key};
use crate::limits;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

#[derive(Default)]
pub struct Table {
    shown: HostTable,
    records: Vec<Option<Record>>,
    by_name: HashMap<Arc<str>, HostId>,
    /// In byte order of the names.
    names: Arc<Vec<(Arc<str>, HostId)>>,
    gone: Arc<VecDeque<(HostId, u64)>>,
    floor: u64,
    /// Grows with every visible change.
    ver: u64,
    counts: [u32; 8],
    /// Hosts that are new, or whose standing changed, since this was taken last.
    turned: Vec<HostId>,
}

impl Table {
    pub fn len(&self) -> usize {
        self.shown.len
    }

    pub fn id(&self, name: &str) -> Option<HostId> {
        self.by_name.get(name).copied()
    }

    /// All ids, in the order in which the hosts came.
    pub fn ids(&self) -> Vec<HostId> {
        self.shown.keys().map(|(id, _)| id).collect()
    }

    /// The id that the next host gets.
    pub fn next_id(&self) -> HostId {
        self.records.len() as HostId
    }

    pub fn insert(&mut self, mut host: Host, record: Record) -> HostId {
        let id = self.next_id();
        self.ver += 1;
        (host.id, host.slow_ver, host.fast_ver) = (id, self.ver, self.ver);
        let name = host.name.clone();
        if id as usize / CHUNK == self.shown.chunks.len() {
            self.shown.chunks.push(Arc::default());
        }
        self.counts[host.severity.code() as usize] += 1;
        let chunk = Arc::make_mut(&mut self.shown.chunks[id as usize / CHUNK]);
        chunk.ver_max = self.ver;
        chunk.slots.push(Some((Key::of(&host), Arc::new(host))));
        self.shown.len += 1;
        if self.records.len() == self.records.capacity() {
            // Records are large: room for twice as many would be a third of the memory of a large fleet.
            self.records.reserve_exact(64 + self.records.len() / 16);
        }
        self.records.push(Some(record));
        let names = Arc::make_mut(&mut self.names);
        let at = names.partition_point(|(n, _)| **n < *name);
        names.insert(at, (name.clone(), id));
        self.by_name.insert(name, id);
        self.turned.push(id);
        id
    }

    pub fn remove(&mut self, id: HostId) -> Option<Arc<Host>> {
        self.records.get_mut(id as usize)?.take()?;
        self.ver += 1;
        let chunk = Arc::make_mut(self.shown.chunks.get_mut(id as usize / CHUNK)?);
        chunk.ver_max = self.ver;
        let (_, host) = chunk.slots.get_mut(id as usize % CHUNK)?.take()?;
        self.shown.len -= 1;
        self.counts[host.severity.code() as usize] -= 1;
        self.by_name.remove(&host.name);
        let names = Arc::make_mut(&mut self.names);
        if let Ok(at) = names.binary_search_by(|(n, _)| n.cmp(&host.name)) {
            names.remove(at);
        }
        let gone = Arc::make_mut(&mut self.gone);
        gone.push_back((id, self.ver));
        if gone.len() > limits::LIVE_TOMBSTONES {
            self.floor = gone.pop_front().map_or(self.floor, |(_, ver)| ver);
        }
        Some(host)
    }

    pub fn host(&self, id: HostId) -> Option<&Arc<Host>> {
        self.shown.get(id)
    }

    pub fn record(&mut self, id: HostId) -> Option<&mut Record> {
        self.records.get_mut(id as usize)?.as_mut()
    }

    pub fn record_ref(&self, id: HostId) -> Option<&Record> {
        self.records.get(id as usize)?.as_ref()
    }

    /// Changes what every viewer is told of a host.
    pub fn change(&mut self, id: HostId, edit: impl FnOnce(&mut Host)) {
        self.edit(id, |_, host| edit(host), true);
    }

    /// Changes the fast columns only: last seen, round trip, gauges.
    pub fn refresh(&mut self, id: HostId, edit: impl FnOnce(&mut Host)) {
        self.edit(id, |_, host| edit(host), false);
    }

    /// Shows what the record has of the fast columns.
    pub fn show(&mut self, id: HostId) {
        let show = |record: Option<&mut Record>, host: &mut Host| {
            let Some(record) = record else { return };
            record.touched = false;
            record.show(host);
        };
        self.edit(id, show, false);
    }

    fn edit(&mut self, id: HostId, edit: impl FnOnce(Option<&mut Record>, &mut Host), slow: bool) {
        let Some(chunk) = self.shown.chunks.get_mut(id as usize / CHUNK) else { return };
        let chunk = Arc::make_mut(chunk);
        let Some(Some((key, host))) = chunk.slots.get_mut(id as usize % CHUNK) else { return };
        let host = Arc::make_mut(host);
        self.ver += 1;
        self.counts[host.severity.code() as usize] -= 1;
        let standing = slow.then(|| Standing::of(host));
        edit(self.records.get_mut(id as usize).and_then(Option::as_mut), host);
        if standing.is_some_and(|before| before != Standing::of(host)) {
            self.turned.push(id);
        }
        self.counts[host.severity.code() as usize] += 1;
        host.fast_ver = self.ver;
        if slow {
            host.slow_ver = self.ver;
        }
        *key = Key::of(host);
        chunk.ver_max = self.ver;
    }

    /// Hosts that are new, or whose standing changed, since the last call; each once.
    pub fn take_turned(&mut self) -> Vec<HostId> {
        let mut turned = std::mem::take(&mut self.turned);
        turned.sort_unstable();
        turned.dedup();
        turned
    }

    pub fn shown(&self) -> HostTable {
        self.shown.clone()
    }

    pub fn names(&self) -> Arc<Vec<(Arc<str>, HostId)>> {
        self.names.clone()
    }

    pub fn gone(&self) -> Arc<VecDeque<(HostId, u64)>> {
        self.gone.clone()
    }

    pub fn floor(&self) -> u64 {
        self.floor
    }

    pub fn ver(&self) -> u64 {
        self.ver
    }

    pub fn counts(&self) -> [u32; 8] {
        self.counts
    }

    /// What must hold after every mutation; debug builds check it on every tick.
    pub fn check_invariants(&self) {
        assert_eq!(self.names.len(), self.shown.len);
        assert_eq!(self.by_name.len(), self.shown.len);
        assert_eq!(self.counts.iter().sum::<u32>() as usize, self.shown.len);
        assert!(self.gone.len() <= limits::LIVE_TOMBSTONES);
    }
}
