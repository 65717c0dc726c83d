//! `--help`, `hbd SUBCOMMAND --help` and `hbd help TOPIC`: the tables of `args` as people read them.

use crate::args::{Action, FLAGS, Flag, SUBCOMMANDS, Subcommand, Taker};
use crate::{EXIT_OK, EXIT_USAGE};
use heartbeat::config::problem::{self, nearest};
use std::fmt::Write as _;

/// What the subcommands are for. One that no row names is listed under the last title.
const GROUPS: &[(&str, &[&str])] = &[
    ("look", &["status", "hosts", "host", "alerts", "events", "ghosts", "commands", "explain"]),
    ("calm", &["ack", "unack", "silence", "unsilence", "maintenance"]),
    ("act", &["watch", "drop", "run", "upgrade", "dns", "reload", "notify-test"]),
    ("access", &["passwd", "token", "key", "sign"]),
    ("set up", &["init", "check-config", "journal", "help", "completions", "man"]),
];
const WIDTH: usize = 78;

/// Words that `hbd help` explains.
const TOPICS: &[(&str, &str)] = &[
    (
        "filters",
        "hbd hosts FILTER.. and the box above the table of hosts take the same words; all must match:\n\
         \x20 web               the name, group or a tag holds it\n\
         \x20 state:down,crit   down critical warning late unreachable unknown maintenance up;\n\
         \x20                   short: crit warn unreach unk maint\n\
         \x20 tag:web  group:basel  owner:alice",
    ),
    (
        "scopes",
        "A scope says what a silence or a maintenance is for: host:, group:, tag:, plugin: or path:\n\
         with a glob (host:web*). Several must all match.",
    ),
    (
        "thresholds",
        "thresholds.PLUGIN.METRIC: {warning: 80, critical: 90} is for every host; profiles under\n\
         threshold_configs are laid over it by hosts.NAME.threshold_config. An alert is over when the\n\
         value has passed the limit by the hysteresis (0.02). hbd explain HOST METRIC shows which limit\n\
         counts and from which line. The whole of it: docs/THRESHOLD_ALERTING.md.",
    ),
    (
        "roles",
        "monitor: sees a host. manager: acknowledges, silences, plans maintenance and runs commands.\n\
         owner: changes who may do what, and drops it. admin: all of it, for every host. Roles are\n\
         hosts.NAME.owner, managers, monitors, and users.NAME.admin.",
    ),
    (
        "durations",
        "30 and 30s are seconds; 5m, 1h30m, 7d and 2w as they read. Sizes: 1048576, 64kB, 100MB, 4GB.",
    ),
    (
        "exit",
        "0 ok; 1 failed; 2 bad command line; 3 the server cannot be reached; 4 not allowed; 78 bad\n\
         configuration. status --check follows Nagios: 0 ok, 1 warning, 2 critical, 3 unknown.",
    ),
];

/// The text of `--help`, of the program or of a subcommand.
pub fn print(subcommand: Option<&str>) {
    let row = subcommand.and_then(|name| SUBCOMMANDS.iter().find(|row| row.name == name));
    print!("{}", row.map_or_else(overview, of));
}

/// `hbd help [TOPIC]`: a code that `check-config` showed, a subcommand, or a word.
pub fn topic(word: Option<&str>) -> u8 {
    let Some(word) = word else {
        print!("{}", topics());
        return EXIT_OK;
    };
    if let Some(topic) = problem::topic(word) {
        println!("{}: {}\n\n{}", topic.code, topic.title, topic.text);
    } else if let Some(row) = SUBCOMMANDS.iter().find(|row| row.name == word) {
        print!("{}", of(row));
    } else if let Some((_, text)) = TOPICS.iter().find(|(name, _)| *name == word) {
        println!("{text}");
    } else {
        let names = SUBCOMMANDS.iter().map(|row| row.name).chain(TOPICS.iter().map(|t| t.0));
        let guess = nearest(word, names.chain(problem::TOPICS.iter().map(|t| t.code)));
        let guess = guess.map(|guess| format!("; did you mean {guess:?}?")).unwrap_or_default();
        eprintln!("hbd: nothing to tell about {word:?}{guess}\nhbd help lists what there is");
        return EXIT_USAGE;
    }
    EXIT_OK
}

fn topics() -> String {
    let mut out = String::from("hbd help TOPIC explains one of these:\n");
    let names: Vec<&str> = TOPICS.iter().map(|(name, _)| *name).collect();
    let _ = writeln!(out, "{}, a subcommand, or a code of check-config:", names.join(", "));
    for topic in problem::TOPICS {
        let _ = writeln!(out, "  {}  {}", topic.code, topic.title);
    }
    out
}

