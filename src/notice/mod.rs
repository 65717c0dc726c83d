//! The exact sentences that people are told (SPEC sections 2, 3 and 13), who is told, and how
//! several become one message. Pure text and data; when something is sent is the outbox's to
//! decide.

pub mod channel;
#[cfg(test)]
pub mod hostile;
mod message;
pub mod nsupdate;
mod receiver;
mod sentence;

pub use message::{DETAIL_LINES_MAX, Draft, Fleet, Message, Tally};
pub use receiver::{Addressee, Destination, Receiver, escalation, own, receivers};
pub use sentence::{Notice, Subject};

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

/// A host's DOWN that could not be told before it was UP again, as one line. `silent` as in
/// [`down`]; where it is not known (shutdown, never reported) the sentence of the DOWN stands.
pub fn down_then_up(
    host: &str,
    down: &str,
    silent: Option<Duration>,
    outage: Option<Duration>,
) -> String {
    let mut text = match silent {
        Some(silent) => format!("DOWN: {host} - no heartbeat for {} s", silent.as_secs()),
        None => down.to_owned(),
    };
    text.push_str(", UP again");
    if let Some(outage) = outage {
        let _ = write!(text, " after {}", render_duration(outage));
    }
    text
}

/// A parent's DOWN names how many hosts depend on it: ` (3 hosts behind it)`.
pub fn behind(down: String, hosts: usize) -> String {
    match hosts {
        0 => down,
        n => format!("{down} ({n} hosts behind it)"),
    }
}

/// `held` is the worst state: `down`, `degraded`.
pub fn flapping(host: &str, transitions: usize, window: Duration, held: &str) -> String {
    format!(
        "FLAPPING: {host} - {transitions} transitions in {}, held {held}",
        render_duration(window)
    )
}

pub fn settled(host: &str, state: &str) -> String {
    format!("SETTLED: {host} - {state}")
}

pub fn isolated(silent: usize, hosts: usize) -> String {
    format!("ISOLATED: server isolated: {silent} of {hosts} hosts silent")
}

/// In the feed only: its parents are down, and it is not told.
pub fn unreachable(host: &str) -> String {
    format!("UNREACHABLE: {host} - what it depends on is down")
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
        let (n, d) = (Some(silent), Some(Duration::from_secs(312)));
        assert_eq!(
            down_then_up("web1", "", n, d),
            "DOWN: web1 - no heartbeat for 65 s, UP again after 5m 12s"
        );
        let never = down_never("web1");
        assert_eq!(
            down_then_up("web1", &never, None, d),
            "DOWN: web1 - never reported, UP again after 5m 12s"
        );
        assert_eq!(
            behind(down("gw", silent, [].into_iter()), 3),
            "DOWN: gw - no heartbeat for 65 s (3 hosts behind it)"
        );
        assert_eq!(
            flapping("web1", 7, Duration::from_secs(1800), "down"),
            "FLAPPING: web1 - 7 transitions in 30m, held down"
        );
        assert_eq!(settled("web1", "up"), "SETTLED: web1 - up");
        assert_eq!(isolated(47, 50), "ISOLATED: server isolated: 47 of 50 hosts silent");
        assert_eq!(reboot("a", Duration::from_secs(90)), "BOOT: a - rebooted (uptime 1m 30s)");
    }
}
