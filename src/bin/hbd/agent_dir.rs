//! Files of `agent_dir` by name. Never opens anything but a plain file of that directory itself: one path component, no
//! leading dot, no symbolic link.

use heartbeat::limits;
use heartbeat::os::file;
use std::fs::File;
use std::path::Path;

const NAME_MAX: usize = 128;

/// The file and its length, or why it is none that is served.
pub fn open(dir: &Path, name: &str) -> Result<(File, u64), String> {
    if !is_name(name) {
        return Err("not a plain name".to_owned());
    }
    match file::open_plain(&dir.join(name)) {
        Ok((_, len)) if len > limits::AGENT_FILE_MAX => Err(format!("{len} bytes are too many")),
        opened => opened.map_err(|error| error.to_string()),
    }
}

fn is_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    (1..=NAME_MAX).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h9_only_a_plain_file_of_the_directory_itself_is_opened() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path();
        std::fs::write(path.join("hbc-linux-x86_64"), "binary").expect("written");
        std::fs::write(path.join(".hidden"), "secret").expect("written");
        std::fs::create_dir(path.join("below")).expect("made");
        std::fs::write(path.join("below/file"), "secret").expect("written");
        std::os::unix::fs::symlink("/etc/passwd", path.join("link")).expect("linked");
        let (_, len) = open(path, "hbc-linux-x86_64").expect("it is served");
        assert_eq!(len, 6);
        let names = [
            "",
            ".",
            "..",
            ".hidden",
            "below",
            "below/file",
            "../etc/passwd",
            "link",
            "absent",
            "%2e%2e",
            "a b",
            "a\0b",
            "/etc/passwd",
            "..%2fx",
        ];
        for name in names {
            assert!(open(path, name).is_err(), "{name:?}");
        }
        assert!(open(path, &"x".repeat(NAME_MAX + 1)).is_err());
    }
}
