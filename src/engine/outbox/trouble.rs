//! The ledger: which troubles are open, and who was told of each.

use crate::config::server::Level;
use crate::notice::{Receiver, Subject};
use crate::time::{Duration, Mono, Now, Wall};
use std::collections::{BTreeMap, BTreeSet};

/// A silence that ends within this of being declared was none: nobody hears of it (SPEC section 2).
pub const SHORT: Duration = Duration::from_secs(4);

/// What a receiver was told last of a trouble, and the worst level.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Told {
    pub at: Wall,
    pub level: Level,
}

/// One trouble, from its first notice until its end is delivered.
#[derive(Debug)]
pub struct Trouble {
    pub subject: Subject,
    pub opened: Wall,
    /// An end before this makes it short.
    pub short_until: Mono,
    pub ended: Option<Mono>,
    pub told: BTreeMap<Receiver, Told>,
    /// Once it has ended: who hears the end, or needs not. Nobody stands in for them.
    pub settled: BTreeSet<Receiver>,
    /// Its notices that are not delivered everywhere.
    pub entries: BTreeSet<u64>,
    /// The one line for those who hear of it when it is over.
    pub merged: Option<u64>,
    /// The other server of a pair told of it last, and tells its end.
    pub by_peer: bool,
}

impl Trouble {
    /// One that was declared at `opened`, which may be a while ago: it was held, or restored.
    pub fn new(now: Now, subject: &Subject, opened: Wall, ended: Option<Mono>) -> Trouble {
        let left = SHORT.saturating_sub(now.wall.since(opened));
        Trouble {
            subject: subject.clone(),
            opened,
            short_until: if left.is_zero() { Mono::ZERO } else { now.mono + left },
            ended,
            told: BTreeMap::new(),
            settled: BTreeSet::new(),
            entries: BTreeSet::new(),
            merged: None,
            by_peer: false,
        }
    }

    /// Whether it ended before anybody needed to hear of it.
    pub fn was_short(&self) -> bool {
        self.subject.is_silence() && self.ended.is_some_and(|ended| ended < self.short_until)
    }
}

#[derive(Debug, Default)]
pub struct Ledger {
    troubles: BTreeMap<u64, Trouble>,
    open: BTreeMap<Subject, u64>,
    last: u64,
}

impl Ledger {
    pub fn get(&self, id: u64) -> Option<&Trouble> {
        self.troubles.get(&id)
    }

    pub fn get_mut(&mut self, id: u64) -> Option<&mut Trouble> {
        self.troubles.get_mut(&id)
    }

    pub fn open(&self, subject: &Subject) -> Option<(u64, &Trouble)> {
        let id = *self.open.get(subject)?;
        Some((id, self.troubles.get(&id)?))
    }

    pub fn subjects(&self) -> impl Iterator<Item = &Subject> {
        self.open.keys()
    }

    pub fn is_open(&self, id: u64) -> bool {
        self.troubles.get(&id).is_some_and(|trouble| trouble.ended.is_none())
    }

    /// The open trouble of a subject; begins one, declared at `opened`, where there is none.
    pub fn begin(&mut self, now: Now, subject: &Subject, opened: Wall) -> u64 {
        if let Some(id) = self.open.get(subject) {
            return *id;
        }
        let id = self.last + 1;
        self.restore(id, Trouble::new(now, subject, opened, None));
        id
    }

    /// Puts a trouble in, or what its own row says of one that is known by its notices.
    pub fn restore(&mut self, id: u64, mut trouble: Trouble) {
        self.last = self.last.max(id);
        if let Some(known) = self.troubles.remove(&id) {
            self.open.remove(&known.subject);
            trouble.entries = known.entries;
            trouble.merged = known.merged;
        }
        if trouble.ended.is_none() {
            self.open.insert(trouble.subject.clone(), id);
        }
        self.troubles.insert(id, trouble);
    }

    /// Troubles of a subject that are over, and not told to everybody.
    pub fn ended(&self, subject: &Subject) -> Vec<u64> {
        let over = |t: &Trouble| t.ended.is_some() && t.subject == *subject;
        self.troubles.iter().filter(|(_, t)| over(t)).map(|(id, _)| *id).collect()
    }

    /// Open ones, and those whose end waits.
    pub fn all(&self) -> impl Iterator<Item = &Trouble> {
        self.troubles.values()
    }

    /// Troubles that are open.
    pub fn opened(&self) -> impl Iterator<Item = &Trouble> {
        self.open.values().filter_map(|id| self.troubles.get(id))
    }

    /// Ends the open trouble of a subject.
    pub fn close(&mut self, now: Mono, subject: &Subject) -> Option<u64> {
        let id = self.open.remove(subject)?;
        self.troubles.get_mut(&id)?.ended = Some(now);
        Some(id)
    }

    /// Forgets a trouble that is over and told; says whether.
    pub fn sweep(&mut self, id: u64) -> bool {
        let over = |t: &Trouble| t.ended.is_some() && t.entries.is_empty();
        let gone = self.troubles.get(&id).is_some_and(over);
        if gone {
            self.troubles.remove(&id);
        }
        gone
    }

    pub fn check_invariants(&self) {
        for (subject, id) in &self.open {
            let trouble = &self.troubles[id];
            assert!(trouble.ended.is_none() && trouble.subject == *subject);
        }
        let ended = self.troubles.values().filter(|t| t.ended.is_some());
        assert!(ended.clone().all(|t| !t.entries.is_empty()));
        assert_eq!(ended.count() + self.open.len(), self.troubles.len());
    }
}
