//! Which `Host` and `Origin` headers are believed: the defence against DNS rebinding and against
//! pages of other sites that open our live connection (THREATS H5, H6). One rule for pages and
//! WebSockets.

use crate::config::server::Server;
use std::net::{IpAddr, Ipv6Addr};

/// Whether a `Host` header's value is an address, `localhost`, a name of this machine (`machine`:
/// its host name and full name), the host of `public_url`, or one of `http_hosts`.
pub fn is_host_allowed(value: &str, config: &Server, machine: &[String]) -> bool {
    let Some(host) = host_of(value) else { return false };
    host.parse::<IpAddr>().is_ok()
        || host == "localhost"
        || is_named(&host, config)
        || machine.iter().any(|name| host.eq_ignore_ascii_case(name))
}

/// Whether an `Origin` header's value belongs to the `Host` that was asked: the same host, at any
/// port, or one that the configuration names.
pub fn is_origin_allowed(origin: &str, host: &str, config: &Server) -> bool {
    let Some(from) = host_of_url(origin) else { return false };
    host_of(host).is_some_and(|to| to == from) || is_named(&from, config)
}

fn is_named(host: &str, config: &Server) -> bool {
    let public = config.public_url.as_deref().and_then(host_of_url);
    public.is_some_and(|name| name == host)
        || config.http_hosts.iter().any(|name| name.eq_ignore_ascii_case(host))
}

/// The host of `scheme://host:port/…`, as `host_of` gives it. `null` and other opaque origins have
/// none.
fn host_of_url(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    web.then(|| rest.split(['/', '?', '#']).next()).flatten().and_then(host_of)
}

/// The host of `host`, `host:port`, `[v6]` or `[v6]:port`: lower case, without brackets and closing
/// dot.
fn host_of(value: &str) -> Option<String> {
    if let Some(rest) = value.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        let address: Ipv6Addr = address.parse().ok()?;
        let port_ok = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        return port_ok.then(|| address.to_string());
    }
    let (host, port) = match value.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (value, None),
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    let ok = !host.is_empty() && host.bytes().all(plain) && port.is_none_or(is_port);
    ok.then(|| host.to_ascii_lowercase())
}

/// Up to five digits; none at all is allowed by the grammar (`host:`).
fn is_port(text: &str) -> bool {
    text.len() <= 5 && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Server {
        Server {
            http_hosts: vec!["Mon.Example.net".to_owned()],
            public_url: Some("https://hb.example.net/base".to_owned()),
            ..Server::default()
        }
    }

    #[test]
    fn host_header_is_allowed_for_addresses_and_known_names_only() {
        let machine = ["box".to_owned(), "box.lan".to_owned()];
        let table = [
            ("127.0.0.1:50004", true),
            ("192.0.2.7", true),
            ("[::1]:50004", true),
            ("[::1]", true),
            ("localhost:50004", true),
            ("LOCALHOST", true),
            ("localhost.", true),
            ("box:50004", true),
            ("box.lan", true),
            ("mon.example.net:8443", true),
            ("hb.example.net", true),
            ("evil.example", false),
            ("localhost.evil.example", false),
            ("box.lan.evil.example", false),
            ("", false),
            (":50004", false),
            ("localhost:50004:1", false),
            ("user@localhost", false),
            ("[::1]x", false),
            ("[localhost]", false),
            ("localhost:port", false),
        ];
        for (value, want) in table {
            assert_eq!(is_host_allowed(value, &config(), &machine), want, "{value:?}");
        }
    }

    #[test]
    fn h6_origin_must_be_the_host_that_was_asked_at_any_port() {
        let table = [
            ("http://localhost:50004", "localhost:50005", true),
            ("https://LOCALHOST", "localhost:50005", true),
            ("http://[::1]:50004", "[::1]:50005", true),
            ("https://hb.example.net", "127.0.0.1:50005", true),
            ("http://mon.example.net", "127.0.0.1", true),
            ("http://evil.example", "localhost:50005", false),
            ("http://127.0.0.1", "localhost", false),
            ("null", "localhost", false),
            ("", "localhost", false),
            ("file://localhost", "localhost", false),
            ("http://localhost@evil.example", "localhost", false),
            ("http://localhost.evil.example", "localhost", false),
        ];
        for (origin, host, want) in table {
            assert_eq!(is_origin_allowed(origin, host, &config()), want, "{origin:?} {host:?}");
        }
    }
}
