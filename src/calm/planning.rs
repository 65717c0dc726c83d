//! What people and machines ask for: acknowledging, silencing, planning, and taking it back.

use super::body::{Moment, Until};
use super::calendar::{Acknowledged, Calendar, Change, Entry, OWN, Silenced, What};
use super::course::{Course, Running};
use super::fault::{Fault, FaultKind};
use super::maintenance::{Maintenance, Origin, fault_of, unknown_zone};
use super::request::{AckRequest, MaintenanceRequest, SilenceRequest, When};
use super::saved::to_millis;
use super::schedule::{Schedule, Span};
use super::silence::{Acknowledgement, Silence};
use super::zone;
use crate::limits;
use crate::time::{Duration, Now, Wall};
use jiff::tz::TimeZone;
use std::ops::Bound;
use std::sync::Arc;

impl Calendar {
    /// Acknowledges alerts; one that is already gets the new words and keeps its id.
    pub fn acknowledge(
        &mut self,
        now: Now,
        request: AckRequest,
        by: Option<&str>,
    ) -> Result<Vec<Arc<Acknowledgement>>, Fault> {
        let zone = self.zones.get(None).unwrap_or(TimeZone::UTC);
        let until = request.until.map(|until| resolve(until, "until", &zone)).transpose()?;
        if until.is_some_and(|until| until <= now.wall) {
            return Err(over("until"));
        }
        let fresh =
            request.ids.iter().filter(|id| !self.acknowledgements.contains_key(id.as_str()));
        let total = self.acknowledgements.len() + fresh.count();
        if total > limits::ACKNOWLEDGEMENTS {
            return Err(full("acknowledgements", limits::ACKNOWLEDGEMENTS));
        }
        let mut made = Vec::new();
        for alert in request.ids {
            let known = self.acknowledgements.get(alert.as_str());
            let id = known.map(|known| known.acknowledgement.id.clone());
            let acknowledgement = Acknowledgement {
                id: id.unwrap_or_else(|| self.new_id('a')),
                alert: alert.into(),
                by: by.map(str::to_owned),
                reason: request.reason.clone(),
                since: to_millis(now.wall),
                until: until.map(to_millis),
            };
            let ack = self.put_acknowledgement(now, acknowledgement);
            self.unsaved.insert(format!("ack/{}", ack.alert));
            self.changes.push(Change::Began(What::Acknowledgement(ack.clone())));
            made.push(ack);
        }
        self.check_invariants();
        Ok(made)
    }

    /// Takes an acknowledgement back, by its id or by that of its alert.
    pub fn unacknowledge(&mut self, id: &str) -> Result<Arc<Acknowledgement>, Fault> {
        let found =
            self.acknowledgements().find(|ack| &*ack.id == id || &*ack.alert == id).cloned();
        let ack = found.ok_or_else(|| not_found("acknowledgement", id))?;
        self.acknowledgements.remove(&ack.alert);
        self.unsaved.insert(format!("ack/{}", ack.alert));
        self.changes.push(Change::Ended(What::Acknowledgement(ack.clone())));
        Ok(ack)
    }

    /// The alert is over, and its acknowledgement with it. The owner knows: this is no change of ours.
    pub fn recovered(&mut self, alert: &str) {
        if self.acknowledgements.remove(alert).is_some() {
            self.unsaved.insert(format!("ack/{alert}"));
        }
    }

    pub fn silence(
        &mut self,
        now: Now,
        request: SilenceRequest,
        by: Option<&str>,
    ) -> Result<Arc<Silence>, Fault> {
        let zone = self.zones.get(None).unwrap_or(TimeZone::UTC);
        let until = resolve_until(request.until, "until", now.wall, &zone)?;
        if until <= now.wall {
            return Err(over("until"));
        }
        if self.silences.len() >= limits::SILENCES {
            return Err(full("silences", limits::SILENCES));
        }
        let silence = Silence {
            id: self.new_id('s'),
            matcher: request.matcher,
            by: by.map(str::to_owned),
            reason: request.reason,
            since: to_millis(now.wall),
            until: to_millis(until),
        };
        let made = self.put_silence(now, silence);
        self.unsaved.insert(format!("silence/{}", made.id));
        self.changes.push(Change::Began(What::Silence(made.clone())));
        self.check_invariants();
        Ok(made)
    }

