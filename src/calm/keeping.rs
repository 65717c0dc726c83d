//! The calendar beyond one run: windows of the configuration, rows of the store.

use super::calendar::{Calendar, Entry, OWN};
use super::course::Course;
use super::fault::{Fault, FaultKind};
use super::maintenance::{Maintenance, Origin};
use super::saved::{AckRow, Saved, SilenceRow, WindowRow};
use super::schedule::{Repeated, Schedule};
use super::zone::Zones;
use crate::config::server::Window;
use crate::limits;
use crate::time::Now;
use std::collections::BTreeSet;
use std::sync::Arc;

impl Calendar {
    /// Takes the windows of the configuration, at the start and after each reload; `zones` with them, since
    /// the server's own zone is a key too. A window that is running goes on if it still covers `now`. Gives
    /// back why a window was left out; what was running of it is ended.
    pub fn configure(
        &mut self,
        now: Now,
        zones: Zones,
        windows: &[Window],
    ) -> Vec<(String, Fault)> {
        self.zones = zones;
        let mut faults = Vec::new();
        let known = self.windows.keys().filter(|(origin, _)| *origin == Origin::Config);
        let mut gone: BTreeSet<(Origin, Arc<str>)> = known.cloned().collect();
        for window in windows {
            match Maintenance::of_window(window, &self.zones) {
                Ok(maintenance) => {
                    gone.remove(&(Origin::Config, maintenance.id.clone()));
                    self.put_configured(now, maintenance);
                }
                Err(fault) => faults.push((window.id.clone(), fault)),
            }
        }
        for key in gone {
            if let Some(entry) = self.windows.remove(&key) {
                self.note_removed(entry);
            }
        }
        self.follow_zone(now);
        self.check_invariants();
        faults
    }

    /// Takes a row that was saved, after [`configure`](Calendar::configure). A window of the configuration
    /// takes its course from it alone. Says why a row is left out.
    pub fn restore(&mut self, now: Now, key: &str, json: &[u8]) -> Result<(), Fault> {
        let unreadable = |_| invalid(format!("the row {key} is unreadable"));
        let (kind, name) = key.split_once('/').unwrap_or((key, ""));
        match kind {
            "next" => {
                let next: u64 = serde_json::from_slice(json).map_err(unreadable)?;
                self.next = self.next.max(next);
            }
            "silence" => {
                let row: SilenceRow = serde_json::from_slice(json).map_err(unreadable)?;
                let silence = row.silence(name)?;
                room(self.silences.len(), limits::SILENCES)?;
                self.put_silence(now, silence);
            }
            "ack" => {
                let row: AckRow = serde_json::from_slice(json).map_err(unreadable)?;
                room(self.acknowledgements.len(), limits::ACKNOWLEDGEMENTS)?;
                self.put_acknowledgement(now, row.acknowledgement(name));
            }
            _ => {
                let origin = Origin::ALL.into_iter().find(|origin| origin.as_str() == kind);
                let origin = origin.ok_or_else(|| invalid(format!("no row is called {key}")))?;
                let row: WindowRow = serde_json::from_slice(json).map_err(unreadable)?;
                self.restore_window(now, origin, name, row)?;
            }
        }
        self.check_invariants();
        Ok(())
    }

    /// Rows that changed since the last call, in the order of their keys.
    pub fn take_unsaved(&mut self) -> Vec<Saved> {
        let keys = std::mem::take(&mut self.unsaved);
        keys.into_iter().map(|key| Saved { json: self.row(&key), key }).collect()
    }

    fn put_configured(&mut self, now: Now, maintenance: Maintenance) {
        let key = (Origin::Config, maintenance.id.clone());
        let Some(entry) = self.windows.get_mut(&key) else {
            // It begins with the next turn, so that a restored course is not begun twice.
            let entry = Entry::new(now, Arc::new(maintenance), Course::default());
            self.windows.insert(key, entry);
            return;
        };
        if *entry.maintenance != maintenance {
            self.changes.extend(entry.follow(now, maintenance));
            self.unsaved.insert(entry.key());
        }
    }

    /// Windows of the API that go by the server's own zone go by the new one.
    fn follow_zone(&mut self, now: Now) {
        let Some(local) = self.zones.get(None) else { return };
        for entry in self.windows.values_mut() {
            let Schedule::Repeated(repeated) = &entry.maintenance.schedule else { continue };
            if entry.maintenance.zone.is_some() || repeated.zone == local {
                continue;
            }
            let schedule = Schedule::Repeated(Repeated { zone: local.clone(), ..repeated.clone() });
            let moved = Maintenance { schedule, ..(*entry.maintenance).clone() };
            self.changes.extend(entry.follow(now, moved));
            self.unsaved.insert(entry.key());
        }
    }

    fn restore_window(
        &mut self,
        now: Now,
        origin: Origin,
        name: &str,
        row: WindowRow,
    ) -> Result<(), Fault> {
        let course = Course::restored(row.running(), row.ended(), now);
        let id = if origin == Origin::Host { format!("{OWN}{name}") } else { name.to_owned() };
        let saved = row.maintenance(origin, &id, &self.zones);
        if origin == Origin::Config {
            self.restore_configured(now, &id, saved, course);
            return Ok(());
        }
        let entry = Entry::new(now, Arc::new(saved?), course);
        if origin == Origin::Host {
            room(self.own.len(), limits::HOSTS_MAX)?;
            self.own.insert(name.into(), entry);
        } else {
            room(self.planned(Origin::Api), limits::MAINTENANCE)?;
            self.note_id(&id);
            self.windows.insert((origin, id.into()), entry);
        }
        Ok(())
    }

    /// Of a window that is still in the file only the course is taken; what is gone from it ends now.
    fn restore_configured(
        &mut self,
        now: Now,
        id: &str,
        saved: Result<Maintenance, Fault>,
        course: Course,
    ) {
        let Some(entry) = self.windows.get_mut(&(Origin::Config, id.into())) else {
            self.unsaved.insert(format!("config/{id}"));
            if let Ok(saved) = saved {
                self.note_removed(Entry::new(now, Arc::new(saved), course));
            }
            return;
        };
        entry.course = course;
        let Ok(saved) = saved else { return };
        let written = std::mem::replace(&mut entry.maintenance, Arc::new(saved));
        if *written != *entry.maintenance {
            self.changes.extend(entry.follow(now, (*written).clone()));
            self.unsaved.insert(entry.key());
        }
    }

    /// The row of a key as it is now; `None` where there is nothing of it any more.
    fn row(&self, key: &str) -> Option<Vec<u8>> {
        let (kind, name) = key.split_once('/').unwrap_or((key, ""));
        let json = match kind {
            "next" => serde_json::to_vec(&self.next),
            "silence" => serde_json::to_vec(&SilenceRow::of(&self.silences.get(name)?.silence)),
            "ack" => {
                let held = self.acknowledgements.get(name)?;
                serde_json::to_vec(&AckRow::of(&held.acknowledgement))
            }
            "host" => serde_json::to_vec(&self.own.get(name)?.row()),
            _ => {
                let origin = Origin::ALL.into_iter().find(|origin| origin.as_str() == kind)?;
                serde_json::to_vec(&self.windows.get(&(origin, name.into()))?.row())
            }
        };
        json.ok()
    }
}

pub(super) fn invalid(what: String) -> Fault {
    Fault::of(FaultKind::Invalid, what)
}

pub(super) fn room(length: usize, most: usize) -> Result<(), Fault> {
    if length < most {
        return Ok(());
    }
    Err(Fault::of(FaultKind::Full, format!("there are {most} already")))
}
