//! Numbers as Python writes them: `repr` of a float, and the types of the format mini-language.
//!
//! Digits come from the standard library, correctly rounded; what is Python's own is where the
//! point, the exponent and the separators stand.

use super::spec::{Align, Spec};

/// A float as Python's `repr` shows it: the shortest digits that read back the same, with at least
/// one decimal, with an exponent from 1e16 and below 1e-4.
pub fn repr(value: f64) -> String {
    let sign = if value.is_sign_negative() && !value.is_nan() { "-" } else { "" };
    format!("{sign}{}", shortest(value.abs(), false))
}

/// `round(value, places)` of Python: to the nearest decimal, halves to even.
pub fn rounded(value: f64, places: usize) -> f64 {
    format!("{value:.places$}").parse().unwrap_or(value)
}

/// An int for a spec; `None` where the spec is not for ints.
pub(super) fn int(spec: &Spec, value: i128) -> Option<String> {
    let magnitude = value.unsigned_abs();
    let (prefix, digits) = match spec.kind {
        None | Some('d' | 'n') => ("", magnitude.to_string()),
        Some('b') => ("0b", format!("{magnitude:b}")),
        Some('o') => ("0o", format!("{magnitude:o}")),
        Some('x') => ("0x", format!("{magnitude:x}")),
        Some('X') => ("0X", format!("{magnitude:X}")),
        Some('c') => return character(spec, value),
        Some('e' | 'E' | 'f' | 'F' | 'g' | 'G' | '%') => return float(spec, value as f64),
        Some(_) => return None,
    };
    let group = match (spec.grouping, spec.kind) {
        (Some('_'), Some('b' | 'o' | 'x' | 'X')) => 4,
        (Some(_), Some('b' | 'o' | 'x' | 'X' | 'n')) => return None,
        _ => 3,
    };
    if spec.precision.is_some() {
        return None;
    }
    let prefix = if spec.alternate { prefix } else { "" };
    let head = format!("{}{prefix}", sign(spec, value < 0));
    Some(lay_out(spec, &head, &digits, "", group))
}

fn character(spec: &Spec, code: i128) -> Option<String> {
    let plain =
        spec.sign.or(spec.grouping).is_none() && !spec.alternate && spec.precision.is_none();
    let c = char::from_u32(u32::try_from(code).ok()?)?;
    plain.then(|| spec.pad("", c.encode_utf8(&mut [0; 4]), Align::Right))
}

/// A float for a spec; `None` where the spec is not for floats.
pub(super) fn float(spec: &Spec, value: f64) -> Option<String> {
    let kind = spec.kind.map(|kind| kind.to_ascii_lowercase());
    let value = if kind == Some('%') { value * 100.0 } else { value };
    let (magnitude, places) = (value.abs(), spec.precision.unwrap_or(6));
    let body = match kind {
        _ if spec.kind == Some('N') || (kind == Some('n') && spec.grouping.is_some()) => {
            return None;
        }
        None => match spec.precision {
            Some(precision) => general(magnitude, precision, spec.alternate, true),
            None => shortest(magnitude, spec.alternate),
        },
        Some('e') => exponential(magnitude, places, spec.alternate),
        Some('f' | '%') => fixed(magnitude, places, spec.alternate),
        Some('g' | 'n') => general(magnitude, places, spec.alternate, false),
        Some(_) => return None,
    };
    let upper = spec.kind.is_some_and(|kind| kind.is_ascii_uppercase());
    let mut body = if upper { body.to_ascii_uppercase() } else { body };
    if kind == Some('%') {
        body.push('%');
    }
    let end = body.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(body.len());
    let (digits, tail) = body.split_at(end);
    let negative = value.is_sign_negative() && !value.is_nan();
    Some(lay_out(spec, sign(spec, negative), digits, tail, 3))
}

fn sign(spec: &Spec, negative: bool) -> &'static str {
    match (negative, spec.sign) {
        (true, _) => "-",
        (false, Some('+')) => "+",
        (false, Some(' ')) => " ",
        (false, _) => "",
    }
}

