//! The part of the settings about the configuration: every key as a tree, its value, where it was written, what waits
//! for a restart, what the API changed over it; and what a reload would change.
//!
//! Reads what the shell made of the files, secrets masked there. Changes nothing.

use super::number;
use super::settings::{Cell, Grid, Section, may_admin};
use super::settings_value::{bare, values};
use crate::config::section::{Key, Kind};
use crate::config::server::key;
use crate::text::cut;
use crate::web::Call;
use serde_json::Value as Json;

const ROWS_MAX: usize = 600;
/// Of one section, where nobody looks for anything: ten thousand hosts are not read on a page.
const BRANCH_MAX: usize = 60;
const DEPTH_MAX: usize = 6;
/// Of a value that is written on one line; the file has it whole.
const VALUE_MAX: usize = 400;

/// A value of the tree: its path, where it stands, and how deep.
struct Leaf<'a> {
    path: String,
    name: &'a str,
    depth: usize,
    /// A section without a value of its own.
    is_branch: bool,
    entry: &'a Json,
}

pub fn server(call: &Call<'_>) -> Vec<Section> {
    let wish = call.query.get("q").unwrap_or_default().to_lowercase();
    let settings: Json =
        serde_json::from_str(&call.context.accounts.settings()).unwrap_or_default();
    let known = values(call);
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    let mut written = 0;
    for key in key::TOP {
        let entry = &settings["config"][key.name];
        written += usize::from(!entry["origin"].is_null());
        let mut leaves = Vec::new();
        branch(key.name, 1, &entry["value"], &mut leaves);
        let is_wanted = |path: &str| wish.is_empty() || path.to_lowercase().contains(&wish);
        leaves.retain(|leaf| is_wanted(&leaf.path));
        if is_wanted(key.name) || !leaves.is_empty() {
            rows.push(top(key, entry, known.get(key.name), leaves.len()));
        }
        let room = if wish.is_empty() { BRANCH_MAX } else { ROWS_MAX };
        let more = leaves.len().saturating_sub(room);
        rows.extend(leaves.iter().take(room).map(row));
        if more > 0 {
            let text = format!("{} more: look for them above", number::count(more as u64));
            rows.push(vec![
                Cell { depth: 1, ..Cell::text("…") },
                Cell::text(text),
                Cell::default(),
            ]);
        }
    }
    let more = rows.len().saturating_sub(ROWS_MAX);
    rows.truncate(ROWS_MAX);
    let table = Grid { heads: vec!["Key", "Value", "Written at"], rows, more };
    let checked = call.query.get("check").is_some() && may_admin(call);
    let mut sections: Vec<Section> = checked.then(|| preview(call)).into_iter().collect();
    sections.extend(remarks(&settings));
    sections.push(Section {
        title: "Configuration in force".to_owned(),
        notes: vec![format!(
            "{written} keys are written, the others hold by default. Secrets are masked; \
             hbd check-config --print shows the same on the server."
        )],
        table: Some(table),
        form: "server",
        ..Section::default()
    });
    sections.extend(overlay(&settings));
    sections
}

/// What was remarked when the files were read: unknown keys, and those that are not needed any more.
fn remarks(settings: &Json) -> Option<Section> {
    let lines: Vec<String> = settings["warnings"]
        .as_array()?
        .iter()
        .filter_map(|line| line.as_str().map(str::to_owned))
        .collect();
    let title = "Unknown and deprecated keys, and other remarks".to_owned();
    (!lines.is_empty()).then(|| Section {
        title,
        code: vec![lines.join("\n")],
        ..Section::default()
    })
}

/// A key of the top level, with its section's entries counted where it has some.
fn top(key: &Key, entry: &Json, known: Option<&String>, members: usize) -> Vec<Cell> {
    let is_written = !entry["origin"].is_null();
    let value = match known {
        _ if is_written && key.kind == Kind::Secret => Cell::text("•••• (set)"),
        Some(value) if is_written || !entry["from"].is_null() => Cell::code(value.clone()),
        _ if is_written && members > 0 => Cell::text(""),
        _ if is_written => Cell::text("written, see the file"),
        _ => Cell::text(key.default),
    };
    let waits = &entry["restart"];
    let value = if waits.is_null() {
        value
    } else {
        let wish = match (&waits["value"], key.kind) {
            (Json::Null, _) => key.default.to_owned(),
            (_, Kind::Secret) => "••••".to_owned(),
            (value, _) => line(value),
        };
        let at = place(&waits["origin"]).map(|at| format!(" ({at})")).unwrap_or_default();
        value.note(format!("takes effect after a restart: {wish}{at}"))
    };
    let from = match (place(&entry["origin"]), entry["from"].as_str()) {
        (Some(at), _) => Cell::code(at),
        (None, Some(from)) => Cell::text(from),
        (None, None) => Cell::text("default"),
    };
    let changed = if entry["changed"] == true { "changed since the start" } else { "" };
    vec![Cell::code(key.name), value, from.note(changed)]
}

