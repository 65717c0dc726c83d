//! Checks `hbd.yaml`: the top level, key by key; sections of their own form have files of their
//! own.

use super::{Origin, Server, UdpPolicy, key};
use super::{
    channel, escalation, host, maintenance, pair, reference, remote_write, threshold, user,
};
use crate::config::agent::{self, set};
use crate::config::node::{self, Node, Value, merge};
use crate::config::problem::{OLD_KEY, Problem};
use crate::config::scalar;
use crate::config::section::{At, Fault, Report, Section};
use crate::config::{Document, problem::quoted};
use crate::text;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Checks the documents in merge order (the main file, then `conf.d`): maps merge, lists replace.
/// The result is usable even with problems: what is at fault has its default. All problems are
/// collected, in the order of the files and lines.
pub fn check(documents: &[Document]) -> (Server, Vec<Problem>) {
    let root = merge(documents);
    let mut report = Report::new(documents);
    let mut server = Server::default();
    let at = At::new(&root, "");
    if let Some(section) = Section::open_with(&mut report, &at, key::TOP, old_key) {
        check_pages(&section, &mut report, &mut server);
        check_files(&section, &mut report, &mut server);
        check_liveness(&section, &mut report, &mut server);
        check_notices(&section, &mut report, &mut server);
        check_dns(&section, &mut report, &mut server);
        check_sections(&section, &mut report, &mut server);
        reference::check(&section, &mut report, &mut server);
    }
    record_origins(&root, documents, &mut server);
    let mut problems = report.problems;
    let order = |file: &str| documents.iter().position(|document| document.file == file);
    problems.sort_by_key(|problem| (order(&problem.file), problem.line, problem.column));
    (server, problems)
}

fn old_key(report: &mut Report<'_>, key: &node::Key) -> bool {
    let Some((_, instead)) = key::OLD.iter().find(|(name, _)| *name == key.text) else {
        return false;
    };
    let what = "not needed any more, ignored".to_owned();
    report.warn(key.span, &key.text, OLD_KEY, what, instead);
    true
}

fn check_pages(section: &Section<'_>, report: &mut Report<'_>, server: &mut Server) {
    set(&mut server.hb_port, section.port(report, "hb_port"));
    set(&mut server.hb_host, addresses(section, report, "hb_host"));
    set(&mut server.hbd_port, section.port(report, "hbd_port"));
    set(&mut server.hbd_host, addresses(section, report, "hbd_host"));
    // An explicit null is "off" and not the default.
    if section.has("ws_port") && section.get("ws_port").is_none() {
        server.ws_port = None;
    } else if let Some(port) = section.port(report, "ws_port") {
        server.ws_port = Some(port);
    }
    server.wss_port = section.port(report, "wss_port");
    server.https_port = section.port(report, "https_port");
    set(&mut server.cert_path, section.path(report, "cert_path"));
    set(&mut server.wss_pem, section.read(report, "wss_pem", scalar::file_name));
    set(&mut server.wss_key, section.read(report, "wss_key", scalar::file_name));
    set(&mut server.http_hosts, section.list(report, "http_hosts", scalar::host_name));
    set(&mut server.trusted_proxies, section.list(report, "trusted_proxies", scalar::cidr));
    server.public_url = section.read(report, "public_url", scalar::url);
    server.templates_dir = section.path(report, "templates_dir");
    set(&mut server.site_name, section.text(report, "site_name"));
    server.timezone = section.read(report, "timezone", maintenance::zone);
    server.units_si = section.choice(report, "units") == Some("si");
    server.ssh_url = section.read(report, "ssh_url", scalar::ssh_url);
    server.metrics_token = section.secret(report, "metrics_token");
    server.status_page =
        section.get("status_page").and_then(|at| user::check_status_page(report, &at));
    set(&mut server.wall, section.bool(report, "wall"));
}

