//! What must hold of `collect::memory` for every content of `meminfo` and `arcstats`.

use heartbeat::collect::memory::{self, Arc};

/// Panics where a property does not hold.
pub fn check(bytes: &[u8]) {
    let arc = memory::parse_arcstats(bytes);
    assert!(arc.is_none_or(|arc| arc.size > 0));
    let Some(info) = memory::parse_meminfo(bytes) else { return };
    assert!(info.total > 0);
    let huge = Some(Arc { size: u64::MAX, floor: 0 });
    for arc in [None, arc, huge] {
        let available = info.available(arc);
        assert!(available <= info.total, "{info:?}");
        let percent = (info.total - available) as f64 / info.total as f64 * 100.0;
        assert!((0.0..=100.0).contains(&percent), "{info:?}");
    }
    assert!(info.available(huge) >= info.available(None), "a cache takes nothing away");
}
