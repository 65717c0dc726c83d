//! Batches of datagrams: `recvmmsg` into reused buffers, `sendmmsg` from the address that was asked.
//!
//! Owns the unsafe of message headers and control messages, and nothing else of hbd has any for sockets. Never
//! allocates per datagram, never blocks, never looks into a payload. libc directly: nix's `recvmmsg` has no
//! access to the receive buffers through its iterator without building slices anew at every call.

use heartbeat::engine::{Path, Reply};
use heartbeat::limits;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};

/// Datagrams per system call.
pub const BATCH: usize = 64;
/// Room for one address and one drop counter.
const CONTROL: usize = 96;
/// Distance of two receive buffers: whole pages, so that a small datagram makes one page resident.
const STRIDE: usize = 65536;

#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL]);

/// The receive side: 64 slots that are filled anew by each call.
///
/// The slots are 4 MiB of address space of which only what datagrams touched is resident; huge pages are
/// declined for it, else the first byte would cost 2 MiB.
pub struct Inbound {
    memory: *mut u8,
    headers: Box<[libc::mmsghdr; BATCH]>,
    slots: Box<[libc::iovec; BATCH]>,
    addresses: Box<[libc::sockaddr_in6; BATCH]>,
    controls: Box<[Control; BATCH]>,
    len: usize,
}

impl Inbound {
    pub fn new() -> io::Result<Inbound> {
        // SAFETY: a new private anonymous mapping, given back in `drop`.
        let memory = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                BATCH * STRIDE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the range was just mapped. Advice may be refused; then memory is larger, nothing else.
        unsafe { libc::madvise(memory, BATCH * STRIDE, libc::MADV_NOHUGEPAGE) };
        let memory = memory.cast::<u8>();
        let slots = Box::new(std::array::from_fn(|i| libc::iovec {
            // SAFETY: within the mapping, i < BATCH.
            iov_base: unsafe { memory.add(i * STRIDE) }.cast(),
            iov_len: limits::UDP_IN_MAX,
        }));
        Ok(Inbound {
            memory,
            headers: Box::new([EMPTY_HEADER; BATCH]),
            slots,
            addresses: Box::new([EMPTY_ADDRESS; BATCH]),
            controls: Box::new([Control([0; CONTROL]); BATCH]),
            len: 0,
        })
    }

    /// Reads what waits on `socket`, at most 64 datagrams; 0 where nothing does. An error that belongs to one
    /// datagram (a port unreachable that came back) counts as one empty call, not as a failure.
    pub fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        self.len = 0;
        for i in 0..BATCH {
            let header = &mut self.headers[i].msg_hdr;
            header.msg_name = (&raw mut self.addresses[i]).cast();
            header.msg_namelen = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
            header.msg_iov = &raw mut self.slots[i];
            header.msg_iovlen = 1;
            header.msg_control = (&raw mut self.controls[i]).cast();
            header.msg_controllen = CONTROL as _;
        }
        // SAFETY: every header was just pointed at live buffers of the stated lengths, all owned by self.
        let n = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        if n < 0 {
            let error = io::Error::last_os_error();
            return match error.raw_os_error() {
                Some(libc::EAGAIN | libc::EINTR) => Ok(0),
                _ => Err(error),
            };
        }
        self.len = n as usize;
        Ok(self.len)
    }

    /// The datagram in slot `i` of the last call, and the drop counter of its socket where the kernel gave it
    /// (it does once something was dropped).
    pub fn datagram(&self, i: usize) -> (Path, &[u8], Option<u32>) {
        assert!(i < self.len);
        let header = &self.headers[i];
        let len = (header.msg_len as usize).min(limits::UDP_IN_MAX);
        // SAFETY: slot i begins at i * STRIDE and the kernel wrote `len` <= iov_len bytes there.
        let bytes = unsafe { std::slice::from_raw_parts(self.memory.add(i * STRIDE), len) };
        // A size_t with glibc, an int with musl.
        #[allow(clippy::unnecessary_cast)]
        let control_len = (header.msg_hdr.msg_controllen as usize).min(CONTROL);
        let (to, drops) = read_control(&self.controls[i], control_len);
        (Path { from: read_address(&self.addresses[i]), to }, bytes, drops)
    }
}

