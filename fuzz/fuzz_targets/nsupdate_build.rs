//! Arbitrary names and addresses as an update of the DNS; what must hold is in `oracle/nsupdate_build.rs`, which
//! the corpus replay shares.
#![no_main]

#[path = "../oracle/nsupdate_build.rs"]
mod oracle;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oracle::check(bytes));
