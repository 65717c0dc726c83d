//! Timers and states: who is late, who is down, who is back (SPEC section 2, PROTOCOL C12).

use super::host::severity_of;
use super::link::Link;
use super::outage::PARENT_CHECK;
use super::tell::{Role, Saying};
use super::view::{AlertCounts, ConnState, EventKind, Family, HostId, Level, Severity, State};
use super::{Effect, Engine, SAVE_DELAY};
use crate::notice::{self, Subject};
use crate::time::{Duration, Mono, Now};
use std::cmp::Reverse;
use std::net::IpAddr;
use std::sync::Arc;

/// Last-seen times are saved this often where nothing else changed.
const SAVE_ALL_EVERY: Duration = Duration::from_secs(3600);

impl Engine {
    /// Judges what is due. The shell has drained its socket before.
    pub(super) fn tick(&mut self, now: Now) {
        let listening = self.listening(now.mono);
        while let Some(Reverse((due, id))) = self.timers.peek().copied() {
            if due > listening {
                break;
            }
            self.timers.pop();
            match self.table.record(id) {
                Some(record) if record.timer == due => record.timer = Mono::MAX,
                _ => continue,
            }
            self.judge(now, id);
        }
        self.tick_metrics(now);
        self.tick_restored(now);
        self.tick_isolation(now);
        self.tick_escalations(now);
        self.tick_commands(now);
        self.turn_calendar(now);
        self.tick_dns(now);
        if self.hold_until.is_some_and(|until| now.mono >= until) {
            self.hold_until = None;
            self.dirty = true;
        }
        self.ghosts.expire(now.mono);
        self.dirty |=
            std::mem::take(&mut self.ghosts.changed) | std::mem::take(&mut self.refusals.changed);
        if now.mono.since(self.saved_all) >= SAVE_ALL_EVERY {
            self.saved_all = now.mono;
            self.save_all();
        }
        if self.save_due.is_some_and(|due| now.mono >= due) {
            self.save();
        }
        self.check_invariants();
    }

    fn judge(&mut self, now: Now, id: HostId) {
        let listening = self.listening(now.mono);
        self.settle_flapping(now, id);
        self.remind_down(now, id);
        let Some(record) = self.table.record(id) else { return };
        if record.links.iter().all(Option::is_none) {
            return self.judge_never(now, id);
        }
        record.reprieve = record.reprieve.filter(|until| listening < *until);
        if record.is_over(listening) && self.waits_for_parents(id) {
            // It may be the parent that died; that is known in a moment.
            return self.wake(id, listening + PARENT_CHECK);
        }
        let Some(record) = self.table.record(id) else { return };
        record.judge(listening);
        self.settle(now, id, None);
        self.schedule(now, id);
    }

    /// A declared host that never reported: told once, one deadline after the start.
    fn judge_never(&mut self, now: Now, id: HostId) {
        let Some(record) = self.table.record(id) else { return };
        if std::mem::replace(&mut record.never_told, true) {
            return;
        }
        let host = self.name_of(id);
        let text = notice::down_never(&host);
        let level = Some(Level::Critical);
        let saying = Saying::new(Role::Raise, Some(id), Subject::Outage { host }, text);
        self.say(now, Saying { level, ..saying });
        self.mark_unsaved(now, id);
    }

    /// Puts the host's next limit into the timers.
    pub(super) fn schedule(&mut self, now: Now, id: HostId) {
        let listening = self.listening(now.mono);
        let Some(record) = self.table.record(id) else { return };
        let due = record.next_due(listening);
        // A later limit needs no entry of its own: the earlier wake-up finds it.
        if due < record.timer {
            record.timer = due;
            self.timers.push(Reverse((due, id)));
        }
    }

    /// A declared host that was never heard gets one deadline.
    pub(super) fn schedule_never(&mut self, now: Now, id: HostId) {
        let listening = self.listening(now.mono);
        let Some(record) = self.table.record_ref(id) else { return };
        let due = listening + record.patience.down_after;
        self.wake(id, due);
    }

