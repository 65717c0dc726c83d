//! What a server of a pair has its heartbeats say, on its way from the thread that decides to the agent's loop.
//!
//! Holds one note, the latest. A note that is not renewed in time is old: whoever decides stands still, and the
//! heartbeats are not to say that it lives.

use super::signal;
use crate::time::{Duration, Mono};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

/// After this a note is old.
const FRESH_FOR: Duration = Duration::from_secs(8);

/// The end of the thread that decides. Notes are dropped until there is a loop that takes them.
#[derive(Clone, Default)]
pub struct Desk(Arc<Mutex<Slot>>);

#[derive(Default)]
struct Slot {
    note: Option<Arc<str>>,
    wake: Option<OwnedFd>,
}

/// The end of the agent's loop.
pub struct Notes {
    slot: Arc<Mutex<Slot>>,
    woken: OwnedFd,
    fresh_until: Option<Mono>,
}

impl Desk {
    /// Replaces the note.
    pub fn put(&self, note: Arc<str>) {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Slot { note: place, wake } = &mut *slot;
        if let Some(wake) = wake {
            *place = Some(note);
            signal::write_byte(wake.as_fd(), 0);
        }
    }

    /// The other end.
    ///
    /// # Errors
    /// No descriptors are left.
    pub fn open(&self) -> io::Result<Notes> {
        let (woken, wake) = signal::pipe()?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).wake = Some(wake);
        Ok(Notes { slot: Arc::clone(&self.0), woken, fresh_until: None })
    }
}

impl Notes {
    /// What to wait for, and when the note is old.
    pub fn watch<'a>(&'a self, others: &mut Vec<BorrowedFd<'a>>) -> Option<Mono> {
        others.push(self.woken.as_fd());
        self.fresh_until
    }

    /// A new note; `Some(None)`: the last one is old.
    pub fn poll(&mut self, now: Mono) -> Option<Option<Arc<str>>> {
        while signal::read_byte(self.woken.as_fd()).is_some() {}
        let note = self.slot.lock().unwrap_or_else(PoisonError::into_inner).note.take();
        if note.is_some() {
            self.fresh_until = Some(now + FRESH_FOR);
            return Some(note);
        }
        self.fresh_until.take_if(|until| *until <= now).map(|_| None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn note_is_taken_once_and_grows_old() {
        let desk = Desk::default();
        desk.put("lost".into());
        let mut notes = desk.open().unwrap();
        let at = |secs: u64| Mono::from_secs(100 + secs);
        assert_eq!(notes.poll(at(0)), None);
        desk.put("a".into());
        desk.put("b".into());
        assert_eq!(notes.poll(at(0)), Some(Some("b".into())));
        assert_eq!(notes.poll(at(7)), None);
        assert_eq!(notes.poll(at(8)), Some(None));
        assert_eq!(notes.poll(at(9)), None);
    }
}
