//! Arbitrary bytes as what a mail tells; what must hold is in `oracle/mail_build.rs`, which the corpus replay shares.
#![no_main]

#[path = "../oracle/mail_build.rs"]
mod oracle;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oracle::check(bytes));
