//! Plugin data in memory: the latest of each plugin and its last samples, under one bound for all hosts.

use super::view::{Gauges, HostId, Plugin, Sample};
use crate::limits;
use crate::time::Wall;
use crate::wire::{Leaf, LeafValue};
use std::collections::VecDeque;
use std::sync::Arc;

/// Bytes that a sample takes beside its text.
const SAMPLE_OVERHEAD: usize = 64;

/// Accounts for all samples; says which to drop when they are too many together.
pub struct SampleBudget {
    bytes: usize,
    bytes_max: usize,
    /// Every sample in the order of its coming.
    order: VecDeque<(HostId, Arc<str>)>,
}

impl SampleBudget {
    pub fn new(bytes_max: usize) -> SampleBudget {
        SampleBudget { bytes: 0, bytes_max, order: VecDeque::new() }
    }

    pub fn note(&mut self, id: HostId, plugin: Arc<str>, sample: &Sample) {
        self.bytes += size(sample);
        self.order.push_back((id, plugin));
    }

    pub fn forget(&mut self, sample: &Sample) {
        self.bytes = self.bytes.saturating_sub(size(sample));
    }

    /// The plugin whose oldest sample goes next, while there is too much.
    pub fn next_over(&mut self) -> Option<(HostId, Arc<str>)> {
        // One entry for each sample that came; what left by another way leaves a stale entry behind, which only
        // makes the sweep a little early. Twice the possible number bounds the queue.
        let over =
            self.bytes > self.bytes_max || self.order.len() > 2 * self.bytes_max / SAMPLE_OVERHEAD;
        if over { self.order.pop_front() } else { None }
    }
}

fn size(sample: &Sample) -> usize {
    sample.data.len() + SAMPLE_OVERHEAD
}

/// Puts a sample where its time belongs. Returns what had to leave the ring.
pub fn insert(plugin: &mut Plugin, sample: Arc<Sample>) -> Option<Arc<Sample>> {
    let at = plugin.samples.partition_point(|s| s.at <= sample.at);
    plugin.samples.insert(at, sample);
    if plugin.samples.len() > limits::SAMPLES_PER_PLUGIN {
        plugin.samples.pop_front()
    } else {
        None
    }
}

/// One part of a sample that came in several: its keys go over those that are there.
pub fn merge(latest: &str, part: &str) -> Option<Box<str>> {
    let mut whole: serde_json::Value = serde_json::from_str(latest).ok()?;
    merge_value(&mut whole, serde_json::from_str(part).ok()?);
    Some(whole.to_string().into())
}

fn merge_value(into: &mut serde_json::Value, from: serde_json::Value) {
    match (into, from) {
        (serde_json::Value::Object(into), serde_json::Value::Object(from)) => {
            for (key, value) in from {
                match into.get_mut(&key) {
                    Some(present) => merge_value(present, value),
                    None => {
                        into.insert(key, value);
                    }
                }
            }
        }
        (into, from) => *into = from,
    }
}

/// The three bars of the hosts table, where this plugin tells one.
pub fn gauge(gauges: Gauges, plugin: &str, leaves: &[Leaf<'_>]) -> Gauges {
    let number = |path: &str| {
        leaves.iter().find(|l| l.path == path).and_then(|l| match l.value {
            LeafValue::Number(n) => Some(n as f32),
            _ => None,
        })
    };
    match plugin {
        "cpu_monitor" => Gauges { cpu: number("cpu_percent"), ..gauges },
        "memory_monitor" => Gauges { memory: number("percent"), ..gauges },
        "disk_monitor" => Gauges { disk: fullest_partition(leaves), ..gauges },
        _ => gauges,
    }
}

fn fullest_partition(leaves: &[Leaf<'_>]) -> Option<f32> {
    leaves
        .iter()
        .filter(|l| l.path.ends_with(".percent") && l.path.starts_with("partitions."))
        .filter_map(|l| match l.value {
            LeafValue::Number(n) => Some(n as f32),
            _ => None,
        })
        .reduce(f32::max)
}

/// When a sample was collected: now, less its age.
pub fn collected_at(now: Wall, age_ms: Option<u32>) -> Wall {
    now - crate::time::Duration::from_millis(u64::from(age_ms.unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin() -> Plugin {
        Plugin { name: "p".into(), interval: None, info: false, samples: VecDeque::new() }
    }

    fn sample(secs: i64) -> Arc<Sample> {
        Arc::new(Sample { at: Wall::from_secs(secs), data: "{}".into() })
    }

    #[test]
    fn late_sample_takes_its_place_in_time() {
        let mut plugin = plugin();
        for secs in [10, 30, 20] {
            insert(&mut plugin, sample(secs));
        }
        let times: Vec<i64> = plugin.samples.iter().map(|s| s.at.as_secs()).collect();
        assert_eq!(times, [10, 20, 30]);
    }

    #[test]
    fn ring_over_its_limit_loses_the_oldest() {
        let mut plugin = plugin();
        let gone =
            (0..=limits::SAMPLES_PER_PLUGIN as i64).find_map(|s| insert(&mut plugin, sample(s)));
        assert_eq!(gone.map(|s| s.at.as_secs()), Some(0));
    }

    #[test]
    fn parts_merge_deep() {
        let whole = merge(
            r#"{"partitions":{"/":{"percent":1}},"a":1}"#,
            r#"{"partitions":{"/b":{"percent":2}},"a":2}"#,
        );
        assert_eq!(
            whole.as_deref(),
            Some(r#"{"a":2,"partitions":{"/":{"percent":1},"/b":{"percent":2}}}"#)
        );
        assert_eq!(merge("{", "{}"), None);
    }

    #[test]
    fn budget_over_its_limit_names_the_oldest() {
        let mut budget = SampleBudget::new(200);
        for id in 0..3 {
            budget.note(id, "p".into(), &sample(0));
        }
        assert_eq!(budget.next_over(), None);
        budget.note(3, "p".into(), &sample(0));
        assert_eq!(budget.next_over().map(|(id, _)| id), Some(0));
        budget.forget(&sample(0));
        assert_eq!(budget.next_over(), None);
    }
}
