//! The agent's unix socket, at which one-off calls hand in their message, and the way of a call to
//! it.
//!
//! Owns the socket file and who waits at it. Takes calls of root and of the agent's own user alone;
//! what a call means is the agent's.

use crate::agent::one_off::{Answer, Call, LINE_MAX};
use crate::limits;
use crate::time::{Duration, Mono};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Where it is, unless the configuration says otherwise.
const SYSTEM: &str = "/run/heartbeat/hbc.sock";
const USER: &str = "hbc.sock";
/// For the line of a call.
const LINE_WITHIN: Duration = Duration::from_secs(5);
/// For the acknowledgement, and until no address of any server is told as such.
const TOLD_WITHIN: Duration = Duration::from_secs(30);
const SENT_WITHIN: Duration = Duration::from_secs(5);
/// What a caller waits beyond that.
const CALLER_PATIENCE: Duration = Duration::from_secs(40);

/// The listening end.
pub struct Desk {
    path: PathBuf,
    listener: UnixListener,
    callers: Vec<Caller>,
}

struct Caller {
    stream: UnixStream,
    line: Vec<u8>,
    until: Mono,
    /// What it waits for; `None`: its line is not here yet.
    waits: Option<Waits>,
}

struct Waits {
    /// The message's number.
    id: u64,
    servers: usize,
    told: usize,
    /// No server has an address, so far; given up at this time.
    nowhere_until: Option<Mono>,
}

/// What became of a call that was handed to the agent.
pub enum Taken {
    /// Answered at once.
    Answer(Answer),
    /// Under this number, for so many servers; `sent` where one of them has an address.
    Waiting { id: u64, servers: usize, sent: bool },
}

impl Desk {
    /// Listens at the first of the paths where that is possible; `None`, and a word in the log,
    /// where it is at none, or where another agent does.
    pub fn open(configured: Option<&Path>) -> Option<Desk> {
        let mut last = None;
        for path in paths(configured) {
            match listen(&path) {
                Ok(listener) => return Some(Desk { path, listener, callers: Vec::new() }),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    log::info!("another agent listens at {}: this one does not", path.display());
                    return None;
                }
                Err(error) => last = Some((path, error)),
            }
        }
        if let Some((path, error)) = last {
            let path = path.display();
            log::info!("no socket for one-off calls at {path}: {error}");
        }
        None
    }

    /// Adds what is waited for, and says when to look at the latest.
    pub fn watch<'a>(&'a self, on: &mut Vec<BorrowedFd<'a>>) -> Option<Mono> {
        if self.callers.len() < limits::AGENT_CALLERS {
            on.push(self.listener.as_fd());
        }
        on.extend(self.callers.iter().filter(|c| c.waits.is_none()).map(|c| c.stream.as_fd()));
        let due = |caller: &Caller| {
            let nowhere = caller.waits.as_ref().and_then(|waits| waits.nowhere_until);
            nowhere.map_or(caller.until, |at| at.min(caller.until))
        };
        self.callers.iter().map(due).min()
    }

    /// Takes in callers, where something `watch` named may be read, and their lines; `take` gives each whole call
    /// to the agent.
    pub fn poll(&mut self, now: Mono, readable: bool, mut take: impl FnMut(Call) -> Taken) {
        while readable
            && self.callers.len() < limits::AGENT_CALLERS
            && let Ok((stream, _)) = self.listener.accept()
        {
            if is_trusted(&stream) && stream.set_nonblocking(true).is_ok() {
                let until = now + LINE_WITHIN;
                self.callers.push(Caller { stream, line: Vec::new(), until, waits: None });
            }
        }
        self.callers.retain_mut(|caller| caller.poll(now, &mut take));
    }

    /// A server has acknowledged the message of this number.
    pub fn told(&mut self, id: u64) {
        self.callers.retain_mut(|caller| match &mut caller.waits {
            Some(waits) if waits.id == id => {
                waits.told += 1;
                let whole = waits.told >= waits.servers;
                if whole {
                    caller.answer(Answer::Acknowledged);
                }
                !whole
            }
            _ => true,
        });
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Caller {
    /// Whether it stays.
    fn poll(&mut self, now: Mono, take: &mut impl FnMut(Call) -> Taken) -> bool {
        if let Some(waits) = &self.waits {
            let nowhere = waits.nowhere_until.is_some_and(|at| at <= now) && waits.told == 0;
            let answer = match waits.told {
                _ if nowhere => Answer::NotSent,
                _ if self.until > now => return true,
                0 => Answer::NotAcknowledged,
                _ => Answer::Acknowledged,
            };
            self.answer(answer);
            return false;
        }
        match self.read() {
            Ok(None) => self.until > now,
            Ok(Some(call)) => match take(call) {
                Taken::Answer(answer) => {
                    self.answer(answer);
                    false
                }
                Taken::Waiting { id, servers, sent } => {
                    let nowhere_until = (!sent).then_some(now + SENT_WITHIN);
                    self.until = now + TOLD_WITHIN;
                    self.waits = Some(Waits { id, servers, told: 0, nowhere_until });
                    true
                }
            },
            Err(why) if why.is_empty() => false,
            Err(why) => {
                log::warn!("a one-off call was not understood: {why}");
                self.answer(Answer::Refused);
                false
            }
        }
    }

    /// The call, once its line is whole.
    fn read(&mut self) -> Result<Option<Call>, String> {
        let mut buffer = [0; 4096];
        loop {
            match (&self.stream).read(&mut buffer) {
                // Whoever only looks whether an agent listens has nothing to say.
                Ok(0) if self.line.is_empty() => return Err(String::new()),
                Ok(0) => return Err("it ended within its line".to_owned()),
                Ok(count) => self.line.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error.to_string()),
            }
            if let Some(end) = self.line.iter().position(|b| *b == b'\n') {
                let line = std::str::from_utf8(&self.line[..end]).map_err(|e| e.to_string())?;
                return Call::parse(line).map(Some);
            }
            if self.line.len() > LINE_MAX {
                return Err("its line is too long".to_owned());
            }
        }
    }

    /// One short line always fits; a caller that has gone does not matter.
    fn answer(&self, answer: Answer) {
        let _ = (&self.stream).write_all(format!("{}\n", answer.as_str()).as_bytes());
    }
}

