//! `/wall`: numbers, map and messages in large type, for a screen that nobody touches.

use super::choice::Choice;
use super::feed::{self, Item};
use super::live::{Tile, tiles};
use super::map::{Map, map};
use super::mark::{Mark, mark};
use super::number;
use super::page;
use super::shell::{self, Shell};
use crate::engine::view::Severity;
use crate::web::authz;
use crate::web::problem::Problem;
use crate::web::select::{Filter, Sort, select};
use crate::web::why::why;
use crate::web::{Answer, Call};
use serde::Serialize;

const WORST: usize = 8;
const MESSAGES: usize = 8;

#[derive(Serialize)]
struct Wall {
    shell: Shell,
    hosts: String,
    tiles: Vec<Tile>,
    map: Map,
    worst: Vec<(Mark, String, String, String)>,
    feed: Vec<Item>,
}

/// `GET /wall`; there only with `wall: true`.
pub fn respond(call: &Call<'_>) -> Answer {
    if !call.context.config.wall {
        return Err(Problem::new(404, "off", "The wall is off.")
            .hint("Write wall: true into the configuration and reload."));
    }
    let view = authz::listed(&call.context.view, &call.caller);
    let clock = shell::clock(call);
    let now = call.context.now.wall;
    let filter = Filter {
        severities: Severity::ALL.into_iter().filter(|s| *s < Severity::Unknown).collect(),
        ..Filter::default()
    };
    let worst = select(&view, &filter, Sort::Severity, 0, WORST).hosts.into_iter();
    let context = Wall {
        shell: Shell::new(call, "wall", "Wall"),
        hosts: number::count(view.hosts.len as u64),
        tiles: tiles(&view, &Filter::default(), now),
        map: map(call, &view, &Choice::default()),
        worst: worst
            .map(|host| {
                let age = clock.since(host.since).text;
                (mark(host.severity), host.name.to_string(), age, why(host, now).into_owned())
            })
            .collect(),
        feed: feed::items(&clock, view.events.iter().rev().take(MESSAGES)),
    };
    page(call, 200, "wall.html", &context)
}
