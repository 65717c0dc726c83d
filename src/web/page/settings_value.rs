//! The values of the configuration as text, by key, as the settings page shows them. Never a secret.

use super::clock::span;
use super::number;
use crate::config::section::Key;
use crate::config::server::{Server, key};
use crate::text::cut;
use crate::time::Duration;
use crate::web::Call;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// Of a section that is written on one line; the file has it whole.
const VALUE_MAX: usize = 400;

/// Keys whose value is shown; of sections how many entries they have.
pub fn values(call: &Call<'_>) -> BTreeMap<&'static str, String> {
    let config = &call.context.config;
    let mut values: BTreeMap<&'static str, String> = plain(config).into_iter().collect();
    values.extend(times(config));
    values.extend(counts(config));
    values.extend(written(call));
    values
}

/// As the configuration in force says them, secrets masked: over the above, since it has the sections whole.
fn written(call: &Call<'_>) -> Vec<(&'static str, String)> {
    let settings = call.context.accounts.settings();
    let settings: Json = serde_json::from_str(&settings).unwrap_or_default();
    let text = |key: &Key| {
        let plain = bare(&settings["config"][key.name]["value"]);
        match &plain {
            // A section stands below its key, entry by entry.
            Json::Null | Json::Object(_) => None,
            Json::String(text) => Some((key.name, text.clone())),
            other => {
                let whole = other.to_string();
                let short = cut(&whole, VALUE_MAX);
                let end = if short.len() < whole.len() { "…" } else { "" };
                Some((key.name, format!("{short}{end}")))
            }
        }
    };
    key::TOP.iter().filter_map(text).collect()
}

/// Without the origins that stand beside each value.
pub fn bare(value: &Json) -> Json {
    match value {
        Json::Object(members)
            if members.contains_key("value") && members.contains_key("origin") =>
        {
            bare(&value["value"])
        }
        Json::Object(members) => {
            Json::Object(members.iter().map(|(name, value)| (name.clone(), bare(value))).collect())
        }
        Json::Array(items) => Json::Array(items.iter().map(bare).collect()),
        plain => plain.clone(),
    }
}

fn list<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn plain(config: &Server) -> Vec<(&'static str, String)> {
    let or_off = |port: Option<u16>| port.map_or_else(|| "off".to_owned(), |port| port.to_string());
    let path = |path: &Option<std::path::PathBuf>| {
        path.as_ref().map(|path| path.display().to_string()).unwrap_or_default()
    };
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let cidrs: Vec<String> = config
        .trusted_proxies
        .iter()
        .map(|net| format!("{}/{}", net.address, net.prefix))
        .collect();
    vec![
        ("hb_port", config.hb_port.to_string()),
        ("hb_host", list(&config.hb_host)),
        ("hbd_port", config.hbd_port.to_string()),
        ("hbd_host", list(&config.hbd_host)),
        ("ws_port", or_off(config.ws_port)),
        ("wss_port", or_off(config.wss_port)),
        ("https_port", or_off(config.https_port)),
        ("cert_path", config.cert_path.display().to_string()),
        ("wss_pem", config.wss_pem.clone()),
        ("wss_key", config.wss_key.clone()),
        ("http_hosts", list(&config.http_hosts)),
        ("trusted_proxies", list(&cidrs)),
        ("public_url", text(&config.public_url)),
        ("templates_dir", path(&config.templates_dir)),
        ("site_name", config.site_name.clone()),
        ("timezone", text(&config.timezone)),
        ("units", if config.units_si { "si" } else { "iec" }.to_owned()),
        ("ssh_url", text(&config.ssh_url)),
        ("wall", config.wall.to_string()),
        ("state_dir", path(&config.state_dir)),
        ("pickfile", path(&config.pickfile)),
        ("keys_file", path(&config.keys_file)),
        ("control_socket", path(&config.control_socket)),
        ("logfile", path(&config.logfile)),
        ("agent_dir", path(&config.agent_dir)),
        ("journal_enabled", config.journal_enabled.to_string()),
        ("journal_dir", path(&config.journal_dir)),
        ("journal_file", config.journal_file.clone()),
        ("journal_max_size", number::bytes(config.journal_max_size as f64)),
        ("journal_max_backups", config.journal_max_backups.to_string()),
        ("journal_min_free", number::bytes(config.journal_min_free as f64)),
        ("journal_redact", list(&config.journal_redact)),
        ("history_enabled", config.history_enabled.to_string()),
        ("history_max_size", number::bytes(config.history_max_size as f64)),
        ("hosts_max", config.hosts_max.to_string()),
        ("ghosts_max", config.ghosts_max.to_string()),
        (
            "udp_policy",
            config.udp_policy.map_or_else(String::new, |policy| policy.as_str().to_owned()),
        ),
        ("misses", config.misses.map_or_else(String::new, |misses| misses.to_string())),
        ("flap_transitions", config.flap_transitions.to_string()),
        ("isolation_hosts", config.isolation_hosts.to_string()),
        ("isolation_percent", format!("{} %", number::short(config.isolation_percent))),
        ("default_owner", text(&config.default_owner)),
        ("pushsrv", list(&config.pushsrv)),
        ("notify_per_minute", config.notify_per_minute.to_string()),
        ("renotify_factor", number::short(config.renotify_factor)),
        ("dyndomains", list(&config.dyndomains)),
        ("nsupdate_bin", config.nsupdate_bin.display().to_string()),
        ("dns_server", text(&config.dns_server)),
        ("dns_ttl", format!("{} s", config.dns_ttl)),
        ("nsupdate_key", path(&config.nsupdate_key)),
        ("dns_trust_plain", config.dns_trust_plain.to_string()),
        ("dns_private_flip", config.dns_private_flip.to_string()),
    ]
}

fn times(config: &Server) -> Vec<(&'static str, String)> {
    let shown = |length: Duration| if length.is_zero() { "off".to_owned() } else { span(length) };
    [
        ("history_raw", config.history_raw),
        ("history_rollup", config.history_rollup),
        ("interval", config.interval),
        ("grace", config.grace),
        ("interval_max", config.interval_max),
        ("flap_window", config.flap_window),
        ("isolation_window", config.isolation_window),
        ("isolation_hold", config.isolation_hold),
        ("down_renotify_interval", config.down_renotify_interval),
        ("threshold_renotify_interval", config.threshold_renotify_interval),
        ("renotify_max", config.renotify_max),
        ("session_idle", config.session_idle),
        ("session_max", config.session_max),
        ("session_remember", config.session_remember),
        ("group_wait", config.group_wait),
        ("dns_timeout", config.dns_timeout),
    ]
    .map(|(name, length)| (name, shown(length)))
    .into()
}

fn counts(config: &Server) -> Vec<(&'static str, String)> {
    let entries = |count: usize| match count {
        1 => "1 entry".to_owned(),
        count => format!("{} entries", number::count(count as u64)),
    };
    [
        ("hosts", config.hosts.len()),
        ("users", config.users.len()),
        ("channels", config.channels.len()),
        ("maintenance", config.maintenance.len()),
        ("threshold_configs", config.threshold_configs.len()),
        ("escalation", config.escalation.len()),
    ]
    .map(|(name, count)| (name, entries(count)))
    .into()
}
