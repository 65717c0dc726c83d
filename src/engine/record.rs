//! The tap: every number and every change of a host's standing, for those who keep them over time.
//!
//! Owns what `Effect::Record` carries, and the shapes that samples alike share. Never keeps a number itself. The
//! history takes it, and so may anybody else who wants each value once and in its time (Prometheus remote-write):
//! nothing in it is made for one of them. It is on the datagram path, so a sample costs one allocation for its
//! values, and nothing at all where nobody records.

use super::view::{self, Family, HostId};
use super::{Effect, Engine};
use crate::limits;
use crate::time::{Now, Wall};
use crate::wire::{Leaf, LeafValue, Plg};
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

/// Shapes that are looked after before those that nobody has any more are swept out.
const SWEEP_FROM: usize = 1024;

/// Something to keep.
#[derive(Clone, Debug, PartialEq)]
pub enum Recorded {
    Sample(Numbers),
    RoundTrip(RoundTrip),
    Standing {
        host: Arc<str>,
        at: Wall,
        standing: Standing,
    },
    /// The host was dropped: what is kept of it is nobody's business any more.
    Gone {
        host: Arc<str>,
    },
}

/// The numbers of one message of a monitor plugin (an info plugin describes, it does not measure).
#[derive(Clone, Debug, PartialEq)]
pub struct Numbers {
    pub host: Arc<str>,
    /// Which numbers: `values[i]` is of `shape.leaves()[i]`.
    pub shape: Arc<Shape>,
    /// When it was collected.
    pub at: Wall,
    /// It waited in the agent's spool: older than what came before it, perhaps.
    pub late: bool,
    /// Seconds between samples, where the agent says so.
    pub every: Option<u32>,
    pub values: Box<[f64]>,
}

/// A round trip that the agent measured over one address family.
#[derive(Clone, Debug, PartialEq)]
pub struct RoundTrip {
    pub host: Arc<str>,
    pub family: Family,
    pub at: Wall,
    pub ms: f64,
    /// Seconds between heartbeats.
    pub every: f64,
}

/// What counts for availability. Maintenance hides the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    Up,
    Down,
    Maintenance,
    /// Never heard, or behind a dead parent: nobody can say.
    Unknown,
}

impl Standing {
    pub const ALL: [Standing; 4] =
        [Standing::Up, Standing::Down, Standing::Maintenance, Standing::Unknown];

    pub fn of(host: &view::Host) -> Standing {
        match host.state {
            _ if host.maintenance => Standing::Maintenance,
            view::State::Up | view::State::Late | view::State::Degraded => Standing::Up,
            view::State::Down => Standing::Down,
            view::State::Unreachable | view::State::Unknown => Standing::Unknown,
        }
    }
}

/// The names of the numbers in a sample. Samples alike share one, also across hosts: who keeps them may go by the
/// pointer.
#[derive(Debug, PartialEq)]
pub struct Shape {
    plugin: Box<str>,
    leaves: Box<[Box<str>]>,
}

impl Shape {
    pub fn new(plugin: &str, leaves: &[&str]) -> Shape {
        Shape { plugin: plugin.into(), leaves: leaves.iter().map(|l| Box::from(*l)).collect() }
    }

    pub fn plugin(&self) -> &str {
        &self.plugin
    }

    /// Paths within the plugin's data, containers included: `partitions./.percent`. Their metric path is
    /// `alert::metric_path(plugin, leaf)`.
    pub fn leaves(&self) -> &[Box<str>] {
        &self.leaves
    }

