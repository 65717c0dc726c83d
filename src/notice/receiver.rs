//! Who is told, by which channel: the server-wide ones, the owner's and the managers' (SPEC section
//! 4).
//!
//! Owns the rule and the identity of a receiver. Never resolves a secret: a destination that stands
//! in a file or in the environment is known by where it stands.

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

/// Who hears of an event of `level` on a host. `owner`: `None` is `default_owner`, as for what
/// concerns the server itself. In the order of receivers, each once, with the first reason that
/// holds.
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

    /// The channel, where it takes this level: a user's own `min_level` stands in for the
    /// channel's.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::server::{ChannelType, User, UserChannel};
    use std::time::Duration;

    fn channel(kind: ChannelType, min_level: Level, to: &[&str]) -> Channel {
        Channel {
            kind,
            enabled: true,
            min_level,
            timeout: Duration::from_secs(10),
            retry_for: Duration::from_secs(3600),
            fallback: None,
            proxy: None,
            to: to.iter().map(|to| Secret::Text((*to).to_owned())).collect(),
            settings: BTreeMap::new(),
        }
    }

    fn user(channels: &[(&str, &[&str], Option<Level>)]) -> User {
        let channels = channels.iter().map(|(channel, to, min_level)| UserChannel {
            channel: (*channel).to_owned(),
            to: to.iter().map(|to| Secret::Text((*to).to_owned())).collect(),
            min_level: *min_level,
        });
        User {
            full_name: String::new(),
            avatar: None,
            password: None,
            admin: false,
            notification_channels: channels.collect(),
        }
    }

    fn config() -> Server {
        let mut config = Server::default();
        let channels = [
            ("mail", channel(ChannelType::Email, Level::Warning, &["ops@x", "bob@x"])),
            ("chat", channel(ChannelType::Slack, Level::Critical, &[])),
            ("sms", channel(ChannelType::Signal, Level::Warning, &[])),
            ("off", Channel { enabled: false, ..channel(ChannelType::Slack, Level::Info, &[]) }),
        ];
        config.channels = channels.into_iter().map(|(name, c)| (name.to_owned(), c)).collect();
        config.pushsrv = vec!["chat".to_owned(), "mail".to_owned(), "off".to_owned()];
        let alice = user(&[
            ("mail", &["alice@x", "ops@x"], Some(Level::Info)),
            ("sms", &["+41"], Some(Level::Critical)),
            ("off", &[], None),
            ("gone", &[], None),
        ]);
        config.users.insert("alice".to_owned(), alice);
        config
            .users
            .insert("bob".to_owned(), user(&[("mail", &[], None), ("sms", &["+42"], None)]));
        config.default_owner = Some("alice".to_owned());
        config
    }

    fn shown(found: Vec<Addressee>) -> Vec<String> {
        found.iter().map(|a| format!("{} {}", a.receiver.render(), a.why)).collect()
    }

    #[test]
    fn receivers_are_told_once_with_the_first_reason() {
        let bob = ["bob".to_owned(), "nobody".to_owned()];
        type Case<'a> = (Option<&'a str>, &'a [String], Level, &'a [&'a str]);
        let table: [Case<'_>; 4] = [
            (
                None,
                &[],
                Level::Info,
                &["mail/text:alice@x owner alice", "mail/text:ops@x owner alice"],
            ),
            (
                None,
                &[],
                Level::Warning,
                &[
                    "mail/text:alice@x owner alice",
                    "mail/text:bob@x pushsrv",
                    "mail/text:ops@x pushsrv",
                ],
            ),
            (
                Some("bob"),
                &[],
                Level::Unknown,
                &["mail/text:bob@x pushsrv", "mail/text:ops@x pushsrv", "sms/text:+42 owner bob"],
            ),
            (
                None,
                &bob,
                Level::Critical,
                &[
                    "chat pushsrv",
                    "mail/text:alice@x owner alice",
                    "mail/text:bob@x pushsrv",
                    "mail/text:ops@x pushsrv",
                    "sms/text:+41 owner alice",
                    "sms/text:+42 manager bob",
                ],
            ),
        ];
        for (owner, managers, level, want) in table {
            assert_eq!(shown(receivers(&config(), owner, managers, level)), want, "{level:?}");
        }
    }

    #[test]
    fn escalation_names_users_or_channels() {
        let to = ["bob".to_owned(), "chat".to_owned(), "gone".to_owned()];
        assert_eq!(
            shown(escalation(&config(), &to, Level::Critical)),
            [
                "chat escalation to chat",
                "mail/text:bob@x escalation to bob",
                "mail/text:ops@x escalation to bob",
                "sms/text:+42 escalation to bob",
            ]
        );
    }

    #[test]
    fn receiver_is_read_back_and_never_shows_its_destination() {
        let secrets = [
            Secret::Text("a/b:c".to_owned()),
            Secret::File("/run/x".into()),
            Secret::Env("USER_KEY".to_owned()),
            Secret::Credential("key".to_owned()),
        ];
        let all = secrets.iter().map(|secret| Some(Destination::of(secret))).chain([None]);
        for to in all {
            let receiver = Receiver { channel: "push".into(), to };
            assert_eq!(Receiver::parse(&receiver.render()), Some(receiver.clone()));
            assert!(!format!("{receiver:?}").contains("a/b:c"));
        }
        assert_eq!(Receiver::parse("push/other:x"), None);
        assert_eq!(Receiver::parse("push/x"), None);
    }
}
