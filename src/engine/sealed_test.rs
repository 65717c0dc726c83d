//! Sealed datagrams through the real decoder and engine: sessions, what counts, what is answered, commands.

use super::view::{CommandState, EventKind, Family};
use super::*;
use crate::wire::{
    self, Answered, Decoder, Header, Key, KeyId, Keyring, Order, SealKind, Slot, seal,
};
use std::net::SocketAddr;

const SECRET: [u8; 32] = [0x5a; 32];
const AID: u64 = 0x1122_3344_5566_7788;

fn key() -> Key {
    Key::new(KeyId(std::array::from_fn(|i| 0xa0 + i as u8)), std::array::from_fn(|i| i as u8))
}

fn ring(keys: &[(&str, Key)]) -> Arc<Keyring> {
    let mut ring = Keyring::default();
    for (host, key) in keys {
        ring.add(Slot { key: key.clone(), host: (*host).into(), created: 1.0 }).unwrap();
    }
    Arc::new(ring)
}

/// An engine with one key of `web1`, and an agent that is as simple as can be.
struct Pair {
    engine: Engine,
    ring: Arc<Keyring>,
    decoder: Decoder,
    now: Now,
    from: SocketAddr,
    key: Key,
    aid: u64,
    sid: u64,
    seq: u64,
    effects: Vec<Effect>,
}

impl Pair {
    fn new() -> Pair {
        Pair::with(server::Server::default())
    }

    fn with(config: server::Server) -> Pair {
        let now =
            Now { mono: Mono::from_secs(100), wall: crate::time::Wall::from_secs(1_763_000_000) };
        let mut engine = Engine::new(Arc::new(config), 1, now);
        engine.set_session_secret(SECRET);
        let ring = ring(&[("web1", key())]);
        engine.handle(now, Event::Keys(ring.clone()));
        let from = "192.0.2.1:4000".parse().unwrap();
        let decoder = Decoder::new();
        let effects = Vec::new();
        let mut pair = Pair {
            engine,
            ring,
            decoder,
            now,
            from,
            key: key(),
            aid: AID,
            sid: 0,
            seq: 0,
            effects,
        };
        pair.drain();
        pair.effects.clear();
        pair
    }

    fn drain(&mut self) {
        while let Some(effect) = self.engine.poll_effect() {
            self.effects.push(effect);
        }
    }

    fn path(&self) -> Path {
        Path { from: self.from, to: None }
    }

    fn seal(&mut self, kind: SealKind, text: &str) -> Vec<u8> {
        self.seq += 1;
        let (sid, aid, seq) = (self.sid, self.aid, self.seq);
        let sid = if kind == SealKind::Hello { 0 } else { sid };
        let header = Header { key_id: self.key.id(), sid, aid, kind, seq, deflated: false };
        let mut bytes = Vec::new();
        seal::seal(&self.key, header, text.as_bytes(), &mut bytes);
        bytes
    }

    /// Hands a datagram to the server; the replies.
    fn send(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let path = self.path();
        let opened = self.decoder.open(bytes, &self.ring);
        self.engine.handle(self.now, Event::Sealed { path, len: bytes.len(), opened });
        let first = self.effects.len();
        self.drain();
        let replies = self.effects[first..].iter().filter_map(|effect| match effect {
            Effect::Send { path: to, reply } => {
                assert_eq!(*to, path);
                assert!(reply.as_bytes().len() <= bytes.len());
                Some(reply.as_bytes().to_vec())
            }
            _ => None,
        });
        replies.collect()
    }

    fn say(&mut self, text: &str) -> Option<Answered> {
        let bytes = self.seal(SealKind::Data, &format!("{text:<64}"));
        let replies = self.send(&bytes);
        replies.first().map(|reply| self.answer(reply))
    }

    fn read(&self, bytes: &[u8]) -> Order {
        let header = Header::parse(bytes).unwrap();
        assert_eq!((header.kind, header.aid, header.sid), (SealKind::Answer, self.aid, self.sid));
        let session = wire::SessionKey::derive(&self.key, header.sid, header.aid);
        wire::open_order(&session, &header, bytes, &mut Vec::new()).unwrap().into_inner()
    }

