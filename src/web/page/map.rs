//! The fleet map: a cell per host, one SVG path per state and group; above 2,000 hosts a bar per
//! group. And the names behind the cells, for the script.

use super::choice::{self, Choice, Colour, MapBy};
use super::mark::{Mark, mark};
use super::number;
use crate::engine::view::{Host, Severity, View};
use crate::web::query;
use crate::web::why;
use crate::web::{Answer, Call};
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// More hosts than this are summed up by group.
const CELLS_MAX: usize = 2_000;
/// More groups than this are left to the table.
const GROUPS_MAX: usize = 60;
/// Hosts that are told with why; the others by name and state.
const EXPLAINED_MAX: usize = 500;
const PITCH: usize = 8;
/// A group is drawn about three times as wide as high, up to so many rows; then it grows to the side only.
const ROWS: usize = 7;
const WIDTH_TO_HEIGHT: f64 = 3.0;
const COLUMNS_MAX: usize = 100;
/// Up to so many hosts there is room for cells twice as large.
const LARGE_MAX: usize = 256;

#[derive(Debug, Serialize)]
pub struct Map {
    pub groups: Vec<Group>,
    /// Cells are drawn, not bars.
    pub cells: bool,
    /// CSS pixels for a unit of the drawings.
    pub scale: usize,
    /// Groups that are not shown.
    pub more: usize,
    pub by: &'static str,
    pub colour: &'static str,
    pub is_open: bool,
    /// Bands and what they mean, where it is coloured by a value.
    pub legend: Vec<(usize, &'static str)>,
}

#[derive(Debug, Serialize)]
pub struct Group {
    pub name: String,
    /// `None` for hosts without a group.
    pub href: Option<String>,
    pub count: String,
    /// `288 hosts: 1 down, 1 critical`
    pub label: String,
    /// The two worst states that are not up.
    pub worst: Vec<Mark>,
    pub width: usize,
    pub height: usize,
    /// Cells in a column.
    pub rows: usize,
    /// Class and path.
    pub shapes: Vec<(&'static str, String)>,
}

/// One host as a cell: its state, and its band where the map is coloured by a value.
#[derive(Clone, Copy)]
struct Spot {
    severity: Severity,
    band: Option<usize>,
}

/// The hosts of each group in the order of their names; groups with the worst first.
type Grouped<'a> = Vec<(Cow<'a, str>, Vec<&'a Arc<Host>>)>;

fn grouped<'a>(call: &'a Call<'_>, view: &'a View, by: MapBy) -> Grouped<'a> {
    let mut groups: BTreeMap<Cow<'a, str>, Vec<&'a Arc<Host>>> = BTreeMap::new();
    for (_, id) in view.names.iter() {
        let Some(host) = view.hosts.get(*id) else { continue };
        groups.entry(by.of(call, host)).or_default().push(host);
    }
    let mut sorted: Vec<_> = groups.into_iter().collect();
    sorted.sort_by_key(|(_, members)| {
        let worst = members.iter().map(|host| host.severity).min().unwrap_or(Severity::Up);
        (worst, std::cmp::Reverse(members.len()))
    });
    sorted
}

pub fn map(call: &Call<'_>, view: &View, choice: &Choice) -> Map {
    let cells = view.hosts.len <= CELLS_MAX;
    let groups = grouped(call, view, choice.map);
    let more = groups.len().saturating_sub(GROUPS_MAX);
    let ages = ages_for(view, choice.colour);
    let is_one = groups.len() == 1;
    let groups = groups.into_iter().take(GROUPS_MAX).map(|(name, members)| {
        let spot = |host: &&Arc<Host>| Spot {
            severity: host.severity,
            band: choice.colour.band(host, &ages),
        };
        let spots: Vec<Spot> = members.iter().map(spot).collect();
        group(&name, &spots, choice, (cells, is_one))
    });
    Map {
        groups: groups.collect(),
        cells,
        scale: if view.hosts.len <= LARGE_MAX { 2 } else { 1 },
        more,
        by: choice.map.as_str(),
        colour: choice.colour.as_str(),
        is_open: choice.map_open,
        legend: legend(choice.colour),
    }
}

fn ages_for(view: &View, colour: Colour) -> BTreeMap<&str, usize> {
    if colour == Colour::Age { choice::ages(view.hosts.iter()) } else { BTreeMap::new() }
}

