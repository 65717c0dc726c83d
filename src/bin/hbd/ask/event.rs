//! What `events` prints, and how it goes on with `-f`.

use super::fleet::{field, list, local_time, number};
use super::screen::Form;
use super::table::Layout;
use super::{Asker, Failure, Printed, failure, now};
use crate::{EXIT_OK, EXIT_USAGE};
use heartbeat::{glob, text, time};
use serde_json::Value;
use std::io::Write;
use std::time::Duration;

/// Events asked for at once.
const PAGE: usize = 1000;
/// Events that `--since` reaches back for.
const SINCE_MAX: usize = 10_000;
const DEFAULT: usize = 100;
/// Between two looks at a feed that is followed.
const FOLLOW: Duration = Duration::from_secs(1);

impl Asker<'_> {
    /// Oldest first, as a log reads.
    pub fn events(&self) -> Printed {
        let filters = Filters::parse(&self.invocation.words);
        let mut events = self.past()?;
        let last = events.iter().filter_map(|event| event["id"].as_u64()).max().unwrap_or(0);
        events.retain(|event| filters.take(event));
        events.reverse();
        if !self.invocation.follow {
            return Ok((EXIT_OK, self.event_text(&events)));
        }
        self.follow(&filters, &events, last)
    }

    /// What was, newest first: the last so many, or all since.
    fn past(&self) -> Result<Vec<Value>, Failure> {
        let since = match self.invocation.since.as_deref() {
            None => None,
            Some(text) => Some(time::parse_duration(text).ok_or_else(|| {
                failure(EXIT_USAGE, format!("--since {text:?} is no duration such as 90s, 5m, 2h"))
            })?),
        };
        let limit = match (self.invocation.limit.as_deref(), since) {
            (Some(text), _) => {
                text.parse().ok().filter(|n| (1..=PAGE).contains(n)).ok_or_else(|| {
                    failure(EXIT_USAGE, format!("--limit is a number from 1 to {PAGE}, not {text}"))
                })?
            }
            (None, Some(_)) => SINCE_MAX,
            (None, None) => DEFAULT,
        };
        let oldest = since.map_or(0.0, |span| now() - span.as_secs_f64());
        let mut events: Vec<Value> = Vec::new();
        let mut before = String::new();
        while events.len() < limit {
            let n = (limit - events.len()).min(PAGE);
            let page = self.get(&format!("/api/0/events?limit={n}{before}"))?;
            let is_new = |event: &&Value| number(event, "timestamp").unwrap_or(0.0) >= oldest;
            let fitting: Vec<Value> = list(&page, "events").take_while(is_new).cloned().collect();
            let whole = fitting.len() == list(&page, "events").count();
            events.extend(fitting);
            match page["next"].as_u64() {
                Some(next) if whole => before = format!("&before={next}"),
                _ => break,
            }
        }
        Ok(events)
    }

    /// Prints what is there and what comes, until the reader has gone or somebody stops it.
    fn follow(&self, filters: &Filters, past: &[Value], mut last: u64) -> Printed {
        let mut out = std::io::stdout();
        let mut say = |text: String| out.write_all(text.as_bytes()).and_then(|()| out.flush());
        if say(self.event_lines(past)).is_err() {
            return Ok((EXIT_OK, String::new()));
        }
        loop {
            heartbeat::os::thread::pause(FOLLOW);
            let page = self.get(&format!("/api/0/events?limit={PAGE}"))?;
            let newest = list(&page, "events").filter_map(|e| e["id"].as_u64()).max().unwrap_or(0);
            // A server that was started anew with an empty store counts from the beginning.
            let from = if newest < last { 0 } else { last };
            let is_new = |event: &&Value| event["id"].as_u64().is_some_and(|id| id > from);
            let mut new: Vec<Value> = list(&page, "events").filter(is_new).cloned().collect();
            new.retain(|event| filters.take(event));
            new.reverse();
            last = newest;
            if say(self.event_lines(&new)).is_err() {
                return Ok((EXIT_OK, String::new()));
            }
        }
    }

    fn event_text(&self, events: &[Value]) -> String {
        match self.screen.form {
            Form::Json => super::json(&serde_json::json!({ "events": events })),
            Form::Csv => super::screen::csv(&TITLES, &events.iter().map(cells).collect::<Vec<_>>()),
            _ => self.event_lines(events),
        }
    }

    fn event_lines(&self, events: &[Value]) -> String {
        let line = |event: &Value| match (self.screen.form, self.screen.layout) {
            (Form::Json | Form::JsonLines, _) => format!("{event}\n"),
            (Form::Csv, _) => super::screen::csv(&[], &[cells(event)])[2..].to_owned(),
            (Form::Table, layout) => self.screen.dress(plain_line(layout, event)),
        };
        events.iter().map(line).collect()
    }
}

