//! What a client says: its messages, checked.

use super::Close;
use crate::engine::view::HostId;
use crate::{limits, text};
use serde::Deserialize;

/// One message of the client.
#[derive(Debug, PartialEq)]
pub(super) enum Request {
    Open(Open),
    /// The rows it shows, sorted.
    View(Vec<HostId>),
    /// The host whose samples it follows; `None` ends that.
    Host(Option<HostTopic>),
    Resync,
    Pong,
}

#[derive(Debug, PartialEq)]
pub(super) struct Open {
    /// Epoch and version that the client holds.
    pub resume: Option<(u32, u64)>,
    pub fleet: bool,
    pub events: bool,
    /// All that the user may see, not only what they own or manage.
    pub all: bool,
    /// Updates a second, `RATE_MIN..=RATE_MAX`.
    pub rate: f64,
}

#[derive(Debug, PartialEq)]
pub(super) struct HostTopic {
    pub id: HostId,
    pub plugins: Plugins,
}

#[derive(Debug, PartialEq)]
pub(super) enum Plugins {
    All,
    Named(Vec<String>),
}

impl Plugins {
    pub(super) fn contains(&self, plugin: &str) -> bool {
        match self {
            Plugins::All => true,
            Plugins::Named(names) => names.iter().any(|name| name == plugin),
        }
    }
}

const RATE_MIN: f64 = 0.1;
const RATE_MAX: f64 = 4.0;

#[derive(Deserialize)]
#[serde(tag = "t", rename_all = "lowercase")]
enum Raw {
    Open {
        resume: Option<RawResume>,
        topics: Option<Vec<String>>,
        rate: Option<f64>,
        scope: Option<String>,
    },
    View {
        ids: Vec<HostId>,
    },
    Host {
        id: Option<HostId>,
        #[serde(default)]
        plugins: Vec<String>,
    },
    Resync {
        #[serde(rename = "have")]
        _have: Option<u64>,
    },
    Pong {},
}

#[derive(Deserialize)]
struct RawResume {
    epoch: String,
    seq: u64,
}

impl Request {
    /// Unknown fields and topics are ignored; an unknown or malformed message is refused.
    pub(super) fn parse(text: &str) -> Result<Request, Close> {
        if text.len() > limits::WS_IN_MAX {
            return Err(Close::bad_message("message too long"));
        }
        let raw: Raw = serde_json::from_str(text)
            .map_err(|_| Close::bad_message("not a message of this protocol"))?;
        match raw {
            Raw::Open { resume, topics, rate, scope } => {
                let all = scope.as_deref() == Some("all");
                Ok(Request::Open(Open { all, ..open(resume, topics, rate) }))
            }
            Raw::View { ids } => view(ids),
            Raw::Host { id, plugins } => host(id, plugins),
            Raw::Resync { .. } => Ok(Request::Resync),
            Raw::Pong {} => Ok(Request::Pong),
        }
    }
}

fn open(resume: Option<RawResume>, topics: Option<Vec<String>>, rate: Option<f64>) -> Open {
    let wants = |topic: &str| match &topics {
        Some(topics) => topics.iter().any(|t| t == topic),
        None => true,
    };
    Open {
        // An epoch that cannot be one of ours is one that ended: a snapshot follows.
        resume: resume.and_then(|r| Some((super::parse_epoch(&r.epoch)?, r.seq))),
        fleet: wants("fleet"),
        events: wants("ev"),
        all: false,
        rate: rate.unwrap_or(RATE_MAX).clamp(RATE_MIN, RATE_MAX),
    }
}

fn view(mut ids: Vec<HostId>) -> Result<Request, Close> {
    if ids.len() > limits::LIVE_VIEW_IDS {
        return Err(Close::bad_message("too many ids"));
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(Request::View(ids))
}

fn host(id: Option<HostId>, plugins: Vec<String>) -> Result<Request, Close> {
    if plugins.len() > limits::PLUGINS_PER_HOST {
        return Err(Close::bad_message("too many plugins"));
    }
    let named = |name: &String| name == "*" || text::is_plugin_name(name);
    if !plugins.iter().all(named) {
        return Err(Close::bad_message("not a plugin's name"));
    }
    let Some(id) = id.filter(|_| !plugins.is_empty()) else { return Ok(Request::Host(None)) };
    let all = plugins.iter().any(|name| name == "*");
    let plugins = if all { Plugins::All } else { Plugins::Named(plugins) };
    Ok(Request::Host(Some(HostTopic { id, plugins })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_as_documented_is_understood() {
        let text = r#"{"t":"open","resume":{"epoch":"9f3c1a","seq":48211},
            "topics":["fleet","ev","al"],"scope":"mine","rate":4,"later":{}}"#;
        let want = Open {
            resume: Some((0x9f3c1a, 48211)),
            fleet: true,
            events: true,
            all: false,
            rate: 4.0,
        };
        assert_eq!(Request::parse(text), Ok(Request::Open(want)));
    }

    #[test]
    fn open_without_fields_takes_the_defaults() {
        let want = Open { resume: None, fleet: true, events: true, all: false, rate: 4.0 };
        assert_eq!(Request::parse(r#"{"t":"open"}"#), Ok(Request::Open(want)));
        let odd = r#"{"t":"open","resume":{"epoch":"xyz","seq":1},"topics":["x"],"rate":-3}"#;
        let want = Open { resume: None, fleet: false, events: false, all: false, rate: RATE_MIN };
        assert_eq!(Request::parse(odd), Ok(Request::Open(want)));
    }

    #[test]
    fn ids_at_the_limit_pass_and_above_are_refused() {
        let message = |n: usize| {
            let ids = vec!["7"; n].join(",");
            Request::parse(&format!("{{\"t\":\"view\",\"ids\":[{ids}]}}"))
        };
        assert_eq!(message(200), Ok(Request::View(vec![7])));
        assert_eq!(message(201).unwrap_err().code, Close::BAD_MESSAGE);
    }

    #[test]
    fn malformed_messages_close_with_4400() {
        let long = format!("{{\"t\":\"pong\",\"x\":\"{}\"}}", "x".repeat(limits::WS_IN_MAX));
        let table = [
            "",
            "x",
            "[]",
            "{}",
            r#"{"t":"nonsense"}"#,
            r#"{"t":1}"#,
            r#"{"t":"view"}"#,
            r#"{"t":"view","ids":[-1]}"#,
            r#"{"t":"view","ids":[1.5]}"#,
            r#"{"t":"view","ids":["1"]}"#,
            r#"{"t":"host","id":1,"plugins":["../x"]}"#,
            r#"{"t":"open","rate":"fast"}"#,
            r#"{"t":"open","resume":{"epoch":"9f3c1a","seq":-1}}"#,
            &long,
        ];
        for text in table {
            assert_eq!(Request::parse(text).map_err(|close| close.code), Err(4400), "{text:.60}");
        }
    }

    #[test]
    fn host_topic_is_set_and_ended() {
        let set = Request::parse(r#"{"t":"host","id":17,"plugins":["cpu_monitor","*"]}"#);
        assert_eq!(set, Ok(Request::Host(Some(HostTopic { id: 17, plugins: Plugins::All }))));
        assert_eq!(Request::parse(r#"{"t":"host","id":null}"#), Ok(Request::Host(None)));
        assert_eq!(Request::parse(r#"{"t":"resync","have":4}"#), Ok(Request::Resync));
    }
}
