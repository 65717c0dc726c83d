//! Arbitrary bytes as a sealed datagram: what is read of its header is what was written, and nothing that was
//! changed is opened.

use heartbeat::wire::{Decoder, Header, Key, KeyId, Keyring, Reject, Slot, is_sealed, seal};

pub struct Oracle {
    decoder: Decoder,
    ring: Keyring,
    key: Key,
}

impl Default for Oracle {
    fn default() -> Oracle {
        // The key of the test vectors, PROTOCOL C3.
        let key = Key::new(
            KeyId(std::array::from_fn(|i| 0xa0 + i as u8)),
            std::array::from_fn(|i| i as u8),
        );
        let mut ring = Keyring::default();
        let slot = Slot { key: key.clone(), host: "web1".into(), created: 0.0 };
        ring.add(slot).expect("one key");
        Oracle { decoder: Decoder::new(), ring, key }
    }
}

impl Oracle {
    /// What the server's decoder says of it: opened, or why not.
    pub fn check(&mut self, bytes: &[u8]) -> Result<(), Reject> {
        let parsed = Header::parse(bytes);
        assert!(parsed.is_err() || is_sealed(bytes));
        let Ok(header) = parsed else {
            let opened = self.decoder.open(bytes, &self.ring);
            assert!(opened.is_err());
            return Err(Reject::Sealed);
        };
        // parse and encode are each other's inverse.
        assert_eq!(header.encode(), bytes[..seal::HEADER_LEN]);
        let mut plain = Vec::new();
        let own =
            header.key_id == self.key.id() && seal::open(&self.key, bytes, &mut plain).is_ok();
        let opened = self.decoder.open(bytes, &self.ring).map(|opened| {
            assert_eq!(opened.header, header);
            opened.content.is_none_or(|content| content.is_ok())
        });
        if !own {
            assert!(opened.is_err(), "opened without its key");
            return Err(opened.expect_err("just seen").reason);
        }
        // Sealed anew it is the same; with any bit changed it is nothing.
        let mut again = Vec::new();
        seal::seal(&self.key, header, &plain, &mut again);
        assert_eq!(again, bytes);
        let bit = plain.len() * 7 % (bytes.len() * 8);
        again[bit / 8] ^= 1 << (bit % 8);
        let damaged = self.decoder.open(&again, &self.ring).is_err();
        assert!(damaged, "a changed bit is not noticed");
        opened.map(drop).map_err(|unopened| unopened.reason)
    }
}
