//! Two servers, one voice: which of a pair speaks, and what the two tell each other.
//!
//! Owns the decision ([`Pair`]), what one side shares with the other ([`Shelf`]), and what it has heard
//! ([`Reader`]). Never decides what is worth telling, never sends: the engine puts its notices and its calm on the
//! shelf, the shell carries a [`Note`] inside the sealed heartbeats. There is no consensus: a side that hears nothing
//! of the other speaks, so that a split doubles a notice and never loses one.

mod note;
mod shelf;
#[cfg(test)]
mod tests;

pub use note::{Note, Shared};
pub use shelf::{Reader, Shelf};

pub use crate::config::server::PairRole as Role;

use crate::time::{Duration, Mono};

/// The other side as it was heard last.
#[derive(Clone, Copy, Debug)]
struct Heard {
    at: Mono,
    role: Role,
    epoch: u64,
    deaf: bool,
    complete: bool,
}

/// What a judgement changed. Each comes once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Turn {
    /// This side speaks from now on (`true`), or is silent (`false`).
    pub speaks: Option<bool>,
    /// The other side is heard again (`true`), or is lost (`false`).
    pub peer: Option<bool>,
    /// The other side was restarted since it was heard at this time: it may know nothing of what happened since.
    pub restarted: Option<Mono>,
    /// Both sides have the same role: a mistake of the configuration, said once.
    pub same_role: bool,
}

/// Whether this side speaks. Times are on the listening clock.
///
/// The contract: [`hear`](Pair::hear) each note, then [`judge`](Pair::judge); judge again at
/// [`due`](Pair::due).
#[derive(Debug)]
pub struct Pair {
    role: Role,
    patience: Duration,
    started: Mono,
    heard: Option<Heard>,
    silent: bool,
    alive: bool,
    restarted: Option<Mono>,
    same_role: bool,
}

impl Pair {
    /// Both sides begin silent: the primary until it knows what was told in its absence, the secondary until the
    /// primary has had one deadline to be heard.
    pub fn new(role: Role, patience: Duration, now: Mono) -> Pair {
        Pair {
            role,
            patience,
            started: now,
            heard: None,
            silent: true,
            alive: true,
            restarted: None,
            same_role: false,
        }
    }

    pub fn role(&self) -> Role {
        self.role
    }

    pub fn is_silent(&self) -> bool {
        self.silent
    }

    /// Whether the other side was heard within its deadline, or has not had one yet.
    pub fn is_peer_alive(&self) -> bool {
        self.alive
    }

    pub fn last_heard(&self) -> Option<Mono> {
        self.heard.map(|heard| heard.at)
    }

    /// Takes a note. `patience`: how long the other side may be silent from now on. `complete`: all that it shares
    /// has arrived here.
    pub fn hear(&mut self, now: Mono, note: &Note, complete: bool, patience: Duration) {
        let before = self.heard;
        if let Some(before) = before
            && before.epoch != note.epoch
        {
            self.restarted = Some(before.at);
        }
        self.patience = patience;
        self.same_role |= note.role == self.role && before.is_none_or(|b| b.role != note.role);
        self.heard =
            Some(Heard { at: now, role: note.role, epoch: note.epoch, deaf: note.deaf, complete });
    }

    /// Decides anew. `deaf`: this side hears nobody itself, so that it is no better than the other.
    pub fn judge(&mut self, now: Mono, deaf: bool) -> Turn {
        let since = self.heard.map_or(self.started, |heard| heard.at);
        let alive = now < since + self.patience;
        let silent = alive && !self.must_speak(now, deaf);
        let mut turn = Turn {
            restarted: self.restarted.take(),
            same_role: std::mem::take(&mut self.same_role),
            ..Turn::default()
        };
        if std::mem::replace(&mut self.alive, alive) != alive {
            turn.peer = Some(alive);
        }
        if std::mem::replace(&mut self.silent, silent) != silent {
            turn.speaks = Some(!silent);
        }
        turn
    }

    /// While the other side is heard, or has not had its deadline.
    fn must_speak(&self, now: Mono, deaf: bool) -> bool {
        match (self.role, self.heard) {
            (Role::Primary, None) => now >= self.started + self.patience,
            // A second primary would wait for the first one, and the first for it.
            (Role::Primary, Some(heard)) => {
                heard.complete || heard.role == Role::Primary || now >= self.started + self.patience
            }
            (Role::Secondary, None) => false,
            (Role::Secondary, Some(heard)) => heard.role == Role::Secondary || heard.deaf && !deaf,
        }
    }

    /// When the decision may change by time alone.
    #[must_use]
    pub fn due(&self) -> Option<Mono> {
        let since = self.heard.map_or(self.started, |heard| heard.at);
        let lost = self.alive.then(|| since + self.patience);
        let begun =
            (self.role == Role::Primary && self.silent).then(|| self.started + self.patience);
        [lost, begun].into_iter().flatten().min()
    }
}
