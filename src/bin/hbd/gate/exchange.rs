//! One request on its way through the pool: written to the private socket, its answer read back
//! piece by piece.

use super::answer;
use super::ask::Ask;
use super::reader::Reader;
use super::stream::unblocked;
use heartbeat::limits;
use mio::net::UnixStream;
use std::io::{self, Read, Write};

#[derive(Debug)]
pub struct Exchange {
    pub stream: UnixStream,
    pub readable: bool,
    pub writable: bool,
    pub keep: bool,
    reader: Reader,
    is_safe: bool,
    ask: Vec<u8>,
    sent: usize,
    /// The answer's head as far as it came; once it was read, what is to be handed out of it.
    head: Vec<u8>,
    /// Bytes of the body still to come; `None` before the head.
    body_left: Option<u64>,
}

/// What a turn brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pump {
    /// Nothing more without an event, or without room.
    Wait,
    /// Bytes for the peer.
    Moved,
    /// The head came, and says how long the body is. Nothing of it was handed out yet.
    Head(u64),
    Done,
}

impl Exchange {
    pub fn new(stream: UnixStream, ask: Ask) -> Exchange {
        Exchange {
            stream,
            readable: true,
            writable: true,
            keep: ask.keep,
            reader: ask.reader,
            is_safe: ask.is_safe,
            ask: ask.into_bytes(),
            sent: 0,
            head: Vec::new(),
            body_left: None,
        }
    }

    /// No byte of the answer was handed out yet.
    pub fn is_unanswered(&self) -> bool {
        self.body_left.is_none() || !self.head.is_empty()
    }

    /// How many bytes will still be handed out; 0 before the head.
    pub fn to_come(&self) -> usize {
        let body = self.body_left.map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        body.map_or(0, |n| n.saturating_add(self.head.len()))
    }

    /// Who reads the answer.
    pub fn reader(&self) -> Reader {
        self.reader
    }

    /// Asking again changes nothing.
    pub fn is_safe(&self) -> bool {
        self.is_safe
    }

    /// Moves what can be moved without blocking: at most `scratch.len()` bytes, handed to `out`.
    pub fn pump(&mut self, scratch: &mut [u8], out: &mut dyn FnMut(&[u8])) -> io::Result<Pump> {
        if self.body_left.is_some() && !self.head.is_empty() {
            out(&std::mem::take(&mut self.head));
            return Ok(Pump::Moved);
        }
        if self.body_left == Some(0) {
            return Ok(Pump::Done);
        }
        self.send()?;
        if !self.readable {
            return Ok(Pump::Wait);
        }
        let want =
            self.body_left.map_or(limits::HEAD_MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
        let want = want.min(scratch.len());
        let stream = &mut self.stream;
        match unblocked(|| stream.read(&mut scratch[..want]))? {
            None => {
                self.readable = false;
                Ok(Pump::Wait)
            }
            Some(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Some(n) => self.take(&scratch[..n], out),
        }
    }

    fn send(&mut self) -> io::Result<()> {
        while self.writable && self.sent < self.ask.len() {
            let (stream, bytes) = (&mut self.stream, &self.ask[self.sent..]);
            match unblocked(|| stream.write(bytes))? {
                Some(n) => self.sent += n,
                None => self.writable = false,
            }
        }
        if self.sent > 0 && self.sent == self.ask.len() {
            (self.ask, self.sent) = (Vec::new(), 0);
        }
        Ok(())
    }

    fn take(&mut self, bytes: &[u8], out: &mut dyn FnMut(&[u8])) -> io::Result<Pump> {
        let Some(left) = &mut self.body_left else { return self.take_head(bytes) };
        *left -= bytes.len() as u64;
        out(bytes);
        Ok(if *left == 0 { Pump::Done } else { Pump::Moved })
    }

    fn take_head(&mut self, bytes: &[u8]) -> io::Result<Pump> {
        self.head.extend_from_slice(bytes);
        let head = answer::decode_head(&self.head, self.reader == Reader::Head, self.keep)
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        let Some(mut head) = head else { return Ok(Pump::Moved) };
        let rest = &self.head[head.len..];
        let rest = &rest[..rest.len().min(usize::try_from(head.body_len).unwrap_or(usize::MAX))];
        head.bytes.extend_from_slice(rest);
        self.body_left = Some(head.body_len - rest.len() as u64);
        self.head = head.bytes;
        Ok(Pump::Head(head.body_len))
    }
}