    fn answer(&self, bytes: &[u8]) -> Answered {
        match self.read(bytes) {
            Order::Ack(answer) => answer,
            other => panic!("{other:?}"),
        }
    }

    fn greet(&mut self) {
        let hello = self.seal(SealKind::Hello, "");
        let replies = self.send(&hello);
        let welcome = Header::parse(&replies[0]).unwrap();
        assert_eq!((welcome.kind, welcome.seq), (SealKind::Welcome, self.seq));
        self.sid = welcome.sid;
    }

    /// Greets and sends a heartbeat.
    fn begin(&mut self) {
        self.greet();
        let ack = self.say(r#"{"ID":"HTB","interval":30}"#);
        assert_eq!(ack.map(|ack| ack.ack), Some(self.seq));
        self.effects.clear();
    }

    fn pass(&mut self, secs: u64) {
        for _ in 0..secs {
            self.now = self.now + Duration::from_secs(1);
            self.engine.handle(self.now, Event::Tick);
            self.drain();
        }
    }

    fn events(&self, kind: EventKind) -> Vec<String> {
        let events = self.effects.iter().filter_map(|effect| match effect {
            Effect::Publish(event) if event.kind == kind => Some(event.text.to_string()),
            _ => None,
        });
        events.collect()
    }

    /// What was ordered since the effects were cleared.
    fn orders(&self) -> Vec<Order> {
        let orders = self.effects.iter().filter_map(|effect| match effect {
            Effect::Order { bytes, .. } => Some(self.read(bytes)),
            _ => None,
        });
        orders.collect()
    }

    fn run(&mut self, host: &str, wish: Wish) -> Outcome {
        let command = Command::Run { host: host.to_owned(), wish };
        self.engine.handle(self.now, Event::Command { id: 1, command });
        self.drain();
        let outcome = self.effects.iter().rev().find_map(|effect| match effect {
            Effect::Answer { outcome, .. } => Some(outcome.clone()),
            _ => None,
        });
        outcome.unwrap()
    }

    fn command(&mut self) -> view::CommandShown {
        self.engine.view().host("web1").unwrap().commands.last().unwrap().clone()
    }

    /// Tells the engine that everything is on disk.
    fn secure(&mut self, saved: bool) -> Vec<Answered> {
        let tokens: Vec<u64> = self
            .effects
            .drain(..)
            .filter_map(|effect| match effect {
                Effect::Secure { token } => Some(token),
                _ => None,
            })
            .collect();
        for token in tokens {
            self.engine.handle(self.now, Event::Secured { token, saved });
        }
        self.drain();
        let replies = self.effects.iter().filter_map(|effect| match effect {
            Effect::Send { reply, .. } => Some(self.answer(reply.as_bytes())),
            _ => None,
        });
        replies.collect()
    }
}

fn wish(ttl: u32) -> Wish {
    Wish { name: "restart-web".to_owned(), args: vec!["now".to_owned()], ttl, by: None }
}

#[test]
fn c3_vectors_are_answered_byte_for_byte() {
    let bytes = |hex: &str| -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
    };
    let hello = bytes(
        "f1480100a0a1a2a3a4a5a6a70000000000000000112233445566778840000000000000014471c4b355f155e5\
         9376b55639be7322",
    );
    let welcome = bytes(
        "f1480100a0a1a2a3a4a5a6a74769e78d5627d6111122334455667788c00000000000000171817e1c6d4b3d0e\
         e24ca6e85d31be89",
    );
    let htb = bytes(
        "f1480100a0a1a2a3a4a5a6a74769e78d5627d61111223344556677880000000000000002bc67d21c232d2caa\
         5b0b165515853662c246bf3f0b0dd77c1be4fce9bf7b03a65369701b3e914e4de2312ce81cba92106c6ec227\
         cc1dd8b17ef370c09a45d0770211d6ca214fd86b2ffc88766027d5cb",
    );
    let ack = bytes(
        "f1480100a0a1a2a3a4a5a6a74769e78d5627d611112233445566778880000000000000017af39765d8707f84\
         833d5508e6b2761ff7d8931eb812177608f9812e13574f24e4857f95",
    );
    let mut pair = Pair::new();
    assert_eq!(pair.send(&hello), [welcome]);
    assert_eq!(pair.send(&htb), [ack]);
    assert_eq!(pair.send(&htb), [[0u8; 0]; 0], "a replay is not answered");
    let view = pair.engine.view();
    let host = view.host("web1").unwrap();
    assert_eq!((host.state, host.sealed, host.declared), (view::State::Up, true, true));
    assert_eq!(host.flags() & 16, 16);
    assert_eq!(view.counters.rejected.get("replayed"), Some(&1));
}

