//! Running the server: everything that must succeed before it is ready, in order, and the orderly end.

use crate::accounts::{self, Accounts};
use crate::agent::AgentThread;
use crate::app::App;
use crate::bind::{self, Inherited};
use crate::certificate::Certificate;
use crate::gate::{self, Listeners};
use crate::lookup::{self, Environment};
use crate::pair::{self, PairThread};
use crate::reading::{self, Reading, Source};
use crate::shared::Shared;
use crate::store::{self, Store};
use crate::supervisor::{self, SignalThread, Supervisor};
use crate::systemd::{self, Notifier};
use crate::tls_ports::TlsPorts;
use crate::waiting::{Progress, Room};
use crate::{EXIT_CONFIG, EXIT_FAILED, EXIT_OK};
use crate::{dns, engine, fault, history, journal, keys, notify, remote, vitals};
use crossbeam_channel::bounded;
use heartbeat::calm::Zones;
use heartbeat::config::server::Server;
use heartbeat::engine::view::{EventKind, Level};
use heartbeat::engine::{Engine, Event, Saved};
use heartbeat::os::notes::Desk;
use heartbeat::os::{clock, daemon, file, log as sink, name};
use heartbeat::time::Duration;
use heartbeat::web::{Facts, Figure, Kind};
use heartbeat::wire::Keyring;
use jiff::tz::TimeZone;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::cell::RefCell;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

/// Below this many descriptors nothing works for long (THREATS S10).
const DESCRIPTORS_MIN: u64 = 128;

/// How the server was asked to run.
pub struct Options {
    pub source: Source,
    pub foreground: bool,
    pub verbosity: u8,
}

/// Runs the server to its end; returns the exit status.
pub fn run(mut options: Options) -> u8 {
    fault::install();
    limit_arenas();
    let env = options.source.env.clone();
    options.source.background = !options.foreground && env.notify_socket.is_none();
    if let Err(error) = fault::arm(env.fault.as_deref()) {
        let _ = writeln!(std::io::stderr(), "hbd: {error}");
        return EXIT_FAILED;
    }
    let inherited = bind::inherited(env.listen.0.as_deref(), env.listen.1.as_deref());
    let reading = options.source.read();
    if !reading.problems.is_empty() {
        eprint!("{}", reading.render_problems());
    }
    if reading.has_error() {
        return EXIT_CONFIG;
    }
    let prepared = inherited
        .map_err(|error| format!("sockets of systemd: {error}"))
        .and_then(|inherited| prepare(&reading.server, &env, inherited));
    let result = prepared.and_then(|prepared| start(options, reading, env, prepared));
    match result {
        Ok(()) => EXIT_OK,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "hbd: {error}");
            EXIT_FAILED
        }
    }
}

/// What is bound and made before the process leaves the terminal: whatever fails here, the user sees.
struct Prepared {
    udp: Vec<UdpSocket>,
    http: Vec<TcpListener>,
    ws: Vec<TcpListener>,
    https: Vec<TcpListener>,
    wss: Vec<TcpListener>,
    certificate: Option<Arc<Certificate>>,
    control: Option<(PathBuf, UnixListener)>,
    /// What could not be had and is not needed; told once the log is open.
    remarks: Vec<String>,
    store: PathBuf,
    keys: Arc<Keyring>,
}

fn prepare(
    config: &Server,
    env: &Environment,
    mut inherited: Inherited,
) -> Result<Prepared, String> {
    raise_descriptors()?;
    let mut remarks = Vec::new();
    let udp = match std::mem::take(&mut inherited.udp) {
        sockets if sockets.is_empty() => bind::udp(&config.hb_host, config.hb_port)?,
        sockets => sockets,
    };
    let certificate = certificate(config, &mut remarks);
    // A port without its certificate stays closed, also where systemd has opened it.
    let secure = |port: Option<u16>| port.filter(|_| certificate.is_some());
    let wss = listen("wss_port", config, secure(config.wss_port), &mut inherited)?;
    let https = listen("https_port", config, secure(config.https_port), &mut inherited)?;
    let ws = listen("ws_port", config, config.ws_port, &mut inherited)?;
    let closed = |port: &u16| [config.https_port, config.wss_port].contains(&Some(*port));
    inherited.tcp.retain(|(port, _)| !closed(port));
    let http = match std::mem::take(&mut inherited.tcp) {
        list if list.is_empty() => {
            listen("hbd_port", config, Some(config.hbd_port), &mut inherited)?
        }
        list => list.into_iter().map(|(_, listener)| listener).collect(),
    };
    let state_dir = lookup::state_dir(config, env)?;
    lookup::create_private(&state_dir)?;
    let store = lookup::store(config, &state_dir);
    let keys = keys::load(&keys::place(config, env, &state_dir)).map(Arc::new)?;
    let control = match inherited.control {
        Some(control) => Some(control),
        None => {
            let path = lookup::control_socket(config, env, &state_dir);
            let made = path.parent().map_or(Ok(()), lookup::create_private);
            match made.and_then(|()| bind::control(&path)) {
                Ok(listener) => Some((path, listener)),
                Err(error) => {
                    remarks.push(format!("{error}; subcommands need --server URL"));
                    None
                }
            }
        }
    };
    Ok(Prepared { udp, http, ws, https, wss, certificate, control, remarks, store, keys })
}

