//! Arbitrary bytes as /proc/stat, loadavg, uptime or a file of /proc/pressure; what must hold is in
//! `oracle/proc_stat.rs`, which the corpus replay shares.
#![no_main]

#[path = "../oracle/proc_stat.rs"]
mod oracle;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oracle::check(bytes));
