//! Two servers and two Alertmanagers of Debian that know each other: one fingerprint, one notification. Without
//! Alertmanager the test is skipped, unless HB_REQUIRE_PARTS is set.

use crate::dns::tool;
use crate::program::{Hbd, Place, until};
use crate::prometheus::{free_port, http};
use crate::stand_in::{Manner, StandIn};
use heartbeat::os::thread;
use heartbeat::time::Duration;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Killed when dropped.
struct Alertmanager {
    child: Child,
    at: SocketAddr,
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Alertmanager {
    fn start(program: &Path, dir: &Path, hook: &str, ports: (u16, u16), peer: u16) -> Alertmanager {
        std::fs::create_dir_all(dir).unwrap();
        let file = dir.join("alertmanager.yml");
        let config = json!({
            "route": {"receiver": "hook", "group_by": ["alertname", "host"], "group_wait": "1s",
                      "group_interval": "1s", "repeat_interval": "1h"},
            "receivers": [{"name": "hook", "webhook_configs": [{"url": hook, "send_resolved": true}]}],
        });
        std::fs::write(&file, config.to_string()).unwrap();
        let (web, cluster) = ports;
        let at = SocketAddr::from(([127, 0, 0, 1], web));
        let log = std::fs::File::create(dir.join("log")).unwrap();
        let child = Command::new(program)
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.path={}", dir.join("data").display()))
            .arg(format!("--web.listen-address={at}"))
            .arg(format!("--cluster.listen-address=127.0.0.1:{cluster}"))
            .arg(format!("--cluster.advertise-address=127.0.0.1:{cluster}"))
            .arg(format!("--cluster.peer=127.0.0.1:{peer}"))
            .args(["--cluster.peer-timeout=3s", "--cluster.gossip-interval=50ms"])
            .args(["--cluster.settle-timeout=2s"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Alertmanager { child, at }
    }

    fn get(&self, path: &str) -> Value {
        let (_, body) = http(self.at, "GET", path, "", "");
        serde_json::from_str(&body).unwrap_or(Value::Null)
    }

    fn fingerprints(&self) -> BTreeSet<String> {
        let alerts = self.get("/api/v2/alerts");
        let alerts = alerts.as_array().cloned().unwrap_or_default();
        alerts.iter().filter_map(|alert| alert["fingerprint"].as_str().map(str::to_owned)).collect()
    }
}

fn configure(place: &Place, managers: &[&Alertmanager; 2]) {
    let [first, second] = managers.map(|manager| manager.at);
    place.configure(&format!(
        "interval: 1\ngrace: 0\ngroup_wait: 0\nudp_policy: open\nisolation_hosts: 0\npushsrv: [first, second]\n\
         channels:\n  first: {{type: alertmanager, url: \"http://{first}\"}}\n  \
         second: {{type: alertmanager, url: \"http://{second}\"}}\n"
    ));
}

/// What people got about a host that is down: firing and resolved.
fn told(hook: &StandIn, status: &str) -> usize {
    hook.seen().iter().filter(|seen| seen.json()["status"] == status).count()
}

fn beat(servers: Vec<SocketAddr>, on: Arc<AtomicBool>, over: Arc<AtomicBool>) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let message = json!({"ID": "HTB", "name": "web1", "interval": 1}).to_string();
    while !over.load(Ordering::Relaxed) {
        if on.load(Ordering::Relaxed) {
            servers.iter().for_each(|server| drop(socket.send_to(message.as_bytes(), server)));
        }
        crate::program::pause_for(Duration::from_millis(250));
    }
}

fn wait_for_state(server: &Hbd, state: &str) {
    until(&format!("web1 is {state}"), || {
        server.hosts().into_iter().find(|host| host["name"] == "web1" && host["state"] == state)
    });
}

#[test]
fn two_servers_and_two_alertmanagers_send_one_notification() {
    let Some(program) = tool("prometheus-alertmanager") else { return };
    let hook = StandIn::start(Manner::Status(200));
    let dir = tempfile::tempdir().unwrap();
    let (cluster_a, cluster_b) = (free_port(), free_port());
    let start = |name: &str, ports, peer| {
        Alertmanager::start(&program, &dir.path().join(name), &hook.url("/am"), ports, peer)
    };
    let a = start("a", (free_port(), cluster_a), cluster_b);
    let b = start("b", (free_port(), cluster_b), cluster_a);
    for manager in [&a, &b] {
        until("two Alertmanagers know each other", || {
            let cluster = manager.get("/api/v2/status")["cluster"].clone();
            let peers = cluster["peers"].as_array().map_or(0, Vec::len);
            (peers == 2 && cluster["status"] == "ready").then_some(())
        });
    }
    let (place_a, place_b) = (Place::new(), Place::new());
    for place in [&place_a, &place_b] {
        configure(place, &[&a, &b]);
    }
    let (first, second) = (place_a.start(), place_b.start());
    let (on, over) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
    let (servers, sends, ends) = (vec![first.udp, second.udp], Arc::clone(&on), Arc::clone(&over));
    thread::spawn("beating", 128 << 10, move || beat(servers, sends, ends)).unwrap();
    wait_for_state(&first, "up");
    wait_for_state(&second, "up");
    on.store(false, Ordering::Relaxed);
    wait_for_state(&first, "down");
    wait_for_state(&second, "down");
    until("one alert, the same on both", || {
        let (one, other) = (a.fingerprints(), b.fingerprints());
        (one.len() == 1 && one == other).then_some(())
    });
    until("it is told", || (told(&hook, "firing") > 0).then_some(()));
    on.store(true, Ordering::Relaxed);
    wait_for_state(&second, "up");
    // The second Alertmanager waits for the first one before it tells: by now it would have told the begin.
    until("its end is told", || (told(&hook, "resolved") > 0).then_some(()));
    over.store(true, Ordering::Relaxed);
    assert_eq!((told(&hook, "firing"), told(&hook, "resolved")), (1, 1), "{:?}", hook.bodies());
}
