//! Display templates against the real thing: the same templates and values through python3 and
//! through `alert::format`. One python process judges all cases of a test.
//!
//! Without python3 the tests are skipped, unless `HB_REQUIRE_PARTS` is set.

use heartbeat::alert::format::{OUTPUT_MAX, Value, render, repr, rounded};
use heartbeat::text;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::json;
use std::io::Write as _;
use std::process::{Command, Stdio};

/// Reads `[[template, [type, text]], …]`, writes the texts, null where Python refuses.
const PROGRAM: &str = r#"
import json, sys
def value(kind, text):
    return {"f": float, "i": int, "s": str, "b": lambda t: t == "true", "n": lambda t: None}[kind](text)
def judge(template, a):
    try:
        text = template.format(a=value(*a), b=5)
        text.encode()
        return text
    except Exception:
        return None
json.dump([judge(*case) for case in json.load(sys.stdin)], sys.stdout)
"#;

#[derive(Clone, Debug)]
enum Sample {
    Float(f64),
    Int(i128),
    Text(String),
    Bool(bool),
    None,
}

impl Sample {
    fn value(&self) -> Value<'_> {
        match self {
            Sample::Float(value) => Value::Float(*value),
            Sample::Int(value) => Value::Int(*value),
            Sample::Text(value) => Value::Text(value),
            Sample::Bool(value) => Value::Bool(*value),
            Sample::None => Value::None,
        }
    }

    fn json(&self) -> serde_json::Value {
        match self {
            Sample::Float(value) => json!(["f", format!("{value:e}")]),
            Sample::Int(value) => json!(["i", value.to_string()]),
            Sample::Text(value) => json!(["s", value]),
            Sample::Bool(value) => json!(["b", value.to_string()]),
            Sample::None => json!(["n", ""]),
        }
    }
}

/// What python says to each case; `None`: there is no python here.
fn ask_python(program: &str, cases: &serde_json::Value) -> Option<Vec<Option<String>>> {
    let mut command = Command::new("python3");
    command.args(["-c", program]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            assert!(std::env::var_os("HB_REQUIRE_PARTS").is_none(), "python3: {error}");
            return None;
        }
    };
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(cases.to_string().as_bytes()).expect("python3 reads");
    drop(stdin);
    let output = child.wait_with_output().expect("python3 ends");
    Some(serde_json::from_slice(&output.stdout).expect("a list of texts"))
}

fn compare(cases: &[(String, Sample)]) {
    let list: serde_json::Value =
        cases.iter().map(|(template, sample)| json!([template, sample.json()])).collect();
    let Some(answers) = ask_python(PROGRAM, &list) else { return };
    assert_eq!(answers.len(), cases.len());
    let mut wrong = Vec::new();
    let mut rendered = 0;
    for ((template, sample), want) in cases.iter().zip(answers) {
        let field = |name: &str| match name {
            "a" => Some(sample.value()),
            "b" => Some(Value::Int(5)),
            _ => None,
        };
        let got = render(template, &field).ok();
        let want = want.map(|want| text::cut(&want, OUTPUT_MAX).to_owned());
        rendered += usize::from(want.is_some());
        // Only here does a width come from a value, and one over 64 is refused.
        let wide =
            got.is_none() && ["{a:{a", "{b:{a"].iter().any(|nested| template.contains(nested));
        if got != want && !wide {
            wrong.push(format!("{template:?} of {sample:?}: {got:?}, python: {want:?}"));
        }
    }
    let shown = wrong.len().min(20);
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong[..shown].join("\n"));
    assert!(rendered * 5 > cases.len(), "only {rendered} of {} are templates", cases.len());
}

fn samples(
    count: usize,
    strategy: impl Strategy<Value = (String, Sample)>,
) -> Vec<(String, Sample)> {
    let mut runner = TestRunner::deterministic();
    let new = |_| strategy.new_tree(&mut runner).expect("a case").current();
    (0..count).map(new).collect()
}

