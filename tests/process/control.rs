//! The subcommands, over the control socket and over HTTP.

use crate::program::{Place, Sender, stderr, stdout, until};
use serde_json::Value;

#[test]
fn status_and_hosts_show_the_fleet() {
    let place = Place::new();
    let server = place.start();
    Sender::to(server.udp).heartbeat("web1");
    server.wait_for_host("web1");
    let status = place.run(&["status"]);
    assert_eq!(status.status.code(), Some(0), "{}", stderr(&status));
    assert!(stdout(&status).contains("1 up"), "{}", stdout(&status));
    let hosts = place.run(&["hosts", "state:up"]);
    let lines: Vec<String> = stdout(&hosts).lines().map(str::to_owned).collect();
    assert!(lines[0].starts_with("STATE\tFOR\tHOST\t"), "{lines:?}");
    assert!(lines[1].starts_with("up\t") && lines[1].contains("\tweb1\t127.0.0.1\t"), "{lines:?}");
    let json: Value = serde_json::from_slice(&place.run(&["hosts", "--json"]).stdout).unwrap();
    assert_eq!(json["hosts"][0]["name"], "web1");
    let events = stdout(&place.run(&["events"]));
    assert!(events.contains("web1"), "{events}");
}

#[test]
fn check_answers_as_a_nagios_plugin() {
    let place = Place::new();
    let unreachable = place.run(&["status", "--check"]);
    assert_eq!(unreachable.status.code(), Some(3));
    assert!(stdout(&unreachable).starts_with("HEARTBEAT UNKNOWN - cannot reach hbd"));
    let server = place.start();
    let sender = Sender::to(server.udp);
    sender.heartbeat("web1");
    server.wait_for_host("web1");
    let fine = place.run(&["status", "--check"]);
    assert_eq!(fine.status.code(), Some(0));
    assert!(stdout(&fine).contains("| down=0 critical=0 warning=0 unknown=0 hosts=1"));
    sender.ask(r#"{"ID":"MSG","name":"web1","kind":"shutdown","text":"","seq":1}"#);
    until("the host is down", || {
        (place.run(&["status", "--check"]).status.code() == Some(2)).then_some(())
    });
}

#[test]
fn watch_and_drop_change_the_server_and_outlive_a_kill() {
    let place = Place::new();
    let server = place.start();
    let sender = Sender::to(server.udp);
    sender.heartbeat("web1");
    sender.heartbeat("web2");
    server.wait_for_host("web2");
    assert_eq!(place.run(&["watch", "web1", "off"]).status.code(), Some(0));
    assert_eq!(place.run(&["drop", "web2", "--yes"]).status.code(), Some(0));
    assert_eq!(server.hosts().len(), 1);
    assert_eq!(server.hosts()[0]["watch"], false);
    let gone = place.run(&["drop", "web2", "--yes"]);
    assert_eq!(gone.status.code(), Some(1));
    assert!(stderr(&gone).contains("no host web2"), "{}", stderr(&gone));
    // What was answered is on disk: no waiting before the kill.
    server.kill();
    let server = place.start();
    assert_eq!(server.hosts().len(), 1);
    assert_eq!(server.wait_for_host("web1")["watch"], false);
}

#[test]
fn reload_names_what_changed_or_every_problem() {
    let place = Place::new();
    let server = place.start();
    place.configure("site_name: Basel\n");
    let reload = place.run(&["reload"]);
    assert_eq!(reload.status.code(), Some(0), "{}", stderr(&reload));
    assert_eq!(stdout(&reload), "reloaded, changed: site_name\n");
    place.configure("grace: no\n");
    // The control socket's place is read from the same file: the client says so itself.
    assert_eq!(place.run(&["reload"]).status.code(), Some(78));
    let (status, _) = server.ask("POST", "/api/0/reload", "");
    assert_eq!(status, 403, "only the control socket may while there are no users");
}

#[test]
fn server_option_asks_over_tcp() {
    let place = Place::new();
    let server = place.start();
    let url = format!("http://{}", server.http);
    let output = place.run(&["status", "--server", &url]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let output = place.run(&["drop", "web1", "--yes", "--server", &url]);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    drop(server);
    let output = place.run(&["hosts", "--server", &url]);
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains(&url), "{}", stderr(&output));
}

#[test]
fn ghosts_are_accepted_by_name() {
    let place = Place::new();
    place.configure("udp_policy: known\n");
    let server = place.start();
    let sender = Sender::to(server.udp);
    let message = br#"{"ID":"HTB","name":"stranger","interval":30}"#;
    until("the ghost is listed", || {
        sender.send(message);
        stdout(&place.run(&["ghosts"])).contains("stranger").then_some(())
    });
    assert_eq!(place.run(&["ghosts", "accept", "stranger"]).status.code(), Some(0));
    sender.heartbeat("stranger");
    server.wait_for_host("stranger");
}

#[test]
fn stale_socket_of_a_killed_server_is_replaced() {
    let place = Place::new();
    place.start().kill();
    assert!(place.path().join("hbd.sock").exists());
    let _server = place.start();
    assert_eq!(place.run(&["status"]).status.code(), Some(0));
}
