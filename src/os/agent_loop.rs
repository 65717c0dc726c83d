//! The shell around the agent's state machine: sockets, plugins, names, and one wait.
//!
//! hbc, hbc-mini and `hbd --with-agent` all run this. It decides nothing about the protocol.

use super::command::{Commands, Ran};
use super::desk::{Desk, Taken};
use super::entropy;
use super::errand::Errands;
use super::notes::Notes;
use super::runner::{self, Done, Job, Plugins, Workers};
use super::udp::{self, Incoming, Ready, Sockets, Timer};
use super::updater::Updater;
use super::{clock, file, signal};
use crate::agent::one_off::{Answer, Call, OneOff};
use crate::agent::release::Wanted;
use crate::agent::{Agent, Effect, Event, Plan, RanHow, Setup, View};
use crate::collect::{Plugin, PluginKind};
use crate::config::agent as config;
use crate::prng::Prng;
use crate::text;
use crate::time::{Duration, Mono};
use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

/// How long a one-off message is tried, and when an address that cannot be sent to is given up.
const MESSAGE_WITHIN: Duration = Duration::from_secs(30);
const SEND_WITHIN: Duration = Duration::from_secs(5);
/// How long a single round may take.
const ROUND_WITHIN: Duration = Duration::from_secs(20);

/// What this run is for.
#[derive(Clone, Debug, PartialEq)]
pub enum Task {
    /// Report until told to stop.
    Report,
    /// Every plugin once, everything acknowledged, done.
    Round,
    /// One message, no heartbeat.
    Tell(OneOff),
}

/// How plugins are run and names looked up.
#[derive(Clone, Copy, Debug)]
pub enum Runtime {
    /// On this thread, one after the other.
    Inline,
    /// By workers beside it, which this starts.
    Beside(fn(Plugins) -> io::Result<Box<dyn Workers>>),
}

impl Runtime {
    /// On threads.
    pub const THREADS: Runtime = Runtime::Beside(runner::start);
}

/// How it ended.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    Stopped,
    /// Every server has acknowledged the message, or some have and no more time is left.
    Acknowledged,
    NotSent,
    NotAcknowledged,
    Round(Round),
    /// The program's file is another one now: run that.
    Restart,
}

/// What a reporting agent has beside its servers and plugins; a single round has nothing of it.
#[derive(Default)]
pub struct Extras {
    pub desk: Option<Desk>,
    pub updater: Option<Updater>,
    /// What a server of a pair has its heartbeats say.
    pub notes: Option<Notes>,
}

/// What a single round sent, and how the servers answered.
#[derive(Debug, PartialEq)]
pub struct Round {
    /// Plugin and data, or why there is none, in the order of collection.
    pub samples: Vec<(String, Result<String, String>)>,
    pub view: View,
    /// Everything was acknowledged by every server.
    pub complete: bool,
}

/// Runs an agent until its task is done or `stop` has a byte to read: SIGHUP's number opens the log
/// file anew, any other, and a closed writing end, stops it in good order.
///
/// # Errors
/// No descriptors or threads are left at the start.
pub fn run(
    mut setup: Setup,
    mut plugins: Plugins,
    runtime: Runtime,
    task: Task,
    extras: Extras,
    stop: BorrowedFd<'_>,
) -> io::Result<Outcome> {
    let errands = Errands::split_off(&mut plugins);
    let work = match runtime {
        Runtime::Inline => Work::Inline { plugins, due: VecDeque::new() },
        Runtime::Beside(start) => Work::Beside(start(plugins)?),
    };
    setup.heartbeat &= !matches!(task, Task::Tell(_));
    let mut timer = Timer::new()?;
    let now = clock::now_awake();
    let seed = RandomState::new().build_hasher().finish();
    let mut shell = Shell {
        servers: setup.targets.iter().map(|t| (t.host.clone(), t.port)).collect(),
        names: setup.plugins.iter().map(|p| p.name.to_string()).collect(),
        agent: Agent::new(setup, seed, now),
        sockets: Sockets::default(),
        spare: String::new(),
        work,
        errands,
        commands: Commands::default(),
        task,
        extras,
        prng: Prng::new(!seed),
        began: now.mono,
        tally: Tally::default(),
        stopping: false,
    };
    Ok(shell.run(stop, &mut timer))
}

