//! Start and end: readiness, bad configurations, taken ports, signals.

use crate::program::{Place, Sender, stderr, stdout, until};
use heartbeat::time::Duration;
use std::os::unix::net::UnixDatagram;

#[test]
fn sigterm_and_sigint_end_it_cleanly_and_soon() {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let place = Place::new();
        let mut server = place.start();
        Sender::to(server.udp).heartbeat("web1");
        server.signal(signal);
        let (status, took) = server.wait();
        assert_eq!(status, Some(0), "{}", server.log());
        assert!(took < Duration::from_secs(5), "{took:?}");
        assert!(!place.path().join("hbd.sock").exists());
    }
}

#[test]
fn bad_configuration_is_told_whole_and_exits_78() {
    let place = Place::new();
    place.configure("interval: often\ngrace: [1]\nhosts: 5\n");
    for args in [&["-f"][..], &["check-config"]] {
        let output = place.run(args);
        assert_eq!(output.status.code(), Some(78), "{args:?}");
        let text = stderr(&output);
        for want in ["interval", "grace", "hosts", "hbd.yaml:8:11"] {
            assert!(text.contains(want), "{want} in {text}");
        }
    }
}

#[test]
fn missing_configuration_file_is_named() {
    let place = Place::new();
    let output = place.run(&["-f", "-c", "nowhere.yaml"]);
    assert_eq!(output.status.code(), Some(78));
    assert!(stderr(&output).contains("nowhere.yaml"), "{}", stderr(&output));
}

#[test]
fn check_config_counts_files_and_hosts() {
    let place = Place::new();
    place.configure("hosts:\n  web1: {}\n");
    std::fs::create_dir(place.path().join("conf.d")).unwrap();
    std::fs::write(place.path().join("conf.d/10.yaml"), "hosts:\n  web2: {}\n").unwrap();
    let output = place.run(&["check-config"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let want = format!(
        "ok: {}/hbd.yaml + 1 file: 2 hosts, 0 users, 0 profiles, 0 limits, 0 errors, 0 warnings\n",
        place.path().display()
    );
    assert_eq!(stdout(&output), want);
}

#[test]
fn unknown_key_warns_at_start_and_fails_the_check() {
    let place = Place::new();
    place.configure("intervall: 30\n");
    let output = place.run(&["check-config"]);
    assert_eq!(output.status.code(), Some(78));
    assert!(stderr(&output).contains("interval"), "{}", stderr(&output));
    let mut server = place.start();
    assert!(server.log().contains("intervall"));
}

#[test]
fn taken_port_is_an_error_that_names_its_owner() {
    let place = Place::new();
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap();
    place.configure(&format!("hb_port: {}\n", at.port()));
    let output = place.run(&["-f"]);
    assert_eq!(output.status.code(), Some(1));
    let start =
        format!("hbd: cannot bind UDP {at}: address in use (by pid {} \"", std::process::id());
    let text = stderr(&output);
    assert!(text.contains(&start), "{text}");
    assert!(text.contains("\") - stop it or set hb_port"), "{text}");
}

#[test]
fn sighup_with_a_bad_file_keeps_the_old_configuration() {
    let place = Place::new();
    place.configure("hosts:\n  web1: {}\n");
    let mut server = place.start();
    server.wait_for_host("web1");
    place.configure("hosts:\n  web2: {}\ninterval: never\n");
    server.signal(libc::SIGHUP);
    server.wait_for_log("the old configuration stays");
    assert_eq!(server.hosts().len(), 1);
    place.configure("hosts:\n  web1: {}\n  web2: {}\nhbd_host: 127.0.0.2\n");
    server.signal(libc::SIGHUP);
    server.wait_for_host("web2");
    server.wait_for_log("hbd_host: needs a restart");
}

#[test]
fn supervisor_is_told_ready_and_stopping() {
    let place = Place::new();
    let path = place.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(crate::program::PATIENCE)).unwrap();
    let mut told = String::new();
    let mut hear = |want: &str| {
        until(want, || {
            let mut buffer = [0; 256];
            let n = socket.recv(&mut buffer).unwrap();
            told.push_str(&String::from_utf8_lossy(&buffer[..n]));
            told.contains(want).then_some(())
        });
    };
    let mut command = place.command(&[]);
    let mut child = command
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "200000")
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    for want in ["EXTEND_TIMEOUT_USEC=30000000", "READY=1", "STATUS=0 hosts", "WATCHDOG=1"] {
        hear(want);
    }
    // SAFETY: a signal to our own child.
    unsafe { libc::kill(child.id() as i32, libc::SIGTERM) };
    hear("STOPPING=1");
    // What is to be written may take longer than systemd waits by itself.
    hear("STOPPING=1EXTEND_TIMEOUT_USEC=30000000");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn output_that_nobody_reads_ends_the_program_quietly() {
    let place = Place::new();
    let lines: [&[&str]; 5] = [
        &["--limits"],
        &["--help"],
        &["help"],
        &["completions", "bash"],
        &["check-config", "--print"],
    ];
    for args in lines {
        let (nobody, output) = heartbeat::os::signal::pipe().unwrap();
        drop(nobody);
        let output =
            place.command(args).stdout(std::process::Stdio::from(output)).output().unwrap();
        assert_eq!(stderr(&output), "", "{args:?}");
    }
}

#[test]
fn help_version_limits_and_mistakes() {
    let place = Place::new();
    let table: [(&[&str], i32, &str); 8] = [
        (&["--help"], 0, "hbd check-config"),
        (&["-V"], 0, "hbd "),
        (&["--limits"], 0, "UDP_IN_MAX"),
        (&["stauts"], 2, "did you mean \"status\"?"),
        (&["hosts", "state:dwon"], 2, "names no state"),
        (&["hosts", "colour:red"], 2, "is no filter"),
        (&["silence", "host:web1", "--for", "soon"], 2, "hbd silence --help tells more"),
        (&["drop", "web1"], 2, "--yes"),
    ];
    for (args, status, want) in table {
        let output = place.run(args);
        let text = stdout(&output) + &stderr(&output);
        assert_eq!(output.status.code(), Some(status), "{args:?}");
        assert!(text.contains(want), "{args:?}: {text}");
    }
}

#[test]
fn a_time_zone_that_is_not_known_here_fails_the_check_and_stops_nothing() {
    let place = Place::new();
    place.configure(
        "timezone: Nowhere/Else\nmaintenance:\n  - {start: \"22:00\", duration: 1h, repeat: daily, zone: Some/Where}\n",
    );
    let output = place.run(&["check-config"]);
    assert_eq!(output.status.code(), Some(78));
    let told = stdout(&output) + &stderr(&output);
    for name in ["Nowhere/Else", "Some/Where"] {
        let line = format!("warning[W0207]: there is no time zone \"{name}\" here");
        assert!(told.contains(&line), "{told}");
    }
    place.start().kill();
}