    fn fits(&self, plugin: &str, leaves: &[Leaf<'_>]) -> bool {
        let mut own = self.leaves.iter();
        *self.plugin == *plugin
            && numbers(leaves).all(|(path, _)| own.next().is_some_and(|leaf| **leaf == *path))
            && own.next().is_none()
    }
}

fn numbers<'a>(leaves: &'a [Leaf<'a>]) -> impl Iterator<Item = (&'a str, f64)> {
    leaves.iter().filter_map(|leaf| match leaf.value {
        LeafValue::Number(number) => Some((leaf.path, number)),
        _ => None,
    })
}

/// All shapes in use, by a hash of their names. Holds none of them alive.
#[derive(Default)]
pub struct ShapeTable {
    by_hash: BTreeMap<u64, Vec<Weak<Shape>>>,
    len: usize,
    sweep_at: usize,
}

impl ShapeTable {
    fn get(&mut self, plugin: &str, leaves: &[Leaf<'_>]) -> Arc<Shape> {
        let hash = hash(plugin, leaves);
        let alike = self.by_hash.entry(hash).or_default();
        let known = alike.iter().filter_map(Weak::upgrade).find(|s| s.fits(plugin, leaves));
        if let Some(shape) = known {
            return shape;
        }
        let names: Vec<&str> = numbers(leaves).map(|(path, _)| path).collect();
        let shape = Arc::new(Shape::new(plugin, &names));
        alike.push(Arc::downgrade(&shape));
        self.len += 1;
        self.sweep();
        shape
    }

    /// Forgets shapes that nobody has. Each sweep is paid for by as many new shapes as it leaves.
    fn sweep(&mut self) {
        if self.len < self.sweep_at.max(SWEEP_FROM) {
            return;
        }
        self.by_hash.retain(|_, alike| {
            alike.retain(|shape| shape.strong_count() > 0);
            !alike.is_empty()
        });
        self.len = self.by_hash.values().map(Vec::len).sum();
        self.sweep_at = self.len * 2;
    }
}

/// FNV-1a over the names; what collides is told apart by comparing.
fn hash(plugin: &str, leaves: &[Leaf<'_>]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let mut mix = |text: &str| {
        for byte in text.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    mix(plugin);
    numbers(leaves).for_each(|(path, _)| mix(path));
    hash
}

impl Engine {
    /// Whether anybody keeps what is recorded.
    fn is_recording(&self) -> bool {
        self.config.history_enabled
            || self.config.remote_write.as_ref().is_some_and(|remote| remote.enabled)
    }

    /// The numbers of a sample that was accepted, a late one too.
    pub(super) fn record_sample(&mut self, id: HostId, plg: &Plg<'_>, at: Wall) {
        if !self.is_recording() || plg.info || numbers(plg.leaves).next().is_none() {
            return;
        }
        let Some(host) = self.table.host(id).map(|h| h.name.clone()) else { return };
        let Some(record) = self.table.record(id) else { return };
        let part = plg.part.map_or(0, |(i, _)| i);
        let at_slot =
            record.shapes.iter().position(|(p, s)| *p == part && s.plugin() == plg.plugin);
        let shape = match at_slot.map(|i| &mut record.shapes[i].1) {
            Some(shape) if shape.fits(plg.plugin, plg.leaves) => shape.clone(),
            Some(shape) => {
                *shape = self.shapes.get(plg.plugin, plg.leaves);
                shape.clone()
            }
            None => {
                let shape = self.shapes.get(plg.plugin, plg.leaves);
                let held: usize = record.shapes.iter().map(|(_, s)| s.leaves.len()).sum();
                if held + shape.leaves.len() > limits::METRICS_PER_HOST {
                    // More parts than its metrics need: they are found anew, which only takes longer.
                    record.shapes.clear();
                }
                record.shapes.push((part, shape.clone()));
                shape
            }
        };
        let mut values = Vec::with_capacity(shape.leaves().len());
        values.extend(numbers(plg.leaves).map(|(_, value)| value));
        let (late, every, values) = (plg.age_ms.is_some(), plg.every, values.into_boxed_slice());
        let numbers = Numbers { host, shape, at, late, every, values };
        self.effects.push_back(Effect::Record(Recorded::Sample(numbers)));
    }

    pub(super) fn record_rtt(&mut self, now: Now, id: HostId, family: Family, ms: f64, every: f64) {
        if !self.is_recording() {
            return;
        }
        let Some(host) = self.table.host(id).map(|h| h.name.clone()) else { return };
        let trip = RoundTrip { host, family, at: now.wall, ms, every };
        self.effects.push_back(Effect::Record(Recorded::RoundTrip(trip)));
    }

    pub(super) fn record_gone(&mut self, host: &Arc<str>) {
        if self.is_recording() {
            self.effects.push_back(Effect::Record(Recorded::Gone { host: host.clone() }));
        }
    }

    /// Tells the standing of every host whose standing may have changed in this turn.
    pub(super) fn record_standings(&mut self, now: Now) {
        for id in self.table.take_turned() {
            if !self.is_recording() {
                continue;
            }
            let Some(host) = self.table.host(id) else { continue };
            let (host, standing) = (host.name.clone(), Standing::of(host));
            let recorded = Recorded::Standing { host, at: now.wall, standing };
            self.effects.push_back(Effect::Record(recorded));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves<'a>(paths: &[&'a str]) -> Vec<Leaf<'a>> {
        paths.iter().map(|path| Leaf { path, value: LeafValue::Number(1.0) }).collect()
    }

    #[test]
    fn shapes_alike_are_one() {
        let mut table = ShapeTable::default();
        let first = table.get("cpu", &leaves(&["a", "b"]));
        assert!(Arc::ptr_eq(&first, &table.get("cpu", &leaves(&["a", "b"]))));
        let text = Leaf { path: "c", value: LeafValue::Text("x") };
        let with_text = [leaves(&["a"]), vec![text], leaves(&["b"])].concat();
        assert!(Arc::ptr_eq(&first, &table.get("cpu", &with_text)), "text is no number");
        for (plugin, paths) in
            [("cpu", vec!["a"]), ("mem", vec!["a", "b"]), ("cpu", vec!["b", "a"])]
        {
            assert!(
                !Arc::ptr_eq(&first, &table.get(plugin, &leaves(&paths))),
                "{plugin} {paths:?}"
            );
        }
    }

    #[test]
    fn shapes_that_nobody_has_are_swept_out() {
        let mut table = ShapeTable::default();
        let kept = table.get("p", &leaves(&["kept"]));
        for i in 0..3 * SWEEP_FROM {
            table.get("p", &leaves(&[&format!("m{i}")]));
        }
        assert!(table.len <= SWEEP_FROM, "{}", table.len);
        assert!(Arc::ptr_eq(&kept, &table.get("p", &leaves(&["kept"]))));
    }
}
