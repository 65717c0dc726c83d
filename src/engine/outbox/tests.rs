//! The rules of the outbox, one by one, on a virtual clock.

use super::{Outbox, Outcome};
use crate::config::secret::Secret;
use crate::config::server::{Channel, ChannelType, Level, Server};
use crate::engine::Saved;
use crate::notice::{self, Destination, Fleet, Message, Notice, Receiver, Subject};
use crate::time::{Duration, Mono, Now, Wall};
use std::collections::{BTreeMap, BTreeSet};
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
    let mut rig = Rig::new(config());
    let held = rig.notice(Level::Critical, DOWN).about(outage("web1"));
    rig.wait(100);
    rig.outbox.post(rig.now, Notice { span: Some(secs(65)), ..held }, [mail()]);
    rig.up("web1");
    rig.wait(10);
    assert_eq!(rig.deliver(), [format!("mail: {MERGED}")], "declared long ago, posted late");
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
fn s5_thousand_hosts_down_are_one_digest_that_names_them_all() {
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
fn s5_more_than_the_limit_a_minute_waits_and_becomes_one_digest() {
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

#[test]
fn failed_channel_hands_to_its_fallback_which_hears_the_end() {
    let mut rig = Rig::new(config());
    rig.down("web1", &[mail()]);
    rig.wait(10);
    rig.answer(Outcome::Failed);
    assert_eq!(rig.outbox.reports()[0].text(), "mail could not deliver 1 notice: handed to chat");
    rig.wait(10);
    assert_eq!(rig.deliver(), [format!("chat: {DOWN}")]);
    assert_eq!(rig.outbox.told(&outage("web1")), [plain("chat")]);
    rig.up("web1");
    rig.wait(10);
    assert_eq!(rig.deliver(), [format!("chat: {UP}")]);
}

#[test]
fn fallback_that_is_a_receiver_itself_hears_it_once() {
    let mut rig = Rig::new(config());
    rig.down("web1", &[mail(), plain("chat")]);
    rig.wait(10);
    rig.answer(Outcome::Done);
    let failed = rig.message().unwrap();
    assert_eq!(failed.receiver, mail());
    rig.outbox.delivered(rig.now, failed.id, Outcome::Failed);
    rig.wait(60);
    assert_eq!(rig.deliver(), NOTHING);
    rig.up("web1");
    rig.wait(10);
    assert_eq!(rig.deliver(), [format!("chat: {UP}")]);
}

#[test]
fn end_that_the_told_channel_cannot_deliver_goes_to_its_fallback() {
    let mut rig = Rig::new(config());
    rig.down("web1", &[mail()]);
    rig.wait(10);
    rig.answer(Outcome::Done);
    rig.up("web1");
    rig.wait(10);
    rig.answer(Outcome::Failed);
    rig.wait(10);
    assert_eq!(rig.deliver(), [format!("chat: {UP}")]);
    assert!(rig.store.is_empty());
}

#[test]
fn failing_channel_is_tried_less_and_less_until_its_time_is_over() {
    let mut rig = Rig::new(config());
    rig.down("web1", &[plain("hook")]);
    rig.wait(10);
    let begun = rig.now.mono;
    let mut tries = Vec::new();
    while let Some(due) = rig.outbox.poll_timeout() {
        rig.now = rig.now + due.since(rig.now.mono);
        rig.answer(Outcome::Retry { after: Duration::ZERO });
        tries.push(rig.now.mono.since(begun).as_secs_f64());
    }
    let gaps: Vec<f64> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (i, gap) in gaps[..gaps.len() - 1].iter().enumerate() {
        let doubled = (5.0 * 2f64.powi(i as i32)).min(300.0);
        assert!((doubled * 0.75..=doubled * 1.25).contains(gap) && *gap >= 5.0, "{i}: {gap}");
    }
    assert!((3600.0..3605.1).contains(tries.last().unwrap()), "{tries:?}");
    assert_eq!(rig.outbox.reports()[0].text(), "hook could not deliver 1 notice: given up");
    assert!(rig.outbox.told(&outage("web1")).is_empty());
    rig.up("web1");
    rig.wait(600);
    assert_eq!(rig.deliver(), NOTHING, "nobody was told that it is down");
}

#[test]
fn server_that_asks_for_patience_gets_it() {
    let mut rig = Rig::new(config());
    rig.down("web1", &[plain("hook")]);
    rig.wait(10);
    rig.answer(Outcome::Retry { after: secs(120) });
    assert_eq!(rig.outbox.poll_timeout(), Some(rig.now.mono + secs(120)));
}

#[test]
fn full_worker_is_no_failure_and_no_message() {
    let mut rig = Rig::new(config());
    rig.down("web1", &[mail()]);
    rig.wait(10);
    for _ in 0..20 {
        rig.answer(Outcome::Full);
        rig.wait(1);
    }
    assert_eq!(rig.deliver(), [format!("mail: {DOWN}")]);
}

#[test]
fn dead_channel_holds_up_no_other() {
    let mut rig = Rig::new(config());
    rig.down("web1", &[mail(), plain("hook")]);
    rig.wait(10);
    let hook = rig.message().unwrap();
    assert_eq!(rig.answer(Outcome::Done), [DOWN], "mail goes while hook's worker hangs");
    rig.down("web2", &[mail(), plain("hook")]);
    rig.wait(10);
    assert_eq!(rig.deliver(), ["mail: DOWN: web2 - no heartbeat for 65 s"]);
    rig.outbox.delivered(rig.now, hook.id, Outcome::Done);
    assert_eq!(rig.deliver(), ["hook: DOWN: web2 - no heartbeat for 65 s"]);
}

#[test]
fn channel_that_left_the_configuration_gives_up() {
    let mut rig = Rig::new(config());
    rig.down("web1", &[mail(), plain("hook")]);
    let mut config = config();
    config.channels.remove("hook");
    config.channels.get_mut("mail").unwrap().enabled = false;
    rig.outbox.configure(&config);
    rig.wait(10);
    assert_eq!(rig.deliver(), NOTHING);
    let reports: Vec<String> = rig.outbox.reports().iter().map(|r| r.text()).collect();
    assert_eq!(
        reports,
        [
            "hook could not deliver 1 notice: given up",
            "mail could not deliver 1 notice: handed to chat",
        ]
    );
    rig.wait(10);
    assert_eq!(rig.deliver(), [format!("chat: {DOWN}")]);
}

#[test]
fn full_queue_keeps_open_troubles_and_names_the_rest() {
    let mut rig = Rig::new(config());
    for i in 0..1030 {
        let mut boot = rig.notice(Level::Info, &format!("BOOT: b{i} - started"));
        boot.host = Some(format!("b{i}").as_str().into());
        rig.outbox.post(rig.now, boot, [mail()]);
        if i < 20 {
            rig.down(&format!("d{i}"), &[mail()]);
        }
    }
    assert_eq!(rig.outbox.lanes[&mail()].queue.len(), 1024);
    assert_eq!(rig.outbox.queued("mail"), 1050);
    rig.restart();
    assert_eq!(rig.outbox.queued("mail"), 1050, "what made room survives as well");
    rig.wait(10);
    let lines = rig.answer(Outcome::Done).join("\n");
    assert_eq!(lines.lines().next(), Some("46 of 50 hosts up: 20 critical, 1030 info"));
    let named: BTreeSet<&str> = lines.split([' ', ',', '\n']).collect();
    assert!((0..1030).all(|i| named.contains(&*format!("b{i}"))));
    assert!((0..20).all(|i| lines.contains(&format!("DOWN: d{i} "))));
    rig.save();
    assert_eq!(rig.store.len(), 20, "the open troubles");
}

#[test]
fn only_open_troubles_may_exceed_the_bound() {
    let mut rig = Rig::new(config());
    for i in 0..1100 {
        rig.down(&format!("d{i}"), &[mail()]);
    }
    assert_eq!(rig.outbox.lanes[&mail()].queue.len(), 1100);
    rig.wait(5);
    for i in 0..1100 {
        rig.up(&format!("d{i}"));
    }
    assert_eq!(rig.outbox.lanes[&mail()].queue.len(), 1024);
    rig.wait(5);
    let lines = rig.answer(Outcome::Done).join("\n");
    assert!((0..1100).all(|i| lines.contains(&format!("d{i}"))));
    rig.save();
    assert!(rig.store.is_empty());
}

#[test]
fn ends_beyond_the_bound_are_named_and_forgotten() {
    let mut rig = Rig::new(config());
    (0..1100).for_each(|i| rig.down(&format!("d{i}"), &[mail(), plain("hook")]));
    rig.wait(10);
    assert_eq!(rig.deliver().len(), 2);
    (0..1100).for_each(|i| rig.up(&format!("d{i}")));
    rig.wait(10);
    let lines = rig.answer(Outcome::Done).join("\n");
    assert!((0..1100).all(|i| lines.contains(&format!("d{i}"))));
    assert_eq!(lines.lines().next(), Some("46 of 50 hosts up: 1100 recovered"));
    rig.deliver();
    rig.outbox.check_invariants();
    assert!(rig.store.is_empty());
}

#[test]
fn killed_server_sends_what_was_queued_and_remembers_who_was_told() {
    let mut rig = Rig::new(config());
    rig.down("web1", &[mail(), plain("hook")]);
    rig.alert(Level::Warning, "WARNING: web1 - cpu = 81.0", &[plain("chat")]);
    rig.wait(10);
    assert_eq!(rig.answer(Outcome::Done), ["WARNING: web1 - cpu = 81.0"]);
    assert_eq!(rig.answer(Outcome::Done), [DOWN]);
    assert!(rig.message().is_some(), "mail is in flight when the server is killed");
    rig.restart();
    assert_eq!(rig.outbox.told(&outage("web1")), [plain("hook")]);
    assert_eq!(rig.outbox.told(&cpu("web1")), [plain("chat")]);
    rig.wait(10);
    assert_eq!(rig.deliver(), [format!("mail: {DOWN}")]);
    rig.up("web1");
    rig.recover(Level::Warning, "RECOVERED: web1 - cpu = 10.0 (WARNING -> OK)");
    rig.restart();
    rig.wait(10);
    assert_eq!(
        rig.deliver(),
        [
            "chat: RECOVERED: web1 - cpu = 10.0 (WARNING -> OK)".to_owned(),
            format!("hook: {UP}"),
            format!("mail: {UP}"),
        ]
    );
    assert!(rig.store.is_empty());
}

#[test]
fn notice_comes_back_from_the_store_as_it_was() {
    let mut rig = Rig::new(config());
    let mut notice =
        rig.notice(Level::Unknown, "UNKNOWN: web1 - x = a\u{202e}b").about(cpu("web1"));
    notice.value = serde_json::json!("text");
    notice.threshold_value = serde_json::json!(3);
    notice.from = Some("ok".into());
    notice.span = Some(secs(5));
    rig.outbox.post(rig.now, notice.clone(), [mail()]);
    rig.restart();
    rig.wait(10);
    let message = rig.message().unwrap();
    assert_eq!(*message.notices[0], notice);
    assert_eq!(message.lines, ["UNKNOWN: web1 - x = a\\u{202e}b"]);
    for (key, json) in [("n/1", "{}"), ("n/zz", "{}"), ("t/1", "x"), ("q", ""), ("d/a/b", "{}")] {
        assert_eq!(rig.outbox.restore(rig.now, key, json.as_bytes()), None, "{key}");
    }
}

#[test]
fn s6_isolation_recalls_what_was_not_handed_over() {
    let mut rig = Rig::new(config());
    rig.down("web1", &[mail()]);
    assert!(rig.outbox.recall(&outage("web1")));
    rig.down("web2", &[mail(), plain("hook")]);
    rig.wait(10);
    assert_eq!(rig.answer(Outcome::Done), ["DOWN: web2 - no heartbeat for 65 s"]);
    assert!(!rig.outbox.recall(&outage("web2")), "one was told");
    assert_eq!(rig.deliver(), NOTHING);
    rig.up("web1");
    rig.up("web2");
    rig.wait(10);
    assert_eq!(rig.deliver(), ["hook: UP: web2 - back after 5m 12s"]);
    rig.save();
    assert!(rig.store.is_empty());
}

#[test]
fn dropped_host_ends_without_a_word() {
    let mut rig = Rig::new(config());
    rig.down("web1", &[mail()]);
    rig.alert(Level::Warning, "WARNING: web1 - cpu = 81.0", &[mail()]);
    rig.wait(10);
    rig.answer(Outcome::Done);
    rig.outbox.close_host(rig.now, "web1");
    rig.up("web1");
    rig.wait(10);
    assert_eq!(rig.deliver(), NOTHING);
    assert!(rig.store.is_empty());
}
