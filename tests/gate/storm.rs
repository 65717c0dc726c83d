//! Many peers at once, against a front in a process of its own, whose memory and descriptors are
//! seen from outside. Each case runs small in the suite and large by hand: `HB_STORM=full cargo
//! test --release --bin hbd storm -- --nocapture --test-threads 1`.

use super::rig::{Client, Rig, connect};
use heartbeat::limits;
use heartbeat::os;
use heartbeat::os::file::read_bounded;
use heartbeat::time::Duration;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

const GOOD: &[u8] = b"GET /good HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
const LARGE: &[u8] = b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n";

fn is_full() -> bool {
    std::env::var_os("HB_STORM").is_some_and(|v| v == "full")
}

fn sized(small: usize, full: usize) -> usize {
    let size = if is_full() { full } else { small };
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
    size
}

/// A front in a child process; it ends when this is dropped.
struct Far {
    child: std::process::Child,
    http: SocketAddr,
    ws: SocketAddr,
    https: SocketAddr,
}

impl Far {
    fn new(files_max: u32) -> Far {
        Far::with(files_max, files_max)
    }

    /// `files_later`: the limit of descriptors once the front has started.
    fn with(files_max: u32, files_later: u32) -> Far {
        let me = std::env::current_exe().expect("a path");
        let name = format!("{}::serve_until_told", module_path!().replace("hbd::", ""));
        let line =
            format!("ulimit -n {files_max} && exec \"$0\" --exact {name} --ignored --nocapture");
        let mut child = Command::new("sh")
            .args(["-c", &line])
            .arg(me)
            .env("HB_FILES_LATER", files_later.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        let line = out
            .lines()
            .map(|line| line.expect("text"))
            .find(|line| line.contains("ready "))
            .expect("the child is ready");
        let ports = line.split("ready ").nth(1).expect("ports");
        let mut ports = ports.split(' ').map(|p| p.parse().expect("an address"));
        let (http, ws) = (ports.next().expect("http"), ports.next().expect("ws"));
        Far { child, http, ws, https: ports.next().expect("https") }
    }

    /// Kilobytes that are resident.
    fn rss(&self) -> u64 {
        self.status("VmRSS:")
    }

    fn threads(&self) -> u64 {
        self.status("Threads:")
    }

    fn status(&self, field: &str) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let bytes = read_bounded(Path::new(&path), 1 << 16).expect("a status");
        let text = String::from_utf8(bytes).expect("text");
        let line = text.lines().find_map(|l| l.strip_prefix(field)).expect("the field");
        line.split_whitespace().next().expect("a number").parse().expect("a number")
    }

    /// How long a good request on a new connection takes.
    fn good(&self) -> Duration {
        let before = os::clock::now();
        let mut client = connect(self.http);
        client.send(GOOD);
        let answer = client.rest();
        assert!(answer.ends_with("Get /good "), "{answer}");
        os::clock::now().mono.since(before.mono)
    }

    fn is_good(&self) -> bool {
        let mut client = connect(self.http);
        client.send_some(GOOD).is_ok() && client.rest().ends_with("Get /good ")
    }

