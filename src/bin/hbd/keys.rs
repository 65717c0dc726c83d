//! The file of pre-shared keys: where it lies, who may read it, and `hbd key`, which changes it.
//!
//! A running server is told through its control socket and reads the file anew. A key is shown once, on stdout,
//! when it is made.

use crate::args::Invocation;
use crate::lookup::{self, Environment};
use crate::reading::Source;
use crate::{EXIT_CONFIG, EXIT_FAILED, EXIT_OK, EXIT_USAGE, ask};
use heartbeat::config::server::Server;
use heartbeat::limits;
use heartbeat::os::{clock, file};
use heartbeat::text;
use heartbeat::wire::{KEYS_PER_HOST, Key, KeyId, Keyring, Slot};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const USAGE: &str = "usage: hbd key new|add HOST | drop HOST [ID] | list [HOST]";
/// The credential of systemd that stands for the file.
const CREDENTIAL: &str = "hbd.keys";

/// Where the keys are.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    pub path: PathBuf,
    /// Given by systemd: read only, and its permissions are systemd's affair.
    pub credential: bool,
}

/// `keys_file`, else the credential `hbd.keys`, else `keys.json` in the state directory.
pub fn place(config: &Server, env: &Environment, state_dir: &Path) -> Place {
    let file = |path| Place { path, credential: false };
    if let Some(path) = &config.keys_file {
        return file(state_dir.join(path));
    }
    let credential = env.credentials_directory.as_ref().map(|dir| dir.join(CREDENTIAL));
    match credential.filter(|path| path.exists()) {
        Some(path) => Place { path, credential: true },
        None => file(state_dir.join("keys.json")),
    }
}

/// Reads the keys; none where there is no file.
///
/// # Errors
/// What is wrong with the file, with its name.
pub fn load(place: &Place) -> Result<Keyring, String> {
    let shown = place.path.display();
    let meta = match std::fs::metadata(&place.path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Keyring::default()),
        Err(error) => return Err(format!("{shown}: {error} - the server must be able to read it")),
    };
    if !place.credential && meta.mode() & 0o077 != 0 {
        return Err(format!(
            "{shown}: others can read it (mode {:04o}) - run: chmod 600 {shown}",
            meta.mode() & 0o7777
        ));
    }
    let bytes = file::read_bounded(&place.path, limits::KEYS_FILE_MAX);
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).map_err(io::Error::other));
    let text = text.map_err(|error| format!("{shown}: {error}"))?;
    Keyring::parse(&text).map_err(|what| format!("{shown}:{what}"))
}

/// As [`load`], from where the configuration says.
///
/// # Errors
/// As there.
pub fn load_for(config: &Server, env: &Environment) -> Result<Arc<Keyring>, String> {
    let state_dir = lookup::state_dir(config, env)?;
    load(&place(config, env, &state_dir)).map(Arc::new)
}

/// 32 bytes that nobody can guess, for the tokens of this process.
///
/// # Errors
/// The system gives no randomness.
pub fn session_secret() -> Result<[u8; 32], String> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| format!("no randomness: {error}"))?;
    Ok(secret)
}

/// Runs `hbd key …`; returns the exit status.
pub fn run(invocation: &Invocation, env: &Environment) -> u8 {
    let words: Vec<&str> = invocation.words.iter().map(String::as_str).collect();
    let reading = Source::new(invocation.config.clone(), env.clone(), false).read();
    if reading.has_error() {
        eprint!("{}", reading.render_problems());
        return EXIT_CONFIG;
    }
    let result = match (words.as_slice(), lookup::state_dir(&reading.server, env)) {
        (_, Err(what)) => Err((EXIT_FAILED, what)),
        (["list", rest @ ..], Ok(dir)) if rest.len() <= 1 => {
            list(invocation, &place(&reading.server, env, &dir), rest.first().copied(), env)
        }
        ([verb @ ("new" | "add"), host], Ok(dir)) => {
            make(*verb == "add", host, &place(&reading.server, env, &dir), &dir)
        }
        (["drop", host, rest @ ..], Ok(dir)) if rest.len() <= 1 => {
            drop_key(host, rest.first().copied(), &place(&reading.server, env, &dir), &dir)
        }
        _ => Err((EXIT_USAGE, USAGE.to_owned())),
    };
    match result {
        Ok(text) => {
            if words.first() != Some(&"list")
                && let Err(what) = ask::tell_keys(invocation, env)
            {
                eprintln!("hbd: {what}");
            }
            let _ = std::io::stdout().write_all(text.as_bytes());
            EXIT_OK
        }
        Err((status, what)) => {
            eprintln!("hbd: {what}");
            status
        }
    }
}

