//! The parts of the settings about the server itself: channels, names, journal, agents, and about.

use super::clock::{Clock, span};
use super::number;
use super::release;
use super::settings::{Button, Cell, Grid, Section, may_admin};
use crate::collect::TARGET;
use crate::engine::PairShown;
use crate::engine::view::{DnsState, Host};
use crate::time::Wall;
use crate::web::query;
use crate::web::{Call, ChannelFact};
use serde::Serialize;
use std::collections::BTreeMap;

const HOSTS_MAX: usize = 100;

#[derive(Serialize)]
pub struct Preferences {
    pub keys_off: bool,
    /// Field, what the key does, and which it is.
    pub keys: Vec<(&'static str, &'static str, String)>,
    /// The browser shall tell of hosts that are down or critical.
    pub notices: bool,
}

pub fn preferences(call: &Call<'_>) -> Preferences {
    let (keys_on, own) = super::shell::own_keys(call);
    let keys = super::shell::KEYS.into_iter().zip(own);
    Preferences {
        keys_off: !keys_on,
        keys: keys.map(|((field, _, word), own)| (field, word, own)).collect(),
        notices: call.request.cookie("hb_notices") == Some("on"),
    }
}

/// How a channel fares, in words: `delivered 4 m ago`, `failing for 12 m: no answer within 10 s`, `3 queued`.
fn health(fact: &ChannelFact, now: Wall) -> Vec<String> {
    let mut words = Vec::new();
    match (fact.failing_since, &fact.last_error) {
        (Some(since), Some((_, error))) => {
            words.push(format!("failing for {}: {error}", span(now.since(since))));
        }
        _ => words
            .extend(fact.last_success.map(|at| format!("delivered {} ago", span(now.since(at))))),
    }
    if fact.queued > 0 {
        words.push(format!("{} queued", fact.queued));
    }
    words
}

pub fn notifications(call: &Call<'_>, _clock: &Clock) -> Vec<Section> {
    let config = &call.context.config;
    let wide = &config.pushsrv;
    let rows = config.channels.iter().map(|(name, channel)| {
        let mut notes = Vec::new();
        if wide.contains(name) {
            notes.push("told of everything".to_owned());
        }
        notes.extend(channel.fallback.as_ref().map(|other| format!("falls back to {other}")));
        let fact = call.context.channels.iter().find(|fact| fact.name == *name);
        notes.extend(fact.into_iter().flat_map(|fact| health(fact, call.context.now.wall)));
        let test = Button {
            action: "notify-test",
            fields: vec![("channel", name.clone())],
            label: "Send test",
            about: format!("by {name}"),
            warning: "",
        };
        vec![
            Cell::code(name.clone()),
            Cell::text(channel.kind.as_str()),
            Cell::text(channel.min_level.as_str()),
            Cell::text(if notes.is_empty() { "–".to_owned() } else { notes.join(", ") }),
            Cell::buttons(if may_admin(call) { vec![test] } else { Vec::new() }),
        ]
    });
    let mut section = Section { title: "Channels".to_owned(), ..Section::default() };
    if config.channels.is_empty() {
        section.notes.push("No channels are configured: nobody is told of anything.".to_owned());
    } else {
        section.table = Some(Grid {
            heads: vec!["Channel", "Type", "From level", "Use", ""],
            rows: rows.collect(),
            more: 0,
        });
    }
    section.pairs = vec![
        (
            "Gathered for".to_owned(),
            span(config.group_wait),
            "notices to one receiver go as one message".to_owned(),
        ),
        (
            "Messages".to_owned(),
            format!("{} a minute", config.notify_per_minute),
            "to each receiver at most; the rest as a digest".to_owned(),
        ),
        (
            "Reminders".to_owned(),
            if config.threshold_renotify_interval.is_zero() {
                "none".to_owned()
            } else {
                format!("every {}", span(config.threshold_renotify_interval))
            },
            "of an alert that goes on".to_owned(),
        ),
        (
            "Watched from outside".to_owned(),
            if config.dead_man_url.is_some() { "yes".to_owned() } else { "no".to_owned() },
            "dead_man_url".to_owned(),
        ),
    ];
    let mut sections = vec![section];
    sections.extend(people(call));
    sections
}

