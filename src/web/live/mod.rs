//! The live protocol `heartbeat.live.v1` (UI section 7): how a view reaches browsers and tools as
//! it changes.
//!
//! Owns the frames, what a client has been told ([`Viewer`]), the answer of `GET live` ([`get`])
//! and the client's side ([`Reducer`]). No sockets, no clock, no queues: a viewer remembers one
//! version, and a slow client gets fewer and larger deltas.

mod frame;
mod json;
mod reducer;
mod request;
mod row;
mod viewer;

pub use reducer::{Reducer, Row, Step};
pub use row::RTT_LOST;
pub use viewer::Viewer;

use crate::engine::view::{Host, View};
use crate::time::Now;
use std::sync::Arc;

/// The WebSocket subprotocol, also in the handshake.
pub const SUBPROTOCOL: &str = "heartbeat.live.v1";

/// Milliseconds between two `hb` frames.
pub const BEAT_MS: u64 = 10_000;

/// Why a connection is closed, as the WebSocket close frame says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Close {
    pub code: u16,
    pub reason: &'static str,
}

impl Close {
    pub const GOING_AWAY: u16 = 1001;
    pub const BAD_MESSAGE: u16 = 4400;
    pub const SIGN_IN: u16 = 4401;
    /// A foreign origin, or a role that may not.
    pub const FORBIDDEN: u16 = 4403;
    pub const TOO_SLOW: u16 = 4408;
    pub const SUPERSEDED: u16 = 4409;
    pub const TOO_MANY: u16 = 4429;

    pub(crate) const fn bad_message(reason: &'static str) -> Close {
        Close { code: Close::BAD_MESSAGE, reason }
    }
}

type Shows = dyn Fn(&Host) -> bool + Send + Sync;

/// The hosts that a client may see. What it depends on must raise a host's `slow_ver` when it
/// changes; a change of the client's own roles is a new scope ([`Viewer::rescope`]).
#[derive(Clone, Default)]
pub struct Scope(Option<Arc<Shows>>);

impl Scope {
    pub const fn all() -> Scope {
        Scope(None)
    }

    pub fn only(shows: impl Fn(&Host) -> bool + Send + Sync + 'static) -> Scope {
        Scope(Some(Arc::new(shows)))
    }

    pub fn shows(&self, host: &Host) -> bool {
        self.0.as_ref().is_none_or(|shows| shows(host))
    }

    fn is_all(&self) -> bool {
        self.0.is_none()
    }
}

/// The body of `GET /api/0/live?since=EPOCH:SEQ`: a delta where `since` can be resumed from, else a
/// snapshot. A delta has the fast columns of every changed row, and both have `now`: who polls gets
/// no other frame.
pub fn get(view: &View, since: Option<(u32, u64)>, now: Now) -> String {
    get_scoped(view, since, now, &Scope::all())
}

/// As [`get`], for a client that may see the hosts of `scope`.
pub fn get_scoped(view: &View, since: Option<(u32, u64)>, now: Now, scope: &Scope) -> String {
    let counts = frame::sum(view, scope);
    match since.filter(|since| is_resumable(view, *since)) {
        Some((_, seq)) => {
            let change = frame::Change::collect(view, seq, &frame::Fast::All, scope);
            frame::delta(view, seq, &change, (&counts, None), Some(now.wall))
        }
        None => frame::snap(view, scope, &counts, Some(now.wall)),
    }
}

/// Reads `9f3c1a:48211`.
pub fn parse_since(text: &str) -> Option<(u32, u64)> {
    let (epoch, seq) = text.split_once(':')?;
    let digits = !seq.is_empty() && seq.bytes().all(|b| b.is_ascii_digit());
    Some((parse_epoch(epoch)?, seq.parse().ok().filter(|_| digits)?))
}

/// The frame that goes before close code 1001: the server comes back.
pub fn bye(retry_ms: u64) -> String {
    frame::bye(retry_ms)
}

fn parse_epoch(text: &str) -> Option<u32> {
    let hex = text.len() == 6 && text.bytes().all(|b| b.is_ascii_hexdigit());
    u32::from_str_radix(text, 16).ok().filter(|_| hex)
}

/// Rule 3: the same epoch, and no tombstone since `seq` has been forgotten.
fn is_resumable(view: &View, (epoch, seq): (u32, u64)) -> bool {
    epoch == view.epoch & 0xff_ffff && (view.floor..=view.ver).contains(&seq)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_parses_only_as_documented() {
        let table = [
            ("9f3c1a:48211", Some((0x9f3c1a, 48211))),
            ("00000f:0", Some((15, 0))),
            ("9f3c1a", None),
            ("9f3c1a:", None),
            ("9f3c1a:+1", None),
            ("+f3c1a:1", None),
            ("9f3c1:1", None),
            ("9f3c1a:99999999999999999999", None),
            ("", None),
        ];
        for (text, want) in table {
            assert_eq!(parse_since(text), want, "{text:?}");
        }
    }
}
