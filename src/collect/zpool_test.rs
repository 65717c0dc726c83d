//! What zpool(8) of several OpenZFS versions prints, in its own layout; names and numbers are made
//! up.

use super::*;
use expect_test::{Expect, expect};

const LIST_COLUMNS_OURS: &str = "tank\t7988639170560\t2316000000000\t23\t71\t1.00\tONLINE\n\
    rpool\t498216206336\t398216206336\t4\t20\t1.00\tDEGRADED\n";
/// 0.7 has no checkpoint column; a fresh pool has no fragmentation; percents and factors with -p.
const LIST_0_7: &str = "tank\t1000\t400\t600\t-\t5%\t40%\t1.50x\tFAULTED\t-\n";
const LIST_2_1: &str = "tank\t1000\t400\t600\t-\t-\t5\t40\t1.50\tONLINE\t-\n\
    lost\t-\t-\t-\t-\t-\t-\t-\t-\tUNAVAIL\t-\n";

const IOSTAT: &str = "rpool\t100\t200\t3\t14\t65536\t262144\n\
    tank\t5672639170560\t2316000000000\t12\t214\t1048576\t8912896\n";

const STATUS_HEALTHY_2_1: &str = "  pool: rpool
 state: ONLINE
  scan: scrub repaired 0B in 00:01:12 with 0 errors on Sun Nov  8 00:25:13 2026
config:

\tNAME                                 STATE     READ WRITE CKSUM
\trpool                                ONLINE       0     0     0
\t  mirror-0                           ONLINE       0     0     0
\t    nvme-A-part3                     ONLINE       0     0     0
\t    nvme-B-part3                     ONLINE       0     0     0
\tspares
\t  sdz                                AVAIL

errors: No known data errors

  pool: tank
 state: ONLINE
  scan: none requested
config:

\tNAME        STATE     READ WRITE CKSUM
\ttank        ONLINE       0     0     0
\t  sda       ONLINE       0     0     0

errors: No known data errors
";

const STATUS_DEGRADED_0_8: &str = "  pool: tank
 state: DEGRADED
status: One or more devices could not be used because the label is missing or
\tinvalid.  Sufficient replicas exist for the pool to continue
\tfunctioning in a degraded state.
action: Replace the device using 'zpool replace'.
   see: http://zfsonlinux.org/msg/ZFS-8000-4J
  scan: scrub repaired 0B in 0 days 05:12:33 with 0 errors on Sun Mar 10 05:36:34 2024
config:

\tNAME                     STATE     READ WRITE CKSUM
\ttank                     DEGRADED     2     0     0
\t  raidz1-0               DEGRADED     2     1     0
\t    sda                  ONLINE       0     0     0
\t    sdb                  ONLINE       0     0     4
\t    1234567890123456789  UNAVAIL      2     1     0  was /dev/sdc1
\tlogs
\t  sdd                    ONLINE       0     0     0

errors: No known data errors
";

const STATUS_FAULTED_2_2: &str = "  pool: data
 state: SUSPENDED
status: One or more devices are faulted in response to IO failures.
action: Make sure the affected devices are connected, then run 'zpool clear'.
   see: https://openzfs.github.io/openzfs-docs/msg/ZFS-8000-HC
config:

\tNAME        STATE     READ WRITE CKSUM
\tdata        UNAVAIL      0     0     0  insufficient replicas
\t  sdb       FAULTED      3   117     0  too many errors

errors: 12 data errors, use '-v' for a list
";

const STATUS_RESILVERING_2_3: &str = "  pool: tank
 state: DEGRADED
status: One or more devices is currently being resilvered.  The pool will
\tcontinue to function, possibly in a degraded state.
action: Wait for the resilver to complete.
  scan: resilver in progress since Sat Nov 21 09:14:02 2026
\t1.21T / 5.16T scanned at 1.02G/s, 402G / 5.16T issued at 339M/s
\t99.8G resilvered, 7.61% done, 04:06:19 to go
config:

\tNAME             STATE     READ WRITE CKSUM
\ttank             DEGRADED     0     0     0
\t  mirror-0       DEGRADED     0     0     0
\t    sda          ONLINE       0     0     0
\t    replacing-1  DEGRADED     0     0     0
\t      old        REMOVED      0     0     0
\t      sdc        ONLINE       0     0     0  (resilvering)

errors: No known data errors
";

fn check(output: &str, want: Expect) {
    let lines: Vec<String> = parse_status(output)
        .iter()
        .map(|(pool, status)| format!("{pool} {} {:?}\n", status.errors_total, status.scan))
        .collect();
    want.assert_eq(&lines.concat());
}

