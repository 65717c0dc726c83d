//! To a phone: Pushover, ntfy, Gotify, Signal. Field names are those of each service's own
//! documentation, named above each.

use super::shape::{self, bytes, chars, fit};
use super::{Fault, HttpRequest, Run, Work, basic};
use crate::config::server::{ChannelType, Level, Setting};
use serde_json::json;
use std::collections::BTreeMap;

const PUSHOVER_MAX: usize = 1024;
const PUSHOVER_TITLE_MAX: usize = 250;
const PUSHOVER_URL_MAX: usize = 512;
/// A longer message would become an attachment.
const NTFY_MAX: usize = 4096;
const GOTIFY_MAX: usize = 60_000;
/// Of one argument of a program, far below what the kernel takes.
const SIGNAL_MAX: usize = 60_000;

/// pushover.net/api: `token`, `user`, `message` of up to 1024 characters, `title`, `device`,
/// `sound`, `priority`, `url`, `timestamp`; `priority` 2 needs `retry` and `expire`.
pub fn pushover(work: &Work<'_>) -> Result<HttpRequest, Fault> {
    let message = work.message;
    let priority = priority(work, |level| match level {
        Level::Critical => 1,
        Level::Unknown | Level::Warning => 0,
        Level::Info => -1,
    })
    .clamp(-2, 2);
    let mut body = json!({
        "token": work.needed("token")?,
        "user": work.destination()?,
        "title": title(work, PUSHOVER_TITLE_MAX),
        "message": fit(&shape::plain(message), PUSHOVER_MAX, chars),
        "priority": priority,
    });
    if priority == 2 {
        body["retry"] = 60.into();
        body["expire"] = 3600.into();
    }
    if let Some(url) = message.url.as_ref().filter(|url| url.len() <= PUSHOVER_URL_MAX) {
        body["url"] = url.as_str().into();
    }
    for key in ["device", "sound"] {
        if let Some(value) = work.channel.text(key) {
            body[key] = value.into();
        }
    }
    let base = work.channel.text("url").unwrap_or("https://api.pushover.net");
    let base = base.trim_end_matches('/');
    // A whole address of the service is taken as it is.
    let url = match base.ends_with(".json") {
        true => base.to_owned(),
        false => format!("{base}/1/messages.json"),
    };
    Ok(work.post(url, &body))
}

/// docs.ntfy.sh/publish/#publish-as-json: to the root of the server, `topic`, `title`, `message`,
/// `priority` 1 to 5, `tags`, `click`. As JSON, so that no text reaches a header.
pub fn ntfy(work: &Work<'_>) -> Result<HttpRequest, Fault> {
    let message = work.message;
    let (priority, tag) = match (is_over(work), message.level) {
        (true, _) => (3, "white_check_mark"),
        (_, Level::Critical) => (5, "rotating_light"),
        (_, Level::Unknown) => (4, "question"),
        (_, Level::Warning) => (4, "warning"),
        (_, Level::Info) => (3, "information_source"),
    };
    let mut body = json!({
        "topic": work.destination()?,
        "title": title(work, 250),
        "message": fit(&shape::plain(message), NTFY_MAX, bytes),
        "priority": priority,
        "tags": [tag],
    });
    if let Some(url) = &message.url {
        body["click"] = url.as_str().into();
    }
    let mut request = work.post(work.base()?, &body);
    if let Some(credentials) = credentials(work)? {
        request.headers.push(("Authorization".to_owned(), credentials));
    }
    Ok(request)
}

/// `Bearer` of a token, `Basic` of a user and a password, or nothing.
pub fn credentials(work: &Work<'_>) -> Result<Option<String>, Fault> {
    if let Some(token) = work.secret("token")? {
        return Ok(Some(format!("Bearer {token}")));
    }
    let Some(user) = work.channel.text("user") else { return Ok(None) };
    let value = basic(user, &work.secret("password")?.unwrap_or_default());
    work.purse.remember(value.trim_start_matches("Basic "));
    Ok(Some(value))
}

