//! Lines a second through the journal's own thread, rotation included: `cargo bench --bench journal [-- DIR]`. DIR
//! is where the files go (default /dev/shm, a tmpfs). Ends by itself after some seconds.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

// The daemon's own modules; not all of them is used here.
#[allow(dead_code, unused_imports)]
#[path = "../src/bin/hbd/fault.rs"]
mod fault;
#[allow(dead_code, unused_imports)]
#[path = "../src/bin/hbd/journal/mod.rs"]
mod journal;
#[allow(dead_code, unused_imports)]
#[path = "../src/bin/hbd/pulse.rs"]
mod pulse;

use heartbeat::config::server::Server;
use heartbeat::engine::{Entry, Record};
use heartbeat::time::Wall;
use journal::{Handle, Settings};
use std::path::PathBuf;
use std::time::{Duration, Instant};

const LINES: usize = 2_000_000;
/// As many as one call of recvmmsg brings.
const BATCH: usize = 64;
/// Waiting records at which the writer of this benchmark holds back: an engine never does.
const DEPTH: u64 = 6000;

const HTB: &str = r#"{"ID":"HTB","name":"host-00042","seq":1234,"interval":30,"rtt":0.412,"up":86400,"v":"0.1.0"}"#;

fn main() {
    let parent = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    let parent = PathBuf::from(parent.unwrap_or_else(|| "/dev/shm".to_owned()));
    let plg =
        format!(r#"{{"ID":"PLG","name":"a","plugin":"p","data":{{"x":"{}"}}}}"#, "y".repeat(950));
    println!("{:<28}{:>14}{:>14}{:>16}", "lines", "a second", "MB a second", "hand over ns");
    for (name, json, redact) in [
        ("heartbeat", HTB, &[][..]),
        ("heartbeat, redacted", HTB, &["*token*".to_owned()]),
        ("1 kB sample", &plg, &[]),
    ] {
        let dir = tempfile::tempdir_in(&parent).expect("a directory to write to");
        let config =
            Server { journal_redact: redact.to_vec(), journal_min_free: 0, ..Server::default() };
        let settings = Settings::of(&config, dir.path());
        let (span, handing) = drive(settings, json);
        let rate = LINES as f64 / span.as_secs_f64();
        let size = (json.len() + 110) as f64;
        let each = handing.as_nanos() as f64 / LINES as f64;
        println!("{name:<28}{rate:>14.0}{:>14.0}{each:>16.0}", rate * size / 1e6);
    }
}

/// The time until all lines were in the file, and the part of it that their writer spent handing over.
fn drive(settings: Option<Settings>, json: &str) -> (Duration, Duration) {
    let handle = Handle::default();
    let running = journal::start(handle.clone(), settings, Box::new(|_| true)).expect("a thread");
    let mut pen = handle.pen();
    let from = "192.0.2.1:50003".parse().expect("an address");
    let begin = Instant::now();
    let mut handing = Duration::ZERO;
    for batch in 0..LINES / BATCH {
        while handle.depth() > DEPTH {
            std::thread::yield_now();
        }
        let at = Wall::from_micros(1_774_701_296_000_000 + batch as i64 * 500);
        let before = Instant::now();
        for _ in 0..BATCH {
            pen.write(Record { at, entry: Entry::Message { from, json: json.into() } });
        }
        pen.hand_over();
        handing += before.elapsed();
    }
    running.stop();
    let span = begin.elapsed();
    assert_eq!(handle.dropped(), 0, "lines were lost");
    (span, handing)
}
