//! Who is told: every sentence goes into the feed here, and from here into the outbox or not.
//!
//! Quiet (unwatched, silenced, in maintenance, behind a dead parent, flapping, an isolated server) suppresses only
//! the creation of a notice: states and levels go on, ends are always told to those who were told of the trouble,
//! and what was not told is caught up with when the quiet ends.

use super::feed::Entry;
use super::host::Raised;
use super::metric::alert_id;
use super::request::OUTBOX;
use super::view::{self, EventKind, HostId, Level, Severity, State};
use super::{Effect, Engine, Saved};
use crate::calm::{Quiet, Target};
use crate::notice::{self, Fleet, Notice, Receiver, Subject};
use crate::time::{Duration, Now};
use std::sync::Arc;

/// What a sentence does to its subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A trouble begins, or gets worse.
    Raise,
    /// It is still there: told again to those who were told.
    Remind,
    End,
    /// For the feed only.
    Shown,
    /// About nothing that ends.
    Plain,
}

/// A sentence and all that is known of it.
pub struct Saying {
    pub role: Role,
    pub id: Option<HostId>,
    pub subject: Subject,
    pub text: String,
    pub kind: EventKind,
    pub level: Option<Level>,
    pub from: Option<Severity>,
    pub to: Option<Severity>,
    pub value: view::Value,
    pub threshold_value: view::Value,
    pub plugin: Option<Arc<str>>,
    pub span: Option<Duration>,
}

impl Saying {
    pub fn new(role: Role, id: Option<HostId>, subject: Subject, text: String) -> Saying {
        Saying {
            role,
            id,
            subject,
            text,
            kind: EventKind::State,
            level: None,
            from: None,
            to: None,
            value: view::Value::Null,
            threshold_value: view::Value::Null,
            plugin: None,
            span: None,
        }
    }

    fn path(&self) -> Option<&str> {
        match &self.subject {
            Subject::Alert { path, .. } => Some(path),
            Subject::Outage { .. } | Subject::Family { .. } | Subject::Flapping { .. } => {
                Some("host")
            }
            Subject::Isolation => None,
        }
    }
}

impl Engine {
    /// Says a sentence. Returns whether people are told of it, as far as a trouble that began or rose goes.
    pub(super) fn say(&mut self, now: Now, saying: Saying) -> bool {
        let may = self.may_tell(&saying);
        if saying.role == Role::Remind && (!may || self.outbox.is_silent()) {
            return false;
        }
        let host = saying.id.map(|id| (id, self.name_of(id)));
        let event = self.publish(
            now,
            Entry {
                kind: saying.kind,
                host,
                level: saying.level,
                from: saying.from,
                to: saying.to,
                text: saying.text.clone(),
            },
        );
        let Some(level) = saying.level.filter(|_| saying.role != Role::Shown) else { return false };
        let mut notice = Notice::new(event.id, now.wall, saying.kind.as_str(), level, &saying.text);
        notice.from = saying.from.map(|s| s.as_str().into());
        notice.to = saying.to.map(|s| s.as_str().into());
        notice.value = saying.value.to_json();
        notice.threshold_value = saying.threshold_value.to_json();
        notice.span = saying.span;
        self.outbox_stirred = true;
        if let Some(id) = saying.id {
            self.mark_unsaved(now, id);
        }
        match saying.role {
            Role::End => {
                self.forget(saying.id, &saying.subject);
                self.outbox.end(now, &saying.subject, notice.about(saying.subject.clone()));
                false
            }
            Role::Plain => {
                if may {
                    notice.host = saying.subject.host().cloned();
                    let receivers = self.receivers(saying.id, level);
                    self.outbox.post(now, notice, receivers);
                }
                may
            }
            Role::Remind => {
                let told = self.outbox.told(&saying.subject);
                self.outbox.post(now, notice.about(saying.subject), told);
                true
            }
            Role::Raise if may => {
                let receivers = self.receivers(saying.id, level);
                self.note_raised(now, &saying, level);
                self.outbox.post(now, notice.about(saying.subject), receivers);
                true
            }
            Role::Raise => {
                if let Some(record) = saying.id.and_then(|id| self.table.record(id)) {
                    record.untold.insert(saying.subject);
                }
                false
            }
            Role::Shown => false,
        }
    }

