//! `/login`, and the two answers to a form that are no redirect: a new token and a test notice.

use super::page;
use super::shell::Shell;
use crate::time::Duration;
use crate::web::form::local;
use crate::web::problem::Problem;
use crate::web::{Answer, Call, guard, redirect};
use serde::Serialize;
use serde_json::Value;

#[derive(Serialize)]
struct Login {
    shell: Shell,
    /// The server, as it was asked for.
    host: String,
    user: String,
    next: String,
    /// Days of "keep me signed in"; `None`: there is no such box.
    remember: Option<String>,
    problem: Option<String>,
    hint: Option<String>,
    /// Seconds of a pause, which a script counts down.
    wait: Option<u64>,
    /// The page that was open has lost its session.
    is_out: bool,
    /// Somebody signed in, and the browser did not keep it.
    blocked: bool,
    /// The password would go over the network as it is.
    is_plain: bool,
}

/// `GET /login?next=`; who is signed in, or need not be, goes on.
pub fn login(call: &Call<'_>) -> Answer {
    let next = call.query.get("next");
    if call.caller != crate::web::Caller::Anonymous {
        return Ok(redirect(&local(next)));
    }
    render(call, "", next, None)
}

/// The form again, with what was wrong.
pub fn login_again(call: &Call<'_>, user: &str, next: Option<&str>, problem: &Problem) -> Answer {
    let mut response = render(call, user, next, Some(problem))?;
    response.headers.extend(problem.wait().map(|secs| ("Retry-After", secs.to_string())));
    Ok(response)
}

fn render(call: &Call<'_>, user: &str, next: Option<&str>, problem: Option<&Problem>) -> Answer {
    let remember = call.context.config.session_remember;
    let context = Login {
        shell: Shell::new(call, "login", "Sign in"),
        host: guard::host(call.context, call.request).map_or_else(
            || call.context.config.site_name.clone(),
            |authority| authority.url_host(),
        ),
        user: user.chars().take(64).collect(),
        next: local(next),
        remember: (!remember.is_zero()).then(|| length(remember)),
        problem: problem.map(|problem| problem.detail.clone()),
        hint: problem.and_then(|problem| problem.hint.as_ref().map(|hint| hint.to_string())),
        wait: problem.and_then(Problem::wait),
        is_out: call.query.get("out").is_some(),
        blocked: problem.is_none() && has_just_signed_in(call),
        is_plain: !call.request.secure && !call.request.peer.is_loopback(),
    };
    page(call, problem.map_or(200, |problem| problem.status), "login.html", &context)
}

/// The way from a form that was taken leads back here only where the browser has not kept the session: a refused one is
/// answered without a redirect, and this page has no links.
fn has_just_signed_in(call: &Call<'_>) -> bool {
    let Some(from) = call.request.header("referer") else { return false };
    let path = from.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
    path.is_some_and(|(_, path)| path == "login" || path.starts_with("login?"))
}

fn length(length: Duration) -> String {
    let days = length.as_secs() / 86_400;
    match days {
        0 => crate::time::render_duration(length),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

#[derive(Serialize)]
struct Told {
    shell: Shell,
    title: &'static str,
    lines: Vec<(String, String)>,
    secret: Option<String>,
}

/// A token that was made; `body` is the API's answer.
pub fn token(call: &Call<'_>, body: &[u8]) -> Answer {
    let made: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| made[name].as_str().unwrap_or("").to_owned();
    let context = Told {
        shell: Shell::new(call, "settings", "New token"),
        title: "Copy the token now: it is not shown again.",
        lines: vec![("Name".to_owned(), text("name")), ("Scope".to_owned(), text("scope"))],
        secret: Some(text("token")),
    };
    page(call, 200, "told.html", &context)
}

/// The line of the configuration for a password that was hashed; nothing of it is kept.
pub fn hashed(call: &Call<'_>, user: &str, hash: &str) -> Answer {
    let is_name = !user.is_empty()
        && user.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c));
    let user = if is_name { user } else { "alice" };
    let context = Told {
        shell: Shell::new(call, "settings", "Hashed password"),
        title: "Paste this line under users: in the configuration.",
        lines: vec![(
            "Then".to_owned(),
            "hbd reload, or Check and reload under Settings".to_owned(),
        )],
        secret: Some(format!("  {user}: {{password: \"{hash}\"}}")),
    };
    page(call, 200, "told.html", &context)
}

/// What came of test notices.
pub fn test_result(call: &Call<'_>, body: &[u8]) -> Answer {
    let results: Value = serde_json::from_slice(body).unwrap_or_default();
    let line = |result: &Value| {
        let channel = result["channel"].as_str().unwrap_or("").to_owned();
        let outcome = match result["ok"].as_bool() {
            Some(true) => format!("delivered in {} ms", result["ms"]),
            _ => result["error"].as_str().unwrap_or("not delivered").to_owned(),
        };
        (channel, outcome)
    };
    let context = Told {
        shell: Shell::new(call, "settings", "Test notice"),
        title: "Test notice",
        lines: results["results"].as_array().into_iter().flatten().map(line).collect(),
        secret: None,
    };
    page(call, 200, "told.html", &context)
}
