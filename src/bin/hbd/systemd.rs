//! What systemd is told: readiness, state, and that every thread still moves (sd_notify(3)). One datagram each.

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use heartbeat::os::thread;
use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// A start or a stop that takes long is given this much more each time, as long as it takes, up to so many times:
/// a store is checked after a crash, what waits is written, and only one that hangs shall be killed.
const MORE: Duration = Duration::from_secs(30);
const MORE_EVERY: Duration = Duration::from_secs(10);
const MORE_TIMES: usize = 60;
const STACK: usize = 64 << 10;

/// The notification socket; does nothing where there is none.
pub struct Notifier {
    socket: Option<Arc<(UnixDatagram, SocketAddr)>>,
}

/// Asks systemd for more time until it is dropped.
pub struct Patience {
    thread: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Drop for Patience {
    fn drop(&mut self) {
        if let Some((end, thread)) = self.thread.take() {
            drop(end);
            let _ = thread.join();
        }
    }
}

impl Notifier {
    /// `address` is `NOTIFY_SOCKET`: a path, or an abstract name that begins with `@`.
    pub fn new(address: Option<&OsStr>) -> Notifier {
        let socket = address.filter(|a| !a.is_empty()).and_then(|address| {
            let bytes = address.as_bytes();
            let address = match bytes.strip_prefix(b"@") {
                Some(name) => SocketAddr::from_abstract_name(name),
                None => SocketAddr::from_pathname(address),
            };
            let socket = UnixDatagram::unbound().ok()?;
            socket.set_nonblocking(true).ok()?;
            Some(Arc::new((socket, address.ok()?)))
        });
        Notifier { socket }
    }

    /// Sends lines of `KEY=value`. A lost one does no harm: the next follows.
    pub fn tell(&self, lines: &str) {
        if let Some(to) = &self.socket {
            let _ = to.0.send_to_addr(lines.as_bytes(), &to.1);
        }
    }

    /// `EXTEND_TIMEOUT_USEC=` now and again, while something runs that may take long.
    pub fn patience(&self) -> Patience {
        let (end, ended) = bounded::<()>(0);
        let notifier = Notifier { socket: self.socket.clone() };
        let body = move || {
            for _ in 0..MORE_TIMES {
                notifier.tell(&format!("EXTEND_TIMEOUT_USEC={}", MORE.as_micros()));
                if ended.recv_timeout(MORE_EVERY) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        };
        let asks = self.socket.is_some();
        let thread = asks.then(|| thread::spawn("patience", STACK, body).ok()).flatten();
        Patience { thread: thread.map(|thread| (end, thread)) }
    }
}

/// `WATCHDOG_USEC`, where it is meant for this process: how often at least to say `WATCHDOG=1`.
pub fn watchdog_every(usec: Option<&str>, pid: Option<&str>) -> Option<Duration> {
    if pid.is_some_and(|pid| pid.parse() != Ok(std::process::id())) {
        return None;
    }
    let usec: u64 = usec?.parse().ok()?;
    (usec > 0).then(|| Duration::from_micros(usec / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notifier_sends_to_a_path_and_is_silent_without_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let receiver = UnixDatagram::bind(&path).unwrap();
        Notifier::new(Some(path.as_os_str())).tell("READY=1");
        let mut buffer = [0; 32];
        assert_eq!(receiver.recv(&mut buffer).unwrap(), 7);
        Notifier::new(None).tell("READY=1");
        Notifier::new(Some(OsStr::new("/nowhere/at/all"))).tell("READY=1");
    }

    #[test]
    fn watchdog_is_half_its_time_and_only_ours() {
        assert_eq!(watchdog_every(Some("30000000"), None), Some(Duration::from_secs(15)));
        assert_eq!(watchdog_every(Some("30000000"), Some("1")), None);
        assert_eq!(watchdog_every(Some("0"), None), None);
        assert_eq!(watchdog_every(None, None), None);
    }
}
