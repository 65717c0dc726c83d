//! The few messages of remote-write 1.0 in protobuf's wire format: `WriteRequest { timeseries = 1 }`,
//! `TimeSeries { labels = 1, samples = 2 }`, `Label { name = 1, value = 2 }`, `Sample { value = 1, timestamp = 2 }`.

/// Field 1 and field 2, length-delimited.
const FIRST: u8 = 0x0a;
const SECOND: u8 = 0x12;
/// `Sample.value`, 64 bits; `Sample.timestamp`, a varint.
const VALUE: u8 = 0x09;
const TIMESTAMP: u8 = 0x10;

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

const fn varint_len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

fn text(out: &mut Vec<u8>, tag: u8, text: &str) {
    out.push(tag);
    varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn text_len(text: &str) -> usize {
    1 + varint_len(text.len() as u64) + text.len()
}

/// One label as a field of a `TimeSeries`.
pub fn label(out: &mut Vec<u8>, name: &str, value: &str) {
    out.push(FIRST);
    varint(out, (text_len(name) + text_len(value)) as u64);
    text(out, FIRST, name);
    text(out, SECOND, value);
}

/// A `WriteRequest` under construction, one sample a series.
#[derive(Default)]
pub struct Request {
    bytes: Vec<u8>,
    samples: u32,
}

impl Request {
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub fn samples(&self) -> u32 {
        self.samples
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
        self.samples = 0;
    }

    /// Adds a sample of a series whose labels are encoded already, in the order of their names, in parts.
    pub fn push(&mut self, labels: &[&[u8]], value: f64, millis: i64) {
        // Negative times are written in two's complement, ten bytes long, as protobuf does.
        let sample = 1 + 8 + 1 + varint_len(millis as u64);
        let labels_len: usize = labels.iter().map(|part| part.len()).sum();
        let series = labels_len + 1 + varint_len(sample as u64) + sample;
        let out = &mut self.bytes;
        out.reserve(series + 12);
        out.push(FIRST);
        varint(out, series as u64);
        labels.iter().for_each(|part| out.extend_from_slice(part));
        out.push(SECOND);
        varint(out, sample as u64);
        out.push(VALUE);
        out.extend_from_slice(&value.to_le_bytes());
        out.push(TIMESTAMP);
        varint(out, millis as u64);
        self.samples += 1;
    }
}

/// Reads a varint; what follows it.
fn take_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0u64;
    for (at, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f).checked_shl(7 * at as u32)?;
        if byte & 0x80 == 0 {
            return Some((value, &bytes[at + 1..]));
        }
    }
    None
}

/// The bytes of each series of a request, their frames included; `None` where it is none of ours.
fn series(request: &[u8]) -> Option<Vec<&[u8]>> {
    let mut rest = request;
    let mut series = Vec::new();
    while !rest.is_empty() {
        let (tag, after) = rest.split_first()?;
        let (len, after) = take_varint(after)?;
        let len = usize::try_from(len).ok()?;
        if *tag != FIRST || len > after.len() {
            return None;
        }
        let whole = rest.len() - after.len() + len;
        series.push(&rest[..whole]);
        rest = &rest[whole..];
    }
    Some(series)
}

/// A request in two, each with how many series it has: a receiver that refuses the whole for the sake of one
/// sample takes the rest. `None` where it cannot be divided.
pub fn halves(request: &[u8]) -> Option<[(Vec<u8>, u32); 2]> {
    let series = series(request)?;
    if series.len() < 2 {
        return None;
    }
    let (first, second) = series.split_at(series.len() / 2);
    let joined = |part: &[&[u8]]| (part.concat(), part.len() as u32);
    Some([joined(first), joined(second)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_is_the_one_that_protobuf_writes() {
        let mut labels = Vec::new();
        label(&mut labels, "__name__", "up");
        let mut request = Request::default();
        request.push(&[&labels], 1.5, 300);
        // By hand from the description of the wire format; real receivers read the same in tests/process.
        let want = [
            0x0a, 0x1e, 0x0a, 0x0e, 0x0a, 0x08, b'_', b'_', b'n', b'a', b'm', b'e', b'_', b'_',
            0x12, 0x02, b'u', b'p', 0x12, 0x0c, 0x09, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f, 0x10, 0xac,
            0x02,
        ];
        assert_eq!(request.as_bytes(), want);
        request.clear();
        request.push(&[&labels], 0.0, -1);
        assert_eq!(request.as_bytes().len(), 2 + 16 + 2 + 9 + 11);
    }

    #[test]
    fn varints_have_the_length_that_is_told_before() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX] {
            let mut out = Vec::new();
            varint(&mut out, value);
            assert_eq!(out.len(), varint_len(value), "{value}");
            assert_eq!(take_varint(&out), Some((value, &[][..])));
        }
        assert_eq!(take_varint(&[0x80; 11]), None);
        assert_eq!(take_varint(&[]), None);
    }

    #[test]
    fn halves_have_all_series_between_them() {
        let mut labels = Vec::new();
        label(&mut labels, "__name__", "up");
        let mut request = Request::default();
        for at in 0..5 {
            request.push(&[&labels], f64::from(at), 1000 + i64::from(at));
        }
        let [(first, a), (second, b)] = halves(request.as_bytes()).unwrap();
        assert_eq!((a, b), (2, 3));
        assert_eq!([first, second].concat(), request.as_bytes());
        request.clear();
        request.push(&[&labels], 0.0, 0);
        assert_eq!(halves(request.as_bytes()), None);
        assert_eq!(halves(b"\x0a\xff\xff\xff\xff\x0f"), None);
        assert_eq!(halves(b"junk"), None);
    }
}
