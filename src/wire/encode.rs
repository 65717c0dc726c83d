//! Messages to JSON and to datagrams, as our agents send them (PROTOCOL C1, C8).

use super::deflate::deflate;
use super::message::{Kind, ResState};
use std::fmt::Write as _;

/// Up to this length text goes out as it is: deflate costs more than it saves.
const PLAIN_MAX: usize = 600;

/// A heartbeat to be sent.
#[derive(Clone, Debug, Default)]
pub struct HtbOut<'a> {
    pub name: &'a str,
    pub seq: Option<u64>,
    /// Seconds.
    pub interval: Option<f64>,
    /// The last round trip, milliseconds.
    pub rtt: Option<f64>,
    /// Retransmission number; 0 is not written.
    pub attempt: u8,
    /// Seconds since the machine booted.
    pub up: Option<u64>,
    pub version: Option<&'a str>,
    /// Sealed only: the highest number of the server's that was heard.
    pub ack: Option<u64>,
    /// Sealed only: what a server of a pair tells the other one.
    pub pair: Option<&'a str>,
}

/// A plugin's sample, or a part of one, to be sent.
#[derive(Clone, Debug, Default)]
pub struct PlgOut<'a> {
    pub name: &'a str,
    pub seq: Option<u64>,
    pub plugin: &'a str,
    /// A JSON object as text; it is written as it is.
    pub data: &'a str,
    /// Seconds.
    pub every: Option<u32>,
    pub info: bool,
    pub age_ms: Option<u32>,
    pub part: Option<(u8, u8)>,
}

/// A one-off message to be sent.
#[derive(Clone, Debug)]
pub struct MsgOut<'a> {
    pub name: &'a str,
    pub seq: Option<u64>,
    pub kind: Kind,
    pub text: &'a str,
    pub mid: Option<u64>,
}

impl HtbOut<'_> {
    /// Replaces `out` by the message as compact JSON.
    pub fn encode(&self, out: &mut String) {
        open(out, "HTB", self.name, self.seq);
        number(out, "interval", self.interval);
        number(out, "rtt", self.rtt);
        integer(out, "try", Some(u64::from(self.attempt)).filter(|n| *n > 0));
        integer(out, "up", self.up);
        if let Some(version) = self.version {
            text(out, "v", version);
        }
        integer(out, "ack", self.ack);
        if let Some(pair) = self.pair {
            text(out, "pair", pair);
        }
        out.push('}');
    }
}

impl PlgOut<'_> {
    /// Replaces `out` by the message as compact JSON.
    pub fn encode(&self, out: &mut String) {
        open(out, "PLG", self.name, self.seq);
        text(out, "plugin", self.plugin);
        integer(out, "every", self.every.map(u64::from));
        if self.info {
            out.push_str(r#","info":true"#);
        }
        integer(out, "age", self.age_ms.map(u64::from));
        if let Some((i, n)) = self.part {
            // Writing to a String cannot fail, here and below.
            let _ = write!(out, r#","part":[{i},{n}]"#);
        }
        out.push_str(r#","data":"#);
        out.push_str(self.data);
        out.push('}');
    }
}

impl MsgOut<'_> {
    /// Replaces `out` by the message as compact JSON.
    pub fn encode(&self, out: &mut String) {
        open(out, "MSG", self.name, self.seq);
        let kind = match self.kind {
            Kind::Text => "text",
            Kind::Boot => "boot",
            Kind::Shutdown => "shutdown",
        };
        text(out, "kind", kind);
        text(out, "text", self.text);
        integer(out, "mid", self.mid);
        out.push('}');
    }
}

/// The progress of a command, sealed only.
#[derive(Clone, Copy, Debug)]
pub struct ResOut<'a> {
    pub cid: u64,
    pub state: ResState,
    /// Negative: the signal that ended it.
    pub code: Option<i16>,
    /// At most `limits::CMD_OUT_MAX` bytes.
    pub output: &'a str,
    pub millis: Option<u64>,
}

impl ResOut<'_> {
    /// Replaces `out` by the message as compact JSON.
    pub fn encode(&self, out: &mut String) {
        open(out, "RES", "", None);
        integer(out, "cid", Some(self.cid));
        text(out, "st", self.state.as_str());
        if let Some(code) = self.code {
            key_of(out, "rc");
            let _ = write!(out, "{code}");
        }
        integer(out, "ms", self.millis);
        if !self.output.is_empty() {
            text(out, "out", self.output);
        }
        out.push('}');
    }
}

