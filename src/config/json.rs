//! Reads JSON into the tree. A syntax error knows its line and column; nodes only know their key path.

use super::node::{Key, Node, Span, Value};
use super::problem::{Problem, Severity, quoted};
use crate::limits;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Reads one JSON document of at most [`limits::CONFIG_MAX`] bytes and [`limits::CONFIG_DEPTH`] levels.
/// Empty text is an empty configuration. A key that occurs twice is a warning; the last one wins.
pub fn read(text: &str, file: &str) -> Result<(Node, Vec<Problem>), Problem> {
    if text.len() > limits::CONFIG_MAX {
        return Err(Problem::too_large(file));
    }
    if text.trim_ascii().is_empty() {
        return Ok((plain(Value::Null), Vec::new()));
    }
    let mut repeated = Vec::new();
    let mut reader = serde_json::Deserializer::from_str(text);
    let tree = Tree { depth: 0, repeated: &mut repeated };
    let read = tree.deserialize(&mut reader).and_then(|node| reader.end().map(|()| node));
    match read {
        Ok(node) => {
            let warn = |key: String| Problem::repeated_key(file, Span::default(), key);
            Ok((node, repeated.into_iter().map(warn).collect()))
        }
        Err(error) => Err(syntax_problem(&error, file)),
    }
}

fn plain(value: Value) -> Node {
    Node { value, span: Span::default() }
}

fn syntax_problem(error: &serde_json::Error, file: &str) -> Problem {
    let whole = error.to_string();
    let what = whole.split(" at line ").next().unwrap_or(&whole);
    Problem {
        code: "E0101",
        severity: Severity::Error,
        file: file.to_owned(),
        line: error.line() as u32,
        column: (error.column() as u32).max(1),
        length: 1,
        key: String::new(),
        what: format!("this is not JSON: {what}"),
        fix: "look at this line and the one before it: a comma, a quote or a bracket".to_owned(),
        note: None,
        secret: false,
    }
}

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
        return Err(E::custom(format_args!("nested deeper than {} levels", limits::CONFIG_DEPTH)));
    }
    Ok(depth + 1)
}

impl Problem {
    pub(crate) fn too_large(file: &str) -> Problem {
        Problem {
            code: "E0102",
            severity: Severity::Error,
            file: file.to_owned(),
            line: 0,
            column: 0,
            length: 0,
            key: String::new(),
            what: format!("the file is larger than {} bytes", limits::CONFIG_MAX),
            fix: "split it, or check that it is the file you meant".to_owned(),
            note: None,
            secret: false,
        }
    }

    pub(crate) fn repeated_key(file: &str, span: Span, key: String) -> Problem {
        Problem {
            code: "W0203",
            severity: Severity::Warning,
            file: file.to_owned(),
            line: span.line,
            column: span.column,
            length: span.length,
            what: format!("the key {} occurs twice; the last one counts", quoted(&key)),
            key,
            fix: "remove the one that is not meant".to_owned(),
            note: None,
            secret: false,
        }
    }
}
