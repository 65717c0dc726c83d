//! Bytes to requests: a state machine that takes what came over a connection and says what is there. It never
//! reads, never waits, and holds at most one head (`HEAD_MAX`) and one body (`BODY_MAX`).
//!
//! Stricter than RFC 9112 asks: one reading of every byte, or none. Bare LF, folded lines, blanks before a
//! colon, `Transfer-Encoding` and every doubtful `Content-Length` are refused.

use heartbeat::limits;
use std::ops::Range;

/// Why bytes are not a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    RequestLine,
    Version,
    Header,
    Host,
    TransferEncoding,
    ContentLength,
    Expectation,
    HeadTooLong,
    HeadersTooMany,
    BodyTooLong,
}

impl Refusal {
    pub const fn status(self) -> u16 {
        match self {
            Refusal::Version => 505,
            Refusal::Expectation => 417,
            Refusal::HeadTooLong | Refusal::HeadersTooMany => 431,
            Refusal::BodyTooLong => 413,
            _ => 400,
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Refusal::RequestLine => "bad request line",
            Refusal::Version => "only HTTP/1.0 and HTTP/1.1",
            Refusal::Header => "bad header field",
            Refusal::Host => "exactly one Host header is needed",
            Refusal::TransferEncoding => "Transfer-Encoding is not accepted, send Content-Length",
            Refusal::ContentLength => "bad Content-Length",
            Refusal::Expectation => "unknown expectation",
            Refusal::HeadTooLong => "request head too long",
            Refusal::HeadersTooMany => "too many header fields",
            Refusal::BodyTooLong => "request body too long",
        }
    }
}

/// What the bytes so far amount to.
#[derive(Debug)]
pub enum Step {
    /// Nothing yet: push more.
    Need,
    /// The peer waits for `100 Continue` before it sends the body. Said once a request.
    Continue,
    Request(Request),
    /// Nothing further on this connection can be believed.
    Refuse(Refusal),
}

/// How far a request has come; a deadline belongs to each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// No byte of it.
    Idle,
    Head,
    Body,
}

/// A complete request. Text is ASCII: bytes above 0x7f in field values were replaced by `?`, so that a foreign
/// cookie does not hide ours.
#[derive(Debug)]
pub struct Request {
    head: String,
    method: Range<usize>,
    target: Range<usize>,
    fields: Vec<(Range<usize>, Range<usize>)>,
    http_1_0: bool,
    body_len: usize,
    pub body: Vec<u8>,
}

impl Request {
    pub fn method(&self) -> &str {
        &self.head[self.method.clone()]
    }

    /// In origin form (`/path?query`), or `*`.
    pub fn target(&self) -> &str {
        match &self.head[self.target.clone()] {
            "" => "/",
            target => target,
        }
    }

    pub fn path(&self) -> &str {
        self.target().split('?').next().unwrap_or("/")
    }

    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(n, v)| (&self.head[n.clone()], &self.head[v.clone()]))
    }

    /// The values of all fields of that name, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.fields().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v)
    }

    /// Whether a comma list in fields of that name holds `token`.
    pub fn lists(&self, name: &str, token: &str) -> bool {
        self.all(name).flat_map(|v| v.split(',')).any(|t| t.trim().eq_ignore_ascii_case(token))
    }

    pub fn is_http_1_0(&self) -> bool {
        self.http_1_0
    }

    pub fn keeps_alive(&self) -> bool {
        let close = self.lists("connection", "close");
        !close && (!self.http_1_0 || self.lists("connection", "keep-alive"))
    }
}

/// Takes bytes, gives requests one at a time.
#[derive(Debug, Default)]
pub struct Decoder {
    bytes: Vec<u8>,
    /// Up to here no end of the head was found.
    scanned: usize,
    /// A request whose body is not whole yet.
    partial: Option<Request>,
    continued: bool,
}

