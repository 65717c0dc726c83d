//! `hosts`, `hosts/H`, its watch flag, and dropping it.

use super::dns::DnsJson;
use super::json::{HostJson, raw};
use super::{body, no_content, number, ok};
use crate::engine::view::{Host, View};
use crate::engine::{Command, Outcome};
use crate::text;
use crate::web::authz::{self, Access, Level, Manager, Monitor, Owner};
use crate::web::near;
use crate::web::problem::Problem;
use crate::web::select::{Filter, Sort, parse_severity, parse_state, select};
use crate::web::{Answer, Call};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::Arc;

/// Most hosts of one answer; without `limit` all that there are.
const LIMIT_MAX: u64 = 100_000;

/// `GET hosts?q=&state=&severity=&tag=&group=&sort=&limit=&offset=`
pub fn list(call: &Call<'_>) -> Answer {
    #[derive(Serialize)]
    struct List<'a> {
        hosts: Vec<HostJson<'a>>,
        total: usize,
    }
    let filter = filter(call)?;
    let sort = match call.query.get("sort") {
        None => Sort::default(),
        Some(text) => Sort::parse(text).ok_or_else(|| {
            Problem::new(400, "bad_parameter", "There is no such order.")
                .hint(format!("sort is one of {}.", Sort::NAMES))
                .field("sort")
        })?,
    };
    let limit = number(call, "limit", 1..=LIMIT_MAX)?.unwrap_or(LIMIT_MAX) as usize;
    let offset = number(call, "offset", 0..=LIMIT_MAX)?.unwrap_or(0) as usize;
    let view = authz::listed(&call.context.view, &call.caller);
    let selection = select(&view, &filter, sort, offset, limit);
    let hosts = selection.hosts.iter().map(|host| HostJson::new(host)).collect();
    ok(&List { hosts, total: selection.total })
}

/// `GET hosts/H`
pub fn one(call: &Call<'_>, access: &Access<'_, Monitor>) -> Answer {
    #[derive(Serialize)]
    struct Roles<'a> {
        owner: Option<&'a str>,
        managers: Vec<&'a str>,
        monitors: Vec<&'a str>,
    }
    #[derive(Serialize)]
    struct One<'a> {
        #[serde(flatten)]
        host: HostJson<'a>,
        description: Option<&'a str>,
        declared: bool,
        os_info: Option<&'a RawValue>,
        /// The record that is kept for it; null where there is none.
        dns: Option<DnsJson<'a>>,
        roles: Roles<'a>,
        /// The profiles of `threshold_configs` that count for it, left to right.
        profile: &'a [String],
        /// Newest first; for those who may command it.
        commands: Vec<super::command::CommandJson<'a>>,
        /// The addresses that a round trip has confirmed, by family.
        confirmed: Confirmed,
    }
    #[derive(Serialize)]
    struct Confirmed {
        ipv4: Option<std::net::IpAddr>,
        ipv6: Option<std::net::IpAddr>,
    }
    let host = access.host();
    let config = &call.context.config;
    let commands = match authz::level(&call.caller, host) >= Level::Manager {
        true => super::command::newest_first(host),
        false => Vec::new(),
    };
    let latest = host.plugin("os_info").and_then(|plugin| plugin.latest());
    ok(&One {
        host: HostJson::new(host),
        description: host.description.as_deref(),
        declared: host.declared,
        os_info: latest.map(|sample| raw(&sample.data)),
        dns: host.dns.as_deref().map(DnsJson::new),
        roles: Roles {
            owner: host.owner.as_deref(),
            managers: host.managers.iter().map(|name| &**name).collect(),
            monitors: host.monitors.iter().map(|name| &**name).collect(),
        },
        profile: config.hosts.get(&*host.name).map_or(&[], |own| &own.threshold_config),
        commands,
        confirmed: Confirmed { ipv4: host.confirmed[0], ipv6: host.confirmed[1] },
    })
}

/// `PUT hosts/H/watch {watch}`
pub fn watch(call: &Call<'_>, access: &Access<'_, Manager>) -> Answer {
    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Watch {
        watch: bool,
    }
    let wish: Watch = body(call, "watch")?;
    let host = access.name();
    match call.act(Command::Watch { host, watch: wish.watch }) {
        Outcome::NoSuchHost => Err(unknown(&call.context.view, &access.name())),
        _ => ok(&wish),
    }
}

/// `DELETE hosts/H`
pub fn drop(call: &Call<'_>, access: &Access<'_, Owner>) -> Answer {
    let host = access.name();
    match call.act(Command::Drop { host: host.clone() }) {
        Outcome::NoSuchHost => Err(unknown(&call.context.view, &host)),
        _ => {
            super::access::forget(call, &host)?;
            Ok(no_content())
        }
    }
}

/// The host of that name, in whatever case it was written.
pub fn find<'a>(view: &'a View, name: &str) -> Result<&'a Arc<Host>, Problem> {
    let key = text::parse_name(name).ok();
    key.and_then(|key| view.host(&key)).ok_or_else(|| unknown(view, name))
}

pub fn unknown(view: &View, name: &str) -> Problem {
    let shown = text::escape_control(text::cut(name, 80)).into_owned();
    let problem = Problem::new(404, "no_such_host", format!("There is no host {shown}."));
    let near = near::names(view, name);
    if near.is_empty() {
        return problem.hint("GET /api/0/hosts lists the hosts that you may see.");
    }
    problem.hint(format!("Did you mean {}?", near.join(", ")))
}

fn filter(call: &Call<'_>) -> Result<Filter, Problem> {
    let mut filter = Filter::default();
    filter.parse(call.query.get("q").unwrap_or(""));
    for word in call.words("state") {
        match (parse_state(word), parse_severity(word)) {
            (Some(state), _) => filter.states.push(state),
            (None, Some(severity)) => filter.severities.push(severity),
            (None, None) => return Err(bad_state("state")),
        }
    }
    for word in call.words("severity") {
        filter.severities.push(parse_severity(word).ok_or_else(|| bad_state("severity"))?);
    }
    filter.tags.extend(call.words("tag").map(str::to_owned));
    filter.groups.extend(call.query.get("group").map(str::to_owned));
    Ok(filter)
}

fn bad_state(field: &'static str) -> Problem {
    Problem::new(400, "bad_parameter", "There is no such state.")
        .hint(
            "One of down, critical, warning, late, degraded, unreachable, unknown, maintenance, \
             up; several with commas.",
        )
        .field(field)
}

impl Call<'_> {
    /// A parameter as a list with commas.
    pub(super) fn words(&self, name: &str) -> impl Iterator<Item = &str> {
        let text = self.query.get(name).unwrap_or("");
        text.split(',').map(str::trim).filter(|w| !w.is_empty())
    }
}
