//! Commands and updates that a server with a key asked for: accept, wait until the server has noted
//! that, then run, once (PROTOCOL C7).
//!
//! Decides; never runs anything. What may run at all stands in the agent's own configuration.

use super::retry;
use crate::config::agent::Command;
use crate::limits;
use crate::text;
use crate::time::{Duration, Mono};
use crate::wire::{Cmd, ResOut, ResState, Upd};
use std::collections::{BTreeMap, VecDeque};

/// Under way at a time, those that wait for the server's word included. The server goes on offering
/// what is not taken.
const OPEN_MAX: usize = 8;
/// Numbers under which one job's state was told and that may still be acknowledged.
const SEQS_MAX: usize = 8;
/// An update may be begun this long after it was asked for.
const UPDATE_WITHIN: Duration = Duration::from_secs(3600);
const NO_ENTROPY: &str = "no entropy yet";

/// What to do once the server has noted that it was accepted.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Work {
    Run { argv: Vec<String>, timeout: Duration },
    Update(Upd),
}

#[derive(Debug)]
enum Stage {
    /// Until then it may be begun.
    Accepted(Work, Mono),
    Running,
    Over(Ending),
}

/// What a job came to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ending {
    pub state: ResState,
    pub code: Option<i16>,
    pub output: String,
    pub millis: Option<u64>,
}

impl Ending {
    fn refused(why: impl Into<String>) -> Ending {
        Ending { state: ResState::Refused, code: None, output: why.into(), millis: None }
    }
}

#[derive(Debug)]
struct Job {
    cid: u64,
    stage: Stage,
    /// When its state is told again; `None`: the server has it.
    due: Option<Mono>,
    tries: u8,
    seqs: VecDeque<u64>,
}

impl Job {
    fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over(_))
    }

    fn end(&mut self, now: Mono, ending: Ending) {
        self.stage = Stage::Over(ending);
        self.seqs.clear();
        (self.due, self.tries) = (Some(now), 0);
    }
}

/// The jobs of one server, oldest first.
#[derive(Debug, Default)]
pub(super) struct Jobs(VecDeque<Job>);

impl Jobs {
    /// The server asks for a command by name.
    pub fn ask_command(
        &mut self,
        now: Mono,
        cmd: Cmd,
        list: &BTreeMap<String, Command>,
        weak: bool,
    ) {
        let until = now + Duration::from_secs(u64::from(cmd.ttl));
        self.ask(now, cmd.cid, until, || {
            if weak {
                return Err(NO_ENTROPY.to_owned());
            }
            let Some(own) = list.get(&cmd.name) else {
                return Err(format!("no command {} in the agent's list", cmd.name));
            };
            if !own.args && !cmd.args.is_empty() {
                return Err(format!("{} takes no arguments", cmd.name));
            }
            let argv = own.argv.iter().chain(&cmd.args).cloned().collect();
            Ok(Work::Run { argv, timeout: own.timeout })
        });
    }

    /// The server asks for an update.
    pub fn ask_update(&mut self, now: Mono, upd: Upd, allowed: bool, weak: bool) {
        self.ask(now, upd.cid, now + UPDATE_WITHIN, || match (weak, allowed) {
            (true, _) => Err(NO_ENTROPY.to_owned()),
            (_, false) => Err("no update is configured".to_owned()),
            _ => Ok(Work::Update(upd)),
        });
    }

    fn ask(
        &mut self,
        now: Mono,
        cid: u64,
        until: Mono,
        work: impl FnOnce() -> Result<Work, String>,
    ) {
        if let Some(known) = self.0.iter_mut().find(|job| job.cid == cid) {
            // Heard before; the server has not heard what became of it.
            known.due = Some(now);
            return;
        }
        if self.0.iter().filter(|job| !job.is_over()).count() >= OPEN_MAX {
            return;
        }
        let stage = match work() {
            Ok(work) => Stage::Accepted(work, until),
            Err(why) => Stage::Over(Ending::refused(why)),
        };
        self.0.push_back(Job { cid, stage, due: Some(now), tries: 0, seqs: VecDeque::new() });
        while self.0.len() > limits::CMD_KEPT {
            let Some(at) = self.0.iter().position(Job::is_over) else { break };
            self.0.remove(at);
        }
    }

