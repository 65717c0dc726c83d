//! Arbitrary bytes as /proc/net/dev; what must hold is in
//! `oracle/proc_net_dev.rs`, which the corpus replay shares.
#![no_main]

#[path = "../oracle/proc_net_dev.rs"]
mod oracle;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oracle::check(bytes));
