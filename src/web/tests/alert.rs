//! Alerts, acknowledgements, silences, maintenance, limits and explanations, as bodies.

use crate::alert::Level;
use crate::calm::{Acknowledgement, Fault, FaultKind, Matcher, Silence};
use crate::config::server::Server;
use crate::engine::view::{Alert, AlertCounts, Host, Plugin, Sample, Severity, State, Told, Value};
use crate::engine::{Command, Outcome};
use crate::prng::Prng;
use crate::time::Duration;
use crate::web::fixture::{Bench, NOW, host, of_hosts, request};
use expect_test::{Expect, expect};
use std::sync::Arc;

fn alert(path: &str, level: Level, value: f64, limit: i64) -> Alert {
    Alert {
        path: path.into(),
        plugin: path.split('.').next().unwrap().into(),
        level,
        value: Value::Number(value),
        threshold_value: if level == Level::Ok { Value::Null } else { Value::Integer(limit) },
        operator: ">",
        recovers_at: (level != Level::Ok).then_some(limit as f64 * 0.98),
        since: NOW.wall - Duration::from_secs(300),
        last_notified: None,
        told: None,
        next_reminder: None,
        display: "".into(),
        acknowledged: None,
        silenced: None,
        stale: false,
    }
}

/// A minute ago.
fn told() -> Arc<Told> {
    let to = ["alice (email)", "chat"].map(str::to_owned).to_vec();
    Arc::new(Told { at: NOW.wall - Duration::from_secs(60), to })
}

fn ack(id: &str, alert: &str) -> Arc<Acknowledgement> {
    Arc::new(Acknowledgement {
        id: id.into(),
        alert: alert.into(),
        by: None,
        reason: "seen".to_owned(),
        since: NOW.wall,
        until: None,
    })
}

fn web1(prng: &mut Prng) -> Host {
    let mut web1 = host(0, "web1", Severity::Critical, prng);
    web1.alert_list = Arc::from([
        Alert {
            acknowledged: Some(ack("a1", "web1/cpu_monitor.cpu_percent")),
            silenced: Some("s1".into()),
            last_notified: Some(NOW.wall - Duration::from_secs(60)),
            ..alert("cpu_monitor.cpu_percent", Level::Warning, 85.0, 80)
        },
        Alert {
            stale: true,
            told: Some(told()),
            ..alert("disk_monitor./.percent", Level::Critical, 93.1, 90)
        },
        alert("memory_monitor.percent", Level::Ok, 12.0, 0),
    ]);
    web1.alerts = AlertCounts { warning: 0, critical: 1, unknown: 0 };
    web1.why = "".into();
    let data = r#"{"partitions":{"/":{"percent":93.1,"free_gb":4.5}}}"#;
    let samples = [Arc::new(Sample { at: NOW.wall, data: data.into() })].into();
    let name = "disk_monitor".into();
    web1.plugins = Arc::new(vec![Plugin { name, interval: Some(60), info: false, samples }]);
    web1
}

/// `web1` with alerts, `web2` down, `web3` well.
pub fn bench() -> Bench {
    let mut prng = Prng::new(1);
    let mut web2 = host(1, "web2", Severity::Down, &mut prng);
    web2.why = "2 heartbeats missed".into();
    let mut web3 = host(2, "web3", Severity::Up, &mut prng);
    web3.state = State::Up;
    let mut view = of_hosts(vec![web1(&mut prng), web2, web3]);
    view.acknowledgements = Arc::new(vec![ack("a2", "web2/host")]);
    view.silences = Arc::new(vec![Arc::new(Silence {
        id: "s1".into(),
        matcher: Matcher::from_words(["host:web*", "plugin:disk_monitor"]).unwrap(),
        by: None,
        reason: "disks".to_owned(),
        since: NOW.wall,
        until: NOW.wall + Duration::from_secs(3600),
    })]);
    let mut bench = Bench::new(0);
    bench.view = Arc::new(view);
    bench.config = config();
    bench
}

fn config() -> Server {
    let text = "\
thresholds:
  disk_monitor: {'*': {percent: {warning: 85, critical: 90, display: '(> {threshold_value} %)'}}}
  cpu_monitor: {cpu_percent: {warning: 80, critical: 95}}
threshold_configs: {tight: {thresholds: {cpu_monitor: {cpu_percent: {warning: 70}}}}}
hosts: {web1: {threshold_config: tight}}
channels:
  mail: {type: email, host: mx.example.net, from: hb@example.net, to: [ops@example.net]}
  push: {type: pushover, token: T, to: [USERKEY]}
pushsrv: [mail, push]
";
    crate::alert::fixture::server(text)
}

