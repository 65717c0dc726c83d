//! `auth/…`: signing in and out, who one is, and tokens for programs.

use super::alert::wants_all;
use super::{body, no_content, ok};
use crate::account::password::PASSWORD_MAX;
use crate::account::{Key, NewToken, Reach, SessionShown, TokenShown};
use crate::engine::view::EventKind;
use crate::engine::{Command, Outcome};
use crate::limits;
use crate::text;
use crate::web::caller::COOKIE;
use crate::web::problem::Problem;
use crate::web::{Answer, Attempt, Call, Caller, Peer, Response, SignedIn};
use serde::{Deserialize, Serialize};

/// As `auth/login` and `auth/me` name somebody.
#[derive(Serialize)]
struct UserJson<'a> {
    name: &'a str,
    full_name: &'a str,
    admin: bool,
}

/// `POST auth/login {username,password,remember}`
pub fn login(call: &Call<'_>) -> Answer {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Credentials {
        username: String,
        password: String,
        #[serde(default)]
        remember: bool,
    }
    #[derive(Serialize)]
    struct Welcome<'a> {
        token: &'a str,
        user: UserJson<'a>,
    }
    let given: Credentials = body(call, "username")?;
    let signed_in = sign_in(call, &given.username, &given.password, given.remember)?;
    let user = user_json(call, &given.username);
    let mut response = ok(&Welcome { token: &signed_in.secret, user })?;
    response.headers.push(("Set-Cookie", cookie(call, &signed_in)));
    Ok(response)
}

/// Checks name and password, and opens a session. Without users there is nothing to sign in to.
pub fn sign_in(
    call: &Call<'_>,
    user: &str,
    password: &str,
    remember: bool,
) -> Result<SignedIn, Problem> {
    let config = &call.context.config;
    if config.users.is_empty() {
        return Err(Problem::new(409, "no_users", "No users are configured: nobody signs in.")
            .hint(
                "Write users: into the configuration; hbd passwd USER makes the password line.",
            ));
    }
    if user.len() > limits::NAME_MAX || password.len() > PASSWORD_MAX {
        let field = if password.len() > PASSWORD_MAX { "password" } else { "username" };
        return Err(Problem::new(422, "bad_body", format!("{field} is too long.")).field(field));
    }
    let address = match call.request.peer {
        Peer::Control => None,
        Peer::Remote(address) => Some(address.to_canonical()),
    };
    let remember = remember && !config.session_remember.is_zero();
    let attempt = Attempt { user, password, address, remember };
    call.context.accounts.sign_in(&attempt).map_err(|refused| refused.problem())
}

/// The cookie of a new session (SPEC section 6).
pub fn cookie(call: &Call<'_>, signed_in: &SignedIn) -> String {
    let keep = signed_in.keep.map(|keep| format!("; Max-Age={}", keep.as_secs()));
    let secure = if call.request.secure { "; Secure" } else { "" };
    let (secret, keep) = (&signed_in.secret, keep.unwrap_or_default());
    format!("{COOKIE}={secret}; Path=/; HttpOnly; SameSite=Lax{keep}{secure}")
}

/// The cookie that takes a session's place when it ends.
pub fn no_cookie(call: &Call<'_>) -> String {
    let secure = if call.request.secure { "; Secure" } else { "" };
    format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0{secure}")
}

/// `POST auth/logout`: ends the session or the token that was shown.
pub fn logout(call: &Call<'_>) -> Answer {
    sign_out(call);
    let mut response = no_content();
    response.headers.push(("Set-Cookie", no_cookie(call)));
    Ok(response)
}

pub fn sign_out(call: &Call<'_>) {
    if let Caller::User(identity) = &call.caller {
        call.context.accounts.end(identity.key);
    }
}

