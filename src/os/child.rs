//! One program that is run: no shell, a clean environment, a process group of its own, bounded
//! output, a time limit.
//!
//! Never waits: it is started, then polled when one of its descriptors is ready or its time has
//! come. Whatever it started dies with it, and none stays a zombie (THREATS S4, U9).

use super::clock;
use super::udp::{Sockets, Timer, wait};
use crate::time::{Duration, Mono};
use std::collections::BTreeMap;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::{Mutex, PoisonError};

/// Where programs without a path are looked for, and what the program sees as `PATH`.
pub const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
/// Bytes kept of each stream; the rest is read and thrown away.
pub const OUTPUT_MAX: usize = 64 << 10;
/// Between the polite signal and the other one.
const KILL_AFTER: Duration = Duration::from_secs(1);
/// How often to look for the end where the kernel cannot wake us at it (before Linux 5.3).
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Read of one stream in one go: a program that prints for ever holds up nothing.
const READ_MAX: usize = 4 * OUTPUT_MAX;
/// Killed programs that have not ended yet, e.g. in a call to a dead file server.
const ORPHANS_MAX: usize = 32;

/// What to run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Program {
    /// The program, with its path or to be found in [`PATH`], then its arguments.
    pub argv: Vec<String>,
    /// Beside `PATH` and `LANG=C`, or in place of them.
    pub env: BTreeMap<String, String>,
    /// `None`: it may run for ever.
    pub timeout: Option<Duration>,
    /// What it reads on its standard input.
    pub stdin: Vec<u8>,
}

/// How a program ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    Code(i32),
    Signal(i32),
}

/// What is left of a program that has ended.
#[derive(Clone, PartialEq, Debug)]
pub struct Ended {
    pub exit: Exit,
    /// It was killed because its time was over.
    pub timed_out: bool,
    /// At most [`OUTPUT_MAX`] bytes each.
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

/// A program under way. Dropping it kills its whole group.
pub struct Child {
    pid: libc::pid_t,
    /// Readable once it has ended; `None` where the kernel has no such thing.
    end: Option<OwnedFd>,
    stdout: Stream,
    stderr: Stream,
    phase: Phase,
    timed_out: bool,
    next_look: Mono,
    reaped: bool,
}

#[derive(Clone, Copy)]
enum Phase {
    /// Until its time is over.
    Running(Mono),
    /// Told to end; killed at this time.
    Told(Mono),
    Killed,
}

/// Killed, not ended yet when their owner let them go.
static ORPHANS: Mutex<Vec<libc::pid_t>> = Mutex::new(Vec::new());

impl Child {
    /// Starts a program.
    ///
    /// # Errors
    /// It cannot be found or executed, or no process or descriptor is left.
    pub fn start(program: &Program, now: Mono) -> io::Result<Child> {
        if reap_orphans() >= ORPHANS_MAX {
            return Err(io::Error::other("too many programs that were killed have not ended"));
        }
        let name = program.argv.first().ok_or(io::ErrorKind::InvalidInput)?;
        let path = find(name).ok_or(io::ErrorKind::NotFound)?;
        let (stdout, stderr) = (pipe()?, pipe()?);
        let input = input(&program.stdin)?;
        let pid = spawn(&path, program, input.as_ref(), [&stdout.1, &stderr.1])?;
        Ok(Child {
            pid,
            end: end_of(pid),
            stdout: Stream::new(stdout.0),
            stderr: Stream::new(stderr.0),
            phase: Phase::Running(program.timeout.map_or(Mono::MAX, |limit| now + limit)),
            timed_out: false,
            next_look: now,
            reaped: false,
        })
    }

    /// Reads what it has printed, and signals it when its time is over; what is left of it once it
    /// has ended. Call again when what [`Child::watch`] names is ready or due.
    pub fn poll(&mut self, now: Mono) -> Option<Ended> {
        self.stdout.fill();
        self.stderr.fill();
        if self.has_ended() {
            return Some(self.bury());
        }
        match self.phase {
            Phase::Running(until) if until <= now => {
                self.timed_out = true;
                self.signal(libc::SIGTERM);
                self.phase = Phase::Told(now + KILL_AFTER);
            }
            Phase::Told(until) if until <= now => {
                self.signal(libc::SIGKILL);
                self.phase = Phase::Killed;
            }
            _ => {}
        }
        self.next_look = now + LOOK_EVERY;
        None
    }

