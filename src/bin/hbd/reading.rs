//! Reading the configuration files and `templates_dir`: bounded, all problems collected, nothing decided here.

use crate::display;
use crate::effective::{self, Resolved};
use crate::journal;
use crate::lookup::{self, Environment, Files};
use crate::secret;
use crate::settings;
use heartbeat::config::node::{Document, Node, Value};
use heartbeat::config::problem::{self, Problem, Severity, UNKNOWN_ZONE, quoted};
use heartbeat::config::server::{self, Channel, Server};
use heartbeat::notice::channel::template_fault;
use heartbeat::os::file;
use heartbeat::web::{AgentFile, Pages};
use heartbeat::{limits, yaml};
use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Files of `agent_dir` that are shown, and the size of one (limits of `/agent/`).
const AGENT_FILES_MAX: usize = 64;
const AGENT_BYTES_MAX: usize = 64 << 20;
/// Files of `templates_dir` that are read, and the size of one.
const TEMPLATES_MAX: usize = 256;
const TEMPLATE_BYTES_MAX: usize = 1 << 20;

/// Where the configuration comes from, each time it is read.
#[derive(Clone)]
pub struct Source {
    /// `-c FILE`
    pub option: Option<PathBuf>,
    pub env: Environment,
    /// `--with-agent`
    pub with_agent: bool,
    /// The server has left its terminal.
    pub background: bool,
    /// What relative paths are relative to: the directory hbd was started in, which a daemon leaves.
    pub base: PathBuf,
}

/// What came of reading. `server` is usable even with problems: what is at fault has its default.
pub struct Reading {
    pub files: Files,
    pub server: Server,
    pub problems: Vec<Problem>,
    documents: Vec<Document>,
}

impl Source {
    pub fn new(option: Option<PathBuf>, env: Environment, with_agent: bool) -> Source {
        let base = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        Source { option, env, with_agent, background: false, base }
    }

    /// What the journal thread has to do, `None` where nothing.
    pub fn journal_settings(&self, config: &Server) -> Option<journal::Settings> {
        journal::Settings::of(config, &self.journal_dir(config)?)
    }

    /// `None` where there is no directory at all.
    pub fn journal_dir(&self, config: &Server) -> Option<PathBuf> {
        let state_dir = lookup::state_dir(config, &self.env).ok()?;
        Some(lookup::journal_dir(config, &self.env, &state_dir))
    }

    /// What the files leave open and the environment or the machine decides.
    fn resolved(&self, config: &Server) -> Vec<Resolved> {
        let env = &self.env;
        let Ok(state_dir) = lookup::state_dir(config, env) else { return Vec::new() };
        let origin = |set: bool, name: &str| match set {
            true => format!("env {name}"),
            false => "default".to_owned(),
        };
        let state = match (&env.state_directory, env.root, &env.xdg_state_home) {
            (Some(_), ..) => origin(true, "STATE_DIRECTORY"),
            (None, false, Some(_)) => origin(true, "XDG_STATE_HOME"),
            _ => origin(false, ""),
        };
        let journal = lookup::journal_dir(config, env, &state_dir);
        let socket = lookup::control_socket(config, env, &state_dir);
        let row = |key, path: PathBuf, origin| Resolved {
            key,
            value: path.display().to_string(),
            origin,
        };
        vec![
            row("pickfile", lookup::store(config, &state_dir), origin(false, "")),
            row("keys_file", state_dir.join("keys.json"), origin(false, "")),
            row("journal_dir", journal, origin(env.logs_directory.is_some(), "LOGS_DIRECTORY")),
            row(
                "control_socket",
                socket,
                origin(env.runtime_directory.is_some(), "RUNTIME_DIRECTORY"),
            ),
            row("state_dir", state_dir, state),
        ]
    }

