//! Where things lie: configuration files, state directory, store, control socket (CONFIG.md, Files).
//!
//! Reads the environment once, at the start, into a value; every rule below is a function of that value.

use heartbeat::config::server::Server;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

const ETC: &str = "/etc/heartbeat/hbd.yaml";
const LOG_DIR: &str = "/var/log/heartbeat";
/// Files of `conf.d` that are read.
const PARTS_MAX: usize = 256;

/// The environment variables that hbd knows (CONFIG.md, Environment), and whether it runs as root.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    pub home: Option<PathBuf>,
    pub hbd_config: Option<PathBuf>,
    pub hbd_url: Option<String>,
    pub hbd_token: Option<String>,
    pub state_directory: Option<PathBuf>,
    pub runtime_directory: Option<PathBuf>,
    pub logs_directory: Option<PathBuf>,
    pub xdg_state_home: Option<PathBuf>,
    /// Where systemd puts credentials.
    pub credentials_directory: Option<PathBuf>,
    pub notify_socket: Option<OsString>,
    pub watchdog: (Option<String>, Option<String>),
    pub listen: (Option<String>, Option<String>),
    /// `HBD_FAULT`, for tests alone.
    pub fault: Option<String>,
    pub columns: Option<usize>,
    /// `NO_COLOR` is set; a terminal that knows no colours.
    pub no_color: bool,
    pub dumb: bool,
    /// The locale's characters are UTF-8.
    pub utf8: bool,
    pub root: bool,
}

impl Environment {
    pub fn read() -> Environment {
        let os = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let path = |name: &str| os(name).map(PathBuf::from);
        let text = |name: &str| os(name).and_then(|value| value.into_string().ok());
        // systemd gives several directories with colons between; the first is meant.
        let first = |name: &str| {
            text(name).map(|value| PathBuf::from(value.split(':').next().unwrap_or_default()))
        };
        Environment {
            home: path("HOME"),
            hbd_config: path("HBD_CONFIG"),
            hbd_url: text("HBD_URL"),
            hbd_token: text("HBD_TOKEN"),
            state_directory: first("STATE_DIRECTORY"),
            runtime_directory: first("RUNTIME_DIRECTORY"),
            logs_directory: first("LOGS_DIRECTORY"),
            xdg_state_home: path("XDG_STATE_HOME"),
            credentials_directory: path("CREDENTIALS_DIRECTORY"),
            notify_socket: os("NOTIFY_SOCKET"),
            watchdog: (text("WATCHDOG_USEC"), text("WATCHDOG_PID")),
            listen: (text("LISTEN_PID"), text("LISTEN_FDS")),
            columns: text("COLUMNS").and_then(|value| value.parse().ok()),
            fault: text("HBD_FAULT"),
            no_color: os("NO_COLOR").is_some(),
            dumb: text("TERM").is_some_and(|term| term == "dumb"),
            utf8: ["LC_ALL", "LC_CTYPE", "LANG"]
                .into_iter()
                .find_map(text)
                .is_some_and(|locale| is_utf8(&locale)),
            root: nix::unistd::geteuid().is_root(),
        }
    }
}

/// `de_CH.UTF-8`, `C.utf8`
fn is_utf8(locale: &str) -> bool {
    let locale = locale.to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

/// The configuration files to read, the main one first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Files {
    pub main: Option<PathBuf>,
    /// `conf.d/*.yaml` beside it, in order of their names.
    pub parts: Vec<PathBuf>,
}

impl Files {
    pub fn all(&self) -> impl Iterator<Item = &Path> {
        self.main.iter().chain(&self.parts).map(PathBuf::as_path)
    }
}

