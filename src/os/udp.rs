//! The agents' sockets and their one wait: each socket speaks to one address, `poll` waits for all
//! of
//! them, for the other descriptors of the loop, and for a point in time that counts sleep.

use crate::agent::LinkId;
use crate::time::Mono;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

/// An ACK is far smaller; what is longer is cut, and refused.
const IN_MAX: usize = 2048;
/// Datagrams read of one socket before the others have their turn.
const BATCH: usize = 32;

/// The sockets by link.
#[derive(Default)]
pub struct Sockets {
    open: Vec<Entry>,
}

struct Entry {
    link: LinkId,
    address: SocketAddr,
    /// `None`: could not be opened; tried again with each send.
    socket: Option<UdpSocket>,
}

/// What a socket gave.
#[derive(Debug)]
pub enum Incoming<'a> {
    Datagram(&'a [u8]),
    /// The network says that what was sent did not arrive, e.g. that the port is closed.
    Refused,
}

impl Sockets {
    /// Gives a link a socket to `address`, a new one where it has one already.
    pub fn open(&mut self, link: LinkId, address: SocketAddr) {
        self.close(link);
        self.open.push(Entry { link, address, socket: connect(address).ok() });
    }

    pub fn close(&mut self, link: LinkId) {
        self.open.retain(|entry| entry.link != link);
    }

    /// Sends without waiting.
    ///
    /// # Errors
    /// The network refuses: no route, no such address, no room in the socket.
    pub fn send(&mut self, link: LinkId, bytes: &[u8]) -> io::Result<()> {
        let entry = self.open.iter_mut().find(|entry| entry.link == link);
        let entry = entry.ok_or(io::ErrorKind::NotConnected)?;
        let socket = match entry.socket.take() {
            Some(socket) => socket,
            None => connect(entry.address)?,
        };
        let socket = entry.socket.insert(socket);
        match socket.send(bytes) {
            // This call reports what became of an earlier datagram; this one has not been tried.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                socket.send(bytes).map(drop)
            }
            result => result.map(drop),
        }
    }

    /// Hands over what has come in on all sockets, a bounded number of datagrams each.
    pub fn receive(&self, mut take: impl FnMut(LinkId, Incoming<'_>)) {
        let mut buffer = [0; IN_MAX];
        for Entry { link, socket, .. } in &self.open {
            let Some(socket) = socket else { continue };
            for _ in 0..BATCH {
                match socket.recv(&mut buffer) {
                    Ok(len) => take(*link, Incoming::Datagram(&buffer[..len])),
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                        take(*link, Incoming::Refused);
                    }
                    Err(_) => break,
                }
            }
        }
    }

    fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        self.open.iter().filter_map(|entry| entry.socket.as_ref().map(AsRawFd::as_raw_fd))
    }
}

fn connect(address: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    socket.set_nonblocking(true)?;
    socket.connect(address)?;
    Ok(socket)
}

/// What a wait has found to read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ready {
    pub sockets: bool,
    pub others: bool,
}