impl Drop for Inbound {
    fn drop(&mut self) {
        // SAFETY: mapped in `new` with this length; nothing borrows from it any more.
        unsafe { libc::munmap(self.memory.cast(), BATCH * STRIDE) };
    }
}

/// The send side: replies of one socket, gathered and sent together.
pub struct Outbound {
    headers: Box<[libc::mmsghdr; BATCH]>,
    slots: Box<[libc::iovec; BATCH]>,
    addresses: Box<[libc::sockaddr_in6; BATCH]>,
    controls: Box<[Control; BATCH]>,
    replies: Box<[Reply; BATCH]>,
    len: usize,
}

impl Outbound {
    pub fn new() -> Outbound {
        Outbound {
            headers: Box::new([EMPTY_HEADER; BATCH]),
            slots: Box::new([EMPTY_SLOT; BATCH]),
            addresses: Box::new([EMPTY_ADDRESS; BATCH]),
            controls: Box::new([Control([0; CONTROL]); BATCH]),
            replies: Box::new([Reply::new(); BATCH]),
            len: 0,
        }
    }

    pub fn is_full(&self) -> bool {
        self.len == BATCH
    }

    /// Adds one reply; the caller flushes when full. Leaves from `path.to` where `pin` says so (a socket bound
    /// to one address needs no pin).
    pub fn push(&mut self, path: &Path, reply: Reply, pin: bool) {
        let i = self.len;
        self.replies[i] = reply;
        let header = &mut self.headers[i].msg_hdr;
        header.msg_namelen = write_address(&mut self.addresses[i], path.from);
        header.msg_controllen = match path.to {
            Some(to) if pin => write_source(&mut self.controls[i], to) as _,
            _ => 0,
        };
        self.len += 1;
    }

    /// Sends all that was pushed. Returns how many the kernel did not take: a full send buffer, or a peer that
    /// cannot be reached. They are not kept: the agent asks again.
    pub fn flush(&mut self, socket: BorrowedFd<'_>) -> u64 {
        for i in 0..self.len {
            let bytes = self.replies[i].as_bytes();
            self.slots[i].iov_base = bytes.as_ptr().cast_mut().cast();
            self.slots[i].iov_len = bytes.len();
            let header = &mut self.headers[i].msg_hdr;
            header.msg_name = (&raw mut self.addresses[i]).cast();
            header.msg_iov = &raw mut self.slots[i];
            header.msg_iovlen = 1;
            header.msg_control = (&raw mut self.controls[i]).cast();
        }
        let (mut at, mut dropped) = (0, 0);
        while at < self.len {
            // SAFETY: headers[at..len] were just pointed at live buffers of self; the kernel only reads them.
            let n = unsafe {
                libc::sendmmsg(
                    socket.as_raw_fd(),
                    self.headers.as_mut_ptr().add(at),
                    (self.len - at) as libc::c_uint,
                    libc::MSG_DONTWAIT as _,
                )
            };
            if n > 0 {
                at += n as usize;
                continue;
            }
            match io::Error::last_os_error().raw_os_error() {
                Some(libc::EINTR) => continue,
                Some(libc::EAGAIN | libc::ENOBUFS) => {
                    dropped += (self.len - at) as u64;
                    break;
                }
                // This one cannot be sent; those behind it may.
                _ => {
                    dropped += 1;
                    at += 1;
                }
            }
        }
        self.len = 0;
        dropped
    }
}

