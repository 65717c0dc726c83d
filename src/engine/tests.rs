//! The engine on a virtual clock: what is told when, and what a view shows.

use super::view::{ConnState, State};
use super::*;
use crate::config::server::{Cidr, Host, Server, UdpPolicy};
use crate::time::Wall;
use crate::wire::Decoder;
use crate::wire::{Datagram, Htb, Kind, Leaf, LeafValue, Message, Msg, Plg};
use std::net::SocketAddr;

const V4: &str = "192.0.2.10:4000";
const V6: &str = "[2001:db8::10]:4000";

/// An engine and the world around it: a clock, what was sent and told, the store.
struct Rig {
    engine: Engine,
    now: Now,
    config: Arc<Server>,
    told: Vec<String>,
    sent: usize,
    store: Vec<Saved>,
    journal: Vec<Record>,
    recorded: Vec<Recorded>,
}

impl Rig {
    fn new(config: Server) -> Rig {
        let now = Now { mono: Mono::from_secs(1000), wall: Wall::from_secs(1_763_798_400) };
        let config = Arc::new(config);
        let mut engine = Engine::new(config.clone(), 1, now);
        engine.handle(now, Event::Tick);
        let mut rig = Rig {
            engine,
            now,
            config,
            told: Vec::new(),
            sent: 0,
            store: Vec::new(),
            journal: Vec::new(),
            recorded: Vec::new(),
        };
        rig.drain();
        rig
    }

    fn drain(&mut self) {
        while let Some(effect) = self.engine.poll_effect() {
            match effect {
                Effect::Send { .. } => self.sent += 1,
                Effect::Publish(event) => self.told.push(event.text.to_string()),
                Effect::Persist(rows) => self.store.extend(rows),
                Effect::Journal(record) => self.journal.push(record),
                Effect::Record(recorded) => self.recorded.push(recorded),
                Effect::Answer { .. } | Effect::Notify(_) | Effect::Order { .. } => {}
                Effect::Secure { .. } | Effect::Dns(_) | Effect::Pair { .. } => {}
            }
        }
    }

    fn told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.told)
    }

    fn send(&mut self, from: &str, name: &str, seq: Option<u64>, message: Message<'_>) {
        let from: SocketAddr = from.parse().unwrap();
        let json = "{}";
        let datagram = Datagram { name, seq, time: None, message, strings_cut: 0, json };
        let path = Path { from, to: None };
        self.engine.handle(self.now, Event::Datagram { path, len: 80, decoded: Ok(datagram) });
        self.drain();
    }

    fn htb(&mut self, from: &str, name: &str) {
        self.send(from, name, None, Message::Htb(Htb { interval: Some(30.0), ..Htb::default() }));
    }

    fn plg(&mut self, name: &str, plugin: &str, data: &str, leaves: &[Leaf<'_>], info: bool) {
        let plg = Plg { plugin, data, leaves, every: Some(300), info, age_ms: None, part: None };
        self.send(V4, name, None, Message::Plg(plg));
    }

    /// Lets time pass as the shell does: a tick whenever the engine asked for one.
    fn elapse(&mut self, secs: f64) {
        let end = self.now + Duration::from_secs_f64(secs);
        while let Some(due) = self.engine.poll_timeout().filter(|due| *due <= end.mono) {
            assert!(due > self.now.mono, "poll_timeout is strictly after now");
            self.now = self.now + due.since(self.now.mono);
            self.engine.handle(self.now, Event::Tick);
            self.drain();
        }
        self.now = end;
        self.engine.handle(self.now, Event::Tick);
        self.drain();
    }

    /// Time passes and nobody runs: the process was stopped, or the machine slept.
    fn pause(&mut self, secs: u64) {
        self.now = self.now + Duration::from_secs(secs);
        self.engine.handle(self.now, Event::Tick);
        self.drain();
    }

    /// kill -9 and a new process `secs` later, with a monotonic clock of its own.
    fn restart(&mut self, secs: u64) {
        self.now =
            Now { mono: Mono::from_secs(77), wall: self.now.wall + Duration::from_secs(secs) };
        self.engine = Engine::new(self.config.clone(), 2, self.now);
        let rank = |row: &Saved| match row {
            Saved::Meta { .. } => 0,
            Saved::Host { .. } | Saved::HostGone { .. } => 1,
            Saved::Sample { .. } => 2,
            _ => 3,
        };
        let mut rows = self.store.clone();
        rows.sort_by_key(rank);
        for row in rows {
            self.engine.restore(self.now, row);
        }
        self.engine.handle(self.now, Event::Tick);
        self.drain();
    }

    fn host(&mut self, name: &str) -> Arc<view::Host> {
        self.engine.view().host(name).unwrap_or_else(|| panic!("no host {name}")).clone()
    }
}

