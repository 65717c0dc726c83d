//! The other server of a pair: what it says, what it hears, and what follows from who of the two speaks.
//!
//! Owns the way between the engine and `pair`, which decides. A secondary evaluates everything and holds its notices in
//! the outbox; it names what it told when it falls silent again.

use super::feed::Entry;
use super::metric::{parse_subject, subject_key};
use super::outbox::{Gag, Telling, Told};
use super::request::CALM;
use super::tell::{Role as Does, Saying};
use super::view::{EventKind, Level, State};
use super::{Effect, Engine, Saved};
use crate::calm::Calendar;
use crate::limits;
use crate::notice::{self, Notice, Subject};
use crate::pair::{Note, Pair, Reader, Role, Shelf, Turn};
use crate::time::{Duration, Mono, Now, Wall, render_duration};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What keys of rows about the pair begin with in the store.
pub const PAIR: &str = "pair/";
/// What stands in a row whose key says all: one without anything would be none.
const NOTHING: &[u8] = b"null";
/// A note goes out this often though it says nothing new: the shell sends none that is old.
pub const NOTE_EVERY: Duration = Duration::from_secs(2);
/// Between two notes with news.
const NOTE_GAP: Duration = Duration::from_millis(1000 / limits::PAIR_NOTES_PER_S);
/// What is held this long, and is over, the other server had the time to tell.
const HELD_FOR: Duration = Duration::from_secs(900);
/// A trouble that the lost server told of and that is none here by then ends here.
const HEARSAY_FOR: Duration = Duration::from_secs(120);
/// What a server that is back may have missed is told so long after it could have told it, unless it does.
const EASE: Duration = Duration::from_secs(5);
/// Notices that the hand-over names.
const NAMED_MAX: usize = 8;
/// How long the other server hears of what is over, after it has heard of it.
const PASSING_FOR: Duration = Duration::from_secs(600);

/// The pair, for people.
#[derive(Clone, Debug, PartialEq)]
pub struct PairShown {
    pub peer: Arc<str>,
    pub role: &'static str,
    pub speaks: bool,
    pub peer_alive: bool,
    pub peer_heard: Option<Wall>,
    /// Of a secondary that speaks.
    pub spoke_since: Option<Wall>,
}

pub struct Couple {
    pair: Pair,
    peer: Arc<str>,
    shelf: Shelf,
    reader: Reader,
    /// What was sent last, and when.
    note: Arc<str>,
    sent: Option<Mono>,
    /// Since when this secondary speaks; wall time for people.
    spoke: Option<Now>,
    lost: Option<Mono>,
    /// Keys of what is over, and of notices about no trouble: when the other server needs them no more.
    passing: BTreeMap<String, Mono>,
    /// When this server heard nobody last, or was not there.
    blind: Wall,
    swept: Mono,
    seeded: bool,
    /// There is something to say that had to wait.
    pending: bool,
}

impl Engine {
    pub(super) fn couple(&mut self, now: Now, epoch: u64) {
        let Some(config) = self.config.pair.clone() else { return };
        self.calendar.number(config.role == Role::Primary);
        let every = config.interval.as_secs().min(300) as u32;
        let patience = self.pair_patience(&config.peer, every);
        let pair = Pair::new(config.role, patience, self.listening(now.mono));
        self.pair = Some(Box::new(Couple {
            pair,
            peer: config.peer.as_str().into(),
            shelf: Shelf::new(epoch >> 12),
            reader: Reader::default(),
            note: Arc::from(""),
            sent: None,
            spoke: None,
            lost: None,
            passing: BTreeMap::new(),
            blind: now.wall,
            swept: now.mono,
            seeded: false,
            pending: false,
        }));
        self.set_gag();
    }

    /// The deadline of the other server, as for any host with that interval.
    fn pair_patience(&self, peer: &str, every: u32) -> Duration {
        let host = self.config.hosts.get(peer);
        let misses = host.and_then(|h| h.misses).or(self.config.misses);
        let misses = misses.unwrap_or(if every <= 10 { 3 } else { 2 });
        let grace = host.and_then(|h| h.grace).unwrap_or(self.config.grace);
        Duration::from_secs(u64::from(every)) * misses + grace
    }

