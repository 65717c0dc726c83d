//! `/alerts`: what needs somebody, what somebody has taken on, what is quiet, what was.

use super::alert_detail::{self as detail, Detail};
use super::attention::{self, Slice, Trouble, troubles};
use super::clock::{Clock, When};
use super::mark::{Mark, mark};
use super::panel::{self, Panel};
use super::quiet::{self, SilenceRow, WindowRow};
use super::shell::{Shell, clock, here_with};
use super::{feed, number, page, value};
use crate::engine::view::{EventKind, Severity, View};
use crate::time::Duration;
use crate::web::authz;
use crate::web::query;
use crate::web::select::parse_severity;
use crate::web::why::{level_word, name, short};
use crate::web::{Answer, Call};
use serde::Serialize;
use std::collections::BTreeMap;

const ROWS_MAX: usize = 200;
const BARS_MAX: usize = 5;
const HISTORY_LINES: usize = 100;
const HISTORY: Duration = Duration::from_secs(30 * 86_400);
const DAY: Duration = Duration::from_secs(86_400);
/// Width of a summary's bars.
const BAR_WIDTH: f64 = 300.0;

#[derive(Serialize)]
struct Alerts {
    shell: Shell,
    sentence: String,
    needs: u32,
    donut: Vec<Slice>,
    legend: Vec<(Mark, String)>,
    by_metric: Vec<Bar>,
    by_host: Vec<Bar>,
    tab: &'static str,
    tabs: Vec<Tab>,
    form: Form,
    groups: Vec<Group>,
    /// Alerts of the filter that are not shown.
    more: usize,
    silences: Vec<SilenceRow>,
    windows: Vec<WindowRow>,
    history: Vec<feed::Item>,
    older: Option<String>,
    flapping: Vec<(String, String, u32)>,
    panel: Option<Panel>,
    /// May acknowledge and silence something.
    may_act: bool,
}

#[derive(Serialize)]
struct Tab {
    name: &'static str,
    href: &'static str,
    count: Option<String>,
    is_current: bool,
}

