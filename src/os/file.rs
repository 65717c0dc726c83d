//! Files: reads with a bound, and replacement that is all or nothing.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

/// Reads a whole file of at most `bytes_max` bytes; a longer one is an error, never a cut.
pub fn read_bounded(path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
    read(File::open(path)?, bytes_max)
}

/// The same of a plain file only, see [`open_plain`].
pub fn read_plain(path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
    read(open_plain(path)?.0, bytes_max)
}

/// Opens a plain file, and says how long it is: no symbolic link is followed at the end of its path, and no pipe waited
/// for.
pub fn open_plain(path: &Path) -> io::Result<(File, u64)> {
    use std::os::unix::fs::OpenOptionsExt;
    // A pipe would make the open wait, were it not for O_NONBLOCK; a plain file does not care.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(io::Error::other("not a plain file"));
    }
    Ok((file, about.len()))
}

fn read(file: File, bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > bytes_max {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("larger than {bytes_max} bytes"),
        ));
    }
    Ok(bytes)
}

/// Replaces `path` by `bytes` so that a reader, and a crash at any moment, sees the old or the new whole file.
/// `mode` is the new file's permission bits.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let dir = path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut tmp_name = path.file_name().unwrap_or_default().to_owned();
    tmp_name.push(".new");
    let tmp = dir.join(tmp_name);
    let _ = std::fs::remove_file(&tmp);
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&tmp)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&tmp, path)?;
    File::open(dir)?.sync_all()
}
