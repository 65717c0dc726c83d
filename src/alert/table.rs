//! The rulesets of all hosts: one for each list of profiles that the configuration names, so that
//! ten thousand hosts share a few.
//!
//! A reload makes a new table; nothing in it changes but the memo of lookups.

use super::lookup::{Memo, Scope};
use super::path;
use super::rule::Ruleset;
use crate::config::server::Server;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A ruleset's place in its table. Of use in that table alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RulesetId(u32);

/// All rulesets of a configuration.
#[derive(Debug)]
pub struct RulesetTable {
    sets: Vec<Shared>,
    by_profiles: BTreeMap<Vec<String>, RulesetId>,
}

#[derive(Debug)]
struct Shared {
    rules: Arc<Ruleset>,
    /// By plugin, as many as the ruleset has.
    memos: BTreeMap<Box<str>, Memo>,
}

impl RulesetTable {
    /// The set without profiles is [`RulesetId::default`].
    pub fn compile(config: &Server) -> RulesetTable {
        let mut table = RulesetTable { sets: Vec::new(), by_profiles: BTreeMap::new() };
        table.add(config, &[]);
        for host in config.hosts.values() {
            table.add(config, &host.threshold_config);
        }
        table
    }

    fn add(&mut self, config: &Server, profiles: &[String]) {
        if self.by_profiles.contains_key(profiles) {
            return;
        }
        let rules = Ruleset::compile(config, profiles);
        let memos = rules.plugin_names().map(|name| (name.into(), Memo::default())).collect();
        let id = RulesetId(self.sets.len() as u32);
        self.sets.push(Shared { rules: Arc::new(rules), memos });
        self.by_profiles.insert(profiles.to_vec(), id);
    }

    /// The ruleset of a list of profiles (`hosts.<name>.threshold_config`); of none where no host
    /// of the configuration has this list.
    pub fn id(&self, profiles: &[String]) -> RulesetId {
        self.by_profiles.get(profiles).copied().unwrap_or_default()
    }

    pub fn ruleset(&self, id: RulesetId) -> &Arc<Ruleset> {
        &self.sets[self.index(id)].rules
    }

