//! One name looked up on a thread of its own that ends with it: the system's resolver only knows
//! how to wait.

use super::{runner, signal, thread};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Under way at a time; a resolver that gets no answer takes up to half a minute.
const LOOKUPS_MAX: usize = 16;
/// The resolver of glibc wants much.
const STACK: usize = 256 << 10;

static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);

pub struct Lookup {
    answer: Arc<Mutex<Option<Vec<SocketAddr>>>>,
    wake: OwnedFd,
}

impl Lookup {
    /// # Errors
    /// Too many are under way, or no thread or descriptor is left.
    pub fn start(host: String) -> io::Result<Lookup> {
        if UNDER_WAY.load(Ordering::Relaxed) >= LOOKUPS_MAX {
            return Err(io::Error::other("too many lookups are under way"));
        }
        let (wake, write) = signal::pipe()?;
        let answer = Arc::new(Mutex::new(None));
        let place = answer.clone();
        let body = move || {
            let found = runner::resolve(&host, 0);
            *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
            UNDER_WAY.fetch_sub(1, Ordering::Relaxed);
            signal::write_byte(write.as_fd(), 0);
        };
        UNDER_WAY.fetch_add(1, Ordering::Relaxed);
        match thread::spawn_bare(STACK, body) {
            Ok(()) => Ok(Lookup { answer, wake }),
            Err(error) => {
                UNDER_WAY.fetch_sub(1, Ordering::Relaxed);
                Err(error)
            }
        }
    }

    /// The addresses, none where there are none, once they are known.
    pub fn poll(&self) -> Option<Vec<SocketAddr>> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl AsFd for Lookup {
    /// Readable when `poll` has a result.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}
