//! Echo requests: a datagram socket where the kernel allows it to everybody
//! (`net.ipv4.ping_group_range`), else a raw one, where this process may have one.

use super::clock;
use crate::time::Mono;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Datagrams read in one go: a raw socket also hears what was meant for others.
const BATCH: usize = 64;

/// A socket that speaks to one address.
pub struct Socket {
    /// The standard library has no type for these; its calls for datagrams are the same.
    socket: UdpSocket,
}

impl Socket {
    /// # Errors
    /// `PermissionDenied`: this process may have neither kind. Else there is no way to the address,
    /// or `source` is not this machine's.
    pub fn open(target: SocketAddr, source: Option<IpAddr>) -> io::Result<Socket> {
        let socket = UdpSocket::from(socket(target.ip())?);
        socket.set_nonblocking(true)?;
        if let Some(source) = source {
            bind(&socket, source)?;
        }
        match socket.connect(SocketAddr::new(target.ip(), 0)) {
            // It may have a socket, only not one to a broadcast address.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Err(io::ErrorKind::HostUnreachable.into())
            }
            result => result.map(|()| Socket { socket }),
        }
    }

    /// Sends a whole ICMP message; when that was.
    ///
    /// # Errors
    /// The network refuses it.
    pub fn send(&self, message: &[u8]) -> io::Result<Mono> {
        let now = clock::now_awake().mono;
        self.socket.send(message).map(|_| now)
    }

    /// Reads what has come until `wanted` says that this is it; when that was.
    pub fn receive(&self, wanted: impl Fn(&[u8]) -> bool) -> Option<Mono> {
        let mut buffer = [0u8; 256];
        for _ in 0..BATCH {
            match self.socket.recv(&mut buffer) {
                Ok(length) if wanted(&buffer[..length]) => return Some(clock::now_awake().mono),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                // Something else, or a router's complaint about an earlier request.
                _ => {}
            }
        }
        None
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Whether this process may have a socket at all.
pub fn is_allowed() -> bool {
    socket(IpAddr::from([127, 0, 0, 1])).is_ok()
}

fn socket(target: IpAddr) -> io::Result<OwnedFd> {
    let (family, protocol) = match target {
        IpAddr::V4(_) => (libc::AF_INET, libc::IPPROTO_ICMP),
        IpAddr::V6(_) => (libc::AF_INET6, libc::IPPROTO_ICMPV6),
    };
    #[cfg(target_vendor = "apple")]
    let flags = 0;
    #[cfg(not(target_vendor = "apple"))]
    let flags = libc::SOCK_CLOEXEC;
    for kind in [libc::SOCK_DGRAM, libc::SOCK_RAW] {
        // SAFETY: no memory is involved; on success the descriptor is nobody else's.
        unsafe {
            let fd = libc::socket(family, kind | flags, protocol);
            if fd >= 0 {
                return Ok(OwnedFd::from_raw_fd(fd));
            }
        }
    }
    Err(io::ErrorKind::PermissionDenied.into())
}

fn bind(socket: &UdpSocket, source: IpAddr) -> io::Result<()> {
    // SAFETY: zeroed addresses are valid; the length given is that of the one that is passed.
    let result = unsafe {
        match source {
            IpAddr::V4(ip) => {
                let mut address = std::mem::zeroed::<libc::sockaddr_in>();
                address.sin_family = libc::AF_INET as libc::sa_family_t;
                address.sin_addr.s_addr = u32::from_ne_bytes(ip.octets());
                let length = size_of_val(&address) as libc::socklen_t;
                libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length)
            }
            IpAddr::V6(ip) => {
                let mut address = std::mem::zeroed::<libc::sockaddr_in6>();
                address.sin6_family = libc::AF_INET6 as libc::sa_family_t;
                address.sin6_addr.s6_addr = ip.octets();
                let length = size_of_val(&address) as libc::socklen_t;
                libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length)
            }
        }
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
