//! The book of sessions and tokens: who is signed in, from when to when.
//!
//! A session is valid while its account is as it was when it was made: the stamp of password and
//! role is compared at each look, so that a change, wherever it was made, ends it.

use super::row::{Reach, SessionRow, TokenRow};
use crate::config::server::{Server, User};
use crate::limits;
use crate::time::{Duration, Wall};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Seconds between two savings of when a session was used last.
const USED_EVERY: i64 = 300;
const SESSION: &str = "session/";
const TOKEN: &str = "token/";

/// What was shown: a session of a browser or a token of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    Session(u64),
    Token(u64),
}

/// How long sessions last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    pub idle: Duration,
    pub max: Duration,
    /// Both, with "keep me signed in"; zero: there is no such thing.
    pub remember: Duration,
}

impl Policy {
    pub fn of(config: &Server) -> Policy {
        Policy {
            idle: config.session_idle,
            max: config.session_max,
            remember: config.session_remember,
        }
    }

    fn is_over(&self, row: &SessionRow, now: i64) -> bool {
        let (idle, max) = match row.remember && !self.remember.is_zero() {
            true => (self.remember, self.remember),
            false => (self.idle, self.max),
        };
        let since = |at: i64| Duration::from_secs(now.saturating_sub(at).max(0) as u64);
        since(row.used) >= idle || since(row.made) >= max
    }
}

/// A row of the store; `None`: it is gone.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub key: String,
    pub json: Option<Vec<u8>>,
}

/// What a new session is made of.
#[derive(Clone, Copy, Debug)]
pub struct SessionNote<'a> {
    pub user: &'a str,
    pub account: &'a User,
    pub address: Option<IpAddr>,
    pub remember: bool,
}

/// What a new token is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct NewToken {
    pub user: String,
    pub name: String,
    pub reach: Reach,
    /// Seconds since 1970; `None`: never.
    pub expires: Option<i64>,
}

/// A token as it is listed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TokenShown {
    pub id: String,
    pub user: String,
    pub name: String,
    pub scope: Reach,
    pub created: i64,
    pub last_used: Option<i64>,
    pub expires: Option<i64>,
}

/// A session as it is listed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SessionShown {
    pub id: String,
    pub user: String,
    pub created: i64,
    pub last_used: i64,
    /// Signed in with "keep me signed in".
    pub remember: bool,
    pub address: Option<IpAddr>,
}

/// What the account of a session was when the session was made.
pub fn stamp(user: &User) -> u64 {
    let mut hasher = Sha256::new();
    // A reference that nobody has resolved stays what it is.
    let password = user.password.as_ref().and_then(|p| p.resolve(|_| Err(())).ok());
    hasher.update(password.as_deref().unwrap_or("-").as_bytes());
    hasher.update([0, u8::from(user.admin)]);
    u64::from_be_bytes(hasher.finalize()[..8].try_into().unwrap_or_default())
}

/// Under which a secret is kept.
pub fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// Sessions and tokens. Mutate, then drain [`Book::take_unsaved`].
#[derive(Default)]
pub struct Book {
    sessions: BTreeMap<u64, SessionRow>,
    tokens: BTreeMap<u64, TokenRow>,
    by_hash: BTreeMap<[u8; 32], Key>,
    last_id: u64,
    unsaved: Vec<Row>,
}

impl Book {
    /// Takes a row of the store. `None`: it cannot be read.
    pub fn restore(&mut self, key: &str, json: &[u8]) -> Option<()> {
        if let Some(id) = key.strip_prefix(SESSION) {
            let (id, row): (u64, SessionRow) =
                (id.parse().ok()?, serde_json::from_slice(json).ok()?);
            self.last_id = self.last_id.max(id);
            self.by_hash.insert(row.hash, Key::Session(id));
            self.sessions.insert(id, row);
        } else {
            let id = key.strip_prefix(TOKEN)?.parse().ok()?;
            let row: TokenRow = serde_json::from_slice(json).ok()?;
            self.last_id = self.last_id.max(id);
            self.by_hash.insert(row.hash, Key::Token(id));
            self.tokens.insert(id, row);
        }
        Some(())
    }

    #[must_use]
    pub fn take_unsaved(&mut self) -> Vec<Row> {
        std::mem::take(&mut self.unsaved)
    }

