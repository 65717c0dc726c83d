//! `/metrics`: the fleet and the server itself for Prometheus; and who may ask for that and for `/healthz`.
//!
//! Reads the view alone: a scrape of any size costs the engine nothing. docs/METRICS.md names every family.

mod exposition;
mod fleet;
mod leaf;
mod own;
#[cfg(test)]
mod tests;

pub use exposition::Kind;

use super::problem::Problem;
use super::{Answer, Body, Call, Response};
use crate::glob;
use crate::limits;
use exposition::Exposition;

/// A number that the shell knows: of the process, of a worker. Those of one name stand together.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    pub name: &'static str,
    pub kind: Kind,
    pub help: &'static str,
    pub labels: Vec<(&'static str, String)>,
    pub value: f64,
}

impl Figure {
    pub fn new(name: &'static str, kind: Kind, help: &'static str, value: f64) -> Figure {
        Figure { name, kind, help, labels: Vec::new(), value }
    }

    pub fn label(mut self, name: &'static str, value: impl Into<String>) -> Figure {
        self.labels.push((name, value.into()));
        self
    }
}

/// Which parts of the answer are wanted.
#[derive(Clone, Copy)]
struct Parts {
    own: bool,
    hosts: bool,
    metrics: bool,
}

/// `GET /metrics?collect=self,hosts,metrics&host=GLOB`
pub fn respond(call: &Call<'_>) -> Answer {
    if let Some(refused) = refusal(call, "/metrics") {
        return Ok(refused);
    }
    let parts = parts(call)?;
    let wanted = call.query.get("host").filter(|glob| !glob.is_empty());
    if wanted.is_some_and(|glob| glob.len() > limits::GLOB_MAX) {
        return Err(Problem::new(400, "bad_parameter", "host is too long.").field("host"));
    }
    let is_wanted =
        |name: &str| wanted.is_none_or(|glob| glob::matches(glob.as_bytes(), name.as_bytes()));
    let mut text = Exposition::new(limits::METRICS_BYTES);
    if parts.own {
        own::write(&mut text, call.context, &call.whole);
    }
    fleet::write_totals(&mut text, &call.whole);
    if parts.hosts {
        fleet::write_hosts(&mut text, &call.whole, &is_wanted);
    }
    if parts.metrics {
        fleet::write_metrics(&mut text, &call.whole, &is_wanted);
    }
    Ok(Response {
        status: 200,
        headers: vec![
            ("Content-Type", "text/plain; version=0.0.4; charset=utf-8".to_owned()),
            ("Cache-Control", "no-store".to_owned()),
        ],
        body: Body::Owned(text.finish().into_bytes()),
    })
}

fn parts(call: &Call<'_>) -> Result<Parts, Problem> {
    let Some(text) = call.query.get("collect") else {
        return Ok(Parts { own: true, hosts: true, metrics: true });
    };
    let mut parts = Parts { own: false, hosts: false, metrics: false };
    for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        match word {
            "self" => parts.own = true,
            "hosts" => parts.hosts = true,
            "metrics" => parts.metrics = true,
            _ => {
                return Err(Problem::new(400, "bad_parameter", "There is no such part.")
                    .hint("collect is one or several of self, hosts, metrics; with commas.")
                    .field("collect"));
            }
        }
    }
    Ok(parts)
}

/// The answer to whoever may not ask: open from loopback, as trusted proxies report it; elsewhere with
/// `metrics_token` as a Bearer token (SPEC section 8). `None`: they may.
pub fn refusal(call: &Call<'_>, path: &str) -> Option<Response> {
    if call.request.peer.is_loopback() || has_token(call) {
        return None;
    }
    if call.context.config.metrics_token.is_none() {
        let what = format!("{path} is open from loopback only.");
        let hint =
            "Ask from the server itself, or set metrics_token and send it as a Bearer token.";
        return Some(Problem::new(403, "loopback_only", what).hint(hint).into_response());
    }
    let what =
        format!("From elsewhere than loopback {path} needs metrics_token as a Bearer token.");
    let problem = Problem::new(401, "no_metrics_token", what);
    Some(problem.hint("Send Authorization: Bearer TOKEN.").into_response())
}

/// Whether the request carries `metrics_token`. The shell has put the value itself into the
/// configuration where that names a file.
fn has_token(call: &Call<'_>) -> bool {
    let token = call.context.config.metrics_token.as_ref();
    let token = token.and_then(|secret| secret.resolve(|_| Err(())).ok()).unwrap_or_default();
    let given = call.request.header("authorization").and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token)
    });
    given.is_some_and(|given| !token.is_empty() && is_equal(given.trim(), &token))
}

/// Compares every byte, so that the time tells nothing of how much was right.
fn is_equal(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |sum, (x, y)| sum | (x ^ y)) == 0
}
