//! Mail through a real SMTP server, and alerts in a real Alertmanager. Where python3-aiosmtpd, openssl or
//! prometheus-alertmanager are missing these tests are skipped, unless HB_REQUIRE_PARTS is set.

use crate::program::{Hbd, Place, Sender, stderr, stdout, until};
use heartbeat::os::thread;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

/// A program that runs beside hbd, and the lines it prints. Killed when dropped.
struct Beside {
    child: Child,
    lines: Receiver<String>,
}

impl Beside {
    /// Reads stdout, or stderr where `errors`.
    fn start(command: &mut Command, errors: bool) -> Beside {
        command.stdin(Stdio::null());
        let mut child = match errors {
            true => command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap(),
            false => command.stdout(Stdio::piped()).spawn().unwrap(),
        };
        let (sender, lines) = channel();
        let output: Box<dyn std::io::Read + Send> = match errors {
            true => Box::new(child.stderr.take().unwrap()),
            false => Box::new(child.stdout.take().unwrap()),
        };
        let reader = move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        };
        thread::spawn("beside", 128 << 10, reader).unwrap();
        Beside { child, lines }
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(crate::program::PATIENCE).unwrap()
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn has(program: &str, args: &[&str]) -> bool {
    let ran = Command::new(program).args(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let there = ran.is_ok_and(|status| status.success());
    assert!(
        there || std::env::var_os("HB_REQUIRE_PARTS").is_none(),
        "{program} {args:?} is missing"
    );
    there
}

fn has_mail_server() -> bool {
    has("/usr/bin/python3", &["-c", "import aiosmtpd"]) && has("openssl", &["version"])
}

/// A certificate for localhost that is its own authority.
fn certificate(dir: &Path) {
    let status = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .args([
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-keyout",
            "key.pem",
            "-out",
            "cert.pem",
        ])
        .current_dir(dir)
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
}

fn mail_server(dir: &Path, mode: &str) -> (Beside, String) {
    let script =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/process/counterpart/smtp_server.py");
    let mut command = Command::new("/usr/bin/python3");
    command.arg(script).args(["cert.pem", "key.pem", mode]).current_dir(dir);
    let server = Beside::start(&mut command, false);
    let port = server.line();
    (server, port)
}

fn configured(dir: &Path, port: &str, more: &str) -> String {
    let ca = dir.join("cert.pem");
    format!(
        "site_name: Zürich\nchannels:\n  email: {{host: localhost, port: {port}, from: \"Heartbeat <hb@example.net>\", \
         to: [ops@example.net, bob@example.net], ca_file: {}{more}}}\n",
        ca.display()
    )
}

fn result(place: &Place) -> Value {
    let output = place.run(&["notify-test", "email", "--json"]);
    let text = format!("{}{}", stdout(&output), stderr(&output));
    assert!(!text.contains("CANARY"), "{text}");
    serde_json::from_slice::<Value>(&output.stdout).unwrap_or_else(|_| panic!("{text}"))["results"]
        .clone()
}

#[test]
fn mail_arrives_over_starttls_signed_in_and_is_read_back() {
    if !has_mail_server() {
        return;
    }
    let place = Place::new();
    certificate(place.path());
    let (smtp, port) = mail_server(place.path(), "starttls");
    let login = ", user: hb, password: CANARY-pass, helo: mon.example.net";
    let limits = "interval: 1\ngrace: 0\ngroup_wait: 0\npushsrv: email\n\
                  thresholds:\n  nagios_runner: {x: {warning: 1, display: \"é {output}\"}}\n";
    place.configure(&(configured(place.path(), &port, login) + limits));
    let server: Hbd = place.start();
    let results = result(&place);
    assert_eq!(
        (results.as_array().unwrap().len(), &results[0]["ok"], &results[1]["ok"]),
        (2, &json!(true), &json!(true)),
        "{results}"
    );
    let mut to: Vec<String> = Vec::new();
    for _ in 0..2 {
        let mail: Value = serde_json::from_str(&smtp.line()).unwrap();
        to.push(mail["to"][0].as_str().unwrap().to_owned());
        assert_eq!(
            (&mail["tls"], &mail["signed_in"], &mail["helo"]),
            (&json!(true), &json!(true), &json!("mon.example.net"))
        );
        assert_eq!(
            (&mail["subject"], &mail["body"]),
            (
                &json!("TEST: Zürich - channel email works"),
                &json!("TEST: Zürich - channel email works\n")
            )
        );
        assert_eq!(
            (&mail["sender"], &mail["from"]),
            (&json!("Heartbeat <hb@example.net>"), &json!("hb@example.net"))
        );
        assert_eq!(
            (mail["headers"].as_array().unwrap().len(), &mail["defects"], &mail["level"]),
            (10, &json!([]), &json!("info"))
        );
    }
    to.sort();
    assert_eq!(to, ["bob@example.net", "ops@example.net"]);
    let sender = Sender::to(server.udp);
    sender.ask(r#"{"ID":"HTB","name":"web1","interval":1}"#);
    let down: Value = serde_json::from_str(&smtp.line()).unwrap();
    let text = "DOWN: web1 - no heartbeat for 3 s (ipv4 127.0.0.1)";
    assert_eq!(
        (&down["subject"], &down["body"], &down["level"]),
        (&json!(text), &json!(format!("{text}\n")), &json!("critical"))
    );
}

#[test]
fn mail_is_sent_over_tls_from_the_start_too() {
    if !has_mail_server() {
        return;
    }
    let place = Place::new();
    certificate(place.path());
    let (smtp, port) = mail_server(place.path(), "implicit");
    place.configure(&configured(
        place.path(),
        &port,
        ", tls: implicit, user: hb, password: CANARY-pass",
    ));
    let _server = place.start();
    let results = result(&place);
    assert_eq!(results[0]["ok"], true, "{results}");
    let mail: Value = serde_json::from_str(&smtp.line()).unwrap();
    assert_eq!((&mail["tls"], &mail["signed_in"]), (&json!(true), &json!(true)));
}

#[test]
fn s2_mail_never_falls_back_and_names_what_is_wrong() {
    if !has_mail_server() {
        return;
    }
    let place = Place::new();
    certificate(place.path());
    let (open, open_port) = mail_server(place.path(), "open");
    let (_smtp, port) = mail_server(place.path(), "starttls");
    let table = [
        (open_port.as_str(), ", user: hb, password: CANARY-pass", "offers no STARTTLS"),
        (&port, ", user: hb, password: CANARY-wrong", "AUTH: 535"),
        (&port, "", "530"),
        (&port, ", tls: none", "530"),
        (&port, ", tls: implicit, timeout: 2", "TLS"),
    ];
    place.configure(&configured(place.path(), &open_port, ""));
    let _server = place.start();
    for (port, more, error) in table {
        place.configure(&configured(place.path(), port, more));
        assert_eq!(place.run(&["reload"]).status.code(), Some(0));
        let results = result(&place);
        assert!(results[0]["error"].as_str().unwrap().contains(error), "{more}: {results}");
    }
    // Certificates that nobody has vouched for are refused.
    let unknown = configured(place.path(), &port, "").replace("ca_file", "helo");
    place.configure(&unknown);
    assert_eq!(place.run(&["reload"]).status.code(), Some(0));
    let results = result(&place);
    assert!(results[0]["error"].as_str().unwrap().contains("TLS: "), "{results}");
    let taken = open.lines.try_recv();
    assert!(taken.is_err(), "{taken:?}");
}

#[test]
fn alertmanager_shows_what_fires_and_what_is_resolved() {
    if !has("prometheus-alertmanager", &["--version"]) {
        return;
    }
    let place = Place::new();
    std::fs::write(
        place.path().join("am.yaml"),
        "route: {receiver: none}\nreceivers: [{name: none}]\n",
    )
    .unwrap();
    let mut command = Command::new("prometheus-alertmanager");
    command.current_dir(place.path()).args([
        "--config.file=am.yaml",
        "--storage.path=am",
        "--log.format=json",
    ]);
    command.args(["--web.listen-address=127.0.0.1:0", "--cluster.listen-address="]);
    let alertmanager = Beside::start(&mut command, true);
    let address = loop {
        let line: Value = serde_json::from_str(&alertmanager.line()).unwrap_or_default();
        if line["msg"] == "Listening on" {
            break line["address"].as_str().unwrap().to_owned();
        }
    };
    place.configure(&format!(
        "interval: 1\ngrace: 0\ngroup_wait: 0\npushsrv: alertmanager\nchannels:\n  alertmanager: {{url: \"http://{address}\", \
         labels: {{team: ops}}}}\nthresholds:\n  cpu_monitor: {{cpu_percent: {{warning: 80, critical: 90}}}}\n"
    ));
    let server = place.start();
    let sender = Sender::to(server.udp);
    let beat = || sender.ask(r#"{"ID":"HTB","name":"web1","interval":1}"#);
    let cpu = |seq: u32, percent: f64| {
        let data = json!({ "cpu_percent": percent });
        let message = json!({ "ID": "PLG", "name": "web1", "plugin": "cpu_monitor", "every": 300, "seq": seq, "data": data });
        sender.send(message.to_string().as_bytes());
    };
    let active = || -> Vec<(String, String, String)> {
        let url = format!("http://{address}/api/v2/alerts");
        let output = Command::new("curl").args(["-s", &url]).output().unwrap();
        let alerts: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let text =
            |alert: &Value, key: &str| alert["labels"][key].as_str().unwrap_or_default().to_owned();
        let row = |alert: &Value| {
            (
                text(alert, "alertname"),
                text(alert, "severity"),
                alert["fingerprint"].as_str().unwrap().to_owned(),
            )
        };
        let mut rows: Vec<_> = alerts.as_array().into_iter().flatten().map(row).collect();
        rows.sort();
        rows
    };
    let names = || -> Vec<String> {
        active().into_iter().map(|(name, severity, _)| format!("{name} {severity}")).collect()
    };
    beat();
    cpu(1, 85.0);
    until("the warning fires", || (names() == ["HostMetric warning"]).then_some(()));
    beat();
    cpu(2, 95.0);
    until("it is critical and nothing else", || (names() == ["HostMetric critical"]).then_some(()));
    beat();
    cpu(3, 10.0);
    until("it is resolved", || names().is_empty().then_some(()));
    until("the host is down", || (names() == ["HostDown critical"]).then_some(()));
    let fingerprint = active()[0].2.clone();
    beat();
    until("it is resolved too", || names().is_empty().then_some(()));
    // From another server, the same trouble has the same fingerprint.
    let other = Place::new();
    other.configure(&format!(
        "site_name: Other\ninterval: 1\ngrace: 0\ngroup_wait: 0\npushsrv: am2\nchannels:\n  am2: {{type: alertmanager, \
         url: \"http://{address}\", labels: {{team: ops}}}}\n"
    ));
    let second = other.start();
    Sender::to(second.udp).ask(r#"{"ID":"HTB","name":"web1","interval":1}"#);
    drop(server);
    until("the other server fires it", || {
        active()
            .into_iter()
            .find(|row| row.0 == "HostDown")
            .map(|row| assert_eq!(row.2, fingerprint))
    });
}
