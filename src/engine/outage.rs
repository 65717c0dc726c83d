//! Outages that are not a host's own: behind a dead parent, flapping, and a server that hears nobody
//! (SPEC section 2, THREATS S5 and S6).

use super::Engine;
use super::host::Record;
use super::tell::{Role, Saying};
use super::view::{EventKind, HostId, Level, Severity, State};
use crate::notice::{self, Subject};
use crate::time::{Duration, Mono, Now};
use std::collections::VecDeque;
use std::sync::Arc;

/// How long a held child waits before it is judged again.
pub const PARENT_CHECK: Duration = Duration::from_secs(1);

/// Goings and comings of one host lately, on the listening clock.
#[derive(Debug, Default)]
pub struct Flaps {
    transitions: VecDeque<Mono>,
}

impl Flaps {
    pub fn count(&self) -> usize {
        self.transitions.len()
    }

    /// Notes one, forgets those out of the window, and says how many are in it.
    pub fn note(&mut self, now: Mono, window: Duration) -> usize {
        while self.transitions.front().is_some_and(|at| now.since(*at) > window) {
            self.transitions.pop_front();
        }
        const KEPT_MAX: usize = 1000;
        if self.transitions.len() >= KEPT_MAX {
            self.transitions.pop_front();
        }
        self.transitions.push_back(now);
        self.transitions.len()
    }
}

/// The server hears nobody: its own network, most likely.
#[derive(Clone, Copy, Debug)]
pub struct Isolation {
    /// On the listening clock.
    pub since: Mono,
    /// Nothing is told before.
    pub hold_until: Mono,
    pub told: bool,
    /// Somebody is heard again: until then the others have time to come back, too.
    pub ended: Option<Mono>,
}

impl Engine {
    /// Whether all hosts that it depends on are down.
    pub(super) fn is_behind_dead_parents(&self, id: HostId) -> bool {
        let Some(record) = self.table.record_ref(id) else { return false };
        let mut parents = record.parents.iter().peekable();
        parents.peek().is_some()
            && parents.all(|name| {
                let state = self.table.id(name).and_then(|id| self.state(id));
                matches!(state, Some(State::Down | State::Unreachable))
            })
    }

    /// Whether a host that is over must wait because its silence may be that of its parents: none of them was heard
    /// since this host's heartbeat went missing, and not all of them are judged yet.
    pub(super) fn waits_for_parents(&self, id: HostId) -> bool {
        let Some(record) = self.table.record_ref(id) else { return false };
        if record.parents.is_empty() || self.is_behind_dead_parents(id) {
            return false;
        }
        let Some(heard) = record.heard() else { return false };
        let missing = heard + record.patience.late_after;
        record.parents.iter().all(|name| {
            let Some(parent) = self.table.id(name).and_then(|id| self.table.record_ref(id)) else {
                return false;
            };
            let down = parent.state() == State::Down;
            down || parent.heard().is_some_and(|heard| heard <= missing)
        })
    }

    /// The hosts that depend on this one, directly or through others.
    fn dependents(&self, id: HostId) -> Vec<HostId> {
        let mut found = Vec::new();
        let mut todo = vec![self.name_of(id)];
        while let Some(name) = todo.pop() {
            for child in self.children.get(&name).into_iter().flatten() {
                if let Some(child_id) = self.table.id(child)
                    && !found.contains(&child_id)
                {
                    found.push(child_id);
                    todo.push(child.clone());
                }
            }
        }
        found
    }

    /// A parent's DOWN names how many are behind it.
    pub(super) fn with_dependents(&self, id: HostId, text: String) -> String {
        match self.dependents(id).len() {
            0 => text,
            n => notice::behind(text, n),
        }
    }

    /// A host went down or came back: those behind it are judged anew.
    pub(super) fn judge_dependents(&mut self, now: Now, id: HostId, is_back: bool) {
        let listening = self.listening(now.mono);
        let children = self.children.get(&self.name_of(id)).cloned().unwrap_or_default();
        for name in children {
            let Some(child) = self.table.id(&name) else { continue };
            if is_back
                && self.state(child) == Some(State::Unreachable)
                && let Some(record) = self.table.record(child)
            {
                // Time to be heard again, before its own silence counts.
                record.reprieve = Some(listening + record.patience.down_after);
            }
            self.settle(now, child, None);
            self.schedule(now, child);
        }
    }

