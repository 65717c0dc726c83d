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

/// Starts a thread that nobody waits for. Without std's threads (names, results, handles), which are 15 kB in the
/// agent for routers; std's own locks and allocator know no difference.
///
/// # Errors
/// No thread is left.
pub fn spawn_bare(stack: usize, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    type Body = Box<dyn FnOnce() + Send>;
    extern "C" fn run(body: *mut libc::c_void) -> *mut libc::c_void {
        // SAFETY: it is the box that `spawn_bare` let go of for this thread alone.
        let body = unsafe { Box::from_raw(body.cast::<Body>()) };
        body();
        std::ptr::null_mut()
    }
    let body: *mut Body = Box::into_raw(Box::new(Box::new(body)));
    // SAFETY: the attributes live until they are destroyed; the box is the thread's where one was made, else it is
    // taken back.
    let result = unsafe {
        let mut attributes = std::mem::zeroed();
        libc::pthread_attr_init(&mut attributes);
        libc::pthread_attr_setstacksize(&mut attributes, stack);
        libc::pthread_attr_setdetachstate(&mut attributes, libc::PTHREAD_CREATE_DETACHED);
        let mut thread = std::mem::zeroed();
        let result = libc::pthread_create(&mut thread, &attributes, run, body.cast());
        libc::pthread_attr_destroy(&mut attributes);
        if result != 0 {
            drop(Box::from_raw(body));
        }
        result
    };
    if result == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(result)) }
}

/// Lets time pass, in a program that has nothing else to do: between two looks at a server.
#[allow(clippy::disallowed_methods)]
pub fn pause(span: Duration) {
    std::thread::sleep(span);
}
