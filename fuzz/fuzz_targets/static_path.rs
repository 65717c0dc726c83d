//! Arbitrary bytes as the name of a static file or of an agent's binary; what must hold is in `oracle/static_path.rs`,
//! which the corpus replay in hbd's own tests shares.
#![no_main]

#[allow(dead_code, reason = "the server uses more of it")]
#[path = "../../src/bin/hbd/agent_dir.rs"]
mod agent_dir;
#[path = "../oracle/static_path.rs"]
mod oracle;

thread_local! {
    static ORACLE: oracle::Oracle = {
        let dir = std::env::temp_dir().join(format!("hb-static-path-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("made");
        oracle::Oracle::new(dir)
    };
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ORACLE.with(|oracle| oracle.check(bytes)));
