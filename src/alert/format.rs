//! Python format strings as far as display templates need them (SPEC section 3): `{name}`,
//! `{name:spec}`, `{name!r}`, `{name:{width}}`, `{{` and `}}`.
//!
//! A field is a name and nothing else: no attributes, no items, no positions (THREATS H10). Widths
//! and precisions are at most 64, what is rendered at most 512 bytes, so that no template and no
//! value of a host can make work. The model is `str.format` of Python 3.10 and later; a test
//! compares the two.

mod number;
mod spec;

pub use number::{repr, rounded};

use crate::text;
use spec::Spec;
use std::borrow::Cow;
use std::fmt;

/// What is rendered is cut to this, in bytes.
pub const OUTPUT_MAX: usize = 512;
/// A field within a spec, and no deeper, as in Python.
const DEPTH_MAX: u32 = 1;

/// A value with its JSON type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(&'a str),
}

/// Why a template cannot be rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormatError {
    /// A brace without its other one.
    Brace,
    /// A name that no value has, an empty one included.
    UnknownField(String),
    /// `!x` for another x than `r` and `s`.
    Conversion,
    /// A spec that is none, or is not for a value of this type.
    Spec(String),
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FormatError::Brace => f.write_str("has a brace without its other one"),
            FormatError::UnknownField(name) => write!(f, "has the unknown field {{{name}}}"),
            FormatError::Conversion => f.write_str("has a conversion other than !r and !s"),
            FormatError::Spec(spec) => write!(f, "has a format {spec:?} that is not for its value"),
        }
    }
}

/// Renders a template; `field` gives the value of a name. What is longer than [`OUTPUT_MAX`] is
/// cut.
pub fn render<'v>(
    template: &str,
    field: &dyn Fn(&str) -> Option<Value<'v>>,
) -> Result<String, FormatError> {
    let mut out = String::new();
    render_into(&mut out, template, field, 0)?;
    let kept = text::cut(&out, OUTPUT_MAX).len();
    out.truncate(kept);
    Ok(out)
}

