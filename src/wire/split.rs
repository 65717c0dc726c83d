//! A plugin's data in parts that each fit a datagram (PROTOCOL C1 `part`, C8).

use super::encode::{pack, push_string};
use crate::text::cut;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// Most bytes that a PLG adds around its data: the longest name and plugin, every field at its
/// widest.
pub const ENVELOPE_MAX: usize = 320;
/// Most parts of one sample.
pub const PARTS_MAX: usize = 64;
/// A single string that does not fit is cut to this first, then to a half, a quarter and so on.
const STRING_MAX: usize = 1000;
/// Containers are opened down to this depth.
const DEPTH_MAX: usize = 6;

/// Splits a JSON object by its keys into objects of which each takes at most `bytes_max` bytes when
/// packed; leave `ENVELOPE_MAX` bytes of a datagram for the rest of its message. Applied one after
/// the other they give the whole.
///
/// A value that does not fit by itself is opened if it is an object and keeps its path; a string is
/// cut; a list is left out, since a part of one would be another list. At most 64 parts are made.
/// Data that fits, or is no JSON object, comes back as it is.
pub fn split(data: &str, bytes_max: usize) -> Vec<String> {
    let mut splitter =
        Splitter { bytes_max, scratch: Vec::new(), path: Vec::new(), parts: Vec::new() };
    if splitter.fits(data) {
        return vec![data.to_owned()];
    }
    match members(data) {
        Some(items) => splitter.split(&items),
        None => return vec![data.to_owned()],
    }
    splitter.parts
}

/// A key with its quotes, and its value, both as they stand in the text.
type Item<'a> = (&'a str, &'a str);

struct Splitter<'a> {
    bytes_max: usize,
    scratch: Vec<u8>,
    /// The keys, with their quotes, of the containers that are open.
    path: Vec<&'a str>,
    parts: Vec<String>,
}

impl<'a> Splitter<'a> {
    fn fits(&mut self, data: &str) -> bool {
        if data.len() <= self.bytes_max {
            return true;
        }
        pack(data, &mut self.scratch);
        self.scratch.len() <= self.bytes_max
    }

    /// Halves until it fits; the depth of the recursion is the logarithm of the number of items.
    fn split(&mut self, items: &[Item<'a>]) {
        if self.parts.len() >= PARTS_MAX || items.is_empty() {
            return;
        }
        let part = self.render(items);
        if self.fits(&part) {
            self.parts.push(part);
        } else if let [(key, value)] = items {
            self.open(key, value);
        } else {
            let (first, second) = items.split_at(items.len() / 2);
            self.split(first);
            self.split(second);
        }
    }

    /// One item that does not fit by itself.
    fn open(&mut self, key: &'a str, value: &'a str) {
        match value.as_bytes().first() {
            Some(b'{') if self.path.len() + 1 < DEPTH_MAX => {
                self.path.push(key);
                self.split(&members(value).unwrap_or_default());
                self.path.pop();
            }
            Some(b'"') => self.shorten(key, value),
            _ => {}
        }
    }

    fn shorten(&mut self, key: &str, value: &str) {
        let Ok(text) = serde_json::from_str::<String>(value) else { return };
        let mut bytes_max = STRING_MAX;
        while bytes_max > 0 {
            let mut shorter = String::new();
            push_string(&mut shorter, cut(&text, bytes_max));
            let part = self.render(&[(key, &shorter)]);
            if self.fits(&part) {
                self.parts.push(part);
                return;
            }
            bytes_max /= 2;
        }
    }

    fn render(&self, items: &[Item<'_>]) -> String {
        let mut out = String::from("{");
        for key in &self.path {
            out.extend([key, ":{"]);
        }
        for (i, (key, value)) in items.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            out.extend([comma, key, ":", value]);
        }
        out.extend(std::iter::repeat_n('}', self.path.len() + 1));
        out
    }
}

fn members(object: &str) -> Option<Vec<Item<'_>>> {
    serde_json::Deserializer::from_str(object).deserialize_map(Members).ok()
}

