//! Who asks: read from the cookie or the Bearer token of a request, before any route is looked at.
//!
//! Knows nothing of hosts and routes; what a caller may do is `authz`'s alone.

use super::http::cookie_of;
use super::{Context, Method, Peer, Request};
use crate::account::{Key, Reach};
use crate::config::server::Server;
use std::sync::Arc;

/// The cookie of a session.
pub const COOKIE: &str = "hb_session";

/// Who asks.
#[derive(Clone, Debug, PartialEq)]
pub enum Caller {
    /// No users are configured: every page and every state is open.
    Open,
    /// The control socket: root or the server's own user. An admin.
    Control,
    /// Users are configured, and this one has not signed in.
    Anonymous,
    User(Arc<Identity>),
}

/// A user who is signed in, or whose token it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub user: Arc<str>,
    /// By the configuration in force.
    pub admin: bool,
    pub reach: Reach,
    /// The session or token that was shown.
    pub key: Key,
}

impl Caller {
    /// The user's name, for the feed and for `by`.
    pub fn user(&self) -> Option<&str> {
        match self {
            Caller::User(identity) => Some(&identity.user),
            _ => None,
        }
    }

    /// The session that was shown; `None` where it was a token, or nothing.
    pub fn session(&self) -> Option<u64> {
        match self {
            Caller::User(identity) => match identity.key {
                Key::Session(id) => Some(id),
                Key::Token(_) => None,
            },
            _ => None,
        }
    }

    pub fn by(&self) -> Option<String> {
        self.user().map(str::to_owned)
    }

    /// May see everything: without users, on the control socket, and as an admin.
    pub fn sees_all(&self) -> bool {
        match self {
            Caller::Open | Caller::Control => true,
            Caller::Anonymous => false,
            Caller::User(identity) => identity.admin,
        }
    }

    pub fn is_admin(&self) -> bool {
        match self {
            Caller::Control => true,
            Caller::Open | Caller::Anonymous => false,
            Caller::User(identity) => identity.admin,
        }
    }
}

/// The secret that a request shows: that of its Bearer token, else that of its cookie.
pub fn secret<'a>(request: &Request<'a>) -> Option<&'a str> {
    secret_of(request.header("authorization"), request.header("cookie"))
}

/// The Bearer token of a request. Where there is one, the cookie counts for nothing: a write without
/// an Origin is taken for the token's sake.
pub fn bearer<'a>(request: &Request<'a>) -> Option<&'a str> {
    request.header("authorization").and_then(bearer_of)
}

pub fn identify(context: &Context<'_>, request: &Request<'_>) -> Caller {
    if request.peer == Peer::Control {
        return Caller::Control;
    }
    let found = secret(request).and_then(|secret| context.accounts.identify(secret));
    identify_as(&context.config, found)
}

impl Method {
    /// Whether it only looks.
    pub const fn is_safe(self) -> bool {
        matches!(self, Method::Get | Method::Head | Method::Options)
    }
}

/// The same, of the values of the two headers.
pub fn secret_of<'a>(authorization: Option<&'a str>, cookie: Option<&'a str>) -> Option<&'a str> {
    let in_cookie = || cookie.and_then(|cookie| cookie_of(cookie, COOKIE));
    authorization.and_then(bearer_of).or_else(in_cookie)
}

/// The Bearer token of an `Authorization` header.
pub fn bearer_of(header: &str) -> Option<&str> {
    let (scheme, token) = header.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Who shows this secret under this configuration.
pub fn identify_as(config: &Server, found: Option<Identity>) -> Caller {
    if config.users.is_empty() {
        return Caller::Open;
    }
    let Some(found) = found else { return Caller::Anonymous };
    // The account may have gone since, or have another role.
    match config.users.get(&*found.user) {
        Some(user) => Caller::User(Arc::new(Identity { admin: user.admin, ..found })),
        None => Caller::Anonymous,
    }
}
