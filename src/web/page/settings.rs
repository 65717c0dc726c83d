//! `/settings`: what this server runs on and why: configuration with origins, users, limits, channels, names, agents.
//!
//! Owns which part is shown and to whom. Changes nothing: forms go to the actions of the API.

use super::page;
use super::settings_config as config;
use super::settings_limits as limits;
use super::settings_part as part;
use super::settings_people as people;
use super::shell::{Shell, clock};
use crate::web::{Answer, Call};
use serde::Serialize;

/// Key, name, whether an admin alone sees it.
const PARTS: [(&str, &str, bool); 11] = [
    ("server", "Server", true),
    ("users", "Users", true),
    ("thresholds", "Thresholds", false),
    ("notifications", "Notifications", true),
    ("dns", "Dynamic DNS", true),
    ("journal", "Journal", true),
    ("agents", "Agents and keys", true),
    ("status", "Status page", true),
    ("tokens", "Sessions, tokens", false),
    ("preferences", "Preferences", false),
    ("about", "About", false),
];

#[derive(Serialize)]
struct Settings {
    shell: Shell,
    part: &'static str,
    title: &'static str,
    sides: Vec<(String, &'static str, bool)>,
    sections: Vec<Section>,
    explain: Option<limits::Explain>,
    /// Names for a list to choose from.
    names: Vec<String>,
    prefs: Option<part::Preferences>,
    may_admin: bool,
}

/// A heading with sentences, pairs, a table, forms: all that a part is made of.
#[derive(Default, Serialize)]
pub struct Section {
    pub title: String,
    pub notes: Vec<String>,
    /// Label, value, remark.
    pub pairs: Vec<(String, String, String)>,
    pub table: Option<Grid>,
    pub matrix: Option<Matrix>,
    /// The name of a form of the template.
    pub form: &'static str,
    pub code: Vec<String>,
}

/// Who may what: users, and for each host its name, its address and a role for each of them.
#[derive(Serialize)]
pub struct Matrix {
    pub users: Vec<String>,
    pub rows: Vec<(String, String, Vec<&'static str>)>,
    pub more: usize,
}

#[derive(Serialize)]
pub struct Grid {
    pub heads: Vec<&'static str>,
    pub rows: Vec<Vec<Cell>>,
    pub more: usize,
}

#[derive(Default, Serialize)]
pub struct Cell {
    pub text: String,
    pub note: String,
    /// What it is in full, where the text is a part of it.
    pub title: String,
    /// How deep in a tree.
    pub depth: usize,
    pub href: Option<String>,
    /// Glyph of a state.
    pub mark: Option<&'static str>,
    pub is_code: bool,
    pub is_number: bool,
    pub buttons: Vec<Button>,
    /// Width of 120 for a bar.
    pub bar: Option<String>,
}

/// A form of one button.
#[derive(Serialize)]
pub struct Button {
    pub action: &'static str,
    pub fields: Vec<(&'static str, String)>,
    pub label: &'static str,
    /// What it is for, where it stands alone.
    pub about: String,
    /// What cannot be undone is asked for twice: the consequence in words; empty for the rest.
    pub warning: &'static str,
}

impl Cell {
    pub fn text(text: impl Into<String>) -> Cell {
        Cell { text: text.into(), ..Cell::default() }
    }

    pub fn code(text: impl Into<String>) -> Cell {
        Cell { text: text.into(), is_code: true, ..Cell::default() }
    }

    pub fn number(text: impl Into<String>) -> Cell {
        Cell { text: text.into(), is_number: true, ..Cell::default() }
    }

    pub fn note(mut self, note: impl Into<String>) -> Cell {
        self.note = note.into();
        self
    }

    pub fn link(mut self, href: impl Into<String>) -> Cell {
        self.href = Some(href.into());
        self
    }

    pub fn buttons(buttons: Vec<Button>) -> Cell {
        Cell { buttons, ..Cell::default() }
    }
}

/// Whether the caller may change the server, or could while there are no users.
pub fn may_admin(call: &Call<'_>) -> bool {
    call.caller.is_admin() || call.context.config.users.is_empty()
}

/// `GET /settings?part=`
pub fn respond(call: &Call<'_>) -> Answer {
    let admin = may_admin(call);
    let shown: Vec<_> = PARTS.iter().filter(|(_, _, needs_admin)| admin || !needs_admin).collect();
    let wish = call.query.get("part").unwrap_or_default();
    let first = shown.first().copied().unwrap_or(&PARTS[10]);
    let (part, title, _) = *shown.iter().find(|(key, ..)| *key == wish).copied().unwrap_or(first);
    let clock = clock(call);
    let mut explain = None;
    let mut names = Vec::new();
    let mut prefs = None;
    let sections = match part {
        "server" => config::server(call),
        "users" => people::users(call, &clock),
        "tokens" => people::tokens(call, &clock),
        "thresholds" => {
            explain = limits::explain_of(call);
            names = limits::names(call);
            limits::sections(call)
        }
        "notifications" => part::notifications(call, &clock),
        "dns" => part::dns(call, &clock),
        "journal" => part::journal(call, &clock),
        "agents" => part::agents(call, &clock),
        "status" => part::status(call),
        "preferences" => {
            prefs = Some(part::preferences(call));
            Vec::new()
        }
        _ => part::about(call, &clock),
    };
    let sides =
        shown.iter().map(|(key, name, _)| (format!("/settings?part={key}"), *name, *key == part));
    let context = Settings {
        shell: Shell::new(call, "settings", &format!("{title} · Settings")),
        part,
        title,
        sides: sides.collect(),
        sections,
        explain,
        names,
        prefs,
        may_admin: admin,
    };
    page(call, 200, "settings.html", &context)
}