/// The certificate where a port needs one; a missing one is a remark.
fn certificate(config: &Server, remarks: &mut Vec<String>) -> Option<Arc<Certificate>> {
    let wanted = [("https_port", config.https_port), ("wss_port", config.wss_port)];
    let wanted: Vec<&str> = wanted.iter().filter(|(_, port)| port.is_some()).map(|w| w.0).collect();
    if wanted.is_empty() {
        return None;
    }
    match Certificate::load(config) {
        Ok(certificate) => Some(Arc::new(certificate)),
        Err(error) => {
            let stay = if wanted.len() == 1 { "stays" } else { "stay" };
            let ports = wanted.join(" and ");
            remarks.push(format!("{error} - {ports} {stay} closed until it is there"));
            None
        }
    }
}

/// The listeners of one port: those that systemd opened, else our own.
fn listen(
    key: &'static str,
    config: &Server,
    port: Option<u16>,
    inherited: &mut Inherited,
) -> Result<Vec<TcpListener>, String> {
    let Some(port) = port else { return Ok(Vec::new()) };
    let (ours, rest): (Vec<_>, Vec<_>) =
        std::mem::take(&mut inherited.tcp).into_iter().partition(|(at, _)| *at == port);
    inherited.tcp = rest;
    if !ours.is_empty() {
        return Ok(ours.into_iter().map(|(_, listener)| listener).collect());
    }
    bind::tcp(key, &config.hbd_host, &default_addresses(config), port)
}

/// Where pages are reached without `hbd_host`: from this machine alone as long as nobody must sign in.
pub fn default_addresses(config: &Server) -> [IpAddr; 2] {
    match config.users.is_empty() {
        true => [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)],
        false => [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)],
    }
}

/// Everything from leaving the terminal to the end.
fn start(
    options: Options,
    reading: Reading,
    env: Environment,
    prepared: Prepared,
) -> Result<(), String> {
    let shown = reading.render_settings(&options.source);
    let mut config = reading.server;
    leave_terminal(&options, &config)?;
    accounts::resolve_passwords(&mut config, &options.source.base);
    let files = (Arc::new(config), shown);
    for remark in &prepared.remarks {
        log::warn!("{remark}");
    }
    let ready = Ready::new(&prepared).map_err(|e| format!("sockets: {e}"))?;
    let notifier = Notifier::new(env.notify_socket.as_deref());
    let patience = notifier.patience();
    let (running, supervisor) = Running::start(files, prepared, &ready, options.source, notifier)
        .inspect_err(|error| log::error!("{error}"))?;
    drop(patience);
    // The terminal may be gone; `eprintln` would panic on that.
    let _ = writeln!(std::io::stderr(), "{}", ready.line());
    supervisor.notifier.tell("READY=1");
    supervisor.run();
    supervisor.notifier.tell("STOPPING=1");
    let _patience = supervisor.notifier.patience();
    running.stop()
}

/// Where the log goes: to the file of the configuration, else to syslog from the background.
pub fn log_target(config: &Server, background: bool) -> sink::Target {
    match &config.logfile {
        Some(path) => sink::Target::File(path.clone()),
        None if background => sink::Target::Syslog,
        None => sink::Target::Stderr,
    }
}

/// Becomes a daemon unless somebody supervises, and opens the log.
fn leave_terminal(options: &Options, config: &Server) -> Result<(), String> {
    let background = options.source.background;
    if background {
        daemon::daemonize().map_err(|e| format!("cannot become a daemon: {e}"))?;
    }
    let target = log_target(config, background);
    sink::init("hbd", options.verbosity, target).map_err(|e| format!("logfile: {e}"))
}

/// The threads, and what the end of the process has to do with them.
struct Running {
    inbox: engine::Inbox,
    engine: JoinHandle<()>,
    workers: Workers,
    voice: (notify::DeadMan, notify::Handle),
    front: gate::Front,
    agents: (Option<AgentThread>, Option<PairThread>),
    control_path: Option<PathBuf>,
}

