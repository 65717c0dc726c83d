//! What the user of hbc or hbc-mini asked for, as typed. One table gives the options and their
//! help.

use super::one_off::MAINTENANCE_S_MAX;
use crate::text;
use crate::time;
use lexopt::prelude::*;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::PathBuf;

/// As typed: nothing is looked up or completed yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    pub action: Action,
    pub config: Option<PathBuf>,
    pub daemonize: bool,
    /// How often `-v` was given.
    pub verbosity: u8,
    /// Send boot on start and shutdown on exit.
    pub boot: bool,
    pub servers: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub enum Action {
    #[default]
    Run,
    Help,
    Version,
    /// Send one boot message.
    Boot,
    /// Send this text.
    Message(String),
    /// Collect, send, and tell how it went.
    Once,
    /// Collect and print; send nothing.
    DryRun,
    /// Run each of these plugins once, or all, and tell how it went.
    TestPlugins(Vec<String>),
    /// Read the configuration and tell what is wrong with it.
    CheckConfig,
    /// Print every key with its default.
    PrintDefaults,
    /// Try the way to this server.
    Doctor(String),
    /// Plan this machine's own maintenance.
    Maintenance {
        seconds: u32,
        reason: String,
    },
    /// Run a job and report it.
    Wrap {
        name: String,
        argv: Vec<OsString>,
    },
    /// Make the init system start the agent, reporting to this server.
    InstallService(Option<String>),
    /// Fetch, verify and install a release: where from, version, SHA-256, size, as far as given.
    Update(Vec<String>),
}

impl Action {
    /// Whether it is one message that the running agent takes over where there is one.
    pub fn is_one_off(&self) -> bool {
        matches!(self, Action::Boot | Action::Message(_) | Action::Maintenance { .. })
    }
}

/// An option, as `--help`, man pages and completions show it.
pub struct Opt {
    pub short: Option<char>,
    pub long: &'static str,
    /// The name of its value, where it takes one.
    pub value: Option<&'static str>,
    pub help: &'static str,
}

const fn opt(
    short: Option<char>,
    long: &'static str,
    value: Option<&'static str>,
    help: &'static str,
) -> Opt {
    Opt { short, long, value, help }
}

pub const OPTIONS: &[Opt] = &[
    opt(Some('c'), "config", Some("FILE"), "read this configuration"),
    opt(Some('d'), "daemon", None, "leave the terminal, log to syslog"),
    opt(Some('v'), "verbose", None, "log more; twice, everything"),
    opt(Some('b'), "boot-messages", None, "send boot on start and shutdown on exit"),
    opt(None, "boot", None, "send one boot message and exit"),
    opt(Some('m'), "message", Some("TEXT"), "send a message and exit: 0 acknowledged,"),
    opt(None, "once", None, "collect once, send, tell what was acknowledged"),
    opt(None, "dry-run", None, "collect once and print; send nothing"),
    opt(None, "install-service", None, "have the init system start it"),
    opt(None, "update", None, "fetch, verify and install the newest release"),
    opt(Some('h'), "help", None, "this text"),
    opt(Some('V'), "version", None, "the program's version"),
];

/// Words that stand where a server's name could; no host is called so.
pub struct Sub {
    pub word: &'static str,
    pub arguments: &'static str,
    pub help: &'static str,
}

/// The subcommands of hbc, or of hbc-mini.
pub fn subcommands(mini: bool) -> impl Iterator<Item = &'static Sub> {
    SUBCOMMANDS.iter().filter(move |sub| !mini || sub.word != WRAP)
}

const SUBCOMMANDS: &[Sub] = &[
    Sub { word: "test-plugins", arguments: "[NAME]...", help: "run each once, tell how it went" },
    Sub { word: "doctor", arguments: "SERVER", help: "try the way to a server" },
    Sub { word: "check-config", arguments: "", help: "tell what is wrong with the configuration" },
    Sub { word: PRINT, arguments: DEFAULTS, help: "every key of the configuration" },
    Sub {
        word: "maintenance",
        arguments: "DURATION [REASON]",
        help: "plan this machine's own; 0 ends it",
    },
    Sub { word: WRAP, arguments: "NAME -- COMMAND...", help: "run a job, report it as job_NAME" },
];
const WRAP: &str = "wrap";
const PRINT: &str = "print-config";
/// An option of this subcommand alone.
const DEFAULTS: &str = "--defaults";
/// `job_` and this make a plugin's name.
const JOB_NAME_MAX: usize = 28;

