//! hbd, the Heartbeat server: threads around the library's state machines, and the subcommands that ask a
//! running server.

mod accounts;
mod agent;
mod agent_dir;
mod agent_file;
mod app;
mod args;
mod ask;
mod bind;
mod certificate;
mod check;
mod completion;
mod completion_agent;
mod display;
mod dns;
mod effective;
mod engine;
mod fault;
mod gate;
mod handling;
mod hasher;
mod help;
mod history;
mod init;
mod journal;
mod journal_command;
mod keys;
mod lookup;
mod man;
mod notify;
mod owner;
mod package;
mod pair;
mod passwd;
mod pool;
mod preview;
mod pulse;
mod reading;
mod reference;
mod remote;
mod roff;
mod secret;
mod serve;
mod settings;
mod shared;
mod sign;
mod store;
mod supervisor;
mod systemd;
mod tls_ports;
mod udp;
mod vitals;
mod waiting;
mod ws;

use args::{Action, Invocation};
use lookup::Environment;
use std::process::ExitCode;

/// The static program is linked with musl, whose allocator has one lock for all threads.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

// SPEC section 1.
const EXIT_OK: u8 = 0;
const EXIT_FAILED: u8 = 1;
const EXIT_USAGE: u8 = 2;
const EXIT_UNREACHABLE: u8 = 3;
const EXIT_NOT_ALLOWED: u8 = 4;
const EXIT_CONFIG: u8 = 78;

fn main() -> ExitCode {
    let given: Vec<std::ffi::OsString> = std::env::args_os().skip(1).collect();
    match args::parse(given.iter().cloned()) {
        Ok(invocation) => ExitCode::from(act(invocation)),
        Err(args::Usage(what)) => {
            let of = args::named(&given).map(|name| format!("{name} ")).unwrap_or_default();
            eprintln!("hbd: {what}\nhbd {of}--help tells more");
            ExitCode::from(EXIT_USAGE)
        }
    }
}

fn act(invocation: Invocation) -> u8 {
    let env = Environment::read();
    if invocation.action.only_prints() {
        heartbeat::os::signal::end_with_the_reader();
    }
    match invocation.action {
        Action::Help => help::print(invocation.words.first().map(String::as_str)),
        Action::Version => println!("{}", version()),
        Action::Limits => print_limits(),
        Action::Topic => return help::topic(invocation.words.first().map(String::as_str)),
        Action::Serve => {
            let source = reading::Source::new(invocation.config, env, invocation.with_agent);
            return serve::run(serve::Options {
                source,
                foreground: invocation.foreground,
                verbosity: invocation.verbosity,
            });
        }
        Action::CheckConfig => return check::run(&invocation, env),
        Action::Key => return keys::run(&invocation, &env),
        Action::Sign => return sign::run(&invocation),
        Action::Passwd => return passwd::run(invocation.words.first().map_or("", String::as_str)),
        Action::Init => return init::run(&invocation),
        Action::Completions => {
            let word = |n: usize| invocation.words.get(n).map_or("", String::as_str);
            return completion::run(word(0), word(1));
        }
        Action::Man => {
            return man::run(invocation.words.first().map_or("man", String::as_str).as_ref());
        }
        Action::Journal => return journal_command::run(&invocation, &env),
        _ => return ask::run(&invocation, &env),
    }
    EXIT_OK
}

/// Version, commit where the build was told it, and what it was built for.
fn version() -> String {
    let libc = if cfg!(target_env = "musl") { "musl" } else { "gnu" };
    format!(
        "hbd {} ({}{}-{}-{libc}, features daemon)",
        env!("CARGO_PKG_VERSION"),
        option_env!("HB_COMMIT").map(|commit| format!("{commit}, ")).unwrap_or_default(),
        std::env::consts::ARCH,
        std::env::consts::OS,
    )
}

fn print_limits() {
    for limit in heartbeat::limits::ALL {
        println!("{:<24} {:>12} {}", limit.name, limit.value, limit.unit);
    }
}
