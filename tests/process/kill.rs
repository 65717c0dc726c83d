//! Kills at any moment and at the named points, while notices, rotations and commits of the history are under way:
//! what is owed arrives, at most once more for each kill, every file loads, and no written line is lost.
//!
//! `HB_KILLS=200` kills so often, `HB_SEED` chooses the moments.

use crate::program::{Hbd, Place, Sender, until};
use crate::stand_in::{Manner, StandIn};
use heartbeat::os::clock;
use heartbeat::prng::Prng;
use heartbeat::time::Duration;
use serde_json::{Value, json};
use std::fs;

/// Hosts that fill the journal.
const FILLERS: usize = 40;

/// A server's directory, what its notices have arrived at, and what is known to be written.
struct Scene {
    place: Place,
    hook: StandIn,
    /// The journal's lines, oldest first.
    lines: Vec<String>,
    /// How many messages had arrived at the end of each of the server's lives.
    lives: Vec<usize>,
    sent: usize,
}

impl Scene {
    /// `hosts` may fall into trouble: `h0` and so on. The journal rotates every forty lines.
    fn new(hosts: usize) -> Scene {
        let (place, hook) = (Place::new(), StandIn::start(Manner::Status(200)));
        let troubled = (0..hosts).map(|n| format!("  h{n}:\n"));
        let fillers = (0..FILLERS).map(|n| format!("  b{n}:\n"));
        let declared: String = troubled.chain(fillers).collect();
        place.configure(&format!(
            "interval: 600\ngroup_wait: 0\nnotify_per_minute: 1000\npushsrv: [hook]\n\
             channels: {{hook: {{type: webhook, url: \"{}\"}}}}\n\
             thresholds:\n  cpu_monitor: {{cpu_percent: {{warning: 80, critical: 90}}}}\n\
             journal_max_size: 8000\njournal_max_backups: 1000\nhosts:\n{declared}",
            hook.url("/")
        ));
        Scene { place, hook, lines: Vec::new(), lives: Vec::new(), sent: 0 }
    }

    /// What an agent in trouble sends; after a kill it does so again with its next interval.
    fn tell(&self, server: &Hbd, host: &str) {
        let sender = Sender::to(server.udp);
        let message = json!({
            "ID": "PLG", "name": host, "plugin": "cpu_monitor", "every": 300, "data": { "cpu_percent": 95.0 },
        });
        sender.send(message.to_string().as_bytes());
    }

