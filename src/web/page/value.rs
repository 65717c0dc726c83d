//! What a value of plugin data means: label, unit, help. The raw path stays in the tooltip.

use super::clock::{Clock, span};
use super::number::{self, MIB};
use crate::text::cut;
use crate::time::{Duration, Wall};
use serde_json::Value;

/// Longer text is cut on the page; the API has it whole.
const TEXT_MAX: usize = 300;

/// Key of a plugin's field, its label, and a sentence of help.
const LABELS: &[(&str, &str, &str)] = &[
    ("cpu_percent", "CPU", "Share of time that all cores together were busy."),
    ("user_percent", "User", "Time in programs."),
    ("system_percent", "System", "Time in the kernel."),
    ("iowait_percent", "Waiting for disks", "Time idle while a disk was busy."),
    ("steal_percent", "Stolen", "Time that the hypervisor gave to others."),
    ("load_1min", "Load, 1 min", "Processes that run or wait to run."),
    ("load_5min", "Load, 5 min", ""),
    ("load_15min", "Load, 15 min", ""),
    ("process_count", "Processes", "Processes and threads."),
    ("uptime_seconds", "Uptime", ""),
    ("frequency_mhz", "Clock", ""),
    ("psi_cpu_some_avg10", "CPU pressure", "Share of time that something waited for a core."),
    ("temperature_c", "Temperature", ""),
    ("percent", "Used", ""),
    ("total_mb", "Total", ""),
    ("available_mb", "Available", "What programs can still get without swapping."),
    ("used_mb", "In use", ""),
    ("free_mb", "Free", ""),
    ("buffers_mb", "Buffers", ""),
    ("cached_mb", "Cache", ""),
    ("arc_mb", "ZFS ARC", "Counts as available."),
    ("swap_total_mb", "Swap", ""),
    ("swap_used_mb", "Swap in use", ""),
    ("swap_percent", "Swap used", ""),
    ("total_gb", "Size", ""),
    ("size_gb", "Size", ""),
    ("used_gb", "Used space", ""),
    ("free_gb", "Free", ""),
    ("inodes_percent", "Inodes", ""),
    ("fstype", "Type", ""),
    ("device", "Device", ""),
    ("options", "Options", ""),
    ("read_mb_s", "Read", ""),
    ("write_mb_s", "Written", ""),
    ("read_iops", "Reads", ""),
    ("write_iops", "Writes", ""),
    ("busy_percent", "Busy", ""),
    ("rx_mb_s", "In", ""),
    ("tx_mb_s", "Out", ""),
    ("rx_bytes", "Received", ""),
    ("tx_bytes", "Sent", ""),
    ("rx_packets", "Packets in", ""),
    ("tx_packets", "Packets out", ""),
    ("errors_total", "Errors", ""),
    ("dropped_total", "Dropped", ""),
    ("speed_mbit", "Speed", ""),
    ("up", "Link", ""),
    ("tcp_established", "TCP connections", ""),
    ("tcp_time_wait", "TCP in time-wait", ""),
    ("udp_sockets", "UDP sockets", ""),
    ("rtt_ms", "Round trip", ""),
    ("rtt_min_ms", "Least", ""),
    ("rtt_max_ms", "Most", ""),
    ("loss_percent", "Loss", ""),
    ("alive", "Answers", ""),
    ("health", "Health", ""),
    ("health_code", "Health code", ""),
    ("capacity_percent", "Used", ""),
    ("fragmentation_percent", "Fragmentation", ""),
    ("dedup_ratio", "Dedup", ""),
    ("read_ops", "Reads", ""),
    ("write_ops", "Writes", ""),
    ("read_bytes", "Read", ""),
    ("write_bytes", "Written", ""),
    ("scan", "Scan", ""),
    ("system", "System", ""),
    ("distribution", "Distribution", ""),
    ("distribution_version", "Version", ""),
    ("kernel", "Kernel", ""),
    ("architecture", "Architecture", ""),
    ("hostname", "Host name", ""),
    ("cpu_model", "CPU", ""),
    ("cpu_count", "Cores", ""),
    ("memory_total_mb", "Memory", ""),
    ("boot_time", "Booted", ""),
    ("agent_version", "Agent", ""),
    ("virtualization", "Virtualization", ""),
    ("exit_code", "Exit code", ""),
    ("duration_s", "Took", ""),
];

