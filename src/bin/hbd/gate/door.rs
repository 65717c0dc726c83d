//! The listeners: taking connections in, and which of them may come in at all.

use super::conn::Kind;
use super::stream::Stream;
use super::tls::TlsStream;
use crate::certificate::Certificate;
use mio::net::{TcpListener, UnixListener, UnixStream};
use mio::{Interest, Registry, Token};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

/// Connections that the kernel holds for us; it may allow fewer.
const BACKLOG: i32 = 1024;

#[derive(Debug)]
enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

pub struct Door {
    listener: Listener,
    pub kind: Kind,
    /// Connections speak TLS.
    certificate: Option<Arc<Certificate>>,
    /// Somebody may be waiting.
    pub ready: bool,
}

impl Door {
    pub fn tcp(listener: std::net::TcpListener, kind: Kind) -> io::Result<Door> {
        listener.set_nonblocking(true)?;
        // Longer than what std asks for: a storm of connections must not make others wait for a
        // second SYN.
        socket2::SockRef::from(&listener).listen(BACKLOG)?;
        let listener = Listener::Tcp(TcpListener::from_std(listener));
        Ok(Door { listener, kind, certificate: None, ready: true })
    }

    pub fn tls(
        listener: std::net::TcpListener,
        kind: Kind,
        certificate: &Arc<Certificate>,
    ) -> io::Result<Door> {
        Ok(Door { certificate: Some(Arc::clone(certificate)), ..Door::tcp(listener, kind)? })
    }

    pub fn control(listener: std::os::unix::net::UnixListener) -> io::Result<Door> {
        listener.set_nonblocking(true)?;
        let listener = Listener::Unix(UnixListener::from_std(listener));
        Ok(Door { listener, kind: Kind::Control, certificate: None, ready: true })
    }

    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match &mut self.listener {
            Listener::Tcp(listener) => registry.register(listener, token, Interest::READABLE),
            Listener::Unix(listener) => registry.register(listener, token, Interest::READABLE),
        }
    }

    /// The next connection and its address; a stranger on the control socket is an error of that
    /// connection.
    pub fn accept(&self) -> io::Result<(Stream, Option<IpAddr>)> {
        match &self.listener {
            Listener::Tcp(listener) => {
                let (stream, address) = listener.accept()?;
                let _ = stream.set_nodelay(true);
                let stream = match &self.certificate {
                    None => Stream::Tcp(stream),
                    Some(certificate) => {
                        let tls = TlsStream::new(stream, certificate.current());
                        Stream::Tls(tls.map_err(|_| io::ErrorKind::ConnectionAborted)?)
                    }
                };
                Ok((stream, Some(address.ip().to_canonical())))
            }
            Listener::Unix(listener) => {
                let (stream, _) = listener.accept()?;
                let uid = peer_uid(&stream).map_err(|_| io::ErrorKind::ConnectionAborted)?;
                if uid != 0 && uid != nix::unistd::geteuid().as_raw() {
                    log::warn!("the control socket refused a stranger uid={uid}");
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
                Ok((Stream::Unix(stream), None))
            }
        }
    }
}

/// Whose process connected, as the kernel says it.
#[cfg(target_os = "linux")]
fn peer_uid(stream: &UnixStream) -> nix::Result<u32> {
    use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
    getsockopt(stream, PeerCredentials).map(|credentials| credentials.uid())
}

#[cfg(not(target_os = "linux"))]
fn peer_uid(stream: &UnixStream) -> nix::Result<u32> {
    nix::unistd::getpeereid(stream).map(|(uid, _)| uid.as_raw())
}