    fn wake(&mut self, id: HostId, due: Mono) {
        let Some(record) = self.table.record(id) else { return };
        record.timer = due;
        self.timers.push(Reverse((due, id)));
    }

    /// A heartbeat on a link that was new, not up, or at another address.
    pub(super) fn revive(&mut self, now: Now, id: HostId, family: Family, address: IpAddr) {
        let listening = self.listening(now.mono);
        let was_down = matches!(self.state(id), Some(State::Down | State::Unreachable));
        let Some(record) = self.table.record(id) else { return };
        let outage = record.silent_for(now);
        let Some(link) = &mut record.links[family as usize] else { return };
        let lost = (link.state == ConnState::Down && link.told_lost).then(|| link.silent_for(now));
        let (loss, rtt_ms) = (link.loss, link.rtt_ms);
        *link = Link { loss, rtt_ms, ..Link::new(family, address, now, listening) };
        record.reprieve = None;
        if was_down {
            // What went down together with the host has one deadline to come back with it.
            let late = listening - record.patience.late_after;
            for other in record.others_untold(family) {
                other.state = ConnState::Late;
                other.heard = late;
            }
        }
        record.judge(listening);
        self.settle(now, id, Some(Revival { outage, family, lost }));
        self.schedule(now, id);
        self.mark_unsaved(now, id);
    }

    /// The host said that it stops.
    pub(super) fn shut_down(&mut self, now: Now, id: HostId) {
        let Some(record) = self.table.record(id) else { return };
        for link in record.links.iter_mut().flatten() {
            link.state = ConnState::Down;
            link.told_lost = false;
        }
        if record.links.iter().all(Option::is_none) {
            return;
        }
        let from = self.severity(id);
        let was_gone = matches!(self.state(id), Some(State::Down | State::Unreachable));
        self.table.change(id, |host| {
            host.shutdown = true;
            host.state = State::Down;
            host.since = now.wall;
            host.why = "Shut down".into();
        });
        self.show_severity(id);
        self.touch(id);
        self.mark_unsaved(now, id);
        let host = self.name_of(id);
        let text = notice::down_shutdown(&host);
        let declared = self.config.hosts.get(&*host);
        // Of a laptop it is no news; of a host that is down already it changes nothing.
        let shown = was_gone || declared.is_some_and(|d| d.intermittent);
        let role = if shown { Role::Shown } else { Role::Raise };
        let saying = Saying {
            kind: EventKind::Shutdown,
            level: Some(Level::Info),
            from,
            to: self.severity(id),
            ..Saying::new(role, Some(id), Subject::Outage { host }, text)
        };
        self.say(now, saying);
        self.judge_dependents(now, id, false);
    }

    /// Brings the host's state in line with its links and its parents, and tells what changed.
    pub(super) fn settle(&mut self, now: Now, id: HostId, revival: Option<Revival>) {
        let Some((before, was)) = self.table.host(id).map(|h| (h.state, h.severity)) else {
            return;
        };
        let Some(state) = self.state_now(id) else { return };
        let was_shutdown = self.table.host(id).is_some_and(|h| h.shutdown);
        let listening = self.listening(now.mono);
        if state == State::Down && before != State::Down {
            self.detect_isolation(now);
        }
        if state != before {
            let why = self.why(now, id, state);
            self.table.change(id, |host| {
                host.state = state;
                host.degraded = state == State::Degraded;
                host.shutdown = false;
                host.since = now.wall;
                host.why = why;
            });
            self.show_severity(id);
            self.mark_unsaved(now, id);
        }
        self.touch(id);
        let is_gone = |state| matches!(state, State::Down | State::Unreachable);
        if is_gone(state) != is_gone(before)
            && let Some(record) = self.table.record(id)
        {
            record.gone_at = is_gone(state).then_some(listening);
        }
        self.plan_down_reminder(id, state, listening);
        if is_gone(state) && !is_gone(before) {
            self.make_stale(id);
        }
        if before != State::Unknown && (state == State::Down) != (before == State::Down) {
            self.note_transition(now, id);
        }
        if let Some(saying) = self.sentence(now, id, before, state, revival.as_ref()) {
            let level = match saying.level {
                Some(_) if was_shutdown && saying.role == Role::End => Some(Level::Info),
                level => level,
            };
            self.say(now, Saying { from: Some(was), to: self.severity(id), level, ..saying });
        }
        self.tell_links(now, id, revival);
        if is_gone(state) != is_gone(before) {
            self.judge_dependents(now, id, !is_gone(state));
        }
    }

