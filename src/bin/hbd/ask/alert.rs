//! What `alerts` and `explain` print.

use super::fleet::{field, list, local_time, number};
use super::screen::{Form, Screen};
use super::table::ago;
use super::{Asker, Printed, encode_segment, now};
use heartbeat::text;
use serde_json::Value;

impl Asker<'_> {
    /// Alerts and outages, of one host or of all.
    pub fn alerts(&self) -> Printed {
        let value = match self.invocation.words.first() {
            Some(_) => self.get(&self.host_path("/alerts?kind=all"))?,
            None => self.get("/api/0/alerts?kind=all")?,
        };
        Ok((crate::EXIT_OK, alert_table(&self.screen, &value, now())))
    }

    pub fn explain(&self) -> Printed {
        let words: Vec<String> = self.invocation.words.iter().map(|w| encode_segment(w)).collect();
        let [host, metric] = words.as_slice() else {
            return Ok((crate::EXIT_USAGE, String::new()));
        };
        let given = self.invocation.value.as_deref().map(encode_segment);
        let given = given.map_or(String::new(), |value| format!("&value={value}"));
        let value = self.get(&format!("/api/0/explain?host={host}&metric={metric}{given}"))?;
        self.printed(&value, || explained(&value))
    }
}

fn alert_table(screen: &Screen, value: &Value, now: f64) -> String {
    let alerts: Vec<&Value> = list(value, "alerts").collect();
    let rows: Vec<Vec<String>> = alerts.iter().map(|alert| row(alert, now)).collect();
    if rows.is_empty() && screen.form == Form::Table {
        return "no alerts\n".to_owned();
    }
    let titles = ["LEVEL", "FOR", "HOST", "METRIC", "VALUE", "LIMIT", "CLEARS", "QUIET", "TEXT"];
    screen.list(value, &alerts, &titles, &rows)
}

fn row(alert: &Value, now: f64) -> Vec<String> {
    let mut quiet: Vec<String> = Vec::new();
    quiet.extend(alert["acknowledged"]["id"].as_str().map(|id| format!("ack {id}")));
    quiet.extend(alert["silenced"].as_str().map(|id| format!("silence {id}")));
    quiet.extend((alert["stale"] == true).then(|| "stale".to_owned()));
    let limit = format!("{} {}", field(alert, "operator"), plain(&alert["threshold_value"]));
    vec![
        field(alert, "level").to_owned(),
        ago(now, number(alert, "since")),
        field(alert, "host").to_owned(),
        field(alert, "metric_path").to_owned(),
        or_dash(plain(&alert["value"])),
        or_dash(limit.trim().to_owned()),
        or_dash(plain(&alert["recovers_at"])),
        or_dash(quiet.join(", ")),
        field(alert, "display").to_owned(),
    ]
}

fn or_dash(text: String) -> String {
    if text.is_empty() { "-".to_owned() } else { text }
}

/// A value as it was sent; nothing for null.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The answer as `key  value` lines.
fn explained(value: &Value) -> String {
    let mut out = String::new();
    let mut line = |key: &str, value: String| {
        if !value.is_empty() {
            out.push_str(&format!("{key:<12} {}\n", text::escape_control(&value)));
        }
    };
    line("host", field(value, "host").to_owned());
    line("metric", field(value, "metric").to_owned());
    line("value", plain(&value["value"]));
    line("state", value["state"].as_str().unwrap_or("no limit was judged").to_owned());
    line("recovers at", plain(&value["recovers_at"]));
    match value["entry"].as_str() {
        Some(entry) => line("entry", entry.to_owned()),
        None => line("entry", "none: no limit is for it".to_owned()),
    }
    line("profile", field(value, "profile").to_owned());
    let origin = &value["origin"];
    if let Some(file) = origin["file"].as_str() {
        line("from", format!("{file}:{}", plain(&origin["line"])));
    }
    let tried: Vec<&str> = list(value, "tried").filter_map(Value::as_str).collect();
    line("tried", tried.join(", "));
    line("text", field(value, "text").to_owned());
    line("display", field(value, "display_fault").to_owned());
    for receiver in list(value, "receivers") {
        let to = receiver["to"].as_str().map(|to| format!(" {to}")).unwrap_or_default();
        line("tells", format!("{}{to} ({})", field(receiver, "channel"), field(receiver, "why")));
    }
    for silence in list(value, "silences") {
        let until = number(silence, "until").map(local_time).unwrap_or_default();
        line(
            "silence",
            format!("{} until {until} {}", field(silence, "id"), field(silence, "reason")),
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ask::table::Layout;
    use expect_test::expect;
    use serde_json::json;

    #[test]
    fn alerts_are_a_table_with_what_quiets_them() {
        let layout = Layout::Terminal { columns: 120 };
        let screen = Screen { layout, form: Form::Table, color: false, utf8: true };
        let value = json!({ "alerts": [
            { "level": "CRITICAL", "since": 940.0, "host": "web1",
              "metric_path": "cpu_monitor.cpu_percent", "value": 95.5, "threshold_value": 90,
              "operator": ">", "recovers_at": 88.2, "display": "busy", "stale": false,
              "acknowledged": { "id": "a1" }, "silenced": "s2" },
            { "level": "CRITICAL", "since": 990.0, "host": "web2", "metric_path": "host",
              "value": null, "threshold_value": null, "operator": null, "recovers_at": null,
              "display": "2 heartbeats missed", "stale": false, "acknowledged": null,
              "silenced": null },
        ]});
        expect![[r#"
            LEVEL     FOR  HOST  METRIC                   VALUE  LIMIT  CLEARS  QUIET               TEXT
            CRITICAL  1m   web1  cpu_monitor.cpu_percent  95.5   > 90   88.2    ack a1, silence s2  busy
            CRITICAL  10s  web2  host                     -      -      -       -                   2 heartbeats missed
        "#]]
        .assert_eq(&alert_table(&screen, &value, 1000.0));
        assert_eq!(alert_table(&screen, &json!({ "alerts": [] }), 0.0), "no alerts\n");
    }

    #[test]
    fn explanation_is_read_line_by_line() {
        let value = json!({
            "host": "web1", "metric": "nagios_runner.check_x_status_code", "value": 2,
            "entry": "nagios_runner.status_code", "profile": null,
            "origin": { "file": "/etc/heartbeat/hbd.yaml", "line": 7 },
            "tried": ["nagios_runner.check_x_status_code", "nagios_runner.status_code"],
            "state": "CRITICAL", "recovers_at": null, "text": "CRITICAL: web1 - x = 2.0",
            "receivers": [{ "channel": "mail", "to": "ops@x", "user": null, "why": "pushsrv" }],
            "silences": [],
        });
        expect![[r#"
            host         web1
            metric       nagios_runner.check_x_status_code
            value        2
            state        CRITICAL
            entry        nagios_runner.status_code
            from         /etc/heartbeat/hbd.yaml:7
            tried        nagios_runner.check_x_status_code, nagios_runner.status_code
            text         CRITICAL: web1 - x = 2.0
            tells        mail ops@x (pushsrv)
        "#]]
        .assert_eq(&explained(&value));
    }
}
