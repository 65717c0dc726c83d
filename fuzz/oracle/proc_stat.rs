//! What must hold of `collect::stat` and `collect::pressure` for every content of their files.

use heartbeat::collect::{pressure, stat};

/// Panics where a property does not hold.
pub fn check(bytes: &[u8]) {
    let (whole, alone) = (stat::parse_stat(bytes, true), stat::parse_stat(bytes, false));
    assert_eq!(whole.as_ref().map(|s| s.all), alone.as_ref().map(|s| s.all));
    if let Some(stat) = &whole {
        let boot = stat::Ticks::default();
        for (_, ticks) in &stat.cpus {
            for (later, earlier) in [(ticks, &stat.all), (&stat.all, ticks), (ticks, &boot)] {
                let Some(share) = later.since(earlier, 1) else { continue };
                let parts = [share.busy, share.user, share.system, share.iowait, share.steal];
                for part in parts {
                    assert!((0.0..=100.001).contains(&part), "{share:?}");
                }
                let sum = share.user + share.system + share.iowait + share.steal;
                assert!(sum <= 100.001, "{share:?}");
            }
        }
    }
    if let Some(load) = stat::parse_loadavg(bytes) {
        assert!(load.load.iter().all(|value| value.is_finite() && *value >= 0.0), "{load:?}");
    }
    assert!(stat::parse_uptime(bytes).is_none_or(|up| up.is_finite() && up >= 0.0));
    for kind in [&b"some "[..], b"full "] {
        let percent = pressure::parse_pressure(bytes, kind);
        assert!(percent.is_none_or(|percent| (0.0..=100.0).contains(&percent)));
    }
}
