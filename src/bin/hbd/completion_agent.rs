//! `hbd completions SHELL hbc|hbc-mini`: completions of the agents, from the table that they parse by.
//!
//! The agents do not write them themselves: hbc-mini has no room for it, and whoever packages has hbd.

use crate::completion::{bash_walk, quoted};
use heartbeat::agent::command_line::{OPTIONS, Opt, Sub, subcommands};
use heartbeat::config::agent::BUILT_IN;
use std::fmt::Write as _;

/// The agents' programs.
pub const PROGRAMS: [&str; 2] = ["hbc", "hbc-mini"];

/// `None` where the shell or the program is none of ours.
pub fn script(shell: &str, program: &str) -> Option<String> {
    let program = PROGRAMS.into_iter().find(|known| *known == program)?;
    Some(match shell {
        "bash" => bash(program),
        "zsh" => zsh(program),
        "fish" => fish(program),
        _ => return None,
    })
}

fn subs(program: &str) -> impl Iterator<Item = &'static Sub> {
    subcommands(program != "hbc")
}

/// What can stand after a subcommand: the plugins, a command's own words, or nothing that is known.
fn arguments(sub: &Sub) -> String {
    match sub.word {
        "test-plugins" => BUILT_IN.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" "),
        _ if sub.arguments.starts_with("--") => sub.arguments.to_owned(),
        _ => String::new(),
    }
}

fn is_file(option: &Opt) -> bool {
    option.value == Some("FILE")
}

/// `-c|--config`, of the options for which this holds.
fn patterns(wanted: impl Fn(&Opt) -> bool) -> String {
    let names = OPTIONS.iter().filter(|option| wanted(option)).flat_map(|option| {
        let short = option.short.map(|letter| format!("-{letter}"));
        short.into_iter().chain([format!("--{}", option.long)])
    });
    names.collect::<Vec<_>>().join("|")
}

fn bash(program: &str) -> String {
    let function = format!("_{}", program.replace('-', "_"));
    let longs: Vec<String> = OPTIONS.iter().map(|option| format!("--{}", option.long)).collect();
    let words: Vec<&str> = subs(program).map(|sub| sub.word).collect();
    let mut out = format!(
        "# bash completion of {program}, written by: hbd completions bash {program}\n\
         {function}() {{\n\
         \x20   local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} sub= words= i\n\
         {}\
         \x20   esac\n\
         \x20   case $sub in\n\
         \x20       '') words='{} {}'; [[ $cur == -* ]] || words+=\" $(compgen -A hostname -- \"$cur\")\" ;;\n",
        bash_walk(&patterns(|option| option.value.is_some()), &patterns(is_file)),
        words.join(" "),
        longs.join(" "),
    );
    for sub in subs(program) {
        let _ = match (sub.word, arguments(sub)) {
            ("doctor", _) => {
                writeln!(out, "        doctor) words=$(compgen -A hostname -- \"$cur\") ;;")
            }
            // What follows is another program's.
            ("wrap", _) => writeln!(out, "        wrap) return ;;"),
            (word, words) => writeln!(out, "        {word}) words='{words}' ;;"),
        };
    }
    let _ = write!(
        out,
        "        *) words='{}' ;;\n\
         \x20   esac\n\
         \x20   mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n\
         }}\n\
         complete -o default -F {function} {program}\n",
        longs.join(" "),
    );
    out
}

fn zsh(program: &str) -> String {
    let function = format!("_{}", program.replace('-', "_"));
    let spec = |option: &Opt| {
        let value = match option.value {
            None => String::new(),
            Some(value) if is_file(option) => format!(":{value}:_files"),
            Some(value) => format!(":{value}: "),
        };
        let one = |name: String| format!("'{name}[{}]{value}'", quoted(option.help));
        let short = option.short.map(|letter| one(format!("-{letter}"))).into_iter();
        short.chain([one(format!("--{}", option.long))]).collect::<Vec<_>>().join(" ")
    };
    let specs: Vec<String> = OPTIONS.iter().map(spec).collect();
    let mut out = format!(
        "#compdef {program}\n# written by: hbd completions zsh {program}\n\
         {function}() {{\n    local line state\n    local -a subcommands\n    subcommands=(\n"
    );
    for sub in subs(program) {
        let _ = writeln!(out, "        '{}:{}'", sub.word, quoted(sub.help));
    }
    let _ = write!(
        out,
        "    )\n    _arguments -C {} '1: :->first' '*:: :->rest'\n    case $state in\n\
         \x20       first) _describe subcommand subcommands; _hosts ;;\n\
         \x20       rest)\n            case $line[1] in\n",
        specs.join(" ")
    );
    for sub in subs(program) {
        let _ = match (sub.word, arguments(sub)) {
            ("doctor", _) => writeln!(out, "                doctor) _hosts ;;"),
            ("wrap", _) => writeln!(out, "                wrap) _normal ;;"),
            (word, words) if words.is_empty() => writeln!(out, "                {word}) ;;"),
            (word, words) => writeln!(out, "                {word}) compadd -- {words} ;;"),
        };
    }
    let _ = write!(
        out,
        "                *) _hosts ;;\n            esac ;;\n    esac\n}}\n{function} \"$@\"\n"
    );
    out
}

fn fish(program: &str) -> String {
    let plain = |text: &str| text.replace('\'', "’");
    let mut out = format!(
        "# fish completion of {program}, written by: hbd completions fish {program}\n\
         complete -c {program} -f -a '(__fish_print_hostnames)'\n"
    );
    for option in OPTIONS {
        let short = option.short.map(|letter| format!(" -s {letter}")).unwrap_or_default();
        let value = match option.value {
            None => "",
            Some(_) if is_file(option) => " -r -F",
            Some(_) => " -x",
        };
        let help = plain(option.help);
        let _ = writeln!(out, "complete -c {program}{short} -l {}{value} -d '{help}'", option.long);
    }
    for sub in subs(program) {
        let (word, help) = (sub.word, plain(sub.help));
        let _ =
            writeln!(out, "complete -c {program} -n __fish_use_subcommand -a {word} -d '{help}'");
        let words = arguments(sub);
        if !words.is_empty() {
            let _ = writeln!(
                out,
                "complete -c {program} -n '__fish_seen_subcommand_from {word}' -a '{words}'"
            );
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completions_of_agents_name_every_subcommand_and_option() {
        for program in PROGRAMS {
            for shell in ["bash", "zsh", "fish"] {
                let text = script(shell, program).expect("ours");
                for option in OPTIONS {
                    let fish = format!("-l {}", option.long);
                    assert!(text.contains(&format!("--{}", option.long)) || text.contains(&fish));
                }
                for sub in subs(program) {
                    assert!(text.contains(sub.word), "{shell} {program} {}", sub.word);
                }
                assert_eq!(text.contains("wrap"), program == "hbc", "{shell} {program}");
            }
        }
        assert_eq!(script("bash", "hbx"), None);
        assert_eq!(script("tcsh", "hbc"), None);
    }

    /// After a change of an option: `UPDATE_EXPECT=1 cargo test --bin hbd completion`.
    #[test]
    fn completions_of_docs_are_what_the_tables_say() {
        let dir = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/completions");
        for shell in ["bash", "zsh", "fish"] {
            for program in ["hbd", "hbc", "hbc-mini"] {
                let text = crate::completion::script(shell, program).expect("ours");
                let path = dir.join(format!("{program}.{shell}"));
                expect_test::ExpectFile { path, position: file!() }.assert_eq(&text);
            }
        }
    }
}