/// `GET auth/me`
pub fn me(call: &Call<'_>) -> Answer {
    #[derive(Serialize)]
    struct Me<'a> {
        user: Option<UserJson<'a>>,
        admin: bool,
        /// Of a token; `null` for a session.
        scope: Option<Reach>,
        /// Nobody needs to sign in.
        open: bool,
    }
    let identity = match &call.caller {
        Caller::User(identity) => Some(identity),
        _ => None,
    };
    let token = identity.filter(|identity| matches!(identity.key, Key::Token(_)));
    ok(&Me {
        user: identity.map(|identity| user_json(call, &identity.user)),
        admin: call.caller.is_admin(),
        scope: token.map(|identity| identity.reach),
        open: call.caller == Caller::Open,
    })
}

fn user_json<'a>(call: &'a Call<'_>, name: &'a str) -> UserJson<'a> {
    let user = call.context.config.users.get(name);
    UserJson {
        name,
        full_name: user.map_or(name, |user| &user.full_name),
        admin: user.is_some_and(|user| user.admin),
    }
}

// Sessions.

/// `GET auth/sessions`: one's own; with `all=1` an admin's and at the control socket everybody's.
pub fn sessions(call: &Call<'_>) -> Answer {
    #[derive(Serialize)]
    struct List {
        sessions: Vec<Session>,
    }
    #[derive(Serialize)]
    struct Session {
        #[serde(flatten)]
        shown: SessionShown,
        /// The one that asks.
        current: bool,
    }
    let accounts = call.context.accounts;
    let all = wants_all(call, "Give all=1 for everybody's.")?;
    let shown = match &call.caller {
        Caller::Open => Vec::new(),
        caller if caller.is_admin() && all => accounts.sessions(None),
        caller => accounts.sessions(caller.user()),
    };
    let own = call.caller.session();
    let sessions = shown.into_iter().map(|shown| {
        let current = own.is_some_and(|id| id.to_string() == shown.id);
        Session { shown, current }
    });
    ok(&List { sessions: sessions.collect() })
}

/// `DELETE auth/sessions/ID`: one's own; an admin ends anybody's.
pub fn end_session(call: &Call<'_>) -> Answer {
    let id = call.param("id");
    let user = call.caller.user().filter(|_| !call.caller.is_admin());
    let all = call.context.accounts.sessions(user);
    let found = all.into_iter().find(|session| session.id == id && call.caller != Caller::Open);
    let (Some(session), Ok(number)) = (found, id.parse()) else {
        return Err(Problem::new(404, "no_such_id", "There is no such session.")
            .hint("GET /api/0/auth/sessions lists yours."));
    };
    call.context.accounts.end(Key::Session(number));
    call.note(EventKind::User, None, format!("a session of {} was ended", session.user));
    Ok(no_content())
}

// Tokens.

/// `GET auth/tokens`: one's own; at the control socket all.
pub fn tokens(call: &Call<'_>) -> Answer {
    #[derive(Serialize)]
    struct List {
        tokens: Vec<TokenShown>,
    }
    let tokens = match &call.caller {
        Caller::Open => Vec::new(),
        caller => call.context.accounts.tokens(caller.user()),
    };
    ok(&List { tokens })
}

/// `POST auth/tokens {name,scope,expires}`; `user` as well at the control socket.
pub fn make_token(call: &Call<'_>) -> Answer {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wish {
        name: String,
        scope: Reach,
        expires: Option<f64>,
        user: Option<String>,
    }
    #[derive(Serialize)]
    struct Made {
        id: String,
        token: String,
        name: String,
        scope: Reach,
        expires: Option<i64>,
    }
    let wish: Wish = body(call, "name")?;
    let name = wish.name.trim();
    if name.is_empty() || name.len() > limits::NAME_MAX || name.chars().any(text::is_hostile) {
        let detail =
            format!("A token needs a name of at most {} printable bytes.", limits::NAME_MAX);
        return Err(Problem::new(422, "bad_body", detail).field("name"));
    }
    let now = call.context.now.wall;
    let expires = wish.expires.map(|at| at as i64);
    if expires.is_some_and(|at| at <= now.as_secs()) {
        return Err(Problem::new(422, "bad_body", "expires lies in the past.")
            .hint("Give Unix seconds to come, or null for a token without an end.")
            .field("expires"));
    }
    let user = token_user(call, wish.user, wish.scope)?;
    let new = NewToken { user: user.clone(), name: name.to_owned(), reach: wish.scope, expires };
    let Some((shown, token)) = call.context.accounts.make_token(new) else {
        return Err(Problem::new(429, "full", "There are too many tokens.")
            .hint("Drop one that is not used any more."));
    };
    let text = format!("token {} ({}) of {user} was made", shown.name, wish.scope.as_str());
    call.note(EventKind::User, None, text);
    let TokenShown { id, name, scope, expires, .. } = shown;
    let mut response = ok(&Made { id, token, name, scope, expires })?;
    response.status = 201;
    Ok(response)
}

