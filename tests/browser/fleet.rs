//! The fleets that the pages are looked at with: everything that a page can show, told by datagrams.

use crate::rig::Server;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Limits that make something of each kind, and hosts in groups.
const CONFIGURATION: &str = r#"
site_name: Heartbeat
wall: true
status_page: {public: true, title: Our services, groups: {Web: ["tag:web"], Mail: ["tag:mail"]}}
thresholds:
  rtt: {mail-02.zrh: {warning: 100, critical: 200}}
  cpu_monitor: {cpu_percent: {warning: 80, critical: 90}, load_1min: {warning: 6}}
  memory_monitor: {percent: {warning: 85, critical: 95, hysteresis: 0.05}}
  disk_monitor:
    partitions: {"*": {percent: {warning: 80, critical: 90, display: "(threshold: {op_symbol} {threshold_value}%)"}}}
  nagios_runner: {status_code: {operator: nagios, display: "{check_name}: {output}"}}
threshold_configs:
  db_disk: {thresholds: {disk_monitor: {partitions: {/var/lib/postgresql: {percent: {warning: 75, critical: 88}}}}}}
maintenance:
  - {hosts: [fra-hv-*], start: "00:00", duration: 24h, repeat: daily, reason: Kernel update}
  - {groups: [storage], start: "03:00", duration: 30m, repeat: weekly, days: [sun], reason: Scrub}
hosts:
  db-01.bsl: {group: basel, tags: [db, prod], description: "PostgreSQL primary, rack B", owner: bob, monitors: [carol],
    threshold_config: [db_disk]}
  web-12.bsl: {group: basel, tags: [web, prod]}
  rtr-aarau: {group: edge routers, tags: [edge, mini]}
  nas-03: {group: storage, tags: [zfs, storage]}
  mail-02.zrh: {group: zurich, tags: [mail, prod]}
  web-77.bsl: {group: basel, tags: [web, prod]}
  ci-runner-4: {group: lab, tags: [lab], watch: false}
  backup-01: {group: storage, tags: [storage]}
  kiosk-31: {group: lab, tags: [lab]}
  fra-hv-03: {group: frankfurt, tags: [hypervisor]}
"#;

/// An admin, an owner of one host, and one who may look at it; all with the password of [`PASSWORD`].
pub const USERS: &str = r#"
users:
  alice: {full_name: Alice Smith, admin: true, password: &hash "pbkdf2:sha256:1000$saltsalt$a900cf4996b73ab9b2cbda0ad4fbb464b2f03f64afce6c77caef0ebc376afc9d"}
  bob: {full_name: Bob Jones, password: *hash}
  carol: {full_name: Carol White, password: *hash}
"#;
pub const PASSWORD: &str = "correct+horse";

/// Sixteen hosts: down, critical, warning, unknown, in maintenance, up.
pub fn small() -> Server {
    small_with("")
}

/// The same with `more` in the configuration.
pub fn small_with(more: &str) -> Server {
    let nobodys = CONFIGURATION.replace(", owner: bob, monitors: [carol]", "");
    let text = if more.contains("users:") { CONFIGURATION } else { &nobodys };
    let server = Server::start(&format!("{text}{more}"));
    fill(&server);
    server.wait_for_hosts(16);
    server
}

fn fill(server: &Server) {
    let up = ["cache-01.bsl", "cache-02.bsl", "web-01.bsl", "web-02.bsl", "web-03.zrh", "rtr-chur"];
    let named = ["db-01.bsl", "nas-03", "mail-02.zrh", "web-77.bsl", "ci-runner-4", "backup-01"];
    for name in up.iter().chain(&named).chain(&["fra-hv-03", "web-12.bsl", "rtr-aarau"]) {
        server.heartbeat(name, 600);
    }
    database(server);
    server.plugin("web-77.bsl", "cpu_monitor", json!({ "cpu_percent": 86.2, "load_1min": 3.1 }));
    server.plugin("ci-runner-4", "memory_monitor", json!({ "percent": 91.0, "total_mb": 16_384 }));
    server.plugin("nas-03", "zfs_monitor", pools());
    server.plugin(
        "backup-01",
        "nagios_runner",
        json!({
            "check_backup_age_status_code": 1, "check_backup_age_status": "WARNING",
            "check_backup_age_output": "WARNING - last base backup 26 h old (limit 24 h)",
            "check_backup_age_exit_code": 1,
        }),
    );
    let slow =
        json!({ "ID": "HTB", "name": "mail-02.zrh", "interval": 600, "rtt": 212.4, "v": "0.1.0" });
    server.send(&slow);
    for name in ["web-12.bsl", "rtr-aarau"] {
        server.send(&json!({ "ID": "MSG", "name": name, "kind": "shutdown", "text": "" }));
    }
    server.send(&json!({
        "ID": "MSG", "name": "web-03.zrh", "kind": "text", "text": "deploy 4711 finished",
    }));
}