fn check_files(section: &Section<'_>, report: &mut Report<'_>, server: &mut Server) {
    server.state_dir = section.path(report, "state_dir");
    server.pickfile = section.path(report, "pickfile");
    server.keys_file = section.path(report, "keys_file");
    server.control_socket = section.path(report, "control_socket");
    server.logfile = section.path(report, "logfile");
    server.agent_dir = section.path(report, "agent_dir");
    set(&mut server.journal_enabled, section.bool(report, "journal_enabled"));
    server.journal_dir = section.path(report, "journal_dir");
    set(&mut server.journal_file, section.read(report, "journal_file", scalar::file_name));
    set(&mut server.journal_max_size, section.size(report, "journal_max_size"));
    set(&mut server.journal_max_backups, count(section, report, "journal_max_backups"));
    set(&mut server.journal_min_free, section.size(report, "journal_min_free"));
    set(&mut server.journal_redact, section.texts(report, "journal_redact"));
    set(&mut server.history_enabled, section.bool(report, "history_enabled"));
    set(&mut server.history_raw, section.duration(report, "history_raw"));
    set(&mut server.history_rollup, section.duration(report, "history_rollup"));
    set(&mut server.history_max_size, section.size(report, "history_max_size"));
}

fn check_liveness(section: &Section<'_>, report: &mut Report<'_>, server: &mut Server) {
    set(&mut server.interval, section.duration(report, "interval"));
    set(&mut server.grace, section.duration(report, "grace"));
    server.misses = count(section, report, "misses");
    set(&mut server.interval_max, section.duration(report, "interval_max"));
    server.udp_policy = match section.choice(report, "udp_policy") {
        Some("open") => Some(UdpPolicy::Open),
        Some("known") => Some(UdpPolicy::Known),
        Some("sealed") => Some(UdpPolicy::Sealed),
        _ => None,
    };
    set(&mut server.hosts_max, count(section, report, "hosts_max").map(|n| n as usize));
    set(&mut server.ghosts_max, count(section, report, "ghosts_max").map(|n| n as usize));
    set(&mut server.flap_transitions, count(section, report, "flap_transitions"));
    set(&mut server.flap_window, section.duration(report, "flap_window"));
    set(&mut server.isolation_hosts, count(section, report, "isolation_hosts"));
    set(&mut server.isolation_percent, section.number(report, "isolation_percent"));
    set(&mut server.isolation_window, section.duration(report, "isolation_window"));
    set(&mut server.isolation_hold, section.duration(report, "isolation_hold"));
    let interval = section.duration(report, "down_renotify_interval");
    set(&mut server.down_renotify_interval, interval);
}

fn check_notices(section: &Section<'_>, report: &mut Report<'_>, server: &mut Server) {
    let interval = section.duration(report, "threshold_renotify_interval");
    set(&mut server.threshold_renotify_interval, interval);
    set(&mut server.renotify_factor, section.number(report, "renotify_factor"));
    set(&mut server.renotify_max, section.duration(report, "renotify_max"));
    set(&mut server.session_idle, section.duration(report, "session_idle"));
    set(&mut server.session_max, section.duration(report, "session_max"));
    set(&mut server.session_remember, section.duration(report, "session_remember"));
    set(&mut server.group_wait, section.duration(report, "group_wait"));
    set(&mut server.notify_per_minute, count(section, report, "notify_per_minute"));
    server.dead_man_url = section.read(report, "dead_man_url", channel::secret_url);
}

fn check_dns(section: &Section<'_>, report: &mut Report<'_>, server: &mut Server) {
    set(&mut server.dyndomains, section.list(report, "dyndomains", zone));
    set(&mut server.nsupdate_bin, section.path(report, "nsupdate_bin"));
    server.dns_server = section.read(report, "dns_server", |at| {
        let text = scalar::word(at, 300)?;
        let fix = "write a name or an address, with :port where it is not 53".to_owned();
        match agent::parse_server(&text) {
            Ok(_) => Ok(text),
            Err(what) => Err(Fault { code: "E0106", what, fix }),
        }
    });
    set(&mut server.dns_ttl, count(section, report, "dns_ttl"));
    server.nsupdate_key = section.path(report, "nsupdate_key");
    set(&mut server.dns_timeout, section.duration(report, "dns_timeout"));
    set(&mut server.dns_trust_plain, section.bool(report, "dns_trust_plain"));
    set(&mut server.dns_private_flip, section.bool(report, "dns_private_flip"));
}

