//! Arbitrary bytes as what a client of the live protocol says; what must hold is in `oracle/ws_client_msg.rs`, which
//! the corpus replay shares.
#![no_main]

#[path = "../oracle/ws_client_msg.rs"]
mod oracle;

thread_local! {
    static ORACLE: oracle::Oracle = oracle::Oracle::default();
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ORACLE.with(|oracle| oracle.check(bytes)));
