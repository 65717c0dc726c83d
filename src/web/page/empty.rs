//! `/live` while no host exists: how to get the first heartbeat here, and what arrived instead.

use super::AgentFile;
use super::number;
use super::page;
use super::shell::Shell;
use crate::engine::view::Refusal;
use crate::limits;
use crate::web::{Answer, Call};
use crate::web::{guard, query};
use crate::wire::Reject;
use serde::Serialize;

const UDP_DEFAULT: u16 = 50003;
const REFUSALS_MAX: usize = 5;
const REACHABLE_MAX: usize = 50;

#[derive(Serialize)]
struct Empty {
    shell: Shell,
    /// The server as an agent's command line names it.
    server: String,
    /// A name that other machines can use, where this page was asked for by a loopback address.
    elsewhere: Option<String>,
    /// There are hosts, but none that lists show to this reader.
    hidden: Option<String>,
    /// Those of them that the reader may look at, with their addresses.
    reachable: Vec<(String, String)>,
    /// Where this page was asked for, as `curl` is given it.
    origin: String,
    agents: Vec<Offered>,
    /// What to change first, before other machines can do as the page says.
    first: Vec<String>,
    udp: Option<u16>,
    datagrams: String,
    refusals: Vec<String>,
    ghosts: Vec<String>,
}

pub fn respond(call: &Call<'_>) -> Answer {
    let context = call.context;
    let view = &context.view;
    let facts = context.facts;
    let authority = guard::host(context, call.request);
    let host = authority.map_or_else(|| "localhost".to_owned(), |a| a.url_host());
    let is_loopback =
        host == "localhost" || authority.and_then(|a| a.address()).is_some_and(|a| a.is_loopback());
    let port = match facts.udp {
        Some(port) if port != UDP_DEFAULT => format!(":{port}"),
        _ => String::new(),
    };
    let own = facts.full_name.clone().unwrap_or_else(|| facts.hostname.clone());
    let context = Empty {
        shell: Shell::new(call, "live", "Live"),
        elsewhere: (is_loopback && !own.is_empty()).then(|| format!("{own}{port}")),
        server: format!("{host}{port}"),
        hidden: hidden(call),
        reachable: reachable(call),
        origin: origin(call),
        agents: call.context.pages.agents.iter().map(Offered::of).collect(),
        first: first(call),
        udp: facts.udp,
        datagrams: plural(view.counters.received),
        refusals: view.refusals.iter().rev().take(REFUSALS_MAX).map(refusal).collect(),
        ghosts: view.ghosts.iter().take(limits::PROBLEMS_MAX).map(|g| g.name.to_string()).collect(),
    };
    page(call, 200, "empty.html", &context)
}

fn hidden(call: &Call<'_>) -> Option<String> {
    let all = call.whole.hosts.len as u64;
    (all > 0).then(|| match asked(call) {
        Some(admin) => format!("{} on this server; ask {admin}", exist(all)),
        None => format!("{} on this server", exist(all)),
    })
}

fn exist(count: u64) -> String {
    format!("{} {}", number::count(count), if count == 1 { "exists" } else { "exist" })
}

/// Who gives hosts to people: the first admin, by full name.
fn asked(call: &Call<'_>) -> Option<String> {
    let admin = call.context.config.users.values().find(|user| user.admin)?;
    Some(admin.full_name.clone())
}

fn reachable(call: &Call<'_>) -> Vec<(String, String)> {
    let names = call.context.view.names.iter().take(REACHABLE_MAX);
    let link = |name: &str| format!("/plugins/{}", query::encode(name));
    names.map(|(name, _)| (name.to_string(), link(name))).collect()
}

/// A file as the page offers it.
#[derive(Serialize)]
struct Offered {
    name: String,
    size: String,
    sha256: String,
}

impl Offered {
    fn of(file: &AgentFile) -> Offered {
        Offered {
            name: file.name.clone(),
            size: number::bytes(file.bytes as f64),
            sha256: file.sha256.clone(),
        }
    }
}

/// `http://mon.example.net:50004`
fn origin(call: &Call<'_>) -> String {
    let scheme = if call.request.secure { "https" } else { "http" };
    let host =
        call.request.header("host").filter(|_| guard::host(call.context, call.request).is_some());
    format!("{scheme}://{}", host.unwrap_or("localhost").trim())
}

/// Addresses that are this machine's alone.
fn first(call: &Call<'_>) -> Vec<String> {
    let config = &call.context.config;
    let mut first = Vec::new();
    if !config.hb_host.is_empty() && config.hb_host.iter().all(|address| address.is_loopback()) {
        first.push(
            "Heartbeats are taken from this machine alone: write the server's address, or nothing, into hb_host."
                .to_owned(),
        );
    }
    if call.context.facts.loopback_only {
        first.push(
            "These pages answer this machine alone: for others to fetch the agent from here, configure users: and \
             hbd_host, or copy the file."
                .to_owned(),
        );
    }
    first
}

/// `3 datagrams from 192.0.2.7 could not be parsed: bad zlib header or data`
fn refusal(refusal: &Refusal) -> String {
    use Reject::*;
    let what = match refusal.reason {
        Empty | TooLong | BadMagic | BadZlib | TooBig | BadUtf8 | BadJson | TooDeep
        | TooManyNodes | TooManyLeaves | DuplicateKey | KeyTooLong | MissingId | UnknownId
        | MissingName | BadName | BadField => "could not be parsed",
        _ if refusal.count == 1 => "was refused",
        _ => "were refused",
    };
    let address = refusal.address.to_canonical();
    format!("{} from {address} {what}: {}", plural(refusal.count), refusal.reason.words())
}

fn plural(count: u64) -> String {
    format!("{} {}", number::count(count), if count == 1 { "datagram" } else { "datagrams" })
}
