//! A program that is run to its end by a thread of its own, which waits for nothing else but an order to stop.

use super::child::{Child, Ended, Program};
use super::clock;
use super::udp::{Sockets, Timer, wait};
use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;

/// Runs `program`. `None`: `stop` became readable first, and the program
/// was killed.
///
/// # Errors
/// It cannot be started.
pub fn run(program: &Program, stop: BorrowedFd<'_>) -> io::Result<Option<Ended>> {
    let mut timer = Timer::new()?;
    let mut child = Child::start(program, clock::now_awake().mono)?;
    loop {
        if let Some(ended) = child.poll(clock::now_awake().mono) {
            return Ok(Some(ended));
        }
        if is_readable(stop) {
            return Ok(None);
        }
        let mut on = vec![stop];
        let until = child.watch(&mut on);
        wait(&Sockets::default(), &on, &mut timer, Some(until));
    }
}

/// Goes on as another program, with the same number, environment and open descriptors; why that could not be.
pub fn replace_by(path: &Path, arguments: &[OsString]) -> io::Error {
    use std::os::unix::ffi::OsStrExt;
    let words = [path.as_os_str()].into_iter().chain(arguments.iter().map(OsString::as_os_str));
    let words: Result<Vec<CString>, _> = words.map(|word| CString::new(word.as_bytes())).collect();
    let Ok(words) = words else { return io::ErrorKind::InvalidInput.into() };
    let pointers = words.iter().map(|word| word.as_ptr()).chain([std::ptr::null()]);
    let pointers: Vec<_> = pointers.collect();
    // SAFETY: texts that end in a NUL and a list that ends in a null pointer, all of them alive; the call returns only
    // where nothing has changed.
    unsafe { libc::execv(pointers[0], pointers.as_ptr()) };
    io::Error::last_os_error()
}

/// Whether a descriptor can be read, or its other end is closed.
pub fn is_readable(fd: BorrowedFd<'_>) -> bool {
    use std::os::fd::AsRawFd;
    let mut entry = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry of a live value; no waiting.
    unsafe { libc::poll(&raw mut entry, 1, 0) > 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::signal;
    use crate::time::Duration;
    use std::os::fd::AsFd;

    fn program(words: &[&str]) -> Program {
        let argv = words.iter().map(ToString::to_string).collect();
        Program { argv, timeout: Some(Duration::from_secs(20)), ..Program::default() }
    }

    #[test]
    fn run_ends_with_the_program_or_with_an_order() {
        let (stop, order) = signal::pipe().unwrap();
        let fed = Program { stdin: b"fed".into(), ..program(&["cat"]) };
        let ended = run(&fed, stop.as_fd()).unwrap().unwrap();
        assert_eq!(ended.stdout, b"fed");
        signal::write_byte(order.as_fd(), 0);
        let before = clock::now_awake().mono;
        assert_eq!(run(&program(&["sleep", "15"]), stop.as_fd()).unwrap(), None);
        assert!(clock::now_awake().mono.since(before) < Duration::from_secs(10));
        assert!(run(&program(&["/nowhere/at-all"]), stop.as_fd()).is_err());
    }
}
