//! The history: numbers and standings over time, as pure functions over bytes and values.
//!
//! Owns what may be asked of it ([`Reader`]), the form of every row that is kept, and the arithmetic of charts and
//! availability. Never opens a file and never reads a clock: the shell's thread `history` owns the database.

mod ask;
mod bits;
pub mod block;
pub mod bucket;
pub mod catalog;
mod column;
mod crc;
pub mod rollup;
pub mod segment;
pub mod standing;

pub use ask::{Line, PastSample, Reader, Series, SeriesAsk, Span, Unavailable};
pub use segment::Segment;
