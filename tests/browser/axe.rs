//! axe-core, the checker of accessibility: from npm into `target/axe` by tests/run, put into the page by the driver.

use crate::webdriver::Browser;
use heartbeat::os::file;
use serde_json::Value;
use std::path::Path;

/// Its source; `None` where it is not there and nobody insists on it.
pub fn source() -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/axe/axe.min.js");
    match file::read_bounded(&path, 4 << 20) {
        Ok(bytes) => Some(String::from_utf8(bytes).unwrap()),
        Err(error) => {
            let required = std::env::var_os("HB_REQUIRE_PARTS").is_some();
            assert!(!required, "{}: {error}: run tests/run", path.display());
            None
        }
    }
}

/// What it has against the page as it stands, one line each.
pub fn violations(browser: &Browser, source: &str) -> Vec<String> {
    let script = format!(
        "{source}; axe.run(document, {{ resultTypes: ['violations'] }})\
         .then((r) => done(r.violations.map((v) => `${{v.id}}: ${{v.nodes.map((n) => n.html.slice(0, 160)\
         + ' ' + (n.any[0] ?? n.all[0] ?? n.none[0])?.message).slice(0, 3).join(' | ')}}`)), (e) => done([String(e)]));"
    );
    let found = browser.run_async(&script);
    let found = found.as_array().into_iter().flatten();
    found.filter_map(Value::as_str).map(str::to_owned).collect()
}
