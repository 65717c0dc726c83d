//! The rules of the agent as tables: what happened, then these effects, on a virtual clock.

use super::*;
use crate::time::Wall;
use expect_test::{Expect, expect};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fmt::Write as _;

const V4: &str = "192.0.2.1:50003";
const V6: &str = "[2001:db8::1]:50003";

/// An agent, its clock, and a server that can be switched on and off.
struct Rig {
    agent: Agent,
    now: Now,
    lines: String,
    links: BTreeMap<LinkId, SocketAddr>,
    /// What a name resolves to.
    names: Vec<&'static str>,
    /// Acknowledge everything to these addresses at once.
    answers: Vec<&'static str>,
    want_info: bool,
    /// Nothing can be sent to these.
    refuses: Vec<&'static str>,
    /// What plugins give; `None`: they hang.
    sample: Option<&'static str>,
    told: u32,
    exited: bool,
}

fn setup(host: &str) -> Setup {
    let target = Target { host: host.to_owned(), port: 50003, ipv4: true, ipv6: true, key: None };
    Setup {
        name: "web".into(),
        version: "1",
        interval: Duration::from_secs(30),
        targets: vec![target],
        plugins: Vec::new(),
        spool_max: 10_000,
        boot: false,
        heartbeat: true,
        trust: Trust::default(),
        booted: None,
    }
}

fn plan(name: &str, info: bool) -> Plan {
    let (every, timeout) = (Duration::from_secs(300), Duration::from_secs(20));
    Plan { name: name.into(), info, stream: false, every, timeout, quick: false }
}

fn now_at(secs: u64) -> Now {
    Now { mono: Mono::from_secs(secs), wall: Wall::from_secs(0) }
}