/// The host with all that a host's page can show.
fn database(server: &Server) {
    let name = "db-01.bsl";
    // Half an hour, with a peak.
    for (at, cpu) in [31.0, 33.5, 29.0, 36.2, 88.0, 41.5, 34.1].into_iter().enumerate() {
        let age = (6 - at) * 300;
        server.send(&json!({
            "ID": "PLG", "name": name, "plugin": "cpu_monitor", "every": 300, "age": age * 1000,
            "data": { "cpu_percent": cpu, "user_percent": cpu * 0.7, "system_percent": cpu * 0.2,
                "iowait_percent": cpu * 0.1, "steal_percent": 0.0, "load_1min": 2.6, "load_5min": 2.5,
                "load_15min": 2.4, "process_count": 412, "uptime_seconds": 3_559_680 },
        }));
    }
    for at in 0..=6 {
        memory_and_disks(server, name, at);
    }
    server.plugin(name, "network_monitor", json!({
        "interfaces": { "eno1": { "rx_mb_s": 10.5, "tx_mb_s": 2.1, "rx_bytes": 9_400_000_000_u64,
            "tx_bytes": 3_100_000_000_u64, "errors_total": 0, "dropped_total": 0, "up": true, "speed_mbit": 1000 } },
        "tcp_established": 84, "tcp_time_wait": 12,
    }));
    server.plugin(name, "nagios_runner", json!({
        "check_postgres_status_code": 0, "check_postgres_status": "OK",
        "check_postgres_output": "OK - 84 of 400 connections, 0 locks waiting",
        "check_postgres_exit_code": 0, "check_postgres_connections": 84.0, "check_postgres_connections_warn": 300.0,
        "check_postgres_connections_crit": 380.0,
        "check_raid_status_code": 3, "check_raid_status": "UNKNOWN", "check_raid_exit_code": 3,
        "check_raid_output": "UNKNOWN - (stderr) megacli: command not found",
        "check_disk_pg_status_code": 2, "check_disk_pg_status": "CRITICAL", "check_disk_pg_exit_code": 2,
        "check_disk_pg_output": "DISK CRITICAL - free space: /var/lib/postgresql 34 GB (7%)",
        "check_disk_pg_free": 34.0, "check_disk_pg_free_unit": "GB",
    }));
    server.plugin(name, "zfs_monitor", pools());
    server.plugin(name, "ping_monitor", json!({
        "hosts": { "gw-01": { "rtt_ms": 0.4, "rtt_min_ms": 0.3, "rtt_max_ms": 0.6, "loss_percent": 0.0, "alive": true } },
    }));
    server.plugin(name, "filesystem_info", json!({
        "filesystems": {
            "/": { "device": "/dev/nvme0n1p2", "fstype": "ext4", "options": "rw,relatime", "total_gb": 80.0 },
            "/var/lib/postgresql": { "device": "/dev/nvme1n1", "fstype": "xfs", "options": "ro,noatime", "total_gb": 480.0 },
        },
    }));
    server.plugin(name, "job_backup", json!({
        "exit_code": 0, "duration_s": 312.5, "started": 1_795_300_000, "running": false, "output": "done",
    }));
    server.plugin(name, "os_info", json!({
        "system": "Linux", "distribution": "Debian GNU/Linux", "distribution_version": "12", "kernel": "6.1.0-31-amd64",
        "architecture": "x86_64", "hostname": name, "cpu_model": "AMD EPYC 7313P", "cpu_count": 8,
        "memory_total_mb": 65_536, "boot_time": 1_791_800_000, "agent_version": "0.1.0", "virtualization": "kvm",
    }));
}

