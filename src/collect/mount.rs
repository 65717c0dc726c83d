//! Mounts: `/proc/self/mountinfo` (or `/proc/mounts`), and which of them are worth showing.

use super::kernel_file::{KernelFile, LONG_MAX};
use super::{CollectError, Source};
use crate::glob;
use crate::{config::agent, limits};
use std::borrow::Cow;
use std::path::Path;

/// Mounts shown of one machine.
pub const MOUNTS_MAX: usize = 64;

/// Mounted from a disk without a path below `/dev`.
const DISK_TYPES: [&[u8]; 6] = [b"zfs", b"btrfs", b"bcachefs", b"ubifs", b"jffs2", b"yaffs2"];
/// Images: read-only and full by nature, so that every threshold on their fill would fire.
const IMAGE_TYPES: [&[u8]; 6] = [b"squashfs", b"iso9660", b"udf", b"erofs", b"cramfs", b"romfs"];
/// Their server may be gone, and then a question to them hangs. `fuse.*` counts as well.
const NETWORK_TYPES: [&[u8]; 15] = [
    b"fuse",
    b"nfs",
    b"nfs4",
    b"cifs",
    b"smb3",
    b"smbfs",
    b"ncpfs",
    b"9p",
    b"afs",
    b"ceph",
    b"coda",
    b"glusterfs",
    b"lustre",
    b"gfs2",
    b"ocfs2",
];
/// Files that container engines mount into each container from the host's disk.
const ENGINE_FILES: [&[u8]; 4] =
    [b"/etc/hosts", b"/etc/hostname", b"/etc/resolv.conf", b"/dev/termination-log"];

/// One mount, its fields decoded.
#[derive(Clone, Debug, PartialEq)]
pub struct Mount<'a> {
    pub device: Cow<'a, [u8]>,
    pub point: Cow<'a, [u8]>,
    pub fstype: &'a [u8],
    pub options: &'a [u8],
    /// Options of the file system rather than of this mount.
    pub super_options: &'a [u8],
    /// `major:minor`; what is mounted twice has it twice. Empty where it is not known.
    pub number: &'a [u8],
    /// Not a part of its file system mounted elsewhere again.
    pub whole: bool,
}

/// Reads `mountinfo`: `27 1 254:0 / / rw,relatime [tag…] - ext4 /dev/vda rw` (proc(5)).
/// Lines that cannot be read are skipped.
pub fn parse_mountinfo(bytes: &[u8]) -> Vec<Mount<'_>> {
    super::scan::lines(bytes).filter_map(parse_mountinfo_line).collect()
}

fn parse_mountinfo_line(line: &[u8]) -> Option<Mount<'_>> {
    // Split at single blanks: an empty field (a device named "") must not shift the others.
    let mut fields = line.split(|&b| b == b' ').skip(2);
    let number = fields.next()?;
    let root = fields.next()?;
    let point = decode(fields.next()?);
    let options = fields.next()?;
    fields.find(|field| *field == b"-")?;
    let fstype = fields.next()?;
    let device = decode(fields.next()?);
    let super_options = fields.next().unwrap_or_default();
    let whole = root == b"/";
    Some(Mount { device, point, fstype, options, super_options, number, whole })
}

/// Reads `/proc/mounts`: `/dev/vda / ext4 rw,relatime 0 0`.
pub fn parse_mounts(bytes: &[u8]) -> Vec<Mount<'_>> {
    super::scan::lines(bytes).filter_map(parse_mounts_line).collect()
}

fn parse_mounts_line(line: &[u8]) -> Option<Mount<'_>> {
    let mut fields = line.split(|&b| b == b' ');
    let device = decode(fields.next()?);
    let point = decode(fields.next()?);
    let (fstype, options) = (fields.next()?, fields.next()?);
    let (super_options, number) = (&b""[..], &b""[..]);
    Some(Mount { device, point, fstype, options, super_options, number, whole: true })
}