#[test]
fn u1_plain_never_updates_keyed_host() {
    let mut pair = Pair::new();
    pair.begin();
    let before = format!("{:?}", pair.engine.view().host("web1"));
    let mut prng = crate::prng::Prng::new(5);
    let mut decoder = Decoder::new();
    for n in 0..100_000u32 {
        let mut bytes = format!(
            r#"{{"ID":"HTB","name":"web1","interval":{},"seq":{n},"up":{}}}"#,
            prng.below(90_000),
            prng.below(1 << 20)
        )
        .into_bytes();
        if n % 3 == 0 {
            let at = 30 + prng.below(bytes.len() as u64 - 30) as usize;
            bytes[at] = prng.next_u64() as u8;
        }
        let decoded = decoder.decode(&bytes);
        let path = Path { from: "203.0.113.5:1".parse().unwrap(), to: None };
        pair.engine.handle(pair.now, Event::Datagram { path, len: bytes.len(), decoded });
        while let Some(effect) = pair.engine.poll_effect() {
            assert!(!matches!(effect, Effect::Send { .. }), "nothing is answered");
            pair.effects.push(effect);
        }
    }
    assert_eq!(format!("{:?}", pair.engine.view().host("web1")), before);
    assert_eq!(pair.events(EventKind::Security).len(), 1);
    let refused = pair.engine.view().counters.rejected["plain_for_keyed"];
    assert!(refused > 60_000, "{refused}");
}

