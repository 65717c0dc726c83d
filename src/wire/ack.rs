//! The plain ACK (PROTOCOL C1): written by the server, never longer than what it answers; read by
//! agents.

use super::Reject;
use super::inflate::is_zlib;
use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;
use serde::Deserialize;
use std::borrow::Cow;
use std::io::{Cursor, Write};

/// An ACK is far smaller; whatever inflates to more is none.
const ACK_INFLATE_MAX: usize = 4096;

/// What the server answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ack {
    /// The datagram that is acknowledged; `None` from a server that does not echo it.
    pub seq: Option<u64>,
    /// The server asks for the info plugins again.
    pub want_info: bool,
}

/// Writes an ACK of at most `len_max` bytes into `out` and returns its length; 0 where not even
/// `{"ID":"ACK"}` fits (THREATS U3).
///
/// `"ack":SEQ` is there where it fits, and then, each where it fits, the echoes that the Python
/// agents may expect: `"seq":SEQ` and `"time":TIME`, `time` being JSON text.
pub fn encode_ack(out: &mut [u8], seq: Option<u64>, time: Option<&str>, len_max: usize) -> usize {
    let len_max = len_max.min(out.len());
    let mut ack = AckText { out: Cursor::new(&mut out[..len_max]) };
    if ack.out.write_all(br#"{"ID":"ACK"}"#).is_err() {
        return 0;
    }
    if let Some(seq) = seq
        && ack.member("ack", seq)
    {
        ack.member("seq", seq);
    }
    if let Some(time) = time {
        ack.member("time", time);
    }
    ack.out.position() as usize
}

struct AckText<'o> {
    out: Cursor<&'o mut [u8]>,
}

impl AckText<'_> {
    /// Adds a member before the closing brace, or leaves everything as it is; says which.
    fn member(&mut self, key: &str, value: impl std::fmt::Display) -> bool {
        let end = self.out.position();
        self.out.set_position(end - 1);
        if write!(self.out, r#","{key}":{value}}}"#).is_ok() {
            return true;
        }
        self.out.set_position(end - 1);
        let brace = self.out.write_all(b"}");
        debug_assert!(brace.is_ok(), "there was a brace here");
        false
    }
}

