//! Reads JSON into the tree. A syntax error knows its line and column; nodes only know their key
//! path.

#![allow(clippy::result_large_err, reason = "a problem is made once a run, and kept in lists")]

use super::node::{Key, Node, Span, Value};
use super::problem::Problem;
use crate::{limits, text};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Reads one JSON document of at most [`limits::CONFIG_MAX`] bytes and [`limits::CONFIG_DEPTH`]
/// levels. Empty text is an empty configuration. A key that occurs twice is a warning; the last one
/// wins.
pub fn read(source: &str, file: &str) -> Result<(Node, Vec<Problem>), Problem> {
    if source.len() > limits::CONFIG_MAX {
        return Err(Problem::too_large(file));
    }
    if source.trim_ascii().is_empty() {
        return Ok((plain(Value::Null), Vec::new()));
    }
    let mut repeated = Vec::new();
    let mut reader = serde_json::Deserializer::from_str(source);
    let tree = Tree { depth: 0, repeated: &mut repeated };
    let read = tree.deserialize(&mut reader).and_then(|node| reader.end().map(|()| node));
    match read {
        Ok(node) => {
            let warn = |key: String| Problem::repeated_key(file, Span::default(), key);
            Ok((node, repeated.into_iter().map(warn).collect()))
        }
        Err(error) => Err(syntax_problem(&error, source, file)),
    }
}

fn plain(value: Value) -> Node {
    Node { value, span: Span::default() }
}

/// Line and column, both from 1, as places are shown; serde_json ends lines with LF alone and counts bytes.
fn place(error: &serde_json::Error, source: &str) -> (u32, u32) {
    let above: usize =
        source.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let Some(read) = source.get(..above + error.column().saturating_sub(1)) else {
        return (error.line() as u32, (error.column() as u32).max(1));
    };
    // With what is wrong itself: where a line has just ended, it stands on the next one.
    let read = format!("{read}?");
    let column = text::lines(&read).last().map_or(1, |line| line.chars().count());
    (text::lines(&read).count() as u32, column as u32)
}

fn syntax_problem(error: &serde_json::Error, source: &str, file: &str) -> Problem {
    let whole = error.to_string();
    let what = whole.split(" at line ").next().unwrap_or(&whole);
    let (line, column) = place(error, source);
    let span = Span { document: 0, line, column, length: 1 };
    if what.starts_with(TOO_DEEP) {
        return Problem::new("E0102", file, span, what.to_owned(), "write it flatter");
    }
    let fix = "look at this line and the one before it: a comma, a quote or a bracket";
    Problem::new("E0101", file, span, format!("this is not JSON: {what}"), fix)
}

const TOO_DEEP: &str = "nested deeper than";

struct Tree<'a> {
    depth: usize,
    repeated: &'a mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(plain(Value::Null))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        Ok(plain(Value::Bool(value)))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Node, E> {
        Ok(plain(Value::Int(value)))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Node, E> {
        Ok(plain(i64::try_from(value).map_or(Value::Float(value as f64), Value::Int)))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Node, E> {
        Ok(plain(Value::Float(value)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Node, E> {
        Ok(plain(Value::Text(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let depth = deeper(self.depth)?;
        let mut items = Vec::new();
        while let Some(item) =
            access.next_element_seed(Tree { depth, repeated: &mut *self.repeated })?
        {
            items.push(item);
        }
        Ok(plain(Value::List(items)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let depth = deeper(self.depth)?;
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut places = std::collections::BTreeMap::new();
        while let Some(text) = access.next_key::<String>()? {
            let node = access.next_value_seed(Tree { depth, repeated: &mut *self.repeated })?;
            match places.get(&text).copied().and_then(|at: usize| entries.get_mut(at)) {
                Some(entry) => {
                    entry.1 = node;
                    self.repeated.push(text);
                }
                None => {
                    places.insert(text.clone(), entries.len());
                    entries.push((Key { text, span: Span::default() }, node));
                }
            }
        }
        Ok(plain(Value::Map(entries)))
    }
}

fn deeper<E: Error>(depth: usize) -> Result<usize, E> {
    if depth >= limits::CONFIG_DEPTH {
        return Err(E::custom(format_args!("{TOO_DEEP} {} levels", limits::CONFIG_DEPTH)));
    }
    Ok(depth + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caps_hold_at_their_edge() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(read(&nested(limits::CONFIG_DEPTH), "f").is_ok());
        let problem = read(&nested(limits::CONFIG_DEPTH + 1), "f").err().expect("too deep");
        assert_eq!((problem.code, problem.line, problem.column), ("E0102", 1, 34));
        let fits = " ".repeat(limits::CONFIG_MAX);
        assert!(read(&fits, "f").is_ok() && read(&format!("{fits} "), "f").is_err());
    }

    #[test]
    fn place_counts_lines_as_they_are_shown() {
        for (source, place) in [
            ("{\n\"a\": x}", (2, 6)),
            ("{\r\n\"a\": x}", (2, 6)),
            ("{\r\r\"a\": x}", (3, 6)),
            ("{\r\n\r\"ä\": x}", (3, 6)),
        ] {
            let problem = read(source, "f").err().expect("no JSON");
            assert_eq!((problem.line, problem.column), place, "{source:?}");
        }
    }

    #[test]
    fn repeated_key_last_wins_and_numbers_keep_their_kind() {
        let (root, warnings) = read("{\"a\": 1, \"b\": 2.0, \"a\": -3}", "f").expect("JSON");
        assert!(root.get("a").is_some_and(|node| node.value == Value::Int(-3)));
        assert!(root.get("b").is_some_and(|node| node.value == Value::Float(2.0)));
        assert_eq!(warnings.len(), 1);
    }

    #[test]
    fn text_after_the_document_is_refused_with_its_place() {
        let problem = read("{}\n x", "f").err().expect("a syntax error");
        assert!(problem.render_line().starts_with("f:2:2: this is not JSON: "));
    }
}
