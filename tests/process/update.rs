//! Signed releases from end to end: `hbd sign`, `/agent/`, the agent that installs one, and what
//! becomes of it when something goes wrong. The new version is the real agent with another number
//! written over its own.

use crate::program::{Hbd, Place, stderr, stdout, until};
use heartbeat::agent::release::TARGET;
use heartbeat::os::file;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

const RUNNING: &str = env!("CARGO_PKG_VERSION");
const FILE_MAX: usize = 512 << 20;

/// A place with a server that serves releases, a key, and an agent of its own.
struct Rig {
    place: Place,
    server: Hbd,
    key: String,
}

/// The next version, as long as this one.
fn next() -> String {
    let (head, last) = RUNNING.split_at(RUNNING.len() - 1);
    format!("{head}{}", (last.parse::<u8>().unwrap() + 1) % 10)
}

fn read(path: &Path) -> Vec<u8> {
    file::read_bounded(path, FILE_MAX).unwrap()
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
}

/// The agent without what debuggers read: a fifth of its bytes to sign, to copy and to verify.
fn stripped() -> PathBuf {
    let whole = Path::new(env!("CARGO_BIN_EXE_hbc"));
    let mark = std::fs::metadata(whole).unwrap().modified().unwrap();
    let age = mark.duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    let path = whole.with_file_name(format!("hbc-stripped-{age}"));
    if !path.exists() {
        let making = whole.with_file_name(format!("hbc-stripping-{}", std::process::id()));
        let done = Command::new("strip").arg("-o").args([&making, whole]).status();
        if !done.is_ok_and(|status| status.success()) {
            std::fs::copy(whole, &making).unwrap();
        }
        std::fs::rename(&making, &path).unwrap();
    }
    path
}

/// Writes another version over every place where a program names its own.
fn renumber(program: &mut [u8], version: &str) {
    let (from, to) = (RUNNING.as_bytes(), version.as_bytes());
    // By its first byte, which a loop in a debug build finds quickly.
    let mut at = 0;
    while at + from.len() <= program.len() {
        if program[at] == from[0] && program[at..].starts_with(from) {
            program[at..at + to.len()].copy_from_slice(to);
        }
        at += 1;
    }
}

impl Rig {
    fn new() -> Rig {
        let place = Place::new();
        let dir = place.path().join("releases");
        std::fs::create_dir(&dir).unwrap();
        place.configure(&format!("agent_dir: {}\n", dir.display()));
        let key = stdout(&place.run(&["sign", "--new-key", "release.key"])).trim().to_owned();
        assert!(key.starts_with("RW") && key.len() == 56, "{key}");
        let server = place.start();
        let rig = Rig { place, server, key };
        write(&rig.exe(), &read(&stripped()));
        rig.configure(&rig.key);
        rig
    }

    fn configure(&self, key: &str) {
        let text = format!(
            "name: web1\ninterval: 5\ncontrol_socket: hbc.sock\nservers: ['{}']\n\
             update: {{public_key: {key}, url: 'http://{}/agent/'}}\n\
             plugins: {{system_monitor: {{enabled: false}}}}\n",
            self.server.udp, self.server.http
        );
        std::fs::write(self.place.path().join("hbc.yaml"), text).unwrap();
    }

    fn exe(&self) -> PathBuf {
        self.place.path().join("hbc")
    }

    fn beside(&self, ending: &str) -> PathBuf {
        self.place.path().join(format!("hbc.{ending}"))
    }

    fn release(&self) -> PathBuf {
        self.place.path().join("releases").join(format!("hbc-{TARGET}"))
    }

    /// Signs the agent as another version and serves it.
    fn publish(&self, version: &str) {
        let mut program = read(&stripped());
        renumber(&mut program, version);
        write(&self.release(), &program);
        let path = self.release().display().to_string();
        let output = self.place.run(&["sign", "--key", "release.key", &path]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(stderr(&output).contains(&format!("heartbeat {version} {TARGET}")));
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.exe());
        command.env_clear().env("HOME", self.place.path()).args(["-c", "hbc.yaml"]).args(args);
        command.current_dir(self.place.path()).stdin(Stdio::null());
        command
    }

