//! Prometheus remote-write: the threads `remote`, which makes requests of what the engine records, and
//! `remote-send`, which delivers them.
//!
//! Owns `<state_dir>/remote_write`. The engine waits for neither: what finds no room is counted.

mod disk;
mod inbox;
mod queue;
mod send;

pub use inbox::{Handle, Pen};

use crate::{pulse, secret};
use heartbeat::config::server::{RemoteWrite, Server};
use heartbeat::engine::view::Level;
use heartbeat::os::{clock, thread};
use heartbeat::remote::{Batch, Block, Labels, Sheet};
use heartbeat::time::{Duration, Mono, Wall};
use heartbeat::web::{Figure, Kind};
use queue::Queue;
use send::{Receiver, Sender};
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use ureq::tls::{RootCerts, TlsConfig};

const STACK: usize = 256 << 10;
/// TLS wants more.
const SEND_STACK: usize = 1 << 20;
/// So many waiting samples end the gathering early.
const URGENT: usize = 50_000;

/// Raises an event; `false` where that has to be tried again.
pub type Tell = Box<dyn Fn(Level, String) -> bool + Send>;

/// Where samples go, and how; secrets resolved.
#[derive(Clone)]
pub struct Settings {
    url: String,
    /// Value of the header.
    authorization: Option<String>,
    tenant: Option<String>,
    labels: Labels,
    timeout: Duration,
    wait: Duration,
    batch_max: usize,
    queue_max: u64,
}

impl Settings {
    /// `None`: nothing is sent. A secret that cannot be read is named in the log.
    pub fn of(config: &Server, base: &Path) -> Option<Settings> {
        let remote = config.remote_write.as_ref().filter(|remote| remote.enabled)?;
        Settings::resolve(remote, base)
            .inspect_err(|why| log::error!("remote_write: {why}; nothing is sent"))
            .ok()
    }

    fn resolve(remote: &RemoteWrite, base: &Path) -> Result<Settings, String> {
        let text = |of: &Option<_>| of.as_ref().map(|s| secret::read(s, base)).transpose();
        let authorization = match (text(&remote.token)?, &remote.user) {
            (Some(token), _) => Some(format!("Bearer {token}")),
            (None, Some(user)) => {
                let password = text(&remote.password)?.unwrap_or_default();
                Some(format!("Basic {}", secret::base64(&format!("{user}:{password}"))))
            }
            (None, None) => None,
        };
        Ok(Settings {
            url: secret::read(&remote.url, base)?,
            authorization,
            tenant: remote.tenant.clone(),
            labels: Labels::new(remote.labels.clone()),
            timeout: remote.timeout,
            wait: remote.wait,
            batch_max: remote.batch_max,
            queue_max: remote.queue_max,
        })
    }
}

/// The running threads.
pub struct Running {
    handle: Handle,
    queue: Arc<Queue>,
    threads: [JoinHandle<()>; 2],
}

impl Running {
    /// Saves what waits, and ends both threads. The engine's thread is to end first.
    pub fn stop(self) {
        self.handle.stop();
        let [maker, sender] = self.threads;
        let _ = maker.join();
        self.queue.stop();
        // A request that is under way has its limit of time; it is not waited for.
        if sender.is_finished() {
            let _ = sender.join();
        }
    }
}

/// Starts both threads behind `handle`; they sleep until it is configured.
pub fn start(handle: Handle, dir: &Path, tell: Tell) -> io::Result<(Running, crate::app::Source)> {
    let queue = Arc::new(Queue::new(dir.to_owned()));
    let receiver = Arc::new(Receiver::default());
    let maker = Maker {
        handle: handle.clone(),
        queue: Arc::clone(&queue),
        receiver: Arc::clone(&receiver),
        sheet: Sheet::default(),
        batch: Batch::default(),
        settings: None,
    };
    let sender = Sender::new(Arc::clone(&queue), Arc::clone(&receiver), tell);
    let threads = [
        thread::spawn("remote", STACK, move || maker.run())?,
        thread::spawn("remote-send", SEND_STACK, move || sender.run())?,
    ];
    let source = source(handle.clone(), Arc::clone(&queue), receiver);
    Ok((Running { handle, queue, threads }, source))
}

/// Makes requests.
struct Maker {
    handle: Handle,
    queue: Arc<Queue>,
    receiver: Arc<Receiver>,
    sheet: Sheet,
    batch: Batch,
    settings: Option<Settings>,
}

