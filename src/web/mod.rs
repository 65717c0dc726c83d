//! HTTP as a function: `respond(&Context, &Request) -> Response`. Routes, API, pages, live frames.
//!
//! Never opens a socket, reads a clock or a file: what a request needs is in its [`Context`], what
//! it may change goes through [`Act`].

mod api;
mod asset;
mod authz;
pub mod caller;
mod channel;
mod csv;
mod form;
mod guard;
mod gzip;
mod header;
pub mod host;
mod http;
mod icon;
mod kept;
pub mod live;
mod member;
mod metrics;
mod near;
mod nest;
mod page;
mod problem;
mod query;
mod route;
mod said;
mod select;
mod why;

#[cfg(test)]
pub mod fixture;
#[cfg(test)]
mod fixture_plugin;
#[cfg(test)]
mod tests;

pub(crate) use api::EventJson;
pub use api::{Explained, explain};
pub use authz::live_scope;
pub use caller::{Caller, Identity, identify, identify_as, secret, secret_of};
pub use channel::{ChannelFact, TestRefusal, TestResult, TestTarget, channel_banner};
pub use http::{Body, Method, Peer, Request, Response};
pub use kept::{Basis, Kept, Reduced, Shelf};
pub use member::{Accounts, Attempt, Change, Refused, SignedIn};
pub use metrics::{Figure, Kind};
pub use page::{AgentFile, Pages, bare_setting};
pub use select::unknown_in_filter;

use crate::config;
use crate::engine::view::{self, View};
use crate::engine::{Command, Outcome, Package};
use crate::history;
use crate::time::{Duration, Now, Wall};
pub use problem::Problem;
use query::Query;
use route::{Handle, Route};
use serde::Serialize;
use std::borrow::Cow;
use std::sync::Arc;

/// What is known of this process and its machine, from the start on.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// As the machine calls itself; empty where it does not.
    pub hostname: String,
    /// With its domain, where the machine knows it.
    pub full_name: Option<String>,
    pub version: &'static str,
    /// The ports that were bound.
    pub udp: Option<u16>,
    pub http: Option<u16>,
    pub ws: Option<u16>,
    pub wss: Option<u16>,
    pub https: Option<u16>,
    /// Pages and API are bound to loopback addresses alone.
    pub loopback_only: bool,
}

impl Facts {
    /// What the machine is called: its name, the first label of it, its full name.
    pub fn names(&self) -> Vec<String> {
        let first = self.hostname.split('.').next().filter(|first| !first.is_empty());
        let full = self.full_name.as_deref().map(|name| name.trim_end_matches('.'));
        let name = first.map(|_| self.hostname.trim_end_matches('.'));
        [name, first, full].into_iter().flatten().map(str::to_owned).collect()
    }
}

/// A bounded queue between two threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueFact {
    pub name: &'static str,
    pub depth: u64,
    pub capacity: u64,
    /// Since the start.
    pub dropped: u64,
}

/// A value that a reload would change, or a secret that it would (without old and new).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfigChange {
    /// `thresholds.cpu_monitor.cpu_percent.warning`
    pub key: String,
    /// As they are written; `None` where there was, or will be, nothing of its own.
    pub old: Option<String>,
    pub new: Option<String>,
    /// Whether a reload is enough; else the old value stays until a restart.
    pub live: bool,
}

/// A file of the message journal, the one that is written first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalFile {
    pub name: String,
    pub bytes: u64,
    pub written: Option<Wall>,
}

/// What a request may change. Called on a thread of HTTP; answers when it is done.
pub trait Act {
    fn act(&self, command: Command) -> Outcome;
    /// Loads the configuration again, all or nothing: the keys that changed, or the problems.
    fn reload(&self) -> Result<Vec<String>, Vec<String>>;
    /// What a reload would change now, or the problems that it would find. Changes nothing.
    fn preview(&self) -> Result<Vec<ConfigChange>, Vec<String>>;
    /// The files of the message journal as they stand on the disk.
    fn journal_files(&self) -> Vec<JournalFile> {
        Vec::new()
    }
    /// Reads the pre-shared keys anew; on an error the old ones stay.
    fn load_keys(&self) -> Result<(), String>;
    /// The agent in `agent_dir` that this host would install, or why there is none.
    fn package(&self, host: &view::Host, version: Option<&str>) -> Result<Package, String>;
    /// What the shell can tell of its process and its workers, for `/metrics`.
    fn figures(&self) -> Vec<Figure> {
        Vec::new()
    }
    /// Sends a test by each channel that `target` names, and waits for what comes of it.
    fn notify_test(&self, target: &TestTarget) -> Result<Vec<TestResult>, TestRefusal>;
}