/// Users with channels of their own.
fn people(call: &Call<'_>) -> Option<Section> {
    let users = call.context.config.users.iter();
    let with_own = users.filter(|(_, user)| !user.notification_channels.is_empty());
    let rows: Vec<Vec<Cell>> = with_own
        .map(|(name, user)| {
            let own: Vec<&str> =
                user.notification_channels.iter().map(|c| c.channel.as_str()).collect();
            let test = Button {
                action: "notify-test",
                fields: vec![("user", name.clone())],
                label: "Send test",
                about: format!("to {name}"),
                warning: "",
            };
            vec![
                Cell::text(user.full_name.as_str()),
                Cell::text(own.join(", ")),
                Cell::buttons(if may_admin(call) { vec![test] } else { Vec::new() }),
            ]
        })
        .collect();
    let table = Grid { heads: vec!["User", "Own channels", ""], rows, more: 0 };
    let is_any = !table.rows.is_empty();
    is_any.then(|| Section { title: "People".to_owned(), table: Some(table), ..Section::default() })
}

pub fn dns(call: &Call<'_>, clock: &Clock) -> Vec<Section> {
    let config = &call.context.config;
    let mut section = Section { title: "Dynamic DNS".to_owned(), ..Section::default() };
    if config.dyndomains.is_empty() {
        section
            .notes
            .push("No domain is kept: write dyndomains: into the configuration.".to_owned());
        return vec![section];
    }
    let or =
        |value: &Option<String>, other: &str| value.clone().unwrap_or_else(|| other.to_owned());
    section.pairs = vec![
        (
            "Domains".to_owned(),
            config.dyndomains.join(", "),
            "names under them follow the heartbeats".to_owned(),
        ),
        ("Server".to_owned(), or(&config.dns_server, "as the zone says"), String::new()),
        ("Lifetime".to_owned(), format!("{} s", config.dns_ttl), "of a record".to_owned()),
        (
            "Key".to_owned(),
            if config.nsupdate_key.is_some() { "set" } else { "none" }.to_owned(),
            "nsupdate_key".to_owned(),
        ),
        (
            "Plain hosts".to_owned(),
            if config.dns_trust_plain { "trusted" } else { "not trusted" }.to_owned(),
            "only sealed hosts move names unless dns_trust_plain is set".to_owned(),
        ),
    ];
    let mut sections = vec![section];
    sections.extend(records(call, clock));
    sections
}

/// The names that are kept, those that have trouble first: how each stands, and the last update of all.
fn records(call: &Call<'_>, clock: &Clock) -> Option<Section> {
    let view = &call.context.view;
    let mut kept: Vec<_> =
        view.hosts.iter().filter_map(|host| Some((host, host.dns.as_deref()?))).collect();
    if kept.is_empty() {
        return None;
    }
    let rank = |state: DnsState| match state {
        DnsState::Failed => 0,
        DnsState::Refused => 1,
        DnsState::Updating | DnsState::Waiting => 2,
        DnsState::Unconfirmed => 3,
        DnsState::Ok => 4,
    };
    kept.sort_by(|(a, dns_a), (b, dns_b)| {
        rank(dns_a.state).cmp(&rank(dns_b.state)).then_with(|| a.name.cmp(&b.name))
    });
    let count = |wanted: &[DnsState]| {
        number::count(kept.iter().filter(|(_, dns)| wanted.contains(&dns.state)).count() as u64)
    };
    let mut pairs = vec![
        ("Up to date".to_owned(), count(&[DnsState::Ok]), String::new()),
        ("Waiting".to_owned(), count(&[DnsState::Waiting, DnsState::Updating]), String::new()),
        ("Failed".to_owned(), count(&[DnsState::Failed]), "tried again".to_owned()),
    ];
    let last = kept.iter().filter_map(|(host, dns)| Some((dns.tried?, host, dns)));
    if let Some((at, host, dns)) = last.max_by_key(|(at, ..)| *at) {
        let words = format!("{}, {}", clock.ago(at).text, host.name);
        let result = dns.error.as_deref().unwrap_or(dns.state.as_str());
        pairs.insert(0, ("Last update".to_owned(), words, result.to_owned()));
    }
    let rows = kept.iter().take(HOSTS_MAX).map(|(host, dns)| {
        let link = format!("/plugins/{}#dns", query::encode(&host.name));
        let is = dns.records.iter().filter_map(|record| record.address);
        let addresses: Vec<String> = is.map(|address| address.to_string()).collect();
        let mark = match dns.state {
            DnsState::Ok => "up",
            DnsState::Failed => "warn",
            _ => "unk",
        };
        let tried = dns.tried.map_or_else(|| "–".to_owned(), |at| clock.ago(at).text);
        vec![
            Cell::text(&*dns.name).link(link),
            Cell { mark: Some(mark), ..Cell::text(dns.state.as_str()) },
            Cell::code(addresses.join(", ")),
            Cell::text(tried).note(dns.error.as_deref().unwrap_or_default()),
        ]
    });
    let heads = vec!["Name", "State", "Addresses", "Last update"];
    let more = kept.len().saturating_sub(HOSTS_MAX);
    let table = Some(Grid { heads, rows: rows.collect(), more });
    Some(Section { title: "Names".to_owned(), pairs, table, ..Section::default() })
}

