//! What the kernel calls this machine.

use std::io;

/// The host name as the kernel has it; bytes that are not UTF-8 are replaced, so that a check
/// refuses them.
///
/// # Errors
/// The kernel's name is longer than any allowed one.
pub fn host_name() -> io::Result<String> {
    let mut bytes = [0u8; 256];
    // SAFETY: the length given is the buffer's, less the byte that stays zero and ends the text.
    let result = unsafe { libc::gethostname(bytes.as_mut_ptr().cast(), bytes.len() - 1) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let len = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    Ok(String::from_utf8_lossy(&bytes[..len]).into_owned())
}

#[cfg(test)]
mod tests {
    #[test]
    fn host_name_is_not_empty() {
        assert!(!super::host_name().unwrap().is_empty());
    }
}
