//! The only I/O and the only unsafe code of the library: clock, bounded reads, atomic replace, threads,
//! child processes, echo requests, log, signals, what the kernel tells by calls, the agents' UDP loop.

pub mod agent_loop;
pub mod agent_program;
pub mod batch;
pub mod child;
pub mod clock;
pub mod daemon;
pub mod errand;
pub mod file;
pub mod icmp;
pub mod log;
pub mod lookup;
pub mod name;
pub mod runner;
pub mod signal;
pub mod system;
pub mod thread;
pub mod trial;
pub mod udp;
