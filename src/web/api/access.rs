//! `hosts/H/access` and `hosts/H/tags`: who may do what with a host, and what it is called by.
//!
//! Both go into the overlay, never into the configuration file.

use super::{body, ok};
use crate::config::server::{HostOverlay, is_tag, is_user_name};
use crate::engine::view::EventKind;
use crate::limits;
use crate::text;
use crate::web::authz::{Access, Manager, Monitor, Owner};
use crate::web::problem::Problem;
use crate::web::{Answer, Call, Change};
use serde::{Deserialize, Serialize};

const GROUP_MAX: usize = 64;

/// `GET hosts/H/access`
pub fn show(_: &Call<'_>, access: &Access<'_, Monitor>) -> Answer {
    #[derive(Serialize)]
    struct Shown<'a> {
        owner: Option<&'a str>,
        managers: Vec<&'a str>,
        monitors: Vec<&'a str>,
    }
    let host = access.host();
    ok(&Shown {
        owner: host.owner.as_deref(),
        managers: host.managers.iter().map(|name| &**name).collect(),
        monitors: host.monitors.iter().map(|name| &**name).collect(),
    })
}

/// `PUT hosts/H/access {owner,managers,monitors}`; what is absent stays.
pub fn change(call: &Call<'_>, access: &Access<'_, Owner>) -> Answer {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wish {
        owner: Option<String>,
        managers: Option<Vec<String>>,
        monitors: Option<Vec<String>>,
    }
    #[derive(Serialize)]
    struct Now<'a> {
        owner: Option<&'a str>,
        managers: &'a [String],
        monitors: &'a [String],
    }
    let wish: Wish = body(call, "owner")?;
    let host = access.name();
    if let Some(owner) = &wish.owner {
        check_user(call, owner, "owner")?;
    }
    for (list, field) in [(&wish.managers, "managers"), (&wish.monitors, "monitors")] {
        let names = list.iter().flatten();
        check_count(names.clone().count(), field)?;
        names.clone().try_for_each(|name| check_user(call, name, field))?;
    }
    let now = call.context.config.roles(&host);
    let owner = wish.owner.clone().or(now.owner.map(str::to_owned));
    let managers = wish.managers.clone().unwrap_or_else(|| now.managers.to_vec());
    let monitors = wish.monitors.clone().unwrap_or_else(|| now.monitors.to_vec());
    let over = HostOverlay {
        owner: wish.owner,
        managers: wish.managers,
        monitors: wish.monitors,
        ..HostOverlay::default()
    };
    call.context.accounts.change(Change::Host(host.clone(), over))?;
    let listed =
        |names: &[String]| if names.is_empty() { "-".to_owned() } else { names.join(", ") };
    let text = format!(
        "access to {host} was changed: owner {}, managers {}, monitors {}",
        owner.as_deref().unwrap_or("-"),
        listed(&managers),
        listed(&monitors)
    );
    call.note(EventKind::User, Some(&host), text);
    ok(&Now { owner: owner.as_deref(), managers: &managers, monitors: &monitors })
}

/// `PUT hosts/H/tags {tags,group}`; what is absent stays, an empty group is none.
pub fn tags(call: &Call<'_>, access: &Access<'_, Manager>) -> Answer {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wish {
        tags: Option<Vec<String>>,
        #[serde(default, deserialize_with = "some")]
        group: Option<Option<String>>,
    }
    #[derive(Serialize)]
    struct Now<'a> {
        tags: &'a [String],
        group: Option<&'a str>,
    }
    let wish: Wish = body(call, "tags")?;
    let host = access.name();
    let names = wish.tags.iter().flatten();
    check_count(names.clone().count(), "tags")?;
    if let Some(bad) = names.clone().find(|tag| tag.len() > GROUP_MAX || !is_tag(tag)) {
        let shown = text::escape_control(text::cut(bad, 80)).into_owned();
        return Err(Problem::new(422, "bad_body", format!("{shown:?} is not a tag."))
            .hint("Use a-z, 0-9, '_' and '-', beginning with a letter or digit.")
            .field("tags"));
    }
    let group = wish.group.map(Option::unwrap_or_default).map(|group| group.trim().to_owned());
    let too_long = |group: &String| group.len() > GROUP_MAX;
    if group.as_ref().is_some_and(|g| too_long(g) || g.chars().any(text::is_hostile)) {
        let detail = format!("A group is at most {GROUP_MAX} bytes of printable text.");
        return Err(Problem::new(422, "bad_body", detail).field("group"));
    }
    let config = &call.context.config;
    let tags = wish.tags.clone().unwrap_or_else(|| config.tags(&host).to_vec());
    let shown = match &group {
        Some(group) => Some(group.clone()).filter(|group| !group.is_empty()),
        None => config.group(&host).map(str::to_owned),
    };
    let over = HostOverlay { tags: wish.tags, group, ..HostOverlay::default() };
    call.context.accounts.change(Change::Host(host.clone(), over))?;
    let text = format!(
        "{host} is tagged {} in group {}",
        if tags.is_empty() { "-".to_owned() } else { tags.join(", ") },
        shown.as_deref().unwrap_or("-")
    );
    call.note(EventKind::Config, Some(&host), text);
    ok(&Now { tags: &tags, group: shown.as_deref() })
}

/// `null` is a value here: no group.
fn some<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

fn check_count(count: usize, field: &'static str) -> Result<(), Problem> {
    if count <= limits::ACCESS_NAMES {
        return Ok(());
    }
    let detail = format!("{field} has more than {} items.", limits::ACCESS_NAMES);
    Err(Problem::new(422, "bad_body", detail).field(field))
}

fn check_user(call: &Call<'_>, name: &str, field: &'static str) -> Result<(), Problem> {
    if is_user_name(name) && call.context.config.users.contains_key(name) {
        return Ok(());
    }
    let shown = text::escape_control(text::cut(name, 40)).into_owned();
    Err(Problem::new(422, "no_such_user", format!("There is no user {shown:?}."))
        .hint("An admin sees all of them with GET /api/0/users.")
        .field(field))
}

/// What the overlay says of a host goes with it.
pub fn forget(call: &Call<'_>, host: &str) -> Result<(), Problem> {
    if call.context.config.overlay.hosts.contains_key(host) {
        call.context.accounts.change(Change::HostGone(host.to_owned()))?;
    }
    Ok(())
}
