//! `openapi.json`: what the API takes and gives, for programs. Made from the table of operations below, which a
//! test holds against the table of routes.

mod schema;

use super::json_response;
use crate::web::route::{Handle, Route};
use crate::web::{Answer, Call, Method};
use serde_json::{Map, Value, json};
use std::sync::OnceLock;

/// One operation: which row of the routes, in a sentence what it does, and its shapes by name
/// (`schema::SHAPES`).
struct Operation {
    method: Method,
    path: &'static str,
    about: &'static str,
    /// Parameters of the query, by name (`schema::PARAMETERS`).
    query: &'static [&'static str],
    body: Option<&'static str>,
    /// The status of success, and the shape of what it answers with.
    answer: (u16, Option<&'static str>),
    /// Other statuses than those that every operation has.
    also: &'static [u16],
}

const fn get(
    path: &'static str,
    about: &'static str,
    query: &'static [&'static str],
    shape: &'static str,
) -> Operation {
    let also: &[u16] = if query.is_empty() { &[] } else { &[400] };
    Operation {
        method: Method::Get,
        path,
        about,
        query,
        body: None,
        answer: (200, Some(shape)),
        also,
    }
}

const fn write(
    method: Method,
    path: &'static str,
    about: &'static str,
    body: Option<&'static str>,
    answer: (u16, Option<&'static str>),
    also: &'static [u16],
) -> Operation {
    Operation { method, path, about, query: &[], body, answer, also }
}

const ALERT_QUERY: &[&str] = &["level", "plugin", "all", "alert_kind"];
const ALERTS_QUERY: &[&str] = &["level", "host_globs", "plugin", "all", "alert_kind"];
const EVENT_QUERY: &[&str] = &["limit_events", "before", "host", "kind"];
const HOST_QUERY: &[&str] =
    &["q", "state", "severity", "tag", "group", "sort", "limit_hosts", "offset"];

use Method::{Delete, Post, Put};

const OPERATIONS: &[Operation] = &[
    get("openapi.json", "This description.", &[], "Any"),
    get("hosts", "Hosts that one owns or manages.", HOST_QUERY, "Hosts"),
    get("hosts/{host}", "One host, with its roles and os_info.", &[], "HostWhole"),
    write(Delete, "hosts/{host}", "Forgets a host.", None, (204, None), &[]),
    write(
        Put,
        "hosts/{host}/watch",
        "Switches a host's notices.",
        Some("Watch"),
        (200, Some("Watch")),
        &[],
    ),
    get("hosts/{host}/plugins", "The latest data of each plugin.", &[], "Plugins"),
    get(
        "hosts/{host}/plugins/{plugin}",
        "The last samples of a plugin, oldest first.",
        &["limit_samples", "format"],
        "Samples",
    ),
    get(
        "hosts/{host}/series",
        "Metrics over time, in buckets.",
        &["metrics", "from", "to", "points", "format"],
        "Series",
    ),
    get(
        "hosts/{host}/availability",
        "How much of each day a host was up.",
        &["days", "format"],
        "Availability",
    ),
    get("hosts/{host}/access", "Who has which role.", &[], "Access"),
    write(
        Put,
        "hosts/{host}/access",
        "Changes who has which role.",
        Some("AccessWish"),
        (200, Some("Access")),
        &[],
    ),
    write(
        Put,
        "hosts/{host}/tags",
        "Changes tags and group.",
        Some("TagsWish"),
        (200, Some("Tags")),
        &[],
    ),
    get("hosts/{host}/alerts", "What is wrong with a host.", ALERT_QUERY, "Alerts"),
    get("alerts", "What is wrong.", ALERTS_QUERY, "Alerts"),
    write(
        Post,
        "alerts/ack",
        "Acknowledges alerts.",
        Some("AckWish"),
        (200, Some("Acks")),
        &[404, 429],
    ),
    write(Delete, "alerts/ack/{id}", "Takes an acknowledgement back.", None, (204, None), &[]),
    get("silences", "What is silenced.", &[], "Silences"),
    write(
        Post,
        "silences",
        "Silences a scope until a time.",
        Some("SilenceWish"),
        (201, Some("Made")),
        &[404, 429],
    ),
    write(Delete, "silences/{id}", "Ends a silence.", None, (204, None), &[]),
    get("maintenance", "What is planned.", &[], "Maintenances"),
    write(
        Post,
        "maintenance",
        "Plans a window.",
        Some("MaintenanceWish"),
        (201, Some("Made")),
        &[404, 429],
    ),
    write(Delete, "maintenance/{id}", "Ends or cancels a window.", None, (204, None), &[409]),
    get("thresholds", "The limits that count for a host.", &["host"], "Thresholds"),
    get("explain", "Why a metric has its level.", &["host_needed", "metric", "value"], "Any"),
    get("events", "The event feed, newest first.", EVENT_QUERY, "Events"),
    get("messages", "The same as events.", EVENT_QUERY, "Events"),
    get("live", "The fleet: a snapshot, or what changed since.", &["since", "scope"], "Frame"),
    write(
        Post,
        "auth/login",
        "Opens a session.",
        Some("Credentials"),
        (200, Some("Welcome")),
        &[409, 429],
    ),
    write(Post, "auth/logout", "Ends the session that is shown.", None, (204, None), &[]),
    get("auth/me", "Who one is.", &[], "Me"),
    get("auth/sessions", "Where one is signed in.", &["all"], "Sessions"),
    write(Delete, "auth/sessions/{id}", "Ends a session.", None, (204, None), &[]),
    get("auth/tokens", "One's tokens.", &[], "Tokens"),
    write(
        Post,
        "auth/tokens",
        "Makes a token; it is shown this once.",
        Some("TokenWish"),
        (201, Some("TokenMade")),
        &[409, 429],
    ),
    write(Delete, "auth/tokens/{id}", "Drops a token.", None, (204, None), &[]),
    get("users", "Who may sign in.", &[], "Users"),
    write(
        Put,
        "users/{user}",
        "Makes or changes a user.",
        Some("UserWish"),
        (204, None),
        &[201, 409, 429],
    ),
    write(Delete, "users/{user}", "Removes a user.", None, (204, None), &[409]),
    get("config", "What is in force and where it was written.", &[], "Config"),
    write(
        Post,
        "notify-test",
        "Sends a test notice.",
        Some("TestWish"),
        (200, Some("Any")),
        &[404, 409, 429],
    ),
    get("hosts/{host}/commands", "What a host was asked to run, newest first.", &[], "Commands"),
    write(
        Post,
        "hosts/{host}/commands",
        "Has a sealed host run one of its own commands.",
        Some("CommandWish"),
        (202, Some("Queued")),
        &[409, 429],
    ),
    write(
        Post,
        "hosts/{host}/upgrade",
        "Has a sealed host update its agent.",
        Some("UpgradeWish"),
        (202, Some("Queued")),
        &[409, 429],
    ),
    write(
        Post,
        "hosts/{host}/dns",
        "Has the host's record made anew.",
        Some("Nothing"),
        (202, Some("Nothing")),
        &[409],
    ),
    get("keys", "Which pre-shared keys there are.", &[], "Keys"),
    write(Post, "keys", "Reads the file of keys anew.", None, (204, None), &[422]),
    get("ghosts", "Names that were refused.", &[], "Ghosts"),
    write(
        Post,
        "ghosts/{name}",
        "Accepts or ignores a name.",
        Some("GhostWish"),
        (200, Some("GhostWish")),
        &[],
    ),
    Operation {
        also: &[422],
        ..get("reload/preview", "What a reload would change; secrets masked.", &[], "Preview")
    },
    write(Post, "reload", "Loads the configuration again.", None, (200, Some("Changed")), &[422]),
];

/// Where no body means one without members.
const BODY_OPTIONAL: [&str; 3] = ["notify-test", "hosts/{host}/upgrade", "hosts/{host}/dns"];

/// `GET openapi.json`
pub fn respond(_: &Call<'_>) -> Answer {
    static TEXT: OnceLock<Vec<u8>> = OnceLock::new();
    let text = TEXT.get_or_init(|| document(super::ROUTES).to_string().into_bytes());
    Ok(json_response(text.clone()))
}

fn document(routes: &[Route]) -> Value {
    let mut paths = Map::new();
    for route in routes {
        let known = OPERATIONS.iter().find(|o| o.method == route.method && o.path == route.path);
        let path = paths.entry(format!("/api/0/{}", route.path)).or_insert_with(|| json!({}));
        let method = route.method.as_str().to_ascii_lowercase();
        path[method] =
            known.map_or_else(|| unknown(route), |operation| described(route, operation));
    }
    json!({
        "openapi": "3.0.3",
        "info": {
            "title": "Heartbeat",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "docs/HTTP_API.md tells it in full.",
            "license": { "name": "MIT" },
        },
        "paths": paths,
        "components": {
            "schemas": schema::all(),
            "securitySchemes": {
                "session": { "type": "apiKey", "in": "cookie", "name": "hb_session" },
                "token": { "type": "http", "scheme": "bearer" },
            },
        },
        "security": [{ "token": [] }, { "session": [] }],
    })
}

/// A row that is not described yet: its path and its problems at least.
fn unknown(route: &Route) -> Value {
    json!({
        "operationId": name_of(route),
        "parameters": places(route.path),
        "responses": { "default": problem("A problem, or the answer.") },
    })
}

fn described(route: &Route, operation: &Operation) -> Value {
    let mut responses = Map::new();
    let (status, shape) = operation.answer;
    let mut done = answer(shape);
    if operation.query.contains(&"format") {
        done["content"]["text/csv"] = json!({ "schema": { "type": "string" } });
    }
    responses.insert(status.to_string(), done);
    let mut add = |status: u16, words: &str| {
        responses.entry(status.to_string()).or_insert_with(|| match status {
            201 => answer(None),
            _ => problem(words),
        });
    };
    operation.also.iter().for_each(|status| add(*status, "See the code and the hint."));
    if !matches!(route.handle, Handle::Public(_)) || operation.path == "auth/login" {
        add(401, "Sign in first, or the password is wrong.");
    }
    add(403, "A right is missing, or the request comes from elsewhere.");
    if operation.path.contains('{') || operation.query.iter().any(|q| q.starts_with("host")) {
        add(404, "There is none, or one may not see it.");
    }
    if operation.body.is_some() {
        add(400, "The body is not JSON.");
        add(415, "The body is not declared as JSON.");
        add(422, "The body does not fit.");
    }
    if operation.path.contains("{user}") {
        add(422, "That is not a name of a user.");
    }
    add(421, "The Host header is not this server's.");
    add(503, "The server could not carry it out now.");
    let mut parameters = places(route.path);
    parameters.extend(operation.query.iter().map(|name| schema::parameter(name)));
    let mut described = json!({
        "operationId": name_of(route),
        "summary": operation.about,
        "description": format!("Right: {}.", route.handle.right()),
        "parameters": parameters,
        "responses": responses,
    });
    if let Handle::Public(_) = route.handle {
        described["security"] = json!([]);
    }
    if let Some(shape) = operation.body {
        described["requestBody"] = json!({
            "required": !BODY_OPTIONAL.contains(&operation.path),
            "content": { "application/json": { "schema": schema::reference(shape) } },
        });
    }
    described
}

/// `put_hosts_host_watch`
fn name_of(route: &Route) -> String {
    let path = route.path.replace(['{', '}'], "").replace(['/', '.'], "_");
    format!("{}_{path}", route.method.as_str().to_ascii_lowercase())
}

fn places(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names
        .map(|name| {
            let schema = json!({ "type": "string", "minLength": 1, "maxLength": 256 });
            json!({ "name": name, "in": "path", "required": true, "schema": schema })
        })
        .collect()
}

fn answer(shape: Option<&str>) -> Value {
    match shape {
        Some(shape) => json!({
            "description": "Done.",
            "content": { "application/json": { "schema": schema::reference(shape) } },
        }),
        None => json!({ "description": "Done." }),
    }
}

fn problem(words: &str) -> Value {
    json!({
        "description": words,
        "content": { "application/problem+json": { "schema": schema::reference("Problem") } },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let name = |method: Method, path: &str| format!("{} {path}", method.as_str());
        let routes: BTreeSet<_> =
            super::super::ROUTES.iter().map(|r| name(r.method, r.path)).collect();
        let described: BTreeSet<_> = OPERATIONS.iter().map(|o| name(o.method, o.path)).collect();
        let undescribed: Vec<_> = routes.difference(&described).collect();
        assert!(undescribed.is_empty(), "{undescribed:?}");
        assert_eq!(described.difference(&routes).count(), 0);
        assert_eq!(described.len(), OPERATIONS.len(), "one is described twice");
    }

    #[test]
    fn every_shape_that_is_named_is_there() {
        let text = document(super::super::ROUTES).to_string();
        let all = schema::all();
        for part in text.split("#/components/schemas/").skip(1) {
            let name = part.split('"').next().unwrap_or_default();
            assert!(all.get(name).is_some(), "{name}");
        }
        for operation in OPERATIONS {
            for name in operation.query {
                assert!(schema::parameter(name)["name"].is_string(), "{name}");
            }
        }
    }
}
