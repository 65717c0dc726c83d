//! `hosts/H/plugins` and `hosts/H/plugins/P`: what the agents collected, as they sent it.

use super::json::raw;
use super::{number, ok};
use crate::engine::view::Plugin;
use crate::web::authz::{Access, Monitor};
use crate::web::problem::Problem;
use crate::web::{Answer, Call};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

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

/// `GET hosts/H/plugins/P?limit=50`, oldest first.
pub fn samples(call: &Call<'_>, access: &Access<'_, Monitor>) -> Answer {
    #[derive(Serialize)]
    struct Samples<'a> {
        host: &'a str,
        plugin: &'a str,
        samples: Vec<Collected<'a>>,
    }
    let host = access.host();
    let limit = number(call, "limit", 1..=SAMPLES_MAX)?.unwrap_or(SAMPLES_DEFAULT) as usize;
    let plugin = host.plugin(call.param("plugin")).ok_or_else(|| {
        Problem::new(404, "no_such_plugin", "The host has not sent data of this plugin.")
            .hint(format!("GET /api/0/hosts/{}/plugins lists what it has sent.", host.name))
    })?;
    let skipped = plugin.samples.len().saturating_sub(limit);
    let samples = plugin
        .samples
        .iter()
        .skip(skipped)
        .map(|s| Collected { timestamp: s.at.as_secs_f64(), data: raw(&s.data) })
        .collect();
    ok(&Samples { host: &host.name, plugin: &plugin.name, samples })
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