    pub(super) fn forget(&mut self, id: Option<HostId>, subject: &Subject) {
        self.calendar.recovered(&alert_id(subject));
        if let Some(record) = id.and_then(|id| self.table.record(id)) {
            record.untold.remove(subject);
            record.raised.remove(subject);
        }
    }

    /// A trouble is told for the first time, or worse than before: what is still to be escalated counts from here.
    fn note_raised(&mut self, now: Now, saying: &Saying, level: Level) {
        let at = self.listening(now.mono);
        let Some(id) = saying.id else { return };
        let Some(record) = self.table.record(id) else { return };
        record.untold.remove(&saying.subject);
        let text: Arc<str> = saying.text.as_str().into();
        match record.raised.get_mut(&saying.subject) {
            Some(raised) if raised.level >= level => {
                raised.text = text;
                return;
            }
            Some(raised) => (raised.level, raised.text) = (level, text),
            None => {
                let raised = Raised { at, wall: now.wall, level, text, done: 0 };
                record.raised.insert(saying.subject.clone(), raised);
            }
        }
        self.plan_escalation(now, id, &saying.subject, Duration::ZERO);
    }

    /// Whether a notice about it may be made now.
    pub(super) fn may_tell(&self, saying: &Saying) -> bool {
        let Some(id) = saying.id else { return true };
        let (Some(host), Some(record)) = (self.table.host(id), self.table.record_ref(id)) else {
            return false;
        };
        if !host.watch || self.quiet(id, saying.plugin.as_deref(), saying.path()).is_quiet() {
            return false;
        }
        match &saying.subject {
            Subject::Outage { .. } | Subject::Family { .. } => {
                host.state != State::Unreachable
                    && record.flapping.is_none()
                    && (host.shutdown || !self.is_isolated())
            }
            Subject::Alert { .. } => !matches!(host.state, State::Down | State::Unreachable),
            Subject::Flapping { .. } | Subject::Isolation => true,
        }
    }

    pub(super) fn quiet(&self, id: HostId, plugin: Option<&str>, path: Option<&str>) -> Quiet {
        let Some(host) = self.table.host(id) else { return Quiet::default() };
        let tags: Vec<String> = host.tags.iter().map(|t| t.to_string()).collect();
        let group = host.group.as_deref();
        self.calendar.quiet(&Target { host: &host.name, group, tags: &tags, plugin, path })
    }

    /// Who hears of an event of that level on a host, or of the server itself.
    pub(super) fn receivers(&self, id: Option<HostId>, level: Level) -> Vec<Receiver> {
        let host = id.and_then(|id| self.table.host(id));
        let roles = self.config.roles(host.map_or("", |host| &*host.name));
        let found = notice::receivers(&self.config, roles.owner, roles.managers, level);
        found.into_iter().map(|addressee| addressee.receiver).collect()
    }

    /// Who was told of a trouble that is not over, for people to read.
    pub(super) fn told(&self, id: HostId, subject: &Subject) -> Option<Arc<view::Told>> {
        let at = self.outbox.last_notified(subject)?;
        let name = self.name_of(id);
        let roles = self.config.roles(&name);
        let known = notice::receivers(&self.config, roles.owner, roles.managers, Level::Critical);
        let to = self.outbox.told(subject).into_iter().map(|receiver| {
            let user = known.iter().find(|known| known.receiver == receiver);
            match user.and_then(|known| known.user.as_ref()) {
                Some(user) => format!("{user} ({})", receiver.channel),
                None => receiver.channel.to_string(),
            }
        });
        Some(Arc::new(view::Told { at, to: to.collect() }))
    }

