//! Why a host is as it is, in a few words: the worst alert, its connections, or its last message.

use crate::alert::Level;
use crate::alert::format;
use crate::engine::view::{Alert, AlertCounts, Host, Severity, Value};
use crate::text;
use crate::time::{Duration, Wall};
use std::borrow::Cow;

/// For how long a host that is well shows its last message.
const MESSAGE_SHOWN: Duration = Duration::from_secs(3600);
/// Bytes of a reason: a column, not a page.
const WORDS_MAX: usize = 120;

/// The worst reason; of a host that is well, its message of the last hour (UI 5.3).
pub fn why(host: &Host, now: Wall) -> Cow<'_, str> {
    let reason = reason(host);
    match &host.message {
        Some((at, text)) if reason.is_empty() && now.since(*at) < MESSAGE_SHOWN => {
            Cow::Borrowed(text)
        }
        _ => reason,
    }
}

/// The worst reason alone, and how many more there are; empty for a host that is well.
pub fn reason(host: &Host) -> Cow<'_, str> {
    let by_alert = matches!(host.severity, Severity::Critical | Severity::Warning);
    let Some(alert) = host.worst_alert().filter(|_| by_alert) else {
        return Cow::Borrowed(&host.why);
    };
    let AlertCounts { warning, critical, unknown } = host.alerts;
    match (warning + critical + unknown).saturating_sub(1) {
        0 => Cow::Owned(words(alert)),
        more => Cow::Owned(format!("{}, +{more} more", words(alert))),
    }
}

/// `Disk / 93.1 % (> 90 %)`, `Round trip 212 ms (> 200 ms)`, `check_load critical`.
pub fn words(alert: &Alert) -> String {
    let name = name(alert);
    let words = if alert.operator == "nagios" {
        format!("{} {}", name.trim_end_matches("_status_code"), level_word(alert.level))
    } else {
        let of = |value: &Value| amount(value, &alert.path);
        let (value, limit) = (of(&alert.value), of(&alert.threshold_value));
        format!("{name} {value} ({} {limit})", alert.operator)
    };
    text::cut(&words, WORDS_MAX).to_owned()
}

pub const fn level_word(level: Level) -> &'static str {
    match level {
        Level::Ok => "OK",
        Level::Warning => "warning",
        Level::Unknown => "unknown",
        Level::Critical => "critical",
    }
}

/// What is measured: the plugin in a word, the thing, and the value's name where it says more.
pub fn name(alert: &Alert) -> String {
    name_of(&alert.plugin, &alert.path)
}

/// The unit of a metric by the end of its name, as the agents write them; empty where it has none.
pub fn unit(path: &str) -> &'static str {
    const ENDS: [(&str, &str); 10] = [
        ("percent", "%"),
        ("_mb_s", "MB/s"),
        ("_ms", "ms"),
        ("_mb", "MB"),
        ("_gb", "GB"),
        ("_bytes", "B"),
        ("_mhz", "MHz"),
        ("_iops", "/s"),
        ("_seconds", "s"),
        ("_temperature_c", "°C"),
    ];
    if path.starts_with("rtt.") {
        return "ms";
    }
    if path.starts_with("nagios_runner.") {
        return "";
    }
    ENDS.iter().find(|(end, _)| path.ends_with(end)).map_or("", |(_, unit)| unit)
}

/// The same of a metric by its path.
pub fn name_of(plugin: &str, path: &str) -> String {
    let rest = path.strip_prefix(plugin).unwrap_or(path);
    let rest = rest.trim_start_matches('.');
    let (thing, metric) = rest.rsplit_once('.').unwrap_or(("", rest));
    let plugin = match plugin {
        "rtt" => return "Round trip".to_owned(),
        "nagios_runner" => return rest.to_owned(),
        "cpu_monitor" => "CPU",
        "memory_monitor" => "Memory",
        "disk_monitor" => "Disk",
        "network_monitor" => "Network",
        "ping_monitor" => "Ping",
        "zfs_monitor" => "ZFS",
        other => other,
    };
    let metric = match metric {
        "percent" | "cpu_percent" => "",
        other => {
            let ends = ["_percent", "_gb", "_mb_s", "_mb", "_ms"];
            ends.iter().find_map(|end| other.strip_suffix(end)).unwrap_or(other)
        }
    };
    let parts = [plugin, thing, metric].into_iter().filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(" ")
}

