//! `silences` and `maintenance`: what is quiet, from when to when; and how the calendar's refusals
//! are told.

use super::{no_content, ok};
use crate::calm::{
    Fault, FaultKind, MaintenanceRequest, MaintenanceShown, SilenceRequest, SilenceShown,
};
use crate::engine::{Command, Outcome};
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
    made(call.context.engine.act(Command::Silence { request, by: None }))
}

/// `DELETE silences/ID`
pub fn unsilence(call: &Call<'_>, id: &str) -> Answer {
    done(call.context.engine.act(Command::Unsilence { id: id.to_owned() }))
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
    made(call.context.engine.act(Command::Plan { request, by: None }))
}

/// `DELETE maintenance/ID`: takes a window back, or ends it where it is running.
pub fn end(call: &Call<'_>, id: &str) -> Answer {
    done(call.context.engine.act(Command::EndPlan { id: id.to_owned() }))
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
