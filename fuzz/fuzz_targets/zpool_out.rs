//! Arbitrary bytes as the output of zpool(8); what must hold is in
//! `oracle/zpool_out.rs`, which the corpus replay shares.
#![no_main]

#[path = "../oracle/zpool_out.rs"]
mod oracle;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oracle::check(bytes));
