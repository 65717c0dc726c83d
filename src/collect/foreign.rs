//! The JSON object that a program of somebody else printed, made fit to be sent.
//!
//! A pure function of the text. Python's NaN and Infinity become null; everything else that is not
//! strict, or beyond the limits of a message (PROTOCOL C1), is refused with its line.

use crate::config::json;
use crate::config::node::{Node, Value};
use crate::limits;
use crate::wire;
use std::borrow::Cow;

/// Levels of objects and lists in a sample.
pub const DEPTH_MAX: usize = 6;

/// The object without blanks, or what is wrong with it; `first_line` is the number of the text's
/// first line.
///
/// # Errors
/// `line 3: …`, or what the whole object lacks.
pub fn check(text: &str, first_line: u32) -> Result<String, String> {
    if text.trim_ascii().is_empty() {
        return Err("printed nothing; one JSON object is expected".to_owned());
    }
    let mut mended = String::new();
    let text = match wire::null_no_numbers(text, &mut mended) {
        true => mended.as_str(),
        false => text,
    };
    let place = |line: u32| line.max(1) + first_line - 1;
    let (root, repeated) = json::read(text, "")
        .map_err(|problem| format!("line {}: {}", place(problem.line), problem.what))?;
    let Value::Map(_) = root.value else {
        return Err(format!("line {first_line}: {} is not a JSON object", root.kind_name()));
    };
    if let Some(problem) = repeated.first() {
        return Err(format!("line {}: {}", place(problem.line), problem.what));
    }
    let mut leaves = 0;
    walk(&root, 1, &mut leaves)?;
    if leaves > limits::LEAVES_PER_MSG {
        return Err(format!("more than {} values", limits::LEAVES_PER_MSG));
    }
    Ok(without_blanks(text))
}

fn walk(node: &Node, depth: usize, leaves: &mut usize) -> Result<(), String> {
    let deeper = || format!("nested deeper than {DEPTH_MAX} levels");
    match &node.value {
        Value::Map(_) | Value::List(_) if depth > DEPTH_MAX => return Err(deeper()),
        Value::Map(entries) => {
            for (key, node) in entries {
                if key.text.len() > limits::KEY_MAX {
                    let key = crate::text::cut(&key.text, 32);
                    return Err(format!("the key {key}… is over {} bytes", limits::KEY_MAX));
                }
                walk(node, depth + 1, leaves)?;
            }
        }
        Value::List(items) => items.iter().try_for_each(|item| walk(item, depth + 1, leaves))?,
        _ => *leaves += 1,
    }
    Ok(())
}

/// JSON as it is, without what stands between its parts.
fn without_blanks(text: &str) -> String {
    let (mut quoted, mut escaped) = (false, false);
    let keep = |c: &char| {
        let inside = quoted;
        quoted ^= *c == '"' && !escaped;
        escaped = inside && *c == '\\' && !escaped;
        inside || !c.is_ascii_whitespace()
    };
    text.chars().filter(keep).collect()
}

/// Output as text; what is not UTF-8 is replaced.
pub fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn objects_are_sent_without_blanks_and_numbers_as_written() {
        let table = [
            ("{}\n", "{}"),
            ("{\n  \"a b\": 1.50,\n\t\"c\": [1, null]\n}\n", "{\"a b\":1.50,\"c\":[1,null]}"),
            (r#"{"q": "x \" y \\", "z": " "}"#, r#"{"q":"x \" y \\","z":" "}"#),
            (r#"{"a": NaN, "b": -Infinity, "c": "NaN"}"#, r#"{"a":null,"b":null,"c":"NaN"}"#),
            (r#"{"t": 1711234567.123456}"#, r#"{"t":1711234567.123456}"#),
        ];
        for (text, want) in table {
            assert_eq!(check(text, 1).as_deref(), Ok(want), "{text}");
        }
    }

    #[test]
    fn bad_output_is_refused_with_its_line() {
        let long = format!(r#"{{"{}": 1}}"#, "k".repeat(limits::KEY_MAX + 1));
        let deep = format!("{{\"a\": {}{}}}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX));
        let wide = format!("{{\"a\": [{}0]}}", "0,".repeat(limits::LEAVES_PER_MSG));
        let table = [
            (" \n", "printed nothing"),
            ("[1]", "line 1: a list is not a JSON object"),
            ("42", "line 1: a whole number is not a JSON object"),
            ("{\n\"a\": 1,\n\"b\": x}", "line 3: this is not JSON"),
            ("{}\nTraceback", "line 2: this is not JSON"),
            ("{\"a\": 1e999}", "line 1: this is not JSON"),
            ("{\"a\": 1, \"a\": 2}", "line 1: "),
            (&long, "the key kkk"),
            (&deep, "nested deeper than 6 levels"),
            (&wide, "more than 4096 values"),
        ];
        for (text, want) in table {
            let error = check(text, 1).expect_err(text);
            assert!(error.starts_with(want), "{text}: {error}");
        }
        assert!(check("{", 17).is_err_and(|error| error.starts_with("line 17: ")));
        let edge = format!("{{\"a\": {}{}}}", "[".repeat(DEPTH_MAX - 1), "]".repeat(DEPTH_MAX - 1));
        assert!(check(&edge, 1).is_ok());
    }

    proptest! {
        #[test]
        fn whatever_passes_is_strict_json(text in r#"\{("[a-c\\" ]{0,3}":? ?(NaN|[0-9]|\[|\]|"),?){0,4}\}"#) {
            if let Ok(checked) = check(&text, 1) {
                serde_json::from_str::<serde_json::Value>(&checked).expect("strict JSON");
            }
        }
    }
}
