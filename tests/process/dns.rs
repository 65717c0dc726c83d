//! Dynamic DNS against a real BIND: what it has is asked with dig, over both families. Without BIND and its tools
//! the tests are skipped, unless HB_REQUIRE_PARTS is set.

use crate::program::{Hbd, Place, Sender, stderr, until};
use heartbeat::os::{clock, file};
use heartbeat::time::Duration;
use serde_json::Value;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const ZONE: &str = "dyn.heartbeat.test";
const KEY: &str =
    "key \"hb\" { algorithm hmac-sha256; secret \"bm90IGEgc2VjcmV0LCBvbmx5IGEgdGVzdAo=\"; };\n";

pub fn tool(name: &str) -> Option<PathBuf> {
    let dirs = ["/usr/sbin", "/usr/bin"];
    let found = dirs.iter().map(|dir| Path::new(dir).join(name)).find(|path| path.exists());
    let required = std::env::var_os("HB_REQUIRE_PARTS").is_some();
    assert!(found.is_some() || !required, "{name} is missing: run tests/run");
    if found.is_none() {
        eprintln!("skipped: {name} is missing");
    }
    found
}

/// A name server on loopback, of both families, with a zone that the key may change and one that nobody may.
struct Bind {
    child: Child,
    port: u16,
}

impl Bind {
    fn start(dir: &Path) -> Option<Bind> {
        let (named, _, _) = (tool("named")?, tool("nsupdate")?, tool("dig")?);
        let soa =
            "$TTL 60\n@ IN SOA ns hostmaster 1 3600 600 86400 60\n@ IN NS ns\nns IN A 127.0.0.1\n";
        std::fs::write(dir.join("dyn.zone"), soa).unwrap();
        std::fs::write(dir.join("fixed.zone"), soa).unwrap();
        std::fs::write(dir.join("hb.key"), KEY).unwrap();
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(dir.join("hb.key"), private).unwrap();
        let port = free_port();
        let here = dir.display();
        let config = format!(
            "{KEY}options {{ directory \"{here}\"; pid-file none; session-keyfile none; recursion no;\n\
             listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 port {port} {{ ::1; }}; }};\n\
             controls {{ }};\n\
             zone \"{ZONE}\" {{ type primary; file \"dyn.zone\"; allow-update {{ key hb; }}; }};\n\
             zone \"fixed.test\" {{ type primary; file \"fixed.zone\"; allow-update {{ none; }}; }};\n"
        );
        std::fs::write(dir.join("named.conf"), config).unwrap();
        let mut command = Command::new(named);
        command.args(["-g", "-n", "1", "-c"]).arg(dir.join("named.conf"));
        let log = std::fs::File::create(dir.join("named.log")).unwrap();
        let child = command.stdin(Stdio::null()).stderr(log).spawn().unwrap();
        let bind = Bind { child, port };
        let has_soa = || (bind.dig("127.0.0.1", ZONE, "SOA").contains("hostmaster")).then_some(());
        until("the name server answers", has_soa);
        Some(bind)
    }

    /// What the name server says, asked at one of its addresses.
    fn dig(&self, at: &str, name: &str, kind: &str) -> String {
        let mut command = Command::new("dig");
        let (at, port) = (format!("@{at}"), self.port.to_string());
        command.args([&at, "-p", &port, "+short", "+time=1", "+tries=1", name, kind]);
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().filter(|line| !line.starts_with(';')).collect::<Vec<_>>().join(" ")
    }

    fn config(&self, dir: &Path) -> String {
        let (port, here) = (self.port, dir.display());
        format!(
            "hb_host: [127.0.0.1, \"::1\"]\ndyndomains: [{ZONE}, fixed.test]\ndns_trust_plain: true\n\
             dns_server: \"127.0.0.1:{port}\"\nnsupdate_key: {here}/hb.key\ndns_timeout: 4\n\
             hosts:\n  short: {{dns: www.{ZONE}}}\n"
        )
    }
}

