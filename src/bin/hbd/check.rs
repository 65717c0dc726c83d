//! `hbd check-config`: every problem of the files in one run, and what is in force with `--print`.

use crate::args::Invocation;
use crate::lookup::Environment;
use crate::reading::{Reading, Source};
use crate::{EXIT_CONFIG, EXIT_OK};
use heartbeat::config::problem::{Problem, Severity};
use heartbeat::config::server::Server;

/// Returns the exit status: 78 where a problem is an error or an unknown key.
pub fn run(invocation: &Invocation, env: Environment) -> u8 {
    let source = Source::new(invocation.config.clone(), env, false);
    let reading = source.read();
    if !reading.problems.is_empty() {
        eprint!("{}", reading.render_problems());
    }
    if invocation.print {
        print!("{}", reading.render_effective(&source));
    }
    let fails = reading.problems.iter().any(Problem::fails_check);
    let summary = summary(&reading);
    if fails {
        eprintln!("failed: {summary}");
        return EXIT_CONFIG;
    }
    if !invocation.quiet {
        println!("ok: {summary}");
    }
    EXIT_OK
}

/// `/etc/heartbeat/hbd.yaml + 3 files: 1212 hosts, 9 users, 4 profiles, 87 limits, 0 errors, 1 warning`
fn summary(reading: &Reading) -> String {
    let file = match &reading.files.main {
        Some(main) => main.display().to_string(),
        None if reading.files.parts.is_empty() => "no configuration file".to_owned(),
        None => "conf.d".to_owned(),
    };
    let parts = match reading.files.parts.len() {
        0 => String::new(),
        n => format!(" + {}", counted(n, "file")),
    };
    let errors = reading.problems.iter().filter(|p| p.severity == Severity::Error).count();
    let warnings = reading.problems.len() - errors;
    let counts = [
        counted(reading.server.hosts.len(), "host"),
        counted(reading.server.users.len(), "user"),
        counted(reading.server.threshold_configs.len(), "profile"),
        counted(limits(&reading.server), "limit"),
        counted(errors, "error"),
        counted(warnings, "warning"),
    ];
    format!("{file}{parts}: {}", counts.join(", "))
}

/// Threshold entries, of the base and of the profiles.
fn limits(server: &Server) -> usize {
    server.thresholds.len() + server.threshold_configs.values().map(|set| set.len()).sum::<usize>()
}

fn counted(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_their_plural() {
        assert_eq!(counted(0, "host"), "0 hosts");
        assert_eq!(counted(1, "error"), "1 error");
        assert_eq!(counted(2, "limit"), "2 limits");
    }
}
