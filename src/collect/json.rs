//! A writer of one small JSON object into a string: what a plugin sends is text from the start.
//!
//! Owns commas, escapes and the form of numbers. Never writes a number that is not finite: such a
//! field is left out.

use crate::limits;
use crate::text::{self, push_number};
use std::fmt::Write as _;

/// Appends one object to a string. Nested objects are opened by [`ObjectWriter::begin`] and closed
/// by [`ObjectWriter::end`]; [`ObjectWriter::finish`] closes the object itself.
pub struct ObjectWriter<'a> {
    out: &'a mut String,
}

impl<'a> ObjectWriter<'a> {
    pub fn new(out: &'a mut String) -> ObjectWriter<'a> {
        out.push('{');
        ObjectWriter { out }
    }

    pub fn begin(&mut self, key: &str) {
        self.key(key);
        self.out.push('{');
    }

    pub fn end(&mut self) {
        self.out.push('}');
    }

    pub fn finish(self) {
        self.out.push('}');
    }

    /// A number with at most four decimals.
    pub fn number(&mut self, key: &str, value: f64) {
        self.number_to(key, value, 4);
    }

    /// A number with at most `places` decimals (0..=6), without trailing zeros; nothing where it is
    /// not finite or beyond 64 bits.
    pub fn number_to(&mut self, key: &str, value: f64, places: u32) {
        if is_writable(value) {
            self.key(key);
            push_number(self.out, value, places);
        }
    }

    /// As [`ObjectWriter::number_to`], nothing where there is no value.
    pub fn number_if(&mut self, key: &str, value: Option<f64>, places: u32) {
        if let Some(value) = value {
            self.number_to(key, value, places);
        }
    }

    /// As [`ObjectWriter::number_to`], `null` where there is no value.
    pub fn number_or_null(&mut self, key: &str, value: Option<f64>, places: u32) {
        match value {
            Some(value) if is_writable(value) => self.number_to(key, value, places),
            _ => {
                self.key(key);
                self.out.push_str("null");
            }
        }
    }

    /// A list of numbers with at most `places` decimals; what is not finite is written as `null`.
    pub fn numbers(&mut self, key: &str, values: impl Iterator<Item = f64>, places: u32) {
        self.key(key);
        self.out.push('[');
        for value in values {
            self.comma();
            if is_writable(value) {
                push_number(self.out, value, places);
            } else {
                self.out.push_str("null");
            }
        }
        self.out.push(']');
    }

    pub fn integer(&mut self, key: &str, value: u64) {
        self.key(key);
        let _ = write!(self.out, "{value}");
    }

    pub fn integer_if(&mut self, key: &str, value: Option<u64>) {
        if let Some(value) = value {
            self.integer(key, value);
        }
    }

    pub fn bool(&mut self, key: &str, value: bool) {
        self.key(key);
        self.out.push_str(if value { "true" } else { "false" });
    }

    /// A text of at most [`limits::STR_MAX`] bytes; a longer one is cut.
    pub fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        push_string(self.out, text::cut(value, limits::STR_MAX));
    }

    pub fn text_if(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(key, value);
        }
    }

    fn key(&mut self, key: &str) {
        self.comma();
        push_string(self.out, text::cut(key, limits::KEY_MAX));
        self.out.push(':');
    }

    fn comma(&mut self) {
        if !self.out.ends_with(['{', '[']) {
            self.out.push(',');
        }
    }
}

fn is_writable(value: f64) -> bool {
    value.is_finite() && value.abs() < 9e18
}

fn push_string(out: &mut String, value: &str) {
    out.push('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\u{0}'..='\u{1f}' | '\u{7f}' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            _ => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn object_with_every_kind_of_value_is_strict_json() {
        let mut out = String::from("x");
        let mut object = ObjectWriter::new(&mut out);
        object.number("a", 1.5);
        object.begin("\"b\"");
        object.end();
        object.begin("c");
        object.integer("d", u64::MAX);
        object.bool("e", true);
        object.end();
        object.text("f", "q\"\\\n\u{7f}ü");
        object.numbers("g", [1.0, f64::NAN, 2.25].into_iter(), 1);
        object.number("nan", f64::NAN);
        object.number_if("none", None, 1);
        object.text_if("none", None);
        object.integer_if("none", None);
        object.number_or_null("h", None, 1);
        object.number_or_null("i", Some(0.25), 1);
        object.finish();
        assert_eq!(
            out,
            "x{\"a\":1.5,\"\\\"b\\\"\":{},\"c\":{\"d\":18446744073709551615,\"e\":true},\
             \"f\":\"q\\\"\\\\\\u000a\\u007fü\",\"g\":[1,null,2.3],\"h\":null,\"i\":0.3}"
        );
    }

    #[test]
    fn number_takes_its_shortest_form() {
        let table = [
            (0.0, "0"),
            (-0.0, "0"),
            (-0.00001, "0"),
            (30.0, "30"),
            (0.1 + 0.2, "0.3"),
            (-12.34567, "-12.3457"),
            (99.99999, "100"),
            (1.005, "1.005"),
            (1e15, "1000000000000000"),
            (-1e18, "-1000000000000000000"),
            (2.0001, "2.0001"),
        ];
        for (value, want) in table {
            let mut out = String::new();
            push_number(&mut out, value, 4);
            assert_eq!(out, want);
        }
    }

    #[test]
    fn key_over_the_limit_is_cut() {
        let mut out = String::new();
        let mut object = ObjectWriter::new(&mut out);
        object.bool(&"k".repeat(limits::KEY_MAX + 1), true);
        object.finish();
        assert_eq!(out.len(), "{\"\":true}".len() + limits::KEY_MAX);
    }

    proptest! {
        #[test]
        fn number_reads_back_within_its_rounding(value in -1e11f64..1e11) {
            let mut out = String::new();
            push_number(&mut out, value, 4);
            let read: f64 = out.parse().expect("a number");
            prop_assert!((read - value).abs() <= 0.000_06 + value.abs() * 1e-15, "{out}");
        }

        #[test]
        fn any_text_reads_back(key in ".{0,20}", value in ".{0,100}", number in any::<f64>()) {
            let mut out = String::new();
            let mut object = ObjectWriter::new(&mut out);
            object.text(&key, &value);
            object.number("number", number);
            object.finish();
            let read: serde_json::Value = serde_json::from_str(&out).expect("strict JSON");
            if key != "number" {
                prop_assert_eq!(read[&key].as_str(), Some(&*value));
            }
        }
    }
}
