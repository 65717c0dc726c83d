//! What a caller may do: the one place that makes [`Access`] and [`Admin`].
//!
//! A handler that needs a right takes the proof of it as an argument, and proofs cannot be made
//! elsewhere: their fields are private. What a caller may not see is not in the view that handlers
//! get ([`scoped`]), so a host that is forbidden and one that does not exist are the same 404.

use super::api::find_host;
use super::caller::Caller;
use super::live::Scope;
use super::problem::Problem;
use super::{Call, Method};
use crate::account::Reach;
use crate::calm::{Maintenance, Silence, Target};
use crate::engine::view::{Event, EventKind, Host, View};
use std::marker::PhantomData;
use std::sync::Arc;

/// Sees status, data and alerts of a host.
#[derive(Debug)]
pub enum Monitor {}
/// A monitor who also acknowledges, silences, commands, upgrades and moves DNS.
#[derive(Debug)]
pub enum Manager {}
/// A manager who also drops the host and says who else may.
#[derive(Debug)]
pub enum Owner {}

/// A window of maintenance, and whether it is running.
type Window = (Arc<Maintenance>, bool);

/// A role as a type.
pub trait Role {
    const LEVEL: Level;
}

impl Role for Monitor {
    const LEVEL: Level = Level::Monitor;
}

impl Role for Manager {
    const LEVEL: Level = Level::Manager;
}

impl Role for Owner {
    const LEVEL: Level = Level::Owner;
}

/// How far a caller's rights over a host go; each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Nothing,
    Monitor,
    Manager,
    Owner,
}

impl Level {
    pub const fn as_str(self) -> &'static str {
        match self {
            Level::Nothing => "nothing",
            Level::Monitor => "monitor",
            Level::Manager => "manager",
            Level::Owner => "owner",
        }
    }
}

/// Proof that the caller has the role `R`, or a higher one, on this host.
#[derive(Debug)]
pub struct Access<'a, R: Role> {
    host: &'a Arc<Host>,
    role: PhantomData<R>,
}

impl<'a, R: Role> Access<'a, R> {
    pub fn host(&self) -> &'a Arc<Host> {
        self.host
    }

    pub fn name(&self) -> String {
        self.host.name.to_string()
    }
}

/// Proof that the caller is an admin (or sits at the control socket).
#[derive(Debug)]
pub struct Admin(());

/// Whether a right holds while no users are configured (SPEC section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unowned {
    /// Anybody may.
    Open,
    /// Only the control socket: what would be done, and the command that does it.
    Closed(&'static str, &'static str),
}

/// The caller's rights over a host.
pub fn level(caller: &Caller, host: &Host) -> Level {
    let Caller::User(identity) = caller else {
        return if *caller == Caller::Anonymous { Level::Nothing } else { Level::Owner };
    };
    let is_user = |name: &Arc<str>| *name == identity.user;
    if identity.admin || host.owner.as_ref().is_some_and(is_user) {
        Level::Owner
    } else if host.managers.iter().any(is_user) {
        Level::Manager
    } else if host.monitors.iter().any(is_user) {
        Level::Monitor
    } else {
        Level::Nothing
    }
}

/// The role `R` on the host `name`, or why not: 401, the 404 of a host that does not exist, or 403.
pub fn access<'a, R: Role>(
    call: &'a Call<'_>,
    name: &str,
    unowned: Unowned,
) -> Result<Access<'a, R>, Problem> {
    signed_in(call)?;
    let host = find_host(&call.context.view, name)?;
    check_unowned(call, unowned)?;
    let own = level(&call.caller, host);
    if own < R::LEVEL {
        return Err(missing(call, host, R::LEVEL));
    }
    check_reach(call, R::LEVEL)?;
    Ok(Access { host, role: PhantomData })
}

pub fn admin(call: &Call<'_>, unowned: Unowned) -> Result<Admin, Problem> {
    signed_in(call)?;
    check_unowned(call, unowned)?;
    if !call.caller.is_admin() && call.caller != Caller::Open {
        let user = call.caller.user().unwrap_or_default();
        let detail = format!("This needs an admin, and {user} is none.");
        return Err(Problem::new(403, "not_admin", detail).hint("Ask an admin of this server."));
    }
    check_reach(call, Level::Owner)?;
    Ok(Admin(()))
}