    pub(super) fn pair_due(&self) -> Option<Mono> {
        let couple = self.pair.as_ref()?;
        let due = couple.pair.due().map(|due| due + self.deaf);
        let wait = if couple.pending { NOTE_GAP } else { NOTE_EVERY };
        let news = couple.sent.map_or(self.turn.mono, |sent| sent + wait);
        Some(due.unwrap_or(Mono::MAX).min(news))
    }

    pub(super) fn pair_shown(&self) -> Option<PairShown> {
        let couple = self.pair.as_ref()?;
        let heard = couple.pair.last_heard();
        let ago = heard.map(|at| self.listening(self.turn.mono).since(at));
        Some(PairShown {
            peer: couple.peer.clone(),
            role: couple.pair.role().as_str(),
            speaks: !couple.pair.is_silent(),
            peer_heard: ago.map(|ago| self.turn.wall - ago),
            peer_alive: heard.is_some() && couple.pair.is_peer_alive(),
            spoke_since: couple.spoke.map(|spoke| spoke.wall),
        })
    }

    /// A note in a sealed heartbeat of `host`.
    pub(super) fn hear_pair(&mut self, now: Now, host: &str, text: &str) {
        let Some(mut couple) = self.pair.take_if(|couple| *couple.peer == *host) else { return };
        let Some(note) = Note::parse(text) else {
            log::warn!("{host}: what it says as the other server of the pair cannot be read");
            self.pair = Some(couple);
            return;
        };
        if note.epoch == couple.shelf.epoch() {
            // Its own words: a key that both sides seal with would let them be sent back.
            self.pair = Some(couple);
            return;
        }
        let patience = self.pair_patience(host, note.every);
        couple.shelf.seen(note.saw);
        let news = couple.reader.take(&note);
        let complete = couple.reader.is_complete();
        couple.pair.hear(self.listening(now.mono), &note, complete, patience);
        self.pair = Some(couple);
        for (key, text) in news {
            self.take_shared(now, &key, text.as_deref());
        }
        self.turn_calendar(now);
    }

    fn take_shared(&mut self, now: Now, key: &str, text: Option<&str>) {
        self.outbox_stirred = true;
        if let Some(row) = key.strip_prefix(CALM) {
            // What was taken back here the other server still has, because it does not know that yet.
            let is_outdated = text.is_some()
                && self.pair.as_ref().is_some_and(|couple| couple.shelf.is_gone_unheard(key));
            if !is_outdated && let Err(fault) = self.calendar.adopt(now, row, text) {
                log::warn!("of the other server {key} is left out: {}", fault.what);
            }
            return;
        }
        if let Some(key) = key.strip_prefix("plain/") {
            if text.is_some() {
                self.outbox.peer_told_plain(now, key);
            }
            return;
        }
        let Some(subject) = subject_of(key) else { return };
        let telling = text.and_then(parse_telling);
        if let Some(Telling { level: None, at }) = telling {
            self.forget_own(key, at);
        }
        let ended = match telling {
            Some(Telling { level: Some(level), at }) => {
                self.outbox.peer_told(&subject, level, at);
                false
            }
            Some(Telling { level: None, at }) => self.outbox.peer_ended(now, &subject, at),
            None => self.outbox.peer_forgot(now, &subject),
        };
        if ended {
            self.note_untold(now, &subject);
        }
    }

    /// The other server told the end of what this one told before: told anew to a server that was restarted, it would
    /// be taken for news.
    fn forget_own(&mut self, key: &str, at: Wall) {
        let Some(couple) = &mut self.pair else { return };
        let own = couple.shelf.text(key).and_then(parse_telling);
        if own.is_some_and(|own| own.at < at) {
            couple.shelf.put(key, None);
        }
    }

    /// People believe that a trouble is over which is there: whoever speaks tells it.
    fn note_untold(&mut self, now: Now, subject: &Subject) {
        let Some(id) = subject.host().and_then(|host| self.table.id(host)) else { return };
        let Some(record) = self.table.record(id) else { return };
        match subject {
            Subject::Alert { path, .. } => {
                if let Some(metric) = record.metrics_under_rule.get_mut(path) {
                    metric.told = crate::alert::Level::Ok;
                }
            }
            _ => drop(record.untold.insert(subject.clone())),
        }
        self.mark_unsaved(now, id);
        if !self.outbox.is_silent() {
            self.catch_up(now, id);
        }
    }

