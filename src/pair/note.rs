//! What one server of a pair says in a heartbeat, as JSON text. Bounded; what cannot be read is no note.

use super::Role;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One thing that is shared, or a piece of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shared {
    /// Its place in the order of changes.
    pub rev: u64,
    pub key: Arc<str>,
    /// `None`: it is gone.
    pub text: Option<String>,
    /// More of the text follows in another note.
    pub more: bool,
}

/// One note. The sender begins where the receiver said that it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    pub role: Role,
    /// Of the sender's process; never 0.
    pub epoch: u64,
    /// Seconds between its heartbeats.
    pub every: u32,
    /// The sender hears none of its hosts.
    pub deaf: bool,
    /// How far the sender has heard the receiver.
    pub saw: Mark,
    /// All before this is known to the receiver.
    pub base: u64,
    /// How much of the first thing's text the receiver has.
    pub at: usize,
    pub shared: Vec<Shared>,
    /// Nothing more is to come.
    pub end: bool,
}

/// How far one side has heard the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Mark {
    pub epoch: u64,
    /// Everything up to this is known.
    pub rev: u64,
    /// Of this, so many bytes.
    pub partial: u64,
    pub len: usize,
}

#[derive(Serialize, Deserialize)]
struct Row {
    r: String,
    e: u64,
    i: u32,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    d: bool,
    s: (u64, u64, u64, usize),
    b: u64,
    #[serde(default)]
    a: usize,
    /// Number, key, text (`null`: gone), whether more follows.
    #[serde(default)]
    c: Vec<(u64, String, Option<String>, bool)>,
    #[serde(default)]
    z: bool,
}

impl Note {
    pub fn render(&self) -> String {
        let shared = |s: &Shared| (s.rev, s.key.to_string(), s.text.clone(), s.more);
        let row = Row {
            r: self.role.as_str().to_owned(),
            e: self.epoch,
            i: self.every,
            d: self.deaf,
            s: (self.saw.epoch, self.saw.rev, self.saw.partial, self.saw.len),
            b: self.base,
            a: self.at,
            c: self.shared.iter().map(shared).collect(),
            z: self.end,
        };
        serde_json::to_string(&row).unwrap_or_default()
    }

    pub fn parse(text: &str) -> Option<Note> {
        let row: Row = serde_json::from_str(text).ok()?;
        let (epoch, rev, partial, len) = row.s;
        let shared = |(rev, key, text, more): (u64, String, Option<String>, bool)| Shared {
            rev,
            key: key.into(),
            text,
            more,
        };
        Some(Note {
            role: Role::parse(&row.r)?,
            epoch: Some(row.e).filter(|epoch| *epoch != 0)?,
            every: row.i.clamp(1, 3600),
            deaf: row.d,
            saw: Mark { epoch, rev, partial, len },
            base: row.b,
            at: row.a,
            shared: row.c.into_iter().map(shared).collect(),
            end: row.z,
        })
    }
}
