//! The subcommands that ask a running server: over its control socket, or `--server URL`.
//!
//! Owns what they print and their exit status. Everything they show comes from the HTTP API.

mod alert;
mod calm;
mod command;
mod event;
mod fleet;
mod http;
mod notify;
mod screen;
mod table;
mod tls;
mod token;

use crate::args::{Action, Invocation};
use crate::lookup::{self, Environment};
use crate::reading::Source;
use crate::{EXIT_CONFIG, EXIT_FAILED, EXIT_NOT_ALLOWED, EXIT_OK, EXIT_UNREACHABLE, EXIT_USAGE};
use heartbeat::os::clock;
use http::{Answer, Server, encode_segment};
use screen::Screen;
use serde_json::Value;
use std::io::Write;
use table::Layout;

const RELOAD: &str = "/api/0/reload";

/// Why a subcommand did not succeed; `words` go to stderr.
#[derive(Debug)]
pub struct Failure {
    pub status: u8,
    pub words: String,
    /// The `code` of the API's problem document; empty where there was none.
    pub code: String,
}

fn failure(status: u8, words: impl Into<String>) -> Failure {
    Failure { status, words: words.into(), code: String::new() }
}

/// Runs one subcommand; returns the exit status.
pub fn run(invocation: &Invocation, env: &Environment) -> u8 {
    let screen = Screen::of(invocation, env).map_err(|usage| failure(EXIT_USAGE, usage.0));
    let result = screen.and_then(|screen| {
        let server = server(invocation, env)?;
        Asker { server, invocation, layout: screen.layout, screen }.run()
    });
    match result {
        Ok((status, text)) => {
            // A reader that has seen enough (`| head`) is no failure.
            let _ = std::io::stdout().write_all(text.as_bytes());
            status
        }
        Err(failure) => {
            if invocation.check {
                let _ = writeln!(std::io::stdout(), "HEARTBEAT UNKNOWN - {}", failure.words);
            } else {
                eprintln!("hbd: {}", failure.words);
            }
            failure.status
        }
    }
}

pub use command::{key_uses, render_time, tell_keys};

/// Rows for a person or a pipe, of a subcommand that asks no server.
///
/// # Errors
/// Options that do not go together.
pub fn table(
    invocation: &Invocation,
    env: &Environment,
    titles: &[&str],
    rows: &[Vec<String>],
) -> Result<String, String> {
    let screen = Screen::of(invocation, env).map_err(|usage| usage.0)?;
    Ok(screen.dress(table::render(screen.layout, titles, rows)))
}

fn server(invocation: &Invocation, env: &Environment) -> Result<Server, Failure> {
    if let Some(url) = invocation.server.as_ref().or(env.hbd_url.as_ref()) {
        let token = env.hbd_token.clone();
        let ca_file = invocation.ca_file.clone();
        return Server::parse(url, token, ca_file).map_err(|words| failure(EXIT_USAGE, words));
    }
    let source = Source::new(invocation.config.clone(), env.clone(), false);
    let reading = source.read();
    // A running server is asked even where its file has errors by now; only a reload would meet them.
    if reading.has_error() && invocation.action == Action::Reload {
        eprint!("{}", reading.render_problems());
        return Err(failure(EXIT_CONFIG, "not reloaded, the old configuration stays"));
    }
    // A file that was asked for and is not there would have another server's socket be tried.
    let main = reading.files.main.as_ref().map(|path| path.display().to_string());
    let mut problems = reading.problems.iter();
    let missing = problems.find(|p| p.code == "E0100" && Some(&p.file) == main.as_ref());
    if let (Some(_), Some(missing)) = (&invocation.config, missing) {
        let status = if invocation.check { EXIT_UNREACHABLE } else { EXIT_CONFIG };
        return Err(failure(status, missing.render_line()));
    }
    let state_dir = lookup::state_dir(&reading.server, env).map_err(|e| failure(EXIT_FAILED, e))?;
    Ok(Server::Socket(lookup::control_socket(&reading.server, env, &state_dir)))
}

