//! One streaming pass over JSON with a budget: depth, values and keys, leaves, lengths (THREATS
//! U6).
//!
//! Collects the leaves of plugin data on its way. Builds no tree, so hostile JSON costs time in
//! proportion to its bytes and no memory of its own.

use super::Reject;
use super::arena::{ARENA_BYTES, Arena};
use super::message::{Leaf, LeafValue};
use crate::limits;
use crate::text::cut;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::fmt::Write as _;

/// What one datagram may still use, and what was found in it so far.
pub(super) struct Budget<'a> {
    pub arena: Arena<'a>,
    pub leaves: &'a mut Vec<Leaf<'a>>,
    pub paths: &'a mut Paths,
    /// The last key inside of plugin data that has no escapes, and the depth of its object.
    pub last_key: Option<(&'a str, usize)>,
    pub nodes: usize,
    pub strings_cut: u32,
    /// Why the visitor stopped; serde's own errors carry text only.
    pub fault: Option<Reject>,
}

impl<'a> Budget<'a> {
    /// Forgets what was counted and collected, but not what was handed out of the arena.
    pub fn reset(&mut self) {
        self.leaves.clear();
        self.paths.clear();
        self.nodes = 0;
        self.strings_cut = 0;
        self.fault = None;
    }

    /// Walks one complete JSON value whose containers begin at `depth`. With `collect` its leaves
    /// are kept.
    pub fn walk(&mut self, text: &'a str, depth: usize, collect: bool) -> Result<(), Reject> {
        self.paths.clear();
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let walked = Walk { budget: &mut *self, depth, collect }.deserialize(&mut deserializer);
        walked.map_err(|_| self.reason())
    }

    /// Why the last pass failed.
    pub fn reason(&mut self) -> Reject {
        self.fault.take().unwrap_or(Reject::BadJson)
    }

    /// Counts one value or key.
    pub fn node<E: Error>(&mut self) -> Result<(), E> {
        self.nodes += 1;
        if self.nodes > limits::JSON_NODES {
            return Err(self.refuse(Reject::TooManyNodes));
        }
        Ok(())
    }

    /// Notes the reason and gives the error that stops serde.
    #[cold]
    pub fn refuse<E: Error>(&mut self, reason: Reject) -> E {
        self.fault = Some(reason);
        E::custom("")
    }

    fn leaf<E: Error>(&mut self, value: LeafValue<'a>) -> Result<(), E> {
        if self.leaves.len() >= limits::LEAVES_PER_MSG {
            return Err(self.refuse(Reject::TooManyLeaves));
        }
        if !self.paths.keep() {
            return Err(self.refuse(Reject::TooManyLeaves));
        }
        self.leaves.push(Leaf { path: "", value });
        Ok(())
    }

    /// Gives the leaves from `first` on, which were collected since the paths were last cleared, their paths.
    pub fn name_leaves(&mut self, first: usize) -> Result<(), Reject> {
        let all = self.arena.copy(&self.paths.kept).ok_or(Reject::TooManyLeaves)?;
        let mut from = 0;
        for (leaf, end) in self.leaves.iter_mut().skip(first).zip(&self.paths.ends) {
            leaf.path = all.get(from..*end).ok_or(Reject::TooManyLeaves)?;
            from = *end;
        }
        self.paths.clear();
        Ok(())
    }
}

/// The paths of the leaves of one data object, one behind the other: they are copied and looked through as text once
/// for all of them.
#[derive(Default)]
pub(super) struct Paths {
    /// The path to where the walk is.
    here: String,
    kept: String,
    /// Where each path ends in `kept`.
    ends: Vec<usize>,
}

impl Paths {
    pub fn clear(&mut self) {
        self.here.clear();
        self.kept.clear();
        self.ends.clear();
    }

    /// Keeps the path as it is; false where there is no room for it.
    fn keep(&mut self) -> bool {
        let fits = self.kept.len() + self.here.len() <= ARENA_BYTES;
        if fits {
            self.kept.push_str(&self.here);
            self.ends.push(self.kept.len());
        }
        fits
    }
}

/// Visits one value. `depth` is the depth a container here would have; the message itself has 1.
pub(super) struct Walk<'b, 'a> {
    pub budget: &'b mut Budget<'a>,
    pub depth: usize,
    pub collect: bool,
}

impl<'a> Walk<'_, 'a> {
    fn scalar<E: Error>(self, value: LeafValue<'a>) -> Result<(), E> {
        self.budget.node()?;
        if self.collect { self.budget.leaf(value) } else { Ok(()) }
    }

    fn enter<E: Error>(&mut self) -> Result<(), E> {
        if self.depth > limits::JSON_DEPTH {
            return Err(self.budget.refuse(Reject::TooDeep));
        }
        self.budget.node()
    }
}

impl<'a> DeserializeSeed<'a> for Walk<'_, 'a> {
    type Value = ();
    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Walk<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.scalar(LeafValue::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.scalar(LeafValue::Number(value as f64))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.scalar(LeafValue::Number(value as f64))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.scalar(LeafValue::Number(value))
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.scalar(LeafValue::Null)
    }