/// Undoes the kernel's octal escapes (`\040` is a blank); what is no escape stays.
fn decode(field: &[u8]) -> Cow<'_, [u8]> {
    if !field.contains(&b'\\') {
        return Cow::Borrowed(field);
    }
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, after)) = rest.split_first() {
        match rest {
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..] => {
                out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = after;
            }
            _ => {
                out.push(first);
                rest = after;
            }
        }
    }
    Cow::Owned(out)
}

impl Mount<'_> {
    /// The mount point as a key: text of at most the length that a key may have.
    pub fn key(&self) -> String {
        let text = String::from_utf8_lossy(&self.point);
        crate::text::cut(&text, limits::KEY_MAX).to_owned()
    }

    /// The part of the mount point that tells it from others as a key.
    fn shown(&self) -> &[u8] {
        &self.point[..self.point.len().min(limits::KEY_MAX)]
    }

    /// Whether asking for its fill may hang.
    pub fn is_remote(&self) -> bool {
        NETWORK_TYPES.contains(&self.fstype) || self.fstype.starts_with(b"fuse.")
    }

    /// On a disk of this machine; or the root, whatever it is on.
    fn is_physical(&self) -> bool {
        let on_disk = self.device.starts_with(b"/dev/") || DISK_TYPES.contains(&self.fstype);
        self.point == &b"/"[..]
            || (on_disk
                && !self.is_remote()
                && !IMAGE_TYPES.contains(&self.fstype)
                && !ENGINE_FILES.contains(&&*self.point))
    }
}

/// Which mounts to show: `include`, `exclude`, `fstypes` and `all` of a plugin's settings.
pub struct Choice<'c>(pub &'c agent::Plugin);

impl Choice<'_> {
    /// The mounts to show, in the order of mounting: each mount point once (the last mounted, which
    /// covers the others), and each device once: the whole of it rather than a part mounted again,
    /// then the shortest mount point.
    pub fn choose<'m>(&self, mounts: impl IntoIterator<Item = Mount<'m>>) -> Vec<Mount<'m>> {
        let mut chosen: Vec<Mount<'m>> = Vec::new();
        for mount in mounts.into_iter().filter(|mount| self.takes(mount)) {
            chosen.retain(|other| other.shown() != mount.shown());
            let same = |other: &Mount<'_>| !self.0.all && is_same_device(other, &mount);
            match chosen.iter().position(same) {
                Some(at) if is_better(&mount, &chosen[at]) => chosen[at] = mount,
                None if chosen.len() < MOUNTS_MAX => chosen.push(mount),
                _ => {}
            }
        }
        chosen
    }

    /// A mount point that `include` names without a pattern is taken whatever its type.
    fn takes(&self, mount: &Mount<'_>) -> bool {
        let rule = self.0;
        let named = rule.include.iter().any(|point| point.as_bytes() == &*mount.point);
        // Asking an automounter mounts what is behind it.
        if mount.fstype == b"autofs" || !mount.point.starts_with(b"/") {
            return false;
        }
        if rule.exclude.as_ref().is_some_and(|patterns| glob::matches_any(patterns, &mount.point)) {
            return false;
        }
        if named {
            return true;
        }
        if !rule.include.is_empty() && !glob::matches_any(&rule.include, &mount.point) {
            return false;
        }
        if rule.fstypes.is_empty() {
            return rule.all || mount.is_physical();
        }
        rule.fstypes.iter().any(|fstype| fstype.as_bytes() == mount.fstype)
    }
}

fn is_same_device(a: &Mount<'_>, b: &Mount<'_>) -> bool {
    if a.number.is_empty() {
        a.device == b.device && a.device.starts_with(b"/")
    } else {
        a.number == b.number
    }
}

fn is_better(new: &Mount<'_>, old: &Mount<'_>) -> bool {
    (!new.whole, new.point.len()) < (!old.whole, old.point.len())
}

