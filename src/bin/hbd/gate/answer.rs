//! Answers as bytes: those the gate gives itself, and the head of the pool's with our own
//! hop-by-hop fields. Does no I/O.

use super::reader::Reader;
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

/// The head of an answer that was kept; `fields` are whole lines.
pub fn kept_head(fields: &str, keep: bool, now: Wall) -> String {
    format!("HTTP/1.1 200 OK\r\nDate: {}\r\n{fields}{}", http_date(now), connection(keep))
}

/// An answer of the gate itself; the connection closes after it.
pub fn refusal(status: u16, text: &str, reader: Reader, now: Wall) -> Vec<u8> {
    let title = reason(status);
    let (kind, body) = match reader {
        Reader::Person { again } => ("text/html; charset=utf-8", page(status, text, again)),
        Reader::Head | Reader::Program => ("application/problem+json", problem(status, text)),
    };
    let extra = match status {
        429 | 503 => "Retry-After: 1\r\n",
        426 => "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
        _ => "",
    };
    let connection = match status {
        426 => "Connection: close, upgrade\r\n\r\n",
        _ => connection(false),
    };
    let mut out = format!(
        "HTTP/1.1 {status} {title}\r\nDate: {}\r\nContent-Type: {kind}\r\n\
         Content-Length: {}\r\nCache-Control: no-store\r\n{extra}{connection}",
        http_date(now),
        body.len()
    )
    .into_bytes();
    if reader != Reader::Head {
        out.extend_from_slice(body.as_bytes());
    }
    out
}

/// RFC 9457. `text` is one of ours and needs no escapes.
fn problem(status: u16, text: &str) -> String {
    format!(
        "{{\"type\":\"about:blank\",\"title\":\"{}\",\"status\":{status},\
         \"detail\":\"{text}\",\"code\":\"{}\",\"hint\":\"{}\"}}",
        reason(status),
        code(status),
        hint(status)
    )
}

/// For a person; without stylesheet or script, which would have to be asked for.
fn page(status: u16, text: &str, again: bool) -> String {
    let (title, hint) = (reason(status), hint(status));
    let again = again && status >= 500;
    let refresh = if again { "<meta http-equiv=\"refresh\" content=\"2\">" } else { "" };
    let then = if again { "This page asks again by itself." } else { "Go back and send it again." };
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <meta name=\"color-scheme\" content=\"light dark\">{refresh}\
         <title>{status} {title}</title></head>\
         <body><h1>{title}</h1><p>Reason: {text}.</p><p>{hint}</p><p>{then}</p></body></html>\n"
    )
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
        429 => "busy",
        431 => "head_too_long",
        500 | 502 => "internal",
        503 | 504 => "overloaded",
        505 => "http_version",
        _ => "bad_request",
    }
}

/// How to mend it.
fn hint(status: u16) -> &'static str {
    match status {
        401 => "Sign in, or send a token as Authorization: Bearer.",
        403 => "Use this server's own address, or add the name to http_hosts.",
        408 => "Send the request in one go.",
        413 => "Send less: hbd --limits names BODY_MAX.",
        426 => "Open it as a WebSocket, version 13.",
        429 => "Try again in a moment.",
        431 => "Send fewer and shorter header fields: hbd --limits names HEAD_MAX.",
        500..=504 => "Try again in a moment; the server's log tells more.",
        _ => "Send a plain request of HTTP/1.1.",
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, 5.6.7).
fn http_date(now: Wall) -> String {
    jiff::Timestamp::from_second(now.as_secs())
        .map(|t| t.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn head(text: &str, bodiless: bool) -> Option<(String, u64)> {
        let head = decode_head(text.as_bytes(), bodiless, true).ok()??;
        assert_eq!(head.len, text.find("\r\n\r\n").map_or(0, |at| at + 4));
        Some((String::from_utf8(head.bytes).ok()?, head.body_len))
    }

    #[test]
    fn head_of_the_pool_is_rewritten_for_the_peer() {
        let (text, len) = head(
            "HTTP/1.1 200 OK\r\nServer: x\r\nDate: d\r\nConnection: close\r\n\
             Content-Length: 7\r\n\r\nbody",
            false,
        )
        .unwrap();
        assert_eq!(len, 7);
        expect![[r#"
            "HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 7\r\nConnection: keep-alive\r\n\r\n"
        "#]]
        .assert_debug_eq(&text);
    }

    #[test]
    fn answers_without_a_body_have_none() {
        let table =
            [("200 OK", true, 0), ("204 x", false, 0), ("304 x", false, 0), ("200 x", false, 7)];
        for (status, bodiless, want) in table {
            let text = format!("HTTP/1.1 {status}\r\nContent-Length: 7\r\n\r\n");
            assert_eq!(head(&text, bodiless).unwrap().1, want, "{status}");
        }
    }

    #[test]
    fn head_of_the_pool_is_waited_for_or_refused() {
        let long = format!("HTTP/1.1 200 OK\r\nA: {}", "a".repeat(limits::HEAD_MAX));
        let table = [
            ("HTTP/1.1 200 OK\r\n", Ok(None)),
            ("HTTP/1.1 200 OK\r\n\r\n", Err(BadHead)),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Err(BadHead)),
            ("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", Err(BadHead)),
            ("nonsense\r\n\r\n", Err(BadHead)),
            (&long, Err(BadHead)),
        ];
        for (text, want) in table {
            assert_eq!(decode_head(text.as_bytes(), false, true), want, "{}", &text[..17]);
        }
    }

    #[test]
    fn refusal_is_a_problem_with_its_length() {
        let bytes = refusal(503, "busy", Reader::Program, Wall::from_secs(784_111_777));
        let text = String::from_utf8(bytes).unwrap().replace('\r', "");
        let (head, body) = text.split_once("\n\n").unwrap();
        expect![[r#"
            HTTP/1.1 503 Service Unavailable
            Date: Sun, 06 Nov 1994 08:49:37 GMT
            Content-Type: application/problem+json
            Content-Length: 162
            Cache-Control: no-store
            Retry-After: 1
            Connection: close"#]]
        .assert_eq(head);
        let want = "{\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503,\
                    \"detail\":\"busy\",\"code\":\"overloaded\",\
                    \"hint\":\"Try again in a moment; the server's log tells more.\"}";
        assert_eq!((body, body.len()), (want, 162));
    }

    #[test]
    fn person_is_refused_by_a_page_that_asks_again_where_it_may() {
        let page = |status, again| {
            let bytes = refusal(status, "busy", Reader::Person { again }, Wall::from_secs(0));
            String::from_utf8(bytes).unwrap()
        };
        let busy = page(503, true);
        let (head, body) = busy.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("Content-Type: text/html; charset=utf-8\r\n"), "{head}");
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
        assert!(body.contains("http-equiv=\"refresh\"") && body.contains("Reason: busy."));
        assert!(body.contains("Try again in a moment; the server's log tells more."), "{body}");
        // What was sent is not sent again by itself, and what is refused for good stays so.
        for (status, again) in [(503, false), (502, false), (429, false)] {
            let text = page(status, again);
            assert!(!text.contains("refresh") && text.contains("Go back"), "{text}");
        }
    }
}
