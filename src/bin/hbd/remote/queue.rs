//! What waits for the receiver: in memory while it takes what comes, on disk as soon as it does not.
//!
//! Two threads share it: one puts blocks in, one takes them out, sends them and says how that went. The order is
//! that of coming in, over both places; a block leaves only when it is done with.

use super::disk::Disk;
use heartbeat::limits::REMOTE_MEMORY;
use heartbeat::os::clock;
use heartbeat::remote::{Block, Position};
use heartbeat::time::{Duration, Mono, Wall};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// A disk that does not take blocks is tried again after so long; meanwhile they stay in memory.
const DISK_AGAIN: Duration = Duration::from_secs(10);

/// The block that is being sent, and where it came from.
#[derive(Clone)]
pub struct Taken {
    pub block: Arc<Block>,
    /// `None`: from memory.
    place: Option<Position>,
}

#[derive(Default)]
struct State {
    memory: VecDeque<Arc<Block>>,
    memory_bytes: usize,
    /// Out for sending; from memory it stands in no other place.
    taken: Option<Taken>,
    disk: Option<Disk>,
    disk_again: Mono,
    /// The receiver does not take blocks: they all belong on disk.
    failing: bool,
    /// Sending is switched on.
    on: bool,
    /// Settings changed: what is known of the receiver is out of date.
    changed: bool,
    stopping: bool,
}

/// Both ends of the queue.
pub struct Queue {
    dir: PathBuf,
    state: Mutex<State>,
    moved: Condvar,
    pub sent: AtomicU64,
    pub refused: AtomicU64,
    pub overflowed: AtomicU64,
}

/// What the figures tell of it.
pub struct Depth {
    pub bytes: u64,
    pub samples: u64,
    pub oldest: Option<Wall>,
}

