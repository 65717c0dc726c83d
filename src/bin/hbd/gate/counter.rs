//! What the front counts, by name. Never decides anything.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        #[derive(Clone, Copy, Debug)]
        pub enum Count {
            $($(#[$doc])* $variant,)*
        }
        const NAMES: &[&str] = &[$($name,)*];
    };
}

counters! {
    Accepted = "http_accepted",
    AcceptErrors = "http_accept_errors",
    /// Closed in favour of a newer connection.
    Evicted = "http_evicted",
    /// Turned away at accept: no slot could be freed.
    TurnedAway = "http_turned_away",
    Requests = "http_requests",
    /// Answered by the gate with what was kept of an earlier answer.
    Kept = "http_kept",
    /// Answered by the gate itself with 4xx or 5xx.
    Refused = "http_refused",
    /// Closed or refused because a deadline passed.
    Overdue = "http_overdue",
    QueueFull = "http_queue_full",
    /// A long answer was refused because peers were slow to take others.
    MemoryFull = "http_memory_full",
    PoolFailed = "http_pool_failed",
    Panics = "http_panics",
    Upgrades = "ws_upgrades",
    WsRefused = "ws_refused",
    WsTooSlow = "ws_too_slow",
    WsBad = "ws_bad_messages",
    WsDead = "ws_dead",
}

#[derive(Debug)]
pub struct Counters([AtomicU64; NAMES.len()]);

impl Counters {
    pub fn new() -> Counters {
        Counters(std::array::from_fn(|_| AtomicU64::new(0)))
    }

    pub fn add(&self, count: Count) {
        self.0[count as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub fn list(&self) -> Vec<(&'static str, u64)> {
        NAMES.iter().zip(&self.0).map(|(name, n)| (*name, n.load(Ordering::Relaxed))).collect()
    }
}
