//! How each channel fares: for `/healthz`, `/metrics`, the settings page and the banner. Owns nothing that a
//! restart would miss.

use heartbeat::config::server::Server;
use heartbeat::engine::view::View;
use heartbeat::notice::channel::Verdict;
use heartbeat::time::Wall;
use heartbeat::web::ChannelFact;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Default)]
struct Row {
    last_success: Option<Wall>,
    last_error: Option<(Wall, String)>,
    failing_since: Option<Wall>,
    delivered: u64,
    retried: u64,
    failed: u64,
}

#[derive(Default)]
pub struct Board(Mutex<BTreeMap<String, Row>>);

/// What a try changed in the channel's health.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    Same,
    Broke,
    Healed,
}

impl Board {
    /// Notes what came of a try.
    pub fn note(&self, name: &str, at: Wall, verdict: Verdict, error: Option<&str>) -> Turn {
        let mut rows = self.lock();
        let row = rows.entry(name.to_owned()).or_default();
        match verdict {
            Verdict::Done => row.delivered += 1,
            Verdict::Retry { .. } => row.retried += 1,
            Verdict::Failed => row.failed += 1,
        }
        if verdict == Verdict::Done {
            row.last_success = Some(at);
            return if row.failing_since.take().is_some() { Turn::Healed } else { Turn::Same };
        }
        row.last_error = Some((at, error.unwrap_or("failed").to_owned()));
        if row.failing_since.is_some() {
            return Turn::Same;
        }
        row.failing_since = Some(at);
        Turn::Broke
    }

    /// Forgets channels that are gone.
    pub fn keep(&self, exists: impl Fn(&str) -> bool) {
        self.lock().retain(|name, _| exists(name));
    }

    /// One entry for each configured channel, by name.
    pub fn facts(&self, config: &Server, view: &View) -> Vec<ChannelFact> {
        let rows = self.lock();
        let none = Row::default();
        let fact = |(name, channel): (&String, &heartbeat::config::server::Channel)| {
            let row = rows.get(name).unwrap_or(&none);
            ChannelFact {
                name: name.clone(),
                kind: channel.kind.as_str(),
                enabled: channel.enabled,
                queued: view.queued.get(name.as_str()).copied().unwrap_or(0),
                last_success: row.last_success,
                last_error: row.last_error.clone(),
                failing_since: row.failing_since,
                delivered: row.delivered,
                retried: row.retried,
                failed: row.failed,
            }
        };
        config.channels.iter().map(fact).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Row>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn channel_breaks_once_and_heals_once() {
        let board = Board::default();
        let at = Wall::from_secs;
        let retry = Verdict::Retry { after: Duration::ZERO };
        assert_eq!(board.note("a", at(1), Verdict::Done, None), Turn::Same);
        assert_eq!(board.note("a", at(2), retry, Some("no answer")), Turn::Broke);
        assert_eq!(board.note("a", at(3), Verdict::Failed, Some("400")), Turn::Same);
        let rows = board.lock();
        let row = &rows["a"];
        assert_eq!((row.delivered, row.retried, row.failed), (1, 1, 1));
        assert_eq!(
            (row.failing_since, &row.last_error),
            (Some(at(2)), &Some((at(3), "400".into())))
        );
        drop(rows);
        assert_eq!(board.note("a", at(4), Verdict::Done, None), Turn::Healed);
        board.keep(|_| false);
        assert!(board.lock().is_empty());
    }
}
