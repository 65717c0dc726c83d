//! What the plugins that run programs have in common.

use crate::os::child::{self, Ended, Exit};
use crate::text;
use crate::time::Duration;
use std::path::Path;

/// What killing a program may take beyond its time.
pub const MARGIN: Duration = Duration::from_secs(3);

/// Why the program of a command cannot be run; `None` where it can.
pub fn problem(argv: &[String]) -> Option<String> {
    let name = argv.first()?;
    match child::find(name) {
        Some(path) => child::check(&path).err().map(|what| format!("{} {what}", path.display())),
        None => Some(format!("{name} is not in {}", child::PATH)),
    }
}

/// Whether there is something at this path that can be run.
pub fn is_there(path: &Path) -> bool {
    child::check(path).is_ok()
}

/// How a program that failed ended, and what it said, in one line.
pub fn complaint(ended: &Ended) -> String {
    let how = match ended.exit {
        Exit::Code(code) => format!("exit status {code}"),
        Exit::Signal(signal) => format!("killed by signal {signal}"),
    };
    let streams = [&ended.stderr, &ended.stdout];
    let said = streams.into_iter().map(|bytes| String::from_utf8_lossy(bytes));
    match said.filter_map(|text| text.trim().lines().next().map(str::to_owned)).next() {
        Some(line) => format!("{how}: {}", text::cut(&line, 200)),
        None => how,
    }
}
