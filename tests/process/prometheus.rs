//! `/metrics` as a real Prometheus and its promtool read it. Without them the tests are skipped, unless
//! HB_REQUIRE_PARTS is set.

use crate::dns::tool;
use crate::program::{Hbd, PATIENCE, Place, Sender, until};
use heartbeat::os::file;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A request over TCP: status, body.
pub fn http(
    to: SocketAddr,
    method: &str,
    target: &str,
    headers: &str,
    body: &str,
) -> (u16, String) {
    let Ok(mut stream) = TcpStream::connect(to) else { return (0, String::new()) };
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    let head = format!(
        "{method} {target} HTTP/1.0\r\nHost: {to}\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    );
    if stream.write_all(head.as_bytes()).is_err() {
        return (0, String::new());
    }
    let mut answer = Vec::new();
    let _ = stream.take(1 << 25).read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer).into_owned();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return (0, text) };
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    (status, body.to_owned())
}

/// A port of loopback that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A Prometheus with its data below `dir`, on a port of its own. Killed when dropped.
pub struct Prometheus {
    child: Child,
    pub at: SocketAddr,
}

impl Prometheus {
    /// `config` is its prometheus.yml.
    pub fn start(dir: &Path, port: u16, config: &str, options: &[&str]) -> Option<Prometheus> {
        let program = tool("prometheus")?;
        let file = dir.join("prometheus.yml");
        std::fs::write(&file, config).unwrap();
        let at = SocketAddr::from(([127, 0, 0, 1], port));
        let mut log = std::fs::OpenOptions::new();
        let log = log.create(true).append(true).open(dir.join("prometheus.log")).unwrap();
        let mut command = Command::new(program);
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", dir.join("tsdb").display()))
            .arg(format!("--web.listen-address={at}"))
            .args(options);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let prometheus = Prometheus { child, at };
        until("Prometheus is ready", || {
            (http(at, "GET", "/-/ready", "", "").0 == 200).then_some(())
        });
        Some(prometheus)
    }

    /// The result of an instant query.
    pub fn query(&self, query: &str) -> Vec<Value> {
        query_at(self.at, query)
    }
}

