//! The host's name in the DNS, as its page shows it: how it stands, which addresses the name server has, what is
//! tried next. Whether and when anything is updated is the engine's.

use super::clock::span;
use crate::engine::view::{Dns, DnsRecord, DnsState};
use crate::time::Wall;
use serde::Serialize;

#[derive(Serialize)]
pub struct NameRecord {
    name: String,
    /// Of a pill: the key of its colour, and its words.
    mark: &'static str,
    words: &'static str,
    pairs: Vec<(&'static str, String)>,
    error: Option<String>,
}

pub fn of_host(dns: &Dns, now: Wall) -> NameRecord {
    let (mark, words) = match dns.state {
        DnsState::Unconfirmed => ("unk", "no confirmed address"),
        DnsState::Waiting => ("unk", "waiting for its turn"),
        DnsState::Updating => ("unk", "being updated"),
        DnsState::Ok => ("up", "up to date"),
        DnsState::Failed => ("warn", "update failed"),
        DnsState::Refused => ("unk", "not taken"),
    };
    let mut pairs = Vec::new();
    if let Some(zone) = &dns.zone {
        pairs.push(("Zone", zone.to_string()));
    }
    for (kind, record) in ["A", "AAAA"].into_iter().zip(&dns.records) {
        pairs.extend(describe(record, now).map(|words| (kind, words)));
    }
    let ago = |at: Wall| format!("{} ago", span(now.since(at)));
    pairs.extend(dns.tried.map(|at| ("Last update", ago(at))));
    // An update that is overdue is made as soon as the worker is free.
    let ahead = |at: Wall| format!("in {}", span(at.since(now)));
    pairs.extend(dns.next.map(|at| ("Next try", ahead(at))));
    NameRecord {
        name: dns.name.to_string(),
        mark,
        words,
        pairs,
        error: dns.error.as_ref().map(|error| error.to_string()),
    }
}

/// `192.0.2.10 since 5 m, to be 192.0.2.11`; nothing where the host has no address of the family.
fn describe(record: &DnsRecord, now: Wall) -> Option<String> {
    let mut parts = Vec::new();
    if let Some(address) = record.address {
        let since = record.updated.map(|at| format!(" since {}", span(now.since(at))));
        parts.push(format!("{address}{}", since.unwrap_or_default()));
    }
    parts.extend(record.wanted.map(|address| format!("to be {address}")));
    parts.extend(record.refused.map(|address| format!("{address} is not taken")));
    (!parts.is_empty()).then(|| parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::view::Severity;
    use crate::prng::Prng;
    use crate::time::Duration;
    use crate::web::fixture::{Bench, NOW, host, of_hosts};
    use std::sync::Arc;

    #[test]
    fn page_of_a_host_tells_how_its_name_stands() {
        let mut bench = Bench::new(1);
        let name: Arc<str> = bench.view.names[0].0.clone();
        let path = format!("/plugins/{name}");
        assert!(!bench.text(&path).contains("Dynamic DNS"));
        let address = |text: &str| Some(text.parse().unwrap());
        let now = NOW.wall;
        let dns = Dns {
            name: name.clone(),
            zone: Some("dyn.example.net".into()),
            state: DnsState::Failed,
            records: [
                DnsRecord {
                    address: address("192.0.2.10"),
                    updated: Some(now - Duration::from_secs(7200)),
                    wanted: address("192.0.2.11"),
                    refused: None,
                },
                DnsRecord {
                    address: None,
                    updated: None,
                    wanted: None,
                    refused: address("fd00::1"),
                },
            ],
            tried: Some(now - Duration::from_secs(50)),
            next: Some(now + Duration::from_secs(70)),
            error: Some("update failed: <REFUSED>".into()),
        };
        let mut host = host(0, &name, Severity::Up, &mut Prng::new(1));
        host.dns = Some(Arc::new(dns));
        bench.view = Arc::new(of_hosts(vec![host]));
        let page = bench.text(&path);
        for part in [
            "Dynamic DNS",
            "update failed",
            "192.0.2.10 since 2 h, to be 192.0.2.11",
            "fd00::1 is not taken",
            "50 s ago",
            "in 1 m 10 s",
            "&lt;REFUSED&gt;",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
    }
}
