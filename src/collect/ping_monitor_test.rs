//! Real packets on loopback, by whichever way this machine allows.

use super::*;
use serde_json::Value;

fn host(name: &str, address: &str) -> PingHost {
    PingHost { name: name.to_owned(), address: address.to_owned() }
}

fn monitor(hosts: Vec<PingHost>, timeout_ms: u64) -> Option<PingMonitor> {
    let timeout = Duration::from_millis(timeout_ms);
    let settings = agent::Plugin { hosts, timeout, count: 2, ..agent::Plugin::default() };
    PingMonitor::new(&settings).ok()
}

fn sample(monitor: &mut PingMonitor) -> Value {
    let mut out = String::new();
    monitor.collect(Now::default(), &mut out).expect("collected");
    assert!(monitor.run.is_empty());
    serde_json::from_str(&out).expect("strict JSON")
}

fn assert_alive(host: &Value) {
    assert_eq!((&host["alive"], &host["loss_percent"]), (&true.into(), &0.into()), "{host}");
    let [min, mean, max] =
        ["rtt_min_ms", "rtt_ms", "rtt_max_ms"].map(|key| host[key].as_f64().expect("a number"));
    assert!(0.0 <= min && min <= mean && mean <= max && max < 2000.0, "{host}");
}

fn assert_dead(host: &Value) {
    assert_eq!((&host["alive"], &host["loss_percent"]), (&false.into(), &100.into()), "{host}");
    for key in ["rtt_min_ms", "rtt_ms", "rtt_max_ms"] {
        assert_eq!(host.get(key), Some(&Value::Null), "{host}");
    }
}

#[test]
fn loopback_answers_by_address_and_by_name() {
    let hosts = vec![host("four", "127.0.0.1"), host("name", "localhost"), host("six", "::1")];
    let Some(mut monitor) = monitor(hosts, 2000) else { return };
    for _ in 0..2 {
        let value = sample(&mut monitor);
        assert_alive(&value["hosts"]["four"]);
        assert_alive(&value["hosts"]["name"]);
        if std::net::UdpSocket::bind("[::1]:0").is_ok() {
            assert_alive(&value["hosts"]["six"]);
        }
    }
}

/// A packet from a loopback address to another network has no way out: nothing leaves this machine.
#[test]
fn host_without_a_way_there_and_unknown_name_are_dead() {
    let settings = agent::Plugin {
        hosts: vec![host("far", "192.0.2.77"), host("all", "255.255.255.255")],
        source: Some(IpAddr::from([127, 0, 0, 1])),
        timeout: Duration::from_millis(50),
        ..agent::Plugin::default()
    };
    let Ok(mut far) = PingMonitor::new(&settings) else { return };
    let value = sample(&mut far);
    assert_dead(&value["hosts"]["far"]);
    assert_dead(&value["hosts"]["all"]);
    let Some(mut unknown) = monitor(vec![host("unknown", "x.invalid")], 50) else { return };
    assert_dead(&sample(&mut unknown)["hosts"]["unknown"]);
}

#[test]
fn packets_that_nobody_answers_are_lost_one_after_the_other() {
    let target = SocketAddr::from(([127, 0, 0, 1], 0));
    let Ok(socket) = Socket::open(target, None) else { return };
    let settings = Settings { count: 2, timeout: Duration::from_secs(1), source: None };
    // Version 6 says nothing to a kernel that speaks version 4.
    let echo = Echo { v6: true, id: 1, seq: 0, token: 1 };
    let mut pinged = Pinged { socket, echo, sent: None, due: Mono::ZERO };
    let mut tally = Tally::default();
    let mut now = Mono::from_secs(1);
    while !pinged.advance(&mut tally, &settings, now) {
        assert!(now < pinged.due);
        now = pinged.due;
    }
    assert_eq!((tally.sent, tally.received), (2, 0));
}

#[test]
fn source_that_is_not_ours_loses_every_packet() {
    let settings = agent::Plugin {
        hosts: vec![host("four", "127.0.0.1")],
        count: 1,
        source: Some(IpAddr::from([192, 0, 2, 254])),
        ..agent::Plugin::default()
    };
    let Ok(mut monitor) = PingMonitor::new(&settings) else { return };
    assert_dead(&sample(&mut monitor)["hosts"]["four"]);
    let source = Some(IpAddr::from([127, 0, 0, 2]));
    let settings = agent::Plugin { source, ..settings };
    let mut monitor = PingMonitor::new(&settings).expect("as before");
    assert_alive(&sample(&mut monitor)["hosts"]["four"]);
}

#[test]
fn ping_program_does_it_where_no_socket_is_allowed() {
    if child::find("ping").is_none() {
        let required = std::env::var_os("HB_REQUIRE_PARTS").is_some();
        assert!(!required, "ping is missing: apt-get install iputils-ping");
        return;
    }
    let Some(mut monitor) = monitor(vec![host("a", "127.0.0.1"), host("b", "x.invalid")], 1000)
    else {
        return;
    };
    let queued =
        |target: &str| Probe { state: State::Queued(target.to_owned()), tally: Tally::default() };
    monitor.run = vec![queued("127.0.0.1"), queued("x.invalid")];
    let value = sample(&mut monitor);
    assert_alive(&value["hosts"]["a"]);
    assert_dead(&value["hosts"]["b"]);
}

#[test]
fn without_hosts_there_is_nothing_to_do() {
    assert!(monitor(Vec::new(), 1).is_none());
}
