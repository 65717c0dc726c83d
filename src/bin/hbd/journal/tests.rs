//! The thread and its file in a directory of their own.

#![allow(clippy::disallowed_methods, reason = "files that the test has just written")]

use super::*;
use heartbeat::engine::Entry;
use heartbeat::journal::note;
use heartbeat::limits::{JOURNAL_QUEUE, JOURNAL_QUEUE_BYTES};
use heartbeat::time::Wall;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::mpsc::channel;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(20);

struct Place {
    dir: TempDir,
    settings: Settings,
}

impl Place {
    fn new(size_max: u64, backups_max: u32) -> Place {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings {
            dir: dir.path().join("deep/journal"),
            name: "j".to_owned(),
            rotation: Rotation { size_max, backups_max },
            min_free: 0,
            redact: Vec::new(),
        };
        Place { dir, settings }
    }

    fn book(&self) -> Book {
        Book::new(self.settings.clone())
    }

    fn text(&self, n: u32) -> String {
        fs::read_to_string(self.settings.path(n)).unwrap_or_default()
    }

    /// The numbers of the records in the files, oldest first. Every line must be whole.
    fn numbers(&self) -> Vec<usize> {
        let mut numbers = Vec::new();
        for n in (0..20).rev() {
            for line in self.text(n).lines() {
                let note = note(line.as_bytes()).unwrap();
                numbers.push(note.host.unwrap()[1..].parse().unwrap());
            }
        }
        numbers
    }
}

