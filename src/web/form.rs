//! Posted forms: the field `do` and its companions become the same request that a program would
//! send to the API, and its answer a redirect back to the page (docs/HTTP_API.md lists the fields).
//!
//! Decides nothing: rights, checks and effects are those of the API's route.

use super::api;
use super::authz;
use super::http::{Method, Request};
use super::page;
use super::problem::Problem;
use super::query::{self, Query};
use super::{Answer, Call};
use crate::time::{Duration, Wall, parse_duration};
use serde_json::{Map, Value, json};

/// A longer silence needs a reason.
const REASON_FROM: Duration = Duration::from_secs(86_400);

/// A request to the API.
#[derive(Debug, PartialEq)]
struct Order {
    method: Method,
    /// Below `/api/0/`, encoded.
    path: String,
    body: Value,
}

impl Order {
    fn new(method: Method, path: impl Into<String>, body: Value) -> Order {
        Order { method, path: path.into(), body }
    }
}

/// The fields of a posted form; 415 where the body is none.
pub fn fields<'a>(call: &Call<'a>) -> Result<Query<'a>, Problem> {
    let kind = call.request.header("content-type").unwrap_or("");
    let essence = kind.split(';').next().unwrap_or("").trim();
    match std::str::from_utf8(call.request.body) {
        Ok(body) if essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") => {
            Ok(Query::parse(body))
        }
        _ => Err(Problem::new(415, "not_a_form", "The body is not a form.")
            .hint("Send Content-Type: application/x-www-form-urlencoded.")),
    }
}

/// `POST` of a page's form to the page's own path.
pub fn respond(call: &Call<'_>) -> Answer {
    let form = fields(call)?;
    if let Some("theme" | "zone" | "keys" | "notices" | "live") = form.get("do") {
        return page::choose(call);
    }
    if form.get("do") == Some("hash") {
        authz::admin(call, authz::Unowned::Open)?;
        let password = form.get("password").ok_or_else(|| missing("password"))?;
        let hash = call.context.accounts.hash(password).map_err(|refused| refused.problem())?;
        return page::hashed(call, form.get("user").unwrap_or("alice"), &hash);
    }
    authz::may_change(call, authz::Unowned::Open)?;
    let mut response = Err(missing("host"));
    let mut made = Vec::new();
    for order in orders(call, &form)? {
        let answer = carry_out(call, &order)?;
        made.push(serde_json::from_slice(answer.body.as_bytes()).unwrap_or_default());
        response = Ok(answer);
    }
    let response = response?;
    match (response.status, form.get("do")) {
        // It is shown once, and nowhere afterwards.
        (201, Some("token-new")) => page::token(call, response.body.as_bytes()),
        (200, Some("notify-test")) => page::test_result(call, response.body.as_bytes()),
        _ => {
            let told = page::told_cookie(call, &form, &made);
            Ok(api::see_other(&back(call, &form), told))
        }
    }
}

/// The page again; a host that was dropped has none.
fn back(call: &Call<'_>, form: &Query<'_>) -> String {
    match form.get("do") {
        Some("drop") => "/live".to_owned(),
        _ => page::here(call),
    }
}

fn carry_out(call: &Call<'_>, order: &Order) -> Answer {
    let body = order.body.to_string().into_bytes();
    let headers = [("Content-Type", "application/json")];
    let request = Request {
        method: order.method,
        path: &order.path,
        query: "",
        headers: &headers,
        body: if order.body.is_null() { b"" } else { &body },
        ..call.request.clone()
    };
    let segments = super::route::segments(&order.path).unwrap_or_default();
    let mut inner = Call {
        context: call.context,
        request: &request,
        caller: call.caller.clone(),
        whole: call.whole.clone(),
        query: Query::default(),
        method: order.method,
        params: Vec::new(),
    };
    api::respond(&mut inner, &segments)
}

/// One request, or one for each host that was chosen; it is on to the next only where the one before was taken.
fn orders(call: &Call<'_>, form: &Query<'_>) -> Result<Vec<Order>, Problem> {
    let hosts: Vec<&str> = form.all("host").collect();
    let ids: Vec<&str> = form.all("id").collect();
    match form.get("do") {
        Some("silence") if ids.len() > 1 => {
            reason_for(call, form)?;
            let one = |id: &&str| {
                let (host, path) = id.split_once('/').unwrap_or((id, "host"));
                let mut body = silence(call, form, Some(host));
                body["match"]["path"] = Value::from(path);
                Order::new(Method::Post, "silences", body)
            };
            Ok(ids.iter().map(one).collect())
        }
        Some("silence") if hosts.len() > 1 => {
            reason_for(call, form)?;
            let one =
                |host: &&str| Order::new(Method::Post, "silences", silence(call, form, Some(host)));
            Ok(hosts.iter().map(one).collect())
        }
        Some("tag-hosts") => hosts.iter().map(|host| tagged(call, form, host)).collect(),
        // What was done to several is taken back from each.
        Some("unack" | "unsilence" | "end") if form.all("id").count() > 1 => {
            form.all("id").map(|id| over(form.get("do").unwrap_or_default(), id)).collect()
        }
        _ => Ok(vec![order(call, form)?]),
    }
}