fn sample() -> impl Strategy<Value = Sample> {
    let float = prop_oneof![
        any::<f64>().prop_filter("finite", |f| f.is_finite()),
        -1000.0..1000.0f64,
        (-10_000i32..10_000).prop_map(|n| f64::from(n) / 8.0),
        (-30i32..30, 1u32..10_000).prop_map(|(e, n)| f64::from(n) * 10f64.powi(e)),
        prop::sample::select(vec![0.0, -0.0, 0.5, 2.5, 80.0, 99.95, 1e16, 1e-5, 1e22, f64::MAX]),
    ];
    let int =
        prop_oneof![any::<i64>().prop_map(i128::from), -2000i128..2000, Just(0), 0i128..0x3000];
    prop_oneof![
        4 => float.prop_map(Sample::Float),
        3 => int.prop_map(Sample::Int),
        2 => "[ -~]{0,12}|[a-zàéü'\"\\\\\\n\\t]{0,6}".prop_map(Sample::Text),
        1 => any::<bool>().prop_map(Sample::Bool),
        1 => Just(Sample::None),
    ]
}

/// A spec with all its parts in their places.
fn spec() -> impl Strategy<Value = String> {
    let part = |pattern: &'static str| prop_oneof![2 => Just(String::new()), 1 => pattern];
    (
        part("[ *0xé]?[<>=^]"),
        part("[-+ ]"),
        part("#"),
        part("0"),
        part("[1-9]|[1-5][0-9]"),
        part("[,_]"),
        part("\\.([0-9]|[1-5][0-9])"),
        prop_oneof![3 => "[bcdeEfFgGnosxX%]", 1 => Just(String::new())],
    )
        .prop_map(|(align, sign, alternate, zero, width, group, precision, kind)| {
            [align, sign, alternate, zero, width, group, precision, kind].concat()
        })
}

#[test]
fn values_with_a_spec_are_as_python_writes_them() {
    let case = (spec(), sample()).prop_map(|(spec, sample)| (format!("{{a:{spec}}}"), sample));
    compare(&samples(5_000, case));
}

#[test]
fn specs_of_any_characters_are_refused_where_python_refuses() {
    // No `z`, and no separator after the precision: younger than the oldest python3 in use.
    let mess = "[<>=^+ #0-9,_.bcdefgnosx%qé-]{0,4}";
    let case = (mess, sample())
        .prop_filter("old", |(spec, _)| {
            let after_dot = spec.split('.').nth(1).unwrap_or_default();
            !after_dot.contains([',', '_']) && !has_large_number(spec)
        })
        .prop_map(|(spec, sample)| (format!("{{a:{spec}}}"), sample));
    compare(&samples(4_000, case));
}

fn has_large_number(spec: &str) -> bool {
    let numbers = spec.split(|c: char| !c.is_ascii_digit());
    numbers.filter_map(|digits| digits.parse::<u32>().ok()).any(|number| number > 64)
}

#[test]
fn templates_of_any_pieces_are_split_as_python_splits_them() {
    let piece = prop::sample::select(vec![
        "{a}",
        "{b}",
        "{a!r}",
        "{a!s:>9}",
        "{a:{b}}",
        "{a:>{b}}",
        "{{",
        "}}",
        "{",
        "}",
        "{}",
        "{0}",
        "{c}",
        "{a!}",
        "{a!q}",
        "{a!rx}",
        "{a:",
        "x",
        " %",
        ":",
        "!",
        "{a:{b:{b}}}",
        "{ a}",
        "{a.b}",
        "{a:{{}}}",
        "é",
        "{a!r:}",
        "{a:}",
        "{b:05}",
    ]);
    let template = prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat());
    compare(&samples(3_000, (template, sample())));
}

#[test]
fn numbers_in_sentences_are_as_python_rounds_them() {
    let mut runner = TestRunner::deterministic();
    let float = prop_oneof![
        any::<f64>().prop_filter("finite", |f| f.is_finite()),
        (-2_000_000i64..2_000_000).prop_map(|n| n as f64 / 20_000.0),
        (0u32..4_000_000).prop_map(|n| f64::from(n) / 32.0),
    ];
    let values: Vec<f64> =
        (0..4_000).map(|_| float.new_tree(&mut runner).expect("a number").current()).collect();
    let program = "import json, sys\n\
                   json.dump([repr(round(float(t), 4)) for t in json.load(sys.stdin)], sys.stdout)";
    let list: serde_json::Value = values.iter().map(|value| json!(format!("{value:e}"))).collect();
    let Some(answers) = ask_python(program, &list) else { return };
    for (value, want) in values.iter().zip(answers) {
        assert_eq!(Some(repr(rounded(*value, 4))), want, "{value:e}");
    }
}
