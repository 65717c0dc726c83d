//! Sealed hosts with the real programs: keys, sessions over restarts, replays, commands that run at most once, agents
//! that nobody without the key can make run anything, and one on a machine without randomness.

use crate::program::{Hbd, Place, Sender, stderr, stdout, until};
use crate::relay::Relay;
use heartbeat::time::Duration;
use serde_json::Value;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Killed when dropped.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn write_private(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn new_key(place: &Place, host: &str) -> String {
    let made = place.run(&["key", "new", host]);
    assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    let text = stdout(&made);
    assert!(text.starts_with("hb1-") && text.len() == 61 && text.ends_with('\n'), "{text:?}");
    text
}

fn configure_agent(place: &Place, key: &str, more: &str) {
    write_private(&place.path().join("hb.key"), key);
    let dir = place.path().display();
    let text = format!(
        "interval: 1\nkey_file: {dir}/hb.key\ncontrol_socket: {dir}/hbc.sock\n\
         plugins: {{system_monitor: {{enabled: false}}}}\n{more}"
    );
    std::fs::write(place.path().join("hbc.yaml"), text).unwrap();
}

fn agent_command(place: &Place, server: SocketAddr) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hbc"));
    command.env_clear().env("HOME", place.path()).current_dir(place.path());
    command.args(["-c", "hbc.yaml", &server.to_string()]);
    command.stdin(Stdio::null()).stderr(Stdio::null()).stdout(Stdio::null());
    command
}

fn start_agent(place: &Place, server: SocketAddr) -> Agent {
    Agent(agent_command(place, server).spawn().unwrap())
}

#[track_caller]
fn wait_for_state(server: &Hbd, name: &str, state: &str) -> Value {
    until(&format!("{name} is {state}"), || {
        server.hosts().into_iter().find(|host| host["name"] == name && host["state"] == state)
    })
}

fn last_command(server: &Hbd, host: &str) -> Value {
    let (status, value) = server.get(&format!("/api/0/hosts/{host}/commands"));
    assert_eq!(status, 200, "{value}");
    value["commands"][0].clone()
}

fn rejected(server: &Hbd, reason: &str) -> u64 {
    server.get("/healthz").1["datagrams"]["rejected"][reason].as_u64().unwrap_or(0)
}

