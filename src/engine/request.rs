//! What people ask for beside hosts: acknowledgements, silences, maintenance; and the passing of time over them.

use super::feed::Entry;
use super::metric::alert_id;
use super::tell::{Role, Saying};
use super::view::{EventKind, HostId, OUTAGE, State};
use super::{Effect, Engine, Outcome, Saved};
use crate::calm::{Change, Fault, What, Zones};
use crate::config::server::Step;
use crate::notice::{self, Notice, Subject};
use crate::time::{Duration, Mono, Now};
use std::cmp::Reverse;
use std::sync::Arc;

/// What keys of the calendar's rows begin with in the store.
pub(super) const CALM: &str = "calm/";
/// A step that must wait is looked at this often.
const ESCALATION_CHECK: Duration = Duration::from_secs(60);
pub const OUTBOX: &str = "outbox/";

impl Engine {
    /// Takes the zones that windows of maintenance go by, with the configuration that is in force.
    pub fn set_zones(&mut self, now: Now, zones: Zones) {
        self.zones = zones;
        self.plan(now);
    }

    /// Takes the configured windows.
    pub(super) fn plan(&mut self, now: Now) {
        let own = self.config.timezone.as_deref().and_then(|name| self.zones.get(Some(name)));
        let zones = match own {
            Some(own) => self.zones.clone().with_local(own),
            None => self.zones.clone(),
        };
        let faults = self.calendar.configure(now, zones, &self.config.maintenance);
        for (id, fault) in faults {
            log::warn!("maintenance {id} is left out: {}", fault.what);
        }
    }

    /// The answer to a request about the calendar; its effects come with the turn.
    pub(super) fn answer<T>(
        &mut self,
        now: Now,
        made: Result<T, Fault>,
        outcome: impl FnOnce(T) -> Outcome,
    ) -> Outcome {
        let answer = match made {
            Ok(made) => outcome(made),
            Err(fault) => Outcome::Refused(fault),
        };
        self.turn_calendar(now);
        answer
    }

    /// What began or ended to be quiet.
    pub(super) fn turn_calendar(&mut self, now: Now) {
        let changes = self.calendar.turn(now);
        let unsaved = self.calendar.take_unsaved();
        self.share_calm(unsaved.iter().map(|row| row.key.as_str()));
        let rows: Vec<Saved> = unsaved
            .into_iter()
            .map(|row| {
                let key: Arc<str> = format!("{CALM}{}", row.key).into();
                match row.json {
                    Some(json) => Saved::Part { key, json },
                    None => Saved::PartGone { key },
                }
            })
            .collect();
        if !rows.is_empty() {
            self.effects.push_back(Effect::Persist(rows));
        }
        if changes.is_empty() {
            return;
        }
        for change in &changes {
            self.tell_change(now, change);
        }
        for id in self.table.ids() {
            self.show_quiet(id);
        }
        if changes.iter().any(|change| matches!(change, Change::Ended(_))) {
            self.table.ids().into_iter().for_each(|id| self.catch_up(now, id));
        }
    }

    /// Brings what is shown of a host in line with the windows, silences and acknowledgements over it.
    pub(super) fn show_quiet(&mut self, id: HostId) {
        let maintenance = self.quiet(id, None, None).maintenance.is_some();
        if self.table.host(id).is_some_and(|host| host.maintenance != maintenance) {
            self.table.change(id, |host| host.maintenance = maintenance);
        }
        if self.table.host(id).is_some_and(|host| !host.alert_list.is_empty()) {
            self.show_metrics(id);
        }
        let told = self.told(id, &Subject::Outage { host: self.name_of(id) });
        if self.table.host(id).is_some_and(|host| host.told != told) {
            self.table.change(id, |host| host.told = told);
        }
        self.show_severity(id);
    }

    /// The same of the outage that a host has now; only of one that is down anything is asked.
    pub(super) fn show_quiet_outage(&mut self, id: HostId) {
        let Some(host) = self.table.host(id) else { return };
        let before = (host.outage_silenced, host.outage_taken);
        let is_down = host.state == State::Down;
        let outage = || alert_id(&Subject::Outage { host: host.name.clone() });
        let taken = is_down && self.calendar.acknowledged(&outage()).is_some();
        let silenced = is_down && self.quiet(id, None, Some(OUTAGE)).silence.is_some();
        if (silenced, taken) != before {
            self.table.change(id, |host| {
                (host.outage_silenced, host.outage_taken) = (silenced, taken);
            });
        }
    }

