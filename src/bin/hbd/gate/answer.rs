//! Answers as bytes: those the gate gives itself, and the head of the pool's with our own hop-by-hop fields.
//! Does no I/O.

use heartbeat::limits;
use heartbeat::time::Wall;

/// The head of an answer from the pool, rewritten for the peer.
#[derive(Debug, PartialEq, Eq)]
pub struct Head {
    /// Bytes of the pool's head, to be taken off its stream.
    pub len: usize,
    pub bytes: Vec<u8>,
    /// Bytes that follow.
    pub body_len: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadHead;

/// Reads the head of the pool's answer where it is whole. `bodiless`: the request was HEAD.
pub fn decode_head(bytes: &[u8], bodiless: bool, keep: bool) -> Result<Option<Head>, BadHead> {
    let mut fields = [httparse::EMPTY_HEADER; limits::HEADERS_MAX];
    let mut response = httparse::Response::new(&mut fields);
    let len = match response.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) if bytes.len() < limits::HEAD_MAX => return Ok(None),
        _ => return Err(BadHead),
    };
    let status = response.code.ok_or(BadHead)?;
    let no_content = status < 200 || status == 204 || status == 304;
    let mut out = format!("HTTP/1.1 {status} {}\r\n", reason(status)).into_bytes();
    let mut body_len = None;
    for field in response.headers.iter() {
        let is = |name: &str| field.name.eq_ignore_ascii_case(name);
        if is("content-length") {
            let text = std::str::from_utf8(field.value).map_err(|_| BadHead)?;
            body_len = Some(text.parse().map_err(|_| BadHead)?);
            if no_content {
                continue;
            }
        }
        if is("transfer-encoding") {
            return Err(BadHead);
        }
        if is("connection") || is("server") {
            continue;
        }
        out.extend_from_slice(field.name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(field.value);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(connection(keep).as_bytes());
    let body_len = if no_content || bodiless { 0 } else { body_len.ok_or(BadHead)? };
    Ok(Some(Head { len, bytes: out, body_len }))
}

/// An answer of the gate itself; the connection closes after it.
pub fn refusal(status: u16, text: &str, bodiless: bool, now: Wall) -> Vec<u8> {
    let title = reason(status);
    let body = format!(
        "{{\"type\":\"about:blank\",\"title\":\"{title}\",\"status\":{status},\
         \"detail\":\"{text}\",\"code\":\"{}\"}}",
        code(status)
    );
    let extra = match status {
        503 => "Retry-After: 1\r\n",
        426 => "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
        _ => "",
    };
    let connection = match status {
        426 => "Connection: close, upgrade\r\n\r\n",
        _ => connection(false),
    };
    let mut out = format!(
        "HTTP/1.1 {status} {title}\r\nDate: {}\r\nContent-Type: application/problem+json\r\n\
         Content-Length: {}\r\nCache-Control: no-store\r\n{extra}{connection}",
        http_date(now),
        body.len()
    )
    .into_bytes();
    if !bodiless {
        out.extend_from_slice(body.as_bytes());
    }
    out
}

/// The last field of a head, and its end.
fn connection(keep: bool) -> &'static str {
    if keep { "Connection: keep-alive\r\n\r\n" } else { "Connection: close\r\n\r\n" }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        422 => "Unprocessable Content",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "Status",
    }
}

fn code(status: u16) -> &'static str {
    match status {
        403 => "forbidden",
        408 => "timeout",
        413 => "body_too_long",
        417 => "expectation",
        426 => "upgrade_required",
        431 => "head_too_long",
        500 | 502 => "internal",
        503 | 504 => "overloaded",
        505 => "http_version",
        _ => "bad_request",
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, 5.6.7).
fn http_date(now: Wall) -> String {
    jiff::Timestamp::from_second(now.as_secs())
        .map(|t| t.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
        .unwrap_or_default()
}
