//! hbc, the agent: YAML configuration, plugins on threads. Everything else is `os::agent_program`.

use heartbeat::agent::release;
use heartbeat::os::agent_loop::Runtime;
use heartbeat::os::agent_program::{self, Program};
use std::process::ExitCode;

/// What `hbd sign` reads out of the file, whatever machine it is for.
#[used]
static MARK: [u8; release::MARK_LEN] = release::mark("hbc");

fn main() -> ExitCode {
    agent_program::main(&Program {
        name: "hbc",
        file: "hbc.yaml",
        read: heartbeat::yaml::read,
        plugins: heartbeat::collect::FULL,
        runtime: Runtime::THREADS,
        wrap: Some(agent_program::WRAP),
        mini: false,
        fetch: heartbeat::os::fetch::fetch,
    })
}