/// The threads that carry out what the engine decides.
struct Workers {
    store: store::Running,
    history: Option<history::Running>,
    journal: journal::Running,
    dns: dns::Running,
    remote: remote::Running,
    signals: SignalThread,
}

impl Workers {
    /// What must be on disk first.
    fn stop(self) {
        self.store.stop();
        if let Some(history) = self.history {
            history.stop();
        }
        self.journal.stop();
        self.dns.stop();
        self.remote.stop();
        self.signals.stop();
    }
}

/// How often systemd wants to hear that the server lives.
fn watchdog_every(env: &Environment) -> Option<Duration> {
    let (usec, pid) = &env.watchdog;
    systemd::watchdog_every(usec.as_deref(), pid.as_deref())
}

/// What is bound, each to whom it is for.
fn listeners(prepared: Prepared) -> (Vec<UdpSocket>, Option<PathBuf>, Listeners) {
    let (control_path, control) = prepared.control.unzip();
    let listeners = Listeners {
        http: prepared.http,
        ws: prepared.ws,
        https: prepared.https,
        wss: prepared.wss,
        certificate: prepared.certificate,
        control,
    };
    (prepared.udp, control_path, listeners)
}

/// The zones of windows of maintenance: the machine's own files, and the server's own zone.
pub fn zones(config: &Server) -> Zones {
    let find: fn(&str) -> Option<TimeZone> = |name| TimeZone::get(name).ok();
    let local = config.timezone.as_deref().and_then(find).unwrap_or_else(TimeZone::system);
    Zones::new(find, local)
}

type Loaded = (Engine, Store, accounts::Restored);

/// The engine with its saved state, the open store, and what the store had of users. Who asks for a page meanwhile is
/// told so.
fn load(base: &Arc<Server>, prepared: &Prepared) -> Result<Loaded, String> {
    let progress = Progress::default();
    let room = Room::open(&prepared.http, &progress).map_err(failed("the waiting room"))?;
    let loaded = restore(base, prepared, &progress);
    room.close();
    loaded
}

fn restore(base: &Arc<Server>, prepared: &Prepared, progress: &Progress) -> Result<Loaded, String> {
    let now = clock::now();
    let mut machine = Engine::new(Arc::clone(base), seed(), now);
    machine.set_zones(now, zones(base));
    let mut restored = accounts::Restored::new(base);
    let store = Store::open(&prepared.store, &mut |saved, total| {
        progress.one_of(total);
        match &saved {
            Saved::Part { key, json } if key.starts_with(accounts::PREFIX) => {
                restored.take(key, json);
            }
            _ => machine.restore(now, saved),
        }
    });
    let store = store.map_err(|e| e.to_string())?;
    log::info!("hbd {} store={}", env!("CARGO_PKG_VERSION"), store.path().display());
    machine.set_session_secret(keys::session_secret()?);
    machine.handle(now, Event::Keys(Arc::clone(&prepared.keys)));
    if restored.finish(base) {
        machine.handle(now, Event::Reload(Arc::clone(&restored.config)));
    }
    trim_heap();
    Ok((machine, store, restored))
}

