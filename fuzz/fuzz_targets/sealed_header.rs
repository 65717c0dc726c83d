//! Arbitrary bytes as a sealed datagram; what must hold is in `oracle/sealed_header.rs`, which the corpus replay
//! shares.
#![no_main]

#[path = "../oracle/sealed_header.rs"]
mod oracle;

use std::cell::RefCell;

thread_local! {
    static ORACLE: RefCell<oracle::Oracle> = RefCell::default();
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = ORACLE.with_borrow_mut(|oracle| oracle.check(bytes));
});
