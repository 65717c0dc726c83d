//! The API under `/api/0/` (SPEC sections 8 and 13): JSON out, JSON in, problem documents where it
//! cannot be.

mod alert;
mod calm;
mod event;
mod explain;
mod ghost;
pub mod health;
mod host;
mod json;
mod plugin;
mod threshold;

pub use event::{kinds as event_kinds, page as event_page};
pub use explain::{Explained, explain};
pub use host::find as find_host;
pub use json::EventJson;

use super::live;
use super::problem::Problem;
use super::{Answer, Body, Call, Method, Peer, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Answers `/api/0/REST`.
pub fn respond(call: &Call<'_>, rest: &[&str]) -> Answer {
    match (rest, call.method) {
        (["hosts"], Method::Get) => host::list(call),
        (["hosts"], _) => Err(Problem::not_allowed("GET, HEAD")),
        (["hosts", name], Method::Get) => host::one(call, name),
        (["hosts", name], Method::Delete) => host::drop(call, name),
        (["hosts", _], _) => Err(Problem::not_allowed("GET, HEAD, DELETE")),
        (["hosts", name, "watch"], Method::Put) => host::watch(call, name),
        (["hosts", _, "watch"], _) => Err(Problem::not_allowed("PUT")),
        (["hosts", name, "plugins"], Method::Get) => plugin::all(call, name),
        (["hosts", name, "plugins", plugin], Method::Get) => plugin::samples(call, name, plugin),
        (["hosts", _, "plugins"] | ["hosts", _, "plugins", _], _) => {
            Err(Problem::not_allowed("GET, HEAD"))
        }
        (["hosts", name, "alerts"], Method::Get) => alert::of_host(call, name),
        (["hosts", _, "alerts"], _) => Err(Problem::not_allowed("GET, HEAD")),
        (["alerts" | "silences" | "maintenance" | "thresholds" | "explain", ..], _) => {
            respond_alert(call, rest)
        }
        (["events" | "messages"], Method::Get) => event::list(call),
        (["events" | "messages"], _) => Err(Problem::not_allowed("GET, HEAD")),
        (["live"], Method::Get) => live_frame(call),
        (["live"], _) => Err(Problem::not_allowed("GET, HEAD")),
        (["ghosts"], Method::Get) => ghost::list(call),
        (["ghosts"], _) => Err(Problem::not_allowed("GET, HEAD")),
        (["ghosts", name], Method::Post) => ghost::decide(call, name),
        (["ghosts", _], _) => Err(Problem::not_allowed("POST")),
        (["reload"], Method::Post) => reload(call),
        (["reload"], _) => Err(Problem::not_allowed("POST")),
        _ => Err(unknown_path()),
    }
}

/// Alerts, what is quiet, and the limits. Open while there are no users (SPEC section 6).
fn respond_alert(call: &Call<'_>, rest: &[&str]) -> Answer {
    match (rest, call.method) {
        (["alerts"], Method::Get) => alert::list(call),
        (["alerts"], _) => Err(Problem::not_allowed("GET, HEAD")),
        (["alerts", "ack"], Method::Post) => alert::acknowledge(call),
        (["alerts", "ack"], _) => Err(Problem::not_allowed("POST")),
        (["alerts", "ack", id], Method::Delete) => alert::unacknowledge(call, id),
        (["silences"], Method::Get) => calm::silences(call),
        (["silences"], Method::Post) => calm::silence(call),
        (["silences", id], Method::Delete) => calm::unsilence(call, id),
        (["maintenance"], Method::Get) => calm::maintenances(call),
        (["maintenance"], Method::Post) => calm::plan(call),
        (["silences" | "maintenance"], _) => Err(Problem::not_allowed("GET, HEAD, POST")),
        (["maintenance", id], Method::Delete) => calm::end(call, id),
        (["alerts", "ack", _] | ["silences" | "maintenance", _], _) => {
            Err(Problem::not_allowed("DELETE"))
        }
        (["thresholds"], Method::Get) => threshold::list(call),
        (["explain"], Method::Get) => explain::respond(call),
        (["thresholds" | "explain"], _) => Err(Problem::not_allowed("GET, HEAD")),
        _ => Err(unknown_path()),
    }
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
    let Some(text) = call.query.get(name) else { return Ok(None) };
    match text.parse::<u64>() {
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
    serde_json::from_slice(call.request.body).map_err(|error| {
        if error.is_data() {
            Problem::new(422, "bad_body", format!("The body does not fit: {error}.")).field(field)
        } else {
            Problem::new(400, "bad_json", format!("The body is not JSON: {error}."))
        }
    })
}

/// What needs an owner or an admin is taken from the control socket alone while there are no users
/// (SPEC 6).
fn control_only(call: &Call<'_>, what: &str, command: &'static str) -> Result<(), Problem> {
    if call.request.peer == Peer::Control {
        return Ok(());
    }
    Err(Problem::new(
        403,
        "control_socket_only",
        format!("{what} over the network needs a signed-in user, and no users are configured."),
    )
    .hint(command))
}

/// `GET live?since=EPOCH:SEQ`: what cannot be resumed from, or read, is answered by a snapshot.
fn live_frame(call: &Call<'_>) -> Answer {
    let since = call.query.get("since").and_then(live::parse_since);
    let text = live::get(&call.context.view, since, call.context.now);
    Ok(json_response(text.into_bytes()))
}

fn reload(call: &Call<'_>) -> Answer {
    control_only(call, "Reloading", "Run `hbd reload` on the server, or configure users.")?;
    #[derive(Serialize)]
    struct Changed {
        changed: Vec<String>,
    }
    match call.context.engine.reload() {
        Ok(changed) => ok(&Changed { changed }),
        Err(problems) => {
            let mut problem = Problem::new(
                422,
                "bad_configuration",
                format!("The configuration was not loaded: {}", problems.join("; ")),
            )
            .hint("The old configuration stays. Mend the file and reload again.");
            problem.problems = problems;
            Err(problem)
        }
    }
}
