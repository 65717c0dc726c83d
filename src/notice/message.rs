//! What one worker sends to one receiver in one go: one notice, a group, or a digest that names
//! every host.
//!
//! Owns the order and the lines of a message, and its JSON. Never sends; what a channel makes of it
//! (subject, body, colours) is the channel's own.

use super::receiver::Receiver;
use super::sentence::{Notice, Subject};
use crate::config::server::Level;
use serde::Serialize;
use serde_json::Value;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A message repeats this many sentences, the worst; with more it is a digest, which names every
/// host besides.
pub const DETAIL_LINES_MAX: usize = 50;
/// A digest's lines of names are broken at this length, in bytes.
const NAME_LINE_MAX: usize = 1000;
/// Entries of `notices` in the JSON; the lines name every host in any case.
const JSON_NOTICES_MAX: usize = crate::limits::NOTIFY_QUEUE;

/// The classes of a digest, worst first; `None` is the end of a trouble.
const CLASSES: [Option<Level>; 5] =
    [Some(Level::Critical), Some(Level::Unknown), Some(Level::Warning), Some(Level::Info), None];

/// `n of m hosts up`
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Fleet {
    pub up: usize,
    pub total: usize,
}

/// What is left of notices that had to make room: hosts by their worst class, and how many notices.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    hosts: BTreeMap<Arc<str>, (usize, u32)>,
    /// Notices about no host.
    pub server: u32,
}

impl Tally {
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty() && self.server == 0
    }

    /// How many notices it stands for.
    pub fn len(&self) -> u32 {
        self.hosts.values().map(|(_, count)| count).sum::<u32>() + self.server
    }

    pub fn add(&mut self, host: Option<&Arc<str>>, class: Option<Level>, count: u32) {
        let Some(host) = host else {
            self.server = self.server.saturating_add(count);
            return;
        };
        let rank = CLASSES.iter().position(|c| *c == class).unwrap_or(CLASSES.len() - 1);
        let entry = self.hosts.entry(host.clone()).or_insert((rank, 0));
        *entry = (entry.0.min(rank), entry.1.saturating_add(count));
    }

    pub fn merge(&mut self, other: &Tally) {
        for (host, class, count) in other.hosts() {
            self.add(Some(host), class, count);
        }
        self.server = self.server.saturating_add(other.server);
    }

    /// By name.
    pub fn hosts(&self) -> impl Iterator<Item = (&Arc<str>, Option<Level>, u32)> {
        self.hosts.iter().map(|(host, (rank, count))| (host, CLASSES[*rank], *count))
    }
}

/// Ready for a channel's worker, which answers with the id.
#[derive(Clone, PartialEq, Debug)]
pub struct Message {
    /// Of this hand-over; not kept over a restart.
    pub id: u64,
    pub receiver: Receiver,
    /// The worst of its notices.
    pub level: Level,
    /// One line: the sentence itself, or `46 of 50 hosts up: 3 critical, 1 recovered`.
    pub subject_line: String,
    /// The text. A group's first line is its head line.
    pub lines: Vec<String>,
    /// Worst first; those of one subject in the order in which they happened.
    pub notices: Vec<Arc<Notice>>,
    pub hosts_up: usize,
    pub hosts_total: usize,
    pub digest: bool,
    pub site: Arc<str>,
    pub url: Option<String>,
}

/// What a message is made of. `notices` in the order in which they happened.
pub struct Draft {
    pub id: u64,
    pub receiver: Receiver,
    pub notices: Vec<Arc<Notice>>,
    pub tally: Tally,
    /// Whether the limit of messages a minute held it back.
    pub held: bool,
    pub fleet: Fleet,
    pub site: Arc<str>,
    pub public_url: Option<Arc<str>>,
}

impl Message {
    pub fn compose(mut draft: Draft) -> Message {
        by_severity(&mut draft.notices);
        let single = draft.tally.is_empty() && draft.notices.len() == 1;
        let many = draft.notices.len() > DETAIL_LINES_MAX;
        let digest = !single && (draft.held || many || !draft.tally.is_empty());
        let head = head_line(&draft);
        let text = |notice: &Arc<Notice>| notice.text.to_string();
        let lines = match draft.notices.first() {
            Some(notice) if single => vec![text(notice)],
            _ => {
                let mut lines = vec![head.clone()];
                if digest {
                    lines.extend(name_lines(&draft));
                }
                lines.extend(draft.notices.iter().take(DETAIL_LINES_MAX).map(text));
                if many {
                    lines.push(format!("and {} more", draft.notices.len() - DETAIL_LINES_MAX));
                }
                lines
            }
        };
        let level = draft.notices.iter().map(|n| n.level);
        let tallied = draft.tally.hosts().filter_map(|(_, class, _)| class);
        Message {
            level: level.chain(tallied).max().unwrap_or(Level::Info),
            subject_line: if single { lines[0].clone() } else { head },
            url: page(draft.public_url.as_deref(), common_host(&draft.notices)),
            lines,
            id: draft.id,
            receiver: draft.receiver,
            notices: draft.notices,
            hosts_up: draft.fleet.up,
            hosts_total: draft.fleet.total,
            digest,
            site: draft.site,
        }
    }