    fn update(&self) -> Output {
        self.command(&["--update"]).output().unwrap()
    }

    fn version(&self, path: &Path) -> String {
        let output = Command::new(path).arg("--version").output().unwrap();
        stdout(&output).split_ascii_whitespace().nth(1).unwrap().to_owned()
    }

    fn start(&self) -> Agent {
        Agent(self.command(&[]).stderr(Stdio::null()).spawn().unwrap())
    }

    /// It was refused, says why, and the agent is as it was.
    #[track_caller]
    fn refused(&self, why: &str) {
        let output = self.update();
        assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
        assert!(stderr(&output).contains(why), "{}", stderr(&output));
        assert_eq!(self.version(&self.exe()), RUNNING);
        assert!(!self.beside("trial").exists() && !self.beside("new").exists());
    }
}

/// Killed when dropped.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The version that the server knows of the host.
fn told_version(server: &Hbd) -> String {
    let host = server.wait_for_host("web1");
    host["version"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn u11_signed_release_is_installed_confirmed_and_the_old_one_kept() {
    let rig = Rig::new();
    rig.publish(&next());
    let agent = rig.start();
    until("the old version reports", || (told_version(&rig.server) == RUNNING).then_some(()));
    let output = rig.update();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(rig.version(&rig.exe()), next());
    assert_eq!(rig.version(&rig.beside("old")), RUNNING);
    assert!(rig.beside("trial").exists(), "it is on probation");
    // Killed between the rename and its restart: whoever starts it again starts the new one.
    drop(agent);
    let _agent = rig.start();
    until("the new version reports", || (told_version(&rig.server) == next()).then_some(()));
    until("it is confirmed", || (!rig.beside("trial").exists()).then_some(()));
    let again = rig.update();
    assert!(stderr(&again).contains("running already"), "{}", stderr(&again));
}

#[test]
fn u11_version_that_nobody_acknowledges_is_taken_back_and_the_old_one_runs() {
    let rig = Rig::new();
    rig.publish(&next());
    assert_eq!(rig.update().status.code(), Some(0));
    // Nobody answers at this port, and there is one second in place of ten minutes.
    std::fs::write(rig.place.path().join("hbc.yaml"), "servers: ['127.0.0.1:9']\n").unwrap();
    std::fs::write(rig.beside("trial"), format!("{} {RUNNING} 0 1\n", next())).unwrap();
    let agent = rig.start();
    until("the old version is back", || (rig.version(&rig.exe()) == RUNNING).then_some(()));
    let exe = format!("/proc/{}/exe", agent.0.id());
    until("it is what runs, in the same process", || {
        let now = std::fs::read_link(&exe).ok()?;
        (now == std::fs::canonicalize(rig.exe()).unwrap()).then_some(())
    });
    assert!(!rig.beside("trial").exists() && !rig.beside("old").exists());
}

#[test]
fn u11_what_is_not_as_it_was_signed_is_refused() {
    let rig = Rig::new();
    rig.refused("404");
    rig.publish(&next());
    let good = read(&rig.release());
    let mut bad = good.clone();
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    write(&rig.release(), &bad);
    rig.refused("the signature does not fit the file");
    write(&rig.release(), &good[..middle]);
    rig.refused("the signature does not fit the file");
    write(&rig.release(), &good);
    std::fs::remove_file(rig.place.path().join("release.key")).unwrap();
    std::fs::remove_file(rig.place.path().join("release.key.pub")).unwrap();
    let other = stdout(&rig.place.run(&["sign", "--new-key", "release.key"]));
    rig.configure(other.trim());
    rig.refused("the signature: ");
    rig.configure(&rig.key);
    assert_eq!(rig.update().status.code(), Some(0), "what was restored is good again");
}

#[test]
fn u11_full_disk_leaves_the_agent_as_it_was() {
    let rig = Rig::new();
    rig.publish(&next());
    let room = read(&rig.exe()).len() / 1024 + 512;
    let dir = rig.place.path().display();
    // A file system with room for one agent, in a mount namespace that ends with the script.
    let script = format!(
        "set -e; mkdir -p {dir}/small; mount -t tmpfs -o size={room}k none {dir}/small; \
         cp {dir}/hbc {dir}/small/hbc; cd {dir}; \
         if small/hbc -c hbc.yaml --update; then exit 9; fi; \
         small/hbc --version; ls small"
    );
    let output = Command::new("unshare").args(["-Urm", "sh", "-c", &script]).output().unwrap();
    if stderr(&output).contains("unshare") || stderr(&output).contains("mount:") {
        assert!(std::env::var_os("HB_REQUIRE_PARTS").is_none(), "{}", stderr(&output));
        return;
    }
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("No space left"), "{}", stderr(&output));
    assert_eq!(stdout(&output), format!("hbc {RUNNING}\nhbc\n"));
}

/// The whole way: a sealed host is asked by its server, and the same process goes on as the new
/// version; another key in the agent's file, and it stays as it is and says why.
#[test]
fn u11_sealed_host_is_upgraded_by_its_server_and_by_what_its_own_key_signs_alone() {
    let rig = Rig::new();
    let key = stdout(&rig.place.run(&["key", "new", "web1"])).trim().to_owned();
    assert!(key.starts_with("hb1-"), "{key}");
    let key_file = rig.place.path().join("hb.key");
    std::fs::write(&key_file, &key).unwrap();
    std::fs::set_permissions(&key_file, PermissionsExt::from_mode(0o600)).unwrap();
    let config = rig.place.path().join("hbc.yaml");
    let sealed = |text: &str| format!("{text}key_file: {}\n", key_file.display());
    let plain = String::from_utf8(read(&config)).unwrap();
    std::fs::write(&config, sealed(&plain)).unwrap();
    rig.publish(&next());
    let agent = rig.start();
    until("the host tells its system", || {
        let (_, plugins) = rig.server.get("/api/0/hosts/web1/plugins");
        plugins["plugins"]["os_info"]["data"]["agent_target"].is_string().then_some(())
    });
    let asked = rig.place.run(&["upgrade", "web1"]);
    assert_eq!(asked.status.code(), Some(0), "{}", stderr(&asked));
    until("the new version reports", || (told_version(&rig.server) == next()).then_some(()));
    let exe = std::fs::read_link(format!("/proc/{}/exe", agent.0.id())).unwrap();
    assert_eq!(exe, std::fs::canonicalize(rig.exe()).unwrap(), "it is the same process");
    let (_, commands) = rig.server.get("/api/0/hosts/web1/commands");
    let states: Vec<&str> = commands["commands"]
        .as_array()
        .map(|commands| commands.iter().filter_map(|c| c["state"].as_str()).collect())
        .unwrap_or_default();
    assert_eq!(states, ["done"], "{commands}");
    until("it is confirmed", || (!rig.beside("trial").exists()).then_some(()));
}

#[test]
fn agent_files_are_served_without_signing_in_and_nothing_else_is() {
    let rig = Rig::new();
    rig.publish(&next());
    let name = format!("hbc-{TARGET}");
    std::fs::write(rig.place.path().join("releases/.secret"), "x").unwrap();
    for path in ["/agent/", "/agent/.secret", "/agent/..%2fhbd.yaml", "/agent/../hbd.yaml"] {
        let (status, _) = rig.server.get(path);
        assert!(status == 404 || status == 400, "{path} {status}");
    }
    let (status, problem) = rig.server.ask("POST", &format!("/agent/{name}"), "{}");
    assert_eq!((status, &problem["code"]), (405, &"method_not_allowed".into()));
    let mut got = Vec::new();
    let url = format!("http://{}/agent/{name}", rig.server.http);
    let length = heartbeat::os::fetch::fetch(&url, FILE_MAX as u64, &mut |part| {
        got.extend_from_slice(part);
        Ok(())
    });
    assert_eq!(length, Ok(got.len() as u64));
    assert!(got == read(&rig.release()), "the file came whole");
}

/// `packaging/hb_install.sh` in a place, cut off from this machine's own programs but for the usual.
fn install(rig: &Rig, words: &[&str]) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/hb_install.sh");
    let mut command = Command::new("sh");
    command.arg(script).args(words).current_dir(rig.place.path());
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").output().unwrap()
}

