//! What must hold of `collect::zpool` for everything that zpool(8) could print.

use heartbeat::collect::zpool;

/// As long as a description of a scrub may get.
const SCAN_MAX: usize = 256;

/// Panics where a property does not hold.
pub fn check(bytes: &[u8]) {
    let output = String::from_utf8_lossy(bytes);
    let lines = output.lines().count();
    let pools = zpool::parse_list(&output);
    assert!(pools.len() <= lines);
    for pool in &pools {
        let numbers = [pool.fragmentation_percent, pool.capacity_percent, pool.dedup_ratio];
        assert!(numbers.into_iter().flatten().all(f64::is_finite), "{pool:?}");
        assert!(!pool.name.contains(['\n', '\t']), "{pool:?}");
        assert!(zpool::health_code(&pool.health) <= 3);
    }
    assert!(zpool::parse_iostat(&output).len() <= lines);
    for (name, status) in &zpool::parse_status(&output) {
        assert!(!name.contains('\n'), "{name:?}");
        let scan = status.scan.as_deref().unwrap_or_default();
        assert!(scan.len() <= SCAN_MAX && !scan.contains('\n'), "{status:?}");
    }
}
