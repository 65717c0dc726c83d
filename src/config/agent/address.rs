//! A server as it is written on the command line and under `servers:`.

use super::ServerEntry;
use crate::config::problem::quoted;
use crate::text;
use std::net::{IpAddr, Ipv6Addr};

/// Reads `name`, `name:port`, `192.0.2.1:50003`, `::1`, `[::1]`, `[::1]:50003`, `fe80::1%eth0`.
/// The error says in one clause what is wrong.
pub fn parse_server(text: &str) -> Result<ServerEntry, String> {
    let text = text.trim();
    let (host, port) = split_port(text)?;
    let port = match port {
        None => None,
        Some(digits) => match digits.parse::<u16>() {
            Ok(port) if port > 0 && digits.bytes().all(|b| b.is_ascii_digit()) => Some(port),
            _ => return Err(format!("{} is not a port from 1 to 65535", quoted(digits))),
        },
    };
    Ok(ServerEntry { host: check_host(host)?, port, ..ServerEntry::default() })
}

/// A name in lower case, or an address as it is.
pub(super) fn check_host(host: &str) -> Result<String, String> {
    let bare = host.split('%').next().unwrap_or(host);
    if host.parse::<IpAddr>().is_ok() || (host.contains('%') && is_scoped(host, bare)) {
        return Ok(host.to_owned());
    }
    match text::parse_name(host) {
        Ok(name) => Ok(name.into_owned()),
        Err(error) => Err(format!("{} is not a server: the name {error}", quoted(host))),
    }
}

fn is_scoped(host: &str, bare: &str) -> bool {
    let zone = &host[bare.len() + 1..];
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    bare.parse::<Ipv6Addr>().is_ok() && (1..=15).contains(&zone.len()) && zone.bytes().all(allowed)
}

fn split_port(text: &str) -> Result<(&str, Option<&str>), String> {
    if let Some(rest) = text.strip_prefix('[') {
        let Some((host, after)) = rest.split_once(']') else {
            return Err(format!("{} has no closing bracket", quoted(text)));
        };
        if !host.contains(':') {
            return Err(format!("{} is not an IPv6 address", quoted(host)));
        }
        return match after.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if after.is_empty() => Ok((host, None)),
            None => Err(format!("{} follows the bracket; a port begins with ':'", quoted(after))),
        };
    }
    match text.split_once(':') {
        Some((_, rest)) if rest.contains(':') => Ok((text, None)),
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((text, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_text_in_every_form() {
        let table = [
            ("hb.example.net", Ok(("hb.example.net", None))),
            ("HB:5", Ok(("hb", Some(5)))),
            ("1.2.3.4:50003", Ok(("1.2.3.4", Some(50003)))),
            ("::1", Ok(("::1", None))),
            ("[::1]", Ok(("::1", None))),
            ("[::1]:50003", Ok(("::1", Some(50003)))),
            ("fe80::1%eth0", Ok(("fe80::1%eth0", None))),
            ("", Err("\"\" is not a server: the name is empty")),
            ("a:0", Err("\"0\" is not a port from 1 to 65535")),
            ("a:", Err("\"\" is not a port from 1 to 65535")),
            ("a:+5", Err("\"+5\" is not a port from 1 to 65535")),
            ("[::1", Err("\"[::1\" has no closing bracket")),
            ("[::1]5", Err("\"5\" follows the bracket; a port begins with ':'")),
            ("[a]:5", Err("\"a\" is not an IPv6 address")),
        ];
        for (text, want) in table {
            let got = parse_server(text);
            let got = got.as_ref().map(|s| (s.host.as_str(), s.port)).map_err(String::as_str);
            assert_eq!(got, want, "{text:?}");
        }
        assert!(parse_server("a b").is_err() && parse_server("::1::2").is_err());
    }
}
