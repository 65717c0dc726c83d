//! What every page has around it: top bar, banner, link state, footer; and the reader's choices in
//! cookies.

use super::attention::Pie;
use super::choice::{self, Choice};
use super::clock::{Clock, When, span};
use super::number;
use super::told::{self, Told};
use crate::config::server::is_zone_name;
use crate::engine::view::Severity;
use crate::web::http::{Body, Response};
use crate::web::problem::Problem;
use crate::web::query::{self, Query};
use crate::web::{Answer, Call, Pulse, channel_banner, form, guard};
use jiff::tz::TimeZone;
use serde::Serialize;

const YEAR_S: u32 = 31_536_000;
/// From this many percent on the disk of the journal is told of.
const DISK_FULL: u8 = 95;

/// The part of a template's context that `base.html` reads.
#[derive(Serialize)]
pub struct Shell {
    pub title: String,
    pub site: String,
    /// Which entry of the navigation is the current page.
    pub section: &'static str,
    /// Path and query of this page, to come back to after a choice.
    pub here: String,
    pub theme: &'static str,
    pub zone: Zone,
    pub css: String,
    /// Of the pages beside `/live`.
    pub more: String,
    pub icon: String,
    /// Keys, and what comes with the first touch of a page.
    pub base: Option<String>,
    /// The live module, where this build has it, and what it imports.
    pub script: Option<String>,
    pub modules: Vec<String>,
    /// Of pages with charts.
    pub chart: Option<String>,
    /// What was just done, and how it is taken back.
    pub told: Option<Told>,
    /// Of a host's page: its heading.
    pub heading: Option<String>,
    pub pie: Pie,
    pub account: Option<Account>,
    pub as_of: When,
    pub epoch: String,
    pub ver: u64,
    /// Where the live module connects; `None`: to the port of the page.
    pub live: Option<String>,
    pub banner: Option<Banner>,
    pub version: &'static str,
    pub started: When,
    /// How busy the server is: what is known of it, a few words each.
    pub facts: Vec<String>,
    pub is_open: bool,
}

/// Who is signed in.
#[derive(Serialize)]
pub struct Account {
    pub user: String,
    pub full_name: String,
    pub initials: String,
    /// A path of this server.
    pub avatar: Option<String>,
    pub is_admin: bool,
}

#[derive(Serialize)]
pub struct Zone {
    /// `server` or `utc`.
    pub choice: &'static str,
    pub short: String,
    pub name: String,
}

/// One line above the page.
#[derive(Serialize)]
pub struct Banner {
    pub key: &'static str,
    pub text: String,
    /// Where more is told, and the word for it.
    pub more: Option<(&'static str, &'static str)>,
}

impl Banner {
    fn new(key: &'static str, text: impl Into<String>) -> Banner {
        Banner { key, text: text.into(), more: None }
    }

    fn more(mut self, href: &'static str, word: &'static str) -> Banner {
        self.more = Some((href, word));
        self
    }
}

impl Shell {
    /// `title` stands before the name of the site.
    pub fn new(call: &Call<'_>, section: &'static str, title: &str) -> Shell {
        let context = call.context;
        let view = &context.view;
        let clock = clock(call);
        let assets = &context.pages.assets;
        let url = |name: &str| assets.url(name).unwrap_or_default();
        let site = context.config.site_name.clone();
        Shell {
            title: format!("{title} – {site}"),
            site,
            section,
            here: here(call),
            theme: theme(call),
            zone: Zone {
                choice: zone_choice(call),
                short: clock.zone_short(),
                name: clock.zone_name(),
            },
            css: url("hb.css"),
            more: url("more.css"),
            icon: match call.caller {
                crate::web::Caller::Anonymous => url("favicon.svg"),
                _ => icon(&view.counts),
            },
            base: assets.url("base.js"),
            script: assets.url("live.js"),
            modules: assets.imports_of_live(),
            chart: assets.url("chart.js"),
            told: told::of(call),
            heading: assets.url("heading.js"),
            pie: Pie::of(view),
            account: account(call),
            as_of: clock.time(context.now.wall),
            epoch: format!("{:06x}", view.epoch),
            ver: view.ver,
            live: live_url(call),
            banner: banner(call),
            version: context.facts.version,
            started: clock.since(view.started.wall),
            facts: facts(call),
            is_open: context.config.users.is_empty(),
        }
    }
}