impl Decoder {
    pub fn stage(&self) -> Stage {
        match (&self.partial, self.bytes.is_empty()) {
            (Some(_), _) => Stage::Body,
            (None, true) => Stage::Idle,
            (None, false) => Stage::Head,
        }
    }

    /// How many bytes may be pushed now.
    pub fn room(&self) -> usize {
        match &self.partial {
            Some(request) => request.body_len - request.body.len(),
            None => limits::HEAD_MAX - self.bytes.len(),
        }
    }

    /// Takes what was read, at most `room()` bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        debug_assert!(bytes.len() <= self.room());
        match &mut self.partial {
            Some(request) => request.body.extend_from_slice(bytes),
            None => self.bytes.extend_from_slice(bytes),
        }
    }

    pub fn step(&mut self) -> Step {
        if self.partial.is_none() {
            match self.head() {
                Ok(Some(request)) => self.partial = Some(request),
                Ok(None) => return Step::Need,
                Err(refusal) => return Step::Refuse(refusal),
            }
        }
        self.body()
    }

    /// The bytes after the last request.
    pub fn into_leftover(self) -> Vec<u8> {
        self.bytes
    }

    fn head(&mut self) -> Result<Option<Request>, Refusal> {
        while self.bytes.starts_with(b"\r\n") {
            self.bytes.drain(..2);
        }
        let Some(end) = self.head_end()? else {
            let full = self.bytes.len() >= limits::HEAD_MAX;
            return if full { Err(Refusal::HeadTooLong) } else { Ok(None) };
        };
        self.scanned = 0;
        self.continued = false;
        let rest = self.bytes.split_off(end);
        let head = std::mem::replace(&mut self.bytes, rest);
        parse_head(&head[..end - 2]).map(Some)
    }

    /// The length of the head with its closing empty line.
    fn head_end(&mut self) -> Result<Option<usize>, Refusal> {
        while let Some(found) = self.bytes[self.scanned..].iter().position(|b| *b == b'\n') {
            let at = self.scanned + found;
            if at == 0 || self.bytes[at - 1] != b'\r' {
                return Err(Refusal::Header);
            }
            self.scanned = at + 1;
            if self.bytes[..at + 1].ends_with(b"\r\n\r\n") {
                return Ok(Some(at + 1));
            }
        }
        self.scanned = self.bytes.len();
        Ok(None)
    }

    fn body(&mut self) -> Step {
        let Some(request) = &mut self.partial else { return Step::Need };
        let here = self.bytes.len().min(request.body_len - request.body.len());
        request.body.extend(self.bytes.drain(..here));
        if request.body.len() == request.body_len {
            return self.partial.take().map_or(Step::Need, Step::Request);
        }
        let waits = !request.http_1_0 && request.body.is_empty();
        if waits && !self.continued && request.header("expect").is_some() {
            self.continued = true;
            return Step::Continue;
        }
        Step::Need
    }
}

/// Reads a head whose every line ends with CRLF, without the empty line.
fn parse_head(bytes: &[u8]) -> Result<Request, Refusal> {
    let head: String =
        bytes.iter().map(|b| if b.is_ascii() { char::from(*b) } else { '?' }).collect();
    let line_end = head.find("\r\n").ok_or(Refusal::RequestLine)?;
    if !bytes[..line_end].is_ascii() {
        return Err(Refusal::RequestLine);
    }
    let (method, target, http_1_0) = parse_request_line(&head[..line_end])?;
    let mut fields = Vec::new();
    let mut at = line_end + 2;
    while at < head.len() {
        let end = at + head[at..].find("\r\n").ok_or(Refusal::Header)?;
        if fields.len() == limits::HEADERS_MAX {
            return Err(Refusal::HeadersTooMany);
        }
        fields.push(parse_field(&head, &bytes[at..end], at..end)?);
        at = end + 2;
    }
    let request = Request { head, method, target, fields, http_1_0, body_len: 0, body: Vec::new() };
    check(request)
}

type RequestLine = (Range<usize>, Range<usize>, bool);

