//! `test-plugins`: runs each plugin once and tells how it went, for a person at a terminal.

use super::{clock, runner};
use crate::collect::{Plugin, Probe};
use crate::config::agent::{Agent, NagiosCommand};
use crate::config::json;
use crate::config::node::{Key, Node, Value};
use crate::{text, wire};
use std::fmt::Write as _;

/// Values shown of a sample, and characters of each.
const SHOWN_MAX: usize = 3;
const VALUE_MAX: usize = 48;

/// What was found.
#[derive(Debug, Default, PartialEq)]
pub struct Report {
    pub text: String,
    pub failed: usize,
    ok: usize,
    skipped: usize,
    /// Bytes of all samples, as JSON and as they are sent.
    plain: usize,
    packed: usize,
}

/// Runs the plugins of these names, or all, one after the other.
///
/// # Errors
/// The first name that no plugin has.
pub fn run(config: &Agent, probes: Vec<Probe>, names: &[String]) -> Result<Report, String> {
    if let Some(name) = names.iter().find(|name| !probes.iter().any(|(other, _)| other == *name)) {
        return Err(name.clone());
    }
    let mut report = Report::default();
    for (name, plugin) in probes {
        if !names.is_empty() && !names.contains(&name) {
            continue;
        }
        match plugin {
            Ok(plugin) => report.try_out(config, plugin),
            Err(why) => {
                report.skipped += 1;
                report.line("skip", &name, None, &why);
            }
        }
    }
    report.sum_up();
    Ok(report)
}

impl Report {
    fn try_out(&mut self, config: &Agent, mut plugin: Box<dyn Plugin>) {
        let began = clock::now_awake().mono;
        let result = runner::collect(plugin.as_mut(), String::new());
        let took = clock::now_awake().mono.since(began).as_millis();
        let name = plugin.name();
        let data = match result {
            Ok(data) => data,
            Err(why) => {
                let fix = format!("mend that, or set plugins.{name}.enabled: false");
                return self.failure(name, &why, &[("fix", &fix)]);
            }
        };
        self.count(&data);
        let Ok((root, _)) = json::read(&data, name) else { return };
        let settings = config.plugins.get(name).filter(|_| name == "nagios_runner");
        let commands = settings.map_or(&[][..], |settings| settings.commands.as_slice());
        let broken: Vec<_> = commands.iter().enumerate().filter(|(_, c)| fails(&root, c)).collect();
        for (place, command) in &broken {
            self.check_failed(name, *place, command, &root);
        }
        if broken.is_empty() {
            self.ok += 1;
            self.line("ok", name, Some(took), &main_values(&root));
        }
    }

    /// A check that is UNKNOWN: it could not do its work. WARNING and CRITICAL are answers.
    fn check_failed(&mut self, name: &str, place: usize, command: &NagiosCommand, root: &Node) {
        let field = |field: &str| root.get(&format!("{}_{field}", command.name)).map(shown);
        let exit = field("exit_code").unwrap_or_default();
        let output = field("output").unwrap_or_default();
        let what = format!("{}: exit {exit}, \"{output}\"", command.name);
        let program = command.argv.join(" ");
        let fix = format!("mend that, or remove plugins.{name}.commands[{place}]");
        self.failure(name, &what, &[("command", &program), ("fix", &fix)]);
    }

    fn failure(&mut self, name: &str, what: &str, more: &[(&str, &str)]) {
        self.failed += 1;
        self.line("FAIL", name, None, what);
        for (key, value) in more {
            // Writing to a String cannot fail.
            let _ = writeln!(self.text, "      {key}: {}", text::escape_control(value));
        }
    }

    fn line(&mut self, state: &str, name: &str, took: Option<u128>, what: &str) {
        let took = match (took, state) {
            (Some(took), _) => format!("{took:>6} ms   "),
            (None, "skip") => format!("{:>6}      ", "-"),
            (None, _) => " ".repeat(2),
        };
        let what = text::escape_control(what);
        let line = format!("{state:<5} {name:<15}{took}{what}");
        let _ = writeln!(self.text, "{}", line.trim_end());
    }

    fn count(&mut self, data: &str) {
        let mut packed = Vec::new();
        wire::pack(data, &mut packed);
        self.plain += data.len();
        self.packed += packed.len();
    }

    fn sum_up(&mut self) {
        let Report { ok, failed, skipped, .. } = *self;
        let all = ok + failed + skipped;
        let kilobytes = |bytes: usize| format!("{}.{}", bytes / 1000, bytes / 100 % 10);
        let (plain, packed) = (kilobytes(self.plain), kilobytes(self.packed));
        let _ = writeln!(
            self.text,
            "{all} plugins: {ok} ok, {failed} failed, {skipped} skipped; \
             all samples are {plain} KB ({packed} KB compressed)"
        );
    }
}

