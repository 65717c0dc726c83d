//! Pre-shared keys (PROTOCOL C2): their one line of text, and nothing that shows one by accident.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;

const PREFIX: &str = "hb1-";
const ID_LEN: usize = 8;
const SECRET_LEN: usize = 32;
const CHECKED_LEN: usize = ID_LEN + SECRET_LEN;
const RAW_LEN: usize = CHECKED_LEN + 2;
/// Characters behind the prefix: 42 bytes in base64url, without padding.
const TEXT_LEN: usize = 56;

/// What stands in the clear in front of every sealed datagram. Random: it says "the same host as
/// before" and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; ID_LEN]);

impl KeyId {
    /// Reads the sixteen hexadecimal digits that `Display` writes.
    pub fn parse(text: &str) -> Option<KeyId> {
        let digits = text.len() == 2 * ID_LEN && text.bytes().all(|b| b.is_ascii_hexdigit());
        let number = u64::from_str_radix(text, 16).ok().filter(|_| digits)?;
        Some(KeyId(number.to_be_bytes()))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

/// A key: its id and 32 secret bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    id: KeyId,
    secret: [u8; SECRET_LEN],
}

/// Why a text is no key. The text itself is never shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    Prefix,
    Length(usize),
    Character,
    Checksum,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyError::Prefix => write!(f, "does not begin with {PREFIX}"),
            KeyError::Length(len) => {
                let want = PREFIX.len() + TEXT_LEN;
                write!(f, "has {len} characters; a key has {want}")
            }
            KeyError::Character => f.write_str("has a character that is not of base64url"),
            KeyError::Checksum => f.write_str("has a wrong checksum: a character was mistyped"),
        }
    }
}

impl Key {
    pub fn new(id: KeyId, secret: [u8; SECRET_LEN]) -> Key {
        Key { id, secret }
    }

    pub fn id(&self) -> KeyId {
        self.id
    }

    pub(super) fn secret(&self) -> &[u8; SECRET_LEN] {
        &self.secret
    }

    /// Reads `hb1-…`, with white space around it.
    pub fn parse(text: &str) -> Result<Key, KeyError> {
        let text = text.trim();
        let encoded = text.strip_prefix(PREFIX).ok_or(KeyError::Prefix)?;
        if encoded.len() != TEXT_LEN {
            return Err(KeyError::Length(text.chars().count()));
        }
        let mut raw = [0; RAW_LEN];
        match URL_SAFE_NO_PAD.decode_slice(encoded, &mut raw) {
            Ok(RAW_LEN) => {}
            _ => return Err(KeyError::Character),
        }
        if crc16(&raw[..CHECKED_LEN]).to_be_bytes() != raw[CHECKED_LEN..] {
            return Err(KeyError::Checksum);
        }
        let mut key = Key { id: KeyId([0; ID_LEN]), secret: [0; SECRET_LEN] };
        key.id.0.copy_from_slice(&raw[..ID_LEN]);
        key.secret.copy_from_slice(&raw[ID_LEN..CHECKED_LEN]);
        Ok(key)
    }

    /// The text that a person copies to the agent.
    pub fn render(&self) -> String {
        let mut raw = [0; RAW_LEN];
        raw[..ID_LEN].copy_from_slice(&self.id.0);
        raw[ID_LEN..CHECKED_LEN].copy_from_slice(&self.secret);
        let sum = crc16(&raw[..CHECKED_LEN]);
        raw[CHECKED_LEN..].copy_from_slice(&sum.to_be_bytes());
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(raw))
    }
}

/// The id alone: a key never shows in a log.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id)
    }
}

/// CRC-16/CCITT-FALSE: polynomial 0x1021, start 0xffff, not reflected.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff, |sum: u16, byte| {
        (0..8).fold(sum ^ (u16::from(*byte) << 8), |sum, _| {
            if sum & 0x8000 == 0 { sum << 1 } else { (sum << 1) ^ 0x1021 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn c2_checksum_is_the_one_that_the_catalogue_names() {
        assert_eq!(crc16(b"123456789"), 0x29b1);
    }

    #[test]
    fn c2_key_is_sixty_characters_and_reads_back() {
        let secret = std::array::from_fn(|i| i as u8);
        let key = Key::new(KeyId([0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7]), secret);
        let text = key.render();
        assert_eq!(text.len(), 60);
        assert_eq!(Key::parse(&format!(" {text}\n")), Ok(key.clone()));
        assert_eq!(key.id().to_string(), "a0a1a2a3a4a5a6a7");
        assert_eq!(KeyId::parse("a0a1a2a3a4a5a6a7"), Some(key.id()));
        assert_eq!(KeyId::parse("+0a1a2a3a4a5a6a7"), None);
    }

    #[test]
    fn c2_text_that_is_no_key_says_why() {
        let text = Key::new(KeyId([1; 8]), [2; 32]).render();
        let table = [
            ("", KeyError::Prefix),
            ("hb2-xyz", KeyError::Prefix),
            (&text[..59], KeyError::Length(59)),
            (&format!("{text}=")[..], KeyError::Length(61)),
            (&text.replace('A', "+")[..], KeyError::Character),
        ];
        for (text, want) in table {
            assert_eq!(Key::parse(text), Err(want), "{text:?}");
        }
    }

    #[test]
    fn h12_debug_output_shows_no_secret() {
        let key = Key::new(KeyId([1; 8]), [0x5a; 32]);
        assert_eq!(format!("{key:?}"), "Key(0101010101010101)");
    }

    proptest! {
        #[test]
        fn c2_mistyped_character_never_makes_another_key(
            id: [u8; 8], secret: [u8; 32], place in 4usize..60, with in "[A-Za-z0-9_-]",
        ) {
            let key = Key::new(KeyId(id), secret);
            let mut text = key.render();
            text.replace_range(place..place + 1, &with);
            if text != key.render() {
                prop_assert_eq!(Key::parse(&text), Err(KeyError::Checksum));
            }
        }
    }
}