fn parse_request_line(line: &str) -> Result<RequestLine, Refusal> {
    let mut parts = line.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Refusal::RequestLine);
    };
    if !is_token(method) || target.is_empty() || !target.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Refusal::RequestLine);
    }
    let http_1_0 = match version.as_bytes() {
        b"HTTP/1.1" => false,
        b"HTTP/1.0" => true,
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            return Err(Refusal::Version);
        }
        _ => return Err(Refusal::RequestLine),
    };
    let from = method.len() + 1;
    Ok((0..method.len(), from..from + target.len(), http_1_0))
}

/// `at` is where the line stands in `head`; ranges are of the head.
fn parse_field(
    head: &str,
    raw: &[u8],
    at: Range<usize>,
) -> Result<(Range<usize>, Range<usize>), Refusal> {
    let line = &head[at.clone()];
    let colon = line.find(':').ok_or(Refusal::Header)?;
    let value_ok = |b: &u8| matches!(b, b'\t' | b' '..=b'~' | 0x80..);
    if !is_token(&line[..colon]) || !raw[..colon].is_ascii() || !raw.iter().all(value_ok) {
        return Err(Refusal::Header);
    }
    let blank = |b: u8| b == b' ' || b == b'\t';
    let value = &line.as_bytes()[colon + 1..];
    let lead = value.iter().take_while(|b| blank(**b)).count();
    let trail = value[lead..].iter().rev().take_while(|b| blank(**b)).count();
    let start = at.start + colon + 1 + lead;
    Ok((at.start..at.start + colon, start..at.end - trail))
}

/// What concerns the whole head: target form, host, length, expectation.
fn check(mut request: Request) -> Result<Request, Refusal> {
    if request.header("transfer-encoding").is_some() {
        return Err(Refusal::TransferEncoding);
    }
    let hosts = request.all("host").count();
    if hosts > 1 || (hosts == 0 && !request.http_1_0) {
        return Err(Refusal::Host);
    }
    reduce_target(&mut request)?;
    if request.all("content-length").count() > 1 {
        return Err(Refusal::ContentLength);
    }
    request.body_len = match request.header("content-length") {
        Some(text) => parse_content_length(text)?,
        None => 0,
    };
    match request.header("expect") {
        Some(text) if !text.eq_ignore_ascii_case("100-continue") => Err(Refusal::Expectation),
        _ => Ok(request),
    }
}

/// Brings `http://host/path` down to `/path`; its host then stands for the `Host` header (RFC 9112, 3.2.2).
fn reduce_target(request: &mut Request) -> Result<(), Refusal> {
    let range = request.target.clone();
    let target = &request.head[range.clone()];
    if target.starts_with('/') || (target == "*" && request.method() == "OPTIONS") {
        return Ok(());
    }
    let scheme = ["http://", "https://"]
        .into_iter()
        .find(|s| target.get(..s.len()).is_some_and(|t| t.eq_ignore_ascii_case(s)))
        .ok_or(Refusal::RequestLine)?;
    let rest = &target[scheme.len()..];
    let authority_len = rest.find(['/', '?']).unwrap_or(rest.len());
    if authority_len == 0 || rest.as_bytes().get(authority_len) == Some(&b'?') {
        return Err(Refusal::RequestLine);
    }
    let authority = range.start + scheme.len()..range.start + scheme.len() + authority_len;
    request.target = authority.end..range.end;
    let host = (0..request.fields.len())
        .find(|i| request.head[request.fields[*i].0.clone()].eq_ignore_ascii_case("host"));
    if let Some(at) = host {
        request.fields[at].1 = authority;
    }
    Ok(())
}

fn parse_content_length(text: &str) -> Result<usize, Refusal> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Refusal::ContentLength);
    }
    match text.parse::<usize>() {
        Ok(len) if len <= limits::BODY_MAX => Ok(len),
        _ => Err(Refusal::BodyTooLong),
    }
}

fn is_token(text: &str) -> bool {
    let special = b"!#$%&'*+-.^_`|~";
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || special.contains(&b))
}
