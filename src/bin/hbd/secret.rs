//! Secrets of the configuration as their values: read from files, the environment, systemd's credentials.

use heartbeat::config::secret::{Reference, Secret};
use heartbeat::config::server::Server;
use heartbeat::os::file;
use std::path::Path;

const SECRET_MAX: usize = 64 << 10;

/// The value; relative files are below `base`.
pub fn read(secret: &Secret, base: &Path) -> Result<String, String> {
    secret.resolve(|reference| fetch(reference, base)).map_err(|why| format!("{secret:?}: {why}"))
}

fn fetch(reference: Reference<'_>, base: &Path) -> Result<String, String> {
    let from = |path: &Path| {
        let bytes = file::read_bounded(path, SECRET_MAX).map_err(|error| error.to_string())?;
        String::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned())
    };
    match reference {
        Reference::File(path) => from(&base.join(path)),
        Reference::Env(name) => std::env::var(name).map_err(|error| error.to_string()),
        Reference::Credential(name) => match std::env::var_os("CREDENTIALS_DIRECTORY") {
            Some(dir) => from(&Path::new(&dir).join(name)),
            None => Err("systemd gave no credentials".to_owned()),
        },
    }
}

/// Puts the tokens of `/metrics` and `/status` in the place of the files that hold them. One that cannot be read
/// opens nothing.
pub fn resolve_tokens(config: &mut Server, base: &Path) {
    resolve_token("metrics_token", &mut config.metrics_token, base);
    if let Some(page) = &mut config.status_page {
        resolve_token("status_page.token", &mut page.token, base);
    }
}

fn resolve_token(key: &str, token: &mut Option<Secret>, base: &Path) {
    let Some(secret @ (Secret::File(_) | Secret::Env(_) | Secret::Credential(_))) = token else {
        return;
    };
    match read(secret, base) {
        Ok(text) => *token = Some(Secret::Text(text)),
        Err(why) => log::warn!("{key}: {why}; nobody has it"),
    }
}

pub fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}
