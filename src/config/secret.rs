//! A secret as the user wrote it, and where its value comes from. Never shows the value.

use std::path::{Path, PathBuf};

/// Text, `{file: PATH}`, `{env: NAME}` or `{credential: NAME}`.
#[derive(Clone, PartialEq)]
pub enum Secret {
    Text(String),
    File(PathBuf),
    Env(String),
    /// A file in systemd's `$CREDENTIALS_DIRECTORY`.
    Credential(String),
}

/// What [`Secret::resolve`] asks its reader for.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Reference<'a> {
    File(&'a Path),
    Env(&'a str),
    Credential(&'a str),
}

impl Secret {
    /// The value, without the line end that a file has. `read` does the I/O and bounds it; its
    /// error is passed on.
    pub fn resolve<E>(
        &self,
        read: impl FnOnce(Reference<'_>) -> Result<String, E>,
    ) -> Result<String, E> {
        let mut value = match self {
            Secret::Text(text) => return Ok(text.clone()),
            Secret::File(path) => read(Reference::File(path))?,
            Secret::Env(name) => read(Reference::Env(name))?,
            Secret::Credential(name) => read(Reference::Credential(name))?,
        };
        value.truncate(value.trim_end_matches(['\r', '\n']).len());
        Ok(value)
    }
}

/// Where it comes from, for people: `***`, `file /run/x`, `env NAME`, `credential NAME`.
impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Secret::Text(_) => f.write_str("***"),
            Secret::File(path) => write!(f, "file {}", path.display()),
            Secret::Env(name) => write!(f, "env {name}"),
            Secret::Credential(name) => write!(f, "credential {name}"),
        }
    }
}
