//! `channels`: ways to tell somebody, one table of keys for each type.
//!
//! Owns what a channel is made of. Never sends, and never resolves a secret.

use super::escalation::Level;
use super::key::LEVELS;
use crate::config::agent::set;
use crate::config::node::Value;
use crate::config::problem::quoted;
use crate::config::scalar;
use crate::config::secret::Secret;
use crate::config::section::{At, Fault, Key, Kind, Report, Section, live};
use std::collections::BTreeMap;
use std::time::Duration;

/// `channels.<name>`
#[derive(Clone, Debug, PartialEq)]
pub struct Channel {
    pub kind: ChannelType,
    pub enabled: bool,
    pub min_level: Level,
    /// Of one try.
    pub timeout: Duration,
    pub retry_for: Duration,
    /// Another channel, for what this one could not deliver.
    pub fallback: Option<String>,
    pub proxy: Option<String>,
    /// The channel's own destinations; may be empty.
    pub to: Vec<Secret>,
    /// The keys of its type, defaults included where there is one.
    pub settings: BTreeMap<&'static str, Setting>,
}

/// A value of a channel's own key.
#[derive(Clone, Debug, PartialEq)]
pub enum Setting {
    Text(String),
    Number(i64),
    Secret(Secret),
    Texts(Vec<String>),
    /// `headers`, `env`, `labels`: values may be secrets.
    Map(BTreeMap<String, Secret>),
    /// `priority`
    Levels(BTreeMap<Level, i64>),
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ChannelType {
    Email,
    Pushover,
    Mattermost,
    Signal,
    Ntfy,
    Gotify,
    Telegram,
    Matrix,
    Slack,
    Discord,
    Teams,
    Webhook,
    Exec,
    Alertmanager,
}

/// A type, its name, its keys, and the name under which its destination is also accepted.
pub struct TypeRow {
    pub kind: ChannelType,
    pub name: &'static str,
    pub keys: &'static [Key],
    pub alias: Option<&'static str>,
    /// Whether it can send nowhere without a `to`.
    pub needs_to: bool,
}

const fn row(kind: ChannelType, name: &'static str, keys: &'static [Key]) -> TypeRow {
    TypeRow { kind, name, keys, alias: None, needs_to: false }
}

const fn to(row: TypeRow, alias: Option<&'static str>, needs_to: bool) -> TypeRow {
    TypeRow { alias, needs_to, ..row }
}

/// The keys of every channel.
pub const COMMON: &[Key] = &[
    live("type", Kind::Text(32), "the channel's own name"),
    live("enabled", Kind::Bool, "true"),
    live("min_level", Kind::Choice(LEVELS), "warning"),
    live("timeout", Kind::Duration(1, 300), "10"),
    live("retry_for", Kind::Duration(0, scalar::DURATION_MAX), "1h"),
    live("fallback", Kind::Text(64), "none"),
    live("proxy", Kind::Url, "none"),
    live("to", Kind::List("destinations"), "none"),
];

const REQUIRED: &str = "required";
const NONE: &str = "none";
const TEXT: Kind = Kind::Text(1024);

/// Every type of channel.
pub const TYPES: &[TypeRow] = &[
    to(
        row(
            ChannelType::Email,
            "email",
            &[
                live("host", TEXT, REQUIRED),
                live("port", Kind::Int(1, 65535), "587; 465 with implicit, 25 with none"),
                live("tls", Kind::Choice(&["starttls", "implicit", "none"]), "starttls"),
                live("user", TEXT, NONE),
                live("password", Kind::Secret, NONE),
                live("from", TEXT, REQUIRED),
                live("ca_file", Kind::Path, NONE),
                live("helo", TEXT, NONE),
            ],
        ),
        None,
        true,
    ),
    to(
        row(
            ChannelType::Pushover,
            "pushover",
            &[
                live("token", Kind::Secret, REQUIRED),
                live("user", Kind::Secret, NONE),
                live("device", TEXT, NONE),
                live("sound", TEXT, NONE),
                live("priority", Kind::Section, NONE),
                live("url", Kind::Url, NONE),
            ],
        ),
        Some("user"),
        true,
    ),
    to(
        row(
            ChannelType::Mattermost,
            "mattermost",
            &[
                live("url", Kind::Secret, REQUIRED),
                live("channel", TEXT, NONE),
                live("username", TEXT, NONE),
                live("icon_url", Kind::Url, NONE),
            ],
        ),
        Some("channel"),
        false,
    ),
    to(
        row(
            ChannelType::Signal,
            "signal",
            &[
                live("account", TEXT, REQUIRED),
                live("program", Kind::Path, "signal-cli, unless url is set"),
                live("url", Kind::Url, NONE),
            ],
        ),
        None,
        true,
    ),
    to(
        row(
            ChannelType::Ntfy,
            "ntfy",
            &[
                live("url", Kind::Url, "https://ntfy.sh"),
                live("topic", TEXT, NONE),
                live("token", Kind::Secret, NONE),
                live("user", TEXT, NONE),
                live("password", Kind::Secret, NONE),
            ],
        ),
        Some("topic"),
        true,
    ),
    row(
        ChannelType::Gotify,
        "gotify",
        &[
            live("url", Kind::Url, REQUIRED),
            live("token", Kind::Secret, REQUIRED),
            live("priority", Kind::Section, NONE),
        ],
    ),
    to(
        row(
            ChannelType::Telegram,
            "telegram",
            &[
                live("token", Kind::Secret, REQUIRED),
                live("chat_id", TEXT, NONE),
                live("thread_id", TEXT, NONE),
                live("url", Kind::Url, NONE),
            ],
        ),
        Some("chat_id"),
        true,
    ),
    to(
        row(
            ChannelType::Matrix,
            "matrix",
            &[
                live("url", Kind::Url, REQUIRED),
                live("token", Kind::Secret, REQUIRED),
                live("room", TEXT, NONE),
            ],
        ),
        Some("room"),
        true,
    ),
    row(ChannelType::Slack, "slack", WEBHOOK_URL),
    row(ChannelType::Discord, "discord", WEBHOOK_URL),
    row(ChannelType::Teams, "teams", WEBHOOK_URL),
    row(
        ChannelType::Webhook,
        "webhook",
        &[
            live("url", Kind::Secret, REQUIRED),
            live("method", Kind::Choice(&["POST", "PUT", "PATCH", "GET"]), "POST"),
            live("headers", Kind::Section, NONE),
            live("body", Kind::Text(65536), "the notice as JSON"),
            live("hmac_secret", Kind::Secret, NONE),
        ],
    ),
    row(
        ChannelType::Exec,
        "exec",
        &[live("argv", Kind::List("texts"), REQUIRED), live("env", Kind::Section, NONE)],
    ),
    row(
        ChannelType::Alertmanager,
        "alertmanager",
        &[
            live("url", Kind::Url, REQUIRED),
            live("labels", Kind::Section, NONE),
            live("user", TEXT, NONE),
            live("password", Kind::Secret, NONE),
            live("token", Kind::Secret, NONE),
        ],
    ),
];

const WEBHOOK_URL: &[Key] = &[live("url", Kind::Secret, REQUIRED)];

impl ChannelType {
    pub fn as_str(self) -> &'static str {
        self.row().name
    }