fn rig(setup: Setup) -> Rig {
    Rig {
        agent: Agent::new(setup, 1, now_at(1000)),
        now: now_at(1000),
        lines: String::new(),
        links: BTreeMap::new(),
        names: vec![V4],
        answers: Vec::new(),
        want_info: false,
        refuses: Vec::new(),
        sample: Some(r#"{"a":1}"#),
        told: 0,
        exited: false,
    }
}

/// The JSON of a datagram.
fn json(bytes: &[u8]) -> serde_json::Value {
    let inflated;
    let bytes = if bytes.first() == Some(&b'{') {
        bytes
    } else {
        inflated = miniz_oxide::inflate::decompress_to_vec_zlib(bytes).unwrap();
        &inflated
    };
    serde_json::from_slice(bytes).unwrap()
}

impl Rig {
    fn handle(&mut self, event: Event<'_>) {
        self.agent.handle(self.now, event);
        self.drain();
    }

    fn note(&mut self, words: std::fmt::Arguments<'_>) {
        let at = self.now.mono.since(Mono::from_secs(1000)).as_secs_f64();
        let _ = writeln!(self.lines, "{at:.2} {words}");
    }

    fn drain(&mut self) {
        while let Some(effect) = self.agent.poll_effect() {
            match effect {
                Effect::Resolve { server } => {
                    self.note(format_args!("resolve"));
                    let found: Vec<SocketAddr> =
                        self.names.iter().map(|a| a.parse().unwrap()).collect();
                    self.agent.handle(self.now, Event::Resolved { server, addresses: &found });
                }
                Effect::Open { link, address } => {
                    self.note(format_args!("open {link} {address}"));
                    self.links.insert(link, address);
                }
                Effect::Close { link } => {
                    self.note(format_args!("close {link}"));
                    self.links.remove(&link);
                }
                Effect::Send { link, bytes } => self.sent(link, &bytes),
                Effect::Collect { plugin } => {
                    self.note(format_args!("collect {plugin}"));
                    if let Some(data) = self.sample {
                        self.agent.handle(self.now, Event::Sample { plugin, result: Ok(data) });
                    }
                }
                Effect::Hung { plugin } => self.note(format_args!("hung {plugin}")),
                Effect::Told { .. } => self.told += 1,
                Effect::Update { .. } | Effect::Run { .. } | Effect::Entropy => unreachable!(),
                Effect::Exit => {
                    self.note(format_args!("exit"));
                    self.exited = true;
                }
            }
        }
    }

    fn sent(&mut self, link: LinkId, bytes: &[u8]) {
        assert!(bytes.len() <= limits::SEND_MAX);
        let message = json(bytes);
        let mut words = format!("send {link}");
        for key in [
            "ID", "seq", "try", "rtt", "up", "kind", "text", "plugin", "info", "age", "part",
            "data",
        ] {
            if let Some(value) = message.get(key) {
                let _ = write!(words, " {key}={}", value.to_string().replace('"', ""));
            }
        }
        self.note(format_args!("{words}"));
        let address = self.links[&link].to_string();
        if self.refuses.contains(&address.as_str()) {
            self.agent.handle(self.now, Event::SendFailed { link });
        } else if self.answers.contains(&address.as_str()) {
            self.answer(link, message["seq"].as_u64().unwrap());
        }
    }

    fn answer(&mut self, link: LinkId, seq: u64) {
        let want = if self.want_info { r#","want":"info""# } else { "" };
        let ack = format!(r#"{{"ID":"ACK","ack":{seq}{want}}}"#);
        self.agent.handle(self.now, Event::Datagram { link, bytes: ack.as_bytes() });
    }

    /// Runs from timer to timer for so long.
    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        self.drain();
        while let Some(at) = self.agent.poll_timeout().filter(|at| *at <= end.mono) {
            assert!(at >= self.now.mono, "a timer in the past");
            let step = at.since(self.now.mono);
            self.now = self.now + step;
            self.handle(Event::Tick);
            assert!(self.agent.poll_timeout().is_none_or(|next| next > self.now.mono));
        }
        self.now = end;
    }

    fn run_secs(&mut self, secs: f64) {
        self.run(Duration::from_secs_f64(secs));
    }

    /// Compares what happened since the last call.
    fn check(&mut self, want: Expect) {
        want.assert_eq(&std::mem::take(&mut self.lines));
    }

    fn count(&self, needle: &str) -> usize {
        self.lines.matches(needle).count()
    }
}

#[test]
fn heartbeat_unanswered_is_tried_again_until_the_next_with_numbers_of_their_own() {
    let mut rig = rig(setup("192.0.2.1"));
    rig.run_secs(65.0);
    rig.check(expect![[r#"
        0.00 open 1 192.0.2.1:50003
        0.00 send 1 ID=HTB seq=1
        1.00 send 1 ID=HTB seq=2 try=1
        3.00 send 1 ID=HTB seq=3 try=2
        7.00 send 1 ID=HTB seq=4 try=3
        11.00 send 1 ID=HTB seq=5 try=4
        15.00 send 1 ID=HTB seq=6 try=5
        19.00 send 1 ID=HTB seq=7 try=6
        23.00 send 1 ID=HTB seq=8 try=7
        27.00 send 1 ID=HTB seq=9 try=8
        27.76 send 1 ID=HTB seq=10
        28.76 send 1 ID=HTB seq=11 try=1
        30.76 send 1 ID=HTB seq=12 try=2
        34.76 send 1 ID=HTB seq=13 try=3
        38.76 send 1 ID=HTB seq=14 try=4
        42.76 send 1 ID=HTB seq=15 try=5
        46.76 send 1 ID=HTB seq=16 try=6
        50.76 send 1 ID=HTB seq=17 try=7
        54.76 send 1 ID=HTB seq=18 try=8
        57.76 send 1 ID=HTB seq=19
        58.76 send 1 ID=HTB seq=20 try=1
        60.76 send 1 ID=HTB seq=21 try=2
        64.76 send 1 ID=HTB seq=22 try=3
    "#]]);
}

#[test]
fn heartbeat_of_a_short_interval_is_tried_within_it() {
    let mut setup = setup("192.0.2.1");
    setup.interval = Duration::from_secs(1);
    let mut rig = rig(setup);
    rig.run_secs(0.89);
    rig.check(expect![[r#"
          0.00 open 1 192.0.2.1:50003
          0.00 send 1 ID=HTB seq=1
          0.12 send 1 ID=HTB seq=2 try=1
          0.38 send 1 ID=HTB seq=3 try=2
          0.88 send 1 ID=HTB seq=4 try=3
    "#]]);
}

#[test]
fn heartbeats_that_are_answered_keep_their_interval() {
    let mut rig = rig(setup("192.0.2.1"));
    rig.answers = vec![V4];
    rig.run_secs(100.0);
    rig.check(expect![[r#"
        0.00 open 1 192.0.2.1:50003
        0.00 send 1 ID=HTB seq=1
        27.76 send 1 ID=HTB seq=2 rtt=0
        57.76 send 1 ID=HTB seq=3 rtt=0
        87.76 send 1 ID=HTB seq=4 rtt=0
    "#]]);
}

#[test]
fn first_interval_is_up_to_a_tenth_shorter_and_differs_by_seed() {
    let mut seconds = Vec::new();
    for seed in 0..50 {
        let mut agent = Agent::new(setup("192.0.2.1"), seed, now_at(0));
        while agent.poll_effect().is_some() {}
        let ack = Event::Datagram { link: 1, bytes: br#"{"ID":"ACK","ack":1}"# };
        agent.handle(now_at(0), ack);
        let at = agent.poll_timeout().unwrap();
        assert!((27.0..=30.0).contains(&at.since(Mono::ZERO).as_secs_f64()), "{at:?}");
        seconds.push(at);
    }
    seconds.sort();
    seconds.dedup();
    assert!(seconds.len() > 40);
}

#[test]
fn rtt_is_of_the_try_that_was_answered_and_told_once() {
    let mut rig = rig(setup("192.0.2.1"));
    rig.run_secs(1.0);
    rig.run_secs(0.0125);
    rig.answer(1, 2);
    rig.run_secs(60.0);
    rig.check(expect![[r#"
        0.00 open 1 192.0.2.1:50003
        0.00 send 1 ID=HTB seq=1
        1.00 send 1 ID=HTB seq=2 try=1
        27.76 send 1 ID=HTB seq=3 rtt=12.5
        28.76 send 1 ID=HTB seq=4 try=1 rtt=12.5
        30.76 send 1 ID=HTB seq=5 try=2 rtt=12.5
        34.76 send 1 ID=HTB seq=6 try=3 rtt=12.5
        38.76 send 1 ID=HTB seq=7 try=4 rtt=12.5
        42.76 send 1 ID=HTB seq=8 try=5 rtt=12.5
        46.76 send 1 ID=HTB seq=9 try=6 rtt=12.5
        50.76 send 1 ID=HTB seq=10 try=7 rtt=12.5
        54.76 send 1 ID=HTB seq=11 try=8 rtt=12.5
        57.76 send 1 ID=HTB seq=12
        58.76 send 1 ID=HTB seq=13 try=1
        60.76 send 1 ID=HTB seq=14 try=2
    "#]]);
    assert_eq!(rig.agent.view().servers[0].links[0].rtt, Some(Duration::from_micros(12_500)));
}

#[test]
fn uptime_counts_from_the_boot_that_was_told() {
    let mut setup = setup("192.0.2.1");
    setup.booted = Some(Mono::from_secs(400));
    let mut rig = rig(setup);
    rig.run_secs(0.0);
    assert_eq!(rig.count("up=600"), 1, "{}", rig.lines);
}

#[test]
fn ipv6_that_never_worked_is_dropped_after_three_failures_and_ipv4_is_not() {
    let mut rig = rig(setup("hb.example"));
    rig.names = vec![V6, V4];
    rig.answers = vec![V4];
    rig.run_secs(95.0);
    rig.check(expect![[r#"
        0.00 resolve
        0.00 open 1 192.0.2.1:50003
        0.00 open 2 [2001:db8::1]:50003
        0.00 send 1 ID=HTB seq=1
        0.00 send 2 ID=HTB seq=1
        1.00 send 2 ID=HTB seq=2 try=1
        3.00 send 2 ID=HTB seq=3 try=2
        7.00 send 2 ID=HTB seq=4 try=3
        11.00 send 2 ID=HTB seq=5 try=4
        15.00 send 2 ID=HTB seq=6 try=5
        19.00 send 2 ID=HTB seq=7 try=6
        23.00 send 2 ID=HTB seq=8 try=7
        27.00 send 2 ID=HTB seq=9 try=8
        27.09 send 2 ID=HTB seq=10
        27.76 send 1 ID=HTB seq=2 rtt=0
        28.09 send 2 ID=HTB seq=11 try=1
        30.09 send 2 ID=HTB seq=12 try=2
        34.09 send 2 ID=HTB seq=13 try=3
        38.09 send 2 ID=HTB seq=14 try=4
        42.09 send 2 ID=HTB seq=15 try=5
        46.09 send 2 ID=HTB seq=16 try=6
        50.09 send 2 ID=HTB seq=17 try=7
        54.09 send 2 ID=HTB seq=18 try=8
        57.09 send 2 ID=HTB seq=19
        57.76 send 1 ID=HTB seq=3 rtt=0
        58.09 send 2 ID=HTB seq=20 try=1
        60.09 send 2 ID=HTB seq=21 try=2
        64.09 send 2 ID=HTB seq=22 try=3
        68.09 send 2 ID=HTB seq=23 try=4
        72.09 send 2 ID=HTB seq=24 try=5
        76.09 send 2 ID=HTB seq=25 try=6
        80.09 send 2 ID=HTB seq=26 try=7
        84.09 send 2 ID=HTB seq=27 try=8
        87.09 close 2
        87.76 send 1 ID=HTB seq=4 rtt=0
    "#]]);
}

#[test]
fn ipv6_that_cannot_be_sent_to_is_dropped_within_seconds() {
    let mut rig = rig(setup("hb.example"));
    rig.names = vec![V6, V4];
    rig.refuses = vec![V6];
    rig.answers = vec![V4];
    rig.run_secs(20.0);
    rig.check(expect![[r#"
          0.00 resolve
          0.00 open 1 192.0.2.1:50003
          0.00 open 2 [2001:db8::1]:50003
          0.00 send 1 ID=HTB seq=1
          0.00 send 2 ID=HTB seq=1
          1.00 send 2 ID=HTB seq=2 try=1
          3.00 send 2 ID=HTB seq=3 try=2
          3.00 close 2
    "#]]);
}

#[test]
fn ipv6_that_worked_once_is_tried_for_ever() {
    let mut rig = rig(setup("hb.example"));
    rig.names = vec![V6, V4];
    rig.answers = vec![V4, V6];
    rig.run_secs(10.0);
    rig.answers = vec![V4];
    rig.run_secs(1000.0);
    assert_eq!(rig.count("close"), 0);
}

#[test]
fn name_that_does_not_resolve_is_asked_for_again() {
    let mut rig = rig(setup("hb.example"));
    rig.names = vec![];
    rig.run_secs(10.0);
    rig.names = vec![V4];
    rig.run_secs(10.0);
    rig.check(expect![[r#"
        0.00 resolve
        1.00 resolve
        3.00 resolve
        7.00 resolve
        15.00 resolve
        15.00 open 1 192.0.2.1:50003
        15.00 send 1 ID=HTB seq=1
        16.00 send 1 ID=HTB seq=2 try=1
        18.00 send 1 ID=HTB seq=3 try=2
    "#]]);
}

#[test]
fn name_is_resolved_anew_when_the_server_stops_answering() {
    let mut rig = rig(setup("hb.example"));
    rig.answers = vec![V4];
    rig.run_secs(10.0);
    rig.answers = vec![];
    rig.names = vec!["192.0.2.2:50003"];
    rig.run_secs(120.0);
    assert_eq!(rig.count("resolve"), 2);
    assert_eq!((rig.count("close 1"), rig.count("open 2 192.0.2.2:50003")), (1, 1));
}

#[test]
fn families_that_are_switched_off_are_not_opened() {
    for (ipv4, ipv6, want) in [(true, false, V4), (false, true, V6)] {
        let mut setup = setup("hb.example");
        (setup.targets[0].ipv4, setup.targets[0].ipv6) = (ipv4, ipv6);
        let mut rig = rig(setup);
        rig.names = vec![V6, V4];
        rig.run_secs(0.0);
        assert_eq!((rig.count("open"), rig.count(want)), (1, 1), "{}", rig.lines);
    }
}

#[test]
fn samples_wait_in_the_spool_and_are_sent_with_their_age() {
    let mut setup = setup("192.0.2.1");
    setup.plugins = vec![plan("m", false)];
    let mut rig = rig(setup);
    rig.run_secs(400.0);
    assert_eq!(rig.count("PLG"), 0);
    rig.lines.clear();
    rig.answers = vec![V4];
    rig.run_secs(20.0);
    rig.check(expect![[r#"
        402.76 send 1 ID=HTB seq=123 try=5
        402.76 send 1 ID=PLG seq=124 plugin=m age=402677 data={a:1}
        402.76 send 1 ID=PLG seq=125 plugin=m age=131807 data={a:1}
        417.76 send 1 ID=HTB seq=126 rtt=0
    "#]]);
}

#[test]
fn sample_is_sent_again_until_acknowledged() {
    let mut setup = setup("192.0.2.1");
    setup.plugins = vec![plan("m", false)];
    let mut rig = rig(setup);
    rig.run_secs(0.0);
    rig.answer(1, 1);
    rig.run_secs(3.0);
    rig.answer(1, 3);
    rig.run_secs(20.0);
    rig.check(expect![[r#"
          0.00 open 1 192.0.2.1:50003
          0.00 send 1 ID=HTB seq=1
          0.08 collect 0
          0.08 send 1 ID=PLG seq=2 plugin=m data={a:1}
          1.08 send 1 ID=PLG seq=3 plugin=m data={a:1}
    "#]]);
}

#[test]
fn large_sample_goes_in_parts_that_fit() {
    let members: Vec<String> =
        (0..200).map(|n| format!(r#""key{n}":{}"#, n * 791_919_191_u64 % 1_000_000_007)).collect();
    let data: &'static str = format!("{{{}}}", members.join(",")).leak();
    let mut setup = setup("192.0.2.1");
    setup.plugins = vec![plan("m", false)];
    let mut rig = rig(setup);
    rig.answers = vec![V4];
    rig.sample = Some(data);
    rig.run_secs(5.0);
    let parts = rig.count("PLG");
    assert!(parts >= 2 && rig.count(&format!(",{parts}]")) == parts, "{}", rig.lines);
    for n in 0..200 {
        assert_eq!(rig.count(&format!("key{n}:")), 1);
    }
}

#[test]
fn sample_that_fits_when_compressed_goes_whole() {
    let members: Vec<String> = (100..200).map(|n| format!(r#""same_key_{n}":0"#)).collect();
    let mut setup = setup("192.0.2.1");
    setup.plugins = vec![plan("m", false)];
    let mut rig = rig(setup);
    rig.answers = vec![V4];
    rig.sample = Some(format!("{{{}}}", members.join(",")).leak());
    rig.run_secs(5.0);
    assert_eq!((rig.count("PLG"), rig.count("part=")), (1, 0));
}

#[test]
fn plugin_that_hangs_is_reported_and_never_holds_up_the_heartbeat() {
    let mut setup = setup("192.0.2.1");
    setup.plugins = vec![plan("m", false)];
    let mut rig = rig(setup);
    rig.answers = vec![V4];
    rig.sample = None;
    rig.run_secs(700.0);
    assert!(rig.count("ID=HTB") >= 23);
    rig.lines =
        rig.lines.lines().filter(|l| !l.contains("HTB")).fold(String::new(), |a, l| a + l + "\n");
    rig.check(expect![[r#"
        0.00 open 1 192.0.2.1:50003
        0.08 collect 0
        20.08 hung 0
        20.08 send 1 ID=PLG seq=2 plugin=m data={error:timed out after 20 s}
    "#]]);
}

#[test]
fn plugin_that_fails_is_reported_as_an_error() {
    let mut setup = setup("192.0.2.1");
    setup.plugins = vec![plan("m", false)];
    let mut rig = rig(setup);
    rig.answers = vec![V4];
    rig.sample = None;
    rig.run_secs(2.0);
    rig.handle(Event::Sample { plugin: 0, result: Err("no \"such\" file") });
    assert_eq!(rig.count(r"PLG seq=2 plugin=m data={error:no \such\ file}"), 1, "{}", rig.lines);
}

#[test]
fn info_is_sent_once_and_again_when_asked_and_after_an_outage() {
    let mut setup = setup("192.0.2.1");
    setup.plugins = vec![plan("i", true)];
    let mut rig = rig(setup);
    rig.answers = vec![V4];
    rig.run_secs(500.0);
    assert_eq!(rig.count("collect"), 1);
    rig.want_info = true;
    rig.run_secs(31.0);
    rig.want_info = false;
    rig.run_secs(500.0);
    assert_eq!(rig.count("collect"), 2, "{}", rig.lines);
    rig.answers.clear();
    rig.run_secs(200.0);
    assert_eq!(rig.count("collect"), 2);
    rig.answers = vec![V4];
    rig.run_secs(200.0);
    assert_eq!((rig.count("collect"), rig.count("PLG")), (3, 3));
}

#[test]
fn server_that_never_stops_asking_gets_info_no_faster_than_heartbeats() {
    let mut setup = setup("192.0.2.1");
    setup.plugins = vec![plan("i", true)];
    let mut rig = rig(setup);
    rig.answers = vec![V4];
    rig.want_info = true;
    rig.run_secs(300.0);
    assert!(rig.count("collect") <= 31, "{}", rig.lines);
}

#[test]
fn one_off_message_is_resent_without_heartbeats_until_acknowledged() {
    let mut setup = setup("192.0.2.1");
    setup.heartbeat = false;
    let mut rig = rig(setup);
    rig.handle(Event::Message { kind: Kind::Text, text: "hello" });
    rig.run_secs(5.0);
    rig.answers = vec![V4];
    rig.run_secs(60.0);
    rig.check(expect![[r#"
          0.00 open 1 192.0.2.1:50003
          0.00 send 1 ID=MSG seq=1 kind=text text=hello
          1.00 send 1 ID=MSG seq=2 kind=text text=hello
          3.00 send 1 ID=MSG seq=3 kind=text text=hello
          7.00 send 1 ID=MSG seq=4 kind=text text=hello
    "#]]);
    assert_eq!(rig.told, 1);
}

#[test]
fn message_keeps_its_id_over_all_tries() {
    let mut setup = setup("192.0.2.1");
    setup.heartbeat = false;
    let mut agent = Agent::new(setup, 9, now_at(0));
    agent.handle(now_at(0), Event::Message { kind: Kind::Text, text: "t" });
    let mut ids = Vec::new();
    for secs in 0..20 {
        agent.handle(now_at(secs), Event::Tick);
        while let Some(effect) = agent.poll_effect() {
            if let Effect::Send { bytes, .. } = effect {
                ids.push(json(&bytes)["mid"].as_u64().unwrap());
            }
        }
    }
    assert_eq!(ids.len(), 5);
    assert!(ids.iter().all(|id| *id == ids[0] && *id < 1 << 53 && *id > 0));
}

#[test]
fn boot_is_told_on_start_and_shutdown_on_stop() {
    let mut setup = setup("192.0.2.1");
    setup.boot = true;
    let mut rig = rig(setup);
    rig.answers = vec![V4];
    rig.run_secs(5.0);
    rig.handle(Event::Stop);
    rig.run_secs(100.0);
    rig.check(expect![[r#"
          0.00 open 1 192.0.2.1:50003
          0.00 send 1 ID=HTB seq=1
          0.00 send 1 ID=MSG seq=2 kind=boot text=
          5.00 send 1 ID=MSG seq=3 kind=shutdown text=
          5.00 exit
    "#]]);
    assert_eq!((rig.told, rig.exited), (2, true));
}

#[test]
fn shutdown_that_nobody_acknowledges_takes_two_seconds() {
    let mut setup = setup("192.0.2.1");
    setup.boot = true;
    let mut rig = rig(setup);
    rig.run_secs(0.5);
    rig.lines.clear();
    rig.handle(Event::Stop);
    rig.run_secs(100.0);
    rig.check(expect![[r#"
          0.50 send 1 ID=MSG seq=3 kind=shutdown text=
          0.75 send 1 ID=MSG seq=4 kind=shutdown text=
          1.25 send 1 ID=MSG seq=5 kind=shutdown text=
          2.25 send 1 ID=MSG seq=6 kind=shutdown text=
          2.50 exit
    "#]]);
}

#[test]
fn stop_without_boot_exits_at_once() {
    let mut rig = rig(setup("192.0.2.1"));
    rig.run_secs(0.5);
    rig.handle(Event::Stop);
    assert!(rig.exited);
    assert_eq!(rig.agent.poll_timeout(), None);
}

#[test]
fn long_sleep_is_followed_by_one_heartbeat_not_by_many() {
    let mut rig = rig(setup("192.0.2.1"));
    rig.answers = vec![V4];
    rig.run_secs(5.0);
    rig.lines.clear();
    rig.now = rig.now + Duration::from_secs(36_000);
    rig.handle(Event::Tick);
    assert_eq!(rig.count("HTB"), 1, "{}", rig.lines);
    rig.run_secs(29.0);
    assert_eq!(rig.count("HTB"), 1, "{}", rig.lines);
}

#[test]
fn bytes_that_are_no_answer_change_nothing() {
    let mut rig = rig(setup("192.0.2.1"));
    rig.run_secs(0.1);
    let foreign: [&[u8]; 6] = [
        b"",
        b"\xff\xff",
        br#"{"ID":"ACK","ack":99}"#,
        br#"{"ID":"CMD","cid":1,"cmd":"reboot"}"#,
        br#"{"ID":"HTB","name":"web"}"#,
        b"{",
    ];
    for bytes in foreign {
        rig.handle(Event::Datagram { link: 1, bytes });
    }
    rig.handle(Event::Datagram { link: 77, bytes: br#"{"ID":"ACK","ack":1}"# });
    assert!(!rig.agent.view().servers[0].links[0].answering);
}

#[test]
fn answer_without_a_number_proves_life_and_measures_nothing() {
    let mut rig = rig(setup("192.0.2.1"));
    rig.run_secs(0.1);
    rig.handle(Event::Datagram { link: 1, bytes: br#"{"ID":"ACK"}"# });
    let view = &rig.agent.view().servers[0].links[0];
    assert_eq!((view.answering, view.rtt), (true, None));
    rig.run_secs(20.0);
    assert_eq!(rig.count("HTB"), 1);
}

#[test]
fn every_server_gets_every_sample_and_a_silent_one_holds_up_no_other() {
    let mut setup = setup("192.0.2.1");
    setup.targets.push(Target { host: "192.0.2.9".into(), ..setup.targets[0].clone() });
    setup.plugins = vec![plan("m", false)];
    let mut rig = rig(setup);
    rig.answers = vec![V4];
    rig.run_secs(30.0);
    assert_eq!(rig.count("PLG"), 1);
    rig.answers.push("192.0.2.9:50003");
    rig.run_secs(30.0);
    assert_eq!((rig.count("send 1 ID=PLG"), rig.count("send 2 ID=PLG")), (1, 1), "{}", rig.lines);
}

/// Both directions of a network that loses, delays and repeats, until it heals.
struct Lossy {
    prng: Prng,
    loss: f64,
    delay_ms: u64,
    flying: Vec<(Mono, LinkId, Vec<u8>)>,
}

impl Lossy {
    fn fly(&mut self, now: Mono, link: LinkId, message: &serde_json::Value) {
        let ack = format!(r#"{{"ID":"ACK","ack":{}}}"#, message["seq"]).into_bytes();
        for _ in 0..=u8::from(self.prng.chance(0.1)) {
            if !self.prng.chance(self.loss) {
                let delay = Duration::from_millis(1 + self.prng.below(self.delay_ms));
                self.flying.push((now + delay, link, ack.clone()));
            }
        }
        self.flying.sort_by_key(|(at, ..)| std::cmp::Reverse(*at));
    }
}

/// Runs `agent` to `end`; returns the plugins that arrived, and the heartbeats.
fn fly_until(agent: &mut Agent, net: &mut Lossy, now: &mut Now, end: Mono) -> (usize, usize) {
    let (mut samples, mut beats) = (0, 0);
    loop {
        while let Some(effect) = agent.poll_effect() {
            match effect {
                Effect::Collect { plugin } => {
                    agent.handle(*now, Event::Sample { plugin, result: Ok(r#"{"a":1}"#) });
                }
                Effect::Send { link, bytes } if !net.prng.chance(net.loss) => {
                    let message = json(&bytes);
                    beats += usize::from(message["ID"] == "HTB");
                    samples += usize::from(message["ID"] == "PLG");
                    net.fly(now.mono, link, &message);
                }
                _ => {}
            }
        }
        let timer = agent.poll_timeout().unwrap_or(Mono::MAX);
        let arrival = net.flying.last().map_or(Mono::MAX, |(at, ..)| *at);
        let next = timer.min(arrival);
        if next > end {
            return (samples, beats);
        }
        *now = *now + next.since(now.mono);
        match net.flying.pop_if(|_| arrival <= timer) {
            Some((_, link, ack)) => agent.handle(*now, Event::Datagram { link, bytes: &ack }),
            None => agent.handle(*now, Event::Tick),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn heartbeats_and_samples_get_through_once_the_network_heals(
        seed: u64,
        loss in 0.3..1.0f64,
        interval in 1u64..60,
        outage in 10u64..5000,
    ) {
        let mut setup = setup("192.0.2.1");
        setup.interval = Duration::from_secs(interval);
        setup.plugins = vec![plan("a", false), plan("b", true)];
        let mut now = now_at(50);
        let mut agent = Agent::new(setup, seed, now);
        let mut net = Lossy { prng: Prng::new(seed), loss, delay_ms: 3000.min(400 * interval), flying: Vec::new() };
        let end = now.mono + Duration::from_secs(outage);
        fly_until(&mut agent, &mut net, &mut now, end);
        net.loss = 0.0;
        let span = Duration::from_secs(300 + 5 * interval);
        let (samples, beats) = fly_until(&mut agent, &mut net, &mut now, end + span);
        prop_assert!(beats as u64 >= span.as_secs() / interval - 1, "{beats} beats");
        prop_assert!(samples >= 1);
        let view = agent.view();
        prop_assert!(view.servers[0].links[0].answering);
        prop_assert!(view.servers[0].queued <= 2, "{view:?}");
    }
}

#[test]
fn answers_may_wait_a_moment_while_only_samples_are_under_way() {
    let mut setup = setup("192.0.2.1");
    setup.plugins = vec![plan("m", false)];
    let mut rig = rig(setup);
    rig.run_secs(0.0);
    assert_eq!(rig.agent.quiet_until(), None, "the round trip of the heartbeat is measured");
    rig.answer(1, 1);
    rig.run_secs(0.1);
    assert_eq!(rig.count("PLG"), 1);
    let until = rig.agent.quiet_until().unwrap();
    assert!(until > rig.now.mono && until <= rig.now.mono + retry::QUIET);
    // The first sample is due again no sooner than that.
    assert!(rig.agent.poll_timeout() <= Some(until));
    rig.handle(Event::Message { kind: Kind::Text, text: "somebody waits for its answer" });
    assert_eq!(rig.agent.quiet_until(), None, "a message is under way");
    rig.run_secs(1.2);
    rig.handle(Event::Tick);
    assert_eq!(rig.agent.quiet_until(), None);
}