/// Title of a plugin's card.
pub fn plugin_title(name: &str) -> String {
    let known = match name {
        "os_info" => "System",
        "cpu_monitor" => "CPU",
        "memory_monitor" => "Memory",
        "disk_monitor" => "Disks",
        "network_monitor" => "Network",
        "ping_monitor" => "Ping",
        "filesystem_info" => "Filesystems",
        "nagios_runner" => "Nagios checks",
        "zfs_monitor" => "ZFS",
        other => return words(other),
    };
    known.to_owned()
}

/// Title of a table inside a plugin's data, and of its first column.
pub fn table_title(key: &str) -> (String, &'static str) {
    let (title, column) = match key {
        "partitions" => ("Partitions", "Mounted on"),
        "filesystems" => ("Filesystems", "Mounted on"),
        "io" => ("Disk I/O", "Device"),
        "interfaces" => ("Interfaces", "Interface"),
        "hosts" => ("Targets", "Target"),
        "pools" => ("Pools", "Pool"),
        other => return (words(other), "Name"),
    };
    (title.to_owned(), column)
}

/// Label and help of a field.
pub fn label(key: &str) -> (String, &'static str) {
    match LABELS.iter().find(|(known, ..)| *known == key) {
        Some((_, label, help)) => ((*label).to_owned(), help),
        None => (words(without_unit(key)), ""),
    }
}

/// Where a column stands among others: what it is, how it is, how much; then as in the list of
/// labels.
pub fn column_rank(key: &str) -> usize {
    const FIRST: [&str; 12] = [
        "health",
        "alive",
        "up",
        "device",
        "fstype",
        "total_gb",
        "size_gb",
        "percent",
        "capacity_percent",
        "used_gb",
        "free_gb",
        "inodes_percent",
    ];
    let first = FIRST.iter().position(|known| *known == key);
    let listed = LABELS.iter().position(|(known, ..)| *known == key).unwrap_or(LABELS.len());
    first.unwrap_or(FIRST.len() + listed)
}

/// Where a table stands in its card: what an operator looks for first.
pub fn table_rank(key: &str) -> u8 {
    u8::from(key == "io")
}

/// A unit that stands behind the plain number; `None` where the number is converted (bytes, times).
pub fn plain_unit(key: &str) -> Option<&'static str> {
    let suffixes = [
        "_mb",
        "_gb",
        "_bytes",
        "_mb_s",
        "_seconds",
        "_s",
        "boot_time",
        "uptime",
        "_time",
        "started",
    ];
    if suffixes.iter().any(|suffix| key.ends_with(suffix)) {
        return None;
    }
    Some(match key {
        k if k.ends_with("percent") => "%",
        k if k.ends_with("_ms") => "ms",
        k if k.ends_with("_mhz") => "MHz",
        k if k.ends_with("_mbit") => "Mbit/s",
        k if k.ends_with("_iops") => "/s",
        k if k.ends_with("_c") => "°C",
        k if k.starts_with("psi_") => "%",
        "dedup_ratio" => "×",
        _ => "",
    })
}

/// A value with its unit, for a person.
pub fn render(key: &str, value: &Value, clock: &Clock) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::Bool(true) if key == "up" => "up".to_owned(),
        Value::Bool(false) if key == "up" => "down".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => cut_with_mark(text),
        Value::Number(number) => render_number(key, number.as_f64().unwrap_or(f64::NAN), clock),
        Value::Array(items) => {
            let texts: Vec<_> = items.iter().take(32).map(|v| render(key, v, clock)).collect();
            cut_with_mark(&texts.join(", "))
        }
        Value::Object(_) => cut_with_mark(&value.to_string()),
    }
}

