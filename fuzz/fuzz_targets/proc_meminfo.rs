//! Arbitrary bytes as /proc/meminfo or ZFS' arcstats; what must hold is in
//! `oracle/proc_meminfo.rs`, which the corpus replay shares.
#![no_main]

#[path = "../oracle/proc_meminfo.rs"]
mod oracle;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oracle::check(bytes));
