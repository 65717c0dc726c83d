//! `--install-service`: hands the agent to the init system of this machine: writes its unit, and a
//! configuration where there is none, and starts it. Never overwrites a configuration.

use super::agent_program::{Exit, FAILED, Loaded, NOT_ALLOWED, Program, USAGE, print, tell};
use crate::config::agent as config;
use crate::os::file;
use std::ffi::CString;
use std::io;
use std::path::{Path, PathBuf};

const SYSTEMD: &str = include_str!("../../packaging/systemd/hbc.service");
const OPENRC: &str = include_str!("../../packaging/openrc/hbc");
const LAUNCHD: &str = include_str!("../../packaging/launchd/net.heartbeat.hbc.plist");
const PROCD: &str = include_str!("../../packaging/openwrt/hbc-mini.init");

/// Who starts services here.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Init {
    Systemd,
    Procd,
    OpenRc,
    Launchd,
}

/// What is to be done: files, then commands.
#[derive(Debug, PartialEq)]
struct Plan {
    unit: PathBuf,
    text: String,
    mode: u32,
    /// One line each, of words without meaning to a shell.
    commands: Vec<String>,
}

pub(super) fn run(program: &Program, loaded: &Loaded, server: Option<&str>) -> Result<u8, Exit> {
    let failed = |what: String, status: u8| {
        tell(&format!("{}: {what}", program.name));
        Exit(status)
    };
    let root = Path::new("/");
    let init = find(root).ok_or_else(|| {
        let what = "neither systemd, procd, OpenRC nor launchd starts services on this machine";
        failed(what.to_owned(), FAILED)
    })?;
    if let Some(server) = server {
        config::parse_server(server).map_err(|what| failed(what, USAGE))?;
    } else if loaded.agent.servers.is_empty() {
        let what = "name the server: --install-service SERVER (none is configured)";
        return Err(failed(what.to_owned(), USAGE));
    }
    // SAFETY: takes nothing and cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        return Err(failed("only root can install a service".to_owned(), NOT_ALLOWED));
    }
    let exe = std::env::current_exe().map_err(|error| failed(error.to_string(), FAILED))?;
    let file = Path::new("/etc/heartbeat").join(program.file);
    let made = make_config(&file, server)
        .map_err(|error| failed(format!("{}: {error}", file.display()), FAILED))?;
    let plan = plan(init, root, program.name, &exe, &file);
    let written = write(&plan.unit, &plan.text, plan.mode);
    written.map_err(|error| failed(format!("{}: {error}", plan.unit.display()), FAILED))?;
    for command in &plan.commands {
        carry_out(command).map_err(|how| failed(format!("{command}: {how}"), FAILED))?;
    }
    let kept = if made { "written" } else { "left as it was" };
    print(&format!(
        "{} is written, {} is {kept}; the agent is running and starts with the machine\n",
        plan.unit.display(),
        file.display()
    ))
}

/// Runs one command, with this terminal. What it starts stays.
fn carry_out(command: &str) -> Result<(), String> {
    let text = CString::new(command).map_err(|error| error.to_string())?;
    // SAFETY: the text ends in a NUL and lives; no other thread runs yet.
    let status = unsafe { libc::system(text.as_ptr()) };
    match status {
        0 => Ok(()),
        -1 => Err(io::Error::last_os_error().to_string()),
        status if libc::WIFEXITED(status) => {
            Err(format!("exit status {}", libc::WEXITSTATUS(status)))
        }
        status => Err(format!("killed by signal {}", libc::WTERMSIG(status))),
    }
}

fn find(root: &Path) -> Option<Init> {
    let there = |path: &str| root.join(path).exists();
    match () {
        () if there("run/systemd/system") => Some(Init::Systemd),
        () if there("sbin/procd") && there("etc/rc.common") => Some(Init::Procd),
        () if there("sbin/openrc-run") => Some(Init::OpenRc),
        () if there("Library/LaunchDaemons") && cfg!(target_os = "macos") => Some(Init::Launchd),
        () => None,
    }
}

