//! Plugin data of the made-up host db-01.bsl, as the agent sends it; a few values go up and down.

use super::fixture::NOW;
use crate::engine::view::{Plugin, Sample};
use crate::prng::Prng;
use crate::time::Duration;
use serde_json::{Value, json};
use std::sync::Arc;

/// One of each plugin that the agents have.
const LATEST: &str = include_str!("fixture_plugin.json");
const SAMPLES: u32 = 60;

/// Plugin, path of the value, and how far it swings.
const WAVES: [(&str, &str, f64); 6] = [
    ("cpu_monitor", "/cpu_percent", 9.0),
    ("cpu_monitor", "/load_1min", 0.6),
    ("memory_monitor", "/used_mb", 900.0),
    ("network_monitor", "/interfaces/eno1/rx_mb_s", 4.0),
    ("queue_depth", "/waiting", 6.0),
    ("queue_depth", "/oldest_ms", 40.0),
];

/// Sorted by name.
pub fn all(prng: &mut Prng) -> Vec<Plugin> {
    let latest: Value = serde_json::from_str(LATEST).unwrap();
    latest.as_object().unwrap().iter().map(|(name, entry)| plugin(name, entry, prng)).collect()
}

fn plugin(name: &str, entry: &Value, prng: &mut Prng) -> Plugin {
    let interval = entry["interval"].as_u64().unwrap() as u32;
    let info = entry["info"] == true;
    let count = if info { 1 } else { SAMPLES };
    let samples = (0..count).map(|i| {
        let ago = u64::from(interval * (count - 1 - i)) + 21;
        let mut data = entry["data"].clone();
        for (_, path, swing) in WAVES.iter().filter(|(plugin, ..)| *plugin == name) {
            let value = data.pointer_mut(path).unwrap();
            let phase = f64::from(i) / 9.0;
            let moved = value.as_f64().unwrap() + swing * (phase.sin() + prng.fraction() - 0.5);
            *value = json!((moved * 10.0).round() / 10.0);
        }
        Arc::new(Sample { at: NOW.wall - Duration::from_secs(ago), data: data.to_string().into() })
    });
    let samples = samples.collect();
    Plugin { name: Arc::from(name), interval: Some(interval), info, samples }
}
