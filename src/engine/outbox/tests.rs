//! The rules of the outbox, one by one, on a virtual clock.

use super::{Outbox, Outcome};
use crate::config::secret::Secret;
use crate::config::server::{Channel, ChannelType, Level, Server};
use crate::engine::Saved;
use crate::notice::{self, Destination, Fleet, Message, Notice, Receiver, Subject};
use crate::time::{Duration, Mono, Now, Wall};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(super) fn channel(kind: ChannelType, to: &[&str]) -> Channel {
    Channel {
        kind,
        enabled: true,
        min_level: Level::Warning,
        timeout: secs(10),
        retry_for: secs(3600),
        fallback: None,
        proxy: None,
        to: to.iter().map(|to| Secret::Text((*to).to_owned())).collect(),
        settings: BTreeMap::new(),
    }
}

/// `mail` to a@x that falls back to `chat`, and `hook` to nobody else.
pub(super) fn config() -> Server {
    let mut config = Server::default();
    let mut mail = channel(ChannelType::Email, &["a@x"]);
    mail.fallback = Some("chat".to_owned());
    config.channels.insert("mail".to_owned(), mail);
    config.channels.insert("chat".to_owned(), channel(ChannelType::Slack, &[]));
    config.channels.insert("hook".to_owned(), channel(ChannelType::Webhook, &[]));
    config
}

pub(super) fn mail() -> Receiver {
    Receiver { channel: "mail".into(), to: Some(Destination::Text("a@x".into())) }
}

pub(super) fn plain(channel: &str) -> Receiver {
    Receiver { channel: channel.into(), to: None }
}

struct Rig {
    outbox: Outbox,
    config: Server,
    now: Now,
    store: BTreeMap<Arc<str>, Vec<u8>>,
    next_id: u64,
}

impl Rig {
    fn new(config: Server) -> Rig {
        let now = Now { mono: Mono::from_secs(1000), wall: Wall::from_secs(1_800_000_000) };
        let outbox = Outbox::new(&config, 7);
        Rig { outbox, config, now, store: BTreeMap::new(), next_id: 0 }
    }

    fn wait(&mut self, span: u64) {
        self.now = self.now + secs(span);
    }

    fn notice(&mut self, level: Level, text: &str) -> Notice {
        self.next_id += 1;
        Notice::new(self.next_id, self.now.wall, "state", level, text)
    }

    fn down(&mut self, host: &str, to: &[Receiver]) {
        let text = notice::down(host, secs(65), [].into_iter());
        let mut notice = self.notice(Level::Critical, &text).about(outage(host));
        notice.span = Some(secs(65));
        self.outbox.post(self.now, notice, to.iter().cloned());
    }

    fn up(&mut self, host: &str) {
        let text = notice::up(host, secs(312));
        let mut notice = self.notice(Level::Critical, &text).about(outage(host));
        notice.span = Some(secs(312));
        self.outbox.end(self.now, &outage(host), notice);
    }

    fn alert(&mut self, level: Level, text: &str, to: &[Receiver]) {
        let notice = self.notice(level, text).about(cpu("web1"));
        self.outbox.post(self.now, notice, to.iter().cloned());
    }

    fn recover(&mut self, level: Level, text: &str) {
        let notice = self.notice(level, text).about(cpu("web1"));
        self.outbox.end(self.now, &cpu("web1"), notice);
    }

    fn message(&mut self) -> Option<Message> {
        self.save();
        self.outbox.poll_message(self.now, Fleet { up: 46, total: 50 })
    }

    /// All that is due, delivered; `receiver: line | line`.
    fn deliver(&mut self) -> Vec<String> {
        let mut sent = Vec::new();
        while let Some(message) = self.message() {
            sent.push(format!("{}: {}", message.receiver.channel, message.lines.join(" | ")));
            self.outbox.delivered(self.now, message.id, Outcome::Done);
        }
        self.save();
        sent
    }

    fn answer(&mut self, outcome: Outcome) -> Vec<String> {
        let message = self.message().expect("a message that is due");
        self.outbox.delivered(self.now, message.id, outcome);
        message.lines
    }

    fn save(&mut self) {
        for row in self.outbox.rows() {
            match row {
                Saved::Part { key, json } => drop(self.store.insert(key, json)),
                Saved::PartGone { key } => drop(self.store.remove(&key)),
                other => panic!("a row of somebody else: {other:?}"),
            }
        }
    }

