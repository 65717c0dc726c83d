//! An update of the running agent, from the order to the restart: starts the site's own script, or
//! the agent's own file with `--update`, as a program beside the agent; keeps the probation after a
//! restart. Never waits: heartbeats go on.

use super::child::{Child, Ended, Exit, Program};
use super::probation::{self, Probation, Start};
use crate::agent::release::Wanted;
use crate::config::agent::Update;
use crate::text;
use crate::time::{Duration, Mono};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;

/// A download over a slow line, or a script of the site's.
const WITHIN: Duration = Duration::from_secs(900);
/// Between the result and the restart: it is to reach the server.
const RESTART_AFTER: Duration = Duration::from_secs(3);

/// What an agent knows of itself.
#[derive(Clone, Debug)]
pub struct Own {
    /// `hbc` or `hbc-mini`.
    pub program: &'static str,
    pub version: &'static str,
    /// Its file, as it was when it started: once replaced, the kernel names the old one.
    pub exe: PathBuf,
    /// The configuration that it has read.
    pub config: Option<PathBuf>,
    /// As it was started, for the restart.
    pub arguments: Vec<OsString>,
    pub directory: Option<PathBuf>,
}

pub struct Updater {
    own: Own,
    update: Option<Update>,
    run: Option<Run>,
    restart: Option<Mono>,
    probation: Option<(Mono, Probation)>,
}

struct Run {
    server: usize,
    cid: u64,
    child: Child,
}

/// What came of an order.
pub struct Finished {
    pub server: usize,
    pub cid: u64,
    pub result: Result<String, String>,
}

impl Updater {
    /// Looks for a probation. `None`: it has failed, and the old version is to be run.
    pub fn begin(own: Own, update: Option<Update>, now: Mono) -> Option<Updater> {
        let probation = match probation::begin(&own.exe, own.version, now) {
            Start::RolledBack => return None,
            Start::Settled => None,
            Start::OnProbation { until, note } => {
                log::info!("version {} is new here, before it was {}", note.version, note.from);
                Some((until, note))
            }
        };
        Some(Updater { own, update, run: None, restart: None, probation })
    }

    /// Follows an order; `host` is the server that gave it. One at a time.
    ///
    /// # Errors
    /// Why not.
    pub fn start(
        &mut self,
        now: Mono,
        (server, cid): (usize, u64),
        host: &str,
        wanted: &Wanted,
    ) -> Result<(), String> {
        let update = self.update.as_ref().ok_or("no update is configured on this machine")?;
        if self.run.is_some() || self.restart.is_some() {
            return Err("another update is under way".to_owned());
        }
        if self.probation.is_some() {
            return Err("the update before this one is not confirmed yet".to_owned());
        }
        let program = self.program(update, host, wanted);
        let child = Child::start(&program, now).map_err(|error| {
            let name = program.argv.first().map_or("", String::as_str);
            format!("{name} cannot be run: {error}")
        })?;
        let version = wanted.version.as_deref().unwrap_or("the newest version");
        log::info!("update to {version} begins server={host}");
        self.run = Some(Run { server, cid, child });
        Ok(())
    }

    fn program(&self, update: &Update, host: &str, wanted: &Wanted) -> Program {
        let url = url(update, host);
        let version = wanted.version.clone().unwrap_or_default();
        let sha256 = wanted.sha256.clone().unwrap_or_default();
        let size = wanted.size.map(|size| size.to_string()).unwrap_or_default();
        let exe = self.own.exe.to_string_lossy().into_owned();
        if !update.command.is_empty() {
            let env = [
                ("HB_PROGRAM", self.own.program.to_owned()),
                ("HB_RUNNING", self.own.version.to_owned()),
                ("HB_VERSION", version),
                ("HB_SHA256", sha256),
                ("HB_SIZE", size),
                ("HB_SERVER", host.to_owned()),
                ("HB_URL", url),
                ("HB_EXE", exe),
            ];
            let env = env.map(|(name, value)| (name.to_owned(), value)).into();
            let argv = update.command.clone();
            return Program { argv, env, timeout: Some(WITHIN), ..Program::default() };
        }
        let mut argv = vec![exe];
        if let Some(config) = &self.own.config {
            argv.extend(["-c".to_owned(), config.to_string_lossy().into_owned()]);
        }
        argv.extend(["--update".to_owned(), url, version, sha256, size]);
        let env = BTreeMap::new();
        Program { argv, env, timeout: Some(WITHIN), ..Program::default() }
    }