    /// Lines for the journal.
    fn fill(&mut self, server: &Hbd, count: usize) {
        let sender = Sender::to(server.udp);
        for _ in 0..count {
            let (number, host) = (self.sent, self.sent % FILLERS);
            self.sent += 1;
            let beat = format!(r#"{{"ID":"HTB","name":"b{host}","interval":600,"n":{number}}}"#);
            // It may be gone by now.
            let _ = sender.try_send(beat.as_bytes());
        }
    }

    fn told(&self, host: &str) -> usize {
        let words = format!("CRITICAL: {host} ");
        self.hook.bodies().iter().filter(|body| body.contains(&words)).count()
    }

    /// Starts the server that a kill has left, and waits until it was told what is owed and has written it down.
    fn recover(&mut self, host: &str, what: &str) -> Hbd {
        self.lives.push(self.hook.seen().len());
        self.check_journal(what);
        let mut server = self.place.start();
        for word in ["damaged", ".bad", "panic"] {
            assert!(!server.log().contains(word), "{what}: {}", server.log());
        }
        self.tell(&server, host);
        until(&format!("{what}: {host} was told"), || (self.told(host) >= 1).then_some(()));
        let path = format!("/api/0/hosts/{host}/series?metric=cpu_monitor.cpu_percent");
        until(&format!("{what}: {host} has a history"), || {
            (values(&server.get(&path).1) > 0).then_some(())
        });
        server
    }

    /// All lines are whole but the newest, and those that were there still are.
    #[allow(clippy::disallowed_methods, reason = "files of this test's own server")]
    fn check_journal(&mut self, what: &str) {
        let mut files: Vec<(u32, String)> = fs::read_dir(self.place.path().join("journal"))
            .into_iter()
            .flatten()
            .map(|entry| {
                let path = entry.unwrap().path();
                let ending = path.extension().unwrap().to_str().unwrap();
                (ending.parse().unwrap_or(0), fs::read_to_string(&path).unwrap())
            })
            .collect();
        files.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
        assert!(files.len() < 1000, "{what}: too many backups to know what was written");
        let mut lines = Vec::new();
        let last = files.len().saturating_sub(1);
        for (at, (number, text)) in files.iter().enumerate() {
            let whole = text.rfind('\n').map_or(0, |end| end + 1);
            assert!(whole == text.len() || at == last, "{what}: backup {number} has a torn line");
            lines.extend(text[..whole].lines().map(str::to_owned));
        }
        for line in lines.iter().skip(self.lines.len()) {
            serde_json::from_str::<Value>(line).unwrap_or_else(|e| panic!("{what}: {e}: {line}"));
        }
        let kept = lines.len() >= self.lines.len() && lines.starts_with(&self.lines);
        assert!(kept, "{what}: of {} lines {} are left", self.lines.len(), lines.len());
        self.lines = lines;
    }

    /// After the last kill: nothing waits, nothing was told twice for one kill, and all numbers are there.
    fn check(&self, server: &Hbd, hosts: usize) -> usize {
        until("nothing waits any more", || {
            (server.get("/healthz").1["channels"]["hook"]["queued"] == 0).then_some(())
        });
        for host in (0..hosts).map(|n| format!("h{n}")) {
            assert!(self.told(&host) >= 1, "{host} was not told");
            let path = format!("/api/0/hosts/{host}/series?metric=cpu_monitor.cpu_percent");
            // Where it has just started the file may not be open yet.
            until(&format!("{host} has its history"), || {
                (values(&server.get(&path).1) > 0).then_some(())
            });
        }
        let state = self.place.path().join("state");
        let names = fs::read_dir(state).unwrap().map(|entry| entry.unwrap().file_name());
        let bad: Vec<_> = names.filter(|name| name.to_string_lossy().contains(".bad")).collect();
        assert!(bad.is_empty(), "{bad:?}");
        assert_eq!(self.place.run(&["journal", "verify"]).status.code(), Some(0));
        self.repeated()
    }

    /// Notices that had arrived before. One message was under way when the server was killed, so that the next life
    /// has the notices of one at most; a life without a kill before it has none.
    fn repeated(&self) -> usize {
        let told = |body: &String| -> Vec<String> {
            let json: Value = serde_json::from_str(body).unwrap();
            let lines = json["lines"].as_array().unwrap_or_else(|| panic!("no lines: {body}"));
            let lines = lines.iter().filter_map(Value::as_str);
            lines.filter(|line| line.starts_with("CRITICAL: ")).map(str::to_owned).collect()
        };
        let messages: Vec<Vec<String>> = self.hook.bodies().iter().map(told).collect();
        let (mut begin, mut repeated) = (0, 0);
        for (life, end) in self.lives.iter().copied().chain([messages.len()]).enumerate() {
            let is_known = |at: &usize| {
                let known = messages[..*at].concat();
                messages[*at].iter().any(|line| known.contains(line))
            };
            let count = (begin..end).filter(is_known).count();
            assert!(count <= usize::from(life > 0), "life {life}: {:?}", &messages[begin..end]);
            repeated += count;
            begin = end;
        }
        repeated
    }
}

/// How many values a series has.
fn values(answer: &Value) -> usize {
    let max = answer["series"]["cpu_monitor.cpu_percent"]["max"].as_array();
    max.map_or(0, |max| max.iter().filter(|value| **value == 95.0).count())
}

#[test]
fn s7_kill_at_any_moment_loses_nothing_owed_and_repeats_at_most_one_notice() {
    let kills: usize = std::env::var("HB_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(6);
    let seed = std::env::var("HB_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(7);
    let mut prng = Prng::new(seed);
    let mut scene = Scene::new(kills);
    let mut server = scene.place.start();
    for round in 0..kills {
        let host = format!("h{round}");
        scene.tell(&server, &host);
        let (begun, wait) = (clock::now().mono, Duration::from_micros(prng.below(60_000)));
        while clock::now().mono.since(begun) < wait {
            scene.fill(&server, 4);
        }
        server.kill();
        server = scene.recover(&host, &format!("kill {round}"));
    }
    let repeated = scene.check(&server, kills);
    let lines = scene.lines.len();
    println!("kills={kills} seed={seed} repeated={repeated} journal_lines={lines}");
}

#[test]
fn s7_kill_at_the_named_points_loses_nothing_owed_and_repeats_at_most_one_notice() {
    let points = [
        "store_before_write:2",
        "store_before_commit:2",
        "store_after_commit:2",
        "engine_before_reply:9",
        "engine_after_reply:9",
        "notify",
        "notify_before_send",
        "notify_after_send",
        "journal_before_write:2",
        "journal_after_write:2",
        "journal_before_rename",
        "journal_after_rename",
        "journal_before_rename:7",
        "journal_after_rename:7",
        "history_before_commit",
        "history_after_commit",
    ];
    let mut scene = Scene::new(points.len());
    for (round, point) in points.iter().enumerate() {
        let host = format!("h{round}");
        let mut command = scene.place.command(&["-f"]);
        command.env("HBD_FAULT", format!("exit:{point}"));
        if let Ok(mut server) = Hbd::try_start(command) {
            scene.tell(&server, &host);
            until(&format!("it dies at {point}"), || {
                scene.fill(&server, 20);
                // Asking for a name that is new makes the history commit.
                let path = format!("/api/0/hosts/{host}/series?metric=cpu_monitor.cpu_percent");
                let _ = server.try_ask("GET", &path, "");
                server.ended()
            });
        }
        let told = scene.told(&host);
        match *point {
            "notify" | "notify_before_send" => assert_eq!(told, 0, "{point}"),
            "notify_after_send" => assert_eq!(told, 1, "{point}"),
            _ => assert!(told <= 1, "{point}: {told}"),
        }
        // It ends in peace, so that each host has one kill.
        let mut server = scene.recover(&host, point);
        server.signal(libc::SIGTERM);
        assert_eq!(server.wait().0, Some(0), "{point}");
    }
    let server = scene.place.start();
    scene.check(&server, points.len());
}
