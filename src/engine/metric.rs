//! Metrics under a rule: their level, what is told of it, staleness and reminders (SPEC section 3).
//!
//! The level machine is `alert`'s; whether a notice may leave is `tell`'s.

use super::Engine;
use super::host::Raised;
use super::saved::{AlertRow, RaisedRow};
use super::tell::{Role, Saying};
use super::view::{self, EventKind, HostId, Level, Severity};
use crate::alert::{self, AlertState, Rule, Step};
use crate::notice::Subject;
use crate::time::{Duration, Mono, Now, Wall};
use crate::wire::{Leaf, LeafValue, Plg};
use std::cmp::Reverse;
use std::sync::Arc;

/// Without data for this many of its plugin's intervals, a metric's alert is stale.
const STALE_INTERVALS: u32 = 3;
/// The interval of a plugin that does not say its own.
const INTERVAL_DEFAULT: u32 = 300;

/// One metric of a host that a rule watches.
pub struct Metric {
    pub rule: Arc<Rule>,
    pub plugin: Arc<str>,
    /// The path within the plugin's data, containers included.
    pub leaf: Box<str>,
    /// What generic matching stripped.
    check_name: Box<str>,
    /// Seconds between samples.
    every: u32,
    pub state: AlertState,
    pub value: view::Value,
    /// Since when it has this level.
    since: Wall,
    /// The same on the listening clock, for reminders and escalation.
    raised: Mono,
    raised_wall: Wall,
    /// How long it was raised before this process.
    raised_before: Duration,
    display: Arc<str>,
    stale_at: Mono,
    pub stale: bool,
    reminder: Option<Mono>,
    /// The same by the wall clock of the moment in which it was planned, for people.
    reminder_wall: Wall,
    wait: Duration,
    /// The worst level that anybody was told of.
    pub told: alert::Level,
}

impl Metric {
    fn new(rule: Arc<Rule>, plugin: Arc<str>, leaf: &str, check_name: &str, now: Now) -> Metric {
        Metric {
            rule,
            plugin,
            leaf: leaf.into(),
            check_name: check_name.into(),
            every: INTERVAL_DEFAULT,
            state: AlertState::default(),
            value: view::Value::Null,
            since: now.wall,
            raised: Mono::ZERO,
            raised_wall: now.wall,
            raised_before: Duration::ZERO,
            display: Arc::from(""),
            stale_at: Mono::MAX,
            stale: false,
            reminder: None,
            reminder_wall: now.wall,
            wait: Duration::ZERO,
            told: alert::Level::Ok,
        }
    }

    pub fn level(&self) -> alert::Level {
        self.state.level()
    }

    /// Plans the next reminder, `wait` from now.
    fn remind_in(&mut self, now: Now, listening: Mono, wait: Duration) {
        self.reminder = Some(listening + wait);
        self.reminder_wall = now.wall + wait;
    }

    /// When something is due by itself, on the listening clock.
    fn due(&self) -> Mono {
        if self.level() == alert::Level::Ok {
            return Mono::MAX;
        }
        let stale = if self.stale { Mono::MAX } else { self.stale_at };
        stale.min(self.reminder.unwrap_or(Mono::MAX))
    }

    fn limit(&self) -> view::Value {
        self.rule.limit(self.level()).map_or(view::Value::Null, view::Value::of_limit)
    }
}

/// A value under a rule, as one message brought it.
struct Reading<'a> {
    leaf: Leaf<'a>,
    rule: Arc<Rule>,
    check_name: &'a str,
}

impl Engine {
    /// Judges the values of a sample that is not late.
    pub(super) fn judge_sample(&mut self, now: Now, id: HostId, plg: &Plg<'_>) {
        let Some(ruleset) = self.table.record(id).map(|r| r.ruleset) else { return };
        let Some(mut scope) = self.rules.scope(ruleset, plg.plugin) else { return };
        let mut readings = Vec::new();
        for leaf in plg.leaves {
            if let Some(found) = scope.find(leaf.path) {
                let rule = found.rule.clone();
                readings.push(Reading { leaf: *leaf, rule, check_name: found.check_name });
            }
        }
        let every = plg.every.unwrap_or(INTERVAL_DEFAULT);
        for reading in readings {
            let path = alert::metric_path(plg.plugin, reading.leaf.path);
            self.judge_reading(now, id, plg.plugin, &path, reading, plg.data, every);
        }
    }