    pub fn row(self) -> &'static TypeRow {
        TYPES.iter().find(|row| row.kind == self).unwrap_or(&TYPES[0])
    }
}

impl Channel {
    /// Whether it can send without a destination given from elsewhere.
    pub fn has_destination(&self) -> bool {
        !self.to.is_empty() || !self.kind.row().needs_to
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        match self.settings.get(key) {
            Some(Setting::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub fn secret(&self, key: &str) -> Option<&Secret> {
        match self.settings.get(key) {
            Some(Setting::Secret(secret)) => Some(secret),
            _ => None,
        }
    }

    pub fn number(&self, key: &str) -> Option<i64> {
        match self.settings.get(key) {
            Some(Setting::Number(number)) => Some(*number),
            _ => None,
        }
    }
}

pub(super) fn check(report: &mut Report<'_>, at: &At<'_>) -> BTreeMap<String, Channel> {
    let mut channels = BTreeMap::new();
    for (key, node) in at.entries(report) {
        let at = at.child(key, node);
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        let plain = (1..=64).contains(&key.text.len()) && key.text.bytes().all(allowed);
        if !plain || matches!(key.text.as_str(), "all" | "none") {
            let what = format!("{} cannot be the name of a channel", quoted(&key.text));
            let fix = "use letters, digits, '.', '_' and '-', at most 64; not all, not none";
            report.name_error(&at, what, fix);
        } else if let Some(channel) = check_one(report, &at, &key.text) {
            channels.insert(key.text.clone(), channel);
        }
    }
    channels
}

fn check_one(report: &mut Report<'_>, at: &At<'_>, name: &str) -> Option<Channel> {
    let common = Section::open_with(report, at, COMMON, |_, _| true)?;
    let row = channel_type(report, &common, name)?;
    let known = |key: &str| COMMON.iter().any(|common| common.name == key);
    let own = Section::open_with(report, at, row.keys, |_, key| known(&key.text))?;
    let level = common.choice(report, "min_level").and_then(Level::parse);
    let mut channel = Channel {
        kind: row.kind,
        enabled: true,
        min_level: level.unwrap_or(Level::Warning),
        timeout: common.duration(report, "timeout").unwrap_or(Duration::from_secs(10)),
        retry_for: common.duration(report, "retry_for").unwrap_or(Duration::from_secs(3600)),
        fallback: common.text(report, "fallback"),
        proxy: common.read(report, "proxy", scalar::url),
        to: common.list(report, "to", scalar::secret).unwrap_or_default(),
        settings: BTreeMap::new(),
    };
    set(&mut channel.enabled, common.bool(report, "enabled"));
    for key in row.keys {
        if key.default == REQUIRED {
            own.require(report, key.name, &format!("add {}:", key.name));
        }
        if row.alias == Some(key.name) {
            let more = own.list(report, key.name, scalar::secret).unwrap_or_default();
            if channel.to.is_empty() {
                channel.to = more;
            }
        } else if let Some(setting) = setting(report, &own, key, row.kind) {
            channel.settings.insert(key.name, setting);
        }
    }
    complete(report, &own, &mut channel);
    if row.kind == ChannelType::Email {
        check_mailboxes(report, &common, "to");
    }
    Some(channel)
}

fn channel_type(
    report: &mut Report<'_>,
    section: &Section<'_>,
    name: &str,
) -> Option<&'static TypeRow> {
    let written = section.text(report, "type");
    let wanted = written.as_deref().unwrap_or(name);
    let row = TYPES.iter().find(|row| row.name == wanted);
    if row.is_none() {
        let names: Vec<&str> = TYPES.iter().map(|row| row.name).collect();
        let what = format!("{} is not a type of channel", quoted(wanted));
        let fix = match crate::config::problem::nearest(wanted, names.iter().copied()) {
            Some(near) if written.is_some() => format!("did you mean {near}?"),
            _ => format!("add type: with one of {}", names.join(", ")),
        };
        let at = section.get("type").unwrap_or_else(|| section.at().clone());
        report.error(&at, "E0114", what, &fix);
    }
    row
}

/// Reads one key by its kind.
fn setting(
    report: &mut Report<'_>,
    own: &Section<'_>,
    key: &Key,
    kind: ChannelType,
) -> Option<Setting> {
    match key.kind {
        _ if key.name == "from" => {
            own.read(report, key.name, scalar::mail_address).map(Setting::Text)
        }
        _ if key.name == "account" => own.read(report, key.name, phone).map(Setting::Text),
        Kind::Secret if key.name == "url" => {
            own.read(report, key.name, secret_url).map(Setting::Secret)
        }
        Kind::Secret => own.secret(report, key.name).map(Setting::Secret),
        Kind::Int(..) => own.int(report, key.name).map(Setting::Number),
        Kind::Choice(_) => own.choice(report, key.name).map(|text| Setting::Text(text.to_owned())),
        Kind::Url => own.read(report, key.name, scalar::url).map(Setting::Text),
        Kind::List(_) => own.texts(report, key.name).map(Setting::Texts),
        Kind::Section if key.name == "priority" => {
            own.get(key.name).map(|at| Setting::Levels(priorities(report, &at, kind)))
        }
        Kind::Section => own.get(key.name).map(|at| Setting::Map(secrets(report, &at))),
        _ => own.text(report, key.name).map(Setting::Text),
    }
}

/// Fills in the defaults that later code reads, and checks what two keys say together.
fn complete(report: &mut Report<'_>, own: &Section<'_>, channel: &mut Channel) {
    let email_port = match channel.text("tls") {
        Some("implicit") => 465,
        Some("none") => 25,
        _ => 587,
    };
    let text = |text: &str| Setting::Text(text.to_owned());
    let defaults: Vec<(&'static str, Setting)> = match channel.kind {
        ChannelType::Email => {
            vec![("tls", text("starttls")), ("port", Setting::Number(email_port))]
        }
        ChannelType::Ntfy => vec![("url", text("https://ntfy.sh"))],
        ChannelType::Webhook => vec![("method", text("POST"))],
        ChannelType::Signal if channel.text("url").is_none() => {
            vec![("program", text("signal-cli"))]
        }
        _ => Vec::new(),
    };
    for (key, value) in defaults {
        channel.settings.entry(key).or_insert(value);
    }
    if channel.kind == ChannelType::Email && own.get("user").is_some() {
        own.require(report, "password", "add password: {file: PATH}");
    }
    let pairs: &[(&str, &str)] = match channel.kind {
        ChannelType::Signal => &[("program", "url")],
        ChannelType::Ntfy | ChannelType::Alertmanager => &[("token", "user")],
        _ => &[],
    };
    for (one, other) in pairs {
        if let (Some(at), Some(_)) = (own.get(one), own.get(other)) {
            let what = format!("\"{one}\" and \"{other}\" exclude each other");
            report.error(&at, "E0117", what, "keep one of them");
        }
    }
    if matches!(channel.settings.get("argv"), Some(Setting::Texts(argv)) if argv.is_empty()) {
        report.error(own.at(), "E0105", "\"argv\" is empty".to_owned(), "name a program");
    }
}

/// Destinations that are written out; a secret is looked at when it is used.
fn check_mailboxes(report: &mut Report<'_>, section: &Section<'_>, name: &str) {
    for at in section.get(name).iter().flat_map(At::items) {
        if matches!(&at.node.value, Value::Text(text) if !scalar::is_mail_address(text)) {
            let what = format!("{} must be a mail address", quoted(at.name()));
            report.error(&at, "E0106", what, "write it as ops@example.net");
        }
    }
}

/// The number that signal-cli sends from.
fn phone(at: &At<'_>) -> Result<String, Fault> {
    let text = scalar::word(at, 64)?;
    if text.strip_prefix('+').is_some_and(|n| n.len() > 2 && n.bytes().all(|b| b.is_ascii_digit()))
    {
        return Ok(text);
    }
    Err(Fault {
        code: "E0106",
        what: format!("{} must be a number with its country", quoted(at.name())),
        fix: "write it as \"+41790000001\", in quotes".to_owned(),
    })
}

/// A secret that is an address; only written text can be checked here.
pub(super) fn secret_url(at: &At<'_>) -> Result<Secret, Fault> {
    let secret = scalar::secret(at)?;
    match &secret {
        Secret::Text(text) if !scalar::is_url(text) => Err(Fault {
            code: "E0106",
            what: format!("{} must be an address", quoted(at.name())),
            fix: "begin with https:// or http://".to_owned(),
        }),
        _ => Ok(secret),
    }
}

fn secrets(report: &mut Report<'_>, at: &At<'_>) -> BTreeMap<String, Secret> {
    let mut map = BTreeMap::new();
    for (key, node) in at.entries(report) {
        let at = at.child(key, node);
        let named = !key.text.is_empty() && !key.text.contains(['=', ':', '\0', '\r', '\n', ' ']);
        if !named {
            let what = format!("{} is not a name that can be used here", quoted(&key.text));
            report.name_error(&at, what, "use letters, digits, '-' and '_'");
            continue;
        }
        match scalar::secret(&at) {
            Ok(secret) => drop(map.insert(key.text.clone(), secret)),
            Err(fault) => report.fault(&At { secret: true, ..at }, fault),
        }
    }
    map
}

/// `priority: {critical: 1, warning: 0}`
fn priorities(report: &mut Report<'_>, at: &At<'_>, kind: ChannelType) -> BTreeMap<Level, i64> {
    let (least, most) = if kind == ChannelType::Pushover { (-2, 2) } else { (0, 10) };
    let mut map = BTreeMap::new();
    if !matches!(at.node.value, Value::Map(_)) {
        report.fault(at, scalar::wrong(at, "a map such as {critical: 1}"));
        return map;
    }
    for (key, node) in at.entries(report) {
        let at = at.child(key, node);
        let Some(level) = Level::parse(&key.text) else {
            let what = format!("{} is not a level", quoted(&key.text));
            report.error(&at, "E0114", what, &format!("write one of {}", LEVELS.join(", ")));
            continue;
        };
        match scalar::int(&at, least, most) {
            Ok(priority) => drop(map.insert(level, priority)),
            Err(fault) => report.fault(&at, fault),
        }
    }
    map
}