fn check_sections(section: &Section<'_>, report: &mut Report<'_>, server: &mut Server) {
    if let Some(at) = section.get("users") {
        let (users, first_admin) = user::check(report, &at);
        server.users = users;
        server.default_owner = first_admin;
    }
    if let Some(at) = section.get("remote_write") {
        server.remote_write = remote_write::check(report, &at);
    }
    if let Some(at) = section.get("pair") {
        server.pair = pair::check(report, &at);
    }
    if let Some(at) = section.get("channels") {
        server.channels = channel::check(report, &at);
    }
    if let Some(at) = section.get("thresholds") {
        threshold::check_base(report, &at, server, section.has("threshold_renotify_interval"));
    }
    if let Some(at) = section.get("threshold_configs") {
        server.threshold_configs = threshold::check_profiles(report, &at, &server.thresholds);
    }
    if let Some(at) = section.get("escalation") {
        server.escalation = escalation::check(report, &at);
    }
    if let Some(at) = section.get("hosts") {
        server.hosts = host::check(report, &at);
    }
    if let Some(at) = section.get("maintenance") {
        server.maintenance = maintenance::check(report, &at);
    }
    if let Some(at) = section.get("agent") {
        check_agent(report, &at, server);
    }
}

/// `agent:` is an agent's file with `enabled` and without `servers`.
fn check_agent(report: &mut Report<'_>, at: &At<'_>, server: &mut Server) {
    server.agent = agent::check_at(report, at, |_, key| key.text == "enabled");
    if let Some(at) = at.get("enabled") {
        match scalar::boolean(&at) {
            Ok(enabled) => server.agent_enabled = enabled,
            Err(fault) => report.fault(&at, fault),
        }
    }
    if let Some(at) = at.get("servers") {
        let what = "the server's own agent reports to this server only".to_owned();
        report.error(&at, "E0117", what, "remove servers");
        server.agent.servers.clear();
    }
}

/// Addresses to bind; `localhost` is both of loopback.
fn addresses(section: &Section<'_>, report: &mut Report<'_>, name: &str) -> Option<Vec<IpAddr>> {
    let lists = section.list(report, name, |at| match &at.node.value {
        Value::Text(text) if text == "localhost" => {
            Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()])
        }
        _ => scalar::address(at).map(|address| vec![address]),
    });
    lists.map(|lists| lists.concat())
}

/// A whole number of the table's range, none of which is negative or larger than 2^32.
fn count(section: &Section<'_>, report: &mut Report<'_>, name: &str) -> Option<u32> {
    section.int(report, name).and_then(|n| u32::try_from(n).ok())
}

/// A zone of dynamic DNS: a name; the dot at its end is left out.
fn zone(at: &At<'_>) -> Result<String, Fault> {
    let text = scalar::word(at, 255)?;
    let name = text.trim_end_matches('.');
    match text::parse_name(name) {
        Ok(name) => Ok(name.into_owned()),
        Err(error) => Err(Fault {
            code: "E0106",
            what: format!("{} is not a zone: the name {error}", quoted(&text)),
            fix: "write a domain such as dyn.example.net".to_owned(),
        }),
    }
}

