//! The sealed envelope, byte by byte (PROTOCOL C3), and the token that names a session (C4).
//!
//! Pure functions of their bytes. What a number or a session is worth is the engine's and the
//! agent's to judge.

use super::Reject;
use super::key::{Key, KeyId};
use crate::limits;
use chacha20::{R20, hchacha};
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::fmt;

pub const MAGIC: [u8; 2] = [0xf1, 0x48];
const VERSION: u8 = 1;
const DEFLATED: u8 = 1;
pub const HEADER_LEN: usize = 36;
const TAG_LEN: usize = 16;
/// Bytes of a sealed datagram beside its plaintext; the shortest one has no other.
pub const OVERHEAD: usize = HEADER_LEN + TAG_LEN;
/// Where the three parts of the nonce stand in the header.
const SID: usize = 12;
const AID: usize = 20;
const SEQ: usize = 28;
/// Numbers have 62 bits; the upper two of that field are the kind.
pub const SEQ_MAX: u64 = (1 << 62) - 1;
/// Agents pad what they say to this, so that the longest ACK is never longer than its request.
pub const PADDED: usize = 64;

/// Who speaks, and whether it is about the session itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealKind {
    /// Agent: a message.
    Data = 0,
    /// Agent: asks for a session.
    Hello = 1,
    /// Server: a message.
    Answer = 2,
    /// Server: offers a session.
    Welcome = 3,
}

impl SealKind {
    const ALL: [SealKind; 4] =
        [SealKind::Data, SealKind::Hello, SealKind::Answer, SealKind::Welcome];
}

/// What stands in the clear, and is authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub key_id: KeyId,
    /// The session's token; 0 in a HELLO only.
    pub sid: u64,
    /// The agent's incarnation.
    pub aid: u64,
    pub kind: SealKind,
    /// At most [`SEQ_MAX`].
    pub seq: u64,
    /// The plaintext is zlib.
    pub deflated: bool,
}

impl Header {
    /// Reads the header of a whole datagram. `Reject::Sealed` where its shape, its version or its
    /// flags are not ours.
    pub fn parse(datagram: &[u8]) -> Result<Header, Reject> {
        let fits = (OVERHEAD..=limits::SEALED_IN_MAX).contains(&datagram.len());
        let Some((head, _)) = datagram.split_first_chunk::<HEADER_LEN>().filter(|_| fits) else {
            return Err(Reject::Sealed);
        };
        if head[..2] != MAGIC || head[2] != VERSION || head[3] & !DEFLATED != 0 {
            return Err(Reject::Sealed);
        }
        let mut id = [0; 8];
        id.copy_from_slice(&head[4..12]);
        let last = word(head, SEQ);
        Ok(Header {
            key_id: KeyId(id),
            sid: word(head, SID),
            aid: word(head, AID),
            kind: SealKind::ALL[(last >> 62) as usize],
            seq: last & SEQ_MAX,
            deflated: head[3] & DEFLATED != 0,
        })
    }

    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut head = [0; HEADER_LEN];
        head[..2].copy_from_slice(&MAGIC);
        head[2] = VERSION;
        head[3] = u8::from(self.deflated);
        head[4..12].copy_from_slice(&self.key_id.0);
        head[12..20].copy_from_slice(&self.sid.to_be_bytes());
        head[20..28].copy_from_slice(&self.aid.to_be_bytes());
        let last = (self.kind as u64) << 62 | (self.seq & SEQ_MAX);
        head[28..36].copy_from_slice(&last.to_be_bytes());
        head
    }
}

fn word(head: &[u8; HEADER_LEN], at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&head[at..at + 8]);
    u64::from_be_bytes(bytes)
}

/// Whether a datagram that begins so is for the sealed way (PROTOCOL C0).
pub fn is_sealed(datagram: &[u8]) -> bool {
    datagram.starts_with(&MAGIC)
}

