//! `hbd man DIR`: the manual pages, from the same tables and documents as everything else.

use crate::args::{FLAGS, Flag, Taker};
use crate::{EXIT_FAILED, EXIT_OK, help, reference, roff};
use heartbeat::agent::command_line;
use std::fmt::Write as _;
use std::path::Path;

const PROTOCOL: &str = include_str!("../../../docs/PROTOCOL.md");
const PLUGINS: &str = include_str!("../../../docs/PLUGINS.md");

/// Writes every page into a directory, which is made.
pub fn run(dir: &Path) -> u8 {
    let write = || -> std::io::Result<()> {
        std::fs::create_dir_all(dir)?;
        for (name, text) in pages() {
            std::fs::write(dir.join(name), text)?;
        }
        Ok(())
    };
    match write() {
        Ok(()) => EXIT_OK,
        Err(error) => {
            eprintln!("hbd: {}: {error}", dir.display());
            EXIT_FAILED
        }
    }
}

/// File name and text of each page.
pub fn pages() -> Vec<(&'static str, String)> {
    let yaml = format!("{}{}{SERVER_SEE_ALSO}", reference::common_part(), reference::server_part());
    let agent = format!("{}{}{AGENT_SEE_ALSO}", reference::common_part(), reference::agent_part());
    vec![
        ("hbd.8", roff::page("hbd", 8, "the Heartbeat monitoring server", &server())),
        (
            "hbc.8",
            roff::page(
                "hbc",
                8,
                "report this machine to a Heartbeat server",
                &agent_page("hbc", "hbc.yaml"),
            ),
        ),
        (
            "hbc-mini.8",
            roff::page(
                "hbc-mini",
                8,
                "report a small machine to a Heartbeat server",
                &agent_page("hbc-mini", "hbc.json"),
            ),
        ),
        ("hbd.yaml.5", roff::page("hbd.yaml", 5, "configuration of the Heartbeat server", &yaml)),
        ("hbc.yaml.5", roff::page("hbc.yaml", 5, "configuration of the Heartbeat agents", &agent)),
        (
            "heartbeat-protocol.7",
            roff::page("heartbeat-protocol", 7, "what agents and server send each other", PROTOCOL),
        ),
        (
            "heartbeat-plugins.7",
            roff::page("heartbeat-plugins", 7, "how agents measure, and how to add to it", PLUGINS),
        ),
    ]
}

const SERVER_SEE_ALSO: &str = "\n## See also\n\nhbd(8), hbc.yaml(5), heartbeat-plugins(7)\n";
const AGENT_SEE_ALSO: &str =
    "\n## See also\n\nhbc(8), hbc-mini(8), hbd.yaml(5), heartbeat-plugins(7)\n";

fn server() -> String {
    let mut out = String::from(
        "## Synopsis\n\n\
         **hbd** [-c FILE] [-f] [-v] [--with-agent]\n\n\
         **hbd** SUBCOMMAND [ARGUMENT..] [OPTION..]\n\n\
         ## Examples\n\n\
         Try it, with pages on http://127.0.0.1:50004/:\n\n```\nhbd -f --with-agent\n```\n\n\
         Write a first configuration, check it, see what is in force:\n\n\
         ```\nhbd init /etc/heartbeat\nhbd check-config\nhbd check-config --print\n```\n\n\
         See what is wrong, for people and for programs:\n\n\
         ```\nhbd status\nhbd hosts state:down,crit\nhbd alerts --json\nhbd status --check\n```\n\n\
         Quiet a rack while it is worked on:\n\n\
         ```\nhbd silence group:basel --for 2h --reason \"new switch\"\n```\n\n\
         ## Description\n\n\
         hbd hears the heartbeats of agents (hbc(8), hbc-mini(8)), tells people when they stop or a value passes \
         its limit, and shows the fleet on pages, by an API and by the subcommands below. Without a subcommand it \
         runs the server: as a daemon that logs to syslog, or in the foreground with -f and under systemd.\n\n\
         Subcommands that ask a running server do so by its control socket, as root or as the server's own user; \
         with --server they ask another one over HTTP or HTTPS, with a token from HBD_TOKEN.\n\n\
         ## Subcommands\n\n| x | y |\n| --- | --- |\n",
    );
    for (_, rows) in help::groups() {
        for row in rows {
            let call = format!("{} {}", row.name, row.words).trim_end().replace('|', "\\|");
            let _ = writeln!(out, "| `{call}` | {} |", row.help.replace('|', "\\|"));
        }
    }
    out.push_str("\n## Options\n\n| x | y |\n| --- | --- |\n");
    for flag in FLAGS {
        let _ = writeln!(out, "| {} | {} |", option(flag), of(flag).replace('|', "\\|"));
    }
    out.push_str(END);
    out
}

