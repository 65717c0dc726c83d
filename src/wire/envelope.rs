//! The top level of a message: each field of PROTOCOL C1 into its slot, everything else walked and
//! ignored.

use super::Reject;
use super::data::{Data, DataSeed, object_after, read_data};
use super::walk::{Budget, Walk};
use crate::limits;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// Most top-level keys of one message; more are refused as `TooManyNodes`.
const TOP_KEYS_MAX: usize = 256;
/// Where the data of a plugin stands: the message is 1, `plugins` 2 and its members 3.
pub(super) const DATA_DEPTH: usize = 2;
const PLUGINS_DEPTH: usize = 2;

/// A field's value where only one value is expected.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Scalar<'a> {
    #[default]
    Absent,
    Null,
    Bool(bool),
    Uint(u64),
    Float(f64),
    Text(&'a str),
    /// A list or an object: never the right type for such a field.
    Nested,
}

/// The fields that hold one value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Id,
    Name,
    Seq,
    Version,
    Interval,
    Rtt,
    Try,
    Up,
    Plugin,
    Every,
    Info,
    Age,
    Kind,
    Text,
    Mid,
}

const FIELDS: usize = Field::Mid as usize + 1;

/// Fields that only sealed messages have; they have no room of their own in a plain one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Extra {
    Ack,
    Cid,
    State,
    Code,
    Output,
    Millis,
    Seconds,
    Pair,
}

const EXTRAS: usize = Extra::Pair as usize + 1;

#[derive(Default)]
pub(super) struct Envelope<'a> {
    fields: [Scalar<'a>; FIELDS],
    extras: Option<Box<[Scalar<'a>; EXTRAS]>>,
    pub time: Option<&'a str>,
    pub part: Option<&'a str>,
    /// `data`, where it is an object.
    pub data: Option<Data<'a>>,
    /// The members of `plugins` that are objects, by name. Empty, and not allocated, as a rule.
    pub plugins: Vec<(&'a str, Data<'a>)>,
}

impl<'a> Envelope<'a> {
    pub fn field(&self, field: Field) -> Scalar<'a> {
        self.fields[field as usize]
    }

    pub fn extra(&self, extra: Extra) -> Scalar<'a> {
        self.extras.as_ref().map_or(Scalar::Absent, |extras| extras[extra as usize])
    }
}

/// The keys of one message that were met so far: of those that have a meaning one bit each, of others a hash.
#[derive(Default)]
pub(super) struct Keys {
    count: usize,
    known: u32,
    others: Vec<u64>,
}

impl Keys {
    /// Forgets all, and keeps the allocation.
    fn clear(&mut self) {
        (self.count, self.known) = (0, 0);
        self.others.clear();
    }

    fn meet(&mut self, key: &str) -> Result<Key, Reject> {
        let known = key_of(key);
        if self.count >= TOP_KEYS_MAX {
            return Err(Reject::TooManyNodes);
        }
        self.count += 1;
        let is_new = match known.bit() {
            Some(bit) => {
                let met = self.known;
                self.known |= 1 << bit;
                met != self.known
            }
            None => {
                // Two keys that collide only cost their sender the message.
                let hash = fnv1a(key.as_bytes());
                let is_new = !self.others.contains(&hash);
                self.others.push(hash);
                is_new
            }
        };
        if is_new { Ok(known) } else { Err(Reject::DuplicateKey) }
    }
}

/// Reads one object and nothing after it into `envelope`, which is empty. `keys` is scratch.
pub(super) fn read<'a>(
    text: &'a str,
    budget: &mut Budget<'a>,
    keys: &mut Keys,
    envelope: &mut Envelope<'a>,
) -> Result<(), Reject> {
    keys.clear();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let top = Top { text, budget: &mut *budget, keys, envelope };
    if deserializer.deserialize_map(top).and_then(|()| deserializer.end()).is_err() {
        return Err(budget.reason());
    }
    Ok(())
}

/// Reads a JSON text that was set aside as one value.
pub(super) fn read_scalar<'a>(
    text: &'a str,
    budget: &mut Budget<'a>,
) -> Result<Scalar<'a>, Reject> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = ScalarSeed { budget: &mut *budget, depth: 2 }.deserialize(&mut deserializer);
    read.map_err(|_| budget.reason())
}