fn plan(init: Init, root: &Path, name: &'static str, exe: &Path, config: &Path) -> Plan {
    let (exe, config) = (exe.display().to_string(), config.display().to_string());
    match init {
        Init::Systemd => Plan {
            unit: root.join(format!("etc/systemd/system/{name}.service")),
            text: SYSTEMD.replace("/usr/bin/hbc $HBC_OPTIONS", &format!("{exe} -b -c {config}")),
            mode: 0o644,
            commands: vec![
                "systemctl daemon-reload".to_owned(),
                format!("systemctl enable --now {name}"),
                format!("systemctl restart {name}"),
            ],
        },
        Init::Procd => Plan {
            unit: root.join("etc/init.d/hbc-mini"),
            text: PROCD.replace("/usr/bin/hbc-mini", &exe),
            mode: 0o755,
            commands: vec![
                "/etc/init.d/hbc-mini enable".to_owned(),
                "/etc/init.d/hbc-mini restart".to_owned(),
            ],
        },
        Init::OpenRc => Plan {
            unit: root.join("etc/init.d/hbc"),
            text: OPENRC
                .replace("/usr/bin/hbc", &exe)
                .replace("command_args:--b}", &format!("command_args:--b -c {config}}}")),
            mode: 0o755,
            commands: vec![
                "rc-update add hbc default".to_owned(),
                "rc-service hbc restart".to_owned(),
            ],
        },
        Init::Launchd => Plan {
            unit: root.join("Library/LaunchDaemons/net.heartbeat.hbc.plist"),
            text: LAUNCHD
                .replace("/usr/local/bin/hbc", &exe)
                .replace("/etc/heartbeat/hbc.yaml", &config),
            mode: 0o644,
            commands: vec![
                "launchctl bootstrap system /Library/LaunchDaemons/net.heartbeat.hbc.plist"
                    .to_owned(),
            ],
        },
    }
}

/// Makes the configuration where there is none; whether it did. JSON is YAML, too.
fn make_config(path: &Path, server: Option<&str>) -> io::Result<bool> {
    if path.exists() {
        return Ok(false);
    }
    let text = format!("{{\"servers\": [\"{}\"]}}\n", server.unwrap_or_default());
    write(path, &text, 0o644)?;
    Ok(true)
}

fn write(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    file::replace(path, text.as_bytes(), mode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn init_system_is_recognised_by_its_files() {
        let dir = tempfile::tempdir().expect("a directory");
        let root = dir.path();
        assert_eq!(find(root), None);
        for (path, want) in [
            ("sbin/openrc-run", Init::OpenRc),
            ("sbin/procd", Init::OpenRc),
            ("etc/rc.common", Init::Procd),
            ("run/systemd/system", Init::Systemd),
        ] {
            std::fs::create_dir_all(root.join(path)).expect("made");
            assert_eq!(find(root), Some(want), "{path}");
        }
    }

    #[test]
    fn command_that_fails_says_how() {
        assert_eq!(carry_out("true"), Ok(()));
        assert_eq!(carry_out("exit 3"), Err("exit status 3".to_owned()));
        assert_eq!(carry_out("kill -9 $$"), Err("killed by signal 9".to_owned()));
    }

    #[test]
    fn unit_starts_this_program_with_this_configuration() {
        let (exe, config) = (Path::new("/opt/hb/hbc"), Path::new("/etc/heartbeat/hbc.json"));
        for init in [Init::Systemd, Init::Procd, Init::OpenRc, Init::Launchd] {
            let plan = plan(init, Path::new("/r"), "hbc", exe, config);
            assert!(plan.unit.starts_with("/r"), "{init:?}");
            assert!(plan.text.contains("/opt/hb/hbc"), "{init:?}");
            assert!(!plan.text.contains("/usr/bin/hbc"), "{init:?}");
            let named = plan.text.contains("/etc/heartbeat/hbc.json");
            assert!(named, "{init:?} {}", plan.text);
        }
    }

    #[test]
    fn configuration_is_made_once_and_never_overwritten() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("etc/hbc.yaml");
        assert!(make_config(&path, Some("hb.example.net:5")).expect("made"));
        assert!(!make_config(&path, Some("other")).expect("left"));
        let bytes = file::read_bounded(&path, 100).expect("read");
        assert_eq!(bytes, b"{\"servers\": [\"hb.example.net:5\"]}\n");
    }
}