/// A machine that plans its own maintenance, sealed only.
#[derive(Clone, Copy, Debug)]
pub struct MaintenanceOut<'a> {
    /// 0 ends it.
    pub seconds: u32,
    pub text: &'a str,
    pub mid: u64,
}

impl MaintenanceOut<'_> {
    /// Replaces `out` by the message as compact JSON.
    pub fn encode(&self, out: &mut String) {
        open(out, "MSG", "", None);
        text(out, "kind", "maintenance");
        integer(out, "s", Some(u64::from(self.seconds)));
        text(out, "text", self.text);
        integer(out, "mid", Some(self.mid));
        out.push('}');
    }
}

/// Replaces `out` by the datagram for `json`: zlib where that is shorter and the text over 600
/// bytes. Says whether it is zlib.
pub fn pack(json: &str, out: &mut Vec<u8>) -> bool {
    out.clear();
    if json.len() > PLAIN_MAX && deflate(json.as_bytes(), json.len() - 1, out) {
        return true;
    }
    out.clear();
    out.extend_from_slice(json.as_bytes());
    false
}

/// Appends `value` as a JSON string with its quotes.
pub fn push_string(out: &mut String, value: &str) {
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

pub(super) fn open(out: &mut String, id: &str, name: &str, seq: Option<u64>) {
    out.clear();
    out.push_str(r#"{"ID":""#);
    out.push_str(id);
    out.push('"');
    // A sealed message carries none: its key names the host.
    if !name.is_empty() {
        text(out, "name", name);
    }
    integer(out, "seq", seq);
}

pub(super) fn text(out: &mut String, key: &str, value: &str) {
    key_of(out, key);
    push_string(out, value);
}

pub(super) fn integer(out: &mut String, key: &str, value: Option<u64>) {
    if let Some(value) = value {
        key_of(out, key);
        let _ = write!(out, "{value}");
    }
}

/// Rounded to thousandths and without trailing zeros: `30`, `0.25`. Not written where not finite.
fn number(out: &mut String, key: &str, value: Option<f64>) {
    let Some(value) = value.filter(|x| x.is_finite()) else { return };
    key_of(out, key);
    let thousandths = (value * 1000.0).round() as i64;
    let sign = if thousandths < 0 { "-" } else { "" };
    let (whole, rest) = (thousandths.unsigned_abs() / 1000, thousandths.unsigned_abs() % 1000);
    let _ = write!(out, "{sign}{whole}");
    if rest > 0 {
        let _ = write!(out, ".{rest:03}");
        out.truncate(out.trim_end_matches('0').len());
    }
}

fn key_of(out: &mut String, key: &str) {
    out.push_str(",\"");
    out.push_str(key);
    out.push_str("\":");
}

#[cfg(test)]
mod tests {
    use super::super::{Datagram, Decoder, Htb, Message, Msg, Plg};
    use super::*;
    use proptest::option::of;
    use proptest::prelude::*;

    #[test]
    fn messages_are_compact_and_leave_out_what_is_not_there() {
        let mut out = String::from("left over");
        HtbOut { name: "web1", interval: Some(30.0), ..HtbOut::default() }.encode(&mut out);
        assert_eq!(out, r#"{"ID":"HTB","name":"web1","interval":30}"#);
        let whole = HtbOut {
            name: "web1",
            seq: Some(9),
            interval: Some(2.5),
            rtt: Some(0.123_456),
            attempt: 2,
            up: Some(77),
            version: Some("0.1\"\u{1}"),
            ack: None,
            pair: None,
        };
        whole.encode(&mut out);
        let want = concat!(
            r#"{"ID":"HTB","name":"web1","seq":9,"interval":2.5,"rtt":0.123,"#,
            r#""try":2,"up":77,"v":"0.1\"\u0001"}"#
        );
        assert_eq!(out, want);
        let plg = PlgOut {
            name: "web1",
            plugin: "cpu_monitor",
            data: r#"{"x":1}"#,
            every: Some(300),
            info: true,
            age_ms: Some(5),
            part: Some((1, 2)),
            ..PlgOut::default()
        };
        plg.encode(&mut out);
        let want = concat!(
            r#"{"ID":"PLG","name":"web1","plugin":"cpu_monitor","every":300,"info":true,"#,
            r#""age":5,"part":[1,2],"data":{"x":1}}"#
        );
        assert_eq!(out, want);
    }

    #[test]
    fn numbers_are_rounded_to_thousandths() {
        let table = [
            (30.0, ",\"n\":30"),
            (0.25, ",\"n\":0.25"),
            (0.0004, ",\"n\":0"),
            (-1.5, ",\"n\":-1.5"),
            (599_999.999, ",\"n\":599999.999"),
            (f64::NAN, ""),
            (f64::INFINITY, ""),
        ];
        for (value, want) in table {
            let mut out = String::new();
            number(&mut out, "n", Some(value));
            assert_eq!(out, want);
        }
    }

    #[test]
    fn c8_pack_compresses_over_600_bytes_where_that_is_shorter() {
        let mut out = Vec::new();
        pack(&"a".repeat(PLAIN_MAX), &mut out);
        assert_eq!(out.len(), PLAIN_MAX);
        pack(&"a".repeat(PLAIN_MAX + 1), &mut out);
        assert!(out.len() < 100);
        let mut prng = crate::prng::Prng::new(1);
        let noise: String = (0..700).map(|_| (b' ' + prng.below(95) as u8) as char).collect();
        pack(&noise, &mut out);
        assert!(out.len() <= noise.len());
    }

    /// Thousandths, as they are written.
    fn thousandths(max: u64) -> impl Strategy<Value = f64> {
        (1000..=max * 1000).prop_map(|n| n as f64 / 1000.0)
    }

    proptest! {
        #[test]
        fn c1_heartbeat_encoded_decodes_as_itself(
            name in "[a-z0-9][a-z0-9._-]{0,20}[a-z0-9]",
            seq in of(0u64..1 << 53),
            interval in of(thousandths(86_400)),
            rtt in of(thousandths(600_000)),
            attempt in 0u8..=9,
            up in of(0u64..=1 << 40),
            version in of("\\PC{0,8}"),
        ) {
            prop_assume!(!name.contains(".."));
            let out = HtbOut {
                name: &name, seq, interval, rtt, attempt, up, version: version.as_deref(), ack: None,
                pair: None,
            };
            let (mut json, mut bytes) = (String::new(), Vec::new());
            out.encode(&mut json);
            pack(&json, &mut bytes);
            let htb = Htb {
                interval, rtt, attempt, up, version: version.as_deref(), plugins: Vec::new(),
            };
            let message = Message::Htb(htb);
            let want = Datagram { name: &name, seq, time: None, message, strings_cut: 0, json: &json };
            let mut decoder = Decoder::new();
            prop_assert_eq!(decoder.decode(&bytes), Ok(want));
        }

        #[test]
        fn c1_message_encoded_decodes_as_itself(
            kind in prop_oneof![Just(Kind::Text), Just(Kind::Boot), Just(Kind::Shutdown)],
            text in any::<String>().prop_filter("fits", |text| text.len() <= 1024),
            mid in of(0u64..1 << 53),
        ) {
            let (mut json, mut bytes) = (String::new(), Vec::new());
            MsgOut { name: "a", seq: None, kind, text: &text, mid }.encode(&mut json);
            pack(&json, &mut bytes);
            let message = Message::Msg(Msg { kind, text: &text, mid });
            let want = Datagram { name: "a", seq: None, time: None, message, strings_cut: 0, json: &json };
            let mut decoder = Decoder::new();
            prop_assert_eq!(decoder.decode(&bytes), Ok(want));
        }

        #[test]
        fn c1_sample_encoded_decodes_as_itself(
            plugin in "[a-z0-9_]{1,32}",
            every in of(1u32..=86_400),
            info: bool,
            age_ms in of(0u32..=86_400_000),
            part in of((1u8..=64).prop_flat_map(|n| (1..=n, Just(n)))),
        ) {
            let data = r#"{"a":{"b":[1.5,"x"]},"c":null}"#;
            let (name, seq) = ("a", Some(1));
            let out = PlgOut { name, seq, plugin: &plugin, data, every, info, age_ms, part };
            let (mut json, mut decoder) = (String::new(), Decoder::new());
            out.encode(&mut json);
            let got = decoder.decode(json.as_bytes());
            let Ok(Datagram { message: Message::Plg(got), .. }) = got else {
                return Err(TestCaseError::fail("no PLG"));
            };
            let leaves = got.leaves;
            prop_assert_eq!(leaves.len(), 3);
            let want = Plg { plugin: &plugin, data, leaves, every, info, age_ms, part };
            prop_assert_eq!(got, want);
        }
    }
}
