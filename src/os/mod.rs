//! The only I/O and the only unsafe code of the library: clock, bounded reads, atomic replace, threads,
//! log, signals, what the kernel tells by calls, the agents' UDP loop.

pub mod agent_loop;
pub mod agent_program;
pub mod clock;
pub mod daemon;
pub mod file;
pub mod log;
pub mod name;
pub mod runner;
pub mod signal;
pub mod system;
pub mod thread;
pub mod udp;
