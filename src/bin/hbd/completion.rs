//! `hbd completions bash|zsh|fish [PROGRAM]`: hbd's own from the tables of `args`, the agents' by `completion_agent`.
//!
//! Names of hosts come from the running server, which has 300 ms to tell them.

use crate::args::{Action, FLAGS, Flag, SUBCOMMANDS, Subcommand};
use crate::{EXIT_OK, EXIT_USAGE, completion_agent};
use std::fmt::Write as _;

const NAMES: &str = "timeout 0.3 hbd hosts --names 2>/dev/null";

/// `program`: hbd where it is empty.
pub fn run(shell: &str, program: &str) -> u8 {
    let program = if program.is_empty() { "hbd" } else { program };
    let Some(text) = script(shell, program) else {
        eprintln!(
            "hbd: completions for bash, zsh and fish, of hbd, hbc and hbc-mini, not for {shell:?} of {program:?}"
        );
        return EXIT_USAGE;
    };
    print!("{text}");
    EXIT_OK
}

/// `None` where the shell or the program is none of ours.
pub fn script(shell: &str, program: &str) -> Option<String> {
    if program != "hbd" {
        return completion_agent::script(shell, program);
    }
    Some(match shell {
        "bash" => bash(),
        "zsh" => zsh(),
        "fish" => fish(),
        _ => return None,
    })
}

/// Whether its first argument is a host.
fn takes_host(row: &Subcommand) -> bool {
    row.words.starts_with("HOST") || row.words.starts_with("[HOST]") || row.action == Action::Host
}

/// Words that a subcommand's argument can be, as its row of the table shows them: `on|off`, `[accept|ignore NAME]`.
fn choices(row: &Subcommand) -> Vec<&'static str> {
    match row.name {
        "completions" => return vec!["bash", "zsh", "fish", "hbc", "hbc-mini"],
        "journal" => return vec!["verify", "cat", "stats"],
        _ => {}
    }
    let words = row.words.split([' ', '[', ']']).filter(|word| word.contains('|'));
    let plain = |word: &&str| word.len() > 1 && word.bytes().all(|b| b.is_ascii_lowercase());
    words.flat_map(|word| word.split('|')).filter(plain).collect()
}

fn is_file(flag: &Flag) -> bool {
    flag.value == "FILE"
}

fn of_action(action: Action) -> impl Iterator<Item = &'static Flag> {
    FLAGS.iter().filter(move |flag| flag.taker.takes(action))
}

fn longs(action: Action) -> String {
    of_action(action).map(|flag| format!("--{}", flag.long)).collect::<Vec<_>>().join(" ")
}

/// `-c|--config`, of the flags for which this holds.
fn patterns(wanted: impl Fn(&Flag) -> bool) -> String {
    let names = FLAGS.iter().filter(|flag| wanted(flag)).flat_map(|flag| {
        let short = flag.short.map(|letter| format!("-{letter}"));
        short.into_iter().chain([format!("--{}", flag.long)])
    });
    names.collect::<Vec<_>>().join("|")
}

/// The part of a bash function that finds `sub`, the subcommand, and completes files behind an option that takes one.
/// `valued` and `files` are patterns of options.
pub fn bash_walk(valued: &str, files: &str) -> String {
    format!(
        "    for ((i = 1; i < COMP_CWORD; i++)); do\n\
         \x20       case ${{COMP_WORDS[i]}} in\n\
         \x20           {valued}) ((i++)) ;;\n\
         \x20           -*) ;;\n\
         \x20           *) sub=${{COMP_WORDS[i]}}; break ;;\n\
         \x20       esac\n\
         \x20   done\n\
         \x20   COMPREPLY=()\n\
         \x20   case $prev in\n\
         \x20       {files}) mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); return ;;\n"
    )
}

fn bash() -> String {
    let names: Vec<&str> = SUBCOMMANDS.iter().map(|row| row.name).collect();
    let mut out = format!(
        "# bash completion of hbd, written by: hbd completions bash\n\
         _hbd() {{\n\
         \x20   local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} sub= i\n\
         {}\
         \x20       --color) mapfile -t COMPREPLY < <(compgen -W 'auto always never' -- \"$cur\"); return ;;\n\
         \x20   esac\n\
         \x20   local words=\n\
         \x20   case $sub in\n\
         \x20       '') words='{} {}' ;;\n",
        bash_walk(&patterns(|flag| !flag.value.is_empty()), &patterns(is_file)),
        names.join(" "),
        longs(Action::Serve),
    );
    for row in SUBCOMMANDS {
        let _ = write!(out, "        {}) words='{}", row.name, longs(row.action));
        for choice in choices(row) {
            let _ = write!(out, " {choice}");
        }
        out.push('\'');
        if takes_host(row) {
            let _ = write!(out, "; [[ $cur == -* ]] || words+=\" $({NAMES})\"");
        }
        out.push_str(" ;;\n");
    }
    out.push_str(
        "    esac\n\
         \x20   mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n\
         }\n\
         complete -o default -F _hbd hbd\n",
    );
    out
}