/// `-c FILE`, else `$HBD_CONFIG`, else `~/.hb.yaml`, else `/etc/heartbeat/hbd.yaml` with `conf.d/*.yaml`.
/// A file that was named is taken whether it exists or not: reading it then says what is wrong. A relative
/// name is meant from `base`.
pub fn config_files(option: Option<&Path>, env: &Environment, base: &Path) -> Files {
    if let Some(named) = option.or(env.hbd_config.as_deref()) {
        let main = base.join(named);
        let parts = parts_beside(&main);
        return Files { main: Some(main), parts };
    }
    let personal = env.home.as_ref().map(|home| home.join(".hb.yaml"));
    if let Some(personal) = personal.filter(|path| path.exists()) {
        return Files { main: Some(personal), parts: Vec::new() };
    }
    let etc = Path::new(ETC);
    Files { main: etc.exists().then(|| etc.to_owned()), parts: parts_beside(etc) }
}

fn parts_beside(main: &Path) -> Vec<PathBuf> {
    let Some(dir) = main.parent().map(|dir| dir.join("conf.d")) else { return Vec::new() };
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut parts: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "yaml") && !is_hidden(path))
        .collect();
    parts.sort();
    parts.truncate(PARTS_MAX);
    parts
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// Everything that must survive lies here.
pub fn state_dir(config: &Server, env: &Environment) -> Result<PathBuf, String> {
    let rules = [
        config.state_dir.clone(),
        env.state_directory.clone(),
        env.root.then(|| PathBuf::from("/var/lib/heartbeat")),
        env.xdg_state_home.as_ref().map(|dir| dir.join("heartbeat")),
        env.home.as_ref().map(|home| home.join(".local/state/heartbeat")),
    ];
    let found = rules.into_iter().flatten().next();
    let found = found.ok_or("no directory for the state: set state_dir, or HOME")?;
    std::path::absolute(&found).map_err(|e| format!("{}: {e}", found.display()))
}

/// The store's file; a relative `pickfile` lies in the state directory.
pub fn store(config: &Server, state_dir: &Path) -> PathBuf {
    state_dir.join(config.pickfile.as_deref().unwrap_or(Path::new("heartbeat.redb")))
}

pub fn control_socket(config: &Server, env: &Environment, state_dir: &Path) -> PathBuf {
    if let Some(path) = &config.control_socket {
        return state_dir.join(path);
    }
    match &env.runtime_directory {
        Some(dir) => dir.join("hbd.sock"),
        None if env.root => PathBuf::from("/run/heartbeat/hbd.sock"),
        None => state_dir.join("hbd.sock"),
    }
}

/// The journal's directory: `journal_dir`, else `$LOGS_DIRECTORY`, else `/var/log/heartbeat` where it can be
/// written or made, else `journal` below the state.
pub fn journal_dir(config: &Server, env: &Environment, state_dir: &Path) -> PathBuf {
    if let Some(dir) = config.journal_dir.as_ref().or(env.logs_directory.as_ref()) {
        return dir.clone();
    }
    let logs = Path::new(LOG_DIR);
    if is_writable(logs) { logs.to_owned() } else { state_dir.join("journal") }
}

/// Whether files can be made in `dir`, or `dir` itself can.
fn is_writable(dir: &Path) -> bool {
    use nix::unistd::{AccessFlags, access};
    let place = if dir.exists() { Some(dir) } else { dir.parent() };
    place.is_some_and(|place| access(place, AccessFlags::W_OK | AccessFlags::X_OK).is_ok())
}

/// Makes a directory of ours, for our eyes only, where it does not exist.
pub fn create_private(dir: &Path) -> Result<(), String> {
    use std::os::unix::fs::DirBuilderExt;
    if dir.is_dir() {
        return Ok(());
    }
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|e| {
        format!("cannot make {}: {e} (as uid {})", dir.display(), nix::unistd::geteuid())
    })
}

