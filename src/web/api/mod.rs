//! The API under `/api/0/` (SPEC sections 8 and 13): JSON out, JSON in, problem documents where it
//! cannot be.

mod access;
mod alert;
mod auth;
pub mod availability;
pub mod calm;
mod command;
mod dns;
mod event;
mod explain;
mod ghost;
pub mod health;
mod host;
mod json;
mod key;
mod notify;
mod openapi;
mod plugin;
mod series;
mod threshold;
mod user;

pub use auth::{cookie, no_cookie, see_other, sign_in, sign_out};
pub use event::{kinds as event_kinds, page as event_page};
pub use explain::{Explained, explain};
pub use host::find as find_host;
pub use json::EventJson;

use super::authz::{self, Admin};
use super::live;
use super::problem::Problem;
use super::route::{self, Handle, Route};
use super::{Answer, Body, Call, ConfigChange, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::borrow::Cow;

const CONFIGURE_USERS: &str =
    "Write users: into the configuration; hbd passwd USER makes the password line.";

/// What there is under `/api/0/`, with the right that each takes. An area's rows stand together.
pub const ROUTES: &[Route] = &[
    Route::get("openapi.json", Handle::Public(openapi::respond)),
    Route::get("hosts", Handle::Reader(host::list)),
    Route::get("hosts/{host}", Handle::Monitor(host::one)),
    Route::delete("hosts/{host}", Handle::Owner(host::drop))
        .closed("Dropping a host", "Run `hbd drop HOST --yes` on the server, or configure users."),
    Route::put("hosts/{host}/watch", Handle::Manager(host::watch)),
    Route::post("hosts/{host}/dns", Handle::Manager(dns::update)),
    Route::get("hosts/{host}/plugins", Handle::Monitor(plugin::all)),
    Route::get("hosts/{host}/plugins/{plugin}", Handle::Monitor(plugin::samples)),
    Route::get("hosts/{host}/series", Handle::Monitor(series::respond)),
    Route::get("hosts/{host}/availability", Handle::Monitor(availability::respond)),
    // What sealed hosts are asked to do.
    Route::get("hosts/{host}/commands", Handle::Manager(command::list)),
    Route::post("hosts/{host}/commands", Handle::Manager(command::run))
        .closed("Running a command", "Run `hbd run HOST NAME` on the server, or configure users."),
    Route::post("hosts/{host}/upgrade", Handle::Manager(command::upgrade))
        .closed("Upgrading a host", "Run `hbd upgrade HOST` on the server, or configure users."),
    // Alerts and what is quiet.
    Route::get("hosts/{host}/alerts", Handle::Monitor(alert::of_host)),
    Route::get("alerts", Handle::Reader(alert::list)),
    Route::post("alerts/ack", Handle::Member(alert::acknowledge)),
    Route::delete("alerts/ack/{id}", Handle::Member(alert::unacknowledge)),
    Route::get("silences", Handle::Reader(calm::silences)),
    Route::post("silences", Handle::Member(calm::silence)),
    Route::delete("silences/{id}", Handle::Member(calm::unsilence)),
    Route::get("maintenance", Handle::Reader(calm::maintenances)),
    Route::post("maintenance", Handle::Member(calm::plan)),
    Route::delete("maintenance/{id}", Handle::Member(calm::end)),
    Route::get("thresholds", Handle::Reader(threshold::list)),
    Route::get("explain", Handle::Reader(explain::respond)),
    // The feed and the fleet as it changes.
    Route::get("events", Handle::Reader(event::list)),
    Route::get("messages", Handle::Reader(event::list)),
    Route::get("live", Handle::Reader(live_frame)),
    // Users, and what they may.
    Route::post("auth/login", Handle::Public(auth::login)),
    Route::post("auth/logout", Handle::Public(auth::logout)),
    Route::get("auth/me", Handle::Reader(auth::me)),
    Route::get("auth/sessions", Handle::Reader(auth::sessions)),
    Route::delete("auth/sessions/{id}", Handle::Member(auth::end_session))
        .closed("Ending a session", "No users are configured: nobody is signed in."),
    Route::get("auth/tokens", Handle::Reader(auth::tokens)),
    Route::post("auth/tokens", Handle::Member(auth::make_token))
        .closed("Making a token", "Configure users first: a token belongs to one."),
    Route::delete("auth/tokens/{id}", Handle::Member(auth::drop_token))
        .closed("Dropping a token", "Run `hbd token drop ID` on the server."),
    Route::get("users", Handle::Admin(user::list)).closed("Seeing users", CONFIGURE_USERS),
    Route::put("users/{user}", Handle::Admin(user::put)).closed("Making a user", CONFIGURE_USERS),
    Route::delete("users/{user}", Handle::Admin(user::drop))
        .closed("Removing a user", CONFIGURE_USERS),
    Route::get("hosts/{host}/access", Handle::Monitor(access::show)),
    Route::put("hosts/{host}/access", Handle::Owner(access::change))
        .closed("Changing access", CONFIGURE_USERS),
    Route::put("hosts/{host}/tags", Handle::Manager(access::tags)),
    // The server.
    Route::get("config", Handle::Admin(user::config)),
    Route::get("ghosts", Handle::Admin(ghost::list)),
    Route::post("ghosts/{name}", Handle::Admin(ghost::decide)).closed(
        "Accepting or ignoring a name",
        "Run `hbd ghosts accept NAME` on the server, or configure users.",
    ),
    Route::get("keys", Handle::Admin(key::list))
        .closed("Listing keys", "Run `hbd key list` on the server, or configure users."),
    Route::post("keys", Handle::Admin(key::load))
        .closed("Loading keys", "Run `hbd reload` on the server, or configure users."),
    Route::post("notify-test", Handle::Admin(notify::test))
        .closed("Testing channels", "Run `hbd notify-test` on the server, or configure users."),
    Route::get("reload/preview", Handle::Admin(preview)),
    Route::post("reload", Handle::Admin(reload))
        .closed("Reloading", "Run `hbd reload` on the server, or configure users."),
];

/// Answers `/api/0/REST`.
pub fn respond<'a>(call: &mut Call<'a>, rest: &[Cow<'a, str>]) -> Answer {
    route::dispatch(&[ROUTES], call, rest).unwrap_or_else(|| {
        authz::signed_in(call)?;
        Err(unknown_path())
    })
}

fn unknown_path() -> Problem {
    Problem::new(404, "no_such_path", "The API has nothing at this path.")
        .hint("docs/HTTP_API.md lists what it has, all under /api/0/.")
}

/// A JSON answer.
pub fn ok(body: &impl Serialize) -> Answer {
    let bytes = serde_json::to_vec(body).map_err(|error| {
        Problem::new(500, "not_serialised", format!("The answer cannot be written: {error}."))
    })?;
    Ok(json_response(bytes))
}

fn json_response(bytes: Vec<u8>) -> Response {
    Response {
        status: 200,
        headers: vec![
            ("Content-Type", "application/json".to_owned()),
            ("Cache-Control", "no-store".to_owned()),
        ],
        body: Body::Owned(bytes),
    }
}

/// The parameter `name` as a number in `range`.
fn number(
    call: &Call<'_>,
    name: &'static str,
    range: std::ops::RangeInclusive<u64>,
) -> Result<Option<u64>, Problem> {
    if !call.query.has(name) {
        return Ok(None);
    }
    match call.query.get(name).unwrap_or_default().parse::<u64>() {
        Ok(value) if range.contains(&value) => Ok(Some(value)),
        _ => Err(Problem::new(400, "bad_parameter", format!("{name} is not a number in range."))
            .hint(format!("Give a whole number from {} to {}.", range.start(), range.end()))
            .field(name)),
    }
}

/// A change that has nothing to say.
fn no_content() -> Response {
    Response { status: 204, headers: Vec::new(), body: Body::Static(b"") }
}

/// 415 where the body is not declared as JSON.
fn check_json(call: &Call<'_>) -> Result<(), Problem> {
    let kind = call.request.header("content-type").unwrap_or("");
    let essence = kind.split(';').next().unwrap_or("").trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(Problem::new(415, "not_json", "The body is not declared as JSON.")
            .hint("Send Content-Type: application/json."));
    }
    Ok(())
}