/// Text between single quotes of a shell, and without what `_arguments` would take for its own.
pub fn quoted(text: &str) -> String {
    text.replace('\'', "’").replace('[', "(").replace(']', ")").replace(':', ";")
}

fn zsh() -> String {
    let spec = |flag: &Flag| {
        let value = match (flag.value, is_file(flag)) {
            ("", _) => String::new(),
            (value, true) => format!(":{value}:_files"),
            (value, false) => format!(":{value}: "),
        };
        let one = |name: String| format!("'{name}[{}]{value}'", quoted(flag.help));
        let short = flag.short.map(|c| one(format!("-{c}"))).into_iter();
        short.chain([one(format!("--{}", flag.long))]).collect::<Vec<_>>().join(" ")
    };
    let specs = |action: Action| of_action(action).map(spec).collect::<Vec<_>>().join(" ");
    let mut out = String::from("#compdef hbd\n# written by: hbd completions zsh\n");
    let _ = writeln!(
        out,
        "_hbd_hosts() {{ local -a names; names=(${{(f)\"$({NAMES})\"}}); compadd -a names }}"
    );
    out.push_str("_hbd() {\n    local line state\n    local -a subcommands\n    subcommands=(\n");
    for row in SUBCOMMANDS {
        let _ = writeln!(out, "        '{}:{}'", row.name, quoted(row.help));
    }
    let _ = write!(
        out,
        "    )\n    _arguments -C {} '1: :->subcommand' '*:: :->rest'\n    case $state in\n\
         \x20       subcommand) _describe subcommand subcommands ;;\n\
         \x20       rest)\n            case $line[1] in\n",
        specs(Action::Serve)
    );
    for row in SUBCOMMANDS {
        let words = choices(row).join(" ");
        let rest = match (takes_host(row), words.is_empty()) {
            (true, _) => "'1:host:_hbd_hosts'".to_owned(),
            (false, false) => format!("'1: :({words})'"),
            (false, true) => "'*: :_files'".to_owned(),
        };
        let _ = writeln!(
            out,
            "                {}) _arguments {} {rest} ;;",
            row.name,
            specs(row.action)
        );
    }
    out.push_str("            esac ;;\n    esac\n}\n_hbd \"$@\"\n");
    out
}

fn fish() -> String {
    let mut out = String::from("# fish completion of hbd, written by: hbd completions fish\n");
    let _ = writeln!(out, "complete -c hbd -f");
    let line = |flag: &Flag, condition: &str| {
        let short = flag.short.map(|c| format!(" -s {c}")).unwrap_or_default();
        let value = match (flag.value, is_file(flag)) {
            ("", _) => "",
            (_, true) => " -r -F",
            (_, false) => " -x",
        };
        format!(
            "complete -c hbd -n '{condition}'{short} -l {}{value} -d '{}'\n",
            flag.long,
            flag.help.replace('\'', "’")
        )
    };
    for flag in of_action(Action::Serve) {
        out.push_str(&line(flag, "__fish_use_subcommand"));
    }
    for row in SUBCOMMANDS {
        let help = row.help.replace('\'', "’");
        let _ =
            writeln!(out, "complete -c hbd -n __fish_use_subcommand -a {} -d '{help}'", row.name);
        let condition = format!("__fish_seen_subcommand_from {}", row.name);
        for flag in of_action(row.action) {
            out.push_str(&line(flag, &condition));
        }
        let words = choices(row).join(" ");
        if !words.is_empty() {
            let _ = writeln!(out, "complete -c hbd -n '{condition}' -a '{words}'");
        }
        if takes_host(row) {
            let _ = writeln!(out, "complete -c hbd -n '{condition}' -a '({NAMES})'");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packages install these; `UPDATE_EXPECT=1 cargo test --bin hbd completion::` writes them anew.
    #[test]
    fn files_of_docs_completions_are_what_the_tables_say() {
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/completions");
        for (name, text) in [("hbd.bash", bash()), ("hbd.zsh", zsh()), ("hbd.fish", fish())] {
            expect_test::ExpectFile { path: dir.join(name), position: file!() }.assert_eq(&text);
        }
    }

    #[test]
    fn completions_name_every_subcommand_and_option() {
        for text in [bash(), zsh(), fish()] {
            for row in SUBCOMMANDS {
                assert!(text.contains(row.name), "{}", row.name);
            }
            for flag in FLAGS {
                let fish = format!("-l {}", flag.long);
                assert!(text.contains(&format!("--{}", flag.long)) || text.contains(&fish));
            }
        }
    }

    #[test]
    fn choices_come_from_the_table() {
        let of = |name: &str| choices(SUBCOMMANDS.iter().find(|row| row.name == name).unwrap());
        assert_eq!(of("watch"), ["on", "off"]);
        assert_eq!(of("ghosts"), ["accept", "ignore"]);
        assert_eq!(of("status"), Vec::<&str>::new());
    }
}
