//! The only I/O and the only unsafe code of the library: clock, bounded reads, atomic replace, threads.

pub mod clock;
pub mod file;
pub mod system;
pub mod thread;