enum Key {
    Field(Field),
    Extra(Extra),
    Time,
    Part,
    Data,
    Plugins,
    Other,
}

impl Key {
    /// A number of its own below 32, where it has a meaning.
    fn bit(&self) -> Option<usize> {
        Some(match self {
            Key::Field(field) => *field as usize,
            Key::Extra(extra) => FIELDS + *extra as usize,
            Key::Time => FIELDS + EXTRAS,
            Key::Part => FIELDS + EXTRAS + 1,
            Key::Data => FIELDS + EXTRAS + 2,
            Key::Plugins => FIELDS + EXTRAS + 3,
            Key::Other => return None,
        })
    }
}

fn key_of(key: &str) -> Key {
    Key::Field(match key {
        "ID" => Field::Id,
        "name" => Field::Name,
        "seq" => Field::Seq,
        "v" => Field::Version,
        "interval" => Field::Interval,
        "rtt" => Field::Rtt,
        "try" => Field::Try,
        "up" => Field::Up,
        "plugin" => Field::Plugin,
        "every" => Field::Every,
        "info" => Field::Info,
        "age" => Field::Age,
        "kind" => Field::Kind,
        "text" => Field::Text,
        "mid" => Field::Mid,
        "time" => return Key::Time,
        "part" => return Key::Part,
        "data" => return Key::Data,
        "plugins" => return Key::Plugins,
        "ack" => return Key::Extra(Extra::Ack),
        "cid" => return Key::Extra(Extra::Cid),
        "st" => return Key::Extra(Extra::State),
        "rc" => return Key::Extra(Extra::Code),
        "out" => return Key::Extra(Extra::Output),
        "ms" => return Key::Extra(Extra::Millis),
        "s" => return Key::Extra(Extra::Seconds),
        "pair" => return Key::Extra(Extra::Pair),
        _ => return Key::Other,
    })
}

struct Top<'b, 'a> {
    /// The whole message.
    text: &'a str,
    budget: &'b mut Budget<'a>,
    keys: &'b mut Keys,
    envelope: &'b mut Envelope<'a>,
}

impl<'a> Visitor<'a> for Top<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut members: A) -> Result<(), A::Error> {
        let Top { text, budget, keys, envelope } = self;
        budget.node()?;
        while let Some((key, spelled)) = members.next_key_seed(TopKey { budget, keys })? {
            let object = match (&key, spelled) {
                (Key::Data, Some(spelled)) => object_after(text, spelled),
                _ => None,
            };
            match (key, object) {
                (Key::Field(field), _) => {
                    let seed = ScalarSeed { budget: &mut *budget, depth: 2 };
                    envelope.fields[field as usize] = members.next_value_seed(seed)?;
                }
                (Key::Extra(extra), _) => {
                    let seed = ScalarSeed { budget: &mut *budget, depth: 2 };
                    let value = members.next_value_seed(seed)?;
                    envelope.extras.get_or_insert_default()[extra as usize] = value;
                }
                (Key::Other, _) => {
                    let seed = Walk { budget: &mut *budget, depth: 2, collect: false };
                    members.next_value_seed(seed)?;
                }
                (_, Some(text)) => {
                    let seed = DataSeed { text, budget: &mut *budget };
                    envelope.data = Some(members.next_value_seed(seed)?);
                }
                (raw, None) => {
                    let text = members.next_value::<&'a RawValue>()?.get();
                    envelope.set_raw(raw, text, budget).map_err(|why| budget.refuse(why))?;
                }
            }
        }
        Ok(())
    }
}

impl<'a> Envelope<'a> {
    fn set_raw(&mut self, key: Key, text: &'a str, budget: &mut Budget<'a>) -> Result<(), Reject> {
        let object = text.starts_with('{');
        match key {
            Key::Data if object => self.data = Some(read_data(text, DATA_DEPTH, budget)?),
            Key::Plugins if object => read_plugins(text, budget, &mut self.plugins)?,
            _ => budget.walk(text, 2, false)?,
        }
        match key {
            Key::Time => self.time = Some(text).filter(|t| !t.starts_with(['{', '['])),
            Key::Part => self.part = Some(text).filter(|t| *t != "null"),
            _ => {}
        }
        Ok(())
    }
}

