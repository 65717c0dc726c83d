//! What a signed release of an agent says of itself: version and target, in the trusted comment of
//! its signature; and which release may replace which. Never touches a file.

pub use crate::collect::TARGET;
use crate::config::agent::Update;
use crate::limits;
use minisign_verify::{PublicKey, Signature, StreamVerifier};
use std::cmp::Ordering;

/// `heartbeat <version> <os>-<arch>`
const WORD: &str = "heartbeat";

/// Bytes of [`mark`].
pub const MARK_LEN: usize = 128;

/// `HEARTBEAT-RELEASE:hbc heartbeat 0.1.0 linux-x86_64` and zero bytes: what a program carries so
/// that its file tells what it is without being run.
pub const fn mark(program: &str) -> [u8; MARK_LEN] {
    let parts =
        ["HEARTBEAT-RELEASE:", program, " heartbeat ", env!("CARGO_PKG_VERSION"), " ", TARGET];
    let mut out = [0; MARK_LEN];
    let (mut part, mut len) = (0, 0);
    while part < parts.len() {
        let bytes = parts[part].as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            out[len] = bytes[at];
            (at, len) = (at + 1, len + 1);
        }
        part += 1;
    }
    out
}

/// The file of a program for this target: `hbc-linux-x86_64`.
pub fn file_name(program: &str) -> String {
    format!("{program}-{TARGET}")
}

/// What a trusted comment says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    pub version: String,
    /// `linux-x86_64`
    pub target: String,
}

impl Release {
    /// Reads a trusted comment; `None` where it is none of ours.
    pub fn parse(comment: &str) -> Option<Release> {
        let mut words = comment.split(' ');
        let (word, version, target) = (words.next()?, words.next()?, words.next()?);
        let fits = word == WORD && words.next().is_none() && is_version(version);
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-".contains(&b);
        let target_fits = target.contains('-') && target.bytes().all(plain);
        (fits && target_fits)
            .then(|| Release { version: version.to_owned(), target: target.to_owned() })
    }
}

impl std::fmt::Display for Release {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{WORD} {} {}", self.version, self.target)
    }
}

/// `1.2.3` or `1.2.3-rc.1`, at most 32 bytes.
pub fn is_version(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b".-".contains(&b);
    (1..=limits::VERSION_MAX).contains(&text.len())
        && text.bytes().all(plain)
        && text.as_bytes()[0].is_ascii_digit()
}

/// Orders versions: numbers between dots by value, and a version with a suffix (`1.2.0-rc1`) before
/// the one without.
pub fn compare(a: &str, b: &str) -> Ordering {
    let split = |text: &str| match text.split_once('-') {
        Some((core, suffix)) => (parts(core), Some(parts(suffix))),
        None => (parts(text), None),
    };
    let ((core_a, suffix_a), (core_b, suffix_b)) = (split(a), split(b));
    core_a.cmp(&core_b).then_with(|| match (suffix_a, suffix_b) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(a), Some(b)) => a.cmp(&b),
    })
}

/// Numbers compare by value, and before words.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Number(u64),
    Word(String),
}

fn parts(text: &str) -> Vec<Part> {
    let part = |word: &str| match word.parse() {
        Ok(number) => Part::Number(number),
        Err(_) => Part::Word(word.to_owned()),
    };
    let mut parts: Vec<Part> = text.split('.').map(part).collect();
    // 1.2 is 1.2.0.
    while parts.last() == Some(&Part::Number(0)) {
        parts.pop();
    }
    parts
}

/// What is asked for: of the UPD message, as far as there is one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    pub version: Option<String>,
    /// 64 hexadecimal digits.
    pub sha256: Option<String>,
    pub size: Option<u64>,
}

/// A signature that is worth the download, under the key that the configuration pins.
pub struct Check {
    key: PublicKey,
    signature: Signature,
    pub release: Release,
}

impl Check {
    /// Reads the text of a `.minisig` and decides on what it claims; that the claim is true, the
    /// verifier tells at the end.
    ///
    /// # Errors
    /// Why this release is not wanted.
    pub fn new(
        minisig: &str,
        update: &Update,
        wanted: &Wanted,
        running: &str,
    ) -> Result<Check, String> {
        let key = update.public_key.as_deref().ok_or("update.public_key is not set")?;
        let key = parse_key(key).ok_or("update.public_key is not a minisign key")?;
        let signature =
            Signature::decode(minisig).map_err(|_| "this is not a minisign signature")?;
        let comment = signature.trusted_comment();
        let release = Release::parse(comment)
            .ok_or_else(|| format!("the signature's comment is {comment:?}, not a release's"))?;
        if release.target != TARGET {
            return Err(format!("it is for {}, this machine is {TARGET}", release.target));
        }
        if wanted.version.as_ref().is_some_and(|version| *version != release.version) {
            let version = wanted.version.as_deref().unwrap_or_default();
            return Err(format!("version {} was found, {version} was asked for", release.version));
        }
        match compare(&release.version, running) {
            Ordering::Greater => {}
            Ordering::Equal => return Err(format!("version {running} is running already")),
            Ordering::Less if update.allow_downgrade => {}
            Ordering::Less => {
                return Err(format!(
                    "version {} is older than {running}, which is running",
                    release.version
                ));
            }
        }
        Ok(Check { key, signature, release })
    }

    /// To be fed the file.
    ///
    /// # Errors
    /// It was signed with another key, or without hashing first.
    pub fn verifier(&self) -> Result<StreamVerifier<'_>, String> {
        let signature = &self.signature;
        self.key.verify_stream(signature).map_err(|error| format!("the signature: {error}"))
    }
}

/// The key as `hbd sign --new-key` prints it, or as the file beside the secret one has it.
pub fn parse_key(text: &str) -> Option<PublicKey> {
    let line = text.trim().lines().last()?;
    PublicKey::from_base64(line.trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trusted_comment_of_a_release_and_of_others() {
        let release = Release::parse("heartbeat 1.2.3 linux-x86_64").expect("it is one");
        assert_eq!((release.version.as_str(), release.target.as_str()), ("1.2.3", "linux-x86_64"));
        assert_eq!(release.to_string(), "heartbeat 1.2.3 linux-x86_64");
        let others = [
            "",
            "timestamp:1",
            "heartbeat 1.2.3",
            "heartbeat  1.2.3 linux-x86_64",
            "heartbeat 1.2.3 linux-x86_64 more",
            "heartbeat v1.2.3 linux-x86_64",
            "heartbeat 1.2.3 linux",
            "heartbeat 1.2.3 linux-x86/64",
            "Heartbeat 1.2.3 linux-x86_64",
        ];
        for comment in others {
            assert_eq!(Release::parse(comment), None, "{comment}");
        }
    }

    #[test]
    fn versions_are_ordered_by_their_numbers() {
        let ordered = ["0.1.0", "0.2.0-rc.1", "0.2.0-rc.2", "0.2.0-rc.10", "0.2", "0.10.0", "1.0"];
        for (a, one) in ordered.iter().enumerate() {
            for (b, other) in ordered.iter().enumerate() {
                assert_eq!(compare(one, other), a.cmp(&b), "{one} {other}");
            }
        }
        assert_eq!(compare("1.2", "1.2.0"), Ordering::Equal);
    }

    #[test]
    fn this_build_has_a_target_and_a_file() {
        assert!(TARGET.split_once('-').is_some() && !TARGET.contains("other"));
        assert_eq!(file_name("hbc"), format!("hbc-{TARGET}"));
    }
}
