//! Gzip framing (RFC 1952) around miniz_oxide's deflate, and whether a client takes it.

/// A gzip file of one member: no name, no time, so that equal input gives equal output.
pub fn compress(data: &[u8], level: u8) -> Vec<u8> {
    let deflated = miniz_oxide::deflate::compress_to_vec(data, level);
    let mut out = Vec::with_capacity(deflated.len() + 18);
    out.extend_from_slice(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
    out.extend_from_slice(&deflated);
    out.extend_from_slice(&crc32(data).to_le_bytes());
    out.extend_from_slice(&(data.len() as u32).to_le_bytes());
    out
}

/// Whether `Accept-Encoding` names gzip (or anything) with a weight above 0.
pub fn is_accepted(accept_encoding: &str) -> bool {
    accept_encoding.split(',').any(|part| {
        let (coding, parameters) = part.split_once(';').unwrap_or((part, ""));
        let weight = parameters.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
        matches!(coding.trim(), "gzip" | "x-gzip" | "*") && weight.is_ok_and(|w| w > 0.0)
    })
}

/// CRC-32 as gzip and zlib count it (polynomial 0xEDB88320).
pub fn crc32(data: &[u8]) -> u32 {
    const TABLE: [u32; 256] = table();
    let step = |crc: u32, byte: &u8| TABLE[usize::from(crc as u8 ^ byte)] ^ (crc >> 8);
    !data.iter().fold(!0, step)
}

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let mut crc = i as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { 0xEDB8_8320 ^ (crc >> 1) } else { crc >> 1 };
            bit += 1;
        }
        table[i] = crc;
        i += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc_of_the_check_string_is_the_published_one() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn compressed_text_inflates_to_itself() {
        let text = b"heartbeat ".repeat(500);
        let gzip = compress(&text, 6);
        assert!(gzip.len() < 200);
        let inflated = miniz_oxide::inflate::decompress_to_vec(&gzip[10..gzip.len() - 8]);
        assert_eq!(inflated.unwrap(), text);
    }

    #[test]
    fn accept_encoding_table() {
        let table = [
            ("gzip, deflate, br", true),
            ("br;q=1, *;q=0.5", true),
            ("gzip;q=0", false),
            ("", false),
            ("br", false),
        ];
        for (text, want) in table {
            assert_eq!(is_accepted(text), want, "{text}");
        }
    }
}
