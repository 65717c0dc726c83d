//! What `nsupdate` is fed: a script made of typed values, so that nothing that a host says can add a line to it
//! (THREATS S1).
//!
//! Owns what a domain name and an address for it may be, and the words of the script. Never runs anything.

use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// Longest domain name as text, without the last dot (RFC 1035).
const NAME_MAX: usize = 253;
const LABEL_MAX: usize = 63;
/// Longest time that a record may be kept by others, a week.
pub const TTL_MAX: u32 = 604_800;

/// A name in the DNS that a host may have: letters, digits and inner hyphens, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainName(Arc<str>);

/// Why a text is not such a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameFault {
    Empty,
    TooLong,
    EmptyLabel,
    LabelTooLong,
    Hyphen,
    BadByte(u8),
}

impl fmt::Display for NameFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameFault::Empty => f.write_str("the name is empty"),
            NameFault::TooLong => write!(f, "the name is longer than {NAME_MAX} bytes"),
            NameFault::EmptyLabel => f.write_str("the name has nothing between two dots"),
            NameFault::LabelTooLong => {
                write!(f, "a part of the name is longer than {LABEL_MAX} bytes")
            }
            NameFault::Hyphen => f.write_str("a part of the name begins or ends with a hyphen"),
            NameFault::BadByte(byte) => write!(
                f,
                "the name contains the byte 0x{byte:02x}; the DNS allows a host letters, digits and hyphens"
            ),
        }
    }
}

impl DomainName {
    /// Takes a name as people write it, without a last dot.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<DomainName, NameFault> {
        if text.is_empty() {
            return Err(NameFault::Empty);
        }
        if text.len() > NAME_MAX {
            return Err(NameFault::TooLong);
        }
        for label in text.as_bytes().split(|byte| *byte == b'.') {
            check_label(label)?;
        }
        Ok(DomainName(text.to_ascii_lowercase().into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it lies strictly below `zone`.
    pub fn is_below(&self, zone: &DomainName) -> bool {
        let above = self.0.strip_suffix(&*zone.0);
        above.is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn check_label(label: &[u8]) -> Result<(), NameFault> {
    let (Some(first), Some(last)) = (label.first(), label.last()) else {
        return Err(NameFault::EmptyLabel);
    };
    if label.len() > LABEL_MAX {
        return Err(NameFault::LabelTooLong);
    }
    if let Some(byte) = label.iter().find(|b| !b.is_ascii_alphanumeric() && **b != b'-') {
        return Err(NameFault::BadByte(*byte));
    }
    if *first == b'-' || *last == b'-' { Err(NameFault::Hyphen) } else { Ok(()) }
}

/// The zone of the longest name among `zones` that `name` lies strictly below.
pub fn zone_of(name: &DomainName, zones: &[String]) -> Option<DomainName> {
    let zones = zones.iter().filter_map(|zone| DomainName::parse(zone).ok());
    zones.filter(|zone| name.is_below(zone)).max_by_key(|zone| zone.0.len())
}

/// Whether a record may point there at all: one host on a network, by an address that means the same to others.
pub fn is_host_address(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            !v4.is_unspecified()
                && !v4.is_multicast()
                && !v4.is_broadcast()
                && !v4.is_link_local()
                && v4.octets()[0] != 0
                && v4.octets()[0] < 240
        }
        IpAddr::V6(v6) => {
            !v6.is_unspecified() && !v6.is_multicast() && v6.segments()[0] & 0xffc0 != 0xfe80
        }
    }
}

/// Whether an address is of use behind some border only: RFC 1918 and 6598, loopback, unique local.
pub fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private() || v4.is_loopback() || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.segments()[0] & 0xfe00 == 0xfc00,
    }
}

/// The server that takes updates: an address or a name, and where it is not 53 the port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameServer {
    host: String,
    port: Option<u16>,
}

impl NameServer {
    /// # Errors
    /// `host` is neither an address nor a domain name.
    pub fn new(host: &str, port: Option<u16>) -> Result<NameServer, NameFault> {
        let bare = host.split('%').next().unwrap_or(host);
        let scope = host.get(bare.len() + 1..).unwrap_or("");
        let scoped = bare.parse::<Ipv6Addr>().is_ok()
            && !scope.is_empty()
            && scope.bytes().all(|b| b.is_ascii_alphanumeric());
        if host.parse::<IpAddr>().is_ok() || scoped {
            return Ok(NameServer { host: host.to_owned(), port });
        }
        let name = DomainName::parse(host.strip_suffix('.').unwrap_or(host))?;
        Ok(NameServer { host: name.to_string(), port })
    }
}

