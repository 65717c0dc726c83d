//! Who is signed in, and what the API changed: the book of sessions, the overlay, and the thread
//! `pbkdf2` that checks passwords one after the other.
//!
//! Owns the configuration as the files have it; what the other threads share is that with the overlay
//! over it. Locks are held for look-ups only, never while a disk or a hash works.

use crate::hasher::Hasher;
use crate::shared::Shared;
use crate::{engine, settings, store};
use crossbeam_channel::bounded;
use heartbeat::account::password::{Hash, ITERATIONS};
use heartbeat::account::{
    Attempts, Book, Key, NewToken, Policy, Row, SessionNote, SessionShown, TokenShown,
};
use heartbeat::config::secret::{Reference, Secret};
use heartbeat::config::server::{HostOverlay, Overlay, Server, User, UserOverlay};
use heartbeat::engine::view::{EventKind, Level};
use heartbeat::engine::{Command, Configuration, Saved};
use heartbeat::os::{clock, file};
use heartbeat::time::{Duration, Mono};
use heartbeat::web::{Attempt, Caller, Change, Identity, Refused, SignedIn, identify_as};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What keys of rows begin with in the store.
pub const PREFIX: &str = "account/";
const USER: &str = "user/";
const HOST: &str = "host/";
/// A disk that takes longer is told as a failure.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Entries of the feed about refused passwords in one minute; the rest is counted.
const FAILURES_TOLD: u32 = 6;
const SECRET_FILE_MAX: usize = 64 << 10;

/// Why a change did not come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nobody would be left to manage users.
    LastAdmin,
    /// In force, but not on disk.
    NotSaved,
    /// The engine has too much to do.
    Busy,
}

/// The configuration's parts.
struct Layers {
    /// As the files have it.
    base: Arc<Server>,
    overlay: Overlay,
    /// `GET config` of the files; the overlay is shown beside it.
    shown: Arc<str>,
}

/// Refused passwords that are told in the feed.
#[derive(Default)]
struct Failures {
    since: Mono,
    told: u32,
    hidden: u32,
}

pub struct Accounts {
    book: Mutex<Book>,
    attempts: Mutex<Attempts>,
    layers: Mutex<Layers>,
    failures: Mutex<Failures>,
    hasher: Hasher,
    shared: Arc<Shared>,
    store: store::Handle,
    engine: engine::Inbox,
}

/// What the store had, before anything runs.
pub struct Restored {
    book: Book,
    overlay: Overlay,
    /// What is in force: the files with the overlay over them.
    pub config: Arc<Server>,
}

impl Restored {
    pub fn new(base: &Arc<Server>) -> Restored {
        let config = Arc::clone(base);
        Restored { book: Book::default(), overlay: Overlay::default(), config }
    }

    /// Takes a row whose key began with `PREFIX`.
    pub fn take(&mut self, key: &str, json: &[u8]) {
        let key = key.strip_prefix(PREFIX).unwrap_or(key);
        let taken = if let Some(name) = key.strip_prefix(USER) {
            serde_json::from_slice(json).ok().map(|over| {
                self.overlay.users.insert(name.to_owned(), over);
            })
        } else if let Some(name) = key.strip_prefix(HOST) {
            serde_json::from_slice(json).ok().map(|over| {
                self.overlay.hosts.insert(name.to_owned(), over);
            })
        } else {
            self.book.restore(key, json)
        };
        if taken.is_none() {
            log::warn!("store: {PREFIX}{key} cannot be read, left out");
        }
    }

    /// All rows have come; whether they change what the files say.
    pub fn finish(&mut self, base: &Server) -> bool {
        self.config = Arc::new(base.clone().with_overlay(self.overlay.clone()));
        !self.overlay.is_empty()
    }
}

/// Puts the passwords in the place of the files, variables and credentials that hold them.
pub fn resolve_passwords(config: &mut Server, base: &std::path::Path) {
    for (name, user) in &mut config.users {
        let Some(secret @ (Secret::File(_) | Secret::Env(_) | Secret::Credential(_))) =
            &user.password
        else {
            continue;
        };
        match secret.resolve(|reference| read(reference, base)) {
            Ok(text) if Hash::parse(&text).is_some() => user.password = Some(Secret::Text(text)),
            Ok(_) => {
                log::warn!(
                    "users.{name}.password: {secret:?} holds no hash: {name} cannot sign in"
                );
                user.password = None;
            }
            Err(error) => {
                log::warn!("users.{name}.password: {secret:?}: {error}: {name} cannot sign in");
                user.password = None;
            }
        }
    }
}

