//! Numbers and standings over time, through the real program: what was sent is answered, and survives.

use crate::program::{Place, Sender, until};
use heartbeat::os::clock;
use serde_json::Value;

fn cpu(sender: &Sender, name: &str, percent: f64) {
    sender.ask(&format!(
        r#"{{"ID":"PLG","name":"{name}","plugin":"cpu_monitor","every":300,"data":{{"cpu_percent":{percent}}}}}"#
    ));
}

/// The greatest value of each bucket that has one.
fn values(answer: &Value, path: &str) -> Vec<f64> {
    let max = answer["series"][path]["max"].as_array().expect("a list");
    max.iter().filter_map(Value::as_f64).collect()
}

#[test]
fn what_was_just_sent_is_in_the_series_and_survives_a_stop() {
    let place = Place::new();
    let mut server = place.start();
    let sender = Sender::to(server.udp);
    sender.heartbeat("web1");
    sender.ask(r#"{"ID":"HTB","name":"web1","interval":30,"rtt":4.5}"#);
    cpu(&sender, "web1", 12.5);
    let path = "/api/0/hosts/web1/series?metric=cpu_monitor.cpu_percent,rtt.web1&points=600";
    // The ACK goes out first, the sample to the history a moment later.
    let answer = until("the samples are in the series", || {
        let (status, answer) = server.get(path);
        assert_eq!(status, 200, "{answer}");
        (values(&answer, "cpu_monitor.cpu_percent") == [12.5]).then_some(answer)
    });
    assert_eq!(values(&answer, "rtt.web1"), [4.5]);
    assert_eq!(answer["series"]["cpu_monitor.cpu_percent"]["unit"], "%");
    assert_eq!(
        answer["t"].as_array().map(Vec::len),
        answer["series"]["rtt.web1"]["avg"].as_array().map(Vec::len)
    );
    let (status, answer) = server.get("/api/0/hosts/web1/series?metric=cpu_monitor.no_such");
    assert_eq!((status, &answer["code"]), (404, &Value::from("no_such_metric")));
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait().0, Some(0));
    let server = place.start();
    let answer = until("the series is read again", || {
        let (status, answer) = server.get(path);
        (status == 200).then_some(answer)
    });
    assert_eq!(values(&answer, "cpu_monitor.cpu_percent"), [12.5]);
    let (_, samples) = server.get("/api/0/hosts/web1/plugins/cpu_monitor");
    assert_eq!(samples["samples"][0]["data"]["cpu_percent"], 12.5, "{samples}");
    let (_, answer) = server.get("/api/0/hosts/web1/availability?days=2");
    let (today, total) = (&answer["days"][1], &answer["total"]);
    assert!(today["up"].as_f64().is_some_and(|up| up > 0.0), "{answer}");
    assert_eq!(answer["days"].as_array().map(Vec::len), Some(2));
    assert_eq!((&today["outages"], &total["down"]), (&Value::from(0), &Value::from(0.0)));
}

#[test]
fn s9_kills_at_any_moment_leave_a_history_that_loads() {
    let place = Place::new();
    let mut seed = 7u32;
    for round in 0..6 {
        let mut server = place.start();
        assert!(!server.log().contains("damaged"), "{}", server.log());
        let sender = Sender::to(server.udp);
        for i in 0..20 {
            cpu(&sender, &format!("host-{i}"), f64::from(round * 20 + i));
        }
        // Asking for a name that has no id yet makes the thread commit, so that kills meet commits.
        let _ =
            server.try_ask("GET", "/api/0/hosts/host-1/series?metric=cpu_monitor.cpu_percent", "");
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let begun = clock::now().mono;
        let pause = heartbeat::time::Duration::from_millis(u64::from(seed >> 24));
        until("the moment has come", || (clock::now().mono.since(begun) >= pause).then_some(()));
        server.kill();
    }
    let server = place.start();
    // A kill within a second may take the host itself; what it had told is found again with its name.
    Sender::to(server.udp).heartbeat("host-1");
    let answer = until("the series is read", || {
        let (status, answer) =
            server.get("/api/0/hosts/host-1/series?metric=cpu_monitor.cpu_percent");
        (status == 200).then_some(answer)
    });
    assert!(!values(&answer, "cpu_monitor.cpu_percent").is_empty());
    assert!(!place.path().join("state/heartbeat.history.redb.bad").exists());
}

#[test]
fn no_history_is_kept_where_it_is_switched_off() {
    let place = Place::new();
    place.configure("history_enabled: false\n");
    let server = place.start();
    let sender = Sender::to(server.udp);
    cpu(&sender, "web1", 1.0);
    let (status, answer) = server.get("/api/0/hosts/web1/series?metric=cpu_monitor.cpu_percent");
    assert_eq!((status, &answer["code"]), (404, &Value::from("history_disabled")));
    assert!(!place.path().join("state/heartbeat.history.redb").exists());
}
