//! What must hold of a configuration, whatever is in the file: every problem has a place in it and one line for a log;
//! what was read and written again reads the same and is judged the same; nothing changes between two readings; and
//! what was expanded stays within its bound (THREATS S15).

use heartbeat::config::node::{Document, Node, Value};
use heartbeat::config::problem::{OLD_KEY, Problem, render_all};
use heartbeat::config::{agent, server};
use heartbeat::{limits, text, yaml};
use std::fmt::Write as _;

const FILE: &str = "hbd.yaml";

pub fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (root, warnings) = match yaml::read(&text, FILE) {
        Ok(read) => read,
        Err(problem) => return check_problems(&[problem], &text),
    };
    check_problems(&warnings, &text);
    let nodes = count(&root);
    // Aliases alone may make more of it than was written.
    assert!(nodes <= 10_000 + text.len(), "{nodes} nodes of {} bytes", text.len());
    let saved = save(&root);
    // YAML takes no key of more than 1024 characters in this form.
    if saved.len() > limits::CONFIG_MAX || longest_key(&root) > 1000 {
        return;
    }
    let (again, more) = yaml::read(&saved, FILE).unwrap_or_else(|p| panic!("{}: {saved}", p.what));
    assert!(more.is_empty(), "{saved}");
    assert!(same(&root, &again), "{saved}");
    let lines: Vec<&str> = text::lines(&text).collect();
    let is_plain = is_plain(&root, &lines);
    let (one, two) = (document(&text, root), document(&saved, again));
    let (first, second) = (judge(&one), judge(&two));
    check_problems(&first, &text);
    check_problems(&second, &saved);
    // What is wrong, and where in the tree, is the same. (`0755` is no text, but 493 is what it stands for, and that may
    // be one.)
    if is_plain {
        assert_eq!(plain(&first), plain(&second), "{saved}");
    }
}

fn document(text: &str, root: Node) -> Document {
    Document { file: FILE.to_owned(), text: text.to_owned(), root }
}

/// As a server's file and as an agent's, twice.
fn judge(document: &Document) -> Vec<Problem> {
    let documents = std::slice::from_ref(document);
    let (config, mut problems) = server::check(documents);
    let (other, same) = server::check(documents);
    assert!(problems == same);
    assert!(server::difference(&config, &other).is_empty());
    problems.extend(agent::check(document).1);
    problems
}

fn plain(problems: &[Problem]) -> Vec<(&'static str, &str)> {
    let mut all: Vec<_> = problems.iter().map(|p| (p.code, &*p.key)).collect();
    all.sort_unstable();
    all
}

fn check_problems(problems: &[Problem], source: &str) {
    let lines = text::lines(source).count() as u32 + 1;
    for problem in problems {
        assert!(problem.line <= lines, "line {} of {lines}", problem.line);
        assert!(problem.line == 0 || problem.column >= 1);
        let line = problem.render_line();
        assert!(line.starts_with(FILE) && !line.chars().any(text::is_hostile), "{line:?}");
        assert!(heartbeat::config::problem::topic(problem.code).is_some(), "{}", problem.code);
        // There is nothing to mend in a key of the Python program.
        assert!(!problem.what.is_empty(), "{line}");
        assert!(!problem.fix.is_empty() || problem.code == OLD_KEY, "{line}");
    }
    let whole = render_all(problems, |_| Some(source));
    assert!(!whole.chars().any(|c| c != '\n' && text::is_hostile(c)), "{whole:?}");
}

/// Whether all numbers stand there as they are written again.
fn is_plain(node: &Node, lines: &[&str]) -> bool {
    match &node.value {
        Value::List(items) => items.iter().all(|item| is_plain(item, lines)),
        Value::Map(entries) => entries.iter().all(|(_, node)| is_plain(node, lines)),
        Value::Null | Value::Text(_) => true,
        Value::Bool(_) | Value::Int(_) | Value::Float(_) => {
            let line = lines.get(node.span.line.saturating_sub(1) as usize).copied();
            let rest = line.unwrap_or_default().chars().skip(node.span.column as usize - 1);
            rest.take(node.span.length as usize).eq(save(node).chars())
        }
    }
}

fn count(node: &Node) -> usize {
    1 + match &node.value {
        Value::List(items) => items.iter().map(count).sum::<usize>(),
        Value::Map(entries) => entries.iter().map(|(_, node)| count(node)).sum(),
        _ => 0,
    }
}

/// The tree in one line of YAML, every text in quotes.
fn save(node: &Node) -> String {
    let mut out = String::new();
    write_node(&mut out, node);
    out
}

fn write_node(out: &mut String, node: &Node) {
    match &node.value {
        Value::Null => out.push_str("null"),
        Value::Bool(yes) => out.push_str(if *yes { "true" } else { "false" }),
        Value::Int(n) => drop(write!(out, "{n}")),
        Value::Float(n) if n.is_nan() => out.push_str(".nan"),
        Value::Float(n) if n.is_infinite() => out.push_str(if *n > 0.0 { ".inf" } else { "-.inf" }),
        Value::Float(n) => drop(write!(out, "{n:?}")),
        Value::Text(text) => quote(out, text),
        Value::List(items) => {
            out.push('[');
            for item in items {
                write_node(out, item);
                out.push_str(", ");
            }
            out.push(']');
        }
        Value::Map(entries) => {
            out.push('{');
            for (key, value) in entries {
                quote(out, &key.text);
                out.push_str(": ");
                write_node(out, value);
                out.push_str(", ");
            }
            out.push('}');
        }
    }
}

fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            c => drop(write!(out, "\\U{:08X}", u32::from(c))),
        }
    }
    out.push('"');
}

/// Of all keys, as they are written.
fn longest_key(node: &Node) -> usize {
    let quoted = |text: &str| {
        let mut out = String::new();
        quote(&mut out, text);
        out.len()
    };
    match &node.value {
        Value::List(items) => items.iter().map(longest_key).max().unwrap_or(0),
        Value::Map(entries) => {
            let each = entries.iter().map(|(key, node)| quoted(&key.text).max(longest_key(node)));
            each.max().unwrap_or(0)
        }
        _ => 0,
    }
}

/// But for the places.
fn same(one: &Node, two: &Node) -> bool {
    match (&one.value, &two.value) {
        (Value::List(a), Value::List(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Map(a), Value::Map(b)) => {
            let pairs = || a.iter().zip(b);
            a.len() == b.len() && pairs().all(|(a, b)| a.0.text == b.0.text && same(&a.1, &b.1))
        }
        (Value::Float(a), Value::Float(b)) => a == b || (a.is_nan() && b.is_nan()),
        (a, b) => a == b,
    }
}
