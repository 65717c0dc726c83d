//! The command line: one table of options and one of subcommands, from which parsing, `--help`, the completions
//! and the man pages come. What they read as is `help`'s.

use heartbeat::config::problem::nearest;
use heartbeat::time::parse_duration;
use lexopt::{Arg, Parser};
use std::ffi::OsString;
use std::path::PathBuf;

/// What the user asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Invocation {
    pub action: Action,
    /// The subcommand's own arguments, as many as its table row says.
    pub words: Vec<String>,
    pub config: Option<PathBuf>,
    pub foreground: bool,
    pub verbosity: u8,
    pub quiet: bool,
    pub with_agent: bool,
    pub server: Option<String>,
    /// `--ca-file`: trusted beside the usual certificates.
    pub ca_file: Option<PathBuf>,
    pub check: bool,
    pub json: bool,
    pub jsonl: bool,
    pub csv: bool,
    /// `--color`: auto, always or never.
    pub color: Option<String>,
    pub columns: Option<String>,
    pub names: bool,
    /// `--watch`: draw it anew this often.
    pub refresh: Option<String>,
    pub follow: bool,
    pub print: bool,
    pub yes: bool,
    pub list: bool,
    pub limit: Option<String>,
    pub value: Option<String>,
    pub until: Option<String>,
    /// `--for`: how long.
    pub length: Option<String>,
    pub start: Option<String>,
    pub end: Option<String>,
    pub zone: Option<String>,
    pub reason: Option<String>,
    pub host: Option<String>,
    pub since: Option<String>,
    pub scope: Option<String>,
    pub user: Option<String>,
    pub wait: bool,
    pub ttl: Option<String>,
    /// `--key`: a secret key to sign with.
    pub key: Option<PathBuf>,
    /// `--new-key`: where to write one.
    pub new_key: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    #[default]
    Serve,
    Help,
    Version,
    Limits,
    CheckConfig,
    Topic,
    Status,
    Hosts,
    Host,
    Events,
    Ghosts,
    Dns,
    Drop,
    Watch,
    Reload,
    Alerts,
    Ack,
    Unack,
    Silence,
    Unsilence,
    Maintenance,
    Explain,
    Passwd,
    Token,
    Journal,
    Key,
    Run,
    Commands,
    Upgrade,
    Sign,
    NotifyTest,
    Init,
    Completions,
    Man,
}

/// Who takes an option.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Taker {
    All,
    /// The server itself.
    Serve,
    /// Subcommands that talk to a running server.
    Client,
    These(&'static [Action]),
}

impl Taker {
    pub fn takes(self, action: Action) -> bool {
        match self {
            Taker::All => true,
            Taker::Serve => action == Action::Serve,
            Taker::Client => action.asks_a_server(),
            Taker::These(actions) => actions.contains(&action),
        }
    }
}

impl Action {
    /// Whether it prints something and talks to nobody.
    pub fn only_prints(self) -> bool {
        const PRINTED: &[Action] = &[
            Action::Help,
            Action::Version,
            Action::Limits,
            Action::Topic,
            Action::CheckConfig,
            Action::Completions,
            Action::Journal,
            Action::Passwd,
            Action::Sign,
        ];
        PRINTED.contains(&self)
    }

    /// Whether it talks to a running server.
    pub fn asks_a_server(self) -> bool {
        const LOCAL: &[Action] = &[
            Action::Serve,
            Action::CheckConfig,
            Action::Journal,
            Action::Topic,
            Action::Passwd,
            Action::Sign,
            Action::Key,
            Action::Init,
            Action::Completions,
            Action::Man,
        ];
        !LOCAL.contains(&self)
    }
}

pub struct Flag {
    pub short: Option<char>,
    pub long: &'static str,
    /// Name of its value in the help; empty where it takes none.
    pub value: &'static str,
    pub help: &'static str,
    pub taker: Taker,
}

const fn flag(
    short: Option<char>,
    long: &'static str,
    value: &'static str,
    taker: Taker,
    help: &'static str,
) -> Flag {
    Flag { short, long, value, help, taker }
}

