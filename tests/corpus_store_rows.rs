//! Replays the fuzzing corpus of rows of the history on the ordinary toolchain, each file also damaged.

#[path = "../fuzz/oracle/store_rows.rs"]
mod oracle;

use std::path::PathBuf;

#[test]
#[allow(clippy::disallowed_methods, reason = "the corpus is our own and small")]
fn corpus_of_store_rows_holds_every_property() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/store_rows");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).expect("the corpus is there") {
        let bytes = std::fs::read(entry.expect("readable").path()).expect("readable");
        files += 1;
        oracle::check(&bytes);
        if bytes.len() > 2000 {
            continue;
        }
        let mut damaged = bytes.clone();
        for end in 0..bytes.len() {
            oracle::check(&bytes[..end]);
            damaged[end] ^= 1 << (end % 8);
            oracle::check(&damaged);
            damaged[end] = bytes[end];
        }
    }
    assert!(files >= 4, "only {files} files");
}
