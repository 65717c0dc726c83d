//! Hosts and ghosts as tables and lines: what `status`, `hosts`, `host` and `ghosts` print.

use super::screen::{Form, Screen};
use super::table::{Layout, ago, render};
use super::{Asker, Failure, Printed, encode_segment, failure, json, now};
use crate::{EXIT_FAILED, EXIT_OK, EXIT_USAGE};
use heartbeat::engine::view::Severity;
use heartbeat::os::thread;
use heartbeat::time::{parse_duration, render_duration};
use heartbeat::web::unknown_in_filter;
use heartbeat::{os, text};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

/// Hosts that `status` lists.
const WORST_MAX: usize = 10;
/// Events that `host` lists.
const LAST_EVENTS: usize = 5;

impl Asker<'_> {
    /// One screen: how many of each kind, the worst, and how the server itself is.
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
        let place = match &self.server {
            super::Server::Socket(_) => os::name::host_name().unwrap_or_default(),
            remote => remote.to_string(),
        };
        let text = match self.layout {
            Layout::Plain => plain_status(&hosts, &health, now()),
            Layout::Terminal { columns } => {
                status_screen(&self.screen, columns, &place, &hosts, &health, now())
            }
        };
        Ok((EXIT_OK, self.screen.dress(text)))
    }

    /// As a Nagios plugin answers (SPEC section 1): 2 where a host is down or an alert critical, 1 for warning or
    /// unknown.
    pub fn check(&self) -> Printed {
        Ok(check_text(&self.get("/api/0/hosts")?))
    }

    pub fn hosts(&self) -> Printed {
        // All hosts in the place of those of a state that is misspelt would be a lie.
        if let Some(word) = unknown_in_filter(&self.invocation.words.join(" ")).first() {
            let words = match word.strip_prefix("state:") {
                Some(_) => format!(
                    "{word:?} names no state: down, crit, warn, late, degraded, unreach, unk, maint, up"
                ),
                None => format!("{word:?} is no filter; `hbd help filters` tells of them"),
            };
            return Err(failure(EXIT_USAGE, words));
        }
        let Some(every) = self.invocation.refresh.as_deref() else {
            return Ok((EXIT_OK, self.host_list()?));
        };
        let every = parse_duration(every).filter(|span| !span.is_zero()).ok_or_else(|| {
            failure(EXIT_USAGE, format!("--watch {every:?} is no number of seconds"))
        })?;
        let clear = if self.layout == Layout::Plain { "" } else { "\x1b[2J\x1b[H" };
        let mut out = std::io::stdout();
        loop {
            let text = format!("{clear}{}", self.host_list()?);
            if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
                return Ok((EXIT_OK, String::new()));
            }
            thread::pause(every);
        }
    }

    fn host_list(&self) -> Result<String, Failure> {
        let filter = encode_segment(&self.invocation.words.join(" "));
        let value = self.get(&format!("/api/0/hosts?q={filter}"))?;
        let hosts: Vec<&Value> = list(&value, "hosts").collect();
        if self.invocation.names {
            return Ok(hosts.iter().map(|host| format!("{}\n", field(host, "name"))).collect());
        }
        let columns = columns(self.invocation.columns.as_deref())?;
        let now = now();
        let rows: Vec<Vec<String>> = hosts.iter().map(|host| host_row(host, now)).collect();
        Ok(host_table(&self.screen, &columns, &value, &hosts, &rows))
    }

    pub fn host(&self) -> Printed {
        let host = self.get(&self.host_path(""))?;
        let plugins = self.get(&self.host_path("/plugins"))?;
        let alerts = self.get(&self.host_path("/alerts?kind=all"))?;
        let name = encode_segment(field(&host, "name"));
        let events = self.get(&format!("/api/0/events?limit={LAST_EVENTS}&host={name}"))?;
        let all = serde_json::json!({ "host": host, "plugins": plugins.get("plugins"),
                                      "alerts": alerts.get("alerts"), "events": events.get("events") });
        self.printed(&all, || self.screen.dress(host_text(&all, now())))
    }

    pub fn ghost_table(&self, value: &Value) -> Printed {
        let now = now();
        let ghosts: Vec<&Value> = list(value, "ghosts").collect();
        let row = |ghost: &&Value| {
            vec![
                field(ghost, "name").to_owned(),
                field(ghost, "address").to_owned(),
                number(ghost, "count").unwrap_or(0.0).to_string(),
                ago(now, number(ghost, "last")),
                field(ghost, "reason").to_owned(),
            ]
        };
        let rows: Vec<Vec<String>> = ghosts.iter().map(row).collect();
        let titles = ["NAME", "ADDRESS", "COUNT", "LAST", "REASON"];
        Ok((EXIT_OK, self.screen.list(value, &ghosts, &titles, &rows)))
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

/// For pipes: what can be counted, then the worst hosts with tabs.
fn plain_status(hosts: &Value, health: &Value, now: f64) -> String {
    let mut out = format!(
        "heartbeat {} {}, up {}\n",
        field(health, "version"),
        field(health, "status"),
        uptime(health)
    );
    let counts: Vec<String> = counts(hosts).map(|(n, name)| format!("{n} {name}")).collect();
    out.push_str(&counts.join(", "));
    out.push('\n');
    let rows: Vec<Vec<String>> = worst(hosts).take(WORST_MAX).map(|h| host_row(h, now)).collect();
    if !rows.is_empty() {
        out.push('\n');
        out.push_str(&render(Layout::Plain, &TITLES, &rows));
        out.push_str(&more(hosts, ""));
    }
    let own = own_state(health);
    if !own.is_empty() {
        out.push('\n');
        out.push_str(&own);
    }
    out
}

fn status_screen(
    screen: &Screen,
    columns: usize,
    place: &str,
    hosts: &Value,
    health: &Value,
    now: f64,
) -> String {
    let rate: f64 = list(hosts, "hosts").map(heartbeats_a_second).sum();
    let left = format!(
        "heartbeat {} on {place}, up {}, {rate:.1} heartbeats/s",
        field(health, "version"),
        uptime(health)
    );
    let clock = clock_time(now);
    let gap = columns.saturating_sub(left.chars().count() + clock.len()).max(2);
    let mut out = match left.chars().count() + clock.len() + 2 > columns {
        true => left + "\n",
        false => format!("{left}{:gap$}{clock}\n", ""),
    };
    let parts: Vec<(String, String)> = counts(hosts)
        .map(|(n, name)| (format!("{} {n} {name}", screen.mark(name)), name.to_owned()))
        .collect();
    let mut width = 0;
    for (text, name) in &parts {
        let gap = if width == 0 { 0 } else { 3 };
        let length = text.chars().count();
        if width + gap + length > columns {
            out.push('\n');
            width = 0;
        }
        let gap = if width == 0 { 0 } else { 3 };
        let _ = write!(out, "{:gap$}{}", "", screen.paint(name, text));
        width += gap + length;
    }
    out.push('\n');
    let bad: Vec<&Value> = worst(hosts).take(WORST_MAX).collect();
    if !bad.is_empty() {
        out.push('\n');
        let rows: Vec<Vec<String>> = bad
            .iter()
            .map(|host| {
                let [state, since, name, .., why] = &host_row(host, now)[..] else { return vec![] };
                [state, since, name, why].map(Clone::clone).to_vec()
            })
            .collect();
        let table = render(
            Layout::Terminal { columns: columns.saturating_sub(3) },
            &["STATE", "FOR", "HOST", "WHY"],
            &rows,
        );
        let marks =
            std::iter::once(" ").chain(bad.iter().map(|h| screen.mark(field(h, "severity"))));
        for (n, (mark, line)) in marks.zip(table.lines()).enumerate() {
            let severity = n.checked_sub(1).map_or("", |n| field(bad[n], "severity"));
            let _ = writeln!(out, "{}", screen.paint(severity, &format!("{mark}  {line}")));
        }
        out.push_str(&more(hosts, "   … "));
    }
    let own = own_state(health);
    let cut = |line: &str| line.chars().take(columns).collect::<String>();
    for (n, line) in own.lines().enumerate() {
        let _ = writeln!(out, "{}{}", if n == 0 { "\n" } else { "" }, cut(line));
    }
    out
}

/// Those of the name server that this server keeps.
fn dns_state(dns: &Value) -> String {
    let n = |key| number(dns, key).unwrap_or(0.0);
    let s = |n: f64| if n == 1.0 { "" } else { "s" };
    let (domains, failing) = (n("domains"), n("failing"));
    let mut out = format!("{domains} domain{}, {} queued", s(domains), n("queued"));
    match number(dns, "last_update") {
        Some(at) => {
            let _ = write!(out, ", last update {}", local_time(at));
        }
        None => out.push_str(", no update yet"),
    }
    if failing > 0.0 {
        let _ = write!(out, ", {failing} FAILING");
    }
    out
}

fn journal_state(journal: &Value) -> String {
    let n = |key| number(journal, key).unwrap_or(0.0);
    let ok = journal.get("ok").and_then(Value::as_bool).unwrap_or(true);
    let state = if ok { "" } else { ", FAILING: the disk does not take it" };
    let (bytes, most) = (size(n("bytes")), size(n("bytes_max")));
    format!("{bytes} of {most}, {} dropped{state}", n("dropped"))
}

fn size(bytes: f64) -> String {
    const UNITS: [(&str, f64); 3] = [("GB", 1073741824.0), ("MB", 1048576.0), ("kB", 1024.0)];
    match UNITS.into_iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) if bytes / unit < 10.0 => format!("{:.1} {name}", bytes / unit),
        Some((name, unit)) => format!("{:.0} {name}", bytes / unit),
        None => format!("{bytes:.0} B"),
    }
}

