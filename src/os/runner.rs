//! Threads that do for an agent what may take long: running plugins and looking up names.
//!
//! A runner that a plugin holds up is replaced, up to a bound; the agent itself never waits for
//! one.

use super::{clock, signal, thread};
use crate::collect::Plugin;
use crate::limits;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

const RUNNERS: usize = 2;
/// With those that replace a runner that is held up.
const RUNNERS_MAX: usize = 8;
const STACK: usize = 256 << 10;
/// The agent asks for each plugin and each server once at a time.
const QUEUE_MAX: usize = limits::PLUGINS_PER_HOST + 64;

pub enum Job {
    Collect { plugin: usize },
    Resolve { server: usize, host: String, port: u16 },
}

pub enum Done {
    Collected { plugin: usize, result: Result<String, String> },
    Resolved { server: usize, addresses: Vec<SocketAddr> },
}

pub type Plugins = Vec<Box<dyn Plugin>>;

/// Whoever does such jobs beside the agent. Behind a trait, so that an agent that does them itself does not link
/// threads and their queues.
pub trait Workers: AsFd {
    /// Queues a job; gives it back where the queue is full.
    ///
    /// # Errors
    /// The job, which nobody will do.
    fn submit(&self, job: Job) -> Result<(), Job>;

    /// A result, where there is one. The descriptor is readable when there is.
    fn poll(&self) -> Option<Done>;

    /// One of them is held up: starts another, within the bound.
    fn replace_one(&mut self);
}

/// Starts the runners.
///
/// # Errors
/// No descriptors or threads are left.
pub fn start(plugins: Plugins) -> io::Result<Box<dyn Workers>> {
    Ok(Box::new(Runners::new(plugins)?))
}

pub struct Runners {
    shared: Arc<Shared>,
    jobs: SyncSender<Job>,
    done: Receiver<Done>,
    done_tx: SyncSender<Done>,
    wake: OwnedFd,
    started: usize,
}

struct Shared {
    /// Each plugin is run by one runner at a time; the locks are never waited for.
    plugins: Vec<Mutex<Box<dyn Plugin>>>,
    jobs: Mutex<Receiver<Job>>,
    wake: OwnedFd,
}

impl Runners {
    /// # Errors
    /// No descriptors or threads are left.
    pub fn new(plugins: Plugins) -> io::Result<Runners> {
        let (read, write) = signal::pipe()?;
        let (jobs, jobs_rx) = sync_channel(QUEUE_MAX);
        let (done_tx, done) = sync_channel(QUEUE_MAX);
        let plugins = plugins.into_iter().map(Mutex::new).collect();
        let shared = Arc::new(Shared { plugins, jobs: Mutex::new(jobs_rx), wake: write });
        let mut runners = Runners { shared, jobs, done, done_tx, wake: read, started: 0 };
        for _ in 0..RUNNERS {
            runners.start()?;
        }
        Ok(runners)
    }

    fn start(&mut self) -> io::Result<()> {
        let (shared, done) = (self.shared.clone(), self.done_tx.clone());
        thread::spawn("plugin", STACK, move || run(&shared, &done))?;
        self.started += 1;
        Ok(())
    }
}

impl Workers for Runners {
    fn submit(&self, job: Job) -> Result<(), Job> {
        use std::sync::mpsc::TrySendError::{Disconnected, Full};
        self.jobs.try_send(job).map_err(|(Full(job) | Disconnected(job))| job)
    }

    fn poll(&self) -> Option<Done> {
        while signal::read_byte(self.wake.as_fd()).is_some() {}
        self.done.try_recv().ok()
    }

    fn replace_one(&mut self) {
        if self.started >= RUNNERS_MAX {
            return;
        }
        if let Err(error) = self.start() {
            log::warn!("no thread for another plugin runner: {error}");
        }
    }
}

