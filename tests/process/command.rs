//! Subcommands that need no server: a first configuration, what is in force, completions, manual pages.

use crate::program::{Place, Sender, stderr, stdout};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

fn read(path: &Path) -> String {
    String::from_utf8(heartbeat::os::file::read_bounded(path, 1 << 20).unwrap()).unwrap()
}

#[test]
fn init_writes_a_file_that_passes_check_config_and_starts() {
    let place = Place::new();
    let dir = place.path().join("first");
    let dir = dir.to_str().unwrap();
    let output = place.run(&["init", dir]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let file = format!("{dir}/hbd.yaml");
    let output = place.run(&["check-config", "-c", &file]);
    let want =
        format!("ok: {file}: 0 hosts, 0 users, 0 profiles, 0 limits, 0 errors, 0 warnings\n");
    assert_eq!((output.status.code(), stdout(&output)), (Some(0), want));
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    assert!(read(Path::new(&format!("{dir}/hbd.service"))).contains("Type=notify"));
    // A second time nothing is overwritten.
    std::fs::write(&file, "interval: 10\n").unwrap();
    let output = place.run(&["init", dir]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("is there already"), "{}", stderr(&output));
    assert_eq!(read(Path::new(&file)), "interval: 10\n");
}

#[test]
fn print_shows_each_value_with_its_origin() {
    let place = Place::new();
    std::fs::create_dir(place.path().join("conf.d")).unwrap();
    std::fs::write(place.path().join("conf.d/20-web.yaml"), "hosts:\n  web1: {group: basel}\n")
        .unwrap();
    let output = place
        .command(&["check-config", "--print", "-q"])
        .env("LOGS_DIRECTORY", "/logs")
        .output()
        .unwrap();
    let text = stdout(&output);
    for want in [
        "hb_port: 0  # hbd.yaml:1\n",
        "interval: 30  # default\n",
        "    group: basel  # conf.d/20-web.yaml:2\n",
        "ws_port: 0  # hbd.yaml:4\n",
    ] {
        assert!(text.contains(want), "{want} in {text}");
    }
    assert_eq!(output.status.code(), Some(0));
    // What is shown is a configuration again.
    std::fs::write(place.path().join("again.yaml"), &text).unwrap();
    let again = place.path().join("again.yaml");
    let output = place.run(&["check-config", "-c", again.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn completions_of_bash_offer_subcommands_options_and_choices() {
    let place = Place::new();
    let script = place.path().join("hbd.bash");
    std::fs::write(&script, place.run(&["completions", "bash"]).stdout).unwrap();
    let offered = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let program = format!(
            "source {}; COMP_WORDS=({line}); COMP_CWORD={}; [ -n \"{last}\" ] || COMP_WORDS+=(\"\"); \
             _hbd; echo \"${{COMPREPLY[@]}}\"",
            script.display(),
            words.len() - 1,
            last = words[words.len() - 1],
        );
        stdout(&Command::new("bash").args(["-c", &program]).output().unwrap())
    };
    assert_eq!(offered("hbd sta"), "status\n");
    assert!(offered("hbd status --che").contains("--check"));
    assert_eq!(offered("hbd watch o"), "on off\n");
    assert_eq!(offered("hbd -c x.yaml relo"), "reload\n");
    for (shell, check) in [("zsh", "zsh"), ("fish", "fish")] {
        let script = place.path().join(shell);
        std::fs::write(&script, place.run(&["completions", shell]).stdout).unwrap();
        let Ok(output) = Command::new(check).arg("-n").arg(&script).output() else {
            assert!(std::env::var_os("HB_REQUIRE_PARTS").is_none(), "{check} is missing");
            continue;
        };
        assert!(output.status.success(), "{shell}: {}", stderr(&output));
    }
    assert_eq!(place.run(&["completions", "tcsh"]).status.code(), Some(2));
}

#[test]
fn manual_pages_are_written_and_read_without_a_warning() {
    let place = Place::new();
    let dir = place.path().join("man");
    assert_eq!(place.run(&["man", dir.to_str().unwrap()]).status.code(), Some(0));
    for page in ["hbd.8", "hbc.8", "hbc-mini.8", "hbd.yaml.5", "hbc.yaml.5", "heartbeat-protocol.7"]
    {
        let path = dir.join(page);
        assert!(read(&path).contains(".SH NAME\n"), "{page}");
        let Ok(output) = Command::new("man")
            .args(["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"])
            .arg(&path)
            .env("MANWIDTH", "80")
            .output()
        else {
            assert!(std::env::var_os("HB_REQUIRE_PARTS").is_none(), "man is missing");
            continue;
        };
        assert!(output.status.success() && output.stderr.is_empty(), "{page}: {}", stderr(&output));
    }
}

#[test]
fn lists_are_told_in_every_form() {
    let place = Place::new();
    let server = place.start();
    for name in ["web1", "web2", "db1"] {
        Sender::to(server.udp).heartbeat(name);
        server.wait_for_host(name);
    }
    let run = |args: &[&str]| {
        let output = place.run(args);
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", stderr(&output));
        stdout(&output)
    };
    assert_eq!(run(&["hosts", "--names", "web"]).lines().count(), 2);
    let lines = run(&["hosts", "--jsonl"]);
    assert_eq!(lines.lines().count(), 3);
    for line in lines.lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).unwrap()["name"].is_string());
    }
    assert_eq!(
        run(&["hosts", "db1", "--csv", "--columns", "state,host"]),
        "STATE,HOST\r\nup,db1\r\n"
    );
    assert!(run(&["hosts"]).starts_with("STATE\tFOR\tHOST\t"), "a pipe has tabs");
    assert!(
        !run(&["hosts"]).contains('\x1b') && run(&["hosts", "--color", "always"]).contains('\x1b')
    );
    let events = run(&["events", "--since", "1h", "web1", "--jsonl"]);
    assert!(events.lines().all(|line| line.contains("web1")), "{events}");
    assert!(run(&["host", "web1"]).starts_with("host         web1\n"));
    assert!(run(&["status"]).starts_with("heartbeat "));
    assert!(run(&["status", "--check"]).starts_with("HEARTBEAT OK - 3 hosts, 0 down"));
    for args in [
        &["hosts", "--json", "--csv"][..],
        &["hosts", "--columns", "colour"],
        &["hosts", "--color", "x"],
    ] {
        assert_eq!(place.run(args).status.code(), Some(2), "{args:?}");
    }
    server.kill();
    let output = place.run(&["status", "--check"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(stdout(&output).starts_with("HEARTBEAT UNKNOWN - cannot reach hbd at "));
}

#[test]
fn events_that_are_followed_come_as_they_happen() {
    use std::io::{BufRead, BufReader};
    let place = Place::new();
    let server = place.start();
    Sender::to(server.udp).heartbeat("web1");
    server.wait_for_host("web1");
    let mut child = place
        .command(&["events", "-f", "--jsonl", "host:web2"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    Sender::to(server.udp).ask(r#"{"ID":"HTB","name":"web2","interval":30}"#);
    Sender::to(server.udp).send(br#"{"ID":"MSG","name":"web2","msg":"hello"}"#);
    let line = lines.next().unwrap().unwrap();
    assert!(line.contains("\"web2\""), "{line}");
    let _ = child.kill();
    let _ = child.wait();
}