    /// Notes that a host went or came; too many of these are told once instead.
    pub(super) fn note_transition(&mut self, now: Now, id: HostId) {
        let listening = self.listening(now.mono);
        let (limit, window) = (self.config.flap_transitions, self.config.flap_window);
        let Some(record) = self.table.record(id) else { return };
        let count = record.flaps.note(listening, window);
        let until = listening + window;
        match &mut record.flapping {
            Some(settles) => *settles = until,
            None if count > limit as usize => {
                record.flapping = Some(until);
                self.tell_flapping(now, id, count, window);
            }
            None => return,
        }
        self.show_severity(id);
        self.schedule(now, id);
    }

    fn tell_flapping(&mut self, now: Now, id: HostId, count: usize, window: Duration) {
        let host = self.name_of(id);
        let text = notice::flapping(&host, count, window, "down");
        let saying = Saying {
            level: Some(Level::Warning),
            from: self.severity(id),
            to: Some(Severity::Down),
            ..Saying::new(Role::Raise, Some(id), Subject::Flapping { host }, text)
        };
        self.say(now, saying);
    }

    /// One window without a transition: it has settled.
    pub(super) fn settle_flapping(&mut self, now: Now, id: HostId) {
        let listening = self.listening(now.mono);
        let Some(record) = self.table.record(id) else { return };
        if record.flapping.is_none_or(|until| listening < until) {
            return;
        }
        record.flapping = None;
        record.flaps = Flaps::default();
        self.show_severity(id);
        let host = self.name_of(id);
        let state = self.state(id).unwrap_or(State::Unknown);
        let outage = Subject::Outage { host: host.clone() };
        let flapping = Subject::Flapping { host: host.clone() };
        let heard = self.outbox.told(&flapping);
        let told_alone = self.outbox.told(&outage).iter().any(|r| !heard.contains(r));
        let saying = |role, subject, text| Saying {
            level: Some(Level::Warning),
            to: self.severity(id),
            ..Saying::new(role, Some(id), subject, text)
        };
        let settled = saying(Role::End, flapping, notice::settled(&host, state.as_str()));
        let up = saying(Role::End, outage.clone(), notice::settled(&host, "up"));
        self.say(now, settled);
        if state == State::Down {
            self.catch_up(now, id);
        } else if told_alone {
            self.say(now, up);
        } else {
            self.forget(Some(id), &outage);
            self.outbox.close(now, &outage);
            self.outbox_stirred = true;
        }
        self.mark_unsaved(now, id);
    }

    /// Whether DOWN is held because the server hears nobody.
    pub(super) fn is_isolated(&self) -> bool {
        self.isolation.is_some()
    }

    /// Before a host is told down: do so many fall silent together, while nothing arrives, that it is us?
    pub(super) fn detect_isolation(&mut self, now: Now) {
        if self.isolation.is_some()
            || self.config.isolation_hosts == 0
            || self.isolation_checked == Some(now.mono)
        {
            return;
        }
        self.isolation_checked = Some(now.mono);
        let listening = self.listening(now.mono);
        let window = self.config.isolation_window;
        let (mut up, mut silent, mut first) = (0usize, 0usize, Mono::MAX);
        for id in self.table.ids() {
            let Some(record) = self.table.record_ref(id) else { continue };
            let Some(late) = record.heard().map(|heard| heard + record.patience.late_after) else {
                continue;
            };
            let long_gone = record.gone_at.is_some_and(|at| listening.since(at) > window);
            if long_gone || self.table.host(id).is_some_and(|h| h.shutdown) {
                continue;
            }
            if late > listening {
                up += 1;
            } else if listening.since(late) <= window {
                silent += 1;
                first = first.min(late);
            }
        }
        let share = (self.config.isolation_percent / 100.0 * (up + silent) as f64).ceil() as usize;
        let enough = silent >= share.max(self.config.isolation_hosts as usize);
        if enough && self.last_valid < first {
            let hold_until = listening + self.config.isolation_hold;
            self.isolation =
                Some(Isolation { since: listening, hold_until, told: false, ended: None });
            let text = format!(
                "{silent} of {} hosts fell silent together: this looks like the server's own network, \
                 notices are held",
                up + silent
            );
            self.tell_server(now, Level::Warning, text);
        }
    }

