//! The private directory of the pool's sockets: made with mode 0700, locked for as long as its process lives, and
//! swept away by a later one when nobody holds it any more. It never removes what another server still holds, whether
//! that one listens there at the moment or not.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

const PREFIX: &str = "hbd-pool-";
/// Entries of a directory looked at.
const SWEEP_MAX: usize = 4096;
static NEXT: AtomicU32 = AtomicU32::new(0);
/// Longest path of a unix socket on every supported system, with its zero.
const SOCKET_PATH_MAX: usize = 100;

pub struct Dir {
    path: PathBuf,
    /// Its lock says to others that we live; the kernel lets go of it when we do not.
    _held: File,
}

impl Dir {
    /// A directory that only we can enter, in `$RUNTIME_DIRECTORY` or where temporary files go.
    pub fn make() -> io::Result<Dir> {
        let runtime = std::env::var_os("RUNTIME_DIRECTORY")
            .and_then(|list| std::env::split_paths(&list).next())
            .filter(|dir| dir.is_absolute());
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for base in runtime.into_iter().chain([std::env::temp_dir(), PathBuf::from("/tmp")]) {
            if base.as_os_str().len() > SOCKET_PATH_MAX - 40 {
                continue;
            }
            sweep(&base);
            match Dir::make_in(&base) {
                Ok(dir) => return Ok(dir),
                Err(e) => last = e,
            }
        }
        Err(last)
    }

    fn make_in(base: &Path) -> io::Result<Dir> {
        let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
        for _ in 0..64 {
            // A name is never used twice: who gives up a directory that was taken away removes what has its name.
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = base.join(format!("{PREFIX}{}-{number}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
                made => made?,
            }
            // Whoever sweeps may be looking at it: another one is made then.
            match File::open(&path)
                .and_then(|file| file.try_lock().map(|()| file).map_err(io::Error::from))
            {
                Ok(held) => return Ok(Dir { path, _held: held }),
                Err(e) => last = e,
            }
            let _ = std::fs::remove_dir(&path);
        }
        Err(last)
    }

    /// Where the server of a generation listens.
    pub fn socket(&self, generation: u32) -> PathBuf {
        self.path.join(format!("pool-{generation}"))
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// Removes what servers that were killed left behind.
fn sweep(base: &Path) {
    let Ok(entries) = std::fs::read_dir(base) else { return };
    for entry in entries.flatten().take(SWEEP_MAX) {
        let ours = entry.file_name().as_bytes().starts_with(PREFIX.as_bytes())
            && entry
                .metadata()
                .is_ok_and(|meta| meta.is_dir() && meta.uid() == nix::unistd::geteuid().as_raw());
        if ours && is_deserted(&entry.path()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Whether nobody holds it, there are sockets, and none of them is listened on. (An empty one is just being made; a
/// server may be there whose accept loop has ended, and who is about to listen again.)
fn is_deserted(dir: &Path) -> bool {
    let Ok(held) = File::open(dir) else { return false };
    if held.try_lock().is_err() {
        return false;
    }
    let Ok(entries) = std::fs::read_dir(dir) else { return false };
    let mut sockets = entries.flatten().take(SWEEP_MAX).peekable();
    let refused = |path: PathBuf| {
        UnixStream::connect(path).is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused)
    };
    sockets.peek().is_some() && sockets.all(|socket| refused(socket.path()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn directory_of_a_killed_server_is_swept_and_others_stay() {
        let base = tempfile::tempdir().expect("a directory");
        let make = |name: &str| {
            let dir = base.path().join(name);
            std::fs::create_dir(&dir).expect("made");
            dir
        };
        let (dead, alive) = (make("hbd-pool-1-0"), make("hbd-pool-2-0"));
        let (empty, foreign) = (make("hbd-pool-3-0"), make("other"));
        drop(UnixListener::bind(dead.join("pool-0")).expect("bound"));
        drop(UnixListener::bind(foreign.join("pool-0")).expect("bound"));
        let _listener = UnixListener::bind(alive.join("pool-0")).expect("bound");
        sweep(base.path());
        assert!(!dead.exists() && alive.exists() && empty.exists() && foreign.exists());
    }

    #[test]
    fn directory_that_was_taken_away_takes_none_with_it() {
        let base = tempfile::tempdir().expect("a directory");
        let lost = Dir::make_in(base.path()).expect("a directory of its own");
        std::fs::remove_dir(&lost.path).expect("removed");
        let next = Dir::make_in(base.path()).expect("another one");
        drop(lost);
        assert!(next.path.exists());
    }

    #[test]
    fn directory_of_a_live_server_stays_while_nobody_listens_in_it() {
        let base = tempfile::tempdir().expect("a directory");
        let dir = Dir::make_in(base.path()).expect("a directory of its own");
        drop(UnixListener::bind(dir.socket(0)).expect("bound"));
        sweep(base.path());
        assert!(dir.socket(0).exists());
        let Dir { path, .. } = &dir;
        let path = path.clone();
        drop(dir);
        assert!(!path.exists());
    }
}