    /// Judges a round trip, on every heartbeat that brings one.
    pub(super) fn judge_rtt(&mut self, now: Now, id: HostId, rtt: f64, interval: f64) {
        let Some(ruleset) = self.table.record(id).map(|r| r.ruleset) else { return };
        let Some(mut scope) = self.rules.rtt_scope(ruleset) else { return };
        let Some(name) = self.table.host(id).map(|host| host.name.clone()) else { return };
        let Some(rule) = scope.find(&name).map(|found| found.rule.clone()) else { return };
        let leaf = Leaf { path: &name, value: LeafValue::Number(rtt) };
        let reading = Reading { leaf, rule, check_name: "" };
        let path = format!("rtt.{name}");
        self.judge_reading(now, id, "rtt", &path, reading, "null", interval.ceil() as u32);
    }

    #[allow(clippy::too_many_arguments)] // One reading and what it came with.
    fn judge_reading(
        &mut self,
        now: Now,
        id: HostId,
        plugin: &str,
        path: &str,
        reading: Reading<'_>,
        data: &str,
        every: u32,
    ) {
        let listening = self.listening(now.mono);
        let down = matches!(self.state(id), Some(view::State::Down | view::State::Unreachable));
        let Some(record) = self.table.record(id) else { return };
        let Reading { leaf, rule, check_name } = reading;
        let key: Arc<str> = path.into();
        let fresh = || Metric::new(rule.clone(), plugin.into(), leaf.path, check_name, now);
        let known = record.metrics_under_rule.len();
        let metric = record.metrics_under_rule.entry(key.clone()).or_insert_with(fresh);
        metric.rule = rule;
        if *metric.check_name != *check_name {
            metric.check_name = check_name.into();
        }
        metric.every = every;
        let step = metric.state.step(&metric.rule, leaf.value, listening);
        if step == Step::Unjudged {
            self.counters.unjudged += 1;
            return;
        }
        let was_stale = std::mem::replace(&mut metric.stale, down);
        metric.stale_at = listening + Duration::from_secs(u64::from(every)) * STALE_INTERVALS;
        let unchanged = metric.value == view::Value::of_leaf(leaf.value) && !was_stale;
        metric.value = view::Value::of_leaf(leaf.value);
        let level = metric.level();
        let untold = level > metric.told;
        metric.display = Arc::from("");
        if level != alert::Level::Ok && metric.rule.display.is_some() {
            // Only an alert with words of the operator's own needs the whole sample.
            let data = serde_json::from_str(data).unwrap_or_default();
            let rule = &metric.rule;
            let check_name = &metric.check_name;
            let (leaf, value, data) = (leaf.path, leaf.value, &data);
            let fields = alert::Fields { rule, level, value, check_name, plugin, leaf, data };
            metric.display = fields.display().into();
        }
        if let Step::Changed(transition) = step {
            self.level_changed(now, id, &key, transition);
        } else if level == alert::Level::Ok {
            if !unchanged || known < record.metrics_under_rule.len() {
                record.metrics_touched = true;
                self.touch(id);
            }
        } else {
            if !unchanged {
                self.show_metrics(id);
            }
            if untold {
                // It rose while its host was down.
                self.tell_still(now, id, &key);
            }
        }
        self.schedule_metric(id, &key);
    }

    fn level_changed(&mut self, now: Now, id: HostId, path: &Arc<str>, change: alert::Transition) {
        let listening = self.listening(now.mono);
        let wait = self.config.threshold_renotify_interval;
        let Some(record) = self.table.record(id) else { return };
        let Some(metric) = record.metrics_under_rule.get_mut(path) else { return };
        metric.since = now.wall;
        if change.from == alert::Level::Ok {
            metric.raised = listening;
            metric.raised_wall = now.wall;
            metric.raised_before = Duration::ZERO;
            metric.wait = wait;
            metric.reminder = None;
            if wait > Duration::ZERO {
                metric.remind_in(now, listening, wait);
            }
        }
        if change.to == alert::Level::Ok {
            metric.reminder = None;
        } else if change.to > change.from && metric.reminder.is_some() {
            // What is told now is not reminded of at once.
            metric.remind_in(now, listening, metric.wait);
        }
        self.show_metrics(id);
        self.mark_unsaved(now, id);
        self.tell_level(now, id, path, change);
    }

