//! What came out of a sealed datagram of an agent, and the fields that only such messages have
//! (PROTOCOL C1).

use super::Reject;
use super::decode::{u53, within};
use super::envelope::{Envelope, Extra, Field, Scalar};
use super::message::{Res, ResState, SealedMessage};
use super::seal::Header;
use crate::limits;
use crate::text::cut;

const MAINTENANCE_S_MAX: f64 = 604_800.0;
const CODE_MAX: f64 = 255.0;

/// A datagram whose tag was right. It may still be old: the session judges that.
#[derive(Debug, PartialEq)]
pub struct Opened<'a> {
    pub header: Header,
    /// The place of its key in the keyring.
    pub slot: usize,
    /// `None` in a HELLO; else its message, or why it is none.
    pub content: Option<Result<Content<'a>, Reject>>,
}

/// A message and what came with it.
#[derive(Debug, PartialEq)]
pub struct Content<'a> {
    pub message: SealedMessage<'a>,
    /// The highest number of the server's that the agent heard on this way.
    pub ack: Option<u64>,
    /// What the other server of a pair says in its heartbeat.
    pub pair: Option<&'a str>,
    /// Strings of plugin data that were cut to `limits::STR_MAX`.
    pub strings_cut: u32,
    /// The whole message, as it came.
    pub json: &'a str,
}

/// A sealed datagram that was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unopened {
    pub reason: Reject,
    /// The key that it names, where its tag is not of that key.
    pub slot: Option<usize>,
}

impl From<Reject> for Unopened {
    fn from(reason: Reject) -> Unopened {
        Unopened { reason, slot: None }
    }
}

pub(super) fn optional_u53(field: Scalar<'_>) -> Result<Option<u64>, Reject> {
    match field {
        Scalar::Absent | Scalar::Null => Ok(None),
        field => u53(field).map(Some).ok_or(Reject::BadField),
    }
}

pub(super) fn res<'a>(envelope: &Envelope<'a>) -> Result<Res<'a>, Reject> {
    let state = match envelope.extra(Extra::State) {
        Scalar::Text(text) => ResState::parse(text).ok_or(Reject::BadField)?,
        _ => return Err(Reject::BadField),
    };
    let code = within(envelope.extra(Extra::Code), -CODE_MAX, CODE_MAX)?;
    if code.is_some_and(|code| code.fract() != 0.0) {
        return Err(Reject::BadField);
    }
    let output = match envelope.extra(Extra::Output) {
        Scalar::Text(text) => cut(text, limits::CMD_OUT_MAX),
        Scalar::Absent | Scalar::Null => "",
        _ => return Err(Reject::BadField),
    };
    let cid = u53(envelope.extra(Extra::Cid)).filter(|cid| *cid > 0).ok_or(Reject::BadField)?;
    let millis = optional_u53(envelope.extra(Extra::Millis))?;
    Ok(Res { cid, state, code: code.map(|code| code as i16), output, millis })
}

pub(super) fn maintenance<'a>(envelope: &Envelope<'a>) -> Result<SealedMessage<'a>, Reject> {
    let seconds = within(envelope.extra(Extra::Seconds), 0.0, MAINTENANCE_S_MAX)?;
    let text = match envelope.field(Field::Text) {
        Scalar::Text(text) => cut(text, limits::TEXT_MAX),
        Scalar::Absent | Scalar::Null => "",
        _ => return Err(Reject::BadField),
    };
    let mid = optional_u53(envelope.field(Field::Mid))?;
    let seconds = seconds.ok_or(Reject::BadField)? as u32;
    Ok(SealedMessage::Maintenance { seconds, text, mid })
}

#[cfg(test)]
mod tests {
    use super::super::seal::{SealKind, seal};
    use super::super::*;
    use super::*;

    fn ring() -> Keyring {
        let mut ring = Keyring::default();
        let slot =
            |id| Slot { key: Key::new(KeyId([id; 8]), [id; 32]), host: "h".into(), created: 0.0 };
        ring.add(slot(1)).unwrap();
        ring.add(slot(2)).unwrap();
        ring
    }

    fn sealed(kind: SealKind, deflated: bool, plaintext: &[u8]) -> Vec<u8> {
        let key = ring().slots()[1].key.clone();
        let header = Header { key_id: key.id(), sid: 3, aid: 4, kind, seq: 5, deflated };
        let mut out = Vec::new();
        seal(&key, header, plaintext, &mut out);
        out
    }

