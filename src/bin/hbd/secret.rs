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

/// Puts the token of `/metrics` in the place of the file that holds it. One that cannot be read opens nothing.
pub fn resolve_metrics_token(config: &mut Server, base: &Path) {
    let Some(secret @ (Secret::File(_) | Secret::Env(_) | Secret::Credential(_))) =
        &config.metrics_token
    else {
        return;
    };
    match read(secret, base) {
        Ok(text) => config.metrics_token = Some(Secret::Text(text)),
        Err(why) => log::warn!("metrics_token: {why}; nobody has it"),
    }
}

pub fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}