/// The plan of each plugin, as the configuration wants it, in the same order.
pub fn plans(config: &config::Agent, plugins: &Plugins) -> Vec<Plan> {
    let defaults = config::Plugin::default();
    let plan = |plugin: &dyn Plugin| {
        let settings = config.plugins.get(plugin.name()).unwrap_or(&defaults);
        Plan {
            name: plugin.name().into(),
            info: plugin.kind() == PluginKind::Info,
            stream: plugin.kind() == PluginKind::Stream,
            every: settings.interval,
            timeout: plugin.limit().unwrap_or(settings.timeout),
            quick: plugin.is_quick(),
        }
    };
    plugins.iter().map(|plugin| plan(plugin.as_ref())).collect()
}

/// When this machine booted, on the agent's clock; `None` where the kernel does not say.
pub fn booted(procfs: &Path) -> Option<Mono> {
    let bytes = file::read_bounded(&procfs.join("uptime"), 128).ok()?;
    let up = text::decimal(bytes.split(u8::is_ascii_whitespace).next()?)?;
    let up = Duration::try_from_secs_f64(up).ok()?;
    Some(clock::now_awake().mono - up)
}

struct Shell {
    agent: Agent,
    sockets: Sockets,
    work: Work,
    errands: Errands,
    commands: Commands,
    task: Task,
    extras: Extras,
    /// Numbers of one-off messages.
    prng: Prng,
    began: Mono,
    servers: Vec<(String, u16)>,
    names: Vec<String>,
    /// The room of the last sample: given back and taken anew, it would be mapped anew each time.
    spare: String,
    tally: Tally,
    stopping: bool,
}

/// What a task needs to know about its end.
#[derive(Default)]
struct Tally {
    sent: u32,
    /// Servers that have acknowledged the message.
    told: usize,
    /// Lookups that found nothing.
    unknown: usize,
    samples: Vec<(String, Result<String, String>)>,
}

enum Work {
    Inline { plugins: Plugins, due: VecDeque<usize> },
    Beside(Box<dyn Workers>),
}

impl Shell {
    fn run(&mut self, stop: BorrowedFd<'_>, timer: &mut Timer) -> Outcome {
        if let Task::Tell(what) = &self.task {
            let id = (self.prng.next_u64() >> 11) | 1;
            self.agent.handle(clock::now_awake(), Event::OneOff { id, what });
        }
        loop {
            if self.drain() {
                return self.outcome();
            }
            // One plugin a turn, so that answers are read in between; all that are due, where none is urgent.
            while self.collect_one() {
                if self.drain() {
                    return self.outcome();
                }
                if self.quiet_until().is_none() {
                    break;
                }
            }
            if self.is_done() {
                return self.outcome();
            }
            // Once stopping there is nothing more to hear; a closed end would read as a byte for
            // ever.
            let ready = self.wait((!self.stopping).then_some(stop), timer);
            if ready.others
                && !self.stopping
                && let Some(byte) = signal::read_byte(stop)
            {
                self.signalled(byte);
            }
            self.receive(ready);
            self.poll_errands();
            self.commands.poll(clock::now_awake().mono).into_iter().for_each(|ran| self.ran(&ran));
            if self.poll_extras(ready.others) {
                return Outcome::Restart;
            }
            self.agent.handle(clock::now_awake(), Event::Tick);
        }
    }

    /// As the agent has it; a task that ends with its answers waits for them.
    fn quiet_until(&self) -> Option<Mono> {
        self.agent.quiet_until().filter(|_| self.task == Task::Report)
    }