/// Subcommands that print a table.
const TABLES: Taker = Taker::These(&[
    Action::Status,
    Action::Hosts,
    Action::Host,
    Action::Events,
    Action::Ghosts,
    Action::Journal,
    Action::Alerts,
    Action::Maintenance,
    Action::Explain,
    Action::Key,
    Action::Run,
    Action::Commands,
    Action::NotifyTest,
]);
/// Subcommands whose result is a list.
const LISTS: Taker = Taker::These(&[Action::Hosts, Action::Events, Action::Ghosts, Action::Alerts]);
const HOSTS: Taker = Taker::These(&[Action::Hosts]);
const SINCE: Taker = Taker::These(&[Action::Journal, Action::Events]);
/// Subcommands that are kept with a reason.
const REASONED: Taker = Taker::These(&[Action::Ack, Action::Silence, Action::Maintenance]);
const FOR: Taker = Taker::These(&[Action::Silence, Action::Maintenance, Action::Token]);
const WINDOW: Taker = Taker::These(&[Action::Maintenance]);

pub const FLAGS: &[Flag] = &[
    flag(Some('c'), "config", "FILE", Taker::All, "configuration file"),
    flag(Some('f'), "foreground", "", Taker::Serve, "stay in the foreground, log to stderr"),
    flag(None, "with-agent", "", Taker::Serve, "report this machine too"),
    flag(Some('v'), "verbose", "", Taker::All, "more log; repeat for more"),
    flag(Some('q'), "quiet", "", Taker::All, "no remarks, only results and errors"),
    flag(None, "server", "URL", Taker::Client, "ask this server, not the control socket"),
    flag(None, "ca-file", "FILE", Taker::Client, "trust this certificate of an https server too"),
    flag(None, "json", "", TABLES, "one JSON document instead of a table"),
    flag(None, "jsonl", "", LISTS, "one JSON document a line"),
    flag(None, "csv", "", LISTS, "for spreadsheets"),
    flag(None, "color", "WHEN", Taker::Client, "auto, always or never"),
    flag(None, "columns", "LIST", HOSTS, "which, as state,host,why"),
    flag(None, "names", "", HOSTS, "names alone"),
    flag(None, "watch", "SECONDS", HOSTS, "draw it anew, until it is stopped"),
    flag(Some('f'), "follow", "", Taker::These(&[Action::Events]), "go on as things happen"),
    flag(None, "check", "", Taker::These(&[Action::Status]), "answer as a Nagios plugin"),
    flag(None, "print", "", Taker::These(&[Action::CheckConfig]), "show what is in force"),
    flag(None, "limit", "N", Taker::These(&[Action::Events]), "how many, 1 to 1000"),
    flag(None, "host", "NAME", Taker::These(&[Action::Journal]), "lines of this host alone"),
    flag(None, "since", "D", SINCE, "of the last 90s, 5m, 2h, 7d"),
    flag(None, "yes", "", Taker::These(&[Action::Drop]), "really"),
    flag(None, "wait", "", Taker::These(&[Action::Run]), "until it is over; exit as it did"),
    flag(None, "ttl", "D", Taker::These(&[Action::Run]), "given up if not begun within (5m)"),
    flag(None, "value", "V", Taker::These(&[Action::Explain]), "assume this value"),
    flag(None, "until", "T", Taker::These(&[Action::Ack]), "until then, or for so long"),
    flag(None, "for", "D", FOR, "how long"),
    flag(None, "scope", "S", Taker::These(&[Action::Token]), "read, operate or admin"),
    flag(None, "user", "U", Taker::These(&[Action::Token]), "whose it shall be"),
    flag(None, "reason", "R", REASONED, "why, for the others"),
    flag(None, "start", "T", WINDOW, "begin then, not now"),
    flag(None, "zone", "Z", WINDOW, "whose clock the start is by"),
    flag(None, "list", "", WINDOW, "show what is planned"),
    flag(None, "end", "ID", WINDOW, "end or cancel a window"),
    flag(None, "key", "FILE", Taker::These(&[Action::Sign]), "sign with this secret key"),
    flag(None, "new-key", "FILE", Taker::These(&[Action::Sign]), "make a key and write it there"),
    flag(None, "limits", "", Taker::Serve, "print every limit and exit"),
    flag(Some('h'), "help", "", Taker::All, "this text"),
    flag(Some('V'), "version", "", Taker::All, "version"),
];

