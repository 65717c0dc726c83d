//! The built-in update: fetches a signed release beside the running program, verifies it, and puts
//! it in the program's place in a way that a crash at any moment leaves one of the two to be run.
//!
//! In this order: signature, download, size, digest, signature of the whole, a first run of the new
//! file, the note of the probation, the old file under `.old`, the rename. Never changes the
//! program's own file before all of that is on the disk.

use super::fetch::Fetch;
use super::probation::{self, Probation};
use crate::agent::release::{self, Check, Wanted};
use crate::config::agent::Update;
use crate::limits;
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Longest signature file.
const MINISIG_MAX: u64 = 4096;

/// What is updated, and from where.
pub struct Site<'a> {
    /// `hbc` or `hbc-mini`: the first part of the file's name.
    pub program: &'a str,
    /// The version that is running.
    pub running: &'a str,
    /// The program's own file.
    pub exe: &'a Path,
    /// Ends in a slash, or is given one.
    pub url: &'a str,
    pub update: &'a Update,
    pub fetch: Fetch,
}

impl Site<'_> {
    /// Fetches, verifies and installs; the version that is in place now.
    ///
    /// # Errors
    /// What failed, in words. The program's own file is as it was.
    pub fn install(&self, wanted: &Wanted) -> Result<String, String> {
        let file = release::file_name(self.program);
        let url = format!("{}/{file}", self.url.trim_end_matches('/'));
        let minisig = self.signature(&url)?;
        let check = Check::new(&minisig, self.update, wanted, self.running)
            .map_err(|what| format!("{file}: {what}"))?;
        let new = beside(self.exe, "new");
        let result = self
            .download(&url, &new, &check, wanted)
            .and_then(|()| probation::try_run(&new, &check.release.version))
            .and_then(|()| self.put_in_place(&new, &check.release.version));
        if result.is_err() {
            let _ = std::fs::remove_file(&new);
        }
        result.map(|()| check.release.version)
    }

    fn signature(&self, url: &str) -> Result<String, String> {
        let mut bytes = Vec::new();
        (self.fetch)(&format!("{url}.minisig"), MINISIG_MAX, &mut |part| {
            bytes.extend_from_slice(part);
            Ok(())
        })?;
        String::from_utf8(bytes).map_err(|_| format!("{url}.minisig: not text"))
    }

    /// Writes the file and verifies what was written, piece by piece.
    fn download(
        &self,
        url: &str,
        new: &Path,
        check: &Check,
        wanted: &Wanted,
    ) -> Result<(), String> {
        let told = |error: io::Error| format!("{}: {error}", new.display());
        // What an update that was killed has left behind.
        let _ = std::fs::remove_file(new);
        let mut verifier = check.verifier()?;
        let mut digest = Sha256::new();
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o755).open(new).map_err(told)?;
        let bytes_max = wanted.size.unwrap_or(limits::AGENT_FILE_MAX).min(limits::AGENT_FILE_MAX);
        let length = (self.fetch)(url, bytes_max, &mut |part| {
            file.write_all(part).map_err(told)?;
            digest.update(part);
            verifier.update(part);
            Ok(())
        })?;
        if wanted.size.is_some_and(|size| size != length) {
            let size = wanted.size.unwrap_or_default();
            return Err(format!("{url}: {length} bytes, {size} were announced"));
        }
        let digest: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        if wanted.sha256.as_ref().is_some_and(|sha256| !sha256.eq_ignore_ascii_case(&digest)) {
            return Err(format!("{url}: its SHA-256 is not the one that was announced"));
        }
        verifier.finalize().map_err(|_| format!("{url}: the signature does not fit the file"))?;
        file.sync_all().map_err(told)
    }

    fn put_in_place(&self, new: &Path, version: &str) -> Result<(), String> {
        let probation = Probation::new(version, self.running);
        let place = || -> io::Result<()> {
            keep_old(self.exe)?;
            probation.write(self.exe)?;
            std::fs::rename(new, self.exe)?;
            sync_dir(self.exe)
        };
        place().map_err(|error| {
            Probation::forget(self.exe);
            format!("{}: {error}", self.exe.display())
        })
    }
}

/// The program's file under `.old` as well: a link where the file system has links, else a copy.
fn keep_old(exe: &Path) -> io::Result<()> {
    let (old, making) = (beside(exe, "old"), beside(exe, "old.new"));
    let _ = std::fs::remove_file(&making);
    if std::fs::hard_link(exe, &making).is_err() {
        std::fs::copy(exe, &making)?;
        File::open(&making)?.sync_all()?;
    }
    // Two links to one file: a rename would do nothing and leave both.
    let _ = std::fs::remove_file(&old);
    std::fs::rename(&making, &old)
}

/// Puts the old program back in the place of the new one.
///
/// # Errors
/// There is no old one, or the directory cannot be written.
pub fn roll_back(exe: &Path) -> io::Result<()> {
    std::fs::rename(beside(exe, "old"), exe)?;
    sync_dir(exe)
}

/// `hbc.old` beside `hbc`.
pub fn beside(exe: &Path, ending: &str) -> PathBuf {
    let mut name = exe.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

/// What was renamed in a directory is on the disk.
pub fn sync_dir(exe: &Path) -> io::Result<()> {
    match exe.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
#[path = "update_test.rs"]
mod tests;