fn legend(colour: Colour) -> Vec<(usize, &'static str)> {
    let words = if colour == Colour::State { &[][..] } else { &colour.legend()[..] };
    words.iter().copied().enumerate().collect()
}

/// `GET /live/map?map=&colour=`: the hosts behind the cells in the order in which they are drawn, for the script that
/// names them under the pointer: name, state code, for how long, why or nothing, band or nothing.
pub fn cells(call: &Call<'_>) -> Answer {
    let choice = Choice::of(call);
    let listed = super::live::listed(call);
    let ages = ages_for(&listed, choice.colour);
    let mut left = EXPLAINED_MAX;
    let clock = super::shell::clock(call);
    let mut line = |host: &&'_ Arc<Host>| -> (String, u8, String, String, Option<usize>) {
        let is_told = host.severity != Severity::Up && left > 0;
        left -= usize::from(is_told);
        let why = if is_told { why::reason(host).into_owned() } else { String::new() };
        let band = choice.colour.band(host, &ages);
        (host.name.to_string(), host.severity.code(), clock.since(host.since).text, why, band)
    };
    let groups = grouped(call, &listed, choice.map).into_iter().take(GROUPS_MAX);
    let groups: Vec<(String, Vec<_>)> = groups
        .map(|(name, members)| (name.into_owned(), members.iter().map(&mut line).collect()))
        .collect();
    let states = Severity::ALL.map(|severity| (severity.as_str(), mark(severity).key));
    crate::web::api::ok(&serde_json::json!({ "states": states, "groups": groups }))
}

fn group(name: &str, members: &[Spot], choice: &Choice, (cells, is_one): (bool, bool)) -> Group {
    let mut counts = [0usize; 8];
    for spot in members {
        counts[usize::from(spot.severity.code())] += 1;
    }
    let problems = Severity::ALL
        .into_iter()
        .filter(|s| *s != Severity::Up && counts[usize::from(s.code())] > 0);
    let mut label = plural(members.len());
    for (i, severity) in problems.clone().enumerate() {
        let joint = if i == 0 { ": " } else { ", " };
        let _ =
            write!(label, "{joint}{} {}", counts[usize::from(severity.code())], severity.as_str());
    }
    let rows = rows(members.len());
    let (width, height, shapes) = match (cells, choice.colour) {
        (false, _) => bar(&counts),
        (true, Colour::State) => draw(members, rows),
        (true, _) => paint(members, rows),
    };
    Group {
        name: match name {
            "" if is_one => "All hosts".to_owned(),
            "" => choice.map.missing().to_owned(),
            name => name.to_owned(),
        },
        href: href(choice.map, name),
        count: number::count(members.len() as u64),
        label,
        worst: problems.take(2).map(mark).collect(),
        width,
        height,
        rows,
        shapes,
    }
}

/// The table with the hosts of a group alone, where the filter can say so.
fn href(by: MapBy, name: &str) -> Option<String> {
    let key = match by {
        MapBy::Group => {
            return (!name.is_empty()).then(|| format!("/live?group={}", query::encode(name)));
        }
        MapBy::Tag => "tag",
        MapBy::Owner => "owner",
        MapBy::Agent => "agent",
        MapBy::Profile | MapBy::Nothing => return None,
    };
    let is_word = !name.is_empty() && !name.contains([' ', ',']);
    is_word.then(|| format!("/live?q={}", query::encode(&format!("{key}:{name}"))))
}

fn rows(count: usize) -> usize {
    let pleasing = (count as f64 / WIDTH_TO_HEIGHT).sqrt().round() as usize;
    pleasing.clamp(1, ROWS).max(count.div_ceil(COLUMNS_MAX))
}

fn plural(count: usize) -> String {
    format!("{} {}", number::count(count as u64), if count == 1 { "host" } else { "hosts" })
}