    fn wait(&mut self, stop: Option<BorrowedFd<'_>>, timer: &mut Timer) -> Ready {
        let quiet = self.quiet_until();
        let timeouts = [self.agent.poll_timeout(), self.deadline(), quiet];
        let mut others: Vec<BorrowedFd<'_>> = stop.into_iter().collect();
        let errands = self.errands.watch(&mut others).filter(|at| *at < Mono::MAX);
        let commands = self.commands.watch(&mut others).filter(|at| *at < Mono::MAX);
        let desk = self.extras.desk.as_ref().and_then(|desk| desk.watch(&mut others));
        let update = self.extras.updater.as_ref().and_then(|updater| updater.watch(&mut others));
        let notes = self.extras.notes.as_ref().and_then(|notes| notes.watch(&mut others));
        let extras = [desk, update, notes].into_iter().flatten().filter(|at| *at < Mono::MAX);
        let until =
            timeouts.into_iter().flatten().chain(errands).chain(commands).chain(extras).min();
        let (results, until) = match &self.work {
            Work::Inline { due, .. } if !due.is_empty() => (None, Some(Mono::ZERO)),
            Work::Inline { .. } => (None, until),
            Work::Beside(workers) => (Some(workers.as_fd()), until),
        };
        others.extend(results);
        if quiet.is_none() {
            return udp::wait(&self.sockets, &others, timer, until);
        }
        let ready = udp::wait(&Sockets::default(), &others, timer, until);
        // Only where time has passed is there something to read.
        Ready { sockets: until != Some(Mono::ZERO), ..ready }
    }

    fn signalled(&mut self, byte: u8) {
        if i32::from(byte) != libc::SIGHUP {
            self.stopping = true;
            self.agent.handle(clock::now_awake(), Event::Stop);
        } else if let Err(error) = super::log::reopen() {
            log::error!("the log file cannot be opened anew: {error}");
        }
    }

    fn receive(&mut self, ready: Ready) {
        if ready.sockets {
            let now = clock::now_awake();
            self.sockets.receive(|link, incoming| match incoming {
                Incoming::Datagram(bytes) => {
                    self.agent.handle(now, Event::Datagram { link, bytes });
                }
                Incoming::Refused => self.agent.handle(now, Event::SendFailed { link }),
            });
        }
        while ready.others
            && let Some(done) = self.poll_work()
        {
            match done {
                Done::Collected { plugin, result } => self.collected(plugin, result),
                Done::Resolved { server, addresses } => self.resolved(server, &addresses),
            }
        }
    }

    fn poll_work(&self) -> Option<Done> {
        match &self.work {
            Work::Inline { .. } => None,
            Work::Beside(workers) => workers.poll(),
        }
    }

    /// Goes on with one-off calls and with an update; whether to run another file now.
    fn poll_extras(&mut self, readable: bool) -> bool {
        let now = clock::now_awake();
        if let Some(mut desk) = self.extras.desk.take() {
            desk.poll(now.mono, readable, |call| self.take_call(&call));
            self.extras.desk = Some(desk);
        }
        if let Some(note) = self.extras.notes.as_mut().and_then(|notes| notes.poll(now.mono)) {
            self.agent.handle(now, Event::Pair { note });
        }
        let Some(updater) = &mut self.extras.updater else { return false };
        let finished = updater.poll(now.mono);
        let restart = updater.restart_due(now.mono);
        if updater.is_on_probation() && self.agent.view().is_answered() {
            updater.confirm();
        }
        if let Some(finished) = finished {
            let result = finished.result.as_deref().map_err(String::as_str);
            let (server, cid) = (finished.server, finished.cid);
            self.agent.handle(now, Event::Updated { server, cid, result });
        }
        restart
    }

