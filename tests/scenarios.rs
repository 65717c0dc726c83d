//! Scenarios that an operator can read, run on a virtual clock. Each file of `tests/scenarios/` is one.
//!
//! A line at the margin is something that happens; the indented lines under it are what the server did then.
//! `UPDATE_EXPECT=1 cargo test --test scenarios` writes them anew.
//!
//! ```text
//! # why this scenario exists
//! config                        the lines after it that begin with | are hbd.yaml (at the top, or a reload)
//! recv ADDRESS JSON             a datagram arrives
//! beat HOST... [every D]        from now on these send heartbeats (every 30 s), whose answers are not shown
//! mute HOST...                  they do so no more
//! feed HOST PLUGIN JSON         data arrives now and every 5 minutes, until the next line about the plugin
//! data HOST PLUGIN JSON         it arrives once
//! elapse DURATION               time passes and the server runs
//! pause DURATION                time passes and the server does not: stopped, or the machine slept
//! restart DURATION              kill -9, and a new process that long after
//! step DURATION                 the wall clock moves (with - : back)
//! show [HOST...]                the state of hosts as a page shows it
//! alerts                        metric alerts that are not OK
//! watch HOST on|off · drop HOST · accept NAME · ignore NAME
//! ack JSON · silence JSON · unsilence ID · maintenance JSON     as the API takes them
//! channel NAME ok|retry|fail|full   how a channel delivers from now on (at first: ok)
//! nsupdate ok|hang|REASON       how an update of the DNS ends from now on (at first: ok)
//! dns HOST                      a manager asks for an update, or is shown how it stands (dns? HOST)
//! ```

use heartbeat::calm::{AckRequest, MaintenanceRequest, SilenceRequest, Zones};
use heartbeat::config::{Document, server};
use heartbeat::engine::outbox::Outcome as Delivery;
use heartbeat::engine::{Command, Effect, Engine, Event, Path, Saved};
use heartbeat::time::{Duration, Mono, Now, Wall, parse_duration};
use heartbeat::wire::Decoder;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

