//! A new version on probation: a note beside the program that says which version took whose place.
//! It goes with the first acknowledgement; where none comes in time, or the new version keeps
//! dying, the old one comes back.

use super::child::{Child, Exit, Program};
use super::update::{beside, roll_back, sync_dir};
use super::{clock, file, udp};
use crate::time::{Duration, Mono};
use std::io;
use std::path::Path;

/// Without an acknowledgement for so long the old version comes back.
const WITHIN: Duration = Duration::from_secs(600);
/// Starts of a new version that nobody has acknowledged; one more, and the old one comes back.
const STARTS_MAX: u32 = 5;
/// The first run of a new file, which tells its version.
const RUN_WITHIN: Duration = Duration::from_secs(20);
const ENDING: &str = "trial";
const NOTE_MAX: usize = 1024;

/// The note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probation {
    pub version: String,
    /// The version that it replaced.
    pub from: String,
    starts: u32,
    within: Duration,
}

/// What a program finds when it starts.
#[derive(Debug, PartialEq, Eq)]
pub enum Start {
    /// No update is under way.
    Settled,
    /// This is the new version: without an acknowledgement before this time it is to go.
    OnProbation { until: Mono, note: Probation },
    /// The old version was put in this one's place: run it.
    RolledBack,
}

impl Probation {
    pub fn new(version: &str, from: &str) -> Probation {
        Probation { version: version.to_owned(), from: from.to_owned(), starts: 0, within: WITHIN }
    }

    /// # Errors
    /// The directory cannot be written.
    pub fn write(&self, exe: &Path) -> io::Result<()> {
        let Probation { version, from, starts, within } = self;
        let text = format!("{version} {from} {starts} {}\n", within.as_secs());
        file::replace(&beside(exe, ENDING), text.as_bytes(), 0o644)
    }

    fn read(exe: &Path) -> Option<Probation> {
        let bytes = file::read_bounded(&beside(exe, ENDING), NOTE_MAX).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let mut words = text.split_ascii_whitespace();
        Some(Probation {
            version: words.next()?.to_owned(),
            from: words.next()?.to_owned(),
            starts: words.next()?.parse().ok()?,
            within: Duration::from_secs(words.next()?.parse().ok()?),
        })
    }

    /// The new version has proved itself, or the update came to nothing.
    pub fn forget(exe: &Path) {
        if std::fs::remove_file(beside(exe, ENDING)).is_ok() {
            let _ = sync_dir(exe);
        }
    }
}

/// Looks for a note when the program starts. `running` is its version.
pub fn begin(exe: &Path, running: &str, now: Mono) -> Start {
    let Some(mut note) = Probation::read(exe) else { return Start::Settled };
    if note.version != running {
        // The update was interrupted before this file was replaced, or has been taken back.
        Probation::forget(exe);
        let _ = std::fs::remove_file(beside(exe, "new"));
        return Start::Settled;
    }
    note.starts += 1;
    if note.starts > STARTS_MAX {
        log::error!("version {running} was started {STARTS_MAX} times and never acknowledged");
        return match end(exe) {
            Ok(()) => Start::RolledBack,
            Err(_) => Start::Settled,
        };
    }
    if let Err(error) = note.write(exe) {
        log::warn!("the note of the update cannot be written: {error}");
    }
    Start::OnProbation { until: now + note.within, note }
}

/// Takes the update back; the caller is to run the old version.
///
/// # Errors
/// There is none; the new version stays.
pub fn end(exe: &Path) -> io::Result<()> {
    let result = roll_back(exe);
    match &result {
        Ok(()) => log::error!("the update is taken back, the version before it is run again"),
        Err(error) => log::error!("the update cannot be taken back: {error}"),
    }
    Probation::forget(exe);
    result
}

/// Runs a new file once: it must tell the version that its signature promises.
///
/// # Errors
/// It cannot be run on this machine, or tells something else.
pub fn try_run(new: &Path, version: &str) -> Result<(), String> {
    let argv = vec![new.to_string_lossy().into_owned(), "--version".to_owned()];
    let program = Program { argv, timeout: Some(RUN_WITHIN), ..Program::default() };
    let cannot = |what: String| format!("the new version cannot be run: {what}");
    let now = clock::now_awake().mono;
    let mut child = Child::start(&program, now).map_err(|error| cannot(error.to_string()))?;
    let mut timer = udp::Timer::new().map_err(|error| cannot(error.to_string()))?;
    let ended = loop {
        if let Some(ended) = child.poll(clock::now_awake().mono) {
            break ended;
        }
        let mut on = Vec::new();
        let until = child.watch(&mut on);
        udp::wait(&udp::Sockets::default(), &on, &mut timer, Some(until));
    };
    let said = String::from_utf8_lossy(&ended.stdout);
    match ended.exit {
        Exit::Code(0) if said.split_ascii_whitespace().any(|word| word == version) => Ok(()),
        Exit::Code(0) => Err(cannot(format!("it says {:?}", said.trim()))),
        Exit::Code(code) => Err(cannot(format!("exit status {code}"))),
        Exit::Signal(signal) => Err(cannot(format!("killed by signal {signal}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(note: Option<&Probation>) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().expect("a directory");
        let exe = dir.path().join("hbc");
        std::fs::write(&exe, "new").expect("written");
        std::fs::write(beside(&exe, "old"), "old").expect("written");
        if let Some(note) = note {
            note.write(&exe).expect("written");
        }
        (dir, exe)
    }

    fn content(exe: &Path) -> String {
        String::from_utf8(file::read_bounded(exe, 100).expect("read")).expect("text")
    }

    #[test]
    fn program_without_a_note_is_settled() {
        let (_dir, exe) = place(None);
        assert_eq!(begin(&exe, "2", Mono::ZERO), Start::Settled);
    }

    #[test]
    fn u11_new_version_has_ten_minutes_and_a_few_starts() {
        let note = Probation::new("2", "1");
        let (_dir, exe) = place(Some(&note));
        for starts in 1..=STARTS_MAX {
            let note = Probation { starts, ..note.clone() };
            let want = Start::OnProbation { until: Mono::from_secs(605), note };
            assert_eq!(begin(&exe, "2", Mono::from_secs(5)), want);
            assert_eq!(content(&exe), "new");
        }
        assert_eq!(begin(&exe, "2", Mono::ZERO), Start::RolledBack);
        assert_eq!(content(&exe), "old");
        assert_eq!(begin(&exe, "1", Mono::ZERO), Start::Settled, "the note has gone");
    }

    #[test]
    fn u11_note_of_an_update_that_was_cut_off_before_the_rename_is_forgotten() {
        let (_dir, exe) = place(Some(&Probation::new("2", "1")));
        std::fs::write(beside(&exe, "new"), "half").expect("written");
        assert_eq!(begin(&exe, "1", Mono::ZERO), Start::Settled);
        assert!(!beside(&exe, "trial").exists() && !beside(&exe, "new").exists());
        assert_eq!(content(&exe), "new", "the program itself is left alone");
    }

    #[test]
    fn note_that_cannot_be_read_counts_as_none() {
        let (_dir, exe) = place(None);
        for text in ["", "2", "2 1 x 600", "2 1 0"] {
            std::fs::write(beside(&exe, ENDING), text).expect("written");
            assert_eq!(begin(&exe, "2", Mono::ZERO), Start::Settled, "{text:?}");
        }
    }
}