/// One update of one name: of each family that is given, all records go and one comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    server: Option<NameServer>,
    zone: DomainName,
    name: DomainName,
    ttl: u32,
    v4: Option<Ipv4Addr>,
    v6: Option<Ipv6Addr>,
}

/// Why there is no update to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateFault {
    NotBelow,
    NoAddress,
    BadAddress(IpAddr),
}

impl fmt::Display for UpdateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UpdateFault::NotBelow => f.write_str("the name does not lie below the zone"),
            UpdateFault::NoAddress => f.write_str("there is no address"),
            UpdateFault::BadAddress(address) => {
                write!(f, "{address} is not an address of one host")
            }
        }
    }
}

impl Update {
    /// Of several addresses of one family the last counts. A `ttl` out of its range counts as the nearest in it.
    ///
    /// # Errors
    /// The name is not below the zone, or an address cannot be a host's, or there is none.
    pub fn new(
        server: Option<NameServer>,
        zone: DomainName,
        name: DomainName,
        ttl: u32,
        addresses: impl IntoIterator<Item = IpAddr>,
    ) -> Result<Update, UpdateFault> {
        if !name.is_below(&zone) {
            return Err(UpdateFault::NotBelow);
        }
        let ttl = ttl.clamp(1, TTL_MAX);
        let mut update = Update { server, zone, name, ttl, v4: None, v6: None };
        for address in addresses {
            if !is_host_address(address) {
                return Err(UpdateFault::BadAddress(address));
            }
            match address.to_canonical() {
                IpAddr::V4(v4) => update.v4 = Some(v4),
                IpAddr::V6(v6) => update.v6 = Some(v6),
            }
        }
        if update.v4.is_none() && update.v6.is_none() {
            return Err(UpdateFault::NoAddress);
        }
        Ok(update)
    }

