//! One of two servers: what it holds because the other one tells it, and what the two know of each other's telling.
//!
//! Whoever told of a trouble tells its end, while it lives. What is held stays in the queue of its receiver and in the
//! store until the other server has told it, or until this one speaks.

use super::trouble::Told as ToldAt;
use super::{Entry, Key, Outbox, Role};
use crate::config::server::Level;
use crate::limits;
use crate::notice::{Receiver, Subject};
use crate::time::{Duration, Mono, Now, Wall};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Names of notices that went out while this server spoke for the other one.
const SPOKEN_MAX: usize = 32;
/// Clocks of two servers differ by no more than this.
const SKEW: Duration = Duration::from_secs(5);
/// After this the other server knows how a trouble ended, or is gone for good.
const OWN_FOR: Duration = Duration::from_secs(7 * 86_400);
/// A notice about no trouble that the other server told this long ago is not the one that comes now.
const PLAIN_FOR: Duration = Duration::from_secs(120);

/// Who speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Gag {
    /// The other server tells; this one holds.
    pub silent: bool,
    /// The other server lives: it tells the ends of what it told.
    pub peer: bool,
    /// This one gives way where both told of a trouble.
    pub yields: bool,
}

/// What was told, for the other server.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Told {
    Trouble(Subject),
    /// A notice about no trouble, by host, kind and text.
    Plain(String),
}

/// What was told of a subject: a level, or that it is over; and when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Telling {
    pub level: Option<Level>,
    pub at: Wall,
}

/// What the other server told of a subject.
#[derive(Clone, Copy, Debug)]
struct Hearsay {
    level: Level,
    at: Wall,
}

#[derive(Debug, Default)]
pub(super) struct Standby {
    gag: Gag,
    /// By the other server, as far as it is not over.
    heard: BTreeMap<Subject, Hearsay>,
    /// What the other server told and this one doubts, until it hears it again.
    doubted: BTreeMap<Subject, Hearsay>,
    plain: BTreeMap<String, Mono>,
    /// By this server, since the last look: the level, or that it is over.
    told: BTreeMap<Told, Telling>,
    /// The last of each subject by this server, for as long as the other one may not know it.
    own: BTreeMap<Subject, Telling>,
    spoken: Option<Vec<Arc<str>>>,
    unnamed: usize,
}

impl Outbox {
    pub fn gag(&mut self, gag: Gag) {
        self.standby.gag = gag;
    }

    pub fn is_silent(&self) -> bool {
        self.standby.gag.silent
    }

    /// From now on it is noted what goes out.
    pub fn begin_to_speak(&mut self) {
        self.standby.spoken = Some(Vec::new());
        self.standby.unnamed = 0;
    }

    /// What went out since [`begin_to_speak`](Outbox::begin_to_speak), and how many more.
    pub fn end_to_speak(&mut self) -> Option<(Vec<Arc<str>>, usize)> {
        Some((self.standby.spoken.take()?, std::mem::take(&mut self.standby.unnamed)))
    }

    pub(super) fn note_spoken(&mut self, text: &Arc<str>) {
        match &mut self.standby.spoken {
            Some(spoken) if spoken.len() < SPOKEN_MAX => spoken.push(text.clone()),
            Some(_) => self.standby.unnamed += 1,
            None => {}
        }
    }

    /// Ends are held while the other server, which told the beginning, lives; all else while this one is silent.
    pub(super) fn is_to_be_held(&self, trouble: Option<u64>, role: Role) -> bool {
        let Gag { silent, peer, .. } = self.standby.gag;
        if role == Role::Raise {
            return silent;
        }
        let Some(trouble) = trouble.and_then(|id| self.ledger.get(id)) else { return silent };
        let mut entries = trouble.entries.iter().filter_map(|seq| self.entries.get(seq));
        let is_under_way = entries.any(|entry| !entry.held);
        peer && (trouble.by_peer || silent && trouble.told.is_empty() && !is_under_way)
    }

    /// Lets go what is held and was declared at `since` or later, from `at` on.
    pub fn release(&mut self, at: Mono, since: Option<Wall>) {
        let is_due =
            |entry: &Entry| entry.held && since.is_none_or(|since| entry.notice.time >= since);
        let due: Vec<u64> =
            self.entries.iter().filter(|(_, e)| is_due(e)).map(|(seq, _)| *seq).collect();
        for seq in due {
            let Some(entry) = self.entries.get_mut(&seq) else { continue };
            entry.held = false;
            let (text, receivers) = (entry.notice.text.clone(), entry.waiting.clone());
            for receiver in &receivers {
                if let Some(lane) = self.lanes.get_mut(receiver) {
                    lane.release(at, seq);
                }
            }
            self.note_spoken(&text);
            self.unsaved.insert(Key::Entry(seq));
        }
        self.check_invariants();
    }

