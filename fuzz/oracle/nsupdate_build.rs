//! What must hold of the script for nsupdate, whatever the names and addresses that it is made of.

use heartbeat::notice::nsupdate::{DomainName, NameServer, Update, zone_of};
use std::net::IpAddr;

/// Panics where a property does not hold. The bytes are lines: name, zone, server, port, TTL, addresses.
pub fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    // Not `lines`: whatever else ends a line somewhere stays inside its part.
    let mut parts = text.split('\u{1}');
    let mut part = || parts.next().unwrap_or_default().to_owned();
    let (name, zone, server, port, ttl) = (part(), part(), part(), part(), part());
    let (Ok(name), Ok(zone)) = (DomainName::parse(&name), DomainName::parse(&zone)) else { return };
    let zones = [zone.to_string()];
    assert_eq!(zone_of(&name, &zones).is_some(), name.is_below(&zone));
    let server = NameServer::new(&server, port.parse().ok());
    let addresses = parts.filter_map(|part| part.parse::<IpAddr>().ok());
    let made =
        Update::new(server.ok(), zone.clone(), name.clone(), ttl.parse().unwrap_or(60), addresses);
    let Ok(update) = made else { return };
    assert!(name.is_below(&zone));
    let script = update.render();
    assert!(script.is_ascii() && script.ends_with("send\n"), "{script:?}");
    assert!(
        script.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)),
        "{script:?}"
    );
    let families = update.addresses().count();
    let lines: Vec<&str> = script.lines().collect();
    let first = usize::from(lines[0].starts_with("server "));
    assert_eq!(lines.len(), first + 1 + 3 * families, "{script:?}");
    assert_eq!(lines[first], format!("zone {zone}"));
    for (each, address) in lines[first + 1..].chunks(3).zip(update.addresses()) {
        let kind = if address.is_ipv4() { "A" } else { "AAAA" };
        assert_eq!(each[0], format!("update delete {name} {kind}"));
        let words: Vec<&str> = each[1].split(' ').collect();
        let [_, _, whose, ttl, _, where_to] = words.as_slice() else { panic!("{each:?}") };
        assert!(each[1].starts_with("update add ") && *whose == name.as_str(), "{each:?}");
        assert!((1..=604_800).contains(&ttl.parse::<u32>().expect("a number")), "{each:?}");
        assert_eq!(where_to.parse::<IpAddr>(), Ok(address));
        assert_eq!(each[2], "send");
    }
}