fn read(reference: Reference<'_>, base: &std::path::Path) -> Result<String, String> {
    let from = |path: &std::path::Path| {
        let bytes = file::read_bounded(path, SECRET_FILE_MAX).map_err(|e| e.to_string())?;
        String::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned())
    };
    match reference {
        Reference::File(path) => from(&base.join(path)),
        Reference::Env(name) => std::env::var(name).map_err(|e| e.to_string()),
        Reference::Credential(name) => match std::env::var_os("CREDENTIALS_DIRECTORY") {
            Some(dir) => from(&std::path::Path::new(&dir).join(name)),
            None => Err("systemd gave no credentials".to_owned()),
        },
    }
}

impl Accounts {
    pub fn new(
        restored: Restored,
        base: Arc<Server>,
        shown: Arc<str>,
        ends: (Arc<Shared>, store::Handle, engine::Inbox),
        seed: u64,
    ) -> std::io::Result<Accounts> {
        let (shared, store, engine) = ends;
        let Restored { mut book, overlay, .. } = restored;
        book.sweep(clock::now().wall, &shared.config());
        let accounts = Accounts {
            book: Mutex::new(book),
            attempts: Mutex::new(Attempts::new(seed)),
            layers: Mutex::new(Layers { base, overlay, shown }),
            failures: Mutex::default(),
            hasher: Hasher::start()?,
            shared,
            store,
            engine,
        };
        accounts.save_book();
        Ok(accounts)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn layers(&self) -> MutexGuard<'_, Layers> {
        self.layers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // The configuration.

    /// As the files have it: what a reload is compared with.
    pub fn base(&self) -> Arc<Server> {
        self.layers().base.clone()
    }

    /// Takes what the files say now, and hands what is in force to `publish` before anybody can change
    /// it again.
    pub fn configure(&self, base: Server, shown: Arc<str>, publish: impl FnOnce(Arc<Server>)) {
        let mut layers = self.layers();
        let merged = Arc::new(base.clone().with_overlay(layers.overlay.clone()));
        let old = std::mem::replace(&mut layers.base, Arc::new(base));
        layers.shown = shown;
        let changed = changed_passwords(&old, &layers.base);
        publish(Arc::clone(&merged));
        drop(layers);
        for name in changed {
            self.tell(
                EventKind::Security,
                None,
                None,
                format!("the password of {name} was changed"),
            );
        }
        self.book().sweep(clock::now().wall, &merged);
        self.save_book();
    }

    /// Changes the overlay, and returns when the engine has it and it is on disk.
    pub fn change(&self, change: &Change) -> Result<(), Fault> {
        let (answer, answered) = bounded(1);
        {
            let mut layers = self.layers();
            let mut overlay = layers.overlay.clone();
            let row = lay(&mut overlay, &layers.base, change);
            let merged = layers.base.as_ref().clone().with_overlay(overlay.clone());
            if matches!(change, Change::User(..) | Change::UserGone(_)) && !has_admin(&merged) {
                return Err(Fault::LastAdmin);
            }
            let merged = Arc::new(merged);
            let config = Configuration(Arc::clone(&merged));
            let command = Command::Configure { config };
            if !self.engine.send(engine::Order::Command { command, answer }) {
                return Err(Fault::Busy);
            }
            self.store.save(vec![row]);
            layers.overlay = overlay;
            self.shared.set_config(merged);
        }
        if let Change::UserGone(name) = change {
            self.book().end_all(name, true);
            self.save_book();
        }
        match answered.recv_timeout(ANSWER_WITHIN) {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Fault::NotSaved),
        }
    }

    /// As the files said when they were loaded, secrets masked.
    pub fn shown(&self) -> Arc<str> {
        self.layers().shown.clone()
    }

    pub fn settings(&self) -> Arc<str> {
        let layers = self.layers();
        settings::with_overlay(&layers.shown, &layers.overlay)
    }

    // Sessions and tokens.

