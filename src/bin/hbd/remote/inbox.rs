//! The way from the engine to the thread that makes requests: a bounded list behind a lock that is held to append
//! or to swap. While nothing is sent anywhere, what comes is dropped at the door.

use super::Settings;
use heartbeat::engine::Recorded;
use heartbeat::limits::REMOTE_QUEUE;
use heartbeat::os::clock;
use heartbeat::time::{Duration, Mono};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// What the thread is asked beside making requests.
#[derive(Default)]
pub struct Orders {
    /// New settings; `Some(None)` switches it off.
    pub settings: Option<Option<Settings>>,
    pub stopping: bool,
}

impl Orders {
    fn any(&self) -> bool {
        self.settings.is_some() || self.stopping
    }
}

#[derive(Default)]
struct Waiting {
    records: Vec<Recorded>,
    /// Numbers in them.
    samples: usize,
    orders: Orders,
}

#[derive(Default)]
struct Inbox {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    on: AtomicBool,
    dropped: AtomicU64,
}

/// Remote-write as other threads know it; cheap to clone.
#[derive(Clone, Default)]
pub struct Handle(Arc<Inbox>);

impl Handle {
    /// A new end for the one who records.
    pub fn pen(&self) -> Pen {
        Pen { handle: self.clone(), gathered: Vec::new() }
    }

    /// From now on by these settings; `None`: nothing is sent.
    pub fn configure(&self, settings: Option<Settings>) {
        self.0.on.store(settings.is_some(), Ordering::Relaxed);
        self.lock().orders.settings = Some(settings);
        self.0.changed.notify_one();
    }

    /// Samples that found the list full.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// Samples that wait to be put into a request.
    pub fn depth(&self) -> usize {
        self.lock().samples
    }

    pub(super) fn stop(&self) {
        self.lock().orders.stopping = true;
        self.0.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for orders, or until there is something and `not_before` has come, or much waits.
    pub(super) fn take(&self, not_before: Mono, urgent: usize) -> (Vec<Recorded>, Orders) {
        let mut waiting = self.lock();
        loop {
            let early = not_before.since(clock::now().mono);
            let something = !waiting.records.is_empty();
            let due = something && (early.is_zero() || waiting.samples >= urgent);
            if due || waiting.orders.any() {
                waiting.samples = 0;
                let records = std::mem::take(&mut waiting.records);
                return (records, std::mem::take(&mut waiting.orders));
            }
            // What comes early is gathered: nobody wakes this thread for it.
            let span = if something { early } else { Duration::from_secs(1) };
            let woken = self.0.changed.wait_timeout(waiting, span);
            waiting = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn put(&self, records: &mut Vec<Recorded>) {
        let mut waiting = self.lock();
        for recorded in records.drain(..) {
            let samples = waiting.samples + heartbeat::remote::count(&recorded);
            if samples > REMOTE_QUEUE {
                let lost = heartbeat::remote::count(&recorded) as u64;
                self.0.dropped.fetch_add(lost, Ordering::Relaxed);
                continue;
            }
            waiting.samples = samples;
            waiting.records.push(recorded);
        }
        let much = waiting.samples > REMOTE_QUEUE / 2;
        drop(waiting);
        if much {
            self.0.changed.notify_one();
        }
    }
}

/// The engine's end: gathers what a batch of datagrams brought.
pub struct Pen {
    handle: Handle,
    gathered: Vec<Recorded>,
}

impl Pen {
    /// Whether anybody wants it.
    pub fn is_wanted(&self) -> bool {
        self.handle.0.on.load(Ordering::Relaxed)
    }

    pub fn write(&mut self, recorded: Recorded) {
        if heartbeat::remote::count(&recorded) > 0 {
            self.gathered.push(recorded);
        }
    }

    /// Hands over what was gathered; never waits for a disk or a receiver.
    pub fn hand_over(&mut self) {
        if !self.gathered.is_empty() {
            self.handle.put(&mut self.gathered);
        }
    }
}