/// Sends one datagram of any length, without waiting; `pin` as in [`Outbound::push`].
pub fn send(socket: BorrowedFd<'_>, path: &Path, bytes: &[u8], pin: bool) -> io::Result<()> {
    let (mut address, mut control) = (EMPTY_ADDRESS, Control([0; CONTROL]));
    let mut slot = EMPTY_SLOT;
    slot.iov_base = bytes.as_ptr().cast_mut().cast();
    slot.iov_len = bytes.len();
    let mut header = EMPTY_HEADER.msg_hdr;
    header.msg_namelen = write_address(&mut address, path.from);
    header.msg_name = (&raw mut address).cast();
    header.msg_iov = &raw mut slot;
    header.msg_iovlen = 1;
    if let Some(to) = path.to.filter(|_| pin) {
        header.msg_controllen = write_source(&mut control, to) as _;
        header.msg_control = (&raw mut control).cast();
    }
    // SAFETY: the header points at live values of this frame; the kernel only reads them.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &header, libc::MSG_DONTWAIT) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Large enough for both families, which is all that is bound here.
const EMPTY_ADDRESS: libc::sockaddr_in6 = libc::sockaddr_in6 {
    sin6_family: 0,
    sin6_port: 0,
    sin6_flowinfo: 0,
    sin6_addr: libc::in6_addr { s6_addr: [0; 16] },
    sin6_scope_id: 0,
};

const EMPTY_SLOT: libc::iovec = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };

// SAFETY: all-zero is a valid mmsghdr (null pointers, zero lengths); musl has private padding fields.
const EMPTY_HEADER: libc::mmsghdr = unsafe { std::mem::zeroed() };

fn read_address(raw: &libc::sockaddr_in6) -> SocketAddr {
    let port = u16::from_be(raw.sin6_port);
    if libc::c_int::from(raw.sin6_family) == libc::AF_INET6 {
        let address = Ipv6Addr::from(raw.sin6_addr.s6_addr);
        return SocketAddr::V6(SocketAddrV6::new(address, port, 0, raw.sin6_scope_id));
    }
    // sockaddr_in has its address where sockaddr_in6 has the flow label, in network order in memory.
    let address = Ipv4Addr::from(raw.sin6_flowinfo.to_ne_bytes());
    SocketAddr::V4(SocketAddrV4::new(address, port))
}

fn write_address(raw: &mut libc::sockaddr_in6, address: SocketAddr) -> libc::socklen_t {
    *raw = EMPTY_ADDRESS;
    raw.sin6_port = address.port().to_be();
    match address {
        SocketAddr::V4(v4) => {
            raw.sin6_family = libc::AF_INET as libc::sa_family_t;
            raw.sin6_flowinfo = u32::from_ne_bytes(v4.ip().octets());
            size_of::<libc::sockaddr_in>() as libc::socklen_t
        }
        SocketAddr::V6(v6) => {
            raw.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            raw.sin6_addr.s6_addr = v6.ip().octets();
            raw.sin6_scope_id = v6.scope_id();
            size_of::<libc::sockaddr_in6>() as libc::socklen_t
        }
    }
}

/// A header that has nothing but a control buffer, as the CMSG macros want it.
fn control_header(control: *const Control, len: usize) -> libc::msghdr {
    let mut message = EMPTY_HEADER.msg_hdr;
    message.msg_control = control.cast_mut().cast();
    message.msg_controllen = len as _;
    message
}

fn read_control(control: &Control, len: usize) -> (Option<IpAddr>, Option<u32>) {
    let (mut to, mut drops) = (None, None);
    let message = control_header(control, len);
    // SAFETY: the kernel wrote `len` bytes of well-formed control messages into `control`; the CMSG macros stay
    // within them. Payloads are read unaligned.
    unsafe {
        let mut at = libc::CMSG_FIRSTHDR(&message);
        while !at.is_null() {
            let data = libc::CMSG_DATA(at);
            match ((*at).cmsg_level, (*at).cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    let info = data.cast::<libc::in_pktinfo>().read_unaligned();
                    to = Some(IpAddr::V4(Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes())));
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    let info = data.cast::<libc::in6_pktinfo>().read_unaligned();
                    to = Some(IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr)));
                }
                (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                    drops = Some(data.cast::<u32>().read_unaligned());
                }
                _ => {}
            }
            at = libc::CMSG_NXTHDR(&message, at);
        }
    }
    (to, drops)
}