/// Reads the arguments that follow the program's name; `mini`: without `wrap`.
///
/// # Errors
/// What is wrong with them, in one line.
pub fn parse(arguments: impl IntoIterator<Item = OsString>, mini: bool) -> Result<Request, String> {
    let mut request = Request::default();
    let mut words: Vec<OsString> = Vec::new();
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        let option = match argument {
            Value(word) => {
                words.push(word);
                // A job's arguments are its own.
                if !mini && words.len() == 2 && words[0] == WRAP {
                    words.extend(parser.raw_args().map_err(|error| error.to_string())?);
                }
                continue;
            }
            Long(word) if word == &DEFAULTS[2..] && words.first().is_some_and(|w| w == PRINT) => {
                words.push(DEFAULTS.into());
                continue;
            }
            Short(letter) => OPTIONS.iter().find(|o| o.short == Some(letter)),
            Long(word) => OPTIONS.iter().find(|o| o.long == word),
        };
        let Some(option) = option else { return Err(argument.unexpected().to_string()) };
        let value = match option.value {
            Some(_) => Some(parser.value().map_err(|error| error.to_string())?),
            None => None,
        };
        request.set(option.long, value.unwrap_or_default())?;
    }
    request.take_words(words, mini)?;
    Ok(request)
}

impl Request {
    /// The arguments that are no options: servers, or a subcommand with what belongs to it.
    fn take_words(&mut self, mut words: Vec<OsString>, mini: bool) -> Result<(), String> {
        if let Some(action) = self.action.with_words(&mut words)? {
            self.action = action;
            return Ok(());
        }
        let first = words.first().and_then(|word| word.to_str()).unwrap_or_default();
        let sub = SUBCOMMANDS.iter().find(|sub| sub.word == first && self.action == Action::Run);
        if mini && sub.is_some_and(|sub| sub.word == WRAP) {
            return Err("there is no wrap in this agent, only in hbc".to_owned());
        }
        let Some(sub) = sub else {
            self.servers = words.into_iter().map(text).collect::<Result<_, _>>()?;
            return Ok(());
        };
        words.remove(0);
        if sub.word == WRAP {
            self.action = job(words)?;
            return Ok(());
        }
        let words: Vec<String> = words.into_iter().map(text).collect::<Result<_, _>>()?;
        self.action = match sub.word {
            "doctor" => match <[String; 1]>::try_from(words) {
                Ok([server]) => Action::Doctor(server),
                Err(_) => return Err("doctor takes one SERVER".to_owned()),
            },
            "check-config" if words.is_empty() => Action::CheckConfig,
            "check-config" => return Err("check-config takes no argument, -c FILE".to_owned()),
            PRINT if words == [DEFAULTS] => Action::PrintDefaults,
            PRINT => return Err("print-config takes --defaults".to_owned()),
            "maintenance" => maintenance(&words)?,
            _ => Action::TestPlugins(words),
        };
        Ok(())
    }
}

impl Action {
    /// For an option that takes the words behind it.
    fn with_words(&self, words: &mut Vec<OsString>) -> Result<Option<Action>, String> {
        let mut take =
            || std::mem::take(words).into_iter().map(text).collect::<Result<Vec<_>, _>>();
        Ok(match self {
            Action::InstallService(_) => {
                let mut words = take()?;
                if words.len() > 1 {
                    return Err("--install-service takes at most one SERVER".to_owned());
                }
                Some(Action::InstallService(words.pop()))
            }
            Action::Update(_) => Some(Action::Update(take()?)),
            _ => None,
        })
    }
}

fn maintenance(words: &[String]) -> Result<Action, String> {
    let Some((duration, reason)) = words.split_first() else {
        return Err("maintenance takes a DURATION, e.g. 30m, or 0 to end it".to_owned());
    };
    let span = time::parse_duration(duration)
        .ok_or_else(|| format!("{duration:?} is not a duration, e.g. 30m or 1h30m"))?;
    let seconds = u32::try_from(span.as_secs()).ok().filter(|s| *s <= MAINTENANCE_S_MAX);
    let seconds = seconds.ok_or("a maintenance lasts at most 7d")?;
    Ok(Action::Maintenance { seconds, reason: reason.join(" ") })
}

