//! Commands that a server asked for, while they run: each a program of the agent's own list, without
//! a shell, in a clean environment and a process group of its own, for so long and no longer.

use super::child::{Child, Ended, Exit, Program};
use crate::time::{Duration, Mono};
use std::os::fd::BorrowedFd;

/// What has ended: whose it was, and how.
pub struct Ran {
    pub server: usize,
    pub cid: u64,
    /// The code, negative where a signal ended it; what it printed; milliseconds.
    pub how: Result<(i32, String, u64), String>,
}

struct Running {
    server: usize,
    cid: u64,
    child: Child,
    began: Mono,
    limit: Duration,
}

/// The programs under way. Dropping it kills them.
#[derive(Default)]
pub struct Commands(Vec<Running>);

impl Commands {
    /// Starts a program; what came of it where it cannot be started.
    pub fn start(
        &mut self,
        now: Mono,
        (server, cid): (usize, u64),
        argv: Vec<String>,
        limit: Duration,
    ) -> Option<Ran> {
        let name = argv.first().cloned().unwrap_or_default();
        let program = Program { argv, timeout: Some(limit), ..Program::default() };
        match Child::start(&program, now) {
            Ok(child) => {
                self.0.push(Running { server, cid, child, began: now, limit });
                None
            }
            Err(error) => Some(Ran { server, cid, how: Err(format!("{name}: {error}")) }),
        }
    }

    /// Goes on with all of them; those that have ended.
    pub fn poll(&mut self, now: Mono) -> Vec<Ran> {
        let mut ran = Vec::new();
        self.0.retain_mut(|running| {
            let Some(ended) = running.child.poll(now) else { return true };
            let millis = now.since(running.began).as_millis() as u64;
            let how = told(ended, millis, running.limit);
            ran.push(Ran { server: running.server, cid: running.cid, how });
            false
        });
        ran
    }

    /// Adds what they wait for, and says when to poll at the latest.
    pub fn watch<'a>(&'a self, on: &mut Vec<BorrowedFd<'a>>) -> Option<Mono> {
        self.0.iter().map(|running| running.child.watch(on)).min()
    }
}

fn told(ended: Ended, millis: u64, limit: Duration) -> Result<(i32, String, u64), String> {
    let mut output = String::from_utf8_lossy(&ended.stdout).into_owned();
    output.push_str(&String::from_utf8_lossy(&ended.stderr));
    if ended.timed_out {
        return Err(format!("{output}\ntimed out after {} s", limit.as_secs())
            .trim_start()
            .to_owned());
    }
    let code = match ended.exit {
        Exit::Code(code) => code,
        Exit::Signal(signal) => -signal,
    };
    Ok((code, output, millis))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::clock;
    use crate::os::udp::{Sockets, Timer, wait};

    fn run(argv: &[&str], limit: Duration) -> Result<(i32, String, u64), String> {
        let mut commands = Commands::default();
        let argv = argv.iter().map(|word| (*word).to_owned()).collect();
        if let Some(ran) = commands.start(clock::now_awake().mono, (0, 1), argv, limit) {
            return ran.how;
        }
        let mut timer = Timer::new().expect("a timer");
        loop {
            if let Some(ran) = commands.poll(clock::now_awake().mono).pop() {
                return ran.how;
            }
            let mut on = Vec::new();
            let until = commands.watch(&mut on);
            wait(&Sockets::default(), &on, &mut timer, until);
        }
    }

    #[test]
    fn u9_command_has_no_shell_no_environment_and_its_output_comes_back() {
        let second = Duration::from_secs(20);
        let (code, output, _) = run(&["/bin/echo", "$HOME;", "`id`"], second).expect("ran");
        assert_eq!((code, &*output), (0, "$HOME; `id`\n"));
        let (_, env, _) = run(&["/usr/bin/env"], second).expect("ran");
        assert!(env.lines().all(|line| line.starts_with("PATH=") || line == "LANG=C"), "{env}");
        let (code, output, _) =
            run(&["/bin/sh", "-c", "echo x; echo y >&2; exit 3"], second).expect("ran");
        assert_eq!((code, &*output), (3, "x\ny\n"));
        let (code, ..) = run(&["/bin/sh", "-c", "kill -9 $$"], second).expect("ran");
        assert_eq!(code, -9);
        assert!(run(&["/nonexistent/x"], second).is_err());
    }

    #[test]
    fn u9_command_over_its_time_is_ended_with_its_group() {
        let argv = ["/bin/sh", "-c", "echo begun; sleep 60 & sleep 60"];
        let why = run(&argv, Duration::from_millis(200)).expect_err("too long");
        assert_eq!(why, "begun\n\ntimed out after 0 s");
    }
}