    pub fn unsilence(&mut self, id: &str) -> Result<Arc<Silence>, Fault> {
        let found = self.silences.remove(id).ok_or_else(|| not_found("silence", id))?;
        self.unsaved.insert(format!("silence/{id}"));
        self.changes.push(Change::Ended(What::Silence(found.silence.clone())));
        Ok(found.silence)
    }

    /// Plans a window through the API.
    pub fn plan(
        &mut self,
        now: Now,
        request: MaintenanceRequest,
        by: Option<&str>,
    ) -> Result<Arc<Maintenance>, Fault> {
        let zone = self.zones.get(request.zone.as_deref());
        let zone = zone.ok_or_else(|| unknown_zone(&request.zone))?;
        let schedule = match request.when {
            When::Once { start, end } => {
                let start = start.map(|at| resolve(at, "start", &zone)).transpose()?;
                let start = to_millis(start.unwrap_or(now.wall));
                let end = to_millis(resolve_until(end, "end", start, &zone)?);
                if end <= now.wall && start < end {
                    return Err(over("end"));
                }
                Schedule::once(start, end)
            }
            When::Repeated { repeat, days, start, end } => {
                Schedule::repeated(repeat, &days, start, end, &zone)
            }
        };
        let schedule = schedule.map_err(fault_of)?;
        if self.planned(Origin::Api) >= limits::MAINTENANCE {
            return Err(full("maintenance windows", limits::MAINTENANCE));
        }
        let maintenance = Maintenance {
            id: self.new_id('m'),
            hosts: request.hosts,
            tags: request.tags,
            groups: request.groups,
            schedule,
            zone: request.zone,
            reason: request.reason,
            by: by.map(str::to_owned),
            origin: Origin::Api,
        };
        let made = Arc::new(maintenance);
        let mut entry = Entry::new(now, made.clone(), Course::default());
        self.unsaved.insert(entry.key());
        self.changes.extend(entry.turn(now));
        self.windows.insert((Origin::Api, made.id.clone()), entry);
        self.check_invariants();
        Ok(made)
    }

    /// Plans a host's own maintenance from now on, in place of one that it planned before; a length of zero
    /// ends that. Beyond `HOSTS_MAX` hosts nothing is planned.
    pub fn plan_own(&mut self, now: Now, host: &str, length: Duration, reason: &str) {
        let start = to_millis(now.wall);
        let Ok(schedule) = Schedule::once(start, to_millis(start + length)) else {
            if let Some(entry) = self.own.remove(host) {
                self.note_removed(entry);
            }
            return;
        };
        if self.own.len() >= limits::HOSTS_MAX && !self.own.contains_key(host) {
            return;
        }
        let maintenance = Maintenance {
            id: format!("{OWN}{host}").into(),
            hosts: vec![host.to_owned()],
            tags: Vec::new(),
            groups: Vec::new(),
            schedule,
            zone: None,
            reason: reason.to_owned(),
            by: Some(host.to_owned()),
            origin: Origin::Host,
        };
        let mut entry = match self.own.remove(host) {
            Some(mut entry) => {
                self.changes.extend(entry.follow(now, maintenance));
                entry
            }
            None => Entry::new(now, Arc::new(maintenance), Course::default()),
        };
        self.changes.extend(entry.turn(now));
        self.unsaved.insert(entry.key());
        self.own.insert(host.into(), entry);
        self.check_invariants();
    }

    /// Takes a window back, or ends it where it is running.
    pub fn end(&mut self, id: &str) -> Result<Arc<Maintenance>, Fault> {
        let found = match id.strip_prefix(OWN) {
            Some(host) => self.own.remove(host),
            None => self.windows.remove(&(Origin::Api, id.into())),
        };
        if let Some(entry) = found {
            return Ok(self.note_removed(entry));
        }
        if self.windows.contains_key(&(Origin::Config, id.into())) {
            let what = format!("the window {id:?} stands in the configuration");
            return Err(Fault::of(FaultKind::Configured, what)
                .hint("Change maintenance in hbd.yaml, and reload."));
        }
        Err(not_found("maintenance window", id))
    }

