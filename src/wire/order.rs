//! What a server says sealed: acknowledgements, commands, updates (PROTOCOL C1); written by the
//! server, opened by agents.
//!
//! [`Sealed`] is the proof that an agent needs before it listens to any of it: no other module can
//! make one, and this one makes it of a datagram alone whose tag was right under the agent's key.

use super::Reject;
use super::encode::{integer, open, push_string, text};
use super::seal::{Header, SessionKey};
use crate::limits;
use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;
use serde::Deserialize;
use std::borrow::Cow;
use std::io::{Cursor, Write};

/// The longest update file.
pub const UPDATE_MAX: u64 = 67_108_864;
const INFLATE_MAX: usize = 16 << 10;
const U53_MAX: u64 = (1 << 53) - 1;
const TTL_S_MAX: u32 = 3600;
const COMMAND_NAME_MAX: usize = 32;

/// Something that was opened with a key.
///
/// An agent without a key has no way to one, and so none to a command:
///
/// ```compile_fail
/// use heartbeat::wire::{Order, Sealed};
/// fn forged(order: Order) -> Sealed<Order> {
///     Sealed(order)
/// }
/// ```
#[derive(Debug, PartialEq)]
pub struct Sealed<T>(T);

impl<T> Sealed<T> {
    pub fn into_inner(self) -> T {
        self.0
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    Ack(Answered),
    Cmd(Cmd),
    Upd(Upd),
}

/// A sealed ACK.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answered {
    pub ack: u64,
    /// The command whose acceptance is on the server's disk.
    pub acc: Option<u64>,
    pub want_info: bool,
}

/// Run one of the agent's own commands.
#[derive(Clone, Debug, PartialEq)]
pub struct Cmd {
    pub cid: u64,
    /// A name in the agent's list.
    pub name: String,
    pub args: Vec<String>,
    /// Seconds in which it must be started.
    pub ttl: u32,
}

/// Fetch and install another version of the agent.
#[derive(Clone, Debug, PartialEq)]
pub struct Upd {
    pub cid: u64,
    pub version: String,
    /// 64 hexadecimal digits, lower case.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
}

/// `[a-z0-9_-]{1,32}`
pub fn is_command_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b);
    (1..=COMMAND_NAME_MAX).contains(&name.len()) && name.bytes().all(allowed)
}

fn is_argument(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._:/=@-".contains(&b);
    text.len() <= limits::CMD_ARG_MAX && text.bytes().all(allowed)
}

impl Answered {
    /// Writes the message to the front of `out`; its length, 0 where it does not fit. `acc` is
    /// never left out for want of room: what waits for it would wait in vain.
    pub fn encode(&self, out: &mut [u8]) -> usize {
        let mut out = Cursor::new(out);
        let mut write = || {
            write!(out, r#"{{"ID":"ACK","ack":{}"#, self.ack)?;
            if let Some(acc) = self.acc {
                write!(out, r#","acc":{acc}"#)?;
            }
            if self.want_info {
                write!(out, r#","want":"info""#)?;
            }
            out.write_all(b"}")
        };
        match write() {
            Ok(()) => out.position() as usize,
            Err(_) => 0,
        }
    }
}

impl Cmd {
    /// What the wire can carry; the error is a clause.
    pub fn check(&self) -> Result<(), &'static str> {
        if !is_command_name(&self.name) {
            return Err("the name has 1 to 32 characters of a-z, 0-9, '_' and '-'");
        }
        if self.args.len() > limits::CMD_ARGS {
            return Err("there are more than 8 arguments");
        }
        if !self.args.iter().all(|text| is_argument(text)) {
            return Err("an argument has at most 128 characters of A-Z, a-z, 0-9 and ._:/=@-");
        }
        if !(1..=TTL_S_MAX).contains(&self.ttl) {
            return Err("ttl is from 1 to 3600 seconds");
        }
        if !(1..=U53_MAX).contains(&self.cid) {
            return Err("the number is out of range");
        }
        Ok(())
    }

    /// Replaces `out` by the message as compact JSON.
    pub fn encode(&self, out: &mut String) {
        open(out, "CMD", "", None);
        integer(out, "cid", Some(self.cid));
        text(out, "cmd", &self.name);
        if !self.args.is_empty() {
            out.push_str(",\"args\":[");
            for (place, argument) in self.args.iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                push_string(out, argument);
            }
            out.push(']');
        }
        integer(out, "ttl", Some(u64::from(self.ttl)));
        out.push('}');
    }
}

impl Upd {
    fn check(&self) -> bool {
        (1..=U53_MAX).contains(&self.cid)
            && (1..=limits::VERSION_MAX).contains(&self.version.len())
            && self.sha256.len() == 64
            && self.sha256.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
            && self.size <= UPDATE_MAX
    }