impl Running {
    /// Loads the state, then starts every thread; the front comes last, so that nothing is asked too early.
    fn start(
        (base, shown): (Arc<Server>, Arc<str>),
        prepared: Prepared,
        ready: &Ready,
        source: Source,
        notifier: Notifier,
    ) -> Result<(Running, Supervisor), String> {
        let (mut machine, store, restored) = load(&base, &prepared)?;
        let config = Arc::clone(&restored.config);
        let (facts, keys) = (ready.facts(&prepared), Arc::clone(&prepared.keys));
        let (udp, control_path, listeners) = listeners(prepared);
        let certificate = listeners.certificate.clone();
        let shared = Arc::new(Shared::new(machine.view(), Arc::clone(&config), facts));
        let (past, history) =
            start_history(&config, store.path()).map_err(failed("the history"))?;
        let store = store.start().map_err(failed("the store"))?;
        let records = journal::Handle::default();
        let (updates, dns) = dns::channel();
        let samples = remote_samples(&config, &source);
        let notify = notify::Handle::new(Arc::clone(&shared));
        let pens = (records.pen(), samples.pen(), past.pen());
        let ends = (store.handle.clone(), pens.0, updates, pens.1, pens.2, notify.clone());
        let (inbox, engine) =
            engine::start(machine, udp, ends, Arc::clone(&shared)).map_err(failed("the engine"))?;
        notify.start(inbox.clone(), &config).map_err(failed("the channels"))?;
        let settings = source.journal_settings(&config);
        let journal = journal::start(records.clone(), settings, teller(inbox.clone()))
            .map_err(failed("the journal"))?;
        let dns = dns::start(dns, inbox.clone()).map_err(failed("dynamic DNS"))?;
        let (orders, received) = bounded(supervisor::ORDERS_MAX);
        let signals = SignalThread::start(orders.clone()).map_err(failed("signals"))?;
        let pages = reading::pages(&config);
        let ends = (Arc::clone(&shared), store.handle.clone(), inbox.clone());
        let accounts =
            Accounts::new(restored, base, shown, ends, seed()).map_err(failed("accounts"))?;
        let accounts = Arc::new(accounts);
        let app = Arc::new(App::new(
            Arc::clone(&shared),
            inbox.clone(),
            (records.clone(), past.clone(), notify.clone()),
            orders,
            pages,
            Arc::clone(&accounts),
        ));
        let front = gate::start(listeners, Arc::clone(&app) as Arc<dyn gate::App>)
            .map_err(failed("the HTTP front"))?;
        measure(&app, &store.handle, &front);
        let remote = start_remote(&samples, &app, &config, (&inbox, &source))?;
        let agents = start_agents(&config, ready.udp, (&source.env, &keys, &shared.notes));
        let supervisor = Supervisor {
            orders: received,
            shared,
            shown_at_start: accounts.shown(),
            engine: inbox.clone(),
            journal: records,
            tls: RefCell::new(TlsPorts::new(certificate, &accounts.base(), front.annex())),
            accounts,
            samples,
            history: past.handle(),
            app,
            notify: notify.clone(),
            notifier,
            watchdog_every: watchdog_every(&source.env),
            source,
        };
        let dead_man = notify::DeadMan::start(&notify).map_err(failed("the dead man's thread"))?;
        let voice = (dead_man, notify);
        let workers = Workers { store, history, journal, dns, remote, signals };
        let running = Running { inbox, engine, workers, voice, front, agents, control_path };
        Ok((running, supervisor))
    }

    /// What must be on disk first, what only says goodbye last.
    fn stop(self) -> Result<(), String> {
        if let Some(agent) = self.agents.0 {
            agent.stop();
        }
        if let Some(pair) = self.agents.1 {
            pair.stop();
        }
        fault::point("engine_before_stop");
        self.voice.0.stop();
        self.voice.1.stop();
        if !self.inbox.send(engine::Order::Stop) {
            return Err("the engine does not take the order to stop".to_owned());
        }
        let _ = self.engine.join();
        self.workers.stop();
        for (name, count) in self.front.counters() {
            log::debug!("front {name}={count}");
        }
        self.front.stop();
        if let Some(path) = self.control_path {
            let _ = std::fs::remove_file(path);
        }
        log::info!("stopped");
        Ok(())
    }
}

/// Where samples for remote-write go. They are wanted before the engine hears anything: what
/// waited in its sockets is to be sent too.
fn remote_samples(config: &Server, source: &Source) -> remote::Handle {
    let samples = remote::Handle::default();
    samples.configure(remote::Settings::of(config, &source.base));
    samples
}

/// Remote-write, whether it is switched on or not: a reload may do that.
fn start_remote(
    samples: &remote::Handle,
    app: &App,
    config: &Server,
    (inbox, source): (&engine::Inbox, &Source),
) -> Result<remote::Running, String> {
    let dir = lookup::state_dir(config, &source.env)?.join("remote_write");
    let inbox = inbox.clone();
    let tell =
        move |level, text| inbox.send(engine::Order::Tell { kind: EventKind::Server, level, text });
    let (running, figures) =
        remote::start(samples.clone(), &dir, Box::new(tell)).map_err(failed("remote-write"))?;
    app.add_source(figures);
    Ok(running)
}

/// Who has figures for `/metrics`.
fn measure(app: &App, store: &store::Handle, front: &gate::Front) {
    let handle = store.clone();
    app.add_source(Box::new(move || handle.figures()));
    let counts = front.counts();
    app.add_source(Box::new(move || {
        let figure = |(event, count): (&'static str, u64)| {
            let help = "What happened at the HTTP and WebSocket front.";
            let figure =
                Figure::new("heartbeat_front_events_total", Kind::Counter, help, count as f64);
            figure.label("event", event)
        };
        counts().into_iter().map(figure).collect()
    }));
}