/// All that one request may look at.
#[derive(Clone)]
pub struct Context<'a> {
    pub view: Arc<View>,
    pub config: Arc<config::server::Server>,
    pub now: Now,
    pub pages: &'a Pages,
    pub facts: &'a Facts,
    pub queues: &'a [QueueFact],
    /// `None` where it is switched off.
    pub journal: Option<JournalFact>,
    /// One for each configured channel, by name.
    pub channels: &'a [ChannelFact],
    pub engine: &'a dyn Act,
    pub accounts: &'a dyn Accounts,
    /// Numbers and standings over time.
    pub history: &'a dyn history::Reader,
    /// Why the configuration was not loaded when it was last asked for; the one before is in force.
    pub reload_fault: Option<Arc<str>>,
    /// The saved state is not loaded yet: `/healthz` says 503.
    pub starting: bool,
    pub pulse: Pulse,
}

/// How busy the server is, for the foot of its pages; of the last ten seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pulse {
    /// Messages accepted a second.
    pub rate: Option<f64>,
    /// What 99 of 100 datagrams took at most, from when they could be read to when they were answered.
    pub p99: Option<Duration>,
    /// Live connections.
    pub viewers: usize,
}

/// The message journal: its files, and what became of its lines since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct JournalFact {
    /// Of the journal and its backups, and what they may take together.
    pub bytes: u64,
    pub bytes_max: u64,
    pub written: u64,
    pub dropped: u64,
    /// The disk takes it.
    pub ok: bool,
    /// How full its disk is, percent. Told on the pages.
    #[serde(skip)]
    pub disk: Option<u8>,
}

/// One request on its way through the routes.
pub(crate) struct Call<'a> {
    /// Its view is the fleet as far as the caller may see it.
    context: &'a Context<'a>,
    request: &'a Request<'a>,
    caller: Caller,
    /// The whole fleet: only for what filters by itself (`live`) or shows no host's page (`healthz`, `metrics`).
    whole: Arc<View>,
    query: Query<'a>,
    /// HEAD counts as GET; the shell leaves the body out.
    method: Method,
    /// What stands in the places of the route's path.
    params: Vec<(&'static str, Cow<'a, str>)>,
}

/// When to ask again after a 503.
const RETRY_S: u64 = 5;

pub(crate) type Answer = Result<Response, Problem>;

/// Pages and files. A page without a session is a way to `/login`.
const PAGES: &[Route] = &[
    Route::get("", Handle::Public(|_| Ok(redirect("/live")))),
    Route::post("", Handle::Public(form::respond)),
    Route::get("login", Handle::Public(page::login)),
    Route::post("login", Handle::Public(form::login)),
    Route::get("logout", Handle::Public(|_| Ok(redirect("/live")))),
    Route::post("logout", Handle::Public(form::logout)),
    Route::get("live", Handle::Reader(page::live)),
    Route::get("live.csv", Handle::Reader(page::live_export)),
    Route::get("live/map", Handle::Reader(page::live_map)),
    Route::post("live", Handle::Public(form::respond)),
    Route::get("alerts", Handle::Reader(page::alerts)),
    Route::get("alerts.csv", Handle::Reader(page::alerts_export)),
    Route::get("events", Handle::Reader(page::events)),
    Route::get("events.jsonl", Handle::Reader(page::events_export)),
    Route::get("find", Handle::Reader(page::find)),
    Route::get("settings", Handle::Reader(page::settings)),
    Route::post("settings", Handle::Public(form::respond)),
    Route::post("find", Handle::Public(form::respond)),
    Route::get("wall", Handle::Reader(page::wall)),
    Route::get("status", Handle::Public(page::status)),
    Route::get("status/badge/{file}", Handle::Public(page::badge)),
    Route::post("events", Handle::Public(form::respond)),
    Route::post("alerts", Handle::Public(form::respond)),
    Route::get("plugins/{host}", Handle::Reader(page::host)),
    Route::post("plugins/{host}", Handle::Public(form::respond)),
    Route::get("favicon.svg", Handle::Public(icon::respond)),
    Route::get("static/{file}", Handle::Public(asset::respond)),
    Route::get("healthz", Handle::Public(api::health::respond)),
    Route::get("metrics", Handle::Public(metrics::respond)),
];

