//! Answers that were made once and are given again: for whoever asks the same, of the same view, within the
//! same second.
//!
//! What is kept is found by all that it was made of. A request is first reduced to what its key holds
//! ([`Reduced`]), so that a handler cannot read what the key does not know; view, configuration and pages are
//! compared by identity, the caller by value; texts such as `3 s ago` have a second to live.

use super::caller::Caller;
use super::page::Pages;
use super::{Body, Method, Peer, Request, Response};
use crate::config::server::Server;
use crate::engine::view::View;
use crate::limits;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Weak};

/// What is asked for again and again, and reads nothing but its context's view, configuration, pages, channels
/// and time. Nothing that reads the history, queues or accounts may stand here.
const PATHS: &[&str] = &[
    "/live",
    "/wall",
    "/alerts",
    "/events",
    "/api/0/hosts",
    "/api/0/alerts",
    "/api/0/events",
    "/api/0/messages",
    "/api/0/silences",
    "/api/0/maintenance",
];

/// The fields that handlers of these paths see.
const FIELDS: [&str; 6] =
    ["host", "cookie", "authorization", "accept-encoding", "origin", "sec-fetch-site"];

/// A request without everything that its key does not hold.
pub struct Reduced<'a> {
    path: &'a str,
    query: &'a str,
    headers: Vec<(&'a str, &'a str)>,
    peer: Peer,
    secure: bool,
    key: Vec<u8>,
}

impl<'a> Reduced<'a> {
    /// `None` where the answer is never kept.
    pub fn of(request: &Request<'a>) -> Option<Reduced<'a>> {
        let fits = request.method == Method::Get && request.body.is_empty();
        if !fits || !PATHS.contains(&request.path) {
            return None;
        }
        // Where somebody sits matters to none of these paths.
        let (peer, is_control) = match request.peer {
            Peer::Control => (Peer::Control, 1),
            Peer::Remote(_) => (Peer::Remote(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), 0),
        };
        let mut key = vec![is_control | u8::from(request.secure) << 1];
        let mut add = |part: &str| {
            key.extend_from_slice(&(part.len() as u32).to_le_bytes());
            key.extend_from_slice(part.as_bytes());
        };
        add(request.path);
        add(request.query);
        let mut headers = Vec::with_capacity(FIELDS.len());
        for name in FIELDS {
            match request.header(name) {
                Some(value) => {
                    add(name);
                    add(value);
                    headers.push((name, value));
                }
                None => add(""),
            }
        }
        let (path, query, secure) = (request.path, request.query, request.secure);
        Some(Reduced { path, query, headers, peer, secure, key })
    }

    pub fn request(&self) -> Request<'_> {
        Request {
            method: Method::Get,
            path: self.path,
            query: self.query,
            headers: &self.headers,
            body: b"",
            peer: self.peer,
            secure: self.secure,
        }
    }
}

/// What answers are made of beside the request. Handles that keep nothing alive, whose addresses no newer one
/// can have.
#[derive(Clone)]
pub struct Basis {
    view: Weak<View>,
    config: Weak<Server>,
    pages: Weak<Pages>,
    second: i64,
}

impl Basis {
    pub fn new(view: &Arc<View>, config: &Arc<Server>, pages: &Arc<Pages>, second: i64) -> Basis {
        let (view, config) = (Arc::downgrade(view), Arc::downgrade(config));
        Basis { view, config, pages: Arc::downgrade(pages), second }
    }

    fn is(&self, other: &Basis) -> bool {
        self.second == other.second
            && self.view.ptr_eq(&other.view)
            && self.config.ptr_eq(&other.config)
            && self.pages.ptr_eq(&other.pages)
    }
}

/// A whole answer of status 200.
#[derive(Debug)]
pub struct Kept {
    /// Lines of the head, `Content-Length` among them; those of the connection are not.
    pub fields: String,
    pub body: Arc<[u8]>,
    headers: Vec<(&'static str, String)>,
}

impl Kept {
    /// `None` for an answer that is for once.
    fn of(response: &mut Response) -> Option<Kept> {
        let once = |name: &str, value: &str| name == "Set-Cookie" || value.contains(['\r', '\n']);
        if response.status != 200 || response.headers.iter().any(|(n, v)| once(n, v)) {
            return None;
        }
        let body: Arc<[u8]> = Arc::from(response.body.as_bytes());
        let mut fields = String::with_capacity(1024);
        for (name, value) in &response.headers {
            // Writing to a String cannot fail.
            let _ = write!(fields, "{name}: {value}\r\n");
        }
        let _ = write!(fields, "Content-Length: {}\r\n", body.len());
        response.body = Body::Shared(Arc::clone(&body));
        Some(Kept { fields, body, headers: response.headers.clone() })
    }

    pub fn response(&self) -> Response {
        let body = Body::Shared(Arc::clone(&self.body));
        Response { status: 200, headers: self.headers.clone(), body }
    }
}

/// The answers of one basis, bounded in number and bytes.
#[derive(Default)]
pub struct Shelf {
    basis: Option<Basis>,
    answers: HashMap<Box<[u8]>, (Caller, Arc<Kept>)>,
    bytes: usize,
}

impl Shelf {
    pub fn find(&self, basis: &Basis, asked: &Reduced<'_>, caller: &Caller) -> Option<Arc<Kept>> {
        if !self.basis.as_ref().is_some_and(|own| own.is(basis)) {
            return None;
        }
        let (for_whom, kept) = self.answers.get(&*asked.key)?;
        (for_whom == caller).then(|| Arc::clone(kept))
    }

    /// Keeps an answer where there is room; its body is shared with the shelf then.
    pub fn keep(
        &mut self,
        basis: &Basis,
        asked: &Reduced<'_>,
        caller: Caller,
        response: &mut Response,
    ) {
        if !self.basis.as_ref().is_some_and(|own| own.is(basis)) {
            *self = Shelf { basis: Some(basis.clone()), ..Shelf::default() };
        }
        let len = response.body.as_bytes().len() + asked.key.len();
        let is_room = self.answers.len() < limits::KEPT_ANSWERS_MAX
            && self.bytes + len <= limits::KEPT_BYTES_MAX;
        if !is_room {
            return;
        }
        let Some(kept) = Kept::of(response) else { return };
        self.bytes += len;
        let old = self.answers.insert(asked.key.as_slice().into(), (caller, Arc::new(kept)));
        if let Some((_, old)) = old {
            self.bytes -= old.body.len() + asked.key.len();
        }
    }
}