    /// The notice as JSON (CONFIG.md, "Notifications"); a message of several has `notices`.
    pub fn to_json(&self) -> String {
        let single = !self.digest && self.notices.len() == 1;
        let first = self.notices.first();
        let common = first.filter(|_| single);
        let body = MessageJson {
            version: 1,
            // Of the newest notice: a repeated try of the same notices has the same id.
            id: self.notices.iter().map(|n| n.id).max().unwrap_or(self.id),
            timestamp: self.notices.iter().map(|n| n.time).max().unwrap_or_default().as_secs_f64(),
            kind: first.map_or("notify", |n| &n.kind),
            level: self.level.as_str(),
            text: &self.subject_line,
            lines: &self.lines,
            host: common_host(&self.notices).map(|host| &**host),
            metric_path: common.and_then(|n| n.metric_path.as_deref()),
            from: common.and_then(|n| n.from.as_deref()),
            to: common.and_then(|n| n.to.as_deref()),
            value: common.map_or(&Value::Null, |n| &n.value),
            threshold_value: common.map_or(&Value::Null, |n| &n.threshold_value),
            url: self.url.as_deref(),
            site: &self.site,
            hosts_up: self.hosts_up,
            hosts_total: self.hosts_total,
            recovery: !self.notices.is_empty() && self.notices.iter().all(|n| n.recovery),
            notices: (!single).then(|| {
                let notices = self.notices.iter().take(JSON_NOTICES_MAX);
                notices.map(|notice| NoticeJson::of(notice)).collect()
            }),
        };
        serde_json::to_string(&body).unwrap_or_default()
    }
}

#[derive(Serialize)]
struct MessageJson<'a> {
    version: u32,
    id: u64,
    timestamp: f64,
    kind: &'a str,
    level: &'static str,
    text: &'a str,
    lines: &'a [String],
    host: Option<&'a str>,
    metric_path: Option<&'a str>,
    from: Option<&'a str>,
    to: Option<&'a str>,
    value: &'a Value,
    threshold_value: &'a Value,
    url: Option<&'a str>,
    site: &'a str,
    hosts_up: usize,
    hosts_total: usize,
    recovery: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    notices: Option<Vec<NoticeJson<'a>>>,
}

#[derive(Serialize)]
struct NoticeJson<'a> {
    id: u64,
    timestamp: f64,
    kind: &'a str,
    level: &'static str,
    text: &'a str,
    host: Option<&'a str>,
    metric_path: Option<&'a str>,
    from: Option<&'a str>,
    to: Option<&'a str>,
    value: &'a Value,
    threshold_value: &'a Value,
    recovery: bool,
}

impl NoticeJson<'_> {
    fn of(notice: &Notice) -> NoticeJson<'_> {
        NoticeJson {
            id: notice.id,
            timestamp: notice.time.as_secs_f64(),
            kind: &notice.kind,
            level: notice.level.as_str(),
            text: &notice.text,
            host: notice.host.as_deref(),
            metric_path: notice.metric_path.as_deref(),
            from: notice.from.as_deref(),
            to: notice.to.as_deref(),
            value: &notice.value,
            threshold_value: &notice.threshold_value,
            recovery: notice.recovery,
        }
    }
}

/// Notices of one subject stand together, in their order; the worst subject first, ended ones after
/// open ones.
fn by_severity(notices: &mut Vec<Arc<Notice>>) {
    let groups = groups(notices);
    let mut ranked: Vec<_> = groups
        .into_iter()
        .map(|members| {
            let level = members.iter().map(|i| notices[*i].level).max();
            let ended = members.last().is_some_and(|i| notices[*i].recovery);
            (Reverse(level), ended, members)
        })
        .collect();
    ranked.sort();
    *notices = ranked
        .into_iter()
        .flat_map(|(_, _, members)| members)
        .map(|i| notices[i].clone())
        .collect();
}

