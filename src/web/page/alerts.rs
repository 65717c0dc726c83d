//! `/alerts`: what needs somebody, what somebody has taken on, what is quiet, what was.

use super::alert_detail::{self as detail, Detail};
use super::alert_history as history;
use super::attention::{self, Slice, Trouble, troubles};
use super::clock::{Clock, When};
use super::mark::{Mark, mark};
use super::panel::{self, Panel};
use super::quiet::{self, SilenceRow, WindowRow};
use super::shell::{Shell, clock, here_with};
use super::{number, page, value};
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
    history: Vec<history::Row>,
    older: Option<String>,
    /// The same as a file.
    export: String,
    /// Hidden by the owner alone: those of other people.
    others: usize,
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
#[derive(Clone, Default, Serialize)]
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
    /// Signed in: there is a "me".
    has_me: bool,
    /// Only the hosts that the reader owns or manages.
    is_mine: bool,
    /// The reader, where `is_mine`.
    #[serde(skip)]
    mine: Vec<String>,
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
    /// The limit in words: `critical above 90 %`.
    pub bound: String,
    /// `clears below 88.2 %`
    pub clears_words: String,
    pub display: String,
    pub since: When,
    /// The same as a time of day.
    pub began: When,
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
    let (past, older) = match tab {
        "history" => history::rows(call, &clock),
        _ => (Vec::new(), None),
    };
    let whole = Form { owner: String::new(), mine: Vec::new(), ..form.clone() };
    let of_tab = all.iter().filter(|trouble| trouble.acknowledged.is_some() == is_taken);
    let others = of_tab.filter(|trouble| whole.takes(trouble)).count() - fitting.len();
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
        form: form.clone(),
        silences: quiet::silences(call, &clock),
        windows: quiet::windows(call, &clock),
        history: past,
        older,
        export: history::file(call),
        others: if is_list && form.is_mine { others } else { 0 },
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
            && (self.is_mine || is(&self.owner, trouble.host.owner.as_deref()))
            && (self.mine.is_empty() || self.mine.iter().any(|me| has_role(trouble.host, me)))
            && self.q.split_whitespace().all(|word| has(trouble, word))
    }
}

/// Owns it, or manages it.
fn has_role(host: &crate::engine::view::Host, user: &str) -> bool {
    host.owner.as_deref() == Some(user) || host.managers.iter().any(|own| **own == *user)
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
        has_me: call.caller.user().is_some(),
        is_mine: false,
        mine: Vec::new(),
    };
    let parts = [&form.q, &form.severity, &form.plugin, &form.group, &form.owner];
    form.is_active = parts.iter().any(|part| !part.is_empty());
    if form.owner.is_empty() && is_about_me(call) {
        form.owner = "me".to_owned();
    }
    match (form.owner.as_str(), call.caller.user()) {
        ("me", Some(user)) => (form.is_mine, form.mine) = (true, vec![user.to_owned()]),
        ("all" | "me", _) => form.owner = String::new(),
        _ => {}
    }
    form
}

/// Who owns or manages something looks at that first; an admin at all, who only monitors at what they may see.
fn is_about_me(call: &Call<'_>) -> bool {
    let Some(user) = call.caller.user().filter(|_| !call.caller.is_admin()) else { return false };
    call.context.view.hosts.iter().any(|host| has_role(host, user))
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
    let measured = measured(trouble);
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
        label: trouble.alert.map_or_else(
            || "Heartbeat".to_owned(),
            |alert| name(alert).trim_end_matches("_status_code").to_owned(),
        ),
        value: measured.value,
        limit: measured.limit,
        clears: measured.clears,
        bound: measured.bound,
        clears_words: measured.clears_words,
        display: measured.display,
        since: clock.since(trouble.since),
        began: clock.at(trouble.since),
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

/// What is measured, as the table and the host's page write it.
#[derive(Default)]
struct Measured {
    value: String,
    /// `> 90 %`
    limit: String,
    /// `clears < 88.2`
    clears: String,
    bound: String,
    clears_words: String,
    /// The operator's own words.
    display: String,
}

fn measured(trouble: &Trouble<'_>) -> Measured {
    let Some(alert) = trouble.alert else {
        return Measured { value: trouble.host.why.to_string(), ..Measured::default() };
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
        let value = level_word(alert.level).to_owned();
        return Measured { value, display, ..Measured::default() };
    }
    let is_low = alert.operator.starts_with('<');
    let at = short(&alert.threshold_value);
    let side = match alert.operator {
        ">" | ">=" => "above",
        "<" | "<=" => "below",
        "==" => "at",
        _ => "other than",
    };
    let clears = |word: &str, unit: &str| {
        let at = alert.recovers_at.map(|at| format!("clears {word} {}{unit}", number::short(at)));
        at.unwrap_or_default()
    };
    Measured {
        value: format!("{}{unit}", with_decimal(&alert.value, unit)),
        limit: format!("{} {at}{unit}", alert.operator),
        clears: clears(if is_low { ">" } else { "<" }, ""),
        bound: format!("{} {side} {at}{unit}", level_word(alert.level)),
        clears_words: clears(if is_low { "above" } else { "below" }, unit),
        display,
    }
}

/// Percent with one decimal, as alerts have it (ui/UI.md 4.4).
fn with_decimal(value: &crate::engine::view::Value, unit: &str) -> String {
    let number = match value {
        crate::engine::view::Value::Number(number) => Some(*number),
        crate::engine::view::Value::Integer(number) => Some(*number as f64),
        _ => None,
    };
    match number.filter(|n| unit == " %" && n.abs() < 999.5) {
        Some(number) => format!("{number:.1}"),
        None => short(value),
    }
}

/// `acknowledged by alice: disk ordered`, `notified alice (email) at 15:42, next reminder 16:42`, `silenced`.
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
    let told = trouble.alert.map_or(&trouble.host.told, |alert| &alert.told).as_ref();
    let told = told.map(|told| {
        let to = if told.to.is_empty() { "somebody".to_owned() } else { told.to.join(", ") };
        format!("notified {to} at {}", clock.short(told.at))
    });
    let next = trouble.alert.and_then(|alert| alert.next_reminder).filter(|_| why_not.is_none());
    // Nobody is reminded who was not told.
    let next =
        next.filter(|_| told.is_some()).map(|at| format!("next reminder {}", clock.short(at)));
    let parts = [why_not.map(str::to_owned), told, next].into_iter().flatten();
    parts.collect::<Vec<_>>().join(", ")
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
