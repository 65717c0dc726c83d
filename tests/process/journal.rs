//! The message journal of a running server: its lines, rotation, kills, moved files, full disks, and the commands
//! that read it.

use crate::program::{Hbd, Place, Sender, stderr, stdout, until};
use heartbeat::os::clock;
use heartbeat::time::Duration;
use serde_json::{Value, json};
use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};

#[allow(clippy::disallowed_methods, reason = "a file of this test's own server")]
fn text_of(path: PathBuf) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

impl Place {
    fn journal(&self) -> PathBuf {
        self.path().join("journal/messages.journal")
    }

    /// The whole lines of the journal and its backups, oldest first; a torn last one is left out.
    fn lines(&self) -> Vec<Value> {
        let mut lines = Vec::new();
        for n in (0..=50).rev() {
            let name = if n == 0 {
                "messages.journal".to_owned()
            } else {
                format!("messages.journal.{n}")
            };
            let text = text_of(self.path().join("journal").join(name));
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            lines.extend(whole.lines().map(|l| serde_json::from_str::<Value>(l).unwrap()));
        }
        lines
    }

    /// The lines with messages, once there are so many.
    #[track_caller]
    fn wait_for_messages(&self, count: usize) -> Vec<Value> {
        until(&format!("{count} lines"), || {
            let mut lines = self.lines();
            lines.retain(|line| line["message"].is_object());
            Some(lines).filter(|lines| lines.len() >= count)
        })
    }

    /// Hosts that may speak at once, 200 messages each.
    fn declare_hosts(&self, count: usize, more: &str) {
        let hosts: String = (0..count).map(|n| format!("  h{n}:\n")).collect();
        self.configure(&format!("{more}hosts:\n{hosts}"));
    }
}

fn queue(server: &Hbd) -> (u64, u64) {
    let (_, health) = server.get("/healthz");
    let queue = &health["queues"]["journal"];
    (queue["depth"].as_u64().unwrap(), queue["dropped"].as_u64().unwrap())
}

fn journal_events(server: &Hbd) -> Vec<Value> {
    server.get("/api/0/events?kind=journal").1["events"].as_array().unwrap().clone()
}

