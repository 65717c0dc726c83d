//! The pages: templates and static files, built once and again on a reload, rendered for a reader.

mod alert_detail;
mod alert_history;
mod alerts;
mod attention;
mod charts;
mod check;
mod choice;
mod clock;
mod empty;
mod error;
mod export;
mod feed;
mod filesystem;
mod find;
mod host;
mod host_action;
mod live;
mod login;
mod map;
mod mark;
mod name_record;
mod number;
mod panel;
mod plot;
mod plot_word;
mod plugin;
mod pool;
mod quiet;
mod release;
mod row;
mod settings;
mod settings_config;
mod settings_limits;
mod settings_part;
mod settings_people;
mod settings_value;
mod shell;
mod spark;
mod status;
mod strip;
mod told;
mod value;
mod wall;

pub use alert_history::export as alerts_export;
pub use alerts::respond as alerts;
pub use error::{error_page, failed_page};
pub use export::respond as live_export;
pub use feed::{export as events_export, respond as events};
pub use find::respond as find;
pub use host::respond as host;
pub use live::respond as live;
pub use login::{hashed, login, login_again, test_result, token};
pub use map::cells as live_map;
pub use number::set_units;
pub use settings::respond as settings;
pub use settings_value::bare as bare_setting;
pub use shell::{choose, clock as clock_of, here};
pub use status::{badge, respond as status};
pub use told::cookie as told_cookie;
pub use wall::respond as wall;

use super::asset::Assets;
use super::http::{Body, Response};
use super::problem::Problem;
use super::{Answer, Call};
use crate::text;
use jiff::tz::TimeZone;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Output, State, Value};
use serde::Serialize;
use std::collections::BTreeMap;

const TEMPLATES: &[(&str, &str)] = &[
    ("base.html", include_str!("../../../templates/base.html")),
    ("part.html", include_str!("../../../templates/part.html")),
    ("panel.html", include_str!("../../../templates/panel.html")),
    ("alerts.html", include_str!("../../../templates/alerts.html")),
    ("chart.html", include_str!("../../../templates/chart.html")),
    ("find.html", include_str!("../../../templates/find.html")),
    ("settings.html", include_str!("../../../templates/settings.html")),
    ("status.html", include_str!("../../../templates/status.html")),
    ("wall.html", include_str!("../../../templates/wall.html")),
    ("live.html", include_str!("../../../templates/live.html")),
    ("empty.html", include_str!("../../../templates/empty.html")),
    ("host.html", include_str!("../../../templates/host.html")),
    ("events.html", include_str!("../../../templates/events.html")),
    ("login.html", include_str!("../../../templates/login.html")),
    ("told.html", include_str!("../../../templates/told.html")),
    ("failed.html", include_str!("../../../templates/failed.html")),
    ("error.html", include_str!("../../../templates/error.html")),
];

/// Steps that one page may take: bounds a template of `templates_dir` that never ends.
const FUEL: u64 = 3_000_000;

/// A binary that this server hands out under `/agent/`.
#[derive(Clone, Debug, Serialize)]
pub struct AgentFile {
    pub name: String,
    pub bytes: u64,
    /// Hex.
    pub sha256: String,
}

/// Templates and static files, ready to render.
pub struct Pages {
    pub(super) assets: Assets,
    /// The agents in `agent_dir`, for the page without hosts.
    agents: Vec<AgentFile>,
    environment: Environment<'static>,
    zone: TimeZone,
    problems: Vec<String>,
}

impl Pages {
    pub fn built_in() -> Pages {
        Pages::with_overrides(BTreeMap::new())
    }

