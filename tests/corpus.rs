//! Replays the fuzzing corpus on the ordinary toolchain: every file, with the oracle of its target.
//!
//! `cargo test --test corpus -- --ignored seeds` writes the named seeds anew;
//! `cargo test --release --test corpus -- --ignored --nocapture cost` measures decoding.

#[path = "../fuzz/oracle/datagram.rs"]
mod oracle;
#[path = "../fuzz/seed/datagram.rs"]
mod seed;

use heartbeat::wire::{Decoder, Reject};
use oracle::Oracle;
use std::path::PathBuf;

/// What `Decoder::decode` can say; the other reasons are the engine's.
const DECODED: &[Reject] = &[
    Reject::Empty,
    Reject::TooLong,
    Reject::BadMagic,
    Reject::Sealed,
    Reject::BadZlib,
    Reject::TooBig,
    Reject::BadUtf8,
    Reject::BadJson,
    Reject::TooDeep,
    Reject::TooManyNodes,
    Reject::TooManyLeaves,
    Reject::DuplicateKey,
    Reject::KeyTooLong,
    Reject::MissingId,
    Reject::UnknownId,
    Reject::NotForServer,
    Reject::SealedOnly,
    Reject::MissingName,
    Reject::BadName,
    Reject::BadField,
];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/datagram")
}

/// Every file of the corpus by name, in order.
#[allow(clippy::disallowed_methods, reason = "the corpus is our own and small")]
fn corpus() -> Vec<seed::Seed> {
    let mut files: Vec<_> = std::fs::read_dir(folder())
        .expect("the corpus is there")
        .map(|entry| {
            let entry = entry.expect("the folder is readable");
            let name = entry.file_name().into_string().expect("names are ASCII");
            (name, std::fs::read(entry.path()).expect("the file is readable"))
        })
        .collect();
    files.sort();
    files
}

fn bytes_of(name: &str) -> Vec<u8> {
    let (_, bytes) = corpus().into_iter().find(|file| file.0 == name).expect("a named seed");
    bytes
}

/// What a file's name says that the decoder must say; `None` for files that fuzzing found.
fn expected(name: &str) -> Option<Result<(), Reject>> {
    let (code, _) = name.split_once('-')?;
    if code == "ok" {
        return Some(Ok(()));
    }
    let reason = DECODED.iter().find(|reason| reason.code() == code);
    Some(Err(*reason.unwrap_or_else(|| panic!("{name}: no such reason"))))
}

#[test]
fn u5_u6_corpus_replays_as_its_names_say() {
    let mut oracle = Oracle::default();
    let files = corpus();
    assert!(files.len() > 150, "only {} files", files.len());
    for (name, bytes) in files {
        let got = oracle.check(&bytes);
        if let Some(want) = expected(&name) {
            assert_eq!(got, want, "{name}");
        }
    }
}

#[test]
fn every_reject_reason_of_the_decoder_has_a_seed() {
    let files = corpus();
    for reason in DECODED {
        let prefix = format!("{}-", reason.code());
        assert!(files.iter().any(|(name, _)| name.starts_with(&prefix)), "{prefix}");
    }
}

#[test]
fn corpus_is_under_two_megabytes() {
    let total: usize = corpus().iter().map(|(_, bytes)| bytes.len()).sum();
    assert!(total < 2_000_000, "{total} bytes");
}

#[test]
fn u8_200_hostile_names_are_refused() {
    let names = seed::hostile_names();
    assert!(names.len() >= 200);
    let mut oracle = Oracle::default();
    for name in names {
        let got = oracle.check(&seed::heartbeat_of(&name));
        assert_eq!(got, Err(Reject::BadName), "{name:?}");
    }
}

/// Truncated at every byte, and with a bit flipped in every byte, nothing panics and every property
/// holds.
#[test]
fn u6_seed_damaged_anywhere_is_refused_or_harmless() {
    let mut oracle = Oracle::default();
    for (name, mut bytes) in seed::seeds() {
        let one_level = !name.contains("_zlib") || name.ends_with("_zlib6");
        if bytes.len() > 600 || !name.starts_with("ok-") || !one_level {
            continue;
        }
        for end in 0..bytes.len() {
            let _ = oracle.check(&bytes[..end]);
            let bit = 1 << (end % 8);
            bytes[end] ^= bit;
            let _ = oracle.check(&bytes);
            bytes[end] ^= bit;
        }
    }
}

#[test]
#[ignore = "writes files: run it after a change of fuzz/seed"]
fn seeds_are_written_anew() {
    for (name, bytes) in seed::seeds() {
        std::fs::write(folder().join(name), bytes).expect("the corpus is writable");
    }
}

/// The mean of many runs, in microseconds of this thread's CPU time.
fn cost(decoder: &mut Decoder, bytes: &[u8], runs: u32) -> f64 {
    let start = cpu_seconds();
    for _ in 0..runs {
        let _ = std::hint::black_box(decoder.decode(std::hint::black_box(bytes)));
    }
    (cpu_seconds() - start) * 1e6 / f64::from(runs)
}

fn cpu_seconds() -> f64 {
    // SAFETY: all zeros is a valid timespec, and the call writes to nothing else.
    let spent = unsafe {
        let mut spent: libc::timespec = std::mem::zeroed();
        libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut spent);
        spent
    };
    spent.tv_sec as f64 + spent.tv_nsec as f64 / 1e9
}

#[test]
#[ignore = "a measurement: run it in a release build"]
fn cost_of_decoding() {
    let mut decoder = Decoder::new();
    let plg = bytes_of("ok-plg_disk_monitor");
    let packed = bytes_of("ok-plg_disk_monitor_zlib6");
    let htb = br#"{"ID":"HTB","name":"webserver1","interval":30}"#;
    let table: [(&str, &[u8]); 5] = [
        ("HTB, text", htb),
        ("PLG disk_monitor, text", &plg),
        ("PLG disk_monitor, zlib", &packed),
        ("garbage", b"GET / HTTP/1.1\r\n"),
        ("garbage in braces", b"{GET / HTTP/1.1\r\n"),
    ];
    for (what, bytes) in table {
        let micros = cost(&mut decoder, bytes, 200_000);
        println!("{what}: {} bytes, {micros:.2} us", bytes.len());
    }
    let mut worst: Vec<_> =
        corpus().into_iter().map(|(name, bytes)| (cost(&mut decoder, &bytes, 50), name)).collect();
    worst.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (micros, name) in worst.iter().take(5) {
        println!("worst of the corpus: {name}, {micros:.0} us");
    }
}
