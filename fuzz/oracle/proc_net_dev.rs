//! What must hold of `collect::netdev` for every content of `/proc/net/dev`.

use heartbeat::collect::netdev::{self, INTERFACES_MAX};

/// Panics where a property does not hold.
pub fn check(bytes: &[u8]) {
    let all = netdev::parse_netdev(bytes, |_| true);
    assert!(all.len() <= INTERFACES_MAX);
    for counters in &all {
        assert!(!counters.name.is_empty() && !counters.name.contains('\n'), "{counters:?}");
        assert!(counters.errors() >= counters.rx_errors.max(counters.tx_errors));
        assert!(counters.dropped() >= counters.rx_dropped.max(counters.tx_dropped));
    }
    assert!(netdev::parse_netdev(bytes, |_| false).is_empty());
    // Written as the kernel writes it, an interface reads the same.
    for counters in all.iter().filter(|c| c.name.is_ascii() && c.name.trim() == c.name) {
        let c = counters;
        let text = format!(
            "Inter-|   Receive  |  Transmit\n{:>6}: {} {} {} {} 0 0 0 0 {} {} {} {} 0 0 0 0\n",
            c.name,
            c.rx_bytes,
            c.rx_packets,
            c.rx_errors,
            c.rx_dropped,
            c.tx_bytes,
            c.tx_packets,
            c.tx_errors,
            c.tx_dropped
        );
        let again = netdev::parse_netdev(text.as_bytes(), |_| true);
        assert_eq!(again.as_slice(), std::slice::from_ref(counters), "{text}");
    }
}
