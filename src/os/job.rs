//! A job that somebody else's program is (`wrap`): runs it as if nobody looked on, and keeps how it
//! went and the end of what it printed.
//!
//! Its input, environment and group are the caller's own; what it prints goes on to where it would
//! have gone. Signals that would stop it are handed on.

use super::signal::{self, Signals};
use super::udp::{self, Sockets, Timer};
use super::{child, clock};
use crate::collect::ObjectWriter;
use crate::limits;
use crate::time::{Duration, Mono, Now};
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

/// How often to look for the end where the kernel cannot wake us at it.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// As a shell has them: not found, cannot be run, killed by a signal.
const NOT_FOUND: i32 = 127;
const NOT_RUN: i32 = 126;
const SIGNALLED: i32 = 128;

pub struct Job {
    child: Option<std::process::Child>,
    began: Now,
    ended: Option<Ended>,
    /// The end of what it printed, both streams as they came.
    tail: Vec<u8>,
}

struct Ended {
    /// Negative where a signal killed it.
    code: i32,
    took: Duration,
}

impl Job {
    /// Starts it; one that cannot be run has ended at once.
    pub fn start(argv: &[OsString]) -> Job {
        let began = clock::now();
        let mut job = Job { child: None, began, ended: None, tail: Vec::new() };
        let Some((name, arguments)) = argv.split_first() else { return job };
        let mut command = Command::new(name);
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        match command.spawn() {
            Ok(child) => job.child = Some(child),
            Err(error) => {
                let missing = error.kind() == io::ErrorKind::NotFound;
                let what = format!("{}: {error}\n", name.to_string_lossy());
                let _ = io::stderr().write_all(what.as_bytes());
                job.tail = what.into_bytes();
                let code = if missing { NOT_FOUND } else { NOT_RUN };
                job.ended = Some(Ended { code, took: Duration::ZERO });
            }
        }
        job
    }

    /// Goes on to its end.
    pub fn run(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let status = self.accompany(&mut child).and_then(|()| child.wait());
        let code = match status {
            Ok(status) => match (status.code(), status.signal()) {
                (Some(code), _) => code,
                (None, signal) => -signal.unwrap_or(0),
            },
            Err(_) => NOT_RUN,
        };
        self.ended = Some(Ended { code, took: clock::now().mono.since(self.began.mono) });
    }

    fn accompany(&mut self, child: &mut std::process::Child) -> io::Result<()> {
        let signals = Signals::of_a_daemon()?;
        let mut timer = Timer::new()?;
        let end = child::end_of(child.id() as libc::pid_t);
        let mut streams: [Option<OwnedFd>; 2] =
            [child.stdout.take().map(OwnedFd::from), child.stderr.take().map(OwnedFd::from)];
        for fd in streams.iter().flatten() {
            // SAFETY: a plain call on a descriptor that is open.
            unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
        }
        loop {
            let ended = child.try_wait()?.is_some();
            for (number, stream) in streams.iter_mut().enumerate() {
                self.forward(stream, number);
            }
            // What it left running may hold its output open: the job itself is what counts.
            if ended {
                return Ok(());
            }
            let mut on: Vec<_> = streams.iter().chain([&end]).flatten().map(AsFd::as_fd).collect();
            on.push(signals.as_fd());
            let until: Option<Mono> = end.is_none().then(|| clock::now_awake().mono + LOOK_EVERY);
            udp::wait(&Sockets::default(), &on, &mut timer, until);
            while let Some(signal) = signal::read_byte(signals.as_fd()) {
                // SAFETY: no memory is involved; the child has not been waited for.
                unsafe { libc::kill(child.id() as libc::pid_t, i32::from(signal)) };
            }
        }
    }

    /// Hands on what has been printed; a stream that is closed is let go.
    fn forward(&mut self, stream: &mut Option<OwnedFd>, number: usize) {
        let mut buffer = [0; 8192];
        while let Some(fd) = stream {
            let mut file = match fd.try_clone() {
                Ok(fd) => std::fs::File::from(fd),
                Err(_) => return,
            };
            match file.read(&mut buffer) {
                Ok(0) => *stream = None,
                Ok(count) => {
                    let bytes = &buffer[..count];
                    let _ = match number {
                        0 => io::stdout().write_all(bytes).and_then(|()| io::stdout().flush()),
                        _ => io::stderr().write_all(bytes),
                    };
                    self.tail.extend_from_slice(bytes);
                    let surplus = self.tail.len().saturating_sub(limits::CMD_OUT_MAX);
                    self.tail.drain(..surplus);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => *stream = None,
            }
        }
    }

    /// The sample of its plugin: under way, or how it ended.
    pub fn render(&self) -> String {
        let mut out = String::new();
        let mut object = ObjectWriter::new(&mut out);
        object.integer("started", self.began.wall.as_secs().max(0) as u64);
        object.bool("running", self.ended.is_none());
        if let Some(ended) = &self.ended {
            object.number("exit_code", ended.code.into());
            object.number_to("duration_s", ended.took.as_secs_f64(), 3);
            let text = String::from_utf8_lossy(&self.tail);
            // What only steers a terminal is left out.
            let kept: String =
                text.chars().filter(|c| !c.is_control() || *c == '\n' || *c == '\t').collect();
            object.text("output", kept.trim());
        }
        object.finish();
        out
    }

    /// The exit status that stands for the job's own.
    pub fn status(&self) -> u8 {
        let code = self.ended.as_ref().map_or(NOT_RUN, |ended| ended.code);
        let code = if code < 0 { SIGNALLED - code } else { code };
        u8::try_from(code).unwrap_or(u8::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(script: &str) -> Job {
        let mut job = Job::start(&["sh", "-c", script].map(OsString::from));
        assert!(job.render().contains("\"running\":true"), "{}", job.render());
        job.run();
        job
    }

    #[test]
    fn job_is_reported_with_its_status_and_the_end_of_its_output() {
        let job = job("echo one; echo two >&2; exit 7");
        assert_eq!(job.status(), 7);
        let data = job.render();
        for part in ["\"running\":false", "\"exit_code\":7", "\"duration_s\":", "one\\u000atwo"] {
            assert!(data.contains(part), "{data}");
        }
    }

    #[test]
    fn job_that_a_signal_kills_and_one_that_is_not_there_end_as_a_shell_has_it() {
        let killed = job("kill -9 $$");
        assert_eq!(killed.status(), 137);
        assert!(killed.render().contains("\"exit_code\":-9"), "{}", killed.render());
        let missing = Job::start(&["/nonexistent/job".into()]);
        assert_eq!(missing.status(), 127);
        assert!(missing.render().contains("\"exit_code\":127"), "{}", missing.render());
    }

    #[test]
    fn long_output_keeps_its_end_and_a_child_left_behind_is_not_waited_for() {
        let job = job("sleep 60 & seq 1 5000; printf '\\033[31mend'");
        let data = job.render();
        assert!(data.contains("[31mend") && !data.contains('\u{1b}'), "{data}");
        assert!(data.len() < 3 * limits::CMD_OUT_MAX, "{}", data.len());
        assert!(job.ended.expect("ended").took < Duration::from_secs(30));
    }
}
