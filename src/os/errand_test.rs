//! Slow programs under an agent: they hold up no heartbeat, with threads and without.

use super::*;
use crate::agent::{Setup, Target};
use crate::collect;
use crate::config::agent::{self as config, Agent};
use crate::os::agent_loop::{self, Outcome, Runtime, Task};
use crate::os::signal;
use crate::time::Duration;
use std::net::UdpSocket;
use std::os::fd::{AsFd, OwnedFd};

fn own(script: &str, more: config::Plugin) -> config::Plugin {
    config::Plugin { command: ["sh", "-c", script].map(str::to_owned).to_vec(), ..more }
}

fn config(plugins: &[(&str, config::Plugin)]) -> Agent {
    let plugins = plugins.iter().map(|(name, plugin)| ((*name).to_owned(), plugin.clone()));
    Agent { plugins: plugins.collect(), ..Agent::default() }
}

/// Acknowledges what comes until `done` says so of all texts so far; then the agent is stopped.
fn serve(socket: &UdpSocket, stop: OwnedFd, done: impl Fn(&[String]) -> bool) -> Vec<String> {
    let (mut buffer, mut texts) = ([0; 2048], Vec::new());
    while !done(&texts) {
        let (len, from) = socket.recv_from(&mut buffer).expect("a datagram in time");
        let message: serde_json::Value = serde_json::from_slice(&buffer[..len]).expect("JSON");
        let ack = format!(r#"{{"ID":"ACK","ack":{}}}"#, message["seq"]);
        socket.send_to(ack.as_bytes(), from).expect("sent");
        texts.push(String::from_utf8_lossy(&buffer[..len]).into_owned());
    }
    drop(stop);
    texts
}

/// What an agent sends whose plugins are those of the configuration alone.
#[allow(clippy::disallowed_methods, reason = "the test joins it")]
fn sent(config: &Agent, runtime: Runtime, done: fn(&[String]) -> bool) -> Vec<String> {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("bound");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
    let port = socket.local_addr().expect("bound").port();
    let (read, write) = signal::pipe().expect("a pipe");
    let server = std::thread::spawn(move || serve(&socket, write, done));
    let mut plugins = collect::builtin(config, collect::MINI);
    plugins.retain(|plugin| config.plugins.contains_key(plugin.name()));
    let setup = Setup {
        name: "web".into(),
        version: "1",
        interval: Duration::from_millis(100),
        targets: vec![Target {
            host: "127.0.0.1".to_owned(),
            port,
            ipv4: true,
            ipv6: true,
            key: None,
        }],
        plugins: agent_loop::plans(config, &plugins),
        spool_max: 10_000,
        boot: false,
        heartbeat: true,
        trust: Default::default(),
        booted: None,
    };
    let outcome =
        agent_loop::run(setup, plugins, runtime, Task::Report, Default::default(), read.as_fd());
    assert_eq!(outcome.expect("it ran"), Outcome::Stopped);
    server.join().expect("the server is done")
}

fn count(texts: &[String], what: &str) -> usize {
    texts.iter().filter(|text| text.contains(what)).count()
}

#[test]
fn slow_programs_delay_no_heartbeat() {
    let timeout = Duration::from_secs(1);
    let slow = own("sleep 60", config::Plugin { timeout, ..config::Plugin::default() });
    let config = config(&[("slow", slow.clone()), ("slower", slow)]);
    for runtime in [Runtime::Inline, Runtime::THREADS] {
        let texts = sent(&config, runtime, |texts| count(texts, "timed out after 1 s") == 2);
        // Ten are due within the second that the programs take.
        assert!(count(&texts, r#""HTB""#) >= 4, "{runtime:?}: {texts:?}");
    }
}

#[test]
fn stream_is_sent_line_by_line() {
    let settings = config::Plugin { stream: true, ..config::Plugin::default() };
    let script = "echo '{\"n\": 1}'; echo '{\"n\": 2}'; exec sleep 60";
    let config = config(&[("s", own(script, settings))]);
    for runtime in [Runtime::Inline, Runtime::THREADS] {
        let texts = sent(&config, runtime, |texts| count(texts, r#""data":{"n":2}"#) == 1);
        assert_eq!(count(&texts, r#""data":{"n":1}"#), 1, "{runtime:?}: {texts:?}");
    }
}

#[test]
fn errand_that_does_not_bound_itself_is_given_up() {
    struct Endless(bool);
    impl Plugin for Endless {
        fn name(&self) -> &str {
            "endless"
        }
        fn kind(&self) -> collect::PluginKind {
            collect::PluginKind::Monitor
        }
        fn limit(&self) -> Option<Duration> {
            Some(Duration::from_millis(20))
        }
        fn collect(&mut self, _: Now, out: &mut String) -> Result<(), CollectError> {
            finish(self, out)
        }
        fn errand(&mut self) -> Option<&mut dyn collect::Errand> {
            Some(self)
        }
    }
    impl collect::Errand for Endless {
        fn advance(&mut self, _: Now, _: &mut String) -> Option<Result<(), CollectError>> {
            self.0 = true;
            None
        }
        fn watch<'a>(&'a self, _: &mut Vec<BorrowedFd<'a>>) -> Mono {
            Mono::MAX
        }
        fn abandon(&mut self) {
            self.0 = false;
        }
    }
    let mut endless = Endless(false);
    let error = endless.collect(Now::default(), &mut String::new()).expect_err("it never ends");
    assert_eq!(error.0, "timed out after 0 s");
    assert!(!endless.0, "it was given up");
    let mut errands = Errands::split_off(&mut vec![Box::new(endless)]);
    assert!(errands.start(0) && !errands.start(1));
    assert!(errands.poll(Now::default()).is_empty());
    assert_eq!(errands.watch(&mut Vec::new()), Some(Mono::MAX));
    assert!(errands.abandon(0) && !errands.abandon(0));
    assert_eq!(errands.watch(&mut Vec::new()), None);
}