    /// Adds what is waited for, and says when to look at the latest.
    pub fn watch<'a>(&'a self, on: &mut Vec<BorrowedFd<'a>>) -> Option<Mono> {
        let run = self.run.as_ref().map(|run| run.child.watch(on));
        let probation = self.probation.as_ref().map(|(until, _)| *until);
        [run, self.restart, probation].into_iter().flatten().min()
    }

    /// Goes on with an update; what came of it once it has ended.
    pub fn poll(&mut self, now: Mono) -> Option<Finished> {
        let mut run = self.run.take()?;
        let Some(ended) = run.child.poll(now) else {
            self.run = Some(run);
            return None;
        };
        let result = outcome(&ended);
        match &result {
            Ok(what) => {
                log::info!("updated: {what}; restarting");
                self.restart = Some(now + RESTART_AFTER);
            }
            Err(why) => log::warn!("the update failed: {why}"),
        }
        Some(Finished { server: run.server, cid: run.cid, result })
    }

    /// A server has acknowledged something: the new version works.
    pub fn confirm(&mut self) {
        if let Some((_, note)) = self.probation.take() {
            Probation::forget(&self.own.exe);
            log::info!("version {} is confirmed", note.version);
        }
    }

    pub fn is_on_probation(&self) -> bool {
        self.probation.is_some()
    }

    /// Whether to restart now: after an update, or because the probation is over; then the old
    /// version is in place.
    pub fn restart_due(&mut self, now: Mono) -> bool {
        if let Some((_, note)) = self.probation.take_if(|(until, _)| *until <= now) {
            log::error!("version {}: no acknowledgement in time", note.version);
            return probation::end(&self.own.exe).is_ok();
        }
        self.restart.is_some_and(|at| at <= now)
    }
}

/// Where releases lie: the configured place, else the server's own.
pub fn url(update: &Update, host: &str) -> String {
    match &update.url {
        Some(url) => url.clone(),
        None if host.contains(':') => format!("http://[{host}]:50004/agent/"),
        None => format!("http://{host}:50004/agent/"),
    }
}