/// Label, value, remark.
fn pair(label: &str, value: String, note: &str) -> (String, String, String) {
    (label.to_owned(), value, note.to_owned())
}

/// What the journal is told to keep, and how it does.
fn journal_pairs(call: &Call<'_>) -> Vec<(String, String, String)> {
    let config = &call.context.config;
    let dir = config
        .journal_dir
        .as_ref()
        .map_or_else(|| "the state directory".to_owned(), |dir| dir.display().to_string());
    let kept = if config.journal_enabled { "yes" } else { "no" };
    let free = "of the disk, else nothing is written";
    let mut pairs = vec![
        pair("Kept", kept.to_owned(), "journal_enabled"),
        pair("File", format!("{dir}/{}", config.journal_file), ""),
        pair("Rotated at", number::bytes(config.journal_max_size as f64), "journal_max_size"),
        pair("Backups", config.journal_max_backups.to_string(), "the newest is .1"),
        pair("Left free", number::bytes(config.journal_min_free as f64), free),
    ];
    if let Some(queue) = call.context.queues.iter().find(|queue| queue.name == "journal") {
        let waiting = format!("{} of {}", queue.depth, number::count(queue.capacity));
        pairs.push(pair("Waiting", waiting, "lines"));
        pairs.push(pair("Lost", number::count(queue.dropped), "lines since the start"));
    }
    if let Some(fact) = &call.context.journal {
        let up = call.context.view.uptime(call.context.now).as_secs_f64().max(1.0);
        let rate = number::short(fact.written as f64 / up);
        pairs.push(pair("Rate", format!("{rate} lines/s"), "mean since the start"));
        let words = if fact.ok { "the disk takes it" } else { "the disk does not take it" };
        pairs.push(pair("Written", number::count(fact.written), words));
    }
    pairs
}

pub fn journal(call: &Call<'_>, clock: &Clock) -> Vec<Section> {
    let config = &call.context.config;
    let mut pairs = journal_pairs(call);
    let files = call.context.engine.journal_files();
    let total: u64 = files.iter().map(|file| file.bytes).sum();
    if !files.is_empty() {
        let bound = config.journal_max_size * (u64::from(config.journal_max_backups) + 1);
        let note = format!("of {} at most", number::bytes(bound as f64));
        pairs.push(pair("On the disk", number::bytes(total as f64), &note));
    }
    let rows = files.iter().map(|file| {
        let written = file.written.map_or_else(|| "–".to_owned(), |at| clock.ago(at).text);
        vec![
            Cell::code(file.name.as_str()),
            Cell::number(number::bytes(file.bytes as f64)),
            Cell::text(written),
        ]
    });
    let heads = vec!["File", "Size", "Last written"];
    let table = Grid { heads, rows: rows.collect(), more: 0 };
    let history = vec![
        pair(
            "Kept",
            if config.history_enabled { "yes" } else { "no" }.to_owned(),
            "history_enabled",
        ),
        pair("Each value", span(config.history_raw), "history_raw"),
        pair("Rolled up", span(config.history_rollup), "history_rollup"),
        pair("At most", number::bytes(config.history_max_size as f64), "history_max_size"),
    ];
    vec![
        Section {
            title: "Message journal".to_owned(),
            pairs,
            table: (!table.rows.is_empty()).then_some(table),
            code: vec!["hbd journal stats\nhbd journal verify".to_owned()],
            ..Section::default()
        },
        Section { title: "History".to_owned(), pairs: history, ..Section::default() },
    ]
}