    pub fn identify(&self, secret: &str) -> Option<Identity> {
        let config = self.shared.config();
        if config.users.is_empty() {
            return None;
        }
        let mut book = self.book();
        let (key, user, reach) = book.find(clock::now().wall, secret, &config)?;
        self.save(book.take_unsaved());
        drop(book);
        let admin = config.users.get(&user).is_some_and(|user| user.admin);
        Some(Identity { user: user.into(), admin, reach, key })
    }

    /// Who an open live connection belongs to now; it was opened by `caller`.
    pub fn again(&self, caller: &Caller) -> Caller {
        let config = self.shared.config();
        let found = match caller {
            Caller::Control => return Caller::Control,
            Caller::User(identity) => {
                let mut book = self.book();
                let found = book.look(clock::now().wall, identity.key, &config);
                self.save(book.take_unsaved());
                found.map(|(user, reach)| Identity {
                    user: user.into(),
                    admin: false,
                    reach,
                    key: identity.key,
                })
            }
            Caller::Open | Caller::Anonymous => None,
        };
        identify_as(&config, found)
    }

    pub fn sign_in(&self, attempt: &Attempt<'_>) -> Result<SignedIn, Refused> {
        let config = self.shared.config();
        let now = clock::now();
        let Attempt { user, password, address, remember } = *attempt;
        let known = self.book().is_known(user, address);
        let left = {
            let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
            attempts.take(user, address, known, now.mono).map_err(Refused::Slow)?
        };
        let account = config.users.get(user);
        let hash = account.and_then(hash_of);
        let all = config.users.values().filter_map(hash_of).map(|hash| hash.iterations).max();
        let fits = self.hasher.verify(password, hash, all.unwrap_or(ITERATIONS))?;
        let Some(account) = account.filter(|_| fits) else {
            self.tell_failure(account.map(|_| user), address, now.mono);
            return Err(Refused::Wrong { left });
        };
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.forgive(user, address, now.mono);
        drop(attempts);
        let secret = random_text().ok_or(Refused::Failed)?;
        let note = SessionNote { user, account, address, remember };
        self.book().open(clock::now().wall, &secret, note);
        self.save_book_now();
        let from = address.map_or(String::new(), |address| format!(" from {address}"));
        self.tell(
            EventKind::User,
            Some(user),
            Some(Level::Info),
            format!("{user} signed in{from}"),
        );
        let keep = remember.then(|| Policy::of(&config).remember).filter(|keep| !keep.is_zero());
        Ok(SignedIn { secret, keep })
    }

    pub fn hash(&self, password: &str) -> Result<String, Refused> {
        self.hasher.make(password, random().ok_or(Refused::Failed)?)
    }

    /// Ends a session or token; `false` where that is not on disk.
    pub fn end(&self, key: Key) -> bool {
        self.book().end(key);
        self.save_book_now()
    }

    /// Those that are still good.
    pub fn sessions(&self, user: Option<&str>) -> Vec<SessionShown> {
        let mut book = self.book();
        book.sweep(clock::now().wall, &self.shared.config());
        self.save(book.take_unsaved());
        book.sessions(user)
    }

    pub fn tokens(&self, user: Option<&str>) -> Vec<TokenShown> {
        self.book().tokens(user)
    }

    /// `None`: there are too many. The flag: whether it is on disk.
    pub fn make_token(&self, new: NewToken) -> Option<(TokenShown, String, bool)> {
        let secret = format!("hbt_{}", random_text()?);
        let shown = self.book().make_token(clock::now().wall, &secret, new)?;
        Some((shown, secret, self.save_book_now()))
    }

    fn save_book(&self) {
        let rows = self.book().take_unsaved();
        self.save(rows);
    }

    fn save(&self, rows: Vec<Row>) {
        if !rows.is_empty() {
            self.store.save(rows.into_iter().map(saved).collect());
        }
    }

    /// Saves and waits for the disk.
    fn save_book_now(&self) -> bool {
        self.save_book();
        let (answer, answered) = bounded(1);
        let promise = move |written| {
            let _ = answer.try_send(written);
        };
        self.store.promise(Box::new(promise));
        answered.recv_timeout(ANSWER_WITHIN).unwrap_or(false)
    }

    // The feed.

