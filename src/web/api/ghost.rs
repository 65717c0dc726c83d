//! `ghosts`: names that were refused and may be accepted.

use super::{body, ok};
use crate::engine::{Command, Outcome};
use crate::text;
use crate::web::authz::Admin;
use crate::web::problem::Problem;
use crate::web::{Answer, Call};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// `GET ghosts`
pub fn list(call: &Call<'_>, _: &Admin) -> Answer {
    #[derive(Serialize)]
    struct GhostJson<'a> {
        name: &'a str,
        address: IpAddr,
        first: f64,
        last: f64,
        count: u64,
        reason: &'static str,
    }
    #[derive(Serialize)]
    struct List<'a> {
        ghosts: Vec<GhostJson<'a>>,
    }
    let ghosts = call.context.view.ghosts.iter().map(|ghost| GhostJson {
        name: &ghost.name,
        address: ghost.address.to_canonical(),
        first: ghost.first.as_secs_f64(),
        last: ghost.last.as_secs_f64(),
        count: ghost.count,
        reason: ghost.reason,
    });
    ok(&List { ghosts: ghosts.collect() })
}

/// `POST ghosts/NAME {do}`
pub fn decide(call: &Call<'_>, _: &Admin) -> Answer {
    #[derive(Clone, Copy, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Decision {
        Accept,
        Ignore,
    }
    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wish {
        r#do: Decision,
    }
    let wish: Wish = body(call, "do")?;
    let unknown = || {
        Problem::new(404, "no_such_ghost", "No name of that kind is waiting to be accepted.")
            .hint("GET /api/0/ghosts lists those that are.")
    };
    let name = text::parse_name(call.param("name")).map_err(|_| unknown())?.into_owned();
    let accept = matches!(wish.r#do, Decision::Accept);
    match call.act(Command::Ghost { name, accept }) {
        Outcome::NoSuchHost => Err(unknown()),
        _ => ok(&wish),
    }
}
