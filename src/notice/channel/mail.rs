//! Mail: head, body and the form in which both cross an SMTP connection (RFC 5322, 2045, 2047,
//! 5321).
//!
//! **Invariants.** A mail has the same headers whatever it tells ([`HEADERS`]). It is ASCII, its
//! lines have at most 998 bytes and end in CR LF, and neither of the two stands alone. On the wire
//! it ends once, at its end.

use super::shape;
use super::{Fault, Mail, MailTls, Work, fingerprint};
use crate::text::{cut, escape_control, is_hostile};
use crate::time::Wall;
use base64::Engine as _;
use jiff::{Timestamp, tz::TimeZone};

/// The headers of every mail, in their order.
pub const HEADERS: [&str; 10] = [
    "Date",
    "From",
    "To",
    "Subject",
    "Message-ID",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "Auto-Submitted",
    "X-Heartbeat-Level",
];
/// Without CR LF (RFC 5322, section 2.1.1).
pub const LINE_MAX: usize = 998;
const SUBJECT_MAX: usize = 400;
/// Where a header is folded.
const FOLD_AT: usize = 76;
/// Bytes in one encoded word: with its frame and `Subject: ` it fits a line of 76.
const WORD_BYTES: usize = 36;
/// Of quoted-printable (RFC 2045, section 6.7).
const QUOTED_LINE_MAX: usize = 76;

/// A mailbox of the configuration: `a@example.net` or `Name <a@example.net>`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Address {
    pub name: Option<String>,
    pub mailbox: String,
}

impl Address {
    /// `None` where it is none that could be written into a dialogue as it is.
    pub fn parse(text: &str) -> Option<Address> {
        let text = text.trim();
        if text.chars().any(is_hostile) {
            return None;
        }
        let (name, mailbox) = match text.strip_suffix('>').and_then(|t| t.rsplit_once('<')) {
            Some((name, mailbox)) => (Some(name.trim().trim_matches('"')), mailbox.trim()),
            None => (None, text),
        };
        let (local, domain) = mailbox.rsplit_once('@')?;
        let is_local = |b: u8| b.is_ascii_graphic() && !b"<>()[]:;,\\\"@".contains(&b);
        let is_domain = |b: u8| b.is_ascii_alphanumeric() || b".-_[]:".contains(&b);
        let well = !local.is_empty() && !domain.is_empty() && mailbox.len() <= 254;
        if !well || !local.bytes().all(is_local) || !domain.bytes().all(is_domain) {
            return None;
        }
        let name =
            name.filter(|name| !name.is_empty()).map(|name| escape_control(name).into_owned());
        Some(Address { name, mailbox: mailbox.to_owned() })
    }

    fn render(&self) -> String {
        match &self.name {
            None => self.mailbox.clone(),
            Some(name) if is_plain(name) => {
                let quoted = cut(name, 60).replace('\\', "\\\\").replace('"', "\\\"");
                format!("\"{quoted}\" <{}>", self.mailbox)
            }
            Some(name) => format!("{}\r\n <{}>", encoded_words(cut(name, 120)), self.mailbox),
        }
    }
}

pub(super) fn render(work: &Work<'_>) -> Result<Mail, Fault> {
    let channel = work.channel;
    let from = channel.text("from").unwrap_or_default();
    let from = Address::parse(from).ok_or_else(|| Fault::lasting("from is no mail address"))?;
    let to = Address::parse(&work.destination()?);
    let to = to.ok_or_else(|| Fault::lasting("to is no mail address"))?;
    let login = match channel.text("user") {
        Some(user) => {
            let password = work.secret("password")?.unwrap_or_default();
            Some((user.to_owned(), password))
        }
        None => None,
    };
    let domain = from.mailbox.rsplit('@').next().unwrap_or("localhost");
    let head = Head {
        from: &from,
        to: &to,
        subject: &work.message.subject_line,
        at: work.occasion.now,
        id: &format!("{}@{}", fingerprint(work.message), domain.trim_matches(['[', ']'])),
        level: work.message.level.as_str(),
    };
    Ok(Mail {
        host: channel.text("host").unwrap_or_default().to_owned(),
        port: channel.number("port").and_then(|port| u16::try_from(port).ok()).unwrap_or(587),
        tls: match channel.text("tls") {
            Some("implicit") => MailTls::Implicit,
            Some("none") => MailTls::None,
            _ => MailTls::Starttls,
        },
        login,
        helo: Some(channel.text("helo").unwrap_or(work.occasion.machine).to_owned()),
        ca_file: channel.text("ca_file").map(str::to_owned),
        bytes: build(&head, &shape::whole(work.message)),
        from: from.mailbox,
        to: to.mailbox,
    })
}