    fn take_call(&mut self, call: &Call) -> Taken {
        let view = self.agent.view();
        let named = |server: &String| view.servers.iter().any(|s| s.target.to_string() == *server);
        if self.stopping || !call.servers.iter().all(named) {
            return Taken::Answer(Answer::OtherServers);
        }
        let sealed = view.servers.iter().filter(|server| server.target.key.is_some()).count();
        let servers = match call.what {
            OneOff::Maintenance { .. } if sealed == 0 => return Taken::Answer(Answer::Refused),
            OneOff::Maintenance { .. } => sealed,
            _ => view.servers.len(),
        };
        let id = (self.prng.next_u64() >> 11) | 1;
        self.agent.handle(clock::now_awake(), Event::OneOff { id, what: &call.what });
        if !call.wait {
            return Taken::Answer(Answer::Taken);
        }
        let sent = view.servers.iter().any(|server| !server.links.is_empty());
        Taken::Waiting { id, servers, sent }
    }

    fn update(&mut self, order: (usize, u64), wanted: &Wanted) {
        let now = clock::now_awake();
        let host = self.servers.get(order.0).map(|(host, _)| host.clone()).unwrap_or_default();
        let started = match &mut self.extras.updater {
            Some(updater) => updater.start(now.mono, order, &host, wanted),
            None => Err("no update is configured on this machine".to_owned()),
        };
        if let Err(why) = started {
            log::warn!("no update: {why}");
            let (server, cid) = order;
            self.agent.handle(now, Event::Updated { server, cid, result: Err(&why) });
        }
    }

    /// Does what the agent wants done; says whether it is finished.
    fn drain(&mut self) -> bool {
        while let Some(effect) = self.agent.poll_effect() {
            match effect {
                Effect::Resolve { server } => self.resolve(server),
                Effect::Open { link, address } => self.sockets.open(link, address),
                Effect::Close { link } => self.sockets.close(link),
                Effect::Send { link, bytes } => match self.sockets.send(link, &bytes) {
                    Ok(()) => self.tally.sent += 1,
                    Err(error) => {
                        log::debug!("not sent link={link}: {error}");
                        self.agent.handle(clock::now_awake(), Event::SendFailed { link });
                    }
                },
                Effect::Collect { plugin } => self.start_collecting(plugin),
                Effect::Hung { plugin } => {
                    if self.errands.abandon(plugin) {
                        self.collected(plugin, Err("was given up".to_owned()));
                    } else if let Work::Beside(workers) = &mut self.work {
                        workers.replace_one();
                    }
                }
                Effect::Told { id, .. } => {
                    self.tally.told += 1;
                    if let Some(desk) = &mut self.extras.desk {
                        desk.told(id);
                    }
                }
                Effect::Run { server, cid, argv, timeout } => {
                    let now = clock::now_awake().mono;
                    if let Some(ran) = self.commands.start(now, (server, cid), argv, timeout) {
                        self.ran(&ran);
                    }
                }
                Effect::Entropy => self.look_for_entropy(),
                Effect::Update { server, cid, ver, sha256, size } => {
                    let (version, sha256, size) = (Some(ver), Some(sha256), Some(size));
                    self.update((server, cid), &Wanted { version, sha256, size });
                }
                Effect::Exit => return true,
            }
        }
        false
    }

    fn ran(&mut self, ran: &Ran) {
        let how = match &ran.how {
            Ok((code, output, millis)) => RanHow::Ended { code: *code, output, millis: *millis },
            Err(why) => RanHow::Failed(why),
        };
        let (server, cid) = (ran.server, ran.cid);
        self.agent.handle(clock::now_awake(), Event::Ran { server, cid, how });
    }

    fn look_for_entropy(&mut self) {
        let seed = entropy::seed(Path::new("/proc"));
        if !seed.weak {
            self.agent.handle(clock::now_awake(), Event::Entropy { seed: seed.number });
        }
    }

    fn resolve(&mut self, server: usize) {
        let Some((host, port)) = self.servers.get(server).cloned() else { return };
        match &self.work {
            Work::Inline { .. } => self.resolved(server, &runner::resolve(&host, port)),
            Work::Beside(workers) => {
                if workers.submit(Job::Resolve { server, host, port }).is_err() {
                    self.resolved(server, &[]);
                }
            }
        }
    }