fn declared(hosts: &[(&str, Host)]) -> Server {
    let hosts = hosts.iter().map(|(name, host)| ((*name).to_owned(), host.clone())).collect();
    Server { hosts, ..Server::default() }
}

#[test]
fn silence_makes_late_then_down_and_a_heartbeat_makes_up() {
    let mut rig = Rig::new(Server::default());
    rig.htb(V4, "web1");
    assert_eq!(rig.told(), ["NEW: web1 - first heartbeat (ipv4 192.0.2.10)"]);
    assert_eq!(rig.host("web1").state, State::Up);
    rig.elapse(34.9);
    assert_eq!(rig.told(), [""; 0]);
    rig.elapse(0.2);
    assert_eq!(rig.told(), ["LATE: web1 - heartbeat overdue"]);
    assert_eq!(rig.host("web1").state, State::Late);
    rig.elapse(29.8);
    assert_eq!(rig.told(), [""; 0]);
    rig.elapse(0.2);
    assert_eq!(rig.told(), ["DOWN: web1 - no heartbeat for 65 s (ipv4 192.0.2.10)"]);
    let host = rig.host("web1");
    assert_eq!((host.state, &*host.why), (State::Down, "2 heartbeats missed"));
    rig.elapse(246.9);
    rig.htb(V4, "web1");
    assert_eq!(rig.told(), ["UP: web1 - back after 5m 12s"]);
    assert_eq!(rig.host("web1").state, State::Up);
}

#[test]
fn each_family_has_its_own_deadline() {
    let mut rig = Rig::new(Server::default());
    rig.htb(V4, "web1");
    rig.htb(V6, "web1");
    rig.told();
    for _ in 0..4 {
        rig.elapse(30.0);
        rig.htb(V4, "web1");
    }
    assert_eq!(
        rig.told(),
        ["LATE: web1 - heartbeat overdue", "DEGRADED: web1 - ipv6 2001:db8::10 lost"]
    );
    let host = rig.host("web1");
    assert_eq!(host.state, State::Degraded);
    assert_eq!(host.connections[1].unwrap().state, ConnState::Down);
    rig.htb(V6, "web1");
    assert_eq!(rig.told(), ["RESTORED: web1 - ipv6 back after 2m"]);
    assert_eq!(rig.host("web1").state, State::Up);
}

#[test]
fn families_that_die_together_are_one_outage() {
    let mut rig = Rig::new(Server::default());
    rig.htb(V4, "web1");
    rig.elapse(1.0);
    rig.htb(V6, "web1");
    rig.told();
    rig.elapse(70.0);
    let told = rig.told();
    let down = "DOWN: web1 - no heartbeat for 65 s (ipv4 192.0.2.10, ipv6 2001:db8::10)";
    assert_eq!(told, ["LATE: web1 - heartbeat overdue", down]);
    rig.htb(V4, "web1");
    rig.htb(V6, "web1");
    assert_eq!(rig.told(), ["UP: web1 - back after 1m 10s"]);
    assert_eq!(rig.host("web1").state, State::Up);
}

