//! The WebSocket handshake (RFC 6455, section 4.2) as a decision on a checked request. Does no I/O.

use super::request::Request;
use heartbeat::config::server::Server;
use heartbeat::web::host;
use tungstenite::handshake::derive_accept_key;

/// Spoken on every live connection that asks for it by name.
const PROTOCOL: &str = "heartbeat.live.v1";

/// The path of live connections on the ports for pages.
pub const PATH: &str = "/api/0/live/ws";

/// Why no live connection is opened: an HTTP status and a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denial {
    pub status: u16,
    pub reason: &'static str,
}

/// The head of the `101` answer, or why there is none. `machine` are this machine's names.
pub fn decide(request: &Request, config: &Server, machine: &[String]) -> Result<String, Denial> {
    let deny = |status, reason| Err(Denial { status, reason });
    if request.method() != "GET" || request.is_http_1_0() {
        return deny(400, "a live connection opens with GET and HTTP/1.1");
    }
    if !request.lists("upgrade", "websocket") || !request.lists("connection", "upgrade") {
        return deny(426, "only WebSocket connections here");
    }
    if request.header("sec-websocket-version") != Some("13") {
        return deny(426, "only WebSocket version 13");
    }
    let key = request.header("sec-websocket-key").unwrap_or_default();
    if !is_key(key) || request.all("sec-websocket-key").count() > 1 || !request.body.is_empty() {
        return deny(400, "bad WebSocket handshake");
    }
    let host = request.header("host").unwrap_or_default();
    if !host::is_host_allowed(host, config, machine) {
        return deny(403, "this Host is not known, add it to http_hosts");
    }
    if request.all("origin").any(|origin| !host::is_origin_allowed(origin, host, config)) {
        return deny(403, "this Origin is not ours, add it to http_hosts");
    }
    Ok(render(key, request.lists("sec-websocket-protocol", PROTOCOL)))
}

fn render(key: &str, with_protocol: bool) -> String {
    let accept = derive_accept_key(key.as_bytes());
    let mut head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n"
    );
    if with_protocol {
        head.push_str(&format!("Sec-WebSocket-Protocol: {PROTOCOL}\r\n"));
    }
    head.push_str("\r\n");
    head
}

/// Base64 of 16 bytes: 22 letters and two signs of equality.
fn is_key(key: &str) -> bool {
    let letter = |b: u8| b.is_ascii_alphanumeric() || b == b'+' || b == b'/';
    key.strip_suffix("==").is_some_and(|k| k.len() == 22 && k.bytes().all(letter))
}
