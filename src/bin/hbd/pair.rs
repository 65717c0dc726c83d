//! The thread `pair`: sealed heartbeats to the other server, with the engine's notes in them.
//!
//! An agent's loop without plugins. The engine decides what they say; where it stands still they say nothing, so that
//! the other server does not take a stalled one for one that lives.

use crate::lookup::{self, Environment};
use heartbeat::agent::{SPOOL_DEFAULT, Setup, Target};
use heartbeat::config::agent::{Agent, ServerEntry};
use heartbeat::config::server::{Pair, Server};
use heartbeat::os::agent_loop::{self, Extras, Runtime, Task};
use heartbeat::os::notes::Desk;
use heartbeat::os::{agent_key, agent_program, thread};
use heartbeat::wire::{Key, Keyring};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread::JoinHandle;

const STACK: usize = 1 << 20;
/// The credential of systemd that stands for `pair.key_file`.
const CREDENTIAL: &str = "hbd.pair";

pub struct PairThread {
    stop: UnixStream,
    thread: JoinHandle<()>,
}

/// Starts it where there is a pair. A server without its key still watches and tells.
pub fn start(
    config: &Server,
    env: &Environment,
    keys: &Keyring,
    desk: &Desk,
) -> Option<PairThread> {
    let pair = config.pair.as_ref()?;
    let started = lookup::state_dir(config, env)
        .and_then(|dir| key(pair, env, &dir, keys))
        .and_then(|key| run(config, pair, key, desk));
    let remark = |error: &String| log::error!("pair: {} hears nothing: {error}", pair.peer);
    started.inspect_err(remark).ok()
}

/// The key that seals what goes to the other server: this server's own there, never the one that it has here.
fn key(pair: &Pair, env: &Environment, state_dir: &Path, keys: &Keyring) -> Result<Key, String> {
    let credential = env.credentials_directory.as_ref().map(|dir| dir.join(CREDENTIAL));
    let given = pair.key_file.as_ref().map(|file| state_dir.join(file));
    let file = match (&given, &pair.key, credential.filter(|path| path.exists())) {
        (Some(file), ..) => Some(file.clone()),
        (None, Some(_), _) => None,
        (None, None, Some(credential)) => Some(credential),
        (None, None, None) => Some(state_dir.join("pair.key")),
    };
    let entry = ServerEntry { key_file: file, key: pair.key.clone(), ..ServerEntry::default() };
    let key = agent_key::of_server(&entry, &Agent::default())?
        .ok_or_else(|| "no key - set pair.key_file".to_owned())?;
    if keys.slots().iter().any(|slot| slot.key.id() == key.id()) {
        // What this server sends could be sent back to it as if the other one had said it.
        let peer = &pair.peer;
        return Err(format!(
            "the key is one of this server's own hosts - run hbd key new on {peer}, for this server"
        ));
    }
    Ok(key)
}

fn run(config: &Server, pair: &Pair, key: Key, desk: &Desk) -> Result<PairThread, String> {
    let (stop, stopped) = UnixStream::pair().map_err(|e| e.to_string())?;
    stopped.set_nonblocking(true).map_err(|e| e.to_string())?;
    let notes = desk.open().map_err(|e| e.to_string())?;
    let host = pair.address.clone().unwrap_or_else(|| pair.peer.clone());
    let port = pair.port.unwrap_or(config.hb_port);
    let setup = Setup {
        // Sealed: the key says who it is.
        name: pair.peer.as_str().into(),
        version: env!("CARGO_PKG_VERSION"),
        interval: pair.interval,
        targets: vec![Target { host, port, ipv4: true, ipv6: true, key: Some(key) }],
        plugins: Vec::new(),
        spool_max: SPOOL_DEFAULT,
        boot: false,
        heartbeat: true,
        trust: agent_program::trust(&Agent::default()),
        booted: None,
    };
    let body = move || {
        let extras = Extras { notes: Some(notes), ..Extras::default() };
        let (runtime, fd) = (Runtime::THREADS, stopped.as_fd());
        if let Err(error) = agent_loop::run(setup, Vec::new(), runtime, Task::Report, extras, fd) {
            log::error!("pair: cannot run error={error}");
        }
    };
    let thread = thread::spawn("pair", STACK, body).map_err(|e| e.to_string())?;
    Ok(PairThread { stop, thread })
}

impl PairThread {
    pub fn stop(self) {
        drop(self.stop);
        let _ = self.thread.join();
    }
}
