//! Replays the fuzzing corpora of what agents read on the ordinary toolchain, each file also
//! damaged: cut at every byte, and with a bit of every byte turned.

#[path = "../fuzz/oracle/nagios_perfdata.rs"]
mod nagios_perfdata;
#[path = "../fuzz/oracle/proc_meminfo.rs"]
mod proc_meminfo;
#[path = "../fuzz/oracle/proc_net_dev.rs"]
mod proc_net_dev;
#[path = "../fuzz/oracle/proc_stat.rs"]
mod proc_stat;
#[path = "../fuzz/oracle/zpool_out.rs"]
mod zpool_out;

use std::path::PathBuf;

/// Larger files are replayed as they are: cut at each byte they would take minutes.
const DAMAGED_MAX: usize = 2000;
/// Places at which a file that fuzzing found is damaged in the ordinary run. There are hundreds,
/// they resemble each other, and the places differ from file to file.
const PLACES: usize = 40;

#[derive(Clone, Copy, PartialEq)]
enum Depth {
    /// Named seeds at every byte, what fuzzing found at `PLACES`.
    Ordinary,
    Everywhere,
}

#[allow(clippy::disallowed_methods, reason = "the corpus is our own and small")]
fn replay(target: &str, files_min: usize, depth: Depth, mut check: impl FnMut(&[u8])) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files = 0;
    for entry in std::fs::read_dir(folder).expect("the corpus is there") {
        let entry = entry.expect("readable");
        let bytes = std::fs::read(entry.path()).expect("readable");
        files += 1;
        check(&bytes);
        if bytes.len() > DAMAGED_MAX {
            continue;
        }
        let name = entry.file_name();
        let found = name.len() == 40 && depth == Depth::Ordinary;
        let step = if found { bytes.len().div_ceil(PLACES).max(1) } else { 1 };
        let first = name.as_encoded_bytes().iter().map(|b| usize::from(*b)).sum::<usize>() % step;
        let mut damaged = bytes.clone();
        for end in (first..bytes.len()).step_by(step) {
            check(&bytes[..end]);
            damaged[end] ^= 1 << (end % 8);
            check(&damaged);
            damaged[end] = bytes[end];
        }
    }
    assert!(files >= files_min, "only {files} files");
}

#[test]
fn corpus_of_nagios_output_holds_every_property() {
    let mut oracle = nagios_perfdata::Oracle::default();
    replay("nagios_perfdata", 20, Depth::Ordinary, |bytes| oracle.check(bytes));
}

/// Half a minute: by hand, with `--run-ignored`.
#[test]
#[ignore = "takes half a minute"]
fn corpus_of_nagios_output_damaged_at_every_byte_holds_every_property() {
    let mut oracle = nagios_perfdata::Oracle::default();
    replay("nagios_perfdata", 20, Depth::Everywhere, |bytes| oracle.check(bytes));
}

#[test]
fn corpus_of_proc_stat_holds_every_property() {
    replay("proc_stat", 20, Depth::Ordinary, proc_stat::check);
}

#[test]
fn corpus_of_proc_meminfo_holds_every_property() {
    replay("proc_meminfo", 9, Depth::Ordinary, proc_meminfo::check);
}

#[test]
fn corpus_of_proc_net_dev_holds_every_property() {
    replay("proc_net_dev", 9, Depth::Ordinary, proc_net_dev::check);
}

#[test]
fn corpus_of_zpool_output_holds_every_property() {
    replay("zpool_out", 9, Depth::Ordinary, zpool_out::check);
}
