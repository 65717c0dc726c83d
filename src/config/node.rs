//! What the user wrote, as a tree with places: the same for YAML and JSON.
//!
//! Owns the tree and how two files merge. Never interprets a value, and has no `Debug`: a tree
//! holds secrets.

use std::collections::BTreeMap;

/// Where something stands: line and column from 1, length in characters. Line 0: not known (JSON).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Span {
    /// Which of the documents, in merge order; set by [`merge`].
    pub document: u16,
    pub line: u32,
    pub column: u32,
    pub length: u32,
}

#[derive(Clone, PartialEq)]
pub struct Node {
    pub value: Value,
    pub span: Span,
}

#[derive(Clone, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    /// In the order written; no name occurs twice.
    Map(Vec<(Key, Node)>),
}

#[derive(Clone, PartialEq)]
pub struct Key {
    pub text: String,
    pub span: Span,
}

/// One file that was read. `file` is the name that problems show.
#[derive(Clone)]
pub struct Document {
    pub file: String,
    pub text: String,
    pub root: Node,
}

impl Node {
    /// The value under `key` where this is a map.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, node)| node)
    }

    pub fn entry(&self, key: &str) -> Option<&(Key, Node)> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|(k, _)| k.text == key),
            _ => None,
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// What the value is, as a person would name it.
    pub fn kind_name(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Int(_) => "a whole number",
            Value::Float(_) => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a section",
        }
    }

    fn set_document(&mut self, document: u16) {
        self.span.document = document;
        match &mut self.value {
            Value::List(items) => items.iter_mut().for_each(|n| n.set_document(document)),
            Value::Map(entries) => entries.iter_mut().for_each(|(key, node)| {
                key.span.document = document;
                node.set_document(document);
            }),
            _ => {}
        }
    }
}

/// All documents as one tree: maps merge, everything else is replaced by the later file.
pub fn merge(documents: &[Document]) -> Node {
    let mut whole = Node { value: Value::Null, span: Span::default() };
    for (index, document) in documents.iter().enumerate() {
        let mut root = document.root.clone();
        root.set_document(u16::try_from(index).unwrap_or(u16::MAX));
        merge_into(&mut whole, root);
    }
    whole
}

fn merge_into(base: &mut Node, over: Node) {
    match (&mut base.value, over.value) {
        (Value::Map(entries), Value::Map(more)) => {
            let names = entries.iter().enumerate().map(|(at, (key, _))| (key.text.clone(), at));
            let places: BTreeMap<String, usize> = names.collect();
            for (key, node) in more {
                match places.get(&key.text) {
                    Some(at) => merge_into(&mut entries[*at].1, node),
                    None => entries.push((key, node)),
                }
            }
        }
        // An empty section in a later file takes nothing away.
        (Value::Map(_), Value::Null) => {}
        (_, value) => *base = Node { value, span: over.span },
    }
}
