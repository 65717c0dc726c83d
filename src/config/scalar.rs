//! Single values of the configuration: durations, sizes, names, addresses, secrets.
//!
//! Each reads one node or says in the user's words what it should be. Never looks at other keys.

use super::node::Value;
use super::problem::{nearest, quoted};
use super::secret::Secret;
use super::section::{At, Fault};
use super::server::Cidr;
use crate::{text as names, time};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Longest text that a key takes unless it says otherwise, in bytes.
pub const TEXT_MAX: usize = 4096;
/// A hundred years, in seconds.
pub const DURATION_MAX: u64 = 3_155_760_000;

/// "… must be `expected`, not …", without the value of a secret.
pub fn wrong(at: &At<'_>, expected: &str) -> Fault {
    let got = match &at.node.value {
        _ if at.secret => at.node.kind_name().to_owned(),
        Value::Text(text) => quoted(text),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => float(*value),
        Value::Bool(value) => value.to_string(),
        _ => at.node.kind_name().to_owned(),
    };
    let what = format!("{} must be {expected}, not {got}", quoted(at.name()));
    Fault { code: "E0103", what, fix: format!("write {expected}") }
}

/// A value of the right type and the wrong form.
fn malformed(at: &At<'_>, expected: &str, fix: &str) -> Fault {
    Fault { code: "E0106", fix: fix.to_owned(), ..wrong(at, expected) }
}

pub fn boolean(at: &At<'_>) -> Result<bool, Fault> {
    match at.node.value {
        Value::Bool(value) => Ok(value),
        _ => Err(wrong(at, "true or false")),
    }
}

pub fn int(at: &At<'_>, min: i64, max: i64) -> Result<i64, Fault> {
    let value = match at.node.value {
        Value::Int(value) => value,
        Value::Float(value) if value.fract() == 0.0 && value.abs() < 1e15 => value as i64,
        _ => return Err(wrong(at, &format!("a whole number from {min} to {max}"))),
    };
    if (min..=max).contains(&value) {
        return Ok(value);
    }
    let range = format!("from {min} to {max}");
    Err(Fault { code: "E0104", ..wrong(at, &format!("a whole number {range}")) })
}

pub fn number(at: &At<'_>, min: f64, max: f64) -> Result<f64, Fault> {
    let value = match at.node.value {
        Value::Int(value) => value as f64,
        Value::Float(value) if value.is_finite() => value,
        _ => return Err(wrong(at, "a number")),
    };
    if (min..=max).contains(&value) {
        return Ok(value);
    }
    let range = match (min > f64::MIN, max < f64::MAX) {
        (true, true) => format!("a number from {min} to {max}"),
        (true, false) => format!("a number of at least {min}"),
        _ => format!("a number of at most {max}"),
    };
    Err(Fault { code: "E0104", ..wrong(at, &range) })
}

/// Seconds as a number, or text with units; `min` and `max` in seconds.
pub fn duration(at: &At<'_>, min: u64, max: u64) -> Result<Duration, Fault> {
    let span = match &at.node.value {
        Value::Int(value) => u64::try_from(*value).ok().map(Duration::from_secs),
        Value::Float(value) => Duration::try_from_secs_f64(*value).ok(),
        Value::Text(text) => time::parse_duration(text),
        _ => None,
    };
    let Some(span) = span else {
        let fix = "write seconds (30), or a number with s, m, h, d or w (30s, 5m, 1h30m)";
        return Err(malformed(at, "a duration such as 30, 5m or 1h30m", fix));
    };
    if span >= Duration::from_secs(min) && span <= Duration::from_secs(max) {
        return Ok(span);
    }
    let show = |secs| time::render_duration(Duration::from_secs(secs));
    let range = match (min, max) {
        (0, max) => format!("a duration of at most {}", show(max)),
        (min, DURATION_MAX) => format!("a duration of at least {}", show(min)),
        _ => format!("a duration from {} to {}", show(min), show(max)),
    };
    Err(Fault { code: "E0104", ..wrong(at, &range) })
}