/// Places of the notices of each subject; a notice about none is alone.
fn groups(notices: &[Arc<Notice>]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut known: BTreeMap<&Subject, usize> = BTreeMap::new();
    for (i, notice) in notices.iter().enumerate() {
        let group = match &notice.subject {
            Some(subject) => *known.entry(subject).or_insert(groups.len()),
            None => groups.len(),
        };
        match groups.get_mut(group) {
            Some(members) => members.push(i),
            None => groups.push(vec![i]),
        }
    }
    groups
}

/// `46 of 50 hosts up: 3 critical, 1 recovered`: troubles, each by how it stands at the end of the
/// message.
fn head_line(draft: &Draft) -> String {
    let mut counts = [0usize; CLASSES.len()];
    let standing = groups(&draft.notices).into_iter().filter_map(|members| {
        let last = &draft.notices[*members.last()?];
        let worst = members.iter().map(|i| draft.notices[*i].level).max();
        Some(if last.recovery { None } else { worst })
    });
    let tallied = draft.tally.hosts().map(|(_, class, _)| class);
    for class in standing.chain(tallied) {
        if let Some(rank) = CLASSES.iter().position(|c| *c == class) {
            counts[rank] += 1;
        }
    }
    let parts: Vec<String> = CLASSES
        .iter()
        .zip(counts)
        .filter(|(_, count)| *count > 0)
        .map(|(class, count)| format!("{count} {}", label(*class)))
        .collect();
    let fleet = format!("{} of {} hosts up", draft.fleet.up, draft.fleet.total);
    if parts.is_empty() { fleet } else { format!("{fleet}: {}", parts.join(", ")) }
}

/// Every host once, under its worst class.
fn name_lines(draft: &Draft) -> Vec<String> {
    let mut hosts = draft.tally.clone();
    for members in groups(&draft.notices) {
        let Some(last) = members.last().map(|i| &draft.notices[*i]) else { continue };
        let worst = members.iter().map(|i| draft.notices[*i].level).max();
        let class = if last.recovery { None } else { worst };
        if last.host.is_some() {
            hosts.add(last.host.as_ref(), class, 1);
        }
    }
    let mut lines = Vec::new();
    for class in CLASSES {
        let names: Vec<&str> =
            hosts.hosts().filter(|(_, c, _)| *c == class).map(|(host, ..)| &**host).collect();
        if !names.is_empty() {
            break_names(&format!("{} ({}):", label(class), names.len()), &names, &mut lines);
        }
    }
    if draft.tally.server > 0 {
        lines.push(format!("{} more about the server", draft.tally.server));
    }
    lines
}

fn break_names(title: &str, names: &[&str], lines: &mut Vec<String>) {
    let mut line = title.to_owned();
    for (i, name) in names.iter().enumerate() {
        if line.len() + name.len() + 2 > NAME_LINE_MAX {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(name);
        if i + 1 < names.len() {
            line.push(',');
        }
    }
    lines.push(line);
}

fn label(class: Option<Level>) -> &'static str {
    class.map_or("recovered", Level::as_str)
}

/// The host that all are about.
fn common_host(notices: &[Arc<Notice>]) -> Option<&Arc<str>> {
    let host = notices.first()?.host.as_ref();
    host.filter(|host| notices.iter().all(|n| n.host.as_ref() == Some(*host)))
}