#[test]
fn script_installs_updates_and_takes_back_and_refuses_what_the_agent_refuses() {
    let rig = Rig::new();
    let url = format!("http://{}/agent", rig.server.http);
    let words = |action: &'static str| {
        [action, "--dir", "bin", "--key", &rig.key, "--url", &url].map(String::from)
    };
    let run = |action| {
        let words = words(action);
        install(&rig, &words.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let installed = rig.place.path().join("bin/hbc");
    rig.publish(RUNNING);
    let output = run("install");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(rig.version(&installed), RUNNING);
    let output = run("update");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("is not newer than"), "{}", stderr(&output));
    rig.publish(&next());
    assert_eq!(run("update").status.code(), Some(0));
    assert_eq!(rig.version(&installed), next());
    let output = install(&rig, &["undo", "--dir", "bin"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(rig.version(&installed), RUNNING);
    // Offline, from a file; and what is not as it was signed.
    let file = rig.release().display().to_string();
    let offline = ["install", "--dir", "bin", "--key", &rig.key, "--file", &file];
    assert_eq!(install(&rig, &offline).status.code(), Some(0));
    assert_eq!(rig.version(&installed), next());
    let mut bad = read(&rig.release());
    bad[100] ^= 1;
    write(&rig.release(), &bad);
    let output = install(&rig, &offline);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("the signature does not fit"), "{}", stderr(&output));
    assert_eq!(rig.version(&installed), next());
    let minisig = format!("{file}.minisig");
    let text = String::from_utf8(read(Path::new(&minisig))).unwrap();
    std::fs::write(&minisig, text.replace(&next(), "9.9.9")).unwrap();
    bad[100] ^= 1;
    write(&rig.release(), &bad);
    assert!(stderr(&install(&rig, &offline)).contains("the signature does not fit"));
}

#[test]
fn script_installs_from_an_archive_with_signed_sums_offline_and_undoes_itself() {
    let rig = Rig::new();
    let place = rig.place.path();
    let name = "heartbeat-0.1.0-linux-x86_64";
    std::fs::create_dir_all(place.join(name).join("bin")).unwrap();
    rig.publish(RUNNING);
    std::fs::copy(rig.release(), place.join(name).join("bin/hbc")).unwrap();
    let shell = |words: &str| {
        let done = Command::new("sh").args(["-c", words]).current_dir(place).status().unwrap();
        assert!(done.success(), "{words}");
    };
    shell(&format!("chmod 755 {name}/bin/hbc && tar -czf {name}.tar.gz {name}"));
    shell(&format!("sha256sum {name}.tar.gz > SHA256SUMS"));
    let signed = rig.place.run(&["sign", "--key", "release.key", "SHA256SUMS"]);
    assert_eq!(signed.status.code(), Some(0), "{}", stderr(&signed));
    let archive = format!("{name}.tar.gz");
    let words = ["install", "--dir", "bin", "--key", &rig.key, "--file", &archive];
    let installed = place.join("bin/hbc");
    let output = install(&rig, &words);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(rig.version(&installed), RUNNING);
    assert_eq!(install(&rig, &["undo", "--dir", "bin"]).status.code(), Some(0));
    assert!(!installed.exists(), "there was none before");
    // Another archive than the sums say, and sums that nobody signed.
    shell(&format!("echo x >> {archive}"));
    let refused = |why: &str| {
        let output = install(&rig, &words);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains(why), "{}", stderr(&output));
        assert!(!installed.exists());
    };
    refused("is not what SHA256SUMS says");
    shell(&format!("sha256sum {archive} > SHA256SUMS"));
    refused("the signature does not fit");
}