pub fn agents(call: &Call<'_>, clock: &Clock) -> Vec<Section> {
    let view = &call.context.view;
    let mut versions: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
    for host in view.hosts.iter() {
        let entry = versions.entry(host.version.as_deref().unwrap_or("never told")).or_default();
        entry.0 += 1;
        entry.1 += u32::from(host.sealed);
    }
    let most = versions.values().map(|(count, _)| *count).max().unwrap_or(1).max(1);
    let own = call.context.facts.version;
    let rows = versions.iter().rev().map(|(version, (count, sealed))| {
        let width = f64::from(*count) * 120.0 / f64::from(most);
        let mut bar = Cell::number(number::count(u64::from(*count)));
        bar.bar = Some(format!("{width:.0}"));
        let behind = if release::is_behind(version, own) { "older than hbd" } else { "" };
        let link = format!("/live?q=agent:{}", query::encode(version));
        vec![
            Cell::code(*version).link(link).note(behind),
            bar,
            Cell::number(number::count(u64::from(*sealed))),
        ]
    });
    let versions = Section {
        title: "Versions".to_owned(),
        table: (!versions.is_empty()).then(|| Grid {
            heads: vec!["Agent", "Hosts", "Sealed"],
            rows: rows.collect(),
            more: 0,
        }),
        ..Section::default()
    };
    let mut sections = vec![versions];
    sections.extend(behind(call));
    sections.extend([ghosts(call, clock), keys(call, clock)]);
    sections
}

/// The hosts whose agent is older than this server.
fn behind(call: &Call<'_>) -> Option<Section> {
    let (view, newest) = (&call.context.view, call.context.facts.version);
    let is_old =
        |host: &&Host| host.version.as_deref().is_some_and(|own| release::is_behind(own, newest));
    let hosts = view.names.iter().filter_map(|(_, id)| view.hosts.get(*id).map(|host| &**host));
    let old: Vec<&Host> = hosts.filter(is_old).collect();
    let rows = old.iter().take(HOSTS_MAX).map(|host| {
        let link = format!("/plugins/{}#commands", query::encode(&host.name));
        let way = if host.sealed { "can be asked to upgrade" } else { "upgrade it on the machine" };
        vec![
            Cell::text(&*host.name).link(link),
            Cell::code(host.version.as_deref().unwrap_or_default()),
            Cell::text(way),
        ]
    });
    let heads = vec!["Host", "Agent", "How"];
    let more = old.len().saturating_sub(HOSTS_MAX);
    let table = Some(Grid { heads, rows: rows.collect(), more });
    let title = format!("Out of date: {newest} is available");
    (!old.is_empty()).then(|| Section { title, table, ..Section::default() })
}

fn ghosts(call: &Call<'_>, clock: &Clock) -> Section {
    let view = &call.context.view;
    let mut section =
        Section { title: "Names that report, but are not known".to_owned(), ..Section::default() };
    if view.ghosts.is_empty() {
        section.notes.push(
            "None. Under udp_policy known or sealed, a new name appears here first.".to_owned(),
        );
        return section;
    }
    let button = |name: &str, to: &str, label: &'static str| Button {
        action: "ghost",
        fields: vec![("name", name.to_owned()), ("to", to.to_owned())],
        label,
        about: name.to_owned(),
        warning: "",
    };
    let rows = view.ghosts.iter().map(|ghost| {
        let both =
            vec![button(&ghost.name, "accept", "Accept"), button(&ghost.name, "ignore", "Ignore")];
        vec![
            Cell::text(&*ghost.name),
            Cell::code(ghost.address.to_canonical().to_string()),
            Cell::text(clock.ago(ghost.last).text),
            Cell::number(number::count(ghost.count)),
            Cell::text(ghost.reason),
            Cell::buttons(if may_admin(call) { both } else { Vec::new() }),
        ]
    });
    section.table = Some(Grid {
        heads: vec!["Name", "From", "Last", "Datagrams", "Why not", ""],
        rows: rows.collect(),
        more: 0,
    });
    section
}

