//! A real hbd with a fleet that datagrams have told it of, for a browser to look at.

use heartbeat::os::{clock, thread};
use heartbeat::time::Duration;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use tempfile::TempDir;

/// Generous: a loaded machine is slow, and a test that waits this long has failed anyway.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks until the answer is there.
#[track_caller]
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = clock::now().mono + PATIENCE;
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(clock::now().mono < deadline, "never happened: {what}");
        pause(Duration::from_millis(20));
    }
}

#[allow(clippy::disallowed_methods, reason = "between two looks at another process")]
pub fn pause(length: Duration) {
    std::thread::sleep(length);
}

/// A server on free ports of loopback, with a directory of its own. Killed when dropped.
pub struct Server {
    #[expect(dead_code, reason = "removed after the server has ended")]
    dir: TempDir,
    child: Child,
    pub udp: SocketAddr,
    pub http: SocketAddr,
    socket: UdpSocket,
}

impl Server {
    /// With `more` in its configuration.
    pub fn start(more: &str) -> Server {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().display();
        let text = format!(
            "hb_port: 0\nhb_host: 127.0.0.1\nhbd_port: 0\nws_port: 0\nstate_dir: {at}/state\n\
             control_socket: {at}/hbd.sock\njournal_dir: {at}/journal\ntimezone: Europe/Zurich\n{more}"
        );
        std::fs::write(dir.path().join("hbd.yaml"), text).unwrap();
        Server::start_in(dir)
    }

    fn start_in(dir: TempDir) -> Server {
        // Another build of it, as one for release where times are measured.
        let program = std::env::var_os("HB_HBD");
        let program = program.unwrap_or_else(|| env!("CARGO_BIN_EXE_hbd").into());
        let mut child = Command::new(program)
            .args(["-f", "-c"])
            .arg(dir.path().join("hbd.yaml"))
            .env_clear()
            .env("HOME", dir.path())
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = child.stderr.take().unwrap();
        let (sender, lines) = channel();
        let reader = move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        };
        thread::spawn("stderr", 128 << 10, reader).unwrap();
        let mut log = String::new();
        let ready = loop {
            let line = lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("not ready: {log}"));
            if line.starts_with("ready ") {
                break line;
            }
            log.push_str(&line);
            log.push('\n');
        };
        let address = |key: &str| -> SocketAddr {
            let word = ready.split(' ').find_map(|word| word.strip_prefix(key)).unwrap();
            word.parse().unwrap()
        };
        let udp = address("udp=");
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(udp).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Server { dir, child, udp, http: address("http="), socket }
    }

    pub fn url(&self, path: &str) -> String {
        // All addresses are bound where there are users; a browser trusts loopback.
        let http = self.http.to_string().replace("0.0.0.0", "127.0.0.1");
        format!("http://{http}{path}")
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: a signal to our own child, which has not been waited for yet.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, signal) }, 0);
    }

    /// Sends a message and waits for its answer, so that nothing is lost on the way.
    #[track_caller]
    pub fn send(&self, message: &Value) {
        self.socket.send(message.to_string().as_bytes()).unwrap();
        let mut buffer = [0; 2048];
        self.socket.recv(&mut buffer).expect("an answer");
    }

    /// Where it may not be answered: a refusal is silent.
    pub fn try_send(&self, message: &Value) {
        self.socket.send(message.to_string().as_bytes()).unwrap();
        self.socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let _ = self.socket.recv(&mut [0; 2048]);
        self.socket.set_read_timeout(Some(PATIENCE)).unwrap();
    }

    pub fn heartbeat(&self, name: &str, interval: u32) {
        self.send(&json!({
            "ID": "HTB", "name": name, "interval": interval, "rtt": 0.8, "v": "0.1.0", "up": 86_400,
        }));
    }

    pub fn plugin(&self, name: &str, plugin: &str, data: Value) {
        self.send(
            &json!({ "ID": "PLG", "name": name, "plugin": plugin, "every": 300, "data": data }),
        );
    }

    /// Heartbeats of many hosts, as fast as they are answered.
    pub fn heartbeats(&self, names: impl Iterator<Item = String>) {
        let mut open = 0;
        let mut buffer = [0; 2048];
        for name in names {
            let message = json!({
                "ID": "HTB", "name": name, "interval": 3600, "rtt": 0.8, "v": "0.1.0", "up": 86_400,
            });
            self.socket.send(message.to_string().as_bytes()).unwrap();
            open += 1;
            if open == 32 {
                self.socket.recv(&mut buffer).expect("an answer");
                open -= 1;
            }
        }
        for _ in 0..open {
            self.socket.recv(&mut buffer).expect("an answer");
        }
    }

    /// The body of a GET as JSON.
    #[track_caller]
    pub fn get(&self, path: &str) -> Value {
        let mut stream = TcpStream::connect(self.http).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head =
            format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.http);
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.take(1 << 26).read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap_or_default()
    }

    #[track_caller]
    pub fn wait_for_hosts(&self, count: u64) {
        until(&format!("{count} hosts"), || {
            match self.get("/api/0/hosts?limit=1")["total"].as_u64() {
                Some(total) => (total == count).then_some(()),
                // With users nobody may ask; every message has been answered by then.
                None => Some(()),
            }
        });
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