    /// The server has noted the acceptance: the work, where it is to begin now. At most once for
    /// each number.
    pub fn confirmed(&mut self, now: Mono, cid: u64) -> Option<Work> {
        let job = self.0.iter_mut().find(|job| job.cid == cid)?;
        let Stage::Accepted(work, until) = &job.stage else { return None };
        if *until <= now {
            job.end(now, Ending::refused("too late"));
            return None;
        }
        let work = work.clone();
        job.stage = Stage::Running;
        job.due = None;
        Some(work)
    }

    /// It has run, or could not be run.
    pub fn ended(&mut self, now: Mono, cid: u64, ending: Ending) {
        let running = |job: &&mut Job| job.cid == cid && matches!(job.stage, Stage::Running);
        if let Some(job) = self.0.iter_mut().find(running) {
            job.end(now, ending);
        }
    }

    /// Another session: what it has not confirmed is never begun.
    pub fn forget_unconfirmed(&mut self) {
        self.0.retain(|job| !matches!(job.stage, Stage::Accepted(..)));
        self.0.iter_mut().for_each(|job| job.seqs.clear());
    }

    /// What is told with every datagram: states that the server does not have yet.
    pub fn hurry(&mut self, now: Mono) {
        self.0.iter_mut().filter(|job| job.due.is_some()).for_each(|job| job.due = Some(now));
    }

    pub fn acknowledged(&mut self, seq: u64) {
        let told = |job: &&mut Job| job.seqs.contains(&seq);
        if let Some(job) = self.0.iter_mut().find(told).filter(|job| job.is_over()) {
            job.due = None;
        }
    }

    pub fn timeout(&self) -> Option<Mono> {
        let late = |job: &Job| match job.stage {
            Stage::Accepted(_, until) => Some(until),
            _ => None,
        };
        self.0.iter().flat_map(|job| [job.due, late(job)]).flatten().min()
    }

    /// Ends what was never confirmed in time.
    pub fn tick(&mut self, now: Mono) {
        for job in &mut self.0 {
            if let Stage::Accepted(_, until) = job.stage
                && until <= now
            {
                job.end(now, Ending::refused("too late"));
            }
        }
    }

    /// The next state to tell, under the number `seq`: encodes it into `json`. False: there is none.
    pub fn report(&mut self, now: Mono, json: &mut String, seq: u64) -> bool {
        let due = |job: &&mut Job| job.due.is_some_and(|at| at <= now);
        let Some(job) = self.0.iter_mut().find(due) else { return false };
        let accepted =
            Ending { state: ResState::Accepted, code: None, output: String::new(), millis: None };
        let ending = match &job.stage {
            Stage::Over(ending) => ending,
            Stage::Accepted(..) | Stage::Running => &accepted,
        };
        let Ending { state, code, output, millis } = ending;
        let res = ResOut { cid: job.cid, state: *state, code: *code, output, millis: *millis };
        res.encode(json);
        job.due = match job.stage {
            Stage::Running => None,
            _ => Some(now + retry::item_gap(job.tries)),
        };
        job.tries = job.tries.saturating_add(1);
        if job.seqs.len() >= SEQS_MAX {
            job.seqs.pop_front();
        }
        job.seqs.push_back(seq);
        true
    }
}

