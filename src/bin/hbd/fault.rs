//! What a panic means: the end of the process, with a reason in the log. And faults on purpose, for tests:
//! `HBD_FAULT=exit:POINT` dies at a named point as by SIGKILL, `stall:POINT` stands still there, `panic:POINT`
//! panics; `exit:POINT:3` at the third time. `slow:POINT` takes 3 s there each time, as on a disk that is slow.
//!
//! A thread that died must never leave a server that looks alive; systemd starts it again. The exceptions are
//! pure readings of foreign bytes, which run inside [`guard`].

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Exit status after a panic (`EX_SOFTWARE` of sysexits.h).
const EXIT_PANIC: i32 = 70;
const SLOW: &str = "slow";
const SLOW_FOR: Duration = Duration::from_secs(3);

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

/// Where a fault can be placed.
pub const POINTS: &[&str] = &[
    "engine",
    "engine_before_reply",
    "engine_after_reply",
    "engine_before_answer",
    "engine_before_stop",
    "store",
    "store_before_write",
    "store_before_commit",
    "store_after_commit",
    "store_before_promise",
    "journal",
    "journal_before_write",
    "journal_after_write",
    "journal_before_rename",
    "journal_after_rename",
    "http",
    "page",
    "http_before_answer",
    "http_after_answer",
    "gate",
    "ws",
    "supervisor",
    "reload_before",
    "reload_after",
    "notify",
    "notify_before_send",
    "notify_after_send",
    "history_before_commit",
    "history_after_commit",
];

/// What shall happen where, and how many times it shall not happen yet.
struct Plan {
    act: &'static str,
    point: &'static str,
    left: AtomicU32,
}

static PLAN: OnceLock<Option<Plan>> = OnceLock::new();

/// Reads `HBD_FAULT`, once, at the start.
pub fn arm(text: Option<&str>) -> Result<(), String> {
    let plan = text.map(|text| parse(text).ok_or_else(|| unknown(text))).transpose()?;
    if let Some(plan) = &plan {
        log::warn!("a fault is planned act={} point={}", plan.act, plan.point);
    }
    let _ = PLAN.set(plan);
    Ok(())
}

fn parse(text: &str) -> Option<Plan> {
    let mut parts = text.split(':');
    let (act, point) = (parts.next()?, parts.next()?);
    let act = ["exit", "stall", "panic", SLOW].into_iter().find(|known| *known == act)?;
    let point = POINTS.iter().find(|known| **known == point)?;
    let times: u32 = parts.next().map_or(Some(1), |n| n.parse().ok()).filter(|n| *n > 0)?;
    parts.next().is_none().then_some(Plan { act, point, left: AtomicU32::new(times) })
}

fn unknown(text: &str) -> String {
    format!(
        "HBD_FAULT={text}: write exit, stall, panic or slow, a colon, and one of {}",
        POINTS.join(" ")
    )
}

/// A named point of the program; nothing happens there unless a test planned it.
pub fn point(name: &'static str) {
    debug_assert!(POINTS.contains(&name), "{name} is not in POINTS");
    let Some(Some(plan)) = PLAN.get() else { return };
    if plan.point != name {
        return;
    }
    let less = |left: u32| Some(left.saturating_sub(1));
    match plan.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less) {
        Ok(0 | 1) if plan.act == SLOW => heartbeat::os::thread::pause(SLOW_FOR),
        Ok(1) => act(plan),
        _ => {}
    }
}

fn act(plan: &Plan) {
    log::error!("the planned fault act={} point={}", plan.act, plan.point);
    match plan.act {
        // As by SIGKILL: nothing is flushed, no destructor runs.
        // SAFETY: a signal to ourselves.
        "exit" => drop(unsafe { libc::kill(libc::getpid(), libc::SIGKILL) }),
        "panic" => panic!("planned at {}", plan.point),
        _ => {}
    }
    loop {
        heartbeat::os::thread::pause(Duration::from_secs(3600));
    }
}

#[cfg(test)]
mod tests {
    use super::{POINTS, parse};

    #[test]
    fn plans_are_read_or_refused() {
        let read = |text| parse(text).map(|p| (p.act, p.point, p.left.into_inner()));
        assert_eq!(read("exit:store"), Some(("exit", "store", 1)));
        assert_eq!(read("stall:notify:3"), Some(("stall", "notify", 3)));
        assert_eq!(read("slow:journal_before_write"), Some(("slow", "journal_before_write", 1)));
        for text in ["", "exit", "exit:nowhere", "leave:store", "exit:store:0", "exit:store:1:2"] {
            assert_eq!(read(text), None, "{text}");
        }
        assert!(POINTS.len() >= 20);
    }

    #[test]
    fn guard_turns_a_panic_into_none() {
        assert_eq!(super::guard(|| 1), Some(1));
        assert_eq!(super::guard(|| -> u8 { panic!("on purpose") }), None);
    }
}
