//! What a page does by itself while it stays open, and what it leaves to its reader: rows that come and go under a
//! filter, a pause, what was done and its undo, keys of one's own, a table that goes on, notices of the browser.

use crate::rig::until;
use crate::webdriver::{Browser, DESK, PHONE};
use crate::{LIVE, axe, fleet, turn, watching};
use serde_json::json;

#[test]
fn table_under_a_filter_takes_the_hosts_that_come_to_fit_it() {
    let Some(_turn) = turn() else { return };
    let server = fleet::small();
    let browser = watching(&server.url("/live?state=down&sort=name"));
    browser.run("window.same = 'page'");
    let names =
        "[...document.querySelectorAll('#hosts tbody th a')].map((a) => a.textContent).join()";
    assert_eq!(browser.text(names), "rtr-aarau,web-12.bsl");
    server.send(&json!({ "ID": "MSG", "name": "cache-01.bsl", "kind": "shutdown", "text": "" }));
    browser.wait_for(&format!("{names} === 'cache-01.bsl,rtr-aarau,web-12.bsl'"));
    browser.wait_for("document.querySelector('[data-pager]').textContent.includes('1–3 of 3')");
    server.heartbeat("web-12.bsl", 30);
    browser.wait_for(&format!("{names} === 'cache-01.bsl,rtr-aarau'"));
    assert_eq!(browser.text("window.same"), "page");
}

/// The script of the table and the server count the order alike, and the row moves while the page stays.
#[test]
fn outage_that_somebody_takes_on_moves_below_the_others() {
    let Some(_turn) = turn() else { return };
    let server = fleet::small();
    let browser = watching(&server.url("/live"));
    browser.run("window.same = 'page'");
    let order = "[...document.querySelectorAll('#hosts tbody th a')].slice(0, 2) \
                 .map((a) => a.textContent).join()";
    let first = browser.text("document.querySelector('#hosts tbody th a').textContent");
    let before = browser.text(order);
    assert!(before.contains("rtr-aarau") && before.contains("web-12.bsl"), "{before} are down");
    let take = json!({ "ids": [format!("{first}/host")], "until": null, "reason": "" });
    browser.run(&format!(
        "fetch('/api/0/alerts/ack', {{ method: 'POST', body: '{take}', \
         headers: {{ 'Content-Type': 'application/json' }} }})"
    ));
    browser.wait_for(&format!("{order}.endsWith(',{first}')"));
    browser.wait_for("document.querySelector('#hosts [aria-label=acknowledged]')");
    assert_eq!(browser.text("window.same"), "page");
    let places =
        "[...document.querySelectorAll('#hosts tbody tr')].map((tr) => tr.dataset.place).join()";
    let (seen, told) = (browser.text(order), browser.text(places));
    browser.go(&server.url("/live"));
    assert_eq!((browser.text(order), browser.text(places)), (seen, told));
}

#[test]
fn pause_keeps_the_page_as_it_is_and_says_what_waits() {
    let Some(_turn) = turn() else { return };
    let server = fleet::small();
    let browser = watching(&server.url("/live"));
    // By keyboard alone: the link state is a button.
    browser.run("document.querySelector('#link button').focus()");
    browser.press(&["Enter"]);
    browser.wait_for("document.querySelector('#link').innerText.trim() === 'Paused'");
    server.send(&json!({ "ID": "MSG", "name": "web-01.bsl", "kind": "shutdown", "text": "" }));
    browser.wait_for(
        "/^Paused, [0-9]+ changes waiting$/.test(document.querySelector('#link').innerText.trim())",
    );
    assert_eq!(browser.text("document.querySelector('[data-state=down] b').textContent"), "2");
    browser.click("#link button");
    browser.wait_for("document.querySelector('[data-state=down] b').textContent === '3'");
    assert_eq!(browser.text("document.querySelector('#link').innerText.trim()"), "Live");
}

#[test]
fn what_was_done_is_told_with_its_undo() {
    let Some(_turn) = turn() else { return };
    let server = fleet::small();
    let browser = watching(&server.url("/live"));
    browser.press(&["j", "j", "s"]);
    browser.wait_for("document.querySelector('dialog[open] h2')");
    let silences = || server.get("/api/0/silences")["silences"].as_array().map_or(0, Vec::len);
    browser.click("dialog[open] button.main");
    browser.wait_for("/ silenced until /.test(document.querySelector('.toast')?.textContent)");
    until("it is silenced", || (silences() == 1).then_some(()));
    browser.wait_for("document.querySelector('.toast .close')");
    // It waits while somebody reaches for it.
    browser.run("document.querySelector('.toast').dispatchEvent(new PointerEvent('pointerenter'))");
    browser.click(".toast button:not(.close)");
    until("it is taken back", || (silences() == 0).then_some(()));
    browser.wait_for(
        "document.querySelector('.toast')?.textContent.startsWith('The silence is over')",
    );
    browser.wait_for("!document.querySelector('.toast')");
}

