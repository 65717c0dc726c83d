//! The certificate of `https_port` and `wss_port`: read at the start, and again when its files change.
//!
//! Owns what connections are opened with. A change that cannot be used leaves the old certificate in force and is
//! told once.

use heartbeat::config::server::Server;
use heartbeat::os::file;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// A chain is some kilobytes.
const PEM_MAX: usize = 1 << 20;

pub struct Certificate {
    /// What new connections are opened with.
    current: RwLock<Arc<ServerConfig>>,
    /// The files that were looked at last, used or not.
    seen: Mutex<Option<Stamp>>,
}

/// Which files, and in what state: another one is read anew.
#[derive(Clone, PartialEq)]
pub struct Stamp {
    chain: (PathBuf, FileState),
    key: (PathBuf, FileState),
}

/// Device, inode, size, and time of the last change in seconds and nanoseconds.
type FileState = Option<(u64, u64, u64, i64, i64)>;

impl Stamp {
    pub fn of(config: &Server) -> Stamp {
        let file = |name: &str| {
            let path = config.cert_path.join(name);
            let state = std::fs::metadata(&path).ok();
            let state = state.map(|m| (m.dev(), m.ino(), m.size(), m.mtime(), m.mtime_nsec()));
            (path, state)
        };
        Stamp { chain: file(&config.wss_pem), key: file(&config.wss_key) }
    }

    /// Both files are there.
    pub fn is_whole(&self) -> bool {
        self.chain.1.is_some() && self.key.1.is_some()
    }
}

impl Certificate {
    /// Reads the files that the configuration names.
    pub fn load(config: &Server) -> Result<Certificate, String> {
        let stamp = Stamp::of(config);
        let current = read(&stamp.chain.0, &stamp.key.0)?;
        Ok(Certificate { current: RwLock::new(current), seen: Mutex::new(Some(stamp)) })
    }

    pub fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes the files over where they are others than before.
    pub fn renew(&self, config: &Server) {
        let stamp = Stamp::of(config);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.as_ref() == Some(&stamp) {
            return;
        }
        match read(&stamp.chain.0, &stamp.key.0) {
            Ok(new) => {
                log::info!("the certificate is renewed file={}", stamp.chain.0.display());
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
            }
            Err(error) => log::warn!("{error}; the certificate of before stays in use"),
        }
        *seen = Some(stamp);
    }
}

fn read(chain: &Path, key: &Path) -> Result<Arc<ServerConfig>, String> {
    let say = |path: &Path, what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
    let bytes = |path: &Path| file::read_bounded(path, PEM_MAX).map_err(|e| say(path, &e));
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&bytes(chain)?)
        .collect::<Result<_, _>>()
        .map_err(|e| say(chain, &e))?;
    if certificates.is_empty() {
        return Err(say(chain, &"holds no certificate in PEM form"));
    }
    let secret = PrivateKeyDer::from_pem_slice(&bytes(key)?)
        .map_err(|_| say(key, &"holds no private key in PEM form"))?;
    // The provider is named here: a process-wide default would be hidden state.
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_no_client_auth()
        .with_single_cert(certificates, secret)
        .map_err(|e| say(key, &format!("does not go with {}: {e}", chain.display())))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
