//! The exact sentences that people are told (SPEC sections 2, 3 and 13). Pure text; decides nothing.

use crate::time::{Duration, render_duration};
use std::fmt::Write as _;
use std::net::IpAddr;

/// `DOWN: web1 - no heartbeat for 65 s (ipv4 192.0.2.10, ipv6 2001:db8::10)`
pub fn down<'a>(
    host: &str,
    silent: Duration,
    connections: impl Iterator<Item = (&'a str, IpAddr)>,
) -> String {
    let mut text = format!("DOWN: {host} - no heartbeat for {} s", silent.as_secs());
    for (i, (family, address)) in connections.enumerate() {
        let _ = write!(text, "{}{family} {address}", if i == 0 { " (" } else { ", " });
    }
    if text.contains('(') {
        text.push(')');
    }
    text
}

pub fn down_never(host: &str) -> String {
    format!("DOWN: {host} - never reported")
}

pub fn down_shutdown(host: &str) -> String {
    format!("DOWN: {host} - shutdown")
}

pub fn up(host: &str, outage: Duration) -> String {
    format!("UP: {host} - back after {}", render_duration(outage))
}

/// The first heartbeat ever; in the feed only.
pub fn new(host: &str, family: &str, address: IpAddr) -> String {
    format!("NEW: {host} - first heartbeat ({family} {address})")
}

/// In the feed only: lateness is shown, never notified.
pub fn late(host: &str) -> String {
    format!("LATE: {host} - heartbeat overdue")
}

pub fn degraded(host: &str, family: &str, address: IpAddr) -> String {
    format!("DEGRADED: {host} - {family} {address} lost")
}

pub fn restored(host: &str, family: &str, outage: Duration) -> String {
    format!("RESTORED: {host} - {family} back after {}", render_duration(outage))
}

pub fn boot(host: &str) -> String {
    format!("BOOT: {host} - started")
}

pub fn reboot(host: &str, uptime: Duration) -> String {
    format!("BOOT: {host} - rebooted (uptime {})", render_duration(uptime))
}

pub fn message(host: &str, text: &str) -> String {
    format!("MESSAGE: {host} - {text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_those_of_the_specification() {
        let v4: IpAddr = "192.0.2.10".parse().unwrap();
        let v6: IpAddr = "2001:db8::10".parse().unwrap();
        let silent = Duration::from_millis(65_900);
        assert_eq!(
            down("web1", silent, [("ipv4", v4)].into_iter()),
            "DOWN: web1 - no heartbeat for 65 s (ipv4 192.0.2.10)"
        );
        assert_eq!(
            down("web1", silent, [("ipv4", v4), ("ipv6", v6)].into_iter()),
            "DOWN: web1 - no heartbeat for 65 s (ipv4 192.0.2.10, ipv6 2001:db8::10)"
        );
        assert_eq!(up("web1", Duration::from_secs(312)), "UP: web1 - back after 5m 12s");
        assert_eq!(degraded("web1", "ipv6", v6), "DEGRADED: web1 - ipv6 2001:db8::10 lost");
        assert_eq!(
            restored("web1", "ipv6", Duration::from_secs(120)),
            "RESTORED: web1 - ipv6 back after 2m"
        );
        assert_eq!(reboot("a", Duration::from_secs(90)), "BOOT: a - rebooted (uptime 1m 30s)");
    }
}