impl AsFd for Runners {
    /// Readable when `poll` has a result.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

/// Ends when the agent has dropped its `Runners`.
fn run(shared: &Shared, done: &SyncSender<Done>) {
    loop {
        let job = shared.jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        let result = match job {
            Job::Resolve { server, host, port } => {
                Done::Resolved { server, addresses: resolve(&host, port) }
            }
            Job::Collect { plugin } => Done::Collected { plugin, result: shared.collect(plugin) },
        };
        if done.send(result).is_err() {
            return;
        }
        signal::write_byte(shared.wake.as_fd(), 0);
    }
}

impl Shared {
    fn collect(&self, plugin: usize) -> Result<String, String> {
        let slot = self.plugins.get(plugin).ok_or("no such plugin")?;
        let mut slot = slot.lock().map_err(|_| "failed before, see the log")?;
        collect(slot.as_mut(), String::with_capacity(512))
    }
}

/// Runs a plugin now, on this thread; its data takes the room of `spare`.
///
/// # Errors
/// Why it gave no sample.
pub fn collect(plugin: &mut dyn Plugin, spare: String) -> Result<String, String> {
    let mut data = spare;
    data.clear();
    plugin.collect(clock::now_awake(), &mut data).map_err(|error| error.0)?;
    Ok(data)
}

/// Looks a name up now, on this thread; empty where that fails.
pub fn resolve(host: &str, port: u16) -> Vec<SocketAddr> {
    const ADDRESSES_MAX: usize = 16;
    match (host, port).to_socket_addrs() {
        Ok(found) => found.take(ADDRESSES_MAX).collect(),
        Err(error) => {
            log::debug!("lookup failed host={host}: {error}");
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::{CollectError, PluginKind};
    use crate::os::udp::{Sockets, Timer, wait};
    use crate::time::Now;

    /// Blocks until its channel is closed, then fails; without a channel it gives an object.
    struct Fake(Option<Mutex<Receiver<()>>>);

    impl Plugin for Fake {
        fn name(&self) -> &str {
            "fake"
        }

        fn kind(&self) -> PluginKind {
            PluginKind::Monitor
        }

        fn collect(&mut self, _: Now, out: &mut String) -> Result<(), CollectError> {
            if let Some(held) = &self.0 {
                let _ = held.lock().unwrap().recv();
                return Err(CollectError("was held up".to_owned()));
            }
            out.push_str("{}");
            Ok(())
        }
    }

    fn next(runners: &Runners) -> String {
        loop {
            match runners.poll() {
                Some(Done::Collected { plugin, result }) => return format!("{plugin} {result:?}"),
                Some(Done::Resolved { server, addresses }) => {
                    return format!("{server} {addresses:?}");
                }
                None => {
                    wait(&Sockets::default(), &[runners.as_fd()], &mut Timer::new().unwrap(), None);
                }
            }
        }
    }

    #[test]
    fn plugins_that_hang_are_replaced_and_hold_up_no_other() {
        let (hold, held): (Vec<_>, Vec<_>) = (0..RUNNERS).map(|_| sync_channel(0)).unzip();
        let mut plugins: Plugins = vec![Box::new(Fake(None))];
        for held in held {
            plugins.push(Box::new(Fake(Some(Mutex::new(held)))));
        }
        let mut runners = Runners::new(plugins).unwrap();
        for plugin in [1, 2, 0] {
            assert!(runners.submit(Job::Collect { plugin }).is_ok());
        }
        runners.replace_one();
        assert_eq!(next(&runners), r#"0 Ok("{}")"#);
        drop(hold);
        let mut late = [next(&runners), next(&runners)];
        late.sort();
        assert_eq!(late, [r#"1 Err("was held up")"#, r#"2 Err("was held up")"#]);
    }

    #[test]
    fn addresses_are_looked_up_and_unknown_plugins_are_an_error() {
        let runners = Runners::new(Vec::new()).unwrap();
        let job = Job::Resolve { server: 3, host: "127.0.0.1".to_owned(), port: 9 };
        assert!(runners.submit(job).is_ok());
        assert_eq!(next(&runners), "3 [127.0.0.1:9]");
        assert!(runners.submit(Job::Collect { plugin: 5 }).is_ok());
        assert_eq!(next(&runners), r#"5 Err("no such plugin")"#);
    }
}