impl Drop for Bind {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that is free for both protocols on both loopback addresses, as good as that can be known before.
fn free_port() -> u16 {
    until("a free port", || {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = tcp.local_addr().unwrap().port();
        let udp = UdpSocket::bind(("127.0.0.1", port)).is_ok();
        let v6 = UdpSocket::bind(("::1", port)).is_ok() && TcpListener::bind(("::1", port)).is_ok();
        (udp && v6).then_some(port)
    })
}

fn dns(server: &Hbd, host: &str) -> Value {
    server.get(&format!("/api/0/hosts/{host}")).1["dns"].clone()
}

#[track_caller]
fn wait_for_state(server: &Hbd, host: &str, state: &str) -> Value {
    until(&format!("{host} is {state}"), || {
        let dns = dns(server, host);
        (dns["state"] == state).then_some(dns)
    })
}

#[test]
fn s1_bind_gets_the_records_of_both_families_and_refuses_what_it_must() {
    let place = Place::new();
    let Some(bind) = Bind::start(place.path()) else { return };
    place.configure(&bind.config(place.path()));
    let server = place.start();
    let v6: std::net::SocketAddr = format!("[::1]:{}", server.udp.port()).parse().unwrap();
    let host = format!("web1.{ZONE}");
    Sender::to(server.udp).heartbeat(&host);
    Sender::to(v6).heartbeat(&host);
    Sender::to(server.udp).heartbeat("short");
    Sender::to(server.udp).heartbeat("web1.fixed.test");
    Sender::to(server.udp).heartbeat("web1.elsewhere.test");

    let shown = wait_for_state(&server, &host, "ok");
    assert_eq!((&shown["name"], &shown["zone"]), (&host.as_str().into(), &ZONE.into()));
    assert_eq!(shown["records"][0]["address"], "127.0.0.1");
    assert_eq!(shown["records"][1]["address"], "::1");
    for at in ["127.0.0.1", "::1"] {
        assert_eq!(bind.dig(at, &host, "A"), "127.0.0.1");
        assert_eq!(bind.dig(at, &host, "AAAA"), "::1");
    }
    wait_for_state(&server, "short", "ok");
    let www = format!("www.{ZONE}");
    assert_eq!(
        (bind.dig("::1", &www, "A").as_str(), bind.dig("::1", &www, "AAAA").as_str()),
        ("127.0.0.1", "")
    );

    let refused = wait_for_state(&server, "web1.fixed.test", "failed");
    assert!(refused["error"].as_str().unwrap().contains("REFUSED"), "{refused}");
    assert!(refused["next_try"].as_f64() > refused["last_try"].as_f64(), "{refused}");
    assert_eq!(bind.dig("127.0.0.1", "web1.fixed.test", "A"), "");
    assert_eq!(dns(&server, "web1.elsewhere.test"), Value::Null);

    // A manager asks; the name's minute is not over.
    let asked = place.run(&["dns", &host]);
    assert_eq!(asked.status.code(), Some(0), "{}", stderr(&asked));
    assert_eq!(dns(&server, &host)["state"], "waiting");
    let none = place.run(&["dns", "web1.elsewhere.test"]);
    assert_eq!(none.status.code(), Some(1));
    assert!(stderr(&none).contains("dyndomains"), "{}", stderr(&none));
    let (status, events) = server.get("/api/0/events?kind=dns");
    assert_eq!(status, 200);
    let events = events.to_string();
    for text in [format!("{host} is now at 127.0.0.1 and ::1"), "cannot be updated".to_owned()] {
        assert!(events.contains(&text), "{text}: {events}");
    }
    server.kill();
    // What the name server took is known to the next process: nothing is done anew but what was asked for.
    let server = place.start();
    assert_eq!(dns(&server, &host)["records"][0]["address"], "127.0.0.1");
    Sender::to(server.udp).heartbeat(&host);
    let shown = dns(&server, &host);
    assert_eq!(shown["state"], "waiting", "{shown}");
}

/// The script that docs/OPERATIONS.md gives to certbot.
#[test]
fn certificate_challenge_of_the_document_reaches_bind_and_goes_again() {
    const DOCUMENT: &str = include_str!("../../docs/OPERATIONS.md");
    let place = Place::new();
    let Some(bind) = Bind::start(place.path()) else { return };
    let begin = DOCUMENT.find("#!/bin/sh\n# /etc/heartbeat/acme-dns").unwrap();
    let script = DOCUMENT[begin..].split("```").next().unwrap();
    let path = place.path().join("acme-dns");
    std::fs::write(&path, script).unwrap();
    let run = |what: &str, domain: &str, value: &str| {
        let mut command = Command::new("/bin/sh");
        command.arg(&path).arg(what).env_clear().env("PATH", "/usr/bin:/bin");
        command.env("CERTBOT_DOMAIN", domain).env("CERTBOT_VALIDATION", value);
        command.env("DNS_SERVER", format!("127.0.0.1 {}", bind.port));
        command.env("DNS_KEY", place.path().join("hb.key"));
        let output = command.output().unwrap();
        (output.status.code(), stderr(&output))
    };
    let domain = format!("hb.{ZONE}");
    let shown = || bind.dig("127.0.0.1", &format!("_acme-challenge.{domain}"), "TXT");
    // Of a name and of all names below it at once, which certbot asks for one after the other.
    assert_eq!(run("add", &domain, "first_value-1"), (Some(0), String::new()));
    assert_eq!(run("add", &format!("*.{domain}"), "second"), (Some(0), String::new()));
    let both = shown();
    assert!(both.contains("\"first_value-1\"") && both.contains("\"second\""), "{both}");
    assert_eq!(run("delete", &domain, "first_value-1"), (Some(0), String::new()));
    assert_eq!(shown(), "\"second\"");
    assert_eq!(run("delete", &domain, "second").0, Some(0));
    assert_eq!(shown(), "");
    assert_ne!(run("add", "hb.fixed.test", "x").0, Some(0), "a zone that takes no updates");
    assert_eq!(run("", &domain, "x").0, Some(2));
}

/// A program in the place of nsupdate that notes how it was called, and then does `then`.
pub fn stand_in(place: &Place, then: &str) -> String {
    let path = place.path().join("nsupdate");
    let here = place.path().display();
    let script = format!(
        "#!/bin/sh\n{{ echo \"call $*\"; cat; env; }} >> {here}/calls.new\nmv {here}/calls.new {here}/calls\n{then}\n"
    );
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

fn calls(place: &Place) -> Option<String> {
    let bytes = file::read_bounded(&place.path().join("calls"), 1 << 16).ok()?;
    Some(String::from_utf8(bytes).unwrap())
}

#[test]
fn s4_nsupdate_that_hangs_is_killed_and_delays_no_ack() {
    let place = Place::new();
    let program = stand_in(&place, "trap '' TERM\nwhile :; do sleep 1; done");
    place.configure(&format!(
        "dyndomains: [dyn.example.net]\ndns_trust_plain: true\nnsupdate_bin: {program}\n\
         nsupdate_key: /etc/heartbeat/dyn.key\ndns_timeout: 3\n"
    ));
    let mut server = place.start();
    let sender = Sender::to(server.udp);
    sender.heartbeat("web1.dyn.example.net");
    let said = until("nsupdate is called", || calls(&place));
    let want = "call -t 1 -k /etc/heartbeat/dyn.key\nzone dyn.example.net\n\
                update delete web1.dyn.example.net A\n\
                update add web1.dyn.example.net 60 A 127.0.0.1\nsend\n";
    assert!(said.starts_with(want), "{said}");
    assert!(
        said.contains("PATH=/usr/sbin:/usr/bin:/sbin:/bin") && !said.contains("HBD_CONFIG"),
        "{said}"
    );
    assert_eq!(dns(&server, "web1.dyn.example.net")["state"], "updating");
    let mut slowest = Duration::ZERO;
    for _ in 0..200 {
        let before = clock::now().mono;
        sender.heartbeat("web2");
        slowest = slowest.max(clock::now().mono.since(before));
    }
    assert!(slowest < Duration::from_secs(1), "an ACK took {slowest:?}");
    let failed = wait_for_state(&server, "web1.dyn.example.net", "failed");
    assert_eq!(failed["error"], "no answer within 3 s");
    // While it hangs, the server still ends at once.
    place.run(&["dns", "web1.dyn.example.net"]);
    server.signal(libc::SIGTERM);
    let (status, took) = server.wait();
    assert!(status == Some(0) && took < Duration::from_secs(3), "{status:?} {took:?}");
}

#[test]
fn u12_plain_host_that_is_not_trusted_moves_nothing() {
    let place = Place::new();
    let program = stand_in(&place, "");
    place.configure(&format!("dyndomains: [dyn.example.net]\nnsupdate_bin: {program}\n"));
    let server = place.start();
    let sender = Sender::to(server.udp);
    sender.heartbeat("web1.dyn.example.net");
    let before = clock::now().mono;
    until("two seconds have passed", || {
        sender.heartbeat("web1.dyn.example.net");
        (clock::now().mono.since(before) > Duration::from_secs(2)).then_some(())
    });
    assert_eq!(dns(&server, "web1.dyn.example.net")["state"], "unconfirmed");
    let (status, _) = server.ask("POST", "/api/0/hosts/web1.dyn.example.net/dns", "{}");
    assert_eq!(status, 403, "a write over the network needs an origin");
    assert_eq!(place.run(&["dns", "web1.dyn.example.net"]).status.code(), Some(1));
    assert_eq!(calls(&place), None);
}