fn record(number: usize, fill: usize) -> Record {
    let json = format!(r#"{{"ID":"HTB","name":"h{number}","x":"{}"}}"#, "x".repeat(fill));
    let entry = Entry::Message { from: "192.0.2.1:5".parse().unwrap(), json: json.into() };
    Record { at: Wall::from_secs(1_774_701_296), entry }
}

fn records(numbers: std::ops::Range<usize>) -> Vec<Record> {
    numbers.map(|number| record(number, 0)).collect()
}

#[track_caller]
fn write(book: &mut Book, records: &[Record]) {
    let (written, error) = book.write(records);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(written, records.len());
}

#[track_caller]
fn until(what: &str, mut ask: impl FnMut() -> bool) {
    let deadline = clock::now().mono + PATIENCE;
    while !ask() {
        assert!(clock::now().mono < deadline, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn directory_and_file_are_made_for_the_owner_and_the_group() {
    let place = Place::new(1 << 20, 2);
    write(&mut place.book(), &records(0..1));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&place.settings.dir) & !0o750, 0);
    assert_eq!(mode(&place.settings.path(0)) & !0o640, 0);
}

#[test]
fn rotation_keeps_every_line_whole_and_every_file_within_its_size() {
    let place = Place::new(3000, 4);
    let mut book = place.book();
    for batch in 0..20 {
        write(&mut book, &records(batch * 5..batch * 5 + 5));
    }
    let numbers = place.numbers();
    assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{numbers:?}");
    assert_eq!(numbers.last(), Some(&99));
    for n in 0..=4 {
        assert!((1..=3000).contains(&place.text(n).len()), "{n}");
    }
    assert!(!place.settings.path(5).exists());
}

#[test]
fn line_larger_than_the_limit_has_a_file_for_itself() {
    let place = Place::new(1000, 9);
    write(&mut place.book(), &[record(0, 0), record(1, 5000), record(2, 0)]);
    assert_eq!(place.numbers(), [0, 1, 2]);
    assert_eq!(place.text(1).lines().count(), 1);
}

#[test]
fn no_backups_keep_the_newest_lines_alone() {
    let place = Place::new(1000, 0);
    write(&mut place.book(), &records(0..50));
    assert_eq!(place.numbers().last(), Some(&49));
    assert!(!place.settings.path(1).exists());
}

#[test]
fn torn_last_line_is_taken_away_and_foreign_text_stays() {
    let place = Place::new(1 << 20, 1);
    write(&mut place.book(), &records(0..2));
    let whole = place.text(0);
    for torn in [r#"{"timestamp":17"#, r#"{"ti"#, r#"{"timestamp":1,"datetime":"x"}"#] {
        fs::write(place.settings.path(0), format!("{whole}{torn}")).unwrap();
        write(&mut place.book(), &records(2..3));
        assert_eq!(place.numbers(), [0, 1, 2], "{torn}");
    }
    fs::write(place.settings.path(0), "a note of somebody").unwrap();
    write(&mut place.book(), &records(2..3));
    assert!(place.text(0).starts_with("a note of somebody\n{\"timestamp\":"));
}

#[test]
fn file_moved_copied_away_or_deleted_is_found_out() {
    let place = Place::new(1 << 20, 1);
    let mut book = place.book();
    write(&mut book, &records(0..1));
    let aside = place.dir.path().join("aside");
    fs::rename(place.settings.path(0), &aside).unwrap();
    write(&mut book, &records(1..2));
    assert_eq!(
        (place.numbers(), fs::read_to_string(&aside).unwrap().lines().count()),
        (vec![1], 1)
    );
    // What `copytruncate` does.
    fs::File::create(place.settings.path(0)).unwrap();
    write(&mut book, &records(2..3));
    assert_eq!(place.numbers(), [2]);
    fs::remove_dir_all(&place.settings.dir).unwrap();
    write(&mut book, &records(3..4));
    assert_eq!(place.numbers(), [3]);
}

#[test]
fn s9_too_little_free_space_pauses_before_a_byte_is_written() {
    let mut place = Place::new(1 << 20, 1);
    place.settings.min_free = u64::MAX;
    let (written, error) = place.book().write(&records(0..3));
    assert_eq!(written, 0);
    assert!(error.unwrap().to_string().contains("journal_min_free"));
    assert_eq!(place.text(0), "");
}

#[test]
fn something_else_under_the_name_is_an_error_and_not_harmed() {
    let place = Place::new(1 << 20, 1);
    fs::create_dir_all(place.settings.path(0)).unwrap();
    assert!(place.book().write(&records(0..1)).1.is_some());
    assert!(place.settings.path(0).is_dir());
}

#[test]
fn records_over_the_bounds_are_counted() {
    let handle = Handle::default();
    let mut pen = handle.pen();
    for number in 0..JOURNAL_QUEUE + 3 {
        pen.write(record(number, 0));
    }
    pen.hand_over();
    assert_eq!((handle.depth(), handle.dropped()), (JOURNAL_QUEUE as u64, 3));
    let handle = Handle::default();
    let mut pen = handle.pen();
    let large = JOURNAL_QUEUE_BYTES / 100;
    for number in 0..100 {
        pen.write(record(number, large));
    }
    pen.hand_over();
    assert_eq!((handle.depth(), handle.dropped()), (99, 1));
}

#[test]
fn thread_writes_all_that_it_was_given_before_it_ends() {
    let place = Place::new(1 << 20, 1);
    let handle = Handle::default();
    let running = start(handle.clone(), Some(place.settings.clone()), Box::new(|_| true)).unwrap();
    let mut pen = handle.pen();
    for number in 0..2000 {
        pen.write(record(number, 0));
        if number % 64 == 0 {
            pen.hand_over();
        }
    }
    pen.hand_over();
    running.stop();
    assert_eq!(place.numbers(), (0..2000).collect::<Vec<_>>());
    assert_eq!((handle.depth(), handle.dropped()), (0, 0));
}

#[test]
fn s9_trouble_is_told_once_counted_exactly_and_ends_by_itself() {
    let place = Place::new(1 << 20, 1);
    // A file where the directory has to be.
    fs::write(place.dir.path().join("deep"), "").unwrap();
    let (sender, told) = channel();
    let handle = Handle::default();
    let tell = Box::new(move |text| sender.send(text).is_ok());
    let running = start(handle.clone(), Some(place.settings.clone()), tell).unwrap();
    let mut pen = handle.pen();
    let mut sent = 0;
    let mut write = |count| {
        records(sent..sent + count).into_iter().for_each(|record| pen.write(record));
        pen.hand_over();
        sent += count;
    };
    write(10);
    assert!(told.recv_timeout(PATIENCE).unwrap().contains("cannot be written"));
    write(10);
    until("the second attempt gives up", || handle.dropped() == 20);
    fs::remove_file(place.dir.path().join("deep")).unwrap();
    write(10);
    until("it is written again", || handle.depth() == 0);
    running.stop();
    assert_eq!(handle.dropped(), 20);
    assert_eq!(place.numbers(), (20..30).collect::<Vec<_>>());
    assert!(told.try_recv().is_err(), "one event for one trouble");
}

#[test]
fn settings_take_effect_after_what_came_before_them() {
    let (first, second) = (Place::new(1 << 20, 1), Place::new(1 << 20, 1));
    let handle = Handle::default();
    let running = start(handle.clone(), Some(first.settings.clone()), Box::new(|_| true)).unwrap();
    let mut pen = handle.pen();
    let mut write = |number| {
        pen.write(record(number, 0));
        pen.hand_over();
    };
    write(1);
    handle.configure(Some(second.settings.clone()));
    until("the other file is written", || {
        write(2);
        !second.numbers().is_empty()
    });
    handle.configure(None);
    until("nothing is written any more", || {
        write(3);
        handle.dropped() > 0
    });
    running.stop();
    assert_eq!(first.numbers()[0], 1);
    assert!(!second.numbers().contains(&1) && !first.numbers().contains(&3));
}

#[test]
fn s9_inbox_that_overflows_is_told_once() {
    let place = Place::new(64 << 20, 1);
    let handle = Handle::default();
    let mut pen = handle.pen();
    // Before the thread runs: a disk could not be slower.
    records(0..JOURNAL_QUEUE + 100).into_iter().for_each(|record| pen.write(record));
    pen.hand_over();
    let (sender, told) = channel();
    let tell = Box::new(move |text| sender.send(text).is_ok());
    let running = start(handle.clone(), Some(place.settings.clone()), tell).unwrap();
    assert!(told.recv_timeout(PATIENCE).unwrap().contains("too slow"));
    running.stop();
    assert_eq!((handle.depth(), handle.dropped()), (0, 100));
    assert_eq!(place.numbers().len(), JOURNAL_QUEUE);
    assert!(told.try_recv().is_err());
}
