//! What changed between two checked configurations, and whether a reload applies it.

use super::{Entry, Origin, Server, Thresholds, key};

/// One key that changed; `live` false means "needs a restart".
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    pub key: String,
    pub live: bool,
}

type Same = fn(&Server, &Server) -> bool;

macro_rules! compared {
    ($($key:ident)*) => {
        &[$((stringify!($key), |a: &Server, b: &Server| a.$key == b.$key)),*]
    };
}

/// The fields that bear their key's name.
const COMPARED: &[(&str, Same)] = compared!(
    hb_port hb_host hbd_port ws_port wss_port https_port cert_path wss_pem wss_key http_hosts
    trusted_proxies public_url templates_dir site_name timezone ssh_url metrics_token status_page
    wall state_dir pickfile keys_file control_socket logfile agent_dir journal_enabled journal_dir
    journal_file journal_max_size journal_max_backups journal_min_free journal_redact
    history_enabled history_raw history_rollup history_max_size
    interval grace misses interval_max udp_policy hosts_max ghosts_max flap_transitions flap_window
    isolation_hosts isolation_percent isolation_window isolation_hold down_renotify_interval
    default_owner threshold_renotify_interval renotify_factor
    renotify_max escalation users session_idle session_max session_remember pushsrv group_wait
    notify_per_minute dead_man_url channels dyndomains nsupdate_bin dns_server dns_ttl nsupdate_key
    dns_timeout dns_trust_plain dns_private_flip remote_write pair maintenance
);

/// The keys whose values differ, in the order of the table; hosts one by one (`hosts.web1`).
pub fn difference(old: &Server, new: &Server) -> Vec<Change> {
    let mut changes = Vec::new();
    for key in key::TOP {
        if key.name == "hosts" {
            changes.extend(changed_hosts(old, new));
        } else if !is_same(key.name, old, new) {
            changes.push(Change { key: key.name.to_owned(), live: key.live });
        }
    }
    changes
}

fn is_same(key: &str, old: &Server, new: &Server) -> bool {
    match key {
        // Without an address of its own it follows whether there are users.
        "hbd_host" => {
            let follows = old.hbd_host.is_empty() && new.hbd_host.is_empty();
            old.hbd_host == new.hbd_host
                && !(follows && old.users.is_empty() != new.users.is_empty())
        }
        // Entries that only moved to another line are the same.
        "thresholds" => unplaced(&old.thresholds) == unplaced(&new.thresholds),
        "threshold_configs" => {
            let all = |server: &Server| -> Vec<(String, Thresholds)> {
                let sets = server.threshold_configs.iter();
                sets.map(|(name, set)| (name.clone(), unplaced(set))).collect()
            };
            all(old) == all(new)
        }
        "units" => old.units_si == new.units_si,
        "agent" => old.agent == new.agent && old.agent_enabled == new.agent_enabled,
        _ => COMPARED.iter().find(|(name, _)| *name == key).is_none_or(|(_, same)| same(old, new)),
    }
}

fn unplaced(set: &Thresholds) -> Thresholds {
    let without = |entry: &Entry| Entry { origin: Origin::default(), ..entry.clone() };
    set.iter().map(|(path, entry)| (path.clone(), without(entry))).collect()
}

fn changed_hosts(old: &Server, new: &Server) -> Vec<Change> {
    let added = new.hosts.keys().filter(|name| !old.hosts.contains_key(*name));
    let changed = old.hosts.iter().filter(|(name, host)| new.hosts.get(*name) != Some(host));
    let mut names: Vec<&String> = changed.map(|(name, _)| name).chain(added).collect();
    names.sort();
    names.iter().map(|name| Change { key: format!("hosts.{name}"), live: true }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_table_is_compared() {
        let apart = ["hbd_host", "units", "agent", "hosts", "thresholds", "threshold_configs"];
        for key in key::TOP {
            let found = COMPARED.iter().any(|(name, _)| *name == key.name);
            assert!(found || apart.contains(&key.name), "{}", key.name);
        }
    }

    #[test]
    fn difference_names_keys_and_tells_which_need_a_restart() {
        let old = Server::default();
        let mut new = Server { hb_port: 1, grace: std::time::Duration::ZERO, ..old.clone() };
        new.hosts.insert("web1".to_owned(), super::super::Host::default());
        let names: Vec<(String, bool)> =
            difference(&old, &new).into_iter().map(|c| (c.key, c.live)).collect();
        let want = [("hb_port", false), ("grace", true), ("hosts.web1", true)];
        assert_eq!(names, want.map(|(key, live)| (key.to_owned(), live)));
        assert_eq!(difference(&new, &new), []);
    }
}