/// A line of a summary: what, how many, and its parts as rectangles.
#[derive(Serialize)]
struct Bar {
    name: String,
    href: String,
    total: u32,
    /// Class, left edge, width.
    parts: Vec<(&'static str, String, String)>,
    label: String,
}

/// The filter as it was asked for.
#[derive(Default, Serialize)]
struct Form {
    q: String,
    severity: String,
    plugin: String,
    group: String,
    owner: String,
    by: String,
    plugins: Vec<String>,
    groups: Vec<String>,
    owners: Vec<String>,
    is_active: bool,
}

#[derive(Serialize)]
struct Group {
    mark: Option<Mark>,
    name: String,
    rows: Vec<Row>,
}

/// One alert as the table has it.
#[derive(Serialize)]
pub struct Row {
    pub id: String,
    pub mark: Mark,
    pub host: String,
    pub href: String,
    pub path: String,
    /// The path in words, for the tooltip.
    pub label: String,
    pub value: String,
    pub limit: String,
    pub clears: String,
    pub display: String,
    pub since: When,
    /// What was done about it last.
    pub done: String,
    pub acknowledgement: Option<String>,
    pub acknowledged_until: Option<When>,
    pub is_silenced: bool,
    pub is_stale: bool,
    pub may_act: bool,
    pub ack_href: String,
    pub silence_href: String,
    pub explain_href: Option<String>,
    /// The same page with this row opened, or closed again.
    pub open_href: String,
    pub detail: Option<Detail>,
}

/// `GET /alerts?tab=&q=&severity=&plugin=&group=&owner=&by=&act=`
pub fn respond(call: &Call<'_>) -> Answer {
    let view = &call.context.view;
    let clock = clock(call);
    let all = troubles(view);
    let tab = match call.query.get("tab") {
        Some("acknowledged") => "acknowledged",
        Some("silences") => "silences",
        Some("maintenance") => "maintenance",
        Some("history") => "history",
        _ => "active",
    };
    let form = form(call, &all);
    let is_taken = tab == "acknowledged";
    let fitting: Vec<&Trouble<'_>> = all
        .iter()
        .filter(|trouble| trouble.acknowledged.is_some() == is_taken)
        .filter(|trouble| form.takes(trouble))
        .collect();
    let is_list = matches!(tab, "active" | "acknowledged");
    let history = history(call, &clock, tab == "history");
    let active: Vec<&Trouble<'_>> = all.iter().filter(|t| t.acknowledged.is_none()).collect();
    let context = Alerts {
        shell: Shell::new(call, "alerts", "Alerts"),
        sentence: sentence(view, &all, call.context.now.wall),
        needs: all.iter().filter(|trouble| trouble.needs_you()).count() as u32,
        donut: donut(&all),
        legend: legend(&all),
        by_metric: bars(&active, &|t| {
            (metric_name(t), format!("/alerts?q={}", query::encode(metric_word(t))))
        }),
        by_host: bars(&active, &|t| {
            let name = t.host.name.to_string();
            let href = format!("/alerts?q={}", query::encode(&name));
            (name, href)
        }),
        tab,
        tabs: tabs(view, &all, tab),
        more: if is_list { fitting.len().saturating_sub(ROWS_MAX) } else { 0 },
        groups: if is_list { grouped(call, &fitting, &form.by, &clock) } else { Vec::new() },
        form,
        silences: quiet::silences(call, &clock),
        windows: quiet::windows(call, &clock),
        history: history.0,
        older: history.1,
        flapping: if tab == "history" { flapping(view) } else { Vec::new() },
        panel: panel::of_query(call, &clock, "/alerts"),
        may_act: all.iter().any(|trouble| may_act(call, trouble)) || call.caller.sees_all(),
    };
    page(call, 200, "alerts.html", &context)
}

fn may_act(call: &Call<'_>, trouble: &Trouble<'_>) -> bool {
    authz::level(&call.caller, trouble.host) >= authz::Level::Manager
}

impl Form {
    fn takes(&self, trouble: &Trouble<'_>) -> bool {
        let is = |wish: &str, own: Option<&str>| wish.is_empty() || own == Some(wish);
        let severity = parse_severity(&self.severity);
        (self.severity.is_empty() || severity == Some(trouble.severity))
            && is(&self.plugin, Some(trouble.plugin()))
            && is(&self.group, trouble.host.group.as_deref())
            && is(&self.owner, trouble.host.owner.as_deref())
            && self.q.split_whitespace().all(|word| has(trouble, word))
    }
}

/// `word`, `host:web`, `metric:disk`, `plugin:cpu_monitor`, `severity:critical`, `tag:prod`, `group:basel`.
fn has(trouble: &Trouble<'_>, word: &str) -> bool {
    let word = word.to_lowercase();
    let host = trouble.host;
    let id = || trouble.id().to_lowercase();
    match word.split_once(':') {
        Some(("host", name)) => host.name.contains(name),
        Some(("metric", path)) => trouble.path().to_lowercase().contains(path),
        Some(("plugin", plugin)) => trouble.plugin() == plugin,
        Some(("severity" | "state", level)) => {
            level.split(',').any(|level| parse_severity(level) == Some(trouble.severity))
        }
        Some(("tag", tag)) => host.tags.iter().any(|own| **own == *tag),
        Some(("group", group)) => host.group.as_deref().is_some_and(|own| own.contains(group)),
        Some(("owner", owner)) => host.owner.as_deref() == Some(owner),
        _ => {
            id().contains(&word)
                || trouble.alert.is_some_and(|a| a.display.to_lowercase().contains(&word))
        }
    }
}

fn form(call: &Call<'_>, all: &[Trouble<'_>]) -> Form {
    let text = |name: &str| call.query.get(name).unwrap_or("").trim().to_owned();
    let distinct = |of: &dyn Fn(&Trouble<'_>) -> Option<String>| {
        let mut names: Vec<String> = all.iter().filter_map(of).collect();
        names.sort();
        names.dedup();
        names.truncate(ROWS_MAX);
        names
    };
    let mut form = Form {
        q: text("q"),
        severity: text("severity"),
        plugin: text("plugin"),
        group: text("group"),
        owner: text("owner"),
        by: text("by"),
        plugins: distinct(&|t| Some(t.plugin().to_owned())),
        groups: distinct(&|t| t.host.group.as_deref().map(str::to_owned)),
        owners: distinct(&|t| t.host.owner.as_deref().map(str::to_owned)),
        is_active: false,
    };
    let parts = [&form.q, &form.severity, &form.plugin, &form.group, &form.owner];
    form.is_active = parts.iter().any(|part| !part.is_empty());
    form
}

