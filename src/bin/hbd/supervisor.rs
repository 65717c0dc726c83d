//! What the main thread does once everything runs: signals, reloads, systemd, and the orderly end.

use crate::accounts::{self, Accounts};
use crate::app::App;
use crate::handling::Counts;
use crate::pulse::Watch;
use crate::reading::{self, Reading};
use crate::serve;
use crate::shared::Shared;
use crate::systemd::Notifier;
use crate::tls_ports::TlsPorts;
use crate::{engine, fault, history, journal, keys, notify, preview, remote, settings};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use heartbeat::config::server::{Server, difference};
use heartbeat::engine::view::Severity;
use heartbeat::os::{clock, log as sink, thread};
use heartbeat::time::{Duration, Mono};
use heartbeat::web::ConfigChange;
use heartbeat::wire::Keyring;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};
use std::cell::RefCell;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;

/// Orders that may wait: signals are merged by the kernel, reloads come from people.
pub const ORDERS_MAX: usize = 16;
const STATUS_EVERY: Duration = Duration::from_secs(10);
/// The supervisor looks at the clock this often when nothing comes in.
const TURN: Duration = Duration::from_secs(1);
const STACK: usize = 128 << 10;
/// Without a watchdog, a thread that works on one thing for so long is named in the log.
const STILL: Duration = Duration::from_secs(30);

pub enum Order {
    Signal(i32),
    /// Read the pre-shared keys anew; or why the old ones stay.
    Keys {
        answer: Sender<Result<(), String>>,
    },
    /// What a reload would change, or the problems.
    Preview {
        answer: Sender<Result<Vec<ConfigChange>, Vec<String>>>,
    },
    /// Load the configuration again; the keys that changed, or the problems.
    Reload {
        answer: Sender<Result<Vec<String>, Vec<String>>>,
    },
}

/// The thread `signal`: turns signals into orders.
pub struct SignalThread {
    handle: Handle,
    thread: JoinHandle<()>,
}

impl SignalThread {
    pub fn start(orders: Sender<Order>) -> io::Result<SignalThread> {
        let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
        let handle = signals.handle();
        let thread = thread::spawn("signal", STACK, move || {
            for signal in signals.forever() {
                if orders.send(Order::Signal(signal)).is_err() {
                    return;
                }
            }
        })?;
        Ok(SignalThread { handle, thread })
    }

    pub fn stop(self) {
        self.handle.close();
        let _ = self.thread.join();
    }
}

pub struct Supervisor {
    pub orders: Receiver<Order>,
    pub shared: Arc<Shared>,
    /// The settings as they were shown when the server started.
    pub shown_at_start: Arc<str>,
    pub engine: engine::Inbox,
    pub journal: journal::Handle,
    pub accounts: Arc<Accounts>,
    pub samples: remote::Handle,
    pub history: history::Handle,
    pub app: Arc<App>,
    pub tls: RefCell<TlsPorts>,
    pub notify: notify::Handle,
    pub notifier: Notifier,
    pub watchdog_every: Option<Duration>,
    pub source: reading::Source,
}

