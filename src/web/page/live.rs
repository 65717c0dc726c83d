//! `/live`: tiles, fleet map, hosts table (problems first), messages.

use super::choice::{COLUMNS, Choice, Colour, MapBy, Shown};
use super::feed::{self, Item};
use super::map::{Map, map};
use super::mark::{Mark, mark};
use super::panel::{self, Panel};
use super::row::{Row, RttLimits, row};
use super::shell::{self, Shell, alarm, here_with, icon};
use super::{empty, number, page};
use crate::engine::view::{EventKind, Severity, View};
use crate::time::{Duration, Wall};
use crate::web::authz::{self, Level};
use crate::web::near;
use crate::web::query;
use crate::web::select::{Filter, Sort, parse_severity, select};
use crate::web::{Answer, Call};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const ROWS: usize = 50;
/// So many where somebody scrolls on; more are on the next pages.
const ROWS_MAX: usize = 300;
const MESSAGES: usize = 14;
/// The trend of a tile looks back this far.
const TREND: Duration = Duration::from_secs(600);
const GROUPS_MAX: usize = 200;
const GHOSTS_MAX: usize = 12;
/// Offers in place of a filter that finds nothing.
const MEANT_MAX: usize = 3;

#[derive(Serialize)]
struct Live {
    shell: Shell,
    panel: Option<Panel>,
    hosts: String,
    cols: Shown,
    /// Key and heading of the columns beside the usual ones.
    extra: Vec<(&'static str, &'static str)>,
    chooser: Vec<Column>,
    compact: bool,
    map_by: [(&'static str, &'static str); 6],
    colours: [(&'static str, &'static str); 6],
    export: String,
    /// The form in which columns are chosen: its address, and whether this is it.
    columns: String,
    is_choosing: bool,
    /// The heads of the table: where they sort it, and how it is sorted now.
    heads: BTreeMap<&'static str, Head>,
    /// Hosts that are not watched and not shown, and the way to them.
    hidden: Option<Hidden>,
    /// The same hosts from the API.
    json: String,
    /// Somebody may act on the rows.
    may_act: bool,
    tiles: Vec<Tile>,
    map: Map,
    form: Form,
    rows: Vec<Row>,
    /// Rows that there may be at most.
    size: usize,
    pager: Pager,
    chips: Vec<(&'static str, String, bool)>,
    /// Kinds that the messages show; empty: all.
    kinds: String,
    feed: Vec<Item>,
    ghosts: Vec<String>,
    /// The reader may take them, or have them forgotten.
    may_accept: bool,
}

/// A head of the table that sorts it.
#[derive(Serialize)]
struct Head {
    href: String,
    /// `ascending` or `descending`, where the table is sorted by it.
    order: Option<&'static str>,
}

#[derive(Serialize)]
struct Hidden {
    count: String,
    href: String,
}

/// A column that may be chosen.
#[derive(Serialize)]
struct Column {
    key: &'static str,
    name: &'static str,
    is_shown: bool,
}

#[derive(Serialize)]
pub struct Tile {
    pub mark: Mark,
    count: String,
    is_zero: bool,
    /// `+1`, `−2`, or the share of those that are up.
    note: String,
    pressed: bool,
    /// The states of the filter after pressing it.
    states: String,
}

/// The filter as it was asked for.
#[derive(Serialize)]
struct Form {
    q: String,
    state: String,
    group: String,
    sort: &'static str,
    groups: Vec<String>,
    is_active: bool,
    /// Whether there are hosts that the reader sees and neither owns nor manages.
    has_scope: bool,
    /// `mine` or `all`, as the live protocol has it.
    scope: &'static str,
    /// Words of the filter that it does not know.
    unknown: Vec<String>,
    /// In place of the filter's words: what was meant, and its address.
    meant: Vec<(String, String)>,
}

#[derive(Serialize)]
struct Pager {
    first: String,
    last: String,
    total: String,
    links: Vec<PageLink>,
}

#[derive(Serialize)]
struct PageLink {
    text: String,
    href: String,
    is_current: bool,
}

/// The fleet as the lists of this request show it: what the reader owns or manages, or with `owner=all` what they may
/// see at all.
pub fn listed(call: &Call<'_>) -> Arc<View> {
    match is_all(call) {
        true => Arc::clone(&call.context.view),
        false => authz::listed(&call.context.view, &call.caller),
    }
}

fn is_all(call: &Call<'_>) -> bool {
    call.query.get("owner") == Some("all")
}

/// `GET /live?q=&state=&group=&owner=&unwatched=&sort=&page=&rows=&map=&colour=&cols=&density=&act=`
pub fn respond(call: &Call<'_>) -> Answer {
    let listed = listed(call);
    let view = &listed;
    if view.hosts.len == 0 {
        return empty::respond(call);
    }
    let clock = shell::clock(call);
    let brief = shell::clock(call).brief();
    let choice = Choice::of(call);
    let (filter, sort, mut form) = filter(call, view);
    let total_pages = |total: usize| total.div_ceil(ROWS).max(1);
    let number = |name: &str| call.query.get(name).and_then(|text| text.parse::<usize>().ok());
    let wish = number("page").unwrap_or(1).max(1);
    let size = number("rows").filter(|_| wish == 1).unwrap_or(ROWS).clamp(ROWS, ROWS_MAX);
    let mut selection = select(view, &filter, sort, (wish - 1).saturating_mul(ROWS), size);
    let current = wish.min(total_pages(selection.total));
    if current != wish {
        selection = select(view, &filter, sort, (current - 1) * ROWS, ROWS);
    }
    if selection.total == 0 || !form.unknown.is_empty() {
        form.meant = meant(call, view, &filter);
    }
    let kind = call.query.get("feed").unwrap_or_default();
    let alarm = alarm(&view.counts);
    let title = if alarm.is_empty() { "Live".to_owned() } else { format!("({alarm}) Live") };
    let extra = choice.extra();
    let back = here_with(call, &["act", "host", "id"], &[]);
    let config = Arc::clone(&call.context.config);
    let mut limits = RttLimits::of(&config);
    let mut shell = Shell::new(call, "live", &title);
    shell.icon = icon(&view.counts);
    let context = Live {
        shell,
        panel: panel::of_query(call, &clock, &back),
        hosts: number::count(view.hosts.len as u64),
        tiles: tiles(view, &filter, call.context.now.wall),
        map: map(call, view, &choice),
        rows: selection
            .hosts
            .iter()
            .map(|host| row(call, host, &brief, &extra, &mut limits))
            .collect(),
        size,
        heads: heads(call, sort),
        hidden: hidden(call, view, &filter),
        json: json(call),
        pager: pager(call, current, selection.hosts.len(), selection.total),
        cols: choice.shown(),
        extra,
        chooser: chooser(&choice),
        compact: choice.compact,
        map_by: MapBy::NAMES,
        colours: Colour::NAMES,
        columns: here_with(call, &["act", "host", "id"], &[("act", "columns")]) + "#act",
        is_choosing: call.query.get("act") == Some("columns"),
        export: here_with(call, &["page", "act"], &[]).replacen("/live", "/live.csv", 1),
        may_act: selection.hosts.iter().any(|h| authz::level(&call.caller, h) >= Level::Manager),
        form,
        chips: chips(call, kind),
        kinds: feed::kinds_of(kind),
        feed: feed::with_days(
            &clock,
            view.events.iter().rev().filter(|e| feed::is_of(kind, e.kind)).take(MESSAGES),
        ),
        ghosts: view.ghosts.iter().take(GHOSTS_MAX).map(|g| g.name.to_string()).collect(),
        may_accept: call.caller.sees_all(),
    };
    page(call, 200, "live.html", &context)
}

/// Each head sorts by what it says, the highest, the newest or the first letter first.
fn heads(call: &Call<'_>, sort: Sort) -> BTreeMap<&'static str, Head> {
    const HEADS: [(&str, Sort, &str); 9] = [
        ("state", Sort::Severity, "descending"),
        ("host", Sort::Name, "ascending"),
        ("alerts", Sort::Alerts, "descending"),
        ("v4", Sort::Rtt, "descending"),
        ("v6", Sort::Rtt, "descending"),
        ("rtt", Sort::Slow, "descending"),
        ("seen", Sort::Seen, "descending"),
        ("up", Sort::Boot, "ascending"),
        ("res", Sort::Load, "descending"),
    ];
    let head = |(key, by, order): (&'static str, Sort, &'static str)| {
        let href = here_with(call, &["sort", "page", "act"], &[("sort", by.as_str())]);
        (key, Head { href, order: (sort == by).then_some(order) })
    };
    HEADS.into_iter().map(head).collect()
}

/// What the table leaves out unless it is asked for.
fn hidden(call: &Call<'_>, view: &View, filter: &Filter) -> Option<Hidden> {
    let count = view.hosts.keys().filter(|(_, key)| !key.watch).count();
    (filter.watched_only && count > 0).then(|| Hidden {
        count: number::count(count as u64),
        href: here_with(call, &["unwatched", "page", "act"], &[("unwatched", "1")]),
    })
}

/// The API's words for what the table shows.
fn json(call: &Call<'_>) -> String {
    let names = [("q", "q"), ("state", "severity"), ("group", "group"), ("sort", "sort")];
    let word = |(own, theirs): (&str, &str)| {
        let value = call.query.get(own)?;
        Some(format!("{theirs}={}", query::encode(value)))
    };
    let words: Vec<String> = names.into_iter().filter_map(word).collect();
    let question = if words.is_empty() { "" } else { "?" };
    format!("/api/0/hosts{question}{}", words.join("&"))
}

/// Which entries the messages show: name, address, whether it is so now.
fn chips(call: &Call<'_>, kind: &str) -> Vec<(&'static str, String, bool)> {
    let chip = |(key, word): (&'static str, &'static str)| {
        let put = [("feed", key)];
        let put = if key.is_empty() { &put[..0] } else { &put[..] };
        (word, here_with(call, &["feed", "act"], put) + "#messages", key == kind)
    };
    feed::CHIPS.into_iter().map(chip).collect()
}

fn chooser(choice: &Choice) -> Vec<Column> {
    let column = |(key, name, _)| Column { key, name, is_shown: choice.shows(key) };
    COLUMNS.into_iter().map(column).collect()
}

/// The filter and the order of the request, for the page and for its table as a file.
pub fn wish(call: &Call<'_>) -> (Filter, Sort, Vec<String>) {
    let mut filter = Filter::default();
    let unknown = filter.parse(call.query.get("q").unwrap_or(""));
    let state = call.query.get("state").unwrap_or("");
    filter.severities.extend(state.split(',').filter_map(parse_severity));
    filter
        .groups
        .extend(call.query.get("group").filter(|name| !name.is_empty()).map(str::to_owned));
    // Who looks for something shall find it.
    filter.watched_only = filter.is_empty() && call.query.get("unwatched").is_none();
    let sort = call.query.get("sort").and_then(Sort::parse).unwrap_or_default();
    (filter, sort, unknown)
}

fn filter(call: &Call<'_>, view: &View) -> (Filter, Sort, Form) {
    let text = |name: &str| call.query.get(name).unwrap_or("").to_owned();
    let (filter, sort, unknown) = wish(call);
    let own = if is_all(call) {
        authz::listed(&call.context.view, &call.caller).hosts.len
    } else {
        view.hosts.len
    };
    let form = Form {
        q: text("q"),
        state: text("state"),
        group: text("group"),
        sort: sort.as_str(),
        groups: groups(view),
        is_active: !filter.is_empty(),
        has_scope: own < call.context.view.hosts.len,
        scope: if is_all(call) { "all" } else { "mine" },
        unknown,
        meant: Vec::new(),
    };
    (filter, sort, form)
}

/// Words near to those of the filter that no host has: what to look for instead, and its address.
fn meant(call: &Call<'_>, view: &View, filter: &Filter) -> Vec<(String, String)> {
    let q = call.query.get("q").unwrap_or("");
    let mut found = Vec::new();
    let mut offer = |key: &str, wished: &str, known: BTreeSet<&str>| {
        if known.contains(wished) {
            return;
        }
        for near in near::words(known.into_iter(), wished) {
            let (was, is) = (format!("{key}{wished}"), format!("{key}{near}"));
            let address = here_with(call, &["q", "page"], &[("q", &q.replacen(&was, &is, 1))]);
            found.push((is, address));
        }
    };
    let tags = || view.hosts.iter().flat_map(|h| h.tags.iter().map(|t| &**t)).collect();
    let owners = || view.hosts.iter().filter_map(|h| h.owner.as_deref()).collect();
    let groups = || view.hosts.iter().filter_map(|h| h.group.as_deref()).collect();
    filter.tags.iter().for_each(|wished| offer("tag:", wished, tags()));
    filter.owners.iter().for_each(|wished| offer("owner:", wished, owners()));
    filter.groups.iter().for_each(|wished| offer("group:", wished, groups()));
    for word in &filter.words {
        match word.split_once(':') {
            Some((key, value)) => {
                let known = crate::web::select::KEYS.into_iter().collect();
                offer_key(call, key, value, known, &mut found);
            }
            None => found.extend(near::names(view, word).into_iter().map(|name| {
                (
                    name.to_owned(),
                    here_with(call, &["q", "page"], &[("q", &q.replacen(&**word, name, 1))]),
                )
            })),
        }
    }
    found.truncate(MEANT_MAX);
    found
}

/// A key that the filter does not know, as `tagg:web`.
fn offer_key(
    call: &Call<'_>,
    key: &str,
    value: &str,
    known: Vec<&str>,
    found: &mut Vec<(String, String)>,
) {
    let q = call.query.get("q").unwrap_or("");
    for near in near::words(known.into_iter(), key) {
        let (was, is) = (format!("{key}:{value}"), format!("{near}:{value}"));
        let address = here_with(call, &["q", "page"], &[("q", &q.replacen(&was, &is, 1))]);
        found.push((is, address));
    }
}

fn groups(view: &View) -> Vec<String> {
    let mut groups = BTreeSet::new();
    for group in view.hosts.iter().filter_map(|host| host.group.as_deref()) {
        if groups.len() < GROUPS_MAX {
            groups.insert(group);
        }
    }
    groups.into_iter().map(str::to_owned).collect()
}

pub fn tiles(view: &View, filter: &Filter, now: Wall) -> Vec<Tile> {
    let mut trend = [0i64; 8];
    for event in view.events.iter().rev().take_while(|e| now.since(e.at) <= TREND) {
        if event.kind == EventKind::State {
            event.from.into_iter().for_each(|s| trend[usize::from(s.code())] -= 1);
            event.to.into_iter().for_each(|s| trend[usize::from(s.code())] += 1);
        }
    }
    Severity::ALL
        .into_iter()
        .map(|severity| {
            let code = usize::from(severity.code());
            let count = view.counts[code];
            let pressed = filter.severities.contains(&severity);
            let after = Severity::ALL
                .into_iter()
                .filter(|s| filter.severities.contains(s) != (*s == severity))
                .map(Severity::as_str);
            Tile {
                mark: mark(severity),
                count: number::count(u64::from(count)),
                is_zero: count == 0,
                note: match (severity, trend[code]) {
                    (Severity::Up, _) => share(count, view.hosts.len),
                    (_, 0) => String::new(),
                    (_, change) if change > 0 => format!("+{change}"),
                    (_, change) => format!("−{}", -change),
                },
                pressed,
                states: after.collect::<Vec<_>>().join(","),
            }
        })
        .collect()
}

fn share(count: u32, total: usize) -> String {
    let percent = f64::from(count) * 100.0 / total.max(1) as f64;
    // 99.97 % is not 100 %.
    format!("{} %", (percent * 10.0).floor() / 10.0)
}

fn pager(call: &Call<'_>, current: usize, shown: usize, total: usize) -> Pager {
    let pages = total.div_ceil(ROWS).max(1);
    let start = (current - 1) * ROWS;
    let href =
        |page: usize| here_with(call, &["page", "rows", "act"], &[("page", &page.to_string())]);
    let mut numbers: Vec<usize> = [1, current.saturating_sub(1), current, current + 1, pages]
        .into_iter()
        .filter(|page| (1..=pages).contains(page))
        .collect();
    numbers.dedup();
    numbers.sort_unstable();
    numbers.dedup();
    let links = numbers.into_iter().map(|page| PageLink {
        text: number::count(page as u64),
        href: href(page),
        is_current: page == current,
    });
    Pager {
        first: number::count((start + usize::from(shown > 0)) as u64),
        last: number::count((start + shown) as u64),
        total: number::count(total as u64),
        links: if shown < total { links.collect() } else { Vec::new() },
    }
}