#[test]
fn family_that_does_not_come_back_with_its_host_is_told_one_deadline_later() {
    let mut rig = Rig::new(Server::default());
    rig.htb(V4, "web1");
    rig.htb(V6, "web1");
    rig.elapse(70.0);
    rig.told();
    rig.htb(V4, "web1");
    for _ in 0..3 {
        rig.elapse(30.0);
        rig.htb(V4, "web1");
    }
    assert_eq!(
        rig.told(),
        ["UP: web1 - back after 1m 10s", "DEGRADED: web1 - ipv6 2001:db8::10 lost"]
    );
}

#[test]
fn pause_of_the_server_moves_every_deadline() {
    let mut rig = Rig::new(Server::default());
    for i in 0..100 {
        rig.htb(V4, &format!("h{i}"));
    }
    rig.elapse(20.0);
    rig.told();
    rig.pause(300);
    assert_eq!(rig.told(), ["server did not listen for 4m 59s: every deadline moves by as much"]);
    rig.elapse(40.0);
    let told = rig.told();
    assert!(told.iter().all(|t| t.starts_with("LATE")), "{told:?}");
    rig.elapse(10.0);
    assert_eq!(rig.told().iter().filter(|t| t.starts_with("DOWN")).count(), 100);
}

#[test]
fn restart_gives_a_full_deadline_to_what_was_up_and_keeps_what_was_down() {
    let mut rig = Rig::new(Server::default());
    rig.htb(V4, "dead");
    rig.elapse(70.0);
    rig.htb(V4, "alive");
    rig.elapse(10.0);
    rig.told();
    rig.restart(600);
    assert_eq!(rig.host("dead").state, State::Down);
    assert_eq!(rig.host("alive").state, State::Up);
    assert!(rig.engine.view().hold_until.is_some());
    rig.elapse(60.0);
    assert_eq!(rig.told(), ["LATE: alive - heartbeat overdue"]);
    rig.elapse(6.0);
    assert_eq!(rig.told(), ["DOWN: alive - no heartbeat for 675 s (ipv4 192.0.2.10)"]);
    assert!(rig.engine.view().hold_until.is_none());
    rig.htb(V4, "dead");
    assert_eq!(rig.told(), ["UP: dead - back after 12m 26s"]);
}

#[test]
fn declared_host_that_never_reports_is_told_once() {
    let mut rig = Rig::new(declared(&[("nas", Host::default())]));
    assert_eq!(rig.host("nas").state, State::Unknown);
    rig.elapse(64.0);
    assert_eq!(rig.told(), [""; 0]);
    rig.elapse(2.0);
    assert_eq!(rig.told(), ["DOWN: nas - never reported"]);
    rig.elapse(3600.0);
    assert_eq!(rig.told(), [""; 0]);
    rig.htb(V4, "nas");
    assert_eq!(rig.told(), ["UP: nas - back after 1h 1m"]);
}

#[test]
fn shutdown_is_down_at_once_and_boot_is_told_once() {
    let mut rig = Rig::new(Server::default());
    rig.htb(V4, "pc");
    rig.told();
    let msg = |kind, mid| Message::Msg(Msg { kind, text: "", mid: Some(mid) });
    rig.send(V4, "pc", None, msg(Kind::Shutdown, 1));
    assert_eq!(rig.told(), ["DOWN: pc - shutdown"]);
    let host = rig.host("pc");
    assert!(host.shutdown && host.state == State::Down);
    rig.elapse(600.0);
    assert_eq!(rig.told(), [""; 0]);
    rig.send(V4, "pc", None, msg(Kind::Boot, 2));
    rig.send(V4, "pc", None, msg(Kind::Boot, 2));
    assert_eq!(rig.told(), ["BOOT: pc - started"]);
    rig.htb(V4, "pc");
    assert_eq!(rig.told(), ["UP: pc - back after 10m"]);
    assert!(!rig.host("pc").shutdown);
}