    /// Adds the descriptors to wait for, and says when to poll at the latest.
    pub fn watch<'a>(&'a self, on: &mut Vec<BorrowedFd<'a>>) -> Mono {
        let ends = [&self.stdout.fd, &self.stderr.fd, &self.end];
        on.extend(ends.into_iter().flatten().map(AsFd::as_fd));
        let due = match self.phase {
            Phase::Running(until) | Phase::Told(until) => until,
            Phase::Killed => Mono::MAX,
        };
        if self.end.is_some() { due } else { due.min(self.next_look) }
    }

    /// The next whole line that it has printed, without its end; a longer one than [`OUTPUT_MAX`]
    /// is cut and given as it is.
    pub fn take_line(&mut self) -> Option<Vec<u8>> {
        self.stdout.take_line()
    }

    /// Whether it has ended; it stays a zombie, so that its group's number is not given away.
    fn has_ended(&self) -> bool {
        // SAFETY: a zeroed siginfo_t is valid, and the call writes to nothing else.
        unsafe {
            let mut info = std::mem::zeroed::<libc::siginfo_t>();
            let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
            let result = libc::waitid(libc::P_PID, self.pid as libc::id_t, &mut info, flags);
            result != 0 || info.si_pid() != 0
        }
    }

    /// Kills what it left behind in its group, reads the rest, and takes it from the kernel's list.
    fn bury(&mut self) -> Ended {
        self.signal(libc::SIGKILL);
        self.stdout.fill();
        self.stderr.fill();
        let mut status = 0;
        // SAFETY: a pointer to a live integer; the child has ended, so this does not wait.
        let pid = unsafe { libc::waitpid(self.pid, &mut status, 0) };
        self.reaped = true;
        let exit = match pid {
            pid if pid == self.pid && libc::WIFSIGNALED(status) => {
                Exit::Signal(libc::WTERMSIG(status))
            }
            pid if pid == self.pid => Exit::Code(libc::WEXITSTATUS(status)),
            // Somebody else has waited for it: nothing is known of how it ended.
            _ => Exit::Code(255),
        };
        Ended {
            exit,
            timed_out: self.timed_out,
            stdout: std::mem::take(&mut self.stdout.bytes),
            stderr: std::mem::take(&mut self.stderr.bytes),
        }
    }

    /// To the whole group: it leads one, and its number is its own until it is waited for.
    fn signal(&self, signal: libc::c_int) {
        // SAFETY: no memory is involved; the group is this child's.
        unsafe { libc::kill(-self.pid, signal) };
    }
}

/// Runs a program to its end. For threads that have nothing else to do meanwhile: it may take as
/// long as the program's time limit and [`KILL_AFTER`].
///
/// # Errors
/// As [`Child::start`].
pub fn run(program: &Program) -> io::Result<Ended> {
    let mut timer = Timer::new()?;
    let mut child = Child::start(program, clock::now_awake().mono)?;
    loop {
        if let Some(ended) = child.poll(clock::now_awake().mono) {
            return Ok(ended);
        }
        let mut on = Vec::new();
        let until = child.watch(&mut on);
        wait(&Sockets::default(), &on, &mut timer, Some(until));
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.reaped {
            return;
        }
        self.signal(libc::SIGKILL);
        ORPHANS.lock().unwrap_or_else(PoisonError::into_inner).push(self.pid);
        reap_orphans();
    }
}

/// Takes those that have ended from the kernel's list; how many have not.
fn reap_orphans() -> usize {
    let mut orphans = ORPHANS.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: no memory is involved; the numbers are those of our own children, not waited for.
    orphans.retain(|pid| unsafe { libc::waitpid(*pid, ptr::null_mut(), libc::WNOHANG) } == 0);
    orphans.len()
}

/// One end of a pipe, and what was read from it and not been taken yet.
struct Stream {
    /// `None` once the other end is closed.
    fd: Option<OwnedFd>,
    bytes: Vec<u8>,
    /// In the middle of a line that was cut: what follows belongs to it.
    cut: bool,
}

