//! What a receiver's answer means for a request, and how long to wait before it is tried again.

use crate::prng::Prng;
use crate::time::Duration;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Done,
    /// The receiver cannot take it now, or does not know us: the samples are good. With how long it asks to wait.
    Retry(Option<Duration>),
    /// Something in it will never be taken; what else is in it may be.
    Refused,
}

/// Longest wait that a receiver may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(600);

/// Only what is about the samples themselves is final: a wrong token or path is mended by people, and nothing is to
/// be lost until they do.
pub fn judge(status: u16, retry_after: Option<&str>) -> Verdict {
    match status {
        200..=299 => Verdict::Done,
        400 | 413 | 422 => Verdict::Refused,
        _ => {
            let secs = retry_after.and_then(|text| text.trim().parse::<u64>().ok());
            Verdict::Retry(secs.map(|secs| Duration::from_secs(secs).min(RETRY_AFTER_MAX)))
        }
    }
}

/// Pauses that double from 1 s to a minute, with up to a quarter of chance on top.
pub struct Backoff {
    failures: u32,
    prng: Prng,
}

impl Backoff {
    const FIRST: Duration = Duration::from_secs(1);
    const MAX: Duration = Duration::from_secs(60);

    pub fn new(seed: u64) -> Backoff {
        Backoff { failures: 0, prng: Prng::new(seed) }
    }

    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// How long to wait now, after one more failure; at least what the receiver asked for.
    pub fn failed(&mut self, asked: Option<Duration>) -> Duration {
        let pause = Self::FIRST.saturating_mul(1 << self.failures.min(6)).min(Self::MAX);
        self.failures = self.failures.saturating_add(1);
        let chance = pause.mul_f64(0.25 * self.prng.below(1000) as f64 / 1000.0);
        (pause + chance).max(asked.unwrap_or_default())
    }

    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_about_the_samples_is_final() {
        let secs = |secs| Some(Duration::from_secs(secs));
        let table = [
            (200, None, Verdict::Done),
            (204, None, Verdict::Done),
            (400, None, Verdict::Refused),
            (413, Some("5"), Verdict::Refused),
            (422, None, Verdict::Refused),
            (401, None, Verdict::Retry(None)),
            (404, None, Verdict::Retry(None)),
            (301, None, Verdict::Retry(None)),
            (429, Some("30"), Verdict::Retry(secs(30))),
            (503, Some("99999"), Verdict::Retry(secs(600))),
            (500, Some("Fri, 27 Nov 2026 23:00:00 GMT"), Verdict::Retry(None)),
        ];
        for (status, retry_after, want) in table {
            assert_eq!(judge(status, retry_after), want, "{status}");
        }
    }

    #[test]
    fn pauses_double_up_to_a_minute_and_begin_anew_after_a_success() {
        let mut backoff = Backoff::new(1);
        let pauses: Vec<u64> = (0..8).map(|_| backoff.failed(None).as_secs()).collect();
        for (pause, want) in pauses.iter().zip([1, 2, 4, 8, 16, 32, 60, 60]) {
            assert!((want..=want + want / 4).contains(pause), "{pauses:?}");
        }
        assert_eq!(backoff.failed(Some(Duration::from_secs(500))).as_secs(), 500);
        backoff.succeeded();
        assert!(backoff.failed(None) < Duration::from_secs(2));
    }
}