struct Members;

impl<'a> Visitor<'a> for Members {
    type Value = Vec<Item<'a>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut members: A) -> Result<Vec<Item<'a>>, A::Error> {
        let mut items = Vec::new();
        while let Some((key, value)) = members.next_entry::<&'a RawValue, &'a RawValue>()? {
            items.push((key.get(), value.get()));
        }
        Ok(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::SEND_MAX;
    use crate::prng::Prng;
    use crate::wire::PlgOut;
    use serde_json::{Map, Value, json};

    const DATA_MAX: usize = SEND_MAX - ENVELOPE_MAX;

    fn noise(prng: &mut Prng, len: usize) -> String {
        (0..len).map(|_| (b'0' + prng.below(75) as u8) as char).collect()
    }

    /// What the server does with parts: each is applied by itself.
    fn upsert(into: &mut Map<String, Value>, from: Map<String, Value>) {
        for (key, value) in from {
            match (into.get_mut(&key), value) {
                (Some(Value::Object(old)), Value::Object(new)) => upsert(old, new),
                (_, value) => {
                    into.insert(key, value);
                }
            }
        }
    }

    fn joined(parts: &[String]) -> Value {
        let mut whole = Map::new();
        let (mut text, mut bytes) = (String::new(), Vec::new());
        for part in parts {
            PlgOut {
                name: &"n".repeat(128),
                seq: Some((1 << 53) - 1),
                plugin: &"p".repeat(32),
                data: part,
                every: Some(86_400),
                info: true,
                age_ms: Some(86_400_000),
                part: Some((64, 64)),
            }
            .encode(&mut text);
            assert!(text.len() - part.len() <= ENVELOPE_MAX);
            pack(&text, &mut bytes);
            assert!(bytes.len() <= SEND_MAX, "{} bytes", bytes.len());
            let Ok(Value::Object(part)) = serde_json::from_str(part) else { panic!("{part}") };
            upsert(&mut whole, part);
        }
        Value::Object(whole)
    }

    #[test]
    fn c8_data_that_fits_is_one_part_as_it_is() {
        let data = r#"{ "a": 1 }"#;
        assert_eq!(split(data, DATA_MAX), [data]);
        assert_eq!(split("no json", DATA_MAX), ["no json"]);
    }

    #[test]
    fn c8_parts_fit_and_together_are_the_whole() {
        let mut prng = Prng::new(7);
        let mut partitions = Map::new();
        for i in 0..60 {
            let device = noise(&mut prng, 40);
            partitions.insert(format!("/mnt/\"{i}"), json!({ "percent": i, "device": device }));
        }
        let data = json!({ "errors": 0, "partitions": partitions, "z": { "y": [1, 2] } });
        let parts = split(&data.to_string(), DATA_MAX);
        assert!((3..20).contains(&parts.len()), "{}", parts.len());
        assert_eq!(joined(&parts), data);
    }

    #[test]
    fn c8_single_string_too_long_is_cut_and_a_list_left_out() {
        let mut prng = Prng::new(7);
        let long = noise(&mut prng, 3000);
        let list: Vec<_> = (0..400).map(|_| noise(&mut prng, 9)).collect();
        let data = json!({ "a": 1, "list": list, "out": long });
        let whole = joined(&split(&data.to_string(), DATA_MAX));
        let kept = whole["out"].as_str().unwrap();
        assert!(long.starts_with(kept) && kept.len() >= 500);
        assert_eq!((&whole["a"], &whole["list"]), (&json!(1), &Value::Null));
    }

    #[test]
    fn c8_no_more_than_64_parts() {
        let mut prng = Prng::new(7);
        let many: Map<_, _> =
            (0..200).map(|i| (i.to_string(), Value::from(noise(&mut prng, 800)))).collect();
        assert_eq!(split(&Value::Object(many).to_string(), DATA_MAX).len(), PARTS_MAX);
    }
}
