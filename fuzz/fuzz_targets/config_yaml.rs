//! Arbitrary bytes as a configuration file; what must hold is in `oracle/config_yaml.rs`, which the corpus replay
//! shares.
#![no_main]

#[path = "../oracle/config_yaml.rs"]
mod oracle;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oracle::check(bytes));
