//! A plugin of your own that keeps running: each line it prints is a sample. Started again when it
//! ends, after a pause that grows.

use super::{CollectError, Errand, Plugin, PluginKind, foreign, program};
use crate::os::child::{Child, Program};
use crate::os::errand;
use crate::time::{Duration, Mono, Now};
use std::collections::VecDeque;
use std::os::fd::BorrowedFd;

/// Between two samples: one that prints faster waits, its pipe being full.
const GAP: Duration = Duration::from_millis(100);
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(300);
/// One that ran this long begins with the shortest pause again.
const SETTLED: Duration = Duration::from_secs(60);

pub struct Stream {
    name: String,
    program: Program,
    timeout: Duration,
    run: Option<Child>,
    /// What it printed before it ended, and how that was.
    rest: VecDeque<String>,
    ended: Option<String>,
    /// The number of the last line.
    line: u32,
    started: Mono,
    /// Nothing is done before.
    next: Mono,
    /// When it was looked at last.
    seen: Mono,
    pause: Duration,
}

impl Stream {
    /// `timeout` is for the first line where only one is wanted.
    pub fn new(name: &str, argv: Vec<String>, timeout: Duration) -> Stream {
        Stream {
            name: name.to_owned(),
            program: Program { argv, ..Program::default() },
            timeout,
            run: None,
            rest: VecDeque::new(),
            ended: None,
            line: 0,
            started: Mono::ZERO,
            next: Mono::ZERO,
            seen: Mono::ZERO,
            pause: PAUSE_MIN,
        }
    }

    fn start(&mut self, now: Mono) -> Result<(), String> {
        self.line = 0;
        self.started = now;
        match Child::start(&self.program, now) {
            Ok(run) => {
                self.run = Some(run);
                Ok(())
            }
            Err(error) => Err(self.again(now, &format!("cannot be run: {error}"))),
        }
    }

    /// Plans the next start; the error that tells of it.
    fn again(&mut self, now: Mono, what: &str) -> String {
        if now.since(self.started) >= SETTLED {
            self.pause = PAUSE_MIN;
        }
        let pause = self.pause;
        self.next = now + pause;
        self.pause = (pause * 2).min(PAUSE_MAX);
        format!("{what}; started again in {} s", pause.as_secs())
    }

    /// The next line that is there, or why there will be none.
    fn next_line(&mut self, now: Mono) -> Option<Result<String, String>> {
        if let Some(line) = self.rest.pop_front() {
            return Some(Ok(line));
        }
        if let Some(what) = self.ended.take() {
            return Some(Err(self.again(now, &what)));
        }
        if self.run.is_none()
            && let Err(error) = self.start(now)
        {
            return Some(Err(error));
        }
        let run = self.run.as_mut()?;
        if let Some(line) = run.take_line() {
            return Some(Ok(foreign::text(&line).into_owned()));
        }
        let Some(mut ended) = run.poll(now) else {
            return run.take_line().map(|line| Ok(foreign::text(&line).into_owned()));
        };
        self.run = None;
        let output = std::mem::take(&mut ended.stdout);
        self.rest = foreign::text(&output).lines().map(str::to_owned).collect();
        self.ended = Some(format!("ended, {}", program::complaint(&ended)));
        self.next_line(now)
    }

    fn sample(&mut self, now: Mono) -> Option<Result<String, String>> {
        loop {
            let line = match self.next_line(now)? {
                Ok(line) => line,
                Err(error) => return Some(Err(error)),
            };
            self.line = self.line.saturating_add(1);
            if !line.trim_ascii().is_empty() {
                return Some(foreign::check(&line, self.line));
            }
        }
    }
}

impl Plugin for Stream {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> PluginKind {
        PluginKind::Stream
    }

    fn limit(&self) -> Option<Duration> {
        Some(self.timeout)
    }

    fn collect(&mut self, _now: Now, out: &mut String) -> Result<(), CollectError> {
        errand::finish(self, out)
    }

    fn errand(&mut self) -> Option<&mut dyn Errand> {
        Some(self)
    }
}

impl Errand for Stream {
    fn advance(&mut self, now: Now, out: &mut String) -> Option<Result<(), CollectError>> {
        self.seen = now.mono;
        if now.mono < self.next {
            return None;
        }
        let sample = self.sample(now.mono)?;
        self.next = self.next.max(now.mono + GAP);
        let file = self.program.argv.first().map_or("", String::as_str);
        let sample = sample.map_err(|what| CollectError(format!("{file}: {what}")));
        Some(sample.map(|text| out.push_str(&text)))
    }

    fn watch<'a>(&'a self, on: &mut Vec<BorrowedFd<'a>>) -> Mono {
        match &self.run {
            // What it prints meanwhile stays in its pipe.
            Some(run) if self.next <= self.seen => run.watch(on),
            _ => self.next,
        }
    }

    fn abandon(&mut self) {
        self.run = None;
        self.ended = None;
        self.rest.clear();
    }

    fn goes_on(&self) -> bool {
        true
    }
}

#[cfg(test)]
#[path = "stream_test.rs"]
mod tests;