    fn tell_level(&mut self, now: Now, id: HostId, path: &Arc<str>, change: alert::Transition) {
        let host = self.name_of(id);
        let Some(metric) = self.table.record_ref(id).and_then(|r| r.metrics_under_rule.get(path))
        else {
            return;
        };
        let subject = metric.value.as_leaf();
        let about = alert::text::Subject { host: &host, metric_path: path, value: subject };
        let notice = change.notice();
        let (text, role) = match notice {
            Some(alert::NoticeKind::Raised) => {
                (alert::text::raised(&about, change.to, &metric.display), Role::Raise)
            }
            Some(alert::NoticeKind::Recovered) => {
                (alert::text::recovered(&about, change.from), Role::End)
            }
            // Shown, not told: it got better and is not over.
            None => {
                let text = alert::text::raised(&about, change.to, "");
                (format!("{text} (no notification: de-escalation)"), Role::Shown)
            }
        };
        let level = (if change.to == alert::Level::Ok { change.from } else { change.to }).rank();
        let saying = Saying {
            kind: EventKind::Alert,
            level: Some(level),
            from: Some(severity_of(change.from)),
            to: Some(severity_of(change.to)),
            value: metric.value.clone(),
            threshold_value: metric.limit(),
            plugin: Some(metric.plugin.clone()),
            ..Saying::new(role, Some(id), Subject::Alert { host, path: path.clone() }, text)
        };
        if change.to == alert::Level::Ok {
            self.calendar.recovered(&alert_id(&saying.subject));
        }
        let told = self.say(now, saying);
        let Some(record) = self.table.record(id) else { return };
        let Some(metric) = record.metrics_under_rule.get_mut(path) else { return };
        if change.to == alert::Level::Ok {
            metric.told = alert::Level::Ok;
        } else if told {
            metric.told = metric.told.max(change.to);
        }
    }

    fn schedule_metric(&mut self, id: HostId, path: &Arc<str>) {
        let metric = self.table.record_ref(id).and_then(|r| r.metrics_under_rule.get(path));
        let Some(due) = metric.map(Metric::due).filter(|due| *due < Mono::MAX) else { return };
        self.metric_timers.push(Reverse((due, id, path.clone())));
    }

    /// Reminders and staleness that are due.
    pub(super) fn tick_metrics(&mut self, now: Now) {
        let listening = self.listening(now.mono);
        while let Some(Reverse((due, id, path))) = self.metric_timers.peek().cloned() {
            if due > listening {
                break;
            }
            self.metric_timers.pop();
            let metric = self.table.record_ref(id).and_then(|r| r.metrics_under_rule.get(&path));
            // A stale entry: the metric has another time now, and an entry for it.
            if metric.is_none_or(|m| m.due() > listening) {
                continue;
            }
            self.judge_time(now, id, &path);
            self.schedule_metric(id, &path);
        }
    }

    fn judge_time(&mut self, now: Now, id: HostId, path: &Arc<str>) {
        let listening = self.listening(now.mono);
        let (factor, wait_max) = (self.config.renotify_factor, self.config.renotify_max);
        let down = self.state(id) == Some(view::State::Down);
        let Some(record) = self.table.record(id) else { return };
        let Some(metric) = record.metrics_under_rule.get_mut(path) else { return };
        if !metric.stale && (listening >= metric.stale_at || down) {
            metric.stale = true;
            metric.state.interrupt();
            self.show_metrics(id);
            return;
        }
        if metric.reminder.is_some_and(|at| listening >= at) {
            metric.wait = metric.wait.mul_f64(factor).min(wait_max.max(metric.wait));
            metric.remind_in(now, listening, metric.wait);
            if !metric.stale && !down {
                self.remind(now, id, path);
            }
            self.mark_unsaved(now, id);
        }
    }

    fn remind(&mut self, now: Now, id: HostId, path: &Arc<str>) {
        let listening = self.listening(now.mono);
        let host = self.name_of(id);
        let subject = Subject::Alert { host: host.clone(), path: path.clone() };
        if self.calendar.acknowledged(&alert_id(&subject)).is_some() {
            return;
        }
        let Some(metric) = self.table.record_ref(id).and_then(|r| r.metrics_under_rule.get(path))
        else {
            return;
        };
        let value = metric.value.as_leaf();
        let about = alert::text::Subject { host: &host, metric_path: path, value };
        let ongoing = metric.raised_before + listening.since(metric.raised);
        let text = alert::text::reminder(&about, metric.level(), ongoing, &metric.display);
        let saying = Saying {
            kind: EventKind::Alert,
            level: Some(metric.level().rank()),
            from: Some(severity_of(metric.level())),
            to: Some(severity_of(metric.level())),
            value: metric.value.clone(),
            threshold_value: metric.limit(),
            plugin: Some(metric.plugin.clone()),
            ..Saying::new(Role::Remind, Some(id), subject, text)
        };
        self.say(now, saying);
    }

