//! The fill of mounts, without ever waiting long for one whose server is gone.

use super::mount::Mount;
use crate::os::system::{self, Space};
use crate::os::thread;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How long a collection waits for all network mounts together.
const WAIT: Duration = Duration::from_millis(300);
/// It makes one call.
const STACK: usize = 64 << 10;

/// Asks for the fill of mounts. A network mount is asked in a thread of its own, one per mount at
/// the most: as long as that does not come back, the mount is unavailable and is not asked again.
pub struct Surveyor {
    ask: fn(&Path) -> Option<Space>,
    pending: Vec<Question>,
}

struct Question {
    point: Vec<u8>,
    answer: Arc<Answer>,
    /// It was waited for once already.
    late: bool,
}

/// Where the thread leaves what it got.
#[derive(Default)]
struct Answer {
    slot: Mutex<Option<Option<Space>>>,
    come: Condvar,
}

impl Default for Surveyor {
    fn default() -> Surveyor {
        Surveyor { ask: |path| system::space(path).ok(), pending: Vec::new() }
    }
}

impl Surveyor {
    /// The fill of each of `mounts`, in their order; `None` is unavailable. `rootfs` is where the
    /// mount points are found.
    pub fn survey(&mut self, mounts: &[Mount<'_>], rootfs: &Path) -> Vec<Option<Space>> {
        // An answer that came between two collections is old: that mount is asked anew.
        self.pending.retain(|question| {
            mounts.iter().any(|mount| *mount.point == *question.point)
                && question.answer.wait(Duration::ZERO).is_none()
        });
        for mount in mounts.iter().filter(|mount| mount.is_remote()) {
            if self.find(&mount.point).is_none() {
                self.start(mount, located(mount, rootfs));
            }
        }
        let mut wait = WAIT;
        let answer = |mount: &Mount<'_>| {
            if mount.is_remote() {
                self.finish(&mount.point, &mut wait)
            } else {
                (self.ask)(&located(mount, rootfs))
            }
        };
        mounts.iter().map(answer).collect()
    }

    fn find(&self, point: &[u8]) -> Option<usize> {
        self.pending.iter().position(|question| question.point == point)
    }

    fn start(&mut self, mount: &Mount<'_>, path: PathBuf) {
        let answer = Arc::new(Answer::default());
        let (ask, to) = (self.ask, Arc::clone(&answer));
        if thread::spawn("statvfs", STACK, move || to.put(ask(&path))).is_ok() {
            self.pending.push(Question { point: mount.point.to_vec(), answer, late: false });
        }
    }

    /// The first mount that does not answer uses up the wait of all: the others had it as well.
    fn finish(&mut self, point: &[u8], wait: &mut Duration) -> Option<Space> {
        let at = self.find(point)?;
        let question = &mut self.pending[at];
        let patience = if question.late { Duration::ZERO } else { *wait };
        match question.answer.wait(patience) {
            Some(space) => {
                self.pending.swap_remove(at);
                space
            }
            None if question.late => None,
            None => {
                question.late = true;
                *wait = Duration::ZERO;
                None
            }
        }
    }
}

impl Answer {
    fn put(&self, space: Option<Space>) {
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(space);
        self.come.notify_one();
    }

    /// What came within `patience`.
    fn wait(&self, patience: Duration) -> Option<Option<Space>> {
        let slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.come.wait_timeout_while(slot, patience, |slot| slot.is_none());
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

fn located(mount: &Mount<'_>, rootfs: &Path) -> PathBuf {
    let point = Path::new(std::ffi::OsStr::from_bytes(&mount.point));
    rootfs.join(point.strip_prefix("/").unwrap_or(point))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::mount;

    static SERVER: Mutex<()> = Mutex::new(());

    /// Hangs below `/nas` as long as the server does.
    fn ask(path: &Path) -> Option<Space> {
        let _answered = path.starts_with("/nas").then(|| SERVER.lock());
        Some(Space { total: 1, ..Space::default() })
    }

    #[test]
    fn hanging_mount_is_unavailable_until_it_answers_and_asked_once() {
        let mounts = mount::parse_mounts(
            b"/dev/a / ext4 rw\nnas:/a /nas/a nfs rw\nnas:/b /nas/b nfs4 rw\nx: /x fuse.sshfs rw\n",
        );
        let mut surveyor = Surveyor { ask, pending: Vec::new() };
        let mut answered = || {
            let spaces = surveyor.survey(&mounts, Path::new("/"));
            (spaces.iter().map(Option::is_some).collect::<Vec<_>>(), surveyor.pending.len())
        };
        let hang = SERVER.lock().expect("held by nobody");
        assert_eq!(answered(), (vec![true, false, false, true], 2));
        assert_eq!(answered(), (vec![true, false, false, true], 2));
        drop(hang);
        let mut rounds = 0;
        while answered().0 != [true; 4] {
            rounds += 1;
            assert!(rounds < 1000, "the mounts answer again");
        }
    }
}
