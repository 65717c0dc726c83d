//! What the threads share: the published view, the configuration in force, a few counters. Nothing else.
//!
//! Views are made on demand: the engine's thread only marks that the last one is out of date, and a reader who
//! finds the mark asks for a new one and waits for it. Nobody reads something older than what was answered to
//! them, and a fleet that nobody looks at costs one view in ten seconds, the supervisor's.

use crate::handling::Handling;
use heartbeat::config::server::Server;
use heartbeat::engine::view::View;
use heartbeat::os::notes::Desk;
use heartbeat::web::Facts;
use mio::Waker;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;

/// A reader takes the last view where the engine's thread has no time for a new one within this.
const FRESH_WITHIN: Duration = Duration::from_millis(200);

/// The last view and how many there were.
struct Slot {
    view: Arc<View>,
    count: u64,
    /// The one before, for whoever waited for this one to drop: it may be large, and the engine has no time for that.
    old: Option<Arc<View>>,
}

pub struct Shared {
    slot: Mutex<Slot>,
    fresh: Condvar,
    /// Something changed since the last view.
    stale: AtomicBool,
    /// A reader waits for a new view.
    wanted: AtomicBool,
    /// Wakes the engine's thread, once it runs.
    waker: OnceLock<Arc<Waker>>,
    config: RwLock<Arc<Server>>,
    pub facts: Facts,
    /// Why the last reload was refused.
    pub reload_fault: Mutex<Option<Arc<str>>>,
    /// What the heartbeats to the other server of a pair say.
    pub notes: Desk,
    /// Whether a thread stood still at the supervisor's last look.
    pub stalled: AtomicBool,
    /// Replies that the kernel did not take.
    pub replies_dropped: AtomicU64,
    /// Orders that found the engine's inbox full.
    pub orders_dropped: AtomicU64,
    pub handling: Handling,
    /// Live connections that are open.
    pub viewers: AtomicUsize,
    /// What the supervisor found at its last look: messages a second, and what 99 of 100 datagrams took at most.
    pub pace: Mutex<(Option<f64>, Option<Duration>)>,
}

impl Shared {
    pub fn new(view: Arc<View>, config: Arc<Server>, facts: Facts) -> Shared {
        Shared {
            slot: Mutex::new(Slot { view, count: 0, old: None }),
            fresh: Condvar::new(),
            stale: AtomicBool::new(false),
            wanted: AtomicBool::new(false),
            waker: OnceLock::new(),
            config: RwLock::new(config),
            facts,
            reload_fault: Mutex::new(None),
            notes: Desk::default(),
            stalled: AtomicBool::new(false),
            replies_dropped: AtomicU64::new(0),
            orders_dropped: AtomicU64::new(0),
            handling: Handling::default(),
            viewers: AtomicUsize::new(0),
            pace: Mutex::default(),
        }
    }

    pub fn set_waker(&self, waker: Arc<Waker>) {
        let _ = self.waker.set(waker);
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fleet as it is now: whatever was acknowledged before the call is in it.
    pub fn view(&self) -> Arc<View> {
        let slot = self.slot();
        let Some(waker) = self.waker.get().filter(|_| self.stale.load(Ordering::Acquire)) else {
            return Arc::clone(&slot.view);
        };
        let seen = slot.count;
        self.wanted.store(true, Ordering::Release);
        if let Err(error) = waker.wake() {
            log::error!("the engine cannot be woken error={error}");
        }
        let waited = self.fresh.wait_timeout_while(slot, FRESH_WITHIN, |slot| slot.count == seen);
        let (mut slot, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let (view, old) = (Arc::clone(&slot.view), slot.old.take());
        drop(slot);
        drop(old);
        view
    }

    /// The last view where nothing has changed since. Never waits.
    pub fn view_if_fresh(&self) -> Option<Arc<View>> {
        let slot = self.slot();
        let is_fresh = self.waker.get().is_none() || !self.stale.load(Ordering::Acquire);
        is_fresh.then(|| Arc::clone(&slot.view))
    }

    /// For the engine's thread, before the answers to what changed leave it.
    pub fn mark_stale(&self) {
        self.stale.store(true, Ordering::Release);
    }

    pub fn is_view_wanted(&self) -> bool {
        self.wanted.load(Ordering::Acquire)
    }

    /// For the engine's thread.
    pub fn set_view(&self, view: Arc<View>) {
        let older = {
            let mut slot = self.slot();
            self.stale.store(false, Ordering::Release);
            self.wanted.store(false, Ordering::Release);
            slot.count += 1;
            let old = std::mem::replace(&mut slot.view, view);
            slot.old.replace(old)
        };
        self.fresh.notify_all();
        // Still there only where nobody waited for its successor.
        drop(older);
    }

    pub fn config(&self) -> Arc<Server> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn set_config(&self, config: Arc<Server>) {
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
    }
}
