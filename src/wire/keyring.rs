//! The server's keys: which host each belongs to, found by its id; and the file they are kept in
//! (`keys_file`, PROTOCOL C2).
//!
//! At most two keys a host. Never reads or writes the file itself.

use super::key::{Key, KeyId};
use crate::limits;
use crate::text;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;

/// Keys that a host may have: the one in use, and the one that takes its place.
pub const KEYS_PER_HOST: usize = 2;

/// A key and whose it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Slot {
    pub key: Key,
    /// Checked and lower-cased.
    pub host: Arc<str>,
    /// Unix seconds.
    pub created: f64,
}

/// All keys, in the order of the file.
#[derive(Clone, Debug, Default)]
pub struct Keyring {
    slots: Vec<Slot>,
    by_id: HashMap<KeyId, usize>,
}

impl PartialEq for Keyring {
    fn eq(&self, other: &Keyring) -> bool {
        self.slots == other.slots
    }
}

/// The file: `{"version":1,"keys":[{"host":"web1","key":"hb1-…","created":1764000000}]}`.
#[derive(Serialize, Deserialize)]
struct File {
    version: u32,
    keys: Vec<Row>,
}

#[derive(Serialize, Deserialize)]
struct Row {
    host: String,
    key: String,
    #[serde(default)]
    created: f64,
}

impl Keyring {
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The place of a key among the slots.
    pub fn find(&self, id: KeyId) -> Option<usize> {
        self.by_id.get(&id).copied()
    }

    pub fn of_host<'a>(&'a self, host: &'a str) -> impl Iterator<Item = &'a Slot> {
        self.slots.iter().filter(move |slot| &*slot.host == host)
    }

    /// Takes a key in.
    ///
    /// # Errors
    /// Why it cannot be, as a clause that needs no more words.
    pub fn add(&mut self, slot: Slot) -> Result<(), String> {
        if self.slots.len() >= limits::KEYS_MAX {
            return Err(format!("there are {} keys, the most there can be", limits::KEYS_MAX));
        }
        if self.of_host(&slot.host).count() >= KEYS_PER_HOST {
            return Err(format!("{} has {KEYS_PER_HOST} keys, the most there can be", slot.host));
        }
        if self.by_id.contains_key(&slot.key.id()) {
            return Err(format!("the key {} is there twice", slot.key.id()));
        }
        self.by_id.insert(slot.key.id(), self.slots.len());
        self.slots.push(slot);
        Ok(())
    }

    /// Takes a key out; whether it was there.
    pub fn remove(&mut self, id: KeyId) -> bool {
        let Some(at) = self.find(id) else { return false };
        self.slots.remove(at);
        self.by_id = self.slots.iter().enumerate().map(|(at, slot)| (slot.key.id(), at)).collect();
        true
    }

    /// Reads the file's text.
    ///
    /// # Errors
    /// What is wrong and where, without any key in it.
    pub fn parse(text: &str) -> Result<Keyring, String> {
        let mut ring = Keyring::default();
        if text.trim().is_empty() {
            return Ok(ring);
        }
        // The words of a wrong type quote what was found; the place alone says enough.
        let file: File = serde_json::from_str(text).map_err(|error| {
            let what = if error.is_data() {
                "does not have the form of a key file"
            } else {
                "is not JSON"
            };
            format!("{}:{}: {what}", error.line(), error.column())
        })?;
        if file.version != 1 {
            return Err(format!("version: {} is not known here, 1 is", file.version));
        }
        for (place, row) in file.keys.into_iter().enumerate() {
            let at = |what: String| format!("keys[{place}]: {what}");
            let host = text::parse_name(&row.host)
                .map_err(|error| at(format!("host: the name {error}")))?;
            let key = Key::parse(&row.key)
                .map_err(|error| at(format!("key: the key of {host} {error}")))?;
            let host = Arc::from(&*host);
            ring.add(Slot { key, host, created: row.created }).map_err(at)?;
        }
        Ok(ring)
    }

    /// The file's text.
    pub fn render(&self) -> String {
        let row = |slot: &Slot| Row {
            host: slot.host.to_string(),
            key: slot.key.render(),
            created: slot.created,
        };
        let file = File { version: 1, keys: self.slots.iter().map(row).collect() };
        // Texts and finite numbers can always be written.
        serde_json::to_string_pretty(&file).unwrap_or_default() + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(host: &str, id: u8) -> Slot {
        Slot { key: Key::new(KeyId([id; 8]), [id; 32]), host: host.into(), created: 5.0 }
    }

    #[test]
    fn keyring_reads_back_what_it_wrote_and_finds_by_id() {
        let mut ring = Keyring::default();
        for (host, id) in [("a", 1), ("b", 2), ("a", 3)] {
            assert_eq!(ring.add(slot(host, id)), Ok(()));
        }
        assert!(ring.add(slot("a", 4)).unwrap_err().contains("has 2 keys"));
        assert!(ring.add(slot("c", 2)).unwrap_err().contains("twice"));
        assert_eq!(Keyring::parse(&ring.render()), Ok(ring.clone()));
        assert!(ring.remove(KeyId([1; 8])) && !ring.remove(KeyId([1; 8])));
        assert_eq!(ring.find(KeyId([3; 8])), Some(1));
        assert_eq!(ring.of_host("a").count(), 1);
        assert_eq!(Keyring::parse(" \n"), Ok(Keyring::default()));
    }

    #[test]
    fn h12_file_at_fault_is_told_without_a_secret() {
        let key = Key::new(KeyId([1; 8]), [2; 32]).render();
        let mistyped = format!("{}{}", &key[..59], if key.ends_with('A') { "B" } else { "A" });
        let table = [
            ("{".to_owned(), "is not JSON"),
            (format!(r#"{{"version":1,"keys":["{key}"]}}"#), "does not have the form"),
            (r#"{"version":2,"keys":[]}"#.to_owned(), "2 is not known here"),
            (format!(r#"{{"version":1,"keys":[{{"host":"a b","key":"{key}"}}]}}"#), "the name"),
            (
                format!(r#"{{"version":1,"keys":[{{"host":"a","key":"{mistyped}"}}]}}"#),
                "keys[0]: key: the key of a has a wrong checksum",
            ),
        ];
        for (text, want) in table {
            let error = Keyring::parse(&text).unwrap_err();
            assert!(error.contains(want), "{error}");
            assert!(!error.contains("hb1-"), "{error}");
        }
    }
}
