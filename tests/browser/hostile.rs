//! Text from outside stays text: a hundred strings that would like to be more, in all that an agent can say.

use crate::rig::Server;
use crate::webdriver::Browser;
use crate::{LIVE, turn};
use serde_json::{Map, Value, json};

/// Each sets `window.hit` or leaves an element with `data-hit` where it gets through.
const PAYLOADS: [&str; 20] = [
    "<script>window.hit=1</script>",
    "<img src=x onerror=window.hit=1>",
    "<svg onload=window.hit=1>",
    "<b data-hit>x</b>",
    "\" onmouseover=window.hit=1 x=\"",
    "' onfocus=window.hit=1 autofocus x='",
    "</title><script>window.hit=1</script>",
    "</textarea><script>window.hit=1</script>",
    "<iframe srcdoc='<script>parent.hit=1</script>'></iframe>",
    "<a href=javascript:window.hit=1 data-hit>x</a>",
    "javascript:window.hit=1",
    "<math><mi//xlink:href=\"data:x,<script>window.hit=1</script>\">",
    "{{ 7 * 7 }}{% raw %}",
    "${window.hit=1}`",
    "<!--><script>window.hit=1</script>-->",
    "]]><script>window.hit=1</script>",
    "<style>*{display:none}</style><b data-hit>",
    "<form action=//evil.example><input data-hit name=password>",
    "<base href=//evil.example/><b data-hit>",
    "&lt;script&gt;window.hit=1&lt;/script&gt;<b data-hit>",
];

/// What stands around them: as they are, cut out of an attribute, behind control characters and overrides.
const WRAPS: [(&str, &str); 5] = [
    ("", ""),
    ("\">", "<\""),
    ("'>", "<'"),
    ("\u{202e}\u{0007}\u{1b}[31m", "\u{2066}"),
    ("]] --> ", "\u{2028}\u{fffe}"),
];

fn hostile() -> Vec<String> {
    let wrapped = |(before, after): (&str, &str)| PAYLOADS.map(|p| format!("{before}{p}{after}"));
    WRAPS.into_iter().flat_map(wrapped).collect()
}

#[test]
fn h8_a_hundred_hostile_strings_have_no_effect() {
    let Some(_turn) = turn() else { return };
    let server = Server::start(
        "udp_policy: open\nthresholds:\n  nagios_runner: {status_code: {operator: nagios, display: \"{output}\"}}\n",
    );
    let browser = Browser::start();
    let texts = hostile();
    assert_eq!(texts.len(), 100);
    let groups: Vec<&[String]> = texts.chunks(5).collect();
    for (at, group) in groups.iter().enumerate().take(10) {
        say(&server, at, group);
    }
    browser.go(&server.url("/live"));
    check(&browser, "/live");
    // And what comes while the page is open is drawn by its script.
    browser.wait_for(LIVE);
    for (at, group) in groups.iter().enumerate().skip(10) {
        say(&server, at, group);
    }
    server.send(&json!({ "ID": "MSG", "name": "evil0", "kind": "text", "text": "last one" }));
    browser.wait_for("document.querySelector('#feed').textContent.includes('last one')");
    check(&browser, "/live, drawn by its script");
    let hosts = (0..groups.len()).map(|at| format!("/plugins/evil{at}"));
    for page in hosts.chain(["/events", "/alerts", "/wall"].map(str::to_owned)) {
        browser.go(&server.url(&page));
        check(&browser, &page);
    }
    // In what the reader sends, too.
    for text in texts.iter().step_by(21) {
        let encoded: String = text.bytes().map(|b| format!("%{b:02X}")).collect();
        for page in ["/live?q=", "/plugins/", "/events?host=", "/find?q=", "/alerts?q="] {
            browser.go(&server.url(&format!("{page}{encoded}")));
            check(&browser, &format!("{page}{encoded}"));
        }
    }
}

/// A host that says them in all the places that an agent has.
fn say(server: &Server, at: usize, texts: &[String]) {
    let name = format!("evil{at}");
    server.heartbeat(&name, 600);
    let (mut checks, mut own, mut disks) = (Map::new(), Map::new(), Map::new());
    for (at, text) in texts.iter().enumerate() {
        server.send(&json!({ "ID": "MSG", "name": name, "kind": "text", "text": text }));
        for (field, value) in [
            ("output", json!(text)),
            ("status", json!(text)),
            ("status_code", json!(1 + at % 2)),
            ("exit_code", json!(1)),
        ] {
            checks.insert(format!("check_{at}_{field}"), value);
        }
        let key: String = text.chars().take(60).collect();
        own.insert(key.clone(), json!({ "value": 1, "text": text }));
        disks.insert(key, json!({ "percent": 50.0, "device": text, "fstype": text }));
        // A name that is none is refused in silence.
        server.try_send(&json!({ "ID": "HTB", "name": text, "interval": 600, "v": text }));
    }
    server.plugin(&name, "nagios_runner", Value::Object(checks));
    server.plugin(&name, "own", Value::Object(own));
    server.plugin(&name, "disk_monitor", json!({ "partitions": disks }));
    let [one, two, three, ..] = texts else { return };
    server.plugin(
        &name,
        "os_info",
        json!({ "distribution": one, "kernel": two, "cpu_model": three }),
    );
}

#[track_caller]
fn check(browser: &Browser, page: &str) {
    assert_eq!(browser.text("String(window.hit)"), "undefined", "{page}");
    assert_eq!(browser.text("document.querySelectorAll('[data-hit]').length"), "0", "{page}");
    let wanted = |line: &String| line.contains("(Not Found)") || line.contains("(Bad Request)");
    let said: Vec<String> = browser.console().into_iter().filter(|line| !wanted(line)).collect();
    assert!(said.is_empty(), "{page}: {said:?}");
    let seen = browser.text("document.body.innerText");
    assert!(!seen.contains(['\u{202e}', '\u{2066}', '\u{1b}']), "{page} lets an override through");
}
