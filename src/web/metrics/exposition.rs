//! The Prometheus text format (version 0.0.4): families with their help and type, samples with their labels.
//!
//! Knows nothing of what is measured. What would grow over its bound is left out and counted.

use std::fmt::Write as _;

/// What a family's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows while the process lives.
    Counter,
    Gauge,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        }
    }
}

/// One answer to a scrape.
pub struct Exposition {
    out: String,
    bytes_max: usize,
    family: &'static str,
    /// Samples that found no room.
    omitted: u64,
}

impl Exposition {
    pub fn new(bytes_max: usize) -> Exposition {
        Exposition { out: String::with_capacity(16 << 10), bytes_max, family: "", omitted: 0 }
    }

    /// Begins a family; its samples follow.
    pub fn family(&mut self, name: &'static str, kind: Kind, help: &str) {
        debug_assert!(is_name(name), "{name} is no metric name");
        self.family = name;
        let _ = write!(self.out, "# HELP {name} ");
        escape(&mut self.out, help, false);
        let _ = writeln!(self.out, "\n# TYPE {name} {}", kind.as_str());
    }

    /// One sample of the family that was begun last.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: f64) {
        if self.out.len() >= self.bytes_max {
            self.omitted += 1;
            return;
        }
        let out = &mut self.out;
        out.push_str(self.family);
        for (i, (name, text)) in labels.iter().enumerate() {
            let _ = write!(out, "{}{name}=\"", if i == 0 { '{' } else { ',' });
            escape(out, text, true);
            out.push('"');
        }
        out.push_str(if labels.is_empty() { " " } else { "} " });
        number(out, value);
        out.push('\n');
    }

    /// A family of one sample without labels.
    pub fn single(&mut self, name: &'static str, kind: Kind, help: &str, value: f64) {
        self.family(name, kind, help);
        self.sample(&[], value);
    }

    /// The last family tells what was left out; it always has room.
    pub fn finish(mut self) -> String {
        let omitted = self.omitted as f64;
        self.bytes_max = usize::MAX;
        self.single(
            "heartbeat_exposition_omitted_samples",
            Kind::Gauge,
            "Samples that this answer has no room for; narrow it with ?host=, or use remote_write.",
            omitted,
        );
        self.out
    }
}

fn number(out: &mut String, value: f64) {
    let _ = match value {
        value if value.is_nan() => write!(out, "NaN"),
        value if value.is_infinite() => {
            write!(out, "{}", if value > 0.0 { "+Inf" } else { "-Inf" })
        }
        // Long runs of digits read worse than an exponent.
        value if value != 0.0 && !(1e-6..1e17).contains(&value.abs()) => write!(out, "{value:e}"),
        value => write!(out, "{value}"),
    };
}

/// Help takes `\\` and `\n`, a label's value `\"` as well.
fn escape(out: &mut String, text: &str, quotes: bool) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes => out.push_str("\\\""),
            c => out.push(c),
        }
    }
}

fn is_name(name: &str) -> bool {
    let letter = |b: u8| b.is_ascii_alphabetic() || b == b'_';
    name.bytes().next().is_some_and(letter) && name.bytes().all(|b| letter(b) || b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn families_and_samples_are_written_as_the_format_wants_them() {
        let mut text = Exposition::new(1 << 20);
        text.single("a_total", Kind::Counter, "With a \\ and\na second line.", 3.0);
        text.family("b", Kind::Gauge, "Values.");
        let hostile = "x\"} 1\nevil_total 666\\";
        text.sample(&[("host", hostile), ("metric", "/é")], 0.25);
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -2e-9, 0.0, 1e16, 85.5] {
            text.sample(&[], value);
        }
        expect![[r#"
            # HELP a_total With a \\ and\na second line.
            # TYPE a_total counter
            a_total 3
            # HELP b Values.
            # TYPE b gauge
            b{host="x\"} 1\nevil_total 666\\",metric="/é"} 0.25
            b NaN
            b +Inf
            b -Inf
            b 1e300
            b -2e-9
            b 0
            b 10000000000000000
            b 85.5
            # HELP heartbeat_exposition_omitted_samples Samples that this answer has no room for; narrow it with ?host=, or use remote_write.
            # TYPE heartbeat_exposition_omitted_samples gauge
            heartbeat_exposition_omitted_samples 0
        "#]]
        .assert_eq(&text.finish());
    }

    #[test]
    fn what_has_no_room_is_counted() {
        let mut text = Exposition::new(60);
        text.family("a", Kind::Gauge, "Values.");
        for i in 0..100 {
            text.sample(&[("i", &i.to_string())], 1.0);
        }
        let text = text.finish();
        assert!(text.len() < 400, "{text}");
        let samples = text.lines().filter(|line| line.starts_with("a{")).count();
        let omitted = format!("heartbeat_exposition_omitted_samples {}\n", 100 - samples);
        assert!(text.ends_with(&omitted), "{text}");
    }
}
