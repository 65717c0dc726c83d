//! The exact sentences about metrics (SPEC sections 3 and 13).
//!
//! Owns their wording and the form of a value in them; `display` is the operator's own text,
//! rendered, and empty where there is none. Decides nothing.

use super::format;
use super::level::Level;
use crate::time::Duration;
use crate::wire::LeafValue;

/// What a sentence is about.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    pub host: &'a str,
    /// `cpu_monitor.cpu_percent`
    pub metric_path: &'a str,
    pub value: LeafValue<'a>,
}

impl Subject<'_> {
    fn sentence(&self, opening: &str) -> String {
        let Subject { host, metric_path, value } = self;
        format!("{opening}: {host} - {metric_path} = {}", render_value(*value))
    }
}

/// `WARNING: web1 - cpu_monitor.cpu_percent = 85.0 (threshold: > 80.0%)`
pub fn raised(subject: &Subject<'_>, level: Level, display: &str) -> String {
    with_display(subject.sentence(level.as_str()), display)
}

/// `RECOVERED: db1 - disk_monitor./.percent = 75.0 (WARNING -> OK)`; `from` is the level just
/// before OK.
pub fn recovered(subject: &Subject<'_>, from: Level) -> String {
    format!("{} ({} -> OK)", subject.sentence("RECOVERED"), from.as_str())
}

/// `REMINDER (CRITICAL): mail - cpu_monitor.load_1min = 12.5 (ongoing for 3600s)`
pub fn reminder(subject: &Subject<'_>, level: Level, ongoing: Duration, display: &str) -> String {
    let opening = format!("REMINDER ({})", level.as_str());
    let text = format!("{} (ongoing for {}s)", subject.sentence(&opening), ongoing.as_secs());
    with_display(text, display)
}

/// `STILL CRITICAL: web1 - cpu_monitor.cpu_percent = 95.0`, when a silence or a window ends.
pub fn still(subject: &Subject<'_>, level: Level, display: &str) -> String {
    with_display(subject.sentence(&format!("STILL {}", level.as_str())), display)
}

/// A number as Python shows a float after rounding to 4 decimals; text and truth values as sent.
pub fn render_value(value: LeafValue<'_>) -> String {
    match value {
        LeafValue::Number(number) => format::repr(format::rounded(number, 4)),
        LeafValue::Bool(truth) => truth.to_string(),
        LeafValue::Text(text) => text.to_owned(),
        LeafValue::Null => "null".to_owned(),
    }
}

fn with_display(mut text: String, display: &str) -> String {
    if !display.is_empty() {
        text.push(' ');
        text.push_str(display);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(host: &'static str, metric_path: &'static str, value: f64) -> Subject<'static> {
        Subject { host, metric_path, value: LeafValue::Number(value) }
    }

    #[test]
    fn sentences_are_those_of_the_specification() {
        let cpu = |value| number("web1", "cpu_monitor.cpu_percent", value);
        let table = [
            (
                raised(&cpu(85.0), Level::Warning, "(threshold: > 80.0%)"),
                "WARNING: web1 - cpu_monitor.cpu_percent = 85.0 (threshold: > 80.0%)",
            ),
            (
                raised(&number("webserver01", "rtt.webserver01", 125.3), Level::Warning, ""),
                "WARNING: webserver01 - rtt.webserver01 = 125.3",
            ),
            (
                raised(&number("database01", "rtt.database01", 520.1), Level::Critical, ""),
                "CRITICAL: database01 - rtt.database01 = 520.1",
            ),
            (
                recovered(&number("webserver01", "rtt.webserver01", 45.2), Level::Warning),
                "RECOVERED: webserver01 - rtt.webserver01 = 45.2 (WARNING -> OK)",
            ),
            (
                raised(&number("webserver01", "memory_monitor.percent", 96.0), Level::Critical, ""),
                "CRITICAL: webserver01 - memory_monitor.percent = 96.0",
            ),
            (
                recovered(&number("database01", "disk_monitor./.percent", 75.0), Level::Warning),
                "RECOVERED: database01 - disk_monitor./.percent = 75.0 (WARNING -> OK)",
            ),
            (
                reminder(
                    &number("mailserver", "cpu_monitor.load_1min", 12.5),
                    Level::Critical,
                    Duration::from_millis(3_600_900),
                    "",
                ),
                "REMINDER (CRITICAL): mailserver - cpu_monitor.load_1min = 12.5 (ongoing for 3600s)",
            ),
            (
                reminder(&cpu(95.0), Level::Warning, Duration::from_secs(60), "hot"),
                "REMINDER (WARNING): web1 - cpu_monitor.cpu_percent = 95.0 (ongoing for 60s) hot",
            ),
            (
                raised(
                    &number("a", "nagios_runner.check_x_status_code", 3.0),
                    Level::Unknown,
                    "check_x: ?",
                ),
                "UNKNOWN: a - nagios_runner.check_x_status_code = 3.0 check_x: ?",
            ),
            (
                still(&cpu(95.0), Level::Critical, "hot"),
                "STILL CRITICAL: web1 - cpu_monitor.cpu_percent = 95.0 hot",
            ),
        ];
        for (text, want) in table {
            assert_eq!(text, want);
        }
    }

    #[test]
    fn values_are_shown_as_python_shows_a_rounded_float() {
        let table = [
            (81.0, "81.0"),
            (96.12345, "96.1235"),
            (2.00005, "2.0"),
            (0.00005, "0.0001"),
            (0.00001, "0.0"),
            (-0.00001, "-0.0"),
            (0.0001, "0.0001"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1e22, "1e+22"),
            (1.234_567_890_123_456_8e17, "1.2345678901234568e+17"),
            (f64::MAX, "1.7976931348623157e+308"),
            (-12.5, "-12.5"),
            // Two texts are equally short and near.
            (3_624_467_834_416_681.0 / 4.0, "906116958604170.2"),
            (0.30000000000000004, "0.3"),
        ];
        for (value, want) in table {
            assert_eq!(render_value(LeafValue::Number(value)), want);
        }
        assert_eq!(render_value(LeafValue::Bool(true)), "true");
        assert_eq!(render_value(LeafValue::Text("DEGRADED")), "DEGRADED");
        assert_eq!(render_value(LeafValue::Null), "null");
    }
}
