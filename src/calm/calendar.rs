//! All that is quiet or will be, and the passing of time over it.
//!
//! The other parts of `impl Calendar` stand by subject: `planning` (what people and machines ask for) and
//! `keeping` (configuration, saving, restoring). Where one window is in its life stands in `course`.

use super::course::{Course, OVERTIME, Running, Turn};
use super::maintenance::{Maintenance, Origin};
use super::matcher::Target;
use super::saved::WindowRow;
use super::schedule::{Schedule, Span};
use super::silence::{Acknowledgement, Silence};
use super::zone::Zones;
use crate::limits;
use crate::time::{Duration, Mono, Now};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What the id of a host's own window begins with; no id of the configuration can hold a colon.
pub(super) const OWN: &str = "host:";

/// What keeps a target quiet: of several rules the one that lasts longest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quiet {
    /// Id of a running window.
    pub maintenance: Option<Arc<str>>,
    /// Id of a silence.
    pub silence: Option<Arc<str>>,
}

impl Quiet {
    /// Whether notices are held.
    pub fn is_quiet(&self) -> bool {
        self.maintenance.is_some() || self.silence.is_some()
    }
}

/// What changed: each of them comes once, in the order of time within one call.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    Began(What),
    /// By its time, or by somebody. The object says which hosts and alerts were covered.
    Ended(What),
}

#[derive(Clone, Debug, PartialEq)]
pub enum What {
    Maintenance(Arc<Maintenance>),
    Silence(Arc<Silence>),
    Acknowledgement(Arc<Acknowledgement>),
}

/// The contract: [`turn`](Calendar::turn) at each turn of the owner and not later than
/// [`poll_timeout`](Calendar::poll_timeout). In between [`quiet`](Calendar::quiet) answers as of the last
/// turn, so that a notice is either held and part of the catch-up, or goes out, and never both.
///
/// ```
/// use heartbeat::calm::{Calendar, SilenceRequest, Target, Zones};
/// use heartbeat::time::{Duration, Now};
/// let (mut calendar, now) = (Calendar::new(Zones::default()), Now::default());
/// let request = SilenceRequest::parse(br#"{"match":{"host":"web*"},"duration":"1h"}"#).unwrap();
/// calendar.silence(now, request, Some("alice")).unwrap();
/// let web = Target { host: "web1", ..Target::default() };
/// assert!(calendar.quiet(&web).is_quiet());
/// let later = now + Duration::from_secs(3600);
/// assert_eq!(calendar.turn(later).len(), 2); // It began, and it ended.
/// assert!(!calendar.quiet(&web).is_quiet());
/// ```
pub struct Calendar {
    pub(super) zones: Zones,
    pub(super) silences: BTreeMap<Arc<str>, Silenced>,
    /// By alert: one has at most one.
    pub(super) acknowledgements: BTreeMap<Arc<str>, Acknowledged>,
    /// Of the configuration and the API. They may have ids in common.
    pub(super) windows: BTreeMap<(Origin, Arc<str>), Entry>,
    /// What a host planned for itself, by its name.
    pub(super) own: BTreeMap<Arc<str>, Entry>,
    /// Number of the next id.
    pub(super) next: u64,
    /// Which numbers are this server's; `None`: all.
    pub(super) odd: Option<bool>,
    pub(super) changes: Vec<Change>,
    /// Keys of rows that are not as they were saved.
    pub(super) unsaved: BTreeSet<String>,
}

pub(super) struct Silenced {
    pub silence: Arc<Silence>,
    pub running: Running,
}

pub(super) struct Acknowledged {
    pub acknowledgement: Arc<Acknowledgement>,
    /// `None`: until it recovers.
    pub running: Option<Running>,
}

/// A window and where it stands.
pub(super) struct Entry {
    pub maintenance: Arc<Maintenance>,
    pub course: Course,
    /// Before this it is not dropped as missed: the wall clock may be ahead for a while.
    missed: Mono,
}

impl Entry {
    pub fn new(now: Now, maintenance: Arc<Maintenance>, course: Course) -> Entry {
        let left = match &maintenance.schedule {
            Schedule::Once(span) => span.end.since(now.wall),
            Schedule::Repeated(_) => Duration::ZERO,
        };
        Entry { maintenance, course, missed: now.mono + left + OVERTIME }
    }

    /// Whether nothing can come of it any more. A window of the configuration stays as long as it is there.
    fn is_over(&self, now: Now) -> bool {
        let Schedule::Once(span) = &self.maintenance.schedule else { return false };
        let has_run = self.course.ended().any(|ended| ended == *span);
        let was_missed = now.wall >= span.end && now.mono >= self.missed;
        self.maintenance.origin != Origin::Config
            && self.course.running().is_none()
            && (has_run || was_missed)
    }

    /// Takes a changed window in place of the one it has. What is running goes on where that covers `now` too;
    /// for other hosts it is another window.
    pub fn follow(&mut self, now: Now, maintenance: Maintenance) -> Vec<Change> {
        let maintenance = Arc::new(maintenance);
        let old = std::mem::replace(&mut self.maintenance, maintenance.clone());
        self.missed = Entry::new(now, maintenance.clone(), Course::default()).missed;
        let was_running = self.course.running().is_some();
        let turned = self.course.follow(&maintenance.schedule, now);
        let is_running = self.course.running().is_some();
        let mut changes = Vec::new();
        if was_running && (turned == Some(Turn::Ended) || !old.has_scope_of(&maintenance)) {
            changes.push(Change::Ended(What::Maintenance(old)));
        }
        if is_running && (!was_running || !changes.is_empty()) {
            changes.push(Change::Began(What::Maintenance(maintenance)));
        }
        changes
    }

