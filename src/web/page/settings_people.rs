//! The parts of the settings about people: users, what they may, their tokens.

use super::clock::Clock;
use super::number;
use super::settings::{Button, Cell, Grid, Section, may_admin};
use crate::config::server::User;
use crate::engine::view::View;
use crate::time::Wall;
use crate::web::Call;
use crate::web::query;

const MATRIX_HOSTS: usize = 100;
const MATRIX_USERS: usize = 12;

pub fn users(call: &Call<'_>) -> Vec<Section> {
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
        }];
    }
    let view = &call.context.view;
    let rows = config.users.iter().map(|(name, user)| row(call, view, name, user));
    let list = Section {
        title: "Users".to_owned(),
        table: Some(Grid {
            heads: vec!["User", "Name", "Role", "Channels", "Owns", "Manages", "Monitors", ""],
            rows: rows.collect(),
            more: 0,
        }),
        ..Section::default()
    };
    let form = Section {
        title: "Add or change a user".to_owned(),
        notes: vec![
            "What is left empty stays as it is. It is written beside the configuration, never into your file; an \
             empty file entry wins nothing back."
                .to_owned(),
        ],
        form: "user",
        ..Section::default()
    };
    vec![list, form, matrix(call, view)]
}

fn row(call: &Call<'_>, view: &View, name: &str, user: &User) -> Vec<Cell> {
    let count = |of: &dyn Fn(&crate::engine::view::Host) -> bool| {
        number::count(view.hosts.iter().filter(|host| of(host)).count() as u64)
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
            is_danger: true,
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
        Cell::buttons(buttons),
    ]
}

/// Who may what, host by host.
fn matrix(call: &Call<'_>, view: &View) -> Section {
    let users: Vec<&String> = call.context.config.users.keys().take(MATRIX_USERS).collect();
    let hosts = view.names.iter().filter_map(|(_, id)| view.hosts.get(*id));
    let rows = hosts.take(MATRIX_HOSTS).map(|host| {
        let role = |user: &&String| {
            let is = |list: &[std::sync::Arc<str>]| list.iter().any(|own| **own == ***user);
            let admin = call.context.config.users.get(*user).is_some_and(|known| known.admin);
            match () {
                () if host.owner.as_deref() == Some(user.as_str()) => "owner",
                () if is(&host.managers) => "manager",
                () if is(&host.monitors) => "monitor",
                () if admin => "admin",
                () => "–",
            }
        };
        let roles: Vec<String> =
            users.iter().map(|user| format!("{user}: {}", role(user))).collect();
        let shown: Vec<String> = roles.into_iter().filter(|text| !text.ends_with('–')).collect();
        let link = format!("/plugins/{}#access", query::encode(&host.name));
        vec![
            Cell::text(&*host.name).link(link),
            Cell::text(if shown.is_empty() { "nobody".to_owned() } else { shown.join(", ") }),
        ]
    });
    Section {
        title: "Access, host by host".to_owned(),
        table: Some(Grid {
            heads: vec!["Host", "Who may"],
            rows: rows.collect(),
            more: view.hosts.len.saturating_sub(MATRIX_HOSTS),
        }),
        ..Section::default()
    }
}

pub fn tokens(call: &Call<'_>, clock: &Clock) -> Vec<Section> {
    let Some(user) = call.caller.user() else {
        return vec![Section {
            title: "API tokens".to_owned(),
            notes: vec!["A token belongs to a user, and no users are configured.".to_owned()],
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
                is_danger: true,
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
    vec![list, form]
}
