//! What one server of a pair has another take over: silences, acknowledgements and the windows of the API, by the
//! keys of their rows. What the configuration says and what a host plans for itself each server knows by itself.

use super::calendar::{Calendar, Change, Entry, What};
use super::course::Course;
use super::fault::Fault;
use super::keeping::{invalid, room};
use super::maintenance::Origin;
use super::saved::{AckRow, SilenceRow, WindowRow};
use crate::limits;
use crate::time::Now;
use std::sync::Arc;

impl Calendar {
    /// Two servers that share what people plan number it apart: one takes the odd numbers, the other the even ones.
    pub fn number(&mut self, odd: bool) {
        self.odd = Some(odd);
    }

    /// Keys of all rows that are shared.
    pub fn shared_keys(&self) -> Vec<String> {
        let silences = self.silences.keys().map(|id| format!("silence/{id}"));
        let acks = self.acknowledgements.keys().map(|alert| format!("ack/{alert}"));
        let windows = self.windows.keys().filter(|(origin, _)| *origin == Origin::Api);
        let windows = windows.map(|(origin, id)| format!("{}/{id}", origin.as_str()));
        silences.chain(acks).chain(windows).collect()
    }

    /// Whether the row of a key is shared.
    pub fn is_shared(key: &str) -> bool {
        let kind = key.split_once('/').map_or("", |(kind, _)| kind);
        kind == "silence" || kind == "ack" || kind == Origin::Api.as_str()
    }

    /// The row as the other server takes it; `None`: there is none any more.
    pub fn shared(&self, key: &str) -> Option<String> {
        let (kind, name) = key.split_once('/')?;
        match kind {
            "silence" => {
                serde_json::to_string(&SilenceRow::of(&self.silences.get(name)?.silence)).ok()
            }
            "ack" => {
                let held = self.acknowledgements.get(name)?;
                serde_json::to_string(&AckRow::of(&held.acknowledgement)).ok()
            }
            _ => {
                let entry = self.windows.get(&(Origin::Api, name.into()))?;
                let row = WindowRow::of(&entry.maintenance, &Course::default());
                serde_json::to_string(&row).ok()
            }
        }
    }

    /// Takes a row of the other server, or that it is gone there. One that is as it was changes nothing.
    ///
    /// # Errors
    /// Why it is left out: it cannot be read, its zone is not known here, or there is no room.
    pub fn adopt(&mut self, now: Now, key: &str, text: Option<&str>) -> Result<(), Fault> {
        if !Calendar::is_shared(key) || self.shared(key).as_deref() == text {
            return Ok(());
        }
        let (kind, name) = key.split_once('/').unwrap_or((key, ""));
        let Some(text) = text else {
            self.take_out(kind, name);
            return Ok(());
        };
        match kind {
            "silence" => self.adopt_silence(now, name, text)?,
            "ack" => self.adopt_ack(now, name, text)?,
            _ => self.adopt_window(now, name, text)?,
        }
        self.unsaved.insert(key.to_owned());
        self.check_invariants();
        Ok(())
    }

    /// It is gone on the other server; here it may be already.
    fn take_out(&mut self, kind: &str, name: &str) {
        let gone = match kind {
            "silence" => self.unsilence(name).is_ok(),
            "ack" => self.unacknowledge(name).is_ok(),
            _ => self.end(name).is_ok(),
        };
        log::debug!("gone on the other server: {kind} {name} was_here={gone}");
    }

    fn adopt_silence(&mut self, now: Now, id: &str, text: &str) -> Result<(), Fault> {
        let row: SilenceRow = serde_json::from_str(text).map_err(unreadable)?;
        let silence = row.silence(id)?;
        if silence.until <= now.wall {
            return Ok(());
        }
        if !self.silences.contains_key(id) {
            room(self.silences.len(), limits::SILENCES)?;
        }
        let made = self.put_silence(now, silence);
        self.changes.push(Change::Began(What::Silence(made)));
        Ok(())
    }

    fn adopt_ack(&mut self, now: Now, alert: &str, text: &str) -> Result<(), Fault> {
        let row: AckRow = serde_json::from_str(text).map_err(unreadable)?;
        let ack = row.acknowledgement(alert);
        if ack.until.is_some_and(|until| until <= now.wall) {
            return Ok(());
        }
        if !self.acknowledgements.contains_key(alert) {
            room(self.acknowledgements.len(), limits::ACKNOWLEDGEMENTS)?;
        }
        let made = self.put_acknowledgement(now, ack);
        self.changes.push(Change::Began(What::Acknowledgement(made)));
        Ok(())
    }

    fn adopt_window(&mut self, now: Now, id: &str, text: &str) -> Result<(), Fault> {
        let row: WindowRow = serde_json::from_str(text).map_err(unreadable)?;
        let maintenance = row.maintenance(Origin::Api, id, &self.zones)?;
        self.note_id(id);
        let key = (Origin::Api, Arc::from(id));
        if let Some(entry) = self.windows.get_mut(&key) {
            self.changes.extend(entry.follow(now, maintenance));
            return Ok(());
        }
        room(self.planned(Origin::Api), limits::MAINTENANCE)?;
        let mut entry = Entry::new(now, Arc::new(maintenance), Course::default());
        self.changes.extend(entry.turn(now));
        self.windows.insert(key, entry);
        Ok(())
    }
}

fn unreadable(error: serde_json::Error) -> Fault {
    invalid(format!("what the other server shares is unreadable: {error}"))
}
