//! The thread `dead-man`: fetches `dead_man_url` every minute while the server is healthy, so that somebody
//! elsewhere hears when it is not.

use super::transport::read_secret;
use super::{Common, Handle, http};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use heartbeat::notice::channel::{HttpRequest, Purse};
use heartbeat::os::{clock, thread};
use heartbeat::time::Mono;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

const EVERY: Duration = Duration::from_secs(60);
const TIMEOUT: Duration = Duration::from_secs(10);
/// How often it looks whether there is an address by now.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const STACK: usize = 256 << 10;

pub struct DeadMan {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl DeadMan {
    pub fn start(handle: &Handle) -> io::Result<DeadMan> {
        let common = Arc::clone(&handle.common);
        let (stop, stopped) = bounded(1);
        let thread = thread::spawn("dead-man", STACK, move || run(&common, &stopped))?;
        Ok(DeadMan { stop, thread })
    }

    /// Does not wait for an answer that does not come.
    pub fn stop(self) {
        drop(self.stop);
        if self.thread.is_finished() {
            let _ = self.thread.join();
        }
    }
}

fn run(common: &Common, stopped: &Receiver<()>) {
    let (mut due, mut failing) = (Mono::ZERO, false);
    while stopped.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
        let now = clock::now().mono;
        let config = common.shared.config();
        let Some(secret) = config.dead_man_url.as_ref().filter(|_| now >= due) else { continue };
        // A server of which a thread stands still is not healthy: the silence says so.
        if common.shared.stalled.load(Ordering::Relaxed) {
            continue;
        }
        due = now + EVERY;
        let purse = Purse::new(&read_secret);
        let url = purse.get("dead_man_url", secret).map_err(|fault| fault.text);
        match url.and_then(|url| ping(common, url)) {
            Err(error) if !failing => log::warn!("dead_man_url fails error={}", purse.hide(&error)),
            Ok(()) if failing => log::info!("dead_man_url works again"),
            _ => continue,
        }
        failing = !failing;
    }
}

fn ping(common: &Common, url: String) -> Result<(), String> {
    let request = HttpRequest { method: "GET", url, headers: Vec::new(), body: Vec::new() };
    let limits = http::Limits { timeout: TIMEOUT, proxy: None, read_success: false };
    let answer = http::send(&request, &limits, &common.roots)?;
    match answer.status {
        200..=299 => Ok(()),
        status => Err(format!("status {status}")),
    }
}
