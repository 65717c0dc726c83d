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

/// Reads `/proc/net/dev`, those interfaces that `wanted` takes. Old kernels put no blank between the
/// colon and the first counter (`eth0:123`), and an alias has a colon in its name.
pub fn parse_netdev(bytes: &[u8], wanted: impl Fn(&[u8]) -> bool) -> Vec<Counters> {
    let parse = |line: &[u8]| {
        let colon = line.iter().rposition(|&b| b == b':')?;
        let name = line[..colon].trim_ascii();
        if name.is_empty() || !wanted(name) {
            return None;
        }
        parse_counters(scan::text(name), &line[colon + 1..])
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
