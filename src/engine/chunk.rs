//! The hosts of a view by id, in chunks of which only those that changed are copied; beside each host what a scan over
//! the fleet needs of it.

use super::view::{Host, HostId, Severity};
use crate::time::Wall;
use std::sync::Arc;

/// What a scan over the whole fleet needs of a host, side by side in memory.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    pub severity: Severity,
    /// See [`Host::rank`].
    pub rank: u8,
    pub watch: bool,
    pub since: Wall,
    pub slow_ver: u64,
    pub fast_ver: u64,
}

impl Key {
    pub fn of(host: &Host) -> Key {
        Key {
            severity: host.severity,
            rank: host.rank(),
            watch: host.watch,
            since: host.since,
            slow_ver: host.slow_ver,
            fast_ver: host.fast_ver,
        }
    }
}

pub const CHUNK: usize = 64;

/// Up to 64 hosts whose ids share their upper bits.
#[derive(Clone, Debug, Default)]
pub struct Chunk {
    /// `None` where the host was dropped (or has not come yet).
    pub slots: Vec<Option<(Key, Arc<Host>)>>,
    /// The newest version in the chunk: scans for changes skip it where this is old.
    pub ver_max: u64,
}

/// All hosts by id.
#[derive(Clone, Debug, Default)]
pub struct HostTable {
    pub chunks: Vec<Arc<Chunk>>,
    pub len: usize,
}

impl HostTable {
    pub fn get(&self, id: HostId) -> Option<&Arc<Host>> {
        let chunk = self.chunks.get(id as usize / CHUNK)?;
        chunk.slots.get(id as usize % CHUNK)?.as_ref().map(|(_, host)| host)
    }

    /// In id order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Host>> {
        self.chunks.iter().flat_map(|c| c.slots.iter().flatten().map(|(_, host)| host))
    }

    /// In id order, without touching the hosts themselves.
    pub fn keys(&self) -> impl Iterator<Item = (HostId, &Key)> {
        self.chunks.iter().enumerate().flat_map(|(c, chunk)| {
            chunk.slots.iter().enumerate().filter_map(move |(s, slot)| {
                slot.as_ref().map(|(key, _)| ((c * CHUNK + s) as HostId, key))
            })
        })
    }

    /// Hosts whose slow or fast version is above `ver`, in id order; chunks without one are skipped.
    pub fn changed_since(&self, ver: u64) -> impl Iterator<Item = &Arc<Host>> {
        self.chunks.iter().filter(move |c| c.ver_max > ver).flat_map(move |c| {
            c.slots
                .iter()
                .flatten()
                .filter(move |(key, _)| key.slow_ver > ver || key.fast_ver > ver)
                .map(|(_, host)| host)
        })
    }
}