/// Sign and prefix, grouped digits, the rest; padded to the width.
fn lay_out(spec: &Spec, head: &str, digits: &str, tail: &str, group: usize) -> String {
    let grouped = match spec.grouping {
        Some(separator) if !digits.is_empty() => {
            // Zeros that fill up to the width take separators as well.
            let zeros = spec.fill == '0' && spec.align == Some(Align::Inside);
            let width = if zeros { spec.width } else { 0 };
            let digits_min = width.saturating_sub(head.len() + tail.len());
            with_separators(digits, digits_min, separator, group)
        }
        _ => digits.to_owned(),
    };
    spec.pad(head, &format!("{grouped}{tail}"), Align::Right)
}

/// A separator between groups from the right; zeros in front until there are `width_min`
/// characters.
fn with_separators(digits: &str, width_min: usize, separator: char, group: usize) -> String {
    let mut reversed = String::new();
    let mut left = digits.bytes().rev().peekable();
    let mut taken = 0;
    // A separator never comes first, so one more digit follows wherever one is due.
    while left.peek().is_some() || reversed.len() < width_min {
        if taken > 0 && taken % group == 0 {
            reversed.push(separator);
        }
        reversed.push(char::from(left.next().unwrap_or(b'0')));
        taken += 1;
    }
    reversed.chars().rev().collect()
}

/// `inf`, `nan`; `None` for a number.
fn unnumbered(value: f64) -> Option<String> {
    match value {
        value if value.is_nan() => Some("nan".to_owned()),
        value if value.is_infinite() => Some("inf".to_owned()),
        _ => None,
    }
}

fn shortest(value: f64, alternate: bool) -> String {
    let body = || {
        let mut scientific = format!("{value:e}");
        // Of two shortest texts that are equally near, Python takes the even one.
        let places = scientific.bytes().take_while(|b| *b != b'e').count().saturating_sub(2);
        let even = format!("{value:.places$e}");
        if even.parse() == Ok(value) {
            scientific = even;
        }
        let (digits, point) = digits_of(&scientific);
        place(&digits, point, !(-3..=16).contains(&point), alternate, true)
    };
    unnumbered(value).unwrap_or_else(body)
}

fn fixed(value: f64, places: usize, alternate: bool) -> String {
    let dot = if alternate && places == 0 { "." } else { "" };
    unnumbered(value).unwrap_or_else(|| format!("{value:.places$}{dot}"))
}

fn exponential(value: f64, places: usize, alternate: bool) -> String {
    let body = || {
        let (digits, point) = digits_of(&format!("{value:.places$e}"));
        place(&digits, point, true, alternate, false)
    };
    unnumbered(value).unwrap_or_else(body)
}

/// So many significant digits, zeros at the end left out; with `float` a decimal at least.
fn general(value: f64, precision: usize, alternate: bool, float: bool) -> String {
    let precision = precision.max(1);
    let body = || {
        let (mut digits, point) = digits_of(&format!("{value:.*e}", precision - 1));
        if !alternate {
            digits.truncate(digits.trim_end_matches('0').len().max(1));
        }
        let places_max = precision as i32 - i32::from(float);
        place(&digits, point, point <= -4 || point > places_max, alternate, float)
    };
    unnumbered(value).unwrap_or_else(body)
}

/// The digits of `1.25e3`, and where the point stands in them: 4.
fn digits_of(scientific: &str) -> (String, i32) {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let digits = mantissa.chars().filter(char::is_ascii_digit).collect();
    (digits, exponent.parse::<i32>().unwrap_or(0) + 1)
}

/// Digits with their point at `point`, or with an exponent. `dot` keeps a point without decimals,
/// `float` adds a zero after it.
fn place(digits: &str, point: i32, exponent: bool, dot: bool, float: bool) -> String {
    let at = if exponent { 1 } else { point };
    let (mut whole, mut decimals) = match usize::try_from(at) {
        Ok(0) | Err(_) => {
            ("0".to_owned(), format!("{}{digits}", "0".repeat(at.unsigned_abs() as usize)))
        }
        Ok(at) if at >= digits.len() => {
            (format!("{digits}{}", "0".repeat(at - digits.len())), String::new())
        }
        Ok(at) => (digits[..at].to_owned(), digits[at..].to_owned()),
    };
    if decimals.is_empty() && float && !exponent {
        decimals.push('0');
    }
    if dot || !decimals.is_empty() {
        whole.push('.');
    }
    whole.push_str(&decimals);
    if exponent {
        let power = point - 1;
        let sign = if power < 0 { '-' } else { '+' };
        whole.push_str(&format!("e{sign}{:02}", power.unsigned_abs()));
    }
    whole
}