    /// What was raised while it could not be told, and still is: once, when the quiet ends.
    pub(super) fn catch_up_metrics(&mut self, now: Now, id: HostId) {
        let Some(record) = self.table.record_ref(id) else { return };
        let untold = |m: &&Metric| m.level() > m.told && !m.stale;
        let paths: Vec<Arc<str>> = record
            .metrics_under_rule
            .iter()
            .filter(|(_, m)| untold(m))
            .map(|(path, _)| path.clone())
            .collect();
        paths.iter().for_each(|path| self.tell_still(now, id, path));
    }

    /// Tells that a metric is still wrong, if nobody could be told before and now they may.
    fn tell_still(&mut self, now: Now, id: HostId, path: &Arc<str>) {
        let host = self.name_of(id);
        let Some(metric) = self.table.record_ref(id).and_then(|r| r.metrics_under_rule.get(path))
        else {
            return;
        };
        let level = metric.level();
        let value = metric.value.as_leaf();
        let about = alert::text::Subject { host: &host, metric_path: path, value };
        let text = alert::text::still(&about, level, &metric.display);
        let subject = Subject::Alert { host: host.clone(), path: path.clone() };
        let saying = Saying {
            kind: EventKind::Alert,
            level: Some(level.rank()),
            from: Some(severity_of(level)),
            to: Some(severity_of(level)),
            value: metric.value.clone(),
            threshold_value: metric.limit(),
            plugin: Some(metric.plugin.clone()),
            ..Saying::new(Role::Raise, Some(id), subject, text)
        };
        if self.may_tell(&saying)
            && self.say(now, saying)
            && let Some(record) = self.table.record(id)
            && let Some(metric) = record.metrics_under_rule.get_mut(path)
        {
            metric.told = metric.told.max(level);
        }
    }

    /// The sentence that a metric is well again after `level`; `None`: it is not, or nothing is known of it.
    pub(super) fn recovered_text(
        &self,
        id: HostId,
        path: &Arc<str>,
        level: Level,
    ) -> Option<String> {
        let metric = self.table.record_ref(id)?.metrics_under_rule.get(path)?;
        if metric.level() != alert::Level::Ok || metric.stale {
            return None;
        }
        let (host, value) = (self.name_of(id), metric.value.as_leaf());
        let about = alert::text::Subject { host: &host, metric_path: path, value };
        let from = match level {
            Level::Critical => alert::Level::Critical,
            Level::Unknown => alert::Level::Unknown,
            _ => alert::Level::Warning,
        };
        Some(alert::text::recovered(&about, from))
    }

    /// The host is down: nothing is known of its metrics any more.
    pub(super) fn make_stale(&mut self, id: HostId) {
        let Some(record) = self.table.record(id) else { return };
        let mut any = false;
        for metric in record.metrics_under_rule.values_mut() {
            metric.state.interrupt();
            any |=
                metric.level() != alert::Level::Ok && !std::mem::replace(&mut metric.stale, true);
        }
        if any {
            self.show_metrics(id);
        }
    }

    pub(super) fn shown_alerts(&self, id: HostId) -> Option<Arc<[view::Alert]>> {
        let name = self.name_of(id);
        let metrics = self.table.record_ref(id)?.metrics_under_rule.iter();
        Some(metrics.map(|(path, metric)| self.shown_alert(id, &name, path, metric)).collect())
    }

    /// Brings what is shown of a host's metrics in line with their state.
    pub(super) fn show_metrics(&mut self, id: HostId) {
        let Some(list) = self.shown_alerts(id) else { return };
        let mut counts = view::AlertCounts::default();
        for alert in list.iter().filter(|a| a.acknowledged.is_none()) {
            match alert.level {
                alert::Level::Ok => {}
                alert::Level::Warning => counts.warning += 1,
                alert::Level::Unknown => counts.unknown += 1,
                alert::Level::Critical => counts.critical += 1,
            }
        }
        if self.table.host(id).is_some_and(|host| host.alert_list != list || host.alerts != counts)
        {
            self.table.change(id, |host| {
                host.alerts = counts;
                host.alert_list = list;
            });
        }
        self.show_severity(id);
    }

