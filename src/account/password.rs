//! Password hashes as Werkzeug writes them: `pbkdf2:sha256:ITERATIONS$SALT$HEX`.

use sha2::Sha256;
use subtle::ConstantTimeEq;

/// Of new hashes.
pub const ITERATIONS: u32 = 600_000;
pub const ITERATIONS_MAX: u32 = 10_000_000;
/// Letters of a new salt.
pub const SALT: usize = 16;
/// Longer ones are refused before any work is done.
pub const PASSWORD_MAX: usize = 1024;

const LETTERS: &[u8; 62] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// A hash taken apart.
#[derive(Clone, PartialEq, Eq)]
pub struct Hash {
    pub iterations: u32,
    salt: String,
    digest: [u8; 32],
}

impl Hash {
    pub fn parse(text: &str) -> Option<Hash> {
        let rest = text.strip_prefix("pbkdf2:sha256:")?;
        let mut parts = rest.split('$');
        let (iterations, salt, hex) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || salt.is_empty() {
            return None;
        }
        let iterations = iterations.parse().ok().filter(|n| (1..=ITERATIONS_MAX).contains(n))?;
        Some(Hash { iterations, salt: salt.to_owned(), digest: parse_hex(hex)? })
    }

    /// The hash of a new password. `random` makes the salt.
    pub fn make(password: &str, iterations: u32, random: [u8; SALT]) -> Hash {
        let salt: String =
            random.iter().map(|b| char::from(LETTERS[usize::from(*b) % LETTERS.len()])).collect();
        let digest = derive(password, &salt, iterations);
        Hash { iterations, salt, digest }
    }

    /// Takes as long as the iterations take, whatever the password is.
    pub fn fits(&self, password: &str) -> bool {
        derive(password, &self.salt, self.iterations).ct_eq(&self.digest).into()
    }
}

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "pbkdf2:sha256:{}${}$", self.iterations, self.salt)?;
        self.digest.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Checks a password in a time that depends on `iterations` alone: where there is no account, or one
/// whose hash is weaker, the rest of the work is done all the same.
pub fn verify(password: &str, hash: Option<&Hash>, iterations: u32) -> bool {
    let fits = hash.is_some_and(|hash| hash.fits(password));
    let done = hash.map_or(0, |hash| hash.iterations);
    if iterations > done {
        std::hint::black_box(derive(password, "nobody", iterations - done));
    }
    fits
}

/// PBKDF2 with HMAC-SHA-256, one block of 32 bytes (RFC 8018, section 5.2).
fn derive(password: &str, salt: &str, iterations: u32) -> [u8; 32] {
    pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password.as_bytes(), salt.as_bytes(), iterations)
}

fn parse_hex(text: &str) -> Option<[u8; 32]> {
    let bytes = text.as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|d| d as u8);
    let mut digest = [0; 32];
    if bytes.len() != 64 {
        return None;
    }
    for (out, pair) in digest.iter_mut().zip(bytes.chunks_exact(2)) {
        *out = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From Werkzeug 3.1: `generate_password_hash("correct horse", method="pbkdf2:sha256:1000")`,
    /// and the test vectors of RFC 7914, section 11.
    #[test]
    fn hashes_of_werkzeug_are_verified() {
        let table = [
            (WERKZEUG_1000, "correct horse", true),
            (WERKZEUG_1000, "correct horsf", false),
            (WERKZEUG_1000, "", false),
        ];
        for (hash, password, want) in table {
            assert_eq!(Hash::parse(hash).expect("a hash").fits(password), want, "{password}");
        }
        let first = derive("passwd", "salt", 1);
        assert_eq!(first[..8], [0x55, 0xac, 0x04, 0x6e, 0x56, 0xe3, 0x08, 0x9f]);
    }

    const WERKZEUG_1000: &str = "pbkdf2:sha256:1000$k9Qw3zRt7LmNpXyA$59c55e3f79a2bbf82e62c1cd5849c72108c2ae30ccdc2a789d0ed407a9c52662";

    #[test]
    fn made_hash_is_of_the_documented_form_and_verifies() {
        let hash = Hash::make("pässword", 1000, [7; SALT]);
        let text = hash.to_string();
        assert!(text.starts_with("pbkdf2:sha256:1000$hhhhhhhhhhhhhhhh$"), "{text}");
        assert_eq!(text.len(), "pbkdf2:sha256:1000$".len() + SALT + 1 + 64);
        let again = Hash::parse(&text).expect("reads back");
        assert!(again == hash && again.fits("pässword") && !again.fits("password"));
    }

    #[test]
    fn text_that_is_no_hash_is_refused() {
        let hex = "0".repeat(64);
        let whole = format!("pbkdf2:sha256:1$s${hex}");
        assert!(Hash::parse(&whole).is_some());
        let broken = [
            String::new(),
            "secret".to_owned(),
            format!("pbkdf2:sha1:1$s${hex}"),
            format!("pbkdf2:sha256:0$s${hex}"),
            format!("pbkdf2:sha256:99999999999$s${hex}"),
            format!("pbkdf2:sha256:1$${hex}"),
            format!("pbkdf2:sha256:1$s${hex}$"),
            format!("pbkdf2:sha256:1$s${}", &hex[1..]),
            format!("pbkdf2:sha256:1$s${}", hex.replace('0', "g")),
        ];
        for text in broken {
            assert!(Hash::parse(&text).is_none(), "{text}");
        }
    }

    #[test]
    fn unknown_account_does_the_work_and_never_fits() {
        assert!(!verify("x", None, 1000));
        let hash = Hash::make("x", 100, [1; SALT]);
        assert!(verify("x", Some(&hash), 1000));
        assert!(!verify("y", Some(&hash), 1000));
    }
}
