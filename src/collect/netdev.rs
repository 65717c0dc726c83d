//! `/proc/net/dev`: counters of the network interfaces. Pure parser.

use super::scan;

/// Interfaces shown of one machine; a container host may have thousands.
pub const INTERFACES_MAX: usize = 64;

/// Counters of one interface since it was made.
#[derive(Clone, Default, Debug, PartialEq)]
pub struct Counters {
    pub name: String,
    pub rx_bytes: u64,
    pub rx_packets: u64,
    pub rx_errors: u64,
    pub rx_dropped: u64,
    pub tx_bytes: u64,
    pub tx_packets: u64,
    pub tx_errors: u64,
    pub tx_dropped: u64,
}

impl Counters {
    pub fn errors(&self) -> u64 {
        self.rx_errors.saturating_add(self.tx_errors)
    }

    pub fn dropped(&self) -> u64 {
        self.rx_dropped.saturating_add(self.tx_dropped)
    }
}

/// Reads `/proc/net/dev`, those interfaces that `wanted` takes. Old kernels put no blank between
/// the colon and the first counter (`eth0:123`), and an alias has a colon in its name.
pub fn parse_netdev(bytes: &[u8], wanted: impl Fn(&[u8]) -> bool) -> Vec<Counters> {
    let parse = |line: &[u8]| {
        let colon = line.iter().rposition(|&b| b == b':')?;
        let bytes = line[..colon].trim_ascii();
        let name = scan::text(bytes);
        if name.is_empty() || !wanted(bytes) {
            return None;
        }
        parse_counters(name, &line[colon + 1..])
    };
    scan::lines(bytes).filter_map(parse).take(INTERFACES_MAX).collect()
}

/// `bytes packets errs drop fifo frame compressed multicast`, and the same for sent.
fn parse_counters(name: String, rest: &[u8]) -> Option<Counters> {
    let mut fields = [0; 16];
    let mut words = scan::words(rest);
    for field in &mut fields {
        *field = scan::number(words.next()?)?;
    }
    let [rx_bytes, rx_packets, rx_errors, rx_dropped, ..] = fields;
    let [.., tx_bytes, tx_packets, tx_errors, tx_dropped, _, _, _, _] = fields;
    Some(Counters {
        name,
        rx_bytes,
        rx_packets,
        rx_errors,
        rx_dropped,
        tx_bytes,
        tx_packets,
        tx_errors,
        tx_dropped,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn counters_are_read_with_and_without_a_blank_after_the_colon() {
        let bytes = b"face |bytes\n  eth0:100 1 2 3 4 5 6 7 200 8 9 10 11 12 13 14\n\
            eth1: 5 6 0 0 0 0 0 0 7 8 0 0 0 0 0 0\nbr0:1: 1 2 0 0 0 0 0 0 3 4 0 0 0 0 0 0\n\
            short: 1 2 3\n: 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1\n";
        let all = parse_netdev(bytes, |name| name != b"eth1");
        let want = Counters {
            name: "eth0".to_owned(),
            rx_bytes: 100,
            rx_packets: 1,
            rx_errors: 2,
            rx_dropped: 3,
            tx_bytes: 200,
            tx_packets: 8,
            tx_errors: 9,
            tx_dropped: 10,
        };
        assert_eq!(all[0], want);
        assert_eq!((all[0].errors(), all[0].dropped()), (11, 13));
        assert_eq!(all[1].name, "br0:1");
        assert_eq!(all.len(), 2);
    }

    #[test]
    fn interfaces_are_bounded() {
        let line = |i| format!("veth{i}: {}\n", "1 ".repeat(16));
        let bytes: String = (0..INTERFACES_MAX + 10).map(line).collect();
        assert_eq!(parse_netdev(bytes.as_bytes(), |_| true).len(), INTERFACES_MAX);
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(
            bytes in any::<Vec<u8>>(),
            text in "([a-z]{0,3}:[0-9 ]{0,80}\n){0,9}",
        ) {
            for bytes in [&bytes[..], text.as_bytes()] {
                for counters in parse_netdev(bytes, |_| true) {
                    counters.errors();
                    counters.dropped();
                }
            }
        }
    }
}
