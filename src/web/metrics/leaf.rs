//! The numbers in a sample's JSON text, with their paths as the datagram's decoder names them; no tree is built.

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt::{self, Write as _};

/// Calls `found` with the path and value of each number. What is no JSON has none.
pub fn numbers(json: &str, found: &mut dyn FnMut(&str, f64)) {
    let mut path = String::new();
    let mut deserializer = serde_json::Deserializer::from_str(json);
    // Samples were checked when they came; an error only ends the walk.
    let _ = Walk { path: &mut path, found }.deserialize(&mut deserializer);
}

struct Walk<'b> {
    path: &'b mut String,
    found: &'b mut dyn FnMut(&str, f64),
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.visit_f64(value as f64)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.visit_f64(value as f64)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        (self.found)(self.path, value);
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let outer = self.path.len();
        for index in 0u32.. {
            let dot = if outer == 0 { "" } else { "." };
            let _ = write!(self.path, "{dot}{index}");
            let item = Walk { path: &mut *self.path, found: &mut *self.found };
            let more = items.next_element_seed(item)?;
            self.path.truncate(outer);
            if more.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let outer = self.path.len();
        while let Some(key) = members.next_key::<std::borrow::Cow<'de, str>>()? {
            if key.is_empty() {
                members.next_value::<IgnoredAny>()?;
                continue;
            }
            if outer > 0 {
                self.path.push('.');
            }
            self.path.push_str(&key);
            members.next_value_seed(Walk { path: &mut *self.path, found: &mut *self.found })?;
            self.path.truncate(outer);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_have_the_paths_of_the_decoder() {
        let json = r#"{"a":1,"b":{"/":{"percent":-2.5,"fs":"ext4","ok":true,"none":null}},
                       "c":[3,{"d":4},[5]],"e\n":6,"big":18446744073709551615}"#;
        let mut found = Vec::new();
        super::numbers(json, &mut |path, value| found.push(format!("{path}={value}")));
        let want = [
            "a=1",
            "b./.percent=-2.5",
            "c.0=3",
            "c.1.d=4",
            "c.2.0=5",
            "e\n=6",
            "big=18446744073709552000",
        ];
        assert_eq!(found, want);
        let mut found = 0;
        super::numbers("{\"a\":1,", &mut |_, _| found += 1);
        super::numbers("", &mut |_, _| found += 1);
        assert_eq!(found, 1);
    }
}