    pub fn read(&self) -> Reading {
        let files = lookup::config_files(self.option.as_deref(), &self.env, &self.base);
        let (mut documents, mut problems) = (Vec::new(), Vec::new());
        for path in files.all() {
            match read_document(path) {
                Ok((document, warnings)) => {
                    documents.push(document);
                    problems.extend(warnings);
                }
                Err(problem) => problems.push(*problem),
            }
        }
        let (mut server, found) = server::check(&documents);
        problems.extend(found);
        problems.extend(unknown_zones(&documents));
        problems.extend(body_problems(&server, &documents));
        problems.extend(display::problems(&server, &documents));
        server.agent_enabled |= self.with_agent;
        let paths = [
            &mut server.state_dir,
            &mut server.logfile,
            &mut server.templates_dir,
            &mut server.agent_dir,
            &mut server.journal_dir,
        ];
        for path in paths.into_iter().flatten() {
            *path = self.base.join(&*path);
        }
        server.cert_path = self.base.join(&server.cert_path);
        secret::resolve_tokens(&mut server, &self.base);
        Reading { files, server, problems, documents }
    }
}

/// `timezone`, and `zone` of each window of `maintenance`, where this machine has none of that name.
fn unknown_zones(documents: &[Document]) -> Vec<Problem> {
    let written = |key: &str| documents.iter().rev().find_map(|d| Some((d, d.root.get(key)?)));
    let mut zones: Vec<(&Document, &Node, String)> = Vec::new();
    zones.extend(written("timezone").map(|(d, node)| (d, node, "timezone".to_owned())));
    if let Some((document, node)) = written("maintenance")
        && let Value::List(windows) = &node.value
    {
        for (nth, window) in windows.iter().enumerate() {
            let zone = window.get("zone").map(|zone| (document, zone));
            zones.extend(zone.map(|(d, zone)| (d, zone, format!("maintenance[{nth}].zone"))));
        }
    }
    let fix = "write a name such as Europe/Zurich, and see that the machine has tzdata";
    let problem = |(document, node, key): (&Document, &Node, String)| {
        let Value::Text(name) = &node.value else { return None };
        // What is no name at all was told of already.
        let is_known = TimeZone::get(name).is_ok() || TimeZone::posix(name).is_ok();
        if is_known || !server::is_zone_name(name) {
            return None;
        }
        let what = format!("there is no time zone {} here", quoted(name));
        let problem = Problem::new(UNKNOWN_ZONE, &document.file, node.span, what, fix);
        Some(Problem { key, ..problem })
    };
    zones.into_iter().filter_map(problem).collect()
}

impl Reading {
    pub fn has_error(&self) -> bool {
        problem::has_error(&self.problems)
    }

    /// One line each, for a log.
    pub fn problem_lines(&self) -> Vec<String> {
        self.problems.iter().map(Problem::render_line).collect()
    }

    /// In full, with the lines of the files, for a terminal.
    pub fn render_problems(&self) -> String {
        problem::render_all(&self.problems, |file| {
            self.documents.iter().find(|d| d.file == file).map(|d| d.text.as_str())
        })
    }

    /// What is in force, for `GET config`.
    pub fn render_settings(&self, source: &Source) -> std::sync::Arc<str> {
        let mut resolved = source.resolved(&self.server);
        if source.with_agent {
            let (value, origin) = ("enabled".to_owned(), "flag --with-agent".to_owned());
            resolved.push(Resolved { key: "agent", value, origin });
        }
        settings::render(&self.documents, server::key::TOP, &resolved, &self.problem_lines())
    }

    /// What is in force, as YAML, with the origin of each value.
    pub fn render_effective(&self, source: &Source) -> String {
        let main = self.files.main.as_deref().or(self.files.parts.first().map(PathBuf::as_path));
        let base = main.and_then(Path::parent).unwrap_or(Path::new("/"));
        let resolved = source.resolved(&self.server);
        effective::render(&self.documents, server::key::TOP, &resolved, base)
    }
}

/// Webhooks whose template of a body could not be used when a notice is due.
fn body_problems(config: &Server, documents: &[Document]) -> Vec<Problem> {
    let problem = |(name, channel): (&String, &Channel)| {
        let fault = template_fault(channel.text("body")?)?;
        let place = |document: &Document| {
            let channel = document.root.get("channels")?.get(name)?;
            Some((document.file.clone(), channel.get("body")?.span))
        };
        let (file, span) = documents.iter().rev().find_map(place)?;
        let what = format!("the template cannot be used: {fault}");
        let fix = "docs/NOTIFICATIONS.md has the fields of a notice and an example";
        let problem = Problem::new(problem::BODY_TEMPLATE, &file, span, what, fix);
        Some(Problem { key: format!("channels.{name}.body"), ..problem })
    };
    config.channels.iter().filter_map(problem).collect()
}