pub struct Subcommand {
    pub name: &'static str,
    pub action: Action,
    /// Its arguments as the help shows them.
    pub words: &'static str,
    words_min: usize,
    words_max: usize,
    pub help: &'static str,
}

const fn subcommand(
    name: &'static str,
    action: Action,
    words: &'static str,
    (words_min, words_max): (usize, usize),
    help: &'static str,
) -> Subcommand {
    Subcommand { name, action, words, words_min, words_max, help }
}

/// Filters of `hosts`: more than enough for a line typed by hand.
const FILTERS_MAX: usize = 16;
/// The journal, its thousand backups, and the verb.
const FILES_MAX: usize = 1002;

const EVENTS: &str = "[-f] [--since D] [FILTER..]";
const EXPLAIN: &str = "HOST METRIC [--value V]";
const TOKEN: &str = "new NAME [--scope S] [--for D] [--user U] | list | drop ID";
const ACK: &str = "HOST [METRIC] [--until T] [--reason R]";
const SILENCE: &str = "SCOPE.. --for D [--reason R]";
const MAINTENANCE: &str = "SCOPE.. --for D [--start T] [--zone Z] | --list | --end ID";
const SCOPES_MAX: usize = 16;
const SIGN: &str = "--new-key FILE | --key FILE BINARY";

const RUN: &str = "HOST NAME [ARG..] [--wait]";
const KEY: &str = "new|add HOST | drop HOST [ID] | list [HOST]";

pub const SUBCOMMANDS: &[Subcommand] = &[
    subcommand(
        "check-config",
        Action::CheckConfig,
        "[--print]",
        (0, 0),
        "print every problem of the files",
    ),
    subcommand(
        "help",
        Action::Topic,
        "[TOPIC]",
        (0, 1),
        "what a code, a word or a subcommand means",
    ),
    subcommand("status", Action::Status, "[--check]", (0, 0), "the fleet on one screen"),
    subcommand("hosts", Action::Hosts, "[FILTER..]", (0, FILTERS_MAX), "hosts, worst first"),
    subcommand("host", Action::Host, "NAME", (1, 1), "all about one host"),
    subcommand("events", Action::Events, EVENTS, (0, FILTERS_MAX), "what happened, oldest first"),
    subcommand("alerts", Action::Alerts, "[HOST]", (0, 1), "what is wrong now, worst first"),
    subcommand(
        "explain",
        Action::Explain,
        EXPLAIN,
        (2, 2),
        "why a metric has its level, who is told",
    ),
    subcommand("ack", Action::Ack, ACK, (1, 2), "no more reminders of it"),
    subcommand("unack", Action::Unack, "ID", (1, 1), "take that back"),
    subcommand("silence", Action::Silence, SILENCE, (1, SCOPES_MAX), "no notices"),
    subcommand("unsilence", Action::Unsilence, "ID", (1, 1), "end a silence"),
    subcommand(
        "maintenance",
        Action::Maintenance,
        MAINTENANCE,
        (0, SCOPES_MAX),
        "plan, list or end maintenance",
    ),
    subcommand("ghosts", Action::Ghosts, "[accept|ignore NAME]", (0, 2), "names that were refused"),
    subcommand("dns", Action::Dns, "HOST", (1, 1), "tell the name server where it is"),
    subcommand("drop", Action::Drop, "HOST --yes", (1, 1), "forget a host"),
    subcommand("watch", Action::Watch, "HOST on|off", (2, 2), "notices of a host on or off"),
    subcommand(
        "journal",
        Action::Journal,
        "VERB [FILE..]",
        (1, FILES_MAX),
        "verify, cat or stats of it",
    ),
    subcommand("run", Action::Run, RUN, (2, 10), "have a sealed host run its command NAME"),
    subcommand("commands", Action::Commands, "HOST", (1, 1), "what a host was asked to run"),
    subcommand("upgrade", Action::Upgrade, "HOST", (1, 1), "have a sealed host update its agent"),
    subcommand("key", Action::Key, KEY, (1, 3), "pre-shared keys; a new one is printed alone"),
    subcommand("sign", Action::Sign, SIGN, (0, 1), "sign an agent for self-update"),
    subcommand("passwd", Action::Passwd, "USER", (1, 1), "hash a password for the configuration"),
    subcommand(
        "token",
        Action::Token,
        TOKEN,
        (1, 2),
        "tokens of the API; a new one is printed alone",
    ),
    subcommand(
        "notify-test",
        Action::NotifyTest,
        "[CHANNEL|USER]",
        (0, 1),
        "send a test notice, tell the result",
    ),
    subcommand("init", Action::Init, "[DIR]", (0, 1), "write a first configuration and units"),
    subcommand(
        "completions",
        Action::Completions,
        "bash|zsh|fish [hbc|hbc-mini]",
        (1, 2),
        "print completions for a shell, of hbd or an agent",
    ),
    subcommand("man", Action::Man, "DIR", (1, 1), "write the manual pages into a directory"),
    subcommand("reload", Action::Reload, "", (0, 0), "load the configuration again"),
];