fn paths(configured: Option<&Path>) -> Vec<PathBuf> {
    if let Some(path) = configured {
        return vec![path.to_owned()];
    }
    let user = std::env::var_os("XDG_RUNTIME_DIR").map(|dir| Path::new(&dir).join(USER));
    [PathBuf::from(SYSTEM)].into_iter().chain(user).collect()
}

/// The file of a socket at which nobody listens any more is replaced.
fn listen(path: &Path) -> io::Result<UnixListener> {
    if UnixStream::connect(path).is_ok() {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty() && !dir.exists());
    if let Some(dir) = dir {
        std::fs::DirBuilder::new().mode(0o755).create(dir)?;
    }
    match std::fs::symlink_metadata(path) {
        Ok(meta) if std::os::unix::fs::FileTypeExt::is_socket(&meta.file_type()) => {
            std::fs::remove_file(path)?;
        }
        Ok(_) => return Err(io::Error::other("something else has that name")),
        Err(_) => {}
    }
    // SAFETY: no memory is involved; this is before any other thread is started.
    let mask = unsafe { libc::umask(0o177) };
    let listener = UnixListener::bind(path);
    // SAFETY: as above.
    unsafe { libc::umask(mask) };
    let listener = listener?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// The mode of the file keeps others out; where the kernel says who calls, that is looked at too.
fn is_trusted(stream: &UnixStream) -> bool {
    // SAFETY: takes nothing and cannot fail.
    let own = unsafe { libc::geteuid() };
    peer_uid(stream).is_none_or(|uid| uid == 0 || uid == own)
}

#[cfg(target_os = "linux")]
fn peer_uid(stream: &UnixStream) -> Option<libc::uid_t> {
    let mut peer = libc::ucred { pid: 0, uid: libc::uid_t::MAX, gid: libc::gid_t::MAX };
    let mut len = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes into a live value of that size.
    let result = unsafe {
        let to = (&raw mut peer).cast();
        libc::getsockopt(stream.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERCRED, to, &mut len)
    };
    Some(if result == 0 { peer.uid } else { libc::uid_t::MAX })
}

#[cfg(not(target_os = "linux"))]
fn peer_uid(stream: &UnixStream) -> Option<libc::uid_t> {
    let (mut uid, mut gid) = (libc::uid_t::MAX, libc::gid_t::MAX);
    // SAFETY: the kernel writes two live integers.
    let result = unsafe { libc::getpeereid(stream.as_raw_fd(), &mut uid, &mut gid) };
    Some(if result == 0 { uid } else { libc::uid_t::MAX })
}

/// How a call to the running agent went.
#[derive(Debug, PartialEq)]
pub enum Handed {
    /// Nobody listens.
    Nobody,
    /// Somebody may, and this user may not ask.
    Forbidden(PathBuf),
    Answer(Answer),
    /// The agent has gone, or says nothing.
    Lost,
}

/// Hands a call to the running agent and waits for its answer.
pub fn hand_in(configured: Option<&Path>, call: &Call) -> Handed {
    let mut forbidden = None;
    for path in paths(configured) {
        match UnixStream::connect(&path) {
            Ok(stream) => return ask(&stream, call).map_or(Handed::Lost, Handed::Answer),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                forbidden = Some(path);
            }
            Err(_) => {}
        }
    }
    forbidden.map_or(Handed::Nobody, Handed::Forbidden)
}