/// As a number is written in JSON, without an empty fraction; its writer is linked anyway.
fn float(value: f64) -> String {
    let text = serde_json::Number::from_f64(value).map(|number| number.to_string());
    // As YAML writes it; JSON has no way to.
    let other = if value.is_nan() {
        ".nan"
    } else if value > 0.0 {
        ".inf"
    } else {
        "-.inf"
    };
    let text = text.unwrap_or_else(|| other.to_owned());
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// Bytes as a number, or text with a unit: 1 kB is 2^10 bytes, 1 MB 2^20.
pub fn size(at: &At<'_>) -> Result<u64, Fault> {
    let bytes = match &at.node.value {
        Value::Int(value) => u64::try_from(*value).ok(),
        Value::Text(text) => parse_size(text),
        _ => None,
    };
    let fix = "write bytes (1048576), or a number with kB, MB, GB or TB (100MB)";
    bytes.ok_or_else(|| malformed(at, "a size such as 1048576 or 100MB", fix))
}

/// Reads `100MB`, `64kB`, `4 GB`, `1.5G`, `1048576`. `None` where it is none of these.
pub fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
    let shift = match text[digits..].trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return None,
    };
    let unit = (1u64 << shift) as f64;
    let bytes = crate::text::decimal(&text.as_bytes()[..digits])? * unit;
    (bytes < (1u64 << 50) as f64).then_some(bytes as u64)
}

/// Text of 1 to `max` bytes without controls, save line ends and tabs. A whole number that was
/// written as it reads is taken as its text.
pub fn text(at: &At<'_>, max: usize) -> Result<String, Fault> {
    let text = match &at.node.value {
        Value::Text(text) => text.clone(),
        Value::Int(value) => {
            let text = value.to_string();
            let as_written = at.node.span.line == 0 || at.node.span.length as usize == text.len();
            if !as_written {
                return Err(malformed(at, "text", "put it in quotes"));
            }
            text
        }
        Value::Bool(_) | Value::Float(_) => {
            return Err(malformed(at, "text", "put it in quotes"));
        }
        _ => return Err(wrong(at, "text")),
    };
    if text.len() > max {
        let fix = format!("shorten it to {max} bytes");
        return Err(Fault { code: "E0104", fix, ..wrong(at, &format!("at most {max} bytes")) });
    }
    let hostile = |c: char| names::is_hostile(c) && !matches!(c, '\n' | '\t');
    if text.chars().any(hostile) {
        return Err(malformed(at, "text without control characters", "remove them"));
    }
    Ok(text)
}

/// Text that is not empty.
pub fn word(at: &At<'_>, max: usize) -> Result<String, Fault> {
    let text = text(at, max)?;
    if text.trim().is_empty() {
        let what = format!("{} must not be empty", quoted(at.name()));
        let fix = "write a value, or remove the key".to_owned();
        return Err(Fault { code: "E0106", what, fix });
    }
    Ok(text)
}

pub fn path(at: &At<'_>) -> Result<PathBuf, Fault> {
    word(at, TEXT_MAX).map(PathBuf::from)
}

/// A name of a file without its directory.
pub fn file_name(at: &At<'_>) -> Result<String, Fault> {
    let name = word(at, 255)?;
    if name.contains('/') || name == "." || name == ".." {
        return Err(malformed(at, "a file name without a directory", "write the name alone"));
    }
    Ok(name)
}

/// `http://` or `https://`, a host, and no blanks.
pub fn url(at: &At<'_>) -> Result<String, Fault> {
    let text = word(at, 2048)?;
    if is_url(&text) {
        return Ok(text);
    }
    Err(malformed(
        at,
        "an address such as https://hb.example.net",
        "begin with https:// or http://",
    ))
}

/// A link of the row menu: `{host}` and `{address}` stand for themselves, other braces for nothing.
pub fn ssh_url(at: &At<'_>) -> Result<String, Fault> {
    let text = word(at, 512)?;
    let plain = text.replace("{host}", "").replace("{address}", "");
    let fix = "write it as ssh://{address} or ssh://admin@{host}";
    if !SSH_SCHEMES.iter().any(|scheme| text.starts_with(scheme)) {
        return Err(malformed(at, "an address that begins with ssh:// or https://", fix));
    }
    if plain.contains(['{', '}']) || plain.chars().any(char::is_whitespace) {
        return Err(malformed(at, "an address with no field but {host} and {address}", fix));
    }
    Ok(text)
}

/// What a link of `ssh_url` may begin with.
pub const SSH_SCHEMES: [&str; 4] = ["ssh://", "sftp://", "https://", "http://"];

