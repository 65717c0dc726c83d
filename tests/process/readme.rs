//! The README's commands against the real programs: each line of its shell blocks is run here, or is named here with
//! the test that runs it.

use crate::program::{Place, stderr, stdout};
use crate::prometheus::http;
use crate::stand_in::{Manner, StandIn};
use heartbeat::time::Duration;
use std::process::{Command, Stdio};

const README: &str = include_str!("../../README.md");

/// What a line begins with, and who runs it.
const ELSEWHERE: &[(&str, &str)] = &[
    ("cargo run", "tests/process: every test starts hbd; `life` with its own agent"),
    ("tests/run", "it is what runs this"),
    ("packaging/deb/build", "packaging/deb/test"),
    ("sudo apt install", "packaging/deb/first-host, in two booted machines"),
    ("echo 'servers:", "packaging/deb/first-host"),
    ("packaging/hb_install.sh", "tests/process/update.rs"),
    ("hbc-mini", "tests/process/mini.rs"),
];
/// These run until they are stopped.
const ENDLESS: &[&str] = &["hbc hb.example.net", "hbd events -f"];

fn commands() -> Vec<&'static str> {
    let blocks = README.split("\n```sh\n").skip(1).filter_map(|rest| rest.split_once("\n```"));
    let lines = blocks.flat_map(|(block, _)| block.lines());
    lines
        .map(|line| line.split('#').next().unwrap_or(line).trim())
        .filter(|l| !l.is_empty())
        .collect()
}

/// The example of a server's configuration, its chat played by a thread.
fn configuration(chat: &StandIn) -> String {
    let start = README.find("# hbd.yaml").unwrap();
    let text = README[start..].split("```").next().unwrap();
    assert!(text.contains("{file: /run/secrets/mattermost}"));
    text.replace("{file: /run/secrets/mattermost}", &format!("\"{}\"", chat.url("/hooks/x")))
}

#[test]
fn every_command_of_the_readme_works() {
    let (place, chat) = (Place::new(), StandIn::start(Manner::Status(200)));
    place.configure(&configuration(&chat));
    let server = place.start();
    let udp = server.udp.to_string();
    let mut ran = 0;
    for line in commands() {
        if ELSEWHERE.iter().any(|(start, _)| line.starts_with(start)) {
            continue;
        }
        let words: Vec<String> =
            line.split(' ').map(|word| word.replace("hb.example.net", &udp)).collect();
        let (program, args) = words.split_first().unwrap();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut command = match program.as_str() {
            "curl" => {
                let target = args[0].trim_start_matches("http://127.0.0.1:50004");
                assert_eq!(http(server.http, "GET", target, "", "").0, 200, "{line}");
                ran += 1;
                continue;
            }
            "hbd" => place.command(&args),
            "hbc" => {
                let mut hbc = Command::new(env!("CARGO_BIN_EXE_hbc"));
                hbc.env_clear().env("HOME", place.path()).current_dir(place.path()).args(&args);
                hbc
            }
            _ => panic!("nobody runs {line:?}"),
        };
        command.stdin(Stdio::null());
        if ENDLESS.contains(&line) {
            let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            crate::program::pause_for(Duration::from_millis(500));
            let early = child.try_wait().unwrap();
            let _ = child.kill();
            let _ = child.wait();
            assert_eq!(early, None, "{line} ended by itself");
        } else {
            let output = command.output().unwrap();
            let (told, why) = (stdout(&output), stderr(&output));
            assert_eq!(output.status.code(), Some(0), "{line}\n{told}\n{why}");
        }
        ran += 1;
    }
    assert_eq!(ran, 13, "the commands of the README have changed: is each still run?");
}
