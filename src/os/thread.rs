//! Threads with a name and a stack of stated size.

use crate::time::Duration;
use std::io;
use std::thread::{Builder, JoinHandle};

/// Starts a thread named after its module. `stack` is in bytes.
#[allow(clippy::disallowed_methods)]
pub fn spawn<F>(name: &str, stack: usize, body: F) -> io::Result<JoinHandle<()>>
where
    F: FnOnce() + Send + 'static,
{
    Builder::new().name(name.to_owned()).stack_size(stack).spawn(body)
}

/// Lets time pass, in a program that has nothing else to do: between two looks at a server.
#[allow(clippy::disallowed_methods)]
pub fn pause(span: Duration) {
    std::thread::sleep(span);
}