    /// Opens a session for the secret. Where there are too many, the one longest unused ends: first
    /// the user's own, then anybody's.
    pub fn open(&mut self, now: Wall, secret: &str, note: SessionNote<'_>) -> Key {
        let is_own = |row: &SessionRow| row.user == note.user;
        while self.sessions.values().filter(|row| is_own(row)).count() >= limits::SESSIONS_PER_USER
        {
            self.end_oldest(&is_own);
        }
        while self.sessions.len() >= limits::SESSIONS {
            self.end_oldest(&|_| true);
        }
        let row = SessionRow {
            hash: digest(secret),
            user: note.user.to_owned(),
            made: now.as_secs(),
            used: now.as_secs(),
            remember: note.remember,
            address: note.address,
            stamp: stamp(note.account),
        };
        self.last_id += 1;
        let id = self.last_id;
        self.by_hash.insert(row.hash, Key::Session(id));
        self.save(&format!("{SESSION}{id}"), &row);
        self.sessions.insert(id, row);
        Key::Session(id)
    }

    fn end_oldest(&mut self, which: &dyn Fn(&SessionRow) -> bool) {
        let oldest = self.sessions.iter().filter(|(_, row)| which(row));
        let oldest = oldest.min_by_key(|(id, row)| (row.used, **id)).map(|(id, _)| *id);
        if let Some(id) = oldest {
            self.end(Key::Session(id));
        }
    }

    /// Whose secret it is, and that it is still good. Notes that it was used.
    pub fn find(
        &mut self,
        now: Wall,
        secret: &str,
        config: &Server,
    ) -> Option<(Key, String, Reach)> {
        let key = *self.by_hash.get(&digest(secret))?;
        let (user, reach) = self.look(now, key, config)?;
        let (found, now) = ((key, user, reach), now.as_secs());
        match key {
            Key::Session(id) => {
                let row = self.sessions.get_mut(&id)?;
                if now.saturating_sub(row.used) >= USED_EVERY {
                    row.used = now;
                    let row = row.clone();
                    self.save(&format!("{SESSION}{id}"), &row);
                }
            }
            Key::Token(id) => {
                let row = self.tokens.get_mut(&id)?;
                if row.used.is_none_or(|used| now.saturating_sub(used) >= USED_EVERY) {
                    row.used = Some(now);
                    let row = row.clone();
                    self.save(&format!("{TOKEN}{id}"), &row);
                }
            }
        }
        Some(found)
    }

    /// Whether a session or token is still good; one that is not is ended. Notes no use: an open live
    /// connection looks often.
    pub fn look(&mut self, now: Wall, key: Key, config: &Server) -> Option<(String, Reach)> {
        let found = match key {
            Key::Session(id) => self.sessions.get(&id).and_then(|row| {
                let account = config.users.get(&row.user)?;
                let over = Policy::of(config).is_over(row, now.as_secs());
                (!over && stamp(account) == row.stamp).then(|| (row.user.clone(), Reach::Admin))
            }),
            Key::Token(id) => self.tokens.get(&id).and_then(|row| {
                let known = config.users.contains_key(&row.user);
                let over = row.expires.is_some_and(|at| at <= now.as_secs());
                (known && !over).then(|| (row.user.clone(), row.reach))
            }),
        };
        if found.is_none() {
            self.end(key);
        }
        found
    }

    /// Whether the user has a session from this address.
    pub fn is_known(&self, user: &str, address: Option<IpAddr>) -> bool {
        address.is_some() && self.sessions.values().any(|s| s.user == user && s.address == address)
    }

    pub fn end(&mut self, key: Key) {
        let (hash, name) = match key {
            Key::Session(id) => {
                (self.sessions.remove(&id).map(|row| row.hash), format!("{SESSION}{id}"))
            }
            Key::Token(id) => (self.tokens.remove(&id).map(|row| row.hash), format!("{TOKEN}{id}")),
        };
        if let Some(hash) = hash {
            self.by_hash.remove(&hash);
            self.unsaved.push(Row { key: name, json: None });
        }
    }

    /// Ends what is over, and what belongs to nobody any more.
    pub fn sweep(&mut self, now: Wall, config: &Server) {
        let sessions = self.sessions.keys().map(|id| Key::Session(*id));
        let keys: Vec<Key> = sessions.chain(self.tokens.keys().map(|id| Key::Token(*id))).collect();
        for key in keys {
            let _ = self.look(now, key, config);
        }
    }