    fn report(&self, what: &str, rss_before: u64) {
        let mut spans: Vec<Duration> = (0..50).map(|_| self.good()).collect();
        spans.sort();
        let grown = self.rss().saturating_sub(rss_before);
        println!(
            "{what}: good request median {:?}, slowest of 50 {:?}; RSS {rss_before} kB and \
             {grown} more; {} threads",
            spans[25],
            spans[49],
            self.threads()
        );
        assert!(spans[49] < Duration::from_secs(1), "{:?}", spans[49]);
        assert!(grown < 64 << 10, "{grown} kB");
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// The child: a front that ends with its standard input.
#[test]
#[ignore = "started by the other tests here"]
fn serve_until_told() {
    let rig = Rig::behind_proxy();
    let later = std::env::var("HB_FILES_LATER").ok().and_then(|text| text.parse().ok());
    let later = later.expect("told by the parent");
    setrlimit(Resource::RLIMIT_NOFILE, later, later).expect("less than before");
    println!("ready {} {} {}", rig.http, rig.ws, rig.https);
    let _ = std::io::stdin().read(&mut [0]);
    rig.front.stop();
}

fn half(to: SocketAddr, count: usize, bytes: &[u8]) -> Vec<Client<TcpStream>> {
    (0..count)
        .map(|_| {
            let mut client = connect(to);
            // It may have been closed already, in favour of the next one.
            let _ = client.send_some(bytes);
            client
        })
        .collect()
}

#[test]
fn h1_slow_connections_leave_a_good_request_its_place() {
    let far = Far::new(1024);
    far.good();
    let before = far.rss();
    let held = half(far.http, sized(300, 10_000), b"GET / HTTP/1.1\r\nHos");
    far.report("slow heads", before);
    drop(held);
    let held = half(
        far.http,
        sized(100, 2_000),
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 65536\r\n\r\na",
    );
    far.report("slow bodies", before);
    drop(held);
}

#[test]
fn h1_slow_connections_of_one_address_leave_it_a_place() {
    let rig = Rig::new();
    let held = half(rig.http, 3 * limits::HTTP_CONNS_PER_ADDRESS, b"GET / HTTP/1.1\r\nHos");
    assert!(rig.ask(GOOD).ends_with("Get /good "));
    assert!(rig.count("http_evicted") >= 2 * limits::HTTP_CONNS_PER_ADDRESS as u64);
    drop(held);
    rig.front.stop();
}

#[test]
fn h1_half_handshakes_of_tls_leave_a_good_request_its_place() {
    let far = Far::new(1024);
    far.good();
    let before = far.rss();
    // A ClientHello that stops in the middle of its record.
    let hello = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 7, 7, 7];
    let held = half(far.https, sized(300, 10_000), &hello);
    far.report("half handshakes of TLS", before);
    drop(held);
    let held = half(far.https, sized(100, 2_000), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    far.report("requests in the clear on the port of TLS", before);
    drop(held);
}

#[test]
fn h2_half_handshakes_leave_a_good_request_its_place() {
    let far = Far::new(1024);
    far.good();
    let before = far.rss();
    let held =
        half(far.ws, sized(300, 10_000), b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: webs");
    far.report("half handshakes", before);
    drop(held);
}

#[test]
fn h1_peers_that_never_read_hold_no_worker() {
    let far = Far::new(1024);
    far.good();
    let before = far.rss();
    let held = half(far.http, sized(16, 31), LARGE);
    let mut quick = connect(far.http);
    quick.send(GOOD);
    assert!(quick.rest().ends_with("Get /good "));
    println!(
        "peers that never read: RSS {before} kB and {} more",
        far.rss().saturating_sub(before)
    );
    drop(held);
}

#[test]
fn s10_port_answers_again_after_descriptors_ran_out() {
    let far = Far::new(64);
    far.good();
    for _ in 0..sized(2, 8) {
        let held = half(far.http, 200, b"GET / HT");
        let during = far.good();
        drop(held);
        let after = far.good();
        println!("64 descriptors, 200 connections: {during:?} during, {after:?} after");
        assert!(after < Duration::from_secs(1), "{after:?}");
    }
}

#[test]
fn s10_front_comes_back_after_descriptors_were_taken_away() {
    let far = Far::with(1024, 48);
    far.good();
    for _ in 0..sized(3, 20) {
        let mut held = half(far.http, 100, b"GET /good HTTP/1.1\r\nHost: x\r\n");
        for client in &mut held {
            let _ = client.send_some(b"\r\n");
        }
        drop(held);
        let before = os::clock::now();
        while !far.is_good() {
            assert!(os::clock::now().mono.since(before.mono) < Duration::from_secs(5));
        }
        let took = os::clock::now().mono.since(before.mono);
        println!("48 descriptors and a budget of 1024: {took:?} after");
    }
}

#[test]
fn h1_endless_head_and_pipeline_stay_bounded() {
    let far = Far::new(1024);
    far.good();
    let before = far.rss();
    let mut client = connect(far.http);
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\nA: ");
    let megabyte = vec![b'a'; 1 << 20];
    let sent = (0..sized(8, 512)).take_while(|_| client.send_some(&megabyte).is_ok()).count();
    assert!(client.rest().starts_with("HTTP/1.1 431 "));
    let mut pipeline = connect(far.http);
    pipeline.stream.set_write_timeout(Some(Duration::from_millis(500))).expect("set");
    let _ = pipeline.send_some(&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(40_000));
    far.good();
    let grown = far.rss().saturating_sub(before);
    println!("head of {sent} MB, 40,000 requests at once: RSS {before} kB and {grown} more");
    assert!(grown < 32 << 10, "{grown} kB");
}

#[test]
fn requests_beyond_queue_and_flight_are_told_to_come_back() {
    let rig = Rig::behind_proxy();
    let mut clients = half(rig.http, 200, GOOD);
    for client in &mut clients {
        let answer = client.rest();
        let busy = answer.starts_with("HTTP/1.1 503") && answer.contains("Retry-After: 1\r\n");
        assert!(busy || answer.ends_with("Get /good "), "{answer}");
    }
    rig.front.stop();
}

#[test]
fn h3_flood_of_logins_leaves_others_their_place() {
    let rig = Rig::behind_proxy();
    let login = b"POST /api/0/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
    let mut logins = half(rig.http, sized(150, 200), login);
    for _ in 0..20 {
        assert!(rig.ask(GOOD).ends_with("Get /good "));
    }
    for client in &mut logins {
        let answer = client.rest();
        let told = answer.starts_with("HTTP/1.1 429") && answer.contains("Retry-After: 1\r\n");
        assert!(told || answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    rig.front.stop();
}

#[test]
fn s11_tiny_http_keeps_few_threads_with_all_places_in_flight() {
    let far = Far::new(1024);
    let mut most = 0;
    for _ in 0..sized(5, 100) {
        let mut clients = half(far.http, limits::HTTP_CONNS_PER_ADDRESS, GOOD);
        most = most.max(far.threads());
        clients.iter_mut().for_each(|client| {
            client.rest();
        });
    }
    println!("32 requests at once: at most {most} threads");
    assert!(most <= 24, "{most} threads");
}