impl Stream {
    fn new(fd: OwnedFd) -> Stream {
        Stream { fd: Some(fd), bytes: Vec::new(), cut: false }
    }

    fn fill(&mut self) {
        let mut buffer = [0u8; 4096];
        for _ in 0..READ_MAX / buffer.len() {
            let Some(fd) = &self.fd else { return };
            // SAFETY: at most that many bytes into a live buffer.
            let count =
                unsafe { libc::read(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
            match usize::try_from(count) {
                Ok(0) => self.fd = None,
                Ok(count) => {
                    let room = OUTPUT_MAX - self.bytes.len();
                    self.cut |= count > room;
                    self.bytes.extend_from_slice(&buffer[..count.min(room)]);
                }
                Err(_) => match io::Error::last_os_error().kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock => return,
                    _ => self.fd = None,
                },
            }
        }
    }

    fn take_line(&mut self) -> Option<Vec<u8>> {
        match self.bytes.iter().position(|b| *b == b'\n') {
            Some(end) => {
                let mut line: Vec<u8> = self.bytes.drain(..=end).collect();
                line.pop();
                Some(line)
            }
            None if self.cut => {
                self.cut = false;
                Some(std::mem::take(&mut self.bytes))
            }
            None => None,
        }
    }
}

/// The file that would be executed: a path as it is, a bare name from [`PATH`].
pub fn find(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(PathBuf::from(name));
    }
    PATH.split(':').map(|dir| Path::new(dir).join(name)).find(|path| check(path).is_ok())
}

/// Whether a file can be executed by this process.
///
/// # Errors
/// Why not, as words that follow its name.
pub fn check(path: &Path) -> Result<(), &'static str> {
    use std::os::unix::ffi::OsStrExt;
    match std::fs::metadata(path) {
        Err(_) => return Err("does not exist"),
        Ok(file) if !file.is_file() => return Err("is not a file"),
        Ok(_) => {}
    }
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| "does not exist")?;
    // SAFETY: the text ends in a NUL.
    match unsafe { libc::access(path.as_ptr(), libc::X_OK) } {
        0 => Ok(()),
        _ => Err("is not executable"),
    }
}

/// A pipe that no program inherits; the reading end does not block.
fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [-1; 2];
    // SAFETY: the call fills the two integers; on success both are descriptors that nobody else
    // has.
    let (read, write) = unsafe {
        #[cfg(not(target_vendor = "apple"))]
        let result = libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC);
        #[cfg(target_vendor = "apple")]
        let result = libc::pipe(ends.as_mut_ptr());
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1]))
    };
    // SAFETY: plain calls on descriptors that are open.
    unsafe {
        #[cfg(target_vendor = "apple")]
        for end in ends {
            libc::fcntl(end, libc::F_SETFD, libc::FD_CLOEXEC);
        }
        libc::fcntl(read.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK);
    }
    Ok((read, write))
}

/// A nameless file with the bytes, read from its start; `None` where there are none. No pipe: a
/// program that does not read must not hold up anybody.
fn input(bytes: &[u8]) -> io::Result<Option<std::fs::File>> {
    use std::io::{Seek, Write};
    if bytes.is_empty() {
        return Ok(None);
    }
    let mut file = nameless()?;
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(Some(file))
}

#[cfg(target_os = "linux")]
fn nameless() -> io::Result<std::fs::File> {
    // SAFETY: the name ends in a NUL; on success the descriptor is nobody else's.
    unsafe {
        let fd = libc::memfd_create(c"stdin".as_ptr(), libc::MFD_CLOEXEC);
        if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(std::fs::File::from_raw_fd(fd)) }
    }
}

#[cfg(not(target_os = "linux"))]
fn nameless() -> io::Result<std::fs::File> {
    // SAFETY: tmpfile removes its file at once; the descriptor is copied, so that closing the stream
    // leaves ours open.
    unsafe {
        let stream = libc::tmpfile();
        if stream.is_null() {
            return Err(io::Error::last_os_error());
        }
        let fd = libc::fcntl(libc::fileno(stream), libc::F_DUPFD_CLOEXEC, 0);
        libc::fclose(stream);
        if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(std::fs::File::from_raw_fd(fd)) }
    }
}

