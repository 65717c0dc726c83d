//! What a person does: by keyboard, by pointer, and without any script.

use crate::fleet;
use crate::rig::{Server, until};
use crate::webdriver::Browser;
use crate::{turn, watching};
use serde_json::Value;

fn path(browser: &Browser) -> String {
    browser.text("location.pathname + location.search")
}

fn alert(server: &Server, id: &str) -> Value {
    let list = server.get("/api/0/alerts?kind=all&all=1");
    let alerts = list["alerts"].as_array().cloned().unwrap_or_default();
    alerts.into_iter().find(|alert| alert["id"] == id).unwrap_or_default()
}

#[test]
fn keys_lead_through_every_page_and_act_on_rows() {
    let Some(_turn) = turn() else { return };
    let server = fleet::small();
    let browser = watching(&server.url("/live"));
    // From row to row, and into one.
    browser.press(&["j", "j", "k"]);
    let row = browser.text("document.activeElement.querySelector('th a').textContent");
    browser.press(&["Enter"]);
    browser.wait_for(&format!("location.pathname === '/plugins/{row}'"));
    // Ranges, problems before and after, other pages.
    browser.press(&["3"]);
    browser.wait_for("location.search === '?r=24h'");
    browser.press(&["]"]);
    browser.wait_for(&format!("location.pathname !== '/plugins/{row}'"));
    for (keys, page) in [
        (["g", "a"], "/alerts"),
        (["g", "e"], "/events"),
        (["g", "s"], "/settings"),
        (["g", "l"], "/live"),
    ] {
        browser.press(&keys);
        browser.wait_for(&format!(
            "location.pathname === '{page}' && document.readyState === 'complete'"
        ));
    }
    // Help, and out of it.
    browser.press(&["Shift+?"]);
    browser.wait_for("document.querySelector('dialog[open]')?.textContent.includes('Acknowledge')");
    browser.press(&["Escape"]);
    browser.wait_for("!document.querySelector('dialog[open]')");
    // Find: the list follows the letters, the arrows choose.
    browser.run("document.querySelector('[data-find]').focus()");
    browser.type_text("db-0");
    browser
        .wait_for("document.querySelector('#found [role=option]')?.textContent.includes('db-01')");
    browser.press(&["Down", "Enter"]);
    browser.wait_for("location.pathname === '/plugins/db-01.bsl'");
}

#[test]
fn alert_is_acknowledged_and_silenced_by_keyboard_and_taken_back() {
    let Some(_turn) = turn() else { return };
    let server = fleet::small();
    let browser = Browser::start();
    browser.go(&server.url("/alerts?by=none&q=web-77"));
    let id = "web-77.bsl/cpu_monitor.cpu_percent";
    browser.press(&["j", "a"]);
    browser.wait_for("document.querySelector('dialog[open] form')");
    let said = browser.text("document.querySelector('dialog').textContent");
    assert!(said.contains("Reminders stop") && said.contains(id), "{said}");
    browser.run("document.querySelector('dialog [name=reason]').focus()");
    browser.type_text("seen");
    browser.press(&["Enter"]);
    until("it is acknowledged", || {
        (alert(&server, id)["acknowledged"]["reason"] == "seen").then_some(())
    });
    browser.go(&server.url("/alerts?tab=acknowledged"));
    browser.wait_for("document.querySelector('.c-done').textContent.includes('seen')");
    browser.click("button[form=undo]");
    until("it is taken back", || alert(&server, id)["acknowledged"].is_null().then_some(()));
    // Several rows at once, by their boxes.
    browser.go(&server.url("/alerts?severity=down"));
    browser.press(&["j", "x", "j", "x"]);
    browser
        .wait_for("document.querySelector('[data-picked]').textContent.startsWith('2 selected')");
    browser.press(&["a"]);
    browser.wait_for(
        "document.querySelector('dialog[open] h2')?.textContent === 'Acknowledge 2 alerts'",
    );
    browser.press(&["Escape"]);
    // A silence from the row.
    browser.go(&server.url("/alerts?q=web-77"));
    browser.press(&["j", "s"]);
    browser.wait_for("document.querySelector('dialog[open] [name=host]')?.value === 'web-77.bsl'");
    browser.click("dialog button.main");
    until("it is silenced", || (!alert(&server, id)["silenced"].is_null()).then_some(()));
}

