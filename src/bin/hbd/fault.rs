//! What a panic means: the end of the process, with a reason in the log.
//!
//! A thread that died must never leave a server that looks alive; systemd starts it again. The exceptions are
//! pure readings of foreign bytes, which run inside [`guard`].

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};

/// Exit status after a panic (`EX_SOFTWARE` of sysexits.h).
const EXIT_PANIC: i32 = 70;

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// From now on a panic in any thread logs its reason and ends the process with status 70.
pub fn install() {
    panic::set_hook(Box::new(|info| {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("unnamed");
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let payload = info.payload();
        let what = payload
            .downcast_ref::<&str>()
            .copied()
            .or(payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no reason given");
        if GUARDED.get() {
            log::error!("{what} thread={name} at={place}");
            return;
        }
        log::error!("{what}, ending thread={name} at={place}");
        log::logger().flush();
        std::process::exit(EXIT_PANIC);
    }));
}

/// Runs `body`, `None` where it panicked. Only for what leaves nothing half changed that is used afterwards.
pub fn guard<T>(body: impl FnOnce() -> T) -> Option<T> {
    let outer = GUARDED.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(body));
    GUARDED.set(outer);
    result.ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn guard_turns_a_panic_into_none() {
        assert_eq!(super::guard(|| 1), Some(1));
        assert_eq!(super::guard(|| -> u8 { panic!("on purpose") }), None);
    }
}