/// The history beside the store, where one is kept: what reads and feeds it, and its thread.
fn start_history(
    config: &Server,
    store: &std::path::Path,
) -> std::io::Result<(history::Past, Option<history::Running>)> {
    if !config.history_enabled {
        return Ok((history::Past::none(), None));
    }
    let handle = history::Handle::default();
    let (path, settings) = (history::path_beside(store), history::Settings::of(config));
    let running = history::start(handle.clone(), path, settings)?;
    Ok((history::Past::of(handle), Some(running)))
}

/// Brings the journal's troubles to the engine.
fn teller(inbox: engine::Inbox) -> journal::Tell {
    Box::new(move |text| {
        inbox.send(engine::Order::Tell { kind: EventKind::Journal, level: Level::Warning, text })
    })
}

fn failed(what: &'static str) -> impl Fn(std::io::Error) -> String {
    move |error| format!("cannot start {what}: {error}")
}

/// What this server sends itself: the machine's own reports, and heartbeats to the other server of a pair.
fn start_agents(
    config: &Server,
    udp: SocketAddr,
    (env, keys, notes): (&Environment, &Keyring, &Desk),
) -> (Option<AgentThread>, Option<PairThread>) {
    (start_agent(config, udp), pair::start(config, env, keys, notes))
}

/// A machine that cannot report itself can still watch others: only a warning.
fn start_agent(config: &Server, udp: SocketAddr) -> Option<AgentThread> {
    if !config.agent_enabled {
        return None;
    }
    AgentThread::start(&config.agent, udp)
        .inspect_err(|error| log::warn!("this machine does not report itself: {error}"))
        .ok()
}

/// The addresses that were bound, for the ready line.
struct Ready {
    udp: SocketAddr,
    http: SocketAddr,
    ws: Option<SocketAddr>,
    https: Option<SocketAddr>,
    wss: Option<SocketAddr>,
}

impl Ready {
    fn new(prepared: &Prepared) -> std::io::Result<Ready> {
        let missing = || std::io::Error::other("none bound");
        let first = |list: &[TcpListener]| list.first().map(TcpListener::local_addr).transpose();
        Ok(Ready {
            udp: prepared.udp.first().ok_or_else(missing)?.local_addr()?,
            http: prepared.http.first().ok_or_else(missing)?.local_addr()?,
            ws: first(&prepared.ws)?,
            https: first(&prepared.https)?,
            wss: first(&prepared.wss)?,
        })
    }

    fn line(&self) -> String {
        let ws = self.ws.map_or("-".to_owned(), |ws| ws.to_string());
        let mut line = format!("ready udp={} http={} ws={ws}", self.udp, self.http);
        for (name, address) in [("https", self.https), ("wss", self.wss)] {
            if let Some(address) = address {
                line.push_str(&format!(" {name}={address}"));
            }
        }
        line
    }

    fn facts(&self, prepared: &Prepared) -> Facts {
        let hostname = name::host_name().unwrap_or_default();
        let hosts_file = file::read_bounded("/etc/hosts".as_ref(), 1 << 20).unwrap_or_default();
        let is_loopback = |listener: &TcpListener| {
            listener.local_addr().is_ok_and(|address| address.ip().is_loopback())
        };
        Facts {
            full_name: lookup::full_name(&String::from_utf8_lossy(&hosts_file), &hostname),
            hostname,
            version: env!("CARGO_PKG_VERSION"),
            udp: Some(self.udp.port()),
            http: Some(self.http.port()),
            ws: self.ws.map(|ws| ws.port()),
            wss: self.wss.map(|wss| wss.port()),
            https: self.https.map(|https| https.port()),
            loopback_only: prepared.http.iter().chain(&prepared.https).all(is_loopback),
        }
    }
}

/// Raises the soft limit of descriptors to the hard one.
fn raise_descriptors() -> Result<(), String> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(|e| e.to_string())?;
    let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    let soft = vitals::open_files_max().map_err(|e| e.to_string())?;
    if soft < DESCRIPTORS_MIN {
        return Err(format!("only {soft} open files allowed - raise the limit (ulimit -n) to 128"));
    }
    Ok(())
}

/// Seeds the engine's own randomness (its epoch, the address table): not the same at each start.
fn seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
}

/// glibc gives every thread a heap of its own and keeps what is freed there; two are enough here.
fn limit_arenas() {
    // SAFETY: called before any other thread runs; mallopt only sets parameters of the allocator.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
        libc::mallopt(libc::M_MMAP_THRESHOLD, 256 << 10);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 256 << 10);
    }
}

/// Gives back what loading the store took and freed.
fn trim_heap() {
    // SAFETY: malloc_trim may be called at any time.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}