    /// kill -9, and a new process.
    fn restart(&mut self) {
        self.save();
        self.now.mono = Mono::from_secs(5);
        self.outbox = Outbox::new(&self.config, 8);
        for (key, json) in self.store.clone() {
            self.outbox.restore(self.now, &key, &json).expect("a row of its own");
        }
    }
}

fn outage(host: &str) -> Subject {
    Subject::Outage { host: host.into() }
}

fn cpu(host: &str) -> Subject {
    Subject::Alert { host: host.into(), path: "cpu_monitor.cpu_percent".into() }
}

const DOWN: &str = "DOWN: web1 - no heartbeat for 65 s";
const UP: &str = "UP: web1 - back after 5m 12s";
const MERGED: &str = "DOWN: web1 - no heartbeat for 65 s, UP again after 5m 12s";
const NOTHING: [String; 0] = [];

#[test]
fn up_goes_to_those_who_were_told_down_and_nobody_else() {
    let mut rig = Rig::new(config());
    rig.down("web1", &[mail()]);
    assert_eq!(rig.deliver(), NOTHING, "the group waits");
    rig.wait(10);
    assert_eq!(rig.deliver(), [format!("mail: {DOWN}")]);
    assert_eq!(rig.outbox.told(&outage("web1")), [mail()]);
    assert_eq!(rig.outbox.last_notified(&outage("web1")), Some(rig.now.wall));
    rig.up("web1");
    rig.wait(10);
    assert_eq!(rig.deliver(), [format!("mail: {UP}")]);
    assert!(rig.outbox.told(&outage("web1")).is_empty());
    assert!(rig.store.is_empty(), "{:?}", rig.store.keys());
    rig.up("web1");
    rig.wait(10);
    assert_eq!(rig.deliver(), NOTHING);
}

#[test]
fn short_outage_withdraws_its_down() {
    // Seconds from DOWN to UP, and what is told.
    let table: [(u64, &[&str]); 3] = [(3, &[]), (4, &[MERGED]), (9, &[MERGED])];
    for (span, told) in table {
        let mut rig = Rig::new(config());
        rig.down("web1", &[mail()]);
        rig.wait(span);
        rig.up("web1");
        rig.wait(10);
        let want: Vec<String> = told.iter().map(|line| format!("mail: {line}")).collect();
        assert_eq!(rig.deliver(), want, "{span} s");
        assert!(rig.store.is_empty());
    }
    let mut config = config();
    config.group_wait = Duration::ZERO;
    let mut rig = Rig::new(config);
    rig.down("web1", &[mail()]);
    assert_eq!(rig.deliver(), [format!("mail: {DOWN}")]);
    rig.wait(1);
    rig.up("web1");
    assert_eq!(rig.deliver(), [format!("mail: {UP}")], "delivered already, so UP is told");
}

#[test]
fn late_down_is_merged_with_its_up_for_those_only_who_wait() {
    let mut rig = Rig::new(config());
    rig.down("web1", &[mail(), plain("hook")]);
    rig.wait(10);
    let first = rig.message().unwrap();
    let second = rig.message().unwrap();
    assert_eq!((&*first.receiver.channel, &*second.receiver.channel), ("hook", "mail"));
    rig.outbox.delivered(rig.now, first.id, Outcome::Done);
    rig.wait(60);
    rig.up("web1");
    rig.outbox.delivered(rig.now, second.id, Outcome::Retry { after: Duration::ZERO });
    rig.wait(300);
    assert_eq!(rig.deliver(), [format!("mail: {MERGED}"), format!("hook: {UP}")]);
    assert!(rig.store.is_empty());
}

#[test]
fn down_that_a_worker_tried_is_never_withdrawn() {
    let mut config = config();
    config.group_wait = Duration::ZERO;
    let mut rig = Rig::new(config);
    rig.down("web1", &[plain("hook")]);
    let message = rig.message().unwrap();
    rig.wait(1);
    rig.up("web1");
    assert_eq!(rig.message(), None, "one message in flight");
    rig.outbox.delivered(rig.now, message.id, Outcome::Retry { after: Duration::ZERO });
    rig.wait(7);
    assert_eq!(rig.deliver(), [format!("hook: {MERGED}")]);
}