/// The ways of notification and the queues, where they tell something.
fn own_state(health: &Value) -> String {
    let mut out = String::new();
    let channels = health.get("channels").and_then(Value::as_object).into_iter().flatten();
    let channels: Vec<String> =
        channels.map(|(name, channel)| channel_state(name, channel)).collect();
    if !channels.is_empty() {
        let _ = writeln!(out, "notify   {}", text::escape_control(&channels.join(" · ")));
    }
    if let Some(dns) = health.get("dns") {
        let _ = writeln!(out, "dns      {}", dns_state(dns));
    }
    if let Some(journal) = health.get("journal") {
        let _ = writeln!(out, "journal  {}", journal_state(journal));
    }
    let queues = health.get("queues").and_then(Value::as_object).into_iter().flatten();
    let queues: Vec<String> = queues
        .map(|(name, queue)| {
            let n = |key| number(queue, key).unwrap_or(0.0);
            format!("{name} {} waiting, {} dropped", n("depth"), n("dropped"))
        })
        .collect();
    if !queues.is_empty() {
        let _ = writeln!(out, "queues   {}", queues.join(" · "));
    }
    out
}

fn channel_state(name: &str, channel: &Value) -> String {
    let ok = channel.get("ok").and_then(Value::as_bool);
    let state = match (field(channel, "status"), ok) {
        ("", Some(true)) => "ok",
        ("", Some(false)) => "FAILING",
        (status, _) => status,
    };
    let mut out = format!("{name} {state}").trim_end().to_owned();
    if let Some(queued) = number(channel, "queued").filter(|n| *n > 0.0) {
        let _ = write!(out, ", {queued} queued");
    }
    out
}

