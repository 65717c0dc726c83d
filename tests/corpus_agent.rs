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

#[path = "corpus/replay.rs"]
mod replay;

use replay::Replay;

/// Larger files are replayed as they are: cut at each byte they would take minutes. Named seeds at every byte; what
/// fuzzing found, of which there are hundreds that resemble each other, at so many places.
const ORDINARY: Replay =
    Replay { damaged_max: 2000, places_of_found: 40, ..Replay::at(usize::MAX) };
const EVERYWHERE: Replay = Replay { places_of_found: usize::MAX, ..ORDINARY };

#[test]
fn corpus_of_nagios_output_holds_every_property() {
    let mut oracle = nagios_perfdata::Oracle::default();
    ORDINARY.each("nagios_perfdata", 20, |bytes| oracle.check(bytes));
}

/// Half a minute: by hand, with `--run-ignored`.
#[test]
#[ignore = "takes half a minute"]
fn corpus_of_nagios_output_damaged_at_every_byte_holds_every_property() {
    let mut oracle = nagios_perfdata::Oracle::default();
    EVERYWHERE.each("nagios_perfdata", 20, |bytes| oracle.check(bytes));
}

#[test]
fn corpus_of_proc_stat_holds_every_property() {
    ORDINARY.each("proc_stat", 20, proc_stat::check);
}

#[test]
fn corpus_of_proc_meminfo_holds_every_property() {
    ORDINARY.each("proc_meminfo", 9, proc_meminfo::check);
}

#[test]
fn corpus_of_proc_net_dev_holds_every_property() {
    ORDINARY.each("proc_net_dev", 9, proc_net_dev::check);
}

#[test]
fn corpus_of_zpool_output_holds_every_property() {
    ORDINARY.each("zpool_out", 9, zpool_out::check);
}
