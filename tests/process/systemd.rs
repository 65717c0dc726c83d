//! Under systemd, or what it does: sockets that it passes, and units that hold what they promise.

use crate::program::{Hbd, Place, Sender, stdout, until};
use heartbeat::os::thread;
use heartbeat::time::Duration;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Starts hbd with these descriptors from 3 on, as systemd does it.
fn start_with(place: &Place, sockets: &[RawFd]) -> Hbd {
    let mut command = place.command(&[]);
    let hbd = command.get_program().to_owned();
    let mut shell = Command::new("sh");
    // The process that reads LISTEN_PID must have it: the shell becomes hbd.
    shell
        .args(["-c", "LISTEN_PID=$$ exec \"$0\" -f"])
        .arg(hbd)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", place.path())
        .env("HBD_CONFIG", place.path().join("hbd.yaml"))
        .env("LISTEN_FDS", sockets.len().to_string())
        .current_dir(place.path());
    let sockets = sockets.to_vec();
    // SAFETY: dup and dup2 are allowed between fork and exec; nothing is allocated.
    unsafe {
        shell.pre_exec(move || {
            // First out of the way of 3, 4, 5: one of them may be another's number.
            let mut moved = [0; 8];
            for (place, fd) in moved.iter_mut().zip(&sockets) {
                *place = libc::fcntl(*fd, libc::F_DUPFD, 100);
            }
            for (at, fd) in moved.iter().take(sockets.len()).enumerate() {
                if libc::dup2(*fd, 3 + at as i32) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
            }
            Ok(())
        });
    }
    command = shell;
    Hbd::start(command)
}

#[test]
fn restart_with_sockets_of_systemd_loses_no_datagram() {
    let place = Place::new();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (http, ws) =
        (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    place.configure(&format!(
        "hb_port: {}\nhbd_port: {}\nws_port: {}\n",
        udp.local_addr().unwrap().port(),
        port(&http),
        port(&ws)
    ));
    let sockets = [udp.as_raw_fd(), http.as_raw_fd(), ws.as_raw_fd()];
    let to = udp.local_addr().unwrap();
    let mut server = start_with(&place, &sockets);
    assert_eq!(server.udp, to);
    assert_eq!(server.http, http.local_addr().unwrap());
    assert_eq!(server.address("ws"), Some(ws.local_addr().unwrap()));
    // New names all the time, each told once, over two restarts.
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let (counted, count) = std::sync::mpsc::channel();
    let sender = thread::spawn("sender", 128 << 10, move || {
        let sender = Sender::to(to);
        let mut n = 0;
        while !stopped.load(Ordering::Relaxed) && n < 2000 {
            sender.send(format!(r#"{{"ID":"HTB","name":"h{n}","interval":30}}"#).as_bytes());
            n += 1;
            // Below what one address may add in a second.
            thread::pause(Duration::from_millis(25));
        }
        counted.send(n).unwrap();
    });
    for _ in 0..2 {
        until("some have come", || (server.hosts().len() > 5).then_some(()));
        server.signal(libc::SIGTERM);
        assert_eq!(server.wait().0, Some(0));
        // Nobody listens: datagrams and a connection wait in the kernel.
        thread::pause(Duration::from_millis(300));
        server = start_with(&place, &sockets);
    }
    stop.store(true, Ordering::Relaxed);
    sender.unwrap().join().unwrap();
    let sent: usize = count.recv().unwrap();
    assert!(sent > 30, "{sent}");
    until(&format!("all {sent} are there"), || (server.hosts().len() == sent).then_some(()));
}

#[test]
fn strict_unit_is_exposed_no_more_than_promised_and_drop_ins_are_valid() {
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd");
    let there = Command::new("systemd-analyze").arg("--version").output().is_ok();
    assert!(there || std::env::var_os("HB_REQUIRE_PARTS").is_none(), "systemd-analyze is missing");
    if !there {
        return;
    }
    let output = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager", "--threshold=15"])
        .arg(units.join("hbd.service"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stdout(&output));
    // With what they name in the place of it, the units and each drop-in are read without a word.
    let dir = tempfile::tempdir().unwrap();
    let text = |name: &str| {
        let bytes = heartbeat::os::file::read_bounded(&units.join(name), 1 << 16).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        text.replace("/usr/bin/hbd", "/bin/true").replace("Documentation=", "#")
    };
    for name in ["hbd.service", "hbd.socket"] {
        std::fs::write(dir.path().join(name), text(name)).unwrap();
    }
    for (unit, drop_in) in [
        ("hbd.service", "with-agent.conf"),
        ("hbd.service", "signal.conf"),
        ("hbd.socket", "public.conf"),
    ] {
        let place = dir.path().join(format!("{unit}.d"));
        std::fs::create_dir_all(&place).unwrap();
        std::fs::write(place.join(drop_in), text(drop_in)).unwrap();
    }
    let output = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .args(["hbd.service", "hbd.socket"].map(|name| dir.path().join(name)))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    let ours: Vec<&str> = told.lines().filter(|line| line.contains("hbd.")).collect();
    assert!(output.status.success() && ours.is_empty(), "{told}");
}