/// Width, height, and the paths by class.
type Drawn = (usize, usize, Vec<(&'static str, String)>);

/// Cells by state, each state with a shape of its own.
fn draw(members: &[Spot], rows: usize) -> Drawn {
    let mut paths: [String; 8] = Default::default();
    let mut crosses = String::new();
    let is_up = |spot: &Spot| spot.severity == Severity::Up;
    for (i, Spot { severity, .. }) in members.iter().enumerate() {
        let (x, y) = (i / rows * PITCH, i % rows * PITCH);
        if *severity == Severity::Up && i % rows > 0 && is_up(&members[i - 1]) {
            continue;
        }
        let path = &mut paths[usize::from(severity.code())];
        let (x5, y5) = (x as f32 + 3.5, y as f32 + 3.5);
        // Writing to a String cannot fail.
        let _ = match severity {
            Severity::Up => {
                // Those below it in its column with it: a line that the sheet draws as cells.
                let below = &members[i..members.len().min(i + rows - i % rows)];
                let run = below.iter().take_while(|spot| is_up(spot)).count();
                write!(path, "M{x5} {y}v{}", run * PITCH - 1)
            }
            Severity::Warning => write!(path, "M{x5} {}l4 8h-8z", y as f32 - 0.5),
            Severity::Critical => {
                write!(path, "M{x5} {}l4.5 4.5-4.5 4.5-4.5-4.5z", y as f32 - 1.0)
            }
            Severity::Down => {
                let _ = write!(crosses, "M{} {}l4 4m0-4l-4 4", x as f32 + 1.5, y as f32 + 1.5);
                write!(path, "M{} {}h8v8h-8z", x as f32 - 0.5, y as f32 - 0.5)
            }
            Severity::Unreachable => write!(path, "M{}.6 {}.6h5.8v5.8h-5.8z", x, y),
            Severity::Late | Severity::Unknown | Severity::Maintenance => {
                write!(path, "M{}.5 {y5}a3 3 0 1 0 6 0a3 3 0 1 0-6 0z", x)
            }
        };
    }
    let mut shapes: Vec<_> = Severity::ALL
        .into_iter()
        .rev()
        .map(|s| (mark(s).key, std::mem::take(&mut paths[usize::from(s.code())])))
        .map(|(key, path)| (if key == "up" { "ups" } else { key }, path))
        .filter(|(_, path)| !path.is_empty())
        .collect();
    if !crosses.is_empty() {
        shapes.push(("x", crosses));
    }
    let (width, height) = size(members.len(), rows);
    (width, height, shapes)
}

fn size(count: usize, rows: usize) -> (usize, usize) {
    (count.div_ceil(rows) * PITCH + 1, rows.min(count.max(1)) * PITCH + 1)
}

/// Cells by a value in five bands; a cell of which nothing is known is hollow, a host that is down keeps its cross.
fn paint(members: &[Spot], rows: usize) -> Drawn {
    const CLASSES: [&str; 6] = ["q0", "q1", "q2", "q3", "q4", "unk"];
    let mut paths: [String; 6] = Default::default();
    let mut crosses = String::new();
    for (i, spot) in members.iter().enumerate() {
        let (x, y) = (i / rows * PITCH, i % rows * PITCH);
        // Writing to a String cannot fail.
        let _ = write!(paths[spot.band.unwrap_or(5)], "M{x} {y}h7v7h-7z");
        if spot.severity == Severity::Down {
            let _ = write!(crosses, "M{} {}l4 4m0-4l-4 4", x as f32 + 1.5, y as f32 + 1.5);
        }
    }
    let drawn = CLASSES.into_iter().zip(paths).filter(|(_, path)| !path.is_empty());
    let mut shapes: Vec<_> = drawn.collect();
    if !crosses.is_empty() {
        shapes.push(("cross", crosses));
    }
    let (width, height) = size(members.len(), rows);
    (width, height, shapes)
}

/// Shares of the states, worst first; every state that occurs is seen.
fn bar(counts: &[usize; 8]) -> Drawn {
    const WIDTH: usize = 200;
    let total: usize = counts.iter().sum::<usize>().max(1);
    let mut x = 0;
    let mut shapes = Vec::new();
    for severity in Severity::ALL {
        let count = counts[usize::from(severity.code())];
        if count == 0 {
            continue;
        }
        let is_last = severity == Severity::Up;
        let width = if is_last { WIDTH - x } else { (count * WIDTH / total).max(4) };
        let width = width.min(WIDTH - x);
        shapes.push((mark(severity).key, format!("M{x} 0h{width}v10h-{width}z")));
        x += width;
    }
    (WIDTH, 10, shapes)
}