    fn check(json: &str, want: Result<&str, Reject>) {
        let (mut decoder, bytes) = (Decoder::new(), sealed(SealKind::Data, false, json.as_bytes()));
        let opened = decoder.open(&bytes, &ring()).unwrap();
        assert_eq!(opened.slot, 1);
        let got = opened.content.unwrap().map(|content| format!("{content:?}"));
        match (got, want) {
            (Ok(got), Ok(want)) => assert!(got.contains(want), "{json}\n{got}"),
            (got, want) => assert_eq!(got, want.map(str::to_owned), "{json}"),
        }
    }

    #[test]
    fn c1_sealed_messages_need_no_name_and_have_their_own_kinds() {
        let bad = Err(Reject::BadField);
        let table = [
            (r#"{"ID":"HTB","interval":30,"ack":7}   "#, Ok("ack: Some(7)")),
            (r#"{"ID":"HTB","name":"other"}"#, Ok("ack: None")),
            (r#"{"ID":"HTB","ack":"x"}"#, bad),
            (r#"{"ID":"PLG","plugin":"p","data":{"a":1}}"#, Ok("Number(1.0)")),
            (r#"{"ID":"RES","cid":9,"st":"accepted"}"#, Ok("cid: 9, state: Accepted, code: None")),
            (
                r#"{"ID":"RES","cid":9,"st":"done","rc":-15,"out":"x","ms":12}"#,
                Ok("code: Some(-15)"),
            ),
            (r#"{"ID":"RES","cid":9,"st":"done","rc":256}"#, bad),
            (r#"{"ID":"RES","cid":9,"st":"done","rc":0.5}"#, bad),
            (r#"{"ID":"RES","cid":0,"st":"done"}"#, bad),
            (r#"{"ID":"RES","cid":9,"st":"perhaps"}"#, bad),
            (r#"{"ID":"RES","st":"done"}"#, bad),
            (r#"{"ID":"MSG","kind":"maintenance","s":1800,"text":"t"}"#, Ok("seconds: 1800")),
            (r#"{"ID":"MSG","kind":"maintenance","s":604801}"#, bad),
            (r#"{"ID":"MSG","kind":"maintenance"}"#, bad),
            (r#"{"ID":"MSG","kind":"boot"}"#, Ok("kind: Boot")),
            (r#"{"ID":"CMD","cid":9}"#, Err(Reject::NotForServer)),
            (r#"{"ID":"HTB","x":NaN}"#, Err(Reject::BadJson)),
            ("", Err(Reject::BadJson)),
        ];
        for (json, want) in table {
            check(json, want);
        }
    }

    #[test]
    fn c1_sealed_sample_has_512_leaves_at_most() {
        let list = |n: usize| {
            format!(r#"{{"ID":"PLG","plugin":"p","data":{{"l":[{}1]}}}}"#, "1,".repeat(n - 1))
        };
        check(&list(limits::LEAVES_PER_MSG_SEALED), Ok("l.511"));
        check(&list(limits::LEAVES_PER_MSG_SEALED + 1), Err(Reject::TooManyLeaves));
    }

    #[test]
    fn c4_nothing_is_read_before_the_tag_is_right() {
        let (mut decoder, ring) = (Decoder::new(), ring());
        let open = |decoder: &mut Decoder, bytes: &[u8]| {
            decoder.open(bytes, &ring).map(|opened| opened.content.is_none())
        };
        let hello = sealed(SealKind::Hello, false, b"");
        assert_eq!(open(&mut decoder, &hello), Ok(true));
        let refused = |reason, slot| Err(Unopened { reason, slot });
        let mut wrong = hello.clone();
        wrong[40] ^= 1;
        assert_eq!(open(&mut decoder, &wrong), refused(Reject::BadSeal, Some(1)));
        let mut unknown = hello.clone();
        unknown[4] = 9;
        assert_eq!(open(&mut decoder, &unknown), refused(Reject::Sealed, None));
        for kind in [SealKind::Answer, SealKind::Welcome] {
            let of_server = sealed(kind, false, b"");
            assert_eq!(open(&mut decoder, &of_server), refused(Reject::Sealed, None));
        }
        let full = sealed(SealKind::Hello, false, b"{}");
        assert_eq!(open(&mut decoder, &full), refused(Reject::Sealed, None));
        let packed = sealed(SealKind::Hello, true, b"");
        assert_eq!(open(&mut decoder, &packed), refused(Reject::Sealed, None));
    }

    #[test]
    fn u5_zip_bomb_inside_a_seal_stops_at_the_limit() {
        let bomb = miniz_oxide::deflate::compress_to_vec_zlib(&vec![b' '; 1 << 20], 9);
        assert!(bomb.len() < 1400);
        let (mut decoder, bytes) = (Decoder::new(), sealed(SealKind::Data, true, &bomb));
        let opened = decoder.open(&bytes, &ring()).unwrap();
        assert_eq!(opened.content, Some(Err(Reject::TooBig)));
    }
}