/// Remembers where each top-level key and each host was written.
fn record_origins(root: &Node, documents: &[Document], server: &mut Server) {
    let Value::Map(entries) = &root.value else { return };
    for (key, node) in entries {
        server.origins.insert(key.text.clone(), origin(key, documents));
        let is_named = matches!(key.text.as_str(), "hosts" | "users");
        if let (true, Value::Map(names)) = (is_named, &node.value) {
            for (name, _) in names {
                let path = format!("{}.{}", key.text, name.text.to_ascii_lowercase());
                server.origins.insert(path, origin(name, documents));
            }
        }
    }
    let entries = |name: &str, set: &super::Thresholds| {
        let path = |key: &str| format!("{name}.{key}");
        set.iter().map(|(key, entry)| (path(key), entry.origin.clone())).collect::<Vec<_>>()
    };
    let mut found = entries("thresholds", &server.thresholds);
    for (name, set) in &server.threshold_configs {
        found.extend(entries(&format!("threshold_configs.{name}.thresholds"), set));
    }
    server.origins.extend(found);
}

fn origin(key: &node::Key, documents: &[Document]) -> Origin {
    let file = documents.get(usize::from(key.span.document)).map(|d| d.file.clone());
    Origin { file: file.unwrap_or_default(), line: key.span.line }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::agent;
    use crate::config::section::{Key, Kind};
    use crate::yaml;

    fn document(file: &str, text: &str) -> Document {
        let (root, _) = yaml::read(text, file).expect("a test's text is YAML");
        Document { file: file.to_owned(), text: text.to_owned(), root }
    }

    fn checked(text: &str) -> Server {
        let (server, problems) = check(&[document("hbd.yaml", text)]);
        let lines: Vec<String> = problems.iter().map(Problem::render_line).collect();
        assert!(lines.is_empty(), "{lines:?}");
        server
    }

    /// The defaults that a table tells people, as a file.
    fn defaults_of(keys: &[Key]) -> String {
        let literal = |key: &&Key| match key.kind {
            Kind::Section | Kind::List(_) | Kind::Secret => false,
            Kind::Path => {
                key.default.starts_with('/')
                    && !key.name.ends_with("_dir")
                    && key.name != "control_socket"
            }
            _ => !key.default.contains(' ') && !["none", "off"].contains(&key.default),
        };
        keys.iter().filter(literal).map(|key| format!("{}: {}\n", key.name, key.default)).collect()
    }

    #[test]
    fn defaults_in_the_table_are_the_defaults_of_the_structs() {
        let text = defaults_of(key::TOP);
        assert!(text.lines().count() > 40, "{text}");
        let server = Server { origins: Default::default(), ..checked(&text) };
        assert_eq!(format!("{server:?}"), format!("{:?}", Server::default()));
        let text = defaults_of(agent::KEYS);
        let (agent, problems) = agent::check(&document("hbc.yaml", &text));
        let agent = agent::Agent { spool_max: None, ..agent };
        assert_eq!((agent, problems), (agent::Agent::default(), Vec::new()));
    }

    #[test]
    fn documents_merge_maps_and_replace_lists() {
        let main = document("hbd.yaml", "pushsrv: [a]\nhosts:\n  web1: {tags: [x], group: g}\n");
        let more = "hosts:\n  web1: {tags: [y]}\n  web2:\npushsrv: none\ngrace: soon\n";
        let (server, problems) = check(&[main, document("conf.d/1.yaml", more)]);
        assert_eq!(server.hosts["web1"].tags, ["y"]);
        assert_eq!(server.hosts["web1"].group.as_deref(), Some("g"));
        assert!(server.hosts.contains_key("web2") && server.pushsrv.is_empty());
        assert_eq!(problems.len(), 1);
        assert!(problems[0].render_line().starts_with("conf.d/1.yaml:5:8: grace: "));
        let origin = |key: &str| server.origins[key].clone();
        assert_eq!(origin("hosts"), Origin { file: "hbd.yaml".to_owned(), line: 2 });
        assert_eq!(origin("hosts.web2"), Origin { file: "conf.d/1.yaml".to_owned(), line: 3 });
    }

    #[test]
    fn old_key_is_named_in_the_documented_line() {
        let (_, problems) = check(&[document("hbd.yaml", "\n\n\n\n\n\nthreads: 4\n")]);
        let line = problems[0].render_line();
        assert_eq!(line, "hbd.yaml:7:1: threads: not needed any more, ignored");
        assert!(!problems[0].fails_check());
    }

    #[test]
    fn threshold_paths_leave_containers_out_and_keep_their_origin() {
        let server = checked(
            "thresholds:\n  threshold_renotify_interval: 60\n  rtt: {WEB-1: {warning: 1}}\n  \
             disk_monitor:\n    partitions:\n      \
             /srv/a.b: {percent: {critical: 90, for: 5m}}\n    \
             /: {percent: {warning: 80}}\n  \
             memory_monitor: {memory_percent: {warning: 85}}\n  \
             mine: {pools: {x: {warning: 1}}}\n  \
             zfs_monitor.tank.capacity_percent: {warning: 80}\n",
        );
        let paths: Vec<&str> = server.thresholds.keys().map(String::as_str).collect();
        let want = [
            "disk_monitor./.percent",
            "disk_monitor./srv/a.b.percent",
            "memory_monitor.percent",
            "mine.pools.x",
            "rtt.web-1",
            "zfs_monitor.tank.capacity_percent",
        ];
        assert_eq!(paths, want);
        assert_eq!(server.threshold_renotify_interval.as_secs(), 60);
        let entry = &server.thresholds["disk_monitor./srv/a.b.percent"];
        assert_eq!(entry.path, ["disk_monitor", "/srv/a.b", "percent"]);
        assert_eq!(entry.origin.line, 6);
        assert_eq!(server.origins["thresholds.disk_monitor./.percent"].line, 7);
    }

    #[test]
    fn first_admin_in_file_order_is_the_default_owner() {
        let server = checked("users:\n  zoe: {admin: true}\n  adam: {admin: true}\n");
        assert_eq!(server.default_owner.as_deref(), Some("zoe"));
        let server = checked("users:\n  zoe: {admin: true}\n  adam:\ndefault_owner: adam\n");
        assert_eq!(server.default_owner.as_deref(), Some("adam"));
    }

    #[test]
    fn pushsrv_all_takes_the_channels_that_have_a_destination() {
        let channels = "channels:\n  email: {host: h, from: hb@x}\n  ntfy: {topic: t}\n  slack: {url: \
                        \"https://x.example/1\"}\n";
        let server = checked(&format!("{channels}pushsrv: all\n"));
        assert_eq!(server.pushsrv, ["ntfy", "slack"]);
        assert_eq!(server.channels["email"].number("port"), Some(587));
        assert_eq!(server.channels["ntfy"].text("url"), Some("https://ntfy.sh"));
    }

    #[test]
    fn secrets_are_resolved_by_a_reader_and_never_printed() {
        let server = checked("metrics_token: CANARY\ndead_man_url: {file: /run/x}\n");
        let printed = format!("{server:?}");
        assert!(!printed.contains("CANARY") && printed.contains("file /run/x"));
        let read = |secret: &Option<crate::config::secret::Secret>| {
            let secret = secret.as_ref().expect("it was written");
            secret.resolve(|reference| Ok::<_, ()>(format!("{reference:?}\r\n")))
        };
        assert_eq!(read(&server.metrics_token), Ok("CANARY".to_owned()));
        assert_eq!(read(&server.dead_man_url), Ok("File(\"/run/x\")".to_owned()));
    }

    #[test]
    fn ten_thousand_hosts_in_a_chain_are_checked_without_recursion() {
        let mut text = String::from("hosts:\n  h0: {depends_on: h9999}\n");
        for i in 1..10_000 {
            text.push_str(&format!("  h{i}: {{depends_on: h{}}}\n", i - 1));
        }
        let (_, problems) = check(&[document("hbd.yaml", &text)]);
        assert_eq!(problems.len(), 1);
        assert!(problems[0].what.starts_with("\"depends_on\" goes in a circle: h0 -> h9999 -> "));
    }
}