/// What a mail says before its text.
pub struct Head<'a> {
    pub from: &'a Address,
    pub to: &'a Address,
    pub subject: &'a str,
    pub at: Wall,
    /// Without its brackets.
    pub id: &'a str,
    pub level: &'a str,
}

/// A whole mail, as it was before the dots are doubled.
pub fn build(head: &Head<'_>, lines: &[String]) -> Vec<u8> {
    let lines: Vec<String> = lines.iter().map(|line| escape_control(line).into_owned()).collect();
    let short = lines.iter().all(|line| line.is_ascii() && line.len() <= LINE_MAX);
    let encoding = if short { "7bit" } else { "quoted-printable" };
    let values = [
        date(head.at),
        head.from.render(),
        head.to.render(),
        subject(head.subject),
        format!("<{}>", head.id),
        "1.0".to_owned(),
        "text/plain; charset=utf-8".to_owned(),
        encoding.to_owned(),
        "auto-generated".to_owned(),
        head.level.to_owned(),
    ];
    let mut out = String::new();
    for (name, value) in HEADERS.iter().zip(values) {
        out.push_str(&format!("{name}: {value}\r\n"));
    }
    out.push_str("\r\n");
    for line in &lines {
        if short {
            out.push_str(line);
        } else {
            quote(line, &mut out);
        }
        out.push_str("\r\n");
    }
    out.into_bytes()
}

/// The mail as it is sent after DATA: every line that begins with a dot gets another, and the one
/// line that is a dot ends it (RFC 5321, section 4.5.2). A CR or LF that stands alone becomes a line
/// end, so that no two servers can disagree about where the mail ends.
pub fn stuff(mail: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(mail.len() + 64);
    let mut at_start = true;
    let mut bytes = mail.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\r' | b'\n' => {
                if byte == b'\r' && bytes.peek() == Some(&b'\n') {
                    bytes.next();
                }
                out.extend_from_slice(b"\r\n");
                at_start = true;
                continue;
            }
            b'.' if at_start => out.extend_from_slice(b".."),
            byte => out.push(byte),
        }
        at_start = false;
    }
    if !at_start {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    out
}

/// `Fri, 27 Nov 2026 16:20:24 +0000`
fn date(at: Wall) -> String {
    let at = Timestamp::from_second(at.as_secs_f64() as i64).unwrap_or_default();
    jiff::fmt::rfc2822::to_string(&at.to_zoned(TimeZone::UTC)).unwrap_or_default()
}

/// ASCII without control characters that cannot be read as an encoded word.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|b| (b' '..=b'~').contains(&b)) && !text.contains("=?")
}

/// One line of text, folded at its spaces, or in encoded words where it is not ASCII.
fn subject(text: &str) -> String {
    let text = escape_control(text);
    let text = cut(&text, SUBJECT_MAX).trim();
    if !is_plain(text) || text.contains("  ") {
        return encoded_words(text);
    }
    let mut out = String::new();
    let mut column = "Subject: ".len();
    for (i, word) in text.split(' ').enumerate() {
        let folds = i > 0 && column + 1 + word.len() > FOLD_AT;
        if i > 0 {
            out.push_str(if folds { "\r\n " } else { " " });
        }
        column = if folds { 1 } else { column + 1 } + word.len();
        out.push_str(word);
    }
    out
}

/// RFC 2047, `B`: whole characters in each word, a word a line.
fn encoded_words(text: &str) -> String {
    let mut words = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let piece = cut(rest, WORD_BYTES);
        let encoded = base64::engine::general_purpose::STANDARD.encode(piece);
        words.push(format!("=?UTF-8?B?{encoded}?="));
        rest = &rest[piece.len()..];
    }
    words.join("\r\n ")
}

/// One line in quoted-printable, with soft breaks.
fn quote(line: &str, out: &mut String) {
    let mut column = 0;
    let bytes = line.as_bytes();
    for (i, byte) in bytes.iter().copied().enumerate() {
        let last = i + 1 == bytes.len();
        let plain = (b'!'..=b'~').contains(&byte) && byte != b'=' || byte == b' ' && !last;
        let piece = if plain { char::from(byte).to_string() } else { format!("={byte:02X}") };
        if column + piece.len() > QUOTED_LINE_MAX - 1 {
            out.push_str("=\r\n");
            column = 0;
        }
        column += piece.len();
        out.push_str(&piece);
    }
}
