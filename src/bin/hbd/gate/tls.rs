//! A TLS connection as a byte stream: what rustls holds back is pushed on before anything new is taken.
//!
//! Never blocks, and never says `WouldBlock` while bytes for the caller are at hand: the gate waits for edges.

use mio::net::TcpStream;
use rustls::{ServerConfig, ServerConnection};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;

/// Plain bytes that become one record.
const RECORD: usize = 16 << 10;
/// Reads of the socket in a row that give no plain byte: no handshake is that long, and a peer that sends empty
/// records for ever must not hold the loop.
const BARREN_READS_MAX: usize = 64;

#[derive(Debug)]
pub struct TlsStream {
    pub tcp: TcpStream,
    tls: Box<ServerConnection>,
}

impl TlsStream {
    pub fn new(tcp: TcpStream, config: Arc<ServerConfig>) -> io::Result<TlsStream> {
        let mut tls = Box::new(ServerConnection::new(config).map_err(io::Error::other)?);
        tls.set_buffer_limit(Some(2 * RECORD));
        Ok(TlsStream { tcp, tls })
    }

    /// Whether records wait for the socket.
    pub fn is_pending(&self) -> bool {
        self.tls.wants_write()
    }

    /// Says goodbye, so that the peer knows that nothing was cut off.
    pub fn shutdown_write(&mut self) {
        self.tls.send_close_notify();
        let _ = self.push();
        let _ = self.tcp.shutdown(Shutdown::Write);
    }

    /// Hands the records that wait to the socket.
    fn push(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            if self.tls.write_tls(&mut self.tcp)? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }

    /// As `push`; a socket that is full is no error here.
    fn push_some(&mut self) -> io::Result<()> {
        match self.push() {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(()),
            done => done,
        }
    }
}

impl Read for TlsStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        for _ in 0..BARREN_READS_MAX {
            match self.tls.reader().read(buffer) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                // A peer that left without a goodbye has left all the same.
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                done => return done,
            }
            if self.tls.read_tls(&mut self.tcp)? == 0 {
                return Ok(0);
            }
            let processed = self.tls.process_new_packets();
            // The next flight of the handshake, or an alert that says what was wrong.
            self.push_some()?;
            processed.map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "records without content"))
    }
}

impl Write for TlsStream {
    /// Takes at most one record, and only once the one before has gone.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.tls.is_handshaking() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.push()?;
        let taken = self.tls.writer().write(&bytes[..bytes.len().min(RECORD)])?;
        self.push_some()?;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.push()
    }
}
