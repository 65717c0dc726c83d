//! Arbitrary bytes as a datagram; what must hold is in `oracle/datagram.rs`, which the corpus
//! replay shares.
#![no_main]

#[path = "../oracle/datagram.rs"]
mod oracle;

use std::cell::RefCell;

thread_local! {
    static ORACLE: RefCell<oracle::Oracle> = RefCell::default();
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = ORACLE.with_borrow_mut(|oracle| oracle.check(bytes));
});
