//! The plugin over a zpool(8) of our own.

use super::*;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

fn monitor(dir: &tempfile::TempDir, script: &str) -> ZfsMonitor {
    let path = dir.path().join("zpool");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("written");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("set");
    let settings = agent::Plugin {
        zpool: Some(path),
        pools: vec!["ta*".to_owned()],
        ..agent::Plugin::default()
    };
    ZfsMonitor::new(&settings).expect("there is a zpool")
}

fn sample(monitor: &mut ZfsMonitor) -> Result<String, CollectError> {
    let mut out = String::new();
    monitor.collect(Now::default(), &mut out).map(|()| out)
}

#[test]
fn three_calls_make_one_sample_of_the_pools_wanted() {
    let dir = tempfile::tempdir().expect("a directory");
    let script = r#"case $1 in
list) printf 'tank\t7988639170560\t2316000000000\t23\t71\t1.00\tONLINE\nboot\t1\t1\t1\t1\t1\tONLINE\n';;
iostat) printf 'tank\t1\t2\t12\t214\t1048576\t8912896\n';;
status) printf '  pool: tank\n state: ONLINE\n  scan: none requested\nconfig:\n\n\tNAME STATE READ WRITE CKSUM\n\ttank ONLINE 0 0 2\n\nerrors: No known data errors\n';;
esac"#;
    let want = r#"{"pools":{"tank":{"health":"ONLINE","health_code":0,"capacity_percent":71,"fragmentation_percent":23,"dedup_ratio":1,"size_gb":7440,"free_gb":2156.943,"read_ops":12,"write_ops":214,"read_bytes":1048576,"write_bytes":8912896,"errors_total":2,"scan":"none requested"}}}"#;
    let mut monitor = monitor(&dir, script);
    for _ in 0..2 {
        assert_eq!(sample(&mut monitor).expect("a sample"), want);
    }
}

#[test]
fn health_is_told_even_where_the_other_calls_fail() {
    let dir = tempfile::tempdir().expect("a directory");
    let script = "[ $1 = list ] || exit 1; printf 'tank\\t-\\t-\\t-\\t-\\t-\\tSUSPENDED\\n'";
    let want = r#"{"pools":{"tank":{"health":"SUSPENDED","health_code":2}}}"#;
    assert_eq!(sample(&mut monitor(&dir, script)).expect("a sample"), want);
}

#[test]
fn failing_zpool_is_an_error_and_a_missing_one_no_plugin() {
    let dir = tempfile::tempdir().expect("a directory");
    let script = "echo 'The ZFS modules are not loaded.' >&2; exit 1";
    let error = sample(&mut monitor(&dir, script)).expect_err("it fails");
    assert_eq!(error.0, "zpool: exit status 1: The ZFS modules are not loaded.");
    let zpool = Some(PathBuf::from("/nonexistent/zpool"));
    assert!(ZfsMonitor::new(&agent::Plugin { zpool, ..agent::Plugin::default() }).is_err());
}