const TITLES: [&str; 5] = ["TIME", "LEVEL", "KIND", "HOST", "TEXT"];

fn cells(event: &Value) -> Vec<String> {
    let at = local_time(number(event, "timestamp").unwrap_or(0.0));
    let text = |key| field(event, key).to_owned();
    vec![at, level(event).to_owned(), text("kind"), text("host"), text("text")]
}

fn level(event: &Value) -> &str {
    let level = field(event, "level");
    if level.is_empty() { "-" } else { level }
}

/// Time, level, kind and text: tabs in a pipe, columns on a terminal, where the text may be cut.
fn plain_line(layout: Layout, event: &Value) -> String {
    let at = local_time(number(event, "timestamp").unwrap_or(0.0));
    let text = text::escape_control(field(event, "text"));
    let (level, kind) = (level(event), field(event, "kind"));
    match layout {
        Layout::Plain => format!("{at}\t{level}\t{kind}\t{text}\n"),
        Layout::Terminal { columns } => {
            let line = format!("{at}  {level:<8}  {kind:<10}  {text}");
            line.chars().take(columns).collect::<String>() + "\n"
        }
    }
}

/// Words of the command line; all must fit.
struct Filters(Vec<Filter>);

enum Filter {
    Host(String),
    Kinds(Vec<String>),
    Levels(Vec<String>),
    Word(String),
}

impl Filters {
    fn parse(words: &[String]) -> Filters {
        let values = |text: &str| text.split(',').map(str::to_owned).collect();
        let one = |word: &String| match word.split_once(':') {
            Some(("host", pattern)) => Filter::Host(pattern.to_ascii_lowercase()),
            Some(("kind", kinds)) => Filter::Kinds(values(kinds)),
            Some(("level", levels)) => Filter::Levels(values(levels)),
            _ => Filter::Word(word.to_lowercase()),
        };
        Filters(words.iter().map(one).collect())
    }

    fn take(&self, event: &Value) -> bool {
        self.0.iter().all(|filter| match filter {
            Filter::Host(pattern) => {
                glob::matches(pattern.as_bytes(), field(event, "host").as_bytes())
            }
            Filter::Kinds(kinds) => kinds.iter().any(|kind| kind == field(event, "kind")),
            Filter::Levels(levels) => levels.iter().any(|level| level == field(event, "level")),
            Filter::Word(word) => {
                let holds = |key| field(event, key).to_lowercase().contains(word);
                holds("text") || holds("host")
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_of_events_must_all_fit() {
        let event = serde_json::json!({ "host": "web1", "kind": "state", "level": "critical",
                                        "text": "DOWN: web1 - no heartbeat" });
        let takes = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            Filters::parse(&words).take(&event)
        };
        for (line, want) in [
            ("host:web*", true),
            ("host:db*", false),
            ("kind:state,alert level:critical heartbeat", true),
            ("kind:alert", false),
            ("WEB1", true),
            ("db1", false),
        ] {
            assert_eq!(takes(line), want, "{line}");
        }
    }
}