/// Somebody who may see something: a user, or anybody while there are none.
pub fn signed_in(call: &Call<'_>) -> Result<(), Problem> {
    if call.caller != Caller::Anonymous {
        return Ok(());
    }
    Err(Problem::new(401, "sign_in", "This needs a signed-in user.").hint(
        "POST /api/0/auth/login with username and password, or send a token as \
         Authorization: Bearer.",
    ))
}

/// Something to look at; what the caller may not see is not in the view.
pub fn may_look(call: &Call<'_>, unowned: Unowned) -> Result<(), Problem> {
    signed_in(call)?;
    check_unowned(call, unowned)
}

/// A change that is the caller's own affair, or whose hosts the handler looks at one by one.
pub fn may_change(call: &Call<'_>, unowned: Unowned) -> Result<(), Problem> {
    signed_in(call)?;
    check_unowned(call, unowned)?;
    check_reach(call, Level::Manager)
}

fn check_unowned(call: &Call<'_>, unowned: Unowned) -> Result<(), Problem> {
    let Unowned::Closed(what, command) = unowned else { return Ok(()) };
    if call.caller != Caller::Open {
        return Ok(());
    }
    Err(Problem::new(
        403,
        "control_socket_only",
        format!("{what} over the network needs a signed-in user, and no users are configured."),
    )
    .hint(command))
}

/// A token may reach less far than its user.
fn check_reach(call: &Call<'_>, level: Level) -> Result<(), Problem> {
    let Caller::User(identity) = &call.caller else { return Ok(()) };
    let needed = match level {
        _ if call.method.is_safe() => Reach::Read,
        Level::Nothing | Level::Monitor | Level::Manager => Reach::Operate,
        Level::Owner => Reach::Admin,
    };
    if identity.reach >= needed {
        return Ok(());
    }
    let detail = format!(
        "This needs a token of scope {}, and this one has {}.",
        needed.as_str(),
        identity.reach.as_str()
    );
    Err(Problem::new(403, "token_scope", detail)
        .hint("Make another token under Settings, or with hbd token new."))
}

/// `You are monitor of db-01. Dropping it needs owner: Alice Smith.`
fn missing(call: &Call<'_>, host: &Host, level: Level) -> Problem {
    let own = match self::level(&call.caller, host) {
        Level::Nothing => format!("You have no role on {}.", host.name),
        level => format!("You are {} of {}.", level.as_str(), host.name),
    };
    let full = |user: &str| {
        let known = call.context.config.users.get(user);
        known.map_or_else(|| user.to_owned(), |user| user.full_name.clone())
    };
    let who = match (&host.owner, level) {
        (Some(owner), Level::Owner) => format!(": {}", full(owner)),
        (Some(owner), _) => format!(" (its owner is {})", full(owner)),
        (None, _) => String::new(),
    };
    let detail = format!("{own} {} needs {}{who}.", doing(call), level.as_str());
    let problem = Problem::new(403, "role_missing", detail);
    match &host.owner {
        Some(owner) => problem.hint(format!("The owner, {owner}, or an admin can give it to you.")),
        None => problem.hint("An admin can give it to you."),
    }
}

