//! Bytes to a message, or a reason why not: classes (PROTOCOL C0), inflate, JSON, fields (C1).
//!
//! A pure function of the bytes: no clock, and nothing is carried from one datagram to the next but
//! the allocations. What a name may do is the engine's to judge.

use super::Reject;
use super::arena::{ARENA_BYTES, Arena};
use super::data::Data;
use super::envelope::{self, Envelope, Extra, Field, Scalar};
use super::inflate::{Inflater, is_zlib};
use super::keyring::Keyring;
use super::lease::LeafLease;
use super::mend;
use super::message::{Datagram, Htb, Kind, Leaf, Message, Msg, Plg, SealedMessage};
use super::opened::{self, Content, Opened, Unopened};
use super::seal::{Header, SealKind, SessionKey};
use super::walk::{Budget, Paths};
use crate::limits;
use crate::text::{check_name, cut, is_plugin_name};

/// Largest integer that JSON's readers agree on, 2^53 - 1 (`u53` of PROTOCOL C1).
const U53_MAX: u64 = (1 << 53) - 1;
const INTERVAL_S_MAX: f64 = 86_400.0;
const RTT_MS_MAX: f64 = 600_000.0;
const UP_S_MAX: f64 = (1u64 << 40) as f64;
const AGE_MS_MAX: f64 = 86_400_000.0;
const TRY_MAX: f64 = 9.0;
const PART_MAX: f64 = 64.0;

/// Decodes datagrams into buffers that it owns and reuses; make one per thread and keep it.
pub struct Decoder {
    inflater: Inflater,
    arena: Box<[u8]>,
    leaves: LeafLease,
    paths: Paths,
    keys: envelope::Keys,
    mended: String,
    /// The plaintext of a sealed datagram.
    plain: Vec<u8>,
    /// Of each key, by its slot, the session that a datagram was opened in last.
    sessions: Vec<Option<SessionKey>>,
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder::new()
    }
}

impl Decoder {
    /// Allocates about 1.2 MB of address space, of which ordinary datagrams touch some kilobytes.
    pub fn new() -> Decoder {
        Decoder {
            inflater: Inflater::new(),
            arena: vec![0; ARENA_BYTES].into_boxed_slice(),
            leaves: LeafLease::default(),
            paths: Paths::default(),
            keys: envelope::Keys::default(),
            mended: String::new(),
            plain: Vec::new(),
            sessions: Vec::new(),
        }
    }

    /// Decodes one whole datagram. The result borrows from `bytes` and from the decoder.
    ///
    /// Python writes NaN and Infinity, which are no JSON: they are read as null, at the price of a
    /// second pass.
    pub fn decode<'a>(&'a mut self, bytes: &'a [u8]) -> Result<Datagram<'a>, Reject> {
        let Decoder { inflater, arena, leaves, paths, keys, mended, .. } = self;
        let json = match class(bytes)? {
            Class::Json => bytes,
            Class::Zlib => inflater.inflate(bytes)?,
        };
        let text = std::str::from_utf8(json).map_err(|_| Reject::BadUtf8)?;
        let mut budget = Budget {
            arena: Arena::new(arena),
            leaves: leaves.lease(),
            paths,
            last_key: None,
            nodes: 0,
            strings_cut: 0,
            fault: None,
        };
        // Filled where it stands: it is some hundred bytes, and each move would copy them.
        let mut envelope = Envelope::default();
        let json = match envelope::read(text, &mut budget, keys, &mut envelope) {
            Err(Reject::BadJson) if mend::null_no_numbers(text, mended) => {
                budget.reset();
                envelope = Envelope::default();
                let mended: &'a str = mended;
                envelope::read(mended, &mut budget, keys, &mut envelope)?;
                mended
            }
            read => {
                read?;
                text
            }
        };
        datagram(json, &mut envelope, budget)
    }