/// What any server with Prometheus's API answers to an instant query.
pub fn query_at(at: SocketAddr, query: &str) -> Vec<Value> {
    let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let (_, body) = http(at, "GET", &format!("/api/v1/query?query={encoded}"), "", "");
    let answer: Value = serde_json::from_str(&body).unwrap_or_default();
    answer["data"]["result"].as_array().cloned().unwrap_or_default()
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn plugin(sender: &Sender, host: &str, plugin: &str, data: Value) {
    let message = json!({"ID": "PLG", "name": host, "plugin": plugin, "every": 300, "data": data});
    assert_eq!(sender.ask(&message.to_string())["ID"], "ACK");
}

/// A server with hosts of every kind of name and number.
fn populated(place: &Place) -> Hbd {
    place.configure(
        "thresholds: {cpu_monitor: {cpu_percent: {warning: 80}}}\nmetrics_token: s3cret\n\
         trusted_proxies: [127.0.0.1]\nhosts: {web1: {}, never: {}}\npushsrv: all\ngroup_wait: 0\n\
         channels:\n  works: {type: exec, argv: [/bin/true]}\n  broken: {type: exec, argv: [/bin/false]}\n",
    );
    let server = place.start();
    let sender = Sender::to(server.udp);
    let beat = r#"{"ID":"HTB","name":"web1","interval":30,"rtt":12.5,"seq":1}"#;
    assert_eq!(sender.ask(beat)["ID"], "ACK");
    plugin(&sender, "web1", "cpu_monitor", json!({"cpu_percent": 93.5, "load_1min": 1e-9}));
    let disks = json!({"partitions": {"/": {"percent": 40, "fstype": "ext4"}, "/a \"b\"\\\n": {"percent": 1}}});
    plugin(&sender, "web1", "disk_monitor", disks);
    plugin(&sender, "web1", "mine", json!({"big": 1e300, "n": {"x": [1, 2]}, "up": true}));
    sender.send(b"\x00garbage");
    server
}

#[test]
fn promtool_has_nothing_to_say_about_metrics_and_rules() {
    let Some(promtool) = tool("promtool") else { return };
    let place = Place::new();
    let server = populated(&place);
    let up = |text: &str, channel: &str, value: u8| {
        text.contains(&format!(
            "heartbeat_channel_up{{channel=\"{channel}\",type=\"exec\"}} {value}\n"
        ))
    };
    let text = until("both channels were tried", || {
        let (status, text) = http(server.http, "GET", "/metrics", "", "");
        assert_eq!(status, 200);
        let tried = r#"heartbeat_channel_tries_total{channel="works",outcome="delivered"} 1"#;
        (text.contains(tried) && up(&text, "broken", 0)).then_some(text)
    });
    assert!(up(&text, "works", 1), "{text}");
    assert!(
        text.contains(r#"heartbeat_channel_last_success_timestamp_seconds{channel="works"} 1"#)
    );
    let mut command = Command::new(&promtool);
    command
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.trim().is_empty(), "{said}");

    let rules =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/prometheus/heartbeat.rules.yml");
    let output = Command::new(&promtool)
        .args(["check", "rules", "--lint-fatal"])
        .arg(&rules)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // Whatever the rules and the dashboard ask for is there, or is of a part that this server does not use.
    let dashboard = rules.with_file_name("../grafana/heartbeat.json");
    for asked in [&rules, &dashboard] {
        let asked = String::from_utf8(file::read_bounded(asked, 1 << 20).unwrap()).unwrap();
        for name in asked.split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
            let is_family =
                (name.starts_with("heartbeat_") && name.len() > 10) || name.starts_with("process_");
            if is_family && !name.starts_with("heartbeat_remote_write_") {
                assert!(
                    text.contains(&format!("# TYPE {name} ")),
                    "{name} is asked for and not there"
                );
            }
        }
    }
    serde_json::from_slice::<Value>(&file::read_bounded(&dashboard, 1 << 20).unwrap()).unwrap();
}