    /// The quiet over some hosts has ended: what is still wrong and was not told is told once.
    pub(super) fn catch_up(&mut self, now: Now, id: HostId) {
        self.catch_up_metrics(now, id);
        let Some(record) = self.table.record_ref(id) else { return };
        let untold: Vec<Subject> = record.untold.iter().cloned().collect();
        for subject in untold {
            if let Some(saying) = self.still(now, id, &subject)
                && self.may_tell(&saying)
            {
                self.say(now, saying);
            }
        }
    }

    /// What there is to say of a trouble that was not told when it began; `None`: it is over, or not of this kind.
    fn still(&self, now: Now, id: HostId, subject: &Subject) -> Option<Saying> {
        let (host, record) = (self.table.host(id)?, self.table.record_ref(id)?);
        let (level, text) = match subject {
            Subject::Outage { .. } if host.state == State::Down && !host.shutdown => {
                let silent = record.silent_for(now);
                (
                    Level::Critical,
                    self.with_dependents(id, notice::down(&host.name, silent, record.addresses())),
                )
            }
            Subject::Outage { .. } if host.state == State::Unknown && record.never_told => {
                (Level::Critical, notice::down_never(&host.name))
            }
            Subject::Flapping { .. } if record.flapping.is_some() => {
                let window = self.config.flap_window;
                let count = record.flaps.count();
                (Level::Warning, notice::flapping(&host.name, count, window, "down"))
            }
            Subject::Family { v6, .. } => {
                let link = record.links[usize::from(*v6)].as_ref().filter(|l| l.is_down())?;
                (Level::Warning, notice::degraded(&host.name, link.family.as_str(), link.address))
            }
            _ => return None,
        };
        let severity = Some(host.severity);
        Some(Saying {
            level: Some(level),
            from: severity,
            to: severity,
            span: Some(record.silent_for(now)),
            ..Saying::new(Role::Raise, Some(id), subject.clone(), text)
        })
    }

    /// Hands on what the outbox has: rows for the store, reports for the feed, messages for the workers.
    pub(super) fn drain_outbox(&mut self, now: Now) {
        let due = self.outbox.poll_timeout().is_some_and(|due| due <= now.mono);
        if !std::mem::take(&mut self.outbox_stirred) && !due {
            return;
        }
        self.dirty = true;
        // A kill finds a host and what was told of it in step.
        self.save();
        // What is to be sent is in the store before it leaves; polling may give up on a channel that is gone.
        self.save_outbox();
        let fleet = self.fleet();
        while let Some(message) = self.outbox.poll_message(now, fleet) {
            self.effects.push_back(Effect::Notify(Box::new(message)));
        }
        self.save_outbox();
        for report in self.outbox.reports() {
            self.publish(
                now,
                Entry {
                    kind: EventKind::Notify,
                    host: None,
                    level: Some(Level::Warning),
                    from: None,
                    to: None,
                    text: report.text(),
                },
            );
        }
    }

    fn save_outbox(&mut self) {
        let rows: Vec<Saved> = self.outbox.rows().into_iter().map(keyed).collect();
        if !rows.is_empty() {
            self.effects.push_back(Effect::Persist(rows));
        }
    }

    fn fleet(&self) -> Fleet {
        let counts = self.table.counts();
        let of = |severity: Severity| counts[severity.code() as usize] as usize;
        let away = of(Severity::Down) + of(Severity::Unreachable) + of(Severity::Unknown);
        Fleet { up: self.table.len() - away, total: self.table.len() }
    }
}

/// A row of the outbox under its name in the store.
fn keyed(row: Saved) -> Saved {
    match row {
        Saved::Part { key, json } => Saved::Part { key: format!("{OUTBOX}{key}").into(), json },
        Saved::PartGone { key } => Saved::PartGone { key: format!("{OUTBOX}{key}").into() },
        row => row,
    }
}
