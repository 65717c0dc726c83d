//! The frames that the server sends, as text (UI section 7).

use super::row::{self, Dictionary, Part};
use super::{BEAT_MS, Scope, json};
use crate::engine::view::{Event, Host, HostId, Sample, Severity, View};
use crate::time::{Now, Wall};
use crate::web::Caller;
use crate::web::said::said;
use std::fmt::Write as _;
use std::sync::Arc;

/// Names of the counts, by severity code.
const SUM: [(&str, Severity); 8] = [
    ("down", Severity::Down),
    ("crit", Severity::Critical),
    ("warn", Severity::Warning),
    ("late", Severity::Late),
    ("unreach", Severity::Unreachable),
    ("unk", Severity::Unknown),
    ("maint", Severity::Maintenance),
    ("up", Severity::Up),
];

/// Which rows, besides those whose slow columns changed, get their fast columns.
pub(super) enum Fast<'a> {
    /// Every row: a client that polls cannot say which ones it shows.
    All,
    /// Those shown, sorted; `fresh` of them are sent whether or not they changed.
    Shown { ids: &'a [HostId], fresh: &'a [HostId] },
}

/// What a client has to be told to come up to date. Application order is `del`, then `up`.
#[derive(Default)]
pub(super) struct Change<'a> {
    del: Vec<HostId>,
    up: Vec<(&'a Host, Part)>,
}

impl<'a> Change<'a> {
    /// All that happened to the rows of `scope` after version `since`, which must not lie below the
    /// floor.
    pub(super) fn collect(
        view: &'a View,
        since: u64,
        fast: &Fast<'_>,
        scope: &Scope,
    ) -> Change<'a> {
        let mut change = Change::default();
        change.del.extend(view.gone.iter().rev().take_while(|g| g.1 > since).map(|g| g.0));
        let all = matches!(fast, Fast::All);
        for host in view.hosts.changed_since(since) {
            match (host.slow_ver > since, scope.shows(host)) {
                (true, true) => change.up.push((host, Part::Whole)),
                (true, false) => change.del.push(host.id),
                (false, shown) if all && shown => change.up.push((host, Part::Fast)),
                _ => {}
            }
        }
        if let Fast::Shown { ids, fresh } = fast {
            let shown = ids.iter().filter_map(|id| view.hosts.get(*id));
            let due = shown.filter(|host| {
                let new = host.fast_ver > since || fresh.contains(&host.id);
                new && host.slow_ver <= since && scope.shows(host)
            });
            change.up.extend(due.map(|host| (&**host, Part::Fast)));
        }
        change.del.sort_unstable();
        change.del.dedup();
        change
    }

    pub(super) fn is_empty(&self) -> bool {
        self.del.is_empty() && self.up.is_empty()
    }
}

/// Hosts of the scope by severity code.
pub(super) fn sum(view: &View, scope: &Scope) -> [u32; 8] {
    if scope.is_all() {
        return view.counts;
    }
    let mut counts = [0; 8];
    for host in view.hosts.iter().filter(|host| scope.shows(host)) {
        counts[host.severity.code() as usize] += 1;
    }
    counts
}

pub(super) fn hello(view: &View, now: Now, caller: &Caller) -> String {
    let mut out = String::from("{\"t\":\"hello\",\"proto\":1");
    write_epoch(&mut out, view.epoch);
    out.push_str(",\"server\":");
    json::text(&mut out, env!("CARGO_PKG_VERSION"));
    write_now(&mut out, now.wall);
    let _ = write!(out, ",\"beat_ms\":{BEAT_MS}");
    out.push_str(",\"you\":{\"user\":");
    json::text_or_null(&mut out, caller.user());
    let _ = write!(out, ",\"admin\":{}}}", caller.sees_all());
    // Where there is a view, the saved state has been read.
    out.push_str(",\"starting\":false,\"hold_down_until\":");
    let left = view.hold_until.filter(|until| *until > now.mono);
    json::integer_or_null(&mut out, left.map(|until| millis(now.wall + until.since(now.mono))));
    out.push('}');
    out
}

pub(super) fn snap(view: &View, scope: &Scope, sum: &[u32; 8], now: Option<Wall>) -> String {
    let shown = || view.hosts.iter().filter(|host| scope.shows(host));
    let mut dictionary = Dictionary::default();
    shown().for_each(|host| dictionary.add(host));
    let mut out = String::with_capacity(256 + 128 * view.hosts.len);
    out.push_str("{\"t\":\"snap\"");
    write_epoch(&mut out, view.epoch);
    let _ = write!(out, ",\"seq\":{}", view.ver);
    write_optional_now(&mut out, now);
    out.push_str(",\"cols\":");
    row::write_column_names(&mut out);
    out.push_str(",\"dict\":");
    dictionary.write(&mut out);
    out.push_str(",\"rows\":");
    json::list(&mut out, shown(), |out, host| {
        row::write_row(out, host, view.now.wall, &dictionary)
    });
    write_sum(&mut out, sum, None);
    out.push('}');
    out
}

