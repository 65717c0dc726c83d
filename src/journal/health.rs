//! Whether the journal can be written, what is to be told of it, and when it is tried again.

use crate::time::{Duration, Mono};

/// The first new attempt comes soon: a directory that was just replaced loses nothing.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// Later ones; well within the 10 s of THREATS S9.
pub const RETRY_EVERY: Duration = Duration::from_secs(5);
const LOG_EVERY: Duration = Duration::from_secs(60);
/// A queue that overflows again within this time is the same trouble.
const SLOW_PAUSE: Duration = Duration::from_secs(600);

/// What a failed attempt means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The first of this trouble: one event tells of it.
    pub first: bool,
    /// A line in the log is due.
    pub log: bool,
    /// What could not be written is kept for the next attempt; otherwise it is given up and counted.
    pub keep: bool,
}

/// The journal's health; made sound.
#[derive(Debug, Default)]
pub struct Health {
    trouble: Option<Trouble>,
    slow: Option<Slow>,
}

/// Records came faster than the disk took them.
#[derive(Debug)]
struct Slow {
    last: Mono,
    logged_at: Mono,
}

#[derive(Debug)]
struct Trouble {
    since: Mono,
    retry_at: Mono,
    logged_at: Mono,
}

impl Health {
    /// An attempt to write failed.
    pub fn failed(&mut self, now: Mono) -> Failure {
        let Some(trouble) = &mut self.trouble else {
            let retry_at = now + RETRY_FIRST;
            self.trouble = Some(Trouble { since: now, retry_at, logged_at: now });
            return Failure { first: true, log: true, keep: true };
        };
        trouble.retry_at = now + RETRY_EVERY;
        let log = now.since(trouble.logged_at) >= LOG_EVERY;
        if log {
            trouble.logged_at = now;
        }
        Failure { first: false, log, keep: false }
    }

    /// An attempt succeeded. How long it had not, where this is the end of a trouble.
    pub fn succeeded(&mut self, now: Mono) -> Option<Duration> {
        self.trouble.take().map(|trouble| now.since(trouble.since))
    }

    /// The queue was full meanwhile. Told like a failure; what waits is kept.
    pub fn overflowed(&mut self, now: Mono) -> Failure {
        let first = self.slow.as_ref().is_none_or(|slow| now.since(slow.last) >= SLOW_PAUSE);
        let log = self.slow.as_ref().is_none_or(|slow| now.since(slow.logged_at) >= LOG_EVERY);
        let logged_at = self.slow.as_ref().filter(|_| !log).map_or(now, |slow| slow.logged_at);
        self.slow = Some(Slow { last: now, logged_at });
        Failure { first, log, keep: true }
    }

    /// Before this nothing is tried; `None` while all is well.
    #[must_use]
    pub fn retry_at(&self) -> Option<Mono> {
        self.trouble.as_ref().map(|trouble| trouble.retry_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Mono {
        Mono::from_secs(100 + secs)
    }

    #[test]
    fn first_failure_is_told_and_loses_nothing() {
        let mut health = Health::default();
        assert_eq!(health.retry_at(), None);
        assert_eq!(health.failed(at(0)), Failure { first: true, log: true, keep: true });
        assert_eq!(health.retry_at(), Some(at(1)));
        assert_eq!(health.succeeded(at(1)), Some(Duration::from_secs(1)));
        assert_eq!((health.retry_at(), health.succeeded(at(2))), (None, None));
    }

    #[test]
    fn s9_slow_disk_is_told_once_and_logged_once_a_minute() {
        let mut health = Health::default();
        let told = (0..3600).map(|second| health.overflowed(at(second)));
        let (events, logged) = told.fold((0, 0), |(events, logged), told| {
            (events + u32::from(told.first), logged + u32::from(told.log))
        });
        assert_eq!((events, logged), (1, 60));
        assert!(health.overflowed(at(4200)).first);
        assert_eq!(health.retry_at(), None);
    }

    #[test]
    fn s9_trouble_that_lasts_is_logged_once_a_minute_and_tried_every_five_seconds() {
        let mut health = Health::default();
        let mut now = at(0);
        let (mut logged, mut events) = (0, 0);
        for _ in 0..=60 {
            let failure = health.failed(now);
            logged += u32::from(failure.log);
            events += u32::from(failure.first);
            assert_eq!(failure.keep, failure.first);
            let next = health.retry_at().unwrap();
            assert!(next.since(now) <= RETRY_EVERY);
            now = next;
        }
        // 5 minutes less 4 s of attempts: at the start and in each minute after it.
        assert_eq!((logged, events), (5, 1));
        assert!(health.succeeded(now).is_some());
        assert!(health.failed(now).first, "the next trouble is told anew");
    }
}
