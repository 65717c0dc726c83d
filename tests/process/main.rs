//! The real programs: started on free ports in a directory of their own, spoken to as users do, killed as
//! machines are. One binary; each test waits for what it expects, with a deadline, and never sleeps blindly.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod agent;
mod alert;
mod alertmanager;
mod channel;
mod command;
mod control;
mod daemon;
mod dns;
mod fault;
mod history;
mod journal;
mod kill;
mod life;
mod mail;
mod mini;
mod one_off;
mod outside;
mod page;
mod pair;
mod program;
mod prometheus;
mod readme;
mod relay;
mod sealed;
mod service;
mod stand_in;
mod state;
mod stuck;
mod systemd;
mod tls;
mod update;
mod users;
mod wire;