    /// Replaces `out` by the message as compact JSON.
    pub fn encode(&self, out: &mut String) {
        open(out, "UPD", "", None);
        integer(out, "cid", Some(self.cid));
        text(out, "ver", &self.version);
        text(out, "sha256", &self.sha256);
        integer(out, "size", Some(self.size));
        out.push('}');
    }
}

/// Opens what a server sent and reads it; `plain` is scratch. Whether it is new, and for this
/// session, its header says.
pub fn open_order(
    session: &SessionKey,
    header: &Header,
    datagram: &[u8],
    plain: &mut Vec<u8>,
) -> Result<Sealed<Order>, Reject> {
    session.open(datagram, plain)?;
    let inflated;
    let json = if header.deflated {
        inflated =
            decompress_to_vec_zlib_with_limit(plain, INFLATE_MAX).map_err(|_| Reject::BadZlib)?;
        &inflated[..]
    } else {
        &plain[..]
    };
    let json = std::str::from_utf8(json).map_err(|_| Reject::BadUtf8)?;
    let fields: Fields<'_> = serde_json::from_str(json).map_err(|_| Reject::BadJson)?;
    fields.order().map(Sealed)
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(rename = "ID", borrow)]
    id: Cow<'a, str>,
    ack: Option<u64>,
    acc: Option<u64>,
    #[serde(borrow)]
    want: Option<Cow<'a, str>>,
    cid: Option<u64>,
    cmd: Option<String>,
    args: Option<Vec<String>>,
    ttl: Option<u32>,
    ver: Option<String>,
    sha256: Option<String>,
    size: Option<u64>,
}