const END: &str = "\n## Files\n\n\
    | x | y |\n| --- | --- |\n\
    | `/etc/heartbeat/hbd.yaml`, `conf.d/*.yaml` | configuration; first come -c FILE, \
    `$HBD_CONFIG` and `~/.hb.yaml` |\n\
    | `/var/lib/heartbeat/heartbeat.redb` | the store |\n\
    | `/var/log/heartbeat/messages.journal` | the message journal |\n\
    | `/run/heartbeat/hbd.sock` | the control socket |\n\n\
    ## Exit status\n\n\
    | x | y |\n| --- | --- |\n| `0` | ok |\n| `1` | failed |\n| `2` | bad command line |\n\
    | `3` | the server cannot be reached |\n| `4` | not allowed |\n| `78` | bad configuration |\n\n\
    status --check answers as a Nagios plugin: 0 ok, 1 warning or unknown, 2 critical or down, 3 not reachable.\n\n\
    ## Signals\n\n\
    | x | y |\n| --- | --- |\n\
    | `SIGHUP` | loads the configuration, all or nothing, and opens log and journal anew |\n\
    | `SIGTERM`, `SIGINT` | saves everything and ends |\n\n\
    ## Environment\n\n\
    | x | y |\n| --- | --- |\n\
    | `HBD_CONFIG` | the configuration file |\n\
    | `HBD_URL` | same as --server |\n\
    | `HBD_TOKEN` | the token for it |\n\
    | `NO_COLOR` | no colours |\n\
    | `COLUMNS`, `LC_ALL`, `LC_CTYPE`, `LANG` | how wide tables are; letters for signs without \
    UTF-8 |\n\
    | `STATE_DIRECTORY`, `LOGS_DIRECTORY`, `RUNTIME_DIRECTORY`, `CREDENTIALS_DIRECTORY`, `NOTIFY_SOCKET`, \
    `WATCHDOG_USEC`, `LISTEN_FDS`, `JOURNAL_STREAM` | what systemd sets |\n\n\
    ## See also\n\n\
    hbd.yaml(5), hbc(8), hbc-mini(8), heartbeat-protocol(7), heartbeat-plugins(7)\n";

fn option(flag: &Flag) -> String {
    let value = if flag.value.is_empty() { String::new() } else { format!(" {}", flag.value) };
    match flag.short {
        Some(short) => format!("`-{short}`, `--{}`{value}", flag.long),
        None => format!("`--{}`{value}", flag.long),
    }
}

/// What it does, and of which subcommands.
fn of(flag: &Flag) -> String {
    let Taker::These(actions) = flag.taker else { return flag.help.to_owned() };
    let rows = crate::args::SUBCOMMANDS.iter().filter(|row| actions.contains(&row.action));
    let names: Vec<&str> = rows.map(|row| row.name).collect();
    format!("{} ({})", flag.help, names.join(", "))
}

