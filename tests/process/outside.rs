//! What a server does outside of itself, as the kernel sees it: which programs it executes, where it connects to,
//! which files it opens to write.

use crate::program::{Hbd, Place, Sender, until};
use crate::stand_in::{Manner, StandIn};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

/// A script that runs no other program.
fn script(place: &Place, name: &str) -> String {
    let path = place.path().join(name);
    let here = place.path().display();
    let text = format!("#!/bin/sh\nwhile read -r line; do :; done\necho >> {here}/{name}.ran\n");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    path.display().to_string()
}

fn start(place: &Place) -> Hbd {
    let server = place.command(&[]);
    let mut command = Command::new("strace");
    // -D: the child is the server, which ends with its guard; strace follows.
    command.args([
        "-D",
        "-f",
        "--seccomp-bpf",
        "-e",
        "trace=execve,connect,open,openat,openat2,creat",
    ]);
    command.args(["-s", "300", "-o", "trace"]).arg(server.get_program()).arg("-f");
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command.envs(server.get_envs().filter_map(|(key, value)| Some((key, value?))));
    command.stdin(Stdio::null()).current_dir(place.path());
    Hbd::start(command)
}

/// What stands in the quotes of a call.
fn quoted(line: &str) -> Option<&str> {
    line.split('"').nth(1)
}

#[test]
fn s4_server_executes_connects_and_writes_only_what_is_configured() {
    if !Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_ok_and(|s| s.success()) {
        eprintln!("left out: there is no strace");
        return;
    }
    let place = Place::new();
    let hook = StandIn::start(Manner::Status(200));
    let (nsupdate, told) = (script(&place, "nsupdate"), script(&place, "told"));
    place.configure(&format!(
        "group_wait: 0\ndyndomains: [dyn.example.net]\ndns_trust_plain: true\nnsupdate_bin: {nsupdate}\n\
         pushsrv: [hook, told]\nchannels:\n  hook: {{type: webhook, url: \"{}\"}}\n\
         \x20 told: {{type: exec, argv: [{told}]}}\n\
         thresholds:\n  cpu_monitor: {{cpu_percent: {{warning: 80, critical: 90}}}}\n",
        hook.url("/")
    ));
    let mut server = start(&place);
    let sender = Sender::to(server.udp);
    // A name that would like to be more than one; it is refused, and nothing comes of it.
    sender.send(br#"{"ID":"HTB","name":"$(touch x).dyn.example.net","interval":30}"#);
    sender.heartbeat("web1.dyn.example.net");
    sender.ask(
        r#"{"ID":"PLG","name":"web1.dyn.example.net","plugin":"cpu_monitor","every":300,"data":{"cpu_percent":95,"x":"`touch y`; $(touch z)"}}"#,
    );
    until("both channels and nsupdate have run", || {
        let ran = ["nsupdate.ran", "told.ran"].iter().all(|name| place.path().join(name).exists());
        (ran && !hook.seen().is_empty()).then_some(())
    });
    for path in ["/live", "/api/0/hosts", "/metrics", "/healthz", "/settings"] {
        assert_eq!(server.ask("GET", path, "").0, 200, "{path}");
    }
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait().0, Some(0));
    let trace = until("the trace is whole", || {
        let bytes =
            heartbeat::os::file::read_bounded(&place.path().join("trace"), 64 << 20).ok()?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        text.trim_end().ends_with("+++").then_some(text)
    });
    let (mut executed, mut connected, mut written) =
        (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for line in trace.lines().filter(|line| !line.contains(" = -1 E")) {
        if line.contains("execve(") {
            executed.extend(quoted(line));
        } else if line.contains("AF_INET") {
            connected.insert(line);
        } else if line.contains("AF_UNIX") {
            // Its own room behind the gate, below the state directory or nameless.
            assert!(!line.contains("/run/systemd/private"), "{line}");
        } else if ["O_WRONLY", "O_RDWR", "O_CREAT", "creat("].iter().any(|flag| line.contains(flag))
        {
            written.extend(quoted(line));
        }
    }
    let server_program = place.command(&[]).get_program().to_string_lossy().into_owned();
    assert_eq!(
        executed,
        BTreeSet::from([server_program.as_str(), nsupdate.as_str(), told.as_str()])
    );
    let port = format!("htons({})", hook.address.port());
    assert!(connected.iter().all(|line| line.contains(&port)), "{connected:?}");
    let own = |path: &&&str| {
        Path::new(path).starts_with(place.path()) || **path == "/dev/null" || !path.starts_with('/')
    };
    let foreign: Vec<_> = written.iter().filter(|path| !own(path)).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
    assert!(written.iter().any(|path| path.contains("journal")), "{written:?}");
    for name in ["x", "y", "z"] {
        assert!(!place.path().join(name).exists(), "{name}");
    }
}
