//! Two servers, one voice, with the real programs: who tells what, what made on one reaches the other, and what happens
//! when the one that speaks is killed.

use crate::program::{Hbd, Place, Sender, stderr, stdout, until};
use crate::prometheus::http;
use crate::stand_in::{Manner, StandIn};
use heartbeat::os::thread;
use heartbeat::time::Duration;
use serde_json::json;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// A host that sends to both servers once a quarter of a second, while it is switched on.
struct Beating {
    on: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
}

impl Beating {
    fn start(host: &'static str, servers: Arc<Mutex<Vec<std::net::SocketAddr>>>) -> Beating {
        let (on, over) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
        let (sends, ends) = (Arc::clone(&on), Arc::clone(&over));
        let body = move || {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            let message = json!({"ID": "HTB", "name": host, "interval": 1}).to_string();
            while !ends.load(Ordering::Relaxed) {
                if sends.load(Ordering::Relaxed) {
                    for server in servers.lock().unwrap().iter() {
                        let _ = socket.send_to(message.as_bytes(), server);
                    }
                }
                crate::program::pause_for(Duration::from_millis(250));
            }
        };
        thread::spawn("beating", 128 << 10, body).unwrap();
        Beating { on, over }
    }

    fn set(&self, on: bool) {
        self.on.store(on, Ordering::Relaxed);
    }
}

