//! `ping_monitor`: whether hosts answer echo requests, and how fast.
//!
//! All hosts at the same time, one packet of each under way. Where the kernel gives this process no
//! socket for it, the `ping` program does it.

use super::ping::{self, Echo, Tally};
use super::{CollectError, Errand, ObjectWriter, Plugin, PluginKind, program};
use crate::config::agent::{self, PingHost};
use crate::os::child::{self, Child, Program};
use crate::os::errand;
use crate::os::icmp::{self, Socket};
use crate::os::lookup::Lookup;
use crate::time::{Duration, Mono, Now};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};

pub const NAME: &str = "ping_monitor";
/// Between two packets to a host.
const GAP: Duration = Duration::from_millis(200);
const TIMEOUT_MIN: Duration = Duration::from_millis(10);
const LOOKUP_WITHIN: Duration = Duration::from_secs(10);
/// `ping` programs at a time.
const PROGRAMS_MAX: usize = 4;

pub struct PingMonitor {
    hosts: Vec<PingHost>,
    settings: Settings,
    run: Vec<Probe>,
}

#[derive(Clone, Copy)]
struct Settings {
    count: u32,
    /// Per packet.
    timeout: Duration,
    source: Option<IpAddr>,
}

/// The packets to one host.
struct Probe {
    state: State,
    tally: Tally,
}

enum State {
    /// Until then.
    LookedUp(Lookup, Mono),
    Pinged(Pinged),
    /// Waits for its turn to run the program, with its name or address.
    Queued(String),
    Program(Child),
    Done,
}

struct Pinged {
    socket: Socket,
    echo: Echo,
    /// When the packet under way was sent.
    sent: Option<Mono>,
    /// When it counts as lost, or the next one is sent.
    due: Mono,
}

impl PingMonitor {
    /// # Errors
    /// No hosts are configured, or this machine has no way to ping.
    pub fn new(settings: &agent::Plugin) -> Result<PingMonitor, CollectError> {
        let refuse = |what: &str| Err(CollectError(what.to_owned()));
        if settings.hosts.is_empty() {
            return refuse("no hosts are configured");
        }
        if !icmp::is_allowed() && child::find("ping").is_none() {
            return refuse(
                "neither a socket for ICMP nor the ping program: \
                 widen net.ipv4.ping_group_range or install ping",
            );
        }
        Ok(PingMonitor {
            hosts: settings.hosts.clone(),
            settings: Settings {
                count: settings.count,
                timeout: settings.timeout.max(TIMEOUT_MIN),
                source: settings.source,
            },
            run: Vec::new(),
        })
    }

    fn write(&self, out: &mut String) {
        let mut object = ObjectWriter::new(out);
        object.begin("hosts");
        for (host, Probe { tally, .. }) in self.hosts.iter().zip(&self.run) {
            object.begin(&host.name);
            let [min, mean, max] = match tally.rtt_ms {
                Some(times) => times.map(Some),
                None => [None; 3],
            };
            object.number_or_null("rtt_ms", mean, 3);
            object.number_or_null("rtt_min_ms", min, 3);
            object.number_or_null("rtt_max_ms", max, 3);
            let lost = if tally.sent == 0 { 100.0 } else { tally.loss_percent() };
            object.number_to("loss_percent", lost, 2);
            object.bool("alive", tally.received > 0);
            object.end();
        }
        object.end();
        object.finish();
    }
}

impl Plugin for PingMonitor {
    fn name(&self) -> &str {
        NAME
    }

    fn kind(&self) -> PluginKind {
        PluginKind::Monitor
    }

    fn limit(&self) -> Option<Duration> {
        let each = self.settings.program_limit() + LOOKUP_WITHIN + program::MARGIN;
        Some(each * self.hosts.len().div_ceil(PROGRAMS_MAX) as u32)
    }

    fn collect(&mut self, _now: Now, out: &mut String) -> Result<(), CollectError> {
        errand::finish(self, out)
    }

    fn errand(&mut self) -> Option<&mut dyn Errand> {
        Some(self)
    }
}

impl Errand for PingMonitor {
    fn advance(&mut self, now: Now, out: &mut String) -> Option<Result<(), CollectError>> {
        let now = now.mono;
        if self.run.is_empty() {
            let token = |place: usize| now.as_nanos() ^ ((place as u64) << 48);
            let begin = |(place, host)| Probe::begin(host, token(place), &self.settings, now);
            self.run = self.hosts.iter().enumerate().map(begin).collect();
        }
        for probe in &mut self.run {
            probe.advance(&self.settings, now);
        }
        let programs = |run: &[Probe]| {
            run.iter().filter(|probe| matches!(probe.state, State::Program(_))).count()
        };
        for place in 0..self.run.len() {
            if programs(&self.run) < PROGRAMS_MAX {
                self.run[place].start_program(&self.settings, now);
            }
        }
        if !self.run.iter().all(|probe| matches!(probe.state, State::Done)) {
            return None;
        }
        self.write(out);
        self.run.clear();
        Some(Ok(()))
    }

    fn watch<'a>(&'a self, on: &mut Vec<BorrowedFd<'a>>) -> Mono {
        self.run.iter().map(|probe| probe.watch(on)).min().unwrap_or(Mono::ZERO)
    }

    fn abandon(&mut self) {
        self.run.clear();
    }
}

