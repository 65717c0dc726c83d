//! A complete, checked request and its answer, as values.

use std::net::IpAddr;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Options,
    Other,
}

impl Method {
    pub fn parse(text: &str) -> Method {
        match text {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "DELETE" => Method::Delete,
            "OPTIONS" => Method::Options,
            _ => Method::Other,
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
            Method::Options => "OPTIONS",
            Method::Other => "other",
        }
    }
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// The unix control socket: root or the server's own user.
    Control,
    /// The address as trusted proxies report it.
    Remote(IpAddr),
}

impl Peer {
    pub fn is_loopback(self) -> bool {
        match self {
            Peer::Control => true,
            Peer::Remote(address) => address.to_canonical().is_loopback(),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Request<'a> {
    pub method: Method,
    /// As received, still percent-encoded, without the query.
    pub path: &'a str,
    /// What follows `?`, still encoded; empty where there is none.
    pub query: &'a str,
    /// Names as received; compare without case.
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a [u8],
    pub peer: Peer,
    /// Reached over TLS, here or at a trusted proxy.
    pub secure: bool,
}

impl<'a> Request<'a> {
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| *v)
    }

    pub fn cookie(&self, name: &str) -> Option<&'a str> {
        cookie_of(self.header("cookie")?, name)
    }
}

/// One cookie of a `Cookie` header.
pub fn cookie_of<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    header.split(';').find_map(|pair| {
        let (own, value) = pair.trim().split_once('=')?;
        (own == name).then_some(value)
    })
}

#[derive(Clone, Debug)]
pub enum Body {
    Static(&'static [u8]),
    Owned(Vec<u8>),
    /// Kept and sent to several (a page of one view).
    Shared(Arc<[u8]>),
}

impl Body {
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Body::Static(bytes) => bytes,
            Body::Owned(bytes) => bytes,
            Body::Shared(bytes) => bytes,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    /// Without `Content-Length`, which the shell adds.
    pub headers: Vec<(&'static str, String)>,
    pub body: Body,
}