impl Drop for Beating {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// One that nobody has now, for two servers that must know each other's before they start.
fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn configure(place: &Place, port: u16, peer: (&str, &str, u16), hook: &StandIn) {
    let (peer, role, peer_port) = peer;
    place.configure(&format!(
        "interval: 1\ngrace: 0\ngroup_wait: 1\nnotify_per_minute: 1000\nisolation_hosts: 0\nudp_policy: open\n\
         pair: {{peer: {peer}, role: {role}, address: \"127.0.0.1:{peer_port}\", interval: 1}}\n\
         pushsrv: hook\nchannels: {{hook: {{type: webhook, url: \"{}\"}}}}\n",
        hook.url("/in")
    ));
    let path = place.path().join("hbd.yaml");
    let text =
        String::from_utf8(heartbeat::os::file::read_bounded(&path, 1 << 20).unwrap()).unwrap();
    std::fs::write(&path, text.replacen("hb_port: 0", &format!("hb_port: {port}"), 1)).unwrap();
}

/// Makes the key of `host` on one side and gives it to that host's own server.
fn exchange(on: &Place, host: &str, to: &Place) {
    let made = on.run(&["key", "new", host]);
    assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    let file = to.path().join("state/pair.key");
    std::fs::create_dir_all(to.path().join("state")).unwrap();
    std::fs::write(&file, stdout(&made)).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn lines(hook: &StandIn) -> Vec<String> {
    let bodies = hook.seen().iter().map(|seen| seen.json()).collect::<Vec<_>>();
    let all = bodies.iter().flat_map(|body| {
        let lines = body["lines"].as_array().cloned().unwrap_or_default();
        lines.into_iter().map(|line| line.as_str().unwrap_or_default().to_owned())
    });
    all.collect()
}

fn told(hook: &StandIn, start: &str) -> usize {
    lines(hook).iter().filter(|line| line.starts_with(start)).count()
}

#[track_caller]
fn wait_for(hook: &StandIn, start: &str) {
    until(&format!("{start:?} arrives, of {:?}", lines(hook)), || {
        (told(hook, start) > 0).then_some(())
    });
}

fn wait_for_state(server: &Hbd, host: &str, state: &str) {
    until(&format!("{host} is {state}"), || {
        server.hosts().into_iter().find(|h| h["name"] == host && h["state"] == state)
    });
}

fn silences(server: &Hbd) -> Vec<String> {
    let (_, body) = server.get("/api/0/silences");
    let list = body["silences"].as_array().cloned().unwrap_or_default();
    list.iter().map(|silence| silence["id"].as_str().unwrap_or_default().to_owned()).collect()
}

/// By whom an outage was acknowledged, why, and under which id.
fn acknowledged(server: &Hbd, host: &str) -> serde_json::Value {
    let (_, body) = server.get("/api/0/alerts?kind=host");
    let list = body["alerts"].as_array().cloned().unwrap_or_default();
    let alert = list.into_iter().find(|alert| alert["host"] == host);
    alert.map(|alert| alert["acknowledged"].clone()).unwrap_or_default()
}

/// Windows that were planned, by their ids and what for.
fn windows(server: &Hbd) -> Vec<(String, String)> {
    let (_, body) = server.get("/api/0/maintenance");
    let list = body["maintenance"].as_array().cloned().unwrap_or_default();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    list.iter().map(|window| (text(&window["id"]), text(&window["reason"]))).collect()
}

/// What is made on either is there on both, and what is taken back on either is gone on both.
fn share_acknowledgements_and_windows(sides: [(&Place, &Hbd); 2]) {
    let [(one, first), (other, second)] = sides;
    let made = one.run(&["ack", "web1", "--reason", "seen"]);
    assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    until("both have the acknowledgement", || {
        let (here, there) = (acknowledged(first, "web1"), acknowledged(second, "web1"));
        (here["reason"] == "seen" && here == there).then_some(())
    });
    let origin = format!("Origin: http://{}\r\n", second.http);
    let taken = http(second.http, "DELETE", "/api/0/alerts/ack/web1%2Fhost", &origin, "");
    assert_eq!(taken.0, 204, "{}", taken.1);
    until("nobody has it", || {
        (acknowledged(first, "web1").is_null() && acknowledged(second, "web1").is_null())
            .then_some(())
    });
    for (place, reason) in [(one, "disks"), (other, "wires")] {
        let words = ["maintenance", "host:web9", "--for", "1h", "--reason", reason];
        let made = place.run(&words);
        assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    }
    until("both have both windows", || {
        let (here, there) = (windows(first), windows(second));
        (here.len() == 2 && here == there).then_some(())
    });
    let (id, _) = windows(first).into_iter().find(|(_, reason)| reason == "disks").unwrap();
    let ended = other.run(&["maintenance", "--end", &id]);
    assert_eq!(ended.status.code(), Some(0), "{}", stderr(&ended));
    until("one is left on both", || {
        let left = windows(first);
        (left.len() == 1 && left[0].1 == "wires" && windows(second) == left).then_some(())
    });
}

fn pair_speaks(server: &Hbd) -> bool {
    server.get("/healthz").1["pair"]["speaks"] == true
}

#[test]
fn secondary_is_silent_speaks_when_the_primary_dies_and_hands_back() {
    let (a, b) = (Place::new(), Place::new());
    let (hook_a, hook_b) =
        (StandIn::start(Manner::Status(200)), StandIn::start(Manner::Status(200)));
    let (port_a, port_b) = (free_port(), free_port());
    configure(&a, port_a, ("hb-b", "primary", port_b), &hook_a);
    configure(&b, port_b, ("hb-a", "secondary", port_a), &hook_b);
    exchange(&a, "hb-b", &b);
    exchange(&b, "hb-a", &a);
    let (primary, secondary) = (a.start(), b.start());
    let servers = Arc::new(Mutex::new(vec![primary.udp, secondary.udp]));
    let web1 = Beating::start("web1", Arc::clone(&servers));
    let web2 = Beating::start("web2", Arc::clone(&servers));
    for server in [&primary, &secondary] {
        wait_for_state(server, "web1", "up");
        wait_for_state(server, "web2", "up");
    }
    wait_for_state(&primary, "hb-b", "up");
    wait_for_state(&secondary, "hb-a", "up");
    until("the primary speaks", || pair_speaks(&primary).then_some(()));
    assert!(!pair_speaks(&secondary));

    web1.set(false);
    wait_for(&hook_a, "DOWN: web1");
    wait_for_state(&secondary, "web1", "down");

    // What is made on one reaches the other, under the same name.
    for place in [&a, &b] {
        let made = place.run(&["silence", "host:web9", "--for", "1h", "--reason", "tried"]);
        assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    }
    until("both have both silences", || {
        let (one, other) = (silences(&primary), silences(&secondary));
        (one.len() == 2 && one == other).then_some(())
    });
    let gone = silences(&primary)[0].clone();
    let taken = b.run(&["unsilence", &gone]);
    assert_eq!(taken.status.code(), Some(0), "{}", stderr(&taken));
    until("it is gone on both", || (silences(&primary).len() == 1).then_some(()));
    assert_eq!(told(&hook_b, "DOWN: web1"), 0, "{:?}", lines(&hook_b));

    share_acknowledgements_and_windows([(&a, &primary), (&b, &secondary)]);

    primary.kill();
    web1.set(true);
    // Who was told by the primary hears the end from the secondary.
    wait_for(&hook_b, "UP: web1");
    wait_for(&hook_b, "DOWN: hb-a");
    web2.set(false);
    wait_for(&hook_b, "DOWN: web2");

    let primary = a.start();
    wait_for(&hook_b, "PAIR: hb-a speaks again after");
    let line = lines(&hook_b).into_iter().find(|line| line.starts_with("PAIR: ")).unwrap();
    assert!(line.contains("UP: web1") && line.contains("DOWN: web2"), "{line}");
    wait_for_state(&primary, "web2", "down");
    until("the primary speaks again", || pair_speaks(&primary).then_some(()));
    web2.set(true);
    wait_for(&hook_b, "UP: web2");
    wait_for_state(&primary, "web2", "up");
    web1.set(false);
    wait_for(&hook_a, "DOWN: web1");
    // Neither told what the other had told.
    assert_eq!(
        (told(&hook_a, "DOWN: web2"), told(&hook_a, "UP: web2")),
        (0, 0),
        "{:?}",
        lines(&hook_a)
    );
    assert_eq!(told(&hook_b, "DOWN: web1"), 0, "{:?}", lines(&hook_b));
    let _ = Sender::to(primary.udp);
}

#[test]
fn what_is_taken_back_while_the_other_server_is_away_stays_so_over_a_restart() {
    let (a, b) = (Place::new(), Place::new());
    let hook = StandIn::start(Manner::Status(200));
    let (port_a, port_b) = (free_port(), free_port());
    configure(&a, port_a, ("hb-b", "primary", port_b), &hook);
    configure(&b, port_b, ("hb-a", "secondary", port_a), &hook);
    exchange(&a, "hb-b", &b);
    exchange(&b, "hb-a", &a);
    let (mut primary, secondary) = (a.start(), b.start());
    let silence = |place: &Place, reason: &str| {
        let made = place.run(&["silence", "host:web9", "--for", "1h", "--reason", reason]);
        assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    };
    silence(&a, "first");
    until("both have it", || {
        (silences(&primary).len() == 1 && silences(&secondary).len() == 1).then_some(())
    });
    // So that the other one has it on disk.
    let mut secondary = secondary;
    secondary.signal(libc::SIGTERM);
    assert_eq!(secondary.wait().0, Some(0));
    let taken = a.run(&["unsilence", &silences(&primary)[0]]);
    assert_eq!(taken.status.code(), Some(0), "{}", stderr(&taken));
    until("it is gone", || silences(&primary).is_empty().then_some(()));
    primary.signal(libc::SIGTERM);
    assert_eq!(primary.wait().0, Some(0));
    let (primary, secondary) = (a.start(), b.start());
    // One that is made on each: when both have both, all was exchanged.
    silence(&a, "second");
    silence(&b, "third");
    until("both have the new ones", || {
        (silences(&primary).len() >= 2 && silences(&secondary).len() >= 2).then_some(())
    });
    until("the first is on neither", || {
        let (here, there) = (silences(&primary), silences(&secondary));
        (here.len() == 2 && here == there).then_some(())
    });
}

#[test]
fn own_key_in_place_of_the_peers_is_refused_because_it_could_be_sent_back() {
    let place = Place::new();
    let hook = StandIn::start(Manner::Status(200));
    configure(&place, 0, ("hb-b", "secondary", 9), &hook);
    exchange(&place, "hb-b", &place);
    let mut server = place.start();
    server.wait_for_log("pair: hb-b hears nothing: the key is one of this server's own hosts");
}