/// What OpenWrt's opkg does of what the script asks for: unpack, run postinst and prerm, list, remove.
const OPKG: &str = r#"#!/bin/sh
set -eu
root=$OPKG_ROOT
case "$1" in
install)
    work=$(mktemp -d)
    tar -xzf "$2" -C "$work"
    [ "$(cat "$work/debian-binary")" = 2.0 ]
    mkdir -p "$root/info" && tar -xzf "$work/control.tar.gz" -C "$root/info"
    tar -tzf "$work/data.tar.gz" | grep -v '/$' > "$root/info/list"
    tar -xzf "$work/data.tar.gz" -C "$root"
    rm -r "$work"
    IPKG_INSTROOT=$root sh "$root/info/postinst"
    ;;
list-installed) [ ! -f "$root/info/control" ] || echo "$2 - $(sed -n 's/^Version: //p' "$root/info/control")" ;;
remove)
    IPKG_INSTROOT=$root sh "$root/info/prerm"
    while read -r file; do grep -qxF "/${file#./}" "$root/info/conffiles" || rm "$root/$file"; done < "$root/info/list"
    rm -r "$root/info"
    ;;
esac
"#;

#[test]
fn script_installs_the_openwrt_package_and_removes_it() {
    let rig = Rig::new();
    let place = rig.place.path();
    let tree = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::create_dir_all(place.join("tools")).unwrap();
    std::fs::create_dir_all(place.join("router")).unwrap();
    write(&place.join("tools/opkg"), OPKG.as_bytes());
    write(&place.join("program"), b"#!/bin/sh\necho hbc-mini 0.1.0\n");
    let built = Command::new("bash")
        .arg(tree.join("packaging/openwrt/build"))
        .arg("mipsel")
        .env("HB_BIN", place.join("program"))
        .env("HB_OUT", place)
        .output()
        .unwrap();
    assert_eq!(built.status.code(), Some(0), "{}", stderr(&built));
    let package = PathBuf::from(stdout(&built).trim());
    assert!(package.ends_with(format!("hbc-mini_{RUNNING}-1_mipsel_24kc.ipk")), "{package:?}");
    let sums = format!("cd {} && sha256sum *.ipk > SHA256SUMS", place.display());
    assert!(Command::new("sh").args(["-c", &sums]).status().unwrap().success());
    let signed = rig.place.run(&["sign", "--key", "release.key", "SHA256SUMS"]);
    assert_eq!(signed.status.code(), Some(0), "{}", stderr(&signed));
    let run = |words: &[&str]| {
        let mut command = Command::new("sh");
        command.arg(tree.join("packaging/hb_install.sh")).args(words).current_dir(place);
        let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", place.join("tools").display());
        command.env_clear().env("PATH", path).env("OPKG_ROOT", place.join("router"));
        command.env("HB_KEEP", place.join("kept")).output().unwrap()
    };
    let file = package.display().to_string();
    let output = run(&["install", "--program", "hbc-mini", "--key", &rig.key, "--file", &file]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let has = |path: &str| place.join("router").join(path).exists();
    for path in ["usr/bin/hbc-mini", "etc/init.d/hbc-mini", "etc/config/heartbeat"] {
        assert!(has(path), "{path}");
    }
    let output = run(&["undo", "--program", "hbc-mini"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(!has("usr/bin/hbc-mini") && !has("etc/init.d/hbc-mini"));
    assert!(has("etc/config/heartbeat"), "a configuration is the operator's");
}
