//! The sockets of the server: bound before anything else starts, with an error that names who has the port.
//!
//! Owns the choice of addresses, of a free port that all addresses of a service share, and the socket options.

use crate::owner;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Receive buffer asked for: several seconds of a large fleet (THREATS U14).
const RECEIVE_BUFFER: usize = 4 << 20;
const BACKLOG: i32 = 256;
/// Free ports tried until one is free on every address.
const PORT_TRIES: usize = 16;

/// A service: what is bound, and the configuration key that moves it.
#[derive(Clone, Copy)]
pub struct Service {
    pub transport: Transport,
    pub key: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    Udp,
    Tcp,
}

impl Transport {
    pub const fn as_str(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
        }
    }
}

/// The sockets of the heartbeats. `hosts` empty: all addresses of both families.
pub fn udp(hosts: &[IpAddr], port: u16) -> Result<Vec<UdpSocket>, String> {
    let all = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    let service = Service { transport: Transport::Udp, key: "hb_port" };
    let sockets = bind_all(service, hosts, &all, port)?;
    sockets.into_iter().map(|socket| prepare_udp(socket).map_err(|e| e.to_string())).collect()
}

/// Listeners of pages, API or live updates. `hosts` empty: `defaults`, of which a family may be missing.
pub fn tcp(
    key: &'static str,
    hosts: &[IpAddr],
    defaults: &[IpAddr],
    port: u16,
) -> Result<Vec<TcpListener>, String> {
    let service = Service { transport: Transport::Tcp, key };
    let sockets = bind_all(service, hosts, defaults, port)?;
    Ok(sockets.into_iter().map(TcpListener::from).collect())
}

/// Sets what every UDP socket of ours has, bound here or inherited.
pub fn prepare_udp(socket: Socket) -> io::Result<UdpSocket> {
    socket.set_nonblocking(true)?;
    if setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err() {
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    }
    // A figure only, and not every kernel has it: gVisor and qemu's user mode do without.
    if let Err(error) = setsockopt(&socket, sockopt::RxqOvfl, &1) {
        log::info!("this kernel does not say how many datagrams it drops error={error}");
    }
    let address = socket.local_addr()?;
    // A socket bound to one address needs not be told which one was asked.
    match address.as_socket().map(|address| address.ip()) {
        Some(IpAddr::V4(ip)) if ip.is_unspecified() => {
            setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
        }
        Some(IpAddr::V6(ip)) if ip.is_unspecified() => {
            setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        }
        _ => {}
    }
    Ok(socket.into())
}

/// The control socket at `path`, mode 0600. A file that nobody listens on is removed first.
pub fn control(path: &Path) -> Result<UnixListener, String> {
    let say = |what: String| format!("control socket {}: {what}", path.display());
    match UnixStream::connect(path) {
        Ok(_) => return Err(say("another hbd listens on it".to_owned())),
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(|e| say(e.to_string()))?;
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(say(e.to_string())),
    }
    // No thread runs yet, so the narrow mask meets no other file.
    let mask = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o177));
    let bound = UnixListener::bind(path);
    nix::sys::stat::umask(mask);
    let listener = bound.map_err(|e| say(e.to_string()))?;
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o600))
        .map_err(|e| say(e.to_string()))?;
    Ok(listener)
}

/// Sockets that systemd bound for us (`LISTEN_FDS`, sd_listen_fds(3)), by kind.
#[derive(Default)]
pub struct Inherited {
    pub udp: Vec<UdpSocket>,
    /// Listeners with their ports.
    pub tcp: Vec<(u16, TcpListener)>,
    pub control: Option<(PathBuf, UnixListener)>,
}

/// Takes over what systemd passed, descriptors 3 and up. Call it once, before any descriptor is opened.
pub fn inherited(listen_pid: Option<&str>, listen_fds: Option<&str>) -> io::Result<Inherited> {
    use std::os::fd::{FromRawFd, OwnedFd};
    const FIRST: i32 = 3;
    const FDS_MAX: i32 = 16;
    let mut found = Inherited::default();
    let ours = listen_pid.and_then(|p| p.parse().ok()) == Some(std::process::id());
    let count: i32 = listen_fds.and_then(|n| n.parse().ok()).unwrap_or(0);
    if !ours {
        return Ok(found);
    }
    for fd in FIRST..FIRST + count.clamp(0, FDS_MAX) {
        // SAFETY: systemd handed these descriptors to this process and nothing else owns them; called once.
        let socket = Socket::from(unsafe { OwnedFd::from_raw_fd(fd) });
        socket.set_cloexec(true)?;
        let address = socket.local_addr()?;
        match (socket.r#type()?, address.as_socket()) {
            (Type::DGRAM, Some(_)) => found.udp.push(prepare_udp(socket)?),
            (Type::STREAM, Some(address)) => found.tcp.push((address.port(), socket.into())),
            (Type::STREAM, None) => {
                let path = address.as_pathname().map(Path::to_owned).unwrap_or_default();
                found.control = Some((path, socket.into()));
            }
            _ => log::warn!("inherited descriptor {fd} is of no use here"),
        }
    }
    Ok(found)
}

