//! `silences` and `maintenance`: what is quiet, from when to when; and how the calendar's refusals
//! are told.

use super::{no_content, ok};
use crate::calm::{
    Fault, FaultKind, MaintenanceRequest, MaintenanceShown, Matcher, SilenceRequest, SilenceShown,
    Target,
};
use crate::engine::{Command, Outcome};
use crate::web::authz::{self, Level, Manager, Unowned};
use crate::web::problem::Problem;
use crate::web::{Answer, Call};
use serde::Serialize;
use serde::de::IgnoredAny;

/// `GET silences`
pub fn silences(call: &Call<'_>) -> Answer {
    #[derive(Serialize)]
    struct List<'a> {
        silences: Vec<SilenceShown<'a>>,
    }
    let view = &call.context.view;
    ok(&List { silences: view.silences.iter().map(|s| SilenceShown::of(s)).collect() })
}

/// `POST silences {match,until,reason}`
pub fn silence(call: &Call<'_>) -> Answer {
    let request = SilenceRequest::parse(json_body(call)?).map_err(refused)?;
    may_quiet(call, exact_host(&request.matcher), &|t| request.matcher.concerns(t))?;
    let by = call.caller.by();
    made(call.act(Command::Silence { request, by }))
}

/// `DELETE silences/ID`
pub fn unsilence(call: &Call<'_>) -> Answer {
    let id = call.param("id");
    let known = call.context.view.silences.iter().find(|silence| *silence.id == *id);
    match known {
        Some(silence) => {
            may_quiet(call, std::iter::empty(), &|t| silence.matcher.concerns(t))?;
        }
        None => must_see_all(call, id)?,
    }
    done(call.act(Command::Unsilence { id: id.to_owned() }))
}

/// `GET maintenance`: those of the configuration and of the hosts themselves among them.
pub fn maintenances(call: &Call<'_>) -> Answer {
    #[derive(Serialize)]
    struct List<'a> {
        maintenance: Vec<MaintenanceShown<'a>>,
    }
    let now = call.context.now.wall;
    let shown = call.context.view.maintenances.iter().map(|(window, running)| {
        let span = running.then(|| window.schedule.active(now)).flatten();
        MaintenanceShown::of(window, span, now)
    });
    ok(&List { maintenance: shown.collect() })
}

/// `POST maintenance {hosts,tags,groups,start,end,repeat,days,zone,reason}`
pub fn plan(call: &Call<'_>) -> Answer {
    let request = MaintenanceRequest::parse(json_body(call)?).map_err(refused)?;
    may_quiet(call, exact(&request.hosts), &|t| request.covers(t))?;
    let by = call.caller.by();
    made(call.act(Command::Plan { request, by }))
}

/// `DELETE maintenance/ID`: takes a window back, or ends it where it is running.
pub fn end(call: &Call<'_>) -> Answer {
    let id = call.param("id");
    let known = call.context.view.maintenances.iter().find(|(window, _)| *window.id == *id);
    match known {
        Some((window, _)) => may_quiet(call, std::iter::empty(), &|t| window.covers(t))?,
        None => must_see_all(call, id)?,
    }
    done(call.act(Command::EndPlan { id: id.to_owned() }))
}

/// Whether the caller manages every host that this is for, and there are such hosts: a scope for
/// hosts to come is the fleet's affair. `named` are hosts that it names without a glob.
fn may_quiet<'a>(
    call: &Call<'_>,
    mut named: impl Iterator<Item = &'a str>,
    is_for: &dyn Fn(&Target<'_>) -> bool,
) -> Result<(), Problem> {
    if call.caller.sees_all() {
        return Ok(());
    }
    let too_wide = || {
        Problem::new(403, "scope_too_wide", "The scope takes in more than the hosts you manage.")
            .hint("Name hosts that you own or manage, or ask an admin.")
    };
    named.try_for_each(|name| authz::access::<Manager>(call, name, Unowned::Open).map(drop))?;
    let mut some = false;
    for host in call.whole.hosts.iter() {
        let tags: Vec<String> = host.tags.iter().map(|tag| tag.to_string()).collect();
        if is_for(&authz::target(host, &tags)) {
            if authz::level(&call.caller, host) == Level::Nothing {
                return Err(too_wide());
            }
            authz::access::<Manager>(call, &host.name, Unowned::Open)?;
            some = true;
        }
    }
    if some { Ok(()) } else { Err(too_wide()) }
}

/// Names among globs.
fn exact(globs: &[String]) -> impl Iterator<Item = &str> {
    globs.iter().map(|glob| &**glob).filter(|glob| !glob.contains(['*', '?', '[']))
}

fn exact_host(matcher: &Matcher) -> impl Iterator<Item = &str> {
    matcher
        .pairs()
        .filter(|(kind, glob)| *kind == "host" && !glob.contains(['*', '?', '[']))
        .map(|(_, glob)| glob)
}

/// The answer for an id that the caller does not see: as if there were none.
fn must_see_all(call: &Call<'_>, id: &str) -> Result<(), Problem> {
    if call.caller.sees_all() {
        return Ok(());
    }
    let shown = crate::text::escape_control(crate::text::cut(id, 80));
    Err(Problem::new(404, "no_such_id", format!("There is no {shown}.")))
}

fn made(outcome: Outcome) -> Answer {
    #[derive(Serialize)]
    struct Made {
        id: String,
    }
    let Outcome::Made(id) = outcome else { return Err(unexpected(outcome)) };
    let mut response = ok(&Made { id })?;
    response.status = 201;
    Ok(response)
}

fn done(outcome: Outcome) -> Answer {
    match outcome {
        Outcome::Done => Ok(no_content()),
        outcome => Err(unexpected(outcome)),
    }
}

/// The problem in place of what was hoped for. A change whose answer never came is told by the
/// shell, which puts its own in the place of this one.
pub fn unexpected(outcome: Outcome) -> Problem {
    match outcome {
        Outcome::Refused(fault) => refused(fault),
        _ => Problem::new(503, "not_answered", "The server could not carry it out now."),
    }
}

/// A fault as a sentence, with how to mend it.
pub fn refused_words(fault: Fault) -> String {
    let problem = refused(fault);
    let hint = problem.hint.as_deref().map(|hint| format!(" {hint}")).unwrap_or_default();
    format!("{}{hint}", problem.detail)
}

pub fn refused(fault: Fault) -> Problem {
    let (status, code) = match fault.kind {
        FaultKind::Invalid => (422, "bad_body"),
        FaultKind::NotFound => (404, "no_such_id"),
        FaultKind::Configured => (409, "configured"),
        FaultKind::Full => (429, "full"),
    };
    let mut letters = fault.what.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    let detail: String = first.into_iter().chain(letters).chain(['.']).collect();
    let mut problem = Problem::new(status, code, detail);
    problem.hint = fault.hint;
    problem.field = fault.field;
    problem
}

/// The bytes of a body that is JSON and says so: 415 or 400 where it does not.
pub fn json_body<'a>(call: &Call<'a>) -> Result<&'a [u8], Problem> {
    super::check_json(call)?;
    let body = call.request.body;
    serde_json::from_slice::<IgnoredAny>(body).map_err(|error| {
        Problem::new(400, "bad_json", format!("The body is not JSON: {error}."))
    })?;
    Ok(body)
}
