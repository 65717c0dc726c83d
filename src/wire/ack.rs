//! The plain ACK (PROTOCOL C1): written by the server, never longer than what it answers; read by
//! agents.

use super::Reject;
use super::inflate::is_zlib;
use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;
use serde::Deserialize;
use std::borrow::Cow;

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
/// `"ack":SEQ` is there where it fits, then `"want":"info"` where it is wished and fits, and then, each where it fits,
/// the echoes that the Python agents may expect: `"seq":SEQ` and `"time":TIME`, `time` being JSON text.
pub fn encode_ack(
    out: &mut [u8],
    seq: Option<u64>,
    time: Option<&str>,
    want_info: bool,
    len_max: usize,
) -> usize {
    let len_max = len_max.min(out.len());
    let mut ack = AckText { out: &mut out[..len_max], len: 0 };
    if !ack.put(&[br#"{"ID":"ACK"}"#]) {
        return 0;
    }
    let mut digits = [0; DIGITS_MAX];
    let digits = seq.map(|seq| decimal(seq, &mut digits));
    let echoed = digits.filter(|digits| ack.member(br#","ack":"#, digits));
    if want_info {
        ack.member(br#","want":"#, br#""info""#);
    }
    if let Some(digits) = echoed {
        ack.member(br#","seq":"#, digits);
    }
    if let Some(time) = time {
        ack.member(br#","time":"#, time.as_bytes());
    }
    ack.len
}

/// As many digits as a `u64` has at most.
const DIGITS_MAX: usize = 20;

/// `value` in decimal. An ACK is written for every datagram, and `core::fmt` costs as much as the rest of it.
fn decimal(mut value: u64, digits: &mut [u8; DIGITS_MAX]) -> &[u8] {
    let mut at = DIGITS_MAX;
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            return &digits[at..];
        }
    }
}

struct AckText<'o> {
    out: &'o mut [u8],
    len: usize,
}

impl AckText<'_> {
    /// Appends all parts, or nothing where they do not fit; says which.
    fn put(&mut self, parts: &[&[u8]]) -> bool {
        let end = self.len + parts.iter().map(|part| part.len()).sum::<usize>();
        if end > self.out.len() {
            return false;
        }
        for part in parts {
            self.out[self.len..self.len + part.len()].copy_from_slice(part);
            self.len += part.len();
        }
        true
    }

    /// Adds a member before the closing brace, or leaves everything as it is; says which.
    fn member(&mut self, key: &[u8], value: &[u8]) -> bool {
        self.len -= 1;
        let added = self.put(&[key, value, b"}"]);
        self.len += usize::from(!added);
        added
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
        let len = encode_ack(&mut out, seq, time, false, len_max);
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

    #[test]
    fn u3_wish_for_info_is_left_out_where_it_does_not_fit() {
        let table = [
            (33, r#"{"ID":"ACK","ack":7,"seq":7}"#),
            (34, r#"{"ID":"ACK","ack":7,"want":"info"}"#),
            (42, r#"{"ID":"ACK","ack":7,"want":"info","seq":7}"#),
        ];
        for (len_max, want) in table {
            let mut out = [0; 120];
            let len = encode_ack(&mut out, Some(7), None, true, len_max);
            assert_eq!(std::str::from_utf8(&out[..len]), Ok(want), "{len_max}");
            assert_eq!(decode_ack(&out[..len]).map(|ack| ack.want_info), Ok(len_max > 33));
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
