//! What readers ask of the history and what they get: questions and answers as values.

use crate::engine::record::Standing;
use crate::time::{Duration, Wall};

/// Reads the past. Called on a thread of HTTP; bounded in time and size, and never in the way of a datagram.
pub trait Reader {
    /// Values over time, bucketed. A path that nothing is known of has a line of gaps.
    fn series(&self, ask: &SeriesAsk<'_>) -> Result<Series, Unavailable>;

    /// What the host was from `from` to `to`: spans without gaps or overlaps, in order; what nobody knows is
    /// [`Standing::Unknown`].
    fn standings(&self, host: &str, from: Wall, to: Wall) -> Result<Vec<Span>, Unavailable>;

    /// The last `limit` samples of a plugin from before `before`, oldest first.
    fn samples(
        &self,
        host: &str,
        plugin: &str,
        before: Wall,
        limit: usize,
    ) -> Result<Vec<PastSample>, Unavailable>;
}

#[derive(Clone, Debug)]
pub struct SeriesAsk<'a> {
    pub host: &'a str,
    /// Metric paths as people write them: `cpu_monitor.cpu_percent`, `disk_monitor./.percent`, `rtt.web1` (either
    /// family), `rtt.web1.ipv6`.
    pub paths: &'a [&'a str],
    pub from: Wall,
    /// Exclusive.
    pub to: Wall,
    /// Buckets at most.
    pub points: usize,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// The length of a bucket.
    pub step: Duration,
    /// The beginning of each bucket.
    pub t: Vec<Wall>,
    /// One for each path of the question, in its order.
    pub lines: Vec<Line>,
}

/// One metric's buckets; `None` is a gap.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line {
    /// Something is known by that name, be it at another time.
    pub is_known: bool,
    pub avg: Vec<Option<f64>>,
    pub min: Vec<Option<f64>>,
    pub max: Vec<Option<f64>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    pub from: Wall,
    pub to: Wall,
    pub standing: Standing,
}

/// The numbers of one sample: paths within the plugin's data, containers included, and values.
#[derive(Clone, Debug, PartialEq)]
pub struct PastSample {
    pub at: Wall,
    pub numbers: Vec<(String, f64)>,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// `history_enabled: false`.
    Disabled,
    /// The file cannot be read, or is still being checked.
    NotReady,
    /// Others are reading already as many as may.
    Busy,
}