/// Writes the packet-info message that makes a reply leave from `source`; returns the control length.
fn write_source(control: &mut Control, source: IpAddr) -> usize {
    match source {
        IpAddr::V4(v4) => {
            let info = libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: libc::in_addr { s_addr: u32::from_ne_bytes(v4.octets()) },
                ipi_addr: libc::in_addr { s_addr: 0 },
            };
            write_control(control, libc::IPPROTO_IP, libc::IP_PKTINFO, info)
        }
        IpAddr::V6(v6) => {
            let info = libc::in6_pktinfo {
                ipi6_addr: libc::in6_addr { s6_addr: v6.octets() },
                ipi6_ifindex: 0,
            };
            write_control(control, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info)
        }
    }
}

fn write_control<T>(
    control: &mut Control,
    level: libc::c_int,
    kind: libc::c_int,
    payload: T,
) -> usize {
    const { assert!(size_of::<T>() <= 24) };
    let size = size_of::<T>() as u32;
    let message = control_header(control, CONTROL);
    // SAFETY: `control` has CONTROL (96) aligned bytes: room for one header and 24 bytes of payload, so
    // CMSG_FIRSTHDR is not null and all writes are inside.
    unsafe {
        let at = libc::CMSG_FIRSTHDR(&message);
        (*at).cmsg_level = level;
        (*at).cmsg_type = kind;
        (*at).cmsg_len = libc::CMSG_LEN(size) as _;
        libc::CMSG_DATA(at).cast::<T>().write_unaligned(payload);
        libc::CMSG_SPACE(size) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    fn pair(address: &str) -> (UdpSocket, UdpSocket) {
        let server = UdpSocket::bind(address).unwrap();
        let client = UdpSocket::bind(address).unwrap();
        client.connect(server.local_addr().unwrap()).unwrap();
        client.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
        (server, client)
    }

    #[test]
    fn batch_round_trip_keeps_bytes_and_peer() {
        let (server, client) = pair("127.0.0.1:0");
        for i in 0..70u8 {
            client.send(&vec![i; 1 + 20 * i as usize]).unwrap();
        }
        let (mut inbound, mut outbound) = (Inbound::new().unwrap(), Outbound::new());
        assert_eq!(inbound.receive(server.as_fd()).unwrap(), BATCH);
        for i in 0..BATCH {
            let (path, bytes, _) = inbound.datagram(i);
            assert_eq!(path.from, client.local_addr().unwrap());
            assert_eq!(bytes, vec![i as u8; 1 + 20 * i]);
            let mut reply = Reply::new();
            assert!(reply.push(&[i as u8, 7]));
            outbound.push(&path, reply, true);
        }
        assert!(outbound.is_full());
        assert_eq!(outbound.flush(server.as_fd()), 0);
        let mut buffer = [0; 16];
        for i in 0..BATCH {
            assert_eq!(client.recv(&mut buffer).unwrap(), 2);
            assert_eq!(buffer[0], i as u8);
        }
        assert_eq!(inbound.receive(server.as_fd()).unwrap(), 6);
        assert_eq!(inbound.receive(server.as_fd()).unwrap(), 0);
    }

    #[test]
    fn addresses_survive_the_raw_form() {
        for text in ["192.0.2.1:5", "[2001:db8::1%3]:65535", "[::]:0", "255.255.255.255:50003"] {
            let address: SocketAddr = text.parse().unwrap();
            let mut raw = EMPTY_ADDRESS;
            write_address(&mut raw, address);
            assert_eq!(read_address(&raw), address);
        }
    }

    #[test]
    fn reply_that_cannot_be_sent_is_counted_and_the_next_one_goes_out() {
        let (server, client) = pair("127.0.0.1:0");
        let mut outbound = Outbound::new();
        let mut reply = Reply::new();
        assert!(reply.push(b"x"));
        let unreachable = Path { from: "127.0.0.1:0".parse().unwrap(), to: None };
        outbound.push(&unreachable, reply, false);
        outbound.push(&Path { from: client.local_addr().unwrap(), to: None }, reply, false);
        assert_eq!(outbound.flush(server.as_fd()), 1);
        assert_eq!(client.recv(&mut [0; 4]).unwrap(), 1);
    }
}
