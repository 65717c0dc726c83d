//! hbc, the agent: YAML configuration, plugins on threads. Everything else is `os::agent_program`.

use heartbeat::os::agent_loop::Runtime;
use heartbeat::os::agent_program::{self, Program};
use std::process::ExitCode;

fn main() -> ExitCode {
    agent_program::main(&Program {
        name: "hbc",
        file: "hbc.yaml",
        read: heartbeat::yaml::read,
        runtime: Runtime::Threads,
        mini: false,
    })
}
