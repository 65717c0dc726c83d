//! Runs an oracle over a target's corpus: each file as it is, cut, and with bits turned. Named seeds are damaged at up to
//! `places_max` places, what fuzzing found at few; the places differ from file to file.

use std::path::PathBuf;

const PLACES_OF_FOUND: usize = 12;

#[allow(clippy::disallowed_methods, reason = "the corpus is our own and small")]
pub fn each(target: &str, files_min: usize, places_max: usize, mut check: impl FnMut(&[u8])) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files = 0;
    for entry in std::fs::read_dir(folder).expect("the corpus is there") {
        let entry = entry.expect("readable");
        let bytes = std::fs::read(entry.path()).expect("readable");
        let name = entry.file_name();
        files += 1;
        check(&bytes);
        let places = if name.len() == 40 { PLACES_OF_FOUND } else { places_max };
        let step = bytes.len().div_ceil(places).max(1);
        let first = name.as_encoded_bytes().iter().map(|b| usize::from(*b)).sum::<usize>() % step;
        let mut damaged = bytes.clone();
        for end in (first..bytes.len()).step_by(step) {
            check(&bytes[..end]);
            damaged[end] ^= 1 << (end % 8);
            check(&damaged);
            damaged[end] = bytes[end];
        }
    }
    assert!(files >= files_min, "only {files} files");
}
