//! What needs somebody: every alert and outage as one list, worst first; and the pie of the navigation.
//!
//! Reads the view; judges nothing.

use super::mark::{Mark, mark};
use crate::alert::Level;
use crate::calm::{Acknowledgement, Target};
use crate::engine::view::{Alert, Host, OUTAGE, Severity, State, View};
use crate::time::Wall;
use serde::Serialize;
use std::cmp::Reverse;
use std::f64::consts::TAU;
use std::fmt::Write as _;
use std::sync::Arc;

/// An alert, or a host that is not well by its heartbeats.
#[derive(Clone)]
pub struct Trouble<'a> {
    pub host: &'a Arc<Host>,
    /// `None` for an outage.
    pub alert: Option<&'a Alert>,
    pub severity: Severity,
    pub since: Wall,
    pub acknowledged: Option<&'a Arc<Acknowledgement>>,
    /// Id of the silence over it.
    pub silenced: Option<Arc<str>>,
}

impl Trouble<'_> {
    /// As the API names it.
    pub fn id(&self) -> String {
        format!("{}/{}", self.host.name, self.path())
    }

    pub fn path(&self) -> &str {
        self.alert.map_or(OUTAGE, |alert| &alert.path)
    }

    pub fn plugin(&self) -> &str {
        self.alert.map_or(OUTAGE, |alert| &alert.plugin)
    }

    /// Nobody has taken it on, and nothing keeps it quiet.
    pub fn needs_you(&self) -> bool {
        self.acknowledged.is_none() && self.silenced.is_none() && !self.host.maintenance
    }
}

/// Of hosts that are watched and of others, worst first, then the newest.
pub fn troubles(view: &View) -> Vec<Trouble<'_>> {
    let mut found: Vec<Trouble<'_>> = Vec::new();
    for host in view.hosts.iter() {
        found.extend(outage(view, host));
        found.extend(metrics(host));
    }
    found.sort_by(|a, b| {
        let place = |t: &Trouble<'_>| (t.severity, Reverse(t.since));
        place(a).cmp(&place(b)).then_with(|| a.host.name.cmp(&b.host.name))
    });
    found
}

/// Those of one host, worst first.
pub fn of_host<'a>(view: &'a View, host: &'a Arc<Host>) -> Vec<Trouble<'a>> {
    let mut found: Vec<Trouble<'a>> = outage(view, host).into_iter().chain(metrics(host)).collect();
    found.sort_by_key(|trouble| (trouble.severity, Reverse(trouble.since)));
    found
}

fn metrics(host: &Arc<Host>) -> impl Iterator<Item = Trouble<'_>> {
    let raised = host.alert_list.iter().filter(|alert| alert.level != Level::Ok);
    raised.map(move |alert| Trouble {
        host,
        alert: Some(alert),
        severity: severity(alert.level),
        since: alert.since,
        acknowledged: alert.acknowledged.as_ref(),
        silenced: alert.silenced.clone(),
    })
}

fn outage<'a>(view: &'a View, host: &'a Arc<Host>) -> Option<Trouble<'a>> {
    let severity = match host.state {
        State::Down => Severity::Down,
        State::Degraded => Severity::Warning,
        _ if host.flapping => Severity::Warning,
        _ => return None,
    };
    let is_own = |ack: &&Arc<Acknowledgement>| {
        ack.alert.strip_prefix(&*host.name).is_some_and(|rest| rest == "/host")
    };
    let tags: Vec<String> = host.tags.iter().map(|tag| tag.to_string()).collect();
    let target = Target {
        host: &host.name,
        group: host.group.as_deref(),
        tags: &tags,
        plugin: None,
        path: Some(OUTAGE),
    };
    let silence = view.silences.iter().find(|silence| silence.matcher.matches(&target));
    Some(Trouble {
        host,
        alert: None,
        severity,
        since: host.since,
        acknowledged: view.acknowledgements.iter().find(is_own),
        silenced: silence.map(|silence| Arc::clone(&silence.id)),
    })
}

/// A level as the mark of a state: UNKNOWN is shown as unknown, though it ranks over WARNING.
pub const fn severity(level: Level) -> Severity {
    match level {
        Level::Ok => Severity::Up,
        Level::Warning => Severity::Warning,
        Level::Unknown => Severity::Unknown,
        Level::Critical => Severity::Critical,
    }
}

