//! The ports of TLS: the certificate they speak with, and the opening of those whose certificate was missing when
//! the server started.
//!
//! Looked at by the supervisor once a second. Files that cannot be used are told of once, and looked at again when
//! they are others.

use crate::certificate::{Certificate, Stamp};
use crate::{bind, gate, serve};
use heartbeat::config::server::Server;
use std::net::TcpListener;
use std::sync::Arc;

pub enum TlsPorts {
    Open(Arc<Certificate>),
    Closed(Closed),
    /// None is configured.
    Unwanted,
}

/// Ports that wait for their certificate.
pub struct Closed {
    /// Of the start: ports and addresses are not live.
    config: Arc<Server>,
    tried: Option<Stamp>,
    annex: gate::Annex,
}

impl TlsPorts {
    /// `config`: of the start.
    pub fn new(
        certificate: Option<Arc<Certificate>>,
        config: &Arc<Server>,
        annex: gate::Annex,
    ) -> TlsPorts {
        match certificate {
            Some(certificate) => TlsPorts::Open(certificate),
            None if config.https_port.or(config.wss_port).is_none() => TlsPorts::Unwanted,
            None => TlsPorts::Closed(Closed { config: Arc::clone(config), tried: None, annex }),
        }
    }

    /// Takes other files over; opens what waited for them.
    pub fn look(&mut self, config: &Server) {
        match self {
            TlsPorts::Open(certificate) => certificate.renew(config),
            TlsPorts::Closed(closed) => {
                if let Some(certificate) = closed.open(config) {
                    *self = TlsPorts::Open(certificate);
                }
            }
            TlsPorts::Unwanted => {}
        }
    }
}

impl Closed {
    fn open(&mut self, config: &Server) -> Option<Arc<Certificate>> {
        let stamp = Stamp::of(config);
        if self.tried.as_ref() == Some(&stamp) || !stamp.is_whole() {
            return None;
        }
        self.tried = Some(stamp);
        let opened = Certificate::load(config).map(Arc::new).and_then(|certificate| {
            let bind = |key, port: Option<u16>| {
                let Some(port) = port else { return Ok(Vec::new()) };
                bind::tcp(key, &self.config.hbd_host, &serve::default_addresses(&self.config), port)
            };
            let wss = bind("wss_port", self.config.wss_port)?;
            let https = bind("https_port", self.config.https_port)?;
            for (name, listener) in
                wss.iter().map(|l| ("wss", l)).chain(https.iter().map(|l| ("https", l)))
            {
                tell(name, listener);
            }
            self.annex.open(gate::Listeners {
                https,
                wss,
                certificate: Some(Arc::clone(&certificate)),
                ..gate::Listeners::default()
            })?;
            Ok(certificate)
        });
        opened.inspect_err(|why| log::warn!("{why} - the ports of TLS stay closed")).ok()
    }
}

fn tell(name: &str, listener: &TcpListener) {
    if let Ok(at) = listener.local_addr() {
        log::info!("the certificate is there, {name}={at} is open");
    }
}
