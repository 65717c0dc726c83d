//! Whom TLS clients of this process trust: the machine's certificates where it has some, else those compiled in.

use heartbeat::os::file;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;
use ureq::tls::Certificate;

/// Debian and Alpine, Fedora, SUSE, the BSDs and macOS.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
const BUNDLE_MAX: usize = 4 << 20;

pub struct Roots {
    /// `None`: those compiled in.
    bundle: Option<Vec<CertificateDer<'static>>>,
}

impl Roots {
    pub fn load() -> Roots {
        let found = BUNDLES.iter().filter_map(|path| read(Path::new(path)).ok());
        Roots { bundle: found.into_iter().find(|certificates| !certificates.is_empty()) }
    }

    /// The machine's own, for ureq.
    pub fn certificates(&self) -> Option<Arc<Vec<Certificate<'static>>>> {
        let bundle = self.bundle.as_ref()?;
        let owned = |der: &CertificateDer<'_>| Certificate::from_der(der.as_ref()).to_owned();
        Some(Arc::new(bundle.iter().map(owned).collect()))
    }

    /// For a connection of our own; `ca_file` takes the place of everything else.
    pub fn client(&self, ca_file: Option<&str>) -> Result<Arc<ClientConfig>, String> {
        let mut store = RootCertStore::empty();
        match (ca_file, &self.bundle) {
            (Some(path), _) => {
                let own = read(Path::new(path)).map_err(|error| format!("ca_file: {error}"))?;
                if store.add_parsable_certificates(own).0 == 0 {
                    return Err(format!("ca_file: {path} holds no certificate"));
                }
            }
            (None, Some(bundle)) => drop(store.add_parsable_certificates(bundle.iter().cloned())),
            (None, None) => store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS: {error}"))?;
        Ok(Arc::new(config.with_root_certificates(store).with_no_client_auth()))
    }
}

fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let bytes = file::read_bounded(path, BUNDLE_MAX);
    let bytes = bytes.map_err(|error| format!("{}: {error}", path.display()))?;
    // One that cannot be read does not hide the others.
    Ok(CertificateDer::pem_slice_iter(&bytes).filter_map(Result::ok).collect())
}