/// gotify.net/docs/pushmsg: `POST /message` with `title`, `message`, `priority`; gotify.net/docs/priority:
/// the token in the header `X-Gotify-Key`, and what a priority does (4 makes a sound, 8 vibrates as
/// well); gotify.net/docs/msgextras: `extras`, and that text from elsewhere be `text/plain`.
pub fn gotify(work: &Work<'_>) -> Result<HttpRequest, Fault> {
    let message = work.message;
    let mut extras = json!({ "client::display": { "contentType": "text/plain" } });
    if let Some(url) = &message.url {
        extras["client::notification"] = json!({ "click": { "url": url } });
    }
    let body = json!({
        "title": title(work, 250),
        "message": fit(&shape::plain(message), GOTIFY_MAX, bytes),
        "priority": priority(work, |level| match level {
            Level::Critical => 8,
            Level::Unknown | Level::Warning => 5,
            Level::Info => 2,
        }),
        "extras": extras,
    });
    let mut request = work.post(format!("{}/message", work.base()?), &body);
    request.headers.push(("X-Gotify-Key".to_owned(), work.needed("token")?));
    Ok(request)
}

/// github.com/bbernhard/signal-cli-rest-api, `POST /v2/send`: `message`, `number`, `recipients`.
pub fn signal_rest(work: &Work<'_>) -> Result<HttpRequest, Fault> {
    let body = json!({
        "message": fit(&shape::whole(work.message), SIGNAL_MAX, bytes),
        "number": work.channel.text("account").unwrap_or_default(),
        "recipients": [work.destination()?],
    });
    Ok(work.post(format!("{}/v2/send", work.base()?), &body))
}

/// github.com/AsamK/signal-cli, man/signal-cli.1.adoc:
/// `signal-cli -a ACCOUNT send -m MESSAGE (RECIPIENT | -g GROUP)`.
pub fn signal_cli(work: &Work<'_>) -> Result<Run, Fault> {
    let to = work.destination()?;
    if to.starts_with('-') {
        return Err(Fault::lasting("a destination of signal cannot begin with '-'"));
    }
    let text = |key: &str| work.channel.text(key).unwrap_or_default().to_owned();
    let message = fit(&shape::whole(work.message), SIGNAL_MAX, bytes);
    let mut argv = vec![text("program"), "-a".to_owned(), text("account")];
    argv.extend(["send".to_owned(), "-m".to_owned(), message]);
    match to.strip_prefix("group.") {
        Some(group) => argv.extend(["-g".to_owned(), group.to_owned()]),
        None => argv.push(to),
    }
    // A Java program reads its arguments in the encoding of the locale.
    let env = BTreeMap::from([("LC_ALL".to_owned(), "C.UTF-8".to_owned())]);
    Ok(Run { argv, env, stdin: Vec::new(), kind: ChannelType::Signal })
}

/// The site; the sentence itself is the message.
fn title(work: &Work<'_>, max: usize) -> String {
    let site = crate::text::escape_control(&work.message.site).into_owned();
    fit(&[site], max, chars)
}

/// Whether all that the message tells is over.
fn is_over(work: &Work<'_>) -> bool {
    let notices = &work.message.notices;
    !notices.is_empty() && notices.iter().all(|notice| notice.recovery)
}

/// As configured for the level, else `default`. The end of a trouble wakes nobody.
fn priority(work: &Work<'_>, default: impl Fn(Level) -> i64) -> i64 {
    let level = work.message.level;
    let configured = match work.channel.settings.get("priority") {
        Some(Setting::Levels(map)) => map.get(&level).copied(),
        _ => None,
    };
    let wanted = configured.unwrap_or_else(|| default(level));
    if is_over(work) { wanted.min(default(Level::Warning)) } else { wanted }
}
