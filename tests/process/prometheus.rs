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
         trusted_proxies: [127.0.0.1]\nhosts: {web1: {}, never: {}}\n",
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
    let (status, text) = http(server.http, "GET", "/metrics", "", "");
    assert_eq!(status, 200);
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
            let optional = ["heartbeat_channel_", "heartbeat_remote_write_"];
            if is_family && !optional.iter().any(|part| name.starts_with(part)) {
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