/// The last line that it printed: what was done, or why it was not.
fn outcome(ended: &Ended) -> Result<String, String> {
    let last = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        text::cut(line.trim(), 400).to_owned()
    };
    let (out, err) = (last(&ended.stdout), last(&ended.stderr));
    match ended.exit {
        _ if ended.timed_out => Err(format!("timed out after {} s", WITHIN.as_secs())),
        Exit::Code(0) => Ok(if out.is_empty() { "done".to_owned() } else { out }),
        Exit::Code(code) if err.is_empty() => Err(format!("exit status {code}")),
        Exit::Code(_) => Err(err),
        Exit::Signal(signal) => Err(format!("killed by signal {signal}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::clock;

    fn updater(update: Option<Update>) -> Updater {
        let own = Own {
            program: "hbc",
            version: "1.0.0",
            exe: PathBuf::from("/nonexistent/hbc"),
            config: Some(PathBuf::from("/etc/heartbeat/hbc.yaml")),
            arguments: Vec::new(),
            directory: None,
        };
        Updater::begin(own, update, Mono::ZERO).expect("settled")
    }

    fn script(text: &str) -> Option<Update> {
        let command = ["sh", "-c", text].map(str::to_owned).to_vec();
        Some(Update { command, ..Update::default() })
    }

    fn wanted() -> Wanted {
        Wanted { version: Some("1.1.0".to_owned()), sha256: Some("ab".to_owned()), size: Some(7) }
    }

    fn run(updater: &mut Updater) -> Result<String, String> {
        updater.start(clock::now_awake().mono, (1, 2), "hb", &wanted())?;
        loop {
            if let Some(finished) = updater.poll(clock::now_awake().mono) {
                assert_eq!((finished.server, finished.cid), (1, 2));
                return finished.result;
            }
            let mut on = Vec::new();
            let until = updater.watch(&mut on);
            let mut timer = crate::os::udp::Timer::new().expect("a timer");
            crate::os::udp::wait(&crate::os::udp::Sockets::default(), &on, &mut timer, until);
        }
    }

    #[test]
    fn u11_update_is_off_unless_configured() {
        let result = updater(None).start(Mono::ZERO, (0, 1), "hb", &wanted());
        assert_eq!(result, Err("no update is configured on this machine".to_owned()));
    }

    #[test]
    fn script_of_the_site_knows_what_is_wanted_and_a_restart_follows() {
        let echo = "echo $HB_PROGRAM $HB_RUNNING $HB_VERSION $HB_SHA256 $HB_SIZE $HB_URL $HB_EXE";
        let mut updater = updater(script(echo));
        let said = "hbc 1.0.0 1.1.0 ab 7 http://hb:50004/agent/ /nonexistent/hbc";
        assert_eq!(run(&mut updater), Ok(said.to_owned()));
        let now = clock::now_awake().mono;
        assert!(!updater.restart_due(now));
        assert!(updater.restart_due(now + RESTART_AFTER));
        let again = updater.start(now, (0, 1), "hb", &wanted());
        assert_eq!(again, Err("another update is under way".to_owned()));
    }

    #[test]
    fn script_that_fails_changes_nothing_and_its_last_words_are_told() {
        let mut updater = updater(script("echo one >&2; echo disk full >&2; exit 1"));
        assert_eq!(run(&mut updater), Err("disk full".to_owned()));
        assert!(!updater.restart_due(Mono::MAX));
        let why = run(&mut self::updater(script("kill -9 $$"))).expect_err("it was killed");
        assert_eq!(why, "killed by signal 9");
    }

    #[test]
    fn built_in_update_runs_the_agent_itself() {
        let update = Update { public_key: Some("RWQ".to_owned()), ..Update::default() };
        let program = updater(None).program(&update, "2001:db8::1", &wanted());
        let want = [
            "/nonexistent/hbc",
            "-c",
            "/etc/heartbeat/hbc.yaml",
            "--update",
            "http://[2001:db8::1]:50004/agent/",
            "1.1.0",
            "ab",
            "7",
        ];
        assert_eq!(program.argv, want);
    }

    #[test]
    fn probation_that_is_over_takes_the_update_back() {
        let dir = tempfile::tempdir().expect("a directory");
        let exe = dir.path().join("hbc");
        std::fs::write(&exe, "new").expect("written");
        std::fs::write(crate::os::update::beside(&exe, "old"), "old").expect("written");
        let own = Own { exe: exe.clone(), version: "1.1.0", ..updater(None).own };
        Probation::new("1.1.0", "1.0.0").write(&exe).expect("written");
        let begin = || Updater::begin(own.clone(), None, Mono::ZERO).expect("not yet over");
        begin().confirm();
        assert!(!begin().is_on_probation(), "what was confirmed stays so");
        Probation::new("1.1.0", "1.0.0").write(&exe).expect("written");
        let mut updater = begin();
        assert!(!updater.restart_due(Mono::from_secs(599)));
        assert!(updater.restart_due(Mono::from_secs(600)));
        let bytes = crate::os::file::read_bounded(&exe, 10).expect("read");
        assert_eq!(bytes, b"old");
    }
}