    /// Something valid arrived.
    pub(super) fn heard_somebody(&mut self, now: Now) {
        let listening = self.listening(now.mono);
        self.last_valid = listening;
        let grace = self.config.interval * 2 + self.config.grace;
        if let Some(isolation) = self.isolation.as_mut().filter(|i| i.ended.is_none()) {
            isolation.ended = Some(listening + grace);
        }
    }

    /// Tells an isolation that lasts, and ends one that is over.
    pub(super) fn tick_isolation(&mut self, now: Now) {
        let listening = self.listening(now.mono);
        let Some(isolation) = self.isolation else { return };
        if let Some(until) = isolation.ended {
            if listening >= until {
                self.isolation = None;
                self.outbox.close(now, &Subject::Isolation);
                self.outbox_stirred = true;
                self.tell_server(now, Level::Info, "the server hears its hosts again".to_owned());
                self.table.ids().into_iter().for_each(|id| self.catch_up(now, id));
            }
            return;
        }
        if !isolation.told && listening >= isolation.hold_until {
            let (silent, total) = self.count_silent();
            if let Some(isolation) = &mut self.isolation {
                isolation.told = true;
            }
            let saying = Saying {
                kind: EventKind::Server,
                level: Some(Level::Critical),
                ..Saying::new(
                    Role::Raise,
                    None,
                    Subject::Isolation,
                    notice::isolated(silent, total),
                )
            };
            self.say(now, saying);
        }
    }

    /// What was held when the process before this one was killed, and is still wrong after a deadline: told now.
    /// Where nobody was heard since, it is the server that stands alone, still.
    pub(super) fn tick_restored(&mut self, now: Now) {
        let listening = self.listening(now.mono);
        if self.restored_until.is_none_or(|until| listening < until) {
            return;
        }
        self.restored_until = None;
        let told = self.outbox.is_open(&Subject::Isolation);
        let (silent, total) = self.count_silent();
        let config = &self.config;
        let share = (config.isolation_percent / 100.0 * total as f64).ceil() as usize;
        let enough =
            config.isolation_hosts > 0 && silent >= share.max(config.isolation_hosts as usize);
        if enough && self.counters.accepted == 0 {
            let (since, hold_until, ended) = (listening, listening, None);
            self.isolation = Some(Isolation { since, hold_until, told, ended });
            return;
        }
        self.outbox.close(now, &Subject::Isolation);
        self.outbox_stirred = true;
        self.table.ids().into_iter().for_each(|id| self.catch_up(now, id));
    }

    fn count_silent(&self) -> (usize, usize) {
        let heard = |id: &HostId| self.table.record_ref(*id).is_some_and(|r| r.heard().is_some());
        let ids: Vec<HostId> = self.table.ids().into_iter().filter(heard).collect();
        let away =
            |id: &&HostId| matches!(self.state(**id), Some(State::Down | State::Unreachable));
        (ids.iter().filter(away).count(), ids.len())
    }

    /// Who depends on whom, by the parent's name.
    pub(super) fn relate(&mut self) {
        self.children.clear();
        for (child, host) in &self.config.hosts {
            for parent in &host.depends_on {
                let children = self.children.entry(parent.as_str().into()).or_default();
                children.push(Arc::from(child.as_str()));
            }
        }
    }
}

impl Record {
    /// The last heartbeat of all links, on the listening clock.
    pub fn heard(&self) -> Option<Mono> {
        self.links.iter().flatten().map(|l| l.heard).max()
    }
}
