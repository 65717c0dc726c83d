//! Arbitrary bytes as what a peer of the gate sends; what must hold is in `oracle/http_head.rs`, which the corpus
//! replay in the front's own tests shares.
#![no_main]

#[allow(dead_code, reason = "the server uses more of it")]
#[path = "../../src/bin/hbd/gate/ask.rs"]
mod ask;
#[path = "../oracle/http_head.rs"]
mod oracle;
#[allow(dead_code, reason = "the server uses more of it")]
#[path = "../../src/bin/hbd/gate/reader.rs"]
mod reader;
#[allow(dead_code, reason = "the server uses more of it")]
#[path = "../../src/bin/hbd/gate/request.rs"]
mod request;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oracle::check(bytes));