/// Whose token is made, and whether it may reach so far.
fn token_user(call: &Call<'_>, wish: Option<String>, scope: Reach) -> Result<String, Problem> {
    let users = &call.context.config.users;
    let unknown = |name: &str| {
        let shown = text::escape_control(text::cut(name, 40)).into_owned();
        Problem::new(422, "no_such_user", format!("There is no user {shown}.")).field("user")
    };
    match (&call.caller, wish) {
        (Caller::User(identity), wish) => {
            let own = wish.is_none_or(|name| *name == *identity.user);
            if !own {
                return Err(Problem::new(403, "not_yours", "One makes tokens for oneself alone.")
                    .field("user"));
            }
            if scope > identity.reach {
                return Err(Problem::new(
                    403,
                    "token_scope",
                    "A token makes no token that reaches further than itself.",
                )
                .field("scope"));
            }
            Ok(identity.user.to_string())
        }
        (_, Some(name)) if users.contains_key(&name) => Ok(name),
        (_, Some(name)) => Err(unknown(&name)),
        (_, None) => {
            let admins = users.iter().filter(|(_, user)| user.admin);
            let first = call.context.config.default_owner.clone().filter(|o| users.contains_key(o));
            first.or(admins.map(|(name, _)| name.clone()).next()).ok_or_else(|| {
                Problem::new(
                    409,
                    "no_users",
                    "No users are configured: there is nobody to have it.",
                )
            })
        }
    }
}

/// `DELETE auth/tokens/ID`
pub fn drop_token(call: &Call<'_>) -> Answer {
    let id = call.param("id");
    let user = call.caller.user();
    let is_admin = call.caller.is_admin();
    let all = call.context.accounts.tokens(if is_admin { None } else { user });
    let found = all.into_iter().find(|token| token.id == id && call.caller != Caller::Open);
    let (Some(token), Ok(number)) = (found, id.parse()) else {
        return Err(Problem::new(404, "no_such_id", "There is no such token.")
            .hint("GET /api/0/auth/tokens lists yours."));
    };
    call.context.accounts.end(Key::Token(number));
    call.note(EventKind::User, None, format!("token {} of {} was dropped", token.name, token.user));
    Ok(no_content())
}

impl Call<'_> {
    /// Carries a command out in the caller's name.
    pub fn act(&self, command: Command) -> Outcome {
        let command = match &self.caller {
            Caller::User(identity) => {
                let user = identity.user.clone();
                Command::By { user, command: Box::new(command) }
            }
            _ => command,
        };
        self.context.engine.act(command)
    }

    /// An entry of the feed in the caller's name.
    pub fn note(&self, kind: EventKind, host: Option<&str>, text: String) {
        let _ = self.act(Command::Note { kind, host: host.map(Into::into), level: None, text });
    }
}

/// A redirect after a form, with a cookie.
pub fn see_other(path: &str, cookie: Option<String>) -> Response {
    let mut headers = vec![("Location", path.to_owned()), ("Cache-Control", "no-store".to_owned())];
    headers.extend(cookie.map(|cookie| ("Set-Cookie", cookie)));
    Response { status: 303, headers, body: crate::web::Body::Static(b"") }
}