#[test]
fn uptime_that_shrinks_is_a_reboot() {
    let mut rig = Rig::new(Server::default());
    let htb = |up| Message::Htb(Htb { up: Some(up), ..Htb::default() });
    for up in [5000, 5030, 5028] {
        rig.send(V4, "pc", None, htb(up));
    }
    rig.told();
    rig.elapse(60.0);
    rig.send(V4, "pc", None, htb(5030));
    rig.send(V4, "pc", None, htb(5090));
    rig.elapse(100.0);
    assert!(rig.told().iter().all(|t| !t.starts_with("BOOT")), "a late heartbeat is no reboot");
    rig.send(V4, "pc", None, htb(90));
    rig.told.retain(|t| t.starts_with("BOOT"));
    assert_eq!(rig.told(), ["BOOT: pc - rebooted (uptime 1m 30s)"]);
}

#[test]
fn one_off_message_resent_is_told_once_and_makes_no_heartbeat() {
    let mut rig = Rig::new(Server::default());
    for _ in 0..3 {
        let msg = Msg { kind: Kind::Text, text: "maintenance starting", mid: Some(9) };
        rig.send(V4, "pc", Some(1), Message::Msg(msg));
    }
    assert_eq!(rig.told(), ["MESSAGE: pc - maintenance starting"]);
    assert_eq!(rig.sent, 3);
    assert_eq!(rig.host("pc").state, State::Unknown);
    rig.elapse(600.0);
    assert_eq!(rig.told(), [""; 0]);
}

#[test]
fn u7_unknown_name_under_policy_known_becomes_a_ghost_until_accepted() {
    let config = Server { udp_policy: Some(UdpPolicy::Known), ghosts_max: 2, ..Server::default() };
    let mut rig = Rig::new(config);
    for name in ["a", "b", "c", "a"] {
        rig.htb(V4, name);
    }
    let view = rig.engine.view();
    assert_eq!(view.ghosts.iter().map(|g| &*g.name).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!((view.hosts.len, rig.sent), (0, 0));
    assert_eq!(view.counters.rejected["unknown_host"], 4);
    let accept = Command::Ghost { name: "a".into(), accept: true };
    rig.engine.handle(rig.now, Event::Command { id: 1, command: accept });
    rig.htb(V4, "a");
    assert_eq!(rig.host("a").state, State::Up);
    rig.restart(5);
    rig.htb(V4, "a");
    assert_eq!(rig.host("a").state, State::Up);
}

#[test]
fn limits_on_hosts_and_rates_refuse_and_count() {
    let mut rig = Rig::new(Server { hosts_max: 3, ..Server::default() });
    for i in 0..5 {
        rig.htb(V4, &format!("h{i}"));
    }
    let rejected = |rig: &mut Rig, code| rig.engine.view().counters.rejected.get(code).copied();
    assert_eq!(rejected(&mut rig, "hosts_full"), Some(2));
    for _ in 0..250 {
        rig.htb(V4, "h0");
    }
    assert_eq!(rejected(&mut rig, "host_rate"), Some(50));
    let mut rig = Rig::new(Server::default());
    for i in 0..150 {
        rig.htb(V4, &format!("h{i}"));
    }
    assert_eq!((rejected(&mut rig, "new_host_rate"), rig.engine.view().hosts.len), (Some(50), 100));
    rig.elapse(1.0);
    rig.htb(V4, "later");
    assert_eq!(rig.host("later").state, State::Up);
}

#[test]
fn host_with_addr_is_refused_from_elsewhere() {
    let net = Cidr { address: "192.0.2.0".parse().unwrap(), prefix: 24 };
    let mut rig = Rig::new(declared(&[("web1", Host { addr: vec![net], ..Host::default() })]));
    rig.htb("198.51.100.1:5", "web1");
    assert_eq!(rig.host("web1").state, State::Unknown);
    rig.htb(V4, "web1");
    assert_eq!(rig.host("web1").state, State::Up);
    assert_eq!(rig.engine.view().counters.rejected["address_not_allowed"], 1);
}

#[test]
fn timing_of_the_host_wins_over_what_it_says() {
    let host = Host { misses: Some(4), grace: Some(Duration::from_secs(1)), ..Host::default() };
    let fixed = Host { interval: Some(Duration::from_secs(10)), ..Host::default() };
    let mut rig = Rig::new(declared(&[("a", host), ("b", fixed)]));
    rig.htb(V4, "a");
    rig.htb(V4, "b");
    rig.told();
    rig.elapse(35.5);
    assert!(rig.told().contains(&"DOWN: b - no heartbeat for 35 s (ipv4 192.0.2.10)".to_owned()));
    rig.elapse(85.0);
    assert_eq!(rig.host("a").state, State::Late);
    rig.elapse(1.0);
    assert_eq!(rig.host("a").state, State::Down);
}

#[test]
fn absurd_interval_counts_as_the_maximum_and_is_told_once() {
    let mut rig = Rig::new(Server::default());
    let htb = || Message::Htb(Htb { interval: Some(86400.0), ..Htb::default() });
    for _ in 0..3 {
        rig.send(V4, "pc", None, htb());
    }
    let told = rig.told();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().any(|t| t.contains("interval_max")), "{told:?}");
    rig.elapse(7206.0);
    assert_eq!(rig.host("pc").state, State::Down);
}