    /// What the links say, and whether it is the parents' doing.
    fn state_now(&self, id: HostId) -> Option<State> {
        let record = self.table.record_ref(id)?;
        let state = record.state();
        let shutdown = self.table.host(id).is_some_and(|h| h.shutdown);
        if state != State::Down || shutdown {
            return Some(state);
        }
        let behind = self.is_behind_dead_parents(id) || record.reprieve.is_some();
        Some(if behind { State::Unreachable } else { State::Down })
    }

    /// The sentence for the host as a whole.
    fn sentence(
        &mut self,
        now: Now,
        id: HostId,
        before: State,
        state: State,
        revival: Option<&Revival>,
    ) -> Option<Saying> {
        let host = self.name_of(id);
        let created = self.table.host(id).map_or(now.wall, |h| h.first_seen);
        let record = self.table.record(id)?;
        let silent = record.silent_for(now);
        let mut span = silent;
        let (role, level, text) = match (before, state) {
            (a, b) if a == b => return None,
            (_, State::Down) => {
                let text = notice::down(&host, silent, record.addresses());
                (Role::Raise, Some(Level::Critical), self.with_dependents(id, text))
            }
            (_, State::Unreachable) => (Role::Shown, None, notice::unreachable(&host)),
            (State::Down | State::Unreachable, _) => {
                let outage = revival.map_or(Duration::ZERO, |r| r.outage);
                span = outage;
                (Role::End, Some(Level::Critical), notice::up(&host, outage))
            }
            (State::Unknown, _) if std::mem::take(&mut record.never_told) => {
                let waited = now.wall.since(created);
                span = waited;
                (Role::End, Some(Level::Critical), notice::up(&host, waited))
            }
            (State::Unknown, _) => {
                let (family, address) = record.addresses().next()?;
                (Role::Shown, Some(Level::Info), notice::new(&host, family, address))
            }
            (_, State::Late) => (Role::Shown, None, notice::late(&host)),
            _ => return None,
        };
        let subject = Subject::Outage { host };
        Some(Saying { level, span: Some(span), ..Saying::new(role, Some(id), subject, text) })
    }

    /// A family lost while another is heard, and its return.
    fn tell_links(&mut self, now: Now, id: HostId, revival: Option<Revival>) {
        let host = self.name_of(id);
        let gone = matches!(self.state(id), Some(State::Down | State::Unreachable));
        let Some(record) = self.table.record(id) else { return };
        let mut sayings = Vec::new();
        let lost =
            record.links.iter_mut().flatten().filter(|l| l.is_down() && !l.told_lost && !gone);
        for link in lost {
            link.told_lost = true;
            let subject = Subject::Family { host: host.clone(), v6: link.family == Family::V6 };
            let text = notice::degraded(&host, link.family.as_str(), link.address);
            let span = Some(link.silent_for(now));
            sayings.push(Saying { span, ..Saying::new(Role::Raise, Some(id), subject, text) });
        }
        if let Some(Revival { family, lost: Some(outage), .. }) = revival {
            let subject = Subject::Family { host: host.clone(), v6: family == Family::V6 };
            let text = notice::restored(&host, family.as_str(), outage);
            let span = Some(outage);
            sayings.push(Saying { span, ..Saying::new(Role::End, Some(id), subject, text) });
        }
        for saying in sayings {
            let to = self.severity(id);
            self.say(now, Saying { level: Some(Level::Warning), to, ..saying });
        }
    }

    pub(super) fn plan_down_reminder(&mut self, id: HostId, state: State, listening: Mono) {
        let every = self.config.down_renotify_interval;
        let Some(record) = self.table.record(id) else { return };
        if state != State::Down || every == Duration::ZERO {
            record.down_reminder = None;
        } else {
            record.down_reminder.get_or_insert(listening + every);
        }
    }