/// What was asked for, as the begin of a sentence.
fn doing(call: &Call<'_>) -> &'static str {
    let last = call.request.path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    match (call.method, last) {
        (_, "watch") => "Watching it or not",
        (_, "dns") => "Updating its DNS",
        (_, "commands") => "A command",
        (_, "upgrade") => "An upgrade",
        (_, "access") => "Changing its access",
        (_, "tags") => "Changing its tags",
        (_, "ack") => "Acknowledging",
        (_, "silences") => "Silencing it",
        (_, "maintenance") => "Planning its maintenance",
        (Method::Delete, last) if call.param("host").eq_ignore_ascii_case(last) => "Dropping it",
        _ => "This",
    }
}

// What is shown.

/// Whether lists of hosts and `/live` name the host: those that the caller owns or manages. A
/// monitor reaches a host by its address.
pub fn is_listed(caller: &Caller, host: &Host) -> bool {
    level(caller, host) >= Level::Manager
}

/// The same for the live protocol.
pub fn live_scope(caller: &Caller) -> Scope {
    if caller.sees_all() {
        return Scope::all();
    }
    let caller = caller.clone();
    Scope::only(move |host| is_listed(&caller, host))
}

/// The same for a client that asks for all that its user may see.
pub fn reach(caller: &Caller) -> Scope {
    if caller.sees_all() {
        return Scope::all();
    }
    let caller = caller.clone();
    Scope::only(move |host| level(&caller, host) > Level::Nothing)
}

/// The fleet as far as the caller may see it at all.
pub fn scoped(view: &Arc<View>, caller: &Caller) -> Arc<View> {
    restrict(view, caller, &|host| level(caller, host) > Level::Nothing)
}

/// The fleet as lists show it to the caller.
pub fn listed(view: &Arc<View>, caller: &Caller) -> Arc<View> {
    restrict(view, caller, &|host| is_listed(caller, host))
}

fn restrict(view: &Arc<View>, caller: &Caller, shows: &dyn Fn(&Host) -> bool) -> Arc<View> {
    if caller.sees_all() {
        return Arc::clone(view);
    }
    let mut scoped = View::clone(view);
    (scoped.counts, scoped.hosts.len) = ([0; 8], 0);
    for chunk in &mut scoped.hosts.chunks {
        let is_whole = chunk.slots.iter().flatten().all(|(_, host)| shows(host));
        if !is_whole {
            let slots = &mut Arc::make_mut(chunk).slots;
            slots.iter_mut().for_each(|slot| drop(slot.take_if(|(_, host)| !shows(host))));
        }
        for (key, _) in chunk.slots.iter().flatten() {
            scoped.counts[key.severity.code() as usize] += 1;
            scoped.hosts.len += 1;
        }
    }
    let hosts = &scoped.hosts;
    let is_shown = |id| hosts.get(id).is_some();
    let names = view.names.iter().filter(|(_, id)| is_shown(*id)).cloned();
    scoped.names = Arc::new(names.collect());
    let events = view.events.iter().filter(|event| is_event_shown(event, caller, &is_shown));
    scoped.events = Arc::new(events.cloned().collect());
    let is_known = |alert: &str| {
        let host = alert.split_once('/').map_or(alert, |(host, _)| host);
        scoped.host(host).is_some()
    };
    let acks = view.acknowledgements.iter().filter(|ack| is_known(&ack.alert));
    let acks = Arc::new(acks.cloned().collect());
    let (silences, windows) = quiet_over(&scoped, view);
    (scoped.acknowledgements, scoped.silences, scoped.maintenances) = (acks, silences, windows);
    (scoped.ghosts, scoped.refusals) = (Arc::default(), Arc::default());
    if *caller == Caller::Anonymous {
        scoped.counters = Default::default();
    }
    Arc::new(scoped)
}

/// The silences and windows that are for one of the hosts shown.
fn quiet_over(scoped: &View, whole: &View) -> (Arc<Vec<Arc<Silence>>>, Arc<Vec<Window>>) {
    let mut silences = whole.silences.iter().map(|silence| (silence, false)).collect::<Vec<_>>();
    let mut windows = whole.maintenances.iter().map(|window| (window, false)).collect::<Vec<_>>();
    if !silences.is_empty() || !windows.is_empty() {
        for host in scoped.hosts.iter() {
            let tags: Vec<String> = host.tags.iter().map(|tag| tag.to_string()).collect();
            let target = target(host, &tags);
            silences.iter_mut().for_each(|(s, shown)| *shown |= s.matcher.concerns(&target));
            windows.iter_mut().for_each(|((w, _), shown)| *shown |= w.covers(&target));
        }
    }
    let silences = silences.into_iter().filter(|(_, shown)| *shown).map(|(s, _)| s.clone());
    let windows = windows.into_iter().filter(|(_, shown)| *shown).map(|(w, _)| w.clone());
    (Arc::new(silences.collect()), Arc::new(windows.collect()))
}

/// A host as scopes of silences and windows see it.
pub fn target<'a>(host: &'a Host, tags: &'a [String]) -> Target<'a> {
    Target { host: &host.name, group: host.group.as_deref(), tags, plugin: None, path: None }
}

/// Entries of hosts that are shown, the server's own state, and what is about the user.
pub fn is_event_shown(event: &Event, caller: &Caller, is_shown: &dyn Fn(u32) -> bool) -> bool {
    if caller.sees_all() {
        return true;
    }
    match &event.host {
        Some((id, _)) => is_shown(*id),
        None if event.kind == EventKind::Server => *caller != Caller::Anonymous,
        None => event.user.is_some() && event.user.as_deref() == caller.user(),
    }
}
