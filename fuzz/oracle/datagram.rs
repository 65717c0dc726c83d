//! What must hold for every datagram, beyond that nothing panics: bounds, leaves, re-encoding,
//! replies.
//!
//! Shared by the fuzz target and by the replay of its corpus in the normal test suite.

use heartbeat::limits;
use heartbeat::text::{check_name, is_plugin_name};
use heartbeat::wire::{
    Datagram, Decoder, Htb, HtbOut, Leaf, LeafValue, Message, Msg, MsgOut, Plg, PlgOut, Reject,
    decode_ack, encode_ack, pack, split,
};
use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;
use serde_json::Value;

/// Half of the thousandth to which numbers are rounded on the wire, and a little for the rounding.
const ROUNDING: f64 = 0.000_51;

#[derive(Default)]
pub struct Oracle {
    decoder: Decoder,
    again: Decoder,
    json: String,
    bytes: Vec<u8>,
}

impl Oracle {
    /// Panics where a property does not hold; otherwise says what the decoder said.
    pub fn check(&mut self, bytes: &[u8]) -> Result<(), Reject> {
        let _ = decode_ack(bytes);
        let Oracle { decoder, again, json, bytes: packed } = self;
        let decoded = decoder.decode(bytes);
        check_inflate(again, bytes, &decoded);
        let datagram = decoded?;
        check_limits(&datagram);
        check_reply(&datagram, bytes.len());
        let mut recode = Recode { again, json, packed, name: datagram.name, seq: datagram.seq };
        match &datagram.message {
            Message::Htb(htb) => {
                recode.htb(htb);
                for plg in &htb.plugins {
                    check_plg(plg);
                    recode.plg(plg);
                }
            }
            Message::Plg(plg) => {
                check_plg(plg);
                recode.plg(plg);
                check_split(plg);
            }
            Message::Msg(msg) => recode.msg(msg),
        }
        Ok(())
    }
}

/// A compressed datagram says what its content says, as the library alone inflates it.
fn check_inflate(again: &mut Decoder, bytes: &[u8], decoded: &Result<Datagram<'_>, Reject>) {
    let Ok(content) = decompress_to_vec_zlib_with_limit(bytes, limits::INFLATE_MAX) else {
        let text = matches!(bytes.first(), Some(b'{' | b' ' | b'\t' | b'\r' | b'\n'));
        return assert!(text || decoded.is_err());
    };
    // What follows a stream is refused, and only JSON is read the same without it.
    if *decoded != Err(Reject::BadZlib)
        && content.len() <= limits::UDP_IN_MAX
        && content.starts_with(b"{")
    {
        assert_eq!(*decoded, again.decode(&content));
    }
}

fn check_limits(datagram: &Datagram<'_>) {
    assert!(check_name(datagram.name.as_bytes()).is_ok());
    assert!(!datagram.name.bytes().any(|byte| byte.is_ascii_uppercase()));
    assert!(datagram.seq.is_none_or(|seq| seq < 1 << 53));
    match &datagram.message {
        Message::Htb(htb) => {
            assert!(htb.interval.is_none_or(|s| (1.0..=86_400.0).contains(&s)));
            assert!(htb.rtt.is_none_or(|ms| (0.0..=600_000.0).contains(&ms)));
            assert!(htb.attempt <= 9 && htb.up.is_none_or(|s| s <= 1 << 40));
            assert!(htb.version.is_none_or(|v| v.len() <= limits::VERSION_MAX));
            assert!(htb.plugins.len() <= limits::PLUGINS_PER_HOST + 1);
        }
        Message::Plg(_) => {}
        Message::Msg(msg) => {
            assert!(msg.text.len() <= limits::TEXT_MAX && msg.mid.is_none_or(|mid| mid < 1 << 53));
        }
    }
}

/// The reply is never longer than the request (THREATS U3), and an agent can read it.
fn check_reply(datagram: &Datagram<'_>, len_max: usize) {
    let mut out = [0; 120];
    let len = encode_ack(&mut out, datagram.seq, datagram.time, len_max.is_multiple_of(2), len_max);
    assert!(len <= len_max);
    if len > 0 {
        let ack = decode_ack(&out[..len]).expect("our own ACK is readable");
        assert!(ack.seq.is_none() || ack.seq == datagram.seq);
    }
}

fn check_plg(plg: &Plg<'_>) {
    assert!(is_plugin_name(plg.plugin));
    assert!(plg.leaves.len() <= limits::LEAVES_PER_MSG);
    assert!(plg.part.is_none_or(|(i, n)| 1 <= i && i <= n && n <= 64));
    let value: Value = serde_json::from_str(plg.data).expect("data is JSON");
    assert!(value.is_object() && nodes(&value) <= limits::JSON_NODES);
    check_leaves(plg.leaves, &value);
}

fn nodes(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(nodes).sum(),
        Value::Object(members) => members.values().map(|member| 1 + nodes(member)).sum(),
        _ => 0,
    }
}