/// The mark with a badge of what is wrong; the live module writes the same address.
pub fn icon(counts: &[u32; 8]) -> String {
    let of = |severity: Severity| counts[usize::from(severity.code())];
    let (down, critical) = (of(Severity::Down), of(Severity::Critical));
    format!("/favicon.svg?d={down}&c={critical}&w={}", of(Severity::Warning))
}

/// `41.3 heartbeats/s · 0.3 ms p99`, `journal 71 MB of 1.1 GB`, `3 viewers`
fn facts(call: &Call<'_>) -> Vec<String> {
    if call.caller == crate::web::Caller::Anonymous {
        return Vec::new();
    }
    let context = call.context;
    let Pulse { rate, p99, viewers } = context.pulse;
    let rate = rate.map(|rate| format!("{} heartbeats/s", number::short(rate)));
    let p99 = p99.map(|took| {
        let ms = took.as_secs_f32() * 1000.0;
        format!("{} p99", number::round_trip(ms.max(0.1)))
    });
    let pace: Vec<String> = rate.into_iter().chain(p99).collect();
    let journal = context.journal.map(|journal| {
        let bytes = |bytes: u64| number::bytes(bytes as f64);
        format!("journal {} of {}", bytes(journal.bytes), bytes(journal.bytes_max))
    });
    let plural = if viewers == 1 { "" } else { "s" };
    let viewers = Some(format!("{viewers} viewer{plural}"));
    let pace = (!pace.is_empty()).then(|| pace.join(" · "));
    let refused: u64 = context.view.counters.rejected.values().sum();
    let datagrams = if refused == 1 { "datagram" } else { "datagrams" };
    let refused = (refused > 0).then(|| format!("{} {datagrams} refused", number::count(refused)));
    [pace, journal, viewers, refused].into_iter().flatten().collect()
}

fn account(call: &Call<'_>) -> Option<Account> {
    let user = call.caller.user()?;
    let known = call.context.config.users.get(user);
    let full_name = known.map_or_else(|| user.to_owned(), |known| known.full_name.clone());
    let words = full_name.split_whitespace().filter_map(|word| word.chars().next());
    let initials: String = words.take(2).flat_map(char::to_uppercase).collect();
    let avatar = known.and_then(|known| known.avatar.clone());
    let is_own = |path: &String| path.starts_with('/') && !path.starts_with("//");
    Some(Account {
        user: user.to_owned(),
        full_name,
        initials,
        avatar: avatar.filter(is_own),
        is_admin: call.caller.is_admin(),
    })
}

fn live_url(call: &Call<'_>) -> Option<String> {
    let facts = call.context.facts;
    let host = guard::host(call.context, call.request)?.url_host();
    let (scheme, port) = if call.request.secure { ("wss", facts.wss?) } else { ("ws", facts.ws?) };
    Some(format!("{scheme}://{host}:{port}/"))
}