/// The tags that a host has, some more and without some.
fn tagged(call: &Call<'_>, form: &Query<'_>, name: &str) -> Result<Order, Problem> {
    let host = api::find_host(&call.context.view, name)?;
    let words = |name: &'static str| form.all(name).flat_map(split).collect::<Vec<_>>();
    let (add, remove) = (words("add"), words("remove"));
    let own = host.tags.iter().map(|tag| &**tag).filter(|tag| !add.contains(tag));
    let tags: Vec<&str> =
        own.chain(add.iter().copied()).filter(|tag| !remove.contains(tag)).collect();
    let path = format!("hosts/{}/tags", query::encode(name));
    Ok(Order::new(Method::Put, path, json!({ "tags": tags })))
}

fn order(call: &Call<'_>, form: &Query<'_>) -> Result<Order, Problem> {
    use Method::Post;
    let text = |name: &str| form.get(name).map(Value::from).unwrap_or_default();
    let action = form.get("do").unwrap_or("");
    Ok(match action {
        "ack" => {
            let ids: Vec<&str> = form.all("id").collect();
            let until = until(call, form)?;
            let body = json!({ "ids": ids, "until": until, "reason": text("reason") });
            Order::new(Post, "alerts/ack", body)
        }
        "unack" | "unsilence" | "end" => {
            over(action, form.get("id").ok_or_else(|| missing("id"))?)?
        }
        "silence" => {
            reason_for(call, form)?;
            Order::new(Post, "silences", silence(call, form, None))
        }
        "maintenance" => Order::new(Post, "maintenance", maintenance(call, form)),
        "ghost" => {
            let name = form.get("name").ok_or_else(|| missing("name"))?;
            let body = json!({ "do": text("to") });
            Order::new(Post, format!("ghosts/{}", query::encode(name)), body)
        }
        "notify-test" => {
            let body = match (form.get("channel"), form.get("user")) {
                (Some(channel), _) => json!({ "channel": channel }),
                (None, user) => json!({ "user": user }),
            };
            Order::new(Post, "notify-test", body)
        }
        "reload" => Order::new(Post, "reload", Value::Null),
        "keys-load" => Order::new(Post, "keys", Value::Null),
        "watch" | "drop" | "dns" | "command" | "upgrade" | "access" | "tags" => {
            return of_host(call, form, action);
        }
        "token-new" | "token-drop" | "session-end" | "user" | "user-drop" => {
            return account(call, form, action);
        }
        _ => {
            return Err(Problem::new(422, "bad_choice", "The form names nothing to do.")
                .hint("docs/HTTP_API.md lists what do may be.")
                .field("do"));
        }
    })
}

/// Takes back an acknowledgement, a silence, a window of maintenance.
fn over(action: &str, id: &str) -> Result<Order, Problem> {
    let list = match action {
        "unack" => "alerts/ack",
        "unsilence" => "silences",
        _ => "maintenance",
    };
    Ok(Order::new(Method::Delete, format!("{list}/{}", query::encode(id)), Value::Null))
}

/// What is done to one host: that of the page, or the one that the form names.
fn of_host(call: &Call<'_>, form: &Query<'_>, action: &str) -> Result<Order, Problem> {
    use Method::{Delete, Post, Put};
    let own = Some(call.param("host")).filter(|own| !own.is_empty());
    let host = own.or(form.get("host")).ok_or_else(|| missing("host"))?;
    let host = format!("hosts/{}", query::encode(host));
    let text = |name: &str| form.get(name).map(Value::from).unwrap_or_default();
    let words = |name: &'static str| form.all(name).flat_map(split).collect::<Vec<_>>();
    Ok(match action {
        "watch" => {
            let watch = switch(form, "to")?;
            Order::new(Put, format!("{host}/watch"), json!({ "watch": watch }))
        }
        "drop" => {
            confirm(call, form)?;
            Order::new(Delete, host, Value::Null)
        }
        "dns" => Order::new(Post, format!("{host}/dns"), json!({})),
        "command" => {
            let name = form.get("name").ok_or_else(|| missing("name"))?;
            let args: Vec<&str> = form.all("args").flat_map(str::split_whitespace).collect();
            let body = json!({ "name": name, "args": args });
            Order::new(Post, format!("{host}/commands"), body)
        }
        "upgrade" => {
            let mut body = Map::new();
            body.extend(form.get("version").map(|v| ("version".to_owned(), Value::from(v))));
            Order::new(Post, format!("{host}/upgrade"), Value::Object(body))
        }
        "access" => {
            let owner = form.get("owner").map(Value::from).unwrap_or_default();
            let mut body = json!({ "owner": owner });
            for list in ["managers", "monitors"] {
                if form.has(list) {
                    body[list] = json!(words(list));
                }
            }
            Order::new(Put, format!("{host}/access"), body)
        }
        _ => {
            let body = json!({ "tags": words("tags"), "group": text("group") });
            Order::new(Put, format!("{host}/tags"), body)
        }
    })
}

