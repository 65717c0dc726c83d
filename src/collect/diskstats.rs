//! `/proc/diskstats`: how busy the disks are. Pure parser and rates.

use super::{rate, scan};

/// Disks shown of one machine.
pub const DISKS_MAX: usize = 64;
/// The kernel counts in sectors of this size whatever the disk has.
const SECTOR: u64 = 512;
const MB: f64 = (1u64 << 20) as f64;

/// Not disks: memory, files, empty drives, and what is stacked on disks that are shown themselves.
const NOT_DISKS: [&[u8]; 7] = [b"loop", b"ram", b"zram", b"fd", b"sr", b"dm-", b"md"];

/// Counters of one disk since boot.
#[derive(Clone, Debug, PartialEq)]
pub struct Disk {
    pub name: String,
    pub reads: u64,
    pub read_sectors: u64,
    pub writes: u64,
    pub written_sectors: u64,
    /// Time in which at least one request was under way, in milliseconds.
    pub busy_ms: u64,
}

/// Rates of one disk; each is missing where its counter went backwards.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DiskRate {
    pub read_mb_s: Option<f64>,
    pub write_mb_s: Option<f64>,
    pub read_iops: Option<f64>,
    pub write_iops: Option<f64>,
    pub busy_percent: Option<f64>,
}

/// Reads `/proc/diskstats` (Documentation/admin-guide/iostats.rst): the whole disks that were ever
/// read from. A real one is, when the kernel looks for its partitions; an unused slot is not.
pub fn parse_diskstats(bytes: &[u8]) -> Vec<Disk> {
    let mut disks = Vec::new();
    // The kernel lists a disk's partitions right behind it.
    let mut whole: &[u8] = b"";
    for line in scan::lines(bytes) {
        let Some((name, counters)) = parse_line(line) else { continue };
        if is_part(name, whole) {
            continue;
        }
        whole = name;
        let [reads, _, read_sectors, _, writes, _, written_sectors, _, _, busy_ms] = counters;
        let shown = reads > 0 && !NOT_DISKS.iter().any(|prefix| name.starts_with(prefix));
        if shown && disks.len() < DISKS_MAX {
            let name = scan::text(name);
            disks.push(Disk { name, reads, read_sectors, writes, written_sectors, busy_ms });
        }
    }
    disks
}

/// `254 0 vda 35325 7189 …`; a line with fewer counters (partitions before 2.6.25) is skipped.
fn parse_line(line: &[u8]) -> Option<(&[u8], [u64; 10])> {
    let mut words = scan::words(line).skip(2);
    let name = words.next()?;
    let mut counters = [0; 10];
    for counter in &mut counters {
        *counter = scan::number(words.next()?)?;
    }
    Some((name, counters))
}

/// `sda1` of `sda`, `nvme0n1p2` of `nvme0n1`, `mmcblk0boot0` of `mmcblk0`.
fn is_part(name: &[u8], whole: &[u8]) -> bool {
    let Some(rest) = name.strip_prefix(whole).filter(|_| !whole.is_empty()) else { return false };
    let rest = match whole.last() {
        Some(last) if last.is_ascii_digit() => {
            match rest.strip_prefix(b"p").or(rest.strip_prefix(b"boot")) {
                Some(rest) => rest,
                None => return rest == b"rpmb",
            }
        }
        _ => rest,
    };
    !rest.is_empty() && rest.iter().all(u8::is_ascii_digit)
}

impl Disk {
    /// Rates over the `seconds` since `before`.
    pub fn since(&self, before: &Disk, seconds: f64) -> DiskRate {
        let rate = |count, before| rate::per_second(count, before, seconds);
        let megabytes = |sectors: f64| sectors * SECTOR as f64 / MB;
        DiskRate {
            read_mb_s: rate(self.read_sectors, before.read_sectors).map(megabytes),
            write_mb_s: rate(self.written_sectors, before.written_sectors).map(megabytes),
            read_iops: rate(self.reads, before.reads),
            write_iops: rate(self.writes, before.writes),
            busy_percent: rate(self.busy_ms, before.busy_ms).map(|ms| (ms / 10.0).min(100.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::fixture_test;
    use proptest::prelude::*;

    #[test]
    fn whole_disks_only_are_taken() {
        let table = [
            (fixture_test::DEBIAN, "nvme0n1 sda"),
            (fixture_test::CENTOS, "sda"),
            (fixture_test::OPENWRT, "mtdblock6 ubiblock0_0"),
            (fixture_test::ARMBIAN, "mmcblk0"),
            (fixture_test::PROXMOX, "sda zd0"),
        ];
        for (fixture, want) in table {
            let disks = parse_diskstats(&fixture_test::bytes(fixture, "proc/diskstats"));
            let names: Vec<&str> = disks.iter().map(|disk| &*disk.name).collect();
            assert_eq!(names.join(" "), want, "{fixture}");
        }
    }

    #[test]
    fn part_of_a_disk_table() {
        let table = [
            ("sda1", "sda", true),
            ("sdaa", "sda", false),
            ("sda", "sda", false),
            ("nvme0n1p12", "nvme0n1", true),
            ("nvme0n12", "nvme0n1", false),
            ("mmcblk0boot1", "mmcblk0", true),
            ("mmcblk0rpmb", "mmcblk0", true),
            ("loop10", "loop1", false),
            ("xvda1", "", false),
        ];
        for (name, whole, want) in table {
            assert_eq!(is_part(name.as_bytes(), whole.as_bytes()), want, "{name} of {whole}");
        }
    }

    #[test]
    fn rates_are_per_second_and_wrapped_counters_have_none() {
        let disk = |reads, sectors, busy_ms| Disk {
            name: "sda".to_owned(),
            reads,
            read_sectors: sectors,
            writes: 10,
            written_sectors: 4_294_967_290,
            busy_ms,
        };
        let before = disk(100, 0, 1000);
        let mut after = disk(300, 40_960, 6000);
        after.written_sectors = 4;
        let want = DiskRate {
            read_mb_s: Some(2.0),
            write_mb_s: None,
            read_iops: Some(20.0),
            write_iops: Some(0.0),
            busy_percent: Some(50.0),
        };
        assert_eq!(after.since(&before, 10.0), want);
        assert_eq!(after.since(&before, 1.0).busy_percent, Some(100.0));
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(bytes in any::<Vec<u8>>(), text in "([a-z0-9 ]{0,90}\n){0,9}") {
            for bytes in [&bytes[..], text.as_bytes()] {
                prop_assert!(parse_diskstats(bytes).len() <= DISKS_MAX);
            }
        }
    }
}
