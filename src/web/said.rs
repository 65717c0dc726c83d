//! A line of the feed as a sentence: without the kind and the host that stand beside it, a metric by its name in
//! words and its value with the unit. The line as it was stays in the tooltip.

use super::why;
use std::borrow::Cow;

/// What the line says, of the host that stands beside it.
pub fn said<'a>(text: &'a str, host: Option<&str>) -> Cow<'a, str> {
    let rest = host.and_then(|host| after_name(text, host)).unwrap_or(text);
    metric(rest).map_or(Cow::Borrowed(rest), Cow::Owned)
}

/// What follows `DOWN: web1 - `.
fn after_name<'a>(text: &'a str, host: &str) -> Option<&'a str> {
    let (kind, rest) = text.split_once(": ")?;
    kind.bytes().all(|b| b.is_ascii_uppercase()).then_some(())?;
    rest.strip_prefix(host)?.strip_prefix(" - ")
}

/// `cpu_monitor.cpu_percent = 86.2 (> 80)` as `CPU 86.2 % (> 80)`. A check says it in its own words, where it has some.
fn metric(text: &str) -> Option<String> {
    let (path, rest) = text.split_once(" = ")?;
    let (plugin, _) = path.split_once('.')?;
    let (value, more) = rest.split_once(' ').unwrap_or((rest, ""));
    let name = why::name_of(plugin, path);
    if plugin == "nagios_runner" {
        let name = name.strip_suffix("_status_code")?;
        return Some(match more {
            words if words.is_empty() || words.starts_with('(') => format!("{name} {words}"),
            words => words.to_owned(),
        });
    }
    let is_ours = plugin == "rtt" || plugin.ends_with("_monitor");
    let number: f64 = value.parse().ok().filter(|_| is_ours)?;
    let value = value.strip_suffix(".0").unwrap_or(value);
    let unit = why::unit(path);
    let space = if unit.is_empty() || !number.is_finite() { "" } else { " " };
    let gap = if more.is_empty() { "" } else { " " };
    Some(format!("{name} {value}{space}{unit}{gap}{more}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feed_speaks_in_words_and_leaves_alone_what_it_does_not_know() {
        let table = [
            ("WARNING: web1 - cpu_monitor.cpu_percent = 86.2", "CPU 86.2 %"),
            ("CRITICAL: web1 - disk_monitor./var.percent = 93.0 (> 90%)", "Disk /var 93 % (> 90%)"),
            (
                "RECOVERED: web1 - rtt.web1 = 45.2 (WARNING -> OK)",
                "Round trip 45.2 ms (WARNING -> OK)",
            ),
            (
                "CRITICAL: web1 - nagios_runner.check_a_status_code = 2.0 check_a: DISK CRITICAL - 7%",
                "check_a: DISK CRITICAL - 7%",
            ),
            (
                "RECOVERED: web1 - nagios_runner.check_a_status_code = 0.0 (CRITICAL -> OK)",
                "check_a (CRITICAL -> OK)",
            ),
            ("DOWN: web1 - no heartbeat for 65 s", "no heartbeat for 65 s"),
            ("DOWN: web10 - no heartbeat", "DOWN: web10 - no heartbeat"),
            ("MESSAGE: web1 - a.b = c", "a.b = c"),
            ("WARNING: web1 - own.queue = 7.0", "own.queue = 7.0"),
            ("note: web1 - x", "note: web1 - x"),
        ];
        for (text, want) in table {
            assert_eq!(said(text, Some("web1")), want);
        }
        assert_eq!(said("WARNING: web1 - x", None), "WARNING: web1 - x");
    }
}
