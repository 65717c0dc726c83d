//! A record as one line of JSON, in the form of the seed's README.

use super::redact::Redaction;
use crate::engine::{Entry, Record};
use crate::time::Wall;
use crate::web::EventJson;
use std::fmt::Write as _;

/// Renders lines; keeps the text of the last second, which most lines share.
pub struct Renderer {
    redaction: Redaction,
    second: Option<i64>,
    datetime: String,
}

impl Renderer {
    /// `redact`: globs over keys whose values are not written.
    pub fn new(redact: &[String]) -> Renderer {
        Renderer { redaction: Redaction::new(redact), second: None, datetime: String::new() }
    }

    /// Appends one line with its newline. `offset` tells how many seconds local time is ahead of UTC at a Unix
    /// second.
    pub fn render(&mut self, out: &mut String, record: &Record, offset: &dyn Fn(i64) -> i32) {
        self.tell_second(record.at, offset);
        let millis = record.at.as_micros().div_euclid(1000).max(0);
        let _ = write!(out, r#"{{"timestamp":{}.{:03},"#, millis / 1000, millis % 1000);
        let _ = write!(out, r#""datetime":"{}","#, self.datetime);
        match &record.entry {
            Entry::Message { from, json } => {
                let _ = write!(
                    out,
                    r#""source_ip":"{}","source_port":{},"message":"#,
                    from.ip().to_canonical(),
                    from.port()
                );
                self.redaction.push(out, json);
            }
            Entry::Event(event) => {
                let json = serde_json::to_string(&EventJson::new(event)).unwrap_or_default();
                out.push_str(r#""source_ip":null,"source_port":null,"event":"#);
                self.redaction.push(out, &json);
            }
        }
        out.push_str("}\n");
    }

    fn tell_second(&mut self, at: Wall, offset: &dyn Fn(i64) -> i32) {
        let second = at.as_secs();
        if self.second == Some(second) {
            return;
        }
        self.second = Some(second);
        self.datetime = datetime(second, offset);
    }
}

/// A Unix second as local time, ISO 8601 without a zone. Beyond the year 9999 the epoch is shown.
pub fn datetime(second: i64, offset: &dyn Fn(i64) -> i32) -> String {
    let local = second.saturating_add(i64::from(offset(second)));
    let shown = jiff::Timestamp::from_second(local).unwrap_or_default();
    shown.strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::view::{Event, EventKind, Level, Severity};
    use crate::notice::hostile::hostile;
    use expect_test::{Expect, expect};
    use serde_json::{Value, json};

    fn message(from: &str, json: &str) -> Record {
        let entry = Entry::Message { from: from.parse().unwrap(), json: json.into() };
        Record { at: Wall::from_micros(1_774_701_296_123_999), entry }
    }

    fn check(redact: &[&str], record: &Record, want: Expect) {
        let globs: Vec<String> = redact.iter().map(|glob| (*glob).to_owned()).collect();
        let mut line = String::new();
        Renderer::new(&globs).render(&mut line, record, &|_| 0);
        want.assert_eq(&line);
        assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok());
        assert_eq!(line.find('\n'), Some(line.len() - 1));
    }

    #[test]
    fn message_line_has_the_form_of_the_seed() {
        let json = r#"{"ID":"HTB","name":"webserver1","interval":30}"#;
        check(
            &[],
            &message("192.168.1.100:50003", json),
            expect![[r#"
            {"timestamp":1774701296.123,"datetime":"2026-03-28T12:34:56","source_ip":"192.168.1.100","source_port":50003,"message":{"ID":"HTB","name":"webserver1","interval":30}}
        "#]],
        );
    }

    #[test]
    fn message_with_newlines_between_its_tokens_is_one_line() {
        let json = "\r\n{\"ID\":\"HTB\",\r\n  \"name\":\"a\",\n\"t\":\"x\\ny\"}\n";
        check(
            &[],
            &message("[::ffff:192.0.2.1]:7", json),
            expect![[r#"
            {"timestamp":1774701296.123,"datetime":"2026-03-28T12:34:56","source_ip":"192.0.2.1","source_port":7,"message":{"ID":"HTB",  "name":"a","t":"x\ny"}}
        "#]],
        );
    }

    #[test]
    fn redacted_keys_keep_their_place() {
        let json = "{\"ID\":\"PLG\",\"data\":{\"Password\" : {\"a\":[1,\"}\"]},\n\"x\":1}}";
        check(
            &["pass*"],
            &message("[2001:db8::1]:7", json),
            expect![[r#"
            {"timestamp":1774701296.123,"datetime":"2026-03-28T12:34:56","source_ip":"2001:db8::1","source_port":7,"message":{"ID":"PLG","data":{"Password" : "***","x":1}}}
        "#]],
        );
    }

    #[test]
    fn event_line_has_the_event_in_place_of_the_message() {
        let event = Event {
            id: 7,
            at: Wall::from_secs(1_774_701_296),
            kind: EventKind::State,
            host: Some((1, "web1".into())),
            level: Some(Level::Critical),
            from: Some(Severity::Up),
            to: Some(Severity::Down),
            text: "DOWN: web1 - no heartbeat for 65 s".into(),
            user: None,
        };
        let record = Record { at: event.at, entry: Entry::Event(event.into()) };
        check(
            &[],
            &record,
            expect![[r#"
            {"timestamp":1774701296.000,"datetime":"2026-03-28T12:34:56","source_ip":null,"source_port":null,"event":{"id":7,"timestamp":1774701296.0,"kind":"state","host":"web1","level":"critical","from":"up","to":"down","text":"DOWN: web1 - no heartbeat for 65 s","user":null}}
        "#]],
        );
    }

    #[test]
    fn s2_hostile_text_stays_text_in_every_line() {
        let globs = ["secret*".to_owned()];
        let mut renderer = Renderer::new(&globs);
        let table = hostile();
        assert!(table.len() >= 200);
        for words in table {
            let json = json!({
                "ID": "PLG", "name": words, "data": { &*words: words, format!("secret{words}"): words },
            });
            let mut lines = String::new();
            // As compact and as wide as somebody may send it.
            for text in [json.to_string(), serde_json::to_string_pretty(&json).unwrap()] {
                renderer.render(&mut lines, &message("192.0.2.1:7", &text), &|_| 0);
            }
            let event = Event {
                id: 7,
                at: Wall::from_secs(1_774_701_296),
                kind: EventKind::Message,
                host: Some((1, (&*words).into())),
                level: Some(Level::Info),
                from: None,
                to: None,
                text: (&*words).into(),
                user: Some((&*words).into()),
            };
            let record = Record { at: event.at, entry: Entry::Event(event.into()) };
            renderer.render(&mut lines, &record, &|_| 0);
            assert!(lines.ends_with('\n') && lines.lines().count() == 3, "{words:?}");
            let lines: Vec<Value> = lines
                .split_terminator('\n')
                .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{words:?}: {e}")))
                .collect();
            let masked = json!({ &*words: words, format!("secret{words}"): "***" });
            for line in &lines[..2] {
                assert_eq!(line["message"]["name"], *words, "{words:?}");
                assert_eq!(line["message"]["data"], masked, "{words:?}");
                assert_eq!(line.as_object().map(|line| line.len()), Some(5), "{words:?}");
            }
            assert_eq!(lines[2]["event"]["host"], *words, "{words:?}");
            assert_eq!(lines[2]["event"]["text"], *words, "{words:?}");
        }
    }

    #[test]
    fn datetime_is_local_time() {
        let mut renderer = Renderer::new(&[]);
        let mut out = String::new();
        for (secs, offset, want) in [
            (0, 0, "1970-01-01T00:00:00"),
            (1_774_749_599, 3600, "2026-03-29T02:59:59"),
            (1_774_749_600, 7200, "2026-03-29T04:00:00"),
            (1_709_164_800, -5 * 3600, "2024-02-28T19:00:00"),
            (-1, 0, "1969-12-31T23:59:59"),
            (i64::MAX / 1_000_000, 0, "1970-01-01T00:00:00"),
        ] {
            out.clear();
            let at = Wall::from_secs(secs);
            renderer.render(&mut out, &Record { at, ..message("1.2.3.4:5", "{}") }, &|_| offset);
            assert!(out.contains(&format!(r#""datetime":"{want}""#)), "{out}");
        }
    }
}