/// `hb@example.net`, or `Heartbeat <hb@example.net>`.
pub fn mail_address(at: &At<'_>) -> Result<String, Fault> {
    let text = word(at, TEXT_MAX)?;
    if is_mail_address(&text) {
        return Ok(text);
    }
    Err(malformed(at, "a mail address", "write it as hb@example.net"))
}

pub fn is_mail_address(text: &str) -> bool {
    let mailbox =
        text.strip_suffix('>').and_then(|t| t.rsplit_once('<')).map(|(_, mailbox)| mailbox);
    let mailbox = mailbox.unwrap_or(text).trim();
    let whole = |part: &str| !part.is_empty() && !part.contains(char::is_whitespace);
    mailbox.rsplit_once('@').is_some_and(|(local, domain)| whole(local) && whole(domain))
}

/// Whether the text can be an HTTP address at all.
pub fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        let host = rest.split(['/', '?', '#']).next().unwrap_or("");
        !host.is_empty() && rest.chars().all(|c| !c.is_whitespace() && !names::is_hostile(c))
    })
}

/// A host name in its identity form, lower case.
pub fn host_name(at: &At<'_>) -> Result<String, Fault> {
    let text = word(at, TEXT_MAX)?;
    match names::parse_name(&text) {
        Ok(name) => Ok(name.into_owned()),
        Err(error) => {
            let what = format!("{} is not a host name: it {error}", quoted(&text));
            let fix = "use letters, digits, '.', '_' and '-', beginning with a letter or digit";
            Err(Fault { code: "E0106", what, fix: fix.to_owned() })
        }
    }
}

pub fn address(at: &At<'_>) -> Result<IpAddr, Fault> {
    let text = word(at, 64)?;
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(&text);
    let fix = "write it in numbers; 0.0.0.0 or :: for all addresses of a family";
    bare.parse().map_err(|_| malformed(at, "an IPv4 or IPv6 address", fix))
}

/// `192.0.2.0/24`, `2001:db8::/32`, or an address alone.
pub fn cidr(at: &At<'_>) -> Result<Cidr, Fault> {
    let text = word(at, 64)?;
    let fix = "write 192.0.2.0/24, 2001:db8::/32 or an address";
    parse_cidr(&text).ok_or_else(|| malformed(at, "an address block", fix))
}

fn parse_cidr(text: &str) -> Option<Cidr> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address.parse::<IpAddr>().ok()?, Some(prefix)),
        None => (text.parse::<IpAddr>().ok()?, None),
    };
    let width = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        Some(prefix) if prefix.bytes().all(|b| b.is_ascii_digit()) => prefix.parse().ok()?,
        Some(_) => return None,
        None => width,
    };
    (prefix <= width).then_some(Cidr { address, prefix })
}

pub fn choice(at: &At<'_>, choices: &'static [&'static str]) -> Result<&'static str, Fault> {
    let list = choices.join(", ");
    let Value::Text(text) = &at.node.value else {
        return Err(wrong(at, &format!("one of {list}")));
    };
    if let Some(found) = choices.iter().find(|choice| *choice == text) {
        return Ok(found);
    }
    let fix = match nearest(text, choices.iter().copied()) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("write one of {list}"),
    };
    Err(Fault { code: "E0114", fix, ..wrong(at, &format!("one of {list}")) })
}

/// Text, `{file: PATH}`, `{env: NAME}` or `{credential: NAME}`.
pub fn secret(at: &At<'_>) -> Result<Secret, Fault> {
    let at = &At { secret: true, ..at.clone() };
    let Value::Map(entries) = &at.node.value else {
        return word(at, TEXT_MAX).map(Secret::Text);
    };
    let fault = || Fault {
        code: "E0115",
        what: format!("{} takes text or one of file, env, credential", quoted(at.name())),
        fix: "write {file: PATH}, {env: NAME} or {credential: NAME}".to_owned(),
    };
    let [(key, node)] = entries.as_slice() else { return Err(fault()) };
    let value = word(&at.child(key, node), TEXT_MAX)?;
    match key.text.as_str() {
        "file" => Ok(Secret::File(PathBuf::from(value))),
        "env" if !value.contains(['=', '\0']) => Ok(Secret::Env(value)),
        "credential" if !value.contains('/') => Ok(Secret::Credential(value)),
        _ => Err(fault()),
    }
}
