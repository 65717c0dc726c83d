//! Signals as bytes on a descriptor that a poll loop can wait for.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};

/// The pipe's writing end, for the handler; -1 before `Signals::install`.
static PIPE: AtomicI32 = AtomicI32::new(-1);

/// The reading end of the pipe into which every caught signal writes its number.
pub struct Signals {
    read: OwnedFd,
}

impl Signals {
    /// Catches these signals from now on. Once a process: a second call takes over from the first.
    ///
    /// # Errors
    /// No descriptors are left, or a signal cannot be caught.
    pub fn install(signals: &[libc::c_int]) -> io::Result<Signals> {
        let (read, write) = pipe()?;
        // The writing end stays open for the life of the process: the handler may use it at any
        // time.
        PIPE.store(std::os::fd::IntoRawFd::into_raw_fd(write), Ordering::Release);
        for &signal in signals {
            catch(signal)?;
        }
        Ok(Signals { read })
    }

    /// SIGTERM and SIGINT, which stop a program, and SIGHUP.
    ///
    /// # Errors
    /// As `install`.
    pub fn of_a_daemon() -> io::Result<Signals> {
        Signals::install(&[libc::SIGTERM, libc::SIGINT, libc::SIGHUP])
    }
}

/// From now on a program whose output nobody reads any more ends, as others do. Not for one that writes to unix
/// sockets: it would end as well where its peer is gone.
pub fn end_with_the_reader() {
    // SAFETY: the default action replaces that of the standard library; no handler is installed.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }
}

/// A pipe of which neither end blocks or survives an exec.
///
/// # Errors
/// No descriptors are left.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [-1; 2];
    // SAFETY: the call fills the two integers; on success both are descriptors that nobody else
    // has.
    let (read, write) = unsafe {
        if libc::pipe(ends.as_mut_ptr()) != 0 {
            return Err(io::Error::last_os_error());
        }
        (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1]))
    };
    for fd in [&read, &write] {
        // SAFETY: plain calls on a descriptor that is open.
        unsafe {
            libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC);
            libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK);
        }
    }
    Ok((read, write))
}

/// Writes one byte; a full pipe is as good, because its reader is awake already.
pub fn write_byte(fd: BorrowedFd<'_>, byte: u8) {
    // SAFETY: one byte of a live variable.
    unsafe { libc::write(fd.as_raw_fd(), (&raw const byte).cast(), 1) };
}

/// The next byte; `None` where there is none now. A closed writing end reads as SIGTERM.
pub fn read_byte(fd: BorrowedFd<'_>) -> Option<u8> {
    let mut byte = 0u8;
    // SAFETY: one byte into a live variable.
    match unsafe { libc::read(fd.as_raw_fd(), (&raw mut byte).cast(), 1) } {
        1 => Some(byte),
        0 => Some(libc::SIGTERM as u8),
        _ => None,
    }
}

fn catch(signal: libc::c_int) -> io::Result<()> {
    // SAFETY: a zeroed sigaction is valid; the handler only does what is safe in a signal handler.
    let result = unsafe {
        let mut action = std::mem::zeroed::<libc::sigaction>();
        action.sa_sigaction = on_signal as extern "C" fn(libc::c_int) as libc::sighandler_t;
        action.sa_flags = libc::SA_RESTART;
        libc::sigemptyset(&mut action.sa_mask);
        libc::sigaction(signal, &action, std::ptr::null_mut())
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Loads an atomic and writes one byte: both are allowed here. The interrupted code's errno is
/// kept.
extern "C" fn on_signal(signal: libc::c_int) {
    let byte = signal as u8;
    let saved = io::Error::last_os_error().raw_os_error().unwrap_or(0);
    // SAFETY: the descriptor is never closed; one byte of a live variable.
    unsafe { libc::write(PIPE.load(Ordering::Acquire), (&raw const byte).cast(), 1) };
    set_errno(saved);
}

#[cfg(target_os = "linux")]
fn set_errno(value: libc::c_int) {
    // SAFETY: the location is this thread's own.
    unsafe { *libc::__errno_location() = value };
}

#[cfg(not(target_os = "linux"))]
fn set_errno(value: libc::c_int) {
    // SAFETY: the location is this thread's own.
    unsafe { *libc::__error() = value };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caught_signal_is_a_byte_and_none_is_none() {
        let signals = Signals::install(&[libc::SIGUSR1]).unwrap();
        assert_eq!(read_byte(signals.as_fd()), None);
        // SAFETY: the signal is caught, above.
        unsafe { libc::raise(libc::SIGUSR1) };
        assert_eq!(read_byte(signals.as_fd()), Some(libc::SIGUSR1 as u8));
        assert_eq!(read_byte(signals.as_fd()), None);
    }

    #[test]
    fn closed_writing_end_asks_to_stop() {
        let (read, write) = pipe().unwrap();
        write_byte(write.as_fd(), 7);
        drop(write);
        assert_eq!(read_byte(read.as_fd()), Some(7));
        assert_eq!(read_byte(read.as_fd()), Some(libc::SIGTERM as u8));
    }
}
