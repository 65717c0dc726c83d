//! Sealed datagrams in the engine: keys and whose they are, sessions, what an agent says sealed, what is sent to it
//! (PROTOCOL C3 to C5, C10).
//!
//! The order is fixed: the tag was right before anything came here; then the session judges, and only what is
//! fresh changes a host.

use super::feed::Entry;
use super::link::LossWindow;
use super::session::{Session, Verdict, is_due};
use super::view::{EventKind, HostId, KeyShown, LastUse, Level};
use super::{Effect, Engine, Path, Record, Reply, Saved};
use crate::config::server::UdpPolicy;
use crate::time::{Duration, Now, Wall};
use crate::wire::{
    Answered, Content, Header, KeyId, Keyring, Message, Opened, Reject, SealedMessage, SessionKey,
    Unopened, seal,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What keys of rows about pre-shared keys begin with in the store.
pub const KEYS: &str = "key/";
/// The longest answer that asks for the info plugins; every request of an agent of ours is longer.
const WISH_FITS: usize =
    seal::OVERHEAD + r#"{"ID":"ACK","ack":9007199254740991,"want":"info"}"#.len();
/// How often the store learns that a key is in use.
const USE_SAVED_EVERY: Duration = Duration::from_secs(3600);

/// Keys, their sessions, and the secret that makes tokens. Without a secret nothing sealed is taken.
#[derive(Default)]
pub struct Vault {
    secret: Option<[u8; 32]>,
    ring: Arc<Keyring>,
    /// By the places of `ring`.
    sessions: Vec<Session>,
    /// When a key was used last, by the store.
    uses: BTreeMap<KeyId, Wall>,
    shown: Arc<Vec<KeyShown>>,
    /// What `shown` says may be out of date.
    stale: bool,
}

impl Vault {
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// For views: made anew where something changed.
    pub fn show(&mut self) -> Arc<Vec<KeyShown>> {
        if std::mem::take(&mut self.stale) {
            let shown = self.sessions.iter().map(|session| KeyShown {
                host: session.host.clone(),
                id: session.key_id,
                created: Wall::from_secs_f64(session.created),
                used: session.used.clone(),
            });
            self.shown = Arc::new(shown.collect());
        }
        self.shown.clone()
    }

    /// The place of the host's session that was used last and has a way to its agent.
    fn live(&self, host: &str) -> Option<usize> {
        let places = self.sessions.iter().enumerate().filter(|(_, session)| &*session.host == host);
        let live = places.filter(|(_, session)| session.path().is_some());
        live.max_by_key(|(_, session)| session.used.get()).map(|(place, _)| place)
    }
}

/// What the store keeps of a key.
#[derive(Serialize, Deserialize)]
struct KeyRow {
    last_used: f64,
}

impl Engine {
    /// Gives the secret that session tokens are made with: 32 random bytes, new in each process, never stored.
    /// Without it no sealed datagram is taken.
    pub fn set_session_secret(&mut self, secret: [u8; 32]) {
        self.vault.secret = Some(secret);
    }

    /// The keys in force: what datagrams are opened with.
    pub fn keyring(&self) -> Arc<Keyring> {
        self.vault.ring.clone()
    }

    /// Takes the keys that are in force from now on. Sessions of keys that stay go on.
    pub(super) fn take_keys(&mut self, now: Now, ring: Arc<Keyring>) {
        let mut old: BTreeMap<KeyId, Session> = std::mem::take(&mut self.vault.sessions)
            .into_iter()
            .map(|session| (session.key_id, session))
            .collect();
        let uses = &self.vault.uses;
        self.vault.sessions = ring
            .slots()
            .iter()
            .map(|slot| match old.remove(&slot.key.id()) {
                Some(session) if session.host == slot.host => session,
                _ => {
                    let id = slot.key.id();
                    let mut session = Session::new(id, slot.host.clone(), slot.created, now.mono);
                    session.used = Arc::new(LastUse::new(uses.get(&id).copied()));
                    session
                }
            })
            .collect();
        self.vault.ring = ring;
        self.vault.stale = true;
        self.dirty = true;
        self.declare_keyed(now);
        self.unkey(now);
    }

    /// Makes every host that has a key, and marks those that there are.
    pub(super) fn declare_keyed(&mut self, now: Now) {
        let ring = self.vault.ring.clone();
        for slot in ring.slots() {
            let known = self.table.id(&slot.host);
            if known.is_none() && self.table.len() >= self.config.hosts_max {
                log::warn!("{} has a key but no room (hosts_max)", slot.host);
                continue;
            }
            let id = known.unwrap_or_else(|| self.add_host(now, &slot.host));
            let Some(record) = self.table.record(id) else { continue };
            if !std::mem::replace(&mut record.keyed, true) {
                self.table.change(id, |host| (host.sealed, host.declared) = (true, true));
                self.mark_unsaved(now, id);
            }
            if known.is_none() {
                self.schedule_never(now, id);
            }
        }
    }

    /// Hosts that have no key any more; who was there for its key alone and never heard goes.
    fn unkey(&mut self, now: Now) {
        for id in self.table.ids() {
            let name = self.name_of(id);
            let still = self.vault.ring.of_host(&name).next().is_some();
            let Some(record) = self.table.record(id).filter(|record| record.keyed && !still) else {
                continue;
            };
            record.keyed = false;
            record.confirmed = [None, None];
            let heard = record.links.iter().any(Option::is_some);
            let declared = self.config.hosts.contains_key(&*name);
            if !heard && !declared {
                self.remove_host(&name);
                continue;
            }
            self.table.change(id, |host| {
                (host.sealed, host.declared, host.confirmed) = (false, declared, [None, None]);
            });
            self.mark_unsaved(now, id);
        }
    }

    pub(super) fn policy(&self) -> UdpPolicy {
        let default = if self.vault.is_empty() { UdpPolicy::Open } else { UdpPolicy::Known };
        self.config.udp_policy.unwrap_or(default)
    }

    /// A plain datagram in the name of a host that has a key: counted by the caller, told now and then.
    #[cold]
    pub(super) fn tell_plain_for_keyed(&mut self, now: Now, id: HostId, path: Path) {
        let Some(record) = self.table.record(id) else { return };
        if is_due(&mut record.plain_told, now.mono) {
            let address = path.from.ip().to_canonical();
            let name = self.name_of(id);
            let text =
                format!("{name}: plain datagrams from {address} are not taken, it has a key");
            self.tell_security(now, id, text);
        }
    }

    fn tell_security(&mut self, now: Now, id: HostId, text: String) {
        self.tell_kind(now, id, EventKind::Security, Level::Warning, text);
    }

    pub(super) fn tell_kind(
        &mut self,
        now: Now,
        id: HostId,
        kind: EventKind,
        level: Level,
        text: String,
    ) {
        let host = Some((id, self.name_of(id)));
        self.publish(now, Entry { kind, host, level: Some(level), from: None, to: None, text });
    }

    pub(super) fn receive_sealed(
        &mut self,
        now: Now,
        path: Path,
        len: usize,
        opened: Result<Opened<'_>, Unopened>,
    ) {
        self.counters.received += 1;
        let opened = match opened {
            Ok(opened) => opened,
            Err(unopened) => return self.refuse_unopened(now, path, unopened),
        };
        let Opened { header, slot, content } = opened;
        let vault = &mut self.vault;
        let known = vault.sessions.get_mut(slot).filter(|s| s.key_id == header.key_id);
        let (Some(session), Some(secret)) = (known, &vault.secret) else {
            return self.refuse(now, path.from.ip(), Reject::Sealed);
        };
        let Some(own) = vault.ring.slots().get(slot) else {
            return self.refuse(now, path.from.ip(), Reject::Sealed);
        };
        match session.judge(secret, &own.key, &header, now.mono) {
            Verdict::Fresh { begins, newest } => {
                if newest {
                    session.follow(path);
                }
                self.take_fresh(now, path, len, slot, header, begins, content)
            }
            Verdict::Stale => self.welcome(now, path, len, slot, &header),
            Verdict::Replayed => self.refuse(now, path.from.ip(), Reject::Replayed),
            Verdict::Bad => self.refuse(now, path.from.ip(), Reject::Sealed),
        }
    }

    fn refuse_unopened(&mut self, now: Now, path: Path, unopened: Unopened) {
        self.refuse(now, path.from.ip(), unopened.reason);
        let session = unopened.slot.and_then(|slot| self.vault.sessions.get_mut(slot));
        let Some(session) = session.filter(|_| unopened.reason == Reject::BadSeal) else { return };
        if !session.may_tell_bad_seal(now.mono) {
            return;
        }
        let host = session.host.clone();
        if let Some(id) = self.table.id(&host) {
            let address = path.from.ip().to_canonical();
            self.tell_security(now, id, format!("bad seal for {host} from {address}"));
        }
    }

    /// Offers a session. The offer is never longer than what asked for it.
    fn welcome(&mut self, now: Now, path: Path, len: usize, slot: usize, asked: &Header) {
        self.counters.accepted += 1;
        let vault = &mut self.vault;
        let (Some(session), Some(secret)) = (vault.sessions.get_mut(slot), &vault.secret) else {
            return;
        };
        let (Some(own), Some(offer)) =
            (vault.ring.slots().get(slot), session.welcome(secret, asked, now.mono))
        else {
            self.counters.acks_withheld += 1;
            return;
        };
        let key = SessionKey::derive(&own.key, offer.sid, offer.aid);
        let mut reply = Reply::new();
        reply.fill(|bytes| key.seal_into(offer, b"", bytes));
        self.reply(path, len, reply);
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of one datagram")]
    fn take_fresh(
        &mut self,
        now: Now,
        path: Path,
        len: usize,
        slot: usize,
        header: Header,
        begins: bool,
        content: Option<Result<Content<'_>, Reject>>,
    ) {
        let host = self.vault.sessions[slot].host.clone();
        let Some(id) = self.table.id(&host) else {
            return self.refuse(now, path.from.ip(), Reject::HostsFull);
        };
        self.note_use(now, id, slot, begins);
        let content = match content {
            Some(Ok(content)) => content,
            Some(Err(reason)) => return self.refuse(now, path.from.ip(), reason),
            None => return,
        };
        self.counters.accepted += 1;
        self.heard_somebody(now);
        if let Some(ack) = content.ack {
            self.note_proof(now, id, path, slot, ack);
        }
        // What a command came to is acknowledged once it is on disk.
        if !matches!(content.message, SealedMessage::Res(_)) {
            let beat = matches!(content.message, SealedMessage::Plain(Message::Htb(_)));
            let want_info = beat && len >= WISH_FITS && self.asks_info(now, id);
            let answer = Answered { ack: header.seq, acc: None, want_info };
            self.answer_sealed(path, len, slot, answer);
        }
        if self.config.journal_enabled {
            let json = with_name(&host, content.json);
            let entry = super::Entry::Message { from: path.from, json };
            self.effects.push_back(Effect::Journal(Record { at: now.wall, entry }));
        }
        match content.message {
            SealedMessage::Plain(Message::Htb(htb)) => self.heartbeat(now, id, path, &htb),
            SealedMessage::Plain(Message::Plg(plg)) => self.take_sample(now, id, path, &plg),
            SealedMessage::Plain(Message::Msg(msg)) => self.one_off(now, id, &msg),
            SealedMessage::Res(res) => {
                self.take_result(now, &host, &res, (path, len, slot, header.seq))
            }
            SealedMessage::Maintenance { seconds, text, mid } => {
                if self.table.record(id).is_some_and(|record| !record.is_repeated(mid)) {
                    let length = Duration::from_secs(u64::from(seconds));
                    self.calendar.plan_own(now, &host, length, text);
                    self.turn_calendar(now);
                }
            }
        }
        if let Some(text) = content.pair {
            self.hear_pair(now, &host, text);
        }
        self.note_number(id, header.seq);
        self.offer_after(now, &host);
    }

    /// Both families share the numbers of one session, so each shows the loss of the whole.
    fn note_number(&mut self, id: HostId, seq: u64) {
        let Some(record) = self.table.record(id) else { return };
        record.links.iter_mut().flatten().for_each(|link| link.loss.note(seq));
    }

    fn note_use(&mut self, now: Now, id: HostId, slot: usize, begins: bool) {
        let session = &mut self.vault.sessions[slot];
        let before = session.used.replace(now.wall);
        let save = before.is_none_or(|at| now.wall.since(at) >= USE_SAVED_EVERY);
        let (key_id, host) = (session.key_id, session.host.clone());
        let cloned = begins && session.is_cloned(now.mono);
        if save {
            let row = KeyRow { last_used: now.wall.as_secs_f64() };
            if let Ok(json) = serde_json::to_vec(&row) {
                let key = format!("{KEYS}{key_id}").into();
                self.effects.push_back(Effect::Persist(vec![Saved::Part { key, json }]));
            }
        }
        if !begins {
            return;
        }
        if let Some(record) = self.table.record(id) {
            record.links.iter_mut().flatten().for_each(|link| link.loss = LossWindow::default());
        }
        if before.is_none() {
            let text = format!("{host}: key {key_id} is used for the first time");
            self.tell_kind(now, id, EventKind::Key, Level::Info, text);
        }
        if cloned {
            self.tell_security(now, id, format!("two agents share key of {host}"));
        }
    }

    pub(super) fn restore_key(&mut self, id: &str, json: &[u8]) -> Option<()> {
        let row: KeyRow = serde_json::from_slice(json).ok()?;
        self.vault.uses.insert(KeyId::parse(id)?, Wall::from_secs_f64(row.last_used));
        Some(())
    }

    fn note_proof(&mut self, now: Now, id: HostId, path: Path, slot: usize, ack: u64) {
        let address = path.from.ip().to_canonical();
        let Some(record) = self.table.record_ref(id) else { return };
        let interval = record.interval(&self.config);
        let interval = Duration::try_from_secs_f64(interval).unwrap_or(Duration::from_secs(30));
        if !self.vault.sessions[slot].prove(address, ack, interval, now.mono) {
            return;
        }
        let family = super::view::Family::of(address);
        if let Some(record) = self.table.record(id)
            && record.confirmed[family as usize].replace(address) != Some(address)
        {
            self.touch(id);
            self.note_dns(now, id, family);
        }
    }

    /// A sealed ACK; never longer than its request.
    pub(super) fn answer_sealed(&mut self, path: Path, len: usize, slot: usize, answer: Answered) {
        let mut text = [0; 80];
        let written = answer.encode(&mut text);
        let session = self.vault.sessions.get_mut(slot);
        // A number is spent on what is sent alone: a withheld answer is none.
        let fits = written > 0 && written + seal::OVERHEAD <= len;
        let Some((header, key)) = session.filter(|_| fits).and_then(|s| s.answer(path)) else {
            self.counters.acks_withheld += 1;
            return;
        };
        let mut reply = Reply::new();
        reply.fill(|bytes| key.seal_into(header, &text[..written], bytes));
        self.reply(path, len, reply);
    }

    /// The reply ≤ request rule as code (THREATS U3).
    fn reply(&mut self, path: Path, len: usize, reply: Reply) {
        let written = reply.as_bytes().len();
        if written == 0 || written > len {
            debug_assert!(written <= len, "a reply longer than its request");
            self.counters.acks_withheld += 1;
            return;
        }
        self.effects.push_back(Effect::Send { path, reply });
    }

    /// Sends what is no reply to where the host's agent was last; false where nobody knows.
    pub(super) fn order(&mut self, host: &str, text: &str) -> bool {
        let Some(place) = self.vault.live(host) else { return false };
        let session = &mut self.vault.sessions[place];
        let Some(path) = session.path() else { return false };
        let Some((header, key)) = session.answer(path) else { return false };
        let mut bytes = Vec::new();
        key.seal(header, text.as_bytes(), &mut bytes);
        self.effects.push_back(Effect::Order { path, bytes: bytes.into() });
        true
    }
}

/// The message with the host's name in it, for the journal: a sealed one carries none that counts.
fn with_name(host: &str, json: &str) -> Box<str> {
    let rest = json.trim().strip_prefix('{').unwrap_or_default();
    let comma = if rest.trim_start().starts_with('}') { "" } else { "," };
    format!(r#"{{"name":"{host}"{comma}{rest}"#).into()
}
