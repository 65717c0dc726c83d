//! Faults on purpose: the process dies at named points and the state loads again; a thread stands still and the
//! process ends by itself.

use crate::program::{Hbd, Place, Sender, pause_for, stderr, until};
use heartbeat::time::Duration;

/// A server that dies, or stands still, at a point.
fn start(place: &Place, fault: &str, watchdog: &str) -> Result<Hbd, String> {
    let mut command = place.command(&["-f"]);
    command.env("HBD_FAULT", fault).env("WATCHDOG_USEC", watchdog);
    Hbd::try_start(command)
}

/// Something for every thread to do; the server may go away meanwhile.
fn busy(server: &Hbd, round: usize) {
    let hello = format!(r#"{{"ID":"HTB","name":"web{round}","interval":30}}"#);
    Sender::to(server.udp).send(hello.as_bytes());
    let _ = server.try_ask("GET", "/api/0/hosts", "");
    server.signal_if_alive(libc::SIGHUP);
}

#[test]
fn s7_killed_at_each_named_point_its_state_loads_and_what_was_told_is_there() {
    let points = [
        "engine:9",
        "engine_before_reply:2",
        "engine_after_reply:2",
        "engine_before_answer:4",
        "store_before_write:3",
        "store_before_commit:3",
        "store_after_commit:3",
        "store_before_promise:4",
        "journal_before_write:2",
        "journal_after_write:2",
        "journal_before_rename:2",
        "journal_after_rename:2",
        "http_before_answer:3",
        "http_after_answer:3",
        "gate:20",
        "reload_before",
        "reload_after:2",
        "supervisor:2",
    ];
    let place = Place::new();
    // A journal so small that it rotates with every line.
    place.configure("journal_max_size: 300\nusers: {}\n");
    let server = place.start();
    Sender::to(server.udp).heartbeat("kept");
    // Told with success, so it is on disk.
    assert_eq!(place.run(&["watch", "kept", "off"]).status.code(), Some(0));
    server.kill();
    for point in points {
        // It may die before it is ready, which is as good a time as any.
        if let Ok(mut server) = start(&place, &format!("exit:{point}"), "60000000") {
            let mut round = 0;
            until(&format!("it dies at {point}"), || {
                busy(&server, round);
                round += 1;
                server.ended()
            });
        }
        let after = place.start();
        let kept = after.wait_for_host("kept");
        assert_eq!(kept["watch"], false, "{point}");
        after.kill();
    }
    assert!(!place.path().join("state/heartbeat.redb.bad").exists());
    let output = place.run(&["journal", "verify"]);
    assert!(output.status.code().is_some_and(|code| code < 2), "{}", stderr(&output));
}

#[test]
fn s11_a_thread_that_stands_still_ends_the_process_within_its_watchdog() {
    for thread in ["journal", "http", "gate:3"] {
        let place = Place::new();
        let mut server = start(&place, &format!("stall:{thread}"), "1000000").unwrap();
        let mut round = 0;
        let before = heartbeat::os::clock::now().mono;
        let mut ended = None;
        until(&format!("it ends with {thread} at rest"), || {
            if round < 5 {
                busy(&server, round);
                round += 1;
            }
            ended = server.ended();
            ended
        });
        let took = heartbeat::os::clock::now().mono.since(before);
        let name = thread.split(':').next().unwrap();
        server.wait_for_log(&format!("ending: a thread stands still thread={name}"));
        assert!(took < Duration::from_secs(10), "{thread}: {took:?}");
    }
}

#[test]
fn s11_a_channel_that_stands_still_ends_the_process_within_its_watchdog() {
    let place = Place::new();
    place.configure(
        "group_wait: 0\npushsrv: job\nchannels: {job: {type: exec, argv: [/bin/true]}}\n\
         thresholds: {cpu_monitor: {cpu_percent: {warning: 50}}}\n",
    );
    let mut server = start(&place, "stall:notify", "1000000").unwrap();
    Sender::to(server.udp)
        .send(br#"{"ID":"PLG","name":"web1","plugin":"cpu_monitor","data":{"cpu_percent":93}}"#);
    let before = heartbeat::os::clock::now().mono;
    until("it ends with its channel at rest", || server.ended());
    let took = heartbeat::os::clock::now().mono.since(before);
    server.wait_for_log("ending: a thread stands still thread=notify-job");
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn s8_server_that_stood_still_longer_than_a_deadline_calls_nobody_down() {
    let place = Place::new();
    place.configure("misses: 2\ngrace: 1s\n");
    let server = place.start();
    let sender = Sender::to(server.udp);
    let beat = |name: &str| {
        sender.send(format!(r#"{{"ID":"HTB","name":"{name}","interval":1}}"#).as_bytes());
    };
    beat("queued");
    beat("quiet");
    server.wait_for_host("quiet");
    server.signal(libc::SIGSTOP);
    pause_for(Duration::from_secs(2));
    beat("queued");
    pause_for(Duration::from_secs(3));
    server.signal(libc::SIGCONT);
    // Seen by both once more, so that it has judged them since.
    let downs = |server: &Hbd| {
        let events = server.get("/api/0/events").1.to_string();
        ["queued", "quiet"].map(|name| events.contains(&format!("DOWN: {name} ")))
    };
    server.hosts();
    assert_eq!(downs(&server), [false, false]);
    // The same silence of an awake server is told.
    until("both are down", || (downs(&server) == [true, true]).then_some(()));
}

#[test]
fn s12_panic_of_a_thread_ends_the_process_with_its_reason() {
    let place = Place::new();
    let mut server = start(&place, "panic:journal", "60000000").unwrap();
    busy(&server, 0);
    assert_eq!(server.wait().0, Some(70));
    assert!(server.log().contains("planned at journal, ending thread=journal"), "{}", server.log());
}

#[test]
fn unknown_fault_is_refused_at_the_start() {
    let place = Place::new();
    let output = place.command(&["-f"]).env("HBD_FAULT", "exit:nowhere").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("store_before_commit"), "{}", stderr(&output));
}