fn read_document(path: &Path) -> Result<(Document, Vec<Problem>), Box<Problem>> {
    let name = path.display().to_string();
    let bytes = file::read_bounded(path, limits::CONFIG_MAX).map_err(|e| match e.kind() {
        std::io::ErrorKind::FileTooLarge => {
            let what = format!("larger than {} bytes", limits::CONFIG_MAX);
            unreadable(&name, what, "split it into conf.d")
        }
        _ => unreadable(&name, e.to_string(), "check the path and its permissions"),
    })?;
    let text = String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        unreadable(&name, format!("not UTF-8 at byte {at}"), "save the file as UTF-8")
    })?;
    let (root, warnings) = yaml::read(&text, &name)?;
    Ok((Document { file: name, text, root }, warnings))
}

fn unreadable(file: &str, what: String, fix: &str) -> Box<Problem> {
    Box::new(Problem {
        code: "E0100",
        severity: Severity::Error,
        file: file.to_owned(),
        line: 0,
        column: 0,
        length: 0,
        key: String::new(),
        what,
        fix: fix.to_owned(),
        note: None,
        secret: false,
    })
}

/// The pages with the files of `templates_dir` over the built-in ones, in the configured zone. What cannot be read
/// is named in the log and left out.
pub fn pages(config: &Server) -> Pages {
    let pages = match &config.templates_dir {
        Some(dir) => Pages::with_overrides(overrides(dir)),
        None => Pages::built_in(),
    };
    let agents = config.agent_dir.as_deref().map(agents).unwrap_or_default();
    let pages = pages.with_zone(config.timezone.as_deref()).with_agents(agents);
    for problem in pages.problems() {
        log::warn!("pages: {problem}");
    }
    pages
}

/// The agents' binaries in `agent_dir`, each with its SHA-256 for those who copy it by hand.
fn agents(dir: &std::path::Path) -> Vec<AgentFile> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries.flatten().take(AGENT_FILES_MAX) {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let is_agent = name.starts_with("hbc-") && !name.ends_with(".minisig");
        if !is_agent || !entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        if let Ok(bytes) = file::read_bounded(&entry.path(), AGENT_BYTES_MAX) {
            let hash = Sha256::digest(&bytes);
            let sha256 = hash.iter().map(|byte| format!("{byte:02x}")).collect();
            found.push(AgentFile { name, bytes: bytes.len() as u64, sha256 });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

fn overrides(dir: &std::path::Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    match std::fs::read_dir(dir) {
        Ok(entries) => {
            for entry in entries.flatten().take(TEMPLATES_MAX) {
                read_template(&entry, &mut files);
            }
        }
        Err(error) => log::warn!("templates_dir: {}: {error}", dir.display()),
    }
    files
}

/// Only plain files with plain names: whatever is read here is served to everybody.
fn read_template(entry: &std::fs::DirEntry, files: &mut BTreeMap<String, Vec<u8>>) {
    let path = entry.path();
    let Ok(name) = entry.file_name().into_string() else { return };
    if name.starts_with('.') || entry.file_type().is_ok_and(|kind| kind.is_dir()) {
        return;
    }
    match file::read_plain(&path, TEMPLATE_BYTES_MAX) {
        Ok(bytes) => drop(files.insert(name, bytes)),
        Err(error) => log::warn!("templates_dir: {}: {error}", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h9_templates_dir_gives_plain_files_of_its_own_only() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path();
        std::fs::write(path.join("hb.css"), "own").expect("written");
        std::fs::write(path.join(".htpasswd"), "secret").expect("written");
        std::fs::create_dir(path.join("below")).expect("made");
        std::fs::write(path.join("below/x.css"), "secret").expect("written");
        std::os::unix::fs::symlink("/etc/passwd", path.join("link.css")).expect("linked");
        nix::unistd::mkfifo(&path.join("pipe.css"), nix::sys::stat::Mode::S_IRUSR).expect("made");
        let files = overrides(path);
        assert_eq!(files.keys().collect::<Vec<_>>(), ["hb.css"]);
        let pages = Pages::with_overrides(files);
        assert!(pages.problems().is_empty(), "{:?}", pages.problems());
    }
}
