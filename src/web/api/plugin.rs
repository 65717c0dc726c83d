//! `hosts/H/plugins` and `hosts/H/plugins/P`: what the agents collected, as they sent it.

use super::json::raw;
use super::{number, ok};
use crate::engine::view::Plugin;
use crate::time::{Duration, Wall};
use crate::web::authz::{Access, Monitor};
use crate::web::nest::Ways;
use crate::web::problem::Problem;
use crate::web::{Answer, Call, csv};
use serde::{Serialize, Serializer};
use serde_json::Value as Json;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};

const SAMPLES_DEFAULT: u64 = 50;
const SAMPLES_MAX: u64 = 1000;

#[derive(Serialize)]
struct Latest<'a> {
    timestamp: Option<f64>,
    interval: Option<u32>,
    data: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Collected<'a> {
    timestamp: f64,
    data: &'a RawValue,
}

/// `GET hosts/H/plugins`
pub fn all(_: &Call<'_>, access: &Access<'_, Monitor>) -> Answer {
    #[derive(Serialize)]
    struct All<'a> {
        host: &'a str,
        #[serde(serialize_with = "by_name")]
        plugins: &'a [Plugin],
    }
    let host = access.host();
    ok(&All { host: &host.name, plugins: &host.plugins })
}

/// `GET hosts/H/plugins/P?limit=50&format=json|csv`, oldest first: those in memory as they were sent, before them the
/// numbers that the history keeps.
pub fn samples(call: &Call<'_>, access: &Access<'_, Monitor>) -> Answer {
    #[derive(Serialize)]
    struct Samples<'a> {
        host: &'a str,
        plugin: &'a str,
        samples: Vec<Collected<'a>>,
    }
    let host = access.host();
    let limit = number(call, "limit", 1..=SAMPLES_MAX)?.unwrap_or(SAMPLES_DEFAULT) as usize;
    let is_csv = csv::is_wanted(call)?;
    let name = call.param("plugin");
    let plugin = host.plugin(name);
    let held = plugin.map_or(0, |plugin| plugin.samples.len());
    let older = older(call, &host.name, name, plugin, limit.saturating_sub(held));
    if plugin.is_none() && older.is_empty() {
        return Err(Problem::new(
            404,
            "no_such_plugin",
            "The host has not sent data of this plugin.",
        )
        .hint(format!("GET /api/0/hosts/{}/plugins lists what it has sent.", host.name)));
    }
    let before = older.iter().map(|(at, data)| Collected { timestamp: at.as_secs_f64(), data });
    let recent = plugin.into_iter().flat_map(|p| &p.samples).skip(held.saturating_sub(limit));
    let recent = recent.map(|s| Collected { timestamp: s.at.as_secs_f64(), data: raw(&s.data) });
    let samples: Vec<_> = before.chain(recent).collect();
    if is_csv {
        return Ok(csv::response(&format!("{}-{name}.csv", host.name), table(&samples)));
    }
    ok(&Samples { host: &host.name, plugin: name, samples })
}

/// The numbers of `count` samples from before those in memory; none where no history can be read.
fn older(
    call: &Call<'_>,
    host: &str,
    name: &str,
    plugin: Option<&Plugin>,
    count: usize,
) -> Vec<(Wall, Box<RawValue>)> {
    if count == 0 || plugin.is_some_and(|plugin| plugin.info) {
        return Vec::new();
    }
    let oldest = plugin.and_then(|plugin| plugin.samples.front());
    // The history counts in milliseconds: the oldest in memory must not come a second time.
    let before = oldest.map_or(call.context.now.wall + Duration::from_secs(1), |sample| {
        sample.at - Duration::from_micros(sample.at.as_micros().rem_euclid(1000) as u64)
    });
    let found = call.context.history.samples(host, name, before, count).unwrap_or_default();
    let latest = plugin.and_then(Plugin::latest);
    let latest = latest.and_then(|sample| serde_json::from_str(&sample.data).ok());
    let ways = Ways::of(name, &latest.unwrap_or_default());
    let nested = found.into_iter().filter_map(|sample| {
        let data = serde_json::value::to_raw_value(&ways.nest(&sample.numbers)).ok()?;
        Some((sample.at, data))
    });
    nested.collect()
}

/// A row for each sample, a column for each leaf of any of them.
fn table(samples: &[Collected<'_>]) -> csv::Table {
    let rows: Vec<BTreeMap<String, Json>> = samples
        .iter()
        .map(|sample| {
            let mut leaves = BTreeMap::new();
            let data = serde_json::from_str(sample.data.get()).unwrap_or_default();
            flatten("", &data, &mut leaves);
            leaves
        })
        .collect();
    let names: BTreeSet<&str> =
        rows.iter().flat_map(|row| row.keys().map(String::as_str)).collect();
    let head: Vec<&str> = ["time", "unix"].into_iter().chain(names.iter().copied()).collect();
    let mut table = csv::Table::new(&head);
    for (sample, row) in samples.iter().zip(&rows) {
        let at = Wall::from_secs_f64(sample.timestamp);
        let mut cells = vec![csv::Cell::Time(at), csv::Cell::Number(Some(sample.timestamp))];
        cells.extend(names.iter().map(|name| match row.get(*name) {
            Some(Json::Number(number)) => csv::Cell::Number(number.as_f64()),
            Some(Json::String(text)) => csv::Cell::Text(text),
            Some(Json::Bool(truth)) => csv::Cell::Text(if *truth { "true" } else { "false" }),
            _ => csv::Cell::Number(None),
        }));
        table.push(&cells);
    }
    table
}

fn flatten(path: &str, value: &Json, leaves: &mut BTreeMap<String, Json>) {
    let join = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Json::Object(members) => {
            members.iter().for_each(|(key, value)| flatten(&join(key), value, leaves));
        }
        Json::Array(items) => {
            let numbered = items.iter().enumerate();
            numbered.for_each(|(i, value)| flatten(&join(&i.to_string()), value, leaves));
        }
        leaf => drop(leaves.insert(path.to_owned(), leaf.clone())),
    }
}

fn by_name<S: Serializer>(plugins: &&[Plugin], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(plugins.iter().map(|plugin| {
        let latest = plugin.latest();
        let entry = Latest {
            timestamp: latest.map(|s| s.at.as_secs_f64()),
            interval: plugin.interval,
            data: latest.map(|s| raw(&s.data)),
        };
        (&*plugin.name, entry)
    }))
}
