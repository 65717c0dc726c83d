//! Hosts, events and ghosts as tables and lines: what `status`, `hosts`, `host`, `events` and `ghosts` print.

use super::table::{Layout, ago, render};
use super::{Asker, Printed, encode_segment, json, now};
use crate::{EXIT_FAILED, EXIT_OK};
use heartbeat::engine::view::Severity;
use heartbeat::text;
use heartbeat::time::render_duration;
use serde_json::Value;
use std::time::Duration;

/// Hosts that `status` lists.
const WORST_MAX: usize = 10;

impl Asker<'_> {
    /// One screen: how many of each kind, and the worst.
    pub fn status(&self) -> Printed {
        let hosts = self.get("/api/0/hosts")?;
        let health = self.get("/healthz").unwrap_or_default();
        if self.invocation.json {
            let counts: serde_json::Map<String, Value> = Severity::ALL
                .iter()
                .map(|s| (s.as_str().to_owned(), count(&hosts, *s).into()))
                .collect();
            let value = serde_json::json!({ "health": health, "counts": counts });
            return Ok((EXIT_OK, json(&value)));
        }
        Ok((EXIT_OK, status_text(self.layout, &hosts, &health, now())))
    }

    /// As a Nagios plugin answers (SPEC section 1): 2 where a host is down or an alert critical, 1 for warning or
    /// unknown.
    pub fn check(&self) -> Printed {
        Ok(check_text(&self.get("/api/0/hosts")?))
    }

    pub fn hosts(&self) -> Printed {
        let filter = encode_segment(&self.invocation.words.join(" "));
        let value = self.get(&format!("/api/0/hosts?q={filter}"))?;
        self.printed(&value, || host_table(self.layout, list(&value, "hosts"), now()))
    }

    pub fn host(&self) -> Printed {
        let host = self.get(&self.host_path(""))?;
        let plugins = self.get(&self.host_path("/plugins"))?;
        let both = serde_json::json!({ "host": host, "plugins": plugins.get("plugins") });
        self.printed(&both, || host_text(&host, &plugins, now()))
    }
}

/// The items of a list in an object; nothing where there is none.
pub fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

pub fn field<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

pub fn number(value: &Value, key: &str) -> Option<f64> {
    value.get(key).and_then(Value::as_f64)
}

fn count(hosts: &Value, severity: Severity) -> usize {
    list(hosts, "hosts").filter(|host| field(host, "severity") == severity.as_str()).count()
}

fn status_text(layout: Layout, hosts: &Value, health: &Value, now: f64) -> String {
    let uptime = Duration::from_secs_f64(number(health, "uptime_s").unwrap_or(0.0).max(0.0));
    let mut out = format!(
        "heartbeat {} {}, up {}\n",
        field(health, "version"),
        field(health, "status"),
        render_duration(uptime)
    );
    let counts: Vec<String> = Severity::ALL
        .into_iter()
        .map(|severity| (count(hosts, severity), severity.as_str()))
        .filter(|(n, name)| *n > 0 || *name == "up")
        .map(|(n, name)| format!("{n} {name}"))
        .collect();
    out.push_str(&counts.join(", "));
    out.push('\n');
    let bad = || list(hosts, "hosts").filter(|host| field(host, "severity") != "up");
    if bad().next().is_some() {
        out.push('\n');
        out.push_str(&host_table(layout, bad().take(WORST_MAX), now));
        let more = bad().count().saturating_sub(WORST_MAX);
        if more > 0 {
            out.push_str(&format!("and {more} more: hbd hosts\n"));
        }
    }
    out
}