/// `{"cpu_monitor": {..}, ..}`: the other shape in which plugin data may come (end of PROTOCOL C1).
fn read_plugins<'a>(
    text: &'a str,
    budget: &mut Budget<'a>,
    plugins: &mut Vec<(&'a str, Data<'a>)>,
) -> Result<(), Reject> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let visitor = Plugins { budget: &mut *budget, plugins };
    deserializer.deserialize_map(visitor).map_err(|_| budget.reason())
}

struct Plugins<'b, 'a> {
    budget: &'b mut Budget<'a>,
    plugins: &'b mut Vec<(&'a str, Data<'a>)>,
}

impl<'a> Visitor<'a> for Plugins<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("plugins by name")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut members: A) -> Result<(), A::Error> {
        let Plugins { budget, plugins } = self;
        budget.node()?;
        loop {
            let seed = ScalarSeed { budget: &mut *budget, depth: PLUGINS_DEPTH + 1 };
            let Some(Scalar::Text(name)) = members.next_key_seed(seed)? else { return Ok(()) };
            let text = members.next_value::<&'a RawValue>()?.get();
            if !text.starts_with('{') {
                let walked = budget.walk(text, PLUGINS_DEPTH + 1, false);
                walked.map_err(|why| budget.refuse(why))?;
                continue;
            }
            if plugins.len() >= limits::PLUGINS_PER_HOST {
                return Err(budget.refuse(Reject::BadField));
            }
            let data = read_data(text, PLUGINS_DEPTH + 1, budget);
            plugins.push((name, data.map_err(|why| budget.refuse(why))?));
        }
    }
}

struct TopKey<'b, 'a> {
    budget: &'b mut Budget<'a>,
    keys: &'b mut Keys,
}

impl<'a> DeserializeSeed<'a> for TopKey<'_, 'a> {
    /// With the key as it stands in the message, unless it has escapes.
    type Value = (Key, Option<&'a str>);
    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'a> for TopKey<'_, 'a> {
    type Value = (Key, Option<&'a str>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E: Error>(self, key: &'a str) -> Result<Self::Value, E> {
        self.visit_str(key).map(|(known, _)| (known, Some(key)))
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        if key.len() > limits::KEY_MAX {
            return Err(self.budget.refuse(Reject::KeyTooLong));
        }
        self.budget.node()?;
        let known = self.keys.meet(key).map_err(|why| self.budget.refuse(why))?;
        Ok((known, None))
    }
}

/// FNV-1a, 64 bits (Fowler, Noll, Vo).
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

struct ScalarSeed<'b, 'a> {
    budget: &'b mut Budget<'a>,
    depth: usize,
}

impl<'a> DeserializeSeed<'a> for ScalarSeed<'_, 'a> {
    type Value = Scalar<'a>;
    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Scalar<'a>, D::Error> {
        self.budget.node()?;
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for ScalarSeed<'_, 'a> {
    type Value = Scalar<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Scalar<'a>, E> {
        Ok(Scalar::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Scalar<'a>, E> {
        Ok(Scalar::Uint(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Scalar<'a>, E> {
        Ok(Scalar::Float(value as f64))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Scalar<'a>, E> {
        Ok(Scalar::Float(value))
    }

    fn visit_unit<E: Error>(self) -> Result<Scalar<'a>, E> {
        Ok(Scalar::Null)
    }

    fn visit_borrowed_str<E: Error>(self, value: &'a str) -> Result<Scalar<'a>, E> {
        Ok(Scalar::Text(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Scalar<'a>, E> {
        match self.budget.arena.copy(value) {
            Some(kept) => Ok(Scalar::Text(kept)),
            None => Err(self.budget.refuse(Reject::TooManyNodes)),
        }
    }

    fn visit_seq<A: SeqAccess<'a>>(self, items: A) -> Result<Scalar<'a>, A::Error> {
        let walk = Walk { budget: self.budget, depth: self.depth, collect: false };
        walk.visit_seq(items).map(|()| Scalar::Nested)
    }

    fn visit_map<A: MapAccess<'a>>(self, members: A) -> Result<Scalar<'a>, A::Error> {
        let walk = Walk { budget: self.budget, depth: self.depth, collect: false };
        walk.visit_map(members).map(|()| Scalar::Nested)
    }
}