/// The `at`th of seven samples, the last of them now.
fn memory_and_disks(server: &Server, name: &str, at: u32) {
    let age = (6 - at) * 300_000;
    let used = 91.3 + f64::from(at) * 0.3;
    let memory = json!({
        "percent": 69.4 + f64::from(at) * 0.3, "total_mb": 65_536, "available_mb": 18_874, "used_mb": 40_100,
        "free_mb": 2048, "buffers_mb": 410, "cached_mb": 16_000, "arc_mb": 6000, "swap_total_mb": 8192,
        "swap_used_mb": 12, "swap_percent": 0.1,
    });
    let disks = json!({
        "partitions": {
            "/": { "percent": 52.0, "total_gb": 80.0, "used_gb": 41.6, "free_gb": 38.4, "free_mb": 39_321,
                "inodes_percent": 18.0, "fstype": "ext4", "device": "/dev/nvme0n1p2" },
            "/var/lib/postgresql": { "percent": used, "total_gb": 480.0, "used_gb": 446.0, "free_gb": 34.0,
                "free_mb": 34_816, "inodes_percent": 12.0, "fstype": "xfs", "device": "/dev/nvme1n1" },
        },
        "io": { "nvme0n1": { "read_mb_s": 1.2, "write_mb_s": 12.5, "read_iops": 40.0, "write_iops": 310.0,
            "busy_percent": 14.0 } },
    });
    for (plugin, data) in [("memory_monitor", memory), ("disk_monitor", disks)] {
        match age {
            // What comes late raises no alert.
            0 => server.plugin(name, plugin, data),
            age => server.send(&json!({
                "ID": "PLG", "name": name, "plugin": plugin, "every": 300, "age": age, "data": data,
            })),
        }
    }
}

/// The small fleet among two hundred others, for pictures.
pub fn portrait() -> Server {
    let name = |at: usize| format!("{}-{:02}", ["app", "api", "job", "edge"][at % 4], at / 4);
    let mut text = CONFIGURATION.replace(", owner: bob, monitors: [carol]", "");
    let groups = ["basel", "zurich", "frankfurt", "storage", "lab"];
    for at in 0..200 {
        let group = groups[[0, 0, 0, 1, 1, 2, 2, 3, 4][at % 9]];
        writeln!(text, "  {}: {{group: {group}, tags: [prod]}}", name(at)).unwrap();
    }
    let server = Server::start(&text);
    server.heartbeats((0..200).map(name));
    for at in 0..200 {
        let cpu = f64::from((at * 37 % 61) as u32);
        server.plugin(&name(at), "cpu_monitor", json!({ "cpu_percent": cpu }));
    }
    fill(&server);
    server
}

fn pools() -> Value {
    json!({ "pools": {
        "tank": { "health": "ONLINE", "health_code": 0, "capacity_percent": 58.0, "fragmentation_percent": 14.0,
            "dedup_ratio": 1.0, "size_gb": 3600.0, "free_gb": 1512.0, "read_ops": 310.0, "write_ops": 120.0,
            "read_bytes": 39_845_888.0, "write_bytes": 12_582_912.0, "errors_total": 0,
            "scan": "scrub repaired 0B in 02:14:00 with 0 errors on Sun Nov 22 02:38:01 2026" },
        "backup": { "health": "DEGRADED", "health_code": 1, "capacity_percent": 83.0, "fragmentation_percent": 37.0,
            "dedup_ratio": 1.0, "size_gb": 8192.0, "free_gb": 1392.0, "read_ops": 0.0, "write_ops": 44.0,
            "read_bytes": 0.0, "write_bytes": 4_299_161.0, "errors_total": 2, "scan": "none requested",
            "devices": "raidz1-0 DEGRADED 0 0 0\n  sda ONLINE 0 0 0\n  sdb ONLINE 0 0 2\n  sdc UNAVAIL 0 0 0" },
    } })
}

/// A fleet of a size, all of its hosts declared and up, but for a few.
pub fn of_size(count: usize) -> Server {
    const GROUPS: [&str; 8] = [
        "basel",
        "zurich",
        "frankfurt",
        "edge routers",
        "storage",
        "lab",
        "branch offices",
        "kiosks",
    ];
    let name =
        |at: usize| format!("{}-{at:05}", GROUPS[at % 8].split(' ').next().unwrap_or("host"));
    let mut text = "hosts:\n".to_owned();
    for at in 0..count {
        let tag = if at % 3 == 0 { "prod" } else { "test" };
        writeln!(text, "  {}: {{group: {}, tags: [{tag}]}}", name(at), GROUPS[at % 8]).unwrap();
    }
    let server = Server::start(if count == 0 { "" } else { &text });
    server.heartbeats((0..count).filter(|at| at % 311 != 300).map(name));
    for at in (0..count).filter(|at| at % 401 == 7) {
        server.send(&json!({ "ID": "MSG", "name": name(at), "kind": "shutdown", "text": "" }));
    }
    server.wait_for_hosts(count as u64);
    server
}