fn fails(root: &Node, command: &NagiosCommand) -> bool {
    let code = root.get(&format!("{}_status_code", command.name));
    code.is_some_and(|code| code.value == Value::Int(3))
}

/// The first values of a sample in short, how many of what is nested, and how many fields in all.
fn main_values(root: &Node) -> String {
    let Value::Map(entries) = &root.value else { return String::new() };
    let parts: Vec<String> = entries.iter().filter_map(main_value).take(SHOWN_MAX).collect();
    let fields = leaves(root);
    let mut out = parts.join(", ");
    if fields > parts.len() {
        let _ = write!(out, "   ({fields} fields)");
    }
    out
}

fn main_value((key, node): &(Key, Node)) -> Option<String> {
    match &node.value {
        Value::Map(entries) => Some(format!("{} {}", entries.len(), key.text)),
        Value::List(items) => Some(format!("{} {}", items.len(), key.text)),
        Value::Null => None,
        Value::Text(text) => Some(text::cut(text, VALUE_MAX).to_owned()),
        _ => Some(format!("{} {}", key.text, shown(node))),
    }
}

fn shown(node: &Node) -> String {
    match &node.value {
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => {
            let mut out = String::new();
            text::push_number(&mut out, *value, 4);
            out
        }
        Value::Text(text) => text::cut(text, 4 * VALUE_MAX).to_owned(),
        _ => String::new(),
    }
}

fn leaves(node: &Node) -> usize {
    match &node.value {
        Value::Map(entries) => entries.iter().map(|(_, node)| leaves(node)).sum(),
        Value::List(items) => items.iter().map(leaves).sum(),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect;
    use crate::config::agent::{NagiosCommand, Plugin as Settings};
    use expect_test::expect;
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    fn words(script: &str) -> Vec<String> {
        ["sh", "-c", script].map(str::to_owned).to_vec()
    }

    fn config() -> Agent {
        let check = |name: &str, script: &str| NagiosCommand {
            name: name.to_owned(),
            argv: words(script),
            timeout: None,
            env: BTreeMap::new(),
        };
        let commands = vec![
            check("check_load", "echo 'OK - fine|load=1'"),
            check("check_raid", "echo 'megacli: command not found' >&2; exit 3"),
        ];
        let own = |script: &str| Settings { command: words(script), ..Settings::default() };
        let plugins = [
            ("nagios_runner", Settings { commands, ..Settings::default() }),
            (
                "backup",
                own("echo '{\"name\": \"daily\", \"age\": 1.5, \"disks\": {\"a\": 1}, \"x\": 1}'"),
            ),
            ("broken", own("echo oops")),
            ("off", Settings { enabled: Some(false), ..own("true") }),
        ];
        let plugins = plugins.map(|(name, settings)| (name.to_owned(), settings)).into();
        Agent { plugins, plugin_dir: Some(PathBuf::from("/nonexistent")), ..Agent::default() }
    }

    #[test]
    fn each_plugin_is_told_with_what_to_do() {
        let config = config();
        let names = ["nagios_runner", "backup", "broken", "off"].map(str::to_owned);
        let report =
            run(&config, collect::probe(&config, collect::MINI), &names).expect("all are known");
        let text: String = report.text.lines().map(|line| without_time(line) + "\n").collect();
        expect![[r#"
            FAIL  nagios_runner    check_raid: exit 3, "megacli: command not found"
                  command: sh -c echo 'megacli: command not found' >&2; exit 3
                  fix: mend that, or remove plugins.nagios_runner.commands[1]
            ok    backup         N ms   daily, age 1.5, 1 disks   (4 fields)
            FAIL  broken           sh: line 1: this is not JSON: expected value
                  fix: mend that, or set plugins.broken.enabled: false
            skip  off                 -      switched off in the configuration
            4 plugins: 1 ok, 2 failed, 1 skipped; all samples are 0.3 KB (0.3 KB compressed)
        "#]]
        .assert_eq(&text);
        assert_eq!(report.failed, 2);
    }

    /// How long a run took differs from run to run.
    fn without_time(line: &str) -> String {
        match line.split_once(" ms   ") {
            Some((head, rest)) => {
                let head = head.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end();
                format!("{head:<21}N ms   {rest}")
            }
            None => line.to_owned(),
        }
    }

    #[test]
    fn name_that_no_plugin_has_is_an_error() {
        let config = config();
        let names = ["backup".to_owned(), "bakcup".to_owned()];
        let result = run(&config, collect::probe(&config, collect::MINI), &names);
        assert_eq!(result, Err("bakcup".to_owned()));
    }
}
