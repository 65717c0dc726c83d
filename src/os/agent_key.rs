//! The agents' keys: read from where the configuration says, and refused where others can read them.

use super::file;
use crate::config::agent::{Agent, ServerEntry};
use crate::config::secret::{Reference, Secret};
use crate::wire::Key;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A key is one short line.
const KEY_FILE_MAX: usize = 4096;
/// The credential of systemd that stands for `key_file`.
const CREDENTIAL: &str = "hbc.key";

/// The key for a server: its own, else the agent's, else systemd's. `None`: it is spoken to in the
/// clear.
///
/// # Errors
/// Why a key that is named cannot be used; never the key.
pub fn of_server(entry: &ServerEntry, agent: &Agent) -> Result<Option<Key>, String> {
    let own = entry.key_file.is_some() || entry.key.is_some();
    let (file, secret) =
        if own { (&entry.key_file, &entry.key) } else { (&agent.key_file, &agent.key) };
    let (shown, text) = match (file, secret) {
        (Some(path), _) => (path.display().to_string(), read_private(path)?),
        (None, Some(secret)) => (format!("key ({secret:?})"), resolve(secret)?),
        (None, None) => match credential(CREDENTIAL).filter(|path| path.exists()) {
            Some(path) => (path.display().to_string(), read(&path)?),
            None => return Ok(None),
        },
    };
    Key::parse(&text).map(Some).map_err(|error| format!("{shown}: the key {error}"))
}

fn credential(name: &str) -> Option<PathBuf> {
    std::env::var_os("CREDENTIALS_DIRECTORY").map(|dir| Path::new(&dir).join(name))
}

fn resolve(secret: &Secret) -> Result<String, String> {
    secret.resolve(|reference| match reference {
        Reference::File(path) => read_private(path),
        Reference::Env(name) => std::env::var(name).map_err(|_| format!("key: {name} is not set")),
        Reference::Credential(name) => {
            let path = credential(name).ok_or("key: systemd gave no credentials")?;
            read(&path)
        }
    })
}

/// A file that only its owner can read.
fn read_private(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let mode = std::fs::metadata(path).map_err(|error| format!("{shown}: {error}"))?.mode();
    if mode & 0o077 != 0 {
        let mode = mode & 0o7777;
        return Err(format!(
            "{shown}: others can read it (mode {mode:04o}) - run: chmod 600 {shown}"
        ));
    }
    read(path)
}

fn read(path: &Path) -> Result<String, String> {
    let bytes = file::read_bounded(path, KEY_FILE_MAX);
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).map_err(io::Error::other));
    text.map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::KeyId;
    use std::os::unix::fs::PermissionsExt;

    fn key(id: u8) -> Key {
        Key::new(KeyId([id; 8]), [id; 32])
    }

    fn file_of(dir: &Path, id: u8, mode: u32) -> PathBuf {
        let path = dir.join(format!("{id}.key"));
        std::fs::write(&path, key(id).render() + "\n").expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("set");
        path
    }

    #[test]
    fn c2_key_file_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        for (mode, taken) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
            let key_file = Some(file_of(dir.path(), 1, mode));
            let entry = ServerEntry { key_file, ..ServerEntry::default() };
            let got = of_server(&entry, &Agent::default());
            match got {
                Ok(got) => assert!(taken && got == Some(key(1)), "{mode:o}"),
                Err(why) => assert!(!taken && why.contains("chmod 600"), "{why}"),
            }
        }
    }

    #[test]
    fn server_has_its_own_key_or_the_agents() {
        let dir = tempfile::tempdir().expect("a directory");
        let text = |id| Some(Secret::Text(key(id).render()));
        let agent = Agent { key_file: Some(file_of(dir.path(), 1, 0o600)), ..Agent::default() };
        let own = ServerEntry { key: text(2), ..ServerEntry::default() };
        assert_eq!(of_server(&own, &agent), Ok(Some(key(2))));
        assert_eq!(of_server(&ServerEntry::default(), &agent), Ok(Some(key(1))));
        assert_eq!(of_server(&ServerEntry::default(), &Agent::default()), Ok(None));
        let bad = Secret::Text("hb1-secret".to_owned());
        let bad = ServerEntry { key: Some(bad), ..ServerEntry::default() };
        let why = of_server(&bad, &agent).expect_err("no key");
        assert!(why.contains("has 10 characters") && !why.contains("hb1-"), "{why}");
        let missing = ServerEntry { key_file: Some("/none".into()), ..ServerEntry::default() };
        assert!(of_server(&missing, &agent).is_err(), "a key that is named is never left out");
    }
}
