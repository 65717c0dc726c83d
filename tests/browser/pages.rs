//! Every page, in each of its looks: no word on the console, no violation of accessibility, nothing wider than the
//! window.

use crate::rig::Server;
use crate::webdriver::{Browser, DESK, PHONE};
use crate::{axe, fleet, turn};
use std::path::PathBuf;

/// Who looks.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Role {
    /// There are no users.
    Open,
}

/// One way to look at a page.
#[derive(Clone, Copy, Debug)]
struct Look {
    role: Role,
    dark: bool,
    phone: bool,
    scripts: bool,
}

const PAGES: [&str; 21] = [
    "/live",
    "/live?q=tag:web&sort=name",
    "/live?q=nothing-like-it",
    "/plugins/db-01.bsl",
    "/plugins/web-12.bsl",
    "/plugins/kiosk-31",
    "/plugins/nobody",
    "/alerts",
    "/alerts?act=ack&id=web-12.bsl/host",
    "/alerts?act=silence&host=db-01.bsl",
    "/alerts?act=maintenance",
    "/alerts?tab=maintenance",
    "/alerts?tab=history",
    "/find?q=web",
    "/settings",
    "/settings?part=thresholds&host=db-01.bsl&metric=cpu_monitor.cpu_percent",
    "/settings?part=agents",
    "/wall",
    "/status",
    "/events",
    "/events?kind=state",
];

/// Each page with each role, and over the pages every pair of the other three: the columns of an orthogonal array,
/// turned by one from page to page.
fn looks(page: usize) -> Vec<Look> {
    let whole = std::env::var("HB_BROWSER").is_ok_and(|wish| wish == "all");
    let roles = [Role::Open];
    let mut looks = Vec::new();
    for (at, role) in roles.into_iter().enumerate() {
        let all = [false, true];
        for dark in all {
            for phone in all {
                for scripts in all {
                    // Half of the cube: every pair of the three occurs in it.
                    let (a, b, c) = (usize::from(dark), usize::from(phone), usize::from(scripts));
                    let is_half = (a + b + c + page + at).is_multiple_of(2);
                    if whole || is_half {
                        looks.push(Look { role, dark, phone, scripts });
                    }
                }
            }
        }
    }
    looks
}

#[test]
fn every_page_is_quiet_accessible_and_fits_its_window() {
    let Some(_turn) = turn() else { return };
    let server = fleet::small();
    let browser = Browser::start();
    let checker = axe::source();
    let mut wrong = Vec::new();
    for (at, page) in PAGES.iter().enumerate() {
        for look in looks(at) {
            let found = look_at(&browser, &server, page, look, checker.as_deref());
            wrong.extend(found.into_iter().map(|line| format!("{page} {look:?}: {line}")));
        }
    }
    assert!(wrong.is_empty(), "{}\n{} problems", wrong.join("\n"), wrong.len());
}

fn look_at(
    browser: &Browser,
    server: &Server,
    page: &str,
    look: Look,
    checker: Option<&str>,
) -> Vec<String> {
    browser.size(if look.phone { PHONE } else { DESK });
    browser.scripts(look.scripts);
    browser.cookie(&server.url("/"), "hb_theme", if look.dark { "dark" } else { "light" });
    browser.go(&server.url(page));
    if look.scripts && page.starts_with("/live") {
        browser.wait_for("document.querySelector('#link').dataset.link === 'live'");
    }
    browser.scripts(true);
    // What is not there is told on the console too; here it is what was asked for.
    let wanted = |line: &String| line.contains("404 (Not Found)") && page.ends_with("nobody");
    let mut wrong: Vec<String> = browser.console().into_iter().filter(|l| !wanted(l)).collect();
    let size = "document.documentElement.scrollWidth > innerWidth";
    if browser.run(&format!("return {size}")) == true {
        let widest = browser.text(
            "[...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1 \
             && !e.closest('.tw, .tiles, .vh, .sprite')).map((e) => e.outerHTML.slice(0, 90)).slice(0, 3).join(' | ')",
        );
        wrong.push(format!("wider than its window: {widest}"));
    }
    if let Some(checker) = checker {
        let found = axe::violations(browser, checker);
        // Without scripts a page that follows the fleet has no other way (ui/UI.md 4.14).
        let is_refresh = |line: &String| !look.scripts && line.starts_with("meta-refresh: ");
        wrong.extend(found.into_iter().filter(|line| !is_refresh(line)));
    }
    picture(browser, page, look);
    wrong
}

/// Into the directory of HB_SHOTS, for a person to look at.
fn picture(browser: &Browser, page: &str, look: Look) {
    let Some(dir) = std::env::var_os("HB_SHOTS").map(PathBuf::from) else { return };
    let name: String = page
        .trim_start_matches('/')
        .chars()
        .map(|c| if c.is_alphanumeric() { c } else { '-' })
        .collect();
    let theme = if look.dark { "dark" } else { "light" };
    let width = if look.phone { 390 } else { 1440 };
    let scripts = if look.scripts { "js" } else { "nojs" };
    let name = format!("{name}-{:?}-{theme}-{width}-{scripts}.png", look.role).to_lowercase();
    std::fs::write(dir.join(name), browser.picture(!look.phone)).unwrap();
}
