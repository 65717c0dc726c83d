//! `hbd journal verify|cat|stats`: the journal's files read back, oldest first. Asks no running server.

use crate::args::Invocation;
use crate::lookup::Environment;
use crate::reading::Source;
use crate::{EXIT_CONFIG, EXIT_FAILED, EXIT_OK, EXIT_USAGE};
use heartbeat::journal::{Line, Note, Stats, each_line, file_name, note};
use heartbeat::os::clock;
use heartbeat::time::{Wall, parse_duration};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// Problems of one file that are shown; the others are counted.
const SHOWN_MAX: u64 = 20;
const BUFFER: usize = 256 << 10;

/// Returns the exit status: 1 where a line is damaged or a file cannot be read.
pub fn run(invocation: &Invocation, env: &Environment) -> u8 {
    let verb = invocation.words.first().map(String::as_str).unwrap_or_default();
    let body: fn(&Task<'_>) -> io::Result<u8> = match verb {
        "verify" => verify,
        "cat" => cat,
        "stats" => stats,
        _ => {
            eprintln!("hbd: usage: hbd journal verify|cat|stats [FILE..]");
            return EXIT_USAGE;
        }
    };
    let task = match Task::new(invocation, env) {
        Ok(task) => task,
        Err((status, words)) => {
            eprintln!("hbd: {words}");
            return status;
        }
    };
    match body(&task) {
        Ok(status) => status,
        // A reader that has seen enough (`| head`) is no failure.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => EXIT_OK,
        Err(error) => {
            eprintln!("hbd: {error}");
            EXIT_FAILED
        }
    }
}

/// The files, all open before the first is read, so that a rotation meanwhile takes none away; and which lines
/// are wanted.
struct Task<'a> {
    invocation: &'a Invocation,
    files: Vec<(PathBuf, File)>,
    host: Option<String>,
    since: Option<Wall>,
}

impl<'a> Task<'a> {
    fn new(invocation: &'a Invocation, env: &Environment) -> Result<Task<'a>, (u8, String)> {
        let since = match &invocation.since {
            None => None,
            Some(text) => {
                let span = parse_duration(text).ok_or((
                    EXIT_USAGE,
                    format!("--since {text}: not a duration like 90s, 2h, 7d"),
                ))?;
                Some(clock::now().wall - span)
            }
        };
        let host = invocation.host.as_ref().map(|host| host.to_ascii_lowercase());
        let files = match invocation.words.get(1..) {
            Some(named) if !named.is_empty() => open_named(named)?,
            _ => open_configured(invocation, env)?,
        };
        Ok(Task { invocation, files, host, since })
    }

    fn wants(&self, note: &Note) -> bool {
        let host = self.host.as_ref();
        host.is_none_or(|host| note.host.as_ref() == Some(host))
            && self.since.is_none_or(|since| note.timestamp >= since.as_secs_f64())
    }
}

fn open_named(named: &[String]) -> Result<Vec<(PathBuf, File)>, (u8, String)> {
    named
        .iter()
        .map(|name| match File::open(name) {
            Ok(file) => Ok((PathBuf::from(name), file)),
            Err(error) => Err((EXIT_FAILED, format!("{name}: {error}"))),
        })
        .collect()
}

/// The journal of the configuration and its backups, oldest first.
fn open_configured(
    invocation: &Invocation,
    env: &Environment,
) -> Result<Vec<(PathBuf, File)>, (u8, String)> {
    let source = Source::new(invocation.config.clone(), env.clone(), false);
    let reading = source.read();
    if reading.has_error() {
        eprint!("{}", reading.render_problems());
        return Err((EXIT_CONFIG, "name the files, or mend the configuration".to_owned()));
    }
    let Some(dir) = source.journal_dir(&reading.server) else {
        return Err((EXIT_FAILED, "no state directory; name the files".to_owned()));
    };
    let mut files = Vec::new();
    let mut seen = BTreeSet::new();
    // From the newest on: a rotation in between then shows a file twice and hides none.
    for n in 0..=1000 {
        let path = dir.join(file_name(&reading.server.journal_file, n));
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound && n == 0 => continue,
            Err(error) if error.kind() == ErrorKind::NotFound => break,
            Err(error) => return Err((EXIT_FAILED, format!("{}: {error}", path.display()))),
        };
        let id = file.metadata().map(|found| (found.dev(), found.ino()));
        if id.is_ok_and(|id| seen.insert(id)) {
            files.push((path, file));
        }
    }
    if files.is_empty() {
        return Err((EXIT_FAILED, format!("no journal in {}", dir.display())));
    }
    files.reverse();
    Ok(files)
}

