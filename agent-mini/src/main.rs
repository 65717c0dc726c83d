//! hbc-mini, the agent for routers: JSON configuration, one thread. Everything else is
//! `os::agent_program`.

use heartbeat::agent::release;
use heartbeat::os::agent_loop::Runtime;
use heartbeat::os::agent_program::{self, Program};
use std::process::ExitCode;

/// What `hbd sign` reads out of the file, whatever machine it is for.
#[used]
static MARK: [u8; release::MARK_LEN] = release::mark("hbc-mini");

fn main() -> ExitCode {
    agent_program::main(&Program {
        name: "hbc-mini",
        file: "hbc.json",
        read: heartbeat::config::json::read,
        plugins: heartbeat::collect::MINI,
        runtime: Runtime::Inline,
        wrap: None,
        mini: true,
        fetch: heartbeat::os::fetch::fetch,
    })
}
