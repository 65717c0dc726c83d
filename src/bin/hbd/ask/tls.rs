//! `--server https://…`: who is trusted, and the stream.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

/// Where Debian and most others keep the certificates that this machine trusts, its own ones among them.
const SYSTEM: &str = "/etc/ssl/certs/ca-certificates.crt";
const PEM_MAX: usize = 8 << 20;

pub type Stream = StreamOwned<ClientConnection, TcpStream>;

/// Speaks TLS over a connection to `authority`. `ca_file` is trusted beside the usual ones.
pub fn wrap(tcp: TcpStream, authority: &str, ca_file: Option<&Path>) -> io::Result<Stream> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Ok(pem) = heartbeat::os::file::read_bounded(Path::new(SYSTEM), PEM_MAX) {
        roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).flatten());
    }
    if let Some(path) = ca_file {
        let say = |what: String| io::Error::other(format!("{}: {what}", path.display()));
        let pem =
            heartbeat::os::file::read_bounded(path, PEM_MAX).map_err(|e| say(e.to_string()))?;
        let (added, _) =
            roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).flatten());
        if added == 0 {
            return Err(say("holds no certificate in PEM form".to_owned()));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(host(authority).to_owned()).map_err(io::Error::other)?;
    let tls = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    Ok(StreamOwned::new(tls, tcp))
}

/// `mon` of `mon:50004`, `::1` of `[::1]:50004`.
fn host(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    authority.rsplit_once(':').map_or(authority, |(host, _)| host)
}

#[cfg(test)]
mod tests {
    #[test]
    fn host_of_an_authority() {
        for (text, want) in [("mon:1", "mon"), ("[::1]:1", "::1"), ("192.0.2.1:1", "192.0.2.1")] {
            assert_eq!(super::host(text), want);
        }
    }
}