    pub fn row(&self) -> WindowRow {
        WindowRow::of(&self.maintenance, &self.course)
    }

    /// Key of its row.
    pub fn key(&self) -> String {
        let id = self.maintenance.id.as_ref();
        let name = id.strip_prefix(OWN).unwrap_or(id);
        format!("{}/{name}", self.maintenance.origin.as_str())
    }

    pub fn turn(&mut self, now: Now) -> Option<Change> {
        let what = || What::Maintenance(self.maintenance.clone());
        match self.course.turn(&self.maintenance.schedule, now)? {
            Turn::Began => Some(Change::Began(what())),
            Turn::Ended => Some(Change::Ended(what())),
        }
    }
}

impl Calendar {
    /// Without rules; `zones` as in [`configure`](Calendar::configure).
    pub fn new(zones: Zones) -> Calendar {
        Calendar {
            zones,
            silences: BTreeMap::new(),
            acknowledgements: BTreeMap::new(),
            windows: BTreeMap::new(),
            own: BTreeMap::new(),
            next: 1,
            odd: None,
            changes: Vec::new(),
            unsaved: BTreeSet::new(),
        }
    }

    /// What keeps a target quiet, as of the last turn.
    pub fn quiet(&self, target: &Target<'_>) -> Quiet {
        let own = self.own.get(target.host);
        let maintenance = self
            .windows
            .values()
            .chain(own)
            .filter_map(|entry| Some((entry.course.running()?.end, &entry.maintenance)))
            .filter(|(_, maintenance)| maintenance.covers(target))
            .max_by_key(|(end, _)| *end);
        let silence = self
            .silences
            .values()
            .map(|held| &held.silence)
            .filter(|silence| silence.matcher.matches(target))
            .max_by_key(|silence| silence.until);
        Quiet {
            maintenance: maintenance.map(|(_, maintenance)| maintenance.id.clone()),
            silence: silence.map(|silence| silence.id.clone()),
        }
    }

    /// Of an alert (`H/PATH`), as of the last turn.
    pub fn acknowledged(&self, alert: &str) -> Option<&Arc<Acknowledgement>> {
        self.acknowledgements.get(alert).map(|held| &held.acknowledgement)
    }

    /// In the order of their ids.
    pub fn silences(&self) -> impl Iterator<Item = &Arc<Silence>> {
        self.silences.values().map(|held| &held.silence)
    }

    /// In the order of their alerts.
    pub fn acknowledgements(&self) -> impl Iterator<Item = &Arc<Acknowledgement>> {
        self.acknowledgements.values().map(|held| &held.acknowledgement)
    }

    /// Each with the occurrence that is running.
    pub fn maintenances(&self) -> impl Iterator<Item = (&Arc<Maintenance>, Option<Span>)> {
        let entries = self.windows.values().chain(self.own.values());
        entries.map(|entry| (&entry.maintenance, entry.course.running()))
    }

    /// Brings everything to `now`; says what began and ended since the last call.
    pub fn turn(&mut self, now: Now) -> Vec<Change> {
        for entry in self.windows.values_mut().chain(self.own.values_mut()) {
            if let Some(change) = entry.turn(now) {
                self.unsaved.insert(entry.key());
                self.changes.push(change);
            }
        }
        self.drop_windows(now);
        self.expire_silences(now);
        self.expire_acknowledgements(now);
        self.check_invariants();
        std::mem::take(&mut self.changes)
    }

    /// When to take a turn next at the latest; `None` where nothing will change by itself.
    #[must_use]
    pub fn poll_timeout(&self, now: Now) -> Option<Mono> {
        if !self.changes.is_empty() {
            return Some(now.mono);
        }
        let windows = self.windows.values().chain(self.own.values());
        let windows = windows.filter_map(|entry| entry.course.due(now));
        let silences = self.silences.values().map(|held| held.running.due(now));
        let acks = self.acknowledgements.values().filter_map(|held| Some(held.running?.due(now)));
        windows.chain(silences).chain(acks).min()
    }

    fn drop_windows(&mut self, now: Now) {
        let unsaved = &mut self.unsaved;
        let mut keep = |entry: &Entry| {
            let is_over = entry.is_over(now);
            if is_over {
                unsaved.insert(entry.key());
            }
            !is_over
        };
        self.windows.retain(|_, entry| keep(entry));
        self.own.retain(|_, entry| keep(entry));
    }

    fn expire_silences(&mut self, now: Now) {
        let (unsaved, changes) = (&mut self.unsaved, &mut self.changes);
        self.silences.retain(|id, held| {
            let is_over = held.running.is_over(now);
            if is_over {
                unsaved.insert(format!("silence/{id}"));
                changes.push(Change::Ended(What::Silence(held.silence.clone())));
            }
            !is_over
        });
    }

    fn expire_acknowledgements(&mut self, now: Now) {
        let (unsaved, changes) = (&mut self.unsaved, &mut self.changes);
        self.acknowledgements.retain(|alert, held| {
            let is_over = held.running.is_some_and(|running| running.is_over(now));
            if is_over {
                unsaved.insert(format!("ack/{alert}"));
                changes.push(Change::Ended(What::Acknowledgement(held.acknowledgement.clone())));
            }
            !is_over
        });
    }

    pub(super) fn check_invariants(&self) {
        if cfg!(debug_assertions) {
            assert!(self.silences.len() <= limits::SILENCES);
            assert!(self.acknowledgements.len() <= limits::ACKNOWLEDGEMENTS);
            assert!(self.own.len() <= limits::HOSTS_MAX);
            assert!(self.planned(Origin::Api) <= limits::MAINTENANCE);
        }
    }
}
