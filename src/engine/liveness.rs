//! Timers and states: who is late, who is down, who is back (SPEC section 2, PROTOCOL C12).

use super::feed::Entry;
use super::host::severity_of;
use super::link::Link;
use super::view::{ConnState, EventKind, Family, HostId, Level, State};
use super::{Effect, Engine, SAVE_DELAY};
use crate::notice;
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
        let Some(record) = self.table.record(id) else { return };
        if record.links.iter().all(Option::is_none) {
            return self.judge_never(now, id);
        }
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
        let text = notice::down_never(&self.name_of(id));
        self.tell_host(now, id, EventKind::State, Some(Level::Critical), text);
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
        let Some(record) = self.table.record(id) else { return };
        record.timer = listening + record.patience.down_after;
        self.timers.push(Reverse((record.timer, id)));
    }

    /// A heartbeat on a link that was new, not up, or at another address.
    pub(super) fn revive(&mut self, now: Now, id: HostId, family: Family, address: IpAddr) {
        let listening = self.listening(now.mono);
        let was_down = self.state(id) == Some(State::Down);
        let Some(record) = self.table.record(id) else { return };
        let outage = record.silent_for(now);
        let Some(link) = &mut record.links[family as usize] else { return };
        let lost = (link.state == ConnState::Down && link.told_lost).then(|| link.silent_for(now));
        let (loss, rtt_ms) = (link.loss, link.rtt_ms);
        *link = Link { loss, rtt_ms, ..Link::new(family, address, now, listening) };
        if was_down {
            // What went down together with the host has one deadline to come back with it.
            for other in
                record.links.iter_mut().flatten().filter(|l| l.family != family && !l.told_lost)
            {
                other.state = ConnState::Late;
                other.heard = listening - record.patience.late_after;
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
        self.table.change(id, |host| {
            host.shutdown = true;
            host.state = State::Down;
            host.severity = severity_of(State::Down);
            host.since = now.wall;
            host.why = "Shut down".into();
        });
        self.touch(id);
        self.mark_unsaved(now, id);
        let name = self.name_of(id);
        let text = notice::down_shutdown(&name);
        let (host, to) = (Some((id, name)), self.severity(id));
        let level = Some(Level::Info);
        self.publish(now, Entry { kind: EventKind::Shutdown, host, level, from, to, text });
    }

    /// Brings the host's state in line with its links and tells what changed.
    fn settle(&mut self, now: Now, id: HostId, revival: Option<Revival>) {
        let Some(before) = self.table.host(id).map(|h| (h.state, h.severity)) else { return };
        let Some(record) = self.table.record_ref(id) else { return };
        let state = record.state();
        let severity = severity_of(state);
        let why = self.why(now, id, state);
        if state != before.0 {
            self.table.change(id, |host| {
                host.state = state;
                host.severity = severity;
                host.degraded = state == State::Degraded;
                host.shutdown = false;
                host.since = now.wall;
                host.why = why;
            });
            self.mark_unsaved(now, id);
        }
        self.touch(id);
        let name = self.name_of(id);
        let told = self.sentence(now, id, &name, before.0, state, revival.as_ref());
        if let Some((level, text)) = told {
            let host = Some((id, name.clone()));
            let (from, to) = (Some(before.1), Some(severity));
            self.publish(now, Entry { kind: EventKind::State, host, level, from, to, text });
        }
        self.tell_links(now, id, &name, before.0, revival);
    }

    /// The sentence for the host as a whole.
    fn sentence(
        &self,
        now: Now,
        id: HostId,
        name: &str,
        before: State,
        state: State,
        revival: Option<&Revival>,
    ) -> Option<(Option<Level>, String)> {
        let record = self.table.record_ref(id)?;
        match (before, state) {
            (a, b) if a == b => None,
            (_, State::Down) => {
                let text = notice::down(name, record.silent_for(now), record.addresses());
                Some((Some(Level::Critical), text))
            }
            (State::Down, _) => {
                let text = notice::up(name, revival.map_or(Duration::ZERO, |r| r.outage));
                Some((Some(Level::Critical), text))
            }
            (State::Unknown, _) => {
                let (family, address) = record.addresses().next()?;
                Some((Some(Level::Info), notice::new(name, family, address)))
            }
            (_, State::Late) => Some((None, notice::late(name))),
            _ => None,
        }
    }

    /// A family lost while another is heard, and its return.
    fn tell_links(
        &mut self,
        now: Now,
        id: HostId,
        name: &Arc<str>,
        before: State,
        revival: Option<Revival>,
    ) {
        let state = self.state(id);
        let Some(record) = self.table.record(id) else { return };
        let mut told: Vec<String> = Vec::new();
        if state != Some(State::Down) {
            for link in record.links.iter_mut().flatten() {
                if link.state == ConnState::Down && !link.told_lost {
                    link.told_lost = true;
                    told.push(notice::degraded(name, link.family.as_str(), link.address));
                }
            }
        }
        if let Some(Revival { family, lost: Some(outage), .. }) = revival
            && before != State::Down
        {
            told.push(notice::restored(name, family.as_str(), outage));
        }
        let to = self.severity(id);
        for text in told {
            let host = Some((id, name.clone()));
            let level = Some(Level::Warning);
            self.publish(now, Entry { kind: EventKind::State, host, level, from: None, to, text });
        }
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
            State::Up | State::Unreachable => Arc::from(""),
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