#[cfg(target_os = "linux")]
pub(super) fn end_of(pid: libc::pid_t) -> Option<OwnedFd> {
    // SAFETY: no memory is involved; on success the descriptor is nobody else's. It is born
    // close-on-exec.
    unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, pid, 0);
        (fd >= 0).then(|| OwnedFd::from_raw_fd(fd as libc::c_int))
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn end_of(_: libc::pid_t) -> Option<OwnedFd> {
    None
}

/// Texts as the system wants them: each ends in a NUL, the list in a null pointer.
struct Texts(Vec<CString>);

impl Texts {
    fn pointers(&self) -> Vec<*mut libc::c_char> {
        let each = self.0.iter().map(|text| text.as_ptr().cast_mut());
        each.chain([ptr::null_mut()]).collect()
    }
}

fn environment(program: &Program) -> Result<Texts, std::ffi::NulError> {
    let mut env = BTreeMap::from([("PATH", PATH), ("LANG", "C")]);
    env.extend(program.env.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let texts = env.into_iter().map(|(name, value)| CString::new(format!("{name}={value}")));
    texts.collect::<Result<_, _>>().map(Texts)
}

/// posix_spawn(3): one call that is safe among threads and tells when the file cannot be executed.
fn spawn(
    path: &Path,
    program: &Program,
    input: Option<&std::fs::File>,
    outputs: [&OwnedFd; 2],
) -> io::Result<libc::pid_t> {
    use std::os::unix::ffi::OsStrExt;
    let path = CString::new(path.as_os_str().as_bytes())?;
    let argv: Result<_, _> = program.argv.iter().map(|text| CString::new(text.as_str())).collect();
    let (argv, env) = (Texts(argv?), environment(program)?);
    let flags = libc::POSIX_SPAWN_SETPGROUP | libc::POSIX_SPAWN_SETSIGMASK;
    let flags = (flags | libc::POSIX_SPAWN_SETSIGDEF) as libc::c_short;
    let mut pid = 0;
    // SAFETY: actions and attributes are initialised before their use and destroyed after it; the
    // pointers are to texts that live until the end of this function.
    let result = unsafe {
        // Where children are ignored, as some launchers leave it, their end is never told.
        libc::signal(libc::SIGCHLD, libc::SIG_DFL);
        let mut actions = std::mem::zeroed::<libc::posix_spawn_file_actions_t>();
        let mut attributes = std::mem::zeroed::<libc::posix_spawnattr_t>();
        let mut signals = std::mem::zeroed::<libc::sigset_t>();
        libc::posix_spawn_file_actions_init(&mut actions);
        libc::posix_spawnattr_init(&mut attributes);
        match input {
            Some(file) => libc::posix_spawn_file_actions_adddup2(&mut actions, file.as_raw_fd(), 0),
            None => {
                let null = c"/dev/null".as_ptr();
                libc::posix_spawn_file_actions_addopen(&mut actions, 0, null, libc::O_RDONLY, 0)
            }
        };
        for (number, output) in (1..).zip(outputs) {
            libc::posix_spawn_file_actions_adddup2(&mut actions, output.as_raw_fd(), number);
        }
        libc::posix_spawnattr_setflags(&mut attributes, flags);
        libc::posix_spawnattr_setpgroup(&mut attributes, 0);
        libc::sigemptyset(&mut signals);
        libc::posix_spawnattr_setsigmask(&mut attributes, &signals);
        // Rust ignores it; a program expects to die of it. What is caught is reset by itself.
        for signal in [libc::SIGPIPE, libc::SIGHUP, libc::SIGINT, libc::SIGQUIT] {
            libc::sigaddset(&mut signals, signal);
        }
        libc::posix_spawnattr_setsigdefault(&mut attributes, &signals);
        let (argv, env) = (argv.pointers(), env.pointers());
        let (argv, env) = (argv.as_ptr(), env.as_ptr());
        let result = libc::posix_spawn(&mut pid, path.as_ptr(), &actions, &attributes, argv, env);
        libc::posix_spawn_file_actions_destroy(&mut actions);
        libc::posix_spawnattr_destroy(&mut attributes);
        result
    };
    if result == 0 { Ok(pid) } else { Err(io::Error::from_raw_os_error(result)) }
}

#[cfg(test)]
#[path = "child_test.rs"]
mod tests;
