//! The runner over scripts and over the checks of the Debian package monitoring-plugins-basic.

use super::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

const PLUGINS: &str = "/usr/lib/nagios/plugins";

fn command(name: &str, words: &[&str]) -> NagiosCommand {
    let argv = words.iter().map(ToString::to_string).collect();
    NagiosCommand { name: name.to_owned(), argv, timeout: None, env: BTreeMap::new() }
}

fn script(name: &str, text: &str) -> NagiosCommand {
    command(name, &["sh", "-c", text])
}

fn run(commands: Vec<NagiosCommand>) -> Value {
    let timeout = Duration::from_secs(20);
    let settings = agent::Plugin { commands, timeout, ..agent::Plugin::default() };
    let mut runner = NagiosRunner::new(&settings).expect("configured");
    let mut out = String::new();
    runner.collect(Now::default(), &mut out).expect("collected");
    assert!(runner.run.is_none());
    serde_json::from_str(&out).expect("strict JSON")
}

#[test]
fn every_field_of_a_check_is_reported() {
    let text = "echo \"DISK WARNING - / 18% | /=12.5MB;~:10;@20:30;0;100 'it''s a b'=3c\n\
                long text | more=1%\"; exit 1";
    let want = json!({
        "d_status_code": 1, "d_status": "WARNING", "d_output": "DISK WARNING - / 18%",
        "d_exit_code": 1,
        "d_/": 12.5, "d_/_unit": "MB", "d_/_warn": "~:10", "d_/_crit": "@20:30", "d_/_min": 0,
        "d_/_max": 100, "d_it_s_a_b": 3, "d_it_s_a_b_unit": "c", "d_more": 1, "d_more_unit": "%",
    });
    assert_eq!(run(vec![script("d", text)]), want);
}

#[test]
fn every_way_to_end_has_its_status() {
    let table = [
        ("true", "OK", 0, 0, ""),
        ("echo fine >&2", "OK", 0, 0, "fine"),
        ("echo; echo second; echo err >&2; exit 2", "CRITICAL", 2, 2, "second"),
        ("exit 3", "UNKNOWN", 3, 3, ""),
        ("echo odd; exit 42", "UNKNOWN", 3, 42, "odd"),
        ("kill -9 $$", "UNKNOWN", 3, -9, "killed by signal 9"),
        ("echo last words; kill -SEGV $$", "UNKNOWN", 3, -11, "last words"),
        ("kill -TERM $$", "UNKNOWN", 3, -15, "killed by signal 15"),
    ];
    let scripts = table.iter().zip(0..).map(|(row, n)| script(&format!("c{n}"), row.0));
    let value = run(scripts.collect());
    for ((text, status, code, exit, output), n) in table.iter().zip(0..) {
        assert_eq!(value[format!("c{n}_status")], *status, "{text}");
        assert_eq!(value[format!("c{n}_status_code")], *code, "{text}");
        assert_eq!(value[format!("c{n}_exit_code")], *exit, "{text}");
        assert_eq!(value[format!("c{n}_output")], *output, "{text}");
    }
}

#[test]
fn check_that_hangs_is_unknown_and_holds_up_no_other() {
    let mut hanging = script("hanging", "echo begun; sleep 60");
    hanging.timeout = Some(Duration::from_millis(100));
    let value = run(vec![hanging, script("other", "echo fine")]);
    assert_eq!(value["hanging_status"], "UNKNOWN");
    assert_eq!(value["hanging_status_code"], 3);
    assert_eq!(value["hanging_output"], "timed out after 0.1 s");
    assert_eq!(value["hanging_exit_code"], -15);
    assert_eq!(value["other_output"], "fine");
}

#[test]
fn check_that_cannot_be_run_is_unknown_and_named_before() {
    let commands =
        vec![command("gone", &["/nonexistent/x"]), command("dir", &["/tmp"]), script("ok", "true")];
    let settings = agent::Plugin { commands: commands.clone(), ..agent::Plugin::default() };
    let want = [("gone", "/nonexistent/x does not exist"), ("dir", "/tmp is not a file")];
    assert_eq!(problems(&settings), want.map(|(name, what)| (name, what.to_owned())));
    let value = run(commands);
    assert_eq!((&value["gone_status_code"], &value["gone_exit_code"]), (&json!(3), &json!(127)));
    let output = value["gone_output"].as_str().expect("text");
    assert!(output.starts_with("cannot run /nonexistent/x: No such file"), "{output}");
    assert_eq!(value["dir_exit_code"], 126);
}

