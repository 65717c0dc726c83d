//! Reads YAML into the configuration's tree: the only place that uses serde-saphyr.
//!
//! It takes the events of the parser under serde-saphyr, for they carry the place of every key and value.
//! Plain scalars mean what they mean to PyYAML (`no`, `0755`, `1_000`, `<<`), with two exceptions:
//! JSON's `1e3` is a number, and `22:00` is text and not 1320. Never reads a file.

use crate::config::node::{Key, Node, Span, Value};
use crate::config::problem::{Problem, Severity, quoted};
use crate::limits;
use serde_saphyr::granit_parser as granit;
use std::collections::BTreeMap;

/// Nodes that all aliases together may expand to (THREATS S15).
const ALIAS_NODES_MAX: usize = 10_000;

/// Reads one YAML document of at most [`limits::CONFIG_MAX`] bytes and [`limits::CONFIG_DEPTH`] levels.
/// Empty text is an empty configuration. A key that occurs twice is a warning; the last one wins.
pub fn read(text: &str, file: &str) -> Result<(Node, Vec<Problem>), Problem> {
    if text.len() > limits::CONFIG_MAX {
        return Err(Problem::too_large(file));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let options = granit::options! { emit_comments: false };
    let mut reader = Reader {
        parser: granit::Parser::new_from_str_with_options(text, options),
        file,
        anchors: BTreeMap::new(),
        alias_nodes: 0,
        warnings: Vec::new(),
    };
    let root = reader.document()?;
    Ok((root, reader.warnings))
}

struct Reader<'a> {
    parser: granit::Parser<'a, granit::StrInput<'a>>,
    file: &'a str,
    /// Each anchored node with its number of nodes and levels.
    anchors: BTreeMap<usize, (Node, usize, usize)>,
    alias_nodes: usize,
    warnings: Vec<Problem>,
}

type Event<'a> = (granit::Event<'a>, Span);

impl<'a> Reader<'a> {
    fn document(&mut self) -> Result<Node, Problem> {
        let mut root: Option<Node> = None;
        while let Some((event, span)) = self.next()? {
            match event {
                granit::Event::StreamStart
                | granit::Event::StreamEnd
                | granit::Event::DocumentEnd => {}
                granit::Event::DocumentStart(..) if root.is_some() => {
                    let what = "the file holds more than one YAML document";
                    return Err(self.error("E0101", span, what, "remove the second '---'"));
                }
                granit::Event::DocumentStart(..) => {}
                other => root = Some(self.node((other, span), 0, "")?),
            }
        }
        Ok(root.unwrap_or(Node { value: Value::Null, span: Span::default() }))
    }

