//! The agent that an upgrade would install: found in `agent_dir`, weighed and named for the agent to check.
//!
//! Verifies nothing: the agent does, with the key in its own configuration.

use heartbeat::engine::Package;
use heartbeat::engine::view::Host;
use heartbeat::os::file;
use sha2::{Digest, Sha256};
use std::path::Path;

const BINARY_MAX: usize = 64 << 20;
const SIGNATURE_MAX: usize = 4096;
const PROGRAMS: [&str; 2] = ["hbc", "hbc-mini"];

/// The file for this host; `version` where one is asked for.
///
/// # Errors
/// Why there is none, as a sentence.
pub fn find(dir: Option<&Path>, host: &Host, version: Option<&str>) -> Result<Package, String> {
    let dir = dir.ok_or("No agent_dir is configured.")?;
    let target = target_of(host).ok_or_else(|| {
        format!("{} has not told its system and architecture (os_info) yet.", host.name)
    })?;
    let program = host.plugin("os_info").and_then(|plugin| text_of(plugin, "agent_program"));
    let programs: Vec<&str> = match &program {
        Some(program) => vec![program],
        None => PROGRAMS.to_vec(),
    };
    let mut reasons = Vec::new();
    for program in programs {
        // The name goes into a path: only what the agents themselves are called is looked for.
        if !PROGRAMS.contains(&program) {
            continue;
        }
        match read(&dir.join(format!("{program}-{target}")), &target) {
            Ok(package) if version.is_none_or(|wanted| wanted == package.version) => {
                return Ok(package);
            }
            Ok(package) => {
                reasons.push(format!("{program}-{target} is version {}.", package.version))
            }
            Err(what) => reasons.push(what),
        }
    }
    Err(reasons.join(" "))
}

/// `linux-x86_64`, of letters, digits and '_' alone.
fn target_of(host: &Host) -> Option<String> {
    let plugin = host.plugin("os_info")?;
    let is_word = |text: &str| {
        (1..=32).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    // What the agent was built for; the kernel's own word leaves open which mips or arm that is.
    if let Some(target) = text_of(plugin, "agent_target")
        && target
            .split_once('-')
            .is_some_and(|(system, machine)| is_word(system) && is_word(machine))
    {
        return Some(target);
    }
    let system = text_of(plugin, "system")?.to_ascii_lowercase();
    let architecture = text_of(plugin, "architecture")?;
    (is_word(&system) && is_word(&architecture)).then(|| format!("{system}-{architecture}"))
}

fn text_of(plugin: &heartbeat::engine::view::Plugin, key: &str) -> Option<String> {
    let data: serde_json::Value = serde_json::from_str(&plugin.latest()?.data).ok()?;
    Some(data.get(key)?.as_str()?.to_owned())
}

fn read(path: &Path, target: &str) -> Result<Package, String> {
    let name = path.file_name().unwrap_or_default().display().to_string();
    let bytes =
        file::read_bounded(path, BINARY_MAX).map_err(|error| format!("{name}: {error}."))?;
    let mut signature = path.as_os_str().to_owned();
    signature.push(".minisig");
    let text = file::read_bounded(Path::new(&signature), SIGNATURE_MAX)
        .map_err(|error| format!("{name}.minisig: {error}."))?;
    let text = String::from_utf8_lossy(&text);
    let version = version_in(&text, target).ok_or_else(|| {
        format!(
            "{name}.minisig has no comment `heartbeat VERSION {target}`; sign it with hbd sign."
        )
    })?;
    let sha256: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Package { version, sha256, size: bytes.len() as u64 })
}

/// The version in `trusted comment: heartbeat VERSION OS-ARCH`.
fn version_in(signature: &str, target: &str) -> Option<String> {
    let comment = signature.lines().find_map(|line| line.strip_prefix("trusted comment: "))?;
    let mut words = comment.split_whitespace();
    let (Some("heartbeat"), Some(version), Some(of)) = (words.next(), words.next(), words.next())
    else {
        return None;
    };
    (of == target && version.len() <= heartbeat::limits::VERSION_MAX).then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_that_of_the_trusted_comment_for_the_target() {
        let signature =
            "untrusted comment: x\nRWQ\ntrusted comment: heartbeat 0.2.0 linux-x86_64\nsig\n";
        assert_eq!(version_in(signature, "linux-x86_64").as_deref(), Some("0.2.0"));
        assert_eq!(version_in(signature, "linux-aarch64"), None);
        assert_eq!(version_in("trusted comment: other 1 linux-x86_64", "linux-x86_64"), None);
    }

    #[test]
    fn package_is_weighed_with_its_signature() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hbc-linux-x86_64");
        assert!(read(&path, "linux-x86_64").is_err());
        std::fs::write(&path, b"abc").unwrap();
        assert!(read(&path, "linux-x86_64").unwrap_err().contains(".minisig"));
        let signature = "trusted comment: heartbeat 0.2.0 linux-x86_64\n";
        std::fs::write(dir.path().join("hbc-linux-x86_64.minisig"), signature).unwrap();
        let package = read(&path, "linux-x86_64").unwrap();
        assert_eq!((&*package.version, package.size), ("0.2.0", 3));
        assert!(package.sha256.starts_with("ba7816bf8f01cfea"));
    }
}
