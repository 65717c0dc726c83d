//! How long datagrams take from the moment they can be read to the moment their answers are sent, as counts by
//! length. Written by the engine's thread alone, read by the supervisor every ten seconds; nobody waits for anybody.

use heartbeat::time::Duration;
use std::sync::atomic::{AtomicU64, Ordering};

/// Four to an octave: a figure is right to a fifth.
const STEPS: u32 = 4;
/// Microseconds up to 2³⁰, eighteen minutes; what takes longer counts as that.
const BUCKETS: usize = 30 * STEPS as usize;

pub struct Handling {
    buckets: [AtomicU64; BUCKETS],
}

impl Default for Handling {
    fn default() -> Handling {
        Handling { buckets: [const { AtomicU64::new(0) }; BUCKETS] }
    }
}

impl Handling {
    /// So many datagrams took so long.
    pub fn note(&self, datagrams: usize, took: Duration) {
        let at = bucket(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        self.buckets[at].fetch_add(datagrams as u64, Ordering::Relaxed);
    }

    pub fn counts(&self) -> Counts {
        Counts(std::array::from_fn(|at| self.buckets[at].load(Ordering::Relaxed)))
    }
}

/// The counts of one moment.
#[derive(Clone)]
pub struct Counts([u64; BUCKETS]);

impl Default for Counts {
    fn default() -> Counts {
        Counts([0; BUCKETS])
    }
}

impl Counts {
    /// What 99 of 100 datagrams since `before` took at most; `None` where there was none.
    pub fn p99_since(&self, before: &Counts) -> Option<Duration> {
        let pairs = self.0.iter().zip(&before.0);
        let new: Vec<u64> = pairs.map(|(now, then)| now.saturating_sub(*then)).collect();
        let wanted = (new.iter().sum::<u64>() * 99).div_ceil(100);
        let mut seen = 0;
        let at = new.iter().position(|count| {
            seen += count;
            wanted > 0 && seen >= wanted
        })?;
        Some(upper(at))
    }
}

fn bucket(micros: u64) -> usize {
    let micros = micros.max(1);
    let octave = micros.ilog2();
    // The two bits after the first.
    let step = ((u128::from(micros) << 2 >> octave) & 3) as u32;
    ((octave * STEPS + step) as usize).min(BUCKETS - 1)
}

/// The end of a bucket.
fn upper(at: usize) -> Duration {
    let (octave, step) = (at as u32 / STEPS, u64::from(at as u32 % STEPS));
    Duration::from_micros(((u64::from(STEPS) + step + 1) << octave) / u64::from(STEPS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentile_is_that_of_what_came_since() {
        let handling = Handling::default();
        assert_eq!(handling.counts().p99_since(&Counts::default()), None);
        handling.note(1000, Duration::from_micros(70_000));
        let before = handling.counts();
        handling.note(990, Duration::from_micros(100));
        handling.note(10, Duration::from_micros(9_000));
        let p99 = handling.counts().p99_since(&before).unwrap();
        assert!((100..=125).contains(&p99.as_micros()), "{p99:?}");
        handling.note(11, Duration::from_micros(9_000));
        let p99 = handling.counts().p99_since(&before).unwrap();
        assert!((9_000..=11_250).contains(&p99.as_micros()), "{p99:?}");
    }

    #[test]
    fn bucket_holds_its_lengths_and_ends_never() {
        for micros in (1..4000).chain([1 << 20, 1 << 40, u64::MAX >> 3]) {
            let at = bucket(micros);
            let end = upper(at).as_micros() as u64;
            let is_near = micros <= end + 1 && end <= micros + micros / 4 + 1;
            assert!(at == BUCKETS - 1 || is_near, "{micros}: {end}");
        }
        Handling::default().note(1, Duration::MAX);
    }
}