/// A command line that cannot be understood: exit status 2.
#[derive(Debug, PartialEq)]
pub struct Usage(pub String);

/// The first word that names a subcommand, of a command line that may be at fault.
pub fn named(given: &[OsString]) -> Option<&'static str> {
    let name = |word: &OsString| SUBCOMMANDS.iter().find(|row| word == row.name);
    given.iter().find_map(name).map(|row| row.name)
}

/// Parses what follows the program's name.
pub fn parse<I>(args: I) -> Result<Invocation, Usage>
where
    I: IntoIterator,
    I::Item: Into<OsString>,
{
    let mut parser = Parser::from_args(args);
    let mut invocation = Invocation::default();
    let mut given: Vec<&Flag> = Vec::new();
    let mut subcommand = None;
    while let Some(arg) = parser.next().map_err(|e| Usage(e.to_string()))? {
        match arg {
            Arg::Short(c) => {
                let flag = FLAGS.iter().find(|f| f.short == Some(c));
                given.push(flag.ok_or_else(|| Usage(format!("no option -{c}")))?);
            }
            Arg::Long(name) => {
                let flag = FLAGS.iter().find(|f| f.long == name);
                given.push(flag.ok_or_else(|| unknown_option(name))?);
            }
            Arg::Value(word) if subcommand.is_none() => {
                subcommand = Some(find(&text(word)?)?);
                continue;
            }
            Arg::Value(word) => {
                invocation.words.push(text(word)?);
                continue;
            }
        }
        if let Some(flag) = given.last() {
            set(&mut invocation, flag, &mut parser)?;
        }
    }
    finish(invocation, subcommand, &given)
}

fn set(invocation: &mut Invocation, flag: &Flag, parser: &mut Parser) -> Result<(), Usage> {
    let mut value = || {
        let missing = |_| Usage(format!("--{} needs {}", flag.long, flag.value));
        parser.value().map_err(missing)
    };
    match flag.long {
        "config" => invocation.config = Some(value()?.into()),
        "server" => invocation.server = Some(text(value()?)?),
        "ca-file" => invocation.ca_file = Some(value()?.into()),
        "limit" => invocation.limit = Some(text(value()?)?),
        "value" => invocation.value = Some(text(value()?)?),
        "until" => invocation.until = Some(text(value()?)?),
        "for" => {
            let length = text(value()?)?;
            if parse_duration(&length).is_none() {
                let what = format!("--for {length:?} is no duration such as 90s, 5m, 2h");
                return Err(Usage(what));
            }
            invocation.length = Some(length);
        }
        "start" => invocation.start = Some(text(value()?)?),
        "end" => invocation.end = Some(text(value()?)?),
        "zone" => invocation.zone = Some(text(value()?)?),
        "reason" => invocation.reason = Some(text(value()?)?),
        "wait" => invocation.wait = true,
        "ttl" => invocation.ttl = Some(text(value()?)?),
        "list" => invocation.list = true,
        "scope" => invocation.scope = Some(text(value()?)?),
        "user" => invocation.user = Some(text(value()?)?),
        "host" => invocation.host = Some(text(value()?)?),
        "key" => invocation.key = Some(value()?.into()),
        "new-key" => invocation.new_key = Some(value()?.into()),
        "since" => invocation.since = Some(text(value()?)?),
        "foreground" => invocation.foreground = true,
        "with-agent" => invocation.with_agent = true,
        "verbose" => invocation.verbosity = invocation.verbosity.saturating_add(1),
        "quiet" => invocation.quiet = true,
        "json" => invocation.json = true,
        "jsonl" => invocation.jsonl = true,
        "csv" => invocation.csv = true,
        "color" => invocation.color = Some(text(value()?)?),
        "columns" => invocation.columns = Some(text(value()?)?),
        "names" => invocation.names = true,
        "watch" => invocation.refresh = Some(text(value()?)?),
        "follow" => invocation.follow = true,
        "check" => invocation.check = true,
        "print" => invocation.print = true,
        "yes" => invocation.yes = true,
        "help" => invocation.action = Action::Help,
        "version" => invocation.action = Action::Version,
        _ => invocation.action = Action::Limits,
    }
    Ok(())
}