/// The subcommands by what they are for; every one is in it once.
pub fn groups() -> Vec<(&'static str, Vec<&'static Subcommand>)> {
    let find = |name: &&str| SUBCOMMANDS.iter().find(|row| row.name == *name);
    let mut groups: Vec<_> = GROUPS
        .iter()
        .map(|(title, names)| (*title, names.iter().filter_map(find).collect::<Vec<_>>()))
        .collect();
    let named = |row: &&Subcommand| GROUPS.iter().any(|(_, names)| names.contains(&row.name));
    let rest = SUBCOMMANDS.iter().filter(|row| !named(row));
    if let Some((_, last)) = groups.last_mut() {
        last.extend(rest);
    }
    groups
}

fn overview() -> String {
    let mut out = String::from(
        "hbd: the Heartbeat server. Hosts send heartbeats; it tells when they stop.\n\n\
         hbd [-c FILE] [-f] [-v]   run the server (as a daemon unless -f)\n\
         hbd SUBCOMMAND ..         one of these; hbd SUBCOMMAND --help tells more\n",
    );
    for (title, rows) in groups() {
        let mut line = format!("  {title:<8}");
        for row in rows {
            if line.len() + 1 + row.name.len() > WIDTH {
                let _ = writeln!(out, "{line}");
                line = " ".repeat(10);
            }
            let _ = write!(line, " {}", row.name);
        }
        let _ = writeln!(out, "{line}");
    }
    out.push('\n');
    let general = |flag: &&Flag| !matches!(flag.taker, Taker::These(_));
    for flag in FLAGS.iter().filter(general) {
        out.push_str(&flag_line(flag));
    }
    out.push_str(
        "\nExamples:\n\
         \x20 hbd -f --with-agent              try it: pages on http://127.0.0.1:50004/\n\
         \x20 hbd check-config -c /etc/heartbeat/hbd.yaml\n\
         \x20 hbd hosts state:down --json\n\
         Files: -c FILE, $HBD_CONFIG, ~/.hb.yaml, /etc/heartbeat/hbd.yaml with conf.d/*.yaml\n\
         Exit status: 0 ok, 1 failed, 2 bad command line, 3 no server, 4 not allowed, 78 bad\n\
         configuration. More: hbd help, man hbd\n",
    );
    out
}

fn of(row: &Subcommand) -> String {
    let mut out = format!("usage: hbd {} {}", row.name, row.words).trim_end().to_owned();
    let _ = write!(out, "\n\n{}\n\n", row.help);
    let own = |flag: &&Flag| matches!(flag.taker, Taker::These(_)) && flag.taker.takes(row.action);
    for flag in FLAGS.iter().filter(own) {
        out.push_str(&flag_line(flag));
    }
    let general = |flag: &&Flag| !matches!(flag.taker, Taker::These(_) | Taker::Serve);
    for flag in FLAGS.iter().filter(general).filter(|flag| flag.taker.takes(row.action)) {
        out.push_str(&flag_line(flag));
    }
    if row.words.contains("SCOPE") {
        out.push_str(
            "\nSCOPE is host:, group:, tag:, plugin: or path: with a glob; all must match\n",
        );
    }
    if row.action == Action::Hosts {
        out.push_str("\nFILTER: hbd help filters\n");
    }
    out
}

fn flag_line(flag: &Flag) -> String {
    let short = flag.short.map_or("    ".to_owned(), |c| format!("-{c}, "));
    let long = format!("--{} {}", flag.long, flag.value);
    format!("  {short}{long:<20} {}\n", flag.help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_fits_a_screen_and_names_everything() {
        let help = overview();
        assert!(help.lines().count() <= 40, "{}", help.lines().count());
        for row in SUBCOMMANDS {
            assert!(help.contains(&format!(" {}", row.name)), "{}", row.name);
        }
        let all: Vec<String> = SUBCOMMANDS.iter().map(of).chain([help]).collect();
        for text in &all {
            assert!(text.lines().all(|line| line.chars().count() <= 90), "{text}");
            assert!(text.lines().count() <= 40, "{text}");
        }
        for flag in FLAGS {
            assert!(all.iter().any(|text| text.contains(&format!("--{}", flag.long))));
        }
        assert!(all[..SUBCOMMANDS.len()].iter().all(|text| !text.contains("\n\n\n")));
    }
}