/// Binds every address of a service to one port; 0 picks one that is free on all of them.
fn bind_all(
    service: Service,
    hosts: &[IpAddr],
    defaults: &[IpAddr],
    port: u16,
) -> Result<Vec<Socket>, String> {
    let explicit = !hosts.is_empty();
    let addresses = if explicit { hosts } else { defaults };
    for _ in 1..PORT_TRIES {
        match bind_once(service, addresses, explicit, port) {
            Err((_, error)) if port == 0 && error.kind() == io::ErrorKind::AddrInUse => {}
            done => return done.map_err(|(at, error)| describe(service, at, &error)),
        }
    }
    bind_once(service, addresses, explicit, port)
        .map_err(|(at, error)| describe(service, at, &error))
}

fn bind_once(
    service: Service,
    addresses: &[IpAddr],
    explicit: bool,
    mut port: u16,
) -> Result<Vec<Socket>, (SocketAddr, io::Error)> {
    let mut sockets = Vec::new();
    let mut skipped = None;
    for ip in addresses {
        let at = SocketAddr::new(*ip, port);
        match bind_one(service.transport, at) {
            Ok(socket) => {
                if port == 0 {
                    port = local_port(&socket).map_err(|e| (at, e))?;
                }
                sockets.push(socket);
            }
            // A machine without IPv6 (or without IPv4) is fine unless the address was asked for.
            Err(error) if !explicit && is_absent(&error) => skipped = Some((at, error)),
            Err(error) => return Err((at, error)),
        }
    }
    match skipped {
        Some(failed) if sockets.is_empty() => Err(failed),
        _ => Ok(sockets),
    }
}

fn bind_one(transport: Transport, at: SocketAddr) -> io::Result<Socket> {
    let (kind, protocol) = match transport {
        Transport::Udp => (Type::DGRAM, Protocol::UDP),
        Transport::Tcp => (Type::STREAM, Protocol::TCP),
    };
    let socket = Socket::new(Domain::for_address(at), kind, Some(protocol))?;
    if at.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if transport == Transport::Tcp {
        socket.set_reuse_address(true)?;
    }
    socket.bind(&at.into())?;
    if transport == Transport::Tcp {
        socket.listen(BACKLOG)?;
    }
    Ok(socket)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL))
}

fn local_port(socket: &Socket) -> io::Result<u16> {
    let address = socket.local_addr()?.as_socket();
    address.map(|a| a.port()).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn describe(service: Service, at: SocketAddr, error: &io::Error) -> String {
    let Service { transport, key } = service;
    let what = match error.kind() {
        io::ErrorKind::AddrInUse => {
            let who = owner::of_port(transport, at.port())
                .map(|owner| format!(" (by {owner})"))
                .unwrap_or_default();
            format!("address in use{who} - stop it or set {key}")
        }
        io::ErrorKind::PermissionDenied => {
            format!("not allowed (as uid {}) - set {key} above 1023", nix::unistd::geteuid())
        }
        io::ErrorKind::AddrNotAvailable => {
            let host_key = if transport == Transport::Udp { "hb_host" } else { "hbd_host" };
            format!("this machine has no such address - set {host_key}")
        }
        _ => error.to_string(),
    };
    format!("cannot bind {} {at}: {what}", transport.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_zero_is_shared_by_both_families() {
        let sockets = udp(&[], 0).unwrap();
        let ports: Vec<u16> = sockets.iter().map(|s| s.local_addr().unwrap().port()).collect();
        assert!(ports[0] > 0 && ports.iter().all(|p| *p == ports[0]), "{ports:?}");
    }

    #[test]
    fn taken_port_names_its_owner_and_the_key() {
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        let at = taken.local_addr().unwrap();
        let error = udp(&[at.ip()], at.port()).unwrap_err();
        let start =
            format!("cannot bind UDP {at}: address in use (by pid {} \"", std::process::id());
        assert!(error.starts_with(&start), "{error}");
        assert!(error.ends_with("\") - stop it or set hb_port"), "{error}");
    }

    #[test]
    fn explicit_address_that_is_not_here_is_an_error() {
        let host = ["192.0.2.1".parse().unwrap()];
        let error = tcp("hbd_port", &host, &[], 0).unwrap_err();
        assert!(error.ends_with("this machine has no such address - set hbd_host"), "{error}");
    }

    #[test]
    fn stale_control_socket_is_replaced_and_a_live_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hbd.sock");
        let listener = control(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(control(&path).unwrap_err().contains("another hbd listens"));
        drop(listener);
        control(&path).unwrap();
    }
}
