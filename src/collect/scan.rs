//! Words and numbers in the kernel's text files. Bytes, not `str`: nothing promises UTF-8 there.

/// The lines without their ends; a last line without an end counts.
pub fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|&b| b == b'\n')
}

/// The words of a line, separated by blanks.
pub fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|b| b.is_ascii_whitespace()).filter(|word| !word.is_empty())
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
    let (negative, word) = match word {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, word),
    };
    let point = word.iter().position(|&b| b == b'.').unwrap_or(word.len());
    let mut value = number(&word[..point])? as f64;
    let decimals = word.get(point + 1..).unwrap_or_default();
    if !decimals.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let decimals = &decimals[..decimals.len().min(9)];
    if let Some(part) = number(decimals) {
        value += part as f64 / 10f64.powi(decimals.len() as i32);
    }
    Some(if negative { -value } else { value })
}

/// `(key, value)` of a line `key : value`, blanks around both removed.
pub fn pair(line: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = line.iter().position(|&b| b == separator)?;
    Some((line[..at].trim_ascii(), line[at + 1..].trim_ascii()))
}

/// Text for people from bytes of the kernel: what is not UTF-8 becomes U+FFFD, ends at a NUL.
pub fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes[..end].trim_ascii()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
        assert_eq!(decimal(b".5"), None);
        assert_eq!(decimal(b"-"), None);
        assert_eq!(decimal(b"inf"), None);
        assert_eq!(decimal(b"nan"), None);
    }

    #[test]
    fn pair_and_text_lose_the_blanks() {
        assert_eq!(pair(b"model name\t: A  B ", b':'), Some((&b"model name"[..], &b"A  B"[..])));
        assert_eq!(pair(b"no separator", b':'), None);
        assert_eq!(text(b" Pi 4\0\n"), "Pi 4");
        assert_eq!(text(b"\xff\xfe"), "\u{fffd}\u{fffd}");
    }

    proptest! {
        #[test]
        fn decimal_agrees_with_the_standard_library(value in 0f64..1e9) {
            let text = format!("{value:.4}");
            let read = decimal(text.as_bytes()).expect("a number");
            let want: f64 = text.parse().expect("a number");
            prop_assert!((read - want).abs() < 1e-6);
        }

        #[test]
        fn words_never_hold_blanks(line in any::<Vec<u8>>()) {
            for word in words(&line) {
                prop_assert!(!word.is_empty() && !word.iter().any(u8::is_ascii_whitespace));
            }
        }
    }
}
