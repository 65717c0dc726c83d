//! What the pages ask of the accounts: signing in and out, tokens, and what the API may change about
//! users and hosts.
//!
//! A trait and its words: the book of sessions, the hashing thread and the store are the shell's.

use super::Identity;
use super::problem::Problem;
use crate::account::{Denied, Key, NewToken, PAUSE_S, SessionShown, TokenShown};
use crate::config::server::{HostOverlay, UserOverlay};
use crate::time::Duration;
use std::net::IpAddr;
use std::sync::Arc;

/// Called on a thread of HTTP. Looking something up never waits; what is changed is on disk when the
/// call returns.
pub trait Accounts {
    /// Whose secret this is, of a session or of a token; `None` where nobody's, or not any more.
    fn identify(&self, secret: &str) -> Option<Identity>;
    /// Checks a password and opens a session. Takes as long for an unknown user.
    fn sign_in(&self, attempt: &Attempt<'_>) -> Result<SignedIn, Refused>;
    /// Ends a session or a token.
    fn end(&self, key: Key);
    /// The sessions of one user, or of all; the one used last first.
    fn sessions(&self, user: Option<&str>) -> Vec<SessionShown>;
    /// Those of one user, or of all.
    fn tokens(&self, user: Option<&str>) -> Vec<TokenShown>;
    /// The token and its secret, which is nowhere afterwards; `None` where there are too many.
    fn make_token(&self, new: NewToken) -> Option<(TokenShown, String)>;
    /// The hash of a new password.
    fn hash(&self, password: &str) -> Result<String, Refused>;
    /// Changes the overlay. The configuration that holds when the call returns has the change.
    fn change(&self, change: Change) -> Result<(), Problem>;
    /// What is in force, for `GET config`: JSON, secrets masked.
    fn settings(&self) -> Arc<str>;
}

/// Somebody wants to sign in.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    pub user: &'a str,
    pub password: &'a str,
    pub address: Option<IpAddr>,
    pub remember: bool,
}

/// A session that was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedIn {
    pub secret: String,
    /// How long the browser keeps the cookie; `None`: until it is closed.
    pub keep: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No such user, no password, or the wrong one.
    Wrong {
        /// Attempts that are left before a pause.
        left: u32,
    },
    Slow(Denied),
    /// Too many passwords are being checked at once.
    Busy,
    /// The server is stopping.
    Failed,
}

/// A change of the overlay (SPEC section 8: never of the user's file).
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// What is `None` stays as it is.
    User(String, UserOverlay),
    UserGone(String),
    Host(String, HostOverlay),
    /// The host was dropped.
    HostGone(String),
}

impl Refused {
    /// One text for an unknown user and a wrong password.
    pub fn problem(self) -> Problem {
        match self {
            Refused::Wrong { left } => {
                let hint = match left {
                    0 => "The next try has to wait.".to_owned(),
                    1 => format!("One try left before a {PAUSE_S} s pause."),
                    left => format!("{left} tries left before a {PAUSE_S} s pause."),
                };
                Problem::new(401, "wrong_password", "User name or password is wrong.").hint(hint)
            }
            Refused::Slow(Denied { wait }) => {
                let secs = wait.as_secs_f64().ceil().max(1.0) as u64;
                let problem = Problem::new(429, "too_many_tries", "Too many tries to sign in.");
                problem.hint(format!("Try again in {secs} s.")).retry_after(secs)
            }
            Refused::Busy => {
                let detail = "Too many people are signing in at once.";
                Problem::new(429, "busy", detail).hint("Try again in a second.").retry_after(1)
            }
            Refused::Failed => Problem::new(503, "busy", "The server cannot check passwords now."),
        }
    }
}