impl Maker {
    fn run(mut self) {
        let mut not_before = Mono::ZERO;
        loop {
            pulse::waits();
            let (records, mut orders) = self.handle.take(not_before, URGENT);
            pulse::works();
            // What came before new settings is sent by the old ones; where there were none, it was taken for the new.
            if self.settings.is_none()
                && let Some(settings) = orders.settings.take()
            {
                self.configure(settings);
            }
            if self.settings.is_some() {
                records.into_iter().for_each(|recorded| self.batch.push(recorded));
                self.make();
            }
            if let Some(settings) = orders.settings {
                self.configure(settings);
            }
            if orders.stopping {
                return;
            }
            let wait = self.settings.as_ref().map_or(Duration::ZERO, |settings| settings.wait);
            not_before = clock::now().mono + wait;
        }
    }

    fn make(&mut self) {
        let batch_max = self.settings.as_ref().map_or(1, |settings| settings.batch_max);
        let queue = &self.queue;
        let mut encoder = snap::raw::Encoder::new();
        self.batch.drain(&mut self.sheet, batch_max, &mut |request, oldest| match encoder
            .compress_vec(request.as_bytes())
        {
            Ok(body) => queue.push(Block { body, samples: request.samples(), oldest }),
            Err(error) => log::error!("remote_write: cannot compress error={error}"),
        });
    }

    fn configure(&mut self, settings: Option<Settings>) {
        let labels = settings.as_ref().map(|settings| settings.labels.clone());
        self.sheet = Sheet::new(labels.unwrap_or_default());
        let bytes_max = settings.as_ref().map_or(u64::MAX, |settings| settings.queue_max);
        let mut known = self.receiver.settings.lock().unwrap_or_else(PoisonError::into_inner);
        known.clone_from(&settings);
        drop(known);
        self.queue.configure(settings.is_some(), bytes_max);
        self.settings = settings;
    }
}

/// For `/metrics`; nothing where nothing is sent.
fn source(handle: Handle, queue: Arc<Queue>, receiver: Arc<Receiver>) -> crate::app::Source {
    Box::new(move || {
        let on = receiver.settings.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        if on { figures(&handle, &queue, &receiver) } else { Vec::new() }
    })
}

fn figures(handle: &Handle, queue: &Queue, receiver: &Receiver) -> Vec<Figure> {
    let count = |name, help, value: u64| Figure::new(name, Kind::Counter, help, value as f64);
    let gauge = |name, help, value: f64| Figure::new(name, Kind::Gauge, help, value);
    let depth = queue.depth();
    let lost = "Samples that were lost on their way to the receiver.";
    let dropped = |reason: &str, value: u64| {
        count("heartbeat_remote_write_dropped_samples_total", lost, value).label("reason", reason)
    };
    let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let mut figures = vec![
        count(
            "heartbeat_remote_write_samples_total",
            "Samples that the receiver took.",
            load(&queue.sent),
        ),
        dropped("inbox_full", handle.dropped()),
        dropped("queue_full", load(&queue.overflowed)),
        dropped("refused", load(&queue.refused)),
        count(
            "heartbeat_remote_write_requests_total",
            "Requests that were made to the receiver.",
            load(&receiver.requests),
        ),
        count(
            "heartbeat_remote_write_failures_total",
            "Requests that the receiver did not take; tried again.",
            load(&receiver.failures),
        ),
        gauge(
            "heartbeat_remote_write_queue_bytes",
            "Requests that wait, compressed.",
            depth.bytes as f64,
        ),
        gauge(
            "heartbeat_remote_write_queue_samples",
            "Samples that wait, those included that are not in a request yet.",
            (depth.samples + handle.depth() as u64) as f64,
        ),
    ];
    let times = [
        (
            "heartbeat_remote_write_oldest_timestamp_seconds",
            "Time of the oldest sample that waits.",
            depth.oldest,
        ),
        (
            "heartbeat_remote_write_last_success_timestamp_seconds",
            "When the receiver took something last.",
            send::last_success(receiver),
        ),
    ];
    for (name, help, at) in times {
        figures.extend(at.map(|at: Wall| gauge(name, help, at.as_secs_f64())));
    }
    figures
}

/// Whom to trust: the certificates that the program brings.
fn tls() -> TlsConfig {
    TlsConfig::builder().root_certs(RootCerts::WebPki).build()
}
