//! What must hold of the gate's reading of requests: it reads alike however the bytes are cut, never beyond the body
//! that was declared, never what httparse reads otherwise; and what it hands to the pool is one request that says the
//! same and nothing of the gate's own that came from outside (THREATS H1).

use super::ask::{Ask, PEER_FIELD, SECURE_FIELD};
use super::request::{Decoder, Request, Step};
use heartbeat::limits;
use heartbeat::web::Peer;

/// The first byte says how the rest is cut.
pub fn check(bytes: &[u8]) {
    let Some((cut, bytes)) = bytes.split_first() else { return };
    let whole = read(bytes, bytes.len().max(1));
    let cut = usize::from(*cut) % 61 + 2;
    assert_eq!(plain(&whole), plain(&read(bytes, cut)), "cut by {cut}");
    let one = read(bytes, 1);
    assert_eq!(plain(&whole), plain(&one), "cut by 1");
    let mut from = 0;
    for said in &one {
        if let Said::Request(request, to) = said {
            check_request(request, &bytes[from..*to]);
            from = *to;
        }
    }
}

enum Said {
    /// With how many bytes of all had been pushed by then.
    Request(Request, usize),
    Continue,
    Refused(u16, &'static str),
}

/// All that is said of the bytes, pushed `piece` at a time.
fn read(bytes: &[u8], piece: usize) -> Vec<Said> {
    let (mut decoder, mut said, mut at) = (Decoder::default(), Vec::new(), 0);
    loop {
        match decoder.step() {
            Step::Request(request) => said.push(Said::Request(request, at)),
            Step::Continue => said.push(Said::Continue),
            Step::Refuse(refusal) => {
                assert!([400, 413, 417, 431, 505].contains(&refusal.status()));
                said.push(Said::Refused(refusal.status(), refusal.as_str()));
                return said;
            }
            Step::Need => {
                let room = decoder.room();
                assert!(room > 0 && room <= limits::HEAD_MAX.max(limits::BODY_MAX), "{room}");
                let to = bytes.len().min(at + piece.min(room));
                if to == at {
                    return said;
                }
                decoder.push(&bytes[at..to]);
                at = to;
            }
        }
    }
}

/// `Continue` depends on the cut: it is said only while nothing of the body came.
fn plain(said: &[Said]) -> Vec<String> {
    let line = |said: &Said| match said {
        Said::Continue => None,
        Said::Refused(status, text) => Some(format!("{status} {text}")),
        Said::Request(r, _) => {
            let fields: Vec<_> = r.fields().collect();
            let (keeps, old) = (r.keeps_alive(), r.is_http_1_0());
            Some(format!("{} {} {fields:?} {:?} {keeps} {old}", r.method(), r.target(), r.body))
        }
    };
    said.iter().filter_map(line).collect()
}

/// `bytes`: from the end of the last request to where this one was whole.
fn check_request(ours: &Request, bytes: &[u8]) {
    let mut fields = [httparse::EMPTY_HEADER; limits::HEADERS_MAX];
    let mut theirs = httparse::Request::new(&mut fields);
    let parsed = theirs.parse(bytes);
    let Ok(httparse::Status::Complete(head)) = parsed else { panic!("{parsed:?}") };
    assert!(head <= limits::HEAD_MAX + bytes.len() - bytes.trim_ascii_start().len());
    assert_eq!(theirs.method, Some(ours.method()));
    assert_eq!(theirs.version, Some(u8::from(!ours.is_http_1_0())));
    let target = theirs.path.unwrap_or_default();
    assert!(target == ours.target() || target.ends_with(ours.target()) || ours.target() == "/");
    assert!(ours.target().starts_with('/') || ours.target() == "*");
    assert!(ours.target().bytes().all(|byte| byte.is_ascii_graphic()));
    let ask = |byte: &u8| if byte.is_ascii() { char::from(*byte) } else { '?' };
    let told = theirs.headers.iter().zip(ours.fields());
    for (their, (name, value)) in told {
        let plain: String = their.value.iter().map(ask).collect();
        assert_eq!(their.name, name);
        // An absolute target has its own host.
        assert!(plain == value || name.eq_ignore_ascii_case("host"), "{name}: {plain:?} {value:?}");
        assert!(value.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte)));
    }
    assert_eq!(theirs.headers.len(), ours.fields().count());
    let length = ours.all("content-length").next().map_or(0, |n| n.parse().expect("digits"));
    assert!(length <= limits::BODY_MAX && ours.body == bytes[head..], "read past the body");
    assert_eq!(ours.body.len(), length);
    assert!(ours.header("transfer-encoding").is_none() && ours.all("host").count() <= 1);
    check_ask(ours);
}

/// What the pool is given.
fn check_ask(ours: &Request) {
    let asked = Ask::new(ours, Peer::Control, false, ours.keeps_alive()).into_bytes();
    let mut fields = [httparse::EMPTY_HEADER; limits::HEADERS_MAX + 4];
    let mut theirs = httparse::Request::new(&mut fields);
    let parsed = theirs.parse(&asked);
    let Ok(httparse::Status::Complete(head)) = parsed else { panic!("{parsed:?}") };
    assert_eq!(asked[head..], ours.body);
    assert_eq!((theirs.method, theirs.path), (Some(ours.method()), Some(ours.target())));
    let all = |name: &str| -> Vec<&[u8]> {
        let named = theirs.headers.iter().filter(|h| h.name.eq_ignore_ascii_case(name));
        named.map(|header| header.value).collect()
    };
    assert_eq!(all(PEER_FIELD), [b"control"]);
    assert_eq!(all(SECURE_FIELD), [b"0"]);
    assert_eq!(all("content-length"), [ours.body.len().to_string().as_bytes()]);
    assert_eq!(all("connection"), [b"close"]);
    assert!(all("transfer-encoding").is_empty() && all("expect").is_empty());
    assert_eq!(all("cookie").len(), ours.all("cookie").count());
}