/// `14 need attention on 13 hosts · 3 acknowledged · 1 silenced · 6 recovered in the last 24 h`
fn sentence(view: &View, all: &[Trouble<'_>], now: crate::time::Wall) -> String {
    let needs: Vec<_> = all.iter().filter(|trouble| trouble.needs_you()).collect();
    let mut hosts: Vec<u32> = needs.iter().map(|trouble| trouble.host.id).collect();
    hosts.sort_unstable();
    hosts.dedup();
    let first = match (needs.len(), hosts.len()) {
        (0, _) => "Nothing needs attention".to_owned(),
        (1, _) => "1 needs attention on 1 host".to_owned(),
        (n, 1) => format!("{n} need attention on 1 host"),
        (n, hosts) => format!("{} need attention on {hosts} hosts", number::count(n as u64)),
    };
    let acknowledged = all.iter().filter(|trouble| trouble.acknowledged.is_some()).count();
    let silenced = all.iter().filter(|trouble| trouble.silenced.is_some()).count();
    let day = view.events.iter().rev().take_while(|event| now.since(event.at) <= DAY);
    let was_wrong = |from: Option<Severity>| from.is_some_and(|from| from <= Severity::Unreachable);
    let recovered =
        day.filter(|event| event.to == Some(Severity::Up) && was_wrong(event.from)).count();
    let rest = [
        (acknowledged, "acknowledged"),
        (silenced, "silenced"),
        (recovered, "recovered in the last 24 h"),
    ];
    let rest = rest.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!(" · {n} {word}"));
    rest.fold(first, |text, part| text + &part)
}

