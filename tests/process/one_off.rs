//! One-off calls of the agents: handed to the running agent through its socket where there is one,
//! else told in a session of their own; and what their exit statuses say.

use crate::program::{Hbd, Place, stderr, stdout, until};
use std::process::{Child, Command, Output, Stdio};

const HBC: &str = env!("CARGO_BIN_EXE_hbc");

/// hbc in a place, cut off from the machine's own configuration.
fn hbc(place: &Place, args: &[&str]) -> Command {
    let mut command = Command::new(HBC);
    command.env_clear().env("HOME", place.path()).env("PATH", "/usr/bin:/bin");
    command.args(args).current_dir(place.path()).stdin(Stdio::null());
    command
}

fn run(place: &Place, args: &[&str]) -> Output {
    hbc(place, args).output().unwrap()
}

fn status(output: &Output) -> Option<i32> {
    output.status.code()
}

/// Killed when dropped.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn configure(place: &Place, more: &str) {
    let text = format!("name: web1\ninterval: 5\ncontrol_socket: hbc.sock\n{more}");
    std::fs::write(place.path().join("hbc.yaml"), text).unwrap();
}

fn start(place: &Place, server: &Hbd) -> Agent {
    let udp = server.udp.to_string();
    let child = hbc(place, &["-c", "hbc.yaml", &udp]).stderr(Stdio::null()).spawn().unwrap();
    until("the agent listens", || place.path().join("hbc.sock").exists().then_some(()));
    server.wait_for_host("web1");
    Agent(child)
}