impl Supervisor {
    /// Returns when the process shall end.
    pub fn run(&self) {
        let (mut status_at, mut heard, mut handled) = (Mono::ZERO, None, Counts::default());
        let mut watchdog_at = Mono::ZERO;
        let mut watch = Watch::default();
        let mut stood_still = false;
        let tick = self.watchdog_every.unwrap_or(TURN).min(TURN);
        let mut looked = clock::now().mono;
        loop {
            match self.orders.recv_timeout(tick) {
                Ok(Order::Signal(SIGHUP)) => {
                    if let Err(error) = sink::reopen() {
                        log::error!("log file cannot be opened anew error={error}");
                    }
                    self.journal.reopen();
                    let _ = self.reload();
                }
                Ok(Order::Signal(signal)) => {
                    log::info!("stopping signal={signal}");
                    return;
                }
                Ok(Order::Reload { answer }) => {
                    let _ = answer.try_send(self.reload());
                }
                Ok(Order::Preview { answer }) => {
                    let _ = answer.try_send(self.preview());
                }
                Ok(Order::Keys { answer }) => {
                    let loaded =
                        self.load_keys(&self.shared.config()).map(|ring| self.give_keys(ring));
                    let _ = answer.try_send(loaded);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let now = clock::now().mono;
            if now >= status_at {
                status_at = now + STATUS_EVERY;
                self.notifier.tell(&self.status(&mut heard, &mut handled));
            }
            self.look_at_certificate();
            fault::point("supervisor");
            // A look that comes late says nothing of the threads: the process was stopped, or slept.
            let since = now.since(std::mem::replace(&mut looked, now)).min(2 * tick);
            let still = watch.look(since, self.watchdog_every.unwrap_or(STILL));
            self.tell_still(still.as_ref(), stood_still);
            stood_still = still.is_some();
            self.shared.stalled.store(stood_still, Ordering::Relaxed);
            if let Some(every) = self.watchdog_every
                && now >= watchdog_at
                && still.is_none()
            {
                watchdog_at = now + every;
                self.notifier.tell("WATCHDOG=1");
            }
        }
    }

    /// Only a server whose every thread moves is alive (THREATS S11): under a watchdog one that does not ends
    /// itself at the end of the time, with the reason in the log, and is started anew.
    fn tell_still(&self, still: Option<&(String, Duration)>, told: bool) {
        let Some((name, span)) = still else { return };
        if !told {
            log::error!("a thread stands still thread={name} seconds={}", span.as_secs());
        }
        if self.watchdog_every.is_some_and(|every| *span >= 2 * every) {
            log::error!("ending: a thread stands still thread={name}");
            log::logger().flush();
            std::process::abort();
        }
    }

    fn look_at_certificate(&self) {
        self.tls.borrow_mut().look(&self.shared.config());
    }

    /// All or nothing: on an error the old configuration stays (SPEC section 1).
    fn reload(&self) -> Result<Vec<String>, Vec<String>> {
        self.notifier
            .tell(&format!("RELOADING=1\nMONOTONIC_USEC={}", clock::now().mono.as_nanos() / 1000));
        fault::point("reload_before");
        let result = self.replace_config(self.source.read());
        let refused = result.as_ref().err().and_then(|lines| lines.first());
        let refused = refused.map(|line| Arc::from(line.lines().next().unwrap_or_default()));
        *self.shared.reload_fault.lock().unwrap_or_else(PoisonError::into_inner) = refused;
        fault::point("reload_after");
        self.notifier.tell("READY=1");
        result
    }

    fn preview(&self) -> Result<Vec<ConfigChange>, Vec<String>> {
        let reading = self.source.read();
        if reading.has_error() {
            return Err(reading.problem_lines());
        }
        let shown = (self.accounts.shown(), reading.render_settings(&self.source));
        let mut new = reading.server;
        accounts::resolve_passwords(&mut new, &self.source.base);
        Ok(preview::changes((&shown.0, &shown.1), &self.accounts.base(), &new))
    }

    fn replace_config(&self, reading: Reading) -> Result<Vec<String>, Vec<String>> {
        for line in reading.problem_lines() {
            log::warn!("config: {line}");
        }
        if reading.has_error() {
            log::error!("config: not reloaded, the old configuration stays");
            return Err(reading.problem_lines());
        }
        let ring = self.load_keys(&reading.server).map_err(|what| vec![what])?;
        let old = self.accounts.base();
        let shown = reading.render_settings(&self.source);
        let mut new = reading.server;
        accounts::resolve_passwords(&mut new, &self.source.base);
        let (live, fixed): (Vec<_>, Vec<_>) =
            difference(&old, &new).into_iter().partition(|change| change.live);
        for change in &fixed {
            log::warn!("config: {}: needs a restart", change.key);
        }
        let fixed: Vec<String> = fixed.into_iter().map(|change| change.key).collect();
        let shown =
            settings::reloaded(&shown, &self.accounts.shown(), &self.shown_at_start, &fixed);
        keep_fixed(&old, &mut new);
        let changed: Vec<String> = live.into_iter().map(|change| change.key).collect();
        self.app.set_pages(reading::pages(&new));
        let journal = self.source.journal_settings(&new);
        // Its secrets may have changed behind the same configuration.
        let samples = remote::Settings::of(&new, &self.source.base);
        let history = history::Settings::of(&new);
        let log_to =
            (old.logfile != new.logfile).then(|| serve::log_target(&new, self.source.background));
        self.accounts.configure(new, shown, |merged| {
            self.shared.set_config(Arc::clone(&merged));
            // Before the engine hears of new channels.
            if let Err(error) = self.notify.configure(&merged) {
                log::error!("a channel has no thread error={error}");
            }
            if !self.engine.send(engine::Order::Reload(merged)) {
                log::error!("config: the engine did not take the new configuration");
            }
        });
        self.look_at_certificate();
        if let Some(Err(error)) = log_to.map(sink::turn_to) {
            log::error!("config: logfile: {error}, the log stays where it is");
        }
        self.journal.configure(journal);
        self.samples.configure(samples);
        self.history.configure(history);
        self.give_keys(ring);
        log::info!("config: reloaded, {} changed {}", changed.len(), changed.join(" "));
        Ok(changed)
    }

    fn load_keys(&self, config: &Server) -> Result<Arc<Keyring>, String> {
        keys::load_for(config, &self.source.env)
            .inspect_err(|what| log::error!("keys: {what}; the old ones stay"))
    }

    fn give_keys(&self, ring: Arc<Keyring>) {
        log::info!("keys: {} in force", ring.slots().len());
        if !self.engine.send(engine::Order::Keys(ring)) {
            log::error!("keys: the engine did not take the new ones");
        }
    }

    /// `before`: when and how much had been accepted at the last look, `handled` what had been handled by then.
    fn status(&self, before: &mut Option<(Mono, u64)>, handled: &mut Counts) -> String {
        // Also where nobody looks: it is this that takes each minute's round trips into the hour that pages draw.
        let view = self.shared.view();
        let down = view.counts[usize::from(Severity::Down.code())];
        let (now, accepted) = (clock::now().mono, view.counters.accepted);
        let rate = before.replace((now, accepted)).map(|(at, count)| {
            let secs = now.since(at).as_secs_f64().max(0.001);
            accepted.saturating_sub(count) as f64 / secs
        });
        let counts = self.shared.handling.counts();
        let p99 = counts.p99_since(handled);
        *handled = counts;
        *self.shared.pace.lock().unwrap_or_else(PoisonError::into_inner) = (rate, p99);
        format!("STATUS={} hosts, {down} down, {:.0} hb/s", view.hosts.len, rate.unwrap_or(0.0))
    }
}

/// What only a restart changes keeps its old value (CONFIG.md, column "live").
fn keep_fixed(old: &Server, new: &mut Server) {
    new.hb_port = old.hb_port;
    new.hb_host.clone_from(&old.hb_host);
    new.hbd_port = old.hbd_port;
    new.hbd_host.clone_from(&old.hbd_host);
    new.ws_port = old.ws_port;
    new.wss_port = old.wss_port;
    new.https_port = old.https_port;
    new.state_dir.clone_from(&old.state_dir);
    new.pickfile.clone_from(&old.pickfile);
    new.control_socket.clone_from(&old.control_socket);
    new.history_enabled = old.history_enabled;
    new.hosts_max = old.hosts_max;
    new.ghosts_max = old.ghosts_max;
    new.agent_enabled = old.agent_enabled;
    new.agent.clone_from(&old.agent);
    new.pair.clone_from(&old.pair);
}

#[cfg(test)]
mod tests {
    use super::*;
    use heartbeat::config::server::{Pair, PairRole, key};

    #[test]
    fn fixed_keys_keep_their_old_value() {
        let old = Server::default();
        let other = Some(std::path::PathBuf::from("/x"));
        let mut new = Server {
            hb_port: 1,
            hb_host: vec!["127.0.0.1".parse().unwrap()],
            hbd_port: 2,
            hbd_host: vec!["127.0.0.1".parse().unwrap()],
            ws_port: None,
            wss_port: Some(3),
            https_port: Some(4),
            state_dir: other.clone(),
            pickfile: other.clone(),
            control_socket: other,
            history_enabled: !old.history_enabled,
            hosts_max: 5,
            ghosts_max: 6,
            agent_enabled: true,
            pair: Some(Pair {
                peer: "other".to_owned(),
                role: PairRole::Primary,
                address: None,
                port: None,
                key_file: None,
                key: None,
                interval: Duration::from_secs(10),
            }),
            ..Server::default()
        };
        let fixed = key::TOP.iter().filter(|key| !key.live).count();
        assert_eq!(difference(&old, &new).len(), fixed);
        keep_fixed(&old, &mut new);
        assert_eq!(difference(&old, &new), []);
    }
}