#[test]
fn scenarios_come_out_as_written() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let entries = std::fs::read_dir(&dir).expect("the scenarios are in the repository");
    let mut files: Vec<_> = entries.flatten().map(|e| e.path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "txt"));
    files.sort();
    assert!(!files.is_empty());
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut wrong = String::new();
    for file in files {
        let text = read(&file);
        let got = play(&text);
        if update {
            std::fs::write(&file, &got).expect("a scenario that can be written");
        } else if got != text {
            let _ = writeln!(wrong, "{}:\n{}", file.display(), difference(&text, &got));
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[allow(clippy::disallowed_methods)] // The repository's own files, in a test.
fn read(file: &std::path::Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

/// The first lines that differ, with a little of what stands before.
fn difference(want: &str, got: &str) -> String {
    let (want, got): (Vec<&str>, Vec<&str>) = (want.lines().collect(), got.lines().collect());
    let at = want.iter().zip(&got).position(|(a, b)| a != b).unwrap_or(want.len().min(got.len()));
    let mut text = String::new();
    for line in &want[at.saturating_sub(3)..at] {
        let _ = writeln!(text, "   {line}");
    }
    for (sign, lines) in [('-', &want), ('+', &got)] {
        for line in lines.iter().skip(at).take(6) {
            let _ = writeln!(text, " {sign} {line}");
        }
    }
    text
}

/// Plays the commands of a scenario and writes it with what happened.
fn play(text: &str) -> String {
    let mut stage = Stage::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line.starts_with(' ') {
            continue;
        }
        let _ = writeln!(stage.out, "{line}");
        if line == "config" {
            let mut yaml = String::new();
            while let Some(line) = lines.next_if(|l| l.starts_with('|')) {
                let _ = writeln!(stage.out, "{line}");
                let _ = writeln!(yaml, "{}", line.trim_start_matches('|').trim_end());
            }
            stage.configure(&yaml);
        } else if !line.starts_with('#') && !line.trim().is_empty() {
            stage.act(line);
        }
    }
    stage.out
}

struct Stage {
    engine: Option<Engine>,
    config: Arc<server::Server>,
    decoder: Decoder,
    now: Now,
    /// Times are written from here.
    act: Mono,
    store: BTreeMap<String, Saved>,
    /// Channels that do not deliver.
    broken: BTreeMap<String, Delivery>,
    /// How the name server answers.
    nsupdate: String,
    /// What comes by itself, by host and plugin (none: a heartbeat).
    sources: BTreeMap<(String, String), Source>,
    shows_answer: bool,
    out: String,
}

struct Source {
    next: Mono,
    every: Duration,
    address: IpAddr,
    datagram: String,
}

impl Stage {
    fn new() -> Stage {
        let wall = Wall::from_secs(1_795_348_800); // Sun 22 Nov 2026 12:00 UTC
        let now = Now { mono: Mono::from_secs(1000), wall };
        let config = Arc::new(server::Server::default());
        let (store, broken, out) = (BTreeMap::new(), BTreeMap::new(), String::new());
        let (decoder, sources) = (Decoder::new(), BTreeMap::new());
        Stage {
            engine: None,
            config,
            decoder,
            now,
            act: now.mono,
            store,
            broken,
            nsupdate: "ok".to_owned(),
            sources,
            shows_answer: true,
            out,
        }
    }

    fn configure(&mut self, yaml: &str) {
        let (root, mut problems) = heartbeat::yaml::read(yaml, "hbd.yaml").expect("YAML");
        let document = Document { file: "hbd.yaml".into(), text: yaml.into(), root };
        let (config, found) = server::check(&[document]);
        problems.extend(found);
        for problem in &problems {
            let _ = writeln!(self.out, "  {}", problem.render_line());
        }
        self.config = Arc::new(config);
        if self.engine.is_some() {
            let config = self.config.clone();
            self.happen(Event::Reload(config));
        }
    }

    fn act(&mut self, line: &str) {
        self.act = self.now.mono;
        if self.engine.is_none() {
            self.start();
        }
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb {
            "recv" => self.receive(rest),
            "beat" => self.beat(rest),
            "mute" => {
                let hosts: Vec<&str> = rest.split_whitespace().collect();
                let beats = |h: &str, p: &str| p.is_empty() && hosts.contains(&h);
                self.sources.retain(|(host, plugin), _| !beats(host, plugin));
            }
            "feed" | "data" => self.feed(rest, verb == "feed"),
            "elapse" => self.elapse(duration(rest)),
            "pause" => {
                self.now = self.now + duration(rest);
                self.happen(Event::Tick);
            }
            "step" => {
                let by = duration(rest.trim_start_matches('-'));
                let wall = self.now.wall;
                self.now.wall = if rest.starts_with('-') { wall - by } else { wall + by };
                self.happen(Event::Tick);
            }
            "restart" => {
                let mono = Mono::from_secs(50);
                self.now = Now { mono, wall: self.now.wall + duration(rest) };
                self.act = mono;
                self.sources.values_mut().for_each(|source| source.next = mono);
                self.start();
            }
            "show" => self.show(rest),
            "watch" => {
                let (host, on) = rest.split_once(' ').unwrap_or((rest, "on"));
                self.command(Command::Watch { host: host.into(), watch: on == "on" });
            }
            "channel" => self.channel(rest),
            "nsupdate" => rest.clone_into(&mut self.nsupdate),
            "dns" => self.command(Command::Dns { host: rest.into() }),
            "dns?" => self.show_dns(rest),
            "ack" => {
                let request = AckRequest::parse(rest.as_bytes()).expect("an acknowledgement");
                self.command(Command::Acknowledge { request, by: Some("alice".into()) });
            }
            "silence" => {
                let request = SilenceRequest::parse(rest.as_bytes()).expect("a silence");
                self.command(Command::Silence { request, by: Some("alice".into()) });
            }
            "maintenance" => {
                let request = MaintenanceRequest::parse(rest.as_bytes()).expect("a window");
                self.command(Command::Plan { request, by: Some("alice".into()) });
            }
            "unsilence" => self.command(Command::Unsilence { id: rest.into() }),
            "alerts" => self.alerts(),
            "drop" => self.command(Command::Drop { host: rest.into() }),
            "accept" | "ignore" => {
                self.command(Command::Ghost { name: rest.into(), accept: verb == "accept" });
            }
            _ => panic!("not a command of a scenario: {line}"),
        }
    }

    fn start(&mut self) {
        let mut engine = Engine::new(self.config.clone(), 1, self.now);
        let zones = Zones::new(|name| jiff::tz::TimeZone::get(name).ok(), jiff::tz::TimeZone::UTC);
        engine.set_zones(self.now, zones);
        for row in self.store.values() {
            engine.restore(self.now, row.clone());
        }
        self.engine = Some(engine);
        self.happen(Event::Tick);
    }

    fn receive(&mut self, rest: &str) {
        let (address, text) = rest.split_once(' ').unwrap_or((rest, ""));
        let address: IpAddr = address.parse().unwrap_or_else(|_| panic!("no address: {rest}"));
        self.deliver(address, text, true);
    }

    fn deliver(&mut self, address: IpAddr, text: &str, shows_answer: bool) {
        let path = Path { from: SocketAddr::new(address, 40_000), to: None };
        let mut decoder = std::mem::replace(&mut self.decoder, Decoder::new());
        let decoded = decoder.decode(text.as_bytes());
        if let Err(reason) = &decoded {
            let _ = writeln!(self.out, "  refused: {reason}");
        }
        self.shows_answer = shows_answer;
        self.happen(Event::Datagram { path, len: text.len(), decoded });
        self.decoder = decoder;
    }

    /// `beat HOST... [every DURATION]`
    fn beat(&mut self, rest: &str) {
        let (hosts, every) = rest.split_once(" every ").unwrap_or((rest, "30s"));
        let every = duration(every);
        for host in hosts.split_whitespace() {
            let interval = every.as_secs();
            let datagram = format!(r#"{{"ID":"HTB","name":"{host}","interval":{interval}}}"#);
            self.source(host, "", datagram, every);
        }
        self.bring(self.now.mono);
    }

    /// `feed HOST PLUGIN JSON`
    fn feed(&mut self, rest: &str, again: bool) {
        let mut words = rest.splitn(3, ' ');
        let mut word = || words.next().unwrap_or_else(|| panic!("not data: {rest}"));
        let (host, plugin, data) = (word(), word(), word());
        let datagram = format!(
            r#"{{"ID":"PLG","name":"{host}","plugin":"{plugin}","every":300,"data":{data}}}"#
        );
        self.source(host, plugin, datagram, duration("5m"));
        self.bring(self.now.mono);
        if !again {
            self.sources.remove(&(host.to_owned(), plugin.to_owned()));
        }
    }

    fn source(&mut self, host: &str, plugin: &str, datagram: String, every: Duration) {
        // Each host has an address of its own, by its name.
        let sum = host.bytes().fold(0u8, |sum, b| sum.wrapping_mul(31).wrapping_add(b));
        let address = IpAddr::from([192, 0, 2, sum]);
        let next = self.now.mono;
        let key = (host.to_owned(), plugin.to_owned());
        self.sources.insert(key, Source { next, every, address, datagram });
    }

    /// Brings what is due of what comes by itself.
    fn bring(&mut self, now: Mono) {
        let mut due = Vec::new();
        for source in self.sources.values_mut().filter(|s| s.next <= now) {
            source.next = now + source.every;
            due.push((source.address, source.datagram.clone()));
        }
        for (address, datagram) in due {
            self.deliver(address, &datagram, false);
        }
    }

    fn elapse(&mut self, span: Duration) {
        let end = self.now + span;
        let due = |stage: &Stage| {
            let engine = stage.engine.as_ref().and_then(Engine::poll_timeout);
            engine.into_iter().chain(stage.sources.values().map(|s| s.next)).min()
        };
        while let Some(at) = due(self).filter(|at| *at <= end.mono) {
            self.now = self.now + at.since(self.now.mono);
            self.bring(self.now.mono);
            self.happen(Event::Tick);
        }
        self.now = end;
        self.happen(Event::Tick);
    }

    /// `channel NAME ok|retry|fail`
    fn channel(&mut self, rest: &str) {
        let (name, how) = rest.split_once(' ').unwrap_or((rest, "ok"));
        let outcome = match how {
            "retry" => Delivery::Retry { after: Duration::ZERO },
            "fail" => Delivery::Failed,
            "full" => Delivery::Full,
            _ => Delivery::Done,
        };
        self.broken.insert(name.to_owned(), outcome);
    }

    fn alerts(&mut self) {
        let Some(engine) = &mut self.engine else { return };
        let view = engine.view();
        for host in view.hosts.iter() {
            for alert in host.alert_list.iter().filter(|a| a.level.as_str() != "OK") {
                let recovers =
                    alert.recovers_at.map_or(String::new(), |at| format!(" recovers at {at}"));
                let flags = [
                    (alert.stale, " stale"),
                    (alert.acknowledged.is_some(), " acknowledged"),
                    (alert.silenced.is_some(), " silenced"),
                ];
                let flags: String =
                    flags.iter().filter(|(on, _)| *on).map(|(_, word)| *word).collect();
                let (name, level, path) = (&host.name, alert.level.as_str(), &alert.path);
                let value = alert.value.to_json();
                let _ = writeln!(self.out, "  {name} {level} {path} = {value}{recovers}{flags}");
            }
        }
    }

    fn command(&mut self, command: Command) {
        self.happen(Event::Command { id: 1, command });
    }

    fn happen(&mut self, event: Event<'_>) {
        let Some(engine) = &mut self.engine else { return };
        engine.handle(self.now, event);
        let at = self.now.mono.since(self.act).as_secs_f64();
        let mut delivered = Vec::new();
        let mut updated = None;
        while let Some(effect) = engine.poll_effect() {
            match effect {
                Effect::Notify(message) => {
                    let to = message.receiver.render();
                    for line in &message.lines {
                        let _ = writeln!(self.out, "  {at:+.1} notify {to}: {line}");
                    }
                    let broken = self.broken.get(&*message.receiver.channel).copied();
                    delivered.push((message.id, broken.unwrap_or(Delivery::Done)));
                }
                Effect::Send { path, reply } if self.shows_answer => {
                    let _ = writeln!(self.out, "  {at:+.1} send {} {reply:?}", path.from.ip());
                }
                Effect::Send { .. } => {}
                Effect::Publish(event) => {
                    let level = event.level.map_or("-", |l| l.as_str());
                    let kind = event.kind.as_str();
                    let _ = writeln!(self.out, "  {at:+.1} {kind} {level} {}", event.text);
                }
                Effect::Persist(rows) => {
                    rows.into_iter().for_each(|row| keep(&mut self.store, row))
                }
                Effect::Dns(job) => {
                    for line in job.update.render().lines() {
                        let _ = writeln!(self.out, "  {at:+.1} dns {line}");
                    }
                    updated = match self.nsupdate.as_str() {
                        "ok" => Some(Ok(())),
                        "hang" => None,
                        reason => Some(Err(reason.to_owned())),
                    };
                }
                // What is journalled is what is told and answered above; its form has tests of its own.
                Effect::Journal(_) | Effect::Record(_) => {}
                // Scenarios have plain hosts only.
                Effect::Order { .. } | Effect::Secure { .. } | Effect::Pair { .. } => {}
                Effect::Answer { outcome, .. } => {
                    let _ = writeln!(self.out, "  {at:+.1} answer {outcome:?}");
                }
            }
        }
        for (message, outcome) in delivered {
            self.happen(Event::Delivered { message, outcome });
        }
        if let Some(outcome) = updated {
            self.happen(Event::DnsDone(outcome));
        }
    }

    fn show_dns(&mut self, name: &str) {
        let Some(engine) = &mut self.engine else { return };
        let view = engine.view();
        let Some(dns) = view.host(name).and_then(|host| host.dns.clone()) else {
            let _ = writeln!(self.out, "  no record");
            return;
        };
        let _ = write!(self.out, "  {} {}", dns.name, dns.state.as_str());
        for record in &dns.records {
            let parts = [("", record.address), ("wants ", record.wanted), ("not ", record.refused)];
            for (what, address) in parts {
                if let Some(address) = address {
                    let _ = write!(self.out, " · {what}{address}");
                }
            }
        }
        if let Some(next) = dns.next {
            let _ = write!(self.out, " · in {} s", next.since(self.now.wall).as_secs());
        }
        let error = dns.error.as_deref().map_or(String::new(), |error| format!(" · {error}"));
        let _ = writeln!(self.out, "{error}");
    }

    fn show(&mut self, names: &str) {
        let Some(engine) = &mut self.engine else { return };
        let view = engine.view();
        let wanted: Vec<&str> = names.split_whitespace().collect();
        for (name, id) in view.names.iter() {
            let Some(host) = view.hosts.get(*id) else { continue };
            if !wanted.is_empty() && !wanted.contains(&&**name) {
                continue;
            }
            let _ = write!(self.out, "  {name} {} {}", host.state.as_str(), host.severity.as_str());
            for link in host.connections() {
                let loss = link.loss_percent.map_or(String::new(), |l| format!(" loss {l:.0}%"));
                let rtt = link.rtt_ms.map_or(String::new(), |r| format!(" {r} ms"));
                let (family, state) = (link.family.as_str(), link.state.as_str());
                let _ = write!(self.out, " · {family} {} {state}{rtt}{loss}", link.address);
            }
            let why = if host.why.is_empty() { String::new() } else { format!(" · {}", host.why) };
            let _ = writeln!(self.out, "{why}");
        }
        for ghost in view.ghosts.iter() {
            let _ = writeln!(
                self.out,
                "  ghost {} from {} ×{}",
                ghost.name, ghost.address, ghost.count
            );
        }
        if view.hosts.len == 0 && view.ghosts.is_empty() {
            let _ = writeln!(self.out, "  no hosts");
        }
    }
}

fn duration(text: &str) -> Duration {
    parse_duration(text).unwrap_or_else(|| panic!("not a duration: {text:?}"))
}

/// Keeps a row as the store does; keys sort into the order that restoring wants.
fn keep(store: &mut BTreeMap<String, Saved>, row: Saved) {
    match &row {
        Saved::Meta { key, .. } => store.insert(format!("0 {key}"), row),
        Saved::Host { name, .. } => store.insert(format!("1 {name}"), row),
        Saved::HostGone { name } => store.remove(&format!("1 {name}")),
        Saved::Sample { host, plugin, .. } => store.insert(format!("2 {host} {plugin}"), row),
        Saved::Event { id, .. } => store.insert(format!("3 {id:012}"), row),
        Saved::EventsBefore { .. } => None,
        Saved::Part { key, .. } => store.insert(format!("4 {key}"), row),
        Saved::PartGone { key } => store.remove(&format!("4 {key}")),
    };
}