#[test]
fn keys_are_those_that_the_reader_chose() {
    let Some(_turn) = turn() else { return };
    let server = fleet::small();
    let browser = Browser::start();
    browser.go(&server.url("/settings?part=preferences"));
    browser.wait_for("'keys' in document.documentElement.dataset");
    browser.run(
        "document.querySelector('.own-keys').open = true;\
         document.querySelector('[name=key-help]').value = 'h'; document.querySelector('[name=key-next]').value = 'n'",
    );
    browser.click(".own-keys .btn.main");
    browser.wait_for("document.querySelector('[name=key-next]')?.value === 'n'");
    browser.go(&server.url("/live"));
    browser.wait_for(LIVE);
    browser.press(&["j"]);
    assert_eq!(browser.text("document.activeElement.tagName"), "BODY", "j is no key any more");
    browser.press(&["n", "n"]);
    // Which one it is by now depends on what the fleet did meanwhile.
    browser.wait_for("document.activeElement.matches('#hosts tbody tr')");
    browser.press(&["h"]);
    browser.wait_for("document.querySelector('dialog[open] .help-keys')");
    let keys = browser.text("document.querySelector('.help-keys').textContent");
    assert!(keys.contains("Next, previous rownk") && keys.contains("This listh"), "{keys}");
}

#[test]
fn table_goes_on_where_it_is_scrolled_to_its_end() {
    let Some(_turn) = turn() else { return };
    let server = fleet::of_size(1212);
    let browser = watching(&server.url("/live"));
    let count = "document.querySelectorAll('#hosts tbody tr').length";
    assert_eq!(browser.text(count), "50");
    browser.run("scrollTo(0, document.body.scrollHeight)");
    browser.wait_for(&format!("{count} >= 100"));
    browser
        .wait_for("document.querySelector('[data-pager]').textContent.includes('of 1\u{2009}212')");
    // They follow the fleet as the first ones do.
    let name =
        browser.text("document.querySelector('#hosts tbody tr:nth-child(80) th a').textContent");
    browser.run("scrollTo(0, 0)");
    server.send(&json!({ "ID": "MSG", "name": name, "kind": "shutdown", "text": "" }));
    browser.wait_for(&format!(
        "[...document.querySelectorAll('#hosts tbody tr')].slice(0, 8).some((r) => r.textContent.includes('{name}'))"
    ));
}

/// Seen by the page before its own code: what the browser would show.
const NOTICES: &str = "window.shown = []; window.Notification = class { static permission = 'granted'; \
    constructor(title, more) { window.shown.push([title, more.body]); } close() {} }; \
    window.AudioContext = undefined;";

#[test]
fn browser_tells_of_an_outage_where_its_reader_asked_for_it() {
    let Some(_turn) = turn() else { return };
    let server = fleet::small();
    let browser = Browser::start();
    browser.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": NOTICES }));
    for (wish, count) in [("off", 0), ("on", 1)] {
        browser.cookie(&server.url("/"), "hb_notices", wish);
        browser.go(&server.url("/live"));
        browser.wait_for(LIVE);
        let name = if count == 0 { "web-01.bsl" } else { "web-02.bsl" };
        server.send(&json!({ "ID": "MSG", "name": name, "kind": "shutdown", "text": "" }));
        browser.wait_for(&format!(
            "document.querySelector('#feed li').textContent.includes('{name}')"
        ));
        assert_eq!(browser.text("window.shown.length"), count.to_string(), "{wish}");
    }
    assert!(browser.text("window.shown[0].join(' ')").starts_with("web-02.bsl "));
}

#[test]
fn password_can_be_looked_at_before_it_is_sent() {
    let Some(_turn) = turn() else { return };
    let server = fleet::small_with(fleet::USERS);
    let browser = Browser::start();
    browser.go(&server.url("/login"));
    browser.wait_for("document.querySelector('.reveal')");
    let kind = "document.querySelector('#password').type";
    assert_eq!(browser.text(kind), "password");
    browser.click(".reveal");
    assert_eq!(browser.text(kind), "text");
    browser.click(".reveal");
    assert_eq!(browser.text(kind), "password");
    assert!(browser.text("document.querySelector('[data-blocked]').hidden").contains("true"));
}

/// The two pages that a new server shows first, which no walk through a fleet comes by.
#[test]
fn pages_of_a_new_server_are_accessible_and_fit_a_phone() {
    let Some(_turn) = turn() else { return };
    let closed = fleet::small_with(fleet::USERS);
    let empty = fleet::of_size(0);
    let browser = Browser::start();
    let checker = axe::source();
    let mut wrong = Vec::new();
    for (page, theme, size) in [
        (closed.url("/login"), "dark", PHONE),
        (closed.url("/login?out=1&next=/live"), "light", DESK),
        (empty.url("/live"), "light", PHONE),
        (empty.url("/live?agent=deb"), "dark", DESK),
        (empty.url("/live?agent=openwrt"), "dark", PHONE),
        (empty.url("/live?agent=container"), "light", DESK),
    ] {
        browser.size(size);
        browser.cookie(&page, "hb_theme", theme);
        browser.go(&page);
        browser.wait_for("'keys' in document.documentElement.dataset");
        wrong.extend(browser.console().into_iter().map(|line| format!("{page}: {line}")));
        if browser.text("document.documentElement.scrollWidth > innerWidth") == "true" {
            wrong.push(format!("{page}: wider than its window"));
        }
        let found = checker.as_deref().map(|checker| axe::violations(&browser, checker));
        wrong.extend(found.into_iter().flatten().map(|line| format!("{page}: {line}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