fn terminal_width() -> Option<usize> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ fills the winsize that it is given, or fails.
    let result = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &raw mut size) };
    (result == 0 && size.ws_col > 0).then_some(usize::from(size.ws_col))
}

type Printed = Result<(u8, String), Failure>;

struct Asker<'a> {
    server: Server,
    invocation: &'a Invocation,
    layout: Layout,
    screen: Screen,
}

impl Asker<'_> {
    fn run(&self) -> Printed {
        match self.invocation.action {
            Action::Status if self.invocation.check => self.check(),
            Action::Status => self.status(),
            Action::Hosts => self.hosts(),
            Action::Host => self.host(),
            Action::Events => self.events(),
            Action::Ghosts => self.ghosts(),
            Action::Dns => self.update_dns(),
            Action::Drop => self.drop_host(),
            Action::Watch => self.watch(),
            Action::Alerts => self.alerts(),
            Action::Explain => self.explain(),
            Action::Ack => self.acknowledge(),
            Action::Unack => self.take_back("alerts/ack"),
            Action::Silence => self.silence(),
            Action::Unsilence => self.take_back("silences"),
            Action::Maintenance => self.maintenance(),
            Action::Run => self.run_command(),
            Action::Commands => self.commands(),
            Action::Upgrade => self.upgrade(),
            Action::Token => self.token(),
            Action::NotifyTest => self.notify_test(),
            _ => self.reload(),
        }
    }

    /// An answer with a success status, as JSON (`null` where it has no body).
    fn ask(&self, method: &str, path: &str, body: Option<&str>) -> Result<Value, Failure> {
        let answer = self.server.ask(method, path, body).map_err(|error| {
            let server = &self.server;
            let words = format!("cannot reach hbd at {server}: {error} - is it running?");
            failure(EXIT_UNREACHABLE, words)
        })?;
        let Answer { status, body } = answer;
        let value = if body.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(&body) };
        let code = value.as_ref().ok().and_then(|value| value["code"].as_str()).unwrap_or_default();
        let code = code.to_owned();
        let result = match (status, value) {
            (200..=299, Ok(value)) => Ok(value),
            (422, value) if path == RELOAD => {
                Err(failure(EXIT_CONFIG, problem(status, value.ok())))
            }
            (401 | 403, value) => Err(failure(EXIT_NOT_ALLOWED, problem(status, value.ok()))),
            (_, value) => Err(failure(EXIT_FAILED, problem(status, value.ok()))),
        };
        result.map_err(|failure| Failure { code, ..failure })
    }

    fn get(&self, path: &str) -> Result<Value, Failure> {
        self.ask("GET", path, None)
    }

    fn printed(&self, value: &Value, table: impl FnOnce() -> String) -> Printed {
        Ok((EXIT_OK, if self.invocation.json { json(value) } else { table() }))
    }

    fn ghosts(&self) -> Printed {
        if let [verb, name] = self.invocation.words.as_slice() {
            if !matches!(verb.as_str(), "accept" | "ignore") {
                return Err(failure(EXIT_USAGE, "usage: hbd ghosts accept|ignore NAME"));
            }
            let body = serde_json::json!({ "do": verb }).to_string();
            let path = format!("/api/0/ghosts/{}", encode_segment(name));
            self.ask("POST", &path, Some(&body))?;
            return Ok((EXIT_OK, String::new()));
        }
        if !self.invocation.words.is_empty() {
            return Err(failure(EXIT_USAGE, "usage: hbd ghosts [accept|ignore NAME]"));
        }
        let value = self.get("/api/0/ghosts")?;
        self.ghost_table(&value)
    }

    /// The server answers when the wish is on disk; what comes of it is an event of kind `dns`.
    fn update_dns(&self) -> Printed {
        self.ask("POST", &self.host_path("/dns"), Some("{}"))?;
        Ok((EXIT_OK, String::new()))
    }

    fn drop_host(&self) -> Printed {
        self.ask("DELETE", &self.host_path(""), None)?;
        Ok((EXIT_OK, String::new()))
    }

    fn watch(&self) -> Printed {
        let watch = match self.invocation.words.get(1).map(String::as_str) {
            Some("on") => true,
            Some("off") => false,
            _ => return Err(failure(EXIT_USAGE, "usage: hbd watch HOST on|off")),
        };
        let body = serde_json::json!({ "watch": watch }).to_string();
        self.ask("PUT", &self.host_path("/watch"), Some(&body))?;
        Ok((EXIT_OK, String::new()))
    }

    fn reload(&self) -> Printed {
        let value = self.ask("POST", RELOAD, None)?;
        let changed: Vec<&str> = fleet::list(&value, "changed").filter_map(Value::as_str).collect();
        let text = match changed.len() {
            0 => "reloaded, nothing changed\n".to_owned(),
            _ => format!("reloaded, changed: {}\n", changed.join(" ")),
        };
        Ok((EXIT_OK, text))
    }

    fn host_path(&self, rest: &str) -> String {
        let host = self.invocation.words.first().map(String::as_str).unwrap_or_default();
        format!("/api/0/hosts/{}{rest}", encode_segment(host))
    }
}

