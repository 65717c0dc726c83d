//! The parts of the settings about people: users, what they may, their tokens.

use super::clock::{Clock, span};
use super::number;
use super::settings::{Button, Cell, Grid, Matrix, Section, may_admin};
use crate::account::SessionShown;
use crate::config::server::User;
use crate::engine::view::View;
use crate::time::Wall;
use crate::web::Call;
use crate::web::query;

const MATRIX_HOSTS: usize = 100;
const MATRIX_USERS: usize = 12;
const SESSIONS_MAX: usize = 100;

pub fn users(call: &Call<'_>, clock: &Clock) -> Vec<Section> {
    let config = &call.context.config;
    if config.users.is_empty() {
        return vec![Section {
            title: "Open access".to_owned(),
            notes: vec![
                "No users are configured: whoever reaches these pages sees everything, and may acknowledge and \
                 silence. Commands, drops and changes of users are taken from the control socket alone."
                    .to_owned(),
                "To add the first user, make the password line on the server and put it into the configuration:"
                    .to_owned(),
            ],
            code: vec![
                "hbd passwd alice".to_owned(),
                "users:\n  alice: {full_name: Alice Smith, admin: true, password: \"pbkdf2:sha256:…\"}".to_owned(),
            ],
            ..Section::default()
        }, hash_form()];
    }
    let view = &call.context.view;
    let sessions = call.context.accounts.sessions(None);
    let rows = config.users.iter().map(|(name, user)| row(call, view, &sessions, (name, user)));
    let list = Section {
        title: "Users".to_owned(),
        table: Some(Grid {
            heads: vec![
                "User",
                "Name",
                "Role",
                "Channels",
                "Owns",
                "Manages",
                "Monitors",
                "Sessions",
                "Last sign-in",
                "",
            ],
            rows: rows.collect(),
            more: 0,
        }),
        ..Section::default()
    };
    let form = Section {
        title: "Add or change a user".to_owned(),
        notes: vec![
            "What is left empty stays as it is. It is written beside the configuration, never into your \
             file."
                .to_owned(),
        ],
        form: "user",
        ..Section::default()
    };
    let everybody = signed_in(call, clock, "Signed in now", sessions);
    vec![list, everybody, form, hash_form(), matrix(call, view)]
}

fn row(
    call: &Call<'_>,
    view: &View,
    sessions: &[SessionShown],
    (name, user): (&str, &User),
) -> Vec<Cell> {
    let count = |of: &dyn Fn(&crate::engine::view::Host) -> bool| {
        number::count(view.hosts.iter().filter(|host| of(host)).count() as u64)
    };
    let own = || sessions.iter().filter(|session| session.user == name);
    let now = call.context.now.wall;
    let ago = |secs: i64| match now.since(Wall::from_secs(secs)) {
        // When it was used is noted once in a while.
        age if age.as_secs() < 120 => "now".to_owned(),
        age => format!("{} ago", span(age)),
    };
    let channels: Vec<&str> =
        user.notification_channels.iter().map(|c| c.channel.as_str()).collect();
    let owned = format!("/live?q=owner:{}", query::encode(name));
    let mut buttons = Vec::new();
    if may_admin(call) && call.caller.user() != Some(name) {
        buttons.push(Button {
            action: "user-drop",
            fields: vec![("user", name.to_owned())],
            label: "Remove",
            about: name.to_owned(),
            warning: "No more signing in; sessions and tokens end at once. Hosts that were owned go to the default \
                      owner.",
        });
    }
    vec![
        Cell::code(name),
        Cell::text(user.full_name.as_str()).note(if user.password.is_some() {
            ""
        } else {
            "no password: cannot sign in"
        }),
        Cell::text(if user.admin { "admin" } else { "user" }),
        Cell::text(if channels.is_empty() { "–".to_owned() } else { channels.join(", ") }),
        Cell::number(count(&|host| host.owner.as_deref() == Some(name))).link(owned),
        Cell::number(count(&|host| host.managers.iter().any(|own| **own == *name))),
        Cell::number(count(&|host| host.monitors.iter().any(|own| **own == *name))),
        Cell::number(number::count(own().count() as u64)),
        Cell::text(own().map(|session| session.created).max().map_or("–".to_owned(), ago)),
        Cell::buttons(buttons),
    ]
}

