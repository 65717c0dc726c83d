//! The client's side: frames in, rows out. A pure function over frames, mirrored by
//! `static/reduce.js`.

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// A row by column name, `id` excepted; group and tags are names.
pub type Row = BTreeMap<String, Value>;

/// What a frame did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Applied, or none of the reducer's business.
    Ok,
    /// Already known, or of no use before the next snapshot.
    Duplicate,
    /// Something was lost: send `resync`. Deltas are ignored until the next snapshot.
    NeedResync,
}

/// The fleet as a client holds it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reducer {
    epoch: Option<String>,
    seq: Option<u64>,
    waiting: bool,
    rows: BTreeMap<u32, Row>,
    sum: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
#[serde(tag = "t", rename_all = "lowercase")]
enum Frame {
    Snap(Snap),
    D(Delta),
    Hb {
        seq: u64,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Snap {
    epoch: String,
    seq: u64,
    cols: Vec<String>,
    dict: Dictionary,
    rows: Vec<Vec<Value>>,
    sum: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
struct Dictionary {
    group: Vec<Value>,
    tags: Vec<Value>,
}

#[derive(Deserialize)]
struct Delta {
    prev: u64,
    seq: u64,
    #[serde(default)]
    del: Vec<u32>,
    #[serde(default)]
    up: Vec<(u32, Row)>,
    #[serde(default)]
    sum: BTreeMap<String, u64>,
}

impl Reducer {
    pub fn new() -> Reducer {
        Reducer::default()
    }

    /// Takes one frame; a frame that cannot be read counts as lost.
    pub fn apply(&mut self, frame: &str) -> Step {
        match serde_json::from_str(frame) {
            Ok(Frame::Snap(snap)) => self.apply_snap(snap),
            Ok(Frame::D(delta)) => self.apply_delta(delta),
            // Asked again on each beat: the request or its snapshot may be what was lost.
            Ok(Frame::Hb { seq }) if self.seq != Some(seq) || self.waiting => self.resync(),
            Ok(Frame::Hb { .. } | Frame::Other) => Step::Ok,
            Err(_) => self.resync(),
        }
    }

    /// By id.
    pub fn rows(&self) -> &BTreeMap<u32, Row> {
        &self.rows
    }

    /// Hosts by state: `down crit warn late unreach unk maint up`.
    pub fn sum(&self) -> &BTreeMap<String, u64> {
        &self.sum
    }

    /// The epoch and version to resume from; `None` where a snapshot is needed anyway.
    pub fn resume(&self) -> Option<(&str, u64)> {
        if self.waiting { None } else { Some((self.epoch.as_deref()?, self.seq?)) }
    }

    fn apply_snap(&mut self, snap: Snap) -> Step {
        let Some(id_at) = snap.cols.iter().position(|name| name == "id") else {
            return self.resync();
        };
        let mut rows = BTreeMap::new();
        for mut values in snap.rows {
            let id = values.get(id_at).and_then(Value::as_u64).map(u32::try_from);
            let (Some(Ok(id)), true) = (id, values.len() == snap.cols.len()) else {
                return self.resync();
            };
            let named = snap.cols.iter().zip(values.drain(..)).filter(|(name, _)| *name != "id");
            let row = named.map(|(name, value)| (name.clone(), snap.dict.expand(name, value)));
            rows.insert(id, row.collect());
        }
        self.epoch = Some(snap.epoch);
        self.seq = Some(snap.seq);
        self.waiting = false;
        self.rows = rows;
        self.sum = snap.sum;
        Step::Ok
    }

    fn apply_delta(&mut self, delta: Delta) -> Step {
        let Some(seq) = self.seq.filter(|seq| !self.waiting && delta.seq > *seq) else {
            return if self.seq.is_some() { Step::Duplicate } else { self.resync() };
        };
        if delta.prev != seq {
            return self.resync();
        }
        // Rule 2, this order: an id may be dropped and come again within one delta.
        for id in delta.del {
            self.rows.remove(&id);
        }
        for (id, columns) in delta.up {
            self.rows.entry(id).or_default().extend(columns);
        }
        self.sum.extend(delta.sum);
        self.seq = Some(delta.seq);
        Step::Ok
    }

    fn resync(&mut self) -> Step {
        self.waiting = true;
        Step::NeedResync
    }
}

impl Dictionary {
    /// Numbers become names; what is not in the dictionary becomes null.
    fn expand(&self, column: &str, value: Value) -> Value {
        let name = |names: &[Value], number: &Value| {
            let at = number.as_u64().and_then(|n| usize::try_from(n).ok());
            at.and_then(|at| names.get(at)).cloned().unwrap_or(Value::Null)
        };
        match (column, value) {
            ("group", number) => name(&self.group, &number),
            ("tags", Value::Array(numbers)) => {
                Value::Array(numbers.iter().map(|number| name(&self.tags, number)).collect())
            }
            (_, value) => value,
        }
    }
}