/// Whether a template can be rendered at all: its braces pair, its names are names, and each spec
/// is one for the value that `known` gives, or for some type where the value is not known.
pub fn check<'v>(
    template: &str,
    known: &dyn Fn(&str) -> Option<Value<'v>>,
) -> Result<(), FormatError> {
    const SAMPLES: [Value<'static>; 3] = [Value::Float(1.0), Value::Int(1), Value::Text("a")];
    let mut rest = template;
    while let Some(piece) = Piece::next(&mut rest) {
        let Piece::Field(field) = piece? else { continue };
        // A width or precision that is itself a field is known only with its value.
        let spec = if field.spec.contains('{') { "" } else { field.spec };
        let judge = |value| render_value(&mut String::new(), value, field.conversion, spec);
        match known(field.name) {
            Some(value) => judge(value)?,
            None if SAMPLES.iter().any(|sample| judge(*sample).is_ok()) => {}
            None => judge(SAMPLES[0])?,
        }
    }
    Ok(())
}

/// A piece of a template.
enum Piece<'t> {
    Literal(&'t str),
    Field(Field<'t>),
}

#[derive(Clone, Copy)]
struct Field<'t> {
    name: &'t str,
    conversion: Option<char>,
    spec: &'t str,
}

impl<'t> Piece<'t> {
    /// Takes the next piece off; a doubled brace is a literal of its own.
    fn next(rest: &mut &'t str) -> Option<Result<Piece<'t>, FormatError>> {
        let text = *rest;
        if text.is_empty() {
            return None;
        }
        let brace = text.find(['{', '}']).unwrap_or(text.len());
        if brace > 0 {
            *rest = &text[brace..];
            return Some(Ok(Piece::Literal(&text[..brace])));
        }
        if text.starts_with("{{") || text.starts_with("}}") {
            *rest = &text[2..];
            return Some(Ok(Piece::Literal(&text[..1])));
        }
        match text.strip_prefix('{').and_then(Field::parse) {
            Some(Ok((field, after))) => {
                *rest = after;
                Some(Ok(Piece::Field(field)))
            }
            Some(Err(error)) => Some(Err(error)),
            None => Some(Err(FormatError::Brace)),
        }
    }
}

impl<'t> Field<'t> {
    /// What stands after a `{`, and what follows the `}` that ends it. `None`: there is none.
    fn parse(text: &'t str) -> Option<Result<(Field<'t>, &'t str), FormatError>> {
        let end = text.find(['{', '}', ':', '!'])?;
        let (name, mut after) = text.split_at(end);
        if name.is_empty() || name.contains(['[', ']']) || name.bytes().all(|b| b.is_ascii_digit())
        {
            return Some(Err(FormatError::UnknownField(name.to_owned())));
        }
        let mut conversion = None;
        if let Some(rest) = after.strip_prefix('!') {
            let mut chars = rest.chars();
            conversion = chars.next();
            after = chars.as_str();
            if !after.starts_with(['}', ':']) {
                return Some(Err(FormatError::Conversion));
            }
        }
        if let Some(after) = after.strip_prefix('}') {
            return Some(Ok((Field { name, conversion, spec: "" }, after)));
        }
        let spec = after.strip_prefix(':')?;
        let mut depth = 1;
        let end = spec.bytes().position(|byte| {
            depth += i32::from(byte == b'{') - i32::from(byte == b'}');
            depth == 0
        })?;
        Some(Ok((Field { name, conversion, spec: &spec[..end] }, &spec[end + 1..])))
    }
}

fn render_into<'v>(
    out: &mut String,
    template: &str,
    field: &dyn Fn(&str) -> Option<Value<'v>>,
    depth: u32,
) -> Result<(), FormatError> {
    let mut rest = template;
    while let Some(piece) = Piece::next(&mut rest) {
        match piece? {
            Piece::Literal(text) => out.push_str(text),
            Piece::Field(found) => {
                let unknown = || FormatError::UnknownField(found.name.to_owned());
                let value = field(found.name).ok_or_else(unknown)?;
                let mut spec = Cow::Borrowed(found.spec);
                if spec.contains('{') {
                    if depth >= DEPTH_MAX {
                        return Err(FormatError::Spec(found.spec.to_owned()));
                    }
                    let mut inner = String::new();
                    render_into(&mut inner, found.spec, field, depth + 1)?;
                    spec = Cow::Owned(inner);
                }
                render_value(out, value, found.conversion, &spec)?;
            }
        }
    }
    Ok(())
}

fn render_value(
    out: &mut String,
    value: Value<'_>,
    conversion: Option<char>,
    spec: &str,
) -> Result<(), FormatError> {
    let bad = || FormatError::Spec(text::cut(spec, 64).to_owned());
    let converted;
    let value = match conversion {
        None => value,
        Some('s') => {
            converted = plain(value);
            Value::Text(&converted)
        }
        Some('r') => {
            converted = match value {
                Value::Text(text) => Cow::Owned(quoted(text)),
                other => plain(other),
            };
            Value::Text(&converted)
        }
        Some(_) => return Err(FormatError::Conversion),
    };
    if spec.is_empty() {
        out.push_str(&plain(value));
        return Ok(());
    }
    let rendered = match value {
        Value::None => None,
        Value::Text(text) => Spec::parse(spec, spec::Of::Text).and_then(|spec| spec.text(text)),
        Value::Bool(value) => {
            Spec::parse(spec, spec::Of::Number).and_then(|spec| number::int(&spec, value.into()))
        }
        Value::Int(value) => {
            Spec::parse(spec, spec::Of::Number).and_then(|spec| number::int(&spec, value))
        }
        Value::Float(value) => {
            Spec::parse(spec, spec::Of::Number).and_then(|spec| number::float(&spec, value))
        }
    };
    out.push_str(&rendered.ok_or_else(bad)?);
    Ok(())
}

/// As `str()` shows it.
fn plain(value: Value<'_>) -> Cow<'_, str> {
    match value {
        Value::None => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Int(value) => value.to_string().into(),
        Value::Float(value) => repr(value).into(),
        Value::Text(text) => text.into(),
    }
}

/// As `repr()` shows a text, but for characters beyond Latin-1 that Python takes for unprintable.
fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => out.extend(['\\', c]),
            '\0'..='\x1f' | '\x7f'..='\u{a0}' | '\u{ad}' => {
                out.push_str(&format!("\\x{:02x}", c as u32));
            }
            c if text::is_hostile(c) => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(template: &str, value: Value<'_>) -> String {
        let field = |name: &str| (name == "value").then_some(value);
        render(template, &field).unwrap_or_else(|error| format!("!{error}"))
    }

    #[test]
    fn values_keep_their_type() {
        let table = [
            ("{value}", Value::Int(81), "81"),
            ("{value}", Value::Float(81.0), "81.0"),
            ("{value:.1f}%", Value::Int(81), "81.0%"),
            ("{value:,}", Value::Int(1_234_567), "1,234,567"),
            ("{value:.1%}", Value::Float(0.8125), "81.2%"),
            ("{value:>8.2f}|", Value::Float(2.7654), "    2.77|"),
            ("{value:08.3f}", Value::Float(-2.7654), "-002.765"),
            ("{value:#x}", Value::Int(255), "0xff"),
            ("{{{value}}}", Value::Bool(true), "{True}"),
            ("{value!r}", Value::Text("it's"), "\"it's\""),
            ("{value:^7}", Value::Text("ok"), "  ok   "),
            ("{value}", Value::None, "None"),
        ];
        for (template, value, want) in table {
            assert_eq!(one(template, value), want, "{template}");
        }
    }

    /// THREATS H10: what could make work or reach further than a name is refused.
    #[test]
    fn h10_templates_have_bounds() {
        let float = Value::Float(1.0);
        let table = [
            ("{value:>64}", None),
            ("{value:>65}", Some("!has a format \">65\" that is not for its value")),
            ("{value:>999999999}", Some("!has a format \">999999999\" that is not for its value")),
            ("{value:.65f}", Some("!has a format \".65f\" that is not for its value")),
            ("{value.__class__}", Some("!has the unknown field {value.__class__}")),
            ("{value[0]}", Some("!has the unknown field {value[0]}")),
            ("{0}", Some("!has the unknown field {0}")),
            ("{}", Some("!has the unknown field {}")),
            ("{value!a}", Some("!has a conversion other than !r and !s")),
            ("{value", Some("!has a brace without its other one")),
            ("value}", Some("!has a brace without its other one")),
        ];
        for (template, want) in table {
            let got = one(template, float);
            assert_eq!(want.unwrap_or(&format!("{:>64}", "1.0")), got, "{template}");
        }
        assert_eq!(one(&"{value:>64}".repeat(46), float).len(), OUTPUT_MAX);
    }

    #[test]
    fn check_refuses_what_can_never_render() {
        let known = |name: &str| (name == "op_symbol").then_some(Value::Text(">"));
        for good in
            ["", "{value:d}", "{anything:>10}", "{x:.1f} {y:,} {z!s:5}", "{x:{y}}", "{op_symbol:3}"]
        {
            assert_eq!(check(good, &known), Ok(()), "{good}");
        }
        for bad in
            ["{x", "}", "{}", "{x:q}", "{x:>99}", "{x!z}", "{op_symbol:d}", "{x!s:d}", "{x[0]}"]
        {
            assert!(check(bad, &known).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_template_renders_within_bounds_or_not_at_all(
            template in "([{}]|value|text|!r|:|[<>=^0-9.,_#bcdeEfFgGnosxX%é]){0,12}",
            number in any::<f64>(),
            text in "\\PC{0,600}",
        ) {
            let field = |name: &str| match name {
                "value" => Some(Value::Float(number)),
                "text" => Some(Value::Text(&text)),
                _ => None,
            };
            let rendered = render(&template, &field);
            prop_assert!(rendered.as_ref().is_ok_and(|r| r.len() <= OUTPUT_MAX) || rendered.is_err());
            // A template that is refused beforehand never renders.
            if check(&template, &field).is_err() {
                prop_assert!(rendered.is_err());
            }
        }
    }
}