/// The end of what a program printed, as much as travels.
pub(super) fn tail(output: &str) -> &str {
    let mut from = output.len().saturating_sub(limits::CMD_OUT_MAX);
    while !output.is_char_boundary(from) {
        from += 1;
    }
    text::cut(&output[from..], limits::CMD_OUT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> BTreeMap<String, Command> {
        let command = |args| Command {
            argv: vec!["/bin/x".to_owned()],
            args,
            timeout: Duration::from_secs(60),
        };
        BTreeMap::from([("a".to_owned(), command(true)), ("b".to_owned(), command(false))])
    }

    fn cmd(cid: u64, name: &str, args: &[&str]) -> Cmd {
        let args = args.iter().map(|a| (*a).to_owned()).collect();
        Cmd { cid, name: name.to_owned(), args, ttl: 60 }
    }

    fn at(secs: u64) -> Mono {
        Mono::from_secs(secs)
    }

    /// All that is due now.
    fn told(jobs: &mut Jobs, now: u64) -> Vec<String> {
        let mut all = Vec::new();
        let mut json = String::new();
        while jobs.report(at(now), &mut json, now * 100) {
            all.push(json.clone());
        }
        all
    }

    #[test]
    fn u10_job_runs_once_and_only_when_the_server_has_noted_it() {
        let mut jobs = Jobs::default();
        jobs.ask_command(at(0), cmd(5, "a", &["x"]), &list(), false);
        assert_eq!(told(&mut jobs, 0), [r#"{"ID":"RES","cid":5,"st":"accepted"}"#]);
        assert_eq!(jobs.confirmed(at(1), 6), None, "another number");
        let work = jobs.confirmed(at(1), 5);
        let argv = vec!["/bin/x".to_owned(), "x".to_owned()];
        assert_eq!(work, Some(Work::Run { argv, timeout: Duration::from_secs(60) }));
        assert_eq!(jobs.confirmed(at(1), 5), None);
        jobs.ask_command(at(2), cmd(5, "a", &["x"]), &list(), false);
        assert_eq!(jobs.confirmed(at(2), 5), None);
        let ending =
            Ending { state: ResState::Done, code: Some(0), output: "o".into(), millis: Some(7) };
        jobs.ended(at(3), 5, ending);
        let done = r#"{"ID":"RES","cid":5,"st":"done","rc":0,"ms":7,"out":"o"}"#;
        assert_eq!(told(&mut jobs, 3), [done]);
        assert_eq!(told(&mut jobs, 3), [""; 0]);
        assert_eq!(told(&mut jobs, 4), [done], "until it is acknowledged");
        jobs.acknowledged(400);
        assert_eq!((told(&mut jobs, 900).len(), jobs.timeout()), (0, None));
        // Asked again, it tells again and does not run.
        jobs.ask_command(at(901), cmd(5, "a", &[]), &list(), false);
        assert_eq!(told(&mut jobs, 901), [done]);
        assert_eq!(jobs.confirmed(at(901), 5), None);
    }

    #[test]
    fn u9_what_is_not_in_the_list_is_refused_with_why() {
        let mut jobs = Jobs::default();
        jobs.ask_command(at(0), cmd(1, "rm", &[]), &list(), false);
        jobs.ask_command(at(0), cmd(2, "b", &["x"]), &list(), false);
        jobs.ask_command(at(0), cmd(3, "a", &[]), &list(), true);
        let upd = Upd { cid: 4, version: "1".into(), sha256: "ab".repeat(32), size: 1 };
        jobs.ask_update(at(0), upd, false, false);
        let told = told(&mut jobs, 0);
        let why = |n: usize, words: &str| assert!(told[n].contains(words), "{}", told[n]);
        why(0, r#""st":"refused","out":"no command rm in the agent's list""#);
        why(1, "b takes no arguments");
        why(2, "no entropy yet");
        why(3, "no update is configured");
        assert!((1..=4).all(|cid| jobs.confirmed(at(0), cid).is_none()));
    }

    #[test]
    fn c7_acceptance_that_is_not_confirmed_in_time_or_in_this_session_is_void() {
        let mut jobs = Jobs::default();
        jobs.ask_command(at(0), cmd(1, "a", &[]), &list(), false);
        jobs.ask_command(at(0), cmd(2, "a", &[]), &list(), false);
        jobs.confirmed(at(1), 2);
        jobs.forget_unconfirmed();
        assert_eq!(jobs.confirmed(at(1), 1), None);
        jobs.ask_command(at(10), cmd(3, "a", &[]), &list(), false);
        jobs.tick(at(70));
        assert_eq!(jobs.confirmed(at(70), 3), None);
        assert!(told(&mut jobs, 70)[0].contains("too late"));
    }

    #[test]
    fn jobs_are_bounded_and_what_is_over_is_remembered() {
        let mut jobs = Jobs::default();
        for cid in 1..=20 {
            jobs.ask_command(at(0), cmd(cid, "a", &[]), &list(), false);
        }
        assert_eq!(jobs.0.len(), OPEN_MAX);
        for cid in 100..300 {
            jobs.ask_command(at(0), cmd(cid, "none", &[]), &list(), false);
        }
        // All that is open is in use: nothing more is taken, not even to be refused.
        assert_eq!(jobs.0.len(), OPEN_MAX);
        jobs.forget_unconfirmed();
        for cid in 100..300 {
            jobs.ask_command(at(0), cmd(cid, "none", &[]), &list(), false);
        }
        assert_eq!(jobs.0.len(), limits::CMD_KEPT);
    }

    #[test]
    fn output_keeps_its_end() {
        assert_eq!(tail("abc"), "abc");
        let long = format!("{}é{}", "x".repeat(50), "y".repeat(limits::CMD_OUT_MAX - 1));
        assert_eq!(tail(&long), "y".repeat(limits::CMD_OUT_MAX - 1));
    }
}