    fn resolved(&mut self, server: usize, addresses: &[std::net::SocketAddr]) {
        self.tally.unknown += usize::from(addresses.is_empty());
        self.agent.handle(clock::now_awake(), Event::Resolved { server, addresses });
    }

    fn start_collecting(&mut self, plugin: usize) {
        if self.errands.start(plugin) {
            return;
        }
        match &mut self.work {
            Work::Inline { due, .. } => due.push_back(plugin),
            Work::Beside(workers) => {
                if workers.submit(Job::Collect { plugin }).is_err() {
                    self.collected(plugin, Err("every plugin runner is held up".to_owned()));
                }
            }
        }
    }

    /// What came of the runs that wait for others; the agent says what to do with it next.
    fn poll_errands(&mut self) {
        for (plugin, result) in self.errands.poll(clock::now_awake()) {
            self.collected(plugin, result);
        }
    }

    /// Runs the next plugin, where they run on this thread; says whether there was one.
    fn collect_one(&mut self) -> bool {
        let Work::Inline { plugins, due } = &mut self.work else { return false };
        let Some(plugin) = due.pop_front() else { return false };
        let Some(slot) = plugins.get_mut(plugin) else { return false };
        let result = runner::collect(slot.as_mut(), std::mem::take(&mut self.spare));
        self.collected(plugin, result);
        true
    }

    fn collected(&mut self, plugin: usize, result: Result<String, String>) {
        let outcome = result.as_deref().map_err(String::as_str);
        self.agent.handle(clock::now_awake(), Event::Sample { plugin, result: outcome });
        if let Err(reason) = &result {
            log::warn!("plugin {} failed: {reason}", self.names[plugin]);
        }
        if self.task == Task::Round {
            self.tally.samples.push((self.names[plugin].clone(), result));
        } else {
            self.spare = result.unwrap_or_default();
        }
    }

    /// When a task that ends by itself ends.
    fn deadline(&self) -> Option<Mono> {
        match self.task {
            Task::Report => None,
            Task::Round => Some(self.began + ROUND_WITHIN),
            Task::Tell(_) if self.tally.sent == 0 => Some(self.began + SEND_WITHIN),
            Task::Tell(_) => Some(self.began + MESSAGE_WITHIN),
        }
    }

    fn is_done(&self) -> bool {
        if self.deadline().is_some_and(|at| at <= clock::now_awake().mono) {
            return true;
        }
        match self.task {
            Task::Report => false,
            Task::Round => is_complete(&self.agent.view()),
            Task::Tell(_) => {
                let nowhere = self.tally.unknown >= self.servers.len();
                self.tally.told >= self.servers.len() || (nowhere && self.tally.sent == 0)
            }
        }
    }

    fn outcome(&mut self) -> Outcome {
        match self.task {
            Task::Report => Outcome::Stopped,
            Task::Round => {
                let samples = std::mem::take(&mut self.tally.samples);
                let view = self.agent.view();
                let complete = is_complete(&view);
                Outcome::Round(Round { samples, view, complete })
            }
            Task::Tell(_) if self.tally.told > 0 => Outcome::Acknowledged,
            Task::Tell(_) if self.tally.sent == 0 => Outcome::NotSent,
            Task::Tell(_) => Outcome::NotAcknowledged,
        }
    }
}