fn check_text(hosts: &Value) -> (u8, String) {
    const NAGIOS: [&str; 3] = ["OK", "WARNING", "CRITICAL"];
    let n = |severity| count(hosts, severity);
    let (down, critical) = (n(Severity::Down), n(Severity::Critical));
    let (warning, unknown) = (n(Severity::Warning), n(Severity::Unknown));
    let total = list(hosts, "hosts").count();
    let status = match (down + critical, warning + unknown) {
        (0, 0) => EXIT_OK,
        (0, _) => EXIT_FAILED,
        _ => 2,
    };
    let names: Vec<&str> = list(hosts, "hosts")
        .filter(|host| field(host, "severity") == "down")
        .map(|host| field(host, "name"))
        .take(WORST_MAX)
        .collect();
    let named = if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) };
    let text = format!(
        "HEARTBEAT {} - {total} hosts, {down} down, {critical} critical, {warning} warning, \
         {unknown} unknown{named} | down={down} critical={critical} warning={warning} \
         unknown={unknown} hosts={total}\n",
        NAGIOS[usize::from(status)]
    );
    (status, text)
}

fn host_table<'a>(layout: Layout, hosts: impl Iterator<Item = &'a Value>, now: f64) -> String {
    let titles = ["STATE", "FOR", "HOST", "IPV4", "IPV6", "RTT", "SEEN", "UPTIME", "ALERTS", "WHY"];
    let rows: Vec<Vec<String>> = hosts.map(|host| host_row(host, now)).collect();
    render(layout, &titles, &rows)
}

fn host_row(host: &Value, now: f64) -> Vec<String> {
    let connection = |family| list(host, "connections").find(|c| field(c, "family") == family);
    let address = |family| connection(family).map_or("-", |c| field(c, "address")).to_owned();
    let rtt = list(host, "connections").filter_map(|c| number(c, "rtt_ms")).reduce(f64::min);
    vec![
        field(host, "severity").to_owned(),
        ago(now, number(host, "since")),
        field(host, "name").to_owned(),
        address("ipv4"),
        address("ipv6"),
        rtt.map_or("-".to_owned(), |ms| format!("{ms:.1} ms")),
        ago(now, number(host, "last_seen")),
        ago(now, number(host, "boot_time")),
        alerts(host),
        why(host, now),
    ]
}

fn alerts(host: &Value) -> String {
    let Some(alerts) = host.get("alerts") else { return "-".to_owned() };
    let parts: Vec<String> = ["critical", "warning", "unknown"]
        .into_iter()
        .filter_map(|level| Some((number(alerts, level).filter(|n| *n > 0.0)?, level)))
        .map(|(n, level)| format!("{n} {level}"))
        .collect();
    if parts.is_empty() { "-".to_owned() } else { parts.join(" ") }
}

fn why(host: &Value, now: f64) -> String {
    let told = field(host, "why");
    if !told.is_empty() {
        return told.to_owned();
    }
    match (field(host, "state"), number(host, "last_seen")) {
        ("down" | "late" | "unreachable", seen @ Some(_)) => {
            format!("no heartbeat for {}", ago(now, seen))
        }
        ("down" | "unknown", None) => "never reported".to_owned(),
        ("degraded", _) => list(host, "connections")
            .find(|c| field(c, "state") == "down")
            .map(|c| format!("{} {} lost", field(c, "family"), field(c, "address")))
            .unwrap_or_default(),
        _ => String::new(),
    }
}

/// One host as `key: value` lines, then the numbers of its plugins.
fn host_text(host: &Value, plugins: &Value, now: f64) -> String {
    let mut out = String::new();
    let mut line = |key: &str, value: String| {
        if !value.is_empty() && value != "-" {
            out.push_str(&format!("{key:<12} {}\n", text::escape_control(&value)));
        }
    };
    line("host", field(host, "name").to_owned());
    line("state", format!("{} for {}", field(host, "state"), ago(now, number(host, "since"))));
    line("why", why(host, now));
    line("seen", ago(now, number(host, "last_seen")));
    line("uptime", ago(now, number(host, "boot_time")));
    line("version", field(host, "version").to_owned());
    line("owner", field(host, "owner").to_owned());
    line("group", field(host, "group").to_owned());
    let tags: Vec<&str> = list(host, "tags").filter_map(Value::as_str).collect();
    line("tags", tags.join(" "));
    line("alerts", alerts(host));
    for connection in list(host, "connections") {
        let rtt = number(connection, "rtt_ms").map(|ms| format!(", {ms:.1} ms"));
        let value = format!(
            "{} {}{}",
            field(connection, "address"),
            field(connection, "state"),
            rtt.unwrap_or_default()
        );
        line(field(connection, "family"), value);
    }
    for (name, plugin) in plugins.get("plugins").and_then(Value::as_object).into_iter().flatten() {
        let data = plugin.get("data").map(Value::to_string).unwrap_or_default();
        line(name, data);
    }
    out
}

