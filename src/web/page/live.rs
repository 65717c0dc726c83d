//! `/live`: tiles, fleet map, hosts table (problems first), messages.

use super::clock::{Clock, When};
use super::feed::{self, Item};
use super::map::{Map, map};
use super::mark::{Mark, mark};
use super::shell::{self, Shell, alarm};
use super::spark::{Spark, spark};
use super::{empty, number, page};
use crate::engine::view::{ConnState, Connection, EventKind, Family, Host, Severity, View};
use crate::time::{Duration, Wall};
use crate::web::authz;
use crate::web::query;
use crate::web::select::{Filter, Sort, parse_severity, select};
use crate::web::why::why;
use crate::web::{Answer, Call};
use serde::Serialize;
use std::collections::BTreeSet;

const ROWS: usize = 50;
const MESSAGES: usize = 14;
/// The trend of a tile looks back this far.
const TREND: Duration = Duration::from_secs(600);
const GROUPS_MAX: usize = 200;

#[derive(Serialize)]
struct Live {
    shell: Shell,
    hosts: String,
    tiles: Vec<Tile>,
    map: Map,
    form: Form,
    rows: Vec<Row>,
    pager: Pager,
    feed: Vec<Item>,
    ghosts: Vec<String>,
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
    /// Words of the filter that it does not know.
    unknown: Vec<String>,
}

#[derive(Serialize)]
struct Row {
    id: u32,
    code: u8,
    since: i64,
    name: String,
    href: String,
    mark: Mark,
    age: When,
    tags: Vec<String>,
    about: String,
    why: String,
    critical: u32,
    warning: u32,
    unknown: u32,
    r4: Cell,
    r6: Cell,
    spark: Option<Spark>,
    seen: Option<When>,
    is_late: bool,
    boot: Option<When>,
    gauges: Option<Gauges>,
    watch: bool,
    sealed: bool,
    degraded: bool,
}

/// What one family says: text, class, and what a reader hears of it.
#[derive(Serialize)]
pub struct Cell {
    pub text: String,
    pub class: &'static str,
    pub title: &'static str,
}

