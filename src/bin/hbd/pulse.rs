//! Whether each thread still moves (THREATS S11).
//!
//! A thread says when it works and when it waits; one that works on the same thing for too long stands still.
//! Waiting is always well: a thread that waits is woken by what comes. The supervisor looks, and judges by its own
//! looks and by no clock, so that a process that was stopped or slept is not taken for one that stands still.

use heartbeat::time::Duration;
use std::cell::OnceCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// One thread. Its counter is odd while it works; only the thread itself changes it.
struct Pulse {
    name: String,
    turns: AtomicU64,
}

/// All threads that told their name; there are as many as there are threads, and they end with the process.
static PULSES: Mutex<Vec<Arc<Pulse>>> = Mutex::new(Vec::new());

thread_local! {
    static OWN: OnceCell<Arc<Pulse>> = const { OnceCell::new() };
}

/// From now on this thread works on something.
pub fn works() {
    OWN.with(|own| step(own.get_or_init(enter), 1));
}

/// From now on this thread waits to be woken.
pub fn waits() {
    OWN.with(|own| step(own.get_or_init(enter), 0));
}

fn enter() -> Arc<Pulse> {
    let name = std::thread::current().name().unwrap_or("unnamed").to_owned();
    let pulse = Arc::new(Pulse { name, turns: AtomicU64::new(0) });
    PULSES.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&pulse));
    pulse
}

fn step(pulse: &Pulse, parity: u64) {
    let turns = pulse.turns.load(Ordering::Relaxed);
    let next = turns + 1 + u64::from((turns + 1) % 2 != parity);
    pulse.turns.store(next, Ordering::Relaxed);
}

/// How often a thread has begun to work; 0 where none has that name.
pub fn turns(name: &str) -> u64 {
    let pulses = PULSES.lock().unwrap_or_else(PoisonError::into_inner);
    let named = pulses.iter().find(|pulse| pulse.name == name);
    named.map_or(0, |pulse| pulse.turns.load(Ordering::Relaxed).div_ceil(2))
}

/// What the supervisor has seen of each thread.
#[derive(Default)]
pub struct Watch {
    seen: Vec<Seen>,
}

struct Seen {
    turns: u64,
    /// How long it has been at the same work, by looks.
    still: Duration,
}

impl Watch {
    /// Looks at all threads, `since` the last look at most. The one that has stood still longest, if it is `limit`.
    pub fn look(&mut self, since: Duration, limit: Duration) -> Option<(String, Duration)> {
        self.look_at(since, limit, |_| true)
    }

    fn look_at(
        &mut self,
        since: Duration,
        limit: Duration,
        is_judged: impl Fn(&str) -> bool,
    ) -> Option<(String, Duration)> {
        let pulses = PULSES.lock().unwrap_or_else(PoisonError::into_inner);
        self.seen.resize_with(pulses.len(), || Seen { turns: 0, still: Duration::ZERO });
        let mut worst: Option<(&str, Duration)> = None;
        for (pulse, seen) in pulses.iter().zip(&mut self.seen) {
            let turns = pulse.turns.load(Ordering::Relaxed);
            let stands = turns == seen.turns && turns % 2 == 1;
            seen.still = if stands { seen.still + since } else { Duration::ZERO };
            seen.turns = turns;
            let is_long = seen.still >= limit && is_judged(&pulse.name);
            if is_long && worst.is_none_or(|(_, span)| span < seen.still) {
                worst = Some((&pulse.name, seen.still));
            }
        }
        worst.map(|(name, span)| (name.to_owned(), span))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam_channel::bounded;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn thread_that_works_on_one_thing_for_long_stands_still() {
        let (go, told) = bounded::<()>(0);
        let (done, heard) = bounded::<()>(0);
        let body = move || {
            for _ in told {
                works();
                let _ = done.send(());
            }
            waits();
            let _ = done.send(());
        };
        let thread = heartbeat::os::thread::spawn("pulse-test", 64 << 10, body).unwrap();
        let mut watch = Watch::default();
        let mut look = || {
            // Other tests of this process have threads too.
            let found = watch.look_at(SECOND, 2 * SECOND, |name| name == "pulse-test");
            found.map(|(_, span)| span)
        };
        let work = || {
            go.send(()).unwrap();
            heard.recv().unwrap();
        };
        work();
        assert_eq!([look(), look(), look()], [None, None, Some(2 * SECOND)]);
        work();
        assert_eq!([look(), look()], [None, None]);
        drop(go);
        heard.recv().unwrap();
        assert_eq!([look(), look(), look(), look()], [None; 4]);
        thread.join().unwrap();
    }
}
