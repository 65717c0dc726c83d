//! A small HTTP/1.1 client: one request, one answer, over the control socket, TCP or TLS. Bounded in time and
//! size; no redirects, no proxies.

use super::tls;
use heartbeat::limits;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// 100,000 hosts with all their fields.
const ANSWER_MAX: u64 = 256 << 20;
/// No single read or write takes longer.
const STALL: Duration = Duration::from_secs(15);
const CONNECT: Duration = Duration::from_secs(5);

/// A server to ask.
#[derive(Clone, Debug, PartialEq)]
pub enum Server {
    Socket(PathBuf),
    Url {
        /// `host:port` as it stands in the URL.
        authority: String,
        secure: bool,
        /// Trusted beside the usual certificates.
        ca_file: Option<PathBuf>,
        token: Option<String>,
    },
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Server::Socket(path) => write!(f, "{}", path.display()),
            Server::Url { authority, secure: false, .. } => write!(f, "http://{authority}"),
            Server::Url { authority, .. } => write!(f, "https://{authority}"),
        }
    }
}

#[derive(Debug, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Server {
    /// Reads `http://host[:port][/]` or `https://…`; where none is given, the port of http is 50004, that of
    /// https 443.
    pub fn parse(
        url: &str,
        token: Option<String>,
        ca_file: Option<PathBuf>,
    ) -> Result<Server, String> {
        let (secure, rest) = match url.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            Some((scheme, _)) => {
                return Err(format!("{url}: {scheme} is not spoken here, only http and https"));
            }
            None => (false, url),
        };
        let authority = rest.trim_end_matches('/');
        let plain = |b: u8| b.is_ascii_alphanumeric() || b".-_:[]%".contains(&b);
        if authority.is_empty() || !authority.bytes().all(plain) {
            return Err(format!("{url}: not an address of the form https://HOST:PORT"));
        }
        let after_address = authority.rsplit_once(']').map_or(authority, |(_, rest)| rest);
        let authority = match after_address.contains(':') {
            true => authority.to_owned(),
            false if secure => format!("{authority}:443"),
            false => format!("{authority}:50004"),
        };
        Ok(Server::Url { authority, secure, ca_file, token })
    }

    /// Sends one request. The path is already encoded.
    pub fn ask(&self, method: &str, path: &str, body: Option<&str>) -> io::Result<Answer> {
        let (host, token) = match self {
            Server::Socket(_) => ("localhost", None),
            Server::Url { authority, token, .. } => (authority.as_str(), token.as_deref()),
        };
        let request = render_request(method, path, host, token, body);
        let bytes = match self {
            Server::Socket(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(STALL))?;
                stream.set_write_timeout(Some(STALL))?;
                exchange(stream, &request)?
            }
            Server::Url { authority, secure, ca_file, .. } => {
                let stream = connect(authority)?;
                stream.set_read_timeout(Some(STALL))?;
                stream.set_write_timeout(Some(STALL))?;
                if *secure {
                    exchange(tls::wrap(stream, authority, ca_file.as_deref())?, &request)?
                } else {
                    exchange(stream, &request)?
                }
            }
        };
        parse_answer(&bytes)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "this is no answer of hbd"))
    }
}

fn connect(authority: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in authority.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn render_request(
    method: &str,
    path: &str,
    host: &str,
    token: Option<&str>,
    body: Option<&str>,
) -> Vec<u8> {
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\nConnection: close\r\n"
    );
    if let Some(token) = token.filter(|t| t.bytes().all(|b| b.is_ascii_graphic())) {
        head.push_str(&format!("Authorization: Bearer {token}\r\n"));
    }
    let body = body.unwrap_or_default();
    if !body.is_empty() {
        head.push_str("Content-Type: application/json\r\n");
    }
    if method != "GET" {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    head.push_str(body);
    head.into_bytes()
}

fn exchange<S: Read + Write>(mut stream: S, request: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(request)?;
    let mut bytes = Vec::new();
    match stream.take(ANSWER_MAX).read_to_end(&mut bytes) {
        // A peer that ends TLS without a goodbye: whether all came is seen by the length.
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof && !bytes.is_empty() => Ok(bytes),
        Err(e) => Err(e),
        Ok(_) => Ok(bytes),
    }
}

/// Splits a complete answer; `None` where it is none, or was cut off.
fn parse_answer(bytes: &[u8]) -> Option<Answer> {
    let mut slots = [httparse::EMPTY_HEADER; limits::HEADERS_MAX];
    let mut head = httparse::Response::new(&mut slots);
    let httparse::Status::Complete(at) = head.parse(bytes).ok()? else { return None };
    let value = |name: &str| {
        let found = head.headers.iter().find(|h| h.name.eq_ignore_ascii_case(name));
        found.and_then(|h| std::str::from_utf8(h.value).ok()).map(str::trim)
    };
    let rest = &bytes[at..];
    let body = if value("transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked")) {
        join_chunks(rest)?
    } else {
        match value("content-length") {
            Some(len) => rest.get(..len.parse().ok()?)?.to_vec(),
            None => rest.to_vec(),
        }
    };
    Some(Answer { status: head.code?, body })
}

fn join_chunks(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let Ok(httparse::Status::Complete((at, len))) = httparse::parse_chunk_size(rest) else {
            return None;
        };
        let len = usize::try_from(len).ok()?;
        if len == 0 {
            return Some(body);
        }
        let end = at.checked_add(len)?;
        body.extend_from_slice(rest.get(at..end)?);
        rest = rest.get(end..)?.strip_prefix(b"\r\n")?;
    }
}

/// One path segment, percent-encoded.
pub fn encode_segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_servers() {
        let authority = |url| match Server::parse(url, None, None) {
            Ok(Server::Url { authority, .. }) => Some(authority),
            _ => None,
        };
        let table = [
            ("http://mon:8080/", Some("mon:8080")),
            ("mon.example.net", Some("mon.example.net:50004")),
            ("http://[::1]", Some("[::1]:50004")),
            ("http://[::1]:9", Some("[::1]:9")),
            ("https://mon", Some("mon:443")),
            ("ftp://mon", None),
            ("http://", None),
            ("http://mon/x\r\nEvil: 1", None),
        ];
        for (url, want) in table {
            assert_eq!(authority(url).as_deref(), want, "{url}");
        }
    }

    #[test]
    fn answers_whole_chunked_and_cut() {
        let ok = |body: &[u8]| Some(Answer { status: 200, body: body.to_vec() });
        let table: [(&[u8], Option<Answer>); 6] = [
            (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc", ok(b"ab")),
            (b"HTTP/1.1 200 OK\r\n\r\nabc", ok(b"abc")),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
                ok(b"abc"),
            ),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", None),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", None),
            (b"SSH-2.0-OpenSSH\r\n", None),
        ];
        for (bytes, want) in table {
            assert_eq!(parse_answer(bytes), want);
        }
    }

    #[test]
    fn segments_are_encoded() {
        assert_eq!(encode_segment("web-1.bsl_x"), "web-1.bsl_x");
        assert_eq!(encode_segment("a/b é"), "a%2Fb%20%C3%A9");
    }
}