    /// A host that stays down is told again, where the configuration wants it.
    fn remind_down(&mut self, now: Now, id: HostId) {
        let listening = self.listening(now.mono);
        let every = self.config.down_renotify_interval;
        if every == Duration::ZERO || self.state(id) != Some(State::Down) {
            return;
        }
        let host = self.name_of(id);
        let Some(record) = self.table.record(id) else { return };
        if record.down_reminder.is_none_or(|at| listening < at) {
            return;
        }
        record.down_reminder = Some(listening + every);
        if self.calendar.acknowledged(&format!("{host}/host")).is_some() {
            return;
        }
        let Some(record) = self.table.record_ref(id) else { return };
        let down = notice::down(&host, record.silent_for(now), record.addresses());
        let text = down.replacen("DOWN", "REMINDER (CRITICAL)", 1);
        let subject = Subject::Outage { host };
        let level = Some(Level::Critical);
        self.say(now, Saying { level, ..Saying::new(Role::Remind, Some(id), subject, text) });
    }

    /// What pages show first of a host: maintenance, else the worst of its state and its alerts.
    pub(super) fn show_severity(&mut self, id: HostId) {
        let Some(host) = self.table.host(id) else { return };
        let flapping = self.table.record_ref(id).is_some_and(|r| r.flapping.is_some());
        let connectivity = if flapping { Severity::Down } else { severity_of(host.state) };
        let alerts = match host.alerts {
            AlertCounts { critical: 1.., .. } => Severity::Critical,
            AlertCounts { warning: 0, unknown: 0, .. } => Severity::Up,
            _ => Severity::Warning,
        };
        let severity = match host.maintenance {
            true => Severity::Maintenance,
            false => connectivity.min(alerts),
        };
        if severity != host.severity || flapping != host.flapping {
            self.table.change(id, |host| {
                host.severity = severity;
                host.flapping = flapping;
            });
        }
        self.show_quiet_outage(id);
    }

    fn why(&self, now: Now, id: HostId, state: State) -> Arc<str> {
        let Some(record) = self.table.record_ref(id) else { return Arc::from("") };
        match state {
            State::Down => {
                let interval = record.interval(&self.config).max(1.0);
                let missed = (record.silent_for(now).as_secs_f64() / interval) as u64;
                format!("{missed} heartbeats missed").into()
            }
            State::Late => "Heartbeat overdue".into(),
            State::Degraded => {
                let lost = record.links.iter().flatten().find(|l| l.state == ConnState::Down);
                lost.map_or_else(|| Arc::from(""), |l| format!("{} lost", label(l.family)).into())
            }
            State::Unknown => "In the configuration, never heard from".into(),
            State::Unreachable => record
                .parents
                .first()
                .map_or_else(|| Arc::from(""), |parent| format!("Behind {parent}").into()),
            State::Up => Arc::from(""),
        }
    }

    /// Notes that a host's saved row is out of date.
    pub(super) fn mark_unsaved(&mut self, now: Now, id: HostId) {
        let Some(record) = self.table.record(id) else { return };
        if !std::mem::replace(&mut record.unsaved, true) {
            self.unsaved.push(id);
        }
        self.save_due.get_or_insert(now.mono + SAVE_DELAY);
    }

    /// Hands out the rows of all hosts that changed.
    pub(super) fn save(&mut self) {
        self.save_due = None;
        let mut rows = Vec::new();
        for id in std::mem::take(&mut self.unsaved) {
            let Some(record) = self.table.record(id) else { continue };
            if std::mem::take(&mut record.unsaved) {
                rows.extend(self.row(id));
            }
        }
        if !rows.is_empty() {
            self.effects.push_back(Effect::Persist(rows));
        }
    }
}

/// What a heartbeat ended.
pub(super) struct Revival {
    /// Since the host's last heartbeat.
    outage: Duration,
    family: Family,
    /// How long the family was away, where its loss had been told.
    lost: Option<Duration>,
}

fn label(family: Family) -> &'static str {
    match family {
        Family::V4 => "IPv4",
        Family::V6 => "IPv6",
    }
}