fn is_complete(view: &View) -> bool {
    let served =
        |s: &crate::agent::ServerView| s.queued == 0 && s.links.iter().any(|l| l.answering);
    view.collected && view.servers.iter().all(served)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Target;
    use crate::wire::Decoder;
    use std::net::UdpSocket;
    use std::os::fd::OwnedFd;
    use std::thread::JoinHandle;

    fn setup(ports: &[u16]) -> Setup {
        let host = || "127.0.0.1".to_owned();
        let target = |&port| Target { host: host(), port, ipv4: true, ipv6: true, key: None };
        Setup {
            name: "web".into(),
            version: "1",
            interval: Duration::from_secs(30),
            targets: ports.iter().map(target).collect(),
            plugins: Vec::new(),
            spool_max: 1000,
            boot: false,
            heartbeat: true,
            trust: Default::default(),
            booted: None,
        }
    }

    /// A server that acknowledges `count` datagrams and gives back their texts; before it waits for
    /// the last one, it closes `last`.
    #[allow(clippy::disallowed_methods, reason = "the test joins it")]
    fn server(count: usize, last: Option<OwnedFd>) -> (u16, JoinHandle<Vec<String>>) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let mut last = last;
        let body = move || {
            let (mut buffer, mut decoder) = ([0; 2048], Decoder::default());
            let mut texts = Vec::new();
            for n in 1..=count {
                if n == count {
                    drop(last.take());
                }
                let (len, from) = socket.recv_from(&mut buffer).unwrap();
                let seq = decoder.decode(&buffer[..len]).unwrap().seq.unwrap();
                let ack = format!(r#"{{"ID":"ACK","ack":{seq}}}"#);
                let text = String::from_utf8_lossy(&buffer[..len]).into_owned();
                socket.send_to(ack.as_bytes(), from).unwrap();
                texts.push(text);
            }
            texts
        };
        (port, std::thread::spawn(body))
    }

    fn run_task(setup: Setup, plugins: Plugins, runtime: Runtime, task: Task) -> Outcome {
        let (read, _write) = signal::pipe().unwrap();
        run(setup, plugins, runtime, task, Extras::default(), read.as_fd()).unwrap()
    }

    #[test]
    fn message_that_every_server_acknowledges_ends_at_once() {
        for runtime in [Runtime::Inline, Runtime::THREADS] {
            let ((a, server_a), (b, server_b)) = (server(1, None), server(1, None));
            let task = Task::Tell(OneOff::Text("hello".to_owned()));
            let outcome = run_task(setup(&[a, b]), Vec::new(), runtime, task);
            assert_eq!(outcome, Outcome::Acknowledged);
            for server in [server_a, server_b] {
                assert!(server.join().unwrap()[0].contains(r#""text":"hello""#));
            }
        }
    }

    #[test]
    fn message_to_a_name_that_does_not_exist_is_not_sent() {
        let mut setup = setup(&[9]);
        setup.targets[0].host = "no-such-host.invalid".to_owned();
        let task = Task::Tell(OneOff::Boot);
        assert_eq!(run_task(setup, Vec::new(), Runtime::THREADS, task), Outcome::NotSent);
    }

    #[test]
    fn round_ends_when_everything_is_acknowledged() {
        let config = config::Agent::default();
        let plugins = crate::collect::builtin(&config, crate::collect::MINI);
        let (port, _server) = server(64, None);
        let mut setup = setup(&[port]);
        setup.plugins = plans(&config, &plugins);
        let names: Vec<String> = setup.plugins.iter().map(|p| p.name.to_string()).collect();
        let outcome = run_task(setup, plugins, Runtime::Inline, Task::Round);
        let Outcome::Round(round) = outcome else { panic!("{outcome:?}") };
        assert!(round.complete);
        let collected: Vec<String> = round.samples.into_iter().map(|(name, _)| name).collect();
        assert_eq!(collected, names);
        assert!(round.view.servers[0].links[0].rtt.is_some());
    }

    #[test]
    fn stop_sends_shutdown_and_ends() {
        let (read, write) = signal::pipe().unwrap();
        let (port, server) = server(3, Some(write));
        let mut setup = setup(&[port]);
        setup.boot = true;
        let outcome =
            run(setup, Vec::new(), Runtime::Inline, Task::Report, Extras::default(), read.as_fd());
        assert_eq!(outcome.unwrap(), Outcome::Stopped);
        assert!(server.join().unwrap()[2].contains(r#""kind":"shutdown""#));
    }

    #[test]
    fn boot_time_is_before_now() {
        assert!(booted(Path::new("/proc")).unwrap() < clock::now_awake().mono);
        assert_eq!(booted(Path::new("/nonexistent")), None);
    }
}
