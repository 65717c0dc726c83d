//! Runs an oracle over a target's corpus: each file as it is, cut, and with bits turned. The places differ from file to
//! file.

use std::path::PathBuf;

/// At how many places files are damaged.
#[derive(Clone, Copy)]
pub struct Replay {
    /// Bytes; a longer file is replayed as it is.
    pub damaged_max: usize,
    /// Of what has a name that says what it is.
    pub places_of_seeds: usize,
    /// Of what fuzzing found, named by hash.
    pub places_of_found: usize,
}

impl Replay {
    /// Seeds at so many places, finds at few, files of any length.
    pub const fn at(places: usize) -> Replay {
        Replay { damaged_max: usize::MAX, places_of_seeds: places, places_of_found: 12 }
    }

    #[allow(clippy::disallowed_methods, reason = "the corpus is our own and small")]
    pub fn each(&self, target: &str, files_min: usize, mut check: impl FnMut(&[u8])) {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
        let mut files = 0;
        for entry in std::fs::read_dir(folder).expect("the corpus is there") {
            let entry = entry.expect("readable");
            let bytes = std::fs::read(entry.path()).expect("readable");
            files += 1;
            check(&bytes);
            if bytes.len() > self.damaged_max {
                continue;
            }
            let name = entry.file_name();
            let places = if name.len() == 40 { self.places_of_found } else { self.places_of_seeds };
            let step = bytes.len().div_ceil(places).max(1);
            let sum = name.as_encoded_bytes().iter().map(|b| usize::from(*b)).sum::<usize>();
            let mut damaged = bytes.clone();
            for end in (sum % step..bytes.len()).step_by(step) {
                check(&bytes[..end]);
                damaged[end] ^= 1 << (end % 8);
                check(&damaged);
                damaged[end] = bytes[end];
            }
        }
        assert!(files >= files_min, "only {files} files");
    }
}
