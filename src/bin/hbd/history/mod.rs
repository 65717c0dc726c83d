//! The thread `history`: numbers and standings over time, in a file of their own beside the store.
//!
//! A file of its own, because it is large where the store is small: the store is checked whole at every start and
//! commits within a quarter of a second, and neither has to wait for years of numbers. Commits come every eight
//! seconds, upkeep in steps of some hundredths of a second between them. A disk in trouble stops nothing: what waits
//! is bounded, and what is lost is counted.

mod base;
mod batch;
mod inbox;
mod keeper;
mod past;
mod rolling;
mod sorting;

#[cfg(test)]
mod kill_test;
#[cfg(test)]
mod tests;

pub use base::path_beside;
pub use inbox::{Handle, Pen, RECORD_BYTES};
pub use keeper::Keeper;
pub use past::Past;

use crate::pulse;
use heartbeat::config::server::Server;
use heartbeat::os::{clock, thread};
use heartbeat::time::{Duration, Mono};
use std::io;
use std::path::PathBuf;
use std::thread::JoinHandle;

/// What was recorded is on disk ten seconds later; two of them are for the disk.
const COMMIT_EVERY: Duration = Duration::from_secs(8);
const RETRY_EVERY: Duration = Duration::from_secs(10);
/// Between two steps of upkeep, so that readers and the rest of the machine have their turn.
const STEP_PAUSE: Duration = Duration::from_millis(60);
/// How often upkeep looks for something to do.
const UPKEEP_EVERY: Duration = Duration::from_secs(10);
const STACK: usize = 512 << 10;

#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub raw: Duration,
    pub rollup: Duration,
    /// Bytes.
    pub size_max: u64,
}

impl Settings {
    pub fn of(config: &Server) -> Settings {
        Settings {
            raw: config.history_raw,
            rollup: config.history_rollup,
            size_max: config.history_max_size,
        }
    }
}

/// The running thread.
pub struct Running {
    handle: Handle,
    thread: JoinHandle<()>,
}

impl Running {
    /// Commits what waits and ends the thread.
    pub fn stop(self) {
        self.handle.stop();
        let _ = self.thread.join();
    }
}

/// Starts the thread; it opens the file itself, so that nobody waits for one that a crash left to be checked.
pub fn start(handle: Handle, path: PathBuf, settings: Settings) -> io::Result<Running> {
    let keeper = Keeper::new(handle.clone(), path, settings);
    let thread = thread::spawn("history", STACK, move || run(keeper))?;
    Ok(Running { handle, thread })
}

fn run(mut keeper: Keeper) {
    let handle = keeper.handle.clone();
    let now = clock::now();
    if let Err(why) = keeper.open(now.wall) {
        log::error!("{why}; numbers are kept in memory and the file is tried again");
    }
    let mut commit_at = now.mono + COMMIT_EVERY;
    let mut step_at = now.mono + UPKEEP_EVERY;
    loop {
        pulse::waits();
        let called = handle.wait(commit_at.min(step_at));
        pulse::works();
        let now = clock::now();
        if called || now.mono >= commit_at || handle.is_urgent() {
            let taken = handle.take();
            let stopping = taken.stopping;
            let written = keeper.commit(now.wall, taken);
            if stopping {
                keeper.close();
                return;
            }
            let pause = if written { COMMIT_EVERY } else { RETRY_EVERY };
            commit_at = clock::now().mono + pause;
            if !written {
                step_at = commit_at + STEP_PAUSE;
            }
        }
        step_at = upkeep(&mut keeper, step_at);
    }
}

/// Takes a step where it is time for one; when the next is.
fn upkeep(keeper: &mut Keeper, at: Mono) -> Mono {
    let now = clock::now();
    if now.mono < at {
        return at;
    }
    let more = keeper.step(now.wall);
    clock::now().mono + if more { STEP_PAUSE } else { UPKEEP_EVERY }
}