    /// What waits here goes no sooner than `until`, and what nobody was told of is the other server's to tell again.
    pub fn hold_back(&mut self, until: Mono) {
        self.lanes.values_mut().for_each(|lane| lane.postpone(until));
        let untold = self.ledger.all().filter(|t| t.told.is_empty());
        let entries: Vec<u64> = untold.flat_map(|t| t.entries.iter().copied()).collect();
        for seq in entries {
            let Some(entry) = self.entries.get(&seq).filter(|entry| !entry.held) else { continue };
            let waiting = entry.waiting.clone();
            if self.not_flying(seq) != waiting {
                continue;
            }
            for receiver in waiting {
                if let Some(lane) = self.lanes.get_mut(&receiver) {
                    lane.hold(seq);
                }
            }
            let Some(entry) = self.entries.get_mut(&seq) else { continue };
            entry.held = true;
            let text = entry.notice.text.clone();
            if let Some(spoken) = &mut self.standby.spoken {
                spoken.retain(|told| *told != text);
            }
            self.unsaved.insert(Key::Entry(seq));
        }
        self.check_invariants();
    }

    /// Gives up what has been held since before `before` and is about nothing that is still there: the other server
    /// lives, and has told it or saw nothing to tell.
    pub fn expire_held(&mut self, now: Wall, before: Wall) {
        self.standby.own.retain(|_, own| now.since(own.at) < OWN_FOR);
        let over = |seq: &u64, entry: &Entry| {
            entry.held && entry.notice.time < before && self.is_loose(*seq)
        };
        let gone: Vec<u64> =
            self.entries.iter().filter(|(seq, e)| over(seq, e)).map(|(seq, _)| *seq).collect();
        gone.into_iter().for_each(|seq| self.drop_waiting(seq));
    }

    /// An entry was delivered to a receiver; when that was the last one, the other server hears so.
    pub(super) fn note_told(&mut self, at: Wall, seq: u64, receiver: &Receiver) {
        let Some(entry) = self.entries.get(&seq) else { return };
        if entry.waiting.iter().any(|other| other != receiver) {
            return;
        }
        let (notice, role) = (entry.notice.clone(), entry.role);
        let Some(subject) = notice.subject.clone() else {
            let telling = Telling { level: Some(notice.level), at };
            self.standby.told.insert(Told::Plain(plain_key(&notice)), telling);
            return;
        };
        if role == Role::Raise
            && let Some(trouble) = entry.trouble.and_then(|id| self.ledger.get_mut(id))
        {
            trouble.by_peer = false;
        }
        let telling = Telling { level: (role == Role::Raise).then_some(notice.level), at };
        // What people know is what was told last.
        self.standby.heard.remove(&subject);
        if self.standby.own.len() < limits::PAIR_SHARED {
            self.standby.own.insert(subject.clone(), telling);
        }
        self.standby.told.insert(Told::Trouble(subject), telling);
    }

    /// Queues what this server has to say of itself, silent or not.
    pub fn post_anyway(
        &mut self,
        now: Now,
        notice: crate::notice::Notice,
        receivers: impl IntoIterator<Item = Receiver>,
    ) {
        let silent = std::mem::replace(&mut self.standby.gag.silent, false);
        self.post(now, notice, receivers);
        self.standby.gag.silent = silent;
    }

    /// An end that this server told before it was restarted.
    pub fn restore_told(&mut self, subject: Subject, telling: Telling) {
        self.standby.own.insert(subject, telling);
    }

    /// What was told since the last call.
    pub fn take_told(&mut self) -> BTreeMap<Told, Telling> {
        std::mem::take(&mut self.standby.told)
    }

    /// Open troubles that this server told of itself, for one that knows nothing.
    pub fn told_here(&self) -> Vec<(Subject, Telling)> {
        let own = self.ledger.opened().filter(|t| !t.by_peer);
        let telling = |told: &BTreeMap<Receiver, ToldAt>| {
            let level = Some(told.values().map(|t| t.level).max()?);
            Some(Telling { level, at: told.values().map(|t| t.at).max()? })
        };
        own.filter_map(|t| Some((t.subject.clone(), telling(&t.told)?))).collect()
    }

