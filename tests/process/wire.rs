//! Datagrams in, replies out, counters.

use crate::program::{Place, Sender, until};
use std::io::{BufRead, BufReader};
use std::process::Stdio;

#[test]
fn heartbeat_is_acknowledged_and_its_host_listed() {
    let place = Place::new();
    let server = place.start();
    let sender = Sender::to(server.udp);
    let ack = sender.ask(r#"{"ID":"HTB","name":"Web1","interval":30,"seq":7,"rtt":1.5}"#);
    assert_eq!((&ack["ID"], &ack["seq"]), (&"ACK".into(), &7.into()));
    let host = server.wait_for_host("web1");
    assert_eq!(host["state"], "up");
    assert_eq!(host["connections"][0]["address"], "127.0.0.1");
}

#[test]
fn garbage_is_counted_by_reason_and_never_answered() {
    let place = Place::new();
    let server = place.start();
    let sender = Sender::to(server.udp);
    sender.send(b"garbage");
    sender.send(b"{\"ID\":\"HTB\"");
    sender.heartbeat("web1");
    let health = until("the counters show it", || {
        let (status, health) = server.get("/healthz");
        assert_eq!(status, 200);
        (health["datagrams"]["received"] == 3).then_some(health)
    });
    assert_eq!(health["status"], "ok");
    assert_eq!(health["datagrams"]["accepted"], 1);
    assert_eq!(health["datagrams"]["rejected"]["bad_magic"], 1);
    assert_eq!(health["datagrams"]["rejected"]["bad_json"], 1);
}

#[test]
fn reply_leaves_from_the_address_that_was_asked() {
    let place = Place::new();
    place.configure("hb_host: 0.0.0.0\n");
    let server = place.start();
    // Another loopback address: a connected socket hears only who it asked.
    let asked = std::net::SocketAddr::new([127, 0, 0, 77].into(), server.udp.port());
    Sender::to(asked).heartbeat("web1");
}

#[test]
fn both_families_make_one_host_with_two_connections() {
    let place = Place::new();
    place.configure("hb_host: ['127.0.0.1', '::1']\n");
    let server = place.start();
    Sender::to(server.udp).heartbeat("dual");
    Sender::to(std::net::SocketAddr::new("::1".parse().unwrap(), server.udp.port()))
        .heartbeat("dual");
    until("two connections", || {
        let host = server.wait_for_host("dual");
        (host["connections"].as_array().unwrap().len() == 2).then_some(())
    });
    assert_eq!(server.hosts().len(), 1);
}

#[test]
fn u4_flood_of_garbage_leaves_a_known_host_answered() {
    let place = Place::new();
    let server = place.start();
    let (good, bad) = (Sender::to(server.udp), Sender::to(server.udp));
    good.heartbeat("web1");
    for round in 0..20u8 {
        for i in 0..200u8 {
            bad.send(&[round | 1, i, 255, 0]);
        }
        good.heartbeat("web1");
    }
    assert_eq!(server.wait_for_host("web1")["state"], "up");
}

/// Whoever reads the log may stand still: a full pipe stops no heartbeat.
#[test]
fn log_that_nobody_reads_stops_nothing() {
    let place = Place::new();
    let mut child = place.command(&["-f", "-vv"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("ready ") {
        line.clear();
        assert!(log.read_line(&mut line).unwrap() > 0, "it ended before it was ready");
    }
    let udp = line.split([' ', '=']).nth(2).unwrap().parse().unwrap();
    let sender = Sender::to(udp);
    // Each refusal is a line of about 80 bytes, and a pipe holds 64 KiB.
    for i in 0..4000 {
        sender.send(b"garbage");
        if i % 100 == 0 {
            sender.heartbeat("web1");
        }
    }
    sender.heartbeat("web1");
    child.kill().unwrap();
    child.wait().unwrap();
}