    /// Opens one sealed datagram and decodes what is in it. Nothing is inflated or parsed before
    /// its tag is right; whether it is new is for the caller to judge.
    pub fn open<'a>(&'a mut self, bytes: &'a [u8], ring: &Keyring) -> Result<Opened<'a>, Unopened> {
        let header = Header::parse(bytes)?;
        let slot = ring.find(header.key_id).ok_or(Reject::Sealed)?;
        let key = &ring.slots()[slot].key;
        if !matches!(header.kind, SealKind::Data | SealKind::Hello) {
            return Err(Reject::Sealed.into());
        }
        let known = self.sessions.get(slot).and_then(Option::as_ref);
        let derived = match known.filter(|session| session.fits(key, &header)) {
            Some(_) => None,
            None => Some(SessionKey::derive(key, header.sid, header.aid)),
        };
        let Some(session) = derived.as_ref().or(known) else { return Err(Reject::Sealed.into()) };
        session
            .open(bytes, &mut self.plain)
            .map_err(|reason| Unopened { reason, slot: Some(slot) })?;
        if derived.is_some() {
            // The tag is right: who has no key changes nothing here.
            self.sessions.resize(ring.slots().len(), None);
            self.sessions[slot] = derived;
        }
        if header.kind == SealKind::Hello && (header.deflated || !self.plain.is_empty()) {
            return Err(Reject::Sealed.into());
        }
        let content = match header.kind {
            SealKind::Hello => None,
            _ => Some(self.read_plain(header.deflated)),
        };
        Ok(Opened { header, slot, content })
    }

    fn read_plain(&mut self, deflated: bool) -> Result<Content<'_>, Reject> {
        let Decoder { inflater, arena, leaves, paths, keys, plain, .. } = self;
        let json = if deflated { inflater.inflate(plain)? } else { &plain[..] };
        let text = std::str::from_utf8(json).map_err(|_| Reject::BadUtf8)?;
        let mut budget = Budget {
            arena: Arena::new(arena),
            leaves: leaves.lease(),
            paths,
            last_key: None,
            nodes: 0,
            strings_cut: 0,
            fault: None,
        };
        let mut envelope = Envelope::default();
        envelope::read(text, &mut budget, keys, &mut envelope)?;
        let part = part(envelope.part)?;
        let strings_cut = budget.strings_cut;
        let leaves: &[Leaf<'_>] = budget.leaves;
        if leaves.len() > limits::LEAVES_PER_MSG_SEALED {
            return Err(Reject::TooManyLeaves);
        }
        let ack = opened::optional_u53(envelope.extra(Extra::Ack))?;
        let pair = match envelope.extra(Extra::Pair) {
            Scalar::Text(text) => Some(text),
            _ => None,
        };
        let message = match envelope.field(Field::Id) {
            Scalar::Text("RES") => SealedMessage::Res(opened::res(&envelope)?),
            Scalar::Text("MSG") if envelope.field(Field::Kind) == Scalar::Text("maintenance") => {
                opened::maintenance(&envelope)?
            }
            field => SealedMessage::Plain(match id(field)? {
                Id::Htb => Message::Htb(htb(&mut envelope, part, leaves)?),
                Id::Plg => Message::Plg(plg(&envelope, part, leaves)?),
                Id::Msg => Message::Msg(msg(&envelope)?),
            }),
        };
        Ok(Content { message, ack, pair, strings_cut, json: text })
    }
}

enum Class {
    Json,
    Zlib,
}

/// The class of a datagram by its first bytes (PROTOCOL C0).
fn class(bytes: &[u8]) -> Result<Class, Reject> {
    if bytes.len() > limits::UDP_IN_MAX {
        return Err(Reject::TooLong);
    }
    match bytes {
        [] => Err(Reject::Empty),
        [0xf1, 0x48, ..] => Err(Reject::Sealed),
        [b'{' | b' ' | b'\t' | b'\r' | b'\n', ..] => Ok(Class::Json),
        _ if is_zlib(bytes) => Ok(Class::Zlib),
        _ => Err(Reject::BadMagic),
    }
}

fn datagram<'a>(
    json: &'a str,
    envelope: &mut Envelope<'a>,
    mut budget: Budget<'a>,
) -> Result<Datagram<'a>, Reject> {
    let id = id(envelope.field(Field::Id))?;
    let name = name(envelope.field(Field::Name), &mut budget)?;
    let seq = seq(envelope.field(Field::Seq))?;
    let time = match envelope.time {
        Some(text) => match envelope::read_scalar(text, &mut budget)? {
            Scalar::Null | Scalar::Bool(_) => None,
            _ => Some(text),
        },
        None => None,
    };
    let part = part(envelope.part)?;
    let strings_cut = budget.strings_cut;
    let leaves: &'a [Leaf<'a>] = budget.leaves;
    let message = match id {
        Id::Htb => Message::Htb(htb(envelope, part, leaves)?),
        Id::Plg => Message::Plg(plg(envelope, part, leaves)?),
        Id::Msg => Message::Msg(msg(envelope)?),
    };
    Ok(Datagram { name, seq, time, message, strings_cut, json })
}

enum Id {
    Htb,
    Plg,
    Msg,
}