type Told = Result<String, (u8, String)>;

fn failed(what: impl Into<String>) -> (u8, String) {
    (EXIT_FAILED, what.into())
}

fn parse_host(host: &str) -> Result<String, (u8, String)> {
    let shown = text::escape_control(host).into_owned();
    let name = text::parse_name(host);
    name.map(|name| name.into_owned()).map_err(|error| (EXIT_USAGE, format!("{shown}: {error}")))
}

fn make(second: bool, host: &str, place: &Place, state_dir: &Path) -> Told {
    let host = parse_host(host)?;
    let mut ring = load(place).map_err(failed)?;
    let held = ring.of_host(&host).count();
    if held > 0 && !second {
        return Err(failed(format!(
            "{host} has a key already - to change it: hbd key add {host}, put the new key on the machine, \
             then hbd key drop {host} ID"
        )));
    }
    if held >= KEYS_PER_HOST {
        return Err(failed(format!(
            "{host} has {KEYS_PER_HOST} keys already - take one away: hbd key drop {host} ID"
        )));
    }
    let (mut id, mut secret) = ([0; 8], [0; 32]);
    let filled = getrandom::fill(&mut id).and_then(|()| getrandom::fill(&mut secret));
    filled.map_err(|error| failed(format!("no randomness: {error}")))?;
    let key = Key::new(KeyId(id), secret);
    let text = key.render() + "\n";
    let created = clock::now().wall.as_secs_f64().floor();
    ring.add(Slot { key, host: host.into(), created }).map_err(failed)?;
    save(&ring, place, state_dir).map_err(failed)?;
    Ok(text)
}

fn drop_key(host: &str, id: Option<&str>, place: &Place, state_dir: &Path) -> Told {
    let host = parse_host(host)?;
    let mut ring = load(place).map_err(failed)?;
    let ids: Vec<KeyId> = ring.of_host(&host).map(|slot| slot.key.id()).collect();
    let chosen = match (id, ids.as_slice()) {
        (_, []) => return Err(failed(format!("{host} has no key"))),
        (None, [only]) => *only,
        (None, _) => {
            let ids: Vec<String> = ids.iter().map(KeyId::to_string).collect();
            return Err((
                EXIT_USAGE,
                format!("{host} has several keys, name one: {}", ids.join(" ")),
            ));
        }
        (Some(text), _) => KeyId::parse(text)
            .filter(|id| ids.contains(id))
            .ok_or_else(|| failed(format!("{host} has no key {}", text::escape_control(text))))?,
    };
    ring.remove(chosen);
    save(&ring, place, state_dir).map_err(failed)?;
    Ok(String::new())
}

/// Writes the file whole or not at all, for its owner alone. Root writes it for whom the directory is.
fn save(ring: &Keyring, place: &Place, state_dir: &Path) -> Result<(), String> {
    let path = &place.path;
    let shown = path.display();
    if place.credential {
        return Err(format!(
            "{shown}: keys are given by the credential {CREDENTIAL} - change them there, or set keys_file"
        ));
    }
    if path.starts_with(state_dir) {
        lookup::create_private(state_dir)?;
    }
    let owner =
        std::fs::metadata(path).or_else(|_| std::fs::metadata(path.parent().unwrap_or(path)));
    file::replace(path, ring.render().as_bytes(), 0o600)
        .map_err(|error| format!("{shown}: {error}"))?;
    if let Ok(owner) = owner
        && nix::unistd::geteuid().is_root()
        && owner.uid() != 0
    {
        std::os::unix::fs::chown(path, Some(owner.uid()), Some(owner.gid()))
            .map_err(|error| format!("{shown}: its owner cannot be set: {error}"))?;
    }
    Ok(())
}