fn ask(mut stream: &UnixStream, call: &Call) -> Option<Answer> {
    stream.set_read_timeout(Some(CALLER_PATIENCE)).ok()?;
    stream.set_write_timeout(Some(LINE_WITHIN)).ok()?;
    stream.write_all(format!("{}\n", call.render()).as_bytes()).ok()?;
    let mut word = String::new();
    BufReader::new(stream).take(64).read_line(&mut word).ok()?;
    Answer::parse(&word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::one_off::OneOff;
    use std::os::unix::fs::PermissionsExt;
    use std::thread::JoinHandle;

    fn desk() -> (tempfile::TempDir, PathBuf, Desk) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("run/hbc.sock");
        let desk = Desk::open(Some(&path)).expect("it listens");
        (dir, path, desk)
    }

    #[allow(clippy::disallowed_methods, reason = "the test joins it")]
    fn caller(path: &Path) -> JoinHandle<Handed> {
        let call = Call { what: OneOff::Boot, servers: Vec::new(), wait: true };
        let path = path.to_owned();
        std::thread::spawn(move || hand_in(Some(&path), &call))
    }

    /// Polls until a caller's line was taken.
    fn take(desk: &mut Desk, now: Mono, sent: bool) {
        let mut taken = false;
        while !taken {
            desk.poll(now, true, |call| {
                assert_eq!(call.what, OneOff::Boot);
                taken = true;
                Taken::Waiting { id: 7, servers: 2, sent }
            });
        }
    }

    #[test]
    fn caller_is_answered_when_every_server_has_acknowledged() {
        let (_dir, path, mut desk) = desk();
        let caller = caller(&path);
        take(&mut desk, Mono::ZERO, true);
        desk.told(7);
        desk.told(8);
        assert_eq!(desk.callers.len(), 1);
        desk.told(7);
        assert_eq!(caller.join().expect("joined"), Handed::Answer(Answer::Acknowledged));
    }

    #[test]
    fn caller_is_told_how_far_it_came_when_its_time_is_over() {
        for (sent, told, after, want) in [
            (true, 0, 30, Answer::NotAcknowledged),
            (true, 1, 30, Answer::Acknowledged),
            (false, 0, 5, Answer::NotSent),
        ] {
            let (_dir, path, mut desk) = desk();
            let caller = caller(&path);
            take(&mut desk, Mono::ZERO, sent);
            (0..told).for_each(|_| desk.told(7));
            let at = desk.watch(&mut Vec::new()).expect("somebody waits");
            assert_eq!(at, Mono::from_secs(after));
            desk.poll(at, true, |_| unreachable!());
            assert_eq!(caller.join().expect("joined"), Handed::Answer(want));
            assert!(desk.callers.is_empty());
        }
    }

    #[test]
    fn second_agent_leaves_the_socket_to_the_first_and_a_dead_one_is_replaced() {
        let (_dir, path, desk) = desk();
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert!(Desk::open(Some(&path)).is_none());
        std::mem::forget(desk);
        // Its descriptor stays open in a forgotten desk: only a plain file stands for a dead one.
        let other = path.with_file_name("dead.sock");
        drop(UnixListener::bind(&other).expect("bound"));
        assert!(other.exists() && Desk::open(Some(&other)).is_some());
        std::fs::write(path.with_file_name("file"), "").expect("written");
        assert!(Desk::open(Some(&path.with_file_name("file"))).is_none());
    }

    #[test]
    fn nobody_listens_where_there_is_no_agent() {
        let call = Call { what: OneOff::Boot, servers: Vec::new(), wait: true };
        let path = Path::new("/nonexistent/hbc.sock");
        assert_eq!(hand_in(Some(path), &call), Handed::Nobody);
    }

    #[test]
    fn line_that_is_no_call_is_refused_and_one_that_never_ends_is_dropped() {
        let (_dir, path, mut desk) = desk();
        let mut stream = UnixStream::connect(&path).expect("connected");
        stream.write_all(b"reboot\n").expect("written");
        let mut quiet = UnixStream::connect(&path).expect("connected");
        desk.poll(Mono::ZERO, true, |_| unreachable!());
        desk.poll(Mono::from_secs(5), true, |_| unreachable!());
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("read");
        assert_eq!(answer, "refused\n");
        assert_eq!(quiet.read(&mut [0]).expect("closed"), 0);
    }
}