/// Reads an ACK, as JSON or zlib. Other messages and damaged ones are refused; unknown fields are
/// ignored.
pub fn decode_ack(bytes: &[u8]) -> Result<Ack, Reject> {
    let inflated;
    let json = if is_zlib(bytes) {
        inflated = decompress_to_vec_zlib_with_limit(bytes, ACK_INFLATE_MAX)
            .map_err(|_| Reject::BadZlib)?;
        &inflated[..]
    } else {
        bytes
    };
    let text = std::str::from_utf8(json).map_err(|_| Reject::BadUtf8)?;
    let fields: Fields<'_> = serde_json::from_str(text).map_err(|_| Reject::BadJson)?;
    match fields.id.as_deref() {
        Some("ACK") => {}
        Some(_) => return Err(Reject::UnknownId),
        None => return Err(Reject::MissingId),
    }
    let seq = match fields.ack.or(fields.seq) {
        // An integer of at most 53 bits is exact in an f64.
        Some(n) if n >= 0.0 && n < (1u64 << 53) as f64 && n.fract() == 0.0 => Some(n as u64),
        Some(_) => return Err(Reject::BadField),
        None => None,
    };
    Ok(Ack { seq, want_info: fields.want.as_deref() == Some("info") })
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(rename = "ID", borrow)]
    id: Option<Cow<'a, str>>,
    ack: Option<f64>,
    seq: Option<f64>,
    #[serde(borrow)]
    want: Option<Cow<'a, str>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use miniz_oxide::deflate::compress_to_vec_zlib;
    use proptest::prelude::*;

    fn encoded(seq: Option<u64>, time: Option<&str>, len_max: usize) -> String {
        let mut out = [0; 120];
        let len = encode_ack(&mut out, seq, time, len_max);
        String::from_utf8(out[..len].to_vec()).unwrap()
    }

    #[test]
    fn u3_ack_takes_what_fits_and_no_more() {
        let table = [
            (None, None, 11, ""),
            (None, None, 12, r#"{"ID":"ACK"}"#),
            (Some(7), None, 19, r#"{"ID":"ACK"}"#),
            (Some(7), None, 20, r#"{"ID":"ACK","ack":7}"#),
            (Some(7), None, 27, r#"{"ID":"ACK","ack":7}"#),
            (Some(7), None, 28, r#"{"ID":"ACK","ack":7,"seq":7}"#),
            (Some(7), Some("1.5"), 38, r#"{"ID":"ACK","ack":7,"seq":7}"#),
            (Some(7), Some("1.5"), 39, r#"{"ID":"ACK","ack":7,"seq":7,"time":1.5}"#),
            (None, Some("1.5"), 999, r#"{"ID":"ACK","time":1.5}"#),
        ];
        for (seq, time, len_max, want) in table {
            assert_eq!(encoded(seq, time, len_max), want, "{len_max}");
        }
    }

    proptest! {
        #[test]
        fn u3_ack_is_never_longer_than_its_limit(
            seq in proptest::option::of(0u64..1 << 53),
            time in proptest::option::of(0.0f64..2e9),
            len_max in 0usize..140,
        ) {
            let time = time.map(|t| t.to_string());
            let ack = encoded(seq, time.as_deref(), len_max);
            prop_assert!(ack.len() <= len_max);
            if let Ok(read) = decode_ack(ack.as_bytes()) {
                prop_assert!(read.seq.is_none() || read.seq == seq);
            } else {
                prop_assert!(ack.is_empty());
            }
        }
    }

    #[test]
    fn c1_ack_is_read_leniently_and_nothing_else_is() {
        let ack = |seq, want_info| Ok(Ack { seq, want_info });
        let table = [
            (r#"{"ID":"ACK"}"#, ack(None, false)),
            (r#" {"ID":"ACK","ack":5,"seq":4,"acc":1}"#, ack(Some(5), false)),
            (r#"{"seq":4.0,"ID":"ACK","time":[1]}"#, ack(Some(4), false)),
            (r#"{"ID":"ACK","ack":null,"want":"info"}"#, ack(None, true)),
            (r#"{"ID":"ACK","want":"more"}"#, ack(None, false)),
            (r#"{"ID":"ACK","ack":9007199254740992}"#, Err(Reject::BadField)),
            (r#"{"ID":"ACK","ack":-1}"#, Err(Reject::BadField)),
            (r#"{"ID":"ACK","ack":1.5}"#, Err(Reject::BadField)),
            (r#"{"ID":"ACK","ack":"5"}"#, Err(Reject::BadJson)),
            (r#"{"ID":"CMD","cid":1}"#, Err(Reject::UnknownId)),
            (r#"{"ack":1}"#, Err(Reject::MissingId)),
            (r#"{"ID":"ACK"} x"#, Err(Reject::BadJson)),
            ("", Err(Reject::BadJson)),
        ];
        for (json, want) in table {
            assert_eq!(decode_ack(json.as_bytes()), want, "{json}");
        }
        let packed = compress_to_vec_zlib(br#"{"ID":"ACK","ack":5}"#, 6);
        assert_eq!(decode_ack(&packed), ack(Some(5), false));
        assert_eq!(decode_ack(&packed[..9]), Err(Reject::BadZlib));
        assert_eq!(decode_ack(b"{\xff}"), Err(Reject::BadUtf8));
    }

    #[test]
    fn u5_ack_that_inflates_without_end_is_refused() {
        let bomb = compress_to_vec_zlib(&vec![b' '; 1 << 20], 9);
        assert_eq!(decode_ack(&bomb), Err(Reject::BadZlib));
    }
}