/// What concerns users and tokens.
fn account(call: &Call<'_>, form: &Query<'_>, action: &str) -> Result<Order, Problem> {
    let text = |name: &str| form.get(name).map(Value::from).unwrap_or_default();
    let user = || form.get("user").map(query::encode).ok_or_else(|| missing("user"));
    Ok(match action {
        "token-new" => {
            let secs = form.get("for").map(|length| seconds(length, "for")).transpose()?;
            let expires = secs.map(|secs| call.context.now.wall.as_secs_f64() + secs);
            let scope = form.get("scope").unwrap_or("read");
            let body = json!({ "name": text("name"), "scope": scope, "expires": expires });
            Order::new(Method::Post, "auth/tokens", body)
        }
        "token-drop" | "session-end" => {
            let id = form.get("id").map(query::encode).ok_or_else(|| missing("id"))?;
            let list = if action == "token-drop" { "tokens" } else { "sessions" };
            Order::new(Method::Delete, format!("auth/{list}/{id}"), Value::Null)
        }
        "user" => {
            let mut body = Map::new();
            for name in ["full_name", "password"] {
                body.extend(form.get(name).map(|value| (name.to_owned(), Value::from(value))));
            }
            if form.has("admin") {
                body.insert("admin".to_owned(), Value::from(switch(form, "admin")?));
            }
            if form.has("notification_channels") {
                let list: Vec<&str> = form.all("notification_channels").flat_map(split).collect();
                body.insert("notification_channels".to_owned(), json!(list));
            }
            Order::new(Method::Put, format!("users/{}", user()?), Value::Object(body))
        }
        _ => Order::new(Method::Delete, format!("users/{}", user()?), Value::Null),
    })
}

/// `host`: instead of the one that the form names.
fn silence(call: &Call<'_>, form: &Query<'_>, host: Option<&str>) -> Value {
    let mut scope = Map::new();
    for kind in ["host", "group", "tag", "plugin", "path"] {
        scope.extend(form.get(kind).map(|glob| (kind.to_owned(), Value::from(glob))));
    }
    let own = Some(call.param("host")).filter(|own| !own.is_empty());
    scope.extend(host.or(own).map(|name| ("host".to_owned(), Value::from(name))));
    let mut body = json!({ "match": scope, "reason": form.get("reason") });
    put_end(call, &mut body, form, "until");
    body
}

/// Who keeps others from being told for more than a day says why (ui/UI.md 5.5).
fn reason_for(call: &Call<'_>, form: &Query<'_>) -> Result<(), Problem> {
    let now = call.context.now.wall;
    let until = form.get("until").and_then(|text| moment(call, text));
    let length = form.get("for").and_then(parse_duration);
    let left = length.or(until.map(|at| at.since(now))).unwrap_or_default();
    if left <= REASON_FROM || form.get("reason").is_some_and(|text| !text.trim().is_empty()) {
        return Ok(());
    }
    Err(Problem::new(422, "bad_body", "A silence of more than 24 h needs a reason.")
        .hint("Say why, or end it sooner.")
        .field("reason"))
}

/// A moment of a form: by the reader's clock, or with a zone of its own.
fn moment(call: &Call<'_>, text: &str) -> Option<Wall> {
    let own = page::clock_of(call).parse(text);
    own.or_else(|| {
        let at: jiff::Timestamp = text.parse().ok()?;
        Some(Wall::from_micros(at.as_microsecond()))
    })
}

/// The body of a window of maintenance, as a form or an address describes it.
pub fn maintenance(call: &Call<'_>, form: &Query<'_>) -> Value {
    let list = |name: &'static str| form.all(name).flat_map(split).collect::<Vec<_>>();
    let mut hosts = list("hosts");
    let own = call.param("host");
    if !own.is_empty() {
        hosts = vec![own];
    }
    let mut body = json!({
        "hosts": hosts,
        "tags": list("tags"),
        "groups": list("groups"),
        "start": form.get("start").filter(|text| *text != "now"),
        "repeat": form.get("repeat"),
        "zone": form.get("zone"),
        "reason": form.get("reason"),
    });
    let days = list("days");
    if !days.is_empty() {
        let day = |day: &str| day.parse::<u64>().map_or(Value::from(day), Value::from);
        body["days"] = days.into_iter().map(day).collect();
    }
    put_end(call, &mut body, form, "end");
    body
}

