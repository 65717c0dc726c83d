//! What the configuration says about sending: times, limits, and what stands in for a broken
//! channel.

use crate::config::server::Server;
use crate::notice::{self, Receiver};
use crate::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

pub struct Policy {
    pub group_wait: Duration,
    /// Hand-overs to one receiver within a minute, at least 1.
    pub per_minute: usize,
    pub site: Arc<str>,
    pub public_url: Option<Arc<str>>,
    /// The enabled ones and the disabled ones that name a fallback.
    channels: BTreeMap<Arc<str>, Channel>,
}

struct Channel {
    enabled: bool,
    retry_for: Duration,
    fallback: Option<Arc<str>>,
    /// Its own destinations.
    own: Vec<Receiver>,
}

impl Policy {
    pub fn new(config: &Server) -> Policy {
        let channels = config.channels.iter().map(|(name, channel)| {
            let channel = Channel {
                enabled: channel.enabled,
                retry_for: channel.retry_for,
                fallback: channel.fallback.as_deref().map(Arc::from),
                own: notice::own(name, channel),
            };
            (Arc::from(name.as_str()), channel)
        });
        Policy {
            group_wait: config.group_wait,
            per_minute: config.notify_per_minute.max(1) as usize,
            site: config.site_name.as_str().into(),
            public_url: config.public_url.as_deref().map(Arc::from),
            channels: channels.collect(),
        }
    }

    /// Whether the channel can be used at all.
    pub fn works(&self, channel: &str) -> bool {
        self.channels.get(channel).is_some_and(|channel| channel.enabled)
    }

    pub fn retry_for(&self, channel: &str) -> Duration {
        self.channels.get(channel).map_or(Duration::ZERO, |channel| channel.retry_for)
    }

    /// Who gets what `channel` could not deliver: the next channel of the chain that can be used.
    pub fn fallback(&self, channel: &str) -> &[Receiver] {
        let mut name = channel;
        // Circles are errors of the configuration; the bound is for a configuration made in code.
        for _ in 0..=self.channels.len() {
            let Some(next) = self.channels.get(name).and_then(|c| c.fallback.as_deref()) else {
                break;
            };
            match self.channels.get(next) {
                Some(c) if c.enabled && !c.own.is_empty() && next != channel => return &c.own,
                _ => name = next,
            }
        }
        &[]
    }
}