    fn shown_alert(&self, id: HostId, host: &Arc<str>, path: &Arc<str>, m: &Metric) -> view::Alert {
        let subject = Subject::Alert { host: host.clone(), path: path.clone() };
        let quiet = self.quiet(id, Some(&m.plugin), Some(path));
        view::Alert {
            path: path.clone(),
            plugin: m.plugin.clone(),
            level: m.level(),
            value: m.value.clone(),
            threshold_value: m.limit(),
            operator: m.rule.operator.as_str(),
            recovers_at: m.rule.recovers_at(m.level()),
            since: m.since,
            last_notified: self.outbox.last_notified(&subject),
            told: self.told(id, &subject),
            next_reminder: m.reminder.map(|_| m.reminder_wall),
            display: m.display.clone(),
            acknowledged: self.calendar.acknowledged(&alert_id(&subject)).cloned(),
            silenced: quiet.silence,
            stale: m.stale,
        }
    }
}

/// Keeping over a restart, and a change of the rules.
impl Engine {
    pub(super) fn use_ruleset(&mut self, id: HostId) {
        let name = self.name_of(id);
        let profiles = self.config.hosts.get(&*name).map_or(&[][..], |h| &h.threshold_config);
        let ruleset = self.rules.id(profiles);
        if let Some(record) = self.table.record(id) {
            record.ruleset = ruleset;
        }
    }

    fn find_rule(&mut self, id: HostId, plugin: &str, leaf: &str) -> Option<Arc<Rule>> {
        let ruleset = self.table.record_ref(id)?.ruleset;
        let found = self.rules.scope(ruleset, plugin)?.find(leaf)?.rule.clone();
        Some(found)
    }

    /// After a reload: metrics whose rule is gone are no alerts any more; the others follow their new rule with the
    /// next value.
    pub(super) fn drop_unruled(&mut self, now: Now, id: HostId) {
        let Some(record) = self.table.record_ref(id) else { return };
        let known: Vec<(Arc<str>, Arc<str>, Box<str>)> = record
            .metrics_under_rule
            .iter()
            .map(|(path, m)| (path.clone(), m.plugin.clone(), m.leaf.clone()))
            .collect();
        let mut gone = false;
        for (path, plugin, leaf) in known {
            let rule = self.find_rule(id, &plugin, &leaf);
            let Some(record) = self.table.record(id) else { return };
            match (rule, record.metrics_under_rule.get_mut(&path)) {
                (Some(rule), Some(metric)) => metric.rule = rule,
                _ => {
                    record.metrics_under_rule.remove(&path);
                    let subject = Subject::Alert { host: self.name_of(id), path };
                    self.forget(Some(id), &subject);
                    self.outbox.close(now, &subject);
                    self.calendar.recovered(&alert_id(&subject));
                    gone = true;
                }
            }
        }
        if gone {
            self.outbox_stirred = true;
            self.show_metrics(id);
            self.mark_unsaved(now, id);
        }
    }

    pub(super) fn alert_rows(&self, id: HostId) -> Vec<AlertRow> {
        let Some(record) = self.table.record_ref(id) else { return Vec::new() };
        let listening = self.listening(self.turn.mono);
        let raised =
            record.metrics_under_rule.iter().filter(|(_, m)| m.level() != alert::Level::Ok);
        raised
            .map(|(path, m)| AlertRow {
                path: path.to_string(),
                plugin: m.plugin.to_string(),
                leaf: m.leaf.to_string(),
                level: m.level().as_str().to_owned(),
                told: m.told.as_str().to_owned(),
                value: m.value.to_json(),
                since: m.since.as_secs_f64(),
                raised: m.raised_wall.as_secs_f64(),
                display: m.display.to_string(),
                check_name: m.check_name.to_string(),
                every: m.every,
                reminder: m.reminder.map(|at| {
                    let at = self.turn.wall + at.since(listening);
                    (at.as_secs_f64(), m.wait.as_secs_f64())
                }),
            })
            .collect()
    }