fn job(words: Vec<OsString>) -> Result<Action, String> {
    let usage = "wrap takes NAME -- COMMAND...";
    let mut words = words.into_iter();
    let name = text(words.next().ok_or(usage)?)?;
    if name.len() > JOB_NAME_MAX || !text::is_plugin_name(&name) {
        return Err(format!("{name:?} is not a job's name: a-z, 0-9 and '_', at most 28"));
    }
    let mut argv: Vec<OsString> = words.collect();
    if argv.first().is_some_and(|word| word == "--") {
        argv.remove(0);
    }
    if argv.is_empty() {
        return Err(usage.to_owned());
    }
    Ok(Action::Wrap { name, argv })
}

impl Request {
    fn set(&mut self, option: &str, value: OsString) -> Result<(), String> {
        match option {
            "config" => self.config = Some(value.into()),
            "daemon" => self.daemonize = true,
            "verbose" => self.verbosity = self.verbosity.saturating_add(1),
            "boot-messages" => self.boot = true,
            _ => return self.act(option, value),
        }
        Ok(())
    }

    fn act(&mut self, option: &str, value: OsString) -> Result<(), String> {
        let action = match option {
            "boot" => Action::Boot,
            "message" => Action::Message(text(value)?),
            "once" => Action::Once,
            "dry-run" => Action::DryRun,
            "install-service" => Action::InstallService(None),
            "update" => Action::Update(Vec::new()),
            "version" => Action::Version,
            _ => Action::Help,
        };
        if matches!(action, Action::Help | Action::Version) || self.action == Action::Run {
            self.action = action;
            return Ok(());
        }
        Err("only one of --boot, -m, --once, --dry-run, --install-service and --update can be given"
            .to_owned())
    }
}

fn text(value: OsString) -> Result<String, String> {
    value.into_string().map_err(|value| format!("{value:?} is not UTF-8"))
}