    /// Decides who speaks, and says to the other server what is new.
    pub(super) fn turn_pair(&mut self, now: Now) {
        let deaf = self.is_isolated();
        let listening = self.listening(now.mono);
        let Some(couple) = &mut self.pair else { return };
        let turn = couple.pair.judge(listening, deaf);
        if deaf {
            couple.blind = now.wall;
        }
        self.seed_shelf();
        if turn != Turn::default() {
            self.follow_turn(now, turn);
        }
        self.sweep_pair(now);
        self.say_pair(now, deaf);
    }

    fn follow_turn(&mut self, now: Now, turn: Turn) {
        self.set_gag();
        self.dirty = true;
        self.outbox_stirred = true;
        let Some(couple) = &mut self.pair else { return };
        let (peer, role) = (couple.peer.clone(), couple.pair.role());
        if turn.same_role {
            let role = role.as_str();
            let text = format!("pair: {peer} is {role} too, both speak - set another role on one");
            self.tell_server(now, Level::Warning, text);
        }
        if turn.speaks == Some(true) && role == Role::Secondary {
            // What it held and lets go now is told in the other's place too.
            self.outbox.begin_to_speak();
        }
        match turn.peer {
            Some(false) => self.lose_peer(now, &peer),
            Some(true) => {
                self.with_couple(|couple| couple.lost = None);
                self.outbox.trust();
            }
            None => {}
        }
        if let Some(since) = turn.restarted
            && self.outbox.is_silent()
        {
            let ago = self.listening(now.mono).since(since) + HEARSAY_FOR;
            self.outbox.release(self.eased(now), Some(now.wall - ago));
        }
        match turn.speaks {
            Some(true) => self.begin_to_speak(now, &peer, role),
            Some(false) if role == Role::Secondary => self.hand_back(now, &peer),
            _ => {}
        }
    }

    fn lose_peer(&mut self, now: Now, peer: &str) {
        self.with_couple(|couple| couple.lost = Some(now.mono));
        self.doubt_peer(now);
        self.outbox.release(now.mono, None);
        self.tell_server(now, Level::Warning, format!("pair: {peer} is silent"));
    }

    /// What the lost server told before this one heard nobody, or was not there, may have ended meanwhile and have
    /// begun anew: what is still there is told again.
    fn doubt_peer(&mut self, now: Now) {
        let Some(blind) = self.pair.as_ref().map(|couple| couple.blind) else { return };
        for subject in self.outbox.doubt(now, blind) {
            self.note_untold(now, &subject);
        }
    }

    fn begin_to_speak(&mut self, now: Now, peer: &str, role: Role) {
        self.outbox.release(now.mono, None);
        if role == Role::Secondary {
            self.with_couple(|couple| couple.spoke = Some(now));
            self.tell_server(now, Level::Warning, format!("pair: this server speaks for {peer}"));
        }
        for id in self.table.ids() {
            self.catch_up(now, id);
        }
    }

    /// One line says what was told meanwhile.
    fn hand_back(&mut self, now: Now, peer: &str) {
        let spoke = self.pair.as_mut().and_then(|couple| couple.spoke.take());
        self.outbox.hold_back(self.eased(now));
        let Some((told, more)) = self.outbox.end_to_speak() else { return };
        let length = spoke.map_or(Duration::ZERO, |spoke| now.mono.since(spoke.mono));
        let all = told.len() + more;
        let named: Vec<&str> = told.iter().take(NAMED_MAX).map(|text| &**text).collect();
        let what = match all {
            0 => "nothing".to_owned(),
            all if all > named.len() => {
                format!("{} and {} more", named.join("; "), all - named.len())
            }
            _ => named.join("; "),
        };
        let length = render_duration(length);
        let text = format!("PAIR: {peer} speaks again after {length}, told meanwhile: {what}");
        let text = crate::text::cut(&text, limits::TEXT_MAX).to_owned();
        let (kind, level) = (EventKind::Server, Some(Level::Warning));
        let entry = Entry { kind, host: None, level, from: None, to: None, text };
        let event = self.publish(now, entry);
        let level = Level::Warning;
        let notice = Notice::new(event.id, now.wall, "server", level, &event.text);
        let receivers = self.receivers(None, level);
        self.outbox.post_anyway(now, notice, receivers);
    }

    /// Then the other server has had the time to tell what it knows.
    fn eased(&self, now: Now) -> Mono {
        now.mono + EASE
    }

    fn set_gag(&mut self) {
        let Some(couple) = &self.pair else { return };
        self.outbox.gag(Gag {
            silent: couple.pair.is_silent(),
            peer: couple.pair.is_peer_alive(),
            yields: couple.pair.role() == Role::Secondary,
        });
    }