fn uptime(health: &Value) -> String {
    let span = Duration::from_secs_f64(number(health, "uptime_s").unwrap_or(0.0).max(0.0));
    render_duration(span)
}

/// What a host that is up promises to send, over all its connections.
fn heartbeats_a_second(host: &Value) -> f64 {
    let alive = list(host, "connections").filter(|c| field(c, "state") == "up").count() as f64;
    number(host, "interval").filter(|secs| *secs > 0.0).map_or(0.0, |secs| alive / secs)
}

/// How many of each severity; those with none are left out, but up.
fn counts(hosts: &Value) -> impl Iterator<Item = (usize, &'static str)> {
    Severity::ALL
        .into_iter()
        .map(|severity| (count(hosts, severity), severity.as_str()))
        .filter(|(n, name)| *n > 0 || *name == "up")
}

fn worst(hosts: &Value) -> impl Iterator<Item = &Value> {
    list(hosts, "hosts").filter(|host| field(host, "severity") != "up")
}

fn more(hosts: &Value, lead: &str) -> String {
    let more = worst(hosts).count().saturating_sub(WORST_MAX);
    let lead = if lead.is_empty() { "and " } else { lead };
    if more == 0 { String::new() } else { format!("{lead}{more} more: hbd hosts\n") }
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

const TITLES: [&str; 10] =
    ["STATE", "FOR", "HOST", "IPV4", "IPV6", "RTT", "SEEN", "UPTIME", "ALERTS", "WHY"];

/// Which columns `--columns state,host,why` chooses, in its order; without it all.
fn columns(chosen: Option<&str>) -> Result<Vec<usize>, Failure> {
    let Some(chosen) = chosen else { return Ok((0..TITLES.len()).collect()) };
    let find = |name: &str| {
        let found = TITLES.iter().position(|title| title.eq_ignore_ascii_case(name.trim()));
        found.ok_or_else(|| {
            let all = TITLES.join(", ").to_ascii_lowercase();
            failure(EXIT_USAGE, format!("no column {name:?}; there are {all}"))
        })
    };
    chosen.split(',').map(find).collect()
}

fn host_table(
    screen: &Screen,
    columns: &[usize],
    whole: &Value,
    hosts: &[&Value],
    rows: &[Vec<String>],
) -> String {
    let titles: Vec<&str> = columns.iter().map(|at| TITLES[*at]).collect();
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| columns.iter().map(|at| row[*at].clone()).collect()).collect();
    let text = screen.list(whole, hosts, &titles, &rows);
    if screen.form != Form::Table || !screen.color {
        return text;
    }
    let severities = std::iter::once("").chain(hosts.iter().map(|host| field(host, "severity")));
    let lines = text.lines().zip(severities).map(|(line, s)| screen.paint(s, line) + "\n");
    lines.collect()
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

/// One host as `key: value` lines, then its alerts, the numbers of its plugins, and what happened last.
fn host_text(all: &Value, now: f64) -> String {
    let host = &all["host"];
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
    let names = |key: &str| list(host, key).filter_map(Value::as_str).collect::<Vec<_>>().join(" ");
    line("owner", field(host, "owner").to_owned());
    line("managers", names("managers"));
    line("monitors", names("monitors"));
    line("group", field(host, "group").to_owned());
    line("tags", names("tags"));
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
    for alert in list(all, "alerts") {
        let value = format!(
            "{} {} for {}",
            field(alert, "level"),
            field(alert, "metric_path"),
            ago(now, number(alert, "since"))
        );
        line("alert", value);
    }
    for (name, plugin) in all["plugins"].as_object().into_iter().flatten() {
        let data = plugin.get("data").map(Value::to_string).unwrap_or_default();
        line(name, data);
    }
    for event in list(all, "events") {
        let at = local_time(number(event, "timestamp").unwrap_or(0.0));
        line("event", format!("{at} {}", field(event, "text")));
    }
    out
}

/// `16:20:41 CET` in the machine's zone.
fn clock_time(secs: f64) -> String {
    let at = jiff::Timestamp::from_second(secs as i64).unwrap_or_default();
    at.to_zoned(jiff::tz::TimeZone::system()).strftime("%H:%M:%S %Z").to_string()
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

    fn screen(columns: usize, utf8: bool) -> Screen {
        let layout = Layout::Terminal { columns };
        Screen { layout, form: Form::Table, color: false, utf8 }
    }

    /// `text` is not wider than it may be.
    fn assert_fits(text: &str, columns: usize) {
        assert!(text.lines().all(|line| line.chars().count() <= columns), "{columns}:\n{text}");
    }

    #[test]
    fn status_in_a_pipe_shows_counts_and_the_worst() {
        let health = serde_json::json!({ "version": "0.1.0", "status": "ok", "uptime_s": 100.5 });
        let text = plain_status(&fleet(), &health, 1000.0);
        let want = "heartbeat 0.1.0 ok, up 1m 40s\n1 down, 1 up\n\n\
                    STATE\tFOR\tHOST\tIPV4\tIPV6\tRTT\tSEEN\tUPTIME\tALERTS\tWHY\n\
                    down\t1m\tweb-12\t192.0.2.10\t-\t-\t2m 5s\t-\t-\tno heartbeat for 2m 5s\n";
        assert_eq!(text, want);
    }

    #[test]
    fn status_screen_at_60_80_and_120_columns() {
        let health = serde_json::json!({ "version": "0.1.0", "status": "ok", "uptime_s": 100.5,
            "channels": { "pushover": { "ok": true }, "chat": { "ok": false, "queued": 3 } },
            "dns": { "domains": 2, "queued": 1, "failing": 0, "last_update": null },
            "journal": { "bytes": 74_448_896, "bytes_max": 1_153_433_600_u64, "dropped": 0, "ok": true },
            "queues": { "journal": { "depth": 0, "capacity": 8192, "dropped": 0 } } });
        let mut all = String::new();
        for (columns, utf8) in [(60, true), (80, true), (120, true), (80, false)] {
            let screen = screen(columns, utf8);
            let text = status_screen(&screen, columns, "mon", &fleet(), &health, 1000.0);
            // The clock is in the machine's zone.
            let first = text.lines().next().unwrap_or_default().to_owned();
            let text = screen.dress(text).replace(&first, first.split("  ").next().unwrap_or(""));
            assert_fits(&text, columns);
            all.push_str(&format!("{columns}\n{text}"));
        }
        expect_test::expect_file!["../../../../tests/golden/cli/status.txt"].assert_eq(&all);
    }

    #[test]
    fn hosts_at_60_80_and_120_columns() {
        let fleet = fleet();
        let hosts: Vec<&Value> = list(&fleet, "hosts").collect();
        let rows: Vec<Vec<String>> = hosts.iter().map(|host| host_row(host, 1000.0)).collect();
        let all: Vec<usize> = (0..TITLES.len()).collect();
        let mut text = String::new();
        for columns in [60, 80, 120] {
            let table = host_table(&screen(columns, true), &all, &fleet, &hosts, &rows);
            assert_fits(&table, columns);
            text.push_str(&format!("{columns}\n{table}"));
        }
        let some = columns(Some("host,why")).expect("columns");
        text.push_str(&host_table(&screen(80, true), &some, &fleet, &hosts, &rows));
        let csv = Screen { form: Form::Csv, ..screen(80, true) };
        text.push_str(&host_table(&csv, &some, &fleet, &hosts, &rows).replace('\r', ""));
        expect_test::expect_file!["../../../../tests/golden/cli/hosts.txt"].assert_eq(&text);
        assert!(columns(Some("host,colour")).is_err());
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
