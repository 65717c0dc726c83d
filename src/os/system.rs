//! What the kernel says when asked by a call: fill of a file system, its own name.

use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
#[cfg(target_os = "linux")]
use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

// glibc's plain one has 32-bit block counts on 32-bit machines and fails on large disks.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
use libc::statvfs as statvfs_call;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
use libc::statvfs64 as statvfs_call;

/// Size and fill of a file system, in bytes and inodes.
#[derive(Clone, Copy, Default, Debug, PartialEq)]
pub struct Space {
    pub total: u64,
    /// Free for anybody, the reserve of root included.
    pub free: u64,
    /// Free for those who are not root.
    pub available: u64,
    /// 0 where the file system has no fixed number of inodes.
    pub inodes: u64,
    pub inodes_free: u64,
}

/// Asks for the fill of the file system that `path` is on. May hang where that is a network mount.
#[allow(clippy::unnecessary_cast, reason = "the widths of these fields differ by target")]
pub fn space(path: &Path) -> io::Result<Space> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut raw = MaybeUninit::zeroed();
    // SAFETY: `path` ends in a NUL; `raw` is of the type that the call fills.
    if unsafe { statvfs_call(path.as_ptr(), raw.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded and filled it; all-zero is a valid value of it besides.
    let raw = unsafe { raw.assume_init() };
    let block = if raw.f_frsize > 0 { raw.f_frsize as u64 } else { raw.f_bsize as u64 };
    Ok(Space {
        total: (raw.f_blocks as u64).saturating_mul(block),
        free: (raw.f_bfree as u64).saturating_mul(block),
        available: (raw.f_bavail as u64).saturating_mul(block),
        inodes: raw.f_files as u64,
        inodes_free: raw.f_ffree as u64,
    })
}

/// Whether a file is the kernel's own, below `/proc`. Copies of it never report a change.
#[cfg(target_os = "linux")]
#[allow(clippy::unnecessary_cast, reason = "the width of the field differs by target")]
pub fn is_of_proc(file: BorrowedFd<'_>) -> bool {
    let mut about = MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: the descriptor is open; the pointer is to a live value of the type that is filled, and all-zero is
    // a valid one.
    unsafe {
        libc::fstatfs(file.as_raw_fd(), about.as_mut_ptr()) == 0
            && about.assume_init().f_type as i64 == libc::PROC_SUPER_MAGIC as i64
    }
}

/// Whether the mounts in an open `/proc/PID/mountinfo` or `/proc/PID/mounts` have changed since it
/// was opened or this was asked last (proc(5)).
#[cfg(target_os = "linux")]
pub fn mounts_changed(list: BorrowedFd<'_>) -> bool {
    let mut asked = libc::pollfd { fd: list.as_raw_fd(), events: libc::POLLPRI, revents: 0 };
    // SAFETY: the pointer and the count are those of one live value.
    unsafe { libc::poll(&mut asked, 1, 0) != 0 }
}

/// Nothing tells of a change here.
#[cfg(not(target_os = "linux"))]
pub fn is_of_proc(_: BorrowedFd<'_>) -> bool {
    false
}

#[cfg(not(target_os = "linux"))]
pub fn mounts_changed(_: BorrowedFd<'_>) -> bool {
    true
}

/// What `uname -snrm` prints; text that is not UTF-8 has U+FFFD in it.
#[derive(Clone, Default, Debug, PartialEq)]
pub struct Uname {
    pub system: String,
    pub hostname: String,
    pub kernel: String,
    pub architecture: String,
}

pub fn uname() -> io::Result<Uname> {
    let mut raw = MaybeUninit::<libc::utsname>::zeroed();
    // SAFETY: `raw` is of the type that the call fills.
    if unsafe { libc::uname(raw.as_mut_ptr()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded and filled it; all-zero is a valid value of it besides.
    let raw = unsafe { raw.assume_init() };
    // SAFETY: the kernel ends each of these fields with a NUL.
    let text = |field: &[libc::c_char]| unsafe {
        CStr::from_ptr(field.as_ptr()).to_string_lossy().into_owned()
    };
    Ok(Uname {
        system: text(&raw.sysname),
        hostname: text(&raw.nodename),
        kernel: text(&raw.release),
        architecture: text(&raw.machine),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_file_system_has_a_size() {
        let space = space(Path::new("/")).expect("the root exists");
        assert!(space.total > 0 && space.free <= space.total && space.available <= space.total);
    }

    #[test]
    fn list_of_the_kernel_tells_of_changes_and_a_copy_does_not() {
        use std::os::fd::AsFd;
        let copy = tempfile::tempfile().expect("a file");
        assert!(!is_of_proc(copy.as_fd()));
        let list = std::fs::File::open("/proc/self/mountinfo").expect("the kernel's");
        assert!(is_of_proc(list.as_fd()));
    }

    #[test]
    fn missing_path_is_an_error() {
        assert!(space(Path::new("/nonexistent/x")).is_err());
        assert!(space(Path::new("a\0b")).is_err());
    }

    #[test]
    fn uname_names_the_kernel() {
        let uname = uname().expect("asked");
        assert!(!uname.system.is_empty() && !uname.architecture.is_empty());
    }
}
