//! A real hbd and the keys of its hosts, for the benchmarks of sealed loads.

use heartbeat::wire::{Key, KeyId, Keyring, Slot};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// What a host of a sealed load seals with.
pub fn key(host: usize) -> Key {
    let mut secret = [0x42; 32];
    secret[..8].copy_from_slice(&(host as u64).to_be_bytes());
    Key::new(KeyId((host as u64 + 1).to_be_bytes()), secret)
}

/// Gives the server whose state lies in `dir` a key for each host.
#[allow(clippy::disallowed_methods)] // A file of a benchmark.
pub fn write_keys(dir: &Path, hosts: usize) {
    let mut ring = Keyring::default();
    for host in 0..hosts {
        let name = format!("host-{host:05}");
        ring.add(Slot { key: key(host), host: name.into(), created: 0.0 }).expect("a key");
    }
    let state = dir.join("state");
    std::fs::create_dir_all(&state).expect("a directory");
    let file = state.join("keys.json");
    std::fs::write(&file, ring.render()).expect("written");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("set");
}

/// Starts hbd (HB_HBD names another one than was built with this); returns it and where it takes datagrams.
pub fn start_hbd(config: &Path) -> (Child, SocketAddr) {
    let program = std::env::var_os("HB_HBD").unwrap_or_else(|| env!("CARGO_BIN_EXE_hbd").into());
    let mut command = Command::new(program);
    command.arg("-f").arg("-c").arg(config).stderr(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().expect("hbd starts");
    let mut lines = BufReader::new(child.stderr.take().expect("its log")).lines();
    let ready = lines.by_ref().map_while(Result::ok).find(|line| line.contains("ready udp="));
    // Whatever it says later must not block it; with HB_BENCH_LOG it is shown.
    let shown = std::env::var_os("HB_BENCH_LOG").is_some();
    let rest = move || {
        for line in lines.map_while(Result::ok).filter(|_| shown) {
            eprintln!("hbd: {line}");
        }
    };
    std::thread::Builder::new().spawn(rest).expect("a thread");
    let ready = ready.expect("it is ready");
    let udp = ready.split_whitespace().find_map(|word| word.strip_prefix("udp=")).expect("udp=");
    let port = udp.parse::<SocketAddr>().expect("an address").port();
    (child, ([127, 0, 0, 1], port).into())
}
