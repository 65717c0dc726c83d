//! The threads `notify-<channel>`: one for each configured channel, at most 16, each with a bounded inbox.
//!
//! They carry out one try each and say what came of it; what is tried again, and when, is the engine's outbox's to
//! decide, so a thread that dies loses nothing. A channel that hangs holds up no other. The configuration is read
//! anew at each try: a reload needs no restart.

mod board;
mod dead_man;
mod http;
mod roots;
mod smtp;
mod test;
mod transport;
mod worker;

pub use board::Board;
pub use dead_man::DeadMan;

use crate::engine;
use crate::shared::Shared;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use heartbeat::config::server::Server;
use heartbeat::notice::Message;
use heartbeat::os::{clock, thread};
use roots::Roots;
use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Threads; more channels than these share them.
const WORKERS_MAX: usize = 16;
/// Messages that wait for one thread; one more stays in the outbox for a second.
const INBOX_MAX: usize = 64;
/// A handshake takes 30 KiB of it (smaps, x86_64); the rest is room.
const STACK: usize = 256 << 10;
/// What is under way at the end may take this long; what is not done by then is sent after the restart.
const STOP_WITHIN: Duration = Duration::from_secs(1);

/// A message, and the promise that it is in the store.
pub struct Job {
    pub message: Box<Message>,
    pub saved: Receiver<bool>,
}

/// What all threads of this room use.
pub struct Common {
    pub shared: Arc<Shared>,
    pub roots: Roots,
    pub board: Board,
    engine: OnceLock<engine::Inbox>,
    stopping: AtomicBool,
}

/// The one handle: of the engine's thread, of the supervisor, of the front.
#[derive(Clone)]
pub struct Handle {
    common: Arc<Common>,
    workers: Arc<Mutex<Vec<Worker>>>,
    /// Held while a test runs: one at a time.
    testing: Arc<Mutex<()>>,
}

struct Worker {
    /// The channels it serves.
    names: BTreeSet<String>,
    jobs: Sender<Job>,
    thread: JoinHandle<()>,
}

impl Handle {
    pub fn new(shared: Arc<Shared>) -> Handle {
        let common = Common {
            shared,
            roots: Roots::load(),
            board: Board::default(),
            engine: OnceLock::new(),
            stopping: AtomicBool::new(false),
        };
        Handle { common: Arc::new(common), workers: Arc::default(), testing: Arc::default() }
    }

    /// Names the engine and starts the threads that the configuration needs.
    pub fn start(&self, engine: engine::Inbox, config: &Server) -> io::Result<()> {
        let _ = self.common.engine.set(engine);
        self.configure(config)
    }

    /// Starts and ends threads, so that each channel has one.
    pub fn configure(&self, config: &Server) -> io::Result<()> {
        let mut workers = self.lock();
        for worker in workers.iter_mut() {
            worker.names.retain(|name| config.channels.contains_key(name));
        }
        // A thread whose inbox is dropped answers what is in it and ends.
        workers.retain(|worker| !worker.names.is_empty());
        for name in config.channels.keys() {
            if workers.iter().any(|worker| worker.names.contains(name)) {
                continue;
            }
            if workers.len() < WORKERS_MAX {
                let (jobs, inbox) = bounded(INBOX_MAX);
                let common = Arc::clone(&self.common);
                let body = move || worker::run(&common, &inbox);
                let thread = thread::spawn(&format!("notify-{name}"), STACK, body)?;
                workers.push(Worker { names: BTreeSet::new(), jobs, thread });
            }
            if let Some(least) = workers.iter_mut().min_by_key(|worker| worker.names.len()) {
                least.names.insert(name.clone());
            }
        }
        self.common.board.keep(|name| config.channels.contains_key(name));
        Ok(())
    }

    /// Hands a message to its channel's thread; `false` where there is no room. Never waits for anything but the
    /// list of threads, which nobody holds for long.
    pub fn send(&self, job: Job) -> bool {
        let workers = self.lock();
        let channel = &job.message.receiver.channel;
        let Some(worker) = workers.iter().find(|worker| worker.names.contains(&**channel)) else {
            return false;
        };
        match worker.jobs.try_send(job) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }

    pub fn board(&self) -> &Board {
        &self.common.board
    }

    /// Ends the threads. One that waits for a service that does not answer is not waited for: what it has is in the
    /// store.
    pub fn stop(&self) {
        self.common.stopping.store(true, Ordering::Release);
        let workers = std::mem::take(&mut *self.lock());
        let threads: Vec<JoinHandle<()>> =
            workers.into_iter().map(|worker| worker.thread).collect();
        let until = clock::now().mono + STOP_WITHIN;
        let (_keep, never) = bounded::<()>(0);
        while threads.iter().any(|thread| !thread.is_finished()) && clock::now().mono < until {
            let _ = never.recv_timeout(Duration::from_millis(5));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Worker>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
