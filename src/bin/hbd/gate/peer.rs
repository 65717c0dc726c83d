//! Who is at the other end: the forwarded address behind trusted proxies, and the block of
//! addresses that per-address limits count. Pure.

use super::request::Request;
use heartbeat::config::server::{Cidr, Server};
use std::net::{IpAddr, Ipv6Addr};

/// The address that counts for limits: IPv4 whole, IPv6 by /64.
pub fn block(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(u128::from(v6) >> 64 << 64)),
        v4 => v4,
    }
}

pub fn is_trusted(address: IpAddr, proxies: &[Cidr]) -> bool {
    proxies.iter().any(|cidr| cidr.contains(address))
}

/// The client's address: what `X-Forwarded-For` says where the peer is a trusted proxy, read from
/// the right and past further trusted proxies; what cannot be read ends the search.
pub fn client(address: IpAddr, request: &Request, config: &Server) -> IpAddr {
    let proxies = &config.trusted_proxies;
    let mut client = address.to_canonical();
    let hops: Vec<&str> = request.all("x-forwarded-for").flat_map(|v| v.split(',')).collect();
    for hop in hops.iter().rev() {
        if !is_trusted(client, proxies) {
            break;
        }
        match parse_hop(hop.trim()) {
            Some(address) => client = address.to_canonical(),
            None => break,
        }
    }
    client
}

/// Whether the client speaks TLS: here, or to a trusted proxy that says so.
pub fn is_secure(address: IpAddr, request: &Request, config: &Server) -> bool {
    is_trusted(address, &config.trusted_proxies)
        && request.all("x-forwarded-proto").last().is_some_and(|v| v.eq_ignore_ascii_case("https"))
}

/// `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]:4711`.
fn parse_hop(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|t| t.split(']').next());
    let address = text.parse().ok().or_else(|| bare?.parse().ok());
    address.or_else(|| text.parse::<std::net::SocketAddr>().ok().map(|a| a.ip()))
}

#[cfg(test)]
mod tests {
    use super::super::request::{Decoder, Step};
    use super::*;

    fn request(fields: &str) -> Request {
        let mut decoder = Decoder::default();
        decoder.push(format!("GET / HTTP/1.0\r\n{fields}\r\n").as_bytes());
        match decoder.step() {
            Step::Request(request) => request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn client_is_the_last_address_that_no_trusted_proxy_has() {
        let cidr = |text: &str, prefix| Cidr { address: text.parse().unwrap(), prefix };
        let config = Server {
            trusted_proxies: vec![cidr("10.0.0.0", 8), cidr("::1", 128)],
            ..Server::default()
        };
        let table = [
            ("192.0.2.1", "X-Forwarded-For: 9.9.9.9\r\n", "192.0.2.1"),
            ("10.0.0.1", "", "10.0.0.1"),
            ("10.0.0.1", "X-Forwarded-For: 9.9.9.9\r\n", "9.9.9.9"),
            ("::1", "X-Forwarded-For: 1.1.1.1, 9.9.9.9, 10.2.2.2\r\n", "9.9.9.9"),
            ("10.0.0.1", "X-Forwarded-For: 1.1.1.1\r\nx-forwarded-for: 9.9.9.9\r\n", "9.9.9.9"),
            ("10.0.0.1", "X-Forwarded-For: 1.1.1.1, nonsense\r\n", "10.0.0.1"),
            ("10.0.0.1", "X-Forwarded-For: 1.1.1.1, nonsense, 10.2.2.2\r\n", "10.2.2.2"),
            ("10.0.0.1", "X-Forwarded-For: [2001:db8::1]:4711\r\n", "2001:db8::1"),
            ("10.0.0.1", "X-Forwarded-For: 9.9.9.9:4711\r\n", "9.9.9.9"),
            ("10.0.0.1", "X-Forwarded-For: ::ffff:9.9.9.9\r\n", "9.9.9.9"),
            ("::ffff:10.0.0.1", "X-Forwarded-For: 9.9.9.9\r\n", "9.9.9.9"),
        ];
        for (address, fields, want) in table {
            let client = client(address.parse().unwrap(), &request(fields), &config);
            assert_eq!(client, want.parse::<IpAddr>().unwrap(), "{address} {fields:?}");
        }
    }

    #[test]
    fn limits_count_v6_by_64_and_mapped_v4_whole() {
        let table = [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ];
        for (address, want) in table {
            assert_eq!(block(address.parse().unwrap()), want.parse::<IpAddr>().unwrap());
        }
    }
}
