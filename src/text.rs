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

/// The lines of a file as YAML counts them (YAML 1.2.2, section 5.4): each ends with LF, CR or CR LF.
pub fn lines(source: &str) -> impl Iterator<Item = &str> {
    source.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
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

/// Appends a number with at most `places` decimals (0..=6), without trailing zeros; it has at most 19 digits before
/// the point. By hand: a tenth of the time and of the code that `{:.4}` costs.
pub fn push_number(out: &mut String, value: f64, places: u32) {
    let scale = 10u64.pow(places.min(6));
    let scaled = (value.abs() * scale as f64).round();
    if scaled >= 9e15 {
        let _ = write!(out, "{}", value as i64);
        return;
    }
    let scaled = scaled as u64;
    if value < 0.0 && scaled > 0 {
        out.push('-');
    }
    let (mut part, mut width) = (scaled % scale, places.min(6) as usize);
    let _ = write!(out, "{}", scaled / scale);
    if part > 0 {
        while part % 10 == 0 {
            part /= 10;
            width -= 1;
        }
        let _ = write!(out, ".{part:0width$}");
    }
}

/// A number of seconds, to the thousandth.
pub fn seconds(span: std::time::Duration) -> String {
    let mut out = String::new();
    push_number(&mut out, span.as_secs_f64(), 3);
    out
}

/// An unsigned decimal number; `None` where the word is anything else or over 64 bits.
pub fn number(word: &[u8]) -> Option<u64> {
    if word.is_empty() {
        return None;
    }
    word.iter().try_fold(0u64, |sum, &b| {
        let digit = b.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        sum.checked_mul(10)?.checked_add(digit.into())
    })
}

/// A decimal number without exponent, as the kernel prints load and pressure; at most 9 decimals
/// are kept. By hand: the general parser of the standard library is 15 kB of tables.
pub fn decimal(word: &[u8]) -> Option<f64> {
    const TENS: [u64; 10] =
        [1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000];
    let (negative, word) = match word {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, word),
    };
    let point = word.iter().position(|&b| b == b'.').unwrap_or(word.len());
    let decimals = word.get(point + 1..).unwrap_or_default();
    let whole = match &word[..point] {
        [] if !decimals.is_empty() => 0,
        digits => number(digits)?,
    };
    if !decimals.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let decimals = &decimals[..decimals.len().min(9)];
    let (part, scale) = (number(decimals).unwrap_or(0), TENS[decimals.len()]);
    // One division rounds once: the value is the nearest that there is.
    let exact = whole.checked_mul(scale).and_then(|n| n.checked_add(part));
    let value = match exact.filter(|n| *n < 1 << 53) {
        Some(n) => n as f64 / scale as f64,
        None => whole as f64 + part as f64 / scale as f64,
    };
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_end_with_lf_cr_or_both() {
        let of = |source| lines(source).collect::<Vec<_>>();
        assert_eq!(of("a\nb\r\nc\rd"), ["a", "b", "c", "d"]);
        assert_eq!(of("a\r\r\nb\n\nc"), ["a", "", "b", "", "c"]);
        assert_eq!(of(""), [""]);
    }

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
    fn s3_escaping_leaves_nothing_hostile() {
        assert_eq!(escape_control("a\x1b[31m\u{202e}b\r\n"), "a\\u{1b}[31m\\u{202e}b\\u{d}\\u{a}");
        assert!(matches!(escape_control("plain ünïcode"), Cow::Borrowed(_)));
    }

    #[test]
    fn cut_never_splits_a_character() {
        assert_eq!(cut("aé", 2), "a");
        assert_eq!(cut("aé", 3), "aé");
    }

    #[test]
    fn numbers_are_digits_with_at_most_a_point() {
        let table: [(&[u8], Option<u64>); 8] = [
            (b"0", Some(0)),
            (b"18446744073709551615", Some(u64::MAX)),
            (b"18446744073709551616", None),
            (b"", None),
            (b"-1", None),
            (b"1.5", None),
            (b"1k", None),
            (b"\xff", None),
        ];
        for (word, want) in table {
            assert_eq!(number(word), want, "{word:?}");
        }
        assert_eq!(decimal(b"0.68"), Some(0.68));
        assert_eq!(decimal(b"-12.050"), Some(-12.05));
        assert_eq!(decimal(b"7."), Some(7.0));
        assert_eq!(decimal(b"0.00000000099"), Some(0.0));
        assert_eq!(decimal(b"1e5"), None);
        assert_eq!(decimal(b"1.5x"), None);
        assert_eq!(decimal(b".5"), Some(0.5));
        assert_eq!(decimal(b"."), None);
        assert_eq!(decimal(b"-"), None);
        assert_eq!(decimal(b"inf"), None);
        assert_eq!(decimal(b"nan"), None);
    }

    proptest! {
        #[test]
        fn decimal_agrees_with_the_standard_library(value in 0f64..1e9) {
            let text = format!("{value:.4}");
            let read = decimal(text.as_bytes()).expect("a number");
            let want: f64 = text.parse().expect("a number");
            prop_assert!((read - want).abs() < 1e-6);
        }
    }
}
