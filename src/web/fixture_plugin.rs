//! Plugin data of the made-up host db-01.bsl, as the agent sends it.

use super::fixture::NOW;
use crate::engine::view::{Plugin, Sample};
use crate::prng::Prng;
use crate::time::Duration;
use std::sync::Arc;

/// One of each plugin that the agents have, sorted by name.
pub fn all(prng: &mut Prng) -> Vec<Plugin> {
    let mut wave = |middle: f64, swing: f64| -> Vec<f64> {
        (0..60).map(|i| middle + swing * ((i as f64 / 9.0).sin() + prng.fraction() - 0.5)).collect()
    };
    let (cpu, load, rx, used) = (wave(34.0, 9.0), wave(2.4, 0.6), wave(10.5, 4.0), wave(45.0, 1.0));
    vec![
        plugin("cpu_monitor", 60, false, |i| {
            format!(
                r#"{{"cpu_percent":{:.1},"user_percent":{:.1},"system_percent":6.2,"iowait_percent":1.4,"steal_percent":0.0,"load_1min":{:.2},"load_5min":2.48,"load_15min":2.4,"process_count":412,"uptime_seconds":3553200}}"#,
                cpu[i],
                cpu[i] - 7.6,
                load[i]
            )
        }),
        plugin("disk_monitor", 300, false, |i| {
            format!(
                r#"{{"partitions":{{"/":{{"percent":52.0,"total_gb":80.0,"used_gb":41.6,"free_gb":38.4,"inodes_percent":18.0,"fstype":"ext4","device":"/dev/nvme0n1p2"}},"/var/lib/postgresql":{{"percent":{:.1},"total_gb":480.0,"used_gb":446.4,"free_gb":33.6,"inodes_percent":12.0,"fstype":"xfs","device":"/dev/nvme1n1"}}}},"io":{{"nvme1n1":{{"read_mb_s":38.1,"write_mb_s":12.4,"read_iops":412,"write_iops":380,"busy_percent":31.0}}}}}}"#,
                88.0 + i as f64 * 0.086
            )
        }),
        plugin("filesystem_info", 3600, true, |_| {
            r#"{"filesystems":{"/":{"device":"/dev/nvme0n1p2","fstype":"ext4","options":"rw,relatime","total_gb":80.0}}}"#.to_owned()
        }),
        plugin("memory_monitor", 60, false, |i| {
            format!(
                r#"{{"percent":71.2,"total_mb":65536,"available_mb":18874,"used_mb":{:.0},"free_mb":2048,"buffers_mb":512,"cached_mb":17800,"arc_mb":9000,"swap_total_mb":4096,"swap_used_mb":12,"swap_percent":0.3}}"#,
                used[i] * 1024.0
            )
        }),
        plugin("nagios_runner", 300, false, |_| {
            r#"{"check_disk_pg_status_code":2,"check_disk_pg_status":"CRITICAL","check_disk_pg_output":"DISK CRITICAL - free space: /var/lib/postgresql 34 GB (7%)","check_disk_pg_exit_code":2,"check_disk_pg_free":34,"check_disk_pg_free_unit":"GB","check_load_status_code":0,"check_load_status":"OK","check_load_output":"OK - load average: 2.61, 2.48, 2.40","check_load_exit_code":0,"check_raid_status_code":3,"check_raid_status":"UNKNOWN","check_raid_output":"UNKNOWN - (stderr) megacli: command not found","check_raid_exit_code":3}"#.to_owned()
        }),
        plugin("network_monitor", 60, false, |i| {
            format!(
                r#"{{"interfaces":{{"eno1":{{"rx_mb_s":{:.2},"tx_mb_s":3.1,"rx_bytes":991234567890,"tx_bytes":45612345678,"rx_packets":812345678,"tx_packets":61234567,"errors_total":0,"dropped_total":12,"up":true,"speed_mbit":1000}}}},"errors_total":0,"dropped_total":12,"tcp_established":84,"tcp_time_wait":31,"udp_sockets":9}}"#,
                rx[i]
            )
        }),
        plugin("os_info", 86_400, true, |_| {
            r#"{"system":"Linux","distribution":"Debian GNU/Linux","distribution_version":"12","kernel":"6.1.0-31-amd64","architecture":"x86_64","hostname":"db-01","cpu_model":"AMD EPYC 7313P","cpu_count":8,"memory_total_mb":65536,"boot_time":1791810000,"agent_version":"0.1.0"}"#.to_owned()
        }),
        plugin("ping_monitor", 60, false, |_| {
            r#"{"hosts":{"gw":{"rtt_ms":0.4,"rtt_min_ms":0.3,"rtt_max_ms":0.9,"loss_percent":0.0,"alive":true},"dns":{"rtt_ms":null,"loss_percent":100.0,"alive":false}}}"#.to_owned()
        }),
        plugin("queue_depth", 60, false, |i| {
            format!(
                r#"{{"waiting":{},"oldest_ms":{},"consumer":"billing","stuck":false}}"#,
                i * 3 % 41,
                120 + i
            )
        }),
        plugin("zfs_monitor", 300, false, |_| {
            r#"{"pools":{"tank":{"health":"ONLINE","health_code":0,"capacity_percent":58.0,"fragmentation_percent":14.0,"dedup_ratio":1.0,"size_gb":3686.4,"free_gb":1536.0,"read_ops":120,"write_ops":80,"read_bytes":39845888,"write_bytes":12582912,"errors_total":0,"scan":"scrub repaired 0B with 0 errors"}}}"#.to_owned()
        }),
    ]
}

fn plugin(name: &str, interval: u32, info: bool, data: impl Fn(usize) -> String) -> Plugin {
    let count = if info { 1 } else { 60 };
    let samples = (0..count)
        .map(|i| {
            let ago = u64::from(interval) * (count - 1 - i) as u64 + 21;
            let at = NOW.wall - Duration::from_secs(ago);
            Arc::new(Sample { at, data: data(i).into() })
        })
        .collect();
    Plugin { name: Arc::from(name), interval: Some(interval), info, samples }
}
