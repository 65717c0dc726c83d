//! Replays the corpus of the fuzz target `mail_build` on the ordinary toolchain.

#[path = "../fuzz/oracle/mail_build.rs"]
mod oracle;

use std::path::PathBuf;

#[test]
#[allow(clippy::disallowed_methods, reason = "the corpus is our own and small")]
fn s2_every_mail_of_the_corpus_keeps_its_headers_and_ends_once() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/mail_build");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("the corpus is there") {
        let path = entry.expect("the folder is readable").path();
        oracle::check(&std::fs::read(path).expect("the file is readable"));
        count += 1;
    }
    assert!(count >= 12, "{count}");
}