/// Down, critical, warning, unknown; and in one slice what somebody has taken on.
fn counts(all: &[Trouble<'_>]) -> [(Severity, u32); 4] {
    [Severity::Down, Severity::Critical, Severity::Warning, Severity::Unknown].map(|severity| {
        let fits = |t: &&Trouble<'_>| t.severity == severity && t.needs_you();
        (severity, all.iter().filter(fits).count() as u32)
    })
}

fn donut(all: &[Trouble<'_>]) -> Vec<Slice> {
    let mut parts: Vec<(&'static str, u32)> =
        counts(all).iter().map(|(severity, count)| (mark(*severity).key, *count)).collect();
    parts.push(("ack", all.iter().filter(|t| !t.needs_you()).count() as u32));
    attention::slices(&parts, 60.0, 54.0, 38.0)
}

fn legend(all: &[Trouble<'_>]) -> Vec<(Mark, String)> {
    let shown = counts(all).into_iter();
    shown.map(|(severity, count)| (mark(severity), number::count(u64::from(count)))).collect()
}

fn metric_name(trouble: &Trouble<'_>) -> String {
    match trouble.alert {
        None => "host down".to_owned(),
        Some(alert) if &*alert.plugin == "nagios_runner" => "nagios_runner".to_owned(),
        Some(alert) if &*alert.plugin == "rtt" => "rtt".to_owned(),
        Some(alert) => {
            let last = alert.path.rsplit('.').next().unwrap_or(&alert.path);
            format!("{} {last}", alert.plugin.trim_end_matches("_monitor"))
        }
    }
}

fn metric_word<'a>(trouble: &Trouble<'a>) -> &'a str {
    trouble.alert.map_or("metric:host", |alert| &alert.plugin)
}

fn bars(shown: &[&Trouble<'_>], of: &dyn Fn(&Trouble<'_>) -> (String, String)) -> Vec<Bar> {
    let mut by_name: BTreeMap<String, (String, [u32; 8])> = BTreeMap::new();
    for trouble in shown {
        let (name, href) = of(trouble);
        let entry = by_name.entry(name).or_insert((href, [0; 8]));
        entry.1[usize::from(trouble.severity.code())] += 1;
    }
    let mut sorted: Vec<_> = by_name.into_iter().collect();
    let total = |counts: &[u32; 8]| counts.iter().sum::<u32>();
    sorted.sort_by_key(|(_, (_, counts))| std::cmp::Reverse((total(counts), counts[0], counts[1])));
    let most = sorted.first().map_or(1, |(_, (_, counts))| total(counts)).max(1);
    let bar = |(name, (href, counts)): (String, (String, [u32; 8]))| {
        let mut left = 0.0;
        let mut parts = Vec::new();
        let mut words = Vec::new();
        for severity in Severity::ALL {
            let count = counts[usize::from(severity.code())];
            if count > 0 {
                let width = BAR_WIDTH * f64::from(count) / f64::from(most);
                parts.push((mark(severity).key, format!("{left:.1}"), format!("{width:.1}")));
                words.push(format!("{count} {}", severity.as_str()));
                left += width;
            }
        }
        Bar { name, href, total: total(&counts), parts, label: words.join(", ") }
    };
    sorted.into_iter().take(BARS_MAX).map(bar).collect()
}

fn tabs(view: &View, all: &[Trouble<'_>], current: &str) -> Vec<Tab> {
    let taken = all.iter().filter(|trouble| trouble.acknowledged.is_some()).count();
    [
        ("active", "Active", "/alerts", Some(all.len() - taken)),
        ("acknowledged", "Acknowledged", "/alerts?tab=acknowledged", Some(taken)),
        ("silences", "Silences", "/alerts?tab=silences", Some(view.silences.len())),
        ("maintenance", "Maintenance", "/alerts?tab=maintenance", Some(view.maintenances.len())),
        ("history", "History", "/alerts?tab=history", None),
    ]
    .map(|(key, name, href, count)| Tab {
        name,
        href,
        count: count.map(|n| number::count(n as u64)),
        is_current: key == current,
    })
    .into()
}

fn grouped(call: &Call<'_>, fitting: &[&Trouble<'_>], by: &str, clock: &Clock) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for trouble in fitting.iter().take(ROWS_MAX) {
        let own = mark(trouble.severity);
        let (name, mark) = match by {
            "host" => (trouble.host.name.to_string(), None),
            "metric" => (metric_name(trouble), None),
            "none" => (String::new(), None),
            _ => (own.word.to_owned(), Some(own)),
        };
        let mut row = row(call, trouble, clock);
        let is_open = call.query.get("open") == Some(&row.id);
        let put = [("open", &*row.id)];
        row.open_href = here_with(call, &["open", "act", "id"], if is_open { &[] } else { &put });
        row.detail = is_open.then(|| detail::of(call, trouble, clock));
        match groups.iter_mut().find(|group| group.name == name) {
            Some(group) => group.rows.push(row),
            None => groups.push(Group { mark, name, rows: vec![row] }),
        }
    }
    groups
}

/// One line of the table, here and on the host's page.
pub fn row(call: &Call<'_>, trouble: &Trouble<'_>, clock: &Clock) -> Row {
    let id = trouble.id();
    let encoded = query::encode(&id);
    let (value, limit, clears, display) = measured(trouble);
    let host = trouble.host.name.to_string();
    let explain = trouble.alert.map(|alert| {
        format!(
            "/settings?part=thresholds&host={}&metric={}",
            query::encode(&host),
            query::encode(&alert.path)
        )
    });
    Row {
        mark: attention::mark_of(trouble),
        href: format!("/plugins/{}", query::encode(&host)),
        path: trouble.path().to_owned(),
        label: trouble.alert.map_or_else(|| "Heartbeat".to_owned(), name),
        value,
        limit,
        clears,
        display,
        since: clock.since(trouble.since),
        done: done(trouble, clock),
        acknowledgement: trouble.acknowledged.map(|ack| ack.id.to_string()),
        acknowledged_until: trouble.acknowledged.and_then(|a| a.until).map(|at| clock.ago(at)),
        is_silenced: trouble.silenced.is_some(),
        is_stale: trouble.alert.is_some_and(|alert| alert.stale),
        may_act: may_act(call, trouble),
        ack_href: format!("/alerts?act=ack&id={encoded}#act"),
        silence_href: format!("/alerts?act=silence&id={encoded}#act"),
        explain_href: explain,
        open_href: String::new(),
        detail: None,
        host,
        id,
    }
}

/// Value, limit, where it clears, and the operator's own words.
fn measured(trouble: &Trouble<'_>) -> (String, String, String, String) {
    let Some(alert) = trouble.alert else {
        return (trouble.host.why.to_string(), String::new(), String::new(), String::new());
    };
    let key = alert.path.rsplit('.').next().unwrap_or_default();
    let unit = match value::plain_unit(key) {
        _ if &*alert.plugin == "rtt" => " ms",
        Some("%") => " %",
        Some("ms") => " ms",
        _ => "",
    };
    let display = alert.display.to_string();
    if alert.operator == "nagios" {
        return (level_word(alert.level).to_owned(), String::new(), String::new(), display);
    }
    let limit = format!("{} {}{unit}", alert.operator, short(&alert.threshold_value));
    let clears = alert.recovers_at.map(|at| {
        let side = if alert.operator.starts_with('<') { "above" } else { "below" };
        format!("clears {side} {}{unit}", number::short(at))
    });
    (format!("{}{unit}", short(&alert.value)), limit, clears.unwrap_or_default(), display)
}

/// `acknowledged by alice: disk ordered`, `told 12 m ago`, `not told: silenced`.
fn done(trouble: &Trouble<'_>, clock: &Clock) -> String {
    if let Some(ack) = trouble.acknowledged {
        let by = ack.by.as_deref().unwrap_or("somebody");
        let reason =
            if ack.reason.is_empty() { String::new() } else { format!(": {}", ack.reason) };
        return format!("acknowledged by {by}{reason}");
    }
    let why_not = match () {
        () if trouble.silenced.is_some() => Some("silenced"),
        () if trouble.host.maintenance => Some("maintenance"),
        () if !trouble.host.watch => Some("not watched"),
        () if trouble.alert.is_some_and(|alert| alert.stale) => Some("old data"),
        () => None,
    };
    match (why_not, trouble.alert.and_then(|alert| alert.last_notified)) {
        (Some(why), _) => why.to_owned(),
        (None, Some(at)) => format!("told {}", clock.ago(at).text),
        (None, None) => String::new(),
    }
}

/// Changes of states and alerts of the last thirty days, newest first, and the way to older ones.
fn history(call: &Call<'_>, clock: &Clock, is_shown: bool) -> (Vec<feed::Item>, Option<String>) {
    if !is_shown {
        return (Vec::new(), None);
    }
    let view = &call.context.view;
    let now = call.context.now.wall;
    let before: Option<u64> = call.query.get("before").and_then(|id| id.parse().ok());
    let words: Vec<String> =
        call.query.get("q").unwrap_or("").split_whitespace().map(str::to_lowercase).collect();
    let mut fitting = view.events.iter().rev().filter(|event| {
        matches!(event.kind, EventKind::State | EventKind::Alert | EventKind::Maintenance)
            && now.since(event.at) <= HISTORY
            && before.is_none_or(|id| event.id < id)
            && words.iter().all(|word| event.text.to_lowercase().contains(word))
    });
    let shown: Vec<_> = fitting.by_ref().take(HISTORY_LINES).collect();
    let more = fitting.next().is_some();
    let q = query::encode(call.query.get("q").unwrap_or(""));
    let older = shown.last().filter(|_| more);
    let older = older.map(|event| format!("/alerts?tab=history&q={q}&before={}", event.id));
    (feed::items(clock, shown.into_iter()), older)
}

/// The hosts that changed state most often of late, with how often.
fn flapping(view: &View) -> Vec<(String, String, u32)> {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for event in view.events.iter().filter(|event| event.kind == EventKind::State) {
        if let Some((_, name)) = &event.host {
            *counts.entry(name).or_default() += 1;
        }
    }
    let mut sorted: Vec<_> = counts.into_iter().filter(|(_, count)| *count > 3).collect();
    sorted.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let link = |name: &str| format!("/events?host={}&kind=state", query::encode(name));
    sorted.into_iter().take(BARS_MAX).map(|(n, count)| (n.to_owned(), link(n), count)).collect()
}
