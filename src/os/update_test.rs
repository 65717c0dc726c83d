//! An update against everything that can go wrong with it: whatever happens, the program's own file
//! can be run.

use super::*;
use crate::os::fetch::Sink;
use minisign::KeyPair;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

thread_local! {
    /// What the stand-in for the network serves, by the last part of the URL.
    static SERVED: RefCell<BTreeMap<String, Vec<u8>>> = const { RefCell::new(BTreeMap::new()) };
    /// The download ends after so many bytes.
    static CUT: RefCell<Option<usize>> = const { RefCell::new(None) };
}

fn fetch(url: &str, bytes_max: u64, sink: Sink<'_>) -> Result<u64, String> {
    let name = url.rsplit('/').next().unwrap_or_default().to_owned();
    let served = SERVED.with_borrow(|served| served.get(&name).cloned());
    let bytes = served.ok_or_else(|| format!("{url}: answered 404"))?;
    if bytes.len() as u64 > bytes_max {
        return Err(format!("{url}: {} bytes are more than {bytes_max}", bytes.len()));
    }
    let cut = CUT.with_borrow(|cut| *cut).filter(|_| !name.ends_with(".minisig"));
    for part in bytes[..cut.unwrap_or(bytes.len())].chunks(7) {
        sink(part)?;
    }
    match cut {
        Some(cut) => Err(format!("{url}: it ends after {cut} of {} bytes", bytes.len())),
        None => Ok(bytes.len() as u64),
    }
}

fn program(version: &str) -> Vec<u8> {
    format!("#!/bin/sh\necho hbc {version}\n").into_bytes()
}

struct Rig {
    dir: tempfile::TempDir,
    key: KeyPair,
    update: Update,
}

impl Rig {
    fn new() -> Rig {
        let key = KeyPair::generate_unencrypted_keypair().expect("a key");
        let update = Update { public_key: Some(key.pk.to_base64()), ..Update::default() };
        let rig = Rig { dir: tempfile::tempdir().expect("a directory"), key, update };
        std::fs::write(rig.exe(), program("1.0.0")).expect("written");
        std::fs::set_permissions(rig.exe(), PermissionsExt::from_mode(0o755)).expect("set");
        rig.serve("1.1.0", &program("1.1.0"));
        rig
    }

    fn exe(&self) -> PathBuf {
        self.dir.path().join("hbc")
    }

    /// Signs and serves a file as a version.
    fn serve(&self, version: &str, bytes: &[u8]) {
        self.serve_as(&format!("heartbeat {version} {}", release::TARGET), bytes, &self.key);
    }

    fn serve_as(&self, comment: &str, bytes: &[u8], key: &KeyPair) {
        let signature = minisign::sign(None, &key.sk, bytes, Some(comment), None).expect("signed");
        let file = release::file_name("hbc");
        SERVED.with_borrow_mut(|served| {
            served.insert(format!("{file}.minisig"), signature.into_string().into_bytes());
            served.insert(file, bytes.to_vec());
        });
        CUT.set(None);
    }

    fn install(&self, wanted: &Wanted) -> Result<String, String> {
        let exe = self.exe();
        let site = Site {
            program: "hbc",
            running: "1.0.0",
            exe: &exe,
            url: "http://hb/agent/",
            update: &self.update,
            fetch,
        };
        site.install(wanted)
    }

    /// It was refused for this reason, and everything is as before.
    #[track_caller]
    fn refused(&self, wanted: &Wanted, why: &str) {
        let what = self.install(wanted).expect_err("it must be refused");
        assert!(what.contains(why), "{what}");
        self.is_untouched();
    }

    #[track_caller]
    fn is_untouched(&self) {
        assert_eq!(probation::try_run(&self.exe(), "1.0.0"), Ok(()));
        for ending in ["new", "trial"] {
            assert!(!beside(&self.exe(), ending).exists(), "{ending}");
        }
    }
}

#[test]
fn release_is_installed_and_the_old_one_kept() {
    let rig = Rig::new();
    let bytes = program("1.1.0");
    let sha256 = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02X}")).collect();
    let size = Some(bytes.len() as u64);
    let wanted = Wanted { version: Some("1.1.0".to_owned()), sha256: Some(sha256), size };
    assert_eq!(rig.install(&wanted), Ok("1.1.0".to_owned()));
    assert_eq!(probation::try_run(&rig.exe(), "1.1.0"), Ok(()));
    assert_eq!(probation::try_run(&beside(&rig.exe(), "old"), "1.0.0"), Ok(()));
    assert!(beside(&rig.exe(), "trial").exists() && !beside(&rig.exe(), "new").exists());
    roll_back(&rig.exe()).expect("taken back");
    assert_eq!(probation::try_run(&rig.exe(), "1.0.0"), Ok(()));
}

