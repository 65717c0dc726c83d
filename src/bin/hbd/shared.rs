//! What the threads share: the published view, the configuration in force, a few counters. Nothing else.

use heartbeat::config::server::Server;
use heartbeat::engine::view::View;
use heartbeat::web::Facts;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, PoisonError, RwLock};

pub struct Shared {
    view: RwLock<Arc<View>>,
    config: RwLock<Arc<Server>>,
    pub facts: Facts,
    /// Stamped by each turn of the engine's thread.
    pub engine_turns: AtomicU64,
    /// Replies that the kernel did not take.
    pub replies_dropped: AtomicU64,
    /// Orders that found the engine's inbox full.
    pub orders_dropped: AtomicU64,
}

impl Shared {
    pub fn new(view: Arc<View>, config: Arc<Server>, facts: Facts) -> Shared {
        Shared {
            view: RwLock::new(view),
            config: RwLock::new(config),
            facts,
            engine_turns: AtomicU64::new(0),
            replies_dropped: AtomicU64::new(0),
            orders_dropped: AtomicU64::new(0),
        }
    }

    pub fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The old view is dropped outside the lock: it may be large.
    pub fn set_view(&self, view: Arc<View>) {
        let old = {
            let mut slot = self.view.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *slot, view)
        };
        drop(old);
    }

    pub fn config(&self) -> Arc<Server> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn set_config(&self, config: Arc<Server>) {
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
    }
}