/// The same with the unit of the metric, where it is a number and has one.
pub fn amount(value: &Value, path: &str) -> String {
    let is_number = matches!(value, Value::Number(_) | Value::Integer(_));
    match unit(path) {
        unit if is_number && !unit.is_empty() => format!("{} {unit}", short(value)),
        _ => short(value),
    }
}

/// A number to two places, without an end of zeros.
pub fn short(value: &Value) -> String {
    match value {
        Value::Number(number) => {
            let text = format::repr(format::rounded(*number, 2));
            text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
        }
        Value::Integer(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        Value::Text(text) => text::escape_control(text::cut(text, 40)).into_owned(),
        Value::Null => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prng::Prng;
    use crate::web::fixture::{NOW, host};
    use std::sync::Arc;

    fn alert(path: &str, level: Level, value: Value, operator: &'static str) -> Alert {
        Alert {
            path: path.into(),
            plugin: path.split('.').next().unwrap().into(),
            level,
            value,
            threshold_value: Value::Integer(90),
            operator,
            recovers_at: None,
            since: NOW.wall,
            last_notified: None,
            told: None,
            next_reminder: None,
            display: "".into(),
            acknowledged: None,
            silenced: None,
            stale: false,
        }
    }

    #[test]
    fn alerts_in_words() {
        let number = Value::Number;
        let table = [
            ("disk_monitor./.percent", number(93.1), ">", "Disk / 93.1 % (> 90 %)"),
            (
                "disk_monitor./var/my.db.free_gb",
                number(4.0),
                "<",
                "Disk /var/my.db free 4 GB (< 90 GB)",
            ),
            ("cpu_monitor.cpu_percent", number(86.246), ">", "CPU 86.25 % (> 90 %)"),
            ("memory_monitor.swap_percent", Value::Integer(91), ">", "Memory swap 91 % (> 90 %)"),
            ("rtt.web1.example.net", number(212.0), ">", "Round trip 212 ms (> 90 ms)"),
            ("nagios_runner.check_load_status_code", number(2.0), "nagios", "check_load critical"),
            (
                "zfs_monitor.tank.health",
                Value::Text("FAULTED".into()),
                "!=",
                "ZFS tank health FAULTED (!= 90)",
            ),
            ("mine", Value::Null, "==", "mine - (== 90)"),
        ];
        for (path, value, operator, want) in table {
            assert_eq!(words(&alert(path, Level::Critical, value, operator)), want);
        }
    }

    #[test]
    fn worst_unacknowledged_alert_is_the_reason_of_a_host_in_alarm_alone() {
        let mut host = host(0, "web1", Severity::Critical, &mut Prng::new(1));
        host.why = "IPv6 lost".into();
        let one = |level| alert("cpu_monitor.cpu_percent", level, Value::Number(95.0), ">");
        let disk = alert("disk_monitor./.percent", Level::Critical, Value::Number(93.1), ">");
        host.alert_list = Arc::from([one(Level::Warning), disk, one(Level::Ok)]);
        assert_eq!(why(&host, NOW.wall), "Disk / 93.1 % (> 90 %)");
        host.severity = Severity::Down;
        assert_eq!(why(&host, NOW.wall), "IPv6 lost");
        host.severity = Severity::Warning;
        host.alert_list = Arc::from([one(Level::Ok)]);
        assert_eq!(why(&host, NOW.wall), "IPv6 lost");
        host.why = "".into();
        host.message = Some((NOW.wall, "deployed".into()));
        assert_eq!(why(&host, NOW.wall), "deployed");
    }
}