/// Answers a request. For HEAD the answer is that of GET: the shell sends its length without the
/// body.
pub fn respond(context: &Context<'_>, request: &Request<'_>) -> Response {
    respond_to(context, request, &caller::identify(context, request))
}

/// The same to a caller who is known already.
pub fn respond_to(context: &Context<'_>, request: &Request<'_>, caller: &Caller) -> Response {
    let mut response = match guard::check(context, request) {
        Ok(()) => route(context, request, caller.clone()),
        Err(problem) => problem.into_response(),
    };
    header::finish(context, request, &mut response);
    response
}

fn route(context: &Context<'_>, request: &Request<'_>, caller: Caller) -> Response {
    let method = if request.method == Method::Head { Method::Get } else { request.method };
    page::set_units(context.config.units_si);
    let scoped = Context { view: authz::scoped(&context.view, &caller), ..context.clone() };
    let mut call = Call {
        context: &scoped,
        request,
        caller,
        whole: Arc::clone(&context.view),
        query: Query::parse(request.query),
        method,
        params: Vec::new(),
    };
    let segments = route::segments(request.path).unwrap_or_default();
    if let Some(rest) = segments.strip_prefix(&[Cow::Borrowed("api"), Cow::Borrowed("0")]) {
        return api::respond(&mut call, rest).unwrap_or_else(Problem::into_response);
    }
    let answer = route::dispatch(&[PAGES], &mut call, &segments).unwrap_or_else(|| {
        authz::signed_in(&call)?;
        Err(unknown_path())
    });
    answer.unwrap_or_else(|problem| page_problem(&call, problem))
}

/// A person gets a page; a program asked under `/api/`.
fn page_problem(call: &Call<'_>, problem: Problem) -> Response {
    let is_page =
        |path: &str| !path.starts_with("/api/") && path != "/healthz" && path != "/metrics";
    if !is_page(call.request.path) {
        return problem.into_response();
    }
    if problem.status == 401 && call.method == Method::Get {
        return redirect(&format!("/login?next={}", query::encode(&page::here(call))));
    }
    if problem.status == 500 {
        // The shell makes a page of it, with a number that its log has too.
        return problem.into_response();
    }
    match page::error_page(call, &problem, Vec::new()) {
        Ok(mut response) => {
            response.headers.extend(problem.allow().map(|allow| ("Allow", allow)));
            response
        }
        Err(_) => problem.into_response(),
    }
}

/// The answer to a request that the code failed on: `id` is in the log. Without the frame of the other pages, which
/// might have been what failed.
pub fn failed(request: &Request<'_>, pages: &Pages, id: &str) -> Response {
    let problem = Problem::new(500, "internal", format!("The server failed on request {id}."))
        .hint(format!("The log has the reason: journalctl -u hbd --grep {id}"));
    bare(request, pages, problem, "Something went wrong here")
}

/// The answer to a request that the server could not carry out for now, though it is well: it has too much to do, its
/// disk does not take what was changed, or it is not ready yet.
pub fn unavailable(
    request: &Request<'_>,
    pages: &Pages,
    code: &'static str,
    detail: &str,
) -> Response {
    let problem = Problem::new(503, code, detail).retry_after(RETRY_S);
    bare(request, pages, problem, "Not now")
}

/// Whether a person reads the answer, in a browser; a program otherwise. `accept` is the field of that name.
pub fn wants_page(path: &str, accept: Option<&str>) -> bool {
    !path.starts_with("/api/") && accept.is_some_and(|kinds| kinds.contains("text/html"))
}

/// A problem that stands alone: a page for a person, a document for a program.
fn bare(request: &Request<'_>, pages: &Pages, problem: Problem, heading: &str) -> Response {
    let is_page = wants_page(request.path, request.header("accept"));
    let again = (request.method == Method::Get)
        .then(|| format!("/{}", request.path.trim_start_matches('/')))
        .filter(|_| problem.status == 503);
    let made = is_page.then(|| page::failed_page(pages, &problem, heading, again)).flatten();
    made.unwrap_or_else(|| problem.into_response())
}

fn redirect(path: &str) -> Response {
    let headers = vec![("Location", path.to_owned()), ("Cache-Control", "no-store".to_owned())];
    Response { status: 302, headers, body: Body::Static(b"") }
}

fn unknown_path() -> Problem {
    Problem::new(404, "no_such_path", "There is nothing at this path.")
}