/// The help text; `program` is `hbc` or `hbc-mini`, `file` its configuration's name.
pub fn help(program: &str, file: &str, mini: bool) -> String {
    let mut out = format!(
        "Reports this machine to a Heartbeat server.\n\nusage: {program} [OPTION]... [SERVER]...\n"
    );
    for sub in subcommands(mini) {
        let call = format!("{} {}", sub.word, sub.arguments);
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(out, "       {program} {call:<30} {}", sub.help);
    }
    out.push_str(
        "\nSERVER is a name, an IPv4 or an [IPv6] address, with an optional :port (50003).\n\n",
    );
    for option in OPTIONS {
        let short = option.short.map_or("   ".to_owned(), |letter| format!("-{letter},"));
        let long = match option.value {
            Some(value) => format!("--{} {value}", option.long),
            None => format!("--{}", option.long),
        };
        let _ = writeln!(out, "  {short} {long:<17} {}", option.help);
        if option.long == "message" {
            let _ = writeln!(out, "{:24}1 not sent, 3 sent but never acknowledged", "");
        }
    }
    let _ = write!(
        out,
        "\nConfiguration: -c FILE, $HBC_CONFIG, ~/.{file}, /etc/heartbeat/{file}\n\n\
         examples:\n  \
         {program} hb.example.net\n  \
         {program} -d -b -c /etc/heartbeat/{file}\n  \
         {program} -m \"backup finished\" [2001:db8::1]:50003\n"
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn parsed(line: &str) -> Result<Request, String> {
        parse(line.split_ascii_whitespace().map(OsString::from), false)
    }

    #[test]
    fn arguments_parse_in_every_documented_form() {
        let request = parsed("-d -vv -b -c /etc/x.yaml hb.example.net [::1]:5").unwrap();
        let want = Request {
            action: Action::Run,
            config: Some("/etc/x.yaml".into()),
            daemonize: true,
            verbosity: 2,
            boot: true,
            servers: vec!["hb.example.net".to_owned(), "[::1]:5".to_owned()],
        };
        assert_eq!(request, want);
        let table = [
            ("", Action::Run),
            ("-h", Action::Help),
            ("--version", Action::Version),
            ("--boot a", Action::Boot),
            ("-m hello a", Action::Message("hello".to_owned())),
            ("-m=hello a", Action::Message("hello".to_owned())),
            ("a -mhello", Action::Message("hello".to_owned())),
            ("--once a", Action::Once),
            ("--once --help", Action::Help),
            ("test-plugins", Action::TestPlugins(Vec::new())),
            ("-c f test-plugins a", Action::TestPlugins(vec!["a".to_owned()])),
            ("a test-plugins", Action::Run),
            ("check-config", Action::CheckConfig),
            ("print-config --defaults", Action::PrintDefaults),
            ("doctor hb:5", Action::Doctor("hb:5".to_owned())),
            ("maintenance 1h30m", Action::Maintenance { seconds: 5400, reason: String::new() }),
            (
                "maintenance 0 all done",
                Action::Maintenance { seconds: 0, reason: "all done".to_owned() },
            ),
            ("wrap nightly -- ls -l --once", job(&["ls", "-l", "--once"])),
            ("-v wrap nightly ls -l", job(&["ls", "-l"])),
            ("--install-service", Action::InstallService(None)),
            ("--install-service hb", Action::InstallService(Some("hb".to_owned()))),
            ("--update", Action::Update(Vec::new())),
            ("--update http://hb/ 1.0", Action::Update(vec!["http://hb/".into(), "1.0".into()])),
        ];
        for (line, action) in table {
            assert_eq!(parsed(line).map(|r| r.action), Ok(action), "{line}");
        }
    }

    fn job(argv: &[&str]) -> Action {
        let argv = argv.iter().map(OsString::from).collect();
        Action::Wrap { name: "nightly".to_owned(), argv }
    }

    #[test]
    fn arguments_that_are_wrong_are_refused() {
        let lines = [
            "-x",
            "--bogus",
            "-m",
            "-c",
            "--boot --once",
            "--boot=1",
            "-m a -m b",
            "doctor",
            "doctor a b",
            "check-config x",
            "print-config",
            "print-config x",
            "print-config --defaults x",
            "print-config --faults",
            "--defaults",
            "maintenance",
            "maintenance soon",
            "maintenance 8d",
            "wrap",
            "wrap x",
            "wrap x --",
            "wrap X -- ls",
            "wrap abcdefghijklmnopqrstuvwxyz123 -- ls",
            "--install-service a b",
        ];
        for line in lines {
            assert!(parsed(line).is_err(), "{line}");
        }
    }

    #[test]
    fn small_agent_has_no_wrap() {
        let words = ["wrap", "x", "--", "ls"].map(OsString::from);
        let refused = parse(words, true).expect_err("it would report to servers of these names");
        assert_eq!(refused, "there is no wrap in this agent, only in hbc");
        assert!(!help("hbc-mini", "hbc.json", true).contains("wrap"));
    }

    #[test]
    fn help_comes_from_the_table() {
        expect![[r#"
            Reports this machine to a Heartbeat server.

            usage: hbc [OPTION]... [SERVER]...
                   hbc test-plugins [NAME]...         run each once, tell how it went
                   hbc doctor SERVER                  try the way to a server
                   hbc check-config                   tell what is wrong with the configuration
                   hbc print-config --defaults        every key of the configuration
                   hbc maintenance DURATION [REASON]  plan this machine's own; 0 ends it
                   hbc wrap NAME -- COMMAND...        run a job, report it as job_NAME

            SERVER is a name, an IPv4 or an [IPv6] address, with an optional :port (50003).

              -c, --config FILE     read this configuration
              -d, --daemon          leave the terminal, log to syslog
              -v, --verbose         log more; twice, everything
              -b, --boot-messages   send boot on start and shutdown on exit
                  --boot            send one boot message and exit
              -m, --message TEXT    send a message and exit: 0 acknowledged,
                                    1 not sent, 3 sent but never acknowledged
                  --once            collect once, send, tell what was acknowledged
                  --dry-run         collect once and print; send nothing
                  --install-service have the init system start it
                  --update          fetch, verify and install the newest release
              -h, --help            this text
              -V, --version         the program's version

            Configuration: -c FILE, $HBC_CONFIG, ~/.hbc.yaml, /etc/heartbeat/hbc.yaml

            examples:
              hbc hb.example.net
              hbc -d -b -c /etc/heartbeat/hbc.yaml
              hbc -m "backup finished" [2001:db8::1]:50003
        "#]]
        .assert_eq(&help("hbc", "hbc.yaml", false));
    }
}