impl Queue {
    pub fn new(dir: PathBuf) -> Queue {
        Queue {
            dir,
            state: Mutex::default(),
            moved: Condvar::new(),
            sent: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            overflowed: AtomicU64::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the disk where that was not done yet, and lets the other thread see new settings.
    pub fn configure(&self, on: bool, bytes_max: u64) {
        let mut state = self.lock();
        if on && state.disk.is_none() {
            self.open(&mut state, bytes_max);
        }
        if let Some(disk) = &mut state.disk {
            disk.set_bytes_max(bytes_max);
        }
        (state.on, state.changed) = (on, true);
        self.moved.notify_all();
    }

    fn open(&self, state: &mut State, bytes_max: u64) {
        match Disk::open(&self.dir, bytes_max) {
            Ok(disk) => {
                if !disk.is_empty() {
                    log::info!("remote_write: {} samples wait from before", disk.samples());
                }
                state.disk = Some(disk);
            }
            Err(error) => log::error!("remote_write: {}: {error}", self.dir.display()),
        }
    }

    /// Puts a block behind all others.
    pub fn push(&self, block: Block) {
        let mut state = self.lock();
        state.memory_bytes += block.body.len();
        state.memory.push_back(Arc::new(block));
        // On disk is what came before: nothing overtakes it there.
        let disk_first = state.disk.as_ref().is_some_and(|disk| !disk.is_empty());
        if state.failing || disk_first || state.memory_bytes > REMOTE_MEMORY {
            self.spill(&mut state);
        }
        while state.memory_bytes > REMOTE_MEMORY {
            // The disk does not take it either.
            let Some(oldest) = state.memory.pop_front() else { break };
            state.memory_bytes -= oldest.body.len();
            self.overflowed.fetch_add(u64::from(oldest.samples), Ordering::Relaxed);
        }
        self.moved.notify_all();
    }

    /// Moves what is in memory to the disk, in its order.
    fn spill(&self, state: &mut State) {
        let now = clock::now().mono;
        let Some(disk) = state.disk.as_mut().filter(|_| now >= state.disk_again) else { return };
        while let Some(block) = state.memory.pop_front() {
            state.memory_bytes -= block.body.len();
            if let Err(error) = disk.append(&block) {
                log::error!("remote_write: {}: {error}", self.dir.display());
                state.memory_bytes += block.body.len();
                state.memory.push_front(block);
                state.disk_again = now + DISK_AGAIN;
                break;
            }
        }
        self.overflowed.fetch_add(disk.take_lost(), Ordering::Relaxed);
    }

    /// The next block to send, as soon as there is one and `not_before` has come; the same one again until it is
    /// done with. `None`: look at `is_stopping` and at what `take_changed` says.
    pub fn next(&self, not_before: Mono) -> Option<Taken> {
        let mut state = self.lock();
        loop {
            let early = not_before.since(clock::now().mono);
            if state.stopping || state.changed {
                return None;
            }
            if state.on && early.is_zero() {
                if state.taken.is_none() {
                    state.taken = self.take(&mut state);
                }
                if let Some(taken) = &state.taken {
                    return Some(taken.clone());
                }
            }
            let span = if early.is_zero() { Duration::from_secs(1) } else { early };
            let woken = self.moved.wait_timeout(state, span.min(Duration::from_secs(1)));
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn take(&self, state: &mut State) -> Option<Taken> {
        let from_disk = state.disk.as_mut().and_then(|disk| {
            let front = disk.front();
            self.overflowed.fetch_add(disk.take_lost(), Ordering::Relaxed);
            front
        });
        if let Some((place, block)) = from_disk {
            return Some(Taken { block: Arc::new(block), place: Some(place) });
        }
        let block = state.memory.pop_front()?;
        state.memory_bytes -= block.body.len();
        Some(Taken { block, place: None })
    }

    /// The block that was out is done with.
    pub fn done(&self) {
        let mut state = self.lock();
        state.failing = false;
        let Some(Taken { block, place }) = state.taken.take() else { return };
        if let (Some(place), Some(disk)) = (place, &mut state.disk) {
            disk.advance(place, &block);
        }
    }

    /// The receiver does not take it now: everything goes to the disk, this block first.
    pub fn failed(&self) {
        let mut state = self.lock();
        state.failing = true;
        self.save(&mut state);
    }

    fn save(&self, state: &mut State) {
        if let Some(Taken { block, place: None }) = &state.taken
            && let Some(disk) = &mut state.disk
            && disk.prepend(block).is_ok()
        {
            // From now on it is the first on disk; it is taken from there again.
            state.taken = None;
        }
        self.spill(state);
    }

    /// Whether there are new settings; forgets it.
    pub fn take_changed(&self) -> bool {
        std::mem::take(&mut self.lock().changed)
    }

    pub fn is_stopping(&self) -> bool {
        self.lock().stopping
    }

    /// Saves what is in memory and lets both threads end.
    pub fn stop(&self) {
        let mut state = self.lock();
        state.stopping = true;
        self.save(&mut state);
        self.moved.notify_all();
    }

    pub fn depth(&self) -> Depth {
        let state = self.lock();
        let disk = state.disk.as_ref();
        let loose = state.taken.iter().filter(|taken| taken.place.is_none());
        let memory = || loose.clone().map(|taken| &taken.block).chain(&state.memory);
        let bytes: u64 = memory().map(|block| block.body.len() as u64).sum();
        let samples: u64 = memory().map(|block| u64::from(block.samples)).sum();
        let oldest = state.taken.as_ref().map(|taken| taken.block.oldest);
        Depth {
            bytes: bytes + disk.map_or(0, Disk::bytes),
            samples: samples + disk.map_or(0, Disk::samples),
            oldest: oldest.or_else(|| state.memory.front().map(|block| block.oldest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(n: u32) -> Block {
        Block { body: vec![0; 1000], samples: n, oldest: Wall::from_secs(i64::from(n)) }
    }

    fn queue(dir: &std::path::Path) -> Queue {
        let queue = Queue::new(dir.to_owned());
        queue.configure(true, 1 << 30);
        assert!(queue.take_changed() && !queue.take_changed());
        queue
    }

    fn next(queue: &Queue) -> u32 {
        queue.next(Mono::ZERO).unwrap().block.samples
    }

    #[test]
    fn blocks_stay_in_memory_while_they_are_taken() {
        let dir = tempfile::tempdir().unwrap();
        let queue = queue(dir.path());
        for n in 1..=3 {
            queue.push(block(n));
            assert_eq!((next(&queue), next(&queue)), (n, n), "the same until it is done with");
            queue.done();
        }
        assert!(std::fs::read_dir(dir.path()).unwrap().count() <= 1, "no segment was written");
    }

    #[test]
    fn what_is_not_taken_survives_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let first = queue(dir.path());
        (1..=3).for_each(|n| first.push(block(n)));
        assert_eq!(next(&first), 1);
        first.failed();
        first.push(block(4));
        assert_eq!(first.depth().samples, 10);
        assert_eq!(next(&first), 1, "it is still the first");
        // Killed here.
        drop(first);
        let second = queue(dir.path());
        second.push(block(5));
        for n in 1..=4 {
            assert_eq!(next(&second), n);
            second.done();
        }
        assert_eq!(next(&second), 5);
        second.stop();
        drop(second);
        let third = queue(dir.path());
        assert_eq!(next(&third), 5, "it was saved at the stop");
        third.done();
        assert_eq!(third.depth().samples, 0);
    }
}