/// The body as `T`. 415, 400 or 422 where it is not.
fn body<T: DeserializeOwned>(call: &Call<'_>, field: &'static str) -> Result<T, Problem> {
    check_json(call)?;
    // serde takes a list for the members of a struct, in their order.
    if call.request.body.trim_ascii_start().starts_with(b"[") {
        return Err(Problem::new(422, "bad_body", "The body is a list, and must be an object."));
    }
    serde_json::from_slice(call.request.body).map_err(|error| {
        if !error.is_data() {
            return Problem::new(400, "bad_json", format!("The body is not JSON: {error}."));
        }
        let what = error.to_string();
        let at = member_at(call.request.body, error.line(), error.column());
        let member = missing_member(&what).or_else(|| known_member(&at?));
        Problem::new(422, "bad_body", format!("The body does not fit: {what}."))
            .field(member.unwrap_or(field))
    })
}

/// The member that a body lacks, as serde names it.
fn missing_member(what: &str) -> Option<&'static str> {
    known_member(what.strip_prefix("missing field `")?.split('`').next()?)
}

/// Members of bodies, as `field` names them.
fn known_member(name: &str) -> Option<&'static str> {
    const MEMBERS: &[&str] = &[
        "admin",
        "args",
        "channel",
        "days",
        "do",
        "duration",
        "end",
        "expires",
        "full_name",
        "group",
        "groups",
        "hosts",
        "ids",
        "managers",
        "match",
        "monitors",
        "name",
        "notification_channels",
        "owner",
        "password",
        "reason",
        "remember",
        "repeat",
        "scope",
        "start",
        "tags",
        "ttl",
        "until",
        "user",
        "username",
        "version",
        "watch",
        "zone",
    ];
    MEMBERS.iter().copied().find(|known| *known == name)
}