/// From the agents' own help: what it says before the options, and the options.
fn agent_page(program: &str, file: &str) -> String {
    let help = command_line::help(program, file, program != "hbc");
    let mut out = String::from("## Synopsis\n\n```\n");
    let usage =
        |line: &&str| line.contains(&format!("{program} ")) && !line.trim_start().starts_with('-');
    for line in help.lines().filter(usage) {
        let _ = writeln!(out, "{}", line.trim_start_matches("usage:").trim());
    }
    let _ = write!(
        out,
        "```\n\n## Examples\n\n```\n{program} hb.example.net\n{program} --once hb.example.net\n\
         {program} test-plugins\n{program} -m 'backup done' hb.example.net\n```\n\n\
         ## Description\n\nReports that this machine is alive, and what its plugins measure, to one or several \
         Heartbeat servers (hbd(8)).\n\n## Options\n\n| x | y |\n| --- | --- |\n"
    );
    let mut last = String::new();
    for line in help.lines().filter(|line| line.starts_with(' ')) {
        let text = line.trim();
        let option = text.split_once("  ").or_else(|| text.split_once(' '));
        let option = option.filter(|_| text.starts_with('-'));
        match option {
            Some((name, help)) => {
                out.push_str(&last);
                last = format!("| `{}` | {} |\n", name.trim(), help.trim());
            }
            // A second line of the same option.
            None if !last.is_empty() && !text.contains(program) => {
                last.truncate(last.len() - 3);
                let _ = writeln!(last, " {text} |");
            }
            None => {}
        }
    }
    let stem = file.rsplit('.').next().unwrap_or("yaml");
    let _ = write!(
        out,
        "{last}\n## Files\n\n| x | y |\n| --- | --- |\n| `/etc/heartbeat/{file}` | configuration; -c FILE, \
         `$HBC_CONFIG` and `~/.hbc.{stem}` come first |\n| `/etc/heartbeat/plugins` | programs that are \
         plugins |\n\n## Exit status\n\n| x | y |\n| --- | --- |\n| `0` | ok; with -m: acknowledged |\n\
         | `1` | failed; with -m: not sent |\n| `2` | bad command line |\n| `3` | with -m: sent, but never \
         acknowledged |\n| `78` | bad configuration |\n\n## Signals\n\n| x | y |\n| --- | --- |\n\
         | `SIGTERM`, `SIGINT` | ends, with a shutdown message where -b asks for it |\n\n\
         ## See also\n\nhbd(8), hbc.yaml(5), heartbeat-plugins(7), heartbeat-protocol(7)\n"
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    /// After a change of an option or a document: `UPDATE_EXPECT=1 cargo test --bin hbd man`.
    #[test]
    fn pages_of_docs_man_are_what_the_tables_say() {
        let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/man");
        for (name, text) in pages() {
            expect_test::ExpectFile { path: dir.join(name), position: file!() }.assert_eq(&text);
        }
    }

    #[test]
    fn pages_name_every_option_and_have_their_parts() {
        let pages = pages();
        let find = |name: &str| &pages.iter().find(|page| page.0 == name).unwrap().1;
        for flag in FLAGS {
            let dashed = flag.long.replace('-', "\\-");
            assert!(find("hbd.8").contains(&format!("\\-\\-{dashed}")), "{}", flag.long);
        }
        for page in ["hbd.8", "hbc.8", "hbc-mini.8"] {
            let text = find(page);
            let parts = ["SYNOPSIS", "EXAMPLES", "OPTIONS", "FILES", "EXIT STATUS", "SIGNALS"];
            let mut at = 0;
            for part in parts {
                let found = text.find(&format!(".SH \"{part}\""));
                assert!(found.is_some_and(|found| found > at), "{page}: {part}");
                at = found.unwrap();
            }
        }
        for word in ["\\-\\-once", "\\-\\-dry\\-run", "\\-\\-message"] {
            assert!(find("hbc.8").contains(word), "{word}\n{}", find("hbc.8"));
        }
    }
}
