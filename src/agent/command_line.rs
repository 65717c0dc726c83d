//! What the user of hbc or hbc-mini asked for, as typed. One table gives the options and their
//! help.

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
}

struct Opt {
    short: Option<char>,
    long: &'static str,
    /// The name of its value, where it takes one.
    value: Option<&'static str>,
    help: &'static str,
}

const fn opt(
    short: Option<char>,
    long: &'static str,
    value: Option<&'static str>,
    help: &'static str,
) -> Opt {
    Opt { short, long, value, help }
}

const OPTIONS: &[Opt] = &[
    opt(Some('c'), "config", Some("FILE"), "read this configuration"),
    opt(Some('d'), "daemon", None, "leave the terminal, log to syslog"),
    opt(Some('v'), "verbose", None, "log more; twice, everything"),
    opt(Some('b'), "boot-messages", None, "send boot on start and shutdown on exit"),
    opt(None, "boot", None, "send one boot message and exit"),
    opt(Some('m'), "message", Some("TEXT"), "send a message and exit: 0 acknowledged,"),
    opt(None, "once", None, "collect once, send, tell what was acknowledged"),
    opt(None, "dry-run", None, "collect once and print; send nothing"),
    opt(Some('h'), "help", None, "this text"),
    opt(Some('V'), "version", None, "the program's version"),
];

/// Where a server's name could be; no host is called this.
const TEST_PLUGINS: &str = "test-plugins";

/// Reads the arguments that follow the program's name.
///
/// # Errors
/// What is wrong with them, in one line.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Request, String> {
    let mut request = Request::default();
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        let option = match argument {
            Value(server) => {
                request.servers.push(text(server)?);
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
    if request.action == Action::Run && request.servers.first().is_some_and(|s| s == TEST_PLUGINS) {
        request.action = Action::TestPlugins(request.servers.split_off(1));
        request.servers.clear();
    }
    Ok(request)
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
            "version" => Action::Version,
            _ => Action::Help,
        };
        if matches!(action, Action::Help | Action::Version) || self.action == Action::Run {
            self.action = action;
            return Ok(());
        }
        Err("only one of --boot, -m, --once and --dry-run can be given".to_owned())
    }
}

fn text(value: OsString) -> Result<String, String> {
    value.into_string().map_err(|value| format!("{value:?} is not UTF-8"))
}

/// The help text; `program` is `hbc` or `hbc-mini`, `file` its configuration's name.
pub fn help(program: &str, file: &str) -> String {
    let mut out = format!(
        "Reports this machine to a Heartbeat server.\n\n\
         usage: {program} [OPTION]... [SERVER]...\n       \
         {program} [-c FILE] test-plugins [NAME]...   run each once, tell how it went\n\n\
         SERVER is a name, an IPv4 or an [IPv6] address, with an optional :port (50003).\n\n"
    );
    for option in OPTIONS {
        let short = option.short.map_or("   ".to_owned(), |letter| format!("-{letter},"));
        let long = match option.value {
            Some(value) => format!("--{} {value}", option.long),
            None => format!("--{}", option.long),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "  {short} {long:<16} {}", option.help);
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
        parse(line.split_ascii_whitespace().map(OsString::from))
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
        ];
        for (line, action) in table {
            assert_eq!(parsed(line).map(|r| r.action), Ok(action), "{line}");
        }
    }

    #[test]
    fn arguments_that_are_wrong_are_refused() {
        for line in ["-x", "--bogus", "-m", "-c", "--boot --once", "--boot=1", "-m a -m b"] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }

    #[test]
    fn help_comes_from_the_table() {
        expect![[r#"
            Reports this machine to a Heartbeat server.

            usage: hbc [OPTION]... [SERVER]...
                   hbc [-c FILE] test-plugins [NAME]...   run each once, tell how it went

            SERVER is a name, an IPv4 or an [IPv6] address, with an optional :port (50003).

              -c, --config FILE    read this configuration
              -d, --daemon         leave the terminal, log to syslog
              -v, --verbose        log more; twice, everything
              -b, --boot-messages  send boot on start and shutdown on exit
                  --boot           send one boot message and exit
              -m, --message TEXT   send a message and exit: 0 acknowledged,
                                    1 not sent, 3 sent but never acknowledged
                  --once           collect once, send, tell what was acknowledged
                  --dry-run        collect once and print; send nothing
              -h, --help           this text
              -V, --version        the program's version

            Configuration: -c FILE, $HBC_CONFIG, ~/.hbc.yaml, /etc/heartbeat/hbc.yaml

            examples:
              hbc hb.example.net
              hbc -d -b -c /etc/heartbeat/hbc.yaml
              hbc -m "backup finished" [2001:db8::1]:50003
        "#]]
        .assert_eq(&help("hbc", "hbc.yaml"));
    }
}