/// Checks the parts against each other.
fn finish(
    mut invocation: Invocation,
    subcommand: Option<&'static Subcommand>,
    given: &[&Flag],
) -> Result<Invocation, Usage> {
    if invocation.action != Action::Serve {
        // `hbd status --help`: of which subcommand.
        invocation.words = subcommand.map(|row| row.name.to_owned()).into_iter().collect();
        return Ok(invocation);
    }
    let Some(row) = subcommand else {
        return check_flags(invocation, given, "the server");
    };
    invocation.action = row.action;
    let n = invocation.words.len();
    if n < row.words_min || n > row.words_max || !is_complete(&invocation) {
        return Err(Usage(format!("usage: hbd {} {}", row.name, row.words).trim_end().to_owned()));
    }
    if row.action == Action::Drop && !invocation.yes {
        return Err(Usage("drop forgets the host and what is stored of it; add --yes".to_owned()));
    }
    check_flags(invocation, given, row.name)
}

/// Whether a subcommand that needs more than words has it.
fn is_complete(invocation: &Invocation) -> bool {
    let Invocation { words, list, length, end, .. } = invocation;
    match invocation.action {
        Action::Silence => length.is_some(),
        Action::Maintenance if *list || end.is_some() => {
            words.is_empty() && length.is_none() && !(*list && end.is_some())
        }
        Action::Maintenance => !words.is_empty() && length.is_some(),
        _ => true,
    }
}

fn check_flags(
    mut invocation: Invocation,
    given: &[&Flag],
    who: &str,
) -> Result<Invocation, Usage> {
    let action = invocation.action;
    for flag in given.iter().filter(|flag| !flag.taker.takes(action)) {
        // `-f` of the server is another `-f` of a subcommand.
        let same = |other: &&Flag| {
            other.short == flag.short && other.value.is_empty() && other.taker.takes(action)
        };
        let other = FLAGS.iter().filter(|_| flag.short.is_some()).find(same);
        let other = other.ok_or_else(|| Usage(format!("{who} takes no --{}", flag.long)))?;
        set(&mut invocation, other, &mut Parser::from_args(["x"]))?;
    }
    Ok(invocation)
}

fn find(name: &str) -> Result<&'static Subcommand, Usage> {
    if let Some(row) = SUBCOMMANDS.iter().find(|row| row.name == name) {
        return Ok(row);
    }
    let guess = nearest(name, SUBCOMMANDS.iter().map(|row| row.name));
    Err(Usage(match guess {
        Some(guess) => format!("no subcommand {name:?}; did you mean {guess:?}?"),
        None => format!("no subcommand {name:?}"),
    }))
}

fn unknown_option(name: &str) -> Usage {
    Usage(match nearest(name, FLAGS.iter().map(|flag| flag.long)) {
        Some(guess) => format!("no option --{name}; did you mean --{guess}?"),
        None => format!("no option --{name}"),
    })
}

