//! Bounded inflate: a zlib stream into one fixed buffer, and not a byte more (THREATS U5).
//!
//! `small` reads the usual short datagram; miniz_oxide reads all others, and alone decides what is
//! refused and why.

mod small;
mod table;

use super::Reject;
use crate::limits::INFLATE_MAX;
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};
use small::Small;

/// Whether a datagram that begins so is zlib (RFC 1950: method 8, header a multiple of 31).
pub(super) fn is_zlib(bytes: &[u8]) -> bool {
    matches!(bytes, [cmf, flg, ..]
        if cmf & 0x0f == 8 && u16::from_be_bytes([*cmf, *flg]).is_multiple_of(31))
}

pub(super) struct Inflater {
    small: Box<Small>,
    state: Box<DecompressorOxide>,
    out: Box<[u8]>,
}

impl Inflater {
    pub fn new() -> Inflater {
        Inflater {
            small: Box::new(Small::new()),
            state: Box::default(),
            out: vec![0; INFLATE_MAX].into_boxed_slice(),
        }
    }

    /// All of `bytes` must be one complete zlib stream of at most `INFLATE_MAX` bytes of content.
    pub fn inflate(&mut self, bytes: &[u8]) -> Result<&[u8], Reject> {
        if let Some(len) = self.small.inflate(bytes, &mut self.out) {
            return Ok(&self.out[..len]);
        }
        self.inflate_any(bytes)
    }

    fn inflate_any(&mut self, bytes: &[u8]) -> Result<&[u8], Reject> {
        let flags = inflate_flags::TINFL_FLAG_PARSE_ZLIB_HEADER
            | inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
        self.state.init();
        let (status, read, written) = decompress(&mut self.state, bytes, &mut self.out, 0, flags);
        match status {
            TINFLStatus::Done if read == bytes.len() => Ok(&self.out[..written]),
            TINFLStatus::HasMoreOutput => Err(Reject::TooBig),
            _ => Err(Reject::BadZlib),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use miniz_oxide::deflate::compress_to_vec_zlib;

    #[test]
    fn u5_zip_bomb_stops_at_the_limit() {
        let mut inflater = Inflater::new();
        for (len, fits) in [(INFLATE_MAX - 1, true), (INFLATE_MAX, true), (INFLATE_MAX + 1, false)]
        {
            let packed = compress_to_vec_zlib(&vec![b' '; len], 6);
            let got = inflater.inflate(&packed).map(<[u8]>::len);
            assert_eq!(got, if fits { Ok(len) } else { Err(Reject::TooBig) }, "{len}");
        }
        let bomb = compress_to_vec_zlib(&vec![0; 64 << 20], 9);
        assert!(bomb.len() < 1 << 17);
        assert_eq!(inflater.inflate(&bomb), Err(Reject::TooBig));
    }

    #[test]
    fn u5_stream_cut_or_followed_by_anything_is_refused() {
        let mut inflater = Inflater::new();
        let packed = compress_to_vec_zlib(br#"{"ID":"HTB","name":"web1","interval":30}"#, 6);
        for end in 0..packed.len() {
            assert_eq!(inflater.inflate(&packed[..end]), Err(Reject::BadZlib), "{end}");
        }
        let mut longer = packed.clone();
        longer.push(0);
        assert_eq!(inflater.inflate(&longer), Err(Reject::BadZlib));
        let mut damaged = packed.clone();
        *damaged.last_mut().unwrap() ^= 1;
        assert_eq!(inflater.inflate(&damaged), Err(Reject::BadZlib), "checksum");
        assert!(inflater.inflate(&packed).is_ok());
    }

    #[test]
    fn c0_zlib_is_known_by_its_header() {
        for level in 0..=10 {
            assert!(is_zlib(&compress_to_vec_zlib(b"{}", level)));
        }
        assert!(!is_zlib(b"{\"") && !is_zlib(b"x") && !is_zlib(b"x\x02") && !is_zlib(b"\xf1H"));
    }
}
