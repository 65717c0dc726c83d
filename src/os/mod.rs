//! The only I/O and the only unsafe code of the library: clock, bounded reads, atomic replace, threads,
//! child processes, echo requests, log, signals, what the kernel tells by calls, the agents' UDP loop.

mod agent_call;
mod agent_check;
pub mod agent_key;
pub mod agent_loop;
pub mod agent_program;
pub mod batch;
pub mod child;
pub mod clock;
mod command;
pub mod daemon;
pub mod desk;
mod doctor;
pub mod entropy;
pub mod errand;
pub mod fetch;
pub mod file;
pub mod icmp;
mod job;
pub mod log;
pub mod lookup;
pub mod name;
pub mod notes;
pub mod probation;
pub mod program;
pub mod runner;
mod service;
pub mod signal;
pub mod system;
pub mod thread;
pub mod trial;
pub mod udp;
pub mod update;
pub mod updater;
