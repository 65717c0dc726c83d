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
    /// Ways to the first heartbeat: name, address, whether it is this one.
    tabs: Vec<(&'static str, String, bool)>,
    steps: Vec<Step>,
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
    let way = Way::of(call.query.get("agent").unwrap_or_default());
    let own = facts.full_name.clone().unwrap_or_else(|| facts.hostname.clone());
    let context = Empty {
        shell: Shell::new(call, "live", "Live"),
        elsewhere: (is_loopback && !own.is_empty()).then(|| format!("{own}{port}")),
        tabs: way.tabs(),
        steps: way.steps(call, &format!("{host}{port}")),
        server: format!("{host}{port}"),
        hidden: hidden(call),
        reachable: reachable(call),
        agents: call.context.pages.agents.iter().map(Offered::of).collect(),
        first: first(call),
        udp: facts.udp,
        datagrams: plural(view.counters.received),
        refusals: view.refusals.iter().rev().take(REFUSALS_MAX).map(refusal).collect(),
        ghosts: view.ghosts.iter().take(limits::PROBLEMS_MAX).map(|g| g.name.to_string()).collect(),
    };
    page(call, 200, "empty.html", &context)
}

/// One command of the way, and what it does.
#[derive(Serialize)]
struct Step {
    title: &'static str,
    note: String,
    command: String,
}

/// What sends the heartbeats.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Mini,
    Deb,
    OpenWrt,
    Container,
}

impl Way {
    const ALL: [(Way, &'static str, &'static str); 4] = [
        (Way::Mini, "hbc-mini", "hbc-mini"),
        (Way::Deb, "deb", "hbc (deb)"),
        (Way::OpenWrt, "openwrt", "OpenWrt"),
        (Way::Container, "container", "container"),
    ];

    fn of(wish: &str) -> Way {
        let found = Way::ALL.into_iter().find(|(_, key, _)| *key == wish);
        found.map_or(Way::Mini, |(way, ..)| way)
    }

    fn tabs(self) -> Vec<(&'static str, String, bool)> {
        let tab = |(way, key, name)| (name, format!("/live?agent={key}"), way == self);
        Way::ALL.into_iter().map(tab).collect()
    }

    /// The commands, each as it stands for a shell.
    fn steps(self, call: &Call<'_>, server: &str) -> Vec<Step> {
        let source = Source { call, origin: origin(call), version: call.context.facts.version };
        match self {
            Way::Mini => source.mini(server),
            Way::Deb => source.deb(server),
            Way::OpenWrt => source.openwrt(server),
            Way::Container => source.container(server),
        }
    }
}

/// Where the programs come from: this server, where `agent_dir` has them, else the packages.
struct Source<'a> {
    call: &'a Call<'a>,
    origin: String,
    version: &'static str,
}

