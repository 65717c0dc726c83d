//! Acknowledging, silencing and planning: command lines to bodies of the API, and what is printed.

use super::fleet::{field, list, local_time};
use super::table::{Layout, render};
use super::{Asker, Failure, Printed, encode_segment, failure, now};
use crate::{EXIT_FAILED, EXIT_OK, EXIT_USAGE};
use heartbeat::calm::Matcher;
use heartbeat::time::parse_duration;
use serde_json::{Map, Value, json};

/// Numbers from here on are Unix seconds, below it a length of time.
const UNIX_MIN: f64 = 1e8;

impl Asker<'_> {
    /// One alert of a host, or all that it has now.
    pub fn acknowledge(&self) -> Printed {
        let words = &self.invocation.words;
        let host = words.first().map(String::as_str).unwrap_or_default();
        let ids: Vec<String> = match words.get(1) {
            Some(metric) => vec![format!("{host}/{metric}")],
            None => {
                let value = self.get(&self.host_path("/alerts?kind=all"))?;
                list(&value, "alerts").map(|alert| field(alert, "id").to_owned()).collect()
            }
        };
        if ids.is_empty() {
            return Err(failure(EXIT_FAILED, format!("{host} has no alerts now")));
        }
        let until = self.invocation.until.as_deref().map(|text| moment(text, now()));
        let body = json!({ "ids": ids, "until": until, "reason": self.reason() });
        let value = self.ask("POST", "/api/0/alerts/ack", Some(&body.to_string()))?;
        let line = |ack: &Value| format!("{}\t{}\n", field(ack, "id"), field(ack, "alert"));
        Ok((EXIT_OK, list(&value, "acks").map(line).collect()))
    }

    pub fn silence(&self) -> Printed {
        let words = self.invocation.words.iter().map(String::as_str);
        let matcher = Matcher::from_words(words).map_err(|fault| {
            let hint = fault.hint.as_deref().unwrap_or_default();
            failure(EXIT_USAGE, format!("{}. {hint}", fault.what))
        })?;
        let globs: Map<String, Value> =
            matcher.pairs().map(|(kind, glob)| (kind.to_owned(), glob.into())).collect();
        let body = json!({
            "match": globs, "duration": self.invocation.length, "reason": self.reason(),
        });
        self.make("silences", &body)
    }

    /// Plans a window, lists them, or ends one.
    pub fn maintenance(&self) -> Printed {
        if self.invocation.list {
            let value = self.get("/api/0/maintenance")?;
            return self.printed(&value, || window_table(self.layout, &value));
        }
        if let Some(id) = &self.invocation.end {
            return self.remove("maintenance", id);
        }
        let mut body = scope(&self.invocation.words)?;
        body["duration"] = self.invocation.length.clone().into();
        body["start"] = self.invocation.start.as_deref().map(time).into();
        body["zone"] = self.invocation.zone.clone().into();
        body["reason"] = self.reason().into();
        self.make("maintenance", &body)
    }

    /// Deletes what was made under that path: the id is the only word.
    pub fn take_back(&self, path: &str) -> Printed {
        let id = self.invocation.words.first().map(String::as_str).unwrap_or_default();
        self.remove(path, id)
    }

    /// Prints the id alone, for scripts.
    fn make(&self, path: &str, body: &Value) -> Printed {
        let value = self.ask("POST", &format!("/api/0/{path}"), Some(&body.to_string()))?;
        Ok((EXIT_OK, format!("{}\n", field(&value, "id"))))
    }

    pub fn remove(&self, path: &str, id: &str) -> Printed {
        self.ask("DELETE", &format!("/api/0/{path}/{}", encode_segment(id)), None)?;
        Ok((EXIT_OK, String::new()))
    }

    fn reason(&self) -> &str {
        self.invocation.reason.as_deref().unwrap_or_default()
    }
}

/// The lists of a window: `host:`, `group:` and `tag:`, each as often as needed.
fn scope(words: &[String]) -> Result<Value, Failure> {
    let mut body = json!({ "hosts": [], "groups": [], "tags": [] });
    for word in words {
        let list = match word.split_once(':') {
            Some(("host", glob)) => Some(("hosts", glob)),
            Some(("group", glob)) => Some(("groups", glob)),
            Some(("tag", glob)) => Some(("tags", glob)),
            _ => None,
        };
        let Some((list, glob)) = list else {
            let words = format!("{word:?} is no scope of maintenance: host:, group: or tag:");
            return Err(failure(EXIT_USAGE, words));
        };
        if let Some(list) = body[list].as_array_mut() {
            list.push(glob.into());
        }
    }
    Ok(body)
}

/// A time as the API takes it: Unix seconds as a number, all else as it was typed.
fn time(text: &str) -> Value {
    text.parse::<f64>().map_or_else(|_| text.into(), Value::from)
}

/// A time, or a length from now on.
fn moment(text: &str, now: f64) -> Value {
    let number = text.parse::<f64>().ok().filter(|secs| *secs >= UNIX_MIN);
    match (number, parse_duration(text)) {
        (None, Some(length)) => (now + length.as_secs_f64()).into(),
        _ => time(text),
    }
}

fn window_table(layout: Layout, value: &Value) -> String {
    let rows: Vec<Vec<String>> = list(value, "maintenance").map(window_row).collect();
    if rows.is_empty() {
        return "no maintenance is planned\n".to_owned();
    }
    render(layout, &["ID", "NOW", "NEXT", "REPEAT", "SCOPE", "ORIGIN", "REASON"], &rows)
}

fn window_row(window: &Value) -> Vec<String> {
    let span = |pair: &Value| match (pair[0].as_f64(), pair[1].as_f64()) {
        (Some(start), Some(end)) => format!("{} - {}", local_time(start), local_time(end)),
        _ => "-".to_owned(),
    };
    let mut globs: Vec<String> = Vec::new();
    for (key, kind) in [("hosts", "host"), ("groups", "group"), ("tags", "tag")] {
        let own = list(window, key).filter_map(Value::as_str);
        globs.extend(own.map(|glob| format!("{kind}:{glob}")));
    }
    vec![
        field(window, "id").to_owned(),
        span(&window["active"]),
        span(&window["next"][0]),
        field(window, "repeat").to_owned(),
        if globs.is_empty() { "host:*".to_owned() } else { globs.join(" ") },
        field(window, "origin").to_owned(),
        field(window, "reason").to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_lengths_are_told_apart() {
        let table = [
            ("2h", json!(1_700_007_200.0)),
            ("90", json!(1_700_000_090.0)),
            ("1795360824", json!(1_795_360_824.0)),
            ("2026-12-01T22:00", json!("2026-12-01T22:00")),
            ("tomorrow", json!("tomorrow")),
        ];
        for (text, want) in table {
            assert_eq!(moment(text, 1.7e9), want, "{text}");
        }
    }

    #[test]
    fn scope_of_maintenance_is_lists() {
        let words = ["host:web*", "host:db1", "tag:prod"].map(str::to_owned);
        let want = json!({ "hosts": ["web*", "db1"], "groups": [], "tags": ["prod"] });
        assert_eq!(scope(&words).unwrap(), want);
        assert_eq!(scope(&["plugin:x".to_owned()]).unwrap_err().status, EXIT_USAGE);
        assert_eq!(scope(&["web1".to_owned()]).unwrap_err().status, EXIT_USAGE);
    }
}
