//! Who asks: read from the cookie or the Bearer token of a request, before any route is looked at.
//!
//! Knows nothing of hosts and routes; what a caller may do is `authz`'s alone.

use super::{Context, Method, Peer, Request};
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

/// How far a token reaches. A session reaches as far as its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Looks, changes nothing.
    Read,
    /// What a manager may.
    Operate,
    /// All that its user may.
    Admin,
}

impl Reach {
    pub const ALL: [Reach; 3] = [Reach::Read, Reach::Operate, Reach::Admin];

    pub const fn as_str(self) -> &'static str {
        match self {
            Reach::Read => "read",
            Reach::Operate => "operate",
            Reach::Admin => "admin",
        }
    }

    pub fn parse(text: &str) -> Option<Reach> {
        Reach::ALL.into_iter().find(|reach| reach.as_str() == text)
    }
}

/// A user who is signed in, or whose token it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub user: Arc<str>,
    /// By the configuration in force.
    pub admin: bool,
    pub reach: Reach,
    /// The session, for ending it; tokens have ids of their own kind.
    pub session: Session,
}

/// What was shown: a session of the browser or a token of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Session {
    Browser(u64),
    Token(u64),
}

impl Caller {
    /// The user's name, for the feed and for `by`.
    pub fn user(&self) -> Option<&str> {
        match self {
            Caller::User(identity) => Some(&identity.user),
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
    bearer(request).or_else(|| request.cookie(COOKIE))
}

/// The Bearer token of a request. Where there is one, the cookie counts for nothing: a write without
/// an Origin is taken for the token's sake.
pub fn bearer<'a>(request: &Request<'a>) -> Option<&'a str> {
    let value = request.header("authorization")?.trim();
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

pub fn identify(context: &Context<'_>, request: &Request<'_>) -> Caller {
    if request.peer == Peer::Control {
        return Caller::Control;
    }
    if context.config.users.is_empty() {
        return Caller::Open;
    }
    let Some(found) = secret(request).and_then(|secret| context.accounts.identify(secret)) else {
        return Caller::Anonymous;
    };
    // The account may have gone since, or have another role.
    match context.config.users.get(&*found.user) {
        Some(user) => Caller::User(Arc::new(Identity { admin: user.admin, ..found })),
        None => Caller::Anonymous,
    }
}

impl Method {
    /// Whether it only looks.
    pub const fn is_safe(self) -> bool {
        matches!(self, Method::Get | Method::Head | Method::Options)
    }
}