impl Settings {
    /// What the `ping` program is given: it sends a packet a second, and looks the name up.
    fn program_limit(&self) -> Duration {
        self.timeout.max(Duration::from_secs(1)) * (self.count + 1) + LOOKUP_WITHIN
    }

    /// Options that every `ping` knows. Whole seconds: busybox has no others.
    fn program(&self, target: &str) -> Program {
        let v6 = target.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6());
        let name = if v6 && child::find("ping6").is_some() { "ping6" } else { "ping" };
        let timeout = self.timeout.as_secs_f64().ceil().max(1.0) as u64;
        let mut argv = vec![name.to_owned(), "-q".to_owned(), "-c".to_owned()];
        argv.extend([self.count.to_string(), "-W".to_owned(), timeout.to_string()]);
        if let Some(source) = self.source {
            argv.extend(["-I".to_owned(), source.to_string()]);
        }
        argv.push(target.to_owned());
        Program { argv, timeout: Some(self.program_limit()), ..Program::default() }
    }
}

impl Probe {
    fn begin(host: &PingHost, token: u64, settings: &Settings, now: Mono) -> Probe {
        let mut probe = Probe { state: State::Done, tally: Tally::default() };
        probe.state = match host.address.parse::<IpAddr>() {
            Ok(ip) => open((ip, 0).into(), token, settings, now),
            Err(_) if !icmp::is_allowed() => State::Queued(host.address.clone()),
            Err(_) => match Lookup::start(host.address.clone()) {
                Ok(lookup) => State::LookedUp(lookup, now + LOOKUP_WITHIN),
                Err(error) => {
                    log::debug!("{NAME} host={}: {error}", host.name);
                    State::Done
                }
            },
        };
        probe
    }

    fn advance(&mut self, settings: &Settings, now: Mono) {
        match &mut self.state {
            State::LookedUp(lookup, until) => match lookup.poll() {
                Some(found) => {
                    let usable = |address: &&SocketAddr| {
                        settings.source.is_none_or(|ip| ip.is_ipv4() == address.is_ipv4())
                    };
                    let target = found.iter().find(usable);
                    let open = |target: &SocketAddr| open(*target, now.as_nanos(), settings, now);
                    self.state = target.map_or(State::Done, open);
                }
                None if *until <= now => self.state = State::Done,
                None => {}
            },
            State::Program(child) => {
                if let Some(ended) = child.poll(now) {
                    let output = String::from_utf8_lossy(&ended.stdout);
                    self.tally = ping::parse_ping(&output).unwrap_or_default();
                    self.state = State::Done;
                }
            }
            State::Queued(_) | State::Done => {}
            State::Pinged(pinged) => {
                if pinged.advance(&mut self.tally, settings, now) {
                    self.state = State::Done;
                }
            }
        }
    }

    fn start_program(&mut self, settings: &Settings, now: Mono) {
        let State::Queued(target) = &self.state else { return };
        self.state = match Child::start(&settings.program(target), now) {
            Ok(child) => State::Program(child),
            Err(error) => {
                log::warn!("{NAME} host={target}: ping cannot be run: {error}");
                State::Done
            }
        };
    }

    fn watch<'a>(&'a self, on: &mut Vec<BorrowedFd<'a>>) -> Mono {
        match &self.state {
            State::LookedUp(lookup, until) => {
                on.push(lookup.as_fd());
                *until
            }
            State::Pinged(pinged) => {
                on.push(pinged.socket.as_fd());
                pinged.due
            }
            State::Program(child) => child.watch(on),
            State::Queued(_) | State::Done => Mono::MAX,
        }
    }
}

fn open(target: SocketAddr, token: u64, settings: &Settings, now: Mono) -> State {
    match Socket::open(target, settings.source) {
        Ok(socket) => {
            let echo = Echo { v6: target.is_ipv6(), id: token as u16, seq: 0, token };
            State::Pinged(Pinged { socket, echo, sent: None, due: now })
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            State::Queued(target.ip().to_string())
        }
        // No way there is as good as no answer.
        Err(error) => {
            log::debug!("{NAME} address={target}: {error}");
            State::Done
        }
    }
}

impl Pinged {
    /// Takes an answer, sends what is due; true when all is done.
    fn advance(&mut self, tally: &mut Tally, settings: &Settings, now: Mono) -> bool {
        let echo = self.echo;
        let answered = self.socket.receive(|bytes| echo.is_answered_by(bytes));
        if let (Some(sent), Some(at)) = (self.sent, answered) {
            tally.add(at.since(sent).as_secs_f64() * 1e3);
            self.sent = None;
            self.due = sent + GAP;
        }
        let waits = self.sent.is_some() && now < self.due;
        if !waits && tally.sent >= settings.count {
            return true;
        }
        if self.due <= now {
            tally.sent += 1;
            self.echo.seq = tally.sent as u16;
            // What cannot be sent is lost as well; its time passes all the same.
            self.sent = self.socket.send(&self.echo.request()).ok();
            self.due = now + if self.sent.is_some() { settings.timeout } else { GAP };
        }
        false
    }
}

#[cfg(test)]
#[path = "ping_monitor_test.rs"]
mod tests;
