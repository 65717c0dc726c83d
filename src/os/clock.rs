//! The one place that reads the clocks.

use crate::time::{Mono, Now, Wall};

fn read(clock: libc::clockid_t) -> libc::timespec {
    let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `ts` is a valid timespec for the call to fill; the ids below exist on every supported system.
    unsafe { libc::clock_gettime(clock, &mut ts) };
    ts
}

fn mono(clock: libc::clockid_t) -> Mono {
    let ts = read(clock);
    Mono::from_nanos(ts.tv_sec as u64 * 1_000_000_000 + ts.tv_nsec as u64)
}

/// The clocks of the server: the monotonic one stands still while the machine sleeps.
pub fn now() -> Now {
    Now { mono: mono(libc::CLOCK_MONOTONIC), wall: wall() }
}

/// The clocks of an agent: the monotonic one counts sleep, so that a heartbeat is due at once on waking.
pub fn now_awake() -> Now {
    #[cfg(target_os = "linux")]
    let clock = libc::CLOCK_BOOTTIME;
    #[cfg(not(target_os = "linux"))]
    let clock = libc::CLOCK_MONOTONIC;
    Now { mono: mono(clock), wall: wall() }
}

/// How many seconds the machine's local time is ahead of UTC at a Unix second.
#[allow(
    clippy::unnecessary_cast,
    deprecated,
    reason = "on 32-bit systems the fields are narrower; musl widens time_t"
)]
pub fn local_offset(second: i64) -> i32 {
    let second = second as libc::time_t;
    // SAFETY: a `tm` of zeroes is valid; both pointers are to live values, and no other is kept.
    let tm = unsafe {
        let mut tm = std::mem::zeroed::<libc::tm>();
        libc::localtime_r(&second, &mut tm);
        tm
    };
    tm.tm_gmtoff as i32
}

// On 32-bit systems the fields are narrower.
#[allow(clippy::unnecessary_cast)]
fn wall() -> Wall {
    let ts = read(libc::CLOCK_REALTIME);
    Wall::from_micros(ts.tv_sec as i64 * 1_000_000 + ts.tv_nsec as i64 / 1000)
}