fn keys(call: &Call<'_>, clock: &Clock) -> Section {
    let sealed = call.context.view.hosts.iter().filter(|host| host.sealed).count();
    let known = &call.context.view.keys;
    let rows = known.iter().take(HOSTS_MAX).map(|key| {
        let used = key.last_used().map_or("never".to_owned(), |at| clock.ago(at).text);
        vec![
            Cell::text(&*key.host).link(format!("/plugins/{}", query::encode(&key.host))),
            Cell::code(key.id.to_string()),
            Cell::text(clock.ago(key.created).text),
            Cell::text(used),
        ]
    });
    let table = Grid {
        heads: vec!["Host", "Key", "Made", "Last used"],
        rows: rows.collect(),
        more: known.len().saturating_sub(HOSTS_MAX),
    };
    Section {
        table: (!table.rows.is_empty()).then_some(table),
        form: if may_admin(call) { "keys" } else { "" },
        title: "Keys".to_owned(),
        notes: vec![format!(
            "{} of {} hosts are sealed. A key is made on the server and printed once; the agent reads it from its \
             key_file.",
            number::count(sealed as u64),
            number::count(call.context.view.hosts.len as u64)
        )],
        code: vec!["hbd key new HOST\nhbd key list\nhbd key drop HOST".to_owned()],
        ..Section::default()
    }
}

pub fn status(call: &Call<'_>) -> Vec<Section> {
    let config = &call.context.config;
    let mut section = Section { title: "Status page".to_owned(), ..Section::default() };
    match &config.status_page {
        None => {
            section.notes.push(
                "Off. It shows groups of hosts and their availability to people who do not operate \
                 them, without addresses."
                    .to_owned(),
            );
            section.code.push(
                "status_page: {public: true, groups: [web, mail], title: Our services}".to_owned(),
            );
        }
        Some(page) => {
            section.pairs = vec![
                (
                    "Open to".to_owned(),
                    if page.public { "everybody" } else { "whoever has its token" }.to_owned(),
                    String::new(),
                ),
                ("Groups".to_owned(), names(&page.groups), String::new()),
            ];
            section
                .notes
                .push("It is at /status; badges are at /status/badge/GROUP.svg.".to_owned());
        }
    }
    section.pairs.push((
        "Wall".to_owned(),
        if config.wall { "on" } else { "off" }.to_owned(),
        "/wall, for a screen on the wall".to_owned(),
    ));
    vec![section]
}

pub fn about(call: &Call<'_>, clock: &Clock) -> Vec<Section> {
    let context = call.context;
    let view = &context.view;
    let port = |port: Option<u16>| port.map_or_else(|| "off".to_owned(), |port| port.to_string());
    let pairs = vec![
        pair("hbd", context.facts.version.to_owned(), "MIT licence"),
        pair(
            "Build",
            TARGET.to_owned(),
            if cfg!(debug_assertions) { "with checks" } else { "for release" },
        ),
        pair("Up", span(view.uptime(context.now)), &clock.date(view.started.wall).text),
        pair(
            "Machine",
            context.facts.full_name.clone().unwrap_or_else(|| context.facts.hostname.clone()),
            "",
        ),
        pair(
            "Ports",
            format!(
                "UDP {}, HTTP {}, WebSocket {}",
                port(context.facts.udp),
                port(context.facts.http),
                port(context.facts.ws)
            ),
            "",
        ),
        pair(
            "Datagrams",
            number::count(view.counters.received),
            &format!("{} accepted", number::count(view.counters.accepted)),
        ),
        pair(
            "Dropped by the kernel",
            number::count(view.counters.kernel_drops),
            "its socket buffer was full",
        ),
        pair(
            "Hosts",
            number::count(view.hosts.len as u64),
            &format!("{} at most", number::count(context.config.hosts_max as u64)),
        ),
    ];
    let mut sections = vec![Section { title: "About".to_owned(), pairs, ..Section::default() }];
    sections.push(self_check(call));
    if let Some(pair) = &view.pair {
        sections.push(other_server(pair, clock));
    }
    sections.extend(counted(call));
    sections
}