impl Fields<'_> {
    fn order(self) -> Result<Order, Reject> {
        let bad = Reject::BadField;
        match &*self.id {
            "ACK" => Ok(Order::Ack(Answered {
                ack: self.ack.ok_or(bad)?,
                acc: self.acc,
                want_info: self.want.as_deref() == Some("info"),
            })),
            "CMD" => {
                let cmd = Cmd {
                    cid: self.cid.ok_or(bad)?,
                    name: self.cmd.ok_or(bad)?,
                    args: self.args.unwrap_or_default(),
                    ttl: self.ttl.ok_or(bad)?,
                };
                cmd.check().map_err(|_| bad)?;
                Ok(Order::Cmd(cmd))
            }
            "UPD" => {
                let upd = Upd {
                    cid: self.cid.ok_or(bad)?,
                    version: self.ver.ok_or(bad)?,
                    sha256: self.sha256.ok_or(bad)?,
                    size: self.size.ok_or(bad)?,
                };
                if upd.check() { Ok(Order::Upd(upd)) } else { Err(bad) }
            }
            _ => Err(Reject::UnknownId),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Key, KeyId, SealKind, seal};
    use super::*;

    fn opened(json: &str) -> Result<Order, Reject> {
        let key = Key::new(KeyId([1; 8]), [2; 32]);
        let kind = SealKind::Answer;
        let header = Header { key_id: key.id(), sid: 1, aid: 2, kind, seq: 3, deflated: false };
        let (mut bytes, mut plain) = (Vec::new(), Vec::new());
        let own = SessionKey::derive(&key, 1, 2);
        own.seal(header, json.as_bytes(), &mut bytes);
        let other = SessionKey::derive(&Key::new(KeyId([1; 8]), [3; 32]), 1, 2);
        assert_eq!(open_order(&other, &header, &bytes, &mut plain), Err(Reject::BadSeal));
        open_order(&own, &header, &bytes, &mut plain).map(Sealed::into_inner)
    }

    fn cmd(args: &[&str]) -> Cmd {
        let args = args.iter().map(|a| (*a).to_owned()).collect();
        Cmd { cid: U53_MAX, name: "restart-web_1".to_owned(), args, ttl: 3600 }
    }

    #[test]
    fn c1_longest_ack_fits_the_shortest_padded_request() {
        let longest = Answered { ack: U53_MAX, acc: Some(U53_MAX), want_info: false };
        let mut out = [0; 120];
        let len = longest.encode(&mut out);
        assert_eq!(len, 58);
        assert!(len <= seal::PADDED);
        assert_eq!(longest.encode(&mut out[..57]), 0);
        let text = std::str::from_utf8(&out[..len]).unwrap();
        assert_eq!(opened(text), Ok(Order::Ack(longest)));
    }

    #[test]
    fn c1_commands_and_updates_read_back() {
        let mut out = String::new();
        for args in [&[][..], &["a=b", "/x/y:z", ""], &["x"; 8]] {
            let cmd = cmd(args);
            cmd.encode(&mut out);
            assert_eq!(opened(&out), Ok(Order::Cmd(cmd)), "{out}");
        }
        let sha256 = "0123456789abcdef".repeat(4);
        let upd = Upd { cid: 7, version: "1.2.3".to_owned(), sha256, size: UPDATE_MAX };
        upd.encode(&mut out);
        assert_eq!(opened(&out), Ok(Order::Upd(upd)));
    }

    #[test]
    fn c1_command_that_fills_every_limit_fits_a_datagram() {
        let longest = "x".repeat(limits::CMD_ARG_MAX);
        let mut out = String::new();
        let name = "n".repeat(COMMAND_NAME_MAX);
        Cmd { name, ..cmd(&[&longest[..]; 8]) }.encode(&mut out);
        assert!(out.len() + seal::OVERHEAD <= limits::SEND_MAX, "{}", out.len());
    }

    #[test]
    fn u9_command_out_of_its_limits_is_refused() {
        let long = "x".repeat(limits::CMD_ARG_MAX + 1);
        let args = ["a b", "$(x)", "a;b", "é", "a\nb", &long];
        for argument in args {
            assert!(cmd(&[argument]).check().is_err(), "{argument:?}");
        }
        assert!(cmd(&["x"; 9]).check().is_err());
        let name = |name: &str| Cmd { name: name.to_owned(), ..cmd(&[]) }.check();
        assert!(name("").is_err() && name("A").is_err() && name("../x").is_err());
        assert!(name(&"n".repeat(33)).is_err());
        let table = [
            r#"{"ID":"CMD","cid":1,"cmd":"a","ttl":0}"#,
            r#"{"ID":"CMD","cid":1,"cmd":"a"}"#,
            r#"{"ID":"CMD","cid":0,"cmd":"a","ttl":5}"#,
            r#"{"ID":"UPD","cid":1,"ver":"1","sha256":"x","size":1}"#,
            r#"{"ID":"ACK"}"#,
        ];
        for json in table {
            assert_eq!(opened(json), Err(Reject::BadField), "{json}");
        }
        assert_eq!(opened(r#"{"ID":"HTB"}"#), Err(Reject::UnknownId));
        assert_eq!(opened("{"), Err(Reject::BadJson));
    }
}
