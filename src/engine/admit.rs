//! Who may appear: rate limits, the address table, names refused so far.
//!
//! Owns ghosts and refusals, both bounded; when a table is full it refuses, it never evicts what is known.

use super::view::{Ghost, Refusal};
use crate::limits;
use crate::prng::Prng;
use crate::time::{Duration, Mono, Now, Wall};
use crate::wire::Reject;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// A token bucket that refills with time.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    tokens: f32,
    at: Mono,
}

impl Bucket {
    pub fn full(burst: usize, now: Mono) -> Bucket {
        Bucket { tokens: burst as f32, at: now }
    }

    /// Takes one token where there is one. `rate` is per second.
    pub fn take(&mut self, now: Mono, rate: usize, burst: usize) -> bool {
        let refill = now.since(self.at).as_secs_f32() * rate as f32;
        self.tokens = (self.tokens + refill).min(burst as f32);
        self.at = now;
        let granted = self.tokens >= 1.0;
        if granted {
            self.tokens -= 1.0;
        }
        granted
    }
}

/// Buckets by address in a table of fixed size: two addresses that share a slot share its tokens, and so does
/// a /64 of IPv6.
pub struct AddressLimiter {
    slots: Vec<Bucket>,
    key: u64,
}

impl AddressLimiter {
    pub fn new(seed: u64, now: Mono) -> AddressLimiter {
        let bucket = Bucket::full(limits::ADDRESS_BURST, now);
        AddressLimiter { slots: vec![bucket; limits::ADDRESS_SLOTS], key: seed }
    }

    pub fn take(&mut self, address: IpAddr, now: Mono) -> bool {
        let bits = match address.to_canonical() {
            IpAddr::V4(a) => u64::from(u32::from(a)),
            IpAddr::V6(a) => (u128::from(a) >> 64) as u64,
        };
        let slot = Prng::new(bits ^ self.key).below(self.slots.len() as u64) as usize;
        self.slots[slot].take(now, limits::ADDRESS_RATE, limits::ADDRESS_BURST)
    }
}

/// Names that were refused and may be accepted, for an hour each.
#[derive(Default)]
pub struct GhostTable {
    by_name: BTreeMap<Arc<str>, (Ghost, Mono)>,
    pub changed: bool,
}

const GHOST_LIFE: Duration = Duration::from_secs(3600);

impl GhostTable {
    pub fn note(
        &mut self,
        now: Now,
        name: &str,
        address: IpAddr,
        reason: Reject,
        ghosts_max: usize,
    ) {
        if let Some((ghost, seen)) = self.by_name.get_mut(name) {
            ghost.last = now.wall;
            ghost.count += 1;
            ghost.address = address;
            *seen = now.mono;
        } else if self.by_name.len() < ghosts_max {
            let name: Arc<str> = name.into();
            let (first, last) = (now.wall, now.wall);
            let ghost = Ghost {
                name: name.clone(),
                address,
                first,
                last,
                count: 1,
                reason: reason.words(),
            };
            self.by_name.insert(name, (ghost, now.mono));
        } else {
            return;
        }
        self.changed = true;
    }

    pub fn forget(&mut self, name: &str) -> bool {
        let known = self.by_name.remove(name).is_some();
        self.changed |= known;
        known
    }

    pub fn expire(&mut self, now: Mono) {
        let before = self.by_name.len();
        self.by_name.retain(|_, (_, seen)| now.since(*seen) < GHOST_LIFE);
        self.changed |= before != self.by_name.len();
    }

    pub fn list(&self) -> Vec<Ghost> {
        self.by_name.values().map(|(ghost, _)| ghost.clone()).collect()
    }

    pub fn len(&self) -> usize {
        self.by_name.len()
    }
}

/// What was refused of whom, newest kinds only: a page explains itself with it.
#[derive(Default)]
pub struct RefusalTable {
    rows: Vec<Refusal>,
    pub changed: bool,
}

const REFUSALS_MAX: usize = 32;

impl RefusalTable {
    pub fn note(&mut self, now: Wall, address: IpAddr, reason: Reject) {
        self.changed = true;
        let address = address.to_canonical();
        if let Some(row) = self.rows.iter_mut().find(|r| r.address == address && r.reason == reason)
        {
            row.count += 1;
            row.last = now;
            return;
        }
        if self.rows.len() >= REFUSALS_MAX {
            // The one that has been quiet for longest makes room: this table is for reading, not for judging.
            if let Some(oldest) = (0..self.rows.len()).min_by_key(|i| self.rows[*i].last) {
                self.rows.swap_remove(oldest);
            }
        }
        self.rows.push(Refusal { address, reason, count: 1, last: now });
    }

    /// Newest first.
    pub fn list(&self) -> Vec<Refusal> {
        let mut rows = self.rows.clone();
        rows.sort_by_key(|r| (std::cmp::Reverse(r.last), r.address));
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_at_its_limit_refuses_until_it_refills() {
        let mut bucket = Bucket::full(3, Mono::ZERO);
        let granted = (0..5).filter(|_| bucket.take(Mono::ZERO, 1, 3)).count();
        assert_eq!(granted, 3);
        assert!(bucket.take(Mono::from_secs(1), 1, 3));
        assert!(!bucket.take(Mono::from_secs(1), 1, 3));
    }

    #[test]
    fn u7_ghost_table_full_refuses_the_new_and_keeps_the_old() {
        let mut ghosts = GhostTable::default();
        let now = Now::default();
        let address = IpAddr::from([192, 0, 2, 1]);
        for name in ["a", "b", "c", "a"] {
            ghosts.note(now, name, address, Reject::UnknownHost, 2);
        }
        let list = ghosts.list();
        assert_eq!(
            list.iter().map(|g| (&*g.name, g.count)).collect::<Vec<_>>(),
            [("a", 2), ("b", 1)]
        );
        ghosts.expire(Mono::from_secs(3599));
        assert_eq!(ghosts.len(), 2);
        ghosts.expire(Mono::from_secs(3600));
        assert_eq!(ghosts.len(), 0);
    }
}