    /// `files` are those of `templates_dir` by name (one path component): `*.html` are templates,
    /// the rest static files. A template that does not parse is left out; [`Pages::problems`] says
    /// so.
    pub fn with_overrides(files: BTreeMap<String, Vec<u8>>) -> Pages {
        let (templates, files): (BTreeMap<_, _>, BTreeMap<_, _>) =
            files.into_iter().partition(|(name, _)| name.ends_with(".html"));
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.unwrap_or_default());
        environment.set_fuel(Some(FUEL));
        environment.set_formatter(format_value);
        environment.add_filter("urlencode", |text: String| super::query::encode(&text));
        let mut problems = Vec::new();
        for (name, source) in TEMPLATES {
            if let Err(error) = environment.add_template(name, source) {
                problems.push(format!("{name}: {error:#}"));
            }
        }
        for (name, source) in templates {
            let source = String::from_utf8_lossy(&source).into_owned();
            if let Err(error) = environment.add_template_owned(name.clone(), source) {
                problems.push(format!("templates_dir: {name}: {error:#}"));
            }
        }
        let zone = TimeZone::try_system().unwrap_or(TimeZone::UTC);
        Pages { assets: Assets::new(files), agents: Vec::new(), environment, zone, problems }
    }

    /// What `agent_dir` holds, in the order of the names.
    pub fn with_agents(mut self, agents: Vec<AgentFile>) -> Pages {
        self.agents = agents;
        self
    }

    /// Sets the "Server" zone of the pages: an IANA name (or a POSIX rule); `None` leaves the
    /// machine's own. Reads the system's zone files: not for the request path.
    pub fn with_zone(mut self, name: Option<&str>) -> Pages {
        let Some(name) = name else { return self };
        let found = TimeZone::get(name).or_else(|_| TimeZone::posix(name));
        self.zone = found.unwrap_or_else(|error| {
            self.problems.push(format!("timezone: {error}: UTC is shown"));
            TimeZone::UTC
        });
        self
    }

    /// The server's own zone.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// What was wrong with the overrides and the zone, for the log.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    fn render(&self, name: &str, context: &impl Serialize) -> Result<String, Problem> {
        let rendered =
            self.environment.get_template(name).and_then(|t| t.render(Value::from(Serde(context))));
        rendered.map_err(|error| {
            // The long form would show every value that the template was given.
            Problem::new(500, "template", format!("The template {name} fails: {error}"))
                .hint("Mend the file of that name in templates_dir, or remove it.")
        })
    }
}

/// Renders a page for the reader of `call`.
fn page(call: &Call<'_>, status: u16, template: &str, context: &impl Serialize) -> Answer {
    let text = call.context.pages.render(template, context)?;
    let mut headers = vec![
        ("Content-Type", "text/html; charset=utf-8".to_owned()),
        ("Cache-Control", "no-store".to_owned()),
        ("Vary", "Accept-Encoding, Cookie".to_owned()),
    ];
    if call.request.cookie(told::COOKIE).is_some() {
        headers.push(("Set-Cookie", told::over()));
    }
    Ok(Response { status, headers, body: Body::Owned(text.into_bytes()) })
}

/// Writes text into HTML, between tags or in a quoted attribute; characters that mislead a reader
/// (controls, bidi overrides) are shown as `␦`. minijinja's own escaping would also encode every
/// slash.
fn format_value(
    out: &mut Output<'_>,
    state: &mut State<'_, '_>,
    value: &Value,
) -> Result<(), minijinja::Error> {
    let is_html = *state.auto_escape() == AutoEscape::Html;
    let Some(text) = value.as_str().filter(|_| is_html && !value.is_safe()) else {
        return minijinja::escape_formatter(out, state, value);
    };
    let is_special = |c: char| matches!(c, '<' | '>' | '&' | '"' | '\'') || is_misleading(c);
    let mut rest = text;
    while let Some(at) = rest.find(is_special) {
        let c = rest[at..].chars().next().unwrap_or('␦');
        out.write_str(&rest[..at])?;
        out.write_str(match c {
            '<' => "&lt;",
            '>' => "&gt;",
            '&' => "&amp;",
            '"' => "&quot;",
            '\'' => "&#39;",
            _ => "␦",
        })?;
        rest = &rest[at + c.len_utf8()..];
    }
    out.write_str(rest)?;
    Ok(())
}

fn is_misleading(c: char) -> bool {
    text::is_hostile(c) && c != '\n' && c != '\t'
}
