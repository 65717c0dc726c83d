//! Who may ask at all: the `Host` rule against DNS rebinding, the origin rule against cross-site
//! writes.
//!
//! Both hold without users too: a page of a stranger must neither read nor change a fleet through
//! the browser of somebody who can reach the server.

use super::caller;
use super::host::is_host_allowed;
use super::problem::Problem;
use super::{Context, Peer, Request};
use std::net::IpAddr;

const ORIGIN_HINT: &str = "Send an Origin header equal to this server's own, or a Bearer token \
                           without one, or use hbd's commands on the server itself.";

/// A `Host` header taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authority<'a> {
    /// IPv6 literals without brackets.
    pub host: &'a str,
    pub port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// `None` where it is neither an address nor made of the letters of a host name.
    pub fn parse(text: &'a str) -> Option<Authority<'a>> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']')?;
                host.parse::<std::net::Ipv6Addr>().ok()?;
                (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let named = host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:".contains(&b));
        let port = match port {
            Some(port) if port.bytes().all(|b| b.is_ascii_digit()) => Some(port.parse().ok()?),
            Some(_) => return None,
            None => None,
        };
        (!host.is_empty() && named).then_some(Authority { host, port })
    }

    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// As it stands in a URL, without the port.
    pub fn url_host(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.to_owned() }
    }
}

/// The authority of the request's `Host`, where it is one that this server answers to.
pub fn host<'a>(context: &Context<'_>, request: &Request<'a>) -> Option<Authority<'a>> {
    let value = request.header("host")?.trim();
    let authority = Authority::parse(value)?;
    is_host_allowed(value, &context.config, &context.facts.names()).then_some(authority)
}

/// Refuses a request whose `Host` is not ours, or that would change something and does not come
/// from our own pages.
pub fn check(context: &Context<'_>, request: &Request<'_>) -> Result<(), Problem> {
    if request.peer == Peer::Control {
        return Ok(());
    }
    let Some(authority) = host(context, request) else {
        let name = request.header("host").unwrap_or("");
        return Err(Problem::new(
            421,
            "unknown_host_header",
            format!("This server does not answer to the host name {:?}.", clip(name)),
        )
        .hint("Add the name to http_hosts in the server's configuration, or use its address."));
    };
    if !request.method.is_safe() {
        return check_origin(context, request, authority);
    }
    // Nothing of ours is read across origins: a page that tries is told so.
    match request.header("origin") {
        Some(origin) if !is_same_origin(origin, context, request, authority) => Err(foreign()),
        _ => Ok(()),
    }
}

/// A write over the network must carry proof that it comes from one of our own pages.
fn check_origin(
    context: &Context<'_>,
    request: &Request<'_>,
    authority: Authority<'_>,
) -> Result<(), Problem> {
    let site = request.header("sec-fetch-site");
    let origin = request.header("origin");
    let site_fits = site.is_none_or(|s| s == "same-origin");
    let origin_fits = origin.is_none_or(|o| is_same_origin(o, context, request, authority));
    if (site.is_some() || origin.is_some()) && site_fits && origin_fits {
        return Ok(());
    }
    if site.is_some() || origin.is_some() {
        return Err(foreign());
    }
    // A page of a stranger cannot send a token, and has nothing of ours to sign in with.
    let by_token = !context.config.users.is_empty() && caller::bearer(request).is_some();
    if by_token || request.path == "/api/0/auth/login" {
        return Ok(());
    }
    let detail = "A request that changes something must say where it comes from.";
    Err(Problem::new(403, "no_origin", detail).hint(ORIGIN_HINT))
}

fn foreign() -> Problem {
    let detail = "The request comes from a page of another origin.";
    Problem::new(403, "foreign_origin", detail).hint(ORIGIN_HINT)
}

fn is_same_origin(
    origin: &str,
    context: &Context<'_>,
    request: &Request<'_>,
    authority: Authority<'_>,
) -> bool {
    let public = context.config.public_url.as_deref().and_then(origin_of);
    if public.is_some_and(|p| p.eq_ignore_ascii_case(origin)) {
        return true;
    }
    let Some((scheme, rest)) = origin.split_once("://") else { return false };
    let Some(from) = Authority::parse(rest) else { return false };
    let secure = scheme.eq_ignore_ascii_case("https");
    if !secure && !scheme.eq_ignore_ascii_case("http") || secure != request.secure {
        return false;
    }
    let default = if secure { 443 } else { 80 };
    from.host.eq_ignore_ascii_case(authority.host)
        && from.port.unwrap_or(default) == authority.port.unwrap_or(default)
}

/// `scheme://host:port` of a URL.
fn origin_of(url: &str) -> Option<&str> {
    let start = url.find("://")? + 3;
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |at| start + at);
    Some(&url[..end])
}

fn clip(text: &str) -> &str {
    crate::text::cut(text, 80)
}