    pub fn name(&self) -> &DomainName {
        &self.name
    }

    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.v4.map(IpAddr::V4).into_iter().chain(self.v6.map(IpAddr::V6))
    }

    /// The script: one update a `send`, so that one family is kept where the other is refused.
    pub fn render(&self) -> String {
        let mut out = String::with_capacity(512);
        if let Some(NameServer { host, port }) = &self.server {
            let _ = write!(out, "server {host}");
            if let Some(port) = port {
                let _ = write!(out, " {port}");
            }
            out.push('\n');
        }
        let (name, ttl) = (&self.name, self.ttl);
        let _ = writeln!(out, "zone {}", self.zone);
        for address in self.addresses() {
            let kind = if address.is_ipv4() { "A" } else { "AAAA" };
            let _ = writeln!(out, "update delete {name} {kind}");
            let _ = writeln!(out, "update add {name} {ttl} {kind} {address}");
            out.push_str("send\n");
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> DomainName {
        DomainName::parse(text).unwrap()
    }

    #[test]
    fn script_says_each_family_in_an_update_of_its_own() {
        let server = NameServer::new("192.0.2.53", Some(5353)).unwrap();
        let update = Update::new(
            Some(server),
            name("dyn.example.net"),
            name("Web1.dyn.example.net"),
            60,
            ["2001:db8::7".parse().unwrap(), "::ffff:192.0.2.7".parse().unwrap()],
        );
        let want = "server 192.0.2.53 5353\nzone dyn.example.net\n\
                    update delete web1.dyn.example.net A\n\
                    update add web1.dyn.example.net 60 A 192.0.2.7\nsend\n\
                    update delete web1.dyn.example.net AAAA\n\
                    update add web1.dyn.example.net 60 AAAA 2001:db8::7\nsend\n";
        assert_eq!(update.unwrap().render(), want);
        let address: IpAddr = "192.0.2.7".parse().unwrap();
        let update = Update::new(None, name("net"), name("a.net"), 0, [address]).unwrap();
        let want = "zone net\nupdate delete a.net A\nupdate add a.net 1 A 192.0.2.7\nsend\n";
        assert_eq!(update.render(), want);
    }

    #[test]
    fn s1_hostile_names_are_refused_before_the_script() {
        let long = "a".repeat(64);
        let longer = "a.".repeat(127) + "net";
        let table = [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "a.",
            "-a.net",
            "a-.net",
            "a.-b",
            "a b.net",
            "a\nb.net",
            "a.net\nsend",
            "a.net\r\nquit",
            "a\0.net",
            "a;b.net",
            "a\tb",
            "$(id).net",
            "`id`.net",
            "a|b.net",
            "a>b.net",
            "a\"b.net",
            "a'b.net",
            "a\\032b.net",
            "a/b.net",
            "*.net",
            "@",
            "_x.net",
            "a_b.net",
            "é.net",
            "xn--\u{301}.net",
            "a\u{2028}b.net",
            "a\u{202e}b.net",
            "a\u{85}b.net",
            "a%0a.net",
            "a#b",
            "a,b",
            "a(b",
            "a{b}",
            "a:53",
            "[::1]",
            "a&b",
            "a!",
            "~a",
            "a=b",
            "a+b",
            "a?b",
            "a^b",
            &long,
            &longer,
        ];
        for text in table {
            assert!(DomainName::parse(text).is_err(), "{text:?}");
            assert!(NameServer::new(text, None).is_err() || text == "a.", "{text:?}");
        }
        for text in ["a", "a.net", "A.Net", "1.2.3.4.in-addr.arpa", "xn--bcher-kva.example"] {
            assert_eq!(name(text).as_str(), text.to_ascii_lowercase());
        }
    }

    #[test]
    fn s1_name_is_a_child_of_its_zone_and_of_the_longest_one() {
        let zones = ["example.net", "dyn.example.net", "bad zone", "NET.example"];
        let zones: Vec<String> = zones.map(str::to_owned).into();
        let table = [
            ("web1.dyn.example.net", Some("dyn.example.net")),
            ("a.b.dyn.example.net", Some("dyn.example.net")),
            ("dyn.example.net", Some("example.net")),
            ("xdyn.example.net", Some("example.net")),
            ("example.net", None),
            ("badexample.net", None),
            ("example.net.evil.org", None),
            ("web1", None),
        ];
        for (text, want) in table {
            let zone = zone_of(&name(text), &zones);
            assert_eq!(zone.as_ref().map(DomainName::as_str), want, "{text}");
        }
        let address: IpAddr = "192.0.2.7".parse().unwrap();
        let outside = Update::new(None, name("example.net"), name("example.net"), 60, [address]);
        assert_eq!(outside, Err(UpdateFault::NotBelow));
    }

    #[test]
    fn s1_addresses_that_are_no_hosts_are_refused() {
        let good = ["192.0.2.1", "127.0.0.1", "10.0.0.1", "::1", "fd00::1", "2001:db8::1"];
        let bad = [
            "0.0.0.0",
            "0.1.2.3",
            "255.255.255.255",
            "240.0.0.1",
            "224.0.0.1",
            "169.254.1.1",
            "::",
            "ff02::1",
            "fe80::1",
            "::ffff:224.0.0.1",
            "::ffff:0.0.0.0",
        ];
        for text in good {
            assert!(is_host_address(text.parse().unwrap()), "{text}");
        }
        for text in bad {
            let address: IpAddr = text.parse().unwrap();
            let update = Update::new(None, name("net"), name("a.net"), 60, [address]);
            assert_eq!(update, Err(UpdateFault::BadAddress(address)), "{text}");
        }
        let none = Update::new(None, name("net"), name("a.net"), 60, []);
        assert_eq!(none, Err(UpdateFault::NoAddress));
    }

    #[test]
    fn private_addresses_are_those_behind_a_border() {
        let private = [
            "10.1.2.3",
            "172.31.0.1",
            "192.168.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "::1",
            "fd12::1",
            "::ffff:10.0.0.1",
        ];
        let public = ["192.0.2.1", "172.32.0.1", "100.128.0.1", "2001:db8::1", "fe00::1"];
        for text in private {
            assert!(is_private(text.parse().unwrap()), "{text}");
        }
        for text in public {
            assert!(!is_private(text.parse().unwrap()), "{text}");
        }
    }
}
