//! `hbd sign`: keys and signatures of agents' releases, in the format of minisign(1).
//!
//! The secret key is a file of its own that only its owner reads, without a password: it signs on
//! a machine that builds, not on the one that serves.

use crate::args::Invocation;
use crate::{EXIT_FAILED, EXIT_OK, EXIT_USAGE};
use heartbeat::agent::release::{Release, is_version};
use heartbeat::limits;
use heartbeat::os::file;
use minisign::{KeyPair, PublicKey, SecretKey, SecretKeyBox};
use std::io::{Cursor, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const KEY_MAX: usize = 4096;
/// What every agent carries, followed by its program, version and target, and a zero byte.
const MARK: &[u8] = b"HEARTBEAT-RELEASE:";
const MARK_MAX: usize = 128;
/// The checksums of a release, which are signed as a whole.
const SUMS: &str = "SHA256SUMS";
const PROGRAMS: [&str; 2] = ["hbc", "hbc-mini"];

/// Returns the exit status.
pub fn run(invocation: &Invocation) -> u8 {
    let words = &invocation.words;
    let result = match (&invocation.new_key, &invocation.key, words.as_slice()) {
        (Some(path), None, []) => new_key(path),
        (None, Some(key), [binary]) => sign(key, Path::new(binary)),
        _ => {
            eprintln!("hbd: sign takes --new-key FILE, or --key FILE BINARY");
            return EXIT_USAGE;
        }
    };
    match result {
        Ok(()) => EXIT_OK,
        Err(what) => {
            eprintln!("hbd: {what}");
            EXIT_FAILED
        }
    }
}

/// Writes the secret key to `path` and the public one beside it; prints the line for the agents.
fn new_key(path: &Path) -> Result<(), String> {
    let pair = KeyPair::generate_unencrypted_keypair().map_err(|error| error.to_string())?;
    let comment = "heartbeat release key, keep it secret";
    let secret = pair.sk.to_box(Some(comment)).map_err(|error| error.to_string())?.into_string();
    let public = pair.pk.to_box().map_err(|error| error.to_string())?.into_string();
    let line = pair.pk.to_base64();
    create(path, secret.as_bytes(), 0o600)?;
    let beside = with_ending(path, "pub");
    create(&beside, public.as_bytes(), 0o644)?;
    println!("{line}");
    eprintln!(
        "the secret key is in {}, this is the public one (also in {}).\n\
         agents: update: {{public_key: {line}}}",
        path.display(),
        beside.display()
    );
    Ok(())
}

fn sign(key: &Path, binary: &Path) -> Result<(), String> {
    let (secret, public) = read_key(key)?;
    let shown = binary.display();
    let bytes = file::read_bounded(binary, limits::AGENT_FILE_MAX as usize)
        .map_err(|error| format!("{shown}: {error}"))?;
    let name = binary.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if name == SUMS {
        let comment = format!("heartbeat {} {SUMS}", env!("CARGO_PKG_VERSION"));
        return write_signature(binary, &bytes, (&secret, &public), &comment);
    }
    let (program, release) = match find_mark(&bytes) {
        Some(found) => found,
        None => by_name(name).ok_or_else(|| {
            format!(
                "{shown}: neither an agent of this project nor named like one, hbc-linux-x86_64"
            )
        })?,
    };
    let comment = release.to_string();
    write_signature(binary, &bytes, (&secret, &public), &comment)?;
    let wanted = format!("{program}-{}", release.target);
    if name != wanted {
        eprintln!("in agent_dir it is to be called {wanted}, and this one {wanted}.minisig");
    }
    Ok(())
}

fn write_signature(
    signed: &Path,
    bytes: &[u8],
    (secret, public): (&SecretKey, &PublicKey),
    comment: &str,
) -> Result<(), String> {
    let untrusted = Some("signature of a heartbeat release");
    let made = minisign::sign(Some(public), secret, Cursor::new(bytes), Some(comment), untrusted)
        .map_err(|error| error.to_string())?;
    let path = with_ending(signed, "minisig");
    file::replace(&path, made.into_string().as_bytes(), 0o644)
        .map_err(|error| format!("{}: {error}", path.display()))?;
    println!("{}", path.display());
    eprintln!("trusted comment: {comment}");
    Ok(())
}

/// What the agent says of itself.
fn find_mark(bytes: &[u8]) -> Option<(String, Release)> {
    let mut rest = bytes;
    while let Some(at) = rest.windows(MARK.len()).position(|window| window == MARK) {
        rest = &rest[at + MARK.len()..];
        let end = rest.iter().take(MARK_MAX).position(|b| *b == 0);
        let text = end.and_then(|end| std::str::from_utf8(&rest[..end]).ok());
        if let Some((program, release)) = text.and_then(|text| text.split_once(' '))
            && PROGRAMS.contains(&program)
            && let Some(release) = Release::parse(release)
        {
            return Some((program.to_owned(), release));
        }
    }
    None
}

/// `hbc-linux-x86_64`, of this program's version.
fn by_name(name: &str) -> Option<(String, Release)> {
    let mut programs = PROGRAMS;
    programs.reverse();
    let program = programs.into_iter().find(|program| name.starts_with(&format!("{program}-")))?;
    let version = env!("CARGO_PKG_VERSION");
    let comment = format!("heartbeat {version} {}", &name[program.len() + 1..]);
    let release = Release::parse(&comment).filter(|release| is_version(&release.version))?;
    Some((program.to_owned(), release))
}

/// The key, of a file that its owner alone can read.
fn read_key(path: &Path) -> Result<(SecretKey, PublicKey), String> {
    let shown = path.display();
    let told = |error: std::io::Error| format!("{shown}: {error}");
    let mode = std::fs::metadata(path).map_err(told)?.mode();
    if mode & 0o077 != 0 {
        return Err(format!("{shown}: others can read this key; run: chmod 600 {shown}"));
    }
    let text = file::read_bounded(path, KEY_MAX).map_err(told)?;
    let text = String::from_utf8(text).map_err(|_| format!("{shown}: not a key of minisign"))?;
    let secret = SecretKeyBox::from_string(&text)
        .and_then(SecretKeyBox::into_unencrypted_secret_key)
        .map_err(|error| {
            format!("{shown}: {error} (only a key without a password, as --new-key makes it)")
        })?;
    let public = PublicKey::from_secret_key(&secret).map_err(|error| error.to_string())?;
    Ok((secret, public))
}

/// A new file; one that is there is never overwritten.
fn create(path: &Path, bytes: &[u8], mode: u32) -> Result<(), String> {
    let write = || {
        let options = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).clone();
        let mut file = options.open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|error| format!("{}: {error}", path.display()))
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agent_tells_what_it_is_and_others_are_named() {
        let agent =
            b"..HEARTBEAT-RELEASE:\0..HEARTBEAT-RELEASE:hbc-mini heartbeat 1.2.3 linux-mipsel\0";
        let (program, release) = find_mark(agent).expect("marked");
        assert_eq!(
            (program.as_str(), release.to_string().as_str()),
            ("hbc-mini", "heartbeat 1.2.3 linux-mipsel")
        );
        assert_eq!(find_mark(b"HEARTBEAT-RELEASE:hbc heartbeat 1 linux-x86_64"), None, "no end");
        assert_eq!(find_mark(b"HEARTBEAT-RELEASE:sh heartbeat 1 linux-x86_64\0"), None);
        let (program, release) = by_name("hbc-mini-linux-armv7").expect("named");
        assert_eq!((program.as_str(), release.target.as_str()), ("hbc-mini", "linux-armv7"));
        assert_eq!(by_name("hbc"), None);
        assert_eq!(by_name("ls-linux-x86_64"), None);
    }

    #[test]
    fn new_key_signs_what_the_agents_accept_and_nobody_else_may_read_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let (key, binary) = (dir.path().join("key"), dir.path().join("hbc-linux-x86_64"));
        new_key(&key).expect("made");
        assert!(new_key(&key).is_err(), "a key is never overwritten");
        assert_eq!(std::fs::metadata(&key).expect("there").mode() & 0o777, 0o600);
        std::fs::write(&binary, "a program").expect("written");
        sign(&key, &binary).expect("signed");
        let read = |path: &Path| {
            String::from_utf8(file::read_bounded(path, KEY_MAX).expect("read")).expect("text")
        };
        let (public, made) =
            (read(&dir.path().join("key.pub")), read(&with_ending(&binary, "minisig")));
        let public = minisign_verify::PublicKey::decode(&public).expect("a key");
        let made = minisign_verify::Signature::decode(&made).expect("a signature");
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(made.trusted_comment(), format!("heartbeat {version} linux-x86_64"));
        assert!(public.verify(b"a program", &made, false).is_ok());
        assert!(public.verify(b"another", &made, false).is_err());
        std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .expect("set");
        assert!(sign(&key, &binary).expect_err("refused").contains("chmod 600"));
    }
}
