//! `/healthz`: is the server well, for a supervisor or a load balancer.

use super::ok;
use crate::engine::PairShown;
use crate::engine::view::DnsState;
use crate::time::Wall;
use crate::web::metrics;
use crate::web::{Answer, Call, ChannelFact, JournalFact, QueueFact};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

#[derive(Serialize)]
struct Health<'a> {
    status: &'static str,
    version: &'static str,
    uptime_s: f64,
    hosts: usize,
    datagrams: Datagrams<'a>,
    channels: BTreeMap<&'a str, Channel<'a>>,
    #[serde(serialize_with = "by_name")]
    queues: &'a [QueueFact],
    #[serde(skip_serializing_if = "Option::is_none")]
    journal: Option<JournalFact>,
    /// Where `dyndomains` names a zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    dns: Option<Dns>,
    /// Where there are two servers with one voice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pair: Option<Pair<'a>>,
}

/// Times in Unix seconds.
#[derive(Serialize)]
struct Pair<'a> {
    peer: &'a str,
    role: &'static str,
    speaks: bool,
    peer_heard: Option<f64>,
    peer_alive: bool,
}

impl<'a> Pair<'a> {
    fn of(shown: &'a PairShown) -> Pair<'a> {
        Pair {
            peer: &shown.peer,
            role: shown.role,
            speaks: shown.speaks,
            peer_heard: shown.peer_heard.map(Wall::as_secs_f64),
            peer_alive: shown.peer_alive,
        }
    }
}

/// The records that are kept for hosts, over all of them.
#[derive(Serialize)]
struct Dns {
    domains: usize,
    records: usize,
    /// That wait for an update or are being updated.
    queued: usize,
    failing: usize,
    /// When the name server took one last.
    last_update: Option<f64>,
}

impl Dns {
    fn of(call: &Call<'_>) -> Option<Dns> {
        let domains = call.context.config.dyndomains.len();
        let mut dns = Dns { domains, records: 0, queued: 0, failing: 0, last_update: None };
        if domains == 0 {
            return None;
        }
        let mut last: Option<Wall> = None;
        for record in call.whole.hosts.iter().filter_map(|host| host.dns.as_deref()) {
            dns.records += 1;
            match record.state {
                DnsState::Waiting | DnsState::Updating => dns.queued += 1,
                DnsState::Failed => dns.failing += 1,
                DnsState::Unconfirmed | DnsState::Ok | DnsState::Refused => {}
            }
            last = record.records.iter().filter_map(|record| record.updated).chain(last).max();
        }
        dns.last_update = last.map(Wall::as_secs_f64);
        Some(dns)
    }
}

#[derive(Serialize)]
struct Datagrams<'a> {
    received: u64,
    accepted: u64,
    rejected: &'a BTreeMap<&'static str, u64>,
}

/// A way of notification. Times in Unix seconds.
#[derive(Serialize)]
struct Channel<'a> {
    /// Whether its last try succeeded; true where there was none.
    ok: bool,
    queued: usize,
    last_success: Option<f64>,
    last_error: Option<&'a str>,
    last_error_at: Option<f64>,
    failing_since: Option<f64>,
}

impl<'a> Channel<'a> {
    fn of(fact: &'a ChannelFact) -> Channel<'a> {
        Channel {
            ok: fact.is_ok(),
            queued: fact.queued,
            last_success: fact.last_success.map(Wall::as_secs_f64),
            last_error: fact.last_error.as_ref().map(|(_, error)| error.as_str()),
            last_error_at: fact.last_error.as_ref().map(|(at, _)| at.as_secs_f64()),
            failing_since: fact.failing_since.map(Wall::as_secs_f64),
        }
    }
}

#[derive(Serialize)]
struct Queue {
    depth: u64,
    capacity: u64,
    dropped: u64,
}

/// `GET /healthz`: 200, or 503 while the server is starting. Open from loopback.
pub fn respond(call: &Call<'_>) -> Answer {
    if let Some(refused) = metrics::refusal(call, "/healthz") {
        return Ok(refused);
    }
    let context = call.context;
    let view = &call.whole;
    let full = context.queues.iter().any(|queue| queue.depth >= queue.capacity);
    let status = match (context.starting, full) {
        (true, _) => "starting",
        (false, true) => "degraded",
        (false, false) => "ok",
    };
    let mut response = ok(&Health {
        status,
        version: context.facts.version,
        uptime_s: (view.uptime(context.now).as_millis() as f64) / 1000.0,
        hosts: view.hosts.len,
        datagrams: Datagrams {
            received: view.counters.received,
            accepted: view.counters.accepted,
            rejected: &view.counters.rejected,
        },
        channels: context.channels.iter().map(|c| (c.name.as_str(), Channel::of(c))).collect(),
        queues: context.queues,
        journal: context.journal,
        dns: Dns::of(call),
        pair: view.pair.as_ref().map(Pair::of),
    })?;
    if context.starting {
        response.status = 503;
    }
    Ok(response)
}

fn by_name<S: Serializer>(queues: &&[QueueFact], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(
        queues
            .iter()
            .map(|q| (q.name, Queue { depth: q.depth, capacity: q.capacity, dropped: q.dropped })),
    )
}
