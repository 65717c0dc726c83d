//! Prometheus remote-write as bytes: samples become requests, requests become blocks of a queue on disk, a
//! receiver's answer becomes what to do next. docs/METRICS.md describes it for its users.
//!
//! Pure: the shell's threads hold the files and the connection. Needs no clock and knows no host.

mod batch;
mod block;
mod proto;
mod verdict;

pub use batch::{Batch, Labels, Sheet, count};
pub use block::{Block, BlockError, FRAME, Head, Position};
pub use proto::{Request, halves};
pub use verdict::{Backoff, Verdict, judge};