/// Every leaf of the parsed tree was found. The tree keeps only the last of equal keys, so there
/// may be more, and it orders the keys of an object.
fn check_leaves(leaves: &[Leaf<'_>], value: &Value) {
    let mut walked = Vec::new();
    walk(value, &mut String::new(), &mut walked);
    assert!(leaves.len() >= walked.len());
    let mut sorted: Vec<&Leaf<'_>> = leaves.iter().collect();
    sorted.sort_by_key(|leaf| leaf.path);
    for (path, value) in walked {
        assert!(value.as_str().is_none_or(|text| text.len() <= limits::STR_MAX));
        let first = sorted.partition_point(|leaf| leaf.path < path.as_str());
        let mut found = sorted[first..].iter().take_while(|leaf| leaf.path == path);
        assert!(found.any(|leaf| is_same(leaf.value, value)), "{path}: {value}");
    }
}

fn is_same(leaf: LeafValue<'_>, value: &Value) -> bool {
    match leaf {
        LeafValue::Number(n) => value.as_f64() == Some(n),
        LeafValue::Bool(b) => value.as_bool() == Some(b),
        LeafValue::Text(text) => value.as_str() == Some(text),
        LeafValue::Null => value.is_null(),
    }
}

fn walk<'v>(value: &'v Value, path: &mut String, leaves: &mut Vec<(String, &'v Value)>) {
    let outer = path.len();
    let mut step = |key: &str, inner: &'v Value| {
        if outer > 0 {
            path.push('.');
        }
        path.push_str(key);
        walk(inner, path, leaves);
        path.truncate(outer);
    };
    match value {
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, item)| step(&i.to_string(), item));
        }
        Value::Object(members) => members.iter().for_each(|(key, member)| step(key, member)),
        leaf => leaves.push((path.clone(), leaf)),
    }
}

/// Parts are JSON objects and few, and each keeps to its room.
fn check_split(plg: &Plg<'_>) {
    let bytes_max = limits::SEND_MAX - heartbeat::wire::ENVELOPE_MAX;
    let parts = split(plg.data, bytes_max);
    assert!(parts.len() <= heartbeat::wire::PARTS_MAX);
    let mut packed = Vec::new();
    for part in &parts {
        pack(part, &mut packed);
        assert!(packed.len() <= bytes_max);
        assert!(matches!(serde_json::from_str(part), Ok(Value::Object(_))));
    }
}

/// Encodes a message as an agent would and decodes that.
struct Recode<'o> {
    again: &'o mut Decoder,
    json: &'o mut String,
    packed: &'o mut Vec<u8>,
    name: &'o str,
    seq: Option<u64>,
}

impl Recode<'_> {
    fn decode(&mut self) -> Option<Datagram<'_>> {
        self.packed.clear();
        self.packed.extend_from_slice(self.json.as_bytes());
        if self.json.len() > limits::UDP_IN_MAX {
            pack(self.json, self.packed);
        }
        // What came in better compressed, or with NaN for null, may be too long now.
        if self.json.len() > limits::INFLATE_MAX || self.packed.len() > limits::UDP_IN_MAX {
            return None;
        }
        let datagram = self.again.decode(self.packed).expect("our own encoding decodes");
        assert_eq!((datagram.name, datagram.seq), (self.name, self.seq));
        assert_eq!((datagram.time, datagram.strings_cut), (None, 0));
        Some(datagram)
    }

    fn htb(&mut self, htb: &Htb<'_>) {
        HtbOut {
            name: self.name,
            seq: self.seq,
            interval: htb.interval,
            rtt: htb.rtt,
            attempt: htb.attempt,
            up: htb.up,
            version: htb.version,
            ack: None,
            pair: None,
        }
        .encode(self.json);
        let Some(datagram) = self.decode() else { return };
        let Message::Htb(got) = datagram.message else { panic!("no HTB") };
        assert!(is_near(got.interval, htb.interval) && is_near(got.rtt, htb.rtt));
        assert_eq!((got.attempt, got.up, got.version), (htb.attempt, htb.up, htb.version));
        assert!(got.plugins.is_empty());
    }

    fn plg(&mut self, plg: &Plg<'_>) {
        PlgOut {
            name: self.name,
            seq: self.seq,
            plugin: plg.plugin,
            data: plg.data,
            every: plg.every,
            info: plg.info,
            age_ms: plg.age_ms,
            part: plg.part,
        }
        .encode(self.json);
        let Some(datagram) = self.decode() else { return };
        let Message::Plg(got) = datagram.message else { panic!("no PLG") };
        assert_eq!(got, *plg);
    }

    fn msg(&mut self, msg: &Msg<'_>) {
        MsgOut { name: self.name, seq: self.seq, kind: msg.kind, text: msg.text, mid: msg.mid }
            .encode(self.json);
        let Some(datagram) = self.decode() else { return };
        let Message::Msg(got) = datagram.message else { panic!("no MSG") };
        assert_eq!(got, *msg);
    }
}

fn is_near(a: Option<f64>, b: Option<f64>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() <= ROUNDING,
        (a, b) => a.is_none() && b.is_none(),
    }
}