/// The machine's full name: of the names that the hosts file has for it the first with a domain.
pub fn full_name(hosts_file: &str, hostname: &str) -> Option<String> {
    if hostname.contains('.') {
        return Some(hostname.to_owned());
    }
    hosts_file.lines().find_map(|line| {
        let line = line.split('#').next().unwrap_or_default();
        let names: Vec<&str> = line.split_ascii_whitespace().skip(1).collect();
        let ours = names.iter().any(|name| name.eq_ignore_ascii_case(hostname));
        let prefix = format!("{hostname}.");
        let full = names.iter().find(|name| name.to_ascii_lowercase().starts_with(&prefix));
        full.filter(|_| ours).map(|name| (*name).to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(path: &Path) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, b"").unwrap();
    }

    #[test]
    fn config_is_found_in_the_documented_order() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        let mut env = Environment { home: Some(home.clone()), ..Environment::default() };
        touch(&home.join(".hb.yaml"));
        assert_eq!(config_files(None, &env, dir.path()).main, Some(home.join(".hb.yaml")));
        let named = dir.path().join("etc/hbd.yaml");
        env.hbd_config = Some(named.clone());
        for part in ["20-b.yaml", "10-a.yaml", ".hidden.yaml", "note.txt"] {
            touch(&dir.path().join("etc/conf.d").join(part));
        }
        let found = config_files(None, &env, dir.path());
        assert_eq!(found.main, Some(named));
        let names: Vec<_> = found.parts.iter().map(|p| p.file_name().unwrap()).collect();
        assert_eq!(names, ["10-a.yaml", "20-b.yaml"]);
        let option = config_files(Some(Path::new("x.yaml")), &env, Path::new("/nowhere"));
        assert_eq!(option.main, Some(PathBuf::from("/nowhere/x.yaml")));
    }

    #[test]
    fn state_dir_and_socket_follow_the_rules() {
        let mut config = Server::default();
        let mut env = Environment { home: Some("/h".into()), ..Environment::default() };
        let dir = |config: &Server, env: &Environment| state_dir(config, env).unwrap();
        assert_eq!(dir(&config, &env), Path::new("/h/.local/state/heartbeat"));
        env.xdg_state_home = Some("/x".into());
        assert_eq!(dir(&config, &env), Path::new("/x/heartbeat"));
        let socket = control_socket(&config, &env, Path::new("/s"));
        assert_eq!(socket, Path::new("/s/hbd.sock"));
        env.root = true;
        assert_eq!(dir(&config, &env), Path::new("/var/lib/heartbeat"));
        let socket = control_socket(&config, &env, Path::new("/s"));
        assert_eq!(socket, Path::new("/run/heartbeat/hbd.sock"));
        env.state_directory = Some("/sd".into());
        env.runtime_directory = Some("/rd".into());
        assert_eq!(dir(&config, &env), Path::new("/sd"));
        assert_eq!(control_socket(&config, &env, Path::new("/s")), Path::new("/rd/hbd.sock"));
        config.state_dir = Some("/c".into());
        config.pickfile = Some("hb.pickle".into());
        assert_eq!(dir(&config, &env), Path::new("/c"));
        assert_eq!(store(&config, Path::new("/c")), Path::new("/c/hb.pickle"));
        assert!(state_dir(&Server::default(), &Environment::default()).is_err());
        env.logs_directory = Some("/ld".into());
        assert_eq!(journal_dir(&config, &env, Path::new("/s")), Path::new("/ld"));
        config.journal_dir = Some("/j".into());
        assert_eq!(journal_dir(&config, &env, Path::new("/s")), Path::new("/j"));
    }

    #[test]
    fn writable_is_a_directory_of_ours_or_a_place_for_it() {
        let dir = tempfile::tempdir().unwrap();
        assert!(is_writable(dir.path()));
        assert!(is_writable(&dir.path().join("new")));
        assert!(!is_writable(&dir.path().join("no/where")));
    }

    #[test]
    fn full_name_comes_from_the_hosts_file() {
        let hosts = "127.0.0.1 localhost\n# 10.0.0.1 web.x web\n10.0.0.1 Web.example.net web\n";
        assert_eq!(full_name(hosts, "web").as_deref(), Some("Web.example.net"));
        assert_eq!(full_name(hosts, "db"), None);
        assert_eq!(full_name("", "a.b").as_deref(), Some("a.b"));
    }
}
