//! How long to wait for an answer before the next try (PROTOCOL C8). Every gap of the agent is
//! here.

use crate::time::Duration;

/// A heartbeat is sent at most this often in all; the wire's `try` ends at 9.
pub(super) const BEAT_TRIES: u8 = 10;
/// A sample that a live server does not acknowledge is given up after this many tries.
pub(super) const SAMPLE_TRIES: u8 = 8;
/// Failures in a row that make a link dead: an IPv6 one that never worked is dropped, names are
/// looked
/// up anew.
pub(super) const FAILURES: u32 = 3;
/// Answers to samples may lie this long before they are read, all in one go: until the first sample would be
/// sent again.
pub(super) const QUIET: Duration = Duration::from_secs(1);
/// How long a shutdown message may take.
pub(super) const GOODBYE: Duration = Duration::from_secs(2);

const LONGEST: Duration = Duration::from_secs(30);

/// The wait after try number `attempt` (from 0) of a heartbeat: 1, 2, 4, 4, 4 .. s, or parts of a
/// short interval. At an interval of 30 s that makes nine tries: a link that loses one datagram in
/// five loses all of them once in two million heartbeats.
/// After the last try it is how long its answer may still take.
pub(super) fn beat_gap(interval: Duration, attempt: u8) -> Duration {
    let step = attempt.min(2);
    if interval >= Duration::from_secs(10) {
        Duration::from_secs(1 << step)
    } else {
        interval / (8 >> step)
    }
}

/// The wait after try number `attempt` (from 0) of a sample or message: 1, 2, 4 .. at most 30 s.
pub(super) fn item_gap(attempt: u8) -> Duration {
    Duration::from_secs(1 << attempt.min(5)).min(LONGEST)
}

/// The same while stopping: 250, 500 ms, 1 s.
pub(super) fn goodbye_gap(attempt: u8) -> Duration {
    Duration::from_millis(250 << attempt.min(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_follow_the_protocol() {
        let beat = |secs: f64| -> Vec<f64> {
            (0..5).map(|n| beat_gap(Duration::from_secs_f64(secs), n).as_secs_f64()).collect()
        };
        assert_eq!(beat(30.0), [1.0, 2.0, 4.0, 4.0, 4.0]);
        assert_eq!(beat(10.0), [1.0, 2.0, 4.0, 4.0, 4.0]);
        assert_eq!(beat(8.0), [1.0, 2.0, 4.0, 4.0, 4.0]);
        assert_eq!(beat(1.0), [0.125, 0.25, 0.5, 0.5, 0.5]);
        let item: Vec<u64> = (0..8).map(|n| item_gap(n).as_secs()).collect();
        assert_eq!(item, [1, 2, 4, 8, 16, 30, 30, 30]);
    }
}