    fn tell(&self, kind: EventKind, user: Option<&str>, level: Option<Level>, text: String) {
        let note = Command::Note { kind, host: None, level, text };
        let command = match user {
            Some(user) => Command::By { user: user.into(), command: Box::new(note) },
            None => note,
        };
        let (answer, _) = bounded(1);
        if !self.engine.send(engine::Order::Command { command, answer }) {
            log::warn!("the feed takes no more entries about users");
        }
    }

    /// Names only accounts that there are: who mistakes the field types a password there.
    fn tell_failure(&self, user: Option<&str>, address: Option<IpAddr>, now: Mono) {
        let hidden = {
            let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
            if now.since(failures.since) >= Duration::from_secs(60) {
                *failures = Failures { since: now, told: 0, hidden: failures.hidden };
            }
            if failures.told >= FAILURES_TOLD {
                failures.hidden = failures.hidden.saturating_add(1);
                return;
            }
            failures.told += 1;
            std::mem::take(&mut failures.hidden)
        };
        let who = user.unwrap_or("an unknown user");
        let from = address.map_or("the control socket".to_owned(), |address| address.to_string());
        let more =
            if hidden > 0 { format!(" ({hidden} more were not told)") } else { String::new() };
        let text = format!("login failed for {who} from {from}{more}");
        self.tell(EventKind::Security, None, Some(Level::Warning), text);
    }
}

/// Lays a change into the overlay; gives the row to save.
fn lay(overlay: &mut Overlay, base: &Server, change: &Change) -> Saved {
    let row = |kind: &str, name: &str, json: Option<Vec<u8>>| {
        saved(Row { key: format!("{kind}{name}"), json })
    };
    match change {
        Change::User(name, new) => {
            let entry = overlay.users.entry(name.clone()).or_default();
            let old = if entry.removed { UserOverlay::default() } else { std::mem::take(entry) };
            let new = new.clone();
            *entry = UserOverlay {
                removed: false,
                full_name: new.full_name.or(old.full_name),
                admin: new.admin.or(old.admin),
                password: new.password.or(old.password),
                notification_channels: new.notification_channels.or(old.notification_channels),
            };
            row(USER, name, serde_json::to_vec(&*entry).ok())
        }
        Change::UserGone(name) if base.users.contains_key(name) => {
            let gone = UserOverlay { removed: true, ..UserOverlay::default() };
            let json = serde_json::to_vec(&gone).ok();
            overlay.users.insert(name.clone(), gone);
            row(USER, name, json)
        }
        Change::UserGone(name) => {
            overlay.users.remove(name);
            row(USER, name, None)
        }
        Change::Host(name, new) => {
            let entry = overlay.hosts.entry(name.clone()).or_default();
            let (old, new) = (std::mem::take(entry), new.clone());
            *entry = HostOverlay {
                owner: new.owner.or(old.owner),
                managers: new.managers.or(old.managers),
                monitors: new.monitors.or(old.monitors),
                tags: new.tags.or(old.tags),
                group: new.group.or(old.group),
            };
            row(HOST, name, serde_json::to_vec(&*entry).ok())
        }
        Change::HostGone(name) => {
            overlay.hosts.remove(name);
            row(HOST, name, None)
        }
    }
}

fn saved(row: Row) -> Saved {
    let key = format!("{PREFIX}{}", row.key).into();
    match row.json {
        Some(json) => Saved::Part { key, json },
        None => Saved::PartGone { key },
    }
}

fn has_admin(config: &Server) -> bool {
    config.users.values().any(|user| user.admin)
}

/// Users whose password the files have changed.
fn changed_passwords(old: &Server, new: &Server) -> Vec<String> {
    let changed = |name: &String, user: &User| {
        old.users.get(name).is_some_and(|before| before.password != user.password)
    };
    new.users.iter().filter(|(n, u)| changed(n, u)).map(|(name, _)| name.clone()).collect()
}

fn hash_of(user: &User) -> Option<Hash> {
    let text = user.password.as_ref()?.resolve(|_| Err(())).ok()?;
    Hash::parse(&text)
}

/// 256 bits as text.
fn random_text() -> Option<String> {
    use base64::Engine as _;
    Some(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random::<32>()?))
}

fn random<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .inspect_err(|error| log::error!("the system gives no random bytes error={error}"))
        .ok()?;
    Some(bytes)
}
