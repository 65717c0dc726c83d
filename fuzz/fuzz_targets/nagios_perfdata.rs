//! Arbitrary bytes as the output of a Nagios plugin; what must hold is in
//! `oracle/nagios_perfdata.rs`, which the corpus replay shares.
#![no_main]

#[path = "../oracle/nagios_perfdata.rs"]
mod oracle;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oracle::check(bytes));
