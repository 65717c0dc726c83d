//! Heartbeat: pure state machines of a host monitor, and the thin layer under them that touches the system.
//!
//! Layers, lowest first; a module uses its own layer's helpers and any lower layer, never upward
//! (`tests/tidy.rs` holds the table):
//! `time text glob prng ring limits` · `wire config yaml` ·
//! `collect account alert calm notice pair` · `agent engine` · `web journal history` · `os`.
//! The programs in `src/bin/` and `agent-mini/` are threads around these.

pub mod glob;
pub mod limits;
pub mod prng;
pub mod ring;
pub mod text;
pub mod time;

pub mod config;
pub mod wire;
#[cfg(feature = "daemon")]
pub mod yaml;

#[cfg(feature = "daemon")]
pub mod account;
#[cfg(feature = "daemon")]
pub mod alert;
#[cfg(feature = "daemon")]
pub mod calm;
pub mod collect;

pub mod agent;
#[cfg(feature = "daemon")]
pub mod engine;
#[cfg(feature = "daemon")]
pub mod notice;
#[cfg(feature = "daemon")]
pub mod pair;

#[cfg(feature = "daemon")]
pub mod history;
#[cfg(feature = "daemon")]
pub mod journal;
#[cfg(feature = "daemon")]
pub mod remote;
#[cfg(feature = "daemon")]
pub mod web;

pub mod os;
