//! `hbd passwd USER`: reads a password and prints the line for `users.USER.password`.
//!
//! Talks to no server and writes no file. The password is never on a command line, never shown.

use crate::{EXIT_FAILED, EXIT_OK, EXIT_USAGE};
use heartbeat::account::password::{Hash, ITERATIONS, PASSWORD_MAX, SALT};
use heartbeat::config::server::is_user_name;
use std::io::{self, BufRead, IsTerminal, Read, Write};

/// Runs the subcommand; returns the exit status.
pub fn run(user: &str) -> u8 {
    if !is_user_name(user) {
        eprintln!(
            "hbd: {user:?} is not a name of a user - use a-z, 0-9, '.', '_' and '-', at most 32, \
             beginning with a letter or digit"
        );
        return EXIT_USAGE;
    }
    match read().and_then(|password| hash(&password)) {
        Ok(line) => {
            // A reader that has gone is no failure.
            let _ = writeln!(io::stdout(), "{line}");
            EXIT_OK
        }
        Err(words) => {
            eprintln!("hbd: {words}");
            EXIT_FAILED
        }
    }
}

fn hash(password: &str) -> Result<String, String> {
    if password.is_empty() {
        return Err("the password is empty".to_owned());
    }
    if password.len() > PASSWORD_MAX {
        return Err(format!("the password is longer than {PASSWORD_MAX} bytes"));
    }
    let mut random = [0; SALT];
    getrandom::fill(&mut random).map_err(|error| format!("no random bytes: {error}"))?;
    Ok(Hash::make(password, ITERATIONS, random).to_string())
}

/// Twice at a terminal, where they must be equal; one line of standard input otherwise.
fn read() -> Result<String, String> {
    if !io::stdin().is_terminal() {
        return line();
    }
    let _hidden = Hidden::new();
    let first = ask("Password: ")?;
    let second = ask("Again: ")?;
    if first != second {
        return Err("the two are not equal".to_owned());
    }
    Ok(first)
}

fn ask(prompt: &str) -> Result<String, String> {
    eprint!("{prompt}");
    let answer = line();
    eprintln!();
    answer
}

fn line() -> Result<String, String> {
    let mut bytes = Vec::new();
    let read = io::stdin().lock().take(2 * PASSWORD_MAX as u64).read_until(b'\n', &mut bytes);
    match read {
        Ok(0) => return Err("no password was given".to_owned()),
        Ok(_) => {}
        Err(error) => return Err(format!("the password cannot be read: {error}")),
    }
    let mut text = String::from_utf8(bytes).map_err(|_| "the password is not UTF-8".to_owned())?;
    text.truncate(text.trim_end_matches(['\n', '\r']).len());
    Ok(text)
}

/// What is typed is not shown while this lives. Interrupted, the terminal is left to the shell, which
/// puts it right.
struct Hidden(Option<libc::termios>);

impl Hidden {
    fn new() -> Hidden {
        // SAFETY: termios is plain data that tcgetattr fills, or fails.
        let mut settings: libc::termios = unsafe { std::mem::zeroed() };
        // SAFETY: both calls take a descriptor that is open and a termios of ours.
        let known = unsafe { libc::tcgetattr(libc::STDIN_FILENO, &raw mut settings) } == 0;
        let before = settings;
        settings.c_lflag &= !libc::ECHO;
        // SAFETY: as above.
        let set = known
            && unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSAFLUSH, &raw const settings) }
                == 0;
        Hidden(set.then_some(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        if let Some(before) = self.0 {
            // SAFETY: as in `new`.
            unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSAFLUSH, &raw const before) };
        }
    }
}