    /// The host is gone: what was about it alone goes too, without a word.
    pub fn forget_host(&mut self, host: &str) {
        if self.own.remove(host).is_some() {
            self.unsaved.insert(format!("host/{host}"));
        }
        let prefix = format!("{host}/");
        let from_prefix = self
            .acknowledgements
            .range::<str, _>((Bound::Included(prefix.as_str()), Bound::Unbounded));
        let alerts: Vec<Arc<str>> = from_prefix
            .map(|(alert, _)| alert.clone())
            .take_while(|alert| alert.starts_with(&prefix))
            .collect();
        for alert in alerts {
            self.recovered(&alert);
        }
    }

    /// Puts one in place of what the alert had.
    pub(super) fn put_acknowledgement(
        &mut self,
        now: Now,
        acknowledgement: Acknowledgement,
    ) -> Arc<Acknowledgement> {
        self.note_id(&acknowledgement.id);
        let made = Arc::new(acknowledgement);
        let span = made.until.map(|end| Span { start: made.since, end });
        let running = span.map(|span| Running::new(span, now));
        let held = Acknowledged { acknowledgement: made.clone(), running };
        self.acknowledgements.insert(made.alert.clone(), held);
        made
    }

    pub(super) fn put_silence(&mut self, now: Now, silence: Silence) -> Arc<Silence> {
        self.note_id(&silence.id);
        let made = Arc::new(silence);
        let running = Running::new(Span { start: made.since, end: made.until }, now);
        self.silences.insert(made.id.clone(), Silenced { silence: made.clone(), running });
        made
    }

    /// A window that was taken out: if it was running it has ended now.
    pub(super) fn note_removed(&mut self, entry: Entry) -> Arc<Maintenance> {
        self.unsaved.insert(entry.key());
        if entry.course.running().is_some() {
            self.changes.push(Change::Ended(What::Maintenance(entry.maintenance.clone())));
        }
        entry.maintenance
    }

    pub(super) fn planned(&self, origin: Origin) -> usize {
        self.windows.keys().filter(|(other, _)| *other == origin).count()
    }

    /// `s17`: never given twice, not after a restart either.
    fn new_id(&mut self, kind: char) -> Arc<str> {
        if self.odd.is_some_and(|odd| (self.next % 2 == 1) != odd) {
            self.next += 1;
        }
        let id = format!("{kind}{}", self.next);
        self.next += 1;
        self.unsaved.insert("next".to_owned());
        id.into()
    }

    pub(super) fn note_id(&mut self, id: &str) {
        if let Some(number) = id.get(1..).and_then(|digits| digits.parse::<u64>().ok()) {
            self.next = self.next.max(number.saturating_add(1));
        }
    }
}

fn resolve(moment: Moment, field: &'static str, zone: &TimeZone) -> Result<Wall, Fault> {
    match moment {
        Moment::At(at) => Ok(at),
        Moment::Local(date, time) => zone::instant_of(zone, date, time)
            .ok_or_else(|| Fault::new(field, "there is no such time")),
    }
}

fn resolve_until(
    until: Until,
    field: &'static str,
    from: Wall,
    zone: &TimeZone,
) -> Result<Wall, Fault> {
    match until {
        Until::Moment(moment) => resolve(moment, field, zone),
        Until::After(length) => Ok(from + length),
    }
}

fn over(field: &'static str) -> Fault {
    Fault::new(field, "that time is over").hint("Give a later one.")
}

fn not_found(what: &str, id: &str) -> Fault {
    Fault::of(FaultKind::NotFound, format!("there is no {what} {id:?}"))
}

fn full(what: &str, most: usize) -> Fault {
    Fault::of(FaultKind::Full, format!("there are {most} {what} already"))
        .hint("Take back some that are not needed any more.")
}