    /// Ends all of a user's sessions; with `tokens` those as well: the account is gone.
    pub fn end_all(&mut self, user: &str, tokens: bool) {
        let sessions = self.sessions.iter().filter(|(_, row)| row.user == user);
        let mut keys: Vec<Key> = sessions.map(|(id, _)| Key::Session(*id)).collect();
        if tokens {
            let own = self.tokens.iter().filter(|(_, row)| row.user == user);
            keys.extend(own.map(|(id, _)| Key::Token(*id)));
        }
        keys.into_iter().for_each(|key| self.end(key));
    }

    /// Makes a token for the secret; `None` where the user has too many.
    pub fn make_token(&mut self, now: Wall, secret: &str, new: NewToken) -> Option<TokenShown> {
        let own = self.tokens.values().filter(|row| row.user == new.user).count();
        if own >= limits::TOKENS_PER_USER || self.tokens.len() >= limits::TOKENS {
            return None;
        }
        let row = TokenRow {
            hash: digest(secret),
            user: new.user,
            name: new.name,
            reach: new.reach,
            made: now.as_secs(),
            used: None,
            expires: new.expires,
        };
        self.last_id += 1;
        let id = self.last_id;
        self.by_hash.insert(row.hash, Key::Token(id));
        self.save(&format!("{TOKEN}{id}"), &row);
        let shown = shown(id, &row);
        self.tokens.insert(id, row);
        Some(shown)
    }

    /// Those of one user, or of all; newest first.
    pub fn tokens(&self, user: Option<&str>) -> Vec<TokenShown> {
        let own = self.tokens.iter().rev().filter(|(_, row)| user.is_none_or(|u| row.user == u));
        own.map(|(id, row)| shown(*id, row)).collect()
    }

    /// Who is signed in: the sessions of one user, or all; the one used last first.
    pub fn sessions(&self, user: Option<&str>) -> Vec<SessionShown> {
        let own = self.sessions.iter().filter(|(_, row)| user.is_none_or(|u| row.user == u));
        let mut shown: Vec<SessionShown> = own
            .map(|(id, row)| SessionShown {
                id: id.to_string(),
                user: row.user.clone(),
                created: row.made,
                last_used: row.used,
                remember: row.remember,
                address: row.address,
            })
            .collect();
        shown.sort_by_key(|session| std::cmp::Reverse(session.last_used));
        shown
    }

    fn save(&mut self, key: &str, row: &impl Serialize) {
        if let Ok(json) = serde_json::to_vec(row) {
            self.unsaved.push(Row { key: key.to_owned(), json: Some(json) });
        }
    }
}

