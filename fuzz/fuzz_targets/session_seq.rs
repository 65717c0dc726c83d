//! Arbitrary bytes as what an attacker, an agent, a server and their disks do; what must hold is in
//! `oracle/session_seq.rs`, which a property test shares.
#![no_main]

#[path = "../oracle/session_seq.rs"]
mod oracle;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = oracle::check(bytes);
});
