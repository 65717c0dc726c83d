//! A running hbd and what a test does with it.

use heartbeat::os::{clock, thread};
use heartbeat::time::{Duration, Mono};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use tempfile::TempDir;

/// Generous: a loaded machine is slow, and a test that waits this long has failed anyway.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Asks until the answer is there; the last value says why it never came.
#[track_caller]
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = clock::now().mono + PATIENCE;
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(clock::now().mono < deadline, "never happened: {what}");
        pause();
    }
}

fn pause() {
    pause_for(Duration::from_millis(10));
}

/// Between two datagrams or looks; nothing is timed by it.
#[allow(clippy::disallowed_methods, reason = "there is no event to wait for")]
pub fn pause_for(span: Duration) {
    std::thread::sleep(span);
}

/// A directory with a configuration on free ports, in which hbd can be started again and again.
pub struct Place {
    pub dir: TempDir,
}

impl Place {
    pub fn new() -> Place {
        let place = Place { dir: tempfile::tempdir().unwrap() };
        place.configure("");
        place
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Free ports on loopback, everything below this directory, and `more`.
    pub fn configure(&self, more: &str) {
        let dir = self.path().display();
        let text = format!(
            "hb_port: 0\nhb_host: 127.0.0.1\nhbd_port: 0\nws_port: 0\nstate_dir: {dir}/state\n\
             control_socket: {dir}/hbd.sock\njournal_dir: {dir}/journal\n{more}"
        );
        std::fs::write(self.path().join("hbd.yaml"), text).unwrap();
    }

    /// hbd with this place's configuration, cut off from the machine's own.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hbd"));
        command
            .env_clear()
            .env("HOME", self.path())
            .env("HBD_CONFIG", self.path().join("hbd.yaml"));
        command.args(args).stdin(Stdio::null()).current_dir(self.path());
        command
    }

    /// Runs hbd to its end.
    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    pub fn start(&self) -> Hbd {
        self.start_with(&[])
    }

    pub fn start_with(&self, args: &[&str]) -> Hbd {
        Hbd::start(self.command(&[&["-f"], args].concat()))
    }
}

/// A server that is ready. Killed when dropped.
pub struct Hbd {
    child: Child,
    pub udp: SocketAddr,
    pub http: SocketAddr,
    ready: String,
    lines: Receiver<String>,
    /// What it has written to stderr so far.
    log: String,
}

impl Hbd {
    pub fn start(command: Command) -> Hbd {
        Hbd::try_start(command).unwrap_or_else(|log| panic!("not ready: {log}"))
    }

    /// What it wrote where it ended before it was ready.
    pub fn try_start(mut command: Command) -> Result<Hbd, String> {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        let (sender, lines) = channel();
        let reader = move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        };
        thread::spawn("stderr", 128 << 10, reader).unwrap();
        let mut log = String::new();
        let ready = loop {
            let Ok(line) = lines.recv_timeout(PATIENCE) else {
                let _ = child.kill();
                let _ = child.wait();
                return Err(log);
            };
            log.push_str(&line);
            log.push('\n');
            if line.starts_with("ready ") {
                break line;
            }
        };
        let udp = named(&ready, "udp").unwrap();
        let http = named(&ready, "http").unwrap();
        Ok(Hbd { child, udp, http, ready, lines, log })
    }

    /// What the line `ready` says: `http`, `ws`, `https`, `wss`.
    pub fn address(&self, name: &str) -> Option<SocketAddr> {
        named(&self.ready, name)
    }

    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: a signal to our own child, which has not been waited for yet.
        assert_eq!(unsafe { libc::kill(self.pid(), signal) }, 0);
    }

    /// As `signal`, where it may be gone already.
    pub fn signal_if_alive(&self, signal: i32) {
        // SAFETY: a signal to our own child; it stays a zombie until it is waited for.
        unsafe { libc::kill(self.pid(), signal) };
    }

    /// Whether it has ended.
    pub fn ended(&mut self) -> Option<()> {
        self.child.try_wait().unwrap().map(drop)
    }

    /// As `ask`, where it may go away meanwhile, and says nothing for a while.
    pub fn try_ask(&self, method: &str, path: &str, body: &str) -> std::io::Result<()> {
        let mut stream = TcpStream::connect(self.http)?;
        stream.set_read_timeout(Some(Duration::from_millis(200)))?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.http,
            body.len()
        )?;
        stream.take(1 << 24).read_to_end(&mut Vec::new()).map(drop)
    }

    /// Everything written to stderr up to now.
    pub fn log(&mut self) -> &str {
        while let Ok(line) = self.lines.try_recv() {
            self.log.push_str(&line);
            self.log.push('\n');
        }
        &self.log
    }

    #[track_caller]
    pub fn wait_for_log(&mut self, text: &str) {
        until(&format!("the log says {text:?}"), || self.log().contains(text).then_some(()));
    }

    /// Waits for its end; the exit status and how long it took.
    #[track_caller]
    pub fn wait(&mut self) -> (Option<i32>, Duration) {
        let before: Mono = clock::now().mono;
        let status = until("the server ends", || self.child.try_wait().unwrap());
        (status.code(), clock::now().mono.since(before))
    }

    pub fn kill(mut self) {
        self.signal(libc::SIGKILL);
        let _ = self.wait();
    }

    /// `GET path` over TCP: status and body.
    pub fn get(&self, path: &str) -> (u16, Value) {
        self.ask("GET", path, "")
    }

    pub fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(self.http).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.http,
            body.len()
        )
        .unwrap();
        let mut answer = Vec::new();
        stream.take(1 << 24).read_to_end(&mut answer).unwrap();
        let text = String::from_utf8(answer).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or_default())
    }

    /// The hosts of the API by name.
    pub fn hosts(&self) -> Vec<Value> {
        let (status, value) = self.get("/api/0/hosts?sort=name");
        assert_eq!(status, 200);
        value["hosts"].as_array().unwrap().clone()
    }

    #[track_caller]
    pub fn wait_for_host(&self, name: &str) -> Value {
        until(&format!("host {name} is listed"), || {
            self.hosts().into_iter().find(|host| host["name"] == name)
        })
    }
}

fn named(ready: &str, name: &str) -> Option<SocketAddr> {
    let word = ready.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='))?;
    word.parse().ok()
}

impl Drop for Hbd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An agent as simple as can be: one socket that sends and hears.
pub struct Sender {
    socket: UdpSocket,
}

impl Sender {
    pub fn to(server: SocketAddr) -> Sender {
        let local = if server.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
        let socket = UdpSocket::bind(local).unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Sender { socket }
    }

    /// To a server that may be gone: `false` where it is known to be.
    pub fn try_send(&self, bytes: &[u8]) -> bool {
        self.socket.send(bytes).is_ok()
    }

    pub fn send(&self, bytes: &[u8]) {
        self.socket.send(bytes).unwrap();
    }

    /// Sends a message and returns the answer.
    pub fn ask(&self, message: &str) -> Value {
        self.send(message.as_bytes());
        let mut buffer = [0; 2048];
        let n = self.socket.recv(&mut buffer).unwrap();
        serde_json::from_slice(&buffer[..n]).unwrap()
    }

    pub fn heartbeat(&self, name: &str) {
        let ack = self.ask(&format!(r#"{{"ID":"HTB","name":"{name}","interval":30}}"#));
        assert_eq!(ack["ID"], "ACK");
    }
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