fn shown(id: u64, row: &TokenRow) -> TokenShown {
    TokenShown {
        id: id.to_string(),
        user: row.user.clone(),
        name: row.name.clone(),
        scope: row.reach,
        created: row.made,
        last_used: row.used,
        expires: row.expires,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::secret::Secret;

    const START: Wall = Wall::from_secs(1_800_000_000);

    fn after(secs: u64) -> Wall {
        START + Duration::from_secs(secs)
    }

    fn account(password: &str, admin: bool) -> User {
        User {
            full_name: String::new(),
            avatar: None,
            password: Some(Secret::Text(password.to_owned())),
            admin,
            notification_channels: Vec::new(),
        }
    }

    fn config() -> Server {
        let users = ["alice", "bob"].map(|name| (name.to_owned(), account(name, false)));
        Server { users: users.into_iter().collect(), ..Server::default() }
    }

    fn open(book: &mut Book, config: &Server, secret: &str, user: &str, remember: bool) -> Key {
        let account = &config.users[user];
        let note = SessionNote { user, account, address: None, remember };
        book.open(START, secret, note)
    }

    #[test]
    fn h4_session_ends_by_disuse_by_age_and_later_when_remembered() {
        let config = config();
        let day = 86_400;
        let mut book = Book::default();
        for secret in ["idle", "used", "long"] {
            open(&mut book, &config, secret, "alice", secret == "long");
        }
        let mut good = |secret: &str, at: u64| book.find(after(at), secret, &config).is_some();
        assert!(good("idle", day - 1));
        assert!(!good("idle", 2 * day));
        for hour in 0..7 * 24 {
            assert!(good("used", hour * 3600), "{hour}");
        }
        assert!(!good("used", 7 * day));
        assert!(good("long", 29 * day) && !good("long", 30 * day));
        assert!(!good("nobody's", 0));
        let gone = book.take_unsaved().into_iter().filter(|row| row.json.is_none()).count();
        assert_eq!(gone, 3, "what is over is deleted");
    }

    #[test]
    fn h4_changed_password_role_or_account_ends_the_session() {
        let changes: [fn(&mut Server); 4] = [
            |c| c.users.get_mut("alice").unwrap().password = Some(Secret::Text("new".to_owned())),
            |c| c.users.get_mut("alice").unwrap().password = None,
            |c| c.users.get_mut("alice").unwrap().admin = true,
            |c| drop(c.users.remove("alice")),
        ];
        for change in changes {
            let mut config = config();
            let mut book = Book::default();
            let key = open(&mut book, &config, "a", "alice", false);
            open(&mut book, &config, "b", "bob", false);
            assert!(book.look(START, key, &config).is_some());
            change(&mut config);
            assert!(book.look(START, key, &config).is_none());
            assert!(book.find(START, "a", &config).is_none());
            assert!(book.find(START, "b", &config).is_some(), "nobody else is signed out");
        }
    }

    #[test]
    fn sessions_are_bounded_per_user_and_in_all() {
        let mut config = config();
        let mut book = Book::default();
        for n in 0..20 {
            open(&mut book, &config, &format!("a{n}"), "alice", false);
        }
        open(&mut book, &config, "b", "bob", false);
        assert_eq!(book.sessions(Some("alice")).len(), limits::SESSIONS_PER_USER);
        assert!(
            book.find(START, "a3", &config).is_none() && book.find(START, "a4", &config).is_some()
        );
        for n in 0..limits::SESSIONS {
            let name = format!("u{n}");
            config.users.insert(name.clone(), account("x", false));
            open(&mut book, &config, &format!("s{n}"), &name, false);
        }
        assert_eq!(book.sessions.len(), limits::SESSIONS);
        assert!(book.find(START, "b", &config).is_none());
        assert_eq!(book.by_hash.len(), limits::SESSIONS);
    }

    #[test]
    fn book_comes_back_from_its_rows_and_keeps_no_secret() {
        let config = config();
        let mut book = Book::default();
        open(&mut book, &config, "sesame-1", "alice", true);
        let new = NewToken {
            user: "alice".to_owned(),
            name: "backup".to_owned(),
            reach: Reach::Operate,
            expires: Some(START.as_secs() + 100),
        };
        assert!(book.make_token(START, "sesame-2", new).is_some());
        let rows = book.take_unsaved();
        let mut again = Book::default();
        for row in &rows {
            let json = row.json.as_deref().expect("none is gone");
            assert!(!String::from_utf8_lossy(json).contains("sesame"));
            again.restore(&row.key, json).expect("reads back");
        }
        assert!(again.find(START, "sesame-1", &config).is_some());
        let found = again.find(START, "sesame-2", &config).expect("a token");
        assert_eq!((found.1.as_str(), found.2), ("alice", Reach::Operate));
        assert!(again.find(after(100), "sesame-2", &config).is_none(), "it has expired");
        assert!(
            again.restore("session/x", b"{}").is_none() && again.restore("other", b"").is_none()
        );
    }

    #[test]
    fn account_that_is_gone_takes_its_tokens_with_it() {
        let mut config = config();
        let mut book = Book::default();
        let new = |name: &str| NewToken {
            user: "alice".to_owned(),
            name: name.to_owned(),
            reach: Reach::Read,
            expires: None,
        };
        for n in 0..limits::TOKENS_PER_USER {
            assert!(book.make_token(START, &format!("t{n}"), new("t")).is_some());
        }
        assert!(book.make_token(START, "more", new("t")).is_none(), "bounded");
        let alice = config.users.remove("alice").expect("there");
        book.sweep(START, &config);
        config.users.insert("alice".to_owned(), alice);
        assert!(book.tokens(None).is_empty() && book.find(START, "t1", &config).is_none());
    }
}
