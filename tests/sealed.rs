//! The sealed protocol as a whole: the real agent and the real server with an attacker between them hold what the
//! model holds (PROTOCOL C9), and the corpora of both fuzz targets replay.

#[path = "../fuzz/oracle/sealed_header.rs"]
mod header;
#[path = "../fuzz/oracle/session_seq.rs"]
mod session;

use heartbeat::prng::Prng;
use heartbeat::wire::{Header, Key, KeyId, Reject, SealKind, seal};
use std::path::PathBuf;

fn folder(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target)
}

#[allow(clippy::disallowed_methods, reason = "the corpus is our own and small")]
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder(target)).expect("the corpus is there");
    let mut files: Vec<(String, Vec<u8>)> = entries
        .map(|entry| {
            let entry = entry.expect("readable");
            let name = entry.file_name().into_string().expect("ASCII");
            (name, std::fs::read(entry.path()).expect("readable"))
        })
        .collect();
    files.sort();
    files
}

fn steps(seed: u64, count: usize) -> Vec<u8> {
    let mut prng = Prng::new(seed);
    (0..2 * count).map(|_| prng.next_u64() as u8).collect()
}

/// `HB_SEALED_SEEDS` walks, 200 unless it says otherwise.
#[test]
fn c9_real_agent_and_server_hold_the_invariants_under_attack() {
    let seeds = std::env::var("HB_SEALED_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(200);
    let (mut heartbeats, mut runs) = (0, 0);
    for seed in 0..seeds {
        let walk = std::panic::catch_unwind(|| session::check(&steps(seed, 200)));
        let (counted, ran) = walk.unwrap_or_else(|_| panic!("seed {seed}"));
        heartbeats += counted;
        runs += ran;
    }
    // The walks must get somewhere, or they prove nothing.
    assert!(heartbeats > 3 * seeds && runs > seeds / 8, "{heartbeats} heartbeats, {runs} runs");
}

#[test]
fn corpus_of_session_sequences_replays() {
    let files = corpus("session_seq");
    assert!(files.len() >= 20, "only {} files", files.len());
    for (_, bytes) in files {
        session::check(&bytes);
    }
}

/// A file's name says what the server's decoder must say.
#[test]
fn corpus_of_sealed_headers_replays_as_its_names_say() {
    let mut oracle = header::Oracle::default();
    let files = corpus("sealed_header");
    assert!(files.len() >= 20, "only {} files", files.len());
    for (name, bytes) in files {
        let got = oracle.check(&bytes);
        match name.split_once('-').map(|(code, _)| code) {
            Some("ok") => assert_eq!(got, Ok(()), "{name}"),
            Some(code) if Reject::ALL.iter().any(|reason| reason.code() == code) => {
                assert_eq!(got.map_err(Reject::code), Err(code), "{name}");
            }
            _ => {}
        }
        let mut damaged = bytes.clone();
        #[allow(clippy::manual_memcpy, reason = "each byte is put back after its check")]
        for at in 0..bytes.len().min(300) {
            damaged[at] ^= 1 << (at % 8);
            let _ = oracle.check(&damaged);
            damaged[at] = bytes[at];
            let _ = oracle.check(&bytes[..at]);
        }
    }
}

/// `cargo test --test sealed -- --ignored` writes the named seeds of both corpora anew.
#[test]
#[ignore = "writes files"]
fn seeds() {
    let key =
        Key::new(KeyId(std::array::from_fn(|i| 0xa0 + i as u8)), std::array::from_fn(|i| i as u8));
    let sealed = |kind, sid, seq, deflated, text: &[u8]| {
        let (key_id, aid) = (key.id(), 0x1122_3344_5566_7788);
        let mut bytes = Vec::new();
        let header = Header { key_id, sid, aid, kind, seq, deflated };
        seal::seal(&key, header, text, &mut bytes);
        bytes
    };
    let (sid, data) = (0x4769_e78d_5627_d611, SealKind::Data);
    let htb = format!("{:<64}", r#"{"ID":"HTB","interval":30,"up":77}"#).into_bytes();
    let zlib = |text: &[u8]| miniz_oxide::deflate::compress_to_vec_zlib(text, 6);
    let long = format!(r#"{{"ID":"PLG","plugin":"p","data":{{"t":"{}"}}}}"#, "x".repeat(900));
    let good = sealed(data, sid, 2, false, &htb);
    let with = |at: usize, to: u8| {
        let mut bytes = good.clone();
        bytes[at] = to;
        bytes
    };
    let resized = |len: usize| {
        let mut bytes = good.clone();
        bytes.resize(len, 0);
        bytes
    };
    let files: Vec<(&str, Vec<u8>)> = vec![
        ("ok-hello", sealed(SealKind::Hello, 0, 1, false, b"")),
        ("ok-htb", good.clone()),
        ("ok-htb_ack", sealed(data, sid, 3, false, br#"{"ID":"HTB","ack":9007199254740991}"#)),
        (
            "ok-res_accepted",
            sealed(data, sid, 4, false, br#"{"ID":"RES","cid":1,"st":"accepted"}"#),
        ),
        (
            "ok-res_done",
            sealed(
                data,
                sid,
                5,
                false,
                br#"{"ID":"RES","cid":1,"st":"done","rc":-9,"ms":5,"out":"x"}"#,
            ),
        ),
        (
            "ok-maintenance",
            sealed(data, sid, 6, false, br#"{"ID":"MSG","kind":"maintenance","s":60}"#),
        ),
        ("ok-plg_zlib", sealed(data, sid, 7, true, &zlib(long.as_bytes()))),
        ("ok-bad_json", sealed(data, sid, 8, false, b"{")),
        ("ok-bomb", sealed(data, sid, 9, true, &zlib(&vec![b' '; 1 << 20]))),
        ("ok-seq_max", sealed(data, u64::MAX, seal::SEQ_MAX, false, &htb)),
        ("sealed-welcome", sealed(SealKind::Welcome, sid, 1, false, b"")),
        ("sealed-answer", sealed(SealKind::Answer, sid, 1, false, br#"{"ID":"ACK","ack":2}"#)),
        ("sealed-hello_full", sealed(SealKind::Hello, 0, 1, false, b"{}")),
        ("sealed-version_0", with(2, 0)),
        ("sealed-version_2", with(2, 2)),
        ("sealed-flags", with(3, 2)),
        ("sealed-unknown_key", with(4, 0)),
        ("sealed-short", resized(51)),
        ("sealed-long", resized(1501)),
        ("sealed-empty", Vec::new()),
        ("bad_seal-sid", with(12, 0)),
        ("bad_seal-aid", with(20, 0)),
        ("bad_seal-seq", with(35, 9)),
        ("bad_seal-body", with(50, 0)),
        ("bad_seal-tag", with(115, 0)),
        ("bad_seal-longer", resized(1500)),
    ];
    for (name, bytes) in files {
        std::fs::write(folder("sealed_header").join(name), bytes).expect("written");
    }
    for seed in 0..30 {
        let count = 40 + 10 * seed as usize;
        std::fs::write(folder("session_seq").join(format!("walk-{seed:02}")), steps(seed, count))
            .expect("written");
    }
}
