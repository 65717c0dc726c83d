//! Pressure stall information: how long programs waited for a resource (`/proc/pressure/*`, since
//! Linux 4.20).

use super::kernel_file::{BYTES_MAX, KernelFile};
use super::{ObjectWriter, Source, scan};

/// One resource's file; absent where the kernel keeps none.
pub struct Pressure(Option<KernelFile>);

impl Pressure {
    /// `resource` is `cpu`, `memory` or `io`. Some kernels have the file and refuse to read it.
    pub fn find(source: &Source, resource: &str) -> Pressure {
        let path = source.procfs.join("pressure").join(resource);
        let mut file = KernelFile::new(path, BYTES_MAX);
        Pressure(file.read(&mut Vec::new()).is_ok().then_some(file))
    }

    /// Writes the shares of the last ten seconds under the keys given: of any program that waited,
    /// and of all of them together where that is asked for.
    pub fn write(
        &mut self,
        some: &str,
        full: Option<&str>,
        buffer: &mut Vec<u8>,
        object: &mut ObjectWriter<'_>,
    ) {
        let Some(bytes) = self.0.as_mut().and_then(|file| file.read(buffer).ok()) else { return };
        object.number_if(some, parse_pressure(bytes, b"some "), 2);
        if let Some(full) = full {
            object.number_if(full, parse_pressure(bytes, b"full "), 2);
        }
    }
}

/// `avg10` of the line that begins with `kind`.
pub fn parse_pressure(bytes: &[u8], kind: &[u8]) -> Option<f64> {
    let line = scan::lines(bytes).find_map(|line| line.strip_prefix(kind))?;
    let value = scan::words(line).find_map(|word| word.strip_prefix(b"avg10="))?;
    scan::decimal(value).filter(|percent| (0.0..=100.0).contains(percent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pressure_of_each_kind_is_read_and_nonsense_is_none() {
        let bytes = b"some avg10=0.68 avg60=1.07 avg300=0.81 total=9\n\
            full avg10=0.12 avg60=0.00 avg300=0.00 total=3\n";
        assert_eq!(parse_pressure(bytes, b"some "), Some(0.68));
        assert_eq!(parse_pressure(bytes, b"full "), Some(0.12));
        assert_eq!(parse_pressure(b"some avg10=1e9", b"some "), None);
        assert_eq!(parse_pressure(b"some avg10=0.1", b"full "), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(bytes in any::<Vec<u8>>()) {
            parse_pressure(&bytes, b"some ");
        }
    }
}