    pub(super) fn restore_metrics(&mut self, now: Now, id: HostId, rows: Vec<AlertRow>) {
        let listening = self.listening(now.mono);
        let wait = self.config.threshold_renotify_interval;
        let gone = matches!(self.state(id), Some(view::State::Down | view::State::Unreachable));
        let Some(deadline) = self.table.record_ref(id).map(|r| r.patience.down_after) else {
            return;
        };
        for row in rows {
            let Some(rule) = self.find_rule(id, &row.plugin, &row.leaf) else { continue };
            let level = alert::Level::parse(&row.level).unwrap_or_default();
            let path: Arc<str> = row.path.into();
            let raised_wall = Wall::from_secs_f64(row.raised);
            let every = if row.every > 0 { row.every } else { INTERVAL_DEFAULT };
            let (at, waited) = row.reminder.unwrap_or_default();
            let waited = Duration::try_from_secs_f64(waited).ok().filter(|w| *w > Duration::ZERO);
            // One that is overdue waits until its host had its deadline.
            let left = Wall::from_secs_f64(at).since(now.wall).max(deadline);
            let metric = Metric {
                state: AlertState::restored(level),
                every,
                value: view::Value::of_json(&row.value),
                since: Wall::from_secs_f64(row.since),
                raised: listening,
                raised_wall,
                raised_before: now.wall.since(raised_wall),
                display: row.display.into(),
                // A full round of its plugin is due before its data counts as missing.
                stale_at: listening + Duration::from_secs(u64::from(every)) * STALE_INTERVALS,
                stale: gone,
                reminder: (wait > Duration::ZERO)
                    .then(|| listening + waited.map_or(wait, |_| left)),
                reminder_wall: now.wall + waited.map_or(wait, |_| left),
                wait: waited.unwrap_or(wait),
                told: alert::Level::parse(&row.told).unwrap_or_default(),
                ..Metric::new(rule, row.plugin.as_str().into(), &row.leaf, &row.check_name, now)
            };
            if let Some(record) = self.table.record(id) {
                record.metrics_under_rule.insert(path.clone(), metric);
            }
            self.schedule_metric(id, &path);
        }
        self.show_metrics(id);
    }

    pub(super) fn raised_rows(&self, id: HostId) -> Vec<RaisedRow> {
        let Some(record) = self.table.record_ref(id) else { return Vec::new() };
        record
            .raised
            .iter()
            .map(|(subject, raised)| RaisedRow {
                subject: subject_key(subject),
                at: raised.wall.as_secs_f64(),
                level: raised.level.as_str().to_owned(),
                text: raised.text.to_string(),
                done: raised.done,
            })
            .collect()
    }

    pub(super) fn restore_raised(&mut self, now: Now, id: HostId, rows: Vec<RaisedRow>) {
        let host = self.name_of(id);
        for row in rows {
            let Some(subject) = parse_subject(&host, &row.subject) else { continue };
            let wall = Wall::from_secs_f64(row.at);
            let at = self.listening(now.mono);
            let level = view::Level::parse(&row.level).unwrap_or(view::Level::Warning);
            let raised = Raised { at, wall, level, text: row.text.into(), done: row.done };
            if let Some(record) = self.table.record(id) {
                record.raised.insert(subject.clone(), raised);
            }
            self.plan_escalation(now, id, &subject, now.wall.since(wall));
        }
    }
}

pub fn subject_key(subject: &Subject) -> String {
    match subject {
        Subject::Outage { .. } => "outage".to_owned(),
        Subject::Family { v6, .. } => if *v6 { "ipv6" } else { "ipv4" }.to_owned(),
        Subject::Flapping { .. } => "flapping".to_owned(),
        Subject::Alert { path, .. } => format!("alert {path}"),
        Subject::Isolation => "isolation".to_owned(),
    }
}

pub fn parse_subject(host: &Arc<str>, key: &str) -> Option<Subject> {
    let host = host.clone();
    Some(match key {
        "outage" => Subject::Outage { host },
        "ipv4" => Subject::Family { host, v6: false },
        "ipv6" => Subject::Family { host, v6: true },
        "flapping" => Subject::Flapping { host },
        _ => Subject::Alert { host, path: key.strip_prefix("alert ")?.into() },
    })
}

/// `web1/cpu_monitor.cpu_percent`, for the API and for acknowledgements.
pub fn alert_id(subject: &Subject) -> String {
    match subject {
        Subject::Alert { host, path } => format!("{host}/{path}"),
        Subject::Outage { host } => format!("{host}/{}", view::OUTAGE),
        _ => String::new(),
    }
}

pub fn severity_of(level: alert::Level) -> Severity {
    match level {
        alert::Level::Ok => Severity::Up,
        alert::Level::Warning | alert::Level::Unknown => Severity::Warning,
        alert::Level::Critical => Severity::Critical,
    }
}
