//! `users`: who may sign in. Changes go into the overlay, never into the configuration file.

use super::{body, no_content, ok};
use crate::account::password::{Hash, PASSWORD_MAX};
use crate::config::server::{ChannelOverlay, Level, Server, User, UserOverlay, is_user_name};
use crate::engine::view::EventKind;
use crate::limits;
use crate::text;
use crate::web::authz::Admin;
use crate::web::problem::Problem;
use crate::web::{Answer, Call, Change};
use serde::{Deserialize, Serialize};
use serde_json::Value;

const FULL_NAME_MAX: usize = 128;
const CHANNELS_MAX: usize = 64;

/// A user without the hash.
#[derive(Serialize)]
struct UserJson<'a> {
    name: &'a str,
    full_name: &'a str,
    avatar: Option<&'a str>,
    admin: bool,
    /// Whether there is a password to sign in with.
    can_sign_in: bool,
    notification_channels: Vec<ChannelJson<'a>>,
    /// Where it was said last: `config`, `api`, or `both`.
    origin: &'static str,
}

/// A destination of one's own may be a key: it is not told.
#[derive(Serialize)]
struct ChannelJson<'a> {
    channel: &'a str,
    own_destination: bool,
    min_level: Option<&'static str>,
}

/// `GET users`
pub fn list(call: &Call<'_>, _: &Admin) -> Answer {
    #[derive(Serialize)]
    struct List<'a> {
        users: Vec<UserJson<'a>>,
    }
    let config = &call.context.config;
    let users = config.users.iter().map(|(name, user)| shown(config, name, user));
    ok(&List { users: users.collect() })
}

fn shown<'a>(config: &'a Server, name: &'a str, user: &'a User) -> UserJson<'a> {
    let in_file = config.origins.contains_key(&format!("users.{name}"));
    UserJson {
        name,
        full_name: &user.full_name,
        avatar: user.avatar.as_deref(),
        admin: user.admin,
        can_sign_in: user.password.is_some(),
        notification_channels: user
            .notification_channels
            .iter()
            .map(|own| ChannelJson {
                channel: &own.channel,
                own_destination: !own.to.is_empty(),
                min_level: own.min_level.map(Level::as_str),
            })
            .collect(),
        origin: match (in_file, config.overlay.users.contains_key(name)) {
            (true, true) => "both",
            (false, true) => "api",
            _ => "config",
        },
    }
}

/// `PUT users/U {full_name,admin,password,notification_channels}`; what is absent stays. `password` is
/// the password itself, or a line that `hbd passwd` printed.
pub fn put(call: &Call<'_>, _: &Admin) -> Answer {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wish {
        full_name: Option<String>,
        admin: Option<bool>,
        password: Option<String>,
        notification_channels: Option<Vec<Value>>,
    }
    let name = call.param("user");
    if !is_user_name(name) {
        return Err(Problem::new(422, "bad_name", "That is not a name of a user.")
            .hint("Use a-z, 0-9, '.', '_' and '-', at most 32, beginning with a letter or digit.")
            .field("user"));
    }
    let wish: Wish = body(call, "full_name")?;
    let config = &call.context.config;
    let is_new = !config.users.contains_key(name);
    if is_new && config.overlay.users.len() >= limits::USERS {
        return Err(Problem::new(429, "full", "There are too many users made through the API."));
    }
    if wish.full_name.as_ref().is_some_and(|full| is_bad_text(full)) {
        let detail = format!("A full name is at most {FULL_NAME_MAX} bytes of printable text.");
        return Err(Problem::new(422, "bad_body", detail).field("full_name"));
    }
    let password = wish.password.map(|password| hashed(call, &password)).transpose()?;
    let channels = wish.notification_channels.map(|list| channels(config, &list)).transpose()?;
    let changes_password = password.is_some();
    let over = UserOverlay {
        removed: false,
        full_name: wish.full_name,
        admin: wish.admin,
        password,
        notification_channels: channels,
    };
    call.context.accounts.change(Change::User(name.to_owned(), over))?;
    let verb = if is_new { "made" } else { "changed" };
    call.note(EventKind::User, None, format!("user {name} was {verb}"));
    if changes_password && !is_new {
        let text = format!("the password of {name} was changed");
        call.note(EventKind::Security, None, text);
    }
    let mut response = no_content();
    response.status = if is_new { 201 } else { 204 };
    Ok(response)
}

fn is_bad_text(text: &str) -> bool {
    text.trim().is_empty() || text.len() > FULL_NAME_MAX || text.chars().any(text::is_hostile)
}

fn hashed(call: &Call<'_>, password: &str) -> Result<String, Problem> {
    if Hash::parse(password).is_some() {
        return Ok(password.to_owned());
    }
    if password.is_empty() || password.len() > PASSWORD_MAX {
        let detail = format!("A password has 1 to {PASSWORD_MAX} bytes.");
        return Err(Problem::new(422, "bad_body", detail).field("password"));
    }
    call.context.accounts.hash(password).map_err(|refused| refused.problem())
}

/// Names of channels, or `{channel, to, min_level}`.
fn channels(config: &Server, list: &[Value]) -> Result<Vec<ChannelOverlay>, Problem> {
    let bad = |detail: String| {
        Problem::new(422, "bad_body", detail)
            .hint("Give names of channels, or {\"channel\": NAME, \"to\": …, \"min_level\": …}.")
            .field("notification_channels")
    };
    if list.len() > CHANNELS_MAX {
        return Err(bad(format!("notification_channels has more than {CHANNELS_MAX} items.")));
    }
    let one = |item: &Value| {
        let name = item.as_str().or(item["channel"].as_str());
        let name = name.ok_or_else(|| bad("An entry names no channel.".to_owned()))?;
        if !config.channels.contains_key(name) {
            let shown = text::escape_control(text::cut(name, 64)).into_owned();
            return Err(bad(format!("There is no channel {shown:?}.")));
        }
        let to = match &item["to"] {
            Value::Null => Vec::new(),
            Value::String(one) => vec![one.clone()],
            Value::Array(list) => {
                list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            }
            _ => return Err(bad("to is a text or a list of texts.".to_owned())),
        };
        let min_level = item["min_level"].as_str().map(str::to_owned);
        if min_level.as_deref().is_some_and(|level| Level::parse(level).is_none()) {
            return Err(bad("min_level is info, warning, unknown or critical.".to_owned()));
        }
        Ok(ChannelOverlay { channel: name.to_owned(), to, min_level })
    };
    list.iter().map(one).collect()
}

/// `DELETE users/U`
pub fn drop(call: &Call<'_>, _: &Admin) -> Answer {
    let name = call.param("user");
    if !call.context.config.users.contains_key(name) {
        return Err(Problem::new(404, "no_such_user", "There is no such user.")
            .hint("GET /api/0/users lists them."));
    }
    call.context.accounts.change(Change::UserGone(name.to_owned()))?;
    call.note(EventKind::User, None, format!("user {name} was removed"));
    Ok(no_content())
}

/// `GET config`: what is in force, each value with where it was written, secrets masked.
pub fn config(call: &Call<'_>, _: &Admin) -> Answer {
    Ok(super::json_response(call.context.accounts.settings().as_bytes().to_vec()))
}