#[test]
fn samples_are_kept_in_order_and_the_info_ones_survive_a_restart() {
    let mut rig = Rig::new(Server::default());
    rig.htb(V4, "pc");
    let leaves = [Leaf { path: "cpu_percent", value: LeafValue::Number(12.5) }];
    rig.plg("pc", "cpu_monitor", r#"{"cpu_percent":12.5}"#, &leaves, false);
    rig.elapse(1.0);
    rig.plg("pc", "cpu_monitor", r#"{"cpu_percent":13.5}"#, &leaves, false);
    rig.plg("pc", "os_info", r#"{"system":"Linux"}"#, &[], true);
    rig.plg("pc", "os_info", r#"{"system":"Linux"}"#, &[], true);
    let host = rig.host("pc");
    assert_eq!(host.gauges.cpu, Some(12.5));
    assert_eq!(host.plugin("cpu_monitor").unwrap().samples.len(), 2);
    assert_eq!(host.plugin("os_info").unwrap().samples.len(), 1);
    rig.elapse(1.0);
    rig.restart(1);
    let host = rig.host("pc");
    assert_eq!(&*host.plugin("os_info").unwrap().latest().unwrap().data, r#"{"system":"Linux"}"#);
    assert!(host.plugin("cpu_monitor").is_none());
}

#[test]
fn plugins_and_metrics_over_their_limits_are_refused() {
    let mut rig = Rig::new(Server::default());
    for i in 0..=limits::PLUGINS_PER_HOST {
        rig.plg("pc", &format!("p{i}"), "{}", &[], false);
    }
    assert_eq!(rig.engine.view().counters.rejected["plugins_full"], 1);
    let many = vec![Leaf { path: "a", value: LeafValue::Null }; limits::METRICS_PER_HOST];
    rig.plg("pc", "p1", "{}", &many, false);
    rig.elapse(10.0);
    rig.plg("pc", "p2", "{}", &many[..1], false);
    assert_eq!(rig.engine.view().counters.rejected["metrics_full"], 1);
}

#[test]
fn drop_leaves_a_tombstone_and_forgets_the_saved_row() {
    let mut rig = Rig::new(Server::default());
    rig.htb(V4, "pc");
    rig.elapse(1.0);
    let id = rig.host("pc").id;
    let command = Command::Drop { host: "pc".into() };
    rig.engine.handle(rig.now, Event::Command { id: 1, command });
    rig.drain();
    let view = rig.engine.view();
    assert!(view.host("pc").is_none());
    assert_eq!(view.gone.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [id]);
    assert!(matches!(rig.store.last(), Some(Saved::Event { .. })));
    assert!(rig.store.iter().any(|row| matches!(row, Saved::HostGone { .. })));
}

#[test]
fn s8_wall_clock_step_is_told_and_moves_no_deadline() {
    let mut rig = Rig::new(Server::default());
    rig.htb(V4, "pc");
    rig.told();
    rig.now.wall = Wall::from_secs(-3600);
    rig.elapse(30.0);
    assert!(rig.told()[0].starts_with("the server's clock stepped back by"));
    rig.htb(V4, "pc");
    rig.elapse(34.0);
    assert_eq!(rig.host("pc").state, State::Up);
}

#[test]
fn view_is_shared_where_nothing_changed() {
    let mut rig = Rig::new(Server::default());
    rig.htb(V4, "a");
    rig.htb(V4, "b");
    let before = rig.engine.view();
    assert!(!rig.engine.dirty());
    rig.htb(V4, "a");
    assert!(rig.engine.dirty());
    let after = rig.engine.view();
    assert!(Arc::ptr_eq(before.host("b").unwrap(), after.host("b").unwrap()));
    assert!(!Arc::ptr_eq(before.host("a").unwrap(), after.host("a").unwrap()));
    assert_eq!(after.hosts.changed_since(before.ver).count(), 1);
    assert!(after.ver > before.ver);
}

#[test]
fn view_worked_for_ahead_in_steps_says_the_same() {
    let views = [0, 3].map(|step| {
        let mut rig = Rig::new(Server::default());
        for host in 0..10 {
            rig.htb(V4, &format!("h{host}"));
        }
        let mut steps = 0;
        while step > 0 && !rig.engine.freshen(step) {
            steps += 1;
        }
        assert_eq!(steps, step);
        let view = rig.engine.view();
        let seen = |host: &view::Host| (host.name.clone(), host.last_seen, host.fast_ver > 0);
        view.hosts.iter().map(|host| seen(host)).collect::<Vec<_>>()
    });
    assert_eq!(views[0], views[1]);
    assert!(views[0].iter().all(|(_, seen, _)| seen.is_some()));
}

#[test]
fn reload_declares_describes_and_forgets_what_never_came() {
    let mut rig = Rig::new(declared(&[("gone", Host::default()), ("kept", Host::default())]));
    rig.htb(V4, "kept");
    let kept = Host { watch: false, tags: vec!["web".into()], ..Host::default() };
    let config = Arc::new(declared(&[("kept", kept), ("fresh", Host::default())]));
    rig.engine.handle(rig.now, Event::Reload(config));
    let view = rig.engine.view();
    assert!(view.host("gone").is_none() && view.host("fresh").is_some());
    let kept = view.host("kept").unwrap();
    assert!(!kept.watch && &*kept.tags[0] == "web" && kept.state == State::Up);
}

#[test]
fn accepted_datagram_is_journalled_after_its_ack_and_a_refused_one_is_not() {
    let mut engine = Engine::new(Server::default().into(), 1, Now::default());
    let effects = |engine: &mut Engine, json: &str, decoder: &mut Decoder| {
        let path = Path { from: V4.parse().unwrap(), to: None };
        let decoded = decoder.decode(json.as_bytes());
        engine.handle(Now::default(), Event::Datagram { path, len: json.len(), decoded });
        std::iter::from_fn(|| engine.poll_effect())
            .filter_map(|effect| match effect {
                Effect::Send { .. } => Some("ack".to_owned()),
                Effect::Journal(Record { entry: Entry::Message { from, json }, .. }) => {
                    Some(format!("{from} {json}"))
                }
                Effect::Journal(Record { entry: Entry::Event(event), .. }) => {
                    Some(event.kind.as_str().to_owned())
                }
                _ => None,
            })
            .collect::<Vec<String>>()
    };
    let mut decoder = Decoder::new();
    let json = r#"{"ID":"HTB","name":"web1","rtt":NaN}"#;
    let got = effects(&mut engine, json, &mut decoder);
    let line = format!(r#"{V4} {{"ID":"HTB","name":"web1","rtt":null}}"#);
    assert_eq!(got, ["ack", &line, "state"]);
    assert_eq!(effects(&mut engine, r#"{"ID":"HTB"}"#, &mut decoder), [""; 0]);
    let off = Server { journal_enabled: false, ..Server::default() };
    engine.handle(Now::default(), Event::Reload(off.into()));
    assert_eq!(effects(&mut engine, r#"{"ID":"HTB","name":"web2"}"#, &mut decoder), ["ack"]);
}

#[test]
fn worker_tells_through_the_feed() {
    let mut rig = Rig::new(Server::default());
    let (kind, level) = (EventKind::Journal, Level::Warning);
    rig.engine.handle(rig.now, Event::Worker { kind, level, text: "full".to_owned() });
    rig.drain();
    assert_eq!(rig.told(), ["full"]);
    assert!(rig.journal.is_empty(), "the journal does not tell of itself");
}

#[test]
fn metric_at_ok_is_shown_with_its_value_and_changes_no_row() {
    let mut rig = Rig::new(crate::alert::fixture::server(
        "thresholds: {cpu_monitor: {cpu_percent: {critical: 90}}}",
    ));
    rig.htb(V4, "pc");
    for value in [10.0, 20.0] {
        let before = rig.engine.view();
        let leaves = [Leaf { path: "cpu_percent", value: LeafValue::Number(value) }];
        let data = format!("{{\"cpu_percent\":{value}}}");
        rig.plg("pc", "cpu_monitor", &data, &leaves, false);
        let after = rig.engine.view();
        let host = after.host("pc").unwrap();
        let shown = |alert: &super::view::Alert| (alert.level, alert.value.clone());
        let want = (crate::alert::Level::Ok, super::view::Value::Number(value));
        assert_eq!(host.alert_list.iter().map(shown).collect::<Vec<_>>(), [want]);
        assert_eq!(host.slow_ver, before.host("pc").unwrap().slow_ver);
    }
}

fn acknowledge(rig: &mut Rig, id: &str) {
    let body = serde_json::json!({ "ids": [id], "reason": "seen" }).to_string();
    let request = crate::calm::AckRequest::parse(body.as_bytes()).unwrap();
    let command = Command::Acknowledge { request, by: None };
    rig.engine.handle(rig.now, Event::Command { id: 1, command });
    rig.drain();
}

#[test]
fn acknowledged_alert_is_shown_as_such_again_after_a_restart() {
    let mut rig = Rig::new(crate::alert::fixture::server(
        "thresholds: {cpu_monitor: {cpu_percent: {critical: 90}}}",
    ));
    rig.htb(V4, "pc");
    let leaves = [Leaf { path: "cpu_percent", value: LeafValue::Number(95.0) }];
    rig.plg("pc", "cpu_monitor", r#"{"cpu_percent":95}"#, &leaves, false);
    assert_eq!(rig.host("pc").alerts.critical, 1);
    assert_eq!(rig.host("pc").worst_alert().map(|a| &*a.path), Some("cpu_monitor.cpu_percent"));
    acknowledge(&mut rig, "pc/cpu_monitor.cpu_percent");
    for _ in 0..2 {
        let host = rig.host("pc");
        assert_eq!((host.alerts.critical, host.flags() & 4), (0, 4));
        assert_eq!(host.alert_list[0].acknowledged.as_ref().map(|a| &*a.reason), Some("seen"));
        assert_eq!(host.worst_alert(), None);
        rig.elapse(2.0);
        rig.restart(1);
    }
}

#[test]
fn acknowledgement_of_an_outage_ends_with_it() {
    let mut rig = Rig::new(Server::default());
    rig.htb(V4, "pc");
    rig.elapse(200.0);
    assert_eq!(rig.host("pc").state, State::Down);
    assert_eq!(rig.host("pc").flags() & 4, 0);
    let before = rig.host("pc").slow_ver;
    acknowledge(&mut rig, "pc/host");
    assert_eq!(&*rig.engine.view().acknowledgements[0].alert, "pc/host");
    assert_eq!(rig.host("pc").flags() & 4, 4, "its row says so");
    assert!(rig.host("pc").slow_ver > before, "every viewer is told");
    rig.elapse(2.0);
    rig.restart(1);
    assert_eq!(rig.host("pc").flags() & 4, 4);
    rig.htb(V4, "pc");
    assert!(rig.engine.view().acknowledgements.is_empty());
    assert_eq!(rig.host("pc").flags() & 4, 0);
}

#[test]
fn numbers_are_recorded_with_shared_shapes_and_nothing_where_nobody_records() {
    let mut rig = Rig::new(Server::default());
    let leaf = |path, n| Leaf { path, value: LeafValue::Number(n) };
    let leaves = [leaf("cpu_percent", 1.5), Leaf { path: "x", value: LeafValue::Text("t") }];
    rig.plg("a", "cpu_monitor", "{}", &leaves, false);
    rig.plg("b", "cpu_monitor", "{}", &leaves, false);
    rig.plg("b", "os_info", "{}", &[leaf("cpu_count", 4.0)], true);
    let plg = Plg {
        plugin: "cpu_monitor",
        data: "{}",
        leaves: &leaves,
        every: Some(60),
        info: false,
        age_ms: Some(90_000),
        part: None,
    };
    rig.send(V4, "a", None, Message::Plg(plg));
    let htb = Htb { interval: Some(30.0), rtt: Some(4.25), ..Htb::default() };
    rig.send(V6, "a", None, Message::Htb(htb));
    let now = rig.now.wall;
    let samples: Vec<_> = rig
        .recorded
        .iter()
        .filter_map(|r| match r {
            Recorded::Sample(numbers) => Some(numbers.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(samples.len(), 3, "an info plugin measures nothing");
    assert!(Arc::ptr_eq(&samples[0].shape, &samples[1].shape));
    assert_eq!(samples[0].shape.leaves(), [Box::from("cpu_percent")]);
    assert_eq!((&*samples[0].values, samples[0].late, samples[0].at), (&[1.5][..], false, now));
    assert_eq!((samples[2].late, samples[2].every), (true, Some(60)));
    assert_eq!(samples[2].at, now - Duration::from_secs(90));
    let trip = rig.recorded.iter().find_map(|r| match r {
        Recorded::RoundTrip(trip) => Some(trip),
        _ => None,
    });
    let trip = trip.unwrap();
    assert_eq!((&*trip.host, trip.family, trip.ms), ("a", view::Family::V6, 4.25));

    let mut silent = Rig::new(Server { history_enabled: false, ..Server::default() });
    silent.plg("a", "cpu_monitor", "{}", &leaves, false);
    silent.htb(V4, "a");
    assert_eq!(silent.recorded, []);
}

#[test]
fn standings_are_recorded_when_they_change() {
    let declared = [("gw".to_owned(), Host::default())].into();
    let mut rig = Rig::new(Server { hosts: declared, ..Server::default() });
    rig.htb(V4, "pc");
    rig.elapse(20.0);
    rig.htb(V4, "pc");
    rig.elapse(120.0);
    rig.htb(V4, "pc");
    rig.engine
        .handle(rig.now, Event::Command { id: 1, command: Command::Drop { host: "pc".into() } });
    rig.drain();
    let start = rig.now.wall - Duration::from_secs(140);
    let told: Vec<String> = rig
        .recorded
        .iter()
        .map(|r| match r {
            Recorded::Standing { host, at, standing } => {
                format!("{host} {standing:?} {}", at.since(start).as_secs())
            }
            Recorded::Gone { host } => format!("{host} gone"),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(told, ["gw Unknown 0", "pc Up 0", "pc Down 85", "pc Up 140", "pc gone"]);
}
