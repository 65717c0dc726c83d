//! The thread `dns`: runs `nsupdate` for the engine, one update at a time, and tells it how that ended.
//!
//! Never decides what is updated or when. A name server that does not answer holds up this thread and nobody else.

use crate::engine::{self, Order};
use crate::pulse;
use crossbeam_channel::{Receiver, Sender, bounded};
use heartbeat::engine::dyndns::Job;
use heartbeat::os::child::{Ended, Exit, Program};
use heartbeat::os::{program, signal, thread};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

/// The engine's inbox was full: it is tried again this soon.
const TELL_AGAIN: Duration = Duration::from_millis(100);
/// Of what nsupdate complains about, this much is told.
const COMPLAINT_MAX: usize = 200;
const STACK: usize = 128 << 10;

/// The engine's end: takes one update, the next one after the answer to it.
pub struct Handle(Sender<Box<Job>>);

impl Handle {
    /// `false` where the thread has one already or has ended.
    #[must_use]
    pub fn send(&self, job: Box<Job>) -> bool {
        self.0.try_send(job).is_ok()
    }
}

/// The other end, until the thread is started.
pub struct Inbox(Receiver<Box<Job>>);

pub fn channel() -> (Handle, Inbox) {
    let (sender, receiver) = bounded(1);
    (Handle(sender), Inbox(receiver))
}

/// The running thread. The engine's thread, which has the only handle, is to end first.
pub struct Running {
    thread: JoinHandle<()>,
    stop: OwnedFd,
}

impl Running {
    /// Kills the program that runs, if one does, and ends the thread.
    pub fn stop(self) {
        signal::write_byte(self.stop.as_fd(), 0);
        let _ = self.thread.join();
    }
}

pub fn start(Inbox(jobs): Inbox, engine: engine::Inbox) -> io::Result<Running> {
    let (stopped, stop) = signal::pipe()?;
    let mut warned = None;
    let body = move || {
        for job in jobs {
            // Whatever it waits for here has a limit of its own.
            pulse::waits();
            warn_of_key(job.key.as_deref(), &mut warned);
            let Some(outcome) = run(&job, &stopped) else { return };
            if let Err(why) = &outcome {
                log::warn!("dns: {} not updated: {why} host={}", job.update.name(), job.host);
            }
            tell(&engine, outcome, &stopped);
        }
    };
    Ok(Running { thread: thread::spawn("dns", STACK, body)?, stop })
}

/// The answer is owed: the engine makes no further update without it.
fn tell(engine: &engine::Inbox, outcome: Result<(), String>, stopped: &OwnedFd) {
    while !engine.send(Order::DnsDone(outcome.clone())) {
        if program::is_readable(stopped.as_fd()) {
            return;
        }
        std::thread::park_timeout(TELL_AGAIN);
    }
}

/// `None`: the server is stopping.
fn run(job: &Job, stopped: &OwnedFd) -> Option<Result<(), String>> {
    log::debug!("dns: updating {} host={}", job.update.name(), job.host);
    let ended = match program::run(&command(job), stopped.as_fd()) {
        Ok(ended) => ended?,
        Err(error) => {
            return Some(Err(format!("cannot run {}: {error}", job.program.display())));
        }
    };
    Some(judge(job, &ended))
}

/// `nsupdate -t SECONDS [-k FILE]`; what it is to do it reads from its standard input.
fn command(job: &Job) -> Program {
    let patience = (job.timeout.as_secs() / 2).max(1);
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut argv = vec![text(&job.program), "-t".to_owned(), patience.to_string()];
    if let Some(key) = &job.key {
        argv.extend(["-k".to_owned(), text(key)]);
    }
    let stdin = job.update.render().into_bytes();
    Program { argv, timeout: Some(job.timeout), stdin, ..Program::default() }
}

fn judge(job: &Job, ended: &Ended) -> Result<(), String> {
    if ended.timed_out {
        return Err(format!("no answer within {} s", job.timeout.as_secs()));
    }
    let complaint = || {
        let said = String::from_utf8_lossy(&ended.stderr);
        let said: Vec<&str> = said.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
        let said = said.join("; ");
        heartbeat::text::cut(&said, COMPLAINT_MAX).to_owned()
    };
    match ended.exit {
        Exit::Code(0) => Ok(()),
        Exit::Code(code) if ended.stderr.is_empty() => Err(format!("exit status {code}")),
        Exit::Code(_) => Err(complaint()),
        Exit::Signal(number) => Err(format!("killed by signal {number}")),
    }
}

/// The key moves every name of the zone: only the server should be able to read it.
fn warn_of_key(key: Option<&Path>, warned: &mut Option<PathBuf>) {
    use std::os::unix::fs::PermissionsExt;
    let Some(key) = key else { return };
    let mode = std::fs::metadata(key).map(|meta| meta.permissions().mode() & 0o777);
    if mode.is_ok_and(|mode| mode & 0o077 != 0) && warned.as_deref() != Some(key) {
        log::warn!("nsupdate_key: {} can be read by others, chmod 0600 it", key.display());
        *warned = Some(key.to_owned());
    }
}