fn texts(server: &Hbd) -> Vec<String> {
    let (_, events) = server.get("/api/0/events?limit=100");
    let events = events["events"].as_array().unwrap();
    events.iter().map(|event| event["text"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn running_agent_takes_messages_over_and_answers_with_the_acknowledgement() {
    let place = Place::new();
    let server = place.start();
    configure(&place, "");
    let agent = start(&place, &server);
    // The calls know no server: without the agent they could tell nobody.
    let message = run(&place, &["-c", "hbc.yaml", "-m", "backup \"nightly\" done"]);
    assert_eq!(status(&message), Some(0), "{}", stderr(&message));
    assert_eq!(status(&run(&place, &["-c", "hbc.yaml", "--boot"])), Some(0));
    let texts = texts(&server);
    for want in ["MESSAGE: web1 - backup \"nightly\" done", "BOOT: web1 - started"] {
        assert!(texts.iter().any(|text| text == want), "{want}: {texts:?}");
    }
    let maintenance = run(&place, &["-c", "hbc.yaml", "maintenance", "30m", "patches"]);
    assert_eq!(status(&maintenance), Some(4), "a plain host plans nothing");
    drop(agent);
    // The file of its socket is still there; nobody listens.
    let nobody = run(&place, &["-c", "hbc.yaml", "-m", "x"]);
    assert_eq!(status(&nobody), Some(2), "{}", stderr(&nobody));
    let own = run(&place, &["-c", "hbc.yaml", "-m", "on its own", &server.udp.to_string()]);
    assert_eq!(status(&own), Some(0), "{}", stderr(&own));
}

/// With a key: the machine plans its own maintenance, and a look at the way to the server ends no session.
#[test]
fn sealed_machine_plans_its_own_maintenance_through_its_agent() {
    let place = Place::new();
    let server = place.start();
    let key = stdout(&place.run(&["key", "new", "web1"]));
    let key_file = place.path().join("hb.key");
    std::fs::write(&key_file, key.trim()).unwrap();
    std::fs::set_permissions(&key_file, std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .unwrap();
    configure(&place, "key_file: hb.key\n");
    let _agent = start(&place, &server);
    until("the host is up", || (server.wait_for_host("web1")["state"] == "up").then_some(()));
    let doctor = run(&place, &["-c", "hbc.yaml", "doctor", &server.udp.to_string()]);
    assert_eq!(status(&doctor), Some(0), "{}", stdout(&doctor));
    assert!(stdout(&doctor).contains("(sealed, WELCOME)"), "{}", stdout(&doctor));
    let maintenance = run(&place, &["-c", "hbc.yaml", "maintenance", "30m", "patches"]);
    assert_eq!(status(&maintenance), Some(0), "{}", stderr(&maintenance));
    let maintained = || server.wait_for_host("web1")["maintenance"].clone();
    assert!(!maintained().is_null() && maintained() != false, "{}", maintained());
    assert_eq!(status(&run(&place, &["-c", "hbc.yaml", "maintenance", "0"])), Some(0));
    assert!(maintained().is_null() || maintained() == false, "{}", maintained());
    assert_eq!(status(&run(&place, &["-c", "hbc.yaml", "-m", "sealed words"])), Some(0));
    assert!(texts(&server).iter().any(|text| text == "MESSAGE: web1 - sealed words"));
}

#[test]
fn call_for_another_server_is_not_taken_by_the_agent_of_this_one() {
    let (place, other) = (Place::new(), Place::new());
    let (server, second) = (place.start(), other.start());
    configure(&place, "");
    let _agent = start(&place, &server);
    let udp = second.udp.to_string();
    let output = run(&place, &["-c", "hbc.yaml", "-m", "for the second", &udp]);
    assert_eq!(status(&output), Some(0), "{}", stderr(&output));
    assert!(texts(&second).iter().any(|text| text == "MESSAGE: web1 - for the second"));
    assert!(!texts(&server).iter().any(|text| text.contains("for the second")));
}

#[test]
fn unacknowledged_message_ends_with_three_and_an_unknown_name_with_one() {
    let place = Place::new();
    configure(&place, "");
    let output = run(&place, &["-c", "hbc.yaml", "-m", "x", "no-such-host.invalid"]);
    assert_eq!(status(&output), Some(1), "{}", stderr(&output));
    let usage = run(&place, &["-c", "hbc.yaml", "-m"]);
    assert_eq!(status(&usage), Some(2));
    std::fs::write(place.path().join("hbc.yaml"), "interval: never\n").unwrap();
    assert_eq!(status(&run(&place, &["-c", "hbc.yaml", "-m", "x", "127.0.0.1"])), Some(78));
}

fn job(server: &Hbd, name: &str) -> serde_json::Value {
    let (_, plugins) = server.get("/api/0/hosts/web1/plugins");
    plugins["plugins"][name]["data"].clone()
}

#[test]
fn wrapped_job_is_reported_and_its_status_and_output_are_its_own() {
    let place = Place::new();
    let server = place.start();
    configure(&place, "");
    let _agent = start(&place, &server);
    let script = "echo to-out; echo to-err >&2; exit 7";
    let words = ["-c", "hbc.yaml", "wrap", "nightly", "--", "sh", "-c", script];
    let output = run(&place, &words);
    assert_eq!(status(&output), Some(7), "{}", stderr(&output));
    assert_eq!((stdout(&output), stderr(&output)), ("to-out\n".into(), "to-err\n".into()));
    let data = until("the end is reported", || {
        let data = job(&server, "job_nightly");
        data["exit_code"].is_number().then_some(data)
    });
    assert_eq!((&data["exit_code"], &data["running"]), (&7.into(), &false.into()), "{data}");
    assert!(data["duration_s"].is_number() && data["started"].as_f64().unwrap() > 1.7e9, "{data}");
    assert!(data["output"].as_str().unwrap().contains("to-err"), "{data}");
}

#[test]
fn job_under_way_is_told_as_running() {
    let place = Place::new();
    let server = place.start();
    configure(&place, "");
    let _agent = start(&place, &server);
    let words = ["-c", "hbc.yaml", "wrap", "slow", "--", "sleep", "60"];
    let wrap = Agent(hbc(&place, &words).spawn().unwrap());
    let data = until("the start is reported", || {
        let data = job(&server, "job_slow");
        data.is_object().then_some(data)
    });
    assert_eq!((&data["running"], data.get("exit_code")), (&true.into(), None), "{data}");
    // A signal for the job reaches the job, and its end is reported.
    // SAFETY: a signal to our own child, which has not been waited for yet.
    unsafe { libc::kill(wrap.0.id() as i32, libc::SIGTERM) };
    until("the end is reported", || (job(&server, "job_slow")["exit_code"] == -15).then_some(()));
}

#[test]
fn job_is_run_even_where_nobody_can_be_told() {
    let place = Place::new();
    configure(&place, "");
    let output = run(&place, &["-c", "hbc.yaml", "wrap", "x", "--", "echo", "done"]);
    assert_eq!((status(&output), stdout(&output)), (Some(0), "done\n".to_owned()));
    assert!(stderr(&output).contains("no server knows how it ended"), "{}", stderr(&output));
}

#[test]
fn configuration_is_checked_with_every_program_that_is_missing() {
    let place = Place::new();
    configure(
        &place,
        "plugins:\n  nagios_runner:\n    commands:\n      \
         - {name: check_raid, command: /nonexistent/check_raid -x}\n  \
         meter: {command: [no-such-meter]}\n\
         commands: {halt: {argv: [/nonexistent/halt]}}\nupdate: {public_key: RWQ}\n",
    );
    let output = run(&place, &["-c", "hbc.yaml", "check-config"]);
    assert_eq!(status(&output), Some(0), "{}", stderr(&output));
    let told = stderr(&output);
    for want in [
        "plugins.nagios_runner.commands[0] (check_raid): /nonexistent/check_raid does not exist",
        "plugins.meter.command: no-such-meter is not in ",
        "commands.halt.argv: /nonexistent/halt does not exist",
        "update.public_key: this is not a key",
    ] {
        assert!(told.contains(want), "{want}: {told}");
    }
    let summary = "ok: hbc.yaml: 0 servers, 2 plugins, 1 check, 1 command, 0 errors, 4 warnings\n";
    assert_eq!(stdout(&output), summary);
    configure(&place, "intervall: 3\nipv4: maybe\n");
    let output = run(&place, &["-c", "hbc.yaml", "check-config"]);
    assert_eq!(status(&output), Some(78));
    let told = stderr(&output);
    assert!(told.contains("hbc.yaml:4:1") && told.contains("hbc.yaml:5:"), "{told}");
}

#[test]
fn doctor_finds_a_server_and_names_what_is_closed() {
    let place = Place::new();
    let server = place.start();
    configure(&place, "");
    let udp = server.udp.to_string();
    let output = run(&place, &["-c", "hbc.yaml", "doctor", &udp]);
    let text = stdout(&output);
    assert_eq!(status(&output), Some(0), "{text}");
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("ok    name     127.0.0.1 -> 127.0.0.1"));
    let port = server.udp.port();
    let start = format!("ok    IPv4     udp/{port} answered in ");
    assert!(lines.next().unwrap().starts_with(&start), "{text}");
    drop(server);
    let output = run(&place, &["-c", "hbc.yaml", "doctor", &udp]);
    assert_eq!(status(&output), Some(3), "{}", stdout(&output));
    assert!(stdout(&output).contains("      fix: start hbd there"), "{}", stdout(&output));
}

#[test]
fn single_round_tells_what_was_sent_and_a_dry_one_sends_nothing() {
    let place = Place::new();
    let server = place.start();
    configure(&place, "");
    let output = run(&place, &["-c", "hbc.yaml", "--once", &server.udp.to_string()]);
    assert_eq!(status(&output), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    assert!(text.contains("memory_monitor {") && text.contains("heartbeat in "), "{text}");
    let output = run(&place, &["-c", "hbc.yaml", "--dry-run"]);
    assert_eq!(status(&output), Some(0));
    assert!(stdout(&output).contains("os_info {"));
}

/// The agent of the second machine finds the first one's socket in use and goes without.
#[test]
fn second_agent_of_a_machine_reports_as_well() {
    let place = Place::new();
    let server = place.start();
    configure(&place, "");
    let _first = start(&place, &server);
    let text = "name: web2\ninterval: 5\ncontrol_socket: hbc.sock\n";
    std::fs::write(place.path().join("second.yaml"), text).unwrap();
    let udp = server.udp.to_string();
    let second = hbc(&place, &["-c", "second.yaml", &udp]).stderr(Stdio::null()).spawn().unwrap();
    let _second = Agent(second);
    server.wait_for_host("web2");
    assert_eq!(status(&run(&place, &["-c", "hbc.yaml", "-m", "still mine"])), Some(0));
    assert!(texts(&server).iter().any(|text| text == "MESSAGE: web1 - still mine"));
}
