//! Every page, in each of its looks: no word on the console, no violation of accessibility, nothing wider than the
//! window.

use crate::rig::Server;
use crate::webdriver::{Browser, DESK, PHONE};
use crate::{LIVE, axe, fleet, turn};
use std::path::PathBuf;

/// Who looks.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Role {
    /// There are no users.
    Open,
    Admin,
    /// Owns one host.
    Owner,
    /// May look at one host.
    Monitor,
}

impl Role {
    fn user(self) -> Option<&'static str> {
        match self {
            Role::Open => None,
            Role::Admin => Some("alice"),
            Role::Owner => Some("bob"),
            Role::Monitor => Some("carol"),
        }
    }
}

/// One way to look at a page.
#[derive(Clone, Copy, Debug)]
struct Look {
    role: Role,
    dark: bool,
    phone: bool,
    scripts: bool,
}

const PAGES: [&str; 28] = [
    "/live",
    "/live?q=tag:web&sort=name",
    "/live?q=nothing-like-it",
    "/live?owner=all&cols=owner.agent.os.notes.seen&density=compact&map=tag&colour=disk",
    "/live?act=menu&host=db-01.bsl",
    "/live?act=columns",
    "/live?act=silence&host=db-01.bsl&host=web-12.bsl",
    "/plugins/db-01.bsl",
    "/plugins/web-12.bsl",
    "/plugins/kiosk-31",
    "/plugins/nobody",
    "/alerts",
    "/alerts?open=db-01.bsl/disk_monitor./var/lib/postgresql.percent",
    "/alerts?act=ack&id=web-12.bsl/host",
    "/alerts?act=silence&host=db-01.bsl",
    "/alerts?act=maintenance",
    "/alerts?tab=maintenance",
    "/alerts?tab=history",
    "/find?q=web",
    "/settings",
    "/settings?part=thresholds&host=db-01.bsl&metric=cpu_monitor.cpu_percent",
    "/settings?part=users",
    "/settings?part=tokens",
    "/settings?part=agents",
    "/wall",
    "/status",
    "/events",
    "/events?kind=state",
];

/// Every combination is wished for.
fn whole() -> bool {
    std::env::var("HB_BROWSER").is_ok_and(|wish| wish == "all")
}

/// Each page with each role; over them the rows of an orthogonal array, so that every pair of theme, width, scripts,
/// role and page occurs. HB_BROWSER=all: every combination.
fn looks(page: usize, role: Role) -> Vec<Look> {
    let row = |dark, phone, scripts| Look { role, dark, phone, scripts };
    let half = [
        row(false, false, false),
        row(false, true, true),
        row(true, false, true),
        row(true, true, false),
    ];
    if whole() {
        let rest = half.map(|look| Look { scripts: !look.scripts, ..look });
        return half.into_iter().chain(rest).collect();
    }
    vec![half[(page + role as usize) % half.len()]]
}

#[test]
fn every_page_is_quiet_accessible_and_fits_its_window() {
    look_through(&[Role::Open, Role::Admin]);
}

#[test]
fn every_page_is_quiet_accessible_and_fits_its_window_for_an_owner_and_a_monitor() {
    look_through(&[Role::Owner, Role::Monitor]);
}

fn look_through(roles: &[Role]) {
    let Some(_turn) = turn() else { return };
    let open = roles.contains(&Role::Open).then(fleet::small);
    let closed = fleet::small_with(fleet::USERS);
    let browser = Browser::start();
    let checker = axe::source();
    let mut wrong = Vec::new();
    for &role in roles {
        let server = open.as_ref().filter(|_| role == Role::Open).unwrap_or(&closed);
        sign_in(&browser, server, role);
        for (at, page) in PAGES.iter().enumerate() {
            for look in looks(at, role) {
                // The checker takes as long as all the rest: it sees each page in light and in dark.
                let is_checked = whole() || matches!(role, Role::Open | Role::Owner);
                let checker = checker.as_deref().filter(|_| is_checked);
                let found = look_at(&browser, server, page, look, checker);
                wrong.extend(found.into_iter().map(|line| format!("{page} {look:?}: {line}")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}\n{} problems", wrong.join("\n"), wrong.len());
}

/// As this role, in a browser that knew nobody before; by the form that a person fills in.
fn sign_in(browser: &Browser, server: &Server, role: Role) {
    browser.clear_cookies();
    let Some(user) = role.user() else { return };
    browser.scripts(true);
    browser.go(&server.url("/alerts"));
    browser.wait_for("location.pathname === '/login'");
    let console = browser.console();
    assert!(console.is_empty(), "{console:?}");
    browser.run(&format!(
        "document.querySelector('#username').value = '{user}';\
         document.querySelector('#password').value = '{}'.replace('+', ' ');",
        fleet::PASSWORD
    ));
    browser.click("form.sign-in button");
    browser.wait_for("location.pathname === '/alerts'");
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
        browser.wait_for(LIVE);
    }
    browser.scripts(true);
    // What is not there is told on the console too; here it is what was asked for.
    let wanted = |line: &String| {
        line.contains("404 (Not Found)") && (page.contains("/plugins/") || page.contains("act="))
    };
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

/// The pictures of README.md and docs/PAGES.md: HB_PORTRAITS=docs/img.
#[test]
fn portraits_are_taken_where_somebody_wants_them() {
    let Some(dir) = std::env::var_os("HB_PORTRAITS").map(PathBuf::from) else { return };
    let Some(_turn) = turn() else { return };
    let server = fleet::portrait();
    let browser = Browser::start();
    browser.size((1440, 1040, false));
    for (name, page) in [
        ("live-light", "/live"),
        ("host-light", "/plugins/db-01.bsl?r=1h"),
        ("alerts-light", "/alerts"),
    ] {
        browser.cookie(&server.url("/"), "hb_theme", "light");
        browser.go(&server.url(page));
        browser.wait_for(LIVE);
        std::fs::write(dir.join(format!("{name}.png")), browser.picture(false)).unwrap();
    }
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
    std::fs::write(dir.join(name), browser.picture(true)).unwrap();
}