#[test]
fn metric_alert_keeps_its_lines_in_order() {
    let mut rig = Rig::new(config());
    rig.alert(Level::Warning, "WARNING: web1 - cpu = 81.0", &[mail()]);
    rig.alert(Level::Critical, "CRITICAL: web1 - cpu = 95.0", &[mail(), plain("hook")]);
    rig.wait(2);
    rig.recover(Level::Critical, "RECOVERED: web1 - cpu = 10.0 (CRITICAL -> OK)");
    rig.wait(8);
    assert_eq!(
        rig.deliver(),
        [
            "hook: 46 of 50 hosts up: 1 recovered | CRITICAL: web1 - cpu = 95.0 | \
             RECOVERED: web1 - cpu = 10.0 (CRITICAL -> OK)",
            "mail: 46 of 50 hosts up: 1 recovered | WARNING: web1 - cpu = 81.0 | \
             CRITICAL: web1 - cpu = 95.0 | RECOVERED: web1 - cpu = 10.0 (CRITICAL -> OK)",
        ]
    );
}

#[test]
fn reminder_adds_nothing_while_the_same_level_waits_and_goes_with_the_end() {
    let mut rig = Rig::new(config());
    rig.alert(Level::Warning, "WARNING: web1 - cpu = 81.0", &[mail()]);
    rig.alert(Level::Warning, "REMINDER (WARNING): web1", &[mail()]);
    rig.wait(10);
    assert_eq!(rig.deliver(), ["mail: WARNING: web1 - cpu = 81.0"]);
    rig.alert(Level::Warning, "REMINDER (WARNING): web1", &[mail()]);
    rig.recover(Level::Warning, "RECOVERED: web1");
    rig.wait(10);
    assert_eq!(rig.deliver(), ["mail: RECOVERED: web1"]);
}

#[test]
fn group_is_sorted_by_severity_under_a_head_line() {
    let mut rig = Rig::new(config());
    let boot = rig.notice(Level::Info, "BOOT: a - started");
    rig.outbox.post(rig.now, boot, [mail()]);
    rig.alert(Level::Warning, "WARNING: web1 - cpu = 81.0", &[mail()]);
    rig.wait(9);
    rig.down("web2", &[mail()]);
    rig.wait(1);
    let message = rig.message().unwrap();
    assert_eq!(
        message.lines,
        [
            "46 of 50 hosts up: 1 critical, 1 warning, 1 info",
            "DOWN: web2 - no heartbeat for 65 s",
            "WARNING: web1 - cpu = 81.0",
            "BOOT: a - started",
        ]
    );
    assert_eq!(message.subject_line, message.lines[0]);
    assert_eq!((message.level, message.digest), (Level::Critical, false));
}

#[test]
fn thousand_hosts_down_are_one_digest_that_names_them_all() {
    let mut rig = Rig::new(config());
    let names: Vec<String> = (0..1000).map(|i| format!("host-{i:04}")).collect();
    for name in &names {
        rig.down(name, &[mail()]);
        rig.now = rig.now + Duration::from_millis(1);
    }
    let mut messages = Vec::new();
    for _ in 0..600 {
        while let Some(message) = rig.message() {
            rig.outbox.delivered(rig.now, message.id, Outcome::Done);
            messages.push(message);
        }
        rig.wait(1);
    }
    assert!(messages.len() <= 3, "{} messages", messages.len());
    let text: String = messages.iter().flat_map(|m| m.lines.clone()).collect::<Vec<_>>().join("\n");
    assert!(names.iter().all(|name| text.contains(name.as_str())));
    assert!(
        messages[0].digest && text.len() < 20_000 && text.contains("critical (1000): host-0000, ")
    );
    assert_eq!(rig.outbox.told(&outage("host-0999")), [mail()]);
}

#[test]
fn more_than_the_limit_a_minute_waits_and_becomes_one_digest() {
    let mut config = config();
    config.group_wait = Duration::ZERO;
    let mut rig = Rig::new(config);
    let mut sent = Vec::new();
    for i in 0..30 {
        rig.down(&format!("h{i:02}"), &[mail()]);
        sent.extend(rig.deliver());
        rig.wait(1);
    }
    assert_eq!(sent.len(), 6);
    rig.wait(30);
    let rest = rig.deliver();
    assert_eq!(rest.len(), 1);
    assert!(
        rest[0].starts_with("mail: 46 of 50 hosts up: 24 critical | critical (24): h06, h07, ")
    );
    assert!(rest[0].contains("h29"));
}
