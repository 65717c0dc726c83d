//! How the channels fare, as readers are shown it: facts, and the sentence above the pages. Owns what a test of them
//! asks and answers.

use crate::time::{Duration, Wall};
use serde::Serialize;

/// One configured channel.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelFact {
    pub name: String,
    /// Its type: `email`, `mattermost`, …
    pub kind: &'static str,
    pub enabled: bool,
    /// Notices that wait for it.
    pub queued: usize,
    pub last_success: Option<Wall>,
    /// When, and in words without any secret.
    pub last_error: Option<(Wall, String)>,
    /// Since its last success every try has failed.
    pub failing_since: Option<Wall>,
    /// Tries since the start, by how they ended: done, to be tried again, final.
    pub delivered: u64,
    pub retried: u64,
    pub failed: u64,
}

impl ChannelFact {
    pub fn is_ok(&self) -> bool {
        self.failing_since.is_none()
    }
}

/// What `notify-test` is to test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TestTarget {
    All,
    Channel(String),
    User(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TestResult {
    pub channel: String,
    pub ok: bool,
    pub ms: u64,
    pub error: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestRefusal {
    NoSuchChannel,
    NoSuchUser,
    /// Another test is under way.
    Busy,
    /// More destinations than one test takes.
    TooMany(usize),
}

/// The line above the pages while a channel fails: `Notifications: pushover failing for 12 m, 3 queued.`
pub fn channel_banner(channels: &[ChannelFact], now: Wall) -> Option<String> {
    let failing = |channel: &&ChannelFact| channel.enabled && !channel.is_ok();
    let parts: Vec<String> = channels
        .iter()
        .filter(failing)
        .map(|channel| {
            let span = channel.failing_since.map_or(Duration::ZERO, |since| now.since(since));
            let queued = match channel.queued {
                0 => String::new(),
                n => format!(", {n} queued"),
            };
            format!("{} failing for {}{queued}", channel.name, short_span(span))
        })
        .collect();
    (!parts.is_empty()).then(|| format!("Notifications: {}.", parts.join("; ")))
}

/// The largest unit alone: a line above a page is read at a glance.
fn short_span(span: Duration) -> String {
    match span.as_secs() {
        secs @ 0..60 => format!("{secs} s"),
        secs @ 60..3600 => format!("{} m", secs / 60),
        secs @ 3600..86_400 => format!("{} h", secs / 3600),
        secs => format!("{} d", secs / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::server::{Channel, ChannelType, Level};
    use crate::web::Peer;
    use crate::web::fixture::{Bench, NOW, request};

    fn fact(name: &str, failing: Option<i64>, queued: usize) -> ChannelFact {
        ChannelFact {
            name: name.to_owned(),
            kind: "email",
            enabled: true,
            queued,
            last_success: None,
            last_error: None,
            failing_since: failing.map(Wall::from_secs),
            delivered: 0,
            retried: 0,
            failed: 0,
        }
    }

    #[test]
    fn banner_names_what_fails_and_how_long() {
        let now = Wall::from_secs(10_000);
        let text = |channels: &[ChannelFact]| channel_banner(channels, now);
        assert_eq!(text(&[fact("email", None, 2)]), None);
        assert_eq!(
            text(&[fact("email", None, 0), fact("pushover", Some(9280), 3)]).as_deref(),
            Some("Notifications: pushover failing for 12 m, 3 queued.")
        );
        assert_eq!(
            text(&[fact("a", Some(9990), 0), fact("b", Some(10), 1)]).as_deref(),
            Some("Notifications: a failing for 10 s; b failing for 2 h, 1 queued.")
        );
        let off = ChannelFact { enabled: false, ..fact("a", Some(1), 1) };
        assert_eq!(text(&[off]), None);
    }

    #[test]
    fn test_of_the_channels_is_asked_for_and_answered_as_the_contract_says() {
        let bench = Bench::new(0);
        let ask = |body: &str| {
            let headers = [("Host", "localhost"), ("Content-Type", "application/json")];
            let mut request = request("POST", "/api/0/notify-test", &headers, body.as_bytes());
            request.peer = Peer::Control;
            let response = bench.ask(&request);
            (response.status, String::from_utf8(response.body.as_bytes().to_vec()).unwrap())
        };
        let results = r#"{"results":[{"channel":"chat","ok":false,"ms":12,"error":"status 404: refused it"}]}"#;
        assert_eq!(ask("{}"), (200, results.to_owned()));
        assert_eq!(ask(r#"{"channel":"chat"}"#), (200, results.to_owned()));
        for (body, status, code) in [
            (r#"{"channel":"x"}"#, 404, "no_such_channel"),
            (r#"{"user":"x"}"#, 404, "no_such_user"),
            (r#"{"channel":"chat","user":"x"}"#, 422, "bad_body"),
            ("{", 400, "bad_json"),
        ] {
            let (got, text) = ask(body);
            assert!(got == status && text.contains(&format!("\"{code}\"")), "{body}: {got} {text}");
        }
    }

    #[test]
    fn health_and_pages_show_a_channel_that_fails() {
        let mut bench = Bench::new(1);
        let error = Some((Wall::from_secs(1_700_000_000), "status 500: oops".to_owned()));
        let failing = fact("chat", Some(1_700_000_000), 3);
        bench.channels = vec![ChannelFact { last_error: error, ..failing }];
        let health: serde_json::Value = serde_json::from_str(&bench.text("/healthz")).unwrap();
        let want = serde_json::json!({
            "ok": false, "queued": 3, "last_success": null, "last_error": "status 500: oops",
            "last_error_at": 1_700_000_000.0, "failing_since": 1_700_000_000.0,
        });
        assert_eq!(health["channels"]["chat"], want);
        assert!(bench.text("/events").contains("Notifications: chat failing for "));
        let config = Channel {
            kind: ChannelType::Slack,
            enabled: true,
            min_level: Level::Warning,
            timeout: Duration::from_secs(10),
            retry_for: Duration::from_secs(3600),
            fallback: None,
            proxy: None,
            to: Vec::new(),
            settings: std::collections::BTreeMap::new(),
        };
        bench.config.channels = [("chat".to_owned(), config)].into();
        let page = |bench: &Bench| bench.text("/settings?part=notifications");
        assert!(page(&bench).contains(": status 500: oops, 3 queued"), "{}", page(&bench));
        let well = ChannelFact { last_success: Some(NOW.wall), ..fact("chat", None, 0) };
        bench.channels = vec![well];
        assert!(page(&bench).contains("delivered 0 s ago"), "{}", page(&bench));
    }
}