/// Replaces `out` by the sealed datagram. `header.key_id` is the key's own.
///
/// A header is never used for two plaintexts: its last 24 bytes are the nonce.
pub fn seal(key: &Key, header: Header, plaintext: &[u8], out: &mut Vec<u8>) {
    SessionKey::derive(key, header.sid, header.aid).seal(header, plaintext, out);
}

/// Opens a datagram whose header was read: puts its plaintext in place of what `out` holds.
/// `Reject::BadSeal` where its tag is not of this key.
pub fn open(key: &Key, datagram: &[u8], out: &mut Vec<u8>) -> Result<(), Reject> {
    let Some((head, _)) = datagram.split_first_chunk::<HEADER_LEN>() else {
        return Err(Reject::Sealed);
    };
    SessionKey::derive(key, word(head, SID), word(head, AID)).open(datagram, out)
}

/// What XChaCha20 makes of a key and the first 16 bytes of a nonce. Those are the session and the incarnation, the same
/// in every datagram of a session: derived once, it saves a quarter of the cost of a short datagram.
#[derive(Clone, PartialEq)]
pub struct SessionKey {
    key: Key,
    sid: u64,
    aid: u64,
    subkey: [u8; 32],
}

impl SessionKey {
    pub fn derive(key: &Key, sid: u64, aid: u64) -> SessionKey {
        let mut input = [0; 16];
        input[..8].copy_from_slice(&sid.to_be_bytes());
        input[8..].copy_from_slice(&aid.to_be_bytes());
        let subkey = hchacha::<R20>(key.secret().into(), &input.into()).into();
        SessionKey { key: key.clone(), sid, aid, subkey }
    }

    /// Whether this is what `derive` gives for `key` and the header's session.
    pub fn fits(&self, key: &Key, header: &Header) -> bool {
        (self.sid, self.aid) == (header.sid, header.aid) && self.key == *key
    }

    pub fn sid(&self) -> u64 {
        self.sid
    }

    pub fn aid(&self) -> u64 {
        self.aid
    }

    /// Replaces `out` by the sealed datagram; key and session of the header are this one's.
    pub fn seal(&self, header: Header, plaintext: &[u8], out: &mut Vec<u8>) {
        out.clear();
        out.resize(plaintext.len() + OVERHEAD, 0);
        let len = self.seal_into(header, plaintext, out);
        debug_assert_eq!(len, out.len());
    }

    /// Writes the sealed datagram to the front of `out` and gives its length; 0 where it does not fit.
    pub fn seal_into(&self, header: Header, plaintext: &[u8], out: &mut [u8]) -> usize {
        let len = plaintext.len() + OVERHEAD;
        if len > out.len() {
            return 0;
        }
        let head =
            Header { key_id: self.key.id(), sid: self.sid, aid: self.aid, ..header }.encode();
        out[..HEADER_LEN].copy_from_slice(&head);
        let (body, tag_at) = out[HEADER_LEN..len].split_at_mut(plaintext.len());
        body.copy_from_slice(plaintext);
        let nonce = nonce(&head).into();
        let Ok(tag) = self.cipher().encrypt_inout_detached(&nonce, &head, body.into()) else {
            // Only a text of hundreds of gigabytes cannot be sealed.
            return 0;
        };
        tag_at.copy_from_slice(&tag);
        len
    }

    /// Opens a datagram of this session: puts its plaintext in place of what `out` holds. `Reject::BadSeal` where it
    /// is of another, or its tag is wrong.
    pub fn open(&self, datagram: &[u8], out: &mut Vec<u8>) -> Result<(), Reject> {
        let whole = datagram.split_first_chunk::<HEADER_LEN>();
        let parts =
            whole.and_then(|(head, rest)| Some((head, rest.split_last_chunk::<TAG_LEN>()?)));
        let Some((head, (body, tag))) = parts else { return Err(Reject::Sealed) };
        out.clear();
        if (word(head, SID), word(head, AID)) != (self.sid, self.aid) {
            return Err(Reject::BadSeal);
        }
        out.extend_from_slice(body);
        let nonce = nonce(head).into();
        let plain = out.as_mut_slice().into();
        let opened = self.cipher().decrypt_inout_detached(&nonce, head, plain, &(*tag).into());
        opened.map_err(|_| {
            // What could not be authenticated is not left lying about.
            out.clear();
            Reject::BadSeal
        })
    }

