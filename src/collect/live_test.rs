//! The built-in plugins against this machine's own kernel.

use super::*;
use crate::time::Mono;
use serde_json::Value;

fn sample(plugin: &mut dyn Plugin, seconds: u64) -> Value {
    let now = Now { mono: Mono::from_secs(seconds), ..Now::default() };
    let mut out = String::new();
    plugin.collect(now, &mut out).expect("collected");
    serde_json::from_str(&out).expect("strict JSON")
}

/// Every number in the sample whose key ends in `percent`.
fn percents(value: &Value, into: &mut Vec<f64>) {
    let Value::Object(map) = value else { return };
    for (key, value) in map {
        match value.as_f64() {
            Some(number) if key.ends_with("percent") => into.push(number),
            _ => percents(value, into),
        }
    }
}

#[test]
fn plugins_of_this_machine_give_values_in_range() {
    for mut plugin in builtin(&Agent::default(), super::FULL) {
        for seconds in [1, 2] {
            let value = sample(plugin.as_mut(), seconds);
            let mut found = Vec::new();
            percents(&value, &mut found);
            assert!(found.iter().all(|p| (0.0..=100.0).contains(p)), "{}: {value}", plugin.name());
        }
    }
}

/// `cargo test --release --lib collect_cycle -- --ignored --nocapture`
#[test]
#[ignore = "a measurement: prints the CPU time of one cycle"]
fn collect_cycle_cost() {
    const ROUNDS: u64 = 1000;
    let mut plugins = builtin(&Agent::default(), super::MINI);
    let mut out = String::new();
    for plugin in &mut plugins {
        let start = cpu_micros();
        for round in 0..ROUNDS {
            out.clear();
            let now = Now { mono: Mono::from_secs(round), ..Now::default() };
            plugin.collect(now, &mut out).expect("collected");
        }
        let each = (cpu_micros() - start) as f64 / ROUNDS as f64;
        println!("{:16} {each:7.1} us CPU, {} bytes\n{out}", plugin.name(), out.len());
    }
}

/// CPU time of this thread so far, from the scheduler (proc(5), `schedstat`).
fn cpu_micros() -> u64 {
    let path = std::path::PathBuf::from("/proc/thread-self/schedstat");
    let bytes = kernel_file::read_once(path, 100).expect("read");
    scan::words(&bytes).next().and_then(scan::number).expect("nanoseconds") / 1000
}