#[test]
fn list_is_read_with_the_columns_of_each_version() {
    let pools = parse_list(LIST_COLUMNS_OURS);
    assert_eq!(pools.len(), 2);
    assert_eq!(
        pools[0],
        Pool {
            name: "tank".to_owned(),
            health: "ONLINE".to_owned(),
            size: Some(7_988_639_170_560),
            free: Some(2_316_000_000_000),
            fragmentation_percent: Some(23.0),
            capacity_percent: Some(71.0),
            dedup_ratio: Some(1.0),
        }
    );
    assert_eq!((pools[1].name.as_str(), pools[1].health.as_str()), ("rpool", "DEGRADED"));
    for (output, health) in [(LIST_0_7, "FAULTED"), (LIST_2_1, "ONLINE")] {
        let pool = &parse_list(output)[0];
        assert_eq!((pool.size, pool.free, pool.health.as_str()), (Some(1000), Some(600), health));
        assert_eq!((pool.fragmentation_percent, pool.capacity_percent), (Some(5.0), Some(40.0)));
        assert_eq!(pool.dedup_ratio, Some(1.5));
    }
    let lost = &parse_list(LIST_2_1)[1..];
    assert!(lost.iter().all(|pool| pool.health != "UNAVAIL" || pool.size.is_none()));
    assert_eq!(parse_list("no pools available\n"), []);
}

#[test]
fn health_codes_are_those_of_the_nagios_operator() {
    let table = [("ONLINE", 0), ("DEGRADED", 1), ("FAULTED", 2), ("SUSPENDED", 2), ("NEW", 3)];
    for (health, code) in table {
        assert_eq!(health_code(health), code, "{health}");
    }
}

#[test]
fn iostat_is_read_by_pool() {
    let pools = parse_iostat(IOSTAT);
    let want = Io { read_ops: 12, write_ops: 214, read_bytes: 1_048_576, write_bytes: 8_912_896 };
    assert_eq!(pools.get("tank"), Some(&want));
    assert_eq!(pools.len(), 2);
    assert!(parse_iostat("tank\t-\t-\t-\t-\t-\t-\n\nno pools available\n").is_empty());
}

#[test]
fn status_of_healthy_pools() {
    check(
        STATUS_HEALTHY_2_1,
        expect![[r#"
            rpool 0 Some("scrub repaired 0B in 00:01:12 with 0 errors on Sun Nov  8 00:25:13 2026")
            tank 0 Some("none requested")
        "#]],
    );
}

#[test]
fn status_of_a_degraded_pool_counts_the_devices_errors_once() {
    check(
        STATUS_DEGRADED_0_8,
        expect![[r#"
            tank 7 Some("scrub repaired 0B in 0 days 05:12:33 with 0 errors on Sun Mar 10 05:36:34 2024")
        "#]],
    );
}

#[test]
fn status_of_a_faulted_pool_counts_lost_files_too() {
    check(
        STATUS_FAULTED_2_2,
        expect![[r#"
        data 132 None
    "#]],
    );
}

#[test]
fn status_of_a_resilvering_pool_is_told_on_one_line() {
    check(
        STATUS_RESILVERING_2_3,
        expect![[r#"
            tank 0 Some("resilver in progress since Sat Nov 21 09:14:02 2026, 1.21T / 5.16T scanned at 1.02G/s, 402G / 5.16T issued at 339M/s, 99.8G resilvered, 7.61% done, 04:06:19 to go")
        "#]],
    );
}

#[test]
fn status_that_is_cut_anywhere_is_read_as_far_as_it_goes() {
    for output in [STATUS_HEALTHY_2_1, STATUS_DEGRADED_0_8, STATUS_RESILVERING_2_3] {
        for end in 0..output.len() {
            assert!(parse_status(&output[..end]).len() <= 2);
        }
    }
    assert!(parse_status("no pools available\n").is_empty());
}

#[test]
fn devices_are_listed_as_they_stand_below_the_pool() {
    let want = "raidz1-0 DEGRADED 2 1 0\n  sda ONLINE 0 0 0\n  sdb ONLINE 0 0 4\n  \
                1234567890123456789 UNAVAIL 2 1 0\nlogs/sdd ONLINE 0 0 0";
    assert_eq!(parse_status(STATUS_DEGRADED_0_8)["tank"].devices, want);
    let healthy = parse_status(STATUS_HEALTHY_2_1);
    assert!(healthy["rpool"].devices.ends_with("\nspares/sdz AVAIL"), "{healthy:?}");
    assert_eq!(healthy["tank"].devices, "sda ONLINE 0 0 0");
    // Of a pool of many, those that are not well are never crowded out by those that are.
    let many: String = (0..60).map(|n| format!("\t  disk-{n:02} ONLINE 0 0 0\n")).collect();
    let output = STATUS_HEALTHY_2_1.replace(
        "\t  sda       ONLINE       0     0     0\n",
        &format!("{many}\t  sdx FAULTED 9 9 9\n"),
    );
    let devices = &parse_status(&output)["tank"].devices;
    assert!(devices.len() < DEVICES_MAX + 16, "{devices}");
    assert!(devices.ends_with("sdx FAULTED 9 9 9\n+32 ONLINE"), "{devices}");
}