    fn cipher(&self) -> ChaCha20Poly1305 {
        ChaCha20Poly1305::new(&self.subkey.into())
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionKey({})", self.key.id())
    }
}

/// The nonce within a session: four zeros and the last eight bytes of XChaCha20's.
fn nonce(head: &[u8; HEADER_LEN]) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&head[SEQ..]);
    nonce
}

/// The token of generation `generation` of an agent's incarnation; never 0.
pub fn token(secret: &[u8; 32], key_id: KeyId, aid: u64, generation: u64) -> u64 {
    let Ok(mut mac) = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(secret) else {
        unreachable!("HMAC takes a key of any length")
    };
    mac.update(b"hb1 session");
    mac.update(&key_id.0);
    mac.update(&aid.to_be_bytes());
    mac.update(&generation.to_be_bytes());
    let sum = mac.finalize().into_bytes();
    let mut first = [0; 8];
    first.copy_from_slice(&sum[..8]);
    u64::from_be_bytes(first).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const AID: u64 = 0x1122_3344_5566_7788;
    const SID: u64 = 0x4769_e78d_5627_d611;

    fn key() -> Key {
        Key::new(KeyId(std::array::from_fn(|i| 0xa0 + i as u8)), std::array::from_fn(|i| i as u8))
    }

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
    }

    fn header(sid: u64, kind: SealKind, seq: u64) -> Header {
        Header { key_id: key().id(), sid, aid: AID, kind, seq, deflated: false }
    }

    /// The test vectors of PROTOCOL C3, cross-checked with PyCryptodome.
    fn vectors() -> [(Header, Vec<u8>, &'static str); 4] {
        let htb = format!("{:<64}", r#"{"ID":"HTB","interval":30,"up":77}"#).into_bytes();
        [
            (
                header(0, SealKind::Hello, 1),
                Vec::new(),
                "f1480100a0a1a2a3a4a5a6a70000000000000000112233445566778840000000000000014471c4b3\
                 55f155e59376b55639be7322",
            ),
            (
                header(SID, SealKind::Welcome, 1),
                Vec::new(),
                "f1480100a0a1a2a3a4a5a6a74769e78d5627d6111122334455667788c00000000000000171817e1c\
                 6d4b3d0ee24ca6e85d31be89",
            ),
            (
                header(SID, SealKind::Data, 2),
                htb,
                "f1480100a0a1a2a3a4a5a6a74769e78d5627d61111223344556677880000000000000002bc67d21c\
                 232d2caa5b0b165515853662c246bf3f0b0dd77c1be4fce9bf7b03a65369701b3e914e4de2312ce8\
                 1cba92106c6ec227cc1dd8b17ef370c09a45d0770211d6ca214fd86b2ffc88766027d5cb",
            ),
            (
                header(SID, SealKind::Answer, 1),
                br#"{"ID":"ACK","ack":2}"#.to_vec(),
                "f1480100a0a1a2a3a4a5a6a74769e78d5627d611112233445566778880000000000000017af39765\
                 d8707f84833d5508e6b2761ff7d8931eb812177608f9812e13574f24e4857f95",
            ),
        ]
    }

    #[test]
    fn c3_test_vectors_seal_and_open() {
        for (header, plaintext, hex) in vectors() {
            let want = bytes(hex);
            let (mut sealed, mut opened) = (Vec::new(), Vec::new());
            seal(&key(), header, &plaintext, &mut sealed);
            assert_eq!(sealed, want, "{header:?}");
            assert_eq!(Header::parse(&sealed), Ok(header));
            assert_eq!(open(&key(), &sealed, &mut opened), Ok(()));
            assert_eq!(opened, plaintext);
        }
    }

    #[test]
    fn c3_session_key_is_of_one_key_and_one_session() {
        let (header, plaintext, hex) = vectors()[2].clone();
        let session = SessionKey::derive(&key(), SID, AID);
        let (mut sealed, mut opened) = (Vec::new(), Vec::new());
        session.seal(header, &plaintext, &mut sealed);
        assert_eq!(sealed, bytes(hex));
        assert_eq!(session.open(&sealed, &mut opened), Ok(()));
        assert_eq!(opened, plaintext);
        assert!(session.fits(&key(), &header));
        let other = Key::new(key().id(), [9; 32]);
        assert!(!session.fits(&other, &header), "a key with the same id");
        for (sid, aid) in [(SID + 1, AID), (SID, AID + 1)] {
            assert!(!session.fits(&key(), &Header { sid, aid, ..header }));
            let other = SessionKey::derive(&key(), sid, aid);
            assert_eq!(other.open(&sealed, &mut opened), Err(Reject::BadSeal));
            assert!(opened.is_empty());
        }
        assert_eq!(format!("{session:?}"), "SessionKey(a0a1a2a3a4a5a6a7)");
    }

    #[test]
    fn c4_token_of_the_vector_and_of_no_other_generation() {
        let secret = [0x5a; 32];
        assert_eq!(token(&secret, key().id(), AID, 1), SID);
        assert_ne!(token(&secret, key().id(), AID, 2), SID);
        assert_ne!(token(&[0x5b; 32], key().id(), AID, 1), SID);
        assert_ne!(token(&secret, key().id(), AID + 1, 1), SID);
    }

    #[test]
    fn c3_shape_version_and_flags_that_are_not_ours_are_refused() {
        let (_, _, hex) = vectors()[0].clone();
        let good = bytes(hex);
        assert!(Header::parse(&good).is_ok());
        assert_eq!(Header::parse(&good[..51]), Err(Reject::Sealed));
        let change = |at: usize, to: u8| {
            let mut changed = good.clone();
            changed[at] = to;
            Header::parse(&changed)
        };
        for (at, to) in [(0, 0xf2), (1, 0x49), (2, 0), (2, 2), (3, 2), (3, 0x80)] {
            assert_eq!(change(at, to), Err(Reject::Sealed), "{at} {to}");
        }
        assert!(change(3, 1).is_ok_and(|header| header.deflated));
        let mut long = good.clone();
        long.resize(limits::SEALED_IN_MAX, 0);
        assert!(Header::parse(&long).is_ok());
        long.push(0);
        assert_eq!(Header::parse(&long), Err(Reject::Sealed));
    }

    proptest! {
        #[test]
        fn c3_any_bit_changed_is_refused(bit in 0usize..116 * 8, seq in 1..SEQ_MAX) {
            let (_, plaintext, _) = vectors()[2].clone();
            let (mut sealed, mut opened) = (Vec::new(), Vec::new());
            seal(&key(), header(SID, SealKind::Data, seq), &plaintext, &mut sealed);
            sealed[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(open(&key(), &sealed, &mut opened).is_err());
            prop_assert!(opened.is_empty());
        }

        #[test]
        fn c3_header_reads_back(
            id: [u8; 8], sid: u64, aid: u64, kind in 0usize..4, seq in 0..=SEQ_MAX, deflated: bool,
        ) {
            let kind = SealKind::ALL[kind];
            let header = Header { key_id: KeyId(id), sid, aid, kind, seq, deflated };
            let mut datagram = header.encode().to_vec();
            datagram.resize(OVERHEAD, 0);
            prop_assert_eq!(Header::parse(&datagram), Ok(header));
        }
    }
}