/// Every line must read; a torn last one is noted and no damage.
fn verify(task: &Task<'_>) -> io::Result<u8> {
    let mut status = EXIT_OK;
    let mut out = io::stdout().lock();
    for (path, file) in &task.files {
        let (mut lines, mut damaged, mut torn) = (0u64, 0u64, 0);
        each_line(&mut BufReader::with_capacity(BUFFER, file), |number, line| {
            let problem = match line {
                Line::Torn(len) => {
                    torn = len;
                    return Ok(());
                }
                Line::TooLong => Err("too long".to_owned()),
                Line::Whole(bytes) => note(bytes).map(drop),
            };
            lines += 1;
            if let Err(what) = problem {
                damaged += 1;
                if damaged <= SHOWN_MAX {
                    writeln!(out, "{}:{number}: {what}", path.display())?;
                }
            }
            Ok(())
        })
        .map_err(|error| named(path, &error))?;
        let note = if torn > 0 { ", torn last line" } else { "" };
        writeln!(out, "{}: {lines} lines, {damaged} damaged{note}", path.display())?;
        if damaged > 0 {
            status = EXIT_FAILED;
        }
    }
    Ok(status)
}

fn named(path: &std::path::Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn cat(task: &Task<'_>) -> io::Result<u8> {
    let mut out = BufWriter::with_capacity(BUFFER, io::stdout().lock());
    let all = task.host.is_none() && task.since.is_none();
    let mut skipped = 0u64;
    for (_, file) in &task.files {
        each_line(&mut BufReader::with_capacity(BUFFER, file), |_, line| {
            let note = match line {
                Line::Whole(bytes) => note(bytes).ok().map(|note| (bytes, note)),
                Line::Torn(_) | Line::TooLong => None,
            };
            match note {
                Some((bytes, note)) if all || task.wants(&note) => {
                    out.write_all(bytes)?;
                    out.write_all(b"\n")?;
                }
                Some(_) => {}
                None => skipped += 1,
            }
            Ok(())
        })?;
    }
    out.flush()?;
    if skipped > 0 && !task.invocation.quiet {
        eprintln!("hbd: left out {skipped} torn or damaged; `hbd journal verify` names them");
    }
    Ok(EXIT_OK)
}

fn stats(task: &Task<'_>) -> io::Result<u8> {
    let mut stats = Stats::default();
    for (_, file) in &task.files {
        each_line(&mut BufReader::with_capacity(BUFFER, file), |_, line| {
            match line {
                Line::Whole(bytes) => {
                    let note = note(bytes);
                    if note.as_ref().map_or(true, |note| task.wants(note)) {
                        stats.add(bytes.len() as u64 + 1, note);
                    }
                }
                Line::TooLong => stats.add(0, Err("too long".to_owned())),
                Line::Torn(_) => {}
            }
            Ok(())
        })?;
    }
    let mut out = BufWriter::new(io::stdout().lock());
    if task.invocation.json {
        serde_json::to_writer_pretty(&mut out, &stats)?;
        writeln!(out)?;
    } else {
        write_table(&mut out, task.files.len(), &stats)?;
    }
    out.flush()?;
    Ok(EXIT_OK)
}

fn write_table(out: &mut impl Write, files: usize, stats: &Stats) -> io::Result<()> {
    writeln!(out, "{:<12} {files}", "files")?;
    writeln!(out, "{:<12} {}", "lines", stats.lines)?;
    writeln!(out, "{:<12} {}", "bytes", stats.bytes)?;
    writeln!(out, "{:<12} {}", "damaged", stats.damaged)?;
    for (name, at) in [("first", stats.first), ("last", stats.last)] {
        writeln!(out, "{name:<12} {}", at.map_or("-".to_owned(), local))?;
    }
    for (title, counts) in [("ID", &stats.by_id), ("host", &stats.by_host)] {
        writeln!(out, "\n{title:<40} {:>12}", "lines")?;
        let mut rows: Vec<_> = counts.iter().collect();
        rows.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        for (name, count) in rows {
            let name = heartbeat::text::escape_control(name);
            writeln!(out, "{name:<40} {count:>12}")?;
        }
    }
    Ok(())
}

/// Local time as the journal writes it.
fn local(at: f64) -> String {
    heartbeat::journal::datetime(Wall::from_secs_f64(at).as_secs(), &clock::local_offset)
}