#[derive(Serialize)]
struct Gauges {
    label: String,
    /// Name, top and height in a box of 18.
    bars: Vec<(&'static str, usize, String, String)>,
    worst: String,
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

/// `GET /live?q=&state=&group=&sort=&page=`
pub fn respond(call: &Call<'_>) -> Answer {
    let listed = authz::listed(&call.context.view, &call.caller);
    let view = &listed;
    if view.hosts.len == 0 {
        return empty::respond(call);
    }
    let clock = shell::clock(call);
    let brief = shell::clock(call).brief();
    let (filter, sort, form) = filter(call, view);
    let total_pages = |total: usize| total.div_ceil(ROWS).max(1);
    let wish = call.query.get("page").and_then(|p| p.parse::<usize>().ok()).unwrap_or(1).max(1);
    let mut selection = select(view, &filter, sort, (wish - 1).saturating_mul(ROWS), ROWS);
    let current = wish.min(total_pages(selection.total));
    if current != wish {
        selection = select(view, &filter, sort, (current - 1) * ROWS, ROWS);
    }
    let alarm = alarm(&view.counts);
    let title = if alarm.is_empty() { "Live".to_owned() } else { format!("({alarm}) Live") };
    let context = Live {
        shell: Shell::new(call, "live", &title),
        hosts: number::count(view.hosts.len as u64),
        tiles: tiles(view, &filter, call.context.now.wall),
        map: map(view),
        rows: selection.hosts.iter().map(|host| row(host, &brief, call.context.now.wall)).collect(),
        pager: pager(&form, current, selection.hosts.len(), selection.total),
        form,
        feed: feed::items(&clock, view.events.iter().rev().take(MESSAGES)),
        ghosts: view.ghosts.iter().map(|g| g.name.to_string()).collect(),
    };
    page(call, 200, "live.html", &context)
}

fn filter(call: &Call<'_>, view: &View) -> (Filter, Sort, Form) {
    let text = |name: &str| call.query.get(name).unwrap_or("").to_owned();
    let mut filter = Filter::default();
    let (q, state, group) = (text("q"), text("state"), text("group"));
    let unknown = filter.parse(&q);
    filter.severities.extend(state.split(',').filter_map(parse_severity));
    filter.groups.extend((!group.is_empty()).then(|| group.clone()));
    let sort = call.query.get("sort").and_then(Sort::parse).unwrap_or_default();
    let groups = groups(view);
    let is_active = !filter.is_empty();
    let form = Form { q, state, group, sort: sort.as_str(), groups, is_active, unknown };
    (filter, sort, form)
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

fn row(host: &Host, clock: &Clock, now: Wall) -> Row {
    let is_late = matches!(host.severity, Severity::Down | Severity::Late | Severity::Unreachable);
    Row {
        id: host.id,
        code: host.severity.code(),
        since: host.since.as_secs(),
        name: host.name.to_string(),
        href: format!("/plugins/{}", query::encode(&host.name)),
        mark: mark(host.severity),
        age: clock.since(host.since),
        tags: host.tags.iter().take(4).map(|t| t.to_string()).collect(),
        about: about(host),
        why: why(host, now).into_owned(),
        critical: host.alerts.critical,
        warning: host.alerts.warning,
        unknown: host.alerts.unknown,
        r4: cell(host, Family::V4),
        r6: cell(host, Family::V6),
        spark: rtt_spark(host, now),
        seen: host.last_seen.map(|at| clock.ago(at)),
        is_late,
        boot: host.boot_time.filter(|_| host.severity != Severity::Down).map(|at| clock.since(at)),
        gauges: gauges(host),
        watch: host.watch,
        sealed: host.sealed,
        degraded: host.degraded,
    }
}

/// Description, owner and addresses, for the tooltip.
fn about(host: &Host) -> String {
    let mut parts: Vec<String> = host.description.iter().map(|d| d.to_string()).collect();
    parts.extend(host.owner.iter().map(|owner| format!("owner {owner}")));
    parts.extend(host.connections().map(|c| c.address.to_canonical().to_string()));
    parts.join(" · ")
}

/// Whether it was ever heard over this family.
pub fn has_family(host: &Host, family: Family) -> bool {
    host.connections().any(|c| c.family == family)
}

/// The round trip over one family.
pub fn cell(host: &Host, family: Family) -> Cell {
    let found: Option<&Connection> = host.connections().find(|c| c.family == family);
    let (text, class, title) = match found {
        None => ("–".to_owned(), "ink3", "never heard over this family"),
        Some(c) if c.state == ConnState::Down => ("lost".to_owned(), "t-down", "no heartbeat"),
        Some(c) => match c.rtt_ms {
            Some(ms) if ms.is_finite() => (number::round_trip(ms), "", ""),
            _ => ("–".to_owned(), "ink3", "heard; the agent has not measured the round trip"),
        },
    };
    Cell { text, class, title }
}

fn rtt_spark(host: &Host, now: Wall) -> Option<Spark> {
    let hour = host.rtt_hour.as_ref()?;
    // Two minutes a point: the picture is 84 pixels wide, and a page has fifty of them.
    let series: Vec<Option<f64>> = hour
        .series(now)
        .chunks(2)
        .map(|pair| pair.iter().flatten().copied().reduce(f32::max).map(f64::from))
        .collect();
    spark("Round trip, last hour", "ms", &series)
}

fn gauges(host: &Host) -> Option<Gauges> {
    let named = [("cpu", host.gauges.cpu), ("mem", host.gauges.memory), ("disk", host.gauges.disk)];
    let known: Vec<(&str, usize, f32)> = named
        .iter()
        .enumerate()
        .filter_map(|(i, (name, value))| Some((*name, i * 8, value.filter(|v| v.is_finite())?)))
        .collect();
    let worst = known.iter().max_by(|a, b| a.2.total_cmp(&b.2))?;
    let label: Vec<_> = known.iter().map(|(name, _, v)| format!("{name} {v:.0} %")).collect();
    let bars = known.iter().map(|(name, x, value)| {
        let height = (value.clamp(0.0, 100.0) * 0.18).max(0.5);
        (*name, *x, format!("{:.1}", 18.0 - height), format!("{height:.1}"))
    });
    Some(Gauges {
        label: label.join(", "),
        bars: bars.collect(),
        worst: format!("{} {:.0}", worst.0, worst.2),
    })
}

fn pager(form: &Form, current: usize, shown: usize, total: usize) -> Pager {
    let pages = total.div_ceil(ROWS).max(1);
    let start = (current - 1) * ROWS;
    let href = |page: usize| {
        let pairs = [("q", &*form.q), ("state", &form.state), ("group", &form.group)];
        let mut parts: Vec<String> = pairs
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name}={}", query::encode(value)))
            .collect();
        if form.sort != Sort::default().as_str() {
            parts.push(format!("sort={}", form.sort));
        }
        parts.push(format!("page={page}"));
        format!("/live?{}", parts.join("&"))
    };
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
        links: if pages > 1 { links.collect() } else { Vec::new() },
    }
}
