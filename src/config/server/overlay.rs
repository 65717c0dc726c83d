//! What the API changed over the configuration files: users, and who may do what with a host.
//!
//! Never written into the files: it stands in the store and is laid over what the files say, at the
//! start and at each reload.

use super::Server;
use super::escalation::Level;
use super::user::{User, UserChannel};
use crate::config::secret::Secret;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// By user and by host; an empty entry changes nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overlay {
    pub users: BTreeMap<String, UserOverlay>,
    pub hosts: BTreeMap<String, HostOverlay>,
}

/// A user as the API left it; what is absent stays as the files have it.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct UserOverlay {
    /// The user is gone, whatever the files say.
    pub removed: bool,
    pub full_name: Option<String>,
    pub admin: Option<bool>,
    /// A hash.
    pub password: Option<String>,
    pub notification_channels: Option<Vec<ChannelOverlay>>,
}

/// Never shows the hash.
impl std::fmt::Debug for UserOverlay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserOverlay")
            .field("removed", &self.removed)
            .field("admin", &self.admin)
            .finish_non_exhaustive()
    }
}

/// An entry of `notification_channels`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct ChannelOverlay {
    pub channel: String,
    pub to: Vec<String>,
    pub min_level: Option<String>,
}

/// A host as the API left it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostOverlay {
    pub owner: Option<String>,
    pub managers: Option<Vec<String>>,
    pub monitors: Option<Vec<String>>,
    pub tags: Option<Vec<String>>,
    /// The empty text: none.
    pub group: Option<String>,
}

/// Who has which role on a host, files and overlay together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles<'a> {
    /// `default_owner` where nobody else is named.
    pub owner: Option<&'a str>,
    pub managers: &'a [String],
    pub monitors: &'a [String],
}

impl Server {
    /// The files' configuration with the overlay over it.
    pub fn with_overlay(mut self, overlay: Overlay) -> Server {
        for (name, over) in &overlay.users {
            if over.removed {
                self.users.remove(name);
                continue;
            }
            let user = self.users.entry(name.clone()).or_insert_with(|| User {
                full_name: name.clone(),
                avatar: None,
                password: None,
                admin: false,
                notification_channels: Vec::new(),
            });
            over.lay_over(user);
        }
        let is_user = |name: &String| self.users.contains_key(name);
        if !self.default_owner.as_ref().is_some_and(is_user) {
            let admin =
                self.users.iter().find(|(_, user)| user.admin).map(|(name, _)| name.clone());
            self.default_owner = admin.or(self.default_owner.take());
        }
        self.overlay = overlay;
        self
    }

    pub fn roles(&self, host: &str) -> Roles<'_> {
        let (own, over) = (self.hosts.get(host), self.overlay.hosts.get(host));
        let owner = over.and_then(|o| o.owner.as_deref()).or(own.and_then(|o| o.owner.as_deref()));
        Roles {
            owner: owner.or(self.default_owner.as_deref()),
            managers: pick(over.and_then(|o| o.managers.as_ref()), own.map(|o| &o.managers)),
            monitors: pick(over.and_then(|o| o.monitors.as_ref()), own.map(|o| &o.monitors)),
        }
    }

    pub fn tags(&self, host: &str) -> &[String] {
        let over = self.overlay.hosts.get(host).and_then(|over| over.tags.as_ref());
        over.or(self.hosts.get(host).map(|own| &own.tags)).map_or(&[], Vec::as_slice)
    }

    pub fn group(&self, host: &str) -> Option<&str> {
        match self.overlay.hosts.get(host).and_then(|over| over.group.as_deref()) {
            Some("") => None,
            Some(group) => Some(group),
            None => self.hosts.get(host).and_then(|own| own.group.as_deref()),
        }
    }
}

fn pick<'a>(over: Option<&'a Vec<String>>, own: Option<&'a Vec<String>>) -> &'a [String] {
    over.or(own).map_or(&[], Vec::as_slice)
}

impl UserOverlay {
    fn lay_over(&self, user: &mut User) {
        if let Some(name) = &self.full_name {
            user.full_name.clone_from(name);
        }
        if let Some(admin) = self.admin {
            user.admin = admin;
        }
        if let Some(hash) = &self.password {
            user.password = Some(Secret::Text(hash.clone()));
        }
        if let Some(channels) = &self.notification_channels {
            let channel = |own: &ChannelOverlay| UserChannel {
                channel: own.channel.clone(),
                to: own.to.iter().cloned().map(Secret::Text).collect(),
                min_level: own.min_level.as_deref().and_then(Level::parse),
            };
            user.notification_channels = channels.iter().map(channel).collect();
        }
    }
}

impl Overlay {
    pub fn is_empty(&self) -> bool {
        *self == Overlay::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::server::Host;

    fn base() -> Server {
        let user = |admin| User {
            full_name: "From the file".to_owned(),
            avatar: None,
            password: Some(Secret::Text("old".to_owned())),
            admin,
            notification_channels: Vec::new(),
        };
        let host = Host {
            owner: Some("bob".to_owned()),
            managers: vec!["max".to_owned()],
            tags: vec!["web".to_owned()],
            group: Some("basel".to_owned()),
            ..Host::default()
        };
        Server {
            users: [("root".to_owned(), user(true)), ("bob".to_owned(), user(false))].into(),
            hosts: [("web1".to_owned(), host)].into(),
            default_owner: Some("root".to_owned()),
            ..Server::default()
        }
    }

    #[test]
    fn overlay_changes_what_it_names_and_nothing_else() {
        let changed = UserOverlay {
            admin: Some(true),
            password: Some("new".to_owned()),
            ..UserOverlay::default()
        };
        let removed = UserOverlay { removed: true, ..UserOverlay::default() };
        let users = [("bob", changed.clone()), ("eve", changed), ("root", removed)];
        let web1 = HostOverlay { owner: Some("eve".to_owned()), ..HostOverlay::default() };
        let db1 = HostOverlay {
            managers: Some(vec!["bob".to_owned()]),
            group: Some("zug".to_owned()),
            ..HostOverlay::default()
        };
        let overlay = Overlay {
            users: users.map(|(name, over)| (name.to_owned(), over)).into(),
            hosts: [("web1".to_owned(), web1), ("db1".to_owned(), db1)].into(),
        };
        let server = base().with_overlay(overlay);
        assert_eq!(server.users.keys().collect::<Vec<_>>(), ["bob", "eve"]);
        let bob = &server.users["bob"];
        assert!(bob.admin && bob.full_name == "From the file");
        assert_eq!(bob.password, Some(Secret::Text("new".to_owned())));
        assert_eq!(server.users["eve"].full_name, "eve");
        let web1 = server.roles("web1");
        assert_eq!((web1.owner, web1.managers), (Some("eve"), &["max".to_owned()][..]));
        let db1 = server.roles("db1");
        assert_eq!((db1.owner, db1.managers), (Some("bob"), &["bob".to_owned()][..]));
        assert_eq!((server.group("db1"), server.group("web1")), (Some("zug"), Some("basel")));
        assert!(!server.hosts.contains_key("db1"), "an overlay declares no host");
        assert_eq!(server.tags("web1"), ["web"]);
        assert!(!format!("{:?}", server.overlay).contains("new"));
    }

    #[test]
    fn empty_overlay_is_the_files_alone() {
        let same = format!("{:?}", base().with_overlay(Overlay::default()));
        assert_eq!(same, format!("{:?}", base()));
        let server = base();
        assert_eq!(server.roles("nobody").owner, Some("root"));
        assert_eq!(server.roles("web1").owner, Some("bob"));
    }
}