fn now() -> f64 {
    clock::now().wall.as_secs_f64()
}

fn json(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

/// Where a hint names a request whose answer a subcommand shows, the subcommand: who sits at a terminal has it at hand.
const AT_A_TERMINAL: &[(&str, &str)] = &[
    ("GET /api/0/alerts?kind=all lists the ids", "`hbd alerts` lists the metrics"),
    ("GET /api/0/auth/tokens", "`hbd token list`"),
    ("GET /api/0/ghosts", "`hbd ghosts`"),
    ("GET /healthz lists", "`hbd status` shows"),
    (
        "POST /api/0/auth/login with username and password, or send a token as Authorization: Bearer.",
        "Put a token into HBD_TOKEN; `hbd token new NAME` on the server makes one.",
    ),
];

fn for_terminal(hint: &str) -> String {
    const HOSTS: &str = "GET /api/0/hosts";
    let known = |hint: String, (from, to): &(&str, &str)| hint.replace(from, to);
    let hint = AT_A_TERMINAL.iter().fold(hint.to_owned(), known);
    let Some((before, rest)) = hint.split_once(HOSTS) else { return hint };
    let (path, after) = rest.split_at(rest.find(' ').unwrap_or(rest.len()));
    match path.trim_start_matches('/').split('/').next() {
        Some(host) if !host.is_empty() => format!("{before}`hbd host {host}`{after}"),
        _ => format!("{before}`hbd hosts`{after}"),
    }
}

/// What an answer of the API says went wrong, for a person.
fn problem(status: u16, value: Option<Value>) -> String {
    let value = value.unwrap_or_default();
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    match (text("detail").or(text("title")), text("hint")) {
        (Some(what), Some(hint)) => format!("{what} {}", for_terminal(hint)),
        (Some(what), None) => what.to_owned(),
        (None, _) => format!("the server answered with status {status}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_name_what_is_at_hand_at_a_terminal() {
        let table = [
            (
                "GET /api/0/hosts lists the hosts that you may see.",
                "`hbd hosts` lists the hosts that you may see.",
            ),
            (
                "It is PLUGIN.METRIC; GET /api/0/hosts/web1/plugins lists what the host has sent.",
                "It is PLUGIN.METRIC; `hbd host web1` lists what the host has sent.",
            ),
            ("GET /api/0/ghosts lists those that are.", "`hbd ghosts` lists those that are."),
            ("GET /healthz lists the channels.", "`hbd status` shows the channels."),
            ("GET /api/0/users lists them.", "GET /api/0/users lists them."),
            ("Write 30m, or seconds.", "Write 30m, or seconds."),
        ];
        for (hint, want) in table {
            assert_eq!(for_terminal(hint), want);
        }
    }
}