/// Sessions, each with a button that ends it; the caller's own says so in its place.
fn signed_in(call: &Call<'_>, clock: &Clock, title: &str, sessions: Vec<SessionShown>) -> Section {
    let mut section = Section { title: title.to_owned(), ..Section::default() };
    let own = call.caller.session().map(|id| id.to_string());
    let ago = |secs: i64| clock.ago(Wall::from_secs(secs)).text;
    let more = sessions.len().saturating_sub(SESSIONS_MAX);
    let rows: Vec<Vec<Cell>> = sessions
        .into_iter()
        .take(SESSIONS_MAX)
        .map(|session| {
            let is_own = own.as_deref() == Some(&session.id);
            let from = session.address.map_or("–".to_owned(), |a| a.to_canonical().to_string());
            let end = Button {
                action: "session-end",
                fields: vec![("id", session.id)],
                label: "Sign out",
                about: format!("the session of {} from {from}", session.user),
                warning: "",
            };
            let note = if session.remember { "keeps signed in" } else { "" };
            let last = if is_own { Cell::text("this browser") } else { Cell::buttons(vec![end]) };
            vec![
                Cell::code(session.user),
                Cell::code(from),
                Cell::text(ago(session.created)).note(note),
                Cell::text(ago(session.last_used)),
                last,
            ]
        })
        .collect();
    if rows.is_empty() {
        section.notes.push("Nobody.".to_owned());
    } else {
        let heads = vec!["User", "From", "Signed in", "Last used", ""];
        section.table = Some(Grid { heads, rows, more });
    }
    section
}

/// Who may what: a line for each host, a column for each user.
fn matrix(call: &Call<'_>, view: &View) -> Section {
    let all = &call.context.config.users;
    let users: Vec<(&String, &User)> = all.iter().take(MATRIX_USERS).collect();
    let hosts = view.names.iter().filter_map(|(_, id)| view.hosts.get(*id));
    let rows = hosts.take(MATRIX_HOSTS).map(|host| {
        let role = |(user, known): &(&String, &User)| {
            let is = |list: &[std::sync::Arc<str>]| list.iter().any(|own| **own == ***user);
            match () {
                () if host.owner.as_deref() == Some(user.as_str()) => "owner",
                () if is(&host.managers) => "manager",
                () if is(&host.monitors) => "monitor",
                () if known.admin => "admin",
                () => "–",
            }
        };
        (
            host.name.to_string(),
            format!("/plugins/{}#access", query::encode(&host.name)),
            users.iter().map(role).collect(),
        )
    });
    let mut notes = Vec::new();
    let hidden = all.len().saturating_sub(MATRIX_USERS);
    if hidden > 0 {
        notes.push(format!("{hidden} more users: GET /api/0/hosts/H/access has all of a host."));
    }
    Section {
        title: "Access, host by user".to_owned(),
        notes,
        matrix: Some(Matrix {
            users: users.iter().map(|(name, _)| (*name).clone()).collect(),
            rows: rows.collect(),
            more: view.hosts.len.saturating_sub(MATRIX_HOSTS),
        }),
        ..Section::default()
    }
}

/// A line for the configuration, for whoever has no shell on the server.
fn hash_form() -> Section {
    Section {
        title: "Hash a password".to_owned(),
        notes: vec![
            "Gives the line to paste into the configuration, as hbd passwd does on the server. Nothing is \
             written or kept."
                .to_owned(),
        ],
        form: "hash",
        ..Section::default()
    }
}

pub fn tokens(call: &Call<'_>, clock: &Clock) -> Vec<Section> {
    let Some(user) = call.caller.user() else {
        return vec![Section {
            title: "Sessions and tokens".to_owned(),
            notes: vec![
                "A session or a token belongs to a user, and no users are configured.".to_owned(),
            ],
            ..Section::default()
        }];
    };
    let own = call.context.accounts.tokens(Some(user));
    let at = |secs: Option<i64>, none: &str| {
        secs.map_or_else(|| none.to_owned(), |secs| clock.ago(Wall::from_secs(secs)).text)
    };
    let rows: Vec<Vec<Cell>> = own
        .iter()
        .map(|token| {
            let drop = Button {
                action: "token-drop",
                fields: vec![("id", token.id.clone())],
                label: "Drop",
                about: token.name.clone(),
                warning: "Programs that show this token are refused from now on.",
            };
            vec![
                Cell::text(token.name.as_str()),
                Cell::text(token.scope.as_str()),
                Cell::text(at(Some(token.created), "–")),
                Cell::text(at(token.last_used, "never")),
                Cell::text(at(token.expires, "no end")),
                Cell::buttons(vec![drop]),
            ]
        })
        .collect();
    let mut list = Section { title: "Your tokens".to_owned(), ..Section::default() };
    if rows.is_empty() {
        list.notes.push("You have none.".to_owned());
    } else {
        let heads = vec!["Name", "Scope", "Made", "Last used", "Ends", ""];
        list.table = Some(Grid { heads, rows, more: 0 });
    }
    let form = Section {
        title: "New token".to_owned(),
        notes: vec![
            "A token stands for you with programs: Authorization: Bearer TOKEN. It is shown once."
                .to_owned(),
        ],
        form: "token",
        ..Section::default()
    };
    let sessions = call.context.accounts.sessions(Some(user));
    vec![signed_in(call, clock, "Where you are signed in", sessions), list, form]
}
