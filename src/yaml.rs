//! Reads YAML into the configuration's tree: the only place that uses serde-saphyr.
//!
//! It takes the events of the parser under serde-saphyr, for they carry the place of every key and
//! value. Plain scalars mean what they mean to PyYAML (`no`, `0755`, `1_000`, `<<`), with three
//! exceptions: JSON's `1e3` is a number, and `22:00` is text and not 1320; and `{a: 1,2}` holds the
//! text `1,2`. Never reads a file.

#![allow(clippy::result_large_err, reason = "a problem is made once a run, and kept in lists")]

use crate::config::node::{Key, Node, Span, Value};
use crate::config::problem::{Problem, quoted};
use crate::limits;
use serde_saphyr::granit_parser as granit;
use std::collections::BTreeMap;
use std::ops::Range;

/// Nodes that all aliases together may expand to (THREATS S15).
const ALIAS_NODES_MAX: usize = 10_000;

/// Reads one YAML document of at most [`limits::CONFIG_MAX`] bytes and [`limits::CONFIG_DEPTH`]
/// levels. Empty text is an empty configuration. A key that occurs twice is a warning; the last one
/// wins.
pub fn read(text: &str, file: &str) -> Result<(Node, Vec<Problem>), Problem> {
    if text.len() > limits::CONFIG_MAX {
        return Err(Problem::too_large(file));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let options = granit::options! { emit_comments: false };
    let mut reader = Reader {
        parser: granit::Parser::new_from_str_with_options(text, options),
        text,
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
    text: &'a str,
    file: &'a str,
    /// Each anchored node with its number of nodes and levels.
    anchors: BTreeMap<usize, (Node, usize, usize)>,
    alias_nodes: usize,
    warnings: Vec<Problem>,
}

/// An event with its place, and where in the text it stands.
struct Piece<'a> {
    event: granit::Event<'a>,
    span: Span,
    bytes: Range<usize>,
}

impl<'a> Reader<'a> {
    fn document(&mut self) -> Result<Node, Problem> {
        let mut root: Option<Node> = None;
        while let Some(piece) = self.next()? {
            let span = piece.span;
            match piece.event {
                granit::Event::StreamStart
                | granit::Event::StreamEnd
                | granit::Event::DocumentEnd => {}
                granit::Event::DocumentStart(..) if root.is_some() => {
                    let what = "the file holds more than one YAML document";
                    return Err(self.error("E0101", span, what, "remove the second '---'"));
                }
                granit::Event::DocumentStart(..) => {}
                _ => root = Some(self.node(piece, 0, "")?),
            }
        }
        Ok(root.unwrap_or(Node { value: Value::Null, span: Span::default() }))
    }

    fn next(&mut self) -> Result<Option<Piece<'a>>, Problem> {
        match self.parser.next_event() {
            None => Ok(None),
            Some(Ok((event, span))) => {
                let bytes = span.byte_range().unwrap_or(0..0);
                Ok(Some(Piece { event, span: place(&span), bytes }))
            }
            Some(Err(error)) => {
                let mark = error.marker();
                let (line, column) = (mark.line().max(1) as u32, mark.col() as u32 + 1);
                let span = Span { document: 0, line, column, length: 1 };
                let what = format!("this is not YAML: {}", error.info());
                Err(self.error("E0101", span, &what, syntax_fix(error.kind())))
            }
        }
    }

    fn node(&mut self, piece: Piece<'a>, depth: usize, path: &str) -> Result<Node, Problem> {
        let span = piece.span;
        if depth > limits::CONFIG_DEPTH {
            let what = format!("nested deeper than {} levels", limits::CONFIG_DEPTH);
            return Err(self.error("E0102", span, &what, "write it flatter"));
        }
        let (node, anchor) = match piece.event {
            granit::Event::Scalar(text, style, anchor, tag) => {
                let plain = style == granit::ScalarStyle::Plain;
                let value = self.scalar(&text, plain, tag.as_deref(), span)?;
                (Node { value, span }, anchor)
            }
            granit::Event::SequenceStart(_, anchor, _) => (self.list(span, depth, path)?, anchor),
            granit::Event::MappingStart(style, anchor, _) => {
                let flow = style == granit::StructureStyle::Flow;
                (self.map(span, flow, depth, path)?, anchor)
            }
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
        while let Some(piece) = self.next()? {
            if matches!(piece.event, granit::Event::SequenceEnd) {
                break;
            }
            items.push(self.node(piece, depth + 1, path)?);
        }
        Ok(Node { value: Value::List(items), span })
    }

    fn map(&mut self, span: Span, flow: bool, depth: usize, path: &str) -> Result<Node, Problem> {
        let mut map = Entries::default();
        let mut merged = Vec::new();
        // The entry written last and where its value stands, if that is a plain scalar.
        let mut last: Option<(usize, Range<usize>)> = None;
        while let Some(key) = self.next()? {
            let Some(text) = self.key_text(&key)? else { break };
            let Some(piece) = self.next()? else { break };
            if let Some((at, bytes)) = last.as_mut().filter(|(_, value)| {
                flow && piece.bytes.is_empty() && self.continues(value, &key.bytes)
            }) {
                bytes.end = key.bytes.end;
                let node = &mut map.entries[*at].1;
                node.value = resolve(&self.text[bytes.clone()]);
                node.span.length = bytes.len() as u32;
                continue;
            }
            let below = if path.is_empty() { text.clone() } else { format!("{path}.{text}") };
            let bytes = is_plain(&piece.event).then(|| piece.bytes.clone());
            let value = self.node(piece, depth + 1, &below)?;
            if text == "<<" {
                self.flatten(value, &mut merged)?;
                continue;
            }
            let (at, repeated) = map.insert(Key { text, span: key.span }, value, true);
            last = bytes.map(|bytes| (at, bytes));
            if repeated {
                self.warnings.push(Problem::repeated_key(self.file, key.span, below));
            }
        }
        for (key, node) in merged {
            map.insert(key, node, false);
        }
        Ok(Node { value: Value::Map(map.entries), span })
    }

    /// The text of a key; `None` at the end of the map.
    fn key_text(&self, key: &Piece<'a>) -> Result<Option<String>, Problem> {
        match &key.event {
            granit::Event::MappingEnd => Ok(None),
            granit::Event::Scalar(text, ..) => Ok(Some(text.to_string())),
            granit::Event::Alias(anchor) => match self.anchors.get(anchor) {
                Some((Node { value: Value::Text(text), .. }, ..)) => Ok(Some(text.clone())),
                _ => Err(self.bad_key(key.span)),
            },
            _ => Err(self.bad_key(key.span)),
        }
    }

    /// `{command: check -w 5,4,3}`: a word without ':' right after a comma, without a blank, goes
    /// on with the value before it. To YAML it would be a key of its own, which nobody means.
    fn continues(&self, value: &Range<usize>, key: &Range<usize>) -> bool {
        let between = self.text.get(value.end..key.start);
        let after = self.text.get(key.end..).unwrap_or("").trim_start();
        between == Some(",") && !key.is_empty() && after.starts_with([',', '}'])
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
        Problem::new(code, self.file, span, what.to_owned(), fix)
    }
}

/// The entries of a map with an index, so that large maps are read in linear time.
#[derive(Default)]
struct Entries {
    entries: Vec<(Key, Node)>,
    places: BTreeMap<String, usize>,
}

impl Entries {
    /// Where the entry is, and whether it was there; then `replace` says whether the new value
    /// counts.
    fn insert(&mut self, key: Key, node: Node, replace: bool) -> (usize, bool) {
        match self.places.get(&key.text).copied() {
            Some(at) => {
                if replace {
                    self.entries[at] = (key, node);
                }
                (at, true)
            }
            None => {
                self.places.insert(key.text.clone(), self.entries.len());
                self.entries.push((key, node));
                (self.entries.len() - 1, false)
            }
        }
    }
}

fn is_plain(event: &granit::Event<'_>) -> bool {
    matches!(event, granit::Event::Scalar(_, granit::ScalarStyle::Plain, 0, None))
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
    let shaped = digits.contains(['.', 'e', 'E']) && (first.is_ascii_digit() || first == b'.');
    if !numeric || !shaped {
        return None;
    }
    let clean: String = digits.chars().filter(|c| *c != '_').collect();
    clean
        .parse()
        .ok()
        .filter(|value: &f64| value.is_finite())
        .map(|value| Value::Float(sign * value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A tree as JSON-like text with the places of its values.
    fn show(node: &Node) -> String {
        match &node.value {
            Value::Null => "null".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Int(value) => value.to_string(),
            Value::Float(value) => format!("{value:?}"),
            Value::Text(text) => format!("{text:?}"),
            Value::List(items) => {
                format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(", "))
            }
            Value::Map(entries) => {
                let entry = |(key, node): &(Key, Node)| format!("{}: {}", key.text, show(node));
                format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
            }
        }
    }

    fn read_ok(text: &str) -> (Node, Vec<Problem>) {
        read(text, "f").unwrap_or_else(|problem| panic!("{text:?}: {}", problem.what))
    }

    #[test]
    fn plain_scalar_means_what_it_means_to_pyyaml() {
        // Taken from PyYAML 6; the last rows are our exceptions.
        let table = [
            ("no", "false"),
            ("Yes", "true"),
            ("on", "true"),
            ("OFF", "false"),
            ("y", "\"y\""),
            ("n", "\"n\""),
            ("yEs", "\"yEs\""),
            ("0755", "493"),
            ("0o17", "\"0o17\""),
            ("08", "\"08\""),
            ("0", "0"),
            ("-0", "0"),
            ("+12", "12"),
            ("1_000", "1000"),
            ("0x1F", "31"),
            ("0b101", "5"),
            ("-17", "-17"),
            ("_1", "\"_1\""),
            ("1.5", "1.5"),
            ("1.", "1.0"),
            (".5", "0.5"),
            ("-.inf", "-inf"),
            (".NaN", "NaN"),
            ("1.5.2", "\"1.5.2\""),
            ("192.0.2.1", "\"192.0.2.1\""),
            ("1-2", "\"1-2\""),
            ("~", "null"),
            ("", "null"),
            ("Null", "null"),
            ("nil", "\"nil\""),
            ("'no'", "\"no\""),
            ("\"1\"", "\"1\""),
            ("!!str 1", "\"1\""),
            ("-", "[null]"),
            (".", "\".\""),
            ("99999999999999999999", "1e20"),
            ("1e3", "1000.0"),
            ("22:00", "\"22:00\""),
            ("2026-12-01", "\"2026-12-01\""),
        ];
        for (text, want) in table {
            assert_eq!(show(&read_ok(text).0), want, "{text:?}");
        }
    }

    #[test]
    fn collections_merge_keys_and_empty_sections() {
        let table = [
            ("hosts:\n", "{hosts: null}"),
            ("a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}", "{a: {b: 1, c: 2}, d: {c: 3, b: 1}}"),
            (
                "a: &x {b: 1}\nc: &y {b: 2, d: 3}\ne: {<<: [*x, *y]}",
                "{a: {b: 1}, c: {b: 2, d: 3}, e: {b: 1, d: 3}}",
            ),
            ("a: &x [1, 2]\nb: *x", "{a: [1, 2], b: [1, 2]}"),
            ("{\"a\": [1, {\"b\": null}]}", "{a: [1, {b: null}]}"),
            ("8080: x\nno: y", "{8080: \"x\", no: \"y\"}"),
            ("a: |\n  x\n  y\n", "{a: \"x\\ny\\n\"}"),
            (
                "{command: check -w 5,4,3 -c 10,8,6, name: x}",
                "{command: \"check -w 5,4,3 -c 10,8,6\", name: \"x\"}",
            ),
            ("{a: 1,2}", "{a: \"1,2\"}"),
            ("{a: 1, b}", "{a: 1, b: null}"),
            ("{a: 1,b: 2}", "{a: 1, b: 2}"),
            ("[1,2]", "[1, 2]"),
            ("", "null"),
            ("# only a comment\n", "null"),
            ("--- \na: 1\n...\n", "{a: 1}"),
            ("\u{feff}a: 1", "{a: 1}"),
        ];
        for (text, want) in table {
            assert_eq!(show(&read_ok(text).0), want, "{text:?}");
        }
    }

    #[test]
    fn repeated_key_last_wins_with_a_warning() {
        let (root, warnings) = read_ok("a: 1\nb: {c: 1, c: 2}\na: 3\n");
        assert_eq!(show(&root), "{a: 3, b: {c: 2}}");
        let lines: Vec<String> = warnings.iter().map(Problem::render_line).collect();
        assert!(lines[0].starts_with("f:2:11: b.c: ") && lines[1].starts_with("f:3:1: a: "));
    }

    #[test]
    fn places_are_lines_and_columns_from_one() {
        let (root, _) = read_ok("a:\n  bé: {c: 12, d: \"x\"}\n");
        let inner = root.get("a").and_then(|a| a.get("bé")).expect("the map");
        let place =
            |name: &str| inner.get(name).map(|n| (n.span.line, n.span.column, n.span.length));
        assert_eq!(place("c"), Some((2, 11, 2)));
        assert_eq!(place("d"), Some((2, 18, 3)));
    }

    #[test]
    fn s15_caps_hold_at_their_edge() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let most = limits::CONFIG_DEPTH + 1;
        assert!(read(&nested(most), "f").is_ok() && read(&nested(most + 1), "f").is_err());
        let fits = format!("#{}", "x".repeat(limits::CONFIG_MAX - 1));
        assert!(read(&fits, "f").is_ok() && read(&format!("{fits}x"), "f").is_err());
        let items = vec!["1"; 999].join(",");
        let aliases =
            |count: usize| format!("a: &a [{items}]\nb: [{}]", vec!["*a"; count].join(","));
        assert!(read(&aliases(10), "f").is_ok() && read(&aliases(11), "f").is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[a-c:{}\\[\\],&*<>|!?#'\" \n\t\\\\0-9~-]{0,200}") {
            let _ = read(&text, "f");
        }

        #[test]
        fn s15_any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let text = String::from_utf8_lossy(&bytes);
            match read(&text, "f") {
                Ok((_, warnings)) => prop_assert!(warnings.len() <= text.len()),
                Err(problem) => {
                    prop_assert!(!problem.render(Some(&text)).is_empty());
                }
            }
        }
    }
}
