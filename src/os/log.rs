//! The sink of the `log` crate for every program: plain lines on stderr, `<N>` prefixes under
//! systemd,
//! datagrams to syslogd, or a file that can be opened anew.
//!
//! Each line is one line: control characters are escaped, it is cut at 1 KiB, and repeats are held
//! back and counted (THREATS S3). It never blocks on syslogd and never fails its caller.

use super::clock;
use crate::text;
use crate::time::Mono;
use log::{Level, LevelFilter, Log, Metadata, Record};
use std::fmt::Write as _;
use std::fs::File;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};
use std::io::{self, Write as _};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

/// Where the lines go.
#[derive(Clone, Debug)]
pub enum Target {
    Stderr,
    Syslog,
    File(PathBuf),
}

/// Longest text of one line, prefix not counted.
const LINE_MAX: usize = 1024;
/// The same text from the same place is written once in this time.
const REPEAT: Duration = Duration::from_secs(60);
/// Lines of one place in the code within a second.
const SITE_RATE: u32 = 20;
const SLOTS: usize = 64;
const SYSLOG_PATH: &str = "/dev/log";
/// LOG_DAEMON of RFC 3164.
const FACILITY: u8 = 3;

static SINK: OnceLock<Sink> = OnceLock::new();

/// Makes `target` the sink of the `log` macros of this process; `ident` is the program's name.
/// `verbosity` 0 writes info and worse, 1 debug, 2 and more trace. A second call changes nothing.
///
/// # Errors
/// The file cannot be opened.
pub fn init(ident: &'static str, verbosity: u8, target: Target) -> io::Result<()> {
    let level = match verbosity {
        0 => LevelFilter::Info,
        1 => LevelFilter::Debug,
        _ => LevelFilter::Trace,
    };
    let output = output(target)?;
    let state = Mutex::new(State { output, repeats: Repeats::new() });
    let sink = SINK.get_or_init(|| Sink { ident, state });
    if log::set_logger(sink).is_ok() {
        log::set_max_level(level);
    }
    Ok(())
}

fn output(target: Target) -> io::Result<Output> {
    Ok(match target {
        Target::Stderr if std::env::var_os("JOURNAL_STREAM").is_some() => {
            Output::Journal { lost: 0 }
        }
        Target::Stderr => Output::Stderr { lost: 0 },
        Target::Syslog => {
            let socket = UnixDatagram::unbound()?;
            socket.set_nonblocking(true)?;
            Output::Syslog { socket, lost: 0 }
        }
        Target::File(path) => Output::File { file: open(&path)?, path },
    })
}

/// Writes to another target from now on.
///
/// # Errors
/// The new file cannot be opened; the old target stays in use.
pub fn turn_to(target: Target) -> io::Result<()> {
    let Some(sink) = SINK.get() else { return Ok(()) };
    let output = output(target)?;
    lock(&sink.state).output = output;
    Ok(())
}

/// Opens the log file anew, after it was rotated; nothing where the target is no file.
///
/// # Errors
/// The new file cannot be opened; the old one stays in use.
pub fn reopen() -> io::Result<()> {
    let Some(sink) = SINK.get() else { return Ok(()) };
    let mut state = lock(&sink.state);
    if let Output::File { file, path } = &mut state.output {
        *file = open(path)?;
    }
    Ok(())
}

struct Sink {
    ident: &'static str,
    state: Mutex<State>,
}

struct State {
    output: Output,
    repeats: Repeats,
}

enum Output {
    /// `lost`: lines that nobody took, since the last that somebody did.
    Stderr {
        lost: u32,
    },
    Journal {
        lost: u32,
    },
    /// Not connected: each datagram finds the socket by its path, so a new syslogd is found too.
    Syslog {
        socket: UnixDatagram,
        lost: u32,
    },
    File {
        file: File,
        path: PathBuf,
    },
}

