//! A checked request as the pool reads it: what concerns the connection alone is left out, and who asks is added, so
//! that nobody outside can say it. Does no I/O.

use super::reader::Reader;
use super::request::Request;
use heartbeat::web::Peer;

/// Who asks, for the pool. Fields of these names from outside are dropped.
pub const PEER_FIELD: &str = "X-Gate-Peer";
pub const SECURE_FIELD: &str = "X-Gate-Secure";
const OWN_PREFIX: &str = "x-gate-";
/// `PEER_FIELD` of the control socket.
pub const CONTROL: &str = "control";

/// What concerns this connection only, and what the gate has already seen to.
const HOP_BY_HOP: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
    "content-length",
    "http2-settings",
];

/// A checked request as the pool reads it.
#[derive(Debug)]
pub struct Ask {
    bytes: Vec<u8>,
    /// Who reads the answer.
    pub reader: Reader,
    /// It can be asked twice.
    pub is_safe: bool,
    /// The connection stays after the answer.
    pub keep: bool,
}

impl Ask {
    pub fn new(request: &Request, peer: Peer, secure: bool, keep: bool) -> Ask {
        let mut head = format!("{} {} HTTP/1.1\r\n", request.method(), request.target());
        for (name, value) in request.fields().filter(|(name, _)| passes(name)) {
            head.push_str(name);
            head.push_str(": ");
            head.push_str(value);
            head.push_str("\r\n");
        }
        let peer = match peer {
            Peer::Control => CONTROL.to_owned(),
            Peer::Remote(address) => address.to_string(),
        };
        head.push_str(&format!("{PEER_FIELD}: {peer}\r\n{SECURE_FIELD}: {}\r\n", u8::from(secure)));
        head.push_str(&format!("Content-Length: {}\r\n", request.body.len()));
        head.push_str("Connection: close\r\n\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&request.body);
        let reader = Reader::of(request);
        let is_safe = ["GET", "HEAD", "OPTIONS"].contains(&request.method());
        Ask { bytes, reader, is_safe, keep }
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

fn passes(name: &str) -> bool {
    let own = name.get(..OWN_PREFIX.len()).is_some_and(|p| p.eq_ignore_ascii_case(OWN_PREFIX));
    !own && !HOP_BY_HOP.iter().any(|hop| name.eq_ignore_ascii_case(hop))
}
