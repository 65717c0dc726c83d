//! Programs that an agent may run: `commands:`, `update:`, and a command given as text.
//!
//! Never runs anything, and knows no shell: text is split into words and nothing is expanded.

use super::{COMMAND_KEYS, Command, UPDATE_KEYS, Update, exclusive, set};
use crate::config::node::Value;
use crate::config::problem::quoted;
use crate::config::scalar;
use crate::config::section::{At, Fault, Report, Section};
use std::collections::BTreeMap;
use std::time::Duration;

/// `commands.<name>`: absolute programs only, for the server decides when they run.
pub(super) fn check(report: &mut Report<'_>, at: &At<'_>) -> BTreeMap<String, Command> {
    let mut commands = BTreeMap::new();
    for (key, node) in at.entries(report) {
        let at = at.child(key, node);
        if !is_command_name(&key.text) {
            let what = format!("{} is not a name of a command", quoted(&key.text));
            report.name_error(&at, what, "use letters, digits, '.', '_' and '-', at most 64");
        } else if let Some(command) = check_one(report, &at) {
            commands.insert(key.text.clone(), command);
        }
    }
    commands
}

fn check_one(report: &mut Report<'_>, at: &At<'_>) -> Option<Command> {
    let section = Section::open(report, at, COMMAND_KEYS)?;
    let fix = "add argv: [/path/of/the/program, argument]";
    section.require(report, "argv", fix);
    let list = section.get("argv")?;
    if !matches!(list.node.value, Value::List(_)) {
        report.fault(&list, scalar::wrong(&list, "a list: the program's path and its arguments"));
        return None;
    }
    let argv = section.texts(report, "argv")?;
    if !argv.first().is_some_and(|program| program.starts_with('/')) {
        let what = "\"argv\" must begin with the absolute path of a program".to_owned();
        report.error(&list, "E0106", what, fix);
        return None;
    }
    Some(Command {
        argv,
        args: section.bool(report, "args").unwrap_or(false),
        timeout: section.duration(report, "timeout").unwrap_or(Duration::from_secs(60)),
    })
}

fn is_command_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    (1..=64).contains(&name.len())
        && name.bytes().all(allowed)
        && name.as_bytes()[0].is_ascii_alphanumeric()
}

pub(super) fn check_update(report: &mut Report<'_>, at: &At<'_>) -> Option<Update> {
    let section = Section::open(report, at, UPDATE_KEYS)?;
    let mut update = Update {
        command: section.read(report, "command", words).unwrap_or_default(),
        url: section.read(report, "url", scalar::url),
        public_key: section.text(report, "public_key"),
        allow_downgrade: false,
    };
    set(&mut update.allow_downgrade, section.bool(report, "allow_downgrade"));
    if section.get("command").is_some() && section.get("url").is_some() {
        exclusive(report, &section, "url", "command");
    }
    if update.url.is_some() && update.public_key.is_none() {
        let what = "an update from a url needs the public key that signs it".to_owned();
        report.error(at, "E0105", what, "add public_key: the line that hbd sign --new-key printed");
    }
    let configured = !update.command.is_empty() || update.public_key.is_some();
    configured.then_some(update)
}

/// A command as a list of words, or as text that is split like a shell does.
pub(super) fn words(at: &At<'_>) -> Result<Vec<String>, Fault> {
    let words = match &at.node.value {
        Value::List(_) => {
            let read = |item: &At<'_>| scalar::text(item, scalar::TEXT_MAX);
            at.items().iter().map(read).collect::<Result<Vec<_>, _>>()?
        }
        _ => split(&scalar::word(at, scalar::TEXT_MAX)?)?,
    };
    match words.first() {
        Some(program) if !program.is_empty() => Ok(words),
        _ => Err(Fault {
            code: "E0105",
            what: format!("{} names no program", quoted(at.name())),
            fix: "write the program and its arguments".to_owned(),
        }),
    }
}

/// Splits at blanks; quotes and backslash mean what they mean to a shell, and nothing is expanded.
fn split(text: &str) -> Result<Vec<String>, Fault> {
    let fault = |what: String| Fault {
        code: "E0116",
        what,
        fix: "write a script that does this and name it here, or quote the character".to_owned(),
    };
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('"'), '\\') if chars.peek().is_some_and(|next| "\"\\$`".contains(*next)) => {
                word.get_or_insert_default().extend(chars.next());
            }
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '\\') => match chars.next() {
                Some(next) => word.get_or_insert_default().push(next),
                None => return Err(fault("the command ends with a backslash".to_owned())),
            },
            (None, '|' | ';' | '$' | '`' | '>') => {
                return Err(fault(format!("a command is run without a shell: '{c}' does nothing")));
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err(fault("a quote in the command is not closed".to_owned()));
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_text_is_split_as_a_shell_would() {
        let table: [(&str, Option<&[&str]>); 10] = [
            ("/bin/x -w 5,4,3  -c 1", Some(&["/bin/x", "-w", "5,4,3", "-c", "1"])),
            ("x 'a b' \"c d\"e", Some(&["x", "a b", "c de"])),
            ("x a\\ b '' ", Some(&["x", "a b", ""])),
            ("x \"a\\\"b\\n\"", Some(&["x", "a\"b\\n"])),
            ("x '$HOME' '|'", Some(&["x", "$HOME", "|"])),
            ("x | y", None),
            ("x $HOME", None),
            ("x `y`", None),
            ("x > /tmp/y", None),
            ("x 'open", None),
        ];
        for (text, want) in table {
            let got = split(text).ok();
            let want = want.map(|w| w.iter().map(ToString::to_string).collect::<Vec<_>>());
            assert_eq!(got, want, "{text}");
        }
        assert!(split("x;y").is_err() && split("x\\").is_err());
    }
}
