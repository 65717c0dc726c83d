//! `--with-agent`: the first machine on the page is this one; hbc adds the next.

use crate::program::{Place, until};
use std::process::{Command, Stdio};

#[test]
fn this_machine_is_the_first_host_with_its_plugins() {
    let place = Place::new();
    let server = place.start_with(&["--with-agent"]);
    let host = until("a first host", || server.hosts().into_iter().next());
    assert_eq!(host["state"], "up");
    let path = format!("/api/0/hosts/{}/plugins", host["name"].as_str().unwrap());
    until("its memory is known", || {
        let (_, plugins) = server.get(&path);
        plugins["plugins"]["memory_monitor"]["data"]["percent"].is_number().then_some(())
    });
}

#[test]
fn agent_section_switches_it_on_and_names_it() {
    let place = Place::new();
    place.configure("agent: {enabled: true, name: monitor}\n");
    let mut server = place.start();
    server.wait_for_host("monitor");
    server.signal(libc::SIGTERM);
    let (status, took) = server.wait();
    assert_eq!(status, Some(0));
    assert!(took.as_secs() < 5, "{took:?}");
}

#[test]
fn hbc_is_the_second_host() {
    let place = Place::new();
    let server = place.start_with(&["--with-agent"]);
    std::fs::write(place.path().join("hbc.yaml"), "name: second\ninterval: 5\n").unwrap();
    let mut hbc = Command::new(env!("CARGO_BIN_EXE_hbc"))
        .env_clear()
        .env("HOME", place.path())
        .args(["-c", "hbc.yaml", &server.udp.to_string()])
        .current_dir(place.path())
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    server.wait_for_host("second");
    until("both are listed", || (server.hosts().len() == 2).then_some(()));
    hbc.kill().unwrap();
    hbc.wait().unwrap();
}
