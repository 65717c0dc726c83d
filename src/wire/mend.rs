//! The two repairs of JSON text: Python's bare NaN and Infinity become null, and strings over their
//! limit are cut. Both are rare, so both make a new text.

use super::encode::push_string;
use crate::limits;
use crate::text::cut;
use std::borrow::Cow;

const NO_NUMBERS: [&str; 3] = ["NaN", "Infinity", "-Infinity"];

/// Writes `text` to `out` with null for every NaN, Infinity and -Infinity outside of strings.
/// False, and nothing of use in `out`, where there are none.
pub fn null_no_numbers(text: &str, out: &mut String) -> bool {
    out.clear();
    if !text.contains("NaN") && !text.contains("Infinity") {
        return false;
    }
    let mut found = false;
    for piece in Pieces(text) {
        match piece {
            Piece::String(quoted) => out.push_str(quoted),
            Piece::Plain(mut plain) => {
                while let Some((at, word)) = first_no_number(plain) {
                    found = true;
                    out.push_str(&plain[..at]);
                    out.push_str("null");
                    plain = &plain[at + word.len()..];
                }
                out.push_str(plain);
            }
        }
    }
    found
}

fn first_no_number(plain: &str) -> Option<(usize, &'static str)> {
    let at = plain.find(['N', 'I'])?;
    let at = if plain[..at].ends_with('-') { at - 1 } else { at };
    NO_NUMBERS.into_iter().find(|word| plain[at..].starts_with(word)).map(|word| (at, word))
}

/// The same JSON with every string cut to `STR_MAX`; `None` where it was no JSON.
pub(super) fn cut_strings(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    for piece in Pieces(text) {
        match piece {
            // An escape is never shorter than what it stands for.
            Piece::String(quoted) if quoted.len() > limits::STR_MAX + 2 => {
                let whole: Cow<'_, str> = serde_json::from_str::<Text<'_>>(quoted).ok()?.0;
                push_string(&mut out, cut(&whole, limits::STR_MAX));
            }
            Piece::String(same) | Piece::Plain(same) => out.push_str(same),
        }
    }
    Some(out)
}

#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A run of JSON text: a string with its quotes, or what stands between two strings.
enum Piece<'a> {
    String(&'a str),
    Plain(&'a str),
}

struct Pieces<'a>(&'a str);

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let text = self.0;
        if text.is_empty() {
            return None;
        }
        let end = if text.starts_with('"') {
            string_end(text.as_bytes())
        } else {
            text.find('"').unwrap_or(text.len())
        };
        self.0 = &text[end..];
        let piece = &text[..end];
        Some(if text.starts_with('"') { Piece::String(piece) } else { Piece::Plain(piece) })
    }
}

/// Just behind the closing quote of the string that `bytes` begin with, or their end.
pub fn string_end(bytes: &[u8]) -> usize {
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    // A backslash at the very end may have stepped over it; before a multi-byte character it
    // leaves `at` inside, but then a quote or the end follows and both are boundaries.
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, want: Option<&str>) {
        let mut out = String::from("left over");
        let found = null_no_numbers(text, &mut out);
        assert_eq!(found.then_some(out.as_str()), want, "{text}");
    }

    #[test]
    fn no_numbers_become_null_outside_of_strings_only() {
        check(r#"{"a":NaN}"#, Some(r#"{"a":null}"#));
        check("[NaN,-Infinity,Infinity]", Some("[null,null,null]"));
        check(r#"{"NaN":"-Infinity \" NaN"}"#, None);
        check(r#"{"a\\":NaN}"#, Some(r#"{"a\\":null}"#));
        check(r#"{"NaN":1,"#, None);
        check("\"NaN\\", None);
        check("{}", None);
        check("[Nope, NaN]", None);
    }

    #[test]
    fn strings_over_the_limit_are_cut_and_others_untouched() {
        let long = "é".repeat(1500);
        let text = format!(r#"{{"a\u00e9" : "x\n", "b":["{long}", 1.50]}}"#);
        let shorter = cut_strings(&text).unwrap();
        let want = format!(r#"{{"a\u00e9" : "x\n", "b":["{}", 1.50]}}"#, "é".repeat(1024));
        assert_eq!(shorter, want);
    }
}