    /// Whether a notice that was just entered says what the other server has told already.
    pub(super) fn heed(&mut self, now: Now, seq: u64, trouble: Option<u64>, level: Level) {
        let Some(id) = trouble else {
            let Some(entry) = self.entries.get(&seq) else { return };
            let heard = self.standby.plain.get(&plain_key(&entry.notice));
            if heard.is_some_and(|at| now.mono.since(*at) < PLAIN_FOR) {
                self.drop_waiting(seq);
            }
            return;
        };
        // What a lost server told may have ended since, by its word.
        let untold = self.ledger.get(id).filter(|t| t.told.is_empty() && self.standby.gag.peer);
        let Some(trouble) = untold else { return };
        let heard = self.standby.heard.get(&trouble.subject).copied();
        if let Some(heard) = heard.filter(|heard| heard.level >= level) {
            self.count_as_told(id, heard);
        }
    }

    /// The other server has told a notice about no trouble.
    pub fn peer_told_plain(&mut self, now: Now, key: &str) {
        self.standby.plain.retain(|_, at| now.mono.since(*at) < PLAIN_FOR);
        if self.standby.plain.len() < limits::NOTIFY_QUEUE {
            self.standby.plain.insert(key.to_owned(), now.mono);
        }
        let is_it = |e: &Entry| e.trouble.is_none() && plain_key(&e.notice) == key;
        let told: Vec<u64> =
            self.entries.iter().filter(|(_, e)| is_it(e)).map(|(seq, _)| *seq).collect();
        told.into_iter().for_each(|seq| self.drop_waiting(seq));
    }

    /// The other server has told of a trouble, at its worst with this level. Where this one told the end of it later,
    /// that is what people know.
    pub fn peer_told(&mut self, subject: &Subject, level: Level, at: Wall) {
        let own = self.standby.own.get(subject);
        if own.is_some_and(|own| own.level.is_none() && own.at > at) {
            return;
        }
        let hearsay = Hearsay { level, at };
        if self.standby.heard.len() < limits::PAIR_SHARED {
            self.standby.heard.insert(subject.clone(), hearsay);
        }
        if let Some((id, _)) = self.ledger.open(subject) {
            self.count_as_told(id, hearsay);
        }
        // Of one that began and ended here, and was told of by nobody, the other server tells the end too.
        for id in self.ledger.ended(subject) {
            if self.ledger.get(id).is_some_and(|trouble| trouble.told.is_empty()) {
                self.drop_before(id, at);
            }
        }
        self.check_invariants();
    }

    /// What waits of a trouble and is no younger than what the other server told then.
    fn drop_before(&mut self, id: u64, at: Wall) {
        let entries = self.ledger.get(id).map(|t| t.entries.clone()).unwrap_or_default();
        let is_known =
            |seq: &u64| self.entries.get(seq).is_some_and(|entry| entry.notice.time <= at + SKEW);
        let known: Vec<u64> = entries.into_iter().filter(is_known).collect();
        known.into_iter().for_each(|seq| self.drop_waiting(seq));
    }

    /// What waits of an open trouble, up to the level, counts as delivered; what a worker has is not touched.
    fn count_as_told(&mut self, id: u64, heard: Hearsay) {
        let Some(trouble) = self.ledger.get(id) else { return };
        let told_here = !trouble.told.is_empty() && !trouble.by_peer;
        let raises: Vec<u64> = trouble.entries.iter().copied().collect();
        for seq in raises {
            let Some(entry) = self.entries.get(&seq) else { continue };
            if entry.role != Role::Raise || entry.notice.level > heard.level {
                continue;
            }
            for receiver in self.not_flying(seq) {
                if let Some(trouble) = self.ledger.get_mut(id) {
                    let told = ToldAt { at: heard.at, level: heard.level };
                    let known = trouble.told.entry(receiver.clone()).or_insert(told);
                    known.level = known.level.max(heard.level);
                }
                self.withdraw(seq, &receiver);
            }
        }
        let yields = self.standby.gag.yields;
        if let Some(trouble) = self.ledger.get_mut(id) {
            trouble.by_peer |= yields || !told_here;
            self.unsaved.insert(Key::Trouble(id));
        }
    }

    /// The other server has told that a trouble is over. True: here it is not, and those who were told of it believe
    /// now that it is; it is to be told anew by whoever speaks.
    pub fn peer_ended(&mut self, now: Now, subject: &Subject, at: Wall) -> bool {
        self.standby.heard.remove(subject);
        self.standby.doubted.remove(subject);
        for id in self.ledger.ended(subject) {
            self.drop_before(id, at);
            self.sweep(id);
        }
        let Some((id, trouble)) = self.ledger.open(subject) else { return false };
        let told = trouble.told.values().map(|told| told.at).max();
        if told.is_none_or(|told| told > at) {
            // Told of here after that end: the one that comes is this server's to tell.
            if let Some(trouble) = self.ledger.get_mut(id) {
                trouble.by_peer = false;
            }
            return false;
        }
        let entries = trouble.entries.clone();
        entries.into_iter().for_each(|seq| self.drop_waiting(seq));
        self.ledger.close(now.mono, subject);
        if let Some(trouble) = self.ledger.get_mut(id) {
            trouble.told.clear();
        }
        self.unsaved.insert(Key::Trouble(id));
        self.sweep(id);
        true
    }