    fn next(&mut self) -> Result<Option<Event<'a>>, Problem> {
        match self.parser.next_event() {
            None => Ok(None),
            Some(Ok((event, span))) => Ok(Some((event, place(&span)))),
            Some(Err(error)) => {
                let mark = error.marker();
                let (line, column) = (mark.line().max(1) as u32, mark.col() as u32 + 1);
                let span = Span { document: 0, line, column, length: 1 };
                let what = format!("this is not YAML: {}", error.info());
                Err(self.error("E0101", span, &what, syntax_fix(error.kind())))
            }
        }
    }

    fn node(
        &mut self,
        (event, span): Event<'a>,
        depth: usize,
        path: &str,
    ) -> Result<Node, Problem> {
        if depth > limits::CONFIG_DEPTH {
            let what = format!("nested deeper than {} levels", limits::CONFIG_DEPTH);
            return Err(self.error("E0102", span, &what, "write it flatter"));
        }
        let (node, anchor) = match event {
            granit::Event::Scalar(text, style, anchor, tag) => {
                let plain = style == granit::ScalarStyle::Plain;
                let value = self.scalar(&text, plain, tag.as_deref(), span)?;
                (Node { value, span }, anchor)
            }
            granit::Event::SequenceStart(_, anchor, _) => (self.list(span, depth, path)?, anchor),
            granit::Event::MappingStart(_, anchor, _) => (self.map(span, depth, path)?, anchor),
            granit::Event::Alias(anchor) => return self.alias(anchor, span, depth),
            _ => {
                let what = "this is not YAML: a value is missing";
                return Err(self.error("E0101", span, what, "write a value"));
            }
        };
        if anchor != 0 {
            let (nodes, levels) = measure(&node);
            self.anchors.insert(anchor, (node.clone(), nodes, levels));
        }
        Ok(node)
    }

    fn scalar(
        &self,
        text: &str,
        plain: bool,
        tag: Option<&granit::Tag>,
        span: Span,
    ) -> Result<Value, Problem> {
        match tag {
            Some(tag) if tag.is_yaml_core_schema_tag("str") => Ok(Value::Text(text.to_owned())),
            Some(tag) if tag.is_yaml_core_schema() => Ok(resolve(text)),
            Some(tag) if tag.is_custom() && tag.original() != "!" => {
                let what = format!("the tag {} means nothing here", quoted(&tag.original()));
                Err(self.error("E0101", span, &what, "remove it, or quote the value"))
            }
            _ if plain => Ok(resolve(text)),
            _ => Ok(Value::Text(text.to_owned())),
        }
    }

    fn list(&mut self, span: Span, depth: usize, path: &str) -> Result<Node, Problem> {
        let mut items = Vec::new();
        while let Some(event) = self.next()? {
            if matches!(event.0, granit::Event::SequenceEnd) {
                break;
            }
            items.push(self.node(event, depth + 1, path)?);
        }
        Ok(Node { value: Value::List(items), span })
    }

    fn map(&mut self, span: Span, depth: usize, path: &str) -> Result<Node, Problem> {
        let mut map = Entries::default();
        let mut merged = Vec::new();
        while let Some((event, key_span)) = self.next()? {
            let text = match event {
                granit::Event::MappingEnd => break,
                granit::Event::Scalar(text, ..) => text.into_owned(),
                granit::Event::Alias(anchor) => match self.anchors.get(&anchor) {
                    Some((Node { value: Value::Text(text), .. }, ..)) => text.clone(),
                    _ => return Err(self.bad_key(key_span)),
                },
                _ => return Err(self.bad_key(key_span)),
            };
            let below = if path.is_empty() { text.clone() } else { format!("{path}.{text}") };
            let Some(event) = self.next()? else { break };
            let value = self.node(event, depth + 1, &below)?;
            if text == "<<" {
                self.flatten(value, &mut merged)?;
                continue;
            }
            if map.insert(Key { text, span: key_span }, value, true) {
                self.warnings.push(Problem::repeated_key(self.file, key_span, below));
            }
        }
        for (key, node) in merged {
            map.insert(key, node, false);
        }
        Ok(Node { value: Value::Map(map.entries), span })
    }

    /// `<<: *map` or `<<: [*a, *b]`: the first one that has a key gives it, the map's own keys win.
    fn flatten(&self, value: Node, merged: &mut Vec<(Key, Node)>) -> Result<(), Problem> {
        match value.value {
            Value::Map(entries) => merged.extend(entries),
            Value::List(items) => {
                for item in items {
                    self.flatten(item, merged)?;
                }
            }
            _ => {
                let what = "\"<<\" merges a section or a list of sections";
                return Err(self.error("E0103", value.span, what, "write <<: *name"));
            }
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize, span: Span, depth: usize) -> Result<Node, Problem> {
        let Some((node, nodes, levels)) = self.anchors.get(&anchor) else {
            let what = "an alias must come after the anchor it names, and not inside it";
            return Err(self.error("E0101", span, what, "write the value out"));
        };
        let node = Node { value: node.value.clone(), span: node.span };
        self.alias_nodes += *nodes;
        if self.alias_nodes > ALIAS_NODES_MAX || depth + levels > limits::CONFIG_DEPTH + 1 {
            let what = "the aliases expand to more than a configuration may hold";
            return Err(self.error("E0102", span, what, "write the values out"));
        }
        Ok(node)
    }

    fn bad_key(&self, span: Span) -> Problem {
        self.error(
            "E0101",
            span,
            "a key must be a word, not a list or a section",
            "write key: value",
        )
    }

    fn error(&self, code: &'static str, span: Span, what: &str, fix: &str) -> Problem {
        Problem {
            code,
            severity: Severity::Error,
            file: self.file.to_owned(),
            line: span.line,
            column: span.column,
            length: span.length.max(1),
            key: String::new(),
            what: what.to_owned(),
            fix: fix.to_owned(),
            note: None,
            secret: false,
        }
    }
}