/// What lies below a key, in order.
fn branch<'a>(path: &str, depth: usize, value: &'a Json, out: &mut Vec<Leaf<'a>>) {
    let Some(members) = value.as_object().filter(|_| depth <= DEPTH_MAX) else { return };
    for (name, entry) in members {
        let path = format!("{path}.{name}");
        let below = &entry["value"];
        let is_branch = below.as_object().is_some_and(|below| !below.is_empty());
        out.push(Leaf { path: path.clone(), name, depth, is_branch, entry });
        branch(&path, depth + 1, below, out);
    }
}

fn row(leaf: &Leaf<'_>) -> Vec<Cell> {
    let value = match &leaf.entry["value"] {
        _ if leaf.is_branch => Cell::text(""),
        Json::String(text) if text == "***" => Cell::text("•••• (set)"),
        value => Cell::code(line(value)),
    };
    let at = place(&leaf.entry["origin"]).unwrap_or_else(|| "default".to_owned());
    let key = Cell { depth: leaf.depth, title: leaf.path.clone(), ..Cell::code(leaf.name) };
    vec![key, value, Cell::code(at)]
}

/// A value on one line.
fn line(value: &Json) -> String {
    let text = match bare(value) {
        Json::Null => "–".to_owned(),
        Json::String(text) => text,
        Json::Array(items) => {
            let words = items.iter().map(|item| match item {
                Json::String(text) => text.clone(),
                other => other.to_string(),
            });
            words.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    };
    let short = cut(&text, VALUE_MAX);
    if short.len() < text.len() { format!("{short}…") } else { text }
}

fn place(origin: &Json) -> Option<String> {
    Some(format!("{}:{}", origin["file"].as_str()?, origin["line"].as_u64()?))
}

/// What the API changed: it stands over the files and is never written into them.
fn overlay(settings: &Json) -> Option<Section> {
    let mut rows = Vec::new();
    for part in ["users", "hosts"] {
        for (name, over) in settings["overlay"][part].as_object().into_iter().flatten() {
            for (key, value) in over.as_object().into_iter().flatten() {
                let is_set = !value.is_null() && *value != Json::Bool(false);
                if is_set {
                    let path = format!("{part}.{name}.{key}");
                    rows.push(vec![Cell::code(path), Cell::code(line(value)), Cell::text("API")]);
                }
            }
        }
    }
    let more = rows.len().saturating_sub(ROWS_MAX);
    rows.truncate(ROWS_MAX);
    let is_any = !rows.is_empty();
    let table = Some(Grid { heads: vec!["Key", "Value", "Changed by"], rows, more });
    is_any.then(|| Section {
        title: "Changed over the files".to_owned(),
        table,
        ..Section::default()
    })
}

/// What a reload would change, before somebody asks for it.
fn preview(call: &Call<'_>) -> Section {
    let title = "What a reload would change".to_owned();
    let changes = match call.context.engine.preview() {
        Ok(changes) => changes,
        Err(problems) => {
            let notes = vec![
                "The files have errors: a reload would be refused, and what is in force \
                              would stay."
                    .to_owned(),
            ];
            return Section { title, notes, code: problems, ..Section::default() };
        }
    };
    if changes.is_empty() {
        let notes = vec!["Nothing: the files say what is in force.".to_owned()];
        return Section { title, notes, ..Section::default() };
    }
    let restart = changes.iter().filter(|change| !change.live).count();
    let mut notes = Vec::new();
    if restart > 0 {
        notes.push(format!(
            "{restart} of it only a restart changes: a reload leaves the old value in force."
        ));
    }
    let more = changes.len().saturating_sub(ROWS_MAX);
    let value = |value: Option<String>, is_hidden: bool| match value {
        Some(value) => Cell::code(value),
        None if is_hidden => Cell::text("differs, not shown"),
        None => Cell::text("not written"),
    };
    let rows = changes.into_iter().take(ROWS_MAX).map(|change| {
        let is_hidden = change.old.is_none() && change.new.is_none();
        vec![
            Cell::code(change.key),
            value(change.old, is_hidden),
            value(change.new, is_hidden),
            Cell::text(if change.live { "by a reload" } else { "after a restart" }),
        ]
    });
    let heads = vec!["Key", "In force", "In the files", "Takes effect"];
    let table = Some(Grid { heads, rows: rows.collect(), more });
    Section { title, notes, table, form: "reload", ..Section::default() }
}
