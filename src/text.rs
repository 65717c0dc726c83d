//! Names, and text on its way to a person or a log: what is allowed in, what is escaped on the way out.

use crate::limits;
use std::borrow::Cow;
use std::fmt::Write as _;

/// Why a host name was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NameError {
    Empty,
    TooLong,
    LabelTooLong,
    BadByte(u8),
    BadStart,
    EmptyLabel,
}

impl std::fmt::Display for NameError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NameError::Empty => f.write_str("is empty"),
            NameError::TooLong => write!(f, "is longer than {} bytes", limits::NAME_MAX),
            NameError::LabelTooLong => {
                write!(f, "has a label longer than {} bytes", limits::LABEL_MAX)
            }
            NameError::BadByte(b) => write!(
                f,
                "contains the byte 0x{b:02x}; letters, digits, '.', '_' and '-' are allowed"
            ),
            NameError::BadStart => f.write_str("does not begin with a letter or digit"),
            NameError::EmptyLabel => f.write_str("contains '..'"),
        }
    }
}

/// Checks a host name: `[A-Za-z0-9][A-Za-z0-9._-]*`, at most 128 bytes, labels at most 63, no `..`
/// (THREATS U8). A byte loop on purpose: nothing to backtrack, nothing to mis-anchor.
pub fn check_name(name: &[u8]) -> Result<(), NameError> {
    let Some(first) = name.first() else { return Err(NameError::Empty) };
    if name.len() > limits::NAME_MAX {
        return Err(NameError::TooLong);
    }
    let mut label = 0;
    for (i, &byte) in name.iter().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => label += 1,
            b'.' if i > 0 && name[i - 1] == b'.' => return Err(NameError::EmptyLabel),
            b'.' if i > 0 => label = 0,
            b'_' | b'-' if i > 0 => label += 1,
            b'.' | b'_' | b'-' => {}
            _ => return Err(NameError::BadByte(byte)),
        }
        if label > limits::LABEL_MAX {
            return Err(NameError::LabelTooLong);
        }
    }
    if first.is_ascii_alphanumeric() { Ok(()) } else { Err(NameError::BadStart) }
}

/// A checked name in its identity form: lower case. Borrows where it already is.
pub fn parse_name(name: &str) -> Result<Cow<'_, str>, NameError> {
    check_name(name.as_bytes())?;
    Ok(if name.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    })
}

/// A plugin's name: `[a-z0-9_]{1,32}` (PROTOCOL C1).
pub fn is_plugin_name(name: &str) -> bool {
    (1..=limits::PLUGIN_NAME_MAX).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// Whether a character can mislead a terminal, a log or a reader: C0, C1, DEL, line separators, bidi controls.
pub fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Shows hostile characters as `\u{..}` (THREATS S3). Borrows where there are none.
pub fn escape_control(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hostile) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_hostile(c) {
            let _ = write!(out, "\\u{{{:x}}}", c as u32);
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// The longest prefix of at most `bytes_max` bytes that ends on a character.
pub fn cut(text: &str, bytes_max: usize) -> &str {
    if text.len() <= bytes_max {
        return text;
    }
    let mut end = bytes_max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_table() {
        let long = "a".repeat(64);
        let longer = format!("{}.", "a".repeat(60)).repeat(3);
        let table = [
            ("web-01", true),
            ("Web.Example_1", true),
            ("9", true),
            ("", false),
            (".a", false),
            ("-a", false),
            ("a..b", false),
            ("a/b", false),
            ("a b", false),
            ("ä", false),
            ("a\n", false),
            ("a.", true),
            (&long, false),
            (&longer, false),
        ];
        for (name, ok) in table {
            assert_eq!(check_name(name.as_bytes()).is_ok(), ok, "{name:?}");
        }
        assert_eq!(parse_name("WEB").as_deref(), Ok("web"));
    }

    #[test]
    fn escaping_leaves_nothing_hostile() {
        assert_eq!(escape_control("a\x1b[31m\u{202e}b\r\n"), "a\\u{1b}[31m\\u{202e}b\\u{d}\\u{a}");
        assert!(matches!(escape_control("plain ünïcode"), Cow::Borrowed(_)));
    }

    #[test]
    fn cut_never_splits_a_character() {
        assert_eq!(cut("aé", 2), "a");
        assert_eq!(cut("aé", 3), "aé");
    }
}