fn id(field: Scalar<'_>) -> Result<Id, Reject> {
    match field {
        Scalar::Absent | Scalar::Null => Err(Reject::MissingId),
        Scalar::Text("HTB") => Ok(Id::Htb),
        Scalar::Text("PLG") => Ok(Id::Plg),
        Scalar::Text("MSG") => Ok(Id::Msg),
        Scalar::Text("RES") => Err(Reject::SealedOnly),
        Scalar::Text("ACK" | "CMD" | "UPD") => Err(Reject::NotForServer),
        _ => Err(Reject::UnknownId),
    }
}

fn name<'a>(field: Scalar<'a>, budget: &mut Budget<'a>) -> Result<&'a str, Reject> {
    let name = match field {
        Scalar::Absent | Scalar::Null => return Err(Reject::MissingName),
        Scalar::Text(name) => name,
        _ => return Err(Reject::BadName),
    };
    check_name(name.as_bytes()).map_err(|_| Reject::BadName)?;
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return budget.arena.copy_lowercase(name).ok_or(Reject::BadName);
    }
    Ok(name)
}

fn htb<'a>(
    envelope: &mut Envelope<'a>,
    part: Option<(u8, u8)>,
    leaves: &'a [Leaf<'a>],
) -> Result<Htb<'a>, Reject> {
    let rtt = number(envelope.field(Field::Rtt)).ok().flatten();
    let version = match envelope.field(Field::Version) {
        Scalar::Text(text) => Some(cut(text, limits::VERSION_MAX)),
        _ => None,
    };
    Ok(Htb {
        interval: within(envelope.field(Field::Interval), 1.0, INTERVAL_S_MAX)?,
        rtt: rtt.map(|ms| ms.clamp(0.0, RTT_MS_MAX)),
        attempt: whole(envelope.field(Field::Try), 0.0, TRY_MAX)?.unwrap_or(0) as u8,
        up: within(envelope.field(Field::Up), 0.0, UP_S_MAX)?.map(|s| s as u64),
        version,
        plugins: inner_plugins(envelope, part, leaves)?,
    })
}

/// Plugin data inside a heartbeat. What has no proper name is left out: the heartbeat counts more.
fn inner_plugins<'a>(
    envelope: &mut Envelope<'a>,
    part: Option<(u8, u8)>,
    leaves: &'a [Leaf<'a>],
) -> Result<Vec<Plg<'a>>, Reject> {
    let named = matches!(envelope.field(Field::Plugin), Scalar::Text(name) if is_plugin_name(name));
    let mut plugins = Vec::new();
    if named && envelope.data.is_some() {
        plugins.push(plg(envelope, part, leaves)?);
    }
    let known =
        std::mem::take(&mut envelope.plugins).into_iter().filter(|(name, _)| is_plugin_name(name));
    plugins.extend(known.map(|(plugin, data)| bare_plg(plugin, &data, leaves)));
    Ok(plugins)
}

fn bare_plg<'a>(plugin: &'a str, data: &Data<'a>, leaves: &'a [Leaf<'a>]) -> Plg<'a> {
    Plg {
        plugin,
        data: data.text,
        leaves: &leaves[data.leaves.clone()],
        every: None,
        info: false,
        age_ms: None,
        part: None,
    }
}

fn plg<'a>(
    envelope: &Envelope<'a>,
    part: Option<(u8, u8)>,
    leaves: &'a [Leaf<'a>],
) -> Result<Plg<'a>, Reject> {
    let Scalar::Text(plugin) = envelope.field(Field::Plugin) else { return Err(Reject::BadField) };
    let Some(data) = &envelope.data else { return Err(Reject::BadField) };
    if !is_plugin_name(plugin) {
        return Err(Reject::BadField);
    }
    let info = match envelope.field(Field::Info) {
        Scalar::Absent | Scalar::Null | Scalar::Bool(false) | Scalar::Uint(0) => false,
        Scalar::Bool(true) | Scalar::Uint(1) => true,
        _ => return Err(Reject::BadField),
    };
    Ok(Plg {
        every: whole(envelope.field(Field::Every), 1.0, INTERVAL_S_MAX)?.map(|s| s as u32),
        info,
        age_ms: within(envelope.field(Field::Age), 0.0, AGE_MS_MAX)?.map(|ms| ms as u32),
        part,
        ..bare_plg(plugin, data, leaves)
    })
}

