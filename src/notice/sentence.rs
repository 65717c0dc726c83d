//! What is told: one sentence, and the trouble that it is about. Plain data; decides nothing.

use crate::config::server::Level;
use crate::text::{cut, escape_control};
use crate::time::{Duration, Wall};
use std::sync::Arc;

/// Longest text of a notice, in bytes; the rest is cut.
const TEXT_MAX: usize = crate::limits::STR_MAX;

/// One trouble that can end.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Subject {
    /// A host that is down.
    Outage {
        host: Arc<str>,
    },
    /// One address family of a host lost while another is heard.
    Family {
        host: Arc<str>,
        v6: bool,
    },
    Flapping {
        host: Arc<str>,
    },
    /// A metric that is not OK.
    Alert {
        host: Arc<str>,
        path: Arc<str>,
    },
    /// The server hears nobody.
    Isolation,
}

impl Subject {
    pub fn host(&self) -> Option<&Arc<str>> {
        match self {
            Subject::Outage { host }
            | Subject::Family { host, .. }
            | Subject::Flapping { host }
            | Subject::Alert { host, .. } => Some(host),
            Subject::Isolation => None,
        }
    }

    /// Whether it is a silence, to which the short-outage rule applies.
    pub fn is_silence(&self) -> bool {
        matches!(self, Subject::Outage { .. } | Subject::Family { .. })
    }
}

/// One told sentence. The fields are those of the notice as JSON (CONFIG.md, "Notifications").
#[derive(Clone, PartialEq, Debug)]
pub struct Notice {
    /// Of its entry in the event feed: unique, and growing over restarts.
    pub id: u64,
    pub time: Wall,
    /// As in the event feed: `state`, `alert`, `boot`, …
    pub kind: Arc<str>,
    pub level: Level,
    pub text: Arc<str>,
    /// `None`: about nothing that ends (boot, message).
    pub subject: Option<Subject>,
    pub host: Option<Arc<str>>,
    pub metric_path: Option<Arc<str>>,
    pub from: Option<Arc<str>>,
    pub to: Option<Arc<str>>,
    /// Number, text or boolean; `Null` where there is none.
    pub value: serde_json::Value,
    pub threshold_value: serde_json::Value,
    /// Whether it tells that a trouble has ended.
    pub recovery: bool,
    /// How long the host was silent when it was declared down; of an end: the whole trouble.
    pub span: Option<Duration>,
}

impl Notice {
    /// A notice about nothing that ends. Characters that mislead a reader are shown as `\u{..}`.
    pub fn new(id: u64, time: Wall, kind: &str, level: Level, text: &str) -> Notice {
        Notice {
            id,
            time,
            kind: kind.into(),
            level,
            text: escape_control(cut(text, TEXT_MAX)).into(),
            subject: None,
            host: None,
            metric_path: None,
            from: None,
            to: None,
            value: serde_json::Value::Null,
            threshold_value: serde_json::Value::Null,
            recovery: false,
            span: None,
        }
    }

    /// The same about `subject`, whose host and metric it takes.
    #[must_use]
    pub fn about(mut self, subject: Subject) -> Notice {
        self.host = subject.host().cloned();
        if let Subject::Alert { path, .. } = &subject {
            self.metric_path = Some(path.clone());
        }
        self.subject = Some(subject);
        self
    }

    /// What this notice stands for in counts: its level, or `None` for the end of a trouble.
    pub fn class(&self) -> Option<Level> {
        (!self.recovery).then_some(self.level)
    }
}
