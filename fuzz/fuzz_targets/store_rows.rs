//! Arbitrary bytes as rows of the history; what must hold is in `oracle/store_rows.rs`, which the corpus replay
//! shares.
#![no_main]

#[path = "../oracle/store_rows.rs"]
mod oracle;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oracle::check(bytes));