impl Log for Sink {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // What other crates say in detail may hold addresses and headers, which may be secrets.
        let ours = ["heartbeat", "hbd", "hbc"];
        let is_ours = ours.iter().any(|name| {
            metadata
                .target()
                .strip_prefix(name)
                .is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
        });
        metadata.level() <= log::max_level() && (is_ours || metadata.level() <= Level::Warn)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let mut line = Capped(String::new());
        let _ = write!(line, "{}: {}", module(record.target()), record.args());
        let text = text::escape_control(&line.0);
        let text = text::cut(&text, LINE_MAX);
        let mut state = lock(&self.state);
        if record.level() > Level::Info {
            state.output.write(self.ident, record.level(), text);
            return;
        }
        let site = (record.target(), record.line());
        let Some(similar) = state.repeats.admit(site, text, clock::now().mono) else { return };
        if similar > 0 {
            let note = format!("{}: {similar} similar lines left out", module(record.target()));
            state.output.write(self.ident, record.level(), &note);
        }
        state.output.write(self.ident, record.level(), text);
    }

    fn flush(&self) {}
}

impl Output {
    fn write(&mut self, ident: &str, level: Level, text: &str) {
        match self {
            Output::Stderr { lost } => {
                let line = format!("{} {level} {text}\n", &local_time()[7..]);
                to_stderr(&line, lost);
            }
            Output::Journal { lost } => to_stderr(&format!("<{}>{text}\n", severity(level)), lost),
            Output::File { file, .. } => {
                let _ = file.write_all(format!("{} {level} {text}\n", local_time()).as_bytes());
            }
            Output::Syslog { socket, lost } => {
                if *lost > 0 {
                    let note = syslog_line(ident, Level::Warn, &format!("log: {lost} lines lost"));
                    if socket.send_to(note.as_bytes(), SYSLOG_PATH).is_ok() {
                        *lost = 0;
                    }
                }
                let line = syslog_line(ident, level, text);
                if socket.send_to(line.as_bytes(), SYSLOG_PATH).is_err() {
                    *lost = lost.saturating_add(1);
                }
            }
        }
    }
}

/// Writes a line where there is room for it. A reader that stands still (a full pipe) must not stop a server: what
/// it does not take is counted and told when it reads again.
fn to_stderr(line: &str, lost: &mut u32) {
    let mut fd = libc::pollfd { fd: libc::STDERR_FILENO, events: libc::POLLOUT, revents: 0 };
    // SAFETY: one valid pollfd; a timeout of 0 returns at once. A pipe that is writable takes a line whole.
    let ready = unsafe { libc::poll(&mut fd, 1, 0) } == 1;
    if !ready || fd.revents & libc::POLLOUT == 0 {
        *lost = lost.saturating_add(1);
        return;
    }
    let note = match std::mem::take(lost) {
        0 => String::new(),
        n => format!("log: {n} lines lost\n"),
    };
    let _ = io::stderr().write_all(format!("{note}{line}").as_bytes());
}

/// The datagram of RFC 3164 as local programs write it: no host name, local time.
fn syslog_line(ident: &str, level: Level, text: &str) -> String {
    let priority = FACILITY * 8 + severity(level);
    format!("<{priority}>{} {ident}[{}]: {text}", local_time(), std::process::id())
}

const fn severity(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

fn module(target: &str) -> &str {
    target.strip_prefix("heartbeat::").unwrap_or(target)
}

/// `Nov 22 16:20:41` in the machine's time zone: always 15 bytes.
fn local_time() -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let secs = clock::now().wall.as_secs() as _;
    // SAFETY: a `tm` of zeroes is valid; both pointers are to live values, and no other is kept.
    let tm = unsafe {
        let mut tm = std::mem::zeroed::<libc::tm>();
        libc::localtime_r(&secs, &mut tm);
        tm
    };
    let month = MONTHS[tm.tm_mon.clamp(0, 11) as usize];
    format!("{month} {:2} {:02}:{:02}:{:02}", tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec)
}

fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

/// A panic elsewhere while logging leaves nothing half done here.
fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Takes no more than a line can show, whatever is formatted into it.
struct Capped(String);

impl std::fmt::Write for Capped {
    fn write_str(&mut self, part: &str) -> std::fmt::Result {
        self.0.push_str(text::cut(part, LINE_MAX.saturating_sub(self.0.len())));
        Ok(())
    }
}

/// What was written lately: a text again within a minute, or a place that speaks too fast, is
/// counted
/// and told with the next line of that place. Two fixed tables; a collision forgets, never blocks.
struct Repeats {
    texts: [(u64, Mono); SLOTS],
    sites: [Site; SLOTS],
}

#[derive(Clone, Copy, Default)]
struct Site {
    key: u64,
    second: Mono,
    written: u32,
    left_out: u32,
}

impl Repeats {
    fn new() -> Repeats {
        Repeats { texts: [(0, Mono::ZERO); SLOTS], sites: [Site::default(); SLOTS] }
    }

    /// `None`: leave the line out. Else how many lines of this place were left out before it.
    fn admit(&mut self, site: (&str, Option<u32>), text: &str, now: Mono) -> Option<u32> {
        let site_key = hash(&site);
        let slot = &mut self.sites[(site_key % SLOTS as u64) as usize];
        if slot.key != site_key || now.since(slot.second) >= Duration::from_secs(1) {
            let left_out = if slot.key == site_key { slot.left_out } else { 0 };
            *slot = Site { key: site_key, second: now, written: 0, left_out };
        }
        let text_key = hash(&(site_key, text));
        let seen = &mut self.texts[(text_key % SLOTS as u64) as usize];
        let repeated = seen.0 == text_key && now.since(seen.1) < REPEAT;
        if repeated || slot.written >= SITE_RATE {
            slot.left_out = slot.left_out.saturating_add(1);
            return None;
        }
        *seen = (text_key, now);
        slot.written += 1;
        Some(std::mem::take(&mut slot.left_out))
    }
}

fn hash(value: &impl Hash) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeat_within_a_minute_is_left_out_and_counted() {
        let mut repeats = Repeats::new();
        let site = ("agent", Some(7));
        let at = |secs: u64| Mono::from_secs(1000 + secs);
        assert_eq!(repeats.admit(site, "no answer", at(0)), Some(0));
        assert_eq!(repeats.admit(site, "no answer", at(30)), None);
        assert_eq!(repeats.admit(site, "no answer", at(59)), None);
        assert_eq!(repeats.admit(site, "no answer", at(61)), Some(2));
        assert_eq!(repeats.admit(site, "another", at(61)), Some(0));
    }

    #[test]
    fn s3_flood_from_one_place_is_at_most_twenty_lines_a_second() {
        let mut repeats = Repeats::new();
        let mut written = 0;
        for i in 0..500 {
            let text = format!("bad datagram {i}");
            written += u32::from(repeats.admit(("w", None), &text, Mono::from_secs(9)).is_some());
        }
        assert_eq!(written, SITE_RATE);
        assert_eq!(repeats.admit(("w", None), "next", Mono::from_secs(10)), Some(480));
    }

    #[test]
    fn line_is_capped_on_a_character() {
        let mut line = Capped(String::new());
        let _ = write!(line, "{}{}", "x".repeat(LINE_MAX - 1), "é".repeat(9));
        assert_eq!(line.0.len(), LINE_MAX - 1);
    }

    #[test]
    fn syslog_line_has_daemon_facility_and_pid() {
        let line = syslog_line("hbc", Level::Warn, "agent: hello");
        assert!(line.starts_with("<28>"), "{line}");
        assert!(line.ends_with(&format!(" hbc[{}]: agent: hello", std::process::id())), "{line}");
        assert_eq!(local_time().len(), 15);
    }
}
