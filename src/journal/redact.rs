//! `journal_redact`: the values of matching keys are written as `"***"`, at any depth.
//!
//! Works on JSON text that a decoder has accepted: strings are closed, brackets match, and newlines stand between
//! tokens only.

use crate::glob;
use crate::wire::string_end;
use std::borrow::Cow;

const MASK: &str = "\"***\"";

pub struct Redaction {
    /// In lower case: keys match whatever their case.
    globs: Vec<String>,
}

impl Redaction {
    pub fn new(globs: &[String]) -> Redaction {
        Redaction { globs: globs.iter().map(|glob| glob.to_lowercase()).collect() }
    }

    /// Appends `json` on one line, without what is redacted.
    pub fn push(&self, out: &mut String, json: &str) {
        let json = json.trim_ascii();
        if self.globs.is_empty() {
            return push_one_line(out, json);
        }
        let mut rest = json;
        while let Some(quote) = rest.find('"') {
            let (before, from_quote) = rest.split_at(quote);
            let (quoted, after) = from_quote.split_at(string_end(from_quote.as_bytes()));
            push_one_line(out, before);
            out.push_str(quoted);
            rest = after;
            let gap = after.len() - after.trim_ascii_start().len();
            // Only a key is followed by a colon.
            if after[gap..].starts_with(':') && self.hides(quoted) {
                let colon = &after[..=gap];
                let value = after[colon.len()..].trim_ascii_start();
                let white = after.len() - colon.len() - value.len();
                push_one_line(out, &after[..colon.len() + white]);
                out.push_str(MASK);
                rest = &value[value_end(value)..];
            }
        }
        push_one_line(out, rest);
    }

    fn hides(&self, quoted: &str) -> bool {
        let plain = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
        let key = if plain.contains('\\') {
            serde_json::from_str::<String>(quoted).map_or(Cow::Borrowed(plain), Cow::Owned)
        } else {
            Cow::Borrowed(plain)
        };
        glob::matches_any(&self.globs, key.to_lowercase().as_bytes())
    }
}

/// Newlines between tokens part nothing that brackets, commas and colons do not part.
fn push_one_line(out: &mut String, json: &str) {
    json.split(['\n', '\r']).for_each(|part| out.push_str(part));
}

/// Just behind the value that `text` begins with.
fn value_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0usize);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => at += string_end(&bytes[at..]) - 1,
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return at,
            b'}' | b']' => depth -= 1,
            b',' | b' ' | b'\t' | b'\n' | b'\r' if depth == 0 => return at,
            _ => {}
        }
        at += 1;
        if depth == 0 && matches!(bytes[at - 1], b'"' | b'}' | b']') {
            return at;
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn redacted(globs: &[&str], json: &str) -> String {
        let globs: Vec<String> = globs.iter().map(|glob| (*glob).to_owned()).collect();
        let mut out = String::new();
        Redaction::new(&globs).push(&mut out, json);
        out
    }

    #[test]
    fn redaction_table() {
        let table = [
            (&["b"][..], r#"{"a":1,"b":2,"c":3}"#, r#"{"a":1,"b":"***","c":3}"#),
            (&["b"], r#"{"b":-1.5e3}"#, r#"{"b":"***"}"#),
            (&["b"], r#"{"b" : true , "c":"b"}"#, r#"{"b" : "***" , "c":"b"}"#),
            (&["b"], r#"{"b":"x\"}","c":["b"]}"#, r#"{"b":"***","c":["b"]}"#),
            (&["b"], r#"{"b":[{"b":1},["}"]],"c":{"b":{}}}"#, r#"{"b":"***","c":{"b":"***"}}"#),
            (
                &["*key*"],
                r#"{"API_Key":1,"monkeys":2,"k":3}"#,
                r#"{"API_Key":"***","monkeys":"***","k":3}"#,
            ),
            (&["é"], r#"{"\u00c9":1}"#, r#"{"\u00c9":"***"}"#),
            (&["*"], r#"{"a":{"b":1}}"#, r#"{"a":"***"}"#),
            (&["b"], "{}", "{}"),
        ];
        for (globs, json, want) in table {
            assert_eq!(redacted(globs, json), want, "{json}");
        }
    }

    /// What the redaction must do, said over a tree.
    fn hide(value: &mut Value) {
        match value {
            Value::Object(members) => members.iter_mut().for_each(|(key, value)| {
                if key.to_lowercase().starts_with('s') {
                    *value = "***".into();
                } else {
                    hide(value);
                }
            }),
            Value::Array(items) => items.iter_mut().for_each(hide),
            _ => {}
        }
    }

    fn tree() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[\\PC\"\\\\\n{}\\[\\],:]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[sSa\"\\\\é\n]{1,3}", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn h12_redaction_of_text_is_that_of_the_tree(value in tree(), pretty: bool) {
            let mut want = value.clone();
            hide(&mut want);
            let json =
                if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let out = redacted(&["s*"], &json.unwrap());
            prop_assert!(!out.contains('\n'));
            prop_assert_eq!(serde_json::from_str::<Value>(&out).ok(), Some(want), "{}", out);
        }
    }
}