fn text(word: OsString) -> Result<String, Usage> {
    word.into_string().map_err(|word| Usage(format!("{}: not UTF-8", word.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Invocation, Usage> {
        parse(line.split_whitespace())
    }

    #[test]
    fn command_lines_parse_into_what_they_say() {
        let serve = parsed("-vfc /tmp/x.yaml -v --with-agent").unwrap();
        assert_eq!((serve.action, serve.verbosity, serve.foreground), (Action::Serve, 2, true));
        assert_eq!((serve.config, serve.with_agent), (Some("/tmp/x.yaml".into()), true));
        let hosts = parsed("hosts state:down web -c x --json --server http://h:1").unwrap();
        assert_eq!(hosts.words, ["state:down", "web"]);
        assert_eq!((hosts.action, hosts.json), (Action::Hosts, true));
        let events = parsed("events -f --since 2h host:web*").unwrap();
        assert!(events.follow && events.since.as_deref() == Some("2h"));
        assert_eq!(parsed("-f events").unwrap().action, Action::Events);
        assert_eq!(parsed("-c x status --check").unwrap().action, Action::Status);
        assert_eq!(parsed("status --help").unwrap().action, Action::Help);
        assert_eq!(parsed("--limits").unwrap().action, Action::Limits);
        let ack = parsed("ack web1 cpu_monitor.cpu_percent --until 2h --reason seen").unwrap();
        assert_eq!(
            (ack.action, ack.words.len(), ack.until.as_deref()),
            (Action::Ack, 2, Some("2h"))
        );
        let explain = parsed("explain web1 a.b --value -5").unwrap();
        assert_eq!((explain.action, explain.value.as_deref()), (Action::Explain, Some("-5")));
        let silence = parsed("silence host:web* tag:prod --for 1h").unwrap();
        assert_eq!((silence.action, silence.length.as_deref()), (Action::Silence, Some("1h")));
        let window = parsed("maintenance group:basel --for 1h --start 2026-12-01T22:00 --zone UTC");
        let window = window.unwrap();
        assert_eq!((window.zone.as_deref(), window.list), (Some("UTC"), false));
        assert!(parsed("maintenance --list --json").unwrap().list);
        assert_eq!(parsed("maintenance --end m1").unwrap().end.as_deref(), Some("m1"));
    }

    #[test]
    fn subcommand_is_found_in_a_line_at_fault() {
        let named = |line: &str| named(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert_eq!(named("-v hosts --bogus"), Some("hosts"));
        assert_eq!((named("--bogus"), named("stauts")), (None, None));
    }

    #[test]
    fn mistakes_are_named_with_the_nearest_match() {
        let table = [
            ("stauts", "no subcommand \"stauts\"; did you mean \"status\"?"),
            ("--foregruond", "no option --foregruond; did you mean --foreground?"),
            ("-x", "no option -x"),
            ("watch web1", "usage: hbd watch HOST on|off"),
            ("reload now", "usage: hbd reload"),
            ("drop web1", "drop forgets the host and what is stored of it; add --yes"),
            ("reload --json", "reload takes no --json"),
            ("--json", "the server takes no --json"),
            ("check-config --server x", "check-config takes no --server"),
            ("events --foreground --columns x", "events takes no --columns"),
            ("-c", "--config needs FILE"),
            ("ack", "usage: hbd ack HOST [METRIC] [--until T] [--reason R]"),
            ("explain web1", "usage: hbd explain HOST METRIC [--value V]"),
            ("silence host:a --for soon", "--for \"soon\" is no duration such as 90s, 5m, 2h"),
            ("silence host:a", "usage: hbd silence SCOPE.. --for D [--reason R]"),
            (
                "maintenance --list --end m1",
                "usage: hbd maintenance SCOPE.. --for D [--start T] [--zone Z] | --list | --end ID",
            ),
            (
                "maintenance host:a",
                "usage: hbd maintenance SCOPE.. --for D [--start T] [--zone Z] | --list | --end ID",
            ),
            ("status --value 1", "status takes no --value"),
        ];
        for (line, want) in table {
            assert_eq!(parsed(line), Err(Usage(want.to_owned())), "{line}");
        }
    }
}
