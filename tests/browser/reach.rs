//! Everything can be reached: each control by the keyboard, each page in the reader's own zone, and the fleet without
//! a WebSocket.

use crate::fleet;
use crate::webdriver::Browser;
use crate::{LIVE, turn, watching};
use serde_json::json;

/// What can be acted on now: not what is closed away, nor rows that the arrow keys or j and k walk.
const CONTROLS: &str = "[...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex=\"0\"]')]\
    .filter((e) => e.checkVisibility() && !e.disabled && e.tabIndex >= 0 && e.type !== 'hidden'\
    && !(e.type === 'radio' && !e.checked))";

#[test]
fn every_control_is_reached_by_tab_in_order_and_shows_its_focus() {
    let Some(_turn) = turn() else { return };
    let server = fleet::small();
    let browser = Browser::start();
    for page in [
        "/live",
        "/live?act=columns",
        "/plugins/db-01.bsl",
        "/alerts",
        "/alerts?act=ack&id=web-12.bsl/host",
        "/alerts?act=silence&host=db-01.bsl",
        "/alerts?act=maintenance",
        "/events",
        "/find?q=web",
        "/settings",
        "/settings?part=preferences",
    ] {
        browser.go(&server.url(page));
        browser.wait_for(LIVE);
        let count = browser.run(&format!(
            "window.seen = []; window.pale = [];\
             document.addEventListener('focusin', ({{ target }}) => {{\
               window.seen.push(target);\
               const ringed = (e) => getComputedStyle(e).outlineStyle !== 'none' && parseFloat(getComputedStyle(e).outlineWidth) > 0;\
               if (![target, target.closest('label'), target.nextElementSibling].some((e) => e && ringed(e))) window.pale.push(target.outerHTML.slice(0, 90));\
             }});\
             document.activeElement.blur(); getSelection().removeAllRanges(); scrollTo(0, 0);\
             return {CONTROLS}.length"
        ));
        let count = count.as_u64().unwrap() as usize;
        assert!(count > 10, "{page}: {count}");
        browser.press(&vec!["Tab"; count + 12]);
        // The browser may have begun within the page: what lies before comes when it goes round.
        let missed = browser.text(&format!(
            "{CONTROLS}.filter((e) => !window.seen.includes(e)).map((e) => e.outerHTML.slice(0, 90)).join('\\n')"
        ));
        assert_eq!(missed, "", "{page}: never reached");
        assert_eq!(browser.text("window.pale.join('\\n')"), "", "{page}: focus is not seen");
        let order = browser.text(&format!(
            "(() => {{ const list = {CONTROLS}; const at = window.seen.map((e) => list.indexOf(e)).filter((n) => n >= 0);\
               const back = at.filter((n, i) => i > 0 && n < at[i - 1]); return String(back.length); }})()"
        ));
        assert!(order.parse::<u32>().unwrap() <= 1, "{page}: back {order} times");
    }
}

#[test]
fn times_are_those_of_the_browser_the_server_or_utc() {
    let Some(_turn) = turn() else { return };
    let server = fleet::small();
    let browser = Browser::start();
    browser.devtools("Emulation.setTimezoneOverride", json!({ "timezoneId": "Asia/Kathmandu" }));
    let moment = |page: &str| {
        browser.go(&server.url(page));
        browser.text(
            "(() => { const t = document.querySelector('table.log time, #feed time'); return t.textContent + ' ' + t.dateTime; })()",
        )
    };
    // Nepal is 5 h 45 m before UTC, a zone that no rule of whole hours fits.
    let minutes = |shown: &str| {
        let (text, iso) = shown.split_once(' ').unwrap();
        let of = |clock: &str| {
            let mut parts = clock.split(':').map(|part| part.parse::<i32>().unwrap());
            parts.next().unwrap() * 60 + parts.next().unwrap()
        };
        let utc = iso.split('T').nth(1).unwrap();
        (of(text) - of(&utc[..5])).rem_euclid(1440)
    };
    for (zone, name, want) in
        // The browser may have the name of before 2008 for it.
        [("browser", "Asia/Kat", 345), ("utc", "UTC", 0), ("server", "Europe/Zurich", 60)]
    {
        browser.go(&server.url("/settings?part=preferences"));
        let button = match zone {
            "browser" => ".pref button[data-zone]".to_owned(),
            other => format!(".pref button[value={other}]"),
        };
        browser.wait_for(&format!("!document.querySelector('{button}').hidden"));
        browser.click(&button);
        browser.wait_for(&format!("document.documentElement.dataset.tz.startsWith('{name}')"));
        for page in ["/events", "/live"] {
            let shown = moment(page);
            let found = minutes(&shown);
            // Summer time in Zurich is an hour more.
            assert!(found == want || (zone == "server" && found == 120), "{page} {zone}: {shown}");
        }
        assert!(browser.text("document.querySelector('.foot').textContent").contains(name));
    }
}

/// Seen by the page before its own code: no WebSocket ever comes through.
const NO_SOCKETS: &str = r"
window.WebSocket = class {
  constructor() { setTimeout(() => this.onclose && this.onclose({ code: 1006 }), 0); }
  close() {}
  send() {}
};";

#[test]
fn page_without_websockets_asks_by_http_and_follows_the_fleet_all_the_same() {
    let Some(_turn) = turn() else { return };
    let server = fleet::small();
    let browser = Browser::start();
    browser.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": NO_SOCKETS }));
    browser.go(&server.url("/live"));
    browser.run("window.same = 'page'");
    browser.wait_for("document.querySelector('#link').dataset.link === 'polling'");
    assert_eq!(browser.text("document.querySelector('#link').innerText.trim()"), "Live (polling)");
    server.send(&json!({ "ID": "MSG", "name": "cache-01.bsl", "kind": "shutdown", "text": "" }));
    browser.wait_for("document.title.startsWith('(3 down, ')");
    browser.wait_for("document.querySelector('#feed li').textContent.includes('cache-01.bsl')");
    assert_eq!(browser.text("window.same"), "page");
}

/// What is chosen above the messages narrows what was there and what comes.
#[test]
fn messages_by_kind_are_those_that_come_later_too() {
    let Some(_turn) = turn() else { return };
    let server = fleet::small();
    let browser = watching(&server.url("/live"));
    browser.click(".chips a[href*='feed=states']");
    browser.wait_for("location.search === '?feed=states'");
    browser.wait_for(LIVE);
    assert!(!browser.text("document.querySelector('#feed').textContent").contains("deploy 4711"));
    server.send(
        &json!({ "ID": "MSG", "name": "web-01.bsl", "kind": "text", "text": "not of this kind" }),
    );
    server.send(&json!({ "ID": "MSG", "name": "web-02.bsl", "kind": "shutdown", "text": "" }));
    browser.wait_for("document.querySelector('#feed li').textContent.includes('web-02.bsl')");
    assert!(
        !browser.text("document.querySelector('#feed').textContent").contains("not of this kind")
    );
}
