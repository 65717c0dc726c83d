//! What a Nagios plugin prints, and what its exit status means: the Monitoring Plugins Development
//! Guidelines (`text | performance data`, then long text, then `|` and more performance data).
//!
//! Pure functions of the text. Every number given is finite.

use super::scan;

/// Performance values kept of one check.
pub const PERF_MAX: usize = 128;
/// What each exit status means, and the one for everything else.
const STATUS: [&str; 4] = ["OK", "WARNING", "CRITICAL", "UNKNOWN"];
pub const UNKNOWN: u8 = 3;

/// One performance value: `'label'=value[unit];[warn];[crit];[min];[max]`.
#[derive(Clone, PartialEq, Debug)]
pub struct Perf<'a> {
    /// As written, without its quotes; a doubled quote stands for one.
    pub label: String,
    /// `None`: `U`, the plugin could not tell.
    pub value: Option<f64>,
    /// Empty, or e.g. `s`, `%`, `MB`, `c`; as written.
    pub unit: &'a str,
    pub warn: Option<Range<'a>>,
    pub crit: Option<Range<'a>>,
    pub min: Option<f64>,
    pub max: Option<f64>,
}

/// A limit: the number where it is a plain one, else the range as written (`10:20`, `@~:5`).
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Range<'a> {
    Number(f64),
    Text(&'a str),
}

/// What a check printed.
#[derive(Clone, PartialEq, Debug)]
pub struct Output<'a> {
    /// The first line without its performance data.
    pub text: &'a str,
    /// At most [`PERF_MAX`].
    pub perf: Vec<Perf<'a>>,
}

/// The status code 0 to 3 of an exit status; `None`: it did not end by itself.
pub fn status_code(exit: Option<i32>) -> u8 {
    exit.and_then(|code| u8::try_from(code).ok()).map_or(UNKNOWN, |code| code.min(UNKNOWN))
}

pub fn status(code: u8) -> &'static str {
    STATUS[usize::from(code.min(UNKNOWN))]
}

/// Reads the whole standard output of a check. What is no performance value is passed over.
pub fn parse(output: &str) -> Output<'_> {
    let output = output.trim_start();
    let (first, rest) = output.split_once('\n').unwrap_or((output, ""));
    let (text, data) = first.split_once('|').unwrap_or((first, ""));
    let mut perf = Vec::new();
    parse_perf(data, &mut perf);
    // Long text until a line has a bar; from there on everything is performance data.
    if let Some((_, data)) = rest.split_once('|') {
        data.lines().for_each(|line| parse_perf(line, &mut perf));
    }
    Output { text: text.trim(), perf }
}

fn parse_perf<'a>(mut data: &'a str, perf: &mut Vec<Perf<'a>>) {
    while perf.len() < PERF_MAX {
        data = data.trim_start();
        if data.is_empty() {
            return;
        }
        let Some((label, rest)) = label(data) else {
            // No `=` in this word: go on behind it.
            data = data.split_once(char::is_whitespace).map_or("", |(_, rest)| rest);
            continue;
        };
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        perf.extend(value(label, &rest[..end]));
        data = &rest[end..];
    }
}

/// The label before a `=`, and what is behind it.
fn label(data: &str) -> Option<(String, &str)> {
    let Some(quoted) = data.strip_prefix('\'') else {
        // Within the word: looking on for it would take the square of what a check prints.
        let end = data.find(|c: char| c == '=' || c.is_whitespace())?;
        let (label, rest) = data.split_at(end);
        let rest = rest.strip_prefix('=').filter(|_| end > 0)?;
        return Some((label.to_owned(), rest));
    };
    let mut rest = quoted;
    let mut label = String::new();
    loop {
        let (part, after) = rest.split_once('\'')?;
        label.push_str(part);
        if let Some(after) = after.strip_prefix('=') {
            return (!label.is_empty()).then_some((label, after));
        }
        rest = after.strip_prefix('\'')?;
        label.push('\'');
    }
}

