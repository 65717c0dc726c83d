//! The server's state machine: hosts, connections, timers, the event feed, views, the saved form.
//!
//! Owns all durable and alertable state. Never does I/O, never reads a clock, never blocks, never panics on
//! input. The contract of [`Engine`]: mutate once with `handle`, drain `poll_effect` to `None`, sleep until
//! `poll_timeout` or the next event.

mod api;
pub mod view;

pub use api::{Command, Effect, Event, Outcome, Path, Reply, Saved};