/// The donut of the navigation: critical (with the hosts that are down), warning, acknowledged.
#[derive(Default, Serialize)]
pub struct Pie {
    pub critical: u32,
    pub warning: u32,
    pub acknowledged: u32,
    pub label: String,
    pub slices: Vec<Slice>,
}

#[derive(Serialize)]
pub struct Slice {
    pub key: &'static str,
    pub path: String,
}

impl Pie {
    /// One look at each host, without a list: it stands on every page.
    pub fn of(view: &View) -> Pie {
        let mut pie = Pie::default();
        for host in view.hosts.iter().filter(|host| !host.maintenance) {
            pie.critical += host.alerts.critical;
            pie.warning += host.alerts.warning + host.alerts.unknown;
            if host.state == State::Degraded {
                pie.warning += 1;
            }
            if host.flags() & 4 != 0 {
                let taken = host
                    .alert_list
                    .iter()
                    .filter(|alert| alert.level != Level::Ok && alert.acknowledged.is_some());
                pie.acknowledged += taken.count() as u32;
            }
        }
        pie.critical += view.counts[usize::from(Severity::Down.code())];
        pie.label = match (pie.critical, pie.warning, pie.acknowledged) {
            (0, 0, 0) => "no alerts".to_owned(),
            (critical, warning, acknowledged) => {
                format!("{critical} critical, {warning} warning, {acknowledged} acknowledged")
            }
        };
        let counts = [("crit", pie.critical), ("warn", pie.warning), ("ack", pie.acknowledged)];
        pie.slices = slices(&counts, 10.0, 8.0, 5.0);
        pie
    }
}

/// Rings of a donut around (`centre`, `centre`), clockwise from the top, a little apart.
pub fn slices(counts: &[(&'static str, u32)], centre: f64, outer: f64, inner: f64) -> Vec<Slice> {
    let total: u32 = counts.iter().map(|(_, count)| count).sum();
    let shown: Vec<_> = counts.iter().filter(|(_, count)| *count > 0).collect();
    let gap = if shown.len() > 1 { 0.6 / outer } else { 0.0 };
    let mut at = 0.0;
    let mut made = Vec::new();
    for (key, count) in shown {
        let turn = TAU * f64::from(*count) / f64::from(total.max(1));
        // Not even a single alert among a thousand vanishes.
        let (from, to) = (at + gap / 2.0, at + turn.max(0.12) - gap / 2.0);
        made.push(Slice { key, path: ring(centre, outer, inner, from, to) });
        at += turn;
    }
    made
}

fn ring(centre: f64, outer: f64, inner: f64, from: f64, to: f64) -> String {
    // A whole turn has no end of its own to be drawn to.
    let to = to.min(from + TAU - 0.001);
    let large = u8::from(to - from > TAU / 2.0);
    let point = |radius: f64, angle: f64| {
        format!("{:.2} {:.2}", centre + radius * angle.sin(), centre - radius * angle.cos())
    };
    let mut path = String::new();
    // Writing to a String cannot fail.
    let _ = write!(
        path,
        "M{}A{outer} {outer} 0 {large} 1 {}L{}A{inner} {inner} 0 {large} 0 {}Z",
        point(outer, from),
        point(outer, to),
        point(inner, to),
        point(inner, from)
    );
    path
}

/// The mark of a trouble.
pub fn mark_of(trouble: &Trouble<'_>) -> Mark {
    mark(trouble.severity)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::fixture;

    #[test]
    fn pie_counts_what_needs_somebody() {
        let pie = Pie::of(&fixture::view(16));
        // Two hosts are down, three more have one critical alert each, one of them a warning too.
        assert_eq!((pie.critical, pie.warning, pie.acknowledged), (5, 5, 0));
        assert_eq!(pie.label, "5 critical, 5 warning, 0 acknowledged");
        assert_eq!(pie.slices.len(), 2);
        let none = Pie::of(&fixture::view(0));
        assert_eq!((none.label.as_str(), none.slices.len()), ("no alerts", 0));
    }

    #[test]
    fn slices_go_round_once_and_one_alone_is_a_whole_ring() {
        let half = slices(&[("a", 1), ("b", 1)], 10.0, 8.0, 5.0);
        assert!(half[0].path.starts_with("M10.30 2.01A8 8 0 0 1 10.30 17.99"), "{}", half[0].path);
        let whole = slices(&[("a", 7), ("b", 0)], 10.0, 8.0, 5.0);
        assert_eq!(whole.len(), 1);
        assert!(whole[0].path.contains("A8 8 0 1 1"), "{}", whole[0].path);
    }
}