fn value(label: String, text: &str) -> Option<Perf<'_>> {
    let mut fields = text.split(';');
    let first = fields.next()?;
    let (value, unit) = match first {
        "U" => (None, ""),
        _ => {
            let (number, unit) = split_unit(first);
            (Some(number?), unit)
        }
    };
    let mut next = || fields.next().map(str::trim).filter(|field| !field.is_empty());
    let (warn, crit, min, max) = (next(), next(), next(), next());
    let number = |text: &str| split_unit(text).0;
    Some(Perf {
        label,
        value,
        unit,
        warn: warn.map(range),
        crit: crit.map(range),
        min: min.and_then(number),
        max: max.and_then(number),
    })
}

fn range(text: &str) -> Range<'_> {
    match split_unit(text) {
        (Some(number), "") => Range::Number(number),
        _ => Range::Text(text),
    }
}

/// A number and what follows it.
fn split_unit(text: &str) -> (Option<f64>, &str) {
    let digits = |from: usize| {
        let end = text[from..].find(|c: char| !matches!(c, '0'..='9' | '.' | ','));
        end.map_or(text.len(), |end| from + end)
    };
    let start = usize::from(text.starts_with(['-', '+']));
    let mut end = digits(start);
    let mantissa = &text[..end];
    let mut power = 0;
    // `1.5e+06`, but not the E of a unit such as EB.
    if let Some(exponent) = text[end..].strip_prefix(['e', 'E']) {
        let digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        let count = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        if let Some(value) = scan::number(&digits.as_bytes()[..count]) {
            // Beyond what a number can be either way.
            let value = value.min(400) as i32;
            power = if exponent.starts_with('-') { -value } else { value };
            end += 1 + (exponent.len() - digits.len()) + count;
        }
    }
    (number(mantissa, power), &text[end..])
}

/// `12`, `-1.5`, `.5`, and `1,5` of a plugin that ignores `LANG`.
fn number(mantissa: &str, power: i32) -> Option<f64> {
    let (sign, digits) = match mantissa.as_bytes() {
        [b'-', digits @ ..] => (-1.0, digits),
        [b'+', digits @ ..] => (1.0, digits),
        digits => (1.0, digits),
    };
    if !digits.iter().any(u8::is_ascii_digit) {
        return None;
    }
    let mut plain = Vec::with_capacity(digits.len() + 1);
    if !digits[0].is_ascii_digit() {
        plain.push(b'0');
    }
    plain.extend(digits.iter().map(|b| if *b == b',' { b'.' } else { *b }));
    let value = sign * scan::decimal(&plain)? * 10f64.powi(power);
    value.is_finite().then_some(value)
}