/// The entries of a map with an index, so that large maps are read in linear time.
#[derive(Default)]
struct Entries {
    entries: Vec<(Key, Node)>,
    places: BTreeMap<String, usize>,
}

impl Entries {
    /// Tells whether the key was there; then `replace` says whether the new value counts.
    fn insert(&mut self, key: Key, node: Node, replace: bool) -> bool {
        match self.places.get(&key.text).copied() {
            Some(at) => {
                if replace {
                    self.entries[at] = (key, node);
                }
                true
            }
            None => {
                self.places.insert(key.text.clone(), self.entries.len());
                self.entries.push((key, node));
                false
            }
        }
    }
}

fn place(span: &granit::Span) -> Span {
    let (start, end) = (span.start, span.end);
    let length = if end.line() == start.line() { end.col().saturating_sub(start.col()) } else { 1 };
    Span {
        document: 0,
        line: start.line() as u32,
        column: start.col() as u32 + 1,
        length: length as u32,
    }
}

fn measure(node: &Node) -> (usize, usize) {
    let below: Vec<(usize, usize)> = match &node.value {
        Value::List(items) => items.iter().map(measure).collect(),
        Value::Map(entries) => entries.iter().map(|(_, node)| measure(node)).collect(),
        _ => Vec::new(),
    };
    let nodes = below.iter().map(|(nodes, _)| nodes).sum::<usize>();
    let levels = below.iter().map(|(_, levels)| *levels).max().unwrap_or(0);
    (nodes + 1, levels + 1)
}

fn syntax_fix(kind: &granit::ErrorKind) -> &'static str {
    use granit::ErrorKind as E;
    match kind {
        E::TabNotAllowed | E::TabInBlockIndentation | E::TabInIndentation => {
            "indent with blanks: YAML allows no tabs there"
        }
        E::UnclosedQuotedScalar => "close the quote",
        E::UnknownAnchor => "define the anchor (&name) before it is used (*name)",
        E::UnclosedFlowCollection { .. } | E::MismatchedFlowCollectionEnd { .. } => {
            "close every { with } and every [ with ]"
        }
        _ => "look at the indentation and the quotes of this line and the one before it",
    }
}

/// What a plain scalar means to PyYAML.
fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Value::Bool(true);
        }
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Value::Bool(false);
        }
        ".nan" | ".NaN" | ".NAN" => return Value::Float(f64::NAN),
        _ => {}
    }
    let (sign, digits) = match text.as_bytes().first() {
        Some(b'-') => (-1.0, &text[1..]),
        Some(b'+') => (1.0, &text[1..]),
        _ => (1.0, text),
    };
    if matches!(digits, ".inf" | ".Inf" | ".INF") {
        return Value::Float(sign * f64::INFINITY);
    }
    integer(digits, sign < 0.0)
        .or_else(|| float(digits, sign))
        .unwrap_or_else(|| Value::Text(text.to_owned()))
}

fn integer(digits: &str, negative: bool) -> Option<Value> {
    let (radix, body) = match digits.as_bytes() {
        [b'0'] => (10, digits),
        [b'0', b'x', ..] => (16, &digits[2..]),
        [b'0', b'b', ..] => (2, &digits[2..]),
        [b'0', ..] => (8, &digits[1..]),
        [b'1'..=b'9', ..] => (10, digits),
        _ => return None,
    };
    let clean: String = body.chars().filter(|c| *c != '_').collect();
    if clean.is_empty() || !clean.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let Ok(size) = i128::from_str_radix(&clean, radix) else {
        return (radix == 10).then(|| clean.parse().map(Value::Float).ok()).flatten();
    };
    let value = if negative { -size } else { size };
    Some(i64::try_from(value).map_or(Value::Float(value as f64), Value::Int))
}

fn float(digits: &str, sign: f64) -> Option<Value> {
    let first = digits.bytes().next()?;
    let numeric = digits.bytes().all(|b| b.is_ascii_digit() || b"._eE+-".contains(&b));
    if !numeric || !(first.is_ascii_digit() || first == b'.') || digits == "." {
        return None;
    }
    let clean: String = digits.chars().filter(|c| *c != '_').collect();
    clean.parse().ok().map(|value: f64| Value::Float(sign * value))
}
