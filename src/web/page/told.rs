//! What was just done, as a toast on the page that follows, with the way to take it back. It goes there in a cookie
//! of a few seconds: forms answer with a redirect, and nothing of it is kept by the server.

use super::clock::Clock;
use super::number;
use crate::time::Wall;
use crate::web::Call;
use crate::web::query::{self, Query};
use serde::Serialize;
use serde_json::Value;

pub const COOKIE: &str = "hb_told";
/// A page that follows a form comes at once.
const KEPT_S: u32 = 20;
/// More cannot be taken back together: a cookie has 4,096 bytes.
const UNDO_MAX: usize = 20;
const TEXT_MAX: usize = 200;
const COOKIE_MAX: usize = 3000;

#[derive(Serialize)]
pub struct Told {
    pub text: String,
    /// What the form does that takes it back, and to which ids or hosts.
    pub undo: Option<Undo>,
}

#[derive(Serialize)]
pub struct Undo {
    pub action: &'static str,
    /// Names and values of the form's fields.
    pub fields: Vec<(&'static str, String)>,
}

/// What the cookie of the request tells. It may hold anything: it is shown as text, and what it undoes is judged as
/// any form is.
pub fn of(call: &Call<'_>) -> Option<Told> {
    let kept = Query::parse(call.request.cookie(COOKIE)?);
    let text: String = kept.get("text")?.chars().take(TEXT_MAX).collect();
    let action = ["unack", "unsilence", "end", "watch"];
    let action = action.into_iter().find(|action| kept.get("do") == Some(action));
    let fields = ["id", "host", "to"].into_iter().flat_map(|name| {
        kept.all(name).take(UNDO_MAX).map(|value| (name, value.to_owned())).collect::<Vec<_>>()
    });
    Some(Told { text, undo: action.map(|action| Undo { action, fields: fields.collect() }) })
}

/// The cookie that tells of a form that was taken; `made` are the API's answers to it.
pub fn cookie(call: &Call<'_>, form: &Query<'_>, made: &[Value]) -> Option<String> {
    let told = tell(call, form, made)?;
    let mut text = format!("text={}", query::encode(&told.text));
    if let Some(undo) = &told.undo {
        text.push_str(&format!("&do={}", undo.action));
        for (name, value) in &undo.fields {
            text.push_str(&format!("&{name}={}", query::encode(value)));
        }
    }
    let secure = if call.request.secure { "; Secure" } else { "" };
    let is_short = text.len() <= COOKIE_MAX;
    is_short.then(|| format!("{COOKIE}={text}; Path=/; Max-Age={KEPT_S}; SameSite=Lax{secure}"))
}

/// Takes the place of the cookie once it was told.
pub fn over() -> String {
    format!("{COOKIE}=; Path=/; Max-Age=0; SameSite=Lax")
}

fn tell(call: &Call<'_>, form: &Query<'_>, made: &[Value]) -> Option<Told> {
    let own = Some(call.param("host")).filter(|own| !own.is_empty());
    let host = own.or(form.get("host"));
    let ids: Vec<&str> = form.all("id").collect();
    let undo = |action: &'static str, fields: Vec<(&'static str, String)>| {
        let is_whole = !fields.is_empty() && fields.len() <= UNDO_MAX;
        is_whole.then_some(Undo { action, fields })
    };
    let made_ids = || -> Vec<(&'static str, String)> {
        made.iter().filter_map(|made| Some(("id", made["id"].as_str()?.to_owned()))).collect()
    };
    let (text, undo) = match form.get("do")? {
        "ack" => {
            let until = end_of(call, form, "until").unwrap_or_else(|| "until recovered".to_owned());
            let fields = ids.iter().map(|id| ("id", (*id).to_owned())).collect();
            (format!("{} acknowledged {until}", subject(&ids)), undo("unack", fields))
        }
        "unack" => (format!("{} no longer acknowledged", subject(&ids)), None),
        "silence" => {
            let until = end_of(call, form, "until").unwrap_or_default();
            let hosts = form.all("host").count();
            let what = match (hosts, host) {
                (2.., _) => format!("{hosts} hosts"),
                (_, Some(host)) => host.to_owned(),
                _ => "What matches".to_owned(),
            };
            (format!("{what} silenced {until}"), undo("unsilence", made_ids()))
        }
        "unsilence" => ("The silence is over".to_owned(), None),
        "maintenance" => ("Maintenance is planned".to_owned(), undo("end", made_ids())),
        "end" => ("The maintenance is over".to_owned(), None),
        "watch" => {
            let (is_on, back) = match form.get("to") {
                Some("on" | "true" | "1") => (true, "off"),
                _ => (false, "on"),
            };
            let host = host?.to_owned();
            let text = format!("{host} is {}watched", if is_on { "" } else { "not " });
            (text, undo("watch", vec![("host", host), ("to", back.to_owned())]))
        }
        "tag-hosts" => ("Tags changed".to_owned(), None),
        "drop" => (format!("{} dropped", host?), None),
        "command" => (format!("{} queued for {}", form.get("name")?, host?), None),
        "upgrade" => (format!("Upgrade queued for {}", host?), None),
        "dns" => (format!("DNS update queued for {}", host?), None),
        "ghost" => {
            let word = if form.get("to") == Some("accept") { "accepted" } else { "ignored" };
            (format!("{} {word}", form.get("name")?), None)
        }
        "reload" => ("Configuration reloaded".to_owned(), None),
        _ => return None,
    };
    Some(Told { text: text.trim().to_owned(), undo })
}

/// `db-01`, `db-01 and 2 more`; of an alert the host.
fn subject(ids: &[&str]) -> String {
    let host = ids.first().map_or("", |id| id.split('/').next().unwrap_or(id));
    match ids.len() {
        0 | 1 => host.to_owned(),
        n => format!("{host} and {} more", number::count(n as u64 - 1)),
    }
}

/// `until Mon 09:00`, by the reader's clock.
fn end_of(call: &Call<'_>, form: &Query<'_>, field: &str) -> Option<String> {
    let clock: Clock = super::shell::clock(call);
    let at: Wall = match form.get("for") {
        Some(length) => call.context.now.wall + crate::time::parse_duration(length)?,
        None => clock.moment(form.get(field)?)?,
    };
    Some(format!("until {}", clock.weekday(at)))
}
