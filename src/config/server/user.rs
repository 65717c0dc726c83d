//! `users`, and the public `status_page`.

use super::escalation::Level;
use super::key;
use crate::config::node::Value;
use crate::config::problem::quoted;
use crate::config::scalar;
use crate::config::secret::Secret;
use crate::config::section::{At, Fault, Report, Section};
use std::collections::BTreeMap;

/// `users.<name>`
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    /// The name where none is written.
    pub full_name: String,
    /// Path on this server.
    pub avatar: Option<String>,
    /// A hash of `hbd passwd`; `None`: cannot sign in.
    pub password: Option<Secret>,
    pub admin: bool,
    pub notification_channels: Vec<UserChannel>,
}

/// A channel of a user's.
#[derive(Clone, Debug, PartialEq)]
pub struct UserChannel {
    pub channel: String,
    /// Empty: the channel's own destination.
    pub to: Vec<Secret>,
    /// `None`: the channel's.
    pub min_level: Option<Level>,
}

/// `status_page`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StatusPage {
    pub public: bool,
    pub token: Option<Secret>,
    pub title: Option<String>,
    /// Title and its members (host names, `tag:x`, `group:x`), in file order.
    pub groups: Vec<(String, Vec<String>)>,
    pub announcement: Option<String>,
}

/// The users, and the first admin in file order.
pub(super) fn check(
    report: &mut Report<'_>,
    at: &At<'_>,
) -> (BTreeMap<String, User>, Option<String>) {
    let (mut users, mut first_admin) = (BTreeMap::new(), None);
    for (key, node) in at.entries(report) {
        let at = at.child(key, node);
        if !is_user_name(&key.text) {
            let what = format!("{} is not a name of a user", quoted(&key.text));
            let fix =
                "use a-z, 0-9, '.', '_' and '-', at most 32, beginning with a letter or digit";
            report.name_error(&at, what, fix);
            continue;
        }
        let Some(user) = check_one(report, &at, &key.text) else { continue };
        if user.admin && first_admin.is_none() {
            first_admin = Some(key.text.clone());
        }
        users.insert(key.text.clone(), user);
    }
    (users, first_admin)
}

/// `[a-z0-9][a-z0-9._-]{0,31}`
pub fn is_user_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (1..=32).contains(&name.len())
        && plain(name.as_bytes()[0])
        && name.bytes().all(|b| plain(b) || b"._-".contains(&b))
}

fn check_one(report: &mut Report<'_>, at: &At<'_>, name: &str) -> Option<User> {
    let section = Section::open(report, at, key::USER)?;
    let channels = section.get("notification_channels").map(|at| at.items()).unwrap_or_default();
    Some(User {
        full_name: section.text(report, "full_name").unwrap_or_else(|| name.to_owned()),
        avatar: section.read(report, "avatar", avatar),
        password: section.get("password").and_then(|at| password(report, &at)),
        admin: section.bool(report, "admin").unwrap_or(false),
        notification_channels: channels
            .iter()
            .filter_map(|item| user_channel(report, item))
            .collect(),
    })
}

/// A path on this server, so that no page loads anything from elsewhere.
fn avatar(at: &At<'_>) -> Result<String, Fault> {
    let text = scalar::word(at, 512)?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-".contains(&b);
    let inside = text.starts_with('/') && !text.starts_with("//") && !text.contains("..");
    if inside && text.bytes().all(plain) {
        return Ok(text);
    }
    let what = format!("{} is not a path on this server", quoted(&text));
    let fix = "put the picture under templates_dir and write /static/name.png".to_owned();
    Err(Fault { code: "E0106", what, fix })
}

/// `pbkdf2:sha256:ITERATIONS$SALT$HEX`, or a reference to it. With other text the user cannot sign
/// in, which is no reason for the server not to start.
fn password(report: &mut Report<'_>, at: &At<'_>) -> Option<Secret> {
    let secret = scalar::secret(at).map_err(|fault| report.fault(at, fault)).ok()?;
    let Secret::Text(text) = &secret else { return Some(secret) };
    let rest = text.strip_prefix("pbkdf2:sha256:").unwrap_or("");
    let parts: Vec<&str> = rest.split('$').collect();
    let iterations = parts[0].parse::<u32>().unwrap_or(0);
    let whole = parts.len() == 3 && parts.iter().all(|part| !part.is_empty());
    if whole && (1..=10_000_000).contains(&iterations) {
        return Some(secret);
    }
    let what = "\"password\" is not a hash: the user cannot sign in".to_owned();
    report.warn_secret(at, "W0206", what, "write the line that hbd passwd USER prints");
    None
}

fn user_channel(report: &mut Report<'_>, at: &At<'_>) -> Option<UserChannel> {
    if !matches!(at.node.value, Value::Map(_)) {
        let name = scalar::word(at, 64).map_err(|fault| report.fault(at, fault)).ok()?;
        return Some(UserChannel { channel: name, to: Vec::new(), min_level: None });
    }
    let section = Section::open(report, at, key::USER_CHANNEL)?;
    section.require(report, "channel", "add channel: NAME");
    Some(UserChannel {
        channel: section.text(report, "channel")?,
        to: section.list(report, "to", scalar::secret).unwrap_or_default(),
        min_level: section.choice(report, "min_level").and_then(Level::parse),
    })
}

pub(super) fn check_status_page(report: &mut Report<'_>, at: &At<'_>) -> Option<StatusPage> {
    let section = Section::open(report, at, key::STATUS_PAGE)?;
    let mut page = StatusPage {
        public: section.bool(report, "public").unwrap_or(false),
        token: section.secret(report, "token"),
        title: section.text(report, "title"),
        groups: Vec::new(),
        announcement: section.text(report, "announcement"),
    };
    if !page.public && page.token.is_none() && section.get("token").is_none() {
        let what = "a status page that is not public needs a token".to_owned();
        report.error(at, "E0105", what, "add token: {file: PATH}, or public: true");
    }
    if let Some(groups) = section.get("groups") {
        for (key, node) in groups.entries(report) {
            let at = groups.child(key, node);
            let members = at.items().iter().filter_map(|item| member(report, item)).collect();
            page.groups.push((key.text.clone(), members));
        }
    }
    Some(page)
}

/// A host name, `tag:x` or `group:x`.
fn member(report: &mut Report<'_>, at: &At<'_>) -> Option<String> {
    let read = scalar::word(at, 128).and_then(|text| {
        let selector = text.starts_with("tag:") || text.starts_with("group:");
        if selector { Ok(text) } else { scalar::host_name(at) }
    });
    read.map_err(|fault| report.fault(at, fault)).ok()
}
