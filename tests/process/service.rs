//! The files by which other init systems than systemd start the agents: procd's script in the shells that run it, with
//! UCI and procd played by functions; launchd's file as its reader has it; OpenRC's script read by a shell.

use crate::program::{Place, stderr, stdout};
use heartbeat::os::file;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const PROCD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/openwrt/hbc-mini.init");
const UCI: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/openwrt/heartbeat.config");
const OPENRC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/openrc/hbc");
const LAUNCHD: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/launchd/net.heartbeat.hbc.plist");

/// What rc.common, functions.sh and procd.sh of OpenWrt give to a script. Options are lines `name value` of the file
/// `options`, lists are options that come more than once.
const OPENWRT: &str = r#"
config_load() { [ "$1" = heartbeat ]; }
config_get() {
  local found; found=$(sed -n "s/^$3 //p" options | head -n 1)
  [ -n "$found" ] || found=${4:-}
  eval "$1=\$found"
}
config_get_bool() {
  local wished; config_get wished "$2" "$3" "$4"
  case $wished in 1|yes|on|true|enabled) eval "$1=1" ;; *) eval "$1=0" ;; esac
}
config_list_foreach() {
  local each
  while read -r name each; do [ "$name" = "$2" ] && "$3" "$each"; done < options
  return 0
}
procd_open_instance() { echo open; }
procd_set_param() { echo "param $*"; }
procd_close_instance() { echo close; }
procd_add_reload_trigger() { echo "trigger $*"; }
"#;

fn shells() -> Vec<PathBuf> {
    let found: Vec<PathBuf> = ["/bin/dash", "/bin/busybox", "/usr/bin/busybox"]
        .iter()
        .map(PathBuf::from)
        .filter(|path| path.exists())
        .collect();
    let required = std::env::var_os("HB_REQUIRE_PARTS").is_some();
    assert!(!required || found.len() >= 2, "busybox and dash are wanted: run tests/run");
    found
}

fn shell(path: &Path) -> Command {
    let mut command = Command::new(path);
    if path.ends_with("busybox") {
        command.arg("ash");
    }
    command
}

/// Runs functions of procd's script; its two paths of configurations lie in the place.
fn procd(shell_path: &Path, place: &Place, options: &str, calls: &str) -> Output {
    let dir = place.path().display();
    std::fs::write(place.path().join("options"), options).unwrap();
    let script = format!(
        "set -u\n{OPENWRT}\n. {PROCD}\nOWN={dir}/own.json\nMADE={dir}/var/etc/hbc.json\n{calls}\n"
    );
    shell(shell_path).args(["-c", &script]).current_dir(place.path()).output().unwrap()
}

fn made(place: &Place) -> serde_json::Value {
    let bytes = file::read_bounded(&place.path().join("var/etc/hbc.json"), 1 << 16).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

#[test]
fn procd_script_makes_a_configuration_of_uci_that_the_agent_takes() {
    let options = "server hb.example.net\nserver [2001:db8::1]:50003\ninterval 10\nhb_port 7x\n\
                   name rtr\"\\aarau\nkey_file /etc/heartbeat/hb.key\nping 192.0.2.1\nping gw\nipv6 0\n\
                   update_key RWQabc\nupdate_url http://hb.example.net:50004/agent/\n";
    let shells = shells();
    for path in &shells {
        let place = Place::new();
        let run = procd(path, &place, options, "start_service; service_triggers");
        assert_eq!(stderr(&run), "", "{path:?}");
        let config = format!("{}/var/etc/hbc.json", place.path().display());
        let want = format!(
            "open\nparam command /usr/bin/hbc-mini -c {config}\nparam file {config}\n\
             param respawn 3600 5 0\nparam stderr 1\nclose\ntrigger heartbeat\n"
        );
        assert_eq!(stdout(&run), want, "{path:?}");
        let want = serde_json::json!({
            "interval": 10,
            "name": "rtr\"\\aarau",
            "key_file": "/etc/heartbeat/hb.key",
            "boot": true,
            "ipv4": true,
            "ipv6": false,
            "servers": ["hb.example.net", "[2001:db8::1]:50003"],
            "plugins": {"ping_monitor": {"hosts": ["192.0.2.1", "gw"]}},
            "update": {"public_key": "RWQabc", "url": "http://hb.example.net:50004/agent/"},
        });
        assert_eq!(made(&place), want, "{path:?}");
    }
    assert!(!shells.is_empty());
}

#[test]
fn procd_script_starts_from_the_file_as_it_is_shipped_and_from_one_of_ones_own() {
    // `option name 'value'` and `list name 'value'`, as the functions above want them.
    let shipped = file::read_bounded(Path::new(UCI), 1 << 16).unwrap();
    let shipped = String::from_utf8(shipped).unwrap();
    let options: String = shipped
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            words.next().filter(|kind| ["option", "list"].contains(kind))?;
            let (name, value) = (words.next()?, words.next()?);
            Some(format!("{name} {}\n", value.trim_matches('\'')))
        })
        .collect();
    for path in shells() {
        let place = Place::new();
        let run = procd(&path, &place, &options, "start_service");
        assert_eq!((stderr(&run).as_str(), run.status.code()), ("", Some(0)), "{path:?}");
        let mut check = Command::new(env!("CARGO_BIN_EXE_hbc"));
        check.env_clear().args(["check-config", "-c"]).arg(place.path().join("var/etc/hbc.json"));
        let checked = check.output().unwrap();
        let said = stdout(&checked);
        assert!(
            said.starts_with("ok: ") && said.contains("1 server,"),
            "{said}{}",
            stderr(&checked)
        );
        // Switched off: nothing is started. A file of one's own comes first.
        let off = procd(&path, &place, "enabled 0\n", "start_service");
        assert_eq!((stdout(&off).as_str(), off.status.code()), ("", Some(0)), "{path:?}");
        std::fs::write(place.path().join("own.json"), "{}").unwrap();
        let own = procd(&path, &place, "", "start_service");
        assert!(stdout(&own).contains("/own.json\n"), "{}", stdout(&own));
    }
}

#[test]
fn launchd_file_is_a_property_list_and_openrc_script_is_shell() {
    let reader = "import plistlib, sys, json\n\
                  print(json.dumps(plistlib.load(open(sys.argv[1], 'rb'))))";
    let read = Command::new("/usr/bin/python3").args(["-c", reader, LAUNCHD]).output().unwrap();
    let list: serde_json::Value = serde_json::from_slice(&read.stdout).unwrap();
    assert_eq!(list["Label"], "net.heartbeat.hbc");
    let words = ["/usr/local/bin/hbc", "-b", "-c", "/etc/heartbeat/hbc.yaml"];
    assert_eq!(list["ProgramArguments"], serde_json::json!(words));
    assert_eq!(list["KeepAlive"], serde_json::json!({"SuccessfulExit": false}));
    for path in shells() {
        for script in [OPENRC, PROCD] {
            let read = shell(&path).args(["-n", script]).output().unwrap();
            assert!(read.status.success(), "{path:?} {script}: {}", stderr(&read));
        }
    }
}