#[test]
fn more_checks_than_run_at_once_all_run() {
    let scripts = (0..3 * AT_ONCE).map(|n| script(&format!("c{n}"), &format!("echo {n}")));
    let value = run(scripts.collect());
    for n in 0..3 * AT_ONCE {
        assert_eq!(value[format!("c{n}_output")], n.to_string());
    }
}

#[test]
fn labels_that_meet_get_a_number_and_never_hide_a_status() {
    let value = run(vec![
        script("a", "echo 'x|status=7 p=1 p=2 q=1;5 q_warn=3 b_status=9'"),
        script("a_b", "echo y"),
    ]);
    assert_eq!(value["a_status"], "OK");
    assert_eq!(value["a_status_2"], 7);
    assert_eq!((&value["a_p"], &value["a_p_2"]), (&json!(1), &json!(2)));
    assert_eq!((&value["a_q_warn"], &value["a_q_warn_2"]), (&json!(5), &json!(3)));
    assert_eq!((&value["a_b_status"], &value["a_b_status_2"]), (&json!("OK"), &json!(9)));
}

#[test]
fn keys_stay_within_their_limit() {
    let text = format!("echo 'x|{}=1;2;3;4;5'", "l".repeat(200));
    let value = run(vec![script(&"n".repeat(64), &text)]);
    let keys = value.as_object().expect("an object").keys();
    assert!(keys.clone().all(|key| key.len() <= limits::KEY_MAX));
    assert_eq!(keys.len(), 4 + 5);
}

#[test]
fn environment_of_a_check_is_its_own() {
    let mut check = script("e", "echo $RAID $HOME");
    check.env.insert("RAID".to_owned(), "md0".to_owned());
    assert_eq!(run(vec![check])["e_output"], "md0");
}

/// The real checks; without the package only where nobody insists on it.
fn real(name: &str) -> Option<String> {
    let path = format!("{PLUGINS}/{name}");
    let there = Path::new(&path).exists();
    let required = std::env::var_os("HB_REQUIRE_PARTS").is_some();
    assert!(there || !required, "{path} is missing: apt-get install monitoring-plugins-basic");
    there.then_some(path)
}

#[test]
fn real_checks_report_their_values() {
    let Some(load) = real("check_load") else { return };
    let [Some(disk), Some(procs)] = ["check_disk", "check_procs"].map(real) else { return };
    let value = run(vec![
        command("check_load", &[&load, "-w", "999,998,997", "-c", "1000,1000,1000"]),
        command("check_disk", &[&disk, "-w", "1", "-c", "1", "-p", "/"]),
        command("check_procs", &[&procs, "-w", "1:100000", "-c", "1:100000"]),
    ]);
    for name in ["check_load", "check_disk", "check_procs"] {
        assert_eq!(value[format!("{name}_status")], "OK", "{value}");
        assert_eq!(value[format!("{name}_exit_code")], 0, "{value}");
        assert!(value[format!("{name}_output")].as_str().is_some_and(|text| text.contains("OK")));
    }
    assert!(value["check_load_load1"].is_number(), "{value}");
    assert_eq!(value["check_load_load5_warn"], 998);
    assert_eq!(value["check_load_load15_crit"], 1000);
    assert!(value["check_disk_/"].as_f64().is_some_and(|used| used > 0.0), "{value}");
    assert!(value["check_disk_/_unit"].is_string() && value["check_disk_/_max"].is_number());
    assert!(value["check_procs_procs"].as_f64().is_some_and(|count| count >= 1.0), "{value}");
}

#[test]
fn real_dummy_gives_every_status() {
    let Some(dummy) = real("check_dummy") else { return };
    let names = ["ok", "warning", "critical", "unknown"];
    let commands = names.iter().zip(["0", "1", "2", "3"]);
    let value = run(commands.map(|(name, code)| command(name, &[&dummy, code, "hello"])).collect());
    for (name, code) in names.iter().zip(0..) {
        let status = name.to_uppercase();
        assert_eq!(value[format!("{name}_status_code")], code);
        assert_eq!(value[format!("{name}_status")], status.as_str());
        assert_eq!(value[format!("{name}_output")], format!("{status}: hello"));
    }
}