/// What the server finds of itself: its process, its queues, its disk, its channels.
fn self_check(call: &Call<'_>) -> Section {
    let context = call.context;
    let figures = context.engine.figures();
    let figure = |name: &str| figures.iter().find(|figure| figure.name == name).map(|f| f.value);
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    let mut add = |what: &str, is_well: bool, words: String| {
        let mark = Some(if is_well { "up" } else { "warn" });
        rows.push(vec![Cell { mark, ..Cell::text(what) }, Cell::text(words)]);
    };
    let lost = context.view.counters.kernel_drops;
    add("Datagrams", lost == 0, format!("{} dropped by the kernel", number::count(lost)));
    for queue in context.queues {
        let is_well = queue.depth * 10 <= queue.capacity * 9;
        let words = format!(
            "{} of {} waiting, {} lost",
            number::count(queue.depth),
            number::count(queue.capacity),
            number::count(queue.dropped)
        );
        add(&format!("Queue {}", queue.name), is_well, words);
    }
    if let Some(fact) = &context.journal {
        let words = if fact.ok { "written" } else { "cannot be written: look at its disk" };
        add("Message journal", fact.ok, words.to_owned());
    }
    let broken = context.channels.iter().filter(|fact| fact.failing_since.is_some()).count();
    let all = context.channels.len();
    add("Channels", broken == 0, format!("{} of {all} deliver", all - broken));
    let problems = context.pages.problems();
    let words = problems.first().map_or("as built in or overridden", String::as_str);
    add("Pages", problems.is_empty(), words.to_owned());
    if let Some(threads) = figure("process_threads") {
        add("Threads", true, number::short(threads));
    }
    if let Some(bytes) = figure("process_resident_memory_bytes") {
        add("Memory", true, number::bytes(bytes));
    }
    let (open, most) = (figure("process_open_fds"), figure("process_max_fds"));
    if let (Some(open), Some(most)) = (open, most) {
        let words = format!("{} of {} open", number::short(open), number::short(most));
        add("Descriptors", open < most * 0.9, words);
    }
    let table = Some(Grid { heads: vec!["Part", "Finding"], rows, more: 0 });
    Section { title: "Self-check".to_owned(), table, ..Section::default() }
}

/// The other of two servers with one voice, and which of them speaks.
fn other_server(shown: &PairShown, clock: &Clock) -> Section {
    let at = |at: Option<Wall>| at.map_or_else(|| "never".to_owned(), |at| clock.date(at).text);
    let speaks = if shown.speaks { "this server" } else { "the other server" };
    let alive = if shown.peer_alive { "heard within its deadline" } else { "silent" };
    let mut pairs = vec![
        ("Other server".to_owned(), shown.peer.to_string(), alive.to_owned()),
        ("Heard last".to_owned(), at(shown.peer_heard), String::new()),
        ("This server is the".to_owned(), shown.role.to_owned(), String::new()),
        ("Who tells people".to_owned(), speaks.to_owned(), String::new()),
    ];
    if shown.spoke_since.is_some() {
        pairs.push(("Since".to_owned(), at(shown.spoke_since), String::new()));
    }
    Section { title: "Pair".to_owned(), pairs, ..Section::default() }
}

/// Queues between the threads, and why datagrams were refused.
fn counted(call: &Call<'_>) -> Vec<Section> {
    let queues = call.context.queues.iter().map(|queue| {
        vec![
            Cell::code(queue.name),
            Cell::number(number::count(queue.depth)),
            Cell::number(number::count(queue.capacity)),
            Cell::number(number::count(queue.dropped)),
        ]
    });
    let refused = call.context.view.counters.rejected.iter();
    let refused =
        refused.map(|(why, count)| vec![Cell::code(*why), Cell::number(number::count(*count))]);
    let section = |title: &str, heads: Vec<&'static str>, rows: Vec<Vec<Cell>>| Section {
        title: title.to_owned(),
        table: Some(Grid { heads, rows, more: 0 }),
        ..Section::default()
    };
    let both = [
        section("Queues", vec!["Queue", "Waiting", "Room", "Lost"], queues.collect()),
        section("Refused datagrams", vec!["Why", "Count"], refused.collect()),
    ];
    let is_filled = |section: &Section| section.table.as_ref().is_some_and(|t| !t.rows.is_empty());
    both.into_iter().filter(is_filled).collect()
}

fn names(groups: &[(String, Vec<String>)]) -> String {
    let names: Vec<&str> = groups.iter().map(|(name, _)| name.as_str()).collect();
    if names.is_empty() { "all".to_owned() } else { names.join(", ") }
}