/// Waits until a socket or one of `others` can be read, or it is `until` on the agent's clock.
/// May return early. `Mono::ZERO` looks without waiting.
pub fn wait(
    sockets: &Sockets,
    others: &[BorrowedFd<'_>],
    timer: &mut Timer,
    until: Option<Mono>,
) -> Ready {
    let timeout = if until == Some(Mono::ZERO) { 0 } else { timer.arm(until) };
    let read = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    let mut set: Vec<libc::pollfd> = sockets.descriptors().map(read).collect();
    let (first_other, first_timer) = (set.len(), set.len() + others.len());
    set.extend(others.iter().map(AsRawFd::as_raw_fd).chain(timer.descriptor()).map(read));
    // SAFETY: the pointer and the count are those of one live vector.
    unsafe { libc::poll(set.as_mut_ptr(), set.len() as libc::nfds_t, timeout) };
    let any = |set: &[libc::pollfd]| set.iter().any(|entry| entry.revents != 0);
    if any(&set[first_timer..]) {
        timer.clear();
    }
    Ready { sockets: any(&set[..first_other]), others: any(&set[first_other..first_timer]) }
}

#[cfg(target_os = "linux")]
pub use boottime::Timer;

#[cfg(target_os = "linux")]
mod boottime {
    use crate::time::Mono;
    use std::io;
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

    /// A timer on the clock that counts sleep: on waking, what fell due meanwhile is due at once.
    pub struct Timer {
        fd: OwnedFd,
        /// What it is set to: setting it again costs a call. `None`: it has run out, and is readable until it
        /// is set again.
        armed: Option<Option<Mono>>,
    }

    impl Timer {
        /// # Errors
        /// No descriptors are left.
        pub fn new() -> io::Result<Timer> {
            let flags = libc::TFD_NONBLOCK | libc::TFD_CLOEXEC;
            // SAFETY: no memory is involved; on success the descriptor is nobody else's.
            unsafe {
                let fd = libc::timerfd_create(libc::CLOCK_BOOTTIME, flags);
                if fd < 0 {
                    return Err(io::Error::last_os_error());
                }
                Ok(Timer { fd: OwnedFd::from_raw_fd(fd), armed: Some(None) })
            }
        }

        /// Sets it; gives back what `poll` needs as its own limit, in milliseconds.
        pub(super) fn arm(&mut self, until: Option<Mono>) -> libc::c_int {
            if self.armed == Some(until) {
                return -1;
            }
            self.armed = Some(until);
            let nanos = until.map_or(0, |at| at.as_nanos().max(1));
            // SAFETY: a zeroed itimerspec is valid, and means off; the pointer is to a live value.
            unsafe {
                let mut spec = std::mem::zeroed::<libc::itimerspec>();
                spec.it_value.tv_sec = (nanos / 1_000_000_000) as _;
                spec.it_value.tv_nsec = (nanos % 1_000_000_000) as libc::c_long;
                let fd = self.fd.as_raw_fd();
                libc::timerfd_settime(fd, libc::TFD_TIMER_ABSTIME, &spec, std::ptr::null_mut());
            }
            -1
        }

        /// It has run out: the next `arm` sets it, whatever to, which is what empties it.
        pub(super) fn clear(&mut self) {
            self.armed = None;
        }

        pub(super) fn descriptor(&self) -> Option<RawFd> {
            Some(self.fd.as_raw_fd())
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub use plain::Timer;

#[cfg(not(target_os = "linux"))]
mod plain {
    use crate::os::clock;
    use crate::time::Mono;
    use std::io;
    use std::os::fd::RawFd;

    /// No timer of the kernel's: `poll` is given the limit.
    pub struct Timer(());

    impl Timer {
        /// # Errors
        /// None.
        pub fn new() -> io::Result<Timer> {
            Ok(Timer(()))
        }

        pub(super) fn arm(&mut self, until: Option<Mono>) -> libc::c_int {
            let Some(until) = until else { return -1 };
            let millis = until.since(clock::now_awake().mono).as_nanos().div_ceil(1_000_000);
            millis.min(60_000) as libc::c_int
        }

        pub(super) fn clear(&mut self) {}

        pub(super) fn descriptor(&self) -> Option<RawFd> {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::{clock, signal};
    use std::os::fd::AsFd;
    use std::time::Duration;

    fn received(sockets: &Sockets) -> Vec<String> {
        let mut got = Vec::new();
        sockets.receive(|link, incoming| got.push(format!("{link} {incoming:?}")));
        got
    }

    #[test]
    fn datagrams_come_back_by_link() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut sockets = Sockets::default();
        sockets.open(7, server.local_addr().unwrap());
        sockets.send(7, b"ping").unwrap();
        let mut buffer = [0; 16];
        let (len, from) = server.recv_from(&mut buffer).unwrap();
        server.send_to(&buffer[..len], from).unwrap();
        wait(&sockets, &[], &mut Timer::new().unwrap(), None);
        assert_eq!(received(&sockets), [format!("7 Datagram({:?})", b"ping")]);
        assert!(sockets.send(8, b"x").is_err());
    }

    #[test]
    fn closed_port_is_refused() {
        let address = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut sockets = Sockets::default();
        sockets.open(1, address);
        sockets.send(1, b"ping").unwrap();
        wait(&sockets, &[], &mut Timer::new().unwrap(), None);
        assert_eq!(received(&sockets), ["1 Refused"]);
    }

    #[test]
    fn wait_ends_by_time_and_by_a_descriptor() {
        let (mut timer, sockets) = (Timer::new().unwrap(), Sockets::default());
        let until = clock::now_awake().mono + Duration::from_millis(5);
        wait(&sockets, &[], &mut timer, Some(until));
        assert!(clock::now_awake().mono >= until);
        let (read, write) = signal::pipe().unwrap();
        signal::write_byte(write.as_fd(), 1);
        wait(&sockets, &[read.as_fd()], &mut timer, None);
    }
}