/// Reads answered from what was read before, at most: some sandboxes never tell of a change.
const REUSE_MAX: u32 = 12;

/// The kernel's list of mounts, kept open. To write it takes the kernel longer than all the rest of
/// a sample, so it is read again only when the kernel says that it changed.
pub struct Table {
    file: KernelFile,
    text: Vec<u8>,
    length: usize,
    reused: u32,
    /// The kernel says when it has changed.
    tells: bool,
    parse_line: fn(&[u8]) -> Option<Mount<'_>>,
}

impl Table {
    /// With another `procfs`, that is the host's: its first process sees the host's mounts, where
    /// `self` would be this container's.
    pub fn find(source: &Source) -> Result<Table, CollectError> {
        let own =
            [("self/mountinfo", parse_mountinfo_line as _), ("mounts", parse_mounts_line as _)];
        let host = [("1/mountinfo", parse_mountinfo_line as _)];
        let foreign = source.procfs != Path::new("/proc");
        let mut buffer = Vec::new();
        let mut first_error = None;
        for (name, parse_line) in host.into_iter().filter(|_| foreign).chain(own) {
            let mut file = KernelFile::of_long_lines(source.procfs.join(name), LONG_MAX);
            match file.require(&mut buffer) {
                Ok(bytes) => {
                    let length = bytes.len();
                    let tells = file.tells_of_changes();
                    return Ok(Table { file, text: buffer, length, reused: 0, tells, parse_line });
                }
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        Err(first_error.unwrap_or_else(|| CollectError("no list of mounts".to_owned())))
    }

    /// All mounts as they are now, in the order of mounting, one at a time: of the many that a
    /// machine has, few are kept.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&mut self) -> Result<impl Iterator<Item = Mount<'_>>, CollectError> {
        self.reused += 1;
        if self.reused > REUSE_MAX || !self.tells || self.file.mounts_changed() {
            self.reused = 0;
            self.length = self.file.require(&mut self.text)?.len();
        }
        Ok(super::scan::lines(&self.text[..self.length]).filter_map(self.parse_line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::fixture_test;
    use proptest::prelude::*;

    fn points(bytes: &[u8], settings: &agent::Plugin) -> String {
        let chosen = Choice(settings).choose(parse_mountinfo(bytes));
        chosen.iter().map(Mount::key).collect::<Vec<_>>().join(" ")
    }

    fn list(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn default_choice_is_disks_and_the_root() {
        let table = [
            (fixture_test::DEBIAN, "/ /boot/efi /srv/big disk"),
            (fixture_test::CENTOS, "/ /boot"),
            (fixture_test::OPENWRT, "/overlay /"),
            (fixture_test::ARMBIAN, "/ /var/log"),
            (fixture_test::PROXMOX, "/ /rpool /rpool/data /mnt/btr"),
            (fixture_test::DOCKER, "/ /data"),
        ];
        for (fixture, want) in table {
            let bytes = fixture_test::bytes(fixture, "proc/self/mountinfo");
            assert_eq!(points(&bytes, &agent::Plugin::default()), want, "{fixture}");
        }
    }

    #[test]
    fn settings_widen_and_narrow_the_choice() {
        let bytes = fixture_test::bytes(fixture_test::DEBIAN, "proc/self/mountinfo");
        let base = agent::Plugin::default();
        let exclude = Some(list(&["/boot*"]));
        let table = [
            (agent::Plugin { exclude, ..base.clone() }, "/ /srv/big disk"),
            (agent::Plugin { include: list(&["/s*"]), ..base.clone() }, "/srv/big disk"),
            (agent::Plugin { include: list(&["/", "/mnt/nas"]), ..base.clone() }, "/ /mnt/nas"),
            (agent::Plugin { include: list(&["/mnt/auto"]), ..base.clone() }, ""),
            (
                agent::Plugin { fstypes: list(&["nfs4", "vfat"]), ..base.clone() },
                "/boot/efi /mnt/nas",
            ),
            (agent::Plugin { fstypes: list(&["squashfs"]), ..base.clone() }, "/snap/core22/1122"),
        ];
        for (settings, want) in table {
            assert_eq!(points(&bytes, &settings), want, "{settings:?}");
        }
        let all = points(&bytes, &agent::Plugin { all: true, ..base });
        assert!(all.contains("/proc") && all.contains("/www") && !all.contains("/mnt/auto"));
    }

    #[test]
    fn mount_over_another_hides_it() {
        let bytes = b"1 0 0:1 / / rw - rootfs rootfs rw\n2 1 8:1 / / rw - ext4 /dev/sda1 rw";
        let chosen = Choice(&agent::Plugin::default()).choose(parse_mountinfo(bytes));
        assert_eq!(chosen.len(), 1);
        assert_eq!(chosen[0].fstype, b"ext4");
    }

    #[test]
    fn mounts_are_bounded() {
        let line = |i| format!("{i} 1 8:{i} / /mnt/{i} rw - ext4 /dev/sd{i} rw\n");
        let bytes: String = (0..MOUNTS_MAX + 10).map(line).collect();
        let chosen = Choice(&agent::Plugin::default()).choose(parse_mountinfo(bytes.as_bytes()));
        assert_eq!(chosen.len(), MOUNTS_MAX);
    }

    #[test]
    fn old_table_of_mounts_is_read_as_well() {
        let bytes = fixture_test::bytes(fixture_test::CENTOS, "proc/mounts");
        let chosen = Choice(&agent::Plugin::default()).choose(parse_mounts(&bytes));
        let keys: Vec<String> = chosen.iter().map(Mount::key).collect();
        assert_eq!(keys, ["/", "/boot"]);
        assert_eq!(&*chosen[0].device, b"/dev/mapper/vg_web-lv_root");
    }

    #[test]
    fn escapes_are_undone() {
        let table: [(&[u8], &[u8]); 5] = [
            (b"/a\\040b", b"/a b"),
            (b"/a\\134040", b"/a\\040"),
            (b"/a\\", b"/a\\"),
            (b"/a\\400", b"/a\\400"),
            (b"/a\\303\\274", "/a\u{fc}".as_bytes()),
        ];
        for (field, want) in table {
            assert_eq!(&*decode(field), want);
        }
    }

    #[test]
    fn hosts_own_table_is_taken_under_another_root() {
        let directory = tempfile::tempdir().expect("a directory");
        let root = directory.path().to_path_buf();
        let source = Source { procfs: root.clone(), sysfs: root.clone(), rootfs: root.clone() };
        let count = || Some(Table::find(&source).ok()?.read().ok()?.count());
        let write = |name: &str, lines: usize| {
            let line = if name == "mounts" { "/dev/a / ext4 rw 0 0\n" } else { LINE };
            std::fs::write(root.join(name), line.repeat(lines)).expect("written");
        };
        std::fs::create_dir(root.join("1")).expect("made");
        std::fs::create_dir(root.join("self")).expect("made");
        assert_eq!(count(), None);
        write("mounts", 1);
        assert_eq!(count(), Some(1));
        write("self/mountinfo", 2);
        assert_eq!(count(), Some(2));
        write("1/mountinfo", 3);
        assert_eq!(count(), Some(3));
    }

    const LINE: &str = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n";

    proptest! {
        #[test]
        fn any_bytes_are_a_table(bytes in any::<Vec<u8>>(), text in "[0-9:/ a-z\\\\\n-]{0,200}") {
            for bytes in [&bytes[..], text.as_bytes()] {
                let settings = agent::Plugin { all: true, ..agent::Plugin::default() };
                Choice(&settings).choose(parse_mountinfo(bytes));
                Choice(&settings).choose(parse_mounts(bytes));
            }
        }
    }
}
