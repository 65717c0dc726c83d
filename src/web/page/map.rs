//! The fleet map: a cell per host, one SVG path per state and group; above 2,000 hosts a bar per
//! group.

use super::mark::{Mark, mark};
use super::number;
use crate::engine::view::{Severity, View};
use crate::web::query;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// More hosts than this are summed up by group.
const CELLS_MAX: usize = 2_000;
/// More groups than this are left to the table.
const GROUPS_MAX: usize = 60;
const PITCH: usize = 8;
const ROWS_MIN: usize = 7;
const COLUMNS_MAX: usize = 100;

#[derive(Debug, Serialize)]
pub struct Map {
    pub groups: Vec<Group>,
    /// Cells are drawn, not bars.
    pub cells: bool,
    /// Groups that are not shown.
    pub more: usize,
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
    /// Class and path.
    pub shapes: Vec<(&'static str, String)>,
}

/// Hosts of each group by severity, in the order of their names.
type Members = Vec<Severity>;

pub fn map(view: &View) -> Map {
    let mut groups: BTreeMap<&str, Members> = BTreeMap::new();
    for (_, id) in view.names.iter() {
        let Some(host) = view.hosts.get(*id) else { continue };
        groups.entry(host.group.as_deref().unwrap_or("")).or_default().push(host.severity);
    }
    let cells = view.hosts.len <= CELLS_MAX;
    let is_one = groups.len() == 1;
    let mut sorted: Vec<_> = groups.into_iter().collect();
    sorted.sort_by_key(|(_, members)| (worst(members), std::cmp::Reverse(members.len())));
    let more = sorted.len().saturating_sub(GROUPS_MAX);
    let groups = sorted
        .into_iter()
        .take(GROUPS_MAX)
        .map(|(name, members)| group(name, &members, cells, is_one))
        .collect();
    Map { groups, cells, more }
}

fn worst(members: &[Severity]) -> Severity {
    members.iter().copied().min().unwrap_or(Severity::Up)
}

fn group(name: &str, members: &[Severity], cells: bool, is_one: bool) -> Group {
    let mut counts = [0usize; 8];
    for severity in members {
        counts[usize::from(severity.code())] += 1;
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
    let (width, height, shapes) = if cells { draw(members) } else { bar(&counts) };
    Group {
        name: match name {
            "" if is_one => "All hosts".to_owned(),
            "" => "No group".to_owned(),
            name => name.to_owned(),
        },
        href: (!name.is_empty()).then(|| format!("/live?group={}", query::encode(name))),
        count: number::count(members.len() as u64),
        label,
        worst: problems.take(2).map(mark).collect(),
        width,
        height,
        shapes,
    }
}

fn plural(count: usize) -> String {
    format!("{} {}", number::count(count as u64), if count == 1 { "host" } else { "hosts" })
}

fn draw(members: &[Severity]) -> (usize, usize, Vec<(&'static str, String)>) {
    let rows = ROWS_MIN.max(members.len().div_ceil(COLUMNS_MAX));
    let columns = members.len().div_ceil(rows);
    let mut paths: [String; 8] = Default::default();
    let mut crosses = String::new();
    for (i, severity) in members.iter().enumerate() {
        let (x, y) = (i / rows * PITCH, i % rows * PITCH);
        let path = &mut paths[usize::from(severity.code())];
        let (x5, y5) = (x as f32 + 3.5, y as f32 + 3.5);
        // Writing to a String cannot fail.
        let _ = match severity {
            Severity::Up => write!(path, "M{x} {y}h7v7h-7z"),
            Severity::Warning => write!(path, "M{x5} {}l4 8h-8z", y as f32 - 0.5),
            Severity::Critical => {
                write!(path, "M{x5} {}l4.500 4.500-4.500 4.500-4.500-4.500z", y as f32 - 1.0)
            }
            Severity::Down => {
                let _ = write!(crosses, "M{} {}l4 4m0-4l-4 4", x as f32 + 1.5, y as f32 + 1.5);
                write!(path, "M{} {}h8v8h-8z", x as f32 - 0.5, y as f32 - 0.5)
            }
            Severity::Unreachable => write!(path, "M{}.6 {}.6h5.800v5.800h-5.800z", x, y),
            Severity::Late | Severity::Unknown | Severity::Maintenance => {
                write!(path, "M{}.5 {y5}a3 3 0 1 0 6 0a3 3 0 1 0-6 0z", x)
            }
        };
    }
    let mut shapes: Vec<_> = Severity::ALL
        .into_iter()
        .rev()
        .map(|s| (mark(s).key, std::mem::take(&mut paths[usize::from(s.code())])))
        .filter(|(_, path)| !path.is_empty())
        .collect();
    if !crosses.is_empty() {
        shapes.push(("x", crosses));
    }
    (columns * PITCH + 1, rows.min(members.len().max(1)) * PITCH + 1, shapes)
}

/// Shares of the states, worst first; every state that occurs is seen.
fn bar(counts: &[usize; 8]) -> (usize, usize, Vec<(&'static str, String)>) {
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