/// `2 down, 3 critical` of the whole fleet; empty where neither occurs.
pub fn alarm(counts: &[u32; 8]) -> String {
    [Severity::Down, Severity::Critical]
        .into_iter()
        .filter(|s| counts[usize::from(s.code())] > 0)
        .map(|s| format!("{} {}", counts[usize::from(s.code())], s.as_str()))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The clock of the reader: the moment of the request in the zone of the cookie.
pub fn clock(call: &Call<'_>) -> Clock {
    let zone = match zone_choice(call) {
        "utc" => TimeZone::UTC,
        "browser" => browser_zone(call).unwrap_or_else(|| call.context.pages.zone.clone()),
        _ => call.context.pages.zone.clone(),
    };
    Clock::new(call.context.now.wall, zone)
}

/// A posted choice of theme or zone: sets the cookie and goes back to the page.
pub fn choose(call: &Call<'_>) -> Answer {
    let form = form::fields(call)?;
    if form.get("do") == Some("live") {
        return Ok(choose_live(call, &form));
    }
    if let Some(own) = keys(&form)? {
        return Ok(chosen(call, "hb_keys", &own, here(call)));
    }
    let (name, allowed): (_, &[&str]) = match form.get("do") {
        Some("theme") => ("hb_theme", &["system", "light", "dark"]),
        Some("zone") => ("hb_tz", &["server", "utc"]),
        Some("keys") => ("hb_keys", &["on", "off"]),
        Some("notices") => ("hb_notices", &["on", "off"]),
        _ => return Err(bad_choice("do")),
    };
    let is_zone = |to: &str| to.strip_prefix("browser:").is_some_and(is_zone_name);
    let fits = |to: &&str| allowed.contains(to) || (name == "hb_tz" && is_zone(to));
    let wish = form.get("to").filter(fits).ok_or_else(|| bad_choice("to"))?;
    Ok(chosen(call, name, wish, here(call)))
}

/// The reader's own keys: the fields of [`KEYS`], where they are not what they usually are. One key for one thing.
fn keys(form: &Query<'_>) -> Result<Option<String>, Problem> {
    if form.get("do") != Some("keys") || form.has("to") {
        return Ok(None);
    }
    let mut taken: Vec<&str> = Vec::new();
    let mut own = Vec::new();
    for (field, usual, _) in KEYS {
        let wish = form.get(field).map_or(usual, str::trim);
        let is_key = wish.len() == 1 && wish.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_key || wish.bytes().all(|byte| byte.is_ascii_digit()) || taken.contains(&wish) {
            let detail = match is_key {
                true => {
                    format!("{wish} cannot be the key for two things, and digits choose ranges.")
                }
                false => format!("\"{wish}\" is no key: give one letter or sign."),
            };
            return Err(Problem::new(422, "bad_choice", detail).field(field));
        }
        taken.push(wish);
        if wish != usual {
            own.push(format!("{}={}", query::encode(usual), query::encode(wish)));
        }
    }
    Ok(Some(if own.is_empty() { "on".to_owned() } else { own.join("&") }))
}

/// The keys that can be others: field of the form, the usual key, what it does.
pub const KEYS: [(&str, &str, &str); 14] = [
    ("key-find", "/", "Find"),
    ("key-go", "g", "Go to a page"),
    ("key-next", "j", "Next row"),
    ("key-previous", "k", "Previous row"),
    ("key-open", "o", "Open"),
    ("key-select", "x", "Select"),
    ("key-ack", "a", "Acknowledge"),
    ("key-silence", "s", "Silence"),
    ("key-maintenance", "m", "Maintenance"),
    ("key-host-before", "[", "Previous problem host"),
    ("key-host-after", "]", "Next problem host"),
    ("key-times", "t", "Relative or absolute times"),
    ("key-pause", "p", "Pause"),
    ("key-help", "?", "The list of keys"),
];

/// Whether the keys are on, and which they are: those of [`KEYS`] in their order.
pub fn own_keys(call: &Call<'_>) -> (bool, Vec<String>) {
    let kept = call.request.cookie("hb_keys").unwrap_or("on");
    let moved = Query::parse(kept);
    let own = |(_, usual, _): (_, &str, _)| moved.get(usual).unwrap_or(usual).to_owned();
    (kept != "off", KEYS.map(own).to_vec())
}

/// How `/live` shall look: what the address says of it is said no longer.
fn choose_live(call: &Call<'_>, form: &Query<'_>) -> Response {
    let mut choice = Choice::of(call);
    match form.get("reset") {
        Some(_) => choice = Choice::default(),
        None => choice.take(form),
    }
    let back = here_with(call, &["cols", "density", "map", "colour", "open", "act"], &[]);
    chosen(call, choice::COOKIE, &choice.written(), back)
}

fn chosen(call: &Call<'_>, name: &str, value: &str, back: String) -> Response {
    let secure = if call.request.secure { "; Secure" } else { "" };
    let cookie = format!("{name}={value}; Path=/; Max-Age={YEAR_S}; SameSite=Lax{secure}");
    Response {
        status: 303,
        headers: vec![
            ("Location", back),
            ("Set-Cookie", cookie),
            ("Cache-Control", "no-store".to_owned()),
        ],
        body: Body::Static(b""),
    }
}

fn bad_choice(field: &'static str) -> Problem {
    Problem::new(422, "bad_choice", "There is no such choice.").field(field)
}

fn theme(call: &Call<'_>) -> &'static str {
    match call.request.cookie("hb_theme") {
        Some("light") => "light",
        Some("dark") => "dark",
        _ => "system",
    }
}

fn zone_choice(call: &Call<'_>) -> &'static str {
    match call.request.cookie("hb_tz") {
        Some("utc") => "utc",
        Some(text) if text.starts_with("browser:") => "browser",
        _ => "server",
    }
}

/// The zone that the browser said it is in. The database of zones is in memory after the first look.
fn browser_zone(call: &Call<'_>) -> Option<TimeZone> {
    let name = call.request.cookie("hb_tz")?.strip_prefix("browser:")?;
    is_zone_name(name).then(|| TimeZone::get(name).ok()).flatten()
}

/// Path and query as they were asked for; a path of our own, never another site's.
pub fn here(call: &Call<'_>) -> String {
    let path = call.request.path.trim_start_matches('/');
    match call.request.query {
        "" => format!("/{path}"),
        query => format!("/{path}?{query}"),
    }
}

/// This page's address with some of its parameters dropped and others put in their place.
pub fn here_with(call: &Call<'_>, drop: &[&str], put: &[(&str, &str)]) -> String {
    let path = call.request.path.trim_start_matches('/');
    let kept = call.query.pairs().filter(|(name, value)| !drop.contains(name) && !value.is_empty());
    let pairs = kept.chain(put.iter().copied());
    let text: Vec<String> = pairs
        .map(|(name, value)| format!("{}={}", query::encode(name), query::encode(value)))
        .collect();
    if text.is_empty() { format!("/{path}") } else { format!("/{path}?{}", text.join("&")) }
}

/// The journal cannot write, or soon will not: its disk is nearly full, or its queue, and then lines are lost.
fn journal_trouble(call: &Call<'_>) -> Option<String> {
    let disk = call.context.journal.and_then(|journal| journal.disk);
    if let Some(percent) = disk.filter(|percent| *percent >= DISK_FULL) {
        return Some(format!("Journal disk {percent} % full."));
    }
    let queue = call.context.queues.iter().find(|queue| queue.name == "journal")?;
    let is_stuck = call.context.config.journal_enabled && queue.depth * 10 > queue.capacity * 9;
    is_stuck.then(|| {
        let (waiting, lost) = (number::count(queue.depth), number::count(queue.dropped));
        format!("The message journal cannot be written: {waiting} lines wait, {lost} are lost. Look at its disk.")
    })
}

/// The most serious thing that a reader of any page must know.
fn banner(call: &Call<'_>) -> Option<Banner> {
    of_the_fleet(call)
        .or_else(|| call.caller.sees_all().then(|| of_the_server(call)).flatten())
        .or_else(|| for_everybody(call))
}

/// What makes the picture of the fleet another than it seems.
fn of_the_fleet(call: &Call<'_>) -> Option<Banner> {
    let context = call.context;
    let view = &context.view;
    if let Some(until) = view.hold_until.filter(|until| *until > context.now.mono) {
        let ago = span(view.uptime(context.now));
        let left = span(until.since(context.now.mono));
        let text = format!("hbd restarted {ago} ago: no host is declared down for another {left}.");
        return Some(Banner::new("late", text));
    }
    let since = view.isolated_since?;
    let (down, all) = (view.counts[usize::from(Severity::Down.code())], view.hosts.len as u64);
    let text = format!(
        "{} of {} hosts fell silent within {}: this looks like the server's own network. Notifications are held \
         since {}.",
        number::count(u64::from(down)),
        number::count(all),
        span(context.config.isolation_window),
        clock(call).short(since)
    );
    Some(Banner::new("down", text).more("/live?state=down", "Details"))
}

/// The server's own troubles, for those who look after it.
fn of_the_server(call: &Call<'_>) -> Option<Banner> {
    let context = call.context;
    if let Some(problem) = context.pages.problems().first() {
        let problem = problem.lines().next().unwrap_or_default();
        return Some(Banner::new(
            "warn",
            format!("A file of templates_dir is not used: {problem}"),
        ));
    }
    if let Some(fault) = &context.reload_fault {
        let text = format!("Config reload failed: {fault}; still running the old config.");
        return Some(Banner::new("warn", text).more("/settings?part=server&check=1", "Show"));
    }
    if let Some(text) = journal_trouble(call) {
        return Some(Banner::new("warn", text).more("/settings?part=journal", "Details"));
    }
    let text = channel_banner(context.channels, context.now.wall)?;
    Some(Banner::new("warn", text).more("/settings?part=notifications", "Details"))
}

fn for_everybody(call: &Call<'_>) -> Option<Banner> {
    let context = call.context;
    let drops = context.view.counters.kernel_drops;
    if drops > 0 {
        let text = format!(
            "The system dropped {} datagrams before this server could read them: its socket buffer \
             was full.",
            number::count(drops)
        );
        return Some(Banner::new("warn", text));
    }
    let is_open = context.config.users.is_empty() && !context.facts.loopback_only;
    is_open.then(|| {
        let text = "Open access: everybody who reaches these pages can read them. No users are \
                    configured, and hbd_host is not limited to this machine.";
        Banner::new("warn", text).more("/settings?part=users", "Add the first user")
    })
}