    fn tell_change(&mut self, now: Now, change: &Change) {
        let (verb, what) = match change {
            Change::Began(what) => ("began", what),
            Change::Ended(what) => ("ended", what),
        };
        let (kind, text) = match what {
            What::Maintenance(m) => {
                (EventKind::Maintenance, format!("maintenance {} {verb}", m.id))
            }
            What::Silence(s) => (EventKind::Alert, format!("silence {} {verb}", s.id)),
            What::Acknowledgement(a) => {
                (EventKind::Alert, format!("acknowledgement of {} {verb}", a.alert))
            }
        };
        let (by, reason) = match what {
            What::Maintenance(m) => (m.by.clone(), m.reason.clone()),
            What::Silence(s) => (s.by.clone(), s.reason.clone()),
            What::Acknowledgement(a) => (a.by.clone(), a.reason.clone()),
        };
        let by = by.map_or(String::new(), |by| format!(" by {by}"));
        let reason = if reason.is_empty() { reason } else { format!(": {reason}") };
        let host = match what {
            What::Acknowledgement(a) => a.alert.split_once('/').map(|(host, _)| host),
            _ => None,
        };
        let host = host.and_then(|name| self.table.id(name)).map(|id| (id, self.name_of(id)));
        let (level, from, to) = (None, None, None);
        let text = format!("{text}{by}{reason}");
        self.publish(now, Entry { kind, host, level, from, to, text });
    }

    /// The steps that count for a trouble: the entry's, else the host's, else the server's.
    fn steps(&self, id: HostId, subject: &Subject) -> Vec<Step> {
        let record = self.table.record_ref(id);
        let rule = match subject {
            Subject::Alert { path, .. } => {
                record.and_then(|r| r.metrics_under_rule.get(path)).map(|m| m.rule.clone())
            }
            _ => None,
        };
        let host = self.config.hosts.get(&*self.name_of(id)).and_then(|h| h.escalation.clone());
        let own = rule.and_then(|rule| rule.escalation.clone()).or(host);
        own.unwrap_or_else(|| self.config.escalation.clone())
    }

    /// A trouble was told `ago`, or rose then: whoever is to hear of it later, if nobody reacts, is noted.
    pub(super) fn plan_escalation(
        &mut self,
        now: Now,
        id: HostId,
        subject: &Subject,
        ago: Duration,
    ) {
        let listening = self.listening(now.mono);
        let Some(raised) = self.table.record_ref(id).and_then(|r| r.raised.get(subject)) else {
            return;
        };
        let at = raised.at;
        for (step, Step { after, .. }) in self.steps(id, subject).iter().enumerate() {
            let due = listening + after.saturating_sub(ago);
            self.escalations.push(Reverse((due, id, subject.clone(), step, at)));
        }
    }

    pub(super) fn tick_escalations(&mut self, now: Now) {
        let listening = self.listening(now.mono);
        while let Some(Reverse((due, ..))) = self.escalations.peek()
            && *due <= listening
        {
            if let Some(Reverse((_, id, subject, step, raised))) = self.escalations.pop() {
                self.escalate(now, id, subject, step, raised);
            }
        }
    }

    fn escalate(&mut self, now: Now, id: HostId, subject: Subject, number: usize, raised: Mono) {
        let Some(record) = self.table.record_ref(id) else { return };
        let open = record.raised.get(&subject).filter(|t| t.at == raised && !t.has_done(number));
        let Some(trouble) = open else { return };
        let (level, text) = (trouble.level, trouble.text.clone());
        let Some(step) = self.steps(id, &subject).get(number).cloned() else { return };
        if level < step.level {
            // Should it rise, the step is planned anew.
            return;
        }
        let plugin = match &subject {
            Subject::Alert { path, .. } => {
                record.metrics_under_rule.get(path).map(|m| m.plugin.clone())
            }
            _ => None,
        };
        let about = Saying::new(Role::Remind, Some(id), subject.clone(), String::new());
        let may = self.may_tell(&Saying { plugin, ..about }) && !self.outbox.is_silent();
        if !may || self.calendar.acknowledged(&alert_id(&subject)).is_some() {
            // The quiet may end before the trouble does.
            let due = self.listening(now.mono) + ESCALATION_CHECK;
            return self.escalations.push(Reverse((due, id, subject, number, raised)));
        }
        if let Some(trouble) =
            self.table.record(id).and_then(|record| record.raised.get_mut(&subject))
        {
            trouble.note_done(number);
        }
        self.mark_unsaved(now, id);
        let addressees = notice::escalation(&self.config, &step.to, level);
        let receivers: Vec<_> = addressees.into_iter().map(|a| a.receiver).collect();
        let host = Some((id, self.name_of(id)));
        let to: Vec<&str> = step.to.iter().map(String::as_str).collect();
        let (kind, from, to_) = (EventKind::Notify, None, None);
        let told = format!("escalated to {}: {text}", to.join(", "));
        let event = self.publish(now, Entry { kind, host, level: None, from, to: to_, text: told });
        let notice = Notice::new(event.id, now.wall, "alert", level, &text).about(subject);
        self.outbox.post(now, notice, receivers);
        self.outbox_stirred = true;
    }

    pub(super) fn restore_part(&mut self, now: Now, key: &str, json: &[u8]) -> Option<()> {
        if let Some(key) = key.strip_prefix(CALM) {
            return self.calendar.restore(now, key, json).ok();
        }
        if let Some(id) = key.strip_prefix(super::sealed::KEYS) {
            return self.restore_key(id, json);
        }
        if let Some(key) = key.strip_prefix(super::pair::PAIR) {
            return self.restore_pair(key, json);
        }
        if key.starts_with("command") {
            return self.restore_command(now, key, json);
        }
        self.outbox.restore(now, key.strip_prefix(OUTBOX)?, json)
    }
}