fn list(invocation: &Invocation, place: &Place, host: Option<&str>, env: &Environment) -> Told {
    let ring = load(place).map_err(failed)?;
    let host = host.map(parse_host).transpose()?;
    // The file says what there is; only a running server knows when a key was used.
    let uses = ask::key_uses(invocation, env);
    let wanted =
        ring.slots().iter().filter(|slot| host.as_deref().is_none_or(|h| h == &*slot.host));
    let mut rows: Vec<&Slot> = wanted.collect();
    rows.sort_by(|a, b| a.host.cmp(&b.host).then(a.created.total_cmp(&b.created)));
    if let Some(host) = host.filter(|_| rows.is_empty()) {
        return Err(failed(format!("{host} has no key")));
    }
    let used = |slot: &Slot| uses.iter().find(|(id, _)| *id == slot.key.id().to_string());
    if invocation.json {
        let keys = rows.iter().map(|slot| {
            let last_used = used(slot).and_then(|(_, at)| *at);
            let id = slot.key.id().to_string();
            serde_json::json!({ "host": &*slot.host, "id": id, "created": slot.created, "last_used": last_used })
        });
        let keys: Vec<serde_json::Value> = keys.collect();
        let value = serde_json::json!({ "keys": keys });
        return Ok(serde_json::to_string_pretty(&value).unwrap_or_default() + "\n");
    }
    let row = |slot: &&Slot| {
        let last = match used(slot) {
            None => "unknown".to_owned(),
            Some((_, None)) => "never".to_owned(),
            Some((_, Some(at))) => ask::render_time(*at),
        };
        let created = ask::render_time(slot.created);
        vec![slot.host.to_string(), slot.key.id().to_string(), created, last]
    };
    let rows: Vec<Vec<String>> = rows.iter().map(row).collect();
    let out = ask::table(invocation, env, &["HOST", "ID", "CREATED", "LAST USED"], &rows)
        .map_err(|what| (EXIT_USAGE, what))?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn place_in(dir: &Path) -> Place {
        Place { path: dir.join("keys.json"), credential: false }
    }

    #[test]
    fn c2_file_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let place = place_in(dir.path());
        assert_eq!(load(&place), Ok(Keyring::default()));
        let key = make(false, "Web1", &place, dir.path()).unwrap();
        assert!(key.starts_with("hb1-") && key.len() == 61);
        let mode = |mode: u32| {
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(&place.path, permissions).unwrap();
            load(&place)
        };
        assert_eq!(std::fs::metadata(&place.path).unwrap().mode() & 0o777, 0o600);
        for refused in [0o640, 0o604, 0o660, 0o644] {
            assert!(mode(refused).unwrap_err().contains("chmod 600"), "{refused:o}");
        }
        assert_eq!(mode(0o400).unwrap().of_host("web1").count(), 1);
        mode(0o644).unwrap_err();
        let given = Place { credential: true, ..place.clone() };
        assert_eq!(load(&given).unwrap().slots().len(), 1);
        assert!(save(&Keyring::default(), &given, dir.path()).unwrap_err().contains("credential"));
    }

    #[test]
    fn c10_rotation_is_add_and_drop() {
        let dir = tempfile::tempdir().unwrap();
        let place = place_in(dir.path());
        make(false, "web1", &place, dir.path()).unwrap();
        assert!(make(false, "web1", &place, dir.path()).unwrap_err().1.contains("hbd key add"));
        make(true, "web1", &place, dir.path()).unwrap();
        assert!(make(true, "web1", &place, dir.path()).unwrap_err().1.contains("2 keys"));
        assert!(drop_key("web1", None, &place, dir.path()).unwrap_err().1.contains("name one"));
        let first = load(&place).unwrap().slots()[0].key.id().to_string();
        drop_key("web1", Some(&first), &place, dir.path()).unwrap();
        assert!(drop_key("web1", Some(&first), &place, dir.path()).is_err());
        drop_key("web1", None, &place, dir.path()).unwrap();
        assert!(load(&place).unwrap().is_empty());
    }
}