fn check(got: &crate::web::Response, want: Expect) {
    let text = String::from_utf8_lossy(got.body.as_bytes()).into_owned();
    want.assert_eq(&format!("{} {text}\n", got.status));
}

fn write(bench: &Bench, method: &str, path: &str, body: &str) -> crate::web::Response {
    let headers = [("Host", "mon"), ("Origin", "http://mon"), ("Content-Type", "application/json")];
    bench.ask(&request(method, path, &headers, body.as_bytes()))
}

fn ids(bench: &Bench, query: &str) -> Vec<String> {
    let body: serde_json::Value = serde_json::from_str(&bench.text(query)).unwrap();
    assert_eq!(body["summary"]["ok"], 1, "the summary is from before the filters: {query}");
    let alerts = body["alerts"].as_array().unwrap();
    alerts.iter().map(|alert| alert["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn alert_list_has_the_documented_members() {
    let bench = bench();
    check(
        &bench.get("/api/0/hosts/WEB1/alerts"),
        expect![[r#"
        200 {"alerts":[{"id":"web1/disk_monitor./.percent","kind":"metric","host":"web1","metric_path":"disk_monitor./.percent","level":"CRITICAL","value":93.1,"threshold_value":90,"operator":">","recovers_at":88.2,"since":1795360541.0,"last_notified":null,"display":"","acknowledged":null,"silenced":null,"stale":true},{"id":"web1/cpu_monitor.cpu_percent","kind":"metric","host":"web1","metric_path":"cpu_monitor.cpu_percent","level":"WARNING","value":85.0,"threshold_value":80,"operator":">","recovers_at":78.4,"since":1795360541.0,"last_notified":1795360781.0,"display":"","acknowledged":{"id":"a1","by":null,"reason":"seen","since":1795360841.0,"until":null},"silenced":"s1","stale":false}],"summary":{"warning":1,"critical":1,"unknown":0,"ok":1}}
    "#]],
    );
    check(
        &bench.get("/api/0/alerts?kind=host"),
        expect![[r#"
        200 {"alerts":[{"id":"web2/host","kind":"host","host":"web2","metric_path":"host","level":"CRITICAL","value":null,"threshold_value":null,"operator":null,"recovers_at":null,"since":1792447773.0,"last_notified":null,"display":"2 heartbeats missed","acknowledged":{"id":"a2","by":null,"reason":"seen","since":1795360841.0,"until":null},"silenced":null,"stale":false}],"summary":{"warning":1,"critical":1,"unknown":0,"ok":1}}
    "#]],
    );
}

#[test]
fn alerts_are_filtered_and_worst_first() {
    let bench = bench();
    let (cpu, disk) = ("web1/cpu_monitor.cpu_percent", "web1/disk_monitor./.percent");
    let memory = "web1/memory_monitor.percent";
    let table: [(&str, &[&str]); 10] = [
        ("", &[disk, cpu]),
        ("?all=1", &[disk, cpu, memory]),
        ("?level=ok", &[memory]),
        ("?level=Warning,critical", &[disk, cpu]),
        ("?level=warning", &[cpu]),
        ("?plugin=disk_monitor", &[disk]),
        ("?host=WEB*", &[disk, cpu]),
        ("?host=web2", &[]),
        ("?kind=all", &[disk, "web2/host", cpu]),
        ("?kind=host&level=warning", &[]),
    ];
    for (query, want) in table {
        assert_eq!(ids(&bench, &format!("/api/0/alerts{query}")), want, "{query}");
    }
    for query in ["level=bad", "kind=bad", "all=bad"] {
        assert_eq!(bench.get(&format!("/api/0/alerts?{query}")).status, 400, "{query}");
    }
    assert_eq!(bench.get("/api/0/hosts/nobody/alerts").status, 404);
}

#[test]
fn alerts_are_acknowledged_by_the_ids_that_there_are() {
    let mut bench = bench();
    bench.engine.outcome =
        Some(Outcome::Acknowledged(vec![ack("a3", "web1/disk_monitor./.percent")]));
    let body = r#"{"ids":["WEB1/disk_monitor./.percent","web2/host"],"reason":"seen"}"#;
    check(
        &write(&bench, "POST", "/api/0/alerts/ack", body),
        expect![[r#"
        200 {"acks":[{"id":"a3","alert":"web1/disk_monitor./.percent","by":null,"reason":"seen","since":1795360841.0,"until":null}]}
    "#]],
    );
    let commands = bench.engine.commands.lock().unwrap().clone();
    let [Command::Acknowledge { request, by: None }] = commands.as_slice() else {
        panic!("{commands:?}")
    };
    assert_eq!(request.ids, ["web1/disk_monitor./.percent", "web2/host"]);
    let body = r#"{"ids":["web1/memory_monitor.percent","web3/host","web9/x"]}"#;
    check(
        &write(&bench, "POST", "/api/0/alerts/ack", body),
        expect![[r#"
        404 {"type":"about:blank","title":"Not Found","status":404,"detail":"There is no alert web1/memory_monitor.percent, web3/host, web9/x now.","code":"no_such_alert","hint":"GET /api/0/alerts?kind=all lists the ids of those that there are.","field":"ids"}
    "#]],
    );
    bench.engine.outcome = None;
    assert_eq!(write(&bench, "DELETE", "/api/0/alerts/ack/a1", "").status, 204);
    let by_alert = "/api/0/alerts/ack/Web1%2Fcpu_monitor.cpu_percent";
    assert_eq!(write(&bench, "DELETE", by_alert, "").status, 204);
    let last = bench.engine.commands.lock().unwrap().last().cloned();
    let id = "web1/cpu_monitor.cpu_percent".to_owned();
    assert_eq!(last, Some(Command::Unacknowledge { id }));
}

#[test]
fn silences_and_windows_are_made_listed_and_taken_back() {
    let mut bench = bench();
    check(
        &bench.get("/api/0/silences"),
        expect![[r#"
        200 {"silences":[{"id":"s1","match":{"host":"web*","plugin":"disk_monitor"},"by":null,"reason":"disks","since":1795360841.0,"until":1795364441.0}]}
    "#]],
    );
    check(
        &bench.get("/api/0/maintenance"),
        expect![[r#"
        200 {"maintenance":[]}
    "#]],
    );
    bench.engine.outcome = Some(Outcome::Made("s7".to_owned()));
    let silence = r#"{"match":{"host":"web*"},"until":1795364441,"reason":"move"}"#;
    check(
        &write(&bench, "POST", "/api/0/silences", silence),
        expect![[r#"
        201 {"id":"s7"}
    "#]],
    );
    let window = r#"{"hosts":["web1"],"end":1795364441}"#;
    assert_eq!(write(&bench, "POST", "/api/0/maintenance", window).status, 201);
    bench.engine.outcome = None;
    for path in ["/api/0/silences/s7", "/api/0/maintenance/m7"] {
        assert_eq!(write(&bench, "DELETE", path, "").status, 204, "{path}");
    }
}

#[test]
fn refusals_are_problems_with_field_and_hint() {
    let mut bench = bench();
    let path = "/api/0/silences";
    check(
        &write(&bench, "POST", path, r#"{"match":{"hots":"a"}}"#),
        expect![[r#"
        422 {"type":"about:blank","title":"Unprocessable Content","status":422,"detail":"There is no kind of scope \"hots\".","code":"bad_body","hint":"The kinds are host, group, tag, plugin and path.","field":"match"}
    "#]],
    );
    assert_eq!(write(&bench, "POST", path, "{").status, 400);
    let plain = [("Host", "mon"), ("Origin", "http://mon"), ("Content-Type", "text/plain")];
    assert_eq!(bench.ask(&request("POST", path, &plain, b"{}")).status, 415);
    let foreign = [("Host", "mon"), ("Content-Type", "application/json")];
    assert_eq!(bench.ask(&request("POST", path, &foreign, b"{}")).status, 403);
    let table = [
        (FaultKind::Invalid, 422),
        (FaultKind::NotFound, 404),
        (FaultKind::Configured, 409),
        (FaultKind::Full, 429),
    ];
    for (kind, status) in table {
        bench.engine.outcome = Some(Outcome::Refused(Fault::of(kind, "no")));
        for path in ["silences/s1", "maintenance/m1", "alerts/ack/a1"] {
            let got = write(&bench, "DELETE", &format!("/api/0/{path}"), "");
            assert_eq!(got.status, status, "{path}");
        }
    }
}

#[test]
fn thresholds_name_profile_and_line() {
    let bench = bench();
    check(
        &bench.get("/api/0/thresholds?host=web1"),
        expect![[r#"
        200 {"host":"web1","profiles":["tight"],"thresholds":[{"entry":"cpu_monitor.cpu_percent","warning":70,"critical":95,"operator":">","hysteresis":0.02,"display":null,"for":0.0,"enabled":true,"profile":"tight","origin":{"file":"hbd.yaml","line":4}},{"entry":"disk_monitor.*.percent","warning":85,"critical":90,"operator":">","hysteresis":0.02,"display":"(> {threshold_value} %)","for":0.0,"enabled":true,"profile":null,"origin":{"file":"hbd.yaml","line":2}}]}
    "#]],
    );
    let base = bench.text("/api/0/thresholds");
    assert!(base.starts_with(r#"{"host":null,"profiles":[]"#) && base.contains(r#""warning":80"#));
    assert_eq!(bench.get("/api/0/thresholds?host=nobody").status, 404);
}

#[test]
fn explanation_has_the_documented_members_and_no_secret() {
    let bench = bench();
    let explain = |rest: &str| bench.get(&format!("/api/0/explain?host=web1&metric={rest}"));
    check(
        &explain("disk_monitor./.percent"),
        expect![[r#"
        200 {"host":"web1","metric":"disk_monitor./.percent","entry":"disk_monitor.*.percent","profile":null,"origin":{"file":"hbd.yaml","line":2},"tried":["disk_monitor./.percent","disk_monitor.*.percent"],"state":"CRITICAL","value":93.1,"recovers_at":88.2,"text":"CRITICAL: web1 - disk_monitor./.percent = 93.1 (> 90 %)","receivers":[{"channel":"mail","to":"ops@example.net","user":null,"why":"pushsrv"},{"channel":"push","to":"***","user":null,"why":"pushsrv"}],"silences":[{"id":"s1","match":{"host":"web*","plugin":"disk_monitor"},"by":null,"reason":"disks","since":1795360841.0,"until":1795364441.0}]}
    "#]],
    );
    check(
        &explain("cpu_monitor.cpu_percent&value=40"),
        expect![[r#"
        200 {"host":"web1","metric":"cpu_monitor.cpu_percent","entry":"cpu_monitor.cpu_percent","profile":"tight","origin":{"file":"hbd.yaml","line":4},"tried":["cpu_monitor.cpu_percent"],"state":"OK","value":40,"recovers_at":68.6,"text":null,"receivers":[{"channel":"mail","to":"ops@example.net","user":null,"why":"pushsrv"},{"channel":"push","to":"***","user":null,"why":"pushsrv"}],"silences":[]}
    "#]],
    );
    check(
        &explain("disk_monitor./.free_gb"),
        expect![[r#"
            200 {"host":"web1","metric":"disk_monitor./.free_gb","entry":null,"profile":null,"origin":null,"tried":["disk_monitor./.free_gb","disk_monitor./.gb","disk_monitor.*.percent"],"state":null,"value":4.5,"recovers_at":null,"text":null,"receivers":[],"silences":[{"id":"s1","match":{"host":"web*","plugin":"disk_monitor"},"by":null,"reason":"disks","since":1795360841.0,"until":1795364441.0}]}
        "#]],
    );
    check(
        &explain("disk_monitor./.free_bg"),
        expect![[r#"
        404 {"type":"about:blank","title":"Not Found","status":404,"detail":"web1 has no metric disk_monitor./.free_bg, and no limit is for it.","code":"no_such_metric","hint":"Did you mean disk_monitor./.free_gb?","field":"metric"}
    "#]],
    );
    assert_eq!(bench.get("/api/0/explain?host=web1").status, 400);
    assert_eq!(bench.get("/api/0/explain?host=nobody&metric=a.b").status, 404);
}

#[test]
fn pages_show_the_alerts_and_the_worst_in_words() {
    let bench = bench();
    let page = bench.text("/plugins/web1");
    for want in [
        "aria-label=\"Active alerts\"",
        "<b>Disk / 93.1 %</b>",
        "critical above 90 %",
        "clears below 88.2 %",
        "old data, notified alice (email), chat at 16:19",
        "old data",
        "acknowledged by ",
        ", silenced",
        "Disk / 93.1 % (&gt; 90 %)",
    ] {
        assert!(page.contains(want), "{want}");
    }
    assert!(!bench.text("/plugins/web3").contains("Active alerts"));
    assert!(bench.text("/live").contains("Disk / 93.1 % (&gt; 90 %)"));
    let host: serde_json::Value = serde_json::from_str(&bench.text("/api/0/hosts/web1")).unwrap();
    assert_eq!(host["why"], "Disk / 93.1 % (> 90 %)");
}