#[test]
fn u2_nothing_from_before_a_restart_or_a_reboot_counts() {
    let mut pair = Pair::new();
    pair.greet();
    let old: Vec<Vec<u8>> =
        (0..20).map(|_| pair.seal(SealKind::Data, r#"{"ID":"HTB"}  "#)).collect();
    for bytes in &old[..10] {
        pair.send(bytes);
    }
    let accepted = |pair: &mut Pair| pair.engine.view().host("web1").unwrap().last_seen;
    // The agent reboots; what its old life said is worth offers only.
    pair.aid += 1;
    pair.begin();
    pair.pass(3);
    let seen = accepted(&mut pair);
    for bytes in &old {
        for reply in pair.send(bytes) {
            assert_eq!(Header::parse(&reply).unwrap().kind, SealKind::Welcome);
        }
    }
    assert_eq!(accepted(&mut pair), seen);
    // The server restarts with another secret.
    let fresh: Vec<Vec<u8>> =
        (0..5).map(|_| pair.seal(SealKind::Data, r#"{"ID":"HTB"}"#)).collect();
    let mut restarted = Pair::new();
    restarted.engine.set_session_secret([7; 32]);
    restarted.pass(1);
    for bytes in old.iter().chain(&fresh) {
        for reply in restarted.send(bytes) {
            assert_eq!(Header::parse(&reply).unwrap().kind, SealKind::Welcome);
        }
    }
    assert_eq!(accepted(&mut restarted), None);
}

#[test]
fn u3_sealed_replies_are_never_longer_and_garbage_has_none() {
    let mut pair = Pair::new();
    pair.begin();
    // Not padded: there is no room for an answer, so there is none.
    let short = pair.seal(SealKind::Data, r#"{"ID":"HTB"}"#);
    assert_eq!(pair.send(&short), [[0u8; 0]; 0]);
    let mut prng = crate::prng::Prng::new(9);
    for _ in 0..2_000 {
        let mut bytes = pair.seal(SealKind::Data, &format!("{:<64}", r#"{"ID":"HTB"}"#));
        let at = prng.below(bytes.len() as u64) as usize;
        bytes[at] ^= 1 << prng.below(8);
        if prng.chance(0.2) {
            bytes.truncate(at);
        }
        // A version, magic, key or tag that is wrong is never answered.
        assert_eq!(pair.send(&bytes), [[0u8; 0]; 0]);
    }
    let bad_seals = pair.events(EventKind::Security);
    assert_eq!(bad_seals, ["bad seal for web1 from 192.0.2.1"]);
}

#[test]
fn c10_policy_follows_the_keys_until_it_is_set() {
    let mut pair = Pair::new();
    assert_eq!(pair.engine.policy(), server::UdpPolicy::Known);
    pair.engine.handle(pair.now, Event::Keys(ring(&[])));
    assert_eq!(pair.engine.policy(), server::UdpPolicy::Open);
    assert!(pair.engine.view().host("web1").is_none(), "was there for its key alone");
    let config = server::Server { udp_policy: Some(server::UdpPolicy::Open), ..Default::default() };
    let mut pair = Pair::with(config);
    assert_eq!(pair.engine.policy(), server::UdpPolicy::Open);
    pair.begin();
    pair.engine.handle(pair.now, Event::Keys(ring(&[])));
    let view = pair.engine.view();
    let host = view.host("web1").unwrap();
    assert!(!host.sealed && !host.declared, "a host that was heard stays");
}

#[test]
fn c10_rotation_with_two_keys_tells_the_first_use_of_each() {
    let mut pair = Pair::new();
    pair.begin();
    let new = Key::new(KeyId([9; 8]), [9; 32]);
    pair.ring = ring(&[("web1", key()), ("web1", new.clone())]);
    pair.engine.handle(pair.now, Event::Keys(pair.ring.clone()));
    // The session of the old key goes on.
    assert!(pair.say(r#"{"ID":"HTB"}"#).is_some());
    (pair.key, pair.aid) = (new, 77);
    pair.begin_told();
    let told = pair.events(EventKind::Key);
    assert_eq!(told, ["web1: key 0909090909090909 is used for the first time"]);
    let keys = pair.engine.view().keys.clone();
    assert!(keys.iter().all(|key| key.last_used().is_some()));
    assert_eq!(keys.len(), 2);
}

impl Pair {
    fn begin_told(&mut self) {
        self.greet();
        assert!(self.say(r#"{"ID":"HTB","interval":30}"#).is_some());
    }
}

#[test]
fn u12_confirmed_address_needs_two_round_trips_from_it() {
    let mut pair = Pair::new();
    pair.begin();
    let confirmed = |pair: &mut Pair| {
        pair.engine.view().host("web1").unwrap().confirmed(Family::V4).map(|a| a.to_string())
    };
    let mut heard = 1;
    for round in 0..3 {
        pair.pass(30);
        assert!(pair.say(&format!(r#"{{"ID":"HTB","interval":30,"ack":{heard}}}"#)).is_some());
        heard += 1;
        assert_eq!(confirmed(&mut pair).is_some(), round > 0, "{round}");
    }
    // Copied on its way and sent on from elsewhere: taken, shown, and not confirmed.
    pair.from = "198.51.100.66:1".parse().unwrap();
    for _ in 0..5 {
        pair.pass(30);
        assert!(pair.say(&format!(r#"{{"ID":"HTB","interval":30,"ack":{heard}}}"#)).is_some());
    }
    assert_eq!(confirmed(&mut pair).as_deref(), Some("192.0.2.1"));
    let view = pair.engine.view();
    assert_eq!(view.host("web1").unwrap().address().unwrap().to_string(), "198.51.100.66");
}

#[test]
fn u13_two_agents_with_one_key_are_told() {
    let mut pair = Pair::new();
    for turn in 0..6 {
        pair.aid = 100 + turn % 2;
        pair.pass(20);
        pair.begin_told();
    }
    assert_eq!(pair.events(EventKind::Security), ["two agents share key of web1"]);
}

#[test]
fn u10_command_is_accepted_on_disk_before_the_agent_hears_so() {
    let mut pair = Pair::new();
    pair.begin();
    assert_eq!(pair.run("web1", wish(300)), Outcome::Queued(1));
    let [Order::Cmd(cmd)] = &pair.orders()[..] else { panic!("{:?}", pair.effects) };
    assert_eq!((cmd.cid, &*cmd.name, cmd.ttl), (1, "restart-web", 300));
    assert_eq!(pair.command().state, CommandState::Sent);
    pair.effects.clear();
    assert_eq!(pair.say(r#"{"ID":"RES","cid":1,"st":"accepted"}"#), None, "not on disk yet");
    let persisted = |effect: &Effect| matches!(effect, Effect::Persist(_));
    let at = pair.effects.iter().position(|e| matches!(e, Effect::Secure { .. })).unwrap();
    assert!(pair.effects[..at].iter().any(persisted));
    assert_eq!(pair.secure(false), [], "the disk did not take it");
    assert_eq!(pair.say(r#"{"ID":"RES","cid":1,"st":"accepted"}"#), None);
    let seq = pair.seq;
    assert_eq!(pair.secure(true), [Answered { ack: seq, acc: Some(1), want_info: false }]);
    // From now on it is never offered again, and every repetition hears the same.
    pair.effects.clear();
    pair.pass(400);
    assert_eq!(pair.orders(), []);
    assert_eq!(pair.command().state, CommandState::Accepted);
    let again = pair.say(r#"{"ID":"RES","cid":1,"st":"accepted"}"#).unwrap();
    assert_eq!(again.acc, Some(1));
    pair.effects.clear();
    assert_eq!(pair.say(r#"{"ID":"RES","cid":1,"st":"done","rc":-9,"out":"x","ms":5}"#), None);
    let told = pair.events(EventKind::Command);
    assert_eq!(told, ["web1: command 1 restart-web was ended by signal 9"]);
    assert_eq!(pair.secure(true).len(), 1);
    let command = pair.command();
    assert_eq!(
        (command.state, command.signal, &*command.output),
        (CommandState::Done, Some(9), "x")
    );
    let late = pair.say(r#"{"ID":"RES","cid":1,"st":"accepted"}"#).unwrap();
    assert_eq!(late.acc, None, "what is over is never begun");
    let unknown = pair.say(r#"{"ID":"RES","cid":99,"st":"accepted"}"#).unwrap();
    assert_eq!(unknown.acc, None);
}

#[test]
fn c7_command_is_offered_again_until_it_expires() {
    let mut pair = Pair::new();
    pair.begin();
    pair.run("web1", wish(60));
    let mut offers = vec![0u64];
    pair.effects.clear();
    for second in 1..=70 {
        pair.pass(1);
        offers.extend(pair.orders().iter().map(|_| second));
        pair.effects.retain(|effect| !matches!(effect, Effect::Order { .. }));
    }
    assert_eq!(offers, [0, 2, 6, 14, 30]);
    assert_eq!(pair.command().state, CommandState::Expired);
    let told = pair.events(EventKind::Command);
    assert_eq!(told, ["web1: command 1 restart-web expired: the agent did not take it"]);
}

#[test]
fn c7_command_waits_for_a_session_and_leaves_with_the_first_fresh_datagram() {
    let mut pair = Pair::new();
    assert_eq!(pair.run("web1", wish(300)), Outcome::Queued(1));
    assert_eq!(pair.command().state, CommandState::Queued);
    pair.greet();
    assert_eq!(pair.orders(), [], "a greeting proves nothing");
    pair.say(r#"{"ID":"HTB"}"#);
    assert_eq!(pair.orders().len(), 1);
    // Not with every datagram that follows at once.
    pair.say(r#"{"ID":"HTB"}"#);
    assert_eq!(pair.orders().len(), 1);
}

#[test]
fn c7_queue_is_bounded_and_needs_a_key() {
    let mut pair = Pair::with(server::Server {
        udp_policy: Some(server::UdpPolicy::Open),
        ..Default::default()
    });
    let mut decoder = Decoder::new();
    let bytes = br#"{"ID":"HTB","name":"plain"}"#;
    let decoded = decoder.decode(bytes);
    let path = pair.path();
    pair.engine.handle(pair.now, Event::Datagram { path, len: bytes.len(), decoded });
    assert_eq!(pair.run("plain", wish(300)), Outcome::NoKey);
    assert_eq!(pair.run("nobody", wish(300)), Outcome::NoSuchHost);
    assert!(matches!(pair.run("web1", wish(0)), Outcome::Refused(_)));
    let bad = Wish { args: vec!["a b".to_owned()], ..wish(5) };
    assert!(matches!(pair.run("web1", bad), Outcome::Refused(_)));
    for n in 1..=limits::CMD_QUEUE as u64 {
        assert_eq!(pair.run("web1", wish(300)), Outcome::Queued(n));
    }
    assert_eq!(pair.run("web1", wish(300)), Outcome::QueueFull);
    pair.pass(301);
    for n in 33..=100 {
        assert_eq!(pair.run("web1", wish(1)), Outcome::Queued(n));
        pair.pass(2);
    }
    let view = pair.engine.view();
    assert_eq!(view.host("web1").unwrap().commands.len(), limits::CMD_KEPT);
}

#[test]
fn c7_queue_survives_a_restart_and_no_number_is_given_twice() {
    let mut pair = Pair::new();
    pair.begin_told();
    for _ in 0..3 {
        pair.run("web1", wish(3000));
    }
    pair.say(r#"{"ID":"RES","cid":1,"st":"accepted"}"#);
    pair.engine.handle(pair.now, Event::Stop);
    pair.drain();
    let mut rows = BTreeMap::new();
    for saved in pair.effects.drain(..).filter_map(|effect| match effect {
        Effect::Persist(saved) => Some(saved),
        _ => None,
    }) {
        for saved in saved {
            match &saved {
                Saved::Host { name, .. } => drop(rows.insert(format!("a{name}"), saved)),
                Saved::Part { key, .. } => drop(rows.insert(format!("b{key}"), saved)),
                _ => {}
            }
        }
    }
    let mut engine = Engine::new(Arc::new(server::Server::default()), 2, pair.now);
    engine.set_session_secret([1; 32]);
    rows.into_values().for_each(|row| engine.restore(pair.now, row));
    engine.handle(pair.now, Event::Keys(pair.ring.clone()));
    let states: Vec<_> =
        engine.view().host("web1").unwrap().commands.iter().map(|c| (c.id, c.state)).collect();
    let (accepted, sent) = (CommandState::Accepted, CommandState::Sent);
    assert_eq!(states, [(1, accepted), (2, sent), (3, CommandState::Queued)]);
    assert!(engine.view().keys[0].last_used().is_some());
    pair.engine = engine;
    pair.effects.clear();
    pair.sid = 0;
    pair.begin();
    // The accepted one is left alone; the next goes out.
    pair.pass(3);
    let cids: Vec<u64> = pair
        .orders()
        .iter()
        .filter_map(|order| match order {
            Order::Cmd(cmd) => Some(cmd.cid),
            _ => None,
        })
        .collect();
    assert!(!cids.is_empty() && cids.iter().all(|cid| *cid == 2), "{cids:?}");
    assert_eq!(pair.engine.view().host("web1").unwrap().commands[1].state, sent);
    assert_eq!(pair.run("web1", wish(5)), Outcome::Queued(4));
}

#[test]
fn upgrade_travels_as_an_update_with_its_particulars() {
    let mut pair = Pair::new();
    pair.begin();
    let package = Package { version: "0.2.0".to_owned(), sha256: "ab".repeat(32), size: 700_000 };
    let command = Command::Upgrade { host: "web1".to_owned(), package, by: Some("ann".to_owned()) };
    pair.engine.handle(pair.now, Event::Command { id: 1, command });
    pair.drain();
    let [Order::Upd(upd)] = &pair.orders()[..] else { panic!("{:?}", pair.effects) };
    assert_eq!((upd.cid, &*upd.version, upd.size), (1, "0.2.0", 700_000));
    assert_eq!(pair.events(EventKind::Update), ["web1: command 1 upgrade was asked for by ann"]);
}

#[test]
fn sealed_maintenance_of_the_machine_itself_is_kept_and_ended() {
    let mut pair = Pair::new();
    pair.begin();
    let start = r#"{"ID":"MSG","kind":"maintenance","s":1800,"text":"disk","mid":5}"#;
    assert!(pair.say(start).is_some());
    let in_maintenance = |pair: &mut Pair| pair.engine.view().host("web1").unwrap().maintenance;
    assert!(in_maintenance(&mut pair));
    assert!(pair.say(r#"{"ID":"MSG","kind":"maintenance","s":0,"mid":6}"#).is_some());
    assert!(!in_maintenance(&mut pair));
    // A late repetition of the first is known by its number.
    assert!(pair.say(start).is_some());
    assert!(!in_maintenance(&mut pair));
}

#[test]
fn journal_names_the_host_of_a_sealed_message_and_no_key() {
    let mut pair = Pair::new();
    pair.greet();
    pair.say(r#" {"ID":"HTB","interval":30}"#);
    let lines: Vec<String> = pair
        .effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Journal(Record { entry: Entry::Message { json, .. }, .. }) => {
                Some(json.to_string())
            }
            _ => None,
        })
        .collect();
    assert_eq!(lines, [r#"{"name":"web1","ID":"HTB","interval":30}"#]);
}

#[test]
fn u12_only_the_confirmed_address_of_a_sealed_host_moves_its_record() {
    let host = server::Host {
        dns: server::DnsName::Name("web1.dyn.example.net".to_owned()),
        ..server::Host::default()
    };
    let mut pair = Pair::with(server::Server {
        dyndomains: vec!["dyn.example.net".to_owned()],
        hosts: [("web1".to_owned(), host)].into(),
        ..server::Server::default()
    });
    pair.begin();
    let updates = |pair: &mut Pair| {
        pair.engine.handle(pair.now, Event::Tick);
        pair.drain();
        let jobs = pair.effects.drain(..).filter_map(|effect| match effect {
            Effect::Dns(job) => Some(job.update.addresses().map(|a| a.to_string()).collect()),
            _ => None,
        });
        jobs.collect::<Vec<String>>()
    };
    let mut heard = 1;
    let mut told = Vec::new();
    for _ in 0..4 {
        pair.pass(30);
        assert!(pair.say(&format!(r#"{{"ID":"HTB","interval":30,"ack":{heard}}}"#)).is_some());
        heard += 1;
        told.push(updates(&mut pair).len());
    }
    assert_eq!((told[0], told.iter().sum::<usize>()), (0, 1), "{told:?}");
    pair.engine.handle(pair.now, Event::DnsDone(Ok(())));
    // Copied on its way and sent on from elsewhere: nothing moves.
    pair.from = "198.51.100.66:1".parse().unwrap();
    for _ in 0..5 {
        pair.pass(30);
        assert!(pair.say(&format!(r#"{{"ID":"HTB","interval":30,"ack":{heard}}}"#)).is_some());
        assert_eq!(updates(&mut pair), Vec::<String>::new());
    }
}