fn page(public_url: Option<&str>, host: Option<&Arc<str>>) -> Option<String> {
    let base = public_url?.trim_end_matches('/');
    Some(match host {
        Some(host) => format!("{base}/plugins/{host}"),
        None => format!("{base}/live"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Wall;
    use expect_test::expect;

    fn draft(notices: Vec<Notice>) -> Draft {
        Draft {
            id: 9,
            receiver: Receiver { channel: "hook".into(), to: None },
            notices: notices.into_iter().map(Arc::new).collect(),
            tally: Tally::default(),
            held: false,
            fleet: Fleet { up: 46, total: 50 },
            site: "Basel".into(),
            public_url: Some("https://hb.example.net/".into()),
        }
    }

    fn down(id: u64, host: &str) -> Notice {
        let text = format!("DOWN: {host} - never reported");
        let notice =
            Notice::new(id, Wall::from_secs(1_800_000_000), "state", Level::Critical, &text);
        let notice = notice.about(Subject::Outage { host: host.into() });
        Notice { from: Some("up".into()), to: Some("down".into()), ..notice }
    }

    fn alert(id: u64, host: &str, level: Level, recovery: bool) -> Notice {
        let text = format!("{}: {host} - cpu = 81.0", level.as_str());
        let notice = Notice::new(id, Wall::from_secs(1_800_000_001), "alert", level, &text);
        let subject = Subject::Alert { host: host.into(), path: "cpu".into() };
        Notice { value: 81.0.into(), threshold_value: 80.into(), recovery, ..notice.about(subject) }
    }

    #[test]
    fn json_of_one_notice_is_that_of_the_contract() {
        let one = Message::compose(draft(vec![down(7, "web1")]));
        expect![[
            r#"{"version":1,"id":7,"timestamp":1800000000.0,"kind":"state","level":"critical","text":"DOWN: web1 - never reported","lines":["DOWN: web1 - never reported"],"host":"web1","metric_path":null,"from":"up","to":"down","value":null,"threshold_value":null,"url":"https://hb.example.net/plugins/web1","site":"Basel","hosts_up":46,"hosts_total":50,"recovery":false}"#
        ]]
        .assert_eq(&one.to_json());
    }

    #[test]
    fn json_of_a_group_has_an_entry_for_each_notice() {
        let notices = vec![alert(8, "web2", Level::Warning, false), down(7, "web1")];
        let group = Message::compose(draft(notices));
        expect![[
            r#"{"version":1,"id":8,"timestamp":1800000001.0,"kind":"state","level":"critical","text":"46 of 50 hosts up: 1 critical, 1 warning","lines":["46 of 50 hosts up: 1 critical, 1 warning","DOWN: web1 - never reported","warning: web2 - cpu = 81.0"],"host":null,"metric_path":null,"from":null,"to":null,"value":null,"threshold_value":null,"url":"https://hb.example.net/live","site":"Basel","hosts_up":46,"hosts_total":50,"recovery":false,"notices":[{"id":7,"timestamp":1800000000.0,"kind":"state","level":"critical","text":"DOWN: web1 - never reported","host":"web1","metric_path":null,"from":"up","to":"down","value":null,"threshold_value":null,"recovery":false},{"id":8,"timestamp":1800000001.0,"kind":"alert","level":"warning","text":"warning: web2 - cpu = 81.0","host":"web2","metric_path":"cpu","from":null,"to":null,"value":81.0,"threshold_value":80,"recovery":false}]}"#
        ]]
        .assert_eq(&group.to_json());
    }

    #[test]
    fn group_keeps_the_order_of_each_subject() {
        let notices = vec![
            alert(1, "a", Level::Warning, false),
            alert(2, "b", Level::Warning, false),
            alert(3, "a", Level::Critical, false),
            down(4, "c"),
            alert(5, "a", Level::Critical, true),
            alert(6, "b", Level::Warning, true),
            alert(7, "d", Level::Unknown, false),
        ];
        let message = Message::compose(draft(notices));
        let ids: Vec<u64> = message.notices.iter().map(|n| n.id).collect();
        assert_eq!(ids, [4, 1, 3, 5, 7, 2, 6]);
        assert_eq!(message.subject_line, "46 of 50 hosts up: 1 critical, 1 unknown, 2 recovered");
    }

    #[test]
    fn digest_names_what_made_room_and_what_is_there() {
        let mut tally = Tally::default();
        tally.add(Some(&"old".into()), Some(Level::Warning), 1);
        tally.add(Some(&"old".into()), None, 1);
        tally.add(None, Some(Level::Critical), 2);
        let draft =
            Draft { tally, ..draft(vec![down(4, "c"), alert(5, "c", Level::Warning, true)]) };
        let message = Message::compose(draft);
        assert_eq!(
            message.lines,
            [
                "46 of 50 hosts up: 1 critical, 1 warning, 1 recovered",
                "critical (1): c",
                "warning (1): old",
                "2 more about the server",
                "DOWN: c - never reported",
                "warning: c - cpu = 81.0",
            ]
        );
        assert!(message.digest);
    }

    #[test]
    fn long_list_of_names_is_broken_into_lines() {
        let names: Vec<Notice> = (0..200).map(|i| down(i, &format!("host-{i:03}"))).collect();
        let message = Message::compose(draft(names));
        assert!(message.lines.iter().all(|line| line.len() <= NAME_LINE_MAX));
        assert_eq!(message.lines.last().map(String::as_str), Some("and 150 more"));
        let text = message.lines.join("\n");
        assert!((0..200).all(|i| text.contains(&format!("host-{i:03}"))));
    }
}
