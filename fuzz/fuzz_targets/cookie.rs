//! Arbitrary bytes as the headers that say who asks; what must hold is in `oracle/cookie.rs`, which the corpus replay
//! shares.
#![no_main]

#[path = "../oracle/cookie.rs"]
mod oracle;

use std::cell::RefCell;

thread_local! {
    static ORACLE: RefCell<oracle::Oracle> = RefCell::default();
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ORACLE.with_borrow_mut(|oracle| oracle.check(bytes)));
