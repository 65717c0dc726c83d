//! Percent-encoding and query strings. Owns decoding; never judges what a parameter means.

use std::borrow::Cow;

/// Most pairs that are read of one query or form.
const PAIRS_MAX: usize = 512;

/// The pairs of a query string or of a posted form, decoded.
#[derive(Debug, Default)]
pub struct Query<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Query<'a> {
    /// What cannot be decoded is replaced, not refused: a filter with a broken escape finds
    /// nothing.
    pub fn parse(text: &'a str) -> Query<'a> {
        let pairs = text
            .split('&')
            .filter(|pair| !pair.is_empty())
            .take(PAIRS_MAX)
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                (decode_form(name), decode_form(value))
            })
            .collect();
        Query { pairs }
    }

    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Every value of `name`, as a form sends boxes that are ticked.
    pub fn all<'q>(&'q self, name: &'q str) -> impl Iterator<Item = &'q str> {
        self.pairs.iter().filter(move |(n, v)| n == name && !v.is_empty()).map(|(_, v)| &**v)
    }

    /// The first value of `name`; an empty one counts as not given.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| &**v)
    }

    /// Whether `name` was sent, be it empty.
    pub fn has(&self, name: &str) -> bool {
        self.pairs.iter().any(|(n, _)| n == name)
    }
}

/// One segment of a path; `None` where it is not UTF-8 or an escape is broken.
pub fn decode_segment(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let (bytes, whole) = decode_bytes(text.as_bytes());
    if !whole {
        return None;
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

fn decode_form(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let spaced = text.replace('+', " ");
    Cow::Owned(String::from_utf8_lossy(&decode_bytes(spaced.as_bytes()).0).into_owned())
}

/// The decoded bytes, and whether every escape was whole; a broken one stays as it is.
fn decode_bytes(text: &[u8]) -> (Vec<u8>, bool) {
    let mut out = Vec::with_capacity(text.len());
    let mut whole = true;
    let mut i = 0;
    while i < text.len() {
        let digit = |at: usize| text.get(at).and_then(|b| char::from(*b).to_digit(16));
        match (text[i], digit(i + 1), digit(i + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                i += 3;
            }
            (byte, _, _) => {
                whole &= byte != b'%';
                out.push(byte);
                i += 1;
            }
        }
    }
    (out, whole)
}

/// Encodes everything but unreserved characters, for a path segment or a query value.
pub fn encode(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte as char);
        } else {
            out.push('%');
            out.push(HEX[usize::from(byte >> 4)] as char);
            out.push(HEX[usize::from(byte & 15)] as char);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_decodes_pairs_and_survives_nonsense() {
        let query = Query::parse("q=a+b%20c&tag=&limit=5&limit=6&%&x=%zz%ff&=");
        assert_eq!(query.get("q"), Some("a b c"));
        assert_eq!(query.get("tag"), None);
        assert_eq!(query.get("limit"), Some("5"));
        assert_eq!(query.get("x"), Some("%zz\u{fffd}"));
    }

    #[test]
    fn segment_with_a_broken_escape_is_refused() {
        for (text, want) in
            [("web1", Some("web1")), ("a%2Fb", Some("a/b")), ("%f", None), ("%ff", None)]
        {
            assert_eq!(decode_segment(text).as_deref(), want, "{text}");
        }
    }

    #[test]
    fn encoded_text_decodes_to_itself() {
        let text = "a b/&?=%ü+\u{202e}";
        assert_eq!(decode_segment(&encode(text)).as_deref(), Some(text));
    }
}