fn numbered(number: usize, hosts: usize, fill: &str) -> String {
    let host = number % hosts;
    format!(r#"{{"ID":"HTB","name":"h{host}","interval":86400,"seq":{number},"x":"{fill}"}}"#)
}

/// Each line's number, where messages were numbered.
fn numbers(lines: &[Value]) -> Vec<u64> {
    lines.iter().filter_map(|line| line["message"]["seq"].as_u64()).collect()
}

#[test]
fn every_accepted_datagram_is_a_line_of_the_documented_form() {
    let place = Place::new();
    let server = place.start();
    let sender = Sender::to(server.udp);
    sender.ask("\n{\"ID\": \"HTB\",\r\n \"name\": \"Web1\", \"interval\": 30, \"rtt\": NaN}\n");
    let data = format!(r#"{{"text":"{}","n":-Infinity}}"#, "é".repeat(400));
    let plg = format!(r#"{{"ID":"PLG","name":"web1","plugin":"p","seq":1,"data":{data}}}"#);
    let packed = miniz_oxide::deflate::compress_to_vec_zlib(plg.as_bytes(), 6);
    sender.send(&packed);
    sender.send(b"garbage");
    sender.ask(r#"{"ID":"MSG","name":"web1","kind":"text","text":"line\nbreak","mid":7}"#);
    let lines = place.wait_for_messages(3);
    let of = |n: usize| &lines[n];
    assert_eq!(
        of(0)["message"],
        json!({"ID":"HTB","name":"Web1","interval":30,"rtt":null}),
        "{lines:?}"
    );
    assert_eq!(of(1)["message"]["data"], json!({"text":"é".repeat(400),"n":null}));
    assert_eq!(of(2)["message"]["text"], "line\nbreak");
    for line in &lines {
        let keys: Vec<&String> = line.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["datetime", "message", "source_ip", "source_port", "timestamp"]);
        assert_eq!(
            (&line["source_ip"], line["datetime"].as_str().unwrap().len()),
            (&json!("127.0.0.1"), 19)
        );
        let age = clock::now().wall.as_secs_f64() - line["timestamp"].as_f64().unwrap();
        assert!((-1.0..60.0).contains(&age), "{age}");
    }
    let first = text_of(place.journal()).lines().next().unwrap().to_owned();
    assert!(first.starts_with(r#"{"timestamp":"#), "{first}");
    let order = ["timestamp", "datetime", "source_ip", "source_port", "message"];
    let places: Vec<_> = order.iter().map(|key| first.find(&format!("\"{key}\":"))).collect();
    assert!(places.is_sorted() && places[0].is_some(), "{first}");
    assert_eq!(queue(&server), (0, 0));
}

#[test]
fn state_events_are_lines_of_their_own() {
    let place = Place::new();
    place.configure("grace: 0\nmisses: 1\n");
    let server = place.start();
    Sender::to(server.udp).ask(r#"{"ID":"HTB","name":"web1","interval":1}"#);
    let down = until("the DOWN is a line", || {
        place.lines().into_iter().find(|line| line["event"]["to"] == "down")
    });
    assert_eq!(down["event"]["host"], "web1");
    assert_eq!(down["event"]["kind"], "state");
    assert!(down["event"]["text"].as_str().unwrap().starts_with("DOWN: web1"));
    assert_eq!((&down["source_ip"], down.get("message")), (&Value::Null, None));
}

#[test]
fn rotation_under_load_loses_and_splits_nothing() {
    let place = Place::new();
    place.declare_hosts(40, "journal_max_size: 65536\njournal_max_backups: 50\n");
    let server = place.start();
    let sender = Sender::to(server.udp);
    for number in 0..4000 {
        sender.ask(&numbered(number, 40, "some text to fill the line with"));
    }
    let lines = place.wait_for_messages(4000);
    assert_eq!(numbers(&lines), (0..4000).collect::<Vec<_>>());
    let sizes: Vec<u64> = fs::read_dir(place.path().join("journal"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .collect();
    assert!(sizes.len() > 10 && sizes.iter().all(|size| *size <= 65536), "{sizes:?}");
    let verified = place.run(&["journal", "verify"]);
    assert_eq!(verified.status.code(), Some(0), "{}", stdout(&verified));
    let cat = place.run(&["journal", "cat", "--host", "H7"]);
    assert_eq!(stdout(&cat).lines().filter(|l| l.contains("\"seq\"")).count(), 100);
    let stats = place.run(&["journal", "stats", "--json"]);
    let stats: Value = serde_json::from_str(&stdout(&stats)).unwrap();
    // Each host has an event too: it was heard for the first time.
    assert_eq!((&stats["lines"], &stats["by_id"]), (&json!(4040), &json!({"HTB":4000,"event":40})));
    assert_eq!(stats["bytes"].as_u64(), Some(sizes.iter().sum()));
    assert_eq!(queue(&server), (0, 0));
}

#[test]
fn kill_under_load_leaves_at_most_one_torn_line() {
    let place = Place::new();
    place.declare_hosts(40, "journal_max_size: 30000\njournal_max_backups: 50\n");
    for round in 0..5 {
        let server = place.start();
        let sender = Sender::to(server.udp);
        for number in 0..300 + round * 17 {
            sender.ask(&numbered(number, 40, "x"));
        }
        server.kill();
        // `lines` fails on anything but whole lines before the last newline.
        assert!(!place.lines().is_empty());
        let verified = place.run(&["journal", "verify"]);
        assert_eq!(verified.status.code(), Some(0), "{}", stdout(&verified));
    }
}

#[test]
fn moved_deleted_and_replaced_files_are_followed() {
    let place = Place::new();
    let mut server = place.start();
    let sender = Sender::to(server.udp);
    sender.heartbeat("web1");
    place.wait_for_messages(1);
    // As logrotate does, with its `create` and without a signal.
    let aside = place.path().join("aside");
    fs::rename(place.journal(), &aside).unwrap();
    fs::write(place.journal(), "").unwrap();
    sender.heartbeat("web2");
    assert_eq!(place.wait_for_messages(1)[0]["message"]["name"], "web2");
    assert!(!text_of(aside).contains("web2"));
    fs::remove_dir_all(place.path().join("journal")).unwrap();
    sender.heartbeat("web3");
    assert_eq!(place.wait_for_messages(1)[0]["message"]["name"], "web3");
    fs::rename(place.journal(), place.path().join("aside2")).unwrap();
    server.signal(libc::SIGHUP);
    server.wait_for_log("config: reloaded");
    sender.heartbeat("web4");
    assert_eq!(place.wait_for_messages(1)[0]["message"]["name"], "web4");
    assert_eq!((queue(&server), journal_events(&server)), ((0, 0), Vec::new()));
}

#[test]
fn keys_take_effect_on_reload() {
    let place = Place::new();
    let server = place.start();
    let sender = Sender::to(server.udp);
    let reload = |more: &str| {
        place.configure(more);
        let output = place.run(&["reload"]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    };
    sender.heartbeat("web1");
    place.wait_for_messages(1);
    reload("journal_file: other\njournal_redact: [inter*]\n");
    let other = || text_of(place.path().join("journal/other"));
    until("the other file is written", || {
        sender.heartbeat("web2");
        other().contains(r#""interval":"***""#).then_some(())
    });
    reload("journal_enabled: false\n");
    sender.heartbeat("web3");
    reload("");
    until("the first file is written again", || {
        sender.heartbeat("web4");
        (place.lines().last()?["message"]["name"] == "web4").then_some(())
    });
    assert!(!text_of(place.journal()).contains("web3") && !other().contains("web3"));
}

/// A shell's `script` with hbd as `$1` and the directory `small` as `$2`, behind `wrapper`.
fn shell(place: &Place, wrapper: &[&str], script: &str) -> Command {
    let server = place.command(&[]);
    let words = [wrapper, &["sh", "-c", script, "sh"]].concat();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).arg(server.get_program()).arg(place.path().join("small"));
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command.envs(server.get_envs().filter_map(|(key, value)| Some((key, value?))));
    command.stdin(Stdio::null()).current_dir(place.path());
    command
}

/// A server whose journal lies on a file system of 1 MiB; `None` where this user may not mount one.
fn start_on_small_disk(place: &Place) -> Option<(Hbd, PathBuf)> {
    let small = place.path().join("small");
    fs::create_dir(&small).unwrap();
    let alone = ["unshare", "-Urm"];
    let mount = "mount -t tmpfs -o size=1m none \"$2\"";
    let may = shell(place, &alone, mount).output().is_ok_and(|output| output.status.success());
    if !may {
        eprintln!("left out: no right to mount");
        return None;
    }
    let server = Hbd::start(shell(place, &alone, &format!("{mount} && exec \"$1\" -f")));
    // Its own name space is seen through its root.
    let seen = PathBuf::from(format!("/proc/{}/root{}", server.pid(), small.display()));
    Some((server, seen))
}

#[test]
fn s9_full_disk_is_counted_told_once_and_forgotten_when_freed() {
    let place = Place::new();
    let dir = place.path().join("small/journal");
    place.declare_hosts(
        40,
        &format!("journal_min_free: 0\njournal_max_backups: 9\njournal_dir: {}\n", dir.display()),
    );
    let Some((server, small)) = start_on_small_disk(&place) else { return };
    let sender = Sender::to(server.udp);
    let fill = "x".repeat(1000);
    let slowest = |from: usize, to: usize| {
        let mut slowest = Duration::ZERO;
        for number in from..to {
            let sent = clock::now().mono;
            sender.ask(&numbered(number, 40, &fill));
            slowest = slowest.max(clock::now().mono.since(sent));
        }
        slowest
    };
    let slow = slowest(0, 2000);
    until("what does not fit is counted", || {
        let (depth, dropped) = queue(&server);
        (depth == 0 && dropped > 0).then_some(())
    });
    assert!(slow < Duration::from_secs(2), "an ACK took {slow:?} on a full disk");
    let events = journal_events(&server);
    assert_eq!(events.len(), 1, "{events:?}");
    let (_, dropped) = queue(&server);
    let file = small.join("journal/messages.journal");
    let text = text_of(file.clone());
    // Each host has an event too: it was heard for the first time.
    assert_eq!(text.lines().count() as u64 + dropped, 2040);
    assert!(text.ends_with('\n'), "no torn line on a full disk");
    // Freed: a new file takes the next lines, at the latest with the attempt 5 s after the last.
    fs::rename(&file, small.join("journal/old")).unwrap();
    fs::remove_file(small.join("journal/old")).unwrap();
    let freed = clock::now().mono;
    slowest(2000, 2010);
    until("it is written again", || text_of(file.clone()).contains("\"seq\":2009").then_some(()));
    let took = clock::now().mono.since(freed);
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(queue(&server), (0, dropped));
    assert_eq!(journal_events(&server).len(), 1);
}

/// Mounts in the name space of a server of [`start_on_small_disk`].
fn mount_for(server: &Hbd, words: &[&str], dir: &str) {
    let pid = server.pid().to_string();
    let enter = ["--preserve-credentials", "-U", "-m", "-t", &pid];
    let status = Command::new("nsenter").args(enter).args(words).arg(dir).status();
    assert!(status.is_ok_and(|status| status.success()), "{words:?} {dir}");
}

#[test]
fn s9_read_only_file_system_is_counted_told_once_and_forgotten_when_it_is_gone() {
    let place = Place::new();
    let dir = place.path().join("small/journal");
    let dir = dir.display().to_string();
    place.declare_hosts(40, &format!("journal_min_free: 0\njournal_dir: {dir}\n"));
    let Some((server, small)) = start_on_small_disk(&place) else { return };
    let sender = Sender::to(server.udp);
    let file = small.join("journal/messages.journal");
    let mut sent = 0;
    let mut send = || {
        sender.ask(&numbered(sent, 40, "x"));
        sent += 1;
        sent as u64
    };
    send();
    until("it is written", || text_of(file.clone()).contains("\"seq\":0").then_some(()));
    mount_for(&server, &["mount", "-t", "tmpfs", "-o", "ro", "none"], &dir);
    until("what cannot be written is counted", || {
        send();
        (queue(&server).1 > 0).then_some(())
    });
    assert_eq!(journal_events(&server).len(), 1, "{:?}", journal_events(&server));
    mount_for(&server, &["umount"], &dir);
    let first = send();
    let sent = until("it is written again", || {
        let sent = send();
        let text = text_of(file.clone());
        (first - 1..sent).any(|n| text.contains(&format!("\"seq\":{n},"))).then_some(sent)
    });
    // Each host that was heard for the first time has an event too; some of these were lost as well.
    let owed = sent + sent.min(40);
    until("what was sent is written or counted", || {
        let lines = text_of(file.clone()).lines().count() as u64;
        (lines + queue(&server).1 == owed).then_some(())
    });
    assert_eq!(journal_events(&server).len(), 1, "one event for one trouble");
}

#[test]
fn s9_slow_disk_delays_no_ack_and_loses_nothing() {
    const SENT: usize = 1500;
    let place = Place::new();
    place.declare_hosts(40, "");
    let mut command = place.command(&["-f"]);
    command.env("HBD_FAULT", "slow:journal_before_write");
    let mut server = Hbd::start(command);
    let sender = Sender::to(server.udp);
    let mut took = Vec::new();
    for number in 0..SENT {
        let sent = clock::now().mono;
        sender.ask(&numbered(number, 40, "x"));
        took.push(clock::now().mono.since(sent));
    }
    took.sort();
    let high = took[SENT * 99 / 100];
    println!(
        "ACK beside a disk that takes 3 s for a write: p50 {:?}, p99 {high:?}",
        took[SENT / 2]
    );
    // What else runs on this machine takes its turns; a wait for the disk would be of seconds.
    assert!(high < Duration::from_millis(100), "{high:?}");
    let (depth, dropped) = queue(&server);
    assert!(depth > 0 && dropped == 0, "it waits for the disk: {depth} {dropped}");
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait().0, Some(0));
    assert_eq!(numbers(&place.lines()), (0..SENT as u64).collect::<Vec<_>>());
}

#[test]
fn s10_rotation_works_while_connections_take_every_descriptor() {
    let place = Place::new();
    place.declare_hosts(40, "journal_max_size: 20000\njournal_max_backups: 50\n");
    let server = Hbd::start(shell(&place, &["env"], "ulimit -n 128 && exec \"$1\" -f"));
    let held: Vec<_> = (0..200).filter_map(|_| TcpStream::connect(server.http).ok()).collect();
    let sender = Sender::to(server.udp);
    for number in 0..2000 {
        sender.ask(&numbered(number, 40, "x"));
    }
    let lines = place.wait_for_messages(2000);
    assert_eq!(numbers(&lines), (0..2000).collect::<Vec<_>>());
    assert!(place.path().join("journal/messages.journal.5").exists());
    drop(held);
    let calm = until("the front answers again", || {
        TcpStream::connect(server.http).ok().map(|_| queue(&server))
    });
    assert_eq!(calm, (0, 0));
}

#[test]
fn damage_is_found_and_a_torn_last_line_is_none() {
    let place = Place::new();
    let path = place.path().join("some.journal");
    let head =
        r#""timestamp":1.5,"datetime":"2026-03-28T12:34:56","source_ip":"::1","source_port":1"#;
    let good = format!("{{{head},\"message\":{{\"ID\":\"HTB\",\"name\":\"a\"}}}}\n");
    let check = |text: &str, status: i32, want: &str| {
        fs::write(&path, text).unwrap();
        let output = place.run(&["journal", "verify", "some.journal"]);
        assert_eq!(output.status.code(), Some(status), "{text}");
        assert!(stdout(&output).contains(want), "{}", stdout(&output));
    };
    check(&good.repeat(3), 0, "some.journal: 3 lines, 0 damaged\n");
    check(&format!("{good}{{\"timest"), 0, "1 lines, 0 damaged, torn last line\n");
    check(&format!("{good}{{\"timest\n{good}"), 1, "some.journal:2: ");
    check("", 0, "0 lines, 0 damaged\n");
    fs::write(&path, format!("{good}nonsense\n{good}{{")).unwrap();
    let cat = place.run(&["journal", "cat", "some.journal"]);
    assert_eq!((cat.status.code(), stdout(&cat)), (Some(0), good.repeat(2)));
    assert!(stderr(&cat).contains("left out 2"), "{}", stderr(&cat));
    let none = place.run(&["journal", "cat", "--since", "1h", "some.journal"]);
    assert_eq!(stdout(&none), "");
    for (args, status) in [
        (&["journal", "verify", "nowhere"][..], 1),
        (&["journal", "look"], 2),
        (&["journal", "cat", "--since", "soon", "some.journal"], 2),
        (&["journal", "cat"], 1),
    ] {
        assert_eq!(place.run(args).status.code(), Some(status), "{args:?}");
    }
    let table = stdout(&place.run(&["journal", "stats", "some.journal"]));
    assert!(table.contains("lines        3\n") && table.contains("damaged      1\n"), "{table}");
}

/// The commands of the document's `bash` blocks.
fn documented_commands() -> Vec<String> {
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/MESSAGE_JOURNAL.md");
    let text = text_of(document.into());
    text.split("```bash\n")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once("```")?.0.into()))
        .collect()
}

#[test]
fn documented_jq_commands_run_and_find_something() {
    let place = Place::new();
    place.configure("grace: 0\nmisses: 1\n");
    let server = place.start();
    let sender = Sender::to(server.udp);
    for message in [
        r#"{"ID":"HTB","name":"webserver1","interval":1,"rtt":0.5}"#,
        r#"{"ID":"PLG","name":"webserver1","plugin":"cpu_monitor","data":{"cpu_percent":93.5}}"#,
        r#"{"ID":"MSG","name":"webserver1","text":"hello"}"#,
    ] {
        sender.ask(message);
    }
    until("a state event is a line", || {
        place.lines().into_iter().find(|line| line["event"]["to"] == "down")
    });
    let commands = documented_commands();
    assert!(commands.len() >= 10, "{}", commands.len());
    let hbd = PathBuf::from(env!("CARGO_BIN_EXE_hbd"));
    for command in commands {
        let here = command.replace("/var/log/heartbeat", "journal");
        let path = format!("{}:/usr/bin:/bin", hbd.parent().unwrap().display());
        let output = Command::new("bash")
            .args(["-o", "pipefail", "-c", &here])
            .env("PATH", path)
            .env("HBD_CONFIG", place.path().join("hbd.yaml"))
            .current_dir(place.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{command}\n{}", stderr(&output));
        assert!(!stdout(&output).trim().is_empty(), "nothing from {command}");
    }
}
