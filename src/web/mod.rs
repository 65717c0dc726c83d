//! HTTP as a function: `respond(&Context, &Request) -> Response`. Routes, API, pages, live frames.
//!
//! Never opens a socket, reads a clock or a file: what a request needs is in its [`Context`], what
//! it may change goes through [`Act`].

mod api;
mod asset;
mod guard;
mod gzip;
mod header;
pub mod host;
mod http;
mod icon;
pub mod live;
mod near;
mod page;
mod problem;
mod query;
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
pub use http::{Body, Method, Peer, Request, Response};
pub use page::Pages;

use crate::config;
use crate::engine::view::View;
use crate::engine::{Command, Outcome};
use crate::time::Now;
use problem::Problem;
use query::Query;
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

/// What a request may change. Called on a thread of HTTP; answers when it is done.
pub trait Act {
    fn act(&self, command: Command) -> Outcome;
    /// Loads the configuration again, all or nothing: the keys that changed, or the problems.
    fn reload(&self) -> Result<Vec<String>, Vec<String>>;
}

/// All that one request may look at.
pub struct Context<'a> {
    pub view: Arc<View>,
    pub config: Arc<config::server::Server>,
    pub now: Now,
    pub pages: &'a Pages,
    pub facts: &'a Facts,
    pub queues: &'a [QueueFact],
    pub engine: &'a dyn Act,
    /// The saved state is not loaded yet: `/healthz` says 503.
    pub starting: bool,
}

/// One request on its way through the routes.
pub(crate) struct Call<'a> {
    context: &'a Context<'a>,
    request: &'a Request<'a>,
    query: Query<'a>,
    /// HEAD counts as GET; the shell leaves the body out.
    method: Method,
}

pub(crate) type Answer = Result<Response, Problem>;

/// Answers a request. For HEAD the answer is that of GET: the shell sends its length without the
/// body.
pub fn respond(context: &Context<'_>, request: &Request<'_>) -> Response {
    let answer = guard::check(context, request).and_then(|()| route(context, request));
    let mut response = answer.unwrap_or_else(Problem::into_response);
    header::finish(context, request, &mut response);
    response
}

fn route(context: &Context<'_>, request: &Request<'_>) -> Answer {
    let method = if request.method == Method::Head { Method::Get } else { request.method };
    let call = Call { context, request, query: Query::parse(request.query), method };
    let segments: Option<Vec<Cow<'_, str>>> =
        request.path.trim_start_matches('/').split('/').map(query::decode_segment).collect();
    let segments = segments.ok_or_else(unknown_path)?;
    let segments: Vec<&str> = segments.iter().map(|s| &**s).collect();
    match segments.as_slice() {
        ["api", "0", rest @ ..] => api::respond(&call, rest),
        [""] => pages_only(&call, &|_| Ok(redirect("/live"))),
        ["live"] => pages_only(&call, &page::live),
        ["events"] => pages_only(&call, &page::events),
        ["plugins", name] => pages_only(&call, &|call| page::host(call, name)),
        ["favicon.svg"] => icon::respond(&call),
        ["static", name] => context.pages.assets.respond(&call, name),
        ["healthz"] => api::health::respond(&call),
        ["api", ..] => Err(unknown_path()),
        _ => page::error_page(&call, &unknown_path(), Vec::new()),
    }
}

/// A page: shown by GET, and posted to with a choice of theme or zone.
fn pages_only(call: &Call<'_>, show: &dyn Fn(&Call<'_>) -> Answer) -> Answer {
    match call.method {
        Method::Get => show(call),
        Method::Post => page::choose(call),
        _ => Err(Problem::not_allowed("GET, HEAD, POST")),
    }
}

fn redirect(path: &str) -> Response {
    let headers = vec![("Location", path.to_owned()), ("Cache-Control", "no-store".to_owned())];
    Response { status: 302, headers, body: Body::Static(b"") }
}

fn unknown_path() -> Problem {
    Problem::new(404, "no_such_path", "There is nothing at this path.")
}
