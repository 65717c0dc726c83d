//! Who is told, by which channel: the server-wide ones, the owner's and the managers' (SPEC section 4).
//!
//! Owns the rule and the identity of a receiver. Never resolves a secret: a destination that stands in a file or
//! in the environment is known by where it stands.

use crate::config::secret::Secret;
use crate::config::server::{Channel, Level, Server};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// One channel and one destination. Nobody gets the same event twice by one of these.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Receiver {
    /// The name under `channels`.
    pub channel: Arc<str>,
    /// `None`: the channel needs none (a webhook's address says it all).
    pub to: Option<Destination>,
}

/// An address, a number, a topic; a list in the configuration is one of these for each entry.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Destination {
    Text(Arc<str>),
    File(Arc<str>),
    Env(Arc<str>),
    Credential(Arc<str>),
}

impl Destination {
    pub fn of(secret: &Secret) -> Destination {
        match secret {
            Secret::Text(text) => Destination::Text(text.as_str().into()),
            Secret::File(path) => Destination::File(path.to_string_lossy().into()),
            Secret::Env(name) => Destination::Env(name.as_str().into()),
            Secret::Credential(name) => Destination::Credential(name.as_str().into()),
        }
    }

    /// For the worker, which resolves it.
    pub fn secret(&self) -> Secret {
        match self {
            Destination::Text(text) => Secret::Text(text.to_string()),
            Destination::File(path) => Secret::File(PathBuf::from(&**path)),
            Destination::Env(name) => Secret::Env(name.to_string()),
            Destination::Credential(name) => Secret::Credential(name.to_string()),
        }
    }

    fn parts(&self) -> (&'static str, &str) {
        match self {
            Destination::Text(text) => ("text", text),
            Destination::File(path) => ("file", path),
            Destination::Env(name) => ("env", name),
            Destination::Credential(name) => ("credential", name),
        }
    }
}

/// Never the value: a user key is a secret.
impl std::fmt::Debug for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.secret().fmt(f)
    }
}

impl Receiver {
    /// The form in the store: `email/text:alice@example.net`, `pushover/env:PUSHOVER_USER`, `chat`.
    pub fn render(&self) -> String {
        match &self.to {
            None => self.channel.to_string(),
            Some(to) => {
                let (scheme, value) = to.parts();
                format!("{}/{scheme}:{value}", self.channel)
            }
        }
    }

    /// Reads [`render`](Receiver::render)'s form.
    pub fn parse(text: &str) -> Option<Receiver> {
        let Some((channel, to)) = text.split_once('/') else {
            return Some(Receiver { channel: text.into(), to: None });
        };
        let (scheme, value) = to.split_once(':')?;
        let to = match scheme {
            "text" => Destination::Text(value.into()),
            "file" => Destination::File(value.into()),
            "env" => Destination::Env(value.into()),
            "credential" => Destination::Credential(value.into()),
            _ => return None,
        };
        Some(Receiver { channel: channel.into(), to: Some(to) })
    }
}

/// A receiver and the reason, for `explain`.
#[derive(Clone, PartialEq, Debug)]
pub struct Addressee {
    pub receiver: Receiver,
    pub user: Option<String>,
    /// `pushsrv`, `owner alice`, `manager bob`, `escalation to oncall`.
    pub why: String,
}

/// Who hears of an event of `level` on a host. `owner`: `None` is `default_owner`, as for what concerns the
/// server itself. In the order of receivers, each once, with the first reason that holds.
pub fn receivers(
    config: &Server,
    owner: Option<&str>,
    managers: &[String],
    level: Level,
) -> Vec<Addressee> {
    let mut found = Found { config, level, all: BTreeMap::new() };
    for name in &config.pushsrv {
        found.add_own(name, None, None, "pushsrv");
    }
    if let Some(owner) = owner.or(config.default_owner.as_deref()) {
        found.add_user(owner, &format!("owner {owner}"));
    }
    for manager in managers {
        found.add_user(manager, &format!("manager {manager}"));
    }
    found.all.into_values().collect()
}

/// Whom a step of an escalation adds: `to` names users, else channels.
pub fn escalation(config: &Server, to: &[String], level: Level) -> Vec<Addressee> {
    let mut found = Found { config, level, all: BTreeMap::new() };
    for name in to {
        let why = format!("escalation to {name}");
        if config.users.contains_key(name) {
            found.add_user(name, &why);
        } else {
            found.add_own(name, None, None, &why);
        }
    }
    found.all.into_values().collect()
}

/// A channel's own destinations: one that needs none is its own.
pub fn own(name: &str, channel: &Channel) -> Vec<Receiver> {
    let channel_name: Arc<str> = name.into();
    if channel.to.is_empty() && channel.has_destination() {
        return vec![Receiver { channel: channel_name, to: None }];
    }
    let to = channel.to.iter().map(|secret| Some(Destination::of(secret)));
    to.map(|to| Receiver { channel: channel_name.clone(), to }).collect()
}

struct Found<'a> {
    config: &'a Server,
    level: Level,
    all: BTreeMap<Receiver, Addressee>,
}

impl<'a> Found<'a> {
    fn add_user(&mut self, name: &str, why: &str) {
        let Some(user) = self.config.users.get(name) else { return };
        for entry in &user.notification_channels {
            if entry.to.is_empty() {
                self.add_own(&entry.channel, entry.min_level, Some(name), why);
                continue;
            }
            if self.channel(&entry.channel, entry.min_level).is_none() {
                continue;
            }
            for secret in &entry.to {
                let to = Some(Destination::of(secret));
                let receiver = Receiver { channel: entry.channel.as_str().into(), to };
                self.add(receiver, Some(name), why);
            }
        }
    }

    fn add_own(&mut self, name: &str, min_level: Option<Level>, user: Option<&str>, why: &str) {
        let Some(channel) = self.channel(name, min_level) else { return };
        for receiver in own(name, channel) {
            self.add(receiver, user, why);
        }
    }

    /// The channel, where it takes this level: a user's own `min_level` stands in for the channel's.
    fn channel(&self, name: &str, min_level: Option<Level>) -> Option<&'a Channel> {
        let channel = self.config.channels.get(name)?;
        let takes = channel.enabled && self.level >= min_level.unwrap_or(channel.min_level);
        takes.then_some(channel)
    }

    fn add(&mut self, receiver: Receiver, user: Option<&str>, why: &str) {
        self.all.entry(receiver.clone()).or_insert_with(|| Addressee {
            receiver,
            user: user.map(str::to_owned),
            why: why.to_owned(),
        });
    }
}
