//! Leaving the terminal.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::fd::AsRawFd;

/// Goes on as a daemon: fork, a session of its own, fork again, `/` as directory, `/dev/null` as
/// standard input, output and error. The caller's process ends with status 0; only the daemon
/// returns.
///
/// Call it before any thread is started: threads do not survive a fork. Open descriptors do.
///
/// # Errors
/// No process can be made, or `/dev/null` cannot be opened.
pub fn daemonize() -> io::Result<()> {
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    io::stdout().flush()?;
    fork_and_leave()?;
    // SAFETY: no memory is involved; the first child is never a group leader, so this cannot fail.
    check(unsafe { libc::setsid() })?;
    fork_and_leave()?;
    std::env::set_current_dir("/")?;
    for fd in [libc::STDIN_FILENO, libc::STDOUT_FILENO, libc::STDERR_FILENO] {
        // SAFETY: both are descriptors; what `fd` was is closed, and std holds no other claim to
        // it.
        check(unsafe { libc::dup2(null.as_raw_fd(), fd) })?;
    }
    Ok(())
}

fn fork_and_leave() -> io::Result<()> {
    // SAFETY: the process has one thread (the contract of `daemonize`), so the child may do
    // anything;
    // `_exit` leaves without running what belongs to the child now.
    unsafe {
        match check(libc::fork())? {
            0 => Ok(()),
            _ => libc::_exit(0),
        }
    }
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