fn msg<'a>(envelope: &Envelope<'a>) -> Result<Msg<'a>, Reject> {
    let kind = match envelope.field(Field::Kind) {
        Scalar::Absent | Scalar::Null | Scalar::Text("text") => Kind::Text,
        Scalar::Text("boot") => Kind::Boot,
        Scalar::Text("shutdown") => Kind::Shutdown,
        Scalar::Text("maintenance") => return Err(Reject::SealedOnly),
        _ => return Err(Reject::BadField),
    };
    let text = match envelope.field(Field::Text) {
        Scalar::Text(text) => cut(text, limits::TEXT_MAX),
        Scalar::Absent | Scalar::Null if kind != Kind::Text => "",
        _ => return Err(Reject::BadField),
    };
    let mid = match envelope.field(Field::Mid) {
        Scalar::Absent | Scalar::Null => None,
        field => Some(u53(field).ok_or(Reject::BadField)?),
    };
    Ok(Msg { kind, text, mid })
}

/// `seq` is never a reason to drop (PROTOCOL C1), unless it is a number that no sequence can have.
fn seq(field: Scalar<'_>) -> Result<Option<u64>, Reject> {
    match field {
        Scalar::Uint(_) | Scalar::Float(_) => u53(field).map(Some).ok_or(Reject::BadField),
        _ => Ok(None),
    }
}

/// `[i, n]` with `1 <= i <= n <= 64`.
fn part(text: Option<&str>) -> Result<Option<(u8, u8)>, Reject> {
    let Some(text) = text else { return Ok(None) };
    // Floats, because `1.0` is an integer too.
    let (i, n) = serde_json::from_str::<(f64, f64)>(text).map_err(|_| Reject::BadField)?;
    let whole = i.fract() == 0.0 && n.fract() == 0.0;
    if whole && 1.0 <= i && i <= n && n <= PART_MAX {
        return Ok(Some((i as u8, n as u8)));
    }
    Err(Reject::BadField)
}

pub(super) fn u53(field: Scalar<'_>) -> Option<u64> {
    match field {
        Scalar::Uint(n) if n <= U53_MAX => Some(n),
        Scalar::Float(x) if x.fract() == 0.0 && (0.0..=U53_MAX as f64).contains(&x) => {
            Some(x as u64)
        }
        _ => None,
    }
}

/// A number, or a text that is one; `None` where there is no value.
fn number(field: Scalar<'_>) -> Result<Option<f64>, Reject> {
    match field {
        Scalar::Absent | Scalar::Null => Ok(None),
        Scalar::Uint(n) => Ok(Some(n as f64)),
        Scalar::Float(x) => Ok(Some(x)),
        Scalar::Text(text) => match text.trim().parse::<f64>() {
            Ok(x) if x.is_finite() => Ok(Some(x)),
            _ => Err(Reject::BadField),
        },
        Scalar::Bool(_) | Scalar::Nested => Err(Reject::BadField),
    }
}

pub(super) fn within(field: Scalar<'_>, min: f64, max: f64) -> Result<Option<f64>, Reject> {
    match number(field)? {
        Some(x) if !(min..=max).contains(&x) => Err(Reject::BadField),
        x => Ok(x),
    }
}