    fn visit_borrowed_str<E: Error>(self, value: &'a str) -> Result<(), E> {
        if self.collect && value.len() > limits::STR_MAX {
            self.budget.strings_cut += 1;
        }
        self.scalar(LeafValue::Text(cut(value, limits::STR_MAX)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        if !self.collect {
            return self.scalar(LeafValue::Null);
        }
        if value.len() > limits::STR_MAX {
            self.budget.strings_cut += 1;
        }
        match self.budget.arena.copy(cut(value, limits::STR_MAX)) {
            Some(kept) => self.scalar(LeafValue::Text(kept)),
            None => Err(self.budget.refuse(Reject::TooManyLeaves)),
        }
    }

    fn visit_seq<A: SeqAccess<'a>>(mut self, mut items: A) -> Result<(), A::Error> {
        self.enter()?;
        let outer = self.budget.paths.here.len();
        let mut index = 0u32;
        loop {
            if self.collect {
                let dot = if outer == 0 { "" } else { "." };
                // Writing to a String cannot fail.
                let _ = write!(self.budget.paths.here, "{dot}{index}");
            }
            let item =
                Walk { budget: &mut *self.budget, depth: self.depth + 1, collect: self.collect };
            let more = items.next_element_seed(item)?;
            self.budget.paths.here.truncate(outer);
            if more.is_none() {
                return Ok(());
            }
            index += 1;
        }
    }

    fn visit_map<A: MapAccess<'a>>(mut self, mut members: A) -> Result<(), A::Error> {
        self.enter()?;
        let outer = self.budget.paths.here.len();
        loop {
            let key = Key { budget: &mut *self.budget, depth: self.depth, collect: self.collect };
            if members.next_key_seed(key)?.is_none() {
                return Ok(());
            }
            let value =
                Walk { budget: &mut *self.budget, depth: self.depth + 1, collect: self.collect };
            members.next_value_seed(value)?;
            self.budget.paths.here.truncate(outer);
        }
    }
}

/// Visits a key and, when collecting, appends it to the path.
struct Key<'b, 'a> {
    budget: &'b mut Budget<'a>,
    depth: usize,
    collect: bool,
}

impl<'a> DeserializeSeed<'a> for Key<'_, 'a> {
    type Value = ();
    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'a> for Key<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E: Error>(self, key: &'a str) -> Result<(), E> {
        self.budget.last_key = Some((key, self.depth));
        self.visit_str(key)
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<(), E> {
        if key.len() > limits::KEY_MAX {
            return Err(self.budget.refuse(Reject::KeyTooLong));
        }
        self.budget.node()?;
        if self.collect {
            if !self.budget.paths.here.is_empty() {
                self.budget.paths.here.push('.');
            }
            self.budget.paths.here.push_str(key);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Datagram, Decoder, Message};
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    fn tree() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-1e9f64..1e9).prop_map(Value::from),
            "\\PC{0,12}|[\\n\"\\\\\\x01]{1,4}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                members(inner),
            ]
        })
    }

    fn members(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
        let members = proptest::collection::btree_map("[a-z/\"é]{1,6}", value, 0..6);
        members.prop_map(|members| Value::from(members.into_iter().collect::<Map<_, _>>()))
    }

    fn leaves<'v>(value: &'v Value, path: &str, found: &mut Vec<(String, &'v Value)>) {
        let join = |key: &str| {
            if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
        };
        match value {
            Value::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    leaves(item, &join(&i.to_string()), found);
                }
            }
            Value::Object(members) => {
                members.iter().for_each(|(key, member)| leaves(member, &join(key), found));
            }
            leaf => found.push((path.to_owned(), leaf)),
        }
    }

    proptest! {
        #[test]
        fn leaves_are_those_of_the_parsed_tree(data in members(tree())) {
            let message = json!({"ID": "PLG", "name": "a", "plugin": "p", "data": data});
            let text = message.to_string();
            // Parsed again, so that both have read the same digits.
            let parsed: Value = serde_json::from_str(&text).unwrap();
            let mut want = Vec::new();
            leaves(&parsed["data"], "", &mut want);
            let mut decoder = Decoder::new();
            let Ok(Datagram { message: Message::Plg(plg), .. }) = decoder.decode(text.as_bytes())
            else {
                return Err(TestCaseError::fail("no PLG"));
            };
            prop_assert_eq!(plg.leaves.len(), want.len());
            for (leaf, (path, value)) in plg.leaves.iter().zip(want) {
                prop_assert_eq!(leaf.path, path);
                let same = match leaf.value {
                    LeafValue::Number(n) => value.as_f64() == Some(n),
                    LeafValue::Bool(b) => value.as_bool() == Some(b),
                    LeafValue::Text(text) => value.as_str() == Some(text),
                    LeafValue::Null => value.is_null(),
                };
                prop_assert!(same, "{:?} is not {}", leaf, value);
            }
        }
    }
}
