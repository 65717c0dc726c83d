//! JSON text under construction: the few shapes that live frames need, written without a tree.

use std::fmt::Write as _;

/// Appends `text` as a JSON string. Beyond what JSON asks for, U+2028 and U+2029 are escaped, so
/// that a frame stays one line for every reader and may stand in a script.
pub(super) fn text(out: &mut String, text: &str) {
    out.push('"');
    let mut plain = 0;
    for (at, c) in text.char_indices() {
        if !matches!(c, '"' | '\\' | '\0'..='\x1f' | '\u{2028}' | '\u{2029}') {
            continue;
        }
        out.push_str(&text[plain..at]);
        plain = at + c.len_utf8();
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            _ => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
        }
    }
    out.push_str(&text[plain..]);
    out.push('"');
}

pub(super) fn text_or_null(out: &mut String, value: Option<&str>) {
    match value {
        Some(value) => text(out, value),
        None => out.push_str("null"),
    }
}

pub(super) fn integer(out: &mut String, value: impl Into<i128>) {
    let _ = write!(out, "{}", value.into());
}

pub(super) fn integer_or_null(out: &mut String, value: Option<impl Into<i128>>) {
    match value {
        Some(value) => integer(out, value),
        None => out.push_str("null"),
    }
}

/// A number with at most `places` decimals; `null` for what JSON has no number for.
pub(super) fn number(out: &mut String, value: f64, places: usize) {
    if !value.is_finite() {
        return out.push_str("null");
    }
    let start = out.len();
    let _ = write!(out, "{value:.places$}");
    if places > 0 {
        let kept = out.trim_end_matches('0').trim_end_matches('.').len();
        out.truncate(kept);
    }
    if &out[start..] == "-0" {
        out.replace_range(start.., "0");
    }
}

/// Appends the items with commas between them, each written by `write`.
pub(super) fn list<T>(
    out: &mut String,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut String, T),
) {
    out.push('[');
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        write(out, item);
    }
    out.push(']');
}

/// Appends JSON text that is already strict, made safe as [`text`] is.
pub(super) fn raw(out: &mut String, json: &str) {
    // Outside strings these two are not JSON, so that the escape is right wherever they stand.
    let mut plain = 0;
    for (at, c) in json.match_indices(['\u{2028}', '\u{2029}']) {
        out.push_str(&json[plain..at]);
        out.push_str(if c == "\u{2028}" { "\\u2028" } else { "\\u2029" });
        plain = at + c.len();
    }
    out.push_str(&json[plain..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut String)) -> String {
        let mut out = String::new();
        write(&mut out);
        out
    }

    #[test]
    fn text_of_every_kind_reads_back_as_it_was() {
        let table =
            ["", "plain ünï", "a\"b\\c", "\0\x1f\x7f\n\r\t", "x\u{2028}y\u{2029}", "</script>"];
        for sample in table {
            let json = written(|out| text(out, sample));
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), sample);
            assert!(!json.contains(['\u{2028}', '\u{2029}', '\n']));
        }
    }

    #[test]
    fn number_is_short_and_never_nan() {
        let table = [
            (0.8, 2, "0.8"),
            (12.0, 2, "12"),
            (100.0, 0, "100"),
            (34.6, 0, "35"),
            (0.004, 2, "0"),
            (-0.001, 2, "0"),
            (f64::NAN, 2, "null"),
            (f64::INFINITY, 0, "null"),
            (1_763_798_440.2, 3, "1763798440.2"),
        ];
        for (value, places, want) in table {
            assert_eq!(written(|out| number(out, value, places)), want);
        }
    }

    #[test]
    fn raw_json_with_line_separators_becomes_one_line() {
        let json = written(|out| raw(out, "{\"a\":\"x\u{2028}y\"}"));
        assert_eq!(json, "{\"a\":\"x\\u2028y\"}");
    }
}