#[test]
fn prometheus_scrapes_the_fleet_from_elsewhere_with_the_token() {
    let place = Place::new();
    let server = populated(&place);
    let elsewhere = "X-Forwarded-For: 192.0.2.9\r\n";
    let with = format!("{elsewhere}Authorization: Bearer s3cret\r\n");
    for path in ["/metrics", "/healthz"] {
        assert_eq!(http(server.http, "GET", path, elsewhere, "").0, 401, "{path}");
        assert_eq!(http(server.http, "GET", path, &with, "").0, 200, "{path}");
        assert_eq!(http(server.http, "GET", path, "", "").0, 200, "{path} from loopback");
    }
    let config = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n\
         - {{job_name: heartbeat, authorization: {{credentials: s3cret}}, static_configs: [{{targets: ['{}']}}]}}\n",
        server.http
    );
    let Some(prometheus) = Prometheus::start(place.path(), free_port(), &config, &[]) else {
        return;
    };
    until("the scrape is in", || prometheus.query("up == 1").first().cloned());
    let value = |query: &str| {
        until(&format!("Prometheus has {query}"), || {
            let result = prometheus.query(query);
            result.first().map(|sample| sample["value"][1].as_str().unwrap().to_owned())
        })
    };
    assert_eq!(
        value(r#"heartbeat_metric{host="web1",plugin="cpu_monitor",metric="cpu_percent"}"#),
        "93.5"
    );
    assert_eq!(
        value(r#"heartbeat_metric{plugin="disk_monitor",metric="/a \"b\"\\\n.percent"}"#),
        "1"
    );
    assert_eq!(value(r#"heartbeat_metric{plugin="mine",metric="n.x.1"}"#), "2");
    assert_eq!(value(r#"heartbeat_host_up{host="web1"}"#), "1");
    assert_eq!(value(r#"heartbeat_host_rtt_seconds{host="web1",family="ipv4"}"#), "0.0125");
    assert_eq!(value(r#"heartbeat_alerts{level="warning"}"#), "1");
    assert_eq!(value(r#"heartbeat_alert_level{metric="cpu_monitor.cpu_percent"}"#), "1");
    assert_eq!(value(r#"heartbeat_hosts{state="unknown"}"#), "1");
    assert_eq!(value("sum(heartbeat_datagrams_rejected_total)"), "1");
    assert!(prometheus.query(r#"heartbeat_host_up{host="never"}"#).is_empty());
    let targets = http(prometheus.at, "GET", "/api/v1/targets", "", "").1;
    assert!(targets.contains(r#""lastError":"""#), "{targets}");
}

/// A VictoriaMetrics. Killed when dropped.
struct Victoria {
    child: Child,
    at: SocketAddr,
}

impl Victoria {
    fn start(dir: &Path) -> Option<Victoria> {
        let program = tool("victoria-metrics")?;
        let at = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut command = Command::new(program);
        command
            .arg(format!("-storageDataPath={}", dir.join("victoria").display()))
            .arg(format!("-httpListenAddr={at}"))
            .args(["-search.latencyOffset=0s", "-retentionPeriod=12"]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let victoria = Victoria { child: child.spawn().unwrap(), at };
        until("VictoriaMetrics is ready", || {
            (http(at, "GET", "/health", "", "").0 == 200).then_some(())
        });
        Some(victoria)
    }
}

impl Drop for Victoria {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const CPU: &str =
    r#"heartbeat_metric{host="web1",plugin="cpu_monitor",metric="cpu_percent",site="basel"}"#;

fn remote_write(at: SocketAddr) -> String {
    format!(
        "remote_write: {{url: 'http://{at}/api/v1/write', labels: {{site: basel}}, wait: 1, timeout: 2}}\n"
    )
}

/// Sends a sample that was collected `age` seconds ago; 0: now.
fn cpu(sender: &Sender, age: u64, value: f64) {
    let late = if age > 0 { format!(r#","age":{}"#, age * 1000) } else { String::new() };
    let message = format!(
        r#"{{"ID":"PLG","name":"web1","plugin":"cpu_monitor","every":300{late},"data":{{"cpu_percent":{value}}}}}"#
    );
    assert_eq!(sender.ask(&message)["ID"], "ACK");
}

/// Every sample of the last hours, oldest first.
fn values(at: SocketAddr, query: &str) -> Vec<f64> {
    let result = query_at(at, &format!("{query}[12h]"));
    let Some(series) = result.first() else { return Vec::new() };
    let values = series["values"].as_array().cloned().unwrap_or_default();
    values.iter().filter_map(|value| value[1].as_str()?.parse().ok()).collect()
}

fn figure(server: &Hbd, name: &str) -> f64 {
    let (_, text) = http(server.http, "GET", "/metrics?collect=self", "", "");
    let lines = text.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

#[test]
fn remote_write_loses_nothing_over_an_outage_of_prometheus_and_a_kill_of_hbd() {
    let place = Place::new();
    let port = free_port();
    let at = SocketAddr::from(([127, 0, 0, 1], port));
    let options = ["--web.enable-remote-write-receiver"];
    let config = "storage: {tsdb: {out_of_order_time_window: 24h}}\n";
    let Some(prometheus) = Prometheus::start(place.path(), port, config, &options) else { return };
    place.configure(&remote_write(at));
    let server = place.start();
    let sender = Sender::to(server.udp);
    assert_eq!(sender.ask(r#"{"ID":"HTB","name":"web1","interval":30,"rtt":12.5}"#)["ID"], "ACK");
    cpu(&sender, 0, 1.0);
    until("the first sample is in Prometheus", || (values(at, CPU) == [1.0]).then_some(()));
    let rtt = r#"heartbeat_host_rtt_seconds{host="web1",family="ipv4",site="basel"}"#;
    assert_eq!(values(at, rtt), [0.0125]);

    // The receiver goes away; what is recorded meanwhile waits on disk, also over a kill of hbd.
    drop(prometheus);
    cpu(&sender, 0, 2.0);
    until("a request failed", || {
        (figure(&server, "heartbeat_remote_write_failures_total") > 0.0).then_some(())
    });
    cpu(&sender, 0, 3.0);
    until("both samples are in requests on disk", || {
        let waits = figure(&server, "heartbeat_remote_write_queue_samples");
        (waits >= 2.0 && figure(&server, "heartbeat_remote_write_queue_bytes") > 0.0).then_some(())
    });
    // `wait` is one second; then the last one is in a request, and since the receiver fails, on disk.
    let segments = || {
        std::fs::read_dir(place.path().join("state/remote_write"))
            .unwrap()
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().ends_with(".seg"))
            .map(|entry| entry.metadata().unwrap().len())
            .sum::<u64>()
    };
    until("the queue on disk has both", || (segments() > 200).then_some(()));
    server.kill();
    let server = place.start();
    let sender = Sender::to(server.udp);
    cpu(&sender, 0, 4.0);
    let prometheus = Prometheus::start(place.path(), port, config, &options).unwrap();
    until("all samples are in Prometheus, in order", || {
        (values(at, CPU) == [1.0, 2.0, 3.0, 4.0]).then_some(())
    });
    assert_eq!(figure(&server, "heartbeat_remote_write_dropped_samples_total"), 0.0);
    // What an agent had in its spool comes late and takes its place in time.
    for (age, value) in [(3600, 0.3), (7200, 0.1), (5400, 0.2)] {
        cpu(&sender, age, value);
    }
    until("the spool is in Prometheus", || {
        (values(prometheus.at, CPU) == [0.1, 0.2, 0.3, 1.0, 2.0, 3.0, 4.0]).then_some(())
    });
    until("nothing waits", || {
        (figure(&server, "heartbeat_remote_write_queue_samples") == 0.0).then_some(())
    });
}

#[test]
fn remote_write_to_prometheus_without_a_window_refuses_the_old_and_nothing_else() {
    let place = Place::new();
    let port = free_port();
    let options = ["--web.enable-remote-write-receiver"];
    let Some(prometheus) = Prometheus::start(place.path(), port, "", &options) else { return };
    place.configure(&remote_write(prometheus.at));
    let server = place.start();
    let sender = Sender::to(server.udp);
    cpu(&sender, 0, 1.0);
    until("the first sample is there", || (values(prometheus.at, CPU) == [1.0]).then_some(()));
    // Older than the newest of its series, beside others that are new: these must arrive.
    cpu(&sender, 600, 0.5);
    cpu(&sender, 0, 2.0);
    plugin(&sender, "web2", "cpu_monitor", json!({"cpu_percent": 7}));
    until("what is new arrives", || (values(prometheus.at, CPU) == [1.0, 2.0]).then_some(()));
    let other = r#"heartbeat_metric{host="web2",plugin="cpu_monitor",metric="cpu_percent"}"#;
    until("other hosts arrive", || (values(prometheus.at, other) == [7.0]).then_some(()));
    until("the old one is counted", || {
        (figure(&server, "heartbeat_remote_write_dropped_samples_total") == 1.0).then_some(())
    });
}

#[test]
fn remote_write_to_victoria_metrics_has_live_and_backfilled_samples() {
    let place = Place::new();
    let Some(victoria) = Victoria::start(place.path()) else { return };
    // It needs no history of ours.
    place.configure(&format!("history_enabled: false\n{}", remote_write(victoria.at)));
    let server = place.start();
    let sender = Sender::to(server.udp);
    cpu(&sender, 0, 3.0);
    for (age, value) in [(7200, 1.0), (3600, 2.0)] {
        cpu(&sender, age, value);
    }
    until("all samples are in VictoriaMetrics", || {
        (values(victoria.at, CPU) == [1.0, 2.0, 3.0]).then_some(())
    });
    assert_eq!(figure(&server, "heartbeat_remote_write_samples_total"), 3.0);
}
