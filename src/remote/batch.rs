//! Samples on their way into requests: their labels, encoded once for each shape, and their order.
//!
//! Late samples (an agent's spool) go into requests of their own, before the others: a receiver may refuse a whole
//! request for one sample that is older than what it has, and the older must come first.

use super::proto::{self, Request};
use crate::alert::metric_path;
use crate::engine::view::Family;
use crate::engine::{Recorded, Shape};
use crate::time::Wall;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

pub const METRIC: &str = "heartbeat_metric";
pub const RTT: &str = "heartbeat_host_rtt_seconds";
/// Shapes whose labels are kept encoded; above it they are encoded anew.
const SHEETS_MAX: usize = 4096;
/// A request is closed when its bytes pass this, however few samples it has.
const BYTES_MAX: usize = 1 << 20;

/// The labels that every series has beside its own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Labels(BTreeMap<String, String>);

impl Labels {
    /// Those of the same name as our own are left out: ours count.
    pub fn new(labels: impl IntoIterator<Item = (String, String)>) -> Labels {
        let own = ["__name__", "host", "plugin", "metric", "family"];
        Labels(labels.into_iter().filter(|(name, _)| !own.contains(&name.as_str())).collect())
    }

    /// The series' labels in the order of their names, those before `host` and those after it.
    fn around_host(&self, name: &str, own: &[(&str, &str)]) -> (Vec<u8>, Vec<u8>) {
        let mut all: BTreeMap<&str, &str> = BTreeMap::from([("__name__", name)]);
        all.extend(self.0.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        all.extend(own.iter().copied());
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for (name, value) in all {
            proto::label(if name < "host" { &mut before } else { &mut after }, name, value);
        }
        (before, after)
    }
}

/// The encoded labels of a shape's numbers, `host` left out.
struct Leaves {
    /// Holds the shape, so that its address is not given to another.
    _shape: Arc<Shape>,
    before: Vec<u8>,
    /// One for each leaf; empty where two leaves have one path and the first has it.
    after: Vec<Vec<u8>>,
}

/// Labels that were encoded, and with which labels of the configuration.
#[derive(Default)]
pub struct Sheet {
    labels: Labels,
    /// By the address of the shape.
    leaves: HashMap<usize, Leaves>,
    rtt: Option<[(Vec<u8>, Vec<u8>); 2]>,
}

impl Sheet {
    pub fn new(labels: Labels) -> Sheet {
        Sheet { labels, ..Sheet::default() }
    }

    fn leaves(&mut self, shape: &Arc<Shape>) -> &Leaves {
        let address = Arc::as_ptr(shape) as usize;
        if self.leaves.len() >= SHEETS_MAX && !self.leaves.contains_key(&address) {
            self.leaves.clear();
        }
        let labels = &self.labels;
        self.leaves.entry(address).or_insert_with(|| encode(labels, shape))
    }

    fn rtt(&mut self, family: Family) -> &(Vec<u8>, Vec<u8>) {
        let labels = &self.labels;
        let both = self.rtt.get_or_insert_with(|| {
            Family::ALL.map(|family| labels.around_host(RTT, &[("family", family.as_str())]))
        });
        &both[family as usize]
    }
}

fn encode(labels: &Labels, shape: &Arc<Shape>) -> Leaves {
    let plugin = shape.plugin();
    let mut before = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    let mut after = Vec::with_capacity(shape.leaves().len());
    for leaf in shape.leaves() {
        let path = metric_path(plugin, leaf);
        let metric = path.get(plugin.len() + 1..).unwrap_or_default().to_owned();
        let (head, tail) = labels.around_host(METRIC, &[("plugin", plugin), ("metric", &metric)]);
        before = head;
        after.push(if seen.insert(metric) { tail } else { Vec::new() });
    }
    Leaves { _shape: shape.clone(), before, after }
}

/// What was gathered since the last requests were made.
#[derive(Default)]
pub struct Batch {
    records: Vec<Recorded>,
    samples: usize,
}

impl Batch {
    /// Takes what has numbers; the rest is not for a receiver.
    pub fn push(&mut self, recorded: Recorded) {
        self.samples += count(&recorded);
        if count(&recorded) > 0 {
            self.records.push(recorded);
        }
    }

    /// Samples in it.
    pub fn len(&self) -> usize {
        self.samples
    }

    pub fn is_empty(&self) -> bool {
        self.samples == 0
    }

    /// Makes the requests: each sample once, of one series in the order of time, at most `samples_max` in one.
    /// `give` gets each with the time of its oldest sample.
    pub fn drain(
        &mut self,
        sheet: &mut Sheet,
        samples_max: usize,
        give: &mut dyn FnMut(&Request, Wall),
    ) {
        self.samples = 0;
        let mut records = std::mem::take(&mut self.records);
        records.sort_by_key(|recorded| (!is_late(recorded), at(recorded)));
        let mut request = Request::default();
        let mut oldest = Wall::default();
        let mut late = false;
        for recorded in records {
            let is_late = is_late(&recorded);
            let full = request.samples() as usize + count(&recorded) > samples_max
                || request.len() >= BYTES_MAX;
            if !request.is_empty() && (full || is_late != late) {
                give(&request, oldest);
                request.clear();
            }
            if request.is_empty() {
                (oldest, late) = (at(&recorded), is_late);
            }
            write(&mut request, sheet, &recorded);
        }
        if !request.is_empty() {
            give(&request, oldest);
        }
    }
}

/// How many samples something recorded is.
pub fn count(recorded: &Recorded) -> usize {
    match recorded {
        Recorded::Sample(numbers) => numbers.values.len(),
        Recorded::RoundTrip(_) => 1,
        Recorded::Standing { .. } | Recorded::Gone { .. } => 0,
    }
}

fn is_late(recorded: &Recorded) -> bool {
    matches!(recorded, Recorded::Sample(numbers) if numbers.late)
}

fn at(recorded: &Recorded) -> Wall {
    match recorded {
        Recorded::Sample(numbers) => numbers.at,
        Recorded::RoundTrip(trip) => trip.at,
        Recorded::Standing { at, .. } => *at,
        Recorded::Gone { .. } => Wall::default(),
    }
}

fn millis(at: Wall) -> i64 {
    at.as_micros().div_euclid(1000)
}

fn write(request: &mut Request, sheet: &mut Sheet, recorded: &Recorded) {
    let mut host = Vec::with_capacity(64);
    match recorded {
        Recorded::Sample(numbers) => {
            proto::label(&mut host, "host", &numbers.host);
            let leaves = sheet.leaves(&numbers.shape);
            for (after, value) in leaves.after.iter().zip(&numbers.values) {
                if !after.is_empty() {
                    request.push(&[&leaves.before, &host, after], *value, millis(numbers.at));
                }
            }
        }
        Recorded::RoundTrip(trip) => {
            proto::label(&mut host, "host", &trip.host);
            let (before, after) = sheet.rtt(trip.family);
            // Microseconds are as exact as a round trip gets.
            let seconds = (trip.ms * 1e3).round() / 1e6;
            request.push(&[before, &host, after], seconds, millis(trip.at));
        }
        Recorded::Standing { .. } | Recorded::Gone { .. } => {}
    }
}

#[cfg(test)]
#[path = "batch_test.rs"]
mod tests;