/// `for` is how long, the other field is until when: it wins where both are given.
fn put_end(call: &Call<'_>, body: &mut Value, form: &Query<'_>, field: &str) {
    match (form.get(field), form.get("for")) {
        // A field for a date says no zone: it means the clock that the page shows. A window has a zone of its own.
        (Some(end), _) if field == "until" => {
            body[field] = moment(call, end)
                .map_or_else(|| Value::from(end), |at| Value::from(at.as_secs_f64()));
        }
        (Some(end), _) => body[field] = Value::from(end),
        (None, Some(length)) => body["duration"] = Value::from(length),
        (None, None) => {}
    }
}

/// Until when an acknowledgement holds: `until`, or `for` from now on; without either until it is over.
fn until(call: &Call<'_>, form: &Query<'_>) -> Result<Value, Problem> {
    match (form.get("for"), form.get("until")) {
        (Some(length), _) => {
            Ok(Value::from(call.context.now.wall.as_secs_f64() + seconds(length, "for")?))
        }
        (None, Some(until)) => Ok(moment(call, until)
            .map_or_else(|| Value::from(until), |at| Value::from(at.as_secs_f64()))),
        (None, None) => Ok(Value::Null),
    }
}

fn seconds(length: &str, field: &'static str) -> Result<f64, Problem> {
    let length = parse_duration(length).filter(|length| !length.is_zero());
    length.map(|length| length.as_secs_f64()).ok_or_else(|| {
        Problem::new(422, "bad_body", "That is not a duration.").hint("Write 30m.").field(field)
    })
}

/// Who drops a host types its name.
fn confirm(call: &Call<'_>, form: &Query<'_>) -> Result<(), Problem> {
    let name = call.param("host");
    if name.is_empty() || form.get("confirm").is_some_and(|given| given.eq_ignore_ascii_case(name))
    {
        return Ok(());
    }
    Err(Problem::new(422, "not_confirmed", "The host was not dropped: its name was not typed.")
        .field("confirm"))
}

fn switch(form: &Query<'_>, name: &'static str) -> Result<bool, Problem> {
    match form.get(name) {
        Some("on" | "true" | "1") => Ok(true),
        Some("off" | "false" | "0") | None => Ok(false),
        Some(_) => {
            Err(Problem::new(422, "bad_choice", format!("{name} is on or off.")).field(name))
        }
    }
}

/// Words with commas or spaces between.
fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ' ', '\n', '\r', '\t']).filter(|word| !word.is_empty())
}

fn missing(name: &'static str) -> Problem {
    Problem::new(422, "bad_body", format!("{name} is missing.")).field(name)
}

// Signing in and out.

/// `POST /login`: `username`, `password`, `remember`, `next`.
pub fn login(call: &Call<'_>) -> Answer {
    let form = fields(call)?;
    if let Some("theme" | "zone" | "keys" | "notices") = form.get("do") {
        return page::choose(call);
    }
    let next = form.get("next").or(call.query.get("next"));
    let (user, password) = (form.get("username").unwrap_or(""), form.get("password").unwrap_or(""));
    let remember = form.get("remember").is_some();
    match api::sign_in(call, user, password, remember) {
        Ok(session) => Ok(api::see_other(&local(next), Some(api::cookie(call, &session)))),
        Err(problem) => page::login_again(call, user, next, &problem),
    }
}

/// `POST /logout`
pub fn logout(call: &Call<'_>) -> Answer {
    fields(call)?;
    api::sign_out(call);
    Ok(api::see_other("/login", Some(api::no_cookie(call))))
}

/// Where to go on: a path of our own, never another site's.
pub fn local(next: Option<&str>) -> String {
    let plain = |path: &&str| {
        let rest = path.strip_prefix('/').unwrap_or("/");
        !rest.starts_with(['/', '\\']) && !path.chars().any(|c| c.is_control() || c == '\\')
    };
    let is_login = |path: &&str| path.starts_with("/login") || path.starts_with("/logout");
    next.filter(plain).filter(|path| !is_login(path)).unwrap_or("/live").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_leads_to_a_path_of_this_server_only() {
        let table = [
            (None, "/live"),
            (Some("/plugins/web1?x=1"), "/plugins/web1?x=1"),
            (Some("https://evil.example/"), "/live"),
            (Some("//evil.example/"), "/live"),
            (Some("/\\evil.example"), "/live"),
            (Some("\\\\evil.example"), "/live"),
            (Some("javascript:alert(1)"), "/live"),
            (Some("/live\r\nSet-Cookie: a=b"), "/live"),
            (Some("/logout"), "/live"),
            (Some(""), "/live"),
        ];
        for (next, want) in table {
            assert_eq!(local(next), want, "{next:?}");
        }
    }
}