#[test]
fn u11_byte_that_was_changed_is_refused_wherever_it_is() {
    let rig = Rig::new();
    let file = release::file_name("hbc");
    let good = program("1.1.0");
    for at in 0..good.len() {
        SERVED.with_borrow_mut(|served| served.get_mut(&file).expect("served")[at] ^= 1);
        rig.refused(&Wanted::default(), "the signature does not fit the file");
        SERVED.with_borrow_mut(|served| served.get_mut(&file).expect("served")[at] ^= 1);
    }
    assert!(rig.install(&Wanted::default()).is_ok(), "what was restored is good again");
}

#[test]
fn u11_comment_that_was_changed_is_refused() {
    let rig = Rig::new();
    let file = format!("{}.minisig", release::file_name("hbc"));
    SERVED.with_borrow_mut(|served| {
        let text = String::from_utf8(served[&file].clone()).expect("text");
        served.insert(file, text.replace("1.1.0", "9.9.9").into_bytes());
    });
    rig.refused(&Wanted::default(), "the signature does not fit the file");
}

#[test]
fn u11_another_key_is_refused() {
    let rig = Rig::new();
    let other = KeyPair::generate_unencrypted_keypair().expect("a key");
    let comment = format!("heartbeat 1.1.0 {}", release::TARGET);
    rig.serve_as(&comment, &program("1.1.0"), &other);
    rig.refused(&Wanted::default(), "the signature: ");
}

#[test]
fn u11_older_and_equal_versions_are_refused_unless_allowed() {
    let mut rig = Rig::new();
    rig.serve("0.9.0", &program("0.9.0"));
    rig.refused(&Wanted::default(), "version 0.9.0 is older than 1.0.0");
    rig.serve("1.0.0", &program("1.0.0"));
    rig.refused(&Wanted::default(), "version 1.0.0 is running already");
    rig.update.allow_downgrade = true;
    rig.serve("0.9.0", &program("0.9.0"));
    assert_eq!(rig.install(&Wanted::default()), Ok("0.9.0".to_owned()));
}

#[test]
fn u11_another_target_comment_or_announcement_is_refused() {
    let rig = Rig::new();
    rig.serve_as("heartbeat 1.1.0 linux-vax", &program("1.1.0"), &rig.key);
    rig.refused(&Wanted::default(), "it is for linux-vax");
    rig.serve_as("timestamp:1", &program("1.1.0"), &rig.key);
    rig.refused(&Wanted::default(), "not a release's");
    rig.serve("1.1.0", &program("1.1.0"));
    let version = Wanted { version: Some("1.2.0".to_owned()), ..Wanted::default() };
    rig.refused(&version, "1.2.0 was asked for");
    rig.refused(&Wanted { sha256: Some("0".repeat(64)), ..Wanted::default() }, "SHA-256");
    rig.refused(&Wanted { size: Some(3), ..Wanted::default() }, "more than 3");
    rig.refused(&Wanted { size: Some(3000), ..Wanted::default() }, "3000 were announced");
}

#[test]
fn u11_download_that_is_cut_off_anywhere_is_refused() {
    let rig = Rig::new();
    for cut in 0..program("1.1.0").len() {
        CUT.set(Some(cut));
        rig.refused(&Wanted::default(), "it ends after");
    }
}

#[test]
fn u11_file_that_does_not_run_or_is_another_version_is_refused() {
    let rig = Rig::new();
    rig.serve("1.1.0", b"\x7fELF, but no more");
    rig.refused(&Wanted::default(), "the new version cannot be run");
    rig.serve("1.1.0", &program("1.0.9"));
    rig.refused(&Wanted::default(), "it says \"hbc 1.0.9\"");
    rig.serve("1.1.0", b"#!/bin/sh\nexit 3\n");
    rig.refused(&Wanted::default(), "exit status 3");
}

#[test]
fn u11_absent_file_and_absent_key_are_told() {
    let mut rig = Rig::new();
    SERVED.with_borrow_mut(BTreeMap::clear);
    rig.refused(&Wanted::default(), "404");
    rig.update.public_key = None;
    rig.serve("1.1.0", &program("1.1.0"));
    rig.refused(&Wanted::default(), "public_key");
}