/// The member of an object's text in which a line and column, both from 1, lie.
fn member_at(body: &[u8], line: usize, column: usize) -> Option<String> {
    let before =
        body.split_inclusive(|byte| *byte == b'\n').take(line.checked_sub(1)?).map(<[u8]>::len);
    let end = (before.sum::<usize>() + column).min(body.len());
    let (mut depth, mut text, mut last, mut at) = (0_u32, None, None, 0);
    while at < end {
        match body[at] {
            b'"' => {
                let from = at + 1;
                at = from;
                while at < body.len() && body[at] != b'"' {
                    at += if body[at] == b'\\' { 2 } else { 1 };
                }
                text = body.get(from..at);
            }
            b':' if depth == 1 => last = text,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    last.map(|name| String::from_utf8_lossy(name).into_owned())
}

/// `GET live?since=EPOCH:SEQ&scope=`: what cannot be resumed from, or read, is answered by a snapshot.
fn live_frame(call: &Call<'_>) -> Answer {
    let since = call.query.get("since").and_then(live::parse_since);
    let scope = match call.query.get("scope") {
        Some("all") => authz::reach(&call.caller),
        _ => authz::live_scope(&call.caller),
    };
    let text = live::get_scoped(&call.whole, since, call.context.now, &scope);
    Ok(json_response(text.into_bytes()))
}

fn reload(call: &Call<'_>, _: &Admin) -> Answer {
    #[derive(Serialize)]
    struct Changed {
        changed: Vec<String>,
    }
    match call.context.engine.reload() {
        Ok(changed) => ok(&Changed { changed }),
        Err(problems) => Err(not_loaded("was not loaded", problems)),
    }
}

/// `GET reload/preview`: what a reload would change.
fn preview(call: &Call<'_>, _: &Admin) -> Answer {
    #[derive(Serialize)]
    struct Preview {
        changes: Vec<ConfigChange>,
    }
    match call.context.engine.preview() {
        Ok(changes) => ok(&Preview { changes }),
        Err(problems) => Err(not_loaded("would not be loaded", problems)),
    }
}

fn not_loaded(what: &str, problems: Vec<String>) -> Problem {
    let detail = format!("The configuration {what}: {}", problems.join("; "));
    let mut problem = Problem::new(422, "bad_configuration", detail)
        .hint("The old configuration stays. Mend the file and reload again.");
    problem.problems = problems;
    problem
}

#[cfg(test)]
mod tests {
    use super::member_at;

    #[test]
    fn member_is_found_by_its_place() {
        let body = b"{\"a\": \"x:\\\"{\",\n \"b\": {\"c\": [1]}, \"d\": 5}";
        let at = |line, column| member_at(body, line, column);
        let name = |name: &str| Some(name.to_owned());
        assert_eq!((at(1, 2), at(1, 9), at(1, 90)), (None, name("a"), name("d")));
        assert_eq!((at(2, 8), at(2, 15), at(2, 25)), (name("b"), name("b"), name("d")));
        assert_eq!((at(0, 0), at(9, 9)), (None, name("d")));
    }
}
