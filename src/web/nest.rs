//! Numbers with joined paths as the nested data that an agent sends.
//!
//! A path joins keys with '.', and keys hold dots themselves (`/srv/my.db`): the latest data of the plugin says
//! which keys a path was made of. Where that has no such path any more, the containers of the built-in plugins do.

use crate::config::server::containers;
use serde_json::{Map, Number, Value};
use std::collections::BTreeMap;

/// The ways that paths take through known data.
pub struct Ways {
    plugin: String,
    by_path: BTreeMap<String, Vec<Step>>,
}

#[derive(Clone)]
enum Step {
    Key(String),
    Item,
}

impl Ways {
    pub fn of(plugin: &str, latest: &Value) -> Ways {
        let mut ways = Ways { plugin: plugin.to_owned(), by_path: BTreeMap::new() };
        ways.walk(latest, "", &mut Vec::new());
        ways
    }

    fn walk(&mut self, value: &Value, path: &str, steps: &mut Vec<Step>) {
        let join =
            |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        match value {
            Value::Object(members) => {
                for (key, value) in members {
                    steps.push(Step::Key(key.clone()));
                    self.walk(value, &join(key), steps);
                    steps.pop();
                }
            }
            Value::Array(items) => {
                for (i, value) in items.iter().enumerate() {
                    steps.push(Step::Item);
                    self.walk(value, &join(&i.to_string()), steps);
                    steps.pop();
                }
            }
            _ => {
                self.by_path.insert(path.to_owned(), steps.clone());
            }
        }
    }

    /// The data object of these numbers.
    pub fn nest(&self, numbers: &[(String, f64)]) -> Value {
        let mut data = Value::Object(Map::new());
        for (path, number) in numbers {
            let guessed;
            let steps = match self.by_path.get(path) {
                Some(steps) => steps,
                None => {
                    guessed = self.guess(path);
                    &guessed
                }
            };
            put(&mut data, steps, value(*number));
        }
        data
    }

    fn guess(&self, path: &str) -> Vec<Step> {
        let key = |text: &str| Step::Key(text.to_owned());
        if let Some((first, rest)) = path.split_once('.')
            && containers(&self.plugin).contains(&first)
            && let Some((name, field)) = rest.rsplit_once('.')
        {
            return vec![key(first), key(name), key(field)];
        }
        path.split('.').map(key).collect()
    }
}

fn put(into: &mut Value, steps: &[Step], value: Value) {
    let Some((first, rest)) = steps.split_first() else { return };
    let place = match (first, into) {
        (Step::Key(key), Value::Object(members)) => {
            members.entry(key.clone()).or_insert(Value::Null)
        }
        (Step::Item, Value::Array(items)) => {
            items.push(Value::Null);
            let last = items.len() - 1;
            &mut items[last]
        }
        // A number stands where others have members: the first of them stays.
        _ => return,
    };
    match rest.first() {
        None => *place = value,
        Some(next) => {
            if place.is_null() {
                *place = match next {
                    Step::Key(_) => Value::Object(Map::new()),
                    Step::Item => Value::Array(Vec::new()),
                };
            }
            put(place, rest, value);
        }
    }
}

/// Whole numbers without a fraction, as most are sent.
fn value(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 9e15 {
        return Value::from(number as i64);
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_come_back_as_they_were_nested() {
        let latest = json!({
            "partitions": {"/srv/my.db": {"percent": 1.5, "fstype": "ext4"}},
            "per_core": [1, 2.5], "load": 3, "a.b": {"c.d": 4},
        });
        let ways = Ways::of("disk_monitor", &latest);
        let numbers = [
            ("partitions./srv/my.db.percent", 7.25),
            ("partitions./gone.x.percent", 9.0),
            ("per_core.0", 3.0),
            ("per_core.1", 4.5),
            ("load", 2.0),
            ("a.b.c.d", 5.0),
            ("new.one", 6.0),
        ];
        let numbers: Vec<_> = numbers.iter().map(|(p, n)| ((*p).to_owned(), *n)).collect();
        assert_eq!(
            ways.nest(&numbers),
            json!({
                "partitions": {"/srv/my.db": {"percent": 7.25}, "/gone.x": {"percent": 9}},
                "per_core": [3, 4.5], "load": 2, "a.b": {"c.d": 5}, "new": {"one": 6},
            })
        );
    }
}
