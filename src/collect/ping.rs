//! Echo requests as bytes (RFC 792, RFC 4443), and what the `ping` programs of iputils, busybox,
//! FreeBSD and macOS print at the end. Pure functions.

use super::scan;

/// Bytes of a request, without the headers below it.
pub const REQUEST: usize = 24;
const REQUEST_V4: u8 = 8;
const REPLY_V4: u8 = 0;
const REQUEST_V6: u8 = 128;
const REPLY_V6: u8 = 129;

/// What a reply must repeat.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Echo {
    pub v6: bool,
    /// A kernel's datagram socket puts its own number in its place.
    pub id: u16,
    pub seq: u16,
    /// Told apart by this: another program may use the same numbers.
    pub token: u64,
}

impl Echo {
    pub fn request(&self) -> [u8; REQUEST] {
        let mut bytes = [0u8; REQUEST];
        bytes[0] = if self.v6 { REQUEST_V6 } else { REQUEST_V4 };
        bytes[4..6].copy_from_slice(&self.id.to_be_bytes());
        bytes[6..8].copy_from_slice(&self.seq.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.token.to_be_bytes());
        // Version 6 counts addresses in: the kernel does that.
        if !self.v6 {
            let sum = checksum(&bytes);
            bytes[2..4].copy_from_slice(&sum.to_be_bytes());
        }
        bytes
    }

    /// Whether these bytes answer this request; raw sockets give the IPv4 header as well.
    pub fn is_answered_by(&self, bytes: &[u8]) -> bool {
        let header = match bytes.first() {
            Some(first) if !self.v6 && first >> 4 == 4 => usize::from(first & 15) * 4,
            _ => 0,
        };
        let Some(message) = bytes.get(header..header + REQUEST) else { return false };
        let reply = if self.v6 { REPLY_V6 } else { REPLY_V4 };
        message[0] == reply
            && message[6..8] == self.seq.to_be_bytes()
            && message[8..16] == self.token.to_be_bytes()
    }
}

/// The internet checksum (RFC 1071) of an even number of bytes.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded + (folded >> 16)) as u16)
}

/// How the packets to one host fared.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Tally {
    pub sent: u32,
    pub received: u32,
    /// Shortest, mean and longest way there and back in milliseconds, where there was one.
    pub rtt_ms: Option<[f64; 3]>,
}

impl Tally {
    /// Takes in one more answer.
    pub fn add(&mut self, rtt_ms: f64) {
        let [min, mean, max] = self.rtt_ms.unwrap_or([rtt_ms; 3]);
        let mean = mean + (rtt_ms - mean) / f64::from(self.received + 1);
        self.received += 1;
        self.rtt_ms = Some([min.min(rtt_ms), mean, max.max(rtt_ms)]);
    }

    pub fn loss_percent(&self) -> f64 {
        let received = self.received.min(self.sent);
        100.0 * f64::from(self.sent - received) / f64::from(self.sent.max(1))
    }
}

