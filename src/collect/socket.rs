//! Numbers of connections from `/proc/net/snmp` and `sockstat`: two small files instead of the
//! list of all sockets. Pure parsers.

use super::scan;

#[derive(Clone, Copy, Default, Debug, PartialEq)]
pub struct Sockstat {
    pub tcp_time_wait: Option<u64>,
    pub udp: Option<u64>,
}

/// Established TCP connections, of both IP versions, by the names of the header line:
/// `Tcp: … CurrEstab …` over `Tcp: … 12 …`.
pub fn parse_established(bytes: &[u8]) -> Option<u64> {
    let mut tcp = scan::lines(bytes).filter_map(|line| line.strip_prefix(b"Tcp:"));
    let (names, values) = (tcp.next()?, tcp.next()?);
    let at = scan::words(names).position(|name| name == b"CurrEstab")?;
    scan::number(scan::words(values).nth(at)?)
}

/// Reads `/proc/net/sockstat` or `sockstat6`: `TCP: inuse 1 orphan 0 tw 0 …`, `UDP6: inuse 2`.
pub fn parse_sockstat(bytes: &[u8]) -> Sockstat {
    let mut stat = Sockstat::default();
    for line in scan::lines(bytes) {
        match scan::pair(line, b':') {
            Some((b"TCP", rest)) => stat.tcp_time_wait = field(rest, b"tw"),
            Some((b"UDP" | b"UDP6", rest)) => stat.udp = field(rest, b"inuse"),
            _ => {}
        }
    }
    stat
}

/// The number after `name` in `name number name number …`.
fn field(rest: &[u8], name: &[u8]) -> Option<u64> {
    let mut words = scan::words(rest);
    words.find(|word| *word == name)?;
    scan::number(words.next()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn established_is_found_by_its_name() {
        assert_eq!(parse_established(b"Tcp: A CurrEstab B\nTcp: 1 12 3\n"), Some(12));
        assert_eq!(parse_established(b"Tcp: A CurrEstab B\nTcp: 1\n"), None);
        assert_eq!(parse_established(b"Tcp: A B\nTcp: 1 2\n"), None);
        assert_eq!(parse_established(b"Udp: CurrEstab\nUdp: 1\n"), None);
    }

    #[test]
    fn sockets_are_read_of_both_versions() {
        let v4 = parse_sockstat(b"TCP: inuse 1 orphan 0 tw 7 alloc 1 mem 2\nUDP: inuse 3 mem 1\n");
        assert_eq!(v4, Sockstat { tcp_time_wait: Some(7), udp: Some(3) });
        let v6 = parse_sockstat(b"TCP6: inuse 2\nUDP6: inuse 5\nUDPLITE6: inuse 9\n");
        assert_eq!(v6, Sockstat { tcp_time_wait: None, udp: Some(5) });
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(
            bytes in any::<Vec<u8>>(),
            text in "((Tcp|TCP|UDP):[a-zA-Z0-9 ]{0,40}\n){0,9}",
        ) {
            for bytes in [&bytes[..], text.as_bytes()] {
                parse_established(bytes);
                parse_sockstat(bytes);
            }
        }
    }
}
