//! What a one-off call (`-m`, `--boot`, `wrap`, `maintenance`) asks of the running agent through its
//! unix socket: one line of JSON there, one word back. Pure; the socket is `os::desk`'s.

use crate::limits;
use crate::text;
use crate::wire;
use serde::Deserialize;
use std::fmt::Write as _;

/// Longest line: a job's sample with 2 kB of output, each byte of it escaped.
pub const LINE_MAX: usize = 32 << 10;

/// What to tell the servers.
#[derive(Clone, Debug, PartialEq)]
pub enum OneOff {
    Text(String),
    Boot,
    /// Seconds from now, 0 ends it.
    Maintenance {
        seconds: u32,
        reason: String,
    },
    /// A sample of a job: its plugin's name and a JSON object.
    Job {
        plugin: String,
        data: String,
    },
}

/// One call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub what: OneOff,
    /// Only where these are the agent's servers, `host:port` each; empty: whichever it has.
    pub servers: Vec<String>,
    /// Answer once it is acknowledged; else at once.
    pub wait: bool,
}

/// The agent's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Taken over; nothing more was asked.
    Taken,
    Acknowledged,
    /// No server can be reached now; the agent goes on trying.
    NotSent,
    /// Sent, and no acknowledgement yet; the agent goes on trying.
    NotAcknowledged,
    /// This agent does not report to those servers.
    OtherServers,
    /// It has no key, or the call makes no sense.
    Refused,
}

const ANSWERS: [(Answer, &str); 6] = [
    (Answer::Taken, "taken"),
    (Answer::Acknowledged, "acknowledged"),
    (Answer::NotSent, "not_sent"),
    (Answer::NotAcknowledged, "not_acknowledged"),
    (Answer::OtherServers, "other_servers"),
    (Answer::Refused, "refused"),
];

impl Answer {
    pub fn as_str(self) -> &'static str {
        ANSWERS.iter().find(|(answer, _)| *answer == self).map_or("", |(_, word)| word)
    }

    pub fn parse(word: &str) -> Option<Answer> {
        ANSWERS.iter().find(|(_, other)| *other == word.trim()).map(|(answer, _)| *answer)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    kind: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    seconds: u32,
    #[serde(default)]
    plugin: String,
    data: Option<Box<serde_json::value::RawValue>>,
    #[serde(default)]
    servers: Vec<String>,
    #[serde(default)]
    wait: bool,
}

impl Call {
    /// The line without its end.
    pub fn render(&self) -> String {
        let mut out = String::from("{\"kind\":\"");
        let (kind, text) = match &self.what {
            OneOff::Text(text) => ("text", text.as_str()),
            OneOff::Boot => ("boot", ""),
            OneOff::Maintenance { reason, .. } => ("maintenance", reason.as_str()),
            OneOff::Job { .. } => ("job", ""),
        };
        let _ = write!(out, "{kind}\",\"wait\":{},\"text\":", self.wait);
        wire::push_string(&mut out, text::cut(text, limits::TEXT_MAX));
        match &self.what {
            OneOff::Maintenance { seconds, .. } => {
                let _ = write!(out, ",\"seconds\":{seconds}");
            }
            OneOff::Job { plugin, data } => {
                let _ = write!(out, ",\"plugin\":\"{plugin}\",\"data\":{data}");
            }
            OneOff::Text(_) | OneOff::Boot => {}
        }
        out.push_str(",\"servers\":[");
        for (place, server) in self.servers.iter().enumerate() {
            if place > 0 {
                out.push(',');
            }
            wire::push_string(&mut out, server);
        }
        out.push_str("]}");
        out
    }

    /// Reads a line; the error is a clause.
    pub fn parse(line: &str) -> Result<Call, String> {
        let line: Line = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let what = match line.kind.as_str() {
            "text" => OneOff::Text(line.text),
            "boot" => OneOff::Boot,
            "maintenance" if line.seconds <= MAINTENANCE_S_MAX => {
                OneOff::Maintenance { seconds: line.seconds, reason: line.text }
            }
            "job" if text::is_plugin_name(&line.plugin) => match line.data {
                Some(data) if data.get().starts_with('{') => {
                    OneOff::Job { plugin: line.plugin, data: data.get().to_owned() }
                }
                _ => return Err("its data is no object".to_owned()),
            },
            _ => return Err(format!("{:?} is no call", line.kind)),
        };
        Ok(Call { what, servers: line.servers, wait: line.wait })
    }
}

/// The longest maintenance that the wire can carry: a week.
pub const MAINTENANCE_S_MAX: u32 = 604_800;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn call_reads_as_it_was_written() {
        let calls = [
            OneOff::Text("backup \"nightly\" done\n".to_owned()),
            OneOff::Boot,
            OneOff::Maintenance { seconds: 1800, reason: "patches".to_owned() },
            OneOff::Job {
                plugin: "job_backup".to_owned(),
                data: r#"{"exit_code":0,"output":"a\nb"}"#.to_owned(),
            },
        ];
        for what in calls {
            for servers in [vec![], vec!["hb:50003".to_owned(), "[::1]:5".to_owned()]] {
                let call = Call { what: what.clone(), servers, wait: true };
                assert_eq!(Call::parse(&call.render()), Ok(call));
            }
        }
    }

    #[test]
    fn call_that_makes_no_sense_is_refused() {
        let lines = [
            "",
            "{}",
            r#"{"kind":"reboot"}"#,
            r#"{"kind":"job","plugin":"Job","data":{}}"#,
            r#"{"kind":"job","plugin":"job_x","data":[1]}"#,
            r#"{"kind":"job","plugin":"job_x"}"#,
            r#"{"kind":"maintenance","seconds":604801}"#,
            r#"{"kind":"maintenance","seconds":-1}"#,
            r#"{"kind":"boot","more":1}"#,
            r#"{"kind":"boot"} x"#,
        ];
        for line in lines {
            assert!(Call::parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn answers_are_words() {
        for (answer, word) in ANSWERS {
            assert_eq!(Answer::parse(&format!("{word}\n")), Some(answer));
            assert_eq!(answer.as_str(), word);
        }
        assert_eq!(Answer::parse("yes"), None);
    }
}
