//! Bytes to requests: a state machine that takes what came over a connection and says what is
//! there. It never reads, never waits, and holds at most one head (`HEAD_MAX`) and one body
//! (`BODY_MAX`).
//!
//! Stricter than RFC 9112 asks: one reading of every byte, or none. Bare LF, folded lines, blanks
//! before a colon, `Transfer-Encoding` and every doubtful `Content-Length` are refused.

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

/// A complete request. Text is ASCII: bytes above 0x7f in field values were replaced by `?`, so
/// that a foreign cookie does not hide ours.
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
            self.scanned = 0;
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

/// Brings `http://host/path` down to `/path`; its host then stands for the `Host` header (RFC 9112,
/// 3.2.2).
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All requests in `bytes`, pushed `piece` bytes at a time, as one line each; then how it
    /// ended.
    fn decode(bytes: &[u8], piece: usize) -> Vec<String> {
        let mut decoder = Decoder::default();
        let mut said = Vec::new();
        let mut rest = bytes;
        loop {
            match decoder.step() {
                Step::Request(r) => said.push(format!(
                    "{} {} host={:?} body={} keep={}",
                    r.method(),
                    r.target(),
                    r.header("host").unwrap_or("-"),
                    String::from_utf8_lossy(&r.body),
                    r.keeps_alive()
                )),
                Step::Continue => said.push("continue".to_owned()),
                Step::Refuse(refusal) => {
                    said.push(format!("{refusal:?}"));
                    return said;
                }
                Step::Need => {
                    let n = rest.len().min(piece).min(decoder.room());
                    assert!(n > 0 || rest.is_empty(), "it needs more and has no room");
                    if n == 0 {
                        return said;
                    }
                    decoder.push(&rest[..n]);
                    rest = &rest[n..];
                }
            }
        }
    }

    #[test]
    fn request_reads_or_is_refused_the_same_in_every_cut() {
        let table: &[(&str, &[&str])] = &[
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", &["GET / host=\"a\" body= keep=true"]),
            ("\r\n\r\nGET / HTTP/1.0\r\n\r\n", &["GET / host=\"-\" body= keep=false"]),
            (
                "GET /?q HTTP/1.0\r\nConnection: x, Keep-Alive\r\n\r\n",
                &["GET /?q host=\"-\" body= keep=true"],
            ),
            (
                "GET / HTTP/1.1\r\nHOST:\t a \t\r\nConnection: close\r\n\r\n",
                &["GET / host=\"a\" body= keep=false"],
            ),
            ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", &["OPTIONS * host=\"a\" body= keep=true"]),
            (
                "GET http://b:1/p?q HTTP/1.1\r\nHost: a\r\n\r\n",
                &["GET /p?q host=\"b:1\" body= keep=true"],
            ),
            ("GET HTTP://b HTTP/1.1\r\nHost: a\r\n\r\n", &["GET / host=\"b\" body= keep=true"]),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi\
                 GET / HTTP/1.1\r\nHost: b\r\n\r\n",
                &["POST / host=\"a\" body=hi keep=true", "GET / host=\"b\" body= keep=true"],
            ),
            (
                "PUT / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n",
                &["PUT / host=\"-\" body= keep=false"],
            ),
            ("GET / HTTP/1.1\r\n\r\n", &["Host"]),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", &["Host"]),
            ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", &["RequestLine"]),
            ("GET http:///p HTTP/1.1\r\nHost: a\r\n\r\n", &["RequestLine"]),
            ("GET http://b?q HTTP/1.1\r\nHost: a\r\n\r\n", &["RequestLine"]),
            ("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", &["RequestLine"]),
            ("GET  / HTTP/1.1\r\n\r\n", &["RequestLine"]),
            ("GET / HTTP/1.1 \r\n\r\n", &["RequestLine"]),
            ("GET /\u{e9} HTTP/1.1\r\n\r\n", &["RequestLine"]),
            ("G@T / HTTP/1.1\r\n\r\n", &["RequestLine"]),
            ("GET / http/1.1\r\n\r\n", &["RequestLine"]),
            ("GET / HTTP/0.9\r\n\r\n", &["Version"]),
            ("GET / HTTP/1.2\r\n\r\n", &["Version"]),
            ("GET / HTTP/1.1\nHost: a\n\n", &["Header"]),
            ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", &["Header"]),
            ("GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", &["Header"]),
            ("GET / HTTP/1.1\r\nHost: a\r\nb\r\n\r\n", &["Header"]),
            ("GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", &["Header"]),
            ("GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", &["Header"]),
            ("GET / HTTP/1.1\r\nHost: a\0\r\n\r\n", &["Header"]),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n",
                &["TransferEncoding"],
            ),
            ("GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n", &["Expectation"]),
        ];
        for (bytes, want) in table {
            for piece in [1, 7, 4096] {
                assert_eq!(decode(bytes.as_bytes(), piece), *want, "{bytes:?} by {piece}");
            }
        }
    }

    #[test]
    fn content_length_is_digits_within_the_limit_or_refused() {
        let table = [
            ("0", "ok"),
            ("00", "ok"),
            ("", "ContentLength"),
            ("+5", "ContentLength"),
            ("-5", "ContentLength"),
            ("5x", "ContentLength"),
            ("5, 5", "ContentLength"),
            ("0x5", "ContentLength"),
            ("5 5", "ContentLength"),
            ("5\r\nContent-Length: 5", "ContentLength"),
            ("65537", "BodyTooLong"),
            ("100000000000", "BodyTooLong"),
            ("99999999999999999999999999", "BodyTooLong"),
        ];
        for (text, want) in table {
            let bytes = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {text}\r\n\r\n");
            let said = decode(bytes.as_bytes(), 4096);
            let said = if said[0].starts_with("POST") { "ok" } else { &said[0] };
            assert_eq!(said, want, "{text:?}");
        }
    }

    #[test]
    fn head_is_refused_from_its_limit_on() {
        for (len, want) in [(limits::HEAD_MAX, "ok"), (limits::HEAD_MAX + 1, "HeadTooLong")] {
            let start = "GET / HTTP/1.1\r\nHost: a\r\nB: ";
            let fill = "b".repeat(len - start.len() - 4);
            let said = decode(format!("{start}{fill}\r\n\r\n").as_bytes(), 4096);
            let said = if said[0].starts_with("GET") { "ok" } else { &said[0] };
            assert_eq!(said, want, "{len}");
        }
        for (count, want) in
            [(limits::HEADERS_MAX - 1, "ok"), (limits::HEADERS_MAX, "HeadersTooMany")]
        {
            let bytes = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "a: b\r\n".repeat(count));
            let said = decode(bytes.as_bytes(), 4096);
            let said = if said[0].starts_with("GET") { "ok" } else { &said[0] };
            assert_eq!(said, want, "{count}");
        }
    }

    #[test]
    fn continue_is_said_once_and_only_while_no_body_came() {
        let head = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-Continue\r\n\r\n";
        let done = "PUT / host=\"a\" body=hi keep=true";
        assert_eq!(decode(format!("{head}hi").as_bytes(), head.len()), ["continue", done]);
        assert_eq!(decode(format!("{head}hi").as_bytes(), 4096), [done]);
    }

    #[test]
    fn foreign_bytes_in_values_become_question_marks() {
        let mut decoder = Decoder::default();
        decoder.push(b"GET / HTTP/1.0\r\nCookie: a=\xc3\xa9; sid=1\r\n\r\n");
        let Step::Request(request) = decoder.step() else { panic!("a request") };
        assert_eq!(request.header("cookie"), Some("a=??; sid=1"));
    }

    fn piece() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            Just(b"GET / HTTP/1.1\r\n".to_vec()),
            Just(b"POST http://h/p HTTP/1.1\r\n".to_vec()),
            Just(b"Host: a\r\n".to_vec()),
            Just(b"Content-Length: 3\r\n".to_vec()),
            Just(b"Expect: 100-continue\r\n".to_vec()),
            Just(b"\r\n".to_vec()),
            proptest::collection::vec(any::<u8>(), 0..8),
            "[ -~]{0,12}(\r\n)?".prop_map(String::into_bytes),
        ]
    }

    proptest! {
        #[test]
        fn any_bytes_decode_alike_in_every_cut(
            pieces in proptest::collection::vec(piece(), 0..12),
            cut in 1usize..40,
        ) {
            let bytes = pieces.concat();
            let strip = |said: Vec<String>| -> Vec<String> {
                said.into_iter().filter(|line| line != "continue").collect()
            };
            prop_assert_eq!(strip(decode(&bytes, cut)), strip(decode(&bytes, usize::MAX)));
        }

        /// What we take, httparse takes and reads alike.
        #[test]
        fn accepted_head_reads_alike_in_httparse(
            pieces in proptest::collection::vec(piece(), 1..8),
        ) {
            let mut bytes = pieces.concat();
            bytes.extend_from_slice(b"\r\n\r\n");
            let mut decoder = Decoder::default();
            decoder.push(&bytes);
            let Ok(Some(ours)) = decoder.head() else { return Ok(()) };
            let mut fields = [httparse::EMPTY_HEADER; limits::HEADERS_MAX];
            let mut theirs = httparse::Request::new(&mut fields);
            let parsed = theirs.parse(&bytes);
            prop_assert!(matches!(parsed, Ok(httparse::Status::Complete(_))), "{:?}", parsed);
            prop_assert_eq!(theirs.method, Some(ours.method()));
            prop_assert_eq!(theirs.version, Some(u8::from(!ours.is_http_1_0())));
            let names: Vec<&str> = theirs.headers.iter().map(|h| h.name).collect();
            prop_assert_eq!(names, ours.fields().map(|(n, _)| n).collect::<Vec<_>>());
            for (h, (name, value)) in theirs.headers.iter().zip(ours.fields()) {
                let plain = |b: &u8| if b.is_ascii() { char::from(*b) } else { '?' };
                let plain: String = h.value.iter().map(plain).collect();
                prop_assert!(name.eq_ignore_ascii_case("host") || plain == value);
            }
        }
    }
}