    /// The other server does not know any more of a trouble that it told of: as if it had ended.
    pub fn peer_forgot(&mut self, now: Now, subject: &Subject) -> bool {
        self.standby.heard.remove(subject);
        let by_peer = self.ledger.open(subject).is_some_and(|(_, trouble)| trouble.by_peer);
        by_peer && self.peer_ended(now, subject, now.wall)
    }

    /// Counts those open troubles as never told of which only the other server told, before that time; gives them back.
    pub fn doubt(&mut self, now: Now, before: Wall) -> Vec<Subject> {
        let doubtful = |told: &BTreeMap<Receiver, ToldAt>| {
            told.values().map(|told| told.at).max().is_some_and(|at| at < before)
        };
        let troubles = self.ledger.opened().filter(|t| t.by_peer && doubtful(&t.told));
        let mut subjects: Vec<Subject> = troubles.map(|trouble| trouble.subject.clone()).collect();
        subjects.retain(|subject| {
            let heard = self.standby.heard.get(subject).copied();
            let doubted = self.peer_ended(now, subject, now.wall);
            // It holds again once the other server is heard again.
            if let Some(heard) = heard.filter(|_| doubted) {
                self.standby.heard.insert(subject.clone(), heard);
                self.standby.doubted.insert(subject.clone(), heard);
            }
            doubted
        });
        subjects
    }

    /// The other server is heard again: what it told stands, until it says that it is over.
    pub fn trust(&mut self) {
        let heard: Vec<(Subject, Hearsay)> =
            self.standby.heard.iter().map(|(subject, heard)| (subject.clone(), *heard)).collect();
        for (subject, heard) in heard {
            if let Some((id, trouble)) = self.ledger.open(&subject)
                && trouble.told.is_empty()
            {
                self.count_as_told(id, heard);
            }
        }
        // Both told of these: one of them gives way.
        for (subject, heard) in std::mem::take(&mut self.standby.doubted) {
            if let Some((id, _)) = self.ledger.open(&subject) {
                self.count_as_told(id, heard);
            }
        }
        self.check_invariants();
    }

    /// Troubles that the other server told of, and that are none here; nor is their end under way.
    pub fn hearsay(&self) -> Vec<(Subject, Level, Wall)> {
        let is_none =
            |s: &Subject| self.ledger.open(s).is_none() && self.ledger.ended(s).is_empty();
        let orphans = self.standby.heard.iter().filter(|(s, _)| is_none(s));
        orphans.map(|(subject, heard)| (subject.clone(), heard.level, heard.at)).collect()
    }

    /// Takes over a trouble that the other server told of, so that its end reaches those who were told.
    pub fn adopt(&mut self, now: Now, subject: &Subject, level: Level, told: Vec<Receiver>) {
        self.standby.heard.remove(subject);
        if told.is_empty() || self.ledger.open(subject).is_some() {
            return;
        }
        let id = self.ledger.begin(now, subject, now.wall);
        if let Some(trouble) = self.ledger.get_mut(id) {
            let at = ToldAt { at: now.wall, level };
            trouble.told.extend(told.into_iter().map(|receiver| (receiver, at)));
        }
        self.unsaved.insert(Key::Trouble(id));
    }

    /// What the other server told is of no trouble that is known here: nothing follows from it.
    pub fn forget_hearsay(&mut self, subject: &Subject) {
        self.standby.heard.remove(subject);
    }

    fn not_flying(&self, seq: u64) -> BTreeSet<Receiver> {
        let Some(entry) = self.entries.get(&seq) else { return BTreeSet::new() };
        let flies = |r: &Receiver| self.lanes.get(r).is_some_and(|lane| lane.flies(seq));
        entry.waiting.iter().filter(|receiver| !flies(receiver)).cloned().collect()
    }

    fn drop_waiting(&mut self, seq: u64) {
        let trouble = self.entries.get(&seq).and_then(|entry| entry.trouble);
        for receiver in self.not_flying(seq) {
            self.withdraw(seq, &receiver);
        }
        trouble.into_iter().for_each(|id| self.sweep(id));
    }
}

/// A boot has an uptime in its text that differs by a second between two servers; a message is known by its words.
fn plain_key(notice: &crate::notice::Notice) -> String {
    let host = notice.host.as_deref().unwrap_or_default();
    let words = if &*notice.kind == "message" { &*notice.text } else { "" };
    format!("{host}/{}/{:016x}", notice.kind, fingerprint(words))
}

/// FNV-1a: the same on both servers, whatever their build.
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
