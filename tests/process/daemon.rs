//! Programs that have left the terminal: they go on, and speak to whatever syslog daemon there is at the moment.

use crate::program::{Place, until};
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A syslog daemon in a `/dev` that only the daemons of this test see.
struct Syslog {
    path: PathBuf,
    socket: UnixDatagram,
    heard: Vec<String>,
}

impl Syslog {
    fn start(place: &Place) -> Syslog {
        let path = place.path().join("dev/log");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        Syslog { path, socket, heard: Vec::new() }
    }

    /// As a daemon that ends and starts again: another socket under the same name. Between the two, what is said
    /// finds nobody.
    fn restart(self, meanwhile: impl FnOnce()) -> Syslog {
        let Syslog { path, socket, heard } = self;
        drop(socket);
        std::fs::remove_file(&path).unwrap();
        meanwhile();
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        Syslog { path, socket, heard }
    }

    /// The line with these words, once it has come.
    #[track_caller]
    fn wait_for(&mut self, words: &str) -> String {
        until(&format!("syslog hears {words}"), || {
            let mut buffer = [0; 4096];
            while let Ok(len) = self.socket.recv(&mut buffer) {
                self.heard.push(String::from_utf8_lossy(&buffer[..len]).into_owned());
            }
            self.heard.iter().find(|line| line.contains(words)).cloned()
        })
    }
}

/// Ends a daemon by the number in its line, `hbd[123]: …`.
struct Daemon(i32);

impl Daemon {
    fn of(line: &str, name: &str) -> Daemon {
        let (_, rest) = line.split_once(&format!(" {name}[")).unwrap();
        Daemon(rest.split_once(']').unwrap().0.parse().unwrap())
    }

    fn stop(self) {
        // SAFETY: a signal to the daemon that this test started.
        unsafe { libc::kill(self.0, libc::SIGTERM) };
        let proc = PathBuf::from(format!("/proc/{}", self.0));
        until("the daemon ends", || (!proc.exists()).then_some(()));
        std::mem::forget(self);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { libc::kill(self.0, libc::SIGKILL) };
    }
}

/// Runs a program where `/dev` is the directory `dev` of the place; `false` where this user may not mount.
fn run(place: &Place, program: &str, words: &[&str]) -> bool {
    let dev = place.path().join("dev");
    std::fs::create_dir_all(&dev).unwrap();
    for name in ["null", "urandom"] {
        std::fs::write(dev.join(name), "").unwrap();
    }
    let mounts = "mount --bind /dev/null dev/null && mount --bind /dev/urandom dev/urandom && \
                  mount --rbind dev /dev";
    let in_it = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["-Urm", "sh", "-c", script, "sh", program]).args(words);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", place.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.current_dir(place.path()).status().is_ok_and(|status| status.success())
    };
    if !in_it(mounts) {
        eprintln!("left out: no right to mount");
        return false;
    }
    assert!(in_it(&format!("{mounts} && exec \"$@\"")), "{program} {words:?}");
    true
}

#[test]
fn server_that_is_a_daemon_speaks_to_a_syslog_that_was_restarted() {
    let place = Place::new();
    std::fs::create_dir(place.path().join("dev")).unwrap();
    let mut syslog = Syslog::start(&place);
    let config = place.path().join("hbd.yaml");
    if !run(&place, env!("CARGO_BIN_EXE_hbd"), &["-c", config.to_str().unwrap()]) {
        return;
    }
    let line = syslog.wait_for("hbd::serve: hbd ");
    // LOG_DAEMON and the level: 3 * 8 + 6.
    assert!(line.starts_with("<30>"), "{line}");
    let daemon = Daemon::of(&line, "hbd");
    let plan = |name: &str| {
        let words = ["maintenance", &format!("host:{name}"), "--for", "1h", "--reason", name];
        let output = until("it takes orders", || {
            let output = place.run(&words);
            output.status.success().then_some(output)
        });
        assert!(output.status.success());
    };
    plan("before");
    syslog.wait_for("before");
    let mut syslog = syslog.restart(|| plan("meanwhile"));
    plan("after");
    let line = syslog.wait_for("after");
    assert!(line.contains(&format!("hbd[{}]", daemon.0)), "{line}");
    syslog.wait_for("lines lost");
    daemon.stop();
}

#[test]
fn agent_that_is_a_daemon_speaks_to_a_syslog_that_was_restarted() {
    let place = Place::new();
    std::fs::create_dir(place.path().join("dev")).unwrap();
    let mut syslog = Syslog::start(&place);
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let config = place.path().join("hbc.yaml");
    let socket = place.path().join("hbc.sock");
    std::fs::write(
        &config,
        format!("name: web1\ninterval: 1\ncontrol_socket: {}\n", socket.display()),
    )
    .unwrap();
    let words = ["-d", "-c", config.to_str().unwrap(), &address.to_string()];
    if !run(&place, env!("CARGO_BIN_EXE_hbc"), &words) {
        return;
    }
    answer(&server, 1);
    let daemon = Daemon::of(&syslog.wait_for("answer from"), "hbc");
    let mut syslog = syslog.restart(|| ());
    // Nobody listens any more: the network says so, and the agent does.
    drop(server);
    let line = syslog.wait_for("no answer from");
    assert!(line.starts_with("<28>") && line.contains(&format!("hbc[{}]", daemon.0)), "{line}");
    daemon.stop();
}

/// Acknowledges so many heartbeats.
fn answer(server: &UdpSocket, count: usize) {
    server.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut answered = 0;
    while answered < count {
        let mut buffer = [0; 2048];
        let (len, from) = server.recv_from(&mut buffer).unwrap();
        let Ok(message) = serde_json::from_slice::<serde_json::Value>(&buffer[..len]) else {
            continue;
        };
        let ack = format!(r#"{{"ID":"ACK","ack":{}}}"#, message["seq"]);
        server.send_to(ack.as_bytes(), from).unwrap();
        answered += usize::from(message["ID"] == "HTB");
    }
}