#[test]
fn everything_is_done_by_forms_without_a_script() {
    let Some(_turn) = turn() else { return };
    let server = fleet::small();
    let browser = Browser::start();
    browser.scripts(false);
    browser.go(&server.url("/alerts?act=ack&id=web-12.bsl/host"));
    browser.click("#act button.main");
    until("it is acknowledged", || {
        (!alert(&server, "web-12.bsl/host")["acknowledged"].is_null()).then_some(())
    });
    browser.go(&server.url("/alerts?act=silence&host=db-01.bsl"));
    browser.click("#act button.main");
    let silences = || server.get("/api/0/silences")["silences"].as_array().map_or(0, Vec::len);
    until("it is silenced", || (silences() == 1).then_some(()));
    browser.go(&server.url("/alerts?tab=silences"));
    browser.click("main form button.small");
    until("the silence is over", || (silences() == 0).then_some(()));
    browser.go(&server.url("/alerts?act=maintenance&host=cache-01.bsl"));
    browser.click("#act button.main");
    until("maintenance runs", || {
        (server.get("/api/0/hosts/cache-01.bsl")["maintenance"] == true).then_some(())
    });
    browser.go(&server.url("/plugins/cache-02.bsl"));
    browser.click("#commands button[name=to]");
    until("it is not watched", || {
        (server.get("/api/0/hosts/cache-02.bsl")["watch"] == false).then_some(())
    });
    // Theme and zone are cookies; the server draws by them, without a flash.
    browser.go(&server.url("/settings?part=preferences"));
    browser.click(".pref button[value=dark]");
    browser.wait_for("document.documentElement.dataset.theme === 'dark'");
    browser.click(".pref button[value=utc]");
    browser.wait_for("document.documentElement.dataset.tz === 'UTC'");
    assert_eq!(browser.text("document.documentElement.dataset.theme"), "dark");
}

#[test]
fn filter_follows_what_is_typed_and_stands_in_the_address() {
    let Some(_turn) = turn() else { return };
    let server = fleet::small();
    let browser = watching(&server.url("/live"));
    browser.run("document.querySelector('#q').focus(); window.same = 'page'");
    browser.type_text("tag:db");
    browser.wait_for("document.querySelectorAll('#hosts tbody tr').length === 1");
    assert_eq!(path(&browser), "/live?q=tag%3Adb&sort=severity");
    assert_eq!(browser.text("window.same"), "page");
    let address = path(&browser);
    browser.go(&server.url(&address));
    assert_eq!(browser.text("document.querySelectorAll('#hosts tbody tr').length"), "1");
}

#[test]
fn charts_have_a_cursor_a_range_and_a_table() {
    let Some(_turn) = turn() else { return };
    let server = fleet::small();
    let browser = Browser::start();
    browser.go(&server.url("/plugins/db-01.bsl?r=1h"));
    browser.wait_for("document.querySelector('#c-cpu .plot[tabindex]')");
    browser.run("document.querySelector('#c-cpu .plot').focus()");
    browser.press(&["Left"]);
    browser
        .wait_for("document.querySelector('#c-cpu .readout')?.getAttribute('role') === 'status'");
    browser.wait_for("document.querySelector('#c-cpu .cursor')");
    let label = browser.text("document.querySelector('#c-cpu .plot').getAttribute('aria-label')");
    assert!(label.contains("min ") && label.contains("now "), "{label}");
    // A range by dragging is an address; Back leads out of it.
    browser.run(
        "const svg = document.querySelector('#c-cpu .plot'); const box = svg.getBoundingClientRect();\
         const at = (share) => ({ clientX: box.left + box.width * share, clientY: box.top + 40, pointerId: 1, bubbles: true });\
         svg.setPointerCapture = () => {};\
         svg.dispatchEvent(new PointerEvent('pointerdown', at(0.3)));\
         svg.dispatchEvent(new PointerEvent('pointermove', at(0.6)));\
         svg.dispatchEvent(new PointerEvent('pointerup', at(0.6)));",
    );
    browser.wait_for("location.search.includes('from=') && location.search.includes('to=')");
    browser.run("history.back()");
    browser.wait_for("location.search === '?r=1h'");
    browser.click("#c-cpu .as-table a[href*='table=']");
    browser.wait_for("document.querySelector('#c-cpu table th')");
}

/// What the reader's settings ask for is there: less motion, forced colours, paper.
#[test]
fn wishes_of_the_reader_are_honoured() {
    let Some(_turn) = turn() else { return };
    let server = fleet::small();
    let browser = Browser::start();
    browser.media("", &[("prefers-reduced-motion", "reduce"), ("forced-colors", "active")]);
    browser.go(&server.url("/live"));
    let running = browser.text("document.getAnimations().length");
    assert_eq!(running, "0");
    let glyph = "getComputedStyle(document.querySelector('.g')).display";
    assert_ne!(browser.text(glyph), "none");
    browser.media("print", &[]);
    assert_eq!(browser.text("getComputedStyle(document.querySelector('.top')).display"), "none");
    // Ink is dark on paper, whatever the theme of the screen.
    browser.run("document.documentElement.dataset.theme = 'dark'");
    assert_eq!(browser.text("getComputedStyle(document.body).color"), "rgb(18, 24, 32)");
    browser.media("", &[("prefers-color-scheme", "dark")]);
    browser.go(&server.url("/live"));
    let ground = browser.text("getComputedStyle(document.body).backgroundColor");
    assert_eq!(ground, "rgb(14, 19, 24)", "the system's theme, by the stylesheet alone");
}