fn render_number(key: &str, value: f64, clock: &Clock) -> String {
    match plain_unit(key) {
        Some("") => number::short(value),
        Some(unit) => format!("{} {unit}", number::short(value)),
        None if key.ends_with("_mb_s") => format!("{}/s", number::bytes(value * MIB)),
        None if key.ends_with("_mb") => number::bytes(value * MIB),
        None if key.ends_with("_gb") => number::bytes(value * MIB * 1024.0),
        None if key.ends_with("_bytes") => number::bytes(value),
        None if (key.ends_with("_time") || key.ends_with("started")) && value > 1e9 => {
            clock.date(Wall::from_secs_f64(value)).text
        }
        None if value.abs() < 10.0 => format!("{} s", number::short(value)),
        None => span(Duration::from_secs_f64(value.clamp(0.0, 1e10))),
    }
}

fn cut_with_mark(text: &str) -> String {
    let short = cut(text, TEXT_MAX);
    if short.len() < text.len() { format!("{short}…") } else { text.to_owned() }
}

fn without_unit(key: &str) -> &str {
    let suffixes = ["_percent", "_mb_s", "_mb", "_gb", "_ms", "_bytes", "_seconds", "_s"];
    let stem = suffixes.iter().find_map(|suffix| key.strip_suffix(suffix));
    stem.filter(|stem| !stem.is_empty()).unwrap_or(key)
}

/// `queue_depth` → `Queue depth`
fn words(key: &str) -> String {
    let spaced = key.replace('_', " ");
    let mut chars = spaced.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => spaced,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;
    use serde_json::json;

    #[test]
    fn values_carry_their_units() {
        let clock = Clock::new(Wall::from_secs(1_795_360_841), TimeZone::UTC);
        let table = [
            ("cpu_percent", json!(34.12), "34.1 %"),
            ("free_gb", json!(33.6), "33.6 GB"),
            ("total_mb", json!(65_536), "64 GB"),
            ("rx_mb_s", json!(10.5), "10.5 MB/s"),
            ("rx_bytes", json!(1_048_576), "1 MB"),
            ("rtt_ms", json!(null), "–"),
            ("uptime_seconds", json!(3_553_200), "41 d 3 h"),
            ("boot_time", json!(1_791_810_000), "12 Oct 2026, 13:00 UTC"),
            ("up", json!(true), "up"),
            ("stuck", json!(false), "no"),
            ("per_core", json!([1.5, 2]), "1.5, 2"),
            ("dedup_ratio", json!(1.0), "1 ×"),
        ];
        for (key, value, want) in table {
            assert_eq!(render(key, &value, &clock), want, "{key}");
        }
        let long = Value::String("ü".repeat(500));
        assert_eq!(render("x", &long, &clock).chars().count(), 151);
    }

    /// What is counted has no unit; a number of any other field that the pages know has one.
    #[test]
    fn every_number_that_is_known_has_a_unit_or_is_a_count() {
        const COUNTS: [&str; 18] = [
            "load_1min",
            "load_5min",
            "load_15min",
            "process_count",
            "rx_packets",
            "tx_packets",
            "errors_total",
            "dropped_total",
            "tcp_established",
            "tcp_time_wait",
            "udp_sockets",
            "health_code",
            "read_ops",
            "write_ops",
            "cpu_count",
            "exit_code",
            // Texts and truth values.
            "up",
            "alive",
        ];
        const TEXTS: [&str; 15] = [
            "fstype",
            "device",
            "options",
            "health",
            "scan",
            "system",
            "distribution",
            "distribution_version",
            "kernel",
            "architecture",
            "hostname",
            "cpu_model",
            "agent_version",
            "virtualization",
            "devices",
        ];
        let clock = Clock::new(Wall::from_secs(1_795_360_841), TimeZone::UTC);
        for (key, ..) in LABELS.iter().filter(|(key, ..)| !TEXTS.contains(key)) {
            let shown = render(key, &json!(12.5), &clock);
            let has_unit = !shown.ends_with(|c: char| c.is_ascii_digit());
            assert!(has_unit != COUNTS.contains(key), "{key}: {shown}");
        }
    }

    #[test]
    fn labels_fall_back_to_words() {
        assert_eq!(label("cpu_percent").0, "CPU");
        assert_eq!(label("oldest_ms").0, "Oldest");
        assert_eq!(label("_ms").0, " ms");
        assert_eq!(plugin_title("queue_depth"), "Queue depth");
    }
}
