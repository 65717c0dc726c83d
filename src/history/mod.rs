//! The history: numbers and standings over time, as pure functions over bytes and values.
//!
//! Owns what may be asked of it ([`Reader`]). Never opens a file and never reads a clock: the shell's thread
//! `history` owns the database.

mod ask;

pub use ask::{Line, PastSample, Reader, Series, SeriesAsk, Span, Unavailable};