/// An integer in any of its spellings: `30`, `30.0`, `"30"`.
pub(super) fn whole(field: Scalar<'_>, min: f64, max: f64) -> Result<Option<u64>, Reject> {
    match within(field, min, max)? {
        Some(x) if x.fract() != 0.0 => Err(Reject::BadField),
        x => Ok(x.map(|x| x as u64)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::LeafValue;
    use super::*;
    use miniz_oxide::deflate::compress_to_vec_zlib;
    use proptest::prelude::*;

    fn check(json: &str, want: Result<&str, Reject>) {
        let mut decoder = Decoder::new();
        let got = decoder.decode(json.as_bytes()).map(|datagram| format!("{datagram:?}"));
        match (got, want) {
            (Ok(got), Ok(want)) => assert!(got.contains(want), "{json}\n{got}"),
            (got, want) => assert_eq!(got, want.map(str::to_owned), "{json}"),
        }
    }

    fn htb(fields: &str) -> String {
        format!(r#"{{"ID":"HTB","name":"web1"{fields}}}"#)
    }

    fn plg(fields: &str) -> String {
        format!(r#"{{"ID":"PLG","name":"web1"{fields}}}"#)
    }

    #[test]
    fn c0_first_bytes_decide_the_class() {
        let mut decoder = Decoder::new();
        let table: [(&[u8], Reject); 12] = [
            (b"", Reject::Empty),
            (b"\xf1\x48\x01", Reject::Sealed),
            (b"\xf1", Reject::BadMagic),
            (b"\xf1\x49", Reject::BadMagic),
            (b"[]", Reject::BadMagic),
            (b"HTB web1", Reject::BadMagic),
            (b"\xef\xbb\xbf{}", Reject::BadMagic),
            (b"x\x02", Reject::BadMagic),
            (b"x", Reject::BadMagic),
            (b"x\x9c", Reject::BadZlib),
            (b"{\"a\":\"\xff\"}", Reject::BadUtf8),
            (b"\t{}", Reject::MissingId),
        ];
        for (bytes, want) in table {
            assert_eq!(decoder.decode(bytes).map(|_| ()), Err(want), "{bytes:?}");
        }
        let long = vec![b' '; limits::UDP_IN_MAX + 1];
        assert_eq!(decoder.decode(&long).map(|_| ()), Err(Reject::TooLong));
        assert_eq!(decoder.decode(&long[1..]).map(|_| ()), Err(Reject::BadJson));
    }

    #[test]
    fn c0_zlib_of_every_level_decodes_as_its_text() {
        let (mut plain, mut packed) = (Decoder::new(), Decoder::new());
        let json = htb(r#","interval":30"#);
        for level in 0..=10 {
            let bytes = compress_to_vec_zlib(json.as_bytes(), level);
            assert_eq!(packed.decode(&bytes), plain.decode(json.as_bytes()), "{level}");
        }
        let twice = compress_to_vec_zlib(&compress_to_vec_zlib(json.as_bytes(), 6), 6);
        assert!(matches!(packed.decode(&twice), Err(Reject::BadUtf8 | Reject::BadJson)));
    }

    #[test]
    fn c1_heartbeat_fields() {
        let bad = Err(Reject::BadField);
        let table = [
            (r#","interval":30"#, Ok("interval: Some(30.0)")),
            (r#","interval":"30""#, Ok("interval: Some(30.0)")),
            (r#","interval":0.9"#, bad),
            (r#","interval":1"#, Ok("interval: Some(1.0)")),
            (r#","interval":86400.0"#, Ok("interval: Some(86400.0)")),
            (r#","interval":86400.5"#, bad),
            (r#","interval":"soon""#, bad),
            (r#","interval":"inf""#, bad),
            (r#","interval":true"#, bad),
            (r#","interval":[30]"#, bad),
            (r#","interval":null"#, Ok("interval: None")),
            (r#","interval":NaN"#, Ok("interval: None")),
            (r#","rtt":0.25"#, Ok("rtt: Some(0.25)")),
            (r#","rtt":-3"#, Ok("rtt: Some(0.0)")),
            (r#","rtt":1e9"#, Ok("rtt: Some(600000.0)")),
            (r#","rtt":Infinity"#, Ok("rtt: None")),
            (r#","rtt":{"ipv4":1}"#, Ok("rtt: None")),
            (r#","rtt":1e400"#, Err(Reject::BadJson)),
            (r#","extra":1e400"#, Err(Reject::BadJson)),
            (r#","try":9"#, Ok("attempt: 9")),
            (r#","try":"2""#, Ok("attempt: 2")),
            (r#","try":10"#, bad),
            (r#","try":1.5"#, bad),
            (r#","up":1099511627776"#, Ok("up: Some(1099511627776)")),
            (r#","up":1099511627777"#, bad),
            (r#","up":-1"#, bad),
            (r#","up":77.9"#, Ok("up: Some(77)")),
            (r#","v":"1.2""#, Ok(r#"version: Some("1.2")"#)),
            (r#","v":3"#, Ok("version: None")),
            (r#","seq":9007199254740991"#, Ok("seq: Some(9007199254740991)")),
            (r#","seq":7.0"#, Ok("seq: Some(7)")),
            (r#","seq":9007199254740992"#, bad),
            (r#","seq":-1"#, bad),
            (r#","seq":"a""#, Ok("seq: None")),
            (r#","time":1711234567.123"#, Ok(r#"time: Some("1711234567.123")"#)),
            (r#","time":"12:00""#, Ok(r#"time: Some("\"12:00\"")"#)),
            (r#","time":[1]"#, Ok("time: None")),
            (r#","time":1e400"#, Err(Reject::BadJson)),
            (r#","unknown":{"a":[1,{}]}"#, Ok("plugins: []")),
            (r#","interval":30} "#, Err(Reject::BadJson)),
            (r#","interval":030"#, Err(Reject::BadJson)),
            (r#","interval":1,"interval":1"#, Err(Reject::DuplicateKey)),
            (r#","other":1,"other":1"#, Err(Reject::DuplicateKey)),
            (r#","\u0049D":"HTB""#, Err(Reject::DuplicateKey)),
        ];
        for (fields, want) in table {
            check(&htb(fields), want);
        }
    }

    #[test]
    fn c1_ids_and_names() {
        let table = [
            (r#"{"name":"a"}"#, Err(Reject::MissingId)),
            (r#"{"ID":null,"name":"a"}"#, Err(Reject::MissingId)),
            (r#"{"ID":"htb","name":"a"}"#, Err(Reject::UnknownId)),
            (r#"{"ID":1,"name":"a"}"#, Err(Reject::UnknownId)),
            (r#"{"ID":"ACK","name":"a"}"#, Err(Reject::NotForServer)),
            (r#"{"ID":"CMD","name":"a"}"#, Err(Reject::NotForServer)),
            (r#"{"ID":"UPD","name":"a"}"#, Err(Reject::NotForServer)),
            (r#"{"ID":"RES","name":"a","cid":1}"#, Err(Reject::SealedOnly)),
            (r#"{"ID":"MSG","name":"a","kind":"maintenance"}"#, Err(Reject::SealedOnly)),
            (r#"{"ID":"HTB"}"#, Err(Reject::MissingName)),
            (r#"{"ID":"HTB","name":null}"#, Err(Reject::MissingName)),
            (r#"{"ID":"HTB","name":""}"#, Err(Reject::BadName)),
            (r#"{"ID":"HTB","name":5}"#, Err(Reject::BadName)),
            (r#"{"ID":"HTB","name":"a/b"}"#, Err(Reject::BadName)),
            (r#"{"ID":"HTB","name":"a\nb"}"#, Err(Reject::BadName)),
            (r#"{"ID":"HTB","name":"Web-1.Example"}"#, Ok(r#"name: "web-1.example""#)),
            (r#"{"ID":"HTB","name":"\u0057eb"}"#, Ok(r#"name: "web""#)),
        ];
        for (json, want) in table {
            check(json, want);
        }
    }

    #[test]
    fn c1_plugin_fields() {
        let bad = Err(Reject::BadField);
        let table = [
            (r#","plugin":"p","data":{"a":1}"#, Ok(r#"Leaf { path: "a", value: Number(1.0) }"#)),
            (r#","plugin":"p","data":{}"#, Ok("leaves: []")),
            (r#","plugin":"p","data":[1]"#, bad),
            (r#","plugin":"p","data":null"#, bad),
            (r#","plugin":"p""#, bad),
            (r#","data":{}"#, bad),
            (r#","plugin":"P","data":{}"#, bad),
            (r#","plugin":"p","data":{},"every":300"#, Ok("every: Some(300)")),
            (r#","plugin":"p","data":{},"every":300.0"#, Ok("every: Some(300)")),
            (r#","plugin":"p","data":{},"every":0"#, bad),
            (r#","plugin":"p","data":{},"every":86401"#, bad),
            (r#","plugin":"p","data":{},"info":true"#, Ok("info: true")),
            (r#","plugin":"p","data":{},"info":"yes""#, bad),
            (r#","plugin":"p","data":{},"age":86400000"#, Ok("age_ms: Some(86400000)")),
            (r#","plugin":"p","data":{},"age":86400001"#, bad),
            (r#","plugin":"p","data":{},"part":[1,2]"#, Ok("part: Some((1, 2))")),
            (r#","plugin":"p","data":{},"part": [ 64 , 64 ]"#, Ok("part: Some((64, 64))")),
            (r#","plugin":"p","data":{},"part":null"#, Ok("part: None")),
            (r#","plugin":"p","data":{},"part":[2,1]"#, bad),
            (r#","plugin":"p","data":{},"part":[0,1]"#, bad),
            (r#","plugin":"p","data":{},"part":[1,65]"#, bad),
            (r#","plugin":"p","data":{},"part":[1,2,3]"#, bad),
            (r#","plugin":"p","data":{},"part":[1]"#, bad),
            (r#","plugin":"p","data":{},"part":"1,2""#, bad),
        ];
        for (fields, want) in table {
            check(&plg(fields), want);
        }
    }

    #[test]
    fn c1_messages() {
        let msg = |fields: &str| format!(r#"{{"ID":"MSG","name":"web1"{fields}}}"#);
        let bad = Err(Reject::BadField);
        let table = [
            (r#","kind":"boot""#, Ok(r#"kind: Boot, text: """#)),
            (r#","kind":"shutdown","text":"bye""#, Ok(r#"kind: Shutdown, text: "bye""#)),
            (r#","text":"a\tb","mid":5"#, Ok(r#"kind: Text, text: "a\tb", mid: Some(5)"#)),
            (r#","kind":"text""#, bad),
            (r#","kind":"text","text":5"#, bad),
            (r#","kind":"party","text":"x""#, bad),
            (r#","text":"x","mid":9007199254740992"#, bad),
            (r#","text":"x","mid":"5""#, bad),
        ];
        for (fields, want) in table {
            check(&msg(fields), want);
        }
        let long = msg(&format!(r#","text":"{}""#, "é".repeat(600)));
        let mut decoder = Decoder::new();
        let Ok(Datagram { message: Message::Msg(msg), .. }) = decoder.decode(long.as_bytes())
        else {
            panic!("refused")
        };
        assert_eq!(msg.text, "é".repeat(512));
    }

    #[test]
    fn c1_plugin_data_inside_a_heartbeat_is_taken() {
        let json =
            htb(r#","plugins":{"cpu":{"x":1},"bad-name":{"x":2},"list":[3],"mem":{"y":{"z":4}}},
            "plugin":"disk","data":{"w":0}"#);
        let mut decoder = Decoder::new();
        let Ok(Datagram { message: Message::Htb(htb), .. }) = decoder.decode(json.as_bytes())
        else {
            panic!("refused")
        };
        let told: Vec<_> = htb
            .plugins
            .iter()
            .map(|plg| (plg.plugin, plg.data, plg.leaves.first().map(|leaf| leaf.path)))
            .collect();
        let want = [
            ("disk", r#"{"w":0}"#, Some("w")),
            ("cpu", r#"{"x":1}"#, Some("x")),
            ("mem", r#"{"y":{"z":4}}"#, Some("y.z")),
        ];
        assert_eq!(told, want);
        check(&self::htb(r#","plugins":["cpu_monitor"]"#), Ok("plugins: []"));
        let many: Vec<_> = (0..65).map(|i| format!(r#""p{i}":{{}}"#)).collect();
        check(&self::htb(&format!(r#","plugins":{{{}}}"#, many.join(","))), Err(Reject::BadField));
        check(&self::htb(&format!(r#","plugins":{{{}}}"#, many[1..].join(","))), Ok("p64"));
    }

    #[test]
    fn c1_leaves_keep_order_paths_and_types() {
        let json = plg(r#","plugin":"p","data":{"partitions":{"/":{"percent":81.5,"ro":false}},
            "l":[1,[2,"x\ty"]],"n":NaN,"e":{},"":null,"u\u00e9":"z"}"#);
        let mut decoder = Decoder::new();
        let Ok(Datagram { message: Message::Plg(plg), .. }) = decoder.decode(json.as_bytes())
        else {
            panic!("refused")
        };
        let want = [
            ("partitions./.percent", LeafValue::Number(81.5)),
            ("partitions./.ro", LeafValue::Bool(false)),
            ("l.0", LeafValue::Number(1.0)),
            ("l.1.0", LeafValue::Number(2.0)),
            ("l.1.1", LeafValue::Text("x\ty")),
            ("n", LeafValue::Null),
            ("", LeafValue::Null),
            ("ué", LeafValue::Text("z")),
        ];
        let want: Vec<_> = want.map(|(path, value)| Leaf { path, value }).into();
        assert_eq!(plg.leaves, want);
        assert!(plg.data.contains(r#""n":null"#));
    }

    #[test]
    fn u6_limits_hold_at_and_above() {
        let plg = |data: &str| plg(&format!(r#","plugin":"p","data":{data}"#));
        let depth = |n: usize| format!("{}1{}", r#"{"a":"#.repeat(n), "}".repeat(n));
        check(&plg(&depth(limits::JSON_DEPTH - 1)), Ok("Number(1.0)"));
        check(&plg(&depth(limits::JSON_DEPTH)), Err(Reject::TooDeep));
        check(&htb(&format!(r#","x":{}"#, depth(limits::JSON_DEPTH))), Err(Reject::TooDeep));
        check(&htb(&format!(r#","x":{}"#, depth(10_000))), Err(Reject::TooDeep));

        let key = |n: usize| plg(&format!(r#"{{"{}":1}}"#, "k".repeat(n)));
        check(&key(limits::KEY_MAX), Ok("Number(1.0)"));
        check(&key(limits::KEY_MAX + 1), Err(Reject::KeyTooLong));

        let list = |n: usize| plg(&format!(r#"{{"l":[{}1]}}"#, "1,".repeat(n - 1)));
        check(&list(limits::LEAVES_PER_MSG), Ok("l.4095"));
        check(&list(limits::LEAVES_PER_MSG + 1), Err(Reject::TooManyLeaves));

        // The message, its keys and values, and the list itself are 6 nodes.
        let nodes = |n: usize| htb(&format!(r#","x":[{}1]"#, "1,".repeat(n - 1)));
        check(&nodes(limits::JSON_NODES - 7), Ok("Htb"));
        check(&nodes(limits::JSON_NODES - 6), Err(Reject::TooManyNodes));

        let tops = |n: usize| {
            let keys: Vec<_> = (0..n).map(|i| format!(r#","k{i}":0"#)).collect();
            htb(&keys.concat())
        };
        check(&tops(254), Ok("Htb"));
        check(&tops(255), Err(Reject::TooManyNodes));
    }

    #[test]
    fn u6_paths_that_expand_beyond_the_scratch_are_refused() {
        let prefix = format!(r#"{{"{}":"#, "k".repeat(limits::KEY_MAX));
        let data = format!(
            "{}[{}1]{}",
            prefix.repeat(12),
            "1,".repeat(limits::LEAVES_PER_MSG - 1),
            "}".repeat(12)
        );
        check(&plg(&format!(r#","plugin":"p","data":{data}"#)), Err(Reject::TooManyLeaves));
    }

    #[test]
    fn whole_message_is_handed_on_as_it_came_but_strict() {
        let json = "\n{\"ID\":\"HTB\",\n \"name\":\"Web1\",\"rtt\":1.50}";
        let packed = compress_to_vec_zlib(json.as_bytes(), 6);
        let mut decoder = Decoder::new();
        assert_eq!(decoder.decode(json.as_bytes()).map(|d| d.json), Ok(json));
        assert_eq!(decoder.decode(&packed).map(|d| d.json), Ok(json));
        let nan = json.replace("1.50", "NaN");
        let mended = json.replace("1.50", "null");
        assert_eq!(decoder.decode(nan.as_bytes()).map(|d| d.json), Ok(mended.as_str()));
    }

    #[test]
    fn c1_long_strings_are_cut_and_counted() {
        let long = "x".repeat(limits::STR_MAX + 1);
        let data = format!(r#","plugin":"p","data":{{"a":"{long}","b":["é\n{long}"],"c":"y"}}"#);
        let json = plg(&data);
        let mut decoder = Decoder::new();
        let datagram = decoder.decode(json.as_bytes()).unwrap();
        assert_eq!(datagram.strings_cut, 2);
        let Message::Plg(plg) = datagram.message else { panic!("no PLG") };
        let LeafValue::Text(text) = plg.leaves[1].value else { panic!("no text") };
        assert_eq!((text.len(), &text[..3]), (limits::STR_MAX, "é\n"));
        let stored: serde_json::Value = serde_json::from_str(plg.data).unwrap();
        assert_eq!(stored["a"].as_str().map(str::len), Some(limits::STR_MAX));
        assert_eq!(stored["b"][0], text);
    }

    #[test]
    fn decoder_carries_nothing_over() {
        let good = plg(r#","plugin":"p","data":{"A":"\u00e9","n":1},"time":"x""#);
        let nan = plg(r#","plugin":"p","data":{"A":NaN}"#);
        let (mut used, mut fresh) = (Decoder::new(), Decoder::new());
        let want = format!("{:?}", fresh.decode(good.as_bytes()));
        for other in [&good[..], &nan, "{", "x\u{1}", r#"{"ID":"HTB","ID":1}"#, "", &good[..30]] {
            let _ = used.decode(other.as_bytes());
            assert_eq!(format!("{:?}", used.decode(good.as_bytes())), want, "after {other}");
        }
    }

    proptest! {
        #[test]
        fn u14_garbage_is_refused_and_never_panics(
            mut bytes in proptest::collection::vec(any::<u8>(), 1..200),
            first in prop_oneof![Just(b'{'), Just(b'x'), Just(0xf1), any::<u8>()],
        ) {
            bytes[0] = first;
            let mut decoder = Decoder::new();
            prop_assert!(decoder.decode(&bytes).is_err());
        }

        #[test]
        fn u15_rtt_is_within_its_limits_or_none(rtt in any::<f64>()) {
            // As Python writes it.
            let text = match rtt {
                rtt if rtt.is_nan() => "NaN".to_owned(),
                rtt if rtt.is_infinite() => "-Infinity".to_owned(),
                rtt => format!("{rtt:?}"),
            };
            let json = htb(&format!(r#","rtt":{text}"#));
            let mut decoder = Decoder::new();
            let Ok(Datagram { message: Message::Htb(htb), .. }) = decoder.decode(json.as_bytes())
            else {
                return Err(TestCaseError::fail("no HTB"));
            };
            prop_assert_eq!(htb.rtt.is_some(), rtt.is_finite());
            prop_assert!(htb.rtt.is_none_or(|ms| (0.0..=RTT_MS_MAX).contains(&ms)));
        }
    }
}
