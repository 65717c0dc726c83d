//! The fill of mounts, without ever waiting long for one whose server is gone.

use super::mount::Mount;
use crate::os::system::{self, Space};
use crate::os::thread;
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, sync_channel};
use std::time::Duration;

/// How long a collection waits for all network mounts together.
const WAIT: Duration = Duration::from_millis(300);
/// It makes one call.
const STACK: usize = 64 << 10;

/// Asks for the fill of mounts. A network mount is asked in a thread of its own, one per mount at
/// the most: as long as that does not come back, the mount is unavailable and is not asked again.
pub struct Surveyor {
    question: fn(&Path) -> Option<Space>,
    pending: BTreeMap<Vec<u8>, Question>,
}

impl Default for Surveyor {
    fn default() -> Surveyor {
        Surveyor { question: |path| system::space(path).ok(), pending: BTreeMap::new() }
    }
}

struct Question {
    answer: Receiver<Option<Space>>,
    /// It was waited for once already.
    late: bool,
}

impl Surveyor {
    /// The fill of each of `mounts`, in their order; `None` is unavailable. `rootfs` is where the
    /// mount points are found.
    pub fn survey(&mut self, mounts: &[Mount<'_>], rootfs: &Path) -> Vec<Option<Space>> {
        self.pending.retain(|point, _| mounts.iter().any(|mount| *mount.point == **point));
        for mount in mounts.iter().filter(|mount| mount.is_remote()) {
            self.ask(mount, located(mount, rootfs));
        }
        let mut wait = WAIT;
        let answer = |mount: &Mount<'_>| {
            if mount.is_remote() {
                self.answer(&mount.point, &mut wait)
            } else {
                (self.question)(&located(mount, rootfs))
            }
        };
        mounts.iter().map(answer).collect()
    }

    fn ask(&mut self, mount: &Mount<'_>, path: PathBuf) {
        // An answer that came between two collections is old: then it is asked anew.
        let hangs = |asked: &Question| asked.answer.try_recv() == Err(TryRecvError::Empty);
        if self.pending.get(&*mount.point).is_some_and(hangs) {
            return;
        }
        let (sender, answer) = sync_channel(1);
        let question = self.question;
        let body = move || {
            let _ = sender.send(question(&path));
        };
        if thread::spawn("statvfs", STACK, body).is_ok() {
            self.pending.insert(mount.point.to_vec(), Question { answer, late: false });
        }
    }

    /// The first mount that does not answer uses up the wait of all: the others had it as well.
    fn answer(&mut self, point: &[u8], wait: &mut Duration) -> Option<Space> {
        let asked = self.pending.get_mut(point)?;
        match asked.answer.recv_timeout(if asked.late { Duration::ZERO } else { *wait }) {
            Err(RecvTimeoutError::Timeout) => {
                if !asked.late {
                    *wait = Duration::ZERO;
                }
                asked.late = true;
                None
            }
            result => {
                self.pending.remove(point);
                result.ok().flatten()
            }
        }
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
    use std::sync::Mutex;

    static SERVER: Mutex<()> = Mutex::new(());

    /// Hangs below `/nas` as long as the server does.
    fn question(path: &Path) -> Option<Space> {
        let _answered = path.starts_with("/nas").then(|| SERVER.lock());
        Some(Space { total: 1, ..Space::default() })
    }

    #[test]
    fn hanging_mount_is_unavailable_until_it_answers_and_asked_once() {
        let mounts = mount::parse_mounts(
            b"/dev/a / ext4 rw\nnas:/a /nas/a nfs rw\nnas:/b /nas/b nfs4 rw\nx: /x fuse.sshfs rw\n",
        );
        let mut surveyor = Surveyor { question, pending: BTreeMap::new() };
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
