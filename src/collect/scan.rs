//! Words and numbers in the kernel's text files. Bytes, not `str`: nothing promises UTF-8 there.

pub use crate::text::{decimal, number};

/// The lines without their ends; a last line without an end counts.
pub fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|&b| b == b'\n')
}

/// The words of a line, separated by blanks.
pub fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|b| b.is_ascii_whitespace()).filter(|word| !word.is_empty())
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
    fn pair_and_text_lose_the_blanks() {
        assert_eq!(pair(b"model name\t: A  B ", b':'), Some((&b"model name"[..], &b"A  B"[..])));
        assert_eq!(pair(b"no separator", b':'), None);
        assert_eq!(text(b" Pi 4\0\n"), "Pi 4");
        assert_eq!(text(b"\xff\xfe"), "\u{fffd}\u{fffd}");
    }

    proptest! {
        #[test]
        fn words_never_hold_blanks(line in any::<Vec<u8>>()) {
            for word in words(&line) {
                prop_assert!(!word.is_empty() && !word.iter().any(u8::is_ascii_whitespace));
            }
        }
    }
}
