//! Where an agent's incarnations come from: never the same twice, without a clock, a disk or a wait
//! for randomness (PROTOCOL C6).

use super::clock;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Read of each of the kernel's files; they differ from boot to boot long before that.
const READ_MAX: u64 = 16 << 10;

/// A number that no other process of this machine starts with, and whether the kernel had randomness
/// for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seed {
    pub number: u64,
    pub weak: bool,
}

/// Draws a seed; never waits. What the system gives as random is hashed with whatever tells one boot
/// and one moment from another.
pub fn seed(procfs: &Path) -> Seed {
    let mut hasher = RandomState::new().build_hasher();
    let now = clock::now_awake();
    hasher.write_u64(now.mono.as_nanos());
    hasher.write_u64(now.wall.as_secs_f64().to_bits());
    hasher.write_u32(std::process::id());
    for name in ["interrupts", "stat", "sys/kernel/random/boot_id"] {
        let mut bytes = Vec::new();
        let opened = std::fs::File::open(procfs.join(name));
        let _ = opened.and_then(|file| file.take(READ_MAX).read_to_end(&mut bytes));
        hasher.write(&bytes);
    }
    Seed { number: hasher.finish(), weak: !is_ready(Path::new("/dev/random")) }
}

/// Whether the kernel has randomness: only a device that would make us wait says no.
fn is_ready(device: &Path) -> bool {
    let mut byte = [0];
    let opened = std::fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(device);
    let read = opened.and_then(|mut file| file.read(&mut byte));
    !read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn u16_no_seed_comes_twice_in_ten_thousand() {
        let seeds: BTreeSet<u64> =
            (0..10_000).map(|_| seed(Path::new("/nonexistent")).number).collect();
        assert_eq!(seeds.len(), 10_000);
    }

    #[test]
    fn u16_device_that_would_block_is_not_ready_and_a_missing_one_is() {
        let dir = tempfile::tempdir().expect("a directory");
        let fifo = dir.path().join("fifo");
        let path = std::ffi::CString::new(fifo.to_str().expect("text")).expect("no NUL");
        // SAFETY: the text ends in a NUL.
        assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
        // A pipe that somebody could write to, and nobody has.
        let _writer = std::fs::OpenOptions::new().read(true).write(true).open(&fifo).expect("open");
        assert!(!is_ready(&fifo));
        assert!(is_ready(&dir.path().join("none")));
        assert!(is_ready(Path::new("/dev/zero")));
    }
}