impl Source<'_> {
    /// A file of `agent_dir` that begins and ends so.
    fn file(&self, begin: &str, end: &str) -> Option<&str> {
        let mut names = self.call.context.pages.agents.iter().map(|file| &*file.name);
        names.find(|name| name.starts_with(begin) && name.ends_with(end))
    }

    /// `hbc-mini` in the directory where one stands; nothing where this server does not have it.
    fn fetch(&self) -> Option<Step> {
        self.file("hbc-mini-linux-", "")?;
        let name = "hbc-mini-linux-$(uname -m)";
        let origin = &self.origin;
        let command = format!("curl -fO {origin}/agent/{name}\ninstall -m 755 {name} hbc-mini");
        let note = "one static file; no other network is needed".to_owned();
        Some(Step { title: "Fetch the agent from this server, on the host", note, command })
    }

    fn mini(&self, server: &str) -> Vec<Step> {
        let fetched = self.fetch();
        let dot = if fetched.is_some() { "./" } else { "" };
        let first = fetched.unwrap_or_else(|| self.package("hbc-mini"));
        vec![
            first,
            start(format!("{dot}hbc-mini {server}")),
            keep(format!("{dot}hbc-mini --install-service {server}")),
        ]
    }

    fn deb(&self, server: &str) -> Vec<Step> {
        let config = "/etc/heartbeat/hbc.yaml";
        let own = format!(
            "echo 'servers: [\"{server}\"]' | sudo tee -a {config}\nsudo systemctl restart hbc"
        );
        vec![self.package("hbc"), start(format!("hbc {server}")), keep(own)]
    }

    /// A package of Debian, from here or from wherever it was brought.
    fn package(&self, program: &str) -> Step {
        let file = format!("{program}_{}_$(dpkg --print-architecture).deb", self.version);
        let offered = self.file(&format!("{program}_"), ".deb").is_some();
        let fetch = match offered {
            true => format!("curl -fO {}/agent/{file}\n", self.origin),
            false => String::new(),
        };
        let note = match offered {
            true => "from this server; no other network is needed".to_owned(),
            false => format!(
                "the package {program}; with agent_dir set, this server hands it out itself"
            ),
        };
        let command = format!("{fetch}sudo apt install ./{file}");
        Step { title: "Install the agent on the host", note, command }
    }

    fn openwrt(&self, server: &str) -> Vec<Step> {
        let usual = format!("hbc-mini_{}-1_mipsel_24kc.ipk", self.version);
        let (file, fetch) = match self.file("hbc-mini_", ".ipk") {
            Some(name) => (name.to_owned(), format!("wget -P /tmp {}/agent/{name}\n", self.origin)),
            None => (usual, String::new()),
        };
        let command = format!("{fetch}opkg install /tmp/{file}");
        let note = "the package hbc-mini, of the router's architecture".to_owned();
        let name = format!(
            "uci -q delete heartbeat.agent.server\nuci add_list heartbeat.agent.server='{server}'\nuci commit heartbeat"
        );
        vec![
            Step { title: "Install the agent on the router", note, command },
            Step { title: "Name this server", note: String::new(), command: name },
            keep("/etc/init.d/hbc-mini restart".to_owned()),
        ]
    }

    /// An image of that one file: no registry is asked.
    fn container(&self, server: &str) -> Vec<Step> {
        let brought = || Step {
            title: "Bring the agent to the host",
            note: "the static file hbc-mini; with agent_dir set, this server hands it out itself"
                .to_owned(),
            command: "scp hbc-mini HOST:".to_owned(),
        };
        let file = r#"FROM scratch\nCOPY hbc-mini /hbc-mini\nENTRYPOINT ["/hbc-mini"]\n"#;
        let image =
            format!("printf '{file}' > Containerfile\npodman build -t hbc-mini -f Containerfile .");
        let run = format!(
            "podman run -d --name hbc-mini --restart=always \\\n  \
             --network=host --uts=host --pid=host hbc-mini {server}"
        );
        let note = "with podman, or docker in its place; no registry is asked".to_owned();
        vec![
            self.fetch().unwrap_or_else(brought),
            Step { title: "Make an image of it", note, command: image },
            keep(run),
        ]
    }
}

fn start(command: String) -> Step {
    Step { title: "Start it", note: String::new(), command }
}

fn keep(command: String) -> Step {
    let note = "also after a restart of the machine".to_owned();
    Step { title: "Keep it running", note, command }
}

fn hidden(call: &Call<'_>) -> Option<String> {
    let all = call.whole.hosts.len as u64;
    (all > 0).then(|| match asked(call) {
        Some(admin) => format!("{}; ask {admin}", exist(all)),
        None => exist(all),
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

/// `3 datagrams from 192.0.2.7 could not be parsed (bad zlib header or data)`
fn refusal(refusal: &Refusal) -> String {
    use Reject::*;
    let words = refusal.reason.words();
    let what = match refusal.reason {
        Empty | TooLong | BadMagic | BadZlib | TooBig | BadUtf8 | BadJson | TooDeep
        | TooManyNodes | TooManyLeaves | DuplicateKey | KeyTooLong | MissingId | UnknownId
        | MissingName | BadName | BadField => {
            format!("could not be parsed ({words})")
        }
        _ if refusal.count == 1 => format!("was refused: {words}"),
        _ => format!("were refused: {words}"),
    };
    let address = refusal.address.to_canonical();
    format!("{} from {address} {what}", plural(refusal.count))
}

fn plural(count: u64) -> String {
    format!("{} {}", number::count(count), if count == 1 { "datagram" } else { "datagrams" })
}