#[test]
fn u1_key_makes_a_sealed_host_and_plain_never_counts_for_it() {
    let place = Place::new();
    let server = place.start();
    let key = new_key(&place, "web1");
    let host = server.wait_for_host("web1");
    assert_eq!((&host["sealed"], &host["state"]), (&true.into(), &"unknown".into()));
    assert_eq!(place.run(&["key", "new", "web1"]).status.code(), Some(1));
    // Plain is refused and not answered; a stranger is a ghost now that there is a key.
    let sender = Sender::to(server.udp);
    sender.send(br#"{"ID":"HTB","name":"web1","seq":1}"#);
    sender.send(br#"{"ID":"HTB","name":"stranger","seq":1}"#);
    until("both are refused", || {
        (rejected(&server, "plain_for_keyed") + rejected(&server, "unknown_host") == 2)
            .then_some(())
    });
    assert_eq!(server.get("/api/0/keys").0, 403);
    assert_eq!(server.hosts()[0]["state"], "unknown");
    configure_agent(&place, &key, "");
    let _agent = start_agent(&place, server.udp);
    wait_for_state(&server, "web1", "up");
    until("its plugins are there", || {
        let (_, plugins) = server.get("/api/0/hosts/web1/plugins");
        plugins["plugins"]["memory_monitor"]["data"]["percent"].is_number().then_some(())
    });
    until("its address is confirmed", || {
        let (_, host) = server.get("/api/0/hosts/web1");
        (host["confirmed"]["ipv4"] == "127.0.0.1").then_some(())
    });
    let listed = stdout(&place.run(&["key", "list", "web1"]));
    assert!(
        listed.contains("web1") && !listed.contains("never") && !listed.contains("hb1-"),
        "{listed}"
    );
    assert_eq!(place.run(&["key", "drop", "web1"]).status.code(), Some(0));
    until("it is sealed no more", || (server.hosts()[0]["sealed"] == false).then_some(()));
}

#[test]
fn c2_keys_that_others_can_read_are_refused_by_both_programs() {
    let place = Place::new();
    let key = new_key(&place, "web1");
    let file = place.path().join("state/keys.json");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let refused = place.run(&["-f"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("chmod 600"), "{}", stderr(&refused));
    configure_agent(&place, &key, "");
    let key_file = place.path().join("hb.key");
    std::fs::set_permissions(&key_file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let mut command = agent_command(&place, "127.0.0.1:9".parse().unwrap());
    let refused = command.stderr(Stdio::piped()).output().unwrap();
    assert_eq!(refused.status.code(), Some(78));
    assert!(stderr(&refused).contains("chmod 600") && !stderr(&refused).contains("hb1-"));
}

const COMMANDS: &str = "commands:\n  \
    hello: {argv: [/bin/echo, hello], args: true}\n  \
    fail: {argv: [/bin/sh, -c, 'echo bad >&2; exit 7']}\n  \
    append: {argv: [/bin/sh, -c, 'echo x >> effects']}\n  \
    slow: {argv: [/bin/sh, -c, 'echo x >> effects; sleep 30']}\n  \
    held: {argv: [/bin/sh, -c, 'echo x >> effects; while [ ! -e go ]; do sleep 0.05; done; : > over']}\n";

#[test]
fn c7_command_runs_and_its_result_comes_back() {
    let place = Place::new();
    let server = place.start();
    let key = new_key(&place, "web1");
    configure_agent(&place, &key, COMMANDS);
    let _agent = start_agent(&place, server.udp);
    wait_for_state(&server, "web1", "up");
    let ran = place.run(&["run", "web1", "hello", "a=b", "--wait"]);
    assert_eq!((ran.status.code(), &*stdout(&ran)), (Some(0), "hello a=b\n"), "{}", stderr(&ran));
    let failed = place.run(&["run", "web1", "fail", "--wait"]);
    assert_eq!(
        (failed.status.code(), &*stdout(&failed)),
        (Some(7), "bad\n"),
        "{}",
        stderr(&failed)
    );
    let refused = place.run(&["run", "web1", "rm", "--wait"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("no command rm in the agent's list"), "{}", stderr(&refused));
    let args = place.run(&["run", "web1", "fail", "x", "--wait"]);
    assert!(stderr(&args).contains("takes no arguments"), "{}", stderr(&args));
    let bad = place.run(&["run", "web1", "hello", "a;b"]);
    assert_eq!(bad.status.code(), Some(1), "{}", stderr(&bad));
    let command = last_command(&server, "web1");
    assert_eq!((&command["state"], &command["id"]), (&"refused".into(), &4.into()));
    let listed = stdout(&place.run(&["commands", "web1"]));
    assert!(listed.contains("hello a=b (exit 0)") && listed.contains("fail (exit 7)"), "{listed}");
    // Nobody else may ask while there are no users, and a host without a key has no way for it.
    let body = r#"{"name":"hello","args":[]}"#;
    assert_eq!(server.ask("POST", "/api/0/hosts/web1/commands", body).0, 403);
    assert_eq!(server.ask("POST", "/api/0/hosts/web1/upgrade", "{}").0, 403);
    let upgrade = place.run(&["upgrade", "web1"]);
    assert!(stderr(&upgrade).contains("agent_dir"), "{}", stderr(&upgrade));
}

fn effects(place: &Place) -> usize {
    let bytes = heartbeat::os::file::read_bounded(&place.path().join("effects"), 1 << 16);
    bytes.map_or(0, |bytes| bytes.len() / 2)
}

#[test]
fn u10_agent_killed_between_accept_and_run_never_runs() {
    let place = Place::new();
    let server = place.start();
    let key = new_key(&place, "web1");
    configure_agent(&place, &key, COMMANDS);
    let relay = Relay::to(server.udp);
    let agent = start_agent(&place, relay.address);
    wait_for_state(&server, "web1", "up");
    // Of what the server sends only orders pass, which are longer than any answer: the agent accepts, the server
    // notes it, and the agent never hears so.
    relay.pass_to_agent(|bytes| bytes.len() > 90);
    let queued = place.run(&["run", "web1", "append", "--ttl", "30s"]);
    assert_eq!(queued.status.code(), Some(0), "{}", stderr(&queued));
    until("it is accepted", || {
        (last_command(&server, "web1")["state"] == "accepted").then_some(())
    });
    drop(agent);
    relay.pass_to_agent(|_| true);
    let _agent = start_agent(&place, relay.address);
    let ran = place.run(&["run", "web1", "hello", "--wait"]);
    assert_eq!(ran.status.code(), Some(0), "{}", stderr(&ran));
    assert_eq!(effects(&place), 0);
    let (_, value) = server.get("/api/0/hosts/web1/commands");
    assert_eq!(value["commands"][1]["state"], "accepted", "shown as it is: {value}");
}

/// Runs a command to its end, and nothing that the agent says of it arrives. The relay stays shut towards the server.
fn ran_unheard(place: &Place, server: &Hbd) -> (Relay, Agent) {
    let key = new_key(place, "web1");
    configure_agent(place, &key, COMMANDS);
    let relay = Relay::to(server.udp);
    let agent = start_agent(place, relay.address);
    wait_for_state(server, "web1", "up");
    assert_eq!(place.run(&["run", "web1", "held"]).status.code(), Some(0));
    until("it runs", || (effects(place) == 1).then_some(()));
    relay.pass_to_server(|_| false);
    std::fs::write(place.path().join("go"), "").unwrap();
    until("it is over", || place.path().join("over").exists().then_some(()));
    let said = relay.recorded().len();
    until("the agent told its result twice", || (relay.recorded().len() >= said + 3).then_some(()));
    (relay, agent)
}

#[test]
fn u10_agent_killed_between_result_and_its_acknowledgement_does_not_run_it_again() {
    let place = Place::new();
    let server = place.start();
    let (_relay, agent) = ran_unheard(&place, &server);
    drop(agent);
    // Past the relay: what it still holds of the old one must not arrive late.
    let _agent = start_agent(&place, server.udp);
    let ran = place.run(&["run", "web1", "append", "--wait"]);
    assert_eq!(ran.status.code(), Some(0), "{}", stderr(&ran));
    assert_eq!(effects(&place), 2, "once each");
    let (_, value) = server.get("/api/0/hosts/web1/commands");
    assert_eq!(value["commands"][1]["state"], "accepted", "shown as it is: {value}");
    assert_eq!(value["commands"][1]["exit_code"], Value::Null, "{value}");
}

#[test]
fn c7_result_that_is_lost_is_told_again_and_the_command_is_not_run_again() {
    let place = Place::new();
    let server = place.start();
    let (relay, _agent) = ran_unheard(&place, &server);
    assert_eq!(last_command(&server, "web1")["state"], "accepted");
    relay.pass_to_server(|_| true);
    let done = until("it is done", || {
        let command = last_command(&server, "web1");
        (command["state"] == "done").then_some(command)
    });
    assert_eq!((&done["exit_code"], effects(&place)), (&0.into(), 1), "{done}");
}

#[test]
fn u10_agent_and_server_killed_while_it_runs_do_not_run_it_again() {
    let place = Place::new();
    let server = place.start();
    let key = new_key(&place, "web1");
    configure_agent(&place, &key, COMMANDS);
    let port = server.udp.port();
    let agent = start_agent(&place, server.udp);
    wait_for_state(&server, "web1", "up");
    place.run(&["run", "web1", "slow"]);
    until("it has begun", || (effects(&place) == 1).then_some(()));
    drop(agent);
    server.kill();
    place.configure(&format!("hb_port: {port}\n"));
    let server = place.start();
    let _agent = start_agent(&place, server.udp);
    wait_for_state(&server, "web1", "up");
    let ran = place.run(&["run", "web1", "append", "--wait"]);
    assert_eq!(ran.status.code(), Some(0), "{}", stderr(&ran));
    assert_eq!(effects(&place), 2, "once each");
    let (_, value) = server.get("/api/0/hosts/web1/commands");
    assert_eq!(value["commands"][1]["state"], "accepted", "{value}");
    assert_eq!(value["commands"][0]["id"], 2, "no number comes twice: {value}");
}

#[test]
fn u2_everything_replayed_after_a_restart_revives_nothing() {
    let place = Place::new();
    place.configure("grace: 0\n");
    let server = place.start();
    let key = new_key(&place, "web1");
    configure_agent(&place, &key, "");
    let port = server.udp.port();
    let relay = Relay::to(server.udp);
    let agent = start_agent(&place, relay.address);
    wait_for_state(&server, "web1", "up");
    until("some datagrams were recorded", || (relay.recorded().len() >= 12).then_some(()));
    drop(agent);
    let recorded = relay.recorded();
    let seen = server.hosts()[0]["last_seen"].clone();
    let replay = |server: &Hbd| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        for bytes in &recorded {
            socket.send_to(bytes, server.udp).unwrap();
        }
    };
    replay(&server);
    until("they are known", || (rejected(&server, "replayed") > 0).then_some(()));
    server.kill();
    place.configure(&format!("grace: 0\nhb_port: {port}\n"));
    let server = place.start();
    until("it goes down on time, whatever is replayed", || {
        replay(&server);
        (server.hosts()[0]["state"] == "down").then_some(())
    });
    replay(&server);
    let host = &server.hosts()[0];
    assert_eq!(host["state"], "down");
    assert!(host["last_seen"].as_f64().unwrap() <= seen.as_f64().unwrap() + 1.5, "{host} {seen}");
}

/// Everything that a server without the key could think of: orders in the clear, garbled, and sealed with another key.
fn forgeries(n: u64) -> Vec<u8> {
    let mut prng = heartbeat::prng::Prng::new(n);
    let mut bytes = format!(
        r#"{{"ID":"{}","cid":{n},"cmd":"append","args":[],"ttl":60,"ver":"9","ack":{},"acc":{n}}}"#,
        ["CMD", "UPD", "ACK"][n as usize % 3],
        prng.below(64)
    )
    .into_bytes();
    match n % 4 {
        1 => bytes.splice(0..0, [0xf1, 0x48, 1, 0]).for_each(drop),
        2 => {
            let at = prng.below(bytes.len() as u64) as usize;
            bytes[at] = prng.next_u64() as u8;
        }
        3 => bytes = miniz_oxide::deflate::compress_to_vec_zlib(&bytes, 1),
        _ => {}
    }
    bytes
}

#[test]
fn u9_plain_and_garbled_commands_never_execute_anything() {
    let place = Place::new();
    let key = new_key(&place, "web1");
    for keyed in [false, true] {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        configure_agent(&place, &key, COMMANDS);
        if !keyed {
            let text = format!("interval: 1\nname: web1\n{COMMANDS}");
            std::fs::write(place.path().join("hbc.yaml"), text).unwrap();
        }
        let trace = place.path().join(format!("trace-{keyed}"));
        let mut strace = Command::new("strace");
        // -D: the child is the agent itself, so that it ends with its guard; strace follows.
        strace.args(["-D", "-f", "--seccomp-bpf", "-e", "trace=execve", "-o"]).arg(&trace);
        strace.arg(env!("CARGO_BIN_EXE_hbc")).args(["-c", "hbc.yaml"]);
        strace.arg(socket.local_addr().unwrap().to_string());
        strace.env_clear().env("HOME", place.path()).current_dir(place.path());
        strace.stdin(Stdio::null()).stderr(Stdio::null()).stdout(Stdio::null());
        let agent = Agent(strace.spawn().unwrap());
        let mut buffer = [0; 2048];
        let mut n = 0;
        for _ in 0..12 {
            let (_, from) = socket.recv_from(&mut buffer).unwrap();
            for _ in 0..1000 {
                n += 1;
                socket.send_to(&forgeries(n), from).unwrap();
            }
        }
        drop(agent);
        let traced = heartbeat::os::file::read_bounded(&trace, 1 << 20).unwrap();
        let traced = String::from_utf8_lossy(&traced).into_owned();
        let started: Vec<&str> = traced.lines().filter(|line| line.contains("execve(")).collect();
        let own = |line: &&str| line.contains("hbc") || line.contains("systemctl");
        assert!(started.iter().all(own), "{started:?}");
        assert_eq!(effects(&place), 0);
    }
}

/// In place of the kernel's randomness: always the same, and `/dev/random` that would make us wait while there is no
/// file `ready`.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>
static int (*real_open)(const char *, int, ...);
ssize_t getrandom(void *buffer, size_t length, unsigned flags) { memset(buffer, 7, length); return length; }
int open64(const char *path, int flags, ...) {
  va_list list; va_start(list, flags); int mode = va_arg(list, int); va_end(list);
  if (!real_open) real_open = dlsym(RTLD_NEXT, "open64");
  if (!strcmp(path, "/dev/random") && access("ready", F_OK)) {
    int ends[2];
    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC)) return -1;
    return ends[0];
  }
  return real_open(path, flags, mode);
}
"#;

fn build_shim(place: &Place, text: &str) -> PathBuf {
    let (source, shim) = (place.path().join("shim.c"), place.path().join("shim.so"));
    std::fs::write(&source, text).unwrap();
    let mut gcc = Command::new("gcc");
    gcc.args(["-shared", "-fPIC", "-o"]).arg(&shim).arg(&source).arg("-ldl");
    assert!(gcc.status().unwrap().success());
    shim
}

/// A clock that is in 1970 and in 2100 by turns, and a disk that takes nothing.
const BARE: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
static int (*real_open)(const char *, int, ...);
int clock_gettime(clockid_t id, struct timespec *at) {
  static int calls;
  int failed = syscall(SYS_clock_gettime, id, at);
  if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE) at->tv_sec = calls++ % 2 ? 4102444800 : 7;
  return failed;
}
int open64(const char *path, int flags, ...) {
  va_list list; va_start(list, flags); int mode = va_arg(list, int); va_end(list);
  if (!real_open) real_open = dlsym(RTLD_NEXT, "open64");
  if ((flags & (O_WRONLY | O_RDWR | O_CREAT)) && strncmp(path, "/dev/", 5)) { errno = EROFS; return -1; }
  return real_open(path, flags, mode);
}
"#;

#[test]
fn c6_agent_without_a_clock_and_a_disk_beats_and_runs_what_it_is_asked() {
    let place = Place::new();
    let shim = build_shim(&place, BARE);
    let server = place.start();
    let key = new_key(&place, "web1");
    configure_agent(&place, &key, COMMANDS);
    let shimmed = || {
        let mut command = agent_command(&place, server.udp);
        Agent(command.env("LD_PRELOAD", &shim).spawn().unwrap())
    };
    let agent = shimmed();
    wait_for_state(&server, "web1", "up");
    let beats = || server.get("/healthz").1["datagrams"]["accepted"].as_u64().unwrap();
    let first = beats();
    until("it goes on beating", || (beats() >= first + 4).then_some(()));
    let rtt = until("its round trips are told", || {
        wait_for_state(&server, "web1", "up")["connections"][0]["rtt_ms"].as_f64()
    });
    assert!((0.0..2000.0).contains(&rtt), "{rtt}");
    let ran = place.run(&["run", "web1", "append", "--wait"]);
    assert_eq!((ran.status.code(), effects(&place)), (Some(0), 1), "{}", stderr(&ran));
    // A reboot costs it nothing either: there is no time in anything it sends, and nothing it had to keep.
    drop(agent);
    let _agent = shimmed();
    let ran = place.run(&["run", "web1", "append", "--wait"]);
    assert_eq!((ran.status.code(), effects(&place)), (Some(0), 2), "{}", stderr(&ran));
    wait_for_state(&server, "web1", "up");
}

#[test]
fn u16_agent_without_randomness_beats_and_takes_no_command_until_there_is_some() {
    let place = Place::new();
    let shim = build_shim(&place, SHIM);
    let server = place.start();
    let key = new_key(&place, "web1");
    configure_agent(&place, &key, COMMANDS);
    let relay = Relay::to(server.udp);
    let shimmed = || {
        let mut command = agent_command(&place, relay.address);
        Agent(command.env("LD_PRELOAD", &shim).spawn().unwrap())
    };
    drop(shimmed());
    let agent = shimmed();
    wait_for_state(&server, "web1", "up");
    let refused = place.run(&["run", "web1", "append", "--wait"]);
    assert!(stderr(&refused).contains("no entropy yet"), "{}", stderr(&refused));
    std::fs::write(place.path().join("ready"), "").unwrap();
    until("commands are taken", || {
        (place.run(&["run", "web1", "append", "--wait"]).status.code() == Some(0)).then_some(())
    });
    drop(agent);
    // No nonce with two contents, over all the starts and although every random byte was the same.
    let mut sent = relay.recorded();
    sent.sort();
    sent.dedup();
    let mut nonces: Vec<&[u8]> = sent.iter().map(|bytes| &bytes[12..36]).collect();
    nonces.dedup();
    assert_eq!(nonces.len(), sent.len());
}