/// `told` are the counts that the client already has.
pub(super) fn delta(
    view: &View,
    prev: u64,
    change: &Change<'_>,
    counts: (&[u32; 8], Option<&[u32; 8]>),
    now: Option<Wall>,
) -> String {
    let mut out = String::from("{\"t\":\"d\"");
    let _ = write!(out, ",\"prev\":{prev},\"seq\":{}", view.ver);
    write_optional_now(&mut out, now);
    out.push_str(",\"del\":");
    json::list(&mut out, &change.del, |out, id| json::integer(out, *id));
    out.push_str(",\"up\":");
    json::list(&mut out, &change.up, |out, (host, part)| {
        row::write_update(out, host, view.now.wall, *part)
    });
    write_sum(&mut out, counts.0, counts.1);
    out.push('}');
    out
}

pub(super) fn events<'a>(seq: u64, items: impl IntoIterator<Item = &'a Arc<Event>>) -> String {
    let mut out = String::from("{\"t\":\"ev\"");
    let _ = write!(out, ",\"seq\":{seq},\"items\":");
    json::list(&mut out, items, |out, event| write_event(out, event));
    out.push('}');
    out
}

pub(super) fn metric(host: HostId, plugin: &str, sample: &Sample) -> String {
    let mut out = String::from("{\"t\":\"m\"");
    let _ = write!(out, ",\"host\":{host},\"plugin\":");
    json::text(&mut out, plugin);
    out.push_str(",\"ts\":");
    json::number(&mut out, sample.at.as_secs_f64(), 3);
    out.push_str(",\"v\":");
    json::raw(&mut out, &sample.data);
    out.push('}');
    out
}

pub(super) fn beat(seq: u64, now: Now) -> String {
    let mut out = String::from("{\"t\":\"hb\"");
    let _ = write!(out, ",\"seq\":{seq}");
    write_now(&mut out, now.wall);
    out.push('}');
    out
}

pub(super) fn bye(retry_ms: u64) -> String {
    format!("{{\"t\":\"bye\",\"code\":\"restart\",\"retry_ms\":{retry_ms}}}")
}

fn write_epoch(out: &mut String, epoch: u32) {
    let _ = write!(out, ",\"epoch\":\"{:06x}\"", epoch & 0xff_ffff);
}

fn write_now(out: &mut String, now: Wall) {
    let _ = write!(out, ",\"now\":{}", millis(now));
}

fn write_optional_now(out: &mut String, now: Option<Wall>) {
    if let Some(now) = now {
        write_now(out, now);
    }
}

fn millis(at: Wall) -> i64 {
    at.as_micros().div_euclid(1000)
}

fn write_sum(out: &mut String, counts: &[u32; 8], told: Option<&[u32; 8]>) {
    out.push_str(",\"sum\":{");
    let mut comma = "";
    for (name, severity) in SUM {
        let at = severity.code() as usize;
        if told.is_some_and(|told| told[at] == counts[at]) {
            continue;
        }
        let _ = write!(out, "{comma}\"{name}\":{}", counts[at]);
        comma = ",";
    }
    out.push('}');
}

fn write_event(out: &mut String, event: &Event) {
    let _ = write!(out, "{{\"id\":{},\"ts\":", event.id);
    json::number(out, event.at.as_secs_f64(), 3);
    let _ = write!(out, ",\"kind\":\"{}\",\"host\":", event.kind.as_str());
    json::integer_or_null(out, event.host.as_ref().map(|host| host.0));
    out.push_str(",\"name\":");
    json::text_or_null(out, event.host.as_ref().map(|host| &*host.1));
    out.push_str(",\"level\":");
    json::text_or_null(out, event.level.map(|level| level.as_str()));
    out.push_str(",\"from\":");
    json::integer_or_null(out, event.from.map(Severity::code));
    out.push_str(",\"to\":");
    json::integer_or_null(out, event.to.map(Severity::code));
    out.push_str(",\"user\":");
    json::text_or_null(out, event.user.as_deref());
    out.push_str(",\"text\":");
    let host = event.host.as_ref().map(|(_, name)| &**name);
    json::text(out, &said(&event.text, host));
    out.push_str(",\"raw\":");
    json::text(out, &event.text);
    out.push('}');
}
