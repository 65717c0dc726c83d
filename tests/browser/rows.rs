//! What a person does with the rows of `/live` and its map, and the empty page's commands as they stand there.

use crate::fleet;
use crate::rig::{Server, until};
use crate::webdriver::Browser;
use crate::{LIVE, turn, watching};
use std::path::Path;
use std::process::{Child, Command, Stdio};

#[test]
fn rows_have_a_menu_and_are_acted_on_together() {
    let Some(_turn) = turn() else { return };
    let server = fleet::small();
    let browser = watching(&server.url("/live"));
    browser.run("window.same = 'page'");
    browser.click("#hosts tbody tr:first-child [data-act=menu]");
    browser.wait_for("document.querySelector('dialog[open] .ways')");
    let menu = browser.text("document.querySelector('dialog[open]').textContent");
    for word in ["Open", "Silence…", "Maintenance…", "Copy"] {
        assert!(menu.contains(word), "{word}: {menu}");
    }
    // From the menu into a form, and out.
    browser.click("dialog[open] [data-act=silence]");
    browser.wait_for("[...document.querySelectorAll('dialog[open] h2')].some((h) => h.textContent === 'New silence')");
    browser.press(&["Escape"]);
    browser.press(&["Escape"]);
    browser.wait_for("!document.querySelector('dialog[open]')");
    // Two rows by keys, one form for both.
    browser.press(&["j", "x", "j", "x"]);
    browser
        .wait_for("document.querySelector('[data-picked]').textContent.startsWith('2 selected')");
    browser.press(&["s"]);
    browser
        .wait_for("document.querySelector('dialog[open] h2')?.textContent === 'Silence 2 hosts'");
    browser.click("dialog[open] button.main");
    let silences = || server.get("/api/0/silences")["silences"].as_array().map_or(0, Vec::len);
    until("both are silenced", || (silences() == 2).then_some(()));
}

#[test]
fn columns_and_map_are_as_the_reader_chose_them() {
    let Some(_turn) = turn() else { return };
    let server = fleet::small();
    let browser = watching(&server.url("/live"));
    browser.click("a[data-act=columns]");
    browser.click("dialog input[value=agent]");
    browser.click("dialog input[value=why]");
    browser.click("dialog input[value=compact]");
    browser.click("dialog button.main");
    browser
        .wait_for("document.querySelector('#hosts.compact thead')?.textContent.includes('Agent')");
    assert_eq!(browser.text("Boolean(document.querySelector('.c-why'))"), "false");
    // Choosing is enough; the page comes back as it was chosen.
    browser.run(
        "const by = document.querySelector('[name=map]'); by.value = 'tag';\
         by.dispatchEvent(new Event('change', { bubbles: true }))",
    );
    browser.wait_for("document.querySelector('[data-map]')?.dataset.map.startsWith('map=tag')");
    browser.go(&server.url("/live"));
    browser.wait_for(LIVE);
    assert!(browser.text("document.querySelector('#hosts thead').textContent").contains("Agent"));
    // The cell under the pointer has a name.
    browser.wait_for("document.querySelector('.grp > svg[tabindex]')");
    let point = "const svg = document.querySelector('.grp > svg'); const box = svg.getBoundingClientRect();\
         const move = () => svg.dispatchEvent(new PointerEvent('pointermove', { clientX: box.left + 4, clientY: box.top + 4, bubbles: true }));\
         svg.dispatchEvent(new PointerEvent('pointerover', { bubbles: true }));";
    browser.run(&format!("{point} window.pointing = setInterval(move, 50)"));
    browser.wait_for("document.querySelector('.tip:not([hidden])')?.textContent.includes(' for ')");
    browser.run("clearInterval(window.pointing)");
    // By keys to the next cell, and into its host.
    browser.run("document.querySelector('.grp > svg').focus()");
    browser.wait_for("document.querySelector('.tip:not([hidden]) b')");
    browser.press(&["Down"]);
    let name = browser.text("document.querySelector('.tip b').textContent");
    browser.press(&["Enter"]);
    browser.wait_for(&format!("location.pathname === '/plugins/{name}'"));
}

#[test]
fn alert_is_opened_in_its_row_and_by_its_address() {
    let Some(_turn) = turn() else { return };
    let server = fleet::small();
    let browser = Browser::start();
    browser.go(&server.url("/alerts?q=web-77"));
    browser.run("window.same = 'page'");
    browser.click("a[data-open]");
    browser.wait_for("document.querySelector('tr.detail')?.textContent.includes('cpu_percent')");
    browser.wait_for(
        "document.querySelector('a[data-open]').getAttribute('aria-expanded') === 'true'",
    );
    assert_eq!(browser.text("window.same"), "page");
    let address = browser.text("location.pathname + location.search");
    browser.scripts(false);
    browser.go(&server.url(&address));
    browser.scripts(true);
    browser.wait_for("document.querySelector('tr.detail')");
}

/// The agent that runs meanwhile; ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn commands_of_the_empty_page_make_it_change_by_itself() {
    let Some(_turn) = turn() else { return };
    let target = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("target/x86_64-unknown-linux-musl/mini/hbc-mini");
    if !target.exists() || std::env::consts::ARCH != "x86_64" {
        assert!(
            std::env::var_os("HB_REQUIRE_PARTS").is_none(),
            "hbc-mini is missing: run tests/run"
        );
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (agents, home) = (dir.path().join("agents"), dir.path().join("home"));
    std::fs::create_dir_all(&agents).unwrap();
    std::fs::create_dir_all(&home).unwrap();
    std::fs::copy(&target, agents.join("hbc-mini-linux-x86_64")).unwrap();
    let server = Server::start(&format!("agent_dir: {}\n", agents.display()));
    let browser = watching(&server.url("/live"));
    // Bound to loopback, it says what to change before other machines can do the same.
    let said = browser.text("document.querySelector('main').textContent");
    assert!(said.contains("hb_host") && said.contains("hbd_host"), "{said}");
    let command = |at: usize| {
        browser.text(&format!("document.querySelectorAll('pre[data-copy]')[{at}].textContent"))
    };
    let (fetch, start) = (command(0), command(1));
    // As a person pastes them: into a shell, one after the other.
    let shell = |line: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-c", line]).env("HOME", &home).current_dir(&home);
        shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        shell
    };
    let fetched = shell(&fetch).status().unwrap();
    assert!(fetched.success(), "{fetch}");
    let _agent = Running(shell(&format!("exec {start}")).spawn().unwrap());
    browser.wait_for("document.querySelector('#hosts tbody th a')");
}