/// A label as a part of a key: letters, digits, `_`, `-` and `/` stay, everything else becomes one
/// `_`; at most `bytes_max` bytes.
pub fn key_of(label: &str, bytes_max: usize) -> String {
    let mut key = String::new();
    for c in label.chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '/') {
            key.push(c);
        } else if !key.is_empty() && !key.ends_with('_') {
            key.push('_');
        }
    }
    key.truncate(bytes_max);
    key.truncate(key.trim_end_matches('_').len());
    if key.is_empty() { "value".to_owned() } else { key }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Each value as one line of text.
    fn shown(output: &str) -> Vec<String> {
        let limit = |range: &Option<Range<'_>>| match range {
            Some(Range::Number(number)) => format!("{number}"),
            Some(Range::Text(text)) => format!("\"{text}\""),
            None => "-".to_owned(),
        };
        let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value}"));
        let line = |p: &Perf<'_>| {
            let (warn, crit) = (limit(&p.warn), limit(&p.crit));
            let (value, min, max) = (number(p.value), number(p.min), number(p.max));
            format!("{}={value} {} {warn} {crit} {min} {max}", p.label, p.unit)
        };
        parse(output).perf.iter().map(line).collect()
    }

    #[test]
    fn exit_status_beyond_three_and_none_are_unknown() {
        let table = [(Some(0), "OK"), (Some(1), "WARNING"), (Some(2), "CRITICAL")];
        for (exit, want) in table {
            assert_eq!(status(status_code(exit)), want);
        }
        for exit in [Some(3), Some(4), Some(255), Some(256), Some(-1), None] {
            assert_eq!(status_code(exit), UNKNOWN, "{exit:?}");
        }
    }

    #[test]
    fn output_text_is_the_first_line_without_values() {
        let table = [
            ("OK - fine", "OK - fine"),
            ("OK - fine | a=1", "OK - fine"),
            ("OK\nlong\ntext | a=1\nb=2", "OK"),
            ("\n\n  late \n", "late"),
            ("| a=1", ""),
            ("", ""),
        ];
        for (output, want) in table {
            assert_eq!(parse(output).text, want, "{output:?}");
        }
    }

    #[test]
    fn values_of_the_guidelines_are_read() {
        let table: [(&str, &[&str]); 14] = [
            ("x|a=1", &["a=1  - - - -"]),
            (
                "x|load1=0.520;5.000;10.000;0; load5=2",
                &["load1=0.52  5 10 0 -", "load5=2  - - - -"],
            ),
            ("x|'free space /'=12MB;;@5:10;0;100", &["free space /=12 MB - \"@5:10\" 0 100"]),
            ("x|'it''s'=1ms", &["it's=1 ms - - - -"]),
            ("x|t=0.003s;~:1;2:;0", &["t=0.003 s \"~:1\" \"2:\" 0 -"]),
            (
                "x|r=15us p=3% c=99c b=1B k=2KB g=3GB T=4TB",
                &[
                    "r=15 us - - - -",
                    "p=3 % - - - -",
                    "c=99 c - - - -",
                    "b=1 B - - - -",
                    "k=2 KB - - - -",
                    "g=3 GB - - - -",
                    "T=4 TB - - - -",
                ],
            ),
            ("x|a=U b=1", &["a=-  - - - -", "b=1  - - - -"]),
            (
                "x|a=-1.5e+03 b=2E-2s c=1EB",
                &["a=-1500  - - - -", "b=0.02 s - - - -", "c=1 EB - - - -"],
            ),
            ("x|a=.5 b=1,5 c=+2", &["a=0.5  - - - -", "b=1.5  - - - -", "c=2  - - - -"]),
            (
                "x|a=1;;;; b=2;;;;\nlong|c=3\nd=4 e=5",
                &["a=1  - - - -", "b=2  - - - -", "c=3  - - - -", "d=4  - - - -", "e=5  - - - -"],
            ),
            (
                "x|/=35800481792B;216442024755;243497277849;0;270552530944",
                &["/=35800481792 B 216442024755 243497277849 0 270552530944"],
            ),
            ("x|noise a=1 more noise=x =3 'open=4", &["a=1  - - - -"]),
            ("x|a= b=nan c=inf d=1e999 e==1", &[]),
            ("x|a=5MB;10MB;;1MB;2MB", &["a=5 MB \"10MB\" - 1 2"]),
        ];
        for (output, want) in table {
            assert_eq!(shown(output), want, "{output}");
        }
    }

    #[test]
    fn values_over_the_limit_are_left_out() {
        let output = format!("x|{}", "a=1 ".repeat(PERF_MAX + 1));
        assert_eq!(parse(&output).perf.len(), PERF_MAX);
    }

    #[test]
    fn label_becomes_a_key() {
        let table = [
            ("load1", "load1"),
            ("/", "/"),
            ("/var/log", "/var/log"),
            ("free space (C:\\)", "free_space_C"),
            ("a.b", "a_b"),
            ("__x__", "x"),
            ("Ünïcode", "n_code"),
            ("'\"", "value"),
            ("abcdefghijkl", "abcdefghij"),
        ];
        for (label, want) in table {
            assert_eq!(key_of(label, 10).as_str(), &want[..want.len().min(10)], "{label}");
        }
    }

    proptest! {
        #[test]
        fn any_text_gives_finite_numbers(output in "[ -~\n|='.;:0-9eE+-]{0,200}") {
            for perf in parse(&output).perf {
                let limits = [perf.value, perf.min, perf.max];
                prop_assert!(limits.into_iter().flatten().all(f64::is_finite));
                prop_assert!(!perf.label.is_empty());
                prop_assert!(!key_of(&perf.label, 23).is_empty());
            }
        }
    }
}
