//! What the reader may do to a host, by role, and the last samples as they came.
//!
//! Shows forms only for what would be taken; the API judges by itself.

use super::clock::{Clock, When};
use super::panel;
use crate::config::scalar::SSH_SCHEMES;
use crate::engine::view::{CommandShown, CommandState, Host};
use crate::text;
use crate::time::Wall;
use crate::web::Call;
use crate::web::authz::{self, Level};
use crate::web::query;
use serde::Serialize;

const RAW_LINES: usize = 20;
const RAW_MAX: usize = 600;
const COMMANDS_MAX: usize = 20;

#[derive(Serialize)]
pub struct Actions {
    /// Acknowledge, silence, watch.
    pub manage: bool,
    /// Commands, upgrades, names: not while there are no users.
    pub operate: bool,
    /// Drop, access.
    pub own: bool,
    pub ack: Option<String>,
    pub silence: String,
    pub maintenance: String,
    pub watched: bool,
    pub sealed: bool,
    /// The name lies under a domain that is kept.
    pub has_dns: bool,
    pub owner: String,
    pub managers: String,
    pub monitors: String,
    pub tags: String,
    pub group: String,
    /// A way into the machine, where the configuration names one.
    pub ssh: Option<String>,
    /// Names of commands that were asked for before.
    pub known: Vec<String>,
}

pub fn actions(call: &Call<'_>, host: &Host) -> Actions {
    let config = &call.context.config;
    let level = authz::level(&call.caller, host);
    let is_open = config.users.is_empty() && !call.caller.is_admin();
    let names = |list: &[std::sync::Arc<str>]| {
        list.iter().map(|n| n.to_string()).collect::<Vec<_>>().join(", ")
    };
    let raised = host
        .alert_list
        .iter()
        .filter(|alert| alert.level != crate::alert::Level::Ok && alert.acknowledged.is_none());
    let mut ids: Vec<String> =
        raised.map(|alert| format!("{}/{}", host.name, alert.path)).collect();
    if host.state == crate::engine::view::State::Down {
        ids.push(format!("{}/host", host.name));
    }
    let ids: Vec<String> = ids.iter().map(|id| format!("&id={}", query::encode(id))).collect();
    let is_under = |zone: &String| {
        host.name.strip_suffix(zone.as_str()).is_some_and(|rest| rest.ends_with('.'))
    };
    Actions {
        manage: level >= Level::Manager,
        operate: level >= Level::Manager && !is_open,
        own: level >= Level::Owner && !is_open,
        ack: (!ids.is_empty()).then(|| format!("/alerts?act=ack{}#act", ids.concat())),
        silence: panel::link("silence", &host.name),
        maintenance: panel::link("maintenance", &host.name),
        watched: host.watch,
        sealed: host.sealed,
        has_dns: config.dyndomains.iter().any(is_under),
        owner: host.owner.as_deref().unwrap_or_default().to_owned(),
        managers: names(&host.managers),
        monitors: names(&host.monitors),
        tags: names(&host.tags),
        group: host.group.as_deref().unwrap_or_default().to_owned(),
        ssh: ssh(call, host),
        known: known(host),
    }
}

fn known(host: &Host) -> Vec<String> {
    let taken = host.commands.iter().filter(|command| command.state != CommandState::Refused);
    let names: std::collections::BTreeSet<&str> = taken.map(|command| &*command.name).collect();
    names.into_iter().filter(|name| *name != "update").map(str::to_owned).collect()
}

/// `ssh_url` with the host's name or address in it.
fn ssh(call: &Call<'_>, host: &Host) -> Option<String> {
    let url = call.context.config.ssh_url.as_deref()?;
    let address =
        host.address().map(|address| address.to_canonical().to_string()).unwrap_or_default();
    let url = url
        .replace("{host}", &query::encode(&host.name))
        .replace("{address}", &query::encode(&address));
    SSH_SCHEMES.iter().any(|scheme| url.starts_with(scheme)).then_some(url)
}

/// A command or an update on its way, as the host's page lists it.
#[derive(Serialize)]
pub struct CommandRow {
    name: String,
    state: &'static str,
    /// Glyph of how it stands.
    mark: &'static str,
    by: String,
    /// What happened, in order: word and time.
    steps: Vec<(&'static str, When)>,
    result: String,
    output: String,
}

/// The last ones, newest first; for managers alone.
pub fn commands(call: &Call<'_>, host: &Host, clock: &Clock) -> Vec<CommandRow> {
    if authz::level(&call.caller, host) < Level::Manager {
        return Vec::new();
    }
    host.commands
        .iter()
        .rev()
        .take(COMMANDS_MAX)
        .map(|command| command_row(command, clock))
        .collect()
}

fn command_row(command: &CommandShown, clock: &Clock) -> CommandRow {
    use CommandState::*;
    let words: Vec<&str> =
        std::iter::once(&command.name).chain(command.args.iter()).map(|word| &**word).collect();
    let end = match command.state {
        Refused => "refused",
        Failed => "failed",
        Expired => "expired",
        _ => "done",
    };
    let steps = [
        ("queued", Some(command.queued)),
        ("sent", command.sent),
        ("accepted", command.accepted),
        (end, command.finished),
    ];
    let steps = steps.into_iter().filter_map(|(word, at)| Some((word, clock.time(at?))));
    let code = command.exit_code.map(|code| format!("exit {code}"));
    let signal = command.signal.map(|signal| format!("signal {signal}"));
    let reason = command.reason.as_deref().map(str::to_owned);
    let result: Vec<String> = [code, signal, reason].into_iter().flatten().collect();
    CommandRow {
        name: words.join(" "),
        state: command.state.as_str(),
        mark: match command.state {
            Done if command.exit_code.is_none_or(|code| code == 0) => "up",
            Done => "warn",
            Refused | Failed | Expired => "crit",
            _ => "late",
        },
        by: command.by.as_deref().unwrap_or("the server's shell").to_owned(),
        steps: steps.collect(),
        result: result.join(", "),
        output: text::cut(&command.output, RAW_MAX).to_owned(),
    }
}

/// A sample as it came.
#[derive(Serialize)]
pub struct RawLine {
    pub at: When,
    pub plugin: String,
    pub text: String,
}

/// The last of all plugins, newest first; for owners alone.
pub fn raw(call: &Call<'_>, host: &Host, clock: &Clock) -> Vec<RawLine> {
    if authz::level(&call.caller, host) < Level::Owner {
        return Vec::new();
    }
    let mut lines: Vec<(Wall, &str, &str)> = host
        .plugins
        .iter()
        .flat_map(|plugin| {
            let newest = plugin.samples.iter().rev().take(RAW_LINES);
            newest.map(|sample| (sample.at, &*plugin.name, &*sample.data))
        })
        .collect();
    lines.sort_by_key(|(at, ..)| std::cmp::Reverse(*at));
    lines.truncate(RAW_LINES);
    let cut = |data: &str| {
        let short = text::cut(data, RAW_MAX);
        if short.len() < data.len() { format!("{short}…") } else { short.to_owned() }
    };
    lines
        .into_iter()
        .map(|(at, plugin, data)| RawLine {
            at: clock.time(at),
            plugin: plugin.to_owned(),
            text: cut(data),
        })
        .collect()
}
