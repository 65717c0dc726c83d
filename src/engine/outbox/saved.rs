//! The saved form of the outbox: JSON rows under keys of its own. Read leniently, in any order.
//!
//! `n/N` is a notice and who waits for it, `t/N` a trouble and who was told, `d/RECEIVER` what a
//! full queue left.

use super::trouble::{Told, Trouble};
use super::{Entry, Key, Outbox, Role};
use crate::config::server::Level;
use crate::engine::Saved;
use crate::notice::{Notice, Receiver, Subject, Tally};
use crate::time::{Duration, Mono, Now, Wall};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct EntryRow {
    id: u64,
    /// Unix seconds, as all times here.
    time: f64,
    kind: String,
    level: String,
    text: String,
    subject: Option<SubjectRow>,
    host: Option<String>,
    metric_path: Option<String>,
    from: Option<String>,
    to: Option<String>,
    value: Value,
    threshold_value: Value,
    recovery: bool,
    /// Seconds.
    span: Option<f64>,
    trouble: Option<u64>,
    role: String,
    waiting: Vec<String>,
    had: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    held: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum SubjectRow {
    Outage { host: String },
    Family { host: String, v6: bool },
    Flapping { host: String },
    Alert { host: String, path: String },
    Isolation,
}

#[derive(Serialize, Deserialize)]
struct TroubleRow {
    subject: SubjectRow,
    opened: f64,
    #[serde(default)]
    ended: bool,
    #[serde(default)]
    short: bool,
    /// Receiver, time, worst level.
    #[serde(default)]
    told: Vec<(String, f64, String)>,
    #[serde(default)]
    settled: Vec<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    by_peer: bool,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct TallyRow {
    /// Class (empty: recovered) and count.
    hosts: BTreeMap<String, (String, u32)>,
    server: u32,
}

impl Outbox {
    /// What changed since the last call, for the store, in the order of keys.
    #[must_use]
    pub fn rows(&mut self) -> Vec<Saved> {
        let keys = std::mem::take(&mut self.unsaved).into_iter();
        keys.map(|key| {
            let json = match &key {
                Key::Entry(seq) => self.entries.get(seq).and_then(entry_json),
                Key::Trouble(id) => self.ledger.get(*id).and_then(trouble_json),
                Key::Tally(receiver) => self.tally_json(receiver),
            };
            let key: Arc<str> = key.render().into();
            match json {
                Some(json) => Saved::Part { key, json },
                None => Saved::PartGone { key },
            }
        })
        .collect()
    }

    /// Takes a row of the store, before the first other call. `None`: it cannot be read, and is
    /// left out.
    pub fn restore(&mut self, now: Now, key: &str, json: &[u8]) -> Option<()> {
        match Key::parse(key)? {
            Key::Entry(seq) => self.restore_entry(now, seq, json),
            Key::Trouble(id) => self.restore_trouble(now, id, json),
            Key::Tally(receiver) => self.restore_tally(now, receiver, json),
        }
    }

    fn restore_entry(&mut self, now: Now, seq: u64, json: &[u8]) -> Option<()> {
        let row: EntryRow = serde_json::from_slice(json).ok()?;
        let role =
            [Role::Raise, Role::End, Role::Whole].into_iter().find(|r| r.text() == row.role)?;
        let receivers = |list: &[String]| -> BTreeSet<Receiver> {
            list.iter().filter_map(|text| Receiver::parse(text)).collect()
        };
        let (waiting, had, trouble) = (receivers(&row.waiting), receivers(&row.had), row.trouble);
        let held = row.held;
        let notice = row.notice()?;
        if let Some(id) = trouble {
            if self.ledger.get(id).is_none() {
                // Its own row follows, or is lost.
                let ended = (role != Role::Raise).then_some(now.mono);
                let trouble = Trouble::new(now, notice.subject.as_ref()?, notice.time, ended);
                self.ledger.restore(id, trouble);
            }
            let trouble = self.ledger.get_mut(id)?;
            trouble.entries.insert(seq);
            if role == Role::Whole {
                trouble.merged = Some(seq);
            }
        }
        self.last_entry = self.last_entry.max(seq);
        let receivers = waiting.clone();
        let notice = Arc::new(notice);
        self.entries.insert(seq, Entry { notice, trouble, role, waiting, had, held });
        let loose = self.is_loose(seq);
        for receiver in receivers {
            let lane = self.lanes.entry(receiver).or_default();
            if held { lane.add_held(seq, loose) } else { lane.restore(now.mono, seq, loose) }
        }
        Some(())
    }

    fn restore_trouble(&mut self, now: Now, id: u64, json: &[u8]) -> Option<()> {
        let row: TroubleRow = serde_json::from_slice(json).ok()?;
        let (opened, ended) = (Wall::from_secs_f64(row.opened), row.ended.then_some(now.mono));
        let mut trouble = Trouble::new(now, &row.subject.subject(), opened, ended);
        if row.ended {
            trouble.short_until = if row.short { Mono::MAX } else { Mono::ZERO };
        }
        for (receiver, at, level) in &row.told {
            let told = Told { at: Wall::from_secs_f64(*at), level: Level::parse(level)? };
            trouble.told.insert(Receiver::parse(receiver)?, told);
        }
        trouble.by_peer = row.by_peer;
        trouble.settled = row.settled.iter().filter_map(|text| Receiver::parse(text)).collect();
        self.ledger.restore(id, trouble);
        if row.ended {
            for receiver in self.hearers(id) {
                self.loosen(id, &receiver);
            }
        }
        Some(())
    }

    fn restore_tally(&mut self, now: Now, receiver: Receiver, json: &[u8]) -> Option<()> {
        let row: TallyRow = serde_json::from_slice(json).ok()?;
        let mut tally = Tally::default();
        for (host, (class, count)) in &row.hosts {
            tally.add(Some(&host.as_str().into()), Level::parse(class), *count);
        }
        tally.server = row.server;
        self.lanes.entry(receiver).or_default().add_tally(now.mono, &tally);
        Some(())
    }

    fn tally_json(&self, receiver: &Receiver) -> Option<Vec<u8>> {
        let lane = self.lanes.get(receiver)?;
        let mut tally = lane.tally.clone();
        if let Some(flight) = &lane.flight {
            tally.merge(&flight.tally);
        }
        let hosts = tally.hosts().map(|(host, class, count)| {
            (host.to_string(), (class.map_or("", Level::as_str).to_owned(), count))
        });
        let row = TallyRow { hosts: hosts.collect(), server: tally.server };
        if tally.is_empty() { None } else { serde_json::to_vec(&row).ok() }
    }
}

impl Key {
    fn render(&self) -> String {
        match self {
            Key::Entry(seq) => format!("n/{seq:016x}"),
            Key::Trouble(id) => format!("t/{id:016x}"),
            Key::Tally(receiver) => format!("d/{}", receiver.render()),
        }
    }

    fn parse(text: &str) -> Option<Key> {
        let (table, rest) = text.split_once('/')?;
        match table {
            "n" => u64::from_str_radix(rest, 16).ok().map(Key::Entry),
            "t" => u64::from_str_radix(rest, 16).ok().map(Key::Trouble),
            "d" => Receiver::parse(rest).map(Key::Tally),
            _ => None,
        }
    }
}

impl Role {
    const fn text(self) -> &'static str {
        match self {
            Role::Raise => "raise",
            Role::End => "end",
            Role::Whole => "whole",
        }
    }
}

impl SubjectRow {
    fn of(subject: &Subject) -> SubjectRow {
        match subject {
            Subject::Outage { host } => SubjectRow::Outage { host: host.to_string() },
            Subject::Family { host, v6 } => SubjectRow::Family { host: host.to_string(), v6: *v6 },
            Subject::Flapping { host } => SubjectRow::Flapping { host: host.to_string() },
            Subject::Alert { host, path } => {
                SubjectRow::Alert { host: host.to_string(), path: path.to_string() }
            }
            Subject::Isolation => SubjectRow::Isolation,
        }
    }

    fn subject(&self) -> Subject {
        match self {
            SubjectRow::Outage { host } => Subject::Outage { host: host.as_str().into() },
            SubjectRow::Family { host, v6 } => {
                Subject::Family { host: host.as_str().into(), v6: *v6 }
            }
            SubjectRow::Flapping { host } => Subject::Flapping { host: host.as_str().into() },
            SubjectRow::Alert { host, path } => {
                Subject::Alert { host: host.as_str().into(), path: path.as_str().into() }
            }
            SubjectRow::Isolation => Subject::Isolation,
        }
    }
}

impl EntryRow {
    fn notice(self) -> Option<Notice> {
        let text = |text: Option<String>| text.map(Arc::from);
        Some(Notice {
            id: self.id,
            time: Wall::from_secs_f64(self.time),
            kind: self.kind.into(),
            level: Level::parse(&self.level)?,
            text: self.text.into(),
            subject: self.subject.map(|row| row.subject()),
            host: text(self.host),
            metric_path: text(self.metric_path),
            from: text(self.from),
            to: text(self.to),
            value: self.value,
            threshold_value: self.threshold_value,
            recovery: self.recovery,
            span: self.span.and_then(|secs| Duration::try_from_secs_f64(secs).ok()),
        })
    }
}

fn entry_json(entry: &Entry) -> Option<Vec<u8>> {
    let notice = &*entry.notice;
    let text = |text: &Option<Arc<str>>| text.as_ref().map(|text| text.to_string());
    let list = |set: &BTreeSet<Receiver>| set.iter().map(Receiver::render).collect();
    let row = EntryRow {
        id: notice.id,
        time: notice.time.as_secs_f64(),
        kind: notice.kind.to_string(),
        level: notice.level.as_str().to_owned(),
        text: notice.text.to_string(),
        subject: notice.subject.as_ref().map(SubjectRow::of),
        host: text(&notice.host),
        metric_path: text(&notice.metric_path),
        from: text(&notice.from),
        to: text(&notice.to),
        value: notice.value.clone(),
        threshold_value: notice.threshold_value.clone(),
        recovery: notice.recovery,
        span: notice.span.map(|span| span.as_secs_f64()),
        trouble: entry.trouble,
        role: entry.role.text().to_owned(),
        waiting: list(&entry.waiting),
        had: list(&entry.had),
        held: entry.held,
    };
    serde_json::to_vec(&row).ok()
}

fn trouble_json(trouble: &Trouble) -> Option<Vec<u8>> {
    let told = trouble.told.iter().map(|(receiver, told)| {
        (receiver.render(), told.at.as_secs_f64(), told.level.as_str().to_owned())
    });
    let row = TroubleRow {
        subject: SubjectRow::of(&trouble.subject),
        opened: trouble.opened.as_secs_f64(),
        ended: trouble.ended.is_some(),
        short: trouble.was_short(),
        told: told.collect(),
        settled: trouble.settled.iter().map(Receiver::render).collect(),
        by_peer: trouble.by_peer,
    };
    serde_json::to_vec(&row).ok()
}
