//! What survives: kill -9, a second start, damage, a full disk.

use crate::program::{Place, Sender, stderr, until};
use heartbeat::os::clock;
use heartbeat::time::Duration;

#[test]
fn host_survives_kill_and_restart() {
    let place = Place::new();
    let server = place.start();
    Sender::to(server.udp).heartbeat("web1");
    let before = server.wait_for_host("web1");
    // Durable within a second (SPEC section 2); half a second for a busy machine.
    let seen = clock::now().mono;
    until("the promised second has passed", || {
        (clock::now().mono.since(seen) > Duration::from_millis(1500)).then_some(())
    });
    server.kill();
    let server = place.start();
    let after = server.wait_for_host("web1");
    assert_eq!(after["state"], "up");
    assert_eq!(after["since"], before["since"]);
}

#[test]
fn kills_at_any_moment_leave_a_store_that_loads() {
    let place = Place::new();
    for round in 0..5 {
        let mut server = place.start();
        assert!(!server.log().contains("damaged"), "{}", server.log());
        let sender = Sender::to(server.udp);
        for i in 0..10 {
            sender.heartbeat(&format!("host-{round}-{i}"));
        }
        server.kill();
    }
    assert!(!place.path().join("state/heartbeat.redb.bad").exists());
}

#[test]
fn clean_stop_saves_everything_at_once() {
    let place = Place::new();
    let mut server = place.start();
    Sender::to(server.udp).heartbeat("web1");
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait().0, Some(0));
    let server = place.start();
    assert_eq!(server.wait_for_host("web1")["state"], "up");
}

#[test]
fn damaged_store_is_set_aside_and_the_server_runs() {
    let place = Place::new();
    place.start().kill();
    let store = place.path().join("state/heartbeat.redb");
    let len = std::fs::metadata(&store).unwrap().len() as usize;
    std::fs::write(&store, [b"redb\x1a\x0a\xa9\x0d\x0a".as_slice(), &vec![7; len]].concat())
        .unwrap();
    let mut server = place.start();
    assert!(server.log().contains("heartbeat.redb.bad"), "{}", server.log());
    Sender::to(server.udp).heartbeat("web1");
}

#[test]
fn second_server_on_the_same_state_is_refused() {
    let place = Place::new();
    let _server = place.start();
    let output = place.run(&["-f"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("in use by another hbd"), "{}", stderr(&output));
}

#[test]
fn state_directory_and_store_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let _server = place.start();
    let mode = |path: &str| {
        std::fs::metadata(place.path().join(path)).unwrap().permissions().mode() & 0o777
    };
    assert_eq!(mode("state"), 0o700);
    assert_eq!(mode("state/heartbeat.redb"), 0o600);
    assert_eq!(mode("hbd.sock"), 0o600);
}
