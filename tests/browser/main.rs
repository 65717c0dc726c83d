//! The pages in a real Chromium, driven through ChromeDriver, against a real hbd.
//!
//! Without Chromium the tests are skipped, unless HB_REQUIRE_PARTS is set. By default themes, widths, roles and
//! scripts are combined pairwise; HB_BROWSER=all takes every combination (docs/TESTING.md). HB_SHOTS=DIR writes
//! pictures of what was seen.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod actions;
mod axe;
mod fleet;
mod follow;
mod hostile;
mod live;
mod pages;
mod reach;
mod reducer;
mod rig;
mod rows;
mod webdriver;

use std::sync::{Mutex, MutexGuard, PoisonError};
use webdriver::Browser;

/// The page follows the server by its live connection, and its keys and dialogs are there, which come a little later.
pub const LIVE: &str = "document.querySelector('#link').dataset.link === 'live' && \
    'keys' in document.documentElement.dataset";

/// A new browser at a page that it follows.
pub fn watching(url: &str) -> Browser {
    let browser = Browser::start();
    browser.go(url);
    browser.wait_for(LIVE);
    browser
}

/// One browser at a time: two of them would measure each other.
static TURN: Mutex<()> = Mutex::new(());

/// `None` where there is no Chromium and nobody insists on it.
pub fn turn() -> Option<MutexGuard<'static, ()>> {
    let there = ["chromedriver", "chromium"].iter().all(|program| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|dir| dir.join(program).exists())
    });
    assert!(there || std::env::var_os("HB_REQUIRE_PARTS").is_none(), "chromium-driver is missing");
    there.then(|| TURN.lock().unwrap_or_else(PoisonError::into_inner))
}