/// Oldest first, as a log reads.
pub fn event_lines(value: &Value) -> String {
    let mut events: Vec<&Value> = list(value, "events").collect();
    events.reverse();
    let line = |event: &&Value| {
        let at = number(event, "timestamp").unwrap_or(0.0);
        let level = field(event, "level");
        let level = if level.is_empty() { "-" } else { level };
        let text = text::escape_control(field(event, "text"));
        format!("{}\t{level}\t{}\t{text}\n", local_time(at), field(event, "kind"))
    };
    events.iter().map(line).collect()
}

pub fn ghost_table(layout: Layout, value: &Value, now: f64) -> String {
    let rows: Vec<Vec<String>> = list(value, "ghosts")
        .map(|ghost| {
            vec![
                field(ghost, "name").to_owned(),
                field(ghost, "address").to_owned(),
                number(ghost, "count").unwrap_or(0.0).to_string(),
                ago(now, number(ghost, "last")),
                field(ghost, "reason").to_owned(),
            ]
        })
        .collect();
    render(layout, &["NAME", "ADDRESS", "COUNT", "LAST", "REASON"], &rows)
}

/// `2026-12-01 22:00:05` in the machine's zone.
pub fn local_time(secs: f64) -> String {
    let at = jiff::Timestamp::from_second(secs as i64).unwrap_or_default();
    at.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn fleet() -> Value {
        serde_json::json!({ "hosts": [
            { "name": "web-12", "state": "down", "severity": "down", "since": 940.0,
              "last_seen": 875.0, "alerts": { "critical": 0, "warning": 0, "unknown": 0 },
              "connections": [{ "family": "ipv4", "address": "192.0.2.10", "state": "down" }] },
            { "name": "db", "state": "up", "severity": "up", "since": 0.0, "last_seen": 998.0,
              "boot_time": 100.0, "alerts": { "critical": 0, "warning": 0, "unknown": 0 },
              "connections": [{ "family": "ipv6", "address": "2001:db8::1", "state": "up",
                                "rtt_ms": 0.84 }] },
        ]})
    }

    #[test]
    fn status_shows_counts_and_the_worst() {
        let health = serde_json::json!({ "version": "0.1.0", "status": "ok", "uptime_s": 100.5 });
        let text = status_text(Layout::Terminal { columns: 100 }, &fleet(), &health, 1000.0);
        expect![[r#"
            heartbeat 0.1.0 ok, up 1m 40s
            1 down, 1 up

            STATE  FOR  HOST    IPV4        IPV6  RTT  SEEN   UPTIME  ALERTS  WHY
            down   1m   web-12  192.0.2.10  -     -    2m 5s  -       -       no heartbeat for 2m 5s
        "#]]
        .assert_eq(&text);
    }

    #[test]
    fn check_follows_nagios() {
        let (status, text) = check_text(&fleet());
        assert_eq!(status, 2);
        expect![[r#"
            HEARTBEAT CRITICAL - 2 hosts, 1 down, 0 critical, 0 warning, 0 unknown: web-12 | down=1 critical=0 warning=0 unknown=0 hosts=2
        "#]]
        .assert_eq(&text);
        assert_eq!(check_text(&Value::Null).0, 0);
        let warning = serde_json::json!({ "hosts": [{ "severity": "warning" }] });
        assert_eq!(check_text(&warning).0, 1);
    }
}
