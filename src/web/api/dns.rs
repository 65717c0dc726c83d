//! `hosts/H/dns`: asks for an update of the host's record; and how that record is shown.

use super::host::unknown;
use crate::engine::view::{self, Family};
use crate::engine::{Command, Outcome};
use crate::time::Wall;
use crate::web::authz::{Access, Manager};
use crate::web::problem::Problem;
use crate::web::{Answer, Call};
use serde::Serialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// `POST hosts/H/dns {}`: 202, and the update is made as soon as the name's minute is over.
pub fn update(call: &Call<'_>, access: &Access<'_, Manager>) -> Answer {
    #[derive(Serialize)]
    struct Nothing {}
    if !call.request.body.is_empty() {
        let _: BTreeMap<String, IgnoredAny> = super::body(call, "body")?;
    }
    match call.context.engine.act(Command::Dns { host: access.name() }) {
        Outcome::NoSuchHost => Err(unknown(&call.context.view, &access.name())),
        Outcome::Refused(fault) => {
            let problem = Problem::new(409, "no_dns_update", fault.what);
            Err(match fault.hint {
                Some(hint) => problem.hint(hint),
                None => problem,
            })
        }
        _ => {
            let mut response = super::ok(&Nothing {})?;
            response.status = 202;
            Ok(response)
        }
    }
}

/// `dns` of a host.
#[derive(Serialize)]
pub struct DnsJson<'a> {
    name: &'a str,
    zone: Option<&'a str>,
    state: &'static str,
    records: [RecordJson; 2],
    last_try: Option<f64>,
    next_try: Option<f64>,
    error: Option<&'a str>,
}

#[derive(Serialize)]
struct RecordJson {
    r#type: &'static str,
    address: Option<IpAddr>,
    updated: Option<f64>,
    wanted: Option<IpAddr>,
    refused: Option<IpAddr>,
}

impl<'a> DnsJson<'a> {
    pub fn new(dns: &'a view::Dns) -> DnsJson<'a> {
        let record = |family: Family| {
            let record = &dns.records[family as usize];
            RecordJson {
                r#type: if family == Family::V4 { "A" } else { "AAAA" },
                address: record.address,
                updated: record.updated.map(Wall::as_secs_f64),
                wanted: record.wanted,
                refused: record.refused,
            }
        };
        DnsJson {
            name: &dns.name,
            zone: dns.zone.as_deref(),
            state: dns.state.as_str(),
            records: Family::ALL.map(record),
            last_try: dns.tried.map(Wall::as_secs_f64),
            next_try: dns.next.map(Wall::as_secs_f64),
            error: dns.error.as_deref(),
        }
    }
}