/// Reads the summary of `ping`; `None` where there is none.
pub fn parse_ping(output: &str) -> Option<Tally> {
    let line = output.lines().find(|line| line.contains("packets transmitted"))?;
    let mut counts = line.split(',').map(|part| {
        let word = part.trim_start().split(' ').next().unwrap_or_default();
        scan::number(word.as_bytes()).and_then(|count| u32::try_from(count).ok())
    });
    let (sent, received) = (counts.next()??, counts.next()??);
    // `rtt min/avg/max/mdev = 0.043/0.050/0.058/0.007 ms`, `round-trip min/avg/max = 1/2/3 ms`
    let times = output.lines().find_map(|line| line.split_once("min/avg/max")?.1.split_once("= "));
    let rtt_ms = times.and_then(|(_, times)| {
        let mut times = times.split([' ', '/']).map(|time| scan::decimal(time.as_bytes()));
        Some([times.next()??, times.next()??, times.next()??])
    });
    Some(Tally { sent, received, rtt_ms: rtt_ms.filter(|_| received > 0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const IPUTILS: &str = "PING 127.0.0.1 (127.0.0.1) 56(84) bytes of data.\n\n\
        --- 127.0.0.1 ping statistics ---\n\
        2 packets transmitted, 2 received, 0% packet loss, time 204ms\n\
        rtt min/avg/max/mdev = 0.043/0.050/0.058/0.007 ms\n";
    const IPUTILS_DEAD: &str = "PING 192.0.2.77 (192.0.2.77) 56(84) bytes of data.\n\
        From 192.0.2.2 icmp_seq=1 Destination Host Unreachable\n\n\
        --- 192.0.2.77 ping statistics ---\n\
        3 packets transmitted, 0 received, +1 errors, 100% packet loss, time 2042ms\npipe 3\n";
    const IPUTILS_LATE: &str = "--- 8.8.8.8 ping statistics ---\n\
        3 packets transmitted, 2 received, 33.3333% packet loss, time 2003ms\n\
        rtt min/avg/max/mdev = 10.9/11.35/1012.2/0.5 ms, pipe 2\n";
    const BUSYBOX: &str = "PING 127.0.0.1 (127.0.0.1): 56 data bytes\n\n\
        --- 127.0.0.1 ping statistics ---\n\
        2 packets transmitted, 2 packets received, 0% packet loss\n\
        round-trip min/avg/max = 0.037/0.060/0.084 ms\n";
    const BUSYBOX_DEAD: &str = "PING 192.0.2.77 (192.0.2.77): 56 data bytes\n\n\
        --- 192.0.2.77 ping statistics ---\n\
        3 packets transmitted, 0 packets received, 100% packet loss\n";
    const FREEBSD: &str = "--- 127.0.0.1 ping statistics ---\n\
        3 packets transmitted, 3 packets received, 0.0% packet loss\n\
        round-trip min/avg/max/stddev = 0.051/0.060/0.071/0.008 ms\n";

    #[test]
    fn summaries_of_each_ping_are_read() {
        let table = [
            (IPUTILS, (2, 2, Some([0.043, 0.05, 0.058]))),
            (IPUTILS_DEAD, (3, 0, None)),
            (IPUTILS_LATE, (3, 2, Some([10.9, 11.35, 1012.2]))),
            (BUSYBOX, (2, 2, Some([0.037, 0.06, 0.084]))),
            (BUSYBOX_DEAD, (3, 0, None)),
            (FREEBSD, (3, 3, Some([0.051, 0.06, 0.071]))),
        ];
        for (output, (sent, received, rtt_ms)) in table {
            assert_eq!(parse_ping(output), Some(Tally { sent, received, rtt_ms }), "{output}");
        }
        for output in ["", "ping: x: Name or service not known", "packets transmitted, 1"] {
            assert_eq!(parse_ping(output), None, "{output}");
        }
    }

    #[test]
    fn tally_has_mean_and_loss() {
        let mut tally = Tally { sent: 4, ..Tally::default() };
        assert_eq!(tally.loss_percent(), 100.0);
        [2.0, 4.0, 3.0].into_iter().for_each(|rtt| tally.add(rtt));
        assert_eq!(tally.rtt_ms, Some([2.0, 3.0, 4.0]));
        assert_eq!(tally.loss_percent(), 25.0);
        assert_eq!(Tally::default().loss_percent(), 0.0);
    }

    #[test]
    fn request_is_answered_by_its_own_reply_only() {
        for v6 in [false, true] {
            let echo = Echo { v6, id: 7, seq: 2, token: 99 };
            let request = echo.request();
            assert!(!echo.is_answered_by(&request), "a request is no reply");
            let mut reply = request;
            reply[0] = if v6 { REPLY_V6 } else { REPLY_V4 };
            assert!(echo.is_answered_by(&reply));
            assert!(!echo.is_answered_by(&reply[..REQUEST - 1]));
            assert!(!Echo { seq: 3, ..echo }.is_answered_by(&reply));
            assert!(!Echo { token: 98, ..echo }.is_answered_by(&reply));
            let raw = [[0x45; 20].as_slice(), &reply].concat();
            assert_eq!(echo.is_answered_by(&raw), !v6);
        }
        assert_eq!(checksum(&Echo { v6: false, id: 7, seq: 2, token: 99 }.request()), 0);
    }
}