    /// What is needed for the leaves of one plugin's message; `None` where nothing is configured
    /// for it. A plugin that calls itself `rtt` has no rules: round trips are measured and not sent
    /// (THREATS U15).
    pub fn scope(&mut self, id: RulesetId, plugin: &str) -> Option<Scope<'_>> {
        if plugin == path::RTT { None } else { self.scope_of(id, plugin) }
    }

    /// The rules of `rtt.<host>`: [`Scope::find`] takes the host's name.
    pub fn rtt_scope(&mut self, id: RulesetId) -> Option<Scope<'_>> {
        self.scope_of(id, path::RTT)
    }

    fn scope_of(&mut self, id: RulesetId, plugin: &str) -> Option<Scope<'_>> {
        let index = self.index(id);
        let Shared { rules, memos } = &mut self.sets[index];
        let memo = memos.get_mut(plugin)?;
        Some(Scope { rules: rules.plugin(plugin)?, memo })
    }

    /// An id of another table, which only a mistake can bring here, reads as the first set.
    fn index(&self, id: RulesetId) -> usize {
        debug_assert!((id.0 as usize) < self.sets.len(), "a ruleset of another table");
        (id.0 as usize).min(self.sets.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::server;
    use super::*;
    use crate::config::server::{Limit, Operator};

    const README: &str = r#"
thresholds:
  rtt:
    webserver01: {warning: 100.0, critical: 500.0}
    "edge*": {warning: 50}
  cpu_monitor: {cpu_percent: {warning: 80, critical: 90, display: "x"}}
  memory_monitor: {memory_percent: {warning: 85}}
  disk_monitor:
    partitions:
      /: {percent: {warning: 80}, free_gb: {warning: 10, operator: "<"}}
      /var/lib/my.db: {percent: {warning: 70}}
      "/srv/*": {percent: {warning: 60}}
      "/srv/deep/*": {percent: {warning: 50}}
    io: {sda: {read_mb: {warning: 1}}}
  network_monitor: {interfaces: {eth0.100: {errors_total: {warning: 0}}}, "eth*": {errors_total: {warning: 9}}}
  zfs_monitor.tank.capacity_percent: {warning: 80}
  nagios_runner:
    status_code: {operator: nagios}
    check_load_status_code: {warning: 2, operator: ">="}
    noisy_status_code: {enabled: false}
    "check_web_*_time": {warning: 3}
  mine: {partitions: {a: {size_total: {warning: 1}}}, "*": {warning: 1}}
"#;

    /// The path of the rule and what was stripped, or `-`.
    fn look_up(table: &mut RulesetTable, plugin: &str, leaf: &str) -> String {
        let Some(mut scope) = table.scope_of(RulesetId::default(), plugin) else {
            return "-".into();
        };
        let found = scope.find(leaf).map(|m| (m.rule.path.clone(), m.check_name.to_owned()));
        // Once more, now out of the memo.
        let again = scope.find(leaf).map(|m| (m.rule.path.clone(), m.check_name.to_owned()));
        assert_eq!(found, again);
        found.map_or("-".into(), |(path, check)| format!("{path} {check}").trim_end().to_owned())
    }

    #[test]
    fn leaves_find_their_rules() {
        let mut table = RulesetTable::compile(&server(README));
        let lookups = [
            ("cpu_monitor", "cpu_percent", "cpu_monitor.cpu_percent"),
            ("cpu_monitor", "load_1min", "-"),
            ("os_info", "kernel", "-"),
            ("memory_monitor", "percent", "memory_monitor.percent"),
            ("memory_monitor", "memory_percent", "memory_monitor.percent"),
            ("memory_monitor", "swap_percent", "memory_monitor.percent swap"),
            ("disk_monitor", "partitions./.percent", "disk_monitor./.percent"),
            ("disk_monitor", "partitions./.free_gb", "disk_monitor./.free_gb"),
            ("disk_monitor", "partitions./.inodes_percent", "disk_monitor./.percent inodes"),
            ("disk_monitor", "partitions./boot.percent", "-"),
            (
                "disk_monitor",
                "partitions./var/lib/my.db.percent",
                "disk_monitor./var/lib/my.db.percent",
            ),
            ("disk_monitor", "partitions./srv/a.b/c.percent", "disk_monitor./srv/*.percent"),
            ("disk_monitor", "partitions./srv/deep/c.percent", "disk_monitor./srv/deep/*.percent"),
            ("disk_monitor", "partitions./srv.percent", "-"),
            ("disk_monitor", "io.sda.read_mb", "disk_monitor.sda.read_mb"),
            (
                "network_monitor",
                "interfaces.eth0.100.errors_total",
                "network_monitor.eth0.100.errors_total",
            ),
            (
                "network_monitor",
                "interfaces.eth1.errors_total",
                "network_monitor.eth*.errors_total",
            ),
            ("network_monitor", "errors_total", "-"),
            ("zfs_monitor", "pools.tank.capacity_percent", "zfs_monitor.tank.capacity_percent"),
            ("nagios_runner", "check_load_status_code", "nagios_runner.check_load_status_code"),
            (
                "nagios_runner",
                "check_disk_root_status_code",
                "nagios_runner.status_code check_disk_root",
            ),
            ("nagios_runner", "status_code", "nagios_runner.status_code"),
            ("nagios_runner", "check_disk_root_status", "-"),
            ("nagios_runner", "noisy_status_code", "-"),
            ("nagios_runner", "very_noisy_status_code", "-"),
            ("nagios_runner", "check_web_a_b_time", "nagios_runner.check_web_*_time"),
            ("mine", "partitions.a.size_total", "mine.partitions.a.size_total"),
            ("mine", "a.size_total", "-"),
            ("mine", "anything", "mine.*"),
            ("rtt", "webserver01", "rtt.webserver01"),
            ("rtt", "webserver02", "-"),
            ("rtt", "my_webserver01", "-"),
            ("rtt", "edge1.example.net", "rtt.edge*"),
            ("cpu_monitor", "", "-"),
        ];
        for (plugin, leaf, want) in lookups {
            assert_eq!(look_up(&mut table, plugin, leaf), want, "{plugin} {leaf}");
        }
        let rtt = table.rtt_scope(RulesetId::default());
        assert!(rtt.is_some_and(|mut scope| scope.find("webserver01").is_some()));
    }

    #[test]
    fn u15_plugin_named_rtt_has_no_rules() {
        let mut table = RulesetTable::compile(&server(README));
        assert!(table.scope(RulesetId::default(), "rtt").is_none());
    }

    #[test]
    fn names_are_stripped_from_the_left_until_one_matches() {
        let table = RulesetTable::compile(&server(README));
        let rules = table.ruleset(RulesetId::default()).plugin("nagios_runner").unwrap();
        let mut tried = Vec::new();
        let found = rules.find("check_disk_root_status_code", |name| tried.push(name.to_owned()));
        assert_eq!(found.map(|m| m.check_name), Some("check_disk_root"));
        let want = [
            "check_disk_root_status_code",
            "disk_root_status_code",
            "root_status_code",
            "status_code",
        ];
        assert_eq!(tried, want);
    }

    const PROFILES: &str = "
thresholds:
  cpu_monitor: {cpu_percent: {warning: 70, critical: 80, hysteresis: 0.1}}
  mine: {a: {warning: 1, operator: '<'}}
threshold_configs:
  default:
    thresholds:
      cpu_monitor: {cpu_percent: {warning: 80, critical: 90}}
      memory_monitor: {memory_percent: {warning: 85, critical: 95}}
  tight_cpu:
    thresholds:
      cpu_monitor: {cpu_percent: {warning: 60, critical: 75}}
  warm_cpu:
    thresholds:
      cpu_monitor: {cpu_percent: {warning: 65}}
  db_disk:
    thresholds:
      disk_monitor: {partitions: {/var/lib/postgresql: {percent: {warning: 75, critical: 88}}}}
  quiet:
    thresholds:
      memory_monitor: {percent: {enabled: false}}
hosts:
  web-01: {threshold_config: default}
  db-01: {threshold_config: [tight_cpu, db_disk]}
  db-02: {threshold_config: [tight_cpu, db_disk]}
  db-03: {threshold_config: [tight_cpu, warm_cpu]}
  db-04: {threshold_config: [warm_cpu, tight_cpu]}
  quiet: {threshold_config: quiet}
";

    fn limits(set: &Ruleset, path: &str) -> Option<(Option<f64>, Option<f64>, Option<String>)> {
        let rule = set.rules().find(|rule| &*rule.path == path)?;
        let number = |limit: &Option<Limit>| limit.as_ref().and_then(Limit::as_number);
        let profile = rule.profile.as_deref().map(str::to_owned);
        Some((number(&rule.warning), number(&rule.critical), profile))
    }

    #[test]
    fn profiles_are_laid_over_one_another_from_left_to_right() {
        let config = server(PROFILES);
        let table = RulesetTable::compile(&config);
        let set =
            |host: &str| table.ruleset(table.id(&config.hosts[host].threshold_config)).clone();
        let cpu = |host: &str| {
            let (warning, critical, by) = limits(&set(host), "cpu_monitor.cpu_percent").unwrap();
            (warning.unwrap(), critical.unwrap(), by.unwrap())
        };
        assert_eq!(cpu("web-01"), (80.0, 90.0, "default".into()));
        assert_eq!(cpu("db-01"), (60.0, 75.0, "tight_cpu".into()));
        assert_eq!(cpu("db-03"), (65.0, 75.0, "warm_cpu".into()));
        assert_eq!(cpu("db-04"), (60.0, 75.0, "tight_cpu".into()));
        let disk = "disk_monitor./var/lib/postgresql.percent";
        assert_eq!(
            limits(&set("db-01"), disk),
            Some((Some(75.0), Some(88.0), Some("db_disk".into())))
        );
        assert_eq!(limits(&set("web-01"), disk), None);
        // What nobody mentions is inherited, key by key.
        let rule = |host: &str, path: &str| {
            set(host).rules().find(|rule| &*rule.path == path).cloned().unwrap()
        };
        assert_eq!(rule("db-03", "cpu_monitor.cpu_percent").hysteresis, 0.1);
        assert_eq!(rule("db-01", "memory_monitor.percent").critical, Some(Limit::Integer(95)));
        let mine = rule("db-01", "mine.a");
        assert_eq!((mine.operator, mine.profile.as_deref()), (Operator::Less, None));
        assert_eq!((mine.origin.file.as_str(), mine.origin.line), ("hbd.yaml", 4));
        assert_eq!(rule("db-03", "cpu_monitor.cpu_percent").origin.line, 15);
        assert!(!rule("quiet", "memory_monitor.percent").enabled);
    }

    #[test]
    fn example_of_the_configuration_reference_compiles() {
        let config = server(include_str!("../../tests/golden/config/good-example.yaml"));
        let mut table = RulesetTable::compile(&config);
        let web = table.id(&config.hosts["web-01"].threshold_config);
        let gateway = table.id(&config.hosts["gw-01"].threshold_config);
        let paths: Vec<&str> = table.ruleset(web).rules().map(|rule| &*rule.path).collect();
        let want = [
            "cpu_monitor.cpu_percent",
            "disk_monitor./.free_gb",
            "disk_monitor./.percent",
            "nagios_runner.status_code",
            "rtt.web-01",
        ];
        assert_eq!(paths, want);
        let cpu = "cpu_monitor.cpu_percent";
        let tight = (Some(60.0), Some(75.0), Some("tight_cpu".into()));
        assert_eq!(limits(table.ruleset(web), cpu), Some(tight));
        assert_eq!(limits(table.ruleset(gateway), cpu), Some((Some(80.0), Some(90.0), None)));
        assert!(table.rtt_scope(gateway).is_some_and(|mut scope| scope.find("web-01").is_some()));
        let nagios =
            table.scope(web, "nagios_runner").and_then(|mut s| s.find("check_x_status_code"));
        assert_eq!(nagios.map(|found| found.check_name), Some("check_x"));
    }

    #[test]
    fn hosts_with_the_same_profiles_share_their_rules() {
        let config = server(PROFILES);
        let mut table = RulesetTable::compile(&config);
        let id = |host: &str| table.id(&config.hosts[host].threshold_config);
        assert_eq!(id("db-01"), id("db-02"));
        assert_ne!(id("db-03"), id("db-04"));
        assert_eq!(table.id(&["nobody has this".to_owned()]), RulesetId::default());
        assert_eq!(table.sets.len(), 6);
        // The one who is quiet has no rule for memory, the others do.
        let quiet = id("quiet");
        let web = id("web-01");
        assert!(table.scope(quiet, "memory_monitor").unwrap().find("percent").is_none());
        assert!(table.scope(web, "memory_monitor").unwrap().find("percent").is_some());
        assert!(table.scope(web, "disk_monitor").is_none());
    }
}