    fn with_couple(&mut self, change: impl FnOnce(&mut Couple)) {
        if let Some(couple) = &mut self.pair {
            change(couple);
        }
    }

    /// What was told and planned before this process began, once everything is restored.
    fn seed_shelf(&mut self) {
        let Some(couple) = self.pair.as_mut().filter(|couple| !couple.seeded) else { return };
        couple.seeded = true;
        for (subject, telling) in self.outbox.told_here() {
            if let Some(key) = told_key(&subject) {
                couple.shelf.put(&key, Some(render_telling(telling)));
            }
        }
        for key in self.calendar.shared_keys() {
            couple.shelf.put(&format!("{CALM}{key}"), self.calendar.shared(&key));
        }
    }

    /// Rows of the calendar that changed. What is taken back is kept as such in the store until the other server has
    /// heard it: a restart would forget it otherwise, and take the row from there again.
    pub(super) fn share_calm<'k>(&mut self, keys: impl Iterator<Item = &'k str>) {
        let Some(couple) = &mut self.pair else { return };
        for row in keys.filter(|key| Calendar::is_shared(key)) {
            let (key, text) = (format!("{CALM}{row}"), self.calendar.shared(row));
            let is_gone = text.is_none();
            couple.shelf.put(&key, text);
            if is_gone && couple.shelf.is_gone_unheard(&key) {
                let row = Saved::Part { key: format!("{PAIR}{key}").into(), json: NOTHING.into() };
                self.effects.push_back(Effect::Persist(vec![row]));
                couple.passing.insert(key, self.turn.mono);
            } else if !is_gone && couple.passing.remove(&key).is_some() {
                let key = format!("{PAIR}{key}").into();
                self.effects.push_back(Effect::Persist(vec![Saved::PartGone { key }]));
            }
        }
    }

    /// What was delivered to the last of its receivers since the last call.
    pub(super) fn share_told(&mut self) {
        let Some(couple) = &mut self.pair else { return };
        let until = self.turn.mono + PASSING_FOR;
        for (told, telling) in self.outbox.take_told() {
            let (key, text, passes) = match told {
                Told::Trouble(subject) => {
                    let Some(key) = told_key(&subject) else { continue };
                    (key, render_telling(telling), telling.level.is_none())
                }
                Told::Plain(key) => (format!("plain/{key}"), String::new(), true),
            };
            // The other server may know of it from its own telling.
            couple.shelf.repeat(&key, Some(text.clone()));
            let row: Arc<str> = format!("{PAIR}{key}").into();
            let is_new = !couple.passing.contains_key(&key);
            if passes && is_new && couple.passing.len() >= limits::PAIR_SHARED {
                // The other server has been away for very long; the shelf takes no more either.
                continue;
            }
            if passes {
                let json = if text.is_empty() { NOTHING.into() } else { text.into_bytes() };
                self.effects.push_back(Effect::Persist(vec![Saved::Part { key: row, json }]));
                couple.passing.insert(key, until);
            } else if couple.passing.remove(&key).is_some() {
                self.effects.push_back(Effect::Persist(vec![Saved::PartGone { key: row }]));
            }
        }
    }

    /// What another process of this server told last or took back, and the other server may not have heard.
    pub(super) fn restore_pair(&mut self, key: &str, json: &[u8]) -> Option<()> {
        let text = std::str::from_utf8(json).ok()?;
        let until = self.turn.mono + PASSING_FOR;
        if let Some((subject, telling)) = subject_of(key).zip(parse_telling(text)) {
            self.outbox.restore_told(subject, telling);
        }
        // Without a pair there is nobody to tell.
        let Some(couple) = &mut self.pair else { return Some(()) };
        let text = (!key.starts_with(CALM)).then(|| text.to_owned());
        couple.shelf.repeat(key, text);
        couple.passing.insert(key.to_owned(), until);
        Some(())
    }

    /// Twice a minute: what is held and over, what the lost server told of and is none, what nobody needs to hear.
    fn sweep_pair(&mut self, now: Now) {
        let Some(couple) = &mut self.pair else { return };
        if now.mono.since(couple.swept) < Duration::from_secs(30) {
            return;
        }
        couple.swept = now.mono;
        // The other server knows it once it has heard everything.
        if couple.pair.is_peer_alive() && !couple.shelf.has_news() {
            let is_over = |at: &Mono| *at <= now.mono;
            let passing = couple.passing.iter().filter(|(_, at)| is_over(at));
            let over: Vec<String> = passing.map(|(key, _)| key.clone()).collect();
            for key in over {
                couple.passing.remove(&key);
                couple.shelf.put(&key, None);
                let key = format!("{PAIR}{key}").into();
                self.effects.push_back(Effect::Persist(vec![Saved::PartGone { key }]));
            }
        }
        let lost_for = couple.lost.map(|lost| now.mono.since(lost));
        if couple.pair.is_peer_alive() {
            self.outbox.expire_held(now.wall, now.wall - HELD_FOR);
        }
        if lost_for.is_some_and(|lost| lost >= HEARSAY_FOR) {
            for (subject, level, at) in self.outbox.hearsay() {
                self.end_hearsay(now, subject, level, at);
            }
        }
    }

    /// The lost server told of a trouble that is none here: those who were told hear of its end.
    fn end_hearsay(&mut self, now: Now, subject: Subject, level: Level, at: Wall) {
        let id = subject.host().and_then(|host| self.table.id(host));
        let Some((id, host)) = id.and_then(|id| Some((id, self.table.host(id)?.clone()))) else {
            return self.outbox.forget_hearsay(&subject);
        };
        let for_ = now.wall.since(at);
        let text = match &subject {
            Subject::Outage { .. }
                if matches!(host.state, State::Up | State::Late | State::Degraded) =>
            {
                notice::up(&host.name, for_)
            }
            Subject::Family { v6, .. } if host.state == State::Up => {
                notice::restored(&host.name, if *v6 { "ipv6" } else { "ipv4" }, for_)
            }
            Subject::Flapping { .. } if host.state == State::Up => {
                notice::settled(&host.name, "up")
            }
            Subject::Alert { path, .. } => match self.recovered_text(id, path, level) {
                Some(text) => text,
                None => return,
            },
            // It is away here too, or nothing is known of it: what comes next tells.
            _ => return,
        };
        let told = self.receivers(Some(id), level);
        self.outbox.adopt(now, &subject, level, told);
        let kind = match subject {
            Subject::Alert { .. } => EventKind::Alert,
            _ => EventKind::State,
        };
        let saying = Saying::new(Does::End, Some(id), subject, text);
        self.say(now, Saying { kind, level: Some(level), ..saying });
    }

    fn say_pair(&mut self, now: Now, deaf: bool) {
        let every = self.config.pair.as_ref().map_or(10, |pair| pair.interval.as_secs() as u32);
        let Some(couple) = &mut self.pair else { return };
        let ago = couple.sent.map(|sent| now.mono.since(sent));
        if ago.is_some_and(|ago| ago < NOTE_GAP) {
            couple.pending = true;
            return;
        }
        couple.pending = false;
        let (base, at, shared, end) = couple.shelf.fill();
        let note = Note {
            role: couple.pair.role(),
            epoch: couple.shelf.epoch(),
            every,
            deaf,
            saw: couple.reader.mark(),
            base,
            at,
            shared,
            end,
        };
        let text = note.render();
        if *text == *couple.note && ago.is_some_and(|ago| ago < NOTE_EVERY) {
            return;
        }
        couple.note = text.into();
        couple.sent = Some(now.mono);
        self.effects.push_back(Effect::Pair { note: couple.note.clone() });
    }
}

/// `None`: it is no trouble that two servers share.
fn told_key(subject: &Subject) -> Option<String> {
    Some(format!("told/{}/{}", subject.host()?, subject_key(subject)))
}

fn subject_of(key: &str) -> Option<Subject> {
    let (host, kind) = key.strip_prefix("told/")?.split_once('/')?;
    parse_subject(&host.into(), kind)
}

/// `critical 1763000000.123`, or `over` in place of the level.
fn render_telling(telling: Telling) -> String {
    format!("{} {:.3}", telling.level.map_or("over", Level::as_str), telling.at.as_secs_f64())
}

fn parse_telling(text: &str) -> Option<Telling> {
    let (level, at) = text.split_once(' ')?;
    let at: f64 = at.parse().ok().filter(|at: &f64| at.is_finite())?;
    let level = if level == "over" { None } else { Some(Level::parse(level)?) };
    Some(Telling { level, at: Wall::from_secs_f64(at) })
}
